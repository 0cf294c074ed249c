"""Sums with masks against their definitions, and their own gradients."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.losses import sums

SIZE = (4, 5)


def _features(seed=0):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=(1, *SIZE, 3)))


FUNCTIONS = {
    "gram": sums.gram_statistics,
    "moments": sums.moment_statistics,
    "squares": lambda features, mask: sums.masked_sum(
        sums.squared_difference(features, _features(1)), mask
    ),
}


def _expected(name, features, mask):
    """The totals, from flat NumPy arrays [N, 3] and [N, 1]."""
    if name == "squares":
        target = _features(1).numpy().reshape(-1, 3)
        return np.sum(mask * ((features - target) ** 2).mean(-1, keepdims=True))
    products = (mask * features).T @ features
    if name == "gram":
        return products
    return np.vstack([products, (mask * features).sum(0)])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_sums_and_their_gradients_are_as_defined(name, masked):
    features, mask = _features(), toys.mask(*SIZE) if masked else None
    weights = np.ones((20, 1)) if mask is None else mask.numpy().reshape(-1, 1)
    rng = np.random.default_rng(2)

    with tf.GradientTape() as tape:
        tape.watch(features)
        found = FUNCTIONS[name](features, mask)
        # A matrix that is not symmetric, so that both halves are seen.
        factors = rng.normal(size=found.total.shape)
        value = tf.reduce_sum(factors * found.total)
    gradient = tape.gradient(value, features)
    flat = features.numpy().reshape(-1, 3)
    np.testing.assert_allclose(
        found.total, _expected(name, flat, weights), rtol=1e-12
    )
    np.testing.assert_allclose(found.mass, weights.sum(), rtol=1e-12)
    change = 1e-6 * rng.normal(size=flat.shape)
    ahead, behind = (
        np.sum(factors * _expected(name, flat + sign * change, weights))
        for sign in (1, -1)
    )
    np.testing.assert_allclose(
        np.sum(gradient.numpy().reshape(-1, 3) * change),
        (ahead - behind) / 2,
        rtol=1e-6,
    )


def test_masks_are_multiplied_where_both_are_there():
    one, two = toys.mask(*SIZE, seed=1), toys.mask(*SIZE, seed=2)
    assert sums.multiply_masks(None, None) is None
    np.testing.assert_array_equal(sums.multiply_masks(one, None), one)
    np.testing.assert_array_equal(sums.multiply_masks(None, two), two)
    np.testing.assert_array_equal(sums.multiply_masks(one, two), one * two)


def test_nothing_counts_where_the_mass_is_zero():
    nothing = sums.Statistics(tf.constant(3.0), tf.constant(0.0))
    assert float(sums.divide_by_mass(nothing)) == 0.0


def test_half_precision_is_widened_and_double_is_kept():
    for dtype, wide in (
        ("bfloat16", "float32"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
    ):
        assert sums.widen(tf.zeros([], dtype)).dtype == wide


def test_features_of_half_precision_differ_by_float32():
    # 1.0 and its neighbor in bfloat16: their difference is 2^-7, its square
    # would be rounded, and so would the sum of 64 squares.
    ones = tf.ones((1, 1, 1, 64), tf.bfloat16)
    near = ones + tf.constant(2.0**-7, tf.bfloat16)
    found = sums.squared_difference(near, ones)
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, np.full((1, 1, 1, 1), 2.0**-14))
