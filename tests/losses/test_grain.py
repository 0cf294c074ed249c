"""The loss of grain against its definition written out again, in float64."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.losses import grain, style_kinds

COLORS = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.14713, -0.28886, 0.436],
        [0.615, -0.51499, -0.10001],
    ]
)
# A value rounded to a multiple of 1 / 255 is off by 1 / 12 of that, squared.
STEP = 1 / 255**2 / 12


def _opponents(image):
    return np.stack([image @ row for row in COLORS], axis=-1)


def _details(colors):
    """Four times each pixel less its neighbors, the border repeated."""
    height, width, _ = colors.shape
    found = np.zeros_like(colors)
    for y in range(height):
        for x in range(width):
            for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                row = min(max(y + dy, 0), height - 1)
                column = min(max(x + dx, 0), width - 1)
                found[y, x] += colors[y, x] - colors[row, column]
    return found


def _squares(values, reduce):
    """Squares of 2 x 2 pixels, and what there is of them at odd borders."""
    return np.array(
        [
            [
                reduce(values[y : y + 2, x : x + 2])
                for x in range(0, values.shape[1], 2)
            ]
            for y in range(0, values.shape[0], 2)
        ]
    )


def _energies(image, mask):
    """Mean squares of fine details, [6], of an image [H, W, 3]."""
    fine = _opponents(image)
    coarse = _squares(fine, lambda part: part.mean(axis=(0, 1)))
    weights = mask, _squares(mask, np.sum)
    return np.concatenate(
        [
            (weight[..., None] * _details(colors) ** 2).sum(axis=(0, 1))
            / mask.sum()
            for colors, weight in zip((fine, coarse), weights, strict=True)
        ]
    )


def _distance(image, style, mask=None):
    ones = np.ones(image.shape[:2])
    floor = np.concatenate(
        [20 * STEP / 4**s * (COLORS**2).sum(1) for s in (0, 1)]
    )
    seen = _energies(image, ones if mask is None else mask) + floor
    wanted = _energies(style, np.ones(style.shape[:2])) + floor
    return np.mean(np.maximum(np.sqrt(seen / wanted) - 1, 0) ** 2)


def _measure(image):
    return grain.GrainLoss.measure(tf.constant(image[None]))


def _compute(loss, image, mask=None):
    statistics = loss.statistics(tf.constant(image[None]), mask, **loss.maps)
    return loss.distance(statistics)


@pytest.mark.parametrize("size", [(8, 10), (7, 9), (8, 9), (1, 6)])
def test_distance_is_that_of_the_definition(size):
    image = toys.image(*size, 1, "f8")
    style = 0.4 + 0.3 * toys.image(12, 10, 2, "f8")
    loss = grain.GrainLoss("image", _measure(style))
    expected = _distance(image, style)
    assert expected > 0.1
    np.testing.assert_allclose(_compute(loss, image), expected, rtol=1e-12)


@pytest.mark.parametrize("size", [(8, 10), (7, 9)])
def test_a_mask_says_how_much_each_pixel_counts(size):
    image = toys.image(*size, 1, "f8")
    style = 0.4 + 0.3 * toys.image(12, 10, 2, "f8")
    one, other = (toys.mask(*size, seed=seed) for seed in (5, 6))
    loss = grain.GrainLoss("image", _measure(style), region=other)
    mask = (one * other).numpy()[0, ..., 0]
    expected = _distance(image, style, mask)
    np.testing.assert_allclose(_compute(loss, image, one), expected, rtol=1e-12)
    # And of a style, what is transparent.
    target = grain.GrainLoss.measure(tf.constant(image[None]), one)
    weights = one.numpy()[0, ..., 0]
    np.testing.assert_allclose(target, _energies(image, weights), rtol=1e-12)


def test_a_mask_of_zeros_counts_nothing():
    image = toys.image(8, 10, 1, "f8")
    loss = grain.GrainLoss("image", _measure(image))
    nothing = tf.zeros((1, 8, 10, 1), tf.float64)
    assert float(_compute(loss, 2 * image, nothing)) == 0


@pytest.mark.parametrize("size", [(8, 10), (7, 9), (8, 9)])
def test_gradient_equals_finite_differences(size):
    image = toys.image(*size, 1, "f8")
    mask = toys.mask(*size)
    loss = grain.GrainLoss("image", 0.01 * _measure(image))
    _, gradient = toys.differentiate(
        lambda pixels: loss.distance(loss.statistics(pixels, mask)),
        tf.constant(image[None]),
    )
    gradient = gradient.numpy()[0]
    for index in list(np.ndindex(gradient.shape))[::5]:  # of all channels
        delta = np.zeros_like(image)
        delta[index] = 1e-6
        up, down = (
            _compute(loss, image + sign * delta, mask) for sign in (1, -1)
        )
        slope = float(up - down) / 2e-6
        assert abs(slope - gradient[index]) < 1e-7 * np.abs(gradient).max()


def test_less_detail_than_the_style_has_is_no_loss():
    style = toys.image(12, 10, 2, "f8")
    loss = grain.GrainLoss("image", _measure(style))
    assert float(_compute(loss, 0.5 + 0.5 * (style - 0.5))) == 0
    assert float(_compute(loss, np.full((6, 7, 3), 0.3))) == 0
    assert float(_compute(loss, 0.5 + 2 * (style - 0.5))) > 0.5


def test_a_gray_style_asks_for_no_less_than_rounding_leaves():
    gray = toys.image(32, 32, 1, "f8").mean(axis=-1, keepdims=True)
    style = np.repeat(gray, 3, axis=-1)
    loss = grain.GrainLoss("image", _measure(style))
    rng = np.random.default_rng(0)
    rounded = np.repeat(gray, 3, axis=-1) + rng.uniform(
        -0.5 / 255, 0.5 / 255, style.shape
    )
    # Twice the energy of the floor alone, that is.
    assert 0 < float(_compute(loss, rounded)) < 1.2 * (2**0.5 - 1) ** 2 / 1.5
    colored = toys.image(32, 32, 1, "f8")
    assert 10 < float(_compute(loss, colored)) < 1e4


def test_half_precision_is_summed_in_single():
    image = toys.image(9, 8, 1)
    loss = grain.GrainLoss("image", 0.1 * _measure(image))
    half = tf.cast(tf.constant(image[None]), tf.bfloat16)
    statistics = loss.statistics(half)
    assert statistics.total.dtype == tf.float32
    wide = loss.statistics(tf.cast(half, tf.float32))
    np.testing.assert_array_equal(statistics.total, wide.total)


def test_styles_blend_by_the_mean_of_their_energies():
    targets = [_measure(toys.image(6, 8, seed, "f8")) for seed in (1, 2)]
    blended = grain.GrainLoss.blend(targets, [0.25, 0.75])
    expected = 0.25 * targets[0] + 0.75 * targets[1]
    np.testing.assert_allclose(blended, expected, rtol=1e-12)


def test_it_is_no_style_loss_to_choose():
    assert "grain" not in style_kinds.STYLE_LOSSES
