"""What a run takes before its first step, and to its picture.

    python scripts/benchmarks/start_up.py --repeats=3

Each figure is of fresh processes, in seconds, in turn: `--help`; the first step
of the preset `starry`, from the start of the program to the loss of the step;
and the picture of that preset in its file; by the small network and by VGG19.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import step_time

RESULTS = Path(__file__).resolve().parent / "results"
FIRST_STEP = """
import sys
from nst_tf.cli import flags
from nst_tf.runs import api, preparation
request, _, prepared = preparation.prepare_files(flags.parse(sys.argv[1:]))
step = next(api.run_steps(request, prepared))
float(step.evaluation.loss)
"""


def main(arguments: Sequence[str]) -> int:
    """Measures, prints and appends a JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, default=RESULTS / "start_up.jsonl")
    flags = parser.parse_args(arguments)
    seconds: dict[str, list[float]] = {}
    for _ in range(flags.repeats):
        for name, command in _commands().items():
            seconds.setdefault(name, []).append(_timed(command))
    record = {
        **step_time.machine(),
        "seconds": {n: step_time.spread(v) for n, v in seconds.items()},
    }
    print(json.dumps(record, indent=1))
    flags.json.parent.mkdir(parents=True, exist_ok=True)
    with flags.json.open("a") as file:
        file.write(json.dumps(record) + "\n")
    return 0


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
        start = time.monotonic()
        subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(step_time.ROOT)},
            check=True,
            capture_output=True,
        )
        return time.monotonic() - start


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
