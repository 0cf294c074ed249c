"""Compares schedules of sizes and steps: the loss over seconds.

    python scripts/benchmarks/schedule.py --weights=VGG19.h5 --run=default \\
        --run="128x100,256x80,512x50 learning_rate=0.03"

A run is a schedule, and settings of the job. A schedule is the long side of
each level and its steps, from coarse to fine; `default` is the job's own. Of
each run the loss of the picture as it would be saved is measured, in float32,
every few steps of the last level, and the seconds since the run began, less
those of measuring. Seconds drift with the machine, so `work` stands beside
them: steps of the last level that would see as many pixels. The last figure is
the time to the quality of the first run, as a share of its time: how long each
took to the loss at which the first one ends. With `max_seconds=30` the last
step's loss alone is measured, which is what can be had in that time.
"""

import argparse
import collections
import dataclasses
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import consistency
import harness
import numpy as np
import plans
import precision as precisions

from nst_tf.backend import device
from nst_tf.plan import planning, pyramid, schedule, settings
from nst_tf.runs import results


def main(arguments: Sequence[str]) -> int:
    """Measures each schedule on each pair; prints a line, appends a record."""
    flags = _parse(arguments)
    device.prepare()
    pairs, network = consistency.load(flags)
    for pair in pairs:
        job = settings.Job(size=flags.size)
        default = plans.make_plan(job, pair.content, pair.style, network)
        height, width = default.size
        judge = precisions.Judge(network, pair, height, width, "float32")
        first: list[dict[str, float]] = []
        for text in flags.run or ["default"]:
            sizes, *chosen = text.split()
            job = dataclasses.replace(
                settings.Job(size=flags.size), **dict(map(_setting, chosen))
            )
            plan = plans.make_plan(job, pair.content, pair.style, network)
            if sizes != "default":
                levels = schedule.choose_optimizers(
                    job, _levels(sizes, height, width)
                )
                plan = dataclasses.replace(plan, levels=levels)
            curve, picture = _curve(plan, judge, flags.every)
            first = first or curve
            record = {
                **harness.describe_machine(),
                "precision": plan.network.precision,
                "weights": "vgg19" if network.projections is None else "small",
                "pair": pair.name,
                "run": text,
                "levels": [[*level.size, level.steps] for level in plan.levels],
                "curve": curve,
                "time_to_its_loss": _time_to(curve, first),
            }
            harness.append(flags.json, record)
            print(_line(pair.name, text, curve, record), flush=True)
            name = f"{pair.name}-{'-'.join(text.split())}"
            harness.save_picture(flags.pictures, name, picture)
    return 0


def _setting(text: str) -> tuple[str, Any]:
    """Reads NAME=VALUE, of the type that the job has there."""
    name, _, value = text.partition("=")
    return name, type(getattr(settings.Job(), name))(value)


def _levels(text: str, height: int, width: int) -> list[pyramid.Level]:
    """The levels of a schedule, up to the size of the job."""
    sizes = []
    for each in text.split(","):
        side, steps = (int(number) for number in each.split("x"))
        *_, last = pyramid.make_levels(height, width, (steps,))
        if side < max(height, width):
            size = pyramid.round_size(height, width, side)
            last = pyramid.Level(*size, steps)
        sizes.append(last)
    return sizes


def _curve(
    plan: planning.Plan, judge: precisions.Judge, every: int
) -> tuple[list[dict[str, float]], np.ndarray]:
    """Loss after seconds and work, at the last level, and the picture."""
    from nst_tf.transfer import method

    curve = []
    last = plan.levels[-1]
    before = sum(level.steps * level.work for level in plan.levels[:-1])
    judging = 0.0
    picture = plan.content
    start = time.monotonic()
    steps: Iterable[Any] = method.Painter().paint(plan)
    if plan.stop.seconds:
        steps, every = collections.deque(steps, maxlen=1), 1
    for step in steps:
        if step.level + 1 < len(plan.levels):
            continue
        if step.index % every and step.index != last.steps:
            continue
        float(step.evaluation.loss)  # waits for the device
        now = time.monotonic()
        picture = results.read_image(step)
        curve.append(
            {
                "steps": step.index,
                "work": round(before / last.work + step.index, 1),
                "seconds": round(now - start - judging, 2),
                "loss": round(judge.loss(picture), 6),
            }
        )
        judging += time.monotonic() - now
    return curve, picture


def _time_to(
    curve: Sequence[dict[str, float]], first: Sequence[dict[str, float]]
) -> float | None:
    """Seconds to a loss over those of the first schedule; None: never there."""
    wanted = first[-1]
    for one, two in zip([None, *curve], curve, strict=False):
        if two["loss"] > wanted["loss"]:
            continue
        seconds = two["seconds"]
        if one:  # between the two, in proportion
            share = (one["loss"] - wanted["loss"]) / (one["loss"] - two["loss"])
            seconds = one["seconds"] + share * (seconds - one["seconds"])
        return round(seconds / wanted["seconds"], 3)
    return None


def _line(
    pair: str,
    text: str,
    curve: Sequence[dict[str, float]],
    record: dict[str, Any],
) -> str:
    """Writes a record for people."""
    share = record["time_to_its_loss"]
    points = " ".join(
        f"{each['steps']:.0f}:{each['loss']:.5f}" for each in curve
    )
    return (
        f"{pair[:24]:25}{text} work {curve[-1]['work']:.0f}, "
        f"{curve[-1]['seconds']:.1f} s; loss after steps {points}; time to "
        f"the first one's loss {'never' if share is None else share}"
    )


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the flags."""
    parser = harness.make_parser(__doc__, "schedule")
    add = parser.add_argument
    add("--pair", action="append", help="CONTENT:STYLE, paths; repeat it")
    add(
        "--run", action="append", help="SIDExSTEPS,... NAME=VALUE...; repeat it"
    )
    add("--weights", default="auto", help="auto, imagenet, small, or a file")
    add("--size", type=int, default=512, help="long side (512)")
    add("--every", type=int, default=10, help="steps (10)")
    add("--pictures", type=Path, help="folder for what was painted")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
