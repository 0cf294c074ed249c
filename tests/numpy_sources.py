"""The programs this package reproduces, in NumPy, from their sources' formulas.

One function per source: its losses in its own units, with its constants, and
its optimizer. None of it imports the package; where both agree, two readings of
the source do.

The inputs of a program are a `numpy_network.Network` with the source's pooling
and padding; content, style and start, RGB images, [H, W, 3], in [0, 1], of the
sizes the source would use; and a number of steps. It starts where it is told,
whatever the source would have chosen, and returns a `numpy_losses.Run`.
"""

import numpy as np
import numpy_losses
from numpy_losses import RGB
from numpy_network import Adam, Lbfgs, fold_edge

# Gatys et al. chose these layers in 2015; every source here kept them.
CONTENT_LAYER = "block4_conv2"
STYLE_LAYERS = tuple(f"block{block}_conv1" for block in range(1, 6))

# White, in the units of the network's input. Gatys' notebook multiplies by
# 255; neural_style.lua and neural_style.py by 256, on both ways.
JOHNSON_SCALE = 256.0

# crowsonkb/style-transfer-pytorch, style_transfer.py, StyleTransfer.__init__:
# of relu1_1 to relu5_1, then divided by their sum.
CROWSON_STYLE_WEIGHTS = (256.0, 64.0, 16.0, 4.0, 1.0)
# StyleLossW2: added to the diagonal of both covariances.
CROWSON_EPSILON = 1e-4


def gatys2015(
    *inputs,
    # The section on methods: 1e-3 for figure 2 B to D, which we take, and 1e-4
    # for E and F. Only the ratio is given; content has 1 here.
    content_weight=1.0,
    style_weight=1e3,
    first_length=None,
):
    """A Neural Algorithm of Artistic Style, arXiv 1508.06576.

    Average pooling, no total variation. Content: 1/2 sum((F - P)^2). Style: the
    mean over five layers of E = sum((G - A)^2) / (4 N^2 M^2), with Gram
    matrices G and A that sum over M positions of N channels. The paper lets
    both images have one M; here each Gram matrix is divided by its own, which
    is the same then. It starts from white noise and names no optimizer but
    gradient descent; L-BFGS is that of 2016.

    Source:
        Equations 1, 3 to 5 and 7; w_l = 1/5.
    """
    network = inputs[0]
    channels = {name: len(bias) for name, (_, bias) in network.weights.items()}
    scale = style_weight / len(STYLE_LAYERS) / 4
    return numpy_losses.run(
        inputs,
        numpy_losses.seen(),
        Lbfgs(first_length),
        {CONTENT_LAYER: content_weight / 2},
        {layer: scale / channels[layer] ** 2 for layer in STYLE_LAYERS},
        of_means=False,
    )


def gatys2016_paper(*inputs, **options):
    """Image Style Transfer Using Convolutional Neural Networks, CVPR 2016.

    Its equations 1 and 3 to 7 are those of 2015, with L-BFGS. Section 3 has a
    ratio of 1e-3 for figure 3 B, which we take; 8e-4 for C, 5e-3 for D, 5e-4
    for E and F. pystiche/papers too says 1 and 1e3.

    The paper resizes the style image to the size of the content image, and
    normalizes its network to a mean activation of one, so that its ratios do
    not carry over to another.
    """
    return gatys2015(*inputs, **options)


def gatys2016_code(
    *inputs,
    # NeuralStyleTransfer.ipynb, cell 8: 1e0, and 1e3/n**2 of n channels,
    # listed.
    content_weight=1.0,
    style_weight=1e3,
    numbers=(64, 128, 256, 512, 512),
    first_length=None,
):
    """Gatys' own notebook: leongatys/PytorchNeuralStyleTransfer.

    Means where the paper sums. Content: mean((F - P)^2). Style: 1e3 / n^2
    mean((G - A)^2), with Gram matrices that average over positions; the mean is
    over their n^2 entries. Max pooling; starts from the content image; torch's
    L-BFGS with its defaults, called anew, with its state kept, every 20
    updates.
    """
    by_layer = zip(STYLE_LAYERS, numbers, strict=True)
    return numpy_losses.run(
        inputs,
        numpy_losses.seen(),
        Lbfgs(first_length),
        {CONTENT_LAYER: content_weight},
        {layer: style_weight / number**2 for layer, number in by_layer},
    )


def neural_style(
    *inputs,
    # neural_style.lua: -content_weight, -style_weight, -tv_weight.
    content_weight=5e0,
    style_weight=1e2,
    total_variation_weight=1e-3,
    first_length=None,
):
    """jcjohnson/neural-style.

    Content: mean((F - P)^2). Style: mean((G - A)^2) with G = F'F / (C H W),
    the full weight for every layer. The source has only the gradient of total
    variation (TVLoss); its value here is what that is the gradient of. Max
    pooling; starts from 0.001 times normal noise in the network's units, that
    is, from the mean color; L-BFGS. With -optimizer adam it is
    Adam(10.0, form="keras").
    """
    return _johnson(
        inputs,
        (content_weight, style_weight),
        numpy_losses.corner_variation(total_variation_weight / 2, 1),
        Lbfgs(first_length),
    )


def neural_style_normalized(
    *inputs,
    # neural_style.lua: -content_weight, -style_weight, -tv_weight,
    # -learning_rate; the rest is Lua Torch's optim.adam.
    content_weight=5e0,
    style_weight=1e2,
    total_variation_weight=1e-3,
    learning_rate=1e1,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-8,
):
    """jcjohnson/neural-style with -normalize_gradients -optimizer adam.

    ContentLoss and StyleLoss divide the gradient of their criterion by their
    input by its L1 norm plus 1e-8, and then multiply it by their weight. Total
    variation and all values are as without it.
    """
    return _johnson(
        inputs,
        (content_weight, style_weight),
        numpy_losses.corner_variation(total_variation_weight / 2, 1),
        Adam(learning_rate, beta_1, beta_2, epsilon, form="keras"),
        norm_floor=1e-8,
    )


def neural_style_pt(
    *inputs,
    # neural_style.py: -content_weight, -style_weight, -tv_weight.
    content_weight=5e0,
    style_weight=1e2,
    total_variation_weight=1e-3,
    first_length=None,
):
    """ProGamerGov/neural-style-pt: as the Lua, but an absolute variation.

    With -optimizer adam it is Adam(1.0).
    """
    return _johnson(
        inputs,
        (content_weight, style_weight),
        numpy_losses.pair_variation(total_variation_weight, 1),
        Lbfgs(first_length),
    )


def crowson_w2(
    *inputs,
    # style_transfer.py, StyleTransfer.stylize: content_weight, tv_weight,
    # step_size, betas, avg_decay; epsilon is torch's.
    content_weight=0.015,
    total_variation_weight=2.0,
    learning_rate=0.02,
    beta_1=0.9,
    beta_2=0.99,
    epsilon=1e-8,
    average_decay=0.99,
):
    """crowsonkb/style-transfer-pytorch v0.1, one of its scales.

    Of the RGB image in [0, 1]. Content: mean((F - P)^2). Style: Wasserstein-2
    distance of the Gaussians of the features, divided by their channels. Its
    torchvision network takes (RGB - mean) / std; ours takes what `preprocess`
    makes, which its first kernel and bias absorb. As that layer repeats the
    border of the image, the features are the same at the border too. Its matrix
    roots are Newton-Schulz iterations, 12 of them, and its gradient of a root
    12 more; these are exact.

    Max pooling; starts from the content image; Adam, then clipping to [0, 1],
    in every step. It saves an average over the steps, the start included, with
    a weight that decays by `average_decay` a step.
    """
    network, content, style, start, steps = inputs
    features = network.forward(RGB.see(style))
    weights = np.array(CROWSON_STYLE_WEIGHTS) / sum(CROWSON_STYLE_WEIGHTS)
    losses = {
        f"style/{layer}": wasserstein(features[layer], weight)
        for layer, weight in zip(STYLE_LAYERS, weights, strict=True)
    }
    losses["total_variation"] = nine_point_variation(total_variation_weight)
    start = np.clip(start, 0.0, 1.0)
    return numpy_losses.run(
        (network, content, style, start, steps),
        RGB,
        Adam(learning_rate, beta_1, beta_2, epsilon),
        {CONTENT_LAYER: content_weight},
        {},
        others=losses,
        clip=(0.0, 1.0),
    )


def _johnson(inputs, weights, variation, optimizer, **options):
    """What neural_style.lua and neural_style.py have in common."""
    return numpy_losses.run(
        inputs,
        numpy_losses.seen(JOHNSON_SCALE),
        optimizer,
        {CONTENT_LAYER: weights[0]},
        dict.fromkeys(STYLE_LAYERS, weights[1]),
        np.size,
        others={"total_variation": variation},
        **options,
    )


def wasserstein(target_features, weight):
    """weight / C * W2^2 of two Gaussians, covariances plus 1e-4 I.

    |m - n|^2 + trace(S + T - 2 R^(1/2)), R = T^(1/2) S T^(1/2). As the
    derivative of trace(R^(1/2)) is R^(-1/2) / 2, that of the distance by S is
    I - T^(1/2) R^(-1/2) T^(1/2). The roots of R's eigenvalues are the singular
    values of S^(1/2) T^(1/2), which R itself would lose to rounding.
    """
    target_mean, target = _gaussian(target_features)
    target_root = _root(target)

    def loss(features):
        channels = features.shape[-1]
        mean, covariance = _gaussian(features)
        _, values, vectors = np.linalg.svd(_root(covariance) @ target_root)
        shift = mean - target_mean
        distance = np.sum(shift**2) - 2 * np.sum(values)
        distance += np.trace(covariance + target)
        map_root = vectors @ target_root
        slope = np.eye(channels) - (map_root.T / values) @ map_root
        # The mean moves by dF / positions and the covariance by
        # (dF'(F - mean) + (F - mean)'dF) / positions.
        gradient = 2 * (shift + (features - mean) @ slope)
        gradient /= numpy_losses.count_positions(features)
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


def nine_point_variation(weight):
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
        return value, fold_edge(gradient)

    return loss
