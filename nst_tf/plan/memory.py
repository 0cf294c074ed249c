"""Estimates the memory that a run needs, from its sizes and settings.

The constants are fitted to the measurements of scripts/benchmarks/memory.py, in
scripts/benchmarks/results/memory.jsonl. A test compares the estimates with
these measurements.
"""

from typing import NamedTuple

from nst_tf.losses import style_kinds
from nst_tf.plan import optimizers, pyramid

# Bytes of Python, TensorFlow, the network and its compiled steps.
_BASE = {"vgg": 1.02e9, "small": 0.83e9}
# Bytes of a step for each pixel that is processed at once.
_STEP = {
    ("vgg", "float32"): 2450,
    ("vgg", "bfloat16"): 1380,
    ("vgg", "float16"): 1380,
    ("small", "float32"): 1200,
    ("small", "bfloat16"): 830,
    ("small", "float16"): 830,
}
# Factor on _STEP for tiles: crops of features are copies, and the allocator
# keeps gaps from smaller levels.
_TILING = 1.2
# Memory of Winograd convolutions (transformed filters and workspace), as a
# multiple of the filters.
_WINOGRAD = 2.2
_FEATURE = {"float32": 4, "bfloat16": 2, "float16": 2}
_PICTURE = 12  # bytes per content pixel, instead of its features
# Bytes per output pixel on the host, which holds the initial image and a copy
# of it on any device.
_HOST = 24
# Bytes per output pixel, with tiles, of moments that Adam carries to a level:
# those of the level before, and of interpolating them.
_CARRIED = 42
# Targets of a style image, computed before the steps: per style pixel as a
# share of _STEP, and in tiles in bytes.
_SEEING = 0.4
_FITTED = 20


def check_host(height: int, width: int, limit: float | None) -> None:
    """Raises MemoryError if an output is larger than the memory of the host.

    Args:
        height: In pixels.
        width: In pixels.
        limit: Bytes that the process may use on the host; None: unknown.
    """
    needed = _HOST * height * width
    if limit is not None and needed > limit:
        raise MemoryError(
            f"a picture of {width} x {height} pixels needs at least "
            f"{needed / 1e9:.1f} GB of main memory, but only {limit / 1e9:.1f} "
            "GB are free. Reduce --size, or free memory."
        )


class MemoryModel(NamedTuple):
    """Estimates the memory of a run from its sizes and settings."""

    precision: str  # data type of the network
    small: bool = False  # whether the network is the small one
    optimizer: str = "adam"
    pairs: int = 0  # L-BFGS: number of updates in its history
    carries: bool = False  # whether Adam carries its moments to the level
    style_scale: float = 1.0  # sides of a style image, over the output's
    style_loss: str = "gram"
    scales: int = 1  # of the style loss
    read: float = 0.0  # bytes of the input pictures
    features: float = 8.0  # content features kept per pixel
    recomputes: bool = False  # whether tiles recompute these instead
    filters: float = 0.0  # bytes of the filters of Winograd convolutions

    def estimate_peak(self, height: int, width: int, tile: int = 0) -> float:
        """Estimates the peak memory of the run in bytes, to about 10 %.

        Args:
            height: Of the finest level, in pixels.
            width: Of the finest level, in pixels.
            tile: Pixels of each tile of that level; 0: no tiles.
        """
        optimizer = optimizers.OPTIMIZERS[self.optimizer]
        network = "small" if self.small else "vgg"
        pixels = height * width
        is_cut = 0 < tile < pixels
        step: float = _STEP[network, self.precision]
        step += style_kinds.STYLE_LOSSES[self.style_loss].step_bytes
        step *= pyramid.sum_scales(self.scales)
        seen = self.style_scale**2 * pixels
        if is_cut:
            working = _TILING * step * tile
            kept = optimizer.state_bytes * pixels
            kept += self.carries * _CARRIED * pixels
            working += max(kept, _FITTED * seen) + self._target * pixels
        else:
            working = step * max(pixels, _SEEING * seen)
        working += self.pairs * optimizer.pair_bytes * pixels
        working += _WINOGRAD * self.filters
        return _BASE[network] + working + self.read

    def find_largest_tile(self, height: int, width: int, limit: float) -> int:
        """Returns the largest tile size that fits a memory limit.

        The result is the side of a square with the pixel count of the largest
        tile: a multiple of 16, or 0 if no tile fits.

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
        """Returns the bytes of the content target per pixel, with tiles."""
        if self.recomputes:
            return _PICTURE
        return self.features * _FEATURE[self.precision]
