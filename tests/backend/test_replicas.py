"""Several devices give what one gives; on several machines one writes."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from nst_tf.backend import replicas
from nst_tf.images import image_io
from nst_tf.plan import tiles

CHILD = Path(__file__).parents[1] / "replica.py"
TIMEOUT = 240  # seconds, after which a process hangs
# Of the largest component; sums of tiles in another order differ in rounding.
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


def _start(*arguments, cluster=(), index=0, cwd=None):
    environment = dict(os.environ)
    environment.pop("TF_CONFIG", None)
    if cluster:
        environment["TF_CONFIG"] = json.dumps(
            {
                "cluster": {"worker": cluster},
                "task": {"type": "worker", "index": index},
            }
        )
    return subprocess.Popen(
        [sys.executable, str(CHILD), *map(str, arguments)],
        env=environment,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _ended(*processes):
    """Waits for processes; what they wrote. All of them end with this."""
    try:
        texts = [each.communicate(timeout=TIMEOUT)[0] for each in processes]
    finally:
        for each in processes:
            each.kill()
    for each, text in zip(processes, texts, strict=True):
        assert each.returncode == 0, text
    return texts


def _cluster(count=2):
    """Addresses of this machine that nobody listens at."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def _assert_same(path, count):
    found = np.load(path)
    assert found["replicas"] == count
    names = [name for name in found.files if name.startswith("together/")]
    assert len(names) == 2 * 2 * 7
    assert sum("temporal" in name for name in names) == 2 * 2
    for name in names:
        together = found[name]
        for one in "alone", "whole":
            other = found[name.replace("together", one)]
            scale = np.abs(other).max()
            assert scale > 0
            difference = np.abs(together - other).max()
            most = TOLERANCE[name.split("/")[1]] * scale
            assert difference <= most, (name, one)


@pytest.mark.slow
def test_two_devices_give_the_gradient_of_one(tmp_path):
    path = tmp_path / "out.npz"
    _ended(_start("gradients", 2, path))
    _assert_same(path, 2)


@pytest.mark.slow
def test_two_processes_give_the_gradient_of_one(tmp_path):
    paths, cluster = [tmp_path / "0.npz", tmp_path / "1.npz"], _cluster()
    _ended(
        *(
            _start("gradients", 1, path, cluster=cluster, index=index)
            for index, path in enumerate(paths)
        )
    )
    for path in paths:
        _assert_same(path, 2)
    # To the bit, or what they paint would drift apart.
    first, second = (np.load(path) for path in paths)
    for name in first.files:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.slow
@pytest.mark.parametrize("several", ["devices", "processes"])
def test_they_paint_the_picture_of_one(several, folder):
    flags = ["--flagfile=toy.cfg", "--checkpoint_dir=saved"]
    _ended(_start("program", 1, flags[0], "--output=one.png"))
    if several == "devices":
        texts = _ended(
            _start("program", 2, *flags, "--devices=2", "--output=both.png")
        )
    else:
        cluster = _cluster()
        texts = _ended(
            *(
                _start(
                    "program",
                    1,
                    *flags,
                    "--output=both.png",
                    cluster=cluster,
                    index=index,
                )
                for index in range(2)
            )
        )
        assert "the first one writes" in texts[1]
    assert "in 2 tiles of 54 x 72" in texts[0]
    # Nine steps of Adam amplify rounding; a level of gray is its most.
    one, both = map(image_io.load_image, ("one.png", "both.png"))
    assert np.abs(one - both).max() < 1.5 / 255
    assert len(list(folder.glob("both*.png"))) == 1


def test_more_devices_than_there_are_are_refused():
    with pytest.raises(
        ValueError, match=r"devices is 99, but TensorFlow found"
    ):
        replicas.make_strategy(99)


def test_one_device_needs_no_strategy():
    assert replicas.make_strategy(1) is None


@pytest.mark.parametrize(
    ("task", "writes"),
    [(("worker", 0), False), (("chief", 0), True), (("worker", 1), False)],
)
def test_the_chief_writes(task, writes, monkeypatch):
    kind, index = task
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"], "ps": ["d:1"]}
    config = {"cluster": cluster, "task": {"type": kind, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert replicas.count_workers() == 3
    assert replicas.is_writer() is writes


def test_a_damaged_cluster_is_refused(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "worker 1")
    with pytest.raises(ValueError, match="TF_CONFIG is 'worker 1'; expected"):
        replicas.count_workers()


def test_a_picture_is_shared_where_that_is_faster():
    assert tiles.choose_tiles(512, 512, 0, 16, 70) is None
    assert tiles.choose_tiles(256, 256, 0, 16, 70, 2) is None  # halos cost more
    for devices in (2, 3, 4, 8):
        cut = tiles.choose_tiles(2048, 1024, 0, 16, 70, devices)
        assert cut.number >= devices
    # Memory goes first.
    cut = tiles.choose_tiles(2048, 2048, 512, 16, 70, 2)
    assert cut.rows.size * cut.columns.size <= 512**2


@pytest.fixture(scope="module")
def alone():
    """A strategy of one device, which needs no process of its own."""
    return tf.distribute.MirroredStrategy(["CPU:0"])


def test_devices_are_those_of_the_strategy(alone):
    assert replicas.count_devices(None) == 1
    assert replicas.count_devices(alone) == 1
    team = types.SimpleNamespace(num_replicas_in_sync=6)
    assert replicas.count_devices(team) == 6


def test_what_replicas_find_is_added_up_in_any_structure(alone):
    @tf.function(autograph=False)
    def add_up():
        return replicas.sum_over_replicas(
            alone,
            lambda number: {
                "a": tf.constant(3.0),
                "b": [tf.constant(number + 5.0)],
            },
        )

    found = add_up()
    assert float(found["a"]) == 3.0
    assert float(found["b"][0]) == 5.0


def test_the_first_replica_gets_what_there_is(alone):
    own = replicas.give_each(alone, "first", lambda: "another")
    assert own[0] == "first"
    with pytest.raises(KeyError):
        own[1]


def test_processes_hear_of_each_other(alone):
    assert replicas.gather(alone, [3, 5]) == [[3, 5]]
    assert replicas.agree(alone, True)
    assert not replicas.agree(alone, False)


def test_a_value_is_read_where_it_is(alone):
    value = types.SimpleNamespace(device="CPU:0")
    null = contextlib.nullcontext
    assert isinstance(replicas.use_device_of(value), null)
    with alone.scope():
        assert not isinstance(replicas.use_device_of(value), null)


def test_without_a_cluster_the_process_writes(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert replicas.count_workers() == 1
    assert replicas.is_writer()
    cluster = {"worker": ["a:1", "b:1"]}
    for index, writes in ((0, True), (1, False)):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": cluster, "task": task})
        monkeypatch.setenv("TF_CONFIG", config)
        assert replicas.count_workers() == 2
        assert replicas.is_writer() is writes
