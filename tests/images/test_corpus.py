"""The corpus of picture files: each has its right answer.

A reader's law: of any bytes it makes a picture, finite and in [0, 1], or a
ValueError of one sentence; in little time and memory.
"""

import logging
import os
import re
import struct
import time
import warnings

import children
import corpus
import hostile
import hypothesis
import numpy as np
import pytest
import raw_files
from hypothesis import strategies
from PIL import Image

from nst_tf.images import image_io, transparency, writing
from nst_tf.metadata import exif
from nst_tf.plan import arrays

LONGEST_SENTENCE = 400  # characters, without the name
MEMORY = 150  # MB that a file of at most one megapixel may take
SECONDS = 1.0  # of computing


@pytest.fixture(scope="module", autouse=True)
def _imported():
    """Imports what readers import when they first need it."""
    for name, data in corpus.available():
        if name in ("png16", "tiff16", "jpeg_cmyk", "heic"):
            image_io.read_picture(data, name)


def test_the_corpus_is_large():
    assert len(corpus.CASES) >= 1000


@pytest.mark.parametrize("name", corpus.CASES)
def test_a_file_has_its_right_answer(name):
    case = corpus.CASES[name]
    check(read(case.make()), case.answer)


every_sample = pytest.mark.parametrize("name", corpus.SAMPLES)


@every_sample
def test_a_wrong_byte_anywhere_is_survived(name):
    data = corpus.sample(name)
    early = range(min(64, len(data)))
    for place in (*early, *range(64, len(data), len(data) // 30)):
        for byte in (data[place] ^ 0xFF, data[place] ^ 0x01):
            read(raw_files.at(data, place, put=bytes([byte])))


@every_sample
def test_a_file_without_its_end_is_refused_or_whole(name):
    data = corpus.sample(name)
    for missing in (1, 4, 10, 20, 50):
        outcome = read(data[:-missing])
        if not isinstance(outcome, str):
            assert outcome.pixels.shape[:2] == (corpus.HEIGHT, corpus.WIDTH)


def test_a_damaged_heic_file_is_not_said_to_need_a_package():
    data = corpus.sample("heic")
    sentence = read(data[:40] + bytes(len(data) - 40))
    assert "pip install" not in sentence


def test_a_folder_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"is a folder; expected an image"):
        image_io.load_picture(tmp_path)
    with pytest.raises(ValueError, match=r"there is no file .*none.png; ch"):
        image_io.load_picture(tmp_path / "none.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_without_opening_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")  # to open it would wait for a writer
    with pytest.raises(ValueError, match="is not a regular file; pass an"):
        image_io.load_picture(tmp_path / "pipe.png")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all"
)
def test_a_file_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(corpus.sample("png8"))
    path.chmod(0)
    with pytest.raises(ValueError, match=r"cannot be read: Permission denied"):
        image_io.load_picture(path)


def test_libraries_say_nothing_beside_the_programs_sentence(tmp_path):
    data = corpus.sample("tiff8_deflate")
    data = raw_files.at(data, 100, put=b"\xff" * 20)
    (tmp_path / "a.tif").write_bytes(data)
    flags = "--content=a.tif", "--style=a.tif"
    result = children.run_python("-m", "nst_tf.run", *flags, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("nst-tf: a.tif cannot be read: it is dam")
    assert result.stderr.count("\n") == 1


def test_decoding_leaves_the_streams_of_the_process_alone(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "dup2", lambda *_: pytest.fail("swapped"))
        for name in ("tiff8_deflate", "png16", "jpeg"):
            data = corpus.sample(name)
            read(raw_files.at(data, 100, put=b"\xff" * 20))


def test_a_long_reason_is_cut(monkeypatch):
    def fail(*_, **__):
        raise OSError("no end.\n" * 100)

    monkeypatch.setattr(Image, "open", fail)
    sentence = read(corpus.sample("png8"))
    assert sentence.startswith("it cannot be read: it is damaged: no end. no")
    assert 300 < len(sentence) < 380
    assert sentence.endswith("; save or download it again.")


def test_what_is_set_for_decoders_is_put_back(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12)
    chatty, quiet = map(logging.getLogger, ("tifffile", "PIL.TiffImagePlugin"))
    monkeypatch.setattr(chatty, "disabled", False)
    monkeypatch.setattr(quiet, "disabled", True)
    for data in (corpus.sample("tiff8"), b"no picture"):
        read(data)
        assert Image.MAX_IMAGE_PIXELS == 12
        assert not chatty.disabled and quiet.disabled


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_what_is_kept_of_damaged_exif_can_be_written(form, tmp_path):
    for name, damaged in corpus.damaged_exif().items():
        data = corpus.save(corpus.smooth(), form, exif=b"Exif\0\0" + damaged)
        picture = read(data)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            options = writing.Options(exif=exif.select_tags(picture.exif, True))
        assert not caught, f"{name}: {caught[0].message}"
        image_io.write_image(tmp_path / "a.jpg", picture.pixels, options)


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
_EDITS = strategies.tuples(
    strategies.sampled_from(sorted(corpus.SAMPLES)),
    strategies.lists(_EDIT, min_size=1, max_size=6),
    strategies.booleans(),
)


@pytest.mark.parametrize(
    "count", [150, pytest.param(1000, marks=pytest.mark.slow)]
)
def test_edited_files_are_survived(count):
    available = dict(corpus.available())

    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(_EDITS)
    def survive(case):
        name, edits, mended = case
        hypothesis.assume(name in available)
        data = hostile.damage(available[name], edits)
        if mended and data[:4] == raw_files.PNG[:4]:
            data = _with_checksums(data)
        read(data, megapixels=0.1)

    survive()


def _with_checksums(data):
    """Mends the checksums of a PNG file, so that decoders go on."""
    parts, place = [data[:8]], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        body = data[place + 4 : place + 8 + length]
        parts.append(data[place : place + 4] + raw_files.chunk(b"", body)[4:])
        place += 12 + length
    return b"".join(parts)


def read(data, megapixels=1.0):
    """Reads a file, or an image of Pillow, by the law: picture or sentence."""
    began, before = time.process_time(), hostile.read_memory("VmRSS")
    try:
        if isinstance(data, Image.Image):
            picture = arrays.as_picture(data, "it")
        else:
            picture = image_io.read_picture(data, "it", megapixels)
    except ValueError as error:
        picture = str(error)
    grown = hostile.read_memory("VmHWM") - before
    assert time.process_time() - began < SECONDS
    assert grown < MEMORY
    if isinstance(picture, str):
        assert picture.startswith("it ")
        assert picture.isprintable()  # which a line's end is not
        assert picture.endswith(".") and picture[-2] not in ".!?: "
        assert len(picture) <= LONGEST_SENTENCE, picture
        return picture
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


def check(outcome, answer):
    """Compares what was read with the right answer."""
    if isinstance(answer, corpus.Survived):
        return
    if isinstance(answer, corpus.Refused):
        assert isinstance(outcome, str), f"was read, {outcome.pixels.shape}"
        assert re.search(answer.words, outcome), outcome
        return
    assert not isinstance(outcome, str), outcome
    assert outcome.pixels.shape[:2] == answer.size
    if answer.notes is not None:
        assert len(outcome.notes) == len(answer.notes), outcome.notes
        for note, words in zip(outcome.notes, answer.notes, strict=True):
            assert re.search(words, note), note
    seen = np.ones(answer.size, bool)
    if answer.alpha is None:
        assert outcome.alpha is None
    else:
        np.testing.assert_allclose(
            outcome.alpha, answer.alpha, rtol=0, atol=answer.atol
        )
        seen = answer.alpha >= transparency.TRUSTED  # else filled
    if answer.pixels is not None:
        expected = np.broadcast_to(answer.pixels, outcome.pixels.shape)
        np.testing.assert_allclose(
            outcome.pixels[seen], expected[seen], rtol=0, atol=answer.atol
        )
