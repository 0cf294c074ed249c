"""Describes the VGG networks as plain data: layers, stride and reach.

Nothing here imports TensorFlow, so that flags and weights files are checked
before it is loaded.

Source:
    Simonyan, Zisserman. Very Deep Convolutional Networks for Large-Scale Image
    Recognition. ICLR 2015, table 1, columns D (VGG16) and E (VGG19).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from nst_tf import errors
from nst_tf.network import bundled

# ImageNet's mean color, RGB in [0, 1]; Keras and Caffe subtract it in BGR,
# 0..255, as (103.939, 116.779, 123.68).
MEAN_COLOR = (123.68 / 255.0, 116.779 / 255.0, 103.939 / 255.0)


class Convolution(NamedTuple):
    """One 3 x 3 convolution with its ReLU, named as Keras names it."""

    name: str
    block: int  # from 1; a 2 x 2 pooling separates two blocks
    in_channels: int
    out_channels: int
    stride: int  # pixels from one position to the next
    reach: int  # pixels read on each side of a position's own square


class Architecture(NamedTuple):
    """A chain of blocks of 3 x 3 convolutions, 2 x 2 pooling between them."""

    depths: tuple[int, ...]  # convolutions in each block
    channels: tuple[int, ...]  # channels of each block
    keras_md5: str = ""  # of Keras's weights file, if any
    shipped: bundled.Bundled | None = None  # its bundled weights
    small: bundled.Bundled | None = None  # a bundled small network


def list_convolutions(network: str) -> list[Convolution]:
    """Lists the convolutions of a network, starting at the image.

    The position (row, column) of a layer of stride s covers the pixels s * row
    ... s * row + s - 1 and reads `reach` more pixels on each side: a 3 x 3
    convolution adds its stride to the reach, a pooling nothing.

    Args:
        network: A key of `NETWORKS`.

    Returns:
        The convolutions, in the order in which they are computed.
    """
    depths, channels, *_ = NETWORKS[network]
    layers = []
    in_channels, stride, reach = 3, 1, 0
    for block, (depth, width) in enumerate(
        zip(depths, channels, strict=True), start=1
    ):
        for index in range(1, depth + 1):
            reach += stride
            name = f"block{block}_conv{index}"
            layers.append(
                Convolution(name, block, in_channels, width, stride, reach)
            )
            in_channels = width
        stride *= 2
    return layers


class Map(NamedTuple):
    """A map that the losses may read, by the layers that it is made of."""

    layers: tuple[str, ...]  # one; or a shallower and a deeper one, joined
    scale: int  # of an image whose sides are divided by it: 1, 2 or 4

    @property
    def name(self) -> str:
        """Returns a name such as "block3_conv1" or "block3_conv1_by2"."""
        by = f"_by{self.scale}" if self.scale > 1 else ""
        return "+".join(self.layers) + by


def parse_map(name: str) -> Map:
    """Parses the name of a map: "block1_conv1+block2_conv1_by2"."""
    layers, _, scale = name.partition("_by")
    return Map(tuple(layers.split("+")), int(scale or 1))


def list_layers(names: Iterable[str]) -> list[str]:
    """Lists the layers that maps are made of, each once."""
    layers = (layer for name in names for layer in parse_map(name).layers)
    return list(dict.fromkeys(layers))


def scale_weights(
    weights: Mapping[str, float], scales: int
) -> dict[str, float]:
    """Gives the layers at several scales weights, from those at one scale.

    Divided by the square root of the number of scales, they leave the content
    and style distances of a picture as they are (scripts/benchmarks/scales.py).

    Args:
        weights: Layer -> weight.
        scales: Number of scales; each halves the sides of the one before.
    """
    return {
        Map((layer,), 2**octave).name: weight / math.sqrt(scales)
        for octave in range(scales)
        for layer, weight in weights.items()
    }


def check_pairs(network: str, pairs: Iterable[str]) -> None:
    """Raises ValueError unless each is a layer, "+" and a deeper layer."""
    names = [layer.name for layer in list_convolutions(network)]
    for pair in pairs:
        layers = pair.split("+")
        check_layers(network, layers)
        if len(layers) != 2 or names.index(layers[0]) >= names.index(layers[1]):
            raise ValueError(
                f"{pair!r} is no pair of layers; expected a layer, + and a "
                f"deeper layer, such as {names[0]}+{names[-1]}."
            )


def check_layers(network: str, layers: Iterable[str]) -> None:
    """Raises ValueError, with a suggestion, for an unknown layer."""
    names = [layer.name for layer in list_convolutions(network)]
    for layer in layers:
        if layer not in names:
            raise ValueError(
                f"{network} has no layer {layer!r}"
                + errors.go_on(
                    errors.did_you_mean(layer, names),
                    f"its layers are {names[0]} to {names[-1]}.",
                )
            )


def find_deepest(network: str, layers: Iterable[str]) -> Convolution:
    """Returns the last convolution that the given layers need."""
    wanted = set(layers)
    return [c for c in list_convolutions(network) if c.name in wanted][-1]


def count_work(network: str, last: str) -> float:
    """Counts the multiplications per pixel, up to a layer, divided by 9."""
    total = 0.0
    for layer in list_convolutions(network):
        total += layer.in_channels * layer.out_channels / layer.stride**2
        if layer.name == last:
            break
    return total


def choose_convolution(
    convolution: str, precision: str, is_gpu: bool = False
) -> str:
    """Resolves "auto" to one of `CONVOLUTIONS`, and checks the precision.

    Winograd convolutions pay off in float32 on a CPU, where multiplications
    take most of the time.

    Args:
        convolution: "auto", or one of them.
        precision: Data type of the network.
        is_gpu: Whether a GPU computes.

    Raises:
        ValueError: If the algorithm does not support the precision.
    """
    if convolution == "auto":
        is_fast = precision == "float32" and not is_gpu
        return "winograd" if is_fast else "direct"
    if convolution == "winograd" and precision != "float32":
        raise ValueError(
            f"--convolution is 'winograd', which computes in float32, but "
            f"--precision is {precision!r}; choose --precision=float32 or "
            f"--convolution=auto."
        )
    return convolution


def is_by_winograd(layer: Convolution, channels: Sequence[int]) -> bool:
    """Returns whether a layer with these (in, out) channels uses Winograd."""
    is_wide = min(channels) >= WINOGRAD_CHANNELS
    return is_wide and layer.stride <= WINOGRAD_STRIDE


def find_grid(network: str, last: str, convolution: str) -> int:
    """Returns the grid of tile starts, in pixels.

    At its multiples, rounding is the same as in the whole image: positions of
    the layer and Winograd tiles start there.

    Args:
        network: A key of `NETWORKS`.
        last: The deepest layer.
        convolution: One of `CONVOLUTIONS`.
    """
    grid = 1
    for layer in list_convolutions(network):
        channels = layer.in_channels, layer.out_channels
        grid = max(grid, layer.stride)
        if convolution == "winograd" and is_by_winograd(layer, channels):
            grid = max(grid, WINOGRAD_TILE * layer.stride)
        if layer.name == last:
            break
    return grid


NETWORKS = {
    "vgg16": Architecture(
        (2, 2, 3, 3, 3),
        (64, 128, 256, 512, 512),
        "6d6bbae143d832006294945121d1f1fc",
    ),
    "vgg19": Architecture(
        (2, 2, 4, 4, 4),
        (64, 128, 256, 512, 512),
        "253f8cb515780f3b799900260a226db6",
        bundled.VGG19,
        bundled.SMALL,
    ),
}
# Average pooling gives smaller activations after a ReLU than max pooling. The
# factor restores the scale that the next layer was trained with. It was fitted,
# not derived: the geometric mean of rms(max pooled) / rms(average pooled) over
# the four poolings of VGG19 and the six pictures of configs/images
# (scripts/benchmarks/boundaries.py prints it; per pooling it is 1.2, 1.6, 1.4
# and 1.9).
AVERAGE_POOLING_SCALE = 1.5
# Name -> factor on the mean of four values; 0: max pooling.
POOLINGS = {
    "max": 0.0,
    "average": 1.0,
    "average_rescaled": AVERAGE_POOLING_SCALE,
}
# Values of a convolution beyond the border.
PADDINGS = ("zeros", "symmetric_first", "symmetric")
# Convolution algorithms. Winograd is used in float32, from this many input and
# output channels on: with fewer, its transforms cost more than its products
# save (scripts/benchmarks/convolutions.py). And up to this stride: deeper
# layers have little work, but their filters need as much memory.
CONVOLUTIONS = ("direct", "winograd")
WINOGRAD_CHANNELS = 128
WINOGRAD_STRIDE = 8
WINOGRAD_TILE = 4  # outputs per side
