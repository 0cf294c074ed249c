"""Reads and changes large images in parts.

A canvas, [1, H, W, C], is a read-only tensor, a `tf.Variable`, or an array in
host memory. Law: the same calls give the same values for all kinds. Only this
module distinguishes them.

A large canvas is changed in bands of rows, without a copy. Pixels of variables
are gathered and scattered, since assigning a slice copies the whole variable.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeGuard

import numpy as np
import tensorflow as tf

from nst_tf.backend import host_images

WHOLE = 2**22  # pixels, up to which an image is changed as a whole
BAND = 2**20  # pixels of a band of a larger one

Parts = dict[str, tf.Tensor]  # of canvases, by name, [1, rows, W, C]
Place = host_images.Place
Canvas = tf.Tensor | tf.Variable | host_images.HostImage


def make(
    image: tf.Tensor,
    height: int,
    width: int,
    in_tiles: bool = False,
    devices: int = 1,
) -> Canvas:
    """Makes a changeable canvas of an image, resampled to a size.

    Args:
        image: [1, H, W, 3] in [0, 1].
        height: Of the canvas.
        width: Of the canvas.
        in_tiles: Whether its objective is computed in tiles.
        devices: Number of devices that share the tiles.
    """
    size, is_same = (height, width), get_size(image) == (height, width)
    if not _should_host(in_tiles, devices):
        if is_same:
            return tf.Variable(image, trainable=False)
        resized = tf.image.resize(image, size, "lanczos3", antialias=True)
        new = tf.Variable(tf.cast(resized, image.dtype), trainable=False)
        del resized  # or the update would copy it
        update(new, lambda part: tf.clip_by_value(part, 0.0, 1.0))
        return new
    hosted = host_images.make_zeros((1, *size, 3), image.dtype)
    if is_same:
        hosted.assign(image)
        return hosted
    rows, columns = get_size(image)
    most = max(1, BAND // width)
    for first in range(0, height, most):
        # Like `tf.image.resize`, for some rows.
        part = tf.raw_ops.ScaleAndTranslate(
            images=image,
            size=[min(most, height - first), width],
            scale=[height / rows, width / columns],
            translation=[-first, 0.0],
            kernel_type="lanczos3",
            antialias=True,
        )
        hosted.put(first, 0, tf.clip_by_value(part, 0.0, 1.0), False)
    return hosted


def make_zeros(
    height: int, width: int, dtype: tf.DType, in_tiles: bool, devices: int
) -> Canvas:
    """Makes a canvas of zeros, [1, height, width, 3], stored as in `make`."""
    shape = 1, height, width, 3
    if _should_host(in_tiles, devices):
        return host_images.make_zeros(shape, dtype)
    return tf.Variable(tf.zeros(shape, dtype), trainable=False)


def _should_host(in_tiles: bool, devices: int) -> bool:
    """Returns whether to use host memory: with tiles on a single CPU."""
    return in_tiles and devices == 1 and not _has_gpu()


@functools.cache
def _has_gpu() -> bool:
    return bool(tf.config.get_visible_devices("GPU"))


def keep(array: np.ndarray, on_host: bool = False) -> Canvas:
    """Makes a read-only canvas of an array, [1, H, W, C].

    It is on the GPU, if any, unless `on_host`.
    """
    if on_host or not _has_gpu():
        return host_images.HostImage(array)
    return tf.constant(array)


def make_zeros_like(image: Canvas) -> Canvas:
    """Makes a canvas of zeros, of the kind of another one."""
    if is_on_host(image):
        return host_images.make_zeros(image.shape.as_list(), image.dtype)
    return tf.Variable(tf.zeros(image.shape, image.dtype), trainable=False)


def copy(image: Canvas) -> Canvas:
    """Copies a canvas."""
    if not is_on_host(image):
        return tf.Variable(read_whole(image), trainable=False)
    new = make_zeros_like(image)
    new.assign(np.asarray(image))
    return new


def move_to_device(image: Any) -> tf.Variable:
    """Moves a canvas to the device, if needed."""
    if not is_on_host(image):
        return image
    return tf.Variable(image.share(), trainable=False)


def is_changeable(value: Any) -> bool:
    """Returns whether a value, of any type, can be changed in place."""
    if is_on_host(value):
        return value.turn is not None
    return isinstance(value, tf.Variable)


def is_on_host(image: Any) -> TypeGuard[host_images.HostImage]:
    """Returns whether an image is an array in host memory."""
    return isinstance(image, host_images.HostImage)


def is_large(*images: Canvas) -> bool:
    """Returns whether canvases of this size are processed in bands."""
    height, width = get_size(images[0])
    return height * width > WHOLE or any(map(is_on_host, images))


def get_size(image: Canvas) -> tuple[int, int]:
    """Returns the (height, width) of a canvas."""
    shape: Any = image.shape
    return int(shape[1]), int(shape[2])


def read_whole(image: Canvas) -> tf.Tensor:
    """Reads all of a canvas, [1, H, W, C]."""
    any_kind: Any = image
    return tf.convert_to_tensor(any_kind)


def read(
    image: Canvas, row: Place, column: Place, height: Place, width: int
) -> tf.Tensor:
    """Reads a rectangle, [1, height, width, C], from (row, column)."""
    if is_on_host(image):
        return image.read(row, column, height, width)
    if isinstance(image, tf.Variable):
        return image.gather_nd(_index(image, row, column, height, width))[None]
    channels: Any = image.shape[-1]
    begin = tf.stack([0, row, column, 0])
    return tf.slice(read_whole(image), begin, [1, height, width, channels])


def add(image: Canvas, row: Place, column: Place, part: tf.Tensor) -> None:
    """Adds a part, [1, h, w, C], at (row, column)."""
    _put(image, row, column, part, added=True)


def change(
    images: Mapping[str, Any],
    function: Callable[..., Mapping[str, tf.Tensor]],
    *others: Canvas,
) -> None:
    """Changes canvases of one size in place, pixel by pixel.

    Args:
        images: The canvases to change, each [1, H, W, C].
        function: (parts of `images`, part of each of `others`) -> new parts by
            name; omitted ones stay unchanged.
        *others: Read-only canvases of the same size.
    """

    def compute(
        read: Callable[[Canvas], tf.Tensor],
    ) -> Iterable[tuple[str, tf.Tensor]]:
        parts = {name: read(each) for name, each in images.items()}
        return function(parts, *(read(each) for each in others)).items()

    if not is_large(*images.values(), *others):
        for name, value in compute(read_whole):
            images[name].assign(value)
        return

    def change_rows(first: tf.Tensor, count: tf.Tensor) -> int:
        for name, value in compute(lambda each: _read_rows(each, first, count)):
            _put(images[name], first, 0, value, added=False)
        return 0

    _sum_bands(next(iter(images.values())), change_rows, tf.constant(0))


def update(
    image: Canvas, function: Callable[..., tf.Tensor], *others: Canvas
) -> Canvas:
    """Applies a function to a canvas: in place, as `change`, if possible.

    Returns:
        `image`; for a read-only one, the tensor function(image, *others).
    """
    if not is_changeable(image):
        return function(*(read_whole(each) for each in (image, *others)))
    change(
        {"": image},
        lambda parts, *rest: {"": function(parts[""], *rest)},
        *others,
    )
    return image


def transform(image: Canvas, function: Callable[..., tf.Tensor]) -> tf.Tensor:
    """Maps a canvas to a tensor, pixel by pixel; not in a graph."""
    if not is_on_host(image):
        return function(read_whole(image))
    new = copy(image)
    update(new, function)
    return new.share()


def sum_squares(image: Canvas) -> tf.Tensor:
    """Sums the squares of all values, []."""
    if not is_large(image):
        return tf.reduce_sum(tf.square(read_whole(image)))
    return _sum_bands(
        image,
        lambda *rows: tf.reduce_sum(tf.square(_read_rows(image, *rows))),
        tf.zeros([], image.dtype),
    )


def _sum_bands(
    image: Canvas,
    function: Callable[[tf.Tensor, tf.Tensor], Any],
    total: tf.Tensor,
) -> tf.Tensor:
    """Sums function(first row, number of rows) over all bands, []."""
    height, width = get_size(image)
    most = max(1, BAND // width)

    def add_band(first: tf.Tensor, total: tf.Tensor) -> list[tf.Tensor]:
        value = function(first, tf.minimum(most, height - first))
        return [first + most, total + value]

    _, total = tf.while_loop(
        lambda first, _: first < height,
        add_band,
        [tf.constant(0), total],
        parallel_iterations=1,
    )
    return total


def _read_rows(image: Canvas, first: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Reads rows, [1, count, W, C]."""
    return read(image, first, 0, count, get_size(image)[1])


def _put(
    image: Any, row: Place, column: Place, part: tf.Tensor, added: bool
) -> None:
    """Sets or adds a part, [1, h, w, C], at (row, column)."""
    if is_on_host(image):
        image.put(row, column, part, added)
        return
    scatter = image.scatter_nd_add if added else image.scatter_nd_update
    width: Any = part.shape[2]
    scatter(_index(image, row, column, tf.shape(part)[1], width), part[0])


def _index(
    image: Canvas, row: Place, column: Place, height: Place, width: int
) -> tf.Tensor:
    """Returns the indices of a rectangle, [h, w, 3], or of rows, [h, 2]."""
    rows = row + tf.range(height)
    if width == get_size(image)[1]:
        return tf.stack([tf.zeros_like(rows), rows], axis=-1)
    rows, columns = tf.meshgrid(rows, column + tf.range(width), indexing="ij")
    return tf.stack([tf.zeros_like(rows), rows, columns], axis=-1)
