"""Prepares decoding libraries: header checks, warnings, file handles.

Process-wide settings are changed once for all threads.
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
    """Opens an image file to read its metadata; decodes no pixels.

    Raises:
        Exception: Any kind, if the file is damaged.
    """
    with open(path, "rb") as file, quiet():
        check_header(file)
        with Image.open(file, formats=formats) as image:
            check_exif(image)
            yield image


def check_header(file: BinaryIO) -> None:
    """Checks the parts of a file that Pillow reads on opening; seeks to 0.

    Raises:
        ValueError: If a TIFF file has too many tags, or a JPEG file too many
            EXIF segments.
    """
    file.seek(0)
    head = file.read(4)
    if head in directories.BEGINNINGS:
        directories.check_tags(file)
    elif head.startswith(b"\xff\xd8"):
        decoding_cost.check_segments(file)
    file.seek(0)


def check_exif(image: Image.Image) -> None:
    """Raises ValueError if the EXIF data of an image has too many tags."""
    data = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    directories.check_tags(io.BytesIO(data))


def describe_unknown(head: bytes) -> str:
    """Explains why a file is not a readable image, and what to do."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        if has_reader("HEIF"):
            return "it is damaged: its HEIC data cannot be read"
        return f"it is a HEIC file; to read it, run {file_samples.EXTRA}"
    start = head.lstrip()[:9].lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "it is a web page; pass the address of the image itself"
    return (
        "it is not an image in a supported format; expected a JPEG, PNG, WebP, "
        "TIFF, BMP, GIF or AVIF file"
    )


def has_reader(name: str) -> bool:
    """Returns whether Pillow can read a format."""
    Image.init()
    return name in Image.OPEN


@contextlib.contextmanager
def reopen(file: BinaryIO) -> Iterator[BinaryIO]:
    """Opens a second handle of a file, at its start; yields in-memory files.

    The thread of an interrupted call continues after its caller closed the
    file, and libtiff reads from a descriptor, which may belong to another file
    by then.
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
    """A context for several threads: the first enters, the last exits it.

    Threads do not wait for each other.
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
    """Removes Pillow's pixel limit, and silences the libraries' messages."""
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
