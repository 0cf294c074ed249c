"""Content and style images -> losses with targets, at one size."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas
from nst_tf.images import image_io, sizes
from nst_tf.losses import (
    content_loss,
    conventions,
    protocol,
    style_kinds,
    style_losses,
    sums,
    total_variation,
)
from nst_tf.network import extractors
from nst_tf.plan import planning, style_regions, tiles
from nst_tf.tiling import views


def perceptual_losses(
    plan: planning.Plan,
    extractor: extractors.Extractor,
    height: int,
    width: int,
) -> list[protocol.Loss]:
    """Makes the losses of Gatys et al. for an image of height x width.

    The content image is resized to that size. The statistics of several styles
    are blended by their weights. Transparent parts count for nothing, in any
    loss: at a layer, a position counts by the mean alpha of the pixels that it
    stands for. The weight of a region's losses is in proportion to its area, so
    that a small one is painted as strongly as a large one.

    Args:
        plan: Pictures, weights and conventions.
        extractor: Has at least the layers that have a weight.
        height: Of the generated image.
        width: Of the generated image.

    Returns:
        The losses, with their targets computed: of content, of style for each
        region, and the total variation.

    Source:
        Masks that are averaged down to a layer: Gatys, Ecker, Bethge,
        Hertzmann, Shechtman. Controlling Perceptual Factors in Neural Style
        Transfer. CVPR 2017, section 4.
    """
    alpha = plan.inputs.content.alpha
    if alpha is not None:
        alpha = image_io.resize_alpha(alpha, height, width)
    frame = _Frame(plan, extractor, height, width, alpha)
    loss_list: list[protocol.Loss] = [*_content_losses(frame)]
    for region in plan.regions:
        loss_list += _style_losses(frame, region)
    if total_variation_loss := _total_variation_loss(frame):
        loss_list.append(total_variation_loss)
    return loss_list


class _Frame(NamedTuple):
    """A plan at one size of the generated image."""

    plan: planning.Plan
    extractor: extractors.Extractor
    height: int
    width: int
    alpha: np.ndarray | None  # of the content image at this size, [H, W]

    def measure_sizes(self, layer: str) -> conventions.Sizes:
        """Measures what a convention may divide by, at a layer."""
        stride = self.extractor.stride[layer]
        projection = self.extractor.projections[layer]
        channels = self.extractor.model.output[layer].shape[-1]
        if projection is not None:
            channels = projection.shape[1]
        positions = (self.height // stride) * (self.width // stride)
        return conventions.Sizes(channels, positions, self.height * self.width)


def _content_losses(frame: _Frame) -> list[content_loss.ContentLoss]:
    """Makes a content loss for each layer that has a weight."""
    plan, extractor = frame.plan, frame.extractor
    weights = _positive(plan.content_weights)
    if not weights:
        return []
    masks = {
        layer: _average(frame.alpha, extractor.stride[layer])
        for layer in weights
    }
    image = image_io.resize(plan.content, frame.height, frame.width)
    features, squares = _content_targets(extractor, image, plan.tiling, masks)
    divide = plan.convention.content
    return [
        content_loss.ContentLoss(
            layer,
            features[layer],
            weight,
            masks[layer],
            projection=extractor.projections[layer],
            divisor=divide and divide(frame.measure_sizes(layer)),
            square=squares.get(layer),
        )
        for layer, weight in weights.items()
    ]


def _style_losses(
    frame: _Frame, region: style_regions.Region
) -> list[style_losses.StyleLoss]:
    """Makes the style losses of a region."""
    plan, extractor = frame.plan, frame.extractor
    kind = style_kinds.STYLE_LOSSES[plan.style_loss].load()
    mask, share = _mask_region(frame, region)
    targets = _blend_targets(frame, kind, region.styles)
    divide = plan.convention.style
    loss_list = []
    for layer, weight in compute_style_weights(region.styles).items():
        loss = kind(
            layer,
            targets[layer],
            share * weight,
            _average(mask, extractor.stride[layer]),
            projection=extractor.projections[layer],
            divisor=divide and divide(frame.measure_sizes(layer)),
            floor=plan.convention.floor,
        )
        if region.name:
            loss.name = f"{loss.name}@{region.name}"
        loss_list.append(loss)
    return loss_list


def _total_variation_loss(
    frame: _Frame,
) -> total_variation.TotalVariationLoss | None:
    """Makes the total variation; None if it has no weight, or no pairs."""
    height, width = frame.height, frame.width
    convention, weight = frame.plan.convention, frame.plan.tv_weight
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
        _average(frame.alpha, 1),
        (height, width),
    )


def list_layers(plan: planning.Plan) -> list[str]:
    """Lists the layers that the losses of a plan look at."""
    layers = dict.fromkeys(plan.content_weights)
    for region in plan.regions:
        layers |= dict.fromkeys(compute_style_weights(region.styles))
    return list(layers | dict.fromkeys(plan.extra_layers))


def _mask_region(
    frame: _Frame, region: style_regions.Region
) -> tuple[np.ndarray | None, float]:
    """Says how much each pixel of a region counts, and its share of all."""
    alpha = frame.alpha
    if region.mask is None:
        return alpha, 1.0
    mask = image_io.resize_alpha(region.mask, frame.height, frame.width)
    seen = np.ones_like(mask) if alpha is None else alpha
    return mask * seen, float((mask * seen).sum() / seen.sum())


def compute_style_weights(
    styles: Sequence[style_regions.Style],
) -> dict[str, float]:
    """Computes the weight of the style loss at each layer, of all styles."""
    totals: dict[str, float] = {}
    for style, share in zip(styles, _shares(styles), strict=True):
        for layer, weight in style.layers.items():
            totals[layer] = totals.get(layer, 0.0) + share * weight
    return _positive(totals)


def _shares(styles: Sequence[style_regions.Style]) -> list[float]:
    """Divides the weights of styles by their sum."""
    total = sum(style.weight for style in styles)
    return [style.weight / total for style in styles]


def _fit_style(
    frame: _Frame, style: style_regions.Style
) -> style_regions.Style:
    """Resizes a style image, and its alpha channel, for an output's size."""
    fit = FITS[frame.plan.style_fit]
    height, width = (
        max(1, round(style.scale * side))
        for side in (frame.height, frame.width)
    )
    alpha = style.alpha
    if alpha is not None:
        alpha = fit(alpha[..., None], height, width)[..., 0]
    return style._replace(image=fit(style.image, height, width), alpha=alpha)


def _average(alpha: np.ndarray | None, stride: int) -> tf.Tensor | None:
    """Averages an alpha channel, [H, W], over the pixels of each position."""
    if alpha is None:
        return None
    rows, columns = (side // stride for side in alpha.shape)
    cut = alpha[: rows * stride, : columns * stride]
    parts = cut.reshape(rows, stride, columns, stride)
    return tf.constant(parts.mean(axis=(1, 3))[None, ..., None])


def _same_area(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes an image to height * width pixels, its shape kept."""
    rows, columns = image.shape[:2]
    size = sizes.scale_to_area(rows, columns, height * width)
    return image_io.resize(image, *size)


def _same_side(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes an image to the long side of height x width, its shape kept."""
    rows, columns = image.shape[:2]
    size = sizes.scale_to_side(rows, columns, max(height, width))
    return image_io.resize(image, *size)


# How a style image comes to the size of the generated one, (height, width).
FITS: Mapping[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "keep": _same_area,
    "side": _same_side,
    "stretch": image_io.resize,
    "crop": image_io.cover,
}


def _blend_targets(
    frame: _Frame,
    kind: type[style_losses.StyleLoss],
    styles: Sequence[style_regions.Style],
) -> dict[str, tf.Tensor]:
    """Blends the targets of the styles, by their weights at a layer.

    Each is resized when it is its turn: a large one is let go before the next.
    Where the source's Gram matrices are sums, that over the positions of a
    style image stands beside that over those of the generated image: both are
    divided by the latter. Such a matrix grows with the style image, but not by
    the scale that it is seen at.
    """
    extractor, undivided = frame.extractor, frame.plan.convention.undivided
    totals = compute_style_weights(styles)
    measured: dict[str, list[tf.Tensor]] = {layer: [] for layer in totals}
    shares: dict[str, list[float]] = {layer: [] for layer in totals}
    for style, share in zip(styles, _shares(styles), strict=True):
        own = {
            layer: share * weight / totals[layer]
            for layer, weight in style.layers.items()
            if share * weight
        }
        style = _fit_style(frame, style)
        side = frame.plan.tiling.side
        parts = _measure_style(kind, extractor, style, list(own), side)
        for layer, part_share in own.items():
            part = parts[layer]
            if undivided:
                stride = extractor.stride[layer]
                rows, columns = (n // stride for n in style.image.shape[:2])
                seen = rows * columns / style.scale**2
                part *= seen / frame.measure_sizes(layer).positions
            measured[layer].append(part)
            shares[layer].append(part_share)
    return {
        layer: kind.blend(parts, shares[layer])
        for layer, parts in measured.items()
    }


def _content_targets(
    extractor: extractors.Extractor,
    image: np.ndarray,
    tiling: planning.Tiling,
    masks: Mapping[str, tf.Tensor | None],
) -> tuple[Mapping[str, Any], Mapping[str, tf.Tensor]]:
    """Computes the features of a picture, [H, W, 3], in tiles if need be.

    Or, for such a picture, itself in their place, and their mean squares.
    """
    rows, columns = image.shape[:2]
    if not tiles.is_cut(rows, columns, tiling.side):
        return extractor.extract(image), {}
    cut = views.cut_for_extractor(extractor, rows, columns, tiling.side)
    if tiling.content_target != "recompute":
        return views.compute_features(extractor, image, cut, list(masks)), {}
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


def _measure_style(
    kind: type[style_losses.StyleLoss],
    extractor: extractors.Extractor,
    style: style_regions.Style,
    layers: Sequence[str],
    tile: int,
) -> dict[str, tf.Tensor]:
    """Measures the targets of a style image, in tiles if it is larger."""
    if not layers:
        return {}
    masks = {
        layer: _average(style.alpha, extractor.stride[layer])
        for layer in layers
    }
    rows, columns = style.image.shape[:2]
    if not tiles.is_cut(rows, columns, tile):
        features = extractor.extract(style.image)
        return {
            layer: kind.measure(
                features[layer], masks[layer], extractor.projections[layer]
            )
            for layer in layers
        }
    cut = views.cut_for_extractor(extractor, rows, columns, tile)
    measures = dict.fromkeys(layers, kind.raw_statistics)
    found = views.sum_statistics(extractor, style.image, cut, measures, masks)
    return {layer: sums.divide_by_mass(total) for layer, total in found.items()}


def _positive(weights: Mapping[str, float]) -> dict[str, float]:
    """Leaves out the layers that do not count."""
    return {layer: weight for layer, weight in weights.items() if weight > 0}
