"""The content loss: differences of features, relative to the content's.

A narrow network comes with projections to the features of the one that it
stands for. Its statistics stay narrow; its distances are those of the
projected features.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas, reuse
from nst_tf.losses import protocol, sums
from nst_tf.network import projections

POSITIONS = 2**16  # of a target that are measured at a time


@reuse.by_value(numbers=["weight"])
class ContentLoss:
    """Mean squared difference to the content's features, relative.

    distance = sum(mask * (features - target)^2) / sum(mask * target^2)

    Gatys et al. take half of the sum of squared differences; such conventions
    are this one with a divisor of theirs.

    Args:
        layer: Layer of the extractor that is compared.
        target: Features of the content image, [1, h, w, C]; for tiles they may
            be in the host's memory, or be the image itself, of which `square`
            is known.
        weight: Weight in the objective.
        region: How much each position counts, [1, h, w, 1], in [0, 1].
        projection: From these features to those that are compared, [C, D].
        divisor: Divides the mean squared difference over positions and
            channels that are compared; the target's mean square if None.
        square: Mean square of the target, [], as `make_square_measure` has it;
            measured if None.

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
                    f"the target of {self.name} is a picture, of which square "
                    f"is expected too; measure it by make_square_measure."
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
            if projection is not None:  # statistics are means over channels
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
        """Sums squared differences to the target."""
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
        """Computes the statistics of a map of zeros, in parts."""
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
    """Makes a function that measures the mean square of a target, in parts.

    Args:
        projection: From its features to those that are compared, [C, D].

    Returns:
        (features, mask=None) -> sums of which that is the mean.
    """

    def measure(
        features: tf.Tensor, mask: tf.Tensor | None = None
    ) -> sums.Statistics:
        target = _project(features, projection)
        squares = sums.squared_difference(tf.zeros_like(target), target)
        return sums.masked_sum(squares, mask)

    return measure


def _project(features: Any, projection: np.ndarray | None) -> Any:
    """Projects features, so that differences are those that are compared."""
    if projection is None:
        return features
    features = sums.widen(features)
    root: Any = projections.compute_root(projection, features.dtype)
    return projections.project(features, root)
