"""Arrays that a caller passes: pictures and masks, checked."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import toys
from PIL import Image, ImageCms

from nst_tf.images import image_io
from nst_tf.plan import arrays

IMAGE = toys.image(6, 8)


@pytest.mark.parametrize("dtype", ["uint8", "f2", "f4", "f8"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_picture_is_of_bytes_or_of_floats(dtype, channels):
    array = np.full((6, 8, channels), 51, np.uint8)
    array[0, 0], array[0, 1] = 255, 0
    expected = array / 255
    array = array if dtype == "uint8" else expected.astype(dtype)
    picture = arrays.as_picture(array, "content")
    assert picture.pixels.dtype == np.float32
    has_alpha = channels in (2, 4)
    seen = expected[..., -1] > 0 if has_alpha else np.full((6, 8), True)
    color = expected[..., :1].repeat(3, -1)
    np.testing.assert_allclose(picture.pixels[seen], color[seen], atol=2e-4)
    if has_alpha:
        np.testing.assert_allclose(picture.alpha, expected[..., -1], atol=2e-4)
    else:
        assert picture.alpha is None


def test_an_opaque_alpha_is_none():
    opaque = np.concatenate([IMAGE, np.ones((6, 8, 1))], axis=-1)
    assert arrays.as_picture(opaque, "content").alpha is None


def test_pictures_and_paths_are_taken_too(tmp_path):
    picture = image_io.Picture(IMAGE)
    assert arrays.as_picture(picture, "style") is picture
    path = tmp_path / "a.png"
    image_io.save_image(path, IMAGE)
    for source in (path, str(path)):
        found = arrays.as_picture(source, "style")
        np.testing.assert_allclose(found.pixels, IMAGE, atol=1 / 255)
    with pytest.raises(ValueError, match="max_megapixels"):
        arrays.as_picture(path, "style", 1e-6)


def test_a_file_is_read_within_the_memory_of_the_job(monkeypatch):
    limits = []
    monkeypatch.setattr(
        arrays.sources,
        "load",
        lambda *given, **named: limits.append((given, named)),
    )
    arrays.as_picture(Path("a.png"), "style", 3.0, 5e9)
    assert limits == [(("a.png", 3.0), {"memory": 5e9})]


@pytest.mark.parametrize("make", [np.array, tf.constant, tf.Variable])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    "place",
    [
        *(np.s_[0, ..., 0], np.s_[0, ..., :1], np.s_[0], np.s_[:]),
        np.s_[..., :1],
    ],
)
def test_tensors_grays_and_batches_of_one_are_pictures(make, dtype, place):
    image = toys.image(6, 8)[None]
    image = np.rint(255 * image) if dtype == "uint8" else image
    given = image.astype(dtype)[place]
    expected = given.reshape(6, 8, -1) / (255 if dtype == "uint8" else 1)
    expected = np.broadcast_to(expected, (6, 8, 3))
    for read in (arrays.as_picture, arrays.as_mask):
        pixels = read(make(given), "content").pixels
        np.testing.assert_allclose(pixels, expected, rtol=1e-6)


def test_lists_are_arrays():
    picture = arrays.as_picture([[[0.0, 0.5, 1.0]]], "style")
    np.testing.assert_array_equal(picture.pixels, [[[0, 0.5, 1]]])


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.zeros(4), ValueError, r"style image has shape \(4,\); expected"),
        (np.zeros((4, 4, 5)), ValueError, r"or 2 or 4 channels with alpha\."),
        (np.zeros((3, 6, 8)), ValueError, r"3\); pass numpy\.moveaxis\(image"),
        (np.zeros((1, 6, 8)), ValueError, r"3\); pass numpy\.moveaxis\(image"),
        (np.zeros((2, 6, 8)), ValueError, r"shape \(2, 6, 8\); expected"),
        (np.zeros((2, 4, 4, 3)), ValueError, "a batch of 2 pictures; pass a"),
        (np.zeros((4, 4, 3), int), TypeError, "type int64, expected uint8 or"),
        (np.zeros((4, 4, 3), bool), TypeError, "style image has type bool"),
        (np.full((4, 4, 3), 1.01), ValueError, r"values outside \[0, 1\]; if"),
        (
            np.full((4, 4, 3), -0.01),
            ValueError,
            "if its range is 0 to 255, divide it by",
        ),
        (np.full((4, 4, 3), np.nan), ValueError, "NaN or infinite"),
        (np.zeros((0, 4, 3)), ValueError, "is empty or has"),
        (np.zeros((4, 4, 4)), ValueError, "style image is fully transparent"),
        (np.full((4, 4, 4), 1e-43, "f4"), ValueError, "fully transparent"),
    ],
)
def test_what_is_no_picture_is_said(array, error, words):
    with pytest.raises(error, match=words) as raised:
        arrays.as_picture(array, "style")
    assert "\n" not in str(raised.value)


HALF = np.arange(48).reshape(6, 8) % 2 == 1


@pytest.mark.parametrize("dtype", ["bool", "uint8", "f4", "f8"])
@pytest.mark.parametrize("channels", [0, 1, 2, 3, 4])
def test_a_mask_is_of_truth_values_bytes_or_floats(dtype, channels):
    mask = 255 * HALF if dtype == "uint8" else HALF
    mask = mask.astype(dtype)
    if channels:
        mask = mask[..., None].repeat(channels, -1)
    found = arrays.as_mask(mask, "keep_mask")
    assert found.pixels.dtype == np.float32 and found.pixels.shape == (6, 8, 3)
    np.testing.assert_array_equal(found.pixels, HALF[..., None].repeat(3, -1))
    if channels in (2, 4):
        np.testing.assert_array_equal(found.alpha, HALF)
    else:
        assert found.alpha is None


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.ones(9), ValueError, r"keep_mask has shape \(9,\); expected \(hei"),
        (np.ones((6, 8, 5)), ValueError, r"has shape \(6, 8, 5\); expected"),
        (np.zeros((6, 8, 2)), ValueError, "keep_mask is fully transparent"),
        (np.ones((2, 6, 8, 3)), ValueError, "a batch of 2 pictures"),
        (np.ones((6, 8), int), TypeError, "int64, expected bool, uint8 or flo"),
        (np.full((6, 8), np.nan), ValueError, "NaN or infinite"),
        (
            np.ones((6, 8), "u1"),
            ValueError,
            "no value above 1, and white is 255",
        ),
        (np.zeros((0, 8), "u1"), ValueError, "is empty or has"),
        (None, TypeError, "keep_mask is None of type NoneType, expected a"),
    ],
)
def test_what_is_no_mask_is_said(array, error, words):
    with pytest.raises(error, match=words) as raised:
        arrays.as_mask(array, "keep_mask")
    assert "\n" not in str(raised.value)


def test_a_mask_of_bytes_may_be_all_black():
    assert not arrays.as_mask(np.zeros((6, 8), "u1"), "mask").pixels.any()
    two = arrays.as_mask(np.full((6, 8), 2, "u1"), "mask").pixels
    np.testing.assert_allclose(two, 2 / 255)


def test_arrays_are_told_from_plain_settings():
    start = np.concatenate([IMAGE, np.full((6, 8, 1), 0.5)], axis=-1)
    plain, found = arrays.separate_arrays(
        {
            "size": 96,
            "weights": Path("a.h5"),
            "keep_mask": HALF,
            "content_mask": "b.png",
            "strength_map": Path("c.png"),
            "style_mask": ["d.png", HALF, Path("e.png")],
            "init": start,
            "steps": np.int64(3),
        }
    )
    assert plain == {
        "size": 96,
        "weights": "a.h5",
        "keep_mask": "array",
        "content_mask": "b.png",
        "strength_map": "c.png",
        "style_mask": ("d.png", "array", "e.png"),
        "init": "array",
        "steps": 3,
    }
    assert set(found) == {"keep_mask", "style_mask/1", "init"}
    assert found["init"].alpha is not None
    np.testing.assert_array_equal(found["keep_mask"].pixels[..., 0], HALF)


@pytest.mark.parametrize("value", ["d.png", HALF, ("d.png",)])
def test_one_mask_of_styles_needs_no_list(value):
    plain, found = arrays.separate_arrays({"style_mask": value})
    is_array = isinstance(value, np.ndarray)
    assert plain == {"style_mask": ("array" if is_array else "d.png",)}
    assert list(found) == ["style_mask/0"] * is_array


def test_errors_name_the_mask_as_people_do():
    with pytest.raises(ValueError, match="style mask 2 has shape"):
        arrays.separate_arrays({"style_mask": [HALF, np.ones(3)]})
    with pytest.raises(ValueError, match="strength_map has shape"):
        arrays.separate_arrays({"strength_map": np.ones(3)})
    with pytest.raises(ValueError, match="continue_from image has shape"):
        arrays.separate_arrays({"continue_from": np.ones(3)})


MODES = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F")
ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")


def _pillow(mode):
    """A picture of black above white in a mode; its left half is hidden."""
    gray = np.zeros((6, 8), "u1")
    gray[3:] = 255
    image = Image.fromarray(gray)
    if mode in ALPHA_MODES:
        alpha = np.uint8([[0] * 4 + [255] * 4] * 6)
        image = image.convert(
            {"PA": "P", "LA": "L", "La": "L"}.get(mode, "RGB")
        )
        image.putalpha(Image.fromarray(alpha))
        return image if image.mode == mode else image.convert(mode)
    if mode in ("I", "I;16"):
        return Image.fromarray(gray.astype("i4" if mode == "I" else "u2") * 257)
    if mode == "F":
        return Image.fromarray(gray.astype("f4") / 255)
    if mode == "LAB":
        spaces = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
        rgb = image.convert("RGB")
        return ImageCms.profileToProfile(rgb, *spaces, outputMode="LAB")
    rgb = image.convert("RGB")
    return rgb if mode == "RGB" else rgb.convert(mode)


@pytest.mark.parametrize("mode", [*MODES, *ALPHA_MODES])
def test_pillow_images_of_any_mode_are_read(mode):
    image = _pillow(mode)
    assert image.mode == mode
    expected = np.zeros((6, 8, 3))
    expected[3:] = 1
    shown = slice(4, None) if mode in ALPHA_MODES else slice(None)
    atol = 0.01 if mode == "LAB" else 1e-6
    for read in (arrays.as_picture, arrays.as_mask):
        found = read(image, "content")
        assert found.pixels.dtype == np.float32
        np.testing.assert_allclose(
            found.pixels[:, shown], expected[:, shown], atol=atol
        )
        if mode in ALPHA_MODES:
            np.testing.assert_array_equal(found.alpha, [[0] * 4 + [1] * 4] * 6)
        else:
            assert found.alpha is None


def test_a_pillow_image_of_bytes_in_16_bits_is_refused():
    for dtype in ("i4", "u2"):
        image = Image.fromarray(HALF.astype(dtype) * 255)
        with pytest.raises(ValueError, match="no value is above 255; convert"):
            arrays.as_mask(image, "keep_mask")


def test_a_pillow_image_is_what_its_file_is(tmp_path):
    path = tmp_path / "a.png"
    notes = Image.Exif()
    notes[274] = 6  # turned
    notes.get_ifd(0x8769)[0xA001] = 2  # Adobe RGB
    pixels = np.uint8(255 * IMAGE)
    palette = Image.fromarray(pixels).quantize(8)
    palette.save(path, exif=notes, transparency=0)
    expected = arrays.as_picture(path, "content")
    assert expected.alpha is not None
    with Image.open(path) as image:
        found = arrays.as_picture(image, "content")
        np.testing.assert_array_equal(found.pixels, expected.pixels)
        np.testing.assert_array_equal(found.alpha, expected.alpha)
        turned = image.transpose(Image.Transpose.ROTATE_270)  # by its owner
    np.testing.assert_array_equal(
        arrays.as_picture(turned, "content").alpha, expected.alpha
    )


def test_pillow_images_are_told_from_plain_settings():
    mask = Image.fromarray(HALF)
    plain, found = arrays.separate_arrays(
        {"keep_mask": mask, "init": _pillow("CMYK"), "style_mask": mask}
    )
    assert plain == {
        "keep_mask": "array",
        "init": "array",
        "style_mask": ("array",),
    }
    np.testing.assert_array_equal(found["keep_mask"].pixels[..., 0], HALF)
    assert found["init"].pixels.shape == (6, 8, 3)


def test_a_damaged_pillow_image_is_said(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.uint8(255 * toys.image(64, 64))).save(path)
    path.write_bytes(path.read_bytes()[:700])
    words = "^style image cannot be read: .*"
    with Image.open(path) as image, pytest.raises(ValueError, match=words):
        arrays.as_picture(image, "style")
    hidden = Image.new("RGBA", (4, 4))
    with pytest.raises(ValueError, match="keep_mask .* it is fully transp"):
        arrays.as_mask(hidden, "keep_mask")
