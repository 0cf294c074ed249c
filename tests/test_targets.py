"""Content and style images -> losses, on the real networks."""

import numpy as np
import pytest
import tensorflow as tf

from nst_tf import (
    execution,
    extractors,
    flagdefs,
    image_io,
    job,
    objective,
    targets,
    weights,
)


@pytest.mark.parametrize(
    "source", ["small", pytest.param("auto", marks=pytest.mark.weights)]
)
def test_the_gradient_of_the_default_job_repeats_to_the_bit(source):
    # At this size TensorFlow adds three and more gradients of the image up in
    # the order in which they come; there must be two.
    shares = execution.loss_weights(job.Job())
    found = weights.load("vgg19", source)
    network = extractors.vgg(
        "vgg19",
        shares.layers,
        found.layers,
        projections=found.projections,
        pooling="average",
        dtype="bfloat16",
    )
    images = flagdefs.presets() / "images"
    content, style = (
        image_io.cover(image_io.load_image(images / name), 384, 512)
        for name in ("harbor_at_dusk.jpg", "swirling_night.jpg")
    )
    loss_list = targets.perceptual_losses(
        network, content, [targets.Style(style)], shares, 384, 512
    )
    compiled = tf.function(objective.make_objective(network, loss_list))
    picture = tf.constant(content[None])
    first = compiled(picture).gradient.numpy()
    for _ in range(12):
        np.testing.assert_array_equal(compiled(picture).gradient, first)
