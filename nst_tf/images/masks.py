"""Reads masks, gray or color-coded, as regions.

A gray mask has a white region and a black one; grays in between belong to both.
A color-coded mask has a region for each color, with sharp or soft edges.
Transparent pixels are black in a gray mask, and in no region of a color-coded
one.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

GRAY = 8  # maximum difference of a gray's channels, of 255
NEAR = 24  # maximum distance to a region's color: JPEG, rounding
APART = 64  # minimum distance of the colors of two regions
SMALLEST = 0.002  # smallest region, as a share of the mask,
EDGE = 0.03  # if its color lies between two others, as in soft edges
LUMA = (0.2126, 0.7152, 0.0722)  # of red, green and blue: ITU-R BT.709
STRAY = 0.02  # maximum share of pixels in no region
OPAQUE = 0.5  # minimum alpha of pixels that define regions,
FAINT = 1 / 32  # or of new colors; below it, rounding exceeds NEAR
CLASSES = 31  # largest sample of masks that look like class numbers


class MaskRegion(NamedTuple):
    """A region of a mask: its color, and the membership of each pixel."""

    color: tuple[int, int, int]  # in the mask, 0 to 255
    weights: np.ndarray  # membership of each pixel, [H, W] in [0, 1]

    @property
    def name(self) -> str:
        """Returns the color as #rrggbb."""
        return "#{:02x}{:02x}{:02x}".format(*self.color)


def find_mask_regions(
    mask: np.ndarray, name: str, alpha: np.ndarray | None = None
) -> list[MaskRegion]:
    """Finds the regions of a mask, from the lightest to the darkest.

    The weights at each pixel add up to 1, or to alpha in a color-coded mask.

    Args:
        mask: [H, W, 3] in [0, 1].
        name: Its name in an error.
        alpha: Opacity, [H, W] in [0, 1]; None: opaque.

    Returns:
        For a gray mask white and black, in this order; for a color-coded one a
        region per color.

    Raises:
        ValueError: If colors are too similar, too many or too few, or as
            `read_gray`.
    """
    shown = np.rint(255 * _multiply(mask, alpha)).astype(np.int32)
    if _is_gray(shown):
        white = read_gray(mask, name, alpha).astype(np.float32)
        return [MaskRegion((255,) * 3, white), MaskRegion((0,) * 3, 1 - white)]
    pixels = np.rint(255 * mask).astype(np.int32)
    seen = np.ones(mask.shape[:2], bool) if alpha is None else alpha >= OPAQUE
    if alpha is not None:
        faint = (alpha >= FAINT) & ~seen
        seen[faint] = _is_new(pixels[faint], pixels[seen])
    palette = _palette(pixels[seen], name, 2 if alpha is None else 1)
    weights = _multiply(_weights(pixels, palette, seen, name), alpha)
    found = map(
        MaskRegion, map(tuple, palette.tolist()), np.moveaxis(weights, -1, 0)
    )
    return sorted(found, key=lambda region: -np.dot(LUMA, region.color))


def read_gray(
    mask: np.ndarray, name: str, alpha: np.ndarray | None = None
) -> np.ndarray:
    """Returns the weight of each pixel in a gray mask, [H, W] in [0, 1].

    Samples are multiplied by alpha.

    Args:
        mask: [H, W, 3] in [0, 1].
        name: Its name in an error.
        alpha: Opacity, [H, W] in [0, 1]; None: opaque.

    Raises:
        ValueError: If it is black on transparent, or its samples are class
            numbers.
    """
    gray = _multiply(mask, alpha)
    if gray.max() < (CLASSES + 0.5) / 255:
        _check_dark(mask if alpha is None else mask[alpha > 0], name)
    if alpha is not None and gray.max() <= GRAY / 255:
        raise ValueError(
            f"{name} has only black and transparent pixels, and transparent "
            "counts as black; draw in white."
        )
    return gray.mean(axis=-1)


def has_shape_of(mask: Sequence[int], picture: Sequence[int]) -> bool:
    """Returns whether a mask and its picture have the same aspect ratio.

    It allows for rounding the sides of the smaller one to whole pixels.

    Args:
        mask: (height, width) of the mask.
        picture: (height, width) of the picture.
    """
    (rows, columns), (height, width) = mask, picture
    rounding = max(height + width, rows + columns)
    return abs(rows * width - columns * height) <= rounding


def resize(weights: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resamples the weights of a region, [H, W] in [0, 1], to [h, w].

    Linear resampling keeps the sum of all regions at 1.
    """
    if weights.shape == (height, width):
        return weights
    image = Image.fromarray(np.ascontiguousarray(weights, np.float32))
    seen = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.clip(np.asarray(seen), 0.0, 1.0)


def format_title(name: str) -> str:
    """Formats the name of a mask: "style mask 1" for "style_mask/0"."""
    setting, _, number = name.partition("/")
    return f"style mask {int(number) + 1}" if number else setting


def is_same_color(color: Sequence[int], other: Sequence[int]) -> bool:
    """Returns whether two colors in masks mean the same region."""
    return bool(np.abs(np.subtract(color, other)).max() <= NEAR)


def _multiply(mask: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Multiplies a mask, [H, W, C], by its alpha."""
    return mask if alpha is None else mask * alpha[..., None]


def _is_gray(samples: np.ndarray) -> bool:
    """Returns whether samples of 0..255, [H, W, 3], are gray."""
    return bool((samples.max(axis=-1) - samples.min(axis=-1)).max() <= GRAY)


def _is_new(pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Returns which pixels, [N, 3], are far from all known colors, [M, 3].

    It ignores known colors that are too rare for a region.
    """
    is_new = np.ones(len(pixels), bool)
    colors, counts = np.unique(known, axis=0, return_counts=True)
    for color in colors[counts >= SMALLEST * len(known)]:
        is_new &= np.abs(pixels - color).max(axis=-1) >= APART
    return is_new


def _check_dark(samples: np.ndarray, name: str) -> None:
    """Raises ValueError if small samples look like integers, not grays."""
    # 8 bits and 16 bits.
    for white, rounding in ((255, 0.005), (65535, 0.01)):
        numbers = np.rint(white * samples)
        if np.abs(white * samples - numbers).max() > rounding:
            continue
        if numbers.max() == 1:
            raise ValueError(
                f"{name} has no value above 1, but white is {white}; multiply "
                f"its values by {white}."
            )
        levels = np.unique(numbers)
        if len(levels) >= 3 and levels[-1] <= CLASSES:
            raise ValueError(
                f"{name} has {len(levels)} levels from {levels[0]:.0f} to "
                f"{levels[-1]:.0f}, which look like class numbers, but white "
                f"is {white}; draw the selected area in white, or each class "
                "in its own color."
            )
        if white == 65535 and 0 < levels[-1] <= 255:
            raise ValueError(
                f"{name} has no value above {levels[-1]:.0f}, but white is "
                "65535; multiply values of 0 to 255 by 257."
            )


def _palette(flat: np.ndarray, name: str, least: int) -> np.ndarray:
    """Returns the colors of the regions, [K, 3], most frequent first."""
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
                f"{name} has the color {tuple(map(int, color))} and another "
                f"one less than {APART} of 255 from it; use more distinct "
                "colors, without shades."
            )
        palette.append(color)
    if len(palette) < least:
        raise ValueError(
            f"{name} has {len(palette)} colors that fill more than "
            f"{SMALLEST:.1%} of it; expected a gray mask, or at least two "
            "colors, or one with the rest transparent."
        )
    return np.array(palette)


def _is_between(color: np.ndarray, palette: Sequence[np.ndarray]) -> bool:
    """Returns whether a color is a mixture of two palette colors."""
    for first, second in itertools.combinations(palette, 2):
        way = second - first
        share = np.clip(np.dot(color - first, way) / np.dot(way, way), 0, 1)
        if np.abs(color - first - share * way).max() <= NEAR:
            return True
    return False


def _weights(
    pixels: np.ndarray, palette: np.ndarray, seen: np.ndarray, name: str
) -> np.ndarray:
    """Returns the membership of pixels, [H, W, K], in at most two colors."""
    shape, flat = pixels.shape[:2], pixels.reshape(-1, 3).astype(np.float32)
    apart = [np.abs(flat - color).max(axis=-1) for color in palette]
    distances = np.stack(apart, axis=-1)
    order = np.argsort(distances, axis=-1)
    first, second = order[:, 0], order[:, min(1, len(palette) - 1)]
    origin, goal = palette[first], palette[second]
    way = (goal - origin).astype(np.float32)
    square = np.maximum((way**2).sum(-1), 1)  # 0 for a single color
    share = ((flat - origin) * way).sum(-1) / square
    share = np.where(distances.min(-1) <= NEAR, 0.0, np.clip(share, 0.0, 1.0))
    rest = np.abs(flat - origin - share[:, None] * way).max(axis=-1)
    stray = float((rest[seen.reshape(-1)] > APART).mean())
    if stray > STRAY:
        raise ValueError(
            f"{name} has {stray:.0%} of its pixels in colors of no region; "
            "draw it in a few plain colors."
        )
    weights = np.zeros((len(flat), len(palette)), np.float32)
    rows = np.arange(len(flat))
    weights[rows, first] = 1 - share
    weights[rows, second] += share
    return weights.reshape(*shape, len(palette))
