"""Selects the EXIF tags that a result keeps, and writes them.

It keeps author, date and camera, and on request the GPS position. It drops
serial numbers, owners' names, and tags that do not apply to the result.

Source:
    CIPA DC-008, Exif 3.0; TIFF, revision 6.0.
"""

import contextlib
import warnings
from collections.abc import Mapping, MutableMapping
from typing import Any

from PIL import ExifTags, Image, TiffTags
from PIL.TiffImagePlugin import STRIPOFFSETS, ImageFileDirectory_v2

_BASE = ExifTags.Base
KEPT = (
    *(_BASE.ImageDescription, _BASE.Make, _BASE.Model, _BASE.DateTime),
    *(_BASE.Artist, _BASE.Copyright),
)
# With types, which Pillow would guess from the values.
_RATIONAL = (
    *(_BASE.ExposureTime, _BASE.FNumber, _BASE.ApertureValue),
    _BASE.FocalLength,
)
_SIGNED = (_BASE.ShutterSpeedValue, _BASE.ExposureBiasValue)
_SHORT = (
    *(_BASE.ExposureProgram, _BASE.ISOSpeedRatings, _BASE.Flash),
    _BASE.FocalLengthIn35mmFilm,
)
_TEXT = (
    *(_BASE.DateTimeOriginal, _BASE.DateTimeDigitized, _BASE.OffsetTime),
    *(_BASE.OffsetTimeOriginal, _BASE.OffsetTimeDigitized),
    *(_BASE.SubsecTimeOriginal, _BASE.LensMake, _BASE.LensModel),
)
KEPT_OF_EXPOSURE: Mapping[int, int] = {
    **dict.fromkeys(_RATIONAL, TiffTags.RATIONAL),
    **dict.fromkeys(_SIGNED, TiffTags.SIGNED_RATIONAL),
    **dict.fromkeys(_SHORT, TiffTags.SHORT),
    **dict.fromkeys(_TEXT, TiffTags.ASCII),
}
LONGEST = 1000  # characters of a kept text
_BELOW = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)  # the main directory
_HEAD = b"II*\0\x08\0\0\0"
_TYPES: Mapping[int | None, Mapping[int, int]] = {
    None: {_BASE.IPTCNAA: TiffTags.LONG},  # as Photoshop has it
    ExifTags.IFD.Exif: {
        **KEPT_OF_EXPOSURE,
        _BASE.ComponentsConfiguration: TiffTags.UNDEFINED,
        _BASE.ExifImageWidth: TiffTags.LONG,
        _BASE.ExifImageHeight: TiffTags.LONG,
    },
}
Directories = Mapping[int | None, Mapping[int, Any]]  # None: the main one


def select_tags(source: Image.Exif, keep_location: bool = False) -> Image.Exif:
    """Copies the tags that also apply to the result.

    It drops the orientation, since results are upright, the GPS position unless
    `keep_location`, and tags that cannot be written.
    """
    target = Image.Exif()
    chosen = {
        None: KEPT,
        ExifTags.IFD.Exif: KEPT_OF_EXPOSURE,
        ExifTags.IFD.GPSInfo: range(32) if keep_location else (),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # directories are parsed lazily
        for ifd, tags in chosen.items():
            try:
                found = _directory(source, ifd)
            except Exception:  # damaged ones raise all kinds of errors
                continue
            for tag in tags:
                if tag in found and _can_be_kept(found[tag]):
                    _copy(tag, found[tag], target, ifd)
    return target


def complete(
    notes: Image.Exif | None,
    size: tuple[int, int],
    form: str,
    dpi: tuple[float, float] | None,
) -> Directories:
    """Adds the tags that EXIF requires, for a picture in sRGB.

    Args:
        notes: The tags of the content.
        size: (width, height) of the picture.
        form: Pillow's name of the file's format.
        dpi: Pixels per inch, (horizontal, vertical); None: unknown.
    """
    notes = Image.Exif() if notes is None else notes
    main = {tag: value for tag, value in notes.items() if tag not in _BELOW}
    details, place = (dict(notes.get_ifd(ifd)) for ifd in _BELOW)
    details[_BASE.ExifVersion] = b"0232"
    details[_BASE.FlashPixVersion] = b"0100"
    details[_BASE.ColorSpace] = 1  # sRGB
    if form != "TIFF":  # TIFF's main directory has them
        details[_BASE.ExifImageWidth] = size[0]
        details[_BASE.ExifImageHeight] = size[1]
    if form == "JPEG":
        details[_BASE.ComponentsConfiguration] = b"\1\2\3\0"  # Y, Cb, Cr
        main[_BASE.YCbCrPositioning] = 1  # centered
    if form != "PNG":  # PNG has its own chunk for it
        main[_BASE.XResolution], main[_BASE.YResolution] = dpi or (1, 1)
        main[_BASE.ResolutionUnit] = 2 if dpi else 1  # inches, or no unit
    return {None: main, **dict(zip(_BELOW, (details, place), strict=True))}


def encode(directories: Directories) -> bytes:
    """Encodes EXIF data for JPEG, PNG and WebP files."""
    return b"Exif\0\0" + _HEAD + encode_directories(directories)


def encode_directories(directories: Directories, head: bytes = _HEAD) -> bytes:
    """Encodes directories to follow the header of a TIFF file.

    Args:
        directories: The tags of each directory. Offsets of samples count from
            the end of the returned bytes.
        head: The header of the file, which sets byte order and width.
    """
    main = _make_directory(head, None, directories[None])
    below = {
        ifd: _make_directory(head, ifd, directories[ifd])
        for ifd in _BELOW
        if directories.get(ifd)
    }
    main.update(dict.fromkeys(below, 0))
    parts, place = [], len(head) + len(main.tobytes())
    for ifd, directory in below.items():
        main[ifd] = place
        parts.append(directory.tobytes(place))
        place += len(parts[-1])
    if STRIPOFFSETS in main:  # Pillow adds the rest
        length = sum(map(len, parts))
        main[STRIPOFFSETS] = tuple(length + n for n in main[STRIPOFFSETS])
    return b"".join([main.tobytes(len(head)), *parts])


def _make_directory(
    head: bytes, ifd: int | None, tags: Mapping[int, Any]
) -> ImageFileDirectory_v2:
    """Makes a directory for Pillow, with the types that EXIF requires."""
    directory = ImageFileDirectory_v2(head, group=ifd)
    types = _TYPES.get(ifd, {})
    if ifd is None and head[2] == 43:  # a BigTIFF file
        long = (_BASE.StripOffsets, _BASE.StripByteCounts)
        types = {**types, **dict.fromkeys(long, TiffTags.LONG8)}
    for tag, value in tags.items():
        if tag in types:
            directory.tagtype[tag] = types[tag]
        directory[tag] = value
    return directory


def _directory(exif: Image.Exif, ifd: int | None) -> MutableMapping[int, Any]:
    """Returns a directory; None: the main one."""
    return exif if ifd is None else exif.get_ifd(ifd)


def _can_be_kept(value: Any) -> bool:
    """Returns whether a value is short and not a record of our own."""
    is_long = isinstance(value, (str, bytes, tuple)) and len(value) > LONGEST
    return not is_long and not str(value).startswith('{"nst_tf"')


def _copy(tag: int, value: Any, target: Image.Exif, ifd: int | None) -> None:
    """Copies a tag into a directory if it can be read back."""
    if ifd is None and isinstance(value, str) and not value.isascii():
        # Pillow reads bytes as Latin-1, and would write them as ASCII.
        value = value.encode("latin-1", "replace")
    again = Image.Exif()
    with contextlib.suppress(Exception):  # wrong types raise all kinds
        again.load(encode({None: {}, ifd: {tag: value}}))
        if tag in _directory(again, ifd):
            _directory(target, ifd)[tag] = value
