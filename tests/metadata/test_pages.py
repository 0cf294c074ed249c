"""Files of several pictures: views, gain maps, chains; more are in `corpus`."""

import io
import struct

import pytest
import raw_files
from PIL import Image

from nst_tf.images import image_io
from nst_tf.metadata import pages


def _mpo(*kinds):
    """A JPEG file of several pictures, of these kinds in the second one on."""
    frames = [Image.new("RGB", (16, 16), c) for c in ("red", "blue", "lime")]
    file = io.BytesIO()
    frames[0].save(
        file, "MPO", save_all=True, append_images=frames[1 : len(kinds) + 1]
    )
    data = file.getvalue()
    for index, kind in enumerate(kinds, 1):
        # Behind the head, the directory and its count; entries of 16 bytes
        # begin with flags and the kind.
        at = data.index(b"MPF\0") + 4 + 8 + 2 + 3 * 12 + 4 + 16 * index
        data = data[:at] + struct.pack("<I", kind) + data[at + 4 :]
    return data


GAIN_MAP, THUMBNAIL, ANGLE, PANORAMA = 0, 0x010001, 0x020003, 0x020001


@pytest.mark.parametrize(
    ("kinds", "count"),
    [
        ([GAIN_MAP], 1),
        ([THUMBNAIL, GAIN_MAP], 1),
        ([ANGLE], 2),
        ([PANORAMA, THUMBNAIL], 2),
        ([ANGLE, ANGLE], 3),
    ],
)
def test_of_several_jpegs_only_pictures_are_counted(kinds, count):
    found = image_io.read_picture(_mpo(*kinds), "a")
    assert (
        found.pixels.shape == (16, 16, 3) and found.pixels[..., 0].min() > 0.9
    )
    notes = [f"a: it has {count} pictures; the first was read"]
    assert list(found.notes) == notes * (count > 1)


def test_a_chain_of_pages_has_an_end():
    page = raw_files.tiff_page(bytes(48), (6, 8), 8, 1)
    looped = raw_files.tiff(bytes(48), page, next_directory=8)
    assert pages.choose(io.BytesIO(looped), looped[:32]) == (0, 1)
    whole = raw_files.tiff_of((bytes(48), page), (bytes(48), {**page}))
    assert pages.choose(io.BytesIO(whole), whole[:32]) == (0, 2)
    for end in range(8, len(whole), 7):
        pages.choose(io.BytesIO(whole[:end]), whole[:32])


@pytest.mark.parametrize("count", [999, 1000, 1001, 1500])
def test_at_most_a_thousand_pages_are_looked_at(count):
    # An entry that says one pixel of width; 4 bytes point to the next page.
    entry = struct.pack("<HHII", 256, 3, 1, 1)
    size = 2 + len(entry) + 4
    data = b"II*\0" + struct.pack("<I", 8)
    for number in range(1, count + 1):
        following = 8 + number * size if number < count else 0
        data += struct.pack("<H", 1) + entry + struct.pack("<I", following)
    found = pages.choose(io.BytesIO(data), data[:32])
    assert found == (0, min(count, 1000))
