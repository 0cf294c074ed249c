"""The VGG networks as plain data: layers, channels, stride and reach.

Nothing here needs TensorFlow, so that flags and weights files can be checked
before it is imported.

Source:
    Simonyan, Zisserman. Very Deep Convolutional Networks for Large-Scale Image
    Recognition. ICLR 2015, table 1, columns D (VGG16) and E (VGG19).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nst_tf import errors
from nst_tf.network import bundled

# ImageNet's mean color, RGB in [0, 1]; Keras and Caffe subtract it in BGR,
# 0..255, as (103.939, 116.779, 123.68).
MEAN_COLOR = (123.68 / 255.0, 116.779 / 255.0, 103.939 / 255.0)


class Convolution(NamedTuple):
    """One 3 x 3 convolution with its ReLU, named as Keras names it."""

    name: str
    block: int  # from 1; a 2 x 2 pooling stands between two blocks
    in_channels: int
    out_channels: int
    stride: int  # pixels from one position to the next
    reach: int  # pixels seen to each side of a position's own stride square


class Architecture(NamedTuple):
    """A chain of blocks of 3 x 3 convolutions, 2 x 2 pooling between them."""

    depths: tuple[int, ...]  # convolutions in each block
    channels: tuple[int, ...]  # channels of each block
    keras_md5: str = ""  # of Keras's file of its weights, if there is one
    shipped: bundled.Bundled | None = None  # its weights, if they ship
    small: bundled.Bundled | None = None  # likewise a narrow one in its place


def list_convolutions(network: str) -> list[Convolution]:
    """Lists the convolutions of a network from the image on.

    The position (row, column) of a layer of stride s covers the pixels
    s * row ... s * row + s - 1 and sees `reach` pixels more to each side: a
    3 x 3 convolution adds its own stride to the reach, a pooling nothing.

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


def check_layers(network: str, layers: Iterable[str]) -> None:
    """Raises ValueError, with a suggestion, for a layer not in a network."""
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
    """Multiplications for each pixel, up to a layer, over 3 x 3."""
    total = 0.0
    for layer in list_convolutions(network):
        total += layer.in_channels * layer.out_channels / layer.stride**2
        if layer.name == last:
            break
    return total


def choose_convolution(
    convolution: str, precision: str, is_gpu: bool = False
) -> str:
    """Chooses one of `CONVOLUTIONS`, or takes the one that is asked for.

    In float32 on a CPU multiplications take most of the time.

    Args:
        convolution: "auto", or one of them.
        precision: Type that the network computes in.
        is_gpu: Whether a GPU computes.

    Raises:
        ValueError: If it does not compute in the precision.
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
    """Returns whether a layer of so many channels is one of Winograd's."""
    is_wide = min(channels) >= WINOGRAD_CHANNELS
    return is_wide and layer.stride <= WINOGRAD_STRIDE


def find_grid(network: str, last: str, convolution: str) -> int:
    """Returns the pixels at whose multiples a tile begins.

    There the network down to a layer rounds as it does in the whole image: a
    position of the layer begins there and, with Winograd's convolutions, one of
    their tiles.

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
# Average pooling shrinks activations after a ReLU: of four values the largest
# is kept by max pooling, the mean by average pooling. The factor restores the
# size that the next layer was trained with. It was fitted, not derived: the
# geometric mean, over the four poolings of VGG19 and the six pictures of
# configs/images, of rms(max pooled) / rms(average pooled) of the same maps
# (scripts/benchmarks/boundaries.py prints it; by pooling it is 1.2, 1.6, 1.4
# and 1.9).
AVERAGE_POOLING_SCALE = 1.5
# What the mean of four values is multiplied by; 0: their largest one is taken.
POOLINGS = {
    "max": 0.0,
    "average": 1.0,
    "average_rescaled": AVERAGE_POOLING_SCALE,
}
# What a convolution sees beyond the border.
PADDINGS = ("zeros", "symmetric_first", "symmetric")
# How convolutions are computed. Winograd's, in float32, are those from so many
# channels to so many, or more: with fewer its transforms take what its products
# save (scripts/benchmarks/convolutions.py). And those up to this stride: beyond
# it there is little to do, and filters take as much memory as before.
CONVOLUTIONS = ("direct", "winograd")
WINOGRAD_CHANNELS = 128
WINOGRAD_STRIDE = 8
WINOGRAD_TILE = 4  # results, to each side
