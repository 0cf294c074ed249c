"""The priors of single pixels against their source's program."""

import numpy as np
import numpy_across
import pytest
import tensorflow as tf
import toys

from nst_tf.losses import priors


@pytest.mark.parametrize("name", priors.POWERS)
def test_value_and_gradient_are_the_sources(name):
    image = tf.constant(toys.image(6, 5, 1, "float64")[None])
    loss = priors.PriorLoss(name)
    value, gradient = toys.differentiate(
        lambda each: loss.distance(loss.statistics(each)), image
    )
    power = {"l2_prior": 2, "range_prior": 6}[name]
    expected, slope = numpy_across.pixel_norm(255 * image.numpy(), power)
    count = image.numpy().size
    np.testing.assert_allclose(value, expected / count, rtol=1e-12)
    np.testing.assert_allclose(gradient, 255 * slope / count, rtol=1e-10)


def test_black_and_white_count_one_and_gray_nothing():
    for name in priors.POWERS:
        loss = priors.PriorLoss(name)
        for value, expected in ((0.0, 1), (1.0, 1), (0.5, 0)):
            flat = tf.fill((1, 4, 3, 3), value)
            assert float(loss.distance(loss.statistics(flat))) == expected
