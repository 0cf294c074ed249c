"""Shows progress: a live line on a terminal, plain lines, JSON.

A thread draws the live line, so that it moves while TensorFlow loads and
compiles. The cursor stays at its first column: if a narrower terminal wraps the
line, the rest is below the cursor, and the next frame erases it.
"""

import contextlib
import io
import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from nst_tf import terminal

MODES = ("auto", "plain", "json", "none")
LIVE_SECONDS = 0.1  # interval of frames, half the interval of losses
PLAIN_SECONDS = 10.0  # interval of lines without a terminal
LONGEST_LINE = 100  # cells
SHORTEST_LINE = 9  # cells, of a bar and the spaces beside it
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_ASCII_FRAMES = "|/-\\"
_ERASE = "\r\033[J"  # to the end of the screen
# The terminal may have become narrower since it was measured.
_NO_WRAP, _WRAP = "\033[?7l", "\033[?7h"


class Estimate(Protocol):
    """An estimate of progress that can be read at any time, in any thread."""

    def share(self, now: float) -> float | None:
        """Returns the elapsed share of the time, in [0, 1]; None: unknown."""

    def remaining(self, now: float) -> float:
        """Returns the seconds left."""


class Status(NamedTuple):
    """The contents of a display; each change replaces all of it."""

    label: str = "starting"  # a stage, or the level: "256 x 192 (2 of 3)"
    estimate: Estimate | None = None
    loss: float | None = None
    facts: Mapping[str, int] = {}  # of the step, such as {"step": 21}
    short: str = ""  # a shorter label, "2 of 3"


class Display:
    """Base class of displays; shows nothing, and writes notes unchanged.

    Attributes:
        interval: Interval at which to read losses, in seconds.
        status: The current status.
    """

    interval = PLAIN_SECONDS

    def __init__(self) -> None:
        self.status = Status()

    def show(self, status: Status, is_milestone: bool = False) -> None:
        """Sets the status; shows milestones, such as a level's end, at once."""
        self.status = status

    def write(self, text: str) -> None:
        """Writes escaped text from other code."""
        _write(text)

    def start(self) -> None:
        """Starts the display."""

    def clear(self) -> None:
        """Erases the live line."""

    def close(self) -> None:
        """Ends the display."""


class _Ticking(Display):
    """A display with a thread that calls `draw` at intervals."""

    tick = LIVE_SECONDS  # interval of its thread

    def __init__(self) -> None:
        super().__init__()
        self.began = time.monotonic()
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="nst_tf display", daemon=True
        )

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def draw(self, now: float) -> None:
        """Draws the display if its interval has passed."""

    def close(self) -> None:
        """Ends the thread, and erases the live line."""
        self._ended.set()
        if self._thread.ident:
            self._thread.join(1.0)
        self.clear()

    def _run(self) -> None:
        while not self._ended.wait(self.tick):
            self.draw(time.monotonic())


class Live(_Ticking):
    """One line at the end of a terminal."""

    interval = 5 * LIVE_SECONDS

    def __init__(self) -> None:
        super().__init__()
        self._line = ""
        self._in_text = False  # whether other text ended without a newline
        self._painter: _Painter | None = None

    def start(self) -> None:
        """Draws the first frame without importing rich."""
        self._line = self.status.label
        _write(f"{self._line}\r")
        super().start()

    def draw(self, now: float) -> None:
        """Redraws the line at the current width of the terminal."""
        line = self._format(now)
        with self._lock:
            if self._in_text or self._ended.is_set():
                return
            self._line = f"{_NO_WRAP}{line}{_WRAP}"
            _write(f"\r{self._line}\033[J\r")

    def write(self, text: str) -> None:
        """Writes text from other code above the line."""
        with self._lock:
            before = "" if self._in_text else _ERASE
            self._in_text = not text.endswith("\n")
            after = "" if self._in_text or not self._line else f"{self._line}\r"
            _write(f"{before}{text}{after}")

    def clear(self) -> None:
        """Erases the line permanently, without waiting for a stuck terminal."""
        self._ended.set()
        is_mine = self._lock.acquire(timeout=0.2)
        if self._line:
            _write(_ERASE)
        self._line = ""
        if is_mine:
            self._lock.release()

    def _format(self, now: float) -> str:
        """Formats the status, a column narrower than the terminal."""
        width = max(1, _measure_columns() - 1)
        from rich import cells

        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        # In the thread: to import rich takes 0.1 s.
        self._painter = self._painter or _Painter(encoding)
        label, estimate, loss, _, short = self.status
        elapsed = terminal.format_clock(now - self.began)
        share = estimate.share(now) if estimate else None
        if estimate is None or share is None:
            frames = _FRAMES if self._painter.is_unicode else _ASCII_FRAMES
            frame = frames[int((now - self.began) / LIVE_SECONDS) % len(frames)]
            return self._painter.paint([f"{frame} {label}", elapsed], width)
        left = terminal.format_clock(estimate.remaining(now))
        words = f"{100 * share:3.0f}%  {elapsed} < {left}"
        share = (int(2 * LONGEST_LINE * share) + 1) / LONGEST_LINE / 2
        more = words if loss is None else f"{words}  loss {loss:.3g}"
        for head, tail in ((label, more), (short, more), (short, words)):
            if cells.cell_len(head + tail) + SHORTEST_LINE <= width:
                return self._painter.paint([head, share, tail], width)
        return self._painter.paint([words], width)


class _Painter:
    """Formats columns of a line by rich, in the terminal's colors."""

    def __init__(self, encoding: str):
        from rich import console

        self.is_unicode = encoding.lower().startswith("utf")
        self._encoding = encoding
        self._console = console.Console(
            file=io.TextIOWrapper(io.BytesIO(), encoding=encoding),
            force_terminal=True,  # even without FORCE_COLOR
            force_jupyter=False,
            legacy_windows=False,
        )
        self._last: tuple[object, str] = None, ""  # columns and width; a line

    def paint(self, columns: Sequence[str | float], width: int) -> str:
        """Formats columns: text, cut to fit, or a share as a bar."""
        if self._last[0] == (columns, width):  # rich takes 0.5 ms
            return self._last[1]
        from rich import progress_bar, table, text

        grid = table.Table.grid(padding=(0, 2), expand=True)
        cells: list[text.Text | progress_bar.ProgressBar] = []
        for column in filter(None, columns):  # a share is above 0
            if isinstance(column, float):
                grid.add_column(ratio=1)
                cells.append(progress_bar.ProgressBar(1.0, column))
                continue
            grid.add_column(
                no_wrap=True,
                overflow="ellipsis" if self.is_unicode else "crop",
                justify="right" if cells else "left",
            )
            # A str would be markup. Unencodable characters are escaped.
            words = terminal.escape(str(column))
            data = words.encode(self._encoding, "backslashreplace")
            cells.append(text.Text(data.decode(self._encoding)))
        grid.add_row(*cells)
        self._console.width = min(width, LONGEST_LINE)
        with self._console.capture() as capture:
            self._console.print(grid, no_wrap=True, end="")
        self._last = (columns, width), capture.get().rstrip("\n")
        return self._last[1]


class Plain(_Ticking):
    """A line every 10 seconds, without a terminal."""

    tick = 1.0

    def __init__(self) -> None:
        super().__init__()
        self._written = self.began

    def show(self, status: Status, is_milestone: bool = False) -> None:
        """Writes a line, if the last one is old."""
        super().show(status)
        now = time.monotonic()
        if is_milestone or now - self._written >= PLAIN_SECONDS:
            self._write_line(now)

    def draw(self, now: float) -> None:
        """Writes a line if no step has written one in time."""
        if now - self._written > PLAIN_SECONDS + self.tick:
            self._write_line(now)

    def _write_line(self, now: float) -> None:
        self._written = now
        line = describe(self.status, now, now - self.began)
        self.write(f"{terminal.escape(line)}\n")


class Json(_Ticking):
    """Lines of JSON, for other programs; docs/progress.md has the fields."""

    interval = tick = 0.5

    def __init__(self) -> None:
        super().__init__()
        self._shown: Status | None = None
        self._text = ""

    def show(self, status: Status, is_milestone: bool = False) -> None:
        """Writes a line immediately if a new stage begins."""
        begins = status.label != self.status.label
        super().show(status)
        if begins or is_milestone:
            self.draw(time.monotonic())

    def draw(self, now: float) -> None:
        """Writes a line."""
        label, estimate, loss, facts, _ = self.status
        share = estimate.share(now) if estimate else None
        percent = remaining = None
        if estimate and share is not None:
            percent = round(100 * share, 1)
            remaining = round(estimate.remaining(now), 1)
        line = {
            "seconds": round(now - self.began, 2),
            "stage": label,
            "percent": percent,
            "remaining": remaining,
            "loss": loss,
            **facts,
        }
        with self._lock:
            if not self._ended.is_set():
                _write(f"{json.dumps(line)}\n")

    def write(self, text: str) -> None:
        """Writes lines from other code as {"message": line}."""
        with self._lock:
            *lines, self._text = f"{self._text}{text}".split("\n")
            for line in lines:
                _write(f"{json.dumps({'message': line})}\n")


KINDS = {"live": Live, "plain": Plain, "json": Json, "none": Display}


def describe(status: Status, now: float, elapsed: float) -> str:
    """Formats a status as a line of text."""
    label, estimate, loss, facts, _ = status
    share = estimate.share(now) if estimate else None
    parts = [label if share is None else f"{100 * share:.0f}%  {label}"]
    if "step" in facts:
        parts.append(f"step {facts['step']}/{facts['steps']}")
    if loss is not None:
        parts.append(f"loss {loss:.4g}")
    if estimate is None or share is None:
        parts.append(f"{terminal.format_duration(elapsed)} so far")
    else:
        left = terminal.format_duration(estimate.remaining(now))
        parts.append(f"about {left} left")
    return ", ".join(parts)


def is_live() -> bool:
    """Returns whether standard error is a terminal that can redraw a line."""
    stream, kind = sys.stderr, os.environ.get("TERM", "")
    if not stream or not stream.isatty() or kind in ("dumb", "unknown"):
        return False
    if sys.platform == "win32":
        from rich import console

        return not console.detect_legacy_windows()
    return True


def _measure_columns() -> int:
    """Measures the terminal's width; the variable COLUMNS may be outdated."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80


def _write(text: str) -> None:
    """Writes text unchanged to standard error; ignores closed streams."""
    stream = sys.stderr
    if stream:
        with contextlib.suppress(OSError, ValueError):
            getattr(stream, "write_raw", stream.write)(text)
            stream.flush()
