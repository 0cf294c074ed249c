"""Image files -> samples at full depth, with what they say of themselves.

Pillow reads what has 8 bits a channel. It cuts 16-bit colors to 8: those of PNG
files are read by TensorFlow, those of TIFF files by tifffile, an extra, as are
floats; HEIC files by pillow-heif, likewise.
"""

import contextlib
import importlib.util
import io
import logging
import os
import threading
import warnings
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from nst_tf import device, icc

FORMATS = (
    "JPEG",
    "MPO",
    "PNG",
    "WEBP",
    "TIFF",
    "BMP",
    "GIF",
    "AVIF",
    "HEIF",
    "PPM",
)
EXTRA = "pip install 'nst-tf[formats]'"
BYTES_PER_PIXEL = 16  # of a file, at most: four channels of floats
LEAST_BYTES = 1 << 26  # any file may be so large
LONGEST_REASON = 300  # characters of what a decoder says
LARGEST_TILE = 1 << 22  # pixels, in any picture
MEGAPIXELS = 200.0  # of a picture, at most, unless more are allowed
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# 'L' with transparency and palettes become one of these first.
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
_LOCK = threading.Lock()  # Pillow's limit is one for all threads


class Samples(NamedTuple):
    """A decoded picture, upright, in sRGB."""

    pixels: np.ndarray  # [H, W, 3], float32 in [0, 1]
    alpha: np.ndarray | None  # [H, W], float32 in [0, 1]; None if it has none
    exif: Image.Exif
    dpi: tuple[float, float] | None  # pixels per inch: horizontal, vertical
    notes: tuple[str, ...]  # for people: what was not done in the best way


class _Raw(NamedTuple):
    """Samples as they stand in the file."""

    color: np.ndarray  # [H, W, 1 or 3], float32 in [0, 1]
    alpha: np.ndarray | None  # [H, W]
    notes: tuple[str, ...] = ()
    orientation: int = 1
    converted: bool = False  # to sRGB
    profile: bytes = b""


def decode(file: BinaryIO, max_megapixels: float = MEGAPIXELS) -> Samples:
    """Reads a picture.

    Args:
        file: Open for reading, and seekable.
        max_megapixels: Larger ones are refused before they are decoded.

    Raises:
        ValueError: If it is no picture, damaged, or too large: in a clause.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if not size:
        raise ValueError("it is empty")
    limit = largest_file(max_megapixels)
    if size > limit:
        raise ValueError(
            f"it has {size / 1e6:.0f} MB, and at most {limit / 1e6:.0f} are "
            f"read; raise --max_megapixels if that is right"
        )
    head = file.read(32)
    file.seek(0)
    try:
        with quiet():
            return _decode(file, head, max_megapixels)
    except UnidentifiedImageError:
        raise ValueError(_unidentified(head)) from None
    except MemoryError:
        raise ValueError("there is not enough memory for it") from None
    except ValueError as error:  # ours, or a decoder's in its own style
        raise ValueError(_clause(error)) from error
    except Exception as error:  # decoders raise anything on damaged files
        raise ValueError(f"it is damaged: {_clause(error)}") from error


def _clause(error: Exception) -> str:
    """What an error says, in one line, not too long, without its period."""
    said = " ".join(str(error).split()).rstrip(".!: ")
    if len(said) > LONGEST_REASON:
        said = said[:LONGEST_REASON].rstrip(".!: ")
    return said or type(error).__name__


def largest_file(max_megapixels: float = MEGAPIXELS) -> int:
    """How many bytes of a file are read, at most."""
    return max(LEAST_BYTES, int(BYTES_PER_PIXEL * 1e6 * max_megapixels))


def _decode(file: BinaryIO, head: bytes, max_megapixels: float) -> Samples:
    """Reads a picture, by whichever library keeps its depth."""
    _register_heif()
    exif, dpi = Image.Exif(), None
    try:
        image = Image.open(file, formats=[f for f in FORMATS if _known(f)])
    except UnidentifiedImageError:
        if head[:4] not in _TIFF:
            raise
        raw = _by_tifffile(file, max_megapixels)
    else:
        with image:
            _check_size(*image.size, max_megapixels)
            tags = getattr(image, "tag_v2", {})
            _check_tile(tags.get(322, 0), tags.get(323, 0), max_megapixels)
            exif, dpi = _exif(image), _dpi(image)
            if image.format == "PNG" and head[24] == 16:
                raw = _by_tensorflow(file, image)
            elif not _is_deep_tiff(image):
                raw = _by_pillow(image)
            elif has_tifffile():
                raw = _by_tifffile(file, max_megapixels)
            else:
                note = f"read at 8 bits a channel; for all of them: {EXTRA}"
                raw = _by_pillow(image)
                raw = raw._replace(notes=(*raw.notes, note))
    color, notes = raw.color, raw.notes
    if raw.profile and not raw.converted:
        color, more = _to_srgb(color, raw.profile)
        notes += more
    if color.shape[-1] == 1:
        color = np.repeat(color, 3, axis=-1)
    orientation = exif.get(ExifTags.Base.Orientation, raw.orientation)
    return Samples(
        upright(color, orientation),
        None if raw.alpha is None else upright(raw.alpha, orientation),
        exif,
        dpi,
        notes,
    )


def upright(array: np.ndarray, orientation: object) -> np.ndarray:
    """Turns an array, [H, W, ...], as an EXIF orientation says.

    Source:
        CIPA DC-008, Exif 3.0, tag 274: 2 to 4 mirror and turn by half, 5 to 8
        exchange rows and columns as well.
    """
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def _by_pillow(image: Image.Image) -> _Raw:
    """Reads what has 8 bits a channel, and gray of 16 bits or floats."""
    with device.silent_stderr(shown_on_failure=False):
        image.load()
    profile = image.info.get("icc_profile", b"")
    if image.mode.startswith(("I", "F")):
        return _Raw(_deep_gray(image), None, profile=profile)
    alpha = None
    if image.has_transparency_data:
        gray = image.mode in ("1", "L", "LA", "La")
        image = image.convert("RGBA")
        alpha = np.asarray(image.getchannel("A"), np.float32) / 255
        image = image.convert("RGB").convert("L" if gray else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in _SPACES:
        image = image.convert("RGB")
    notes: tuple[str, ...] = ()
    converted = image.mode in ("CMYK", "LAB")
    if converted or (profile and _has_tables(profile)):
        image, notes = _by_littlecms(image, profile)
        converted = True
    samples = np.asarray(image, np.float32) / 255
    if samples.ndim == 2:
        samples = samples[..., None]
    return _Raw(samples, alpha, notes, 1, converted, profile)


def _deep_gray(image: Image.Image) -> np.ndarray:
    """Reads gray of 16 bits, or floats."""
    samples = np.asarray(image).astype(np.float32)
    tags = getattr(image, "tag_v2", {})
    if image.mode.startswith("I"):
        bits = tags.get(258, (16,))[0]  # 12 are stored in 16, too
        samples /= 2**bits - 1
    if image.mode.startswith("I;16") and tags.get(262) == 0:  # 0 is white
        samples = 1 - samples
    return _checked(samples)[..., None]


def _by_tensorflow(file: BinaryIO, image: Image.Image) -> _Raw:
    """Reads a PNG file of 16 bits a channel."""
    profile = image.info.get("icc_profile", b"")
    file.seek(0)
    data = file.read()
    device.prepare()
    import tensorflow as tf

    with device.silent_stderr(
        shown_on_failure=False
    ):  # libpng says there what is wrong
        samples = tf.io.decode_png(data, dtype=tf.uint16).numpy()
    raw = _split(samples / np.float32(65535), profile)
    if raw.alpha is None and "transparency" in image.info:
        hidden = np.array(image.info["transparency"])  # a color
        seen = (samples != hidden).any(axis=-1)
        raw = raw._replace(alpha=seen.astype(np.float32))
    return raw


def _by_tifffile(file: BinaryIO, max_megapixels: float) -> _Raw:
    """Reads the first page of a TIFF file, of any depth."""
    if not has_tifffile():
        raise ValueError(f"it needs a package that is not installed: {EXTRA}")
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page: Any = tiff.pages[0]
        _check_numbers(page)
        _check_size(page.imagewidth, page.imagelength, max_megapixels)
        _check_tile(page.tilewidth, page.tilelength, max_megapixels)
        if page.samplesperpixel > 5 or page.imagedepth > 1:
            raise ValueError(
                f"it has {page.samplesperpixel} channels, expected 1 to 5"
            )
        _check_segments(file, page)
        try:
            samples = page.asarray(maxworkers=1)
        except ValueError as error:  # a compression of another package
            if "imagecodecs" not in str(error):
                raise
            raise ValueError(f"{error}: pip install imagecodecs") from error
        samples = samples.reshape(
            (-1, page.imagelength, page.imagewidth)
            if page.planarconfig == 2
            else (page.imagelength, page.imagewidth, -1)
        )
        if page.planarconfig == 2:
            samples = np.moveaxis(samples, 0, -1)
        photometric = tifffile.PHOTOMETRIC(page.photometric).name
        tags, extra = page.tags, [int(kind) for kind in page.extrasamples]
        orientation = tags[274].value if 274 in tags else 1
        profile = bytes(tags[34675].value) if 34675 in tags else b""
    samples = _scaled(samples)
    channels = {"RGB": 3, "MINISBLACK": 1, "MINISWHITE": 1, "SEPARATED": 4}
    if photometric not in channels or extra not in ([], [0], [1], [2]):
        raise ValueError(
            f"its colors are {photometric} with {len(extra)} extra channels, "
            f"expected gray, RGB or CMYK, with or without transparency"
        )
    if photometric == "MINISWHITE":
        samples[..., 0] = 1 - samples[..., 0]
    if samples.shape[-1] < channels[photometric]:
        raise ValueError(
            f"it is damaged: its colors are {photometric}, but it has "
            f"{samples.shape[-1]} channels"
        )
    color, rest = np.split(samples, [channels[photometric]], axis=-1)
    alpha = rest[..., 0] if extra in ([1], [2]) else None
    if alpha is not None and extra == [1]:  # premultiplied
        color = np.divide(
            color, rest, out=np.zeros_like(color), where=rest > 0
        ).clip(0, 1)
    if photometric == "SEPARATED":
        image = Image.fromarray(np.rint(255 * color).astype(np.uint8), "CMYK")
        image, notes = _by_littlecms(image, profile)
        color = np.asarray(image, np.float32) / 255
        return _Raw(color, alpha, notes, orientation, True)
    return _Raw(color, alpha, (), orientation, False, profile)


def _check_segments(file: BinaryIO, page: Any) -> None:
    """Raises ValueError for deflated parts that are longer than they may be.

    They would be inflated whole before anybody asks how long they are.
    """
    if page.compression == 1:
        return
    if page.compression not in (8, 32946):
        # What tifffile undoes without that package may grow without limit.
        if importlib.util.find_spec("imagecodecs") is None:
            raise ValueError(
                f"its compression is {page.compression!s}, which needs a "
                f"package: pip install imagecodecs"
            )
        return
    rows = page.tilelength or page.rowsperstrip or page.imagelength
    columns = page.tilewidth or page.imagewidth
    rows = min(rows, max(page.imagelength, page.tilelength))
    longest = rows * columns * page.samplesperpixel * page.dtype.itemsize
    for offset, count in zip(
        page.dataoffsets, page.databytecounts, strict=True
    ):
        file.seek(offset)
        inflating = zlib.decompressobj()
        data, length = file.read(count), 0
        while data and length <= longest:
            length += len(inflating.decompress(data, 1 << 20))
            data = inflating.unconsumed_tail
        if length > longest:
            raise ValueError("it is damaged: a part is longer than it may be")


def _scaled(samples: np.ndarray) -> np.ndarray:
    """Brings samples of any type to floats in [0, 1]."""
    if np.issubdtype(samples.dtype, np.unsignedinteger):
        return samples.astype(np.float32) / np.iinfo(samples.dtype).max
    if samples.dtype == bool:
        return samples.astype(np.float32)
    if np.issubdtype(samples.dtype, np.floating):
        return _checked(samples.astype(np.float32))
    raise ValueError(f"its samples are {samples.dtype}, expected unsigned")


def _checked(samples: np.ndarray) -> np.ndarray:
    """Raises ValueError unless floats are in [0, 1]."""
    if not (samples.min() >= 0 and samples.max() <= 1):
        raise ValueError(
            f"its values are {samples.min()} to {samples.max()}, expected "
            f"floats in [0, 1]"
        )
    return samples


def _split(samples: np.ndarray, profile: bytes) -> _Raw:
    """Takes gray or RGB apart from an alpha channel."""
    colors = samples.shape[-1] - 1 + samples.shape[-1] % 2
    alpha = samples[..., -1] if samples.shape[-1] in (2, 4) else None
    return _Raw(samples[..., :colors], alpha, profile=profile)


def _has_tables(data: bytes) -> bool:
    """Whether a profile can only be applied by LittleCMS."""
    try:
        profile = icc.parse(data)
    except ValueError:
        return False
    return profile.space in ("RGB", "GRAY") and not profile.curves


def _to_srgb(
    samples: np.ndarray, data: bytes
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Converts samples, [H, W, 1 or 3], by a profile."""
    try:
        profile = icc.parse(data)
    except ValueError as error:
        return samples, (f"its color profile is damaged: {error}; ignored",)
    channels = {"GRAY": 1, "RGB": 3}.get(profile.space)
    if channels != samples.shape[-1]:
        return samples, (f"its color profile is of {profile.space}; ignored",)
    if not profile.curves:  # with tables: at 8 bits
        pixels = np.rint(255 * samples).astype(np.uint8)
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        image, notes = _by_littlecms(image, data)
        return np.asarray(image, np.float32) / 255, notes
    if icc.is_srgb(profile):
        return samples, ()
    return icc.to_srgb(samples, profile), ()


def _by_littlecms(
    image: Image.Image, profile: bytes
) -> tuple[Image.Image, tuple[str, ...]]:
    """Converts to sRGB at 8 bits, by a profile with tables."""
    space = _SPACES[image.mode]
    try:
        source: Any
        if not profile and space == "Lab":
            source = ImageCms.createProfile("LAB")
        else:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return converted or image, (
            f"its {space} profile was applied at 8 bits",
        )
    except (OSError, ImageCms.PyCMSError):
        reason = "is of no use" if profile else "is missing"
        if space == "Lab":
            raise ValueError("its Lab colors cannot be converted") from None
        return image.convert("RGB"), (
            f"its {space} profile {reason}; its colors are guessed",
        )


def _is_deep_tiff(image: Image.Image) -> bool:
    """Whether Pillow would cut colors to 8 bits."""
    bits = getattr(image, "tag_v2", {}).get(258, (8,))
    bits = bits if isinstance(bits, tuple) else (bits,)
    return max(bits) > 8 and not image.mode.startswith(("I", "F"))


def _check_size(width: int, height: int, max_megapixels: float) -> None:
    """Raises ValueError if a picture is too large."""
    if width < 1 or height < 1:
        raise ValueError("it is damaged: it has no pixels")
    if width * height > 1e6 * max_megapixels:
        raise ValueError(
            f"it is {width} x {height} pixels, and at most {max_megapixels:g} "
            f"megapixels are read; raise --max_megapixels if that is right"
        )


def _check_tile(width: int, height: int, max_megapixels: float) -> None:
    """Raises ValueError if a tile, which is decoded whole, is too large."""
    if width * height > max(LARGEST_TILE, 1e6 * max_megapixels):
        raise ValueError(f"it is damaged: its tiles are {width} x {height}")


def _check_numbers(page: Any) -> None:
    """Raises ValueError unless the numbers of a TIFF page are numbers."""
    for name in (
        "imagewidth",
        "imagelength",
        "imagedepth",
        "tilewidth",
        "tilelength",
        "rowsperstrip",
        "samplesperpixel",
        "planarconfig",
        "compression",
    ):
        number = getattr(page, name)
        if not isinstance(number, int) or number < 0:
            raise ValueError(f"it is damaged: its {name} is not one number")


def _exif(image: Image.Image) -> Image.Exif:
    """Reads what the camera wrote; nothing if it is damaged."""
    exif = Image.Exif()
    # Directories are read when they are asked for, when the file may be closed;
    # damaged ones raise anything.
    with contextlib.suppress(Exception):
        exif = image.getexif()
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        with contextlib.suppress(Exception):
            exif.get_ifd(directory)
    return exif


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    """Reads the resolution, if it says something."""
    exif, base = _exif(image), ExifTags.Base
    written: Any = exif.get(base.XResolution), exif.get(base.YResolution)
    unit = exif.get(base.ResolutionUnit)
    if unit == 1:  # none: only the shape of a pixel
        written = None, None
    scale = 2.54 if unit == 3 else 1.0
    try:
        if "dpi" in image.info:
            written, scale = image.info["dpi"], 1.0
        horizontal, vertical = (scale * float(value) for value in written)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not (1 < horizontal < 65536 and 1 < vertical < 65536):
        return None
    if exif.get(base.Orientation) in (5, 6, 7, 8):
        return vertical, horizontal
    return horizontal, vertical


def _unidentified(head: bytes) -> str:
    """Says what a file is not, and what would help."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        if _known("HEIF"):
            return "it is a damaged HEIC file"
        return f"it is a HEIC file; to read those: {EXTRA}"
    start = head.lstrip()[:9].lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "it is a web page, expected an image"
    return (
        "it is not an image that can be read; expected a JPEG, PNG, WebP, "
        "TIFF, BMP or GIF file"
    )


def _known(name: str) -> bool:
    """Whether Pillow has a reader of a format."""
    Image.init()
    return name in Image.OPEN


def _register_heif() -> None:
    """Teaches Pillow to read HEIC files, if the package is there."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()


def has_tifffile() -> bool:
    """Whether the package is there."""
    try:
        import tifffile  # noqa: F401
    except ImportError:
        return False
    return True


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Lifts Pillow's limit of pixels; keeps the libraries from chatting."""
    loggers = [
        logging.getLogger(name) for name in ("tifffile", "PIL.TiffImagePlugin")
    ]
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        disabled = [logger.disabled for logger in loggers]
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before
            for logger, before_it in zip(loggers, disabled, strict=True):
                logger.disabled = before_it
