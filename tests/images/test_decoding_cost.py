"""What decoding takes is known, and refused, before it begins."""

import _thread
import io
import json
import struct
import threading
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import raw_files
from PIL import Image

import nst_tf
from nst_tf.backend import host_memory
from nst_tf.images import decoding_cost, decoding_setup, image_io, reading
from nst_tf.metadata import directories
from nst_tf.runs import records

ROOT = Path(nst_tf.__file__).parent.parent
LINES = ROOT / "scripts" / "benchmarks" / "results" / "decoding.jsonl"
RECORDS = [json.loads(line) for line in LINES.read_text().splitlines()]


def test_costs_are_what_was_measured_and_a_fifth():
    dearest = {}
    for record in RECORDS:
        kind, mode, *words = record["case"].split()
        name = "alpha" if "A" in mode or "alpha" in words else "opaque"
        name = "deep" if "deep" in words else name
        # BMP files may have alpha, which is not read; decoders of 8 bits read
        # none that are deeper.
        dearest.setdefault((kind, name), []).append(record["peak"])
    for (kind, name), peaks in dearest.items():
        cost = getattr(decoding_cost.COSTS[kind], name)
        assert 1.15 * max(peaks) <= cost <= 1.3 * max(peaks) or kind == "BMP"


def _saved(kind="PNG", mode="RGB", size=(64, 48), **options):
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **options)
    return file.getvalue()


HUGE = {
    "PNG": raw_files.png(raw_files.png_header(12_000, 10_000), b"x"),
    "PNG deep": raw_files.png(raw_files.png_header(12_000, 10_000, 16), b"x"),
    "GIF": b"GIF89a" + struct.pack("<HH", 12_000, 10_000) + bytes(3)
    + b"," + struct.pack("<4H", 0, 0, 12_000, 10_000) + b"\0\2\0;",
    "PPM": b"P6 12000 10000 255\n" + bytes(100),
}  # fmt: skip


@pytest.mark.parametrize("kind", HUGE)
@pytest.mark.parametrize("is_set", [True, False])
def test_a_picture_that_takes_too_much_memory_is_refused(
    kind, is_set, monkeypatch
):
    limit = 2e9 if is_set else None
    if not is_set:
        monkeypatch.setattr(host_memory, "find_limit", lambda: 2e9)
    words = r"it is 12000 x 10000 pixels, and decoding needs about "
    with pytest.raises(ValueError, match=words + r"\d\.\d GB of memory, but"):
        image_io.read_picture(HUGE[kind], "it", memory=limit)
    monkeypatch.setattr(host_memory, "find_limit", lambda: 1e12)
    with pytest.raises(ValueError, match="damaged"):  # there is enough
        image_io.read_picture(HUGE[kind], "it", memory=1e12)


@pytest.mark.parametrize(("memory", "is_free"), [(9e9, True), (1e13, False)])
def test_what_is_resident_counts_against_the_machine_alone(
    memory, is_free, monkeypatch
):
    monkeypatch.setattr(host_memory, "_status", lambda name: 9e9)
    limit = 1e12 if is_free else 9.5e9
    monkeypatch.setattr(host_memory, "find_limit", lambda: limit)
    words = "damaged" if is_free else r"but only 0\.5 GB are free"
    with pytest.raises(ValueError, match=words):
        image_io.read_picture(HUGE["PNG"], "it", memory=memory)


def test_a_small_picture_is_read_whatever_the_limit_is():
    assert image_io.read_picture(_saved(), "it", memory=1.0).pixels.any() == 0


def _with_scans(data, number):
    """Repeats the last scan of a JPEG file."""
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * number + data[-2:]


def test_scans_are_counted_by_their_markers():
    count = lambda data: decoding_cost.count_scans(io.BytesIO(data))  # noqa: E731
    single, several = _saved("JPEG"), _saved("JPEG", progressive=True)
    assert count(single) == 1
    assert count(several) == several.count(b"\xff\xda") > 3
    assert count(_with_scans(several, 50)) == count(several) + 50
    # A thumbnail, fill bytes, and a picture behind the first are no scans.
    note = b"\xff\xe1" + struct.pack(">H", 6) + b"\xff\xda\0\0"
    assert count(single[:2] + note + b"\xff\xff\xff" + single[2:]) == 1
    assert count(single + several) == 1
    assert count(single[:-2]) == 1
    long = single[:-2] + b"\xff\0" * 3000 + b"a" * 4095 + several[2:]
    assert count(long) == 1 + count(several)
    with pytest.raises(ValueError, match="more than 100000 markers"):
        count(single[:2] + b"\xff\xfe\0\2" * 100_001)


def test_a_jpeg_file_of_very_many_scans_is_refused():
    usual = _saved("JPEG", size=(1000, 1000), progressive=True)
    image_io.read_picture(usual, "it", 1)
    with pytest.raises(ValueError, match=r"it has \d\d scans of 1000 x 1000"):
        image_io.read_picture(_with_scans(usual, 20), "it", 1)
    image_io.read_picture(_with_scans(usual, 20), "it", 5)


def _directory(order, tags, following=0):
    """A directory of tags, (code, type, count, value)."""
    entries = [struct.pack(f"{order}HHII", *tag) for tag in tags]
    end = struct.pack(f"{order}I", following)
    return struct.pack(f"{order}H", len(tags)) + b"".join(entries) + end


def _tags(order="<", first=(), second=(), pad=0):
    """A TIFF file of one directory and, behind it, another."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    one = struct.pack(order + "I", 8) + _directory(order, first)
    return head + one + _directory(order, second) + bytes(pad)


MANY = (65000, 3, 1 << 20, 8), (65001, 3, 1, 8)  # shorts
LONG = ((65000, 4, 1000, 8),) * 3
SUB = 8 + 2 + 12 + 4


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("first", [LONG, MANY])
@pytest.mark.parametrize("pointer", [0, 34665, 34853, 330])
def test_tags_that_would_fill_memory_are_refused(order, first, pointer):
    pad = 5000 if first is LONG else 1 << 21
    data = _tags(order, first, pad=pad)
    if pointer:
        data = _tags(order, [(pointer, 4, 1, SUB)], first, pad)
    with pytest.raises(
        ValueError, match=r"its tags claim \d+ bytes and \d+ num"
    ):
        directories.check_tags(io.BytesIO(data))
    directories.check_tags(io.BytesIO(_tags(order, LONG[:1], pad=5000)))


def test_tags_without_end_are_refused_before_they_are_read():
    head = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)
    data = head + struct.pack("<Q", 1 << 60) + bytes(5000)
    with pytest.raises(ValueError, match=r"damaged: it has \d+ tags"):
        directories.check_tags(io.BytesIO(data))


def test_a_thousand_segments_of_exif_are_refused(tmp_path):
    plain = _saved("JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", 608) + b"Exif\0\0" + bytes(600)
    data = plain[:2] + 1000 * segment + plain[2:]
    with pytest.raises(ValueError, match="1000 segments of EXIF or XMP"):
        image_io.read_picture(data, "it")
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(ValueError, match="has no record"):
        records.read_record(tmp_path / "a.jpg")


def test_filling_between_markers_takes_no_time():
    data = b"\xff\xd8" + b"\xff" * (1 << 20) + b"\0"
    began = time.process_time()
    assert decoding_cost.count_scans(io.BytesIO(data)) == 0
    assert time.process_time() - began < 5


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_exif_that_would_fill_memory_is_left_out(kind):
    data = b"Exif\0\0" + _tags("<", [(34665, 4, 1, SUB)], LONG, 5000)
    read = image_io.read_picture(_saved(kind, exif=data), "it")
    assert dict(read.exif) == {}


def test_large_files_are_described_without_holding_them(tmp_path):
    pixels = Image.fromarray(np.zeros((2000, 3000, 3), np.uint8))
    pixels.save(tmp_path / "large.tif")
    tags = _tags("<", [(270, 5, 1 << 21, 8)], pad=1 << 24)
    (tmp_path / "tags.tif").write_bytes(tags)
    tracemalloc.start()
    for name in ("large.tif", "tags.tif"):
        with pytest.raises(ValueError, match="has no record"):
            records.read_record(tmp_path / name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_an_interrupted_load_holds_nothing(
    monkeypatch, default_signals, tmp_path
):
    path = tmp_path / "a.png"
    path.write_bytes(_saved())
    end, decode, before = (
        threading.Event(),
        reading._decode,
        Image.MAX_IMAGE_PIXELS,
    )
    monkeypatch.setattr(reading, "_decode", lambda *_: end.wait(60) and 1 / 0)
    threading.Timer(0.2, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        image_io.load_picture(path)
    assert before == Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(reading, "_decode", decode)
    assert image_io.load_picture(path).pixels.shape == (48, 64, 3)
    end.set()


def test_what_is_set_for_decoders_lasts_until_the_last_has_ended():
    before = Image.MAX_IMAGE_PIXELS
    first, second = decoding_setup.quiet(), decoding_setup.quiet()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert Image.MAX_IMAGE_PIXELS is None
    second.__exit__(None, None, None)
    assert before == Image.MAX_IMAGE_PIXELS
