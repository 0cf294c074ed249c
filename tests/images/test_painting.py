"""The result object: an array in all, and a picture in a notebook."""

import copy
import io
import json
import pickle

import numpy as np
import pytest
import toys
from PIL import Image

from nst_tf.images import image_io, painting, writing
from nst_tf.plan import arrays


@pytest.fixture
def picture():
    return painting.make_painting(toys.image(6, 8).astype(np.float32))


def _shown(image):
    return np.asarray(Image.open(io.BytesIO(image._repr_png_())))


def test_a_notebook_shows_the_picture_in_8_bits(picture):
    np.testing.assert_array_equal(
        _shown(picture), np.rint(255 * np.asarray(picture)).astype(np.uint8)
    )


def test_what_a_notebook_shows_says_that_it_is_srgb(picture):
    assert Image.open(io.BytesIO(picture._repr_png_())).info["icc_profile"]


def test_a_large_picture_is_reduced_to_be_shown():
    large = painting.make_painting(np.ones((600, 2048, 3), np.float32))
    assert _shown(large).shape == (300, 1024, 3)
    assert large.shape == (600, 2048, 3)


def test_its_repr_is_that_of_an_array(picture):
    assert repr(picture) == repr(np.asarray(picture))
    assert repr(picture).startswith("array([[[")


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image[1:5, ::2],
        lambda image: image[:, ::-1],
        lambda image: 1 - image,
        lambda image: np.sqrt(image),
        lambda image: image.astype(np.float64),
        lambda image: np.clip(image, 0.2, 0.8),
        lambda image: image.copy(),
        copy.deepcopy,
        lambda image: pickle.loads(pickle.dumps(image)),
    ],
)
def test_what_is_a_picture_still_shows_itself(picture, change):
    changed = change(picture)
    assert isinstance(changed, painting.Painting)
    expected = np.asarray(change(np.asarray(picture)))
    np.testing.assert_array_equal(np.asarray(changed), expected)
    assert _shown(changed).shape == expected.shape


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image[..., 0],
        lambda image: image[0],
        lambda image: image[0, 0, 0],
        lambda image: image[None],
        lambda image: image[:0],
        lambda image: image > 0.5,
        lambda image: image[image > 0.5],
        lambda image: image.mean(),
        lambda image: image.mean(axis=-1),
        lambda image: image.sum(axis=(0, 1)),
        lambda image: image.max(),
        lambda image: np.asarray(image),
    ],
)
def test_what_is_no_picture_is_plain(picture, change):
    changed = change(picture)
    assert not isinstance(changed, painting.Painting)
    expected = change(np.asarray(picture))
    assert type(changed) is type(expected)
    np.testing.assert_array_equal(changed, expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.reshape(-1, 3),
        lambda image: image.T,
        lambda image: image.astype(np.uint8),
        lambda image: np.nan * image,
    ],
)
def test_what_cannot_be_shown_is_not(picture, change):
    changed = change(picture)
    assert not hasattr(changed, "_repr_png_") or changed._repr_png_() is None


def test_it_is_changed_in_place_as_an_array_is(picture):
    picture[0] = 0.25
    picture *= 2
    assert isinstance(picture, painting.Painting)
    np.testing.assert_array_equal(picture[0], 0.5)


def test_it_is_saved_and_taken_for_an_image(picture, tmp_path):
    image_io.save_image(tmp_path / "a.png", picture)
    saved = image_io.load_image(tmp_path / "a.png")
    np.testing.assert_allclose(saved, picture, atol=0.5 / 255 + 1e-6)
    read = arrays.as_picture(picture, "content")
    assert type(read.pixels) is np.ndarray
    assert type(image_io.resize(picture, 3, 4)) is np.ndarray


def test_a_jpeg_for_a_page_is_small(picture):
    expected = io.BytesIO()
    options = writing.Options(quality=85)
    writing.encode(expected, ".jpg", np.asarray(picture), options)
    assert painting.encode(picture, 8, ".jpg") == expected.getvalue()
    reduced = Image.open(io.BytesIO(painting.encode(picture, 4, ".jpg")))
    assert reduced.size == (4, 3)


@pytest.mark.parametrize(
    "array", [np.zeros((2, 2)), np.zeros((2, 2, 3), np.uint8)]
)
def test_what_is_no_picture_is_no_painting(array):
    with pytest.raises(ValueError, match=r"expected \(height, width, 3\)"):
        painting.make_painting(array)


@pytest.mark.parametrize(
    ("chosen", "flags"),
    [
        ({"bit_depth": 8, "quality": 95}, {}),
        ({"bit_depth": 16, "quality": 95}, {"bit_depth": 16}),
        ({"quality": 90, "dpi": 300.0}, {"quality": 90, "dpi": 300.0}),
    ],
)
def test_a_record_has_the_settings_of_its_file(chosen, flags):
    record = {
        "flags": {"steps": [3]},
        "decided": {"settings": {"size": 9, "quality": 50}, "sizes": [[9, 9]]},
        "status": "done",
    }
    assert json.loads(painting._add_settings(record, chosen)) == {
        "flags": {"steps": [3], **flags},
        "decided": {
            "settings": {"size": 9, "quality": 50, **chosen},
            "sizes": [[9, 9]],
        },
        "status": "done",
    }
