"""Content and style images -> losses, on the real networks."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf import files
from nst_tf.backend import device
from nst_tf.images import image_io
from nst_tf.losses import objectives
from nst_tf.network import extractors, weight_files
from nst_tf.plan import settings
from nst_tf.runs import api
from nst_tf.transfer import targets


@pytest.mark.parametrize("source", ["small", "auto"])
def test_the_gradient_of_the_default_job_repeats_to_the_bit(source):
    # At this size TensorFlow adds three and more gradients of the image up in
    # the order in which they come; there must be two.
    shares = api.make_loss_weights(settings.Job())
    found = weight_files.load("vgg19", source)
    network = extractors.vgg(
        "vgg19",
        shares.layers,
        found.layers,
        projections=found.projections,
        pooling="average",
        dtype=device.resolve_precision("auto"),
    )
    images = files.presets_folder() / "images"
    content, style = (
        image_io.cover(image_io.load_image(images / name), 384, 512)
        for name in ("harbor_at_dusk.jpg", "swirling_night.jpg")
    )
    loss_list = targets.perceptual_losses(
        network, content, [targets.Style(style)], shares, 384, 512
    )
    compiled = tf.function(objectives.make_objective(network, loss_list))
    picture = tf.constant(content[None])
    first = compiled(picture).gradient.numpy()
    for _ in range(12):
        np.testing.assert_array_equal(compiled(picture).gradient, first)


def _evaluate(monkeypatch, alpha, style_alpha=None):
    """Loss, gradient and terms of the toy network, in float64."""
    network = toys.extractor(monkeypatch, dtype="float64")
    shares = targets.LossWeights(
        {toys.CONTENT_LAYER: 1.0}, dict.fromkeys(toys.STYLE_LAYERS, 1.0), 1.0
    )
    style = targets.Style(toys.image(40, 56, 1, "f8"), alpha=style_alpha)
    content = toys.image(64, 96, 0, "f8")
    loss_list = targets.perceptual_losses(
        network, content, [style], shares, 64, 96, alpha=alpha
    )
    image = tf.constant(toys.image(64, 96, 2, "f8")[None])
    return objectives.make_objective(network, loss_list)(image)


def test_an_opaque_alpha_changes_nothing(monkeypatch):
    plain = _evaluate(monkeypatch, None)
    opaque = _evaluate(monkeypatch, np.ones((64, 96)), np.ones((40, 56)))
    for name, term in plain.terms.items():
        np.testing.assert_allclose(opaque.terms[name], term, rtol=1e-6)
    np.testing.assert_allclose(opaque.gradient, plain.gradient, atol=1e-7)


def test_transparent_parts_of_the_content_count_for_nothing(monkeypatch):
    alpha = np.ones((64, 96))
    alpha[:, 32:] = 0
    evaluation = _evaluate(monkeypatch, alpha)
    gradient = np.abs(evaluation.gradient.numpy()).max(axis=(0, 1, 3))
    assert (gradient[:32] > 0).all()
    assert (gradient[48:] == 0).all()  # beyond what the network sees
    for name, term in _evaluate(monkeypatch, None).terms.items():
        assert evaluation.terms[name] != term  # each loss has its region


def test_transparent_parts_of_a_style_count_for_nothing(monkeypatch):
    alpha = np.ones((40, 56))
    alpha[:, 28:] = 0
    plain, masked = (
        _evaluate(monkeypatch, None, each) for each in (None, alpha)
    )
    for layer in toys.STYLE_LAYERS:
        name = f"style/{layer}"
        assert abs(masked.terms[name] / plain.terms[name] - 1) > 1e-3


def test_a_position_counts_by_the_mean_of_its_pixels():
    alpha = np.arange(35.0).reshape(5, 7)
    actual = targets._region(alpha, 2).numpy()
    expected = [
        [alpha[r : r + 2, c : c + 2].mean() for c in (0, 2, 4)] for r in (0, 2)
    ]
    np.testing.assert_allclose(actual[0, ..., 0], expected)
