"""The log of a run: a line of JSON for each step that is reported."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nst_tf import terminal
from nst_tf.backend import device
from nst_tf.plan import pyramid

if TYPE_CHECKING:
    from nst_tf.runs import reporters

log = logging.getLogger("nst_tf")


class Log:
    """Appends to a file; a run does not end because it cannot be written.

    A line has the level, its size and steps, the step, the weighted loss, its
    parts by layer, unweighted, the seconds since the run began, and the most
    bytes in use so far, null if that is not known.

    Args:
        path: The file; it is made if it is not there.
        levels: Sizes and steps of the run.

    Raises:
        ValueError: If it cannot be opened for writing.
    """

    def __init__(self, path: str, levels: Sequence[pyramid.Level]):
        self._path = Path(path).expanduser()
        self._levels = levels
        self._failed = False
        try:
            with open(self._path, "a", encoding="utf-8"):
                pass
        except OSError as error:
            raise ValueError(
                f"log {path} cannot be written: {error.strerror}."
            ) from error

    def step(self, report: "reporters.StepReport") -> None:
        """Appends a line, if the step is reported."""
        if not report.losses:
            return
        level = self._levels[report.level]
        losses = {name: float(value) for name, value in report.losses.items()}
        line = {
            "level": report.level + 1,
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
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(f"{terminal.escape(json.dumps(line))}\n")
        except OSError as error:
            if not self._failed:
                log.warning("log %s failed: %s", self._path, error.strerror)
            self._failed = True

    def finish(self, frame: np.ndarray, count: int) -> None:
        """Does nothing: the log has no pictures."""

    def close(self) -> None:
        """Does nothing: each line was written at once."""
