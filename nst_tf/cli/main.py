"""The program: reads flags, makes the picture, and returns an exit status.

`cli` is the console script, `main` the same as a function. Signals and console
are in `console`, contact sheets in `sheet_command`.
"""

import contextlib
import math
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import nst_tf
from nst_tf import terminal
from nst_tf.backend import device, replicas
from nst_tf.cli import console, contact_sheet, flags, sheet_command
from nst_tf.images import image_io, sizes, writing
from nst_tf.plan import inputs, settings, tile_size
from nst_tf.runs import (
    api,
    outputs,
    preparation,
    progress,
    records,
    reporters,
    rerun,
    results,
    resume,
    startup,
)

if TYPE_CHECKING:
    import tensorflow as tf

    from nst_tf.optimize import descent


def cli() -> None:
    """The console script nst-tf."""
    terminal.run_program(main)


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
        terminal.print_line(flags.format_usage())
        return console.DONE
    if "--version" in arguments:
        terminal.print_line(f"nst-tf {nst_tf.__version__}")
        return console.DONE
    start = time.monotonic()
    with console.Signals() as signals:
        try:
            picture = _parse_describe(arguments)
            if picture:
                terminal.print_line(records.describe(picture))
                return console.DONE
            asked, recorded = flags.parse(arguments), None
            if asked.sheet or asked.sweep:
                sheet_command.check_alone(asked)
                prepared_sheet = contact_sheet.prepare(
                    asked, terminal.print_line
                )
                signals.wait = True
                return sheet_command.paint(
                    asked, prepared_sheet, start, signals
                )
            if asked.rerun:
                recorded = rerun.load(asked, flags.list_set_flags(arguments))
                asked = recorded.request
            request, path, prepared = preparation.prepare_files(
                asked, terminal.print_line
            )
            lines = [*rerun.check(recorded, prepared)] if recorded else []
            readers = reporters.Reporters(
                request, asked, prepared, start, terminal.print_line
            )
            with device.silence_stderr():
                device.prepare()
                replicas.make_strategy(request.devices)
            request, state, strategy = startup.start(
                request, prepared, lines.append
            )
            signals.wait = True
            run = Run(
                asked,
                request,
                path,
                prepared,
                state,
                recorded,
                readers,
                start,
                strategy,
            )
            return _paint(run, lines, signals)
        except (ValueError, OSError) as error:
            if signals.wait:  # what was asked for is right; this is a bug
                raise
            return console.print_error(str(error))
        except console.Stopped:
            return signals.status
        except MemoryError as error:
            console.print_error(str(error) or console.OUT_OF_MEMORY_ADVICE)
            return console.OUT_OF_MEMORY


class Run(NamedTuple):
    """A checked request, and all that it needs."""

    asked: settings.Job
    request: settings.Job  # with the settings of its strength and print size
    path: Path  # of the output
    prepared: inputs.Inputs
    state: "descent.State | None"  # from which it goes on
    recorded: rerun.RecordedRun | None  # that it repeats
    reporters: reporters.Reporters
    start: float  # by `time.monotonic`
    strategy: "tf.distribute.Strategy | None"  # of the devices that share it


def _paint(run: Run, warnings: Sequence[str], signals: console.Signals) -> int:
    """Runs a prepared job, and reports it."""
    request, prepared, path = run.request, run.prepared, run.path
    end = run.start + request.max_seconds if request.max_seconds else math.inf
    report = progress.Progress(prepared.levels, end=end)
    if not replicas.is_writer():
        return _paint_along(run, signals)
    _announce(run, warnings, report)
    if request.dry_run:
        return signals.status
    step, status = None, console.DONE
    taken = resume.read_steps_taken(run.state, prepared)
    steps = _steps(run, report.say)
    try:
        for count, step in enumerate(steps, start=1):
            taken[step.level] = step.index
            loss = report.update(step.level, step.index, step.evaluation.loss)
            run.reporters.step(step, sum(taken), loss)
            if request.preview_every and count % request.preview_every == 0:
                _preview(path, results.read_image(step), report)
            if signals.received:
                status = signals.status
                break
        steps.close()
    except Exception as error:  # whatever it is, the picture so far is saved
        report.end_line()
        status = console.report_failure(error)
    if step is None:
        return status or signals.status
    with contextlib.closing(run.reporters):
        return _save(run, step, taken, status, report)


def _paint_along(run: Run, signals: console.Signals) -> int:
    """Takes the steps of a picture that another process writes."""
    if run.request.dry_run:
        return console.DONE
    terminal.print_line(
        f"one of {replicas.count_workers()} processes, of which the first "
        f"writes"
    )
    try:
        with contextlib.closing(_steps(run, terminal.print_line)) as steps:
            for _ in steps:
                if signals.received:
                    break
    except Exception as error:
        return console.report_failure(error)
    return signals.status


def _steps(
    run: Run, say: Callable[[str], None]
) -> "Generator[descent.Step, None, None]":
    """The steps of a run."""
    return api.run_steps(
        run.request,
        run.prepared,
        run.state,
        say=say,
        began=run.start - run.reporters.seconds,
        fixed_steps=run.recorded.steps if run.recorded else None,
        strategy=run.strategy,
    )


def _announce(
    run: Run, warnings: Sequence[str], report: progress.Progress
) -> None:
    """Prints what will be done, and with what."""
    request, prepared = run.request, run.prepared
    last = prepared.levels[-1]
    with device.silence_stderr():
        device.prepare()
        description = device.describe()
        precision = device.resolve_precision(request.precision)
        emulation = device.describe_emulation(request.precision)
    options = outputs.make_options(request, prepared.content, *last[:2])
    devices = replicas.count_devices(run.strategy)
    in_tiles = tile_size.describe_tiles(request, last, devices)
    on_paper = ""
    if request.dpi:
        unit = "cm"
        if run.asked.print_size:
            unit = sizes.parse_print_size(run.asked.print_size).unit
        on_paper = sizes.describe_print(*last[:2], request.dpi, unit)
    report.say(
        progress.describe_plan(
            prepared.levels,
            output=str(run.path),
            on_paper=on_paper,
            device=_describe_devices(description, devices),
            precision=precision,
            network=request.extractor,
            origin=prepared.network.origin,
            content_size=prepared.content.pixels.shape[:2],
            memory=tile_size.estimate_memory(request, prepared, precision),
            tiles=in_tiles,
            max_seconds=request.max_seconds,
            seconds=api.estimate_seconds(request, prepared, devices)
            if request.dry_run
            else 0.0,
        )
    )
    notes = [*prepared.notes, *writing.list_omissions(run.path, options)]
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
    for note in filter(None, [*notes, emulation]):
        report.say(f"note      {note}")
    then = run.recorded.record["device"] if run.recorded else description
    if then != description:
        warnings = [*warnings, f"made on {then}, and here is {description}"]
    for warning in warnings:
        report.say(f"warning   {warning}")
    if run.state:
        report.say(
            f"resume    level {run.state.level + 1}, step {run.state.steps + 1}"
        )


def _describe_devices(description: str, devices: int) -> str:
    """Names the devices of a run, for people."""
    if devices == 1:
        return description
    machines = replicas.count_workers()
    if machines == 1:
        return f"{description}, {devices} devices"
    return f"{description}, {devices} devices of {machines} processes"


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
    rows, columns = step.size
    last = prepared.levels[-1]
    if (rows, columns) != (last.height, last.width):
        report.say(
            f"stopped at {columns} x {rows}; the picture is enlarged to "
            f"{last.width} x {last.height}"
        )
    made = results.Provenance(
        run.asked, run.request, prepared, taken, run.start
    )
    try:
        saved, image = results.save(
            path, made, step, state=ending, say=report.say
        )
    except FloatingPointError as error:
        console.print_error(str(error))
        return console.FAILED
    except (OSError, ValueError) as error:
        return console.print_error(f"{path} cannot be written: {error}")
    report.say(
        progress.describe_result(
            str(saved),
            ending,
            time.monotonic() - run.start,
            results.read_losses(step),
            rescues=int(step.optimizer.rescues),
            taken_back=int(step.optimizer.failures) > 0,
        )
    )
    run.reporters.finish(image, sum(taken))
    if saved.parent.resolve() != path.parent.resolve():
        return console.print_error(
            f"{path.parent} took no file; the picture is {saved}"
        )
    return status


def _parse_describe(arguments: Sequence[str]) -> str:
    """Reads the picture of --describe=PICTURE; empty if it is not given."""
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
