"""Files that an earlier commit wrote are read: tests/goldens/README.md."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import nst_tf
from nst_tf import run
from nst_tf.cli import main

OLD = Path(__file__).parents[1] / "goldens" / "old"
CHECKPOINTS = ("adam", "lbfgs", "sgd", "tiles")
# What was the default then, and is none of a flag file's.
DEFAULTS = (
    "--content_weight=5",
    "--convolution=direct",
    "--grain_weight=0",
    "--style_loss=gram",
)
# Each with a line of its flag file, or what was decided by it.
PICTURES = {
    "shallow.png": "--content_weight=138.88",  # a strength of 0.5, then
    "deep.png": "--bit_depth=16",
    "photograph.jpg": "--quality=90",
    "web.webp": "--color=match",
    "print.tif": "# done, after 5 steps in",
    "deep_print.tif": "--convention=keras",
    "plain.bmp": "--style_blend=0.7,0.3",
}


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A copy of the old files, in the working directory."""
    copy = tmp_path / "old"
    shutil.copytree(OLD, copy)
    monkeypatch.chdir(copy)
    return copy


def _check_close(path, golden):
    """Holds a picture to a golden one.

    Machines round differently, and five steps of an optimizer amplify that.
    """
    difference = np.abs(nst_tf.load_image(path) - nst_tf.load_image(golden))
    assert difference.mean() < 1 / 255


def _resume(name, monkeypatch, capsys):
    """Goes on from an old checkpoint, and holds the picture to its golden."""
    (path,) = Path(name).glob("*.npz")
    with np.load(path) as file:
        head = json.loads(str(file["head"]))
    # A checkpoint is refused by other versions, on purpose.
    monkeypatch.setattr(nst_tf, "__version__", head["identity"]["version"])
    flags = [f"--flagfile={name}.cfg", f"--checkpoint_dir={name}"]
    flags += ["--resume=require", "--bit_depth=16", "--output=again.png"]
    flags += DEFAULTS
    assert main.main(flags) == 0
    out, err = capsys.readouterr()
    level, step = head["level"] + 1, head["steps"] + 1
    assert level == 2 or step > 1
    assert f"resuming at level {level}, step {step}\n" in err
    assert out == "again.png\n"
    _check_close("again.png", f"{name}.png")


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_old_checkpoints_are_resumed(old, monkeypatch, capsys, name):
    _resume(name, monkeypatch, capsys)


def test_what_a_killed_run_left_is_no_obstacle(old, monkeypatch, capsys):
    left = sorted(path.name for path in old.glob("killed/.*"))
    assert [Path(name).suffix for name in left] == [".part", ".running"]
    for path in old.glob("killed/.*"):
        shutil.copy(path, old / "adam")
    _resume("adam", monkeypatch, capsys)
    assert not list(old.glob("adam/.*"))  # found by the key of then, and ended


@pytest.mark.parametrize("name", PICTURES)
def test_old_pictures_say_how_they_were_made(old, capsys, name):
    assert run.main([f"--describe={name}"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"# {name}, made by nst_tf ")
    for line in ("--seed=7", "--weights=small", PICTURES[name]):
        assert re.search(rf"^{re.escape(line)}", out, re.MULTILINE)


@pytest.mark.parametrize("name", PICTURES)
def test_old_pictures_are_made_again(old, capsys, name):
    again = f"again{Path(name).suffix}"
    flags = [f"--rerun={name}", "--memory=8", f"--output={again}"]
    assert main.main(flags) == 0
    out, err = capsys.readouterr()
    assert out == f"{again}\n"
    is_bmp = again.endswith(".bmp")
    assert ("cannot hold the mark of generated pictures" in err) == is_bmp
    assert is_bmp or "warning" not in err
    _check_close(again, name)
