"""The same command goes on: what the run before it wrote may be replaced."""

import os
import signal
from pathlib import Path

import children
import pytest
from PIL import Image

import nst_tf
from nst_tf.backend import replicas
from nst_tf.cli import main
from nst_tf.network import weight_files
from nst_tf.plan import settings
from nst_tf.runs import api, checkpoint, outputs, records

ROOT = Path(nst_tf.__file__).parent.parent
KEPT = ["--flagfile=toy.cfg", "--checkpoint_dir=kept", "--checkpoint_every=4"]
MORE = ["--preview_every=2", "--timelapse=a.gif", "--log=a.jsonl"]


class Killed(BaseException):
    """The end of a process that nothing of ours sees."""


def _kill(painter, monkeypatch, count):
    """Ends a run at a step as kill -9 does; its mark stays."""

    def kill(step):
        raise Killed

    painter.events[count] = kill
    monkeypatch.setattr(
        checkpoint.CheckpointFolder, "unmark", lambda self: self._mark.close()
    )


def _run(painter, *typed, number=None, count=6):
    """Runs the program, and stops it by a signal after some steps."""
    painter.events.clear()
    if number:
        painter.events[count] = lambda step: signal.raise_signal(number)
    return main.main([*KEPT, *typed])


def _list(folder="."):
    return {path.name for path in Path(folder).iterdir() if path.is_file()}


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("output", ["", "a.png", "a.bmp"])
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
)
def test_the_same_command_goes_on_after_a_signal(
    folder, painter, number, output
):
    typed = [*MORE, f"--output={output}"]
    name = output or "town-paint.png"
    assert _run(painter, *typed, number=number) == 128 + number
    assert records.read_record(name)["state"] == "unfinished"
    before = _list()
    assert _run(painter, *typed) == 0
    assert records.read_record(name)["state"] == "done"
    assert _list() == before  # nothing is numbered
    assert Image.open("a.gif").n_frames
    assert all(each.endswith(".npz") for each in _list("kept"))
    # What is finished stays.
    assert _run(painter, *typed) == (1 if output else 0)
    assert records.read_record(name)["state"] == "done"
    assert ("town-paint-2.png" in _list()) == (not output)


@pytest.mark.parametrize("count", [3, 6])  # a checkpoint is that of step 4
def test_it_goes_on_after_a_kill_with_a_preview(
    folder, painter, monkeypatch, count
):
    with monkeypatch.context() as patch:
        _kill(painter, patch, count)
        with pytest.raises(Killed):
            main.main([*KEPT, *MORE, "--output=a.png"])
    assert {"a.preview.png"} == _list() & {"a.png", "a.preview.png", "a.gif"}
    assert _run(painter, *MORE, "--output=a.png") == 0
    assert {"a.png", "a.preview.png", "a.gif"} <= _list()
    assert all(each.endswith(".npz") for each in _list("kept"))


def test_a_file_that_was_changed_is_kept(folder, painter, capsys):
    typed = [*MORE, "--output=a.png"]
    assert _run(painter, *typed, number=signal.SIGTERM) == 143
    film = Path("a.gif").read_bytes()
    Path("a.gif").write_bytes(b"mine")
    assert _run(painter, *typed, number=signal.SIGTERM, count=2) == 143
    assert Path("a.gif").read_bytes() == b"mine"
    assert Path("a-2.gif").exists() and film
    picture = Image.open("a.png")
    picture.info["nst_tf"] = records.read_record("a.png")  # an editor keeps it
    picture.save("a.png")
    assert _run(painter, *typed) == 1
    assert "output a.png exists; choose another name" in capsys.readouterr().err


@pytest.mark.parametrize("case", ["not the writer", "missing weights"])
def test_who_reads_no_notes_takes_the_unfinished_picture_for_its_own(
    folder, painter, monkeypatch, case
):
    typed = ["--output=a.png"]
    assert _run(painter, *typed, number=signal.SIGTERM) == 143
    if case == "not the writer":
        monkeypatch.setattr(replicas, "is_writer", lambda: False)
    else:
        load = weight_files.load_without_download
        missing = lambda *names: load(*names)._replace(is_missing=True)  # noqa: E731
        monkeypatch.setattr(weight_files, "load_without_download", missing)
        typed.append("--dry_run")
    assert _run(painter, *typed) == 0
    assert records.read_record("a.png")["state"] == "unfinished"


@pytest.mark.parametrize("change", ["never", "gone", "notes", "job", "file"])
def test_only_a_run_that_goes_on_replaces(folder, painter, capsys, change):
    typed = ["--output=a.png"]
    assert _run(painter, *typed, number=signal.SIGTERM) == 143
    if change == "never":
        typed.append("--resume=never")
    if change == "gone":
        for path in Path("kept").glob("*.npz"):
            path.unlink()
    if change == "notes":
        for path in Path("kept").glob(".*.files"):
            path.write_text('{"a": "[["')
    if change == "file":
        Path("b.png").write_bytes(Path("a.png").read_bytes())
        typed = ["--output=b.png"]
    if change == "job":
        assert (
            _run(painter, "--output=b.png", "--resume=never", "--seed=3") == 0
        )
        for path in Path("kept").glob("*.npz"):
            path.unlink()
        typed.append("--seed=3")
    before = Path("a.png").read_bytes()
    assert _run(painter, *typed) == 1
    assert "exists; choose another name" in capsys.readouterr().err
    assert Path("a.png").read_bytes() == before


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_runs_that_are_stopped_at_random_moments_end_alike(tmp_path):
    script = ROOT / "scripts" / "benchmarks" / "kills.py"
    written = f"--json={tmp_path / 'a.jsonl'}"
    result = children.run_python(script, "--kills=4", written)
    assert "4 of 4 ended alike" in result.stdout, result.stdout


def test_without_a_name_what_is_another_jobs_is_numbered(folder, painter):
    assert _run(painter, number=signal.SIGTERM) == 143
    for path in Path("kept").glob("*.npz"):
        path.unlink()
    assert _run(painter, "--seed=3") == 0
    assert {"town-paint.png", "town-paint-2.png"} <= _list()
    assert records.read_record("town-paint.png")["state"] == "unfinished"


def test_the_library_goes_on_as_well(folder, painter, toy):
    typed = [*KEPT, "--output=a.png"]
    assert _run(painter, *typed[3:], number=signal.SIGTERM) == 143
    painter.events.clear()
    job = main.flags.parse(typed)
    assert isinstance(job, settings.Job)
    assert api.run_job(job).path == Path("a.png")
    assert records.read_record("a.png")["state"] == "done"
    with pytest.raises(ValueError, match=r"output a\.png exists"):
        api.run_job(job)


@pytest.mark.parametrize("text", ["", "[]", "[" * 99999, '{"a": 1}', '"a"'])
def test_damaged_notes_are_none(tmp_path, text):
    (tmp_path / "notes").write_text(text)
    assert outputs.read_written(tmp_path / "notes") == {}
    os.truncate(tmp_path / "notes", 2**30)  # zeros, of which few are read
    assert outputs.read_written(tmp_path / "notes") == {}


def test_a_file_is_known_by_the_last_two_digests(tmp_path):
    notes, path = tmp_path / "notes", tmp_path / "a"
    written = outputs.WrittenFiles(notes)
    assert not written.has(path)
    for text in ("one", "two", "three"):
        (tmp_path / "whole").write_text(text)
        written.note(path, tmp_path / "whole")
    again = outputs.WrittenFiles(notes, outputs.read_written(notes))
    for text, known in (("one", False), ("two", True), ("three", True)):
        path.write_text(text)
        assert again.has(path) is known
    again.forget()
    assert not again.has(path) and not notes.exists()
