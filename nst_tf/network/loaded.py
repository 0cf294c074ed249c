"""A cache of weights, shared while they are in use."""

import contextlib
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nst_tf.network import bundled

Projections = Mapping[str, np.ndarray]


class Loaded(dict[str, tuple[np.ndarray, np.ndarray]]):
    """The layers of a weight file, with the projections of a narrow network."""

    projections: Projections | None = None


_in_use: weakref.WeakValueDictionary[Any, Loaded] = (
    weakref.WeakValueDictionary()
)


def read_once(
    path: Path,
    read: Callable[[], tuple[bundled.Layers, Projections | None]],
    network: str = "",
) -> Loaded:
    """Reads a weight file, or returns its weights if they are still in use.

    Args:
        path: The file; if it has changed, it is read again.
        read: Reads and checks the file.
        network: The name of the network.
    """
    key = None
    with contextlib.suppress(OSError):  # `read` reports the error
        status = path.stat()
        key = path, network, status.st_mtime_ns, status.st_size
    found = _in_use.get(key)
    if found is None:
        layers, projections = read()
        found = Loaded(layers)
        found.projections = projections
        _in_use[key] = found
    return found
