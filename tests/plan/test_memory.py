"""The model of memory: against what runs took, and by hand."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest

import nst_tf
from nst_tf.cli import flags
from nst_tf.images import image_io
from nst_tf.network import weight_files
from nst_tf.plan import inputs, memory, planning, tile_size

ROOT = Path(nst_tf.__file__).parent.parent
LINES = (ROOT / "scripts" / "benchmarks" / "results" / "memory.jsonl").open()
RECORDS = {
    record["case"]: record for record in map(json.loads, LINES.readlines())
}
# If they say no other.
THEN = "--style_loss=gram", "--convolution=direct", "--scales=1"
PIXELS = 3000 * 4000


@functools.cache
def _gray(height, width):
    return image_io.Picture(np.full((height, width, 3), 0.5, np.float32))


_network = functools.cache(lambda: weight_files.load("vgg19", "small"))


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_the_plan_holds_for_what_runs_took(record):
    network = _network()
    if record["weights"] != "small":
        network = network._replace(projections=None)
    # As large as the pictures of configs/images that the runs were on.
    content = _gray(768, 768 if record["case"].startswith("square") else 1024)
    read = inputs.Inputs(content, (_gray(768, 1024),), [1], network=network)
    plan = planning.make_plan(
        flags.parse([*THEN, *record["flags"]]),
        read,
        planning.Machine(record["precision"]),
    )
    planned = tile_size.estimate_memory(plan) / 1e9
    assert 0.8 * planned <= record["median_gb"] <= 1.1 * planned


def _peak(*tile, **options):
    model = memory.MemoryModel(**{"precision": "float32", **options})
    return model.estimate_peak(3000, 4000, *tile)


@pytest.mark.parametrize(
    ("options", "bytes_per_pixel"),
    [
        ({}, 2450),
        ({"precision": "bfloat16"}, 1380),
        ({"precision": "float16"}, 1380),
        ({"optimizer": "lbfgs", "pairs": 10}, 2450 + 620),
        ({"optimizer": "adam", "pairs": 10}, 2450),
        ({"style_loss": "sliced_wasserstein"}, 3350),
        ({"scales": 3}, 2450 * (1 + 1 / 4 + 1 / 16)),
        ({"style_scale": 1.5}, 2450),
        ({"style_scale": 2.0}, 2450 * 1.6),  # 0.4 of 4 times as many pixels
        ({"features": 99.0, "recomputes": True}, 2450),  # these are for tiles
    ],
)
def test_a_picture_as_a_whole_takes_so_much_for_a_pixel(
    options, bytes_per_pixel
):
    assert _peak(**options) == pytest.approx(1.02e9 + bytes_per_pixel * PIXELS)


@pytest.mark.parametrize(
    ("options", "bytes_per_pixel"),
    [
        ({}, 75 + 8 * 4),
        ({"carries": True}, 75 + 42 + 8 * 4),
        ({"optimizer": "sgd"}, 51 + 8 * 4),
        ({"optimizer": "lbfgs", "pairs": 10}, 94 + 8 * 4 + 620),
        ({"features": 3.5}, 75 + 3.5 * 4),
        ({"features": 3.5, "precision": "bfloat16"}, 75 + 7),
        ({"features": 3.5, "recomputes": True}, 75 + 12),
        ({"style_scale": 1.5}, 75 + 8 * 4),
        ({"style_scale": 2.0}, 80 + 8 * 4),  # 20 of 4 times as many pixels
    ],
)
def test_a_picture_in_tiles_takes_so_much_for_a_pixel(options, bytes_per_pixel):
    step = 1380 if "precision" in options else 2450
    expected = 1.02e9 + 1.2 * step * 512**2 + bytes_per_pixel * PIXELS
    assert _peak(512**2, **options) == pytest.approx(expected)


def test_what_was_read_and_the_network_count():
    assert _peak(read=12e6) - _peak() == pytest.approx(12e6)
    small = 0.83e9 + 1200 * PIXELS
    assert _peak(small=True) == pytest.approx(small)


def test_in_tiles_a_picture_needs_less_and_the_more_the_larger_they_are():
    peaks = [_peak(side**2) for side in (256, 512, 1024, 2048)]
    assert peaks == sorted(peaks) and peaks[-1] < _peak()
    assert _peak(PIXELS) == _peak(4000**2) == _peak()  # it is not cut
    assert _peak(PIXELS - 1) > _peak()


@pytest.mark.parametrize("limit", [3e9, 4e9, 8e9])
def test_the_largest_tile_is_the_last_that_fits(limit):
    model = memory.MemoryModel("float32", read=12e7)
    side = model.find_largest_tile(3000, 4000, limit)
    assert side % 16 == 0
    assert model.estimate_peak(3000, 4000, side**2) <= limit
    assert model.estimate_peak(3000, 4000, (side + 16) ** 2) > limit


def test_tiles_are_smaller_than_the_picture():
    model = memory.MemoryModel("float32")
    assert model.find_largest_tile(64, 64, 1e12) == 48
    assert model.find_largest_tile(32, 80, 1e12) == 48  # of 2304 pixels of 2560
    exact = model.estimate_peak(3000, 4000, 512**2)
    assert model.find_largest_tile(3000, 4000, exact) == 512
    assert model.find_largest_tile(3000, 4000, exact - 1) == 496
    assert model.find_largest_tile(3000, 4000, 2e9) == 0


def test_the_host_has_the_start_and_a_copy_of_it():
    memory.check_host(3000, 4000, 24 * PIXELS)
    memory.check_host(3000, 4000, None)
    words = r"4000 x 3000 pixels needs at least 0\.3 GB .* 0\.2 GB are free"
    with pytest.raises(MemoryError, match=words):
        memory.check_host(3000, 4000, 24 * PIXELS - 1e8)
