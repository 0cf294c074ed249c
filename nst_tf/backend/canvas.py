"""Large images, read and changed in place, some rows at a time.

What is done pixel by pixel then takes no copies of large images. Pixels of
variables are gathered and scattered, since a slice that is assigned to one
copies all of it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.backend import host_images

WHOLE = 2**22  # pixels, up to which an image is changed as a whole
BAND = 2**20  # pixels of a band of a larger one

Changeable = tf.Variable | host_images.HostVariable  # [1, H, W, C]
Image = tf.Tensor | tf.Variable | host_images.HostImage
Place = tf.Tensor | int  # of a pixel, by its row or column; []
Parts = dict[str, tf.Tensor]  # of images, [1, H, W, C] or [rows, W, C]


def change(
    images: Mapping[str, Changeable],
    function: Callable[..., Mapping[str, tf.Tensor]],
    *others: Image,
) -> None:
    """Changes images of one size in place, pixel by pixel.

    Args:
        images: What is changed, each [1, H, W, C].
        function: (parts of the images, part of each other) -> their new parts,
            by name; those that it leaves out stay.
        *others: Images of the same size that are only read.
    """
    height, width = size_of(next(iter(images.values())))
    if _is_small(*images.values(), *others):
        parts = {name: read_whole(each) for name, each in images.items()}
        read = [read_whole(each) for each in others]
        for name, value in function(parts, *read).items():
            images[name].assign(value)
        return

    def change_band(first: tf.Tensor, count: tf.Tensor) -> None:
        parts = {n: _read(each, first, count) for n, each in images.items()}
        read = [_read(each, first, count) for each in others]
        for name, value in function(parts, *read).items():
            _write(images[name], first, count, value)

    _each_band(height, width, change_band)


def make(function: Callable[..., tf.Tensor], *images: Image) -> tf.Tensor:
    """Makes an image of others of its size, pixel by pixel; not in a graph.

    Args:
        function: Part of each image -> the part of the new one.
        *images: At least one.

    Returns:
        [1, H, W, C], in the host's memory if the first of them is.
    """
    model = images[0]
    if not isinstance(model, host_images.HostImage):
        return function(*(read_whole(each) for each in images))
    new = host_images.HostVariable(model.shape, model.dtype)
    change({"new": new}, lambda _, *parts: {"new": function(*parts)}, *images)
    return new.tensor()


def make_zeros_like(image: Changeable) -> Changeable:
    """Makes an image of zeros, where another one is."""
    if isinstance(image, host_images.HostVariable):
        return host_images.HostVariable(image.shape, image.dtype)
    return tf.Variable(tf.zeros_like(image), trainable=False)


def copy(image: Changeable) -> Changeable:
    """Makes another image of the same values, where it is."""
    if isinstance(image, host_images.HostVariable):
        new = make_zeros_like(image)
        new.assign(np.asarray(image))
        return new
    return tf.Variable(image, trainable=False)


def make_variable(image: Changeable) -> tf.Variable:
    """Brings an image to the device, if it is not there."""
    if isinstance(image, host_images.HostVariable):
        return tf.Variable(image.tensor(), trainable=False)
    return image


def size_of(image: Image) -> tuple[int, int]:
    """The (height, width) of an image."""
    shape: Any = image.shape
    return int(shape[1]), int(shape[2])


def read_whole(image: Image) -> tf.Tensor:
    """Reads all of an image, [1, H, W, C]."""
    any_kind: Any = image
    return tf.convert_to_tensor(any_kind)


def sum_squares(image: Image) -> tf.Tensor:
    """Sums the squares of all values, []."""
    height, width = size_of(image)
    if _is_small(image):
        return tf.reduce_sum(tf.square(read_whole(image)))
    return _each_band(
        height,
        width,
        lambda *rows: tf.reduce_sum(tf.square(_read(image, *rows))),
        tf.zeros([], image.dtype),
    )


def read_rectangle(
    image: Image, row: Place, column: Place, height: int, width: int
) -> tf.Tensor:
    """Reads a part of an image, [1, height, width, C]."""
    if isinstance(image, host_images.HostImage):
        return image.read(row, column, height, width)
    if not isinstance(image, tf.Variable):
        channels: Any = image.shape[-1]
        begin = tf.stack([0, row, column, 0])
        return tf.slice(image, begin, [1, height, width, channels])
    places = _places(row, column, height, width)
    return image.gather_nd(places)[None]


def add(image: Changeable, row: Place, column: Place, part: tf.Tensor) -> None:
    """Adds a part, [1, h, w, C], to an image, with its first pixel there."""
    if isinstance(image, host_images.HostVariable):
        image.add(row, column, part)
        return
    places = _places(row, column, *size_of(part))
    image.scatter_nd_add(places, part[0])


def _each_band(
    height: int,
    width: int,
    function: Callable[[tf.Tensor, tf.Tensor], Any],
    total: tf.Tensor | None = None,
) -> Any:
    """Goes over the rows of an image, and adds up what the function gives.

    It is called with the first row of a band, and how many there are, [] each.
    """
    most = max(1, BAND // width)

    def body(first: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
        value = function(first, tf.minimum(most, height - first))
        return first + most, *(each + value for each in sums)

    start = [tf.constant(0)] if total is None else [tf.constant(0), total]
    _, *sums = tf.while_loop(
        lambda first, *_: first < height, body, start, parallel_iterations=1
    )
    return sums[0] if sums else None


def _is_small(*images: Image) -> bool:
    """Whether images are changed as wholes: on the device, and not large."""
    height, width = size_of(images[0])
    return height * width <= WHOLE and not any(
        isinstance(each, host_images.HostImage) for each in images
    )


def _read(image: Image, first: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Reads rows, [count, W, C]."""
    if isinstance(image, host_images.HostImage):
        return image.read(first, 0, count, size_of(image)[1])[0]
    if isinstance(image, tf.Variable):
        return image.gather_nd(_rows(first, count))
    return tf.gather_nd(image, _rows(first, count))


def _write(
    image: Changeable, first: tf.Tensor, count: tf.Tensor, value: tf.Tensor
) -> None:
    """Writes rows, [count, W, C]."""
    if isinstance(image, host_images.HostVariable):
        image.write(first, 0, value)
    else:
        image.scatter_nd_update(_rows(first, count), value)


def _rows(first: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """The indices of rows, [count, 2]."""
    rows = tf.range(first, first + count)
    return tf.stack([tf.zeros_like(rows), rows], axis=-1)


def _places(row: Place, column: Place, height: int, width: int) -> tf.Tensor:
    """The indices of the pixels of a rectangle, [height, width, 3]."""
    rows, columns = tf.meshgrid(
        row + tf.range(height), column + tf.range(width), indexing="ij"
    )
    return tf.stack([tf.zeros_like(rows), rows, columns], axis=-1)
