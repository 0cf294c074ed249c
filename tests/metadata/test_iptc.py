"""IPTC IIM, byte by byte after its specification."""

import struct

import pytest
from PIL import Image

from nst_tf.metadata import iptc

# Dataset -> property, and the most bytes of its values (IIM 4.2, chapter 6).
DATASETS = {
    5: ("dc:title", 64),
    80: ("dc:creator", 32),
    90: ("photoshop:City", 32),
    92: ("Iptc4xmpCore:Location", 32),
    95: ("photoshop:State", 32),
    101: ("photoshop:Country", 64),
    110: ("photoshop:Credit", 32),
    116: ("dc:rights", 128),
    120: ("dc:description", 2000),
}
UTF8 = b"\x1c\x01\x5a\0\3\x1b%G"


def _dataset(number, data):
    return struct.pack(">BBBH", 0x1C, 2, number, len(data)) + data


@pytest.mark.parametrize("number", DATASETS)
def test_a_property_has_its_dataset_and_its_length(number):
    name, longest = DATASETS[number]
    text = "x" * longest
    expected = UTF8 + b"\x1c\2\0\0\2\0\4" + _dataset(number, text.encode())
    assert iptc.encode({name: (text,)}) == expected
    assert iptc.read(expected) == {name: (text,)}
    assert iptc.encode({name: (text + "x",)}) == b""


def test_an_encoding_counts_if_it_is_declared_in_its_dataset():
    latin, wide = "Zoë Ã¶".encode("latin-1"), "Zoë".encode()
    assert iptc.read(_dataset(80, latin)) == {"dc:creator": ("Zoë Ã¶",)}
    assert iptc.read(UTF8 + _dataset(80, wide + b"\xff")) == {
        "dc:creator": ("Zoë\N{REPLACEMENT CHARACTER}",)
    }
    elsewhere = UTF8.replace(b"\x5a", b"\x5b") + _dataset(80, b"\xeb")
    assert iptc.read(elsewhere) == {"dc:creator": ("ë",)}


def test_of_one_property_a_hundred_values_are_read():
    data = b"".join(_dataset(80, b"%d" % n) for n in range(102))
    (values,) = iptc.read(data).values()
    # The last one stands for those beyond the limit.
    assert values == (*map(str, range(99)), "101")


def test_data_are_at_most_a_megabyte_and_other_datasets_no_properties():
    last = _dataset(5, b"t")
    fill = _dataset(200, bytes(32767)) * 31
    rest = iptc.LONGEST - len(fill) - len(last) - 5
    whole = fill + _dataset(200, bytes(rest)) + last
    assert len(whole) == iptc.LONGEST == 2**20
    assert iptc.read(whole) == {"dc:title": ("t",)}
    assert iptc.read(whole + b"\0") == {}
    other = b"\x1c\3\5\0\1t" + last
    assert iptc.read(other) == {"dc:title": ("t",)}


def test_what_is_before_a_damaged_dataset_is_read():
    first = _dataset(5, b"t")
    for damaged in (
        b"\x1c\2\x50\x80\0" + bytes(1 << 15),  # an extended length
        b"\x1c\2\x50\0\x09a",
        b"\x1b\2\x50\0\1a",
        b"\x1c\2\x50\0",
    ):
        assert iptc.read(first + damaged) == {"dc:title": ("t",)}
    empty = first + b"\x1c\2\x50\0\0"
    assert iptc.read(empty) == {"dc:title": ("t",), "dc:creator": ("",)}
    assert iptc.read(first + _dataset(200, bytes(32767)) + first) == {
        "dc:title": ("t", "t")
    }


@pytest.mark.parametrize("data", [b"abc", b"abcd"])
def test_a_jpeg_segment_is_a_resource_of_photoshop(data):
    body = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0" + bytes([len(data)])
    body += data + b"\0" * (len(data) == 3)
    expected = b"\xff\xed" + struct.pack(">H", 2 + len(body)) + body
    assert iptc.encode_segment(data) == expected


def test_a_tiff_tag_is_of_little_endian_integers():
    assert iptc.encode_integers(b"\1\2\3\4\5") == (0x04030201, 5)
    assert iptc.encode_integers(bytes(4)) == (0,)


def test_data_are_found_in_the_place_of_each_format():
    image = Image.new("RGB", (1, 1))
    for form in ("JPEG", "MPO"):
        image.format = form
        assert iptc.find(image) == b""
        image.info["photoshop"] = {0x0404: b"data", 0x0405: b"other"}
        assert iptc.find(image) == b"data"
        image.info["photoshop"] = {0x0404: {"odd": 1}}
        assert iptc.find(image) == b""
        image.info.clear()
    image.format, image.info["photoshop"] = "PNG", {0x0404: b"data"}
    assert iptc.find(image) == b""
