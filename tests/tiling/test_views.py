"""What tiles are cut for: reach and stride of a network, several devices."""

import types

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.tiling import views


@pytest.fixture
def network(monkeypatch):
    return toys.extractor(monkeypatch)


@pytest.mark.parametrize(
    ("layer", "reach", "pixels"),
    [
        ("image", 5, None),  # a pixel reaches as many pixels
        ("image", 6, 6),
        ("block2_conv1", 1, None),  # 2 pixels each, beside 3
        ("block2_conv1", 2, 7),
        ("block2_conv2", 0, None),
        ("block2_conv2", 1, 7),
    ],
)
def test_the_reach_of_a_loss_is_one_of_positions(network, layer, reach, pixels):
    assert max(network.reach.values()) == 5
    loss = types.SimpleNamespace(name="toy", layer=layer, reach=reach)
    if pixels is None:
        views.check_reach(network, loss)
        return
    words = f"toy reaches {pixels} pixels beyond its own, but tiles have a halo"
    with pytest.raises(ValueError, match=words):
        views.check_reach(network, loss)


def test_one_device_sees_a_picture_of_any_size_as_a_whole(network):
    assert views.cut_if_needed(network, 2048, 1024, 0) is None
    assert views.cut_if_needed(network, 2048, 1024, 0, 2).number == 2
    cut = views.cut_if_needed(network, 64, 96, 48)
    assert cut == views.cut_for_extractor(network, 64, 96, 48)
    # A tile has the reach on both sides, at multiples of the stride.
    starts, ends = cut.columns.starts[1:], cut.columns.bounds[1:-1]
    for start, owned in zip(starts, ends, strict=True):
        assert start % 2 == owned % 2 == 0
        assert owned - start >= 5


def test_a_copy_has_a_network_of_its_own_and_finds_the_same(network):
    cut = views.cut_for_extractor(network, 24, 32, 24)
    place = views.TilePosition((0, 1), 0, cut.columns.starts[1])
    size = (cut.rows.size, cut.columns.size)
    losses = toys.style_and_content(
        network, toys.image(24, 32, 1), toys.image(24, 32, 2)
    )
    given = views.TileStatistics(network, losses, cut)
    copied = given.copy()
    pixels = tf.constant(toys.image(*size, 3)[None])
    for one, other in zip(
        given(pixels, place), copied(pixels, place), strict=True
    ):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
    for layer in copied._extractor.model.layers:
        assert layer not in network.model.layers
