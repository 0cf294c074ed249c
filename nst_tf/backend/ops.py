"""Provides fused operations and custom gradients.

Outside convolutions a step is bound by memory bandwidth: adding, spreading and
masking a gradient would read and write all of it three times. `fuse` joins such
passes with XLA if that is faster. `custom_gradient` does not leak graphs.
"""

import functools
import logging
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

log = logging.getLogger("nst_tf")

Function = Callable[..., tuple[Any, Callable[..., Any]]]

# Minimum number of elements for which a fused pass saves its compilation time,
# about 0.1 s, within some hundred steps.
MIN_FUSED_ELEMENTS = 2**21


def fuse(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates an elementwise function to fuse it with XLA.

    On a GPU, without XLA, and for small tensors the function runs unfused.

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
    """Decorates like `tf.custom_gradient`, for gradient tapes only.

    In a graph `tf.custom_gradient` also adds the gradient to a global registry
    for `tf.gradients`, which keeps the graph and its captured images alive
    until the process ends, for every level of every run. Tapes do not use that
    registry.

    Args:
        function: Tensors -> (tensor, function from its gradient to the
            gradients of the inputs).
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
                table.pop(name, None)  # another thread may have done so

    return call


@functools.cache
def _can_compile() -> bool:
    """Returns whether XLA can compile for this device.

    For GPUs it needs files that some TensorFlow packages lack.
    """
    if tf.config.get_visible_devices("GPU"):
        return False
    double = tf.function(lambda value: 2.0 * value, jit_compile=True)
    try:
        with tf.init_scope():
            double(tf.zeros([]))
    except tf.errors.OpError as error:
        log.warning(
            "XLA cannot compile here, so that steps take longer: %s",
            str(error).partition("\n")[0],
        )
        return False
    return True
