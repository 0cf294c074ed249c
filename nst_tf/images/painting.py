"""What `stylize` returns: an array that a notebook shows as a picture."""

import io
from typing import Any

import numpy as np

from nst_tf.images import image_io, sizes, writing

LONGEST = 1024  # pixels, the long side of what a notebook shows


class Painting(np.ndarray):
    """A picture, [h, w, 3], float32 in [0, 1]; in all else a NumPy array.

    What indexing and arithmetic make of it is a painting too, if it is of a
    picture's shape and of floats, and else a plain array. A notebook shows it
    by `_repr_png_`.
    """

    def __getitem__(self, key: Any) -> Any:
        return _unwrap(super().__getitem__(key))

    def __array_wrap__(self, array: np.ndarray, *_: Any) -> Any:
        plain = np.asarray(array)
        return _unwrap(plain.view(Painting)) if plain.ndim else plain[()]

    def __repr__(self) -> str:
        return repr(np.asarray(self))

    def _repr_png_(self) -> bytes | None:
        """The PNG file that a notebook shows; None if this is no picture."""
        if not is_picture(self) or not np.isfinite(self).all():
            return None
        return encode(self, LONGEST, ".png")


def make_painting(image: np.ndarray) -> Painting:
    """Takes an image, [h, w, 3] in [0, 1], for a painting; nothing is copied.

    Raises:
        ValueError: If it is none.
    """
    if not is_picture(image):
        raise ValueError(
            f"image has shape {image.shape} and type {image.dtype}, expected "
            f"(height, width, 3) of floats."
        )
    return image.view(Painting)


def is_picture(array: np.ndarray) -> bool:
    """Whether an array is of the shape and of the type of a picture."""
    return (
        array.ndim == 3
        and array.shape[-1] == 3
        and array.size > 0
        and np.issubdtype(array.dtype, np.floating)
    )


def encode(image: np.ndarray, longest: int, extension: str) -> bytes:
    """Writes a picture into the bytes of a file, reduced where it is large.

    Args:
        image: [H, W, 3] in [0, 1]; what is outside is clipped.
        longest: Its long side there at most, in pixels.
        extension: ".png" or ".jpg".
    """
    image = np.asarray(image)
    height, width = image.shape[:2]
    if max(height, width) > longest:
        size = sizes.scale_to_side(height, width, longest)
        image = image_io.resize(image, *size)
    file = io.BytesIO()
    writing.encode(file, extension, image, writing.Options(quality=85))
    return file.getvalue()


def _unwrap(value: Any) -> Any:
    """Makes a plain array of a painting that has no picture's shape."""
    plain = isinstance(value, Painting) and not is_picture(value)
    return np.asarray(value) if plain else value
