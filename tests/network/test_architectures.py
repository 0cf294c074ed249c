"""The VGG networks as plain data: geometry, layers, work."""

import re

import pytest
import toys

from nst_tf.network import architectures


@pytest.fixture(autouse=True)
def _toy(monkeypatch):
    monkeypatch.setitem(architectures.NETWORKS, "toy", toys.ARCHITECTURE)


def test_geometry_of_vgg19_is_that_of_the_literature():
    layers = {c.name: c for c in architectures.list_convolutions("vgg19")}
    # Receptive fields: 2 * 70 + 16 = 156 pixels at relu5_1, 68 at relu4_1.
    assert layers["block5_conv1"][4:] == (16, 70)
    assert layers["block4_conv1"][4:] == (8, 30)
    assert layers["block3_conv1"][4:] == (4, 10)


@pytest.mark.parametrize("order", [1, -1])
def test_the_deepest_layer_does_not_depend_on_the_order(order):
    names = ["block1_conv1", "block2_conv2", "block2_conv1"][::order]
    found = architectures.find_deepest("toy", names)
    assert found == ("block2_conv2", 2, 8, 8, 2, 5)


@pytest.mark.parametrize(
    ("last", "work"),
    [
        ("block1_conv1", 3 * 6),
        ("block2_conv1", 3 * 6 + 6 * 8 / 4),
        ("block2_conv2", 3 * 6 + 6 * 8 / 4 + 8 * 8 / 4),
    ],
)
def test_work_counts_channels_at_each_position(last, work):
    assert architectures.count_work("toy", last) == work


def test_a_layer_that_there_is_not_is_said():
    architectures.check_layers("toy", toys.LAYERS)
    words = "toy has no layer 'block1_conv7'; did you mean 'block1_conv1'? "
    words += "Its layers are block1_conv1 to block2_conv2."
    with pytest.raises(ValueError, match=re.escape(words)):
        architectures.check_layers("toy", ["block2_conv1", "block1_conv7"])
