"""What each style loss costs: a step of Adam with it, beside one with Gram's.

    python scripts/benchmarks/style_losses.py --sizes=256,512

The contestants step in turn, in one process, and a ratio is formed within each
round: the time with a style loss over that with Gram matrices. Let nothing else
run.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import step_time

WARM_UP = 2  # rounds that do not count


def main(arguments: Sequence[str]) -> int:
    """Measures, prints a table and appends a JSON line for each size."""
    flags = _parse(arguments)
    sys.path.insert(0, str(step_time.ROOT))
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from nst_tf.losses import style_kinds

    network_weights, kind = step_time.find_weights(flags.weights)
    for size in flags.sizes:
        problem = step_time.make_problem(size, network_weights, "average")
        steps = {
            name: step_time.ours(flags.precision, problem, name)
            for name in style_kinds.STYLE_LOSSES
        }
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(WARM_UP + flags.repeats):
            for name, step in steps.items():
                start = time.perf_counter()
                step()
                seconds[name].append(time.perf_counter() - start)
        record = {
            **step_time.machine(),
            "size": [size, problem.init.shape[0]],
            "precision": flags.precision,
            "weights": kind,
            "repeats": flags.repeats,
            "seconds": {
                name: step_time.spread(times[WARM_UP:])
                for name, times in seconds.items()
            },
            "over_gram": {
                name: step_time.spread(
                    [
                        mine / grams
                        for mine, grams in zip(
                            times[WARM_UP:],
                            seconds["gram"][WARM_UP:],
                            strict=True,
                        )
                    ]
                )
                for name, times in seconds.items()
            },
        }
        print(f"\n{size} x {problem.init.shape[0]}, {flags.precision}")
        for name in steps:
            print(
                f"{name:20}"
                f"{step_time.range_text(record['seconds'][name], 3)} s, "
                f"{step_time.range_text(record['over_gram'][name], 2)} of gram"
            )
        flags.json.parent.mkdir(parents=True, exist_ok=True)
        with flags.json.open("a") as file:
            file.write(json.dumps(record) + "\n")
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "--sizes", type=lambda text: [*map(int, text.split(","))], default=[512]
    )
    add("--precision", default="bfloat16", choices=step_time.PRECISIONS)
    add("--weights", default="auto", help="auto, random, or an HDF5 file")
    add("--repeats", type=int, default=7, help="rounds (7)")
    add(
        "--json",
        type=Path,
        default=Path(__file__).parent / "results" / "style_losses.jsonl",
        help="appended to",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
