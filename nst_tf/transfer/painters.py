"""The painters of this process, which are lent to one run after the other.

Whoever paints many pictures, one by one, borrows a painter for each, and finds
the networks and the train steps of those before. Runs that overlap have a
painter each.
"""

import contextlib
import threading
from collections.abc import Iterator

import tensorflow as tf

from nst_tf.transfer import method

LARGEST = 512_000_000  # bytes that all which are not lent keep, at most

_lock = threading.Lock()
_idle: list[tuple[tf.distribute.Strategy | None, method.Painter]] = []


@contextlib.contextmanager
def borrow(
    strategy: tf.distribute.Strategy | None = None,
) -> Iterator[method.Painter]:
    """Lends a painter, the one that was given back last.

    Args:
        strategy: Of the devices that share a picture, as of a `Painter`.
    """
    painter = _take(strategy)
    try:
        yield painter
    finally:
        with _lock:
            _idle.append((strategy, painter))
            _forget()


def clear() -> None:
    """Forgets all painters that are not lent."""
    with _lock:
        _idle.clear()


def measure_size() -> int:
    """Returns about how many bytes are kept for further pictures."""
    return sum(painter.size for _, painter in _idle)


def _take(strategy: tf.distribute.Strategy | None) -> method.Painter:
    """Takes the newest painter of a strategy, or makes one."""
    with _lock:
        for index in reversed(range(len(_idle))):
            if _idle[index][0] is strategy:
                return _idle.pop(index)[1]
    return method.Painter(strategy)


def _forget() -> None:
    """Drops what was not used for longest, until the rest is small enough."""
    while _idle and measure_size() > LARGEST:
        if not _idle[0][1].forget():
            del _idle[0]
