"""Finds the color code points in the boxes of AVIF and HEIC files.

Source:
    ISO/IEC 14496-12, section 4.2 and 8.11; ISO/IEC 23008-12, section 9.3.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

LONGEST = 1 << 24  # bytes of the meta box
MOST_BOXES = 1000  # before it


def find_nclx(file: BinaryIO) -> Sequence[int]:
    """Returns the color code points of the primary picture.

    Returns:
        Primaries, transfer and matrix of ITU-T H.273; empty if they are missing
        or the boxes are damaged.
    """
    try:
        meta = dict(_list_boxes(_read_meta(file)[4:]))
        primary = meta[b"pitm"]
        (item,) = struct.unpack_from(">I" if primary[0] else ">H", primary, 4)
        properties = dict(_list_boxes(meta[b"iprp"]))
        values = list(_list_boxes(properties[b"ipco"]))
        for index in _list_properties(properties[b"ipma"], item):
            kind, data = values[index - 1]
            if kind == b"colr" and data[:4] == b"nclx":
                return struct.unpack_from(">3H", data, 4)
    except (KeyError, IndexError, struct.error):
        pass
    return ()


def _read_meta(file: BinaryIO) -> bytes:
    """Reads the meta box of a file."""
    file.seek(0)
    for _ in range(MOST_BOXES):
        head = file.read(8)
        if len(head) < 8:
            break
        size, kind = struct.unpack(">I4s", head)
        length = size - 8
        if size == 1:
            (size,) = struct.unpack(">Q", file.read(8))
            length = size - 16
        if kind == b"meta":
            return file.read(min(length, LONGEST) if size else LONGEST)
        if length < 0:
            break
        file.seek(length, 1)
    return b""


def _list_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the boxes in a box: kind and content."""
    place = 0
    while place + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        if size < 8:  # open-ended or 64-bit sizes: not needed here
            return
        yield kind, data[place + 8 : place + size]
        place += size


def _list_properties(data: bytes, item: int) -> list[int]:
    """Lists the numbers, from 1, of the properties of an item."""
    is_wide, is_long = data[0] > 0, data[3] & 1
    form = struct.Struct(">H" if is_long else ">B")
    (count,) = struct.unpack_from(">I", data, 4)
    place = 8
    for _ in range(count):
        (owner,) = struct.unpack_from(">I" if is_wide else ">H", data, place)
        place += 4 if is_wide else 2
        end = place + 1 + data[place] * form.size
        if owner == item:
            several = form.iter_unpack(data[place + 1 : end])
            # The highest bit marks essential properties.
            return [
                value & (0x7FFF if is_long else 0x7F) for (value,) in several
            ]
        place = end
    return []
