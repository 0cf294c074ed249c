"""Finds and writes a job's checkpoints."""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nst_tf
from nst_tf.images import image_io
from nst_tf.network import weight_files
from nst_tf.plan import initial, planning, settings
from nst_tf.runs import checkpoint

if TYPE_CHECKING:
    from nst_tf.optimize import descent

log = logging.getLogger("nst_tf")

TAKEN = "steps taken"  # at each level so far, in a checkpoint


def find_checkpoint(plan: planning.Plan) -> "descent.State | None":
    """Finds the checkpoint that a run goes on from, if there is one.

    Raises:
        ValueError: If it is of another job, none is there though one is
            required, it is beyond the end of this job, or checkpoints could
            not be saved.
        BlockingIOError: If another run of the job is under way in the folder.
    """
    if not plan.checkpoints.folder:
        return None
    folder = _open_folder(plan)
    folder.check_writable()
    folder.check_free()
    if plan.checkpoints.resume == "never":
        return None
    state = folder.newest()
    if state is None and plan.checkpoints.resume == "require":
        raise ValueError(
            f"there is no checkpoint in {plan.checkpoints.folder}; "
            f"--resume=auto starts anew then."
        )
    last = plan.levels[-1].steps
    end = len(plan.levels) - 1, last
    if state and (state.level, state.steps) >= end:
        raise ValueError(
            f"the checkpoint in {plan.checkpoints.folder} has taken "
            f"{state.steps} steps at the last level, and steps asks for "
            f"{last}; ask for more, or start anew with --resume=never."
        )
    return state


def save_checkpoints(
    steps: "Iterator[descent.Step]",
    plan: planning.Plan,
    before: Sequence[int],
    more: "Callable[[descent.Step], Mapping[str, np.ndarray] | None]",
) -> "Generator[descent.Step, None, None]":
    """Passes steps on, and saves one now and then; never the very last.

    That after which it is closed is saved too.

    Args:
        steps: Those of the run.
        plan: Its plan.
        before: Steps taken at each level before this run.
        more: A step -> what a checkpoint holds besides; None after a step that
            is none to go on from.
    """
    from nst_tf.optimize import descent  # TensorFlow is at work by now

    folder = _open_folder(plan)
    end = len(plan.levels) - 1, plan.levels[-1].steps
    taken = list(before)

    def save(step: "descent.Step") -> bool:
        besides = more(step)
        if besides is None or (step.level, step.index) == end:
            return False
        try:
            # Each is copied from the device when it is written.
            arrays = {**step.variables, **besides, TAKEN: np.array(taken)}
            folder.save(descent.State(step.level, step.index, arrays))
        except OSError as error:
            log.warning(
                "checkpoint in %s failed: %s", plan.checkpoints.folder, error
            )
        return True

    count, since = 0, time.monotonic()
    folder.mark({"tile": plan.tiling.side})
    try:
        for step in steps:
            taken[step.level] = step.index
            try:
                yield step
            except GeneratorExit:
                save(step)
                raise
            count += 1
            seconds = time.monotonic() - since
            if plan.checkpoints.every.is_over(count, seconds) and save(step):
                count, since = 0, time.monotonic()
    finally:
        folder.unmark()


def find_killed_tile_size(plan: planning.Plan) -> int | None:
    """Finds the tiles of a run of the plan that was killed; None if none was.

    0: it worked on the picture as a whole.
    """
    if not plan.checkpoints.folder or plan.checkpoints.resume == "never":
        return None
    note = _open_folder(plan).died()
    tile = None if note is None else note.get("tile")
    return tile if isinstance(tile, int) else None


def read_steps_taken(state: "descent.State | None", levels: int) -> list[int]:
    """Reads the steps taken at each of so many levels before a run goes on."""
    if state is None:
        return [0] * levels
    return [int(count) for count in state.arrays[TAKEN]]


def make_identity(plan: planning.Plan) -> dict[str, Any]:
    """Says what makes a job this one: two runs with it are the same to the bit.

    The number of steps at the last level is no part of it, nor are settings of
    losses that are off.
    """
    read = plan.inputs
    without = set() if plan.grain_weight else {"grain_weight"}
    if not plan.neighbors:
        without |= {"neighbors_weight", "neighbors_layers"}
    return {
        "version": nst_tf.__version__,
        **{
            n: plan.settings[n]
            for n in settings.FIELDS
            if n in settings.IDENTITY - without
        },
        "precision": plan.network.precision,
        "level sizes": [level.size for level in plan.levels],
        "steps of levels": [level.steps for level in plan.levels[:-1]],
        "content image": _digest(_list_arrays(read.content)),
        "style images": _digest(
            [array for style in read.styles for array in _list_arrays(style)]
        ),
        "init image": _digest([initial.make_initial_image(plan)]),
        "masks": _digest(
            [
                array
                for name in sorted(read.others)
                if name not in settings.STARTS
                for array in (_encode_name(name), read.others[name].pixels)
            ]
        ),
        "network's weights": digest_weights(read.network),
    }


def digest_weights(network: weight_files.NetworkWeights | None) -> str:
    """Computes the digest of a network's weights."""
    if network is None:
        raise ValueError("the plan's inputs have no network; load it first.")
    kernels = [array for layer in network.layers.values() for array in layer]
    kernels += (network.projections or {}).values()
    return _digest(kernels)


def _open_folder(plan: planning.Plan) -> checkpoint.CheckpointFolder:
    """Opens the checkpoints of a plan."""
    path = Path(os.path.expanduser(plan.checkpoints.folder))
    return checkpoint.CheckpointFolder(path, make_identity(plan))


def _list_arrays(picture: image_io.Picture) -> list[np.ndarray]:
    """Lists what of a picture has a part in the result."""
    if picture.alpha is None:
        return [picture.pixels]
    return [picture.pixels, picture.alpha]


def _encode_name(name: str) -> np.ndarray:
    """A name as an array of bytes."""
    return np.frombuffer(name.encode(), np.uint8)


def _digest(arrays: Sequence[np.ndarray]) -> str:
    """The SHA-256 digest of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return f"sha256:{digest.hexdigest()}"
