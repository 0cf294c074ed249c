"""Losses: additive statistics of feature maps, and distances of these.

The statistics of a whole are the sum of those of its parts, so that masks,
blends of styles and tiles need no special case. `objectives` combines weighted
losses to `image -> Evaluation(loss, gradient, terms)`, the only interface of
optimizers.

    import tensorflow as tf
    from nst_tf import losses
    features = tf.random.uniform([1, 48, 64, 64])
    target = losses.GramLoss.measure(features)
    loss = losses.GramLoss("block1_conv1", target)
"""

from typing import TYPE_CHECKING

import nst_tf

if TYPE_CHECKING:
    from nst_tf.losses.content_loss import ContentLoss as ContentLoss
    from nst_tf.losses.grain import GrainLoss as GrainLoss
    from nst_tf.losses.neighbors import NeighborsLoss as NeighborsLoss
    from nst_tf.losses.objectives import Evaluation as Evaluation
    from nst_tf.losses.objectives import make_objective as make_objective
    from nst_tf.losses.priors import PriorLoss as PriorLoss
    from nst_tf.losses.protocol import Loss as Loss
    from nst_tf.losses.protocol import drop_absent as drop_absent
    from nst_tf.losses.style_losses import AcrossLoss as AcrossLoss
    from nst_tf.losses.style_losses import GramLoss as GramLoss
    from nst_tf.losses.style_losses import MomentsLoss as MomentsLoss
    from nst_tf.losses.style_losses import StyleLoss as StyleLoss
    from nst_tf.losses.sums import Statistics as Statistics
    from nst_tf.losses.sums import divide_by_mass as divide_by_mass
    from nst_tf.losses.sums import gram_matrix as gram_matrix
    from nst_tf.losses.sums import multiply_masks as multiply_masks
    from nst_tf.losses.sums import widen as widen
    from nst_tf.losses.total_variation import (
        TotalVariationLoss as TotalVariationLoss,
    )
    from nst_tf.losses.wasserstein import (
        SlicedWassersteinLoss as SlicedWassersteinLoss,
    )
    from nst_tf.losses.wasserstein import WassersteinLoss as WassersteinLoss
else:
    __all__, __getattr__, __dir__ = nst_tf.import_lazily(
        __name__,
        {},
        {
            "AcrossLoss": "style_losses:AcrossLoss",
            "ContentLoss": "content_loss:ContentLoss",
            "Evaluation": "objectives:Evaluation",
            "GrainLoss": "grain:GrainLoss",
            "GramLoss": "style_losses:GramLoss",
            "Loss": "protocol:Loss",
            "MomentsLoss": "style_losses:MomentsLoss",
            "NeighborsLoss": "neighbors:NeighborsLoss",
            "PriorLoss": "priors:PriorLoss",
            "SlicedWassersteinLoss": "wasserstein:SlicedWassersteinLoss",
            "Statistics": "sums:Statistics",
            "StyleLoss": "style_losses:StyleLoss",
            "TotalVariationLoss": "total_variation:TotalVariationLoss",
            "WassersteinLoss": "wasserstein:WassersteinLoss",
            "divide_by_mass": "sums:divide_by_mass",
            "drop_absent": "protocol:drop_absent",
            "gram_matrix": "sums:gram_matrix",
            "make_objective": "objectives:make_objective",
            "multiply_masks": "sums:multiply_masks",
            "widen": "sums:widen",
        },
    )
