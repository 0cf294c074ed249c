"""Makes objectives: functions from an image to its loss and gradient."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas, ops, reuse
from nst_tf.losses import protocol
from nst_tf.network import extractors


class Evaluation(NamedTuple):
    """The loss of an image, and its gradient."""

    loss: tf.Tensor  # the weighted sum of the terms, []
    gradient: canvas.Canvas  # of the loss, [1, H, W, 3]
    terms: Mapping[str, tf.Tensor]  # each loss's distance, unweighted, []


Objective = Callable[[canvas.Canvas], Evaluation]
OVERFLOW = "an evaluation overflowed"  # of the error that is raised then
NORM_FLOOR = 1e-8  # added to the norm of a normalized gradient, by its source


def make_objective(
    extractor: extractors.Extractor,
    loss_list: Sequence[protocol.Loss],
    *,
    normalized: bool = False,
) -> Objective:
    """Makes the objective of a weighted sum of losses.

    loss = sum(weight * distance(statistics(features))), over the losses.

    Args:
        extractor: Computes the feature maps; the layer "image" is the image
            itself.
        loss_list: The losses, with weights and targets, for one image size.
        normalized: Whether the gradient of each loss with respect to its
            features is divided by its L1 norm, before it is weighted. The
            result is the gradient of no loss. Losses on the image stay as they
            are.

    Returns:
        A function of an image, [1, H, W, 3], RGB in [0, 1]. It is not compiled:
        the train step compiles it.

    Source:
        Normalized gradients: jcjohnson/neural-style, its ContentLoss and
        StyleLoss with -normalize_gradients.
    """
    return _Sum(extractor, list(loss_list), normalized)


@reuse.by_value()
class _Sum:
    """The objective of losses of a whole image."""

    def __init__(
        self,
        extractor: extractors.Extractor,
        loss_list: Sequence[protocol.Loss],
        normalized: bool,
    ):
        self._extractor = extractor
        self._losses = loss_list
        self._normalized = normalized

    def __call__(self, image: canvas.Canvas) -> Evaluation:
        """Evaluates an image."""
        image = canvas.read_whole(image)
        scale = compute_gradient_scale(
            self._extractor, image.shape.num_elements() // 3
        )
        # The order of a sum of three gradients is not deterministic, so the
        # gradients of the image and of the network are summed separately.
        pixels = tf.identity(image)
        with tf.GradientTape() as tape:
            tape.watch([image, pixels])
            features = {**self._extractor.model(image), "image": pixels}
            total, terms = sum_weighted(
                self._losses,
                [
                    protocol.compare(
                        loss,
                        protocol.measure(
                            loss,
                            self._separate(loss, features[loss.layer], scale),
                            None,
                            loss.maps,
                        ),
                    )
                    for loss in self._losses
                ],
            )
            scaled = total * tf.cast(scale, total.dtype)
        slopes: Any = tape.gradient(
            scaled,
            [image, pixels],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        gradient = (slopes[0] + slopes[1]) / scale
        return Evaluation(total, gradient, terms)

    def _separate(
        self, loss: protocol.Loss, features: tf.Tensor, scale: tf.Tensor
    ) -> tf.Tensor:
        """Returns features whose gradient is normalized, if it should be."""
        if not self._normalized or loss.layer == "image":
            return features
        return _normalize_gradient(features, loss.weight, scale)


def _normalize_gradient(
    features: tf.Tensor, weight: float, scale: tf.Tensor
) -> tf.Tensor:
    """Returns features whose upstream gradient is divided by its L1 norm.

    Args:
        features: Features that only one loss reads, [1, h, w, C].
        weight: Weight of the loss, which is in the upstream gradient.
        scale: Loss scale, which is too.
    """
    factor = tf.cast(tf.convert_to_tensor(weight, tf.float64), scale.dtype)
    factor *= scale

    @ops.custom_gradient
    def separate(
        features: tf.Tensor,
    ) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            slope = tf.cast(upstream, factor.dtype)
            norm = tf.reduce_sum(tf.abs(slope)) + NORM_FLOOR * factor
            share = tf.math.divide_no_nan(factor, norm)
            return tf.cast(share * slope, upstream.dtype)

        return tf.identity(features), gradient

    return separate(features)


def sum_weighted(
    loss_list: Sequence[protocol.Loss], distances: Sequence[tf.Tensor]
) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
    """Returns the weighted sum of distances, [], and the distances by name."""
    total = tf.add_n(
        [
            tf.cast(
                tf.convert_to_tensor(loss.weight, tf.float64), distance.dtype
            )
            * distance
            for loss, distance in zip(loss_list, distances, strict=True)
        ]
    )
    names = [loss.name for loss in loss_list]
    return total, dict(zip(names, distances, strict=True))


def compute_gradient_scale(
    extractor: extractors.Extractor, pixels: int
) -> tf.Tensor:
    """Computes the loss scale for half precision, [].

    float16 ranges from 6e-8 to 65504. The loss is of order 1, its gradient with
    respect to a feature of order 1 / (H * W * C). Multiplying by the number of
    pixels moves that to the middle of the range; the gradient is divided by it
    afterwards.
    """
    narrow = any(o.dtype == "float16" for o in extractor.model.outputs)
    dtype = extractor.model.inputs[0].dtype
    return tf.constant(pixels if narrow else 1, dtype)


def refuse_overflow(objective: Objective) -> Objective:
    """Makes an objective fail if its loss or gradient is NaN or infinite.

    The error comes before an optimizer changes anything.
    """
    return _Checked(objective)


@reuse.by_value()
class _Checked:
    """An objective that fails where it overflows."""

    def __init__(self, objective: Objective):
        self._objective = objective

    def __call__(self, image: canvas.Canvas) -> Evaluation:
        """Evaluates an image."""
        evaluation = self._objective(image)
        size = canvas.sum_squares(evaluation.gradient)
        total = tf.cast(evaluation.loss, size.dtype) + size
        check = tf.debugging.check_numerics(total, OVERFLOW)
        with tf.control_dependencies([check]):
            return evaluation._replace(loss=tf.identity(evaluation.loss))


def is_overflow(error: BaseException) -> bool:
    """Returns whether `refuse_overflow` raised an error."""
    is_refused = isinstance(error, tf.errors.InvalidArgumentError)
    return is_refused and OVERFLOW in str(error)


def freeze(objective: Objective, keep: np.ndarray) -> Objective:
    """Sets the gradient of kept pixels to 0.

    Args:
        objective: The objective of an image of h x w pixels.
        keep: How much each pixel is kept, [h, w] in [0, 1].
    """
    return _Frozen(objective, tf.constant(1 - keep[None, ..., None]))


@reuse.by_value()
class _Frozen:
    """An objective, and how much each pixel moves, [1, h, w, 1]."""

    def __init__(self, objective: Objective, moves: tf.Tensor):
        self._objective = objective
        self._moves = moves

    def __call__(self, image: canvas.Canvas) -> Evaluation:
        """Evaluates an image."""
        evaluation = self._objective(image)
        gradient = canvas.update(
            evaluation.gradient,
            lambda part, moves: part * moves,
            tf.cast(self._moves, evaluation.gradient.dtype),
        )
        return evaluation._replace(gradient=gradient)
