"""Sizes -> bytes: what a run will need.

The figures are fitted to runs of scripts/benchmarks/memory.py, whose lines are
in scripts/benchmarks/results/memory.jsonl; a test holds them to those.
"""

from typing import NamedTuple

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
# What is kept for each pixel of a picture in tiles: it, its gradient, two
# moments, the average and the best one, 12 bytes each, and of the level before
# a quarter. L-BFGS keeps tensors: TensorFlow's allocator returns nothing, and
# the gaps that smaller levels leave do not all fit.
_STATE = {"adam": 75, "sgd": 51, "lbfgs": 94}
_FEATURE = {"float32": 4, "bfloat16": 2, "float16": 2}
# A pair of L-BFGS is two images of three float32; all are copied when one is
# appended.
_PAIR = 62
_PICTURE = 12  # a pixel of the content, in place of its features
_READ = 12  # a pixel of a picture that was read
# Of what a step takes of a pixel, what it takes to see a style image once, and
# what a pixel of that takes where it is seen in tiles, before the steps; and
# what 32 sorted directions take besides.
_SEEING = 0.4
_FITTED = 20
_SORTING = 900


class MemoryModel(NamedTuple):
    """Estimates the memory of a run from its sizes and settings."""

    precision: str  # type that the network computes in
    small: bool = False  # whether the network is the one that ships
    optimizer: str = "adam"
    pairs: int = 0  # that L-BFGS keeps
    style_scale: float = 1.0  # of a style image's sides to the output's
    sorts: bool = False  # whether style is compared by sorted values
    read: int = 0  # pixels of the pictures that were read
    features: float = 8.0  # of the content, that are kept for each pixel
    recomputes: bool = False  # whether they are not kept, in tiles

    def estimate_peak(self, height: int, width: int, tile: int = 0) -> float:
        """Estimates the peak of its memory, in bytes, to about a tenth.

        Args:
            height: Of the finest level, in pixels.
            width: Of the finest level, in pixels.
            tile: Pixels of each of its tiles; 0: it is worked on as a whole.
        """
        network = "small" if self.small else "vgg"
        pixels = height * width
        is_cut = 0 < tile < pixels
        step = _STEP[network, self.precision] + self.sorts * _SORTING
        seen = self.style_scale**2 * pixels
        if is_cut:
            working = _TILING * step * tile
            kept = _STATE[self.optimizer] * pixels
            working += max(kept, _FITTED * seen) + self._target * pixels
        else:
            working = step * max(pixels, _SEEING * seen)
        if self.optimizer == "lbfgs":
            working += self.pairs * _PAIR * pixels
        return _BASE[network] + working + _READ * self.read

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
