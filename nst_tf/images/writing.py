"""Encodes pictures as image files of 8 or 16 bits, in sRGB, with metadata.

Formats drop what they do not support; `list_omissions` lists that before a run.
"""

import io
import itertools
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageCms, PngImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from nst_tf.backend import device
from nst_tf.images import transparency
from nst_tf.metadata import exif, iptc, xmp

LONGEST_RECORD = 40000  # bytes in a JPEG or WebP file
LONGEST_SEGMENT = 65000  # bytes of EXIF or XMP in a JPEG file
LARGEST_TIFF = 3_000_000_000  # bytes of samples; above it, BigTIFF
STRIP = 1 << 16  # bytes of a TIFF strip, about
FULL_COLOR = 90  # JPEG quality from which chroma is not subsampled
_OF_SAMPLES = (b"IHDR", b"IDAT", b"IEND")  # PNG chunks
# Places of records in older versions: a PNG text, and an EXIF comment.
_TEXT, _ASCII = "nst_tf", b"ASCII\0\0\0"


class Format(NamedTuple):
    """The features of a file format."""

    name: str  # Pillow's
    alpha: bool = True
    deep: bool = False  # 16 bits per channel
    described: bool = True  # profile, EXIF, and a record
    longest: float = math.inf  # pixels per side


OUTPUT_FORMATS = {
    ".png": Format("PNG", deep=True),
    ".jpg": Format("JPEG", alpha=False, longest=65500),
    ".jpeg": Format("JPEG", alpha=False, longest=65500),
    ".webp": Format("WEBP", longest=16383),
    ".tif": Format("TIFF", deep=True),
    ".tiff": Format("TIFF", deep=True),
    ".bmp": Format("BMP", alpha=False, described=False),
}
DESCRIBED = [form.name for form in OUTPUT_FORMATS.values() if form.described]


class Options(NamedTuple):
    """Options and metadata of an output file."""

    alpha: np.ndarray | None = None  # [H, W] in [0, 1]
    bit_depth: int = 8  # or 16
    quality: int = 95  # of JPEG and WebP
    exif: Image.Exif | None = None
    dpi: tuple[float, float] | None = None
    record: str = ""  # text; see `runs.records`
    credits: xmp.Properties | None = None  # of the content
    mark: bool = False  # whether to mark it as generated


def check(
    path: Path, height: int, width: int, options: Options | None = None
) -> None:
    """Raises ValueError if a path's format does not support the picture."""
    depth = options.bit_depth if options else 8
    extension = path.suffix.lower()
    if extension not in OUTPUT_FORMATS:
        words = (
            f"the extension {path.suffix!r}" if extension else "no extension"
        )
        raise ValueError(
            f"output {path} has {words}; expected one of "
            f"{', '.join(OUTPUT_FORMATS)}."
        )
    form = OUTPUT_FORMATS[extension]
    if max(height, width) > form.longest:
        raise ValueError(
            f"output {path} would be {width} x {height} pixels, but "
            f"{extension} files are limited to {form.longest} per side; write "
            "a .png."
        )
    if depth not in (8, 16):
        raise ValueError(f"--bit_depth is {depth}; expected 8 or 16.")
    if depth == 16 and not form.deep:
        raise ValueError(
            f"--bit_depth is 16, but {extension} files have only 8 bits; write "
            "a .png or a .tif."
        )


def list_omissions(path: Path, options: Options) -> list[str]:
    """Lists, in sentences, the metadata that a format drops."""
    form = OUTPUT_FORMATS[path.suffix.lower()]
    lines = []
    if options.alpha is not None and not form.alpha:
        lines.append(
            f"{path.suffix} files have no transparency: the picture is "
            "flattened onto white; a .png keeps it"
        )
    if options.mark and not form.described:
        lines.append(
            f"{path.suffix} files cannot hold the mark of generated pictures, "
            f"nor the content's author; a .png can"
        )
    return lines


def needs_sidecar(path: Path, record: str = "") -> bool:
    """Returns whether the record goes into a separate file."""
    form = OUTPUT_FORMATS.get(path.suffix.lower(), Format(""))
    return not form.described or _is_long(form, record)


def sidecar_path(path: Path) -> Path:
    """Returns the path of the separate record of a picture."""
    return path.with_name(f"{path.name}.json")


def encode(
    file: BinaryIO, extension: str, image: np.ndarray, options: Options
) -> None:
    """Encodes a picture, [H, W, 3] in [0, 1], clipped and rounded."""
    form = OUTPUT_FORMATS[extension]
    alpha = options.alpha
    if alpha is not None:  # transparent colors are undefined
        image = transparency.fill(image, alpha)
    if alpha is not None and not form.alpha:
        image, alpha = transparency.put_on_white(image, alpha), None
    kind = np.uint16 if options.bit_depth == 16 else np.uint8
    samples = quantize(image, kind)
    if alpha is not None:
        samples = np.dstack([samples, quantize(alpha, kind)])
    if form.name == "TIFF":
        _tiff(file, samples, options)
    elif kind == np.uint16:
        _deep_png(file, samples, options)
    else:
        size = samples.shape[1::-1]
        Image.fromarray(samples).save(
            file, form.name, **_pillow_options(form, options, size)
        )


def quantize(image: np.ndarray, kind: type[np.unsignedinteger]) -> np.ndarray:
    """Scales [0, 1] to the integers of a type, clipped and rounded."""
    highest = np.iinfo(kind).max
    samples = np.empty(image.shape, kind)
    for row, values in enumerate(image):  # by rows, to save memory
        samples[row] = np.rint(highest * np.clip(values, 0.0, 1.0))
    return samples


def read_record(image: Image.Image) -> str:
    """Reads the record of a picture; "" without one."""
    record = xmp.read(xmp.find(image)).get(xmp.RECORD)
    if record:
        return record[0]
    if image.format == "PNG":
        return str(image.info.get(_TEXT, ""))
    notes = image.getexif()
    if image.format == "TIFF":
        return str(notes.get(ExifTags.Base.ImageDescription, ""))
    details = notes.get_ifd(ExifTags.IFD.Exif)
    comment = details.get(ExifTags.Base.UserComment, b"")
    if isinstance(comment, bytes):
        comment = comment.decode("latin-1")
    return str(comment).removeprefix(_ASCII.decode())


def make_srgb_profile() -> bytes:
    """Returns an sRGB profile, always the same bytes."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    when = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # not the current time
    return data[:24] + when + data[36:]


def _pillow_options(
    form: Format, options: Options, size: tuple[int, int]
) -> dict[str, Any]:
    """Returns keywords for Pillow's writer of a (width, height) picture."""
    chosen: dict[str, Any] = {}
    if options.dpi:
        chosen["dpi"] = options.dpi
    if form.name in ("JPEG", "WEBP"):
        chosen["quality"] = options.quality
    if form.name == "JPEG" and options.quality >= FULL_COLOR:
        chosen["subsampling"] = "4:4:4"
    if not form.described:
        return chosen
    chosen["icc_profile"] = make_srgb_profile()
    said = _describe(form, options, size)
    chosen["exif"] = exif.encode(said.exif)
    if form.name == "PNG":
        chosen["pnginfo"] = info = PngImagePlugin.PngInfo()
        if said.xmp:
            info.add_itxt("XML:com.adobe.xmp", said.xmp.decode())
    elif said.xmp:
        chosen["xmp"] = said.xmp
    if form.name == "JPEG" and said.iptc:
        chosen["extra"] = iptc.encode_segment(said.iptc)
    return chosen


class _Description(NamedTuple):
    """The encoded metadata of a file."""

    exif: exif.Directories
    xmp: bytes
    iptc: bytes


def _describe(
    form: Format, options: Options, size: tuple[int, int]
) -> _Description:
    """Encodes the metadata of a file; drops what JPEG cannot hold."""
    credits = options.credits or {}
    ours: dict[str, tuple[str, ...]] = {}
    if options.mark:
        ours[xmp.MARK] = (xmp.GENERATED,)
    if options.record and not _is_long(form, options.record):
        ours[xmp.RECORD] = (options.record,)
    found = _Description(
        exif.complete(options.exif, size, form.name, options.dpi),
        xmp.encode({**credits, **ours}),
        iptc.encode(credits),
    )
    if form.name != "JPEG":
        return found
    if len(exif.encode(found.exif)) > LONGEST_SEGMENT:
        least = exif.complete(None, size, form.name, options.dpi)
        found = found._replace(exif=least)
    if len(found.xmp) > LONGEST_SEGMENT:
        found = found._replace(xmp=xmp.encode(ours))
    if len(found.iptc) > LONGEST_SEGMENT:
        found = found._replace(iptc=b"")
    return found


def _is_long(form: Format, record: str) -> bool:
    """Returns whether a record is too long for the XMP of a file."""
    limited = form.name in ("JPEG", "WEBP")
    longest = LONGEST_RECORD if limited else xmp.LONGEST // 2
    return len(xmp.escape(record)) > longest


def _deep_png(file: BinaryIO, samples: np.ndarray, options: Options) -> None:
    """Writes a PNG file of 16 bits, with TensorFlow."""
    device.prepare()
    import tensorflow as tf

    # The metadata chunks come from a one-pixel file by Pillow.
    one = io.BytesIO()
    form, size = OUTPUT_FORMATS[".png"], samples.shape[1::-1]
    Image.fromarray(samples[:1, :1].astype(np.uint8)).save(
        one, form.name, **_pillow_options(form, options, size)
    )
    data = tf.io.encode_png(samples).numpy()
    ours, theirs = _chunks(data), _chunks(one.getvalue())
    named = [chunk for name, chunk in theirs if name not in _OF_SAMPLES]
    kept = [chunk for name, chunk in ours if name in _OF_SAMPLES]
    file.writelines([data[:8], kept[0], *named, *kept[1:]])


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the chunks of a PNG file: name, and all its bytes."""
    place = 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 12 + length
        yield data[place + 4 : place + 8], data[place:end]
        place = end


def _tiff(file: BinaryIO, samples: np.ndarray, options: Options) -> None:
    """Writes a TIFF file; compresses 8 bits, not 16, which shrink little."""
    # Pillow cannot write 16-bit RGB, and EXIF directories only with raw
    # samples.
    height, width, channels = samples.shape
    bits, is_large = 8 * samples.itemsize, samples.nbytes > LARGEST_TIFF
    rows = min(height, max(1, STRIP // samples[0].nbytes))
    is_compressed = bits == 8 and not is_large  # libtiff ends at 4 GB
    if is_compressed:
        strips = _compress(samples, rows)
    else:
        samples = samples.astype(f"<u{bits // 8}", copy=False)
        strips = [samples[n : n + rows].data for n in range(0, height, rows)]
    lengths = [strip.nbytes for strip in strips]
    said = _describe(OUTPUT_FORMATS[".tif"], options, (width, height))
    base = ExifTags.Base
    main = {
        **said.exif[None],
        base.ImageWidth: width,
        base.ImageLength: height,
        base.BitsPerSample: (bits,) * channels,
        base.Compression: 5 if is_compressed else 1,  # LZW, or none
        base.PhotometricInterpretation: 2,  # RGB
        base.SamplesPerPixel: channels,
        base.PlanarConfiguration: 1,  # pixel by pixel
        base.RowsPerStrip: rows,
        base.StripByteCounts: tuple(lengths),
        base.StripOffsets: tuple(itertools.accumulate([0, *lengths[:-1]])),
        base.InterColorProfile: make_srgb_profile(),
    }
    if is_compressed:
        main[base.Predictor] = 2  # differences
    if channels == 4:
        main[base.ExtraSamples] = 2  # alpha, not multiplied
    if said.xmp:
        main[base.XMLPacket] = said.xmp
    if said.iptc:
        # In a tuple: of several values Pillow would take the first.
        main[base.IPTCNAA] = (iptc.encode_integers(said.iptc),)
    head = b"II*\0\x08\0\0\0"
    if is_large:
        head = b"II+\0\x08\0\0\0\x10" + bytes(7)
    file.write(head)
    file.write(exif.encode_directories({**said.exif, None: main}, head))
    file.writelines(strips)


def _compress(samples: np.ndarray, rows: int) -> list[memoryview]:
    """Compresses 8-bit samples by LZW, in strips of `rows` rows."""
    written = io.BytesIO()
    Image.fromarray(samples).save(
        written,
        "TIFF",
        compression="tiff_lzw",
        strip_size=rows * samples[0].nbytes,
        tiffinfo={ExifTags.Base.Predictor: 2},
    )
    data = written.getbuffer()
    directory = ImageFileDirectory_v2(bytes(data[:8]))
    written.seek(directory.next)
    directory.load(written)
    places = directory[ExifTags.Base.StripOffsets]
    lengths = directory[ExifTags.Base.StripByteCounts]
    return [
        data[place : place + length]
        for place, length in zip(places, lengths, strict=True)
    ]
