"""Operations: passes over memory joined into one, gradients of their own.

What a step does beside convolutions is bound by memory: to add, to spread and
to mask a gradient reads and writes all of it three times. `fuse` joins such
passes by XLA where that serves; convolutions are left to the library that has
the fast ones. `custom_gradient` leaves no graph behind.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

Function = Callable[..., tuple[Any, Callable[..., Any]]]

# Elements that are read from which on a joined pass saves within some hundred
# steps what its compilation takes, about 0.1 s.
MIN_FUSED_ELEMENTS = 2**21


def fuse(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a function that works element by element.

    On a GPU, in a TensorFlow without XLA, and for little it stays as it is.

    Args:
        function: Tensors, in any nest -> tensors, in any nest.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        sizes = [
            tensor.shape.num_elements() for tensor in tf.nest.flatten(arguments)
        ]
        large = None in sizes or sum(sizes) >= MIN_FUSED_ELEMENTS
        return (compiled if large and _can_compile() else function)(*arguments)

    return call


def custom_gradient(function: Function) -> Callable[..., Any]:
    """Decorates as `tf.custom_gradient` does; for tapes alone.

    In a graph `tf.custom_gradient` also enters the gradient into TensorFlow's
    table of gradients, where `tf.gradients` would look for it. What is in that
    table holds the graph, and the images that it captured, as long as the
    process lives: those of every level of every run. A tape does not look
    there.

    Args:
        function: Tensors -> (a tensor, a function from the gradient with
            respect to it to those with respect to them).
    """
    decorated = tf.custom_gradient(function)

    @functools.wraps(function)
    def call(*tensors: tf.Tensor) -> tf.Tensor:
        table = ops.gradient_registry._registry
        before = set(table)
        try:
            return decorated(*tensors)
        finally:
            for name in table.keys() - before:
                del table[name]

    return call


@functools.cache
def _can_compile() -> bool:
    """Returns whether XLA compiles for what computes here.

    For GPUs it needs files that packages of TensorFlow may come without.
    """
    if tf.config.get_visible_devices("GPU"):
        return False
    double = tf.function(lambda value: 2.0 * value, jit_compile=True)
    try:
        with tf.init_scope():
            double(tf.zeros([]))
    except tf.errors.OpError:
        return False
    return True
