"""An actor: which files it lacks, where it writes, what it sends back."""

import os
import pickle
import platform
import sys
from pathlib import Path

import pretend_ray
import pytest

import nst_tf
from nst_tf.batch import actor, ledger, stations


class Station:
    """Writes what a picture's request says, and what comes beside it."""

    status = ledger.DONE
    beside = True

    def __init__(self, setup):
        self.setup = setup

    def paint(self, request, should_stop):
        self.request, self.was_stopped = request, should_stop()
        path = Path(request.job.output)
        result = ledger.Result(request.line, self.status, path)
        if self.status != ledger.FAILED:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"picture")
            if self.beside:
                path.with_name(f"{path.name}.json").write_bytes(b"record")
        return result


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes an actor in a node's folder; files are sent from "home"."""
    monkeypatch.setitem(sys.modules, "ray", pretend_ray.Ray())
    monkeypatch.setattr(actor.stations, "Station", Station)
    for name in ("INTRAOP", "INTEROP"):
        monkeypatch.setenv(f"TF_NUM_{name}_THREADS", "0")
    (tmp_path / "node").mkdir()
    monkeypatch.chdir(tmp_path / "node")

    def make(mark="no mark", threads=3, status=ledger.DONE, beside=True):
        made = actor.PaintingActor(stations.Setup(), threads, mark)
        made._station.status, made._station.beside = status, beside
        return made

    return make


def _ask(worker, sizes=None, sent=None, **chosen):
    """Asks for a picture: the answer."""
    given = {"content": "a.png", "style": "b.png", "output": "/x/y/c.bmp"}
    request = stations.Request(4, nst_tf.Job(**{**given, **chosen}))
    references = {
        path: pretend_ray.Reference(data) for path, data in (sent or {}).items()
    }
    data = pickle.dumps((request, sizes or {}))
    return worker.paint(nst_tf.__version__, data, references)


def test_an_actor_uses_its_threads(make):
    worker = make(threads=5)
    assert worker._station.setup == stations.Setup()
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "5"
    assert os.environ["TF_NUM_INTEROP_THREADS"] == "5"


def test_an_actor_that_sees_the_mark_writes_there(make, tmp_path):
    mark = tmp_path / "mark"
    mark.touch()
    worker, output = make(str(mark)), str(tmp_path / "out/c.bmp")
    answer = _ask(worker, output=output)
    assert answer.result.output == Path(output)
    assert answer.result.node == platform.node()
    assert not answer.files and Path(output).exists()
    assert not worker._station.request.job.overwrite
    worker._station.status = ledger.FAILED
    assert not _ask(worker, output=output).files


def test_an_actor_that_sees_no_mark_sends_its_files(make):
    worker = make()
    answer = _ask(worker)
    assert answer.files == {"c.bmp": b"picture", "c.bmp.json": b"record"}
    assert (answer.result.line, answer.result.node) == (4, platform.node())
    request = worker._station.request
    assert request.line == 4 and request.job.overwrite
    folder = Path(request.job.output).parent
    assert str(folder).startswith(worker._folder.name)
    assert not [*folder.iterdir()]
    answer = _ask(make(beside=False))
    assert answer.files == {"c.bmp": b"picture"}


def test_a_failure_names_the_output_that_was_asked_for(make):
    answer = _ask(make(status=ledger.FAILED))
    assert answer.result.status == ledger.FAILED and not answer.files
    assert answer.result.output == Path("/x/y/c.bmp")


def test_an_actor_that_is_to_stop_saves_its_picture(make):
    worker = make()
    _ask(worker)
    assert not worker._station.was_stopped
    worker.stop()
    _ask(worker)
    assert worker._station.was_stopped


def test_an_actor_lacks_what_is_missing_or_another_file(make):
    for name, text in (("a.png", "aa"), ("b.png", "bb")):
        Path(name).write_text(text)
    worker = make()
    sizes = {"a.png": 2, "b.png": 3, "s/c.png": 1}
    missing = _ask(worker, sizes)
    assert missing == actor.Missing(["b.png", "s/c.png"])
    answer = _ask(worker, sizes, {"b.png": b"bbb", "s/c.png": b"c"})
    assert answer.result.status == ledger.DONE
    job = worker._station.request.job
    assert job.content == "a.png"
    assert Path(job.style[0]).read_bytes() == b"bbb"
    # What was sent is there for the next picture.
    assert _ask(worker, {"s/c.png": 1}).result.status == ledger.DONE
    answer = _ask(worker, {"b.png": 4}, {"b.png": b"bbb"})
    assert answer.result == ledger.Result(
        4,
        ledger.FAILED,
        Path("/x/y/c.bmp"),
        error="b.png changed while it was sent",
    )


def test_a_job_reads_what_was_sent(make, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    worker = make()
    sent = {
        str(tmp_path / "home/a.png"): b"a",
        "/home/s/1.png": b"1",
        "/home/s/2.png": b"22",
        "/home/m.png": b"m",
        "/home/w.h5": b"w",
        "/home/k.png": b"k",
    }
    Path("here").mkdir()
    _ask(
        worker,
        {path: len(data) for path, data in sent.items()},
        sent,
        content="~/a.png",
        style=("/home/s", "here", "https://host/home/s"),
        weights="/home/w.h5",
        style_mask=("/home/m.png", "", "/home/m.png"),
        keep_mask="/home/k.png",
    )
    job = worker._station.request.job
    folder, *others = job.style
    assert others == ["here", "https://host/home/s"]
    assert sorted(os.listdir(folder)) == ["1.png", "2.png"]
    assert Path(job.content).read_bytes() == b"a"
    assert Path(job.weights).read_bytes() == b"w"
    assert Path(job.keep_mask).read_bytes() == b"k"
    first, none, last = job.style_mask
    assert first == last and Path(first).read_bytes() == b"m" and not none


def test_a_folder_that_a_node_has_is_read_there(make):
    worker = make()
    Path("s").mkdir()
    for name in ("s/1.png", "a.png"):
        Path(name).write_text("1")
    sent = {"s/1.png": b"22"}  # the same name, but another file
    _ask(worker, {"s/1.png": 2, "a.png": 1}, sent, style="s")
    assert worker._station.request.job.style == ("s",)


def test_a_file_that_cannot_be_read_is_missing(tmp_path, monkeypatch):
    path = tmp_path / "a"
    assert actor._measure(str(path)) == -1
    path.write_text("abc")
    assert actor._measure(str(path)) == 3
    monkeypatch.setattr(actor.os, "access", lambda path, mode: False)
    assert actor._measure(str(path)) == -1
    path.unlink()
    monkeypatch.setattr(actor.os, "access", lambda path, mode: True)
    assert actor._measure(str(path)) == -1
