"""Transparent parts of a picture: they have no color, and do not count."""

import numpy as np
from PIL import Image

TRUSTED = 1 / 8  # alpha from which a pixel's own color is taken as it is


def fill(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Gives transparent parts colors like those that are seen around them.

    What was stored there changes nothing. Pixels that are seen keep their
    color; others get that of coarser and coarser pictures, in which it is the
    mean of what is seen nearby.

    Args:
        image: [H, W, 3] in [0, 1].
        alpha: How opaque it is, [H, W] in [0, 1]; not 0 everywhere.

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
        del color, levels  # before the next ones: of a large picture they count
    return np.clip(filled, 0.0, 1.0, out=filled)


def is_hidden(alpha: np.ndarray | None) -> bool:
    """Returns whether nothing of a picture can be seen, in 16 bits."""
    return alpha is not None and bool(alpha.max() < 1 / 65535)


def _trust(alpha: np.ndarray) -> np.ndarray:
    """How much of its own color a pixel keeps, in [0, 1]."""
    trust = alpha / np.float32(TRUSTED)
    return np.minimum(1.0, trust, out=trust)


def _weigh(channel: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """A channel times the trust in it; computed twice, so as not to be kept."""
    return (channel * _trust(alpha)).astype(np.float32, copy=False)


def put_on_white(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Puts a picture, [H, W, 3], on white paper, for files without alpha."""
    return 1 + alpha[..., None] * (image - 1)


def _shrink(channel: np.ndarray) -> list[np.ndarray]:
    """Halves a channel, [H, W], down to a pixel: every size after its own."""
    levels: list[np.ndarray] = []
    while max(channel.shape) > 1 or not levels:
        size = tuple((side + 1) // 2 for side in channel.shape)
        channel = _resize(channel, size, Image.Resampling.BOX)
        levels.append(channel)
    return levels


def _resize(
    channel: np.ndarray, size: tuple[int, ...], filter: Image.Resampling
) -> np.ndarray:
    """Resamples a channel, [H, W], to [h, w]; not to be changed."""
    height, width = size
    image = Image.fromarray(np.ascontiguousarray(channel))
    return np.asarray(image.resize((width, height), filter))
