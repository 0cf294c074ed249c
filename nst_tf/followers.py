"""Those who follow a run, step by step: its log, TensorBoard.

What fails for one of them is said, and does not end the run.
"""

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from nst_tf import (
    device,
    encoding,
    flagdefs,
    image_io,
    inputs,
    job,
    pyramid,
    replicas,
    run_log,
    summaries,
)

if TYPE_CHECKING:
    from nst_tf import descent

LARGEST = 512  # pixels, of the long side of a picture that is shown


class Followers:
    """The log of a run and its folder for TensorBoard, as far as asked for.

    Args:
        request: The job; of a dry run nobody reads.
        asked: The same, as it was asked for.
        prepared: What it is made from.
        began: When, by `time.monotonic`.
        say: Is told, in a line, what could not be written.

    Raises:
        ValueError: If one of them could not be written at all.
    """

    def __init__(
        self,
        request: job.Job,
        asked: job.Job,
        prepared: inputs.Inputs,
        began: float,
        say: Callable[[str], None],
    ):
        self._levels, self._began = prepared.levels, began
        height, width, _ = prepared.levels[-1]
        longest = min(LARGEST, max(height, width))
        self._size = pyramid.output_size(height, width, longest)
        self._log = self._board = None
        if request.dry_run or not replicas.writes():
            return
        if request.log:
            self._log = run_log.Log(request.log, say)
        if request.summary_dir:
            self._board = summaries.Board(
                request.summary_dir, flagdefs.written(asked), self._levels, say
            )

    def step(
        self, step: "descent.Step", count: int, loss: float | None
    ) -> None:
        """Shows a step to those who follow.

        Args:
            step: The step.
            count: Steps taken at all levels.
            loss: Its loss, if it was reported; None: nothing has been read.
        """
        terms = step.evaluation.terms
        if self._log and loss is not None:
            self._log.write(
                step.level + 1,
                self._levels[step.level],
                step.index,
                loss,
                terms,
                time.monotonic() - self._began,
                device.peak_memory(),
            )
        if self._board:
            self._board.step(
                step.level,
                step.index,
                count,
                {} if loss is None else {"loss": loss, **terms},
                functools.partial(self._painted, step),
            )

    def finish(self, image: np.ndarray, count: int) -> None:
        """Shows the finished picture, [H, W, 3], after so many steps."""
        if self._board:
            self._board.finish(count, self._reduced(image))

    def _painted(self, step: "descent.Step") -> np.ndarray:
        """Copies what is painted from the device, reduced; black is NaN."""
        return self._reduced(np.nan_to_num(step.image.numpy()[0]))

    def _reduced(self, image: np.ndarray) -> np.ndarray:
        """Makes [h, w, 3], uint8, of a picture; a small one stays so."""
        if max(image.shape) > max(self._size):
            image = image_io.resize(image, *self._size)
        return encoding.quantized(image, np.uint8)
