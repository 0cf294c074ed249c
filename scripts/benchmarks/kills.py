"""Kills runs at random moments; checks that they resume to the same pixels.

    python scripts/benchmarks/kills.py --kills=40 --seed=0

Each trial is the program on small pictures of configs/images with the small
network, by Adam or L-BFGS, with some of --memory (1.2 times the plan),
--output, --preview_every, --timelapse, --log and --checkpoint_dir. It is
stopped by a signal, and the same command follows: its picture must have the
pixels of a run that nobody stopped, the film must open, and no temporary file
or mark may be left. The exit status is 1 if one trial fails.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
import numpy as np
from PIL import Image

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]
FLAGS = [
    "--flagfile=starry",
    "--weights=small",
    "--size=96",
    "--min_size=48",
    "--steps=12,8",
    "--style_loss=gram",
    "--grain_weight=0",
    "--precision=float32",
    "--verbose",  # prints the plan
]
DONE = r"^saved (\S+) \(\d+ x \d+\) in"  # not one that is unfinished
SOMEWHERE = 0.2  # of the trials, which are stopped while they may still start


def start(folder: Path, flags: list[str]) -> subprocess.Popen[str]:
    """Starts the program in a folder, with signals as a shell has them."""

    def reset() -> None:
        for number in SIGNALS[:-1]:  # a job in the background ignores some
            signal.signal(number, signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-m", "nst_tf.run", *FLAGS, *flags],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(harness.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=reset,
    )


def wait_for_plan(process: subprocess.Popen[str]) -> str:
    """Reads until the program has printed its plan."""
    text = ""
    for line in process.stdout or ():
        text += line
        if line.startswith("memory "):
            break
    return text


def read_pixels(folder: Path, text: str) -> np.ndarray | None:
    """Reads the picture that a run says it has finished; None if none."""
    found = re.findall(DONE, text, re.MULTILINE)
    return np.asarray(Image.open(folder / found[-1])) if found else None


def make_reference(optimizer: str) -> tuple[np.ndarray, float, float, float]:
    """Runs whole: pixels, seconds to the plan and after it, GB planned."""
    with tempfile.TemporaryDirectory() as name:
        begun = time.monotonic()
        process = start(Path(name), [f"--optimizer={optimizer}"])
        text = wait_for_plan(process)
        planned = time.monotonic()
        text += process.communicate()[0]
        pixels = read_pixels(Path(name), text)
        if pixels is None:
            raise RuntimeError(text)
        memory = re.search(r"^memory +about ([\d.]+) GB", text, re.MULTILINE)
        gigabytes = float(memory[1]) if memory else 0.0
        end = time.monotonic()
    return pixels, planned - begun, end - planned, gigabytes


def choose_flags(rng: random.Random, gigabytes: float) -> list[str]:
    """Chooses the flags of a trial; without checkpoints it cannot be named."""
    flags = []
    if rng.random() < 0.8:
        every = rng.choice(["1", "5", "1s"])
        flags = ["--checkpoint_dir=kept", f"--checkpoint_every={every}"]
        flags += ["--output=a.png"] * (rng.random() < 0.6)
        # Without checkpoints the log of a run that was stopped is refused.
        flags += ["--log=a.jsonl"] * (rng.random() < 0.5)
    if rng.random() < 0.4:
        flags.append(f"--memory={1.2 * gigabytes:.3f}")
    for flag in ("--preview_every=3", "--timelapse=film.gif"):
        flags += [flag] * (rng.random() < 0.5)
    return flags


def stop(
    folder: Path, flags: list[str], number: int, before: bool, seconds: float
) -> bool:
    """Stops a run; whether it had not ended by itself.

    Args:
        folder: Its working directory.
        flags: Its flags.
        number: The signal.
        before: Whether the seconds count from its start, not from its plan.
        seconds: When it is stopped.
    """
    process = start(folder, flags)
    text = "" if before else wait_for_plan(process)
    time.sleep(seconds)
    process.send_signal(number)
    text += process.communicate()[0]
    return process.returncode != 0 and not (
        re.search(DONE, text, re.MULTILINE)
        and not list(folder.glob("kept/.*.files"))
    )


def check(
    folder: Path, flags: list[str], expected: np.ndarray
) -> tuple[list[str], str]:
    """Gives the command again: what is wrong then, and where it went on."""
    process = start(folder, flags)
    text = process.communicate()[0]
    if process.returncode:
        return [f"status {process.returncode}: {text[-300:]}"], ""
    wrong = []
    pixels = read_pixels(folder, text)
    if pixels is None or not np.array_equal(pixels, expected):
        wrong.append("other pixels")
    for film in folder.glob("film*.gif"):
        with Image.open(film) as opened:
            opened.seek(getattr(opened, "n_frames", 1) - 1)
    if "--timelapse=film.gif" in flags and not (folder / "film.gif").exists():
        wrong.append("no film")
    left = [path.name for path in folder.rglob(".*")]
    if left:
        wrong.append(f"left: {', '.join(left)}")
    resumed = re.search(r"^resume +(.*)", text, re.MULTILINE)
    return wrong, resumed[1] if resumed else ""


def main() -> int:
    """Kills, and goes on; prints and writes a line for each trial."""
    parser = harness.make_parser(__doc__, "kills")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    rng, failures = random.Random(chosen.seed), 0
    references = {name: make_reference(name) for name in ("adam", "lbfgs")}
    count = 0
    while count < chosen.kills:
        optimizer = ("adam", "lbfgs")[count % 2]
        pixels, to_plan, after, gigabytes = references[optimizer]
        flags = [f"--optimizer={optimizer}", *choose_flags(rng, gigabytes)]
        # Of any four trials each has its signal; of eight, by each optimizer.
        number = SIGNALS[(3 * count + count // 4) % 4]
        before = rng.random() < SOMEWHERE
        seconds = rng.uniform(0, to_plan if before else after)
        folder = Path(tempfile.mkdtemp())
        try:
            if not stop(folder, flags, number, before, seconds):
                continue
            count += 1
            wrong, resumed = check(folder, flags, pixels)
        finally:
            shutil.rmtree(folder)
        failures += bool(wrong)
        record = {
            "flags": flags,
            "signal": int(number),
            "from": "start" if before else "plan",
            "seconds": round(seconds, 2),
            "resumed": resumed,
            "wrong": wrong,
        }
        print(count, record, flush=True)
        harness.append(chosen.json, {**record, **harness.describe_day()})
    print(f"{chosen.kills - failures} of {chosen.kills} ended alike")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
