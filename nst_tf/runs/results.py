"""What was painted -> a picture, and a file with the record of how."""

import contextlib
import logging
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nst_tf.backend import device, host_memory
from nst_tf.images import color, image_io, painting, transparency, writing
from nst_tf.metadata import exif, xmp
from nst_tf.plan import initial, planning, settings
from nst_tf.runs import outputs, records, runner

if TYPE_CHECKING:
    from nst_tf.optimize import descent

log = logging.getLogger("nst_tf")

COPY_SECONDS, COPY_SHARE = 2.0, 0.01  # between two copies, and of all the time
COPY_BYTES = 48  # a pixel, for a copy to be kept and saved


class FinishedStep(NamedTuple):
    """A step in the host's memory: nothing of a device is needed to save it."""

    image: np.ndarray  # [h, w, 3] in [0, 1]
    outcome: records.Outcome  # as if the run had ended with it
    taken_back: bool  # whether its evaluation was


class SavedPicture(NamedTuple):
    """A picture that was written."""

    path: Path
    image: np.ndarray  # [H, W, 3] in [0, 1]


def save(
    path: Path,
    asked: settings.Job,
    run: runner.Run,
    finished: FinishedStep,
    *,
    state: str = "done",
) -> SavedPicture:
    """Writes the picture of a step, with the record of how it was made.

    A picture of a level before the last is enlarged to the output's size.

    Args:
        path: Where to, as in `outputs.save_result`.
        asked: The job as it was asked for.
        run: Its run.
        finished: Its last step, as `copy_step` returns it.
        state: "done" or "unfinished".

    Returns:
        Where it was written, and what it looks like.

    Raises:
        OSError: If it cannot be written anywhere.
    """
    plan = run.plan
    image, share = finish(image_io.resize(finished.image, *plan.size), plan)
    if share:
        log.info(
            "%.2f%% of the pixels were made lighter or darker, because sRGB "
            "has no color of the content as light or as dark as the paint",
            100 * share,
        )
    record, options = _describe(asked, plan, finished.outcome, state)
    path = outputs.save_result(
        path,
        image,
        plan.file.overwrite,
        options._replace(record=records.format_record(record)),
        run.written,
    )
    return SavedPicture(path, image)


def make_options(plan: planning.Plan) -> writing.Options:
    """Says how a picture is written, and what of the content goes with it.

    Its alpha channel is that of the content, as large as it was read.
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
    """Copies what `save` needs of the last step of a run to the host's memory.

    Raises:
        FloatingPointError: If it is not made of numbers any more.
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
    """Copies finished steps, to save one while a device is at the next.

    Where steps take seconds, each is copied; of faster ones as many as take
    one percent of the time, and the last one of each level.
    """

    def __init__(self) -> None:
        self._copied = -math.inf
        self._cost = 0.0  # seconds that a copy takes

    def copy_if_due(
        self, run: runner.Run, step: "descent.Step"
    ) -> FinishedStep | None:
        """Copies the last step of a run, if it is time, and there is memory."""
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
    asked: settings.Job,
    run: runner.Run,
    step: "descent.Step",
    *,
    state: str = "done",
) -> painting.Painting:
    """Gives a caller the picture of a step, [h, w, 3] in [0, 1].

    Where the content is transparent it has colors like those that are seen
    nearby; in all else it is what `save` writes.

    Args:
        asked: As in `save`.
        run: As in `save`.
        step: As in `save`.
        state: As in `save`.

    Raises:
        FloatingPointError: If it is not made of numbers any more.
    """
    finished, plan = copy_step(run, step), run.plan
    image = finish(image_io.resize(finished.image, *plan.size), plan).image
    record, options = _describe(asked, plan, finished.outcome, state)
    if options.alpha is not None:
        image = transparency.fill(image, options.alpha)
    # What is still the device's own memory can only be read.
    return painting.make_painting(
        image if image.flags.writeable else image.copy(),
        painting.Origin(asked, record, options),
    )


def _describe(
    asked: settings.Job,
    plan: planning.Plan,
    outcome: records.Outcome,
    state: str,
) -> tuple[dict[str, Any], writing.Options]:
    """Makes a picture's record, and says how it is written."""
    options = make_options(plan)
    if options.alpha is not None:
        alpha = image_io.resize_alpha(options.alpha, *plan.size)
        options = options._replace(alpha=alpha)
    outcome = outcome._replace(state=state)
    return records.make_record(asked, plan, outcome), options


def make_output(
    step: "descent.Step", plan: planning.Plan
) -> color.RecoloredImage:
    """Makes the picture of a step, as large as the output, as it is shown.

    Raises:
        FloatingPointError: If it is not made of numbers any more.
    """
    return finish(image_io.resize(read_image(step), *plan.size), plan)


def finish(image: np.ndarray, plan: planning.Plan) -> color.RecoloredImage:
    """Gives what was painted the content's chroma, or parts, if it is to.

    Args:
        image: What was painted, [H, W, 3] in [0, 1].
        plan: Its plan.

    Returns:
        The picture, and the share of the pixels whose lightness gave way.
    """
    share, content = 0.0, plan.inputs.content.pixels
    if plan.transfers_chroma:
        image, share = color.transfer_chroma(
            image, image_io.resize(content, *image.shape[:2])
        )
    if plan.keep is not None:
        image = initial.blend_kept(image, content, plan.keep)
    return color.RecoloredImage(image, share)


def read_losses(step: "descent.Step") -> dict[str, float]:
    """Reads the losses of a step, unweighted, by name."""
    return {name: float(value) for name, value in step.evaluation.terms.items()}


def read_image(step: "descent.Step") -> np.ndarray:
    """Reads the image of a step, [h, w, 3] in [0, 1]; not to be changed.

    Raises:
        FloatingPointError: If it is not made of numbers any more.
    """
    image = np.asarray(step.image)[0]  # without a copy, where it is here
    if not np.isfinite(image).all():
        raise FloatingPointError(
            "the picture is not made of numbers any more (NaN); try "
            "--precision=float32, smaller weights, or a smaller "
            "--learning_rate."
        )
    return image
