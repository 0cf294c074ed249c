"""Lists the loss normalizations of published implementations.

The losses of `nst_tf.losses` are means, by default relative to their targets.
For a given network and picture size, a source's loss is one of these losses
times a constant. This module lists the constants, so that a user can set
weights in the source's units.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple


class Sizes(NamedTuple):
    """The sizes that a normalization may depend on, at one layer."""

    channels: int  # N, of the compared features
    positions: int  # M, of the generated image's feature map
    pixels: int  # of the generated image


Divisor = Callable[[Sizes], float]


class Convention(NamedTuple):
    """The loss normalization of a source; by default losses are relative.

    Attributes:
        content: Divisor of the mean squared difference of features; None: the
            mean square of the target.
        style: Divisor of the squared norm of the difference of two Gram
            matrices, each averaged over positions; None: the squared norm of
            the target.
        style_loss: The style loss of the source; for the relative convention,
            the default style loss.
        grain: Default weight of the grain loss, relative to the style weight.
        scales: Default number of scales of the style loss.
        floor: Constant added to variances; None: a share of the target's.
        undivided: Whether the source's Gram matrices are sums over positions,
            so that larger style images have more weight.
        neighbors: The form of total variation, a name in
            `total_variation.FORMS`.
        summed: Divisor of its sum over pixels and channels; None: their number,
            for the mean.
        scaled: Whether the optimizer multiplies the gradient by the number of
            pixels, so that its noise floor does not depend on the size.
        corrected: Whether Adam adds epsilon to the corrected root.
    """

    content: Divisor | None = None
    style: Divisor | None = None
    style_loss: str = "gram"
    grain: float = 0.0
    scales: int = 1
    floor: float | None = None
    undivided: bool = False
    neighbors: str = "square"
    summed: float | None = None
    scaled: bool = True
    corrected: bool = False


def _one(_: Sizes) -> float:
    """Returns 1: the source's loss is the mean itself."""
    return 1.0


def _half_of_the_mean(_: Sizes) -> float:
    """Returns the divisor for mean / 2."""
    return 2.0


def _half_of_the_sum(sizes: Sizes) -> float:
    """Returns the divisor for sum / 2."""
    return 2.0 / (sizes.channels * sizes.positions)


def _sum(sizes: Sizes) -> float:
    """Returns the divisor for the sum."""
    return 1.0 / (sizes.channels * sizes.positions)


def _paper(sizes: Sizes) -> float:
    """Returns the divisor for sum / (4 N^2 M^2) of summed Gram matrices."""
    return 4.0 * sizes.channels**2


def _mean(sizes: Sizes) -> float:
    """Returns the divisor for the mean of Gram matrices divided by M."""
    return float(sizes.channels**2)


def _mean_of_means(sizes: Sizes) -> float:
    """Returns the divisor for the mean of Gram matrices divided by N M."""
    return float(sizes.channels**4)


def _over_the_map(sizes: Sizes) -> float:
    """Returns the divisor for mean / (N M) of summed Gram matrices."""
    return sizes.channels**3 / sizes.positions


def _mean_of_sums(sizes: Sizes) -> float:
    """Returns the divisor for the mean of summed Gram matrices."""
    return (sizes.channels / sizes.positions) ** 2


def _channels(sizes: Sizes) -> float:
    """Returns the divisor for the mean over channels."""
    return float(sizes.channels)


def _keras(sizes: Sizes) -> float:
    """Returns the divisor for sum / (36 pixels^2) of summed Gram matrices."""
    return 36.0 * (sizes.pixels / sizes.positions) ** 2


CONVENTIONS: Mapping[str, Convention] = {
    "relative": Convention(style_loss="mix", grain=0.05, scales=2),
    # Gatys, Ecker, Bethge. arXiv 1508.06576, and CVPR 2016, equations 1 to 5.
    "gatys2016": Convention(
        _half_of_the_sum, _paper, undivided=True, scaled=False
    ),
    # The authors' code: leongatys/PytorchNeuralStyleTransfer.
    "gatys2016_code": Convention(_one, _mean, scaled=False),
    # jcjohnson/neural-style: it implements only the gradient of total
    # variation, that of half the sum of squares.
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
    # Udacity's course on PyTorch, without total variation.
    "pytorch_course": Convention(
        _one,
        _over_the_map,
        undivided=True,
        summed=1.0,
        scaled=False,
        corrected=True,
    ),
    # T. Ganegedara's article in Towards Data Science, without total variation.
    "towards_data_science": Convention(
        _half_of_the_mean, _mean_of_sums, undivided=True, scaled=False
    ),
    # crowsonkb/style-transfer-pytorch. Its network, torchvision's, divides
    # pictures by a deviation of 0.226, which also scales the floor of 1e-4.
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
