"""Implements the content loss, the relative difference of features.

The small network has projections to the features of the full one. The loss
computes statistics of the small features, and distances of the projected ones.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas, reuse
from nst_tf.losses import protocol, sums
from nst_tf.network import projections

POSITIONS = 2**16  # of a target, processed at once


@reuse.by_value(numbers=["weight"])
class ContentLoss:
    """Relative mean squared difference to the content's features.

    distance = sum(mask * (features - target)^2) / sum(mask * target^2)

    Gatys et al. use half the sum of squared differences; a `divisor` gives this
    and other conventions.

    Args:
        layer: The compared layer of the extractor.
        target: Features of the content image, [1, h, w, C]; with tiles they may
            be in host memory, or be the image itself, if `square` is given.
        weight: Weight in the objective.
        region: Weight of each position, [1, h, w, 1], in [0, 1].
        projection: From these features to the compared ones, [C, D].
        divisor: Divides the mean squared difference over positions and compared
            channels; None: the target's mean square.
        square: Mean square of the target, [], from `make_square_measure`; None:
            compute it.

    Source:
        Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural
        Networks. CVPR 2016, equation 1.
    """

    reach = 0
    additive = True
    takes_half_precision = True

    def __init__(
        self,
        layer: str,
        target: canvas.Canvas | protocol.Recomputed,
        weight: float = 1.0,
        region: tf.Tensor | None = None,
        projection: np.ndarray | None = None,
        divisor: float | None = None,
        square: tf.Tensor | None = None,
    ):
        self.name = f"content/{layer}"
        self.layer = layer
        self.weight = weight
        self._projection = self._target_projection = projection
        if isinstance(target, protocol.Recomputed):
            if square is None:
                raise ValueError(
                    f"the target of {self.name} is a picture, which needs "
                    "square; compute it with make_square_measure."
                )
        elif not canvas.is_on_host(target):
            target = _project(target, projection)
            self._target_projection = None
        self.maps = protocol.drop_absent(target=target, region=region)
        self._scale = (
            sums.divide_by_mass(self._measure_zeros())
            if square is None
            else square
        )
        if divisor is not None:
            if projection is not None:  # statistics average over channels
                channels, compared = projection.shape
                divisor *= compared / channels
            self._scale = tf.constant(divisor, self._scale.dtype)

    def statistics(
        self,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        *,
        target: tf.Tensor,
        region: tf.Tensor | None = None,
    ) -> sums.Statistics:
        """Sums the squared differences to the target."""
        squares = sums.squared_difference(
            _project(features, self._projection),
            _project(target, self._target_projection),
        )
        return sums.masked_sum(squares, sums.multiply_masks(mask, region))

    def distance(self, statistics: sums.Statistics) -> tf.Tensor:
        """Divides by the mean square of the target, or the divisor, []."""
        return tf.math.divide_no_nan(
            sums.divide_by_mass(statistics), self._scale
        )

    def _measure_zeros(self) -> sums.Statistics:
        """Computes the statistics of a map of zeros, in blocks."""
        height, width = canvas.get_size(self.maps["target"])
        rows = max(1, POSITIONS // width)
        measure = make_square_measure(self._target_projection)
        parts = []
        for first in range(0, height, rows):
            count = min(rows, height - first)
            maps = {
                name: canvas.read(value, first, 0, count, width)
                for name, value in self.maps.items()
            }
            parts.append(measure(maps["target"], maps.get("region")))
        return sums.Statistics(
            tf.add_n([part.total for part in parts]),
            tf.add_n([part.mass for part in parts]),
        )


def make_square_measure(
    projection: np.ndarray | None = None,
) -> Callable[..., sums.Statistics]:
    """Makes a function that computes the mean square of a target, in parts.

    Args:
        projection: From these features to the compared ones, [C, D].

    Returns:
        (features, mask=None) -> sums whose mean is the mean square.
    """

    def measure(
        features: tf.Tensor, mask: tf.Tensor | None = None
    ) -> sums.Statistics:
        target = _project(features, projection)
        squares = sums.squared_difference(tf.zeros_like(target), target)
        return sums.masked_sum(squares, mask)

    return measure


def _project(features: Any, projection: np.ndarray | None) -> Any:
    """Projects features to the compared space."""
    if projection is None:
        return features
    features = sums.widen(features)
    root: Any = projections.compute_root(projection, features.dtype)
    return projections.project(features, root)
