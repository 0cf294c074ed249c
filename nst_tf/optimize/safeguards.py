"""Defines the bounds of an image, and detects exploding losses."""

import tensorflow as tf

from nst_tf.backend import canvas

# (low, high) for clipping an image after each step.
BOUNDS = {"box": (0.0, 1.0), "none": (float("-inf"), float("inf"))}
EXPLOSION = 10.0  # factor on the lowest loss so far; first steps reach 4
# Share of the first loss, below which no loss counts as exploding.
NEGLIGIBLE = 1e-3


def is_sound(
    loss: tf.Tensor,
    gradient: canvas.Canvas,
    lowest: tf.Tensor,
    first: tf.Tensor,
) -> tf.Tensor:
    """Returns whether an evaluation is finite and not exploding.

    Args:
        loss: Of the evaluation, [].
        gradient: Of the evaluation, [1, H, W, 3].
        lowest: The lowest loss so far, []; infinity: none.
        first: The first sound loss of the level, []; infinity: none.

    Returns:
        A boolean, [].
    """
    pixels = gradient.shape.num_elements() // 3
    norm = float(pixels) ** 2 * canvas.sum_squares(gradient)
    highest = EXPLOSION * tf.maximum(lowest, NEGLIGIBLE * first)
    return tf.math.is_finite(loss + norm) & (loss <= highest)
