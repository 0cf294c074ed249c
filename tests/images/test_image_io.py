"""Files: round trips, orientation, transparency, depth, damage."""

import inspect

import numpy as np
import pytest
import toys

import nst_tf
from nst_tf.images import image_io, writing


@pytest.mark.parametrize("extension", image_io.OUTPUT_EXTENSIONS)
def test_every_extension_is_written_in_its_format(tmp_path, extension):
    path = tmp_path / f"a{extension.upper()}"
    picture = toys.image(40, 30) * 0 + 0.25
    image_io.save_image(path, picture)
    np.testing.assert_allclose(image_io.load_image(path), picture, atol=0.02)


def test_values_outside_are_clipped(tmp_path):
    path = tmp_path / "a.png"
    image_io.save_image(path, np.full((2, 2, 3), 1.7))
    assert (image_io.load_image(path) == 1).all()


def test_resize_keeps_a_constant_and_does_not_alias():
    flat = np.full((31, 17, 3), 0.3, np.float32)
    np.testing.assert_allclose(image_io.resize(flat, 7, 9), 0.3, atol=1e-6)
    rows = np.indices((64, 64))[0] % 2
    stripes = np.repeat(rows[..., None], 3, -1).astype("f4")
    np.testing.assert_allclose(
        image_io.resize(stripes, 16, 16)[2:-2], 0.5, atol=0.02
    )


def test_resize_is_each_channel_by_itself_and_clipped():
    image = np.zeros((8, 8, 3), "f4")
    image[:4, :, 0] = image[:, :4, 1] = 1  # edges, at which Lanczos overshoots
    resized = image_io.resize(image, 16, 24)
    assert resized.shape == (16, 24, 3) and resized.dtype == np.float32
    assert resized.min() == 0 and resized.max() == 1
    np.testing.assert_array_equal(resized[2, :, 0], 1)
    np.testing.assert_array_equal(resized[:, 20, 1], 0)
    np.testing.assert_array_equal(resized[..., 2], 0)
    alpha = image_io.resize_alpha(image[..., 1], 16, 24)
    np.testing.assert_array_equal(alpha, resized[..., 1])
    assert image_io.resize(image, 8, 8) is image


def test_cover_keeps_the_middle():
    image = np.zeros((10, 40, 3), "f4")
    image[:, 15:25] = 1
    assert (image_io.cover(image, 10, 10) == 1).all()
    assert (image_io.cover(image.swapaxes(0, 1), 10, 10) == 1).all()
    assert image_io.cover(image, 7, 23).shape == (7, 23, 3)


def test_cover_cuts_and_never_stretches():
    # A disc stays as wide as high.
    rows, columns = np.indices((60, 120)) - np.array([29.5, 59.5]).reshape(
        2, 1, 1
    )
    disc = (rows**2 + columns**2 < 20**2).astype("f4")
    covered = image_io.cover(np.repeat(disc[..., None], 3, -1), 40, 30)
    assert covered.shape == (40, 30, 3)
    inside = covered[..., 0] > 0.5
    assert inside.any(axis=0).sum() == inside.any(axis=1).sum() == 26


def test_an_overwritten_file_keeps_its_mode_and_a_link_stays(tmp_path):
    path, link = tmp_path / "a.png", tmp_path / "link.png"
    image_io.save_image(path, toys.image(4, 4))
    path.chmod(0o600)
    link.symlink_to(path)
    image_io.save_image(link, toys.image(5, 5))
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert image_io.load_image(path).shape == (5, 5, 3)


@pytest.mark.parametrize(
    ("name", "image", "words"),
    [
        ("a.gif", np.zeros((4, 4, 3)), "has the extension '.gif'"),
        ("noext", np.zeros((4, 4, 3)), "noext has no extension; expected one"),
        ("a.png", np.zeros((1, 4, 4, 3)), "has shape"),
        ("a.png", np.zeros((4, 4)), "has shape"),
        ("a.png", np.zeros((4, 4, 4)), "has shape"),
        ("a.png", np.zeros((4, 4, 3), int), "has type int64; expected floats"),
        ("a.png", np.full((4, 4, 3), np.nan), "NaN or infinite"),
        ("a.jpg", np.zeros((1, 65501, 3)), "files are limited to 65500"),
        ("a.webp", np.zeros((1, 16384, 3)), "files are limited to 16383"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, image, words):
    with pytest.raises(ValueError, match=words):
        image_io.save_image(tmp_path / name, image)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bit_depth": 12}, "bit_depth is 12; expected 8 or 16"),
        ({"alpha": np.ones((4, 5))}, r"alpha has shape \(4, 5\); expected"),
        ({"alpha": np.zeros((4, 4))}, "alpha is 0 everywhere or has neg"),
        ({"alpha": np.eye(4) - 0.1}, "alpha is 0 everywhere or has neg"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        image_io.save_image(tmp_path / "a.png", np.zeros((4, 4, 3)), **options)
    assert not list(tmp_path.iterdir())


def test_the_longest_side_of_a_format_is_written(tmp_path):
    image_io.save_image(tmp_path / "a.webp", np.zeros((1, 16383, 3)))
    assert image_io.load_image(tmp_path / "a.webp").shape == (1, 16383, 3)


def test_options_by_keyword_are_all_kept(tmp_path):
    picture, alpha = toys.image(8, 6), np.full((8, 6), 0.5, "f4")
    path = tmp_path / "a.png"
    nst_tf.save_image(path, picture, bit_depth=16, dpi=300, alpha=alpha)
    read = image_io.load_picture(path)
    np.testing.assert_allclose(read.pixels, picture, atol=1 / 65535)
    np.testing.assert_allclose(read.alpha, alpha, atol=1 / 65535)
    np.testing.assert_allclose(read.dpi, (300, 300), atol=0.02)
    nst_tf.save_image(path, picture, dpi=(300, 150))
    read = image_io.load_picture(path)
    np.testing.assert_allclose(read.dpi, (300, 150), atol=0.02)
    sizes = []
    for quality in (20, 95):
        nst_tf.save_image(tmp_path / "a.jpg", picture, quality=quality)
        sizes.append((tmp_path / "a.jpg").stat().st_size)
    nst_tf.save_image(tmp_path / "b.jpg", picture)  # 95 is the default
    assert sizes[0] < sizes[1] == (tmp_path / "b.jpg").stat().st_size


def test_a_quality_is_from_1_to_100(tmp_path):
    picture = toys.image(8, 6)
    for quality in (0, 0.5, 101, -1):
        with pytest.raises(ValueError, match=f"quality is {quality}, expected"):
            nst_tf.save_image(tmp_path / "a.jpg", picture, quality=quality)
    assert not list(tmp_path.iterdir())
    for quality in (1, 100):
        nst_tf.save_image(tmp_path / f"{quality}.jpg", picture, quality=quality)
    sizes = [(tmp_path / f"{n}.jpg").stat().st_size for n in (1, 100)]
    assert sizes[0] < sizes[1]


def test_options_as_one_argument_work_with_one_warning(tmp_path):
    options = writing.Options(bit_depth=16, record="{}")
    picture = toys.image(8, 6)
    with pytest.warns(DeprecationWarning, match="write save_image") as caught:
        nst_tf.save_image(tmp_path / "a.png", picture, options)
        nst_tf.save_image(tmp_path / "b.png", picture, options=options)
    assert [each.filename for each in caught] == [__file__] * 2
    image_io.write_image(tmp_path / "c.png", picture, options)
    expected = (tmp_path / "c.png").read_bytes()
    for name in ("a.png", "b.png"):
        assert (tmp_path / name).read_bytes() == expected
    with pytest.raises(TypeError, match="bit_dept"):
        nst_tf.save_image(tmp_path / "a.png", picture, bit_dept=16)
    parameters = inspect.signature(nst_tf.save_image).parameters
    keywords = ["bit_depth", "quality", "dpi", "alpha"]
    assert list(parameters) == ["path", "image", *keywords]
