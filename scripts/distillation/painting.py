"""The student paints while it is trained, to see what it does not see."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from distillation import networks
from distillation.networks import CONTENT, STYLE
from nst_tf.optimize import moments

LEARNING_RATE = 0.02  # this and the others are the defaults of Adam
RATES: dict[str, Any] = {
    name: tf.constant(value)
    for name, value in (("beta_1", 0.9), ("beta_2", 0.99), ("epsilon", 1e-8))
}


class Painter:
    """Paints with the student as it is, to see what it does not see.

    Args:
        student: The network that paints, and is trained meanwhile.
        side: Of the pictures.
    """

    def __init__(self, student: networks.Student, side: int):
        self._student = student
        self._image = tf.Variable(tf.zeros([1, side, side, 3]))
        self._moments = [
            tf.Variable(tf.zeros([1, side, side, 3])) for _ in range(2)
        ]
        channels = [networks.LAYERS[name].out_channels for name in STYLE]
        self._grams = [tf.Variable(tf.zeros([c, c])) for c in channels]
        self._content = tf.Variable(
            networks.extract(student.network, self._image)[CONTENT]
        )

    def paint(
        self, content: np.ndarray, style: np.ndarray, rng: np.random.Generator
    ) -> Iterator[np.ndarray]:
        """Yields pairs of moments of a painting, [2, side, side, 3]."""
        maps = networks.extract(self._student.network, tf.constant(style[None]))
        for variable, name in zip(self._grams, STYLE, strict=True):
            projection = self._student.projections[name]
            variable.assign(
                networks.projected(networks.gram(maps[name]), projection)[0]
            )
        maps = networks.extract(
            self._student.network, tf.constant(content[None])
        )
        self._content.assign(maps[CONTENT])
        start = content
        if rng.random() < 0.3:
            start = rng.random(content.shape).astype(np.float32)
        self._image.assign(start[None])
        for moment in self._moments:
            moment.assign(tf.zeros_like(moment))
        content_weight = tf.constant(10 ** rng.uniform(-2.5, -0.5), tf.float32)
        number = int(10 ** rng.uniform(1.0, 2.1))
        moments = np.sort(rng.integers(0, number + 1, size=6))
        kept = []
        for step in range(number + 1):
            kept += [self._image.numpy()[0]] * int(np.sum(moments == step))
            if step < number:
                self._step(tf.constant(step + 1.0), content_weight)
        yield from np.stack(kept).reshape(3, 2, *content.shape)

    @tf.function
    def _step(self, count: tf.Tensor, content_weight: tf.Tensor) -> None:
        """One step of Adam, clipped."""
        with tf.GradientTape() as tape:
            image = tf.convert_to_tensor(self._image)
            tape.watch(image)
            maps = networks.extract(self._student.network, image)
            loss = (
                content_weight
                * networks.mean_square(maps[CONTENT] - self._content)
                / networks.mean_square(self._content)
            )
            for target, name in zip(self._grams, STYLE, strict=True):
                found = networks.projected(
                    networks.gram(maps[name]), self._student.projections[name]
                )
                loss += (
                    networks.mean_square(found - target)
                    / networks.mean_square(target)
                    / 5
                )
        gradient = tape.gradient(loss, image)
        gradient *= tf.cast(tf.size(gradient) // 3, tf.float32)
        mean, square = self._moments
        direction, new_mean, new_square = moments.adam_update(
            gradient, mean, square, count, **RATES
        )
        mean.assign(new_mean)
        square.assign(new_square)
        image -= LEARNING_RATE * direction
        self._image.assign(tf.clip_by_value(image, 0, 1))
