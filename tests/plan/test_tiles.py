"""How a side is cut: everything is owned once, and seen as in the whole."""

import itertools
import math
import time

import hypothesis
import pytest
from hypothesis import strategies

from nst_tf.network import architectures
from nst_tf.plan import tiles

QUICK = hypothesis.settings(
    max_examples=300, deadline=None, derandomize=True, database=None
)


@strategies.composite
def _sides(draw):
    """(length, largest, stride, reach) of a side that is cut."""
    stride = 2 ** draw(strategies.integers(0, 5))
    reach = draw(strategies.integers(1, 200))
    largest = tiles.find_smallest_side(stride, reach) + draw(
        strategies.integers(0, 600)
    )
    # Sides just above one tile, and above several, are the hard ones.
    length = largest + draw(
        strategies.integers(1, 4) | strategies.integers(1, 9000)
    )
    return length, largest, stride, reach


@QUICK
@hypothesis.given(_sides())
def test_all_tiles_have_one_size_and_lie_in_the_image(side):
    length, largest, stride, reach = side
    cut = tiles.cut_side(length, largest, stride, reach)
    assert cut.length == length
    assert 0 < cut.size <= largest
    assert cut.starts[0] == 0
    assert cut.starts[-1] + cut.size == length
    assert all(start % stride == 0 for start in cut.starts)
    assert all(a < b for a, b in itertools.pairwise(cut.starts))


@QUICK
@hypothesis.given(_sides())
def test_every_position_is_owned_once_by_a_tile_that_has_it(side):
    length, largest, stride, reach = side
    cut = tiles.cut_side(length, largest, stride, reach)
    assert len(cut.bounds) == len(cut.starts) + 1
    assert (cut.bounds[0], cut.bounds[-1]) == (0, length)
    assert all(a < b for a, b in itertools.pairwise(cut.bounds))
    # A position of the deepest layer belongs to one tile as a whole.
    assert all(bound % stride == 0 for bound in cut.bounds[:-1])


@QUICK
@hypothesis.given(_sides())
def test_what_a_tile_owns_sees_no_cut(side):
    length, largest, stride, reach = side
    cut = tiles.cut_side(length, largest, stride, reach)
    for start, (first, last) in zip(
        cut.starts, itertools.pairwise(cut.bounds), strict=True
    ):
        assert start == 0 or first - start >= reach
        assert start + cut.size == length or start + cut.size - last >= reach


@QUICK
@hypothesis.given(_sides())
def test_there_are_as_few_tiles_as_can_be_and_as_small_ones(side):
    length, largest, stride, reach = side
    hypothesis.assume(length < 3000)
    cut = tiles.cut_side(length, largest, stride, reach)
    halo = math.ceil(reach / stride) * stride
    expected = []
    for size in range(stride + 1, largest + 1):
        # From one tile to the next at most; the last one ends the side.
        hop = (size - reach) // stride * stride - halo
        if hop > 0 and (length - size) % stride == 0:
            expected.append((1 + math.ceil((length - size) / hop), size))
    assert (len(cut.starts), cut.size) == min(expected)


@pytest.mark.parametrize("length", [1, 15, 99, 100])
def test_a_side_that_fits_is_one_tile(length):
    cut = tiles.cut_side(length, 100, 16, 500)
    assert cut == (length, length, (0,), (0, length))


def test_a_side_of_43_pixels_in_tiles_of_24_by_hand():
    # Reach 5 at stride 2: a halo of 6 before, and 5 behind. Three tiles would
    # need 43 + 2 * 11 = 65 pixels, so 22 each, and odd ones: 23.
    cut = tiles.cut_side(43, 24, 2, 5)
    assert cut.size == 23
    assert cut.starts == (0, 10, 20)
    assert cut.bounds == (0, 16, 26, 43)


@QUICK
@hypothesis.given(_sides(), strategies.integers(1, 10**4))
def test_a_tile_that_is_all_halo_is_refused_in_one_sentence(side, less):
    _, _, stride, reach = side
    least = tiles.find_smallest_side(stride, reach)
    largest = max(1, least - less)
    with pytest.raises(ValueError, match=f"tile is {largest} pixels") as raised:
        tiles.cut_side(least + less, largest, stride, reach)
    message = str(raised.value)
    assert f"expected at least {least}: the network reaches" in message
    assert message.count("\n") == 0 and message.endswith(".")


def test_the_largest_picture_in_the_smallest_tiles_is_cut_at_once():
    # VGG's deepest layer, and the longest side of a job: thousands of tiles.
    deepest = architectures.list_convolutions("vgg19")[-1]
    least = tiles.find_smallest_side(deepest.stride, deepest.reach)
    began = time.process_time()
    for length in (least + 1, 65536):
        cut = tiles.cut_side(length, least, deepest.stride, deepest.reach)
        assert len(cut.starts) > 1
    assert time.process_time() - began < 10  # about 1 second


@QUICK
@hypothesis.given(
    strategies.integers(16, 4000),
    strategies.integers(16, 4000),
    strategies.integers(224, 1500),
)
def test_least_is_seen_twice_by_tiles_of_so_many_pixels(height, width, side):
    found = tiles.make_tiles(height, width, side, 16, 80)
    size = found.rows.size * found.columns.size
    assert size <= side**2 or (found.number == 1 and size == height * width)
    squares = tiles.Tiles(
        tiles.cut_side(height, side, 16, 80),
        tiles.cut_side(width, side, 16, 80),
    )
    of_squares = squares.rows.size * squares.columns.size
    assert found.number * size <= squares.number * of_squares


def test_two_high_tiles_do_for_four():
    found = tiles.make_tiles(1536, 2048, 1312, 16, 80)
    assert (len(found.rows.starts), len(found.columns.starts)) == (1, 2)
    assert (found.rows.size, found.columns.size) == (1536, 1104)


def test_rows_and_columns_are_cut_apart():
    both = tiles.make_tiles(43, 20, 24, 2, 5)
    assert both == (tiles.cut_side(43, 28, 2, 5), tiles.cut_side(20, 28, 2, 5))
    assert both.number == 2


@pytest.mark.parametrize(
    ("height", "width", "tile", "cut"),
    [
        (100, 100, 0, False),  # tiles of any size
        (100, 100, 100, False),
        (100, 101, 100, True),
        (200, 50, 100, False),  # as many pixels as a tile has
        (1000, 11, 100, True),
    ],
)
def test_what_has_more_pixels_than_a_tile_is_cut(height, width, tile, cut):
    assert tiles.is_cut(height, width, tile) == cut


@pytest.mark.parametrize(
    ("devices", "counts"),
    # Of whole sides; as many tiles as devices, the halos the smallest.
    [(2, (1, 2)), (3, (1, 3)), (4, (2, 2)), (6, (2, 3))],
)
def test_several_devices_get_a_tile_each(devices, counts):
    found = tiles.choose_tiles(2000, 2400, 0, 16, 80, devices)
    assert (len(found.rows.starts), len(found.columns.starts)) == counts
    assert tiles.choose_tiles(64, 64, 0, 16, 80, devices) is None


def test_a_tile_for_a_device_may_be_as_large_as_tiles_may():
    # Two tiles suffice for memory; four devices want four, no larger.
    sizes = [
        tiles.choose_tiles(1000, 1000, largest, 2, 5, devices)
        for largest, devices in ((800, 1), (800, 4), (510, 4))
    ]
    assert [each.number for each in sizes] == [2, 4, 4]
    rows, columns = sizes[-1].rows, sizes[-1].columns
    assert rows.size * columns.size <= 510**2
