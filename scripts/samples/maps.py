"""Maps: an array of numbers for every sample of a picture, [ROWS, COLUMNS].

A picture is painted SCALE times larger than it will be, for clean edges, and
shrunk at the end. Lengths and positions are in pixels of the finished picture
all the same; only an index into a map is in samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Array = np.ndarray
Rng = np.random.Generator
Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 1024, 768
SCALE = 2
COLUMNS, ROWS = WIDTH * SCALE, HEIGHT * SCALE


def grid() -> tuple[Array, Array]:
    """Returns x and y of every sample."""
    columns, rows = np.arange(COLUMNS, dtype="f4"), np.arange(ROWS, dtype="f4")
    x, y = np.meshgrid(columns, rows)
    return (x + 0.5) / SCALE, (y + 0.5) / SCALE


def shrink(image: Array) -> Array:
    """Averages the samples of each pixel: the finished picture, in [0, 1]."""
    image = image.reshape(HEIGHT, SCALE, WIDTH, SCALE, 3).mean((1, 3))
    return np.clip(image, 0, 1)


def smooth(low: float, high: float, value: Array) -> Array:
    """Rises smoothly from 0 to 1 while the value goes from low to high."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def blur(a: Array, radius: float) -> Array:
    """Blurs the first two axes by three box filters."""
    r = max(1, round(radius * SCALE))
    for axis in (0, 1) * 3:
        pad = [(0, 0)] * a.ndim
        pad[axis] = (r + 1, r)
        total = np.cumsum(np.pad(a, pad, mode="edge"), axis, dtype="f8")
        ahead = np.take(total, range(2 * r + 1, total.shape[axis]), axis)
        behind = np.take(total, range(total.shape[axis] - 2 * r - 1), axis)
        a = ((ahead - behind) / (2 * r + 1)).astype("f4")
    return a


def sample(a: Array, x: Array, y: Array) -> Array:
    """Looks up a map of any scale between its samples, and at its borders."""
    scale = a.shape[1] / WIDTH
    x = np.clip(x * scale, 0, a.shape[1] - 1.001)
    y = np.clip(y * scale, 0, a.shape[0] - 1.001)
    col, row = x.astype("i4"), y.astype("i4")
    fx, fy = x - col, y - row
    if a.ndim == 3:
        fx, fy = fx[..., None], fy[..., None]
    top = a[row, col] * (1 - fx) + a[row, col + 1] * fx
    low = a[row + 1, col] * (1 - fx) + a[row + 1, col + 1] * fx
    return top * (1 - fy) + low * fy


def pick(a: Array, points: Array) -> Array:
    """Returns what a map holds at the points, [N, 2]."""
    col = np.clip(points[:, 0] * SCALE, 0, COLUMNS - 1).astype("i4")
    row = np.clip(points[:, 1] * SCALE, 0, ROWS - 1).astype("i4")
    return a[row, col]


def place(shape: Points, x: float, y: float, size: float) -> Points:
    """Scales the points of a shape and moves its origin to (x, y)."""
    return [(x + size * dx, y + size * dy) for dx, dy in shape]


def polygon(corners: Points) -> Array:
    """Returns a mask that is 1 inside a polygon and 0 outside."""
    image = Image.new("L", (COLUMNS, ROWS))
    scaled = [(x * SCALE, y * SCALE) for x, y in corners]
    ImageDraw.Draw(image).polygon(scaled, fill=255)
    return np.asarray(image, "f4") / 255


def noise(
    rng: Rng, cell: float, octaves: int = 5, stretch: float = 1.0
) -> Array:
    """Returns a noise map of unit deviation.

    Args:
        rng: Random numbers.
        cell: Height of the largest features.
        octaves: How often features of half the size are added.
        stretch: How much wider than tall the features are.
    """
    total = np.zeros((ROWS, COLUMNS), "f4")
    for octave in range(octaves):
        tall = max(1.0, cell * SCALE / 2**octave)
        wide = max(1.0, tall * stretch)
        rows, cols = int(ROWS / tall) + 3, int(COLUMNS / wide) + 3
        lattice = rng.standard_normal((rows, cols)).astype("f4")
        size = int(cols * wide), int(rows * tall)
        layer = Image.fromarray(lattice).resize(size, Image.Resampling.BICUBIC)
        total += np.asarray(layer)[:ROWS, :COLUMNS] * 0.5**octave
    return total / total.std()


LATTICE = np.random.default_rng(0).uniform(-1, 1, (256, 256)).astype("f4")


def fractal(
    x: Array,
    y: Array,
    octaves: int = 4,
    *,
    ridged: bool = False,
    gain: float = 0.55,
) -> Array:
    """Returns noise at any coordinates, about -1 to 1.

    Unlike `noise`, it belongs to a place of the scene and not of the picture:
    ground far away gets finer features.

    Args:
        x: Coordinates, in sizes of the largest features.
        y: Coordinates, like x.
        octaves: How often features of half the size are added.
        ridged: Whether to fold the noise at 0, so that its zeros are ridges.
        gain: Height of each octave, relative to the one before.
    """
    total = np.zeros(np.broadcast(x, y).shape, "f4")
    for octave in range(octaves):
        # The shift keeps the lattice points of the octaves apart.
        u, v = x * 2**octave + 17.3 * octave, y * 2**octave + 9.1 * octave
        i, j = np.floor(u).astype("i4"), np.floor(v).astype("i4")
        fu, fv = u - i, v - j
        fu, fv = fu * fu * (3 - 2 * fu), fv * fv * (3 - 2 * fv)
        i0, i1, j0, j1 = i & 255, (i + 1) & 255, j & 255, (j + 1) & 255
        top = LATTICE[j0, i0] * (1 - fu) + LATTICE[j0, i1] * fu
        low = LATTICE[j1, i0] * (1 - fu) + LATTICE[j1, i1] * fu
        value = top * (1 - fv) + low * fv
        total += (1 - 2 * np.abs(value) if ridged else value) * gain**octave
    return total


def scatter(i: Array | float, j: Array | float, seed: float) -> Array:
    """Returns a random number in 0..1 for every pair of numbers."""
    value = np.sin(i * 12.9898 + j * 78.233 + seed * 37.719) * 43758.5453
    return value - np.floor(value)
