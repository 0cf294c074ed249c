"""Blocks of strong color in dark wobbling outlines: sun, sails, sea."""

from __future__ import annotations

import numpy as np

from samples import brush, colors, maps
from samples.maps import Array, Rng

SKY, SUN, WATER, SAIL, HILL, HULL = range(6)
PALETTES = {
    SKY: "1f6f8b 2a8fa3 17506b 5fb3b3 e9c46a f2e3b3 3a7d9c 2d6a9a 8cc4c4",
    SUN: "f4b41a f08a24 f7d154 e8641b",
    WATER: "0f3d5e 14607a 1d8a99 0b2a4a 2f9e8f 7cc6b8",
    SAIL: "c1272d 8f1d2c e2543a f0a58f 6d1f3d",
    HILL: "2f5d3a 5a8f3d 93b548 1d4230 b5652b 7a3b22",
    HULL: "6b2d1c 8a4a22 4a2018",
}


def paint(rng: Rng) -> Array:
    """Paints every block by hand and draws the outlines over them."""
    x, y = maps.grid()
    x = x + 5 * maps.noise(rng, 90, 3)
    y = y + 5 * maps.noise(rng, 90, 3)
    window = Window(*_blocks(rng, x, y))
    _carve_land(window, x, y)
    _carve_boats(window, x, y)
    color = window.tint()
    # Paint laid by hand: thinner here, thicker there, brushed one way a block.
    across = maps.noise(rng, 5, 3, 9)
    upright = maps.noise(rng, 45, 4, 0.12)
    turn = maps.scatter(window.block, 0, 8.1)
    grain = np.where(turn < 0.5, across, upright)
    color *= (1 + 0.06 * maps.noise(rng, 90, 5) + 0.035 * grain)[..., None]
    bare = 0.07 * maps.smooth(0.6, 2.2, grain)
    color = colors.mix(color, colors.rgb("f6ead0"), bare)
    color *= (0.82 + 0.18 * maps.smooth(2, 16, window.edge))[..., None]
    width = 3.6 + 1.3 * maps.noise(rng, 130, 3) + 0.35 * maps.noise(rng, 9, 2)
    line = 1 - maps.smooth(-0.7, 0.7, window.edge - np.clip(width, 1.4, 8))
    ink = 1 + 0.25 * maps.noise(rng, 14, 3)
    ink = np.clip(colors.rgb("15121a") * ink[..., None], 0, 1)
    canvas = brush.Canvas(rng, colors.mix(color, ink, line))
    canvas.relief = 0.25 * grain + 2.2 * maps.blur(line, 1.2)
    canvas.relief += 0.1 * canvas.tooth
    return maps.shrink(canvas.lit(0.22, shine=0.2))


class Window:
    """Blocks of glass, and the shapes that are carved out of them.

    Attributes:
        kind: What a place shows: SKY, SUN and so on, [ROWS, COLUMNS].
        block: Number of the block that a place belongs to.
        edge: Distance from the nearest outline.
    """

    def __init__(self, block: Array, edge: Array) -> None:
        self.kind = np.full(block.shape, SKY)
        self.block = block
        self.edge = edge
        self._first_block, self._first_edge = block, edge
        self._num_shapes = 0

    def carve(self, kind: int, outside: Array, *, clear: float = 0) -> None:
        """Carves a shape, which keeps the first blocks, and outlines it.

        Args:
            kind: What the shape shows.
            outside: Distance from the border of the shape, less than 0 in it.
            clear: Distance within which older outlines vanish.
        """
        inside = outside < 0
        self._num_shapes += 1
        number = self._first_block + 1000 * self._num_shapes
        self.kind = np.where(inside, kind, self.kind)
        self.block = np.where(inside, number, self.block)
        self.edge = np.where(outside < clear, 99, self.edge)
        self.edge = np.where(inside, self._first_edge, self.edge)
        self.edge = np.minimum(self.edge, np.abs(outside))

    def carve_whole(self, kind: int, outside: Array, number: int) -> None:
        """Carves a shape that is one block, with that number."""
        self.carve(kind, outside, clear=9)
        self.block = np.where(outside < 0, number, self.block)
        self.edge = np.where(outside < 0, -outside, self.edge)

    def tint(self) -> Array:
        """Returns the colors of the blocks, each drawn from its kind's."""
        color = np.empty((*self.kind.shape, 3), "f4")
        for kind, codes in PALETTES.items():
            choices = colors.palette(codes)
            chance = maps.scatter(self.block, kind, 3.7)
            choice = (chance * len(choices)).astype("i4")
            here = self.kind == kind
            color[here] = choices[choice[here]]
        return color


def _blocks(rng: Rng, x: Array, y: Array) -> tuple[Array, Array]:
    """Splits the plane again and again: block numbers and edge distances."""
    shape = x.shape
    x, y = x.ravel(), y.ravel()
    block, edge = np.zeros(x.size, "i4"), np.full(x.size, 99.0, "f4")
    parts = [(np.arange(x.size), 0)]
    number = 0
    while parts:
        part, depth = parts.pop()
        area = part.size / maps.SCALE**2
        if area < 2400 or (depth > 4 and rng.random() < 0.25):
            block[part], number = number, number + 1
            continue
        px, py = x[part], y[part]
        # Cut across the longer side, at a slant.
        turn = 0.0 if np.ptp(px) > np.ptp(py) else np.pi / 2
        turn += rng.normal(0, 0.38)
        side = px * np.cos(turn) + py * np.sin(turn)
        side -= np.quantile(side[::50], rng.uniform(0.32, 0.68))
        edge[part] = np.minimum(edge[part], np.abs(side))
        for half in (side < 0, side >= 0):
            parts.append((part[half], depth + 1))
    return block.reshape(shape), edge.reshape(shape)


def _carve_land(window: Window, x: Array, y: Array) -> None:
    """Carves the sun with a ring of sky, the hills and the waves."""
    sun = np.hypot(x - 690, y - 215)
    for radius, kind in ((205, SKY), (150, SUN), (88, SUN)):
        window.carve(kind, sun - radius)
    hills = 395 + 70 * np.sin(x / 140 + 0.6) - 0.05 * x
    window.carve(HILL, hills - y)
    for k in range(5):
        wave = 470 + 62 * k + (26 + 5 * k) * np.sin(x / (120 + 14 * k) + 2 * k)
        window.carve(WATER, (wave - y) * 0.9)


def _carve_boats(window: Window, x: Array, y: Array) -> None:
    """Carves two boats, each of two sails and a hull."""
    for cx, foot, tall, wide in ((250, 600, 430, 150), (470, 560, 270, 95)):
        rise = np.clip((foot - y) / tall, 0, 1)
        for way, share in ((-1, 0.62), (1, 1.0)):
            belly = wide * (1 - rise) * (1 + 0.5 * rise) * share
            out = (x - cx) * way
            sail = np.maximum(out - belly, np.maximum(-out, y - foot))
            window.carve(SAIL, np.where(rise < 1, sail, 99), clear=9)
        below = y - foot - 4
        hull = np.abs(x - cx - 0.2 * wide) - 1.15 * wide + 1.1 * below
        hull = np.maximum(0.7 * hull, np.abs(below - 20) - 20)
        window.carve_whole(HULL, hull, 2 + cx)
