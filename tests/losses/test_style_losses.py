"""Style losses against definitions written out again, in float64."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.losses import style_kinds, style_losses
from nst_tf.runs import api

HEIGHT, WIDTH, CHANNELS = 7, 6, 4
every_kind = pytest.mark.parametrize("name", style_kinds.STYLE_LOSSES)


def _features(seed, shape=(1, HEIGHT, WIDTH, CHANNELS)):
    """Features of channels that depend on each other, as after a ReLU."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=shape) @ rng.normal(size=(shape[-1], shape[-1]))
    return np.maximum(mixed + 0.5, 0)


def _moments(features, weights):
    flat = features.reshape(-1, features.shape[-1])
    share = weights.reshape(-1, 1) / weights.sum()
    mean = (share * flat).sum(axis=0)
    centered = flat - mean
    return mean, (share * centered).T @ centered


def gram(f, w, a, v):
    g, target = (
        (x * y).reshape(-1, x.shape[-1]).T
        @ x.reshape(-1, x.shape[-1])
        / y.sum()
        for x, y in ((f, w), (a, v))
    )
    return np.sum((g - target) ** 2)


def moments(f, w, a, v):
    (m, s), (mean, covariance) = _moments(f, w), _moments(a, v)
    variance = np.diag(covariance)
    floor = style_losses.DEVIATION_FLOOR * variance.mean()
    return np.sum((m - mean) ** 2) + np.sum(
        (np.sqrt(np.diag(s) + floor) - np.sqrt(variance + floor)) ** 2
    )


def wasserstein(f, w, a, v):
    (m, s), (mean, target) = _moments(f, w), _moments(a, v)
    floor = style_losses.COVARIANCE_FLOOR * np.diag(target).mean()
    s, target = (x + floor * np.eye(len(x)) for x in (s, target))
    # The eigenvalues of S S_t are those of R S R, with R the root of S_t.
    roots = np.sqrt(np.linalg.eigvals(s @ target).real)
    return np.sum((m - mean) ** 2) + np.trace(s + target) - 2 * roots.sum()


DEFINITIONS = {"gram": gram, "moments": moments, "wasserstein": wasserstein}


def _loss(name, style, mask=None, **options):
    kind = style_kinds.STYLE_LOSSES[name].load()
    target = kind.measure(tf.constant(style), mask, options.get("projection"))
    return kind("layer", target, **options)


def _distance(loss, features, mask=None):
    return loss.distance(loss.statistics(features, mask, **loss.maps))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_distance_is_its_definition_over_that_of_zeros(name, masked):
    features, style = _features(0), _features(1)
    masks = [
        toys.mask(HEIGHT, WIDTH, seed) if masked else None for seed in (2, 3)
    ]
    weights = [
        np.ones((1, HEIGHT, WIDTH, 1)) if mask is None else mask.numpy()
        for mask in masks
    ]
    define = DEFINITIONS[name]
    for divisor, scale in (
        (None, define(0 * style, weights[1], style, weights[1])),
        (3.0, 3.0),
    ):
        loss = _loss(name, style, masks[1], divisor=divisor)
        np.testing.assert_allclose(
            _distance(loss, tf.constant(features), masks[0]),
            define(features, weights[0], style, weights[1]) / scale,
            rtol=1e-9,
        )


def test_a_sliced_distance_is_that_of_sorted_values():
    features, style = _features(0), _features(1)
    loss = _loss("sliced_wasserstein", style)
    directions = style_losses._directions(CHANNELS, None)
    np.testing.assert_allclose(
        directions.T @ directions, np.eye(CHANNELS), atol=1e-12
    )
    values, targets = (
        np.sort(x.reshape(-1, CHANNELS) @ directions, axis=0)
        for x in (features, style)
    )
    np.testing.assert_allclose(
        _distance(loss, tf.constant(features)),
        np.mean((values - targets) ** 2) / np.mean(targets**2),
        rtol=1e-9,
    )


def test_a_sliced_distance_compares_maps_of_unlike_sizes():
    style = _features(1, (1, 40, 50, CHANNELS))
    loss = _loss("sliced_wasserstein", style)
    # Each position twice is the same distribution; half of them nearly is.
    twice = tf.constant(np.concatenate([style, style], axis=1))
    assert float(_distance(loss, twice)) < 1e-4
    assert float(_distance(loss, tf.constant(style[:, ::2]))) < 0.02
    assert float(_distance(loss, tf.constant(1.5 * style))) > 0.1


def test_a_sliced_distance_counts_positions_by_the_mask():
    features, style = _features(0), _features(1)
    loss = _loss("sliced_wasserstein", style)
    half = np.zeros((1, HEIGHT, WIDTH, 1))
    half[:, :, :3] = 0.5
    np.testing.assert_allclose(
        _distance(loss, tf.constant(features), tf.constant(half)),
        _distance(loss, tf.constant(features[:, :, :3])),
        rtol=1e-9,
    )


@every_kind
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("projected", [False, True])
def test_the_gradient_equals_finite_differences(name, masked, projected):
    rng = np.random.default_rng(5)
    projection = rng.normal(size=(CHANNELS, 9)) if projected else None
    loss = _loss(name, _features(1), projection=projection)
    mask = toys.mask(HEIGHT, WIDTH) if masked else None
    features = tf.constant(_features(0) + 0.1 * rng.normal(size=(1, 7, 6, 4)))
    with tf.GradientTape() as tape:
        tape.watch(features)
        distance = _distance(loss, features, mask)
    gradient = tape.gradient(distance, features).numpy()
    step = 1e-6
    for _ in range(3):
        ahead = rng.normal(size=features.shape)
        up, down = (
            float(_distance(loss, features + sign * step * ahead, mask))
            for sign in (1, -1)
        )
        np.testing.assert_allclose(
            np.sum(gradient * ahead), (up - down) / (2 * step), rtol=1e-5
        )


@every_kind
@pytest.mark.parametrize("wide", [3, 4, 9])
def test_a_narrow_network_has_the_distance_of_the_wide_one(name, wide):
    projection = np.random.default_rng(2).normal(size=(CHANNELS, wide))
    features, style = _features(0), _features(1)
    expected = _distance(
        _loss(name, style @ projection), tf.constant(features @ projection)
    )
    actual = _distance(
        _loss(name, style, projection=projection), tf.constant(features)
    )
    # The floor of the variances is a share of their mean, over as many.
    tolerance = 0.05 if name == "wasserstein" and wide > CHANNELS else 1e-9
    np.testing.assert_allclose(actual, expected, rtol=tolerance)


@every_kind
def test_targets_blend(name):
    kind = style_kinds.STYLE_LOSSES[name].load()
    styles = [_features(seed) for seed in (1, 2)]
    first, second = (kind.measure(tf.constant(style)) for style in styles)
    loss = kind("layer", 0.5 * first + 0.5 * second)
    both = tf.constant(np.concatenate(styles, axis=1))
    apart = [float(_distance(loss, tf.constant(style))) for style in styles]
    # Moments of the union are the mean of moments; quantiles are not.
    bound = 1e-12 if kind.additive else 0.5 * min(apart)
    assert abs(float(_distance(loss, both))) < bound
    assert min(apart) > 1e-3


def test_the_trace_of_a_root_and_its_gradient():
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(6, 6))
    matrix = tf.constant(factor @ factor.T)
    with tf.GradientTape() as tape:
        tape.watch(matrix)
        trace = style_losses.trace_of_root(matrix, 1e-12)
    values, vectors = np.linalg.eigh(matrix)
    np.testing.assert_allclose(trace, np.sqrt(values).sum(), rtol=1e-12)
    np.testing.assert_allclose(
        tape.gradient(trace, matrix),
        0.5 * (vectors / np.sqrt(values)) @ vectors.T,
        rtol=1e-9,
        atol=1e-12,
    )


def test_equal_eigenvalues_give_a_finite_gradient():
    matrix = tf.eye(5, dtype=tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(matrix)
        trace = style_losses.trace_of_root(matrix, 1e-12)
    np.testing.assert_allclose(
        tape.gradient(trace, matrix), 0.5 * np.eye(5), atol=1e-12
    )


@every_kind
def test_every_kind_paints(toy, name):
    content, style = toys.image(40, 50, 0), toys.image(48, 40, 1)
    settings = {
        "extractor": "toy",
        "weights": str(toy),
        "content_layers": toys.CONTENT_LAYER,
        "style_layers": ",".join(toys.STYLE_LAYERS),
        "size": 48,
        "precision": "float32",
        "style_loss": name,
        "steps": (30,),
    }
    steps = list(api.stylize_steps(content, style, **settings))
    assert float(steps[-1].evaluation.loss) < 0.5 * float(
        steps[0].evaluation.loss
    )


@every_kind
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_style_of_one_value_has_a_finite_distance(name, value, dtype):
    flat = np.full((1, HEIGHT, WIDTH, CHANNELS), value, dtype)
    loss = _loss(name, flat)
    features = tf.constant(_features(0).astype(dtype))
    with tf.GradientTape() as tape:
        tape.watch(features)
        distance = _distance(loss, features)
    assert np.isfinite(distance)
    assert np.isfinite(tape.gradient(distance, features)).all()


@every_kind
def test_styles_of_unlike_sizes_blend(name):
    kind = style_kinds.STYLE_LOSSES[name].load()
    style = _features(1)
    other = np.concatenate([style, style], axis=1)  # the same distribution
    blend = kind.blend(
        [kind.measure(tf.constant(x)) for x in (style, other)], [0.3, 0.7]
    )
    loss = kind("layer", blend)
    assert float(_distance(loss, tf.constant(style))) < 0.01


@every_kind
def test_what_is_no_number_has_no_distance(name):
    loss = _loss(name, _features(1))
    features = _features(0)
    features[0, 1, 2] = np.nan
    with tf.GradientTape() as tape:
        spoiled = tf.constant(features)
        tape.watch(spoiled)
        distance = _distance(loss, spoiled)
    gradient = tape.gradient(distance, spoiled)
    assert not np.isfinite(float(distance)) or np.isnan(gradient).any()


@every_kind
def test_a_distance_is_not_negative_where_rounding_would_have_it(name):
    # Fewer positions than channels: most eigenvalues are rounding.
    rng = np.random.default_rng(0)
    style = np.maximum(100 * rng.normal(size=(1, 3, 4, 64)), 0).astype("f4")
    loss = _loss(name, style)
    for scale in (1.0, 1.0001):
        assert float(_distance(loss, tf.constant(scale * style))) >= 0
