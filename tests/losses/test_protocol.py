"""A loss that breaks the protocol is named, with what it returned."""

import re

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.losses import objectives, protocol, style_kinds, sums
from nst_tf.tiling import tiled, views

SIZE = (43, 57)


class Loss:
    """The mean of a layer."""

    name, weight, reach, additive = "mean", 1.0, 0, True
    maps = {}

    def __init__(self, layer=toys.CONTENT_LAYER):
        self.layer = layer
        self.types = set()

    def statistics(self, features, mask=None):
        self.types.add(features.dtype)
        mask = tf.ones_like(features[..., :1]) if mask is None else mask
        mask = tf.cast(mask, features.dtype)
        return sums.Statistics(
            tf.reduce_sum(features * mask, axis=[0, 1, 2]), tf.reduce_sum(mask)
        )

    def distance(self, statistics):
        return tf.reduce_sum(sums.divide_by_mass(statistics) ** 2)


def _evaluate(monkeypatch, loss, in_tiles, dtype="float32"):
    network = toys.extractor(monkeypatch, dtype=dtype, pooling="average")
    evaluate = objectives.make_objective(network, [loss])
    if in_tiles:
        cut = views.cut_for_extractor(network, *SIZE, 24)
        evaluate = tiled.make_tiled_objective(network, [loss], cut)
    kind = "f8" if dtype == "float64" else "f4"
    return toys.compiled(evaluate)(
        tf.constant(toys.image(*SIZE, 7, kind)[None])
    )


everywhere = pytest.mark.parametrize("in_tiles", [False, True])


@everywhere
@pytest.mark.parametrize("layer", [toys.CONTENT_LAYER, "image"])
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("float64", tf.float64),
        ("bfloat16", tf.float32),
        ("float16", tf.float32),
    ],
)
def test_a_loss_sees_single_precision_at_least_unless_it_takes_half(
    monkeypatch, layer, dtype, expected, in_tiles
):
    loss = Loss(layer)
    evaluation = _evaluate(monkeypatch, loss, in_tiles, dtype)
    assert loss.types == {expected}
    assert evaluation.terms["mean"].dtype == expected
    assert np.abs(evaluation.gradient).max() > 0


def test_a_loss_that_takes_half_precision_is_to_add_up_in_single():
    loss = Loss()
    loss.takes_half_precision = True
    with pytest.raises(TypeError, match="'mean' returned .* a bfloat16 tensor"):
        protocol.measure(loss, tf.zeros((1, 4, 4, 2), "bfloat16"), None, {})
    assert loss.types == {tf.bfloat16}


def test_the_losses_of_the_package_take_half_precision():
    for kind in style_kinds.STYLE_LOSSES.values():
        assert kind.load().takes_half_precision


FAULTS = [
    ("statistics", 3.0, "3.0 (float) as statistics; expected sums.Statistics("),
    ("statistics", (1.0, 2.0), "(1.0, 2.0) (tuple) as statistics; expected"),
    ("statistics", None, "None (NoneType) as statistics"),
    (
        "statistics",
        sums.Statistics(np.zeros(3, "i4"), "all"),
        "(ndarray) and 'all' (str) as statistics; expected "
        "sums.Statistics(total, mass) of float32 tensors.",
    ),
    ("distance", None, "None (NoneType) as distance; expected one float32"),
    ("distance", [1.0, 2.0], "[1.0, 2.0] (list) as distance"),
]


@everywhere
@pytest.mark.parametrize(("method", "value", "words"), FAULTS)
def test_a_faulty_loss_is_named_with_what_it_returned(
    monkeypatch, method, value, words, in_tiles
):
    loss = Loss()
    setattr(loss, method, lambda *arguments: value)
    with pytest.raises(TypeError, match=re.escape(words)) as error:
        _evaluate(monkeypatch, loss, in_tiles)
    assert str(error.value).startswith("loss 'mean' returned ")


@everywhere
def test_tensors_of_another_type_or_shape_are_named_so(monkeypatch, in_tiles):
    loss = Loss()
    loss.distance = lambda statistics: statistics.total
    words = r"a float32 tensor of shape \(8,\) as distance; .* of shape \[\]"
    with pytest.raises(TypeError, match=words):
        _evaluate(monkeypatch, loss, in_tiles)
    loss.distance = lambda statistics: tf.constant(1.0, tf.float64)
    with pytest.raises(TypeError, match="a float64 tensor of shape"):
        _evaluate(monkeypatch, loss, in_tiles)
    loss.statistics = lambda features, mask=None: sums.Statistics(
        tf.constant(1), tf.reduce_sum(features)
    )
    words = r"sums.Statistics of a int32 tensor of shape \(\) and a float32"
    with pytest.raises(TypeError, match=words):
        _evaluate(monkeypatch, loss, in_tiles)


@everywhere
def test_a_distance_that_is_no_number_is_no_fault(monkeypatch, in_tiles):
    loss = Loss()
    loss.distance = lambda statistics: np.nan * tf.reduce_sum(statistics.total)
    assert np.isnan(_evaluate(monkeypatch, loss, in_tiles).loss)


def test_a_loss_says_whether_it_is_additive(monkeypatch):
    loss = Loss()
    assert protocol.are_additive([loss])
    loss.additive = False
    assert not protocol.are_additive([Loss(), loss])
    monkeypatch.delattr(Loss, "additive")
    words = (
        "loss 'mean' has no attribute additive; set additive = True or False."
    )
    with pytest.raises(TypeError, match=words):
        _evaluate(monkeypatch, Loss(), True)
