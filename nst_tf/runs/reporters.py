"""Passes the steps of a run to its reporters: log, TensorBoard, film.

A failing reporter logs a warning and does not end the run.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, SupportsFloat

import numpy as np

from nst_tf.images import image_io, sizes, transparency, writing
from nst_tf.plan import planning
from nst_tf.runs import results, run_log, runner, tensorboard_folder, timelapse

if TYPE_CHECKING:
    from nst_tf.optimize import descent

LARGEST = 512  # pixels, long side of a reported picture


@dataclasses.dataclass(frozen=True)
class StepReport:
    """A step, as passed to reporters."""

    level: int  # index of the level, from 0
    index: int  # steps taken at the level, from 1
    count: int  # steps taken at all levels
    losses: Mapping[str, SupportsFloat]  # reading may wait for the device
    seconds: float  # since the run began
    copy_image: Callable[[], np.ndarray]  # [h, w, 3], uint8


class Reporter(Protocol):
    """Receives the steps of a run."""

    def step(self, report: StepReport) -> None:
        """Processes a step."""

    def finish(self, frame: np.ndarray, count: int) -> None:
        """Processes the result, [h, w, 3], uint8, after `count` steps."""

    def close(self) -> None:
        """Writes its file, or the end of it."""


class Reporters:
    """The requested reporters of a run: log, TensorBoard folder, film.

    Args:
        plan: The plan of the run.
        began: When the run began, by `time.monotonic`.
        log: The log; None: no log.
        summary_dir: Folder for TensorBoard; empty: none.
        timelapse_name: File of the film; empty: none.
        flags: The flags of the run for TensorBoard, one per item.

    Raises:
        ValueError: If one of them could not be written at all.
    """

    def __init__(
        self,
        plan: planning.Plan,
        began: float,
        *,
        log: run_log.Log | None = None,
        summary_dir: str = "",
        timelapse_name: str = "",
        flags: Sequence[str] = (),
    ):
        self._began, self._log = began, log
        self._film: timelapse.Film | None = None
        self._path: Path | None = None  # of the finished picture
        self._size = sizes.scale_to_side(
            *plan.size, min(LARGEST, max(plan.size))
        )
        self._small = None
        self._all: list[Reporter] = []
        if summary_dir or timelapse_name:
            self._small = _reduce_plan(plan, *self._size)
        if log:
            self._all.append(log)
        if summary_dir:
            board = tensorboard_folder.Board(summary_dir, flags, plan.levels)
            self._all.append(board)
        if timelapse_name:
            steps = sum(each.steps for each in plan.levels)
            if plan.stop.may_end_early or plan.checkpoints.folder:
                steps = 0
            self._film = timelapse.Film(
                timelapse_name, self._size, steps, plan.file.overwrite
            )
            self._all.append(self._film)

    def start(
        self, run: runner.Run, make_header: Callable[[], Mapping[str, Any]]
    ) -> None:
        """Starts the log of a run.

        Args:
            run: The run.
            make_header: Makes the log's header, if there is a log.

        Raises:
            ValueError: If the log file belongs to another job.
        """
        if self._film:
            self._film.written = run.written
        if self._log:
            plan, state = run.plan, run.state
            self._log.start(
                make_header(),
                plan.levels,
                (state.level, state.steps) if state else None,
            )

    def step(self, step: "descent.Step", count: int) -> None:
        """Passes a step to all reporters.

        Args:
            step: The step.
            count: Steps taken at all levels.
        """
        report = StepReport(
            step.level,
            step.index,
            count,
            {**step.evaluation.terms, "loss": step.evaluation.loss},
            time.monotonic() - self._began,
            functools.partial(self._copy_image, step),
        )
        for each in self._all:
            each.step(report)

    def finish(self, image: np.ndarray, count: int, path: Path) -> None:
        """Passes the result, [H, W, 3], to all reporters.

        Args:
            image: The picture.
            count: Steps taken at all levels.
            path: Where it was written.
        """
        self._path = path
        if self._small is None:
            return
        frame = self._to_uint8(self._reduce(image))
        for each in self._all:
            each.finish(frame, count)

    def end(self, status: str, count: int) -> None:
        """Writes the final record of the log; see `run_log.Log.end`."""
        if self._log:
            seconds = time.monotonic() - self._began
            self._log.end(status, self._path, count, seconds)

    def close(self) -> None:
        """Closes all reporters, which writes the film so far."""
        with contextlib.ExitStack() as stack:
            for each in self._all:
                stack.callback(each.close)

    def _copy_image(self, step: "descent.Step") -> np.ndarray:
        """Copies a step's image from the device, with post-processing.

        The result is [h, w, 3], uint8, at most as large as its level; NaN is
        black.
        """
        image = np.nan_to_num(self._reduce(step.image.numpy()[0]))
        # The level's size is much faster than the film's.
        image = results.finish(image, self._shown).image
        return self._to_uint8(image)

    @property
    def _shown(self) -> planning.Plan:
        """Returns the plan with reduced inputs of the post-processing."""
        if self._small is None:
            raise ValueError("no reporter needs pictures")
        return self._small

    def _reduce(self, image: np.ndarray) -> np.ndarray:
        """Reduces a picture, [H, W, 3], to at most the reported size."""
        if max(image.shape) > max(self._size):
            return image_io.resize(image, *self._size)
        return image

    def _to_uint8(self, image: np.ndarray) -> np.ndarray:
        """Converts a picture to uint8, on white where it is transparent."""
        alpha = self._shown.inputs.content.alpha
        if alpha is not None:
            alpha = image_io.resize_alpha(alpha, *image.shape[:2])
            image = transparency.put_on_white(image, alpha)
        return writing.quantize(image, np.uint8)


def _reduce_plan(plan: planning.Plan, height: int, width: int) -> planning.Plan:
    """Reduces the inputs of the post-processing to the reported size."""
    content = image_io.resize_picture(plan.inputs.content, height, width)
    keep = plan.keep
    if keep is not None:
        keep = image_io.resize_alpha(keep, height, width)
    return dataclasses.replace(
        plan, inputs=plan.inputs._replace(content=content), keep=keep
    )
