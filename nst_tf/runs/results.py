"""What was painted -> a picture, and a file with the record of how."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nst_tf.backend import device
from nst_tf.images import color, image_io, painting, transparency, writing
from nst_tf.metadata import exif, xmp
from nst_tf.plan import initial, planning, settings
from nst_tf.runs import outputs, records, runner

if TYPE_CHECKING:
    from nst_tf.optimize import descent

log = logging.getLogger("nst_tf")


class SavedPicture(NamedTuple):
    """A picture that was written."""

    path: Path
    image: np.ndarray  # [H, W, 3] in [0, 1]


def save(
    path: Path,
    asked: settings.Job,
    run: runner.Run,
    step: "descent.Step",
    *,
    state: str = "done",
) -> SavedPicture:
    """Writes the picture of a step, with the record of how it was made.

    A picture of a level before the last is enlarged to the output's size.

    Args:
        path: Where to, as in `outputs.save_result`.
        asked: The job as it was asked for.
        run: Its run.
        step: The last one.
        state: "done" or "unfinished".

    Returns:
        Where it was written, and what it looks like.

    Raises:
        FloatingPointError: If it is not made of numbers any more.
        OSError: If it cannot be written anywhere.
    """
    plan = run.plan
    image, share = make_output(step, plan)
    if share:
        log.info(
            "%.2f%% of the pixels are lighter or darker than they were "
            "painted, to keep the content's colors",
            100 * share,
        )
    record, options = _describe(asked, run, step, state)
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
    image = make_output(step, run.plan).image
    record, options = _describe(asked, run, step, state)
    if options.alpha is not None:
        image = transparency.fill(image, options.alpha)
    # What is still the device's own memory can only be read.
    return painting.make_painting(
        image if image.flags.writeable else image.copy(),
        painting.Origin(asked, record, options),
    )


def _describe(
    asked: settings.Job, run: runner.Run, step: "descent.Step", state: str
) -> tuple[dict[str, Any], writing.Options]:
    """Makes a picture's record, and says how it is written."""
    outcome = records.Outcome(
        steps=run.taken,
        state=state,
        losses=read_losses(step),
        rescues=int(step.optimizer.rescues),
        seconds=run.seconds,
        device=device.describe(),
    )
    options = make_options(run.plan)
    if options.alpha is not None:
        alpha = image_io.resize_alpha(options.alpha, *run.plan.size)
        options = options._replace(alpha=alpha)
    return records.make_record(asked, run.plan, outcome), options


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
