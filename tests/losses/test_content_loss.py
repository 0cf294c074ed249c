"""Losses against definitions written out again."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.backend import device
from nst_tf.losses import (
    content_loss,
    protocol,
    style_losses,
    sums,
    total_variation,
)


def _features(seed=0, shape=(1, 5, 4, 3)):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("masked", [False, True])
def test_gram_matrix_equals_nested_loops(masked):
    features = _features()
    mask = toys.mask(5, 4).numpy() if masked else np.ones((1, 5, 4, 1))
    expected = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            for row in range(5):
                for column in range(4):
                    f = features[0, row, column]
                    expected[i, j] += mask[0, row, column, 0] * f[i] * f[j]
    expected /= mask.sum()
    actual = sums.gram_matrix(
        tf.constant(features), tf.constant(mask) if masked else None
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_gram_distance_is_four_times_the_papers_over_the_targets_norm():
    features, style = _features(0), _features(1)
    n, m = 3, 5 * 4
    flat, flat_style = features.reshape(-1, 3), style.reshape(-1, 3)
    g, a = flat.T @ flat, flat_style.T @ flat_style
    paper = ((g - a) ** 2).sum() / (4 * n**2 * m**2)
    loss = style_losses.GramLoss("layer", sums.gram_matrix(tf.constant(style)))
    actual = loss.distance(loss.statistics(tf.constant(features)))
    mean_square_of_target = ((a / m) ** 2).mean()
    np.testing.assert_allclose(
        actual, 4 * paper / mean_square_of_target, rtol=1e-12
    )


def test_content_distance_is_relative():
    features, target = _features(0), _features(1)
    loss = content_loss.ContentLoss("layer", tf.constant(target))
    actual = loss.distance(
        loss.statistics(tf.constant(features), None, **loss.maps)
    )
    expected = ((features - target) ** 2).sum() / (target**2).sum()
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("wide", [2, 3, 7])
def test_a_projected_distance_is_that_of_the_projected_features(wide):
    features, target = _features(0), _features(1)
    projection = np.random.default_rng(2).normal(size=(3, wide))
    narrow = [tf.constant(values) for values in (features, target)]
    projected = [tf.constant(values @ projection) for values in narrow]
    distances = []
    for (image, style), options in (
        (narrow, {"projection": projection}),
        (projected, {}),
    ):
        content = content_loss.ContentLoss("layer", style, **options)
        gram = style_losses.GramLoss(
            "layer", sums.gram_matrix(style), **options
        )
        distances.append(
            [
                loss.distance(loss.statistics(image, None, **loss.maps))
                for loss in (content, gram)
            ]
        )
    np.testing.assert_allclose(*distances, rtol=1e-10)


def test_total_variation_of_a_checkerboard_is_one():
    # 8 x 8: 7 * 8 pairs down, 8 * 7 to the right, each with a step of 1.
    loss = total_variation.TotalVariationLoss()
    statistics = loss.statistics(toys.checkerboard(8, 8))
    assert float(statistics.total) == pytest.approx(112, rel=1e-6)
    assert float(statistics.mass) == 112
    assert float(loss.distance(statistics)) == pytest.approx(1, rel=1e-6)


def test_total_variation_of_a_ramp_counts_one_direction():
    # Rows of 0, 0.1, 0.2, 0.3: 2 * 3 pairs of 0.01 among 6 + 4 pairs.
    ramp = tf.constant(np.tile(np.arange(4) / 10, (2, 1))[None, ..., None])
    loss = total_variation.TotalVariationLoss()
    actual = loss.distance(loss.statistics(ramp))
    assert float(actual) == pytest.approx(6 * 0.01 / 10)


def test_statistics_of_half_precision_are_summed_in_single():
    # 90000 positions of 1: float16 would overflow, bfloat16 stop at 256.
    for dtype in ("float16", "bfloat16"):
        ones = tf.ones((1, 300, 300, 2), dtype)
        statistics = sums.gram_statistics(ones)
        assert statistics.total.dtype == tf.float32
        np.testing.assert_array_equal(statistics.total, np.full((2, 2), 9e4))


def test_a_mask_of_another_size_is_refused_by_sizes():
    with pytest.raises(ValueError, match=r"mask is 3 x 2 .* map is 4 x 5"):
        sums.gram_matrix(tf.constant(_features()), toys.mask(2, 3))


def _differentiate(features, mask=None):
    """The Gram matrix of features, and the gradient of a sum of it."""
    with tf.GradientTape() as tape:
        tape.watch(features)
        matrix = sums.gram_matrix(features, mask)
        total = tf.reduce_sum(tf.sin(3 * matrix))
    return matrix, tape.gradient(total, features)


def test_where_bfloat16_is_emulated_gram_matrices_are_of_float32(monkeypatch):
    monkeypatch.setattr(device, "emulates_bfloat16", lambda: True)
    features = tf.cast(toys.image(40, 50)[None], tf.bfloat16)
    matrix, slope = _differentiate(features)
    exact, exact_slope = _differentiate(tf.cast(features, tf.float32))
    np.testing.assert_array_equal(matrix, exact)
    np.testing.assert_array_equal(slope, tf.cast(exact_slope, tf.bfloat16))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("size", "tolerance"), [((5, 7), 5e-3), ((90, 90), 8e-4)]
)
def test_gram_matrices_of_bfloat16_are_hardly_rounded(size, tolerance, masked):
    # More positions are summed in float32 over more blocks: their rounding,
    # of 2^-9 each, averages out.
    values = toys.image(*size, 3, "f4")[None]
    features = tf.cast(np.concatenate([values, 1 - values], -1), tf.bfloat16)
    mask = toys.mask(*size) if masked else None
    compiled = tf.function(_differentiate, autograph=False)
    matrix, slope = compiled(features, mask)
    assert matrix.dtype == tf.float32 and slope.dtype == tf.bfloat16
    expected = _differentiate(tf.cast(features, tf.float64), mask)
    for found, exact, limit in zip(
        (matrix, slope), expected, (tolerance, 1e-2), strict=True
    ):
        difference = tf.cast(found, tf.float64) - exact
        assert tf.norm(difference) < limit * tf.norm(exact)


@pytest.mark.parametrize("positions", [1, 8, 10, 2**16])
def test_a_region_counts_by_its_mask_in_parts_of_any_size(
    monkeypatch, positions
):
    monkeypatch.setattr(content_loss, "POSITIONS", positions)
    features, target = _features(0), _features(1)
    mask = toys.mask(5, 4).numpy()
    loss = content_loss.ContentLoss(
        "layer", tf.constant(target), region=tf.constant(mask)
    )
    actual = loss.distance(
        loss.statistics(tf.constant(features), None, **loss.maps)
    )
    difference = (mask * (features - target) ** 2).sum()
    np.testing.assert_allclose(
        actual, difference / (mask * target**2).sum(), rtol=1e-12
    )


@pytest.mark.parametrize("wide", [None, 3, 7])
def test_a_divisor_divides_the_mean_over_what_is_compared(wide):
    features, target = _features(0), _features(1)
    projection = wide and np.random.default_rng(2).normal(size=(3, wide))
    loss = content_loss.ContentLoss(
        "layer", tf.constant(target), projection=projection, divisor=5.0
    )
    actual = loss.distance(
        loss.statistics(tf.constant(features), None, **loss.maps)
    )
    difference = features - target
    if wide:
        difference = difference @ projection
    np.testing.assert_allclose(actual, np.mean(difference**2) / 5, rtol=1e-10)


def test_a_picture_as_target_needs_its_square():
    recomputed = protocol.Recomputed(tf.zeros((1, 4, 4, 3)))
    words = "the target of content/layer is a picture, which needs square"
    with pytest.raises(ValueError, match=words):
        content_loss.ContentLoss("layer", recomputed)
    measured = content_loss.make_square_measure()(
        tf.constant(_features()), toys.mask(5, 4)
    )
    loss = content_loss.ContentLoss(
        "layer", recomputed, square=sums.divide_by_mass(measured)
    )
    mask = toys.mask(5, 4).numpy()
    expected = (mask * _features() ** 2).sum() / 3 / mask.sum()
    np.testing.assert_allclose(
        loss.distance(sums.Statistics(tf.constant(expected), 1.0)), 1.0
    )
