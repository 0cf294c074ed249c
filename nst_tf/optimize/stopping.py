"""Implements the stop rules: time budget, plateau, fixed steps.

A stop rule is called before each step, with the index of the level and its last
step (None before the first), and returns whether to continue. It may skip
levels, but never the last one of a run that is still going on.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nst_tf.plan import planning, pyramid

if TYPE_CHECKING:
    import tensorflow as tf

    from nst_tf.optimize import descent, state_file

TIMED_STEPS = 5  # of a level, before its steps are planned
FIRST_SECONDS = 2.0  # until the end of a level's first step, a guess
# Time of a run outside its levels: start of Python, writing, exit.
SAVING_SECONDS = 1.5
SAVING_SECONDS_PER_PIXEL = 4e-7
FEWEST_SHARE = 0.1  # minimum share of its steps for a level to be started
PLATEAU_INTERVAL = 10  # steps between two compared images
BEFORE = "picture at rest"  # name of the earlier one in checkpoints


def list_shapes(level: pyramid.Level) -> "state_file.Shapes":
    """Lists shapes and kinds of the arrays that a checkpoint may have.

    See `Stop.arrays`.
    """
    return {BEFORE: ((1, *level.size, 3), "f")}


class Stop:
    """The stop rules of a plan; a run continues while all agree.

    Args:
        settings: The stop settings of the plan.
        levels: The levels, with sizes and steps.
        start: A state to resume from.
        began: When the run began, by `time.monotonic`; now if None.
    """

    def __init__(
        self,
        settings: planning.StopSettings,
        levels: Sequence[pyramid.Level],
        start: "descent.State | None" = None,
        began: float | None = None,
    ):
        self._plateau = Plateau(settings.tolerance, start)
        self._rules: list[descent.StopRule] = []
        if settings.steps is not None:
            self._rules = [FixedSteps(settings.steps)]
            return
        if settings.tolerance:
            self._rules.append(self._plateau)
        if settings.seconds:
            began = time.monotonic() if began is None else began
            seconds = settings.seconds - settings.reserve
            self._rules.append(TimeBudget(levels, seconds, began))

    def __call__(self, level: int, step: "descent.Step | None") -> bool:
        """Returns whether to take another step at a level."""
        return all([rule(level, step) for rule in self._rules])

    def arrays(self, step: "descent.Step") -> dict[str, np.ndarray] | None:
        """Returns the arrays to resume after a step; see `Plateau.arrays`."""
        return self._plateau.arrays(step)


class StepTimer:
    """Times the steps of a run, whose time is proportional to their work.

    Args:
        levels: The levels, with sizes and steps.
        clock: Function that returns the time in seconds.
    """

    def __init__(
        self,
        levels: Sequence[pyramid.Level],
        clock: Callable[[], float] = time.monotonic,
    ):
        self._levels = levels
        self._clock = clock
        self.seconds_per_work = 0.0  # 0 before two steps were timed
        self.first_seconds = 0.0  # of a level: targets, trace and first step
        self._level_start = clock()
        self._first_step = 0.0  # time of its end
        self._skipped = 0  # steps of the level in earlier runs

    def start_level(self) -> None:
        """Notes that a level begins."""
        self._level_start = self._clock()

    def end_first_step(self, index: int) -> None:
        """Notes that the device has finished the first step of a level."""
        self._first_step = self._clock()
        self.first_seconds = self._first_step - self._level_start
        self._skipped = index - 1

    def end_step(self, level: int, index: int) -> None:
        """Notes that the device has finished a later step of a level."""
        taken = index - self._skipped
        if taken > 1:
            seconds = (self._clock() - self._first_step) / (taken - 1)
            self.seconds_per_work = seconds / self._levels[level].work

    def count_taken(self, index: int) -> int:
        """Counts the steps of the level that this run has taken."""
        return index - self._skipped

    def estimate_work(self, level: int, steps: int) -> float:
        """Estimates the seconds of a level's steps and all later levels."""
        later = self._levels[level + 1 :]
        work = steps * self._levels[level].work
        work += sum(each.steps * each.work for each in later)
        return work * self.seconds_per_work


class TimeBudget:
    """Divides a time limit among the levels, in proportion to their work.

    At each level it measures the time of a step, and scales the remaining
    steps, of this and all later levels, to the time left. It skips levels for
    which there is no time. At least one step is taken, at the last level.

    Args:
        levels: The levels; their steps are never exceeded.
        seconds: The time limit.
        start: When the run began, by `clock`.
        clock: Function that returns the time in seconds.
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
        self._timer = StepTimer(levels, clock)
        self._timer.first_seconds = FIRST_SECONDS
        self._is_first = True  # whether no step of the level was taken
        self._allowed = 0  # steps at the current level

    def __call__(self, level: int, step: "descent.Step | None") -> bool:
        """Returns whether there is time for another step at a level."""
        timer, here = self._timer, self._levels[level]
        last = level == len(self._levels) - 1
        if step is None:
            timer.start_level()
            self._is_first, self._allowed = True, here.steps
            return last or self._is_worth_it(level)
        float(step.evaluation.loss)  # waits for the device
        if self._is_first:
            timer.end_first_step(step.index)
            self._is_first = False
        timer.end_step(level, step.index)
        left = here.steps - step.index
        if timer.count_taken(step.index) == 1 + TIMED_STEPS or last:
            self._allowed = step.index + int(self._share(level, left) * left)
        step_seconds = timer.seconds_per_work * here.work
        reserve = 0.0 if last else timer.first_seconds + step_seconds
        return (
            step.index < self._allowed
            and self._clock() + step_seconds + reserve < self._end
        )

    def _is_worth_it(self, level: int) -> bool:
        """Returns whether the time allows enough steps to start a level."""
        share = self._share(level, self._levels[level].steps, starts=1)
        return share >= FEWEST_SHARE

    def _share(self, level: int, steps: int, starts: int = 0) -> float:
        """Returns the share of the remaining steps for which there is time."""
        starts += len(self._levels) - 1 - level
        left = self._end - self._clock() - starts * self._timer.first_seconds
        needed = self._timer.estimate_work(level, steps)
        if left <= 0:
            return 0.0
        return min(1.0, left / needed) if needed else 1.0


class FixedSteps:
    """Takes fixed numbers of steps, as an earlier run did.

    Args:
        steps: Steps of each level; 0 for skipped levels.
    """

    def __init__(self, steps: Sequence[int]):
        self._steps = steps

    def __call__(self, level: int, step: "descent.Step | None") -> bool:
        """Returns whether the level has another step."""
        return (step.index if step else 0) < self._steps[level]


class Plateau:
    """Ends a level when its image hardly changes.

    Args:
        tolerance: Root mean square of the change in a step, on average over
            `PLATEAU_INTERVAL` steps, in units of the image's range.
        start: A state to resume from, with the arrays of `arrays`.
    """

    def __init__(self, tolerance: float, start: "descent.State | None" = None):
        self._tolerance = tolerance
        self._start = start
        self._before: tf.Tensor | None = None

    def arrays(self, step: "descent.Step") -> dict[str, np.ndarray] | None:
        """Returns the arrays to resume after a step, by name.

        None after steps at which images are compared, since the decision
        whether the level continues is still open.
        """
        if not self._tolerance:
            return {}
        if step.index % PLATEAU_INTERVAL == 0:
            return None
        return {} if self._before is None else {BEFORE: self._before.numpy()}

    def __call__(self, level: int, step: "descent.Step | None") -> bool:
        """Returns whether the image still changes."""
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
