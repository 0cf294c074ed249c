"""The best-known style transfer tutorials, written again in NumPy.

A program per source, from its formulas and constants, in its own units, as in
`numpy_sources`; defaults are commented with what their source calls them. Each
takes pictures [H, W, 3] of RGB in [0, 1], already at the size its source would
use, and a `numpy_network.Network` that sees all of them the same way. Nothing
here imports the package or TensorFlow.

A program may be given another optimizer than its source's: an object with
`step(image, gradient)`, in the units in which that source keeps its image.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy_network
import numpy_sources

FIRST_CONVOLUTIONS = tuple(f"block{block}_conv1" for block in range(1, 6))
# The last of each block of VGG16.
LAST_CONVOLUTIONS = (
    "block1_conv2",
    "block2_conv2",
    "block3_conv3",
    "block4_conv3",
    "block5_conv3",
)
# What torchvision's networks subtract from and divide RGB in [0, 1] by.
TORCH_MEAN = np.array([0.485, 0.456, 0.406])
TORCH_DEVIATION = np.array([0.229, 0.224, 0.225])
# Weights of the layers in Udacity's style-transfer/Style_Transfer_*.ipynb:
# those of the solution, and those the exercise starts with.
COURSE_SOLUTION = dict(
    zip(FIRST_CONVOLUTIONS, (1.0, 0.75, 0.2, 0.2, 0.2), strict=True)
)
COURSE_EXERCISE = dict(
    zip(FIRST_CONVOLUTIONS, (1.0, 0.8, 0.5, 0.3, 0.1), strict=True)
)
# Constants by which gsurma/style_transfer (Surma, "Style Transfer - Styling
# Images with Convolutional Neural Networks", Towards Data Science 2019; 500 x
# 500) differs from `white_noise`.
SURMA = {"content_weight": 0.02, "style_weight": 4.5, "tv_weight": 0.995}


def tf_tutorial(
    network: numpy_network.Network,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    steps: int,
    *,
    content_layer: str = "block5_conv2",  # content_layers
    style_layers: Sequence[str] = FIRST_CONVOLUTIONS,  # style_layers
    content_weight: float = 1e4,  # content_weight
    style_weight: float = 1e-2,  # style_weight
    tv_weight: float = 30.0,  # total_variation_weight; 0 in its first run
    learning_rate: float = 0.02,  # Adam(learning_rate=0.02, ...
    beta_1: float = 0.99,  # ... beta_1=0.99, ...
    beta_2: float = 0.999,  # Keras's default
    epsilon: float = 1e-1,  # ... epsilon=1e-1)
    optimizer=None,
) -> numpy_sources.Run:
    """Runs the style transfer tutorial of tensorflow.org.

    The image is RGB in [0, 1] and clipped to it after every update. Gram
    matrices are averaged over positions, all losses are means, those of style
    are divided by the number of layers. Total variation sums absolute
    differences. Keras's Adam adds epsilon hat. The source resizes both
    pictures so that the longer side is 512, starts at the content image and
    makes 1000 updates.

    Source:
        tensorflow/docs, site/en/tutorials/generative/style_transfer.ipynb.
    """
    maps = _maps(network, numpy_network.preprocess, content, style)
    goals = [
        _content(content_layer, maps, mean=content_weight),
        *(
            _style(layer, maps, mean=style_weight / len(style_layers))
            for layer in style_layers
        ),
    ]

    def evaluate(image):
        terms, gradient = _evaluate(
            network, numpy_network.preprocess(image), goals
        )
        value, change = _variation(image, power=1)
        terms["total_variation"] = float(tv_weight * value)
        # Chain rule through `preprocess`.
        return terms, 255 * gradient[..., ::-1] + tv_weight * change

    return _run(
        evaluate,
        np.array(start, np.float64),
        steps,
        optimizer
        or numpy_network.Adam(
            learning_rate, beta_1, beta_2, epsilon, form="keras"
        ),
        clip=(0.0, 1.0),
    )


def eager_colab(
    network: numpy_network.Network,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    steps: int,
    *,
    content_layer: str = "block5_conv2",  # content_layers
    style_layers: Sequence[str] = FIRST_CONVOLUTIONS,  # style_layers
    content_weight: float = 1e3,  # run_style_transfer(content_weight=1e3, ...
    style_weight: float = 1e-2,  # ... style_weight=1e-2)
    learning_rate: float = 5.0,  # AdamOptimizer(learning_rate=5, ...
    beta_1: float = 0.99,  # ... beta1=0.99, ...
    beta_2: float = 0.999,  # TensorFlow 1's default
    epsilon: float = 1e-1,  # ... epsilon=1e-1)
    optimizer=None,
) -> numpy_sources.Run:
    """Runs the notebook of the TensorFlow blog, with eager execution.

    The losses are those of `tf_tutorial` but for the content weight, without
    total variation. The image is what the network sees, BGR of 0..255 minus the
    mean, and clipped to black and white after every update. TensorFlow 1's
    AdamOptimizer adds epsilon hat. The source resizes both pictures so that
    the longer side is 512, starts at the content image, makes 1000 updates and
    keeps the image after the update at whose start the loss was least.

    Source:
        Yuan. Neural Style Transfer: Creating Art with Deep Learning using
        tf.keras and eager execution, 2018. tensorflow/models, research/
        nst_blogpost/4_Neural_Style_Transfer_with_Eager_Execution.ipynb.
    """
    maps = _maps(network, numpy_network.preprocess, content, style)
    goals = [
        _content(content_layer, maps, mean=content_weight),
        *(
            _style(layer, maps, mean=style_weight / len(style_layers))
            for layer in style_layers
        ),
    ]
    return _run(
        lambda image: _evaluate(network, image, goals),
        numpy_network.preprocess(start),
        steps,
        optimizer
        or numpy_network.Adam(
            learning_rate, beta_1, beta_2, epsilon, form="keras"
        ),
        numpy_network.deprocess,
        clip=(-numpy_network.MEAN, 255 - numpy_network.MEAN),
    )


def keras_example(
    network: numpy_network.Network,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    steps: int,
    *,
    content_layer: str = "block5_conv2",  # content_layer_name
    style_layers: Sequence[str] = FIRST_CONVOLUTIONS,  # style_layer_names
    content_weight: float = 2.5e-8,  # content_weight
    style_weight: float = 1e-6,  # style_weight
    tv_weight: float = 1e-6,  # total_variation_weight
    learning_rate: float = 100.0,  # ExponentialDecay(initial_learning_rate, ...
    decay_rate: float = 0.96,  # ... decay_rate, ...
    decay_steps: float = 100.0,  # ... decay_steps)
    optimizer=None,
) -> numpy_sources.Run:
    """Runs the example of keras.io.

    The image is what the network sees and is not clipped. All losses are sums;
    those of style are divided by 4 * 3 ** 2 * (H * W) ** 2, of the image and
    not of the feature map, and by the number of layers. Total variation is of
    power 1.25. The source resizes both pictures to 400 rows and the content's
    columns (the style is stretched; nearest neighbor), starts at the content
    image and makes 4000 updates.

    Source:
        keras-team/keras-io, examples/generative/neural_style_transfer.py.
    """
    evaluate = _chollet(
        network,
        numpy_network.preprocess,
        (content, style),
        content_layer,
        style_layers,
        (content_weight, style_weight, tv_weight),
    )
    return _run(
        evaluate,
        numpy_network.preprocess(start),
        steps,
        optimizer or numpy_network.Sgd(learning_rate, decay_rate, decay_steps),
        numpy_network.deprocess,
    )


def pytorch_course(
    network: numpy_network.Network,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    steps: int,
    *,
    content_layer: str = "block4_conv2",  # conv4_2
    style_weights: Mapping[str, float] = COURSE_SOLUTION,  # style_weights
    alpha: float = 1.0,  # content_weight
    beta: float = 1e6,  # style_weight
    learning_rate: float = 0.003,  # optim.Adam([target], lr=0.003)
    beta_1: float = 0.9,  # PyTorch's defaults
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    optimizer=None,
) -> numpy_sources.Run:
    """Runs the style transfer of Udacity's course on PyTorch.

    The image is normalized RGB, (RGB - mean) / deviation, and not clipped, so
    that `learning_rate` is `learning_rate * deviation` in [0, 1]: 0.000687,
    0.000672 and 0.000675 for red, green and blue. A single rate for all three,
    0.000678, is 1.3% off at most. Gram matrices are sums, their losses means,
    divided by C * h * w. Feature maps are after ReLU, which works in place.
    PyTorch's Adam is Algorithm 1. The source resizes the content so that the
    shorter side is 400 (or as the longer one, if that is below 400), stretches
    the style to its shape, starts at the content and makes 2000 updates.

    Its network is torchvision's VGG19, whose feature maps are of another size
    than those of the network its weights are compared on here.

    Source:
        udacity/deep-learning-v2-pytorch, style-transfer/
        Style_Transfer_Solution.ipynb.
    """
    return _course(
        network,
        (content, style, start),
        steps,
        content_layer,
        style_weights,
        (alpha, beta, None),
        optimizer or numpy_network.Adam(learning_rate, beta_1, beta_2, epsilon),
    )


def pytorch_course_tv(
    network: numpy_network.Network,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    steps: int,
    *,
    content_layer: str = "block4_conv2",
    style_weights: Mapping[str, float] = COURSE_SOLUTION,
    alpha: float = 1.0,
    beta: float = 1e6,
    tv_weight: float = 1e-3,  # ours: the course has none
    tv_power: int = 2,
    learning_rate: float = 0.003,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    optimizer=None,
) -> numpy_sources.Run:
    """Adds total variation to `pytorch_course`.

    No version of the course has it. What is usual in PyTorch (Stanford's
    CS231n, University of Michigan's EECS 498) is `tv_weight` times the sum of
    the squared differences of the normalized image; `tv_power` 1 makes them
    absolute.
    """
    return _course(
        network,
        (content, style, start),
        steps,
        content_layer,
        style_weights,
        (alpha, beta, (tv_weight, tv_power)),
        optimizer or numpy_network.Adam(learning_rate, beta_1, beta_2, epsilon),
    )


def towards_data_science(
    network: numpy_network.Network,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    steps: int,
    *,
    content_layer: str = "block3_conv3",  # the last that it loads
    style_layers: Sequence[str] = (  # load_weights(..., 7), of VGG16
        "block1_conv1",
        "block1_conv2",
        "block2_conv1",
        "block2_conv2",
        "block3_conv1",
        "block3_conv2",
        "block3_conv3",
    ),
    alpha: float = 1e3,  # alpha
    beta: float = 1e-3,  # beta
    learning_rate: float = 5.0,  # define_optimize(loss, learning_rate=5.0)
    beta_1: float = 0.9,  # TensorFlow 1's defaults
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    optimizer=None,
) -> numpy_sources.Run:
    """Runs the "intuitive guide" of Towards Data Science.

    Three images: content, style and the input, which becomes the result. The
    image is RGB of 0..255 minus the mean, and not clipped. Content is alpha
    times half the mean square; Gram matrices are sums, their losses means,
    each layer's weight 1 / 7. TensorFlow 1's Adam adds epsilon hat. The source
    crops both pictures to the square in their middle, resizes them to 224 x
    224, starts at the content (or noise, or the style) and makes 500 updates.

    Its text has average pooling. Its code compares names of layers with
    numbers and so never pools: a network whose seven layers are all of block 1
    (named by the arguments) does the same.

    Source:
        Ganegedara. Light on Math Machine Learning: Intuitive Guide to Neural
        Style Transfer, 2019. thushv89/exercises_thushv_dot_com,
        neural_style_transfer_light_on_math_ml/neural_style_transfer.ipynb.
    """
    maps = _maps(network, numpy_network.preprocess, content, style)
    goals = [
        _content(content_layer, maps, mean=0.5 * alpha),
        *(
            _style(layer, maps, mean=beta / len(style_layers), average=False)
            for layer in style_layers
        ),
    ]

    def evaluate(image):
        # As the network sees it, but for the order of the channels.
        terms, gradient = _evaluate(network, image[..., ::-1], goals)
        return terms, gradient[..., ::-1]

    return _run(
        evaluate,
        numpy_network.preprocess(start)[..., ::-1],
        steps,
        optimizer
        or numpy_network.Adam(
            learning_rate, beta_1, beta_2, epsilon, form="keras"
        ),
        lambda image: numpy_network.deprocess(image[..., ::-1]),
    )


def white_noise(
    network: numpy_network.Network,
    content: np.ndarray,
    style: np.ndarray,
    start: np.ndarray,
    steps: int,
    *,
    content_layer: str = "block2_conv2",  # layers['block2_conv2']
    style_layers: Sequence[str] = LAST_CONVOLUTIONS,  # feature_layers
    content_weight: float = 0.025,  # content_weight
    style_weight: float = 5.0,  # style_weight
    tv_weight: float = 1.0,  # total_variation_weight
    mean: Sequence[float] = (103.939, 116.779, 123.68),  # from R, G, B
    first_length: float = 1.0,  # ours
    optimizer=None,
) -> numpy_sources.Run:
    """Runs the tutorial that turns noise into a picture with VGG16.

    The losses are those of `keras_example`. The image is BGR of 0..255 minus a
    mean and not clipped. The mean is subtracted before the channels are
    turned around, so that red loses what was meant for blue and blue what was
    meant for red; `mean=(123.68, 116.779, 103.939)` is right. The source
    stretches both pictures to 512 x 512, starts at `white_noise_start` and
    calls SciPy's L-BFGS-B 10 times, with 20 evaluations each; here L-BFGS makes
    unit steps without a line search, the first of them `first_length` long.

    Source:
        Narayanan. Convolutional neural networks for artistic style transfer,
        2017. hnarayanan/artistic-style-transfer, notebooks/
        6_Artistic_style_transfer_with_a_repurposed_VGG_Net_16.ipynb.
    """

    def preprocess(image):
        return (255 * np.asarray(image, np.float64) - mean)[..., ::-1]

    evaluate = _chollet(
        network,
        preprocess,
        (content, style),
        content_layer,
        style_layers,
        (content_weight, style_weight, tv_weight),
    )
    return _run(
        evaluate,
        preprocess(start),
        steps,
        optimizer or numpy_network.Lbfgs(first_length),
        lambda image: (image[..., ::-1] + mean) / 255,
    )


def white_noise_start(
    height: int,
    width: int,
    seed: int = 0,
    *,
    mean: Sequence[float] = (103.939, 116.779, 123.68),
) -> np.ndarray:
    """Where `white_noise` starts: RGB, [H, W, 3], white is 1.

    Uniform in [-128, 127) in the units of its image, which is not all within
    black and white.
    """
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3))
    return (noise - 128 + mean) / 255


class _Goal(NamedTuple):
    """A squared distance from a feature map or from a Gram matrix.

    `average` is None for a feature map; else, whether the Gram matrix is the
    mean over positions.
    """

    layer: str
    target: np.ndarray
    scale: float
    average: bool | None


def _maps(network, preprocess, content, style):
    """Feature maps of both pictures."""
    return tuple(
        network.forward(preprocess(picture)) for picture in (content, style)
    )


def _content(layer, maps, *, mean=None, total=None):
    """Goal of weight `mean` for the mean, or `total` for the sum."""
    target = maps[0][layer]
    scale = total if mean is None else mean / target.size
    return _Goal(layer, target, scale, None)


def _style(layer, maps, *, mean=None, total=None, average=True):
    """Goal of weight `mean` for the mean, or `total` for the sum."""
    target = _gram(maps[1][layer], average)
    scale = total if mean is None else mean / target.size
    return _Goal(layer, target, scale, average)


def _gram(features, average):
    """Products of every two channels, [C, C]."""
    flat = features.reshape(-1, features.shape[-1])
    return flat.T @ flat / (len(flat) if average else 1)


def _evaluate(network, image, goals):
    """Terms, and the gradient of their sum with respect to `image`."""
    features = network.forward(image)
    terms, gradients = {}, {}
    for layer, target, scale, average in goals:
        value = features[layer]
        if average is None:
            difference = value - target
            gradient = 2 * scale * difference
            name = f"content/{layer}"
        else:
            difference = _gram(value, average) - target
            # Symmetric, and each feature appears twice.
            gradient = 4 * scale * value @ difference
            if average:
                gradient = gradient / (value.shape[0] * value.shape[1])
            name = f"style/{layer}"
        terms[name] = float(scale * np.sum(difference**2))
        gradients[layer] = gradients.get(layer, 0.0) + gradient
    return terms, network.backward(gradients)


def _variation(image, *, power):
    """Sum of the differences of neighbors, absolute or squared."""
    value, gradient = 0.0, np.zeros_like(image)
    for axis in (0, 1):
        difference = np.diff(image, axis=axis)
        if power == 1:
            value += np.abs(difference).sum()
            slope = np.sign(difference)
        else:
            value += np.square(difference).sum()
            slope = 2 * difference
        width = [(0, 0)] * 3
        width[axis] = (1, 1)
        gradient -= np.diff(np.pad(slope, width), axis=axis)
    return value, gradient


def _chollet_variation(image, power=1.25):
    """Sum of (down ** 2 + right ** 2) ** 1.25, without last row and column."""
    corner = image[:-1, :-1]
    down, right = corner - image[1:, :-1], corner - image[:-1, 1:]
    square = down**2 + right**2
    slope = 2 * power * square ** (power - 1)
    gradient = np.zeros_like(image)
    gradient[:-1, :-1] += slope * (down + right)
    gradient[1:, :-1] -= slope * down
    gradient[:-1, 1:] -= slope * right
    return np.sum(square**power), gradient


def _chollet(
    network, preprocess, pictures, content_layer, style_layers, weights
):
    """The loss of Chollet's example, of an image as the network sees it."""
    content_weight, style_weight, tv_weight = weights
    maps = _maps(network, preprocess, *pictures)
    height, width, channels = pictures[0].shape
    scale = style_weight / len(style_layers)
    scale /= 4 * channels**2 * (height * width) ** 2
    goals = [
        _content(content_layer, maps, total=content_weight),
        *(
            _style(layer, maps, total=scale, average=False)
            for layer in style_layers
        ),
    ]

    def evaluate(image):
        terms, gradient = _evaluate(network, image, goals)
        value, change = _chollet_variation(image)
        terms["total_variation"] = float(tv_weight * value)
        return terms, gradient + tv_weight * change

    return evaluate


def _course(
    network, pictures, steps, content_layer, style_weights, weights, optimizer
):
    """Both courses; `weights` is alpha, beta, and (weight, power) or None."""
    content, style, start = pictures
    alpha, beta, variation = weights
    maps = _maps(network, numpy_network.preprocess, content, style)
    goals = [
        _content(content_layer, maps, mean=alpha),
        *(
            # Divided by d * h * w of the image's map: the content's.
            _style(
                layer,
                maps,
                mean=beta * weight / maps[0][layer].size,
                average=False,
            )
            for layer, weight in style_weights.items()
        ),
    ]

    def to_rgb(image):
        return image * TORCH_DEVIATION + TORCH_MEAN

    def evaluate(image):
        terms, gradient = _evaluate(
            network, numpy_network.preprocess(to_rgb(image)), goals
        )
        # Chain rule through `preprocess` and `to_rgb`.
        gradient = 255 * TORCH_DEVIATION * gradient[..., ::-1]
        if variation is not None:
            weight, power = variation
            value, change = _variation(image, power=power)
            terms["total_variation"] = float(weight * value)
            gradient = gradient + weight * change
        return terms, gradient

    start = (np.asarray(start, np.float64) - TORCH_MEAN) / TORCH_DEVIATION
    return _run(evaluate, start, steps, optimizer, to_rgb)


def _run(
    evaluate: Callable,
    image: np.ndarray,
    steps: int,
    optimizer,
    to_rgb: Callable = np.copy,
    *,
    clip: tuple | None = None,
) -> numpy_sources.Run:
    """Makes the updates."""
    images, terms = [], []
    for _ in range(steps):
        values, gradient = evaluate(image)
        terms.append(values)
        image = optimizer.step(image, gradient)
        if clip is not None:
            image = np.clip(image, *clip)
        images.append(to_rgb(image))
    return numpy_sources.Run(images, terms)
