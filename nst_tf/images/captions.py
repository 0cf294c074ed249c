"""Draws pictures in rows on white, with captions."""

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_LARGEST_LETTER = 0.06  # height, as a share of a picture's width
_SMALLEST_LETTER = 8  # pixels
_MISSING = np.float32(0.8)  # the gray of a missing picture


class CaptionedImage(NamedTuple):
    """A picture, or a placeholder of its size, with the lines below it."""

    lines: tuple[str, ...]
    height: int
    width: int
    image: np.ndarray | None = None  # [height, width, 3] in [0, 1]


def draw(rows: Sequence[Sequence[CaptionedImage]]) -> np.ndarray:
    """Draws pictures on white, with their lines below.

    Args:
        rows: Pictures, row by row; rows may be shorter than the first. Missing
            pictures are gray.

    Returns:
        The drawing, [H, W, 3] in [0, 1].
    """
    widths = [
        max(row[column].width for row in rows if column < len(row))
        for column in range(len(rows[0]))
    ]
    heights = [max(each.height for each in row) for row in rows]
    captions = [each.lines for row in rows for each in row]
    font = _font([line for lines in captions for line in lines], min(widths))
    line = math.ceil(sum(font.getmetrics()))
    below = line * max(map(len, captions))
    gap = max(line // 2, 4)
    total = gap + sum(height + below + 2 * gap for height in heights)
    across = gap + sum(width + gap for width in widths)
    canvas = np.ones((total, across, 3), np.float32)
    top = gap
    for row, height in zip(rows, heights, strict=True):
        left = gap
        for each, width in zip(row, widths, strict=False):
            canvas[top : top + each.height, left : left + each.width] = (
                _MISSING if each.image is None else each.image
            )
            for place, text in enumerate(each.lines):
                y = top + height + gap // 2 + place * line
                words = _draw_line(text, font, line, width)
                canvas[y : y + line, left : left + width] = words
            left += width + gap
        top += height + below + 2 * gap
    return canvas


def _font(lines: Sequence[str], width: int) -> ImageFont.FreeTypeFont:
    """Returns the largest legible font in which the longest line fits."""
    size = max(_SMALLEST_LETTER, round(_LARGEST_LETTER * width))
    while True:
        font = cast("ImageFont.FreeTypeFont", ImageFont.load_default(size))
        longest = max(font.getlength(line) for line in lines)
        if longest <= width or size == _SMALLEST_LETTER:
            return font
        size -= 1


def _draw_line(
    text: str, font: ImageFont.FreeTypeFont, height: int, width: int
) -> np.ndarray:
    """Draws a line, black on white, [height, width, 1]; shortens long ones."""
    kept, shown = len(text), text
    while font.getlength(shown) > width and kept > 2:
        kept -= 1
        shown = f"{text[: kept // 2]}...{text[len(text) - kept // 2 :]}"
    strip = Image.new("L", (width, height), 255)
    ImageDraw.Draw(strip).text((0, 0), shown, fill=30, font=font)
    return np.asarray(strip, np.float32)[..., None] / 255
