"""A town by the water at dusk: lit windows, boats and broken reflections.

Light is added up in linear numbers, and becomes a picture at the end.
"""

from __future__ import annotations

import numpy as np

from samples import colors, maps
from samples import town as towns
from samples.maps import HEIGHT, SCALE, WIDTH, Array, Rng

# The eye is this many meters above the water, and looks level at the horizon's
# row; FOCAL is in pixels.
EYE, FOCAL, HORIZON = 5.0, 960.0, 420.0


def paint(rng: Rng) -> Array:
    """Renders the town twice: as it is, and as the water sees it."""
    x, y = maps.grid()
    town = towns.build(rng)
    sky = _sky(x, y)
    mirror, _ = _render(town, sky[::SCALE, ::SCALE], -EYE)
    image, depth = _render(town, sky, EYE)
    wet = np.isinf(depth) & (y > HORIZON)
    image = np.where(wet[..., None], _water(mirror, x, y), image)
    bloom = maps.blur(np.clip(image - 0.6, 0, 3), 9)
    image = image + 0.5 * bloom
    image = (1 - np.exp(-1.8 * image)) ** (1 / 2.2)
    image = 0.45 * image + 0.55 * maps.smooth(0.02, 0.98, image)
    return maps.shrink(image * (1 + 0.012 * maps.noise(rng, 1, 1))[..., None])


def sky_mask(rng: Rng) -> Array:
    """Returns where the picture shows sky: 1, softly down to 0, in gray."""
    x, y = maps.grid()
    _, depth = _render(towns.build(rng), _sky(x, y), EYE)
    sky = (np.isinf(depth) & (y <= HORIZON)).astype("f4")
    return maps.shrink(np.repeat(maps.blur(sky, 6)[..., None], 3, -1))


def _sky(x: Array, y: Array) -> Array:
    """Returns a glowing sky with clouds and two rows of far hills."""
    high = np.clip((HORIZON - y) / HORIZON, 0, 1)
    glow = colors.palette("ff9a4a f7925c b97c8c 5a6a9e 22345f") ** 2.0
    sky = colors.ramp(high, [0, 0.10, 0.28, 0.55, 1], glow)
    west = np.exp(-(((x - 330) / 380) ** 2))
    sky *= (0.62 + 0.6 * west * np.exp(-high * 2.2))[..., None]
    # The clouds lie on a ceiling, so they narrow towards the horizon.
    far = 1 / (high + 0.10)
    u, v = (x - 400) / 520 * far, far * 2.1
    warp = maps.fractal(u * 0.7, v * 0.7, 3)
    u, v = u + 0.8 * warp, v * 1.3 + 0.5 * warp
    cloud = maps.fractal(u, v, 7)
    under = maps.fractal(u, v + 0.16, 7)
    thick = maps.smooth(-0.02, 0.62, cloud + 0.10)
    rim = np.clip((cloud - under) * 1.5 + 0.35, 0, 1)
    dark = colors.palette("8a5a62 4a4666 232a48") ** 2.0
    fire = colors.palette("ffb066 ff8f66 b06a7e") ** 1.8
    shadow = colors.ramp(high, [0, 0.4, 1], dark)
    light = colors.ramp(high, [0, 0.35, 1], fire)
    light = light * (0.55 + 0.75 * west)[..., None]
    sky = colors.mix(sky, colors.mix(shadow, light, rim), 0.9 * thick)
    for k, level, rise, code in (
        (0, 258, 74, "5d5478"),
        (1, 330, 40, "3f3a54"),
    ):
        u = x[:1] / (260 - 60 * k) + 9 * k
        v = np.full_like(u, k)
        crest = level - rise * maps.fractal(u, v, 7, gain=0.4)
        crest = crest - 60 * np.exp(-(((x[:1] - 760) / 190) ** 2))
        wood = 1 + 0.09 * maps.fractal(x / 6, y / 4 + k, 3)
        hill = colors.rgb(code) ** 2.2 * wood[..., None]
        mist = 0.55 * maps.smooth(0, 150, y - crest)
        hill = colors.mix(hill, colors.rgb("b07a74") ** 2.2, mist)
        sky = colors.mix(sky, hill, maps.smooth(-0.7, 0.7, y - crest))
    return sky.astype("f4")


def _water(mirror: Array, x: Array, y: Array) -> Array:
    """Returns rippled water: broken mirror images, streaks and depth."""
    below = np.clip(y - HORIZON, 1, None)
    z = EYE * FOCAL / below
    across = (x - WIDTH / 2) / FOCAL * z
    slope = np.zeros_like(x)
    side = np.zeros_like(x)
    for size, gain in ((2.6, 0.55), (0.9, 0.5), (0.34, 0.38)):
        # Ripples finer than a pixel would only sparkle.
        seen = maps.smooth(0.25, 1.5, size * 0.45 * below**2 / (EYE * FOCAL))
        ripple = maps.fractal(across / size / 2.2, z / size, 2)
        slope += gain * (0.25 + 0.75 * seen) * ripple
        side += gain * seen * maps.fractal(across / size / 2 + 40, z / size, 2)
    near = 5 + 0.14 * below
    image = np.zeros((*x.shape, 3))
    for k, share in ((0.35, 0.22), (0.8, 0.26), (1.3, 0.24), (2.0, 0.28)):
        column = x + side * near * k * 0.5
        row = 2 * HORIZON - y - slope * near * k * 2.4
        image += share * maps.sample(mirror, column, row)
    facing = np.clip(below / 420 + 0.35 * slope, 0, 1)
    deep = np.array([0.012, 0.030, 0.050], "f4")
    return image * (0.90 - 0.62 * facing)[..., None] + deep


def _render(town: towns.Town, sky: Array, eye: float) -> tuple[Array, Array]:
    """Returns the town before the sky, at the sky's scale, and its depth.

    An eye below the water sees what the water mirrors, upside down.
    """
    tall, wide = sky.shape[:2]
    scale = tall / HEIGHT
    dx = ((np.arange(wide) + 0.5) / scale - WIDTH / 2) / FOCAL
    dy = (HORIZON - (np.arange(tall) + 0.5) / scale) / FOCAL
    depth = np.full((tall, wide), np.inf, "f4")
    albedo, glow, normal = np.zeros((3, tall, wide, 3), "f4")
    for panel in town.panels:
        origin, a, b = panel.origin - (0, eye, 0), panel.a, panel.b
        corners = origin + np.array([a * 0, a, b, a + b])
        if corners[:, 2].min() < 1:
            continue
        px = (corners[:, 0] / corners[:, 2] * FOCAL + WIDTH / 2) * scale
        py = (HORIZON - corners[:, 1] / corners[:, 2] * FOCAL) * scale
        c0, c1 = np.clip((px.min(), px.max() + 1), 0, wide).astype(int)
        r0, r1 = np.clip((py.min(), py.max() + 1), 0, tall).astype(int)
        n = np.cross(a, b)
        if c0 >= c1 or r0 >= r1 or abs(n @ origin) < 1e-6:
            continue
        ray_x, ray_y = dx[None, c0:c1], dy[r0:r1, None]
        away = n[0] * ray_x + n[1] * ray_y + n[2]
        z = (n @ origin) / np.where(np.abs(away) < 1e-9, 1e-9, away)
        hit = np.stack((ray_x * z, ray_y * z, z), -1) - origin
        inverse = np.linalg.pinv(np.stack((a, b), 1))
        u, v = hit @ inverse[0], hit @ inverse[1]
        inside = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1) & (z > 0.5)
        inside &= (z < depth[r0:r1, c0:c1]) & (ray_y * z + eye > 0)
        if panel.shape == "gable":
            inside &= np.abs(2 * u - 1) + v <= 1
        if panel.shape == "corner":
            inside &= u + v <= 1
        across = u[inside] * np.linalg.norm(a)
        above = v[inside] * np.linalg.norm(b)
        color, light, solid = panel.surface(across, above)
        rows, cols = np.argwhere(inside)[solid].T
        at = rows + r0, cols + c0
        depth[at] = z[rows, cols]
        albedo[at] = np.clip(color[solid], 0, 1) ** 2.2
        glow[at] = light[solid]
        normal[at] = n / np.linalg.norm(n) * (-1 if n @ origin > 0 else 1)
    seen = np.isfinite(depth)
    rows, cols = np.nonzero(seen)
    z = depth[seen]
    spots = np.stack((dx[cols] * z, dy[rows] * z + eye, z), -1)
    light = _light(town, spots, normal[seen]) * albedo[seen] + glow[seen]
    haze = 1 - np.exp(-z / 800)[:, None]
    image = sky.copy()
    image[seen] = light * (1 - haze) + haze * np.array([0.26, 0.19, 0.25])
    for lamp in town.lamps:
        image += _flare(lamp - (0, eye, 0), dx, dy, depth)
    return image, depth


def _light(town: towns.Town, spot: Array, normal: Array) -> Array:
    """Returns the light of the sky, of the glow in the west and the lamps."""
    west = np.array([-0.75, 0.25, -0.3])
    sky = np.array([0.42, 0.50, 0.85]) * (0.75 + 0.45 * normal[:, 1:2])
    sun = np.array([1.5, 0.62, 0.35]) * np.clip(normal @ west, 0, 1)[:, None]
    light = 0.36 * sky + 0.62 * sun
    for lamp in town.lamps:
        way = lamp - spot
        far = (way**2).sum(1)
        facing = np.clip((way * normal).sum(1) / np.sqrt(far + 0.1), 0, 1)
        power = 14 * (0.15 + facing) / (4 + far)
        light += power[:, None] * np.array([1.0, 0.6, 0.26])
    return light


def _flare(lamp: Array, dx: Array, dy: Array, depth: Array) -> Array:
    """Returns the bulb of a lamp and the light in the air around it."""
    x = (dx - lamp[0] / lamp[2])[None] * lamp[2]
    y = (dy - lamp[1] / lamp[2])[:, None] * lamp[2]
    far = x**2 + y**2
    air = 0.05 / (0.1 + far) * maps.smooth(9, 0, far)
    light = (3.5 * (far < 0.05) + air) * (depth > lamp[2] - 0.5)
    return light[..., None] * np.array([1.0, 0.66, 0.32])
