"""Stop rules: a time budget, a plateau, fixed numbers of steps.

A stop rule is called before each step, with the index of the level and the step
that was taken last at it, None before the first, and returns whether to go on.
It may leave levels out, but never the last one, unless the run was ended before
it.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nst_tf.plan import pyramid

if TYPE_CHECKING:
    import tensorflow as tf

    from nst_tf.optimize import descent

TIMED_STEPS = 5  # at a level, before its steps are planned
FIRST_SECONDS = 2.0  # of a level before its first step is over, as a guess
# What a run takes beside its levels: Python's start, the file, and the end.
SAVING_SECONDS = 1.5
SAVING_SECONDS_PER_PIXEL = 4e-7
FEWEST_SHARE = 0.1  # of its steps, for which a level is worth its start
PLATEAU_INTERVAL = 10  # steps between two pictures that are compared
BEFORE = "picture at rest"  # the first of the two, in a checkpoint


class TimeBudget:
    """Shares seconds among the levels, in proportion to their work.

    At each level the time of a step is measured, and the steps that are left
    are scaled, there and in all later levels, to what the time allows. Levels
    for which there is no time are left out. At least one step is taken, at
    the last level.

    Args:
        levels: Sizes and steps, which are never exceeded.
        seconds: How long the run may take.
        start: When it began, by `clock`.
        clock: What tells the time, in seconds.
    """

    def __init__(
        self,
        levels: Sequence[pyramid.Level],
        seconds: float,
        start: float,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._levels = levels
        self._clock = clock
        saving = SAVING_SECONDS + SAVING_SECONDS_PER_PIXEL * levels[-1].pixels
        self._end = start + seconds - saving
        self._seconds_per_work = 0.0  # not known before a step was timed
        self._first_seconds = FIRST_SECONDS
        self._level_start = 0.0
        self._first_step = 0.0  # when it was over
        self._skipped = 0  # steps of the level that a run before this one took
        self._allowed = 0  # steps at the present level

    def __call__(self, level: int, step: "descent.Step | None") -> bool:
        """Whether there is time for another step at a level."""
        now = self._clock()
        here = self._levels[level]
        last = level == len(self._levels) - 1
        if step is None:
            self._level_start = now
            self._allowed = here.steps
            return last or self._is_worth_it(level, now)
        float(step.evaluation.loss)  # waits for the device
        now = self._clock()
        if not self._first_step or self._first_step < self._level_start:
            self._first_step = now
            self._first_seconds = now - self._level_start
            self._skipped = step.index - 1
        taken = step.index - self._skipped
        if taken > 1:
            seconds = (now - self._first_step) / (taken - 1)
            self._seconds_per_work = seconds / here.work
        if taken == 1 + TIMED_STEPS or last:
            share = self._share(level, here.steps - step.index, now)
            self._allowed = step.index + int(share * (here.steps - step.index))
        step_seconds = self._seconds_per_work * here.work
        reserve = 0.0 if last else self._first_seconds + step_seconds
        return step.index < self._allowed and now + step_seconds + reserve < (
            self._end
        )

    def _is_worth_it(self, level: int, now: float) -> bool:
        """Whether a level can have enough of its steps to be started."""
        share = self._share(level, self._levels[level].steps, now, starts=1)
        return share >= FEWEST_SHARE

    def _share(
        self, level: int, steps: int, now: float, starts: int = 0
    ) -> float:
        """The share of the steps that are left for which there is time."""
        later = self._levels[level + 1 :]
        work = steps * self._levels[level].work
        work += sum(each.steps * each.work for each in later)
        starts += len(later)
        left = self._end - now - starts * self._first_seconds
        needed = work * self._seconds_per_work
        if left <= 0:
            return 0.0
        return min(1.0, left / needed) if needed else 1.0


class FixedSteps:
    """Takes as many steps at each level as a run before took.

    Args:
        steps: For each level; 0 for one that was left out.
    """

    def __init__(self, steps: Sequence[int]):
        self._steps = steps

    def __call__(self, level: int, step: "descent.Step | None") -> bool:
        """Whether another step was taken at a level."""
        return (step.index if step else 0) < self._steps[level]


class Plateau:
    """Ends a level when its picture hardly changes any more.

    Args:
        tolerance: Root mean square of the change in a step, on average over
            `PLATEAU_INTERVAL` steps, in units of the image's range.
        start: A state to go on from, which has what `arrays` gave.
    """

    def __init__(self, tolerance: float, start: "descent.State | None" = None):
        self._tolerance = tolerance
        self._start = start
        self._before: tf.Tensor | None = None

    def arrays(self, step: "descent.Step") -> dict[str, np.ndarray] | None:
        """What a run that goes on after a step needs, by name.

        None where pictures are compared: it is not decided yet then whether
        the level goes on.
        """
        if not self._tolerance:
            return {}
        if step.index % PLATEAU_INTERVAL == 0:
            return None
        return {} if self._before is None else {BEFORE: self._before.numpy()}

    def __call__(self, level: int, step: "descent.Step | None") -> bool:
        """Whether the picture still changes."""
        import tensorflow as tf

        if step is None:
            self._before = None
            start = self._start
            if start and start.level == level and BEFORE in start.arrays:
                self._before = tf.constant(start.arrays[BEFORE])
            return True
        if step.index % PLATEAU_INTERVAL:
            return True
        image, before = tf.identity(step.image), self._before
        self._before = image
        if before is None:
            return True
        change = float(tf.sqrt(tf.reduce_mean((image - before) ** 2)))
        return change / PLATEAU_INTERVAL >= self._tolerance
