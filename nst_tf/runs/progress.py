"""Describes the plan, the progress and the result of a run."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import SupportsFloat

from nst_tf import display, screens, terminal
from nst_tf.images import sizes
from nst_tf.plan import planning, tile_size
from nst_tf.runs import standard_output

TIMED_STEP = 11  # the step of a level that is read first, to time the steps
TRACE_STEPS = 30  # of the coarsest level, longer than a compilation
TRACE_SECONDS = 6.0  # a longer pause means slow steps
PAUSE_STEPS = 6  # of a level; its targets and first step take as long
LARGEST_SHARE = 0.99  # before the picture is saved
SAVING_SECONDS = 0.5


def describe_plan(
    plan: planning.Plan,
    *,
    output: str,
    device: str,
    print_unit: str = "cm",
    seconds: float = 0.0,
) -> list[str]:
    """Describes a plan in a few lines.

    Args:
        plan: The plan.
        output: The output path.
        device: The name of the device.
        print_unit: Unit of the paper size: cm, mm or in.
        seconds: Estimated duration; 0: unknown.
    """
    last, content = plan.levels[-1], plan.inputs.content.pixels.shape[:2]
    network = plan.inputs.network
    levels = ", ".join(
        f"{each.width} x {each.height} ({each.steps})" for each in plan.levels
    )
    steps = sum(each.steps for each in plan.levels)
    printed = enlarged = ""
    if plan.file.dpi:
        on_paper = sizes.describe_print(*plan.size, plan.file.dpi, print_unit)
        printed = f", {on_paper}"
    if max(last.size) > max(content):
        enlarged = f", enlarged from {content[1]} x {content[0]}"
    tiles = tile_size.describe_tiles(plan, last)
    in_tiles = f", in {tiles}" if tiles else ""
    time_words = ""
    if seconds:
        words = terminal.format_duration(seconds)
        time_words = f"about {words}, estimated from a few steps at small size"
    if plan.stop.seconds:
        words = terminal.format_duration(plan.stop.seconds)
        time_words = f"at most {words}, with fewer steps if necessary"
    lines = [
        f"picture   {output}, {last.width} x {last.height}{printed}{enlarged}",
        f"device    {device}, {plan.network.precision}",
        f"network   {plan.network.name}, {network and network.origin}",
        f"levels    {levels}: {steps} steps",
        f"memory    about {tile_size.estimate_memory(plan) / 1e9:.1f} GB"
        f"{in_tiles}",
    ]
    return [*lines, f"time      {time_words}"] if time_words else lines


def describe_start(
    plan: planning.Plan, pictures: str, output: str, device: str
) -> list[str]:
    """Describes a plan in two lines.

    Args:
        plan: The plan.
        pictures: The names of the content and of the styles.
        output: The output path.
        device: The name of the device.
    """
    last, network = plan.levels[-1], plan.inputs.network
    origin = network and network.origin
    memory = tile_size.estimate_memory(plan) / 1e9
    tiles = tile_size.describe_tiles(plan, last)
    return [
        f"{pictures} -> {output}, {last.width} x {last.height}",
        f"{device}, {plan.network.precision}; {plan.network.name} ({origin}); "
        f"about {memory:.1f} GB{', in ' if tiles else ''}{tiles}",
    ]


class Forecast:
    """Estimates the remaining time of a run from the times of its steps.

    The time of a step is proportional to its level's work. Each level starts
    with a pause, to compute targets and compile the train step: a constant plus
    the time of a few steps. One-time costs of the first pause, such as building
    the network, are not counted again.

    Args:
        works: Work of a step and number of steps, for each level.
        began: When the program began, by the clock of all other times.
        now: When the run begins.
        end: When it will be over at the latest.
    """

    def __init__(
        self,
        works: Sequence[tuple[float, int]],
        began: float,
        now: float,
        end: float = math.inf,
    ):
        self._works = works
        self._began, self._end = began, end
        self._level = -1
        self._first = (0, now)  # first step read at the level, and its time
        self._last = now  # time of the last read
        self._trace = 0.0  # constant part of a pause, in seconds
        self._rate = 0.0  # seconds per unit of work; 0: unknown yet
        self._shown = 0.0
        # Time of the last read, the seconds left at that time, and the seconds
        # until the next read.
        self._moment: tuple[float, float, float] | None = None

    def add_step(self, level: int, index: int, now: float) -> None:
        """Records that a step (from 1) of a level (from 0) is over."""
        work, steps = self._works[level]
        if level != self._level:
            pause = now - self._last
            if self._rate:
                pause -= PAUSE_STEPS * self._rate * work
            self._trace = max(0.0, pause if self._rate else pause / 2)
            if not self._rate:  # a guess, until two steps are over
                step = max(
                    self._trace / TRACE_STEPS,
                    (pause - TRACE_SECONDS) / PAUSE_STEPS,
                )
                self._rate = step / work
            self._level, self._first = level, (index, now)
        elif index > self._first[0]:
            taken = index - self._first[0]
            self._rate = (now - self._first[1]) / (taken * work)
        self._last = now
        seconds = [
            (self._trace + PAUSE_STEPS * self._rate * each, self._rate * each)
            for each, _ in self._works
        ]
        left = (steps - index) * seconds[level][1]
        for (pause, step), (_, count) in zip(
            seconds[level + 1 :], self._works[level + 1 :], strict=True
        ):
            left += pause + (count - 1) * step
        unit = display.get_interval() + seconds[level][1]
        if index == steps and level + 1 < len(seconds):
            unit = seconds[level + 1][0]
        self._moment = now, left, unit

    def finish(self) -> None:
        """Takes note that no step is left."""
        self._moment, self._shown = (self._last, 0.0, 0.0), 1.0

    def remaining(self, now: float) -> float:
        """Estimates the seconds left; decreases between steps too."""
        if self._moment is None:
            return 0.0
        then, left, unit = self._moment
        left = max(0.0, left - min(now - then, unit))
        return max(0.0, min(left, self._end - now))

    def share(self, now: float) -> float | None:
        """Estimates the elapsed share of the run's time.

        It never falls, and is None before the first step is over.
        """
        if self._moment is None:
            return None
        elapsed = max(now - self._began, 1e-9)
        share = elapsed / (elapsed + self.remaining(now) + SAVING_SECONDS)
        self._shown = max(self._shown, min(share, LARGEST_SHARE))
        return self._shown


class Progress:
    """Shows the steps of one or several runs on the display.

    It reads the loss, which waits for the device, only when it updates the
    display.

    Args:
        plans: The plans of the runs.
        began: When the program began, by `time.monotonic`.
        max_seconds: Their time limit; 0: none.
    """

    def __init__(
        self,
        plans: Sequence[planning.Plan],
        began: float,
        max_seconds: float = 0.0,
    ):
        self._levels = [
            (plan, level) for plan in plans for level in plan.levels
        ]
        self._starts = [0]
        for plan in plans:
            self._starts.append(self._starts[-1] + len(plan.levels))
        works = [
            (level.work * tile_size.estimate_cost(plan, level), level.steps)
            for plan, level in self._levels
        ]
        now, end = time.monotonic(), began + (max_seconds or math.inf)
        self._forecast = Forecast(works, began, now, end)
        self._place = (-1, -1)  # (run, level) of the last step
        self._taken = 0  # steps at the level
        self._read = now
        self._status: screens.Status | None = None

    def finish(self) -> None:
        """Takes note that all is done, if a rule stopped it before its end."""
        if self._status and self._forecast.share(time.monotonic()) != 1.0:
            self._forecast.finish()
            display.show_status(self._status, is_milestone=True)

    def update(
        self, level: int, index: int, loss: SupportsFloat, run: int = 0
    ) -> float | None:
        """Takes note of a step.

        Args:
            level: Index of the level, from 0.
            index: Steps taken at the level, from 1.
            loss: Of the step; reading it waits for the device.
            run: Index of the run, from 0.

        Returns:
            The loss, if it was read.
        """
        if self._place != (run, level):
            self._place, self._taken = (run, level), 0
        self._taken += 1
        number = self._starts[run] + level
        here = self._levels[number][1]
        is_last, now = index == here.steps, time.monotonic()
        is_due = now - self._read >= display.get_interval()
        if not (is_last or is_due or self._taken in (1, TIMED_STEP)):
            return None
        value = float(loss)
        self._read = now = time.monotonic()
        self._forecast.add_step(number, index, now)
        if is_last and number + 1 == len(self._levels):
            self._forecast.finish()
        levels = self._starts[run + 1] - self._starts[run]
        short = f"{level + 1} of {levels}"
        label = f"{here.width} x {here.height} ({short})"
        if len(self._starts) > 2:
            label = short = f"picture {run + 1} of {len(self._starts) - 1}"
        facts = {
            "level": level + 1,
            "levels": levels,
            "width": here.width,
            "height": here.height,
            "step": index,
            "steps": here.steps,
        }
        status = screens.Status(label, self._forecast, value, facts, short)
        self._status = status
        is_end = is_last and (len(self._starts) == 2 or level + 1 == levels)
        display.show_status(status, is_milestone=is_end)
        return value


def describe_losses(
    terms: Mapping[str, float], is_taken_back: bool
) -> list[str]:
    """Formats the losses of the last step."""
    width = max(map(len, terms))
    return [
        "losses of the last step, which was rolled back:"
        if is_taken_back
        else "final losses, unweighted:",
        *(f"  {name:{width}}  {terms[name]:.4g}" for name in terms),
    ]


def describe_saved(
    path: Path, size: tuple[int, int], seconds: float, is_done: bool
) -> str:
    """Formats the line about a saved picture of (height, width)."""
    name = "to standard output" if path == standard_output.PATH else path
    state = "" if is_done else ", unfinished"
    return (
        f"saved {name} ({size[1]} x {size[0]}{state}) in "
        f"{terminal.format_duration(seconds)}"
    )
