"""Functions with gradients of their own, which leave no graph behind.

In a graph `tf.custom_gradient` also enters the gradient into TensorFlow's table
of gradients, where `tf.gradients` would look for it. What is in that table
holds the graph, and the images that it captured, as long as the process lives:
those of every level of every run. A tape does not look there.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

Function = Callable[..., tuple[Any, Callable[..., Any]]]


def own_gradient(function: Function) -> Callable[..., Any]:
    """Decorates as `tf.custom_gradient` does; for tapes alone.

    Args:
        function: Tensors -> (a tensor, a function from the gradient with
            respect to it to those with respect to them).
    """
    decorated = tf.custom_gradient(function)

    @functools.wraps(function)
    def called(*tensors: tf.Tensor) -> tf.Tensor:
        table = ops.gradient_registry._registry
        before = set(table)
        try:
            return decorated(*tensors)
        finally:
            for name in table.keys() - before:
                del table[name]

    return called
