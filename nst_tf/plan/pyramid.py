"""Sizes from coarse to fine, and the steps at each.

Large structures are found where they are cheap, on a small image; each level
then starts from the enlarged picture of the one below.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nst_tf.images import sizes

GROWTH = 2.0  # from the long side of one level to that of the next
NEAR = 2.0**0.25  # growth that would save little
MULTIPLE = 16  # pixels; the stride of VGG's last block
STEP_PIXELS = 6000  # in the time of which a step does what each step does
LARGE = 512  # pixels; levels above it take shorter steps,
LARGE_RATE = 0.3  # of the learning rate: what is found below them stays
SHORTEST_SIDE = 32  # pixels; coarser levels hold nothing to optimize


class Level(NamedTuple):
    """One size of the pyramid."""

    height: int
    width: int
    steps: int
    optimizer: str = "adam"
    settings: Mapping[str, Any] = {}  # the optimizer's

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.height, self.width

    @property
    def pixels(self) -> int:
        """Of the image."""
        return self.height * self.width

    @property
    def work(self) -> int:
        """To which the time of a step is in proportion, about."""
        return self.pixels + STEP_PIXELS


def is_size_of(height: int, width: int, rows: int, columns: int) -> bool:
    """Returns whether rows x columns is an output, or a level, of a size."""
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
    """Lists the levels of an output of height x width, from coarse to fine.

    Long sides are min_size * growth^k and, last, the output's own. A size so
    near to the output's that it would save little is left out, unless it is
    the last one before steps are short. So the levels of a large output contain
    those of a small one, for sizes min_size * growth^k, where the small one's
    short side is a multiple of `MULTIPLE` (4:3, 16:9, square); else they nearly
    do.

    All sides but the output's are rounded to multiples of `MULTIPLE`: four
    poolings drop up to 15 pixels of others at the right and the bottom, which
    are then not seen by the deep layers, and a strip shows along the side.

    Args:
        height: Of the output, in pixels.
        width: Of the output, in pixels.
        steps: Steps at each level, from the coarsest on; the last number is
            repeated for all finer levels.
        min_size: Long side of the coarsest level.
        max_levels: At most so many, the finest; 0 for all.
        growth: From the long side of one level to that of the next.

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


def round_size(height: int, width: int, side: float) -> tuple[int, int]:
    """Scales to about a long side, both sides multiples of `MULTIPLE`."""
    long_side = MULTIPLE * max(1, round(side / MULTIPLE))
    size = sizes.scale_to_side(height, width, long_side)
    rows, columns = (MULTIPLE * round(length / MULTIPLE) for length in size)
    return rows, columns


def select_above(
    levels: Sequence[Level], content: tuple[int, int], smaller: tuple[int, int]
) -> list[Level]:
    """Selects the levels that are larger than the picture of a smaller run.

    Args:
        levels: Those of the output.
        content: (height, width) of the content image.
        smaller: (height, width) of the picture to continue from.

    Raises:
        ValueError: If that is of another shape, or there is no such level.
    """
    (height, width), (rows, columns) = levels[-1].size, smaller
    if not is_size_of(*content, rows, columns):
        raise ValueError(
            f"continue_from is {columns} x {rows} pixels, but the output is "
            f"{width} x {height}, of another shape; pass what a run on this "
            f"content image has made."
        )
    above = [each for each in levels if max(each.size) > max(smaller)]
    if not above:
        raise ValueError(
            f"continue_from is {columns} x {rows} pixels, and the output is "
            f"{width} x {height}; raise --size."
        )
    return above
