"""An image that is worked on in tiles, against the same one as a whole.

With float64 the two differ by rounding alone, of order 1e-16 a sum.
"""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.backend import canvas
from nst_tf.images import image_io
from nst_tf.losses import (
    conventions,
    objectives,
    protocol,
    style_kinds,
    total_variation,
)
from nst_tf.network import architectures, extractors, weight_files
from nst_tf.optimize import descent, first_order
from nst_tf.plan import planning, pyramid, style_regions
from nst_tf.tiling import feature_maps, tiled, views
from nst_tf.transfer import method, targets

SIZE = (43, 57)  # odd, and 3 x 4 tiles of at most
TILE = 24
RELATIVE = conventions.CONVENTIONS["relative"]


def _gray(height, width, seed):
    """A mask, [H, W], a quarter of it zero."""
    values = toys.mask(height, width, seed).numpy()[0, ..., 0]
    return np.where(values < 0.25, 0.0, values)


def _loss_list(
    network,
    tile,
    convention=RELATIVE,
    style_loss="gram",
    size=SIZE,
    dtype="float64",
    recompute=False,
):
    """Content with alpha, two styles in two places, total variation."""
    styles = [
        toys.style(
            toys.image(51, 39, 1, dtype), alpha=_gray(51, 39, 4).astype(dtype)
        ),
        toys.style(toys.image(40, 60, 2, dtype), scale=1.3),
    ]
    where = _gray(*size, 3).astype(dtype)
    plan = toys.plan(
        toys.image(*size, 0, dtype),
        alpha=_gray(*size, 5).astype(dtype),
        regions=[
            style_regions.Region(styles[:1], where, "a"),
            style_regions.Region(styles[1:], 1 - where, "b"),
        ],
        convention=convention,
        style_loss=style_loss,
        neighbors=dict.fromkeys(toys.STYLE_LAYERS, 25.0),  # of the mix only
        grain_weight=4.0,
        tiling=planning.Tiling(tile, "recompute" if recompute else "auto"),
    )
    return targets.perceptual_losses(plan, network, *size)


def _tiled(network, loss_list, size=SIZE, tile=TILE):
    cut = views.cut_for_extractor(network, *size, tile)
    assert cut.number > 1
    return tiled.make_tiled_objective(network, loss_list, cut)


def _assert_same(tiled, whole, image, tolerance=1e-12):
    """Compares two objectives at an image; what each of them says."""
    expected, actual = whole(image), toys.compiled(tiled)(image)
    np.testing.assert_allclose(actual.loss, expected.loss, rtol=tolerance)
    assert set(actual.terms) == set(expected.terms)
    for name, value in expected.terms.items():
        np.testing.assert_allclose(
            actual.terms[name], value, rtol=tolerance, err_msg=name
        )
    largest = np.abs(expected.gradient).max()
    np.testing.assert_allclose(
        actual.gradient, expected.gradient, rtol=0, atol=tolerance * largest
    )
    return expected, actual


def _relative(neighbors):
    return conventions.Convention(neighbors=neighbors)


NAMED = conventions.CONVENTIONS
# Every padding with every pooling; and every additive style loss, every form of
# total variation and the conventions that divide by sizes, with some of them.
CASES = [
    ("zeros", "max", "mix", _relative("square")),
    ("zeros", "average", "moments", _relative("inner_square")),
    ("zeros", "average_rescaled", "wasserstein", _relative("absolute")),
    ("symmetric_first", "max", "neighbors", _relative("power")),
    ("symmetric_first", "average", "wasserstein", _relative("nine_point")),
    ("symmetric_first", "average_rescaled", "gram", NAMED["gatys2016"]),
    ("symmetric", "max", "wasserstein", NAMED["crowson_w2"]),
    ("symmetric", "average", "gram", NAMED["keras"]),
    ("symmetric", "average_rescaled", "gram", NAMED["towards_data_science"]),
]


def test_the_cases_have_every_kind():
    paddings, poolings, kinds, used = map(set, zip(*CASES, strict=True))
    pairs = {case[:2] for case in CASES}
    assert len(pairs) == len(paddings) * len(poolings)
    assert paddings == set(architectures.PADDINGS)
    assert poolings == set(architectures.POOLINGS)
    assert kinds == {  # those of pairs of layers: network/test_derived
        name
        for name, kind in style_kinds.STYLE_LOSSES.items()
        if kind.additive and "+" not in kind.layers
    }
    assert {each.neighbors for each in used} == set(total_variation.FORMS)
    assert sum(each.undivided for each in used) > 2


@pytest.mark.parametrize(
    ("padding", "pooling", "style_loss", "convention"),
    CASES,
    ids=["-".join(case[:3]) for case in CASES],
)
def test_losses_and_gradient_in_tiles_are_those_of_the_whole(
    monkeypatch, padding, pooling, style_loss, convention
):
    network = toys.extractor(
        monkeypatch, dtype="float64", padding=padding, pooling=pooling
    )
    loss_list = _loss_list(network, 0, convention, style_loss)
    expected, _ = _assert_same(
        _tiled(network, loss_list),
        objectives.make_objective(network, loss_list),
        tf.constant(toys.image(*SIZE, 7, "f8")[None]),
        # The root of a matrix that is nearly singular amplifies rounding.
        1e-11 if style_loss == "wasserstein" else 1e-12,
    )
    kinds = 2 if style_loss == "mix" else 1
    of_region = kinds * len(toys.STYLE_LAYERS) + 1  # and grain
    assert len(expected.terms) == 1 + 2 * of_region + 1
    assert all(float(value) > 0 for value in expected.terms.values())


@pytest.mark.parametrize(
    ("style_loss", "convention", "recompute", "is_narrow"),
    [
        ("gram", NAMED["gatys2016"], False, True),
        ("moments", RELATIVE, False, False),
        ("wasserstein", NAMED["crowson_w2"], False, True),
        ("gram", NAMED["gatys2016"], True, False),
        ("gram", RELATIVE, True, True),
        ("mix", RELATIVE, False, True),
    ],
)
def test_targets_seen_in_tiles_are_those_of_the_whole(
    monkeypatch, style_loss, convention, recompute, is_narrow
):
    rng = np.random.default_rng(0)
    channels = dict(zip(toys.LAYERS, (6, 8, 8), strict=True))
    projections = {
        layer: rng.normal(size=(count, 2 * count))
        for layer, count in channels.items()
    }
    network = toys.extractor(
        monkeypatch,
        dtype="float64",
        projections=projections if is_narrow else None,
    )
    whole = _loss_list(network, 0, convention, style_loss)
    seen = _loss_list(
        network, TILE, convention, style_loss, recompute=recompute
    )
    kinds = [isinstance(v, protocol.Recomputed) for v in seen[0].maps.values()]
    assert any(kinds) == recompute
    _assert_same(
        _tiled(network, seen),
        objectives.make_objective(network, whole),
        tf.constant(toys.image(*SIZE, 7, "f8")[None]),
        1e-11 if style_loss == "wasserstein" else 1e-12,
    )


@pytest.mark.parametrize(
    ("size", "tile"),
    [
        ((31, 83), 15),  # the smallest tiles, many of them
        ((16, 200), 40),  # cut along one side only
        ((26, 26), 25),  # hardly larger than a tile
    ],
)
def test_any_shape_and_any_tile_give_the_same(monkeypatch, size, tile):
    network = toys.extractor(monkeypatch, dtype="float64")
    loss_list = _loss_list(network, 0, size=size)
    _assert_same(
        _tiled(network, loss_list, size, tile),
        objectives.make_objective(network, loss_list),
        tf.constant(toys.image(*size, 7, "f8")[None]),
    )


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # A few roundings of features, of 4e-3 and 5e-4.
    [("bfloat16", 5e-2), ("float16", 1e-2)],
)
def test_a_network_of_less_precision_differs_by_its_rounding(
    monkeypatch, dtype, tolerance
):
    network = toys.extractor(monkeypatch, dtype=dtype, pooling="average")
    loss_list = _loss_list(network, 0, dtype="float32")
    _assert_same(
        _tiled(network, loss_list),
        objectives.make_objective(network, loss_list),
        tf.constant(toys.image(*SIZE, 7)[None]),
        tolerance,
    )


def test_what_is_kept_has_no_gradient_in_tiles_either(monkeypatch):
    network = toys.extractor(monkeypatch, dtype="float64")
    loss_list = _loss_list(network, 0)
    keep = _gray(*SIZE, 8)
    keep[10:20, 20:40] = 1
    tiled = objectives.freeze(_tiled(network, loss_list), keep)
    image = toys.image(*SIZE, 7, "f8")[None]
    _, actual = _assert_same(
        tiled,
        objectives.freeze(objectives.make_objective(network, loss_list), keep),
        tf.constant(image),
    )
    assert not np.any(actual.gradient[:, 10:20, 20:40])
    assert np.all(actual.gradient.numpy()[:, keep < 1] != 0)


def test_an_evaluation_forgets_the_one_before(monkeypatch):
    network = toys.extractor(monkeypatch, dtype="float64")
    evaluate = toys.compiled(_tiled(network, _loss_list(network, 0)))
    images = [
        tf.constant(toys.image(*SIZE, seed, "f8")[None]) for seed in (7, 8, 7)
    ]
    first, other, again = (evaluate(image).gradient for image in images)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0


def test_features_seen_in_tiles_are_those_of_the_whole(monkeypatch):
    network = toys.extractor(monkeypatch, dtype="float64", padding="symmetric")
    image = toys.image(*SIZE, 1, "f8")
    cut = views.cut_for_extractor(network, *SIZE, TILE)
    seen = feature_maps.compute_features(network, image, cut, toys.LAYERS)
    whole = network.extract(image)
    for layer in toys.LAYERS:
        # Two and more positions of a tile go through one product of matrices.
        np.testing.assert_allclose(
            seen[layer], whole[layer], rtol=0, atol=1e-12 * np.max(whole[layer])
        )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "name",
    # What neighbors add up are distances to a target, a sample of features.
    [
        name
        for name, kind in style_kinds.STYLE_LOSSES.items()
        if kind.additive and name != "neighbors"
    ],
)
def test_statistics_seen_in_tiles_are_those_of_the_whole(
    monkeypatch, name, masked
):
    network = toys.extractor(monkeypatch, dtype="float64")
    kind = style_kinds.STYLE_LOSSES[name].load()
    image = toys.image(*SIZE, 1, "f8")
    cut = views.cut_for_extractor(network, *SIZE, TILE)
    masks = {
        layer: toys.mask(*(n // network.stride[layer] for n in SIZE))
        if masked
        else None
        for layer in toys.STYLE_LAYERS
    }
    seen = views.sum_statistics(
        network,
        image,
        cut,
        dict.fromkeys(toys.STYLE_LAYERS, kind.raw_statistics),
        masks,
    )
    for layer, mask in masks.items():
        whole = kind.raw_statistics(network.extract(image)[layer], mask)
        np.testing.assert_allclose(seen[layer].total, whole.total, rtol=1e-12)
        np.testing.assert_allclose(seen[layer].mass, whole.mass, rtol=1e-12)


def test_a_loss_that_is_no_sum_is_refused(monkeypatch):
    network = toys.extractor(monkeypatch, dtype="float64")
    loss_list = _loss_list(network, 0, style_loss="sliced_wasserstein")
    words = "style/block1_conv1@a cannot be computed tile by tile"
    with pytest.raises(ValueError, match=words):
        _tiled(network, loss_list)


# The graph


def _nodes(size, tile):
    """How many tiles there are, and how many nodes the graph of a step has."""
    network = toys.extractor(None, pooling="average")
    cut = views.cut_for_extractor(network, *size, tile)
    loss_list = _loss_list(network, 0, size=size, dtype="float32")
    image = tf.Variable(toys.image(*size, 7)[None])
    step = descent.make_train_step(
        first_order.Adam(image),
        tiled.make_tiled_objective(network, loss_list, cut),
    )
    graph = step.get_concrete_function().graph.as_graph_def()
    nodes = sum(len(each.node_def) for each in graph.library.function)
    return cut.number, nodes + len(graph.node)


def test_more_tiles_take_no_more_nodes(monkeypatch):
    toys.extractor(monkeypatch)
    # Sides that no tiles share evenly: a mask says what each of them owns.
    few, nodes = _nodes((43, 43), 29)
    many, more_nodes = _nodes((77, 77), 29)
    assert (few, many) == (4, 15)
    assert nodes == more_nodes


# Runs


def _painted(tile, optimizer="adam", steps=50, **settings):
    """The picture after some steps, and the last loss."""
    plan = toys.plan(
        toys.image(*SIZE, 0, "f8"),
        toys.image(51, 39, 1, "f8"),
        levels=[pyramid.Level(*SIZE, steps, optimizer, settings)],
        network=planning.NetworkSpec("toy", precision="float64"),
        tiling=planning.Tiling(tile),
    )
    *_, last = method.Painter().paint(plan)
    assert last.index == steps
    return last.image.numpy(), float(last.evaluation.loss)


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("adam", {}),
        pytest.param("sgd", {"learning_rate": 1e-4}, marks=slow),
        pytest.param("lbfgs", {}, marks=slow),
    ],
)
def test_pictures_painted_in_tiles_are_those_painted_as_a_whole(
    monkeypatch, optimizer, settings
):
    toys.extractor(monkeypatch)
    whole, loss = _painted(0, optimizer, **settings)
    tiled, tiled_loss = _painted(TILE, optimizer, **settings)
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-6)
    assert tiled_loss == pytest.approx(loss, rel=1e-6)
    assert np.abs(whole - toys.image(*SIZE, 0, "f8")).max() > 0.01


@pytest.mark.parametrize("has_gpu", [False, True])
def test_images_of_tiles_are_where_the_tiles_are(monkeypatch, has_gpu):
    kinds = set()

    adam = first_order.Adam

    def make(image, **settings):
        kinds.add(canvas.is_on_host(image))
        return adam(image, **settings)

    toys.extractor(monkeypatch)
    monkeypatch.setattr(first_order, "Adam", make)
    monkeypatch.setattr(canvas, "_has_gpu", lambda: has_gpu)
    tiled, _ = _painted(TILE, steps=4)
    assert kinds == {not has_gpu}
    kinds.clear()
    whole, _ = _painted(0, steps=4)
    assert kinds == {False}
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-9)


# The real network


@pytest.mark.parametrize(
    ("convolution", "width", "tile"),
    [("direct", 230, 160), pytest.param("winograd", 480, 224, marks=slow)],
)
def test_the_real_network_gives_the_same_in_tiles(convolution, width, tile):
    size = 150, width
    network = extractors.vgg(
        "vgg19",
        ("block1_conv1", "block3_conv1", "block4_conv1", "block4_conv2"),
        weight_files.load("vgg19", "auto").layers,
        pooling="average",
        padding="symmetric_first",
        convolution=convolution,
    )
    layers = dict.fromkeys(("block1_conv1", "block3_conv1"), 50.0)
    content, style = toys.image(*size, 0), toys.image(140, 180, 1)
    content = image_io.resize(content[:30, :40], *size)  # smooth, too

    def losses_of(tile):
        plan = toys.plan(
            content,
            toys.style(style, layers={**layers, "block4_conv1": 50.0}),
            content_weights={"block4_conv2": 1.0},
            tiling=planning.Tiling(tile),
        )
        return targets.perceptual_losses(plan, network, *size)

    # A pixel's gradient is a sum of thousands, each rounded to 6e-8.
    _assert_same(
        _tiled(network, losses_of(tile), size, tile),
        objectives.make_objective(network, losses_of(0)),
        tf.constant(content[None]),
        1e-5,
    )


@pytest.mark.parametrize("tiled", [False, True])
def test_a_step_that_is_over_leaves_no_graph_and_no_image(monkeypatch, tiled):
    network = toys.extractor(monkeypatch, pooling="average")
    loss_list = _loss_list(network, TILE if tiled else 0, dtype="float32")
    make = _tiled if tiled else objectives.make_objective
    image = tf.Variable(toys.image(*SIZE, 0)[None])
    step = descent.make_train_step(
        first_order.Adam(image), make(network, loss_list)
    )
    step()
    kept = [weakref.ref(step.get_concrete_function().graph), weakref.ref(image)]
    del step, loss_list, image
    gc.collect()
    assert [each() for each in kept] == [None, None]
