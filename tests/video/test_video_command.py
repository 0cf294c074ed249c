"""The program: what it refuses, paints, prints and leaves behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import films
import numpy as np
import pytest
from PIL import Image

from nst_tf import files
from nst_tf.cli import entry
from nst_tf.plan import planning
from nst_tf.runs import records
from nst_tf.video import command, writing

STUB = """\
import sys, time
sys.path[:0] = {paths!r}
import films
from nst_tf import terminal
from nst_tf.plan import planning
from nst_tf.video import command

class Painter(films.Painter):
    def __init__(self, film):
        super().__init__(film.options.passes)
        self.film = film

    def make_plan(self, frame):
        machine = planning.Machine("float32", 4e9, 1, 8e9)
        return planning.fit_plan(self.film.draft, machine)

    def paint(self, *arguments):
        time.sleep({seconds})
        return super().paint(*arguments)

command.make_painter = Painter
terminal.run_program("nst_tf.video.command")
"""


MACHINE = planning.Machine("float32", 4e9, 1, 8e9)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a film and a painting, in which the program runs."""
    monkeypatch.chdir(tmp_path)
    films.make(tmp_path / "clip.mp4", 6, sound="aac")
    rng = np.random.default_rng(1)
    colors = rng.integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(colors).save(tmp_path / "painting.png")
    return tmp_path


class Painter(films.Painter):
    """A painter whose plan is the film's draft."""

    def __init__(self, film):
        super().__init__(film.options.passes, fails=FAILS)
        self._film = film

    def make_plan(self, frame):
        return planning.fit_plan(self._film.draft, MACHINE)


FAILS = []


@pytest.fixture
def painter(monkeypatch):
    """Puts the painter without a network in its place."""
    monkeypatch.setattr(command, "make_painter", Painter)
    FAILS.clear()


def _run(capsys, *arguments):
    """Runs the program; returns its status, its output and its messages."""
    status = command.main(
        ["clip.mp4", "painting.png", "--size=64", "--weights=small", *arguments]
    )
    out, err = capsys.readouterr()
    return status, out, err


REFUSED = [
    (["--content=x.mp4"], "clip.mp4 is the content image, but --content is"),
    (["--start=3"], "clip.mp4 has no frame from 3 s on; it is 0.25 s long."),
    (
        ["--start=2", "--end=1"],
        "end is 1, but start is 2; end after the start.",
    ),
    (["--start=1:x"], "start is '1:x', expected seconds, such as 2.5, or h:"),
    (["--fps=0"], "fps is '0', expected frames a second, such as 24 or 24000"),
    (["--look_back=1,1"], "look_back is '1,1', expected different numbers"),
    (["--look_back=0"], "look_back"),
    (["--passes=0"], "passes is 0, expected at least 1"),
    (["--checkpoint_dir=c"], "checkpoint_dir"),
    (["--crf=60", "-oo.mp4"], "crf is 60, expected 0 to 51 for .mp4"),
    (["-o", "clip.mp4"], "output clip.mp4 is one of the inputs; choose"),
    (["-o", "x.gif"], "extension '.gif'; expected .mp4 or .webm, or a folder"),
    (["-o", "no/x.mp4"], "output folder no does not exist; create it."),
    (["-o", "old.mp4"], "output old.mp4 exists; choose another name, or over"),
    (["-o", "frames"], "output folder frames has other files, such as a.txt"),
    (["--report=x.txt"], "report x.txt must have the extension .json."),
    (["--report=painting.png"], "must have the extension .json."),
    (["--bit_depth=16", "-ox.mp4"], "but .mp4 films have 8 bits; write a fol"),
    (["--max_megapixels=0.001"], "clip.mp4 is 64 x 48, more than the 0.001 "),
    (["--keep_mask=frames"], "has no pictures; expected files with the exte"),
    (["--keep_mask=masks"], "has 2 masks, but clip.mp4 has 6 frames to pain"),
    (["--flow=lucas"], "--flow is 'lucas'; expected dis, deepflow, none, or"),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(
    folder, capsys, arguments, words
):
    (folder / "old.mp4").write_text("old")
    for name in ("frames", "masks"):
        (folder / name).mkdir()
    (folder / "frames" / "a.txt").touch()
    for number in (1, 2):
        Image.new("L", (64, 48), 255).save(folder / "masks" / f"{number}.png")
    status, out, err = _run(capsys, *arguments)
    assert status == 1
    assert not out
    (line,) = err.splitlines()
    assert line.startswith("nst-tf: ")
    assert words in line
    assert not [*folder.glob("*.work")]
    assert (folder / "old.mp4").read_text() == "old"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("none.mp4", "there is no file none.mp4"),
        ("painting.png", ""),  # a film of one frame
        ("-", "content is -, but a film is read more than once; save it"),
        ("https://a.example/x.mp4", "read more than once; save it as a file"),
        (
            "gaps",
            "content gaps has no frame 2: 3.png follows 1.png. Number the",
        ),
        ("gaps/%02d.png", "content gaps/%02d.png has no frame 2"),
        ("setup.txt", "setup.txt cannot be read as a film: Invalid data"),
    ],
)
def test_what_is_no_film_is_refused(folder, capsys, painter, content, words):
    (folder / "setup.txt").write_text("no film")
    (folder / "gaps").mkdir()
    for number in (1, 3):
        Image.new("RGB", (64, 48)).save(folder / "gaps" / f"{number}.png")
    given = "painting.png", "--size=64", "-o", "o.mp4", "--weights=small"
    status = command.main([content, *given])
    _, err = capsys.readouterr()
    assert words in err
    assert (status == 0) == (not words)


def test_what_is_missing_is_refused_before_any_work(
    folder, capsys, monkeypatch
):
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: usage._replace(free=9)
    )
    status, _, err = _run(capsys, "-o", "o.mp4")
    assert status == 1
    assert (
        "work_dir o.mp4.work has 9e-06 MB free, but 6 frames of 64 x 48 need "
        "0.227 MB until the film is done; free space, or name a folder of "
        "another disk with --work_dir." in err
    )
    installed = files.is_installed
    monkeypatch.setattr(
        files, "is_installed", lambda name: name != "av" and installed(name)
    )
    status, _, err = _run(capsys, "-o", "o.mp4")
    assert 'pip install "nst-tf[video]"; or pass its frames.' in err
    assert status == 1


def test_the_film_is_painted_and_its_path_printed(folder, capsys, painter):
    status, out, err = _run(capsys, "-o", "o.mp4")
    assert (status, out) == (0, "o.mp4\n")
    assert "6 frames of clip.mp4 in the style of painting.png -> o.mp4" in err
    assert "saved o.mp4 (64 x 48, 6 frames) in" in err
    found = films.open_film(folder / "o.mp4")
    assert found.count == 6
    assert films.measure_sound(folder / "o.mp4")[0] == "aac"
    assert {e.name for e in folder.iterdir()} == {
        *("clip.mp4", "painting.png", "o.mp4")
    }


def test_the_report_has_figures_of_the_film(
    folder, capsys, painter, monkeypatch
):
    monkeypatch.setattr(command.judging, "Judge", lambda chosen: None)
    given = "-o", "o.mp4", "--report=r.json"
    status, _, err = _run(capsys, *given)
    assert status == 0
    assert "note      warping error " in err
    report = json.loads((folder / "r.json").read_text())
    assert report["flags"][-3:] == [
        *("--output=o.mp4", "--size=64", "--weights=small")
    ]
    assert report["options"]["look_back"] == [1, 2, 4]
    assert (report["film"], report["clip"]) == ("o.mp4", "clip.mp4")
    assert report["warping"] < 0.01
    assert [each["index"] for each in report["frames"]] == [*range(6)]
    (folder / "o.mp4").unlink()
    assert "report r.json exists; choose" in _run(capsys, *given)[2]


def test_a_film_is_written_though_it_cannot_be_judged(
    folder, capsys, painter, monkeypatch
):
    def fail(*arguments):
        raise MemoryError("no memory")

    monkeypatch.setattr(command.film_judge.FilmJudge, "add", fail)
    status, out, err = _run(capsys, "-o", "o.mp4")
    assert (status, out) == (0, "o.mp4\n")
    assert err.count("warning   the film could not be judged: no memory") == 1


def test_without_a_name_it_is_called_after_its_pictures(
    folder, capsys, painter
):
    assert _run(capsys)[:2] == (0, "clip-painting.mp4\n")


def test_kept_frames_are_not_painted_again(folder, capsys, painter):
    given = "-o", "o.mp4", "--keep_frames", "--work_dir=w"
    assert _run(capsys, *given)[0] == 0
    kept = sorted((folder / "w/pass1").iterdir())
    before = [path.read_bytes() for path in kept]
    first = (folder / "o.mp4").read_bytes()
    FAILS.extend(range(6))
    status, _, err = _run(capsys, *given, "--crf=40")  # its own output
    assert status == 0
    assert "note      6 frames are painted; resuming" in err
    assert (folder / "o.mp4").read_bytes() != first
    assert [path.read_bytes() for path in kept] == before
    status, _, err = _run(capsys, *given, "--style_weight=7")
    assert status == 1
    assert "style_weight (100.0 there, 7.0 now) differs. Repeat the com" in err
    (folder / "o.mp4").write_text("the user's")
    assert "output o.mp4 exists" in _run(capsys, *given)[2]


def test_a_film_says_how_it_was_made(folder, capsys, painter):
    given = "--style_weight=7.0", "--end=0.2", "--look_back=1,2"
    assert _run(capsys, "-o", "o.mp4", *given)[0] == 0
    assert entry.main(["--describe=o.mp4"]) == 0
    text = capsys.readouterr().out
    flags = {given[0], "--size=64", "--weights=small"}
    assert flags <= {*text.splitlines()}
    typed = text.partition("to type: ")[2].partition("\n")[0].split()
    assert typed == list(given[1:])
    (folder / "again.cfg").write_text(text)
    again = ["--flagfile=again.cfg", "clip.mp4", "painting.png", *typed, "-o"]
    assert command.main([*again, "again.mp4"]) == 0
    films_ = [(folder / name).read_bytes() for name in ("o.mp4", "again.mp4")]
    assert films_[0] == films_[1]
    # A film of a film has its own record alone.
    (folder / "clip.mp4").unlink()
    (folder / "o.mp4").rename(folder / "second.mp4")
    arguments = ["second.mp4", "painting.png", "--size=32", "-o", "b.mp4"]
    assert command.main([*arguments, "--weights=small"]) == 0
    assert records.read_film_record("b.mp4")["content"] == "second.mp4"


def test_failed_frames_are_listed_and_painted_again(folder, capsys, painter):
    FAILS.append(3)
    status, out, err = _run(capsys, "-o", "o.mp4")
    assert (status, out) == (4, "o.mp4\n")
    assert (
        "warning   1 frame failed and repeat the one before them: 3; the same "
        "command paints them again" in err
    )
    assert films.open_film(folder / "o.mp4").count == 6
    FAILS.clear()
    status, _, err = _run(capsys, "-o", "o.mp4")
    assert status == 0, err
    assert not (folder / "o.mp4.work").exists()


def test_a_film_that_cannot_be_written_keeps_its_frames(
    folder, capsys, painter, monkeypatch
):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    write = writing.write
    monkeypatch.setattr(writing, "write", fail)
    status, out, err = _run(capsys, "-o", "o.mp4")
    assert (status, out) == (1, "")
    assert "output o.mp4 cannot be written: [Errno 28] No space" in err
    assert "the frames are in o.mp4.work. Repeat the command when" in err
    monkeypatch.setattr(writing, "write", write)
    FAILS.extend(range(6))
    assert _run(capsys, "-o", "o.mp4")[0] == 0


def test_odd_films_and_masks_of_frames(folder, capsys, painter):
    (folder / "masks").mkdir()
    for number in range(3):
        Image.new("L", (64, 48), 30 * number).save(
            folder / "masks" / f"{number}.png"
        )
    films.make(folder / "clip.mp4", 3, (48, 64))
    status, _, err = _run(
        capsys, "-o", "o.mp4", "--size=63", "--keep_mask=masks"
    )
    assert status == 0, err


def test_the_output_may_be_a_folder(folder, capsys, painter):
    assert _run(capsys, "-o", "o")[:2] == (0, "o\n")
    assert len([*(folder / "o").glob("*.png")]) == 6
    assert (
        "has frames; name a new folder, or replace"
        in (_run(capsys, "-o", "o")[2])
    )
    given = "-o", "o", "--overwrite", "--preview_frames=2"
    status, _, err = _run(capsys, *given)
    assert status == 0
    assert "note      a folder of PNG has no sound" in err
    assert len([*(folder / "o").glob("*.png")]) == 2


def test_a_dry_run_says_frames_time_memory_and_disk(
    folder, capsys, painter, monkeypatch
):
    monkeypatch.setattr(command.runner, "estimate_seconds", lambda plan: 60.0)
    given = "-o", "o.mp4", "--steps=10", "--frame_steps=5", "--levels=1"
    status, out, _ = _run(capsys, *given, "--dry_run")
    assert status == 0
    film, seconds, memory, disk = out.splitlines()
    assert film == "film      o.mp4, 64 x 48, 6 frames, 0.25 s at 24 a second"
    assert seconds == (
        "time      about 4 min: 60 s for the first frame of a scene, 30 s for "
        "others"
    )
    assert memory.startswith("memory    about 0.")
    assert disk == ("disk      0.222 MB in o.mp4.work, until the film is done")
    assert {e.name for e in folder.iterdir()} == {"clip.mp4", "painting.png"}


def test_help_names_every_flag(capsys):
    assert command.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in ("start", "look_back", "work_dir", "[no]keep_frames"):
        assert f"--{name}" in text
    assert max(map(len, text.splitlines())) < 80


def _start(folder, *arguments, seconds=0.05):
    """Starts the program with the painter without a network."""
    paths = [str(Path(__file__).parent)]
    code = STUB.format(paths=paths, seconds=seconds)
    given = ["clip.mp4", "painting.png", "--size=64", "--weights=small"]
    return subprocess.Popen(
        [sys.executable, "-c", code, *given, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for_frames(run, folder, count):
    """Waits until so many frames are kept."""
    while len([*folder.glob("pass*/*.npy")]) < count:
        assert run.poll() is None, run.communicate()
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_film_goes_on_to_the_same_bits(folder):
    films.make(folder / "clip.mp4", 24, sound="aac")
    given = "--passes=2", "--keep_frames"
    run = _start(folder, "-o", "whole.mp4", *given, seconds=0)
    assert run.wait(120) == 0, run.stderr.read()
    rng = np.random.default_rng(int(time.time()))
    for count in (3, 9, 20, 28, 44):
        run = _start(folder, "-o", "o.mp4", *given)
        _wait_for_frames(run, folder / "o.mp4.work", count)
        time.sleep(rng.random() / 10)
        run.kill()
        run.wait()
    run = _start(folder, "-o", "o.mp4", *given)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert "resuming" in err
    for path in (folder / "whole.mp4.work").glob("pass*/*.npy"):
        other = str(path).replace("whole.mp4", "o.mp4")
        assert path.read_bytes() == Path(other).read_bytes()
    film = (folder / "o.mp4").read_bytes()
    assert film == (folder / "whole.mp4").read_bytes()
    assert not [*folder.rglob(".nst-*")]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.usefixtures("default_signals")
def test_ctrl_c_writes_a_film_of_the_finished_frames(folder):
    run = _start(folder, "-o", "o.mp4", seconds=0.3)
    _wait_for_frames(run, folder / "o.mp4.work", 2)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=120)
    assert (run.returncode, out) == (130, "o.mp4\n"), err
    found = films.open_film(folder / "o.mp4")
    assert 2 <= found.count < 6
    assert f"{found.count} frames, unfinished) in" in err
    run = _start(folder, "-o", "o.mp4")
    out, err = run.communicate(timeout=120)
    assert (run.returncode, out) == (0, "o.mp4\n"), err
    assert films.open_film(folder / "o.mp4").count == 6
    assert not (folder / "o.mp4.work").exists()
