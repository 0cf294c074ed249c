"""Files: round trips, orientation, transparency, depth, damage."""

import inspect

import numpy as np
import pytest
import toys
from PIL import Image

import nst_tf
from nst_tf.images import image_io, writing


def test_png_round_trip_is_rounded_not_truncated(tmp_path):
    picture = toys.image(9, 7)
    path = tmp_path / "a.png"
    image_io.save_image(path, picture)
    actual = image_io.load_image(path)
    assert actual.dtype == np.float32
    np.testing.assert_array_equal(np.rint(actual * 255), np.rint(picture * 255))


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


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.png"
    image_io.save_image(path, toys.image(4, 4))
    before = path.read_bytes()

    def fail(self, file, *args, **options):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="No space"):
        image_io.save_image(path, toys.image(4, 4, 1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(tmp_path, orientation):
    upright = (toys.image(6, 9) * 255).astype("u1")
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: upright.swapaxes(0, 1)[::-1],
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: upright.swapaxes(0, 1)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    actual = image_io.load_image(path)
    np.testing.assert_array_equal(np.rint(actual * 255), upright)


def test_sixteen_bit_gray_keeps_its_depth(tmp_path):
    ramp = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    path = tmp_path / "a.png"
    Image.fromarray(ramp).save(path)
    actual = image_io.load_image(path)
    assert len(np.unique(actual)) == 4096
    np.testing.assert_allclose(actual[..., 0], ramp / 65535, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "LA", "1"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / "a.tif"
    Image.new("RGB", (5, 4), (255, 255, 255)).convert(mode).save(path)
    np.testing.assert_allclose(
        image_io.load_image(path), np.ones((4, 5, 3)), atol=0.01
    )


def _cut(path):
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda p: p.unlink(), "there is no file"),
        (lambda p: (p.unlink(), p.mkdir()), "is a folder"),
        (lambda p: p.write_text("some text"), "not an image"),
        (lambda p: p.write_bytes(b""), "is empty"),
        (_cut, "cannot be read"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(tmp_path, damage, words):
    path = tmp_path / "a.jpg"
    image_io.save_image(path, toys.image(40, 40))
    damage(path)
    with pytest.raises(ValueError, match=words) as caught:
        image_io.load_image(path)
    assert "\n" not in str(caught.value)


def test_resize_keeps_a_constant_and_does_not_alias():
    flat = np.full((31, 17, 3), 0.3, np.float32)
    np.testing.assert_allclose(image_io.resize(flat, 7, 9), 0.3, atol=1e-6)
    rows = np.indices((64, 64))[0] % 2
    stripes = np.repeat(rows[..., None], 3, -1).astype("f4")
    np.testing.assert_allclose(
        image_io.resize(stripes, 16, 16)[2:-2], 0.5, atol=0.02
    )


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


def test_floats_beyond_their_range_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(np.full((4, 4), 0.25, "f4")).save(path)
    np.testing.assert_allclose(image_io.load_image(path), 0.25)
    Image.fromarray(np.full((4, 4), 7.0, "f4")).save(path)
    with pytest.raises(ValueError, match=r"values are 7.0 to 7.0, expected"):
        image_io.load_image(path)


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
        ("noext", np.zeros((4, 4, 3)), "has the extension ''"),
        ("a.png", np.zeros((1, 4, 4, 3)), "has shape"),
        ("a.png", np.full((4, 4, 3), np.nan), "not numbers"),
        ("a.webp", np.zeros((1, 16384, 3)), "files end at 16383"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, image, words):
    with pytest.raises(ValueError, match=words):
        image_io.save_image(tmp_path / name, image)
    assert not list(tmp_path.iterdir())


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
