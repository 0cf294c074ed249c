"""The network that ships: a narrow VGG19 in 8 bits, with its projections.

Its feature maps, times a projection for each layer, are nearly those of the
real VGG19, in its units. scripts/distill.py trains it; what it is and how well
it does is said in data/README.md.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PATH = Path(__file__).parents[1] / "data" / "vgg19_small.npz"
SHA256 = "2eba8765970bbc7b3cc1a95230bb715c811ca8032e6f9da26d7f59951b64ab55"


class SmallNetwork(NamedTuple):
    """A narrow network, and how its features are read."""

    layers: Mapping[str, tuple[np.ndarray, np.ndarray]]  # kernel, bias
    projections: Mapping[str, np.ndarray]  # [c, C]


def write(path: Path, network: SmallNetwork) -> str:
    """Writes a network in 8 bits.

    Kernels and projections are integers of -127..127, with one scale for each
    of their outputs; biases and scales are float32.

    Args:
        path: Where to.
        network: By layer a kernel, [3, 3, in, c], a bias, [c], and a
            projection, [c, C].

    Returns:
        The SHA-256 digest of the file, in hexadecimal.
    """
    arrays: dict[str, Any] = {}
    for name, (kernel, bias) in network.layers.items():
        arrays[f"{name}.bias"] = np.asarray(bias, np.float32)
        for part, values in (
            ("kernel", kernel),
            ("projection", network.projections[name]),
        ):
            largest = np.abs(values).max(axis=tuple(range(values.ndim - 1)))
            scale = (np.maximum(largest, 1e-12) / 127.0).astype(np.float32)
            integers = np.rint(values / scale).astype(np.int8)
            arrays[f"{name}.{part}"] = integers
            arrays[f"{name}.{part}_scale"] = scale
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(path: Path = PATH, sha256: str = SHA256) -> SmallNetwork:
    """Reads a network that `write` wrote.

    Args:
        path: The file.
        sha256: Its digest, in hexadecimal.

    Returns:
        The network, in float32.

    Raises:
        ValueError: If the file is missing, or not the one with this digest.
    """
    again = "install nst_tf again, or name other weights with --weights=PATH."
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ValueError(
            f"the network that ships with nst_tf cannot be read, {error}; "
            f"{again}"
        ) from error
    if digest != sha256:
        raise ValueError(
            f"{path}, the network that ships with nst_tf, is damaged: its "
            f"SHA-256 digest is {digest}, expected {sha256}; {again}"
        )
    with np.load(path, allow_pickle=False) as arrays:
        names = [key[: -len(".bias")] for key in arrays if key[-5:] == ".bias"]
        return SmallNetwork(
            {
                name: (_scaled(arrays, name, "kernel"), arrays[f"{name}.bias"])
                for name in names
            },
            {name: _scaled(arrays, name, "projection") for name in names},
        )


def _scaled(
    arrays: Mapping[str, np.ndarray], name: str, part: str
) -> np.ndarray:
    """Integers times their scales."""
    return arrays[f"{name}.{part}"] * arrays[f"{name}.{part}_scale"]
