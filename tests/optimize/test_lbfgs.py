"""L-BFGS against a dense BFGS, and SciPy's."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.losses import objectives
from nst_tf.optimize import descent, lbfgs


def _rosenbrock(image):
    """Rosenbrock's valley in the values of an image, its minimum at 0.5."""
    with tf.GradientTape() as tape:
        tape.watch(image)
        x = 2 * tf.reshape(image, [-1])
        valley = 100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2
        loss = tf.reduce_sum(valley)
    return objectives.Evaluation(loss, tape.gradient(loss, image), {})


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
    a, b, found_scale = lbfgs.inverse_hessian_coefficients(
        tf.constant(changes @ bends.T),
        tf.constant(bends @ bends.T),
        tf.constant(changes @ gradient),
        tf.constant(bends @ gradient),
    )
    actual = found_scale * gradient + a.numpy() @ changes + b.numpy() @ bends
    np.testing.assert_allclose(actual, expected, rtol=1e-9)


@pytest.mark.parametrize("history", [3, 100])
def test_lbfgs_keeps_the_newest_pairs_and_their_products(history):
    optimizer = lbfgs.Lbfgs(tf.Variable(_start()), history=history)
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
    optimizer = lbfgs.Lbfgs(tf.Variable(start), history=20)
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

    optimizer = lbfgs.Lbfgs(tf.Variable(toys.image(4, 5, 2, "float64")[None]))
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

    optimizer = lbfgs.Lbfgs(
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

        optimizer = lbfgs.Lbfgs(tf.Variable(_start()))
        step = descent.make_train_step(optimizer, scaled)
        for _ in range(15):
            step()
        images.append(optimizer.result().numpy())
    np.testing.assert_allclose(*images, atol=1e-7)


def test_without_bounds_lbfgs_goes_to_the_minimum_outside():
    target = 3 * toys.image(4, 5, 1, "float64")[None] - 1
    optimizer = lbfgs.Lbfgs(
        tf.Variable(toys.image(4, 5, 2, "float64")[None]), bounds="none"
    )
    step = descent.make_train_step(optimizer, toys.bowl(target))
    for _ in range(20):
        step()
    np.testing.assert_allclose(optimizer.image, target, atol=1e-6)
    np.testing.assert_allclose(
        optimizer.result(), np.clip(target, 0, 1), atol=1e-6
    )


def _scripted(losses, gradient):
    """An objective of given losses, with one gradient."""
    numbers = iter(losses)

    def evaluate(image):
        del image
        loss = tf.constant(next(numbers), tf.float64)
        return objectives.Evaluation(loss, tf.constant(gradient), {})

    return evaluate


@pytest.mark.parametrize(
    ("second", "factor"),
    [
        (1.08, 0.3),  # the minimum of the parabola: 0.12 / (2 * 0.2)
        (9.0, 0.1),  # never less than a tenth,
        (np.nan, 0.1),  # nor where there is no number
    ],
)
def test_lbfgs_shortens_a_step_to_the_minimum_of_a_parabola(second, factor):
    start = np.full((1, 1, 2, 3), 0.5)
    optimizer = lbfgs.Lbfgs(tf.Variable(start), learning_rate=0.02)
    evaluate = _scripted([1.0, second], np.ones((1, 1, 2, 3)))
    optimizer.step(evaluate)
    np.testing.assert_allclose(optimizer.image, 0.48, rtol=1e-12)
    optimizer.step(evaluate)
    np.testing.assert_allclose(optimizer.image, 0.5 - 0.02 * factor, rtol=1e-12)
    assert int(optimizer.rescues) == int(np.isnan(second))


def test_lbfgs_counts_failures_in_a_row_and_rescues_in_all():
    optimizer = lbfgs.Lbfgs(tf.Variable(np.full((1, 1, 2, 3), 0.5)))
    losses = [1.0, np.nan, np.nan, 0.9, np.nan]
    evaluate = _scripted(losses, np.full((1, 1, 2, 3), 1e-3))
    counts = []
    for _ in losses:
        optimizer.step(evaluate)
        counts.append((int(optimizer.failures), int(optimizer.rescues)))
    assert counts == [(0, 0), (1, 1), (2, 2), (0, 2), (1, 3)]


def test_lbfgs_halves_a_step_at_most():
    # The step went uphill, and brought less than the slope says: the parabola
    # has no minimum, and its summit is as far away as the step is long.
    start = np.full((1, 1, 2, 3), 0.5)
    optimizer = lbfgs.Lbfgs(tf.Variable(start), learning_rate=0.02)
    evaluate = _scripted([1.0, 1.06], np.ones((1, 1, 2, 3)))
    optimizer.step(evaluate)
    optimizer.image.assign(start + 0.02)
    optimizer.step(evaluate)
    np.testing.assert_allclose(optimizer.image, 0.5 - 0.01, rtol=1e-12)


def test_lbfgs_accepts_a_loss_within_the_margin():
    # A share of the loss, of either sign; the gradient asks for next to no
    # decrease.
    for first, margin, accepted in (
        (1.0, 5e-5, True),
        (1.0, 1.5e-4, False),
        (4.0, 3e-4, True),
        (-4.0, 3e-4, True),
        (4.0, 5e-4, False),
    ):
        optimizer = lbfgs.Lbfgs(tf.Variable(np.full((1, 1, 2, 3), 0.5)))
        losses = [first, first + margin]
        evaluate = _scripted(losses, np.full((1, 1, 2, 3), 1e-3))
        optimizer.step(evaluate)
        moved = optimizer.image.numpy()
        optimizer.step(evaluate)
        found = optimizer.result().numpy()
        assert np.array_equal(found, moved) is accepted


def test_lbfgs_forgets_the_curvature_after_the_shortest_step():
    # Steps of 1, 0.1, 0.01, 0.001; the next one is along the gradient, and of
    # a thousandth of the first one's length.
    start = np.full((1, 1, 2, 3), 0.5)
    gradient = np.arange(6.0).reshape(1, 1, 2, 3)
    optimizer = lbfgs.Lbfgs(tf.Variable(start), learning_rate=0.02, history=2)
    evaluate = _scripted([1.0, *[np.nan] * 4], gradient)
    optimizer.step(evaluate)
    for memory in (optimizer._changes, optimizer._sy, optimizer._yy):
        memory.assign(tf.ones_like(memory))
    for _ in range(4):
        optimizer.step(evaluate)
    rms = np.sqrt(np.mean(gradient**2))
    np.testing.assert_allclose(
        optimizer.image, start - 2e-5 * gradient / rms, rtol=0, atol=1e-12
    )
    for memory in (optimizer._changes, optimizer._sy, optimizer._yy):
        assert not np.any(memory)


def test_lbfgs_holds_what_a_bound_stops():
    # At 0 and at 1 the gradient pushes against the bounds, or away from them.
    start = np.array([0.0, 0.0, 1.0, 1.0, 0.5, 0.5]).reshape(1, 1, 2, 3)
    gradient = np.array([1.0, -1.0, -1.0, 1.0, 1.0, -1.0]).reshape(1, 1, 2, 3)
    optimizer = lbfgs.Lbfgs(tf.Variable(start), learning_rate=0.02)
    optimizer.step(_scripted([1.0], gradient))
    # The root mean square is that of the four that are free, of six.
    move = 0.02 / np.sqrt(4 / 6)
    expected = [0.0, move, 1.0, 1 - move, 0.5 - move, 0.5 + move]
    np.testing.assert_allclose(np.ravel(optimizer.image), expected, rtol=1e-12)
