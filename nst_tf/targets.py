"""Content and style images -> losses with targets, at one size."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf import (
    conventions,
    extractors,
    image_io,
    losses,
    pyramid,
    style_losses,
    total_variation,
)


class Style(NamedTuple):
    """A style image and its share in a blend."""

    image: np.ndarray  # [H, W, 3] in [0, 1]
    weight: float = 1.0
    alpha: np.ndarray | None = None  # how much a pixel counts, [H, W] in [0, 1]


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
    style_scale: float = 1.0,
    alpha: np.ndarray | None = None,
) -> list[losses.Loss]:
    """Makes the losses of Gatys et al. for an image of height x width.

    The content image is resized to that size. The statistics of several styles
    are blended by their weights. Transparent parts count for nothing, in any
    loss: at a layer, a position counts by the mean alpha of the pixels that it
    stands for.

    Args:
        extractor: Has at least the layers of `weights`.
        content: Content image, [H, W, 3] in [0, 1].
        styles: At least one style, unless no layer of style has a weight.
        weights: Layers and their weights; those of weight 0 are left out.
        height: Of the generated image.
        width: Of the generated image.
        convention: What the losses are divided by.
        style_loss: What is compared, a name in `style_losses.STYLE_LOSSES`.
        style_fit: How a style image is resized, a name in `FITS`.
        style_scale: Its sides are those times this: the size of the strokes.
        alpha: How opaque the content image is, [H, W] in [0, 1].

    Returns:
        The losses, with their targets computed.

    Source:
        Masks that are averaged down to a layer: Gatys, Ecker, Bethge,
        Hertzmann, Shechtman. Controlling Perceptual Factors in Neural Style
        Transfer. CVPR 2017, section 4.
    """
    loss_list: list[losses.Loss] = []
    if alpha is not None:
        alpha = image_io.resize_alpha(alpha, height, width)
    sizes = {
        layer: _sizes(extractor, layer, height, width)
        for layer in weights.layers
    }
    content_layers = _positive(weights.content)
    if content_layers:
        features = _features(extractor, image_io.resize(content, height, width))
        for layer, weight in content_layers.items():
            projection = extractor.projections[layer]
            loss_list.append(
                losses.ContentLoss(
                    layer,
                    features[layer],
                    weight,
                    _region(alpha, extractor.stride[layer]),
                    projection=projection,
                    divisor=convention.content
                    and convention.content(sizes[layer]),
                )
            )
    style_layers = _positive(weights.style)
    if style_layers:
        fit = FITS[style_fit]
        size = [max(1, round(style_scale * side)) for side in (height, width)]
        fitted = [_fitted(style, fit, size) for style in styles]
        kind = style_losses.STYLE_LOSSES[style_loss]
        blends = _blended(
            kind,
            extractor,
            fitted,
            style_layers,
            # A Gram matrix that is a sum grows with the style image, but not
            # by the scale that it is seen at.
            {
                layer: style_scale**2 * sizes[layer].positions
                for layer in style_layers
            }
            if convention.undivided
            else {},
        )
        for layer, weight in style_layers.items():
            loss_list.append(
                kind(
                    layer,
                    blends[layer],
                    weight,
                    _region(alpha, extractor.stride[layer]),
                    projection=extractor.projections[layer],
                    divisor=convention.style and convention.style(sizes[layer]),
                    floor=convention.floor,
                )
            )
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
            )
        )
    return loss_list


def _fitted(
    style: Style,
    fit: Callable[[np.ndarray, int, int], np.ndarray],
    size: Sequence[int],
) -> Style:
    """Resizes a style image, and its alpha channel."""
    height, width = size
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
    size = pyramid.size_of_area(rows, columns, height * width)
    return image_io.resize(image, *size)


def _same_side(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes an image to the long side of height x width, its shape kept."""
    rows, columns = image.shape[:2]
    size = pyramid.output_size(rows, columns, max(height, width))
    return image_io.resize(image, *size)


# How a style image comes to the size of the generated one, (height, width).
FITS: Mapping[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "keep": _same_area,
    "side": _same_side,
    "stretch": image_io.resize,
    "crop": image_io.cover,
}


def _blended(
    kind: type[style_losses.StyleLoss],
    extractor: extractors.Extractor,
    styles: Sequence[Style],
    layers: Iterable[str],
    positions: Mapping[str, float],
) -> dict[str, tf.Tensor]:
    """Averages what is measured of the styles, by their weights.

    Where the source's Gram matrices are sums, that over the positions of a
    style image stands beside that over those of the generated image: both are
    divided by the latter, `positions`, by layer.
    """
    total = sum(style.weight for style in styles)
    shares = [style.weight / total for style in styles]
    measured: dict[str, list[tf.Tensor]] = {layer: [] for layer in layers}
    for style in styles:
        features = _features(extractor, style.image)
        for layer, parts in measured.items():
            region = _region(style.alpha, extractor.stride[layer])
            part = kind.measure(
                features[layer], region, extractor.projections[layer]
            )
            if layer in positions:
                part *= np.prod(features[layer].shape[1:3]) / positions[layer]
            parts.append(part)
    return {
        layer: kind.blend(parts, shares) for layer, parts in measured.items()
    }


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


def _features(
    extractor: extractors.Extractor, image: np.ndarray
) -> Mapping[str, tf.Tensor]:
    """Runs the network on one image, [H, W, 3]."""
    return extractor.model(tf.constant(image[None]))


def _positive(weights: Mapping[str, float]) -> dict[str, float]:
    """Leaves out the layers that do not count."""
    return {layer: weight for layer, weight in weights.items() if weight > 0}
