"""The programs of numpy_tutorials against finite differences and formulas."""

import inspect

import numpy as np
import numpy_network
import numpy_tutorials
import pytest

WIDTHS = (4, 5, 6, 7, 8)
CONVOLUTIONS = {"vgg19": (1, 1, 1, 2, 2), "vgg16": (2, 2, 3, 3, 3)}
PROGRAMS = {
    "tf_tutorial": "vgg19",
    "eager_colab": "vgg19",
    "keras_example": "vgg19",
    "pytorch_course": "vgg19",
    "pytorch_course_tv": "vgg19",
    "towards_data_science": "vgg16",
    "white_noise": "vgg16",
}
# These divide by the content's shape, or stretch the style to it.
SAME_SHAPE = (
    "keras_example",
    "pytorch_course",
    "pytorch_course_tv",
    "towards_data_science",
    "white_noise",
)

WITHOUT_VARIATION = ("eager_colab", "pytorch_course", "towards_data_science")


class Recorder:
    """An optimizer that leaves the image alone and remembers the last one."""

    def step(self, image, gradient):
        self.image, self.gradient = image, gradient
        return image


def network(shape, **options):
    """He-normal kernels and small biases."""
    rng = np.random.default_rng(1)
    weights, before = {}, 3
    for block, (number, after) in enumerate(
        zip(CONVOLUTIONS[shape], WIDTHS, strict=True), 1
    ):
        for convolution in range(1, number + 1):
            scale = np.sqrt(2 / (9 * before))
            weights[f"block{block}_conv{convolution}"] = (
                rng.normal(scale=scale, size=(3, 3, before, after)),
                rng.normal(scale=0.1, size=after),
            )
            before = after
    return numpy_network.Network(weights, **options)


def picture(seed, height=48, width=32):
    return np.random.default_rng(seed).uniform(0.1, 0.9, (height, width, 3))


def pictures(name):
    style = (48, 32) if name in SAME_SHAPE else (33, 47)
    return picture(1), picture(2, *style)


def run(name, start, steps=1, **options):
    program = getattr(numpy_tutorials, name)
    return program(
        network(PROGRAMS[name]), *pictures(name), start, steps, **options
    )


@pytest.mark.parametrize(
    ("name", "term"),
    [
        (name, term)
        for name in PROGRAMS
        for term in ("content", "style", "total_variation", "")
        if term != "total_variation" or name not in WITHOUT_VARIATION
    ],
)
def test_gradient_is_that_of_the_terms(name, term):
    parameters = inspect.signature(
        getattr(numpy_tutorials, name)
    ).parameters.keys()
    # Terms differ by many orders of magnitude: each alone, then all.
    weights = {
        "content": {"alpha", "content_weight"},
        "style": {"beta", "style_weight"},
        "total_variation": {"tv_weight"},
        "": set(),
    }
    others = set().union(*weights.values()) - weights[term]
    options = dict.fromkeys(others & parameters if term else (), 0.0)
    start, rng = picture(3), np.random.default_rng(4)
    recorder = Recorder()
    terms = run(name, start, optimizer=recorder, **options).terms[0]
    assert term in {key.split("/")[0] for key in terms} | {""}
    at, gradient = recorder.image, recorder.gradient
    assert at.shape == gradient.shape == start.shape
    length = 1e-6
    for _ in range(2):
        direction = rng.normal(size=start.shape)
        totals, images = [], []
        for sign in (1, -1):
            recorder = Recorder()
            moved = run(
                name,
                start + sign * length * direction,
                optimizer=recorder,
                **options,
            )
            totals.append(sum(moved.terms[0].values()))
            images.append(recorder.image)
        expected = totals[0] - totals[1]
        # The image of every source is affine in RGB.
        actual = np.vdot(gradient, images[0] - images[1])
        np.testing.assert_allclose(actual, expected, rtol=2e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_terms_come_before_and_images_after_the_update(name):
    start = picture(3)
    twice = run(name, start, 2)
    assert len(twice.images) == len(twice.terms) == 2
    again = run(name, twice.images[0], 1)
    assert twice.terms[1].keys() == again.terms[0].keys()
    for key, value in again.terms[0].items():
        np.testing.assert_allclose(twice.terms[1][key], value, rtol=1e-9)
    still = run(name, start, 1, optimizer=Recorder())
    np.testing.assert_allclose(still.images[0], start, atol=1e-12)


@pytest.mark.parametrize("name", PROGRAMS)
def test_content_and_style_are_zero_at_their_targets(name):
    content, style = pictures(name)
    at_start = run(name, picture(3)).terms[0]
    starts = {"content": content}
    if style.shape == content.shape:
        starts["style"] = style
    for kind, start in starts.items():
        terms = run(name, start).terms[0]
        names = [key for key in terms if key.startswith(kind)]
        assert names
        for key in names:
            assert terms[key] <= 1e-20 * at_start[key]


def test_tf_tutorial_terms_by_hand():
    content, style = pictures("tf_tutorial")
    start = picture(3)
    terms = run("tf_tutorial", start).terms[0]
    maps = [
        network("vgg19").forward(
            (255 * image - [123.68, 116.779, 103.939])[..., ::-1]
        )
        for image in (start, content, style)
    ]
    image, target, _ = (features["block5_conv2"] for features in maps)
    expected = {"content/block5_conv2": 1e4 * np.mean((image - target) ** 2)}
    for layer in numpy_tutorials.FIRST_CONVOLUTIONS:
        image, _, target = (
            np.einsum("hwi,hwj->ij", features[layer], features[layer])
            / np.prod(features[layer].shape[:2])
            for features in maps
        )
        expected[f"style/{layer}"] = 1e-2 / 5 * np.mean((image - target) ** 2)
    expected["total_variation"] = 30 * (
        np.abs(start[1:] - start[:-1]).sum()
        + np.abs(start[:, 1:] - start[:, :-1]).sum()
    )
    assert terms == pytest.approx(expected)


def test_images_stay_where_their_source_clips_them():
    for name in ("tf_tutorial", "eager_colab"):
        for image in run(name, picture(3), 3, learning_rate=200.0).images:
            assert image.min() >= -1e-12 and image.max() <= 1 + 1e-12
            assert image.max() > 0.999
    for image in run("pytorch_course", picture(3), 3, learning_rate=9).images:
        assert image.max() > 1


def test_course_is_adam_in_rgb_with_a_rate_per_channel():
    start = picture(3)
    expected = run("pytorch_course", start, 5).images[-1]
    recorder = Recorder()
    adam = numpy_network.Adam(
        0.003 * numpy_tutorials.TORCH_DEVIATION, 0.9, 0.999, 0.0
    )
    image = start
    for _ in range(5):
        run("pytorch_course", image, optimizer=recorder)
        gradient = recorder.gradient / numpy_tutorials.TORCH_DEVIATION
        image = adam.step(image, gradient)
    np.testing.assert_allclose(image, expected, atol=1e-9)
    # One rate for all channels is not the same, but almost.
    adam = numpy_network.Adam(0.003 * 0.226, 0.9, 0.999, 0.0)
    once = adam.step(start, gradient) - start
    change = run("pytorch_course", start).images[0] - start
    np.testing.assert_allclose(np.abs(once), np.abs(change), rtol=0.0135)


def test_first_rate_of_the_keras_example_is_not_decayed():
    start = picture(3)
    recorder = Recorder()
    run("keras_example", start, optimizer=recorder)
    after = recorder.image - 100 * recorder.gradient
    image = run("keras_example", start).images[0]
    np.testing.assert_allclose(image, numpy_network.deprocess(after))


def test_white_noise_mixes_up_the_mean():
    start = numpy_tutorials.white_noise_start(48, 32)
    recorder = Recorder()
    run("white_noise", start, optimizer=recorder)
    assert -128 <= recorder.image.min() < -127
    assert 126 < recorder.image.max() < 127
    shift = recorder.image - numpy_network.preprocess(start)
    # BGR: blue has lost what is red's, red what is blue's.
    expected = np.array([103.939 - 123.68, 0, 123.68 - 103.939])
    np.testing.assert_allclose(
        shift, np.broadcast_to(expected, shift.shape), atol=1e-9
    )
    # Right order, and what is then the same as the other sources.
    mean = (123.68, 116.779, 103.939)
    run("white_noise", start, optimizer=recorder, mean=mean)
    np.testing.assert_allclose(
        recorder.image, numpy_network.preprocess(start), atol=1e-9
    )


def test_losses_fall():
    for name in PROGRAMS:
        steps = 20
        options = {}
        if name == "keras_example":
            # Its rate suits 400 rows of VGG19.
            options["learning_rate"] = 1e-2
        start = picture(3)
        terms = run(name, start, steps, **options).terms
        first, last = (sum(terms[index].values()) for index in (0, -1))
        assert last < first, name
