"""What a run says of itself: the plan, the progress, the end."""

import io
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import SupportsFloat, TextIO

from nst_tf.plan import pyramid

TIMED_STEPS = 10  # at a level, before a time is estimated
PLAIN_SECONDS = 10.0  # between two lines where there is no terminal
TERMINAL_SECONDS = 0.2


def describe_plan(
    levels: Sequence[pyramid.Level],
    *,
    output: str,
    device: str,
    precision: str,
    network: str,
    origin: str,
    content_size: tuple[int, int],
    memory: float,
    tiles: str = "",
    max_seconds: float = 0.0,
    seconds: float = 0.0,
    on_paper: str = "",
) -> str:
    """Describes what will be done, in a few lines for people.

    Args:
        levels: Sizes and steps.
        output: Where the picture will be written.
        device: What computes.
        precision: Type that the network computes in.
        network: Its name.
        origin: Where its weights came from.
        content_size: (height, width) of the content image.
        memory: What the run will need, in bytes.
        tiles: How many it is worked on in, and of what size.
        max_seconds: What the run may take; 0: no limit.
        seconds: What it will take; 0: not known.
        on_paper: The picture's size there, if its resolution was asked for.
    """
    last = levels[-1]
    sizes = ", ".join(
        f"{level.width} x {level.height} ({level.steps})" for level in levels
    )
    enlarged = (
        f", enlarged from {content_size[1]} x {content_size[0]}"
        if max(last.height, last.width) > max(content_size)
        else ""
    )
    printed = f", {on_paper}" if on_paper else ""
    in_tiles = f", in {tiles}" if tiles else ""
    time_words = f"once {TIMED_STEPS} steps are timed"
    if seconds:
        time_words = (
            f"about {format_duration(seconds)}, by a few steps at small size"
        )
    if max_seconds:
        time_words = (
            f"at most {format_duration(max_seconds)}, in fewer steps if need be"
        )
    return "\n".join(
        [
            f"picture   {output}, {last.width} x {last.height}{printed}"
            f"{enlarged}",
            f"device    {device}, {precision}",
            f"network   {network}, {origin}",
            f"levels    {sizes}: {sum(level.steps for level in levels)} steps",
            f"memory    about {memory / 1e9:.1f} GB{in_tiles}",
            f"time      {time_words}",
        ]
    )


class Progress:
    """A line that is renewed on a terminal, plain lines elsewhere.

    The loss is read, which waits for the device, only when it is shown.

    Args:
        levels: Sizes and steps of the run.
        file: Where to write; standard output if None.
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
        self._file = file or sys.stdout or io.StringIO()
        self._terminal = renew is None and self._file.isatty()
        self._renew = self._renew_line if self._terminal else renew
        self._interval = TERMINAL_SECONDS if self._renew else PLAIN_SECONDS
        self._seconds_per_work = 0.0
        self._first_seconds = 0.0  # of a level: targets, and the trace
        self._level_start = time.monotonic()
        self._level = -1
        self._skipped = 0  # steps of the level that a run before this one took
        self._first_step = 0.0  # when it was over
        self._shown = 0.0

    def say(self, line: str) -> None:
        """Writes a line; a reader that has gone does not end the run."""
        self._write(f"\r\033[K{line}\n" if self._terminal else f"{line}\n")

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
        here = self._levels[level]
        if level != self._level:
            self._level, self._skipped = level, index - 1
            float(loss)
            self._first_step = time.monotonic()
            self._first_seconds = self._first_step - self._level_start
        last = index == here.steps
        taken = index - self._skipped
        timed = taken == 1 + TIMED_STEPS and not self._seconds_per_work
        due = time.monotonic() - self._shown > self._interval
        if not (last or timed or due):
            return None
        value = float(loss)
        now = time.monotonic()
        self._shown = now
        if last:
            self._level_start = now
        if taken > TIMED_STEPS:
            work = here.work * (taken - 1)
            self._seconds_per_work = (now - self._first_step) / work
        line = (
            f"level {level + 1}/{len(self._levels)}, {here.width} x "
            f"{here.height}, step {index}/{here.steps}, loss {value:.4g}"
        )
        if self._seconds_per_work:
            line += (
                f", about {format_duration(self.remaining(level, index))} left"
            )
        (self._renew or self.say)(line)
        return value

    def end_line(self) -> None:
        """Ends the line that is being renewed, before somebody else writes."""
        if self._terminal:
            self._write("\n")

    def remaining(self, level: int, index: int) -> float:
        """Estimates the seconds left after a step.

        A step takes time in proportion to its level's work, and each level
        begins with as long a pause as the present one did.
        """
        here = self._levels[level]
        later = self._levels[level + 1 :]
        work = here.work * (here.steps - index)
        work += sum(each.work * each.steps for each in later)
        pauses = self._first_seconds * len(later)
        seconds = work * self._seconds_per_work + pauses
        return max(0.0, min(seconds, self._end - time.monotonic()))

    def _renew_line(self, line: str) -> None:
        """Writes a line over the one before it."""
        self._write(f"\r\033[K{line}")

    def _write(self, text: str) -> None:
        """Writes, unless there is nobody left to read."""
        if self._file.closed:
            return
        try:
            self._file.write(text)
            self._file.flush()
        except OSError:
            self._file = io.StringIO()


def describe_result(
    path: str,
    state: str,
    seconds: float,
    terms: Mapping[str, float],
    rescues: int,
    taken_back: bool,
) -> str:
    """Says where the picture is, how long it took, and the losses."""
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
    lines.append(f"{path} is {state}, after {format_duration(seconds)}")
    return "\n".join(lines)


def format_duration(seconds: float) -> str:
    """Writes seconds as people do."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
