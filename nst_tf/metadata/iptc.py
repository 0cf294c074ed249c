"""Reads and writes credits in IPTC IIM, which news agencies still use.

It is a binary form of the properties of `xmp`: JPEG files have it in
Photoshop's segment, TIFF files in a tag.

Source:
    IPTC-NAA Information Interchange Model 4.2.
"""

import struct
from collections.abc import Iterator
from typing import Any

from PIL import Image, TiffImagePlugin

from nst_tf.metadata import xmp

LONGEST = 1 << 20  # bytes
TAG = TiffImagePlugin.IPTC_NAA_CHUNK
_RESOURCE = 0x0404  # Photoshop's resource
_UTF8 = b"\x1b%G"
# Dataset of record 2 -> property, maximum bytes.
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
    """Returns the IIM data of an open Pillow image; empty without any."""
    # In a PNG file "photoshop" may be any text's keyword.
    if image.format in ("JPEG", "MPO"):
        data = image.info.get("photoshop", {}).get(_RESOURCE, b"")
        return data if isinstance(data, bytes) else b""
    # Photoshop declares these bytes as integers, and Pillow returns only the
    # first.
    tags: Any = getattr(image, "tag_v2", None)
    return getattr(tags, "_tagdata", {}).get(TAG, b"")


def read(data: bytes) -> dict[str, tuple[str, ...]]:
    """Parses the properties that XMP also has; none if damaged."""
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
    """Encodes the properties that IIM supports; empty without any.

    Texts too long for IIM are only in XMP, which every file has.
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
    """Encodes the JPEG segment, with its marker."""
    resource = struct.pack(">4sHHI", b"8BIM", _RESOURCE, 0, len(data))
    whole = b"Photoshop 3.0\0" + resource + data + b"\0" * (len(data) % 2)
    return b"\xff\xed" + struct.pack(">H", 2 + len(whole)) + whole


def encode_integers(data: bytes) -> tuple[int, ...]:
    """Encodes the value of the TIFF tag, as little-endian integers."""
    padded = data + bytes(-len(data) % 4)
    return struct.unpack(f"<{len(padded) // 4}I", padded)


def _list_datasets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yields record, number and value, up to the first damaged dataset."""
    place = 0
    while len(data) - place >= 5 and data[place] == 0x1C:
        record, number, length = struct.unpack_from(">BBH", data, place + 1)
        place += 5 + length
        if length >= 1 << 15 or place > len(data):
            return
        yield record, number, data[place - length : place]


def _decode(value: bytes, is_utf8: bool) -> str:
    """Decodes a text; guesses the encoding if it is not declared."""
    try:
        return value.decode("utf-8", "replace" if is_utf8 else "strict")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _dataset(record: int, number: int, data: bytes) -> bytes:
    """Encodes one dataset."""
    return struct.pack(">BBBH", 0x1C, record, number, len(data)) + data
