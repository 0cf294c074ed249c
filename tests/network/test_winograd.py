"""Winograd's convolutions, against the direct ones."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf import files
from nst_tf.images import image_io
from nst_tf.losses import objectives, style_losses, sums
from nst_tf.network import architectures, extractors, weight_files, winograd
from nst_tf.runs import api
from nst_tf.tiling import tiled, views
from nst_tf.transfer import targets

SIZES = [(1, 1), (4, 5), (16, 16), (17, 40), (130, 15), (150, 34)]
LAYERS = ("block1_conv1", "block2_conv1", "block2_conv2")


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("f4")


def _direct(features, kernel, border):
    """The same convolution in float64, and the gradient of its sum."""
    features = tf.constant(features, tf.float64)
    padding = [[0, 0], [border] * 2, [border] * 2, [0, 0]]
    with tf.GradientTape() as tape:
        tape.watch(features)
        result = tf.nn.conv2d(features, kernel.astype("f8"), 1, padding)
    upstream = _random(*result.shape, seed=2)
    return result, tape.gradient(result, features, upstream.astype("f8"))


@pytest.mark.parametrize("border", [0, 1])
@pytest.mark.parametrize("size", SIZES)
def test_results_and_gradient_are_those_of_the_kernel(size, border):
    kernel = _random(3, 3, 5, 7, seed=1)
    height, width = (side + 2 - 2 * border for side in size)
    features = _random(1, height, width, 5)
    filters = winograd.transform_kernel(kernel)
    assert filters.shape == (36, 5, 7)

    def convolve(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            result = winograd.convolve(features, filters, border)
        upstream = _random(1, *size, 7, seed=2)
        return result, tape.gradient(result, features, upstream)

    found = tf.function(convolve, autograph=False)(tf.constant(features))
    for one, two in zip(found, _direct(features, kernel, border), strict=True):
        assert one.shape == two.shape and one.dtype == tf.float32
        largest = np.abs(two).max()
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-5 * largest)

    # Targets are seen by a graph that serves all sizes, and are the same.
    spec = tf.TensorSpec([1, None, None, 5])
    serves_all = tf.function(
        lambda each: winograd.convolve(each, filters, border),
        autograph=False,
        input_signature=[spec],
    )
    np.testing.assert_array_equal(serves_all(features), found[0])


@pytest.fixture
def wide(monkeypatch):
    """Makes a network whose second block is computed by Winograd."""
    kind = architectures.Architecture((1, 2), (128, 128))
    monkeypatch.setitem(architectures.NETWORKS, "toy", kind)
    layers = {
        name: (
            _random(3, 3, before, 128, seed=seed) * (2 / 9 / before) ** 0.5,
            0.1 * _random(128, seed=seed),
        )
        for seed, (name, before) in enumerate(
            zip(LAYERS, (3, 128, 128), strict=True)
        )
    }
    return lambda **options: extractors.vgg("toy", LAYERS, layers, **options)


@pytest.mark.parametrize("padding", architectures.PADDINGS)
def test_a_network_sees_the_same(wide, padding):
    direct = wide(padding=padding)
    fast = wide(padding=padding, convolution="winograd")
    assert (direct.grid, fast.grid) == (2, 8)
    image = toys.image(35, 42)
    same = direct.extract(image)
    for name, features in fast.extract(image).items():
        largest = np.abs(same[name]).max()
        np.testing.assert_allclose(
            features, same[name], rtol=0, atol=1e-5 * largest
        )
        is_same = np.array_equal(features, same[name])
        assert is_same == (name == "block1_conv1")  # it sees three channels


@pytest.mark.parametrize("padding", architectures.PADDINGS)
@pytest.mark.parametrize("pooling", architectures.POOLINGS)
def test_a_network_is_built_untraced(wide, monkeypatch, padding, pooling):
    def call(self, features):
        raise AssertionError(self)

    with monkeypatch.context() as patch:
        for kind in (winograd.Convolution, extractors._Rectified):
            patch.setattr(kind, "call", call)
        network = wide(padding=padding, pooling=pooling, convolution="winograd")
    stated = {n: each.shape for n, each in network.model.output.items()}
    assert stated == {n: (None, None, None, 128) for n in LAYERS}
    (layer,) = [
        each for each in network.model.layers if each.name == "block2_conv1"
    ]
    found = layer(tf.zeros([1, 8, 9, 128]))
    assert found.shape == layer.compute_output_shape((1, 8, 9, 128))


@pytest.mark.parametrize("pooling", architectures.POOLINGS)
def test_what_winograd_computes_is_pooled(monkeypatch, pooling):
    kind = architectures.Architecture((1, 1, 1), (128, 128, 128))
    monkeypatch.setitem(architectures.NETWORKS, "toy", kind)
    names = ("block1_conv1", "block2_conv1", "block3_conv1")
    layers = {
        name: (
            _random(3, 3, before, 128, seed=seed) * (2 / 9 / before) ** 0.5,
            np.zeros(128, "f4"),
        )
        for seed, (name, before) in enumerate(
            zip(names, (3, 128, 128), strict=True)
        )
    }
    direct, fast = (
        extractors.vgg(
            "toy", names, layers, pooling=pooling, convolution=convolution
        ).extract(toys.image(35, 42))
        for convolution in ("direct", "winograd")
    )
    for name in names:
        largest = np.abs(direct[name]).max()
        np.testing.assert_allclose(
            fast[name], direct[name], rtol=0, atol=1e-5 * largest
        )


def test_tiles_round_as_the_whole(wide):
    network = wide(convolution="winograd", pooling="average")
    image = tf.constant(toys.image(90, 70, 1)[None])
    losses = [
        style_losses.GramLoss(layer, sums.gram_matrix(features))
        for layer, features in network.extract(toys.image(50, 60)).items()
    ]
    cut = views.cut_for_extractor(network, 90, 70, 48)
    assert cut.number > 2
    assert all(start % 8 == 0 for side in cut for start in side.starts)
    whole = objectives.make_objective(network, losses)(image)
    parts = tiled.make_tiled_objective(network, losses, cut)(image)
    largest = np.abs(whole.gradient).max()
    np.testing.assert_allclose(
        parts.gradient, whole.gradient, rtol=0, atol=3e-6 * largest
    )


def test_what_it_cannot_compute_is_said(wide):
    with pytest.raises(ValueError, match="'winograd', which.* is 'float64'"):
        wide(convolution="winograd", dtype="float64")
    with pytest.raises(ValueError, match=r"convolution is 'fft', expected one"):
        wide(convolution="fft")


def test_tiles_begin_where_those_of_winograd_do():
    find = architectures.find_grid
    assert find("vgg19", "block5_conv1", "direct") == 16
    assert find("vgg19", "block5_conv1", "winograd") == 32
    assert find("vgg19", "block2_conv2", "winograd") == 8
    assert find("vgg19", "block2_conv1", "winograd") == 2


def test_it_is_chosen_for_float32_on_a_cpu():
    choose = architectures.choose_convolution
    assert choose("auto", "float32") == "winograd"
    assert choose("auto", "float32", True) == "direct"
    assert choose("auto", "bfloat16") == choose("direct", "float32") == "direct"


# VGG19 itself

VGG19_LAYERS = [f"block{block}_conv1" for block in range(1, 6)]
SIZE = 96, 128


@pytest.fixture(scope="module")
def pictures():
    folder = files.presets_folder() / "images"
    return [
        image_io.cover(image_io.load_image(folder / name), *SIZE)
        for name in ("harbor_at_dusk.jpg", "swirling_night.jpg")
    ]


@pytest.mark.slow
def test_vgg19_has_the_gradient_of_direct_convolutions(pictures):
    content, style = pictures
    weights = weight_files.load("vgg19", "auto").layers
    layers = [*VGG19_LAYERS, "block4_conv2"]
    gradients = {}
    for kind in ("direct", "winograd", "float64"):
        network = extractors.vgg(
            "vgg19",
            layers,
            weights,
            pooling="average",
            dtype="float64" if kind == "float64" else "float32",
            convolution="winograd" if kind == "winograd" else "direct",
        )
        wide = content.astype(network.model.inputs[0].dtype)
        plan = toys.plan(
            wide,
            toys.style(style, layers=dict.fromkeys(VGG19_LAYERS, 20.0)),
            content_weights={"block4_conv2": 25.0},
        )
        losses = targets.perceptual_losses(plan, network, *SIZE)
        image = tf.constant(0.9 * wide[None])
        whole = objectives.make_objective(network, losses)
        gradients[kind] = tf.function(whole)(image).gradient.numpy()
    direct, fast, exact = (
        gradients[kind].ravel().astype("f8")
        for kind in ("direct", "winograd", "float64")
    )
    norms = np.linalg.norm(direct) * np.linalg.norm(fast)
    assert direct @ fast / norms > 0.9999
    # ReLUs flip, so that direct convolutions are off, too.
    largest = np.abs(exact).max()
    errors = [np.abs(each - exact).max() / largest for each in (direct, fast)]

    assert errors[1] < 1e-4  # 1.0e-6; direct ones 0.9e-6


@pytest.mark.slow
def test_runs_end_at_the_losses_of_direct_convolutions(pictures):
    losses = [
        [
            float(step.evaluation.loss)
            for step in api.stylize_steps(
                *pictures,
                size=SIZE[1],
                levels=1,
                steps=30,
                precision="float32",
                convolution=convolution,
            )
        ]
        for convolution in ("direct", "winograd", "winograd")
    ]

    assert losses[1] == losses[2]  # to the bit
    assert losses[1][-1] == pytest.approx(losses[0][-1], rel=5e-3)
