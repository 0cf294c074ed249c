"""Converts samples to sRGB by ICC profiles.

Most profiles of cameras, phones and screens have a matrix and curves: the three
primaries, and a curve per channel. This module applies them at full precision.
Profiles with lookup tables, as for printers, are applied by LittleCMS at 8
bits.
"""

import io
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageCms

from nst_tf.images import color

# Pillow's modes that profiles apply to -> color space of the profile.
SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}
# Linear sRGB -> XYZ under D50, the profile connection space. Source: IEC
# 61966-2-1, adapted from D65 by the Bradford transform (ICC.1:2022, annex E).
SRGB_TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
# A profile is sRGB if its matrix and curves differ by at most these.
SAME_MATRIX = 0.001
SAME_CURVE = 0.0005
# XYZ -> cone responses, for chromatic adaptation, and D50.
BRADFORD = np.array(
    [
        [0.8951, 0.2664, -0.1614],
        [-0.7502, 1.7135, 0.0367],
        [0.0389, -0.0685, 1.0296],
    ]
)
D50 = np.array([0.96422, 1.0, 0.82521])
_RGB_TAGS = ("rXYZ", "gXYZ", "bXYZ", "rTRC", "gTRC", "bTRC")
Curve = Callable[[np.ndarray], np.ndarray]


class Profile(NamedTuple):
    """The used parts of a profile."""

    space: str  # "RGB", "GRAY", "CMYK", "Lab" ...
    curves: Sequence[Curve] = ()  # per channel; empty with tables
    matrix: np.ndarray | None = None  # linear RGB -> XYZ under D50, [3, 3]


def to_srgb(
    samples: np.ndarray, data: bytes | Profile
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Converts samples, [H, W, 1 or 3], to sRGB; also returns notes."""
    if isinstance(data, Profile):
        profile, data = data, b""
        if samples.shape[-1] == 1:
            profile = Profile("GRAY", profile.curves[:1])
    else:
        try:
            profile = parse_profile(data)
        except ValueError as error:
            return samples, (f"its color profile is damaged: {error}; ignored",)
    channels = {"GRAY": 1, "RGB": 3}.get(profile.space)
    if channels != samples.shape[-1]:
        return samples, (f"its color profile is for {profile.space}; ignored",)
    if not profile.curves:  # with tables: at 8 bits
        pixels = np.rint(255 * samples).astype(np.uint8)
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        image, notes = convert_by_littlecms(image, data)
        return np.asarray(image, np.float32) / 255, notes
    if is_srgb(profile):
        return samples, ()
    return convert_by_curves(samples, profile), ()


def convert_by_littlecms(
    image: Image.Image, profile: bytes
) -> tuple[Image.Image, tuple[str, ...]]:
    """Converts an image to sRGB at 8 bits, with LittleCMS."""
    space = SPACES[image.mode]
    try:
        source: Any = io.BytesIO(profile)
        if not profile and space == "Lab":
            source = ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        note = f"its {space} profile was applied at 8 bits"
        return converted or image, (note,)
    except (OSError, ImageCms.PyCMSError):
        if space == "Lab":
            raise ValueError("its Lab colors cannot be converted") from None
        reason = "is unusable" if profile else "is missing"
        return image.convert("RGB"), (
            f"its {space} profile {reason}; its colors are guessed",
        )


def parse_profile(data: bytes) -> Profile:
    """Parses a profile.

    Raises:
        ValueError: If it is damaged.

    Source:
        ICC.1:2022, sections 7.2, 7.3, 10.6, 10.18 and 10.31.
    """
    if len(data) < 132 or data[36:40] != b"acsp":
        raise ValueError("it has no header")
    space = data[16:20].decode("latin-1").strip()
    if not (space.isascii() and space.isprintable()):  # it appears in messages
        raise ValueError("its color space has no name")
    try:
        (count,) = struct.unpack_from(">I", data, 128)
        tags = {}
        for index in range(min(count, 200)):
            place = 132 + 12 * index
            name, offset, size = struct.unpack_from(">4sII", data, place)
            tags[name.decode("latin-1")] = data[offset : offset + size]
        if "A2B0" in tags or data[20:24] != b"XYZ ":
            return Profile(space)
        if space == "RGB" and set(_RGB_TAGS) <= set(tags):
            first, second = _RGB_TAGS[:3], _RGB_TAGS[3:]
            colors = [struct.unpack_from(">3i", tags[n], 8) for n in first]
            matrix = np.stack(colors, axis=-1) / 65536
            return Profile(space, [_curve(tags[n]) for n in second], matrix)
        if space == "GRAY" and "kTRC" in tags:
            return Profile(space, [_curve(tags["kTRC"])])
        return Profile(space)
    except struct.error as error:
        raise ValueError("it is truncated") from error


def from_primaries(
    primaries: Sequence[tuple[float, float]], curve: Curve
) -> Profile:
    """Makes a profile from three primaries, a white point and a curve.

    Args:
        primaries: x and y of red, green, blue and white.
        curve: Function from samples to linear light.

    Raises:
        ValueError: If the primaries or the white point are degenerate.

    Source:
        SMPTE RP 177-1993, section 3.3; ICC.1:2022, annex E.
    """
    *colors, white = (np.array([x, y, 1 - x - y]) for x, y in primaries)
    columns = np.stack(colors, axis=-1)
    if white[1] <= 0 or abs(np.linalg.det(columns)) < 1e-4:
        raise ValueError("its primaries span no colors")
    white = white / white[1]
    matrix = columns * np.linalg.solve(columns, white)
    cones = BRADFORD @ D50 / (BRADFORD @ white)
    adapt = np.linalg.solve(BRADFORD, cones[:, None] * BRADFORD)
    return Profile("RGB", [curve] * 3, adapt @ matrix)


def make_gamma(gamma: float) -> Curve:
    """Makes the curve x ** gamma."""
    return lambda x: x**gamma


def is_srgb(profile: Profile) -> bool:
    """Returns whether a profile is sRGB, up to rounding."""
    if not profile.curves:
        return False
    matrix = profile.matrix
    other = matrix is not None and np.abs(matrix - SRGB_TO_XYZ).max()
    if other > SAME_MATRIX:
        return False
    ramp = np.linspace(0.0, 1.0, 33)
    encoded = [color.encode_srgb(curve(ramp)) for curve in profile.curves]
    return bool(np.abs(encoded - ramp).max() < SAME_CURVE)


def convert_by_curves(samples: np.ndarray, profile: Profile) -> np.ndarray:
    """Converts samples, [H, W, C] in [0, 1], to sRGB by a profile with curves.

    Gray samples remain gray. Colors outside sRGB are clipped per channel.
    """
    flat = samples.reshape(-1, samples.shape[-1])
    converted = np.empty(flat.shape, np.float32)
    matrix = np.eye(1)
    if profile.matrix is not None:
        matrix = np.linalg.solve(SRGB_TO_XYZ, profile.matrix)
    for start in range(0, len(flat), color.BLOCK):
        block = slice(start, start + color.BLOCK)
        part = flat[block].astype(np.float64)
        with np.errstate(all="ignore"):  # poles of damaged curves
            channels = zip(profile.curves, part.T, strict=True)
            linear = np.stack([curve(x) for curve, x in channels], axis=-1)
        # Curves map to [0, 1] (ICC.1:2022, section 10.18). Clipping avoids 0
        # times infinity below.
        linear = np.clip(np.nan_to_num(linear), 0.0, 1.0)
        converted[block] = color.encode_srgb(linear @ matrix.T)
    return converted.reshape(samples.shape)


def _curve(tag: bytes) -> Curve:
    """Parses a curve from samples to linear light."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return lambda x: x
        if count > 65536:
            raise ValueError("it has a curve that is too long")
        values = np.array(struct.unpack_from(f">{count}H", tag, 12), float)
        if count == 1:
            return make_gamma(values[0] / 256)
        places = np.linspace(0.0, 1.0, count)
        return lambda x: np.interp(x, places, values / 65535)
    if tag[:4] == b"para":
        (kind,) = struct.unpack_from(">H", tag, 8)
        if kind > 4:
            raise ValueError(f"it has a curve of the unknown type {kind}")
        given = struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)
        return _parametric(kind, [value / 65536 for value in given])
    raise ValueError("it has an invalid curve")


def _parametric(kind: int, given: Sequence[float]) -> Curve:
    """Makes the curve (a x + b)^g + e for x >= d, and c x + f below d."""
    g, a, b, c, d, e, f = (*given, *(0.0,) * (7 - len(given)))
    if kind == 0:
        a = 1.0
    if kind in (1, 2):  # the third number is an offset; d = -b / a
        c, d, e, f = 0.0, -b / a if a else 0.0, c, c
    return lambda x: np.where(
        x >= d, np.maximum(a * x + b, 0.0) ** g + e, c * x + f
    )
