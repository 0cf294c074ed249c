"""Maps made of layers: joined ones, and those of smaller images."""

import numpy as np
import numpy_across
import numpy_network
import pytest
import tensorflow as tf
import toys

from nst_tf.losses import objectives, style_losses
from nst_tf.network import architectures, selected
from nst_tf.tiling import tiled, views

ONE, TWO, LAST = toys.LAYERS
PAIR = f"{ONE}+{TWO}"


def _pool(image, factor):
    """The means of squares, without what is left over at the ends."""
    rows, columns = (side // factor for side in image.shape[:2])
    cut = image[: rows * factor, : columns * factor]
    cut = cut.reshape(rows, factor, columns, factor, -1)
    return cut.mean(axis=(1, 3))


def test_names_of_maps_say_what_they_are_made_of():
    for name, layers, scale in (
        (ONE, (ONE,), 1),
        (PAIR, (ONE, TWO), 1),
        (f"{PAIR}_by4", (ONE, TWO), 4),
    ):
        each = architectures.parse_map(name)
        assert each == (layers, scale)
        assert each.name == name
    assert architectures.list_layers([PAIR, f"{LAST}_by2"]) == [ONE, TWO, LAST]
    scaled = architectures.scale_weights({PAIR: 6.0, LAST: 1.0}, 3)
    assert scaled == {
        f"{name}{by}": pytest.approx(weight / 3**0.5)
        for name, weight in ((PAIR, 6.0), (LAST, 1.0))
        for by in ("", "_by2", "_by4")
    }
    assert architectures.scale_weights({ONE: 2.0}, 1) == {ONE: 2.0}


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_maps_are_those_of_layers_and_of_smaller_images(monkeypatch, pooling):
    names = [ONE, LAST, PAIR, f"{LAST}_by2", f"{PAIR}_by4"]
    made = toys.extractor(monkeypatch, names, dtype="float64", pooling=pooling)
    plain = toys.extractor(None, dtype="float64", pooling=pooling)
    image = toys.image(23, 31, 1, "float64")
    found = made.extract(image)
    assert set(found) == set(names)
    for name in names:
        layers, scale = architectures.parse_map(name)
        layer_maps = plain.extract(_pool(image, scale))
        expected = layer_maps[layers[-1]].numpy()
        if len(layers) == 2:
            deep = expected[0]
            shallow = _pool(layer_maps[ONE][0].numpy(), 2)
            shallow = np.pad(shallow, [(0, 0), (0, 0), (0, 2)])
            expected = np.concatenate([shallow, deep], axis=-1)[None]
        np.testing.assert_allclose(found[name], expected, atol=1e-12)
    assert made.stride == {
        **{ONE: 1, LAST: 2, PAIR: 2},
        **{f"{LAST}_by2": 4, f"{PAIR}_by4": 8},
    }
    assert made.grid == 8
    assert made.reach[f"{PAIR}_by4"] == 4 * plain.reach[TWO]


def test_selected_maps_are_those_of_the_whole(monkeypatch):
    names = [ONE, LAST, PAIR, f"{PAIR}_by2", f"{LAST}_by4"]
    whole = toys.extractor(monkeypatch, names, dtype="float64")
    assert selected.select(whole, names[::-1]) is whole
    image = toys.image(23, 31, 1, "float64")
    expected = whole._replace(cache={}).extract(image)
    cached = whole._replace(cache={})
    for some, grid in (([ONE, PAIR], 2), (names[:1] + names[3:4], 4)):
        part = selected.select(cached, some)
        found = part.extract(image)
        assert list(found) == list(part.stride) == list(part.reach) == some
        assert list(part.projections) == some
        assert part.grid == grid and whole.grid == 8
        for name in some:
            np.testing.assert_array_equal(found[name], expected[name])
            assert part.stride[name] == whole.stride[name]
            assert part.reach[name] == whole.reach[name]
    assert set(cached.extract(image)) == set(names)
    # Too small for a quarter, but not for itself.
    selected.select(whole, names[:3]).extract(toys.image(3, 5, 1, "float64"))


def test_the_gradient_across_layers_is_its_sources(monkeypatch):
    network = toys.extractor(monkeypatch, [PAIR], dtype="float64")
    image, style = (
        toys.image(*size, seed, "float64")
        for seed, size in enumerate([(13, 18), (16, 11)])
    )
    target = style_losses.AcrossLoss.measure(network.extract(style)[PAIR])
    loss = style_losses.AcrossLoss(PAIR, target, 3.0)
    evaluate = toys.compiled(objectives.make_objective(network, [loss]))
    found = evaluate(tf.constant(image[None]))
    program = numpy_network.Network(toys.weights())
    see = numpy_network.preprocess
    maps = program.forward(see(style))
    theirs = numpy_across.across_error((maps[ONE], maps[TWO]), 3.0)
    maps = program.forward(see(image))
    value, slopes = theirs(maps[ONE], maps[TWO])
    gradient = program.backward(dict(zip((ONE, TWO), slopes, strict=True)))
    gradient = 255 * gradient[..., ::-1]
    # Our first kernel is 255 times theirs, rounded to float32.
    np.testing.assert_allclose(found.loss, value, rtol=1e-6)
    np.testing.assert_allclose(
        found.gradient[0], gradient, atol=1e-5 * np.abs(gradient).max()
    )


def test_projections_of_a_pair_project_both_layers(monkeypatch):
    rng = np.random.default_rng(0)
    matrices = {ONE: rng.normal(size=(6, 9)), TWO: rng.normal(size=(8, 12))}
    network = toys.extractor(
        monkeypatch, [PAIR], dtype="float64", projections=matrices
    )
    one, two = (
        network.extract(toys.image(12, 14, seed, "float64"))[PAIR]
        for seed in (0, 1)
    )
    projection = network.projections[PAIR]
    target = style_losses.AcrossLoss.measure(one)
    loss = style_losses.AcrossLoss(PAIR, target, projection=projection)
    found = loss.distance(loss.statistics(two))

    def project(features):
        shallow, deep = np.split(features.numpy()[0], 2, axis=-1)
        return shallow[..., :6] @ matrices[ONE], deep @ matrices[TWO]

    compare = numpy_across.across_error(project(one), 1.0)
    np.testing.assert_allclose(found, compare(*project(two))[0], rtol=1e-9)


@pytest.mark.parametrize(
    "names", [[PAIR], [f"{TWO}_by2", ONE], [f"{TWO}_by4", f"{PAIR}_by2"]]
)
def test_in_tiles_losses_and_gradient_are_those_of_the_whole(
    monkeypatch, names
):
    network = toys.extractor(monkeypatch, names, dtype="float64")
    style = network.extract(toys.image(53, 47, 1, "float64"))
    loss_list = []
    for name in names:
        kind = style_losses.AcrossLoss if "+" in name else style_losses.GramLoss
        loss_list.append(kind(name, kind.measure(style[name]), 5.0))
    image = tf.constant(toys.image(75, 91, 2, "float64")[None])
    whole = toys.compiled(objectives.make_objective(network, loss_list))(image)
    cut = views.cut_for_extractor(network, 75, 91, 56)
    assert cut.number > 1
    objective = tiled.make_tiled_objective(network, loss_list, cut)
    parts = toys.compiled(objective)(image)
    np.testing.assert_allclose(parts.loss, whole.loss, rtol=1e-12)
    np.testing.assert_allclose(
        parts.gradient,
        whole.gradient,
        atol=1e-12 * np.abs(whole.gradient.numpy()).max(),
    )
    # Several devices have copies of the network.
    copied = views.TileStatistics(network, loss_list, cut).copy()
    again = copied._extractor.model(image)
    for name, value in network.model(image).items():
        np.testing.assert_array_equal(again[name], value)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("block1_conv1", "'block1_conv1' is no pair of layers; expected a"),
        ("block2_conv1+block1_conv1", "is no pair of layers"),
        ("block1_conv1+block1_conv1", "is no pair of layers"),
        ("block1_conv1+block9_conv1", "no layer 'block9_conv1'"),
    ],
)
def test_what_is_no_pair_is_said(pair, words):
    with pytest.raises(ValueError, match=words):
        architectures.check_pairs("vgg19", [pair])
