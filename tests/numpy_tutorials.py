"""The best-known style transfer tutorials, written again in NumPy.

A program per source, from its formulas and constants, in its own units, with
inputs as in `numpy_sources`. Defaults are commented with their source's names.
Nothing here imports the package or TensorFlow.
"""

import numpy as np
import numpy_losses
from numpy_losses import MEAN, RGB, Units
from numpy_network import Adam, Lbfgs, Sgd

FIRST_CONVOLUTIONS = tuple(f"block{block}_conv1" for block in range(1, 6))
# The last of each block of VGG16.
LAST_CONVOLUTIONS = (
    *("block1_conv2", "block2_conv2"),
    *("block3_conv3", "block4_conv3", "block5_conv3"),
)
# What torchvision's networks subtract from and divide RGB in [0, 1] by.
TORCH_MEAN = np.array([0.485, 0.456, 0.406])
TORCH_DEVIATION = np.array([0.229, 0.224, 0.225])
# Weights of the layers in Udacity's style-transfer/Style_Transfer_Solution;
# the exercise starts with 1, 0.8, 0.5, 0.3 and 0.1.
COURSE_WEIGHTS = dict(
    zip(FIRST_CONVOLUTIONS, (1.0, 0.75, 0.2, 0.2, 0.2), strict=True)
)


def tf_tutorial(
    *inputs,
    content_layer="block5_conv2",  # content_layers
    style_layers=FIRST_CONVOLUTIONS,  # style_layers
    content_weight=1e4,  # content_weight
    style_weight=1e-2,  # style_weight
    tv_weight=30.0,  # total_variation_weight; 0 in its first run
    learning_rate=0.02,  # Adam(learning_rate=0.02, ...
    beta_1=0.99,  # ... beta_1=0.99, ...
    beta_2=0.999,  # Keras's default
    epsilon=1e-1,  # ... epsilon=1e-1)
):
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
    variation = numpy_losses.pair_variation(tv_weight, 1)
    return numpy_losses.run(
        inputs,
        RGB,
        Adam(learning_rate, beta_1, beta_2, epsilon, "keras"),
        {content_layer: content_weight},
        dict.fromkeys(style_layers, style_weight / len(style_layers)),
        others={"total_variation": variation},
        clip=(0.0, 1.0),
    )


def eager_colab(
    *inputs,
    content_layer="block5_conv2",  # content_layers
    style_layers=FIRST_CONVOLUTIONS,  # style_layers
    content_weight=1e3,  # run_style_transfer(content_weight=1e3, ...
    style_weight=1e-2,  # ... style_weight=1e-2)
    learning_rate=5.0,  # AdamOptimizer(learning_rate=5, ...
    beta_1=0.99,  # ... beta1=0.99, ...
    beta_2=0.999,  # TensorFlow 1's default
    epsilon=1e-1,  # ... epsilon=1e-1)
):
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
    return numpy_losses.run(
        inputs,
        numpy_losses.seen(),
        Adam(learning_rate, beta_1, beta_2, epsilon, "keras"),
        {content_layer: content_weight},
        dict.fromkeys(style_layers, style_weight / len(style_layers)),
        clip=(-MEAN[::-1], 255 - MEAN[::-1]),  # black and white
    )


def keras_example(
    *inputs,
    content_layer="block5_conv2",  # content_layer_name
    style_layers=FIRST_CONVOLUTIONS,  # style_layer_names
    content_weight=2.5e-8,  # content_weight
    style_weight=1e-6,  # style_weight
    tv_weight=1e-6,  # total_variation_weight
    learning_rate=100.0,  # ExponentialDecay(initial_learning_rate, ...
    decay_rate=0.96,  # ... decay_rate, ...
    decay_steps=100.0,  # ... decay_steps)
):
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
    return _chollet(
        inputs,
        numpy_losses.seen(),
        Sgd(learning_rate, decay_rate, decay_steps),
        {content_layer: content_weight},
        dict.fromkeys(style_layers, style_weight / len(style_layers)),
        tv_weight,
    )


def pytorch_course(
    *inputs,
    content_layer="block4_conv2",  # conv4_2
    style_weights=COURSE_WEIGHTS,  # style_weights
    alpha=1.0,  # content_weight
    beta=1e6,  # style_weight
    learning_rate=0.003,  # optim.Adam([target], lr=0.003)
    beta_1=0.9,  # PyTorch's defaults
    beta_2=0.999,
    epsilon=1e-8,
    others=(),  # losses: ours
):
    """Runs the style transfer of Udacity's course on PyTorch.

    The image is normalized RGB, (RGB - mean) / deviation, and not clipped, so
    that `learning_rate` is `learning_rate * deviation` in [0, 1]: 0.000687,
    0.000672 and 0.000675 for red, green and blue. A single rate for all three,
    0.000678, is 1.3% off at most. Gram matrices are sums, their losses means,
    divided by C * h * w of the content's map. Feature maps are after ReLU,
    which works in place. PyTorch's Adam is Algorithm 1. The source resizes the
    content so that the shorter side is 400 (or as the longer one, if that is
    below 400), stretches the style to its shape, starts at the content and
    makes 2000 updates.

    Its network is torchvision's VGG19, whose feature maps are of another size
    than those of the network its weights are compared on here.

    Source:
        udacity/deep-learning-v2-pytorch, style-transfer/
        Style_Transfer_Solution.ipynb.
    """
    units, (network, content, *_) = Units(TORCH_DEVIATION, TORCH_MEAN), inputs
    maps = network.forward(units.see(units.enter(content)))
    return numpy_losses.run(
        inputs,
        units,
        Adam(learning_rate, beta_1, beta_2, epsilon),
        {content_layer: alpha},
        {
            k: beta * weight / maps[k].size
            for k, weight in style_weights.items()
        },
        _sum_up,
        others=others,
    )


def pytorch_course_tv(
    *inputs,
    tv_weight=1e-3,  # ours: the course has none
    tv_power=2,
    **options,
):
    """Adds total variation to `pytorch_course`.

    No version of the course has it. What is usual in PyTorch (Stanford's
    CS231n, University of Michigan's EECS 498) is `tv_weight` times the sum of
    the squared differences of the normalized image; `tv_power` 1 makes them
    absolute.
    """
    variation = numpy_losses.pair_variation(tv_weight, tv_power)
    options["others"] = {"total_variation": variation}
    return pytorch_course(*inputs, **options)


pytorch_course_tv.__wrapped__ = pytorch_course  # whose defaults it has


def towards_data_science(
    *inputs,
    content_layer="block3_conv3",  # the last that it loads
    style_layers=(  # load_weights(..., 7), of VGG16
        *("block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2"),
        *("block3_conv1", "block3_conv2", "block3_conv3"),
    ),
    alpha=1e3,  # alpha
    beta=1e-3,  # beta
    learning_rate=5.0,  # define_optimize(loss, learning_rate=5.0)
    beta_1=0.9,  # TensorFlow 1's defaults
    beta_2=0.999,
    epsilon=1e-8,
):
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
    return numpy_losses.run(
        inputs,
        Units(1 / 255, MEAN / 255),
        Adam(learning_rate, beta_1, beta_2, epsilon, "keras"),
        {content_layer: 0.5 * alpha},
        dict.fromkeys(style_layers, beta / len(style_layers)),
        _sum_up,
    )


def white_noise(
    *inputs,
    content_layer="block2_conv2",  # layers['block2_conv2']
    style_layers=LAST_CONVOLUTIONS,  # feature_layers
    content_weight=0.025,  # content_weight
    style_weight=5.0,  # style_weight
    tv_weight=1.0,  # total_variation_weight
    mean=(103.939, 116.779, 123.68),  # from R, G, B
    first_length=1.0,  # ours
):
    """Runs the tutorial that turns noise into a picture with VGG16.

    The losses are those of `keras_example`. The image is BGR of 0..255 minus a
    mean and not clipped. The mean is subtracted before the channels are
    turned around, so that red loses what was meant for blue and blue what was
    meant for red; `mean=(123.68, 116.779, 103.939)` is right. The source
    stretches both pictures to 512 x 512, starts at uniform noise in [-128, 127)
    and calls SciPy's L-BFGS-B 10 times, with 20 evaluations each; here L-BFGS
    makes unit steps without a line search, the first of them `first_length`
    long.

    gsurma/style_transfer (Towards Data Science 2019; 500 x 500) is the same
    with weights of 0.02, 4.5 and 0.995.

    Source:
        Narayanan. Convolutional neural networks for artistic style transfer,
        2017. hnarayanan/artistic-style-transfer, notebooks/
        6_Artistic_style_transfer_with_a_repurposed_VGG_Net_16.ipynb.
    """
    return _chollet(
        inputs,
        numpy_losses.seen(mean=mean),
        Lbfgs(first_length),
        {content_layer: content_weight},
        dict.fromkeys(style_layers, style_weight / len(style_layers)),
        tv_weight,
    )


def _sum_up(features):
    """The divisor of a Gram matrix that is a sum."""
    return 1


def _chollet(
    inputs, units, optimizer, content_weights, style_weights, tv_weight
):
    """Chollet's example: sums, those of style by the image's numbers."""
    height, width, channels = inputs[1].shape
    divisor = 4 * channels**2 * (height * width) ** 2
    return numpy_losses.run(
        inputs,
        units,
        optimizer,
        content_weights,
        {layer: weight / divisor for layer, weight in style_weights.items()},
        _sum_up,
        of_means=False,
        others={
            "total_variation": numpy_losses.corner_variation(tv_weight, 1.25)
        },
    )
