"""A Ray cluster: how it is found, what an actor gets, which files it reads."""

import logging
import math
import os
import sys
import types
from pathlib import Path

import pretend_ray
import pytest

import nst_tf
from nst_tf.batch import cluster, command_line

GB = 10**9


@pytest.fixture
def use(monkeypatch):
    """Puts a cluster of nodes in the place of Ray."""

    def use(*resources, **others):
        ray = pretend_ray.Ray(*resources, **others)
        monkeypatch.setitem(sys.modules, "ray", ray)
        return ray

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "")
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED")
    return use


def test_a_cluster_is_left_when_the_batch_ends(use):
    ray = use()
    with pytest.raises(EOFError), cluster.connect("host:1"):
        assert ray.is_up
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
        raise EOFError
    assert not ray.is_up
    assert ray.inits == [
        {
            "address": "host:1",
            "log_to_driver": False,
            "logging_level": logging.ERROR,
        }
    ]


def test_a_connection_of_the_caller_stays(use):
    ray = use()
    ray.is_up = True
    with cluster.connect("auto"):
        pass
    assert ray.is_up and not ray.inits


def test_a_missing_cluster_is_named_with_the_reason(use):
    ray = use()
    ray.failure = ConnectionError(f"no\n  host. {'a' * 190}.b")
    with pytest.raises(
        ValueError, match=rf"at address 'auto' \(no host\. {'a' * 190}\); start"
    ):
        cluster.connect("auto").__enter__()


def _list(*outputs):
    return types.SimpleNamespace(list_outputs=lambda: outputs)


def test_a_mark_stands_beside_all_outputs_during_a_batch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # the folder is missing, and then it exists
        with cluster.mark_outputs(_list("a/b/c/1.png", "a/b/d/2.png")) as mark:
            assert Path(mark).parent == tmp_path / "a/b"
            assert [*tmp_path.rglob(".nst-shared-*")] == [Path(mark)]
        assert not os.path.exists(mark)
    with cluster.mark_outputs(_list("3.png")) as mark:
        os.remove(mark)


def _plan(count=100, **options):
    given = command_line.Options(**options)
    return cluster.plan_actors(range(count), given)


def test_actors_get_four_cores_where_nodes_have_them(use):
    dead = {"CPU": 64.0, "memory": 99 * GB}
    nodes = {"CPU": 9.0, "memory": 5 * GB}, {"CPU": 4.0, "memory": 7 * GB}
    use(*nodes, {"CPU": 3.0, "memory": 1 * GB}, dead=[dead])
    assert _plan() == (4, 0.0, 7 * GB, 3)
    assert _plan(2).actors == 2
    use({"CPU": 3.0, "memory": GB})
    assert _plan() == (3, 0.0, GB, 1)
    use({"memory": GB}, {})  # no node has cores to give
    assert _plan() == (1, 0.0, math.inf, 1)


def test_fewer_actors_get_more_cores_and_more_get_fewer(use):
    use({"CPU": 9.0, "memory": GB}, {"CPU": 5.0, "memory": GB})
    assert _plan(workers=1)[0] == 9  # an actor is on one node
    assert _plan(workers=2) == (7, 0.0, GB, 2)
    assert _plan(workers=6) == (2, 0.0, GB, 6)
    assert _plan(workers=30) == (1, 0.0, GB, 30)
    assert _plan(3, workers=30).actors == 3


def test_an_actor_gets_a_gpu_where_there_is_one(use):
    use({"CPU": 8.0}, {"CPU": 8.0, "GPU": 3.0})
    assert _plan() == (4, 1.0, math.inf, 3)
    assert _plan(gpus_per_job=0.5).actors == 6
    assert _plan(gpus_per_job=0) == (4, 0.0, math.inf, 4)
    assert _plan(gpus_per_job=8) == (4, 8.0, math.inf, 1)  # it waits


def test_a_shortage_is_told_from_other_losses(use):
    known = use().exceptions
    lost = known.RayActorError
    assert cluster.is_shortage(known.OutOfMemoryError("x"))
    assert cluster.is_shortage(lost("the node was low on Memory"))
    assert cluster.is_shortage(lost("Out of memory"))
    assert not cluster.is_shortage(lost("the node died; memory is fine"))


def test_all_files_that_a_job_reads_are_listed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    names = "a.jpg", "many/1.jpg", "many/2.jpg", "b.jpg", "m.png", "w.h5"
    for size, name in enumerate(names, start=1):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * size)
    job = nst_tf.Job(
        "~/a.jpg",
        ("many", "b.jpg", "https://host/c.jpg"),
        content_mask="m.png",
        init="noise",
        weights="w.h5",
    )
    expected = {name: size for size, name in enumerate(names, start=1)}
    expected[str(tmp_path / "a.jpg")] = expected.pop("a.jpg")
    assert cluster.list_files(job) == expected
    plain = nst_tf.Job("b.jpg", "https://host/c.jpg", weights="auto")
    assert cluster.list_files(plain) == {"b.jpg": 4}
