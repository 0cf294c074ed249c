"""Times a run: to its first step, and to its picture.

    python scripts/benchmarks/start_up.py --repeats=3

Each figure is of fresh processes, in seconds, in turn: `--help`; the first step
of the preset `starry`, from the start of the program to the loss of the step;
and the picture of that preset in its file; by the small network and by VGG19.

`--first_output` times only what a terminal shows first, beside `python -c
pass`, in pairs: their difference is recorded.

`--pictures=10` times so many pictures of 256 pixels in one process, each with
other images and weights: from the call to the first step, and to the picture.
It also records how often a step was traced, and the resident memory after each.
"""

import functools
import json
import os
import pty
import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence

import harness

PICTURES = """
import json, sys, time
import numpy as np
import nst_tf
from nst_tf.images import image_io
from nst_tf.transfer import painter_pool
def draw(seed):
    rng = np.random.default_rng(seed)
    smooth = image_io.resize(rng.random((12, 16, 3)), 192, 256)
    grain = rng.random((192, 256, 3))
    return np.clip(0.8 * smooth + 0.2 * grain, 0, 1).astype("f4")
found = {"first": [], "all": [], "rss_mb": []}
for number in range(int(sys.argv[1])):
    images = draw(2 * number), draw(2 * number + 1)
    began, times = time.perf_counter(), []
    for step in nst_tf.stylize_steps(
        *images,
        size=256,
        steps=4,
        weights=sys.argv[2],
        content_weight=20.0 + number,
        style_weight=90.0 + number,
    ):
        float(step.evaluation.loss)
        times.append(time.perf_counter() - began)
    found["first"].append(round(times[0], 3))
    found["all"].append(round(times[-1], 3))
    lines = open("/proc/self/status").read().split()
    rss = int(lines[lines.index("VmRSS:") + 1])
    found["rss_mb"].append(round(rss / 1e3))
with painter_pool.borrow() as painter:
    found["traces"] = painter.traces
print(json.dumps(found))
"""
FIRST_STEP = """
import sys
from nst_tf.cli import flags
from nst_tf.runs import api, runner
draft = api.draft_files(flags.parse(sys.argv[1:]))
step = next(runner.start_run(draft).steps())
float(step.evaluation.loss)
"""


def main(arguments: Sequence[str]) -> int:
    """Measures, prints and appends a JSON line."""
    parser = harness.make_parser(__doc__, "start_up")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--first_output", action="store_true")
    parser.add_argument("--pictures", type=int, default=0)
    flags = parser.parse_args(arguments)
    if flags.pictures:
        found = {
            name: _paint_in_turn(flags.pictures, weights)
            for name, weights in {"small": "small", "vgg19": "auto"}.items()
        }
        record = {**harness.describe_machine(), "in one process": found}
        print(json.dumps(record, indent=1))
        harness.append(flags.json, record)
        return 0
    if flags.first_output:
        record = {**harness.describe_machine(), **_pair_up(flags.repeats)}
        print(json.dumps(record, indent=1))
        harness.append(flags.json, record)
        return 0
    seconds: dict[str, list[float]] = {}
    for _ in range(flags.repeats):
        for name, command in _commands().items():
            seconds.setdefault(name, []).append(_timed(command))
    record = {
        **harness.describe_machine(),
        "seconds": {n: harness.spread(v) for n, v in seconds.items()},
    }
    print(json.dumps(record, indent=1))
    harness.append(flags.json, record)
    return 0


def _paint_in_turn(pictures: int, weights: str) -> dict[str, object]:
    """Times pictures, one after the other, in one fresh process."""
    child = subprocess.run(
        [sys.executable, "-c", PICTURES, str(pictures), weights],
        env=harness.make_environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, object] = json.loads(child.stdout.splitlines()[-1])
    return found


def _pair_up(repeats: int) -> dict[str, object]:
    """Times the first output of the program and the end of an empty one."""
    empty: list[float] = []
    first: list[float] = []
    for _ in range(repeats):
        empty.append(_timed(["-c", "pass"]))
        first.append(_time_first_output())
    later = [b - a for a, b in zip(empty, first, strict=True)]
    return {
        "python -c pass": harness.spread(empty),
        "first output": harness.spread(first),
        "first output, later by": harness.spread(later),
    }


def _time_first_output() -> float:
    """Seconds from the start of the program to what a terminal shows first."""
    ours, its = pty.openpty()

    def wait() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "nst_tf.run", "--content=none.png"],
            env={**harness.make_environment(), "TERM": "xterm"},
            stdin=its,
            stdout=its,
            stderr=its,
        )
        select.select([ours], [], [])
        return process

    seconds, process = harness.time_call(wait)
    process.kill()
    process.wait()
    os.close(ours)
    os.close(its)
    return seconds


def _commands() -> dict[str, list[str]]:
    """What is timed, by name."""
    program = ["-m", "nst_tf.run"]
    commands = {"help": [*program, "--help"]}
    for network in ("small", "auto"):
        job = ["--flagfile=starry", f"--weights={network}"]
        name = "small" if network == "small" else "vgg19"
        commands[f"first step, {name}"] = ["-c", FIRST_STEP, *job]
        commands[f"picture, {name}"] = [*program, *job, "--output=picture.png"]
    return commands


def _timed(command: Sequence[str]) -> float:
    """Seconds that Python takes for a command, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        run = functools.partial(
            subprocess.run,
            [sys.executable, *command],
            cwd=folder,
            env=harness.make_environment(),
            check=True,
            capture_output=True,
        )
        return harness.time_call(run)[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
