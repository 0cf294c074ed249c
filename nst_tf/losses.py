"""Losses: additive statistics of a feature map, and a distance of them.

The statistics of a whole are the sum of the statistics of its parts. Masks,
tiles and blends of styles rest on that law: a mask says how much each position
counts, and the distance divides by the mass, the sum of the mask.

Every distance is relative: 0 at the target, 1 for a map of zeros (or, for the
total variation, for steps of one at each pixel), at every size and for every
network. With a divisor it is a source's instead (`nst_tf.conventions`).

A narrow network comes with projections to the features of the one that it
stands for. Its statistics stay narrow; its distances are those of the
projected features.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

Derived = tuple[tf.Tensor, tf.Tensor, tf.Tensor]  # a value, and derivatives


class Statistics(NamedTuple):
    """Sums over positions; those of a whole are the sum of its parts'."""

    total: tf.Tensor
    mass: tf.Tensor  # how many positions were summed, []


class Loss(Protocol):
    """What every loss is.

    Laws: the statistics of parts add up to those of the whole; positions
    further than `reach` from the mask do not count; the distance is never
    negative, and zero at the loss's own target.
    """

    name: str  # "style/block3_conv1", for the log
    layer: str  # a layer of the extractor, or "image"
    weight: float
    reach: int  # positions it looks beyond its own
    maps: Mapping[str, tf.Tensor]  # aligned with the feature map, cut with it

    @property
    def statistics(self) -> Callable[..., Statistics]:
        """(features, mask=None, **maps) -> sums over the positions of a map.

        Features are [1, h, w, C], a mask is [1, h, w, 1] in [0, 1].
        """

    def distance(self, statistics: Statistics) -> tf.Tensor:
        """Compares the statistics of a whole with the target, []."""


class ContentLoss:
    """Mean squared difference to the content's features, relative.

    distance = sum(mask * (features - target)^2) / sum(mask * target^2)

    Gatys et al. take half of the sum of squared differences; such conventions
    are this one with a divisor of theirs.

    Args:
        layer: Layer of the extractor that is compared.
        target: Features of the content image, [1, h, w, C].
        weight: Weight in the objective.
        region: How much each position counts, [1, h, w, 1], in [0, 1].
        projection: From these features to those that are compared, [C, D].
        divisor: Divides the mean squared difference over positions and
            channels that are compared; the target's mean square if None.

    Source:
        Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural
        Networks. CVPR 2016, equation 1.
    """

    reach = 0

    def __init__(
        self,
        layer: str,
        target: tf.Tensor,
        weight: float = 1.0,
        region: tf.Tensor | None = None,
        projection: np.ndarray | None = None,
        divisor: float | None = None,
    ):
        self.name = f"content/{layer}"
        self.layer = layer
        self.weight = weight
        self.maps = _maps(target=target, region=region)
        self._root = _root(projection, _wide(target).dtype)
        zeros = tf.zeros_like(target)
        self._scale = _mean(self.statistics(zeros, None, **self.maps))
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
    ) -> Statistics:
        """Sums squared differences to the target."""
        features, target = _wide(features), _wide(target)
        difference = features - target
        if self._root is not None:
            difference = _project(difference, self._root)
        return _masked_sum(tf.square(difference), _product(mask, region))

    def distance(self, statistics: Statistics) -> tf.Tensor:
        """Divides by the mean square of the target, or the divisor, []."""
        return tf.math.divide_no_nan(_mean(statistics), self._scale)


class GramLoss:
    """Squared difference of two Gram matrices, relative to the target's.

    distance = |gram - target|^2 / |target|^2, Frobenius norms. Gatys et al.
    divide the squared difference by 4 N^2 M^2 instead (their E_l), so that it
    grows with the fourth power of the activations of a layer.

    Args:
        layer: Layer of the extractor that is compared.
        target: Gram matrix of the style image, [C, C].
        weight: Weight in the objective.
        region: How much each position counts, [1, h, w, 1], in [0, 1].
        projection: From these features to those that are compared, [C, D]:
            the Gram matrix G of features F is P' G P for features F P.
        divisor: Divides the squared norm of the difference; that of the target
            if None.

    Source:
        Gatys, Ecker, Bethge. CVPR 2016, equations 3 to 5.
    """

    reach = 0

    def __init__(
        self,
        layer: str,
        target: tf.Tensor,
        weight: float = 1.0,
        region: tf.Tensor | None = None,
        projection: np.ndarray | None = None,
        divisor: float | None = None,
    ):
        self.name = f"style/{layer}"
        self.layer = layer
        self.weight = weight
        self.maps = _maps(region=region)
        self._root = _root(projection, target.dtype)
        self._target = target
        self._scale = self._energy(target)
        if divisor is not None:
            self._scale = tf.constant(divisor, target.dtype)

    @staticmethod
    def target(statistics: Statistics) -> tf.Tensor:
        """The Gram matrix, [C, C], of the statistics of a style image."""
        return _mean(statistics)

    def statistics(
        self,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        *,
        region: tf.Tensor | None = None,
    ) -> Statistics:
        """Sums products of channels, as `gram_statistics`."""
        return gram_statistics(features, _product(mask, region))

    def distance(self, statistics: Statistics) -> tf.Tensor:
        """Divides by the squared norm of the target, or the divisor, []."""
        energy = self._energy(_mean(statistics) - self._target)
        return tf.math.divide_no_nan(energy, self._scale)

    def _energy(self, matrix: tf.Tensor) -> tf.Tensor:
        """The squared norm of a difference of Gram matrices, projected, []."""
        if self._root is not None:
            matrix = tf.matmul(
                self._root, matrix @ self._root, transpose_a=True
            )
        return tf.reduce_sum(tf.square(matrix))


class TotalVariationLoss:
    """How much neighboring pixels differ, on average.

    The mean is over all pairs of a pixel and the one below or to the right of
    it, and over the channels: a checkerboard of 0 and 1 has 1. A pair counts
    as much as its upper or left pixel.

    Args:
        weight: Weight in the objective.
        neighbors: What is averaged, a name in `NEIGHBORS`: the squares or the
            absolute values of the differences, or, over pixels that have both
            neighbors, (down^2 + right^2)^1.25.
        divisor: Divides the mean.

    Source:
        Mahendran, Vedaldi. Understanding Deep Image Representations by
        Inverting Them. CVPR 2015, section 3.2, with beta = 2, or 2.5; absolute
        values: Rudin, Osher, Fatemi. Physica D 60 (1992), anisotropic.
    """

    name = "total_variation"
    layer = "image"
    reach = 1

    def __init__(
        self,
        weight: float = 1.0,
        neighbors: str = "square",
        divisor: float = 1.0,
    ):
        self.weight = weight
        self.maps: Mapping[str, tf.Tensor] = {}
        self._neighbors = neighbors
        self._divisor = divisor

    def statistics(
        self, features: tf.Tensor, mask: tf.Tensor | None = None
    ) -> Statistics:
        """Sums over neighbors, the mean over channels."""
        image = _wide(features)
        if mask is None:
            mask = tf.ones_like(image[:, :, :, :1])
        mask = tf.cast(mask, image.dtype)
        if self._neighbors == "power":
            mask = _pad(_pad(mask[:, :-1, :-1], 1, 0, 1), 2, 0, 1)
            mass = tf.reduce_sum(mask)
        else:
            mass = tf.reduce_sum(mask[:, :-1]) + tf.reduce_sum(mask[:, :, :-1])
        return Statistics(_sum_of_neighbors(self._neighbors, image, mask), mass)

    def distance(self, statistics: Statistics) -> tf.Tensor:
        """Averages over the pairs, []."""
        return _mean(statistics) / self._divisor


def gram_matrix(
    features: tf.Tensor, mask: tf.Tensor | None = None
) -> tf.Tensor:
    """Averages the product of every two channels over the positions of a map.

    gram[i, j] = sum(mask * features[..., i] * features[..., j]) / sum(mask).
    Gatys et al. sum where we average, so that sizes and regions compare: the
    mean squared difference of two of ours is 4 times their E_l, for two images
    of one size.

    Args:
        features: Feature map, [1, H, W, C].
        mask: How much each position counts, [1, H, W, 1], in [0, 1]; all of
            them if None.

    Returns:
        Gram matrix, [C, C], symmetric, in squared feature units.

    Raises:
        ValueError: If `mask` and `features` differ in height or width.

    Source:
        Gatys, Ecker, Bethge. CVPR 2016, equations 3 to 5.
    """
    return _mean(gram_statistics(features, mask))


def gram_statistics(
    features: tf.Tensor, mask: tf.Tensor | None = None
) -> Statistics:
    """The sums of which `gram_matrix` is the quotient."""
    if mask is not None and mask.shape[1:3] != features.shape[1:3]:
        raise ValueError(
            f"mask is {mask.shape[2]} x {mask.shape[1]} positions, but the "
            f"feature map is {features.shape[2]} x {features.shape[1]}."
        )
    channels = features.shape[-1]
    wide = _wide(features)
    flat = tf.reshape(wide, [-1, channels])  # [H * W, C]
    if mask is None:
        mass = tf.cast(tf.shape(flat)[0], flat.dtype)
        return Statistics(tf.matmul(flat, flat, transpose_a=True), mass)
    mask = tf.cast(mask, flat.dtype)
    weighted = tf.reshape(wide * mask, [-1, channels])
    total = tf.matmul(weighted, flat, transpose_a=True)
    return Statistics(total, tf.reduce_sum(mask))


def _root(projection: np.ndarray | None, dtype: tf.DType) -> tf.Tensor | None:
    """The square matrix R, [C, C], with R R' = P P', of a projection P.

    Distances of projected values are the same through R as through P: the norm
    of v P is that of v R, and the norm of P' D P that of R' D R. It is smaller.
    """
    if projection is None:
        return None
    left, singular_values, _ = np.linalg.svd(
        np.asarray(projection, np.float64), full_matrices=False
    )
    return tf.constant(left * singular_values, dtype)


def _project(features: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Multiplies each position of a map, [1, h, w, C], by a matrix [C, D]."""
    shape = tf.shape(features)
    flat = tf.reshape(features, [-1, matrix.shape[0]]) @ matrix
    return tf.reshape(flat, [*tf.unstack(shape)[:3], matrix.shape[1]])


def _sum_of_neighbors(
    neighbors: str, image: tf.Tensor, mask: tf.Tensor
) -> tf.Tensor:
    """Sums over pixels, the mean over channels, [].

    With a gradient of its own: that of the four slices would be four terms of
    a sum, which TensorFlow may add up in the order in which they come, and so
    not twice to the same bits. The product behind the sum keeps it apart from
    the sum with the other gradients of the image.
    """
    channels = tf.cast(tf.shape(image)[-1], image.dtype)
    mask = tf.stop_gradient(mask)

    @tf.custom_gradient
    def total(image: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
        down = _pad(image[:, 1:] - image[:, :-1], 1, 0, 1)
        right = _pad(image[:, :, 1:] - image[:, :, :-1], 2, 0, 1)
        value, of_down, of_right = NEIGHBORS[neighbors](down, right)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            rows = (mask * of_down)[:, :-1]
            columns = (mask * of_right)[:, :, :-1]
            both = (_pad(rows, 1, 1, 0) - _pad(rows, 1, 0, 1)) + (
                _pad(columns, 2, 1, 0) - _pad(columns, 2, 0, 1)
            )
            return upstream / channels * both

        return tf.reduce_sum(mask * value) / channels, gradient

    return total(image)


def _pad(values: tf.Tensor, axis: int, before: int, after: int) -> tf.Tensor:
    """Adds rows (axis 1) or columns (axis 2) of zeros to [1, h, w, C]."""
    paddings = [[0, 0] for _ in range(4)]
    paddings[axis] = [before, after]
    return tf.pad(values, paddings)


def _masked_sum(values: tf.Tensor, mask: tf.Tensor | None) -> Statistics:
    """Sums the mean over channels of a map, [1, h, w, C], over positions."""
    channels = tf.cast(tf.shape(values)[-1], values.dtype)
    if mask is None:
        mass = tf.cast(tf.size(values), values.dtype) / channels
        return Statistics(tf.reduce_sum(values) / channels, mass)
    mask = tf.cast(mask, values.dtype)
    total = tf.reduce_sum(values * mask) / channels
    return Statistics(total, tf.reduce_sum(mask))


def _mean(statistics: Statistics) -> tf.Tensor:
    """Divides the sums by the mass; nothing counts where the mass is zero."""
    return tf.math.divide_no_nan(statistics.total, statistics.mass)


def _product(
    mask: tf.Tensor | None, region: tf.Tensor | None
) -> tf.Tensor | None:
    """Multiplies two masks, either of which may be absent."""
    if mask is None or region is None:
        return region if mask is None else mask
    return tf.cast(mask, region.dtype) * region


def _maps(**maps: tf.Tensor | None) -> Mapping[str, tf.Tensor]:
    """Leaves out the maps that are absent."""
    return {name: value for name, value in maps.items() if value is not None}


def _wide(values: tf.Tensor) -> tf.Tensor:
    """Casts half precision to float32: its sums would overflow or round."""
    return values if values.dtype == tf.float64 else tf.cast(values, tf.float32)


def _square(down: tf.Tensor, right: tf.Tensor) -> Derived:
    """down^2 + right^2."""
    return down**2 + right**2, 2.0 * down, 2.0 * right


def _absolute(down: tf.Tensor, right: tf.Tensor) -> Derived:
    """|down| + |right|."""
    return tf.abs(down) + tf.abs(right), tf.sign(down), tf.sign(right)


def _power(down: tf.Tensor, right: tf.Tensor) -> Derived:
    """(down^2 + right^2)^1.25."""
    square = down**2 + right**2
    outer = 2.5 * square**0.25
    return square**1.25, outer * down, outer * right


# What total variation adds up, of each pixel's differences to its neighbors,
# with its derivatives by them.
NEIGHBORS: Mapping[str, Callable[[tf.Tensor, tf.Tensor], Derived]] = {
    "square": _square,
    "absolute": _absolute,
    "power": _power,
}
STYLE_LOSSES = {"gram": GramLoss}
