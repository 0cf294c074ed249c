"""Losses of feature maps and images in NumPy, and what programs share.

A loss is a function of an array that returns its value and its gradient. A
program (`numpy_sources`, `numpy_tutorials`) adds some up, and descends. Nothing
here imports the package or TensorFlow.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy_network

MEAN = numpy_network.MEAN[::-1]  # red, green, blue


class Units(NamedTuple):
    """How a program keeps its image: (RGB in [0, 1] - shift) / unit.

    Its network sees BGR of 0..`scale` minus `mean`, which is in order of RGB.
    """

    unit: object = 1.0
    shift: object = 0.0
    is_bgr: bool = False
    scale: float = 255.0
    mean: object = MEAN

    def enter(self, image):
        """Turns RGB into the program's array."""
        return self._turn((np.asarray(image, float) - self.shift) / self.unit)

    def leave(self, array):
        """Turns the program's array into RGB, unclipped."""
        return self._turn(array) * self.unit + self.shift

    def see(self, array):
        """Turns the program's array into the network's input."""
        return (self.scale * self.leave(array) - self.mean)[..., ::-1]

    def pull(self, gradient):
        """Turns a gradient of the network's input into one of the array."""
        return self._turn(self.scale * self.unit * gradient[..., ::-1])

    def _turn(self, image):
        return image[..., ::-1] if self.is_bgr else image


RGB = Units()


def seen(scale=255.0, mean=MEAN):
    """Units of a program whose array is the network's input."""
    mean = np.asarray(mean, float)
    return Units(1 / scale, mean / scale, True, scale, mean)


class Objective(NamedTuple):
    """A sum of losses of the array that an optimizer changes.

    Losses of feature maps are called "content/<layer>" or "style/<layer>", that
    of the array itself "total_variation".
    """

    network: numpy_network.Network
    losses: Mapping[str, object]
    units: Units = RGB

    def __call__(self, array):
        """Returns the losses by name, and the gradient of their sum."""
        features = self.network.forward(self.units.see(array))
        terms, gradients, direct = {}, {}, 0.0
        for name, loss in self.losses.items():
            layer = name.partition("/")[2]
            terms[name], gradient = loss(features[layer] if layer else array)
            if layer:
                gradients[layer] = gradients.get(layer, 0.0) + gradient
            else:
                direct = gradient
        return terms, self.units.pull(self.network.backward(gradients)) + direct


class Run(NamedTuple):
    """What a program did.

    Attributes:
        objective: The sum that it reduces.
        images: The image after each step, RGB, [H, W, 3]. White is 1, but
            nothing is clipped unless the source does so in every step.
        terms: The losses before each step, weighted.
    """

    objective: Objective
    images: list
    terms: list


def count_positions(features):
    """The divisor of a Gram matrix that is a mean."""
    return features.shape[0] * features.shape[1]


def run(
    inputs,
    units,
    optimizer,
    content_weights,
    style_weights,
    divisor=count_positions,
    *,
    of_means=True,
    others=(),
    clip=None,
    norm_floor=None,
):
    """Runs a program.

    Args:
        inputs: Network; content, style and start, RGB; number of steps.
        units: Those of the program.
        optimizer: Has `step(array, gradient)`.
        content_weights: Layer -> weight.
        style_weights: Layer -> weight of the distance of Gram matrices.
        divisor: Of a Gram matrix, from its features.
        of_means: Whether squared differences are averaged; else, summed.
        others: Name -> loss, besides.
        clip: What the array is clipped to after each step.
        norm_floor: Added to the L1 norm that the gradient of each loss of
            features is divided by; None: it is not divided.
    """
    network, *pictures, start, steps = inputs
    content, style = (
        network.forward(units.see(units.enter(each))) for each in pictures
    )
    losses = {}
    for layer, weight in content_weights.items():
        size = content[layer].size if of_means else 1
        loss = squared_error(content[layer], weight / size)
        loss = normalized(loss, weight, norm_floor)
        losses[f"content/{layer}"] = loss
    for layer, weight in style_weights.items():
        size = style[layer].shape[-1] ** 2 if of_means else 1
        loss = gram_error(style[layer], weight / size, divisor)
        loss = normalized(loss, weight, norm_floor)
        losses[f"style/{layer}"] = loss
    objective = Objective(network, {**losses, **dict(others)}, units)
    return descend(objective, start, steps, optimizer, clip)


def descend(objective, start, steps, optimizer, clip=None):
    """Runs an optimizer from an RGB image."""
    array, images, terms = objective.units.enter(start), [], []
    for _ in range(steps):
        values, gradient = objective(array)
        array = optimizer.step(array, gradient)
        if clip is not None:
            array = np.clip(array, *clip)
        images.append(objective.units.leave(array))
        terms.append(values)
    return Run(objective, images, terms)


def squared_error(target, weight):
    """weight * sum((F - P)^2)."""

    def loss(features):
        difference = features - target
        return weight * float(np.sum(difference**2)), 2 * weight * difference

    return loss


def gram_error(target_features, weight, divisor):
    """weight * sum((G - A)^2), with G = F'F / divisor(F)."""

    def gram(features):
        rows = features.reshape(-1, features.shape[-1])
        return rows.T @ rows / divisor(features)

    target = gram(target_features)

    def loss(features):
        difference = gram(features) - target
        # d sum(D^2) = 2 sum(D dG), and dG = (dF'F + F'dF) / divisor, where D
        # is symmetric: 4 F D / divisor.
        gradient = 4 * weight / divisor(features) * (features @ difference)
        return weight * float(np.sum(difference**2)), gradient

    return loss


def normalized(loss, weight, floor):
    """The loss itself; its gradient without its weight has an L1 norm of 1."""
    if floor is None:
        return loss

    def changed(features):
        value, gradient = loss(features)
        gradient = gradient / weight
        return value, weight * gradient / (np.abs(gradient).sum() + floor)

    return changed


def corner_variation(weight, power):
    """weight * sum((down^2 + right^2) ^ power), without last row and column.

    These are reached from the inside only.
    """

    def loss(image):
        corner = image[:-1, :-1]
        down, right = corner - image[1:, :-1], corner - image[:-1, 1:]
        square = down**2 + right**2
        slope = 2 * weight * power * square ** (power - 1)
        gradient = np.zeros_like(image)
        gradient[:-1, :-1] += slope * (down + right)
        gradient[1:, :-1] -= slope * down
        gradient[:-1, 1:] -= slope * right
        return weight * float(np.sum(square**power)), gradient

    return loss


def pair_variation(weight, power):
    """weight * sum(|difference| ^ power), of all neighbors; power is 1 or 2."""

    def loss(image):
        value, gradient = 0.0, np.zeros_like(image)
        for axis in (0, 1):
            difference = np.diff(image, axis=axis)
            value += weight * float(np.sum(np.abs(difference) ** power))
            slope = np.sign(difference) if power == 1 else 2 * difference
            width = [(0, 0)] * 3
            width[axis] = (1, 1)
            gradient -= weight * np.diff(np.pad(slope, width), axis=axis)
        return value, gradient

    return loss
