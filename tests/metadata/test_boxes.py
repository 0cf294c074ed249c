"""Boxes of AVIF and HEIC files, byte by byte after their specifications."""

import io
import struct

import pytest

from nst_tf.metadata import boxes


def _box(kind, data, wide=False):
    """A box, with its size in 32 or 64 bits."""
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(data)) + data
    return struct.pack(">I4s", 8 + len(data), kind) + data


NCLX = _box(b"colr", b"nclx" + struct.pack(">3H", 12, 13, 5) + b"\x80")
OTHER = _box(b"colr", b"nclx" + struct.pack(">3H", 9, 16, 9) + b"\x80")
ICC = _box(b"colr", b"prof" + bytes(8))
SIZE = _box(b"ispe", bytes(12))


def _meta(wide=False, long=False, primary=300, first=2, extra=b""):
    """A meta box: the primary item has properties 2 and 3; another, 4."""
    item = ">I" if wide else ">H"
    number = ">H" if long else ">B"
    essential = 0x8000 if long else 0x80

    def associate(owner, *values):
        packed = b"".join(struct.pack(number, each) for each in values)
        return struct.pack(item, owner) + bytes([len(values)]) + packed

    several = [
        associate(7, 4),
        associate(300, essential | first, essential | 3),
        associate(301, 4),
    ]
    ipma = bytes([wide, 0, 0, long]) + struct.pack(">I", len(several))
    ipma += b"".join(several)
    pitm = bytes([wide, 0, 0, 0]) + struct.pack(item, primary)
    ipco = _box(b"ipco", SIZE + ICC + NCLX + OTHER)
    return (
        bytes(4)
        + extra
        + _box(b"pitm", pitm)
        + _box(b"iprp", ipco + _box(b"ipma", ipma))
    )


HEAD = _box(b"ftyp", b"avif")


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("long", [False, True])
def test_code_points_are_those_of_the_primary_picture(wide, long):
    def find(**options):
        meta = _box(b"meta", _meta(wide, long, **options))
        return tuple(boxes.find_nclx(io.BytesIO(HEAD + meta)))

    assert find() == (12, 13, 5)
    assert find(primary=301) == find(primary=7) == (9, 16, 9)
    assert find(primary=8) == ()
    assert find(first=1) == (12, 13, 5)  # no color at all
    assert find(first=9) == ()  # there is no such property


def test_items_are_compared_in_all_their_bits():
    ipma = bytes(4) + struct.pack(">IHBBHBB", 2, 300, 1, 1, 44, 1, 2)
    assert boxes._list_properties(ipma, 300) == [1]
    assert boxes._list_properties(ipma, 44) == [2]
    assert boxes._list_properties(ipma, 45) == []
    # A flag beside the lowest says nothing of the width.
    odd = b"\0\0\0\2" + ipma[4:]
    assert boxes._list_properties(odd, 300) == [1]
    many = b"\1\0\0\1" + struct.pack(">IIBHH", 1, 300, 2, 0xFFFF, 0x8123)
    assert boxes._list_properties(many, 300) == [0x7FFF, 0x0123]


@pytest.mark.parametrize("wide", [False, True])
def test_the_meta_box_is_found_behind_others_of_any_size(wide):
    before = _box(b"free", bytes(99), wide) + _box(b"uuid", b"", wide)
    data = HEAD + before + _box(b"meta", b"content", wide) + b"behind"
    file = io.BytesIO(data)
    file.seek(5)
    assert boxes._read_meta(file) == b"content"
    open_ended = HEAD + struct.pack(">I4s", 0, b"meta") + b"to the end"
    assert boxes._read_meta(io.BytesIO(open_ended)) == b"to the end"


def test_files_without_a_meta_box_have_none():
    open_ended = struct.pack(">I4s", 0, b"mdat") + _box(b"meta", b"content")
    # Its last byte would begin another box.
    damaged = b"\0\0\0\7fre" + _box(b"meta", b"content")
    for data in (b"", HEAD, HEAD + b"\0\0\0", open_ended, damaged):
        assert boxes._read_meta(io.BytesIO(data)) == b""
        assert boxes.find_nclx(io.BytesIO(data)) == ()


def test_what_is_read_is_bounded(monkeypatch):
    assert (boxes.LONGEST, boxes.MOST_BOXES) == (2**24, 1000)
    monkeypatch.setattr(boxes, "LONGEST", 5)
    monkeypatch.setattr(boxes, "MOST_BOXES", 3)
    for size, content in ((15, b"conte"), (12, b"cont"), (0, b"conte")):
        data = struct.pack(">I4s", size, b"meta") + b"content"
        assert boxes._read_meta(io.BytesIO(data)) == content
    for count, content in ((2, b"meta"), (3, b"")):
        data = _box(b"free", b"") * count + _box(b"meta", b"meta")
        assert boxes._read_meta(io.BytesIO(data)) == content


def test_boxes_in_a_box_end_at_one_without_a_size():
    data = _box(b"aaaa", b"1") + _box(b"bbbb", b"") + _box(b"cccc", b"23")
    expected = [(b"aaaa", b"1"), (b"bbbb", b""), (b"cccc", b"23")]
    assert [*boxes._list_boxes(data)] == expected
    assert [*boxes._list_boxes(data + bytes(7))] == expected
    assert [*boxes._list_boxes(data[:17] + bytes(8) + data)] == expected[:2]
    assert [*boxes._list_boxes(b"\0\0\0\7free" + data)] == []
