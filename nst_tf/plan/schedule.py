"""Chooses optimizers and steps by size; resolves strength and print size.

Up to 512 pixels the default is L-BFGS, which reaches Adam's loss in less than
half the time. Above 512 pixels it is Adam with small steps, which keeps the
shapes of the levels before and needs less memory.
scripts/benchmarks/schedule.py measures this.

Strength goes from 0, the photograph, to 1, the painting. It sets the weights
and the size of the coarsest level: low strengths start at the full size, which
has the photograph's details, and with small steps, since Adam's step size does
not depend on the size of the gradient. Images are never cross-faded. Equal
differences of strength change the structural similarity to the photograph by
about the same amount. The calibration for Gram matrices used six pairs of
pictures (scripts/benchmarks/consistency.py measures it), for other style losses
one pair and coarser steps.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from nst_tf.images import image_io, sizes
from nst_tf.losses import conventions, style_kinds
from nst_tf.network import architectures
from nst_tf.plan import (
    inputs,
    optimizers,
    pyramid,
    settings,
    style_settings,
)

# Settings that L-BFGS lacks, interprets differently or cannot use, since it
# compares losses; setting one selects Adam.
ADAM_SETTINGS = optimizers.OPTIMIZERS["adam"].settings - {"bounds"} | {
    "normalize_gradients"
}


def choose_optimizer(
    job: settings.Job, long_side: int, by_size: bool = False
) -> str:
    """Returns the name of a level's optimizer.

    Args:
        job: The job.
        long_side: Of the level, in pixels.
        by_size: Whether "auto" depends on the size only, not on other settings.
    """
    if job.optimizer != "auto":
        return job.optimizer
    asks_for_adam = not by_size and any(
        getattr(job, name) != getattr(settings.Job, name)
        for name in ADAM_SETTINGS
    )
    return "adam" if asks_for_adam or long_side > pyramid.LARGE else "lbfgs"


def list_steps(job: settings.Job) -> tuple[int, ...]:
    """Lists the steps of each level; the last number is repeated."""
    first = optimizers.OPTIMIZERS[choose_optimizer(job, 0)]
    return job.steps or first.steps


def list_all_levels(
    job: settings.Job, height: int, width: int
) -> list[pyramid.Level]:
    """Lists the levels of a job for an output of height x width pixels."""
    return pyramid.make_levels(
        height,
        width,
        list_steps(job),
        min_size=job.min_size,
        max_levels=job.levels,
        growth=job.growth,
    )


def plan_levels(
    job: settings.Job, read: inputs.Inputs, deepest: architectures.Convolution
) -> list[pyramid.Level]:
    """Makes the levels of a job; only those above continue_from, if set.

    Args:
        job: The job.
        read: Its pictures.
        deepest: The deepest layer of its losses.

    Raises:
        ValueError: If the output is too small for that layer.
    """
    rows, columns = read.content.pixels.shape[:2]
    height, width = sizes.scale_to_side(rows, columns, job.size)
    if min(height, width) < deepest.stride:
        raise ValueError(
            f"--size is {job.size}, which makes the output {width} x {height} "
            f"pixels, but {deepest.name} needs at least {deepest.stride} x "
            f"{deepest.stride}; raise --size, or --dpi with --print_size."
        )
    levels = list_all_levels(job, height, width)
    if job.continue_from:
        smaller = read.others["continue_from"].pixels.shape[:2]
        levels = pyramid.select_above(levels, (rows, columns), smaller)
    return choose_optimizers(job, levels)


def choose_optimizers(
    job: settings.Job, levels: Sequence[pyramid.Level], by_size: bool = False
) -> list[pyramid.Level]:
    """Chooses the optimizer of each level, with its settings.

    Large levels that follow others take smaller steps: with full steps, a
    picture at 1024 pixels loses the shapes that it had at 512, and ends with
    higher style and content losses (scripts/benchmarks/consistency.py).

    Args:
        job: The job.
        levels: The levels of the job, with sizes and steps.
        by_size: As in `choose_optimizer`.
    """
    convention = conventions.CONVENTIONS[job.convention]
    found = []
    for number, level in enumerate(levels):
        name = choose_optimizer(job, max(level.size), by_size)
        kind = optimizers.OPTIMIZERS[name]
        chosen: dict[str, Any] = {
            **{each: getattr(job, each) for each in kind.settings},
            **{each: getattr(convention, each) for each in kind.conventions},
        }
        above = number > 0 or bool(job.continue_from)
        if convention.scaled and above and max(level.size) > pyramid.LARGE:
            chosen["learning_rate"] *= pyramid.LARGE_RATE
        found.append(level._replace(optimizer=name, settings=chosen))
    return found


# Ratios of style weight to content weight at these strengths; their logarithm
# is interpolated linearly.
STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0)
RATIOS = (0.001, 0.012, 0.052, 0.15, 0.33, 0.72, 60.0)
# Strength was calibrated with these settings; a job may override them.
STRENGTH_SCHEDULE: dict[str, Any] = {
    "optimizer": "adam",
    "steps": (100, 80, 70, 60, 50),
    "growth": 2.0**0.5,
}
STYLE_WEIGHT = 100.0
CONTENT_WEIGHT = 5.0
TV_WEIGHT = 50.0
ONE_LEVEL, ALL_LEVELS = 0.5, 0.9  # one level up to 0.5, all from 0.9
FULL_STEPS = 0.4  # from this strength on, learning_rate is not reduced


def apply_strength(job: settings.Job) -> settings.Job:
    """Sets the weights, learning rate and levels of a job by its strength.

    Strength 0 returns the photograph itself, after one evaluation. A job
    without a strength is returned unchanged.
    """
    strength = job.strength
    if strength < 0:
        return dataclasses.replace(job, strength=-1.0)
    if strength == 0:
        return dataclasses.replace(
            job,
            strength=-1.0,
            continue_from="",
            optimizer="lbfgs",  # returns the best evaluated image
            init="content",
            init_noise=0.0,
            levels=1,
            steps=(1,),
        )
    ratio = np.exp(np.interp(strength, STRENGTHS, np.log(RATIOS)))
    style_loss = style_settings.choose_losses(job).style_loss
    ratio *= style_kinds.STYLE_LOSSES[style_loss].strength_scale
    content_weight = max(CONTENT_WEIGHT, STYLE_WEIGHT / ratio)
    depth = (strength - ONE_LEVEL) / (ALL_LEVELS - ONE_LEVEL)
    depth = min(max(depth, 0.0), 1.0)
    smallest = min(job.min_size, job.size)
    min_size = smallest**depth * job.size ** (1 - depth)
    calibrated = {
        name: value
        for name, value in STRENGTH_SCHEDULE.items()
        if getattr(job, name) == getattr(settings.Job, name)
    }
    return dataclasses.replace(
        job,
        **calibrated,
        strength=-1.0,
        learning_rate=job.learning_rate * min(1.0, strength / FULL_STEPS),
        content_weight=float(content_weight),
        style_weight=float(ratio * content_weight),
        tv_weight=TV_WEIGHT,
        min_size=max(16, round(min_size)),
    )


def resolve_print_size(
    job: settings.Job, content: image_io.Picture
) -> settings.Job:
    """Replaces a print size by a size in pixels and dpi.

    Raises:
        ValueError: If that size is out of range.
    """
    if not job.print_size:
        return job
    dpi = float(job.dpi or sizes.DPI)
    box = sizes.parse_print_size(job.print_size)
    rows, columns = content.pixels.shape[:2]
    size = sizes.fit_print(rows, columns, box, dpi)
    if not 1 <= size <= settings.LARGEST_SIZE:
        raise ValueError(
            f"--print_size is {job.print_size!r}, which is {size} pixels on "
            f"the long side at {dpi:g} dpi; expected 1 to "
            f"{settings.LARGEST_SIZE}. Change --print_size or --dpi."
        )
    return dataclasses.replace(job, print_size="", size=size, dpi=dpi)
