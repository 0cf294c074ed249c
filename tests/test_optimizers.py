"""Adam against the paper; L-BFGS against a dense BFGS and SciPy's."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf import descent, objective, optimizers, pyramid


def test_adam_follows_the_papers_algorithm_in_float64():
    target = toys.image(4, 5, 1, "float64")[None]
    start = toys.image(4, 5, 2, "float64")[None]
    rate, beta_1, beta_2, epsilon, average = 0.03, 0.8, 0.95, 1e-3, 0.7
    optimizer = optimizers.Adam(
        tf.Variable(start),
        rate,
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=epsilon,
        average=average,
    )
    step = descent.make_train_step(optimizer, toys.bowl(target))

    x, m, v, mean = start.copy(), 0.0, 0.0, 0.0
    for t in range(1, 8):
        step()
        g = x - target  # the bowl's gradient times the number of pixels
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        x = np.clip(x - rate * m_hat / (np.sqrt(v_hat) + epsilon), 0, 1)
        mean = average * mean + (1 - average) * x
        np.testing.assert_allclose(optimizer.image, x, rtol=1e-12)
        np.testing.assert_allclose(
            optimizer.result(), mean / (1 - average**t), rtol=1e-12
        )


@pytest.mark.parametrize("name", ["adam", "sgd"])
@pytest.mark.parametrize("bounds", ["box", "none"])
def test_rates_decay_and_bounds_are_as_told(name, bounds):
    # The target is outside the box; nothing is multiplied by the pixels.
    target = 1.5 + toys.image(4, 5, 1, "float64")[None]
    start = toys.image(4, 5, 2, "float64")[None]
    rate, decay_rate, decay_steps = 0.3, 0.6, 4
    optimizer = optimizers.OPTIMIZERS[name](
        tf.Variable(start),
        rate,
        average=0,
        decay_rate=decay_rate,
        decay_steps=decay_steps,
        bounds=bounds,
        scaled=False,
    )
    step = descent.make_train_step(optimizer, toys.bowl(target))

    x, m, v = start.copy(), 0.0, 0.0
    for t in range(1, 10):
        step()
        g = (x - target) / 20  # the bowl's gradient
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.99**t)
        direction = m_hat / (np.sqrt(v_hat) + 1e-8) if name == "adam" else g
        x = x - rate * decay_rate ** ((t - 1) / decay_steps) * direction
        if bounds == "box":
            x = np.clip(x, 0, 1)
        np.testing.assert_allclose(optimizer.image, x, rtol=1e-7)
        np.testing.assert_allclose(
            optimizer.result(), np.clip(x, 0, 1), rtol=1e-7
        )


def test_without_bounds_lbfgs_goes_to_the_minimum_outside():
    target = 3 * toys.image(4, 5, 1, "float64")[None] - 1
    optimizer = optimizers.Lbfgs(
        tf.Variable(toys.image(4, 5, 2, "float64")[None]), bounds="none"
    )
    step = descent.make_train_step(optimizer, toys.bowl(target))
    for _ in range(20):
        step()
    np.testing.assert_allclose(optimizer.image, target, atol=1e-6)
    np.testing.assert_allclose(
        optimizer.result(), np.clip(target, 0, 1), atol=1e-6
    )


def test_without_average_the_result_is_the_last_iterate():
    optimizer = optimizers.Adam(
        tf.Variable(toys.image(4, 5, 2)[None]), average=0
    )
    descent.make_train_step(optimizer, toys.bowl(toys.image(4, 5)[None]))()
    np.testing.assert_array_equal(optimizer.result(), optimizer.image)


def test_before_the_first_step_the_result_is_the_start():
    start = toys.image(4, 5)[None]
    optimizer = optimizers.Adam(tf.Variable(start))
    np.testing.assert_array_equal(optimizer.result(), start)


@pytest.mark.parametrize("epsilon", [1e-8, 1.0])
def test_adam_moves_a_large_image_as_far_as_a_small_one(monkeypatch, epsilon):
    # The same periodic pictures at 64 and 512: relative losses are equal, and
    # so must be the paint, also with an epsilon of the gradient's own size.
    network = toys.extractor(monkeypatch, pooling="average")
    moved = {}
    for size in (64, 512):
        content, style, start = (
            np.tile(toys.image(64, 64, seed), (size // 64, size // 64, 1))
            for seed in (1, 2, 3)
        )
        loss_list = toys.style_and_content(network, content, style)
        evaluate = objective.make_objective(network, loss_list)
        optimizer = optimizers.Adam(
            tf.Variable(start[None]), epsilon=epsilon, average=0
        )
        step = descent.make_train_step(optimizer, evaluate)
        moves = []
        for _ in range(10):
            before = optimizer.image.numpy()
            step()
            moves.append(np.abs(optimizer.image.numpy() - before).mean())
        moved[size] = np.mean(moves)
    assert moved[512] == pytest.approx(moved[64], rel=0.05)


def test_after_a_rescue_adam_steps_half_as_far_and_averages_anew():
    bowl = toys.bowl(toys.image(4, 5)[None])
    calls = []

    def faulty(image):
        evaluation = bowl(image)
        bad = tf.py_function(
            lambda: calls.append(1) or len(calls) == 3, [], tf.bool
        )
        loss = tf.where(bad, np.float32(np.nan), evaluation.loss)
        return evaluation._replace(loss=loss)

    start = toys.image(4, 5, 2)[None]
    optimizer = optimizers.Adam(tf.Variable(start), 0.01)
    step = descent.make_train_step(optimizer, faulty)
    images = []
    for _ in range(5):
        step()
        images.append(optimizer.image.numpy())
    # The third evaluation failed, that of the second new image: back to the
    # one before.
    np.testing.assert_array_equal(images[2], images[0])
    np.testing.assert_allclose(
        np.abs(images[3] - images[2]).max(), 0.005, rtol=1e-3
    )
    finer = optimizers.Adam(tf.Variable(start), 0.01)
    finer.inherit(optimizer)
    descent.make_train_step(finer, bowl)()
    np.testing.assert_allclose(
        np.abs(finer.image - start).max(), 0.005, rtol=1e-3
    )


def test_without_average_the_result_is_never_clearly_worse_than_the_best():
    target = toys.image(4, 5)[None]
    bowl = toys.bowl(target)

    def raised(image):
        evaluation = bowl(image)
        return evaluation._replace(loss=evaluation.loss + 1e-4)

    optimizer = optimizers.Adam(
        tf.Variable(np.clip(target + 0.01, 0, 1)), 0.015, average=0
    )
    step = descent.make_train_step(optimizer, raised)
    losses = []
    chosen = set()
    for _ in range(30):
        losses.append(float(step().loss))
        last = bool((optimizer.result() == optimizer.image).numpy().all())
        assert last == (losses[-1] <= 1.02 * min(losses))
        chosen.add(last)
    assert chosen == {True, False}
    assert int(optimizer.rescues) == 0


def test_where_no_evaluation_gives_numbers_the_descent_says_so():
    def nothing(image):
        loss = tf.constant(np.nan) * tf.reduce_sum(image)
        return objective.Evaluation(loss, image, {})

    start = tf.constant(toys.image(4, 5)[None])
    for steps, taken in ((3, 2), (60, 24)):
        seen = []
        run = descent.descend(
            lambda height, width: nothing,
            optimizers.Adam,
            [pyramid.Level(4, 5, steps)],
            start,
        )
        with pytest.raises(FloatingPointError, match="gave no numbers; try"):
            seen.extend(run)
        assert len(seen) == taken
        np.testing.assert_array_equal(seen[-1].image, start)


# L-BFGS


def _rosenbrock(image):
    """Rosenbrock's valley in the values of an image, its minimum at 0.5."""
    with tf.GradientTape() as tape:
        tape.watch(image)
        x = 2 * tf.reshape(image, [-1])
        valley = 100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2
        loss = tf.reduce_sum(valley)
    return objective.Evaluation(loss, tape.gradient(loss, image), {})


def _start(size=30):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 1, size=(1, size // 3, 1, 3))


def _dense_inverse_hessian(changes, bends, scale):
    """The recursion of BFGS from a multiple of the identity, [N, N]."""
    identity = np.eye(changes.shape[1])
    inverse = scale * identity
    for s, y in zip(changes, bends, strict=True):
        rho = 1 / (s @ y)
        left = identity - rho * np.outer(s, y)
        inverse = left @ inverse @ left.T + rho * np.outer(s, s)
    return inverse


@pytest.mark.parametrize("missing", [0, 3])
def test_lbfgs_direction_is_that_of_a_dense_bfgs_of_twenty_variables(missing):
    rng = np.random.default_rng(0)
    root = rng.normal(size=(20, 20))
    hessian = root @ root.T + np.eye(20)
    changes = rng.normal(size=(7, 20))
    bends = changes @ hessian
    gradient = rng.normal(size=20)
    scale = (changes[-1] @ bends[-1]) / (bends[-1] @ bends[-1])
    expected = _dense_inverse_hessian(changes, bends, scale) @ gradient
    padding = np.zeros((missing, 20))
    changes, bends = (np.vstack([padding, a]) for a in (changes, bends))
    a, b, found_scale = optimizers.inverse_hessian_coefficients(
        tf.constant(changes @ bends.T),
        tf.constant(bends @ bends.T),
        tf.constant(changes @ gradient),
        tf.constant(bends @ gradient),
    )
    actual = found_scale * gradient + a.numpy() @ changes + b.numpy() @ bends
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


@pytest.mark.parametrize("history", [3, 100])
def test_lbfgs_keeps_the_newest_pairs_and_their_products(history):
    optimizer = optimizers.Lbfgs(tf.Variable(_start()), history=history)
    step = descent.make_train_step(optimizer, _rosenbrock)
    for _ in range(15):
        step()
    changes, bends, sy, yy = (
        memory.numpy()
        for memory in (
            optimizer._changes,
            optimizer._bends,
            optimizer._sy,
            optimizer._yy,
        )
    )
    there = np.diag(sy) > 0
    assert 3 <= there.sum() <= min(history, 14)
    np.testing.assert_allclose(
        np.triu(sy), np.triu(changes @ bends.T), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(yy, bends @ bends.T, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("upper", [1.0, 0.4])
def test_lbfgs_needs_about_as_many_evaluations_as_scipys(upper):
    # With an upper bound of 0.4 the minimum is at the bounds; our box is
    # [0, 1], so that the values are scaled.
    optimize = pytest.importorskip("scipy.optimize")
    counts = {"scipy": 0, "ours": 0}

    def scaled(image):
        evaluation = _rosenbrock(upper * image)
        return evaluation._replace(gradient=upper * evaluation.gradient)

    def plain(values):
        counts["scipy"] += 1
        evaluation = scaled(tf.constant(values.reshape(1, -1, 1, 3)))
        return float(evaluation.loss), evaluation.gradient.numpy().ravel()

    start = _start()
    best = optimize.minimize(
        plain,
        start.ravel(),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, 1)] * start.size,
        options={"maxcor": 20, "ftol": 1e-15, "gtol": 1e-9},
    )
    optimizer = optimizers.Lbfgs(tf.Variable(start), history=20)
    step = descent.make_train_step(optimizer, scaled)
    goal = best.fun + 1e-6 * abs(best.fun) + 1e-9
    for counts["ours"] in range(1, 500):
        step()
        if float(scaled(optimizer.result()).loss) <= goal:
            break
    np.testing.assert_allclose(
        optimizer.result().numpy().ravel(), best.x, atol=2e-3
    )
    assert counts["ours"] <= 1.5 * counts["scipy"] + 10


def test_lbfgs_takes_no_step_that_is_worse_or_not_a_number():
    bowl = toys.bowl(toys.image(4, 5, 1, "float64")[None])
    calls = []

    def faulty(image):
        evaluation = bowl(image)
        bad = tf.py_function(
            lambda: calls.append(1) or len(calls) in (3, 5), [], tf.bool
        )
        worse = tf.where(bad, tf.cast(np.nan, tf.float64), evaluation.loss)
        return evaluation._replace(loss=worse)

    optimizer = optimizers.Lbfgs(
        tf.Variable(toys.image(4, 5, 2, "float64")[None])
    )
    step = descent.make_train_step(optimizer, faulty)
    losses = []
    for _ in range(30):
        step()
        losses.append(float(bowl(optimizer.result()).loss))
    assert len(calls) == 30
    assert (np.diff(losses) <= 0).all()
    assert losses[-1] < 1e-8


def test_lbfgs_goes_on_where_the_curvature_misleads():
    # Beside a cliff every long step is worse: the pairs are forgotten.
    target = toys.image(4, 5, 1, "float64")[None]
    bowl = toys.bowl(target)

    def cliff(image):
        evaluation = bowl(image)
        far = tf.reduce_max(tf.abs(image - target)) > 0.5
        wall = 1e3 * tf.cast(far, tf.float64)
        return evaluation._replace(loss=evaluation.loss + wall)

    optimizer = optimizers.Lbfgs(
        tf.Variable(np.clip(target + 0.45, 0, 1)), learning_rate=50.0
    )
    step = descent.make_train_step(optimizer, cliff)
    for _ in range(60):
        step()
    np.testing.assert_allclose(optimizer.result(), target, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_lbfgs_does_not_see_the_scale_of_the_objective(scale):
    # A peer's loss stays as it is at large sizes, where gradients are small.
    images = []
    for factor in (1.0, scale):

        def scaled(image, factor=factor):
            evaluation = _rosenbrock(image)
            return evaluation._replace(
                loss=factor * evaluation.loss,
                gradient=factor * evaluation.gradient,
            )

        optimizer = optimizers.Lbfgs(tf.Variable(_start()))
        step = descent.make_train_step(optimizer, scaled)
        for _ in range(15):
            step()
        images.append(optimizer.result().numpy())
    np.testing.assert_allclose(*images, atol=1e-7)
