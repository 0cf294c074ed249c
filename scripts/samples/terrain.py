"""The ground of the valley: its height, what grows on it, what one sees of it.

A place is x meters to the right and z meters ahead of the eye, which looks
level at the row of the skyline.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from samples import colors, maps
from samples.maps import ROWS, SCALE, WIDTH, Array

# The height of the eye in meters, and its focal length and its level in pixels.
EYE, FOCAL, SKYLINE = 66.0, 900.0, 330.0
SUN = np.array([-0.62, 0.52, -0.30], "f4") / 0.863


class View(NamedTuple):
    """What every sample of the picture shows, [ROWS, COLUMNS].

    Attributes:
        hit: Whether it shows the ground, and not the sky.
        x: Where the ground is.
        z: Where the ground is.
        height: Height of the ground.
        wood: How much of it is covered by trees, in [0, 1].
        light: How much sun it gets, less than 0 where it is turned away.
    """

    hit: Array
    x: Array
    z: Array
    height: Array
    wood: Array
    light: Array


def look(columns: Array) -> View:
    """Scans the ground from near to far in columns at these positions."""
    z = np.geomspace(60, 15000, 1000, dtype="f4")[:, None]
    s = ((columns - WIDTH / 2) / FOCAL)[None]
    height, wood = ground(z * s, np.broadcast_to(z, (z.size, s.size)))
    # Slopes on the fan of rays, by the chain rule.
    by_s = np.gradient(height, s[0], axis=1)
    by_z = np.gradient(height, z[:, 0], axis=0) - s / z * by_s
    by_x = by_s / z
    light = SUN[1] - by_x * SUN[0] - by_z * SUN[2]
    light = light / np.sqrt(1 + by_x**2 + by_z**2)
    row = SKYLINE + (EYE - height) * FOCAL / z
    rows = (np.arange(ROWS) + 0.5) / SCALE
    # What is lower than the ground before it cannot be seen.
    top = np.minimum.accumulate(row, axis=0)
    step = np.stack([np.searchsorted(-line, -rows) for line in top.T], axis=1)
    k = np.clip(step, 1, z.size - 1)
    col = np.arange(s.size)[None]
    above, below = row[k, col], row[k - 1, col]
    part = np.clip((rows[:, None] - below) / (above - below - 1e-6), 0, 1)

    def between(a: Array) -> Array:
        return a[k - 1, col] * (1 - part) + a[k, col] * part

    depth = between(np.broadcast_to(z, height.shape))
    return View(
        hit=step < z.size,
        x=depth * s,
        z=depth,
        height=between(height),
        wood=between(wood),
        light=between(light),
    )


def ground(x: Array, z: Array) -> tuple[Array, Array]:
    """Returns the height of the ground with its woods, and the wood mask."""
    off = np.abs(x - river(z))
    rise = maps.smooth(0, 1500, off - 60)
    plain = maps.smooth(20, 260, off)
    height = 4 + 13 * maps.fractal(x / 330, z / 330, 3) * plain
    height = np.maximum(height, 1 + 0.1 * height)
    height += 330 * rise * (0.7 + 0.7 * maps.fractal(x / 900 + 5, z / 900, 4))
    far = maps.smooth(2600, 9500, z)
    u, v = x / 3600 + 2.2, z / 3600 + 0.7
    crag = maps.fractal(u, v, 9, ridged=True, gain=0.44)
    side = maps.smooth(300, 2600, np.abs(x - 500 - 0.03 * z))
    height += far * (0.35 + 0.65 * side) * 1250 * np.clip(crag + 0.35, 0, 3)
    # Woods stand on the slopes, in patches, as bumps of crowns.
    wood = maps.fractal(x / 520 + 30, z / 520, 4) + 0.9 * rise - 0.22
    wood = maps.smooth(0.0, 0.12, wood) * maps.smooth(45, 80, off)
    wood *= 1 - maps.smooth(420, 760, height)
    wood = wood * maps.smooth(170, 260, z)
    crowns = 0.55 + 0.5 * maps.fractal(x / 11, z / 11, 2)
    height = height + wood * (7 + 13 * crowns)
    _, gap = _fields(x, z)
    hedge = (1 - maps.smooth(2.5, 5, gap)) * (1 - far)
    hedge = hedge * maps.smooth(30, 50, off) * maps.smooth(150, 200, z)
    hedge = hedge * (1 - wood)
    height += hedge * (2.0 + 3 * maps.fractal(x / 4, z / 4, 2))
    # The bed of the river lies 3 meters deep.
    height = height - (height + 3) * (1 - maps.smooth(18, 34, off))
    return height, np.maximum(wood, hedge)


def river(z: Array) -> Array:
    """Returns the x of the middle of the river."""
    bend = 60 * np.sin(z / 150 + 0.4) + 170 * np.sin(z / 520 + 0.3)
    return bend * maps.smooth(0, 500, z) - 40 + 0.02 * z


def color(x: Array, z: Array, wood: Array, height: Array) -> Array:
    """Returns the color of meadows, crops, woods and rock."""
    number, _ = _fields(x, z)
    crops = colors.palette(
        "6f8f3a 8aa548 b9a852 5d7f35 cbb864 7d9a4a 93823f 587a3a"
    )
    luck = maps.scatter(number, 0, 2.0)
    image = crops[(luck * len(crops)).astype("i4")]
    turn = maps.scatter(number, 0, 5.0) * np.pi
    furrows = np.sin((x * np.cos(turn) + z * np.sin(turn)) * 1.3)
    furrows = furrows * (1 - maps.smooth(150, 520, z)) * (luck > 0.3)
    grass = 0.20 * maps.fractal(x / 40, z / 40, 5)
    near = 1 - maps.smooth(140, 420, z)
    grass += near * 0.32 * maps.fractal(x * 1.5, z * 0.6, 3)
    image = image * (1 + 0.12 * furrows + grass)[..., None]
    off = np.abs(x - river(z))
    meadow = 0.8 * (1 - maps.smooth(50, 80, off))
    image = colors.mix(image, colors.rgb("6e8f42"), meadow)
    shore = 1 - maps.smooth(22, 29, off + 4 * maps.fractal(x / 7, z / 7, 4))
    image = colors.mix(image, colors.rgb("a39a78"), shore)
    rough = maps.fractal(x / 240, z / 240, 6)
    rock = maps.smooth(430, 800, height + 220 * rough)
    snow = maps.smooth(950, 1500, height + 420 * rough)
    upland = colors.mix(colors.rgb("6d7f45"), colors.rgb("84796a"), rock)
    upland = colors.mix(upland, colors.rgb("f2f4f8"), snow)
    image = colors.mix(image, upland, maps.smooth(190, 330, height))
    crowns = 1 + 0.35 * maps.fractal(x / 24, z / 24, 4)
    return colors.mix(image, colors.rgb("35501f") * crowns[..., None], wood)


def _fields(x: Array, z: Array) -> tuple[Array, Array]:
    """Returns the number of the field at a place, and how near its hedge is."""
    u = (x + 70 * maps.fractal(x / 420, z / 420, 2)) / 150
    v = (z + 90 * maps.fractal(x / 380 + 9, z / 380, 2)) / 230
    u = u + 0.37 * np.floor(v)
    number = np.floor(u) * 57 + np.floor(v) * 131
    fu, fv = u - np.floor(u), v - np.floor(v)
    gap_u = np.minimum(fu, 1 - fu) * 150
    gap_v = np.minimum(fv, 1 - fv) * 230
    return number, np.minimum(gap_u, gap_v)
