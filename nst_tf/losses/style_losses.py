"""Style losses: what of its features an image's style is, and how far it is.

All forget where in the image a feature is. `gram` compares the products of
every two channels; `moments` the mean and the standard deviation of each;
`wasserstein` the means and all covariances, as the distance between two
Gaussian distributions; `sliced_wasserstein` the whole distribution, along some
directions. The first three are sums over positions, and go on in parts.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.backend import ops
from nst_tf.losses import protocol, style_kinds, sums
from nst_tf.network import projections

DEVIATION_FLOOR = 1e-4  # of the mean variance, added to each, in `moments`
COVARIANCE_FLOOR = 1e-2  # likewise, in `wasserstein`: its gradient has a bound
EXACT_CHANNELS = 256  # so many are decomposed in float64, which then is cheap
ROUNDING = 1e-4  # of the mean square, which is no variance in half precision
TINY = 1e-12  # what a variance is at least
DIRECTIONS = 32  # of `sliced_wasserstein`, at most
QUANTILES = 4096  # that are kept of a style image, at most


class StyleLoss:
    """What every style loss is.

    Args:
        layer: Layer of the extractor that is compared.
        target: What `measure` gives of the style image; those of several blend
            linearly.
        weight: Weight in the objective.
        region: How much each position counts, [1, h, w, 1], in [0, 1].
        projection: From these features to those that are compared, [C, D].
        divisor: Divides the squared difference; that of a map of zeros to the
            target if None.
        floor: What is added to variances; a share of the target's mean
            variance if None. `gram` and `sliced_wasserstein` have none.
    """

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
        self.name = f"style/{layer}"
        self.layer = layer
        self.weight = weight
        self.maps = protocol.drop_absent(region=region)
        self._target = target
        self._floor: Any = floor
        self._prepare(target, projection)
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
        """The target that features, [1, h, w, C], of a style image are."""
        del projection  # the statistics of a narrow network stay narrow
        return sums.divide_by_mass(cls.raw_statistics(features, mask))

    @classmethod
    def blend(
        cls, targets: Sequence[tf.Tensor], shares: Sequence[float]
    ) -> tf.Tensor:
        """The mean of several targets, by shares that sum to 1."""
        return tf.add_n(
            [
                share * target
                for share, target in zip(shares, targets, strict=True)
            ]
        )

    def statistics(
        self,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        *,
        region: tf.Tensor | None = None,
    ) -> sums.Statistics:
        """Sums over the positions of a map, those of a mask and the region."""
        return self.raw_statistics(features, sums.multiply_masks(mask, region))

    def distance(self, statistics: sums.Statistics) -> tf.Tensor:
        """The squared difference over its scale, or the divisor, []."""
        difference = self._difference(sums.divide_by_mass(statistics))
        return tf.math.divide_no_nan(difference, self._scale)

    # (features, mask) -> the sums of which `measure` gives the mean.
    raw_statistics: Callable[..., sums.Statistics]

    def _prepare(
        self, target: tf.Tensor, projection: np.ndarray | None
    ) -> None:
        """Makes of the target what it is compared by."""
        raise NotImplementedError

    def _difference(self, means: tf.Tensor) -> tf.Tensor:
        """The squared difference of mean statistics to the target, []."""
        raise NotImplementedError

    def _of_zeros(self) -> tf.Tensor:
        """The squared difference of a map of zeros to the target, []."""
        return self._difference(tf.zeros_like(self._target))


class GramLoss(StyleLoss):
    """Squared difference of two Gram matrices, relative to the target's.

    distance = |gram - target|^2 / |target|^2, Frobenius norms. Gatys et al.
    divide the squared difference by 4 N^2 M^2 instead (their E_l), so that it
    grows with the fourth power of the activations of a layer. With a
    projection P the Gram matrix G of features F is P' G P, that of F P.

    Source:
        Gatys, Ecker, Bethge. CVPR 2016, equations 3 to 5.
    """

    raw_statistics = staticmethod(sums.gram_statistics)

    def _prepare(
        self, target: tf.Tensor, projection: np.ndarray | None
    ) -> None:
        self._root = projections.compute_root(projection, target.dtype)

    def _difference(self, means: tf.Tensor) -> tf.Tensor:
        matrix = projections.transform(means - self._target, self._root)
        return tf.reduce_sum(tf.square(matrix))


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

    def _prepare(
        self, target: tf.Tensor, projection: np.ndarray | None
    ) -> None:
        self._projection = (
            None
            if projection is None
            else tf.constant(projection, target.dtype)
        )
        _, variance = self._moments(target)
        if self._floor is None:
            self._floor = DEVIATION_FLOOR * _mean_variance(target, variance)
        self._mean, self._deviation = self._measure_deviation(target)

    def _moments(self, means: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and variance of each channel that is compared, [D]."""
        mean, covariance = _covariance(means)
        if self._projection is None:
            return mean, tf.linalg.diag_part(covariance)
        wide = tf.linalg.matvec(self._projection, mean, transpose_a=True)
        products = (covariance @ self._projection) * self._projection
        return wide, tf.reduce_sum(products, axis=0)

    def _measure_deviation(
        self, means: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean and standard deviation of each channel, [D]."""
        mean, variance = self._moments(means)
        return mean, tf.sqrt(tf.maximum(variance, 0.0) + self._floor)

    def _difference(self, means: tf.Tensor) -> tf.Tensor:
        mean, deviation = self._measure_deviation(means)
        return tf.reduce_sum(tf.square(mean - self._mean)) + tf.reduce_sum(
            tf.square(deviation - self._deviation)
        )


class WassersteinLoss(StyleLoss):
    """Squared Wasserstein-2 distance of two Gaussian distributions, relative.

    distance = |m - m_t|^2 + tr(S + S_t - 2 (R S R)^(1/2)), over that of zeros,
    for means m, covariances S and R = S_t^(1/2). A small share of the target's
    mean variance is added to all variances, so that the gradient is bounded
    where features hardly vary.

    Source:
        Olkin, Pukelsheim. The Distance between Two Random Vectors with Given
        Dispersion Matrices. Linear Algebra and its Applications 48 (1982);
        of features: Vacher, Davila, Kohn, Coen-Cagli. Texture Interpolation for
        Probing Visual Perception. NeurIPS 2020.
    """

    raw_statistics = staticmethod(sums.moment_statistics)

    def _prepare(
        self, target: tf.Tensor, projection: np.ndarray | None
    ) -> None:
        self._narrow_root = projections.compute_root(projection, target.dtype)
        self._mean, covariance = self._moments(target)
        channels = len(covariance)
        self._dtype = tf.float64 if channels <= EXACT_CHANNELS else target.dtype
        variance = tf.cast(tf.linalg.diag_part(covariance), tf.float64)
        if self._floor is None:
            self._floor = COVARIANCE_FLOOR * _mean_variance(target, variance)
        values, vectors = tf.linalg.eigh(tf.cast(covariance, tf.float64))
        deviations = tf.sqrt(tf.maximum(values, 0.0) + self._floor)
        self._root = tf.cast(
            tf.matmul(vectors * deviations, vectors, transpose_b=True),
            self._dtype,
        )
        self._trace = tf.reduce_sum(deviations**2)

    def _moments(self, means: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean, [C], and covariance, [C, C], as they are compared."""
        mean, covariance = _covariance(means)
        if self._narrow_root is not None:
            mean = tf.linalg.matvec(self._narrow_root, mean, transpose_a=True)
        return mean, projections.transform(covariance, self._narrow_root)

    def _difference(self, means: tf.Tensor) -> tf.Tensor:
        mean, covariance = self._moments(means)
        of_means = tf.reduce_sum(tf.square(mean - self._mean))
        covariance = tf.cast(covariance, self._dtype)
        floor = tf.cast(self._floor, self._dtype)
        covariance = tf.linalg.set_diag(
            covariance, tf.linalg.diag_part(covariance) + floor
        )
        product = self._root @ covariance @ self._root
        trace = tf.linalg.trace(covariance) + tf.cast(self._trace, self._dtype)
        of_covariances = trace - 2.0 * trace_of_root(product, floor**2)
        distance = of_means + tf.cast(of_covariances, means.dtype)
        # Rounding may bring it below zero, which its gradient shall not see.
        return distance + tf.stop_gradient(tf.nn.relu(-distance))


class SlicedWassersteinLoss(StyleLoss):
    """Mean squared Wasserstein-2 distance along fixed random directions.

    In one dimension the distance is that of the sorted values. The directions
    are orthonormal, and drawn once; in the source they are drawn anew for each
    step. Sorting is not a sum over positions: parts do not add up.

    The target holds quantiles, [Q, K]: the values along K directions, sorted,
    at (q + 1/2) / Q of all positions.

    Source:
        Heitz, Vanhoey, Chambon, Belcour. A Sliced Wasserstein Loss for Neural
        Texture Synthesis. CVPR 2021, section 4.
    """

    additive = style_kinds.STYLE_LOSSES["sliced_wasserstein"].additive

    @classmethod
    def measure(
        cls,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        projection: np.ndarray | None = None,
    ) -> tf.Tensor:
        """The quantiles, [Q, K], of features, [1, h, w, C]."""
        values, levels, _ = _sort(features, mask, projection)
        levels = tf.broadcast_to(levels, tf.shape(values))
        return _quantiles(values, levels, min(QUANTILES, len(values)))

    @classmethod
    def blend(
        cls, targets: Sequence[tf.Tensor], shares: Sequence[float]
    ) -> tf.Tensor:
        """The mean of quantiles, by shares that sum to 1."""
        most = max(len(target) for target in targets)
        tables = [
            target if len(target) == most else _resample(target, most)
            for target in targets
        ]
        return super().blend(tables, shares)

    def _prepare(
        self, target: tf.Tensor, projection: np.ndarray | None
    ) -> None:
        self._projection = projection

    def statistics(
        self,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        *,
        region: tf.Tensor | None = None,
    ) -> sums.Statistics:
        """Sums squared differences of sorted values to those of the target."""
        values, levels, weights = _sort(
            features, sums.multiply_masks(mask, region), self._projection
        )
        count = len(self._target)
        places = tf.clip_by_value(levels * count - 0.5, 0.0, count - 1.0)
        below = tf.minimum(tf.cast(places, tf.int32), max(count - 2, 0))
        above = tf.minimum(below + 1, count - 1)
        share = places - tf.cast(below, places.dtype)
        targets = (1 - share) * _gather(self._target, below)
        targets += share * _gather(self._target, above)
        squares = weights * tf.square(values - targets)
        total = tf.reduce_sum(tf.reduce_mean(squares, axis=1))
        return sums.Statistics(total, tf.reduce_sum(weights[:, 0]))

    def _difference(self, means: tf.Tensor) -> tf.Tensor:
        return means

    def _of_zeros(self) -> tf.Tensor:
        return tf.reduce_mean(tf.square(self._target))


def trace_of_root(matrix: tf.Tensor, floor: tf.Tensor) -> tf.Tensor:
    """The trace of the square root of a symmetric matrix, [C, C].

    The gradient is that of the formula, M^(-1/2) / 2. Differentiating through
    the decomposition would divide by differences of eigenvalues.

    Args:
        matrix: Symmetric, positive, [C, C].
        floor: What no eigenvalue is below, []; smaller ones are rounding.
    """

    @ops.custom_gradient
    def trace(matrix: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
        # Of what is no number there is no decomposition, and no root either.
        finite = tf.reduce_all(tf.math.is_finite(matrix))
        unit = tf.eye(tf.shape(matrix)[0], dtype=matrix.dtype)
        values, vectors = tf.linalg.eigh(tf.where(finite, matrix, unit))
        roots = tf.sqrt(tf.maximum(values, floor))
        roots = tf.where(finite, roots, np.nan * roots)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            inverse = tf.matmul(vectors / roots, vectors, transpose_b=True)
            return 0.5 * upstream * inverse

        return tf.reduce_sum(roots), gradient

    return trace(matrix)


def _covariance(means: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean, [C], and covariance, [C, C], of raw moments, [C + 1, C]."""
    second, mean = means[:-1], means[-1]
    return mean, second - mean[:, None] * mean


def _mean_variance(target: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
    """The mean variance, [], never below what rounding leaves of squares.

    An image of one color has no variance; the difference of its mean square
    and its squared mean is rounding.
    """
    squares = tf.linalg.diag_part(target[:-1])
    least = tf.maximum(ROUNDING * tf.reduce_mean(squares), TINY)
    return tf.maximum(
        tf.reduce_mean(tf.maximum(variance, 0.0)),
        tf.cast(least, variance.dtype),
    )


def _directions(channels: int, projection: np.ndarray | None) -> np.ndarray:
    """Orthonormal directions of the features compared, seen here, [C, K]."""
    wide = channels if projection is None else projection.shape[1]
    rng = np.random.default_rng(0)
    square, _ = np.linalg.qr(rng.normal(size=(wide, min(wide, DIRECTIONS))))
    return square if projection is None else projection @ square


def _sort(
    features: tf.Tensor,
    mask: tf.Tensor | None,
    projection: np.ndarray | None,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Values along directions, ascending, [n, K]; their levels; weights.

    The level of a value is the share of the mass below it, and half its own.
    Without a mask levels and weights are those of all directions, [n, 1].
    """
    channels: int = features.shape.as_list()[-1]  # type: ignore[assignment]
    flat = tf.reshape(sums.widen(features), [-1, channels])
    directions = tf.constant(_directions(channels, projection), flat.dtype)
    values = tf.transpose(flat @ directions)
    if mask is None:
        count = tf.shape(values)[1]
        weights = tf.ones([count, 1], flat.dtype)
        levels = tf.cast(tf.range(count), flat.dtype)[:, None] + 0.5
        values = tf.sort(values, axis=1)
    else:
        order = tf.argsort(values, axis=1)
        values = tf.gather(values, order, batch_dims=1)
        flat_mask = tf.reshape(tf.cast(mask, flat.dtype), [-1])
        weights = tf.transpose(tf.gather(flat_mask, order))
        levels = tf.cumsum(weights, axis=0) - 0.5 * weights
    levels = tf.math.divide_no_nan(levels, tf.reduce_sum(weights[:, :1]))
    return tf.transpose(values), levels, weights


def _gather(table: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """The value of each column in its row, [n, K], of a table, [Q, K]."""
    if rows.shape[-1] == 1:
        return tf.gather(table, rows[:, 0])
    gathered = tf.gather(tf.transpose(table), tf.transpose(rows), batch_dims=1)
    return tf.transpose(gathered)


def _quantiles(values: tf.Tensor, levels: tf.Tensor, count: int) -> tf.Tensor:
    """Interpolates values, [n, K], at (q + 1/2) / count, [count, K]."""
    wanted = (np.arange(count) + 0.5) / count
    columns = [
        np.interp(wanted, level, value)
        for level, value in zip(levels.numpy().T, values.numpy().T, strict=True)
    ]
    return tf.constant(np.stack(columns, axis=1), values.dtype)


def _resample(table: tf.Tensor, count: int) -> tf.Tensor:
    """Another number of quantiles, [count, K]."""
    levels = (np.arange(len(table)) + 0.5)[:, None] / len(table)
    return _quantiles(
        table, tf.broadcast_to(tf.constant(levels), table.shape), count
    )
