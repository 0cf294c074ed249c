"""Assigns styles to regions, by the colors of content and style masks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nst_tf import errors
from nst_tf.images import image_io, masks
from nst_tf.plan import settings, style_settings

LEAST = 1e-4  # smallest region, as a share of the picture


class Style(NamedTuple):
    """A style image and its share in a blend."""

    image: np.ndarray  # [H, W, 3] in [0, 1]
    weight: float = 1.0
    alpha: np.ndarray | None = None  # weight of each pixel, [H, W] in [0, 1]
    layers: Mapping[str, float] = {}  # layer -> weight
    scale: float = 1.0  # factor of the sides: stroke size


class Region(NamedTuple):
    """A part of the output, with weighted styles."""

    styles: Sequence[Style]
    mask: np.ndarray | None = None  # [H, W] of the content; None: everywhere
    name: str = ""


class StyleRegion(NamedTuple):
    """A part of the output, with its style pictures, before weighting."""

    name: str  # color of the region as #rrggbb; empty: everywhere
    mask: np.ndarray | None  # [H, W] of the content image; None: everywhere
    styles: Sequence[tuple[int, image_io.Picture]]  # (index, picture)


class PaintedRegions(NamedTuple):
    """The regions of a job that are painted, and their colors."""

    regions: Sequence[StyleRegion]
    clipped: float  # largest share of a style's values, after recoloring
    chroma: np.ndarray | None  # as in `planning.Plan`


def find_regions(
    job: settings.Job,
    content: image_io.Picture,
    styles: Sequence[image_io.Picture],
    others: Mapping[str, image_io.Picture],
) -> PaintedRegions:
    """Finds the regions of a job that have a style, and recolors their styles.

    Args:
        job: The job.
        content: Its content image.
        styles: Its style images.
        others: Its masks.

    Raises:
        ValueError: If a mask has another aspect ratio than its picture, or
            masks, styles and colors do not match.
    """
    size = content.pixels.shape[:2]
    colors = style_settings.list_colors(job, len(styles))
    chroma = None
    if {*settings.split_choices(job.color)} <= {"content", "luminance"}:
        chroma = np.ones((1, 1), np.float32)
    if not settings.MASKS & set(others):
        recolored, clipped = _recolor_all(colors, content, enumerate(styles))
        regions = [StyleRegion("", None, recolored)] if styles else []
        return PaintedRegions(regions, clipped, chroma)
    strength = np.ones(size, np.float32)
    if "strength_map" in others:
        strength = _gray(others["strength_map"], "strength_map", size)
    strength = strength * (1 - read_keep_mask(content, others))
    parts = [masks.MaskRegion((255,) * 3, np.ones(size, np.float32))]
    if "content_mask" in others:
        parts = _regions(others["content_mask"], "content_mask", size)
    members = _members(job, styles, others, parts)
    regions, clipped = [], 0.0
    if chroma is None and "content" in colors:
        chroma = _find_chroma(colors, parts, members)
    for part, its in zip(parts, members, strict=True):
        mask = part.weights * strength
        if not its or mask.mean() < LEAST:
            continue
        here = content._replace(alpha=_product(content.alpha, part.weights))
        recolored, share = _recolor_all(colors, here, its)
        clipped = max(clipped, share)
        whole = mask.min() == 1
        name = part.name if "content_mask" in others else ""
        regions.append(StyleRegion(name, None if whole else mask, recolored))
    if styles and not regions:
        raise ValueError(
            "the masks leave nothing to paint: each region has no style or is "
            "kept by keep_mask. Change a mask."
        )
    return PaintedRegions(regions, clipped, chroma)


def _find_chroma(
    colors: Sequence[str],
    parts: Sequence[masks.MaskRegion],
    members: Sequence[Sequence[tuple[int, image_io.Picture]]],
) -> np.ndarray:
    """Finds where styles keep the chroma of the content, [H, W] in [0, 1]."""
    chroma = np.zeros_like(parts[0].weights)
    for part, its in zip(parts, members, strict=True):
        here = {colors[index] for index, _ in its}
        if here == {"content"}:
            chroma = chroma + part.weights
        elif "content" in here:
            raise ValueError(
                f"--color is {','.join(colors)}, but styles of both content "
                f"and another color share the region {part.name}; give them "
                "one color, or regions of their own."
            )
    return np.minimum(chroma, 1)


def _recolor_all(
    colors: Sequence[str],
    content: image_io.Picture,
    styles: Iterable[tuple[int, image_io.Picture]],
) -> tuple[list[tuple[int, image_io.Picture]], float]:
    """Recolors styles; also returns the largest share of clipped values."""
    recolored, clipped = [], 0.0
    for index, style in styles:
        changed, share = style_settings.recolor(colors[index], style, content)
        recolored.append((index, changed))
        clipped = max(clipped, share)
    return recolored, clipped


def weigh_styles(
    job: settings.Job, regions: Sequence[StyleRegion], scales: Sequence[float]
) -> list[Region]:
    """Adds shares, layers and scales to the styles of each region.

    Raises:
        ValueError: If the number of a setting's values and of styles differ.
    """
    count = len(scales)
    blend = style_settings.list_shares(job, count)
    layers = [
        settings.share_weight(text, job.style_weight)
        for text in settings.repeat_for_styles(
            job.style_layers, count, "style_layers"
        )
    ]
    return [
        Region(
            [
                Style(
                    style.pixels,
                    blend[index],
                    style.alpha,
                    layers[index],
                    scales[index],
                )
                for index, style in part.styles
                if blend[index]
            ],
            part.mask,
            part.name,
        )
        for part in regions
    ]


def describe_resized(
    content: image_io.Picture,
    styles: Sequence[image_io.Picture],
    others: Mapping[str, image_io.Picture],
) -> list[str]:
    """Lists the resized masks in one note; returns no note if none is resized.

    Args:
        content: The content image.
        styles: The style images.
        others: The masks, by name.
    """
    resized = []
    for name, mask in others.items():
        setting, _, number = name.partition("/")
        if setting not in settings.MASKS:
            continue
        pictures = [content]
        if number:
            several = "style_mask/1" in others
            pictures = [styles[int(number)]] if several else [*styles]
        if any(mask.pixels.shape != each.pixels.shape for each in pictures):
            rows, columns = mask.pixels.shape[:2]
            resized.append(f"{masks.format_title(name)}, {columns} x {rows}")
    return [f"masks resized to their pictures: {'; '.join(resized)}"] * bool(
        resized
    )


def read_keep_mask(
    content: image_io.Picture, others: Mapping[str, image_io.Picture]
) -> np.ndarray:
    """Returns the opacity of the kept content image, [H, W] in [0, 1]."""
    size = content.pixels.shape[:2]
    if "keep_mask" not in others:
        return np.zeros(size, np.float32)
    return _gray(others["keep_mask"], "keep_mask", size)


def _members(
    job: settings.Job,
    styles: Sequence[image_io.Picture],
    others: Mapping[str, image_io.Picture],
    parts: Sequence[masks.MaskRegion],
) -> list[list[tuple[int, image_io.Picture]]]:
    """Lists the styles of each region, with their pixel weights as alpha."""
    if "content_mask" not in others:
        return [list(enumerate(styles))]
    if not job.style_mask:
        return _in_order(styles, parts)
    names = settings.repeat_for_styles(
        range(len(job.style_mask)), len(styles), "style_mask"
    )
    members: list[list[tuple[int, image_io.Picture]]] = [[] for _ in parts]
    for index, (style, number) in enumerate(zip(styles, names, strict=True)):
        name = f"style_mask/{number}"
        mask, name = others[name], masks.format_title(name)
        for region in _regions(mask, name, style.pixels.shape[:2]):
            if region.weights.mean() < LEAST:
                continue
            fitting = [
                its
                for part, its in zip(parts, members, strict=True)
                if masks.is_same_color(part.color, region.color)
            ]
            if not fitting:
                raise ValueError(
                    f"{name} has the color {region.name}, but --content_mask "
                    f"has {_list_names(parts)}; use the same colors."
                )
            alpha = _product(style.alpha, region.weights)
            fitting[0].append((index, style._replace(alpha=alpha)))
    for part, its in zip(parts, members, strict=True):
        if not its and part.color != (0, 0, 0) and part.weights.mean() > LEAST:
            raise ValueError(
                f"--content_mask has the color {part.name}, but no "
                "--style_mask has it; add it to one. Only black needs no style."
            )
    return members


def _in_order(
    styles: Sequence[image_io.Picture], parts: Sequence[masks.MaskRegion]
) -> list[list[tuple[int, image_io.Picture]]]:
    """Assigns the i-th style to the i-th region, lightest first."""
    used = [part for part in parts if part.weights.mean() > LEAST]
    rest = len(used) - len(styles)
    if rest and not (rest == 1 and used[-1].color == (0, 0, 0)):
        raise ValueError(
            f"--content_mask has {errors.format_count(len(used), 'region')} "
            f"({_list_names(used)}), but "
            f"{errors.format_presence(len(styles), 'style')}; pass one for "
            "each, from the lightest color to the darkest. Only black needs "
            "no style."
        )
    rows = {
        part.name: [(index, style)]
        for index, (part, style) in enumerate(zip(used, styles, strict=False))
    }
    return [rows.get(part.name, []) for part in parts]


def _regions(
    picture: image_io.Picture, name: str, size: tuple[int, ...]
) -> list[masks.MaskRegion]:
    """Finds the regions of a mask, resized to its picture.

    It finds them before it resizes, since resizing makes new colors at edges.
    """
    _check_shape(picture, name, size)
    return [
        each._replace(weights=masks.resize(each.weights, *size))
        for each in masks.find_mask_regions(picture.pixels, name, picture.alpha)
    ]


def _gray(
    picture: image_io.Picture, name: str, size: tuple[int, ...]
) -> np.ndarray:
    """Reads a gray mask, resized to the content image."""
    _check_shape(picture, name, size)
    gray = masks.read_gray(picture.pixels, name, picture.alpha)
    return masks.resize(gray, *size)


def _check_shape(
    picture: image_io.Picture, name: str, size: tuple[int, ...]
) -> None:
    """Raises ValueError if a mask and its picture differ in aspect ratio."""
    rows, columns = picture.pixels.shape[:2]
    if not masks.has_shape_of((rows, columns), size):
        raise ValueError(
            f"{name} is {columns} x {rows} pixels, but its picture is "
            f"{size[1]} x {size[0]}; pass a mask of the same aspect ratio, in "
            "any size."
        )


def _product(alpha: np.ndarray | None, weights: np.ndarray) -> np.ndarray:
    """Multiplies an alpha channel, or 1 without one, by weights."""
    return weights if alpha is None else alpha * weights


def _list_names(parts: Sequence[masks.MaskRegion]) -> str:
    """Formats the colors and shares of regions for a message."""
    return ", ".join(f"{p.name} {p.weights.mean():.0%}" for p in parts)
