"""Color profiles of files, applied: by our own code, or by LittleCMS."""

import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from nst_tf.images import icc

# The modes of Pillow that a profile is applied to, and its kind of colors.
SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}


def has_tables(data: bytes) -> bool:
    """Whether a profile can only be applied by LittleCMS."""
    try:
        profile = icc.parse(data)
    except ValueError:
        return False
    return profile.space in ("RGB", "GRAY") and not profile.curves


def to_srgb(
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
        image, notes = by_littlecms(image, data)
        return np.asarray(image, np.float32) / 255, notes
    if icc.is_srgb(profile):
        return samples, ()
    return icc.to_srgb(samples, profile), ()


def by_littlecms(
    image: Image.Image, profile: bytes
) -> tuple[Image.Image, tuple[str, ...]]:
    """Converts to sRGB at 8 bits, by a profile with tables."""
    space = SPACES[image.mode]
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
