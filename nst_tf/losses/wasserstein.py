"""Implements style losses that compare distributions.

`wasserstein` compares means and covariances, as the distance between two
Gaussian distributions. `sliced_wasserstein` compares whole distributions along
some directions, and is not a sum over positions.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from nst_tf.backend import ops, reuse
from nst_tf.losses import style_kinds, style_losses, sums
from nst_tf.network import projections

COVARIANCE_FLOOR = 1e-2  # share of the mean variance added to each: bounds the
# gradient of `wasserstein`
EXACT_CHANNELS = 256  # up to these, float64 is cheap
DIRECTIONS = 32  # maximum of `sliced_wasserstein`
QUANTILES = 4096  # maximum per style image


@reuse.by_value(numbers=["weight"])
class WassersteinLoss(style_losses.StyleLoss):
    """Relative squared Wasserstein-2 distance of two Gaussian distributions.

    distance = |m - m_t|^2 + tr(S + S_t - 2 (R S R)^(1/2)), over that of zeros,
    for means m, covariances S and R = S_t^(1/2). A small share of the target's
    mean variance is added to all variances, which bounds the gradient if
    features hardly vary.

    Source:
        Olkin, Pukelsheim. The Distance between Two Random Vectors with Given
        Dispersion Matrices. Linear Algebra and its Applications 48 (1982);
        of features: Vacher, Davila, Kohn, Coen-Cagli. Texture Interpolation for
        Probing Visual Perception. NeurIPS 2020.
    """

    raw_statistics = staticmethod(sums.moment_statistics)

    def _prepare(self) -> None:
        target = self._target
        self._narrow_root = projections.compute_root(
            self._projection, target.dtype
        )
        self._mean, covariance = self._moments(target)
        channels = len(covariance)
        self._dtype = tf.float64 if channels <= EXACT_CHANNELS else target.dtype
        if self._floor is None:
            variance = style_losses.find_mean_variance(
                target, tf.cast(tf.linalg.diag_part(covariance), tf.float64)
            )
            self._floor = COVARIANCE_FLOOR * variance
        values, vectors = tf.linalg.eigh(tf.cast(covariance, tf.float64))
        deviations = tf.sqrt(tf.maximum(values, 0.0) + self._floor)
        self._root = tf.cast(
            tf.matmul(vectors * deviations, vectors, transpose_b=True),
            self._dtype,
        )
        self._trace = tf.reduce_sum(deviations**2)

    def _moments(self, means: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes the compared mean, [C], and covariance, [C, C]."""
        mean, covariance = style_losses.split_moments(means)
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
        # Rounding may make it negative; clip it without changing the gradient.
        return distance + tf.stop_gradient(tf.nn.relu(-distance))


@reuse.by_value(numbers=["weight"], varying=["_target"])
class SlicedWassersteinLoss(style_losses.StyleLoss):
    """Mean squared Wasserstein-2 distance along fixed random directions.

    In one dimension it is the distance of the sorted values. The directions are
    orthonormal and drawn once; the source draws new ones for each step. Sorting
    is not a sum over positions, so that the loss is not additive.

    The target has quantiles, [Q, K]: the sorted values along K directions, at
    (q + 1/2) / Q of all positions.

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
        """Computes the quantiles, [Q, K], of features, [1, h, w, C]."""
        values, levels, _ = _sort(features, mask, projection)
        levels = tf.broadcast_to(levels, tf.shape(values))
        return _quantiles(values, levels, min(QUANTILES, len(values)))

    @classmethod
    def blend(
        cls, targets: Sequence[tf.Tensor], shares: Sequence[float]
    ) -> tf.Tensor:
        """Averages quantiles with shares that sum to 1."""
        most = max(len(target) for target in targets)
        tables = [
            target if len(target) == most else _resample(target, most)
            for target in targets
        ]
        return super().blend(tables, shares)

    def statistics(
        self,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        *,
        region: tf.Tensor | None = None,
    ) -> sums.Statistics:
        """Sums the squared differences of sorted values to the target's."""
        values, levels, weights = _sort(
            features, sums.multiply_masks(mask, region), self._projection
        )
        rows = tf.shape(self._target)[0]
        count = tf.cast(rows, levels.dtype)
        places = tf.clip_by_value(levels * count - 0.5, 0.0, count - 1.0)
        below = tf.minimum(tf.cast(places, tf.int32), tf.maximum(rows - 2, 0))
        above = tf.minimum(below + 1, rows - 1)
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
    """Computes the trace of the square root of a symmetric matrix, [].

    The gradient is explicit, M^(-1/2) / 2: automatic differentiation of the
    decomposition would divide by differences of eigenvalues.

    Args:
        matrix: Symmetric, positive, [C, C].
        floor: Minimum of the eigenvalues, []; smaller ones are rounding errors.
    """

    @ops.custom_gradient
    def trace(matrix: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
        # A matrix with NaN has no decomposition; the root becomes NaN.
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


def _directions(channels: int, projection: np.ndarray | None) -> np.ndarray:
    """Returns orthonormal directions of the compared features, [C, K]."""
    wide = channels if projection is None else projection.shape[1]
    rng = np.random.default_rng(0)
    square, _ = np.linalg.qr(rng.normal(size=(wide, min(wide, DIRECTIONS))))
    return square if projection is None else projection @ square


def _sort(
    features: tf.Tensor, mask: tf.Tensor | None, projection: np.ndarray | None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns sorted values along directions, [n, K], levels and weights.

    The level of a value is the share of the mass below it plus half its own.
    Without a mask, all directions share levels and weights, [n, 1].
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
    """Gathers rows per column, [n, K], from a table, [Q, K]."""
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
    """Resamples quantiles to another number, [count, K]."""
    levels = tf.constant((np.arange(len(table)) + 0.5)[:, None] / len(table))
    return _quantiles(table, tf.broadcast_to(levels, table.shape), count)
