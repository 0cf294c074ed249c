"""Picture files that stay: whole, odd but right, damaged, hostile.

`CASES` has each with its right answer. The files are made here, byte by byte or
by Pillow, tifffile and pillow-heif, from samples that are known beforehand.
"""

import contextlib
import functools
import io
import itertools
import lzma
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import colors_by_hand
import numpy as np
import pytest
import raw_files
from PIL import ExifTags, Image, features

HEIGHT, WIDTH = SIZE = 20, 30  # of nearly all
BASE, IFD = ExifTags.Base, ExifTags.IFD


class Right(NamedTuple):
    """A picture is read."""

    pixels: Any = None  # [H, W, 1 or 3] in [0, 1], or a color; None: any
    alpha: Any = None  # [H, W] in [0, 1]
    notes: tuple[str, ...] | None = ()  # words of each; None: any
    atol: float = 1e-6
    size: tuple[int, int] = SIZE


class Refused(NamedTuple):
    """One sentence, with these words (a regular expression)."""

    words: str = r"it cannot be read: .*\."


class Survived(NamedTuple):
    """A picture, or one sentence: releases of the decoders differ."""


class Case(NamedTuple):
    """A file and its right answer."""

    make: Callable[[], Any]  # bytes, or an image of Pillow
    answer: Right | Refused | Survived


CASES: dict[str, Case] = {}


def _add(name, answer, make, *args, **options):
    """Adds the file that make(*args, **options) returns."""
    assert name not in CASES, name
    CASES[name] = Case(functools.partial(make, *args, **options), answer)


# Samples, and how they are written


def smooth(channels=3, bits=8):
    """Ramps that differ, from 5 to 95 percent, [H, W, C]."""
    rows, columns = np.mgrid[0 : 1 : 1j * HEIGHT, 0 : 1 : 1j * WIDTH]
    ramps = [columns, rows, (1 - columns + rows) / 2, (columns + rows) / 2]
    samples = (2**bits - 1) * (0.05 + 0.9 * np.dstack(ramps[:channels]))
    return np.rint(samples).astype("u1" if bits <= 8 else "u2")


def save(image, form, **options):
    """The bytes of a file that Pillow writes; skips what it cannot write."""
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    if form == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image.squeeze())
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def save_tiff(samples, photometric="rgb", **options):
    """The bytes of a TIFF file that tifffile writes."""
    tifffile = pytest.importorskip("tifffile", reason="writes TIFF files")
    options = {"metadata": None, "software": False, **options}
    file = io.BytesIO()
    tifffile.imwrite(file, samples, photometric=photometric, **options)
    return file.getvalue()


@functools.cache
def pillow_mode(mode):
    """An image of Pillow in a mode, and its answer as a file without loss."""
    rgb, gray = Image.fromarray(smooth()), smooth(1)[..., 0]
    values, opacity = gray[..., None] / 255, 40 + gray // 2
    palette = rgb.quantize(16)
    colors = np.asarray(palette.convert("RGB")) / 255
    if mode == "1":
        image = Image.fromarray(gray).convert("1")
        return image, Right(np.asarray(image)[..., None] * 1.0)
    if mode == "P transparent":
        palette.info["transparency"] = 3
        return palette, Right(colors, (np.asarray(palette) != 3) * 1.0)
    if mode == "RGBa":
        image = pillow_mode("RGBA")[0].convert("RGBa")
        return image, Right(smooth() / 255, opacity / 255, atol=5 / 255)
    if mode == "CMYK":
        inks, right = np.zeros((*SIZE, 4), "u1"), np.ones((*SIZE, 3))
        inks[:, 10:20, 3], right[:, 10:20] = 255, 0
        inks[:, 20:, 1:3], right[:, 20:] = 255, (1, 0, 0)
        answer = Right(right, notes=("guessed",), atol=0.02)
        return Image.fromarray(inks, "CMYK"), answer
    if mode == "LAB":
        lab = np.zeros((*SIZE, 3), "u1")
        lab[:, :15, 0] = 255  # white, and black
        answer = Right((lab[..., :1] > 0) * 1.0, notes=("Lab",), atol=0.02)
        return Image.frombytes("LAB", (WIDTH, HEIGHT), lab.tobytes()), answer
    if mode == "I;16":
        deep = smooth(1, 16)
        return Image.fromarray(deep[..., 0]), Right(deep / 65535)
    plain = {
        "L": (gray, Right(values)),
        "LA": (np.dstack([gray, opacity]), Right(values, opacity / 255)),
        "F": (gray.astype("f4") / 255, Right(values)),
        "RGB": (smooth(), Right(smooth() / 255)),
        "RGBA": (
            np.dstack([smooth(), opacity]),
            Right(smooth() / 255, opacity / 255),
        ),
    }
    if mode in plain:
        samples, answer = plain[mode]
        return Image.fromarray(samples), answer
    if mode == "P":
        return palette, Right(colors)
    # YCbCr, HSV, RGBX: rounded twice.
    return rgb.convert(mode), Right(smooth() / 255, atol=6 / 255)


MODES = (
    *("1", "L", "LA", "P", "P transparent", "RGB", "RGBA", "RGBa", "RGBX"),
    *("CMYK", "YCbCr", "LAB", "HSV", "I;16", "F"),
)
for _mode in MODES:
    _add(f"pillow/{_mode}", pillow_mode(_mode)[1], pillow_mode(_mode)[0].copy)


# PNG: every depth and kind of color, in rows and interlaced

GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
BITS = {GRAY: (1, 2, 4, 8, 16), PALETTE: (1, 2, 4, 8)}
CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGB_ALPHA: 4}


def _add_png(kind, bits, is_keyed):
    """Adds noise in a kind of PNG file, without and with interlacing."""
    rng, highest = np.random.default_rng(bits), 2**bits - 1
    shape = (*SIZE, CHANNELS[kind])
    samples = rng.integers(0, highest, shape, endpoint=True, dtype="u2")
    color, chunks, alpha = samples / highest, [], None
    if kind == PALETTE:
        colors = rng.integers(0, 256, (highest + 1, 3), dtype="u1")
        chunks.append((b"PLTE", colors.tobytes()))
        color = colors[samples[..., 0]] / 255
    if kind in (GRAY_ALPHA, RGB_ALPHA):
        color, alpha = color[..., :-1], color[..., -1]
    elif is_keyed and kind == PALETTE:
        alphas = rng.integers(0, 256, highest + 1, dtype="u1")
        chunks.append((b"tRNS", alphas.tobytes()))
        alpha = alphas[samples[..., 0]] / 255
    elif is_keyed:
        key = samples[3, 4]
        chunks.append((b"tRNS", key.astype(">u2").tobytes()))
        alpha = (samples != key).any(axis=-1) * 1.0
    for interlaced in (False, True):
        name = f"png/kind{kind}/{bits}bits{'/tRNS' * is_keyed}"
        name += "/adam7" * interlaced
        _add(name, Right(color, alpha), raw_files.png_with, samples, bits,
             kind, *chunks, interlaced=interlaced)  # fmt: skip


for _kind in CHANNELS:
    for _bits in BITS.get(_kind, (8, 16)):
        _add_png(_kind, _bits, False)
        if _kind not in (GRAY_ALPHA, RGB_ALPHA):
            _add_png(_kind, _bits, True)


# Colors that are stated otherwise than by a profile


def _gama(number):
    return b"gAMA", struct.pack(">I", number)


def _chrm(primaries, white=colors_by_hand.D65):
    values = [round(100000 * v) for pair in (white, *primaries) for v in pair]
    return b"cHRM", struct.pack(">8I", *values)


def _cicp(primaries, transfer, matrix=0, full=1):
    return b"cICP", bytes([primaries, transfer, matrix, full])


def _gamma(gamma):
    return {"decode": lambda x: x**gamma}


ADOBE, P3 = colors_by_hand.ADOBE, colors_by_hand.P3
_AS_ADOBE = {"primaries": ADOBE, **_gamma(563 / 256)}
_AS_P3 = {"primaries": P3}
ADOBE_PROFILE = raw_files.profile(
    raw_files.rgb_tags(
        [
            raw_files.xyz(*column)
            for column in colors_by_hand.under_d50(ADOBE).T
        ],
        [raw_files.curv(563)] * 3,
    )
)
_ICC, _SRGB_CHUNK = raw_files.icc_chunk(ADOBE_PROFILE), (b"sRGB", b"\0")
# Chunks of a PNG file, and the primaries and the curve that they mean.
STATED: dict[str, tuple[list[tuple[bytes, bytes]], dict[str, Any]]] = {
    "gAMA of sRGB": ([_gama(45455)], {}),
    "gAMA and cHRM of sRGB": ([_gama(45455), _chrm(colors_by_hand.SRGB)], {}),
    "gAMA 1": ([_gama(100000)], _gamma(1.0)),
    "gAMA 1.8": ([_gama(55556)], _gamma(100000 / 55556)),
    "cHRM of Adobe": (
        [_gama(45455), _chrm(ADOBE)],
        {"primaries": ADOBE, **_gamma(100000 / 45455)},
    ),
    "sRGB before gAMA": ([_SRGB_CHUNK, _gama(100000), _chrm(ADOBE)], {}),
    "iCCP before sRGB": ([_ICC, _SRGB_CHUNK], _AS_ADOBE),
    "iCCP before gAMA": ([_gama(100000), _ICC], _AS_ADOBE),
    "cICP of sRGB": ([_cicp(1, 13)], {}),
    "cICP before iCCP": ([_cicp(1, 13), _ICC], {}),
    "cICP of P3": ([_cicp(12, 13)], _AS_P3),
    "cICP before sRGB": ([_cicp(12, 13), _SRGB_CHUNK, _gama(45455)], _AS_P3),
    "cICP linear": ([_cicp(1, 8)], _gamma(1.0)),
    "cICP of BT.2020": ([_cicp(9, 1)], {"primaries": colors_by_hand.BT2020}),
    "cICP of P3 and 2.2": ([_cicp(12, 4)], {**_AS_P3, **_gamma(2.2)}),
    "cICP of nothing": ([_cicp(2, 2), _gama(100000)], _gamma(1.0)),
    "iCCP before PQ": ([_cicp(9, 16), _ICC], _AS_ADOBE),
    "cHRM alone": ([_chrm(ADOBE)], {"primaries": ADOBE}),
    "cHRM of sRGB": ([_gama(55556), _chrm(colors_by_hand.SRGB)], _gamma(1.8)),
    "nearly gAMA of sRGB": ([_gama(45000)], {}),
}
for _name, (_chunks, _space) in STATED.items():
    for _kind, _channels in ((RGB, 3), (GRAY, 1)):
        if _kind == GRAY and _ICC in _chunks:
            continue  # of gray the primaries count nothing
        for _bits in (8, 16):
            _samples = smooth(_channels, _bits)
            _values = _samples / (2**_bits - 1)
            _answer = Right(_values)
            if _space:  # numbers in the file are rounded
                _values = colors_by_hand.to_srgb(_values, **_space)
                _answer = Right(_values, atol=2e-3)
            _add(f"stated/{_name}/{_channels}/{_bits}", _answer,
                 raw_files.png_with, _samples, _bits, _kind,
                 *_chunks)  # fmt: skip
for _transfer, _word in ((16, "PQ"), (18, "HLG")):
    for _primaries in (1, 9):
        _add(f"stated/{_word} {_primaries}",
             Right(smooth() / 255, notes=(rf"HDR \({_word}\)",)),
             raw_files.png_with, smooth(), 8, RGB, _gama(100000),
             _cicp(_primaries, _transfer))  # fmt: skip
for _name, _notes, _chunk in (
    ("short gAMA", None, (b"gAMA", b"\0\0")),  # Pillow refuses it
    ("short cHRM", None, (b"cHRM", bytes(9))),
    ("short cICP", (), (b"cICP", b"\1")),
    ("endless gAMA", ("ignored",), _gama(2**32 - 1)),
    ("gAMA 0", ("ignored",), _gama(0)),
    ("cHRM of 0", ("ignored",), (b"cHRM", bytes(32))),
    ("cHRM of one point", ("ignored",), _chrm([colors_by_hand.D65] * 3)),
    ("unknown cICP", ("code points 77 and 78",), _cicp(77, 78)),
    ("cICP of YCbCr", (), _cicp(1, 13, 1)),
    ("cICP of 16 to 235", ("16 to 235",), _cicp(1, 13, 0, 0)),
    ("nothing of 16 to 235", ("16 to 235",), _cicp(2, 2, 0, 0)),
):
    _more = [_gama(45455)] * ("cHRM" in _name)
    _answer = (
        Survived() if _notes is None else Right(smooth() / 255, None, _notes)
    )
    _add(f"stated/{_name}", _answer,
         raw_files.png_with, smooth(), 8, RGB, _chunk, *_more)  # fmt: skip


def exif_color(space, index=None):
    """EXIF that states a color space."""
    exif = Image.Exif()
    details = exif.get_ifd(IFD.Exif)
    details[BASE.ColorSpace] = space
    if index:
        details[0xA005] = {1: index, 2: b"0100"}
    return exif.tobytes()  # Pillow takes one without other tags for empty


_ADOBE_RIGHT = colors_by_hand.to_srgb(smooth() / 255, **_AS_ADOBE)
for _name, _numbers, _right in (
    ("sRGB", (1, "R98"), smooth() / 255),
    ("Adobe", (65535, "R03"), _ADOBE_RIGHT),
    ("Adobe by number", (2, None), _ADOBE_RIGHT),
    ("uncalibrated", (65535, None), smooth() / 255),
    ("uncalibrated sRGB", (65535, "R98"), smooth() / 255),
    ("sRGB, and Adobe", (1, "R03"), smooth() / 255),
    ("thumbnail", (65535, "THM"), smooth() / 255),
    ("nonsense", (4711, "R03\x1b"), smooth() / 255),
):
    for _form, _options, _atol in (
        ("JPEG", {"quality": 100, "subsampling": 0}, 0.06),
        ("WEBP", {"lossless": True}, 2e-3),
        ("PNG", {}, 2e-3),
        ("TIFF", {}, 2e-3),
    ):
        if _form == "TIFF" and _numbers[1]:
            continue  # Pillow writes no interoperability into it
        _add(f"exif color/{_name}/{_form}", Right(_right, atol=_atol), save,
             smooth(), _form, exif=exif_color(*_numbers),
             **_options)  # fmt: skip
_add("exif color/profile first", Right(_ADOBE_RIGHT, atol=2e-3), save, smooth(),
     "PNG", exif=exif_color(1, "R98"), icc_profile=ADOBE_PROFILE)  # fmt: skip


def _nclx(form, primaries, transfer, **options):
    """A picture of an AVIF or HEIC file whose nclx box says its colors."""
    data = save(smooth(), form, quality=100, **options)
    place = data.find(b"colrnclx")
    if place < 0:
        pytest.skip("this release writes no nclx box")
    put = struct.pack(">HH", primaries, transfer)
    return raw_files.at(data, place + 8, put=put)


for _form, _options in (
    ("AVIF", {"subsampling": "4:4:4"}),
    ("HEIF", {"chroma": 444}),
):
    for _name, _numbers, _right, _notes in (
        ("sRGB", (1, 13), smooth() / 255, ()),
        ("P3", (12, 13), colors_by_hand.to_srgb(smooth() / 255, P3), ()),
        (
            "BT.2020",
            (9, 13),
            colors_by_hand.to_srgb(smooth() / 255, colors_by_hand.BT2020),
            (),
        ),
        ("unspecified", (2, 2), smooth() / 255, ()),
        ("PQ", (9, 16), None, ("PQ",)),
        ("HLG", (9, 18), None, ("HLG",)),
    ):
        _add(f"nclx/{_name}/{_form}", Right(_right, None, _notes, 0.07), _nclx,
             _form, *_numbers, **_options)  # fmt: skip


# BMP: byte by byte


def _add_bmps():
    rng = np.random.default_rng(0)
    for bits in (1, 4, 8):
        colors = rng.integers(0, 256, (2**bits, 4), dtype="u1")
        values = rng.integers(0, 2**bits, SIZE, dtype="u1")
        _add(f"bmp/palette{bits}", Right(colors[values][..., 2::-1] / 255),
             raw_files.bmp, values, bits, palette=colors.tobytes())  # fmt: skip
    rows = np.arange(HEIGHT)
    runs = b"".join(b"\x1e" + bytes([row]) + b"\0\0" for row in rows)
    grays = np.arange(256, dtype="u1")[:, None].repeat(4, 1).tobytes()
    rle = {"packing": 1, "palette": grays}
    answer = Right(rows[::-1, None, None] / 255)
    _add("bmp/rle8", answer, raw_files.bmp_of, runs + b"\0\1", SIZE, 8, **rle)
    _add("bmp/rle8/beyond", Survived(), raw_files.bmp_of,
         b"\0\2\xff\xff" * 9999, SIZE, 8, **rle)  # fmt: skip
    five = rng.integers(0, 32, (*SIZE, 3))
    for name, scale, options in (
        ("555", (1, 1, 1), {}),
        ("565", (1, 2, 1), {"packing": 3, "masks": (0xF800, 0x7E0, 0x1F)}),
    ):
        red, green, blue = np.moveaxis(five * scale, -1, 0)
        words = (red << (10 if name == "555" else 11)) + (green << 5) + blue
        right = five * scale / (31, 31 * scale[1] + scale[1] - 1, 31)
        _add(f"bmp/{name}", Right(right, atol=1.01 / 255), raw_files.bmp,
             words, 16, **options)  # fmt: skip
    color, right = smooth()[..., ::-1], smooth() / 255
    _add("bmp/24", Right(right), raw_files.bmp, color, 24)
    _add("bmp/os2", Right(right), raw_files.bmp, color, 24, header=12)
    below = raw_files.bmp(color[::-1], 24)
    below = raw_files.at(below, 22, put=struct.pack("<i", -HEIGHT))
    _add("bmp/down", Right(right), bytes, below)
    opacity = 40 + smooth(1)[..., 0] // 2
    masks = 0xFF0000, 0xFF00, 0xFF
    for name, fourth, alpha in (
        ("0", np.zeros(SIZE), None),  # as files of 32 bits often lie
        ("255", np.full(SIZE, 255), None),
        ("ramp", opacity, opacity / 255),
    ):
        four = np.dstack([color, fourth]).astype("u1")
        _add(f"bmp/32/{name}", Right(right), raw_files.bmp, four, 32)
        for header, last in ((108, 0), (108, 0xFF000000), (124, 0xFF000000)):
            answer = Right(right, alpha if last else None)
            _add(f"bmp/32/v{header}/{last}/{name}", answer, raw_files.bmp, four,
                 32, header=header, packing=3,
                 masks=(*masks, last))  # fmt: skip


_add_bmps()


# TIFF: layouts and kinds of samples

LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 3},
    "planes": {"planarconfig": "separate"},
    "big-endian": {"byteorder": ">"},
    "big": {"bigtiff": True},
    "tiles": {"tile": (16, 16)},
    "deflate": {"compression": "zlib"},
    "predicted": {"compression": "zlib", "predictor": True},
    "deflated strips": {"compression": "zlib", "rowsperstrip": 3},
    "deflated tiles": {"compression": "zlib", "tile": (16, 16)},
}
LAYOUTS["all"] = {k: v for each in LAYOUTS.values() for k, v in each.items()}
del LAYOUTS["all"]["rowsperstrip"], LAYOUTS["all"]["predictor"]


def _add_tiffs_of(bits):
    """Adds TIFF files of 8 or 16 bits that tifffile writes."""
    gray, highest = smooth(1, bits)[..., 0], 2**bits - 1
    for order in "<>":
        for packing in (None, "zlib"):
            _add(f"tiff/white is 0/{bits}{order}{packing}",
                 Right(1 - gray[..., None] / highest), save_tiff, gray,
                 "miniswhite", byteorder=order,
                 compression=packing)  # fmt: skip
    color = smooth(4, bits) / highest
    color[..., 3] = 0.25 + 0.75 * color[..., 3]
    color[..., :3] *= color[..., 3:]
    four = np.rint(highest * color).astype(gray.dtype)
    # Pillow divides integers, and cuts what remains.
    answer = Right(four[..., :3] / four[..., 3:], four[..., 3] / highest,
                   atol=1.01 / 255 if bits == 8 else 1e-6)  # fmt: skip
    _add(f"tiff/premultiplied/{bits}", answer, save_tiff, four,
         extrasamples=["assocalpha"])  # fmt: skip
    for channels, kind in ((2, "minisblack"), (4, "rgb")):
        options = {"extrasamples": ["unassalpha"], "planarconfig": "contig"}
        samples = smooth(channels, bits)
        values = samples / highest
        _add(f"tiff/alpha/{channels}/{bits}",
             Right(values[..., :-1], values[..., -1]), save_tiff, samples, kind,
             **options)  # fmt: skip
        clear = samples.copy()
        clear[..., -1] = 0
        _add(f"tiff/alpha 0/{channels}/{bits}", Refused("fully transparent"),
             save_tiff, clear, kind, **options)  # fmt: skip


def _add_tiffs():
    for layout, options in LAYOUTS.items():
        for kind in ("u1", "u2", "f4"):
            if kind == "f4" and "predictor" in options:
                continue  # another predictor, of another package
            bits = 16 if kind == "u2" else 8
            right = (smooth(3, bits) / (2**bits - 1)).astype("f4")
            stored = right if kind == "f4" else smooth(3, bits)
            if "planarconfig" in options:
                stored = np.moveaxis(stored, -1, 0)
            _add(f"tiff/{layout}/{kind}", Right(right), save_tiff, stored,
                 **options)  # fmt: skip
    _add_tiffs_of(8)
    _add_tiffs_of(16)
    for kind in ("f2", "f4", "f8"):
        for channels, name in ((1, "minisblack"), (3, "rgb")):
            values = (smooth(channels) / 256).astype(kind)
            _add(f"tiff/{kind}/{channels}", Right(values), save_tiff,
                 values.squeeze(), name)  # fmt: skip
            for wrong in (1.5, -0.25, np.nan):
                other = values.copy()
                other[3, 4] = wrong
                _add(f"tiff/{kind}/{channels}/{wrong}",
                     Refused(r"values are .*\[0, 1\]"), save_tiff,
                     other.squeeze(), name)  # fmt: skip
    for kind in ("i2", "u4", "c8"):
        _add(f"tiff/{kind}", Survived(), save_tiff, smooth().astype(kind))
    for bits in (2, 4, 12):  # gray of few bits
        values = np.arange(WIDTH * HEIGHT).reshape(*SIZE, 1) % 2**bits
        ones = values >> np.arange(bits)[::-1] & 1
        data = np.packbits(ones.reshape(HEIGHT, -1), axis=-1).tobytes()
        page = raw_files.tiff_page(data, SIZE, bits, 1)
        _add(f"tiff/gray of {bits} bits", Right(values / (2**bits - 1)),
             raw_files.tiff, data, page)  # fmt: skip
    for mode in ("1", "L", "P", "CMYK", "LAB", "YCbCr"):
        for packing in (None, "tiff_lzw", "packbits", "tiff_adobe_deflate"):
            image, answer = pillow_mode(mode)
            _add(f"tiff/{mode}/{packing}", answer, save, image, "TIFF",
                 compression=packing)  # fmt: skip


_add_tiffs()


# Samples of every format, and what becomes of them when they are damaged


def _by_pillow(form, mode="RGB", atol=1e-6, **options):
    image, answer = pillow_mode(mode)
    answer = answer._replace(atol=max(answer.atol, atol))
    return answer, save, image, form, options


def _by_tifffile(samples, highest, **options):
    return Right(samples / highest), save_tiff, samples.squeeze(), options


def _by_hand(bits, channels):
    samples = smooth(channels, bits)
    color, alpha = samples / (2**bits - 1), None
    if channels in (2, 4):
        color, alpha = color[..., :-1], color[..., -1]
    return Right(color, alpha), raw_files.png_of, samples, {}


_DEEP, _FLOATS = smooth(3, 16), (smooth() / 255).astype("f4")
_GRAY = {"photometric": "minisblack"}
SAMPLES = {
    "png8": _by_pillow("PNG", dpi=(72, 72)),
    "png8_rgba": _by_pillow("PNG", "RGBA"),
    "png_palette": _by_pillow("PNG", "P transparent"),
    "png16": _by_hand(16, 3),
    "png16_rgba": _by_hand(16, 4),
    "png16_gray": _by_hand(16, 1),
    "jpeg": _by_pillow("JPEG", atol=0.07, quality=95),
    "jpeg_gray": _by_pillow("JPEG", "L", atol=0.07),
    "jpeg_progressive": _by_pillow("JPEG", atol=0.07, progressive=True),
    "jpeg_cmyk": _by_pillow("JPEG", "CMYK", atol=0.07, quality=95),
    "webp": _by_pillow("WEBP", "RGBA", 0.07, quality=95, exact=True),
    "webp_lossless": _by_pillow("WEBP", "RGBA", lossless=True, exact=True),
    "tiff8": _by_pillow("TIFF"),
    "tiff8_deflate": _by_pillow("TIFF", compression="tiff_adobe_deflate"),
    "tiff8_lzw": _by_pillow("TIFF", compression="tiff_lzw"),
    "tiff8_cmyk": _by_pillow("TIFF", "CMYK"),
    "tiff16": _by_tifffile(_DEEP, 65535),
    "tiff16_gray": _by_tifffile(_DEEP[..., :1], 65535, **_GRAY),
    "tiff16_deflate": _by_tifffile(
        _DEEP, 65535, compression="zlib", predictor=True
    ),
    "tiff16_tiled": _by_tifffile(
        _DEEP, 65535, compression="zlib", tile=(16, 16)
    ),
    "tiff16_big": _by_tifffile(_DEEP, 65535, bigtiff=True),
    "tiff_float": _by_tifffile(_FLOATS, 1),
    "tiff_float_gray": _by_tifffile(_FLOATS[..., :1], 1, **_GRAY),
    "bmp": _by_pillow("BMP"),
    "bmp_gray": _by_pillow("BMP", "L"),
    "gif": _by_pillow("GIF", "P"),
    "gif_transparent": _by_pillow("GIF", "P transparent"),
    "ppm": _by_pillow("PPM"),
    "pbm": _by_pillow("PPM", "1"),
    "avif": _by_pillow("AVIF", atol=0.07, quality=95),
    "avif_rgba": _by_pillow("AVIF", "RGBA", 0.07, quality=95),
    "heic": _by_pillow("HEIF", atol=0.07, quality=95),
}


@functools.cache
def sample(name):
    """The bytes of a small whole file; skips the test if it cannot be made."""
    _, make, *args, options = SAMPLES[name]
    return make(*args, **options)


def available():
    """The samples that can be made here."""
    for name in SAMPLES:
        with contextlib.suppress(pytest.skip.Exception):
            yield name, sample(name)


def scattered(data, seed):
    """Replaces some bytes."""
    rng = np.random.default_rng(seed)
    result = bytearray(data)
    for place in rng.integers(len(data), size=5):
        result[place] = rng.integers(256)
    return bytes(result)


DAMAGES: dict[str, tuple[Any, Callable[[bytes], bytes]]] = {
    "a byte": (Refused(), lambda data: data[:1]),
    "a header": (Refused(), lambda data: data[:16]),
    "a quarter": (Refused(), lambda data: data[: len(data) // 4]),
    "half": (Refused(), lambda data: data[: len(data) // 2]),
    "no end": (Survived(), lambda data: data[:-4]),
    "zeros first": (Refused(), lambda data: bytes(12) + data[12:]),
    "ones first": (Refused(), lambda data: b"\xff" * 12 + data[12:]),
    "zeros within": (
        Survived(),
        lambda data: raw_files.at(
            data, len(data) // 2, put=bytes(len(data) // 4)
        ),
    ),
    "doubled": (Survived(), lambda data: data + data),
    "bytes": (Survived(), lambda data: scattered(data, 0)),
}
for _name, (_answer, *_) in SAMPLES.items():
    _add(f"whole/{_name}", _answer, sample, _name)
    for _damage, (_answer, _apply) in DAMAGES.items():
        _add(f"damaged/{_name}/{_damage}", _answer,
             lambda name, apply: apply(sample(name)), _name,
             _apply)  # fmt: skip


# What is no picture, and raw photographs


def box(name, *parts):
    """A box of an ISO file."""
    data = b"".join(parts)
    return struct.pack(">I4s", 8 + len(data), name) + data


for _name, _data, _words in (
    ("empty", b"", "is empty"),
    ("one zero", b"\0", "not an image"),
    ("text", b"Dear reader,\n\nthis is no picture.\n", "not an image"),
    ("web page", b"<!DOCTYPE html>\n<html>404</html>", "a web page"),
    ("web page with spaces", b"\n  <html><head></head></html>", "a web page"),
    ("PDF", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "not an image"),
    ("SVG", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    ("EPS", b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),
    ("zip", b"PK\3\4" + bytes(60), "not an image"),
    ("video", box(b"ftyp", b"isom", bytes(4)) + bytes(60), "not an image"),
    ("PNG alone", raw_files.PNG, ""),
    ("TIFF alone", b"II*\0", ""),
    ("TIFF without a page", b"MM\0*\0\0\0\x08", ""),
    ("PPM alone", b"P6", ""),
    ("PPM without samples", b"P6 10 10 255\n", ""),
    ("PPM of a value too large", b"P3 2 2 255\n" + b"1" * 5000, ""),
    ("PPM of a long number", b"P6 " + b"9" * 5000 + b" 1 255\n", ""),
    ("PPM of 0", b"P6 0 0 255\n", ""),
    ("PPM of a negative size", b"P6 -5 -5 255\n" + bytes(75), ""),
    ("PPM of maximum 0", b"P5 5 5 0\n" + bytes(25), ""),
    ("PPM of a comment without end", b"P6 #" + b"x" * 5000, ""),
):
    _add(
        f"no picture/{_name}", Refused(_words or Refused().words), bytes, _data
    )


def _camera_file(**tags):
    """A camera's file in the shape of a TIFF file."""
    data = bytes(3 * HEIGHT * WIDTH)
    return raw_files.tiff(data, raw_files.tiff_page(data, SIZE, **tags))


def _preview_first(order="<", big=False, **tags):
    """A camera's file whose samples are beside the page of their preview."""
    data = bytes(3 * HEIGHT * WIDTH)
    head = raw_files.tiff_head(order, big)

    def preview(place):
        kinds = {"t254": (4, [1]), "t330": (4, [place])}
        page = raw_files.tiff_page(data, SIZE, **tags, **kinds)
        return raw_files.directory(len(head), data, page, (), 0, order, big)

    place = len(head) + len(preview(0))
    sensor = raw_files.tiff_page(data, SIZE, t262=(3, [32803]))
    below = raw_files.directory(place, data, sensor, (), 0, order, big)
    return head + preview(place) + below


_DNG = {"t50706": (1, b"\1\4\0\0")}
for _name, _data in (
    ("DNG", _camera_file(**_DNG, t262=(3, [32803]))),
    ("DNG of a preview", _camera_file(**_DNG, t254=(4, [1]))),
    ("DNG with a preview first", _preview_first(**_DNG)),
    ("linear DNG", _camera_file(**_DNG, t262=(3, [34892]))),
    ("TIFF/EP", _camera_file(t262=(3, [32803]))),
    ("CR2", b"II*\0\x10\0\0\0CR\2\0"),
    ("NEF", _preview_first(t271=(2, b"NIKON CORPORATION\0"))),
    ("NEF, big", _preview_first(">", True)),
    ("ORF", b"IIRO\x08\0\0\0"),
    ("ORF of old", b"IIRS\x08\0\0\0"),
    ("ORF, big-endian", b"MMOR\0\0\0\x08"),
    ("RW2", b"IIU\0\x18\0\0\0"),
    ("RAF", b"FUJIFILMCCD-RAW 0201FF383501"),
    ("CR3", box(b"ftyp", b"crx ", bytes(4), b"crx isom")),
    ("CRW", b"II\x1a\0\0\0HEAPCCDR"),
    ("X3F", b"FOVb\0\0\2\0"),
    ("MRW", b"\0MRM\0\0\0\0"),
    ("IIQ", b"II*\0\x08\0\0\0IIII"),
):
    _answer = Refused(
        r"it is a raw photograph \(.*\); export it as TIFF or JPEG from the "
        r"camera's program or another raw converter\.$"
    )
    _add(f"raw/{_name}", _answer, bytes, _data + bytes(200))


# Files with more than one picture

RED, BLUE = np.array((1.0, 0, 0)), np.array((0, 0, 1.0))
SMALL = HEIGHT // 3, WIDTH // 3


def _pages(pages, bits, order, big):
    """A TIFF file of pages: for each its color, size and kind of subfile."""
    made = []
    for color, size, kind in pages:
        samples = np.zeros((*size, 3)) + (2**bits - 1) * color
        data = samples.astype(f"{order}u{bits // 8}").tobytes()
        kind = 4, [kind]
        made.append((data, raw_files.tiff_page(data, size, bits, t254=kind)))
    return raw_files.tiff_of(*made, order=order, big=big)


# By the kinds of subfiles: 0 whole, 1 reduced, 2 a page of several, 4 a mask.
_WHOLE, _REDUCED, _MASK = (RED, SIZE, 0), (BLUE, SMALL, 1), (BLUE, SIZE, 4)
_OTHER = ("it has 2 pictures; the first was read",)
_LARGEST = ("marked as previews; the largest was read",)
for _name, _notes, *_made in (
    ("preview first", (), _REDUCED, _WHOLE),
    ("preview last", (), _WHOLE, _REDUCED),
    ("two pages", _OTHER, _WHOLE, (BLUE, SIZE, 0)),
    ("two numbered pages", _OTHER, (RED, SIZE, 2), (BLUE, SIZE, 2)),
    ("preview and two pages", _OTHER, _REDUCED, _WHOLE, (BLUE, SMALL, 0)),
    ("mask last", (), _WHOLE, _REDUCED, _MASK),
    ("mask first", (), _MASK, (BLUE, SIZE, 1), (RED, SIZE, 2)),
    ("two previews", _LARGEST, _REDUCED, (RED, SIZE, 1)),
):
    for _bits, _order, _big in itertools.product((8, 16), "<>", (False, True)):
        _add(f"pages/{_name}/{_bits}{_order}{'/big' * _big}",
             Right(RED, notes=_notes), _pages, _made, _bits, _order,
             _big)  # fmt: skip


def _frames(form, *sizes, **options):
    """A file of pictures in plain colors, red first."""
    colors = "red", "blue", "gray"
    images = [
        Image.new("RGB", size[::-1], color)
        for size, color in zip(sizes, colors, strict=False)
    ]
    return save(
        images[0], form, save_all=True, append_images=images[1:], **options
    )


_FRAMES = ("it is an animation of 3 frames; the first was read",)
for _form, _notes, _sizes, _options in (
    ("GIF", ("an animation; its first frame was",), (SIZE,) * 3, {}),
    ("WEBP", _FRAMES, (SIZE,) * 3, {"lossless": True}),
    ("PNG", _FRAMES, (SIZE,) * 3, {}),
    ("PNG", None, (SIZE,) * 3, {"default_image": True}),
    ("AVIF", _FRAMES, (SIZE,) * 3, {}),
    ("TIFF", ("it has 3 pictures; the first was",), (SIZE,) * 3, {}),
    ("HEIF", ("has 3 pictures; the primary one was",), (SIZE,) * 3, {}),
    ("MPO", None, (SIZE,) * 2, {"quality": 95}),
    ("MPO", (), (SIZE, SMALL), {"quality": 95}),  # as a gain map
):
    _answer = Right(RED, notes=_notes, atol=0.02)
    _add(f"frames/{_form}/{len(_options)}/{len({*_sizes})}", _answer, _frames,
         _form, *_sizes, **_options)  # fmt: skip


# Orientations: how an upright picture is turned into what a camera stores, the
# inverse of what CIPA DC-008 asks of a reader.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,  # counterclockwise
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def _turned(form, orientation, channels, bits, **options):
    """A file of a picture that was turned, and says so."""
    samples = smooth(channels, bits)
    if (method := STORED.get(orientation)) is not None:
        planes = np.moveaxis(samples, -1, 0).copy()
        samples = np.dstack(
            [np.asarray(Image.fromarray(p).transpose(method)) for p in planes]
        )
    if form == "TIFF":
        tag = 274, "H", 1, orientation, True
        return save_tiff(samples, extratags=[tag], **options)
    exif = Image.Exif()
    exif[BASE.Orientation] = orientation
    if bits == 16:
        chunk = b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")
        return raw_files.png_of(samples, chunk)
    return save(samples, form, exif=exif.tobytes(), **options)


_ALPHA = {"extrasamples": ["unassalpha"]}
for _orientation in (0, 1, *STORED, 9, 65535):
    for _form, _bits, _channels, _atol, _options in (
        ("PNG", 8, 4, 1e-6, {}),
        ("PNG", 16, 4, 1e-6, {}),
        ("TIFF", 8, 4, 1e-6, _ALPHA),
        ("TIFF", 16, 4, 1e-6, _ALPHA),
        ("WEBP", 8, 4, 1e-6, {"lossless": True, "exact": True}),
        ("JPEG", 8, 3, 0.02, {"quality": 100, "subsampling": 0}),
        ("AVIF", 8, 3, 0.03, {"quality": 100, "subsampling": "4:4:4"}),
        ("HEIF", 8, 3, 0.03, {"quality": 100, "chroma": 444}),
    ):
        _values = smooth(_channels, _bits) / (2**_bits - 1)
        _alpha = _values[..., 3] if _channels == 4 else None
        _add(f"turned/{_form}{_bits}/{_orientation}",
             Right(_values[..., :3], _alpha, atol=_atol), _turned, _form,
             _orientation, _channels, _bits, **_options)  # fmt: skip


# Headers that promise more than there is


def _put_after(name, word, beyond, put):
    """A sample with other bytes behind a word in it."""
    data = sample(name)
    return raw_files.at(data, data.index(word) + beyond, put=put)


_HUGE, _SIDE = b"\xff" * 4, (16382).to_bytes(3, "little")
for _name, _word, _beyond, _put in (
    ("bmp", b"BM", 18, b"\xff\xff\xff\x7f" * 2),
    ("gif", b"GIF8", 6, _HUGE),
    ("gif_transparent", b",\0\0\0\0", 5, _HUGE),
    ("jpeg", b"\xff\xc0", 5, _HUGE),
    ("jpeg_progressive", b"\xff\xc2", 5, _HUGE),
    ("webp", b"VP8X", 12, _SIDE * 2),
    ("avif", b"ispe", 8, struct.pack(">II", 30000, 30000)),
    ("heic", b"ispe", 8, struct.pack(">II", 30000, 30000)),
):
    # One box of several may be that of a thumbnail.
    _answer = Survived() if _word in (b"ispe", b"VP8X") else Refused()
    _add(f"absurd/{_name}", _answer, _put_after, _name, _word, _beyond, _put)
_add("absurd/ppm", Refused(), bytes, b"P6 100000 100000 255\n" + bytes(100))
_EMPTY = bytes(12 * HEIGHT * WIDTH)
# Tags of TIFF files with values that no writer writes.
ODD_TAGS: dict[str, dict[str, Any]] = {
    "huge": {"t256": (4, [2**31]), "t257": (4, [2**31])},
    "wide": {"t256": (4, [2**31])},
    "5000 channels": {"t277": (3, [5000])},
    "no channels": {"t277": (3, [0])},
    "two channels of RGB": {"t277": (3, [2]), "t258": (3, [16, 16])},
    "no width": {"t256": (4, [0])},
    "many widths": {"t256": (4, [10] * 90), "t257": (4, [2**32 - 1])},
    "width of bytes": {"t256": (7, b"10"), "t257": (4, [2**32 - 1])},
    "many compressions": {"t259": (3, [1] * 2000)},
    "another compression": {"t259": (3, [4711])},
    "depth": {"t32997": (4, [2**31])},
    "another photometric": {"t262": (3, [999])},
    "bits of all kinds": {"t258": (3, [1, 16, 64])},
    "signed": {"t339": (3, [2, 2, 2])},
    "no rows": {"t278": (4, [0])},
    "no bytes": {"t279": (4, [0])},
    "too many bytes": {"t279": (4, [2**32 - 1])},
    "more counts than strips": {"t279": (4, [600] * 3000)},
    "orientation": {"t274": (7, b"left")},
    "extra channels": {"t338": (3, [1, 2, 0])},
    "profile of numbers": {"t34675": (3, [7] * 300)},
    "pages in itself": {"t330": (4, [8] * 40)},
    "kind of bytes": {"t254": (7, b"left")},
}
for _bits in (8, 16, 32):
    _page = functools.partial(raw_files.tiff_page, _EMPTY, SIZE, _bits)
    for _name, _tags in ODD_TAGS.items():
        _answer = Refused() if _name in ("huge", "wide") else Survived()
        _add(f"tags/{_name}/{_bits}", _answer, raw_files.tiff, _EMPTY,
             _page(**_tags))  # fmt: skip
    _add(f"tags/loop/{_bits}", Right(notes=None), raw_files.tiff, _EMPTY,
         _page(), next_directory=8)  # fmt: skip
    for _code in (258, 273, 279, 270, 34675, 50000):
        _tags = {f"t{_code}": (7, b"12345678")} if _code not in _page() else {}
        _add(f"tags/endless {_code}/{_bits}", Survived(), raw_files.tiff,
             _EMPTY, _page(**_tags), counts={_code: 2**32 - 1})  # fmt: skip


# Small files that would become large ones

LARGE = 300  # MB, twice what a test lets a reader take


@functools.cache
def zeros(megabytes=LARGE):
    """Deflated zeros."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(megabytes)]
    return b"".join(parts) + packer.flush()


def _png_bomb(bits, name, begin, count, is_after):
    """A PNG file of 10 x 10 with chunks that inflate."""
    rows = zlib.compress(bytes(10 * (1 + 30 * bits // 8)))
    data = zeros(LARGE if count == 1 else 1)
    chunks = [
        (name, begin.replace(b"#", b"%d" % i) + data) for i in range(count)
    ]
    header = raw_files.png_header(10, 10, bits)
    if is_after:
        return raw_files.png(header, rows, after=chunks)
    return raw_files.png(header, rows, *chunks)


def _tiff_bomb(bits, compression=8, tile=None, **tags):
    """A TIFF file with a part that inflates."""
    data = zeros()
    page = raw_files.tiff_page(data, SIZE, bits, 3, compression, **tags)
    if tile:
        for code in (273, 278, 279):
            del page[code]
        numbers = {322: 16384, 323: tile, 324: 0, 325: len(data)}
        page |= {code: (4, [value]) for code, value in numbers.items()}
    return raw_files.tiff(data, page)


def _packed_bomb(bits, compression, data, count=1, side=10, **tags):
    """A TIFF file with data that some packer made, in each of its strips."""
    page = raw_files.tiff_page(data, (side, side), bits, 3, compression, **tags)
    page |= {273: (4, [0] * count), 279: (4, [len(data)] * count)}
    return raw_files.tiff(data, page)


for _bits in (8, 16):
    _add(f"bomb/png{_bits}", Survived(), lambda bits: raw_files.png(
        raw_files.png_header(10, 10, bits), zeros()), _bits)  # fmt: skip
    for _chunk, _begin, _count in (
        (b"iCCP", b"a#\0\0", 1),
        (b"zTXt", b"a#\0\0", 1),
        (b"zTXt", b"a#\0\0", 200),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0", 1),
    ):
        for _after in (False, True):
            _add(f"bomb/png{_bits}/{_chunk.decode()}{_count}/{_after}",
                 Survived(), _png_bomb, _bits, _chunk, _begin, _count,
                 _after)  # fmt: skip
    for _name, _options in {
        "deflate": {},
        "old deflate": {"compression": 32946},
        "tall strip": {"t278": (4, [2**31])},
        **{f"tile {side}": {"tile": side} for side in (16, 8192, 16384)},
    }.items():
        _add(f"bomb/tiff{_bits}/{_name}", Survived(), _tiff_bomb, _bits,
             **_options)  # fmt: skip
    _add(f"bomb/tiff{_bits}/packbits", Survived(), _packed_bomb, _bits, 32773,
         b"\x81\0" * 1500000)  # fmt: skip
    _add(f"bomb/tiff{_bits}/strip 20000 times", Survived(), _packed_bomb, _bits,
         8, zlib.compress(bytes(3000000 * _bits // 8)), 20000,
         1000)  # fmt: skip
_add("bomb/tiff float", Survived(), _tiff_bomb, 32, t339=(3, [3, 3, 3]))
_add("bomb/tiff lzma", Survived(), lambda: _packed_bomb(
    16, 34925, lzma.compress(bytes(LARGE << 20), preset=0)))  # fmt: skip


# What goes with a picture, damaged: it costs no picture


def noise(length, seed):
    """Random bytes."""
    return np.random.default_rng(seed).bytes(length)


def damaged_exif():
    """EXIF that no camera wrote: name -> bytes."""
    whole = Image.Exif()
    whole[BASE.Make] = "a camera"
    whole[BASE.XResolution] = 300
    whole.get_ifd(IFD.Exif)[BASE.LensModel] = "a lens"
    whole = whole.tobytes()[6:]
    begin = b"MM\0*\0\0\0\x08"

    def one(tag, kind, count, value):
        return begin + struct.pack(">HHHI4s4x", 1, tag, kind, count, value)

    return {
        "noise": noise(300, 1),
        "noise behind a header": begin + noise(300, 2),
        "empty": b"",
        "short": begin[:5],
        "cut": whole[: len(whole) // 2],
        # Its own next directory, and its own directory of exposure.
        "loop": one(0x8769, 4, 1, b"\0\0\0\x08")[:-4] + b"\0\0\0\x08",
        "many": begin + b"\xff\xff" + bytes(60),
        "far": b"MM\0*\xff\xff\xff\xf0" + bytes(60),
        "orientation": one(0x0112, 3, 1, b"\xff\xff"),
        "orientation of text": one(0x0112, 2, 4, b"left"),
        "dpi by zero": one(0x011A, 5, 1, b"\0\0\0\x1a") + bytes(8),
        **{f"bytes {seed}": scattered(whole, seed) for seed in range(20)},
    }


for _form in ("JPEG", "PNG", "WEBP"):
    for _name, _data in damaged_exif().items():
        # Some of the scattered bytes turn the picture.
        _answer = Survived() if "bytes" in _name else Right()
        _add(f"exif/{_form}/{_name}", _answer, save, smooth(), _form,
             exif=b"Exif\0\0" + _data)  # fmt: skip


def _damaged_profiles():
    """Color profiles that nobody made: name, bytes."""
    xyz = raw_files.xyz(0.4, 0.4, 0.3)
    black, huge = raw_files.xyz(0, 0, 0), raw_files.xyz(32767, -32768, 32767)
    gamma = raw_files.curv(512)

    def make(curve=gamma, colors=(xyz, xyz, xyz), space=b"RGB ", count=None):
        tags = raw_files.rgb_tags(colors, [curve] * 3)
        if space == b"GRAY":
            tags = {b"kTRC": curve}
        return raw_files.profile(tags, space, count=count)

    for name, curve in {
        "endless": struct.pack(">4s4xI", b"curv", 2**32 - 1),
        "cut": gamma[:9],
        "none": b"",
        "gamma 0": raw_files.para(0, 0),
        "gamma very negative": raw_files.para(0, -32768),
        "gamma large": raw_files.para(0, 32767),
        "no slope": raw_files.para(1, 2.4, 0, 0.1),
        "negative slope": raw_files.para(3, 2.4, -1, 0.5, 1, 0.5),
        "negative base": raw_files.para(4, 0.5, -2, -2, -3, 0.5, -1, 7),
        "poles": raw_files.para(4, -3, 1, 0, -9, 0, -7, 7),
        "unknown kind": raw_files.para(9, 1),
    }.items():
        yield name, make(curve)
        yield f"{name}, black", make(curve, (xyz, black, huge))
        yield f"{name}, huge", make(curve, (xyz, huge, huge))
    whole = make()
    yield "tags beyond the end", whole[: 132 + 12 * 6]
    yield "half a table", whole[: 132 + 30]
    yield "many tags", make(count=2**32 - 1)
    yield "no tags", make(count=0)
    yield "another space", make(space=b"\xff\0\n\r")
    yield "gray", make(raw_files.para(0, -1), space=b"GRAY")
    yield "noise", noise(500, 3)
    yield "noise behind a header", whole[:128] + noise(500, 4)
    yield "tables of noise", raw_files.at(whole, 132, put=b"A2B0")
    yield "empty", b"\0"
    yield "no signature", whole.replace(b"acsp", b"acsq")
    for seed in range(30):
        yield f"bytes {seed}", scattered(whole, seed)


# By the beginning of a profile's name: what the note says, and whether its
# colors stay; the others' curves are applied, however odd.
PROFILE_NOTES = {
    "bytes": None,
    "gray": r"profile is for GRAY; ignored$",
    **dict.fromkeys(["no tags", "tables of"], r"is unusable; .* are guessed$"),
    **dict.fromkeys(
        [
            *("endless", "cut", "none", "unknown", "tags beyond", "half"),
            *("many tags", "another", "noise", "empty", "no signature"),
        ],
        r"color profile is damaged: it.*; ignored$",
    ),
}
for _name, _data in _damaged_profiles():
    _words = [w for n, w in PROFILE_NOTES.items() if _name.startswith(n)]
    _answer = Right()
    if _words == [None]:
        _answer = Right(notes=None)
    elif _words:
        _answer = Right(smooth() / 255, None, tuple(_words), 0.07)
    for _form in ("JPEG", "PNG", "WEBP"):
        _add(f"profile/{_form}/{_name}", _answer, save, smooth(), _form,
             icc_profile=_data)  # fmt: skip
    _add(f"profile/tiff16/{_name}", _answer, save_tiff, _DEEP, iccprofile=_data)
    _add(f"profile/png16/{_name}", _answer, raw_files.png_of, _DEEP,
         raw_files.icc_chunk(_data))  # fmt: skip


# XMP that no program wrote.
XMP = (
    "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf="
    "'http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description xmlns:dc="
    "'http://purl.org/dc/elements/1.1/'><dc:title>{}</dc:title>{}"
    "</rdf:Description></rdf:RDF></x:xmpmeta>"
)
_LAUGHS = "".join(
    f'<!ENTITY {name} "{f"&{before};" * 30}">'
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
DAMAGED_XMP = {
    "empty": b"",
    "noise": noise(300, 5),
    "cut": XMP.format("a", "")[:200],
    "laughs": f'<!DOCTYPE x [<!ENTITY a "ha">{_LAUGHS}]>'
    + XMP.format("&i;", ""),
    "another file": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    + XMP.format("&a;", ""),
    "deep": "<a>" * 10000,
    "deep and closed": "<a>" * 8000 + "</a>" * 8000,
    "wide": XMP.format("a", "<dc:title/>" * 4000),
    "attributes": f"<a {' '.join(f'b{i}=' + repr('') for i in range(5000))}/>",
    "UTF-16": XMP.format("a", "").encode("utf-16"),
    "not UTF-8": XMP.format("\xff\xfe", "").encode("latin-1"),
    "escapes": XMP.format("\x1b[2J\u202e", ""),
    "zeros": bytes(3000),
}
for _name, _data in DAMAGED_XMP.items():
    _data = _data.encode() if isinstance(_data, str) else _data
    _answer = Right(smooth() / 255, atol=0.07)
    _add(f"xmp/JPEG/{_name}", _answer, save, smooth(), "JPEG", xmp=_data)
    _add(f"xmp/WEBP/{_name}", _answer, save, smooth(), "WEBP", xmp=_data)
    _add(f"xmp/TIFF/{_name}", _answer, save, smooth(), "TIFF",
         tiffinfo={700: _data})  # fmt: skip
    _add(f"xmp/PNG/{_name}", _answer, raw_files.png_with, smooth(), 8, RGB,
         (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _data))  # fmt: skip
