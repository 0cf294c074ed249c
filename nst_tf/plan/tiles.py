"""How an image is cut into tiles, each with a halo of what a network sees.

All tiles have one size. Those at a border of the image end there, where the
network pads, and begin further inside.
"""

import itertools
import math
from typing import NamedTuple

PASSES = 1.5  # of a step in tiles, over the two of a step on the whole
STRIDE, REACH = 2, 3  # at least: what the losses of the image itself see


class Cut(NamedTuple):
    """How one side of an image is cut into tiles."""

    length: int  # of the side, in pixels
    size: int  # of every tile, with its halo
    starts: tuple[int, ...]  # of the tiles, multiples of the stride
    bounds: tuple[int, ...]  # tile i owns bounds[i] to bounds[i + 1]


class Tiles(NamedTuple):
    """How an image is cut: rows of tiles, and columns of them."""

    rows: Cut
    columns: Cut

    @property
    def number(self) -> int:
        """How many tiles there are."""
        return len(self.rows.starts) * len(self.columns.starts)


def cover_image_losses(stride: int, reach: int) -> tuple[int, int]:
    """Widens a stride and a reach to those that losses of the image need."""
    return max(stride, STRIDE), max(reach, REACH)


def is_cut(height: int, width: int, tile: int) -> bool:
    """Returns whether an image has more pixels than a tile; 0: any size."""
    return 0 < tile**2 < height * width


def cut_side(length: int, largest: int, stride: int, reach: int) -> Cut:
    """Cuts a side into as few tiles as may be, then as small ones as may be.

    Args:
        length: Of the side, in pixels.
        largest: Size of a tile with its halo, at most.
        stride: Of the deepest layer: tiles begin at its multiples.
        reach: Pixels that are seen beyond what a tile owns.

    Raises:
        ValueError: If a tile of that size is all halo.
    """
    if length <= largest:
        return Cut(length, length, (0,), (0, length))
    halo = math.ceil(reach / stride) * stride
    least = find_smallest_side(stride, reach)
    if largest < least:
        raise ValueError(
            f"tile is {largest} pixels, expected at least {least}: the network "
            f"reaches {reach} pixels to each side."
        )
    count = 1
    while True:
        count += 1
        size = math.ceil((length + (count - 1) * (reach + halo)) / count)
        # The last tile begins at a multiple of the stride, and ends the side.
        size += (length - size) % stride
        while size <= largest:
            found = _spread(length, size, count, stride, reach, halo)
            if found:
                return found
            size += stride


def choose_tiles(
    height: int,
    width: int,
    largest: int,
    stride: int,
    reach: int,
    devices: int = 1,
) -> Tiles | None:
    """Cuts an image if it is too large, or if several devices are faster then.

    Halos are seen twice, and the statistics come before the gradient: on a
    small image one device is as fast alone.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        largest: As for `make_tiles`; 0: of any size.
        stride: Of the deepest layer: tiles begin at its multiples.
        reach: Pixels that are seen beyond what a tile owns.
        devices: How many see tiles at a time.

    Returns:
        How it is cut; None: it is worked on as a whole, by one device.

    Raises:
        ValueError: If a tile of that size is all halo.
    """
    whole = not is_cut(height, width, largest)
    if devices == 1 and whole:
        return None
    cuts = [] if whole else [make_tiles(height, width, largest, stride, reach)]
    if cuts and cuts[0].number >= devices:
        return cuts[0]
    cuts += [
        Tiles(
            _into(height, rows, stride, reach),
            _into(width, math.ceil(devices / rows), stride, reach),
        )
        for rows in range(1, devices + 1)
    ]
    if not whole:
        cuts = [
            each
            for each in cuts
            if each.rows.size * each.columns.size <= largest**2
        ]

    def time(cut: Tiles) -> float:
        rounds = math.ceil(cut.number / devices)
        return PASSES * rounds * _seen(cut) / cut.number

    best = min(cuts, key=time)
    return None if whole and time(best) >= height * width else best


def _into(length: int, count: int, stride: int, reach: int) -> Cut:
    """Cuts a side into so many tiles, or fewer that are the smallest."""
    halo = math.ceil(reach / stride) * stride
    size = math.ceil((length + (count - 1) * (reach + halo)) / count)
    largest = max(size + 2 * stride, find_smallest_side(stride, reach))
    return cut_side(length, length if count == 1 else largest, stride, reach)


def find_smallest_side(stride: int, reach: int) -> int:
    """Finds the least side of a tile, with its halo, that owns something."""
    return math.ceil(reach / stride) * stride + reach + 2 * stride


def _spread(
    length: int, size: int, count: int, stride: int, reach: int, halo: int
) -> Cut | None:
    """Spreads tiles evenly; None if they are too few to own the side."""
    last = (length - size) // stride
    starts = [round(last * i / (count - 1)) * stride for i in range(count)]
    bounds = [0]
    for start, following in itertools.pairwise(starts):
        low = following + halo
        high = (start + size - reach) // stride * stride
        if low > high:
            return None
        bounds.append((low + high) // 2 // stride * stride)
    return Cut(length, size, tuple(starts), (*bounds, length))


def make_tiles(
    height: int, width: int, largest: int, stride: int, reach: int
) -> Tiles:
    """Cuts an image so that least is seen twice.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        largest: Side of the square that has as many pixels as a tile with its
            halo may have: memory goes by these, and strips have less halo.
        stride: Of the deepest layer: tiles begin at its multiples.
        reach: Pixels that are seen beyond what a tile owns.

    Raises:
        ValueError: If a tile of that size is all halo.
    """
    best = Tiles(
        cut_side(height, largest, stride, reach),
        cut_side(width, largest, stride, reach),
    )
    for count in range(1, height // stride + 1):
        rows = _into(height, count, stride, reach)
        across = largest**2 // rows.size
        if len(rows.starts) == count and across >= find_smallest_side(
            stride, reach
        ):
            found = Tiles(rows, cut_side(width, across, stride, reach))
            if _seen(found) < _seen(best):
                best = found
        # Lower rows than this do not leave room for wider tiles.
        if rows.size <= find_smallest_side(stride, reach) or across >= width:
            break
    return best


def _seen(tiles: Tiles) -> int:
    """Counts the pixels that are seen, those in halos more than once."""
    return tiles.number * tiles.rows.size * tiles.columns.size
