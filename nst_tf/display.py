"""What a program is doing now, for people who wait.

A program opens a display by `use`. Any part of the package, in any thread, says
what it does by `show_stage`; where no display is open, as in a
library, nothing is shown. `runs/progress` shows how far a run is.

Notes of others go above the line that is renewed: `terminal.print_note`, and
all else that is written to a program's standard error. `terminal.clear_live`
erases the line, for whoever ends the process.
"""

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence

from nst_tf import screens, terminal

_CHOICES = {"q", "quiet", "progress"}  # flags that may want no live line


class _Amount:
    """A share of the bytes of a download."""

    def __init__(self, done: int, total: int, began: float):
        self._done, self._total, self._began = done, total, began
        self._now = time.monotonic()

    def share(self, now: float) -> float | None:
        """Returns what is done, in [0, 1]; None if the whole is not known."""
        return min(1.0, self._done / self._total) if self._total else None

    def remaining(self, now: float) -> float:
        """Returns the seconds left, at the speed so far."""
        left = max(0, self._total - self._done)
        return (self._now - self._began) * left / max(self._done, 1)


_current: screens.Display | None = None


def start(arguments: Sequence[str]) -> None:
    """Opens the display of a program that works, before NumPy is imported.

    Not where arguments choose a display; what flag files choose is left to
    `use`.
    """
    names = {
        each.lstrip("-").partition("=")[0]
        for each in arguments
        if each.startswith("-")
    }
    if names.isdisjoint(_CHOICES) and os.name != "nt" and screens.is_live():
        _open(screens.Live())


@contextlib.contextmanager
def use(display: screens.Display | str) -> Iterator[screens.Display]:
    """Opens a display, in the place of another one; closes it at the end.

    Args:
        display: One of `screens.MODES`, or a display of another kind. "auto" is
            a live line on a terminal, and plain lines elsewhere.
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
    """Closes the display, if there is one."""
    global _current
    display, _current = _current, None
    if display:
        display.close()
        terminal.set_display(None)


def show_stage(label: str) -> None:
    """Shows what is done now, such as "loading TensorFlow"."""
    if _current:
        estimate = _current.status.estimate
        if isinstance(estimate, _Amount):
            estimate = None
        _current.show(screens.Status(label, estimate))


def follow_download(name: str) -> Callable[[int, int], None]:
    """Shows that a file is downloaded, and how much of it.

    Returns:
        What is to be called with the bytes that have come, and with those that
        there are, or 0.
    """
    label, began = f"downloading {name}", time.monotonic()
    show_stage(label)

    def report(done: int, total: int) -> None:
        if _current:
            amount = _Amount(done, total, began)
            _current.show(screens.Status(label, amount))

    return report


def show_status(status: screens.Status, is_milestone: bool = False) -> None:
    """Shows how far a run is; stages keep its estimate, until it is None."""
    if _current:
        _current.show(status, is_milestone)


def get_interval() -> float:
    """Returns the seconds between two losses that are worth being read."""
    return _current.interval if _current else math.inf


def _make(mode: str) -> screens.Display:
    """Makes the display of a mode; a live one goes on, once it has begun."""
    if mode == "auto":
        mode = "live" if screens.is_live() else "plain"
    if mode == "live" and isinstance(_current, screens.Live):
        return _current
    return screens.KINDS[mode]()


def _open(display: screens.Display) -> None:
    """Makes a display the one that is shown."""
    global _current
    _current = display
    terminal.set_display(display)
    display.start()
