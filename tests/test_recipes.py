"""The presets of sources, against programs in the sources' own units.

The programs (numpy_sources, numpy_tutorials) are written from the sources'
formulas in NumPy, float64, and know nothing of this package. A preset's losses
and its first three images are theirs, and so is each of its constants.
"""

import dataclasses
import inspect
import re
from typing import NamedTuple

import numpy as np
import numpy_network
import numpy_sources
import numpy_tutorials
import pytest
import toys

from nst_tf import files
from nst_tf.cli import flags
from nst_tf.images import image_io
from nst_tf.network import architectures, weight_files
from nst_tf.plan import (
    initial,
    inputs,
    planning,
    settings,
    style_regions,
)
from nst_tf.transfer import method, style_targets

SIZE = (64, 96)  # (height, width)
STYLES = {"keep": SIZE, "side": (96, 70), "stretch": (50, 60), "crop": (90, 99)}
DEVIATION = 0.226  # the mean of torchvision's three
TORCH = 255 * DEVIATION
NETWORKS = {
    "vgg19": architectures.Architecture((1, 1, 1, 2, 2), (4, 5, 6, 7, 8)),
    "vgg16": architectures.Architecture((2, 2, 3, 3, 3), (4, 5, 6, 7, 8)),
}


class Recipe(NamedTuple):
    """A program, and how its numbers are to be read."""

    program: object
    optimizer: str
    steps: int
    # The source's image is ours times this.
    unit: float = 255.0
    # By what the source's features are smaller than those of our network.
    activations: float = 1.0
    noise: float = 0.1  # share in the start; the loss must not explode
    options: dict = {}


RECIPES = {
    "gatys2015": Recipe(
        numpy_sources.gatys2015, "lbfgs", 500, options={"style_weight": 1e4}
    ),
    "gatys2016_paper": Recipe(numpy_sources.gatys2016_paper, "lbfgs", 500),
    "gatys2016_code": Recipe(numpy_sources.gatys2016_code, "lbfgs", 500),
    "white_noise": Recipe(
        numpy_tutorials.white_noise,
        "lbfgs",
        200,
        options={"mean": (123.68, 116.779, 103.939)},
    ),
    "pytorch_course": Recipe(
        numpy_tutorials.pytorch_course,
        "adam",
        2000,
        unit=1 / DEVIATION,
        activations=TORCH,
    ),
    "pytorch_course_tv": Recipe(
        numpy_tutorials.pytorch_course_tv,
        "adam",
        2000,
        unit=1 / DEVIATION,
        activations=TORCH,
    ),
    "eager_colab": Recipe(numpy_tutorials.eager_colab, "adam", 1000, noise=0.5),
    "tf_tutorial": Recipe(
        numpy_tutorials.tf_tutorial, "adam", 1000, unit=1.0, noise=0.5
    ),
    "keras_example": Recipe(numpy_tutorials.keras_example, "sgd", 4000),
    "towards_data_science": Recipe(
        numpy_tutorials.towards_data_science, "adam", 500
    ),
    "neural_style": Recipe(numpy_sources.neural_style, "lbfgs", 1000),
    "neural_style_normalized": Recipe(
        numpy_sources.neural_style_normalized, "adam", 1000, noise=0.5
    ),
    "neural_style_pt": Recipe(numpy_sources.neural_style_pt, "lbfgs", 1000),
    "crowson_w2": Recipe(
        numpy_sources.crowson_w2, "adam", 1000, unit=1.0, activations=TORCH
    ),
}
# How the sources' networks see, and how their style images are resized.
SEEN = {
    "gatys2015": ("average", "zeros", "keep"),
    "gatys2016_paper": ("average", "zeros", "keep"),
    "white_noise": ("max", "zeros", "stretch"),
    "pytorch_course": ("max", "zeros", "stretch"),
    "pytorch_course_tv": ("max", "zeros", "stretch"),
    "keras_example": ("max", "zeros", "stretch"),
    "towards_data_science": ("average", "zeros", "crop"),
    "crowson_w2": ("max", "symmetric_first", "side"),
}
every_recipe = pytest.mark.parametrize("name", RECIPES)
RATE = 1e-3  # of the first step of L-BFGS here, so that it is downhill


@pytest.fixture(autouse=True)
def _sources(monkeypatch):
    """What the presets say of themselves that differs: one rate, 255."""
    for name, network in NETWORKS.items():
        monkeypatch.setitem(architectures.NETWORKS, name, network)
    monkeypatch.setattr(
        numpy_tutorials, "TORCH_DEVIATION", np.full(3, DEVIATION)
    )
    monkeypatch.setattr(numpy_sources, "JOHNSON_SCALE", 255.0)


def _layers(network, divisor):
    """Random layers, and those whose features are smaller by a divisor."""
    rng = np.random.default_rng(1)
    plain, divided = {}, {}
    for layer in architectures.list_convolutions(network):
        fan_in = 9 * layer.in_channels
        shape = 3, 3, layer.in_channels, layer.out_channels
        kernel = rng.normal(scale=np.sqrt(2 / fan_in), size=shape)
        bias = rng.normal(size=layer.out_channels)
        plain[layer.name] = kernel.astype("f4"), bias.astype("f4")
        kernel, bias = (x.astype("f8") for x in plain[layer.name])
        first = divisor if layer.in_channels == 3 else 1.0
        divided[layer.name] = kernel / first, bias / divisor
    return plain, divided


def _pictures(job, noise_share):
    """Content, style and start, [H, W, 3] in [0, 1], as floats of 32 bits."""
    rng = np.random.default_rng(2)
    sizes = SIZE, STYLES[job.style_fit], SIZE
    content, style, noise = (
        rng.uniform(0.1, 0.9, size=(*size, 3)).astype("f4") for size in sizes
    )
    whole = style_regions.Style(style)
    style = style_targets.fit_style(whole, job.style_fit, SIZE).image
    start = (1 - noise_share) * content + noise_share * noise
    return content, style, start.astype("f4")


def _plan(job, layers, pictures, steps):
    """The plan of a job from such a start, at one level, in float64."""
    content, style, start = pictures
    read = inputs.Inputs(
        image_io.Picture(content),
        (image_io.Picture(style),),
        [1],
        network=weight_files.NetworkWeights(layers, ""),
    )
    plan = planning.make_plan(job, read, planning.Machine())
    level = plan.levels[0]._replace(height=SIZE[0], width=SIZE[1], steps=steps)
    return dataclasses.replace(
        plan,
        levels=[level],
        init=planning.Init("smaller", picture=start),
        network=plan.network._replace(
            precision="float64", convolution="direct"
        ),
    )


def _ours(job, layers, pictures):
    """Images in float64, as many weighted terms, and the first gradient."""
    plan = _plan(job, layers, pictures, 3)
    weights = style_targets.compute_style_weights(plan.regions[0].styles)
    by_name = {f"content/{k}": v for k, v in plan.content_weights.items()}
    by_name |= {f"style/{k}": v for k, v in weights.items()}
    by_name["total_variation"] = plan.tv_weight
    images, terms, gradients = [], [], []
    for step in method.Painter().paint(plan):
        gradients.append(step.evaluation.gradient.numpy()[0])
        # Not the result, which may be an average, or the best image so far.
        images.append(step.optimizer.image.numpy()[0])
        terms.append(
            {
                name: by_name[name] * float(value)
                for name, value in step.evaluation.terms.items()
            }
        )
    return images, terms, gradients[0]


def _read(name, *typed):
    return flags.parse([f"--flagfile={name}", *typed])


@every_recipe
def test_losses_gradient_and_first_images_are_the_sources(name):
    recipe = RECIPES[name]
    lbfgs = recipe.optimizer == "lbfgs"
    job = _read(name, *[f"--learning_rate={RATE}"] * lbfgs)
    plain, divided = _layers(job.extractor, recipe.activations)
    pictures = _pictures(job, recipe.noise)
    padding = {"zeros": "zeros", "symmetric_first": "replicate_first"}
    network = numpy_network.Network(divided, job.pooling, padding[job.padding])
    options = dict(recipe.options)
    if lbfgs:
        options["first_length"] = RATE * recipe.unit
    program = recipe.program(
        network, *(x.astype("f8") for x in pictures), 3, **options
    )
    images, terms, gradient = _ours(job, plain, pictures)
    moved = np.abs(images[-1] - pictures[-1]).max()
    assert moved > 1e-3
    for ours, theirs in zip(terms, program.terms, strict=True):
        assert set(ours) == set(theirs)
        for term, value in theirs.items():
            np.testing.assert_allclose(ours[term], value, rtol=1e-5)
    for ours, theirs in zip(images, program.images, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    units = program.objective.units
    _, theirs = program.objective(units.enter(pictures[-1]))
    # Programs whose image is BGR have its gradient in that order.
    theirs = recipe.unit * (theirs[..., ::-1] if units.is_bgr else theirs)
    largest = np.abs(gradient).max()
    np.testing.assert_allclose(gradient, theirs, rtol=0, atol=1e-5 * largest)


@every_recipe
def test_the_constants_are_the_sources(name):
    recipe = RECIPES[name]
    job = _read(name)
    defaults = {
        key: parameter.default
        for key, parameter in inspect.signature(
            recipe.program
        ).parameters.items()
    }
    assert job.optimizer == recipe.optimizer
    assert job.steps[0] == recipe.steps
    expected = {}
    if recipe.optimizer == "adam":
        unit = recipe.unit
        expected = {
            "learning_rate": defaults["learning_rate"] / unit,
            "beta_1": defaults["beta_1"],
            "beta_2": defaults["beta_2"],
            "epsilon": defaults["epsilon"] * unit,
            "average": defaults.get("average_decay", 0.0),
        }
    elif recipe.optimizer == "sgd":
        expected = {
            "learning_rate": defaults["learning_rate"] / recipe.unit**2,
            "decay_rate": defaults["decay_rate"],
            "decay_steps": defaults["decay_steps"],
            "average": 0.0,
        }
    else:
        expected = {"history": 100, "learning_rate": 0.02}
    for field, value in expected.items():
        assert getattr(job, field) == pytest.approx(value, rel=1e-6), field
    several = name == "crowson_w2"
    assert job.levels == (0 if several else 1)
    assert job.min_size == 128 or not several
    assert job.growth == pytest.approx(2**0.5) or not several
    assert job.steps == ((1000, 500) if several else (recipe.steps,))
    starts = {
        "gatys2015": "noise",
        "gatys2016_paper": "noise",
        "white_noise": "noise",
        "neural_style": "mean",
        "neural_style_normalized": "mean",
        "neural_style_pt": "mean",
    }
    assert job.init == starts.get(name, "content")
    seen = job.pooling, job.padding, job.style_fit
    assert seen == SEEN.get(name, ("max", "zeros", "side"))
    boxed = ("eager_colab", "tf_tutorial", "crowson_w2")
    assert job.bounds == ("box" if name in boxed else "none")
    assert job.carry_moments == several
    assert job.normalize_gradients == (name == "neural_style_normalized")
    assert job.size == (224 if name == "towards_data_science" else 512)


def test_every_preset_with_a_source_is_a_recipe():
    named = {
        path.stem
        for path in files.presets_folder().glob("*.cfg")
        if re.search(r"^# Source:", path.read_text(), re.MULTILINE)
    }
    assert named == set(RECIPES)


def test_every_absolute_convention_serves_a_recipe():
    used = {_read(name).convention for name in RECIPES}
    names = settings.Job.__dataclass_fields__["convention"].metadata["choices"]
    assert used | {"relative"} == set(names)


def test_the_start_of_neural_style_is_the_mean_color():
    init = planning.Init(_read("neural_style").init)
    plan = toys.plan(np.zeros((3, 4, 3), "f4"), init=init)
    start = initial.make_initial_image(plan)
    np.testing.assert_allclose(numpy_network.preprocess(start), 0, atol=1e-4)
