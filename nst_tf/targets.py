"""Content and style images -> losses with targets, at one size."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf import extractors, image_io, losses, pyramid


class Style(NamedTuple):
    """A style image and its share in a blend."""

    image: np.ndarray  # [H, W, 3] in [0, 1]
    weight: float = 1.0


class LossWeights(NamedTuple):
    """The weight of every loss of the sum, by layer."""

    content: Mapping[str, float]  # {"block4_conv2": 1.0}
    style: Mapping[str, float]  # {"block1_conv1": 0.2, ...}
    total_variation: float = 0.0

    @property
    def layers(self) -> list[str]:
        """The layers of the extractor that the losses need."""
        return list(dict.fromkeys([*self.content, *self.style]))


def perceptual_losses(
    extractor: extractors.Extractor,
    content: np.ndarray,
    styles: Sequence[Style],
    weights: LossWeights,
    height: int,
    width: int,
) -> list[losses.Loss]:
    """Makes the losses of Gatys et al. for an image of height x width.

    The content image is resized to that size; a style image keeps its shape
    and is resized to as many pixels. The Gram matrices of several styles are
    blended by their weights.

    Args:
        extractor: Has at least the layers of `weights`.
        content: Content image, [H, W, 3] in [0, 1].
        styles: At least one style, unless no layer of style has a weight.
        weights: Layers and their weights; those of weight 0 are left out.
        height: Of the generated image.
        width: Of the generated image.

    Returns:
        The losses, with their targets computed.
    """
    loss_list: list[losses.Loss] = []
    content_layers = _positive(weights.content)
    if content_layers:
        features = _features(extractor, image_io.resize(content, height, width))
        for layer, weight in content_layers.items():
            projection = extractor.projections[layer]
            loss_list.append(
                losses.ContentLoss(
                    layer, features[layer], weight, projection=projection
                )
            )
    style_layers = _positive(weights.style)
    if style_layers:
        grams = _blended_grams(extractor, styles, style_layers, height * width)
        for layer, weight in style_layers.items():
            projection = extractor.projections[layer]
            loss_list.append(
                losses.GramLoss(
                    layer, grams[layer], weight, projection=projection
                )
            )
    if weights.total_variation > 0:
        loss_list.append(losses.TotalVariationLoss(weights.total_variation))
    return loss_list


def _blended_grams(
    extractor: extractors.Extractor,
    styles: Sequence[Style],
    layers: Mapping[str, float],
    pixels: int,
) -> dict[str, tf.Tensor]:
    """Averages the Gram matrices of the styles, by their weights."""
    share = 1.0 / sum(style.weight for style in styles)
    grams: dict[str, tf.Tensor] = {}
    for style in styles:
        rows, columns = style.image.shape[:2]
        size = pyramid.size_of_area(rows, columns, pixels)
        features = _features(extractor, image_io.resize(style.image, *size))
        for layer in layers:
            gram = losses.GramLoss.target(
                losses.gram_statistics(features[layer])
            )
            part = style.weight * share * gram
            grams[layer] = grams[layer] + part if layer in grams else part
    return grams


def _features(
    extractor: extractors.Extractor, image: np.ndarray
) -> Mapping[str, tf.Tensor]:
    """Runs the network on one image, [H, W, 3]."""
    return extractor.model(tf.constant(image[None]))


def _positive(weights: Mapping[str, float]) -> dict[str, float]:
    """Leaves out the layers that do not count."""
    return {layer: weight for layer, weight in weights.items() if weight > 0}
