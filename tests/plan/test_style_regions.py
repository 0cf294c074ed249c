"""Masks and styles -> which style goes where, with its colors."""

import numpy as np
import pytest
import toys

from nst_tf.images import image_io
from nst_tf.plan import settings, style_regions, style_settings

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
SIZE = (60, 80)
CONTENT = toys.picture(*SIZE, 0)
A, B = toys.picture(50, 60, 1), toys.picture(50, 60, 2)


def halves(left, right, size=SIZE, split=0.5):
    """A mask of two colors beside each other."""
    mask = np.zeros((*size, 3), "f4") + np.divide(left, 255)
    mask[:, round(split * size[1]) :] = np.divide(right, 255)
    return image_io.Picture(mask.astype("f4"))


def plain(value, size=SIZE):
    """A gray mask of one value."""
    return image_io.Picture(np.full((*size, 3), value, "f4"))


def _thirds():
    mask = halves(RED, BLUE).pixels
    mask[30:] = [0, 1, 0]
    return image_io.Picture(mask)


def _find(*styles, **chosen):
    """Regions, and the clipped share; style masks are numbered."""
    return _find_all(*styles, **chosen)[:2]


def _find_chroma(*styles, **chosen):
    """The share of the content's chroma."""
    return _find_all(*styles, **chosen).chroma


def _find_all(*styles, content=CONTENT, style_mask=(), color="style", **others):
    job = settings.Job(
        color=color,
        style_mask=("path",) * len(style_mask),
        content_mask="path" if "content_mask" in others else "",
    )
    others |= {f"style_mask/{i}": mask for i, mask in enumerate(style_mask)}
    return style_regions.find_regions(job, content, styles, others)


def _columns(mask):
    """The mean of a mask over its left and its right half."""
    return mask[:, :40].mean(), mask[:, 40:].mean()


# Without a mask of colors


def test_without_masks_there_is_one_region_of_all_styles():
    regions, clipped = _find(A, B)
    assert regions == [("", None, [(0, A), (1, B)])]
    assert clipped == 0
    assert _find() == ([], 0.0)
    start = {"init": CONTENT, "continue_from": CONTENT}  # these are no masks
    assert _find(A, **start)[0] == [("", None, [(0, A)])]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({"strength_map": halves(WHITE, BLACK)}, (1, 0)),
        ({"keep_mask": halves(WHITE, BLACK)}, (0, 1)),
        ({"strength_map": plain(0.5), "keep_mask": plain(0.25)}, (0.375,) * 2),
    ],
)
def test_what_is_kept_and_where_strength_is_low_counts_less(others, expected):
    [region], _ = _find(A, B, **others)
    assert region.mask.dtype == np.float32
    assert region.name == "" and [i for i, _ in region.styles] == [0, 1]
    assert region.mask.shape == SIZE
    assert _columns(region.mask) == pytest.approx(expected)


def test_a_map_of_strength_is_gray():
    color = image_io.Picture(np.zeros((*SIZE, 3), "f4") + np.float32([0, 0, 1]))
    [region], _ = _find(A, strength_map=color)
    np.testing.assert_allclose(region.mask, 1 / 3)


def test_masks_count_where_they_are_opaque():
    alpha = halves(WHITE, BLACK).pixels[..., 0]
    disc = image_io.Picture(np.ones((*SIZE, 3), "f4"), alpha)
    for name in ("strength_map", "content_mask"):
        [region], _ = _find(A, **{name: disc})
        assert _columns(region.mask) == (1, 0)
    [region], _ = _find(A, keep_mask=disc)
    assert _columns(region.mask) == (0, 1)
    red = disc._replace(pixels=np.float32([1, 0, 0]) * disc.pixels)
    for options in ({}, {"style_mask": [halves(RED, RED, (50, 60))]}):
        if options:  # only a mask with alpha may have one color
            options["style_mask"][0] = options["style_mask"][0]._replace(
                alpha=np.tile(np.float32([0, 1]), (50, 30))
            )
        [region], _ = _find(A, content_mask=red, **options)
        assert _columns(region.mask) == (1, 0)
    [(_, style)] = region.styles
    assert style.alpha.mean() == 0.5


def test_a_mask_of_ones_is_no_mask():
    [region], _ = _find(A, strength_map=plain(1), keep_mask=plain(0))
    assert region.mask is None


# By color


def test_a_gray_mask_has_white_and_the_rest():
    ramp = np.linspace(0, 1, 80, dtype="f4")[None, :, None]
    mask = image_io.Picture(np.zeros((*SIZE, 3), "f4") + ramp)
    regions, _ = _find(A, B, content_mask=mask)
    assert [(r.name, r.styles) for r in regions] == [
        ("#ffffff", [(0, A)]),
        ("#000000", [(1, B)]),
    ]
    np.testing.assert_allclose(regions[0].mask, mask.pixels[..., 0], atol=1e-6)
    np.testing.assert_allclose(sum(r.mask for r in regions), 1, atol=1e-6)


def test_styles_go_to_colors_from_the_lightest_to_the_darkest():
    regions, _ = _find(A, B, content_mask=halves(BLUE, RED))
    assert [(r.name, r.styles) for r in regions] == [
        ("#ff0000", [(0, A)]),
        ("#0000ff", [(1, B)]),
    ]
    assert _columns(regions[0].mask) == (0, 1)
    assert _columns(regions[1].mask) == (1, 0)


def test_black_may_be_left_without_a_style():
    [region], _ = _find(A, content_mask=halves(WHITE, BLACK))
    assert region.styles == [(0, A)] and _columns(region.mask) == (1, 0)
    [region], _ = _find(A, content_mask=halves(RED, BLACK))
    assert region.name == "#ff0000" and _columns(region.mask) == (1, 0)


@pytest.mark.parametrize("number", [1, 2])
def test_a_mask_of_one_color_is_one_region(number):
    # Of a gray mask without black, black is no region that wants a style.
    [region], _ = _find(A, content_mask=plain(1))
    assert region == ("#ffffff", None, [(0, A)])
    with pytest.raises(ValueError, match="has 1 region .* there are 2 styles"):
        _find(A, B, content_mask=plain(1))


def test_regions_that_are_kept_or_hardly_there_are_left_out():
    two = halves(RED, BLUE)
    [region], _ = _find(A, B, content_mask=two, keep_mask=halves(WHITE, BLACK))
    assert region.name == "#0000ff" and region.styles == [(1, B)]
    dot = np.ones((100, 100, 3), "f4")
    dot[0, 0] = 0  # exactly 1e-4 of it
    content = toys.picture(100, 100)
    [region], _ = _find(A, content=content, content_mask=image_io.Picture(dot))
    assert region.name == "#ffffff"


def test_what_is_1_in_10_000_is_a_region_all_the_same():
    keep = np.ones((100, 100, 3), "f4")
    keep[0, 0] = 0
    content = toys.picture(100, 100)
    [region], _ = _find(A, content=content, keep_mask=image_io.Picture(keep))
    assert region.mask.sum() == 1


# Masks of styles


def test_masks_of_styles_say_which_part_goes_where():
    own = halves(BLUE, RED, (50, 60))
    regions, _ = _find(A, content_mask=halves(RED, BLUE), style_mask=[own])
    for region, weights in zip(regions, ((0, 1), (1, 0)), strict=True):
        [(index, style)] = region.styles
        assert index == 0 and style.pixels is A.pixels
        assert style.alpha[:, :30].mean() == weights[0]
        assert style.alpha[:, 30:].mean() == weights[1]


def test_each_style_has_its_mask_or_all_have_one():
    own, turned = halves(BLUE, RED, (50, 60)), halves(RED, BLUE, (50, 60))
    two = halves(RED, BLUE)
    for masks, right in (([own, turned], [1, 0]), ([own], [1, 1])):
        regions, _ = _find(A, B, content_mask=two, style_mask=masks)
        red = regions[0]
        assert [index for index, _ in red.styles] == [0, 1]
        assert [s.alpha[:, 30:].mean() for _, s in red.styles] == right


def test_a_style_goes_only_where_its_mask_has_the_color():
    red, blue = (halves(color, BLACK, (50, 60), 0.9) for color in (RED, BLUE))
    mask = _thirds().pixels
    mask[30:] = 0
    regions, _ = _find(
        A, B, content_mask=image_io.Picture(mask), style_mask=[red, blue]
    )
    assert [[i for i, _ in region.styles] for region in regions] == [
        [0], [1], [0, 1]
    ]  # fmt: skip


def test_a_color_that_a_style_hardly_has_is_passed_over():
    # The gray mask's white is one pixel in 15,000; black follows it.
    dot = np.zeros((100, 150, 3), "f4")
    dot[0, 0] = 1
    style = toys.picture(100, 150, 1)
    regions, _ = _find(
        style,
        B,
        content_mask=halves(WHITE, BLACK),
        style_mask=[image_io.Picture(dot), halves(WHITE, BLACK, (50, 60))],
    )
    assert [[i for i, _ in region.styles] for region in regions] == [
        [1], [0, 1]
    ]  # fmt: skip


def test_alpha_of_a_style_counts_beside_its_mask():
    alpha = np.full((50, 60), 0.5, "f4")
    regions, _ = _find(
        A._replace(alpha=alpha),
        content_mask=halves(RED, BLUE),
        style_mask=[halves(BLUE, RED, (50, 60))],
    )
    [(_, style)] = regions[0].styles
    assert style.alpha[:, :30].max() == 0 and style.alpha[:, 30:].min() == 0.5


# Colors


def _recorded(monkeypatch, shares=()):
    """(style, content) of each style that gets its colors, in this order."""
    seen, left = [], list(shares)

    def recolor(rule, style, content):
        seen.append((style, content))
        return style._replace(digest="new"), left.pop(0) if left else 0.0

    monkeypatch.setattr(style_settings, "recolor", recolor)
    return seen


def test_regions_get_the_colors_of_their_part_of_the_content():
    pixels = halves((200, 30, 30), (30, 30, 200)).pixels
    pixels = pixels + 0.1 * (toys.image(*SIZE, 3) - 0.5)
    regions, clipped = _find(
        A,
        A,
        content=image_io.Picture(np.clip(pixels, 0, 1)),
        content_mask=halves(RED, BLUE),
        color="match",
    )
    for region, expected in zip(
        regions, ([200, 30, 30], [30, 30, 200]), strict=True
    ):
        [(_, style)] = region.styles
        mean = 255 * style.pixels.mean(axis=(0, 1))
        np.testing.assert_allclose(mean, expected, atol=8)
    assert 0 <= clipped < 1


def test_each_style_has_its_own_color():
    for others in ({}, {"content_mask": halves(RED, BLUE)}):
        own, matched = (
            [style for region in _find(A, B, color=color, **others)[0]
             for _, style in region.styles]
            for color in ("style", "match")
        )  # fmt: skip
        for color, expected in (
            ("match,style", (matched[0], own[1])),
            ("style,match", (own[0], matched[1])),
        ):
            regions, _ = _find(A, B, color=color, **others)
            found = [style for region in regions for _, style in region.styles]
            for style, same in zip(found, expected, strict=True):
                np.testing.assert_array_equal(style.pixels, same.pixels)
            assert np.abs(matched[0].pixels - A.pixels).max() > 0.01


def test_the_content_keeps_its_chroma_in_the_regions_of_styles_that_say_so():
    two, half_alpha = halves(RED, BLUE), np.zeros((50, 60), "f4")
    half_alpha[25:] = 1
    for color, expected in (
        ("content,style", (1, 0)),
        ("match,content", (0, 1)),
        ("content,histogram", (1, 0)),
    ):
        for others in ({}, {"strength_map": plain(0.5)}):
            chroma = _find_chroma(A, B, color=color, content_mask=two, **others)
            assert chroma.shape == SIZE and chroma.dtype == np.float32
            assert (chroma[:, :40] == expected[0]).all()
            assert (chroma[:, 40:] == expected[1]).all()
    green = halves(GREEN, GREEN, (50, 60))._replace(alpha=half_alpha)
    masks = {
        "content_mask": _thirds(),
        "style_mask": [halves(RED, BLUE, (50, 60)), green],
    }
    chroma = _find_chroma(A, B, color="content,style", **masks)
    assert (chroma[:30] == 1).all() and (chroma[30:] == 0).all()
    # Everywhere, also where nothing is painted, or nowhere.
    for color in ("content", "luminance", "content,content"):
        for others in ({}, {"content_mask": two}):
            chroma = _find_chroma(A, B, color=color, **others)
            np.testing.assert_array_equal(chroma, [[1]])
            assert chroma.dtype == np.float32
    assert _find_chroma(color="content").shape == (1, 1)
    assert _find_chroma(A, B, color="match,style", content_mask=two) is None


def test_black_without_a_style_has_no_say_in_the_chroma():
    mask = halves(RED, BLACK).pixels
    mask[:30, :40] = [0, 0, 1]
    chroma = _find_chroma(
        A, B, color="style,content", content_mask=image_io.Picture(mask)
    )
    assert (chroma[:30, :40] == 1).all() and chroma.mean() == 0.25


def test_soft_edges_share_the_chroma_of_the_content():
    ramp = np.tile(np.linspace(0, 1, 80, dtype="f4")[:, None], (60, 1, 3))
    mask = image_io.Picture(ramp)
    chroma = _find_chroma(A, B, color="content,style", content_mask=mask)
    np.testing.assert_allclose(chroma, ramp[..., 0], atol=1e-6)


def test_the_alpha_of_the_content_counts_for_its_colors(monkeypatch):
    seen = _recorded(monkeypatch)
    _find(A)
    assert seen.pop() == (A, CONTENT)
    alpha = np.full(SIZE, 0.5, "f4")
    content = CONTENT._replace(alpha=alpha)
    _find(A, content=content, keep_mask=halves(WHITE, BLACK))
    [(style, it)] = seen
    assert style == A
    np.testing.assert_array_equal(it.alpha, alpha)  # kept parts count, too
    seen.clear()
    _find(A, B, content=content, content_mask=halves(RED, BLUE))
    assert [_columns(it.alpha) for _, it in seen] == [(0.5, 0), (0, 0.5)]


@pytest.mark.parametrize("shares", [(0.1, 0.4, 0.2), (0.4, 0.1, 0.2)])
def test_the_clipped_share_is_the_largest(monkeypatch, shares):
    for others in ({}, {"keep_mask": plain(0)}):
        _recorded(monkeypatch, shares)
        regions, clipped = _find(A, B, A, **others)
        assert clipped == 0.4
        assert all(style.digest == "new" for _, style in regions[0].styles)
    _recorded(monkeypatch, shares)
    _, clipped = _find(A, B, A, content_mask=_thirds())
    assert clipped == 0.4


# Masks of another size


@pytest.mark.parametrize(
    "size", [(30, 40), (15, 20), (31, 41), (59, 80), (120, 160), (300, 401)]
)
def test_a_mask_of_its_pictures_shape_is_resized(size):
    found, _ = _find(A, B, content_mask=halves(RED, BLUE, size))
    assert [each.name for each in found] == ["#ff0000", "#0000ff"]
    for each, expected in zip(found, ((1, 0), (0, 1)), strict=True):
        assert each.mask.shape == SIZE
        np.testing.assert_allclose(_columns(each.mask), expected, atol=0.03)
    np.testing.assert_allclose(found[0].mask + found[1].mask, 1, atol=1e-6)
    keep = style_regions.read_keep_mask(
        CONTENT, {"keep_mask": halves(WHITE, BLACK, size)}
    )
    np.testing.assert_allclose(_columns(keep), (1, 0), atol=0.03)
    assert keep[:, :38].min() == 1 and keep[:, 42:].max() == 0


def test_the_mask_of_a_style_is_resized_to_the_style():
    masks = {
        "content_mask": halves(RED, BLUE, (6, 8)),
        "style_mask": [halves(BLUE, RED, (100, 120))],
    }
    found, _ = _find(A, **masks)
    alphas = [each.styles[0][1].alpha for each in found]
    assert {alpha.shape for alpha in alphas} == {(50, 60)}
    assert [alpha[:, :28].mean() for alpha in alphas] == [0, 1]
    assert {each.name for each in found} == {"#ff0000", "#0000ff"}


@pytest.mark.parametrize("count", [1, 2])
def test_one_note_says_which_masks_are_resized(count):
    other = image_io.Picture(np.zeros((25, 30, 3)))
    styles = [B, other][:count]
    others = {"style_mask/0": plain(1, (50, 60)), "keep_mask": plain(1)}
    notes = style_regions.describe_resized(CONTENT, styles, others)
    words = ["masks resized to their pictures: style mask 1, 60 x 50"]
    assert notes == (words if count == 2 else [])
    others["keep_mask"] = plain(1, (6, 8))
    (note,) = style_regions.describe_resized(CONTENT, styles, others)
    assert note.endswith("keep_mask, 8 x 6") and note.count(";") == count - 1


# What does not fit


@pytest.mark.parametrize(
    ("count", "others", "words"),
    [
        (
            1,
            {"content_mask": halves(RED, BLUE, (30, 50))},
            r"content_mask is 50 x 30 pixels, but its picture is 80 x 60; pas",
        ),
        (1, {"strength_map": plain(1, (30, 80))}, "strength_map is 80 x 30 pi"),
        (1, {"keep_mask": plain(1, (60, 40))}, "keep_mask is 40 x 60 pixels"),
        (
            1,
            {"content_mask": plain(0), "strength_map": plain(0)},
            "the masks leave nothing to paint: each region has no style or is",
        ),
        (1, {"strength_map": plain(0)}, "the masks leave nothing to paint"),
        (1, {"keep_mask": plain(1)}, "the masks leave nothing to paint"),
        (
            1,
            {"content_mask": halves(RED, BLUE)},
            r"--content_mask has 2 regions \(#ff0000 50%, #0000ff 50%\), but "
            r"there is 1 style; pass one for each, from the lightest color "
            r"to the darkest. Only black needs no style\.",
        ),
        (2, {"content_mask": _thirds()}, r"has 3 regions \(#00ff00 50%, #ff"),
        (3, {"content_mask": halves(RED, BLACK)}, "has 2 regions .* are 3 st"),
        (
            1,
            {
                "content_mask": halves(RED, BLUE),
                "style_mask": [halves(RED, BLUE, (30, 40))],
            },
            "style mask 1 is 40 x 30 pixels, but its picture is 60 x 50",
        ),
        (
            1,
            {
                "content_mask": _thirds(),
                "style_mask": [halves(BLUE, RED, (50, 60))],
            },
            "--content_mask has the color #00ff00, but no --style_mask has it",
        ),
        (
            2,
            {
                "content_mask": halves(WHITE, BLACK),
                "style_mask": [
                    halves(WHITE, BLACK, (50, 60)),
                    halves(BLUE, RED, (50, 60)),
                ],
            },
            "style mask 2 has the color #ff0000, but --content_mask has "
            "#ffffff 50%, #000000 50%; use the same colors",
        ),
        (
            2,
            {
                "content_mask": halves(RED, BLUE),
                "style_mask": [halves(RED, BLUE, (50, 60))],
                "color": "content,style",
            },
            r"^--color is content,style, but styles of both content and "
            r"another color share the region #ff0000; give them one color, or "
            r"regions of their own\.$",
        ),
        (
            2,
            {"content_mask": halves(RED, BLUE), "color": "style,style,match"},
            "color has 3 values, but there are 2 styles",
        ),
        (2, {"color": "style,content"}, "^--color is style,content, but witho"),
        (
            3,
            {
                "content_mask": halves(RED, BLUE),
                "style_mask": [halves(RED, BLUE, (50, 60))] * 2,
            },
            "style_mask has 2 values, but there are 3 styles",
        ),
    ],
)
def test_masks_that_do_not_fit_are_said(count, others, words):
    with pytest.raises(ValueError, match=words) as raised:
        _find(*[A, B, A][:count], **others)
    assert "\n" not in str(raised.value)


def test_masks_without_a_style_leave_no_region():
    assert _find(keep_mask=halves(WHITE, BLACK)) == ([], 0.0)
