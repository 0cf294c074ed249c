"""The toy jobs of scripts/fingerprint can be planned, so that it can run."""

from pathlib import Path

import pytest

from nst_tf.plan import inputs, planning, settings, tiles

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """The module of the toy jobs, in a folder that has their pictures."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from fingerprinting import jobs, pictures

    pictures.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return jobs


def test_every_toy_job_has_a_plan_and_its_tiles_cut_the_picture(jobs):
    cut = set()
    for name, toy in jobs.TOYS.items():
        job = settings.Job(**jobs.settings_of(name, "float32"))
        weights = inputs.load_network(job)
        read = inputs.read_inputs(job)._replace(network=weights)
        plan = planning.make_plan(job, read, planning.Machine())
        if tiles.is_cut(*plan.size, plan.tiling.side):
            cut.add(name)
        assert ("tile" in toy.settings) <= (name in cut), name
    assert {"tiles_by_memory", "tiles_winograd"} <= cut
