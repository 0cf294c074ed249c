"""A night of whirls: thick curved strokes, haloed stars, flame trees."""

from __future__ import annotations

import numpy as np

from samples import brush, colors, maps
from samples.maps import Array, Rng

# Each star has its place and the radius of its halo; each whirl has its place,
# its radius and by how much it turns its middle.
STARS = [
    (70, 62, 30), (214, 44, 24), (404, 74, 34), (60, 356, 28),
    (430, 248, 26), (566, 330, 22), (796, 76, 38),
    (958, 150, 30), (930, 392, 22),
]  # fmt: skip
MOON = (592, 132)
WHIRLS = [(228, 226, 132, 5.0), (826, 286, 98, -4.8), (500, 400, 60, 3.4)]

# The middle of each tree, its foot, its height and its half width.
TREES = [(356, 790, 410, 38), (288, 790, 262, 30), (424, 800, 316, 32)]


def paint(rng: Rng) -> Array:
    """Paints the scene with ever smaller brushes that follow its angles."""
    x, y = maps.grid()
    scene, angle = _sky(rng, x, y)
    scene = _hang_moon(scene, x, y)
    scene, angle = _raise_hills(rng, x, y, scene, angle)
    scene, angle = _plant_trees(rng, x, y, scene, angle)
    canvas = brush.Canvas(rng, 0.85 * maps.blur(scene, 2))
    for width, length, count in (
        (22, 92, 900), (12, 64, 3000), (7, 42, 7000), (4, 24, 7000),
    ):  # fmt: skip
        start = brush.cover(rng, count)
        color = maps.pick(scene, start) * rng.normal(1, 0.10, (count, 1))
        color += rng.normal(0, 0.025, (count, 3))
        paths = brush.trace(angle, start, length)
        widths = width * rng.uniform(0.6, 1.15, count)
        look = brush.Brush(tone=0.09, ragged=0.10, body=0.5 + width / 20)
        canvas.stroke(paths, widths, color, look)
    return maps.shrink(canvas.lit(0.30, shine=0.35))


def _sky(rng: Rng, x: Array, y: Array) -> tuple[Array, Array]:
    """Returns the colors and the stroke angles of a whirling sky."""
    u, v = x, y
    for cx, cy, r, turns in WHIRLS:  # Twist the plane around each whirl.
        turn = turns * np.exp(-((u - cx) ** 2 + (v - cy) ** 2) / r**2)
        cos, sin = np.cos(turn), np.sin(turn)
        u, v = (
            cx + (u - cx) * cos - (v - cy) * sin,
            cy + (u - cx) * sin + (v - cy) * cos,
        )
    stream = v + 30 * np.sin(u / 140 + 2) + 12 * np.sin(u / 61 + v / 90)
    for cx, cy, r in [*STARS, (*MOON, 76)]:
        d = np.hypot(x - cx, y - cy)
        ring = 1 - maps.smooth(0.9 * r, 2.1 * r, d)
        middle = stream[cy * maps.SCALE, cx * maps.SCALE]
        stream = stream * (1 - ring) + ring * (middle + 1.3 * d)
    # Strokes run along the lines of equal stream, and so do the colors.
    down, right = np.gradient(stream)
    angle = np.arctan2(-right, down)
    blues = "0c1a4a 16358c 2a5bb8 14266b 5f93cf 1d4aa4 a9cbe0 102058"
    band = stream / 17 + 0.5 * maps.noise(rng, 120, 3)
    color = colors.cycle(band, colors.palette(blues))
    color *= (0.72 + 0.4 * y / 520)[..., None]
    halo = colors.palette("fff9df fde37a f3c53c e8d98a 8fb9a8 2f66b0")
    for cx, cy, r in STARS:
        d = np.hypot(x - cx, y - cy) / r
        rings = colors.ramp(d, [0, 0.3, 0.5, 0.85, 1.2, 1.6], halo)
        color = colors.mix(color, rings, 1 - maps.smooth(0.8, 1.75, d))
    return color, angle


def _hang_moon(scene: Array, x: Array, y: Array) -> Array:
    """Hangs a full moon with its rings of light into the sky."""
    d = np.hypot(x - MOON[0], y - MOON[1])
    codes = "fffbe6 ffedb0 f4b93a d98f2e efe2a4 cfcf92 7fae9f 2c61ac"
    stops = [0, 26, 42, 50, 62, 90, 118, 150]
    light = colors.ramp(d, stops, colors.palette(codes))
    return colors.mix(scene, light, 1 - maps.smooth(84, 150, d))


def _raise_hills(
    rng: Rng, x: Array, y: Array, scene: Array, angle: Array
) -> tuple[Array, Array]:
    """Returns the colors and angles with hills, each in front of the last."""
    for k, codes in enumerate((
        "34558f 24427c 4a72a6", "1f4a6e 2f6a7e 173a5e", "24594f 3c7a5c 173f45",
        "6a7a34 98933c 3c5a34", "b08a34 d6b04c 6e6a2c",
    )):  # fmt: skip
        base = 462 + 64 * k
        crest = base + 34 * np.sin(x / (190 - 18 * k) + 2.1 * k)
        crest += 12 * np.sin(x / 57 + k)
        slope = np.gradient(crest[0], 1 / maps.SCALE)
        inside = y > crest
        # Furrows leave the crest and bend into the form of the hill.
        bend = np.arctan(slope)[None] + 0.5 * np.sin(x / 80 + k + y / 60)
        angle = np.where(inside, bend, angle)
        depth = (y - crest) / 16 + 0.6 * maps.noise(rng, 60, 2)
        furrows = colors.cycle(depth, colors.palette(codes))
        scene = np.where(inside[..., None], furrows, scene)
    return scene, angle


def _plant_trees(
    rng: Rng, x: Array, y: Array, scene: Array, angle: Array
) -> tuple[Array, Array]:
    """Returns the colors and angles with dark trees that sway like flames."""
    for cx, foot, tall, wide in TREES:
        t = np.clip((foot - y) / tall, 0, 1)
        sway = cx + 0.3 * wide * np.sin(t * 6 + cx)
        edge = wide * (1 - t) ** 0.75 * (0.6 + 1.1 * t**0.5)
        edge += 0.12 * wide * np.sin(y / 13 + cx) * (1 - t)
        inside = (np.abs(x - sway) < edge) & (y > foot - tall)
        lean = -np.pi / 2 + 0.5 * np.sin(y / 34 + x / 22)
        angle = np.where(inside, lean, angle)
        wave = (x - sway) / 11 + y / 90 + 0.5 * maps.noise(rng, 50, 2)
        greens = colors.palette("0b1712 1c3a26 3b4a1e 10251f")
        flames = colors.ramp(wave % 3, [0, 1, 2, 3], greens)
        scene = np.where(inside[..., None], flames, scene)
    return scene, angle
