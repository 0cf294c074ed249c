"""Feature extractors: a Keras model from an image to feature maps by layer.

The network is built layer by layer, with data format and types stated, so that
no Keras configuration file and no policy set elsewhere changes it. Outside of
it an image is RGB in [0, 1]; what the network was trained on is known here
only.
"""

import hashlib
import itertools
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf.backend import ops, reuse
from nst_tf.network import architectures, winograd


@reuse.by_identity
class Extractor(NamedTuple):
    """A network with intermediate outputs, and the geometry of each layer.

    In half precision a graph rounds less than the same layers one by one: what
    is compared with what a compiled step sees is to be seen by `compiled`.
    """

    model: tf.keras.Model  # [1, H, W, 3] in [0, 1] -> {layer: [1, h, w, C]}
    compiled: Callable[[tf.Tensor], Mapping[str, tf.Tensor]]  # the same
    stride: Mapping[str, int]  # pixels from one position to the next
    reach: Mapping[str, int]  # pixels seen beyond a position's own square
    grid: int  # pixels: tiles that begin at its multiples round as the whole
    # From the maps of a narrow network to those that it stands for, [c, C].
    projections: Mapping[str, np.ndarray | None]
    # Maps of pictures by digest, where they are to be kept.
    cache: MutableMapping[str, Mapping[str, tf.Tensor]] | None = None

    def extract(self, image: np.ndarray) -> Mapping[str, tf.Tensor]:
        """Runs the network on one picture, [H, W, 3] in [0, 1]."""
        pixels = tf.constant(image[None], self.model.inputs[0].dtype)
        if self.cache is None:
            return self.compiled(pixels)
        data = np.ascontiguousarray(image)
        digest = hashlib.sha256(repr((data.shape, data.dtype)).encode())
        digest.update(data.tobytes())
        key = digest.hexdigest()
        if key not in self.cache:
            self.cache[key] = self.compiled(pixels)
        return self.cache[key]


def vgg(
    network: str,
    layers: Sequence[str],
    network_weights: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    projections: Mapping[str, np.ndarray] | None = None,
    pooling: str = "max",
    padding: str = "zeros",
    dtype: str = "float32",
    convolution: str = "direct",
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
        pooling: A key of `architectures.POOLINGS`: "max", "average", or
            "average_rescaled", so that activations keep their size.
        padding: What a convolution sees beyond the border: "zeros";
            "symmetric", the mirrored map; or "symmetric_first", mirrored for
            the first convolution, the one that sees the picture, and zeros
            for all others. Of the three the last shows least along the sides
            of a picture, and costs no time
            (scripts/benchmarks/boundaries.py).
        dtype: Type that the network computes in; its outputs have it too.
        convolution: "direct"; or "winograd", in float32, for layers of
            `architectures.WINOGRAD_CHANNELS` channels and more, up to
            `architectures.WINOGRAD_STRIDE`.

    Returns:
        The extractor, for images of any size not below its largest stride.

    Raises:
        ValueError: If a layer, the pooling, the padding or the convolution is
            unknown, or Winograd's are to be of another type than float32.

    Source:
        Simonyan, Zisserman 2015; average pooling: Gatys, Ecker, Bethge 2016,
        section 2.
    """
    architectures.check_layers(network, layers)
    for name, value, known in (
        ("pooling", pooling, (*architectures.POOLINGS,)),
        ("padding", padding, architectures.PADDINGS),
        ("convolution", convolution, architectures.CONVOLUTIONS),
    ):
        if value not in known:
            raise ValueError(f"{name} is {value!r}, expected one of {known}.")
    architectures.choose_convolution(convolution, dtype)
    image = tf.keras.Input((None, None, 3), dtype=_wide(dtype), name="image")
    # The scale to 0..255 and the order of the channels are in the first kernel.
    features = tf.keras.layers.Rescaling(
        1.0,
        offset=-np.array(architectures.MEAN_COLOR),
        dtype=_wide(dtype),
        name="preprocess",
    )(image)
    outputs = {}
    chain = architectures.list_convolutions(network)
    chain = chain[
        : chain.index(architectures.find_deepest(network, layers)) + 1
    ]
    for layer, after in itertools.zip_longest(chain, chain[1:]):
        wanted = layer.name in layers
        pools = after is not None and after.block > layer.block
        average = architectures.POOLINGS[pooling] if pools else 0.0
        features = _convolve(
            features,
            layer,
            network_weights[layer.name],
            padding,
            dtype,
            convolution,
        )
        rectified = _Rectified(wanted, after is not None, average, dtype=dtype)(
            features
        )
        if wanted:
            outputs[layer.name] = rectified.pop()
        if rectified:
            features = rectified.pop()
        if pools and not average:
            features = tf.keras.layers.MaxPooling2D(
                2, data_format="channels_last", dtype=dtype
            )(features)
    model: tf.keras.Model = tf.keras.Model(image, outputs, name=network)
    model.trainable = False
    geometry = {layer.name: layer for layer in chain if layer.name in outputs}
    sizes = tf.TensorSpec([1, None, None, 3], _wide(dtype))
    return Extractor(
        model,
        tf.function(model, autograph=False, input_signature=[sizes]),
        stride={name: layer.stride for name, layer in geometry.items()},
        reach={name: layer.reach for name, layer in geometry.items()},
        grid=architectures.find_grid(network, chain[-1].name, convolution),
        projections={name: (projections or {}).get(name) for name in geometry},
    )


def _convolve(
    features: tf.Tensor,
    layer: architectures.Convolution,
    network_weights: tuple[np.ndarray, np.ndarray],
    padding: str,
    dtype: str,
    convolution: str,
) -> tf.Tensor:
    """Adds one convolution."""
    kernel, bias = network_weights
    if convolution == "winograd" and architectures.is_by_winograd(
        layer, kernel.shape[2:]
    ):
        if padding == "symmetric":
            features = _SymmetricPadding(dtype=dtype)(features)
        border = 0 if padding == "symmetric" else 1
        return winograd.Convolution(kernel, bias, border, layer.name)(features)
    if layer.in_channels == 3:
        kernel = 255.0 * kernel[:, :, ::-1, :]  # RGB in [0, 1], mean removed
    mirrored = padding == "symmetric" or (
        padding == "symmetric_first" and layer.in_channels == 3
    )
    if mirrored:
        features = _SymmetricPadding(dtype=features.dtype)(features)
    if layer.in_channels == 3 and dtype == "bfloat16":
        features = _Split(dtype="float32")(features)
        rounded = tf.cast(tf.cast(kernel, dtype), kernel.dtype).numpy()
        kernel = np.concatenate([rounded, rounded, kernel - rounded], axis=2)
    direct = tf.keras.layers.Conv2D(
        kernel.shape[-1],
        3,
        padding="valid" if mirrored else "same",
        data_format="channels_last",
        # By default they begin as random numbers, which take a second.
        kernel_initializer="zeros",
        dtype=dtype,
        name=layer.name,
    )
    features = direct(features)
    direct.set_weights([kernel, bias])
    return features


class _Rectified(tf.keras.layers.Layer):
    """ReLU, and average pooling after it, with a gradient in one pass.

    What comes from the next convolution and from the losses is spread over the
    squares of the pooling, added up and masked at once. These would be passes
    over memory of their own, and together take half as long as convolutions.

    Args:
        wanted: Whether losses look at the features.
        followed: Whether the network goes on after them.
        average: What the mean of 2 x 2 features is multiplied by on the way
            to what follows; 0 if it is not averaged.
    """

    def __init__(
        self, wanted: bool, followed: bool, average: float, **settings: Any
    ):
        super().__init__(**settings)
        self._wanted, self._followed, self._average = wanted, followed, average

    def call(self, values: tf.Tensor) -> list[tf.Tensor]:
        """What follows gets, if anything does, and the features, if wanted."""

        @ops.custom_gradient
        def rectified(
            values: tf.Tensor,
        ) -> tuple[list[tf.Tensor], Callable[..., tf.Tensor]]:
            features = tf.nn.relu(values)
            outputs = []
            if self._followed:
                outputs.append(self._onward(features))
            if self._wanted:
                outputs.append(features)

            def gradient(*upstream: tf.Tensor) -> tf.Tensor:
                if self._average:
                    share = tf.constant(self._average / 4, features.dtype)
                    return _unpooled(share, features, *upstream)
                return _masked(features, *upstream)

            return [tf.identity(output) for output in outputs], gradient

        outputs: list[tf.Tensor] = rectified(values)
        return outputs

    def compute_output_shape(self, shape: Any) -> Any:
        """Lists the shapes of the outputs, so that Keras need not trace."""
        onward = shape
        if self._average:
            sides = [side and side // 2 for side in shape[1:3]]
            onward = (shape[0], *sides, shape[3])
        return [onward] * self._followed + [shape] * self._wanted

    def get_config(self) -> dict[str, Any]:
        """What a copy is made with."""
        own = {
            "wanted": self._wanted,
            "followed": self._followed,
            "average": self._average,
        }
        return {**super().get_config(), **own}

    def _onward(self, features: tf.Tensor) -> tf.Tensor:
        """The features, [1, H, W, C], or their means, [1, h, w, C]."""
        if not self._average:
            return features
        pooled = tf.nn.avg_pool2d(features, 2, 2, "VALID")
        if self._average == 1.0:
            return pooled
        return pooled * tf.constant(self._average, pooled.dtype)


@ops.fuse
def _masked(features: tf.Tensor, *upstream: tf.Tensor) -> tf.Tensor:
    """The sum of gradients where features are not zero."""
    zero = tf.zeros([], features.dtype)
    return tf.where(features > 0, tf.add_n(upstream), zero)


@ops.fuse
def _unpooled(
    share: tf.Tensor,
    features: tf.Tensor,
    pooled: tf.Tensor,
    *upstream: tf.Tensor,
) -> tf.Tensor:
    """The same, where each of 2 x 2 features has a share of the first one."""
    shape: Any = features.shape
    height, width, channels = shape[1:]
    squares = tf.reshape(
        tf.broadcast_to(
            (share * pooled)[:, :, None, :, None],
            [1, height // 2, 2, width // 2, 2, channels],
        ),
        [1, height // 2 * 2, width // 2 * 2, channels],
    )
    if height % 2 or width % 2:  # pooling drops the last row or column
        odd = [[0, 0], [0, height % 2], [0, width % 2], [0, 0]]
        squares = tf.pad(squares, odd)
    return _masked(features, squares, *upstream)


class _Split(tf.keras.layers.Layer):
    """An image in bfloat16, and what rounding takes away from it.

    Eight bits of a pixel less the mean color leave steps in smooth skies that
    the first convolution, which looks for edges, answers to: half of the error
    of the gradient of a network in bfloat16 came from there. Channels are the
    rounded image, the rest, and the rounded image again, for kernels that are
    rounded, rounded, and the rest of them.
    """

    def call(self, image: tf.Tensor) -> tf.Tensor:
        """Splits [1, H, W, 3] in float32 to [1, H, W, 9] in bfloat16."""
        return ops.custom_gradient(_split)(image)


def _split(image: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
    """The parts of an image, and the gradient, of the rounded kernel alone."""
    rounded = tf.cast(image, tf.bfloat16)
    rest = tf.cast(image - tf.cast(rounded, image.dtype), tf.bfloat16)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return tf.cast(upstream[:, :, :, :3], image.dtype)

    return tf.concat([rounded, rest, rounded], axis=-1), gradient


class _SymmetricPadding(tf.keras.layers.Layer):
    """Repeats the outermost row and column on each side."""

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Pads [1, H, W, C] to [1, H + 2, W + 2, C]."""
        return tf.pad(features, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")


def _wide(dtype: str) -> str:
    """The type of images beside a network of this type."""
    return "float64" if dtype == "float64" else "float32"
