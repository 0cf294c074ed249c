"""IPTC's older form of credits, IIM: as news agencies and archives read it.

The tables of `xmp`, in binary: of JPEG files in Photoshop's segment, of TIFF
files in a tag.

Source:
    IPTC-NAA Information Interchange Model 4.2.
"""

import struct
from collections.abc import Iterator
from typing import Any

from PIL import Image, TiffImagePlugin

from nst_tf.metadata import xmp

LONGEST = 1 << 20  # bytes that are read
TAG = TiffImagePlugin.IPTC_NAA_CHUNK
_RESOURCE = 0x0404  # of Photoshop's
_UTF8 = b"\x1b%G"
# Datasets of record 2, and how many bytes each may have.
_DATASETS = {
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


def find(image: Image.Image) -> bytes:
    """Returns the data of a file that Pillow has opened; empty if none."""
    # In a PNG file "photoshop" may be any text's keyword.
    if image.format in ("JPEG", "MPO"):
        data = image.info.get("photoshop", {}).get(_RESOURCE, b"")
        return data if isinstance(data, bytes) else b""
    # Photoshop says that the bytes in a TIFF file are integers, of which Pillow
    # takes the first for all.
    tags: Any = getattr(image, "tag_v2", None)
    return getattr(tags, "_tagdata", {}).get(TAG, b"")


def read(data: bytes) -> dict[str, tuple[str, ...]]:
    """Reads the properties that XMP has, too; none of damaged data."""
    if len(data) > LONGEST:
        return {}
    sets = list(_list_datasets(data))
    is_utf8 = (1, 90, _UTF8) in sets
    found: dict[str, tuple[str, ...]] = {}
    for record, number, value in sets:
        if record == 2 and number in _DATASETS:
            name = _DATASETS[number][0]
            found[name] = (*found.get(name, ())[:99], _decode(value, is_utf8))
    return found


def encode(properties: xmp.Properties) -> bytes:
    """Writes what this form can hold; nothing if that is nothing.

    A text that is too long for it is left to XMP, which every file has, too.
    """
    parts = []
    for number, (name, longest) in _DATASETS.items():
        for value in properties.get(name, ()):
            data = value.encode("utf-8", "replace")
            if len(data) <= longest:
                parts.append(_dataset(2, number, data))
    if not parts:
        return b""
    head = _dataset(1, 90, _UTF8) + _dataset(2, 0, b"\0\4")  # the version
    return head + b"".join(parts)


def encode_segment(data: bytes) -> bytes:
    """Writes the segment of a JPEG file, with its marker."""
    resource = struct.pack(">4sHHI", b"8BIM", _RESOURCE, 0, len(data))
    whole = b"Photoshop 3.0\0" + resource + data + b"\0" * (len(data) % 2)
    return b"\xff\xed" + struct.pack(">H", 2 + len(whole)) + whole


def encode_integers(data: bytes) -> tuple[int, ...]:
    """Writes the value of the tag of a TIFF file, of little-endian integers."""
    padded = data + bytes(-len(data) % 4)
    return struct.unpack(f"<{len(padded) // 4}I", padded)


def _list_datasets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Lists record, number and value, up to the first that is damaged."""
    place = 0
    while len(data) - place >= 5 and data[place] == 0x1C:
        record, number, length = struct.unpack_from(">BBH", data, place + 1)
        place += 5 + length
        if length >= 1 << 15 or place > len(data):
            return
        yield record, number, data[place - length : place]


def _decode(value: bytes, is_utf8: bool) -> str:
    """Reads a text; where it does not say how it is written, by a guess."""
    try:
        return value.decode("utf-8", "replace" if is_utf8 else "strict")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _dataset(record: int, number: int, data: bytes) -> bytes:
    """Writes one dataset."""
    return struct.pack(">BBBH", 0x1C, record, number, len(data)) + data
