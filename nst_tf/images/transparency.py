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
    trust = np.minimum(1.0, alpha.astype(np.float32) / TRUSTED)[..., None]
    seen = np.concatenate([image * trust, trust], axis=-1)
    levels = [seen.astype(np.float32)]
    while max(levels[-1].shape[:2]) > 1:
        rows, columns = ((side + 1) // 2 for side in levels[-1].shape[:2])
        levels.append(_resize(levels[-1], rows, columns, Image.Resampling.BOX))
    color = levels[-1][..., :3] / levels[-1][..., 3:]
    for level in reversed(levels[:-1]):
        rows, columns = level.shape[:2]
        color = _resize(color, rows, columns, Image.Resampling.BILINEAR)
        color = level[..., :3] + (1 - level[..., 3:]) * color
    return np.clip(color, 0.0, 1.0)


def put_on_white(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Puts a picture, [H, W, 3], on white paper, for files without alpha."""
    return 1 + alpha[..., None] * (image - 1)


def _resize(
    image: np.ndarray, rows: int, columns: int, filter: Image.Resampling
) -> np.ndarray:
    """Resamples [H, W, C]."""
    channels = [
        Image.fromarray(np.ascontiguousarray(channel))
        for channel in np.moveaxis(image, -1, 0)
    ]
    resized = [channel.resize((columns, rows), filter) for channel in channels]
    return np.stack([np.asarray(channel) for channel in resized], axis=-1)
