"""Colors that are stated without a profile: EXIF, PNG chunks, nclx.

Expected values are computed here from the definitions of the color spaces, in
float64, by other formulas than those under test: all whites are D65, and no
profile's D50 comes in between.
"""

import io
import struct

import numpy as np
import pytest
import raw_files
from PIL import ExifTags, Image

from nst_tf.images import image_io, stated_colors
from nst_tf.metadata import boxes

COLORS = np.array(
    [[200, 40, 40], [40, 200, 40], [40, 40, 200], [128, 128, 128], [90, 70, 60]]
)
# Linear light of each space -> XYZ: ITU-R BT.709, SMPTE EG 432-1, ITU-R
# BT.2020, Adobe RGB (1998), section 4.3.5.3.
TO_XYZ = {
    "srgb": [
        [0.412391, 0.357584, 0.180481],
        [0.212639, 0.715169, 0.072192],
        [0.019331, 0.119195, 0.950532],
    ],
    "p3": [
        [0.486571, 0.265668, 0.198217],
        [0.228975, 0.691739, 0.079287],
        [0.000000, 0.045113, 1.043944],
    ],
    "bt2020": [
        [0.636958, 0.144617, 0.168881],
        [0.262700, 0.677998, 0.059302],
        [0.000000, 0.028073, 1.060985],
    ],
    "adobe": [
        [0.576669, 0.185558, 0.188229],
        [0.297345, 0.627364, 0.075291],
        [0.027031, 0.070689, 0.991338],
    ],
}
CHROMA = {  # cHRM: white, red, green, blue
    "srgb": (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06),
    "p3": (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    "adobe": (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06),
}
CODES = {"srgb": 1, "p3": 12, "bt2020": 9}


def convert(samples, space, gamma=None):
    """Converts samples in [0, 1] to sRGB, clipped."""
    if gamma:
        linear = samples**gamma
    else:
        low = samples <= 0.04045
        linear = np.where(
            low, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4
        )
    linear = linear @ np.transpose(TO_XYZ[space])
    linear = (linear @ np.linalg.inv(TO_XYZ["srgb"]).T).clip(0, 1)
    above = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, above)


def png(*chunks, bits=8, colors=COLORS):
    """A PNG file of the colors, one beside the other."""
    samples = (
        np.uint8(colors)[None] if bits == 8 else np.uint16(colors * 257)[None]
    )
    return raw_files.png_of(samples, *chunks)


def chunk(name, *values):
    form = {"gAMA": ">I", "cHRM": ">8I"}.get(name)
    if form:
        return name.encode(), struct.pack(
            form, *(round(1e5 * v) for v in values)
        )
    return name.encode(), bytes(values)


def read(data):
    found = image_io.read_picture(data, "a")
    return found.pixels, found.notes


GAMMA = chunk("gAMA", 0.45455)
PROFILE = raw_files.icc_chunk(
    raw_files.profile(
        raw_files.rgb_tags(
            [
                raw_files.xyz(*c)
                for c in [(0.6, 0.3, 0.0), (0.2, 0.6, 0.1), (0.15, 0.1, 0.7)]
            ],
            [raw_files.curv(256)] * 3,
        )
    )
)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("chunks", "space", "gamma"),
    [
        ([chunk("cICP", 12, 13, 0, 1)], "p3", None),
        ([chunk("cICP", 9, 1, 0, 1)], "bt2020", None),
        ([chunk("cICP", 1, 8, 0, 1)], "srgb", 1),
        ([chunk("cICP", 12, 4, 0, 1)], "p3", 2.2),
        ([GAMMA, chunk("cHRM", *CHROMA["p3"])], "p3", 2.2),
        ([chunk("cHRM", *CHROMA["adobe"])], "adobe", None),
        ([chunk("gAMA", 1.0)], "srgb", 1),
        ([chunk("gAMA", 0.55556), chunk("cHRM", *CHROMA["srgb"])], "srgb", 1.8),
        # The first of cICP, iCCP, sRGB and gAMA counts.
        ([chunk("cICP", 12, 13, 0, 1), PROFILE], "p3", None),
        ([chunk("cICP", 12, 13, 0, 1), chunk("sRGB", 0)], "p3", None),
        ([chunk("cICP", 2, 2, 0, 1), chunk("gAMA", 1.0)], "srgb", 1),
    ],
)
def test_a_png_file_states_its_colors(chunks, space, gamma, bits):
    pixels, notes = read(png(*chunks, bits=bits))
    expected = convert(COLORS / 255, space, gamma)
    np.testing.assert_allclose(pixels[0], expected, atol=6e-4)
    assert notes == ()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("chunks", "note"),
    [
        ([chunk("cICP", 1, 13, 0, 1)], None),
        ([chunk("sRGB", 0)], None),
        ([chunk("sRGB", 0), chunk("gAMA", 1.0)], None),
        ([GAMMA], None),
        ([chunk("gAMA", 0.45)], None),
        ([GAMMA, chunk("cHRM", *CHROMA["srgb"])], None),
        ([chunk("cICP", 9, 16, 0, 1)], "HDR (PQ)"),
        ([chunk("cICP", 9, 18, 0, 1), chunk("gAMA", 1.0)], "HDR (HLG)"),
        ([chunk("cICP", 99, 13, 0, 1)], "code points 99 and 13"),
        ([chunk("cICP", 1, 13, 0, 0)], "16 to 235"),
        ([chunk("cICP", 2, 2, 0, 0)], "16 to 235"),
        ([chunk("gAMA", 0.0)], "ignored"),
        ([chunk("cHRM", *[0.3] * 8)], "ignored"),
        ([chunk("cHRM", *[0.0] * 8)], "ignored"),
    ],
)
def test_what_is_srgb_or_unknown_stays_as_it_is(chunks, note, bits):
    pixels, notes = read(png(*chunks, bits=bits))
    np.testing.assert_array_equal(pixels[0], np.float32(COLORS / 255))
    if note:
        assert len(notes) == 1 and note in notes[0]
    else:
        assert notes == ()


@pytest.mark.parametrize(
    "chunks",
    [[chunk("sRGB", 0)], [GAMMA], [chunk("cICP", 9, 16, 0, 1)]],
)
def test_a_profile_counts_where_code_points_do_not(chunks):
    expected, _ = read(png(PROFILE))
    assert np.abs(expected[0] - COLORS / 255).max() > 0.1
    pixels, notes = read(png(*chunks, PROFILE))
    np.testing.assert_array_equal(pixels, expected)
    assert notes == ()


def test_gray_is_converted_by_its_curve_alone():
    gray = np.arange(0, 256, 15)[:, None]
    pixels, _ = read(
        png(chunk("gAMA", 1.0), chunk("cHRM", *CHROMA["p3"]), colors=gray)
    )
    expected = convert(gray / 255 * [1, 1, 1], "srgb", 1)
    np.testing.assert_allclose(pixels[0], expected, atol=2e-5)


def _camera(space, index=None):
    notes = Image.Exif()
    details = notes.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.ColorSpace] = space
    if index:
        details[ExifTags.IFD.Interop] = {1: index, 2: b"0100"}
    return notes.tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("space", "index", "expected"),
    [
        (2, None, "adobe"),
        (0xFFFF, "R03", "adobe"),
        (0xFFFF, "R98", "srgb"),
        (0xFFFF, None, "srgb"),
        (1, "R03", "srgb"),
    ],
)
def test_a_camera_says_that_its_colors_are_adobe_rgb(
    kind, space, index, expected
):
    if kind == "TIFF" and index:
        pytest.skip("Pillow writes no interoperability into TIFF files")
    patches = np.uint8(COLORS)[None].repeat(16, 0).repeat(16, 1)
    options = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True},
    }.get(kind, {})
    for has_profile in (False, True):
        file = io.BytesIO()
        data = _camera(space, index)
        if has_profile:  # it counts before EXIF
            options |= {"icc_profile": raw_files.profile({})}
        Image.fromarray(patches).save(file, kind, exif=data, **options)
        pixels, _ = read(file.getvalue())
        wanted = COLORS / 255
        if expected == "adobe" and not has_profile:
            wanted = convert(wanted, "adobe", 563 / 256)
        atol = 3 / 255 if kind == "JPEG" else 6e-4
        np.testing.assert_allclose(pixels[8, 8::16], wanted, atol=atol)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_code_points_of_avif_and_heic_are_applied(kind):
    if kind == "HEIF":
        heif = pytest.importorskip("pillow_heif", reason="reads HEIC files")
        heif.register_heif_opener()
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"Pillow writes no {kind} files here")
    patches = np.uint8(COLORS)[None].repeat(64, 0).repeat(64, 1)
    file = io.BytesIO()
    options = {"subsampling": "4:4:4"} if kind == "AVIF" else {"chroma": 444}
    Image.fromarray(patches).save(file, kind, quality=100, **options)
    data = file.getvalue()
    at = data.index(b"colrnclx") + 8
    assert tuple(boxes.find_nclx(file)) == struct.unpack_from(">3H", data, at)
    for name, code in CODES.items():
        codes = struct.pack(">2H", code, 13)
        pixels, notes = read(data[:at] + codes + data[at + 4 :])
        expected = convert(COLORS / 255, name)
        np.testing.assert_allclose(pixels[32, 32::64], expected, atol=0.02)
        assert notes == ()
    codes = struct.pack(">2H", 9, 16)
    pixels, (note,) = read(data[:at] + codes + data[at + 4 :])
    np.testing.assert_allclose(pixels[32, 32::64], COLORS / 255, atol=0.02)
    assert "HDR (PQ)" in note
    for end in range(0, at + 8, 5):  # damaged ones say nothing
        part = io.BytesIO(data[:end])
        assert tuple(boxes.find_nclx(part)) == ()


def test_all_code_points_have_a_meaning():
    for code, primaries in stated_colors.PRIMARIES.items():
        assert code == 2 or len(primaries) == 4
    for code in stated_colors.PRIMARIES:
        if code != 2:
            assert stated_colors._by_codes((code, 13)).profile is not None


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("level", [0, 1])
def test_a_gray_of_few_bits_may_be_transparent(bits, level):
    header = struct.pack(">2I5B", 16, 8, bits, 0, 0, 0, 0)
    values = [0] * 4 + [1] * 4
    rows = b"".join(
        b"\0" + bytes([sum(v << s for s in range(0, 8, bits))]) * (2 * bits)
        for v in values
    )
    data = raw_files.png(
        header,
        raw_files.zlib.compress(rows),
        (b"tRNS", struct.pack(">H", level)),
    )
    found = image_io.read_picture(data, "a")
    hidden = np.array(values) == level
    np.testing.assert_array_equal(found.alpha[:, 0] == 0, hidden)
    np.testing.assert_allclose(
        found.pixels[~hidden], (1 - level) / (2**bits - 1), atol=1e-6
    )


@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_bmp_file_without_alpha_is_opaque(level):
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., :3] = (10, 120, 200)
    pixels[0, 0, 3] = level
    header = struct.pack(
        "<IiiHHIIiiII", 108, 64, 64, 1, 32, 3, 16384, 1, 1, 0, 0
    )
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header += masks + b"BGRs" + bytes(48)
    start = 14 + len(header)
    data = b"BM" + struct.pack("<IHHI", start + pixels.size, 0, 0, start)
    found = image_io.read_picture(data + header + pixels.tobytes(), "a")
    np.testing.assert_allclose(
        found.pixels[-1, 0] * 255, [200, 120, 10], atol=1e-4
    )
    assert (found.alpha is None) == (level == 0)
    assert level == 0 or found.alpha[-1, 0] == np.float32(level / 255)
