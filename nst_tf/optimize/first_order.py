"""Implements Adam and SGD for an image in a box.

By default they multiply the gradient by the number of pixels. The gradient of a
relative loss with respect to a pixel is proportional to 1 / (H * W), so that
otherwise Adam's epsilon, or any noise floor, would weaken the style on larger
images. L-BFGS does not depend on the scale of its objective.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from nst_tf.backend import canvas, ops, reuse
from nst_tf.losses import objectives
from nst_tf.optimize import base, moments, safeguards

CLEARLY_WORSE = 1.02  # factor on the lowest loss; above rounding errors


class FirstOrder(tf.Module):
    """Base class of the first-order optimizers.

    If the loss is NaN or explodes after a step, it restarts from the image of
    the lowest loss, with half the learning rate.

    Args:
        image: The image to optimize, [1, H, W, 3], changed in place.
        learning_rate: Step size, in units of the image's range.
        average: Decay of the average of the iterates, which is the result; 0
            for the last iterate.
        decay_rate: Factor on the learning rate per `decay_steps` steps, applied
            smoothly.
        decay_steps: See `decay_rate`.
        bounds: "box": the image is clipped to [0, 1] after each step; "none":
            only the result is clipped.
        scaled: Whether the gradient is multiplied by the number of pixels.
    """

    def __init__(
        self,
        image: canvas.Canvas,
        learning_rate: float,
        *,
        average: float = 0.95,
        decay_rate: float = 1.0,
        decay_steps: int = 100,
        bounds: str = "box",
        scaled: bool = True,
    ):
        super().__init__()
        self.image = image
        self._bounds = safeguards.BOUNDS[bounds]
        self._scaled = scaled
        # Tensors of the image's type, so that Python numbers are not traced.
        self._learning_rate = tf.constant(learning_rate, image.dtype)
        self._decay_rate = tf.constant(decay_rate, image.dtype)
        self._decay_steps = tf.constant(decay_steps, image.dtype)
        self._decay = tf.constant(average, image.dtype)
        self._averaging = average > 0
        zero = tf.constant(0, tf.int64)
        self._step = tf.Variable(zero, trainable=False)  # since a restart
        self._taken = tf.Variable(zero, trainable=False)
        if self._averaging:
            self._average = canvas.make_zeros_like(image)
        infinity = tf.constant(float("inf"), image.dtype)
        self._loss = tf.Variable(infinity, trainable=False)  # the last one
        self._best_loss = tf.Variable(infinity, trainable=False)
        self._first_loss = tf.Variable(infinity, trainable=False)
        self._best = canvas.copy(image)
        self._cut = tf.Variable(tf.ones_like(infinity), trainable=False)
        self.rescues = tf.Variable(zero, trainable=False)
        self.failures = tf.Variable(zero, trainable=False)

    @property
    def inherited(self) -> Mapping[str, base.Adapt]:
        """Names of variables that the next level starts with, and how."""
        # The learning rate stays reduced.
        return {"_cut": base.keep, "rescues": base.keep}

    def step(self, objective: objectives.Objective) -> objectives.Evaluation:
        """Evaluates the image, then updates and clips it."""
        evaluation = objective(self.image)
        loss = tf.cast(evaluation.loss, self.image.dtype)
        sound = safeguards.is_sound(
            loss, evaluation.gradient, self._best_loss, self._first_loss
        )
        tf.cond(
            sound, lambda: self._move(loss, evaluation.gradient), self._restart
        )
        return evaluation

    def result(self) -> tf.Tensor:
        """Returns the average of the iterates, [1, H, W, 3], in [0, 1].

        Without averaging it is the last iterate, or the best one if the last
        loss is clearly above the lowest.
        """
        if self._averaging and self._step > 0:
            steps = tf.cast(self._step, self.image.dtype)
            share = 1 - self._decay**steps
            return canvas.transform(
                self._average, lambda average: _correct_bias(average, share)
            )
        worse = self._loss > CLEARLY_WORSE * self._best_loss
        return canvas.transform(
            self._best if worse else self.image,
            lambda image: tf.clip_by_value(image, 0.0, 1.0),
        )

    def _list_canvases(self) -> dict[str, canvas.Canvas]:
        """Lists the variables with a value per pixel, by name."""
        return {
            name: value
            for name, value in base.list_variables(self).items()
            if value.shape.rank == 4
        }

    def _compute_direction(
        self, gradient: tf.Tensor, parts: canvas.Parts, step: tf.Tensor
    ) -> tuple[tf.Tensor, canvas.Parts]:
        """Computes the update for a learning rate of 1, and the new state.

        It works on some pixels: `gradient`, and `parts` of `_list_canvases`.
        """
        raise NotImplementedError

    def _count_update(self) -> tf.Variable:
        """Counts an update; returns the number since the state was zero."""
        return self._step

    def _move(self, loss: tf.Tensor, gradient: canvas.Canvas) -> tf.Operation:
        """Updates the image, and stores the old one if it is the best."""
        better = loss < self._best_loss
        self._best_loss.assign(tf.minimum(loss, self._best_loss))
        self._loss.assign(loss)
        self._first_loss.assign(
            tf.where(tf.math.is_inf(self._first_loss), loss, self._first_loss)
        )
        self.failures.assign(0)
        taken = tf.cast(self._taken, self.image.dtype)
        self._taken.assign_add(1)
        self._step.assign_add(1)
        rate = (
            self._cut
            * self._learning_rate
            * self._decay_rate ** (taken / self._decay_steps)
        )
        step = tf.cast(self._count_update(), self.image.dtype)
        pixels = self.image.shape.num_elements() // 3
        scale = tf.constant(pixels, self.image.dtype)

        @ops.fuse
        def move(parts: canvas.Parts, gradient: tf.Tensor) -> canvas.Parts:
            if self._scaled:
                gradient = scale * gradient
            before = parts["image"]
            direction, changed = self._compute_direction(gradient, parts, step)
            image = tf.clip_by_value(before - rate * direction, *self._bounds)
            changed["image"] = image
            changed["_best"] = tf.where(better, before, parts["_best"])
            if self._averaging:
                average = parts["_average"]
                average += (1 - self._decay) * (image - average)
                changed["_average"] = average
            return changed

        canvas.change(self._list_canvases(), move, gradient)
        return tf.no_op()

    def _restart(self) -> tf.Operation:
        """Restarts from the best image, with half the learning rate."""

        def restart(parts: canvas.Parts) -> canvas.Parts:
            zeros = tf.zeros_like(parts["image"])
            anew = dict.fromkeys(parts.keys() - {"image", "_best"}, zeros)
            return {**anew, "image": parts["_best"]}

        canvas.change(self._list_canvases(), restart)
        self._step.assign(0)
        self._loss.assign(self._best_loss)
        self._cut.assign(0.5 * self._cut)
        self.rescues.assign_add(1)
        self.failures.assign_add(1)
        return tf.no_op()


@reuse.by_value()
class Adam(FirstOrder):
    """Adam with projection onto the box [0, 1] and averaged iterates.

    Args:
        image: The image to optimize, [1, H, W, 3], changed in place.
        learning_rate: Step size, in units of the image's range.
        beta_1: Decay of the mean of the gradients.
        beta_2: Decay of the mean of their squares.
        epsilon: Added to the root of that mean; pixels whose gradient (times
            the number of pixels if `scaled`) is far below it hardly move.
        corrected: Whether epsilon is added to the root after bias correction,
            as in PyTorch; otherwise before, as in TensorFlow and Keras.
        carry_moments: Whether the next level starts with these moments, and
            with the number of updates in them.
        **settings: Settings of `FirstOrder`, such as `average`.

    Source:
        Kingma, Ba. Adam: A Method for Stochastic Optimization. ICLR 2015,
        algorithm 1; the average: section 7.2, with bias correction.
    """

    def __init__(
        self,
        image: canvas.Canvas,
        learning_rate: float = 0.02,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        epsilon: float = 1e-8,
        corrected: bool = False,
        carry_moments: bool = False,
        **settings: Any,
    ):
        super().__init__(image, learning_rate, **settings)
        self._corrected, self._carries = corrected, carry_moments
        if carry_moments:
            zero = tf.constant(0, tf.int64)
            self._age = tf.Variable(zero, trainable=False)  # of the moments
        self._rates = {
            name: tf.constant(value, image.dtype)
            for name, value in {
                "beta_1": beta_1,
                "beta_2": beta_2,
                "epsilon": epsilon,
            }.items()
        }
        self._mean = canvas.make_zeros_like(image)
        self._square = canvas.make_zeros_like(image)

    @property
    def inherited(self) -> Mapping[str, base.Adapt]:
        """Names of variables that the next level starts with, and how."""
        if not self._carries:
            return super().inherited
        return {
            **super().inherited,
            "_age": base.keep,
            "_mean": moments.resample_mean,
            "_square": moments.resample_square,
        }

    def _count_update(self) -> tf.Variable:
        """Counts an update; returns the number since the moments were zero."""
        if not self._carries:
            return super()._count_update()
        self._age.assign_add(1)
        return self._age

    def _restart(self) -> tf.Operation:
        """Restarts from the best image, with moments of zero."""
        if self._carries:
            self._age.assign(0)
        return super()._restart()

    def _compute_direction(
        self, gradient: tf.Tensor, parts: canvas.Parts, step: tf.Tensor
    ) -> tuple[tf.Tensor, canvas.Parts]:
        """Divides the mean by the root mean square, both bias-corrected."""
        direction, mean, square = moments.adam_update(
            gradient,
            parts["_mean"],
            parts["_square"],
            step,
            **self._rates,
            corrected=self._corrected,
        )
        return direction, {"_mean": mean, "_square": square}


@reuse.by_value()
class Sgd(FirstOrder):
    """Gradient descent with projection onto the box [0, 1].

    Args:
        image: The image to optimize, [1, H, W, 3], changed in place.
        learning_rate: Factor on the gradient (times the number of pixels if
            `scaled`).
        average: Decay of the average of the iterates, which is the result; 0
            for the last iterate.
        **settings: Settings of `FirstOrder`.
    """

    def __init__(
        self,
        image: canvas.Canvas,
        learning_rate: float = 0.02,
        *,
        average: float = 0.95,
        **settings: Any,
    ):
        super().__init__(image, learning_rate, average=average, **settings)

    def _compute_direction(
        self, gradient: tf.Tensor, parts: canvas.Parts, step: tf.Tensor
    ) -> tuple[tf.Tensor, canvas.Parts]:
        """Returns the gradient, and no state."""
        del parts, step
        return gradient, {}


@tf.function(autograph=False, reduce_retracing=True)  # saves a copy
def _correct_bias(average: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Bias-corrects the moving average and clips it."""
    return tf.clip_by_value(average / share, 0.0, 1.0)
