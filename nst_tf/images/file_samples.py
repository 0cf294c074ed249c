"""The result of every file reader: samples and metadata."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image

from nst_tf.images import profiles

EXTRA = 'pip install "nst-tf[formats]"'
LARGEST_TILE = 1 << 22  # pixels, in any picture


class FileSamples(NamedTuple):
    """Samples of a file, with metadata."""

    color: np.ndarray  # [H, W, 1 or 3], float32 in [0, 1]
    alpha: np.ndarray | None = None  # [H, W], float32 in [0, 1]
    notes: tuple[str, ...] = ()  # for the user, such as on lost precision
    orientation: int = 1
    profile: bytes | profiles.Profile = b""  # not applied yet
    exif: Image.Exif | None = None
    dpi: tuple[float, float] | None = None  # pixels per inch: across, down
    credits: Mapping[str, tuple[str, ...]] | None = None  # of `xmp`


def check_range(samples: np.ndarray) -> np.ndarray:
    """Raises ValueError if floats are outside [0, 1]."""
    if not (samples.min() >= 0 and samples.max() <= 1):
        raise ValueError(
            f"its values are {samples.min()} to {samples.max()}; expected "
            "floats in [0, 1]"
        )
    return samples


def check_size(
    size: tuple[int, int], tile: tuple[int, int], max_megapixels: float
) -> None:
    """Raises ValueError if a picture, or a tile of it, is too large."""
    width, height = size
    if width < 1 or height < 1:
        raise ValueError("it is damaged: it has no pixels")
    if width * height > 1e6 * max_megapixels:
        raise ValueError(
            f"it is {width} x {height} pixels, and the limit is "
            f"{max_megapixels:g} megapixels; raise --max_megapixels to allow it"
        )
    if tile[0] * tile[1] > max(LARGEST_TILE, 1e6 * max_megapixels):
        raise ValueError(f"it is damaged: its tiles are {tile[0]} x {tile[1]}")


def check_deep(samples: np.ndarray, mode: str) -> None:
    """Raises ValueError if 16-bit samples have only 8-bit values."""
    if 0 < samples.max() <= 255:
        raise ValueError(
            f"its mode is {mode}, where white is 65535, but no value is above "
            "255; convert it to mode L"
        )
