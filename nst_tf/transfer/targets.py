"""Makes all losses of a plan, with targets, for one image size."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas
from nst_tf.images import image_io
from nst_tf.losses import content_loss, priors, protocol, sums, total_variation
from nst_tf.network import architectures, extractors
from nst_tf.plan import planning, tiles
from nst_tf.tiling import feature_maps, views
from nst_tf.transfer import sized_plans, style_targets, target_cache


def perceptual_losses(
    plan: planning.Plan,
    extractor: extractors.Extractor,
    height: int,
    width: int,
    cache: target_cache.TargetCache | None = None,
) -> list[protocol.Loss]:
    """Makes the losses of Gatys et al. for an image of height x width.

    The content image is resized to that size. The statistics of several styles
    are blended by their weights. Transparent parts are ignored in all losses:
    at a layer, a position has the mean alpha of its pixels as weight. The
    weight of a region's losses is proportional to its area, so that small and
    large regions are painted equally strongly.

    Args:
        plan: Pictures, weights and conventions.
        extractor: Has at least the layers with a weight.
        height: Of the generated image.
        width: Of the generated image.
        cache: The style targets that this extractor has computed before.

    Returns:
        The losses, with their targets: content, style for each region, total
        variation and priors.

    Source:
        Masks averaged to the size of a layer: Gatys, Ecker, Bethge, Hertzmann,
        Shechtman. Controlling Perceptual Factors in Neural Style Transfer. CVPR
        2017, section 4.
    """
    alpha = plan.inputs.content.alpha
    if alpha is not None:
        alpha = image_io.resize_alpha(alpha, height, width)
    sized = sized_plans.SizedPlan(
        *(plan, extractor, height, width, alpha),
        cache or target_cache.TargetCache(),
    )
    loss_list: list[protocol.Loss] = [*_content_losses(sized)]
    for region in plan.regions:
        loss_list += style_targets.make_style_losses(sized, region)
    if total_variation_loss := _total_variation_loss(sized):
        loss_list.append(total_variation_loss)
    for name, weight in sized_plans.select_positive(plan.prior_weights).items():
        seen = sized_plans.average(alpha, 1)
        loss_list.append(priors.PriorLoss(name, weight, seen))
    return loss_list


def _content_losses(
    sized: sized_plans.SizedPlan,
) -> list[content_loss.ContentLoss]:
    """Makes a content loss for each layer with a weight."""
    plan, extractor = sized.plan, sized.extractor
    weights = sized_plans.select_positive(plan.content_weights)
    if not weights:
        return []
    masks = {
        layer: sized_plans.average(sized.alpha, extractor.stride[layer])
        for layer in weights
    }
    image = image_io.resize(plan.content, sized.height, sized.width)
    features, squares = _content_targets(extractor, image, plan.tiling, masks)
    divide = plan.convention.content
    return [
        content_loss.ContentLoss(
            layer,
            features[layer],
            weight,
            masks[layer],
            projection=extractor.projections[layer],
            divisor=divide and divide(sized.measure_sizes(layer)),
            square=squares.get(layer),
        )
        for layer, weight in weights.items()
    ]


def _total_variation_loss(
    sized: sized_plans.SizedPlan,
) -> total_variation.TotalVariationLoss | None:
    """Makes total variation; returns None without weight or pixel pairs."""
    height, width = sized.height, sized.width
    convention, weight = sized.plan.convention, sized.plan.tv_weight
    pairs = (height - 1) * width + height * (width - 1)
    if convention.neighbors in total_variation.INNER:
        pairs = (height - 1) * (width - 1)
    if weight <= 0 or not pairs:
        return None
    summed = convention.summed
    return total_variation.TotalVariationLoss(
        weight,
        convention.neighbors,
        1.0 if summed is None else summed / (3 * pairs),
        sized_plans.average(sized.alpha, 1),
        (height, width),
    )


def list_layers(plan: planning.Plan, scales: int = 1) -> list[str]:
    """Lists the layers that the losses of a plan need, at some scales."""
    layers: dict[str, float] = {}
    for region in plan.regions:
        layers |= style_targets.compute_style_weights(region.styles)
    layers |= plan.neighbors if plan.regions else {}
    scaled = architectures.scale_weights(layers, scales)
    return [
        *dict.fromkeys([*plan.content_weights, *scaled, *plan.extra_layers])
    ]


def _content_targets(
    extractor: extractors.Extractor,
    image: np.ndarray,
    tiling: planning.Tiling,
    masks: Mapping[str, tf.Tensor | None],
) -> tuple[Mapping[str, Any], Mapping[str, tf.Tensor]]:
    """Computes the content targets of a picture, [H, W, 3].

    They are its features, computed in tiles if it is large. With
    content_target="recompute" a large picture is its own target, and the mean
    squares of its features are returned too.
    """
    rows, columns = image.shape[:2]
    if not tiles.is_cut(rows, columns, tiling.side):
        return extractor.extract(image), {}
    cut = views.cut_for_extractor(extractor, rows, columns, tiling.side)
    if tiling.content_target != "recompute":
        layers = list(masks)
        return (
            feature_maps.compute_features(extractor, image, cut, layers),
            {},
        )
    measures = {
        layer: content_loss.make_square_measure(extractor.projections[layer])
        for layer in masks
    }
    found = views.sum_statistics(extractor, image, cut, measures, masks)
    dtype = tf.as_dtype(extractor.model.inputs[0].dtype).as_numpy_dtype
    pixels = canvas.keep(image[None].astype(dtype, copy=False), on_host=True)
    picture = protocol.Recomputed(pixels)
    squares = {
        layer: sums.divide_by_mass(total) for layer, total in found.items()
    }
    return dict.fromkeys(masks, picture), squares
