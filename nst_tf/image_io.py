"""Image files <-> float RGB arrays: [H, W, 3], float32 in [0, 1], sRGB."""

import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# What an output may be named; Pillow writes each of them from 8-bit RGB.
EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")


def load_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads an image file, upright, without its transparency.

    The EXIF orientation is applied; transparent parts are put on white; 16-bit
    gray keeps its depth.

    Args:
        path: A file in any format that Pillow reads.

    Returns:
        The image, [H, W, 3], float32 in [0, 1].

    Raises:
        ValueError: If there is no such file, or it is not a whole image.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise ValueError(f"{path} is a folder, expected an image file.")
    if not path.exists():
        raise ValueError(f"there is no file {path}.")
    try:
        with Image.open(path) as file:
            return _to_array(ImageOps.exif_transpose(file))
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{path} is not an image that can be read; expected a JPEG, PNG, "
            f"WebP, TIFF, BMP or GIF file."
        ) from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from error


def save_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes an image file of 8 bits a channel, rounded, in one move.

    The file is written beside its place and renamed, so that a file of that
    name is whole at any time.

    Args:
        path: Where to; the extension, one of `EXTENSIONS`, names the format.
        image: [H, W, 3] in [0, 1]; what is outside is clipped.

    Raises:
        OSError: If the file cannot be written; nothing is left behind.
    """
    path = Path(path)
    pixels = np.rint(255.0 * np.clip(image, 0.0, 1.0)).astype(np.uint8)
    options = {"quality": 95} if path.suffix.lower() != ".png" else {}
    handle, beside = tempfile.mkstemp(
        suffix=path.suffix, prefix=f".{path.stem}-", dir=path.parent
    )
    try:
        with os.fdopen(handle, "wb") as file:
            Image.fromarray(pixels).save(
                file,
                Image.registered_extensions()[path.suffix.lower()],
                **options,
            )
        # A temporary file is its owner's alone; a picture is not.
        os.chmod(beside, 0o666 & ~_umask())
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resamples an image, [H, W, 3], with a Lanczos filter, to [h, w, 3].

    When the image shrinks the filter widens with it (no aliases); what it
    overshoots is clipped to [0, 1].
    """
    if image.shape[:2] == (height, width):
        return image
    channels = [
        Image.fromarray(np.ascontiguousarray(image[..., c], np.float32)).resize(
            (width, height), Image.Resampling.LANCZOS
        )
        for c in range(image.shape[-1])
    ]
    resized = np.stack([np.asarray(channel) for channel in channels], axis=-1)
    return np.clip(resized, 0.0, 1.0)


def cover(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resamples an image to fill a size, cut at its sides, never stretched."""
    scale = max(height / image.shape[0], width / image.shape[1])
    rows = max(height, round(scale * image.shape[0]))
    columns = max(width, round(scale * image.shape[1]))
    resized = resize(image, rows, columns)
    top, left = (rows - height) // 2, (columns - width) // 2
    return resized[top : top + height, left : left + width]


def _to_array(image: Image.Image) -> np.ndarray:
    """Converts a decoded image of any mode."""
    if image.mode.startswith("I;16"):  # Pillow's own conversion would clamp
        gray = np.asarray(image, np.float32) / 65535.0
        return np.repeat(gray[..., None], 3, axis=-1)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return np.asarray(image.convert("RGB"), np.float32) / 255.0


def _umask() -> int:
    """Reads the mask of file permissions."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
