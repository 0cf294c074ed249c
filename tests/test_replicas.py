"""Several devices give what one gives; on several machines one writes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CHILD = Path(__file__).with_name("replica.py")
TIMEOUT = 240  # seconds, after which a process hangs
# Of the largest component; sums of tiles in another order differ in rounding.
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}


def _start(*arguments, cluster=(), index=0, cwd=None):
    environment = {**os.environ, "PYTHONPATH": str(CHILD.parent.parent)}
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
    names = [name for name in found.files if name.startswith("alone/")]
    assert len(names) == 2 * 2 * 6
    for name in names:
        alone = found[name]
        together = found[name.replace("alone", "together")]
        scale = np.abs(alone).max()
        assert scale > 0
        difference = np.abs(alone - together).max()
        assert difference <= TOLERANCE[name.split("/")[1]] * scale, name


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
