"""Paint the sample pictures of the project.

The content and style pictures that the presets name are rendered here with
numpy and Pillow alone: nothing is traced or copied, and every picture has a
fixed seed, so the same script always paints the same pictures.

    python scripts/paint_samples.py [--only NAME] [--output DIR]
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 1024, 768
SS = 2  # Every picture is painted this many times larger, for clean edges.
W, H = WIDTH * SS, HEIGHT * SS
MAX_BYTES = 250_000
OUTPUT = Path(__file__).resolve().parents[1] / "configs" / "images"

Array = np.ndarray
Rng = np.random.Generator


# --- Tools: colour, noise, sampling ---------------------------------------


def rgb(code: str) -> Array:
    """Return the colour of a hexadecimal code, such as "2b3a67"."""
    return np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], "f4") / 255


def palette(codes: str) -> Array:
    """Return the colours of codes separated by spaces, [N, 3]."""
    return np.stack([rgb(code) for code in codes.split()])


def ramp(value: Array, stops: list[float], colours: Array) -> Array:
    """Colour a map of values by linear interpolation between stops."""
    channels = [np.interp(value, stops, colours[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).astype("f4")


def smooth(low: float, high: float, value: Array) -> Array:
    """Rise smoothly from 0 to 1 while the value goes from low to high."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Array, b: Array, weight: Array) -> Array:
    """Blend two colour maps with a weight map [H, W]."""
    return a + (b - a) * np.asarray(weight, "f4")[..., None]


def grid() -> tuple[Array, Array]:
    """Return x and y of every sample, in pixels of the finished picture."""
    x, y = np.meshgrid(np.arange(W, dtype="f4"), np.arange(H, dtype="f4"))
    return (x + 0.5) / SS, (y + 0.5) / SS


def resize(a: Array, width: int, height: int) -> Array:
    """Resize a float map [h, w] with cubic interpolation."""
    image = Image.fromarray(np.ascontiguousarray(a, "f4"))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def noise(
    rng: Rng, cell: float, octaves: int = 5, stretch: float = 1.0
) -> Array:
    """Return a noise map of unit deviation; cell is its largest feature."""
    total = np.zeros((H, W), "f4")
    for octave in range(octaves):
        tall = max(1.0, cell * SS / 2**octave)
        wide = max(1.0, tall * stretch)
        rows, cols = int(H / tall) + 3, int(W / wide) + 3
        lattice = rng.standard_normal((rows, cols))
        layer = resize(lattice, int(cols * wide), int(rows * tall))
        total += layer[:H, :W] * 0.5**octave
    return total / total.std()


def blur(a: Array, radius: float) -> Array:
    """Blur the first two axes by three box filters."""
    r = max(1, round(radius * SS))
    for axis in (0, 1) * 3:
        pad = [(0, 0)] * a.ndim
        pad[axis] = (r + 1, r)
        total = np.cumsum(np.pad(a, pad, mode="edge"), axis, dtype="f8")
        ahead = np.take(total, range(2 * r + 1, total.shape[axis]), axis)
        behind = np.take(total, range(total.shape[axis] - 2 * r - 1), axis)
        a = ((ahead - behind) / (2 * r + 1)).astype("f4")
    return a


def sample(a: Array, x: Array, y: Array) -> Array:
    """Look up a map at fractional positions, clamped at the borders."""
    x = np.clip(x, 0, a.shape[1] - 1.001)
    y = np.clip(y, 0, a.shape[0] - 1.001)
    col, row = x.astype("i4"), y.astype("i4")
    fx, fy = x - col, y - row
    if a.ndim == 3:
        fx, fy = fx[..., None], fy[..., None]
    top = a[row, col] * (1 - fx) + a[row, col + 1] * fx
    low = a[row + 1, col] * (1 - fx) + a[row + 1, col + 1] * fx
    return top * (1 - fy) + low * fy


LATTICE = np.random.default_rng(0).uniform(-1, 1, (256, 256)).astype("f4")


def fractal(
    x: Array,
    y: Array,
    octaves: int = 4,
    ridged: bool = False,
    gain: float = 0.55,
) -> Array:
    """Return noise at any coordinates (world space), about -1 to 1."""
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


def scatter(i: Array, j: Array, seed: float) -> Array:
    """Return a random number in 0..1 for every pair of whole numbers."""
    value = np.sin(i * 12.9898 + j * 78.233 + seed * 37.719) * 43758.5453
    return value - np.floor(value)


def mask_of(shapes: list[list[tuple[float, float]]]) -> Array:
    """Return a mask [H, W] of filled polygons."""
    image = Image.new("L", (W, H))
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        draw.polygon([(x * SS, y * SS) for x, y in shape], fill=255)
    return np.asarray(image, "f4") / 255


def shrink(image: Array) -> Array:
    """Average the samples of each pixel of the finished picture."""
    image = image.reshape(HEIGHT, SS, WIDTH, SS, 3).mean((1, 3))
    return np.clip(image, 0, 1)


# --- Tools: the brush -----------------------------------------------------


class Canvas:
    """Paint [H, W, 3], the height of the paint and the tooth below it."""

    def __init__(self, rng: Rng, colour: Array) -> None:
        self.paint = np.empty((H, W, 3), "f4")
        self.paint[:] = colour
        self.relief = np.zeros((H, W), "f4")
        self.tooth = noise(rng, 3, 2)

    def lit(self, strength: float, shine: float = 0.0) -> Array:
        """Return the paint under a light from the upper left."""
        height = blur(self.relief, 0.5)
        slope = np.diff(height, axis=1, prepend=0)
        slope += np.diff(height, axis=0, prepend=0)
        light = np.clip(strength * slope, -0.45, 0.45)
        gloss = shine * np.clip(light - 0.12, 0, 1)
        return self.paint * (1 + light)[..., None] + gloss[..., None]


def trace(angle: Array, start: Array, length: float) -> Array:
    """Follow an angle map from the start points [N, 2]: [N, K, 2]."""
    step = 0.42
    path = np.empty((len(start), max(4, int(length / step)), 2), "f4")
    position = start.astype("f4")
    for k in range(path.shape[1]):
        path[:, k] = position
        col = np.clip(position[:, 0] * SS, 0, W - 1).astype("i4")
        row = np.clip(position[:, 1] * SS, 0, H - 1).astype("i4")
        turn = angle[row, col]
        position = position + step * np.stack((np.cos(turn), np.sin(turn)), 1)
    return path


def polyline(points: list[tuple[float, float]]) -> Array:
    """Return one smooth path [1, K, 2] through the points."""
    points = np.array(points, "f4")
    length = np.abs(np.diff(points, axis=0)).sum()
    t = np.linspace(0, len(points) - 1, max(4, int(length / 0.42)))
    knots = np.arange(len(points))
    path = [np.interp(t, knots, points[:, axis]) for axis in (0, 1)]
    return np.stack(path, -1)[None].astype("f4")


@dataclass(frozen=True)
class Brush:
    """How a brush lays its paint."""

    tone: float = 0.06  # Difference of colour from hair to hair.
    ragged: float = 0.12  # How unevenly the hairs begin and end.
    blunt: float = 8.0  # 2 is an ellipse, more is a bar, 1 is a leaf.
    point: float = 0.5  # More than 0.5 draws the ends out.
    dry: float = 0.0  # How much of the tooth stays bare at the end.
    body: float = 1.0  # Height of the paint.


def stroke(
    canvas: Canvas,
    rng: Rng,
    paths: Array,
    width: Array | float,
    colour: Array,
    brush: Brush,
) -> None:
    """Lay strokes along the paths [N, K, 2], each over those before it."""
    count, steps = paths.shape[:2]
    width = np.broadcast_to(np.asarray(width, "f4"), count)
    colour = np.broadcast_to(colour, (count, 3))
    hairs = int(np.ceil(width.max() * SS * 1.25)) + 2
    some = max(1, 1_000_000 // (steps * hairs))
    for i in range(0, count, some):
        part = slice(i, i + some)
        _lay(canvas, rng, paths[part], width[part], colour[part], hairs, brush)


def _lay(
    canvas: Canvas,
    rng: Rng,
    paths: Array,
    width: Array,
    colour: Array,
    hairs: int,
    brush: Brush,
) -> None:
    """Lay some strokes hair by hair; numpy keeps the last of equal pixels."""
    count, steps = paths.shape[:2]
    u = np.linspace(0, 1, steps, dtype="f4")[None, :, None]
    v = np.linspace(-1, 1, hairs, dtype="f4")
    along = np.gradient(paths, axis=1)
    along /= np.linalg.norm(along, axis=-1, keepdims=True) + 1e-6
    full = 1 - np.abs(2 * u[0, :, 0] - 1) ** brush.blunt
    full = full**brush.point
    reach = (width[:, None] * full / 2)[:, :, None] * v * SS
    col = paths[:, :, :1] * SS - along[:, :, 1:] * reach
    row = paths[:, :, 1:] * SS + along[:, :, :1] * reach
    keep = (col >= 0) & (col < W) & (row >= 0) & (row < H)
    hair = rng.standard_normal((count, hairs)).astype("f4")
    hair = (hair + np.roll(hair, 1, 1) + 0.5 * np.roll(hair, 2, 1)) / 1.5
    early, late = np.abs(rng.standard_normal((2, count, 1, hairs), "f4"))
    keep &= (u >= brush.ragged * early * 0.5) & (u <= 1 - brush.ragged * late)
    index = (row.astype("i4") * W + col.astype("i4"))[keep]
    owner = np.arange(count * hairs, dtype="i4").reshape(count, 1, hairs)
    owner = np.broadcast_to(owner, keep.shape)[keep]
    if brush.dry:
        load = canvas.tooth.ravel()[index] + 0.8 * hair.ravel()[owner]
        fade = np.broadcast_to(u, keep.shape)[keep]
        wet = load > 4 * (brush.dry * (0.35 + fade) - 0.6)
        index, owner = index[wet], owner[wet]
    shade = colour[:, None] * (1 + brush.tone * hair[:, :, None])
    canvas.paint.reshape(-1, 3)[index] = shade.reshape(-1, 3)[owner]
    # A loaded brush leaves furrows between its hairs and a rim at its sides.
    ridge = brush.body * (0.6 + 0.22 * hair + 0.5 * v**6)
    canvas.relief.ravel()[index] = ridge.ravel()[owner]


def cover(rng: Rng, count: int, margin: float = 40) -> Array:
    """Return start points [N, 2] spread over the picture and its margin."""
    low, high = -margin, (WIDTH + margin, HEIGHT + margin)
    return rng.uniform(low, high, (count, 2))


def pick(image: Array, points: Array) -> Array:
    """Return the colours of an image below the points [N, 2]."""
    col = np.clip(points[:, 0] * SS, 0, W - 1).astype("i4")
    row = np.clip(points[:, 1] * SS, 0, H - 1).astype("i4")
    return image[row, col]


# --- Painting: a night of whirls ------------------------------------------

STARS = [
    (70, 62, 30), (214, 44, 24), (404, 74, 34), (60, 356, 28),
    (430, 248, 26), (566, 330, 22), (796, 76, 38),
    (958, 150, 30), (930, 392, 22),
]  # fmt: skip
MOON = (592, 132)
WHIRLS = [(228, 226, 132, 5.0), (826, 286, 98, -4.8), (500, 400, 60, 3.4)]


def night_sky(rng: Rng, x: Array, y: Array) -> tuple[Array, Array]:
    """Return the colours and the stroke angles of a whirling sky."""
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
        ring = 1 - smooth(0.9 * r, 2.1 * r, d)
        middle = stream[int(cy * SS), int(cx * SS)]
        stream = stream * (1 - ring) + ring * (middle + 1.3 * d)
    # Strokes run along the lines of equal stream, and so do the colours.
    angle = np.arctan2(
        -np.gradient(stream, axis=1), np.gradient(stream, axis=0)
    )
    blues = palette("0c1a4a 16358c 2a5bb8 14266b 5f93cf 1d4aa4 a9cbe0 102058")
    band = (stream / 17 + 0.5 * noise(rng, 120, 3)) % 8
    colour = ramp(band, list(range(9)), np.vstack((blues, blues[:1])))
    colour *= (0.72 + 0.4 * y / 520)[..., None]
    halo = palette("fff9df fde37a f3c53c e8d98a 8fb9a8 2f66b0")
    for cx, cy, r in STARS:
        d = np.hypot(x - cx, y - cy) / r
        rings = ramp(d, [0, 0.3, 0.5, 0.85, 1.2, 1.6], halo)
        colour = mix(colour, rings, 1 - smooth(0.8, 1.75, d))
    return colour, angle


def moon(colour: Array, x: Array, y: Array) -> Array:
    """Hang a full moon with its rings of light into the sky."""
    d = np.hypot(x - MOON[0], y - MOON[1])
    rings = palette("fffbe6 ffedb0 f4b93a d98f2e efe2a4 cfcf92 7fae9f 2c61ac")
    light = ramp(d, [0, 26, 42, 50, 62, 90, 118, 150], rings)
    return mix(colour, light, 1 - smooth(84, 150, d))


def swirling_night(rng: Rng) -> Array:
    """Thick curved strokes: whirls of blue, haloed stars, flame trees."""
    x, y = grid()
    sky, angle = night_sky(rng, x, y)
    scene = moon(sky, x, y)
    tones = [
        "34558f 24427c 4a72a6", "1f4a6e 2f6a7e 173a5e", "24594f 3c7a5c 173f45",
        "6a7a34 98933c 3c5a34", "b08a34 d6b04c 6e6a2c",
    ]  # fmt: skip
    for k, codes in enumerate(tones):
        base = 462 + 64 * k
        crest = base + 34 * np.sin(x / (190 - 18 * k) + 2.1 * k)
        crest += 12 * np.sin(x / 57 + k)
        slope = np.gradient(crest[0], 1 / SS)
        inside = y > crest
        # Furrows leave the crest and bend into the form of the hill.
        bend = np.arctan(slope)[None] + 0.5 * np.sin(x / 80 + k + y / 60)
        angle = np.where(inside, bend, angle)
        depth = (y - crest) / 16 + 0.6 * noise(rng, 60, 2)
        colours = palette(codes)[[0, 1, 2, 0]]
        scene[inside] = ramp(depth % 3, [0, 1, 2, 3], colours)[inside]
    for cx, foot, tall, wide in (
        (356, 790, 410, 38),
        (288, 790, 262, 30),
        (424, 800, 316, 32),
    ):
        t = np.clip((foot - y) / tall, 0, 1)
        sway = cx + 0.3 * wide * np.sin(t * 6 + cx)
        edge = wide * (1 - t) ** 0.75 * (0.6 + 1.1 * t**0.5)
        edge += 0.12 * wide * np.sin(y / 13 + cx) * (1 - t)
        inside = (np.abs(x - sway) < edge) & (y > foot - tall)
        lean = -np.pi / 2 + 0.5 * np.sin(y / 34 + x / 22)
        angle = np.where(inside, lean, angle)
        greens = palette("0b1712 1c3a26 3b4a1e 10251f")
        wave = (x - sway) / 11 + y / 90 + 0.5 * noise(rng, 50, 2)
        scene[inside] = ramp(wave % 3, [0, 1, 2, 3], greens)[inside]
    canvas = Canvas(rng, 0.85 * blur(scene, 2))
    layers = [(22, 92, 900), (12, 64, 3000), (7, 42, 7000), (4, 24, 7000)]
    for width, length, count in layers:
        start = cover(rng, count)
        colour = pick(scene, start) * rng.normal(1, 0.10, (count, 1))
        colour += rng.normal(0, 0.025, (count, 3))
        paths = trace(angle, start, length)
        widths = width * rng.uniform(0.6, 1.15, count)
        look = Brush(tone=0.09, ragged=0.10, body=0.5 + width / 20)
        stroke(canvas, rng, paths, widths, colour, look)
    return shrink(canvas.lit(0.30, shine=0.35))


# --- Painting: blocks of colour -------------------------------------------


def blocks(rng: Rng, x: Array, y: Array) -> tuple[Array, Array]:
    """Split the plane again and again: cell numbers and edge distances."""
    x, y = x.ravel(), y.ravel()
    label, edge = np.zeros(x.size, "i4"), np.full(x.size, 99.0, "f4")
    cells = [(np.arange(x.size), 0)]
    number = 0
    while cells:
        cell, depth = cells.pop()
        area = cell.size / SS**2
        if area < 2400 or (depth > 4 and rng.random() < 0.25):
            label[cell], number = number, number + 1
            continue
        cx, cy = x[cell], y[cell]
        # Cut across the longer side, at a slant.
        turn = 0.0 if np.ptp(cx) > np.ptp(cy) else np.pi / 2
        turn += rng.normal(0, 0.38)
        side = cx * np.cos(turn) + cy * np.sin(turn)
        side -= np.quantile(side[::50], rng.uniform(0.32, 0.68))
        edge[cell] = np.minimum(edge[cell], np.abs(side))
        for half in (side < 0, side >= 0):
            if half.any():
                cells.append((cell[half], depth + 1))
    return label.reshape(H, W), edge.reshape(H, W)


def stained_blocks(rng: Rng) -> Array:
    """Blocks of strong colour in dark wobbling outlines: sun, sails, sea."""
    x, y = grid()
    x0 = x + 5 * noise(rng, 90, 3)
    y0 = y + 5 * noise(rng, 90, 3)
    cell, cell_edge = blocks(rng, x0, y0)
    label, edge, carved = cell, cell_edge, 0
    # The kinds: sky, sun, water, sails, hills, hulls.
    sets = [
        "1f6f8b 2a8fa3 17506b 5fb3b3 e9c46a f2e3b3 3a7d9c 2d6a9a 8cc4c4",
        "f4b41a f08a24 f7d154 e8641b",
        "0f3d5e 14607a 1d8a99 0b2a4a 2f9e8f 7cc6b8",
        "c1272d 8f1d2c e2543a f0a58f 6d1f3d",
        "2f5d3a 5a8f3d 93b548 1d4230 b5652b 7a3b22",
        "6b2d1c 8a4a22 4a2018",
    ]
    kind = np.zeros((H, W), "i4")

    def carve(value: Array, inside: Array, number: int) -> None:
        """Give the inside to a kind; its border becomes an outline."""
        nonlocal label, edge, carved
        carved += 1
        kind[inside] = number
        label = np.where(inside, cell + 1000 * carved, label)
        edge = np.where(inside, cell_edge, edge)
        edge = np.minimum(edge, np.abs(value))

    sun = np.hypot(x0 - 690, y0 - 215)
    for radius, number in ((205, 0), (150, 1), (88, 1)):
        carve(sun - radius, sun < radius, number)
    hills = 395 + 70 * np.sin(x0 / 140 + 0.6) - 0.05 * x0
    carve(y0 - hills, y0 > hills, 4)
    for k in range(5):
        wave = 470 + 62 * k + (26 + 5 * k) * np.sin(x0 / (120 + 14 * k) + 2 * k)
        carve((y0 - wave) * 0.9, y0 > wave, 2)
    for cx, foot, tall, wide in ((250, 600, 430, 150), (470, 560, 270, 95)):
        rise = np.clip((foot - y0) / tall, 0, 1)
        for way in (-1, 1):
            belly = wide * (1 - rise) * (1 + 0.5 * rise)
            belly = belly * (1.0 if way > 0 else 0.62)
            out = (x0 - cx) * way
            sail = np.maximum(out - belly, np.maximum(-out, y0 - foot))
            sail = np.where(rise < 1, sail, 99)
            inside = sail < 0
            edge = np.where(inside, edge, np.where(sail < 9, 99, edge))
            carve(sail, inside, 3)
        below = y0 - foot - 4
        hull = np.abs(x0 - cx - 0.2 * wide) - 1.15 * wide + 1.1 * below
        hull = np.maximum(0.7 * hull, np.abs(below - 20) - 20)
        edge = np.where(hull < 9, 99, edge)
        carve(hull, hull < 0, 5)
        edge = np.where(hull < 0, -hull, edge)
        label = np.where(hull < 0, 2 + cx, label)
    colour = np.empty((H, W, 3), "f4")
    for number, codes in enumerate(sets):
        colours = palette(codes)
        chance = scatter(label, label * 0 + number, 3.7)
        choice = (chance * len(colours)).astype("i4")
        here = kind == number
        colour[here] = colours[choice[here]]
    # Paint laid by hand: thinner here, thicker there, brushed one way a cell.
    turn = scatter(label, label * 0, 8.1)
    grain = np.where(turn < 0.5, noise(rng, 5, 3, 9), noise(rng, 45, 4, 0.12))
    colour *= (1 + 0.06 * noise(rng, 90, 5) + 0.035 * grain)[..., None]
    colour = mix(colour, rgb("f6ead0"), 0.07 * smooth(0.6, 2.2, grain))
    colour *= (0.82 + 0.18 * smooth(2, 16, edge))[..., None]
    width = 3.6 + 1.3 * noise(rng, 130, 3) + 0.35 * noise(rng, 9, 2)
    line = 1 - smooth(-0.7, 0.7, edge - np.clip(width, 1.4, 8))
    ink = rgb("15121a") * (1 + 0.25 * noise(rng, 14, 3))[..., None]
    canvas = Canvas(rng, 0)
    canvas.paint = mix(colour, np.clip(ink, 0, 1), line)
    canvas.relief = 0.25 * grain + 2.2 * blur(line, 1.2) + 0.1 * canvas.tooth
    return shrink(canvas.lit(0.22, shine=0.2))


# --- Painting: points of colour -------------------------------------------


def crown_of(
    rough: Array,
    x: Array,
    y: Array,
    at: tuple[float, float],
    size: tuple[float, float],
) -> Array:
    """Return how far a point is inside a ragged crown: 1 at its heart."""
    d = np.hypot((x - at[0]) / size[0], (y - at[1]) / size[1])
    return 1 - d + 0.14 * np.roll(rough, int(7 * at[0]), axis=1)


def river_park(rng: Rng) -> Array:
    """Return the sunlit park by a river that the points are taken from."""
    x, y = grid()
    rough = noise(rng, 46, 4)
    bank = 330 + 8 * np.sin(x / 140)
    sky = palette("6fa3dc a9cdec f3e6c4")
    scene = ramp(y, [0, 190, 320], sky)
    cloud = smooth(0.5, 1.7, noise(rng, 60, 4, 2.6))
    scene = mix(scene, rgb("fff4de"), 0.75 * cloud)
    far = 282 - 26 * noise(rng, 150, 4)[300 * SS // 2][None] * 0.6
    scene = mix(scene, rgb("7f94bd"), smooth(-2, 3, y - far))
    for cx in range(30, 1020, 62):
        tall = rng.uniform(46, 95)
        at = (cx + rng.normal(0, 16), bank[0, cx] - tall * 0.5)
        size = (rng.uniform(18, 48), tall * 0.72)
        crown = crown_of(rough, x, y, at, size)
        sunny = smooth(-0.6, 0.7, ((at[0] - x) + (at[1] - y)) / size[0])
        tree = ramp(sunny, [0, 0.5, 1], palette("2c4a63 4f8a4c c2cf5a"))
        scene = mix(scene, tree, smooth(0, 0.15, crown) * (y < bank + 2))
    shore = 470 + 0.16 * (x - 200) + 30 * np.sin(x / 210)
    water = (y > bank) & (y < shore)
    mirror = sample(
        scene,
        (x + 5 * noise(rng, 5, 2, 8)) * SS,
        (2 * bank - y + 5 * noise(rng, 7, 2, 6)) * SS,
    )
    mirror = mirror * 0.82 + rgb("20406c") * 0.2
    scene = np.where(water[..., None], mirror, scene)
    for cx, cy, s in ((560, 372, 1.0), (770, 402, 1.4), (420, 352, 0.6)):
        tri = [(cx, cy), (cx, cy - 74 * s), (cx + 38 * s, cy - 6 * s)]
        jib = [(cx - 4, cy), (cx - 4, cy - 60 * s), (cx - 24 * s, cy - 5 * s)]
        hull = [(cx - 34 * s, cy), (cx + 42 * s, cy), (cx + 30 * s, cy + 9 * s)]
        below = [(px, 2 * cy + 12 * s - py * 1.0) for px, py in tri]
        scene = mix(scene, rgb("f4e6cf"), 0.55 * mask_of([below]) * water)
        scene = mix(scene, rgb("fffaf0"), mask_of([tri]))
        scene = mix(scene, rgb("f2cfa4"), mask_of([jib]))
        scene = mix(scene, rgb("a33b2c"), mask_of([hull]))
    lawn = ramp(
        (y - shore) / 300 + 0.12 * noise(rng, 60, 4, 3),
        [0, 0.4, 1],
        palette("d8d765 a5c24a 6d9c3c"),
    )
    land = smooth(-1.5, 1.5, y - shore)
    scene = mix(scene, lawn, land)
    path = np.abs(x - (1050 - 1.9 * (y - 480) + 60 * np.sin(y / 70)))
    path = smooth(0, 16, 40 + 0.32 * (y - 500) - path)
    scene = mix(scene, rgb("f3dcae"), path * land)
    shade = crown_of(rough, x, y, (330, 676), (420, 62))
    shade = np.maximum(shade, crown_of(rough, x, y, (860, 640), (170, 26)))
    scene = mix(scene, rgb("2f5a74"), 0.72 * smooth(0, 0.3, shade) * land)
    for trunk, crowns in (
        ([(150, 690), (168, 480), (150, 250),
          (196, 250), (204, 480), (222, 696)],
         [(170, 150, 210, 150), (60, 60, 150, 120), (320, 70, 150, 84)]),
        ([(872, 640), (880, 540), (876, 440),
          (892, 440), (898, 540), (906, 640)],
         [(884, 400, 86, 116), (850, 330, 50, 70), (930, 350, 46, 60)]),
    ):  # fmt: skip
        lit = palette("3d2c52 8a5a4a d79a5e")
        bark = ramp((trunk[3][0] - x) / 40, [-0.4, 0.3, 1], lit)
        scene = mix(scene, bark, mask_of([trunk]))
        for cx, cy, rx, ry in crowns:
            crown = crown_of(rough, x, y, (cx, cy), (rx, ry))
            sunny = ((cx - x) / rx + (cy - y) / ry) * 0.5
            sunny = sunny + 0.26 * np.roll(rough, cx * 3, axis=0)
            greens = palette("1f3557 2f6a4a 7fae3f e6dd6a")
            tree = ramp(sunny, [-0.6, -0.1, 0.35, 0.8], greens)
            scene = mix(scene, tree, smooth(0.02, 0.14, crown))
    for cx, cy, s, coat in (
        (470, 585, 1.0, "b8324a"), (505, 588, 0.96, "2f4a94"),
        (612, 560, 0.7, "f4ecf0"), (716, 672, 1.35, "7a3f86"),
        (686, 676, 0.9, "e0703a"),
    ):  # fmt: skip
        body = [(cx - 15 * s, cy), (cx - 6 * s, cy - 30 * s)]
        body += [(cx - 9 * s, cy - 52 * s), (cx + 9 * s, cy - 52 * s)]
        body += [(cx + 6 * s, cy - 30 * s), (cx + 15 * s, cy)]
        cast = [(cx - 8 * s, cy), (cx + 13 * s, cy), (cx + 90 * s, cy + 16 * s)]
        scene = mix(scene, rgb("2f4f78"), 0.7 * mask_of([cast]))
        scene = mix(scene, rgb(coat), mask_of([body]))
        head = np.hypot(x - cx, (y - cy + 59 * s) * 0.85) < 8 * s
        scene[head] = rgb("e08a5c")
        hat = np.hypot((x - cx) * 0.45, y - cy + 68 * s) < 6 * s
        scene[hat] = rgb("232a66")
    return np.clip(scene, 0, 1)


PURE = palette(
    "f7f1dc f9e27d f6c12f ee8a2b e0532f c22f3f d987a8 8a4a9c 4b3f9a 2a4fae "
    "3f86cf 8fc3e8 2f9c94 2a7a48 69a83a b9cf4a 1c2a5c efc9a0"
)


def points_of_color(rng: Rng) -> Array:
    """Points of pure colours that mix in the eye, on a primed canvas."""
    scene = river_park(rng)
    canvas = Canvas(rng, rgb("e8dcc0"))
    angle = (noise(rng, 120, 2) * 0.8).astype("f4")
    for size, count, spread in (
        (8.0, 15000, 0.10), (5.4, 40000, 0.13), (3.4, 42000, 0.13),
    ):  # fmt: skip
        start = cover(rng, count, 4)
        goal = pick(scene, start)
        # Push away from grey, and answer some points by their complement.
        goal = goal + 0.35 * (goal - goal.mean(1, keepdims=True))
        other = rng.random((count, 1)) < 0.08
        goal = np.where(other, 0.62 * (1.15 - goal) + 0.25 * goal, goal)
        goal = goal + rng.normal(0, spread, (count, 3))
        gap = ((goal[:, None] - PURE) ** 2).sum(-1)
        colour = PURE[gap.argmin(1)] * rng.normal(1, 0.035, (count, 1))
        paths = trace(angle, start - size / 2, size * 1.05)
        widths = size * rng.uniform(0.75, 1.15, count)
        look = Brush(tone=0.03, ragged=0.0, blunt=2.2, body=0.7)
        stroke(canvas, rng, paths, widths, colour, look)
    canvas.relief += 0.06 * canvas.tooth
    return shrink(canvas.lit(0.16, shine=0.1))


# --- Rendering: a harbour at dusk -----------------------------------------

Paint = Callable[[Array, Array], tuple[Array, Array, Array]]
EYE, FOCAL, HORIZON = 5.0, 960.0, 420.0
UP = np.array([0, 1, 0], "f4")


def matt(colour: Array, rough: float = 0.1, size: float = 1.0) -> Paint:
    """Return a plain surface with some dirt."""

    def paint(u: Array, v: Array) -> tuple[Array, Array, Array]:
        dirt = 1 + rough * fractal(u / size, v / size, 5)
        return colour * dirt[:, None], np.zeros((u.size, 3)), u > -1

    return paint


def tiled(
    colour: Array, seed: float, wide: float = 0.26, tall: float = 0.34
) -> Paint:
    """Return rows of tiles or stones, each of its own tone, with moss."""

    def paint(u: Array, v: Array) -> tuple[Array, Array, Array]:
        row = np.floor(v / tall)
        col = np.floor(u / wide + 0.5 * (row % 2))
        tone = 0.62 + 0.36 * scatter(row, col, seed)
        tone *= 0.7 + 0.42 * (v / tall - row)
        tone *= 1 + 0.35 * fractal(u / 2.5 + seed, v / 2.5, 4)
        return colour * tone[:, None], np.zeros((u.size, 3)), u > -1

    return paint


def wall(colour: Array, seed: float, wide: float, lit: float = 0.4) -> Paint:
    """Return plaster with windows, some lit, and shutters."""
    bays = max(1, round(wide / 2.3))

    def paint(u: Array, v: Array) -> tuple[Array, Array, Array]:
        bay, storey = np.floor(u / wide * bays), np.floor(v / 2.9)
        x = u - (bay + 0.5) * wide / bays
        y = v - storey * 2.9 - 1.6
        luck = scatter(bay, storey, seed)
        half = np.where(storey == 0, 0.62, 0.48)
        inside = (np.abs(x) < half) & (np.abs(y) < 0.78)
        frame = (np.abs(x) < half + 0.1) & (np.abs(y) < 0.88) & ~inside
        bars = inside & ((np.abs(x) < 0.05) | (np.abs(y - 0.2) < 0.05))
        leaf = (np.abs(x) < half + 0.5) & (np.abs(y) < 0.8) & ~inside
        leaf &= ~frame & (scatter(seed, seed, 5) < 0.55)
        stain = 1 + 0.22 * fractal(u / 1.7 + seed, v / 2.6, 5)
        stain *= 0.75 + 0.25 * smooth(0, 1.2, v)
        albedo = colour * stain[:, None]
        slats = 0.3 + 0.12 * np.sin(v * 40)
        tint = palette("274a45 5a2a22 2d3a5a")[int(seed * 7) % 3]
        albedo[leaf] = (tint * slats[:, None])[leaf]
        albedo[frame | bars] = rgb("b8a890") * 0.6
        albedo[inside & ~bars] = rgb("0c1018")
        glass = inside & ~bars
        warm = np.array([1.0, 0.43, 0.10]) * (0.5 + 0.9 * luck[:, None])
        warm = warm * (1.05 - 0.45 * np.abs(x[:, None]) - 0.3 * y[:, None])
        on = glass & (luck * 7.7 % 1 < lit)
        glow = np.where(on[:, None], 1.5 * warm, 0)
        glow += 0.05 * (glass & ~on)[:, None] * np.array([0.7, 0.8, 1.2])
        return albedo, glow, u > -1

    return paint


def cabin(colour: Array, tall: float) -> Paint:
    """Return the wall of a boat's cabin with a row of lit panes."""

    def paint(u: Array, v: Array) -> tuple[Array, Array, Array]:
        glass = (np.abs(u % 0.62 - 0.31) < 0.2) & (np.abs(v / tall - 0.6) < 0.2)
        albedo = np.where(glass[:, None], 0.05, colour)
        warm = np.array([0.9, 0.42, 0.12]) * (0.4 + v / tall)[:, None]
        return albedo, np.where(glass[:, None], warm, 0), u > -1

    return paint


def leaves(seed: float, size: float) -> Paint:
    """Return the ragged disc of a tree seen against the town."""

    def paint(u: Array, v: Array) -> tuple[Array, Array, Array]:
        x, y = u / size * 2 - 1, v / size * 2 - 1
        clump = fractal(u * 0.9 + seed * 31, v * 0.9, 5)
        tone = 0.55 + 0.45 * y + 0.9 * clump
        albedo = rgb("41502f") * np.clip(tone, 0.15, 1.5)[:, None]
        return albedo, np.zeros((u.size, 3)), np.hypot(x, y) + clump < 0.9

    return paint


@dataclass
class Panel:
    """A flat part of the scene: a parallelogram, a gable or a corner."""

    origin: Array
    a: Array
    b: Array
    paint: Paint
    shape: str = "full"


@dataclass
class Town:
    """The panels of the harbour and the places of its lamps."""

    panels: list[Panel] = field(default_factory=list)
    lamps: list[Array] = field(default_factory=list)

    def add(
        self,
        origin: Sequence[float] | Array,
        a: Sequence[float] | Array,
        b: Sequence[float] | Array,
        paint: Paint,
        shape: str = "full",
    ) -> None:
        """Add one panel."""
        parts = (np.asarray(part, "f4") for part in (origin, a, b))
        self.panels.append(Panel(*parts, paint, shape))

    def box(
        self,
        o: Array,
        r: Array,
        f: Array,
        tall: float,
        paints: list[Paint],
    ) -> None:
        """Add the walls and the lid of a box."""
        up = UP * tall
        for start, side, paint in (
            (o, r, paints[0]), (o, f, paints[1]),
            (o + r, f, paints[1]), (o + f, r, paints[0]),
        ):  # fmt: skip
            self.add(start, side, up, paint)
        self.add(o + up, r, f, paints[-1])

    def house(
        self,
        rng: Rng,
        o: Array,
        right: Array,
        back: Array,
        size: tuple[float, float, float],
    ) -> None:
        """Add a house: walls, two roof slopes, gables, chimneys, dormer."""
        wide, deep, tall = size
        seed = float(rng.random())
        colours = palette("c9b08c d8c7a4 b9846a a8927c cdbfb0 c79a62 9fa6a0")
        colour = colours[rng.integers(len(colours))] * rng.uniform(0.8, 1.05)
        tiles = palette("9a4a32 83402e a8583a 6d4038 5e4a4c")
        slate = tiled(tiles[rng.integers(len(tiles))], seed)
        front = wall(colour, seed, wide, 0.42)
        side = wall(colour * 0.95, seed + 0.3, deep, 0.25)
        r, f, up = right * wide, back * deep, UP * tall
        self.box(o, r, f, tall, [front, side])
        rise = UP * rng.uniform(2.4, 3.8)
        eave = 0.4
        plain = matt(colour)
        if rng.random() < 0.35:  # The gable looks at the street.
            self.add(o + up, r, rise, plain, "gable")
            lip = o + up - back * eave
            f2 = back * (deep + 2 * eave)
            self.add(lip, f2, r / 2 + rise, slate)
            self.add(lip + r, f2, rise - r / 2, slate)
        else:
            lip = o + up - right * eave
            r2 = right * (wide + 2 * eave)
            fall = back * eave + UP * 0.25
            self.add(lip - fall, r2, f / 2 + rise + fall, slate)
            self.add(lip + f, r2, rise - f / 2, slate)
            for start in (o + up, o + up + r):
                self.add(start, f, rise, plain, "gable")
            if rng.random() < 0.5:
                at = o + up + right * (wide * rng.uniform(0.25, 0.6))
                at = at + back * 0.7 + UP * 0.4
                pane = wall(colour, seed + 0.6, 1.5, 0.6)
                self.box(at, right * 1.5, back * 2, 1.9, [pane, plain, slate])
        for _ in range(rng.integers(1, 3)):
            at = o + up + rise * 0.55 + right * rng.uniform(0.1, 0.85) * wide
            at = at + back * deep * rng.uniform(0.4, 0.6)
            brick = matt(rgb("7d4c3c"), 0.3, 0.4)
            self.box(at, right * 0.9, back * 0.7, 2.5, [brick, brick])

    def boat(self, rng: Rng, at: Array, size: float, turn: float) -> None:
        """Add a lofted hull with its deck, cabin, mast, boom and stays."""
        go = np.array([np.cos(turn), 0, np.sin(turn)])
        out = np.array([-np.sin(turn), 0, np.cos(turn)])
        s = np.linspace(-0.9, 1, 13)[:, None]
        beam = 0.17 * size * (1 - np.abs(s) ** 2.6)
        rail = at + go * s * size / 2 + UP * size * (0.085 + 0.05 * s**2)
        foot = at + go * s * size * 0.46 - UP * 0.05
        coat = palette("e6e2da 3a5f86 8d3b30 2e4a46")[rng.integers(4)]
        skin, deck = matt(coat, 0.12), matt(rgb("8a6a4a"), 0.2, 0.3)
        for i in range(12):
            for way in (-1, 1):
                p, q = (rail + way * out * beam)[i : i + 2]
                m, n = (foot + way * out * beam * 0.75)[i : i + 2]
                self.add(m, n - m, p - m, skin, "corner")
                self.add(q, p - q, n - q, skin, "corner")
                inner = rail[i : i + 2] - UP * 0.12
                self.add(inner[0], inner[1] - inner[0], p - inner[0], deck)
        r, f = go * size * 0.24, out * size * 0.16
        room = at - go * size * 0.2 - f / 2 + UP * size * 0.08
        pane = cabin(rgb("b9ae9c"), size * 0.13)
        self.box(room, r, f, size * 0.13, [pane, pane, matt(rgb("6e655c"))])
        wood = matt(rgb("6b4c34"))
        right = np.array([1.0, 0, 0])
        foot, top = at + go * size * 0.1, UP * size * rng.uniform(1.0, 1.3)
        self.add(foot, right * 0.014 * size, top, wood)
        boom = foot + UP * size * 0.27
        self.add(boom, -go * size * 0.5, UP * 0.018 * size, wood)
        cloth = matt(rgb("b9a58a"), 0.2, 0.3)
        self.add(
            boom + UP * 0.02 * size, -go * size * 0.46, UP * 0.05 * size, cloth
        )
        for end in (rail[-1], rail[0]):
            self.add(end, foot + top - end, right * 0.005 * size, wood)


def build_town(rng: Rng) -> Town:
    """Build rows of houses up a hill, a church, a quay, trees, boats."""
    town = Town()
    right, back = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    stone = tiled(rgb("8d8379"), 0.4, 0.9, 0.38)
    town.add((-120, 0, 70), right * 240, UP * 1.5, stone)
    town.add((-120, 1.5, 70), right * 240, back * 12, matt(rgb("7d746c"), 0.3))
    town.add((17, 0, 12), back * 58, UP * 1.5, stone)
    town.add((17, 1.5, 12), back * 58, right * 40, matt(rgb("7d746c"), 0.3))
    grass = matt(rgb("39422c"), 0.6, 3)
    town.add((-300, 1.5, 79), right * 600, (0, 26, 90), grass)
    for row in range(6):
        x, z = -50.0 - 9 * row, 77.0 + 13 * row
        while x < 62 + 8 * row:
            wide = rng.uniform(5.5, 10)
            hill = 0.55 + 0.75 * np.exp(-(((x + 16) / 34) ** 2))
            lift = 1.5 + 3.9 * row * hill
            tall = rng.uniform(5.4, 9.8) + (1.5 if row == 0 else 0)
            o = np.array([x, lift, z + rng.uniform(0, 2.5)])
            if row == 0 or rng.random() < 0.8 - 0.06 * row:
                sink = UP * 2.9 * (row > 0)
                size = (wide, 8, tall + sink[1])
                town.house(rng, o - sink, right, back, size)
            elif rng.random() < 0.9:
                s = rng.uniform(6, 10)
                tree = leaves(rng.random(), s)
                town.add(o + UP * 1.5, right * s, UP * s, tree)
            x += wide + (0.0 if rng.random() < 0.7 else rng.uniform(0.5, 3))
    z = 24.0
    while z < 72:
        wide = rng.uniform(6, 9)
        o = np.array([22.5, 1.5, z])
        town.house(rng, o, back, right, (wide, 8, rng.uniform(7.5, 11)))
        z += wide
    pale, dark = rgb("b3a48c"), tiled(rgb("4d5a60"), 0.2)
    o = np.array([-24.0, 13.5, 128])
    tower = wall(pale, 0.61, 6, 0.15)
    town.box(o, right * 6, back * 6, 21, [tower, tower])
    town.box(
        o + UP * 20.6 - 0.4, right * 6.8, back * 6.8, 0.6, [matt(pale)] * 2
    )
    for start, side, inward in (
        (o, right * 6, back * 3), (o, back * 6, right * 3),
        (o + right * 6, back * 6, right * -3),
    ):  # fmt: skip
        town.add(start + UP * 21, side, UP * 14 + inward, dark, "gable")
    town.house(rng, o + right * 6, right, back, (15, 9, 11))
    for x in (-46, -31, -17, -4, 9):
        town.lamps.append(np.array([x, 5.4, 71.5]))
    town.lamps += [np.array([18.5, 5.4, z]) for z in (26, 38, 50, 61)]
    for lamp in town.lamps:
        post = matt(rgb("1c1c20"))
        town.add(lamp - UP * 3.9, right * 0.14, UP * 3.9, post)
    for x, z, size, turn in (
        (-9.5, 25, 7.5, 0.35), (5.2, 34, 8.5, 2.7), (-25, 47, 9, 0.1),
        (-3, 62, 9, 0.2), (-40, 64, 10, 3.0), (10, 57, 9, 1.9),
        (-20, 66, 8, 0.0), (12.5, 44, 6, 1.5), (-32, 66, 8, 0.1),
    ):  # fmt: skip
        town.boat(rng, np.array([x, 0, z]), size, turn)
    return town


def cast(town: Town, sky: Array, eye: float, ss: int) -> tuple[Array, Array]:
    """Render the town from a height over (or below) the water plane."""
    tall, wide = HEIGHT * ss, WIDTH * ss
    dx = ((np.arange(wide) + 0.5) / ss - WIDTH / 2) / FOCAL
    dy = (HORIZON - (np.arange(tall) + 0.5) / ss) / FOCAL
    depth = np.full((tall, wide), np.inf, "f4")
    albedo, glow, normal = np.zeros((3, tall, wide, 3), "f4")
    for panel in town.panels:
        o, a, b = panel.origin - (0, eye, 0), panel.a, panel.b
        corners = o + np.array([a * 0, a, b, a + b])
        if corners[:, 2].min() < 1:
            continue
        px = (corners[:, 0] / corners[:, 2] * FOCAL + WIDTH / 2) * ss
        py = (HORIZON - corners[:, 1] / corners[:, 2] * FOCAL) * ss
        c0, c1 = np.clip((px.min(), px.max() + 1), 0, wide).astype(int)
        r0, r1 = np.clip((py.min(), py.max() + 1), 0, tall).astype(int)
        n = np.cross(a, b)
        if c0 >= c1 or r0 >= r1 or abs(n @ o) < 1e-6:
            continue
        ray_x, ray_y = dx[None, c0:c1], dy[r0:r1, None]
        away = n[0] * ray_x + n[1] * ray_y + n[2]
        t = (n @ o) / np.where(np.abs(away) < 1e-9, 1e-9, away)
        hit = np.stack((ray_x * t - o[0], ray_y * t - o[1], t - o[2]), -1)
        inverse = np.linalg.pinv(np.stack((a, b), 1))
        u, v = hit @ inverse[0], hit @ inverse[1]
        inside = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1) & (t > 0.5)
        inside &= (t < depth[r0:r1, c0:c1]) & (ray_y * t + eye > 0)
        if panel.shape == "gable":
            inside &= np.abs(2 * u - 1) + v <= 1
        if panel.shape == "corner":
            inside &= u + v <= 1
        rows, cols = np.nonzero(inside)
        if not rows.size:
            continue
        across = u[rows, cols] * np.linalg.norm(a)
        above = v[rows, cols] * np.linalg.norm(b)
        colour, light, solid = panel.paint(across, above)
        rows, cols = rows[solid], cols[solid]
        depth[rows + r0, cols + c0] = t[rows, cols]
        albedo[rows + r0, cols + c0] = np.clip(colour[solid], 0, 1) ** 2.2
        glow[rows + r0, cols + c0] = light[solid]
        n = n / np.linalg.norm(n) * (-1 if n @ o > 0 else 1)
        normal[rows + r0, cols + c0] = n
    image = sky.copy()
    rows, cols = np.nonzero(depth < 1e6)
    t = depth[rows, cols]
    spot = np.stack((dx[cols] * t, dy[rows] * t + eye, t), -1)
    shade = _light(town, spot, normal[rows, cols]) * albedo[rows, cols]
    haze = 1 - np.exp(-t / 800)[:, None]
    solid = (shade + glow[rows, cols]) * (1 - haze)
    image[rows, cols] = solid + haze * np.array([0.26, 0.19, 0.25])
    for lamp in town.lamps:
        flare(image, lamp - (0, eye, 0), dx, dy, depth)
    return image, depth


def _light(town: Town, spot: Array, normal: Array) -> Array:
    """Return the light of the sky, of the glow in the west and the lamps."""
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


def flare(
    image: Array, lamp: Array, dx: Array, dy: Array, depth: Array
) -> None:
    """Add the bulb of a lamp and the light in the air around it."""
    x = (dx - lamp[0] / lamp[2])[None] * lamp[2]
    y = (dy - lamp[1] / lamp[2])[:, None] * lamp[2]
    near = np.abs(x) < 3
    cols = np.nonzero(near[0])[0]
    rows = np.nonzero(np.abs(y[:, 0]) < 3)[0]
    if not (cols.size and rows.size):
        return
    part = np.ix_(rows, cols)
    far = x[:, cols] ** 2 + y[rows] ** 2
    light = 3.5 * (far < 0.05) + 0.05 / (0.1 + far) * smooth(9, 0, far)
    light = light * (depth[part] > lamp[2] - 0.5)
    image[part] += light[..., None] * np.array([1.0, 0.66, 0.32])


def dusk_sky(rng: Rng, x: Array, y: Array) -> Array:
    """Return a glowing sky with clouds and two rows of far hills."""
    high = np.clip((HORIZON - y) / HORIZON, 0, 1)
    stops = [0, 0.10, 0.28, 0.55, 1]
    colours = palette("ff9a4a f7925c b97c8c 5a6a9e 22345f") ** 2.0
    sky = ramp(high, stops, colours)
    west = np.exp(-(((x - 330) / 380) ** 2))
    sky *= (0.62 + 0.6 * west * np.exp(-high * 2.2))[..., None]
    # The clouds lie on a ceiling, so they narrow towards the horizon.
    far = 1 / (high + 0.10)
    u, v = (x - 400) / 520 * far, far * 2.1
    warp = fractal(u * 0.7, v * 0.7, 3)
    cloud = fractal(u + 0.8 * warp, v * 1.3 + 0.5 * warp, 7)
    under = fractal(u + 0.8 * warp, v * 1.3 + 0.5 * warp + 0.16, 7)
    thick = smooth(-0.02, 0.62, cloud + 0.10)
    rim = np.clip((cloud - under) * 1.5 + 0.35, 0, 1)
    shadow = ramp(high, [0, 0.4, 1], palette("8a5a62 4a4666 232a48") ** 2.0)
    fire = ramp(high, [0, 0.35, 1], palette("ffb066 ff8f66 b06a7e") ** 1.8)
    fire = fire * (0.55 + 0.75 * west)[..., None]
    sky = mix(sky, mix(shadow, fire, rim), 0.9 * thick)
    for k, (level, rise, code) in enumerate(
        ((258, 74, "5d5478"), (330, 40, "3f3a54"))
    ):
        u = x[:1] / (260 - 60 * k) + 9 * k
        crest = level - rise * fractal(u, u * 0 + k, 7, gain=0.4)
        crest = crest - 60 * np.exp(-(((x[:1] - 760) / 190) ** 2))
        wood = 1 + 0.09 * fractal(x / 6, y / 4 + k, 3)
        hill = rgb(code) ** 2.2 * wood[..., None]
        mist = smooth(0, 150, y - crest)
        hill = mix(hill, rgb("b07a74") ** 2.2, 0.55 * mist)
        sky = mix(sky, hill, smooth(-0.7, 0.7, y - crest))
    return sky.astype("f4")


def water(mirror: Array, x: Array, y: Array) -> Array:
    """Return rippled water: broken mirror images, streaks and depth."""
    below = np.clip(y - HORIZON, 1, None)
    t = EYE * FOCAL / below
    wx, wz = (x - WIDTH / 2) / FOCAL * t, t
    slope = np.zeros_like(x)
    side = np.zeros_like(x)
    for size, gain in ((2.6, 0.55), (0.9, 0.5), (0.34, 0.38)):
        # Ripples finer than a pixel would only sparkle.
        seen = smooth(0.25, 1.5, size * 0.45 * below**2 / (EYE * FOCAL))
        ripple = fractal(wx / size / 2.2, wz / size, 2)
        slope += gain * (0.25 + 0.75 * seen) * ripple
        side += gain * seen * fractal(wx / size / 2 + 40, wz / size, 2)
    near = 5 + 0.14 * below
    image = 0
    for k, share in ((0.35, 0.22), (0.8, 0.26), (1.3, 0.24), (2.0, 0.28)):
        row = 2 * HORIZON - y - slope * near * k * 2.4
        image = image + share * sample(mirror, x + side * near * k * 0.5, row)
    facing = np.clip(below / 420 + 0.35 * slope, 0, 1)
    deep = np.array([0.012, 0.030, 0.050], "f4")
    return image * (0.90 - 0.62 * facing)[..., None] + deep


def harbor_at_dusk(rng: Rng) -> Array:
    """A town by the water: lit windows, boats and broken reflections."""
    x, y = grid()
    town = build_town(rng)
    sky = dusk_sky(rng, x, y)
    small = sky[::SS, ::SS]
    mirror, _ = cast(town, small, -EYE, 1)
    image, depth = cast(town, sky, EYE, SS)
    wet = (depth > 1e6) & (y > HORIZON)
    image = np.where(wet[..., None], water(mirror, x, y), image)
    bloom = blur(np.clip(image - 0.6, 0, 3), 9)
    image = image + 0.5 * bloom
    image = (1 - np.exp(-1.8 * image)) ** (1 / 2.2)
    image = 0.45 * image + 0.55 * smooth(0.02, 0.98, image)
    return shrink(image * (1 + 0.012 * noise(rng, 1, 1))[..., None])


# --- Rendering: a valley by day -------------------------------------------

SUN = np.array([-0.62, 0.52, -0.30], "f4") / 0.863
CAMERA, LENS, SKYLINE = 66.0, 900.0, 330.0


def river_line(z: Array) -> Array:
    """Return where the middle of the river is at a distance z."""
    bend = 60 * np.sin(z / 150 + 0.4) + 170 * np.sin(z / 520 + 0.3)
    return bend * smooth(0, 500, z) - 40 + 0.02 * z


def fields(x: Array, z: Array) -> tuple[Array, Array]:
    """Return the number of the field at a place and how near its hedge is."""
    u = (x + 70 * fractal(x / 420, z / 420, 2)) / 150
    v = (z + 90 * fractal(x / 380 + 9, z / 380, 2)) / 230
    u = u + 0.37 * np.floor(v)
    number = np.floor(u) * 57 + np.floor(v) * 131
    fu, fv = u - np.floor(u), v - np.floor(v)
    hedge_u = np.minimum(fu, 1 - fu) * 150
    hedge_v = np.minimum(fv, 1 - fv) * 230
    return number, np.minimum(hedge_u, hedge_v)


def terrain(x: Array, z: Array) -> tuple[Array, Array]:
    """Return the height of the ground with its woods, and the wood mask."""
    off = np.abs(x - river_line(z))
    rise = smooth(0, 1500, off - 60)
    height = 4 + 13 * fractal(x / 330, z / 330, 3) * smooth(20, 260, off)
    height = np.maximum(height, 1 + 0.1 * height)
    height += 330 * rise * (0.7 + 0.7 * fractal(x / 900 + 5, z / 900, 4))
    far = smooth(2600, 9500, z)
    crag = fractal(x / 3600 + 2.2, z / 3600 + 0.7, 9, ridged=True, gain=0.44)
    side = smooth(300, 2600, np.abs(x - 500 - 0.03 * z))
    height += far * (0.35 + 0.65 * side) * 1250 * np.clip(crag + 0.35, 0, 3)
    # Woods stand on the slopes, in patches, as bumps of crowns.
    wood = fractal(x / 520 + 30, z / 520, 4) + 0.9 * rise - 0.22
    wood = smooth(0.0, 0.12, wood) * smooth(45, 80, off)
    wood *= 1 - smooth(420, 760, height)
    wood = wood * smooth(170, 260, z)
    crowns = 0.55 + 0.5 * fractal(x / 11, z / 11, 2)
    height = height + wood * (7 + 13 * crowns)
    _, hedge = fields(x, z)
    row = (1 - smooth(2.5, 5, hedge)) * (1 - far) * smooth(30, 50, off)
    row = row * smooth(150, 200, z)
    height += row * (1 - wood) * (2.0 + 3 * fractal(x / 4, z / 4, 2))
    wood = np.maximum(wood, row * (1 - wood))
    return height - (height + 3) * (1 - smooth(18, 34, off)), wood


def scan(columns: Array) -> tuple[Array, Array, Array, Array]:
    """Scan the ground from near to far: depth and light of every sample."""
    z = np.geomspace(60, 15000, 1000, dtype="f4")[:, None]
    s = ((columns - WIDTH / 2) / LENS)[None]
    height, wood = terrain(z * s, np.broadcast_to(z, (z.size, s.size)))
    # Slopes on the fan of rays, by the chain rule.
    by_s = np.gradient(height, s[0], axis=1)
    by_z = np.gradient(height, z[:, 0], axis=0) - s / z * by_s
    by_x = by_s / z
    light = SUN[1] - by_x * SUN[0] - by_z * SUN[2]
    light = light / np.sqrt(1 + by_x**2 + by_z**2)
    row = SKYLINE + (CAMERA - height) * LENS / z
    top = np.minimum.accumulate(row, axis=0)
    want = (np.arange(H) + 0.5) / SS
    step = np.empty((H, s.size), "i4")
    for c in range(s.size):
        step[:, c] = np.searchsorted(-top[:, c], -want)
    hit = step < z.size
    k = np.clip(step, 1, z.size - 1)
    col = np.broadcast_to(np.arange(s.size), k.shape)
    above, below = row[k, col], row[k - 1, col]
    part = np.clip((want[:, None] - below) / (above - below - 1e-6), 0, 1)

    def between(a: Array) -> Array:
        return a[k - 1, col] * (1 - part) + a[k, col] * part

    depth = between(np.broadcast_to(z, height.shape))
    ground = np.stack((between(light), between(wood), between(height)))
    return depth, ground, hit, s


def valley_sky(rng: Rng, x: Array, y: Array) -> Array:
    """Return a blue sky with heaped clouds, lit from the left."""
    high = np.clip((SKYLINE - y) / SKYLINE, 0, 1)
    sky = ramp(high, [0, 0.25, 1], palette("e6ecec b3cde3 5c8fc4"))
    puff = np.full((H, W), -9.0, "f4")
    heaps = [
        (230, 170, 1.25), (610, 150, 1.0), (905, 205, 0.8),
        (430, 245, 0.55), (80, 262, 0.5), (760, 262, 0.45),
    ]  # fmt: skip
    for cx, cy, s in heaps:
        for _ in range(36):
            away = rng.uniform(-1, 1)
            reach = 1 - away**2
            px = cx + s * away * 150
            py = cy + s * (14 - rng.uniform(0, 62) * reach)
            r = s * rng.uniform(22, 46) * (0.4 + 0.6 * reach)
            ball = r - np.hypot(x - px, (y - py) * 1.1)
            flat = (cy + 22 * s - y) * 0.9
            puff = np.maximum(puff, np.minimum(ball, flat) / (34 * s))
    warp_x, warp_y = noise(rng, 60, 5) * 9, noise(rng, 60, 5) * 7
    puff = sample(puff, (x + warp_x) * SS, (y + warp_y) * SS)
    billow = fractal(x / 62, y / 52, 7)
    body = puff + 0.27 * billow
    veil = smooth(-0.02, 0.30, body)
    thick = blur(np.clip(body, 0, 1), 5)
    toward = sample(thick, (x - 16) * SS, (y - 20) * SS)
    wide = blur(np.clip(body, 0, 1), 18)
    lit = 0.62 + 1.3 * (thick - toward) - 0.45 * (wide - 0.25)
    lit += 0.16 * (billow - fractal((x - 7) / 62, (y - 8) / 52, 7)) * 2.2
    shade = ramp(lit, [0, 0.45, 0.8], palette("8d9db4 d3d9e2 fffaf0"))
    shade = mix(shade, rgb("d5e0e8"), 0.5 * (1 - high) ** 3)
    return mix(sky, shade, 0.96 * veil)


def ground_colour(x: Array, z: Array, wood: Array, height: Array) -> Array:
    """Return the colour of meadows, crops, woods and rock."""
    number, _ = fields(x, z)
    crops = palette("6f8f3a 8aa548 b9a852 5d7f35 cbb864 7d9a4a 93823f 587a3a")
    luck = scatter(number, number * 0, 2.0)
    colour = crops[(luck * len(crops)).astype("i4")]
    turn = scatter(number, number * 0, 5.0) * np.pi
    rows = np.sin((x * np.cos(turn) + z * np.sin(turn)) * 1.3)
    rows = rows * (1 - smooth(150, 520, z)) * (luck > 0.3)
    grass = 0.20 * fractal(x / 40, z / 40, 5)
    near = 1 - smooth(140, 420, z)
    grass += near * 0.32 * fractal(x * 1.5, z * 0.6, 3)
    colour = colour * (1 + 0.12 * rows + grass)[..., None]
    off = np.abs(x - river_line(z))
    colour = mix(colour, rgb("6e8f42"), 0.8 * (1 - smooth(50, 80, off)))
    shore = off + 4 * fractal(x / 7, z / 7, 4)
    colour = mix(colour, rgb("a39a78"), 1 - smooth(22, 29, shore))
    rough = fractal(x / 240, z / 240, 6)
    upland = mix(
        np.broadcast_to(rgb("6d7f45"), colour.shape),
        np.broadcast_to(rgb("84796a"), colour.shape),
        smooth(430, 800, height + 220 * rough),
    )
    upland = mix(upland, rgb("f2f4f8"), smooth(950, 1500, height + 420 * rough))
    colour = mix(colour, upland, smooth(190, 330, height))
    leaf = rgb("35501f") * (1 + 0.35 * fractal(x / 24, z / 24, 4))[..., None]
    return mix(colour, leaf, wood)


def trees(canvas: Canvas, rng: Rng) -> None:
    """Plant trees from far to near; every leaf is one dab of the brush."""
    spots = [(-62, 132, 34), (78, 150, 27), (104, 185, 30), (-128, 215, 26)]
    for _ in range(170):
        z = rng.uniform(200, 1500)
        x = river_line(np.float32(z)) + rng.choice([-1, 1]) * rng.uniform(
            30, 60
        )
        if rng.random() < 0.5:
            x = rng.uniform(-0.6, 0.6) * z
        spots.append((x, z, rng.uniform(9, 19)))
    turn = np.zeros((H, W), "f4")
    spots.sort(key=lambda spot: -spot[1])
    for px, z, tall in spots:
        base, _ = terrain(np.float32([px]), np.float32([z]))
        scale = LENS / z
        foot = np.array([WIDTH / 2 + px * scale,
                         SKYLINE + (CAMERA - base[0]) * scale])  # fmt: skip
        if base[0] < -1:
            continue
        clear = np.exp(-z / 4200)
        _tree(canvas, rng, turn, foot, tall * scale, clear)


def _tree(
    canvas: Canvas,
    rng: Rng,
    turn: Array,
    foot: Array,
    tall: float,
    clear: float,
) -> None:
    """Paint a tree: its shadow, its trunk and the leaves of its crown."""
    air = rgb("b4cbdd")
    count = int(np.clip(tall * tall * 0.6, 90, 20000))
    size = np.clip(tall / 50, 1.0, 2.6)
    dab = Brush(tone=0.05, ragged=0.0, blunt=2.5)
    spread = np.array([0.20, 0.035]) * tall
    shift = np.array([0.26, 0.02]) * tall
    flat = foot + shift + spread * rng.normal(0, 1, (count // 4, 2))
    dark = mix(air[None], rgb("34481f")[None], np.full(1, clear))
    stroke(canvas, rng, trace(turn, flat, size * 2), size, dark, dab)
    trunk = polyline([tuple(foot), tuple(foot - (tall * 0.01, tall * 0.55))])
    stroke(canvas, rng, trunk, tall * 0.042, rgb("3a3026"), dab)
    # Leaves sit on small balls, and the balls fill an egg-shaped crown.
    balls = int(np.clip(tall * 0.7, 18, 110))
    clumps = rng.normal(0, 1, (balls, 3))
    clumps /= np.linalg.norm(clumps, axis=1, keepdims=True)
    clumps *= rng.uniform(0.3, 1, (balls, 1)) * (0.31, 0.36, 0.31)
    clumps[:, 0] *= 1 - 0.8 * clumps[:, 1]
    owner = rng.integers(balls, size=count)
    ball = rng.normal(0, 1, (count, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    reach = rng.uniform(0.05, 0.125, (balls, 1))[owner]
    spot = clumps[owner] + ball * reach * rng.normal(1, 0.16, (count, 1))
    order = np.argsort(-spot[:, 2])
    spot, ball = spot[order], ball[order]
    lit = 0.36 * ball @ SUN + 1.35 * spot @ SUN
    lit = lit + rng.normal(0, 0.14, count)
    colours = palette("0f1a10 20331a 3b5724 667c34 a2a652")
    colour = ramp(lit, [-0.5, -0.15, 0.2, 0.5, 0.85], colours)
    colour = air + (colour - air) * clear
    start = foot + spot[:, :2] * (tall, -tall) - (0, tall * 0.53)
    paths = trace(turn, start, size)
    stroke(canvas, rng, paths, size, colour, dab)


def valley(rng: Rng) -> Array:
    """A valley by day: fields, trees, a winding river, far mountains."""
    x, y = grid()
    sky = valley_sky(rng, x, y)
    depth, (light, wood, height), hit, s = scan(x[0])
    wx = depth * s
    colour = ground_colour(wx, depth, wood, height)
    cloud = smooth(-0.1, 0.35, fractal(wx / 900 + 3, depth / 1300 + 8, 3))
    sun = np.clip(1.3 * light - 0.18, 0, 1.1) * (1 - 0.55 * cloud)
    shade = np.array([0.42, 0.50, 0.62]) + sun[..., None] * np.array(
        [1.02, 0.92, 0.70]
    )
    colour = colour * shade
    wet = (np.abs(wx - river_line(depth)) < 22) & (depth < 6000)
    ripple = fractal(wx / 5, depth / 4, 4)
    mirror = sample(sky, (x + 4 * ripple) * SS, (2 * SKYLINE - y - 40) * SS)
    mirror = mix(rgb("47636a"), mirror, 0.35 + 0.4 * smooth(90, 700, depth))
    bank = np.abs(wx - river_line(depth)) + 3 * ripple
    mirror = mix(mirror, rgb("3d5136"), 0.75 * smooth(12, 21, bank))
    mirror = mirror * (1 + 0.13 * ripple)[..., None]
    colour = np.where(wet[..., None], mirror, colour)
    air = 1 - np.exp(-depth / 8500)
    haze = mix(rgb("a9c3dc"), rgb("cfdde6"), smooth(900, 0, height))
    colour = mix(colour, haze, air)
    grey = colour.mean(-1, keepdims=True)
    colour = 0.86 * colour + 0.14 * grey * np.array([1.05, 1.0, 0.9])
    canvas = Canvas(rng, 0)
    canvas.paint = np.where(hit[..., None], colour, sky).astype("f4")
    trees(canvas, rng)
    image = canvas.paint + 0.10 * blur(np.clip(canvas.paint - 0.7, 0, 1), 8)
    return shrink(image * (1 + 0.012 * noise(rng, 1, 1))[..., None])


# --- Painting: ink wash ---------------------------------------------------


def ink_mountains(rng: Rng, x: Array, y: Array) -> Array:
    """Return the darkness of layered mountains that sink into mist."""
    ink = np.zeros((H, W), "f4")
    pool = noise(rng, 160, 5)
    grain = noise(rng, 2.2, 2)
    bleed = noise(rng, 26, 5)
    layers = [(250, 70, 190, 0.24), (330, 105, 170, 0.40), (455, 80, 120, 0.62)]
    for k, (level, rise, fall, dark) in enumerate(layers):
        u = x[0] / 250 + 5.3 * k
        peaks = fractal(u, u * 0 + 3.1 * k, 6, ridged=True, gain=0.48)
        lean = 0.8 * np.sin(x[0] / 1024 * np.pi * (1.3 + k) + 1.1 + 2 * k)
        crest = level - rise * (peaks - 0.7 + lean)
        crest = crest[None] + 1.6 * bleed
        depth = y - crest
        body = np.exp(-np.clip(depth, 0, None) / fall * (1 + 0.25 * pool))
        # The wash dries darker along its edge and settles in the grain.
        rim = 0.35 * np.exp(-np.clip(depth, 0, None) / 7)
        folds = fractal(x / 90 + 0.004 * depth, y / 210 + k, 5, ridged=True)
        body *= 0.62 + 0.30 * folds + 0.08 * grain + 0.10 * pool
        wash = dark * (body + rim) * smooth(-1, 1.2, depth)
        mist = smooth(0, 1, depth / fall - 0.1) * 0.9
        ink = ink * (1 - smooth(-1, 1.2, depth) * mist) + wash
    return ink


def bamboo(canvas: Canvas, rng: Rng) -> None:
    """Brush bamboo stems joint by joint, then twigs and leaves."""
    stem = Brush(tone=0.25, ragged=0.03, blunt=14, dry=0.62)
    leaf = Brush(tone=0.14, ragged=0.01, blunt=1.5, point=1.1, dry=0.33)
    twig = Brush(tone=0.1, ragged=0.02, blunt=6, dry=0.3)
    stems = [
        (800, 12, 0.62, -0.10), (872, 19, 0.45, 0.05), (948, 24, 0.2, 0.02),
    ]  # fmt: skip
    for foot, width, grey, lean in stems:
        bottom, at = 790.0, float(foot)
        while bottom > -40:
            tall = rng.uniform(84, 118)
            top = at + lean * tall + rng.normal(0, 2)
            path = polyline([(at, bottom), (top, bottom - tall + 5)])
            stroke(canvas, rng, path, width, np.full(3, grey), stem)
            knot = [(top - width * 0.62, bottom - tall + 1)]
            knot += [(top, bottom - tall + 4)]
            knot += [(top + width * 0.62, bottom - tall)]
            dark = np.full(3, grey * 0.35)
            stroke(canvas, rng, polyline(knot), 3.6, dark, twig)
            if bottom < 560 and rng.random() < 0.85:
                way = -1 if rng.random() < 0.72 else 1
                _spray(canvas, rng, (top, bottom - tall), way, grey, twig, leaf)
            at, bottom = top, bottom - tall


def _spray(
    canvas: Canvas,
    rng: Rng,
    root: tuple[float, float],
    way: int,
    grey: float,
    twig: Brush,
    leaf: Brush,
) -> None:
    """Brush one twig and the leaves that hang from its joints."""
    reach = rng.uniform(70, 150)
    knots = [
        (root[0] + way * reach * t, root[1] - 46 * t + 40 * t * t)
        for t in (0, 0.35, 0.7, 1)
    ]
    stroke(canvas, rng, polyline(knots), 2.6, np.full(3, grey * 0.7), twig)
    for px, py in knots[1:]:
        for _ in range(rng.integers(3, 6)):
            turn = np.pi / 2 - way * rng.uniform(-0.5, 1.15)
            size = rng.uniform(46, 112)
            tip = (px + size * np.cos(turn), py + size * np.sin(turn))
            sag = ((px + tip[0]) / 2, (py + tip[1]) / 2 - 5)
            shade = np.full(3, np.clip(grey * rng.uniform(0.1, 1.2), 0.03, 0.8))
            path = polyline([(px, py), sag, tip])
            stroke(canvas, rng, path, 3 + size * 0.13, shade, leaf)


def paper(rng: Rng, x: Array, y: Array) -> Array:
    """Return warm paper: clouded pulp and fibres that lie every way."""
    sheet = Canvas(rng, rgb("efe6d2"))
    turn = noise(rng, 80, 2) * 2
    start = cover(rng, 2600)
    fibres = trace(turn, start, 26)
    shade = rgb("efe6d2") * rng.normal(1, 0.035, (2600, 1))
    stroke(sheet, rng, fibres, 1.0, shade, Brush(tone=0.01, body=0.5))
    pulp = 1 + 0.012 * noise(rng, 40, 5) + 0.010 * noise(rng, 2, 2)
    pulp -= 0.05 * smooth(0.6, 1.4, np.hypot(x / 512 - 1, y / 384 - 1))
    return blur(sheet.paint, 0.5) * pulp[..., None]


def ink_wash(rng: Rng) -> Array:
    """Ink on paper: misty mountains, a boat, bamboo and a red seal."""
    x, y = grid()
    sheet = paper(rng, x, y)
    ink = ink_mountains(rng, x, y)
    lines = Canvas(rng, 1.0)
    dry = Brush(tone=0.3, ragged=0.2, blunt=3, dry=0.72)
    for _ in range(240):  # Dry strokes that model the near slopes.
        px, py = rng.uniform(-20, 760), rng.uniform(400, 540)
        if ink[int(py * SS), int(np.clip(px, 0, 1023) * SS)] < 0.30:
            continue
        way = rng.choice([-1, 1])
        far = (px + way * rng.uniform(12, 40), py + rng.uniform(24, 70))
        path = polyline([(px, py), (px + way * 4, py + 14), far])
        stroke(lines, rng, path, rng.uniform(3, 9), np.full(3, 0.35), dry)
    for k in range(16):  # Still water: a few flat, dry sweeps.
        px, py = rng.uniform(-60, 560), 606 + 9.5 * k
        path = polyline([(px, py), (px + rng.uniform(120, 330), py + 3)])
        stroke(lines, rng, path, rng.uniform(3, 11), np.full(3, 0.74), dry)
    line = Brush(tone=0.15, ragged=0.05, blunt=2, dry=0.35)
    boat = [
        ([(318, 628), (350, 641), (410, 642), (446, 624)], 7, 0.16),
        ([(352, 630), (366, 612), (392, 611), (402, 632)], 5, 0.3),
        ([(424, 630), (428, 604)], 6, 0.12), ([(420, 602), (436, 604)], 6, 0.1),
        ([(436, 560), (404, 668)], 2, 0.2),
    ]  # fmt: skip
    birds = [(250, 150, 1.0), (284, 132, 0.8), (310, 158, 0.7), (226, 120, 0.6)]
    for px, py, s in birds:
        wing = [(px - 13 * s, py - 4 * s), (px - 5 * s, py - 5 * s), (px, py)]
        wing += [(px + 6 * s, py - 6 * s), (px + 14 * s, py - 4 * s)]
        boat.append((wing, 3 * s, 0.2))
    for knots, width, grey in boat:
        stroke(lines, rng, polyline(knots), width, np.full(3, grey), line)
    bamboo(lines, rng)
    drawn = 1 - lines.paint[..., 0]
    # Wet lines bleed a little into the paper around them.
    drawn = np.maximum(drawn, 0.45 * blur(drawn, 1.5)) + 0.10 * blur(drawn, 7)
    drawn *= 1 + 0.05 * noise(rng, 2.2, 2) + 0.08 * noise(rng, 60, 4)
    ink = np.clip(ink * (1 - 0.8 * drawn) + drawn, 0, 0.97)
    image = mix(sheet, rgb("14161c"), ink)
    return shrink(stamp_seal(rng, image, x, y))


def stamp_seal(rng: Rng, image: Array, x: Array, y: Array) -> Array:
    """Press a worn red seal with an invented sign onto the paper."""
    u, v = (x - 96) / 25, (y - 668) / 25
    rim = np.maximum(np.abs(u), np.abs(v)) + 0.02 * noise(rng, 6, 3)
    seal = rim < 1
    bars = [(0, -0.55, 0.6, 0.09), (0, 0.0, 0.42, 0.09), (0, 0.58, 0.62, 0.09)]
    bars += [(0, 0, 0.09, 0.62), (-0.5, 0.3, 0.08, 0.3), (0.5, 0.3, 0.08, 0.3)]
    for cx, cy, half_w, half_h in bars:
        seal &= ~((np.abs(u - cx) < half_w) & (np.abs(v - cy) < half_h))
    worn = smooth(-1.6, -0.4, noise(rng, 5, 3))
    return mix(image, rgb("b3261e"), 0.88 * seal * worn)


# --- Command line ---------------------------------------------------------

PICTURES: dict[str, tuple[Callable[[Rng], Array], int]] = {
    "harbor_at_dusk": (harbor_at_dusk, 11),
    "valley": (valley, 12),
    "swirling_night": (swirling_night, 13),
    "stained_blocks": (stained_blocks, 14),
    "points_of_color": (points_of_color, 15),
    "ink_wash": (ink_wash, 16),
}


def encode(image: Array) -> bytes:
    """Return the image as the best JPEG file that is small enough."""
    picture = Image.fromarray((image * 255 + 0.5).astype("u1"))
    for quality in range(92, 30, -3):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= MAX_BYTES:
            break
    assert buffer.tell() <= MAX_BYTES, f"{buffer.tell()} bytes"
    return buffer.getvalue()


def main() -> None:
    """Paint the pictures and save them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=PICTURES, help="paint one picture")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name in [options.only] if options.only else PICTURES:
        begin = time.perf_counter()
        paint, seed = PICTURES[name]
        data = encode(paint(np.random.default_rng(seed)))
        path = options.output / f"{name}.jpg"
        path.write_bytes(data)
        seconds = time.perf_counter() - begin
        print(f"{path}: {len(data) / 1000:.0f} kB, {seconds:.1f} s")


if __name__ == "__main__":
    main()
