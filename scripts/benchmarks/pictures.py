"""Times whole pictures: from the start of the program to the file.

    python scripts/benchmarks/pictures.py --size=512

Each contestant is the program with its default settings and one convolution
algorithm, in float32 on the CPU, in a fresh process. They take turns; a ratio
to the first contestant is formed within each round. The first round is the
first run with the files of Python and TensorFlow on disk; no compilation
outlives a process. --before=FOLDER adds another checkout, such as that of an
older commit, with its own convolutions.

    python scripts/benchmarks/pictures.py --size=256 --in_one_process=10

paints that many pictures in one process instead, with another style and other
weights each time, and reports the seconds of each, those before its first step,
how often a train step was traced, and the resident memory after it.

To see what a CPU without AVX-512 does:

    ONEDNN_MAX_CPU_ISA=AVX2 XLA_FLAGS=--xla_cpu_max_isa=AVX2 python ...
"""

import argparse
import functools
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import harness

BEFORE = "before"  # the contestant of --before
CONTENT, STYLE = (
    str(harness.SAMPLES / name) for name in ("valley.jpg", "swirling_night.jpg")
)


def main(arguments: Sequence[str]) -> int:
    """Measures, prints and appends JSON lines."""
    flags = _parse(arguments)
    measure = _measure_process if flags.in_one_process else _measure_programs
    record = {
        **harness.describe_machine(),
        "isa": os.environ.get("ONEDNN_MAX_CPU_ISA", "all"),
        "size": flags.size,
        "weights": flags.weights,
        "flags": flags.flag,
        **measure(flags),
    }
    harness.append(flags.json, record)
    return 0


def _measure_programs(flags: argparse.Namespace) -> dict[str, Any]:
    """Times the program of each contestant, in turn."""
    names = [BEFORE] * bool(flags.before) + flags.convolutions
    seconds: dict[str, list[float]] = {name: [] for name in names}
    processor: dict[str, list[float]] = {name: [] for name in names}
    for number, name in itertools.product(range(flags.rounds), names):
        before = sum(os.times()[2:4])  # of the child processes
        taken, _ = harness.time_call(functools.partial(_paint, flags, name))
        used = sum(os.times()[2:4]) - before
        seconds[name].append(round(taken, 1))
        processor[name].append(round(used, 1))
        print(
            f"round {number + 1}, {name}: {taken:.1f} s, "
            f"{used:.1f} s of the processor",
            flush=True,
        )
    found = {"seconds": seconds, "processor_seconds": processor}
    for kind, rows in list(found.items()):
        ratios = {
            name: [
                round(ratio, 3) for ratio in harness.divide(own, rows[names[0]])
            ]
            for name, own in rows.items()
        }
        found[f"ratios of {kind}"] = ratios
        for name, own in ratios.items():
            print(f"{kind}, {name} / {names[0]}, by round: {own}")
    return found


def _paint(flags: argparse.Namespace, name: str) -> None:
    """Paints a picture with a contestant, in a folder of its own."""
    code = flags.before if name == BEFORE else harness.ROOT
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *(sys.executable, "-m", "nst_tf.run"),
                *(f"--content={CONTENT}", f"--style={STYLE}"),
                *(f"--size={flags.size}", f"--weights={flags.weights}"),
                "--precision=float32",
                *([] if name == BEFORE else [f"--convolution={name}"]),
                *("--output=picture.png", *flags.flag),
            ],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(code),
                "CUDA_VISIBLE_DEVICES": "-1",
            },
            capture_output=True,
            check=True,
        )


def _measure_process(flags: argparse.Namespace) -> dict[str, Any]:
    """Paints pictures in this process."""
    harness.hide_gpus()
    import nst_tf
    from nst_tf.images import image_io
    from nst_tf.optimize import first_order, lbfgs

    traces: list[str] = []
    for kind in (first_order.FirstOrder, lbfgs.Lbfgs):
        # It is called by traces alone.
        setattr(kind, "step", _note(kind.step, traces))  # noqa: B010
    content, style = map(image_io.load_image, (CONTENT, STYLE))
    rows = []
    for number in range(flags.in_one_process):
        began, first = time.perf_counter(), 0.0
        traces.clear()
        for step in nst_tf.stylize_steps(
            content.copy(),
            style[: style.shape[0] - 8 * number],
            size=flags.size,
            weights=flags.weights,
            content_weight=25.0 + number,
        ):
            if not first:
                float(step.evaluation.loss)
                first = time.perf_counter() - began
        rows.append(
            {
                "seconds": round(time.perf_counter() - began, 2),
                "first_step": round(first, 2),
                "traces": len(traces),
                "resident_mb": _read_resident(),
            }
        )
        print(rows[-1], flush=True)
    return {"pictures": rows}


def _note(step: Callable[..., Any], traces: list[str]) -> Callable[..., Any]:
    """Decorates a method: each call adds to a list."""

    def noted(self: Any, objective: Any) -> Any:
        traces.append(type(self).__name__)
        return step(self, objective)

    return noted


def _read_resident() -> int:
    """The resident memory of this process, in MB; 0 if it is not Linux."""
    path = Path("/proc/self/statm")
    if not path.exists():
        return 0
    pages = int(path.read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the flags."""
    parser = harness.make_parser(__doc__, "pictures")
    add = parser.add_argument
    add("--size", type=int, default=512, help="long side (512)")
    add("--rounds", type=int, default=2, help="of programs (2)")
    add(
        "--convolutions",
        type=harness.split,
        default=["direct", "winograd"],
        help="contestants (direct,winograd)",
    )
    add("--before", type=Path, help="another checkout, also a contestant")
    add("--weights", default="auto", help="of the network (auto)")
    add("--flag", action="append", default=[], help="one more for the program")
    add("--in_one_process", type=int, default=0, help="how many pictures (0)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
