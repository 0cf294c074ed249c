"""Times the copy of the last finished step, relative to a step.

    python scripts/benchmarks/copies.py --sizes=512,1024 --steps=4

Runs of VGG19, whole and in tiles, without levels. After each step it is copied
as for SIGTERM, whatever it costs: a run copies fewer where that is over one
percent. The exit status is 1 if the median is, where a step takes 2 s.
"""

import statistics
import sys
import time

import harness

NAMES = "harbor_at_dusk", "swirling_night"


def measure(size: int, steps: int, tile: int) -> tuple[float, float]:
    """Returns the medians of the seconds of a step and of its copy."""
    from nst_tf.plan import planning, settings
    from nst_tf.runs import api, results, runner

    content, style = (harness.SAMPLES / f"{name}.jpg" for name in NAMES)
    job = settings.Job(
        content=str(content),
        style=(str(style),),
        size=size,
        levels=1,
        steps=(steps,),
        tile=tile,
    )
    plan: planning.Plan = api.make_plan(job)
    run, taken, copied = runner.start_run(plan), [], []
    began = time.monotonic()
    for step in run.steps():
        float(step.evaluation.loss)
        finished = time.monotonic()
        results.copy_step(run, step)
        taken.append(finished - began)
        began = time.monotonic()
        copied.append(began - finished)
    return statistics.median(taken[1:]), statistics.median(copied[1:])


def main() -> int:
    """Measures, prints, and returns the exit status."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--sizes", type=harness.split_numbers, default=[512])
    parser.add_argument("--steps", type=int, default=4)
    typed = parser.parse_args()
    status = 0
    for size in typed.sizes:
        for tile in (0, 384):
            step, copy = measure(size, typed.steps, tile)
            share = copy / step
            status |= share > 0.01 and step > 2
            print(
                f"{size}, {f'tiles of {tile}' if tile else 'whole'}: a step "
                f"{step:.2f} s, its copy {1000 * copy:.1f} ms, {share:.2%}"
            )
            harness.append(
                typed.json,
                {
                    **harness.describe_day(),
                    **harness.describe_machine(),
                    "size": size,
                    "tile": tile,
                    "step": step,
                    "copy": copy,
                },
            )
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
