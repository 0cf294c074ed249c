"""Colors that are stated without a profile; `corpus` has files that do."""

import io
import struct

import corpus
import pytest

from nst_tf.images import stated_colors
from nst_tf.metadata import boxes


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_the_box_of_code_points_is_found_or_damaged(kind):
    data = corpus.save(corpus.smooth(), kind, quality=100)
    at = data.index(b"colrnclx") + 8
    found = tuple(boxes.find_nclx(io.BytesIO(data)))
    assert found == struct.unpack_from(">3H", data, at)
    for end in range(0, at + 8, 5):
        assert tuple(boxes.find_nclx(io.BytesIO(data[:end]))) == ()


@pytest.mark.parametrize("code", stated_colors.PRIMARIES)
def test_all_code_points_have_a_meaning(code):
    assert len(stated_colors.PRIMARIES[code]) == 4
    assert stated_colors._by_codes((code, 13)).profile is not None
