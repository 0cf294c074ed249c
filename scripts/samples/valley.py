"""A valley by day: fields, trees, a winding river, far mountains."""

from __future__ import annotations

import numpy as np

from samples import brush, colors, maps, terrain
from samples.maps import WIDTH, Array, Rng
from samples.terrain import EYE, FOCAL, SKYLINE, SUN

DAB = brush.Brush(tone=0.05, ragged=0.0, blunt=2.5)
LEVEL = np.zeros((maps.ROWS, maps.COLUMNS), "f4")  # The angles of the dabs.


def paint(rng: Rng) -> Array:
    """Renders sky and ground, and dabs the trees onto them."""
    x, y = maps.grid()
    sky = _sky(rng, x, y)
    view = terrain.look(x[0])
    land = _land(view, x, y, sky)
    canvas = brush.Canvas(rng, np.where(view.hit[..., None], land, sky))
    _plant_trees(canvas, rng)
    bloom = 0.10 * maps.blur(np.clip(canvas.paint - 0.7, 0, 1), 8)
    grain = 1 + 0.012 * maps.noise(rng, 1, 1)
    return maps.shrink((canvas.paint + bloom) * grain[..., None])


def _sky(rng: Rng, x: Array, y: Array) -> Array:
    """Returns a blue sky with heaped clouds, lit from the left."""
    high = np.clip((SKYLINE - y) / SKYLINE, 0, 1)
    blues = colors.palette("e6ecec b3cde3 5c8fc4")
    sky = colors.ramp(high, [0, 0.25, 1], blues)
    puff = np.full_like(x, -9.0)
    for cx, cy, s in (
        (230, 170, 1.25), (610, 150, 1.0), (905, 205, 0.8),
        (430, 245, 0.55), (80, 262, 0.5), (760, 262, 0.45),
    ):  # fmt: skip
        for _ in range(36):
            away = rng.uniform(-1, 1)
            reach = 1 - away**2
            px = cx + s * away * 150
            py = cy + s * (14 - rng.uniform(0, 62) * reach)
            r = s * rng.uniform(22, 46) * (0.4 + 0.6 * reach)
            ball = r - np.hypot(x - px, (y - py) * 1.1)
            flat = (cy + 22 * s - y) * 0.9
            puff = np.maximum(puff, np.minimum(ball, flat) / (34 * s))
    warp_x, warp_y = 9 * maps.noise(rng, 60, 5), 7 * maps.noise(rng, 60, 5)
    puff = maps.sample(puff, x + warp_x, y + warp_y)
    billow = maps.fractal(x / 62, y / 52, 7)
    body = puff + 0.27 * billow
    veil = maps.smooth(-0.02, 0.30, body)
    thick = maps.blur(np.clip(body, 0, 1), 5)
    toward = maps.sample(thick, x - 16, y - 20)
    wide = maps.blur(np.clip(body, 0, 1), 18)
    lit = 0.62 + 1.3 * (thick - toward) - 0.45 * (wide - 0.25)
    lit += 0.352 * (billow - maps.fractal((x - 7) / 62, (y - 8) / 52, 7))
    whites = colors.palette("8d9db4 d3d9e2 fffaf0")
    cloud = colors.ramp(lit, [0, 0.45, 0.8], whites)
    cloud = colors.mix(cloud, colors.rgb("d5e0e8"), 0.5 * (1 - high) ** 3)
    return colors.mix(sky, cloud, 0.96 * veil)


def _land(view: terrain.View, x: Array, y: Array, sky: Array) -> Array:
    """Returns the ground under the sun, its river and the air before it."""
    wx, wz = view.x, view.z
    land = terrain.color(wx, wz, view.wood, view.height)
    shadow = maps.fractal(wx / 900 + 3, wz / 1300 + 8, 3)
    sun = np.clip(1.3 * view.light - 0.18, 0, 1.1)
    sun = sun * (1 - 0.55 * maps.smooth(-0.1, 0.35, shadow))
    warm, cool = np.array([1.02, 0.92, 0.70]), np.array([0.42, 0.50, 0.62])
    land = land * (cool + sun[..., None] * warm)
    off = np.abs(wx - terrain.river(wz))
    ripple = maps.fractal(wx / 5, wz / 4, 4)
    water = maps.sample(sky, x + 4 * ripple, 2 * SKYLINE - y - 40)
    clear = 0.35 + 0.4 * maps.smooth(90, 700, wz)
    water = colors.mix(colors.rgb("47636a"), water, clear)
    bank = 0.75 * maps.smooth(12, 21, off + 3 * ripple)
    water = colors.mix(water, colors.rgb("3d5136"), bank)
    water = water * (1 + 0.13 * ripple)[..., None]
    wet = (off < 22) & (wz < 6000)
    land = np.where(wet[..., None], water, land)
    low, high = colors.rgb("a9c3dc"), colors.rgb("cfdde6")
    haze = colors.mix(low, high, maps.smooth(900, 0, view.height))
    land = colors.mix(land, haze, 1 - np.exp(-wz / 8500))
    gray = land.mean(-1, keepdims=True)
    return 0.86 * land + 0.14 * gray * np.array([1.05, 1.0, 0.9])


def _plant_trees(canvas: brush.Canvas, rng: Rng) -> None:
    """Plants trees from far to near; every leaf is one dab of the brush."""
    spots = [(-62.0, 132.0, 34.0), (78.0, 150.0, 27.0)]
    spots += [(104.0, 185.0, 30.0), (-128.0, 215.0, 26.0)]
    for _ in range(170):
        z = rng.uniform(200, 1500)
        way = rng.choice([-1, 1])
        middle = terrain.river(np.array([z], "f4"))[0]
        x = middle + way * rng.uniform(30, 60)
        if rng.random() < 0.5:
            x = rng.uniform(-0.6, 0.6) * z
        spots.append((x, z, rng.uniform(9, 19)))
    for x, z, tall in sorted(spots, key=lambda spot: -spot[1]):
        heights, _ = terrain.ground(np.array([x], "f4"), np.array([z], "f4"))
        if heights[0] < -1:
            continue
        scale = FOCAL / z
        row = SKYLINE + (EYE - heights[0]) * scale
        foot = np.array([WIDTH / 2 + x * scale, row])
        _plant_tree(canvas, rng, foot, tall * scale, np.exp(-z / 4200))


def _plant_tree(
    canvas: brush.Canvas, rng: Rng, foot: Array, tall: float, clear: float
) -> None:
    """Dabs a tree: its shadow, its trunk and the leaves of its crown."""
    air = colors.rgb("b4cbdd")
    count = int(np.clip(tall * tall * 0.6, 90, 20000))
    size = np.clip(tall / 50, 1.0, 2.6)
    spread = np.array([0.20, 0.035]) * tall
    shift = np.array([0.26, 0.02]) * tall
    spot = foot + shift + spread * rng.normal(0, 1, (count // 4, 2))
    dark = air + (colors.rgb("34481f") - air) * clear
    canvas.stroke(brush.trace(LEVEL, spot, size * 2), size, dark, DAB)
    trunk = np.stack((foot, foot - (tall * 0.01, tall * 0.55)))
    bark = colors.rgb("3a3026")
    canvas.stroke(brush.polyline(trunk), tall * 0.042, bark, DAB)
    # Leaves sit on small balls, and the balls fill an egg-shaped crown.
    balls = int(np.clip(tall * 0.7, 18, 110))
    clumps = _directions(rng, balls)
    clumps *= rng.uniform(0.3, 1, (balls, 1)) * (0.31, 0.36, 0.31)
    clumps[:, 0] *= 1 - 0.8 * clumps[:, 1]
    owner = rng.integers(balls, size=count)
    leaf = _directions(rng, count)
    reach = rng.uniform(0.05, 0.125, (balls, 1))[owner]
    spot = clumps[owner] + leaf * reach * rng.normal(1, 0.16, (count, 1))
    order = np.argsort(-spot[:, 2])
    spot, leaf = spot[order], leaf[order]
    lit = 0.36 * leaf @ SUN + 1.35 * spot @ SUN
    lit = lit + rng.normal(0, 0.14, count)
    greens = colors.palette("0f1a10 20331a 3b5724 667c34 a2a652")
    color = colors.ramp(lit, [-0.5, -0.15, 0.2, 0.5, 0.85], greens)
    color = air + (color - air) * clear
    start = foot + spot[:, :2] * (tall, -tall) - (0, tall * 0.53)
    canvas.stroke(brush.trace(LEVEL, start, size), size, color, DAB)


def _directions(rng: Rng, count: int) -> Array:
    """Returns random directions in space, [N, 3]."""
    way = rng.normal(0, 1, (count, 3))
    return way / np.linalg.norm(way, axis=1, keepdims=True)
