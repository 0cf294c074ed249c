"""A pool of painters, shared by the runs of this process.

Each run borrows a painter from the pool, with the networks and the train steps
of earlier runs. Concurrent runs use different painters.
"""

import contextlib
import threading
from collections.abc import Iterator

import tensorflow as tf

from nst_tf.transfer import method

LARGEST = 512_000_000  # limit of the size of the idle painters, in bytes

_lock = threading.Lock()
_idle: list[tuple[tf.distribute.Strategy | None, method.Painter]] = []


@contextlib.contextmanager
def borrow(
    strategy: tf.distribute.Strategy | None = None,
) -> Iterator[method.Painter]:
    """Borrows a painter: the one returned last, or a new one.

    Args:
        strategy: The strategy of the painter, as for `Painter`.
    """
    painter = _take(strategy)
    try:
        yield painter
    finally:
        with _lock:
            _idle.append((strategy, painter))
            _forget()


def clear() -> None:
    """Removes all idle painters from the pool."""
    with _lock:
        _idle.clear()


def measure_size() -> int:
    """Returns the approximate size of the idle painters, in bytes."""
    return sum(painter.size for _, painter in _idle)


def _take(strategy: tf.distribute.Strategy | None) -> method.Painter:
    """Takes the idle painter that was returned last, or makes one."""
    with _lock:
        for index in reversed(range(len(_idle))):
            if _idle[index][0] is strategy:
                return _idle.pop(index)[1]
    return method.Painter(strategy)


def _forget() -> None:
    """Drops the least recently used networks until the rest fits."""
    while _idle and measure_size() > LARGEST:
        if not _idle[0][1].forget():
            del _idle[0]
