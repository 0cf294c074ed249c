"""Contact sheets: which jobs, that they share, how they are drawn."""

import dataclasses
import os
import signal
import types
from pathlib import Path

import numpy as np
import pytest
import toys
from PIL import Image

from nst_tf.backend import replicas
from nst_tf.cli import console, contact_sheet, flags, main, sweeps
from nst_tf.images import image_io, sources, writing
from nst_tf.judge import judging
from nst_tf.network import extractors
from nst_tf.plan import settings
from nst_tf.runs import api, results, runner
from nst_tf.transfer import method


@pytest.fixture
def flag_file(folder):
    """A flag file for the toy network, in the working directory."""
    return "--flagfile=toy.cfg"


def _prepare(*typed):
    return contact_sheet.prepare(flags.parse(["--flagfile=toy.cfg", *typed]))


def _paint(sheet, seconds=0, should_stop=lambda: False):
    return list(contact_sheet.paint(sheet, seconds, should_stop))


def _grid(**chosen):
    return sweeps.make_grid(settings.Job(**chosen))


def test_one_sweep_is_a_row():
    ((first, second),) = _grid(sweep="strength:0.2,0.5")
    assert first.label == ("--strength=0.2",)
    assert (first.job.strength, second.job.strength) == (0.2, 0.5)


def test_two_sweeps_are_rows_and_columns():
    grid = _grid(sweep=("tv_weight:0,5", "style_scale:0.5,1,2"))
    assert [len(row) for row in grid] == [2, 2, 2]
    assert grid[2][1].label == ("--tv_weight=5", "--style_scale=2")
    assert grid[2][1].job.tv_weight == 5
    assert grid[2][1].job.style_scale == (2.0,)


def test_without_a_sweep_strength_and_strokes_vary():
    grid = _grid(sheet=True)
    assert grid[0][0].label == ("--strength=0.4", "--style_scale=0.5")
    assert grid[-1][-1].label == ("--strength=1", "--style_scale=2")


@pytest.mark.parametrize(
    ("sweep", "values"),
    [
        ("style_blend:1,0;0.5,0.5", [(1.0, 0.0), (0.5, 0.5)]),
        ("steps:20,40", [(20,), (40,)]),
        ("steps:20,40;60", [(20, 40), (60,)]),
        ("style:a.jpg,b.jpg", [("a.jpg",), ("b.jpg",)]),
        ("color:style, match", ["style", "match"]),
        ("color:content,style;match", ["content,style", "match"]),
        ("--seed:1,2", [1, 2]),
        ("content_layers:block4_conv2:1,block5_conv2:1;block4_conv2", None),
    ],
)
def test_values_are_read_as_flags_are(sweep, values):
    (row,) = _grid(sweep=sweep)
    name = sweep.partition(":")[0].lstrip("-")
    if values is None:
        values = ["block4_conv2:1,block5_conv2:1", "block4_conv2"]
    assert [getattr(cell.job, name) for cell in row] == values


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (
            {"sweep": "strenght:1"},
            "no flag --strenght; did you mean '--strength'",
        ),
        ({"sweep": "strength"}, "expected a flag and its values, such as"),
        ({"sweep": "strength:0.5,"}, "expected a flag and its values"),
        ({"sweep": "strength:a"}, "strength is 'a', expected a number"),
        ({"sweep": "output:a.png"}, "output does not change"),
        ({"sweep": "bit_depth:8,16"}, "bit_depth does not change"),
        ({"sweep": "sheet_size:64"}, "sheet_size does not change"),
        ({"sweep": "flagfile:glass"}, "no flag --flagfile"),
        ({"sweep": ("seed:1", "seed:2")}, "twice for seed"),
        ({"sweep": ("seed:1", "strength:1", "size:64")}, "given 3 times"),
        ({"sweep": "seed:" + ",".join("1" * 101)}, "101 pictures"),
        (
            {"sweep": "seed:1", "checkpoint_dir": "a"},
            "do not use --checkpoint_dir",
        ),
        ({"sweep": "seed:1", "preview_every": 5}, "do not use --preview_every"),
    ],
)
def test_a_sweep_that_is_wrong_is_refused(chosen, words):
    with pytest.raises(ValueError, match=words):
        _grid(**chosen)


def _reduced(**chosen):
    """The jobs of a row as they are painted."""
    (row,) = _grid(**chosen)
    return [sweeps.reduce_job(cell.job, cell) for cell in row]


def test_pictures_are_small_by_the_small_network():
    (job,) = _reduced(sweep="seed:1", size=1024, style_size=600)
    assert job.size == 256
    assert job.weights == "small"
    # as much of the picture as 600 pixels are beside 1024
    assert job.style_size == (150,)


def test_what_is_named_stays():
    (job,) = _reduced(sweep="seed:1", size=128, weights="imagenet")
    assert (job.size, job.weights) == (128, "imagenet")
    (job,) = _reduced(sweep="seed:1", extractor="vgg16")
    assert job.weights == "auto"  # there is no small VGG16
    one, two = _reduced(sweep="size:128,512", style_size=64)
    assert (one.size, two.size) == (128, 512)
    assert two.style_size == (64,)


def test_a_print_is_seen_small(flag_file):
    asked = flags.parse([flag_file, "--print_size=2x3in", "--style_size=300"])
    asked = dataclasses.replace(asked, sweep=("seed:1",), sheet_size=64)
    (cell,) = contact_sheet.prepare(asked).cells
    assert cell.plan.size == (48, 64)
    sheet = _prepare("--sweep=seed:1", "--quality=80", "--bit_depth=16")
    assert (sheet.options.quality, sheet.options.bit_depth) == (80, 16)
    # 300 of the 800 pixels that 2 inches of height ask for
    assert cell.job.style_size == (24,)


def test_pictures_are_what_their_flags_make(flag_file):
    sweeps_ = "--sweep=style_weight:10,1000", "--sweep=style_scale:1,2"
    prepared = _prepare(*sweeps_, "--levels=1", "--size=48")
    images = _paint(prepared)
    assert len(images) == 4
    for cell, image in zip(prepared.cells[:2], images, strict=False):
        typed = [flag_file, "--levels=1", "--size=48", *cell.label]
        draft = api.draft_files(flags.parse(typed))
        step = runner.start_run(draft).execute()
        np.testing.assert_array_equal(image, results.read_image(step))
    assert np.abs(images[0] - images[1]).max() > 0.02
    assert np.abs(images[0] - images[2]).max() > 0.02


def test_files_are_read_and_seen_once(flag_file, monkeypatch):
    read, made = [], []
    load, make = sources.load, extractors.vgg

    def count(source, *rest, **options):
        read.append(source)
        return load(source, *rest, **options)

    def keep(*arguments, **options):
        made.append(make(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(sources, "load", count)
    monkeypatch.setattr(extractors, "vgg", keep)
    prepared = _prepare("--sweep=style_weight:1,10,100", "--steps=1")
    painters, get = [], method.Painter._get_network
    monkeypatch.setattr(
        method.Painter,
        "_get_network",
        lambda self, plan: painters.append(get(self, plan)) or painters[-1],
    )
    assert len(_paint(prepared)) == 3
    assert read == ["town.png", "paint.png"]
    assert len(made) == 1
    assert painters[0] is painters[1] is painters[2]
    # the content and the style image, at each of three levels
    assert len(painters[0].extractor.cache) == 6


def test_a_sheet_has_each_picture_at_its_place(flag_file):
    prepared = _prepare("--sweep=seed:1,2", "--sweep=style_scale:0.5,1,2")
    images = {
        number: np.full((72, 96, 3), number / 10, np.float32)
        for number in range(5)
    }
    drawn = contact_sheet.draw(prepared, images)
    height, width = drawn.shape[:2]
    for number in range(6):
        value = np.float32(number / 10 if number < 5 else 0.8)
        places = np.argwhere((drawn == value).all(-1))
        (top, left), (bottom, right) = places.min(0), places.max(0)
        assert (bottom - top + 1, right - left + 1) == (72, 96)
        assert len(places) >= 72 * 96
        column, row = number % 2, number // 2
        assert left // (width // 2) == column
        assert top // (height // 3) == row
        label = drawn[bottom + 1 : bottom + 30, left : left + 96]
        assert label.min() < 0.5  # written below it, on white
        assert label[:, -1].min() == 1 or label.max() == 1


def test_labels_differ_and_a_long_one_is_cut(flag_file):
    long = "/very/long" * 20 + "/name.png"
    image_io.save_image("b.png", toys.image(40, 40))
    prepared = _prepare("--sweep=seed:1,2")
    drawn = contact_sheet.draw(prepared, {})
    middle = drawn.shape[1] // 2
    left, right = drawn[-20:, :middle], drawn[-20:, -middle:]
    assert left.min() < 0.5
    assert right.min() < 0.5
    assert left.sum() != right.sum()
    cell = prepared.cells[0]._replace(label=(f"--style={long}",))
    wide = contact_sheet.draw(prepared._replace(rows=[[cell]]), {})
    assert wide.shape[1] < 130
    assert wide[-20:, -4:].min() == 1  # the margin is white


def test_transparent_pictures_are_drawn_on_white(flag_file):
    alpha = np.zeros((60, 80), np.float32)
    alpha[:30] = 1
    pixels = toys.image(60, 80)
    image_io.write_image("town.png", pixels, writing.Options(alpha=alpha))
    prepared = _prepare("--sweep=seed:1")
    (image,) = _paint(prepared)
    drawn = contact_sheet.draw(prepared, {0: image})
    left = (drawn.shape[1] - 96) // 2
    drawn = drawn[left : left + 72, left : left + 96]  # the margin is even
    np.testing.assert_allclose(drawn[-20:], 1, atol=0.02)
    assert drawn[:20].mean() < 0.9
    np.testing.assert_allclose(drawn[:20], image[:20], atol=0.02)


def test_the_program_writes_a_sheet(flag_file, painter, capsys):
    assert main.main([flag_file, "--sweep=tv_weight:0,50", "--size=64"]) == 0
    out, err = capsys.readouterr()
    assert "2 x 1 pictures of 64 x 48" in err
    assert "%  picture 2 of 2, step 3/3, loss 7, about" in err
    assert "saved town-paint-sheet.png (" in err
    assert out == "town-paint-sheet.png\n"
    assert Image.open("town-paint-sheet.png").width > 128


def test_scores_are_those_of_the_judge(flag_file, toy, capsys):
    flags_ = [flag_file, "--sweep=style_scale:1,2", "--sheet_scores"]
    prepared = contact_sheet.prepare(flags.parse(flags_))
    size = contact_sheet.draw(prepared, {}).shape
    images = _paint(prepared)
    scores = {}
    for number, image in enumerate(images):
        judgement = judging.judge_image(
            image,
            "town.png",
            "paint.png",
            extractor="toy",
            weights=str(toy),
            style_layers=",".join(toys.STYLE_LAYERS),
            content_layers=toys.CONTENT_LAYER,
            style_scale=number + 1.0,
        )
        cell = prepared.cells[number]
        scores[number] = contact_sheet.write_scores(prepared.judge, cell, image)
        assert scores[number] == (
            f"style {judgement.style:.2f}, content {judgement.content:.2f}, "
            f"ssim {judgement.ssim:.2f}"
        )
    drawn = contact_sheet.draw(prepared, dict(enumerate(images)), scores)
    assert drawn.shape == size
    without = contact_sheet.draw(prepared._replace(judge=None), {})
    assert without.shape[0] < size[0]
    assert main.main([*flags_, "--output=a.png"]) == 0
    err = capsys.readouterr().err
    assert f"scores    toy, {toy}" in err
    assert f"picture 1 of 2, --style_scale=1, {scores[0]}" in err
    assert "differs from the network" not in err  # one network
    assert image_io.load_image("a.png").shape == size


def test_scores_need_a_style_and_say_what_network_judges(
    flag_file, capsys, caplog
):
    sweep = ["--sweep=seed:1,2", "--sheet_scores"]
    arguments = ["--content=town.png", "--style_weight=0", *sweep]
    assert main.main(arguments) == 1
    assert "--sheet_scores needs a style image" in capsys.readouterr().err
    prepared = _prepare(*sweep)
    other = prepared.judge.network._replace(origin="elsewhere")
    prepared.judge.network = other
    with caplog.at_level("INFO", "nst_tf"):
        lines = contact_sheet.describe(prepared, "the CPU")
    assert "scores    toy, elsewhere" in lines
    assert "differs from the network that generates" in caplog.text


def test_a_style_may_be_swept(flag_file, painter):
    image_io.save_image("b.png", toys.image(40, 40, 5))
    sweep = "--sweep=style:paint.png,b.png"
    assert main.main([flag_file, sweep, "--output=a.png"]) == 0
    assert Path("a.png").exists()
    assert main.main([flag_file, sweep, "--output=b.png", "--overwrite"]) == 1
    np.testing.assert_allclose(
        image_io.load_image("b.png"), toys.image(40, 40, 5), atol=0.01
    )


def test_a_dry_run_paints_nothing_and_says_the_time(
    flag_file, capsys, monkeypatch
):
    monkeypatch.setattr(runner, "estimate_seconds", lambda plan: 6.0)
    typed = [flag_file, "--sweep=seed:1,2,3", "--dry_run"]
    for more, words in (
        ([], "about 18 s"),
        (["--max_seconds=10"], "at most 10 s"),
    ):
        assert main.main([*typed, *more]) == 0
        shown = capsys.readouterr().out
        assert "3 x 1 pictures of 96 x 72" in shown
        assert f"time      {words}" in shown
    assert not Path("town-paint-sheet.png").exists()


def test_every_picture_is_checked_before_work(flag_file, capsys, monkeypatch):
    monkeypatch.setattr(contact_sheet, "paint", None)
    assert main.main([flag_file, "--sweep=style_scale:1,2,9"]) == 1
    assert "style_scale is 9.0" in capsys.readouterr().err
    assert main.main([flag_file, "--sweep=style:paint.png,no.png"]) == 1
    assert "there is no file no.png" in capsys.readouterr().err


@pytest.mark.usefixtures("default_signals")
def test_a_signal_leaves_the_sheet_so_far(flag_file, painter, capsys):
    def stop(step):
        if len(painter.plans) == 2:
            signal.raise_signal(signal.SIGTERM)

    painter.events[4] = stop
    assert main.main([flag_file, "--sweep=seed:1,2,3"]) == 143
    out, err = capsys.readouterr()
    assert out == "town-paint-sheet.png\n" and ", unfinished) in" in err
    assert "1 of 3 pictures were made; the others are gray" in err
    drawn = image_io.load_image("town-paint-sheet.png")
    gray = np.abs(drawn - 0.8).max(-1) < 0.01
    assert 2 * 96 * 72 <= gray.sum() < 2.2 * 96 * 72
    painter.events[4] = lambda step: signal.raise_signal(signal.SIGINT)
    before = set(os.listdir())
    with pytest.raises(KeyboardInterrupt):  # no picture is finished
        main.main([flag_file, "--sweep=seed:1,2"])
    assert set(os.listdir()) == before


def test_a_failure_leaves_the_sheet_so_far(flag_file, painter, capsys):
    def fail(step):
        if len(painter.plans) == 2:
            raise FloatingPointError("no numbers")

    painter.events[4] = fail
    assert main.main([flag_file, "--sweep=seed:1,2"]) == console.FAILED
    captured = capsys.readouterr()
    assert "no numbers" in captured.err
    assert ", unfinished) in" in captured.err
    assert captured.out == "town-paint-sheet.png\n"


def test_a_sheet_that_cannot_be_written_is_said(
    flag_file, painter, monkeypatch, capsys
):
    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(image_io, "write_image", fail)
    assert main.main([flag_file, "--sweep=seed:1,2"]) == 1
    words = "sheet.png cannot be written: No space left"
    assert words in capsys.readouterr().err


def test_a_budget_is_shared_by_the_pictures(flag_file, painter, monkeypatch):
    clock = [100.0]
    times = types.SimpleNamespace(monotonic=lambda: clock[0])
    monkeypatch.setattr(contact_sheet, "time", times)
    painter.events[1] = lambda step: clock.__setitem__(0, clock[0] + 10.0)
    prepared = _prepare("--sweep=seed:1,2,3,4")
    _paint(prepared, 60)
    # What is left, shared: of 60, 50, 40 and 30.
    shares = [plan.stop.seconds for plan in painter.plans]
    assert shares == [15, pytest.approx(50 / 3), 20, 30]
    painter.plans.clear()
    _paint(prepared, 15)
    shares = [plan.stop.seconds for plan in painter.plans]
    assert shares == [3.75, pytest.approx(5 / 3), 0.01, 0.01]
    painter.plans.clear()
    _paint(prepared)
    assert {plan.stop.seconds for plan in painter.plans} == {0}


@pytest.mark.parametrize(("devices", "workers"), [(2, 1), (0, 1), (1, 2)])
def test_several_devices_paint_no_sheet(
    flag_file, monkeypatch, capsys, devices, workers
):
    monkeypatch.setattr(replicas, "count_workers", lambda: workers)
    typed = [flag_file, "--sweep=seed:1,2", f"--devices={devices}"]
    assert main.main(typed) == 1
    words = "a contact sheet cannot use several devices"
    assert words in capsys.readouterr().err


def test_a_sheet_is_for_the_program(flag_file):
    with pytest.raises(ValueError, match="sweep belongs to the command line"):
        api.run_job(flags.parse([flag_file, "--sweep=seed:1"]))
    with pytest.raises(TypeError, match="sheet belongs to the command line"):
        api.stylize("town.png", "paint.png", sheet=True)
