"""Narrow networks: distances of the features that they stand for."""

import functools

import numpy as np
import tensorflow as tf


def compute_root(
    projection: np.ndarray | None, dtype: tf.DType
) -> tf.Tensor | None:
    """The square matrix R, [C, C], with R R' = P P', of a projection P.

    Distances of projected values are the same through R as through P: the norm
    of v P is that of v R, and the norm of P' D P that of R' D R. It is smaller.
    """
    if projection is None:
        return None
    matrix = np.ascontiguousarray(projection, np.float64)
    return tf.constant(_root(matrix.tobytes(), *matrix.shape), dtype)


def project(features: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Multiplies each position of a map, [1, h, w, C], by a matrix [C, D]."""
    shape = tf.shape(features)
    flat = tf.reshape(features, [-1, matrix.shape[0]]) @ matrix
    return tf.reshape(flat, [*tf.unstack(shape)[:3], matrix.shape[1]])


def transform(matrix: tf.Tensor, root: tf.Tensor | None) -> tf.Tensor:
    """R' M R, [C, C], of products of channels, for a root R; M without one."""
    if root is None:
        return matrix
    return tf.matmul(root, matrix @ root, transpose_a=True)


@functools.lru_cache(maxsize=32)  # each loss of each level asks for one
def _root(matrix: bytes, rows: int, columns: int) -> np.ndarray:
    """The root of a projection of float64."""
    projection = np.frombuffer(matrix).reshape(rows, columns)
    left, singular_values, _ = np.linalg.svd(projection, full_matrices=False)
    return left * singular_values
