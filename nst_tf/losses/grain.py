"""Implements the grain loss, the excess of fine detail over the style's.

Features hardly respond to patterns as fine as a pixel, so that an optimizer
does not remove them: colored fringes, dots and relief. This loss compares the
energy of the finest details with that of the style image, in each color
channel.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas, ops, reuse
from nst_tf.losses import style_losses, sums

SCALES = 2  # the image, and its 2 x 2 average pooling
# Lightness and two opponent colors of RGB (Y, U and V of ITU-R BT.601).
OPPONENT = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.14713, -0.28886, 0.436],
        [0.615, -0.51499, -0.10001],
    ]
).T
# Energies of 8-bit rounding errors of a constant image. The Laplacian
# multiplies their variance, 1/12, by 4^2 + 4; a mean of four pixels divides it
# by 4.
ROUNDING = np.concatenate(
    [
        20 / 12 / 255**2 * (OPPONENT**2).sum(axis=0) / 4**scale
        for scale in range(SCALES)
    ]
)


@reuse.by_value(numbers=["weight"])
class GrainLoss(style_losses.StyleLoss):
    """Relative excess of the energies of fine details over the style's.

    distance = mean(max(sqrt(E / E_s) - 1, 0)^2) over three opponent colors at
    two scales: E is the mean square of the Laplacian of the image, or of its 2
    x 2 average pooling, and E_s that of the style image. The energy of 8-bit
    rounding is added to both: without it a gray style, whose color energy is 0,
    would penalize the rounding errors of any 8-bit file.

    Too little detail is not penalized: an optimizer would add speckles to flat
    areas, where they cost least.

    Its layer is "image".
    """

    group = "grain"
    reach = 3  # pixels: 2 x 2, and their neighbors

    @staticmethod
    def raw_statistics(
        features: tf.Tensor, mask: tf.Tensor | None = None
    ) -> sums.Statistics:
        """Sums the energies, [6], of an image, [1, H, W, 3], and the mask."""
        image = sums.widen(features)
        if mask is None:
            mask = tf.ones_like(image[:, :, :, :1])
        mask = tf.stop_gradient(tf.cast(mask, image.dtype))
        return sums.Statistics(_sum_energies(image, mask), tf.reduce_sum(mask))

    def _difference(self, means: tf.Tensor) -> tf.Tensor:
        floor = tf.constant(ROUNDING, means.dtype)
        ratio = (means + floor) / (self._target + floor)
        excess = tf.nn.relu(tf.sqrt(ratio) - 1.0)
        return tf.reduce_mean(tf.square(excess))

    def _of_zeros(self) -> tf.Tensor:
        return tf.ones([], self._target.dtype)


def _sum_energies(image: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Sums the squared Laplacians at all scales over an image, [6]."""
    matrix = tf.constant(OPPONENT, image.dtype)
    weights = [mask]
    while len(weights) < SCALES:  # sums over 2 x 2
        weights.append(4.0 * _halve(weights[-1], "CONSTANT"))

    @ops.custom_gradient
    def total(image: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
        maps = [_convert(image, matrix)]
        while len(maps) < SCALES:
            maps.append(_halve(maps[-1], "SYMMETRIC"))
        details = [_laplacian(each) for each in maps]
        energies = [
            tf.reduce_sum(weight * detail**2, axis=[0, 1, 2])
            for weight, detail in zip(weights, details, strict=True)
        ]

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            factors = tf.split(2.0 * upstream, SCALES)
            # The Laplacian with repeated borders is symmetric.
            slopes = [
                _laplacian(factor * weight * detail)
                for factor, weight, detail in zip(
                    factors, weights, details, strict=True
                )
            ]
            for scale in reversed(range(1, SCALES)):
                slopes[scale - 1] += _spread(slopes[scale], maps[scale - 1])
            return _convert(slopes[0], tf.transpose(matrix))

        return tf.concat(energies, axis=0), gradient

    return total(image)


def _convert(image: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Multiplies each pixel, [1, H, W, 3], by a matrix, [3, 3]."""
    flat = tf.reshape(image, [-1, 3]) @ matrix
    return tf.reshape(flat, tf.shape(image))


def _laplacian(values: tf.Tensor) -> tf.Tensor:
    """Returns 4 times each pixel minus its neighbors; repeats borders."""
    padded = tf.pad(values, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    vertical = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1]
    horizontal = padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]
    return 4.0 * values - (vertical + horizontal)


def _halve(
    values: tf.Tensor, mode: Literal["CONSTANT", "SYMMETRIC"]
) -> tf.Tensor:
    """Average-pools a map by 2 x 2, after padding to even sizes."""
    padded = tf.pad(values, _pad_to_even(values), mode)
    return tf.nn.avg_pool2d(padded, 2, 2, "VALID")


def _spread(slope: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Computes the gradient of `_halve` with respect to its map."""
    wide = tf.repeat(tf.repeat(slope / 4.0, 2, axis=1), 2, axis=2)
    paddings = _pad_to_even(values)
    return tf.raw_ops.MirrorPadGrad(
        input=wide, paddings=paddings, mode="SYMMETRIC"
    )


def _pad_to_even(values: tf.Tensor) -> list[list[int]]:
    """Returns the paddings of [1, h, w, C] to even sizes."""
    height, width = canvas.get_size(values)
    return [[0, 0], [0, height % 2], [0, width % 2], [0, 0]]
