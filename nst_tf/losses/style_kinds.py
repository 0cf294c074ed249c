"""Lists the style losses, with everything that a plan needs of them.

Nothing here imports TensorFlow.
"""

import pkgutil
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nst_tf.losses import style_losses


LAYERS = "block1_conv1,block2_conv1,block3_conv1,block4_conv1,block5_conv1"
NEIGHBORS_LAYERS = "block3_conv1,block4_conv1"
PAIRS = (
    "block1_conv1+block2_conv1,block2_conv1+block3_conv1,"
    "block3_conv1+block4_conv1,block4_conv1+block5_conv1"
)


class StyleLossKind(NamedTuple):
    """A style loss: the location of its class, and its properties."""

    location: str  # "module:class"
    words: str  # its name in --help
    strength_scale: float  # style weight relative to "gram", at equal strength
    additive: bool = True  # whether tiles can compute it
    step_bytes: int = 0  # additional bytes of a step per pixel
    layers: str = LAYERS  # default layers
    beside: str = ""  # an additional loss with its own weight
    paired: bool = False  # whether its layers are pairs, "layer+deeper layer"

    def load(self) -> "type[style_losses.StyleLoss]":
        """Imports its class."""
        loss: type[style_losses.StyleLoss] = pkgutil.resolve_name(self.location)
        return loss


STYLE_LOSSES = {
    "mix": StyleLossKind(
        "nst_tf.losses.style_losses:GramLoss",
        "Gram matrices and nearest neighbors",
        strength_scale=0.5,
        step_bytes=200,
        beside="neighbors",
    ),
    "gram": StyleLossKind(
        "nst_tf.losses.style_losses:GramLoss",
        "Gram matrices",
        strength_scale=1.0,
    ),
    "across": StyleLossKind(
        "nst_tf.losses.style_losses:AcrossLoss",
        "Gram matrices across layers",
        strength_scale=1.0,
        step_bytes=600,
        layers=PAIRS,
        paired=True,
    ),
    "moments": StyleLossKind(
        "nst_tf.losses.style_losses:MomentsLoss",
        "means and deviations",
        strength_scale=5.0,
    ),
    "wasserstein": StyleLossKind(
        "nst_tf.losses.wasserstein:WassersteinLoss",
        "Gaussian distributions",
        strength_scale=2.0,
    ),
    "sliced_wasserstein": StyleLossKind(
        "nst_tf.losses.wasserstein:SlicedWassersteinLoss",
        "whole distributions, along directions",
        strength_scale=7.0,
        additive=False,
        step_bytes=900,  # 32 sorted directions
    ),
    "neighbors": StyleLossKind(
        "nst_tf.losses.neighbors:NeighborsLoss",
        "nearest neighbors",
        strength_scale=1.0,
        step_bytes=200,
        layers=NEIGHBORS_LAYERS,
    ),
}
