"""The styles of a job: folders of them, their shares, sizes and colors."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from nst_tf.images import color, image_io, sizes, sources
from nst_tf.plan import pyramid, settings


def expand_folders(request: settings.Job) -> settings.Job:
    """Replaces folders of styles by their pictures, which share as one does.

    Raises:
        ValueError: If a folder has no pictures.
    """
    parts = sources.expand_folders(request.style)
    request = repeat_settings(request, [len(part) for part in parts])
    style = tuple(each for part in parts for each in part)
    return dataclasses.replace(request, style=style)


def repeat_settings(
    request: settings.Job, counts: Sequence[int]
) -> settings.Job:
    """Gives each style of a job to so many pictures, which share as one does.

    Raises:
        ValueError: If a setting of styles is given for another number of them.
    """
    if all(count == 1 for count in counts):
        return request
    blend = settings.repeat_for_styles(
        request.style_blend or (1.0,), len(counts), "style_blend"
    )
    pairs = list(zip(blend, counts, strict=True))
    chosen: dict[str, Any] = {
        "style_blend": tuple(
            share / count for share, count in pairs for _ in range(count)
        )
    }
    for name in settings.FIELDS:
        if name not in settings.PER_STYLE_SETTINGS or name == "style_blend":
            continue
        values = getattr(request, name)
        if len(values) > 1:
            values = settings.repeat_for_styles(values, len(counts), name)
            chosen[name] = tuple(
                value
                for value, count in zip(values, counts, strict=True)
                for _ in range(count)
            )
    return dataclasses.replace(request, **chosen)


def recolor(
    request: settings.Job, style: image_io.Picture, content: image_io.Picture
) -> tuple[image_io.Picture, float]:
    """Gives a style image its colors to paint with; the share not in [0, 1]."""
    if request.color == "luminance":
        pixels = color.to_gray(style.pixels, content.pixels)
        return style._replace(pixels=pixels), 0.0
    if request.color not in ("match", "histogram"):
        return style, 0.0
    change = (
        color.match_moments
        if request.color == "match"
        else color.match_histograms
    )
    changed = change(style.pixels, content.pixels, style.alpha, content.alpha)
    pixels = np.clip(changed.image, 0.0, 1.0).astype(np.float32)
    return style._replace(pixels=pixels), changed.share


def compute_scales(
    request: settings.Job,
    styles: Sequence[image_io.Picture],
    level: pyramid.Level,
) -> list[float]:
    """By how much the sides of each style image are multiplied."""
    if not request.style_size:
        return list(
            settings.repeat_for_styles(
                request.style_scale, len(styles), "style_scale"
            )
        )
    found = []
    lengths = settings.repeat_for_styles(
        request.style_size, len(styles), "style_size"
    )
    for style, length in zip(styles, lengths, strict=True):
        rows, columns = style.pixels.shape[:2]
        scale = length / max(fit_size(request, rows, columns, level, 1.0))
        rules = settings.FIELDS["style_scale"].metadata
        if not rules["low"] <= scale <= rules["high"]:
            raise ValueError(
                f"style_size is {length}, {scale:.2g} times what fits this "
                f"output, expected {rules['low']} to {rules['high']} times."
            )
        found.append(scale)
    return found


def fit_size(
    request: settings.Job,
    rows: int,
    columns: int,
    level: pyramid.Level,
    scale: float,
) -> tuple[int, int]:
    """The (height, width) of a style image of rows x columns, at a level."""
    height, width = (max(1, round(scale * side)) for side in level[:2])
    if request.style_fit == "keep":
        return sizes.scale_to_area(rows, columns, height * width)
    if request.style_fit == "side":
        return sizes.scale_to_side(rows, columns, max(height, width))
    return height, width


def is_hidden(picture: image_io.Picture, height: int, width: int) -> bool:
    """Whether nothing is seen of a picture that is cropped to a size."""
    if picture.alpha is None:
        return False
    alpha = image_io.cover(picture.alpha[..., None], height, width)
    return bool(alpha.max() < 1 / 255)
