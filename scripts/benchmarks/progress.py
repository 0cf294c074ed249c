"""How far the percentage of a run is from the true share of its time.

    python scripts/benchmarks/progress.py --sizes=256,1024 --weights=small

The preset `starry` runs by `--progress=json` on this machine, once at each
size. Each line's percentage is compared with the share of the time, from the
start of the process to its end, that had passed when the line came. Recorded
are the largest difference, in points, the share at which the bar begins, and
whether the percentage ever falls.

`--overhead` takes steps at 256 with the line of a terminal, drawn to /dev/null,
and without, in turn, and compares the CPU's time, which other processes leave
alone.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import harness

ALLOWED = 15.0  # points
STEPS = 30  # that are timed at a time


def main(arguments: Sequence[str]) -> int:
    """Measures, prints and appends JSON lines."""
    parser = harness.make_parser(__doc__, "progress")
    parser.add_argument(
        "--sizes", type=harness.split_numbers, default=[256, 1024]
    )
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--overhead", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    flags = parser.parse_args(arguments)
    if flags.overhead:
        records = [measure_overhead(flags.repeats)]
    else:
        records = [measure(size, flags.weights) for size in flags.sizes]
    for record in records:
        print(json.dumps(record, indent=1))
        harness.append(flags.json, {**harness.describe_machine(), **record})
    met = all(record["met"] for record in records)
    print(harness.say_met(met))
    return 0 if met else 1


def measure(size: int, weights: str) -> dict[str, Any]:
    """Runs once; compares the percentage with the time."""
    command = [sys.executable, "-m", "nst_tf.run", "--flagfile=starry"]
    command += [f"--size={size}", f"--weights={weights}", "--progress=json"]
    shown: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=harness.make_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for line in process.stderr or ():
            percent = json.loads(line).get("percent")
            if percent is not None:
                shown.append((time.monotonic() - began, percent))
        if process.wait():
            raise SystemExit(f"the run ended with status {process.returncode}")
        seconds = time.monotonic() - began
    errors = [abs(percent - 100 * t / seconds) for t, percent in shown]
    percents = [percent for _, percent in shown]
    return {
        "size": size,
        "weights": weights,
        "seconds": round(seconds, 1),
        "lines": len(shown),
        "begins at percent": round(100 * shown[0][0] / seconds, 1),
        "largest error, points": round(max(errors), 1),
        "falls": percents != sorted(percents),
        "met": max(errors) <= ALLOWED and percents == sorted(percents),
    }


def measure_overhead(repeats: int) -> dict[str, Any]:
    """Compares steps with a line of a terminal and without, in turn."""
    harness.hide_gpus()
    from nst_tf import display, screens
    from nst_tf.cli import flags
    from nst_tf.runs import api, progress, runner

    typed = ["--flagfile=starry", "--size=256", "--levels=1", "--steps=99999"]
    _, draft = api.draft_files(flags.parse([*typed, "--weights=small"]))
    run = runner.start_run(draft)
    steps = run.steps()
    next(steps)

    def take(update: Callable[..., object]) -> float:
        began = time.process_time()
        for _ in range(STEPS):
            step = next(steps)
            update(step.level, step.index, step.evaluation.loss)
        float(step.evaluation.loss)
        return time.process_time() - began

    seconds: dict[str, list[float]] = {"with": [], "without": []}
    with open(os.devnull, "w") as sink, contextlib.redirect_stderr(sink):
        report = progress.Progress([run.plan], time.monotonic())
        for _ in range(repeats):
            with display.use(screens.Live()):
                seconds["with"].append(take(report.update))
            seconds["without"].append(take(lambda *step: None))
    ratios = harness.divide(seconds["with"], seconds["without"])
    return {
        "size": 256,
        "CPU seconds of a step": harness.spread(
            [each / STEPS for each in seconds["without"]]
        ),
        "with over without": harness.spread(ratios),
        "met": harness.spread(ratios)["median"] <= 1.01,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
