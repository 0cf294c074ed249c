"""Makes the style losses, with targets, for one image size."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf.images import image_io
from nst_tf.losses import grain, neighbors, style_kinds, style_losses, sums
from nst_tf.network import architectures, extractors
from nst_tf.plan import planning, style_regions, style_settings, tiles
from nst_tf.tiling import feature_maps, views
from nst_tf.transfer import sized_plans, target_cache


class _Part(NamedTuple):
    """A kind of style loss, with its layers, at one or several scales."""

    kind: type[style_losses.StyleLoss]
    layers: Mapping[str, float] | None = None  # None: the styles' own
    scales: int = 1

    def weigh(self, style: style_regions.Style) -> Mapping[str, float]:
        """Returns the weight of each layer, at each scale, for a style."""
        layers = style.layers if self.layers is None else self.layers
        return architectures.scale_weights(
            sized_plans.select_positive(layers), self.scales
        )


def _list_parts(plan: planning.Plan, scales: int) -> list[_Part]:
    """Lists the kinds of style losses: the chosen one, neighbors and grain."""
    kinds = style_kinds.STYLE_LOSSES
    parts = [_Part(kinds[plan.style_loss].load(), scales=scales)]
    if beside := kinds[plan.style_loss].beside:
        parts.append(_Part(kinds[beside].load(), plan.neighbors, scales))
    if plan.grain_weight:
        parts.append(_Part(grain.GrainLoss, {"image": plan.grain_weight}))
    return parts


def make_style_losses(
    sized: sized_plans.SizedPlan, region: style_regions.Region
) -> list[style_losses.StyleLoss]:
    """Makes the style losses of a region."""
    plan, extractor = sized.plan, sized.extractor
    mask, share = _mask_region(sized, region)
    parts = _list_parts(plan, sized.scales)
    loss_list = []
    for part, targets in zip(
        parts, _blend_targets(sized, parts, region.styles), strict=True
    ):
        is_first = part is parts[0]
        divide = plan.convention.style if is_first else None
        for layer, weight in compute_style_weights(region.styles, part).items():
            loss = part.kind(
                layer,
                targets[layer],
                share * weight,
                sized_plans.average(mask, extractor.stride.get(layer, 1)),
                projection=extractor.projections.get(layer),
                divisor=divide and divide(sized.measure_sizes(layer)),
                floor=plan.convention.floor if is_first else None,
            )
            if region.name:
                loss.name = f"{loss.name}@{region.name}"
            loss_list.append(loss)
    return loss_list


def _mask_region(
    sized: sized_plans.SizedPlan, region: style_regions.Region
) -> tuple[np.ndarray | None, float]:
    """Returns the weight of each pixel in a region, and the region's share."""
    alpha = sized.alpha
    if region.mask is None:
        return alpha, 1.0
    mask = image_io.resize_alpha(region.mask, sized.height, sized.width)
    seen = np.ones_like(mask) if alpha is None else alpha
    return mask * seen, float((mask * seen).sum() / seen.sum())


def compute_style_weights(
    styles: Sequence[style_regions.Style], part: _Part | None = None
) -> dict[str, float]:
    """Computes the weight of a style loss at each layer, over all styles."""
    totals: dict[str, float] = {}
    for style, share in zip(styles, _shares(styles), strict=True):
        weights = style.layers if part is None else part.weigh(style)
        for layer, weight in weights.items():
            totals[layer] = totals.get(layer, 0.0) + share * weight
    return sized_plans.select_positive(totals)


def _shares(styles: Sequence[style_regions.Style]) -> list[float]:
    """Normalizes the weights of styles."""
    total = sum(style.weight for style in styles)
    return [style.weight / total for style in styles]


def _blend_targets(
    sized: sized_plans.SizedPlan,
    parts: Sequence[_Part],
    styles: Sequence[style_regions.Style],
) -> list[dict[str, tf.Tensor]]:
    """Blends the targets of the styles, with their weights at each layer.

    Styles are resized one by one, so that only one large style is in memory. If
    a convention sums Gram matrices over positions instead of averaging, both
    the style's and the generated image's are divided by the generated image's
    number of positions. The style's positions are counted at a scale of 1, so
    that `style_scale` does not change the weight of the style.

    Returns:
        For each part, layer -> target.
    """
    totals = [compute_style_weights(styles, part) for part in parts]
    measured: list[dict[str, list[tf.Tensor]]] = [
        {layer: [] for layer in each} for each in totals
    ]
    shares: list[dict[str, list[float]]] = [
        {layer: [] for layer in each} for each in totals
    ]
    size = sized.height, sized.width
    for style, share in zip(styles, _shares(styles), strict=True):
        own = [
            {
                layer: share * weight / total[layer]
                for layer, weight in part.weigh(style).items()
                if share * weight
            }
            for part, total in zip(parts, totals, strict=True)
        ]
        style = fit_style(style, sized.plan.style_fit, size)
        found = _measure_style(sized, style, parts, own)
        for number, layers in enumerate(own):
            for layer, part_share in layers.items():
                measured[number][layer].append(found[number][layer])
                shares[number][layer].append(part_share)
    return [
        {
            layer: part.kind.blend(targets, blend[layer])
            for layer, targets in each.items()
        }
        for part, each, blend in zip(parts, measured, shares, strict=True)
    ]


def fit_style(
    style: style_regions.Style, style_fit: str, output: tuple[int, int]
) -> style_regions.Style:
    """Resizes a style image and its alpha for an output's (height, width)."""
    rows, columns = style.image.shape[:2]
    size = style_settings.fit_size(
        style_fit, rows, columns, output, style.scale
    )
    resize = image_io.cover if style_fit == "crop" else image_io.resize
    alpha = style.alpha
    if alpha is not None:
        alpha = resize(alpha[..., None], *size)[..., 0]
    return style._replace(image=resize(style.image, *size), alpha=alpha)


def _measure_style(
    sized: sized_plans.SizedPlan,
    style: style_regions.Style,
    parts: Sequence[_Part],
    layers: Sequence[Collection[str]],
) -> target_cache.Targets:
    """Computes the targets of a fitted style image for each part, by layer."""
    rows, columns = style.image.shape[:2]
    side = sized.plan.tiling.side
    key = (
        extractors.digest_array(style.image),
        None if style.alpha is None else extractors.digest_array(style.alpha),
        side if tiles.is_cut(rows, columns, side) else 0,
        tuple(part.kind for part in parts),
        tuple(map(tuple, layers)),
    )
    found = sized.cache.find(
        key, lambda: _compute_targets(sized, style, parts, layers)
    )
    if sized.plan.convention.undivided:
        for layer in found[0]:
            stride = sized.extractor.stride[layer]
            seen = (rows // stride) * (columns // stride) / style.scale**2
            found[0][layer] *= seen / sized.measure_sizes(layer).positions
    return found


def _compute_targets(
    sized: sized_plans.SizedPlan,
    style: style_regions.Style,
    parts: Sequence[_Part],
    layers: Sequence[Collection[str]],
) -> target_cache.Targets:
    """Runs the network on a fitted style image."""
    extractor = sized.extractor
    dtype = tf.as_dtype(extractor.model.inputs[0].dtype).as_numpy_dtype
    image = style.image.astype(dtype, copy=False)
    masks = {
        layer: sized_plans.average(style.alpha, extractor.stride.get(layer, 1))
        for layer in set().union(*layers)
    }
    rows, columns = image.shape[:2]
    if tiles.is_cut(rows, columns, sized.plan.tiling.side):
        return _measure_in_tiles(sized, image, parts, layers, masks)
    features: dict[str, tf.Tensor] = {"image": tf.constant(image[None])}
    if set(masks) - {"image"}:
        features |= extractor.extract(image)
    return [
        {
            layer: part.kind.measure(
                features[layer], masks[layer], extractor.projections.get(layer)
            )
            for layer in names
        }
        for part, names in zip(parts, layers, strict=True)
    ]


def _measure_in_tiles(
    sized: sized_plans.SizedPlan,
    image: np.ndarray,
    parts: Sequence[_Part],
    layers: Sequence[Collection[str]],
    masks: Mapping[str, tf.Tensor | None],
) -> list[dict[str, tf.Tensor]]:
    """Computes the targets of a large style image, tile by tile.

    One pass computes the sums of all layers; samples need another pass.
    """
    extractor, side = sized.extractor, sized.plan.tiling.side
    rows, columns = image.shape[:2]
    cut = views.cut_for_extractor(extractor, rows, columns, side)
    sampled = [part.kind is neighbors.NeighborsLoss for part in parts]
    measures = {
        layer: part.kind.raw_statistics
        for part, names, is_sampled in zip(parts, layers, sampled, strict=True)
        for layer in names
        if not is_sampled
    }
    totals = (
        views.sum_statistics(extractor, image, cut, measures, masks)
        if measures
        else {}
    )
    found = []
    for names, is_sampled in zip(layers, sampled, strict=True):
        if not is_sampled:
            found.append({n: sums.divide_by_mass(totals[n]) for n in names})
            continue
        chosen = {
            layer: neighbors.choose_positions(
                rows // extractor.stride[layer],
                columns // extractor.stride[layer],
                masks[layer],
            )
            for layer in names
        }
        samples = feature_maps.sample_features(extractor, image, cut, chosen)
        found.append(
            {
                layer: neighbors.NeighborsLoss.collect(tf.constant(sample))
                for layer, sample in samples.items()
            }
        )
    return found
