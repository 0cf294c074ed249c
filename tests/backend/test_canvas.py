"""Every kind of canvas is read and changed alike, as a whole and in bands."""

import functools
import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.backend import canvas, host_images, ops
from nst_tf.optimize import base, descent, first_order, lbfgs

SIZE = (13, 7)
PLACES = [
    (0, 0, 13, 7),
    (0, 0, 1, 1),
    (12, 6, 1, 1),
    (3, 2, 6, 4),
    (4, 0, 5, 7),
]


@pytest.fixture(autouse=True)
def _on_a_host_without_a_gpu(monkeypatch):
    """A whole image is computed as its bands are, which are always joined."""
    monkeypatch.setattr(canvas, "_has_gpu", lambda: False)
    monkeypatch.setattr(ops, "MIN_FUSED_ELEMENTS", 0)


@pytest.fixture
def in_bands(monkeypatch):
    """Makes images large from 40 pixels on, and a band of 2 rows of 7."""

    def switch(band=20):
        monkeypatch.setattr(canvas, "WHOLE", 40)
        monkeypatch.setattr(canvas, "BAND", band)

    return switch


def _image(seed=0, dtype="f4"):
    return toys.image(*SIZE, seed, dtype)[None]


def _make(in_tiles):
    return lambda image: canvas.make(
        tf.constant(image), *image.shape[1:3], in_tiles
    )


CHANGEABLE = {"variable": _make(False), "host": _make(True)}
KINDS = {
    **CHANGEABLE,
    "tensor": tf.constant,
    "kept": canvas.keep,
    "kept on the host": lambda image: canvas.keep(image, on_host=True),
}
every_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
changeable = pytest.mark.parametrize(
    "make", CHANGEABLE.values(), ids=CHANGEABLE
)
everywhere = pytest.mark.parametrize("compiled", [False, True])
places = pytest.mark.parametrize("place", PLACES)


def _call(function, compiled, *arguments):
    function = tf.function(function, autograph=False) if compiled else function
    return function(*arguments)


def _slice(place):
    row, column, height, width = place
    return np.s_[:, row : row + height, column : column + width]


# The law


@every_kind
@everywhere
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_each_kind_obeys_the_law_of_what_is_read(make, compiled, dtype):
    dtype = tf.as_dtype(dtype)
    array = _image().astype(dtype.as_numpy_dtype)
    image = make(array)
    assert canvas.get_size(image) == SIZE
    assert image.shape == array.shape and image.dtype == dtype
    assert canvas.is_large(image) == canvas.is_on_host(image)
    np.testing.assert_array_equal(np.asarray(image), array)
    for place in PLACES:
        row, column, *size = place
        part = _call(
            lambda row, column, size=size: canvas.read(
                image, row, column, *size
            ),
            compiled,
            tf.constant(row),
            tf.constant(column),
        )
        assert part.dtype == dtype and part.shape == (1, *size, 3)
        np.testing.assert_array_equal(part, array[_slice(place)])
    whole = _call(lambda: canvas.read_whole(image), compiled)
    np.testing.assert_array_equal(whole, array)
    for new, values in (
        (canvas.make_zeros_like(image), np.zeros_like(array)),
        (canvas.copy(image), array),
    ):
        assert new.dtype == dtype and canvas.is_changeable(new)
        assert canvas.is_on_host(new) == canvas.is_on_host(image)
        np.testing.assert_array_equal(np.asarray(new), values)
        new.assign(array + 1)
        np.testing.assert_array_equal(np.asarray(image), array)


@changeable
@everywhere
@places
def test_each_kind_obeys_the_law_of_what_is_changed(make, compiled, place):
    expected, part = _image(), toys.image(*place[2:], 5)[None]
    image, factor = make(expected), _image(6)
    assert canvas.is_changeable(image)
    halved = canvas.transform(image, lambda part: part / 2)
    np.testing.assert_array_equal(halved, expected / 2)

    def change(row):
        before = canvas.read_whole(image)
        canvas.add(image, row, place[1], part)
        canvas.update(image, lambda own, other: own * other, factor)
        return before, canvas.read_whole(image)

    before, after = _call(change, compiled, tf.constant(place[0]))
    np.testing.assert_array_equal(before, expected)
    expected = expected.copy()
    expected[_slice(place)] += part
    np.testing.assert_array_equal(after, expected * factor)
    np.testing.assert_array_equal(np.asarray(image), after)
    moved = canvas.move_to_device(image)
    np.testing.assert_array_equal(moved, after)
    assert isinstance(moved, tf.Variable)


def test_an_update_of_a_tensor_is_a_new_one():
    image = tf.constant(_image())
    assert not canvas.is_changeable(image)
    new = canvas.update(image, lambda part: 2 * part)
    np.testing.assert_array_equal(new, 2 * _image())
    np.testing.assert_array_equal(image, _image())


@pytest.mark.parametrize(
    ("in_tiles", "devices", "has_gpu", "hosted"),
    [
        (True, 1, False, True),
        (False, 1, False, False),
        (True, 2, False, False),
        (True, 1, True, False),
    ],
)
def test_what_the_host_alone_sees_in_tiles_is_in_its_memory(
    monkeypatch, in_tiles, devices, has_gpu, hosted
):
    monkeypatch.setattr(canvas, "_has_gpu", lambda: has_gpu)
    image = tf.constant(_image())
    for new in (
        canvas.make(image, 9, 8, in_tiles, devices),
        canvas.make(image, *SIZE, in_tiles, devices),
        canvas.make_zeros(*SIZE, "float32", in_tiles, devices),
    ):
        assert canvas.is_changeable(new)
        assert canvas.is_on_host(new) == hosted
    assert canvas.is_on_host(canvas.keep(_image())) == (not has_gpu)
    assert canvas.is_on_host(canvas.keep(_image(), on_host=True))


@changeable
def test_an_image_is_resampled_by_lanczos_into_the_box(in_bands, make):
    in_bands()
    image = tf.constant((_image() > 0.5).astype("f4"))  # it overshoots
    hosted = canvas.is_on_host(make(_image()))
    for size in ((20, 9), (6, 5)):
        resized = tf.image.resize(image, size, "lanczos3", antialias=True)
        actual = canvas.make(image, *size, in_tiles=hosted)
        expected = np.clip(resized, 0, 1)
        np.testing.assert_allclose(np.asarray(actual), expected, atol=1e-5)
        assert np.any(expected != resized)


# In bands


def _change(compiled, make=tf.Variable):
    """Changes two images by each other and a third, [3, 1, H, W, 3]."""
    images = {name: make(_image(seed)) for seed, name in enumerate("abc")}
    read = tf.Variable(_image(3))

    def change():
        canvas.change(
            images,
            lambda parts, other: {
                "a": 2.0 * parts["b"] - other,
                "b": tf.sqrt(parts["a"]) + parts["c"],
            },
            read,
        )

    _call(change, compiled)
    np.testing.assert_array_equal(read, _image(3))
    return np.stack([np.asarray(image) for image in images.values()])


# 2 rows of 7, of which the last is alone; a row each; nearly all.
@pytest.mark.parametrize("band", [20, 3, 84])
@everywhere
@changeable
def test_images_changed_by_bands_are_those_changed_as_wholes(
    in_bands, compiled, band, make
):
    whole = _change(compiled)
    in_bands(band)
    np.testing.assert_array_equal(_change(compiled, make), whole)
    a, b, c, read = (_image(seed) for seed in range(4))
    np.testing.assert_array_equal(whole[0], np.float32(2) * b - read)
    np.testing.assert_allclose(whole[1], np.sqrt(a) + c, rtol=1e-6)
    np.testing.assert_array_equal(whole[2], c)


def test_a_band_has_no_more_pixels_than_it_should(in_bands):
    def heights(size):
        seen = []

        def look(parts, other):
            seen.append((parts["a"].shape[1], other.shape[1]))
            return {}

        image = tf.Variable(toys.image(*size)[None])
        canvas.change({"a": image}, look, tf.ones((1, *size, 1)))
        return seen

    in_bands(20)
    assert heights(SIZE) == [(2, 2)] * 6 + [(1, 1)]
    assert heights((5, 8)) == [(5, 5)]


@every_kind
def test_the_sum_of_squares_by_bands_is_that_of_the_whole(in_bands, make):
    image = make(_image(dtype="f8"))
    expected = np.sum(_image(dtype="f8") ** 2)
    np.testing.assert_allclose(canvas.sum_squares(image), expected)
    in_bands()
    np.testing.assert_allclose(canvas.sum_squares(image), expected)


# The host's memory


def test_loops_wait_for_each_other():
    """Even those that have nothing else to do with each other."""
    image = KINDS["host"](_image())
    rows, one = tf.constant(SIZE[0]), np.ones((1, 1, SIZE[1], 3), "f4")

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
        loop(lambda row: image.put(row, 0, one, False))
        loop(lambda row: canvas.add(image, row, 0, one))
        loop(
            lambda row: image.put(
                row, 0, 3 * canvas.read(image, row, 0, 1, SIZE[1]), False
            )
        )
        return canvas.read_whole(image)

    waits: list[None] = []
    for _ in range(20):
        np.testing.assert_array_equal(change(), np.full((1, *SIZE, 3), 6))
    assert len(waits) == 20 * 3 * SIZE[0]


@pytest.mark.parametrize("make", [KINDS["host"], KINDS["kept"]])
def test_a_graph_does_not_keep_an_image(make):
    def trace(image):
        return tf.function(
            lambda read=image.read: read(0, 0, 1, 1), autograph=False
        ).get_concrete_function()

    image = make(_image())
    graph = trace(image).graph
    gc.collect()
    kept = weakref.ref(image)
    del image
    assert kept() is None
    assert graph is not None
    image = make(_image())
    np.testing.assert_array_equal(trace(image)(), _image()[:, :1, :1])


def test_a_tensor_of_the_hosts_memory_takes_no_copy():
    image = host_images.make_zeros((1, *SIZE, 3), tf.float32)
    tensor = image.share()
    canvas.add(image, 0, 0, tf.constant(_image()))
    np.testing.assert_array_equal(tensor, _image())


# Optimizers


OPTIMIZERS = {
    "adam": lambda image: first_order.Adam(image),
    "adam, last iterate": lambda image: first_order.Adam(image, average=0),
    "sgd": lambda image: first_order.Sgd(image, learning_rate=0.3),
    "lbfgs": lambda image: lbfgs.Lbfgs(image, history=3),
}


@functools.cache
def _run(name, spoiled, make=None):
    """All that an optimizer remembers after some steps, and its result."""
    make_optimizer, make = OPTIMIZERS[name], make or tf.Variable
    bowl, taken = toys.bowl(_image(1)), tf.Variable(0)

    def evaluate(image):
        taken.assign_add(1)
        evaluation = bowl(canvas.read_whole(image))
        bad = tf.reduce_any(taken == tf.constant(spoiled or (-1,)))
        rows = tf.range(SIZE[0])[None, :, None, None]
        worse = tf.where(rows == 9, np.float32(np.nan), 0.0)
        gradient = evaluation.gradient + tf.where(bad, worse, 0.0)
        return evaluation._replace(gradient=gradient)

    optimizer = make_optimizer(make(_image()))
    step = descent.make_train_step(optimizer, evaluate)
    for _ in range(12):
        step()
    arrays = {
        name: np.asarray(value)
        for name, value in base.list_variables(optimizer).items()
    }
    return arrays, optimizer.result().numpy()


SPOILED = (1, 4, 8, 9, 12)


@pytest.mark.parametrize(
    ("name", "spoiled"),
    [*((name, SPOILED) for name in OPTIMIZERS), ("lbfgs", ())],
)
@changeable
def test_steps_by_bands_are_those_of_the_whole_to_the_bit(
    in_bands, name, spoiled, make
):
    whole, result = _run(name, spoiled)
    in_bands()
    by_bands, its_result = _run(name, spoiled, make)
    assert int(by_bands["rescues"]) == len(spoiled)
    assert set(by_bands) == set(whole)
    for key, value in whole.items():
        np.testing.assert_array_equal(by_bands[key], value, err_msg=key)
    np.testing.assert_array_equal(its_result, result)
    assert np.isfinite(result).all()
    assert np.abs(result - _image()).max() > 0.01


@pytest.mark.parametrize("band", [1, 30, 2**20])
@pytest.mark.parametrize("size", [(13, 9), (4, 5), (3, 4)])
def test_an_image_enlarged_on_the_host_is_that_of_the_device(
    monkeypatch, band, size
):
    monkeypatch.setattr(canvas, "BAND", band)
    image = toys.image(4, 5, 2)
    image[0, 0], image[0, 1] = 0, 1  # Lanczos's kernel leaves [0, 1] there
    image = tf.constant(image[None])
    expected = canvas.make(image, *size).numpy()
    assert expected.min() >= 0 and expected.max() <= 1
    monkeypatch.setattr(canvas, "_has_gpu", lambda: False)
    found = canvas.make(image, *size, in_tiles=True)
    assert canvas.is_on_host(found)
    np.testing.assert_allclose(found, expected, atol=1e-6)
