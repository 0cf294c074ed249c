"""What the program says where it ends, and the status that it ends with."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nst_tf import display, terminal
from nst_tf.backend import device, replicas
from nst_tf.plan import checks, settings
from nst_tf.runs import progress, standard_output

log = logging.getLogger("nst_tf")

DONE, WRONG_INPUT, OUT_OF_MEMORY, FAILED = 0, 1, 3, 4
# Stopped by a signal: 128 + its number, as shells count: 129, 130 and 143.
OUT_OF_MEMORY_ADVICE = (
    "out of memory; make a smaller picture with --size, or smaller tiles with "
    "--memory, in GB."
)


def print_error(sentence: str) -> int:
    """Prints an error, in one line, and returns its status."""
    terminal.print_error(sentence)
    return WRONG_INPUT


@contextlib.contextmanager
def show(job: settings.Job) -> Iterator[None]:
    """Shows of a job what it asks for: how far it is, and its notes.

    Raises:
        ValueError: If there is no such progress.
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
    seconds: float  # that it took
    status: int  # of the exit, so far


def report_saved(path: Path, picture: Saved, quiet: bool) -> int:
    """Says where a picture is, and that it is not where it should be.

    Args:
        path: Where it should be.
        picture: The picture.
        quiet: Whether its path is all that is printed.

    Returns:
        The exit status; if the picture is elsewhere, that of wrong input.
    """
    saved, size, seconds, status = picture
    if not quiet:
        line = progress.describe_saved(saved, size, seconds, status == DONE)
        terminal.print_note(line)
    if saved != standard_output.PATH:
        terminal.print_path(str(saved), quiet)
    if path == standard_output.PATH != saved:
        return print_error(f"standard output took no picture; it is {saved}")
    if saved.parent.resolve() != path.parent.resolve():
        return print_error(
            f"{path.parent} took no file; the picture is {saved}"
        )
    return status


def name_status(status: int) -> str:
    """Names an exit status, for the log."""
    if status > 128:
        return "stopped"
    return {DONE: "done", OUT_OF_MEMORY: "out_of_memory"}.get(status, "failed")


def report_failure(error: Exception) -> int:
    """Says why a run cannot go on, and returns the exit status."""
    if device.is_out_of_memory(error):
        print_error(OUT_OF_MEMORY_ADVICE)
        return OUT_OF_MEMORY
    if not isinstance(error, (FloatingPointError, BlockingIOError)):
        terminal.print_traceback()
    print_error(f"the run cannot go on: {error}")
    return FAILED
