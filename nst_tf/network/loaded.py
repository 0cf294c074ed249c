"""Weights that were read before, shared as long as somebody has them."""

import contextlib
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nst_tf.network import bundled

Projections = Mapping[str, np.ndarray]


class Loaded(dict[str, tuple[np.ndarray, np.ndarray]]):
    """The layers of a file, and the projections of a narrow network."""

    projections: Projections | None = None


_in_use: weakref.WeakValueDictionary[Any, Loaded] = (
    weakref.WeakValueDictionary()
)


def read_once(
    path: Path,
    read: Callable[[], tuple[bundled.Layers, Projections | None]],
    network: str = "",
) -> Loaded:
    """Reads a file of weights, unless what was read of it is still in use.

    Args:
        path: The file; one that has changed is read again.
        read: Reads and checks it.
        network: Of which it is read.
    """
    key = None
    with contextlib.suppress(OSError):  # reading it says what is wrong
        status = path.stat()
        key = path, network, status.st_mtime_ns, status.st_size
    found = _in_use.get(key)
    if found is None:
        layers, projections = read()
        found = Loaded(layers)
        found.projections = projections
        _in_use[key] = found
    return found
