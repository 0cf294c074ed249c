"""Image files <-> float RGB arrays: [H, W, 3], float32 in [0, 1], sRGB."""

import os
import stat
import tempfile
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

# What an output may be named; Pillow writes each of them from 8-bit RGB.
EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")


LONGEST_SIDE = {".jpg": 65500, ".jpeg": 65500, ".webp": 16383}  # pixels


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
    path = Path(os.path.expanduser(path))
    try:
        if path.is_dir():
            raise ValueError(f"{path} is a folder, expected an image file.")
        if not path.exists():
            raise ValueError(f"there is no file {path}.")
        if not path.is_file():  # to open a pipe could wait for ever
            raise ValueError(f"{path} is not a regular file.")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as file:
                return _to_array(ImageOps.exif_transpose(file))
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{path} is not an image that can be read; expected a JPEG, PNG, "
            f"WebP, TIFF, BMP or GIF file."
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # decoders raise anything on damaged files
        reason = str(error).rstrip(".")
        raise ValueError(f"{path} cannot be read: {reason}.") from error


def save_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Writes an image file of 8 bits a channel, rounded, in one move.

    The file is written beside its place and renamed, so that a file of that
    name is whole at any time.

    Args:
        path: Where to; the extension, one of `EXTENSIONS`, names the format.
        image: [H, W, 3] in [0, 1]; what is outside is clipped.

    Raises:
        ValueError: If that is no image, or the format cannot hold it.
        OSError: If the file cannot be written; nothing is left behind.
    """
    path = Path(os.path.expanduser(path))
    check_format(path, *np.shape(image)[:2])
    if np.ndim(image) != 3 or np.shape(image)[-1] != 3:
        raise ValueError(
            f"image has shape {np.shape(image)}, expected (height, width, 3)."
        )
    if not np.isfinite(image).all():
        raise ValueError("image has values that are not numbers (NaN).")
    if path.is_symlink():  # the link stays, and what it names is written
        path = path.resolve()
    pixels = np.rint(255.0 * np.clip(image, 0.0, 1.0)).astype(np.uint8)
    options = {"quality": 95} if path.suffix.lower() != ".png" else {}
    handle, beside = tempfile.mkstemp(
        suffix=path.suffix, prefix=".nst-", dir=path.parent
    )
    try:
        with os.fdopen(handle, "wb") as file:
            Image.fromarray(pixels).save(
                file,
                Image.registered_extensions()[path.suffix.lower()],
                **options,
            )
        # A temporary file is its owner's alone; a picture is as others are.
        mode = path.stat().st_mode if path.exists() else 0o666 & ~_umask()
        os.chmod(beside, stat.S_IMODE(mode))
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def check_format(path: Path, height: int, width: int) -> None:
    """Raises ValueError if a file of that name cannot hold the picture."""
    extension = path.suffix.lower()
    if extension not in EXTENSIONS:
        raise ValueError(
            f"output {path} has the extension {path.suffix!r}, expected one "
            f"of {', '.join(EXTENSIONS)}."
        )
    longest = LONGEST_SIDE.get(extension, max(height, width))
    if max(height, width) > longest:
        raise ValueError(
            f"output {path} would be {width} x {height} pixels, but "
            f"{extension} files end at {longest}; write a .png."
        )


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
    if image.mode.startswith("I"):  # 16 bits; Pillow's conversion would clamp
        gray = np.asarray(image).astype(np.float32) / 65535.0
        return np.repeat(np.clip(gray, 0, 1)[..., None], 3, axis=-1)
    if image.mode == "F":
        gray = np.asarray(image)
        if not (gray.min() >= 0 and gray.max() <= 1):
            raise ValueError(
                f"its values are {gray.min()} to {gray.max()}, expected floats "
                f"in [0, 1]"
            )
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
