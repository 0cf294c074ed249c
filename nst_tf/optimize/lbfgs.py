"""Implements L-BFGS for an image in a box, entirely in the graph."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from nst_tf.backend import canvas, reuse
from nst_tf.losses import objectives
from nst_tf.optimize import base, safeguards

DECREASE = 1e-4  # required share of the expected decrease (Armijo)
MARGIN = 1e-4  # share of the loss: rounding errors of half precision
SHORTEST = 1e-3  # step length below which the history is cleared
CURVATURE = 1e-6  # minimum cosine of a pair's changes to be kept


@reuse.by_value()
class Lbfgs(tf.Module):
    """Limited-memory BFGS in the box [0, 1], with one evaluation per step.

    A step evaluates the image. If the loss fell enough, the image becomes the
    new base, and the next image lies along a new direction from it; otherwise
    the next image is nearer to the base. So the line search needs no extra
    evaluations and stays in the graph. Values at a bound that the gradient
    pushes against are held there, and only the other values enter the
    curvature. The inner products of the history are kept in small float64
    matrices, so that a step reads the history only a few times.

    Args:
        image: The image to optimize, [1, H, W, 3], changed in place.
        learning_rate: Root mean square of the first change, in units of the
            image's range; later steps take their length from the curvature.
        history: Number of pairs of changes to keep, each twice the size of the
            image.
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
        image: canvas.Canvas,
        learning_rate: float = 0.02,
        *,
        history: int = 20,
        bounds: str = "box",
    ):
        super().__init__(name="lbfgs")
        self.image = image = canvas.move_to_device(image)
        self._low, self._high = safeguards.BOUNDS[bounds]
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
        # Of the step along the direction; 0: no base yet.
        self._length = variable([])
        self._changes = variable([history, size])  # of the image, s
        self._bends = variable([history, size])  # of the gradient, y
        self._sy = variable([history, history], tf.float64)  # s_i' y_j, i <= j
        self._yy = variable([history, history], tf.float64)
        self.rescues = variable([], tf.int64)
        self.failures = variable([], tf.int64)

    @property
    def inherited(self) -> Mapping[str, base.Adapt]:
        """Names of variables that the next level starts with, and how."""
        return {"rescues": base.keep}

    def step(self, objective: objectives.Objective) -> objectives.Evaluation:
        """Evaluates the image, accepts or rejects it, proposes the next."""
        evaluation = objective(self.image)
        gradient = canvas.read_whole(evaluation.gradient)
        loss = tf.cast(evaluation.loss, self.image.dtype)
        expected = tf.reduce_sum(self._gradient * (self.image - self._base))
        bound = self._loss + DECREASE * expected + MARGIN * tf.abs(self._loss)
        first = tf.equal(self._length, 0)
        first_loss = tf.where(first, loss, self._first_loss)
        sound = safeguards.is_sound(
            loss,
            evaluation.gradient,
            tf.where(first, loss, self._loss),
            first_loss,
        )
        # Only after the gradient is computed, which may run out of memory.
        with tf.control_dependencies([sound]):
            self._first_loss.assign(first_loss)
        failed = tf.cast(tf.logical_not(sound), tf.int64)
        self.rescues.assign_add(failed)
        self.failures.assign(failed * (self.failures + 1))
        length = tf.cond(
            sound & (first | (loss <= bound)),
            lambda: self._accept(loss, gradient),
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
        """Returns the best image so far, [1, H, W, 3], in [0, 1]."""
        return tf.clip_by_value(self._base, 0.0, 1.0)

    def _accept(self, loss: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """Makes the image the base; returns the step length 1, []."""
        change = tf.reshape(self.image - self._base, [-1])
        # Values that did not move are held, and excluded from the curvature.
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
        direction = tf.where(
            held, tf.zeros_like(free), self._compute_direction(free)
        )
        slope = tf.reduce_sum(free * direction)
        rms = tf.sqrt(tf.reduce_mean(free**2))
        steepest = -tf.math.divide_no_nan(self._learning_rate, rms) * free
        downhill = (slope < 0) & (self._sy[-1, -1] > 0)
        self._direction.assign(tf.where(downhill, direction, steepest))
        return tf.ones_like(loss)

    def _shorten(self, loss: tf.Tensor, expected: tf.Tensor) -> tf.Tensor:
        """Returns a shorter length, [], at the minimum of a parabola."""
        excess = loss - self._loss - expected
        factor = tf.math.divide_no_nan(-0.5 * expected, excess)
        factor = tf.where(tf.math.is_finite(factor), factor, 0.1)
        length = self._length * tf.clip_by_value(factor, 0.1, 0.5)
        return tf.cond(length < SHORTEST, self._forget, lambda: length)

    def _forget(self) -> tf.Tensor:
        """Clears the history, and restarts; returns the step length 1."""
        for memory in (self._changes, self._bends, self._sy, self._yy):
            memory.assign(tf.zeros_like(memory))
        rms = tf.sqrt(tf.reduce_mean(self._gradient**2))
        rate = tf.math.divide_no_nan(SHORTEST * self._learning_rate, rms)
        self._direction.assign(-rate * self._gradient)
        return tf.sign(self._length)  # stays 0 without a base

    def _remember(self, change: tf.Tensor, bend: tf.Tensor) -> tf.Operation:
        """Appends a pair to the history, and drops the oldest."""
        changes = tf.concat([self._changes[1:], change[None]], axis=0)
        bends = tf.concat([self._bends[1:], bend[None]], axis=0)
        with tf.control_dependencies(
            [
                self._changes.assign(changes),
                self._bends.assign(bends),
                self._sy.assign(_append(self._sy, _multiply(changes, bend))),
                self._yy.assign(_append(self._yy, _multiply(bends, bend))),
            ]
        ):
            return tf.no_op()

    def _compute_direction(self, gradient: tf.Tensor) -> tf.Tensor:
        """Computes the direction -H g, [1, H, W, 3], for a gradient g."""
        flat = tf.reshape(gradient, [-1])
        of_changes, of_bends, scale = inverse_hessian_coefficients(
            self._sy,
            self._yy,
            _multiply(self._changes, flat),
            _multiply(self._bends, flat),
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
    """Computes the L-BFGS matrix times a vector, from inner products only.

    H g = scale * g + sum(a_i * s_i) + sum(b_i * y_i), for pairs of changes s_i
    of the image and y_i of its gradient, oldest first; unused pairs are zeros.

    Args:
        sy: s_i' y_j for i <= j, [m, m]; the other elements are ignored.
        yy: y_i' y_j, [m, m].
        sg: s_i' g, [m].
        yg: y_i' g, [m].

    Returns:
        a, [m]; b, [m]; and scale, from the newest pair, [].

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


def _multiply(rows: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
    """Multiplies rows, [m, N], by a vector, [N], to float64, [m]."""
    return tf.cast(tf.linalg.matvec(rows, vector), tf.float64)


def _append(matrix: tf.Tensor, products: tf.Tensor) -> tf.Tensor:
    """Drops the first row and column; appends products, [m], as last ones.

    The last row is right only for a symmetric matrix; that of s_i' y_j is not
    used.
    """
    kept = tf.concat([matrix[1:, 1:], products[:-1, None]], axis=1)
    return tf.concat([kept, products[None]], axis=0)
