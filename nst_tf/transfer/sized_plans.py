"""A plan at one size of the generated image."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf.losses import conventions
from nst_tf.network import extractors
from nst_tf.plan import planning, pyramid
from nst_tf.transfer import target_cache


class SizedPlan(NamedTuple):
    """A plan at one size of the generated image."""

    plan: planning.Plan
    extractor: extractors.Extractor
    height: int
    width: int
    alpha: np.ndarray | None  # of the content image at this size, [H, W]
    cache: target_cache.TargetCache  # of the extractor

    @property
    def scales(self) -> int:
        """Returns the number of scales of the style loss at this size."""
        return pyramid.count_scales(self.height, self.width, self.plan.scales)

    def measure_sizes(self, layer: str) -> conventions.Sizes:
        """Counts the channels, positions and pixels for a layer's divisor."""
        stride = self.extractor.stride[layer]
        projection = self.extractor.projections[layer]
        channels = self.extractor.model.output[layer].shape[-1]
        if projection is not None:
            channels = projection.shape[1]
        positions = (self.height // stride) * (self.width // stride)
        return conventions.Sizes(channels, positions, self.height * self.width)


def average(alpha: np.ndarray | None, stride: int) -> tf.Tensor | None:
    """Averages an alpha channel, [H, W], over the pixels of each position."""
    if alpha is None:
        return None
    rows, columns = (side // stride for side in alpha.shape)
    cut = alpha[: rows * stride, : columns * stride]
    parts = cut.reshape(rows, stride, columns, stride)
    return tf.constant(parts.mean(axis=(1, 3))[None, ..., None])


def select_positive(weights: Mapping[str, float]) -> dict[str, float]:
    """Removes layers of weight 0."""
    return {layer: weight for layer, weight in weights.items() if weight > 0}
