"""3 x 3 convolutions by Winograd's F(4 x 4, 3 x 3), in products of matrices.

A tile of 4 x 4 results takes 36 multiplications for each pair of channels,
where the sum over the kernel takes 144. The transforms before and after them
are products, too: a banded matrix transforms all tiles of a block at once. So
the library's matrix product does all of the work; nothing is compiled.

Rows of features, kernel and results are polynomials, and are multiplied by
their values at six points: 0, 3/2, 2/3, -3/2, -2/3 and infinity. The usual
points 0, 1, -1, 2, -2 and infinity need no fractions, but round twice as much.
Besides, our set of points contains the reciprocal of each: a reversed kernel
has the same values in another order, so that the gradient with respect to the
features is a convolution by the same filters.

Source:
    Winograd. Arithmetic Complexity of Computations. 1980; Lavin, Gray. Fast
    Algorithms for Convolutional Neural Networks. CVPR 2016, section 4.3.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf.backend import ops
from nst_tf.network import architectures

BLOCK = 4  # tiles, to each side
GROUPS = 16  # that the rows of blocks are cut into, so that they stay in cache
_TILE = architectures.WINOGRAD_TILE  # results, to each side
_RESULTS = _TILE * BLOCK  # of a block, to each side
_FEATURES = _RESULTS + 2
_VALUES = 6 * BLOCK
_POINTS = (0.0, 3 / 2, 2 / 3, -3 / 2, -2 / 3)  # and infinity
_RECIPROCALS = [5, 2, 1, 4, 3, 0]  # which point is one over each


class _Transforms(NamedTuple):
    """Matrices of a block: [values, features] and [results, values]."""

    features: np.ndarray
    results: np.ndarray


class Convolution(tf.keras.layers.Layer):
    """A convolution, with a bias, as a layer of a network.

    Args:
        kernel: [3, 3, in, out].
        bias: [out].
        border: Zeros beyond each side, as in `convolve`.
        name: Of the layer.
    """

    def __init__(
        self, kernel: np.ndarray, bias: np.ndarray, border: int, name: str
    ):
        super().__init__(dtype="float32", name=name)
        self._border = border
        filters = transform_kernel(kernel)
        # By default they begin as random numbers, which take a second.
        self._filters, self._bias = (
            self.add_weight(each.shape, initializer="zeros", name=name)
            for name, each in {"filters": filters, "bias": bias}.items()
        )
        self.set_weights([filters, bias])

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Convolves [1, H, W, in]."""
        filters = tf.convert_to_tensor(self._filters)
        results = convolve(features, filters, self._border)
        return tf.nn.bias_add(results, tf.convert_to_tensor(self._bias))

    def compute_output_shape(self, shape: Any) -> Any:
        """Returns the shape of the results, so that Keras need not trace."""
        margin = 2 * self._border - 2
        sides = [side and side + margin for side in shape[1:3]]
        return (shape[0], *sides, self._filters.shape[-1])


def transform_kernel(kernel: np.ndarray) -> np.ndarray:
    """Makes the filters of `convolve` from a kernel.

    Args:
        kernel: [3, 3, in, out].

    Returns:
        [36, in, out], float32.
    """
    wide = kernel.astype(np.float64)
    filters = np.empty((36, *kernel.shape[2:]), np.float32)
    for row, own in zip(np.kron(_KERNEL, _KERNEL), filters, strict=True):
        # Added up in order: a product of matrices would round otherwise.
        own[:] = sum(
            weight * wide[divmod(place, 3)]
            for place, weight in enumerate(row)
            if weight
        )
    return filters


def convolve(
    features: tf.Tensor, filters: tf.Tensor, border: int = 1
) -> tf.Tensor:
    """Convolves with a 3 x 3 kernel, at stride 1.

    Tiles begin at the first row and column of the results; another start would
    change the rounding errors. Only the features have a gradient.

    Args:
        features: [1, H, W, in], float32.
        filters: Of `transform_kernel`, [36, in, out].
        border: Zeros beyond each side: 1, for results of [1, H, W, out]; 0, for
            [1, H - 2, W - 2, out].
    """

    @ops.custom_gradient
    def convolved(
        features: tf.Tensor,
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            return _convolve(upstream, filters, 2 - border, True)

        return _convolve(features, filters, border, False), gradient

    result: tf.Tensor = convolved(features)
    return result


def _convolve(
    features: tf.Tensor, filters: tf.Tensor, border: int, backward: bool
) -> tf.Tensor:
    """Convolves; backward by the transposed kernel, turned around."""
    # Integers where the size is known, else tensors.
    known, found = features.shape, tf.shape(features)
    height: Any = (known[1] or found[1]) + 2 * border - 2
    width: Any = (known[2] or found[2]) + 2 * border - 2
    rows, columns = -(-height // _RESULTS), -(-width // _RESULTS)
    right = (columns + 1) * _RESULTS - width + border - 2
    bottom = height + 2 - 2 * border  # of the features
    if isinstance(rows, int):
        larger: Any = max
        smaller: Any = min
    else:
        larger, smaller = tf.maximum, tf.minimum

    def convolve_group(group: Any) -> tf.Tensor:
        first = rows * group // GROUPS
        last = rows * (group + 1) // GROUPS
        # Each part is padded by itself, since a padded copy of all features
        # would be the largest array of a step.
        start, end = first * _RESULTS - border, (last + 1) * _RESULTS - border
        above, below = larger(-start, 0), larger(end - bottom, 0)
        part = features[0, larger(start, 0) : smaller(end, bottom)]
        part = tf.pad(part, [[above, below], [border, right], [0, 0]])
        return _convolve_blocks(part, filters, last - first, columns, backward)

    if isinstance(rows, int):
        ends = [rows * group // GROUPS for group in range(GROUPS + 1)]
        some = [g for g in range(GROUPS) if ends[g] < ends[g + 1]]
        results = tf.concat([convolve_group(group) for group in some], axis=0)
    else:  # a loop: its body is traced once
        results = _loop(convolve_group)
        # Keras's max pooling needs the number of dimensions.
        results.set_shape([None, None, filters.shape[1 if backward else 2]])
    return results[None, :height, :width]


def _loop(convolve_group: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Convolves all groups of rows, and joins their results."""
    results = tf.TensorArray(tf.float32, GROUPS, infer_shape=False)
    _, results = tf.while_loop(
        lambda group, results: group < GROUPS,
        lambda group, results: (
            group + 1,
            results.write(group, convolve_group(group)),
        ),
        [tf.constant(0), results],
    )
    joined: tf.Tensor = results.concat()
    return joined


@functools.partial(tf.function, autograph=False)
def _convolve_blocks(
    part: tf.Tensor, filters: tf.Tensor, rows: Any, columns: Any, backward: bool
) -> tf.Tensor:
    """Convolves blocks that overlap the next ones by two rows and columns.

    Args:
        part: [(rows + 1) * 16, (columns + 1) * 16, C].
        filters: As those of `convolve`.
        rows: How many rows of blocks there are.
        columns: How many columns.
        backward: Whether it is for the gradient.

    Returns:
        [rows * 16, columns * 16, K].
    """
    transforms = _BACKWARD if backward else _FORWARD
    shape: Any = filters.shape
    inputs, outputs = shape[:0:-1] if backward else shape[1:]
    blocks = tf.reshape(
        part, [rows + 1, _RESULTS, columns + 1, _RESULTS, inputs]
    )
    blocks = tf.concat([blocks[:-1], blocks[1:, :2]], axis=1)
    blocks = tf.concat([blocks[:, :, :-1], blocks[:, :, 1:, :2]], axis=3)

    # Features -> values at the points, of rows and then of columns.
    to_values = tf.constant(transforms.features)
    values = tf.matmul(to_values, tf.reshape(blocks, [rows, _FEATURES, -1]))
    across = rows * _VALUES * columns
    values = tf.reshape(values, [across, _FEATURES, inputs])
    values = tf.matmul(to_values, values)
    values = tf.reshape(values, [rows, 6, BLOCK, columns, 6, BLOCK * inputs])
    values = tf.transpose(values, [1, 4, 0, 2, 3, 5])

    values = tf.reshape(values, [36, rows * columns * BLOCK**2, inputs])
    products = tf.matmul(values, filters, transpose_b=backward)

    # Products at the points -> results, of columns and then of rows.
    to_results = tf.constant(transforms.results)
    products = tf.reshape(
        products, [6, 6, rows, BLOCK, columns, BLOCK * outputs]
    )
    products = tf.transpose(products, [2, 0, 3, 4, 1, 5])
    products = tf.reshape(products, [across, _VALUES, outputs])
    results = tf.matmul(to_results, products)
    results = tf.matmul(to_results, tf.reshape(results, [rows, _VALUES, -1]))
    return tf.reshape(results, [rows * _RESULTS, columns * _RESULTS, outputs])


def _make_transforms() -> tuple[np.ndarray, _Transforms, _Transforms]:
    """Makes the transform of a kernel, [6, 3], and those of blocks.

    The value of a kernel k at a point p is (k0 + k1 p + k2 p^2) / |p|, at 0 it
    is k0, and at infinity k2.
    """
    kernel, features, results = np.zeros((6, 3)), np.zeros((6, 6)), []
    for index, point in enumerate(_POINTS):
        others = [each for each in _POINTS if each != point]
        scale = abs(point) or 1.0
        kernel[index] = point ** np.arange(3) / scale
        features[index, :5] = scale * np.poly(others)[::-1]
        features[index] /= np.prod(np.subtract(point, others))
        results.append(point ** np.arange(_TILE))
    kernel[5, 2] = 1.0
    features[5] = np.poly(_POINTS)[::-1]
    results.append(np.arange(_TILE) == _TILE - 1)

    banded = np.zeros((6, BLOCK, _FEATURES), np.float32)
    for tile in range(BLOCK):
        banded[:, tile, _TILE * tile : _TILE * tile + 6] = features
    ends = np.einsum("pr,st->srpt", results, np.eye(BLOCK)).astype(np.float32)
    forward, backward = (
        _Transforms(
            banded[order].reshape(_VALUES, _FEATURES),
            ends[:, :, order].reshape(_RESULTS, _VALUES),
        )
        for order in ([*range(6)], _RECIPROCALS)
    )
    return kernel, forward, backward


_KERNEL, _FORWARD, _BACKWARD = _make_transforms()
