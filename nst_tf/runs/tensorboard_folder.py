"""Writes TensorBoard summaries: losses, pictures, steps per second, flags."""

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

SCALAR_SECONDS = 0.2  # minimum interval of losses
PICTURE_SECONDS = 30.0  # interval of pictures within a level


def check() -> None:
    """Raises ValueError if the tensorboard package is not installed."""
    files.require_extra("tensorboard", "tensorboard", "summary_dir")


class Board:
    """Writes a TensorBoard folder; failure does not end the run.

    Steps are counted over all levels.

    Args:
        folder: The folder; created if missing.
        flags: The flags of the run, one per item.
        levels: Sizes and steps of the run.

    Raises:
        ValueError: If the folder is not writable.
    """

    def __init__(
        self, folder: str, flags: Sequence[str], levels: Sequence[pyramid.Level]
    ):
        self._folder = Path(os.path.expanduser(folder))
        self._flags, self._levels = flags, levels
        self._failed = False
        self._writer: Any = None  # made after TensorFlow is imported
        self._level, self._ended = 0, True  # current level; whether it is over
        self._before: tuple[int, float] | None = None  # last count and time
        self._pictured = -PICTURE_SECONDS
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            files.check_folder_writable(self._folder)
        except OSError as error:
            raise ValueError(
                f"summary_dir {folder} is not writable: {error.strerror}; "
                "choose another folder."
            ) from error

    def step(self, report: "reporters.StepReport") -> None:
        """Writes losses, at most five times per second, and pictures.

        It writes both at the end of each level. If a level ended early, it
        writes a picture at the first step of the next.
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
        """Does nothing: everything is already written."""

    def _scalars(
        self, count: int, losses: Mapping[str, SupportsFloat], now: float
    ) -> None:
        """Writes losses, and the steps per second since the last report."""
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
        """Writes and flushes; logs the first failure."""
        import tensorflow as tf

        try:
            if self._writer is None:
                folder = os.fsencode(self._folder)  # may be invalid UTF-8
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
