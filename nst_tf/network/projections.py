"""Computes distances of the full network from small features."""

import functools

import numpy as np
import tensorflow as tf


def compute_root(
    projection: np.ndarray | None, dtype: tf.DType
) -> tf.Tensor | None:
    """Computes R, [C, C], with R R' = P P', for a projection P.

    R gives the same distances as P and is smaller: v P and v R have the same
    norm, and so have P' D P and R' D R.
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
    """Computes R' M R, [C, C], for a root R; returns M without one."""
    if root is None:
        return matrix
    return tf.matmul(root, matrix @ root, transpose_a=True)


@functools.lru_cache(maxsize=32)  # shared by losses and levels
def _root(matrix: bytes, rows: int, columns: int) -> np.ndarray:
    """Computes the root of a float64 projection."""
    projection = np.frombuffer(matrix).reshape(rows, columns)
    left, singular_values, _ = np.linalg.svd(projection, full_matrices=False)
    return left * singular_values
