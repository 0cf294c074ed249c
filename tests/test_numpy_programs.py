"""The programs in NumPy against finite differences, formulas and PyTorch."""

import numpy as np
import numpy_losses
import numpy_network
import numpy_sources
import numpy_tutorials
import pytest

WIDTHS = (4, 5, 6, 7, 8)
CONVOLUTIONS = {"vgg19": (1, 1, 1, 2, 2), "vgg16": (2, 2, 3, 3, 3)}
SHAPE = (48, 32, 3)
PROGRAMS = {
    "gatys2015": ("vgg19", "average"),
    "gatys2016_paper": ("vgg19", "average"),
    "gatys2016_code": ("vgg19", "max"),
    "neural_style": ("vgg19", "max"),
    "neural_style_pt": ("vgg19", "max"),
    "crowson_w2": ("vgg19", "max", "replicate_first"),
    "tf_tutorial": ("vgg19", "max"),
    "eager_colab": ("vgg19", "max"),
    "keras_example": ("vgg19", "max"),
    "pytorch_course": ("vgg19", "max"),
    "pytorch_course_tv": ("vgg19", "max"),
    "towards_data_science": ("vgg16", "average"),
    "white_noise": ("vgg16", "max"),
}
LBFGS = (
    *("gatys2015", "gatys2016_paper", "gatys2016_code"),
    *("neural_style", "neural_style_pt", "white_noise"),
)
# Those that clip: their image is in [0, 1] after every step.
BOXED = ("crowson_w2", "tf_tutorial", "eager_colab")
every_program = pytest.mark.parametrize("name", PROGRAMS)


class Recorder:
    """An optimizer that leaves the image alone and remembers the last one."""

    def step(self, image, gradient):
        self.image, self.gradient = image, gradient
        return image


def toy_weights(shape="vgg19"):
    rng = np.random.default_rng(0)
    weights, before = {}, 3
    for block, (count, width) in enumerate(
        zip(CONVOLUTIONS[shape], WIDTHS, strict=True), 1
    ):
        for number in range(1, count + 1):
            kernel = rng.normal(size=(3, 3, before, width))
            kernel *= np.sqrt(2 / 9 / before)
            bias = rng.normal(scale=0.3, size=width)
            weights[f"block{block}_conv{number}"] = kernel, bias
            before = width
    return weights


def make_network(name):
    shape, *seen = PROGRAMS[name]
    return numpy_network.Network(toy_weights(shape), *seen)


def picture(seed, height=48, width=32):
    return np.random.default_rng(seed).uniform(0.1, 0.9, (height, width, 3))


CONTENT, STYLE, START = picture(1), picture(2, 40, 64), picture(3)


def run(name, start=START, steps=1, style=STYLE, **options):
    programs = numpy_sources, numpy_tutorials
    (program,) = (getattr(m, name) for m in programs if hasattr(m, name))
    return program(make_network(name), CONTENT, style, start, steps, **options)


def slope(function, array, direction, step):
    """Directional derivative by differences of fourth order."""
    near, far = (
        function(array + size * direction) - function(array - size * direction)
        for size in (step, 2 * step)
    )
    return (8 * near - far) / (12 * step)


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("padding", ["zeros", "replicate_first"])
@pytest.mark.parametrize("shape", [SHAPE, (49, 33, 3)])
def test_backward_is_the_gradient(pooling, padding, shape):
    network = numpy_network.Network(toy_weights(), pooling, padding)
    rng = np.random.default_rng(2)
    image = rng.normal(size=shape)
    cotangents = {
        layer: rng.normal(size=features.shape)
        for layer, features in network.forward(image).items()
    }
    gradient = network.backward(cotangents)

    def total(image):
        features = network.forward(image)
        return sum(np.sum(cotangents[k] * v) for k, v in features.items())

    everywhere = rng.normal(size=shape)
    border = everywhere.copy()
    border[1:-1, 1:-1] = 0.0
    for direction in (everywhere, border):
        expected = slope(total, image, direction, 1e-7)
        assert np.sum(gradient * direction) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("padding", ["zeros", "replicate_first"])
def test_features_by_hand(pooling, padding):
    image = np.random.default_rng(3).normal(size=(5, 7, 3))
    network = numpy_network.Network(
        {k: v for k, v in toy_weights().items() if k < "block3"},
        pooling,
        padding,
    )
    features = network.forward(image)

    def convolve(features, layer, repeats):
        kernel, bias = network.weights[layer]
        rows, columns, _ = features.shape
        made = np.zeros((rows, columns, len(bias))) + bias
        for row, column, i, j in np.ndindex(rows, columns, 3, 3):
            at = row + i - 1, column + j - 1
            near = np.clip(at, 0, (rows - 1, columns - 1))
            if repeats or (near == at).all():
                made[row, column] += features[tuple(near)] @ kernel[i, j]
        return np.maximum(made, 0)

    first = convolve(image, "block1_conv1", padding == "replicate_first")
    np.testing.assert_allclose(features["block1_conv1"], first)
    windows = [first[i:4:2, j:6:2] for i in (0, 1) for j in (0, 1)]
    pooled = getattr(np, {"max": "max", "average": "mean"}[pooling])(windows, 0)
    second = convolve(pooled, "block2_conv1", False)
    np.testing.assert_allclose(features["block2_conv1"], second)


@every_program
def test_units_lead_there_and_back(name):
    units = run(name, steps=0).objective.units
    np.testing.assert_allclose(units.leave(units.enter(START)), START)
    red = np.array([[[1.0, 0.0, 0.0]]])
    white = 256 if name.startswith("neural_style") else 255
    mean = [103.939, 116.779, 123.68]  # of blue, green, red
    if name == "white_noise":  # where it mixes them up
        mean = mean[::-1]
    expected = [-mean[0], -mean[1], white - mean[2]]
    seen = units.see(units.enter(red))[0, 0]
    np.testing.assert_allclose(seen, expected, rtol=1e-12)
    if name == "keras_example":
        shown = numpy_network.preprocess(red)[0, 0]
        np.testing.assert_allclose(shown, expected, rtol=1e-12)


@every_program
def test_gradient_is_that_of_the_terms(name):
    objective = run(name, steps=0).objective
    array, rng = objective.units.enter(START), np.random.default_rng(4)
    terms, _ = objective(array)
    step = 2e-7 / np.mean(objective.units.unit)
    for loss in (None, *objective.losses):
        # All of them, then each alone, lest a small one hide.
        chosen = {loss: objective.losses[loss]} if loss else objective.losses
        single = objective._replace(losses=chosen)
        values, gradient = single(array)
        assert values == {k: terms[k] for k in chosen}
        assert all(value > 0 for value in values.values())
        direction = rng.normal(size=array.shape)
        direction = gradient + direction * np.sqrt(np.mean(gradient**2))
        direction /= np.abs(direction).max()

        def total(array, single=single):
            return sum(single(array)[0].values())

        expected = slope(total, array, direction, step)
        actual = np.sum(gradient * direction)
        assert actual == pytest.approx(expected, rel=2e-5), loss


@every_program
def test_content_and_style_are_zero_at_their_targets(name):
    objective = run(name, style=CONTENT, steps=0).objective
    terms, gradient = objective(objective.units.enter(CONTENT))
    far, steep = objective(objective.units.enter(1 - CONTENT))
    assert {key.split("/")[0] for key in terms} >= {"content", "style"}
    for key in terms.keys() - {"total_variation"}:
        assert abs(terms[key]) <= 1e-9 * far[key]
    if "total_variation" not in terms:
        assert np.abs(gradient).max() < 1e-6 * np.abs(steep).max()


# What each program weighs: the squared differences of a content layer, and of
# Gram matrices that are sums, of an image and the style, for n channels, by the
# positions of both maps and the number of the layer.
HEIGHT, WIDTH = SHAPE[:2]
CHOLLET = 4 * 3**2 * (HEIGHT * WIDTH) ** 2
COURSE = (1.0, 0.75, 0.2, 0.2, 0.2)
BY_HAND = {
    "gatys2015": (
        lambda d: d.sum() / 2,
        lambda g, a, m, k, n, _: (
            1e3 / 5 * ((g / m - a / k) ** 2).sum() / 4 / n**2
        ),
    ),
    "gatys2016_code": (
        np.mean,
        lambda g, a, m, k, n, i: (
            1e3
            * ((g / m - a / k) ** 2).mean()
            / (64, 128, 256, 512, 512)[i] ** 2
        ),
    ),
    "neural_style": (
        lambda d: 5 * d.mean(),
        lambda g, a, m, k, n, _: 100 * ((g / m - a / k) ** 2).mean() / n**2,
    ),
    "tf_tutorial": (
        lambda d: 1e4 * d.mean(),
        lambda g, a, m, k, n, _: 1e-2 / 5 * ((g / m - a / k) ** 2).mean(),
    ),
    "eager_colab": (
        lambda d: 1e3 * d.mean(),
        lambda g, a, m, k, n, _: 1e-2 / 5 * ((g / m - a / k) ** 2).mean(),
    ),
    "keras_example": (
        lambda d: 2.5e-8 * d.sum(),
        lambda g, a, *_: 1e-6 / 5 * ((g - a) ** 2).sum() / CHOLLET,
    ),
    "pytorch_course": (
        np.mean,
        lambda g, a, m, k, n, i: (
            1e6 * COURSE[i] * ((g - a) ** 2).mean() / n / m
        ),
    ),
    "towards_data_science": (
        lambda d: 1e3 / 2 * d.mean(),
        lambda g, a, *_: 1e-3 / 7 * ((g - a) ** 2).mean(),
    ),
    "white_noise": (
        lambda d: 0.025 * d.sum(),
        lambda g, a, *_: 5 / 5 * ((g - a) ** 2).sum() / CHOLLET,
    ),
    "crowson_w2": (lambda d: 0.015 * d.mean(), None),
}
for twin in (
    ("gatys2016_paper", "gatys2015"),
    ("neural_style_pt", "neural_style"),
    ("pytorch_course_tv", "pytorch_course"),
):
    BY_HAND[twin[0]] = BY_HAND[twin[1]]


@every_program
def test_terms_are_those_of_the_formulas(name):
    objective = run(name, steps=0).objective
    units, network = objective.units, make_network(name)
    image, content, style = (
        network.forward(units.see(units.enter(each)))
        for each in (START, CONTENT, STYLE)
    )
    of_content, of_style = BY_HAND[name]
    number = 0
    for key, actual in objective(units.enter(START))[0].items():
        kind, _, layer = key.partition("/")
        if kind == "content":
            expected = of_content((image[layer] - content[layer]) ** 2)
        elif kind == "style" and of_style:
            maps = image[layer], style[layer]
            grams = (np.einsum("hwi,hwj->ij", each, each) for each in maps)
            positions = (each.shape[0] * each.shape[1] for each in maps)
            channels = maps[0].shape[-1]
            expected = of_style(*grams, *positions, channels, number)
            number += 1
        else:  # those of total variation, and Wasserstein's: below
            continue
        assert actual == pytest.approx(expected), key


@pytest.mark.parametrize("power", [1, 2, 1.25])
def test_variations_by_hand(power):
    image = np.zeros((3, 3, 1))
    image[2, 2] = 2.0
    # Both differences to the last corner lie on the last row and column.
    assert numpy_losses.corner_variation(1.0, power)(image)[0] == 0.0
    pairs = numpy_losses.pair_variation(3.0, power)
    assert pairs(image)[0] == pytest.approx(3 * 2 * 2**power)
    image = np.zeros((3, 3, 1))
    image[1, 1] = 2.0
    # Seen from itself, down and right at once, and from above and the left.
    value, _ = numpy_losses.corner_variation(3.0, power)(image)
    assert value == pytest.approx(3 * (8**power + 2 * 4**power))
    assert pairs(image)[0] == pytest.approx(3 * 4 * 2**power)


@pytest.mark.parametrize(
    ("name", "weight", "loss"),
    [
        ("neural_style", 1e-3 / 2, (numpy_losses.corner_variation, 1)),
        ("neural_style_pt", 1e-3, (numpy_losses.pair_variation, 1)),
        ("tf_tutorial", 30.0, (numpy_losses.pair_variation, 1)),
        ("keras_example", 1e-6, (numpy_losses.corner_variation, 1.25)),
        ("white_noise", 1.0, (numpy_losses.corner_variation, 1.25)),
        ("pytorch_course_tv", 1e-3, (numpy_losses.pair_variation, 2)),
        ("crowson_w2", 2.0, (numpy_sources.nine_point_variation,)),
    ],
)
def test_total_variation_is_of_the_image_that_is_optimized(name, weight, loss):
    objective = run(name, steps=0).objective
    array = objective.units.enter(START)
    make, *power = loss
    expected, _ = make(weight, *power)(array)
    assert objective(array)[0]["total_variation"] == pytest.approx(expected)


@every_program
def test_terms_come_before_and_images_after_the_update(name):
    twice = run(name, steps=2)
    assert len(twice.images) == len(twice.terms) == 2
    again = run(name, twice.images[0])
    assert twice.terms[1] == pytest.approx(again.terms[0], rel=1e-9)
    recorder = Recorder()
    still = run(name, optimizer=recorder)
    np.testing.assert_allclose(still.images[0], START, atol=1e-12)
    units = still.objective.units
    np.testing.assert_allclose(recorder.image, units.enter(START))
    if name in LBFGS:
        change = run(name, first_length=0.5).images[0] - START
        length = np.sqrt(np.mean(change**2)) / units.unit
        assert length == pytest.approx(0.5)


@every_program
def test_losses_fall(name):
    options = {"first_length": 0.5} if name in LBFGS else {}
    if name == "keras_example":  # its own suits 400 rows of VGG19
        options = {"learning_rate": 1e-2}
    made = run(name, steps=12, **options)
    first, last = (sum(made.terms[index].values()) for index in (0, -1))
    assert last < first
    assert all(image.shape == SHAPE for image in made.images)


@every_program
def test_images_stay_where_their_source_clips_them(name):
    options = {"first_length" if name in LBFGS else "learning_rate": 400.0}
    if name == "keras_example":
        options["learning_rate"] = 1e6
    images = run(name, steps=2, **options).images
    low, high = np.min(images), np.max(images)
    if name in BOXED:
        assert -1e-12 <= low < 1e-3 and 0.999 < high <= 1 + 1e-12
    else:
        assert high > 1


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("gatys2015", 'pooling "average" and padding "zeros"'),
        ("gatys2016_code", 'pooling "max" and padding "zeros"'),
        ("neural_style", 'pooling "max" and padding "zeros"'),
        ("crowson_w2", 'pooling "max" and padding "replicate_first"'),
    ],
)
def test_programs_refuse_another_network(monkeypatch, name, seen):
    other = "max" if "average" in seen else "average"
    monkeypatch.setitem(PROGRAMS, name, ("vgg19", other))
    with pytest.raises(ValueError, match=seen):
        run(name)


def test_crowson_losses_by_hand():
    # Their gradients are compared with differences, with all others.
    rng = np.random.default_rng(5)
    image = rng.random((7, 9, 3))
    wide = np.pad(image, ((1, 1), (1, 1), (0, 0)), "edge")
    core = wide[1:-1, 1:-1]
    # A pixel and its right-hand, lower and diagonal neighbors.
    expected = sum(
        2 * ((one - other) ** 2).mean() / divisor
        for one, other, divisor in (
            (wide[1:-1, 2:], core, 3),
            (wide[2:, 1:-1], core, 3),
            (wide[1:, 1:], wide[:-1, :-1], 12),
            (wide[1:, :-1], wide[:-1, 1:], 12),
        )
    )
    value, _ = numpy_sources.nine_point_variation(3.0)(image)
    assert value == pytest.approx(3 * expected)

    target, features = rng.random((2, 5, 6, 4))
    means, covariances = zip(
        *(
            (rows.mean(0), np.cov(rows.T, bias=True) + 1e-4 * np.eye(4))
            for rows in (target.reshape(-1, 4), features.reshape(-1, 4))
        ),
        strict=True,
    )
    # trace((T^(1/2) S T^(1/2))^(1/2)) is that of the root of T S.
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real)
    expected = ((means[0] - means[1]) ** 2).sum() - 2 * roots.sum()
    expected += np.trace(covariances[0] + covariances[1])
    value, _ = numpy_sources.wasserstein(target, 3.0)(features)
    assert value == pytest.approx(3 * expected / 4)


@pytest.mark.parametrize("number", range(5))
def test_crowson_layers_have_falling_weights(number):
    layer = f"block{number + 1}_conv1"
    objective = run("crowson_w2", steps=0).objective
    image, style = (
        objective.network.forward(numpy_network.preprocess(each))[layer]
        for each in (START, STYLE)
    )
    expected, _ = numpy_sources.wasserstein(style, 1.0)(image)
    actual = objective(START)[0][f"style/{layer}"]
    share = 4.0**-number * 256 / (256 + 64 + 16 + 4 + 1)
    assert actual == pytest.approx(share * expected)


def test_crowson_average():
    made = run("crowson_w2", CONTENT, 3)
    # Adam's moving average with its correction, written out.
    value, decay = 0.01 * CONTENT, 0.99
    for number, image in enumerate(made.images, start=2):
        value = decay * value + (1 - decay) * image
        expected = value / (1 - decay**number)
        actual = made.averages[number - 2]
        np.testing.assert_allclose(actual, expected, rtol=1e-10)


def test_course_is_adam_in_rgb_with_a_rate_per_channel():
    expected = run("pytorch_course", steps=5).images[-1]
    recorder, deviation = Recorder(), numpy_tutorials.TORCH_DEVIATION
    adam = numpy_network.Adam(0.003 * deviation, 0.9, 0.999, 0.0)
    image = START
    for _ in range(5):
        run("pytorch_course", image, optimizer=recorder)
        image = adam.step(image, recorder.gradient / deviation)
    np.testing.assert_allclose(image, expected, atol=1e-9)
    # One rate for all channels is not the same, but almost.
    adam = numpy_network.Adam(0.003 * 0.226, 0.9, 0.999, 0.0)
    once = adam.step(START, recorder.gradient) - START
    change = run("pytorch_course").images[0] - START
    np.testing.assert_allclose(np.abs(once), np.abs(change), rtol=0.0135)


def test_rate_of_the_keras_example_decays_after_the_first_step():
    recorder = Recorder()
    image = START
    for rate in (100, 100 * 0.96 ** (1 / 100)):
        after = run("keras_example", START, 1 if rate == 100 else 2).images[-1]
        made = run("keras_example", image, optimizer=recorder)
        image = made.objective.units.leave(
            recorder.image - rate * recorder.gradient
        )
        np.testing.assert_allclose(image, after)


def test_white_noise_mixes_up_the_mean():
    start = numpy_tutorials.white_noise_start(48, 32)
    recorder = Recorder()
    run("white_noise", start, optimizer=recorder)
    assert -128 <= recorder.image.min() < -127
    assert 126 < recorder.image.max() < 127
    shift = recorder.image - numpy_network.preprocess(start)
    # BGR: blue has lost what is red's, red what is blue's.
    expected = np.array([103.939 - 123.68, 0, 123.68 - 103.939])
    np.testing.assert_allclose(shift, shift * 0 + expected, atol=1e-9)
    # Right order, and what is then the same as the other sources.
    mean = (123.68, 116.779, 103.939)
    run("white_noise", start, optimizer=recorder, mean=mean)
    expected = numpy_network.preprocess(start)
    np.testing.assert_allclose(recorder.image, expected, atol=1e-9)


# Optimizers


def bowl_gradient(image):
    curvature = np.linspace(0.5, 3.0, image.size).reshape(image.shape)
    return curvature * (image - 1.0)


def numpy_path(optimizer, steps, start):
    path, image = [], start
    for _ in range(steps):
        image = optimizer.step(image, bowl_gradient(image))
        path.append(image)
    return path


def torch_sgd(torch, image):
    sgd = torch.optim.SGD([image], 0.2)
    return sgd, torch.optim.lr_scheduler.ExponentialLR(sgd, 0.5 ** (1 / 10))


@pytest.mark.parametrize(
    ("ours", "steps", "build"),
    [
        (
            numpy_network.Adam(0.1, 0.8, 0.95, 1e-3),
            30,
            lambda t, x: (t.optim.Adam([x], 0.1, (0.8, 0.95), eps=1e-3), None),
        ),
        (numpy_network.Sgd(0.2, 0.5, 10), 30, torch_sgd),
        (
            numpy_network.Lbfgs(),
            12,
            lambda t, x: (
                t.optim.LBFGS(
                    [x], max_iter=1, tolerance_grad=-1, tolerance_change=-1
                ),
                None,
            ),
        ),
    ],
    ids=["adam", "sgd", "lbfgs"],
)
def test_optimizers_agree_with_torch(ours, steps, build):
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(6).normal(size=(3, 4, 3))
    image = torch.tensor(start, requires_grad=True)
    optimizer, scheduler = build(torch, image)

    def closure():
        optimizer.zero_grad()
        image.grad = torch.tensor(bowl_gradient(image.detach().numpy()))
        return (image.detach() ** 2).sum()

    for expected in numpy_path(ours, steps, start):
        optimizer.step(closure)
        if scheduler:
            scheduler.step()
        np.testing.assert_allclose(image.detach().numpy(), expected, rtol=1e-6)


def test_adam_of_keras_adds_epsilon_elsewhere():
    # Its formula, written out, for the first step: both moments are
    # uncorrected, the rate has both corrections.
    image, gradient = np.zeros((1, 1, 3)), np.array([[[1.0, -2.0, 0.1]]])
    rate = 0.1 * np.sqrt(1 - 0.95) / (1 - 0.8)
    moment, square = 0.2 * gradient, 0.05 * gradient**2
    expected = -rate * moment / (np.sqrt(square) + 1e-3)
    optimizer = numpy_network.Adam(0.1, 0.8, 0.95, 1e-3, form="keras")
    np.testing.assert_allclose(optimizer.step(image, gradient), expected)


def test_lbfgs_first_step():
    start = np.random.default_rng(9).normal(size=(3, 4, 3))
    change = numpy_path(numpy_network.Lbfgs(0.25), 1, start)[0] - start
    gradient = bowl_gradient(start)
    size = np.sqrt(np.mean(gradient**2))
    np.testing.assert_allclose(change, -0.25 * gradient / size)
    # With torch's own first length, torch's path.
    length = size / max(1, np.abs(gradient).sum())
    np.testing.assert_allclose(
        numpy_path(numpy_network.Lbfgs(length), 6, start),
        numpy_path(numpy_network.Lbfgs(), 6, start),
        rtol=1e-8,
    )
