"""Converts between paper sizes and pixels.

A print keeps its aspect ratio: a print size is a box that the picture must fit,
portrait or landscape, and that it fills along at least one side.
"""

import math
import re
from typing import NamedTuple

DPI = 300.0  # default resolution of prints
INCHES = {"cm": 1 / 2.54, "mm": 1 / 25.4, "in": 1.0}
PAPERS = {
    "a0": "84.1x118.9cm",
    "a1": "59.4x84.1cm",
    "a2": "42x59.4cm",
    "a3": "29.7x42cm",
    "a4": "21x29.7cm",
    "a5": "14.8x21cm",
    "a6": "10.5x14.8cm",
    "letter": "8.5x11in",
    "legal": "8.5x14in",
    "tabloid": "11x17in",
}
LONGEST = 65536  # inches; the largest picture at one pixel per inch
_SIDE = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([a-z]*)")


class Box(NamedTuple):
    """The size of a print in inches, with the unit that the user wrote."""

    short: float
    long: float
    unit: str


def parse_print_size(text: str) -> Box:
    """Parses "30x40cm", "300 x 400 mm", '12"x16"', "40cm", "A4" or "letter".

    A single length is the long side.

    Raises:
        ValueError: If the text is none of these.
    """
    plain = re.sub(r"\s", "", text.lower())
    plain = PAPERS.get(plain, plain)
    plain = re.sub('["\N{DOUBLE PRIME}]|inch(es)?', "in", plain)
    parts = re.split("[x\N{MULTIPLICATION SIGN}]", plain)
    found = [_SIDE.fullmatch(part) for part in parts]
    sides = [match.groups() for match in found if match]
    if len(sides) < len(found) or len(sides) > 2:
        raise ValueError(
            f"--print_size is {text!r}; expected two sides and a unit, such as "
            "30x40cm, 300x400mm or 12x16in, or the long side, such as 40cm, "
            "or a paper: A0 to A6, letter, legal or tabloid."
        )
    last = sides[-1][1]
    lengths = []
    for number, unit in ((number, unit or last) for number, unit in sides):
        if unit not in INCHES:
            words = f"in {unit!r}" if unit else "without a unit"
            raise ValueError(
                f"--print_size is {text!r}, {words}; expected one of "
                f"{', '.join(INCHES)}, such as 30x40cm."
            )
        lengths.append(float(number) * INCHES[unit])
    if not 0 < min(lengths) <= max(lengths) <= LONGEST:
        raise ValueError(
            f"--print_size is {text!r}; expected sides above 0 and at most "
            f"{LONGEST} inches."
        )
    return Box(min(lengths), max(lengths), last)


def fit_print(height: int, width: int, box: Box, dpi: float) -> int:
    """Computes the long side, in pixels, of a picture that fills a box.

    The box may be portrait or landscape. Its sides are rounded to whole pixels:
    A4 at 300 dpi is 2480 x 3508.

    Returns:
        The size for `scale_to_side`; 0 if the box is smaller than a pixel.
    """
    short, long = round(box.short * dpi), round(box.long * dpi)
    return min(long, round(short * max(height, width) / min(height, width)))


def describe_print(
    height: int, width: int, dpi: float, unit: str = "cm"
) -> str:
    """Formats the paper size of a picture."""
    across, down = (side / dpi / INCHES[unit] for side in (width, height))
    return f"{across:.1f} x {down:.1f} {unit} at {dpi:g} dpi"


def scale_to_side(height: int, width: int, size: int) -> tuple[int, int]:
    """Scales (height, width) so that the long side becomes `size`."""
    scale = size / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def scale_to_area(height: int, width: int, pixels: int) -> tuple[int, int]:
    """Scales (height, width) to about `pixels`; keeps the aspect ratio."""
    scale = math.sqrt(pixels / (height * width))
    return max(1, round(height * scale)), max(1, round(width * scale))
