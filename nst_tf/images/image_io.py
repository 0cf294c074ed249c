"""Reads and writes images: [H, W, 3], float32 in [0, 1], sRGB."""

import functools
import io
import numbers
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast

import numpy as np
from PIL import Image

from nst_tf import errors, files, locks
from nst_tf.images import reading, transparency, writing
from nst_tf.metadata import xmp

# Extensions of output files.
OUTPUT_EXTENSIONS: tuple[str, ...] = tuple(writing.OUTPUT_FORMATS)
LANCZOS = Image.Resampling.LANCZOS
_Save = TypeVar("_Save", bound=Callable[..., None])


class Picture(NamedTuple):
    """A picture, with metadata of its file."""

    pixels: np.ndarray  # [H, W, 3], float32 in [0, 1]
    alpha: np.ndarray | None = None  # [H, W]; None if it is opaque
    exif: Image.Exif | None = None
    dpi: tuple[float, float] | None = None
    digest: str = ""  # of the file, "sha256:..."
    notes: tuple[str, ...] = ()  # for the user, such as on lost precision
    credits: xmp.Properties | None = None  # author, title and the like


def load_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads an image file, upright, in sRGB; drops the alpha channel.

    Args:
        path: A JPEG, PNG, WebP, TIFF, BMP, GIF (first frame) or AVIF file.

    Returns:
        The image, [H, W, 3], float32 in [0, 1]. Transparent areas are filled
        with nearby colors.

    Raises:
        ValueError: If the file is missing, or is not a complete image.
    """
    errors.check_path("path", path)
    return load_picture(path).pixels


def load_picture(
    path: str | os.PathLike[str],
    max_megapixels: float = reading.MEGAPIXELS,
    memory: float | None = None,
) -> Picture:
    """Reads an image file with alpha and metadata.

    PNG files are read at 16 bits. With the extra "formats", TIFF files are read
    at 16 bits or as floats, and HEIC files are supported. Before decoding, a
    picture is refused if it has more than `max_megapixels`, or needs more than
    `memory`, the memory limit of the process in bytes (None: the free memory).
    """
    return fill_transparent(read_file(path, max_megapixels, memory))


def read_file(
    path: str | os.PathLike[str],
    max_megapixels: float,
    memory: float | None = None,
) -> Picture:
    """Reads an image file, as `load_picture`; keeps transparent colors."""
    path = Path(os.path.expanduser(path))
    try:
        if path.is_dir():
            raise ValueError(f"{path} is a folder; expected an image file.")
        if not path.exists():
            near = errors.find_near_file(path)
            raise ValueError(
                f"there is no file {path}"
                + (near or "; check its name and folder.")
            )
        if not path.is_file():  # opening a pipe could block
            raise ValueError(
                f"{path} is not a regular file; pass an image file."
            )
        with open(path, "rb", opener=locks.open_above_streams) as file:
            return read_picture(file, str(path), max_megapixels, memory)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read: {error.strerror}; make it readable, or "
            "pass another file."
        ) from error


def read_picture(
    file: BinaryIO | bytes,
    name: str,
    max_megapixels: float = reading.MEGAPIXELS,
    memory: float | None = None,
) -> Picture:
    """Reads a picture from a seekable file or from bytes.

    It keeps the stored colors of transparent areas.

    Raises:
        ValueError: If it is not a complete image; the message has `name`.
    """
    if isinstance(file, bytes):
        file = io.BytesIO(file)
    picture = _read(lambda: reading.decode(file, max_megapixels, memory), name)
    return picture._replace(digest=files.digest_stream(file))


def read_image(image: Image.Image, name: str) -> Picture:
    """Reads a Pillow image of any mode, as `read_picture`."""
    return _read(lambda: reading.read_image(image), name)


def _read(read_samples: Callable[[], Any], name: str) -> Picture:
    """Makes a picture; keeps the colors of transparent pixels."""
    try:
        read = read_samples()
        if transparency.is_hidden(read.alpha):
            raise ValueError(
                "it is fully transparent; pass a picture with visible pixels"
            )
    except ValueError as error:
        mend = ""
        if str(error).startswith("it is damaged"):
            mend = "; save or download it again"
        raise ValueError(f"{name} cannot be read: {error}{mend}.") from error
    opaque = read.alpha is None or read.alpha.min() == 1
    return Picture(
        read.color,
        None if opaque else read.alpha,
        exif=read.exif,
        dpi=read.dpi,
        notes=tuple(f"{name}: {note}" for note in read.notes),
        credits=read.credits,
    )


def fill_transparent(picture: Picture) -> Picture:
    """Fills transparent areas of a picture with nearby colors."""
    if picture.alpha is None:
        return picture
    pixels = transparency.fill(picture.pixels, picture.alpha)
    return picture._replace(pixels=pixels)


def _take_options(save: _Save) -> _Save:
    """Lets `save_image` accept its deprecated third argument, options."""

    @functools.wraps(save)
    def save_or_warn(
        path: str, image: np.ndarray, options: Any = None, **keywords: Any
    ) -> None:
        if options is None:
            return save(path, image, **keywords)
        warnings.warn(
            "save_image takes keywords instead of options; write save_image("
            "path, image, bit_depth=..., quality=..., dpi=..., alpha=...)",
            DeprecationWarning,
            stacklevel=2,
        )
        return write_image(path, image, options._replace(**keywords))

    return cast(_Save, save_or_warn)


@_take_options
@errors.name_keywords()
def save_image(
    path: str | os.PathLike[str],
    image: np.ndarray,
    *,
    bit_depth: int = 8,
    quality: int = 95,
    dpi: float | tuple[float, float] | None = None,
    alpha: np.ndarray | None = None,
) -> None:
    """Writes an image file in sRGB, atomically.

    It writes a temporary file and renames it, so that the file is complete at
    any time.

    Args:
        path: The file to write; the extension, one of `OUTPUT_EXTENSIONS`, sets
            the format.
        image: [H, W, 3] in [0, 1]; values outside are clipped.
        bit_depth: Of a channel, 8 or 16; 16 in PNG and TIFF files.
        quality: Of JPEG and WebP files, up to 100.
        dpi: Pixels per inch, or (horizontal, vertical).
        alpha: Opacity, [H, W] in [0, 1]; None: opaque.

    Raises:
        ValueError: If the image is invalid, or the format does not support an
            option.
        OSError: If the file cannot be written; the temporary file is removed.
    """
    across_and_down = dpi if isinstance(dpi, tuple | None) else (dpi, dpi)
    options = writing.Options(alpha, bit_depth, quality, dpi=across_and_down)
    write_image(path, image, options)


def write_image(
    path: str | os.PathLike[str],
    image: np.ndarray,
    options: writing.Options,
    note: Callable[[Path, Path], None] | None = None,
) -> None:
    """Writes an image file, as `save_image`, with EXIF data and a record.

    If the format cannot hold the record, it goes into a .json file beside it.
    `note` is passed to `files.write_atomically`.
    """
    errors.check_path("path", path)
    path, image = Path(os.path.expanduser(path)), np.asarray(image)
    check_pixels(image)
    height, width = image.shape[:2]
    number = "a number from 1 to 100"
    errors.check_type("quality", options.quality, numbers.Real, number)
    if not 1 <= options.quality <= 100:
        raise ValueError(f"quality is {options.quality}, expected {number}.")
    for dpi in options.dpi or ():
        errors.check_type("dpi", dpi, numbers.Real, "one number, or two")
    writing.check(path, height, width, options)
    alpha = options.alpha
    if alpha is not None and alpha.shape != image.shape[:2]:
        raise ValueError(
            f"alpha has shape {alpha.shape}; expected {image.shape[:2]}."
        )
    if alpha is not None and not (alpha.max() > 0 and alpha.min() >= 0):
        raise ValueError(
            "alpha is 0 everywhere or has negative values; expected values in "
            "[0, 1]."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"{path} cannot be written: there is no folder {path.parent}; "
            "create it."
        )
    with files.write_atomically(path, note) as file:
        writing.encode(file, path.suffix.lower(), image, options)
    if options.record and writing.needs_sidecar(path, options.record):
        with files.write_atomically(writing.sidecar_path(path), note) as file:
            file.write(f"{options.record}\n".encode())


def check_pixels(image: np.ndarray) -> None:
    """Raises ValueError if an array is not a picture, [H, W, 3], of floats."""
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(
            f"image has type {image.dtype}; expected floats in [0, 1]. If its "
            "range is 0 to 255, divide it by 255."
        )
    if image.ndim != 3 or image.shape[-1] != 3:
        raise ValueError(
            f"image has shape {image.shape}; expected (height, width, 3)."
        )
    if not np.isfinite(image).all():
        raise ValueError(
            "image has NaN or infinite values; expected numbers in [0, 1]."
        )


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resamples an image, [H, W, 3], with a Lanczos filter, to [h, w, 3].

    For a smaller size the filter is widened to avoid aliasing. Overshoots are
    clipped to [0, 1].
    """
    if image.shape[:2] == (height, width):
        return image
    resized = np.empty((height, width, image.shape[-1]), np.float32)
    for index in range(image.shape[-1]):  # per channel, to save memory
        channel = np.ascontiguousarray(image[..., index], np.float32)
        seen = Image.fromarray(channel).resize((width, height), LANCZOS)
        np.clip(np.asarray(seen), 0.0, 1.0, out=resized[..., index])
    return resized


def resize_alpha(alpha: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resamples an alpha channel or a mask, [H, W] in [0, 1], to [h, w]."""
    return resize(alpha[..., None], height, width)[..., 0]


def resize_picture(picture: Picture, height: int, width: int) -> Picture:
    """Resamples a picture, with its alpha channel."""
    alpha = picture.alpha
    if alpha is not None:
        alpha = resize_alpha(alpha, height, width)
    pixels = resize(picture.pixels, height, width)
    return picture._replace(pixels=pixels, alpha=alpha)


def cover(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resamples and crops an image to a size, without distortion."""
    scale = max(height / image.shape[0], width / image.shape[1])
    rows = max(height, round(scale * image.shape[0]))
    columns = max(width, round(scale * image.shape[1]))
    resized = resize(image, rows, columns)
    top, left = (rows - height) // 2, (columns - width) // 2
    return resized[top : top + height, left : left + width]
