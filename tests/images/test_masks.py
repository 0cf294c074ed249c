"""Masks: which colors are regions, how large at least, and soft edges."""

import numpy as np
import pytest
import toys

from nst_tf.images import masks

RED, GREEN, BLUE, GRAY = (250, 0, 0), (0, 250, 0), (0, 0, 250), (120,) * 3


def _mask(*parts, size=1000):
    """A mask of colors, each of so many pixels, and of the first one."""
    colors = [color for color, count in parts for _ in range(count)]
    colors += [parts[0][0]] * (size - len(colors))
    return np.array(colors).reshape(25, -1, 3) / 255


def _find(*parts, **options):
    return masks.find_mask_regions(_mask(*parts, **options), "sky")


def test_a_gray_mask_has_white_and_the_rest():
    mask = np.linspace(0, 1, 500).reshape(25, 20, 1).repeat(3, -1)
    mask[..., 1] += 7 / 255 * (mask[..., 0] < 0.9)  # still gray
    white, black = masks.find_mask_regions(mask, "mask")
    assert (white.name, black.name) == ("#ffffff", "#000000")
    assert white.weights.dtype == np.float32
    np.testing.assert_allclose(white.weights, mask.mean(-1), atol=1e-6)
    np.testing.assert_allclose(white.weights + black.weights, 1, atol=1e-6)


@pytest.mark.parametrize("difference", [8, 9])
def test_gray_is_what_differs_by_8_of_255_at_most(difference):
    mask = np.full((4, 4, 3), 100.0)
    mask[:, 2:, 1] += difference
    if difference == 8:
        assert len(masks.find_mask_regions(mask / 255, "mask")) == 2
        return
    with pytest.raises(
        ValueError, match="has 1 colors that fill more than 0.2"
    ):
        masks.find_mask_regions(mask / 255, "mask")


def test_regions_are_from_the_lightest_to_the_darkest():
    found = _find((BLUE, 300), (RED, 300), (GREEN, 300))
    assert [region.color for region in found] == [GREEN, RED, BLUE]
    assert [region.name for region in found] == [
        "#00fa00",
        "#fa0000",
        "#0000fa",
    ]
    assert [int(region.weights.sum()) for region in found] == [300, 300, 400]
    assert all(region.weights.shape == (25, 40) for region in found)
    np.testing.assert_array_equal(sum(r.weights for r in found), 1)


@pytest.mark.parametrize(("count", "expected"), [(2, 3), (1, 2)])
def test_a_color_of_its_own_has_a_fifth_of_a_percent(count, expected):
    # Of 1000 pixels; green lies between no two others.
    assert len(_find((RED, 500), (BLUE, 400), (GREEN, count))) == expected


@pytest.mark.parametrize(("count", "expected"), [(30, 3), (29, 2)])
def test_a_mixed_color_is_an_edge_unless_it_is_large(count, expected):
    purple = (125, 0, 125)  # between red and blue
    found = _find((RED, 500), (BLUE, 400), (purple, count))
    assert len(found) == expected
    assert (purple in [region.color for region in found]) == (expected == 3)


def test_a_mixture_lies_between_two_not_beyond_them():
    # On the line through red and gray, but behind gray: no mixture.
    red, gray, behind = (220, 80, 80), (140, 120, 120), (0, 190, 190)
    found = _find((red, 600), (gray, 300), (behind, 20))
    assert {region.color for region in found} == {red, gray, behind}


@pytest.mark.parametrize(
    ("shade", "words"),
    [(24, None), (25, "less than 64 of 255"), (63, "less than 64"), (64, None)],
)
def test_shades_are_one_color_and_others_are_far_apart(shade, words):
    parts = (RED, 500), (BLUE, 200), ((250, shade, 0), 100)
    if words:
        with pytest.raises(ValueError, match=words) as caught:
            _find(*parts)
        assert str(caught.value).startswith(f"sky has the color (250, {shade}")
        return
    found = _find(*parts)
    assert len(found) == (2 if shade == 24 else 3)
    if shade == 24:  # the shade belongs to red, and to nothing else
        red = next(region for region in found if region.color == RED)
        np.testing.assert_array_equal(np.unique(red.weights), [0, 1])
        assert red.weights.sum() == 800


def test_between_two_colors_the_share_is_linear():
    steps = [(250 - 25 * i, 0, 25 * i) for i in range(1, 10)]
    found = _find((RED, 600), (BLUE, 391), *((step, 1) for step in steps))
    red, blue = (r.weights.reshape(-1) for r in found)
    expected = np.array([1.0, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.0])
    expected[0], expected[-1] = 0.9, 0.1
    # Within 24 of a color it is that color.
    np.testing.assert_allclose(red[-9:], expected, atol=0.01)
    np.testing.assert_allclose(red + blue, 1, atol=1e-6)


@pytest.mark.parametrize("count", [20, 21])
def test_few_pixels_may_be_of_no_region(count):
    # A color of each pixel, so that none is a region; 2 % are allowed.
    stray = [((0, 100 + 6 * i, 0), 1) for i in range(count)]
    parts = (RED, 500), (BLUE, 300), *stray
    if count == 20:
        assert len(_find(*parts)) == 2
        return
    with pytest.raises(ValueError, match="has 2% of its pixels in colors of"):
        _find(*parts)


def test_what_is_transparent_is_black_in_a_gray_mask():
    mask, alpha = np.ones((4, 6, 3), "f4"), np.zeros((4, 6), "f4")
    mask[0], alpha[:, :2], alpha[:, 2] = 0, 1, 0.5
    expected = mask[..., 0] * alpha
    gray = masks.read_gray(mask, "mask", alpha)
    np.testing.assert_array_equal(gray, expected)
    mask[alpha == 0] = (0.9, 0.1, 0.3)  # a hidden color is none
    white, black = masks.find_mask_regions(mask, "mask", alpha)
    np.testing.assert_allclose(white.weights, expected, atol=1e-6)
    np.testing.assert_allclose(black.weights, 1 - expected, atol=1e-6)


@pytest.mark.parametrize("hidden", [(0, 0, 0), RED, (9, 9, 250)])
@pytest.mark.parametrize("colors", [(RED, BLUE), (RED, RED)])
def test_what_is_transparent_is_of_no_region_in_a_mask_of_colors(
    colors, hidden
):
    mask, alpha = np.zeros((10, 30, 3)), np.ones((10, 30), "f4")
    mask[:, :10], mask[:, 10:20], mask[:, 20:] = *colors, hidden
    alpha[:, 19], alpha[:, 20:] = 0.25, 0
    found = masks.find_mask_regions(mask / 255, "mask", alpha)
    assert [region.color for region in found] == sorted({*colors}, reverse=True)
    sums = sum(region.weights for region in found)
    np.testing.assert_allclose(sums, alpha, atol=1e-6)
    np.testing.assert_array_equal(found[-1].weights[:, 19:], alpha[:, 19:])


DARK = np.zeros((9, 9), "f4")
DARK[:3], DARK[3:6] = 1, 2


@pytest.mark.parametrize("white", [255, 65535])
@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (DARK > 1, "has no value above 1, but white is"),
        (DARK, "has 3 levels from 0 to 2, which look like class numbers"),
        (DARK + 29, "has 3 levels from 29 to 31, which look like class"),
        (DARK * 15 + 2, None),  # up to 32
        (DARK * 1.3, None),  # no whole numbers
        (DARK // 2 * 7, None),  # two levels
        (DARK * 0, None),
        (DARK // 2 * 255, None),
    ],
)
def test_a_mask_of_class_numbers_is_refused(samples, words, white):
    mask = np.float32(samples[..., None] / np.float32(white)).repeat(3, -1)
    if white == 65535 and samples.max() in (7, 32, 255):
        words = "has no value above .*, but white is 65535; multiply values of"
    for alpha in (None, np.ones((9, 9), "f4")):
        for read in (masks.read_gray, masks.find_mask_regions):
            if words:
                with pytest.raises(ValueError, match=f"^mask {words}"):
                    read(mask, "mask", alpha)
            elif alpha is None:
                read(mask, "mask")


@pytest.mark.parametrize("ink", [0, 8])
def test_a_mask_is_drawn_in_white(ink):
    alpha = np.float32(DARK > 1)
    mask = np.full((9, 9, 3), np.float32(ink / 255))
    mask[alpha == 0] = 1  # hidden
    for read in (masks.read_gray, masks.find_mask_regions):
        with pytest.raises(ValueError, match="mask has only black .* in white"):
            read(mask, "mask", alpha)


@pytest.mark.parametrize("faint", [0.04, 0.4])
@pytest.mark.parametrize("rest", [0.0, 1.0])
def test_a_color_that_is_faint_everywhere_has_a_region(faint, rest):
    mask, alpha = np.zeros((10, 30, 3)), np.full((10, 30), rest, "f4")
    mask[:, :10], mask[:, 10:20], mask[:, 20:] = RED, BLUE, GREEN
    alpha[:, :20] = 1
    alpha[:, :5], alpha[:, 10:20] = 0.3, faint  # red is seen elsewhere
    found = {
        region.color: region.weights
        for region in masks.find_mask_regions(mask / 255, "mask", alpha)
    }
    assert found.keys() == {RED, BLUE} | ({GREEN} if rest else set())
    expected = np.where(mask[..., 2] > 0, alpha, 0)
    np.testing.assert_allclose(found[BLUE], expected, atol=1e-6)


def test_noise_is_no_mask():
    with pytest.raises(ValueError, match="mask has"):
        masks.find_mask_regions(toys.image(60, 80), "mask")


@pytest.mark.parametrize(("difference", "same"), [(24, True), (25, False)])
def test_two_masks_mean_one_region_by_near_colors(difference, same):
    other = (250 - difference, difference, 3)
    assert masks.is_same_color(RED, other) is same
    assert masks.is_same_color(other, RED) is same


def test_masks_have_titles():
    assert masks.format_title("content_mask") == "content_mask"
    assert masks.format_title("style_mask/0") == "style mask 1"
