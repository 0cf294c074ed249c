"""Keeps the current display, to which any code reports its progress.

A program opens a display with `use`. Any part of the package, in any thread,
reports its work with `show_stage`; without an open display, as in a library,
nothing is shown. `runs/progress` reports the steps of a run.

Notes and all other text on standard error appear above the live line.
`terminal.clear_live` erases the line before the process ends.
"""

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from nst_tf import screens, terminal

_CHOICES = {"q", "quiet", "progress"}  # flags that may disable the live line


class _Amount:
    """The progress of a download."""

    def __init__(self, done: int, total: int, began: float):
        self._done, self._total, self._began = done, total, began
        self._now = time.monotonic()

    def share(self, now: float) -> float | None:
        """Returns the downloaded share, in [0, 1]; None: unknown total."""
        return min(1.0, self._done / self._total) if self._total else None

    def remaining(self, now: float) -> float:
        """Returns the estimated seconds left."""
        left = max(0, self._total - self._done)
        return (self._now - self._began) * left / max(self._done, 1)


_current: screens.Display | None = None


def start(arguments: Sequence[str]) -> None:
    """Opens the live display of a program, before NumPy is imported.

    It does nothing if arguments choose a display. `use` applies the choice of a
    flag file.
    """
    names = {
        each.lstrip("-").partition("=")[0]
        for each in arguments
        if each.startswith("-")
    }
    if (
        names.isdisjoint(_CHOICES)
        and sys.platform != "win32"
        and screens.is_live()
    ):
        _open(screens.Live())


@contextlib.contextmanager
def use(display: screens.Display | str) -> Iterator[screens.Display]:
    """Opens a display instead of the current one, and closes it at the end.

    Args:
        display: One of `screens.MODES`, or another display. "auto" is a live
            line on a terminal, and plain lines elsewhere.
    """
    if isinstance(display, str):
        display = _make(display)
    if display is not _current:
        close()
        _open(display)
    try:
        yield display
    finally:
        close()


def close() -> None:
    """Closes the current display, if any."""
    global _current
    display, _current = _current, None
    if display:
        display.close()
        terminal.set_display(None)


def show_stage(label: str) -> None:
    """Shows the current work, such as "loading TensorFlow"."""
    if _current:
        estimate = _current.status.estimate
        if isinstance(estimate, _Amount):
            estimate = None
        _current.show(screens.Status(label, estimate))


def follow_download(name: str) -> Callable[[int, int], None]:
    """Shows the progress of a download.

    Returns:
        A function to call with the received and the total bytes, or 0 if the
        total is unknown.
    """
    label, began = f"downloading {name}", time.monotonic()
    show_stage(label)

    def report(done: int, total: int) -> None:
        if _current:
            amount = _Amount(done, total, began)
            _current.show(screens.Status(label, amount))

    return report


def show_status(status: screens.Status, is_milestone: bool = False) -> None:
    """Shows the progress of a run; stages keep its estimate."""
    if _current:
        _current.show(status, is_milestone)


def get_interval() -> float:
    """Returns the interval, in seconds, at which to read losses."""
    return _current.interval if _current else math.inf


def _make(mode: str) -> screens.Display:
    """Makes the display of a mode; keeps a live one that is already open."""
    if mode == "auto":
        mode = "live" if screens.is_live() else "plain"
    if mode == "live" and isinstance(_current, screens.Live):
        return _current
    return screens.KINDS[mode]()


def _open(display: screens.Display) -> None:
    """Makes a display the current one, and starts it."""
    global _current
    _current = display
    terminal.set_display(display)
    display.start()
