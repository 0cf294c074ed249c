"""Masks, flag files and folders of styles: each has its right answer.

`images/corpus.py` has pictures, `network/test_weight_files.py` weights; here is
what else a user, or a stranger, may give: odd but right, damaged, hostile.
"""

import io
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_tf.cli import flags
from nst_tf.images import sources
from nst_tf.plan import arrays, checks, inputs, settings, style_regions

SECONDS = 1.0  # of computing, for one


def _outcome(read, *args):
    """What a reader makes of something, in time: an answer or a sentence."""
    began = time.process_time()
    try:
        result = read(*args)
    except (ValueError, TypeError) as error:
        result = str(error)
        assert result.endswith(".") and len(result.splitlines()) == 1, result
    assert time.process_time() - began < SECONDS
    return result


def _check_words(outcome, words):
    """Checks that there is a sentence with one of some words."""
    assert isinstance(outcome, str), outcome
    assert any(word in outcome for word in words.split("|")), outcome


# Masks

SIZE = HEIGHT, WIDTH = 12, 16
_COLUMNS = np.indices(SIZE)[1]
LEFT = (_COLUMNS < 8) * 1.0
RAMP = _COLUMNS / 15
RED, BLUE = (250, 0, 0), (0, 0, 250)


def _colors(*colors):
    """Stripes of colors, [H, W, C]."""
    places = np.linspace(0, len(colors) - 0.01, WIDTH).astype(int)
    return np.tile(np.array(colors, "u1")[places], (HEIGHT, 1, 1))


def _of_bytes(*channels):
    """Channels in [0, 1] as bytes, [H, W, C]."""
    return np.rint(255 * np.dstack(channels)).astype("u1")


def _file(samples, form="PNG", mode=None, **options):
    """A picture's file."""
    image = samples
    if not isinstance(samples, Image.Image):
        image = Image.fromarray(np.asarray(samples).squeeze())
    file = io.BytesIO()
    (image.convert(mode) if mode else image).save(file, form, **options)
    return file.getvalue()


def _palette(samples, *colors, **options):
    """The file of a palette."""
    image = Image.fromarray(samples.astype("u1"))
    image.putpalette([value for color in colors for value in color])
    return _file(image, **options)


ONES, NONE = np.ones(SIZE), np.zeros(SIZE)
_LAYER = [ONES] * 3
_CLASSES = _COLUMNS // 4
# What a mask is, an array or the bytes of a file; and how much of each pixel
# white has, [H, W], or words of the sentence.
GRAY_MASKS = {
    "bool": (LEFT > 0, LEFT),
    "bytes": (_of_bytes(LEFT)[..., 0], LEFT),
    "bytes of one channel": (_of_bytes(LEFT), LEFT),
    "floats": (LEFT, LEFT),
    "float16": (RAMP.astype("f2"), RAMP.astype("f2")),
    "big-endian floats": (RAMP.astype(">f8"), RAMP),
    "read backwards": (RAMP[:, ::-1][:, ::-1], RAMP),
    "RGB": (np.dstack([RAMP] * 3), RAMP),
    "RGBA": (np.dstack([*_LAYER, LEFT]), LEFT),
    "RGBA of bytes": (_of_bytes(*_LAYER, LEFT), LEFT),
    "RGBA, half": (np.dstack([*_LAYER, LEFT / 2]), LEFT / 2),
    "RGBA, opaque": (np.dstack([RAMP, RAMP, RAMP, ONES]), RAMP),
    "RGBA, hidden red": (np.dstack([ONES, LEFT, LEFT, LEFT]), LEFT),
    "LA": (np.dstack([ONES, LEFT]), LEFT),
    "LA, product": (np.dstack([RAMP, LEFT]), RAMP * LEFT),
    "PNG": (_file(_of_bytes(RAMP)), RAMP),
    "PNG of bits": (_file(_of_bytes(LEFT), mode="1"), LEFT),
    "PNG with alpha": (_file(_of_bytes(*_LAYER, LEFT)), LEFT),
    "PNG with gray and alpha": (_file(_of_bytes(RAMP, LEFT)), RAMP * LEFT),
    "PNG, half": (_file(_of_bytes(*_LAYER, LEFT / 2)), LEFT * 128 / 255),
    "PNG, hidden black": (_file(_of_bytes(LEFT, LEFT, LEFT, LEFT)), LEFT),
    "PNG of a palette": (_palette(LEFT, (0,) * 3, (255,) * 3), LEFT),
    "PNG of a transparent palette": (
        _palette(LEFT, (255,) * 3, (255,) * 3, transparency=0),
        LEFT,
    ),
    "GIF with transparency": (
        _palette(LEFT, (9,) * 3, (255,) * 3, form="GIF", transparency=0),
        LEFT,
    ),
    "WebP with alpha": (
        _file(_of_bytes(*_LAYER, LEFT), "WEBP", lossless=True),
        LEFT,
    ),
    "TIFF with alpha": (_file(_of_bytes(*_LAYER, LEFT), "TIFF"), LEFT),
    "TIFF of 16 bits": (
        _file((65535 * RAMP).round().astype("u2"), "TIFF"),
        RAMP,
    ),
    "JPEG": (_file(_of_bytes(LEFT), "JPEG", quality=100), LEFT),
    "BMP": (_file(_of_bytes(RAMP), "BMP"), RAMP),
    "0 and 1": (LEFT.astype("u1"), "no value above 1|255"),
    "0 and 1, PNG": (_file(LEFT.astype("u1")), "no value above 1|255"),
    "0 and 1, TIFF": (_file(LEFT.astype("u1"), "TIFF"), "no value above 1|255"),
    "0 and 1 of 16 bits": (
        _file(LEFT.astype("u2"), "TIFF"),
        "no value above 1|65535|255",
    ),
    "0 and 1 with alpha": (
        _file(np.dstack([LEFT, 255 * ONES]).astype("u1")),
        "no value above 1|255",
    ),
    "class numbers": (_CLASSES.astype("u1"), "class numbers"),
    "class numbers, PNG": (_file(_CLASSES.astype("u1")), "class numbers"),
    "class numbers to 31": (
        _file((_CLASSES * 10 + 1).astype("u1")),
        "class numbers",
    ),
    "dark levels to 32": (
        _file((_CLASSES * 10 + 2).astype("u1")),
        (_CLASSES * 10 + 2) / 255,
    ),
    "two dark levels": (_file((7 * LEFT).astype("u1")), 7 * LEFT / 255),
    "black on nothing": (_file(_of_bytes(*[NONE] * 3, LEFT)), "draw in white"),
    "black on nothing, array": (
        np.dstack([*[NONE] * 3, LEFT]),
        "draw in white",
    ),
    "nothing": (_file(_of_bytes(*_LAYER, NONE)), "transparent"),
    "nothing, array": (np.dstack([ONES, NONE]), "transparent"),
    "NaN": (LEFT + np.nan, "NaN or infinite"),
    "one NaN": (np.where(_COLUMNS == 3, np.nan, LEFT), "NaN or infinite"),
    "infinity": (np.where(LEFT == 1, np.inf, LEFT), "NaN or infinite"),
    "channels first": (np.ones((3, *SIZE)), "numpy.moveaxis"),
    "floats to 255": (255 * LEFT, "outside [0, 1]"),
    "whole numbers": (_CLASSES, "type int64"),
    "complex": (LEFT + 0j, "type complex128"),
    "text": (np.full(SIZE, "white"), "type <U5"),
    "objects": (np.full(SIZE, None), "type object"),
    "no pixels": (np.zeros((0, 0)), "is empty or"),
    "one number": (np.array(1.0), "shape ()"),
    "two masks": (np.ones((2, *SIZE, 3)), "shape"),
    "five channels": (np.ones((*SIZE, 5)), "shape"),
    "turned": (LEFT.T > 0, "16 x 12"),
    "of another size": (_file(_of_bytes(LEFT[:6])), "16 x 6"),
    "noise": (np.random.default_rng(0).uniform(size=(*SIZE, 3)), "colors"),
    "no picture": (b"white", "not an image"),
}


def _read_regions(mask, count):
    """Reads a mask of which style goes where: name -> weights, [H, W]."""
    if isinstance(mask, bytes):
        Path("mask").write_bytes(mask)
        mask = "mask"
    picture = np.full((*SIZE, 3), 0.5, "f4")
    plain, given = arrays.separate_arrays({"content_mask": mask})
    job = settings.Job(**plain)
    read = inputs.take_inputs(job, picture, [picture] * count, given)
    found = style_regions.find_regions(
        job, read.content, read.styles, read.others
    ).regions
    return {region.name: region.mask for region in found}


@pytest.mark.parametrize("name", GRAY_MASKS)
def test_a_gray_mask_has_its_right_answer(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    mask, right = GRAY_MASKS[name]
    outcome = _outcome(_read_regions, mask, 1)
    if isinstance(right, str):
        return _check_words(outcome, right)
    assert not isinstance(outcome, str), outcome
    assert list(outcome) == ["#ffffff"]
    np.testing.assert_allclose(outcome["#ffffff"], right, atol=0.01)


THIRD = (_COLUMNS < 5) * 1.0
COLOR_MASKS = {
    "two colors": (_colors(RED, BLUE), {RED: LEFT, BLUE: 1 - LEFT}),
    "two colors, PNG": (_file(_colors(RED, BLUE)), {RED: LEFT, BLUE: 1 - LEFT}),
    "a palette": (_palette(1 - LEFT, RED, BLUE), {RED: LEFT, BLUE: 1 - LEFT}),
    "a transparent color is of no region": (
        _palette(1 - LEFT, RED, BLUE, transparency=1),
        {RED: LEFT},
    ),
    "one color on nothing": (
        _file(_colors((*RED, 255), (0, 0, 0, 0))),
        {RED: LEFT},
    ),
    "one color on hidden red": (_colors((*RED, 255), (*RED, 0)), {RED: LEFT}),
    "one color": (_colors(RED, RED), "colors"),
    "near colors": (_colors(RED, (220, 30, 30)), "further apart|colors"),
}


@pytest.mark.parametrize("name", COLOR_MASKS)
def test_a_mask_of_colors_has_its_right_answer(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    mask, right = COLOR_MASKS[name]
    count = 1 if isinstance(right, str) else len(right)
    outcome = _outcome(_read_regions, mask, count)
    if isinstance(right, str):
        return _check_words(outcome, right)
    assert not isinstance(outcome, str), outcome
    names = {"#{:02x}{:02x}{:02x}".format(*color): color for color in right}
    assert set(outcome) == set(names)
    for title, color in names.items():
        np.testing.assert_allclose(outcome[title], right[color], atol=0.01)


# Flag files: bytes, values and names; `cli/test_flags.py` has their lines

_PLAIN = "--size=96\n--content=town.png\n"
_RIGHT = {"size": 96, "content": "town.png"}
_NOT_FOUND = "no flag file"
_NO_FILE = "is not a file; pass a text file, or a preset"
FLAG_FILES = {
    "UTF-8": (_PLAIN.encode(), _RIGHT),
    "UTF-8 with a mark": (_PLAIN.encode("utf-8-sig"), _RIGHT),
    "UTF-16": (_PLAIN.encode("utf-16"), _RIGHT),
    "UTF-16, big-endian": (b"\xfe\xff" + _PLAIN.encode("utf-16-be"), _RIGHT),
    "UTF-16 of PowerShell": (
        _PLAIN.replace("\n", "\r\n").encode("utf-16"),
        _RIGHT,
    ),
    "UTF-16 cut": (_PLAIN.encode("utf-16")[:-1], "UTF-16|UTF-8|text"),
    "UTF-16 without a mark": (_PLAIN.encode("utf-16-le"), "text|UTF-8"),
    "UTF-32": (_PLAIN.encode("utf-32"), _RIGHT),
    "Latin-1": (b"--size=96\n--content=Stra\xdfe.png\n", "line 2"),
    "a name in UTF-8": (
        "--content=Straße \u6f22.png".encode(),
        {"content": "Straße \u6f22.png"},
    ),
    "DOS lines": (_PLAIN.replace("\n", "\r\n").encode(), _RIGHT),
    "Mac lines": (_PLAIN.replace("\n", "\r").encode(), _RIGHT),
    "no last line's end": (_PLAIN.strip().encode(), _RIGHT),
    "spaces around": (b"  --size=96  \n\t--content=town.png\t\n", _RIGHT),
    "comments": (b"# size\n// size\n\n" + _PLAIN.encode(), _RIGHT),
    "nothing": (b"", {"size": 512}),
    "only comments": (b"# a\n", {"size": 512}),
    "twice": (b"--size=64\n--size=96\n", {"size": 96}),
    "one hyphen": (b"-size=96\n", {"size": 96}),
    "zeros": (b"--size=96\n" + bytes(9), "text"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(90), "text|UTF-8"),
    "a space before =": (b"--size =96\n", "line 1"),
    "no number": (b"--size=big\n", "expected a whole number"),
    "a fraction": (b"--size=96.5\n", "expected a whole number"),
    "a huge number": (b"--size=" + b"9" * 5000, "expected a whole number|most"),
    "beyond floats": (b"--style_weight=1e400\n", "style_weight is inf"),
    "NaN": (b"--style_weight=nan\n", "style_weight is nan"),
    "no choice": (b"--color=pink\n", "unknown color 'pink'"),
    "nested": (b"--flagfile=nested.cfg\n", _RIGHT),
    "nested, nearer": (b"--size=48\n--flagfile=nested.cfg\n", {"size": 48}),
    "nested in many ways": (b"--flagfile=many0.cfg\n" * 9, _RIGHT),
    "a folder": (b"--flagfile=.\n", _NO_FILE),
    "a pipe": (b"--flagfile=pipe\n", _NO_FILE),
    "a device": (b"--flagfile=/dev/zero\n", _NO_FILE),
    "a file without end": (b"--flagfile=/proc/self/pagemap\n", "flag file"),
    "a long name": (b"--flagfile=" + b"a" * 300, _NOT_FOUND),
    "a long picture": (b"--content=" + b"a" * 300, {"content": "a" * 300}),
    "nobody's home": (b"--content=~nobody/a.png", {"content": "~nobody/a.png"}),
    "an address": (
        b"--content=https://a.example/b?c=d#e\n",
        {"content": "https://a.example/b?c=d#e"},
    ),
}


@pytest.mark.parametrize("name", FLAG_FILES)
def test_a_flag_file_has_its_right_answer(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    data, right = FLAG_FILES[name]
    Path("nested.cfg").write_text(_PLAIN)
    for number in range(7):  # 9 ** 7 files, if each is read
        more = f"--flagfile=many{number + 1}.cfg\n" * 9
        Path(f"many{number}.cfg").write_text(more if number < 6 else _PLAIN)
    Path("town.png").write_bytes(b"")
    if hasattr(os, "mkfifo"):
        os.mkfifo("pipe")
    Path("a.cfg").write_bytes(data)
    outcome = _outcome(_parse, "--flagfile=a.cfg")
    if isinstance(right, str):
        return _check_words(outcome, right)
    assert not isinstance(outcome, str), outcome
    assert {field: getattr(outcome, field) for field in right} == right


def _parse(*arguments):
    job = flags.parse(arguments)
    checks.check(job)
    return job


# Folders of styles

_ENDS = ("avif", "gif", "heic", "heif", "jfif", "pgm", "ppm")
_ALL = tuple(f"a.{end}" for end in _ENDS)
_FOLDERS = {
    "plain": (("b.png", "a.jpg"), ("a.jpg", "b.png")),
    "capitals": (("A.PNG", "b.JPeG"), ("A.PNG", "b.JPeG")),
    "hidden": (("._a.png", ".b.png", "a.png"), ("a.png",)),
    "only hidden": (("._a.png",), "no pictures"),
    "others": (("a.png", "notes.txt", "Thumbs.db", "a.png.json"), ("a.png",)),
    "empty": ((), "no pictures"),
    "a folder in it": (("a.png/", "b.png"), ("b.png",)),
    "a pipe in it": (("|a.png", "b.png"), ("b.png",)),
    "every extension": (_ALL, _ALL),
    "letters": (("Straße \u6f22.png",), ("Straße \u6f22.png",)),
}


@pytest.mark.parametrize("name", _FOLDERS)
def test_a_folder_of_styles_has_its_right_answer(tmp_path, name):
    given, right = _FOLDERS[name]
    folder = tmp_path / "styles"
    folder.mkdir()
    for each in given:
        if each.endswith("/"):
            (folder / each).mkdir()
        elif each.startswith("|"):
            if not hasattr(os, "mkfifo"):
                pytest.skip("no pipes here")
            os.mkfifo(folder / each[1:])
        else:
            (folder / each).write_bytes(b"")
    outcome = _outcome(sources.list_pictures, folder)
    if isinstance(right, str):
        return _check_words(outcome, right)
    assert [Path(each).name for each in outcome] == list(right)
