"""The loss of nearest neighbors against its definition, in float64."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.losses import neighbors

HEIGHT, WIDTH, CHANNELS = 7, 6, 5


def _features(seed, shape=(1, HEIGHT, WIDTH, CHANNELS)):
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=shape) + 0.5, 0)


def _units(rows, mean):
    centered = rows - mean
    return centered / np.linalg.norm(centered, axis=1, keepdims=True)


def _distances(features, style):
    """1 less the largest cosine with a feature of the style, [N]."""
    rows, bank = (
        each.reshape(-1, each.shape[-1]) for each in (features, style)
    )
    mean = bank.mean(axis=0)
    cosines = _units(rows, mean) @ _units(bank, mean).T
    return 1 - cosines.max(axis=1)


def _loss(style, mask=None, **options):
    target = neighbors.NeighborsLoss.measure(tf.constant(style), mask)
    return neighbors.NeighborsLoss("layer", target, **options)


def _compute(loss, features, mask=None):
    statistics = loss.statistics(tf.constant(features), mask, **loss.maps)
    return float(loss.distance(statistics))


@pytest.mark.parametrize("block", [4, 14, 1024])
def test_distance_is_one_less_the_largest_cosine(monkeypatch, block):
    monkeypatch.setattr(neighbors, "BLOCK", block)  # 42 positions
    features, style = _features(1), _features(2, (1, 5, 9, CHANNELS))
    expected = _distances(features, style).mean()
    assert 0.05 < expected < 1
    actual = _compute(_loss(style), features)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_masks_say_how_much_each_position_counts():
    features, style = _features(1), _features(2)
    one, other = (toys.mask(HEIGHT, WIDTH, seed=seed) for seed in (5, 6))
    weights = (one * other).numpy().ravel()
    expected = (weights * _distances(features, style)).sum() / weights.sum()
    actual = _compute(_loss(style, region=other), features, one)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    assert _compute(_loss(style), features, tf.zeros_like(one)) == 0


def test_what_is_transparent_in_a_style_is_nobodys_neighbor():
    style, features = _features(2), _features(1)
    mask = np.ones((1, HEIGHT, WIDTH, 1))
    mask[:, :3] = 0
    seen = _compute(_loss(style, tf.constant(mask)), features)
    rest = _distances(features, style[:, 3:]).mean()
    np.testing.assert_allclose(seen, rest, rtol=1e-12)


def test_a_projection_compares_what_it_projects_to():
    matrix = np.random.default_rng(9).normal(size=(CHANNELS, 11))
    features, style = _features(1), _features(2)
    loss = _loss(style, projection=matrix)
    expected = _distances(features @ matrix, style @ matrix).mean()
    np.testing.assert_allclose(_compute(loss, features), expected, rtol=1e-9)


def test_gradient_equals_finite_differences():
    features = _features(1)
    # A feature at the mean has no direction: one is near it.
    style = _features(2)
    features[0, 0, 0] = style.reshape(-1, CHANNELS).mean(axis=0) + 1e-5
    loss = _loss(style)
    values = tf.constant(features)
    mask = toys.mask(HEIGHT, WIDTH)
    _, gradient = toys.differentiate(
        lambda each: loss.distance(loss.statistics(each, mask)), values
    )
    gradient = gradient.numpy()
    largest = np.abs(gradient).max()
    assert np.isfinite(largest)
    for index in np.ndindex(gradient.shape):
        delta = np.zeros_like(features)
        delta[index] = 1e-8
        up, down = (
            _compute(loss, features + sign * delta, mask) for sign in (1, -1)
        )
        assert abs((up - down) / 2e-8 - gradient[index]) < 1e-6 * largest


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_style_without_differences_has_no_directions(value):
    flat = np.full((1, 4, 4, CHANNELS), value)
    loss = _loss(flat)
    assert _compute(loss, flat) == 0
    # From a unit to the one feature, which has no length.
    assert _compute(loss, flat + _features(1)[:, :4, :4]) == 0.5


def test_a_large_style_is_thinned_to_a_sample_that_is_always_the_same(
    monkeypatch,
):
    monkeypatch.setattr(neighbors, "SAMPLE", 20)
    chosen = neighbors.choose_positions(HEIGHT, WIDTH)
    assert len(set(chosen)) == 20
    assert list(chosen) == sorted(chosen)
    again = neighbors.choose_positions(HEIGHT, WIDTH)
    np.testing.assert_array_equal(chosen, again)
    style = _features(2)
    rows = style.reshape(-1, CHANNELS)[chosen]
    target = neighbors.NeighborsLoss.measure(tf.constant(style))
    np.testing.assert_array_equal(target[1:], rows)
    np.testing.assert_allclose(target[0], rows.mean(axis=0), rtol=1e-12)


def test_positions_are_chosen_in_proportion_to_how_much_they_count(monkeypatch):
    monkeypatch.setattr(neighbors, "SAMPLE", 300)
    mask = np.zeros((1, 40, 50, 1))
    mask[:, :20] = 0.9
    mask[:, 20:30] = 0.1
    chosen = neighbors.choose_positions(40, 50, tf.constant(mask))
    rows = chosen // 50
    assert len(set(chosen)) == 300
    assert rows.max() < 30
    assert 5 < (rows >= 20).sum() < 40


def test_styles_blend_by_their_shares_of_the_sample(monkeypatch):
    targets = [
        neighbors.NeighborsLoss.measure(tf.constant(_features(seed)))
        for seed in (1, 2)
    ]
    alone = neighbors.NeighborsLoss.blend(targets[:1], [1.0])
    np.testing.assert_array_equal(alone, targets[0])
    both = neighbors.NeighborsLoss.blend(targets, [0.25, 0.75])
    mean = 0.25 * targets[0][0] + 0.75 * targets[1][0]
    np.testing.assert_allclose(both[0], mean, rtol=1e-12)
    assert len(both) == 1 + 2 * HEIGHT * WIDTH  # all fit
    monkeypatch.setattr(neighbors, "SAMPLE", 40)
    both = neighbors.NeighborsLoss.blend(targets, [0.25, 0.75]).numpy()
    assert len(both) == 1 + 10 + 30
    for part, target in ((both[1:11], targets[0]), (both[11:], targets[1])):
        rows = {tuple(row) for row in target.numpy()[1:]}
        assert len({tuple(row) for row in part} & rows) == len(part)


def test_the_smallest_share_is_one_feature(monkeypatch):
    targets = [
        neighbors.NeighborsLoss.measure(tf.constant(_features(seed)))
        for seed in (1, 2)
    ]
    monkeypatch.setattr(neighbors, "SAMPLE", 40)
    both = neighbors.NeighborsLoss.blend(targets, [0.001, 0.999])
    np.testing.assert_array_equal(both[1], targets[0][1])
    assert len(both) == 1 + 1 + 40


def test_half_precision_chooses_and_single_measures():
    features, style = (_features(seed).astype("f4") for seed in (1, 2))
    loss = _loss(style)
    half = tf.cast(tf.constant(features), tf.bfloat16)
    total = loss.statistics(half).total
    assert total.dtype == tf.float32
    expected = loss.statistics(tf.cast(half, tf.float32)).total
    np.testing.assert_allclose(total, expected, rtol=2e-3)
