"""The table of style losses: all that is asked of one before it is imported.

Nothing here needs TensorFlow.
"""

import pkgutil
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nst_tf.losses import style_losses


class StyleLossKind(NamedTuple):
    """A style loss: where its class is, and what a plan needs to know."""

    location: str  # of its class, "module:class"
    words: str  # what it compares, for --help
    strength_scale: float  # style weight over that of "gram", at one strength
    additive: bool = True  # whether the statistics of parts add up
    step_bytes: int = 0  # that a step takes besides, for each pixel

    def load(self) -> "type[style_losses.StyleLoss]":
        """Imports its class."""
        loss: type[style_losses.StyleLoss] = pkgutil.resolve_name(self.location)
        return loss


STYLE_LOSSES = {
    "gram": StyleLossKind(
        "nst_tf.losses.style_losses:GramLoss",
        "products of channels",
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
        "all of the distribution, along some directions",
        strength_scale=7.0,
        additive=False,
        step_bytes=900,  # 32 sorted directions
    ),
}
