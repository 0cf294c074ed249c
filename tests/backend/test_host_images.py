"""An image in the host's memory is read and changed as a variable would be."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.backend import host_images

SIZE = (9, 5)


def _variable(seed=0, dtype="float32"):
    variable = host_images.HostVariable((1, *SIZE, 3), tf.as_dtype(dtype))
    variable.assign(toys.image(*SIZE, seed)[None])
    return variable


def _called(function, compiled, *arguments):
    function = tf.function(function, autograph=False) if compiled else function
    return function(*arguments)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_a_rectangle_is_the_slice(compiled, dtype):
    dtype = tf.as_dtype(dtype)
    array = toys.image(*SIZE, 0)[None].astype(dtype.as_numpy_dtype)
    image = host_images.HostImage(array)
    row, rows = tf.constant(3), tf.constant(4)
    part = _called(
        lambda row, rows: image.read(row, 1, rows, 2), compiled, row, rows
    )
    assert part.dtype == image.dtype == dtype
    np.testing.assert_array_equal(part, array[:, 3:7, 1:3])
    fixed = _called(lambda: image.read(3, 1, 4, 2), compiled)
    assert fixed.shape == (1, 4, 2, 3)


@pytest.mark.parametrize("compiled", [False, True])
def test_parts_are_written_and_added_where_they_should_be(compiled):
    variable, part = _variable(), toys.image(4, 2, 1)[None]

    def change(row):
        variable.write(row, 1, part)
        variable.add(row + 1, 2, part[:, :3])

    _called(change, compiled, tf.constant(3))
    expected = toys.image(*SIZE, 0)[None].copy()
    expected[:, 3:7, 1:3] = part
    expected[:, 4:7, 2:4] += part[:, :3]
    np.testing.assert_array_equal(variable, expected)


def test_it_is_made_of_zeros():
    variable = host_images.HostVariable((1, *SIZE, 3), tf.float64)
    assert variable.shape == (1, *SIZE, 3)
    assert variable.dtype == tf.float64
    np.testing.assert_array_equal(variable, np.zeros((1, *SIZE, 3)))


@pytest.mark.parametrize("compiled", [False, True])
def test_what_was_read_does_not_change_with_the_image(compiled):
    variable = _variable()

    def change():
        before = variable.read(0, 0, *SIZE)
        variable.write(0, 0, tf.ones((1, *SIZE, 3)))
        return before, variable.read(0, 0, *SIZE)

    before, after = _called(change, compiled)
    np.testing.assert_array_equal(before, toys.image(*SIZE, 0)[None])
    np.testing.assert_array_equal(after, np.ones((1, *SIZE, 3)))


def test_loops_wait_for_each_other():
    """Even those that have nothing else to do with each other."""
    variable = _variable()
    rows = tf.constant(SIZE[0])

    def loop(function):
        def body(row):
            with tf.control_dependencies([tf.py_function(_wait, [], [])]):
                function(tf.identity(row))
            return row + 1

        tf.while_loop(lambda row: row < rows, body, [tf.constant(0)])

    def _wait():
        waits.append(None)

    @tf.function(autograph=False)
    def change():
        loop(lambda row: variable.write(row, 0, tf.ones((1, 1, SIZE[1], 3))))
        loop(lambda row: variable.add(row, 0, tf.ones((1, 1, SIZE[1], 3))))
        loop(
            lambda row: variable.write(
                row, 0, 3 * variable.read(row, 0, 1, SIZE[1])
            )
        )
        return variable.read(0, 0, *SIZE)

    waits: list[None] = []
    for _ in range(20):
        np.testing.assert_array_equal(change(), np.full((1, *SIZE, 3), 6))
    assert len(waits) == 20 * 3 * SIZE[0]


def test_a_graph_converts_what_the_image_is_by_then():
    variable = _variable(0)
    doubled = tf.function(
        lambda: 2.0 * tf.convert_to_tensor(variable), autograph=False
    )
    doubled()
    variable.assign(toys.image(*SIZE, 1)[None])
    np.testing.assert_array_equal(doubled(), 2 * toys.image(*SIZE, 1)[None])


@pytest.mark.parametrize(
    "make", [_variable, lambda: host_images.HostImage(np.zeros((1, 2, 2, 3)))]
)
def test_a_graph_does_not_keep_an_image(make):
    def traced(image):
        return tf.function(
            lambda read=image.read: read(0, 0, 1, 1), autograph=False
        ).get_concrete_function()

    image = make()
    pixel = np.array(image)[:, :1, :1]
    graph = traced(image).graph
    gc.collect()
    kept = weakref.ref(image)
    del image
    assert kept() is None
    assert graph is not None
    image = make()
    np.testing.assert_array_equal(traced(image)(), pixel)


def test_a_tensor_of_it_takes_no_copy():
    variable = _variable()
    tensor = variable.tensor()
    variable.write(0, 0, tf.ones((1, 1, 1, 3)))
    np.testing.assert_array_equal(tensor, variable)
