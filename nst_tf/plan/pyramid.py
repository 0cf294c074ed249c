"""Lists the levels of a run: sizes from coarse to fine, with their steps.

Large structures form on a small image, where steps are cheap. Each further
level starts from the enlarged image of the level before.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nst_tf.images import sizes

GROWTH = 2.0  # from the long side of one level to that of the next
NEAR = 2.0**0.25  # a level this near to the next one saves little time
MULTIPLE = 16  # pixels; the stride of VGG's last block
STEP_PIXELS = 6000  # fixed cost of a step, in pixels
LARGE = 512  # pixels; above it levels keep the shapes of the level before,
LARGE_RATE = 0.3  # by this factor of the learning rate
SHORTEST_SIDE = 32  # pixels; smaller images hold too little detail


class Level(NamedTuple):
    """One size of the pyramid."""

    height: int
    width: int
    steps: int
    optimizer: str = "adam"
    settings: Mapping[str, Any] = {}  # of the optimizer

    @property
    def size(self) -> tuple[int, int]:
        """Returns (height, width) in pixels."""
        return self.height, self.width

    @property
    def pixels(self) -> int:
        """Returns the number of pixels."""
        return self.height * self.width

    @property
    def work(self) -> int:
        """Returns a number that is proportional to the time of a step."""
        return self.pixels + STEP_PIXELS


def is_size_of(height: int, width: int, rows: int, columns: int) -> bool:
    """Returns whether rows x columns can be a result of height x width."""
    size = rows, columns
    if min(size) < SHORTEST_SIDE and min(size) < min(height, width):
        return False
    exact = sizes.scale_to_side(height, width, max(size))
    if max(abs(a - b) for a, b in zip(size, exact, strict=True)) <= 1:
        return True
    return size == round_size(height, width, max(size))


def make_levels(
    height: int,
    width: int,
    steps: Sequence[int],
    *,
    min_size: int = 128,
    max_levels: int = 0,
    growth: float = GROWTH,
) -> list[Level]:
    """Lists the levels of an output, from coarse to fine.

    Long sides are min_size * growth^k; the last is the output's. A size too
    near to the output's to save time is left out, unless it is the last one
    with full step lengths. For sizes min_size * growth^k the levels of a large
    output therefore contain the levels of a small one: exactly if the small
    output's short side is a multiple of `MULTIPLE` (4:3, 16:9, square),
    otherwise nearly.

    All sides except the output's are rounded to multiples of `MULTIPLE`. With
    other sides, four poolings drop up to 15 pixels at the right and the bottom:
    deep layers do not see these, and a strip shows along the edge.

    Args:
        height: Of the output, in pixels.
        width: Of the output, in pixels.
        steps: Steps of each level, coarsest first; the last number is repeated
            for all finer levels.
        min_size: Long side of the coarsest level.
        max_levels: Maximum number of levels; the finest are kept. 0: all.
        growth: Ratio of the long sides of successive levels.

    Returns:
        At least one level; the last is the output's size.
    """
    long_side = max(height, width)
    sides: list[float] = []
    side = float(min_size)
    near = min(NEAR, growth**0.5)
    while side * near < long_side or round(side) <= LARGE < long_side:
        sides.append(side)
        side *= growth
    sizes = [
        size
        for side in sides
        if min(size := round_size(height, width, side)) >= SHORTEST_SIDE
    ]
    sizes.append((height, width))
    if max_levels:
        sizes = sizes[-max_levels:]
    return [
        Level(rows, columns, steps[min(index, len(steps) - 1)])
        for index, (rows, columns) in enumerate(sizes)
    ]


def count_scales(height: int, width: int, most: int) -> int:
    """Counts the scales of the style loss at a size.

    Each has half the sides of the one before. A level above `LARGE` compares
    the picture also at half its size, one above twice `LARGE` also at a
    quarter: at about the sizes of the levels before, whose style it would lose
    otherwise (scripts/benchmarks/scales.py).

    Args:
        height: Of the level, in pixels.
        width: Of the level, in pixels.
        most: The largest number.
    """
    found = 1
    while (
        found < most
        and max(height, width) > LARGE * 2 ** (found - 1)
        and min(height, width) >= SHORTEST_SIDE * 2**found
    ):
        found += 1
    return found


def sum_scales(number: int) -> float:
    """Sums the pixels of several scales, relative to those of the first."""
    return sum(4.0**-octave for octave in range(number))


def round_size(height: int, width: int, side: float) -> tuple[int, int]:
    """Scales a size to about a long side, in multiples of `MULTIPLE`."""
    long_side = MULTIPLE * max(1, round(side / MULTIPLE))
    size = sizes.scale_to_side(height, width, long_side)
    rows, columns = (MULTIPLE * round(length / MULTIPLE) for length in size)
    return rows, columns


def select_above(
    levels: Sequence[Level], content: tuple[int, int], smaller: tuple[int, int]
) -> list[Level]:
    """Selects the levels above the size of a smaller run's result.

    Args:
        levels: The levels of the output.
        content: (height, width) of the content image.
        smaller: (height, width) of the picture to continue from.

    Raises:
        ValueError: If `smaller` has another aspect ratio, or no level is
            larger.
    """
    (height, width), (rows, columns) = levels[-1].size, smaller
    if not is_size_of(*content, rows, columns):
        raise ValueError(
            f"--continue_from is {columns} x {rows} pixels, but the output is "
            f"{width} x {height}, another aspect ratio; pass the result of a "
            "run with this content image."
        )
    above = [each for each in levels if max(each.size) > max(smaller)]
    if not above:
        raise ValueError(
            f"--continue_from is {columns} x {rows} pixels, and the output "
            f"would be {width} x {height}, no larger; raise --size."
        )
    return above
