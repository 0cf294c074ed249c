"""Implements style losses: Gram matrices, means and deviations.

All ignore the positions of features. `gram` compares the products of every two
channels, `across` those of two layers, `moments` the mean and standard
deviation of each channel.
`wasserstein` has losses of whole distributions; `style_kinds` has the table.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.backend import reuse
from nst_tf.losses import protocol, sums
from nst_tf.network import projections

# Share of the mean variance added to variances in `moments`.
DEVIATION_FLOOR = 1e-4
ROUNDING = 1e-4  # share of the mean square: rounding errors of half precision
TINY = 1e-12  # minimum variance


class StyleLoss:
    """Base class of the style losses.

    Args:
        layer: The compared layer of the extractor.
        target: The result of `measure` for the style image; targets of several
            styles blend linearly.
        weight: Weight in the objective.
        region: Weight of each position, [1, h, w, 1], in [0, 1].
        projection: From these features to the compared ones, [C, D].
        divisor: Divides the squared difference; None: the squared difference of
            a map of zeros to the target.
        floor: Constant added to variances; None: a share of the target's mean
            variance. `gram` and `sliced_wasserstein` ignore it.
    """

    group = "style"  # prefix of its name
    reach = 0
    additive = True  # whether the statistics of parts add up
    takes_half_precision = True

    def __init__(
        self,
        layer: str,
        target: tf.Tensor,
        weight: float = 1.0,
        region: tf.Tensor | None = None,
        projection: np.ndarray | None = None,
        divisor: float | None = None,
        floor: float | None = None,
    ):
        self.name = f"{self.group}/{layer}"
        self.layer = layer
        self.weight = weight
        self.maps = protocol.drop_absent(region=region)
        self._target = target
        self._projection: Any = projection
        self._floor: Any = floor
        self._prepare()
        self._scale = (
            self._of_zeros()
            if divisor is None
            else tf.constant(divisor, target.dtype)
        )

    @classmethod
    def measure(
        cls,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        projection: np.ndarray | None = None,
    ) -> tf.Tensor:
        """Computes the target of a style image's features, [1, h, w, C]."""
        del projection  # the small network's statistics are not projected
        return sums.divide_by_mass(cls.raw_statistics(features, mask))

    @classmethod
    def blend(
        cls, targets: Sequence[tf.Tensor], shares: Sequence[float]
    ) -> tf.Tensor:
        """Averages several targets with shares that sum to 1."""
        pairs = zip(shares, targets, strict=True)
        return tf.add_n([share * target for share, target in pairs])

    def statistics(
        self,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        *,
        region: tf.Tensor | None = None,
    ) -> sums.Statistics:
        """Sums over the positions of a map, weighted by mask and region."""
        return self.raw_statistics(features, sums.multiply_masks(mask, region))

    def distance(self, statistics: sums.Statistics) -> tf.Tensor:
        """Computes the squared difference over its scale or the divisor, []."""
        difference = self._difference(sums.divide_by_mass(statistics))
        return tf.math.divide_no_nan(difference, self._scale)

    # (features, mask) -> sums, whose mean `measure` returns.
    raw_statistics: Callable[..., sums.Statistics]

    def _prepare(self) -> None:
        """Computes constants of the loss from its target."""

    def _difference(self, means: tf.Tensor) -> tf.Tensor:
        """Computes the squared distance from means to the target, []."""
        raise NotImplementedError

    def _of_zeros(self) -> tf.Tensor:
        """Computes the squared distance from zeros to the target, []."""
        return self._difference(tf.zeros_like(self._target))


@reuse.by_value(numbers=["weight"])
class GramLoss(StyleLoss):
    """Squared difference of two Gram matrices, relative to the target's.

    distance = |gram - target|^2 / |target|^2, Frobenius norms. Gatys et al.
    divide the squared difference by 4 N^2 M^2 instead (their E_l), so that it
    grows with the fourth power of the activations of a layer. With a projection
    P, the Gram matrix G of features F becomes P' G P, that of F P.

    Source:
        Gatys, Ecker, Bethge. CVPR 2016, equations 3 to 5.
    """

    raw_statistics = staticmethod(sums.gram_statistics)

    def _prepare(self) -> None:
        dtype = self._target.dtype
        self._root = projections.compute_root(self._projection, dtype)

    def _difference(self, means: tf.Tensor) -> tf.Tensor:
        matrix = projections.transform(means - self._target, self._root)
        return tf.reduce_sum(tf.square(matrix))


@reuse.by_value(numbers=["weight"])
class AcrossLoss(StyleLoss):
    """Squared difference of two Gram matrices across two layers.

    distance = |gram - target|^2 / |target|^2, where gram[i, j] is the mean
    product of channel i of a layer and channel j of a deeper one. The source
    repeats the deeper map over the positions of the shallower one; averaging
    the shallower map over the positions of the deeper one gives the same sums.
    Its layer is a joined map, such as "block1_conv1+block2_conv1".

    Source:
        Novak, Nikulin. Improving the Neural Algorithm of Artistic Style. arXiv
        1605.04603, 2016, its section on correlations across layers; Yeh, Tang.
        Improved Style Transfer by Respecting Inter-layer Correlations. arXiv
        1801.01933, 2018.
    """

    raw_statistics = staticmethod(sums.cross_statistics)

    def _prepare(self) -> None:
        self._roots: Any = None
        if self._projection is not None:
            self._roots = [
                projections.compute_root(half, self._target.dtype)
                for half in np.split(self._projection, 2)
            ]

    def _difference(self, means: tf.Tensor) -> tf.Tensor:
        matrix = means - self._target
        if self._roots is not None:
            first, second = self._roots
            matrix = tf.matmul(first, matrix, transpose_a=True) @ second
        return tf.reduce_sum(tf.square(matrix))


@reuse.by_value(numbers=["weight"])
class MomentsLoss(StyleLoss):
    """Squared difference of means and standard deviations of the channels.

    distance = |m - m_t|^2 + |s - s_t|^2, over that of zeros; s^2 is the
    variance and a small share of the target's mean variance.

    Source:
        Li, Wang, Liu, Hou. Demystifying Neural Style Transfer. IJCAI 2017,
        section 4 (there of batch normalization, equal weights); Huang,
        Belongie. Arbitrary Style Transfer in Real-time. ICCV 2017, equation 13.
    """

    raw_statistics = staticmethod(sums.moment_statistics)

    def _prepare(self) -> None:
        target = self._target
        if self._projection is not None:
            self._projection = tf.constant(self._projection, target.dtype)
        if self._floor is None:
            variance = find_mean_variance(target, self._moments(target)[1])
            self._floor = DEVIATION_FLOOR * variance
        self._mean, self._deviation = self._measure_deviation(target)

    def _moments(self, means: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes mean and variance of each compared channel, [D]."""
        mean, covariance = split_moments(means)
        if self._projection is None:
            return mean, tf.linalg.diag_part(covariance)
        wide = tf.linalg.matvec(self._projection, mean, transpose_a=True)
        products = (covariance @ self._projection) * self._projection
        return wide, tf.reduce_sum(products, axis=0)

    def _measure_deviation(
        self, means: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes mean and standard deviation of each channel, [D]."""
        mean, variance = self._moments(means)
        return mean, tf.sqrt(tf.maximum(variance, 0.0) + self._floor)

    def _difference(self, means: tf.Tensor) -> tf.Tensor:
        mean, deviation = self._measure_deviation(means)
        of_deviations = tf.reduce_sum(tf.square(deviation - self._deviation))
        return tf.reduce_sum(tf.square(mean - self._mean)) + of_deviations


def split_moments(means: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits raw moments, [C + 1, C], into mean, [C], and covariance."""
    second, mean = means[:-1], means[-1]
    return mean, second - mean[:, None] * mean


def find_mean_variance(target: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
    """Computes the mean variance, [], at least the rounding error of squares.

    For an image of one color, the mean square minus the squared mean is only
    rounding error.
    """
    squares = tf.linalg.diag_part(target[:-1])
    least = tf.maximum(ROUNDING * tf.reduce_mean(squares), TINY)
    return tf.maximum(
        tf.reduce_mean(tf.maximum(variance, 0.0)),
        tf.cast(least, variance.dtype),
    )
