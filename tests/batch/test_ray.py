"""Ray: the same pictures as here; what is lost comes again; what is refused."""

import dataclasses
import os
import pickle
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import toys

import nst_tf
from nst_tf import files
from nst_tf.batch import (
    actor,
    api,
    checking,
    cluster,
    command,
    ledger,
    order,
    ray_engine,
    stations,
    tasks,
    workers,
)
from nst_tf.images import image_io
from nst_tf.runs import resume


def _make_jobs(count, **chosen):
    """Makes jobs of the working directory's pictures."""
    chosen = {"weights": "small", "size": 48, "min_size": 48, **chosen}
    return [
        nst_tf.Job(
            "town.png", "paint.png", f"out/{n}.png", steps=3, seed=n, **chosen
        )
        for n in range(count)
    ]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image_io.save_image("town.png", toys.image(60, 80, 0))
    image_io.save_image("paint.png", toys.image(50, 60, 1))
    return tmp_path


def test_without_the_extra_the_command_that_installs_it_is_said(
    capsys, monkeypatch
):
    monkeypatch.setattr(files, "is_installed", lambda name: False)
    assert command.main(["--engine=ray"]) == 1
    assert (
        '--engine=ray needs a package that is not installed: pip install "nst-'
        'tf[batch]"'
    ) in capsys.readouterr().err
    assert command.main(["--engine=rye"]) == 1
    assert "unknown engine 'rye'; did you mean 'ray'" in capsys.readouterr().err


def _make_unit(jobs):
    checked = checking.Checker().check_all(tasks.take_jobs(jobs))
    return order.Queue(checked.found).take(0)


def test_a_lost_picture_comes_again_in_smaller_tiles_after_a_shortage(pictures):
    unit = _make_unit(_make_jobs(1, size=512))
    lost = workers.retry(unit, False, "")
    assert (lost.tile, lost.tries) == (0, 1)
    short = workers.retry(unit, True, "")
    assert (short.tile, short.tries) == (256, 1)
    assert workers.retry(lost, False, "").tile == 256
    result = workers.retry(short._replace(tries=2), True, "by SIGKILL")
    assert result.error == "its worker ended 3 times, at last by SIGKILL"


def test_files_that_a_node_does_not_see_come_and_go(
    folder, painter, monkeypatch
):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "get", lambda reference: reference)
    (folder / "styles").mkdir()
    for n in range(2):
        image_io.save_image(f"styles/{n}.png", toys.image(50, 60, n))
    job = nst_tf.Job(
        **{
            **vars(command.command_line.flags.parse(["--flagfile=toy.cfg"])),
            "content": "town.png",
            "style": ("styles", "paint.png"),
            "output": str(folder / "there/a.bmp"),
        }
    )
    sizes = cluster.list_files(job)
    assert len(sizes) == 5  # and the weights
    sent = {path: Path(path).read_bytes() for path in sizes}
    node = folder / "node"
    node.mkdir()
    monkeypatch.chdir(node)
    (folder / "styles").rename(folder / "gone")
    worker = actor.PaintingActor(stations.Setup(), 1, "no mark")
    data = pickle.dumps((stations.Request(1, job), sizes))
    missing = worker.paint(nst_tf.__version__, data, {})
    named = {path for path in sizes if not path.startswith("/")}
    assert {*missing.paths} == named and len(named) == 4
    answer = worker.paint(
        nst_tf.__version__, data, {path: sent[path] for path in named}
    )
    assert answer.result.status == ledger.DONE, answer.result.error
    assert {*answer.files} == {"a.bmp", "a.bmp.json"}
    assert not (folder / "there").exists()
    assert len(painter.plans[-1].inputs.styles) == 3
    changed = dict.fromkeys(named, b"")
    answer = worker.paint(nst_tf.__version__, data, changed)
    assert "changed while it was sent" in answer.result.error
    refusal = worker.paint("0.0.1", data, {})
    assert f"nst_tf {nst_tf.__version__}, but this program is nst_tf 0.0.1" in (
        refusal.sentence
    )


# Real clusters


@pytest.fixture
def make_cluster(monkeypatch):
    """Starts clusters of nodes on this machine."""
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    import ray
    from ray import cluster_utils

    made = []

    def make(*nodes):
        head, *others = nodes
        common = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
        cluster = cluster_utils.Cluster(
            initialize_head=True, head_node_args={**common, **head}
        )
        made.append(cluster)
        added = [
            cluster.add_node(object_store_memory=80 * 2**20, **node)
            for node in others
        ]
        ray.init(address=cluster.address, log_to_driver=False)
        cluster.wait_for_nodes()
        return cluster, added

    yield make
    ray.shutdown()
    for each in made:
        each.shutdown()


def _stub(act):
    """Makes a class of actors that do `act` in place of painting."""

    class Stub:
        def __init__(self, setup, threads, mark):
            self.setup = setup

        def paint(self, version, data, references):
            request, _ = pickle.loads(data)
            act(request)
            path = Path(request.job.output)
            return actor.Answer(ledger.Result(request.line, ledger.DONE, path))

        def stop(self):
            pass

    return Stub


def _paint(jobs, kind, count=2, watch=None):
    """Paints jobs by a cluster of actors of a kind: results by line."""
    checked = checking.Checker().check_all(tasks.take_jobs(jobs))
    assert not checked.faults
    yield from ray_engine.paint(
        order.Queue(checked.found),
        ledger.Written(None),
        watch or workers.Watch(),
        api.command_line.Options(workers=count, engine="ray"),
        kind,
    )


@pytest.mark.slow
def test_a_cluster_paints_the_pictures_of_this_machine(pictures, make_cluster):
    jobs = _make_jobs(2)
    for result in nst_tf.run_jobs(jobs, workers=2):
        assert result.status == ledger.DONE, result
    os.rename("out", "here")
    make_cluster({"num_cpus": 1}, {"num_cpus": 1})
    results = [*nst_tf.run_jobs(jobs, engine="ray", workers=2)]
    assert {result.status for result in results} == {ledger.DONE}
    for n in range(2):
        there, here = (
            image_io.load_picture(f"{folder}/{n}.png").pixels
            for folder in ("out", "here")
        )
        np.testing.assert_array_equal(there, here)
    again = [*nst_tf.run_jobs(jobs, engine="ray")]
    assert {result.status for result in again} == {ledger.SKIPPED}


@pytest.mark.slow
def test_a_lost_worker_and_a_lost_node_lose_no_picture(
    pictures, make_cluster, caplog
):
    nodes, (node,) = make_cluster({"num_cpus": 1}, {"num_cpus": 1})

    def act(request):
        time.sleep(0.2)
        mark = pictures / "killed"
        if request.line == 4 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    found = set()
    for _, result in _paint(_make_jobs(30), _stub(act)):
        found.add(result.line)
        if len(found) == 10:
            nodes.remove_node(node)
    assert found == {*range(1, 31)}
    lost = [r.message for r in caplog.records if "a worker ended" in r.message]
    assert 1 <= len(lost) <= 2
    assert any("out/3.png is painted again" in line for line in lost)


@pytest.mark.slow
def test_where_memory_is_short_pictures_wait(pictures, make_cluster):
    make_cluster({"num_cpus": 4, "memory": 1.5 * 2**30})

    def act(request):
        here = pictures / f"now-{request.line}"
        here.touch()
        time.sleep(0.1)
        assert len(list(pictures.glob("now-*"))) == 1
        here.unlink()

    found = [result.line for _, result in _paint(_make_jobs(6), _stub(act), 4)]
    assert sorted(found) == [*range(1, 7)]


@pytest.mark.slow
def test_a_kill_by_the_memory_monitor_is_recognized(
    pictures, make_cluster, monkeypatch, caplog
):
    # A node that is always short: each worker is killed.
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.0")
    monkeypatch.setenv("RAY_min_memory_free_bytes", "-1")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    make_cluster({"num_cpus": 1})
    ((_, result),) = _paint(
        _make_jobs(1), _stub(lambda request: time.sleep(60))
    )
    assert result.status == ledger.FAILED
    assert result.error == (
        "its worker ended 3 times, at last because its node ran out of memory"
    )
    assert "out/0.png is painted again, in tiles of 24" in caplog.text


@pytest.mark.slow
def test_a_worker_of_another_version_is_refused(
    pictures, make_cluster, monkeypatch
):
    make_cluster({"num_cpus": 1})
    monkeypatch.setattr(nst_tf, "__version__", "9.9.9")
    with pytest.raises(ValueError, match=r"this program is nst_tf 9\.9\.9; in"):
        [*nst_tf.run_jobs(_make_jobs(1), engine="ray")]


@pytest.mark.slow
def test_a_picture_of_a_lost_node_resumes_from_its_checkpoint(
    pictures, make_cluster
):
    chosen = {"checkpoint_dir": "shared", "checkpoint_every": "2"}
    (job,) = _make_jobs(1, **chosen)
    job = dataclasses.replace(job, steps=(200,))
    nodes, (node,) = make_cluster({"num_cpus": 0}, {"num_cpus": 1})

    def lose_the_node():
        nonlocal node
        if node and any(pictures.glob("shared/*/*.npz")):
            nodes.remove_node(node)  # at once, before the picture is done
            nodes.add_node(num_cpus=1, object_store_memory=80 * 2**20)
            node = None
        return False

    starts = pictures / "starts"

    class Noting(actor.PaintingActor):
        def __init__(self, *given):
            super().__init__(*given)
            find = resume.find_checkpoint

            def note(*asked):
                saved = find(*asked)
                with starts.open("a") as file:
                    file.write(f"{saved.state.steps if saved else 0}\n")
                return saved

            resume.find_checkpoint = note

    ((_, result),) = _paint([job], Noting, 1, workers.Watch(lose_the_node))
    assert node is None and result.status == ledger.DONE, result
    first, second = map(int, starts.read_text().split())
    assert first == 0 < second
    assert not any(pictures.glob("shared/*"))
    alone = dataclasses.replace(job, output="alone.png", checkpoint_dir="")
    (result,) = nst_tf.run_jobs([alone], workers=1)
    assert result.status == ledger.DONE
    np.testing.assert_array_equal(
        *(image_io.load_picture(f"{n}.png").pixels for n in ("out/0", "alone"))
    )


@pytest.mark.slow
def test_files_that_no_worker_sees_go_through_the_object_store(
    pictures, make_cluster
):
    make_cluster({"num_cpus": 1})
    hidden = str(pictures)

    class Elsewhere(actor.PaintingActor):
        def __init__(self, setup, threads, mark):
            measure = actor._measure
            actor._measure = lambda path: (
                -1 if path.startswith(hidden) else measure(path)
            )
            super().__init__(setup, threads, "/no/mark")

    jobs = [
        dataclasses.replace(job, output=f"out/{n}.bmp")
        for n, job in enumerate(_make_jobs(2))
    ]
    for _, result in _paint(jobs, Elsewhere, 1):
        assert result.status == ledger.DONE, result
        assert result.digest == files.digest_file(result.output)
        assert Path(f"{result.output}.json").exists()
    again = [*nst_tf.run_jobs(jobs, engine="ray")]
    assert {result.status for result in again} == {ledger.SKIPPED}


def test_a_busy_slot_takes_no_other_picture():
    slot = ray_engine._Slot(driver=None, kind=None)
    slot.unit = "a picture"
    slot.fill()  # asks no queue
    assert slot.unit == "a picture"
