"""Color profiles: what a file says of its colors, against published numbers.

The profiles are built here byte by byte, after ICC.1:2022; the colors that they
mean are computed from chromaticities, in float64, without any profile.
"""

import struct

import colors_by_hand
import numpy as np
import pytest
import raw_files
from PIL import Image, ImageCms

from nst_tf.images import image_io, profiles

# The primaries and the white point of each space.
# Source: IEC 61966-2-1, SMPTE EG 432-1, Adobe RGB (1998), ISO 22028-2.
SPACES = {
    "sRGB": (colors_by_hand.SRGB, colors_by_hand.D65),
    "Display P3": (colors_by_hand.P3, colors_by_hand.D65),
    "Adobe RGB": (colors_by_hand.ADOBE, colors_by_hand.D65),
    "ProPhoto": (colors_by_hand.PROPHOTO, colors_by_hand.D50_WHITE),
}
srgb_curve = colors_by_hand.decode_srgb
FILES = ("a8.png", "a16.png", "a8.jpg", "a8.tif", "a16.tif")


def gamma_curve(gamma):
    return lambda x: x**gamma


SRGB_PARA = raw_files.para(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
SRGB_TABLE = raw_files.curv(
    *(round(65535 * float(srgb_curve(i / 1023))) for i in range(1024))
)
# Its curve ends in a line.
ROMM_PARA = raw_files.para(3, 1.8, 1, 0, 1 / 16, 1 / 32)
# Name of a profile: its primaries, its version, its curve as a tag, and as a
# function.
CASES = {
    "P3 of version 4": ("Display P3", 4, SRGB_PARA, srgb_curve),
    "P3 with a table": ("Display P3", 2, SRGB_TABLE, srgb_curve),
    "Adobe RGB": ("Adobe RGB", 2, raw_files.curv(563), gamma_curve(563 / 256)),
    "Adobe RGB of version 4": (
        "Adobe RGB",
        4,
        raw_files.para(0, 563 / 256),
        gamma_curve(563 / 256),
    ),
    "ProPhoto": (
        "ProPhoto",
        4,
        ROMM_PARA,
        lambda x: np.where(x < 1 / 32, x / 16, x**1.8),
    ),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("case", CASES)
def test_a_profile_gives_the_published_colors(tmp_path, case, name):
    space, version, tag, curve = CASES[case]
    picture = _inside_srgb(space, curve)
    path = tmp_path / name
    samples = _write(path, picture, _rgb_profile(space, version, tag))
    expected = _in_srgb(samples, space, curve)
    assert (np.abs(expected - samples).max(axis=(0, 1)) > 0.02).any()
    read = image_io.load_picture(path)
    # 0.5 is asked for, CIE76 under D65; numbers of the file are rounded to
    # 16 bits, which is a hundredth.
    assert colors_by_hand.delta_e(read.pixels, expected).max() < 0.05
    assert read.notes == ()


@pytest.mark.parametrize("case", CASES)
def test_colors_outside_are_clipped_to_the_border(tmp_path, case):
    space, version, tag, curve = CASES[case]
    green = np.zeros((4, 5, 3))
    green[..., 1] = 1
    path = tmp_path / "a16.png"
    samples = _write(path, green, _rgb_profile(space, version, tag))
    linear = curve(samples) @ colors_by_hand.to_linear_srgb(*SPACES[space]).T
    assert linear[..., 0].max() < 0  # less red than sRGB has
    actual = image_io.load_image(path)
    assert (actual[..., 0] == 0).all()
    assert (
        colors_by_hand.delta_e(actual, _in_srgb(samples, space, curve)).max()
        < 0.05
    )


@pytest.mark.parametrize("name", FILES)
def test_a_gray_profile_with_a_gamma_lightens_by_it(tmp_path, name):
    ramp = np.tile(np.linspace(0, 1, 30), (20, 1))
    path = tmp_path / name
    tag = raw_files.curv(round(1.8 * 256))
    samples = _write(path, ramp, raw_files.profile({b"kTRC": tag}, b"GRAY"))
    expected = colors_by_hand.encode_srgb(samples ** (461 / 256))
    read = image_io.load_picture(path)
    assert read.notes == ()
    for channel in range(3):
        np.testing.assert_allclose(
            read.pixels[..., channel], expected, atol=1e-6
        )
    assert np.abs(expected - samples).max() > 0.03


@pytest.mark.parametrize("name", ["a8.png", "a16.png", "a8.tif", "a16.tif"])
@pytest.mark.parametrize("built", ["LittleCMS", "para", "table"])
def test_a_profile_of_srgb_changes_nothing_at_all(tmp_path, name, built):
    profile = {
        "LittleCMS": ImageCms.ImageCmsProfile(
            ImageCms.createProfile("sRGB")
        ).tobytes(),
        "para": _rgb_profile("sRGB", 4, SRGB_PARA),
        "table": _rgb_profile("sRGB", 2, SRGB_TABLE),
    }[built]
    path = tmp_path / name
    samples = _write(
        path, np.random.default_rng(0).uniform(size=(20, 30, 3)), profile
    )
    read = image_io.load_picture(path)
    np.testing.assert_array_equal(read.pixels, samples.astype("f4"))
    assert read.notes == ()


# Tags of every type, and what the specification says of them.
CURVES = {
    "identity": (raw_files.curv(), lambda x: x),
    "gamma": (raw_files.curv(512), lambda x: x**2),
    "table": (
        raw_files.curv(0, 16384, 65535),
        lambda x: x / 2 if x < 0.5 else 1.5 * x - 0.5,
    ),
    "para0": (raw_files.para(0, 2), lambda x: x**2),
    "para1": (
        raw_files.para(1, 2, 1.25, -0.25),
        lambda x: (1.25 * x - 0.25) ** 2 if x >= 0.2 else 0.0,
    ),
    "para2": (
        raw_files.para(2, 2, 1, -0.25, 0.125),
        lambda x: (x - 0.25) ** 2 + 0.125 if x >= 0.25 else 0.125,
    ),
    "para3": (
        raw_files.para(3, 2, 0.5, 0.5, 0.25, 0.375),
        lambda x: (x / 2 + 0.5) ** 2 if x >= 0.375 else x / 4,
    ),
    "para4": (
        raw_files.para(4, 2, 0.5, 0.25, 0.25, 0.5, 0.125, 0.0625),
        lambda x: (x / 2 + 0.25) ** 2 + 0.125 if x >= 0.5 else x / 4 + 0.0625,
    ),
}


@pytest.mark.parametrize("name", CURVES)
def test_every_type_of_curve_is_that_of_the_specification(name):
    tag, curve = CURVES[name]
    profile = profiles.parse_profile(
        raw_files.profile({b"kTRC": tag}, b"GRAY", version=4)
    )
    places = [0.0, 0.125, 0.1875, 0.25, 0.3125, 0.375, 0.4375, 0.625, 1.0]
    actual = profile.curves[0](np.array(places))
    expected = [curve(place) for place in places]
    # Tables hold 16 bits.
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def _matrix_profile(change=0.0, curve=srgb_curve):
    matrix = profiles.SRGB_TO_XYZ.copy()
    matrix[1, 2] += change
    return profiles.Profile("RGB", [srgb_curve, srgb_curve, curve], matrix)


def test_srgb_is_what_differs_by_rounding_only():
    assert profiles.is_srgb(_matrix_profile())
    assert profiles.is_srgb(_matrix_profile(-0.0009))
    assert not profiles.is_srgb(_matrix_profile(-0.0011))
    for factor, expected in ((1.0008, True), (1.0015, False)):
        near = _matrix_profile(curve=lambda x, f=factor: srgb_curve(x) / f)
        assert profiles.is_srgb(near) is expected
    assert not profiles.is_srgb(profiles.Profile("RGB"))


def test_a_matrix_to_lab_is_left_to_littlecms():
    data = _p3(SRGB_PARA)
    assert len(profiles.parse_profile(data).curves) == 3
    other = data[:20] + b"Lab " + data[24:]
    assert not profiles.parse_profile(other).curves


def test_a_curve_has_an_end():
    values = range(65536)
    whole = raw_files.profile({b"kTRC": raw_files.curv(*values)}, b"GRAY")
    [curve] = profiles.parse_profile(whole).curves
    np.testing.assert_allclose(curve(np.array([0.3])), 0.3, atol=1e-5)
    endless = raw_files.profile({b"kTRC": raw_files.curv(*values, 0)}, b"GRAY")
    with pytest.raises(ValueError, match="a curve that is too long"):
        profiles.parse_profile(endless)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", [b"mft1", b"mft2"])
def test_a_profile_with_tables_is_applied_at_8_bits(tmp_path, name, kind):
    # Its lightness is the sample of red; green and blue have no say.
    table = _table(kind, [corner[0] for corner in np.ndindex(2, 2, 2)])
    profile = raw_files.profile({b"A2B0": table}, to=b"Lab ")
    path = tmp_path / name
    samples = _write(path, _smooth(20, 30), profile)
    read = image_io.load_picture(path)
    expected = _gray_of_lightness(samples[..., 0])
    # Rounded before and after, by tables of LittleCMS.
    np.testing.assert_allclose(
        read.pixels, np.dstack([expected] * 3), atol=1.6 / 255
    )
    assert "RGB profile was applied at 8 bits" in read.notes[0]
    assert read.notes[0].startswith(str(path))


@pytest.mark.parametrize("name", ["a8.jpg", "a8.tif", "a16.tif"])
def test_cmyk_is_converted_as_its_table_says(tmp_path, name):
    # Black ink darkens; the other inks, in this press, are water.
    corners = [1 - corner[3] for corner in np.ndindex(2, 2, 2, 2)]
    table = _table(b"mft1", corners)
    profile = raw_files.profile(
        {b"A2B0": table}, b"CMYK", to=b"Lab ", kind=b"prtr"
    )
    path = tmp_path / name
    inks = np.dstack([_smooth(20, 30), _smooth(20, 30)[..., :1]])
    samples = _write(path, inks, profile, "CMYK")
    read = image_io.load_picture(path)
    expected = _gray_of_lightness(1 - samples[..., 3])
    np.testing.assert_allclose(
        read.pixels, np.dstack([expected] * 3), atol=1.6 / 255
    )
    assert "CMYK profile was applied at 8 bits" in read.notes[0]


@pytest.mark.parametrize("name", ["a8.jpg", "a8.tif", "a16.tif"])
def test_cmyk_without_a_profile_is_guessed_and_said_to_be(tmp_path, name):
    path = tmp_path / name
    inks = np.zeros((20, 30, 4))
    inks[:, 10:20, 3] = 1  # black
    inks[:, 20:, 1:3] = 1  # magenta and yellow: red
    _write(path, inks, mode="CMYK")
    read = image_io.load_picture(path)
    assert "CMYK profile is missing; its colors are guessed" in read.notes[0]
    actual = read.pixels[10, [4, 15, 26]]
    np.testing.assert_allclose(
        actual, [[1, 1, 1], [0, 0, 0], [1, 0, 0]], atol=0.02
    )


@pytest.mark.parametrize("name", ["a8.png", "a16.tif"])
@pytest.mark.parametrize(
    ("picture", "space", "words"),
    [
        ("RGB", b"GRAY", "profile is for GRAY; ignored"),
        ("RGB", b"CMYK", "profile is for CMYK; ignored"),
        ("gray", b"CMYK", "profile is for CMYK; ignored"),
        ("gray", b"RGB ", "profile is for RGB; ignored"),
    ],
)
def test_a_profile_of_another_space_is_ignored_with_a_note(
    tmp_path, name, picture, space, words
):
    profile = {
        b"GRAY": raw_files.profile({b"kTRC": raw_files.curv(461)}, b"GRAY"),
        b"CMYK": raw_files.profile(
            {b"A2B0": _table(b"mft1", [0.5] * 16)}, b"CMYK", to=b"Lab "
        ),
        b"RGB ": _p3(SRGB_PARA),
    }[space]
    path = tmp_path / name
    pixels = _smooth(20, 30)
    samples = _write(
        path, pixels if picture == "RGB" else pixels[..., 0], profile
    )
    read = image_io.load_picture(path)
    expected = samples.reshape(20, 30, -1) + np.zeros(3)
    np.testing.assert_array_equal(read.pixels, expected.astype("f4"))
    (note,) = read.notes
    assert words in note


@pytest.mark.parametrize("name", ["a8.png", "a16.png", "a8.tif", "a16.tif"])
def test_a_profile_leaves_alpha_alone(tmp_path, name):
    space, version, tag, curve = CASES["Adobe RGB"]
    picture = _inside_srgb(space, curve)
    alpha = np.full((20, 30), 0.5)
    alpha[:10] = 1
    path = tmp_path / name
    samples = _write(
        path, np.dstack([picture, alpha]), _rgb_profile(space, version, tag)
    )
    read = image_io.load_picture(path)
    expected = _in_srgb(samples[..., :3], space, curve)
    assert colors_by_hand.delta_e(read.pixels, expected).max() < 0.05
    np.testing.assert_array_equal(read.alpha, samples[..., 3].astype("f4"))


def test_a_palette_is_converted_by_its_profile(tmp_path):
    space, version, tag, curve = CASES["Adobe RGB"]
    samples = np.tile(np.array([80, 160, 120], "u1"), (20, 30, 1))
    image = Image.fromarray(samples).quantize(4)
    path = tmp_path / "a.png"
    image.save(path, icc_profile=_rgb_profile(space, version, tag))
    expected = _in_srgb(samples / 255, space, curve)
    assert (
        colors_by_hand.delta_e(image_io.load_image(path), expected).max() < 0.05
    )


def _write(path, picture, profile=b"", mode=None):
    """Writes values in [0, 1] at the depth in the name; what a file holds."""
    depth = 16 if "16" in path.name else 8
    highest = 2**depth - 1
    samples = np.rint(highest * picture).astype(f"u{depth // 8}")
    if path.name == "a16.tif":
        tifffile = pytest.importorskip("tifffile", reason="reads 16-bit TIFF")
        kind = "minisblack" if samples.ndim == 2 else "rgb"
        transparent = samples.shape[2:] == (4,) and mode is None
        tifffile.imwrite(
            path,
            samples,
            photometric="separated" if mode == "CMYK" else kind,
            extrasamples=["unassalpha"] if transparent else None,
            iccprofile=profile or None,
        )
    elif path.name == "a16.png":
        chunks = [raw_files.icc_chunk(profile)] if profile else []
        samples = samples.reshape(*samples.shape[:2], -1)
        path.write_bytes(raw_files.png_of(samples, *chunks))
        samples = samples.squeeze()
    else:
        image = Image.fromarray(samples, mode)
        options = {"icc_profile": profile} if profile else {}
        if path.suffix == ".jpg":
            options |= {"quality": 100, "subsampling": 0}
        image.save(path, **options)
        samples = np.asarray(Image.open(path))  # JPEG is not exact
    return samples / highest


def _rgb_profile(space, version, tag):
    """A profile of three primaries, and one curve for all."""
    matrix = colors_by_hand.under_d50(*SPACES[space])
    colors = [raw_files.xyz(*column) for column in matrix.T]
    tags = {b"wtpt": raw_files.xyz(0.9642, 1, 0.8249)}
    return raw_files.profile(
        tags | raw_files.rgb_tags(colors, [tag] * 3), version=version
    )


def _p3(tag):
    """A profile of Display P3, with a curve that is another's."""
    return _rgb_profile("Display P3", 4, tag)


def _table(kind, corners):
    """A tag 'mft1' or 'mft2': lightness in [0, 1] at the corners of a cube."""
    channels = len(corners).bit_length() - 1
    identity = raw_files.fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    start = kind + bytes(4) + bytes([channels, 3, 2, 0]) + identity
    if kind == b"mft1":  # Lab of version 2: 255 is a lightness of 100
        ramp = bytes(range(256))
        cube = [(round(255 * value), 128, 128) for value in corners]
        return (
            start + channels * ramp + np.array(cube, "u1").tobytes() + 3 * ramp
        )
    ramp = struct.pack(">2H", 0, 65535)  # here 65280 is
    cube = [(round(65280 * value), 32768, 32768) for value in corners]
    numbers = np.array(cube, ">u2").tobytes()
    sizes = struct.pack(">2H", 2, 2)
    return start + sizes + channels * ramp + numbers + 3 * ramp


def _in_srgb(samples, space, curve):
    """What the samples of a space are in sRGB, clipped."""
    primaries, white = SPACES[space]
    return colors_by_hand.to_srgb(samples, primaries, curve, white)


def _inside_srgb(space, curve):
    """A smooth picture in a space, of colors that sRGB has, too."""
    linear = (
        srgb_curve(_smooth(20, 30))
        @ np.linalg.inv(colors_by_hand.to_linear_srgb(*SPACES[space])).T
    )
    places = np.linspace(0, 1, 4097)
    return np.interp(linear, curve(places), places)


def _smooth(height, width):
    """Colors from 0.1 to 0.9, [H, W, 3], in ramps that differ."""
    rows, columns = np.mgrid[0 : 1 : 1j * height, 0 : 1 : 1j * width]
    ramps = np.dstack([columns, rows, (1 - columns + rows) / 2])
    return 0.1 + 0.8 * ramps


def _gray_of_lightness(lightness):
    """CIE lightness in [0, 1] -> the sample of an sRGB gray."""
    above = (100 * lightness + 16) / 116
    luminance = np.where(
        above > 6 / 29, above**3, 3 * (6 / 29) ** 2 * (above - 4 / 29)
    )
    return colors_by_hand.encode_srgb(luminance)


def test_a_gray_profile_counts_with_transparency_as_without(tmp_path):
    data = raw_files.profile({b"kTRC": raw_files.curv(256)}, b"GRAY")
    gray = np.arange(0, 250, dtype="u1").reshape(10, 25)
    found = []
    both = ("L", gray), ("LA", np.dstack([gray, 200 + gray // 5]))
    for name, samples in both:
        path = tmp_path / f"{name}.png"
        Image.fromarray(samples).save(path, icc_profile=data)
        picture = image_io.load_picture(path)
        assert picture.notes == ()
        found.append(picture.pixels[..., :3])
    np.testing.assert_array_equal(*found)
    assert found[0][5, 0, 0] > gray[5, 0] / 255 + 0.1  # a gamma of 1
