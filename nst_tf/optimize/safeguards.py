"""Tells when an optimizer left the box, or its loss explodes."""

import tensorflow as tf

from nst_tf.backend import canvas

# What an image is clipped to after each step.
BOUNDS = {"box": (0.0, 1.0), "none": (float("-inf"), float("inf"))}
EXPLOSION = 10.0  # times the lowest loss so far; first steps reach 4
NEGLIGIBLE = 1e-3  # of the first loss, from which no loss explodes


def is_sound(
    loss: tf.Tensor,
    gradient: canvas.Canvas,
    lowest: tf.Tensor,
    first: tf.Tensor,
) -> tf.Tensor:
    """Returns whether an evaluation is all numbers, and no explosion.

    Args:
        loss: Of the evaluation, [].
        gradient: Of the evaluation, [1, H, W, 3].
        lowest: The lowest loss so far, []; infinity if there is none.
        first: The first sound loss of the level, []; infinity likewise.

    Returns:
        A truth value, [].
    """
    pixels = gradient.shape.num_elements() // 3
    norm = float(pixels) ** 2 * canvas.sum_squares(gradient)
    highest = EXPLOSION * tf.maximum(lowest, NEGLIGIBLE * first)
    return tf.math.is_finite(loss + norm) & (loss <= highest)
