"""Adam against the paper's algorithm, its average, and sizes."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf import descent, objective, optimizers


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
