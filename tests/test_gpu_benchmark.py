"""The benchmark for GPUs, which is seldom run: that it works, in little."""

import importlib.machinery
import importlib.util
import json
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "scripts" / "benchmarks" / "gpu"


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(PATH.parent)
    loader = importlib.machinery.SourceFileLoader("gpu", str(PATH))
    spec = importlib.util.spec_from_loader("gpu", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def _run(gpu, folder, *flags):
    """The status, and the records by part."""
    path = folder / "gpu.jsonl"
    status = gpu.main([f"--json={path}", *flags])
    records = map(json.loads, path.read_text().splitlines())
    return status, {record["part"]: record for record in records}


def test_parts_that_fail_leave_the_others(gpu, tmp_path, monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(gpu.time, "monotonic", lambda: clock[0])

    class Child:
        returncode, stdout, stderr = 0, '{"seconds": 1}\n', "no kernel"

    def run(command, timeout, **_):
        clock[0] += 50
        Child.returncode = int("--part=steps" in command)
        return Child

    monkeypatch.setattr(gpu.harness, "describe_machine", dict)
    monkeypatch.setattr(gpu.subprocess, "run", run)
    status, records = _run(gpu, tmp_path, "--minutes=2")
    assert status == 1
    assert records["steps"]["error"] == "no kernel"
    assert records["deterministic"]["seconds"] == 1
    assert records["picture"]["error"] == "no time is left"
    assert "failed: steps, picture" in capsys.readouterr().err


def test_an_unknown_part_is_refused(gpu, capsys):
    with pytest.raises(SystemExit):
        gpu.main(["--parts=steps,speed"])
    assert "unknown speed; expected some of steps" in capsys.readouterr().err


@pytest.mark.slow
def test_all_parts_work_in_little(gpu, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    status, records = _run(gpu, tmp_path, "--small")
    assert status == 0
    assert set(records) == set(gpu.PARTS)
    cosines = [row["cosine"] for row in records["steps"]["steps"]]
    assert cosines[0] == 1 and min(cosines) > 0.99
    assert records["repeats"]["same"] == {
        "default": True,
        "deterministic": True,
    }
