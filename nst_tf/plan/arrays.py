"""Converts the arguments of `stylize` that are pictures or arrays."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from nst_tf import errors
from nst_tf.images import image_io, masks, reading, sources, transparency
from nst_tf.plan import settings

ImageLike = np.ndarray | str | os.PathLike[str] | Image.Image | image_io.Picture
PathOrArray = str | os.PathLike[str] | np.ndarray | Image.Image


def as_picture(
    image: ImageLike,
    name: str,
    max_megapixels: float = reading.MEGAPIXELS,
    memory: float | None = None,
) -> image_io.Picture:
    """Converts a path, an address, a Pillow image or an array to a picture.

    Args:
        image: A path, an address, a Pillow image, or an array: gray, [H, W], or
            RGB, [H, W, 3]; with alpha [H, W, 2] or [H, W, 4]; or a batch of
            one; uint8, or floats in [0, 1].
        name: Name of the image in an error.
        max_megapixels: Largest accepted file, in millions of pixels.
        memory: Memory limit of the process, in bytes; None: the free memory.

    Raises:
        ValueError: If it has a wrong shape or wrong values, or cannot be read.
        TypeError: If it has another type.
    """
    if isinstance(image, image_io.Picture):
        return image
    if isinstance(image, (str, os.PathLike)):
        return sources.load(os.fspath(image), max_megapixels, memory=memory)
    if isinstance(image, Image.Image):
        picture = image_io.read_image(image, f"{name} image")
        return image_io.fill_transparent(picture)
    array = _as_array(image, f"{name} image")
    return image_io.fill_transparent(
        _to_picture(array, f"{name} image", "uint8 or floats in [0, 1]")
    )


def as_mask(mask: object, name: str) -> image_io.Picture:
    """Converts an array or a Pillow image to a mask.

    Args:
        mask: Gray, [H, W], or RGB, [H, W, 3]; with alpha [H, W, 2] or [H, W,
            4]; or a batch of one; bool, uint8, or floats in [0, 1].
        name: Name of the image in an error.

    Raises:
        ValueError: If it has a wrong shape or wrong values.
        TypeError: If it has another type.
    """
    if isinstance(mask, Image.Image):
        return image_io.read_image(mask, name)
    array = _as_array(mask, name)
    if array.dtype == np.uint8 and array.size and array.max() == 1:
        raise ValueError(
            f"{name} has type uint8 but no value above 1, and white is 255; "
            "pass it as bool."
        )
    if array.dtype == np.bool_:
        array = array.astype(np.float32)
    return _to_picture(array, name, "bool, uint8 or floats in [0, 1]")


def name_source(image: ImageLike) -> str:
    """Returns the path or address of a picture; "array" if it has none."""
    if isinstance(image, (str, os.PathLike)):
        return os.fspath(image)
    return "array"


def separate_arrays(
    chosen: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, image_io.Picture]]:
    """Separates arrays from the other settings.

    Returns:
        The settings, with the word "array" instead of each array; and these
        arrays as pictures, by their names in `inputs.list_named_pictures`, as
        if they were read from files.
    """
    plain: dict[str, Any] = {}
    arrays: dict[str, image_io.Picture] = {}

    def separate(name: str, value: Any) -> Any:
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        if not (hasattr(value, "__array__") or isinstance(value, Image.Image)):
            return value
        arrays[name] = (
            as_picture(value, name)
            if name in settings.STARTS
            else as_mask(value, masks.format_title(name))
        )
        return "array"

    for name, value in chosen.items():
        if name == "style_mask":
            several = value if isinstance(value, (list, tuple)) else [value]
            plain[name] = tuple(
                separate(f"{name}/{number}", each)
                for number, each in enumerate(several)
            )
        elif name in settings.MASKS | settings.STARTS or isinstance(
            value, os.PathLike
        ):
            plain[name] = separate(name, value)
        else:
            plain[name] = value
    return plain, arrays


def _as_array(value: object, name: str) -> np.ndarray:
    """Converts an array, a tensor or a list to a NumPy array.

    Raises:
        TypeError: If it is something else.
    """
    if not hasattr(value, "__array__") and not isinstance(value, (list, tuple)):
        expected = "a path, an address, a Pillow image, an array or a tensor"
        errors.check_type(name, value, (), expected)
    return np.asarray(value)


def _to_picture(
    array: np.ndarray, name: str, expected: str
) -> image_io.Picture:
    """Converts an array to a picture; keeps colors of transparent pixels."""
    if array.ndim == 4 and len(array) == 1:  # a batch of one
        array = array[0]
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim == 4:
        raise ValueError(
            f"{name} has shape {array.shape}, a batch of {len(array)} "
            "pictures; pass a single one."
        )
    if array.ndim == 3 and len(array) in (1, 3) and array.shape[-1] > 4:
        raise ValueError(
            f"{name} has shape {array.shape}, expected (height, width, 3); "
            f"pass numpy.moveaxis(image, 0, -1)."
        )
    if array.ndim != 3 or array.shape[-1] not in (1, 2, 3, 4):
        raise ValueError(
            f"{name} has shape {array.shape}; expected (height, width) for "
            "gray or (height, width, 3) for RGB, or 2 or 4 channels with "
            "alpha."
        )
    array, alpha = _to_floats(array, name, expected), None
    if array.shape[-1] in (2, 4):
        array, alpha = array[..., :-1], array[..., -1]
        if transparency.is_hidden(alpha):
            raise ValueError(
                f"{name} is fully transparent; pass an image with visible "
                "pixels."
            )
        if alpha.min() == 1:
            alpha = None
    if array.shape[-1] == 1:
        array = np.repeat(array, 3, axis=-1)
    return image_io.Picture(array, alpha)


def _to_floats(array: np.ndarray, name: str, expected: str) -> np.ndarray:
    """Converts an array to float32 in [0, 1]."""
    if array.dtype == np.uint8:
        array = array.astype(np.float32) / 255.0
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(
            f"{name} has type {array.dtype}, expected {expected}; convert it "
            "with astype."
        )
    if not np.isfinite(array).all():
        raise ValueError(
            f"{name} has NaN or infinite values; expected numbers in [0, 1]."
        )
    if not (array.size and array.min() >= 0 and array.max() <= 1):
        raise ValueError(
            f"{name} is empty or has values outside [0, 1]; if its range is 0 "
            "to 255, divide it by 255."
        )
    return array.astype(np.float32)
