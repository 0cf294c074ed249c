"""Adam and SGD against their papers, step for step."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.backend import canvas
from nst_tf.losses import objectives
from nst_tf.optimize import base, descent, first_order
from nst_tf.plan import optimizers, pyramid


def test_adam_follows_the_papers_second_form_in_float64():
    target = toys.image(4, 5, 1, "float64")[None]
    start = toys.image(4, 5, 2, "float64")[None]
    rate, beta_1, beta_2, epsilon, average = 0.03, 0.8, 0.95, 1e-3, 0.7
    optimizer = first_order.Adam(
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
        rate_t = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        x = np.clip(x - rate_t * m / (np.sqrt(v) + epsilon), 0, 1)
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
    optimizer = optimizers.OPTIMIZERS[name].load()(
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
        correction = np.sqrt(1 - 0.99**t) / (1 - 0.9**t)
        direction = correction * m / (np.sqrt(v) + 1e-8)
        direction = direction if name == "adam" else g
        x = x - rate * decay_rate ** ((t - 1) / decay_steps) * direction
        if bounds == "box":
            x = np.clip(x, 0, 1)
        np.testing.assert_allclose(optimizer.image, x, rtol=1e-7)
        np.testing.assert_allclose(
            optimizer.result(), np.clip(x, 0, 1), rtol=1e-7
        )


def test_without_average_the_result_is_the_last_iterate():
    optimizer = first_order.Adam(
        tf.Variable(toys.image(4, 5, 2)[None]), average=0
    )
    descent.make_train_step(optimizer, toys.bowl(toys.image(4, 5)[None]))()
    np.testing.assert_array_equal(optimizer.result(), optimizer.image)


def test_before_the_first_step_the_result_is_the_start():
    start = toys.image(4, 5)[None]
    optimizer = first_order.Adam(tf.Variable(start))
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
        evaluate = objectives.make_objective(network, loss_list)
        optimizer = first_order.Adam(
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
    optimizer = first_order.Adam(tf.Variable(start), 0.01)
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
    finer = first_order.Adam(tf.Variable(start), 0.01)
    base.FinalState(optimizer).hand_over(finer)
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

    optimizer = first_order.Adam(
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
        return objectives.Evaluation(loss, image, {})

    start = tf.constant(toys.image(4, 5)[None])
    for steps, taken in ((3, 2), (60, 24)):
        seen = []
        run = descent.descend(
            lambda height, width: nothing,
            lambda image, level: first_order.Adam(
                canvas.make(image, *level.size)
            ),
            [pyramid.Level(4, 5, steps)],
            start,
        )
        with pytest.raises(FloatingPointError, match="infinite or exploding"):
            seen.extend(run)
        assert len(seen) == taken
        np.testing.assert_array_equal(seen[-1].image, start)
