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


def _choose(data):
    return pages.choose(io.BytesIO(data), data[:32])


@pytest.mark.parametrize(
    ("at", "magic", "kind"),
    [
        *((0, b"FUJIFILMCCD-RAW", "RAF"), (0, b"IIU\0", "RW2")),
        *((0, b"IIRO", "ORF"), (0, b"IIRS", "ORF"), (0, b"MMOR", "ORF")),
        *((4, b"ftypcrx ", "CR3"), (6, b"HEAPCCDR", "CRW")),
        *((8, b"CR\2", "CR2"), (0, b"FOVb", "X3F"), (0, b"\0MRM", "MRW")),
        *((8, b"IIII", "IIQ"), (8, b"MMMM", "IIQ")),
    ],
)
def test_raw_photographs_are_known_by_their_first_bytes(at, magic, kind):
    with pytest.raises(ValueError, match=rf"raw photograph \({kind}\)"):
        _choose(b"x" * at + magic + b"x" * 9)
    assert _choose(b"x" * at + b"x" + magic) == (0, 1)
    assert _choose(b"") == (0, 1)


FORMS = [(order, big) for order in "<>" for big in (False, True)]
every_form = pytest.mark.parametrize(("order", "big"), FORMS)


def _tiff(*many, order="<", big=False):
    """A TIFF file of pages of (type, value) by tag, without samples."""
    parts = [
        (b"", {code: (kind, [value]) for code, (kind, value) in tags.items()})
        for tags in many
    ]
    return raw_files.tiff_of(*parts, order=order, big=big)


def _page(**tags):
    return {int(name[1:]): (3, value) for name, value in tags.items()}


@every_form
def test_previews_and_masks_are_not_counted(order, big):
    def choose(*many):
        return _choose(_tiff(*many, order=order, big=big))

    whole = _page(t256=6, t257=4)
    for kind, is_whole in ((0, 1), (1, 0), (2, 1), (4, 0), (5, 0), (6, 0)):
        assert choose({**whole, 254: (4, kind)}, whole) == (
            (0, 2) if is_whole else (1, 1)
        )
    for kind, is_whole in ((1, 1), (2, 0), (3, 1)):
        assert choose({**whole, 255: (3, kind)}, whole) == (
            (0, 2) if is_whole else (1, 1)
        )
    # Without any other, the largest preview is read.
    previews = [_page(t254=1, t256=w, t257=h) for w, h in ((9, 1), (2, 5))]
    assert choose(*previews, _page(t254=1, t256=99)) == (1, 0)
    assert choose(_page(t254=1, t257=9), *previews) == (2, 0)


@every_form
@pytest.mark.parametrize(
    ("tag", "value", "kind"),
    [
        *((262, 32803, "TIFF/EP"), (262, 34892, "TIFF/EP"), (262, 2, "")),
        *((50706, 1, "DNG"), (50707, 1, "")),
    ],
)
def test_raw_photographs_are_known_by_their_tags(order, big, tag, value, kind):
    data = _tiff({256: (3, 6)}, {tag: (3, value)}, order=order, big=big)
    if not kind:
        assert _choose(data) == (0, 2)
        return
    with pytest.raises(ValueError, match=rf"raw photograph \({kind}\)"):
        _choose(data)


@every_form
@pytest.mark.parametrize("kind", [3, 4, 13, 16, 18, 2])
@pytest.mark.parametrize("count", [1, 2, 64, 65])
def test_a_sensor_is_known_in_a_directory_below(order, big, kind, count):
    letter = {3: "H", 16: "Q", 18: "Q"}.get(kind, "I")
    pointer, counter = "QQ" if big else "IH"
    width = struct.calcsize(pointer)
    start = 16 if big else 8
    after = start + struct.calcsize(counter) + 4 + 2 * width + width
    listed = count * struct.calcsize(letter)
    below = after + listed
    numbers = [60000] * (count - 1) + [below]  # beyond the end, but one
    value = struct.pack(f"{order}{count}{letter}", *numbers)
    inside = value.ljust(width, b"\0")
    if len(inside) > width:
        inside = struct.pack(order + pointer, after)
    head = struct.pack(order + counter, 1)
    head += struct.pack(f"{order}HH{pointer}", 330, kind, count) + inside
    head += bytes(width) + value
    form = {"order": order, "big": big}
    sensor = raw_files.directory(below, b"", {262: (3, [32803])}, **form)
    data = raw_files.tiff_head(order, big) + head + sensor
    if kind == 2 or count > 64:
        assert _choose(data) == (0, 1)
        return
    with pytest.raises(ValueError, match="TIFF/EP"):
        _choose(data)


def test_directories_are_bounded(monkeypatch):
    assert (pages.MOST_ENTRIES, pages.MOST_CHILDREN) == (500, 64)
    dng = {50706: (3, 1)}
    for before, is_found in ((499, True), (500, False)):
        tags = {number: (3, 1) for number in range(1000, 1000 + before)}
        data = _tiff({**tags, **dng})
        if is_found:
            with pytest.raises(ValueError, match="DNG"):
                _choose(data)
        else:
            assert _choose(data) == (0, 1)
            assert _choose(_tiff({**tags, **dng}, {256: (3, 6)})) == (0, 2)
    # Of all pages, too.
    monkeypatch.setattr(pages.directories, "MOST_DIRECTORIES", 2)
    assert _choose(_tiff(*[_page(t256=1)] * 3)) == (0, 2)
    child = raw_files.directory(8 + 30, b"", {262: (3, [32803])})
    for count, is_found in ((2, True), (3, False)):
        listed = struct.pack(f"<{count}I", *[0] * (count - 1), 38)
        head = struct.pack("<HHHII", 1, 330, 4, count, 26) + bytes(4)
        data = raw_files.tiff_head() + head + listed.ljust(12, b"\0") + child
        if is_found:
            with pytest.raises(ValueError, match="TIFF/EP"):
                _choose(data)
        else:
            assert _choose(data) == (0, 1)


def test_tags_count_by_their_first_number():
    entry = struct.pack("<HHI4s", 255, 3, 2, struct.pack("<HH", 2, 1))
    none = struct.pack("<HHI4s", 254, 3, 0, struct.pack("<HH", 1, 0))
    far = struct.pack("<HHI4s", 254, 3, 3, struct.pack("<HH", 1, 0))
    odd = struct.pack("<HHI4s", 254, 12, 1, struct.pack("<HH", 1, 0))
    for other, expected in ((entry, (0, 0)), (b"", (0, 1))):
        entries = [none, far, odd] + [other] * bool(other)
        data = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
        assert _choose(raw_files.tiff_head() + data) == expected


class _Image:
    """What the descriptions read of an image of Pillow."""

    def __init__(self, kind, frames=None, *, animated=False, types=()):
        self.format, self.is_animated = kind, animated
        if frames is not None:
            self.n_frames = frames
        entries = [{"Attribute": {"MPType": each}} for each in types]
        self.mpinfo = {0xB002: entries}


VIEW, GAIN = "Multi-Frame Image (Panorama)", "Undefined"
PREVIEWS = ("its pages are marked as previews; the largest was read",)
FIRST = "it has {} pictures; the {} was read"


@pytest.mark.parametrize(
    ("image", "choice", "expected"),
    [
        (None, (0, 1), ()),
        (None, (0, 2), (FIRST.format(2, "first"),)),
        (None, (1, 0), PREVIEWS),
        (_Image("TIFF", 9), (0, 1), ()),
        (_Image("PNG"), (0, 9), ()),
        (_Image("WEBP", 1), (0, 9), ()),
        (
            _Image("WEBP", 2),
            (0, 1),
            ("it is an animation of 2 frames; the first was read",),
        ),
        (
            _Image("GIF", animated=True),
            (0, 1),
            ("it is an animation; its first frame was read",),
        ),
        (_Image("GIF", 9), (0, 1), ()),
        (_Image("HEIF", 1), (0, 1), ()),
        (_Image("HEIF", 3), (0, 1), (FIRST.format(3, "primary one"),)),
        (_Image("MPO", 9, types=[VIEW, GAIN]), (0, 1), ()),
        (
            _Image("MPO", 9, types=[VIEW, GAIN, VIEW, VIEW]),
            (0, 1),
            (FIRST.format(3, "first"),),
        ),
    ],
)
def test_other_pictures_are_described_in_a_note(image, choice, expected):
    assert pages.describe_others(image, pages.Choice(*choice)) == expected
