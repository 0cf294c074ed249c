"""A doodle in four colors, and the same colors over the swirling night."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from samples import maps, swirling_night
from samples.maps import Array, Points, Rng

SKY, HILLS = (64, 96, 255), (32, 160, 64)
FIELD, TREES = (255, 208, 32), (160, 32, 32)
Trees = Sequence[tuple[float, float, float, float]]


def draw(rng: Rng) -> Array:
    """Draws where the sky, the hills, a field and trees are to be."""
    del rng
    hills = [(0, 520), (210, 380), (420, 500), (760, 300), (1024, 430)]
    field = [(0, 690), (330, 590), (640, 640), (1024, 560)]
    trees = [(700, 700, 400, 50), (800, 720, 300, 44), (160, 740, 330, 48)]
    return _fill(hills, field, trees)


def mark(rng: Rng) -> Array:
    """Marks the same areas of the swirling night."""
    del rng
    hills = [(0, 440), (330, 490), (560, 480), (830, 430), (1024, 410)]
    field = [(0, 655), (250, 690), (500, 655), (740, 620), (1024, 690)]
    return _fill(hills, field, swirling_night.TREES)


def _fill(hills: Points, field: Points, trees: Trees) -> Array:
    """Fills areas with flat colors over the sky, [HEIGHT, WIDTH, 3]."""
    image = Image.new("RGB", (maps.WIDTH, maps.HEIGHT), SKY)
    canvas = ImageDraw.Draw(image)
    areas = [(_below(hills), HILLS), (_below(field), FIELD)]
    areas += [(_tree(*each), TREES) for each in trees]
    for points, color in areas:
        canvas.polygon([tuple(point) for point in points], fill=color)
    return np.asarray(image, "f4") / 255


def _below(line: Points) -> Points:
    """Returns the area below a line from the left to the right."""
    return [*line, (maps.WIDTH, maps.HEIGHT), (0, maps.HEIGHT)]


def _tree(x: float, foot: float, height: float, width: float) -> Points:
    """Returns the outline of a pointed tree."""
    return [
        (x - 0.8 * width, foot),
        (x - width, foot - 0.35 * height),
        (x, foot - height),
        (x + width, foot - 0.35 * height),
        (x + 0.8 * width, foot),
    ]
