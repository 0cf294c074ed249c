"""Implements the temporal loss, the difference to warped earlier frames."""

import tensorflow as tf

from nst_tf.backend import canvas, reuse
from nst_tf.losses import protocol, sums


@reuse.by_value(numbers=["weight"])
class TemporalLoss:
    """Mean squared difference to what is known of a frame of a film.

    distance = sum(mask * confidence * mean((image - known)^2)) / sum(mask)

    The mean is over all pixels, known or not. It is not relative: flicker shows
    as much in a dark film.

    Args:
        known: Earlier generated frames, warped to this one, [1, H, W, 3].
        confidence: How certain each of its pixels is, [1, H, W, 1], in [0, 1];
            pixels of confidence 0 have no effect.
        weight: Weight in the objective.

    Source:
        Ruder, Dosovitskiy, Brox. Artistic Style Transfer for Videos. GCPR 2016,
        equations 7 and 9. The confidences of several earlier frames exclude
        each other, so that their losses add up to one loss of a composed frame.
    """

    name = "temporal"
    layer = "image"
    reach = 0
    additive = True

    def __init__(
        self,
        known: canvas.Canvas,
        confidence: canvas.Canvas,
        weight: float = 1.0,
    ):
        self.weight = weight
        self.maps = protocol.drop_absent(known=known, confidence=confidence)

    def statistics(
        self,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        *,
        known: tf.Tensor,
        confidence: tf.Tensor,
    ) -> sums.Statistics:
        """Sums the squared differences of known pixels, and all of the mask."""
        squares = sums.squared_difference(features, known)
        return sums.masked_sum(
            squares * tf.cast(confidence, squares.dtype), mask
        )

    def distance(self, statistics: sums.Statistics) -> tf.Tensor:
        """Divides by the number of pixels, []."""
        return sums.divide_by_mass(statistics)
