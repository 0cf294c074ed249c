"""The formulas of docs/how_it_works.md and optimization.md, in NumPy again."""

import numpy as np
import pytest
import tensorflow as tf

from nst_tf import losses, optimize

LAYER = "block2_conv1"


def _features(seed):
    """Features as after a ReLU, [1, 16, 24, 12]."""
    values = np.random.default_rng(seed).normal(size=(1, 16, 24, 12))
    return np.maximum(values, 0.0)


F, T = _features(0), _features(1)
ROWS, TARGET_ROWS = F.reshape(-1, 12), T.reshape(-1, 12)


def _compute(loss, features):
    statistics = loss.statistics(tf.constant(features), **loss.maps)
    return float(loss.distance(statistics))


def _root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values)) @ vectors.T


def _measure_moments(rows):
    mean = rows.mean(0)
    return mean, rows.T @ rows / len(rows) - np.outer(mean, mean)


def _compare_moments(mean, cov):
    mean_t, cov_t = _measure_moments(TARGET_ROWS)
    e = 1e-4 * np.diag(cov_t).mean()
    s, s_t = (np.sqrt(np.diag(each) + e) for each in (cov, cov_t))
    return np.sum((mean - mean_t) ** 2) + np.sum((s - s_t) ** 2)


def _compare_gaussians(mean, cov):
    mean_t, cov_t = _measure_moments(TARGET_ROWS)
    e = 1e-2 * np.diag(cov_t).mean()
    one, two = (each + e * np.eye(len(each)) for each in (cov, cov_t))
    root = _root(two)
    trace = np.trace(one + two - 2 * _root(root @ one @ root))
    return np.sum((mean - mean_t) ** 2) + trace


def test_content():
    loss = losses.ContentLoss(LAYER, tf.constant(T))
    expected = np.mean((F - T) ** 2) / np.mean(T**2)
    np.testing.assert_allclose(_compute(loss, F), expected, rtol=1e-6)


def test_gram():
    loss = losses.GramLoss(LAYER, losses.GramLoss.measure(tf.constant(T)))
    gram = ROWS.T @ ROWS / len(ROWS)
    target = TARGET_ROWS.T @ TARGET_ROWS / len(TARGET_ROWS)
    expected = np.sum((gram - target) ** 2) / np.sum(target**2)
    np.testing.assert_allclose(_compute(loss, F), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "formula"),
    [
        (losses.MomentsLoss, _compare_moments),
        (losses.WassersteinLoss, _compare_gaussians),
    ],
)
def test_moments_and_gaussians(kind, formula):
    loss = kind(LAYER, kind.measure(tf.constant(T)))
    of_zeros = formula(np.zeros(12), np.zeros((12, 12)))
    expected = formula(*_measure_moments(ROWS)) / of_zeros
    np.testing.assert_allclose(_compute(loss, F), expected, rtol=1e-6)


def test_total_variation():
    x = np.random.default_rng(2).uniform(size=(1, 7, 9, 3))
    down, right = np.diff(x, axis=1) ** 2, np.diff(x, axis=2) ** 2
    expected = (down.sum() + right.sum()) / (down.size + right.size)
    actual = _compute(losses.TotalVariationLoss(), x)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_adam():
    pixels = 4 * 5
    goal = np.random.default_rng(3).uniform(size=(1, 4, 5, 3)).astype("f4")

    def bowl(image):
        away = image - goal
        loss = tf.reduce_sum(away**2) / (2 * pixels)
        return losses.Evaluation(loss, away / pixels, {})

    adam = optimize.Adam(tf.Variable(np.full_like(goal, 0.5)))
    x, m, v, a = 0.5, 0.0, 0.0, 0.0
    for t in range(1, 9):
        adam.step(bowl)
        g = pixels * (x - goal) / pixels
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        corrected = np.sqrt(1 - 0.99**t) / (1 - 0.9**t)
        x = np.clip(x - 0.02 * corrected * m / (np.sqrt(v) + 1e-8), 0, 1)
        a = a + 0.05 * (x - a)
    np.testing.assert_allclose(adam.image, x, rtol=1e-5)
    np.testing.assert_allclose(adam.result(), a / (1 - 0.95**t), rtol=1e-5)
