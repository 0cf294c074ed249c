"""Prepares a call of `stylize`, or a job of files: a `Job` and its `Inputs`."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_tf import errors
from nst_tf.images import image_io, masks, sizes, sources
from nst_tf.plan import (
    checks,
    inputs,
    schedule,
    settings,
    style_settings,
)
from nst_tf.runs import outputs, summaries, timelapse


def prepare_images(
    content: inputs.ImageLike,
    styles: inputs.ImageLike | Sequence[inputs.ImageLike],
    chosen: dict[str, Any],
) -> tuple[settings.Job, inputs.Inputs]:
    """Checks what `stylize` is called with, and makes a job of it.

    Args:
        content: As in `stylize`.
        styles: As in `stylize`.
        chosen: Settings, as in `stylize`.

    Returns:
        The job, and what it is made from: what `api.start_steps` takes.

    Raises:
        ValueError: As `stylize`.
        TypeError: As `stylize`.
    """
    for name in chosen:
        if name not in settings.FIELDS:
            near = errors.did_you_mean(name, settings.KEYWORDS)
            raise TypeError(
                f"stylize has no setting {name!r}"
                f"{near or '; help(nst_tf.stylize) lists them.'}"
            )
        if name == "dpi" and chosen.get("print_size"):
            continue
        if name not in settings.KEYWORDS:
            raise TypeError(
                f"{name} is for the program, not a setting of stylize; pass "
                f"the images as the first two arguments, and save the result."
            )
    chosen, arrays = _without_arrays(chosen)
    asked = settings.Job(**chosen)
    checks.check(asked)
    read = inputs.as_picture(content, "content", asked.max_megapixels)
    request = schedule.apply_strength(inputs.resolve_size(asked, read))
    parts: list[Sequence[Any]] = [
        sources.list_pictures(str(each)) if sources.is_folder(each) else [each]
        for each in (styles if isinstance(styles, (list, tuple)) else [styles])
    ]
    request = style_settings.repeat_settings(
        request, [len(part) for part in parts]
    )
    many = [each for part in parts for each in part]
    prepared = inputs.prepare(
        request,
        read,
        [
            inputs.as_picture(style, "style", request.max_megapixels)
            for style in many
        ],
        given=arrays,
    )
    warn_notes(prepared)
    return request, prepared


def _without_arrays(
    chosen: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, image_io.Picture]]:
    """Puts a word in the place of pictures that are arrays; these by names.

    The names are those of `inputs.list_named_pictures`, so that they count as
    if they were read: in the digests of a checkpoint too.
    """
    plain: dict[str, Any] = {}
    arrays: dict[str, image_io.Picture] = {}

    def taken(name: str, value: Any) -> Any:
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if not hasattr(value, "__array__"):
            return value
        arrays[name] = (
            inputs.as_picture(value, name)
            if name in settings.STARTS
            else inputs.as_mask(value, masks.format_title(name))
        )
        return "array"

    for name, value in chosen.items():
        if name == "style_mask":
            several = value if isinstance(value, (list, tuple)) else [value]
            plain[name] = tuple(
                taken(f"{name}/{number}", each)
                for number, each in enumerate(several)
            )
        elif name in settings.MASKS | settings.STARTS or isinstance(
            value, os.PathLike
        ):
            plain[name] = taken(name, value)
        else:
            plain[name] = value
    return plain, arrays


def prepare_files(
    asked: settings.Job, say: Callable[[str], None] = lambda line: None
) -> tuple[settings.Job, Path, inputs.Inputs]:
    """Decides what a job of files leaves open, and reads all that it names.

    Args:
        asked: The job as it is asked for.
        say: Is told, in a line, what takes time.

    Returns:
        The job with the settings of its print size and its strength, and the
        pictures of its folders; where its picture will be written; and what it
        is made from.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
    """
    content = inputs.read_content(asked, say)
    request = schedule.apply_strength(inputs.resolve_size(asked, content))
    request = style_settings.expand_folders(request)
    return request, *read_files(request, say, content)


def warn_notes(prepared: inputs.Inputs) -> None:
    """Warns, in Python's way, of what was not read in the best way."""
    for note in prepared.notes:
        warnings.warn(note, stacklevel=3)


def read_files(
    request: settings.Job,
    say: Callable[[str], None] = lambda line: None,
    content: image_io.Picture | None = None,
) -> tuple[Path, inputs.Inputs]:
    """Checks a job of files, and reads all that it names.

    Args:
        request: The job, after `inputs.resolve_size`.
        say: Is told, in a line, what takes time.
        content: Its content image, if it was read.

    Returns:
        Where the picture will be written, and what it is made from.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
    """
    checks.check(request)
    if content is None:
        content = inputs.read_content(request, say)
    if request.summary_dir:
        summaries.check()
    styles = [
        sources.load(source, request.max_megapixels, say)
        for source in request.style
    ]
    files = inputs.list_input_files(request)
    previews = request.preview_every > 0
    path = outputs.choose_path(
        request.output,
        files if request.output else [request.content, *request.style],
        overwrite=request.overwrite,
        previews=previews,
    )
    if request.log:
        outputs.check_aside("log", request.log, path, files, previews)
    if request.timelapse:
        others = [*files, request.log] if request.log else files
        timelapse.check(request.timelapse, path, others, previews)
    rows, columns = content.pixels.shape[:2]
    height, width = sizes.scale_to_side(rows, columns, request.size)
    options = outputs.make_options(request, content, height, width)
    outputs.check_writable(path, height, width, options)
    return path, inputs.prepare(request, content, styles, say)
