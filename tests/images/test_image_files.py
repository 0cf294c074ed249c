"""Image files: orientation, depth, transparency, kinds, notes, one move.

Files are made here by Pillow, by tifffile, or byte by byte; what they hold is
known beforehand, and never read by the code under test.
"""

import copy
import hashlib
import importlib.util
import json
import struct
import sys

import numpy as np
import pytest
import raw_files
from PIL import ExifTags, Image, JpegImagePlugin

from nst_tf.images import (
    file_samples,
    image_io,
    reading,
    sources,
    transparency,
    writing,
)
from nst_tf.metadata import exif

BASE, IFD = ExifTags.Base, ExifTags.IFD
HEIGHT, WIDTH = 20, 30
# Names of files, with the bits of a channel.
EXACT = ("a8.png", "a16.png", "a8.tif", "a16.tif", "a8.webp")
DEEP = ("a16.png", "a16.tif")
# What EXIF says of a file itself.
OF_THE_FILE = {
    *(BASE.ExifVersion, BASE.FlashPixVersion, BASE.ColorSpace),
    *(BASE.ExifImageWidth, BASE.ExifImageHeight, BASE.ComponentsConfiguration),
}
WRITTEN = (*EXACT, "a8.jpg")


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "u4", "f4"])
def test_gray_tiff_files_of_other_samples(tmp_path, dtype):
    path, ramp = tmp_path / "a.tif", np.tile(np.linspace(0, 1, 9), (5, 1))
    high = 1 if dtype == "f4" else np.iinfo(dtype).max
    kind = "miniswhite" if dtype == "f4" else "minisblack"
    _write_tiff(path, (ramp * high).astype(dtype), photometric=kind)
    if dtype[0] == "i":
        words = f"its samples are int{8 * int(dtype[1])}; save it with"
        with pytest.raises(ValueError, match=words):
            image_io.load_image(path)
        return
    expected = 1 - ramp if dtype == "f4" else ramp
    pixels = image_io.load_image(path)[..., 0]
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


def test_a_tiff_palette_may_be_of_8_bits():
    colors = [each for channel in range(3) for each in [channel, 200] * 128]
    tags = raw_files.tiff_page(bytes(6), (2, 3), 8, 1, t320=(3, colors))
    tags[262] = 3, [3]
    data = raw_files.tiff(bytes(6), tags)
    pixels = image_io.read_picture(data, "a").pixels
    np.testing.assert_allclose(255 * pixels[0, 0], [0, 1, 2], atol=1e-4)


@pytest.mark.parametrize("name", DEEP)
def test_all_65536_levels_are_written_and_read(tmp_path, name):
    _need(name)
    ramp = np.arange(65536).reshape(256, 256) / 65535
    picture = np.dstack([ramp, ramp[::-1], ramp.T])
    image_io.save_image(tmp_path / name, picture, bit_depth=16)
    actual = image_io.load_image(tmp_path / name)
    np.testing.assert_array_equal(actual, picture.astype("f4"))


@pytest.mark.parametrize("name", EXACT[:4])
def test_samples_are_rounded_not_truncated(tmp_path, name):
    _need(name)
    highest = _highest(name)
    steps = np.arange(WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) % (highest - 1)
    picture = np.dstack([steps + 0.4, steps + 0.6, steps - 0.4]) / highest
    path = tmp_path / name
    image_io.save_image(path, picture, bit_depth=_depth(name))
    expected = np.dstack([steps, steps + 1, steps]) / highest
    actual = image_io.load_image(path)
    np.testing.assert_array_equal(actual, expected.astype("f4"))


def test_a_compression_of_another_package_is_named(tmp_path):
    if importlib.util.find_spec("imagecodecs"):
        pytest.skip("imagecodecs is installed")
    tifffile = _tifffile()
    path = tmp_path / "a.tif"
    _write_tiff(path, _smooth(65535), photometric="rgb")
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags["Compression"].overwrite(5)  # LZW
    with pytest.raises(ValueError, match="pip install imagecodecs"):
        image_io.load_image(path)


def test_a_part_that_inflates_beyond_its_picture_is_refused(tmp_path):
    tifffile = _tifffile()
    path = tmp_path / "a.tif"
    samples = np.zeros((50 * HEIGHT, WIDTH, 3), "u2")
    _write_tiff(path, samples, photometric="rgb", compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags["ImageLength"].overwrite(HEIGHT)
    with pytest.raises(ValueError, match="a part is too long"):
        image_io.load_image(path)


@pytest.mark.parametrize("name", EXACT)
def test_alpha_is_written_and_read_back(tmp_path, name):
    _need(name)
    highest = _highest(name)
    picture = _smooth(highest) / highest
    alpha = np.linspace(0, 1, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    path = tmp_path / name
    image_io.save_image(path, picture, alpha=alpha, bit_depth=_depth(name))
    read = image_io.load_picture(path)
    expected = np.rint(highest * alpha) / highest
    np.testing.assert_array_equal(read.alpha, expected.astype("f4"))
    if name != "a8.webp":  # lossy, but for alpha
        seen = expected >= 1 / 8
        np.testing.assert_array_equal(
            read.pixels[seen], picture[seen].astype("f4")
        )


@pytest.mark.parametrize("name", EXACT)
def test_hidden_colors_change_nothing(tmp_path, name):
    highest = _highest(name)
    samples = _smooth(highest, channels=4)
    samples[..., 3] = highest
    hidden = np.indices((HEIGHT, WIDTH)).sum(axis=0) % 7 < 3
    hidden[5:15, 8:22] = True
    samples[hidden, 3] = 0
    read = []
    for color in (0, highest):
        samples[hidden, :3] = color
        path = tmp_path / f"{color}{name}"
        _write(path, samples)
        read.append(image_io.load_picture(path))
    assert read[0].digest != read[1].digest
    np.testing.assert_array_equal(read[0].pixels, read[1].pixels)
    expected = samples[~hidden, :3] / np.float32(highest)
    np.testing.assert_array_equal(read[0].pixels[~hidden], expected)
    # The hole of ten rows is filled with what is around it.
    around = expected.min(axis=0), expected.max(axis=0)
    assert (read[0].pixels > around[0] - 1e-6).all()
    assert (read[0].pixels < around[1] + 1e-6).all()


@pytest.mark.parametrize("name", EXACT)
def test_hidden_colors_of_a_mask_are_as_stored(tmp_path, name):
    samples = _smooth(_highest(name), channels=4)
    samples[..., 3] = np.arange(WIDTH) % 4 * (_highest(name) // 12)
    path = tmp_path / name
    _write(path, samples)
    read = sources.load(str(path), is_mask=True)
    expected = samples / np.float32(_highest(name))
    np.testing.assert_array_equal(read.pixels, expected[..., :3])
    np.testing.assert_array_equal(read.alpha, expected[..., 3])
    filled = sources.load(str(path)).pixels
    assert np.abs(filled - read.pixels).max() > 0.1


@pytest.mark.parametrize("name", EXACT)
def test_alpha_of_one_is_none_and_of_nothing_is_refused(tmp_path, name):
    samples = _smooth(_highest(name), channels=4)
    samples[..., 3] = _highest(name)
    path = tmp_path / name
    _write(path, samples)
    assert image_io.load_picture(path).alpha is None
    samples[..., 3] = 0
    _write(path, samples)
    with pytest.raises(ValueError, match=r"read: .* transparent; pass"):
        image_io.load_picture(path)


@pytest.mark.parametrize("extension", [".jpg", ".bmp"])
def test_without_alpha_a_picture_is_put_on_white(tmp_path, extension):
    path = tmp_path / f"a{extension}"
    picture = np.tile([0.0, 0.4, 0.8], (HEIGHT, WIDTH, 1))
    alpha = np.full((HEIGHT, WIDTH), 0.25)
    image_io.save_image(path, picture, alpha=alpha)
    options = writing.Options(alpha=alpha)
    actual = image_io.load_image(path)[5, 5]
    np.testing.assert_allclose(actual, [0.75, 0.85, 0.95], atol=2 / 255)
    (line,) = writing.list_omissions(path, options)
    assert "flattened onto white" in line
    assert writing.list_omissions(tmp_path / "a.png", options) == []


@pytest.mark.parametrize("seed", range(10))
def test_filled_stays_among_the_colors_that_are_seen(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40, size=2)
    image = rng.uniform(size=(height, width, 3))
    alpha = rng.uniform(size=(height, width)) * (
        rng.uniform(size=(height, width)) < 0.2
    )
    alpha[0, 0] = 1
    filled = transparency.fill(image, alpha)
    own = alpha >= transparency.TRUSTED
    np.testing.assert_array_equal(filled[own], image[own].astype("f4"))
    seen = image[alpha > 0]
    assert (filled >= seen.min(axis=0) - 1e-5).all()
    assert (filled <= seen.max(axis=0) + 1e-5).all()
    image[alpha > 0] = (0.2, 0.5, 0.7)
    constant = transparency.fill(image, alpha)
    np.testing.assert_allclose(constant, constant * 0 + (0.2, 0.5, 0.7), 1e-5)


@pytest.mark.parametrize("name", WRITTEN)
def test_written_files_say_that_they_are_srgb(tmp_path, name):
    path = _saved(tmp_path / name)
    with Image.open(path) as image:
        profile = image.info["icc_profile"]
    assert profile == writing.make_srgb_profile()
    assert b"sRGB" in profile.replace(b"\0", b"")  # version 4 has UTF-16
    # Not the second of its writing.
    assert struct.unpack(">6H", profile[24:36]) == (2000, 1, 1, 0, 0, 0)


@pytest.mark.parametrize("name", [*WRITTEN, "a8.bmp"])
def test_resolution_is_kept(tmp_path, name):
    path = _saved(tmp_path / name, dpi=(300, 150))
    actual = image_io.load_picture(path).dpi
    # PNG and BMP count pixels per meter.
    np.testing.assert_allclose(actual, (300, 150), atol=0.02)
    again = _saved(tmp_path / f"b{name}", dpi=actual)
    assert again.read_bytes() == path.read_bytes()
    if name != "a8.bmp":  # there Pillow writes 96
        assert image_io.load_picture(_saved(path)).dpi is None


@pytest.mark.parametrize("name", ["a8.webp", "a8.tif"])
@pytest.mark.parametrize(
    ("unit", "expected"), [(2, (72, 72)), (3, (182.88, 182.88)), (1, None)]
)
def test_resolution_has_a_unit_or_says_nothing(tmp_path, name, unit, expected):
    notes = Image.Exif()
    notes[BASE.XResolution] = notes[BASE.YResolution] = 72.0
    notes[BASE.ResolutionUnit] = unit
    path = tmp_path / name
    Image.fromarray(_smooth(255)).save(path, exif=notes)
    actual = image_io.load_picture(path).dpi
    if expected is None:
        assert actual is None
    else:
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("name", [*EXACT, "a8.jpg", "gray16.tif"])
@pytest.mark.parametrize("keep_location", [False, True])
def test_who_when_and_how_are_kept_the_rest_is_not(
    tmp_path, name, keep_location
):
    path = tmp_path / name
    gray = name.startswith("gray")
    samples = _smooth(_highest(name))[..., 0 if gray else slice(3)]
    _write(path, samples, notes=_camera())
    found = image_io.load_picture(path).exif
    target = exif.select_tags(found, keep_location)
    expected = {
        BASE.DateTimeOriginal: "2024:05:06 07:08:09",
        BASE.ExposureTime: 0.004,
        BASE.LensModel: "50mm",
    }
    where = {1: "N", 2: (48, 51, 29.5), 29: "2024:05:06"}
    for out in WRITTEN:
        with Image.open(_saved(tmp_path / f"out{out}", exif=target)) as image:
            written = image.getexif()
            details = dict(written.get_ifd(IFD.Exif))
            place = dict(written.get_ifd(IFD.GPSInfo))
        assert written[BASE.Artist] == "Ada"
        assert not {BASE.Orientation, BASE.HostComputer} & set(written)
        kept = {tag: details[tag] for tag in details if tag in expected}
        assert kept == pytest.approx(expected)
        assert not set(details) - set(expected) - OF_THE_FILE
        assert place == (where if keep_location else {})


@pytest.mark.parametrize("name", WRITTEN)
def test_notes_in_a_directory_alone_are_kept(tmp_path, name):
    notes = Image.Exif()
    notes.get_ifd(IFD.Exif)[BASE.LensModel] = "50mm"
    with Image.open(_saved(tmp_path / name, exif=notes)) as image:
        details = image.getexif().get_ifd(IFD.Exif)
    assert details[BASE.LensModel] == "50mm"
    assert set(details) <= OF_THE_FILE | {BASE.LensModel}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_name_keeps_its_letters(tmp_path, name):
    # Cameras and programs write UTF-8 where EXIF has ASCII.
    notes = Image.Exif()
    notes[BASE.Artist] = "Zoë Müller".encode()
    source = tmp_path / "source.jpg"
    _write(source, _smooth(255), notes=notes)
    kept = exif.select_tags(image_io.load_picture(source).exif)
    path = _saved(tmp_path / name, exif=kept)
    assert "Zoë Müller".encode() in path.read_bytes()


@pytest.mark.parametrize(
    ("directory", "tag", "value"),
    [
        (None, BASE.Artist, "x" * (exif.LONGEST + 1)),
        (None, BASE.ImageDescription, '{"nst_tf": "0.1.0"}'),
        (IFD.Exif, BASE.FNumber, ("f", 8)),
        (IFD.Exif, BASE.ISOSpeedRatings, 1 << 40),
    ],
)
def test_damaged_notes_are_left_out(tmp_path, directory, tag, value):
    source = _camera()
    place = source if directory is None else source.get_ifd(directory)
    place[tag] = value
    target = exif.select_tags(source)
    assert tag not in (
        target if directory is None else target.get_ifd(directory)
    )
    path = _saved(tmp_path / "a.jpg", exif=target)
    with Image.open(path) as image:
        details = image.getexif().get_ifd(IFD.Exif)
    assert details[BASE.LensModel] == "50mm"


@pytest.mark.parametrize("name", WRITTEN)
def test_the_record_is_read_back(tmp_path, name):
    steps = {"style": "Straße \u6f22.png", "steps": [1, 2], "x": '\t"\\'}
    record = json.dumps(steps)
    path = _saved(
        tmp_path / name, record=record, exif=exif.select_tags(_camera())
    )
    assert not writing.needs_sidecar(path, record)
    with Image.open(path) as image:
        actual = writing.read_record(image)
    assert actual == record
    with Image.open(_saved(path)) as image:
        assert writing.read_record(image) == ""


@pytest.mark.parametrize(
    ("name", "beyond", "expected"),
    [
        ("a.bmp", -1000, True),
        ("a.jpg", 1, True),
        ("a.webp", 1, True),
        ("a.jpg", 0, False),
        ("a.webp", 0, False),
        ("a.png", 1000, False),
        ("a.tif", 1000, False),
    ],
)
def test_a_record_that_does_not_fit_needs_a_file_of_its_own(
    tmp_path, name, beyond, expected
):
    record = "x" * (writing.LONGEST_RECORD + beyond)
    path = tmp_path / name
    assert writing.needs_sidecar(path, record) is expected
    with Image.open(_saved(path, record=record)) as image:
        actual = writing.read_record(image)
    assert actual == ("" if expected else record)


@pytest.mark.parametrize("more", [0, 65_000])
def test_the_longest_record_fits_beside_long_notes(tmp_path, more):
    notes = Image.Exif()
    for tag in (BASE.ImageDescription, BASE.Artist, BASE.Copyright):
        notes[tag] = "x" * exif.LONGEST
    kept = exif.select_tags(notes)
    assert dict(kept) == dict(notes)
    kept.get_ifd(IFD.Exif)[BASE.MakerNote] = bytes(more)  # EXIF ends at 64 KB
    record = "y" * writing.LONGEST_RECORD
    path = tmp_path / "a.jpg"
    assert not writing.needs_sidecar(path, record)
    _saved(path, exif=kept, record=record)
    with Image.open(path) as image:
        assert writing.read_record(image) == record
        assert (BASE.Artist in image.getexif()) == (not more)


@pytest.mark.parametrize(("quality", "sampling"), [(90, 0), (89, 2)])
def test_jpeg_has_full_color_from_quality_90(tmp_path, quality, sampling):
    path = _saved(tmp_path / "a.jpg", quality=quality)
    with Image.open(path) as image:
        assert JpegImagePlugin.get_sampling(image) == sampling  # 2 is 4:2:0


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.bmp"])
def test_16_bits_are_refused_where_there_are_8(tmp_path, name):
    image, words = np.zeros((4, 4, 3)), r"8 bits; write a \.png or a \.tif"
    with pytest.raises(ValueError, match=words):
        image_io.save_image(tmp_path / name, image, bit_depth=16)
    assert not list(tmp_path.iterdir())


def test_without_tifffile_deep_files_are_cut_and_this_is_said(
    tmp_path, monkeypatch
):
    path, floats = tmp_path / "a16.tif", tmp_path / "floats.tif"
    samples = _smooth(65535)
    _write(path, samples, orientation=6)
    _write_tiff(floats, samples / np.float32(65535), photometric="rgb")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    read = image_io.load_picture(path)
    upright = np.rot90(samples, -1) / 65535
    np.testing.assert_allclose(read.pixels, upright, atol=1 / 255)
    (note,) = read.notes
    assert "read at 8 bits" in note
    assert 'pip install "nst-tf[formats]"' in note
    with pytest.raises(ValueError, match=r'pip install "nst-tf\[formats\]"'):
        image_io.load_picture(floats)
    image_io.save_image(path, samples / 65535, bit_depth=16)  # needs it not
    monkeypatch.undo()
    read = image_io.load_picture(path)
    np.testing.assert_array_equal(read.pixels, samples / np.float32(65535))


@pytest.mark.parametrize("name", [*WRITTEN, "a8.bmp"])
@pytest.mark.parametrize("error", [OSError("No space"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_nothing_beside(
    tmp_path, monkeypatch, name, error
):
    path = _saved(tmp_path / name)
    before = path.read_bytes()

    def fail(file, *args):
        file.write(before[:20])
        raise error

    monkeypatch.setattr(writing, "encode", fail)
    with pytest.raises(type(error)):
        _saved(path, record="{}")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_heic_without_its_package_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    Image.init()
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    path = tmp_path / "a.jpg"  # telephones do
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))
    with pytest.raises(ValueError, match=r'HEIC.* pip install "nst-tf\[form'):
        image_io.load_image(path)


def test_a_resolution_is_turned_with_its_picture(tmp_path):
    path = tmp_path / "a.png"
    for orientation, expected in ((3, (300, 150)), (6, (150, 300))):
        notes = Image.Exif()
        notes[BASE.Orientation] = orientation
        Image.fromarray(_smooth(255)).save(path, dpi=(300, 150), exif=notes)
        actual = image_io.load_picture(path).dpi
        np.testing.assert_allclose(actual, expected, atol=0.02)


@pytest.mark.parametrize("dpi", [(300, 0.5), (0.5, 300), (300, 70_000)])
def test_a_resolution_of_no_printer_is_none(tmp_path, dpi):
    path = tmp_path / "a.tif"
    Image.fromarray(_smooth(255)).save(path, dpi=dpi)
    assert image_io.load_picture(path).dpi is None


def test_floats_are_turned_by_their_tag(tmp_path):
    samples = (_smooth(255) / 256).astype("f4")
    path = tmp_path / "a.tif"
    tag = (274, "H", 1, 6, True)
    _write_tiff(path, samples, photometric="rgb", extratags=[tag])
    actual = image_io.load_image(path)
    np.testing.assert_array_equal(actual, np.rot90(samples, -1))


def test_deflate_has_two_numbers_and_colors_at_most_five_channels(tmp_path):
    tifffile = _tifffile()
    path = tmp_path / "a.tif"
    samples = _smooth(65535)
    _write_tiff(path, samples, photometric="rgb", compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[0].tags["Compression"].overwrite(32946)
    actual = image_io.load_image(path)
    np.testing.assert_array_equal(actual, samples / np.float32(65535))
    inks = np.zeros((HEIGHT, WIDTH, 5), "u2")
    inks[..., 4] = 32768  # alpha
    _write_tiff(
        path, inks, photometric="separated", extrasamples=["unassalpha"]
    )
    np.testing.assert_allclose(image_io.load_picture(path).alpha, 0.5, 1e-4)
    inks = np.dstack([inks, inks[..., :1]])
    _write_tiff(path, inks, photometric="separated", extrasamples=[2, 0])
    with pytest.raises(ValueError, match="it has 6 channels; expected 1 to 5"):
        image_io.load_image(path)


@pytest.mark.parametrize("name", [*EXACT, "a8.jpg"])
def test_the_digest_is_that_of_the_file(tmp_path, name):
    path = tmp_path / name
    _write(path, _smooth(_highest(name)))
    data = path.read_bytes()
    expected = "sha256:" + hashlib.sha256(data).hexdigest()
    assert image_io.load_picture(path).digest == expected
    assert image_io.read_picture(data, "bytes").digest == expected


@pytest.mark.parametrize("name", [*EXACT, "a8.jpg", "floats16.tif"])
def test_a_picture_above_the_limit_is_refused(tmp_path, name):
    path = tmp_path / name
    samples = _smooth(_highest(name))
    if name.startswith("floats"):
        samples = samples / np.float32(65535)
        _write_tiff(path, samples, photometric="rgb")
    else:
        _write(path, samples)
    megapixels = HEIGHT * WIDTH / 1e6
    assert image_io.load_picture(path, megapixels).pixels.shape[0] == HEIGHT
    with pytest.raises(ValueError, match="30 x 20 .*raise --max_megapixels"):
        image_io.load_picture(path, 0.99 * megapixels)


@pytest.mark.parametrize(
    ("size", "tile", "megapixels", "words"),
    [
        ((1000, 1000), (0, 0), 1, ""),
        (
            (1001, 1000),
            (0, 0),
            1,
            "it is 1001 x 1000 pixels, and the limit is 1 ",
        ),
        ((0, 5), (0, 0), 1, "no pixels"),
        ((5, 0), (0, 0), 1, "no pixels"),
        ((5, 5), (2048, 2048), 0.01, ""),
        ((5, 5), (2048, 2049), 0.01, "its tiles are 2048 x 2049"),
        ((5, 5), (2048, 2049), 5, ""),
    ],
)
def test_a_picture_and_its_tiles_have_a_limit(size, tile, megapixels, words):
    if not words:
        return file_samples.check_size(size, tile, megapixels)
    with pytest.raises(ValueError, match=words):
        file_samples.check_size(size, tile, megapixels)


def test_a_file_may_be_64_mib_or_16_bytes_a_pixel():
    assert reading.find_largest_file(0.1) == 2**26
    assert reading.find_largest_file(100) == 16 * 10**8


@pytest.mark.parametrize("bits", [8, 16])
def test_the_limit_comes_before_any_decoding(tmp_path, bits):
    # A gigapixel in a hundred bytes; to decode it would fail, or fill memory.
    header = raw_files.png_header(40_000, 25_000, bits)
    path = tmp_path / "a.png"
    path.write_bytes(raw_files.png(header, b"x"))
    with pytest.raises(ValueError, match="40000 x 25000 .*--max_megapixels"):
        image_io.load_picture(path)


def test_a_file_of_too_many_bytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LEAST_BYTES", 1000)
    path = tmp_path / "a.png"
    _write(path, _smooth(255))
    with open(path, "ab") as file:
        file.write(bytes(20_000))
    with pytest.raises(ValueError, match="--max_megapixels"):
        image_io.load_picture(path, 0.001)


def _highest(name):
    return 2 ** _depth(name) - 1


def _depth(name):
    """The bits of a channel, as a name says."""
    return 16 if "16" in name else 8


def _smooth(highest, channels=3):
    """Ramps that differ, from 5 to 95 percent, of 8 or 16 bits."""
    rows, columns = np.mgrid[0 : 1 : 1j * HEIGHT, 0 : 1 : 1j * WIDTH]
    ramps = [columns, rows, (1 - columns + rows) / 2, (columns + rows) / 2]
    samples = highest * (0.05 + 0.9 * np.dstack(ramps[:channels]))
    return np.rint(samples).astype("u1" if highest == 255 else "u2")


def _turned(samples, method):
    """Turns [H, W] or [H, W, C] by Pillow, channel by channel."""
    if method is None:
        return samples
    if samples.ndim == 2:
        return np.asarray(Image.fromarray(samples).transpose(method))
    channels = np.moveaxis(samples, -1, 0).copy()
    return np.dstack([_turned(channel, method) for channel in channels])


def _write(path, samples, orientation=None, notes=None):
    """Writes samples by other means than those under test, without loss."""
    notes = copy.deepcopy(notes) if notes else Image.Exif()
    if orientation:
        notes[BASE.Orientation] = orientation
    data = notes.tobytes()
    name = path.name
    if name.endswith("16.png"):
        chunk = b"eXIf", data.removeprefix(b"Exif\0\0")
        path.write_bytes(raw_files.png_of(samples, chunk))
    elif name.endswith("16.tif") and samples.ndim == 3:
        _write_deep_tiff(path, samples, notes)
    else:
        options = {
            ".jpg": {"quality": 100, "subsampling": 0},
            ".webp": {"lossless": True, "exact": True},
            ".avif": {"quality": 100, "subsampling": "4:4:4"},
        }.get(path.suffix, {})
        Image.fromarray(samples).save(path, exif=data, **options)


def _write_tiff(path, samples, **options):
    tifffile = _tifffile()
    tifffile.imwrite(path, samples, metadata=None, software=False, **options)


def _write_deep_tiff(path, samples, notes):
    """Writes 16 bits by Pillow, as a picture of 8 bits that is twice as wide.

    tifffile writes no directories of EXIF; it only mends the size.
    """
    tifffile = _tifffile()
    height, width, channels = samples.shape
    narrow = np.frombuffer(samples.astype("<u2").tobytes(), "u1")
    narrow = narrow.reshape(height, 2 * width, channels).squeeze()
    Image.fromarray(narrow).save(path, exif=notes.tobytes())
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tags = tiff.pages[0].tags
        tags["ImageWidth"].overwrite(width)
        bits = (16,) * channels
        tags["BitsPerSample"].overwrite(bits if channels > 1 else 16)


def _saved(path, **options):
    """Writes a picture by the code under test, at the depth in the name."""
    _need(path.name)
    if "16" in path.name:
        options["bit_depth"] = 16
    picture = _smooth(255) / 255
    image_io.write_image(path, picture, writing.Options(**options))
    return path


def _camera():
    """What a camera writes: some to keep, some not."""
    notes = Image.Exif()
    notes[BASE.Artist] = "Ada"
    notes[BASE.Orientation] = 1
    notes[BASE.HostComputer] = "secret"
    details = notes.get_ifd(IFD.Exif)
    details[BASE.DateTimeOriginal] = "2024:05:06 07:08:09"
    details[BASE.ExposureTime] = 0.004
    details[BASE.LensModel] = "50mm"
    details[BASE.BodySerialNumber] = "secret"
    details[BASE.LensSerialNumber] = "secret"
    details[BASE.CameraOwnerName] = "secret"
    details[BASE.MakerNote] = b"secret"
    place = notes.get_ifd(IFD.GPSInfo)
    place[1], place[2], place[29] = "N", (48.0, 51.0, 29.5), "2024:05:06"
    return notes


def _need(name):
    """Skips a test of 16-bit TIFF files where nothing reads them."""
    if "16.tif" in name:
        _tifffile()


def _tifffile():
    return pytest.importorskip("tifffile", reason="reads 16-bit TIFF files")


@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_files_have_strips_of_64_kib_at_most(tmp_path, bits):
    path = tmp_path / "a.tif"
    image_io.save_image(path, np.zeros((200, 300, 3)), bit_depth=bits)
    with Image.open(path) as image:
        rows, lengths = (image.tag_v2[tag] for tag in (278, 279))
    row = 300 * 3 * bits // 8
    assert rows == 65536 // row
    assert len(lengths) == -(-200 // rows) and max(lengths) <= rows * row
