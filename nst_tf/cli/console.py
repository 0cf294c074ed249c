"""Prints the final messages of the program, and chooses its exit status."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nst_tf import display, terminal, watcher
from nst_tf.backend import device, replicas
from nst_tf.plan import checks, settings
from nst_tf.runs import progress, standard_output

log = logging.getLogger("nst_tf")

DONE, WRONG_INPUT, OUT_OF_MEMORY, FAILED = 0, 1, 3, 4
# After a signal the status is 128 + its number: 129, 130, 143 or 149.
OUT_OF_MEMORY_ADVICE = (
    "out of memory; reduce --size, or use smaller tiles with --memory, in GB."
)


def print_error(sentence: str) -> int:
    """Prints an error in one line, and returns its exit status."""
    terminal.print_error(sentence)
    return WRONG_INPUT


class Session:
    """The run of a program.

    Attributes:
        signals: What stops it.
        is_valid: Whether its input was found valid; a later error is a bug.
    """

    def __init__(self) -> None:
        self.signals = watcher.Signals(terminal.print_note)
        self.is_valid = False
        self._shown = contextlib.ExitStack()

    def run(self, work: "Callable[[Session], int]") -> int:
        """Runs the work; prints its notes and an error.

        Args:
            work: Does the work of the program, and returns the exit status.

        Returns:
            The exit status; `WRONG_INPUT` and `OUT_OF_MEMORY` after errors.
        """
        with self._shown as shown:  # until after errors
            shown.callback(display.close)
            try:
                with self.signals, terminal.print_notes():
                    return work(self)
            except (ValueError, OSError) as error:
                if self.is_valid:  # a bug: show the traceback
                    raise
                return print_error(str(error))
            except MemoryError as error:
                print_error(str(error) or OUT_OF_MEMORY_ADVICE)
                return OUT_OF_MEMORY

    def show(self, job: settings.Job, notes: Sequence[str]) -> None:
        """Shows progress and notes until the end, as in `show`."""
        self._shown.enter_context(show(job))
        for note in notes:
            log.info(note)


@contextlib.contextmanager
def show(job: settings.Job) -> Iterator[None]:
    """Shows progress and notes, as the job's settings ask for.

    Raises:
        ValueError: If the job's progress mode is unknown.
    """
    checks.check_field(settings.FIELDS["progress"], job.progress)
    if job.quiet:
        log.setLevel(logging.WARNING)
    hidden = job.quiet or not replicas.is_writer()
    with display.use("none" if hidden else job.progress):
        yield


class Saved(NamedTuple):
    """A picture that was saved."""

    path: Path
    size: tuple[int, int]  # (height, width)
    seconds: float  # time of the run
    status: int  # exit status so far


def report_saved(path: Path, picture: Saved, quiet: bool) -> int:
    """Prints the path of a picture, with an error if it is a fallback path.

    Args:
        path: The requested path.
        picture: The picture.
        quiet: Whether to print nothing but the path.

    Returns:
        The exit status; `WRONG_INPUT` for a fallback path.
    """
    saved, size, seconds, status = picture
    if not quiet:
        line = progress.describe_saved(saved, size, seconds, status == DONE)
        terminal.print_note(line)
    if saved != standard_output.PATH:
        terminal.print_path(str(saved), quiet)
    if path == standard_output.PATH != saved:
        return print_error(
            f"standard output could not be written; the picture is {saved}"
        )
    if saved.parent.resolve() != path.parent.resolve():
        return print_error(
            f"{path.parent} could not be written; the picture is {saved}"
        )
    return status


def name_status(status: int) -> str:
    """Returns the name of an exit status in the log."""
    if status > 128:
        return "stopped"
    return {DONE: "done", OUT_OF_MEMORY: "out_of_memory"}.get(status, "failed")


def report_failure(error: Exception) -> int:
    """Prints why a run failed, and returns the exit status."""
    if device.is_out_of_memory(error):
        print_error(OUT_OF_MEMORY_ADVICE)
        return OUT_OF_MEMORY
    if not isinstance(error, (FloatingPointError, BlockingIOError)):
        terminal.print_traceback()
    print_error(f"the run failed: {error}")
    return FAILED
