"""The table of style losses: all that is asked of one before it is imported.

Nothing here needs TensorFlow.
"""

import pkgutil
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nst_tf.losses import style_losses


LAYERS = "block1_conv1,block2_conv1,block3_conv1,block4_conv1,block5_conv1"
NEIGHBORS_LAYERS = "block3_conv1,block4_conv1"


class StyleLossKind(NamedTuple):
    """A style loss: where its class is, and what a plan needs to know."""

    location: str  # of its class, "module:class"
    words: str  # what it compares, for --help
    strength_scale: float  # style weight over that of "gram", at one strength
    additive: bool = True  # whether the statistics of parts add up
    step_bytes: int = 0  # that a step takes besides, for each pixel
    layers: str = LAYERS  # that it compares by default
    beside: str = ""  # the loss that is added to it, with a weight of its own

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
