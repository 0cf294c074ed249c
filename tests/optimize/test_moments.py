"""Adam's moments that are carried from level to level, against NumPy."""

import numpy as np
import numpy_moments
import numpy_network
import pytest
import tensorflow as tf
import toys

from nst_tf.backend import canvas
from nst_tf.optimize import base, descent, first_order, moments
from nst_tf.plan import pyramid

SIZES = [(5, 7), (7, 10), (13, 9), (5, 7), (3, 4)]
LEVELS = [
    pyramid.Level(*size, steps)
    for size, steps in zip([(5, 7), (7, 10), (10, 14)], (3, 4, 2), strict=True)
]
RATES = {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("hosted", [False, True])
def test_moments_are_resampled_as_pytorch_interpolates(size, hosted):
    image = np.random.default_rng(0).normal(size=(1, 5, 7, 3))
    value = canvas.keep(image) if hosted else tf.Variable(image)
    for resample, kernel in (
        (moments.resample_mean, numpy_moments.cubic),
        (moments.resample_square, numpy_moments.linear),
    ):
        np.testing.assert_allclose(
            resample(value, *size)[0],
            numpy_moments.interpolate(image[0], *size, kernel),
            atol=1e-12,
        )


def test_a_constant_stays_one_and_a_square_never_is_negative():
    image = tf.constant(np.random.default_rng(0).uniform(size=(1, 5, 7, 3)))
    assert float(tf.reduce_min(moments.resample_square(image, 13, 9))) >= 0
    for resample in (moments.resample_mean, moments.resample_square):
        flat = resample(tf.fill((1, 5, 7, 3), 0.3), 13, 9)
        np.testing.assert_allclose(flat, 0.3, rtol=1e-6)


def _bowl(height, width):
    return toys.bowl(toys.image(height, width, 1, "float64")[None])


def _make_adam(image, level):
    made = canvas.make(image, *level.size)
    return first_order.Adam(made, 0.03, **RATES, carry_moments=True)


def _descend(start=None):
    image = tf.constant(toys.image(5, 7, 2, "float64")[None])
    return descent.descend(_bowl, _make_adam, LEVELS, image, start)


def test_levels_go_on_with_the_moments_of_the_level_before():
    adam = numpy_network.Adam(0.03, 0.8, 0.95, 1e-3, form="keras")
    expected = None
    for step in _descend():
        if step.index == 1 and step.level:
            numpy_moments.carry(adam, *step.size)
        if step.index == 1:  # the images are resampled as ever
            expected = step.optimizer._best.numpy()[0]
        target = toys.image(*step.size, 1, "float64")
        expected = np.clip(adam.step(expected, expected - target), 0, 1)
        np.testing.assert_allclose(
            step.optimizer.image[0], expected, atol=1e-12
        )
    assert adam.steps == sum(level.steps for level in LEVELS)


@pytest.mark.parametrize(("level", "steps"), [(0, 2), (0, 3), (1, 1), (1, 4)])
def test_a_run_resumes_across_the_end_of_a_level_to_the_same_bits(level, steps):
    whole = [step.optimizer.image.numpy() for step in _descend()]
    for step in _descend():
        if (step.level, step.index) == (level, steps):
            arrays = {n: v.numpy() for n, v in step.variables.items()}
            break
    rest = [
        step.optimizer.image.numpy()
        for step in _descend(descent.State(level, steps, arrays))
    ]
    assert len(rest) == len(whole) - steps - level * LEVELS[0].steps
    for ours, theirs in zip(rest, whole[-len(rest) :], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_after_an_explosion_the_moments_begin_anew():
    optimizer = _make_adam(tf.constant(toys.image(5, 7)[None]), LEVELS[0])
    step = descent.make_train_step(optimizer, toys.bowl(toys.image(5, 7, 1)))
    for _ in range(3):
        step()
    assert int(optimizer._age) == 3
    optimizer._best_loss.assign(1e-9)
    optimizer._first_loss.assign(1e-9)
    step()
    assert int(optimizer.rescues) == 1
    assert int(optimizer._age) == 0 and not optimizer._mean.numpy().any()
    fine = first_order.Adam(canvas.make(optimizer.result(), 7, 10))
    final = base.FinalState(optimizer)
    final.hand_over(fine)  # which carries none
    assert int(fine.rescues) == 1
    assert not final._kept  # large variables are freed
