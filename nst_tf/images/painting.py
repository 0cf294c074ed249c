"""Defines the result of `stylize`, an array that notebooks display."""

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

LONGEST = 1024  # pixels, long side in notebooks


class Origin(NamedTuple):
    """The settings, record and file options of a painting."""

    settings: Any  # the `Job`
    record: Mapping[str, Any]  # of how it was made
    options: writing.Options  # with metadata of the content
    checksum: int = 0  # of its pixels


class Painting(np.ndarray):
    """A NumPy array that is a picture, [h, w, 3], float32 in [0, 1].

    Indexing and arithmetic return a painting if the result has a picture's
    shape and is of floats, or else a plain array. Copies and pickles keep the
    settings. Notebooks show it with `_repr_png_`.
    """

    _origin: Origin | None = None  # derived arrays have none

    @property
    def settings(self) -> Any:
        """Returns the `Job` of the picture, with "array" for array inputs.

        It is None for derived arrays, and after its pixels are changed.
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
        """Writes an image file, atomically, as the program does.

        If `settings` is not None, the file has the record for `--describe` and
        `--rerun`, and the content's alpha channel and author. Otherwise it is
        as from `save_image`.

        Args:
            path: The file to write; the extension sets the format. An existing
                file is overwritten.
            bit_depth: Of a channel, 8 or 16; 16 in PNG and TIFF files.
            quality: Of JPEG and WebP files, up to 100.
            dpi: Pixels per inch; None: the value of the content's file.

        Raises:
            ValueError: If the format does not support an option.
            OSError: If the file cannot be written; the temporary file is
                removed.
        """
        origin = self._find_origin()
        options = origin.options if origin else writing.Options()
        options = options._replace(bit_depth=bit_depth, quality=quality)
        if dpi is not None:
            options = options._replace(dpi=(dpi, dpi))
        if origin:
            # As if requested.
            own: dict[str, float] = {"bit_depth": bit_depth, "quality": quality}
            own |= {"dpi": float(dpi)} if dpi else {}
            options = options._replace(record=_add_settings(origin.record, own))
        image_io.write_image(path, self, options)

    def to_pil(self) -> Image.Image:
        """Returns an 8-bit Pillow image: RGB, or RGBA if `save` writes alpha.

        Raises:
            ValueError: If it is not a picture, [H, W, 3], of floats.
        """
        image_io.check_pixels(np.asarray(self))
        origin = self._find_origin()
        samples = writing.quantize(np.asarray(self), np.uint8)
        if origin and origin.options.alpha is not None:
            alpha = writing.quantize(origin.options.alpha, np.uint8)
            samples = np.dstack([samples, alpha])
        return Image.fromarray(samples)

    def _find_origin(self) -> Origin | None:
        """Returns its origin if its pixels are unchanged."""
        origin = self._origin
        return origin if origin and origin.checksum == _sum(self) else None

    def copy(self, order: Any = "C") -> "Painting":
        """Copies it with its origin."""
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
        """Returns a PNG file for notebooks; None if this is not a picture."""
        if not is_picture(self) or not np.isfinite(self).all():
            return None
        return encode(self, LONGEST, ".png")


def make_painting(image: np.ndarray, origin: Origin | None = None) -> Painting:
    """Makes a painting of an image, [h, w, 3] in [0, 1], without a copy.

    Args:
        image: The image.
        origin: Its origin, without the checksum.

    Raises:
        ValueError: If the image is invalid.
    """
    if not is_picture(image):
        raise ValueError(
            f"image has shape {image.shape} and type {image.dtype}; expected "
            "(height, width, 3) of floats."
        )
    painting = image.view(Painting)
    if origin:
        painting._origin = origin._replace(checksum=_sum(painting))
    return painting


def is_picture(array: np.ndarray) -> bool:
    """Returns whether an array has the shape and type of a picture."""
    return (
        array.ndim == 3
        and array.shape[-1] == 3
        and array.size > 0
        and np.issubdtype(array.dtype, np.floating)
    )


def encode(image: np.ndarray, longest: int, extension: str) -> bytes:
    """Encodes a picture as the bytes of a file; reduces large ones.

    Args:
        image: [H, W, 3] in [0, 1]; values outside are clipped.
        longest: Maximum long side, in pixels.
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
    """Adds settings of the file to a record, as if requested."""
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
    """Converts a painting without a picture's shape to a plain array."""
    plain = isinstance(value, Painting) and not is_picture(value)
    return np.asarray(value) if plain else value
