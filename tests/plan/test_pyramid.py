"""Levels: growth, the shortest side, and previews inside large runs."""

import pytest

from nst_tf.images import sizes
from nst_tf.plan import pyramid


def _sizes(*args, **options):
    levels = pyramid.make_levels(*args, **options)
    return [(level.height, level.width) for level in levels]


def test_long_sides_are_doubled():
    small = [(96, 128), (192, 256), (384, 512)]
    assert _sizes(384, 512, [10]) == small
    assert _sizes(1536, 2048, [10]) == [*small, (768, 1024), (1536, 2048)]


def test_long_sides_grow_as_they_are_told_to():
    assert _sizes(384, 512, [10], growth=2**0.5) == [
        (96, 128),
        (128, 176),
        (192, 256),
        (272, 368),
        (384, 512),
    ]


def test_a_large_output_contains_the_levels_of_its_preview():
    preview = pyramid.make_levels(384, 512, [30, 20, 10])
    large = pyramid.make_levels(1536, 2048, [30, 20, 10])
    assert large[: len(preview)] == preview
    assert large[-1][:2] == (1536, 2048)


@pytest.mark.parametrize(
    ("size", "most", "expected"),
    [
        ((512, 512), 3, 1),
        ((384, 513), 3, 2),
        ((1024, 768), 3, 2),
        ((1025, 768), 3, 3),
        ((4096, 4096), 3, 3),
        ((4096, 4096), 2, 2),
        ((4096, 4096), 1, 1),
        # The smallest scale has 32 pixels too.
        ((63, 4096), 3, 1),
        ((64, 4096), 3, 2),
        ((4096, 127), 3, 2),
        ((4096, 128), 3, 3),
    ],
)
def test_scales_above_512_keep_the_sizes_of_the_levels_before(
    size, most, expected
):
    assert pyramid.count_scales(*size, most) == expected


def test_the_last_number_of_steps_is_repeated():
    levels = pyramid.make_levels(384, 512, [30, 20])
    assert [level.steps for level in levels] == [30, 20, 20]


def test_an_output_below_the_smallest_size_is_one_level():
    assert _sizes(48, 64, [5]) == [(48, 64)]
    assert _sizes(384, 512, [5], min_size=1000) == [(384, 512)]


def test_levels_with_a_short_side_below_32_are_left_out():
    assert min(min(size) for size in _sizes(100, 2000, [5])) >= 32
    assert _sizes(20, 600, [5]) == [(20, 600)]


def test_a_level_close_to_the_output_is_left_out():
    assert _sizes(800, 800, [5])[-2:] == [(512, 512), (800, 800)]
    assert _sizes(300, 300, [5])[-2:] == [(128, 128), (300, 300)]
    # But not the last one that L-BFGS takes.
    assert _sizes(520, 520, [5])[-2:] == [(512, 512), (520, 520)]
    root = _sizes(540, 540, [5], growth=2**0.5)
    assert root[-3:] == [(368, 368), (512, 512), (540, 540)]
    assert _sizes(150, 150, [5], growth=1.2)[-2:] == [(128, 128), (150, 150)]


def test_the_poolings_drop_nothing_of_any_but_the_last_level():
    for height, width in ((381, 509), (700, 1003), (1000, 640)):
        for size in _sizes(height, width, [5])[:-1]:
            assert all(side % 16 == 0 for side in size)
            # The shape is kept as well as multiples of 16 allow.
            short, long_side = sorted(size)
            shape = min(height, width) / max(height, width)
            assert abs(short - long_side * shape) <= 8


def test_at_most_so_many_levels_the_finest():
    assert _sizes(384, 512, [5], max_levels=2) == [(192, 256), (384, 512)]
    assert _sizes(384, 512, [5], max_levels=1) == [(384, 512)]


def test_output_size_has_the_long_side_asked_for():
    assert sizes.scale_to_side(768, 1024, 512) == (384, 512)
    assert sizes.scale_to_side(1024, 768, 512) == (512, 384)
    assert sizes.scale_to_side(1, 1000, 100) == (1, 100)


# A smaller run to go on from


@pytest.mark.parametrize(
    ("size", "is_fine"),
    [
        ((342, 512), True),  # 341, and one for its rounding
        ((340, 512), True),
        ((339, 512), False),
        ((343, 512), False),
        ((240, 368), True),  # a level: 245.3, both sides multiples of 16
        ((245, 368), True),
        ((512, 341), False),
        ((32, 48), True),
        ((21, 32), False),  # of any shape, about
        ((400, 600), True),
    ],
)
def test_a_picture_is_told_to_be_of_a_content_image(size, is_fine):
    assert pyramid.is_size_of(400, 600, *size) == is_fine


def test_a_small_content_image_has_small_pictures():
    assert pyramid.is_size_of(20, 30, 20, 30)
    assert not pyramid.is_size_of(20, 30, 19, 29)


def test_levels_above_a_picture_are_selected():
    levels = pyramid.make_levels(384, 512, [3, 2, 1])
    for size, count in (((96, 128), 2), ((192, 256), 1), ((64, 85), 3)):
        above = pyramid.select_above(levels, (384, 512), size)
        assert above == levels[-count:]
    words = "continue_from is 512 x 384 pixels, and the output would be 512 x"
    with pytest.raises(ValueError, match=words):
        pyramid.select_above(levels, (384, 512), (384, 512))
    words = (
        "continue_from is 256 x 200 pixels, but the .*, another aspect ratio"
    )
    with pytest.raises(ValueError, match=words):
        pyramid.select_above(levels, (384, 512), (200, 256))


def test_the_work_of_a_step_goes_by_pixels_and_what_each_step_does():
    level = pyramid.Level(30, 40, 1)
    assert (level.size, level.pixels, level.work) == ((30, 40), 1200, 7200)
