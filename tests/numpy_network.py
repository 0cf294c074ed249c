"""A VGG-shaped network and three optimizers in NumPy, to compare with.

Nothing here imports the package or TensorFlow: what agrees with it was written
twice. Everything is float64 and holds one image, [H, W, channels].
"""

import re

import numpy as np

# Mean of the training images of Simonyan and Zisserman, blue, green, red, in
# 0..255. Every descendant of their Caffe models subtracts it.
MEAN = np.array([103.939, 116.779, 123.68])


def preprocess(image, *, scale=255.0):
    """Turns RGB in [0, 1] into what the network sees: BGR, centered.

    `scale` is what white becomes. Most sources say 255; jcjohnson says 256.
    """
    return np.asarray(image, np.float64)[..., ::-1] * scale - MEAN


class Network:
    """3x3 convolutions, each with bias and ReLU, and pooling between blocks.

    A pooling precedes the first convolution of every block but the first; it
    is 2x2 with stride 2 and drops an odd last row or column. It is not
    rescaled when it averages.

    Args:
        weights: Kernel [3, 3, in, out] and bias [out] of each layer, named
            "block<i>_conv<j>", in order.
        pooling: "max" or "average".
        padding: "zeros" around every feature map, or "replicate_first": the
            first convolution repeats the border of the image instead.
    """

    def __init__(self, weights, pooling="max", padding="zeros"):
        assert pooling in ("max", "average"), pooling
        assert padding in ("zeros", "replicate_first"), padding
        self.weights = {
            layer: (np.asarray(kernel, np.float64), np.asarray(bias, float))
            for layer, (kernel, bias) in weights.items()
        }
        self.pooling, self.padding = pooling, padding
        self._tape = []

    def forward(self, image):
        """Returns the feature maps of every layer, [h, w, C], after ReLU."""
        value = np.asarray(image, np.float64)
        features, self._tape, block = {}, [], None
        for layer, (kernel, bias) in self.weights.items():
            number = int(re.fullmatch(r"block(\d+)_conv\d+", layer)[1])
            if block is not None and number != block:
                pooled = self._pool(value)
                self._tape.append(("pool", value, pooled))
                value = pooled
            # Only the first layer sees the image itself.
            repeats = self.padding == "replicate_first" and block is None
            mode = "edge" if repeats else "constant"
            block = number
            before = _convolve(value, kernel, mode) + bias
            value = np.maximum(before, 0.0)
            self._tape.append(("layer", layer, mode, before))
            features[layer] = value
        return features

    def backward(self, gradients):
        """Returns the gradient with respect to the image of the last `forward`.

        Args:
            gradients: Layer -> gradient of the loss with respect to its feature
                map. Layers left out have none.
        """
        assert set(gradients) <= set(self.weights), gradients.keys()
        value = 0.0
        for kind, *record in reversed(self._tape):
            if kind == "pool":
                value = self._unpool(*record, value)
                continue
            layer, mode, before = record
            value = value + gradients.get(layer, np.zeros_like(before))
            value = np.where(before > 0.0, value, 0.0)
            value = _convolve_back(value, self.weights[layer][0], mode)
        return value

    def _pool(self, features):
        windows = _windows(features)
        if self.pooling == "max":
            return windows.max(axis=(1, 3))
        return windows.mean(axis=(1, 3))

    def _unpool(self, features, pooled, gradient):
        """Gradient of `_pool`; among equals, the first of a window has it."""
        height, width, channels = pooled.shape
        if self.pooling == "average":
            share = np.full((height, 2, width, 2, channels), 0.25)
        else:
            flat = _windows(features).transpose(0, 2, 4, 1, 3)
            flat = flat.reshape(height, width, channels, 4)
            share = np.eye(4)[flat.argmax(axis=-1)]
            share = share.reshape(height, width, channels, 2, 2)
            share = share.transpose(0, 3, 1, 4, 2)
        spread = share * gradient[:, None, :, None]
        result = np.zeros_like(features)
        result[: 2 * height, : 2 * width] = spread.reshape(
            2 * height, 2 * width, channels
        )
        return result


class Adam:
    """Adam, with bias correction.

    The two forms differ in what epsilon is added to. "torch" is Algorithm 1 of
    the paper: the root of the corrected second moment. "keras" (Keras 3, and
    Lua Torch's optim.adam) adds it to the root of the uncorrected one, which
    the paper calls epsilon hat; it then acts as torch's divided by
    sqrt(1 - beta_2 ** step).

    Source:
        Kingma, Ba. Adam: A Method for Stochastic Optimization. ICLR 2015,
        Algorithm 1 and the end of section 2.
    """

    def __init__(
        self,
        learning_rate,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        form="torch",
    ):
        assert form in ("torch", "keras"), form
        self.learning_rate, self.epsilon = learning_rate, epsilon
        self.beta_1, self.beta_2, self.form = beta_1, beta_2, form
        self.steps, self.first, self.second = 0, 0.0, 0.0

    def step(self, image, gradient):
        """Returns the image after one update."""
        self.steps += 1
        self.first = self.beta_1 * self.first + (1 - self.beta_1) * gradient
        self.second = (
            self.beta_2 * self.second + (1 - self.beta_2) * gradient**2
        )
        first = self.first / (1 - self.beta_1**self.steps)
        correction = np.sqrt(1 - self.beta_2**self.steps)
        if self.form == "torch":
            divisor = np.sqrt(self.second) / correction + self.epsilon
        else:
            divisor = (np.sqrt(self.second) + self.epsilon) / correction
        return image - self.learning_rate * first / divisor


class Sgd:
    """Gradient descent whose learning rate decays at every step.

    The rate of the step numbered k, from 0, is
    learning_rate * decay_rate ** (k / decay_steps), as Keras's
    ExponentialDecay has it with staircase=False.
    """

    def __init__(self, learning_rate, decay_rate=1.0, decay_steps=1.0):
        self.rate = learning_rate
        self.factor = decay_rate ** (1 / decay_steps)

    def step(self, image, gradient):
        """Returns the image after one update."""
        image = image - self.rate * gradient
        self.rate *= self.factor
        return image


class Lbfgs:
    """L-BFGS with unit steps, no line search and all of the history.

    As torch.optim.LBFGS with line_search_fn=None and lr=1, but for the first
    step, which here has the root mean square `first_length`, and but for the
    history, of which torch keeps 100 pairs. Like torch, a pair of changes
    counts only if s'y is above 1e-10, and s is the step asked for: a caller who
    clips the image in between is not noticed.

    Args:
        first_length: Root mean square of the first change, in the units of the
            image. It is repeated until a pair counts.
    """

    def __init__(self, first_length):
        self.first_length, self.pairs, self._last = first_length, [], None

    def step(self, image, gradient):
        """Returns the image after one update."""
        if self._last is not None:
            change, last_gradient = self._last
            difference = gradient - last_gradient
            if np.vdot(change, difference) > 1e-10:
                self.pairs.append((change, difference))
        change = self._direction(gradient)
        self._last = change, gradient
        return image + change

    def _direction(self, gradient):
        """Two-loop recursion, or what precedes the first pair."""
        if not self.pairs:
            size = np.sqrt(np.mean(gradient**2))
            return -gradient * (self.first_length / size)
        value, factors = -gradient, []
        for change, difference in reversed(self.pairs):
            factor = np.vdot(change, value) / np.vdot(change, difference)
            value = value - factor * difference
            factors.append(factor)
        change, difference = self.pairs[-1]
        value = value * np.vdot(change, difference)
        value = value / np.vdot(difference, difference)
        for change, difference in self.pairs:
            other = np.vdot(difference, value) / np.vdot(change, difference)
            value = value + (factors.pop() - other) * change
        return value


def _windows(features):
    """Views a map as its 2x2 windows, [h, 2, w, 2, C]."""
    height, width, channels = features.shape
    height, width = height // 2, width // 2
    cut = features[: 2 * height, : 2 * width]
    return cut.reshape(height, 2, width, 2, channels)


def _convolve(features, kernel, mode):
    """3x3 cross-correlation that keeps the size."""
    height, width, _ = features.shape
    padded = np.pad(features, ((1, 1), (1, 1), (0, 0)), mode=mode)
    return sum(
        padded[row : row + height, column : column + width]
        @ kernel[row, column]
        for row in range(3)
        for column in range(3)
    )


def _convolve_back(gradient, kernel, mode):
    """Gradient of `_convolve` with respect to the features."""
    height, width, _ = gradient.shape
    padded = np.zeros((height + 2, width + 2, kernel.shape[2]))
    for row in range(3):
        for column in range(3):
            padded[row : row + height, column : column + width] += (
                gradient @ kernel[row, column].T
            )
    return fold_edge(padded) if mode == "edge" else padded[1:-1, 1:-1]


def fold_edge(gradient):
    """Gradient of repeating the border of an image once, on all sides.

    A border value was used once more for each copy of it. Rows first: they
    carry the corners, which the columns then bring in.
    """
    for _ in range(2):
        gradient[1] += gradient[0]
        gradient[-2] += gradient[-1]
        gradient = gradient[1:-1].swapaxes(0, 1)
    return gradient
