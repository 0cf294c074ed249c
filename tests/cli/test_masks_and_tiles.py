"""The program on masks, folders of styles, and in tiles."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pretend
import pytest
import tensorflow as tf
import toys
from PIL import Image

import nst_tf
from nst_tf import run
from nst_tf.backend import device, host_memory
from nst_tf.cli import main
from nst_tf.images import color, image_io
from nst_tf.losses import objectives
from nst_tf.optimize import descent
from nst_tf.plan import memory, tiles
from nst_tf.runs import records

LEVEL = "--levels=1"  # the last alone, of 96 x 72 pixels
RED, BLUE, WHITE, BLACK = (255, 0, 0), (0, 0, 255), (255,) * 3, (0,) * 3


def _halves(left, right, size=(60, 80)):
    """A mask of two colors beside each other, [H, W, 3] in [0, 1]."""
    mask = np.zeros((*size, 3), "f4") + np.divide(left, 255)
    mask[:, size[1] // 2 :] = np.divide(right, 255)
    return mask.astype("f4")


@pytest.fixture(autouse=True)
def _folder(folder):
    """A working directory with a flag file, styles, and masks."""
    Path("styles").mkdir()
    for seed in range(3):
        image_io.save_image(f"styles/{seed}.png", toys.image(50, 60, seed))
    Path("styles/notes.txt").write_text("no picture")
    image_io.save_image("two.png", _halves(RED, BLUE))
    image_io.save_image("gray.png", _halves(WHITE, BLACK))
    image_io.save_image("own.png", _halves(BLUE, RED, (50, 60)))


def _run(*flags):
    assert main.main(["--flagfile=toy.cfg", *flags]) == 0


def _load(*names):
    return [np.asarray(Image.open(name), float) for name in names]


def _make_again(capsys, *flags):
    """Makes a.png again, by its record and by its description."""
    assert main.main(["--rerun=a.png", "--output=b.png", *flags]) == 0
    capsys.readouterr()
    assert run.main(["--describe=a.png"]) == 0
    Path("again.cfg").write_text(capsys.readouterr().out)
    assert main.main(["--flagfile=again.cfg", "--output=c.png", *flags]) == 0
    expected, *others = _load("a.png", "b.png", "c.png")
    for other in others:
        np.testing.assert_array_equal(other, expected)


def test_masks_are_recorded_and_painted_by_again(capsys):
    flags = ["--content_mask=two.png", "--style_mask=own.png"]
    flags += ["--strength_map=gray.png", "--keep_mask=gray.png"]
    # What is painted is not kept, so that there would be nothing to paint.
    assert main.main(["--flagfile=toy.cfg", LEVEL, *flags]) == 1
    assert "the masks leave nothing to paint" in capsys.readouterr().err
    _run(LEVEL, "--output=a.png", *flags[:3])
    losses = records.read_record("a.png")["losses"]
    assert {name.partition("@")[2] for name in losses} == {"", "#ff0000"}
    _make_again(capsys)


def test_what_is_kept_stays_to_the_pixel():
    _run(LEVEL, "--output=a.png", "--keep_mask=gray.png", "--init=noise")
    content = image_io.resize(image_io.load_image("town.png"), 72, 96)
    change = np.abs(image_io.load_image("a.png") - content).mean(axis=(0, 2))
    assert change[:44].max() < 1 / 255 and change[60:].min() > 0.02


def test_a_folder_is_one_style(capsys):
    scales = ["--style_scale=0.5", "--style_scale=1"]
    typed = ["--style=styles", "--style=paint.png", *scales]
    _run(LEVEL, "--output=a.png", *typed)
    names = [f"styles/{seed}.png" for seed in range(3)]
    _run(
        LEVEL,
        "--output=d.png",
        *(f"--style={name}" for name in [*names, "paint.png"]),
        f"--style_blend={1 / 6},{1 / 6},{1 / 6},0.5",
        "--style_scale=0.5,0.5,0.5,1",
    )
    np.testing.assert_array_equal(*_load("a.png", "d.png"))
    record = records.read_record("a.png")
    assert [style["name"] for style in record["inputs"]["style"]] == [
        "0.png", "1.png", "2.png", "paint.png"
    ]  # fmt: skip
    assert os.getcwd() not in records.format_record(record)
    for name in names:
        shutil.copy(name, ".")
    _make_again(capsys)
    flags = ["--style=styles", "--style=paint.png", "--output=e.png"]
    assert main.main(["--rerun=a.png", *flags]) == 0
    np.testing.assert_array_equal(*_load("a.png", "e.png"))


# Colors of regions

REGIONS = ["--content_mask=two.png", "--style=paint.png", "--style=own.png"]


def _chroma(image):
    return color.to_oklab(image)[..., 1:]


@pytest.fixture
def painted():
    """Paints two regions by a rule of colors, 16 bits deep."""
    image_io.save_image("own.png", toys.image(50, 60, 2))

    def paint(rule, name, *flags):
        flags = ["--bit_depth=16", f"--output={name}.png", *flags]
        _run(*REGIONS, f"--color={rule}", *flags)
        return image_io.load_image(f"{name}.png")

    return paint


def test_each_region_has_the_colors_of_its_rule(painted, capsys):
    own, kept = painted("style", "own_colors"), painted("content", "kept")
    mixed = painted("content,style", "a")
    content = image_io.resize(image_io.load_image("town.png"), 72, 96)
    np.testing.assert_array_equal(mixed[:, 50:], own[:, 50:])
    np.testing.assert_array_equal(mixed[:, :46], kept[:, :46])
    assert np.abs(_chroma(mixed) - _chroma(content))[:, :46].max() < 1e-4
    assert np.abs(_chroma(own) - _chroma(content))[:, :46].max() > 0.02
    np.testing.assert_array_equal(
        painted("style,content", "swapped")[:, 50:], kept[:, 50:]
    )
    record = records.read_record("a.png")
    assert record["flags"]["color"] == "content,style"
    assert record["decided"]["settings"]["color"] == "content,style"
    _make_again(capsys)
    assert "--color=content,style\n" in Path("again.cfg").read_text()


def test_a_rule_of_the_style_is_of_that_style_alone(painted):
    losses = {}
    for rule in ("match", "style", "match,style"):
        painted(rule, rule, LEVEL, "--steps=1")  # which evaluates the content
        found = records.read_record(f"{rule}.png")["losses"]
        losses[rule] = {n: found[n] for n in found if "@" in n}
    assert {n.partition("@")[2] for n in losses["match"]} == {
        "#ff0000",
        "#0000ff",
    }
    for name, value in losses["match,style"].items():
        rules = ("match", "style")
        same, other = rules if name.endswith("#ff0000") else rules[::-1]
        assert value == losses[same][name] != losses[other][name]


def test_colors_of_regions_are_the_same_in_tiles(painted):
    whole = painted("content,style", "whole", LEVEL)
    tiled = painted("content,style", "tiled", LEVEL, "--tile=40")
    assert np.abs(tiled - whole).max() < 2 / 255
    content = image_io.resize(image_io.load_image("town.png"), 72, 96)
    assert np.abs(_chroma(tiled) - _chroma(content))[:, :46].max() < 1e-4


def test_colors_of_regions_are_painted_on_from_a_checkpoint(painted):
    kept = ["--checkpoint_dir=kept", "--checkpoint_every=2"]
    painted("content,style", "a", *kept)
    again = painted("content,style", "b", *kept, "--resume=require")
    np.testing.assert_array_equal(again, image_io.load_image("a.png"))
    flags = ["--flagfile=toy.cfg", *REGIONS, *kept, "--resume=require"]
    assert main.main([*flags, "--color=style,content"]) == 1


def test_a_folder_has_the_color_of_its_style(capsys):
    for name, one in (("red", RED), ("blue", BLUE)):
        Image.new("RGBA", (60, 50)).save(f"{name}.png")
        drawn = Image.open(f"{name}.png")
        drawn.paste((*one, 255), (10, 10, 50, 40))
        drawn.save(f"{name}.png")
    masks = ["--content_mask=two.png", *["--style_mask=red.png"] * 3]
    masks += ["--style_mask=blue.png"]
    styles = ["--style=styles", "--style=paint.png"]
    _run(LEVEL, *styles, *masks, "--color=content,style", "--output=a.png")
    decided = records.read_record("a.png")["decided"]["settings"]
    assert decided["color"] == "content,content,content,style"
    for name in range(3):
        shutil.copy(f"styles/{name}.png", ".")
    _make_again(capsys)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--color=content,style"], "add --content_mask, which gives each"),
        (["--content_mask=two.png", "--color=content,luminance"], "luminance"),
        (
            ["--content_mask=two.png", "--color=match,style,style"],
            "--color has 3 values, but there are 2 styles",
        ),
    ],
)
def test_colors_that_do_not_fit_the_styles_are_refused(capsys, flags, words):
    styles = ["--style=paint.png", "--style=own.png"]
    assert main.main(["--flagfile=toy.cfg", *styles, *flags]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


# The library


def _stylize(*styles, **settings):
    """Paints town.png from Python, in a few steps."""
    return nst_tf.stylize(
        "town.png",
        styles or ["paint.png"],
        **pretend.choose(
            **{"size": 80, "levels": 1, "weights": Path("toy.h5"), **settings}
        ),
    )


def test_masks_may_be_arrays_beside_paths():
    expected = _stylize(
        "styles/0.png",
        content_mask="two.png",
        style_mask="own.png",
        keep_mask=Path("gray.png"),
    )
    two, own, gray = (np.asarray(Image.open(f"{name}.png")) for name in
                      ("two", "own", "gray"))  # fmt: skip
    actual = _stylize(
        toys.image(50, 60, 0),
        content_mask=two,
        style_mask=[own / np.float32(255)],
        keep_mask=gray[..., 0] > 127,
    )
    # The style was rounded to 8 bits in its file.
    assert np.abs(actual - expected).max() < 0.02
    assert np.abs(expected - _stylize("styles/0.png")).max() > 0.05


def test_a_checkpoint_knows_the_masks_that_are_arrays():
    half = np.zeros((60, 80), bool)
    half[:, 40:] = True
    settings = {"checkpoint_dir": "kept", "checkpoint_every": "1"}
    expected = _stylize(keep_mask=half, **settings)
    again = _stylize(keep_mask=half, **settings)
    np.testing.assert_array_equal(again, expected)
    for others in ({"keep_mask": ~half}, {"strength_map": half}, {}):
        with pytest.raises(ValueError, match="its masks differs"):
            _stylize(**others, **settings)


# Tiles


def test_a_picture_in_tiles_is_that_painted_as_a_whole(capsys):
    _run(LEVEL, "--output=whole.png")
    assert "tiles of" not in capsys.readouterr().err
    _run(LEVEL, "--tile=40", "--output=tiled.png")
    err = capsys.readouterr().err
    assert re.search(r"; about 1\.0 GB, in \d+ tiles of \d+ x \d+\n", err)
    _run(LEVEL, "--tile=40", "--content_target=recompute", "--output=anew.png")
    assert "which recompute the content's features" in capsys.readouterr().err
    whole, tiled_, anew = _load("whole.png", "tiled.png", "anew.png")
    # In float32, which Adam amplifies, and one level of 8 bits.
    assert np.abs(tiled_ - whole).max() <= 1
    assert np.abs(anew - tiled_).mean() < 0.5
    losses = [
        records.read_record(f"{n}.png")["losses"] for n in ("tiled", "anew")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_the_tiles_that_memory_decided_are_recorded_and_taken_again(
    capsys, monkeypatch
):
    monkeypatch.setattr(memory, "_BASE", {"vgg": 1e9, "small": 1e9})
    _run(LEVEL, "--memory=1.01", "--output=a.png", "--optimizer=adam")
    tile = records.read_record("a.png")["decided"]["settings"]["tile"]
    assert 15 <= tile < 84
    capsys.readouterr()
    assert run.main(["--describe=a.png"]) == 0
    assert f"in tiles of {tile}\n" in capsys.readouterr().out
    made = []
    make = tiles.make_tiles
    monkeypatch.setattr(
        tiles, "make_tiles", lambda *args: made.append(args[2]) or make(*args)
    )
    monkeypatch.setattr(host_memory, "find_limit", lambda: 1e12)
    assert main.main(["--rerun=a.png", "--output=b.png"]) == 0
    assert set(made) == {tile}
    np.testing.assert_array_equal(*_load("a.png", "b.png"))


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (["--memory=0.5"], 3, "with the smallest tiles it needs"),
        (["--tile=14"], 1, "tile is 14, expected at least 15 pixels"),
        (
            ["--style_loss=sliced_wasserstein", "--tile=50"],
            1,
            "choose another --style_loss",
        ),
        (["--tile=-1"], 1, "tile"),
        (["--memory=-1"], 1, "memory"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_before_any_work(
    capsys, monkeypatch, flags, status, words
):
    monkeypatch.setattr(
        objectives, "make_objective", lambda *_: pytest.fail("work began")
    )
    assert main.main(["--flagfile=toy.cfg", *flags]) == status
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (tf.errors.ResourceExhaustedError(None, None, "OOM"), True),
        (tf.errors.AbortedError(None, None, "Status: 1, message: no"), True),
        (tf.errors.AbortedError(None, None, "Status: 2, message: no"), False),
        (ValueError("Status: 1, message: no"), False),
    ],
)
def test_what_says_that_memory_does_not_suffice(error, expected):
    assert device.is_out_of_memory(error) is expected


def _without_memory(monkeypatch):
    """Steps fail from the second on."""
    make, taken = descent.make_train_step, []

    def failing(*parts):
        step = make(*parts)

        def step_or_fail():
            taken.append(1)
            if len(taken) > 1:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM")
            return step()

        return step_or_fail

    monkeypatch.setattr(descent, "make_train_step", failing)


AGAIN = "not enough memory for this step; it is repeated with tiles of"


def test_a_program_that_has_no_memory_for_the_smallest_tiles_ends(
    monkeypatch, capsys
):
    _without_memory(monkeypatch)
    before = set(os.listdir())
    assert main.main(["--flagfile=toy.cfg", LEVEL]) == 3
    out, err = capsys.readouterr()
    assert re.findall(rf"{AGAIN} (\d+)\n", err) == ["48", "24"]  # then 12
    assert (
        "nst-tf: out of memory; reduce --size, or use smaller tiles with "
        "--memory, in GB.\n"
    ) in err
    assert "saved town-paint.png (96 x 72, unfinished) in" in err
    assert out == "town-paint.png\n"
    assert set(os.listdir()) - before == {"town-paint.png"}
    assert Image.open("town-paint.png").size == (96, 72)
    assert records.read_record("town-paint.png")["decided"]["steps"] == [1]
