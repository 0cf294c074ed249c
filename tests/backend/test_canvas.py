"""What is done to an image some rows at a time is what is done to the whole."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.backend import canvas, host_images, ops
from nst_tf.optimize import base, descent, first_order, lbfgs
from nst_tf.plan import pyramid

SIZE = (13, 7)


@pytest.fixture
def in_bands(monkeypatch):
    """Makes images large from 40 pixels on, and a band of 2 rows of 7."""

    def switch(band=20):
        monkeypatch.setattr(canvas, "WHOLE", 40)
        monkeypatch.setattr(canvas, "BAND", band)

    return switch


def _variable(seed=0, size=SIZE):
    return tf.Variable(toys.image(*size, seed)[None])


def _hosted(values):
    """A variable of these values, in the host's memory."""
    values = np.asarray(values)
    variable = host_images.HostVariable(values.shape, values.dtype)
    variable.assign(values)
    return variable


KINDS = [tf.Variable, tf.constant, _hosted]


# change


def _changed(compiled, scale=2.0, kind=tf.Variable):
    """Changes two images by each other and a third, [3, 1, H, W, 3]."""
    images = {
        name: kind(toys.image(*SIZE, seed)[None])
        for seed, name in enumerate("abc")
    }
    read = _variable(3)

    def change():
        canvas.change(
            images,
            lambda parts, other: {
                "a": scale * parts["b"] - other,
                "b": tf.sqrt(parts["a"]) + parts["c"],
            },
            read,
        )

    (tf.function(change, autograph=False) if compiled else change)()
    np.testing.assert_array_equal(read, _variable(3))
    return np.stack([np.asarray(image) for image in images.values()])


# 2 rows of 7, of which the last is alone; a row each, and less; nearly all.
@pytest.mark.parametrize("band", [14, 20, 7, 3, 84])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", [tf.Variable, _hosted])
def test_images_changed_by_bands_are_those_changed_as_wholes(
    in_bands, compiled, band, kind
):
    whole = _changed(compiled)
    in_bands(band)
    np.testing.assert_array_equal(_changed(compiled, kind=kind), whole)
    a, b, c, read = (toys.image(*SIZE, seed) for seed in range(4))
    np.testing.assert_array_equal(whole[0, 0], np.float32(2) * b - read)
    np.testing.assert_allclose(whole[1, 0], np.sqrt(a) + c, rtol=1e-6)
    np.testing.assert_array_equal(whole[2, 0], c)


def test_a_band_has_no_more_pixels_than_it_should(in_bands):
    in_bands(20)
    seen = []

    def look(parts, other):
        seen.append((parts["a"].shape[0], other.shape[0]))
        return {}

    canvas.change({"a": _variable()}, look, tf.ones((1, *SIZE, 1)))
    assert seen == [(2, 2)] * 6 + [(1, 1)]


def test_an_image_of_few_pixels_is_one_part(in_bands):
    in_bands()
    seen = []
    small = _variable(0, (5, 8))
    canvas.change(
        {"a": small}, lambda parts: seen.append(parts["a"].shape) or {}
    )
    assert seen == [(1, 5, 8, 3)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_of_squares_by_bands_is_that_of_the_whole(in_bands, kind):
    image = kind(toys.image(*SIZE, 0, "f8")[None])
    expected = np.sum(toys.image(*SIZE, 0, "f8") ** 2)
    np.testing.assert_allclose(canvas.sum_squares(image), expected)
    in_bands()
    np.testing.assert_allclose(canvas.sum_squares(image), expected)


@pytest.mark.parametrize("row", [0, 5, 12])
def test_a_value_that_is_no_number_is_found_in_any_band(in_bands, row):
    in_bands()
    image = _variable()
    image[:, row, 3, 1].assign([np.nan])
    assert not np.isfinite(canvas.sum_squares(image))


# rectangle, add

PLACES = [(0, 0, 13, 7), (0, 0, 1, 1), (12, 6, 1, 1), (3, 2, 6, 4)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("row", "column", "height", "width"), PLACES)
def test_a_rectangle_is_the_slice(kind, row, column, height, width):
    image = toys.image(*SIZE, 0)[None]
    part = canvas.read_rectangle(
        kind(image), tf.constant(row), tf.constant(column), height, width
    )
    expected = image[:, row : row + height, column : column + width]
    np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize("kind", [tf.Variable, _hosted])
@pytest.mark.parametrize(("row", "column", "height", "width"), PLACES)
def test_a_part_is_added_where_it_should_be(kind, row, column, height, width):
    expected = toys.image(*SIZE, 0)[None]
    image, part = kind(expected), toys.image(height, width, 5)[None]
    expected[:, row : row + height, column : column + width] += part
    canvas.add(image, tf.constant(row), tf.constant(column), tf.constant(part))
    np.testing.assert_array_equal(image, expected)


# Optimizers


OPTIMIZERS = {
    "adam": lambda image: first_order.Adam(image),
    "adam, last iterate": lambda image: first_order.Adam(image, average=0),
    "sgd": lambda image: first_order.Sgd(image, learning_rate=0.3),
    "lbfgs": lambda image: lbfgs.Lbfgs(image, history=3),
}


@pytest.fixture(autouse=True)
def _always_fused(monkeypatch):
    """A whole image is computed as its bands are, which are always joined."""
    monkeypatch.setattr(ops, "MIN_FUSED_ELEMENTS", 0)


def _run(make, spoiled, kind=tf.Variable):
    """All that an optimizer remembers after some steps, and its result."""
    bowl, taken = toys.bowl(toys.image(*SIZE, 1)[None]), tf.Variable(0)

    def evaluate(image):
        taken.assign_add(1)
        evaluation = bowl(tf.convert_to_tensor(image))
        bad = tf.reduce_any(taken == tf.constant(spoiled or [-1]))
        rows = tf.range(SIZE[0])[None, :, None, None]
        worse = tf.where(rows == 9, np.float32(np.nan), 0.0)
        gradient = evaluation.gradient + tf.where(bad, worse, 0.0)
        return evaluation._replace(gradient=gradient)

    optimizer = make(kind(toys.image(*SIZE, 0)[None]))
    step = descent.make_train_step(optimizer, evaluate)
    for _ in range(12):
        step()
    arrays = {
        name: np.asarray(value)
        for name, value in base.list_variables(optimizer).items()
    }
    return arrays, optimizer.result().numpy()


@pytest.mark.parametrize("spoiled", [[], [1], [4, 8, 9], [12]])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("kind", [tf.Variable, _hosted])
def test_steps_by_bands_are_those_of_the_whole_to_the_bit(
    in_bands, name, spoiled, kind
):
    whole, result = _run(OPTIMIZERS[name], spoiled)
    in_bands()
    by_bands, its_result = _run(OPTIMIZERS[name], spoiled, kind)
    assert int(by_bands["rescues"]) == len(spoiled)
    assert set(by_bands) == set(whole)
    for key, value in whole.items():
        np.testing.assert_array_equal(by_bands[key], value, err_msg=key)
    np.testing.assert_array_equal(its_result, result)
    assert np.isfinite(result).all()
    assert np.abs(result - toys.image(*SIZE, 0)).max() > 0.01


def test_levels_in_the_hosts_memory_come_to_the_same_picture(in_bands):
    levels = [pyramid.Level(6, 5, 3), pyramid.Level(13, 9, 4)]

    def paint(hosted):
        kinds = []

        def make(image):
            kinds.append(type(image))
            return first_order.Adam(image)

        def make_objective_at(height, width):
            bowl = toys.bowl(toys.image(height, width, 1)[None])
            return lambda image: bowl(canvas.read_whole(image))

        steps = descent.descend(
            make_objective_at,
            make,
            levels,
            tf.constant(toys.image(6, 5, 0)[None]),
            hosted=lambda height, width: hosted,
        )
        images = [step.image.numpy() for step in steps]
        assert len(images) == 7
        return images, set(kinds)

    in_bands()
    expected, kinds = paint(False)
    assert not kinds & {host_images.HostVariable}
    found, kinds = paint(True)
    assert kinds == {host_images.HostVariable}
    for image, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(image, other, atol=1e-5)
