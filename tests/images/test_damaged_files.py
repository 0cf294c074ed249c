"""Damaged files, bombs and noise: one sentence, no traceback, little memory.

A reader's law: of any bytes it makes a picture, finite and in [0, 1], or a
ValueError of one sentence.
"""

import contextlib
import functools
import io
import json
import logging
import lzma
import os
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import raw_files
from hypothesis import strategies
from PIL import ExifTags, Image, features

import nst_tf
from nst_tf.images import exif, image_io, writing

HEIGHT, WIDTH = 24, 20  # of every sample
LONGEST_SENTENCE = 400  # characters, without the name
MOST_MEMORY = 300  # MB, to read a picture of at most one megapixel
PNG = raw_files.PNG


def _pixels(channels, kind="u1"):
    """Noise above columns that darken, [H, W, C], without 0."""
    rng = np.random.default_rng(0)
    top = np.iinfo(kind).max
    noise = rng.integers(1, top, size=(HEIGHT, WIDTH, channels))
    return np.sort(noise, axis=0).astype(kind)


def _pillow(name, channels=3, mode=None, **options):
    """Makes a function that writes a file by Pillow."""

    def make():
        if name == "AVIF" and not features.check("avif"):
            pytest.skip("this Pillow has no AVIF")
        image = Image.fromarray(_pixels(channels).squeeze())
        if mode == "CMYK":
            image = Image.fromarray(_pixels(4), "CMYK")
        elif mode == "P":
            image = image.quantize(16)
        file = io.BytesIO()
        image.save(file, name, **options)
        return file.getvalue()

    return make


def _deep_png(channels):
    """Makes a function that writes a PNG file of 16 bits."""
    return lambda: raw_files.png_of(_pixels(channels, "u2"))


def _tifffile(kind="u2", channels=3, **options):
    """Makes a function that writes a TIFF file by tifffile."""

    def make():
        tifffile = pytest.importorskip("tifffile")
        pixels = _pixels(channels, "u2").squeeze()
        if kind == "f4":
            pixels = (pixels / 65535).astype("f4")
        photometric = "rgb" if channels == 3 else "minisblack"
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, photometric=photometric, **options)
        return file.getvalue()

    return make


def _heic():
    """Writes a HEIC file."""
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(_pixels(3))).save(file)
    return file.getvalue()


SAMPLES = {
    "png8": _pillow("PNG", dpi=(72, 72)),
    "png8_rgba": _pillow("PNG", 4),
    "png_palette": _pillow("PNG", mode="P", transparency=b"\0\x80\xff"),
    "png16": _deep_png(3),
    "png16_rgba": _deep_png(4),
    "png16_gray": _deep_png(1),
    "jpeg": _pillow("JPEG"),
    "jpeg_progressive": _pillow("JPEG", progressive=True),
    "jpeg_cmyk": _pillow("JPEG", mode="CMYK"),
    "webp": _pillow("WEBP", 4),
    "webp_lossless": _pillow("WEBP", 4, lossless=True),
    "tiff8": _pillow("TIFF"),
    "tiff8_deflate": _pillow("TIFF", compression="tiff_adobe_deflate"),
    "tiff8_lzw": _pillow("TIFF", compression="tiff_lzw"),
    "tiff8_cmyk": _pillow("TIFF", mode="CMYK"),
    "tiff16": _tifffile(),
    "tiff16_gray": _tifffile(channels=1),
    "tiff16_deflate": _tifffile(compression="zlib", predictor=True),
    "tiff16_tiled": _tifffile(compression="zlib", tile=(16, 16)),
    "tiff16_big": _tifffile(bigtiff=True),
    "tiff_float": _tifffile("f4"),
    "tiff_float_gray": _tifffile("f4", channels=1),
    "bmp": _pillow("BMP"),
    "bmp_gray": _pillow("BMP", 1),
    "gif": _pillow("GIF", mode="P"),
    "ppm": _pillow("PPM"),
    "avif": _pillow("AVIF"),
    "heic": _heic,
}
every_sample = pytest.mark.parametrize("name", SAMPLES)


@functools.cache
def _sample(name):
    """The bytes of a small whole file; skips the test if it cannot be made."""
    return SAMPLES[name]()


def _available():
    """The samples that can be made here."""
    for name in SAMPLES:
        with contextlib.suppress(pytest.skip.Exception):
            yield name, _sample(name)


_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B"}


def _tiff(data, tags, counts=(), next_directory=0):
    """Assembles a TIFF file of tags, {code: (type, values)}.

    StripOffsets and TileOffsets, 273 and 324, become the place of `data`;
    `counts` says how many values tags pretend to have.
    """
    start = 8 + 2 + 12 * len(tags) + 4
    entries, beyond = b"", b""
    for code, (kind, given) in sorted(tags.items()):
        values = [start] * len(given) if code in (273, 324) else given
        value = struct.pack(f"<{len(values)}{_TYPES[kind]}", *values)
        if len(value) > 4:
            beyond, value = (
                beyond + value,
                struct.pack("<I", start + len(data) + len(beyond)),
            )
        count = dict(counts).get(code, len(values))
        entries += struct.pack("<HHI4s", code, kind, count, value)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries
    return head + struct.pack("<I", next_directory) + data + beyond


def _page(bits, compression=1, channels=3, data=bytes(600), *, side=10):
    """Tags of a page of one strip, for `_tiff`."""
    return {
        256: (4, [side]),
        257: (4, [side]),
        258: (3, [bits] * channels),
        259: (3, [compression]),
        262: (3, [2]),
        273: (4, [0]),
        277: (3, [channels]),
        278: (4, [side]),
        279: (4, [len(data)]),
    }


def _tiled(bits, data, tile):
    """Tags of a deflated page of one tile."""
    tags = _page(bits, 8)
    for code in (273, 278, 279):
        del tags[code]
    tiles = {322: (4, [tile[1]]), 323: (4, [tile[0]])}
    return {**tags, **tiles, 324: (4, [0]), 325: (4, [len(data)])}


def _at(data, place, *, put):
    """Replaces bytes."""
    return data[:place] + put + data[place + len(put) :]


def _webp(*chunks):
    """Assembles a WebP file."""
    parts = [
        name + struct.pack("<I", len(data)) + data for name, data in chunks
    ]
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _read(data, megapixels=0.1):
    """Reads bytes by the law above: a picture, or the sentence."""
    try:
        picture = image_io.read_picture(data, "it", megapixels)
    except ValueError as error:
        sentence = str(error)
        assert sentence.startswith("it ")
        assert sentence.isprintable()  # which a line's end is not
        assert sentence.endswith(".") and sentence[-2] not in ".!?: "
        assert len(sentence) <= LONGEST_SENTENCE, sentence
        return sentence
    pixels, alpha = picture.pixels, picture.alpha
    height, width, channels = pixels.shape
    assert pixels.dtype == np.float32
    assert height > 0 and width > 0 and channels == 3
    assert height * width <= 1e6 * megapixels
    assert pixels.min() >= 0 and pixels.max() <= 1  # False of NaN, too
    assert all(note.isprintable() for note in picture.notes)
    if alpha is not None:
        assert alpha.shape == (height, width)
        assert alpha.min() >= 0 and alpha.max() <= 1
    return picture


def _refuse(data, megapixels=0.1):
    """Reads bytes that are no picture: the sentence."""
    outcome = _read(data, megapixels)
    assert isinstance(outcome, str), f"was read, {outcome.pixels.shape}"
    return outcome


@every_sample
def test_a_whole_file_is_read(name):
    assert _read(_sample(name)).pixels.shape == (HEIGHT, WIDTH, 3)


@every_sample
def test_a_part_of_a_file_is_refused(name):
    data = _sample(name)
    for length in (1, 2, 8, 16, 33, len(data) // 4, len(data) // 2):
        _refuse(data[:length])


@every_sample
def test_a_file_without_its_end_is_refused_or_whole(name):
    data = _sample(name)
    for missing in (1, 4, 10, 20, 50):
        outcome = _read(data[:-missing])
        if not isinstance(outcome, str):
            assert outcome.pixels.shape == (HEIGHT, WIDTH, 3)


@every_sample
def test_a_wrong_byte_anywhere_is_survived(name):
    data = _sample(name)
    early = range(min(64, len(data)))
    for place in (*early, *range(64, len(data), len(data) // 30)):
        for byte in (data[place] ^ 0xFF, data[place] ^ 0x01):
            _read(_at(data, place, put=bytes([byte])))


@every_sample
def test_a_wrong_beginning_is_refused(name):
    data = _sample(name)
    for beginning in (bytes(12), b"\xff" * 12, bytes(len(data))):
        _refuse(_at(data, 0, put=beginning))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\0", "not an image"),
        (b"Dear reader,\n\nthis is no picture.\n", "not an image"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "a web page"),
        (b"\n  <html><head></head></html>", "a web page"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "not an image"),
        (PNG, "."),
        (b"II*\0", "."),
        (b"MM\0*\0\0\0\x08", "."),
        (b"P6", "."),
        (b"P6 10 10 255\n", "."),
        (b"P3 2 2 255\n" + b"1" * 5000, "."),
        (b"P6 " + b"9" * 5000 + b" 1 255\n", "."),
    ],
)
def test_what_is_no_picture_is_refused(data, words):
    assert words in _refuse(data)


def test_a_damaged_heic_file_is_not_said_to_need_a_package():
    data = _sample("heic")
    sentence = _refuse(data[:40] + bytes(len(data) - 40))
    assert "pip install" not in sentence


def test_a_folder_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"is a folder, expected an image"):
        image_io.load_picture(tmp_path)
    with pytest.raises(ValueError, match=r"there is no file .*none\.png\."):
        image_io.load_picture(tmp_path / "none.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_without_opening_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")  # to open it would wait for a writer
    with pytest.raises(ValueError, match=r"is not a regular file\.$"):
        image_io.load_picture(tmp_path / "pipe.png")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all"
)
def test_a_file_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(_sample("png8"))
    path.chmod(0)
    with pytest.raises(ValueError, match=r"cannot be read: Permission denied"):
        image_io.load_picture(path)


def _absurd():
    """Small files whose headers promise huge pictures."""
    files = {
        f"png{bits}": raw_files.png(
            raw_files.png_header(100000, 100000, bits), b"x"
        )
        for bits in (8, 16)
    }
    bmp = _sample("bmp")
    files["bmp"] = _at(bmp, 18, put=struct.pack("<ii", 2**31 - 1, 2**31 - 1))
    files["gif"] = _at(_sample("gif"), 6, put=b"\xff" * 4)
    frame = _sample("gif").index(b",\0\0\0\0")
    files["gif_frame"] = _at(_sample("gif"), frame + 5, put=b"\xff" * 4)
    for name, marker in (("jpeg", 0xC0), ("jpeg_progressive", 0xC2)):
        place = _sample(name).index(bytes([0xFF, marker])) + 5
        files[name] = _at(_sample(name), place, put=b"\xff" * 4)
    side = (16382).to_bytes(3, "little")
    lossless = _pillow("WEBP", lossless=True)()[12:]
    frame = lossless[:4], lossless[8:]
    files["webp"] = _webp((b"VP8X", bytes(4) + side * 2), frame)
    files["ppm"] = b"P6 100000 100000 255\n" + bytes(100)
    for bits in (8, 16):
        for name, tags in {
            "": {256: (4, [2**31]), 257: (4, [2**31])},
            "_wide": {256: (4, [2**31])},
            "_channels": {277: (3, [5000])},
        }.items():
            files[f"tiff{bits}{name}"] = _tiff(bytes(600), _page(bits) | tags)
    for name in {"avif", "heic"} & dict(_available()).keys():
        parts = _sample(name).split(b"ispe")
        size = bytes(4) + struct.pack(">II", 30000, 30000)
        files[name] = b"ispe".join(
            [parts[0], *(_at(part, 0, put=size) for part in parts[1:])]
        )
    return files


@pytest.mark.parametrize("name", sorted(_absurd()))
def test_absurd_sizes_are_refused(name):
    _refuse(_absurd()[name], megapixels=1)


# Tags of TIFF files with values that no writer writes.
ODD_TAGS = {
    "no_channels": {277: (3, [0])},
    "two_channels_of_rgb": {277: (3, [2]), 258: (3, [16, 16])},
    "no_width": {256: (4, [0])},
    "many_widths": {256: (4, [10] * 90), 257: (4, [2**32 - 1])},
    "width_of_bytes": {256: (7, b"10"), 257: (4, [2**32 - 1])},
    "many_compressions": {259: (3, [1] * 2000)},
    "another_compression": {259: (3, [4711])},
    "depth": {32997: (4, [2**31])},
    "another_photometric": {262: (3, [999])},
    "bits_of_all_kinds": {258: (3, [1, 16, 64])},
    "signed": {339: (3, [2, 2, 2])},
    "no_rows": {278: (4, [0])},
    "no_bytes": {279: (4, [0])},
    "too_many_bytes": {279: (4, [2**32 - 1])},
    "more_counts_than_strips": {279: (4, [600] * 3000)},
    "orientation": {274: (7, b"left")},
    "extra_channels": {338: (3, [1, 2, 0])},
    "profile_of_numbers": {34675: (3, [7] * 300)},
}


@pytest.mark.parametrize("odd", ODD_TAGS)
@pytest.mark.parametrize("bits", [8, 16, 32])
def test_odd_tags_of_tiff_files_are_survived(odd, bits):
    page = _page(bits)
    _read(_tiff(bytes(1200), page | ODD_TAGS[odd]))
    if 258 not in ODD_TAGS[odd]:
        del page[258]  # which Pillow does not read then
        _read(_tiff(bytes(1200), page | ODD_TAGS[odd]))


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_file_that_ends_nowhere_has_an_end(bits):
    page = _page(bits)
    _read(_tiff(bytes(600), page, next_directory=8))
    for code in (258, 273, 279):
        _read(_tiff(bytes(600), page, counts={code: 2**32 - 1}))
    for code in (270, 34675, 50000):  # description, profile, unknown
        tags = {**page, code: (7, b"12345678")}
        _read(_tiff(bytes(600), tags, counts={code: 2**32 - 1}))


def test_libraries_say_nothing_beside_the_programs_sentence(tmp_path):
    data = _at(_sample("tiff8_deflate"), 100, put=b"\xff" * 20)
    (tmp_path / "a.tif").write_bytes(data)
    command = [sys.executable, "-m", "nst_tf.run", "--content=a.tif"]
    result = subprocess.run(
        [*command, "--style=a.tif"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(nst_tf.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("nst-tf: a.tif cannot be read: it is dam")
    assert result.stderr.count("\n") == 1


def test_decoding_leaves_the_streams_of_the_process_alone(monkeypatch):
    _read(_sample("png16"))  # which imports TensorFlow
    with monkeypatch.context() as patch:
        patch.setattr(os, "dup2", lambda *_: pytest.fail("swapped"))
        for name in ("tiff8_deflate", "png16", "jpeg"):
            _read(_at(_sample(name), 100, put=b"\xff" * 20))


def test_a_long_reason_is_cut(monkeypatch):
    def fail(*_, **__):
        raise OSError("no end.\n" * 100)

    monkeypatch.setattr(Image, "open", fail)
    sentence = _refuse(_sample("png8"))
    assert sentence.startswith("it cannot be read: it is damaged: no end. no")
    assert 300 < len(sentence) < 350


def test_what_is_set_for_decoders_is_put_back(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12)
    chatty, quiet = map(logging.getLogger, ("tifffile", "PIL.TiffImagePlugin"))
    monkeypatch.setattr(chatty, "disabled", False)
    monkeypatch.setattr(quiet, "disabled", True)
    for data in (_sample("tiff8"), b"no picture"):
        _read(data)
        assert Image.MAX_IMAGE_PIXELS == 12
        assert not chatty.disabled and quiet.disabled


def _zeros(megabytes):
    """Deflated zeros."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(megabytes)]
    return b"".join(parts) + packer.flush()


def _bombs():
    """Small files that would become large ones: name -> bytes."""
    large, text = _zeros(350), _zeros(1)
    files = {}
    for bits in (8, 16):
        header = raw_files.png_header(10, 10, bits)
        rows = zlib.compress(bytes(10 * (1 + 30 * bits // 8)))
        files[f"png{bits}_pixels"] = raw_files.png(header, large)
        for name, begin in (
            (b"iCCP", b"a\0\0"),
            (b"zTXt", b"a\0\0"),
            (b"iTXt", b"a\0\1\0\0\0"),
        ):
            chunks = [(name, begin + large)]
            name = f"png{bits}_{name.decode()}"
            files[f"{name}_before"] = raw_files.png(header, rows, *chunks)
            files[f"{name}_after"] = raw_files.png(header, rows, after=chunks)
        many = [(b"zTXt", b"%d\0\0" % index + text) for index in range(200)]
        files[f"png{bits}_many_texts"] = raw_files.png(header, rows, *many)
        files[f"png{bits}_texts_after"] = raw_files.png(
            header, rows, after=many
        )
        pages = {
            f"deflate_{kind}": (large, _page(bits, kind, data=large))
            for kind in (8, 32946)
        }
        tall = pages["deflate_8"][1] | {278: (4, [2**31])}
        pages["tall_strip"] = large, tall
        for side in (16, 8192, 16384):
            page = _tiled(bits, large, (side, 16384))
            pages[f"tile_{side}"] = large, page
        whole = zlib.compress(bytes(1000 * 1000 * 3 * bits // 8))
        strips = {273: (4, [0] * 20000), 279: (4, [len(whole)] * 20000)}
        page = _page(bits, 8, data=whole, side=1000) | strips
        pages["strip_20000_times"] = whole, page
        packed = b"\x81\0" * 1500000  # 128 zeros for two bytes
        pages["packbits"] = packed, _page(bits, 32773, data=packed)
        for name, (data, page) in pages.items():
            files[f"tiff{bits}_{name}"] = _tiff(data, page)
    # Compressions that tifffile undoes by Python's own modules.
    packed = lzma.compress(bytes(160 << 20), preset=0)
    files["tiff16_lzma"] = _tiff(packed, _page(16, 34925, data=packed))
    floats = _page(32, 8, data=large) | {339: (3, [3, 3, 3])}
    files["tiff_float_deflate"] = _tiff(large, floats)
    return files


# Reads files named by its arguments; prints for each the memory that it took,
# in MB, and what became of it.
CHILD = """
import json, sys
from nst_tf.images import image_io

def status(key):
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(key))
    return int(line.split()[1]) / 1024

for index, path in enumerate(sys.argv[1:]):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # forgets the peak
    before = status("VmRSS")
    try:
        outcome = str(image_io.load_picture(path, 1).pixels.shape)
    except BaseException as error:
        outcome = f"{type(error).__name__}: {error}"
    print(json.dumps([path, status("VmHWM") - before, outcome]), flush=True)
"""


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK),
    reason="the peak of memory is read from Linux's /proc",
)
def test_bombs_take_little_memory(tmp_path):
    pytest.importorskip("tifffile")
    # The first two import what is needed, which takes memory, too.
    files = {"first": _sample("png16"), "second": _sample("tiff16")} | _bombs()
    files |= {f"absurd_{name}": data for name, data in _absurd().items()}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    root = str(Path(nst_tf.__file__).parents[1])
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, map(tmp_path.joinpath, files))],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert child.returncode == 0, child.stderr
    lines = [json.loads(line) for line in child.stdout.splitlines()]
    assert len(lines) == len(files)
    wrong = {}
    for path, growth, outcome in lines[2:]:
        sentence = outcome.startswith("ValueError: ") and outcome.endswith(".")
        if growth > MOST_MEMORY or not (sentence or outcome[0] == "("):
            wrong[Path(path).name] = f"{growth:.0f} MB, {outcome}"
    assert not wrong


def _random(length, seed):
    """Random bytes."""
    return np.random.default_rng(seed).bytes(length)


def _damaged_exif():
    """EXIF that no camera wrote."""
    whole = Image.Exif()
    whole[ExifTags.Base.Make] = "a camera"
    whole[ExifTags.Base.XResolution] = 300
    whole.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.LensModel] = "a lens"
    whole = whole.tobytes()[6:]
    begin = b"MM\0*\0\0\0\x08"

    def one(tag, kind, count, value):
        return begin + struct.pack(">HHHI4s4x", 1, tag, kind, count, value)

    return {
        "noise": _random(300, 1),
        "noise_behind_a_header": begin + _random(300, 2),
        "empty": b"",
        "short": begin[:5],
        "cut": whole[: len(whole) // 2],
        # Its own next directory, and its own directory of exposure.
        "loop": one(0x8769, 4, 1, b"\0\0\0\x08")[:-4] + b"\0\0\0\x08",
        "many": begin + b"\xff\xff" + bytes(60),
        "far": b"MM\0*\xff\xff\xff\xf0" + bytes(60),
        "orientation": one(0x0112, 3, 1, b"\xff\xff"),
        "orientation_of_text": one(0x0112, 2, 4, b"left"),
        "dpi_by_zero": one(0x011A, 5, 1, b"\0\0\0\x1a") + bytes(8),
        **{f"bytes_{s}": _scattered(whole, s) for s in range(20)},
    }


def _scattered(data, seed):
    """Replaces some bytes."""
    rng = np.random.default_rng(seed)
    result = bytearray(data)
    for place in rng.integers(len(data), size=5):
        result[place] = rng.integers(256)
    return bytes(result)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_costs_no_picture(kind, tmp_path):
    for name, damaged in _damaged_exif().items():
        data = _pillow(kind, exif=b"Exif\0\0" + damaged)()
        picture = _read(data)
        assert not isinstance(picture, str), f"{name}: {picture}"
        assert sorted(picture.pixels.shape) == sorted((HEIGHT, WIDTH, 3))
        # What is kept of it can be written.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            options = writing.Options(exif=exif.select_tags(picture.exif, True))
        assert not caught, f"{name}: {caught[0].message}"
        image_io.write_image(tmp_path / "a.jpg", picture.pixels, options)


XYZ = raw_files.xyz(0.4, 0.4, 0.3)
GAMMA = raw_files.curv(512)


def _profile(curves, *, colors=(XYZ,) * 3, space=b"RGB ", count=None):
    """A color profile of a matrix and curves."""
    tags = raw_files.rgb_tags(colors, curves)
    if space == b"GRAY":
        tags = {b"kTRC": curves[0]}
    return raw_files.profile(tags, space, count=count)


def _damaged_profiles():
    """Color profiles that nobody made."""
    black, huge = raw_files.xyz(0, 0, 0), raw_files.xyz(32767, -32768, 32767)
    curves = {
        "endless": struct.pack(">4s4xI", b"curv", 2**32 - 1),
        "cut": GAMMA[:9],
        "none": b"",
        "gamma_0": raw_files.para(0, 0),
        "gamma_very_negative": raw_files.para(0, -32768),
        "gamma_large": raw_files.para(0, 32767),
        "no_slope": raw_files.para(1, 2.4, 0, 0.1),
        "negative_slope": raw_files.para(3, 2.4, -1, 0.5, 1, 0.5),
        "negative_base": raw_files.para(4, 0.5, -2, -2, -3, 0.5, -1, 7),
        "poles": raw_files.para(4, -3, 1, 0, -9, 0, -7, 7),
        "unknown_kind": raw_files.para(9, 1),
    }
    for name, curve in curves.items():
        yield name, _profile([curve] * 3)
        yield f"{name}_black", _profile([curve] * 3, colors=(XYZ, black, huge))
        yield f"{name}_huge", _profile([curve] * 3, colors=(XYZ, huge, huge))
    whole = _profile([GAMMA] * 3)
    yield "tags_beyond_the_end", whole[: 132 + 12 * 6]
    yield "half_a_table", whole[: 132 + 30]
    yield "many_tags", _profile([GAMMA] * 3, count=2**32 - 1)
    yield "no_tags", _profile([GAMMA] * 3, count=0)
    yield "another_space", _profile([GAMMA] * 3, space=b"\xff\0\n\r")
    yield "gray", _profile([raw_files.para(0, -1)] * 3, space=b"GRAY")
    yield "noise", _random(500, 3)
    yield "noise_behind_a_header", whole[:128] + _random(500, 4)
    yield "tables_of_noise", _at(whole, 132, put=b"A2B0")
    yield "empty", b"\0"
    for seed in range(60):
        yield f"bytes_{seed}", _scattered(whole, seed)


@pytest.mark.parametrize("kind", ["jpeg", "png8", "png16", "tiff16", "webp"])
def test_damaged_profiles_cost_no_picture(kind):
    for name, profile in _damaged_profiles():
        picture = _read(_with_profile(kind, profile))
        assert not isinstance(picture, str), f"{name}: {picture}"
        assert picture.pixels.shape == (HEIGHT, WIDTH, 3)


def _with_profile(kind, profile):
    """A file with a color profile."""
    if kind == "tiff16":
        return _tifffile(iccprofile=profile)()
    if kind == "png16":
        return raw_files.png_of(_pixels(3, "u2"), raw_files.icc_chunk(profile))
    names = {"jpeg": "JPEG", "png8": "PNG", "webp": "WEBP"}
    return _pillow(names[kind], icc_profile=profile)()


_NUMBERS = strategies.sampled_from(
    [0, 1, 0x7F, 0xFF, 0xFFFF, 0x10000, 100000, 2**31 - 1, 2**31, 2**32 - 1]
)
# Where a file is changed, which bytes go there, and how many go away: as many,
# none, or all up to the end.
_EDIT = strategies.tuples(
    strategies.floats(0, 1) | strategies.floats(0, 0.1),
    strategies.binary(max_size=8)
    | _NUMBERS.map(lambda number: struct.pack("<I", number))
    | _NUMBERS.map(lambda number: struct.pack(">I", number))
    | _NUMBERS.map(lambda number: struct.pack("<I", number)[:2]),
    strategies.sampled_from([None] * 4 + [0, 4, 1 << 30]),
)
# A sample, by its name; how it is damaged; whether its checksums are mended.
_CASES = strategies.tuples(
    strategies.sampled_from(sorted(SAMPLES)),
    strategies.lists(_EDIT, min_size=1, max_size=6),
    strategies.booleans(),
)


def _edited(data, edits):
    """Damages a file."""
    for where, put, gone in edits:
        place = int(where * len(data))
        gone = len(put) if gone is None else gone
        data = data[:place] + put + data[place + gone :]
    return data


def _with_checksums(data):
    """Mends the checksums of a PNG file, so that decoders go on."""
    parts, place = [data[:8]], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        body = data[place + 4 : place + 8 + length]
        parts.append(data[place : place + 4] + raw_files.chunk(b"", body)[4:])
        place += 12 + length
    return b"".join(parts)


def _fuzz(case):
    """Reads a damaged sample, by the law."""
    name, edits, mended = case
    available = dict(_available())
    hypothesis.assume(name in available)
    data = _edited(available[name], edits)
    if mended and data[:4] == PNG[:4]:
        data = _with_checksums(data)
    _read(data)


FUZZ = hypothesis.settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@FUZZ
@hypothesis.given(_CASES)
def test_edited_files_are_survived(case):
    _fuzz(case)


@pytest.mark.slow
@hypothesis.settings(FUZZ, max_examples=2000)
@hypothesis.given(_CASES)
def test_many_edited_files_are_survived(case):
    _fuzz(case)
