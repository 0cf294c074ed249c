"""How the sources of the field count: what a squared difference is divided by.

The losses of `nst_tf.losses` are means, by default relative to their targets.
A source's loss is one of them times a constant, as long as the sizes of the
pictures and the network stay as they are; here are these constants. With them
a weight means what it means in the source.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Sizes(NamedTuple):
    """What a source may divide by, at one layer."""

    channels: int  # N, of the features that are compared
    positions: int  # M, of the generated image's feature map
    pixels: int  # of the generated image


Divisor = Callable[[Sizes], float]


class Convention(NamedTuple):
    """How one source counts. With nothing given, losses are relative.

    Attributes:
        content: What the mean squared difference of features is divided by;
            None for the mean square of the target.
        style: What the squared norm of the difference of two Gram matrices,
            each divided by its positions, is divided by; None for the squared
            norm of the target.
        style_loss: What the source compares of a style; with the relative
            convention what is compared by default.
        grain: Weight of the loss of grain by default, over that of style.
        floor: What is added to variances; None for a share of the target's.
        undivided: Gram matrices are sums over positions in the source, so that
            that of a larger style image counts more.
        neighbors: What total variation adds up, a name in
            `total_variation.FORMS`.
        summed: What the sum of that, over pixels and channels, is divided by;
            None for as many as there are, the mean.
        scaled: Whether the optimizer sees the gradient times the pixels, so
            that its noise floor means the same at every size.
        corrected: Whether Adam adds epsilon to the corrected root.
    """

    content: Divisor | None = None
    style: Divisor | None = None
    style_loss: str = "gram"
    grain: float = 0.0
    floor: float | None = None
    undivided: bool = False
    neighbors: str = "square"
    summed: float | None = None
    scaled: bool = True
    corrected: bool = False


def _one(_: Sizes) -> float:
    """Leaves a mean as it is."""
    return 1.0


def _half_of_the_mean(_: Sizes) -> float:
    """Gives mean / 2."""
    return 2.0


def _half_of_the_sum(sizes: Sizes) -> float:
    """Gives sum / 2."""
    return 2.0 / (sizes.channels * sizes.positions)


def _sum(sizes: Sizes) -> float:
    """Gives the sum."""
    return 1.0 / (sizes.channels * sizes.positions)


def _paper(sizes: Sizes) -> float:
    """Gives sum / (4 N^2 M^2) of Gram matrices that are sums."""
    return 4.0 * sizes.channels**2


def _mean(sizes: Sizes) -> float:
    """Gives the mean of Gram matrices divided by M."""
    return float(sizes.channels**2)


def _mean_of_means(sizes: Sizes) -> float:
    """Gives the mean of Gram matrices divided by N M."""
    return float(sizes.channels**4)


def _over_the_map(sizes: Sizes) -> float:
    """Gives the mean, divided by N M, of Gram matrices that are sums."""
    return sizes.channels**3 / sizes.positions


def _mean_of_sums(sizes: Sizes) -> float:
    """Gives the mean of Gram matrices that are sums."""
    return (sizes.channels / sizes.positions) ** 2


def _channels(sizes: Sizes) -> float:
    """Gives the mean over channels."""
    return float(sizes.channels)


def _keras(sizes: Sizes) -> float:
    """Gives sum / (4 * 3^2 * pixels^2) of Gram matrices that are sums."""
    return 36.0 * (sizes.pixels / sizes.positions) ** 2


CONVENTIONS: Mapping[str, Convention] = {
    "relative": Convention(style_loss="mix", grain=0.05),
    # Gatys, Ecker, Bethge. arXiv 1508.06576, and CVPR 2016, equations 1 to 5.
    "gatys2016": Convention(
        _half_of_the_sum, _paper, undivided=True, scaled=False
    ),
    # The authors' code: leongatys/PytorchNeuralStyleTransfer.
    "gatys2016_code": Convention(_one, _mean, scaled=False),
    # jcjohnson/neural-style: its total variation has a gradient only, that of
    # half the sum of squares.
    "neural_style": Convention(
        _one, _mean_of_means, neighbors="inner_square", summed=2.0, scaled=False
    ),
    # ProGamerGov/neural-style-pt.
    "neural_style_pt": Convention(
        _one, _mean_of_means, neighbors="absolute", summed=1.0, scaled=False
    ),
    # TensorFlow's tutorial, and the notebook of its blog before it.
    "tensorflow": Convention(
        _one, _mean, neighbors="absolute", summed=1.0, scaled=False
    ),
    # Keras's example; H. Narayanan's tutorial before it.
    "keras": Convention(
        _sum,
        _keras,
        undivided=True,
        neighbors="power",
        summed=1.0,
        scaled=False,
    ),
    # Udacity's course on PyTorch; it has no total variation.
    "pytorch_course": Convention(
        _one,
        _over_the_map,
        undivided=True,
        summed=1.0,
        scaled=False,
        corrected=True,
    ),
    # T. Ganegedara's article in Towards Data Science; likewise.
    "towards_data_science": Convention(
        _half_of_the_mean, _mean_of_sums, undivided=True, scaled=False
    ),
    # crowsonkb/style-transfer-pytorch. Its network is torchvision's, which sees
    # pictures in units of a deviation of 0.226; so the floor of 1e-4.
    "crowson_w2": Convention(
        _one,
        _channels,
        style_loss="wasserstein",
        floor=1e-4 * (255 * 0.226) ** 2,
        neighbors="nine_point",
        scaled=False,
        corrected=True,
    ),
}
