"""A run in TensorBoard: what is written, when, and what if it cannot be."""

import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import toys

import nst_tf
from nst_tf.cli import flags, main, sweeps
from nst_tf.images import image_io
from nst_tf.plan import pyramid
from nst_tf.runs import api, summaries

LEVELS = [pyramid.Level(2, 3, 4), pyramid.Level(4, 6, 4)]


@pytest.fixture
def folder(tmp_path, toy, monkeypatch):
    """A working directory with a flag file for the toy network."""
    monkeypatch.chdir(tmp_path)
    toys.write_flag_file(toy)
    return tmp_path


def _events(board):
    """What was written: (tag, step) -> value, in the order of writing."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing import event_file_loader

    found = {}
    for path in sorted(Path(board).iterdir()):
        for event in event_file_loader.EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                array = tf.make_ndarray(value.tensor)
                found[value.tag, event.step] = array
    return found


def _steps(events, tag):
    return [step for name, step in events if name == tag]


def test_it_has_the_losses_that_the_log_has_counted_over_levels(folder):
    typed = ["--summary_dir=board", "--log=run.jsonl"]
    assert main.main(["--flagfile=toy.cfg", *typed]) == 0
    events = _events("board")
    lines = list(map(json.loads, Path("run.jsonl").read_text().splitlines()))
    for line in lines:
        count = 3 * (line["level"] - 1) + line["step"]
        losses = {"loss": line["loss"], **line["losses"]}
        assert set(losses) == {
            "loss",
            f"content/{toys.CONTENT_LAYER}",
            *(f"style/{layer}" for layer in toys.STYLE_LAYERS),
            "total_variation",
        }
        for name, value in losses.items():
            assert events[name, count] == pytest.approx(value, rel=1e-6)
    assert len(_steps(events, "loss")) == len(lines) >= 4
    assert _steps(events, "loss")[-1] == 9
    assert _steps(events, "steps_per_second") == _steps(events, "loss")[1:]
    assert all(events["steps_per_second", step] > 0 for step in (6, 9))


def test_it_has_a_picture_of_each_levels_end_and_the_saved_one(folder):
    assert main.main(["--flagfile=toy.cfg", "--summary_dir=board"]) == 0
    events = _events("board")
    assert {3, 6, 9} <= {*_steps(events, "picture")}
    sizes = [events["picture", step][:2].astype(int) for step in (3, 6, 9)]
    assert [tuple(size) for size in sizes] == [(48, 32), (64, 48), (96, 72)]
    shown = tf.io.decode_png(events["result", 9][2]).numpy() / 255
    saved = image_io.load_image("town-paint.png")
    np.testing.assert_allclose(shown, saved, atol=1e-6)


def test_large_pictures_are_shown_at_512(folder):
    typed = ["--size=600", "--levels=1", "--steps=1", "--summary_dir=board"]
    assert main.main(["--flagfile=toy.cfg", *typed]) == 0
    events = _events("board")
    for name in ("picture", "result"):
        assert [*map(int, events[name, 1][:2])] == [512, 384]


def test_it_has_the_flags(folder):
    typed = ["--flagfile=toy.cfg", "--steps=2,1", "--summary_dir=board"]
    assert main.main(typed) == 0
    lines = _events("board")["flags", 1].item().decode().splitlines()
    assert flags.parse(map(str.strip, lines)) == flags.parse(typed)


def test_it_changes_nothing_in_the_picture(folder):
    assert main.main(["--flagfile=toy.cfg", "--output=a.png"]) == 0
    typed = ["--output=b.png", "--summary_dir=board"]
    assert main.main(["--flagfile=toy.cfg", *typed]) == 0
    np.testing.assert_array_equal(
        image_io.load_image("a.png"), image_io.load_image("b.png")
    )


def test_a_run_that_goes_on_goes_on_counting(folder, monkeypatch):
    steps = api.run_steps

    def interrupted(*arguments, **options):
        for count, step in enumerate(steps(*arguments, **options), start=1):
            if count == 5:
                signal.raise_signal(signal.SIGTERM)
            yield step

    typed = ["--flagfile=toy.cfg", "--checkpoint_dir=kept"]
    with monkeypatch.context() as patch:
        patch.setattr(api, "run_steps", interrupted)
        assert main.main([*typed, "--summary_dir=first"]) == 143
    assert _steps(_events("first"), "result") == [5]
    assert main.main([*typed, "--summary_dir=second"]) == 0
    events = _events("second")
    assert _steps(events, "loss")[0] == 6
    assert _steps(events, "result") == [9]


def test_without_the_package_the_command_to_install_it_is_said_at_once(
    folder, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr(main, "_paint", lambda *_: pytest.fail("work began"))
    assert main.main(["--flagfile=toy.cfg", "--summary_dir=board"]) == 1
    assert capsys.readouterr().err == (
        "nst-tf: summary_dir needs a package that is not installed: pip "
        'install "nst-tf[tensorboard]"\n'
    )
    assert not Path("board").exists()


def test_a_folder_that_cannot_be_written_to_is_said_at_once(
    folder, monkeypatch, capsys
):
    monkeypatch.setattr(summaries, "check", lambda: None)
    monkeypatch.setattr(main, "_paint", lambda *_: pytest.fail("work began"))
    assert main.main(["--flagfile=toy.cfg", "--summary_dir=toy.cfg/board"]) == 1
    error = capsys.readouterr().err
    assert "summary_dir toy.cfg/board cannot be written to: " in error
    assert error.count("\n") == 1


def test_a_dry_run_writes_none(folder, monkeypatch):
    monkeypatch.setattr(summaries, "check", lambda: None)
    typed = ["--dry_run", "--summary_dir=board"]
    assert main.main(["--flagfile=toy.cfg", *typed]) == 0
    assert not Path("board").exists()


def test_what_cannot_be_written_is_said_once_and_the_run_goes_on(
    folder, monkeypatch, capsys
):
    def fail(*_, **__):
        raise tf.errors.ResourceExhaustedError(
            None, None, "{{node}} board/a; No space left on device\nbytes"
        )

    monkeypatch.setattr(summaries, "check", lambda: None)
    monkeypatch.setattr(tf.summary, "create_file_writer", fail)
    assert main.main(["--flagfile=toy.cfg", "--summary_dir=board"]) == 0
    out = capsys.readouterr().out
    assert out.count("summary_dir") == 1
    assert "summary_dir board failed: No space left on device\n" in out
    assert "town-paint.png is done" in out


def _painted(color):
    return np.full((2, 3, 3), color, np.uint8)


def test_a_level_that_ends_early_is_shown_at_the_next_ones_first_step(tmp_path):
    board = summaries.Board(tmp_path, [], LEVELS, pytest.fail)
    for count, (level, index) in enumerate([(0, 1), (0, 2), (1, 1), (1, 2)]):
        losses = {"loss": 1.0} if not count else {}
        board.step(level, index, count + 1, losses, lambda: _painted(7))
    assert _steps(_events(tmp_path), "picture") == [1, 3]


def test_pictures_are_read_now_and_then_only(tmp_path, monkeypatch):
    clock = iter(range(0, 100, 10))
    monkeypatch.setattr(summaries.time, "monotonic", lambda: next(clock))
    levels = [pyramid.Level(2, 3, 100)]
    board = summaries.Board(tmp_path, [], levels, pytest.fail)
    for count in range(1, 9):
        board.step(0, count, count, {"loss": 1.0}, lambda: _painted(7))
    assert _steps(_events(tmp_path), "picture") == [1, 4, 7]


def test_it_is_for_the_program_and_no_sheet():
    with pytest.raises(TypeError, match="summary_dir is for the program"):
        nst_tf.stylize("a.png", "b.png", summary_dir="board")
    request = flags.parse(["--sheet", "--summary_dir=board"])
    with pytest.raises(ValueError, match="summary_dir has no part in a"):
        sweeps.make_grid(request)
