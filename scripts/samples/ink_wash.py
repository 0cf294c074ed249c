"""Ink on paper: misty mountains, a boat, bamboo and a red seal."""

from __future__ import annotations

import numpy as np

from samples import brush, colors, maps
from samples.maps import Array, Points, Rng

STEM = brush.Brush(tone=0.25, ragged=0.03, blunt=14, dry=0.62)
LEAF = brush.Brush(tone=0.14, ragged=0.01, blunt=1.5, point=1.1, dry=0.33)
TWIG = brush.Brush(tone=0.1, ragged=0.02, blunt=6, dry=0.3)
LINE = brush.Brush(tone=0.15, ragged=0.05, blunt=2, dry=0.35)
DRY = brush.Brush(tone=0.3, ragged=0.2, blunt=3, dry=0.72)

# The strokes of the boat: their knots, widths and grays.
BOAT: list[tuple[Points, float, float]] = [
    ([(318, 628), (350, 641), (410, 642), (446, 624)], 7, 0.16),
    ([(352, 630), (366, 612), (392, 611), (402, 632)], 5, 0.3),
    ([(424, 630), (428, 604)], 6, 0.12),
    ([(420, 602), (436, 604)], 6, 0.1),
    ([(436, 560), (404, 668)], 2, 0.2),
]
BIRD = [(-13, -4), (-5, -5), (0, 0), (6, -6), (14, -4)]


def paint(rng: Rng) -> Array:
    """Washes mountains onto the paper and brushes lines over them."""
    x, y = maps.grid()
    sheet = _paper(rng, x, y)
    ink = _mountains(rng, x, y)
    lines = brush.Canvas(rng, 1.0)
    _brush_slopes(lines, rng, ink)
    _brush_water(lines, rng)
    for knots, width, gray in BOAT:
        lines.stroke(brush.polyline(knots), width, gray, LINE)
    for px, py, s in (
        (250, 150, 1.0), (284, 132, 0.8), (310, 158, 0.7), (226, 120, 0.6),
    ):  # fmt: skip
        bird = brush.polyline(maps.place(BIRD, px, py, s))
        lines.stroke(bird, 3 * s, 0.2, LINE)
    _brush_bamboo(lines, rng)
    drawn = 1 - lines.paint[..., 0]
    # Wet lines bleed a little into the paper around them.
    halo = 0.10 * maps.blur(drawn, 7)
    drawn = np.maximum(drawn, 0.45 * maps.blur(drawn, 1.5)) + halo
    drawn *= 1 + 0.05 * maps.noise(rng, 2.2, 2) + 0.08 * maps.noise(rng, 60, 4)
    ink = np.clip(ink * (1 - 0.8 * drawn) + drawn, 0, 0.97)
    image = colors.mix(sheet, colors.rgb("14161c"), ink)
    return maps.shrink(_stamp_seal(rng, image, x, y))


def _paper(rng: Rng, x: Array, y: Array) -> Array:
    """Returns warm paper: clouded pulp and fibers that lie every way."""
    count, warm = 2600, colors.rgb("efe6d2")
    sheet = brush.Canvas(rng, warm)
    turn = maps.noise(rng, 80, 2) * 2
    fibers = brush.trace(turn, brush.cover(rng, count), 26)
    shade = warm * rng.normal(1, 0.035, (count, 1))
    sheet.stroke(fibers, 1.0, shade, brush.Brush(tone=0.01))
    pulp = 1 + 0.012 * maps.noise(rng, 40, 5) + 0.010 * maps.noise(rng, 2, 2)
    corner = np.hypot(x / 512 - 1, y / 384 - 1)
    pulp -= 0.05 * maps.smooth(0.6, 1.4, corner)
    return maps.blur(sheet.paint, 0.5) * pulp[..., None]


def _mountains(rng: Rng, x: Array, y: Array) -> Array:
    """Returns the darkness of layered mountains that sink into mist."""
    ink = np.zeros_like(x)
    pool = maps.noise(rng, 160, 5)
    grain = maps.noise(rng, 2.2, 2)
    bleed = maps.noise(rng, 26, 5)
    layers = [(250, 70, 190, 0.24), (330, 105, 170, 0.40), (455, 80, 120, 0.62)]
    for k, (level, rise, fall, dark) in enumerate(layers):
        u = x[0] / 250 + 5.3 * k
        v = np.full_like(u, 3.1 * k)
        peaks = maps.fractal(u, v, 6, ridged=True, gain=0.48)
        lean = 0.8 * np.sin(x[0] / 1024 * np.pi * (1.3 + k) + 1.1 + 2 * k)
        crest = level - rise * (peaks - 0.7 + lean) + 1.6 * bleed
        depth = y - crest
        below = np.clip(depth, 0, None)
        body = np.exp(-below / fall * (1 + 0.25 * pool))
        # The wash dries darker along its edge and settles in the grain.
        rim = 0.35 * np.exp(-below / 7)
        u, v = x / 90 + 0.004 * depth, y / 210 + k
        folds = maps.fractal(u, v, 5, ridged=True)
        body *= 0.62 + 0.30 * folds + 0.08 * grain + 0.10 * pool
        inside = maps.smooth(-1, 1.2, depth)
        mist = maps.smooth(0, 1, depth / fall - 0.1) * 0.9
        ink = ink * (1 - inside * mist) + dark * (body + rim) * inside
    return ink


def _brush_slopes(canvas: brush.Canvas, rng: Rng, ink: Array) -> None:
    """Brushes dry strokes that model the near slopes."""
    for _ in range(240):
        px, py = rng.uniform(-20, 760), rng.uniform(400, 540)
        if maps.pick(ink, np.array([(px, py)])) < 0.30:
            continue
        way = rng.choice([-1, 1])
        far = (px + way * rng.uniform(12, 40), py + rng.uniform(24, 70))
        path = brush.polyline([(px, py), (px + way * 4, py + 14), far])
        canvas.stroke(path, rng.uniform(3, 9), 0.35, DRY)


def _brush_water(canvas: brush.Canvas, rng: Rng) -> None:
    """Brushes still water: a few flat, dry sweeps."""
    for k in range(16):
        px, py = rng.uniform(-60, 560), 606 + 9.5 * k
        path = brush.polyline([(px, py), (px + rng.uniform(120, 330), py + 3)])
        canvas.stroke(path, rng.uniform(3, 11), 0.74, DRY)


def _brush_bamboo(canvas: brush.Canvas, rng: Rng) -> None:
    """Brushes bamboo stems joint by joint, with twigs and leaves."""
    for foot, width, gray, lean in (
        (800, 12, 0.62, -0.10), (872, 19, 0.45, 0.05), (948, 24, 0.2, 0.02),
    ):  # fmt: skip
        at, bottom = float(foot), 790.0
        while bottom > -40:
            tall = rng.uniform(84, 118)
            end, top = at + lean * tall + rng.normal(0, 2), bottom - tall
            path = brush.polyline([(at, bottom), (end, top + 5)])
            canvas.stroke(path, width, gray, STEM)
            left, right = end - width * 0.62, end + width * 0.62
            knot = brush.polyline(
                [(left, top + 1), (end, top + 4), (right, top)]
            )
            canvas.stroke(knot, 3.6, gray * 0.35, TWIG)
            if bottom < 560 and rng.random() < 0.85:
                way = -1 if rng.random() < 0.72 else 1
                _brush_twig(canvas, rng, (end, top), way, gray)
            at, bottom = end, top


def _brush_twig(
    canvas: brush.Canvas,
    rng: Rng,
    root: tuple[float, float],
    way: int,
    gray: float,
) -> None:
    """Brushes one twig and the leaves that hang from its joints."""
    reach = rng.uniform(70, 150)
    knots = [
        (root[0] + way * reach * t, root[1] - 46 * t + 40 * t * t)
        for t in (0, 0.35, 0.7, 1)
    ]
    canvas.stroke(brush.polyline(knots), 2.6, gray * 0.7, TWIG)
    for px, py in knots[1:]:
        for _ in range(rng.integers(3, 6)):
            turn = np.pi / 2 - way * rng.uniform(-0.5, 1.15)
            size = rng.uniform(46, 112)
            tip = (px + size * np.cos(turn), py + size * np.sin(turn))
            sag = ((px + tip[0]) / 2, (py + tip[1]) / 2 - 5)
            shade = np.clip(gray * rng.uniform(0.1, 1.2), 0.03, 0.8)
            path = brush.polyline([(px, py), sag, tip])
            canvas.stroke(path, 3 + size * 0.13, shade, LEAF)


def _stamp_seal(rng: Rng, image: Array, x: Array, y: Array) -> Array:
    """Presses a worn red seal with an invented sign onto the paper."""
    u, v = (x - 96) / 25, (y - 668) / 25
    rim = np.maximum(np.abs(u), np.abs(v)) + 0.02 * maps.noise(rng, 6, 3)
    seal = rim < 1
    for cx, cy, half_width, half_height in (
        (0, -0.55, 0.6, 0.09), (0, 0.0, 0.42, 0.09), (0, 0.58, 0.62, 0.09),
        (0, 0, 0.09, 0.62), (-0.5, 0.3, 0.08, 0.3), (0.5, 0.3, 0.08, 0.3),
    ):  # fmt: skip
        bar = (np.abs(u - cx) < half_width) & (np.abs(v - cy) < half_height)
        seal &= ~bar
    worn = maps.smooth(-1.6, -0.4, maps.noise(rng, 5, 3))
    return colors.mix(image, colors.rgb("b3261e"), 0.88 * seal * worn)
