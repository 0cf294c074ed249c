"""Sizes on paper: read, turned into pixels, written into files, made again."""

import dataclasses
import io
import re
from pathlib import Path
from types import SimpleNamespace

import hypothesis
import numpy as np
import pytest
import toys
from hypothesis import strategies

import nst_tf
from nst_tf import run
from nst_tf.cli import main
from nst_tf.images import image_io, sizes, sources
from nst_tf.plan import checks, inputs, planning, schedule, settings
from nst_tf.runs import records, results


@pytest.fixture
def folder(folder):
    """A working directory with a flag file, which sets no size."""
    text = Path("toy.cfg").read_text()
    Path("toy.cfg").write_text(text.replace("--size=96\n", ""))
    return folder


def _run(*flags):
    assert main.main(["--flagfile=toy.cfg", "--steps=1", *flags]) == 0


# What is read


@pytest.mark.parametrize(
    ("text", "short", "long", "unit"),
    [
        ("30x40cm", 30 / 2.54, 40 / 2.54, "cm"),
        ("40x30cm", 30 / 2.54, 40 / 2.54, "cm"),
        ("300x400mm", 30 / 2.54, 40 / 2.54, "mm"),
        ("12x16in", 12, 16, "in"),
        ("29.7x42cm", 29.7 / 2.54, 42 / 2.54, "cm"),
        (" 30 X 40 CM ", 30 / 2.54, 40 / 2.54, "cm"),
        ("30cm x 40cm", 30 / 2.54, 40 / 2.54, "cm"),
        ("30\N{MULTIPLICATION SIGN}40cm", 30 / 2.54, 40 / 2.54, "cm"),
        ('12" x 16"', 12, 16, "in"),
        ("8.5x11 inches", 8.5, 11, "in"),
        ("1 inch", 1, 1, "in"),
        (".5x1.in", 0.5, 1, "in"),
        ("40cm", 40 / 2.54, 40 / 2.54, "cm"),
        ("65536in", 65536, 65536, "in"),
        ("A4", 21 / 2.54, 29.7 / 2.54, "cm"),
        ("a3", 29.7 / 2.54, 42 / 2.54, "cm"),
        ("A 2", 42 / 2.54, 59.4 / 2.54, "cm"),
        ("A5", 14.8 / 2.54, 21 / 2.54, "cm"),
        ("Letter", 8.5, 11, "in"),
        ("LEGAL", 8.5, 14, "in"),
        ("tabloid", 11, 17, "in"),
    ],
)
def test_sizes_are_read_as_people_write_them(text, short, long, unit):
    box = sizes.parse_print_size(text)
    assert box.unit == unit
    np.testing.assert_allclose(box[:2], (short, long), rtol=1e-12)


_FORM = "expected two sides and a unit, such as 30x40cm"
_SIDES = "expected sides above 0 and at most 65536 inches"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"print_size": "30x40km"}, "'30x40km', in 'km'; expected one of cm"),
        ({"print_size": "30x40"}, "'30x40', without a unit; expected one of"),
        ({"print_size": "30m x 40cm"}, "in 'm'; expected one of cm, mm, in"),
        ({"print_size": "30x40x50cm"}, f"'30x40x50cm'; {_FORM}"),
        ({"print_size": "nanxnancm"}, _FORM),
        ({"print_size": "-30x40cm"}, _FORM),
        ({"print_size": "1e3x40cm"}, _FORM),
        ({"print_size": "29,7x42cm"}, _FORM),
        ({"print_size": "x40cm"}, _FORM),
        ({"print_size": "cm"}, _FORM),
        ({"print_size": "A9"}, _FORM),
        ({"print_size": "B4"}, "or a paper: A0 to A6, letter, legal or tab"),
        ({"print_size": " "}, _FORM),
        ({"print_size": "0x40cm"}, f"'0x40cm'; {_SIDES}"),
        ({"print_size": "0.0cm"}, _SIDES),
        ({"print_size": f"{'9' * 400}cm"}, _SIDES),
        ({"dpi": -1.0}, "dpi is -1.0, expected at least 0 and at most"),
        ({"dpi": float("nan")}, "dpi is nan, expected at least 0"),
        ({"dpi": 1e5}, "dpi is 100000.0, expected at least 0 and at most"),
        ({"dpi": 0.5}, "dpi is 0.5; expected at least 1, or 0"),
    ],
)
def test_wrong_sizes_are_refused_in_a_sentence(changes, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        checks.check(settings.Job(**changes))
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize(
    ("text", "dpi", "words"),
    [
        ("10x12in", 9000.0, "108000 pixels on the long side at 9000 dpi"),
        ("1200cm", 0.0, "141732 pixels on the long side at 300 dpi"),
        ("0.001x40cm", 0.0, "0 pixels on the long side at 300 dpi; expected 1"),
    ],
)
def test_sizes_beyond_the_limits_of_pictures_are_refused(text, dpi, words):
    job = settings.Job(print_size=text, dpi=dpi)
    content = image_io.Picture(np.zeros((60, 80, 3), "f4"))
    with pytest.raises(ValueError, match=words):
        schedule.resolve_print_size(job, content)


def test_a_wrong_size_is_refused_before_any_work(folder, capsys):
    flags = ["--flagfile=toy.cfg", "--print_size=30x40"]
    assert main.main([*flags, "--content=none.jpg"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "print_size is '30x40', without a unit" in line


# Pixels


def test_paper_of_the_pictures_shape_is_filled():
    box = sizes.parse_print_size("30x40cm")
    for height, width in ((600, 800), (800, 600)):
        size = sizes.fit_print(height, width, box, 300)
        sides = sizes.scale_to_side(height, width, size)
        assert sorted(sides) == [3543, 4724]
    a4 = sizes.parse_print_size("21x29.7cm")
    size = sizes.fit_print(3508, 2480, a4, 300)
    assert sizes.scale_to_side(3508, 2480, size) == (3508, 2480)
    long_side = sizes.parse_print_size("40cm")
    assert sizes.fit_print(10, 300, long_side, 300) == 4724


@hypothesis.given(
    height=strategies.integers(1, 5000),
    width=strategies.integers(1, 5000),
    sides=strategies.tuples(*[strategies.floats(0.5, 200)] * 2),
    unit=strategies.sampled_from(sorted(sizes.INCHES)),
    dpi=strategies.floats(60, 1200),
)
def test_a_picture_fits_into_the_paper_and_touches_it(
    height, width, sides, unit, dpi
):
    hypothesis.assume(max(height, width) <= 32 * min(height, width))
    box = sizes.parse_print_size(f"{sides[0]:.4f}x{sides[1]:.4f}{unit}")
    size = sizes.fit_print(height, width, box, dpi)
    short, long = sorted(sizes.scale_to_side(height, width, size))
    # The paper in pixels, and half of one for its rounding.
    room_short, room_long = box.short * dpi, box.long * dpi
    assert short <= room_short + 0.5 and long <= room_long + 0.5
    assert short >= room_short - 0.5 or long >= room_long - 0.5
    # The shape is that of the content, but for the rounding of the short side.
    shape = min(height, width) / max(height, width)
    assert abs(short - long * shape) <= 0.5 or short == 1
    assert size == long


def test_a_job_is_given_the_size_and_the_resolution():
    content = image_io.Picture(np.zeros((60, 80, 3), "f4"))
    asked = settings.Job(print_size="4x3in", dpi=50.0)
    assert schedule.resolve_print_size(asked, content) == settings.Job(
        size=200, dpi=50.0
    )
    usual = settings.Job(print_size="4x3in")
    assert schedule.resolve_print_size(usual, content) == settings.Job(
        size=1200, dpi=300.0
    )
    for without in (settings.Job(dpi=70.0), settings.Job(size=99)):
        assert schedule.resolve_print_size(without, content) == without


def test_arrays_are_painted_at_a_print_size(folder, toy):
    content, style = toys.image(60, 80, 0), toys.image(50, 60, 1)
    chosen = {
        "extractor": "toy",
        "weights": str(toy),
        "content_layers": toys.CONTENT_LAYER,
        "style_layers": toys.STYLE_LAYERS[:1],
        "style_loss": "gram",
        "precision": "float32",
        "steps": 1,
    }
    image = nst_tf.stylize(content, style, print_size="3x4in", dpi=10, **chosen)
    assert image.shape == (30, 40, 3)
    with pytest.raises(TypeError, match="dpi belongs to the command line"):
        nst_tf.stylize(content, style, dpi=10, **chosen)


# Plans, files, records


@pytest.mark.parametrize(
    ("size", "dpi", "unit", "words"),
    [
        ((3543, 4724), 300, "cm", "40.0 x 30.0 cm at 300 dpi"),
        ((236, 315), 20.0, "mm", "400.1 x 299.7 mm at 20 dpi"),
        ((180, 240), 20, "in", "12.0 x 9.0 in at 20 dpi"),
        ((384, 512), 254.5, "cm", "5.1 x 3.8 cm at 254.5 dpi"),
    ],
)
def test_a_print_is_described_across_and_down(size, dpi, unit, words):
    assert sizes.describe_print(*size, dpi, unit) == words
    assert sizes.describe_print(30, 60, 30) == "5.1 x 2.5 cm at 30 dpi"


@pytest.mark.parametrize(
    ("size", "goal", "sides"),
    [((60, 80), 40, (30, 40)), ((80, 60), 40, (40, 30)), ((1, 90), 9, (1, 9))],
)
def test_a_long_side_and_an_area_keep_the_shape(size, goal, sides):
    assert sizes.scale_to_side(*size, goal) == sides
    assert sizes.scale_to_area(60, 80, 1200) == (30, 40)
    assert sizes.scale_to_area(1, 1, 0) == (1, 1)
    assert sizes.scale_to_area(1, 900, 100) == (1, 300)


def test_the_plan_says_how_large_the_print_is(folder, capsys):
    _run("--dry_run", "--print_size=300x400mm", "--dpi=20")
    [line] = [
        line
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("picture ")
    ]
    assert "315 x 236, 400.1 x 299.7 mm at 20 dpi" in line


def test_a_picture_that_can_be_read_once_gets_its_size(
    folder, capsys, monkeypatch
):
    data = io.BytesIO(Path("town.png").read_bytes())
    stdin = SimpleNamespace(buffer=data, isatty=lambda: False)
    monkeypatch.setattr(sources.sys, "stdin", stdin)
    _run("--dry_run", "--content=-", "--print_size=4x3in", "--dpi=20")
    assert "80 x 60, 4.0 x 3.0 in at 20 dpi" in capsys.readouterr().out


def test_the_plan_says_nothing_of_paper_unless_it_is_asked(folder, capsys):
    _run("--dry_run")
    assert "dpi" not in capsys.readouterr().out


def test_a_resolution_is_that_of_the_job_or_of_the_content():
    content = image_io.Picture(np.zeros((6, 8, 3), "f4"), dpi=(72, 36))
    plan = toys.plan(content.pixels)
    plan = dataclasses.replace(plan, inputs=inputs.Inputs(content))
    for dpi, expected in ((0.0, (72, 36)), (150.4, (150.4, 150.4))):
        asked = dataclasses.replace(plan, file=planning.FileOptions(dpi=dpi))
        assert results.make_options(asked).dpi == expected


def test_a_print_is_made_again_from_its_record(folder, painter, capsys):
    _run("--output=a.png", "--print_size=8x6mm", "--init_noise=0.1")
    record = records.read_record("a.png")
    assert record["flags"]["print_size"] == "8x6mm"
    assert "size" not in record["flags"] and "dpi" not in record["flags"]
    chosen = {"print_size": "", "size": 94, "dpi": 300.0}
    assert chosen.items() <= record["decided"]["settings"].items()
    assert main.main(["--rerun=a.png", "--output=b.png", "--dpi=100"]) == 0
    for name, dpi in (("a.png", 300), ("b.png", 100)):
        read = image_io.load_picture(name)
        np.testing.assert_allclose(read.dpi, (dpi, dpi), atol=0.02)
        np.testing.assert_array_equal(read.pixels, image_io.load_image("a.png"))
    capsys.readouterr()
    assert main.main(["--rerun=a.png", "--print_size=40cm"]) == 1
    assert "--rerun and --print_size are both given" in capsys.readouterr().err
    assert run.main(["--describe=a.png"]) == 0
    text = capsys.readouterr().out
    assert "--print_size=8x6mm\n" in text and "--size=" not in text
