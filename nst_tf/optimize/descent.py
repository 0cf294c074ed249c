"""Runs the compiled train step, and the loop over the levels.

The loop is a generator of steps. Its caller handles progress, previews,
checkpoints and early stops between steps.
"""

import dataclasses
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import tensorflow as tf

from nst_tf import display
from nst_tf.backend import canvas, reuse
from nst_tf.losses import objectives
from nst_tf.optimize import base
from nst_tf.plan import pyramid

T = TypeVar("T")
TrainStep = Callable[[], objectives.Evaluation]
FAILURES = 25  # in a row, after which a run gives up


@dataclasses.dataclass
class Step:
    """A finished step, not yet copied from the device.

    At the end of a level its optimizer is replaced by a `FinalState`, so that a
    kept step keeps one image in memory, not six.
    """

    level: int  # index of the level, from 0
    index: int  # steps taken at this level, from 1
    evaluation: objectives.Evaluation  # at the image before the update
    optimizer: base.Optimizer | base.FinalState

    @property
    def image(self) -> tf.Tensor:
        """Returns the image, [1, h, w, 3] in [0, 1], until the next step."""
        return self.optimizer.result()

    @property
    def size(self) -> tuple[int, int]:
        """Returns the (height, width) of the image."""
        return canvas.get_size(self.optimizer.image)

    @property
    def variables(self) -> dict[str, Any]:
        """Lists the optimizer's variables; the next step changes them."""
        return base.list_variables(self.optimizer)


class State(NamedTuple):
    """The state of a run after a step, from which it can resume."""

    level: int  # index of the level, from 0
    steps: int  # taken at this level
    arrays: Mapping[str, Any]  # the optimizer's variables, by name


# (level, its last step or None) -> whether to take another step.
StopRule = Callable[[int, Step | None], bool]
# (error, height, width) -> whether the step can be retried with a new objective
# of that size.
Recovery = Callable[[tf.errors.OpError, int, int], bool]


def descend(
    make_objective_at: Callable[[int, int], objectives.Objective],
    make_optimizer: Callable[[tf.Tensor, pyramid.Level], base.Optimizer],
    levels: Sequence[pyramid.Level],
    image: tf.Tensor,
    start: State | None = None,
    should_continue: StopRule = lambda level, step: True,
    recover: Recovery = lambda error, height, width: False,
    compile_step: Callable[..., TrainStep] | None = None,
) -> Iterator[Step]:
    """Minimizes an objective over an image, level by level.

    The train step is traced once per level.

    Args:
        make_objective_at: (height, width) -> the objective at that size.
        make_optimizer: (image, level) -> the optimizer of a level, for a copy
            of the image resampled to its size.
        levels: Sizes and steps, from coarse to fine.
        image: The initial image, [1, H, W, 3] in [0, 1], of any size.
        start: A state to resume from; the result is bit-identical to that of an
            uninterrupted run.
        should_continue: Called before each step; False ends or skips the level.
        recover: Called when a step fails; if True, the step is retried with a
            new objective, from the same state.
        compile_step: Replaces `make_train_step`, with its arguments.

    Yields:
        A `Step` after each update.

    Raises:
        FloatingPointError: If the loss stays NaN or explodes; the image of the
            last step is still valid.
    """
    first = start.level if start else 0
    finished = None
    for number, level in enumerate(levels[first:], start=first):
        resumed = start is not None and number == start.level
        if not should_continue(number, None) and not resumed:
            continue
        display.show_stage(f"compiling {level.width} x {level.height}")
        # First, to compute the targets while no other memory is used.
        take = _Steps(level, make_objective_at, recover, compile_step)
        optimizer = make_optimizer(image, level)
        is_large = canvas.is_large(optimizer.image)
        if finished:
            finished.hand_over(optimizer)
        index = 0
        if start and resumed:
            index = start.steps
            for name, variable in base.list_variables(optimizer).items():
                variable.assign(start.arrays[name])
        step = None
        while index < level.steps and (
            not step or should_continue(number, step)
        ):
            index += 1
            step = Step(number, index, take(optimizer), optimizer)
            if index % FAILURES == 0 or index == level.steps:
                _check(optimizer, min(FAILURES, index))
            yield step
        del take
        # Targets and their graph are in reference cycles. Collecting them takes
        # a good part of a second.
        if is_large:
            gc.collect()
        finished = base.FinalState(optimizer)
        image = finished.image
        if step:
            step.optimizer = finished
        del step, optimizer


class _Steps:
    """The train step of a level; retries failed steps."""

    def __init__(
        self,
        level: pyramid.Level,
        make_objective_at: Callable[[int, int], objectives.Objective],
        recover: Recovery,
        compile_step: Callable[..., TrainStep] | None,
    ):
        self._size = level.height, level.width
        self._make, self._recover = make_objective_at, recover
        self._compile = compile_step or make_train_step
        self._objective: objectives.Objective | None = None
        self._train_step: TrainStep | None = None
        self._retry(self._get_objective)

    def __call__(self, optimizer: base.Optimizer) -> objectives.Evaluation:
        """Takes a step of the level's optimizer."""

        def step() -> objectives.Evaluation:
            objective = self._get_objective()
            if self._train_step is None:
                self._train_step = self._compile(optimizer, objective)
            return self._train_step()

        # A step evaluates before it changes any variable.
        return self._retry(step)

    def _get_objective(self) -> objectives.Objective:
        """Returns the objective; makes it if needed."""
        if self._objective is None:
            self._objective = self._make(*self._size)
        return self._objective

    def _retry(self, function: Callable[[], T]) -> T:
        """Calls a function; on failure, retries with a new objective."""
        while True:
            try:
                return function()
            except tf.errors.OpError as error:
                self._objective = self._train_step = None
                if not self._recover(error, *self._size):
                    raise
            gc.collect()  # the failed graph is in a reference cycle


def _check(optimizer: base.Optimizer, failures: int) -> None:
    """Raises FloatingPointError after `failures` failures in a row."""
    if int(optimizer.failures) >= failures:
        raise FloatingPointError(
            f"the loss was NaN, infinite or exploding {failures} times in a "
            "row; try --precision=float32, or smaller weights."
        )


def make_train_step(
    optimizer: base.Optimizer,
    objective: objectives.Objective,
    compiler: reuse.Compiler | None = None,
) -> TrainStep:
    """Compiles a step: evaluation, gradient, update and projection.

    The step returns its evaluation; without the gradient, if the objective
    reuses the memory of the gradient.

    Args:
        optimizer: The optimizer of the image.
        objective: The objective of the image.
        compiler: A cache of compiled steps.
    """
    compiler = compiler or reuse.Compiler()
    return compiler.bind(_take_step, optimizer, objective)


def _take_step(
    optimizer: base.Optimizer, objective: objectives.Objective
) -> objectives.Evaluation:
    """Takes one step."""
    evaluation = optimizer.step(objective)
    if canvas.is_changeable(evaluation.gradient):
        none = tf.zeros([0], evaluation.gradient.dtype)
        return evaluation._replace(gradient=none)
    return evaluation
