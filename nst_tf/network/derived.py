"""Derives maps from those of a network: joined layers, and smaller images.

Each has a stride and a reach, as every layer, so that tiles, masks and losses
need not know how it was made.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.network import architectures


def derive(
    base: tf.keras.Model,
    maps: Sequence[architectures.Map],
    geometry: Mapping[str, architectures.Convolution],
) -> tf.keras.Model:
    """Makes a model of maps from a model of layers.

    A joined map has the positions of its deeper layer. The channels of the
    shallower layer, averaged over the positions of the deeper one, are its
    first half, and those of the deeper layer its second half; zeros fill the
    smaller half. An image is divided by average pooling.

    Args:
        base: [1, H, W, 3] in [0, 1] -> {layer: [1, h, w, C]}.
        maps: The maps to return.
        geometry: The layers, by their names.

    Returns:
        [1, H, W, 3] in [0, 1] -> {name of a map: [1, h, w, C]}; `base` itself
        if all maps are layers.
    """
    if all(each.name in geometry for each in maps):
        return base
    source = base.inputs[0]
    image = tf.keras.Input((None, None, 3), dtype=source.dtype, name="image")
    outputs = {}
    for scale in dict.fromkeys(each.scale for each in maps):
        seen = image
        if scale > 1:
            seen = tf.keras.layers.AveragePooling2D(
                scale, data_format="channels_last", dtype=source.dtype
            )(image)
        layers = base(seen)
        for each in maps:
            if each.scale != scale:
                continue
            first, *others = (layers[layer] for layer in each.layers)
            for other in others:
                shallow, deep = (geometry[layer] for layer in each.layers)
                factor = deep.stride // shallow.stride
                first = _Join(factor, dtype=first.dtype)([first, other])
            outputs[each.name] = first
    model: tf.keras.Model = tf.keras.Model(image, outputs, name=base.name)
    model.trainable = False
    return model


def compile_model(
    model: tf.keras.Model,
) -> Callable[[tf.Tensor], Mapping[str, tf.Tensor]]:
    """Compiles a model of images of any size."""
    sizes = tf.TensorSpec([1, None, None, 3], model.inputs[0].dtype)
    compiled: Callable[[tf.Tensor], Mapping[str, tf.Tensor]] = tf.function(
        model, autograph=False, input_signature=[sizes]
    )
    return compiled


class _Join(tf.keras.layers.Layer):
    """Joins the channels of a shallower and a deeper map.

    Args:
        factor: Stride of the deeper map, over that of the shallower one.
    """

    def __init__(self, factor: int, **settings: Any):
        super().__init__(**settings)
        self._factor = factor

    def call(self, maps: Sequence[tf.Tensor]) -> tf.Tensor:
        """Joins [1, H, W, C] and [1, h, w, D] to [1, h, w, 2 max(C, D)]."""
        shallow, deep = maps
        if self._factor > 1:
            shallow = tf.nn.avg_pool2d(
                shallow, self._factor, self._factor, "VALID"
            )
        half = max(map(_count_channels, maps))
        return tf.concat([_widen(shallow, half), _widen(deep, half)], axis=-1)

    def compute_output_shape(self, shapes: Any) -> Any:
        """Returns the shape of the joined map, so that Keras need not trace."""
        shallow, deep = shapes
        return (*deep[:3], 2 * max(shallow[-1], deep[-1]))

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration for copies."""
        return {**super().get_config(), "factor": self._factor}


def _count_channels(features: tf.Tensor) -> int:
    """Counts the channels of a map, [1, h, w, C]."""
    channels: Any = features.shape[-1]
    return int(channels)


def _widen(features: tf.Tensor, channels: int) -> tf.Tensor:
    """Adds channels of zeros."""
    more = channels - _count_channels(features)
    if not more:
        return features
    return tf.pad(features, [[0, 0]] * 3 + [[0, more]])


def join_projections(
    each: architectures.Map, projections: Mapping[str, np.ndarray | None]
) -> np.ndarray | None:
    """Joins the projections of a map's layers, to [2 max(C, D), E + F]."""
    parts = [projections[layer] for layer in each.layers]
    if len(parts) == 1:
        return parts[0]
    shallow, deep = parts
    if shallow is None or deep is None:
        return None
    half = max(len(shallow), len(deep))
    joined = np.zeros((2 * half, shallow.shape[1] + deep.shape[1]))
    joined[: len(shallow), : shallow.shape[1]] = shallow
    joined[half : half + len(deep), shallow.shape[1] :] = deep
    return joined
