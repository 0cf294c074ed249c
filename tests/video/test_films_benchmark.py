"""The benchmark of films, small: films meet its targets, warping does not."""

import json
import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.slow
def test_a_film_agrees_and_a_warped_frame_does_not_look_right(
    tmp_path, monkeypatch
):
    pytest.importorskip("cv2")
    monkeypatch.setattr(sys, "path", [str(SCRIPTS / "benchmarks"), *sys.path])
    films = runpy.run_path(str(SCRIPTS / "benchmarks" / "films.py"))
    path = tmp_path / "films.jsonl"
    films["main"](
        [
            *("--frames=4", "--size=128", "--runs=alone,dis,warped"),
            f"--json={path}",
        ]
    )
    rows = {
        row["run"]: row
        for row in map(json.loads, path.read_text().splitlines())
    }
    for name in ("warping", "style", "content"):
        assert rows["dis"]["ratios"][name] <= films["LARGEST"][name]
    assert rows["dis"]["traces"] == 1
    assert rows["dis"]["endpoint"] < 0.5
    assert not rows["warped"]["met"]
