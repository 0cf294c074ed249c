"""Compares the peak memory of runs, in fresh processes, with the plan.

    python scripts/benchmarks/memory.py --cases=whole,tiles --repeats=3

Each case is the program on pictures of configs/images, with two steps at each
level, Gram matrices and one scale if they do not say otherwise; square ones are
cut from them. The peak is the largest resident set that the system saw; the
plan is that of `nst_tf.plan.memory`, which is fitted to these lines.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import harness
from PIL import Image

# Flags of each case.
CASES: dict[str, list[str]] = {
    "whole 1024": ["--size=1024"],
    "whole 1024 float32": [
        "--size=1024",
        "--precision=float32",
        "--convolution=direct",
    ],
    "whole 512 direct": [
        "--size=512",
        "--precision=float32",
        "--convolution=direct",
    ],
    "whole 512 winograd": [
        "--size=512",
        "--precision=float32",
        "--convolution=winograd",
    ],
    "whole 1024 winograd": [
        "--size=1024",
        "--precision=float32",
        "--convolution=winograd",
    ],
    "tiles 2048 winograd": [
        "--size=2048",
        "--tile=768",
        "--precision=float32",
        "--convolution=winograd",
    ],
    "whole 2048": ["--size=2048"],
    "whole 2048 small": ["--size=2048", "--weights=small"],
    "whole 512": ["--size=512"],
    "whole 1024 lbfgs": ["--size=1024", "--optimizer=lbfgs", "--history=20"],
    "tiles 1024": ["--size=1024", "--tile=512"],
    "tiles 2048": ["--size=2048", "--tile=1024"],
    "tiles 2048 float32": [
        "--size=2048",
        "--tile=768",
        "--precision=float32",
        "--convolution=direct",
    ],
    "tiles 2048 small": ["--size=2048", "--tile=1024", "--weights=small"],
    "tiles 2048 lbfgs": [
        "--size=2048",
        "--tile=1024",
        "--optimizer=lbfgs",
        "--history=5",
    ],
    "whole 1024 mix": ["--size=1024", "--style_loss=mix"],
    "whole 2048 mix small": [
        "--size=2048",
        "--style_loss=mix",
        "--weights=small",
    ],
    "tiles 2048 mix": ["--size=2048", "--tile=1024", "--style_loss=mix"],
    "whole 1024 across": ["--size=1024", "--style_loss=across"],
    "whole 1024 two scales": ["--size=1024", "--scales=2"],
    "whole 1024 two scales mix": [
        "--size=1024",
        "--style_loss=mix",
        "--scales=2",
    ],
    "whole 2048 three scales small": [
        "--size=2048",
        "--scales=3",
        "--weights=small",
    ],
    "tiles 2048 two scales": ["--size=2048", "--tile=1024", "--scales=2"],
    "tiles 2048 recompute": [
        "--size=2048",
        "--tile=1024",
        "--weights=small",
        "--content_layers=block2_conv2",
        "--content_target=recompute",
    ],
    "tiles 2896": ["--size=2896", "--tile=1024"],
    "tiles 4096": ["--size=4096", "--tile=1024"],
    "square 2048 small": ["--size=2048", "--tile=1024", "--weights=small"],
    "square 4096 small": ["--size=4096", "--tile=1024", "--weights=small"],
    "square 8192 small": ["--size=8192", "--tile=1024", "--weights=small"],
}


def main(arguments: Sequence[str]) -> int:
    """Measures, prints a line for each case and appends it as JSON."""
    flags = _parse(arguments)
    chosen = [
        name
        for name in CASES
        if any(name.startswith(each) for each in flags.cases)
    ]
    for name in chosen:
        runs = [_run(name) for _ in range(flags.repeats)]
        peaks = [run["peak_gb"] for run in runs]
        record = {
            **harness.describe_machine(),
            "case": name,
            "flags": CASES[name],
            "precision": runs[0]["precision"],
            "weights": runs[0]["weights"],
            "planned_gb": runs[0]["planned_gb"],
            "peak_gb": peaks,
            "median_gb": statistics.median(peaks),
            "seconds": [run["seconds"] for run in runs],
            "plan": runs[0]["plan"],
        }
        print(
            f"{name:22} {record['median_gb']:6.2f} GB, planned "
            f"{record['planned_gb']:6.2f}, "
            f"{record['median_gb'] / record['planned_gb']:.2f} of it",
            flush=True,
        )
        harness.append(flags.json, record)
    return 0


def _run(name: str) -> dict:
    """Runs a case once: its peak, what it planned, how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.png"
        content = harness.SAMPLES / "harbor_at_dusk.jpg"
        if "square" in name:
            with Image.open(content) as picture:
                content = Path(folder) / "square.png"
                picture.crop((0, 0, 768, 768)).save(content)
        start = time.perf_counter()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "nst_tf.run",
                f"--content={content}",
                f"--style={harness.SAMPLES / 'swirling_night.jpg'}",
                "--steps=2",
                "--style_loss=gram",
                "--scales=1",
                f"--output={output}",
                "--verbose",  # prints the plan
                *CASES[name],
            ],
            env=harness.make_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr
        text = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{name} ended with status {status}:\n{text}")
    plan = re.findall(r"^memory +about (.*)$", text, re.M)[0]
    return {
        "plan": plan,
        "precision": re.findall(r"^device .*, (\w+)$", text, re.M)[0],
        "weights": "small" if "--weights=small" in CASES[name] else "vgg19",
        "planned_gb": float(plan.split()[0]),
        "peak_gb": usage.ru_maxrss * 1024 / 1e9,
        "seconds": round(time.perf_counter() - start, 1),
    }


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = harness.make_parser(__doc__, "memory")
    parser.add_argument(
        "--cases",
        type=harness.split,
        default=["whole", "tiles"],
        help="beginnings of the names of cases",
    )
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
