"""Reads image files at full bit depth, with their metadata.

Pillow reads 8 bits per channel, and truncates 16-bit colors to 8. TensorFlow
reads 16-bit PNG files; tifffile, an extra, TIFF files of 16 bits or floats;
pillow-heif, another extra, HEIC files.
"""

import contextlib
import os
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from nst_tf import files
from nst_tf.backend import device, interrupts
from nst_tf.images import (
    decoding_cost,
    decoding_setup,
    file_samples,
    profiles,
    stated_colors,
    tiff,
)
from nst_tf.metadata import directories, iptc, pages, xmp

PILLOW_READERS = (
    *("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF"),
    "PPM",
)
BYTES_PER_PIXEL = 16  # maximum of a file: four channels of floats
LEAST_BYTES = 1 << 26  # always allowed size of a file
LONGEST_REASON = 300  # characters of a decoder's message
MEGAPIXELS = 200.0  # default limit of a picture
# Formats whose alpha is often 0 everywhere, meaning opaque.
LYING = ("BMP", "DIB")


def decode(
    file: BinaryIO,
    max_megapixels: float = MEGAPIXELS,
    memory: float | None = None,
) -> file_samples.FileSamples:
    """Reads a picture from a seekable file: [H, W, 3], upright, in sRGB.

    Args:
        file: The file.
        max_megapixels: Largest allowed picture, in millions of pixels.
        memory: Memory limit of the process, in bytes; None: the free memory.

    Raises:
        ValueError: If it is not a picture, damaged or too large; the message is
            a clause such as "it is empty".
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if not size:
        raise ValueError("it is empty; pass another file")
    limit = find_largest_file(max_megapixels)
    if size > limit:
        raise ValueError(
            f"it has {size / 1e6:.0f} MB, and the limit is {limit / 1e6:.0f} "
            "MB; raise --max_megapixels to allow it"
        )
    head = file.read(32)
    try:
        if _is_deep_png(head):  # no import in a thread that may be abandoned
            device.prepare()
        with decoding_setup.quiet():
            return interrupts.call(
                lambda: _decode_alone(file, head, max_megapixels, memory)
            )
    except UnidentifiedImageError:
        raise ValueError(decoding_setup.describe_unknown(head)) from None
    except MemoryError:
        raise ValueError("it does not fit in memory; reduce it") from None
    except ValueError as error:  # ours, or a decoder's
        raise ValueError(_clause(error)) from error
    except Exception as error:  # decoders raise anything on damaged files
        raise ValueError(f"it is damaged: {_clause(error)}") from error


def _clause(error: Exception) -> str:
    """Shortens the message of an error to one line, without a period."""
    said = " ".join(str(error).split()).rstrip(".!: ")
    return said[:LONGEST_REASON].rstrip(".!: ") or type(error).__name__


def find_largest_file(max_megapixels: float = MEGAPIXELS) -> int:
    """Returns the maximum size of an input file, in bytes."""
    return max(LEAST_BYTES, int(BYTES_PER_PIXEL * 1e6 * max_megapixels))


def _decode_alone(
    file: BinaryIO, head: bytes, max_megapixels: float, memory: float | None
) -> file_samples.FileSamples:
    """Reads a picture in a thread that may be abandoned."""
    with decoding_setup.reopen(file) as own:
        return _finish(_decode(own, head, max_megapixels, memory))


def _decode(
    file: BinaryIO, head: bytes, max_megapixels: float, memory: float | None
) -> file_samples.FileSamples:
    """Reads a picture with the library that keeps its bit depth."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    exif, dpi, credits = Image.Exif(), None, {}
    decoding_setup.check_header(file)
    choice = pages.choose(file, head)
    file.seek(0)
    try:
        image = Image.open(
            file, formats=[*filter(decoding_setup.has_reader, PILLOW_READERS)]
        )
    except UnidentifiedImageError:
        if head[:4] not in directories.BEGINNINGS:
            raise
        raw = tiff.read(file, max_megapixels, choice.page, memory)
        raw = raw._replace(
            notes=raw.notes + pages.describe_others(None, choice)
        )
    else:
        with image:
            if choice.page:
                image.seek(choice.page)
            tags = getattr(image, "tag_v2", {})
            tile = tags.get(322, 0), tags.get(323, 0)
            file_samples.check_size(image.size, tile, max_megapixels)
            exif = _exif(image)
            dpi = _dpi(image, exif)
            bits = tags.get(258, 8)
            deep = max(bits) if isinstance(bits, tuple) else bits
            # Pillow keeps 16-bit gray and floats; its 32-bit gray is signed.
            is_cut = deep > 8 and not image.mode.startswith(("I;", "F"))
            kind = str(image.format).replace("MPO", "JPEG")
            header = decoding_cost.Header(
                kind,
                *image.size,
                image.has_transparency_data,
                _is_deep_png(head) or deep > 8,
            )
            decoding_cost.check_memory(file, header, memory)
            if _is_deep_png(head):
                raw = _by_tensorflow(file, image)
            elif is_cut and (
                image.mode == "I" or files.is_installed("tifffile")
            ):
                raw = tiff.read(file, max_megapixels, choice.page, memory)
            else:
                if kind == "JPEG":
                    decoding_cost.check_scans(file, *image.size, max_megapixels)
                if kind == "PNG":
                    _scale_transparency(image, bits=head[24])
                tiff.mend_palette(image)
                raw = _by_pillow(image)
            stated = stated_colors.find(image, exif, file)
            if stated:
                raw = raw._replace(
                    profile=stated.profile or b"",
                    notes=raw.notes + stated.notes,
                )
            others: tuple[str, ...] = ()
            with contextlib.suppress(Exception):  # the first page is complete
                others = pages.describe_others(image, choice)
            raw = raw._replace(notes=raw.notes + others)
            if is_cut and not files.is_installed("tifffile"):
                note = (
                    "read at 8 bits per channel; for more, run "
                    f"{file_samples.EXTRA}"
                )
                raw = raw._replace(notes=(*raw.notes, note))
            credits = iptc.read(iptc.find(image)) | xmp.read(xmp.find(image))
    return raw._replace(exif=exif, dpi=dpi, credits=credits)


def read_image(image: Image.Image) -> file_samples.FileSamples:
    """Reads a Pillow image of any mode, and converts it to sRGB.

    An image just opened from a file is rotated upright. Others may already be
    rotated, and are left as they are.

    Raises:
        ValueError: If it is damaged; the message is a clause.
    """
    try:
        exif = _exif(image)
        raw = _by_pillow(image)
        stated = stated_colors.find(image, exif)
        if stated:
            raw = raw._replace(
                profile=stated.profile or b"", notes=stated.notes
            )
        if isinstance(image, ImageFile.ImageFile):
            raw = raw._replace(exif=exif, dpi=_dpi(image, exif))
        return _finish(raw)
    except Exception as error:  # decoders raise anything
        raise ValueError(_clause(error)) from error


def _finish(raw: file_samples.FileSamples) -> file_samples.FileSamples:
    """Converts samples to sRGB, [H, W, 3], upright."""
    # Replaced arrays are freed, to keep only two copies of a large picture.
    if raw.profile:
        color, more = profiles.to_srgb(raw.color, raw.profile)
        raw = raw._replace(color=color, notes=(*raw.notes, *more), profile=b"")
        del color
    if raw.color.shape[-1] == 1:
        raw = raw._replace(color=np.repeat(raw.color, 3, axis=-1))
    exif = Image.Exif() if raw.exif is None else raw.exif
    orientation = exif.get(ExifTags.Base.Orientation, raw.orientation)
    if raw.alpha is not None:
        raw = raw._replace(alpha=rotate_upright(raw.alpha, orientation))
    return raw._replace(color=rotate_upright(raw.color, orientation))


def rotate_upright(array: np.ndarray, orientation: object) -> np.ndarray:
    """Rotates an array, [H, W, ...], by an EXIF orientation.

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


def _by_pillow(image: Image.Image) -> file_samples.FileSamples:
    """Reads 8 bits per channel, 16-bit gray, or float gray, with Pillow."""
    tiff.check_unsigned(image)
    image.load()
    profile = image.info.get("icc_profile", b"")
    if image.mode.startswith(("I", "F")):
        return file_samples.FileSamples(_deep_gray(image), profile=profile)
    alpha = None
    if image.format in LYING and image.mode == "RGBA":
        hidden = not image.getchannel("A").getbbox()
        image = image.convert("RGB") if hidden else image
    if image.has_transparency_data:
        gray = image.mode in ("1", "L", "LA", "La")
        if image.mode == "La":  # Pillow's only conversion from it
            image = image.convert("LA")
        if image.mode != "RGBA":
            image = image.convert("RGBA")
        alpha = np.asarray(image.getchannel("A"), np.float32)
        alpha /= 255
        image = image.convert("RGB")
        if gray:
            image = image.convert("L")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in profiles.SPACES:
        image = image.convert("RGB")
    notes: tuple[str, ...] = ()
    if image.mode in ("CMYK", "LAB"):
        image, notes = profiles.convert_by_littlecms(image, profile)
        profile = b""
    samples = np.atleast_3d(np.asarray(image, np.float32))
    samples /= 255
    return file_samples.FileSamples(samples, alpha, notes, profile=profile)


def _scale_transparency(image: Image.Image, bits: int) -> None:
    """Scales the transparent gray level of files below 8 bits to 8 bits."""
    level = image.info.get("transparency")
    if image.mode == "L" and isinstance(level, int) and bits < 8:
        image.info["transparency"] = level * 255 // (2**bits - 1)


def _deep_gray(image: Image.Image) -> np.ndarray:
    """Reads 16-bit gray, or floats."""
    samples = np.asarray(image).astype(np.float32)
    tags = getattr(image, "tag_v2", {})
    if image.mode.startswith("I"):
        bits = tags.get(258, (16,))[0]  # 12 bits are stored in 16
        if not image.format:
            file_samples.check_deep(samples, image.mode)
        samples /= 2**bits - 1
    samples = file_samples.check_range(samples)
    if tags.get(262) == 0:  # 0 is white
        samples = 1 - samples
    return samples[..., None]


def _by_tensorflow(
    file: BinaryIO, image: Image.Image
) -> file_samples.FileSamples:
    """Reads a PNG file of 16 bits per channel, with TensorFlow."""
    file.seek(0)
    data = file.read()
    device.prepare()
    import tensorflow as tf

    stored = tf.io.decode_png(data, dtype=tf.uint16).numpy()
    color, alpha = stored / np.float32(65535), None
    if stored.shape[-1] in (2, 4):
        color, alpha = color[..., :-1], color[..., -1]
    elif "transparency" in image.info:
        hidden = np.array(image.info["transparency"])  # a color
        alpha = (stored != hidden).any(axis=-1).astype(np.float32)
    profile = image.info.get("icc_profile", b"")
    return file_samples.FileSamples(color, alpha, profile=profile)


def _exif(image: Image.Image) -> Image.Exif:
    """Reads the EXIF data; empty if it is damaged."""
    exif = Image.Exif()
    with contextlib.suppress(Exception):
        decoding_setup.check_exif(image)
        exif = image.getexif()
    # Pillow reads directories lazily; read them before the file is closed.
    # Damaged ones raise all kinds of errors.
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        with contextlib.suppress(Exception):
            exif.get_ifd(directory)
    return exif


def _dpi(image: Image.Image, exif: Image.Exif) -> tuple[float, float] | None:
    """Reads the resolution; returns None if it is missing or implausible."""
    base = ExifTags.Base
    written: Any = exif.get(base.XResolution), exif.get(base.YResolution)
    unit = exif.get(base.ResolutionUnit)
    if unit == 1:  # no unit: only a pixel aspect ratio
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


def _is_deep_png(head: bytes) -> bool:
    """Returns whether a file begins like a PNG file of 16 bits per channel."""
    return head[:8] == b"\x89PNG\r\n\x1a\n" and head[24:25] == b"\x10"
