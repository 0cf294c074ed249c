"""Times a step of Adam with each style loss, relative to Gram matrices.

And what the loss of grain adds to that.

    python scripts/benchmarks/style_losses.py --sizes=256,512

The contestants step in turn, in one process, and a ratio is formed within each
round: the time with a style loss over that with Gram matrices. Let nothing else
run.
"""

import argparse
import sys
from collections.abc import Sequence

import harness
import step_time

WARM_UP = 2  # rounds that do not count


def main(arguments: Sequence[str]) -> int:
    """Measures, prints a table and appends a JSON line for each size."""
    flags = _parse(arguments)
    harness.hide_gpus()
    from nst_tf.losses import style_kinds

    network_weights, kind = step_time.find_weights(flags.weights)
    for size in flags.sizes:
        problem = step_time.make_problem(size, network_weights, "average")
        steps = {
            name: step_time.ours(flags.precision, problem, name)
            for name in style_kinds.STYLE_LOSSES
        }
        steps["gram, grain"] = step_time.ours(
            flags.precision, problem, "gram", 5.0
        )
        seconds = harness.time_in_turn(steps, flags.repeats, warm_up=WARM_UP)
        record = {
            **harness.describe_machine(),
            "size": [size, problem.init.shape[0]],
            "precision": flags.precision,
            "weights": kind,
            "repeats": flags.repeats,
            "seconds": {
                name: harness.spread(times) for name, times in seconds.items()
            },
            "over_gram": {
                name: harness.spread(harness.divide(times, seconds["gram"]))
                for name, times in seconds.items()
            },
        }
        print(f"\n{size} x {problem.init.shape[0]}, {flags.precision}")
        for name in steps:
            print(
                f"{name:20}"
                f"{harness.range_text(record['seconds'][name], 3)} s, "
                f"{harness.range_text(record['over_gram'][name], 2)} of gram"
            )
        harness.append(flags.json, record)
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = harness.make_parser(__doc__, "style_losses")
    add = parser.add_argument
    add("--sizes", type=harness.split_numbers, default=[512])
    add("--precision", default="bfloat16", choices=step_time.PRECISIONS)
    add("--weights", default="auto", help="auto, random, or an HDF5 file")
    add("--repeats", type=int, default=7, help="rounds (7)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
