"""Fills transparent areas with nearby colors, and flattens onto white."""

import numpy as np
from PIL import Image

TRUSTED = 1 / 8  # alpha from which a pixel keeps its own color


def fill(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Fills transparent areas with the colors around them.

    The stored colors there have no effect. Visible pixels keep their color;
    others take it from coarser and coarser levels, where it is the mean of
    nearby visible pixels.

    Args:
        image: [H, W, 3] in [0, 1].
        alpha: Opacity, [H, W] in [0, 1]; not 0 everywhere.

    Returns:
        [H, W, 3], float32.

    Source:
        Gortler, Grzeszczuk, Szeliski, Cohen. The Lumigraph. SIGGRAPH 1996,
        section 3.4 (pull-push).
    """
    alpha = alpha.astype(np.float32, copy=False)
    filled = np.empty(image.shape, np.float32)
    weights = _shrink(_trust(alpha))
    for channel in range(image.shape[-1]):
        levels = _shrink(_weigh(image[..., channel], alpha))
        color = levels[-1] / weights[-1]
        for level, weight in zip(levels[-2::-1], weights[-2::-1], strict=True):
            color = _resize(color, level.shape, Image.Resampling.BILINEAR)
            color = level + (1 - weight) * color
        color = _resize(color, alpha.shape, Image.Resampling.BILINEAR)
        for row, trust in enumerate(map(_trust, alpha)):
            own = _weigh(image[row, :, channel], alpha[row])
            filled[row, :, channel] = own + (1 - trust) * color[row]
        del color, levels  # free the memory before the next channel
    return np.clip(filled, 0.0, 1.0, out=filled)


def is_hidden(alpha: np.ndarray | None) -> bool:
    """Returns whether a picture is fully transparent, at 16 bits."""
    return alpha is not None and bool(alpha.max() < 1 / 65535)


def _trust(alpha: np.ndarray) -> np.ndarray:
    """Returns the share of its own color that a pixel keeps, in [0, 1]."""
    trust = alpha / np.float32(TRUSTED)
    return np.minimum(1.0, trust, out=trust)


def _weigh(channel: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Multiplies a channel by its trust; recomputed to save memory."""
    return (channel * _trust(alpha)).astype(np.float32, copy=False)


def put_on_white(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Flattens a picture, [H, W, 3], onto white."""
    return 1 + alpha[..., None] * (image - 1)


def _shrink(channel: np.ndarray) -> list[np.ndarray]:
    """Returns a channel, [H, W], at half size, a quarter, ... 1 pixel."""
    levels: list[np.ndarray] = []
    while max(channel.shape) > 1 or not levels:
        size = tuple((side + 1) // 2 for side in channel.shape)
        channel = _resize(channel, size, Image.Resampling.BOX)
        levels.append(channel)
    return levels


def _resize(
    channel: np.ndarray, size: tuple[int, ...], filter: Image.Resampling
) -> np.ndarray:
    """Resamples a channel, [H, W], to a read-only [h, w]."""
    height, width = size
    image = Image.fromarray(np.ascontiguousarray(channel))
    return np.asarray(image.resize((width, height), filter))
