"""Joined passes: from which size on, and by what."""

import pytest
import tensorflow as tf

from nst_tf.backend import ops


@pytest.mark.parametrize(("size", "joined"), [(3, False), (4, True)])
def test_passes_are_joined_from_a_number_of_elements_on(
    monkeypatch, size, joined
):
    monkeypatch.setattr(ops, "MIN_FUSED_ELEMENTS", 8)
    monkeypatch.setattr(ops, "_serves", lambda: True)
    eager = []

    @ops.fused
    def add(one, two):
        eager.append(tf.executing_eagerly())
        return one + two

    assert add(tf.ones([size]), tf.ones([size])).numpy().tolist() == [2] * size
    assert eager == [not joined]


def test_joined_passes_are_compiled_by_xla(monkeypatch):
    asked = []
    monkeypatch.setattr(
        ops.tf, "function", lambda call, **options: asked.append(options)
    )
    ops.fused(tf.square)
    assert asked == [{"jit_compile": True, "autograph": False}]


def test_a_gradient_of_our_own_leaves_no_entry_in_the_table():
    @ops.custom_gradient
    def double(values):
        return 2.0 * values, lambda upstream: 3.0 * upstream

    table = ops.ops.gradient_registry._registry
    before = set(table)

    @tf.function(autograph=False)
    def slope(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            value = double(values)
        return value, tape.gradient(value, values)

    value, gradient = slope(tf.constant(5.0))
    assert (float(value), float(gradient)) == (10.0, 3.0)
    assert set(table) == before
