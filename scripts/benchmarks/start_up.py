"""What a run takes before its first step, and to its picture.

    python scripts/benchmarks/start_up.py --repeats=3

Each figure is of fresh processes, in seconds, in turn: `--help`; the first step
of the preset `starry`, from the start of the program to the loss of the step;
and the picture of that preset in its file; by the small network and by VGG19.
"""

import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence

import harness

FIRST_STEP = """
import sys
from nst_tf.cli import flags
from nst_tf.runs import api, runner
_, draft = api.draft_files(flags.parse(sys.argv[1:]))
step = next(runner.start_run(draft).steps())
float(step.evaluation.loss)
"""


def main(arguments: Sequence[str]) -> int:
    """Measures, prints and appends a JSON line."""
    parser = harness.make_parser(__doc__, "start_up")
    parser.add_argument("--repeats", type=int, default=3)
    flags = parser.parse_args(arguments)
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
