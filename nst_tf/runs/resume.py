"""Finds and writes a job's checkpoints."""

import hashlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nst_tf
from nst_tf.backend import device
from nst_tf.images import image_io
from nst_tf.network import weight_files
from nst_tf.plan import inputs, settings
from nst_tf.runs import checkpoint

if TYPE_CHECKING:
    from nst_tf.optimize import descent

TAKEN = "steps taken"  # at each level so far, in a checkpoint


def find_checkpoint(
    request: settings.Job, prepared: inputs.Inputs
) -> "descent.State | None":
    """Finds the checkpoint that a job goes on from, if there is one.

    Raises:
        ValueError: If it is of another job, none is there though one is
            required, it is beyond the end of this job, or checkpoints could
            not be saved.
    """
    if not request.checkpoint_dir:
        return None
    folder = _folder(request, prepared)
    folder.check_writable()
    if request.resume == "never":
        return None
    state = folder.newest()
    if state is None and request.resume == "require":
        raise ValueError(
            f"there is no checkpoint in {request.checkpoint_dir}; "
            f"--resume=auto starts anew then."
        )
    last = prepared.levels[-1].steps
    end = len(prepared.levels) - 1, last
    if state and (state.level, state.steps) >= end:
        raise ValueError(
            f"the checkpoint in {request.checkpoint_dir} has taken "
            f"{state.steps} steps at the last level, and steps asks for "
            f"{last}; ask for more, or start anew with --resume=never."
        )
    return state


def save_checkpoints(
    steps: "Iterator[descent.Step]",
    request: settings.Job,
    prepared: inputs.Inputs,
    say: Callable[[str], None],
    more: "Callable[[descent.Step], Mapping[str, np.ndarray] | None]",
    start: "descent.State | None" = None,
) -> "Generator[descent.Step, None, None]":
    """Passes steps on, and saves one now and then; never the very last.

    That after which it is closed is saved too. `more` gives what a checkpoint
    holds besides, or None after a step that is none to go on from; `start` is
    that from which the run goes on.
    """
    from nst_tf.optimize import descent  # TensorFlow is at work by now

    folder = _folder(request, prepared)
    interval = settings.parse_interval(request.checkpoint_every)
    end = len(prepared.levels) - 1, prepared.levels[-1].steps

    def save(step: "descent.Step") -> bool:
        besides = more(step)
        if besides is None or (step.level, step.index) == end:
            return False
        try:
            # Each is copied from the device when it is written.
            arrays = {**step.variables, **besides, TAKEN: np.array(taken)}
            folder.save(descent.State(step.level, step.index, arrays))
        except OSError as error:
            say(f"checkpoint in {request.checkpoint_dir} failed: {error}")
        return True

    taken = read_steps_taken(start, prepared)
    count, since = 0, time.monotonic()
    folder.mark({"tile": request.tile})
    try:
        for step in steps:
            taken[step.level] = step.index
            try:
                yield step
            except GeneratorExit:
                save(step)
                raise
            count += 1
            if interval.is_over(count, time.monotonic() - since) and save(step):
                count, since = 0, time.monotonic()
    finally:
        folder.unmark()


def find_killed_tile_size(
    request: settings.Job, prepared: inputs.Inputs
) -> int | None:
    """The tiles of a run of the job that was killed; None if none was.

    0: it worked on the picture as a whole.
    """
    if not request.checkpoint_dir or request.resume == "never":
        return None
    note = _folder(request, prepared).died()
    tile = None if note is None else note.get("tile")
    return tile if isinstance(tile, int) else None


def read_steps_taken(
    state: "descent.State | None", prepared: inputs.Inputs
) -> list[int]:
    """The steps that were taken at each level before a run goes on."""
    if state is None:
        return [0] * len(prepared.levels)
    return [int(count) for count in state.arrays[TAKEN]]


def make_identity(
    request: settings.Job, prepared: inputs.Inputs
) -> dict[str, Any]:
    """What makes a job this one: two runs with it are the same to the bit.

    The number of steps at the last level is no part of it.
    """
    fields = {
        name: getattr(request, name)
        for name in settings.FIELDS
        if name in settings.IDENTITY
    }
    return {
        "version": nst_tf.__version__,
        **fields,
        "precision": device.resolve_precision(request.precision),
        "level sizes": [level[:2] for level in prepared.levels],
        "steps of levels": [level.steps for level in prepared.levels[:-1]],
        "content image": _digest(_arrays(prepared.content)),
        "style images": _digest(
            [array for style in prepared.styles for array in _arrays(style)]
        ),
        "init image": _digest([prepared.init]),
        "masks": _digest(
            [
                array
                for name in sorted(prepared.others)
                if name not in settings.STARTS
                for array in (_encode_name(name), prepared.others[name].pixels)
            ]
        ),
        "network's weights": digest_weights(prepared.network),
    }


def digest_weights(network: weight_files.NetworkWeights) -> str:
    """The digest of a network's weights."""
    kernels = [array for layer in network.layers.values() for array in layer]
    kernels += (network.projections or {}).values()
    return _digest(kernels)


def _folder(
    request: settings.Job, prepared: inputs.Inputs
) -> checkpoint.CheckpointFolder:
    """The checkpoints of a job."""
    path = Path(os.path.expanduser(request.checkpoint_dir))
    return checkpoint.CheckpointFolder(path, make_identity(request, prepared))


def _arrays(picture: image_io.Picture) -> list[np.ndarray]:
    """What of a picture has a part in the result."""
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
