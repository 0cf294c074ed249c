"""What tiles are cut for: reach and stride of a network, several devices."""

import types

import pytest
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
