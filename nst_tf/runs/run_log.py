"""The log of a run: a line of JSON for each step that is reported."""

import contextlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nst_tf import locks, terminal
from nst_tf.backend import device
from nst_tf.plan import pyramid

if TYPE_CHECKING:
    from nst_tf.runs import reporters

log = logging.getLogger("nst_tf")

LONGEST_LINE = 1 << 20  # bytes


class Log:
    """Appends to a file; a run does not end because it cannot be written.

    A line has the level, its size and steps, the step, the weighted loss, its
    parts by layer, unweighted, the seconds since the run began, and the most
    bytes in use so far, null if that is not known. A run that goes on from a
    checkpoint takes steps again that the run before it took: they are not
    written twice.

    Args:
        path: The file; it is made if it is not there.
        levels: Sizes and steps of the run.

    Raises:
        ValueError: If it cannot be opened for writing.
    """

    def __init__(self, path: str, levels: Sequence[pyramid.Level]):
        self._path = Path(os.path.expanduser(path))
        self._levels = levels
        self._failed = False
        self._before: tuple[int, int] | None = None  # level and step
        try:
            with open(
                self._path, "a+b", opener=locks.open_above_streams
            ) as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read() != b"\n":  # a line was cut off
                        file.write(b"\n")
        except OSError as error:
            raise ValueError(
                f"log {path} cannot be written: {error.strerror}."
            ) from error

    def step(self, report: "reporters.StepReport") -> None:
        """Appends a line, if the step is reported."""
        place = report.level + 1, report.index
        if self._before is None:
            self._before = (0, 0) if place == (1, 1) else self._read_last()
        if not report.losses or place <= self._before:
            return
        level = self._levels[report.level]
        losses = {name: float(value) for name, value in report.losses.items()}
        line = {
            "level": place[0],
            "width": level.width,
            "height": level.height,
            "step": report.index,
            "steps": level.steps,
            "loss": losses.pop("loss"),
            "losses": losses,
            "seconds": round(report.seconds, 3),
            "memory": device.read_peak_memory(),
        }
        try:
            with open(
                self._path, "ab", opener=locks.open_above_streams
            ) as file:
                file.write(f"{terminal.escape(json.dumps(line))}\n".encode())
        except OSError as error:
            if not self._failed:
                log.warning("log %s failed: %s", self._path, error.strerror)
            self._failed = True

    def _read_last(self) -> tuple[int, int]:
        """Reads level and step of the last line; (0, 0) if it is another's."""
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            with open(
                self._path, "rb", opener=locks.open_above_streams
            ) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LONGEST_LINE))
                line = json.loads(file.read().splitlines()[-1])
            level, index = int(line["level"]), int(line["step"])
            planned = self._levels[level - 1]
            # Of the last level, a run that goes on may take more steps.
            is_last = planned is self._levels[-1]
            same_steps = is_last or line["steps"] == planned.steps
            if same_steps and (line["height"], line["width"]) == planned.size:
                return level, index
        return 0, 0

    def finish(self, frame: np.ndarray, count: int) -> None:
        """Does nothing: the log has no pictures."""

    def close(self) -> None:
        """Does nothing: each line was written at once."""
