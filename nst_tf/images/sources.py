"""Loads pictures from files, addresses and standard input."""

import contextlib
import hashlib
import logging
import os
import sys
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nst_tf import display, files, locks, urls
from nst_tf.images import image_io, reading

STANDARD_INPUT = "-"
NOT_IN_NAMES = frozenset('<>:"|?*\\')  # on Windows
# Extensions of pictures in folders.
INPUT_EXTENSIONS = (
    *image_io.OUTPUT_EXTENSIONS,
    *(".jpe", ".jfif", ".mpo", ".apng", ".dib", ".gif", ".avif", ".avifs"),
    *(".heic", ".heics", ".heif", ".heifs", ".hif"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".pfm"),
)
SECONDS = 120.0  # time limit of a download
FIRST_BYTE_SECONDS = 15.0  # time limit of its first byte
_LOG = logging.getLogger("nst_tf")


def load(
    source: str,
    max_megapixels: float = reading.MEGAPIXELS,
    is_mask: bool = False,
    may_download: bool = True,
    memory: float | None = None,
) -> image_io.Picture:
    """Reads a picture; downloads it if its source is an address.

    It caches downloads that are valid pictures, and logs downloads and cache
    hits.

    Args:
        source: The path of a file, an address with http or https, or "-".
        max_megapixels: As in `image_io.load_picture`.
        is_mask: Whether to keep the stored colors of transparent areas, as
            masks need; in other pictures they are filled with nearby colors.
        may_download: Whether downloads are allowed; otherwise an address must
            be cached.
        memory: As in `image_io.load_picture`.

    Raises:
        ValueError: If the source is missing, or is not a complete picture.
    """
    picture = _read(source, max_megapixels, may_download, memory)
    return picture if is_mask else image_io.fill_transparent(picture)


def _read(
    source: str, max_megapixels: float, may_download: bool, memory: float | None
) -> image_io.Picture:
    """Reads a picture; keeps the stored colors of transparent areas."""
    if source == STANDARD_INPUT:
        display.show_stage("reading standard input")
        data = _standard_input(reading.find_largest_file(max_megapixels))
        return image_io.read_picture(
            data, "standard input", max_megapixels, memory
        )
    if urls.is_address(source):
        return _fetch(source, max_megapixels, may_download, memory)
    if urls.has_scheme(source) and not os.path.exists(source):
        raise ValueError(
            f"{urls.show_address(source)} is neither a file nor an http or "
            "https address; download it first."
        )
    display.show_stage(f"reading {find_name(source)}")
    return image_io.read_file(source, max_megapixels, memory)


def list_pictures(folder: str | os.PathLike[str]) -> list[str]:
    """Lists the pictures of a folder, sorted by name; ignores other files.

    It also ignores hidden files, such as those that macOS leaves beside
    pictures.

    Raises:
        ValueError: If the folder has no pictures, or cannot be read.
    """
    path = Path(os.path.expanduser(folder))
    try:
        found = sorted(
            str(each)
            for each in path.iterdir()
            if not each.name.startswith(".")
            and each.suffix.lower() in INPUT_EXTENSIONS
            and each.is_file()
        )
    except OSError as error:
        raise ValueError(
            f"style folder {path} cannot be read: {error.strerror}; make it "
            "readable, or pass its pictures."
        ) from error
    if not found:
        raise ValueError(
            f"style folder {path} has no pictures; expected files with the "
            f"extensions {', '.join(INPUT_EXTENSIONS)}."
        )
    return found


def is_folder(source: object) -> bool:
    """Returns whether a source is the path of a folder."""
    return isinstance(source, (str, os.PathLike)) and os.path.isdir(
        os.path.expanduser(source)
    )


def expand_folders(styles: Sequence[Any]) -> list[list[Any]]:
    """Lists the pictures of each style: a folder's, or the style itself.

    Args:
        styles: Paths, addresses, arrays; some of the paths may be folders.

    Raises:
        ValueError: If a folder has no pictures.
    """
    return [
        list_pictures(each) if is_folder(each) else [each] for each in styles
    ]


def find_name(source: str) -> str:
    """Returns the file name of a source, without folders or queries."""
    if source == STANDARD_INPUT:
        return "standard-input"
    if urls.is_address(source):
        path = urllib.parse.unquote(urllib.parse.urlsplit(source).path)
        last = path.rstrip("/").rpartition("/")[2]
        kept = (c for c in last if c.isprintable() and c not in NOT_IN_NAMES)
        return "".join(kept).lstrip(".-") or "download"
    return Path(source).name


def is_file(source: str) -> bool:
    """Returns whether a source is the path of a file."""
    return source != STANDARD_INPUT and not urls.is_address(source)


def find_cached(url: str) -> Path | None:
    """Returns the path of a download in the cache; None without a cache."""
    key = hashlib.sha256(url.encode(errors="surrogatepass")).hexdigest()[:32]
    cache = files.find_cache()
    return cache and cache / "pictures" / key


def list_cached() -> list[Path]:
    """Lists the downloads in the cache."""
    cache = files.find_cache()
    try:
        return sorted((cache / "pictures").iterdir()) if cache else []
    except OSError:
        return []


def _fetch(
    url: str, max_megapixels: float, may_download: bool, memory: float | None
) -> image_io.Picture:
    """Reads a picture from the cache, or from its address."""
    path, named = find_cached(url), urls.show_address(url)
    if path and path.is_file():
        _LOG.info("using the cached download of %s, %s", named, path)
        with (
            contextlib.suppress(ValueError, OSError),
            open(path, "rb", opener=locks.open_above_streams) as file,
        ):
            return image_io.read_picture(file, named, max_megapixels, memory)
    if not may_download:
        raise ValueError(
            f"{named} is not in the cache, and --dry_run does not download; "
            "download it first, and pass the file."
        )
    _LOG.info("downloading %s ...", named)
    try:
        parts = urls.download(
            url,
            limit=reading.find_largest_file(max_megapixels),
            seconds=SECONDS,
            first_byte_seconds=FIRST_BYTE_SECONDS,
            report=display.follow_download(named),
        )
        data = b"".join(parts)
    except OSError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ValueError(
            f"{named} cannot be downloaded: {reason}; try again, or download "
            "it in a browser and pass the file."
        ) from error
    picture = image_io.read_picture(data, named, max_megapixels, memory)
    folder = files.make_cache("pictures")
    if folder and path:
        with (
            contextlib.suppress(OSError),  # the cache is optional
            files.write_atomically(path) as file,
        ):
            file.write(data)
    return picture


def _standard_input(limit: int) -> bytes:
    """Reads all of standard input."""
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or sys.stdin.isatty():
        raise ValueError(
            "a picture is '-', but standard input is a terminal; add < PICTURE "
            "to the command."
        )
    data = bytes(stream.read(limit + 1))
    if not data:
        raise ValueError("standard input is empty; expected a picture.")
    return data
