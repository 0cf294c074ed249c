"""Files with several pictures: which is read, and what a note says."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from nst_tf.images import image_io
from nst_tf.metadata import pages

SIZES = {"full": (40, 30), "small": (8, 6), "odd": (20, 30)}
WHOLE, REDUCED, PAGE, MASK = 0, 1, 2, 4  # NewSubfileType


def tiff(*parts, order="<", big=False, below=(), **changes):
    """A TIFF file of gray pages, (kind, name of a size), each of one value.

    The i-th page has the value i + 1; directories of `below` (their tags) hang
    on the first one.
    """
    pointer = "Q" if big else "I"
    width = struct.calcsize(pointer)
    data = b"II" if order == "<" else b"MM"
    data += struct.pack(f"{order}H", 43 if big else 42)
    data += struct.pack(f"{order}HH", 8, 0) if big else b""
    where = len(data)
    data += bytes(width)

    def directory(tags):
        nonlocal data, where
        entries = struct.pack(f"{order}{'Q' if big else 'H'}", len(tags))
        for tag, value in sorted(tags.items()):
            several = value if isinstance(value, tuple) else (value,)
            if len(several) * 4 > width:
                place = len(data)
                data += struct.pack(f"{order}{len(several)}I", *several)
                packed = struct.pack(order + pointer, place)
            else:
                packed = struct.pack(f"{order}{len(several)}I", *several)
            entries += struct.pack(
                f"{order}HH{pointer}{width}s", tag, 4, len(several), packed
            )
        place = len(data)
        data += entries
        return place

    children = []
    for tags in below:
        children.append(directory(tags))
        data += bytes(width)
    for index, (kind, name) in enumerate(parts):
        columns, rows = SIZES[name]
        samples = len(data)
        data += bytes([index + 1]) * (rows * columns)
        tags = {
            **{254: kind, 256: columns, 257: rows, 258: 8, 259: 1, 262: 1},
            **{273: samples, 277: 1, 278: rows, 279: rows * columns},
        }
        if children and not index:
            tags[330] = tuple(children)
        place = directory(tags | {int(k[1:]): v for k, v in changes.items()})
        data = (
            data[:where]
            + struct.pack(order + pointer, place)
            + data[where + width :]
        )
        where = len(data)
        data += bytes(width)
    return data


def read(data):
    return image_io.read_picture(data, "a")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("parts", "index", "note"),
    [
        ([(WHOLE, "full")], 0, None),
        ([(REDUCED, "small"), (WHOLE, "full")], 1, None),
        ([(WHOLE, "full"), (REDUCED, "small"), (MASK, "full")], 0, None),
        ([(MASK, "full"), (REDUCED, "full"), (PAGE, "odd")], 2, None),
        ([(PAGE, "odd"), (PAGE, "full")], 0, "it holds 2 pictures; the first"),
        (
            [(REDUCED, "small"), (WHOLE, "odd"), (WHOLE, "full")],
            1,
            "holds 2 pic",
        ),
        ([(REDUCED, "small"), (REDUCED, "full")], 1, "marked as previews"),
    ],
)
def test_of_a_tiff_file_the_first_whole_page_is_read(
    parts, index, note, order, big
):
    found = read(tiff(*parts, order=order, big=big))
    columns, rows = SIZES[parts[index][1]]
    expected = np.full((rows, columns, 3), (index + 1) / 255, "f4")
    np.testing.assert_array_equal(found.pixels, expected)
    if note:
        assert len(found.notes) == 1 and note in found.notes[0]
    else:
        assert found.notes == ()


def test_a_page_of_16_bits_is_read_behind_its_preview(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="writes 16-bit colors")
    path = tmp_path / "a.tif"
    colors = np.arange(30 * 40 * 3, dtype="u2").reshape(30, 40, 3)
    with tifffile.TiffWriter(path) as file:
        file.write(np.zeros((6, 8, 3), "u1"), subfiletype=1, photometric="rgb")
        file.write(colors, photometric="rgb")
    found = image_io.load_picture(path)
    np.testing.assert_array_equal(found.pixels, colors / np.float32(65535))
    assert found.notes == ()


@pytest.mark.parametrize(
    "start",
    [
        b"FUJIFILMCCD-RAW 0201",
        b"IIU\0\x18\0\0\0",
        b"IIRO\x08\0\0\0",
        b"IIRS\x08\0\0\0",
        b"MMOR\0\0\0\x08",
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"II\x1a\0\0\0HEAPCCDR",
        b"II*\0\x10\0\0\0CR\2\0",
        b"FOVb\0\0\2\0",
        b"\0MRM\0\0\0\0",
        b"II*\0\x08\0\0\0IIII",
        tiff((REDUCED, "small"), t50706=0x0401),
        tiff((WHOLE, "full"), t262=32803),
        tiff((WHOLE, "full"), (WHOLE, "full"), t262=34892, big=True),
        tiff((REDUCED, "small"), below=[{254: 1}, {254: 0, 262: 32803}]),
        tiff(
            (REDUCED, "small"),
            below=[{262: 32803, 254: 0}],
            order=">",
            big=True,
        ),
    ],
)
def test_a_raw_photograph_is_refused_with_what_to_do(start):
    with pytest.raises(
        ValueError,
        match=r"^a cannot be read: it is a raw photograph \(.*\); export it as "
        r"TIFF or JPEG from the camera's program or another raw converter\.$",
    ):
        read(start + bytes(100))


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
    found = read(_mpo(*kinds))
    assert (
        found.pixels.shape == (16, 16, 3) and found.pixels[..., 0].min() > 0.9
    )
    notes = [f"a: it holds {count} pictures; the first was read"]
    assert list(found.notes) == notes * (count > 1)


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("GIF", "it is an animation; its first frame"),
        ("PNG", "it is an animation of 2 frames"),
        ("WEBP", "it is an animation of 2 frames"),
        ("AVIF", "it is an animation of 2 frames"),
        ("HEIF", "it holds 2 pictures; the primary one was read"),
    ],
)
def test_further_pictures_are_told(kind, note):
    if kind == "HEIF":
        heif = pytest.importorskip("pillow_heif", reason="reads HEIC files")
        heif.register_heif_opener()
    Image.init()
    if kind not in Image.SAVE_ALL:
        pytest.skip(f"Pillow writes no {kind} files here")
    frames = [Image.new("RGB", (64, 64), color) for color in ("red", "blue")]
    for count in (1, 2):
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:count])
        found = read(file.getvalue())
        assert found.pixels[..., 0].min() > 0.9 > found.pixels[..., 2].max()
        assert len(found.notes) == count - 1
        assert count == 1 or note in found.notes[0]


def test_a_chain_of_pages_has_an_end():
    whole = tiff((WHOLE, "small"), (REDUCED, "small"))
    looped = whole[:-4] + whole[4:8]
    assert pages.choose(io.BytesIO(looped), looped[:32]) == (0, 1)
    for end in range(8, len(whole), 7):
        part = whole[:end]
        pages.choose(io.BytesIO(part), part[:32])
