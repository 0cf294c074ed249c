"""Signals at any moment of a run of the program: answers, pictures, status."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nst_tf
from nst_tf import files
from nst_tf.images import image_io
from nst_tf.runs import records

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("default_signals"),
    pytest.mark.skipif(sys.platform == "win32", reason="no such signals"),
]

ROOT = Path(nst_tf.__file__).parent.parent
FLAGS = [
    *("--content=a.jpg", "--style=b.jpg", "--output=c.png", "--weights=small"),
    *("--size=96", "--min_size=48", "--steps=8,8", "--style_loss=gram"),
    *("--grain_weight=0", "--precision=float32"),
]
TILES = ["--size=256", "--min_size=256", "--tile=230"]
MOMENTS = 20
SECONDS = 0.5  # until there is an answer
MOMENT = 1.0  # more, where others keep the machine busy
NOISE = re.compile(r"Traceback|WARNING|oneDNN|absl|\.cc:\d+|Exception|Error")
# The program, but for two steps that take seconds.
SLOW_STEP = """
import sys, time

SLOW = {4: 2.5, 5: 20}  # seconds by step

def main(arguments):
    import tensorflow as tf
    from nst_tf.cli import main
    from nst_tf.optimize import descent

    make, taken = descent.make_train_step, []

    def make_slowly(*parts):
        step = make(*parts)

        def wait(seconds):
            print(f"slow {seconds:g}", flush=True)
            time.sleep(float(seconds))
            return 0

        def take():
            taken.append(1)
            if len(taken) in SLOW:  # in TensorFlow, as the main thread sees it
                tf.numpy_function(wait, [SLOW[len(taken)]], tf.int64)
            return step()

        return take

    descent.make_train_step = make_slowly
    return main.main(arguments)
"""


@pytest.fixture
def pictures(tmp_path):
    """A folder with two pictures."""
    images = files.example_images()
    shutil.copy(images["harbor_at_dusk"], tmp_path / "a.jpg")
    shutil.copy(images["swirling_night"], tmp_path / "b.jpg")
    return tmp_path


class Run:
    """A run of a program in a folder, whose standard error goes to a file."""

    def __init__(self, folder, *command):
        self.folder, self.log = folder, folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": f"{ROOT}:{folder}",
                    "TF_CPP_MIN_LOG_LEVEL": "0",
                },
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def signal(self, number):
        """Sends a signal; the seconds until there is an answer."""
        before, began = self.log.read_text(), time.monotonic()
        self.process.send_signal(number)
        while self.process.poll() is None:
            if re.search("quits|SIGTERM", self.log.read_text()[len(before) :]):
                break
            time.sleep(0.01)
        return time.monotonic() - began

    def wait(self):
        """Waits for the end: status and the files that there are besides."""
        self.process.communicate(timeout=300)
        assert not NOISE.search(self.log.read_text())
        names = {each.name for each in self.folder.iterdir()}
        given = {"a.jpg", "b.jpg", "log", "steps", "slow.py", "home"}
        return self.process.returncode, names - given - {"__pycache__"}


def _wait_for_records(run, count):
    """Waits until the log of a run has so many records, or the run is over."""
    path = run.folder / "steps"
    while run.process.poll() is None:
        if path.exists() and len(path.read_bytes().splitlines()) >= count:
            break
        time.sleep(0.005)


def test_signals_at_twenty_moments(pictures):
    command = "-m", "nst_tf.run", *FLAGS, "--log=steps"
    began = time.monotonic()
    run = Run(pictures, *command)
    _wait_for_records(run, 1)
    seconds = time.monotonic() - began
    assert run.wait() == (0, {"c.png"})
    ends = []
    for place in range(MOMENTS):
        number = (signal.SIGINT, signal.SIGTERM)[place % 2]
        for name in ("c.png", "steps"):
            (pictures / name).unlink(missing_ok=True)
        run = Run(pictures, *command)
        if place < MOMENTS / 2:  # Python takes the first tenth of a second
            time.sleep(0.15 + seconds * place / (MOMENTS / 2))
        else:  # after the header, each second step, and the end
            _wait_for_records(run, 1 + 2 * (place - MOMENTS // 2))
        answer = run.signal(number)
        status, names = run.wait()
        ends.append((place, number, round(answer, 2), status, names))
        assert answer < SECONDS + MOMENT, ends
        if status == -number and not names:
            continue
        assert names == {"c.png"}, ends
        state = records.read_record(pictures / "c.png")["state"]
        expected = {"unfinished": (128 + number,), "done": (0, -number)}
        assert status in expected[state], ends
        assert image_io.load_image(pictures / "c.png").shape == (72, 96, 3)
    print(*ends, sep="\n")
    found = {status for *_, status, _ in ends}
    assert {-signal.SIGINT, -signal.SIGTERM, 130, 143} <= found, ends


@pytest.mark.parametrize("more", [[], TILES, ["--bit_depth=16"]])
def test_a_step_of_20_seconds_leaves_the_last_finished_one(pictures, more):
    (pictures / "slow.py").write_text(SLOW_STEP)
    run = "from nst_tf import terminal; terminal.run_program('slow')"
    run = Run(pictures, "-c", run, *FLAGS, *more)
    while run.process.stdout.readline() != b"slow 20\n":
        assert run.process.poll() is None, run.log.read_text()
    time.sleep(0.2)
    began = time.monotonic()
    assert run.signal(signal.SIGTERM) < SECONDS + MOMENT
    assert run.wait() == (143, {"c.png"})
    assert time.monotonic() - began < 8
    record = records.read_record(pictures / "c.png")
    assert record["state"] == "unfinished"
    assert record["decided"]["steps"][0] == 4
    height = 192 if more == TILES else 72
    assert image_io.load_image(pictures / "c.png").shape[0] == height


def test_a_judge_is_interrupted_as_the_system_does(pictures):
    flags = ["--content=a.jpg", "--style=b.jpg", "a.jpg"]
    for seconds in (1, 4):
        run = Run(pictures, "-m", "nst_tf.judge", *flags)
        time.sleep(seconds)
        assert run.signal(signal.SIGINT) < SECONDS + MOMENT
        assert run.wait() == (-signal.SIGINT, set())
