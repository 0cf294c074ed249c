"""What a job starts with: devices, tiles that fit, a checkpoint."""

import dataclasses
import hashlib
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from nst_tf.backend import device, replicas
from nst_tf.plan import inputs, settings, tile_size
from nst_tf.runs import resume

if TYPE_CHECKING:
    import tensorflow as tf

    from nst_tf.optimize import descent


class Start(NamedTuple):
    """What a job starts with."""

    request: settings.Job  # with the tiles that memory has room for
    state: "descent.State | None"  # from which it goes on
    strategy: "tf.distribute.Strategy | None"  # of the devices that share it


def start(
    request: settings.Job,
    prepared: inputs.Inputs,
    say: Callable[[str], None] = warnings.warn,
) -> Start:
    """Decides what a job starts with, before anything is computed.

    Args:
        request: The job.
        prepared: What it is made from.
        say: Is told, in a line, of a run before that was killed.

    Raises:
        MemoryError: If there is not enough for the smallest tiles.
        ValueError: If there are not so many devices, or it cannot be worked on
            in tiles, or go on from where it is to.
    """
    device.prepare()
    strategy = replicas.make_strategy(request.devices)
    precision = device.resolve_precision(request.precision)
    planned = tile_size.plan_tiles(request, prepared, precision)
    state = resume.find_checkpoint(planned, prepared)
    died = resume.find_killed_tile_size(planned, prepared)
    if died is not None and replicas.is_writer():
        before = planned.tile
        planned = tile_size.halve_tiles(planned, prepared, precision, died)
        if planned.tile != before:
            say(
                f"a run of this job was killed, perhaps for want of memory: "
                f"it goes on in tiles of {planned.tile}"
            )
    agreed = _agree_on_tiles(planned, prepared, state, strategy)
    return Start(agreed, state, strategy)


def _agree_on_tiles(
    request: settings.Job,
    prepared: inputs.Inputs,
    start: "descent.State | None",
    strategy: "tf.distribute.Strategy | None",
) -> settings.Job:
    """Gives a job the smallest tiles of the processes that share its picture.

    Args:
        request: The job.
        prepared: What it is made from.
        start: The checkpoint that it goes on from.
        strategy: Of the devices that share the picture.

    Raises:
        ValueError: If the processes have not all the same job and start.
    """
    if strategy is None or replicas.count_workers() == 1:
        return request
    same = {
        **resume.make_identity(request, prepared),
        "steps": [level.steps for level in prepared.levels],
        "start": (start.level, start.steps) if start else None,
    }
    digest = hashlib.sha256(repr(same).encode()).digest()[:7]
    rows = replicas.gather(
        strategy,
        [
            int.from_bytes(digest, "big"),
            request.tile,
            request.content_target == "recompute",
        ],
    )
    if len({number for number, *_ in rows}) > 1:
        raise ValueError(
            "the processes that TF_CONFIG names were not all given the same "
            "job, pictures, weights and checkpoint; start all of them alike, "
            "with a checkpoint_dir that all of them see."
        )
    tile = min((tile for _, tile, _ in rows if tile), default=0)
    if any(anew for *_, anew in rows):
        request = dataclasses.replace(request, content_target="recompute")
    return dataclasses.replace(request, tile=tile)
