"""The protocol of an optimizer, and its state at the end of a level."""

from collections.abc import Sequence
from typing import Any, Protocol

import tensorflow as tf

from nst_tf.backend import canvas
from nst_tf.losses import objectives


class Optimizer(Protocol):
    """The protocol of every optimizer.

    Laws: it finds the minimum of a bowl inside the box; the image never leaves
    the box; its step is traced once; an evaluation that is no number, or far
    above the lowest one, is taken back, and the next step is shorter.
    """

    image: canvas.Canvas  # [1, H, W, 3], in [0, 1] if it is bounded
    rescues: tf.Variable  # evaluations that were taken back, []
    failures: tf.Variable  # of these the newest, without a sound one since, []
    inherited: Sequence[str]  # names of what the next level goes on with

    def step(self, objective: objectives.Objective) -> objectives.Evaluation:
        """Evaluates the objective at the image, and updates the image."""

    def result(self) -> tf.Tensor:
        """Returns the image to show, [1, H, W, 3], in [0, 1]."""


def list_variables(optimizer: "Optimizer | FinalState") -> dict[str, Any]:
    """Lists all that an optimizer remembers, the image included, by name."""
    return {
        name: value
        for name, value in vars(optimizer).items()
        if canvas.is_changeable(value)
    }


class FinalState:
    """Keeps an optimizer's image, and what the next level inherits.

    The others that it remembers would stand beside those of the next level.
    """

    def __init__(self, optimizer: Optimizer):
        self.image = optimizer.result()
        self.rescues, self.failures = optimizer.rescues, optimizer.failures
        numbers = list_variables(optimizer)
        self._numbers = {name: numbers[name] for name in optimizer.inherited}

    def result(self) -> tf.Tensor:
        """Returns the image to show, [1, H, W, 3], in [0, 1]."""
        return self.image

    def hand_over(self, finer: Optimizer) -> None:
        """Gives the optimizer of the next level what still holds."""
        theirs = list_variables(finer)
        for name, value in self._numbers.items():
            theirs[name].assign(value)
