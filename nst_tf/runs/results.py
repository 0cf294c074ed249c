"""What was painted -> a picture, and a file with the record of how."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nst_tf.backend import device
from nst_tf.images import color, image_io, painting, transparency
from nst_tf.plan import inputs, settings
from nst_tf.runs import outputs, records

if TYPE_CHECKING:
    from nst_tf.optimize import descent


class Provenance(NamedTuple):
    """Holds how a picture was made: its job, inputs and steps."""

    asked: settings.Job
    request: settings.Job  # with the settings of its strength and print size
    prepared: inputs.Inputs
    steps: Sequence[int]  # taken at each level
    began: float  # by `time.monotonic`


class SavedPicture(NamedTuple):
    """A picture that was written."""

    path: Path
    image: np.ndarray  # [H, W, 3] in [0, 1]


def save(
    path: Path,
    made: Provenance,
    step: "descent.Step",
    *,
    state: str = "done",
    say: Callable[[str], None] = lambda line: None,
) -> SavedPicture:
    """Writes the picture of a step, with the record of how it was made.

    A picture of a level before the last is enlarged to the output's size.

    Args:
        path: Where to, as in `outputs.save_result`.
        made: What it was made by.
        step: The last one.
        state: "done" or "unfinished".
        say: Is told, in a line, of colors that there are not.

    Returns:
        Where it was written, and what it looks like.

    Raises:
        FloatingPointError: If it is not made of numbers any more.
        OSError: If it cannot be written anywhere.
    """
    request, prepared = made.request, made.prepared
    height, width = prepared.levels[-1][:2]
    image, share = make_output(step, request, prepared)
    if share:
        say(
            f"{share:.2%} of the pixels are lighter or darker than they were "
            f"painted, to keep the content's colors"
        )
    outcome = records.Outcome(
        steps=made.steps,
        state=state,
        losses=read_losses(step),
        rescues=int(step.optimizer.rescues),
        seconds=time.monotonic() - made.began,
        precision=device.resolve_precision(request.precision),
        device=device.describe(),
    )
    record = records.make_record(made.asked, request, prepared, outcome)
    options = outputs.make_options(request, prepared.content, height, width)
    path = outputs.save_result(
        path,
        image,
        request.overwrite,
        options._replace(record=records.format_record(record)),
    )
    return SavedPicture(path, image)


def make_painting(
    step: "descent.Step", request: settings.Job, prepared: inputs.Inputs
) -> painting.Painting:
    """Gives a caller the picture of a step, [h, w, 3] in [0, 1].

    Where the content is transparent it has colors like those that are seen
    nearby; in all else it is what `save` writes.

    Raises:
        FloatingPointError: If it is not made of numbers any more.
    """
    image = make_output(step, request, prepared).image
    alpha = prepared.content.alpha
    if alpha is not None:
        alpha = image_io.resize_alpha(alpha, *image.shape[:2])
        image = transparency.fill(image, alpha)
    # What is still the device's own memory can only be read.
    return painting.make_painting(
        image if image.flags.writeable else image.copy()
    )


def make_output(
    step: "descent.Step", request: settings.Job, prepared: inputs.Inputs
) -> color.RecoloredImage:
    """The picture of a step, as large as the output, with what comes last.

    Raises:
        FloatingPointError: If it is not made of numbers any more.
    """
    height, width = prepared.levels[-1][:2]
    image = image_io.resize(read_image(step), height, width)
    return finish(image, request, prepared)


def finish(
    image: np.ndarray, request: settings.Job, prepared: inputs.Inputs
) -> color.RecoloredImage:
    """Gives what was painted the content's chroma, or parts, if it is to.

    Args:
        image: What was painted, [H, W, 3] in [0, 1].
        request: Its job.
        prepared: What it was made from.

    Returns:
        The picture, and the share of the pixels whose lightness gave way.
    """
    share, content = 0.0, prepared.content.pixels
    if request.color in ("content", "luminance"):
        image, share = color.transfer_chroma(
            image, image_io.resize(content, *image.shape[:2])
        )
    if prepared.keep is not None:
        image = inputs.blend_kept(image, content, prepared.keep)
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
