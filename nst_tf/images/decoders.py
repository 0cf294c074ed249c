"""Libraries that decode: opened for headers, kept quiet, and by who waits.

What they share with the whole process is changed once for all threads.
"""

import contextlib
import io
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import BinaryIO

from PIL import Image

from nst_tf import locks
from nst_tf.images import decoding_cost, file_samples
from nst_tf.metadata import directories

_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@contextlib.contextmanager
def open_header(
    path: str | os.PathLike[str], formats: list[str]
) -> Iterator[Image.Image]:
    """Opens an image file for what it says of itself; decodes no pixel.

    Raises:
        Exception: Of any kind, if it is damaged.
    """
    with open(path, "rb") as file, quiet():
        check_header(file)
        with Image.open(file, formats=formats) as image:
            check_exif(image)
            yield image


def check_header(file: BinaryIO) -> None:
    """Checks what Pillow reads as it opens a file, which is left at its start.

    Raises:
        ValueError: If a TIFF file has too many tags, or a JPEG file too many
            segments of EXIF.
    """
    file.seek(0)
    head = file.read(4)
    if head in directories.BEGINNINGS:
        directories.check_tags(file)
    elif head.startswith(b"\xff\xd8"):
        decoding_cost.check_segments(file)
    file.seek(0)


def check_exif(image: Image.Image) -> None:
    """Raises ValueError if EXIF, outside of TIFF files, holds too much."""
    data = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    directories.check_tags(io.BytesIO(data))


def describe_unknown(head: bytes) -> str:
    """Says what a file is not, and what would help."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        if has_reader("HEIF"):
            return "it is a damaged HEIC file"
        return f"it is a HEIC file; to read those: {file_samples.EXTRA}"
    start = head.lstrip()[:9].lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "it is a web page, expected an image"
    return (
        "it is not an image that can be read; expected a JPEG, PNG, WebP, "
        "TIFF, BMP, GIF or AVIF file"
    )


def has_reader(name: str) -> bool:
    """Whether Pillow has a reader of a format."""
    Image.init()
    return name in Image.OPEN


@contextlib.contextmanager
def reopen(file: BinaryIO) -> Iterator[BinaryIO]:
    """Opens a file again, from its begin; a file in memory is yielded itself.

    The thread of an interrupted call goes on after its caller closed the file,
    and libtiff reads from a number, which may be that of another file by then.
    """
    own = None
    with contextlib.suppress(OSError):
        own = locks.lift_above_streams(os.dup(file.fileno()))
    if own is None:
        yield file
        return
    place = os.lseek(own, 0, os.SEEK_CUR)  # both share it
    with open(file.name, "rb", opener=lambda *_: own) as again:
        again.seek(0)
        try:
            yield again
        finally:
            os.lseek(own, place, os.SEEK_SET)


class _Shared:
    """A context of several threads: the first enters it, the last leaves it.

    No thread waits for another.
    """

    def __init__(
        self, enter: Callable[[], contextlib.AbstractContextManager[None]]
    ):
        self._enter = enter
        self._lock = threading.Lock()
        self._inside = 0
        self._stack = contextlib.ExitStack()

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._inside:
                self._stack.enter_context(self._enter())
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._stack.close()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Lifts Pillow's limit of pixels; keeps the libraries from chatting."""
    loggers = [
        logging.getLogger(name) for name in ("tifffile", "PIL.TiffImagePlugin")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        disabled = [logger.disabled for logger in loggers]
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
            for logger, was in zip(loggers, disabled, strict=True):
                logger.disabled = was


quiet = _Shared(_quiet)
