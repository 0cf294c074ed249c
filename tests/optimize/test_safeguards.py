"""When an evaluation is sound, at its bounds."""

import numpy as np
import pytest
import tensorflow as tf

from nst_tf.optimize import safeguards

INFINITY = float("inf")


def _is_sound(loss, lowest=INFINITY, first=INFINITY, gradient=0.0):
    """Asks about an evaluation of 100 x 100 pixels, of one gradient."""
    numbers = (tf.constant(x, tf.float32) for x in (loss, lowest, first))
    loss, lowest, first = numbers
    gradient = tf.fill((1, 100, 100, 3), np.float32(gradient))
    return bool(safeguards.is_sound(loss, gradient, lowest, first))


@pytest.mark.parametrize(
    ("loss", "lowest", "first", "sound"),
    [
        (1e30, INFINITY, INFINITY, True),  # there is nothing to compare with
        (20.0, 2.0, 3.0, True),
        (20.1, 2.0, 3.0, False),
        (0.039, 1e-9, 4.0, True),  # far below the first loss nothing explodes
        (0.041, 1e-9, 4.0, False),
        (float("nan"), INFINITY, INFINITY, False),
        (INFINITY, INFINITY, INFINITY, False),
    ],
)
def test_a_loss_may_be_ten_times_the_lowest_one(loss, lowest, first, sound):
    assert _is_sound(loss, lowest, first) is sound


@pytest.mark.parametrize(("gradient", "sound"), [(1e12, True), (1e14, False)])
def test_a_gradient_overflows_by_the_number_of_pixels(gradient, sound):
    # 3e4 squares of 1e28 are in float32's range; times 1e4 ** 2 they are not.
    assert _is_sound(1.0, gradient=gradient) is sound
