"""A program and its terminal: whole names, readers that leave, exit status."""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence


def run_program(main: Callable[[Sequence[str]], int]) -> None:
    """Runs a program on the command line, and exits with its status.

    Args:
        main: Takes the arguments, without the program's name, and returns the
            exit status.
    """
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


class Notes(logging.Handler):
    """Prints the package's records on standard error, a line each.

    Attributes:
        clear: Clears the line of the terminal that is being renewed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clear: Callable[[], None] = lambda: None

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a note, or a warning."""
        is_note = record.levelno < logging.WARNING
        self.clear()
        print_note(
            f"{'note' if is_note else 'warning':10}{record.getMessage()}"
        )


@contextlib.contextmanager
def print_notes() -> Iterator[Notes]:
    """Prints notes and warnings of the package while a program runs."""
    log, notes = logging.getLogger("nst_tf"), Notes()
    before = log.level, log.propagate
    log.addHandler(notes)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield notes
    finally:
        log.removeHandler(notes)
        log.level, log.propagate = before


def print_line(text: str) -> None:
    """Prints, if somebody reads."""
    with contextlib.suppress(OSError):
        if sys.stdout:
            print(text, flush=True)


def print_note(text: str) -> None:
    """Prints on standard error, if somebody reads."""
    with contextlib.suppress(OSError):
        if sys.stderr:
            print(text, file=sys.stderr, flush=True)


def print_error(sentence: str) -> None:
    """Prints an error on standard error, in one line."""
    print_note(f"nst-tf: {' '.join(sentence.split())}")
