"""Reads TIFF files of 16 bits or floats with tifffile, an extra."""

import importlib.util
import zlib
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImagePalette

from nst_tf import files
from nst_tf.images import decoding_cost, file_samples, profiles

_NUMBERS = (
    *("imagewidth", "imagelength", "imagedepth", "tilewidth", "tilelength"),
    *("rowsperstrip", "samplesperpixel", "planarconfig", "compression"),
)
_CHANNELS = {"RGB": 3, "MINISBLACK": 1, "MINISWHITE": 1, "SEPARATED": 4}


def read(
    file: BinaryIO,
    max_megapixels: float,
    index: int = 0,
    memory: float | None = None,
) -> file_samples.FileSamples:
    """Reads a page of a TIFF file at any bit depth."""
    if not files.is_installed("tifffile"):
        raise ValueError(
            "it needs a package that is not installed; run "
            f"{file_samples.EXTRA}"
        )
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        page: Any = tiff.pages[index]
        for name in _NUMBERS:
            number = getattr(page, name)
            if not isinstance(number, int) or number < 0:
                raise ValueError(f"it is damaged: its {name} is not one number")
        file_samples.check_size(
            (page.imagewidth, page.imagelength),
            (page.tilewidth, page.tilelength),
            max_megapixels,
        )
        header = decoding_cost.Header(
            "TIFF", page.imagewidth, page.imagelength, is_deep=True
        )
        decoding_cost.check_memory(file, header, memory)
        if page.samplesperpixel > 5 or page.imagedepth > 1:
            raise ValueError(
                f"it has {page.samplesperpixel} channels; expected 1 to 5"
            )
        _check_segments(file, page)
        try:
            samples = page.asarray(maxworkers=1)
        except ValueError as error:  # a compression that needs another package
            if "imagecodecs" not in str(error):
                raise
            raise ValueError(f"{error}; run pip install imagecodecs") from error
        size = page.imagelength, page.imagewidth
        if page.planarconfig == 2:
            samples = np.moveaxis(samples.reshape(-1, *size), 0, -1)
        samples = samples.reshape(*size, -1)
        photometric = tifffile.PHOTOMETRIC(page.photometric).name
        tags, extra = page.tags, [int(kind) for kind in page.extrasamples]
        orientation = tags[274].value if 274 in tags else 1
        profile = bytes(tags[34675].value) if 34675 in tags else b""
    samples = scale(samples, page.bitspersample)
    if photometric not in _CHANNELS or extra not in ([], [0], [1], [2]):
        raise ValueError(
            f"its colors are {photometric} with {len(extra)} extra channels; "
            "expected gray, RGB or CMYK, with or without transparency"
        )
    if photometric == "MINISWHITE":
        samples[..., 0] = 1 - samples[..., 0]
    if samples.shape[-1] < _CHANNELS[photometric]:
        raise ValueError(
            f"it is damaged: its colors are {photometric}, but it has "
            f"{samples.shape[-1]} channels"
        )
    color, rest = np.split(samples, [_CHANNELS[photometric]], axis=-1)
    alpha = rest[..., 0] if extra in ([1], [2]) else None
    if extra == [1]:  # premultiplied
        color = np.divide(
            color, rest, out=np.zeros_like(color), where=rest > 0
        ).clip(0, 1)
    notes: tuple[str, ...] = ()
    if photometric == "SEPARATED":
        image = Image.fromarray(np.rint(255 * color).astype(np.uint8), "CMYK")
        image, notes = profiles.convert_by_littlecms(image, profile)
        color, profile = np.asarray(image, np.float32) / 255, b""
    return file_samples.FileSamples(color, alpha, notes, orientation, profile)


def scale(samples: np.ndarray, bits: int) -> np.ndarray:
    """Converts samples of any type, of `bits` bits, to floats in [0, 1]."""
    floats = samples.astype(np.float32)
    if np.issubdtype(samples.dtype, np.unsignedinteger):
        floats /= np.float32(2**bits - 1)
        return floats
    if np.issubdtype(samples.dtype, np.floating):
        return file_samples.check_range(floats)
    if samples.dtype != bool:
        raise ValueError(
            f"its samples are {samples.dtype}; save it with unsigned integers "
            "or floats"
        )
    return floats


def _check_segments(file: BinaryIO, page: Any) -> None:
    """Raises ValueError if a compressed part inflates to more than its size."""
    # tifffile inflates them completely before it checks their length.
    if page.compression == 1:
        return
    if page.compression not in (8, 32946):
        # Without that package, tifffile's decoders have no size limit.
        if importlib.util.find_spec("imagecodecs") is None:
            raise ValueError(
                f"its compression is {page.compression!s}, which needs another "
                "package; run pip install imagecodecs"
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
            raise ValueError("it is damaged: a part is too long")


def check_unsigned(image: Image.Image) -> None:
    """Raises ValueError if the samples of a Pillow image are signed."""
    tags = getattr(image, "tag_v2", {})
    if 2 in np.atleast_1d(tags.get(339, 1)):
        bits = np.max(tags.get(258, 8))
        raise ValueError(
            f"its samples are int{bits}; save it with unsigned integers or "
            "floats"
        )


def mend_palette(image: Image.Image) -> None:
    """Reads a 16-bit palette as 8 bits if all its values are below 256."""
    values = getattr(image, "tag_v2", {}).get(320, (256,))
    if image.mode in ("P", "PA") and max(values) < 256:  # as libtiff does
        image.palette = ImagePalette.raw("RGB;L", bytes(values))
