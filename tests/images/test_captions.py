"""Pictures in rows, with words under each: what stands where."""

import numpy as np
import pytest

from nst_tf.images import captions

SIDE = 120


def _picture(value, *lines, height=SIDE, width=SIDE, is_there=True):
    image = np.full((height, width, 3), value, "f4") if is_there else None
    return captions.CaptionedImage(lines, height, width, image)


def _runs(line):
    """Where values other than white begin and end."""
    changes = np.diff(np.concatenate([[0], line != 1, [0]]).astype(int))
    return list(
        zip(*(np.flatnonzero(changes == s) for s in (1, -1)), strict=True)
    )


def test_pictures_stand_in_rows_and_columns_without_touching():
    rows = [
        [_picture(0.25, "a", "b"), _picture(0.5, "c", width=60)],
        [_picture(0.75, "d", height=40), _picture(0, "e", is_there=False)],
        [_picture(0.1, "f")],
    ]
    drawn = captions.draw(rows)
    assert drawn.dtype == np.float32 and drawn.min() >= 0 and drawn.max() == 1
    first, second = _runs(drawn[10, :, 0])
    assert first[1] - first[0] == SIDE and second[1] - second[0] == 60
    gap = first[0]
    assert second[0] - first[1] == gap and gap >= 4
    # The second column is as wide as its widest picture.
    assert drawn.shape[1] == 3 * gap + 2 * SIDE
    tops = [
        np.flatnonzero(np.isclose(drawn[:, gap, 0], v))
        for v in (0.25, 0.75, 0.1)
    ]
    assert [len(rows) for rows in tops] == [SIDE, 40, SIDE]
    below = tops[1][0] - (gap + SIDE) - 2 * gap  # two lines of words
    assert tops[2][0] - tops[1][0] == SIDE + below + 2 * gap
    assert len(drawn) == tops[2][0] + SIDE + below + 2 * gap
    missing = drawn[
        tops[1][0] : tops[1][0] + SIDE, second[0] : second[0] + SIDE
    ]
    np.testing.assert_allclose(missing, 0.8)
    # Words are dark, and stand below their picture only.
    words = drawn[gap + SIDE : tops[1][0], :, 0] < 0.5
    assert words[:, gap : gap + SIDE].any() and words[:, second[0] :].any()


@pytest.mark.parametrize("length", [3, 30, 300])
def test_words_are_cut_to_the_width_of_their_picture(length):
    line = "wide" * length
    drawn = captions.draw([[_picture(1, line)]])
    gap = (drawn.shape[1] - SIDE) // 2
    dark = np.flatnonzero((drawn[..., 0] < 0.9).any(axis=0))
    assert gap <= dark[0] and dark[-1] < gap + SIDE
    # Both ends of what is too long are shown, in letters of 8 pixels.
    assert dark[-1] - dark[0] > 0.8 * SIDE or length == 3


def test_letters_shrink_before_words_are_cut():
    short, long = (
        len(captions.draw([[_picture(1, "w" * n)]])) for n in (2, 20)
    )
    large = len(captions.draw([[_picture(1, "w", width=1000)]]))
    assert long <= short < large


def test_a_picture_too_narrow_for_any_letter_has_a_caption_all_the_same():
    assert captions.draw([[_picture(1, "words", width=4)]]).ndim == 3
