"""The descent: a compiled train step, and the loop over the levels.

The loop is a generator of facts. Progress, previews, checkpoints and early
stops are things that its reader does between two steps.
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
FAILURES = 25  # in a row, after which no evaluation will be sound any more


@dataclasses.dataclass
class Step:
    """One step that was taken. Nothing has been copied from the device.

    At the end of a level the optimizer of its last step gives way to what is
    left of it, so that whoever keeps the step keeps an image, not six.
    """

    level: int  # index of the level, from 0
    index: int  # steps taken at this level, from 1
    evaluation: objectives.Evaluation  # at the image before the update
    optimizer: base.Optimizer | base.FinalState

    @property
    def image(self) -> tf.Tensor:
        """Returns the image, [1, h, w, 3] in [0, 1]; the next step moves it."""
        return self.optimizer.result()

    @property
    def size(self) -> tuple[int, int]:
        """Returns height and width of the image."""
        return canvas.get_size(self.optimizer.image)

    @property
    def variables(self) -> dict[str, Any]:
        """Lists what the optimizer remembers; the next step changes it."""
        return base.list_variables(self.optimizer)


class State(NamedTuple):
    """A place in a run, and what is needed to go on from there."""

    level: int  # index of the level, from 0
    steps: int  # taken at this level
    arrays: Mapping[str, Any]  # the optimizer's variables, by name


# (level, the step taken last at it or None) -> whether to take another one.
StopRule = Callable[[int, Step | None], bool]
# (an error, height, width) -> whether an objective of that size without this
# error can be made.
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
    """Minimizes an objective over an image, from level to level.

    The train step is traced once a level, whatever is read between steps.

    Args:
        make_objective_at: (height, width) -> the objective at that size.
        make_optimizer: (image, level) -> the optimizer of a level's image: of
            that one, resampled.
        levels: Sizes and steps, from coarse to fine.
        image: Where to start, [1, H, W, 3] in [0, 1], of any size.
        start: A state of such a run, to go on after it: what follows is the
            same to the bit as if the run had not been interrupted.
        should_continue: Is asked before each step; levels end early, or are
            left out, where it says no.
        recover: Is asked when a step fails; the step is then taken again by
            another objective, from the same state.
        compile_step: As `make_train_step`; that if None.

    Yields:
        A `Step` after each update.

    Raises:
        FloatingPointError: If evaluations give no numbers any more, whatever
            the image; that of the last step is still good.
    """
    first = start.level if start else 0
    finished = None
    for number, level in enumerate(levels[first:], start=first):
        resumed = start is not None and number == start.level
        if not should_continue(number, None) and not resumed:
            continue
        display.show_stage(f"compiling {level.width} x {level.height}")
        # First, while there is nothing else: to see the pictures takes memory.
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
        # Targets, and the graph that holds them, are in circles of references;
        # to look for these takes a good part of a second.
        if is_large:
            gc.collect()
        finished = base.FinalState(optimizer)
        image = finished.image
        if step:
            step.optimizer = finished
        del step, optimizer


class _Steps:
    """The train step of a level, made again where it fails."""

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

        # The evaluation comes before anything is changed.
        return self._retry(step)

    def _get_objective(self) -> objectives.Objective:
        """Returns the objective; makes it if there is none."""
        if self._objective is None:
            self._objective = self._make(*self._size)
        return self._objective

    def _retry(self, function: Callable[[], T]) -> T:
        """Calls a function, again with another objective where it fails."""
        while True:
            try:
                return function()
            except tf.errors.OpError as error:
                self._objective = self._train_step = None
                if not self._recover(error, *self._size):
                    raise
            gc.collect()  # the graph that failed is in a circle


def _check(optimizer: base.Optimizer, failures: int) -> None:
    """Raises FloatingPointError after so many failures in a row."""
    if int(optimizer.failures) >= failures:
        raise FloatingPointError(
            f"the last {failures} evaluations gave no numbers, or losses that "
            f"explode; try --precision=float32, or smaller weights."
        )


def make_train_step(
    optimizer: base.Optimizer,
    objective: objectives.Objective,
    compiler: reuse.Compiler | None = None,
) -> TrainStep:
    """Compiles one step: evaluation, gradient, update and projection.

    An evaluation whose gradient is changed in place comes without it.

    Args:
        optimizer: Of the image.
        objective: Of an image of its size.
        compiler: Has compiled such steps before, and keeps this one.
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
