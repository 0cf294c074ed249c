"""Checks the tag directories of TIFF files and EXIF before libraries read them.

Libraries create an object of up to 200 bytes for each number in a tag: a file
of 120 MB could fill 3 GB.
"""

import os
import struct
from typing import BinaryIO

MOST_NUMBERS = 1 << 20  # in the tags of a directory
MOST_ENTRIES = 1 << 16  # of all directories
MOST_DIRECTORIES = 1000  # that are checked
BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # of TIFF files
# Tag type -> `struct` format of its numbers; other types are text.
_NUMBERS = {
    **{3: "H", 4: "I", 8: "h", 9: "i", 11: "f", 13: "I"},
    **{5: "Q", 10: "Q", 12: "d", 16: "Q", 17: "q", 18: "Q"},
}
_POINTERS = (330, 34665, 34853, 40965)  # SubIFDs, EXIF, GPS, interoperability
_MOST_POINTERS = 64  # followed per tag


def check_tags(file: BinaryIO) -> None:
    """Checks all directories of a TIFF file or of EXIF data, a TIFF itself.

    Raises:
        ValueError: If the tags of a directory are longer than the file or have
            more than `MOST_NUMBERS` numbers, or there are more than
            `MOST_ENTRIES` tags.

    Source:
        TIFF revision 6.0, section 2; the BigTIFF design of libtiff.
    """
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(4)
    order, is_big = "<" if head[:2] == b"II" else ">", b"+" in head
    pointer, counter = ("Q", "Q") if is_big else ("I", "H")
    width = struct.calcsize(pointer)  # of values stored inside an entry
    entry = struct.Struct(f"{order}HH{pointer}{pointer}")

    def read(kind: str, place: int, number: int) -> list[int]:
        form = struct.Struct(order + kind)
        file.seek(min(place, length))
        data = file.read(min(number * form.size, length))
        whole = len(data) // form.size * form.size
        return [value for (value,) in form.iter_unpack(data[:whole])]

    places, tags = read(pointer, width, 1), 0
    for place in places:  # the list grows
        start = place + struct.calcsize(counter)
        count = sum(read(counter, place, 1))
        tags += count
        if tags > MOST_ENTRIES:
            raise ValueError(f"it is damaged: it has {tags} tags")
        found = read(pointer, start + count * entry.size, 1)
        file.seek(min(start, length))
        data = file.read(min(count * entry.size, length))
        entries = entry.iter_unpack(
            data[: len(data) // entry.size * entry.size]
        )
        total = numbers = 0
        for index, (tag, kind, many, value) in enumerate(entries):
            letter = _NUMBERS.get(kind, "B")
            size = many * struct.calcsize(letter)
            total += size if size > width else 0
            numbers += many if kind in _NUMBERS else 0
            if tag in _POINTERS and letter in "HIQ":
                inside = start + index * entry.size + 4 + width
                where = value if size > width else inside
                found += read(letter, where, min(many, _MOST_POINTERS))
        if total > length or numbers > MOST_NUMBERS:
            raise ValueError(
                f"it is damaged: its tags claim {total} bytes and {numbers} "
                "numbers"
            )
        found = [each for each in found if each and each not in places]
        places += found[: MOST_DIRECTORIES - len(places)]
