"""A program and its terminal: streams, escaped text, Ctrl-C, exit status."""

import codecs
import contextlib
import faulthandler
import importlib
import io
import logging
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

from nst_tf import watcher

_FAILURES = range(2, 128)  # statuses; 1 is wrong input, from 129 on signals
# C0, DEL, C1, marks that change the direction of text, lone surrogates.
_CONTROLS = re.compile(
    "[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escape(text: str, paths: Sequence[str] = ()) -> str:
    r"""Escapes what could move a terminal's cursor or reorder a line.

    Escapes are written \uXXXX, so that JSON stays JSON with the same meaning.

    Args:
        text: One line of text; line breaks are escaped, too.
        paths: Parts of it that stay as they are.
    """
    parts = [text]
    if any(paths):
        pattern = "|".join(re.escape(path) for path in paths if path)
        parts = re.split(f"({pattern})", text)
    parts[::2] = [
        _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", part)
        for part in parts[::2]
    ]
    return "".join(parts)


def format_duration(seconds: float) -> str:
    """Writes seconds as people do."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def format_clock(seconds: float) -> str:
    """Writes seconds as h:mm:ss."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def run_program(module: str) -> None:
    """Runs a program on the command line, and exits with its status.

    A signal ends it as the system does, unless `main` enters a
    `watcher.Signals`.

    Args:
        module: Its module; `main` of it takes the arguments, without the
            program's name, and returns the exit status.
    """
    _fill_descriptors()
    watcher.start(clear_live)
    with _keep_stderr() as kept:
        try:
            # Each level is traced anew, which TensorFlow takes for a mistake.
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
            with watcher.at_once():
                program = importlib.import_module(module)
            status = program.main(sys.argv[1:])
        except Exception:
            print_traceback()
            status = 1
            _show(kept)
        else:
            if status in _FAILURES:
                _show(kept)
    clear_live()
    watcher.finish()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream:
                stream.flush()
        except OSError:  # nobody reads; Python would complain at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)


def _fill_descriptors() -> None:
    """Opens closed standard streams, whose numbers files would get."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # the lowest number is the next one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


class _Stderr(io.TextIOWrapper):
    """Standard error of a program: each line of text is escaped."""

    def write(self, text: str) -> int:
        """Writes text of one line or of several, above what is renewed."""
        escaped = "\n".join(map(escape, text.split("\n")))
        _display.write(escaped) if _display else self.write_raw(escaped)
        return len(text)

    def write_raw(self, text: str) -> int:
        """Writes text as it is."""
        return super().write(text)


@contextlib.contextmanager
def _keep_stderr() -> Iterator[BinaryIO | None]:
    """Makes standard error the program's own; libraries of C write to a file.

    Yields:
        The file; None if there is no place for one.
    """
    sys.stderr = _Stderr(
        io.BufferedWriter(io.FileIO(os.dup(2), "w")),
        encoding=getattr(sys.stderr, "encoding", "utf-8"),
        errors="backslashreplace",
        line_buffering=True,
    )
    faulthandler.enable(sys.stderr)  # words of a crash in C would be lost
    codecs.register_error("nst_tf", _encode_anything)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="nst_tf")
    with contextlib.ExitStack() as stack:
        kept = None
        with contextlib.suppress(OSError):
            kept = stack.enter_context(tempfile.TemporaryFile())
            os.dup2(kept.fileno(), 2)
        yield kept


def _encode_anything(error: UnicodeError) -> tuple[str | bytes, int]:
    """Writes bytes of a path that are no text as they are, all else escaped."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


def _show(kept: BinaryIO | None) -> None:
    """Prints what libraries of C wrote, after a failure."""
    if kept:
        kept.seek(0)
        text = kept.read().decode(errors="backslashreplace")
        print_note(*text.splitlines())


class Notes(logging.Handler):
    """Prints the package's records on standard error, a line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a note, or a warning."""
        is_note = record.levelno < logging.WARNING
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


def print_result(*lines: str, paths: Sequence[str] = ()) -> None:
    """Prints what a program was asked for on standard output.

    Args:
        *lines: Lines of text.
        paths: Parts of them that are written as they are, for scripts, unless
            they go to a terminal.

    Raises:
        OSError: In a sentence: if it cannot be written. That its reader has
            left is no error.
    """
    try:
        if sys.stdout:
            kept = () if sys.stdout.isatty() else paths
            text = "\n".join(escape(line, kept) for line in lines)
            print(text, flush=True)
    except BrokenPipeError:
        pass
    except OSError as error:
        raise OSError(
            f"standard output cannot be written: {error.strerror}."
        ) from error


def print_line(*lines: str, paths: Sequence[str] = ()) -> None:
    """Prints on standard output, as `print_result`, if somebody reads."""
    with contextlib.suppress(OSError):
        print_result(*lines, paths=paths)


def print_path(path: str, always: bool = False) -> None:
    """Prints the path of a finished picture on standard output, for scripts.

    Unless `always`, a terminal that shows the notes, too, has shown it.
    """
    streams = sys.stdout, sys.stderr
    if always or not all(stream and stream.isatty() for stream in streams):
        print_line(path, paths=[path])


def print_note(*lines: str) -> None:
    """Prints lines on standard error, if somebody reads; from any thread.

    They come out above the line of a display.
    """
    text = "".join(f"{escape(line)}\n" for line in lines)
    if _display:
        _display.write(text)
    elif sys.stderr:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


class Display(Protocol):
    """What renews a line of the terminal."""

    def write(self, text: str) -> None:
        """Writes escaped text above it."""

    def clear(self) -> None:
        """Erases it, for good."""


_display: Display | None = None


def set_display(display: Display | None) -> None:
    """Lets notes pass a display; None: there is none any more."""
    global _display
    _display = display


def clear_live() -> None:
    """Erases the line of the display, before the process ends.

    It is best effort, and waits for no other thread for long.
    """
    if _display:
        _display.clear()


def print_error(sentence: str) -> None:
    """Prints an error on standard error, in one line, without secrets."""
    from nst_tf import urls

    sentence = urls.hide_addresses(" ".join(sentence.split()))
    print_note(f"nst-tf: {sentence}")


def print_traceback() -> None:
    """Prints the exception that is being handled, on standard error."""
    print_note(*traceback.format_exc().splitlines())
