"""Implements the nearest-neighbor style loss.

Gram matrices and distributions describe how often features occur in a style,
not which occur together. This loss compares each position with a whole feature
vector of the style, so that contours and patches of the style are kept.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas, device, ops, reuse
from nst_tf.losses import style_losses, sums
from nst_tf.network import projections

SAMPLE = 2048  # maximum of features of a style image
BLOCK = 1024  # positions matched at once
LENGTH_FLOOR = 1e-6  # share of the mean square of features: minimum squared
# length, so that features at the mean have no direction


@reuse.by_value(numbers=["weight"], varying=["_target", "_units"])
class NeighborsLoss(style_losses.StyleLoss):
    """Half the mean squared distance to the nearest features of the style.

    distance = mean over positions of min over j of |u - u_j|^2 / 2, for the
    features u of a position and u_j of the style, minus the style's mean and
    scaled to length 1. That is 1 minus the cosine similarity: 0 for a feature
    of the style, 1 for an orthogonal one. Each evaluation searches the nearest
    features again, so that the loss is a function of the image.

    The target is [1 + N, C]: the style's mean feature, and a sample of its
    features.

    Source:
        Kolkin, Kucera, Paris, Sykora, Shechtman, Shakhnarovich. Neural Neighbor
        Style Transfer. arXiv 2203.13215 (2022), section 3, there of features
        of all layers at once, matched a few times; cosines of features less
        their mean: Mechrez, Talmi, Zelnik-Manor. The Contextual Loss for Image
        Transformation with Non-Aligned Data. ECCV 2018, section 3.
    """

    group = "neighbors"

    @classmethod
    def measure(
        cls,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        projection: np.ndarray | None = None,
    ) -> tf.Tensor:
        """Computes the target, [1 + N, C], of features, [1, h, w, C]."""
        del projection
        chosen = choose_positions(*canvas.get_size(features), mask)
        flat = tf.reshape(sums.widen(features), [-1, features.shape[-1]])
        return cls.collect(tf.gather(flat, chosen))

    @classmethod
    def collect(cls, sample: tf.Tensor) -> tf.Tensor:
        """Computes the target, [1 + N, C], of sampled features, [N, C]."""
        mean = tf.reduce_mean(sample, axis=0, keepdims=True)
        return tf.concat([mean, sample], axis=0)

    @classmethod
    def blend(
        cls, targets: Sequence[tf.Tensor], shares: Sequence[float]
    ) -> tf.Tensor:
        """Blends means, and thins samples, by shares that sum to 1."""
        if len(targets) == 1:
            return targets[0]
        pairs = list(zip(shares, targets, strict=True))
        parts = [tf.add_n([share * target[:1] for share, target in pairs])]
        for share, target in pairs:
            count = len(target) - 1
            least = min(count, max(1, round(share * SAMPLE)))
            rows = 1 + np.arange(least) * count // least
            parts.append(tf.gather(target, rows))
        return tf.concat(parts, axis=0)

    def statistics(
        self,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        *,
        region: tf.Tensor | None = None,
    ) -> sums.Statistics:
        """Sums the distances over positions, weighted by mask and region."""
        half = features.dtype == tf.bfloat16 and not device.emulates_bfloat16()
        channels = features.shape[-1]
        flat = tf.reshape(sums.widen(features), [-1, channels])
        if self._root is not None:
            flat = flat @ tf.cast(self._root, flat.dtype)
        mean, units = (
            tf.cast(each, flat.dtype) for each in (self._mean, self._units)
        )
        floor = tf.cast(self._floor_of_lengths, flat.dtype)
        nearest = _match(
            _scale_to_unit(flat - mean, floor),
            units,
            tf.bfloat16 if half else flat.dtype,
            self._has_short,
        )
        distances = _measure_distances(
            flat - mean, tf.gather(units, nearest), floor
        )
        values = tf.reshape(distances, [*tf.unstack(tf.shape(features))[:3], 1])
        return sums.masked_sum(values, sums.multiply_masks(mask, region))

    def _prepare(self) -> None:
        target = self._target
        self._root = projections.compute_root(self._projection, target.dtype)
        if self._root is not None:
            target = target @ self._root
        self._mean = target[:1]
        square = tf.reduce_mean(tf.reduce_sum(target[1:] ** 2, axis=1))
        self._floor_of_lengths = LENGTH_FLOOR * square
        centered = target[1:] - self._mean
        self._units = _scale_to_unit(centered, self._floor_of_lengths)
        lengths = tf.reduce_sum(centered**2, axis=1)
        self._has_short = bool(tf.reduce_any(lengths < self._floor_of_lengths))

    def _difference(self, means: tf.Tensor) -> tf.Tensor:
        return means

    def _of_zeros(self) -> tf.Tensor:
        return tf.ones([], self._target.dtype)


def choose_positions(
    height: int, width: int, mask: tf.Tensor | None = None
) -> np.ndarray:
    """Samples positions of a style's map, ascending, [N].

    It excludes positions of weight 0. If more than `SAMPLE` remain, it draws
    `SAMPLE` of them with a fixed seed, in proportion to their weights.
    """
    weights = np.ones(height * width)
    if mask is not None:
        weights = np.asarray(mask, np.float64).ravel()
    candidates = np.flatnonzero(weights > 0)
    if len(candidates) <= SAMPLE:
        return candidates
    rng = np.random.default_rng(0)
    share = weights[candidates] / weights[candidates].sum()
    return np.sort(rng.choice(candidates, SAMPLE, replace=False, p=share))


def _scale_to_unit(values: tf.Tensor, floor: tf.Tensor) -> tf.Tensor:
    """Scales rows, [N, C], to length 1; rows below the floor to less."""
    squares = tf.reduce_sum(values**2, axis=1, keepdims=True)
    return tf.math.divide_no_nan(values, tf.sqrt(tf.maximum(squares, floor)))


def _match(
    units: tf.Tensor, bank: tf.Tensor, dtype: tf.DType, has_short: bool
) -> tf.Tensor:
    """Returns the index of the row of a bank nearest to each unit, [N].

    It multiplies matrices in blocks of positions, so that memory does not grow
    with the image.

    Args:
        units: [N, C].
        bank: [M, C].
        dtype: Data type of the products, which only select.
        has_short: Whether some rows of the bank have a length below 1.
    """
    columns = tf.transpose(tf.cast(bank, dtype))
    halves = tf.reduce_sum(bank**2, axis=1) / 2

    def match_block(block: tf.Tensor) -> tf.Tensor:
        scores = tf.matmul(block, columns)
        if has_short:
            scores = tf.cast(scores, halves.dtype) - halves
        return tf.argmax(scores, axis=1, output_type=tf.int32)

    units = tf.stop_gradient(tf.cast(units, dtype))
    count = tf.shape(units)[0]
    whole = count // BLOCK
    blocks = tf.reshape(units[: whole * BLOCK], [whole, BLOCK, units.shape[-1]])
    found: tf.Tensor = tf.map_fn(
        match_block, blocks, fn_output_signature=tf.int32, parallel_iterations=1
    )
    rest = match_block(units[whole * BLOCK :])
    return tf.concat([tf.reshape(found, [-1]), rest], axis=0)


def _measure_distances(
    values: tf.Tensor, nearest: tf.Tensor, floor: tf.Tensor
) -> tf.Tensor:
    """Computes half the squared distances of scaled rows to others, [N]."""

    @ops.custom_gradient
    def measure(values: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return _compute_slope(upstream, values, nearest, floor)

        return _half_squares(values, nearest, floor), gradient

    return measure(values)


@ops.fuse
def _half_squares(
    values: tf.Tensor, nearest: tf.Tensor, floor: tf.Tensor
) -> tf.Tensor:
    """Computes half the squared distances, [N]."""
    difference = _scale_to_unit(values, floor) - nearest
    return tf.reduce_sum(difference**2, axis=1) / 2


@ops.fuse
def _compute_slope(
    upstream: tf.Tensor, values: tf.Tensor, nearest: tf.Tensor, floor: tf.Tensor
) -> tf.Tensor:
    """Computes the gradient of `_half_squares` for the values, [N, C]."""
    squares = tf.reduce_sum(values**2, axis=1, keepdims=True)
    lengths = tf.sqrt(tf.maximum(squares, floor))
    units = tf.math.divide_no_nan(values, lengths)
    slope = units - nearest
    along = tf.reduce_sum(slope * units, axis=1, keepdims=True)
    slope -= tf.where(squares > floor, along, tf.zeros_like(along)) * units
    return tf.math.divide_no_nan(upstream[:, None] * slope, lengths)
