"""Chooses the tile size from the memory budget.

It also chooses whether to keep the content's features or to recompute them in
each tile. If memory runs out during the run, it halves the tiles.
"""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from nst_tf.losses import style_kinds
from nst_tf.network import architectures
from nst_tf.plan import memory, pyramid, tiles

if TYPE_CHECKING:
    from nst_tf.network import weight_files
    from nst_tf.plan import planning


def fit_tiles(plan: "planning.Plan") -> "planning.Plan":
    """Adds tiles to a plan so that it fits its memory limit.

    A plan that already fits, with or without tiles, is returned unchanged.

    Raises:
        MemoryError: If the smallest tiles do not fit.
        ValueError: If the requested tiles are too small, or a loss cannot be
            computed tile by tile.
    """
    height, width = plan.size
    side, least = plan.tiling.side, find_smallest_side(plan)
    if side:
        if side < least:
            raise ValueError(
                f"--tile is {side}, expected at least {least} pixels; a "
                "smaller tile is nothing but overlap."
            )
        if tiles.is_cut(height, width, side):
            _check_additive(plan)
    limit = plan.tiling.memory
    if limit is None:
        return plan
    peak = estimate_memory(plan)
    if peak <= limit:
        return plan
    words = (
        f"a picture of {width} x {height} pixels needs about {peak / 1e9:.1f} "
        f"GB, but only {limit / 1e9:.1f} GB are available"
    )
    fitting = []
    for each in _list_targets(plan):
        largest = make_memory_model(each).find_largest_tile(
            height, width, limit
        )
        if min(largest, side or largest) >= least:
            fitting.append(_retile(each, side=min(largest, side or largest)))
    if not fitting:
        at_least = min(
            make_memory_model(each).estimate_peak(height, width, least**2)
            for each in _list_targets(plan)
        )
        raise MemoryError(
            f"{words}; with the smallest tiles it needs {at_least / 1e9:.1f} "
            "GB. Reduce --size, or free memory."
        )
    _check_additive(plan, words)
    alone = [_retile(each, devices=1) for each in fitting]
    costs = [estimate_cost(each, plan.levels[-1]) for each in alone]
    return fitting[costs.index(min(costs))]


def take_tiles(
    plan: "planning.Plan", side: int, content_target: str
) -> "planning.Plan | None":
    """Applies the tiles of an earlier run; returns None if they do not fit."""
    taken = _retile(plan, side=side, content_target=content_target)
    if side and (side < find_smallest_side(plan) or not is_additive(plan)):
        return None
    limit = plan.tiling.memory
    if limit is not None and estimate_memory(taken) > limit:
        return None
    return taken


def shrink_after_kill(plan: "planning.Plan", died: int) -> "planning.Plan":
    """Shrinks the tiles of a plan whose earlier run was killed.

    Lack of memory is the likely cause, unless the limit was more than twice the
    estimated need.

    Args:
        plan: A plan whose tiles fit the memory limit.
        died: Tile size of the killed run; 0: no tiles.
    """
    limit = plan.tiling.memory
    if limit is None or not is_additive(plan):
        return plan
    if estimate_memory(_retile(plan, side=died)) < 0.5 * limit:
        return plan
    height, width = plan.size
    before = died if tiles.is_cut(height, width, died) else max(height, width)
    side = max(before // 2, find_smallest_side(plan))
    if tiles.is_cut(height, width, plan.tiling.side):
        side = min(side, plan.tiling.side)
    if side == before:  # already the smallest
        plan = _list_targets(plan)[-1]
    return _retile(plan, side=side)


def shrink_after_error(
    plan: "planning.Plan", height: int, width: int
) -> "planning.Plan | None":
    """Halves the tiles of an image after it ran out of memory.

    Returns:
        The plan with smaller tiles; None if its tiles are the smallest.
    """
    side = plan.tiling.side
    whole = not tiles.is_cut(height, width, side)
    side = (max(height, width) if whole else side) // 2
    if side < find_smallest_side(plan) or not is_additive(plan):
        return None
    return _retile(plan, side=side)


def estimate_memory(plan: "planning.Plan") -> float:
    """Estimates the peak memory of a plan with its tiles, in bytes."""
    level = plan.levels[-1]
    cut = _cut(_retile(plan, devices=1), level)
    tile = cut.rows.size * cut.columns.size if cut else 0
    return make_memory_model(plan).estimate_peak(*level.size, tile)


def make_memory_model(plan: "planning.Plan") -> memory.MemoryModel:
    """Makes the memory model of a plan.

    Raises:
        ValueError: If the plan's inputs do not include the network.
    """
    read, level = plan.inputs, plan.levels[-1]
    if read.network is None:
        raise ValueError("the plan's inputs have no network; load it first.")
    scales = [s.scale for region in plan.regions for s in region.styles]
    return memory.MemoryModel(
        plan.network.precision,
        small=read.network.projections is not None,
        optimizer=level.optimizer,
        pairs=plan.settings.get("history", 0),
        carries=level.settings.get("carry_moments", False),
        style_scale=max(scales, default=1.0),
        style_loss=plan.style_loss,
        scales=plan.scales,
        read=read.size,
        recomputes=plan.tiling.content_target == "recompute",
        filters=_measure_filters(plan, read.network.layers),
        features=sum(
            read.network.layers[layer.name][0].shape[-1] / layer.stride**2
            for layer in architectures.list_convolutions(plan.network.name)
            if layer.name in plan.content_weights
        ),
    )


def _measure_filters(
    plan: "planning.Plan", layers: "weight_files.Layers"
) -> float:
    """Computes the size of the filters of Winograd convolutions, in bytes."""
    if plan.network.convolution != "winograd":
        return 0.0
    total = 0.0
    for layer in architectures.list_convolutions(plan.network.name):
        channels = layers[layer.name][0].shape[2:]
        if architectures.is_by_winograd(layer, channels):
            total += 36 * 4 * channels[0] * channels[1]
        if layer.name == plan.deepest.name:
            break
    return total


def describe_tiles(plan: "planning.Plan", level: pyramid.Level) -> str:
    """Describes the tiles of a level for a person; empty without tiles."""
    cut = _cut(plan, level)
    if cut is None:
        return ""
    words = f"{cut.number} tiles of {cut.columns.size} x {cut.rows.size}"
    if is_recomputed(plan, *level.size):
        words += ", which recompute the content's features"
    return words


def estimate_cost(plan: "planning.Plan", level: pyramid.Level) -> float:
    """Estimates the time of a step, relative to one scale without tiles."""
    scales = pyramid.count_scales(*level.size, plan.scales)
    share = pyramid.sum_scales(scales)
    cut = _cut(plan, level)
    if cut is None:
        return share
    rounds = math.ceil(cut.number / plan.tiling.devices)
    seen = rounds * cut.rows.size * cut.columns.size
    passes = tiles.PASSES
    if is_recomputed(plan, *level.size):
        passes += _estimate_recomputed_share(plan)
    return share * passes * seen / level.pixels


def is_recomputed(plan: "planning.Plan", height: int, width: int) -> bool:
    """Returns whether the content's features are recomputed at a size."""
    tiling = plan.tiling
    return tiling.content_target == "recompute" and tiles.is_cut(
        height, width, tiling.side
    )


def find_smallest_side(plan: "planning.Plan") -> int:
    """Returns the smallest possible tile side of a plan, in pixels."""
    return tiles.find_smallest_side(*_measure_reach(plan, plan.scales))


def is_additive(plan: "planning.Plan") -> bool:
    """Returns whether the objective of a plan can be computed tile by tile."""
    kind = style_kinds.STYLE_LOSSES[plan.style_loss]
    return kind.additive and not plan.normalizes


def _list_targets(plan: "planning.Plan") -> "list[planning.Plan]":
    """Lists the plan, and if allowed a variant that recomputes targets."""
    if plan.tiling.content_target != "auto":
        return [plan]
    return [plan, _retile(plan, content_target="recompute")]


def _retile(plan: "planning.Plan", **changes: Any) -> "planning.Plan":
    """Changes the tiling of a plan."""
    return dataclasses.replace(plan, tiling=plan.tiling._replace(**changes))


def _estimate_recomputed_share(plan: "planning.Plan") -> float:
    """Estimates the work up to the content layers, as a share of all work."""
    name = plan.network.name
    deepest = architectures.find_deepest(name, plan.content_weights)
    return architectures.count_work(
        name, deepest.name
    ) / architectures.count_work(name, plan.deepest.name)


def _cut(plan: "planning.Plan", level: pyramid.Level) -> tiles.Tiles | None:
    """Cuts a level into tiles; returns None if it needs none."""
    return tiles.choose_tiles(
        *level.size,
        plan.tiling.side,
        *_measure_reach(plan, pyramid.count_scales(*level.size, plan.scales)),
        plan.tiling.devices if is_additive(plan) else 1,
    )


def _measure_reach(plan: "planning.Plan", scales: int) -> tuple[int, int]:
    """Returns the grid of tile starts and the reach of the deepest layer.

    Both are in pixels of the image, whose sides are halved scales - 1 times.
    """
    spec, factor = plan.network, 2 ** (scales - 1)
    grid = architectures.find_grid(
        spec.name, plan.deepest.name, spec.convolution
    )
    return tiles.cover_image_losses(factor * grid, factor * plan.deepest.reach)


def _check_additive(plan: "planning.Plan", words: str = "") -> None:
    """Raises ValueError if a plan cannot be computed tile by tile."""
    if is_additive(plan):
        return
    height, width = plan.size
    name, mend = (
        f"style_loss {plan.style_loss!r}",
        "choose another --style_loss",
    )
    if plan.normalizes:
        name, mend = "normalize_gradients", "pass --nonormalize_gradients"
    raise ValueError(
        f"{name} cannot be computed tile by tile, and {width} x {height} "
        f"pixels would need tiles{f': {words}' if words else ''}; {mend}, or a "
        "smaller --size."
    )
