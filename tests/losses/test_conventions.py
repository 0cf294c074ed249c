"""Conventions against the sources' formulas, written out in float64."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.images import image_io, sizes
from nst_tf.losses import content_loss, conventions, style_losses, sums
from nst_tf.transfer import targets

CONTENT, STYLE = (21, 27), (34, 18)  # (height, width)
FIRST = {"block1_conv1": 1.0}


def _flat(features):
    """[1, h, w, C] -> [C, h * w], as the sources write a layer."""
    return features.reshape(-1, features.shape[-1]).T


# Each: (features F, P or A of the target, pixels of the generated image).


def half_of_the_sum(f, p, _):
    return 0.5 * np.sum((f - p) ** 2)


def the_sum(f, p, _):
    return np.sum((f - p) ** 2)


def the_mean(f, p, _):
    return np.sum((f - p) ** 2) / f.size


def relative(f, p, _):
    return np.sum((f - p) ** 2) / np.sum(p**2)


def relative_grams(f, a, _):
    g, target = f @ f.T / f.shape[1], a @ a.T / a.shape[1]
    return np.sum((g - target) ** 2) / np.sum(target**2)


def equation_4(f, a, _):
    n, m = f.shape
    return np.sum((f @ f.T - a @ a.T) ** 2) / (4 * n**2 * m**2)


def mean_of_grams_over_positions(f, a, _):
    n = f.shape[0]
    g, target = f @ f.T / f.shape[1], a @ a.T / a.shape[1]
    return np.sum((g - target) ** 2) / n**2


def mean_of_grams_over_elements(f, a, _):
    n = f.shape[0]
    g, target = f @ f.T / f.size, a @ a.T / a.size
    return np.sum((g - target) ** 2) / n**2


def keras_example(f, a, pixels):
    return np.sum((f @ f.T - a @ a.T) ** 2) / (4 * 3**2 * pixels**2)


def mean_over_the_map(f, a, _):
    depth, positions = f.shape
    mean = np.sum((f @ f.T - a @ a.T) ** 2) / depth**2
    return mean / (depth * positions)


def half_of_the_mean(f, p, _):
    return 0.5 * np.mean((f - p) ** 2)


def mean_of_summed_grams(f, a, _):
    return np.mean((f @ f.T - a @ a.T) ** 2)


def bures(f, a, _):
    n = f.shape[0]
    floor = 1e-4 * (255 * 0.226) ** 2
    (m, s), (mean, target) = (
        (x.mean(axis=1), np.cov(x, bias=True) + floor * np.eye(n))
        for x in (f, a)
    )
    roots = np.sqrt(np.linalg.eigvals(s @ target).real)
    trace = np.trace(s + target) - 2 * roots.sum()
    return (np.sum((m - mean) ** 2) + trace) / n


def mean_square(x):
    down, right = x[1:] - x[:-1], x[:, 1:] - x[:, :-1]
    pairs = down.size + right.size
    return (np.sum(down**2) + np.sum(right**2)) / pairs


def absolute(x):
    return np.sum(np.abs(x[1:] - x[:-1])) + np.sum(np.abs(x[:, 1:] - x[:, :-1]))


def half_of_inner_squares(x):
    down, right = (x[1:] - x[:-1])[:, :-1], (x[:, 1:] - x[:, :-1])[:-1]
    return 0.5 * (np.sum(down**2) + np.sum(right**2))


def sum_of_squares(x):
    down, right = x[1:] - x[:-1], x[:, 1:] - x[:, :-1]
    return np.sum(down**2) + np.sum(right**2)


def nine_point(x):
    e = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge")
    right, down = e[1:-1, 2:] - x, e[2:, 1:-1] - x
    falling, rising = e[1:, 1:] - e[:-1, :-1], e[1:, :-1] - e[:-1, 1:]
    sides = np.mean(right**2) / 3 + np.mean(down**2) / 3
    return 2 * (sides + np.mean(falling**2) / 12 + np.mean(rising**2) / 12)


def power(x):
    a = (x[:-1, :-1] - x[1:, :-1]) ** 2
    b = (x[:-1, :-1] - x[:-1, 1:]) ** 2
    return np.sum((a + b) ** 1.25)


SOURCES = {
    "relative": (relative, relative_grams, mean_square),
    "gatys2016": (half_of_the_sum, equation_4, mean_square),
    "gatys2016_code": (the_mean, mean_of_grams_over_positions, mean_square),
    "neural_style": (
        the_mean,
        mean_of_grams_over_elements,
        half_of_inner_squares,
    ),
    "neural_style_pt": (the_mean, mean_of_grams_over_elements, absolute),
    "tensorflow": (the_mean, mean_of_grams_over_positions, absolute),
    "keras": (the_sum, keras_example, power),
    "pytorch_course": (the_mean, mean_over_the_map, sum_of_squares),
    "towards_data_science": (
        half_of_the_mean,
        mean_of_summed_grams,
        mean_square,
    ),
    "crowson_w2": (the_mean, bures, nine_point),
}
every_convention = pytest.mark.parametrize("name", SOURCES)


def test_every_convention_has_a_source():
    assert set(SOURCES) == set(conventions.CONVENTIONS)


def _problem(monkeypatch, name):
    """Losses by name, the picture, and maps of picture, content and style."""
    network = toys.extractor(monkeypatch, dtype="float64", pooling="average")
    content, style = (
        toys.image(*size, seed, "float64")
        for seed, size in enumerate((CONTENT, STYLE))
    )
    convention = conventions.CONVENTIONS[name]
    plan = toys.plan(
        content, style, convention=convention, style_loss=convention.style_loss
    )
    loss_list = targets.perceptual_losses(plan, network, *CONTENT)
    picture = toys.image(*CONTENT, 2, "float64")
    # A style image is resized to as many pixels as the content has.
    size = sizes.scale_to_area(*STYLE, CONTENT[0] * CONTENT[1])
    assert size != CONTENT
    style = image_io.resize(style, *size)
    maps = [
        {k: v.numpy() for k, v in network.model(tf.constant(x[None])).items()}
        for x in (picture, content, style)
    ]
    maps[0]["image"] = picture[None]
    return {loss.name: loss for loss in loss_list}, *maps


def _check(loss, features, expected):
    """Value and gradient, with respect to the features, against a formula."""
    distance, gradient = toys.differentiate(
        lambda x: loss.distance(loss.statistics(x, None, **loss.maps)),
        tf.constant(features),
    )
    np.testing.assert_allclose(distance, expected(features), rtol=1e-6)
    rng = np.random.default_rng(0)
    step = 1e-6
    for _ in range(3):
        ahead = rng.normal(size=features.shape)
        up, down = (
            expected(features + step * ahead),
            expected(features - step * ahead),
        )
        np.testing.assert_allclose(
            np.sum(gradient * ahead), (up - down) / (2 * step), rtol=1e-5
        )


@every_convention
def test_content_is_the_sources(monkeypatch, name):
    found, picture, content, _ = _problem(monkeypatch, name)
    layer = toys.CONTENT_LAYER
    _check(
        found[f"content/{layer}"],
        picture[layer],
        lambda f: SOURCES[name][0](_flat(f), _flat(content[layer]), None),
    )


@every_convention
@pytest.mark.parametrize("layer", toys.STYLE_LAYERS)
def test_style_is_the_sources(monkeypatch, name, layer):
    found, picture, _, style = _problem(monkeypatch, name)
    pixels = CONTENT[0] * CONTENT[1]
    _check(
        found[f"style/{layer}"],
        picture[layer],
        lambda f: SOURCES[name][1](_flat(f), _flat(style[layer]), pixels),
    )


@every_convention
def test_total_variation_is_the_sources(monkeypatch, name):
    found, picture, _, _ = _problem(monkeypatch, name)
    _check(
        found["total_variation"],
        picture["image"],
        lambda x: SOURCES[name][2](x[0]),
    )


@pytest.mark.parametrize("divisor", [None, 3.0])
def test_a_narrow_network_counts_the_channels_that_it_stands_for(divisor):
    rng = np.random.default_rng(0)
    narrow, target = rng.normal(size=(2, 1, 6, 7, 4))
    projection = rng.normal(size=(4, 9))

    def pair(make, of_target):
        for features, options in (
            (lambda x: x, {"projection": projection}),
            (lambda x: x @ projection, {}),
        ):
            loss = make(
                "layer",
                tf.constant(of_target(features(target))),
                divisor=divisor,
                **options,
            )
            yield loss.distance(
                loss.statistics(
                    tf.constant(features(narrow)), None, **loss.maps
                )
            )

    np.testing.assert_allclose(
        *pair(content_loss.ContentLoss, lambda x: x), rtol=1e-10
    )
    np.testing.assert_allclose(
        *pair(
            style_losses.GramLoss, lambda x: sums.gram_matrix(tf.constant(x))
        ),
        rtol=1e-10,
    )


def test_blended_grams_that_are_sums_count_by_their_sizes(monkeypatch):
    network = toys.extractor(monkeypatch, dtype="float64")
    styles = [
        toys.image(*size, seed, "float64")
        for seed, size in enumerate(((34, 18), (10, 60)))
    ]
    content = toys.image(*CONTENT, 5, "float64")
    plan = toys.plan(
        content,
        toys.style(styles[0], 3.0, layers=FIRST),
        toys.style(styles[1], 1.0, layers=FIRST),
        content_weights={},
        tv_weight=0.0,
        convention=conventions.CONVENTIONS["gatys2016"],
    )
    [loss] = targets.perceptual_losses(plan, network, *CONTENT)
    sums = []
    for image in (content, *styles):
        pixels = CONTENT[0] * CONTENT[1]
        size = sizes.scale_to_area(*image.shape[:2], pixels)
        resized = image_io.resize(image, *size)[None]
        f = _flat(network.model(tf.constant(resized))["block1_conv1"].numpy())
        sums.append(f @ f.T)
    n, m = f.shape[0], CONTENT[0] * CONTENT[1]
    blend = 0.75 * sums[1] + 0.25 * sums[2]
    expected = np.sum((sums[0] - blend) ** 2) / (4 * n**2 * m**2)
    features = network.model(tf.constant(content[None]))["block1_conv1"]
    actual = loss.distance(loss.statistics(features))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
