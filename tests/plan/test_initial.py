"""The image that a run starts from."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import toys

from nst_tf.images import image_io
from nst_tf.plan import initial, planning, pyramid

CONTENT, OTHER = toys.image(60, 80, 0), toys.image(50, 90, 1)
SIZE = (24, 32)
MEAN = np.divide([123.68, 116.779, 103.939], 255)  # of ImageNet


def _make(word, noise=0.0, seed=0, picture=None, **changes):
    plan = toys.plan(
        CONTENT,
        levels=[pyramid.Level(*SIZE, 1), pyramid.Level(48, 64, 1)],
        init=planning.Init(word, seed, noise, picture),
        **changes,
    )
    return initial.make_initial_image(plan)


def _noise(seed):
    return np.random.default_rng(seed).uniform(size=(*SIZE, 3))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("content", image_io.resize(CONTENT, *SIZE)),
        ("style", image_io.cover(OTHER, *SIZE)),
        ("picture", image_io.cover(OTHER, *SIZE)),
        ("smaller", image_io.resize(OTHER, *SIZE)),
        ("gray", np.full((*SIZE, 3), 0.5)),
        ("mean", np.zeros((*SIZE, 3)) + MEAN),
        ("noise", _noise(0)),
    ],
)
def test_a_start_is_of_the_first_level(word, expected):
    actual = _make(word, picture=OTHER)
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    assert actual.dtype == np.float32
    if word in ("noise", "smaller"):
        return
    mixed = _make(word, 0.25, 7, OTHER)
    expected = 0.75 * expected + 0.25 * _noise(7)
    np.testing.assert_allclose(mixed, expected, atol=1e-6)


def test_the_content_is_as_the_losses_see_it():
    gray = CONTENT.mean(axis=-1, keepdims=True).repeat(3, -1)
    plan = dataclasses.replace(toys.plan(CONTENT), content=gray)
    np.testing.assert_array_equal(initial.make_initial_image(plan), gray)


@pytest.mark.parametrize("word", ["noise", "smaller"])
def test_what_is_kept_is_the_contents(word):
    keep = np.zeros((60, 80), np.float32)
    keep[:, 40:], keep[:, :10] = 1, 0.5
    image = _make(word, picture=OTHER, keep=keep)
    free, content = _make(word, picture=OTHER), image_io.resize(CONTENT, *SIZE)
    np.testing.assert_allclose(image[:, 20:], content[:, 20:], atol=1e-6)
    np.testing.assert_allclose(image[:, 8:12], free[:, 8:12], atol=1e-6)
    mean = (free[:, :1] + content[:, :1]) / 2
    np.testing.assert_allclose(image[:, :1], mean, atol=1e-6)


def test_noise_takes_no_more_memory_than_the_start():
    level = pyramid.Level(400, 500, 1)
    plan = toys.plan(
        CONTENT, levels=[level], init=planning.Init("noise", 3, 0.25)
    )
    tracemalloc.start()
    image = initial.make_initial_image(plan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert image.nbytes <= peak < 1.1 * image.nbytes
    drawn = np.random.default_rng(3).uniform(size=(400, 500, 3))
    expected = (0.75 * drawn + 0.25 * drawn).astype(np.float32)
    np.testing.assert_array_equal(image, expected)


def test_noise_that_has_no_share_is_not_drawn(monkeypatch):
    plan = toys.plan(CONTENT, init=planning.Init("gray"))
    monkeypatch.setattr(np.random, "default_rng", lambda seed: None)
    image = initial.make_initial_image(plan)
    np.testing.assert_array_equal(image, np.float32(0.5))
