"""Checks the NumPy oracle itself: its gradients, optimizers and programs."""

import numpy as np
import numpy_network
import numpy_sources
import pytest

CONVOLUTIONS = (1, 1, 1, 2, 2)
WIDTHS = (4, 5, 6, 7, 8)
SHAPE = (48, 32, 3)
OBJECTIVES = {
    "gatys_paper": (numpy_sources.gatys_paper_objective, "average", "zeros"),
    "gatys2016_code": (
        numpy_sources.gatys2016_code_objective,
        "max",
        "zeros",
    ),
    "neural_style": (numpy_sources.neural_style_objective, "max", "zeros"),
    "neural_style_pt": (
        numpy_sources.neural_style_pt_objective,
        "max",
        "zeros",
    ),
    "crowson_w2": (
        numpy_sources.crowson_w2_objective,
        "max",
        "replicate_first",
    ),
}
PROGRAMS = {
    "gatys2015": (numpy_sources.gatys2015, "average", "zeros"),
    "gatys2016_paper": (numpy_sources.gatys2016_paper, "average", "zeros"),
    "gatys2016_code": (numpy_sources.gatys2016_code, "max", "zeros"),
    "neural_style": (numpy_sources.neural_style, "max", "zeros"),
    "neural_style_pt": (numpy_sources.neural_style_pt, "max", "zeros"),
    "crowson_w2": (numpy_sources.crowson_w2, "max", "replicate_first"),
}
PAPER_WEIGHTS = {"content_weight": 1.0, "style_weight": 1e3}


def toy_weights(seed=0):
    generator = np.random.default_rng(seed)
    weights, before = {}, 3
    for block, (count, width) in enumerate(
        zip(CONVOLUTIONS, WIDTHS, strict=True), start=1
    ):
        for number in range(1, count + 1):
            kernel = generator.normal(size=(3, 3, before, width))
            weights[f"block{block}_conv{number}"] = (
                kernel * np.sqrt(2 / 9 / before),
                generator.normal(size=width),
            )
            before = width
    return weights


def toy_images(seed=1):
    """Content, style (of another shape) and start."""
    generator = np.random.default_rng(seed)
    return (
        generator.random(SHAPE),
        generator.random((40, 64, 3)),
        generator.random(SHAPE),
    )


def slopes(function, array, direction, step):
    """Directional derivative by differences of fourth order."""
    near = function(array + step * direction)
    near = near - function(array - step * direction)
    far = function(array + 2 * step * direction)
    far = far - function(array - 2 * step * direction)
    return (8 * near - far) / (12 * step)


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("padding", ["zeros", "replicate_first"])
@pytest.mark.parametrize("shape", [SHAPE, (49, 33, 3)])
def test_backward_is_the_gradient(pooling, padding, shape):
    network = numpy_network.Network(toy_weights(), pooling, padding)
    generator = np.random.default_rng(2)
    image = generator.normal(size=shape)
    cotangents = {
        layer: generator.normal(size=features.shape)
        for layer, features in network.forward(image).items()
    }
    gradient = network.backward(cotangents)

    def total(image):
        features = network.forward(image)
        return sum(np.sum(cotangents[k] * v) for k, v in features.items())

    everywhere = generator.normal(size=shape)
    border = everywhere.copy()
    border[1:-1, 1:-1] = 0.0
    for direction in (everywhere, border):
        expected = slopes(total, image, direction, 1e-7)
        assert np.sum(gradient * direction) == pytest.approx(expected, rel=1e-5)


def test_network_agrees_with_torch():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    generator = np.random.default_rng(3)
    image = generator.normal(size=(49, 33, 3))
    network = numpy_network.Network(toy_weights(), "max", "replicate_first")
    features = network.forward(image)
    value = torch.tensor(image).permute(2, 0, 1)[None].requires_grad_()
    leaf, block, total = value, "block1", 0.0
    for layer, (kernel, bias) in toy_weights().items():
        if not layer.startswith(block):
            value = functional.max_pool2d(value, 2)
        block = layer.split("_")[0]
        first = layer == "block1_conv1"
        value = functional.pad(
            value, (1, 1, 1, 1), "replicate" if first else "constant"
        )
        value = functional.relu(
            functional.conv2d(
                value,
                torch.tensor(kernel).permute(3, 2, 0, 1),
                torch.tensor(bias),
            )
        )
        total = total + (value**2).sum()
        np.testing.assert_allclose(
            features[layer],
            value[0].permute(1, 2, 0).detach().numpy(),
            rtol=1e-9,
            atol=1e-9,
        )
    total.backward()
    np.testing.assert_allclose(
        network.backward({k: 2 * v for k, v in features.items()}),
        leaf.grad[0].permute(1, 2, 0).numpy(),
        rtol=1e-8,
        atol=1e-8,
    )


def test_deprocess_undoes_preprocess():
    image = toy_images()[0]
    for scale in (255.0, 256.0):
        there = numpy_network.preprocess(image, scale=scale)
        back = numpy_network.deprocess(there, scale=scale)
        np.testing.assert_allclose(back, image, rtol=1e-12)
    # Pure red: the last channel.
    red = numpy_network.preprocess(np.array([[[1.0, 0.0, 0.0]]]))
    np.testing.assert_allclose(red[0, 0], [-103.939, -116.779, 255 - 123.68])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradient_is_that_of_the_terms(name):
    build, pooling, padding = OBJECTIVES[name]
    network = numpy_network.Network(toy_weights(), pooling, padding)
    content, style, start = toy_images()
    constants = PAPER_WEIGHTS if name == "gatys_paper" else {}
    objective = build(network, content, style, **constants)
    array = objective.enter(start)
    terms, gradient = objective(array)
    assert all(value > 0 for value in terms.values())
    generator = np.random.default_rng(4)
    for loss in (None, *objective.losses):
        # All of them, then each alone, lest a small one hide.
        chosen = objective.losses
        if loss is not None:
            chosen = {loss: chosen[loss]}
        single = numpy_sources.Objective(
            network,
            chosen,
            scale=objective.scale,
            in_rgb=objective.in_rgb,
        )
        values, gradient = single(array)
        assert values == {k: terms[k] for k in chosen}
        direction = gradient + generator.normal(size=array.shape) * np.sqrt(
            np.mean(gradient**2)
        )
        direction /= np.abs(direction).max()

        def total(array, single=single):
            return sum(single(array)[0].values())

        step = 2e-7 if objective.in_rgb else 5e-5
        expected = slopes(total, array, direction, step)
        assert np.sum(gradient * direction) == pytest.approx(
            expected, rel=1e-5
        ), loss


@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_style_or_content_loss_at_the_target(name):
    build, pooling, padding = OBJECTIVES[name]
    network = numpy_network.Network(toy_weights(), pooling, padding)
    content = toy_images()[0]
    constants = PAPER_WEIGHTS if name == "gatys_paper" else {}
    objective = build(network, content, content, **constants)
    terms, gradient = objective(objective.enter(content))
    far, slope = objective(objective.enter(1 - content))
    for loss, value in terms.items():
        if loss != "total_variation":
            assert value == pytest.approx(0.0, abs=1e-9 * far[loss])
    if "total_variation" not in terms:
        assert np.abs(gradient).max() < 1e-6 * np.abs(slope).max()


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_descend(name):
    program, pooling, padding = PROGRAMS[name]
    network = numpy_network.Network(toy_weights(), pooling, padding)
    content, style, start = toy_images()
    constants = {} if name == "crowson_w2" else {"first_length": 0.5}
    run = program(network, content, style, start, 8, **constants)
    assert len(run.images) == len(run.terms) == 8
    assert all(image.shape == SHAPE for image in run.images)
    totals = [sum(terms.values()) for terms in run.terms]
    assert totals[-1] < totals[0]
    if name == "crowson_w2":
        assert all(0 <= image.min() <= image.max() <= 1 for image in run.images)
    else:
        change = (run.images[0] - start) * (
            256 if name.startswith("neural_style") else 255
        )
        assert np.sqrt(np.mean(change**2)) == pytest.approx(0.5)
    again = program(network, content, style, start, 1, **constants)
    assert again.terms[0] == run.terms[0]


def test_programs_refuse_another_pooling():
    network = numpy_network.Network(toy_weights(), "max")
    with pytest.raises(ValueError, match='needs pooling "average"'):
        numpy_sources.gatys2015(network, *toy_images(), 1)


def test_johnson_stencils_by_hand():
    image = np.zeros((3, 3, 1))
    image[2, 2] = 2.0
    # Both differences to the last corner lie on the last row and column.
    value, _ = numpy_sources._half_squared_variation(1.0)(image)
    assert value == 0.0
    value, _ = numpy_sources._absolute_variation(1.0)(image)
    assert value == 4.0
    image = np.zeros((3, 3, 1))
    image[1, 1] = 2.0
    value, _ = numpy_sources._half_squared_variation(1.0)(image)
    assert value == 8.0


def test_crowson_losses_agree_with_torch():
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(5)
    image = generator.random((7, 9, 3))
    value, gradient = numpy_sources._nine_point_variation(1.0)(image)
    leaf = torch.tensor(image).permute(2, 0, 1)[None].requires_grad_()
    wide = torch.nn.functional.pad(leaf, (1, 1, 1, 1), "replicate")
    # A pixel and its right-hand, lower and diagonal neighbors.
    core, height, width = wide[..., 1:-1, 1:-1], 7, 9
    total = ((wide[..., 1:-1, 2:] - core) ** 2).sum() / (9 * height * width)
    total = total + ((wide[..., 2:, 1:-1] - core) ** 2).sum() / (
        9 * height * width
    )
    diagonals = ((wide[..., 1:, 1:] - wide[..., :-1, :-1]) ** 2).sum()
    diagonals = (
        diagonals + ((wide[..., 1:, :-1] - wide[..., :-1, 1:]) ** 2).sum()
    )
    total = 2 * (total + diagonals / (36 * (height + 1) * (width + 1)))
    total.backward()
    assert value == pytest.approx(total.item())
    np.testing.assert_allclose(
        gradient, leaf.grad[0].permute(1, 2, 0).numpy(), atol=1e-12
    )

    target, features = generator.random((2, 5, 6, 4))
    value, gradient = numpy_sources._wasserstein(target, 1.0)(features)
    leaf = torch.tensor(features).requires_grad_()

    def gaussian(features):
        rows = features.reshape(-1, 4).T
        return rows.mean(1), torch.cov(rows, correction=0) + 1e-4 * torch.eye(4)

    mean, covariance = gaussian(leaf)
    target_mean, target_covariance = gaussian(torch.tensor(target))
    # trace((T^(1/2) S T^(1/2))^(1/2)) is that of the root of T S.
    roots = torch.linalg.eigvals(target_covariance @ covariance).real.sqrt()
    total = ((mean - target_mean) ** 2).mean() + (
        torch.trace(covariance + target_covariance) - 2 * roots.sum()
    ) / 4
    total.backward()
    assert value == pytest.approx(total.item())
    np.testing.assert_allclose(gradient, leaf.grad.numpy(), atol=1e-9)


def test_crowson_average():
    network = numpy_network.Network(toy_weights(), "max", "replicate_first")
    content, style, _ = toy_images()
    run = numpy_sources.crowson_w2(network, content, style, content, 3)
    # Adam's moving average with its correction, written out.
    value, decay = 0.01 * content, 0.99
    for number, image in enumerate(run.images, start=2):
        value = decay * value + (1 - decay) * image
        np.testing.assert_allclose(
            run.averages[number - 2], value / (1 - decay**number), rtol=1e-10
        )


def bowl_gradient(image):
    curvature = np.linspace(0.5, 3.0, image.size).reshape(image.shape)
    return curvature * (image - 1.0)


def torch_path(build, steps, start):
    torch = pytest.importorskip("torch")
    image = torch.tensor(start, requires_grad=True)
    optimizer, scheduler = build(torch, image)
    path = []

    def closure():
        optimizer.zero_grad()
        image.grad = torch.tensor(bowl_gradient(image.detach().numpy()))
        return (image.detach() ** 2).sum()

    for _ in range(steps):
        optimizer.step(closure)
        if scheduler:
            scheduler.step()
        path.append(image.detach().numpy().copy())
    return path


def numpy_path(optimizer, steps, start):
    path, image = [], start
    for _ in range(steps):
        image = optimizer.step(image, bowl_gradient(image))
        path.append(image)
    return path


def test_adam_agrees_with_torch():
    start = np.random.default_rng(6).normal(size=(3, 4, 3))

    def build(torch, image):
        return torch.optim.Adam([image], 0.1, (0.8, 0.95), eps=1e-3), None

    np.testing.assert_allclose(
        numpy_path(numpy_network.Adam(0.1, 0.8, 0.95, 1e-3), 30, start),
        torch_path(build, 30, start),
        rtol=1e-10,
    )


def test_adam_of_keras_adds_epsilon_elsewhere():
    # Its formula, written out, for the first step: both moments are
    # uncorrected, the rate has both corrections.
    image, gradient = np.zeros((1, 1, 3)), np.array([[[1.0, -2.0, 0.1]]])
    rate = 0.1 * np.sqrt(1 - 0.95) / (1 - 0.8)
    moment, square = 0.2 * gradient, 0.05 * gradient**2
    expected = -rate * moment / (np.sqrt(square) + 1e-3)
    optimizer = numpy_network.Adam(0.1, 0.8, 0.95, 1e-3, form="keras")
    np.testing.assert_allclose(optimizer.step(image, gradient), expected)


def test_sgd_agrees_with_torch():
    start = np.random.default_rng(7).normal(size=(3, 4, 3))

    def build(torch, image):
        optimizer = torch.optim.SGD([image], 0.2)
        gamma = 0.5 ** (1 / 10)
        return optimizer, torch.optim.lr_scheduler.ExponentialLR(
            optimizer, gamma
        )

    np.testing.assert_allclose(
        numpy_path(numpy_network.Sgd(0.2, 0.5, 10), 30, start),
        torch_path(build, 30, start),
        rtol=1e-10,
    )


def test_lbfgs_agrees_with_torch():
    start = np.random.default_rng(8).normal(size=(3, 4, 3))

    def build(torch, image):
        optimizer = torch.optim.LBFGS(
            [image], max_iter=1, tolerance_grad=-1, tolerance_change=-1
        )
        return optimizer, None

    np.testing.assert_allclose(
        numpy_path(numpy_network.Lbfgs(), 12, start),
        torch_path(build, 12, start),
        rtol=1e-6,
    )


def test_lbfgs_first_step():
    start = np.random.default_rng(9).normal(size=(3, 4, 3))
    first = numpy_path(numpy_network.Lbfgs(0.25), 1, start)[0]
    change = first - start
    assert np.sqrt(np.mean(change**2)) == pytest.approx(0.25)
    gradient = bowl_gradient(start)
    cosine = np.vdot(change, gradient) / np.sqrt(
        np.vdot(change, change) * np.vdot(gradient, gradient)
    )
    assert cosine == pytest.approx(-1.0)
    # With torch's own first length, torch's path.
    length = np.sqrt(np.mean(gradient**2)) / max(1, np.abs(gradient).sum())
    np.testing.assert_allclose(
        numpy_path(numpy_network.Lbfgs(length), 6, start),
        numpy_path(numpy_network.Lbfgs(), 6, start),
        rtol=1e-8,
    )
