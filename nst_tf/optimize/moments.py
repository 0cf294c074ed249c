"""Computes Adam's moments, and resamples them to the size of the next level.

Both are interpolated as by PyTorch: pixels are squares, the border is repeated,
and nothing is smoothed. The mean is bicubic; the mean square is bilinear.

Source:
    crowsonkb/style-transfer-pytorch, scale_adam; the cubic kernel: Keys. Cubic
    Convolution Interpolation for Digital Image Processing. IEEE Transactions
    on Acoustics, Speech, and Signal Processing 29 (1981), with a = -0.75.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas

SHARPNESS = -0.75  # a of Keys; others take -0.5


def adam_update(
    gradient: tf.Tensor,
    mean: tf.Tensor,
    square: tf.Tensor,
    step: tf.Tensor,
    *,
    beta_1: tf.Tensor,
    beta_2: tf.Tensor,
    epsilon: tf.Tensor,
    corrected: bool = False,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Computes one update of Adam.

    Args:
        gradient: g_t in the paper, of any shape.
        mean: m_(t-1), the running mean of the gradients.
        square: v_(t-1), the running mean of their squares.
        step: t, from 1.
        beta_1: Decay of `mean`.
        beta_2: Decay of `square`.
        epsilon: Added to the root of `square` ("epsilon hat").
        corrected: Whether epsilon is added to the corrected root instead.

    Returns:
        The step to subtract at a learning rate (alpha) of 1, and the new `mean`
        and `square`.

    Source:
        Kingma, Ba. ICLR 2015, section 2, its last paragraph, as TensorFlow and
        Keras have it; algorithm 1, PyTorch's, is the corrected one.
    """
    mean = beta_1 * mean + (1 - beta_1) * gradient
    square = beta_2 * square + (1 - beta_2) * tf.square(gradient)
    # The bias of the root, from its zero start.
    shortfall = tf.sqrt(1 - beta_2**step)
    if corrected:
        epsilon *= shortfall
    correction = shortfall / (1 - beta_1**step)
    return correction * mean / (tf.sqrt(square) + epsilon), mean, square


def resample_mean(mean: canvas.Canvas, height: int, width: int) -> tf.Tensor:
    """Resamples a mean of gradients, [1, H, W, 3], to [1, height, width, 3]."""
    return _resample(mean, (height, width), _weigh_cubic)


def resample_square(
    square: canvas.Canvas, height: int, width: int
) -> tf.Tensor:
    """Resamples a mean of squared gradients, [1, H, W, 3], likewise."""
    return _resample(square, (height, width), _weigh_linear)


def _resample(
    values: canvas.Canvas,
    size: tuple[int, int],
    weigh: Callable[[np.ndarray], list[np.ndarray]],
) -> tf.Tensor:
    """Resamples along the columns and then along the rows."""
    found = canvas.read_whole(values)
    for axis, length in enumerate(size, start=1):
        shape: Any = found.shape
        before = int(shape[axis])
        places = (np.arange(length) + 0.5) * (before / length) - 0.5
        first = np.floor(places)
        taps = weigh(places - first)
        column = [-1 if each == axis else 1 for each in range(4)]
        total: Any = 0.0
        for offset, weights in enumerate(taps, start=1 - len(taps) // 2):
            index = np.clip(first + offset, 0, before - 1).astype(np.int32)
            share = tf.constant(weights.reshape(column), found.dtype)
            total += share * tf.gather(found, index, axis=axis)
        found = total
    return found


def _weigh_linear(place: np.ndarray) -> list[np.ndarray]:
    """Weighs the two nearest values, for places between them in [0, 1)."""
    return [1 - place, place]


def _weigh_cubic(place: np.ndarray) -> list[np.ndarray]:
    """Weighs the four nearest values, for places between the inner two."""
    a = SHARPNESS

    def near(x: np.ndarray) -> np.ndarray:
        return ((a + 2) * x - (a + 3)) * x**2 + 1

    def far(x: np.ndarray) -> np.ndarray:
        return a * (((x - 5) * x + 8) * x - 4)

    return [far(1 + place), near(place), near(1 - place), far(2 - place)]
