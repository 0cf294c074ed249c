"""Writes the small network as the package reads it: `bundled.read_small`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nst_tf.network import bundled


def write_small(
    path: Path, layers: bundled.Layers, projections: Mapping[str, np.ndarray]
) -> str:
    """Writes a narrow network in 8 bits.

    Kernels and projections are integers of -127..127, with one scale for each
    of their outputs; biases and scales are float32.

    Args:
        path: Where to.
        layers: By layer a kernel, [3, 3, in, c], and a bias, [c].
        projections: By layer, [c, C].

    Returns:
        The SHA-256 digest of the file, in hexadecimal.
    """
    arrays: dict[str, Any] = {}
    for name, (kernel, bias) in layers.items():
        arrays[f"{name}.bias"] = np.asarray(bias, np.float32)
        parts = (("kernel", kernel), ("projection", projections[name]))
        for part, values in parts:
            largest = np.abs(values).max(axis=tuple(range(values.ndim - 1)))
            scale = (np.maximum(largest, 1e-12) / 127.0).astype(np.float32)
            integers = np.rint(values / scale).astype(np.int8)
            arrays[f"{name}.{part}"] = integers
            arrays[f"{name}.{part}_scale"] = scale
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return hashlib.sha256(path.read_bytes()).hexdigest()
