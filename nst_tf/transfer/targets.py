"""Content and style images -> losses with targets, at one size."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas
from nst_tf.images import image_io, sizes
from nst_tf.losses import (
    content_loss,
    protocol,
    style_losses,
    sums,
    total_variation,
)
from nst_tf.network import extractors
from nst_tf.plan import conventions, tiles
from nst_tf.tiling import views


class Style(NamedTuple):
    """A style image and its share in a blend."""

    image: np.ndarray  # [H, W, 3] in [0, 1]
    weight: float = 1.0
    alpha: np.ndarray | None = None  # how much a pixel counts, [H, W] in [0, 1]
    layers: Mapping[str, float] | None = None  # their weights, if of its own
    scale: float = 1.0  # of its sides: the size of the strokes


class Region(NamedTuple):
    """A part of the output that is painted in styles of its own."""

    styles: Sequence[Style]
    mask: np.ndarray | None = None  # of the content's size, [H, W]; None: all
    name: str = ""


class LossWeights(NamedTuple):
    """The weight of every loss of the sum, by layer."""

    content: Mapping[str, float]  # {"block4_conv2": 1.0}
    style: Mapping[str, float]  # {"block1_conv1": 0.2, ...}
    total_variation: float = 0.0

    @property
    def layers(self) -> list[str]:
        """The layers of the extractor that the losses need."""
        return list(dict.fromkeys([*self.content, *self.style]))


RELATIVE = conventions.Convention()


def perceptual_losses(
    extractor: extractors.Extractor,
    content: np.ndarray,
    styles: Sequence[Style],
    weights: LossWeights,
    height: int,
    width: int,
    convention: conventions.Convention = RELATIVE,
    style_loss: str = "gram",
    style_fit: str = "keep",
    alpha: np.ndarray | None = None,
    regions: Sequence[Region] = (),
    tile: int = 0,
    recompute: bool = False,
) -> list[protocol.Loss]:
    """Makes the losses of Gatys et al. for an image of height x width.

    The content image is resized to that size. The statistics of several styles
    are blended by their weights. Transparent parts count for nothing, in any
    loss: at a layer, a position counts by the mean alpha of the pixels that it
    stands for.

    Args:
        extractor: Has at least the layers of `weights`.
        content: Content image, [H, W, 3] in [0, 1].
        styles: At least one style, unless no layer of style has a weight.
        weights: Layers and their weights; those of weight 0 are left out. A
            style may have weights of its own instead.
        height: Of the generated image.
        width: Of the generated image.
        convention: What the losses are divided by.
        style_loss: What is compared, a name in `style_losses.STYLE_LOSSES`.
        style_fit: How a style image is resized, a name in `FITS`.
        alpha: How opaque the content image is, [H, W] in [0, 1].
        regions: Parts of the image with styles of their own, in place of
            `styles`. The weight of a region's losses is in proportion to its
            area, so that a small one is painted as strongly as a large one.
        tile: Side of the tiles in which pictures of more pixels are seen; 0:
            pictures are seen as wholes.
        recompute: Whether the content's features are not kept for a picture in
            tiles, but seen anew in each of them.

    Returns:
        The losses, with their targets computed.

    Source:
        Masks that are averaged down to a layer: Gatys, Ecker, Bethge,
        Hertzmann, Shechtman. Controlling Perceptual Factors in Neural Style
        Transfer. CVPR 2017, section 4.
    """
    loss_list: list[protocol.Loss] = []
    if alpha is not None:
        alpha = image_io.resize_alpha(alpha, height, width)
    parts = regions or [Region(styles)]
    totals = compute_all_style_weights(weights, parts)
    sizes = {
        layer: _sizes(extractor, layer, height, width)
        for layer in {**weights.content, **totals}
    }
    content_layers = _positive(weights.content)
    if content_layers:
        masks = {
            layer: _region(alpha, extractor.stride[layer])
            for layer in content_layers
        }
        features, squares = _content_targets(
            extractor,
            image_io.resize(content, height, width),
            tile,
            masks,
            recompute,
        )
        for layer, weight in content_layers.items():
            loss_list.append(
                content_loss.ContentLoss(
                    layer,
                    features[layer],
                    weight,
                    masks[layer],
                    projection=extractor.projections[layer],
                    divisor=convention.content
                    and convention.content(sizes[layer]),
                    square=squares.get(layer),
                )
            )
    kind = style_losses.STYLE_LOSSES[style_loss]
    for part in parts:
        mask, share = _part(part, alpha, height, width)
        totals = compute_style_weights(weights, part.styles)
        positions = {layer: sizes[layer].positions for layer in totals}
        blends = _blend_targets(
            kind,
            extractor,
            part.styles,
            functools.partial(
                _fit_style, fit=FITS[style_fit], height=height, width=width
            ),
            weights,
            positions if convention.undivided else {},
            tile,
        )
        for layer, weight in totals.items():
            loss = kind(
                layer,
                blends[layer],
                share * weight,
                _region(mask, extractor.stride[layer]),
                projection=extractor.projections[layer],
                divisor=convention.style and convention.style(sizes[layer]),
                floor=convention.floor,
            )
            if part.name:
                loss.name = f"{loss.name}@{part.name}"
            loss_list.append(loss)
    pairs = (height - 1) * width + height * (width - 1)
    if convention.neighbors in total_variation.INNER:
        pairs = (height - 1) * (width - 1)
    if weights.total_variation > 0 and pairs:
        summed = convention.summed
        loss_list.append(
            total_variation.TotalVariationLoss(
                weights.total_variation,
                convention.neighbors,
                1.0 if summed is None else summed / (3 * pairs),
                _region(alpha, 1),
                (height, width),
            )
        )
    return loss_list


def compute_all_style_weights(
    weights: LossWeights, regions: Sequence[Region]
) -> dict[str, float]:
    """The weight of the style loss at each layer, of all regions together."""
    totals: dict[str, float] = {}
    for region in regions:
        for layer, weight in compute_style_weights(
            weights, region.styles
        ).items():
            totals[layer] = totals.get(layer, 0.0) + weight
    return totals


def _part(
    region: Region, alpha: np.ndarray | None, height: int, width: int
) -> tuple[np.ndarray | None, float]:
    """How much each pixel of a region counts, and its share of all of them."""
    if region.mask is None:
        return alpha, 1.0
    mask = image_io.resize_alpha(region.mask, height, width)
    seen = np.ones_like(mask) if alpha is None else alpha
    return mask * seen, float((mask * seen).sum() / seen.sum())


def compute_style_weights(
    weights: LossWeights, styles: Sequence[Style]
) -> dict[str, float]:
    """The weight of the style loss at each layer, of all styles together."""
    totals: dict[str, float] = {}
    for style, share in zip(styles, _shares(styles), strict=True):
        layers = weights.style if style.layers is None else style.layers
        for layer, weight in layers.items():
            totals[layer] = totals.get(layer, 0.0) + share * weight
    return _positive(totals)


def _shares(styles: Sequence[Style]) -> list[float]:
    """The shares of styles, which sum to 1."""
    total = sum(style.weight for style in styles)
    return [style.weight / total for style in styles]


def _fit_style(
    style: Style,
    fit: Callable[[np.ndarray, int, int], np.ndarray],
    height: int,
    width: int,
) -> Style:
    """Resizes a style image, and its alpha channel, for an output's size."""
    height, width = (
        max(1, round(style.scale * side)) for side in (height, width)
    )
    alpha = style.alpha
    if alpha is not None:
        alpha = fit(alpha[..., None], height, width)[..., 0]
    return style._replace(image=fit(style.image, height, width), alpha=alpha)


def _region(alpha: np.ndarray | None, stride: int) -> tf.Tensor | None:
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
    kind: type[style_losses.StyleLoss],
    extractor: extractors.Extractor,
    styles: Sequence[Style],
    fit: Callable[[Style], Style],
    weights: LossWeights,
    positions: Mapping[str, float],
    tile: int,
) -> dict[str, tf.Tensor]:
    """Blends the targets of the styles, by their weights at a layer.

    Each is resized when it is its turn: a large one is let go before the next.
    Where the source's Gram matrices are sums, that over the positions of a
    style image stands beside that over those of the generated image: both are
    divided by the latter, `positions`, by layer. Such a matrix grows with the
    style image, but not by the scale that it is seen at.
    """
    totals = compute_style_weights(weights, styles)
    measured: dict[str, list[tf.Tensor]] = {layer: [] for layer in totals}
    shares: dict[str, list[float]] = {layer: [] for layer in totals}
    for style, share in zip(styles, _shares(styles), strict=True):
        layers = weights.style if style.layers is None else style.layers
        own = {
            layer: share * weight / totals[layer]
            for layer, weight in layers.items()
            if share * weight
        }
        style = fit(style)
        parts = _measure_style(kind, extractor, style, list(own), tile)
        for layer, part_share in own.items():
            part = parts[layer]
            if layer in positions:
                stride = extractor.stride[layer]
                rows, columns = (n // stride for n in style.image.shape[:2])
                seen = rows * columns / style.scale**2
                part *= seen / positions[layer]
            measured[layer].append(part)
            shares[layer].append(part_share)
    return {
        layer: kind.blend(parts, shares[layer])
        for layer, parts in measured.items()
    }


def _content_targets(
    extractor: extractors.Extractor,
    image: np.ndarray,
    tile: int,
    masks: Mapping[str, tf.Tensor | None],
    recompute: bool,
) -> tuple[Mapping[str, Any], Mapping[str, tf.Tensor]]:
    """The features of a picture, [H, W, 3], in tiles if it is larger.

    Or, for such a picture, itself in their place, and their mean squares.
    """
    rows, columns = image.shape[:2]
    if not tiles.is_cut(rows, columns, tile):
        return extractor.extract(image), {}
    cut = views.cut_for_extractor(extractor, rows, columns, tile)
    if not recompute:
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
    style: Style,
    layers: Sequence[str],
    tile: int,
) -> dict[str, tf.Tensor]:
    """Measures the targets of a style image, in tiles if it is larger."""
    if not layers:
        return {}
    masks = {
        layer: _region(style.alpha, extractor.stride[layer]) for layer in layers
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


def _sizes(
    extractor: extractors.Extractor, layer: str, height: int, width: int
) -> conventions.Sizes:
    """What a convention may divide by, at a layer."""
    stride, projection = extractor.stride[layer], extractor.projections[layer]
    channels = extractor.model.output[layer].shape[-1]
    if projection is not None:
        channels = projection.shape[1]
    positions = (height // stride) * (width // stride)
    return conventions.Sizes(channels, positions, height * width)


def _positive(weights: Mapping[str, float]) -> dict[str, float]:
    """Leaves out the layers that do not count."""
    return {layer: weight for layer, weight in weights.items() if weight > 0}
