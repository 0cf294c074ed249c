"""What a run says of itself: the plan, the progress, the end."""

import io
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import SupportsFloat, TextIO

from nst_tf import terminal
from nst_tf.images import sizes
from nst_tf.optimize import stopping
from nst_tf.plan import planning, pyramid, tile_size
from nst_tf.runs import standard_output

TIMED_STEPS = 10  # at a level, before a time is estimated
PLAIN_SECONDS = 10.0  # between two lines where there is no terminal
TERMINAL_SECONDS = 0.2


def describe_plan(
    plan: planning.Plan,
    *,
    output: str,
    device: str,
    print_unit: str = "cm",
    seconds: float = 0.0,
) -> list[str]:
    """Describes what will be done, in a few lines for people.

    Args:
        plan: What will be done.
        output: Where the picture will be written.
        device: What computes.
        print_unit: Of its size on paper: cm, mm or in.
        seconds: What it will take; 0: not known.
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
    time_words = f"once {TIMED_STEPS} steps are timed"
    if seconds:
        time_words = (
            f"about {format_duration(seconds)}, by a few steps at small size"
        )
    if plan.stop.seconds:
        time_words = (
            f"at most {format_duration(plan.stop.seconds)}, in fewer steps if "
            f"need be"
        )
    return [
        f"picture   {output}, {last.width} x {last.height}{printed}{enlarged}",
        f"device    {device}, {plan.network.precision}",
        f"network   {plan.network.name}, {network and network.origin}",
        f"levels    {levels}: {steps} steps",
        f"memory    about {tile_size.estimate_memory(plan) / 1e9:.1f} GB"
        f"{in_tiles}",
        f"time      {time_words}",
    ]


class Progress:
    """A line that is renewed on a terminal, plain lines elsewhere.

    The loss is read, which waits for the device, only when it is shown.

    Args:
        levels: Sizes and steps of the run.
        file: Where to write; standard error if None.
        end: When the run will be over at the latest, by `time.monotonic`.
        renew: Takes the line in place of the file, whenever it is renewed.
    """

    def __init__(
        self,
        levels: Sequence[pyramid.Level],
        file: TextIO | None = None,
        end: float = math.inf,
        renew: Callable[[str], None] | None = None,
    ):
        self._levels = levels
        self._end = end
        self._file = file or sys.stderr or io.StringIO()
        self._terminal = renew is None and self._file.isatty()
        self._renew = self._renew_line if self._terminal else renew
        self._interval = TERMINAL_SECONDS if self._renew else PLAIN_SECONDS
        self._timer = stopping.StepTimer(levels)
        self._level = -1
        self._shown = 0.0

    def say(self, *lines: str) -> None:
        """Writes lines; a reader that has gone does not end the run."""
        text = "\n".join(map(terminal.escape, lines))
        self._write(f"\r\033[K{text}\n" if self._terminal else f"{text}\n")

    def update(
        self, level: int, index: int, loss: SupportsFloat
    ) -> float | None:
        """Takes note of a step.

        Args:
            level: Index of the level, from 0.
            index: Steps taken at the level, from 1.
            loss: Of the step; to read it is to wait for the device.

        Returns:
            The loss, if it was read.
        """
        timer, here = self._timer, self._levels[level]
        if level != self._level:
            self._level = level
            float(loss)
            timer.end_first_step(index)
        last = index == here.steps
        taken = timer.count_taken(index)
        timed = taken == 1 + TIMED_STEPS and not timer.seconds_per_work
        due = time.monotonic() - self._shown > self._interval
        if not (last or timed or due):
            return None
        value = float(loss)
        self._shown = time.monotonic()
        if last:
            timer.start_level()  # the next one
        if taken > TIMED_STEPS:
            timer.end_step(level, index)
        line = (
            f"level {level + 1}/{len(self._levels)}, {here.width} x "
            f"{here.height}, step {index}/{here.steps}, loss {value:.4g}"
        )
        if timer.seconds_per_work:
            line += (
                f", about {format_duration(self.remaining(level, index))} left"
            )
        (self._renew or self.say)(line)
        return value

    def clear_line(self) -> None:
        """Clears the line that is being renewed, for a line of others."""
        if self._terminal:
            self._write("\r\033[K")

    def end_line(self) -> None:
        """Ends the line that is being renewed, before somebody else writes."""
        if self._terminal:
            self._write("\n")

    def remaining(self, level: int, index: int) -> float:
        """Estimates the seconds left after a step.

        A step takes time in proportion to its level's work, and each level
        begins with as long a pause as the present one did.
        """
        left = self._levels[level].steps - index
        pauses = self._timer.first_seconds * (len(self._levels) - 1 - level)
        seconds = self._timer.estimate_work(level, left) + pauses
        return max(0.0, min(seconds, self._end - time.monotonic()))

    def _renew_line(self, line: str) -> None:
        """Writes a line over the one before it."""
        self._write(f"\r\033[K{line}")

    def _write(self, text: str) -> None:
        """Writes, unless there is nobody left to read."""
        if self._file.closed:
            return
        try:
            getattr(self._file, "write_raw", self._file.write)(text)
            self._file.flush()
        except OSError:
            self._file = io.StringIO()


def describe_losses(
    terms: Mapping[str, float], *, rescues: int, taken_back: bool
) -> list[str]:
    """Describes the losses of the last step, and how often it was rescued."""
    width = max(map(len, terms))
    lines = [
        "losses of the last step, which was taken back:"
        if taken_back
        else "losses of the last step, before weights:",
        *(f"  {name:{width}}  {terms[name]:.4g}" for name in terms),
    ]
    if rescues:
        times = "once" if rescues == 1 else f"{rescues} times"
        lines.append(
            f"rescued {times}: the loss exploded, or was no number; the run "
            f"went on from its best picture, with shorter steps"
        )
    return lines


def describe_saved(
    path: Path, size: tuple[int, int], seconds: float, is_done: bool
) -> str:
    """Says where a picture of (height, width) is, and how long it took."""
    name = "to standard output" if path == standard_output.PATH else path
    state = "" if is_done else ", unfinished"
    return (
        f"saved {name} ({size[1]} x {size[0]}{state}) in "
        f"{format_duration(seconds)}"
    )


def format_duration(seconds: float) -> str:
    """Writes seconds as people do."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
