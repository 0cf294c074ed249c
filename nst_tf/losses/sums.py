"""Computes additive sums over the positions of a feature map.

The statistics of a whole are the sum of the statistics of its parts. Masks,
tiles and blends of styles rely on that law: a mask weights each position, and
the mean divides by the mass, the sum of the mask.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from nst_tf.backend import device, ops

BLOCK = 1024  # positions whose products in bfloat16 are added up in bfloat16


class Statistics(NamedTuple):
    """Sums over positions; the sums of parts add up to those of the whole."""

    total: tf.Tensor
    mass: tf.Tensor  # number of summed positions, or their weights, []


def gram_matrix(
    features: tf.Tensor, mask: tf.Tensor | None = None
) -> tf.Tensor:
    """Averages the product of every two channels over the positions of a map.

    gram[i, j] = sum(mask * features[..., i] * features[..., j]) / sum(mask).
    Gatys et al. sum where we average, so that sizes and regions are comparable:
    our mean squared difference is 4 times their E_l, for images of one size.

    Args:
        features: Feature map, [1, H, W, C].
        mask: Weight of each position, [1, H, W, 1], in [0, 1]; None: 1.

    Returns:
        Gram matrix, [C, C], symmetric, in squared feature units.

    Raises:
        ValueError: If `mask` and `features` differ in height or width.

    Source:
        Gatys, Ecker, Bethge. CVPR 2016, equations 3 to 5.
    """
    return divide_by_mass(gram_statistics(features, mask))


def gram_statistics(
    features: tf.Tensor, mask: tf.Tensor | None = None
) -> Statistics:
    """Computes the sums that `gram_matrix` divides by the mass, [C, C].

    bfloat16 features are multiplied in blocks of 1024 positions, since matrix
    products are rounded to bfloat16, and the blocks are summed in float32. If
    the CPU only emulates bfloat16, they are multiplied in float32.
    """
    _check_mask(features, mask)
    if features.dtype != tf.bfloat16:
        features = widen(features)
    weights = None
    if mask is not None:
        weights = tf.stop_gradient(tf.cast(mask, features.dtype))

    @ops.custom_gradient
    def total(
        features: tf.Tensor,
    ) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
        weighted = features if weights is None else _weigh(weights, features)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            factor = _cast_factor(weighted)
            slope = tf.cast(upstream + tf.transpose(upstream), factor.dtype)
            # Faster than the equivalent matrix product.
            product = tf.nn.conv2d(factor, slope[None, None], 1, "VALID")
            return tf.cast(product, features.dtype)

        factors = _cast_factor(weighted), _cast_factor(features)
        return _sum_products(*factors), gradient

    return Statistics(total(features), _count(features, weights))


@ops.fuse
def _weigh(weights: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    """Multiplies a map, [1, H, W, C], by weights of its positions."""
    return weights * features


def _cast_factor(values: tf.Tensor) -> tf.Tensor:
    """Casts bfloat16 to float32 if the CPU only emulates it."""
    if values.dtype == tf.bfloat16 and device.emulates_bfloat16():
        return widen(values)
    return values


def _sum_products(one: tf.Tensor, two: tf.Tensor) -> tf.Tensor:
    """Sums the products of channels over positions, [C, C], in float32."""
    channels = one.shape[-1]
    one, two = (tf.reshape(each, [-1, channels]) for each in (one, two))
    if one.dtype != tf.bfloat16:
        return tf.matmul(one, two, transpose_a=True)
    whole = tf.shape(one)[0] // BLOCK * BLOCK
    ones, twos = (
        tf.reshape(each[:whole], [-1, BLOCK, channels]) for each in (one, two)
    )
    products = widen(tf.matmul(ones, twos, transpose_a=True))
    rest = widen(tf.matmul(one[whole:], two[whole:], transpose_a=True))
    return tf.reduce_sum(products, axis=0) + rest


def cross_statistics(
    features: tf.Tensor, mask: tf.Tensor | None = None
) -> Statistics:
    """Sums the products of two layers' channels over positions.

    Args:
        features: A joined map, [1, H, W, 2 C]: one layer's channels, and the
            other's.
        mask: Weight of each position, [1, H, W, 1], in [0, 1]; None: 1.

    Returns:
        Sums, [C, C]: row i has the products of channel i of the first layer.

    Raises:
        ValueError: If `mask` and `features` differ in height or width.
    """
    flat, weights, mass = _flatten(features, mask)
    one, two = tf.split(flat, 2, axis=-1)
    if weights is not None:
        one = weights * one
    return Statistics(tf.matmul(one, two, transpose_a=True), mass)


def moment_statistics(
    features: tf.Tensor, mask: tf.Tensor | None = None
) -> Statistics:
    """Sums the products of channels, and the channels.

    Args:
        features: Feature map, [1, H, W, C].
        mask: Weight of each position, [1, H, W, 1], in [0, 1]; None: 1.

    Returns:
        Sums, [C + 1, C]; divided by the mass, these are the raw moments of
        second and first order.

    Raises:
        ValueError: If `mask` and `features` differ in height or width.
    """
    flat, weights, mass = _flatten(features, mask)

    @ops.custom_gradient
    def total(flat: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
        weighted = flat if weights is None else weights * flat

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            second, first = upstream[:-1], upstream[-1:]
            if weights is not None:
                first = weights * first
            return weighted @ (second + tf.transpose(second)) + first

        products = tf.matmul(weighted, flat, transpose_a=True)
        sums = tf.reduce_sum(weighted, axis=0, keepdims=True)
        return tf.concat([products, sums], axis=0), gradient

    return Statistics(total(flat), mass)


def squared_difference(features: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Averages squared differences over channels, [1, h, w, 1].

    Args:
        features: Feature map, [1, h, w, C].
        target: Constant map without gradient, [1, h, w, C].
    """

    @ops.custom_gradient
    def squares(features: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return _compute_slope(upstream, features, target)

        return _average_squares(features, target), gradient

    return squares(features)


@ops.fuse
def _average_squares(features: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Averages squared differences over channels, [1, h, w, 1]."""
    squares = tf.square(widen(features) - widen(target))
    return tf.reduce_mean(squares, axis=-1, keepdims=True)


@ops.fuse
def _compute_slope(
    upstream: tf.Tensor, features: tf.Tensor, target: tf.Tensor
) -> tf.Tensor:
    """Computes the gradient of `_average_squares` for the features."""
    channels: Any = features.shape[-1]
    upstream *= tf.constant(2 / channels, upstream.dtype)
    slope = upstream * (widen(features) - widen(target))
    return tf.cast(slope, features.dtype)


def masked_sum(values: tf.Tensor, mask: tf.Tensor | None) -> Statistics:
    """Sums values, [1, h, w, 1], weighted by a mask."""
    if mask is None:
        mass = tf.cast(tf.size(values), values.dtype)
        return Statistics(tf.reduce_sum(values), mass)
    mask = tf.cast(mask, values.dtype)
    return Statistics(tf.reduce_sum(values * mask), tf.reduce_sum(mask))


def divide_by_mass(statistics: Statistics) -> tf.Tensor:
    """Divides the sums by the mass; returns 0 for a mass of 0."""
    return tf.math.divide_no_nan(statistics.total, statistics.mass)


def multiply_masks(
    mask: tf.Tensor | None, region: tf.Tensor | None
) -> tf.Tensor | None:
    """Multiplies two masks, either of which may be absent."""
    if mask is None or region is None:
        return region if mask is None else mask
    return tf.cast(mask, region.dtype) * region


def widen(values: tf.Tensor) -> tf.Tensor:
    """Casts half precision to float32, to avoid overflow and rounding."""
    return values if values.dtype == tf.float64 else tf.cast(values, tf.float32)


def _flatten(
    features: tf.Tensor, mask: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor | None, tf.Tensor]:
    """Flattens a map to [H * W, C] and a mask to [H * W, 1]; sums the mask."""
    _check_mask(features, mask)
    flat = tf.reshape(widen(features), [-1, features.shape[-1]])
    weights = None
    if mask is not None:
        column = tf.reshape(tf.cast(mask, flat.dtype), [-1, 1])
        weights = tf.stop_gradient(column)
    return flat, weights, _count(flat, weights)


def _count(features: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
    """Sums the weights of positions, 1 without weights, []."""
    if weights is not None:
        return tf.reduce_sum(widen(weights))
    positions = tf.reduce_prod(tf.shape(features)[:-1])
    return tf.cast(positions, widen(tf.zeros([], features.dtype)).dtype)


def _check_mask(features: tf.Tensor, mask: tf.Tensor | None) -> None:
    """Raises ValueError if a mask and a map differ in size."""
    if mask is not None and mask.shape[1:3] != features.shape[1:3]:
        raise ValueError(
            f"mask is {mask.shape[2]} x {mask.shape[1]} positions, but the "
            f"feature map is {features.shape[2]} x {features.shape[1]}; pass a "
            "mask of the map's size."
        )
