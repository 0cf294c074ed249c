"""Which of a camera's notes a painting keeps.

Who made the photograph, when, and with what; not the place, unless it is asked
for, no serial numbers or owner's names, and nothing that is no longer true.
"""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from PIL import ExifTags, Image

_BASE, _GPS, _EXIF = (
    ExifTags.Base,
    ExifTags.IFD.GPSInfo,
    ExifTags.IFD.Exif,
)
KEPT = (
    _BASE.ImageDescription,
    _BASE.Make,
    _BASE.Model,
    _BASE.DateTime,
    _BASE.Artist,
    _BASE.Copyright,
)
KEPT_OF_EXPOSURE = (
    _BASE.ExposureTime,
    _BASE.FNumber,
    _BASE.ExposureProgram,
    _BASE.ISOSpeedRatings,
    _BASE.DateTimeOriginal,
    _BASE.DateTimeDigitized,
    _BASE.OffsetTime,
    _BASE.OffsetTimeOriginal,
    _BASE.OffsetTimeDigitized,
    _BASE.SubsecTimeOriginal,
    _BASE.ShutterSpeedValue,
    _BASE.ApertureValue,
    _BASE.ExposureBiasValue,
    _BASE.Flash,
    _BASE.FocalLength,
    _BASE.FocalLengthIn35mmFilm,
    _BASE.LensMake,
    _BASE.LensModel,
)
LONGEST = 1000  # of a text that is kept


def select_tags(source: Image.Exif, keep_location: bool = False) -> Image.Exif:
    """Copies the notes that are still true of a painting.

    The orientation is not among them: pictures are upright. What cannot be
    written again is left out.

    Args:
        source: As read from a file.
        keep_location: Whether the place is kept, too.

    Source:
        CIPA DC-008, Exif 3.0.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # directories are parsed only now
        return _kept(source, keep_location)


def _kept(source: Image.Exif, keep_location: bool) -> Image.Exif:
    """Copies the notes, whatever Pillow thinks of them."""
    target = Image.Exif()
    _copy(source, target, KEPT, None)
    for ifd, tags in (
        (_EXIF, KEPT_OF_EXPOSURE),
        (_GPS, tuple(range(32)) if keep_location else ()),
    ):
        try:
            found = source.get_ifd(ifd)
        except Exception:  # a damaged directory raises anything
            continue
        _copy(found, target, tags, ifd)
    return target


def _copy(
    source: Mapping[int, Any],
    target: Image.Exif,
    tags: Iterable[int],
    ifd: int | None,
) -> None:
    """Copies tags that can be written: to a directory, or to the main one."""
    for tag in tags:
        if tag not in source:
            continue
        value = source[tag]
        if isinstance(value, (str, bytes, tuple)) and len(value) > LONGEST:
            continue
        if str(value).startswith('{"nst_tf"'):  # what we wrote of another one
            continue
        if ifd is None and isinstance(value, str) and not value.isascii():
            # Pillow reads bytes as Latin-1, and would write them as ASCII.
            value = value.encode("latin-1", "replace")
        trial = Image.Exif()
        try:
            place = trial if ifd is None else trial.get_ifd(ifd)
            place[tag] = value
            again = Image.Exif()
            again.load(trial.tobytes())
            read = again if ifd is None else again.get_ifd(ifd)
            if tag not in read:
                continue
        except Exception:  # values of a wrong type raise anything
            continue
        if ifd is None:
            target[tag] = value
        else:
            target.get_ifd(ifd)[tag] = value
