"""Several passes over memory, joined into one by XLA where that serves.

What a step does beside convolutions is bound by memory: to add, to spread and
to mask a gradient reads and writes all of it three times. Convolutions are
left to the library that has the fast ones.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Elements that are read from which on a joined pass saves within some hundred
# steps what its compilation takes, about 0.1 s.
WORTH = 2**21


def fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a function that works element by element.

    On a GPU, in a TensorFlow without XLA, and for little it stays as it is.

    Args:
        function: Tensors, in any nest -> tensors, in any nest.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def called(*arguments: Any) -> Any:
        sizes = [
            tensor.shape.num_elements() for tensor in tf.nest.flatten(arguments)
        ]
        large = None in sizes or sum(sizes) >= WORTH
        return (compiled if large and _serves() else function)(*arguments)

    return called


@functools.cache
def _serves() -> bool:
    """Whether XLA compiles for what computes here.

    For GPUs it needs files that packages of TensorFlow may come without.
    """
    if tf.config.list_physical_devices("GPU"):
        return False
    double = tf.function(lambda value: 2.0 * value, jit_compile=True)
    try:
        with tf.init_scope():
            double(tf.zeros([]))
    except tf.errors.OpError:
        return False
    return True
