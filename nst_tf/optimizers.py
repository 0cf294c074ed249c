"""Optimizers of an image: one step on a tf.Variable, kept in its box.

By default they see the gradient times the number of pixels. The gradient of a
relative loss with respect to one pixel falls as 1 / (H * W), so that Adam's
epsilon, or any noise floor, would otherwise mean less paint on a larger image.
L-BFGS steps alike at any scale of its objective.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import tensorflow as tf

from nst_tf import objective as objectives


class Optimizer(Protocol):
    """What every optimizer is.

    Laws: it finds the minimum of a bowl inside the box; the image never leaves
    the box; its step is traced once; an evaluation that is no number, or far
    above the lowest one, is taken back, and the next step is shorter.
    """

    image: tf.Variable  # [1, H, W, 3], in [0, 1]
    rescues: tf.Variable  # evaluations that were taken back, []
    failures: tf.Variable  # of these the newest, without a sound one since, []

    def inherit(self, coarser: Any) -> None:
        """Takes over from the optimizer of a coarser level what still holds.

        Args:
            coarser: An optimizer of the same class, at the end of its level.
        """

    def step(self, objective: objectives.Objective) -> objectives.Evaluation:
        """Evaluates the objective at the image, and updates the image."""

    def result(self) -> tf.Tensor:
        """The image to show, [1, H, W, 3], in [0, 1]."""


def variables(optimizer: Optimizer) -> dict[str, tf.Variable]:
    """All that an optimizer remembers, the image included, by name."""
    return {
        name: value
        for name, value in vars(optimizer).items()
        if isinstance(value, tf.Variable)
    }


class FirstOrder(tf.Module):
    """What the optimizers that follow the gradient have in common.

    Where a step has led to a loss that is no number, or that explodes, it
    starts anew from the image of the lowest loss, with half the learning rate.

    Args:
        image: The image to optimize, [1, H, W, 3], changed in place.
        learning_rate: Step size, in units of the image's range.
        average: Decay of the average of the iterates, which is the result; 0
            for the last iterate.
        decay_rate: The learning rate is multiplied by this in `decay_steps`
            steps, smoothly.
        decay_steps: See `decay_rate`.
        bounds: "box": the image is clipped to [0, 1] after each step; "none":
            only the result is.
        scaled: Whether the gradient is multiplied by the number of pixels.
    """

    def __init__(
        self,
        image: tf.Variable,
        learning_rate: float,
        *,
        average: float,
        decay_rate: float = 1.0,
        decay_steps: int = 100,
        bounds: str = "box",
        scaled: bool = True,
    ):
        super().__init__()
        self.image = image
        self._bounds = BOUNDS[bounds]
        self._scaled = scaled
        # Tensors of the image's type, so that no Python number is traced.
        self._learning_rate = tf.constant(learning_rate, image.dtype)
        self._decay_rate = tf.constant(decay_rate, image.dtype)
        self._decay_steps = tf.constant(decay_steps, image.dtype)
        self._decay = tf.constant(average, image.dtype)
        self._averaging = average > 0
        zero = tf.constant(0, tf.int64)
        self._step = tf.Variable(zero, trainable=False)  # since a rescue
        self._taken = tf.Variable(zero, trainable=False)
        if self._averaging:
            self._average = tf.Variable(tf.zeros_like(image), trainable=False)
        infinity = tf.constant(float("inf"), image.dtype)
        self._loss = tf.Variable(infinity, trainable=False)  # the last one
        self._best_loss = tf.Variable(infinity, trainable=False)
        self._first_loss = tf.Variable(infinity, trainable=False)
        self._best = tf.Variable(image, trainable=False)
        self._cut = tf.Variable(tf.ones_like(infinity), trainable=False)
        self.rescues = tf.Variable(zero, trainable=False)
        self.failures = tf.Variable(zero, trainable=False)

    def inherit(self, coarser: "FirstOrder") -> None:
        """Takes over the cut of the learning rate, and the count of rescues."""
        self._cut.assign(coarser._cut)
        self.rescues.assign(coarser.rescues)

    def step(self, objective: objectives.Objective) -> objectives.Evaluation:
        """Evaluates, updates, clips; the evaluation is before the update."""
        evaluation = objective(tf.convert_to_tensor(self.image))
        loss = tf.cast(evaluation.loss, self.image.dtype)
        lowest = tf.maximum(self._best_loss, NEGLIGIBLE * self._first_loss)
        tf.cond(
            _is_sound(loss, evaluation.gradient, lowest),
            lambda: self._move(loss, evaluation.gradient),
            self._restart,
        )
        return evaluation

    def result(self) -> tf.Tensor:
        """The average of the iterates, [1, H, W, 3], in [0, 1].

        Without an average the last iterate, or the best one, if the last loss
        is clearly above the lowest.
        """
        if self._averaging and self._step > 0:
            steps = tf.cast(self._step, self.image.dtype)
            image = self._average / (1 - self._decay**steps)
        else:
            worse = self._loss > CLEARLY_WORSE * self._best_loss
            image = tf.where(worse, self._best, self.image)
        return tf.clip_by_value(image, 0.0, 1.0)

    def _direction(self, gradient: tf.Tensor) -> tf.Tensor:
        """What is subtracted for a learning rate of 1, [1, H, W, 3]."""
        raise NotImplementedError

    def _forget(self) -> None:
        """Makes what `_direction` remembers as it was at the start."""

    def _move(self, loss: tf.Tensor, gradient: tf.Tensor) -> tf.Operation:
        """Updates the image, and remembers it if it is the best."""
        tf.cond(
            loss < self._best_loss,
            lambda: tf.group(
                self._best.assign(self.image), self._best_loss.assign(loss)
            ),
            tf.no_op,
        )
        self._loss.assign(loss)
        self._first_loss.assign(
            tf.where(tf.math.is_inf(self._first_loss), loss, self._first_loss)
        )
        self.failures.assign(0)
        if self._scaled:
            pixels = tf.cast(tf.size(self.image) // 3, self.image.dtype)
            gradient = pixels * gradient
        taken = tf.cast(self._taken, self.image.dtype)
        self._taken.assign_add(1)
        self._step.assign_add(1)
        rate = (
            self._cut
            * self._learning_rate
            * self._decay_rate ** (taken / self._decay_steps)
        )
        image = self.image.assign(
            tf.clip_by_value(
                self.image - rate * self._direction(gradient), *self._bounds
            )
        )
        if self._averaging:
            self._average.assign_add(
                (1 - self._decay) * (image - self._average)
            )
        return tf.no_op()

    def _restart(self) -> tf.Operation:
        """Starts anew from the best image, with half the learning rate."""
        self._forget()
        self._step.assign(0)
        if self._averaging:
            self._average.assign(tf.zeros_like(self._average))
        self.image.assign(self._best)
        self._loss.assign(self._best_loss)
        self._cut.assign(0.5 * self._cut)
        self.rescues.assign_add(1)
        self.failures.assign_add(1)
        return tf.no_op()


class Adam(FirstOrder):
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
        **settings: Those of `FirstOrder`.

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
        **settings: Any,
    ):
        super().__init__(image, learning_rate, average=average, **settings)
        self._rates = {
            name: tf.constant(value, image.dtype)
            for name, value in {
                "beta_1": beta_1,
                "beta_2": beta_2,
                "epsilon": epsilon,
            }.items()
        }
        self._mean = tf.Variable(tf.zeros_like(image), trainable=False)
        self._square = tf.Variable(tf.zeros_like(image), trainable=False)

    def _direction(self, gradient: tf.Tensor) -> tf.Tensor:
        """The corrected mean over the root of the corrected mean square."""
        direction, mean, square = adam_update(
            gradient,
            self._mean,
            self._square,
            tf.cast(self._step, self.image.dtype),
            **self._rates,
        )
        self._mean.assign(mean)
        self._square.assign(square)
        return direction

    def _forget(self) -> None:
        """Makes both means zero."""
        for memory in (self._mean, self._square):
            memory.assign(tf.zeros_like(memory))


class Sgd(FirstOrder):
    """Steps along the gradient, projected on the box [0, 1].

    Args:
        image: The image to optimize, [1, H, W, 3], changed in place.
        learning_rate: What the gradient, times the pixels if `scaled`, is
            multiplied by.
        average: Decay of the average of the iterates, which is the result; 0
            for the last iterate.
        **settings: Those of `FirstOrder`.
    """

    def __init__(
        self,
        image: tf.Variable,
        learning_rate: float = 0.02,
        *,
        average: float = 0.95,
        **settings: Any,
    ):
        super().__init__(image, learning_rate, average=average, **settings)

    def _direction(self, gradient: tf.Tensor) -> tf.Tensor:
        """The gradient."""
        return gradient


def _is_sound(
    loss: tf.Tensor, gradient: tf.Tensor, lowest: tf.Tensor
) -> tf.Tensor:
    """Whether an evaluation can be built on, []: all numbers, no explosion."""
    pixels = tf.cast(tf.size(gradient) // 3, gradient.dtype)
    norm = tf.reduce_sum(tf.square(pixels * gradient))
    return tf.math.is_finite(loss + norm) & (loss <= EXPLOSION * lowest)


def adam_update(
    gradient: tf.Tensor,
    mean: tf.Tensor,
    square: tf.Tensor,
    step: tf.Tensor,
    *,
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
        beta_1: Decay of `mean`.
        beta_2: Decay of `square`.
        epsilon: Added to the root of the corrected `square`.

    Returns:
        What to subtract for a learning rate (alpha) of 1, and the new `mean`
        and `square`.

    Source:
        Kingma, Ba. ICLR 2015, algorithm 1.
    """
    mean = beta_1 * mean + (1 - beta_1) * gradient
    square = beta_2 * square + (1 - beta_2) * tf.square(gradient)
    corrected_mean = mean / (1 - beta_1**step)
    corrected_square = square / (1 - beta_2**step)
    direction = corrected_mean / (tf.sqrt(corrected_square) + epsilon)
    return direction, mean, square


class Lbfgs(tf.Module):
    """Limited-memory BFGS in the box [0, 1], a new image for each evaluation.

    A step evaluates the image. If the loss fell enough, the image becomes the
    new base, from which the next one is taken along a new direction; if not,
    the next one is nearer to the base. So no evaluation is idle, and all of it
    stays in the graph. Values at a bound that the gradient pushes against are
    held there; the curvature is that of the others. The inner products of the
    history with itself are kept in small matrices in float64, so that a step
    reads the history a few times, whatever its length.

    Args:
        image: The image to optimize, [1, H, W, 3], changed in place.
        learning_rate: Root mean square of the first change, in units of the
            image's range; later steps take their length from the curvature.
        history: Pairs of changes that are kept, each of twice the image.
        bounds: "box", or "none": only the result is clipped to [0, 1].

    Source:
        Byrd, Nocedal, Schnabel. Representations of Quasi-Newton Matrices and
        Their Use in Limited Memory Methods. Mathematical Programming 63
        (1994), theorem 2.2; the box: Bertsekas. Projected Newton Methods for
        Optimization Problems with Simple Constraints. SIAM J. Control and
        Optimization 20 (1982), without its epsilon for almost active bounds.
    """

    def __init__(
        self,
        image: tf.Variable,
        learning_rate: float = 0.02,
        *,
        history: int = 20,
        bounds: str = "box",
    ):
        super().__init__(name="lbfgs")
        self.image = image
        self._low, self._high = BOUNDS[bounds]
        dtype = image.dtype
        self._learning_rate = tf.constant(learning_rate, dtype)
        size = image.shape.num_elements()

        def variable(shape: Any, dtype: tf.DType = dtype) -> tf.Variable:
            return tf.Variable(tf.zeros(shape, dtype), trainable=False)

        self._base = tf.Variable(image, trainable=False)
        self._gradient = variable(image.shape)  # at the base
        self._loss = variable([])
        self._first_loss = variable([])
        self._direction = variable(image.shape)
        self._length = variable([])  # of the step along it; 0: no base yet
        self._changes = variable([history, size])  # of the image, s
        self._bends = variable([history, size])  # of the gradient, y
        self._sy = variable([history, history], tf.float64)  # s_i' y_j, i <= j
        self._yy = variable([history, history], tf.float64)
        self.rescues = variable([], tf.int64)
        self.failures = variable([], tf.int64)

    def inherit(self, coarser: "Lbfgs") -> None:
        """Takes over the count of rescues."""
        self.rescues.assign(coarser.rescues)

    def step(self, objective: objectives.Objective) -> objectives.Evaluation:
        """Evaluates the image, judges it, and proposes the next one."""
        evaluation = objective(tf.convert_to_tensor(self.image))
        loss = tf.cast(evaluation.loss, self.image.dtype)
        expected = tf.reduce_sum(self._gradient * (self.image - self._base))
        bound = self._loss + DECREASE * expected + MARGIN * tf.abs(self._loss)
        first = tf.equal(self._length, 0)
        self._first_loss.assign(tf.where(first, loss, self._first_loss))
        lowest = tf.maximum(self._loss, NEGLIGIBLE * self._first_loss)
        lowest = tf.where(first, loss, lowest)
        sound = _is_sound(loss, evaluation.gradient, lowest)
        failed = tf.cast(tf.logical_not(sound), tf.int64)
        self.rescues.assign_add(failed)
        self.failures.assign(failed * (self.failures + 1))
        length = tf.cond(
            sound & (first | (loss <= bound)),
            lambda: self._accept(loss, evaluation.gradient),
            lambda: self._shorten(loss, expected),
        )
        self._length.assign(length)
        self.image.assign(
            tf.clip_by_value(
                self._base + length * self._direction, self._low, self._high
            )
        )
        return evaluation

    def result(self) -> tf.Tensor:
        """The best image so far, [1, H, W, 3], in [0, 1]."""
        return tf.clip_by_value(self._base, 0.0, 1.0)

    def _accept(self, loss: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """Makes the image the base, and finds a direction; the length, []."""
        change = tf.reshape(self.image - self._base, [-1])
        # Values that did not move are held: the others' curvature alone counts.
        bend = tf.reshape(gradient - self._gradient, [-1])
        bend = tf.where(tf.equal(change, 0), tf.zeros_like(bend), bend)
        held = ((self.image <= self._low) & (gradient > 0)) | (
            (self.image >= self._high) & (gradient < 0)
        )
        free = tf.where(held, tf.zeros_like(gradient), gradient)
        self._base.assign(self.image)
        self._gradient.assign(gradient)
        self._loss.assign(loss)
        curvature = tf.reduce_sum(change * bend)
        norms = tf.reduce_sum(change**2) * tf.reduce_sum(bend**2)
        tf.cond(
            curvature > CURVATURE * tf.sqrt(norms),
            lambda: self._remember(change, bend),
            tf.no_op,
        )
        direction = tf.where(held, tf.zeros_like(free), self._newton(free))
        slope = tf.reduce_sum(free * direction)
        rms = tf.sqrt(tf.reduce_mean(free**2))
        steepest = -tf.math.divide_no_nan(self._learning_rate, rms) * free
        downhill = (slope < 0) & (self._sy[-1, -1] > 0)
        self._direction.assign(tf.where(downhill, direction, steepest))
        return tf.ones_like(loss)

    def _shorten(self, loss: tf.Tensor, expected: tf.Tensor) -> tf.Tensor:
        """The length of a shorter step, to the minimum of a parabola, []."""
        excess = loss - self._loss - expected
        factor = tf.math.divide_no_nan(-0.5 * expected, excess)
        factor = tf.where(tf.math.is_finite(factor), factor, 0.1)
        length = self._length * tf.clip_by_value(factor, 0.1, 0.5)
        return tf.cond(length < SHORTEST, self._forget, lambda: length)

    def _forget(self) -> tf.Tensor:
        """Goes straight downhill, as if this were the start; the length, []."""
        for memory in (self._changes, self._bends, self._sy, self._yy):
            memory.assign(tf.zeros_like(memory))
        rms = tf.sqrt(tf.reduce_mean(self._gradient**2))
        rate = tf.math.divide_no_nan(SHORTEST * self._learning_rate, rms)
        self._direction.assign(-rate * self._gradient)
        return tf.sign(self._length)  # 0 stays 0: there is no base yet

    def _remember(self, change: tf.Tensor, bend: tf.Tensor) -> tf.Operation:
        """Appends a pair, and drops the oldest."""
        changes = tf.concat([self._changes[1:], change[None]], axis=0)
        bends = tf.concat([self._bends[1:], bend[None]], axis=0)
        with tf.control_dependencies(
            [
                self._changes.assign(changes),
                self._bends.assign(bends),
                self._sy.assign(_appended(self._sy, _products(changes, bend))),
                self._yy.assign(_appended(self._yy, _products(bends, bend))),
            ]
        ):
            return tf.no_op()

    def _newton(self, gradient: tf.Tensor) -> tf.Tensor:
        """The direction -H g, [1, H, W, 3], for a gradient g."""
        flat = tf.reshape(gradient, [-1])
        of_changes, of_bends, scale = inverse_hessian_coefficients(
            self._sy,
            self._yy,
            _products(self._changes, flat),
            _products(self._bends, flat),
        )
        dtype = gradient.dtype
        ahead = (
            tf.cast(scale, dtype) * flat
            + tf.linalg.matvec(
                self._changes, tf.cast(of_changes, dtype), transpose_a=True
            )
            + tf.linalg.matvec(
                self._bends, tf.cast(of_bends, dtype), transpose_a=True
            )
        )
        return -tf.reshape(ahead, tf.shape(gradient))


def inverse_hessian_coefficients(
    sy: tf.Tensor, yy: tf.Tensor, sg: tf.Tensor, yg: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The product of the L-BFGS matrix and a vector, by inner products alone.

    H g = scale * g + sum(a_i * s_i) + sum(b_i * y_i), for pairs of changes s_i
    of the image and y_i of its gradient, the oldest first; pairs not yet
    there are zeros.

    Args:
        sy: s_i' y_j for i <= j, [m, m]; the rest is not read.
        yy: y_i' y_j, [m, m].
        sg: s_i' g, [m].
        yg: y_i' g, [m].

    Returns:
        a, [m]; b, [m]; and scale, that of the newest pair, [].

    Source:
        Byrd, Nocedal, Schnabel 1994, theorem 2.2, equation 3.1.
    """
    diagonal = tf.linalg.diag_part(sy)
    there = diagonal > 0
    scale = tf.where(there[-1], sy[-1, -1] / yy[-1, -1], tf.ones_like(yy[0, 0]))
    triangle = tf.linalg.set_diag(
        tf.linalg.band_part(sy, 0, -1),
        tf.where(there, diagonal, tf.ones_like(diagonal)),
    )
    solved = tf.linalg.triangular_solve(triangle, sg[:, None], lower=False)
    middle = diagonal[:, None] * solved + scale * (yy @ solved - yg[:, None])
    of_changes = tf.linalg.triangular_solve(
        triangle, middle, lower=False, adjoint=True
    )
    return of_changes[:, 0], -scale * solved[:, 0], scale


def _products(rows: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
    """Inner products of rows, [m, N], and a vector, [N], in float64, [m]."""
    return tf.cast(tf.linalg.matvec(rows, vector), tf.float64)


def _appended(matrix: tf.Tensor, products: tf.Tensor) -> tf.Tensor:
    """Drops the first row and column, and appends products, [m], as the last.

    The last row is that of a symmetric matrix; for s_i' y_j it is not read.
    """
    kept = tf.concat([matrix[1:, 1:], products[:-1, None]], axis=1)
    return tf.concat([kept, products[None]], axis=0)


EXPLOSION = 3.0  # times the lowest loss so far; Adam's first steps reach 1.7
NEGLIGIBLE = 1e-3  # of the first loss, from which no loss explodes
CLEARLY_WORSE = 1.02  # times the lowest loss; rounding hides less
DECREASE = 1e-4  # of the expected decrease that a step must bring (Armijo)
MARGIN = 1e-4  # of the loss: what rounding in half precision can hide
SHORTEST = 1e-3  # length of a step below which the curvature is forgotten
CURVATURE = 1e-6  # cosine of a pair's changes below which it tells nothing

# What an image is clipped to after each step.
BOUNDS = {"box": (0.0, 1.0), "none": (float("-inf"), float("inf"))}
OPTIMIZERS: Mapping[str, Any] = {"adam": Adam, "lbfgs": Lbfgs, "sgd": Sgd}
