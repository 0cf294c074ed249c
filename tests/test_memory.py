"""The plan of memory against what runs took; what the machine says it has."""

import json
from pathlib import Path

import numpy as np
import pytest

import nst_tf
from nst_tf import flagdefs, image_io, inputs, tile_side

ROOT = Path(nst_tf.__file__).parent.parent
LINES = (ROOT / "scripts" / "benchmarks" / "results" / "memory.jsonl").open()
RECORDS = {
    record["case"]: record for record in map(json.loads, LINES.readlines())
}
IMAGES = ROOT / "configs" / "images"


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_the_plan_holds_for_what_runs_took(record, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = IMAGES / "harbor_at_dusk.jpg"
    if record["case"].startswith("square"):
        content = tmp_path / "square.png"
        image_io.save_image(content, np.zeros((768, 768, 3), np.float32))
    request = flagdefs.parse(
        [
            f"--content={content}",
            f"--style={IMAGES / 'swirling_night.jpg'}",
            "--weights=small",
            *record["flags"],
        ]
    )
    _, prepared = inputs.prepare_files(request)
    if record["weights"] != "small":
        network = prepared.network._replace(projections=None)
        prepared = prepared._replace(network=network)
    need = tile_side.needs(request, prepared, record["precision"])
    height, width, _ = prepared.levels[-1]
    planned = need.peak(height, width, request.tile) / 1e9
    assert 0.8 * planned <= record["median_gb"] <= 1.1 * planned
