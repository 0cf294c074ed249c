"""Feature extractors: a Keras model from an image to feature maps by layer.

The network is built layer by layer, with data format and types stated, so that
no Keras configuration file and no policy set elsewhere changes it. Outside of
it an image is RGB in [0, 1]; what the network was trained on is known here
only.
"""

import hashlib
from collections.abc import Mapping, MutableMapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf import architectures

# Average pooling shrinks activations after a ReLU: of four values the largest
# is kept by max pooling, the mean by average pooling. The factor restores the
# size that the next layer was trained with. It was fitted, not derived: the
# geometric mean, over the four poolings of VGG19 and the six pictures of
# configs/images, of rms(max pooled) / rms(average pooled) of the same maps
# (scripts/benchmarks/boundaries.py prints it; by pooling it is 1.2, 1.6, 1.4
# and 1.9).
AVERAGE_POOLING_SCALE = 1.5


class Extractor(NamedTuple):
    """A network with intermediate outputs, and the geometry of each layer."""

    model: tf.keras.Model  # [1, H, W, 3] in [0, 1] -> {layer: [1, h, w, C]}
    stride: Mapping[str, int]  # pixels from one position to the next
    reach: Mapping[str, int]  # pixels seen beyond a position's own square
    # From the maps of a narrow network to those that it stands for, [c, C].
    projections: Mapping[str, np.ndarray | None]
    # Maps of pictures that were seen, by digest, where they are to be kept.
    seen: MutableMapping[str, Mapping[str, tf.Tensor]] | None = None

    def see(self, image: np.ndarray) -> Mapping[str, tf.Tensor]:
        """Runs the network on one picture, [H, W, 3] in [0, 1]."""
        if self.seen is None:
            return self.model(tf.constant(image[None]))
        data = np.ascontiguousarray(image)
        digest = hashlib.sha256(repr((data.shape, data.dtype)).encode())
        digest.update(data.tobytes())
        key = digest.hexdigest()
        if key not in self.seen:
            self.seen[key] = self.model(tf.constant(image[None]))
        return self.seen[key]


def vgg(
    network: str,
    layers: Sequence[str],
    network_weights: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    projections: Mapping[str, np.ndarray] | None = None,
    pooling: str = "max",
    padding: str = "zeros",
    dtype: str = "float32",
) -> Extractor:
    """Builds a VGG network, cut after the deepest of the layers asked for.

    Feature maps are taken after the ReLU, as the field does: `block4_conv2` is
    `relu4_2`. Poolings drop the last row and column of odd sizes.

    Args:
        network: A key of `architectures.NETWORKS`.
        layers: Names of the layers to return, such as "block4_conv2".
        network_weights: For each layer its kernel, [3, 3, in, out], for BGR
            input of 0..255 less ImageNet's mean, and its bias, [out]. They may
            be narrower than the network's.
        projections: For each layer of a narrow network the matrix from its
            features to the network's, [out, C].
        pooling: "max", "average", or "average_rescaled": average times
            `AVERAGE_POOLING_SCALE`, so that activations keep their size.
        padding: What a convolution sees beyond the border: "zeros";
            "symmetric", the mirrored map; or "symmetric_first", mirrored for
            the first convolution, the one that sees the picture, and zeros
            for all others. Of the three the last shows least along the sides
            of a picture, and costs no time
            (scripts/benchmarks/boundaries.py).
        dtype: Type that the network computes in; its outputs have it too.

    Returns:
        The extractor, for images of any size not below its largest stride.

    Raises:
        ValueError: If a layer, the pooling or the padding is unknown.

    Source:
        Simonyan, Zisserman 2015; average pooling: Gatys, Ecker, Bethge 2016,
        section 2.
    """
    architectures.check_layers(network, layers)
    if pooling not in POOLINGS:
        raise ValueError(f"pooling is {pooling!r}, expected one of {POOLINGS}.")
    if padding not in PADDINGS:
        raise ValueError(f"padding is {padding!r}, expected one of {PADDINGS}.")
    image = tf.keras.Input((None, None, 3), dtype=_wide(dtype), name="image")
    # The scale to 0..255 and the order of the channels are in the first kernel.
    features = tf.keras.layers.Rescaling(
        1.0,
        offset=-np.array(architectures.MEAN_COLOR),
        dtype=_wide(dtype),
        name="preprocess",
    )(image)
    outputs = {}
    block = 1
    for layer in architectures.convolutions(network):
        if layer.block > block:
            features = _pool(features, pooling, dtype, f"block{block}_pool")
            block = layer.block
        features = _convolve(
            features, layer, network_weights[layer.name], padding, dtype
        )
        if layer.name in layers:
            outputs[layer.name] = features
        if len(outputs) == len(set(layers)):
            break
    model: tf.keras.Model = tf.keras.Model(image, outputs, name=network)
    model.trainable = False
    geometry = {
        layer.name: layer
        for layer in architectures.convolutions(network)
        if layer.name in outputs
    }
    return Extractor(
        model,
        stride={name: layer.stride for name, layer in geometry.items()},
        reach={name: layer.reach for name, layer in geometry.items()},
        projections={name: (projections or {}).get(name) for name in geometry},
    )


def _convolve(
    features: tf.Tensor,
    layer: architectures.Convolution,
    network_weights: tuple[np.ndarray, np.ndarray],
    padding: str,
    dtype: str,
) -> tf.Tensor:
    """Adds one convolution with its ReLU."""
    kernel, bias = network_weights
    if layer.in_channels == 3:
        kernel = 255.0 * kernel[:, :, ::-1, :]  # RGB in [0, 1], mean removed
    mirrored = padding == "symmetric" or (
        padding == "symmetric_first" and layer.in_channels == 3
    )
    if mirrored:
        features = _SymmetricPadding(dtype=dtype)(features)
    convolution = tf.keras.layers.Conv2D(
        kernel.shape[-1],
        3,
        padding="valid" if mirrored else "same",
        activation="relu",
        data_format="channels_last",
        dtype=dtype,
        name=layer.name,
    )
    features = convolution(features)
    convolution.set_weights([kernel, bias])
    return features


def _pool(
    features: tf.Tensor, pooling: str, dtype: str, name: str
) -> tf.Tensor:
    """Adds one 2 x 2 pooling."""
    kind = (
        tf.keras.layers.MaxPooling2D
        if pooling == "max"
        else tf.keras.layers.AveragePooling2D
    )
    pooled = kind(2, data_format="channels_last", dtype=dtype, name=name)(
        features
    )
    if pooling == "average_rescaled":
        pooled = tf.keras.layers.Rescaling(AVERAGE_POOLING_SCALE, dtype=dtype)(
            pooled
        )
    return pooled


class _SymmetricPadding(tf.keras.layers.Layer):
    """Repeats the outermost row and column on each side."""

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Pads [1, H, W, C] to [1, H + 2, W + 2, C]."""
        return tf.pad(features, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")


def _wide(dtype: str) -> str:
    """The type of images beside a network of this type."""
    return "float64" if dtype == "float64" else "float32"


POOLINGS = ("max", "average", "average_rescaled")
PADDINGS = ("zeros", "symmetric_first", "symmetric")
