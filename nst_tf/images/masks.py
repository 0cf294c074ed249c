"""Pictures that say where: masks, gray or of colors -> regions.

A gray mask has one region, white, and the rest, black; what lies between
belongs to both. A color-coded mask has a region for each color; the edges
between two may be soft.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

GRAY = 8  # by how much the channels of a gray differ, at most, of 255
NEAR = 24  # within which a color is that of a region: JPEG, and rounding
APART = 64  # how far colors of regions are from each other, at least
SMALLEST = 0.002  # share of a mask that a color of its own has, at least;
EDGE = 0.03  # if it lies between two others, as those of soft edges do
LUMA = (0.2126, 0.7152, 0.0722)  # of red, green and blue: ITU-R BT.709
STRAY = 0.02  # share of the pixels whose color may be of no region


class MaskRegion(NamedTuple):
    """A part of a picture."""

    color: tuple[int, int, int]  # of 0..255, in the mask
    weights: np.ndarray  # how much each pixel belongs to it, [H, W] in [0, 1]

    @property
    def name(self) -> str:
        """The color as #rrggbb."""
        return "#{:02x}{:02x}{:02x}".format(*self.color)


def find_mask_regions(mask: np.ndarray, name: str) -> list[MaskRegion]:
    """Finds the regions of a mask, from the lightest to the darkest.

    At each pixel their weights add up to 1.

    Args:
        mask: [H, W, 3] in [0, 1].
        name: What to call it in an error.

    Returns:
        Of a gray mask white and black, in this order; of another one a region
        for each color.

    Raises:
        ValueError: If colors are too near to each other, or not told apart.
    """
    pixels = np.rint(255 * mask).astype(np.int32)
    if (pixels.max(axis=-1) - pixels.min(axis=-1)).max() <= GRAY:
        white = mask.mean(axis=-1).astype(np.float32)
        return [MaskRegion((255,) * 3, white), MaskRegion((0,) * 3, 1 - white)]
    palette = _palette(pixels, name)
    weights = np.moveaxis(_weights(pixels, palette, name), -1, 0)
    found = map(MaskRegion, map(tuple, palette.tolist()), weights)
    return sorted(found, key=lambda region: -np.dot(LUMA, region.color))


def format_title(name: str) -> str:
    """What people call a mask: "style mask 1" for "style_mask/0"."""
    setting, _, number = name.partition("/")
    return f"style mask {int(number) + 1}" if number else setting


def is_same_color(color: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two masks mean the same region by two colors."""
    return bool(np.abs(np.subtract(color, other)).max() <= NEAR)


def _palette(pixels: np.ndarray, name: str) -> np.ndarray:
    """The colors of the regions, [K, 3], the most frequent first."""
    flat = pixels.reshape(-1, 3)
    colors, counts = np.unique(flat, axis=0, return_counts=True)
    order = np.argsort(-counts)
    colors, counts = colors[order], counts[order]
    palette: list[np.ndarray] = []
    for color, count in zip(colors, counts, strict=True):
        if count < SMALLEST * len(flat):
            break
        distances = [np.abs(color - other).max() for other in palette]
        nearest = min(distances, default=APART)
        if nearest <= NEAR:
            continue
        if count < EDGE * len(flat) and _is_between(color, palette):
            continue
        if nearest < APART:
            raise ValueError(
                f"{name} has the colors {tuple(map(int, color))} and others "
                f"less than {APART} from it, of 255; use colors that are "
                f"further apart, without shades."
            )
        palette.append(color)
    if len(palette) < 2:
        raise ValueError(
            f"{name} has {len(palette)} colors that fill more than "
            f"{SMALLEST:.1%} of it, expected a gray mask, or two colors at "
            f"least."
        )
    return np.array(palette)


def _is_between(color: np.ndarray, palette: Sequence[np.ndarray]) -> bool:
    """Whether a color is a mixture of two of the palette."""
    for first, second in itertools.combinations(palette, 2):
        way = second - first
        share = np.clip(np.dot(color - first, way) / np.dot(way, way), 0, 1)
        if np.abs(color - first - share * way).max() <= NEAR:
            return True
    return False


def _weights(pixels: np.ndarray, palette: np.ndarray, name: str) -> np.ndarray:
    """How much pixels belong to each color, [H, W, K]: to two at most."""
    shape, flat = pixels.shape[:2], pixels.reshape(-1, 3).astype(np.float32)
    apart = [np.abs(flat - color).max(axis=-1) for color in palette]
    distances = np.stack(apart, axis=-1)
    first, second = np.argsort(distances, axis=-1)[:, :2].T
    origin, goal = palette[first], palette[second]
    way = (goal - origin).astype(np.float32)
    share = ((flat - origin) * way).sum(-1) / (way**2).sum(-1)
    share = np.where(distances.min(-1) <= NEAR, 0.0, np.clip(share, 0.0, 1.0))
    rest = np.abs(flat - origin - share[:, None] * way).max(axis=-1)
    stray = float((rest > APART).mean())
    if stray > STRAY:
        raise ValueError(
            f"{name} has {stray:.0%} of its pixels in colors that are of no "
            f"region; draw it in a few plain colors."
        )
    weights = np.zeros((len(flat), len(palette)), np.float32)
    rows = np.arange(len(flat))
    weights[rows, first] = 1 - share
    weights[rows, second] += share
    return weights.reshape(*shape, len(palette))
