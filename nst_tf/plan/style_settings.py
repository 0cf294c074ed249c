"""Computes the shares, sizes and colors of a job's styles."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nst_tf import errors
from nst_tf.images import color, image_io, sizes
from nst_tf.losses import conventions, style_kinds
from nst_tf.network import architectures
from nst_tf.plan import pyramid, settings


def choose_losses(job: settings.Job) -> settings.Job:
    """Replaces defaults by a style loss, its layers and scales, and grain."""
    convention = conventions.CONVENTIONS[job.convention]
    chosen: dict[str, Any] = {}
    style_loss = job.style_loss
    if style_loss == "auto":
        style_loss = chosen["style_loss"] = convention.style_loss
    if not job.style_layers:
        chosen["style_layers"] = (style_kinds.STYLE_LOSSES[style_loss].layers,)
    if job.grain_weight < 0:
        chosen["grain_weight"] = convention.grain
    if not job.scales:
        chosen["scales"] = convention.scales
    return dataclasses.replace(job, **chosen)


def repeat_settings(job: settings.Job, counts: Sequence[int]) -> settings.Job:
    """Expands each style to its pictures, which divide its share equally.

    Raises:
        ValueError: If the number of a setting's values and of styles differ.
    """
    if all(count == 1 for count in counts):
        return job
    blend = list_shares(job, len(counts))
    pairs = list(zip(blend, counts, strict=True))
    chosen: dict[str, Any] = {
        "style_blend": tuple(
            share / count for share, count in pairs for _ in range(count)
        )
    }
    for name in settings.FIELDS:
        if name not in settings.PER_STYLE_SETTINGS or name == "style_blend":
            continue
        values = getattr(job, name)
        if isinstance(values, str):
            values = settings.split_choices(values)
        if len(values) > 1:
            values = settings.repeat_for_styles(values, len(counts), name)
            chosen[name] = tuple(
                value
                for value, count in zip(values, counts, strict=True)
                for _ in range(count)
            )
    return dataclasses.replace(job, **chosen)


def list_shares(job: settings.Job, count: int) -> tuple[float, ...]:
    """Lists the share of each of `count` styles in the blend."""
    blend = job.style_blend or (1.0,)
    if len(job.style_blend) == 1 < count:
        styles = errors.format_presence(count, "style")
        raise ValueError(
            f"--style_blend has 1 value, but {styles}; give one value per "
            "style, such as 0.7,0.3."
        )
    return settings.repeat_for_styles(blend, count, "style_blend")


def list_colors(job: settings.Job, count: int) -> tuple[str, ...]:
    """Lists the color rule of each of `count` styles.

    Raises:
        ValueError: If the number of rules and of styles differ, or the content
            gives its colors to some styles without a mask.
    """
    rules = settings.split_choices(job.color)
    if "content" in rules and len({*rules}) > 1 and not job.content_mask:
        raise ValueError(
            f"--color is {job.color}, but without a mask each style paints the "
            "whole picture; add --content_mask, which gives each style its "
            "region."
        )
    return settings.repeat_for_styles(rules, count, "color")


def recolor(
    rule: str, style: image_io.Picture, content: image_io.Picture
) -> tuple[image_io.Picture, float]:
    """Recolors a style image; also returns the share of clipped values.

    Args:
        rule: One of the values of --color.
        style: The style image.
        content: The content image; its alpha weights its colors.
    """
    if rule == "luminance":
        pixels = color.to_gray(style.pixels, content.pixels)
        return style._replace(pixels=pixels), 0.0
    if rule not in ("match", "histogram"):
        return style, 0.0
    change = color.match_moments if rule == "match" else color.match_histograms
    changed = change(style.pixels, content.pixels, style.alpha, content.alpha)
    pixels = np.clip(changed.image, 0.0, 1.0).astype(np.float32)
    return style._replace(pixels=pixels), changed.share


def compute_scales(
    job: settings.Job, styles: Sequence[image_io.Picture], level: pyramid.Level
) -> list[float]:
    """Computes the scale factor of each style image's sides.

    Raises:
        ValueError: If a style_size is too small or too large for the output.
    """
    if not job.style_size:
        return list(
            settings.repeat_for_styles(
                job.style_scale, len(styles), "style_scale"
            )
        )
    found = []
    lengths = settings.repeat_for_styles(
        job.style_size, len(styles), "style_size"
    )
    for style, length in zip(styles, lengths, strict=True):
        rows, columns = style.pixels.shape[:2]
        side = max(fit_size(job.style_fit, rows, columns, level.size))
        scale = length / side
        rules = settings.FIELDS["style_scale"].metadata
        if not rules["low"] <= scale <= rules["high"]:
            least, most = rules["low"] * side, rules["high"] * side
            raise ValueError(
                f"--style_size is {length}; expected {math.ceil(least)} to "
                f"{math.floor(most)} pixels for this style image and output."
            )
        found.append(scale)
    return found


def check_fits(
    job: settings.Job,
    styles: Sequence[image_io.Picture],
    scales: Sequence[float],
    level: pyramid.Level,
    deepest: architectures.Convolution,
) -> None:
    """Raises ValueError if a style is too small or transparent at a level."""
    for style, scale in zip(styles, scales, strict=True):
        rows, columns = style.pixels.shape[:2]
        height, width = fit_size(
            job.style_fit, rows, columns, level.size, scale
        )
        if job.style_fit == "crop" and is_hidden(style, height, width):
            raise ValueError(
                "style image is fully transparent in the cropped area; use "
                "--style_fit=keep."
            )
        if min(height, width) < deepest.stride:
            raise ValueError(
                f"style image is {columns} x {rows} pixels, {width} x {height} "
                f"at the first level, but {deepest.name} needs "
                f"{deepest.stride} x {deepest.stride}; raise --min_size or "
                "--style_scale, or crop it."
            )


def count_scales(
    job: settings.Job,
    styles: Sequence[image_io.Picture],
    factors: Sequence[float],
    levels: Sequence[pyramid.Level],
    deepest: architectures.Convolution,
) -> int:
    """Counts the scales of the style loss at the last level.

    Args:
        job: Its `scales` is the largest number.
        styles: The style images, which must be large enough at every scale.
        factors: The scale factor of each one's sides.
        levels: The levels of the job.
        deepest: The deepest layer of its losses.
    """

    def allow(level: pyramid.Level, number: int) -> bool:
        number = pyramid.count_scales(*level.size, number)
        least = deepest.stride * 2 ** (number - 1)
        for style, factor in zip(styles, factors, strict=True):
            rows, columns = style.pixels.shape[:2]
            size = fit_size(job.style_fit, rows, columns, level.size, factor)
            if min(size) < least:
                return False
        return True

    most = pyramid.count_scales(*levels[-1].size, job.scales)
    while most > 1 and not all(allow(level, most) for level in levels):
        most -= 1
    return most


def fit_size(
    style_fit: str,
    rows: int,
    columns: int,
    size: tuple[int, int],
    scale: float = 1.0,
) -> tuple[int, int]:
    """Computes the (height, width) of a style image at a size of the output.

    Args:
        style_fit: As in `Job`; "crop" and "stretch" have the same size.
        rows: Height of the style image, in pixels.
        columns: Width of the style image, in pixels.
        size: (height, width) of the output at a level.
        scale: Factor of the style image's sides.
    """
    height, width = (max(1, round(scale * side)) for side in size)
    if style_fit == "keep":
        return sizes.scale_to_area(rows, columns, height * width)
    if style_fit == "side":
        return sizes.scale_to_side(rows, columns, max(height, width))
    return height, width


def is_hidden(picture: image_io.Picture, height: int, width: int) -> bool:
    """Returns whether a picture cropped to a size is fully transparent."""
    if picture.alpha is None:
        return False
    alpha = image_io.cover(picture.alpha[..., None], height, width)
    return bool(alpha.max() < 1 / 255)
