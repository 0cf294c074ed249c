"""A canvas, and a brush whose strokes leave color and relief on it."""

from __future__ import annotations

import dataclasses

import numpy as np

from samples import maps
from samples.maps import Array, Points, Rng

STEP = 0.42  # Less than a sample, so that no stroke has holes.


@dataclasses.dataclass(frozen=True)
class Brush:
    """How a brush lays its paint."""

    tone: float = 0.06  # Difference of color from hair to hair.
    ragged: float = 0.12  # How unevenly the hairs begin and end.
    blunt: float = 8.0  # 2 is an ellipse, more is a bar, 1 is a leaf.
    point: float = 0.5  # More than 0.5 draws the ends out.
    dry: float = 0.0  # How much of the tooth stays bare at the end.
    body: float = 1.0  # Height of the paint.


class Canvas:
    """Paint, [ROWS, COLUMNS, 3], its relief and the tooth below it."""

    def __init__(self, rng: Rng, color: Array | float) -> None:
        self.rng = rng
        self.paint = np.empty((maps.ROWS, maps.COLUMNS, 3), "f4")
        self.paint[:] = color
        self.relief = np.zeros((maps.ROWS, maps.COLUMNS), "f4")
        self.tooth = maps.noise(rng, 3, 2)

    def lit(self, strength: float, shine: float) -> Array:
        """Returns the paint under a light from the upper left."""
        height = maps.blur(self.relief, 0.5)
        slope = np.diff(height, axis=1, prepend=0)
        slope += np.diff(height, axis=0, prepend=0)
        light = np.clip(strength * slope, -0.45, 0.45)
        gloss = shine * np.clip(light - 0.12, 0, 1)
        return self.paint * (1 + light)[..., None] + gloss[..., None]

    def stroke(
        self,
        paths: Array,
        width: Array | float,
        color: Array | float,
        brush: Brush,
    ) -> None:
        """Lays strokes, each over those before it.

        Args:
            paths: Middles of the strokes, [N, K, 2].
            width: Widths, [N], or one for all.
            color: Colors, [N, 3], or one for all, or a shade of gray.
            brush: How the paint is laid.
        """
        count, steps = paths.shape[:2]
        width = np.broadcast_to(np.asarray(width, "f4"), count)
        color = np.broadcast_to(color, (count, 3))
        hairs = int(np.ceil(width.max() * maps.SCALE * 1.25)) + 2
        some = max(1, 1_000_000 // (steps * hairs))  # Bounds the memory.
        for i in range(0, count, some):
            part = slice(i, i + some)
            self._lay(paths[part], width[part], color[part], hairs, brush)

    def _lay(
        self, paths: Array, width: Array, color: Array, hairs: int, brush: Brush
    ) -> None:
        """Lays some strokes, [N, K], as tracks of their hairs, [N, K, M]."""
        count, steps = paths.shape[:2]
        u = np.linspace(0, 1, steps, dtype="f4")[None, :, None]
        v = np.linspace(-1, 1, hairs, dtype="f4")
        along = np.gradient(paths, axis=1)
        along /= np.linalg.norm(along, axis=-1, keepdims=True) + 1e-6
        full = 1 - np.abs(2 * u[0, :, 0] - 1) ** brush.blunt
        full = full**brush.point
        reach = (width[:, None] * full / 2)[:, :, None] * v * maps.SCALE
        col = paths[:, :, :1] * maps.SCALE - along[:, :, 1:] * reach
        row = paths[:, :, 1:] * maps.SCALE + along[:, :, :1] * reach
        keep = (
            (col >= 0) & (col < maps.COLUMNS) & (row >= 0) & (row < maps.ROWS)
        )
        hair = self.rng.standard_normal((count, hairs)).astype("f4")
        hair = (hair + np.roll(hair, 1, 1) + 0.5 * np.roll(hair, 2, 1)) / 1.5
        early, late = np.abs(
            self.rng.standard_normal((2, count, 1, hairs), "f4")
        )
        keep &= u >= brush.ragged * early * 0.5
        keep &= u <= 1 - brush.ragged * late
        index = (row.astype("i4") * maps.COLUMNS + col.astype("i4"))[keep]
        owner = np.arange(count * hairs, dtype="i4").reshape(count, 1, hairs)
        owner = np.broadcast_to(owner, keep.shape)[keep]
        if brush.dry:
            load = self.tooth.ravel()[index] + 0.8 * hair.ravel()[owner]
            fade = np.broadcast_to(u, keep.shape)[keep]
            wet = load > 4 * (brush.dry * (0.35 + fade) - 0.6)
            index, owner = index[wet], owner[wet]
        # Where an index comes twice numpy keeps the last: later strokes cover.
        shade = color[:, None] * (1 + brush.tone * hair[:, :, None])
        self.paint.reshape(-1, 3)[index] = shade.reshape(-1, 3)[owner]
        # A loaded brush leaves furrows between its hairs and rims beside them.
        ridge = brush.body * (0.6 + 0.22 * hair + 0.5 * v**6)
        self.relief.ravel()[index] = ridge.ravel()[owner]


def cover(rng: Rng, count: int, margin: float = 40) -> Array:
    """Returns points, [N, 2], spread over the picture and its margin."""
    low, high = -margin, (maps.WIDTH + margin, maps.HEIGHT + margin)
    return rng.uniform(low, high, (count, 2))


def trace(angle: Array, start: Array, length: float) -> Array:
    """Follows an angle map from the start points, [N, 2]: [N, K, 2]."""
    path = np.empty((len(start), max(4, int(length / STEP)), 2), "f4")
    position = start.astype("f4")
    for k in range(path.shape[1]):
        path[:, k] = position
        turn = maps.pick(angle, position)
        position = position + STEP * np.stack((np.cos(turn), np.sin(turn)), 1)
    return path


def polyline(points: Points | Array) -> Array:
    """Returns one path, [1, K, 2], through the points."""
    knots = np.array(points, "f4")
    length = np.abs(np.diff(knots, axis=0)).sum()
    t = np.linspace(0, len(knots) - 1, max(4, int(length / STEP)))
    path = [np.interp(t, np.arange(len(knots)), knots[:, k]) for k in (0, 1)]
    return np.stack(path, -1)[None].astype("f4")
