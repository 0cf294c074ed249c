"""Builds feature extractors: Keras models from an image to feature maps.

Every layer has an explicit data format and type, so that no Keras configuration
changes the network. Images are RGB in [0, 1]; only this module knows the
preprocessing of the network.
"""

import hashlib
import itertools
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf.backend import ops, reuse
from nst_tf.network import architectures, derived, winograd


@reuse.by_identity
class Extractor(NamedTuple):
    """A network with intermediate outputs, and the geometry of each layer.

    In half precision a compiled graph rounds less than eager layers, so compute
    targets for a compiled step with `compiled`.
    """

    model: tf.keras.Model  # [1, H, W, 3] in [0, 1] -> {layer: [1, h, w, C]}
    compiled: Callable[[tf.Tensor], Mapping[str, tf.Tensor]]  # the same
    stride: Mapping[str, int]  # pixels from one position to the next
    reach: Mapping[str, int]  # pixels read beyond a position's own square
    grid: int  # pixels: tiles that start at its multiples round as the whole
    # From the features of a small network to those of the full one, [c, C].
    projections: Mapping[str, np.ndarray | None]
    # Digest of a picture, and layers -> its maps; None: no cache.
    cache: MutableMapping[Sequence[str], Mapping[str, tf.Tensor]] | None = None

    def extract(self, image: np.ndarray) -> Mapping[str, tf.Tensor]:
        """Runs the network on one picture, [H, W, 3] in [0, 1]."""
        pixels = tf.constant(image[None], self.model.inputs[0].dtype)
        if self.cache is None:
            return self.compiled(pixels)
        key = digest_array(image), *self.stride
        if key not in self.cache:
            self.cache[key] = self.compiled(pixels)
        return self.cache[key]


def digest_array(array: np.ndarray) -> str:
    """Computes the digest of an array: its shape, type and values."""
    digest = hashlib.sha256(repr((array.shape, array.dtype)).encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


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
    """Builds a VGG network up to the deepest of the requested layers.

    Feature maps are taken after the ReLU, as usual: `block4_conv2` is
    `relu4_2`. Poolings drop the last row and column of odd sizes.

    Args:
        network: A key of `architectures.NETWORKS`.
        layers: Names of the layers to return, such as "block4_conv2"; or of
            maps made of layers, as `architectures.Map` has them.
        network_weights: Layer -> kernel, [3, 3, in, out], for BGR input from 0
            to 255 minus ImageNet's mean, and bias, [out]. They may have fewer
            channels than the network.
        projections: Layer of a small network -> matrix from its features to the
            full network's, [out, C].
        pooling: A key of `architectures.POOLINGS`: "max", "average", or
            "average_rescaled", so that activations keep their size.
        padding: Values beyond the border: "zeros"; "symmetric", the mirrored
            map; or "symmetric_first", mirrored for the first convolution and
            zeros for the others, which has the smallest border artifacts and
            costs no time (scripts/benchmarks/boundaries.py).
        dtype: Data type of the network and its outputs.
        convolution: "direct"; or "winograd", in float32, for layers of
            `architectures.WINOGRAD_CHANNELS` channels and more, up to
            `architectures.WINOGRAD_STRIDE`.

    Returns:
        The extractor, for images of at least its largest stride.

    Raises:
        ValueError: If a layer, the pooling, the padding or the convolution is
            unknown, or "winograd" is used with another type than float32.

    Source:
        Simonyan, Zisserman 2015; average pooling: Gatys, Ecker, Bethge 2016,
        section 2.
    """
    maps = [architectures.parse_map(name) for name in layers]
    layers = architectures.list_layers(layers)
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
    model = derived.derive(model, maps, geometry)
    # A map has the geometry of its deepest layer.
    deepest = {each: geometry[each.layers[-1]] for each in maps}
    grid = architectures.find_grid(network, chain[-1].name, convolution)
    own = {name: (projections or {}).get(name) for name in geometry}
    return Extractor(
        model,
        derived.compile_model(model),
        stride={m.name: m.scale * layer.stride for m, layer in deepest.items()},
        reach={m.name: m.scale * layer.reach for m, layer in deepest.items()},
        grid=grid * max(each.scale for each in maps),
        projections={m.name: derived.join_projections(m, own) for m in maps},
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
    """ReLU and average pooling, with a fused gradient.

    One pass spreads the gradient of the pooling, adds the gradients of the
    losses and masks the sum. Separate passes over memory would add half of
    the convolutions' time.

    Args:
        wanted: Whether losses use the features.
        followed: Whether another layer follows.
        average: Factor on the mean of 2 x 2 features for the next layer; 0: no
            average pooling.
    """

    def __init__(
        self, wanted: bool, followed: bool, average: float, **settings: Any
    ):
        super().__init__(**settings)
        self._wanted, self._followed, self._average = wanted, followed, average

    def call(self, values: tf.Tensor) -> list[tf.Tensor]:
        """Returns the next layer's input and the features, as needed."""

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
        """Returns the configuration for copies."""
        own = {
            "wanted": self._wanted,
            "followed": self._followed,
            "average": self._average,
        }
        return {**super().get_config(), **own}

    def _onward(self, features: tf.Tensor) -> tf.Tensor:
        """Returns the features, [1, H, W, C], or their means, [1, h, w, C]."""
        if not self._average:
            return features
        pooled = tf.nn.avg_pool2d(features, 2, 2, "VALID")
        if self._average == 1.0:
            return pooled
        return pooled * tf.constant(self._average, pooled.dtype)


@ops.fuse
def _masked(features: tf.Tensor, *upstream: tf.Tensor) -> tf.Tensor:
    """Backpropagates through a ReLU the sum of the upstream gradients."""
    zero = tf.zeros([], features.dtype)
    return tf.where(features > 0, tf.add_n(upstream), zero)


@ops.fuse
def _unpooled(
    share: tf.Tensor,
    features: tf.Tensor,
    pooled: tf.Tensor,
    *upstream: tf.Tensor,
) -> tf.Tensor:
    """Sums gradients as `_masked`, after unpooling the first one."""
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
    """Splits an image into its bfloat16 value and the rounding error.

    Rounding pixels to eight bits makes steps in smooth areas, which the edge
    filters of the first convolution amplify: half of the gradient's error in
    bfloat16 came from there. The channels are the rounded image, its error, and
    the rounded image again. Their kernels are the rounded kernel, the rounded
    kernel again, and its error.
    """

    def call(self, image: tf.Tensor) -> tf.Tensor:
        """Splits [1, H, W, 3] in float32 to [1, H, W, 9] in bfloat16."""
        return ops.custom_gradient(_split)(image)


def _split(image: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
    """Returns the parts of an image; the gradient uses only the first part."""
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
    """Returns the type of images for a network of this type."""
    return "float64" if dtype == "float64" else "float32"
