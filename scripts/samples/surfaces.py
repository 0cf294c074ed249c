"""Surfaces: what the walls, roofs and trees of the harbor look like.

A surface takes u and v, the distances from its lower left corner in meters,
[N], and returns its color, the light that it sends out, [N, 3], and whether
there is anything to see at all, [N].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from samples import colors, maps
from samples.maps import Array

Surface = Callable[[Array, Array], tuple[Array, Array, Array]]


def matte(color: Array, rough: float = 0.1, size: float = 1.0) -> Surface:
    """Returns a plain surface with some dirt."""

    def surface(u: Array, v: Array) -> tuple[Array, Array, Array]:
        dirt = 1 + rough * maps.fractal(u / size, v / size, 5)
        return _dark(color * dirt[:, None])

    return surface


def tiled(
    color: Array, seed: float, wide: float = 0.26, tall: float = 0.34
) -> Surface:
    """Returns rows of tiles or stones, each of its own tone, with moss."""

    def surface(u: Array, v: Array) -> tuple[Array, Array, Array]:
        row = np.floor(v / tall)
        col = np.floor(u / wide + 0.5 * (row % 2))
        tone = 0.62 + 0.36 * maps.scatter(row, col, seed)
        tone *= 0.7 + 0.42 * (v / tall - row)
        tone *= 1 + 0.35 * maps.fractal(u / 2.5 + seed, v / 2.5, 4)
        return _dark(color * tone[:, None])

    return surface


def wall(color: Array, seed: float, wide: float, lit: float) -> Surface:
    """Returns plaster with windows, some of them lit, and shutters."""
    bays = max(1, round(wide / 2.3))
    shutters = maps.scatter(seed, seed, 5) < 0.55
    tint = colors.palette("274a45 5a2a22 2d3a5a")[int(seed * 7) % 3]

    def surface(u: Array, v: Array) -> tuple[Array, Array, Array]:
        bay, story = np.floor(u / wide * bays), np.floor(v / 2.9)
        x = u - (bay + 0.5) * wide / bays
        y = v - story * 2.9 - 1.6
        half = np.where(story == 0, 0.62, 0.48)
        opening = (np.abs(x) < half) & (np.abs(y) < 0.78)
        bars = opening & ((np.abs(x) < 0.05) | (np.abs(y - 0.2) < 0.05))
        glass = opening & ~bars
        frame = (np.abs(x) < half + 0.1) & (np.abs(y) < 0.88) & ~glass
        leaf = (np.abs(x) < half + 0.5) & (np.abs(y) < 0.8) & shutters
        stain = 1 + 0.22 * maps.fractal(u / 1.7 + seed, v / 2.6, 5)
        stain *= 0.75 + 0.25 * maps.smooth(0, 1.2, v)
        albedo = color * stain[:, None]
        slats = 0.3 + 0.12 * np.sin(v * 40)
        albedo[leaf] = (tint * slats[:, None])[leaf]
        albedo[frame] = colors.rgb("b8a890") * 0.6
        albedo[glass] = colors.rgb("0c1018")
        luck = maps.scatter(bay, story, seed)
        lamp = np.array([1.0, 0.43, 0.10]) * (0.5 + 0.9 * luck[:, None])
        lamp = lamp * (1.05 - 0.45 * np.abs(x[:, None]) - 0.3 * y[:, None])
        on = glass & (luck * 7.7 % 1 < lit)
        glow = np.where(on[:, None], 1.5 * lamp, 0)
        glow += 0.05 * (glass & ~on)[:, None] * np.array([0.7, 0.8, 1.2])
        return albedo, glow, np.full(u.shape, True)

    return surface


def cabin(color: Array, tall: float) -> Surface:
    """Returns the wall of a boat's cabin with a row of lit panes."""

    def surface(u: Array, v: Array) -> tuple[Array, Array, Array]:
        glass = (np.abs(u % 0.62 - 0.31) < 0.2) & (np.abs(v / tall - 0.6) < 0.2)
        albedo = np.where(glass[:, None], 0.05, color)
        lamp = np.array([0.9, 0.42, 0.12]) * (0.4 + v / tall)[:, None]
        glow = np.where(glass[:, None], lamp, 0)
        return albedo, glow, np.full(u.shape, True)

    return surface


def leaves(seed: float, size: float) -> Surface:
    """Returns the ragged disk of a tree seen against the town."""

    def surface(u: Array, v: Array) -> tuple[Array, Array, Array]:
        x, y = u / size * 2 - 1, v / size * 2 - 1
        clump = maps.fractal(u * 0.9 + seed * 31, v * 0.9, 5)
        tone = np.clip(0.55 + 0.45 * y + 0.9 * clump, 0.15, 1.5)
        albedo, glow, _ = _dark(colors.rgb("41502f") * tone[:, None])
        return albedo, glow, np.hypot(x, y) + clump < 0.9

    return surface


def _dark(albedo: Array) -> tuple[Array, Array, Array]:
    """Returns a surface without holes and without light of its own."""
    return albedo, np.zeros_like(albedo), np.full(len(albedo), True)
