"""A sunlit park by a river, in points of pure color that mix in the eye."""

from __future__ import annotations

import numpy as np

from samples import brush, colors, maps
from samples.maps import Array, Rng

PURE = colors.palette(
    "f7f1dc f9e27d f6c12f ee8a2b e0532f c22f3f d987a8 8a4a9c 4b3f9a 2a4fae "
    "3f86cf 8fc3e8 2f9c94 2a7a48 69a83a b9cf4a 1c2a5c efc9a0"
)

# Outlines in pixels, from the foot; y points down.
SAIL = [(0, 0), (0, -74), (38, -6)]
BOAT = [(-34, 0), (42, 0), (30, 9)]
DRESS = [(-15, 0), (-6, -30), (-9, -52), (9, -52), (6, -30), (15, 0)]
SHADOW = [(-8, 0), (13, 0), (90, 16)]


def paint(rng: Rng) -> Array:
    """Sets ever smaller points on a primed canvas."""
    scene = _park(rng)
    canvas = brush.Canvas(rng, colors.rgb("e8dcc0"))
    angle = 0.8 * maps.noise(rng, 120, 2)
    look = brush.Brush(tone=0.03, ragged=0.0, blunt=2.2, body=0.7)
    for size, count, spread in (
        (8.0, 15000, 0.10), (5.4, 40000, 0.13), (3.4, 42000, 0.13),
    ):  # fmt: skip
        start = brush.cover(rng, count, 4)
        goal = maps.pick(scene, start)
        # Push away from gray, and answer some points by their complement.
        goal = goal + 0.35 * (goal - goal.mean(1, keepdims=True))
        other = rng.random((count, 1)) < 0.08
        goal = np.where(other, 0.62 * (1.15 - goal) + 0.25 * goal, goal)
        goal = goal + rng.normal(0, spread, (count, 3))
        gap = ((goal[:, None] - PURE) ** 2).sum(-1)
        color = PURE[gap.argmin(1)] * rng.normal(1, 0.035, (count, 1))
        paths = brush.trace(angle, start - size / 2, size * 1.05)
        widths = size * rng.uniform(0.75, 1.15, count)
        canvas.stroke(paths, widths, color, look)
    canvas.relief += 0.06 * canvas.tooth
    return maps.shrink(canvas.lit(0.16, shine=0.1))


def _park(rng: Rng) -> Array:
    """Returns the park that the points are taken from, from far to near."""
    x, y = maps.grid()
    rough = maps.noise(rng, 46, 4)
    bank = 330 + 8 * np.sin(x / 140)
    shore = 470 + 0.16 * (x - 200) + 30 * np.sin(x / 210)
    water = (y > bank) & (y < shore)
    scene = _far_bank(rng, x, y, rough, bank)
    mirror = maps.sample(
        scene,
        x + 5 * maps.noise(rng, 5, 2, 8),
        2 * bank - y + 5 * maps.noise(rng, 7, 2, 6),
    )
    mirror = mirror * 0.82 + colors.rgb("20406c") * 0.2
    scene = np.where(water[..., None], mirror, scene)
    scene = _boats(scene, water)
    scene = _lawn(rng, x, y, scene, rough, shore)
    scene = _near_trees(x, y, scene, rough)
    scene = _walkers(x, y, scene)
    return np.clip(scene, 0, 1)


def _crown(
    rough: Array,
    x: Array,
    y: Array,
    at: tuple[float, float],
    size: tuple[float, float],
) -> Array:
    """Returns how far a place is inside a ragged crown: 1 at its heart."""
    d = np.hypot((x - at[0]) / size[0], (y - at[1]) / size[1])
    return 1 - d + 0.14 * np.roll(rough, int(7 * at[0]), axis=1)


def _far_bank(rng: Rng, x: Array, y: Array, rough: Array, bank: Array) -> Array:
    """Returns the sky, the far hills and the trees of the other bank."""
    sky = colors.palette("6fa3dc a9cdec f3e6c4")
    scene = colors.ramp(y, [0, 190, 320], sky)
    cloud = maps.smooth(0.5, 1.7, maps.noise(rng, 60, 4, 2.6))
    scene = colors.mix(scene, colors.rgb("fff4de"), 0.75 * cloud)
    far = 282 - 26 * maps.noise(rng, 150, 4)[300] * 0.6
    hills = maps.smooth(-2, 3, y - far)
    scene = colors.mix(scene, colors.rgb("7f94bd"), hills)
    for cx in range(30, 1020, 62):
        tall = rng.uniform(46, 95)
        at = (cx + rng.normal(0, 16), bank[0, cx] - tall * 0.5)
        size = (rng.uniform(18, 48), tall * 0.72)
        crown = _crown(rough, x, y, at, size)
        sunny = maps.smooth(-0.6, 0.7, ((at[0] - x) + (at[1] - y)) / size[0])
        greens = colors.palette("2c4a63 4f8a4c c2cf5a")
        tree = colors.ramp(sunny, [0, 0.5, 1], greens)
        inside = maps.smooth(0, 0.15, crown) * (y < bank + 2)
        scene = colors.mix(scene, tree, inside)
    return scene


def _boats(scene: Array, water: Array) -> Array:
    """Returns the scene with sailing boats and their reflections."""
    for cx, cy, s in ((560, 372, 1.0), (770, 402, 1.4), (420, 352, 0.6)):
        sail = maps.place(SAIL, cx, cy, s)
        below = [(px, 2 * cy + 12 * s - py) for px, py in sail]
        jib = [(cx - 4, cy), (cx - 4, cy - 60 * s), (cx - 24 * s, cy - 5 * s)]
        for code, mask in (
            ("f4e6cf", 0.55 * maps.polygon(below) * water),
            ("fffaf0", maps.polygon(sail)),
            ("f2cfa4", maps.polygon(jib)),
            ("a33b2c", maps.polygon(maps.place(BOAT, cx, cy, s))),
        ):
            scene = colors.mix(scene, colors.rgb(code), mask)
    return scene


def _lawn(
    rng: Rng, x: Array, y: Array, scene: Array, rough: Array, shore: Array
) -> Array:
    """Returns the scene with the near bank: grass, a path, shadows."""
    lawn = colors.ramp(
        (y - shore) / 300 + 0.12 * maps.noise(rng, 60, 4, 3),
        [0, 0.4, 1],
        colors.palette("d8d765 a5c24a 6d9c3c"),
    )
    land = maps.smooth(-1.5, 1.5, y - shore)
    scene = colors.mix(scene, lawn, land)
    path = np.abs(x - (1050 - 1.9 * (y - 480) + 60 * np.sin(y / 70)))
    path = maps.smooth(0, 16, 40 + 0.32 * (y - 500) - path)
    scene = colors.mix(scene, colors.rgb("f3dcae"), path * land)
    shade = np.maximum(
        _crown(rough, x, y, (330, 676), (420, 62)),
        _crown(rough, x, y, (860, 640), (170, 26)),
    )
    shade = 0.72 * maps.smooth(0, 0.3, shade) * land
    return colors.mix(scene, colors.rgb("2f5a74"), shade)


def _near_trees(x: Array, y: Array, scene: Array, rough: Array) -> Array:
    """Returns the scene with two large trees."""
    for trunk, crowns in (
        ([(150, 690), (168, 480), (150, 250),
          (196, 250), (204, 480), (222, 696)],
         [(170, 150, 210, 150), (60, 60, 150, 120), (320, 70, 150, 84)]),
        ([(872, 640), (880, 540), (876, 440),
          (892, 440), (898, 540), (906, 640)],
         [(884, 400, 86, 116), (850, 330, 50, 70), (930, 350, 46, 60)]),
    ):  # fmt: skip
        browns = colors.palette("3d2c52 8a5a4a d79a5e")
        bark = colors.ramp((trunk[3][0] - x) / 40, [-0.4, 0.3, 1], browns)
        scene = colors.mix(scene, bark, maps.polygon(trunk))
        for cx, cy, rx, ry in crowns:
            crown = _crown(rough, x, y, (cx, cy), (rx, ry))
            sunny = ((cx - x) / rx + (cy - y) / ry) * 0.5
            sunny = sunny + 0.26 * np.roll(rough, cx * 3, axis=0)
            greens = colors.palette("1f3557 2f6a4a 7fae3f e6dd6a")
            tree = colors.ramp(sunny, [-0.6, -0.1, 0.35, 0.8], greens)
            scene = colors.mix(scene, tree, maps.smooth(0.02, 0.14, crown))
    return scene


def _walkers(x: Array, y: Array, scene: Array) -> Array:
    """Returns the scene with people in hats, and their shadows."""
    for cx, cy, s, coat in (
        (470, 585, 1.0, "b8324a"), (505, 588, 0.96, "2f4a94"),
        (612, 560, 0.7, "f4ecf0"), (716, 672, 1.35, "7a3f86"),
        (686, 676, 0.9, "e0703a"),
    ):  # fmt: skip
        shadow = maps.polygon(maps.place(SHADOW, cx, cy, s))
        dress = maps.polygon(maps.place(DRESS, cx, cy, s))
        head = np.hypot(x - cx, (y - cy + 59 * s) * 0.85) < 8 * s
        hat = np.hypot((x - cx) * 0.45, y - cy + 68 * s) < 6 * s
        for code, mask in (
            ("2f4f78", 0.7 * shadow), (coat, dress),
            ("e08a5c", head), ("232a66", hat),
        ):  # fmt: skip
            scene = colors.mix(scene, colors.rgb(code), mask)
    return scene
