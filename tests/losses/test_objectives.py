"""Objectives whose gradient is not simply that of their loss."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.losses import objectives, total_variation


def _evaluate(monkeypatch, dtype="float64", normalized=True, tv=0.0, share=1.0):
    """Losses of the toy network, the network, an image, its evaluation."""
    network = toys.extractor(monkeypatch, dtype=dtype)
    pictures = [
        toys.image(*size, seed)
        for seed, size in enumerate([(12, 14), (10, 15), (12, 14)])
    ]
    pictures = [each.astype(network.model.inputs[0].dtype) for each in pictures]
    losses = toys.style_and_content(network, *pictures[:2], tv=tv)
    if not tv:
        losses = [each for each in losses if each.layer != "image"]
    for loss in losses:
        loss.weight *= share
    evaluate = objectives.make_objective(network, losses, normalized=normalized)
    image = tf.constant(pictures[2][None])
    return losses, network, image, toys.compiled(evaluate)(image)


def test_each_loss_pulls_its_layer_with_a_norm_of_its_weight(monkeypatch):
    losses, network, image, found = _evaluate(monkeypatch)
    expected = 0.0
    for loss in losses:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(image)
            features = network.model(image)[loss.layer]
            tape.watch(features)
            statistics = loss.statistics(features, None, **loss.maps)
            distance = loss.distance(statistics)
        slope = tape.gradient(distance, features)
        pull = loss.weight * slope / (tf.reduce_sum(tf.abs(slope)) + 1e-8)
        assert float(tf.reduce_sum(tf.abs(pull))) == pytest.approx(
            loss.weight, rel=1e-4
        )
        expected += tape.gradient(features, image, output_gradients=pull)
    np.testing.assert_allclose(found.gradient, expected, rtol=1e-9, atol=1e-12)


def test_normalized_gradients_change_no_loss_and_not_total_variation(
    monkeypatch,
):
    _, _, image, found = _evaluate(monkeypatch, tv=3.0)
    *_, plain = _evaluate(monkeypatch, normalized=False, tv=3.0)
    assert float(found.loss) == float(plain.loss)
    *_, without = _evaluate(monkeypatch)
    variation = total_variation.TotalVariationLoss(3.0)
    _, slope = toys.differentiate(
        lambda each: variation.distance(variation.statistics(each)), image
    )
    np.testing.assert_allclose(
        found.gradient - without.gradient, 3.0 * slope, atol=1e-12
    )
    assert np.abs(found.gradient - plain.gradient).max() > 1e-3


def test_the_loss_scale_of_half_precision_does_not_matter(monkeypatch):
    *_, exact = _evaluate(monkeypatch, share=0.1)
    *_, half = _evaluate(monkeypatch, "float16", share=0.1)
    ours, theirs = (each.gradient.numpy() for each in (half, exact))
    assert np.abs(ours - theirs).max() < 0.02 * np.abs(theirs).max()


def test_a_loss_at_its_target_or_without_weight_pulls_nothing(monkeypatch):
    losses, network, _, _ = _evaluate(monkeypatch)
    image = tf.constant(toys.image(12, 14, 0)[None].astype("f8"))
    content = [each for each in losses if each.name.startswith("content")]
    losses[1].weight = 0.0
    for some in (content, losses[1:2]):
        evaluate = objectives.make_objective(network, some, normalized=True)
        np.testing.assert_allclose(evaluate(image).gradient, 0, atol=1e-9)


@pytest.mark.parametrize("bad", ["", "loss", "gradient"])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_an_overflow_of_loss_or_gradient_is_an_error(bad, value):
    gradient = np.ones((1, 2, 2, 3), "f4")
    if bad == "gradient":
        gradient[0, 1, 0, 2] = value
    given = objectives.Evaluation(
        tf.constant(value if bad == "loss" else 2.5),
        tf.constant(gradient),
        {"style": tf.constant(7.0)},
    )
    checked = tf.function(objectives.refuse_overflow(lambda _: given))
    if not bad:
        found = checked(tf.zeros([]))
        assert float(found.loss) == 2.5 and float(found.terms["style"]) == 7
        np.testing.assert_array_equal(found.gradient, gradient)
        return
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        checked(tf.zeros([]))
    assert objectives.is_overflow(raised.value)
    assert not objectives.is_overflow(ValueError(objectives.OVERFLOW))
