"""Large images in the host's memory, of which graphs read and change parts.

NumPy gives large arrays back to the system as soon as nothing needs them.
TensorFlow's allocator keeps what it had, in pieces that do not all fit the
images of the next level.
"""

import functools
import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_ALIGNMENT = 64  # bytes, without which TensorFlow takes copies


@functools.cache
def should_host() -> bool:
    """Whether images of tiles are best here: what computes is the host."""
    return not tf.config.list_physical_devices("GPU")


class HostImage:
    """An image that is read in parts, and does not change.

    Graphs do not keep it: whoever runs them does.

    Args:
        array: [1, H, W, C].
    """

    device = "/device:CPU:0"

    def __init__(self, array: np.ndarray):
        self._array = array
        self.shape = tf.TensorShape(array.shape)
        self.dtype = tf.as_dtype(array.dtype)

    def read(self, row: Any, column: Any, height: Any, width: int) -> tf.Tensor:
        """A rectangle with its first pixel there, [1, height, width, C]."""

        def read(
            array: np.ndarray, row: int, column: int, height: int
        ) -> np.ndarray:
            part = array[:, row : row + height, column : column + width]
            return part.copy()  # TensorFlow would take what it can as it is

        part = self._called(read, [row, column, height], self.dtype)
        rows = height if isinstance(height, int) else None
        return tf.ensure_shape(part, [1, rows, width, self.shape[-1]])

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Any:
        """The whole image, as it is when a graph comes to that."""
        del name
        whole = self.read(0, 0, *self.shape[1:3])
        return whole if dtype is None else tf.cast(whole, dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """The whole image, not to be changed."""
        return np.array(self._array, dtype, copy=copy or None)

    def _called(
        self, function: Callable[..., Any], inputs: list[Any], dtype: tf.DType
    ) -> tf.Tensor:
        """Calls a function of the array and of inputs, also from graphs."""
        this = weakref.ref(self)  # graphs live until garbage is collected

        def called(*arguments: Any) -> Any:
            image: Any = this()
            return function(image._array, *arguments)

        with tf.device(self.device):
            return tf.numpy_function(called, inputs, dtype)


class HostVariable(HostImage):
    """An image that is read and changed in parts.

    In a graph all this happens in the order in which it is written down, as
    with a `tf.Variable`.

    Args:
        shape: [1, H, W, C]; it is made of zeros.
        dtype: Type of the values.
    """

    def __init__(self, shape: Sequence[int] | tf.TensorShape, dtype: Any):
        sizes: Any = tf.TensorShape(shape).as_list()
        dtype = tf.as_dtype(dtype)
        count = math.prod(sizes) * dtype.size
        memory = np.zeros(count + _ALIGNMENT, np.uint8)
        first = -memory.ctypes.data % _ALIGNMENT
        flat = memory[first : first + count].view(dtype.as_numpy_dtype)
        super().__init__(flat.reshape(sizes))
        with tf.device(self.device):
            self._turn = tf.Variable(tf.zeros([], tf.int64), trainable=False)

    def write(self, row: Any, column: Any, part: Any) -> None:
        """Puts a part, [..., h, w, C], there, with its first pixel."""
        self._put(np.copyto, row, column, part)

    def add(self, row: Any, column: Any, part: Any) -> None:
        """Adds a part, [..., h, w, C], there, with its first pixel."""
        self._put(
            lambda place, part: np.add(place, part, out=place),
            row,
            column,
            part,
        )

    def assign(self, value: Any) -> None:
        """Puts a whole image there, [1, H, W, C]; not in a graph."""
        self._array[...] = value

    def tensor(self) -> tf.Tensor:
        """The same memory as a tensor, for who does not change it any more."""
        return tf.experimental.dlpack.from_dlpack(self._array.__dlpack__())

    def _put(
        self, put: Callable[..., Any], row: Any, column: Any, part: Any
    ) -> None:
        """Calls a function of a rectangle of the array, and of a part."""

        def called(
            array: np.ndarray, row: int, column: int, part: np.ndarray
        ) -> np.int64:
            height, width = part.shape[-3:-1]
            put(array[:, row : row + height, column : column + width], part)
            return np.int64(height)

        self._called(called, [row, column, part], tf.int64)

    def _called(
        self, function: Callable[..., Any], inputs: list[Any], dtype: tf.DType
    ) -> tf.Tensor:
        """Calls a function when all that was asked for before is done."""
        with tf.control_dependencies([self._turn.read_value()]):
            found = super()._called(function, inputs, dtype)
        with tf.control_dependencies([found]):
            self._turn.assign_add(1)
        return found
