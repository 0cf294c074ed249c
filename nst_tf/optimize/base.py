"""Defines the protocol of optimizers, and their state at a level's end."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import tensorflow as tf

from nst_tf.backend import canvas
from nst_tf.losses import objectives

# (value of a variable, height, width) -> its value at a level of that size.
Adapt = Callable[[Any, int, int], Any]


def keep(value: Any, height: int, width: int) -> Any:
    """Returns the value itself, for every size."""
    del height, width
    return value


class Optimizer(Protocol):
    """The protocol of every optimizer.

    Laws: it finds the minimum of a bowl inside the box; the image never leaves
    the box; its step is traced once; an evaluation that is NaN, or far above
    the lowest one, is rolled back, and the next step is shorter.
    """

    image: canvas.Canvas  # [1, H, W, 3], in [0, 1] if it is bounded
    rescues: tf.Variable  # evaluations that were rolled back, []
    failures: tf.Variable  # rolled back in a row, up to now, []

    @property
    def inherited(self) -> Mapping[str, Adapt]:
        """Names of variables that the next level starts with, and how."""

    def step(self, objective: objectives.Objective) -> objectives.Evaluation:
        """Evaluates the objective at the image, and updates the image."""

    def result(self) -> tf.Tensor:
        """Returns the image to show, [1, H, W, 3], in [0, 1]."""


def list_variables(optimizer: "Optimizer | FinalState") -> dict[str, Any]:
    """Lists all variables of an optimizer, including the image, by name."""
    return {
        name: value
        for name, value in vars(optimizer).items()
        if canvas.is_changeable(value)
    }


class FinalState:
    """The image of an optimizer, and the variables that the next level keeps.

    The other variables are freed before the next level creates its own, and the
    kept ones when it has taken them over.
    """

    def __init__(self, optimizer: Optimizer):
        self.image = optimizer.result()
        self.rescues, self.failures = optimizer.rescues, optimizer.failures
        variables = list_variables(optimizer)
        self._kept = {
            name: (variables[name], adapt)
            for name, adapt in optimizer.inherited.items()
        }

    def result(self) -> tf.Tensor:
        """Returns the image to show, [1, H, W, 3], in [0, 1]."""
        return self.image

    def hand_over(self, finer: Optimizer) -> None:
        """Moves the kept variables to the optimizer of the next level."""
        theirs = list_variables(finer)
        size = canvas.get_size(finer.image)
        while self._kept:
            name, (value, adapt) = self._kept.popitem()
            if name in theirs:  # another kind of optimizer may lack it
                theirs[name].assign(adapt(value, *size))
