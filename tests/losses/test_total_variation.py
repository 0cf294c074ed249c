"""Total variation of every form against loops, and its gradient."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.losses import total_variation

SIZE = (5, 4)


def _by_loops(neighbors, image, mask):
    """The sum and the mass that the docstrings tell of, for [H, W, 3]."""
    height, width, _ = image.shape
    total = mass = 0.0
    for row in range(height):
        for column in range(width):
            counts = mask[row, column]
            down = right = np.zeros(3)
            if row + 1 < height:
                down = image[row + 1, column] - image[row, column]
            if column + 1 < width:
                right = image[row, column + 1] - image[row, column]
            if neighbors in ("square", "absolute"):
                form = np.square if neighbors == "square" else np.abs
                total += counts * np.mean(form(down) + form(right))
                mass += counts * ((row + 1 < height) + (column + 1 < width))
            elif neighbors == "nine_point":
                total += counts * 2 / 3 * np.mean(down**2 + right**2)
                mass += counts
            elif row + 1 < height and column + 1 < width:
                power = 1.25 if neighbors == "power" else 1.0
                total += counts * np.mean((down**2 + right**2) ** power)
                mass += counts
    if neighbors == "nine_point":
        total += _diagonals(image, mask)
    return total, mass


def _diagonals(image, mask):
    """A sixth of the squares of both diagonals, in the picture's number."""
    height, width, _ = image.shape
    image = np.pad(image, ((1, 1), (1, 1), (0, 0)), "symmetric")
    mask = np.pad(mask, 1, "symmetric")
    total = 0.0
    for row in range(height + 1):
        for column in range(width + 1):
            a, b = image[row, column], image[row, column + 1]
            c, d = image[row + 1, column], image[row + 1, column + 1]
            squares = np.mean((d - a) ** 2 + (c - b) ** 2)
            total += mask[row, column] * squares / 6
    return total * height * width / ((height + 1) * (width + 1))


@pytest.mark.parametrize("neighbors", total_variation.FORMS)
@pytest.mark.parametrize("masked", [False, True])
def test_statistics_are_those_of_loops(neighbors, masked):
    image = toys.image(*SIZE, 1, "f8")
    mask, region = (toys.mask(*SIZE, seed=seed) for seed in (1, 2))
    loss = total_variation.TotalVariationLoss(
        neighbors=neighbors, divisor=4.0, region=region if masked else None
    )
    found = loss.statistics(
        tf.constant(image[None]), mask if masked else None, **loss.maps
    )
    counts = (mask * region if masked else tf.ones_like(mask))[0, ..., 0]
    total, mass = _by_loops(neighbors, image, counts.numpy())
    np.testing.assert_allclose(found.total, total, rtol=1e-12)
    np.testing.assert_allclose(found.mass, mass, rtol=1e-12)
    np.testing.assert_allclose(
        loss.distance(found), total / mass / 4, rtol=1e-12
    )


@pytest.mark.parametrize("neighbors", total_variation.FORMS)
def test_the_gradient_is_that_of_finite_differences(neighbors):
    image = tf.constant(toys.image(*SIZE, 1, "f8")[None])
    mask = toys.mask(*SIZE)
    loss = total_variation.TotalVariationLoss(neighbors=neighbors)

    def evaluate(image):
        return 7.0 * loss.distance(loss.statistics(image, mask))

    _, gradient = toys.differentiate(evaluate, image)
    rng = np.random.default_rng(0)
    for _ in range(5):
        change = 1e-6 * rng.normal(size=image.shape)
        difference = (evaluate(image + change) - evaluate(image - change)) / 2
        expected = np.sum(gradient * change)
        np.testing.assert_allclose(difference, expected, rtol=1e-6)
