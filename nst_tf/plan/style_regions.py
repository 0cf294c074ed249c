"""Which style goes where: masks of the content and of the styles, by color."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nst_tf import errors
from nst_tf.images import image_io, masks
from nst_tf.plan import settings, style_settings

LEAST = 1e-4  # share of a picture that a region has, at least


class Style(NamedTuple):
    """A style image and its share in a blend."""

    image: np.ndarray  # [H, W, 3] in [0, 1]
    weight: float = 1.0
    alpha: np.ndarray | None = None  # how much a pixel counts, [H, W] in [0, 1]
    layers: Mapping[str, float] = {}  # their weights
    scale: float = 1.0  # of its sides: the size of the strokes


class Region(NamedTuple):
    """A part of the output that is painted in styles of its own."""

    styles: Sequence[Style]
    mask: np.ndarray | None = None  # of the content's size, [H, W]; None: all
    name: str = ""


class StyleRegion(NamedTuple):
    """A part of the output, and the styles that it is painted in."""

    name: str  # of the region: its color as #rrggbb; empty for all of it
    mask: np.ndarray | None  # on the content image, [H, W]; None for all of it
    styles: Sequence[tuple[int, image_io.Picture]]  # which, and its part


def find_regions(
    job: settings.Job,
    content: image_io.Picture,
    styles: Sequence[image_io.Picture],
    others: Mapping[str, image_io.Picture],
) -> tuple[list[StyleRegion], float]:
    """Finds the regions of a job, and gives their styles their colors.

    Args:
        job: The job.
        content: Its content image.
        styles: Its style images.
        others: The masks that it names.

    Returns:
        The regions that have a style, and the largest share of a style's values
        that are clipped after their colors were changed.

    Raises:
        ValueError: If a mask has not its picture's shape, or masks and styles
            do not agree.
    """
    size = content.pixels.shape[:2]
    if not settings.MASKS & set(others):
        painted, clipped = _recolor_all(job, content, enumerate(styles))
        return [StyleRegion("", None, painted)] if styles else [], clipped
    strength = np.ones(size, np.float32)
    if "strength_map" in others:
        strength = _gray(others["strength_map"], "strength_map", size)
    strength = strength * (1 - read_keep_mask(content, others))
    parts = [masks.MaskRegion((255,) * 3, np.ones(size, np.float32))]
    if "content_mask" in others:
        parts = _regions(others["content_mask"], "content_mask", size)
    members = _members(job, styles, others, parts)
    places, clipped = [], 0.0
    for part, its in zip(parts, members, strict=True):
        mask = part.weights * strength
        if not its or mask.mean() < LEAST:
            continue
        here = content._replace(alpha=_product(content.alpha, part.weights))
        painted, share = _recolor_all(job, here, its)
        clipped = max(clipped, share)
        whole = mask.min() == 1
        name = part.name if "content_mask" in others else ""
        places.append(StyleRegion(name, None if whole else mask, painted))
    if styles and not places:
        raise ValueError(
            "the masks leave nothing to paint: no region has a style and is "
            "not kept."
        )
    return places, clipped


def _recolor_all(
    job: settings.Job,
    content: image_io.Picture,
    styles: Iterable[tuple[int, image_io.Picture]],
) -> tuple[list[tuple[int, image_io.Picture]], float]:
    """Gives styles their colors; the largest share of values not in [0, 1]."""
    painted, clipped = [], 0.0
    for index, style in styles:
        changed, share = style_settings.recolor(job, style, content)
        painted.append((index, changed))
        clipped = max(clipped, share)
    return painted, clipped


def weigh_styles(
    job: settings.Job,
    painted: Sequence[StyleRegion],
    scales: Sequence[float],
) -> list[Region]:
    """Gives the styles of each region their shares, layers and scales.

    Raises:
        ValueError: If a setting is given for another number of styles.
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
        for part in painted
    ]


def describe_resized(
    content: image_io.Picture,
    styles: Sequence[image_io.Picture],
    others: Mapping[str, image_io.Picture],
) -> list[str]:
    """Says in one note which masks are resized; in none if no one is.

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
    return [f"resized to their pictures: {'; '.join(resized)}"] * bool(resized)


def read_keep_mask(
    content: image_io.Picture, others: Mapping[str, image_io.Picture]
) -> np.ndarray:
    """Reads how much of each pixel of the content image is kept, [H, W]."""
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
    """Lists the styles of each region, with how much their pixels count."""
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
                    f"{name} has the color {region.name}, but content_mask has "
                    f"{_list_names(parts)}; use its colors."
                )
            alpha = _product(style.alpha, region.weights)
            fitting[0].append((index, style._replace(alpha=alpha)))
    for part, its in zip(parts, members, strict=True):
        if not its and part.color != (0, 0, 0) and part.weights.mean() > LEAST:
            raise ValueError(
                f"content_mask has the color {part.name}, but no style_mask "
                f"has; only black may be left without a style."
            )
    return members


def _in_order(
    styles: Sequence[image_io.Picture], parts: Sequence[masks.MaskRegion]
) -> list[list[tuple[int, image_io.Picture]]]:
    """Gives the i-th style to the i-th region, from the lightest on."""
    used = [part for part in parts if part.weights.mean() > LEAST]
    rest = len(used) - len(styles)
    if rest and not (rest == 1 and used[-1].color == (0, 0, 0)):
        raise ValueError(
            f"content_mask has {errors.format_count(len(used), 'region')} "
            f"({_list_names(used)}), but "
            f"{errors.format_presence(len(styles), 'style')}; name one for "
            f"each, from the lightest color to the darkest; black may be left "
            f"without one."
        )
    rows = {
        part.name: [(index, style)]
        for index, (part, style) in enumerate(zip(used, styles, strict=False))
    }
    return [rows.get(part.name, []) for part in parts]


def _regions(
    picture: image_io.Picture, name: str, size: tuple[int, ...]
) -> list[masks.MaskRegion]:
    """Finds the regions of a mask, in its picture's size.

    They are found before it is resized: at edges that would make new colors.
    """
    _check_shape(picture, name, size)
    return [
        each._replace(weights=masks.resize(each.weights, *size))
        for each in masks.find_mask_regions(picture.pixels, name, picture.alpha)
    ]


def _gray(
    picture: image_io.Picture, name: str, size: tuple[int, ...]
) -> np.ndarray:
    """Reads a gray mask, in the content image's size."""
    _check_shape(picture, name, size)
    gray = masks.read_gray(picture.pixels, name, picture.alpha)
    return masks.resize(gray, *size)


def _check_shape(
    picture: image_io.Picture, name: str, size: tuple[int, ...]
) -> None:
    """Raises ValueError if a mask has not the shape of its picture."""
    rows, columns = picture.pixels.shape[:2]
    if not masks.has_shape_of((rows, columns), size):
        raise ValueError(
            f"{name} is {columns} x {rows} pixels, but its picture is "
            f"{size[1]} x {size[0]}; expected the same shape, in any size."
        )


def _product(alpha: np.ndarray | None, weights: np.ndarray) -> np.ndarray:
    """Multiplies an alpha channel, if there is one, by weights."""
    return weights if alpha is None else alpha * weights


def _list_names(parts: Sequence[masks.MaskRegion]) -> str:
    """Names regions for people."""
    return ", ".join(f"{p.name} {p.weights.mean():.0%}" for p in parts)
