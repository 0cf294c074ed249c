"""Post-processes the image of a step, and saves it with its record."""

import contextlib
import logging
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nst_tf.backend import device, host_memory
from nst_tf.images import (
    color,
    image_io,
    masks,
    painting,
    transparency,
    writing,
)
from nst_tf.metadata import exif, xmp
from nst_tf.plan import initial, planning, settings
from nst_tf.runs import outputs, records, runner

if TYPE_CHECKING:
    from nst_tf.optimize import descent

log = logging.getLogger("nst_tf")

COPY_SECONDS, COPY_SHARE = 2.0, 0.01  # minimum interval, maximum share of time
COPY_BYTES = 48  # per pixel, to keep and save a copy


class FinishedStep(NamedTuple):
    """A step copied to host memory, which can be saved without the device."""

    image: np.ndarray  # [h, w, 3] in [0, 1]
    outcome: records.Outcome  # of a run that ends here
    taken_back: bool  # whether it was rolled back


class SavedPicture(NamedTuple):
    """A picture that was saved."""

    path: Path
    image: np.ndarray  # [H, W, 3] in [0, 1]


def save(
    path: Path,
    job: settings.Job,
    run: runner.Run,
    finished: FinishedStep,
    *,
    state: str = "done",
) -> SavedPicture:
    """Saves the picture of a step, with its record.

    An image from a level before the last is enlarged to the output's size.

    Args:
        path: The requested path, as in `outputs.save_result`.
        job: The job as requested.
        run: Its run.
        finished: Its last step, from `copy_step`.
        state: "done" or "unfinished".

    Returns:
        The path and the image.

    Raises:
        OSError: If it cannot be written anywhere.
    """
    plan = run.plan
    image, share = finish(image_io.resize(finished.image, *plan.size), plan)
    if share:
        log.info(
            "%.2f%% of the pixels were made lighter or darker, because sRGB "
            "cannot show the content's color at the painted lightness",
            100 * share,
        )
    record, options = _make_record(job, plan, finished.outcome, state)
    path = outputs.save_result(
        path,
        image,
        plan.file.overwrite,
        options._replace(record=records.format_record(record)),
        run.written,
    )
    return SavedPicture(path, image)


def make_options(plan: planning.Plan) -> writing.Options:
    """Makes the file options of a picture, with metadata of the content.

    The alpha channel is the content's, at its original size.
    """
    content, file = plan.inputs.content, plan.file
    notes = None
    if content.exif is not None:
        notes = exif.select_tags(content.exif, file.keep_location)
    return writing.Options(
        content.alpha,
        file.bit_depth,
        file.quality,
        notes,
        (file.dpi, file.dpi) if file.dpi else content.dpi,
        credits=xmp.select(content.credits or {}, file.keep_location),
        mark=file.mark,
    )


def copy_step(run: runner.Run, step: "descent.Step") -> FinishedStep:
    """Copies everything that `save` needs of a step to host memory.

    Raises:
        FloatingPointError: If the picture has NaN or infinite values.
    """
    outcome = records.Outcome(
        steps=list(run.taken),
        state="unfinished",
        losses=read_losses(step),
        rescues=int(step.optimizer.rescues),
        seconds=run.seconds,
        device=device.describe(),
    )
    taken_back = int(step.optimizer.failures) > 0
    return FinishedStep(read_image(step), outcome, taken_back)


class Copier:
    """Copies finished steps, so that one can be saved during the next step.

    It copies every step if steps take seconds; otherwise as many as cost one
    percent of the time, and the last step of each level.
    """

    def __init__(self) -> None:
        self._copied = -math.inf
        self._cost = 0.0  # seconds per copy

    def copy_if_due(
        self, run: runner.Run, step: "descent.Step"
    ) -> FinishedStep | None:
        """Copies the last step of a run, if it is due and memory allows it."""
        pause = max(COPY_SECONDS, self._cost / COPY_SHARE)
        ends_level = step.index == run.plan.levels[step.level].steps
        if time.monotonic() - self._copied < pause and not ends_level:
            return None
        float(step.evaluation.loss)  # waits for the device
        began = time.monotonic()
        height, width = run.plan.size
        free = host_memory.find_free()
        if free is not None and free < COPY_BYTES * height * width:
            return None
        copied = None
        with contextlib.suppress(FloatingPointError):
            copied = copy_step(run, step)
        self._copied = time.monotonic()
        self._cost = self._copied - began
        return copied


def make_painting(
    job: settings.Job,
    run: runner.Run,
    step: "descent.Step",
    *,
    state: str = "done",
) -> painting.Painting:
    """Makes the result of `stylize` from a step, [h, w, 3] in [0, 1].

    Transparent areas are filled with nearby colors; otherwise it equals the
    picture that `save` writes.

    Args:
        job: As in `save`.
        run: As in `save`.
        step: As in `save`.
        state: As in `save`.

    Raises:
        FloatingPointError: If the picture has NaN or infinite values.
    """
    finished, plan = copy_step(run, step), run.plan
    image = finish(image_io.resize(finished.image, *plan.size), plan).image
    record, options = _make_record(job, plan, finished.outcome, state)
    if options.alpha is not None:
        image = transparency.fill(image, options.alpha)
    # An array that views device memory is read-only.
    return painting.make_painting(
        image if image.flags.writeable else image.copy(),
        painting.Origin(job, record, options),
    )


def _make_record(
    job: settings.Job, plan: planning.Plan, outcome: records.Outcome, state: str
) -> tuple[dict[str, Any], writing.Options]:
    """Makes the record and the file options of a picture."""
    options = make_options(plan)
    if options.alpha is not None:
        alpha = image_io.resize_alpha(options.alpha, *plan.size)
        options = options._replace(alpha=alpha)
    outcome = outcome._replace(state=state)
    return records.make_record(job, plan, outcome), options


def make_output(
    step: "descent.Step", plan: planning.Plan
) -> color.RecoloredImage:
    """Makes the post-processed picture of a step, at the output's size.

    Raises:
        FloatingPointError: If the picture has NaN or infinite values.
    """
    return finish(image_io.resize(read_image(step), *plan.size), plan)


def finish(image: np.ndarray, plan: planning.Plan) -> color.RecoloredImage:
    """Post-processes an image: content's chroma, kept parts of the content.

    Args:
        image: The generated image, [H, W, 3] in [0, 1].
        plan: Its plan.

    Returns:
        The picture, and the share of pixels whose lightness was changed.
    """
    share, content = 0.0, plan.inputs.content.pixels
    size = image.shape[:2]
    if plan.chroma is not None:
        image, share = color.transfer_chroma(
            image,
            image_io.resize(content, *size),
            masks.resize(plan.chroma, *size),
        )
    if plan.keep is not None:
        image = initial.blend_kept(image, content, plan.keep)
    return color.RecoloredImage(image, share)


def read_losses(step: "descent.Step") -> dict[str, float]:
    """Returns the losses of a step, unweighted, by name."""
    return {name: float(value) for name, value in step.evaluation.terms.items()}


def read_image(step: "descent.Step") -> np.ndarray:
    """Returns the image of a step, [h, w, 3] in [0, 1], maybe read-only.

    Raises:
        FloatingPointError: If the picture has NaN or infinite values.
    """
    image = np.asarray(step.image)[0]  # a view, if on the host
    if not np.isfinite(image).all():
        raise FloatingPointError(
            "the picture has NaN or infinite values; try --precision=float32, "
            "smaller weights, or a smaller --learning_rate."
        )
    return image
