"""Batches as programs: kills at any moment, and several processes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nst_tf
from nst_tf import files
from nst_tf.batch import ledger
from nst_tf.images import image_io
from nst_tf.transfer import painter_pool

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("default_signals")]
SMALL = ["--size=48", "--min_size=48", "--weights=small"]
PAIRS = ["--content=photos/*.jpg", "--style=paintings/*.jpg"]
OUTPUT = "--output=out/{content}-{style}.png"


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A working directory with three photographs and four paintings."""
    monkeypatch.chdir(tmp_path)
    images = files.example_images()
    (tmp_path / "photos").mkdir()
    (tmp_path / "paintings").mkdir()
    with Image.open(images["harbor_at_dusk"]) as photo:
        for n in range(3):
            part = photo.crop((100 * n, 0, 600 + 100 * n, 450))
            part.resize((96, 72)).save(f"photos/p{n}.jpg")
    for n, name in enumerate(
        ("ink_wash", "points_of_color", "stained_blocks", "swirling_night")
    ):
        with Image.open(images[name]) as painting:
            painting.resize((96, 96)).save(f"paintings/s{n}.jpg")
    return tmp_path


def start(*flags, steps=4):
    """Starts the program."""
    command = [sys.executable, "-m", "nst_tf.batch", *PAIRS, OUTPUT, *SMALL]
    command.append(f"--steps={steps}")
    return subprocess.Popen(
        [*command, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(*flags, steps=4):
    """Runs the program: its status, and what it says."""
    process = start(*flags, steps=steps)
    text = process.communicate(timeout=300)[0]
    return process.returncode, text


def read_images():
    """Reads all outputs, by name."""
    return {
        path.name: image_io.load_picture(path).pixels
        for path in sorted(Path("out").glob("[!.]*"))
    }


def test_twelve_pictures_compile_each_size_once(pictures):
    jobs = [
        nst_tf.Job(
            f"photos/p{content}.jpg",
            (f"paintings/s{style}.jpg",),
            output=f"out/{content}-{style}.png",
            size=64,
            min_size=32,
            steps=(2,),
            weights="small",
            style_weight=1 + style,
        )
        for content in range(3)
        for style in range(4)
    ]
    painter_pool.clear()
    results = list(nst_tf.run_jobs(jobs))
    assert {each.status for each in results} == {ledger.DONE}
    [(_, painter)] = painter_pool._idle
    assert painter.traces == 2  # levels of 32 and 64 pixels


def _count_done():
    lines = ledger.read(Path("results.jsonl"))
    return sum(line["status"] == ledger.DONE for line in lines)


def test_kills_at_five_moments_lose_what_was_under_way_only(pictures):
    rng = random.Random(0)
    under_way = 0
    for turn in range(5):
        process = start("--progress=none", steps=80)
        before = _count_done()
        # The next picture, and somewhere in the one after it.
        while process.poll() is None and _count_done() == before:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.7))
        process.kill()
        process.wait()
        under_way += 1
        for path in Path("out").glob("[!.]*.png"):
            image_io.load_picture(path)  # whole
        assert turn < 4 or _count_done() < 12
    status, text = run("--progress=none", steps=80)
    assert status == 0, text
    assert len(read_images()) == 12
    assert not list(Path("out").glob(".nst-*"))
    written = [
        line["output"]
        for line in ledger.read(Path("results.jsonl"))
        if line["status"] == ledger.WRITING
    ]
    assert 12 <= len(written) <= 12 + under_way
    assert len(set(written)) == 12


def test_one_process_paints_what_single_runs_do(pictures):
    status, text = run("--progress=none", "--judge")
    assert status == 0, text
    found = read_images()
    assert len(found) == 12
    line = next(
        line
        for line in ledger.read(Path("results.jsonl"))
        if line["status"] == ledger.DONE
    )
    assert 0 < line["judge"]["ssim"] < 1
    for n, style in ((0, 0), (2, 3)):
        single = nst_tf.stylize(
            f"photos/p{n}.jpg",
            f"paintings/s{style}.jpg",
            size=48,
            min_size=48,
            steps=4,
            weights="small",
        )
        single.save("single.png")
        np.testing.assert_array_equal(
            image_io.load_picture("single.png").pixels,
            found[f"p{n}-s{style}.png"],
        )


def test_a_worker_that_is_killed_is_started_again(pictures):
    process = start("--workers=2", "--progress=none")
    killed = False
    while process.poll() is None:
        if not killed and _count_done() >= 2:
            children = subprocess.run(
                ["pgrep", "-f", "-P", str(process.pid), "spawn_main"],
                capture_output=True,
                text=True,
            ).stdout.split()
            os.kill(int(children[-1]), signal.SIGKILL)
            killed = True
        time.sleep(0.02)
    text = process.communicate()[0]
    assert process.returncode == 0, text
    assert killed and "a worker ended by SIGKILL; out/" in text
    assert len(read_images()) == 12


def test_ctrl_c_ends_workers_and_the_same_command_goes_on(pictures):
    process = start("--workers=2", "--progress=none", steps=80)
    while process.poll() is None and _count_done() < 3:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    text = process.communicate(timeout=120)[0]
    assert process.returncode == 130, text
    assert "stopping after this step" in text
    done = _count_done()
    assert 3 <= done < 12
    status, text = run("--workers=2", "--progress=none", steps=80)
    assert status == 0, text
    assert f"{done} skipped" in text
    assert len(read_images()) == 12


def test_shards_at_a_time(pictures):
    shards = [
        start(f"--shard={n}/2", "--progress=none", "--quiet") for n in (1, 2)
    ]
    for shard in shards:
        text = shard.communicate(timeout=300)[0]
        assert shard.returncode == 0, text
    shutil.rmtree("photos")
    status, text = run("--merge")
    assert status == 0 and "12 done" in text
    lines = Path("results.jsonl").read_text().splitlines()
    assert all(json.loads(line)["output"] for line in lines)
