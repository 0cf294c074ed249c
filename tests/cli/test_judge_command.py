"""The judge's program: arguments, tables, JSON, wrong input."""

import json

import children
import pytest
import toys
from PIL import Image

import nst_tf
from nst_tf.cli import judge_command, programs
from nst_tf.images import image_io
from nst_tf.judge import judging


@pytest.fixture
def flags(tmp_path, toy, monkeypatch):
    """Flags for the toy network; pictures in the working directory."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a", "b", "town", "paint")):
        image_io.save_image(f"{name}.png", toys.image(43, 58, number))
    return [
        "--content=town.png",
        "--style=paint.png",
        "--extractor=toy",
        f"--weights={toy}",
        f"--style_layers={','.join(toys.STYLE_LAYERS)}",
        f"--content_layers={toys.CONTENT_LAYER}",
    ]


def test_json_has_the_figures_and_the_table_shows_them(flags, toy, capsys):
    assert judge_command.main([*flags, "a.png", "b.png", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["network"] == f"toy, {toy}"
    assert found["content"] == "town.png"
    assert found["style"] == ["paint.png"]
    assert judge_command.main([*flags, "a.png", "b.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["picture", "size", *judge_command.COLUMNS]
    for place, name in enumerate(("a.png", "b.png")):
        picture = found["pictures"][place]
        judgement = nst_tf.judge_image(
            name,
            "town.png",
            "paint.png",
            extractor="toy",
            weights=str(toy),
            style_layers=",".join(toys.STYLE_LAYERS),
            content_layers=toys.CONTENT_LAYER,
        )
        assert picture == {"picture": name, **vars(judgement)}
        shown = [
            judge_command.format_number(picture[c])
            for c in judge_command.COLUMNS
        ]
        assert lines[1 + place].split() == [name, "58", "x", "43", *shown]
        by_layer = picture["style_by_layer"]
        assert lines[4].split()[3:] == [*by_layer] == [*toys.STYLE_LAYERS]
        numbers = map(judge_command.format_number, by_layer.values())
        assert lines[5 + place].split() == [name, *numbers]
    assert lines[-1] == found["network"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0812345, "0.0812"), (1.0, "1.00"), (0, "0.00"), (123.4, "123")],
)
def test_figures_have_three_digits(value, text):
    assert judge_command.format_number(value) == text


def test_flags_and_pictures_come_in_any_order():
    request = judge_command.parse(
        [
            *("a.png", "--content", "c.png", "--style=s.png", "b.png"),
            *("--style", "t.png", "--style-scale=1,0.5", "--size=99"),
            *("--json", "--nojson", "--", "--odd.png"),
        ]
    )
    assert request.pictures == ["a.png", "b.png", "--odd.png"]
    assert (request.content, request.styles) == ("c.png", ("s.png", "t.png"))
    assert request.chosen == {"style_scale": (1.0, 0.5)}
    assert (request.size, request.as_json) == (99, False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no content image; pass one with --content=PICTURE."),
        (["--content=town.png", "a.png"], "no style image; pass one with"),
        (
            ["a.png", "--stlye=b.png"],
            "unknown flag --stlye; did you mean '--style'",
        ),
        (
            ["--image-size=9"],
            "unknown flag --image-size; did you mean '--size'",
        ),
        (["a.png", "--content"], "flag --content has no value"),
        (["FLAGS"], "no picture to judge; pass one with PICTURE."),
        (["FLAGS", "no.png"], "there is no file no.png"),
        (["FLAGS", "toy.h5"], "toy.h5 cannot be read: it is not an image"),
        (["FLAGS", "wide.png"], "wide.png is 58 x 20 pixels, but the content"),
        (["FLAGS", "a.png", "--size=x"], "size is 'x', expected a whole numb"),
        (["FLAGS", "a.png", "--style_scale=x"], "is 'x', expected numbers"),
        (["FLAGS", "a.png", "--style_scale=9"], "style_scale is 9.0, expected"),
        (["FLAGS", "a.png", "--weights=a.png"], "a.png is not an HDF5 file"),
        (["FLAGS", "a.png", "--extractor=vgg"], "unknown extractor 'vgg'"),
        (["FLAGS", "a.png", "-", "--style=-"], "several pictures are '-'"),
    ],
)
def test_wrong_input_is_one_sentence_and_status_1_before_work(
    flags, capsys, monkeypatch, arguments, words
):
    monkeypatch.setattr(judging.Judge, "judge", None)
    image_io.save_image("wide.png", toys.image(20, 58))
    if arguments[:1] == ["FLAGS"]:
        arguments = [*flags, *arguments[1:]]
    assert judge_command.main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nst-tf: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err


def test_out_of_memory_has_a_status_of_its_own(flags, capsys, monkeypatch):
    def fail(*_):
        raise MemoryError("out of memory; reduce a.png.")

    monkeypatch.setattr(judging.Judge, "judge", fail)
    assert judge_command.main([*flags, "a.png"]) == 3
    assert capsys.readouterr().err == "nst-tf: out of memory; reduce a.png.\n"


def test_notes_stay_beside_the_json(capsys, flags):
    with Image.open("town.png") as image:
        image.save("town.png", icc_profile=b"of no use")
    pictures = ["--content=town.png", "--style=paint.png", "a.png"]
    assert judge_command.main([*pictures, "--json"]) == 0
    captured = capsys.readouterr()
    assert "note      town.png: its color profile is damaged" in captured.err
    assert len(json.loads(captured.out)["pictures"]) == 1


def test_help_lists_every_flag(capsys):
    assert judge_command.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in ("content", "style", "size", *judging.SETTINGS):
        assert f"  --{name}=" in text
    assert "  --[no]json" in text
    assert max(map(len, text.splitlines())) <= 80
    assert judge_command.main(["--version"]) == 0
    assert nst_tf.__version__ in capsys.readouterr().out


def test_help_and_wrong_input_load_no_tensorflow(tmp_path):
    code = (
        "import sys; import nst_tf.cli.judge_command as command;"
        "import nst_tf; nst_tf.judge_image;"
        "assert command.main(['--help']) == 0;"
        "assert command.main(['--content=a', '--style=b', 'c']) == 1;"
        "assert 'tensorflow' not in sys.modules"
    )
    children.run_python("-c", code, cwd=tmp_path, check=True)


def test_the_module_is_the_program(tmp_path):
    typed = "-m", "nst_tf.judge", "--help"
    result = children.run_python(*typed, cwd=tmp_path, check=True)
    assert result.stdout == programs.format_usage(judge_command.PROGRAM) + "\n"
