"""A run in TensorBoard: losses, pictures, steps a second, its flags."""

import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np

from nst_tf import files, terminal
from nst_tf.plan import pyramid

if TYPE_CHECKING:
    from nst_tf.runs import reporters

log = logging.getLogger("nst_tf")

SCALAR_SECONDS = 0.2  # between two steps whose losses are read
PICTURE_SECONDS = 30.0  # between two pictures, besides those of the levels


def check() -> None:
    """Raises ValueError unless the package is there that TensorFlow needs."""
    files.require_extra("tensorboard", "tensorboard", "summary_dir")


class Board:
    """Writes a folder for TensorBoard; a run does not end if it cannot.

    The steps of all levels are counted in one.

    Args:
        folder: Where to; it is made if it is not there.
        flags: Those of the run, a line each.
        levels: Sizes and steps of the run.

    Raises:
        ValueError: If the folder cannot be written to.
    """

    def __init__(
        self, folder: str, flags: Sequence[str], levels: Sequence[pyramid.Level]
    ):
        self._folder = Path(os.path.expanduser(folder))
        self._flags, self._levels = flags, levels
        self._failed = False
        self._writer: Any = None  # made when TensorFlow is at work already
        self._level, self._ended = 0, True  # whether all its steps are taken
        self._before: tuple[int, float] | None = None  # count, time: a report
        self._pictured = -PICTURE_SECONDS
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            files.check_folder_writable(self._folder)
        except OSError as error:
            raise ValueError(
                f"summary_dir {folder} cannot be written to: {error.strerror}."
            ) from error

    def step(self, report: "reporters.StepReport") -> None:
        """Writes losses, five times a second at most, and pictures at times.

        And both at the end of each level; where that came before its time, the
        picture at the first step of the next.
        """
        late = report.level != self._level and not self._ended
        self._level = report.level
        self._ended = report.index == self._levels[report.level].steps
        now, count = time.monotonic(), report.count
        then = self._before[1] if self._before else -math.inf
        if now - then >= SCALAR_SECONDS or self._ended:
            self._write(lambda: self._scalars(count, report.losses, now))
        due = now - self._pictured >= PICTURE_SECONDS
        if due or late or self._ended:
            self._pictured = now
            image = report.copy_image()
            self._write(lambda: _image("picture", image, count))

    def finish(self, frame: np.ndarray, count: int) -> None:
        """Writes the finished picture, [h, w, 3], uint8."""
        self._write(lambda: _image("result", frame, count))

    def close(self) -> None:
        """Does nothing: all was written at once."""

    def _scalars(
        self, count: int, losses: Mapping[str, SupportsFloat], now: float
    ) -> None:
        """Writes losses, and how fast steps were since the report before."""
        import tensorflow as tf

        for name, value in losses.items():
            tf.summary.scalar(terminal.escape(name), float(value), step=count)
        if self._before:
            before, then = self._before
            speed = (count - before) / max(now - then, 1e-9)
            tf.summary.scalar("steps_per_second", speed, step=count)
        else:
            flags = map(terminal.escape, self._flags)
            text = "\n".join(f"    {flag}" for flag in flags)  # Markdown
            tf.summary.text("flags", text, step=count)
        self._before = count, now

    def _write(self, write: Callable[[], None]) -> None:
        """Writes at once, or says that it failed; the first time only."""
        import tensorflow as tf

        try:
            if self._writer is None:
                folder = os.fsencode(self._folder)  # which may be no text
                self._writer = tf.summary.create_file_writer(folder)
            with self._writer.as_default():
                write()
            self._writer.flush()
        except (OSError, tf.errors.OpError) as error:
            if not self._failed:
                reason = str(error).splitlines()[0].rpartition("; ")[2]
                log.warning("summary_dir %s failed: %s", self._folder, reason)
            self._failed = True


def _image(name: str, image: np.ndarray, count: int) -> None:
    """Writes a picture."""
    import tensorflow as tf

    tf.summary.image(name, image[None], step=count)
