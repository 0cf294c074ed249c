"""Reporters: log, TensorBoard, film.

A reporter that fails says so, and does not end the run.
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
from nst_tf.runs import results, run_log, runner, summaries, timelapse

if TYPE_CHECKING:
    from nst_tf.optimize import descent

LARGEST = 512  # pixels, of the long side of a picture that is shown


@dataclasses.dataclass(frozen=True)
class StepReport:
    """A step, as reporters see it."""

    level: int  # index of the level, from 0
    index: int  # steps taken at the level, from 1
    count: int  # steps taken at all levels
    losses: Mapping[str, SupportsFloat]  # to read one may wait for the device
    seconds: float  # since the run began
    copy_image: Callable[[], np.ndarray]  # [h, w, 3], uint8, of its level


class Reporter(Protocol):
    """What follows a run."""

    def step(self, report: StepReport) -> None:
        """Takes note of a step."""

    def finish(self, frame: np.ndarray, count: int) -> None:
        """Shows the finished picture, [h, w, 3], uint8, after so many steps."""

    def close(self) -> None:
        """Writes what is written at the end."""


class Reporters:
    """A run's log, folder for TensorBoard and film, as far as asked for.

    Args:
        plan: What is painted.
        began: When the run began, by `time.monotonic`.
        log: The log; None: there is none.
        summary_dir: Folder for TensorBoard; empty: none.
        timelapse_name: File of the film, likewise.
        flags: Those of the run, for TensorBoard, a line each.

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
            board = summaries.Board(summary_dir, flags, plan.levels)
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
        """Takes note of the run that begins, and starts its log.

        Args:
            run: The run.
            make_header: Makes the log's header, if there is a log.

        Raises:
            ValueError: If there is the log of another job.
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
        """Shows a step to those who follow.

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
        """Shows the finished picture, [H, W, 3], after so many steps.

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
        """Writes how the run ended into the log, as `run_log.Log.end` does."""
        if self._log:
            seconds = time.monotonic() - self._began
            self._log.end(status, self._path, count, seconds)

    def close(self) -> None:
        """Writes what is written at the end: the film of what there is."""
        with contextlib.ExitStack() as stack:
            for each in self._all:
                stack.callback(each.close)

    def _copy_image(self, step: "descent.Step") -> np.ndarray:
        """Copies a step's image from the device, as if it were the last one.

        [h, w, 3], uint8, of its level's size at most; what is NaN is black.
        """
        image = np.nan_to_num(self._reduce(step.image.numpy()[0]))
        # At a level's size; of a film's it would take seconds in the end.
        image = results.finish(image, self._shown).image
        return self._to_uint8(image)

    @property
    def _shown(self) -> planning.Plan:
        """The plan with what pictures are finished with, reduced."""
        if self._small is None:
            raise ValueError("nothing shows pictures")
        return self._small

    def _reduce(self, image: np.ndarray) -> np.ndarray:
        """Reduces a picture, [H, W, 3]; a small one stays so."""
        if max(image.shape) > max(self._size):
            return image_io.resize(image, *self._size)
        return image

    def _to_uint8(self, image: np.ndarray) -> np.ndarray:
        """Makes a picture uint8; what is transparent is white."""
        alpha = self._shown.inputs.content.alpha
        if alpha is not None:
            alpha = image_io.resize_alpha(alpha, *image.shape[:2])
            image = transparency.put_on_white(image, alpha)
        return writing.quantize(image, np.uint8)


def _reduce_plan(plan: planning.Plan, height: int, width: int) -> planning.Plan:
    """Reduces what pictures are finished with to the size of those shown."""
    content = plan.inputs.content
    alpha, keep = (
        None if each is None else image_io.resize_alpha(each, height, width)
        for each in (content.alpha, plan.keep)
    )
    pixels = image_io.resize(content.pixels, height, width)
    content = content._replace(pixels=pixels, alpha=alpha)
    return dataclasses.replace(
        plan, inputs=plan.inputs._replace(content=content), keep=keep
    )
