"""The teacher, and the student that begins as a pruned teacher."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nst_tf.network import architectures, bundled, weight_files

CHANNELS = (32, 64, 128, 256, 256)  # of the student, by block
LAYERS = {
    layer.name: layer for layer in architectures.list_convolutions("vgg19")
}
STYLE = tuple(f"block{block}_conv1" for block in range(1, 6))
CONTENT = "block4_conv2"
SPREAD = 0.25  # of a picture's values, about; the network's input has unit size

Network = Mapping[str, tuple[Any, Any]]  # kernel, bias: tensors or variables
Features = Mapping[str, tf.Tensor]


def extract(
    network: Network, images: tf.Tensor, pooling: str = "AVG"
) -> Features:
    """Runs a network in bfloat16: [B, H, W, 3] in [0, 1] -> maps by layer.

    As `extractors.vgg` does with its default padding, for kernels that expect
    RGB of about unit size.
    """
    mean = tf.constant(architectures.MEAN_COLOR, tf.float32)
    maps = tf.cast((images - mean) / SPREAD, tf.bfloat16)
    maps = tf.pad(maps, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    features = {}
    block = 1
    for name in network:
        if LAYERS[name].block > block:
            maps = tf.nn.pool(maps, [2, 2], pooling, [2, 2], "VALID")
            block = LAYERS[name].block
        kernel, bias = (tf.cast(v, tf.bfloat16) for v in network[name])
        padding: Any = "VALID" if LAYERS[name].in_channels == 3 else "SAME"
        maps = tf.nn.conv2d(maps, kernel, 1, padding)
        maps = tf.nn.relu(tf.nn.bias_add(maps, bias))
        features[name] = maps
    return features


class Teacher:
    """The real VGG19, each layer scaled to unit mean square.

    Args:
        network_weights: As `weight_files.read` returns them.
        images: To measure the sizes of feature maps on, [B, H, W, 3].
    """

    def __init__(
        self, network_weights: weight_files.Layers, images: np.ndarray
    ):
        unscaled: dict[str, tuple[Any, Any]] = {}
        for name, (kernel, bias) in network_weights.items():
            if LAYERS[name].in_channels == 3:  # BGR, 0..255
                kernel = 255.0 * SPREAD * kernel[:, :, ::-1, :]
            unscaled[name] = (tf.constant(kernel), tf.constant(bias))
        self.images = images
        self.size = {
            name: float(np.sqrt(mean_square(maps)))
            for name, maps in extract(unscaled, tf.constant(images)).items()
        }
        self.network: dict[str, tuple[Any, Any]] = {}
        before = 1.0
        for name, (kernel, bias) in unscaled.items():
            after = self.size[name]
            self.network[name] = (kernel * before / after, bias / after)
            before = after


class Student(tf.Module):
    """The small network and its projections: pruned from the teacher."""

    def __init__(self, teacher: Teacher, positions: int = 20000):
        super().__init__(name="student")
        rng = np.random.default_rng(0)
        wanted = extract(teacher.network, tf.constant(teacher.images))
        self.network: dict[str, tuple[Any, Any]] = {}
        self.projections: dict[str, tf.Variable] = {}
        reading: Any = np.eye(3, dtype=np.float32)
        sample: Any
        for name, (kernel, bias) in teacher.network.items():
            targets = tf.reshape(wanted[name], [-1, kernel.shape[-1]])
            count = int(targets.shape[0] or 0)
            chosen = rng.choice(count, min(positions, count), replace=False)
            sample = tf.gather(targets, chosen).numpy().astype(np.float64)
            kept = _explaining(
                sample.T @ sample, CHANNELS[LAYERS[name].block - 1]
            )
            narrow = np.einsum(
                "hwio,ni->hwno", kernel.numpy()[..., kept], reading
            )
            self.network[name] = (
                tf.Variable(narrow, name=f"{name}/kernel"),
                tf.Variable(bias.numpy()[kept], name=f"{name}/bias"),
            )
            # Fitted to what the small network gives, its errors included.
            maps = extract(self.network, tf.constant(teacher.images))[name]
            maps = tf.gather(tf.reshape(maps, [-1, len(kept)]), chosen)
            maps = maps.numpy().astype(np.float64)
            covariance = maps.T @ maps
            covariance += (
                1e-4 * np.trace(covariance) / len(kept) * np.eye(len(kept))
            )
            reading = np.linalg.solve(covariance, maps.T @ sample).astype(
                np.float32
            )
            self.projections[name] = tf.Variable(
                reading, name=f"{name}/projection"
            )


def finished(
    student: Student, teacher: Teacher, images: np.ndarray
) -> tuple[bundled.Layers, dict[str, np.ndarray]]:
    """Brings the student to the units of VGG19, BGR of 0..255 as it expects it.

    What a projection misses is missing in the size of its features; a factor
    for each layer gives it back, so that over images, [B, H, W, 3], the norms
    of the Gram matrices of style layers and the mean squares of the others are
    VGG19's, in the geometric mean.
    """
    layers: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    projections = {}
    factors = _missing(student, teacher, images)
    before = 1.0
    for name, (kernel, bias) in student.network.items():
        after = teacher.size[name]
        scaled = kernel.numpy() * (after / before)
        if LAYERS[name].in_channels == 3:
            scaled = scaled[:, :, ::-1, :] / (255.0 * SPREAD)
        layers[name] = scaled, bias.numpy() * after
        projections[name] = factors[name] * student.projections[name].numpy()
        before = after
    return layers, projections


def _missing(
    student: Student, teacher: Teacher, images: np.ndarray
) -> dict[str, float]:
    """The factor, by layer, that gives projected features VGG19's size."""
    logarithms: dict[str, list[Any]] = {name: [] for name in LAYERS}
    for image in images:
        maps = extract(student.network, tf.constant(image[None]))
        wanted = extract(teacher.network, tf.constant(image[None]))
        for name, projection in student.projections.items():
            found = projected(gram(maps[name]), projection)
            target = gram(wanted[name])
            size = tf.norm if name in STYLE else tf.linalg.trace
            # Both are of squared features: the factor is the root.
            ratio = tf.reduce_sum(size(target)) / tf.reduce_sum(size(found))
            logarithms[name].append(0.5 * tf.math.log(ratio))
    return {name: float(np.exp(np.mean(v))) for name, v in logarithms.items()}


def gram(maps: tf.Tensor) -> tf.Tensor:
    """Gram matrices of a batch of feature maps, [B, C, C]."""
    flat = tf.reshape(maps, [tf.shape(maps)[0], -1, maps.shape[-1]])
    products = tf.matmul(flat, flat, transpose_a=True)
    count = tf.cast(tf.shape(flat)[1], tf.float32)
    return tf.cast(products, tf.float32) / count


def projected(matrix: tf.Tensor, projection: tf.Tensor) -> tf.Tensor:
    """P' G P, [..., C, C]."""
    return tf.matmul(projection, matrix @ projection, transpose_a=True)


def mean_square(values: tf.Tensor) -> tf.Tensor:
    """The mean square, in float32, []."""
    return tf.reduce_mean(tf.square(tf.cast(values, tf.float32)))


def _explaining(products: np.ndarray, count: int) -> np.ndarray:
    """Chooses channels from which the others can be read best, greedily.

    A pivoted Cholesky decomposition of the products of channels, [C, C].
    """
    rest = products.copy()
    kept: list[int] = []
    for _ in range(count):
        # The channel whose removal leaves least energy in all the others.
        energy = np.square(rest).sum(0) / np.maximum(np.diag(rest), 1e-9)
        energy[kept] = -1.0
        best = int(np.argmax(energy))
        kept.append(best)
        column = rest[:, best].copy()
        rest -= np.outer(column, column) / max(column[best], 1e-9)
    return np.array(kept)
