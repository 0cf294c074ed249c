"""The program: python -m nst_tf.run --flagfile=configs/starry.cfg."""

import contextlib
import logging
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import nst_tf
from nst_tf import (
    checkpoint,
    device,
    encoding,
    execution,
    flagdefs,
    image_io,
    inputs,
    job,
    metadata,
    outputs,
    print_size,
    progress,
    replicas,
    rerun,
    resumption,
    run_log,
    sheet,
    tile_side,
)

if TYPE_CHECKING:
    import tensorflow as tf

    from nst_tf import descent

DONE, WRONG_INPUT, OUT_OF_MEMORY, FAILED = 0, 1, 3, 4
# Stopped by a signal: 128 + its number, as shells count: 129, 130 and 143.
OUT_OF_MEMORY_ADVICE = (
    "out of memory; make a smaller picture with --size, or use "
    "--precision=bfloat16."
)
SIGNALS = [
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGTERM")
    if hasattr(signal, name)  # not all on Windows
]


def cli() -> None:
    """The console script nst-tf."""
    # Each level is traced anew, which TensorFlow takes for a mistake.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # names may hold anything
            stream.reconfigure(errors="backslashreplace")
    status = main(sys.argv[1:])
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:  # nobody reads; Python would complain at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(status)


def main(arguments: Sequence[str]) -> int:
    """Makes the picture that the arguments ask for.

    Args:
        arguments: The command line, without the program's name.

    Returns:
        The exit status: 0 done; 1 wrong input, or a picture that could not be
        written where it should be; and with the picture so far saved, if there
        is one, 3 out of memory, 4 a step failed, 129, 130 and 143 stopped by
        SIGHUP, SIGINT and SIGTERM.
    """
    if {"--help", "-h", "-help", "--helpfull", "--helpshort"} & set(arguments):
        _say(flagdefs.usage())
        return DONE
    if "--version" in arguments:
        _say(f"nst-tf {nst_tf.__version__}")
        return DONE
    start = time.monotonic()
    with _Signals() as signals:
        try:
            picture = _described(arguments)
            if picture:
                _say(metadata.describe(picture))
                return DONE
            asked, replay = flagdefs.parse(arguments), None
            if asked.sheet or asked.sweep:
                _check_alone(asked)
                prepared_sheet = sheet.prepare(asked, _say)
                signals.wait = True
                return _paint_sheet(asked, prepared_sheet, start, signals)
            if asked.rerun:
                replay = rerun.load(asked, flagdefs.named(arguments))
                asked = replay.request
            request, path, prepared = execution.prepare_files(asked, _say)
            lines = rerun.check(replay, prepared) if replay else []
            log = None
            if request.log and not request.dry_run and replicas.writes():
                log = run_log.Log(request.log, _say)
            with device.silent_stderr():
                device.prepare()
                precision = device.resolve_precision(request.precision)
                strategy = replicas.make(request.devices)
            request = tile_side.planned(request, prepared, precision)
            state = resumption.find(request, prepared)
            died = resumption.died_in_tiles(request, prepared)
            if died is not None and replicas.writes():
                before = request.tile
                request = tile_side.halved(request, prepared, precision, died)
                if request.tile != before:
                    lines = [
                        *lines,
                        f"a run of this job was killed, perhaps for want of "
                        f"memory: it goes on in tiles of {request.tile}",
                    ]
            request = execution.joined(request, prepared, state, strategy)
            signals.wait = True
            run = Run(
                asked,
                request,
                path,
                prepared,
                state,
                replay,
                log,
                start,
                strategy,
            )
            return _paint(run, lines, signals)
        except (ValueError, OSError) as error:
            if signals.wait:  # what was asked for is right; this is a bug
                raise
            return _complain(str(error))
        except _Stopped:
            return 128 + signals.received
        except MemoryError as error:
            _complain(str(error) or OUT_OF_MEMORY_ADVICE)
            return OUT_OF_MEMORY


class Run(NamedTuple):
    """A checked request, and all that it needs."""

    asked: job.Job
    request: job.Job  # with the settings of its strength and print size
    path: Path  # of the output
    prepared: inputs.Inputs
    state: checkpoint.State | None  # from which it goes on
    replay: rerun.Replay | None  # of which it is one
    log: run_log.Log | None
    start: float  # by `time.monotonic`
    strategy: "tf.distribute.Strategy | None"  # of the devices that share it


def _paint(run: Run, warnings: Sequence[str], signals: "_Signals") -> int:
    """Runs a prepared job, and reports it."""
    request, prepared, path = run.request, run.prepared, run.path
    end = run.start + request.max_seconds if request.max_seconds else math.inf
    report = progress.Progress(prepared.levels, end=end)
    if not replicas.writes():
        return _paint_along(run, signals)
    _announce(run, warnings, report)
    if request.dry_run:
        return 128 + signals.received if signals.received else DONE
    step, status = None, DONE
    taken = resumption.steps_taken(run.state, prepared)
    steps = _steps(run, report.say)
    try:
        for count, step in enumerate(steps, start=1):
            taken[step.level] = step.index
            _report(run, step, report)
            if request.preview_every and count % request.preview_every == 0:
                _preview(path, execution.picture(step), report)
            if signals.received:
                status = 128 + signals.received
                break
        steps.close()
    except Exception as error:  # whatever it is, the picture so far is saved
        report.end_line()
        status = _failed(error)
    if step is None:
        return status or 128 + signals.received
    return _save(run, step, taken, status, report)


def _paint_along(run: Run, signals: "_Signals") -> int:
    """Takes the steps of a picture that another process writes."""
    if run.request.dry_run:
        return DONE
    _say(f"one of {replicas.workers()} processes, of which the first writes")
    try:
        with contextlib.closing(_steps(run, _say)) as steps:
            for _ in steps:
                if signals.received:
                    break
    except Exception as error:
        return _failed(error)
    return 128 + signals.received if signals.received else DONE


def _steps(
    run: Run, say: Callable[[str], None]
) -> "Generator[descent.Step, None, None]":
    """The steps of a run."""
    return execution.job_steps(
        run.request,
        run.prepared,
        run.state,
        say=say,
        began=run.start,
        replay=run.replay.steps if run.replay else None,
        strategy=run.strategy,
    )


def _paint_sheet(
    asked: job.Job, prepared: sheet.Sheet, start: float, signals: "_Signals"
) -> int:
    """Paints a contact sheet, as far as it comes."""
    with device.silent_stderr():
        device.prepare()
        description = device.describe()
    count = len(prepared.cells)
    for line in sheet.plan(prepared, description):
        _say(line)
    if asked.dry_run:
        return 128 + signals.received if signals.received else DONE
    images: dict[int, np.ndarray] = {}
    status = DONE
    pictures = sheet.paint(
        prepared, asked.max_seconds, lambda: signals.received > 0, _say
    )
    try:
        for number, image in enumerate(pictures):
            images[number] = image
            seconds = time.monotonic() - start
            left = progress.duration(
                seconds / (number + 1) * (count - 1 - number)
            )
            _say(
                f"picture {number + 1}/{count}, "
                f"{' '.join(prepared.cells[number].label)}, about {left} left"
            )
    except Exception as error:  # whatever it is, the sheet so far is saved
        status = _failed(error)
    status = status or (128 + signals.received if signals.received else DONE)
    if not images:
        return status
    try:
        saved = outputs.save_result(
            prepared.path,
            sheet.draw(prepared, images),
            asked.overwrite,
            prepared.options,
        )
    except (OSError, ValueError) as error:
        return _complain(f"{prepared.path} cannot be written: {error}")
    _say(
        f"{saved} is {'unfinished' if status else 'done'}, after "
        f"{progress.duration(time.monotonic() - start)}; the flags under a "
        f"picture, added to your command without --sheet and --sweep, make it"
    )
    return status


def _check_alone(asked: job.Job) -> None:
    """Raises ValueError if several devices are to paint a sheet."""
    if asked.devices != 1 or replicas.workers() > 1:
        raise ValueError(
            "several devices share one picture, and a sheet has many small "
            "ones; leave out --devices and TF_CONFIG."
        )


def _failed(error: Exception) -> int:
    """Says why a run cannot go on, and returns the exit status."""
    import tensorflow as tf

    if isinstance(error, (tf.errors.ResourceExhaustedError, MemoryError)):
        _complain(OUT_OF_MEMORY_ADVICE)
        return OUT_OF_MEMORY
    if not isinstance(error, FloatingPointError):
        traceback.print_exc()
    _complain(f"the run cannot go on: {error}")
    return FAILED


def _announce(
    run: Run, warnings: Sequence[str], report: progress.Progress
) -> None:
    """Prints what will be done, and with what."""
    request, prepared = run.request, run.prepared
    last = prepared.levels[-1]
    with device.silent_stderr():
        device.prepare()
        description = device.describe()
        precision = device.resolve_precision(request.precision)
    options = inputs.output_options(request, prepared.content, *last[:2])
    devices = replicas.count(run.strategy)
    in_tiles = tile_side.describe(request, last, devices)
    on_paper = ""
    if request.dpi:
        unit = "cm"
        if run.asked.print_size:
            unit = print_size.parse(run.asked.print_size).unit
        on_paper = print_size.describe(*last[:2], request.dpi, unit)
    report.say(
        progress.plan(
            prepared.levels,
            output=str(run.path),
            on_paper=on_paper,
            device=_shared(description, devices),
            precision=precision,
            network=request.extractor,
            origin=prepared.network.origin,
            content_size=prepared.content.pixels.shape[:2],
            memory=tile_side.needs(request, prepared, precision).peak(
                last.height, last.width, request.tile
            ),
            tiles=in_tiles,
            max_seconds=request.max_seconds,
            seconds=execution.estimated_seconds(request, prepared, devices)
            if request.dry_run
            else 0.0,
        )
    )
    notes = [*prepared.notes, *encoding.lost(run.path, options)]
    if devices > 1 and not in_tiles:
        notes.append(
            f"one device is as fast as {devices}: they share tiles, and what "
            f"the tiles would see twice is too much of this picture"
        )
    if prepared.clipped:
        notes.append(
            f"{prepared.clipped:.2%} of the style's values are clipped, with "
            f"the content's colors"
        )
    for note in notes:
        report.say(f"note      {note}")
    then = run.replay.record["device"] if run.replay else description
    if then != description:
        warnings = [*warnings, f"made on {then}, and here is {description}"]
    for warning in filter(None, [prepared.network.warning, *warnings]):
        report.say(f"warning   {warning}")
    if run.state:
        report.say(
            f"resume    level {run.state.level + 1}, step {run.state.steps + 1}"
        )


def _shared(description: str, devices: int) -> str:
    """Names the devices of a run, for people."""
    if devices == 1:
        return description
    machines = replicas.workers()
    if machines == 1:
        return f"{description}, {devices} devices"
    return f"{description}, {devices} devices of {machines} processes"


def _report(run: Run, step: "descent.Step", report: progress.Progress) -> None:
    """Shows a step, now and then, and logs those that are shown."""
    loss = report.update(step.level, step.index, step.evaluation.loss)
    if loss is None or run.log is None:
        return
    run.log.write(
        step.level + 1,
        run.prepared.levels[step.level],
        step.index,
        loss,
        step.evaluation.terms,
        time.monotonic() - run.start,
        device.peak_memory(),
    )


def _save(
    run: Run,
    step: "descent.Step",
    taken: Sequence[int],
    status: int,
    report: progress.Progress,
) -> int:
    """Writes the picture of the last step, and says how it went."""
    path, prepared = run.path, run.prepared
    ending = "unfinished" if status else "done"
    rows, columns = step.image.shape[1:3]
    last = prepared.levels[-1]
    if (rows, columns) != (last.height, last.width):
        report.say(
            f"stopped at {columns} x {rows}; the picture is enlarged to "
            f"{last.width} x {last.height}"
        )
    made = execution.Made(run.asked, run.request, prepared, taken, run.start)
    try:
        saved = execution.save(path, made, step, state=ending, say=report.say)
    except FloatingPointError as error:
        _complain(str(error))
        return FAILED
    except (OSError, ValueError) as error:
        return _complain(f"{path} cannot be written: {error}")
    report.say(
        progress.summary(
            str(saved),
            ending,
            time.monotonic() - run.start,
            execution.terms(step),
            rescues=int(step.optimizer.rescues),
            taken_back=int(step.optimizer.failures) > 0,
        )
    )
    if saved.parent.resolve() != path.parent.resolve():
        return _complain(f"{path.parent} took no file; the picture is {saved}")
    return status


def _described(arguments: Sequence[str]) -> str:
    """The picture of --describe=PICTURE, or --describe PICTURE; or nothing."""
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name.lstrip("-") != "describe" or not name.startswith("-"):
            continue
        rest = [*arguments[:place], *arguments[place + 1 :]]
        if not equals and rest[place:]:
            value = rest.pop(place)
        if not value or rest:
            raise ValueError(
                "describe is given alone, with a picture: --describe=PICTURE."
            )
        return value
    return ""


def _preview(path: Path, image: np.ndarray, report: progress.Progress) -> None:
    """Writes a preview; a run does not end for want of one."""
    try:
        image_io.save_image(outputs.preview_path(path), image)
    except OSError as error:
        report.say(f"preview {outputs.preview_path(path)} failed: {error}")


def _say(text: str) -> None:
    """Prints, if somebody reads."""
    with contextlib.suppress(OSError):
        if sys.stdout:
            print(text, flush=True)


def _complain(sentence: str) -> int:
    """Prints an error, in one line, and returns its status."""
    with contextlib.suppress(OSError):
        if sys.stderr:
            print(f"nst-tf: {' '.join(sentence.split())}", file=sys.stderr)
    return WRONG_INPUT


class _Stopped(BaseException):
    """A signal came while nothing was to be saved yet."""


class _Signals:
    """Ends a run after its step, and what comes before it at once.

    A second signal ends the program at once, as it would without this.
    """

    def __init__(self) -> None:
        self.received = 0
        self.wait = False  # for the end of a step

    def __enter__(self) -> "_Signals":
        self._before = {
            number: signal.signal(number, self._receive)
            for number in SIGNALS
            if signal.getsignal(number) is not signal.SIG_IGN  # as by nohup
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self.received:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.received = number
        if not self.wait:
            raise _Stopped


if __name__ == "__main__":
    cli()
