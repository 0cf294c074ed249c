"""Compares the percentage of a run with the true share of its time.

    python scripts/benchmarks/progress.py --sizes=256,1024 --weights=small

The preset `starry` runs by `--progress=json` on this machine, once at each
size. Each line's percentage is compared with the share of the time, from the
start of the process to its end, that had passed when the line came. Recorded
are the largest difference, in points, the share at which the bar begins, and
whether the percentage ever falls.

`--overhead` takes steps at 256 with the line of a terminal, drawn to /dev/null,
and copies of finished steps, and without, in turn. Recorded is the CPU's time
of the display's thread, of updates and of copies as a share of that of the run,
which other processes leave alone; and, for comparison, the paired ratio of the
CPU's time of all, which varies by some percent.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
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
    """Compares steps that are reported with others, in turn."""
    harness.hide_gpus()
    from nst_tf import display, screens
    from nst_tf.cli import flags
    from nst_tf.runs import api, progress, results, runner

    typed = ["--flagfile=starry", "--size=256", "--levels=1", "--steps=99999"]
    draft = api.draft_files(flags.parse([*typed, "--weights=small"]))
    run = runner.start_run(draft)
    steps = run.steps()
    next(steps)

    def take(update: Callable[[Any], object]) -> tuple[float, float]:
        began, updating = time.process_time(), 0.0
        for _ in range(STEPS):
            step = next(steps)
            before = time.thread_time()
            update(step)
            updating += time.thread_time() - before
        float(step.evaluation.loss)
        return time.process_time() - began, updating

    def update(step: Any) -> None:
        report.update(step.level, step.index, step.evaluation.loss)
        copier.copy_if_due(run, step)

    seconds: dict[str, list[float]] = {"with": [], "without": []}
    shares: dict[str, list[float]] = {"updates and copies": [], "display": []}
    with open(os.devnull, "w") as sink, contextlib.redirect_stderr(sink):
        report = progress.Progress([run.plan], time.monotonic())
        copier = results.Copier()
        for _ in range(repeats):
            with display.use(screens.Live()):
                (drawer,) = (
                    each
                    for each in threading.enumerate()
                    if each.name == "nst_tf display"
                )
                clock = time.pthread_getcpuclockid(drawer.ident or 0)
                total, updating = take(update)
                drawing = time.clock_gettime(clock)
            seconds["with"].append(total)
            shares["updates and copies"].append(updating / total)
            shares["display"].append(drawing / total)
            seconds["without"].append(take(lambda step: None)[0])
    both = [sum(each) for each in zip(*shares.values(), strict=True)]
    return {
        "size": 256,
        "CPU seconds of a step": harness.spread(
            [each / STEPS for each in seconds["without"]]
        ),
        "share of CPU": {n: harness.spread(each) for n, each in shares.items()},
        "share of both": harness.spread(both),
        "with over without": harness.spread(
            harness.divide(seconds["with"], seconds["without"])
        ),
        "met": harness.spread(both)["median"] <= 0.01,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
