"""A station: its caches, its folders, its locks, and what a result has."""

import dataclasses
import logging
import types
from pathlib import Path

import numpy as np
import pretend
import pytest

import nst_tf
from nst_tf import locks
from nst_tf.batch import ledger, stations
from nst_tf.images import image_io
from nst_tf.judge import judging
from nst_tf.plan import planning


@pytest.fixture
def request_one(folder, painter):
    """Makes the request for a toy picture of three steps."""

    def make(**chosen):
        plain = {"content": "town.png", "style": "paint.png"}
        plain["output"] = "out/deep/a.png"
        job = pretend.job(folder / "toy.h5", **{**plain, **chosen})
        return stations.Request(7, job)

    return make


def test_a_result_has_what_was_painted(request_one, caplog):
    shares = []
    station = stations.Station(stations.Setup())
    result = station.paint(request_one(), follow=shares.append)
    path = Path("out/deep/a.png")
    assert (result.line, result.status) == (7, ledger.DONE), result.error
    assert result.output == path and result.judge == {}
    assert result.digest == ledger.files.digest_file(path)
    assert 0 < result.seconds < 60 and not caplog.messages
    assert shares == pytest.approx([n / len(shares) for n in _count(shares)])
    assert not [*path.parent.glob(".*")]  # no lock
    again = station.paint(request_one())
    assert again.status == ledger.SKIPPED and again.digest == result.digest
    assert (again.line, again.output) == (7, path)


def _count(values):
    return range(1, len(values) + 1)


def test_a_result_names_the_error(request_one):
    station = stations.Station(stations.Setup())
    result = station.paint(request_one(content="twon.png"))
    assert (result.line, result.status) == (7, ledger.FAILED)
    assert "there is no file twon.png" in result.error
    assert result.output == Path("out/deep/a.png")


def test_a_picture_is_stopped_after_a_step_but_not_after_its_last(
    request_one, painter, monkeypatch
):
    station = stations.Station(stations.Setup())
    cleared = []  # of checkpoints, once a picture is done
    monkeypatch.setattr(stations, "_remove_checkpoints", cleared.append)
    taken = []
    painter.events[2] = lambda step: taken.append(step)
    result = station.paint(request_one(), lambda: bool(taken))
    assert result.status == ledger.UNFINISHED
    assert len(taken) == 1 and not cleared
    painter.events.clear()
    # What comes during the last step does not stop it.
    total = 3 * len(painter.plans[0].levels)
    seen = []
    painter.events = {n: seen.append for n in range(1, total + 1)}
    request = request_one(output="b.png")
    result = station.paint(request, lambda: len(seen) == total)
    assert result.status == ledger.DONE and len(seen) == total
    assert cleared == [painter.plans[-1]]


def test_a_network_must_have_the_digest_that_was_asked_for(request_one):
    station = stations.Station(stations.Setup())
    network = station._networks.find(request_one().job, may_download=False)
    digest = stations.resume.digest_weights(network)
    request = request_one()._replace(network=digest)
    assert station.paint(request).status == ledger.DONE
    other = request_one(output="c.png")._replace(network="another")
    assert "this worker has other network" in station.paint(other).error


def test_the_memory_of_a_station_is_for_jobs_without_their_own(
    request_one, monkeypatch
):
    found = []
    draft = planning.draft_plan
    monkeypatch.setattr(
        stations.planning,
        "draft_plan",
        lambda job, read: found.append(job.memory) or draft(job, read),
    )
    monkeypatch.setattr(stations.runner, "start_run", lambda draft: draft)
    for memory in (3.0, 0.0):
        station = stations.Station(stations.Setup(memory=memory))
        station._start(request_one())
        station._start(request_one(memory=2.0))
    assert found == [3.0, 2.0, 0.0, 2.0]
    smaller = station._start(request_one()._replace(tile=32))
    assert smaller.tiling.side and not station._start(request_one()).tiling.side


def test_notes_of_a_picture_are_kept_for_its_result(request_one, monkeypatch):
    def start(draft):
        raise ValueError("enough")

    monkeypatch.setattr(stations.runner, "start_run", start)
    monkeypatch.setattr(stations.inputs.Inputs, "notes", ["a note"])
    station = stations.Station(stations.Setup())
    assert "a note" in station.paint(request_one()).notes


def test_logging_is_restored(caplog):
    log = stations.log
    before = log.handlers[:], log.level, log.propagate
    with pytest.raises(KeyError), stations._keep_notes() as notes:
        log.info("a %s", "note")
        log.debug("too much")
        assert log.level == logging.INFO and not log.propagate
        raise KeyError
    assert notes == ["a note"] and not caplog.messages
    assert (log.handlers, log.level, log.propagate) == before


def test_pictures_are_kept_up_to_a_size(monkeypatch):
    assert stations.KEPT_BYTES == 1e9
    loads = []

    def load(source, *arguments, **options):
        loads.append((source, arguments, options))
        return image_io.Picture(np.zeros((10, 10, 3), np.float32))  # 1200 B

    monkeypatch.setattr(stations.sources, "load", load)
    monkeypatch.setattr(stations, "KEPT_BYTES", 2400)
    station = stations.Station(stations.Setup())

    def read(*names):
        loads.clear()
        for name in names:
            station._load(name, 1, is_mask=False)
        return "".join(name for name, *_ in loads)

    assert read("a", "b", "a") == "ab"  # both fit
    assert loads[0] == ("a", (1,), {"is_mask": False})
    assert read("c") == "c"  # b was not asked for as late as a
    assert read("a", "c", "b") == "b"
    first = station._load("d", 1)
    assert station._load("d", 1) is first
    assert station._load("d", 2) is not first
    monkeypatch.setattr(stations, "KEPT_BYTES", 10)
    kept = station._load("e")
    assert station._load("e") is kept  # one is always kept
    assert [*station._pictures] == [("e", ())]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("a\n  b"), "a b"),
        (OSError("no disk"), "no disk"),
        (FloatingPointError("NaN"), "NaN"),
        (KeyError("x" * 600), f"KeyError: '{'x' * 499}"),
    ],
)
def test_an_error_is_one_line(error, words):
    assert stations._describe_error(error) == words


def test_a_shortage_of_memory_is_named(monkeypatch):
    monkeypatch.setattr(stations.device, "is_out_of_memory", lambda error: True)
    describe = stations._describe_error
    assert describe(RuntimeError("tensor of  shape")) == "tensor of shape"
    assert describe(MemoryError()).startswith("out of memory; make it smaller")
    monkeypatch.delitem(stations.sys.modules, "tensorflow")
    assert describe(RuntimeError("x")) == "RuntimeError: x"


def test_each_picture_has_a_folder_of_checkpoints():
    job = nst_tf.Job("a.png", "b.png", f"out/{'n' * 61}.png")
    assert stations._use_own_folder(job) is job

    def find(**changes):
        changes = {"checkpoint_dir": "kept", **changes}
        changed = dataclasses.replace(job, **changes)
        used = stations._use_own_folder(changed)
        assert (used.seed, used.memory) == (changed.seed, changed.memory)
        return Path(used.checkpoint_dir)

    folder = find()
    stem, _, key = folder.name.rpartition("-")
    assert folder.parent == Path("kept") and stem == "n" * 60
    assert len(key) == 16
    # The memory of another node and a moved folder change nothing.
    assert find(memory=2.0) == folder
    assert find(checkpoint_dir="new").name == folder.name
    assert find(seed=1) != folder


def test_checkpoints_of_a_finished_picture_are_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))

    def remove(folder):
        checkpoints = types.SimpleNamespace(folder=folder)
        stations._remove_checkpoints(
            types.SimpleNamespace(checkpoints=checkpoints)
        )

    remove("")
    remove("~/missing")
    for name, others in (("one", ()), ("two", ("mine.txt",))):
        (tmp_path / name).mkdir()
        for each in ("a.checkpoint.npz", *others):
            (tmp_path / name / each).touch()
        remove(f"~/{name}")
    assert not (tmp_path / "one").exists()
    assert [p.name for p in (tmp_path / "two").iterdir()] == ["mine.txt"]


def test_an_output_is_locked(tmp_path):
    path, mark = tmp_path / "a.png", tmp_path / ".a.png.lock"
    with stations._lock(path):
        assert mark.exists() and mark in locks._own
        with (
            pytest.raises(ValueError, match=r"another batch paints .*a\.png"),
            stations._lock(path),
        ):
            pass
        assert mark in locks._own
    assert not mark.exists() and mark not in locks._own


def test_tiles_are_limited_as_far_as_possible(monkeypatch, toy):
    draft = pretend.draft(toy)
    asked = []

    def find(plan):
        asked.append(plan.network.convolution)
        return {"direct": 24, "gemm": 40}.get(plan.network.convolution, 16)

    monkeypatch.setattr(stations.tile_size, "find_smallest_side", find)
    smallest = max(find(_convolve(draft, name)) for name in _NAMES)
    asked.clear()

    def limit(side, has=0):
        tiling = draft.tiling._replace(side=has)
        plan = dataclasses.replace(draft, tiling=tiling)
        return stations.limit_tiles(plan, side).tiling.side

    assert limit(64) == 64 and asked == [*_NAMES]
    assert limit(8) == smallest
    assert limit(64, 48) == 48 and limit(64, 96) == 64


_NAMES = stations.architectures.CONVOLUTIONS


def _convolve(draft, name):
    network = draft.network._replace(convolution=name)
    return dataclasses.replace(draft, network=network)


def test_a_picture_is_judged_once_it_is_done(request_one, monkeypatch):
    made = []

    class Judge:
        def __init__(self, chosen):
            made.append(chosen)

        def judge(self, picture, subject):
            assert picture.pixels.shape == (72, 96, 3)
            scores = dict.fromkeys(stations.JUDGED, 0.123456)
            return types.SimpleNamespace(**scores)

    monkeypatch.setattr(judging, "Judge", Judge)
    station = stations.Station(stations.Setup(judge=True))
    result = station.paint(request_one())
    assert result.judge == dict.fromkeys(stations.JUDGED, 0.1235), result.error
    station.paint(request_one(output="b.png", seed=3))
    assert len(made) == 1
    left = request_one(output="c.png")
    result = station.paint(left, lambda: True)
    assert result.status == ledger.UNFINISHED and result.judge == {}


def test_written_files_are_noted_in_the_results(request_one, tmp_path):
    book = tmp_path / "results.jsonl"
    station = stations.Station(stations.Setup(results=book))
    result = station.paint(request_one())
    (line,) = ledger.read(book)
    assert line["status"] == ledger.WRITING and line["digest"] == result.digest
    # A file of the same name is replaced if its digest is among these.
    changed = request_one(seed=2)
    assert station.paint(changed).output == Path("out/deep/a-2.png")
    path = str(Path("out/deep/a.png"))
    allowed = changed._replace(replaces={path: [result.digest]})
    Path("out/deep/a-2.png").unlink()
    assert station.paint(allowed).output == Path(path)
