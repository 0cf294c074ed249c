"""Pictures -> image files: 8 or 16 bits, in sRGB, and what goes with them.

What a file of one kind cannot hold is left out here; `list_omissions` says
what, before any work starts.
"""

import copy
import io
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from nst_tf import files
from nst_tf.backend import device
from nst_tf.images import transparency

RECORD = "nst_tf"  # keyword of the text in a PNG file
LONGEST_RECORD = 40000  # bytes, in a JPEG or WebP file's EXIF of 64 KB
LONGEST_EXIF = 65000  # bytes, of a JPEG file
FULL_COLOR = 90  # JPEG quality from which colors have the full resolution
DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)  # below the main one
_OF_SAMPLES = (b"IHDR", b"IDAT", b"IEND")  # the chunks of a PNG file
_ASCII = b"ASCII\0\0\0"  # how EXIF begins a comment


class Format(NamedTuple):
    """What a kind of file can hold."""

    name: str  # Pillow's
    alpha: bool = True
    deep: bool = False  # 16 bits a channel
    described: bool = True  # profile, EXIF, and a record
    longest: float = math.inf  # pixels of a side


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
    """How a picture is written, and what goes with it."""

    alpha: np.ndarray | None = None  # [H, W] in [0, 1]
    bit_depth: int = 8  # or 16
    quality: int = 95  # of JPEG and WebP
    exif: Image.Exif | None = None
    dpi: tuple[float, float] | None = None
    record: str = ""  # the text that says how it was made


def check(
    path: Path, height: int, width: int, options: Options | None = None
) -> None:
    """Raises ValueError if a file of that name cannot hold the picture."""
    depth = options.bit_depth if options else 8
    extension = path.suffix.lower()
    if extension not in OUTPUT_FORMATS:
        raise ValueError(
            f"output {path} has the extension {path.suffix!r}, expected one "
            f"of {', '.join(OUTPUT_FORMATS)}."
        )
    form = OUTPUT_FORMATS[extension]
    if max(height, width) > form.longest:
        raise ValueError(
            f"output {path} would be {width} x {height} pixels, but "
            f"{extension} files end at {form.longest}; write a .png."
        )
    if depth not in (8, 16):
        raise ValueError(f"bit_depth is {depth}, expected 8 or 16.")
    if depth == 16 and not form.deep:
        raise ValueError(
            f"bit_depth is 16, but {extension} files have 8 bits a channel; "
            f"write a .png or a .tif."
        )
    if depth == 16 and form.name == "TIFF":
        files.require_extra(
            "tifffile",
            "formats",
            f"bit_depth is 16, which for {extension} files",
            "; or write a .png.",
        )


def list_omissions(path: Path, options: Options) -> list[str]:
    """Says, in lines for people, what such a file cannot hold."""
    form = OUTPUT_FORMATS[path.suffix.lower()]
    lines = []
    if options.alpha is not None and not form.alpha:
        lines.append(
            f"{path.suffix} files hold no transparency: the picture is put on "
            f"white; a .png keeps it"
        )
    deep = form.name == "TIFF" and options.bit_depth == 16
    exif = Image.Exif() if options.exif is None else options.exif
    if deep and any(exif.get_ifd(each) for each in DIRECTORIES):
        lines.append(
            f"{path.suffix} files of 16 bits are written without the notes on "
            f"exposure and place; a .png keeps them"
        )
    return lines


def needs_sidecar(path: Path, record: str = "") -> bool:
    """Whether the record goes into a file of its own."""
    form = OUTPUT_FORMATS.get(path.suffix.lower(), Format(""))
    limited = form.name in ("JPEG", "WEBP")
    return not form.described or (limited and len(record) > LONGEST_RECORD)


def encode(
    file: BinaryIO, extension: str, image: np.ndarray, options: Options
) -> None:
    """Writes a picture, [H, W, 3] in [0, 1], clipped and rounded."""
    form = OUTPUT_FORMATS[extension]
    alpha = options.alpha
    if alpha is not None:  # nothing is known of the colors below it
        image = transparency.fill(image, alpha)
    if alpha is not None and not form.alpha:
        image, alpha = transparency.put_on_white(image, alpha), None
    kind = np.uint16 if options.bit_depth == 16 else np.uint8
    samples = quantize(image, kind)
    if alpha is not None:
        samples = np.dstack([samples, quantize(alpha, kind)])
    if kind == np.uint8:
        Image.fromarray(samples).save(
            file, form.name, **_pillow_options(form, options)
        )
    elif form.name == "PNG":
        _deep_png(file, samples, options)
    else:
        _deep_tiff(file, samples, options)


def quantize(image: np.ndarray, kind: type[np.unsignedinteger]) -> np.ndarray:
    """Rounds [0, 1] to the integers of a type; what is outside is clipped."""
    highest = np.iinfo(kind).max
    samples = np.empty(image.shape, kind)
    for row, values in enumerate(image):  # copies of it all would be large
        samples[row] = np.rint(highest * np.clip(values, 0.0, 1.0))
    return samples


def read_record(image: Image.Image) -> str:
    """Reads the text that says how a picture was made; "" if there is none."""
    if image.format == "PNG":
        return str(image.info.get(RECORD, ""))
    exif = image.getexif()
    if image.format == "TIFF":
        return str(exif.get(ExifTags.Base.ImageDescription, ""))
    details = exif.get_ifd(ExifTags.IFD.Exif)
    comment = details.get(ExifTags.Base.UserComment, b"")
    if isinstance(comment, bytes):
        comment = comment.decode("latin-1")
    return str(comment).removeprefix(_ASCII.decode())


def make_srgb_profile() -> bytes:
    """The profile of sRGB, always the same bytes."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    when = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # it would be now
    return data[:24] + when + data[36:]


def _pillow_options(form: Format, options: Options) -> dict[str, Any]:
    """Keywords of Pillow's writers."""
    chosen: dict[str, Any] = {}
    if options.dpi:
        chosen["dpi"] = options.dpi
    if form.name in ("JPEG", "WEBP"):
        chosen["quality"] = options.quality
    if form.name == "JPEG" and options.quality >= FULL_COLOR:
        chosen["subsampling"] = "4:4:4"
    if form.name == "TIFF":
        chosen["compression"] = "tiff_adobe_deflate"
    if not form.described:
        return chosen
    chosen["icc_profile"] = make_srgb_profile()
    exif = _with_record(form, options)
    if len(exif) or any(exif.get_ifd(each) for each in DIRECTORIES):
        chosen["exif"] = exif
    if form.name == "JPEG" and len(exif.tobytes()) > LONGEST_EXIF:
        chosen["exif"] = _with_record(form, options._replace(exif=None))
    if any(each in exif for each in DIRECTORIES):
        del chosen["compression"]  # libtiff writes no directories
    if form.name == "PNG":
        chosen["pnginfo"] = info = PngImagePlugin.PngInfo()
        if options.record:
            info.add_itxt(RECORD, options.record)
    return chosen


def _with_record(form: Format, options: Options) -> Image.Exif:
    """The EXIF of a file, with the record where it is kept there."""
    given = options.exif
    exif = Image.Exif() if given is None else copy.deepcopy(given)
    record = options.record
    if form.name == "TIFF" and record:
        exif[ExifTags.Base.ImageDescription] = record
    if form.name == "WEBP" and options.dpi:  # there is no other place
        exif[ExifTags.Base.XResolution] = options.dpi[0]
        exif[ExifTags.Base.YResolution] = options.dpi[1]
        exif[ExifTags.Base.ResolutionUnit] = 2  # inches
    if form.name in ("JPEG", "WEBP") and 0 < len(record) <= LONGEST_RECORD:
        comment = _ASCII + record.encode("ascii", "backslashreplace")
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    if form.name == "TIFF":  # Pillow leaves out directories without a place
        for directory in DIRECTORIES:
            if exif.get_ifd(directory):
                exif[directory] = 0
    return exif


def _deep_png(file: BinaryIO, samples: np.ndarray, options: Options) -> None:
    """Writes a PNG file of 16 bits, by TensorFlow."""
    device.prepare()
    import tensorflow as tf

    # What goes with the samples is taken from a file of one pixel by Pillow.
    one = io.BytesIO()
    Image.fromarray(samples[:1, :1].astype(np.uint8)).save(
        one, "PNG", **_pillow_options(OUTPUT_FORMATS[".png"], options)
    )
    data = tf.io.encode_png(samples).numpy()
    ours, theirs = _chunks(data), _chunks(one.getvalue())
    named = [chunk for name, chunk in theirs if name not in _OF_SAMPLES]
    kept = [chunk for name, chunk in ours if name in _OF_SAMPLES]
    file.writelines([data[:8], kept[0], *named, *kept[1:]])


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Lists the chunks of a PNG file: name, and all its bytes."""
    place = 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 12 + length
        yield data[place + 4 : place + 8], data[place:end]
        place = end


def _deep_tiff(file: BinaryIO, samples: np.ndarray, options: Options) -> None:
    """Writes a TIFF file of 16 bits; of EXIF the main directory is kept."""
    import tifffile

    exif = _with_record(OUTPUT_FORMATS[".tif"], options)
    description = exif.pop(ExifTags.Base.ImageDescription, None)
    kept = [
        (int(tag), "s", 0, value, True)
        for tag, value in exif.items()
        if isinstance(value, (str, bytes))
    ]
    written = io.BytesIO()  # it wants a file with a name, or none at all
    tifffile.imwrite(
        written,
        samples,
        photometric="rgb",
        extrasamples=["unassalpha"] if samples.shape[-1] == 4 else None,
        compression="zlib",
        iccprofile=make_srgb_profile(),
        resolution=options.dpi,
        resolutionunit="INCH" if options.dpi else None,
        description=description or None,
        extratags=kept,
        software=False,
        metadata=None,
    )
    file.write(written.getbuffer())
