"""A short clip of moving scenery, with its exact optical flow.

Sky, hills, a field and a hedge are layers at their distances, past which the
eye moves; a balloon drifts between them. A layer is a picture of its own
coordinates, so that flow and occlusion are known exactly at every pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from samples import colors, maps
from samples.maps import Array

SCALE = 3  # samples of a pixel, per side
WIDTH = 256  # pixels; all lengths below are in pixels of that width
BALLOON = 27.0  # radius, in pixels


class Motion(NamedTuple):
    """How a layer lies in the picture at a time: shifted, and scaled."""

    x: float
    y: float
    zoom: float = 1.0


class Layer(NamedTuple):
    """A layer of the scene, in its own coordinates.

    Attributes:
        move: Time in frames -> how the layer lies in the picture.
        covers: (x, y) -> where there is something.
        color: (x, y) -> color, [..., 3] in [0, 1].
    """

    move: Callable[[float], Motion]
    covers: Callable[[Array, Array], Array]
    color: Callable[[Array, Array], Array]


class Clip:
    """The clip, of any length, at any size of its aspect ratio.

    Args:
        height: Of a frame, in pixels.
        width: Of a frame, in pixels.
        step: Time from one frame to the next, in frames of the usual speed.
    """

    def __init__(self, height: int = 144, width: int = 256, step: float = 1.0):
        self.height, self.width, self._step = height, width, step

    def frame(self, index: int) -> Array:
        """Paints a frame, [height, width, 3] in [0, 1]."""
        x, y = self._grid(SCALE)
        image = np.zeros((*x.shape, 3), "f4")
        layers = self._find_layers(x, y, index)
        for number, layer in enumerate(LAYERS):
            seen = layers == number
            own = self._enter(layer, x[seen], y[seen], index)
            image[seen] = layer.color(*own)
        parts = image.reshape(self.height, SCALE, self.width, SCALE, 3)
        return np.clip(parts.mean((1, 3)), 0, 1).astype("f4")

    def flow(self, index: int, other: int) -> tuple[Array, Array]:
        """Computes where the pixels of a frame are in another one.

        Returns:
            Displacements (across, down), [height, width, 2], and whether each
            pixel is visible there, [height, width].
        """
        x, y = self._grid(1)
        layers = self._find_layers(x, y, index)
        there_x, there_y = np.zeros_like(x), np.zeros_like(y)
        for number, layer in enumerate(LAYERS):
            seen = layers == number
            u, v = self._enter(layer, x[seen], y[seen], index)
            move = layer.move(other * self._step)
            there_x[seen] = u * move.zoom + move.x
            there_y[seen] = v * move.zoom + move.y
        visible = self._find_layers(there_x, there_y, other) == layers
        unit = self.width / WIDTH
        bottom = self.height / unit
        visible &= (there_x > 0) & (there_x < WIDTH)
        visible &= (there_y > 0) & (there_y < bottom)
        flow = np.stack([there_x - x, there_y - y], axis=-1) * unit
        return flow.astype("f4"), visible

    def _grid(self, scale: int) -> tuple[Array, Array]:
        """Returns x and y of the samples, in pixels of the usual width."""
        unit = WIDTH / self.width / scale
        columns = (np.arange(self.width * scale) + 0.5) * unit
        rows = (np.arange(self.height * scale) + 0.5) * unit
        x, y = np.meshgrid(columns, rows)
        return x, y

    def _enter(
        self, layer: Layer, x: Array, y: Array, index: int
    ) -> tuple[Array, Array]:
        """Returns a layer's own coordinates of positions in a frame."""
        move = layer.move(index * self._step)
        return (x - move.x) / move.zoom, (y - move.y) / move.zoom

    def _find_layers(self, x: Array, y: Array, index: int) -> Array:
        """Returns the number of the layer that is seen at each position."""
        found = np.zeros(x.shape, "i4")
        for number, layer in enumerate(LAYERS):
            covers = layer.covers(*self._enter(layer, x, y, index))
            found[covers] = number
        return found


def _noise(x: Array, y: Array, size: float, octaves: int = 4) -> Array:
    """Returns noise whose largest features have a size in pixels."""
    return maps.fractal(x / size, y / size, octaves)


def _sky(x: Array, y: Array) -> Array:
    """Colors the sky, with clouds."""
    blue = colors.ramp(
        y / 90, [0, 0.5, 1], colors.palette("3f74b8 7fb0dc e9dfc6")
    )
    cloud = maps.smooth(-0.05, 0.45, _noise(x, 2.2 * y, 70, 5))
    return colors.mix(blue, colors.rgb("f6f1e6"), 0.9 * cloud)


def _hills(x: Array, y: Array) -> Array:
    """Colors the hills: woods, and meadows between them."""
    wood = maps.smooth(-0.1, 0.2, _noise(x, y, 22))
    light = 0.8 + 0.35 * _noise(x + 40, y, 6, 3)
    both = colors.mix(colors.rgb("8fa86a"), colors.rgb("3d5f55"), wood)
    return both * light[..., None]


def _field(x: Array, y: Array) -> Array:
    """Colors the field, whose rows narrow towards the hills."""
    rows = np.sin(2 * np.pi * (y / 7 + 0.8 * _noise(x, y, 60, 2)))
    grain = _noise(x, y, 5, 3)
    shade = 0.5 + 0.35 * rows + 0.4 * grain
    return colors.ramp(
        shade, [0, 0.5, 1], colors.palette("8c6a2e c9a548 efdc95")
    )


def _hedge(x: Array, y: Array) -> Array:
    """Colors the hedge: leaves, and poppies in it."""
    leaf = 0.5 + 0.6 * _noise(x, y, 9, 4)
    green = colors.ramp(
        leaf, [0, 0.5, 1], colors.palette("16301c 2f5a2c 6c9a3e")
    )
    poppy = _noise(x + 90, y + 30, 8, 2) > 0.42
    return np.where(poppy[..., None], colors.rgb("c8382c"), green)


def _balloon(x: Array, y: Array) -> Array:
    """Colors the balloon: striped, and round by its light."""
    stripe = np.cos(5 * np.arcsin(np.clip(x / BALLOON, -1, 1)))
    paint = np.where(
        (stripe > 0)[..., None], colors.rgb("d9452f"), colors.rgb("f3d9a0")
    )
    light = 1.0 - 0.45 * np.hypot(x + 9, y + 9) / BALLOON
    return paint * (light + 0.06 * _noise(x, y, 6, 3))[..., None]


def _skyline(x: Array) -> Array:
    """Returns where the hills end in the sky."""
    return 74 + 14 * maps.fractal(x / 90, np.full_like(x, 3.3), 4)


def _edge(x: Array) -> Array:
    """Returns where the hedge ends in the field."""
    return 120 + 9 * maps.fractal(x / 26, np.full_like(x, 7.7), 4)


# From back to front.
LAYERS = (
    Layer(lambda t: Motion(-0.3 * t, 0), lambda x, y: y > -1e9, _sky),
    Layer(
        lambda t: Motion(-0.85 * t, 0.1 * t),
        lambda x, y: y > _skyline(x),
        _hills,
    ),
    Layer(
        lambda t: Motion(30 + 3.3 * t, 62 - 0.7 * t, 1 + 0.006 * t),
        lambda x, y: np.hypot(x, y) < BALLOON,
        _balloon,
    ),
    Layer(
        lambda t: Motion(-1.9 * t, 0.2 * t),
        lambda x, y: y > 98 + 3 * np.sin(x / 40),
        _field,
    ),
    Layer(
        lambda t: Motion(-3.6 * t, 0.3 * t), lambda x, y: y > _edge(x), _hedge
    ),
)
