"""Reporters: log, TensorBoard, film.

A reporter that fails says so, and does not end the run.
"""

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from nst_tf.backend import device, replicas
from nst_tf.images import image_io, sizes, transparency, writing
from nst_tf.plan import inputs, settings
from nst_tf.runs import results, run_log, summaries, timelapse

if TYPE_CHECKING:
    from nst_tf.optimize import descent

LARGEST = 512  # pixels, of the long side of a picture that is shown


class Reporters:
    """A run's log, folder for TensorBoard and film, as far as asked for.

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
        request: settings.Job,
        asked: settings.Job,
        prepared: inputs.Inputs,
        began: float,
        say: Callable[[str], None],
    ):
        self._request, self._began, self._say = request, began, say
        self._levels = prepared.levels
        height, width, _ = prepared.levels[-1]
        longest = min(LARGEST, max(height, width))
        self._size = sizes.scale_to_side(height, width, longest)
        self._log = self._board = self._film = None
        self.seconds = 0.0  # that they take in the end, about
        if request.dry_run or not replicas.is_writer():
            return
        if request.summary_dir or request.timelapse:
            self._small = _reduce_inputs(prepared, *self._size)
        if request.log:
            self._log = run_log.Log(request.log, say)
        if request.summary_dir:
            self._board = summaries.Board(
                request.summary_dir,
                settings.format_flags(asked),
                self._levels,
                say,
            )
        if request.timelapse:
            steps = sum(level.steps for level in self._levels)
            fewer = ("max_seconds", "tolerance", "rerun", "checkpoint_dir")
            if any(getattr(request, name) for name in fewer):  # perhaps
                steps = 0
            self._film = timelapse.Film(request.timelapse, self._size, steps)
            self.seconds = timelapse.SECONDS

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
                device.read_peak_memory(),
            )
        if self._board:
            self._board.step(
                step.level,
                step.index,
                count,
                {} if loss is None else {"loss": loss, **terms},
                functools.partial(self._copy_image, step),
            )
        if self._film:
            self._film.step(functools.partial(self._copy_image, step))

    def finish(self, image: np.ndarray, count: int) -> None:
        """Shows the finished picture, [H, W, 3], after so many steps."""
        if not (self._board or self._film):
            return
        frame = self._to_uint8(self._reduce(image))
        if self._board:
            self._board.finish(count, frame)
        if self._film:
            self._film.finish(frame)

    def close(self) -> None:
        """Writes what is written at the end: the film of what there is."""
        if not self._film:
            return
        try:
            path = self._film.save(self._request.overwrite)
        except Exception as error:  # whatever it is, the picture is there
            self._say(f"timelapse {self._film.path} failed: {error}")
            return
        if path:
            self._say(f"timelapse {path} is written")

    def _copy_image(self, step: "descent.Step") -> np.ndarray:
        """Copies a step's image from the device, as if it were the last one.

        [h, w, 3], uint8, of its level's size at most; what is NaN is black.
        """
        image = np.nan_to_num(self._reduce(step.image.numpy()[0]))
        # At a level's size; of a film's it would take seconds in the end.
        image = results.finish(image, self._request, self._small).image
        return self._to_uint8(image)

    def _reduce(self, image: np.ndarray) -> np.ndarray:
        """Reduces a picture, [H, W, 3]; a small one stays so."""
        if max(image.shape) > max(self._size):
            return image_io.resize(image, *self._size)
        return image

    def _to_uint8(self, image: np.ndarray) -> np.ndarray:
        """Makes a picture uint8; what is transparent is white."""
        alpha = self._small.content.alpha
        if alpha is not None:
            alpha = image_io.resize_alpha(alpha, *image.shape[:2])
            image = transparency.put_on_white(image, alpha)
        return writing.quantize(image, np.uint8)


def _reduce_inputs(
    prepared: inputs.Inputs, height: int, width: int
) -> inputs.Inputs:
    """Reduces what pictures are finished with to the size of those shown."""
    alpha, keep = (
        None if each is None else image_io.resize_alpha(each, height, width)
        for each in (prepared.content.alpha, prepared.keep)
    )
    pixels = image_io.resize(prepared.content.pixels, height, width)
    content = prepared.content._replace(pixels=pixels, alpha=alpha)
    return prepared._replace(content=content, keep=keep)
