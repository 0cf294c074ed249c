"""The program: python -m nst_tf.run --flagfile=configs/starry.cfg."""

import contextlib
import math
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import numpy as np

import nst_tf
from nst_tf import (
    checkpoint,
    device,
    execution,
    flagdefs,
    image_io,
    inputs,
    job,
    memory,
    outputs,
    progress,
    resumption,
    strength,
)

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
            request = strength.applied(flagdefs.parse(arguments))
            path, prepared = inputs.prepare_files(request, _say)
            if request.checkpoint_dir:  # its identity knows the precision
                with _silent_stderr():
                    device.prepare()
                    device.resolve_precision(request.precision)
            state = resumption.find(request, prepared)
            signals.wait = True
            return _paint(request, path, prepared, state, signals, start)
        except (ValueError, OSError) as error:
            if signals.wait:  # what was asked for is right; this is a bug
                raise
            return _complain(str(error))
        except _Stopped:
            return 128 + signals.received
        except MemoryError:
            _complain(OUT_OF_MEMORY_ADVICE)
            return OUT_OF_MEMORY


def _paint(
    request: job.Job,
    path: Path,
    prepared: inputs.Inputs,
    state: checkpoint.State | None,
    signals: "_Signals",
    start: float,
) -> int:
    """Runs a prepared job, and reports it."""
    with _silent_stderr():
        device.prepare()
        import tensorflow as tf

        description = device.describe()
        precision = device.resolve_precision(request.precision)
    end = start + request.max_seconds if request.max_seconds else math.inf
    report = progress.Progress(prepared.levels, end=end)
    report.say(
        progress.plan(
            prepared.levels,
            output=str(path),
            device=description,
            precision=precision,
            network=request.extractor,
            origin=prepared.network.origin,
            content_size=prepared.content.shape[:2],
            memory=memory.estimate(
                prepared.levels[-1].height,
                prepared.levels[-1].width,
                precision,
                small=prepared.network.projections is not None,
                pairs=request.history if request.optimizer == "lbfgs" else 0,
                style_scale=request.style_scale,
                sorts=request.style_loss == "sliced_wasserstein",
            ),
            max_seconds=request.max_seconds,
        )
    )
    if prepared.network.warning:
        report.say(f"warning   {prepared.network.warning}")
    if state:
        report.say(f"resume    level {state.level + 1}, step {state.steps + 1}")
    if request.dry_run:
        return 128 + signals.received if signals.received else DONE
    step, status = None, DONE
    steps = execution.job_steps(
        request, prepared, state, say=report.say, began=start
    )
    try:
        for count, step in enumerate(steps, start=1):
            report.update(step.level, step.index, step.evaluation.loss)
            if request.preview_every and count % request.preview_every == 0:
                _preview(path, execution.picture(step), report)
            if signals.received:
                status = 128 + signals.received
                break
        steps.close()
    except (tf.errors.ResourceExhaustedError, MemoryError):
        report.end_line()
        _complain(OUT_OF_MEMORY_ADVICE)
        status = OUT_OF_MEMORY
    except Exception as error:  # whatever it is, the picture so far is saved
        report.end_line()
        if not isinstance(error, FloatingPointError):
            traceback.print_exc()
        _complain(f"the run cannot go on: {error}")
        status = FAILED
    if step is None:
        return status or 128 + signals.received
    try:
        image = execution.picture(step)
    except FloatingPointError as error:
        _complain(str(error))
        return FAILED
    last = prepared.levels[-1]
    if image.shape[:2] != (last.height, last.width):
        report.say(
            f"stopped at {image.shape[1]} x {image.shape[0]}; the picture is "
            f"enlarged to {last.width} x {last.height}"
        )
        image = image_io.resize(image, last.height, last.width)
    try:
        saved = outputs.save_result(path, image, request.overwrite)
    except (OSError, ValueError) as error:
        return _complain(f"{path} cannot be written: {error}")
    terms = {k: float(v) for k, v in step.evaluation.terms.items()}
    seconds = time.monotonic() - start
    ending = "unfinished" if status else "done"
    report.say(
        progress.summary(
            str(saved),
            ending,
            seconds,
            terms,
            rescues=int(step.optimizer.rescues),
            taken_back=int(step.optimizer.failures) > 0,
        )
    )
    if saved.parent.resolve() != path.parent.resolve():
        return _complain(f"{path.parent} took no file; the picture is {saved}")
    return status


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


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keeps the banner of TensorFlow's libraries off the terminal.

    Some of its lines are written before any log level counts. If the import
    fails, what was kept is shown.
    """
    with contextlib.ExitStack() as stack:
        try:
            kept = stack.enter_context(tempfile.TemporaryFile())
            saved = os.dup(2)
        except OSError:  # no temporary folder, or no stderr
            yield
            return
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(saved, kept.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


if __name__ == "__main__":
    cli()
