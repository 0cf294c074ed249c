"""Optimizers of an image: one step on a tf.Variable, kept in its box.

Every optimizer sees the gradient times the number of pixels. The gradient of a
relative loss with respect to one pixel falls as 1 / (H * W), so that Adam's
epsilon, or any noise floor, would otherwise mean less paint on a larger image.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import tensorflow as tf

from nst_tf import objective as objectives


class Optimizer(Protocol):
    """What every optimizer is.

    Laws: it finds the minimum of a bowl inside the box; the image never leaves
    the box; its step is traced once.
    """

    image: tf.Variable  # [1, H, W, 3], in [0, 1]

    def step(self, objective: objectives.Objective) -> objectives.Evaluation:
        """Evaluates the objective at the image, and updates the image."""

    def result(self) -> tf.Tensor:
        """The image to show, [1, H, W, 3], in [0, 1]."""


class Adam(tf.Module):
    """Adam, projected on the box [0, 1], with an average of the iterates.

    Args:
        image: The image to optimize, [1, H, W, 3], changed in place.
        learning_rate: Step size, in units of the image's range.
        beta_1: Decay of the mean of the gradients.
        beta_2: Decay of the mean of their squares.
        epsilon: Added to the root of that mean; pixels whose gradient, times
            the number of pixels, is far below it hardly move.
        average: Decay of the average of the iterates, which is the result; 0
            for the last iterate.

    Source:
        Kingma, Ba. Adam: A Method for Stochastic Optimization. ICLR 2015,
        algorithm 1; the average: section 7.2, with bias correction.
    """

    def __init__(
        self,
        image: tf.Variable,
        learning_rate: float = 0.02,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        epsilon: float = 1e-8,
        average: float = 0.95,
    ):
        super().__init__(name="adam")
        self.image = image
        # Tensors of the image's type, so that no Python number is traced.
        self._rates = {
            name: tf.constant(value, image.dtype)
            for name, value in {
                "learning_rate": learning_rate,
                "beta_1": beta_1,
                "beta_2": beta_2,
                "epsilon": epsilon,
            }.items()
        }
        self._decay = tf.constant(average, image.dtype)
        self._averaging = average > 0
        self._step = tf.Variable(tf.constant(0, tf.int64), trainable=False)
        self._mean = tf.Variable(tf.zeros_like(image), trainable=False)
        self._square = tf.Variable(tf.zeros_like(image), trainable=False)
        if self._averaging:
            self._average = tf.Variable(tf.zeros_like(image), trainable=False)

    def step(self, objective: objectives.Objective) -> objectives.Evaluation:
        """Evaluates, updates, clips; the evaluation is before the update."""
        evaluation = objective(tf.convert_to_tensor(self.image))
        pixels = tf.cast(tf.size(self.image) // 3, self.image.dtype)
        self._step.assign_add(1)
        update, mean, square = adam_update(
            evaluation.gradient * pixels,
            self._mean,
            self._square,
            tf.cast(self._step, self.image.dtype),
            **self._rates,
        )
        self._mean.assign(mean)
        self._square.assign(square)
        image = self.image.assign(
            tf.clip_by_value(self.image - update, 0.0, 1.0)
        )
        if self._averaging:
            self._average.assign_add(
                (1 - self._decay) * (image - self._average)
            )
        return evaluation

    def result(self) -> tf.Tensor:
        """The average of the iterates, or the last one, [1, H, W, 3]."""
        if not self._averaging or self._step == 0:
            return tf.convert_to_tensor(self.image)
        steps = tf.cast(self._step, self.image.dtype)
        return tf.clip_by_value(
            self._average / (1 - self._decay**steps), 0.0, 1.0
        )


def adam_update(
    gradient: tf.Tensor,
    mean: tf.Tensor,
    square: tf.Tensor,
    step: tf.Tensor,
    *,
    learning_rate: tf.Tensor,
    beta_1: tf.Tensor,
    beta_2: tf.Tensor,
    epsilon: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Computes one update of Adam.

    Args:
        gradient: g_t in the paper, of any shape.
        mean: m_(t-1), the running mean of the gradients.
        square: v_(t-1), the running mean of their squares.
        step: t, from 1.
        learning_rate: alpha.
        beta_1: Decay of `mean`.
        beta_2: Decay of `square`.
        epsilon: Added to the root of the corrected `square`.

    Returns:
        What to subtract, and the new `mean` and `square`.

    Source:
        Kingma, Ba. ICLR 2015, algorithm 1.
    """
    mean = beta_1 * mean + (1 - beta_1) * gradient
    square = beta_2 * square + (1 - beta_2) * tf.square(gradient)
    corrected_mean = mean / (1 - beta_1**step)
    corrected_square = square / (1 - beta_2**step)
    update = learning_rate * corrected_mean
    return update / (tf.sqrt(corrected_square) + epsilon), mean, square


OPTIMIZERS: Mapping[str, Any] = {"adam": Adam}
