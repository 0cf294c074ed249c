"""Chooses the picture of a file that is read, and counts the others.

Previews, thumbnails, masks and gain maps are not counted. Raw photographs are
refused, since only their preview could be read.

Sources:
    TIFF revision 6.0, sections 2 and 8; TIFF Technical Note 1 (SubIFDs).
    Adobe. Digital Negative specification 1.7, chapter 2; TIFF/EP, tag 262.
    CIPA DC-007, Multi-Picture Format, section 5.2.3.3.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

from nst_tf.metadata import directories

MOST_ENTRIES = 500  # of a directory
MOST_CHILDREN = 64  # of a page
# (offset, magic bytes, format) of raw files that are not TIFF.
RAW = (
    *((0, b"FUJIFILMCCD-RAW", "RAF"), (0, b"IIU\0", "RW2")),
    *((0, b"IIRO", "ORF"), (0, b"IIRS", "ORF"), (0, b"MMOR", "ORF")),
    *((4, b"ftypcrx ", "CR3"), (6, b"HEAPCCDR", "CRW"), (8, b"CR\2", "CR2")),
    *((0, b"FOVb", "X3F"), (0, b"\0MRM", "MRW")),
    *((8, b"IIII", "IIQ"), (8, b"MMMM", "IIQ")),
)
_KIND, _OLD_KIND, _WIDTH, _HEIGHT, _COLORS = 254, 255, 256, 257, 262
_CHILDREN, _DNG = 330, 50706
_REDUCED, _MASK = 1, 4  # bits of the kind
_SENSOR = (32803, 34892)  # sensor colors: mosaic, or linear
# Tag type -> `struct` format of its numbers.
_INTEGERS = dict(zip((1, 3, 4, 13, 16, 18), "BHIIQQ", strict=True))


class Directory(NamedTuple):
    """A directory of a TIFF file, which describes a page."""

    tags: Mapping[int, int]  # tag -> first number, if stored inline
    following: int = 0  # offset of the next page; 0: none
    children: Sequence[int] = ()  # offsets of SubIFDs


class Choice(NamedTuple):
    """The page of a TIFF file to read."""

    page: int = 0
    pictures: int = 1  # pages other than previews and masks


def choose(file: BinaryIO, head: bytes) -> Choice:
    """Chooses the picture of a file to read.

    Args:
        file: The seekable file, whose position changes.
        head: Its first 32 bytes.

    Raises:
        ValueError: If it is a raw photograph.
    """
    raw = [kind for at, magic, kind in RAW if head[at:].startswith(magic)]
    if raw:
        raise ValueError(_refuse(raw[0]))
    if head[:4] not in directories.BEGINNINGS:
        return Choice()
    pages, children = _list_directories(file)
    for tags, *_ in (*pages, *children):
        if tags.get(_COLORS) in _SENSOR or _DNG in tags:
            raise ValueError(_refuse("DNG" if _DNG in tags else "TIFF/EP"))
    whole = [i for i, page in enumerate(pages) if _is_whole(page.tags)]
    if whole or not pages:
        return Choice(whole[0], len(whole)) if whole else Choice()
    areas = [
        page.tags.get(_WIDTH, 0) * page.tags.get(_HEIGHT, 0) for page in pages
    ]
    return Choice(areas.index(max(areas)), 0)


def describe_others(image: Any, choice: Choice) -> tuple[str, ...]:
    """Describes the other pictures of a file in a note; ignores auxiliary ones.

    Args:
        image: The open Pillow image; None if Pillow cannot open it.
        choice: The page that is read.
    """
    kind = image.format if image else "TIFF"
    count, which = getattr(image, "n_frames", 1), "first"
    if kind == "TIFF":
        count = choice.pictures
        if not count:
            return ("its pages are marked as previews; the largest was read",)
    elif kind == "MPO":
        entries = image.mpinfo[0xB002]
        kinds = [entry["Attribute"]["MPType"] for entry in entries[1:]]
        count = 1 + sum(kind.startswith("Multi-Frame") for kind in kinds)
    elif kind == "HEIF":
        which = "primary one"
    elif kind == "GIF":  # counting frames decodes all
        if image.is_animated:
            return ("it is an animation; its first frame was read",)
        return ()
    elif count > 1:
        return (f"it is an animation of {count} frames; the first was read",)
    if count > 1:
        return (f"it has {count} pictures; the {which} was read",)
    return ()


def _refuse(kind: str) -> str:
    """Formats the error for a raw photograph."""
    return (
        f"it is a raw photograph ({kind}); export it as TIFF or JPEG from the "
        f"camera's program or another raw converter"
    )


def _is_whole(tags: Mapping[int, int]) -> bool:
    """Returns whether a page is a picture, neither a preview nor a mask."""
    kind = tags.get(_KIND, 0)
    return not kind & (_REDUCED | _MASK) and tags.get(_OLD_KIND) != 2


def _list_directories(
    file: BinaryIO,
) -> tuple[list[Directory], list[Directory]]:
    """Reads the pages of a TIFF file, and their SubIFDs."""
    file.seek(0)
    head = file.read(16).ljust(16, b"\0")
    order, is_big = "<" if head[:2] == b"II" else ">", b"+" in head[:4]
    pointer = struct.Struct(order + ("Q" if is_big else "I"))
    (place,) = pointer.unpack_from(head, pointer.size)
    pages: list[Directory] = []
    seen: set[int] = set()
    while (
        place
        and place not in seen
        and len(pages) < directories.MOST_DIRECTORIES
    ):
        seen.add(place)
        pages.append(_read_directory(file, place, pointer))
        place = pages[-1].following
    children = [place for page in pages for place in page.children]
    return pages, [
        _read_directory(file, place, pointer)
        for place in children[: directories.MOST_DIRECTORIES]
    ]


def _read_directory(
    file: BinaryIO, place: int, pointer: struct.Struct
) -> Directory:
    """Reads a directory; for a damaged one, its readable part."""
    order, width = pointer.format[0], pointer.size
    counter = struct.Struct(order + ("Q" if width == 8 else "H"))
    entry = struct.Struct(f"{order}HH{pointer.format[1]}{width}s")

    def read(where: int, size: int) -> bytes:
        file.seek(min(where, 1 << 62))
        return file.read(size).ljust(size, b"\0")

    (count,) = counter.unpack(read(place, counter.size))
    size = min(count, MOST_ENTRIES) * entry.size
    start = place + counter.size
    (following,) = pointer.unpack(read(start + count * entry.size, width))
    tags, children = {}, []
    for tag, kind, many, value in entry.iter_unpack(read(start, size)):
        number = struct.Struct(order + _INTEGERS.get(kind, "0s"))
        many = min(many, MOST_CHILDREN if tag == _CHILDREN else many)
        if not number.size or not many:
            continue
        if many * number.size <= width:
            tags[tag], *_ = number.unpack_from(value)
        elif tag == _CHILDREN:
            value = read(pointer.unpack(value)[0], many * number.size)
        if tag == _CHILDREN:
            found = number.iter_unpack(value[: many * number.size])
            children += [each for (each,) in found]
    return Directory(tags, following, children)
