"""Plans and networks for benchmarks, which measure the parts of a run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nst_tf.images import image_io
from nst_tf.network import weight_files
from nst_tf.plan import inputs, planning, settings, style_regions
from nst_tf.runs import api

if TYPE_CHECKING:
    from nst_tf.network import extractors


def make_plan(
    job: settings.Job,
    content: np.ndarray,
    style: np.ndarray,
    network: weight_files.NetworkWeights,
) -> planning.Plan:
    """Makes the plan of a job with pictures, [H, W, 3], in place of its own."""
    read = inputs.take_inputs(job, content, style, {})
    return api.make_plan(job, read._replace(network=network))


def compare_layers(
    content: np.ndarray,
    style: np.ndarray,
    content_layers: Mapping[str, float],
    style_layers: Mapping[str, float],
    **fields: Any,
) -> planning.Plan:
    """Makes a plan with losses, and without levels, of pictures, [H, W, 3].

    Args:
        content: The content image.
        style: The style image.
        content_layers: Weight of the content loss, by layer.
        style_layers: Weight of the style loss, by layer.
        **fields: Further ones of `planning.Plan`.
    """
    picture = image_io.Picture(content)
    styles = [style_regions.Style(style, layers=style_layers)]
    return planning.Plan(
        inputs.Inputs(picture),
        content,
        [],
        content_layers,
        **{"regions": [style_regions.Region(styles)], **fields},
    )


def make_extractor(plan: planning.Plan) -> "extractors.Extractor":
    """Builds the network of a plan, as far as its losses need it."""
    from nst_tf.network import extractors
    from nst_tf.transfer import targets

    network, weights = plan.network, plan.inputs.network
    assert weights is not None
    return extractors.vgg(
        network.name,
        targets.list_layers(plan, plan.scales),
        weights.layers,
        projections=weights.projections,
        pooling=network.pooling,
        padding=network.padding,
        dtype=network.precision,
    )
