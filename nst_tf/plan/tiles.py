"""Plans how to cut an image into tiles, each with a halo.

The halo is the margin that the network reads around the pixels that a tile
owns. All tiles have the same size: a tile at the image border ends there, where
the network pads, and starts further inside.
"""

import itertools
import math
from typing import NamedTuple

PASSES = 1.5  # time of a step with tiles, over a step without
STRIDE, REACH = 2, 3  # smallest values: the losses on pixels need them


class Cut(NamedTuple):
    """The cut of one side of an image into tiles."""

    length: int  # of the side, in pixels
    size: int  # of every tile, with its halo
    starts: tuple[int, ...]  # of each tile, multiples of the stride
    bounds: tuple[int, ...]  # tile i owns bounds[i] to bounds[i + 1]


class Tiles(NamedTuple):
    """The cut of an image into rows and columns of tiles."""

    rows: Cut
    columns: Cut

    @property
    def number(self) -> int:
        """Returns the number of tiles."""
        return len(self.rows.starts) * len(self.columns.starts)


def cover_image_losses(stride: int, reach: int) -> tuple[int, int]:
    """Returns a stride and a reach that also suffice for losses on pixels."""
    return max(stride, STRIDE), max(reach, REACH)


def is_cut(height: int, width: int, tile: int) -> bool:
    """Returns whether an image has more pixels than a tile; 0: no limit."""
    return 0 < tile**2 < height * width


def cut_side(length: int, largest: int, stride: int, reach: int) -> Cut:
    """Cuts a side into as few tiles as possible, then as small as possible.

    Args:
        length: Of the side, in pixels.
        largest: Maximum size of a tile with its halo.
        stride: Of the deepest layer; tiles start at its multiples.
        reach: Pixels around the owned ones that the network reads.

    Raises:
        ValueError: If a tile of that size has no pixel besides its halo.
    """
    if length <= largest:
        return Cut(length, length, (0,), (0, length))
    halo = math.ceil(reach / stride) * stride
    least = find_smallest_side(stride, reach)
    if largest < least:
        raise ValueError(
            f"--tile is {largest} pixels, expected at least {least}: the "
            f"network reaches {reach} pixels to each side."
        )
    count = 1
    while True:
        count += 1
        size = math.ceil((length + (count - 1) * (reach + halo)) / count)
        # The last tile starts at a multiple of the stride and ends at the
        # border.
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
    """Cuts an image if it is too large, or if several devices gain from it.

    Tiles compute their halos twice, and need a first pass for the statistics:
    on a small image a single device is as fast.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        largest: As for `make_tiles`; 0: no limit.
        stride: Of the deepest layer; tiles start at its multiples.
        reach: Pixels around the owned ones that the network reads.
        devices: Number of devices that process tiles in parallel.

    Returns:
        The tiles; None: one device processes the whole image.

    Raises:
        ValueError: If a tile of that size has no pixel besides its halo.
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
    """Cuts a side into `count` tiles, or fewer if they would be too small."""
    halo = math.ceil(reach / stride) * stride
    size = math.ceil((length + (count - 1) * (reach + halo)) / count)
    largest = max(size + 2 * stride, find_smallest_side(stride, reach))
    return cut_side(length, length if count == 1 else largest, stride, reach)


def find_smallest_side(stride: int, reach: int) -> int:
    """Returns the smallest side of a tile that is more than its halo."""
    return math.ceil(reach / stride) * stride + reach + 2 * stride


def _spread(
    length: int, size: int, count: int, stride: int, reach: int, halo: int
) -> Cut | None:
    """Spaces tiles evenly; returns None if they do not cover the side."""
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
    """Cuts an image so that halos overlap least.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        largest: Maximum size of a tile with its halo, as the side of a square;
            strips of the same pixel count are allowed and have smaller halos.
        stride: Of the deepest layer; tiles start at its multiples.
        reach: Pixels around the owned ones that the network reads.

    Raises:
        ValueError: If a tile of that size has no pixel besides its halo.
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
        # Lower rows do not allow wider tiles.
        if rows.size <= find_smallest_side(stride, reach) or across >= width:
            break
    return best


def _seen(tiles: Tiles) -> int:
    """Counts the pixels of all tiles, halos included."""
    return tiles.number * tiles.rows.size * tiles.columns.size
