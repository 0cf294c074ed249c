"""Implements canvases as arrays in host memory.

NumPy returns the memory of large arrays to the system when they are freed.
TensorFlow's allocator keeps it, in blocks that may be too small for the images
of the next level.
"""

import itertools
import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.backend import reuse

ALIGNMENT = 64  # bytes; TensorFlow copies unaligned arrays

Place = tf.Tensor | int  # a row, a column or a count, []

_IMAGES: weakref.WeakValueDictionary[int, "HostImage"] = (
    weakref.WeakValueDictionary()
)
_NUMBERS = itertools.count()


@reuse.by_value(omitted=["_array"])
class HostImage:
    """An array, [1, H, W, C], whose parts graphs read and change.

    Graphs know it by a number, and do not keep it: whoever runs them does.
    Where it is changed, a graph does all in the order of its lines, as with a
    `tf.Variable`.
    """

    device = "/device:CPU:0"

    def __init__(self, array: np.ndarray, is_changeable: bool = False):
        self._array = array
        self.shape = tf.TensorShape(array.shape)
        self.dtype = tf.as_dtype(array.dtype)
        self.turn = None
        number = next(_NUMBERS)
        _IMAGES[number] = self
        with tf.device(self.device):
            self._number = tf.constant(number, tf.int64)
            if is_changeable:
                zero = tf.zeros([], tf.int64)
                self.turn = tf.Variable(zero, trainable=False)

    def read(
        self, row: Place, column: Place, height: Place, width: int
    ) -> tf.Tensor:
        """Reads a rectangle, [1, height, width, C]."""
        part = self._call(
            # Copy, since TensorFlow may share memory.
            lambda array, row, column, height: array[
                :, row : row + height, column : column + width
            ].copy(),
            [row, column, height],
            self.dtype,
        )
        rows = height if isinstance(height, int) else None
        return tf.ensure_shape(part, [1, rows, width, self.shape[-1]])

    def put(self, row: Place, column: Place, part: Any, added: bool) -> None:
        """Writes, or adds, a part, [1, h, w, C], at (row, column)."""

        def put(array: Any, row: int, column: int, part: Any) -> np.int64:
            height, width = part.shape[1:3]
            place = array[:, row : row + height, column : column + width]
            if added:
                np.add(place, part, out=place)
            else:
                np.copyto(place, part)
            return np.int64(height)

        self._call(put, [row, column, part], tf.int64)

    def assign(self, value: Any) -> None:
        """Sets the whole image, [1, H, W, C]; not in a graph."""
        self._array[...] = value

    def share(self) -> tf.Tensor:
        """Returns a tensor that shares its memory; only for a final image."""
        return tf.experimental.dlpack.from_dlpack(self._array.__dlpack__())

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Any:
        """Reads the whole image at this point of the graph."""
        whole = self.read(0, 0, *self.shape[1:3])
        return whole if dtype is None else tf.cast(whole, dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """Returns the whole image, read-only."""
        return np.array(self._array, dtype, copy=copy or None)

    def _call(
        self, function: Callable[..., Any], inputs: list[Any], dtype: tf.DType
    ) -> tf.Tensor:
        """Calls a function with the array and inputs, eagerly or in graphs."""

        def call(number: Any, *arguments: Any) -> Any:
            return function(_IMAGES[int(number)]._array, *arguments)

        before = [] if self.turn is None else [self.turn.read_value()]
        with tf.device(self.device), tf.control_dependencies(before):
            found = tf.numpy_function(call, [self._number, *inputs], dtype)
        if self.turn is not None:
            with tf.control_dependencies([found]):
                self.turn.assign_add(1)
        return found


def make_zeros(shape: Any, dtype: Any) -> HostImage:
    """Makes a changeable image of zeros, aligned for TensorFlow."""
    dtype = tf.as_dtype(dtype)
    count = math.prod(shape) * dtype.size
    memory = np.zeros(count + ALIGNMENT, np.uint8)
    first = -memory.ctypes.data % ALIGNMENT
    flat = memory[first : first + count].view(dtype.as_numpy_dtype)
    return HostImage(flat.reshape(shape), is_changeable=True)
