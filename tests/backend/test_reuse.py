"""Compiled functions of objects that are taken apart."""

import gc
import weakref
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from nst_tf.backend import canvas, reuse


@reuse.by_value()
class Inner:
    def __init__(self, value):
        self.value = tf.constant(value)


@reuse.by_value(numbers=["weight"], varying=["rows"], omitted=["note"])
class Outer:
    def __init__(self, weight=1.0, rows=3, power=1, inner=None, **changes):
        self.weight, self.power, self.note = weight, power, object()
        self.rows = tf.ones([rows, 2])
        self.sum = tf.Variable(0.0, trainable=False)
        inner = inner or Inner(2.0)
        self.several = {"a": [inner, inner], "b": (None, "word")}
        self.array = np.arange(3.0)
        vars(self).update(changes)


class Subclass(Outer):
    pass


class Named(NamedTuple):
    value: float


ARRAY = np.arange(3.0)


def evaluate(thing):
    one, two = thing.several["a"]
    assert one is two and thing.several["b"] == (None, "word")
    total = tf.reduce_sum(thing.rows) ** thing.power
    total *= tf.reduce_sum(one.value) * tf.cast(thing.weight, tf.float32)
    thing.sum.assign_add(total + float(thing.array[2]))
    return {"total": total}


def _make(**changes):
    return Outer(**{"array": ARRAY, **changes})


def test_objects_of_one_structure_share_a_graph():
    compiler = reuse.Compiler()
    for weight in (0.5, 1, 3.0):
        for rows in (1, 4):
            thing = _make(weight=weight, rows=rows, inner=Inner(float(weight)))
            step = compiler.bind(evaluate, thing)
            expected = 2 * rows * weight * weight
            assert float(step()["total"]) == float(step()["total"]) == expected
            assert float(thing.sum) == 2 * (expected + 2)
    assert compiler.traces == 1
    assert compiler.size > 0


def test_whatever_else_differs_has_a_graph_of_its_own():
    compiler = reuse.Compiler()
    kinds = [
        {},
        {"power": 2},
        {"power": 1.0},
        {"array": ARRAY + 1},
        {"inner": Inner([1.0])},
    ]
    for count, changes in enumerate(kinds, start=1):
        for _ in range(2):
            compiler.bind(evaluate, _make(**changes))()
        assert compiler.traces == count, changes


def test_what_nobody_knows_is_compiled_anew():
    compiler = reuse.Compiler()
    subclass = Subclass(array=ARRAY)
    named = _make(other=Named(1.0))
    for count, thing in enumerate((subclass, subclass, named, named), start=1):
        float(compiler.bind(evaluate, thing)()["total"])
        assert compiler.traces == count
    assert compiler.size == 0


def test_a_graph_keeps_no_object_alive():
    compiler = reuse.Compiler()
    thing = _make()
    compiler.bind(evaluate, thing)()
    kept = [weakref.ref(thing.sum), weakref.ref(thing.rows)]
    del thing
    gc.collect()
    assert [each() for each in kept] == [None, None]


def test_images_of_the_host_share_a_graph():
    compiler = reuse.Compiler()
    for value in (1.0, 2.0):
        image = canvas.make_zeros(3, 4, tf.float32, True, 1)
        shown = canvas.keep(np.full((1, 3, 4, 3), value, "f4"), on_host=True)
        compiler.bind(_add, image, shown)()
        np.testing.assert_array_equal(image, np.full((1, 3, 4, 3), 2 * value))
    assert compiler.traces == 1


def _add(image, shown):
    for _ in range(2):
        canvas.add(image, 0, 0, canvas.read_whole(shown))
    return tf.constant(0)
