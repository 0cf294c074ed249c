"""Transfers colors from one picture to another.

Lightness and chroma are Oklab's: equal differences look equal, and grays have
no chroma. `encode_srgb` applies the transfer function of sRGB to linear light,
`decode_srgb` its inverse.

Sources:
    Ottosson. A perceptual color space for image processing. 2020 (Oklab).
    Gatys, Bethge, Hertzmann, Shechtman. Preserving Color in Neural Artistic
    Style Transfer. 2016.
"""

from typing import NamedTuple

import numpy as np

# Linear sRGB -> cone responses; their cube roots -> lightness, a, b.
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
HALVINGS = 24  # bisection steps for a lightness
LEAST_VARIANCE = 1e-6  # added to covariances, so that none is singular
ROUNDING = 1e-10  # of linear light
BLOCK = 1 << 18  # pixels converted at once


class RecoloredImage(NamedTuple):
    """A picture with other colors."""

    image: np.ndarray  # [H, W, 3], not yet clipped to [0, 1]
    share: float  # of values that were changed or are outside [0, 1]


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Encodes linear light, clipped to [0, 1], as sRGB.

    Source:
        IEC 61966-2-1.
    """
    linear = np.clip(linear, 0.0, 1.0)
    above = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, above)


def decode_srgb(samples: np.ndarray) -> np.ndarray:
    """Decodes sRGB, in [0, 1], to linear light."""
    above = ((np.maximum(samples, 0.0) + 0.055) / 1.055) ** 2.4
    return np.where(samples <= 0.04045, samples / 12.92, above)


def to_oklab(image: np.ndarray) -> np.ndarray:
    """Maps sRGB, [..., 3] in [0, 1], to lightness, a and b, in float64."""
    linear = decode_srgb(np.asarray(image, np.float64))
    return np.cbrt(linear @ TO_CONES.T) @ TO_LAB.T


def from_oklab(lab: np.ndarray) -> np.ndarray:
    """Maps lightness, a and b, [..., 3], to linear sRGB, not clipped."""
    cones = (lab @ np.linalg.inv(TO_LAB).T) ** 3
    return cones @ np.linalg.inv(TO_CONES).T


def transfer_chroma(
    image: np.ndarray, content: np.ndarray, shares: np.ndarray | None = None
) -> RecoloredImage:
    """Replaces the chroma of a picture by that of another one of its size.

    Where the color is outside sRGB, the lightness moves towards that of the
    other picture, as little as possible; the chroma is kept.

    Args:
        image: Source of the lightness, [H, W, 3] in [0, 1], sRGB.
        content: Source of the chroma, of the same shape.
        shares: Share of the recolored picture in the result, [H, W] in [0, 1];
            the rest is `image`. None: 1.

    Returns:
        The picture, and the share of pixels whose lightness was changed.
    """
    shape, given = image.shape, 0
    ours, theirs = image.reshape(-1, 3), content.reshape(-1, 3)
    flat = None if shares is None else shares.reshape(-1, 1)
    result = np.empty(ours.shape, np.float32)
    for start in range(0, len(ours), BLOCK):
        block = slice(start, start + BLOCK)
        lab, other = to_oklab(ours[block]), to_oklab(theirs[block])
        lab[:, 1:] = other[:, 1:]
        outside = ~_in_gamut(lab)
        if flat is not None:
            outside &= flat[block, 0] > 0
        low, high = np.zeros((outside.sum(), 1)), np.ones((outside.sum(), 1))
        origin, way = other[outside], lab[outside] - other[outside]
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            fits = _in_gamut(origin + middle * way)[:, None]
            low = np.where(fits, middle, low)
            high = np.where(fits, high, middle)
        lab[outside] = origin + low * way
        result[block] = encode_srgb(from_oklab(lab))
        if flat is not None:
            share = flat[block]
            result[block] = share * result[block] + (1 - share) * ours[block]
        given += int(outside.sum())
    return RecoloredImage(result.reshape(shape), given / len(ours))


def to_gray(image: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
    """Converts a picture to gray by its lightness.

    Args:
        image: [H, W, 3] in [0, 1], sRGB.
        like: A picture, such as the content of a style; the result gets the
            mean and standard deviation of its lightness. None: no change.

    Returns:
        Gray, [H, W, 3], float32 in [0, 1].

    Source:
        Gatys et al. 2016, section 4.2.
    """
    lightness = to_oklab(image)[..., :1]
    if like is not None:
        other = to_oklab(like)[..., 0]
        deviation = max(float(lightness.std()), 1e-6)
        lightness = (lightness - lightness.mean()) * other.std() / deviation
        lightness = lightness + other.mean()
    linear = np.clip(lightness, 0.0, 1.0) ** 3
    return np.repeat(encode_srgb(linear), 3, axis=-1).astype(np.float32)


def match_moments(
    style: np.ndarray,
    content: np.ndarray,
    style_weights: np.ndarray | None = None,
    content_weights: np.ndarray | None = None,
) -> RecoloredImage:
    """Matches the mean color and covariance of a style image to the content's.

    It uses the linear map with the smallest change of colors.

    Args:
        style: [H, W, 3] in [0, 1].
        content: [h, w, 3] in [0, 1], of any size.
        style_weights: Weight of each pixel, [H, W]; None: equal.
        content_weights: Weight of each pixel, [h, w]; None: equal.

    Returns:
        The style image, and the share of its values outside of [0, 1].

    Source:
        Gatys et al. 2016, section 4.1; Pitie, Kokaram. The linear
        Monge-Kantorovitch linear colour mapping. CVMP 2007, section 3.3.
    """
    mean, covariance = _moments(style, style_weights)
    goal, wanted = _moments(content, content_weights)
    root = _root(covariance)
    inverse = np.linalg.inv(root)
    change = inverse @ _root(root @ wanted @ root) @ inverse
    result = (style.astype(np.float64) - mean) @ change.T + goal
    outside = float(((result < 0) | (result > 1)).mean())
    return RecoloredImage(result, outside)


def match_histograms(
    style: np.ndarray,
    content: np.ndarray,
    style_weights: np.ndarray | None = None,
    content_weights: np.ndarray | None = None,
) -> RecoloredImage:
    """Matches the histogram of each channel of a style image to the content's.

    The arguments are as in `match_moments`.

    Source:
        Gonzalez, Woods. Digital Image Processing, section 3.3 (histogram
        specification), for each channel.
    """
    result = np.empty(style.shape, np.float64)
    for channel in range(3):
        _, ranks, places = _cumulative(style[..., channel], style_weights)
        goals, levels, _ = _cumulative(content[..., channel], content_weights)
        counts = np.diff(levels, prepend=0.0) > 0
        mapped = np.interp(ranks, levels[counts], goals[counts])
        result[..., channel] = mapped[places].reshape(style.shape[:2])
    return RecoloredImage(result, 0.0)


def _in_gamut(lab: np.ndarray) -> np.ndarray:
    """Returns whether colors are inside sRGB, [N], up to rounding."""
    farthest = np.abs(from_oklab(lab) - 0.5).max(axis=-1)
    return np.less(farthest, 0.5 + ROUNDING)


def _moments(
    image: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean color, [3], and a regular covariance, [3, 3]."""
    flat = image.reshape(-1, 3).astype(np.float64)
    shares = None if weights is None else weights.reshape(-1)
    mean = np.average(flat, axis=0, weights=shares)
    covariance = np.cov(flat.T, aweights=shares, ddof=0)
    return mean, covariance + LEAST_VARIANCE * np.eye(3)


def _root(matrix: np.ndarray) -> np.ndarray:
    """Returns the symmetric square root of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _cumulative(
    values: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the unique values, their cumulative shares, and their indices."""
    flat = values.reshape(-1)
    shares = np.ones(flat.size) if weights is None else weights.reshape(-1)
    found, places = np.unique(flat, return_inverse=True)
    sums = np.bincount(places, weights=shares, minlength=len(found))
    return found, np.cumsum(sums) / sums.sum(), places
