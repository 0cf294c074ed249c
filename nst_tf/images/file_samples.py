"""Samples as they stand in a file: what every reader gives."""

from typing import NamedTuple

import numpy as np

EXTRA = 'pip install "nst-tf[formats]"'
LARGEST_TILE = 1 << 22  # pixels, in any picture


class FileSamples(NamedTuple):
    """Samples as they stand in the file."""

    color: np.ndarray  # [H, W, 1 or 3], float32 in [0, 1]
    alpha: np.ndarray | None  # [H, W]
    notes: tuple[str, ...] = ()
    orientation: int = 1
    converted: bool = False  # to sRGB
    profile: bytes = b""


def split(samples: np.ndarray, profile: bytes) -> FileSamples:
    """Takes gray or RGB apart from an alpha channel."""
    colors = samples.shape[-1] - 1 + samples.shape[-1] % 2
    alpha = samples[..., -1] if samples.shape[-1] in (2, 4) else None
    return FileSamples(samples[..., :colors], alpha, profile=profile)


def scale(samples: np.ndarray) -> np.ndarray:
    """Brings samples of any type to floats in [0, 1]."""
    if np.issubdtype(samples.dtype, np.unsignedinteger):
        return samples.astype(np.float32) / np.iinfo(samples.dtype).max
    if samples.dtype == bool:
        return samples.astype(np.float32)
    if np.issubdtype(samples.dtype, np.floating):
        return check_range(samples.astype(np.float32))
    raise ValueError(f"its samples are {samples.dtype}, expected unsigned")


def check_range(samples: np.ndarray) -> np.ndarray:
    """Raises ValueError unless floats are in [0, 1]."""
    if not (samples.min() >= 0 and samples.max() <= 1):
        raise ValueError(
            f"its values are {samples.min()} to {samples.max()}, expected "
            f"floats in [0, 1]"
        )
    return samples


def check_size(width: int, height: int, max_megapixels: float) -> None:
    """Raises ValueError if a picture is too large."""
    if width < 1 or height < 1:
        raise ValueError("it is damaged: it has no pixels")
    if width * height > 1e6 * max_megapixels:
        raise ValueError(
            f"it is {width} x {height} pixels, and at most {max_megapixels:g} "
            f"megapixels are read; raise --max_megapixels if that is right"
        )


def check_tile(width: int, height: int, max_megapixels: float) -> None:
    """Raises ValueError if a tile, which is decoded whole, is too large."""
    if width * height > max(LARGEST_TILE, 1e6 * max_megapixels):
        raise ValueError(f"it is damaged: its tiles are {width} x {height}")
