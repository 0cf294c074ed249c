"""Implements total variation, the difference of neighboring pixels.

The gradients are explicit. Automatic differentiation would sum the gradients of
four slices of the image in an order that is not deterministic. The final
product keeps that sum separate from the sum with other gradients of the image.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

from nst_tf.backend import canvas, ops, reuse
from nst_tf.losses import protocol, sums

Derived = tuple[tf.Tensor, tf.Tensor, tf.Tensor]  # value and derivatives


@reuse.by_value(numbers=["weight"])
class TotalVariationLoss:
    """The mean difference of neighboring pixels.

    The mean is over channels and over all pairs of a pixel and the pixel below
    it or to its right: a checkerboard of 0 and 1 has 1. A pair has the weight
    of its upper or left pixel.

    Args:
        weight: Weight in the objective.
        neighbors: The averaged function of differences, a name in `FORMS`.
            square: squares; absolute: absolute values; inner_square: squares,
            over pixels with both neighbors; power: (down^2 + right^2)^1.25,
            over the same; nine_point: squares of the differences to all eight
            neighbors, with repeated borders.
        divisor: Divides the mean.
        region: Weight of each pixel, [1, H, W, 1], in [0, 1].
        size: (height, width) of the whole image, if tiles compute the loss.

    Source:
        Mahendran, Vedaldi. Understanding Deep Image Representations by
        Inverting Them. CVPR 2015, section 3.2, with beta = 2, or 2.5; absolute
        values: Rudin, Osher, Fatemi. Physica D 60 (1992), anisotropic.
    """

    name = "total_variation"
    layer = "image"
    reach = 1
    additive = True
    takes_half_precision = True

    def __init__(
        self,
        weight: float = 1.0,
        neighbors: str = "square",
        divisor: float = 1.0,
        region: tf.Tensor | None = None,
        size: tuple[int, int] | None = None,
    ):
        self.weight = weight
        self.maps = protocol.drop_absent(region=region)
        self._neighbors = neighbors
        self._divisor = divisor
        self._size = size

    def statistics(
        self,
        features: tf.Tensor,
        mask: tf.Tensor | None = None,
        *,
        region: tf.Tensor | None = None,
    ) -> sums.Statistics:
        """Sums over pairs, averaged over channels."""
        image = sums.widen(features)
        mask = sums.multiply_masks(mask, region)
        if mask is None:
            mask = tf.ones_like(image[:, :, :, :1])
        mask = tf.cast(mask, image.dtype)
        if self._neighbors == "nine_point":
            return sums.Statistics(
                _sum_eight_neighbors(
                    image, mask, self._size or canvas.get_size(image)
                ),
                tf.reduce_sum(mask),
            )
        if self._neighbors in INNER:
            mask = _pad(_pad(mask[:, :-1, :-1], 1, 0, 1), 2, 0, 1)
            mass = tf.reduce_sum(mask)
        else:
            mass = tf.reduce_sum(mask[:, :-1]) + tf.reduce_sum(mask[:, :, :-1])
        return sums.Statistics(
            _sum_neighbors(self._neighbors, image, mask), mass
        )

    def distance(self, statistics: sums.Statistics) -> tf.Tensor:
        """Averages over the pairs, []."""
        return sums.divide_by_mass(statistics) / self._divisor


def _sum_neighbors(
    neighbors: str, image: tf.Tensor, mask: tf.Tensor
) -> tf.Tensor:
    """Sums over pixels, averaged over channels, []."""
    channels = tf.cast(tf.shape(image)[-1], image.dtype)
    mask = tf.stop_gradient(mask)

    @ops.custom_gradient
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
            # TensorFlow makes a product of `/` by a constant, and rounds it.
            return tf.math.divide_no_nan(upstream, channels) * both

        return tf.reduce_sum(mask * value) / channels, gradient

    return total(image)


def _sum_eight_neighbors(
    image: tf.Tensor, mask: tf.Tensor, size: tuple[int, int]
) -> tf.Tensor:
    """Sums 2/3 of straight and 1/6 of diagonal squared differences, [].

    Straight differences are averaged over the H W pixels. Diagonal ones are
    averaged over the (H + 1) (W + 1) diagonals of each direction, since the
    border is repeated once. `size` is (H, W) of the whole image.
    """
    height, width = size
    channels = tf.cast(tf.shape(image)[-1], mask.dtype)
    border = [[0, 0], [1, 1], [1, 1], [0, 0]]
    inner = tf.stop_gradient(mask)
    outer = tf.pad(inner, border, "SYMMETRIC")[:, :-1, :-1]
    sides = 2.0 / 3.0 * inner
    diagonals = outer * (height * width / (6.0 * (height + 1) * (width + 1)))

    @ops.custom_gradient
    def total(image: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
        padded = tf.pad(image, border, "SYMMETRIC")
        down = padded[:, 2:, 1:-1] - image
        right = padded[:, 1:-1, 2:] - image
        falling = padded[:, 1:, 1:] - padded[:, :-1, :-1]
        rising = padded[:, 1:, :-1] - padded[:, :-1, 1:]
        value = tf.reduce_sum(sides * (down**2 + right**2)) + tf.reduce_sum(
            diagonals * (falling**2 + rising**2)
        )

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            rows, columns = (
                _pad(_pad(x, 1, 1, 1), 2, 1, 1)
                for x in (sides * down, sides * right)
            )
            straight = (_shift(rows, 1, 0) - rows) + (
                _shift(columns, 0, 1) - columns
            )
            falls, rises = (
                _pad(_pad(x, 1, 0, 1), 2, 0, 1)
                for x in (diagonals * falling, diagonals * rising)
            )
            oblique = (_shift(falls, 1, 1) - falls) + (
                _shift(rises, 1, 0) - _shift(rises, 0, 1)
            )
            both = tf.raw_ops.MirrorPadGrad(
                input=straight + oblique, paddings=border, mode="SYMMETRIC"
            )
            return tf.math.divide_no_nan(2.0 * upstream, channels) * both

        return value / channels, gradient

    return total(image)


def _shift(values: tf.Tensor, rows: int, columns: int) -> tf.Tensor:
    """Shifts a map down and right, and fills with zeros."""
    height, width = (tf.shape(values)[axis] for axis in (1, 2))
    padded = _pad(_pad(values, 1, rows, 0), 2, columns, 0)
    return padded[:, :height, :width]


def _pad(values: tf.Tensor, axis: int, before: int, after: int) -> tf.Tensor:
    """Adds rows (axis 1) or columns (axis 2) of zeros to [1, h, w, C]."""
    paddings = [[0, 0] for _ in range(4)]
    paddings[axis] = [before, after]
    return tf.pad(values, paddings)


def _square(down: tf.Tensor, right: tf.Tensor) -> Derived:
    """Computes down^2 + right^2."""
    return down**2 + right**2, 2.0 * down, 2.0 * right


def _absolute(down: tf.Tensor, right: tf.Tensor) -> Derived:
    """Computes |down| + |right|."""
    return tf.abs(down) + tf.abs(right), tf.sign(down), tf.sign(right)


def _power(down: tf.Tensor, right: tf.Tensor) -> Derived:
    """Computes (down^2 + right^2)^1.25."""
    square = down**2 + right**2
    outer = 2.5 * square**0.25
    return square**1.25, outer * down, outer * right


# Name -> function of the differences to the lower and the right neighbor, with
# its derivatives.
NEIGHBORS: Mapping[str, Callable[[tf.Tensor, tf.Tensor], Derived]] = {
    "square": _square,
    "inner_square": _square,
    "absolute": _absolute,
    "power": _power,
}
INNER = ("inner_square", "power")  # only over pixels with both neighbors
FORMS = (*NEIGHBORS, "nine_point")
