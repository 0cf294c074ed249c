"""Sizes -> bytes: what a run will need.

The figures are fitted to runs of scripts/benchmarks/memory.py, whose lines are
in scripts/benchmarks/results/memory.jsonl; a test holds them to those.
"""

from typing import NamedTuple

from nst_tf.losses import style_kinds
from nst_tf.plan import optimizers

# Python, TensorFlow, the network and its compiled steps.
_BASE = {"vgg": 1.02e9, "small": 0.83e9}
# What a step takes for each pixel that it sees at a time.
_STEP = {
    ("vgg", "float32"): 2450,
    ("vgg", "bfloat16"): 1380,
    ("vgg", "float16"): 1380,
    ("small", "float32"): 1200,
    ("small", "bfloat16"): 830,
    ("small", "float16"): 830,
}
# Of tiles, whose features are cut, and which come after smaller levels.
_TILING = 1.2
# Filters of Winograd's convolutions and what they work on, over the filters.
_WINOGRAD = 2.2
_FEATURE = {"float32": 4, "bfloat16": 2, "float16": 2}
_PICTURE = 12  # a pixel of the content, in place of its features
# A pixel of the output on the host, which has the start and a copy of it,
# whatever computes.
_HOST = 24
# Of what a step takes of a pixel, what it takes to see a style image once, and
# what a pixel of that takes where it is seen in tiles, before the steps.
_SEEING = 0.4
_FITTED = 20


def check_host(height: int, width: int, limit: float | None) -> None:
    """Raises MemoryError if an output is larger than the memory of the host.

    Args:
        height: In pixels.
        width: In pixels.
        limit: Bytes that the process may have on the host; None: unknown.
    """
    needed = _HOST * height * width
    if limit is not None and needed > limit:
        raise MemoryError(
            f"a picture of {width} x {height} pixels needs at least "
            f"{needed / 1e9:.1f} GB of the computer's memory, and "
            f"{limit / 1e9:.1f} GB are free. Make it smaller with --size, or "
            f"free memory."
        )


class MemoryModel(NamedTuple):
    """Estimates the memory of a run from its sizes and settings."""

    precision: str  # type that the network computes in
    small: bool = False  # whether the network is the one that ships
    optimizer: str = "adam"
    pairs: int = 0  # that L-BFGS keeps
    style_scale: float = 1.0  # of a style image's sides to the output's
    style_loss: str = "gram"
    read: float = 0.0  # bytes of the pictures that were read
    features: float = 8.0  # of the content, that are kept for each pixel
    recomputes: bool = False  # whether they are not kept, in tiles
    filters: float = 0.0  # bytes of those of Winograd's convolutions

    def estimate_peak(self, height: int, width: int, tile: int = 0) -> float:
        """Estimates the peak of its memory, in bytes, to about a tenth.

        Args:
            height: Of the finest level, in pixels.
            width: Of the finest level, in pixels.
            tile: Pixels of each of its tiles; 0: it is worked on as a whole.
        """
        optimizer = optimizers.OPTIMIZERS[self.optimizer]
        network = "small" if self.small else "vgg"
        pixels = height * width
        is_cut = 0 < tile < pixels
        step = _STEP[network, self.precision]
        step += style_kinds.STYLE_LOSSES[self.style_loss].step_bytes
        seen = self.style_scale**2 * pixels
        if is_cut:
            working = _TILING * step * tile
            kept = optimizer.state_bytes * pixels
            working += max(kept, _FITTED * seen) + self._target * pixels
        else:
            working = step * max(pixels, _SEEING * seen)
        working += self.pairs * optimizer.pair_bytes * pixels
        working += _WINOGRAD * self.filters
        return _BASE[network] + working + self.read

    def find_largest_tile(self, height: int, width: int, limit: float) -> int:
        """Finds the largest tiles that a limit has room for.

        Returns the side of a square of as many pixels as they have at most: a
        multiple of 16; 0 if there is none.

        Args:
            height: Of the finest level, in pixels.
            width: Of the finest level, in pixels.
            limit: In bytes.
        """
        for side in range(max(height, width) // 16 * 16, 0, -16):
            if side**2 < height * width and (
                self.estimate_peak(height, width, side**2) <= limit
            ):
                return side
        return 0

    @property
    def _target(self) -> float:
        """What is kept of the content for each pixel of a picture in tiles."""
        if self.recomputes:
            return _PICTURE
        return self.features * _FEATURE[self.precision]
