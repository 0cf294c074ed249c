"""Content and style images -> losses: targets, weights, masks, sizes."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf import files
from nst_tf.backend import device
from nst_tf.images import image_io
from nst_tf.losses import conventions, objectives, protocol, style_kinds
from nst_tf.network import extractors, weight_files
from nst_tf.plan import planning, style_regions
from nst_tf.transfer import sized_plans, targets

SIZE = (48, 64)
FIRST, SECOND = toys.STYLE_LAYERS
CONTENT = toys.image(*SIZE, 0, "f8")
A, B = toys.image(40, 56, 1, "f8"), toys.image(50, 40, 2, "f8")


@pytest.fixture
def network(monkeypatch):
    return toys.extractor(monkeypatch, dtype="float64")


def _losses(network, *styles, size=SIZE, content=CONTENT, **changes):
    """Losses by name."""
    plan = toys.plan(content, *styles, **changes)
    made = targets.perceptual_losses(plan, network, *size)
    return {loss.name: loss for loss in made}


def _style_only(network, *styles, **changes):
    """Style losses by layer."""
    changes = {"content_weights": {}, "tv_weight": 0.0, **changes}
    made = _losses(network, *styles, **changes)
    return {loss.layer: loss for loss in made.values()}


def _evaluate(network, *styles, image=None, size=SIZE, **changes):
    loss_list = list(_losses(network, *styles, size=size, **changes).values())
    image = toys.image(*size, 2, "f8") if image is None else image
    return objectives.make_objective(network, loss_list)(
        tf.constant(image[None])
    )


# Which losses there are


def test_there_is_a_loss_for_each_layer_with_a_weight(network):
    weights = {toys.CONTENT_LAYER: 5.0, FIRST: 2.0, SECOND: 0.0}
    style = toys.style(A, layers={FIRST: 3.0, SECOND: 0.0})
    made = _losses(network, style, content_weights=weights, tv_weight=0.25)
    assert {name: loss.weight for name, loss in made.items()} == {
        f"content/{toys.CONTENT_LAYER}": 5.0,
        f"content/{FIRST}": 2.0,
        f"style/{FIRST}": 3.0,
        "total_variation": 0.25,
    }
    assert list(_losses(network, tv_weight=0.0)) == [
        f"content/{toys.CONTENT_LAYER}"
    ]


def test_a_plan_looks_at_the_layers_of_its_losses():
    plan = toys.plan(
        CONTENT,
        toys.style(A, layers={SECOND: 1.0, FIRST: 0.0}),
        content_weights={toys.CONTENT_LAYER: 1.0},
    )
    assert targets.list_layers(plan) == [toys.CONTENT_LAYER, SECOND]
    assert targets.list_layers(toys.plan(CONTENT, content_weights={})) == []


@pytest.mark.parametrize(
    ("size", "neighbors", "exists"),
    [
        ((1, 9), "inner_square", False),
        ((9, 1), "inner_square", False),
        ((1, 9), "square", True),
        ((2, 9), "inner_square", True),
    ],
)
def test_a_picture_without_pairs_has_no_total_variation(
    network, size, neighbors, exists
):
    convention = conventions.Convention(neighbors=neighbors, summed=2.0)
    made = _losses(
        network, content_weights={}, size=size, convention=convention
    )
    assert ("total_variation" in made) == exists


# The content


def test_the_content_is_resized_to_the_image(network):
    half = (24, 32)
    image = image_io.resize(CONTENT, *half).astype("f8")
    terms = _evaluate(network, size=half, image=image).terms
    assert float(terms[f"content/{toys.CONTENT_LAYER}"]) < 1e-12


# Styles


def test_a_blend_has_the_mean_of_the_targets(network):
    one, two = (_style_only(network, toys.style(x)) for x in (A, B))
    both = _style_only(network, toys.style(A, 0.3), toys.style(B, 0.9))
    for layer, loss in both.items():
        mean = 0.25 * one[layer]._target + 0.75 * two[layer]._target
        np.testing.assert_allclose(loss._target, mean, rtol=1e-12)
        assert loss.weight == pytest.approx(50.0)


def test_layers_of_their_own_are_looked_at_for_one_style_only(network):
    alone, other = (_style_only(network, toys.style(x)) for x in (A, B))
    both = _style_only(
        network,
        toys.style(A, 1.0, layers={FIRST: 4.0}),
        toys.style(B, 3.0, layers={SECOND: 4.0, FIRST: 0.0}),
    )
    np.testing.assert_array_equal(both[FIRST]._target, alone[FIRST]._target)
    np.testing.assert_array_equal(both[SECOND]._target, other[SECOND]._target)
    assert both[FIRST].weight == 1 and both[SECOND].weight == 3


def test_weights_of_a_layer_count_in_a_blend(network):
    one, two = (_style_only(network, toys.style(x)) for x in (A, B))
    both = _style_only(
        network,
        toys.style(A, 1.0, layers={FIRST: 1.0}),
        toys.style(B, 1.0, layers={FIRST: 3.0}),
    )
    mean = 0.25 * one[FIRST]._target + 0.75 * two[FIRST]._target
    np.testing.assert_allclose(both[FIRST]._target, mean, rtol=1e-12)
    assert both[FIRST].weight == 2


@pytest.mark.parametrize("fit", ["keep", "side", "stretch", "crop"])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_a_style_image_is_fitted_at_its_scale(network, fit, scale):
    size, style = (24, 32), toys.image(60, 30, 1, "f8")
    expected = {"keep": (39, 20), "side": (32, 16)}.get(fit, size)
    rows, columns = (round(scale * side) for side in expected)
    if fit == "keep":  # as many pixels as the image has
        rows, columns = {0.5: (20, 10), 1.0: (39, 20), 2.0: (78, 39)}[scale]
    resize = image_io.cover if fit == "crop" else image_io.resize
    fitted = tf.constant(resize(style, rows, columns)[None])
    [loss] = _style_only(
        network,
        toys.style(style, layers={FIRST: 1.0}, scale=scale),
        style_fit=fit,
        size=size,
    ).values()
    features = network.model(fitted)[FIRST]
    assert float(loss.distance(loss.statistics(features))) < 1e-12


@pytest.mark.parametrize("fit", ["stretch", "crop"])
def test_alpha_is_fitted_as_its_style_is(network, fit):
    alpha = np.ones((60, 30))
    alpha[40:] = 0  # cropping to 24 x 32 leaves 22.5 of 60 rows, the middle
    plain, masked = (
        _style_only(network, toys.style(B[:60, :30], alpha=each), style_fit=fit)
        for each in (None, alpha[: B.shape[0]])
    )
    same = all(
        np.allclose(plain[layer]._target, masked[layer]._target)
        for layer in toys.STYLE_LAYERS
    )
    assert same == (fit == "crop")


def test_the_scale_of_strokes_does_not_weigh_sums(network):
    flat = np.full((24, 32, 3), 0.4)

    def distance(scale):
        [loss] = _style_only(
            network,
            toys.style(flat, layers={FIRST: 1.0}, scale=scale),
            size=(24, 32),
            convention=conventions.CONVENTIONS["gatys2016"],
        ).values()
        maps = network.model(toys.image(24, 32, 3, "f8")[None])
        return float(loss.distance(loss.statistics(maps[FIRST])))

    # Of one color, but at its border, where zeros are seen.
    assert distance(2.0) == pytest.approx(distance(1.0), rel=0.2)


def test_other_style_losses_are_taken_by_name(network):
    for name, kind in style_kinds.STYLE_LOSSES.items():
        made = _style_only(network, A, style_loss=name)
        assert {type(loss) for loss in made.values()} == {kind.load()}


# Alpha and regions


def test_an_opaque_alpha_changes_nothing(network):
    plain = _evaluate(network, A)
    opaque = _evaluate(
        network, toys.style(A, alpha=np.ones((40, 56))), alpha=np.ones(SIZE)
    )
    for name, term in plain.terms.items():
        np.testing.assert_allclose(opaque.terms[name], term, rtol=1e-6)
    np.testing.assert_allclose(opaque.gradient, plain.gradient, atol=1e-6)


def test_transparent_parts_of_the_content_count_for_nothing(network):
    alpha = np.ones(SIZE)
    alpha[:, 24:] = 0
    evaluation = _evaluate(network, A, alpha=alpha)
    gradient = np.abs(evaluation.gradient.numpy()).max(axis=(0, 1, 3))
    assert (gradient[:24] > 0).all()
    assert (gradient[36:] == 0).all()  # beyond what the network sees
    for name, term in _evaluate(network, A).terms.items():
        assert evaluation.terms[name] != term  # each loss has its region


def test_transparent_parts_of_a_style_count_for_nothing(network):
    alpha = np.ones((40, 56))
    alpha[:, 28:] = 0
    plain, masked = (
        _evaluate(network, toys.style(A, alpha=each)) for each in (None, alpha)
    )
    for layer in toys.STYLE_LAYERS:
        name = f"style/{layer}"
        assert abs(masked.terms[name] / plain.terms[name] - 1) > 1e-3


def test_a_position_counts_by_the_mean_of_its_pixels():
    alpha = np.arange(35.0).reshape(5, 7)
    actual = sized_plans.average(alpha, 2).numpy()
    expected = [
        [alpha[r : r + 2, c : c + 2].mean() for c in (0, 2, 4)] for r in (0, 2)
    ]
    np.testing.assert_allclose(actual[0, ..., 0], expected)


def _mask(left, right, size=SIZE):
    """Ones between two columns."""
    mask = np.zeros(size)
    mask[:, left:right] = 1
    return mask


def test_a_mask_of_ones_is_no_mask(network):
    regions = [
        [style_regions.Region([toys.style(A)], mask)]
        for mask in (None, np.ones(SIZE))
    ]
    plain, masked = (_evaluate(network, regions=each) for each in regions)
    np.testing.assert_allclose(masked.loss, plain.loss, rtol=1e-6)
    np.testing.assert_allclose(masked.gradient, plain.gradient, atol=1e-6)


def test_the_weight_of_a_region_is_its_share_of_what_is_seen(network):
    left = style_regions.Region([toys.style(A)], _mask(0, 16), "a")
    for alpha, share in ((None, 16 / 64), (_mask(8, 40), 8 / 32)):
        made = _losses(network, regions=[left], alpha=alpha)
        loss = made[f"style/{FIRST}@a"]
        assert loss.weight == pytest.approx(50 * share)
    unnamed = _losses(network, regions=[left._replace(name="")])
    assert f"style/{FIRST}" in unnamed


def test_a_small_region_is_painted_as_strongly_as_a_large_one(network):
    image = toys.image(80, 160, 0, "f8") * 0.1 + 0.4
    forces = []
    for width in (160, 16):
        mask = _mask(0, width, (80, 160))
        gradient = _evaluate(
            network,
            regions=[style_regions.Region([toys.style(A)], mask)],
            content=image,
            image=image,
            size=(80, 160),
            content_weights={},
            tv_weight=0.0,
        ).gradient.numpy()[0]
        forces.append(np.sqrt((gradient[20:60, 4:12] ** 2).mean()))
    assert 0.8 < forces[1] / forces[0] < 1.25


def test_regions_do_not_pull_at_each_other(network):
    regions = [
        style_regions.Region([toys.style(A)], _mask(0, 32), "a"),
        style_regions.Region([toys.style(B)], _mask(32, 64), "b"),
    ]
    both, alone = (
        _evaluate(network, regions=each, content_weights={}, tv_weight=0.0)
        for each in (regions, regions[:1])
    )
    np.testing.assert_allclose(
        both.gradient[:, :, :20], alone.gradient[:, :, :20], atol=1e-12
    )
    assert {name.partition("@")[2] for name in both.terms} == {"a", "b"}


# Tiles


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_recomputed_content_is_the_picture_as_the_network_takes_it(
    monkeypatch, dtype
):
    network = toys.extractor(monkeypatch, dtype=dtype)
    tiling = planning.Tiling(24, "recompute")
    made = _losses(network, content=CONTENT.astype(dtype), tiling=tiling)
    [target] = [
        value
        for value in made[f"content/{toys.CONTENT_LAYER}"].maps.values()
        if isinstance(value, protocol.Recomputed)
    ]
    assert target.pixels.dtype == dtype


# The real networks


@pytest.mark.parametrize(
    "source", ["small", pytest.param("auto", marks=pytest.mark.slow)]
)
def test_the_gradient_of_the_default_job_repeats_to_the_bit(source):
    # At this size TensorFlow adds three and more gradients of the image up in
    # the order in which they come; there must be two.
    found = weight_files.load("vgg19", source)
    images = files.presets_folder() / "images"
    content, style = (
        image_io.cover(image_io.load_image(images / name), 384, 512)
        for name in ("harbor_at_dusk.jpg", "swirling_night.jpg")
    )
    layers = [f"block{number}_conv1" for number in range(1, 6)]
    plan = toys.plan(
        content,
        toys.style(style, layers=dict.fromkeys(layers, 20.0)),
        content_weights={"block4_conv2": 25.0},
        style_loss="mix",
        neighbors=dict.fromkeys(layers[2:4], 25.0),
        grain_weight=5.0,
        tv_weight=50.0,
    )
    network = extractors.vgg(
        "vgg19",
        targets.list_layers(plan),
        found.layers,
        projections=found.projections,
        pooling="average",
        dtype=device.resolve_precision("auto"),
    )
    loss_list = targets.perceptual_losses(plan, network, 384, 512)
    compiled = tf.function(objectives.make_objective(network, loss_list))
    picture = tf.constant(content[None])
    first = compiled(picture).gradient.numpy()
    for _ in range(12):
        np.testing.assert_array_equal(compiled(picture).gradient, first)
