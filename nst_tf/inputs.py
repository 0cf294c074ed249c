"""What a job needs before any work starts: read, checked, of the right size.

TensorFlow is not needed here, so that a wrong request is refused at once.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nst_tf import architectures, image_io, job, outputs, pyramid
from nst_tf import weights as network_weights

ImageLike = np.ndarray | str | os.PathLike[str]


class Inputs(NamedTuple):
    """What a job needs before any work starts, read and checked."""

    content: np.ndarray  # [H, W, 3] in [0, 1]
    styles: tuple[np.ndarray, ...]
    init: np.ndarray  # at the first level's size
    levels: list[pyramid.Level]
    network: network_weights.NetworkWeights


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
        files += [request.init, request.continue_from, request.weights]
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
    init = None
    if request.continue_from:
        levels, init = _continued(request.continue_from, content, levels)
    for style in styles:
        rows, columns = style.shape[:2]
        fitted = _fitted(request, rows, columns, levels[0])
        if min(fitted) < deepest.stride:
            raise ValueError(
                f"style image is {columns} x {rows} pixels, {fitted[1]} x "
                f"{fitted[0]} at the first level, but {deepest.name} needs "
                f"{deepest.stride} x {deepest.stride}; raise --min_size or "
                f"--style_scale, or cut it."
            )
    return Inputs(
        content,
        tuple(styles),
        _initial(request, content, styles, levels[0]) if init is None else init,
        levels,
        network_weights.load(request.extractor, request.weights, say=say),
    )


def _fitted(
    request: job.Job, rows: int, columns: int, level: pyramid.Level
) -> tuple[int, int]:
    """The (height, width) of a style image of rows x columns, at a level."""
    height, width = (
        max(1, round(request.style_scale * side)) for side in level[:2]
    )
    if request.style_fit == "keep":
        return pyramid.size_of_area(rows, columns, height * width)
    if request.style_fit == "side":
        return pyramid.output_size(rows, columns, max(height, width))
    return height, width


def _output_size(request: job.Job, content: np.ndarray) -> tuple[int, int]:
    """The (height, width) of the picture."""
    rows, columns = content.shape[:2]
    return pyramid.output_size(rows, columns, request.size)


def as_image(image: ImageLike, name: str) -> np.ndarray:
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
        "mean": lambda: np.zeros_like(noise) + architectures.MEAN_COLOR,
        "noise": lambda: noise,
    }
    load = starts.get(request.init, lambda: _loaded(request.init, size))
    mixed = (1 - request.init_noise) * load() + request.init_noise * noise
    return mixed.astype(np.float32)


def _continued(
    path: str, content: np.ndarray, levels: Sequence[pyramid.Level]
) -> tuple[list[pyramid.Level], np.ndarray]:
    """The levels above a picture's size, and the picture at the first's."""
    image = image_io.load_image(path)
    size = image.shape[:2]
    height, width, _ = levels[-1]
    if not pyramid.is_size_of(*content.shape[:2], *size):
        raise ValueError(
            f"continue_from is {size[1]} x {size[0]} pixels, but the output is "
            f"{width} x {height}, of another shape; pass what a run on this "
            f"content image has made."
        )
    above = [level for level in levels if max(level[:2]) > max(size)]
    if not above:
        raise ValueError(
            f"continue_from is {size[1]} x {size[0]} pixels, and the output is "
            f"{width} x {height}; raise --size."
        )
    return above, image_io.resize(image, *above[0][:2])


def _loaded(path: str, size: tuple[int, int]) -> np.ndarray:
    """Reads a picture to start from, cut to the size."""
    image = image_io.load_image(path)
    if max(image.shape[:2]) > 32 * min(image.shape[:2]):
        raise ValueError(
            f"init image is {image.shape[1]} x {image.shape[0]} pixels, more "
            f"than 32 times as long as wide; cut it."
        )
    return image_io.cover(image, *size)
