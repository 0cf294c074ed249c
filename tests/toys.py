"""Small things to test on: a network, images, masks, a bowl."""

from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf

from nst_tf.images import image_io
from nst_tf.losses import (
    content_loss,
    objectives,
    style_losses,
    sums,
    total_variation,
)
from nst_tf.network import architectures, extractors, weight_files
from nst_tf.plan import inputs, planning, pyramid, style_regions

# Two blocks, of one and two convolutions.
ARCHITECTURE = architectures.Architecture((1, 2), (6, 8))
LAYERS = ("block1_conv1", "block2_conv1", "block2_conv2")
STYLE_LAYERS = LAYERS[:2]
CONTENT_LAYER = LAYERS[2]


def weights(seed=0):
    """He-normal kernels and small biases, for images of 0..255."""
    rng = np.random.default_rng(seed)
    result = {}
    channels = (3, 6, 8, 8)
    for layer, before, after in zip(
        LAYERS, channels, channels[1:], strict=False
    ):
        scale = np.sqrt(2 / (9 * before))
        kernel = rng.normal(scale=scale, size=(3, 3, before, after))
        bias = rng.normal(scale=0.1, size=after)
        result[layer] = kernel.astype("f4"), bias.astype("f4")
    return result


def write_weights(path, layers=None):
    """Writes weights as Keras 2 does."""
    with h5py.File(path, "w") as file:
        for name, (kernel, bias) in (layers or weights()).items():
            group = file.create_group(f"{name}/{name}")
            group["kernel:0"] = kernel
            group["bias:0"] = bias


def extractor(monkeypatch, layers=LAYERS, **options):
    """The toy network; `monkeypatch` may be None inside the fixture `toy`."""
    if monkeypatch is not None:
        monkeypatch.setitem(architectures.NETWORKS, "toy", ARCHITECTURE)
    return extractors.vgg("toy", layers, weights(), **options)


def image(height, width, seed=0, dtype="float32"):
    """A smooth random picture, [H, W, 3], inside (0, 1)."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0.2, 0.8, size=(4, 4, 3)).astype("f4")
    smooth = tf.image.resize(coarse, (height, width), "bicubic").numpy()
    fine = rng.uniform(-0.15, 0.15, size=(height, width, 3))
    return np.clip(smooth + fine, 0.02, 0.98).astype(dtype)


def picture(height, width, seed=0):
    """The same, as if it were read from a file."""
    return image_io.Picture(image(height, width, seed))


def style(pixels, weight=1.0, share=50.0, **options):
    """A style whose layers have so much weight each."""
    options.setdefault("layers", dict.fromkeys(STYLE_LAYERS, share))
    return style_regions.Style(pixels, weight, **options)


def plan(content, *styles, alpha=None, levels=(), **changes):
    """A plan for the toy network, of arrays; `regions` may be among changes."""
    found = [
        each if isinstance(each, style_regions.Style) else style(each)
        for each in styles
    ]
    fields = {
        "content_weights": {CONTENT_LAYER: 5.0},
        "regions": [style_regions.Region(found)] if found else [],
        "tv_weight": 1.0,
        "layers": LAYERS,
        "network": planning.NetworkSpec("toy"),
        **changes,
    }
    read = inputs.Inputs(
        image_io.Picture(content, alpha),
        network=weight_files.NetworkWeights(weights(), "toy"),
    )
    levels = levels or [pyramid.Level(*content.shape[:2], 1)]
    return planning.Plan(read, content, levels, **fields)


def shapes(narrow=False):
    """VGG19's first two blocks for a plan, in which only shapes count."""
    layers = {
        each.name: (np.zeros((3, 3, each.in_channels, each.out_channels)),)
        for each in architectures.list_convolutions("vgg19")
        if each.block <= 2
    }
    return weight_files.NetworkWeights(layers, "zeros", {} if narrow else None)


def checkerboard(height, width):
    """[1, H, W, 3] of 0 and 1."""
    rows, columns = np.indices((height, width))
    board = ((rows + columns) % 2).astype("f4")
    return tf.constant(np.repeat(board[None, ..., None], 3, axis=-1))


def mask(height, width, seed=0):
    """A random mask, [1, H, W, 1], in [0, 1]."""
    rng = np.random.default_rng(seed)
    return tf.constant(rng.uniform(size=(1, height, width, 1)))


def style_and_content(network, content, style, *, tv=1.0):
    """Losses of every kind, with targets from two pictures [H, W, 3]."""
    content_maps = network.model(tf.constant(content[None]))
    style_maps = network.model(tf.constant(style[None]))
    loss_list = [
        content_loss.ContentLoss(
            CONTENT_LAYER, content_maps[CONTENT_LAYER], 5.0
        ),
        total_variation.TotalVariationLoss(tv),
    ]
    for layer in STYLE_LAYERS:
        gram = sums.gram_matrix(style_maps[layer])
        loss_list.append(style_losses.GramLoss(layer, gram, 50.0))
    return loss_list


def compiled(evaluate):
    """An objective as a function whose gradients are tensors of their own."""

    def read(image):
        evaluation = evaluate(image)
        gradient = tf.convert_to_tensor(evaluation.gradient)
        return evaluation._replace(gradient=gradient)

    return tf.function(read, autograph=False)


def differentiate(function, point):
    """The value of a function of a tensor, and its gradient there."""
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = function(point)
    return value, tape.gradient(value, point)


def bowl(target):
    """Half the mean squared distance to a target, with its gradient."""

    def evaluate(picture):
        difference = picture - tf.cast(target, picture.dtype)
        pixels = tf.cast(tf.size(picture) // 3, picture.dtype)
        loss = 0.5 * tf.reduce_sum(difference**2) / pixels
        return objectives.Evaluation(loss, difference / pixels, {"bowl": loss})

    return evaluate


GOLDEN_FLAGS = ("--steps=12,8", "--pooling=average", "--optimizer=adam")


def write_flag_file(weights_path):
    """Writes toy.cfg and its pictures into the working directory."""
    image_io.save_image("town.png", image(60, 80, 0))
    image_io.save_image("paint.png", image(50, 60, 1))
    Path("toy.cfg").write_text(
        "# A town of noise.\n"
        "--content=town.png\n--style=paint.png\n--size=96\n--steps=3\n"
        f"--extractor=toy\n--weights={weights_path}\n--precision=float32\n"
        f"--content_layers={CONTENT_LAYER}\n"
        f"--style_layers={','.join(STYLE_LAYERS)}\n--min_size=48\n--growth=1.4142\n"
        "--style_loss=gram\n--content_weight=5\n--grain_weight=0\n--scales=1\n"
    )
