"""Chooses the tile size from the memory budget.

And whether the content's features are kept for the tiles or recomputed in each.
When memory runs out all the same, tiles are halved.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

from nst_tf.backend import device
from nst_tf.losses import style_kinds
from nst_tf.network import architectures
from nst_tf.plan import inputs, memory, pyramid, schedule, settings, tiles


def plan_tiles(
    request: settings.Job,
    prepared: inputs.Inputs,
    precision: str,
) -> settings.Job:
    """Gives a job the tiles that its memory has room for.

    A job that fits, as a whole or in the tiles that it names, is returned as it
    is.

    Args:
        request: The job.
        prepared: What it is made from.
        precision: Type that the network computes in.

    Raises:
        MemoryError: If there is not enough for the smallest tiles.
        ValueError: If the named tiles are too small, or it cannot be worked on
            in tiles.
    """
    height, width, _ = prepared.levels[-1]
    least = find_smallest_side(request)
    if request.tile:
        if request.tile < least:
            raise ValueError(
                f"tile is {request.tile}, expected at least {least} pixels: a "
                f"tile is cut with all that its layers see around it."
            )
        if tiles.is_cut(height, width, request.tile):
            _check_additive(request, height, width)
    limit = _limit(request)
    if limit is None:
        return request
    peak = estimate_memory(request, prepared, precision)
    if peak <= limit:
        return request
    fitting = _fitting(request, prepared, precision, limit, least)
    words = (
        f"a picture of {width} x {height} pixels needs about "
        f"{peak / 1e9:.1f} GB, and {limit / 1e9:.1f} GB are there"
    )
    if not fitting:
        at_least = min(
            make_memory_model(each, prepared, precision).estimate_peak(
                height, width, least**2
            )
            for each in _targets(request)
        )
        raise MemoryError(
            f"{words}; in the smallest tiles it needs {at_least / 1e9:.1f} "
            f"GB. Make it smaller with --size, or free memory."
        )
    _check_additive(request, height, width, words)
    level = prepared.levels[-1]
    return min(fitting, key=lambda each: estimate_cost(each, level))


def _fitting(
    request: settings.Job,
    prepared: inputs.Inputs,
    precision: str,
    limit: float,
    least: int,
) -> list[settings.Job]:
    """A job in the largest tiles that a limit has room for, in either way."""
    height, width, _ = prepared.levels[-1]
    found = []
    for each in _targets(request):
        model = make_memory_model(each, prepared, precision)
        side = model.find_largest_tile(height, width, limit)
        side = min(side, request.tile or side)
        if side >= least:
            found.append(dataclasses.replace(each, tile=side))
    return found


def _targets(request: settings.Job) -> list[settings.Job]:
    """A job, and as one that recomputes its targets, if it leaves that open."""
    if request.content_target != "auto":
        return [request]
    return [request, dataclasses.replace(request, content_target="recompute")]


def halve_tiles(
    request: settings.Job, prepared: inputs.Inputs, precision: str, died: int
) -> settings.Job:
    """Gives a job smaller tiles than those with which a run of it died.

    Whether it died for want of memory nobody knows; a run that had more than
    twice what it needs did not.

    Args:
        request: The job, with the tiles that memory has room for.
        prepared: What it is made from.
        precision: Type that the network computes in.
        died: The tiles of that run; 0: it had none.
    """
    height, width, _ = prepared.levels[-1]
    limit = _limit(request)
    if limit is None or not _is_additive(request):
        return request
    then = dataclasses.replace(request, tile=died)
    if estimate_memory(then, prepared, precision) < 0.5 * limit:
        return request
    before = died if tiles.is_cut(height, width, died) else max(height, width)
    side = max(before // 2, find_smallest_side(request))
    if tiles.is_cut(height, width, request.tile):
        side = min(side, request.tile)
    if side == before:  # there are no smaller ones
        request = _targets(request)[-1]
    return dataclasses.replace(request, tile=side)


def _limit(request: settings.Job) -> float | None:
    """Bytes that a job may take; None: unknown.

    On a GPU tiles are halved when its memory runs out, whatever the host has.
    """
    if request.memory:
        return 1e9 * request.memory
    return None if device.is_gpu() else memory.find_limit()


def estimate_memory(
    request: settings.Job, prepared: inputs.Inputs, precision: str
) -> float:
    """The bytes that a job needs in the tiles that it is cut into, about.

    Args:
        request: The job.
        prepared: What it is made from.
        precision: Type that the network computes in.
    """
    level = prepared.levels[-1]
    cut = _cut(request, level, 1)
    tile = cut.rows.size * cut.columns.size if cut else 0
    model = make_memory_model(request, prepared, precision)
    return model.estimate_peak(level.height, level.width, tile)


def make_memory_model(
    request: settings.Job, prepared: inputs.Inputs, precision: str
) -> memory.MemoryModel:
    """Makes the memory model of a job."""
    rows, columns = prepared.content.pixels.shape[:2]
    height, width, _ = prepared.levels[-1]
    return memory.MemoryModel(
        precision,
        small=prepared.network.projections is not None,
        optimizer=schedule.choose_optimizer(request, max(height, width)),
        pairs=request.history,
        style_scale=max(prepared.scales, default=1.0),
        style_loss=request.style_loss,
        read=rows * columns
        + sum(style.pixels[..., 0].size for style in prepared.styles),
        recomputes=request.content_target == "recompute",
        features=sum(
            prepared.network.layers[layer.name][0].shape[-1] / layer.stride**2
            for layer in architectures.list_convolutions(request.extractor)
            if layer.name in settings.parse_layers(request.content_layers)
        ),
    )


def describe_tiles(
    request: settings.Job, level: pyramid.Level, devices: int = 1
) -> str:
    """Says how a level is cut, for people; nothing if it is not."""
    cut = _cut(request, level, devices)
    if cut is None:
        return ""
    words = f"{cut.number} tiles of {cut.columns.size} x {cut.rows.size}"
    if is_recomputed(request, level.height, level.width):
        words += ", in which the content is seen anew"
    return words


def estimate_cost(
    request: settings.Job, level: pyramid.Level, devices: int = 1
) -> float:
    """How many times longer a step takes in tiles than one on the whole."""
    cut = _cut(request, level, devices)
    if cut is None:
        return 1.0
    rounds = math.ceil(cut.number / devices)
    seen = rounds * cut.rows.size * cut.columns.size
    passes = tiles.PASSES
    if is_recomputed(request, level.height, level.width):
        passes += _recomputed_share(request)
    return passes * seen / level.pixels


def is_recomputed(request: settings.Job, height: int, width: int) -> bool:
    """Whether the content's features are seen anew at a size, not kept."""
    return request.content_target == "recompute" and tiles.is_cut(
        height, width, request.tile
    )


def _recomputed_share(request: settings.Job) -> float:
    """Two looks as deep as the content's layers, over two as deep as all."""
    deepest = architectures.find_deepest(
        request.extractor, settings.parse_layers(request.content_layers)
    )
    return architectures.count_work(request.extractor, deepest.name) / (
        architectures.count_work(request.extractor, _deepest(request).name)
    )


def _cut(
    request: settings.Job, level: pyramid.Level, devices: int
) -> tiles.Tiles | None:
    """How a level is cut; None: it is not."""
    deepest = _deepest(request)
    return tiles.choose_tiles(
        level.height,
        level.width,
        request.tile,
        deepest.stride,
        deepest.reach,
        devices if _is_additive(request) else 1,
    )


def find_smallest_side(request: settings.Job) -> int:
    """The least side of the tiles of a job, in pixels."""
    deepest = _deepest(request)
    return tiles.find_smallest_side(deepest.stride, deepest.reach)


def _deepest(request: settings.Job) -> architectures.Convolution:
    """The last convolution that a job needs."""
    layers = [
        layer
        for text in (request.content_layers, *request.style_layers)
        for layer in settings.parse_layers(text)
    ]
    return architectures.find_deepest(request.extractor, layers)


class TileSize:
    """The side of the tiles of a run, halved where memory does not suffice.

    Args:
        request: Its job.
        levels: Its sizes.
        say: Is told, in a line, when it is halved.
    """

    def __init__(
        self,
        request: settings.Job,
        levels: Sequence[pyramid.Level],
        say: Callable[[str], None],
    ):
        self._side = request.tile
        self._least = find_smallest_side(request)
        self._additive = _is_additive(request)
        self._say = say

    def get(self) -> int:
        """The side, in pixels; 0: images are worked on as wholes."""
        return self._side

    def halve(self, height: int, width: int) -> bool:
        """Makes it half as large, for an image of that size, if it can be."""
        whole = not tiles.is_cut(height, width, self._side)
        side = (max(height, width) if whole else self._side) // 2
        if side < self._least or not self._additive:
            return False
        self._side = side
        self._say(
            f"memory    not enough for this step; it is taken again in tiles "
            f"of {side}"
        )
        return True


def _check_additive(
    request: settings.Job, height: int, width: int, words: str = ""
) -> None:
    """Raises ValueError if a job cannot be worked on in tiles."""
    if _is_additive(request):
        return
    raise ValueError(
        f"style_loss is {request.style_loss!r}, which is no sum over "
        f"positions, so that {width} x {height} pixels cannot be worked on in "
        f"tiles{f': {words}' if words else ''}; choose another --style_loss, "
        f"or a smaller --size."
    )


def _is_additive(request: settings.Job) -> bool:
    """Whether all losses of a job are sums over positions."""
    return style_kinds.STYLE_LOSSES[request.style_loss].additive
