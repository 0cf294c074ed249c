"""The objective: weighted losses -> value and gradient of an image."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf import extractors, losses


class Evaluation(NamedTuple):
    """What an objective says of an image."""

    loss: tf.Tensor  # the weighted sum of the terms, []
    gradient: tf.Tensor  # of the loss, [1, H, W, 3]
    terms: Mapping[str, tf.Tensor]  # each loss's distance, unweighted, []


Objective = Callable[[tf.Tensor], Evaluation]


def make_objective(
    extractor: extractors.Extractor, loss_list: Sequence[losses.Loss]
) -> Objective:
    """Makes image -> Evaluation(loss, gradient, terms) of a sum of losses.

    loss = sum(weight * distance(statistics(features))), over the losses.

    Args:
        extractor: Gives the feature maps; the layer "image" is the image.
        loss_list: The losses, with weights and targets, for one image size.

    Returns:
        A function of an image, [1, H, W, 3], RGB in [0, 1]. It is not yet
        compiled: whoever steps compiles it together with the step.
    """
    # Half floats end at 65504 and at 6e-8. The loss is of order 1, its gradient
    # with respect to one feature of order 1 / (H * W * C): times the number of
    # pixels it is in the middle of their range.
    narrow = any(o.dtype == "float16" for o in extractor.model.outputs)
    weights = [tf.constant(loss.weight) for loss in loss_list]

    def objective(image: tf.Tensor) -> Evaluation:
        pixels = tf.cast(tf.size(image) // 3, image.dtype)
        scale = pixels if narrow else tf.ones_like(pixels)
        with tf.GradientTape() as tape:
            tape.watch(image)
            features = {**extractor.model(image), "image": image}
            terms = {
                loss.name: loss.distance(
                    loss.statistics(features[loss.layer], None, **loss.maps)
                )
                for loss in loss_list
            }
            total = tf.add_n(
                [
                    tf.cast(weight, term.dtype) * term
                    for weight, term in zip(
                        weights, terms.values(), strict=True
                    )
                ]
            )
            scaled = total * scale
        gradient = tape.gradient(scaled, image) / scale
        return Evaluation(total, gradient, terms)

    return objective


def frozen(objective: Objective, keep: np.ndarray) -> Objective:
    """The same, but for the gradient of pixels that are to stay.

    Args:
        objective: Of an image of h x w pixels.
        keep: How much each pixel stays as it is, [h, w] in [0, 1].
    """
    moves = tf.constant(1 - keep[None, ..., None])

    def partly(image: tf.Tensor) -> Evaluation:
        evaluation = objective(image)
        gradient = evaluation.gradient * tf.cast(moves, image.dtype)
        return evaluation._replace(gradient=gradient)

    return partly
