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


@contextlib.contextmanager
def show_records(
    write: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Shows what the library logs meanwhile: notes and trouble, a line each.

    Args:
        write: Takes each line; None: `print_note`.
    """
    logger, handler = logging.getLogger("nst_tf"), _Lines(write or print_note)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class _Lines(logging.Handler):
    """Gives the text of each record to a function."""

    def __init__(self, write: Callable[[str], None]):
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(record.getMessage())


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
