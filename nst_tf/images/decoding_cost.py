"""Estimates the memory and the time of decoding a file, before decoding."""

import os
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from nst_tf.backend import host_memory


class Cost(NamedTuple):
    """Peak memory per pixel, in bytes, including the samples."""

    opaque: float  # 8 bits per channel
    alpha: float  # 8 bits per channel, with transparency
    deep: float  # more than 8 bits per channel


# Worst cases by Pillow's names of formats: progressive scans, a color profile,
# a rotation; for an animation the first frame on the whole canvas. Measured by
# scripts/benchmarks/decoding.py, plus 20 %; a test compares them with its
# results.
COSTS = {
    "JPEG": Cost(35, 61, 35),
    "PNG": Cost(35, 61, 66),
    "WEBP": Cost(35, 61, 61),
    "TIFF": Cost(35, 61, 57),
    "BMP": Cost(23, 61, 23),
    "GIF": Cost(20, 59, 59),
    "PPM": Cost(23, 23, 20),
    "AVIF": Cost(38, 57, 57),
    "HEIF": Cost(35, 56, 56),
}
# Of other formats.
_DEAREST = Cost(*map(max, zip(*COSTS.values(), strict=True)))
LEAST = 1 << 26  # bytes that every picture may use
SCANNED = 20.0  # scans of the largest allowed picture; most have 10
MOST_MARKERS = 100_000  # of a JPEG file
MOST_SEGMENTS = 256  # of EXIF and XMP; Pillow's time is quadratic in these
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)
_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1
_WITHOUT_LENGTH = (0x01, 0xD8)


class Header(NamedTuple):
    """The properties of a file that its cost depends on."""

    kind: str  # Pillow's name of the format
    width: int
    height: int
    has_alpha: bool = False
    is_deep: bool = False  # more than 8 bits a channel


def check_memory(
    file: BinaryIO, header: Header, memory: float | None = None
) -> None:
    """Raises ValueError if decoding takes more memory than is free.

    Args:
        file: The file; some decoders load it completely.
        header: Its properties.
        memory: Memory limit of the process, in bytes; None: the free memory.
    """
    kind, width, height, has_alpha, is_deep = header
    cost = COSTS.get(kind, _DEAREST)
    per_pixel = cost.deep if is_deep else cost[has_alpha]
    needed = per_pixel * width * height + _measure(file)
    free = host_memory.find_free(memory)
    if free is not None and needed > max(free, LEAST):
        raise ValueError(
            f"it is {width} x {height} pixels, and decoding needs about "
            f"{needed / 1e9:.1f} GB of memory, but only "
            f"{max(free, 0) / 1e9:.1f} GB are free; pass a smaller picture, or "
            "raise --memory if it is set"
        )


def check_scans(
    file: BinaryIO, width: int, height: int, max_megapixels: float
) -> None:
    """Raises ValueError if a JPEG file has more scans than any encoder writes.

    Each scan takes time for every pixel, even if it has few bytes.

    Args:
        file: The file; its position is kept.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
        max_megapixels: Largest allowed picture.
    """
    most = SCANNED * 1e6 * max_megapixels / (width * height)
    scans = count_scans(file)
    if scans > most:
        raise ValueError(
            f"it has {scans} scans of {width} x {height} pixels, which would "
            f"take minutes to decode; expected at most {most:.0f}. Save it "
            "again"
        )


def check_segments(file: BinaryIO) -> None:
    """Raises ValueError if a JPEG file has too many segments of EXIF or XMP."""
    count = list(_list_markers(file)).count(_APP1)
    if count > MOST_SEGMENTS:
        raise ValueError(
            f"it is damaged: it has {count} segments of EXIF or XMP"
        )


def count_scans(file: BinaryIO) -> int:
    """Counts the scans of a JPEG file's first picture; keeps the position.

    Raises:
        ValueError: If it has more markers than any encoder writes.
    """
    before = file.tell()
    scans = list(_list_markers(file)).count(_SCAN)
    file.seek(before)
    return scans


def _list_markers(file: BinaryIO) -> Iterator[int]:
    """Yields the markers of the first picture of a JPEG file.

    Source:
        ITU-T T.81, annex B.1.1, markers; B.2, their order.
    """
    file.seek(0)
    for _ in range(MOST_MARKERS):
        marker = _find_marker(file)
        if marker is None or marker == _END:
            return
        yield marker
        if marker not in _WITHOUT_LENGTH:
            length = int.from_bytes(file.read(2), "big")
            file.seek(max(length - 2, 0), os.SEEK_CUR)
    raise ValueError(f"it is damaged: it has more than {MOST_MARKERS} markers")


def _find_marker(file: BinaryIO) -> int | None:
    """Finds the next marker and seeks past it; returns None at the end."""
    size = 1 << 12
    while part := file.read(size):
        if found := _MARKER.search(part):
            file.seek(found.end() - len(part), os.SEEK_CUR)
            return found[1][0]
        if part.endswith(b"\xff") and len(part) > 1:  # it may begin one
            file.seek(-1, os.SEEK_CUR)
        size = min(2 * size, 1 << 20)
    return None


def _measure(file: BinaryIO) -> int:
    """Returns the size of a file in bytes; keeps the position."""
    before = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(before)
    return size
