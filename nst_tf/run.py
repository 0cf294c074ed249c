"""The program: python -m nst_tf.run --flagfile=configs/starry.cfg."""

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import nst_tf
from nst_tf import (
    device,
    execution,
    flagdefs,
    image_io,
    job,
    outputs,
    progress,
)

DONE, WRONG_INPUT, OUT_OF_MEMORY = 0, 1, 3
# Stopped by a signal: 128 + its number, as shells count: 130 and 143.


def cli() -> None:
    """The console script nst-tf."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Makes the picture that the arguments ask for.

    Args:
        arguments: The command line, without the program's name.

    Returns:
        The exit status: 0 done; 1 wrong input; 3 out of memory; 130 and 143
        stopped by SIGINT and SIGTERM, with the picture so far saved.
    """
    if {"--help", "-h", "-help", "--helpfull", "--helpshort"} & set(arguments):
        print(flagdefs.usage())
        return DONE
    if "--version" in arguments:
        print(f"nst-tf {nst_tf.__version__}")
        return DONE
    start = time.monotonic()
    try:
        request = flagdefs.parse(arguments)
        path, inputs = execution.prepare_files(request, print)
    except (ValueError, OSError) as error:
        print(f"nst-tf: {error}", file=sys.stderr)
        return WRONG_INPUT
    except MemoryError:
        return _out_of_memory()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    with _Signals() as signals:
        return _paint(request, path, inputs, signals, start)


def _paint(
    request: job.Job,
    path: Path,
    inputs: execution.Inputs,
    signals: "_Signals",
    start: float,
) -> int:
    """Runs a prepared job, and reports it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _silent_stderr():
        import tensorflow as tf

        description = device.describe()
        precision = device.resolve_precision(request.precision)
    report = progress.Progress(inputs.levels)
    report.say(
        progress.plan(
            inputs.levels,
            output=str(path),
            device=description,
            precision=precision,
            network=request.extractor,
            origin=inputs.network.origin,
            content_size=inputs.content.shape[:2],
        )
    )
    if request.dry_run:
        return DONE
    step = None
    steps = execution.job_steps(request, inputs)
    count = 0
    try:
        for step in steps:
            count += 1
            report.update(step.level, step.index, step.evaluation.loss)
            if request.preview_every and count % request.preview_every == 0:
                _preview(path, step.image.numpy()[0], report)
            if signals.received:
                break
        image = None if step is None else step.image.numpy()[0]
    except (tf.errors.ResourceExhaustedError, MemoryError):
        return _out_of_memory()
    if step is None or image is None:
        return 128 + signals.received
    last = inputs.levels[-1]
    if image.shape[:2] != (last.height, last.width):
        report.say(
            f"stopped at {image.shape[1]} x {image.shape[0]}; the picture is "
            f"enlarged to {last.width} x {last.height}"
        )
        image = image_io.resize(image, last.height, last.width)
    try:
        saved = outputs.save_result(path, image, request.overwrite)
    except OSError as error:
        print(f"nst-tf: {path} cannot be written: {error}", file=sys.stderr)
        return WRONG_INPUT
    terms = {k: float(v) for k, v in step.evaluation.terms.items()}
    report.say(progress.summary(str(saved), time.monotonic() - start, terms))
    return 128 + signals.received if signals.received else DONE


def _preview(path: Path, image, report: progress.Progress) -> None:  # type: ignore[no-untyped-def]
    """Writes a preview; a run does not end for want of one."""
    try:
        image_io.save_image(outputs.preview_path(path), image)
    except OSError as error:
        report.say(f"preview {outputs.preview_path(path)} failed: {error}")


def _out_of_memory() -> int:
    """Says what to do when memory ran out."""
    print(
        "nst-tf: out of memory; make a smaller picture with --size, or use "
        "--precision=bfloat16.",
        file=sys.stderr,
    )
    return OUT_OF_MEMORY


class _Signals:
    """Remembers SIGINT and SIGTERM, so that a run ends after its step.

    A second signal ends the program at once, as it would without this.
    """

    def __init__(self) -> None:
        self.received = 0

    def __enter__(self) -> "_Signals":
        self._before = {
            number: signal.signal(number, self._receive)
            for number in (signal.SIGINT, signal.SIGTERM)
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


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keeps the banner of TensorFlow's libraries off the terminal.

    Some of its lines are written before any log level counts. If the import
    fails, what was kept is shown.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as kept:
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
