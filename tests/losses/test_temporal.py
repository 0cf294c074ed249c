"""The temporal loss: its formula, its masks, its gradient."""

import numpy as np
import tensorflow as tf
import toys

from nst_tf.losses import objectives, temporal
from nst_tf.tiling import tiled, views

SIZE = (19, 27)


def _make(known, confidence, weight=1.0):
    return temporal.TemporalLoss(
        tf.constant(known[None]),
        tf.constant(confidence[None, ..., None]),
        weight,
    )


def _pictures(dtype="float64"):
    image, known = (toys.image(*SIZE, n, dtype) for n in (1, 2))
    confidence = np.random.default_rng(3).uniform(size=SIZE).astype(dtype)
    return image, known, confidence


def test_is_the_mean_over_all_pixels_as_in_the_paper():
    image, known, confidence = _pictures()
    loss = _make(known, confidence)
    found = loss.distance(
        loss.statistics(tf.constant(image[None]), **loss.maps)
    )
    height, width = SIZE
    expected = sum(
        confidence[y, x] * (image[y, x, c] - known[y, x, c]) ** 2
        for y in range(height)
        for x in range(width)
        for c in range(3)
    )
    np.testing.assert_allclose(found, expected / (height * width * 3))


def _evaluate(monkeypatch, image, loss, in_tiles):
    network = toys.extractor(monkeypatch, dtype=str(image.dtype))
    losses = [
        *toys.style_and_content(
            network,
            toys.image(*SIZE, 4, image.dtype),
            toys.image(9, 9, 5).astype(image.dtype),
        ),
        loss,
    ]
    if in_tiles:
        cut = views.cut_for_extractor(network, *SIZE, 16)
        evaluate = tiled.make_tiled_objective(network, losses, cut)
    else:
        evaluate = objectives.make_objective(network, losses)
    found = toys.compiled(evaluate)(tf.constant(image[None]))
    return found.loss.numpy(), found.gradient.numpy()


def test_what_is_wrong_in_unknown_pixels_changes_nothing(monkeypatch):
    image, known, confidence = _pictures("float32")
    confidence[4:12, 7:20] = 0
    wrong = np.where(confidence[..., None] == 0, np.float32(1e6), known)
    found, expected = (
        _evaluate(monkeypatch, image, _make(each, confidence, 9.0), False)
        for each in (wrong, known)
    )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_confidence_it_is_as_if_it_were_not_there(monkeypatch):
    image, known, confidence = _pictures("float32")
    found, expected = (
        _evaluate(monkeypatch, image, _make(known, 0 * confidence, w), False)
        for w in (1e4, 0.0)
    )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_tiles_change_nothing(monkeypatch):
    image, known, confidence = _pictures()
    whole, cut = (
        _evaluate(monkeypatch, image, _make(known, confidence, 50.0), in_tiles)
        for in_tiles in (False, True)
    )
    for a, b in zip(whole, cut, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-15)


def test_gradient_equals_finite_differences():
    image, known, confidence = _pictures()
    confidence[:3] = 0
    loss = _make(known, confidence)

    def distance(image):
        features = tf.convert_to_tensor(image[None])
        return loss.distance(loss.statistics(features, **loss.maps))

    _, gradient = toys.differentiate(distance, tf.constant(image))
    gradient = gradient.numpy()
    assert not gradient[:3].any()
    step = 1e-6
    for index in [(0, 5, 1), (3, 0, 0), (9, 14, 2), (18, 26, 1)]:
        delta = np.zeros_like(image)
        delta[index] = step
        difference = distance(image + delta) - distance(image - delta)
        np.testing.assert_allclose(
            float(difference) / (2 * step), gradient[index], atol=1e-10
        )
