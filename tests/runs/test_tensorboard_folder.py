"""A run in TensorBoard: what is written, when, and what if it cannot be."""

import json
import signal
import sys
from pathlib import Path

import numpy as np
import pretend
import pytest
import tensorflow as tf

from nst_tf.cli import flags, main
from nst_tf.images import image_io
from nst_tf.plan import pyramid
from nst_tf.runs import reporters, tensorboard_folder

LEVELS = [pyramid.Level(2, 3, 4), pyramid.Level(4, 6, 4)]


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


def _paint(*typed):
    return main.main(["--flagfile=toy.cfg", *typed])


def test_a_run_has_what_the_log_has_its_flags_and_its_picture(
    folder, painter, monkeypatch
):
    monkeypatch.setattr(tensorboard_folder, "PICTURE_SECONDS", 1e9)
    monkeypatch.setattr(tensorboard_folder, "SCALAR_SECONDS", 0.0)
    typed = ["--summary_dir=board", "--log=run.jsonl", "--steps=4,3"]
    assert _paint(*typed) == 0
    events = _events("board")
    _, *steps, _ = map(json.loads, Path("run.jsonl").read_text().splitlines())
    for step in steps:
        for name in ("loss", *pretend.TERMS):
            value = step["loss" if name == "loss" else f"loss/{name}"]
            assert events[name, step["step"]] == pytest.approx(value, rel=1e-6)
    assert _steps(events, "loss") == [*range(1, 11)]
    assert set(_steps(events, "picture")) == {1, 4, 7, 10}
    sizes = [events["picture", step][:2].astype(int) for step in (4, 7, 10)]
    assert [tuple(size) for size in sizes] == [(48, 32), (64, 48), (96, 72)]
    shown = tf.io.decode_png(events["result", 10][2]).numpy() / 255
    saved = image_io.load_image("town-paint.png")
    np.testing.assert_allclose(shown, saved, atol=1e-6)
    lines = events["flags", 1].item().decode().splitlines()
    assert all(line.startswith("    --") for line in lines)  # code, in Markdown
    again = flags.parse([line.strip() for line in lines])
    assert again == flags.parse(["--flagfile=toy.cfg", *typed])


def test_a_run_that_goes_on_goes_on_counting(folder, painter, default_signals):
    kept = "--checkpoint_dir=kept"
    painter.events[5] = lambda step: signal.raise_signal(signal.SIGTERM)
    assert _paint(kept, "--summary_dir=first") == 143
    assert _steps(_events("first"), "result") == [5]
    painter.events.clear()
    assert _paint(kept, "--summary_dir=second") == 0
    events = _events("second")
    assert _steps(events, "loss")[0] == 6
    assert _steps(events, "result") == [9]


def test_without_the_package_the_command_to_install_it_is_said_at_once(
    folder, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr(main, "_paint", lambda *_: pytest.fail("work began"))
    assert _paint("--summary_dir=board") == 1
    assert capsys.readouterr().err == (
        "nst-tf: summary_dir needs a package that is not installed: pip "
        'install "nst-tf[tensorboard]"\n'
    )
    assert not Path("board").exists()


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").touch()
    words = f"summary_dir {tmp_path / 'file/a'} is not writable: Not a"
    with pytest.raises(ValueError, match=words):
        tensorboard_folder.Board(tmp_path / "file/a", [], LEVELS)
    tensorboard_folder.Board(tmp_path / "made/a", [], LEVELS)
    assert list((tmp_path / "made/a").iterdir()) == []


def test_a_dry_run_writes_none(folder, painter, monkeypatch):
    monkeypatch.setattr(tensorboard_folder, "check", lambda: None)
    assert _paint("--dry_run", "--summary_dir=board") == 0
    assert not Path("board").exists()


# One folder


def _report(board, count, level=0, index=None, loss=1.0):
    losses = {"loss": loss}
    image = np.full((2, 3, 3), 7, np.uint8)
    board.step(
        reporters.StepReport(
            level, index or count, count, losses, 0.0, lambda: image
        )
    )


@pytest.fixture
def clock(monkeypatch):
    """The time; each test sets it."""
    now = [0.0]
    times = type("Time", (), {"monotonic": staticmethod(lambda: now[0])})
    monkeypatch.setattr(tensorboard_folder, "time", times)
    return now


def test_a_level_that_ends_early_is_shown_at_the_next_ones_first_step(
    tmp_path, clock
):
    board = tensorboard_folder.Board(tmp_path, [], LEVELS)
    for count, (level, index) in enumerate([(0, 1), (0, 2), (1, 1), (1, 2)]):
        _report(board, count + 1, level, index)
    _report(board, 5, 1, 4)
    assert _steps(_events(tmp_path), "picture") == [1, 3, 5]
    late = tensorboard_folder.Board(tmp_path / "b", [], LEVELS)
    for index in range(1, 5):  # all steps of the first, so that none is late
        _report(late, index, 0, index)
    _report(late, 5, 1, 1)
    assert _steps(_events(tmp_path / "b"), "picture") == [1, 4]


def test_speed_is_that_since_the_report_before(tmp_path, clock):
    board = tensorboard_folder.Board(tmp_path, [], [pyramid.Level(2, 3, 100)])
    for count, now in ((2, 1.0), (4, 1.1), (6, 3.0), (16, 5.0)):
        clock[0] = now
        _report(board, count)
    events = _events(tmp_path)
    speeds = {step: events["steps_per_second", step] for step in (6, 16)}
    assert speeds == {6: 2.0, 16: 5.0}
    assert _steps(events, "steps_per_second") == [6, 16]
    assert _steps(events, "flags") == [2]


def test_pictures_are_read_every_30_seconds_only(tmp_path, clock):
    board = tensorboard_folder.Board(tmp_path, [], [pyramid.Level(2, 3, 100)])
    for count in range(1, 9):
        clock[0] = 10.0 * count
        _report(board, count)
    assert _steps(_events(tmp_path), "picture") == [1, 4, 7]


def test_what_cannot_be_written_is_said_once_and_the_run_goes_on(
    tmp_path, monkeypatch, caplog
):
    def fail(*_, **__):
        raise tf.errors.ResourceExhaustedError(
            None, None, "{{node}} board/a; No space left on device\nbytes"
        )

    monkeypatch.setattr(tf.summary, "create_file_writer", fail)
    board = tensorboard_folder.Board(tmp_path, [], LEVELS)
    _report(board, 1)
    board.finish(np.zeros((2, 3, 3), np.uint8), 1)
    board.close()
    words = f"summary_dir {tmp_path} failed: No space left on device"
    assert caplog.messages == [words]
