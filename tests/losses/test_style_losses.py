"""Style losses against definitions written out again, in float64."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.losses import style_kinds, style_losses, wasserstein

HEIGHT, WIDTH, CHANNELS = 7, 6, 4
KINDS = {name: kind.load() for name, kind in style_kinds.STYLE_LOSSES.items()}
every_kind = pytest.mark.parametrize("name", KINDS)
# Targets of neighbors are samples, which are put together and not added up.
every_blended_kind = pytest.mark.parametrize(
    "name", [name for name in KINDS if name != "neighbors"]
)


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


def _gram(f, w, a, v, floor):
    (mean, s), (target, t) = _moments(f, w), _moments(a, v)
    # The mean product is the covariance, and the product of the means.
    g = s + np.outer(mean, mean) - t - np.outer(target, target)
    return np.sum(g**2)


def _deviations(f, w, a, v, floor):
    (m, s), (mean, covariance) = _moments(f, w), _moments(a, v)
    variance = np.diag(covariance)
    floor = 1e-4 * variance.mean() if floor is None else floor
    difference = np.sqrt(np.diag(s) + floor) - np.sqrt(variance + floor)
    return np.sum((m - mean) ** 2) + np.sum(difference**2)


def _gaussians(f, w, a, v, floor):
    (m, s), (mean, target) = _moments(f, w), _moments(a, v)
    floor = 1e-2 * np.diag(target).mean() if floor is None else floor
    s, target = (x + floor * np.eye(len(x)) for x in (s, target))
    # The eigenvalues of S S_t are those of R S R, with R the root of S_t.
    roots = np.sqrt(np.linalg.eigvals(s @ target).real)
    return np.sum((m - mean) ** 2) + np.trace(s + target) - 2 * roots.sum()


DEFINITIONS = {"gram": _gram, "moments": _deviations, "wasserstein": _gaussians}


def _loss(name, style, mask=None, **options):
    target = KINDS[name].measure(
        tf.constant(style), mask, options.get("projection")
    )
    return KINDS[name]("layer", target, **options)


def _distance(loss, features, mask=None):
    statistics = loss.statistics(tf.constant(features), mask, **loss.maps)
    return loss.distance(statistics)


@pytest.mark.parametrize("options", [{}, {"divisor": 3.0}, {"floor": 0.3}])
@pytest.mark.parametrize(("masked", "within"), [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_distance_is_its_definition_over_that_of_zeros(
    name, masked, within, options
):
    features, style = _features(0), _features(1)
    mask, style_mask, region = (
        toys.mask(HEIGHT, WIDTH, seed) if used else None
        for seed, used in ((2, masked), (3, masked), (4, within))
    )
    loss = _loss(name, style, style_mask, region=region, weight=2.0, **options)
    ones = np.ones((1, HEIGHT, WIDTH, 1))
    weights = ones * (1 if mask is None else mask.numpy())
    weights *= 1 if region is None else region.numpy()
    target = ones if style_mask is None else style_mask.numpy()
    floor = options.get("floor")
    define = DEFINITIONS[name]
    expected = define(features, weights, style, target, floor)
    expected /= options.get("divisor") or define(
        0 * style, target, style, target, floor
    )
    actual = _distance(loss, features, mask)
    # The eigenvalues of a product that is not symmetric have fewer digits.
    np.testing.assert_allclose(actual, expected, rtol=1e-7)
    assert (loss.name, loss.layer, loss.weight) == ("style/layer", "layer", 2)


@pytest.mark.parametrize("most", [3, CHANNELS, 32])
def test_a_sliced_distance_is_that_of_sorted_values(monkeypatch, most):
    monkeypatch.setattr(wasserstein, "DIRECTIONS", most)
    features, style = _features(0), _features(1)
    directions = wasserstein._directions(CHANNELS, None)
    count = min(most, CHANNELS)
    np.testing.assert_allclose(
        directions.T @ directions, np.eye(count), atol=1e-12
    )
    values, targets = (
        np.sort(x.reshape(-1, CHANNELS) @ directions, axis=0)
        for x in (features, style)
    )
    squares = np.mean((values - targets) ** 2)
    for divisor in (None, 3.0):
        loss = _loss("sliced_wasserstein", style, divisor=divisor)
        scale = divisor or np.mean(targets**2)
        np.testing.assert_allclose(
            _distance(loss, features), squares / scale, rtol=1e-9
        )


def test_a_sliced_distance_compares_maps_of_unlike_sizes():
    style = _features(1, (1, 40, 50, CHANNELS))
    loss = _loss("sliced_wasserstein", style)
    # Each position twice is the same distribution; half of them nearly is.
    twice = np.concatenate([style, style], axis=1)
    assert float(_distance(loss, twice)) < 1e-4
    assert float(_distance(loss, style[:, ::2])) < 0.02
    assert float(_distance(loss, 1.5 * style)) > 0.1


@pytest.mark.parametrize("kept", [1, 2, 7, HEIGHT * WIDTH, 4096])
def test_a_sliced_target_has_quantiles(monkeypatch, kept):
    monkeypatch.setattr(wasserstein, "QUANTILES", kept)
    rows = HEIGHT * WIDTH
    ramp = np.arange(rows).reshape(1, HEIGHT, WIDTH, 1) + 0.5
    loss = _loss("sliced_wasserstein", ramp)
    count = min(kept, rows)
    sign = wasserstein._directions(1, None)[0, 0]
    expected = np.sort(sign * rows * (np.arange(count) + 0.5) / count)
    np.testing.assert_allclose(loss._target[:, 0], expected)
    flat = _distance(loss, np.full((1, 1, 1, 1), rows / 2))
    median = np.median(expected) - sign * rows / 2
    np.testing.assert_allclose(flat, median**2 / np.mean(expected**2))


def test_a_sliced_distance_counts_positions_by_the_mask():
    features, style = _features(0), _features(1)
    half = np.zeros((1, HEIGHT, WIDTH, 1))
    half[:, :, :3] = 0.5
    half = tf.constant(half)
    expected = _distance(_loss("sliced_wasserstein", style), features[:, :, :3])
    for region, mask in ((None, half), (half, None)):
        loss = _loss("sliced_wasserstein", style, region=region)
        actual = _distance(loss, features, mask)
        np.testing.assert_allclose(actual, expected, rtol=1e-9)
    part, masked = (
        KINDS["sliced_wasserstein"].measure(tf.constant(features[:, :, :n]), m)
        for n, m in ((3, None), (WIDTH, half))
    )
    inside = np.arange(1, len(masked) - 1)  # ends have nothing beyond them
    levels = (np.arange(len(part)) + 0.5) / len(part)
    for column, other in zip(part.numpy().T, masked.numpy().T, strict=True):
        wanted = np.interp((inside + 0.5) / len(masked), levels, column)
        reach = np.ptp(column) / 4
        np.testing.assert_allclose(other[inside], wanted, atol=reach)


@every_kind
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("projected", [False, True])
def test_the_gradient_equals_finite_differences(name, masked, projected):
    rng = np.random.default_rng(5)
    projection = rng.normal(size=(CHANNELS, 9)) if projected else None
    loss = _loss(name, _features(1), projection=projection)
    mask = toys.mask(HEIGHT, WIDTH) if masked else None
    features = tf.constant(_features(0) + 0.1 * rng.normal(size=(1, 7, 6, 4)))
    _, gradient = toys.differentiate(
        lambda values: _distance(loss, values, mask), features
    )
    ahead = rng.normal(size=features.shape)
    up, down = (
        float(_distance(loss, features + sign * 1e-6 * ahead, mask))
        for sign in (1, -1)
    )
    slope = (up - down) / 2e-6
    np.testing.assert_allclose(np.sum(gradient * ahead), slope, rtol=1e-5)


@every_kind
@pytest.mark.parametrize("wide", [3, 4, 9])
def test_a_narrow_network_has_the_distance_of_the_wide_one(name, wide):
    if name == "across":
        pytest.skip("projects two layers apart, as test_derived has it")
    projection = np.random.default_rng(2).normal(size=(CHANNELS, wide))
    features, style = _features(0), _features(1)
    expected = _distance(_loss(name, style @ projection), features @ projection)
    actual = _distance(_loss(name, style, projection=projection), features)
    # The floor of the variances is a share of their mean, over as many.
    tolerance = 0.05 if name == "wasserstein" and wide > CHANNELS else 1e-9
    np.testing.assert_allclose(actual, expected, rtol=tolerance)


@every_blended_kind
def test_targets_blend_by_shares(name):
    kind = KINDS[name]
    styles = [_features(1), np.tile(_features(2), (1, 2, 1, 1))]
    blend = kind.blend(
        [kind.measure(tf.constant(x)) for x in styles], [0.3, 0.7]
    )
    both = np.concatenate(styles, axis=1)  # which has 1/3 of the one
    mask = np.ones((1, 3 * HEIGHT, WIDTH, 1))
    mask[:, :HEIGHT] = 0.6 / 0.7  # 0.3 to 0.7
    loss = kind("layer", blend)
    apart = min(float(_distance(loss, style)) for style in styles)
    # Moments of the union are the mean of moments; quantiles are not.
    bound = 1e-12 if kind.additive else apart
    assert abs(float(_distance(loss, both, tf.constant(mask)))) < bound
    assert apart > 1e-3


def test_quantiles_of_several_styles_blend_at_the_same_levels():
    # Of 4 and of 8 values: the level of the i-th is (i + 1/2) / 4 or / 8.
    few = tf.constant((np.arange(4) + 0.5)[:, None] / 4)
    many = tf.constant(np.zeros((8, 1)))
    blend = wasserstein.SlicedWassersteinLoss.blend([few, many], [0.25, 0.75])
    levels = np.clip((np.arange(8) + 0.5) / 8, few[0], few[-1])
    np.testing.assert_allclose(blend[:, 0], 0.25 * levels, rtol=1e-12)


@pytest.mark.parametrize("floor", [0.0, 1e-12, 4.0])
def test_the_trace_of_a_root_and_its_gradient(floor):
    factor = np.random.default_rng(0).normal(size=(6, 6))
    matrix = tf.constant(factor @ factor.T)
    trace, gradient = toys.differentiate(
        lambda each: wasserstein.trace_of_root(each, floor), matrix
    )
    values, vectors = np.linalg.eigh(matrix)
    roots = np.sqrt(np.maximum(values, floor))
    np.testing.assert_allclose(trace, roots.sum(), rtol=1e-12)
    np.testing.assert_allclose(
        gradient, 0.5 * (vectors / roots) @ vectors.T, 1e-9
    )


def test_equal_eigenvalues_give_a_finite_gradient():
    _, gradient = toys.differentiate(
        lambda matrix: wasserstein.trace_of_root(matrix, 1e-12),
        tf.eye(5, dtype=tf.float64),
    )
    np.testing.assert_allclose(gradient, 0.5 * np.eye(5))


@pytest.mark.parametrize("most", [CHANNELS - 1, CHANNELS])
def test_few_channels_are_decomposed_exactly(monkeypatch, most):
    monkeypatch.setattr(wasserstein, "EXACT_CHANNELS", most)
    features, style = (_features(seed).astype("f4") for seed in (0, 1))
    loss = _loss("wasserstein", style)
    exact = tf.float64 if most >= CHANNELS else tf.float32
    assert loss._root.dtype == loss._dtype == exact
    actual = _distance(loss, features)
    assert actual.dtype == tf.float32
    expected = _distance(_loss("wasserstein", _features(1)), _features(0))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@every_kind
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_style_of_one_value_has_a_finite_distance(name, value, dtype):
    flat = np.full((1, HEIGHT, WIDTH, CHANNELS), value, dtype)
    loss = _loss(name, flat)
    features = tf.constant(_features(0).astype(dtype))
    distance, gradient = toys.differentiate(
        lambda values: _distance(loss, values), features
    )
    assert np.isfinite(distance) and np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("value", "least"), [(0.0, 1e-12), (0.3, 1e-4 * 0.3**2)]
)
def test_the_variance_of_one_value_is_what_rounding_leaves(value, least):
    flat = tf.fill((1, 3, 3, 2), tf.constant(value, tf.float64))
    target = style_losses.MomentsLoss.measure(flat)
    found = style_losses.find_mean_variance(target, tf.zeros(2, tf.float64))
    np.testing.assert_allclose(found, least, rtol=1e-9)
    # Each channel counts.
    target = tf.constant([[4.0, 0], [0, 8.0], [2.0, 3.0]], tf.float64)
    found = style_losses.find_mean_variance(target, tf.zeros(2, tf.float64))
    np.testing.assert_allclose(found, style_losses.ROUNDING * 6.0)
    # Negative variances are rounding too.
    variances = tf.constant([-5.0, 3.0], tf.float64)
    assert style_losses.find_mean_variance(target, variances) == 1.5


@every_kind
def test_what_is_no_number_has_no_distance(name):
    features = _features(0)
    features[0, 1, 2] = np.nan
    loss, spoiled = _loss(name, _features(1)), tf.constant(features)
    distance, gradient = toys.differentiate(
        lambda values: _distance(loss, values), spoiled
    )
    assert not np.isfinite(float(distance)) or np.isnan(gradient).any()


@every_kind
def test_a_distance_is_not_negative_where_rounding_would_have_it(name):
    # Fewer positions than channels: most eigenvalues are rounding.
    rng = np.random.default_rng(0)
    style = np.maximum(100 * rng.normal(size=(1, 3, 4, 64)), 0).astype("f4")
    loss = _loss(name, style)
    for scale in (1.0, 1.0001):
        assert float(_distance(loss, scale * style)) >= 0
