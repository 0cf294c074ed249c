"""A job -> its inputs -> its steps -> a picture: file to file, array to array.

TensorFlow is imported only when work starts, so that a wrong request is
refused at once. No module below this one takes a `Job`.
"""

import collections
import functools
import numbers
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nst_tf import architectures, device, image_io, job, outputs, pyramid
from nst_tf import weights as network_weights

if TYPE_CHECKING:
    from nst_tf import descent, targets

ImageLike = np.ndarray | str | os.PathLike[str]


class Inputs(NamedTuple):
    """What a job needs before any work starts, read and checked."""

    content: np.ndarray  # [H, W, 3] in [0, 1]
    styles: tuple[np.ndarray, ...]
    init: np.ndarray  # at the first level's size
    levels: list[pyramid.Level]
    network: network_weights.NetworkWeights


class Result(NamedTuple):
    """What came out of a job."""

    path: Path
    seconds: float
    terms: Mapping[str, float]  # the last step's losses, unweighted


def stylize(
    content: ImageLike, styles: ImageLike | Sequence[ImageLike], **settings: Any
) -> np.ndarray:
    """Paints a content image in the manner of style images.

    Args:
        content: Content image: a path, or an array, [H, W, 3], of uint8 or of
            floats in [0, 1], RGB.
        styles: One style image or several, likewise.
        **settings: Fields of `Job`, such as size=512 or style_weight=200.

    Returns:
        The generated image, [h, w, 3], float32 in [0, 1]; its long side is
        `size`.

    Raises:
        ValueError: If an image or a setting is not as it should be.
        TypeError: If there is no such setting.

    Source:
        Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural
        Networks. CVPR 2016.
    """
    return picture(_last(stylize_steps(content, styles, **settings)))


def stylize_steps(
    content: ImageLike, styles: ImageLike | Sequence[ImageLike], **settings: Any
) -> "Iterator[descent.Step]":
    """Paints as `stylize` does, and yields each step as it is taken.

    Stop reading to stop the run. Each step has its level, its index, its
    losses and its image; nothing is copied from the device until it is read.

    Args:
        content: As in `stylize`.
        styles: As in `stylize`.
        **settings: As in `stylize`.

    Returns:
        An iterator of `descent.Step`; the last one's image is the result.

    Raises:
        ValueError: If an image or a setting is not as it should be.
        TypeError: If there is no such setting.
    """
    for name in (
        "content",
        "style",
        "output",
        "overwrite",
        "preview_every",
        "dry_run",
    ):
        if name in settings:
            raise TypeError(
                f"{name} is for the program, not a setting of stylize; pass "
                f"the images as the first two arguments, and save the result."
            )
    if isinstance(settings.get("steps"), numbers.Integral):
        settings["steps"] = (settings["steps"],)
    for name in ("init", "weights"):
        if isinstance(settings.get(name), os.PathLike):
            settings[name] = os.fspath(settings[name])
    request = job.Job(**settings)
    many: Sequence[Any] = (
        styles if isinstance(styles, (list, tuple)) else [styles]
    )
    return job_steps(
        request,
        prepare(
            request,
            _as_image(content, "content"),
            [_as_image(style, "style") for style in many],
        ),
    )


def run_job(request: job.Job) -> Result:
    """Makes the picture of a request, from file to file.

    Raises:
        ValueError: If a file or a setting is not as it should be.
        OSError: If the output cannot be written.
        FloatingPointError: If the picture turned into no numbers.
    """
    start = time.monotonic()
    path, inputs = prepare_files(request)
    step = _last(job_steps(request, inputs))
    path = outputs.save_result(path, picture(step), request.overwrite)
    terms = {
        name: float(value) for name, value in step.evaluation.terms.items()
    }
    return Result(path, time.monotonic() - start, terms)


def picture(step: "descent.Step") -> np.ndarray:
    """Copies the image of a step from the device, [h, w, 3] in [0, 1].

    Raises:
        FloatingPointError: If it is not made of numbers any more.
    """
    image = step.image.numpy()[0]
    if not np.isfinite(image).all():
        raise FloatingPointError(
            "the picture is not made of numbers any more (NaN); try "
            "--precision=float32, smaller weights, or a smaller "
            "--learning_rate."
        )
    return image


def job_steps(request: job.Job, inputs: Inputs) -> "Iterator[descent.Step]":
    """Runs the method on prepared inputs; the work starts with the first."""
    device.prepare()
    from nst_tf import targets, transfer

    styles = [targets.Style(image) for image in inputs.styles]
    return transfer.stylize_steps(
        inputs.content,
        styles,
        levels=inputs.levels,
        init=inputs.init,
        **method_options(request, inputs.network),
    )


def method_options(
    request: job.Job, network: network_weights.NetworkWeights
) -> dict[str, Any]:
    """Maps a job to the keywords of `transfer.stylize_steps`."""
    from nst_tf import extractors, optimizers

    return {
        "weights": loss_weights(request),
        "make_extractor": functools.partial(
            extractors.vgg,
            request.extractor,
            network_weights=network.layers,
            pooling=request.pooling,
            padding=request.padding,
            dtype=device.resolve_precision(request.precision),
        ),
        "make_optimizer": functools.partial(
            optimizers.OPTIMIZERS[request.optimizer],
            learning_rate=request.learning_rate,
            beta_1=request.beta_1,
            beta_2=request.beta_2,
            epsilon=request.epsilon,
            average=request.average,
        ),
    }


def loss_weights(request: job.Job) -> "targets.LossWeights":
    """Shares the weights of a job among its layers."""
    from nst_tf import targets

    return targets.LossWeights(
        _shared(
            job.parse_layers(request.content_layers), request.content_weight
        ),
        _shared(job.parse_layers(request.style_layers), request.style_weight),
        request.tv_weight,
    )


def prepare_files(
    request: job.Job, say: Callable[[str], None] = lambda line: None
) -> tuple[Path, Inputs]:
    """Checks a job of files, and reads all that it names.

    Args:
        request: The job.
        say: Is told, in a line, what takes time.

    Returns:
        Where the picture will be written, and what it is made from.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
    """
    job.check(request)
    if not request.content:
        raise ValueError("no content image; name one with --content=PICTURE.")
    content = image_io.load_image(request.content)
    styles = [image_io.load_image(path) for path in request.style]
    files = [request.content, *request.style]
    if request.output:  # these have no part in the name of the default one
        files += [request.init, request.weights]
    path = outputs.output_path(
        request.output,
        files,
        overwrite=request.overwrite,
        previews=request.preview_every > 0,
    )
    height, width = _output_size(request, content)
    outputs.check_writable(path, height, width)
    return path, prepare(request, content, styles, say)


def prepare(
    request: job.Job,
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    say: Callable[[str], None] = lambda line: None,
) -> Inputs:
    """Checks a job and its images, and finds the network's weights.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
    """
    job.check(request)
    if not styles and (request.style_weight or request.init == "style"):
        raise ValueError("no style image; name one with --style=PICTURE.")
    layers = [
        *job.parse_layers(request.content_layers),
        *job.parse_layers(request.style_layers),
    ]
    deepest = architectures.deepest(request.extractor, layers)
    _check_image(content, "content", deepest)
    for style in styles:
        _check_image(style, "style", deepest)
    height, width = _output_size(request, content)
    if min(height, width) < deepest.stride:
        raise ValueError(
            f"size is {request.size}, so that the output would be {width} x "
            f"{height} pixels, but {deepest.name} needs at least "
            f"{deepest.stride} x {deepest.stride}; raise the size."
        )
    levels = pyramid.levels(
        height,
        width,
        request.steps,
        min_size=request.min_size,
        max_levels=request.levels,
    )
    return Inputs(
        content,
        tuple(styles),
        _initial(request, content, styles, levels[0]),
        levels,
        network_weights.load(request.extractor, request.weights, say=say),
    )


def _last(steps: "Iterator[descent.Step]") -> "descent.Step":
    """Reads to the last step; there is always one."""
    return collections.deque(steps, maxlen=1).pop()


def _as_image(image: ImageLike, name: str) -> np.ndarray:
    """Reads a path, or checks an array."""
    if isinstance(image, (str, os.PathLike)):
        return image_io.load_image(image)
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[-1] != 3:
        raise ValueError(
            f"{name} image has shape {array.shape}, expected (height, width, "
            f"3), RGB."
        )
    if array.dtype == np.uint8:
        return array.astype(np.float32) / 255.0
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(
            f"{name} image has type {array.dtype}, expected uint8 or floats in "
            f"[0, 1]."
        )
    if not (array.size and array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"{name} image has values outside [0, 1], or none at all; divide "
            f"those of 0..255 by 255."
        )
    return array.astype(np.float32)


def _output_size(request: job.Job, content: np.ndarray) -> tuple[int, int]:
    """The (height, width) of the picture."""
    rows, columns = content.shape[:2]
    return pyramid.output_size(rows, columns, request.size)


def _check_image(
    image: np.ndarray, name: str, deepest: architectures.Convolution
) -> None:
    """Raises ValueError if an image is too small for the network."""
    height, width = image.shape[:2]
    if min(height, width) < deepest.stride:
        raise ValueError(
            f"{name} image is {width} x {height} pixels, but {deepest.name} "
            f"needs at least {deepest.stride} x {deepest.stride}; pass a "
            f"larger image."
        )
    if max(height, width) > 32 * min(height, width):
        raise ValueError(
            f"{name} image is {width} x {height} pixels, more than 32 times "
            f"as long as wide; cut it."
        )


def _initial(
    request: job.Job,
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    level: pyramid.Level,
) -> np.ndarray:
    """Makes the image to start from, at the first level's size."""
    size = level.height, level.width
    noise = np.random.default_rng(request.seed).uniform(size=(*size, 3))
    starts: dict[str, Callable[[], np.ndarray]] = {
        "content": lambda: image_io.resize(content, *size),
        "style": lambda: image_io.cover(styles[0], *size),
        "gray": lambda: np.full_like(noise, 0.5),
        "noise": lambda: noise,
    }
    load = starts.get(request.init, lambda: _loaded(request.init, size))
    mixed = (1 - request.init_noise) * load() + request.init_noise * noise
    return mixed.astype(np.float32)


def _shared(layers: Mapping[str, float], weight: float) -> dict[str, float]:
    """Shares a weight among layers, in proportion to theirs."""
    total = sum(layers.values())
    return {layer: weight * share / total for layer, share in layers.items()}


def _loaded(path: str, size: tuple[int, int]) -> np.ndarray:
    """Reads a picture to start from, cut to the size."""
    image = image_io.load_image(path)
    if max(image.shape[:2]) > 32 * min(image.shape[:2]):
        raise ValueError(
            f"init image is {image.shape[1]} x {image.shape[0]} pixels, more "
            f"than 32 times as long as wide; cut it."
        )
    return image_io.cover(image, *size)
