"""The town of the harbor, as flat panels in a space measured in meters.

The first axis points right, the second up from the water, the third away from
the eye.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from samples import colors, surfaces
from samples.maps import Array, Rng
from samples.surfaces import Surface

Vector = Sequence[float] | Array

RIGHT, BACK = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
# Single precision, on whose rounding a few pixels of the picture depend.
UP = np.array([0, 1, 0], "f4")


@dataclasses.dataclass
class Panel:
    """A flat part of the town, with a corner at origin and sides a and b.

    Its shape is "full", a parallelogram, or "gable", a triangle with its tip
    above the middle of a, or "corner", the triangle of the origin, a and b.
    """

    origin: Array
    a: Array
    b: Array
    surface: Surface
    shape: str


class Town:
    """The panels of the town and the places of its lamps."""

    def __init__(self) -> None:
        self.panels: list[Panel] = []
        self.lamps: list[Array] = []

    def add(
        self,
        origin: Vector,
        a: Vector,
        b: Vector,
        surface: Surface,
        shape: str = "full",
    ) -> None:
        """Adds one panel."""
        origin, a, b = (np.asarray(part, "f4") for part in (origin, a, b))
        self.panels.append(Panel(origin, a, b, surface, shape))

    def add_box(
        self,
        origin: Array,
        a: Array,
        b: Array,
        tall: float,
        looks: tuple[Surface, Surface, Surface],
    ) -> None:
        """Adds a box: two walls along a, two along b, and a lid."""
        along, across, lid = looks
        up = UP * tall
        self.add(origin, a, up, along)
        self.add(origin, b, up, across)
        self.add(origin + a, b, up, across)
        self.add(origin + b, a, up, along)
        self.add(origin + up, a, b, lid)


def build(rng: Rng) -> Town:
    """Builds rows of houses up a hill, a church, a quay, trees and boats."""
    town = Town()
    _add_ground(town)
    for row in range(6):
        _add_row(town, rng, row)
    z = 24.0
    while z < 72:  # The houses on the right.
        wide = rng.uniform(6, 9)
        size = (wide, 8, rng.uniform(7.5, 11))
        _add_house(town, rng, np.array([22.5, 1.5, z]), BACK, RIGHT, size)
        z += wide
    _add_church(town, rng, np.array([-24.0, 13.5, 128]))
    _add_lamps(town)
    for x, distance, length, turn in (
        (-9.5, 25, 7.5, 0.35), (5.2, 34, 8.5, 2.7), (-25, 47, 9, 0.1),
        (-3, 62, 9, 0.2), (-40, 64, 10, 3.0), (10, 57, 9, 1.9),
        (-20, 66, 8, 0.0), (12.5, 44, 6, 1.5), (-32, 66, 8, 0.1),
    ):  # fmt: skip
        _add_boat(town, rng, np.array([x, 0, distance]), length, turn)
    return town


def _add_ground(town: Town) -> None:
    """Adds the quays in front and on the right, and the grass of the hill."""
    stone = surfaces.tiled(colors.rgb("8d8379"), 0.4, 0.9, 0.38)
    paving = surfaces.matte(colors.rgb("7d746c"), 0.3)
    town.add((-120, 0, 70), RIGHT * 240, UP * 1.5, stone)
    town.add((-120, 1.5, 70), RIGHT * 240, BACK * 12, paving)
    town.add((17, 0, 12), BACK * 58, UP * 1.5, stone)
    town.add((17, 1.5, 12), BACK * 58, RIGHT * 40, paving)
    grass = surfaces.matte(colors.rgb("39422c"), 0.6, 3)
    town.add((-300, 1.5, 79), RIGHT * 600, (0, 26, 90), grass)


def _add_row(town: Town, rng: Rng, row: int) -> None:
    """Adds a row of houses and trees, higher up the hill than the last."""
    x, z = -50.0 - 9 * row, 77.0 + 13 * row
    while x < 62 + 8 * row:
        wide = rng.uniform(5.5, 10)
        hill = 0.55 + 0.75 * np.exp(-(((x + 16) / 34) ** 2))
        lift = 1.5 + 3.9 * row * hill
        tall = rng.uniform(5.4, 9.8) + (1.5 if row == 0 else 0)
        place = np.array([x, lift, z + rng.uniform(0, 2.5)])
        if row == 0 or rng.random() < 0.8 - 0.06 * row:
            sink = UP * (2.9 if row else 0.0)  # Into the slope.
            size = (wide, 8, tall + sink[1])
            _add_house(town, rng, place - sink, RIGHT, BACK, size)
        elif rng.random() < 0.9:
            across = rng.uniform(6, 10)
            tree = surfaces.leaves(rng.random(), across)
            town.add(place + UP * 1.5, RIGHT * across, UP * across, tree)
        x += wide + (0.0 if rng.random() < 0.7 else rng.uniform(0.5, 3))


def _add_church(town: Town, rng: Rng, place: Array) -> None:
    """Adds a tower with a ledge and a spire, and a nave beside it."""
    pale = colors.rgb("b3a48c")
    slate = surfaces.tiled(colors.rgb("4d5a60"), 0.2)
    tower, ledge = surfaces.wall(pale, 0.61, 6, 0.15), surfaces.matte(pale)
    a, b = RIGHT * 6, BACK * 6
    town.add_box(place, a, b, 21, (tower, tower, tower))
    lip = place + UP * 20.6 - 0.4
    town.add_box(lip, RIGHT * 6.8, BACK * 6.8, 0.6, (ledge, ledge, ledge))
    for start, side, inward in (
        (place, a, b / 2), (place, b, a / 2), (place + a, b, -a / 2),
    ):  # fmt: skip
        town.add(start + UP * 21, side, UP * 14 + inward, slate, "gable")
    _add_house(town, rng, place + a, RIGHT, BACK, (15, 9, 11))


def _add_lamps(town: Town) -> None:
    """Adds lamps on their posts along both quays."""
    town.lamps = [np.array([x, 5.4, 71.5]) for x in (-46, -31, -17, -4, 9)]
    town.lamps += [np.array([18.5, 5.4, z]) for z in (26, 38, 50, 61)]
    iron = surfaces.matte(colors.rgb("1c1c20"))
    for lamp in town.lamps:
        town.add(lamp - UP * 3.9, RIGHT * 0.14, UP * 3.9, iron)


def _add_house(
    town: Town,
    rng: Rng,
    place: Array,
    right: Array,
    back: Array,
    size: tuple[float, float, float],
) -> None:
    """Adds a house: walls, two roof slopes, gables, dormer, chimneys."""
    wide, deep, tall = size
    seed = rng.random()
    plasters = "c9b08c d8c7a4 b9846a a8927c cdbfb0 c79a62 9fa6a0"
    color = rng.choice(colors.palette(plasters)) * rng.uniform(0.8, 1.05)
    tiles = rng.choice(colors.palette("9a4a32 83402e a8583a 6d4038 5e4a4c"))
    slate = surfaces.tiled(tiles, seed)
    plain = surfaces.matte(color)
    front = surfaces.wall(color, seed, wide, 0.42)
    side = surfaces.wall(color * 0.95, seed + 0.3, deep, 0.25)
    a, b, up = right * wide, back * deep, UP * tall
    town.add_box(place, a, b, tall, (front, side, side))
    top, rise, eave = place + up, UP * rng.uniform(2.4, 3.8), 0.4
    if rng.random() < 0.35:  # The gable looks at the street.
        town.add(top, a, rise, plain, "gable")
        lip, ridge = top - back * eave, back * (deep + 2 * eave)
        town.add(lip, ridge, a / 2 + rise, slate)
        town.add(lip + a, ridge, rise - a / 2, slate)
    else:
        lip, ridge = top - right * eave, right * (wide + 2 * eave)
        fall = back * eave + UP * 0.25
        town.add(lip - fall, ridge, b / 2 + rise + fall, slate)
        town.add(lip + b, ridge, rise - b / 2, slate)
        for start in (top, top + a):
            town.add(start, b, rise, plain, "gable")
        if rng.random() < 0.5:
            dormer = top + right * (wide * rng.uniform(0.25, 0.6))
            dormer = dormer + back * 0.7 + UP * 0.4
            pane = surfaces.wall(color, seed + 0.6, 1.5, 0.6)
            looks = (pane, plain, slate)
            town.add_box(dormer, right * 1.5, back * 2, 1.9, looks)
    brick = surfaces.matte(colors.rgb("7d4c3c"), 0.3, 0.4)
    for _ in range(rng.integers(1, 3)):
        chimney = top + rise * 0.55 + right * rng.uniform(0.1, 0.85) * wide
        chimney = chimney + back * deep * rng.uniform(0.4, 0.6)
        looks = (brick, brick, brick)
        town.add_box(chimney, right * 0.9, back * 0.7, 2.5, looks)


def _add_boat(
    town: Town, rng: Rng, place: Array, size: float, turn: float
) -> None:
    """Adds a lofted hull with its deck, cabin, mast, boom and stays."""
    go = np.array([np.cos(turn), 0, np.sin(turn)])
    out = np.array([-np.sin(turn), 0, np.cos(turn)])
    s = np.linspace(-0.9, 1, 13)[:, None]
    beam = 0.17 * size * (1 - np.abs(s) ** 2.6)
    rail = place + go * s * size / 2 + UP * size * (0.085 + 0.05 * s**2)
    keel = place + go * s * size * 0.46 - UP * 0.05
    middle = rail - UP * 0.12
    coat = rng.choice(colors.palette("e6e2da 3a5f86 8d3b30 2e4a46"))
    skin = surfaces.matte(coat, 0.12)
    deck = surfaces.matte(colors.rgb("8a6a4a"), 0.2, 0.3)
    for i in range(12):
        for way in (-1, 1):
            p, q = (rail + way * out * beam)[i : i + 2]
            m, n = (keel + way * out * beam * 0.75)[i : i + 2]
            town.add(m, n - m, p - m, skin, "corner")
            town.add(q, p - q, n - q, skin, "corner")
            c, d = middle[i : i + 2]
            town.add(c, d - c, p - c, deck)
    a, b, tall = go * size * 0.24, out * size * 0.16, size * 0.13
    room = place - go * size * 0.2 - b / 2 + UP * size * 0.08
    pane = surfaces.cabin(colors.rgb("b9ae9c"), tall)
    lid = surfaces.matte(colors.rgb("6e655c"))
    town.add_box(room, a, b, tall, (pane, pane, lid))
    wood = surfaces.matte(colors.rgb("6b4c34"))
    cloth = surfaces.matte(colors.rgb("b9a58a"), 0.2, 0.3)
    mast, top = place + go * size * 0.1, UP * size * rng.uniform(1.0, 1.3)
    town.add(mast, RIGHT * 0.014 * size, top, wood)
    boom = mast + UP * size * 0.27
    sail = boom + UP * 0.02 * size
    town.add(boom, -go * size * 0.5, UP * 0.018 * size, wood)
    town.add(sail, -go * size * 0.46, UP * 0.05 * size, cloth)
    for end in (rail[-1], rail[0]):
        town.add(end, mast + top - end, RIGHT * 0.005 * size, wood)
