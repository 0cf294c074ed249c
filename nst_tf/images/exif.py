"""Which of a camera's notes a painting keeps.

Who made the photograph, when, and with what; not the place, unless it is asked
for, no serial numbers or owner's names, and nothing that is no longer true.
"""

import contextlib
import warnings
from collections.abc import MutableMapping
from typing import Any

from PIL import ExifTags, Image

_BASE = ExifTags.Base
KEPT = (
    *(_BASE.ImageDescription, _BASE.Make, _BASE.Model, _BASE.DateTime),
    *(_BASE.Artist, _BASE.Copyright),
)
KEPT_OF_EXPOSURE = (
    *(_BASE.ExposureTime, _BASE.FNumber, _BASE.ExposureProgram),
    *(_BASE.ISOSpeedRatings, _BASE.DateTimeOriginal, _BASE.DateTimeDigitized),
    *(_BASE.OffsetTime, _BASE.OffsetTimeOriginal, _BASE.OffsetTimeDigitized),
    *(_BASE.SubsecTimeOriginal, _BASE.ShutterSpeedValue, _BASE.ApertureValue),
    *(_BASE.ExposureBiasValue, _BASE.Flash, _BASE.FocalLength),
    *(_BASE.FocalLengthIn35mmFilm, _BASE.LensMake, _BASE.LensModel),
)
LONGEST = 1000  # of a text that is kept


def select_tags(source: Image.Exif, keep_location: bool = False) -> Image.Exif:
    """Copies the notes that are still true of a painting.

    The orientation is not among them: pictures are upright; the place is only
    if `keep_location`. What cannot be written again is left out.

    Source:
        CIPA DC-008, Exif 3.0.
    """
    target = Image.Exif()
    chosen = {
        None: KEPT,
        ExifTags.IFD.Exif: KEPT_OF_EXPOSURE,
        ExifTags.IFD.GPSInfo: range(32) if keep_location else (),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # directories are parsed only now
        for ifd, tags in chosen.items():
            try:
                found = _directory(source, ifd)
            except Exception:  # a damaged directory raises anything
                continue
            for tag in tags:
                if tag in found and _can_be_kept(found[tag]):
                    _copy(tag, found[tag], target, ifd)
    return target


def _directory(exif: Image.Exif, ifd: int | None) -> MutableMapping[int, Any]:
    """Returns a directory, the main one if None, to read and to write."""
    return exif if ifd is None else exif.get_ifd(ifd)


def _can_be_kept(value: Any) -> bool:
    """Whether a value is neither too long nor our record of another picture."""
    is_long = isinstance(value, (str, bytes, tuple)) and len(value) > LONGEST
    return not is_long and not str(value).startswith('{"nst_tf"')


def _copy(tag: int, value: Any, target: Image.Exif, ifd: int | None) -> None:
    """Writes a tag into a directory, if it can be read back."""
    if ifd is None and isinstance(value, str) and not value.isascii():
        # Pillow reads bytes as Latin-1, and would write them as ASCII.
        value = value.encode("latin-1", "replace")
    trial, again = Image.Exif(), Image.Exif()
    with contextlib.suppress(Exception):  # values of a wrong type raise any
        _directory(trial, ifd)[tag] = value
        again.load(trial.tobytes())
        if tag in _directory(again, ifd):
            _directory(target, ifd)[tag] = value
