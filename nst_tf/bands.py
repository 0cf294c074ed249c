"""Images on the device, read and changed in place, some rows at a time.

What is done pixel by pixel then takes no copies of large images. Pixels are
gathered and scattered, since a slice that is assigned to a variable copies all
of it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

WHOLE = 2**22  # pixels, up to which an image is changed as a whole
BAND = 2**20  # pixels of a band of a larger one

Image = tf.Tensor | tf.Variable  # [1, H, W, C]
Parts = dict[str, tf.Tensor]  # of images, [1, H, W, C] or [rows, W, C]


def change(
    images: Mapping[str, tf.Variable],
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
    height, width = size(next(iter(images.values())))
    if height * width <= WHOLE:
        whole = {name: tf.convert_to_tensor(v) for name, v in images.items()}
        for name, value in function(
            whole, *(tf.convert_to_tensor(each) for each in others)
        ).items():
            images[name].assign(value)
        return

    def change_band(rows: tf.Tensor) -> None:
        parts = {name: _gather(each, rows) for name, each in images.items()}
        read = [_gather(each, rows) for each in others]
        for name, value in function(parts, *read).items():
            images[name].scatter_nd_update(rows, value)

    _each_band(height, width, change_band)


def size(image: Image) -> tuple[int, int]:
    """The (height, width) of an image."""
    shape: Any = image.shape
    return int(shape[1]), int(shape[2])


def sum_of_squares(image: Image) -> tf.Tensor:
    """Sums the squares of all values, []."""
    height, width = size(image)
    if height * width <= WHOLE:
        return tf.reduce_sum(tf.square(tf.convert_to_tensor(image)))
    return _each_band(
        height,
        width,
        lambda rows: tf.reduce_sum(tf.square(_gather(image, rows))),
        tf.zeros([], image.dtype),
    )


def rectangle(
    image: Image, row: tf.Tensor, column: tf.Tensor, height: int, width: int
) -> tf.Tensor:
    """Reads a part of an image, [1, height, width, C]."""
    if not isinstance(image, tf.Variable):
        channels: Any = image.shape[-1]
        begin = tf.stack([0, row, column, 0])
        return tf.slice(image, begin, [1, height, width, channels])
    places = _places(row, column, height, width)
    return image.gather_nd(places)[None]


def add(
    image: tf.Variable, row: tf.Tensor, column: tf.Tensor, part: tf.Tensor
) -> None:
    """Adds a part, [1, h, w, C], to an image, with its first pixel there."""
    places = _places(row, column, *size(part))
    image.scatter_nd_add(places, part[0])


def _each_band(
    height: int,
    width: int,
    function: Callable[[tf.Tensor], Any],
    total: tf.Tensor | None = None,
) -> Any:
    """Goes over the rows of an image, and adds up what the function gives."""
    count = max(1, BAND // width)

    def body(first: tf.Tensor, *sums: tf.Tensor) -> tuple[tf.Tensor, ...]:
        rows = tf.range(first, tf.minimum(first + count, height))
        value = function(tf.stack([tf.zeros_like(rows), rows], axis=-1))
        return first + count, *(each + value for each in sums)

    start = [tf.constant(0)] if total is None else [tf.constant(0), total]
    _, *sums = tf.while_loop(
        lambda first, *_: first < height, body, start, parallel_iterations=1
    )
    return sums[0] if sums else None


def _gather(image: Image, places: tf.Tensor) -> tf.Tensor:
    """Reads pixels, or whole rows, at places, [..., 3] or [..., 2]."""
    if isinstance(image, tf.Variable):
        return image.gather_nd(places)
    return tf.gather_nd(image, places)


def _places(
    row: tf.Tensor, column: tf.Tensor, height: int, width: int
) -> tf.Tensor:
    """The indices of the pixels of a rectangle, [height, width, 3]."""
    rows, columns = tf.meshgrid(
        row + tf.range(height), column + tf.range(width), indexing="ij"
    )
    return tf.stack([tf.zeros_like(rows), rows, columns], axis=-1)
