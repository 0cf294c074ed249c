"""What `stylize` returns: an array that a notebook shows as a picture."""

import io
import json
import os
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from nst_tf import errors
from nst_tf.images import image_io, sizes, writing

LONGEST = 1024  # pixels, the long side of what a notebook shows


class Origin(NamedTuple):
    """How a painting was made."""

    settings: Any  # the `Job`
    record: Mapping[str, Any]  # what its file says of that
    options: writing.Options  # and what of the content goes with it
    checksum: int = 0  # of its pixels


class Painting(np.ndarray):
    """A picture, [h, w, 3], float32 in [0, 1]; in all else a NumPy array.

    What indexing and arithmetic make of it is a painting too, if it is of a
    picture's shape and of floats, and else a plain array. Copies, also pickled
    ones, keep their settings. A notebook shows it by `_repr_png_`.
    """

    _origin: Origin | None = None  # what is made of this one has none

    @property
    def settings(self) -> Any:
        """The `Job` by which it was painted; "array" stands for an array.

        None for what was made of a painting, and once its pixels are changed.
        """
        origin = self._find_origin()
        return origin and origin.settings

    @errors.name_keywords()
    def save(
        self,
        path: str | os.PathLike[str],
        *,
        bit_depth: int = 8,
        quality: int = 95,
        dpi: float | None = None,
    ) -> None:
        """Writes an image file, as the program does, in one move.

        With what `settings` are known of: the record, for `--describe` and
        `--rerun`, the content's alpha channel, and who made it. Else as
        `save_image`.

        Args:
            path: Where to; the extension names the format. What is there is
                replaced.
            bit_depth: Of a channel, 8 or 16; 16 in PNG and TIFF files.
            quality: Of JPEG and WebP files, up to 100.
            dpi: Pixels per inch; None: as the content's file says.

        Raises:
            ValueError: If the format cannot hold it.
            OSError: If the file cannot be written; nothing is left behind.
        """
        origin = self._find_origin()
        options = origin.options if origin else writing.Options()
        options = options._replace(bit_depth=bit_depth, quality=quality)
        if dpi is not None:
            options = options._replace(dpi=(dpi, dpi))
        if origin:
            # As if they had been asked for.
            own: dict[str, float] = {"bit_depth": bit_depth, "quality": quality}
            own |= {"dpi": float(dpi)} if dpi else {}
            options = options._replace(record=_add_settings(origin.record, own))
        image_io.write_image(path, self, options)

    def to_pil(self) -> Image.Image:
        """Makes a Pillow image of 8 bits: RGB, or RGBA if `save` has alpha.

        Raises:
            ValueError: If it is no picture, [H, W, 3], of floats.
        """
        image_io.check_pixels(np.asarray(self))
        origin = self._find_origin()
        samples = writing.quantize(np.asarray(self), np.uint8)
        if origin and origin.options.alpha is not None:
            alpha = writing.quantize(origin.options.alpha, np.uint8)
            samples = np.dstack([samples, alpha])
        return Image.fromarray(samples)

    def _find_origin(self) -> Origin | None:
        """Returns how it was made, if its pixels are still those of then."""
        origin = self._origin
        return origin if origin and origin.checksum == _sum(self) else None

    def copy(self, order: Any = "C") -> "Painting":
        """Copies it, and how it was made."""
        copied = super().copy(order)
        copied._origin = self._origin
        return copied

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> "Painting":
        return self.copy()  # the origin is not changed

    def __reduce__(self) -> Any:
        array: Any = super().__reduce__()
        make, arguments, state = array
        return make, arguments, (state, self._origin)

    def __setstate__(self, state: Any) -> None:
        pixels, self._origin = state
        super().__setstate__(pixels)

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


def make_painting(image: np.ndarray, origin: Origin | None = None) -> Painting:
    """Takes an image, [h, w, 3] in [0, 1], for a painting; nothing is copied.

    Args:
        image: The image.
        origin: How it was made, but for the checksum.

    Raises:
        ValueError: If it is none.
    """
    if not is_picture(image):
        raise ValueError(
            f"image has shape {image.shape} and type {image.dtype}, expected "
            f"(height, width, 3) of floats."
        )
    painting = image.view(Painting)
    if origin:
        painting._origin = origin._replace(checksum=_sum(painting))
    return painting


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


def _sum(image: np.ndarray) -> int:
    """Computes a checksum of samples."""
    return zlib.crc32(np.ascontiguousarray(image).view(np.uint8).data)


def _add_settings(record: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """Writes a record with settings of the file, as if they were asked for."""
    decided = record["decided"]
    usual = {"bit_depth": 8, "quality": 95}
    flags = {n: each for n, each in chosen.items() if usual.get(n) != each}
    text: str = json.dumps(
        {
            **record,
            "flags": {**record["flags"], **flags},
            "decided": {
                **decided,
                "settings": {**decided["settings"], **chosen},
            },
        }
    )
    return text


def _unwrap(value: Any) -> Any:
    """Makes a plain array of a painting that has no picture's shape."""
    plain = isinstance(value, Painting) and not is_picture(value)
    return np.asarray(value) if plain else value
