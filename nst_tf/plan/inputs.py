"""Checks a job against its images, and computes its levels, init and regions.

TensorFlow is not needed here, so that a wrong request is refused at once.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nst_tf.images import color, image_io, reading, sizes, sources
from nst_tf.network import architectures, weight_files
from nst_tf.plan import (
    checks,
    pyramid,
    schedule,
    settings,
    style_regions,
    style_settings,
)

ImageLike = np.ndarray | str | os.PathLike[str] | image_io.Picture


class Inputs(NamedTuple):
    """What a job needs before any work starts, read and checked."""

    content: image_io.Picture
    seen: np.ndarray  # the content image as the losses see it, [H, W, 3]
    styles: tuple[image_io.Picture, ...]
    places: Sequence[
        style_regions.StyleRegion
    ]  # what is painted, and in which styles
    keep: np.ndarray | None  # how much of the content stays, [H, W]; None: no
    init: np.ndarray  # at the first level's size, [h, w, 3] in [0, 1]
    levels: list[pyramid.Level]
    network: weight_files.NetworkWeights
    others: Mapping[str, image_io.Picture]  # init, masks ...: by their names
    scales: Sequence[float]  # of each style's sides
    blend: Sequence[float]  # of each style
    clipped: float  # share of a style's values, after its colors were changed

    @property
    def notes(self) -> list[str]:
        """For people: what could not be read in the best way."""
        read = [self.content, *self.styles, *self.others.values()]
        notes = [note for picture in read for note in picture.notes]
        if os.environ.get("NST_TF_WEIGHTS"):
            notes.append(
                "NST_TF_WEIGHTS is set, but no longer read: VGG19 ships with "
                "nst_tf; to take another file, use --weights=PATH"
            )
        return notes


def read_content(
    request: settings.Job,
    say: Callable[[str], None] = lambda line: None,
    load: Callable[..., image_io.Picture] = sources.load,
) -> image_io.Picture:
    """Checks a job of files, and reads its content image.

    Args:
        request: The job.
        say: Is told, in a line, what takes time.
        load: As `sources.load`.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
    """
    checks.check(request)
    if not request.content:
        raise ValueError("no content image; name one with --content=PICTURE.")
    return load(request.content, request.max_megapixels, say)


def resolve_size(
    request: settings.Job, content: image_io.Picture
) -> settings.Job:
    """Replaces the print size of a job by a size in pixels and a resolution.

    A job without a print size is returned as it is.

    Args:
        request: The job.
        content: Its content image, whose shape the picture has.

    Raises:
        ValueError: As `checks.check`, or if no picture can be of that size.
        TypeError: As `checks.check`.
    """
    checks.check(request)
    if not request.print_size:
        return request
    dpi = float(request.dpi or sizes.DPI)
    box = sizes.parse_print_size(request.print_size)
    rows, columns = content.pixels.shape[:2]
    size = sizes.fit_print(rows, columns, box, dpi)
    if not 1 <= size <= settings.LARGEST_SIZE:
        raise ValueError(
            f"print_size is {request.print_size!r}, {size} pixels on the long "
            f"side at {dpi:g} dpi, expected 1 to {settings.LARGEST_SIZE}; "
            f"change --print_size or --dpi."
        )
    return dataclasses.replace(request, print_size="", size=size, dpi=dpi)


def list_input_files(request: settings.Job) -> list[str]:
    """The files that a job names, none of which is ever replaced."""
    names = [
        request.content,
        *request.style,
        *list_named_pictures(request).values(),
        request.rerun,
    ]
    if not settings.is_keyword("weights", request.weights):
        names.append(request.weights)
    return [name for name in names if name and sources.is_file(name)]


def prepare(
    request: settings.Job,
    content: image_io.Picture,
    styles: Sequence[image_io.Picture],
    say: Callable[[str], None] = lambda line: None,
    given: Mapping[str, image_io.Picture] | None = None,
) -> Inputs:
    """Checks a job and its images, and finds the network's weights.

    Args:
        request: The job.
        content: Its content image.
        styles: Its style images.
        say: Is told, in a line, what takes time.
        given: Those of `list_named_pictures` that need not be read, by their
            names.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
    """
    checks.check(request)
    if not styles and (request.style_weight or request.init == "style"):
        raise ValueError("no style image; name one with --style=PICTURE.")
    layers = [
        layer
        for text in (request.content_layers, *request.style_layers)
        for layer in settings.parse_layers(text)
    ]
    if styles:
        settings.repeat_for_styles(
            request.style_layers, len(styles), "style_layers"
        )
    blend = settings.repeat_for_styles(
        request.style_blend or (1.0,), len(styles), "style_blend"
    )
    deepest = architectures.find_deepest(request.extractor, layers)
    _check_image(content.pixels, "content", deepest)
    for style in styles:
        _check_image(style.pixels, "style", deepest)
    height, width = _output_size(request, content)
    if min(height, width) < deepest.stride:
        raise ValueError(
            f"size is {request.size}, so that the output would be {width} x "
            f"{height} pixels, but {deepest.name} needs at least "
            f"{deepest.stride} x {deepest.stride}; raise the size, or the dpi "
            f"of a print."
        )
    levels = schedule.list_levels(request, height, width)
    seen = content.pixels
    if request.color == "luminance":
        seen = color.to_gray(seen)
    others = dict(given or {})
    for name, source in list_named_pictures(request).items():
        if name not in others:
            others[name] = sources.load(source, request.max_megapixels, say)
    painted, clipped = style_regions.find_regions(
        request, content, styles, others
    )
    keep = (
        style_regions.read_keep_mask(content, others)
        if request.keep_mask
        else None
    )
    if request.continue_from:
        levels, init = _select_above(
            others["continue_from"].pixels, content.pixels, levels
        )
    else:
        first = [style for _, style in painted[0].styles] if painted else []
        init = _initial(request, seen, first, levels[0], others)
    if keep is not None:
        init = blend_kept(init, seen, keep)
    scales = style_settings.compute_scales(request, styles, levels[-1])
    for style, scale in zip(styles, scales, strict=True):
        rows, columns = style.pixels.shape[:2]
        fitted = style_settings.fit_size(
            request, rows, columns, levels[0], scale
        )
        cropped = request.style_fit == "crop"
        if cropped and style_settings.is_hidden(style, *fitted):
            raise ValueError(
                "style image is wholly transparent where it is cropped; use "
                "--style_fit=keep."
            )
        if min(fitted) < deepest.stride:
            raise ValueError(
                f"style image is {columns} x {rows} pixels, {fitted[1]} x "
                f"{fitted[0]} at the first level, but {deepest.name} needs "
                f"{deepest.stride} x {deepest.stride}; raise --min_size or "
                f"--style_scale, or cut it."
            )
    return Inputs(
        content,
        seen,
        tuple(styles),
        painted,
        keep,
        init,
        levels,
        weight_files.load(request.extractor, request.weights),
        others,
        scales,
        blend,
        clipped,
    )


def blend_kept(
    image: np.ndarray, content: np.ndarray, keep: np.ndarray
) -> np.ndarray:
    """Puts the parts of the content that stay back into a picture.

    Args:
        image: [h, w, 3] in [0, 1].
        content: The content image, [H, W, 3].
        keep: How much of it stays, [H, W] in [0, 1].
    """
    size = image.shape[:2]
    share = image_io.resize_alpha(keep, *size)[..., None]
    return image + share * (image_io.resize(content, *size) - image)


def list_named_pictures(request: settings.Job) -> dict[str, str]:
    """The pictures besides content and style that a job names: where they are.

    Keys are the settings' names; of style masks, "style_mask/0" and so on. One
    that is given, and not read, is "array".
    """
    named: dict[str, str] = {}
    # Those of the content first, then those of each style.
    for several in (False, True):
        for name in filter(settings.MASKS.__contains__, settings.FIELDS):
            value = getattr(request, name)
            if several and isinstance(value, tuple):
                named |= {f"{name}/{i}": each for i, each in enumerate(value)}
            elif value and not several and isinstance(value, str):
                named[name] = value
    for name in filter(settings.STARTS.__contains__, settings.FIELDS):
        value = getattr(request, name)
        if value and not settings.is_keyword(name, value):
            named[name] = value
    return named


def _output_size(
    request: settings.Job, content: image_io.Picture
) -> tuple[int, int]:
    """The (height, width) of the output."""
    rows, columns = content.pixels.shape[:2]
    return sizes.scale_to_side(rows, columns, request.size)


def as_picture(
    image: ImageLike, name: str, max_megapixels: float = reading.MEGAPIXELS
) -> image_io.Picture:
    """Reads a path or an address, or checks an array."""
    if isinstance(image, image_io.Picture):
        return image
    if isinstance(image, (str, os.PathLike)):
        return sources.load(os.fspath(image), max_megapixels)
    array = np.asarray(image)
    if array.ndim != 3 or array.shape[-1] not in (3, 4):
        raise ValueError(
            f"{name} image has shape {array.shape}, expected (height, width, "
            f"3), RGB, or 4 with alpha."
        )
    array = _samples(array, f"{name} image", "uint8 or floats in [0, 1]")
    alpha = array[..., 3] if array.shape[-1] == 4 else None
    if alpha is not None and not alpha.any():
        raise ValueError(f"{name} image is wholly transparent.")
    return image_io.make_picture(array[..., :3], alpha)


def as_mask(mask: object, name: str) -> image_io.Picture:
    """Checks an array that says where.

    Args:
        mask: Gray, [H, W], or RGB, [H, W, 3]; of bool, of uint8, or of floats
            in [0, 1].
        name: What to call it in an error.

    Raises:
        ValueError: If it has another shape, or other values.
        TypeError: If it has another type.
    """
    array = np.asarray(mask)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=-1)
    if array.ndim != 3 or array.shape[-1] != 3:
        raise ValueError(
            f"{name} has shape {array.shape}, expected (height, width), gray, "
            f"or (height, width, 3), RGB."
        )
    if array.dtype == np.uint8 and array.size and array.max() == 1:
        raise ValueError(
            f"{name} has type uint8, of which white is 255, and no value above "
            f"1; pass it as bool."
        )
    if array.dtype == np.bool_:
        array = array.astype(np.float32)
    return image_io.Picture(
        _samples(array, name, "bool, uint8 or floats in [0, 1]")
    )


def _samples(array: np.ndarray, name: str, expected: str) -> np.ndarray:
    """Brings what an array holds to floats in [0, 1]."""
    if array.dtype == np.uint8:
        array = array.astype(np.float32) / 255.0
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(f"{name} has type {array.dtype}, expected {expected}.")
    if not (array.size and array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"{name} has values outside [0, 1], or none at all; divide those "
            f"of 0..255 by 255."
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
    request: settings.Job,
    content: np.ndarray,
    styles: Sequence[image_io.Picture],
    level: pyramid.Level,
    others: Mapping[str, image_io.Picture],
) -> np.ndarray:
    """Makes the image to start from, at the first level's size."""
    size = level.height, level.width
    noise = np.random.default_rng(request.seed).uniform(size=(*size, 3))
    starts: dict[str, Callable[[], np.ndarray]] = {
        "content": lambda: image_io.resize(content, *size),
        "style": lambda: image_io.cover(styles[0].pixels, *size),
        "gray": lambda: np.full_like(noise, 0.5),
        "mean": lambda: np.zeros_like(noise) + architectures.MEAN_COLOR,
        "noise": lambda: noise,
    }
    load = starts.get(request.init, lambda: _fitting(others["init"], size))
    mixed = (1 - request.init_noise) * load() + request.init_noise * noise
    return mixed.astype(np.float32)


def _select_above(
    image: np.ndarray, content: np.ndarray, levels: Sequence[pyramid.Level]
) -> tuple[list[pyramid.Level], np.ndarray]:
    """The levels above a picture's size, and the picture at the first's."""
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


def _fitting(picture: image_io.Picture, size: tuple[int, int]) -> np.ndarray:
    """Cuts a picture to start from to the size."""
    image = picture.pixels
    if max(image.shape[:2]) > 32 * min(image.shape[:2]):
        raise ValueError(
            f"init image is {image.shape[1]} x {image.shape[0]} pixels, more "
            f"than 32 times as long as wide; cut it."
        )
    return image_io.cover(image, *size)
