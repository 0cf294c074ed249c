"""Colors: maps and lists of red, green and blue, in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from samples.maps import Array


def rgb(code: str) -> Array:
    """Returns the color of a hexadecimal code, such as "2b3a67"."""
    return np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], "f4") / 255


def palette(codes: str) -> Array:
    """Returns the colors of codes separated by spaces, [N, 3]."""
    return np.stack([rgb(code) for code in codes.split()])


def ramp(value: Array, stops: Sequence[float], colors: Array) -> Array:
    """Colors a map of values by linear interpolation between stops."""
    channels = [np.interp(value, stops, colors[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).astype("f4")


def cycle(value: Array, colors: Array) -> Array:
    """Colors a map of values in bands: color n is at n, n + N, n + 2 N..."""
    count = len(colors)
    return ramp(
        value % count, range(count + 1), np.vstack((colors, colors[:1]))
    )


def mix(a: Array, b: Array, weight: Array) -> Array:
    """Blends two color maps, or colors, with a weight map [H, W]."""
    return a + (b - a) * np.asarray(weight, "f4")[..., None]
