"""Runs a program on a terminal: streams, escaped text, exit status."""

import codecs
import contextlib
import errno
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
from typing import IO, Protocol

from nst_tf import watcher

# Exit statuses; 1 is invalid input, 129 and up are signals.
_FAILURES = range(2, 128)
# C0, DEL, C1, bidirectional marks, lone surrogates.
_CONTROLS = re.compile(
    "[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escape(text: str, paths: Sequence[str] = ()) -> str:
    r"""Escapes characters that could move a terminal's cursor or reorder text.

    Escapes are written \uXXXX, so that JSON stays JSON with the same meaning.

    Args:
        text: One line of text; line breaks are escaped, too.
        paths: Parts of it that are not escaped.
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
    """Formats a duration in s, min or h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def format_clock(seconds: float) -> str:
    """Formats a duration as h:mm:ss."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def run_program(module: str) -> None:
    """Runs a program on the command line, and exits with its status.

    A signal kills the process in the system's default way, unless `main` enters
    a `watcher.Signals`.

    Args:
        module: Its module, whose `main` takes the arguments, without the
            program's name, and returns the exit status.
    """
    _fill_descriptors()
    watcher.start(clear_live)
    with _keep_stderr() as kept:
        try:
            # TensorFlow warns of retracing, which each level needs.
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
        except OSError:  # closed by the reader; avoid Python's message at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(status)


def _fill_descriptors() -> None:
    """Opens closed standard streams, so that no file gets their descriptors."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # open uses the lowest free number
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


class _Stderr(io.TextIOWrapper):
    """Standard error of a program, which escapes each line of text."""

    def write(self, text: str) -> int:
        """Writes escaped text above the live line."""
        escaped = "\n".join(map(escape, text.split("\n")))
        _display.write(escaped) if _display else self.write_raw(escaped)
        return len(text)

    def write_raw(self, text: str) -> int:
        """Writes text unchanged."""
        return super().write(text)


@contextlib.contextmanager
def _keep_stderr() -> Iterator[IO[bytes] | None]:
    """Redirects the output of C libraries on standard error to a file.

    Yields:
        The file; None if it cannot be created.
    """
    sys.stderr = _Stderr(
        # Not io.FileIO, which garbles text in a console of Windows.
        open(os.dup(2), "wb"),  # noqa: SIM115
        encoding=getattr(sys.stderr, "encoding", "utf-8"),
        errors="backslashreplace",
        line_buffering=True,
    )
    faulthandler.enable(sys.stderr)  # or messages of a crash in C are lost
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
    """Encodes undecodable bytes of a path unchanged, and escapes the rest."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


def _show(kept: IO[bytes] | None) -> None:
    """Prints the output of C libraries, after a failure."""
    if kept:
        kept.seek(0)
        text = kept.read().decode(errors="backslashreplace")
        print_note(*text.splitlines())


class Notes(logging.Handler):
    """Prints the package's log records on standard error, one per line."""

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
    """Prints the requested output of a program on standard output.

    Args:
        *lines: Lines of text.
        paths: Parts of them that are not escaped, for scripts; on a terminal
            they are.

    Raises:
        OSError: If it cannot be written. A closed pipe is not an error.
    """
    try:
        if sys.stdout:
            kept = () if sys.stdout.isatty() else paths
            text = "\n".join(escape(line, kept) for line in lines)
            print(text, flush=True)
    except BrokenPipeError:
        pass
    except OSError as error:
        if sys.platform == "win32" and error.errno == errno.EINVAL:
            return  # a closed pipe there
        raise OSError(
            f"standard output cannot be written: {error.strerror}; free space "
            "there, or redirect it."
        ) from error


def print_line(*lines: str, paths: Sequence[str] = ()) -> None:
    """Prints lines as `print_result` does, and ignores errors."""
    with contextlib.suppress(OSError):
        print_result(*lines, paths=paths)


def print_path(path: str, always: bool = False) -> None:
    """Prints the path of a finished picture on standard output, for scripts.

    Unless `always`, nothing is printed on a terminal that already shows the
    path in a note.
    """
    streams = sys.stdout, sys.stderr
    if always or not all(stream and stream.isatty() for stream in streams):
        print_line(path, paths=[path])


def print_note(*lines: str) -> None:
    """Prints lines on standard error, from any thread; ignores errors.

    They appear above the live line of a display.
    """
    text = "".join(f"{escape(line)}\n" for line in lines)
    if _display:
        _display.write(text)
    elif sys.stderr:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


class Display(Protocol):
    """A display with a live line on the terminal."""

    def write(self, text: str) -> None:
        """Writes escaped text above the line."""

    def clear(self) -> None:
        """Erases the line permanently."""


_display: Display | None = None


def set_display(display: Display | None) -> None:
    """Sets the display that notes are written through; None: no display."""
    global _display
    _display = display


def clear_live() -> None:
    """Erases the live line before the process ends.

    It is best effort, and does not wait long for other threads.
    """
    if _display:
        _display.clear()


def print_error(sentence: str) -> None:
    """Prints an error on standard error, in one line, without secrets."""
    from nst_tf import urls

    sentence = urls.hide_addresses(" ".join(sentence.split()))
    print_note(f"nst-tf: {sentence}")


def print_traceback() -> None:
    """Prints the current exception on standard error."""
    print_note(*traceback.format_exc().splitlines())
