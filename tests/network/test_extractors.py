"""The network: geometry, types, pooling, preprocessing; Keras's own VGG19."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf import files
from nst_tf.backend import device, ops
from nst_tf.images import image_io
from nst_tf.losses import objectives
from nst_tf.network import architectures, extractors, weight_files
from nst_tf.transfer import targets


@pytest.mark.parametrize("layer", toys.LAYERS)
def test_a_position_sees_its_reach_and_no_more(monkeypatch, layer):
    network = toys.extractor(monkeypatch, dtype="float64", pooling="average")
    picture = tf.constant(toys.image(24, 24, 0, "float64")[None])
    _, gradient = toys.differentiate(
        lambda image: network.model(image)[layer][0, 5, 5], picture
    )
    rows = np.flatnonzero(np.abs(gradient[0]).sum(axis=(1, 2)))
    stride, reach = network.stride[layer], network.reach[layer]
    assert rows.min() == 5 * stride - reach
    assert rows.max() == 5 * stride + stride - 1 + reach


def test_features_equal_nested_loops(monkeypatch):
    network = toys.extractor(monkeypatch, dtype="float64", pooling="max")
    picture = toys.image(6, 7, 0, "float64")
    mean = np.array([103.939, 116.779, 123.68])
    x = picture[..., ::-1] * 255 - mean  # BGR, as Keras and Caffe
    values = toys.weights()
    x = _convolve(x, *values["block1_conv1"])
    outputs = network.model(tf.constant(picture[None]))
    np.testing.assert_allclose(outputs["block1_conv1"][0], x, atol=1e-4)
    x = x[:6, :6].reshape(3, 2, 3, 2, -1).max(axis=(1, 3))
    x = _convolve(x, *values["block2_conv1"])
    np.testing.assert_allclose(outputs["block2_conv1"][0], x, atol=1e-4)


def _convolve(x, kernel, bias):
    """3 x 3, zeros beyond the border, then ReLU."""
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    result = np.zeros((height, width, len(bias)))
    for row in range(height):
        for column in range(width):
            patch = padded[row : row + 3, column : column + 3]
            result[row, column] = np.tensordot(patch, kernel, 3) + bias
    return np.maximum(result, 0)


def test_symmetric_padding_belongs_to_each_convolution(monkeypatch):
    network = toys.extractor(monkeypatch, dtype="float64", padding="symmetric")
    flat = tf.fill((1, 12, 12, 3), tf.constant(0.4, tf.float64))
    for features in network.model(flat).values():
        # A constant picture has no border that could be seen.
        np.testing.assert_allclose(
            features, np.broadcast_to(features[:, :1, :1], features.shape)
        )


def test_symmetric_first_mirrors_what_the_first_convolution_sees(monkeypatch):
    first, everywhere, zeros = (
        toys.extractor(monkeypatch, dtype="float64", padding=padding).model(
            tf.constant(toys.image(12, 12, 0, "float64")[None])
        )
        for padding in ("symmetric_first", "symmetric", "zeros")
    )
    np.testing.assert_array_equal(
        first["block1_conv1"], everywhere["block1_conv1"]
    )
    for other in (everywhere, zeros):
        difference = np.abs(first["block2_conv1"] - other["block2_conv1"])
        assert difference[:, 2:-2, 2:-2].max() < 1e-9
        assert difference[:, 0].max() > 0.1


def test_network_is_cut_at_the_deepest_layer_asked_for(monkeypatch):
    network = toys.extractor(monkeypatch, ["block1_conv1"])
    assert list(network.model(tf.zeros((1, 8, 8, 3)))) == ["block1_conv1"]
    assert network.model.count_params() == 3 * 3 * 3 * 6 + 6
    assert network.stride == {"block1_conv1": 1}


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_features_have_the_type_asked_for_whatever_the_policy(
    monkeypatch, dtype
):
    tf.keras.config.set_dtype_policy("mixed_float16")
    tf.keras.backend.set_image_data_format("channels_first")
    try:
        network = toys.extractor(monkeypatch, dtype=dtype)
        picture = toys.image(8, 9, 0, "float64" if dtype == "float64" else "f4")
        features = network.model(tf.constant(picture[None]))["block2_conv1"]
        assert features.dtype == dtype
        assert features.shape == (1, 4, 4, 8)
    finally:
        tf.keras.config.set_dtype_policy("float32")
        tf.keras.backend.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": ["block1_conv7"]}, "toy has no layer"),
        ({"pooling": "mean"}, "pooling is 'mean', expected one of"),
        ({"padding": "same"}, "padding is 'same', expected one of"),
    ],
)
def test_unknown_names_are_refused(monkeypatch, options, words):
    with pytest.raises(ValueError, match=words):
        toys.extractor(monkeypatch, **options)


@pytest.mark.parametrize("network", ["VGG16", "VGG19"])
def test_networks_have_kerass_own_layers_and_colors(network):
    keras = getattr(tf.keras.applications, network)(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    found = [
        (layer.name, layer.kernel.shape, 32 // layer.output.shape[1])
        for layer in keras.layers
        if isinstance(layer, tf.keras.layers.Conv2D)
    ]
    assert found == [
        (each.name, (3, 3, each.in_channels, each.out_channels), each.stride)
        for each in architectures.list_convolutions(network.lower())
    ]
    preprocess = getattr(tf.keras.applications, network.lower())
    mean = np.array(architectures.MEAN_COLOR)[None, None]
    np.testing.assert_allclose(
        preprocess.preprocess_input(255 * mean), 0, atol=1e-4
    )


@pytest.mark.parametrize(
    ("size", "joined", "layers"),
    [
        ((8, 12), True, toys.LAYERS),
        ((9, 13), False, toys.LAYERS),
        ((5, 4), True, toys.LAYERS[2:]),
    ],
)
@pytest.mark.parametrize("pooling", architectures.POOLINGS)
def test_the_gradient_is_that_of_plain_layers(
    monkeypatch, pooling, layers, size, joined
):
    monkeypatch.setattr(ops, "MIN_FUSED_ELEMENTS", 0 if joined else 2**30)
    network = toys.extractor(
        monkeypatch, layers, dtype="float64", pooling=pooling
    )
    exact = tf.float64
    kernels = [
        (
            tf.constant(kernel * (255 if kernel.shape[2] == 3 else 1), exact),
            tf.constant(bias, exact),
        )
        for kernel, bias in toys.weights().values()
    ]
    pool = tf.nn.max_pool2d if pooling == "max" else tf.nn.avg_pool2d
    factor = 1.5 if pooling == "average_rescaled" else 1.0

    def plain(image):
        features = (image - np.array(architectures.MEAN_COLOR))[..., ::-1]
        maps = {}
        for name, (kernel, bias) in zip(toys.LAYERS, kernels, strict=True):
            if name == "block2_conv1":
                features = factor * pool(features, 2, 2, "VALID")
            features = tf.nn.conv2d(features, kernel, 1, "SAME")
            features = tf.nn.relu(features + bias)
            maps[name] = features
        return maps

    @tf.function(autograph=False)
    def slope(seen, image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            maps = seen(image)
            total = tf.add_n(
                [
                    tf.reduce_sum(tf.sin(3 * maps[layer] + number))
                    for number, layer in enumerate(layers)
                ]
            )
        return tape.gradient(total, image)

    image = tf.constant(toys.image(*size, dtype="float64")[None])
    np.testing.assert_allclose(
        slope(network.model, image), slope(plain, image), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("padding", architectures.PADDINGS)
def test_bfloat16_sees_a_smooth_picture_as_float32_does(monkeypatch, padding):
    # A sky, whose steps from pixel to pixel are below bfloat16's.
    rows, columns = np.indices((16, 24)) / 24
    sky = np.stack([0.9 - 0.02 * rows, 0.8 + 0.01 * columns, 0.3 + 0 * rows])
    image = tf.constant(np.moveaxis(sky, 0, -1)[None], tf.float32)
    edges = np.zeros((3, 3, 3, 6), "f4")
    rng = np.random.default_rng(0)
    edges[1, 1], edges[1, 2] = (
        sign * (1 + 0.01 * rng.uniform(size=(3, 6))) for sign in (1, -1)
    )
    seen, slopes = [], []
    edgy = {"block1_conv1": (edges, np.full(6, 5, "f4"))}
    monkeypatch.setattr(toys, "weights", lambda: edgy)
    for dtype in ("float32", "bfloat16"):
        network = toys.extractor(
            monkeypatch, ["block1_conv1"], dtype=dtype, padding=padding
        )
        with tf.GradientTape() as tape:
            tape.watch(image)
            features = network.model(image)["block1_conv1"]
            wide = tf.cast(features, tf.float32)
            total = tf.reduce_sum(wide * rows[..., None])
        slopes.append(tape.gradient(total, image))
        seen.append(wide - 5)
    inside = np.s_[:, 1:-1, 1:-1]
    norm = np.linalg.norm(seen[0][inside])
    # 1.5 where pixels are rounded to eight bits.
    assert np.linalg.norm((seen[1] - seen[0])[inside]) < 0.05 * norm
    # A gradient sums 6 channels at 2 places of the kernel. Emulation rounds
    # each partial sum by up to 2^-9; units for bfloat16 add up in float32.
    limit = 12 * 2**-9 if device.emulates_bfloat16() else 0.01
    np.testing.assert_allclose(
        slopes[1], slopes[0], atol=limit * np.abs(slopes[0]).max()
    )


def test_a_tensorflow_without_xla_does_without(monkeypatch, caplog):
    def compiled(function, **options):
        def refuse(*arguments):
            raise tf.errors.UnimplementedError(None, None, "no XLA here")

        return refuse if options.get("jit_compile") else function

    monkeypatch.setattr(ops, "MIN_FUSED_ELEMENTS", 0)
    monkeypatch.setattr(ops.tf, "function", compiled)
    ops._can_compile.cache_clear()
    try:
        for function in (tf.square, tf.abs):
            assert ops.fuse(function)(tf.constant(1.0)) == 1.0
    finally:
        ops._can_compile.cache_clear()
    assert caplog.messages == [
        "XLA cannot compile here, so that steps take longer: no XLA here"
    ]


@pytest.mark.parametrize(("kept", "runs"), [(True, 3), (False, 5)])
def test_maps_of_a_picture_are_kept_where_they_are_to_be(
    monkeypatch, kept, runs
):
    network = toys.extractor(monkeypatch)
    seen = []

    def record(pixels):
        seen.append(pixels.shape)
        return network.model(pixels)

    keeping = network._replace(compiled=record, cache={} if kept else None)
    picture = toys.image(8, 12)
    reshaped = picture.reshape(12, 8, 3)  # of the same bytes
    for image in (picture, picture.copy(), reshaped, picture, 1 - picture):
        maps = keeping.extract(image)
        for layer, expected in network.model(image[None]).items():
            np.testing.assert_array_equal(maps[layer], expected)
    assert len(seen) == runs


def test_a_narrow_network_carries_its_projections(monkeypatch):
    wide = toys.weights()
    narrow = {
        "block1_conv1": tuple(a[..., :4] for a in wide["block1_conv1"]),
        "block2_conv1": (wide["block2_conv1"][0][:, :, :4], np.zeros(8)),
    }
    projections = {"block1_conv1": np.eye(4, 6)}
    monkeypatch.setitem(architectures.NETWORKS, "toy", toys.ARCHITECTURE)
    network = extractors.vgg(
        "toy", list(narrow), narrow, projections=projections
    )
    features = network.model(toys.image(16, 16)[None])
    assert features["block1_conv1"].shape == (1, 16, 16, 4)
    np.testing.assert_array_equal(
        network.projections["block1_conv1"], np.eye(4, 6)
    )
    assert network.projections["block2_conv1"] is None


@pytest.mark.parametrize(
    ("dtype", "cosine"), [("bfloat16", 0.995), ("float16", 0.999)]
)
def test_half_precision_keeps_loss_and_gradient(dtype, cosine):
    layers = [f"block{block}_conv1" for block in range(1, 6)]
    found = weight_files.load("vgg19", "small")
    images = files.presets_folder() / "images"
    content, style = (
        image_io.cover(image_io.load_image(images / name), 96, 128)
        for name in ("harbor_at_dusk.jpg", "swirling_night.jpg")
    )
    gradients, values, at_target = [], [], []
    for each in ("float32", dtype):
        network = extractors.vgg(
            "vgg19",
            layers,
            found.layers,
            projections=found.projections,
            dtype=each,
        )
        loss_list = targets.perceptual_losses(
            toys.plan(
                content,
                toys.style(style, layers=dict.fromkeys(layers, 20.0)),
                content_weights={},
                tv_weight=0.0,
            ),
            network,
            96,
            128,
        )
        compiled = tf.function(objectives.make_objective(network, loss_list))
        evaluation = compiled(tf.constant(content[None]))
        assert evaluation.gradient.dtype == tf.float32
        gradients.append(np.ravel(evaluation.gradient))
        values.append(float(evaluation.loss))
        at_target.append(float(compiled(tf.constant(style[None])).loss))
    one, other = gradients
    norms = np.linalg.norm(one) * np.linalg.norm(other)
    assert one @ other / norms > cosine
    assert values[1] == pytest.approx(values[0], rel=3e-3)
    # Targets are rounded as features are, or it would end some percent above.
    assert max(at_target) < 1e-6
