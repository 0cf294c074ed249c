"""Implements priors of single pixels: powers of their distance to gray."""

from collections.abc import Mapping

import tensorflow as tf

from nst_tf.backend import reuse
from nst_tf.losses import protocol, sums

# Name -> power.
POWERS: Mapping[str, int] = {"l2_prior": 2, "range_prior": 6}


@reuse.by_value(numbers=["weight"])
class PriorLoss:
    """The mean of |2 x - 1|^power over pixels and channels: 0 gray, 1 extreme.

    Power 2 draws all pixels to gray; power 6 hardly acts on those within the
    range, and keeps the picture from black and white.

    Args:
        name: A key of `POWERS`.
        weight: Weight in the objective.
        region: Weight of each pixel, [1, H, W, 1], in [0, 1].

    Source:
        Mahendran, Vedaldi. Understanding Deep Image Representations by
        Inverting Them. CVPR 2015, section 3.2, R_alpha with alpha = 6; the
        range from -1 to 1: crowsonkb/style_transfer, --p-weight, which sums.
    """

    layer = "image"
    reach = 0
    additive = True
    takes_half_precision = True

    def __init__(
        self, name: str, weight: float = 1.0, region: tf.Tensor | None = None
    ):
        self.name = name
        self.weight = weight
        self.maps = protocol.drop_absent(region=region)
        self._power = POWERS[name]

    def statistics(
        self,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        *,
        region: tf.Tensor | None = None,
    ) -> sums.Statistics:
        """Sums over pixels, averaged over channels."""
        square = tf.square(2.0 * sums.widen(features) - 1.0)
        powers = square ** (self._power // 2)
        mean = tf.reduce_mean(powers, axis=-1, keepdims=True)
        return sums.masked_sum(mean, sums.multiply_masks(mask, region))

    def distance(self, statistics: sums.Statistics) -> tf.Tensor:
        """Averages over pixels, []."""
        return sums.divide_by_mass(statistics)
