"""Writes the files of a job: previews, results, and its last state."""

import contextlib
import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nst_tf import files
from nst_tf.images import image_io, painting, sizes
from nst_tf.plan import planning
from nst_tf.runs import results, resume, runner
from nst_tf.web import storage, upload_check

if TYPE_CHECKING:
    from nst_tf.optimize import descent

PREVIEW_SIDE, SMALL_SIDE = 768, 320  # pixels, of previews and thumbnails


def shrink(plan: planning.Plan) -> planning.Plan:
    """Resizes the content image of a plan to the size of previews."""
    content = plan.inputs.content
    shape = _preview_size(plan)
    content = content._replace(pixels=image_io.resize(content.pixels, *shape))
    read = plan.inputs._replace(content=content)
    return dataclasses.replace(plan, inputs=read)


def _preview_size(plan: planning.Plan) -> tuple[int, int]:
    """Returns the (height, width) of the previews of a plan."""
    side = min(PREVIEW_SIDE, max(plan.size))
    return sizes.scale_to_side(*plan.size, side)


def write_preview(
    path: Path, small: planning.Plan, step: "descent.Step"
) -> None:
    """Writes the picture of a step at the size of previews."""
    image = image_io.resize(results.read_image(step), *_preview_size(small))
    view = upload_check.make_view(results.finish(image, small).image, 1 << 16)
    with files.write_atomically(path) as file:
        view.save(file, "JPEG", quality=85)


def write_results(folder: Path, made: painting.Painting, quality: int) -> None:
    """Writes a result in all download formats, and a thumbnail."""
    made.save(folder / "result.tif", bit_depth=16)
    made.save(folder / "result.jpg", quality=quality)
    made.save(folder / "result.png")
    view = upload_check.make_view(np.asarray(made), SMALL_SIDE)
    with files.write_atomically(folder / "small.jpg") as file:
        view.save(file, "JPEG", quality=85)


def is_at_end(run: runner.Run) -> bool:
    """Returns whether a run has taken the last step of its plan."""
    levels, last = run.plan.levels, run.last
    end = len(levels) - 1, levels[-1].steps
    return last is not None and (last.level, last.index) == end


def keep_state(run: runner.Run, step: "descent.Step", folder: Path) -> None:
    """Keeps the state from which a finished picture takes more steps.

    The checkpoints of the job stay until the server knows that it is done: if
    the process is killed before, the job resumes from one of them.
    """
    kept = folder / storage.LAST_STATE
    shutil.rmtree(kept, ignore_errors=True)
    running = run.plan.checkpoints._replace(folder=str(kept))
    plan = dataclasses.replace(run.first_plan, checkpoints=running)
    with contextlib.suppress(OSError):
        if is_at_end(run):
            taken = {resume.TAKEN: np.array(run.taken)}
            at = resume.open_folder(plan)
            resume.save_state(at, plan, run.plan, step, taken)
        else:  # a time limit has ended it
            shutil.copytree(folder / storage.CHECKPOINTS, kept)
