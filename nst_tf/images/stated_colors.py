"""Finds color spaces that a file states without an ICC profile.

Cameras mark Adobe RGB in EXIF. PNG files have chunks for code points, for sRGB,
and for a gamma and primaries; AVIF and HEIC files have the same code points in
the box nclx. All of them mean a curve and three primaries, which `profiles`
applies.

Sources:
    CIPA DC-008, Exif 3.0, tag 40961; CIPA DC-010, DCF 2.0, section 5.7.3.
    W3C. Portable Network Graphics, third edition, sections 4.3 and 11.3.2.
    ISO/IEC 23008-12, section 6.5.5; ITU-T H.273, tables 2 and 3.
"""

import contextlib
import struct
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image

from nst_tf.images import color, profiles
from nst_tf.metadata import boxes

D65, C = (0.3127, 0.3290), (0.310, 0.316)
SRGB = (0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65
ADOBE_RGB = (0.640, 0.330), (0.210, 0.710), (0.150, 0.060), D65
ADOBE_GAMMA = 563 / 256
_SMPTE = (0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65
# Code point -> red, green, blue, white. 2 means unspecified.
PRIMARIES = {
    **{1: SRGB, 2: SRGB, 6: _SMPTE, 7: _SMPTE},
    4: ((0.670, 0.330), (0.210, 0.710), (0.140, 0.080), C),
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),
}
# Code point -> exponent. Video curves describe the camera; viewers show such
# pictures as sRGB.
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_AS_SRGB = (1, 2, 6, 11, 12, 13, 14, 15)
HDR = {16: "PQ", 18: "HLG"}
SAME_GAMMA = 0.005  # tolerance around 1 / 2.2 for sRGB
SAME_PRIMARIES = 0.002  # tolerance for sRGB's primaries
MOST_CHUNKS = 10_000  # of a PNG file before its samples


class StatedColors(NamedTuple):
    """The color space that a file states."""

    profile: profiles.Profile | None = None  # None: sRGB
    notes: tuple[str, ...] = ()


def find(
    image: Image.Image, exif: Image.Exif, file: BinaryIO | None = None
) -> StatedColors | None:
    """Finds the color space that a file states without a profile.

    Args:
        image: The picture, open.
        exif: Its EXIF data.
        file: Its seekable file, whose position changes.

    Returns:
        The color space; None if the file states none, or has a profile.
    """
    if image.mode in ("CMYK", "LAB"):
        return None
    stated = None
    if file is not None and image.format == "PNG":
        codes = _find_cicp(file)
        stated = _by_codes(codes)
        if list(codes[3:]) == [0]:
            note = "its range of 16 to 235 was read as full range"
            stated = stated or StatedColors()
            stated = stated._replace(notes=(*stated.notes, note))
    has_icc = bool(image.info.get("icc_profile"))
    if has_icc:  # an unsupported color space does not override the profile
        return stated if stated and not stated.notes else None
    if file is not None and image.format in ("AVIF", "HEIF"):
        stated = _by_codes(boxes.find_nclx(file))
    return stated or _by_png(image) or _by_exif(exif)


def _by_codes(codes: Sequence[int]) -> StatedColors | None:
    """Looks up the code points of primaries and curve."""
    if len(codes) < 2 or tuple(codes[:2]) == (2, 2):
        return None
    primaries, transfer = codes[:2]
    if transfer in HDR:
        return StatedColors(
            notes=(
                f"its colors are HDR ({HDR[transfer]}), and were read as "
                "sRGB, which looks flat; export it as SDR",
            )
        )
    if primaries not in PRIMARIES or transfer not in (*_AS_SRGB, *GAMMAS):
        return StatedColors(
            notes=(
                f"its colors have the code points {primaries} and {transfer}, "
                "which are not supported; they were read as sRGB",
            )
        )
    return _state(PRIMARIES[primaries], GAMMAS.get(transfer))


def _by_png(image: Image.Image) -> StatedColors | None:
    """Reads the chunks sRGB, gAMA and cHRM of a PNG file."""
    if "srgb" in image.info:
        return StatedColors()
    gamma = image.info.get("gamma")
    found = image.info.get("chromaticity")
    if image.format not in ("PNG", None) or (gamma is None and found is None):
        return None
    ignored = StatedColors(
        notes=("its gamma or primaries are invalid; ignored",)
    )
    if gamma is not None and not 0.1 <= gamma <= 10:
        return ignored
    primaries: Sequence[tuple[float, float]] = SRGB
    if found is not None:
        if len(found) != 8:
            return ignored
        white, *rest = zip(found[::2], found[1::2], strict=True)
        primaries = (*rest, white)
    # Programs without sRGB's curve write this for sRGB.
    is_srgb = np.abs(np.subtract(primaries, SRGB)).max() < SAME_PRIMARIES
    if is_srgb and gamma and abs(gamma - 1 / 2.2) < SAME_GAMMA:
        gamma = None
    try:
        return _state(primaries, gamma and 1 / gamma)
    except ValueError:
        return ignored


def _by_exif(exif: Image.Exif) -> StatedColors | None:
    """Finds Adobe RGB in the EXIF data of a camera."""
    space = index = None
    with contextlib.suppress(
        Exception
    ):  # damaged data raises all kinds of errors
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        index = exif.get_ifd(ExifTags.IFD.Interop).get(1)
    # 2 is not in the standard, but cameras write it.
    if space == 2 or (space == 0xFFFF and str(index).startswith("R03")):
        return _state(ADOBE_RGB, ADOBE_GAMMA)
    return None


def _state(
    primaries: Sequence[tuple[float, float]], gamma: float | None
) -> StatedColors:
    """Makes a color space from primaries and an exponent; None: sRGB."""
    curve = profiles.make_gamma(gamma) if gamma else color.decode_srgb
    return StatedColors(profiles.from_primaries(primaries, curve))


def _find_cicp(file: BinaryIO) -> Sequence[int]:
    """Returns the code points of a PNG file; empty without any."""
    file.seek(8)
    for _ in range(MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        length, name = struct.unpack(">I4s", head)
        if name == b"cICP":
            return list(file.read(min(length, 4)))
        if name == b"IDAT":
            break
        file.seek(length + 4, 1)
    return ()
