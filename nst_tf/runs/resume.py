"""Finds and writes a job's checkpoints."""

import logging
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nst_tf
from nst_tf.backend import host_memory, replicas
from nst_tf.images import image_io
from nst_tf.network import weight_files
from nst_tf.optimize import state_file, stopping
from nst_tf.plan import initial, planning, pyramid, settings, tile_size
from nst_tf.runs import checkpoint, outputs

if TYPE_CHECKING:
    from nst_tf.optimize import descent

log = logging.getLogger("nst_tf")

TAKEN = "steps taken"  # name of an array in checkpoints
DEATHS = 2  # in a row, before a job resumes with smaller tiles


def find_checkpoint(
    plan: planning.Plan,
    list_shapes: "Callable[[pyramid.Level], state_file.Shapes]",
) -> checkpoint.Saved | None:
    """Finds the checkpoint to resume from; returns None without one.

    Args:
        plan: The plan of the run.
        list_shapes: Level -> shapes of its optimizer's variables.

    Raises:
        ValueError: If the checkpoint belongs to another job or is beyond the
            end of this one, a required one is missing, or the folder is not
            writable.
        BlockingIOError: If another run of the job uses the folder.
    """
    if not plan.checkpoints.folder:
        return None
    folder = open_folder(plan)
    folder.check_writable()
    folder.check_free()
    if plan.checkpoints.resume == "never":
        return None

    def expect(level: int, steps: int) -> tuple[Any, Any]:
        if level >= len(plan.levels):
            raise state_file.DamageError(f"it is for level {level + 1}")
        here, is_last = plan.levels[level], level == len(plan.levels) - 1
        if steps > here.steps and not is_last:
            raise state_file.DamageError(f"it has taken {steps} steps")
        shapes = {**list_shapes(here), TAKEN: ((len(plan.levels),), "i")}
        return shapes, {**stopping.list_shapes(here), **state_file.MARKS}

    saved = folder.newest(expect)
    if saved is None and plan.checkpoints.resume == "require":
        raise ValueError(
            f"there is no checkpoint in {plan.checkpoints.folder}; use "
            "--resume=auto to start from the beginning."
        )
    last = plan.levels[-1].steps
    end = len(plan.levels) - 1, last
    if saved and (saved.state.level, saved.state.steps) >= end:
        raise ValueError(
            f"the checkpoint in {plan.checkpoints.folder} already has "
            f"{saved.state.steps} steps at the last level, and --steps asks "
            f"for {last}; raise --steps, or start over with --resume=never."
        )
    return saved


def adjust_tiles(
    plan: planning.Plan, saved: checkpoint.Saved | None
) -> planning.Plan:
    """Applies the tiles of the checkpoint, since others change the picture.

    It makes them smaller if an earlier run probably ran out of memory.

    Args:
        plan: A plan whose tiles fit in memory.
        saved: The checkpoint to resume from.
    """
    if saved:
        plan = _keep_tiles(plan, saved)
    if not plan.checkpoints.folder or plan.checkpoints.resume == "never":
        return plan
    if not replicas.is_writer():  # all agree on the smallest tiles
        return plan
    mark = open_folder(plan).died() or {}
    tile, reason = mark.get("tile"), _find_shortage(mark, saved)
    if not reason or type(tile) is not int or tile < 0:
        return plan
    smaller = tile_size.shrink_after_kill(plan, tile)
    if smaller.tiling != plan.tiling:
        log.warning(
            "%s: this run uses tiles of %d", reason, smaller.tiling.side
        )
    return smaller


def find_written(
    plan: planning.Plan, saved: checkpoint.Saved | None
) -> outputs.WrittenFiles:
    """Lists the files that a run may overwrite, from the run before it.

    It may only if it resumes from a checkpoint, or if the run before was killed
    before its first checkpoint.
    """
    if not plan.checkpoints.folder or not replicas.is_writer():
        return outputs.NOTHING
    folder = open_folder(plan)
    goes_on = saved is not None
    if not goes_on and plan.checkpoints.resume == "auto":
        mark = folder.died() or {"start": ""}
        goes_on = mark.get("start", "") is None and folder.is_empty()
    found = outputs.read_written(folder.notes) if goes_on else {}
    return outputs.WrittenFiles(folder.notes, found)


def list_written(path: str, rule: str) -> outputs.WrittenFiles:
    """Lists the files that any job of a folder may overwrite.

    The identity of the job is unknown until the weights are read.

    Args:
        path: The checkpoint folder; empty: none.
        rule: The `resume` setting: auto, never or require.
    """
    if not path or rule == "never":
        return outputs.NOTHING
    found: dict[str, list[str]] = {}
    for notes in Path(os.path.expanduser(path)).glob(f".*{checkpoint.NOTES}"):
        for name, digests in outputs.read_written(notes).items():
            found.setdefault(name, []).extend(digests)
    return outputs.WrittenFiles(None, found)


def save_checkpoints(
    steps: "Iterator[descent.Step]",
    plan: planning.Plan,
    start: "descent.State | None",
    more: "Callable[[descent.Step], Mapping[str, np.ndarray] | None]",
    revised: Callable[[], planning.Plan],
) -> "Generator[descent.Step, None, None]":
    """Yields the steps of a run, and saves checkpoints at intervals.

    It also saves the step after which the generator is closed, but never the
    last step of the run.

    Args:
        steps: The steps of the run.
        plan: Its plan.
        start: The state that it resumes from.
        more: Step -> additional arrays of the checkpoint; None for a step that
            must not be saved.
        revised: Returns the plan with its current tiling and precision.
    """
    folder = open_folder(plan)
    end = len(plan.levels) - 1, plan.levels[-1].steps
    taken = read_steps_taken(start, len(plan.levels))

    def save(step: "descent.Step") -> bool:
        besides = more(step)
        if besides is None or (step.level, step.index) == end:
            return False
        arrays = {**besides, TAKEN: np.array(taken)}
        try:
            save_state(folder, plan, revised(), step, arrays)
        except OSError as error:
            log.warning(
                "checkpoint in %s failed: %s", plan.checkpoints.folder, error
            )
        return True

    count, since = 0, time.monotonic()
    place = [start.level, start.steps] if start else None
    folder.mark(
        {
            "tile": plan.tiling.side,
            "start": place,
            "deaths": _count_deaths(folder.died() or {}, place),
            "kills": host_memory.count_kills(),
        }
    )
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


def save_state(
    folder: checkpoint.CheckpointFolder,
    plan: planning.Plan,
    now: planning.Plan,
    step: "descent.Step",
    besides: Mapping[str, np.ndarray],
) -> None:
    """Saves a step's state and more arrays; `now` is the plan at that step."""
    from nst_tf.optimize import descent  # already imported by now

    arrays = {**step.variables, **besides}  # copied from the device one by one
    if now.network.precision != plan.network.precision:
        arrays[state_file.OVERFLOWED] = np.array(1)
    state = descent.State(step.level, step.index, arrays)
    tiles = now.tiling.side, now.tiling.content_target
    folder.save(state, {"tiles": tiles, "asked": _list_asked(plan)})


def read_steps_taken(state: "descent.State | None", levels: int) -> list[int]:
    """Returns the steps taken at each of `levels` levels in a checkpoint."""
    if state is None:
        return [0] * levels
    return [int(count) for count in state.arrays[TAKEN]]


def _keep_tiles(plan: planning.Plan, saved: checkpoint.Saved) -> planning.Plan:
    """Applies the tiles of the checkpoint, unless settings ask for others."""
    match saved.notes.get("tiles"):
        case [int(side), "auto" | "keep" | "recompute" as target]:
            pass
        case _:  # an older checkpoint
            return plan
    if saved.notes.get("asked") != _list_asked(plan):
        return plan
    kept = tile_size.take_tiles(plan, side, target)
    if kept is None:
        log.warning(
            "the tiles of the checkpoint no longer fit in memory: this run "
            "uses tiles of %d, and the picture will differ slightly",
            plan.tiling.side,
        )
    return kept or plan


def _list_asked(plan: planning.Plan) -> list[Any]:
    """Lists the requested settings of tiles."""
    return [plan.settings.get(n) for n in ("tile", "content_target")]


def _find_shortage(
    mark: Mapping[str, Any], saved: checkpoint.Saved | None
) -> str:
    """Explains why a run may have run out of memory; "" if it did not."""
    place = [saved.state.level, saved.state.steps] if saved else None
    if _count_deaths(mark, place) >= DEATHS:
        return f"{DEATHS} runs of this job in a row saved no new checkpoint"
    now, then = host_memory.count_kills(), mark.get("kills")
    if now and isinstance(then, list) and then[:1] == [now[0]]:
        count = then[-1]
        if type(count) is int and now[1] > count:
            return "a run of this job was killed, perhaps for lack of memory"
    return ""


def _count_deaths(mark: Mapping[str, Any], place: Any) -> int:
    """Counts the runs in a row that were killed without a new checkpoint.

    Args:
        mark: The mark of the last run; empty if it was not killed.
        place: The [level, steps] of the newest checkpoint; None: no checkpoint.
    """
    if "start" not in mark or mark["start"] != place:
        return 0
    before = mark.get("deaths")
    return 1 + (before if type(before) is int and before > 0 else 0)


def make_identity(plan: planning.Plan) -> dict[str, Any]:
    """Returns the identity of a job: runs with the same one are bit-identical.

    It excludes the number of steps at the last level, and settings of losses
    that are off.
    """
    read, network = plan.inputs, plan.network
    without = set() if plan.grain_weight else {"grain_weight"}
    without |= {"scales"} if plan.scales == 1 else set()
    without |= settings.list_later_defaults(plan.settings)
    if not plan.neighbors:
        without |= {"neighbors_weight", "neighbors_layers"}
    identity = {
        "version": nst_tf.__version__,
        **{
            n: plan.settings[n]
            for n in settings.FIELDS
            if n in settings.IDENTITY - without
        },
        "precision": network.precision,
        "level sizes": [level.size for level in plan.levels],
        "steps of levels": [level.steps for level in plan.levels[:-1]],
        "content image": checkpoint.digest_arrays(list_arrays(read.content)),
        "style images": checkpoint.digest_arrays(
            [array for style in read.styles for array in list_arrays(style)]
        ),
        "init image": checkpoint.digest_arrays(
            [initial.make_initial_image(plan)]
        ),
        "masks": checkpoint.digest_arrays(
            [
                array
                for name in sorted(read.others.keys() - settings.STARTS)
                for array in (
                    np.frombuffer(name.encode(), np.uint8),
                    *list_arrays(read.others[name]),
                )
            ]
        ),
        "network's weights": digest_weights(read.network),
    }
    if network.convolution != "direct":  # before, there was no other
        identity["convolution"] = network.convolution
    return identity


def digest_weights(network: weight_files.NetworkWeights | None) -> str:
    """Computes the SHA-256 digest of network weights."""
    if network is None:
        raise ValueError("the plan's inputs have no network; load it first.")
    kernels = [array for layer in network.layers.values() for array in layer]
    kernels += (network.projections or {}).values()
    return checkpoint.digest_arrays(kernels)


def open_folder(plan: planning.Plan) -> checkpoint.CheckpointFolder:
    """Opens the checkpoint folder of a plan."""
    path = Path(os.path.expanduser(plan.checkpoints.folder))
    return checkpoint.CheckpointFolder(path, make_identity(plan))


def list_arrays(picture: image_io.Picture) -> list[np.ndarray]:
    """Lists the arrays of a picture that affect the result."""
    return [x for x in (picture.pixels, picture.alpha) if x is not None]
