"""The programs this package reproduces, in NumPy, from their sources' formulas.

One function per source: the losses in the source's own units, their gradients
by hand, and the source's optimizer. None of it imports the package; where both
agree, two readings of the source do.

A program takes a `numpy_network.Network` with the source's pooling and padding
and RGB images, [H, W, 3], in [0, 1], of the sizes the source would use. It
starts where `start` says, whatever the source would have chosen.
`<program>_objective` gives its losses and gradient alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy_network import Adam, Lbfgs, Network, deprocess, preprocess

# Gatys et al. chose these layers in 2015; every source here kept them.
CONTENT_LAYER = "block4_conv2"
STYLE_LAYERS = (
    "block1_conv1",
    "block2_conv1",
    "block3_conv1",
    "block4_conv1",
    "block5_conv1",
)

# White, in the units of the network's input. Gatys' notebook multiplies by
# 255; neural_style.lua and neural_style.py by 256, on both ways.
GATYS_SCALE = 255.0
JOHNSON_SCALE = 256.0

# crowsonkb/style-transfer-pytorch, style_transfer.py, StyleTransfer.__init__:
# of relu1_1 to relu5_1, then divided by their sum.
CROWSON_STYLE_WEIGHTS = (256.0, 64.0, 16.0, 4.0, 1.0)
# StyleLossW2: added to the diagonal of both covariances.
CROWSON_EPSILON = 1e-4

# What a loss makes of a feature map or an image: its value and gradient.
Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]


class Run(NamedTuple):
    """What a program did.

    Attributes:
        images: The image after each step, RGB, [H, W, 3]. White is 1, but
            nothing is clipped unless the source does so in every step.
        terms: The losses before each step, weighted: "content/<layer>",
            "style/<layer>" and, where there is one, "total_variation".
        averages: What the source would save after each step, if that is not
            the image.
    """

    images: list[np.ndarray]
    terms: list[dict[str, float]]
    averages: list[np.ndarray] | None = None


class Objective:
    """A sum of losses of the array that an optimizer changes.

    Args:
        network: What computes the feature maps.
        losses: Losses of feature maps by "content/<layer>" or "style/<layer>"
            and of the array itself by "total_variation".
        scale: White, in the units of the network's input.
        in_rgb: Whether the array is the RGB image in [0, 1]; else it is the
            network's input.
    """

    def __init__(
        self,
        network: Network,
        losses: Mapping[str, Loss],
        *,
        scale: float,
        in_rgb: bool = False,
    ):
        self.network, self.losses = network, dict(losses)
        self.scale, self.in_rgb = scale, in_rgb

    def enter(self, image: np.ndarray) -> np.ndarray:
        """Turns an RGB image in [0, 1] into the array to optimize."""
        if self.in_rgb:
            return np.array(image, np.float64)
        return preprocess(image, scale=self.scale)

    def leave(self, array: np.ndarray) -> np.ndarray:
        """Turns the array into an RGB image, unclipped."""
        if self.in_rgb:
            return array.copy()
        return deprocess(array, scale=self.scale)

    def __call__(
        self, array: np.ndarray
    ) -> tuple[dict[str, float], np.ndarray]:
        """Returns the weighted losses and the gradient of their sum."""
        features = self.network.forward(
            preprocess(array, scale=self.scale) if self.in_rgb else array
        )
        terms, gradients, direct = {}, {}, np.zeros_like(array)
        for name, loss in self.losses.items():
            kind, _, layer = name.partition("/")
            if kind == "total_variation":
                terms[name], gradient = loss(array)
                direct = direct + gradient
                continue
            terms[name], gradient = loss(features[layer])
            gradients[layer] = gradients.get(layer, 0.0) + gradient
        gradient = self.network.backward(gradients)
        if self.in_rgb:
            gradient = gradient[..., ::-1] * self.scale
        return terms, gradient + direct


# Gatys et al. 2015 and 2016, as the papers have it


def gatys_paper_objective(
    network: Network,
    content: np.ndarray,
    style: np.ndarray,
    *,
    content_weight: float,
    style_weight: float,
) -> Objective:
    """Losses of the two papers, which agree.

    Content: 1/2 sum((F - P)^2). Style: the mean over five layers of
    E = sum((G - A)^2) / (4 N^2 M^2), with Gram matrices G and A that sum over
    M positions of N channels. The papers let both images have one M; here each
    Gram matrix is divided by its own, which is the same then.

    Source:
        arXiv 1508.06576, equations 1, 3 to 5 and 7; CVPR 2016, equations 1 and
        3 to 7. Weights of the layers: w_l = 1/5, both.
    """
    _require(network, pooling="average", padding="zeros")
    content_features, style_features = _targets(
        network, content, style, GATYS_SCALE
    )
    losses = {
        f"content/{CONTENT_LAYER}": _squared_error(
            content_features, content_weight / 2
        )
    }
    for layer, features in style_features.items():
        channels = features.shape[-1]
        losses[f"style/{layer}"] = _gram_error(
            features,
            style_weight / len(STYLE_LAYERS) / (4 * channels**2),
            _positions,
        )
    return Objective(network, losses, scale=GATYS_SCALE)


def gatys2015(
    network: Network,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    steps: int,
    *,
    # The section on methods: 1e-3 for figure 2 B to D, which we take, and 1e-4
    # for E and F. Only the ratio is given; content has 1 here.
    content_weight: float = 1.0,
    style_weight: float = 1e3,
    first_length: float | None = None,
    optimizer: Adam | Lbfgs | None = None,
) -> Run:
    """A Neural Algorithm of Artistic Style, arXiv 1508.06576.

    Average pooling, no total variation. The paper starts from white noise and
    names no optimizer but gradient descent; L-BFGS is that of 2016.
    """
    objective = gatys_paper_objective(
        network,
        content,
        style,
        content_weight=content_weight,
        style_weight=style_weight,
    )
    return _descend(objective, start, steps, optimizer or Lbfgs(first_length))


def gatys2016_paper(
    network: Network,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    steps: int,
    *,
    # Section 3: 1e-3 for figure 3 B, which we take; 8e-4 for C, 5e-3 for D,
    # 5e-4 for E and F. pystiche/papers too says 1 and 1e3.
    content_weight: float = 1.0,
    style_weight: float = 1e3,
    first_length: float | None = None,
    optimizer: Adam | Lbfgs | None = None,
) -> Run:
    """Image Style Transfer Using Convolutional Neural Networks, CVPR 2016.

    Average pooling, L-BFGS, white noise to start with. The paper resizes the
    style image to the size of the content image, and normalizes its network to
    a mean activation of one, so that its ratios do not carry over to another.
    """
    objective = gatys_paper_objective(
        network,
        content,
        style,
        content_weight=content_weight,
        style_weight=style_weight,
    )
    return _descend(objective, start, steps, optimizer or Lbfgs(first_length))


# leongatys/PytorchNeuralStyleTransfer


def gatys2016_code_objective(
    network: Network,
    content: np.ndarray,
    style: np.ndarray,
    *,
    # NeuralStyleTransfer.ipynb, cell 8: 1e0, and 1e3/n**2 of n channels,
    # listed.
    content_weight: float = 1.0,
    style_weight: float = 1e3,
    numbers: Sequence[int] = (64, 128, 256, 512, 512),
) -> Objective:
    """Losses of Gatys' notebook: means where the paper sums.

    Content: mean((F - P)^2). Style: 1e3 / n^2 mean((G - A)^2), with Gram
    matrices that average over positions; the mean is over their n^2 entries.
    """
    _require(network, pooling="max", padding="zeros")
    content_features, style_features = _targets(
        network, content, style, GATYS_SCALE
    )
    losses = {
        f"content/{CONTENT_LAYER}": _squared_error(
            content_features, content_weight / content_features.size
        )
    }
    for number, (layer, features) in zip(
        numbers, style_features.items(), strict=True
    ):
        channels = features.shape[-1]
        losses[f"style/{layer}"] = _gram_error(
            features, style_weight / number**2 / channels**2, _positions
        )
    return Objective(network, losses, scale=GATYS_SCALE)


def gatys2016_code(
    network: Network,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    steps: int,
    *,
    first_length: float | None = None,
    optimizer: Adam | Lbfgs | None = None,
    **constants: float,
) -> Run:
    """Gatys' own notebook: leongatys/PytorchNeuralStyleTransfer.

    Max pooling; starts from the content image; torch's L-BFGS with its
    defaults, called anew, with its state kept, every 20 updates.
    """
    objective = gatys2016_code_objective(network, content, style, **constants)
    return _descend(objective, start, steps, optimizer or Lbfgs(first_length))


# jcjohnson/neural-style and its port


def neural_style_objective(
    network: Network,
    content: np.ndarray,
    style: np.ndarray,
    *,
    # neural_style.lua: -content_weight, -style_weight, -tv_weight.
    content_weight: float = 5e0,
    style_weight: float = 1e2,
    total_variation_weight: float = 1e-3,
) -> Objective:
    """Losses of neural_style.lua.

    Content: mean((F - P)^2). Style: mean((G - A)^2) with G = F'F / (C H W),
    the full weight for every layer. The source has only the gradient of total
    variation; its value here is what that is the gradient of.
    """
    losses = _johnson_losses(
        network, content, style, content_weight, style_weight
    )
    losses["total_variation"] = _half_squared_variation(total_variation_weight)
    return Objective(network, losses, scale=JOHNSON_SCALE)


def neural_style(
    network: Network,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    steps: int,
    *,
    first_length: float | None = None,
    optimizer: Adam | Lbfgs | None = None,
    **constants: float,
) -> Run:
    """jcjohnson/neural-style.

    Max pooling; starts from 0.001 times normal noise in the network's units,
    that is, from the mean color; L-BFGS. With -optimizer adam it is
    Adam(10.0, form="keras").
    """
    objective = neural_style_objective(network, content, style, **constants)
    return _descend(objective, start, steps, optimizer or Lbfgs(first_length))


def neural_style_pt_objective(
    network: Network,
    content: np.ndarray,
    style: np.ndarray,
    *,
    # neural_style.py: -content_weight, -style_weight, -tv_weight.
    content_weight: float = 5e0,
    style_weight: float = 1e2,
    total_variation_weight: float = 1e-3,
) -> Objective:
    """Losses of neural_style.py: as the Lua's, but an absolute variation."""
    losses = _johnson_losses(
        network, content, style, content_weight, style_weight
    )
    losses["total_variation"] = _absolute_variation(total_variation_weight)
    return Objective(network, losses, scale=JOHNSON_SCALE)


def neural_style_pt(
    network: Network,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    steps: int,
    *,
    first_length: float | None = None,
    optimizer: Adam | Lbfgs | None = None,
    **constants: float,
) -> Run:
    """ProGamerGov/neural-style-pt; with -optimizer adam it is Adam(1.0)."""
    objective = neural_style_pt_objective(network, content, style, **constants)
    return _descend(objective, start, steps, optimizer or Lbfgs(first_length))


# crowsonkb/style-transfer-pytorch


def crowson_w2_objective(
    network: Network,
    content: np.ndarray,
    style: np.ndarray,
    *,
    # style_transfer.py, StyleTransfer.stylize: content_weight, tv_weight.
    content_weight: float = 0.015,
    total_variation_weight: float = 2.0,
) -> Objective:
    """Losses of style-transfer-pytorch v0.1, of the RGB image in [0, 1].

    Content: mean((F - P)^2). Style: Wasserstein-2 distance of the Gaussians of
    the features, divided by their channels. Its torchvision network takes
    (RGB - mean) / std; ours takes what `preprocess` makes, which its first
    kernel and bias absorb. As that layer repeats the border of the image, the
    features are the same at the border too.

    Its matrix roots are Newton-Schulz iterations, 12 of them, and its gradient
    of a root 12 more; these are exact.
    """
    _require(network, pooling="max", padding="replicate_first")
    content_features, style_features = _targets(
        network, content, style, GATYS_SCALE
    )
    losses = {
        f"content/{CONTENT_LAYER}": _squared_error(
            content_features, content_weight / content_features.size
        )
    }
    weights = np.array(CROWSON_STYLE_WEIGHTS) / sum(CROWSON_STYLE_WEIGHTS)
    for (layer, features), weight in zip(
        style_features.items(), weights, strict=True
    ):
        losses[f"style/{layer}"] = _wasserstein(features, weight)
    losses["total_variation"] = _nine_point_variation(total_variation_weight)
    return Objective(network, losses, scale=GATYS_SCALE, in_rgb=True)


def crowson_w2(
    network: Network,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    steps: int,
    *,
    # StyleTransfer.stylize: step_size, betas, avg_decay; epsilon is torch's.
    learning_rate: float = 0.02,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
    epsilon: float = 1e-8,
    average_decay: float = 0.99,
    **constants: float,
) -> Run:
    """crowsonkb/style-transfer-pytorch v0.1, one of its scales.

    Max pooling; starts from the content image; Adam, then clipping to [0, 1],
    in every step. It saves an average over the steps, the start included, with
    a weight that decays by `average_decay` a step.
    """
    objective = crowson_w2_objective(network, content, style, **constants)
    optimizer = Adam(learning_rate, beta_1, beta_2, epsilon, form="torch")
    start = np.clip(start, 0.0, 1.0)
    run = _descend(objective, start, steps, optimizer, clip=True)
    total, mass, averages = start, 1.0, []
    for image in run.images:
        total = average_decay * total + image
        mass = average_decay * mass + 1.0
        averages.append(total / mass)
    return run._replace(averages=averages)


def _descend(objective, start, steps, optimizer, *, clip=False):
    """Runs an optimizer from `start`."""
    array, images, terms = objective.enter(start), [], []
    for _ in range(steps):
        values, gradient = objective(array)
        array = optimizer.step(array, gradient)
        if clip:
            array = np.clip(array, 0.0, 1.0)
        images.append(objective.leave(array))
        terms.append(values)
    return Run(images, terms)


def _require(network, *, pooling, padding):
    """Refuses a network unlike the source's."""
    if (network.pooling, network.padding) != (pooling, padding):
        raise ValueError(
            f'this source needs pooling "{pooling}" and padding "{padding}", '
            f'not "{network.pooling}" and "{network.padding}"'
        )


def _targets(network, content, style, scale):
    """Features of the content image and, by layer, of the style image."""
    content = network.forward(preprocess(content, scale=scale))[CONTENT_LAYER]
    style = network.forward(preprocess(style, scale=scale))
    return content, {layer: style[layer] for layer in STYLE_LAYERS}


def _johnson_losses(network, content, style, content_weight, style_weight):
    """What neural_style.lua and neural_style.py have in common."""
    _require(network, pooling="max", padding="zeros")
    content_features, style_features = _targets(
        network, content, style, JOHNSON_SCALE
    )
    losses = {
        f"content/{CONTENT_LAYER}": _squared_error(
            content_features, content_weight / content_features.size
        )
    }
    for layer, features in style_features.items():
        losses[f"style/{layer}"] = _gram_error(
            features, style_weight / features.shape[-1] ** 2, np.size
        )
    return losses


def _positions(features):
    """How many positions a feature map has."""
    return features.shape[0] * features.shape[1]


def _squared_error(target, weight):
    """weight * sum((F - P)^2)."""

    def loss(features):
        difference = features - target
        return weight * float(np.sum(difference**2)), 2 * weight * difference

    return loss


def _gram_error(target_features, weight, divisor):
    """weight * sum((G - A)^2), with G = F'F / divisor(F)."""
    target_rows = target_features.reshape(-1, target_features.shape[-1])
    target = target_rows.T @ target_rows / divisor(target_features)

    def loss(features):
        rows = features.reshape(-1, features.shape[-1])
        difference = rows.T @ rows / divisor(features) - target
        # d sum(D^2) = 2 sum(D dG), and dG = (dF'F + F'dF) / divisor, where D
        # is symmetric: 4 F D / divisor.
        gradient = 4 * weight / divisor(features) * (rows @ difference)
        return (
            weight * float(np.sum(difference**2)),
            gradient.reshape(features.shape),
        )

    return loss


def _wasserstein(target_features, weight):
    """weight / C * W2^2 of two Gaussians, covariances plus 1e-4 I.

    |m - n|^2 + trace(S + T - 2 R^(1/2)), R = T^(1/2) S T^(1/2). As the
    derivative of trace(R^(1/2)) is R^(-1/2) / 2, that of the distance by S is
    I - T^(1/2) R^(-1/2) T^(1/2). The roots of R's eigenvalues are the singular
    values of S^(1/2) T^(1/2), which R itself would lose to rounding.
    """
    target_mean, target = _gaussian(target_features)
    target_root = _root(target)

    def loss(features):
        channels, positions = features.shape[-1], _positions(features)
        mean, covariance = _gaussian(features)
        _, values, vectors = np.linalg.svd(_root(covariance) @ target_root)
        shift = mean - target_mean
        distance = np.sum(shift**2) - 2 * np.sum(values)
        distance += np.trace(covariance + target)
        map_root = vectors @ target_root
        slope = np.eye(channels) - (map_root.T / values) @ map_root
        # The mean moves by dF / positions and the covariance by
        # (dF'(F - mean) + (F - mean)'dF) / positions.
        gradient = 2 / positions * (shift + (features - mean) @ slope)
        factor = weight / channels
        return float(factor * distance), factor * gradient

    return loss


def _gaussian(features):
    """Mean, [C], and covariance with its floor, [C, C]; divided by H W."""
    rows = features.reshape(-1, features.shape[-1])
    mean = rows.mean(axis=0)
    covariance = (rows - mean).T @ (rows - mean) / len(rows)
    return mean, covariance + CROWSON_EPSILON * np.eye(len(mean))


def _root(matrix):
    """Square root of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values)) @ vectors.T


def _half_squared_variation(weight):
    """weight / 2 * sum of squared differences to the right and below.

    As TVLoss in neural_style.lua: of all pixels but the last row and column,
    which the differences only reach from the inside.
    """

    def loss(image):
        right = image[:-1, 1:] - image[:-1, :-1]
        below = image[1:, :-1] - image[:-1, :-1]
        gradient = np.zeros_like(image)
        gradient[:-1, :-1] -= right + below
        gradient[:-1, 1:] += right
        gradient[1:, :-1] += below
        value = weight / 2 * float(np.sum(right**2) + np.sum(below**2))
        return value, weight * gradient

    return loss


def _absolute_variation(weight):
    """weight * sum of all absolute differences to the right and below."""

    def loss(image):
        right = image[:, 1:] - image[:, :-1]
        below = image[1:] - image[:-1]
        gradient = np.zeros_like(image)
        gradient[:, 1:] += np.sign(right)
        gradient[:, :-1] -= np.sign(right)
        gradient[1:] += np.sign(below)
        gradient[:-1] -= np.sign(below)
        value = weight * float(np.abs(right).sum() + np.abs(below).sum())
        return value, weight * gradient

    return loss


def _nine_point_variation(weight):
    """weight * 2 * (right / 3 + below / 3 + diagonal / 12 + other / 12).

    Each is a mean of squared differences over an image whose border is
    repeated once on all sides: to the right and below over the H W pixels of
    the image (zero at its end, but counted), along both diagonals over all
    (H + 1) (W + 1) pairs.
    """
    inner, after = slice(1, -1), slice(2, None)
    former, latter = slice(None, -1), slice(1, None)
    stencil = (
        ((inner, after), (inner, inner), 1 / 3),
        ((after, inner), (inner, inner), 1 / 3),
        ((latter, latter), (former, former), 1 / 12),
        ((latter, former), (former, latter), 1 / 12),
    )

    def loss(image):
        padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
        gradient, value = np.zeros_like(padded), 0.0
        for end, begin, share in stencil:
            difference = padded[end] - padded[begin]
            factor = 2 * weight * share / difference.size
            value += factor * float(np.sum(difference**2))
            gradient[end] += 2 * factor * difference
            gradient[begin] -= 2 * factor * difference
        # The copies' gradients belong to the border; rows carry the corners.
        gradient[1] += gradient[0]
        gradient[-2] += gradient[-1]
        gradient[:, 1] += gradient[:, 0]
        gradient[:, -2] += gradient[:, -1]
        return value, gradient[1:-1, 1:-1]

    return loss
