"""Runs a job, or arrays, to a picture: the public functions of `nst_tf`.

`draft_images` and `draft_files` draft the plans of front ends. TensorFlow is
imported only when work starts.
"""

import dataclasses
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nst_tf
from nst_tf import errors
from nst_tf.backend import replicas
from nst_tf.images import painting
from nst_tf.plan import (
    arrays,
    conflicts,
    inputs,
    planning,
    settings,
    signatures,
)
from nst_tf.runs import (
    outputs,
    reporters,
    results,
    resume,
    run_log,
    runner,
    tensorboard_folder,
    timelapse,
)

log = logging.getLogger("nst_tf")


class Result(NamedTuple):
    """The result of a job."""

    path: Path
    seconds: float
    terms: Mapping[str, float]  # losses of the last step, unweighted


@signatures.take_settings
def stylize(
    content: arrays.ImageLike,
    style: arrays.ImageLike | Sequence[arrays.ImageLike],
    *,
    callback: runner.Callback | None = None,
    progress: bool = False,
    extra_losses: runner.ExtraLosses | None = None,
    **settings: Any,
) -> painting.Painting:
    """Repaints a content image in the style of one or more paintings.

    Args:
        content: Content image: a path, an address, a Pillow image, or an array
            or tensor of uint8 or of floats in [0, 1]: RGB, [H, W, 3], gray, [H,
            W], with alpha, [H, W, 4], or a batch of one. Transparent parts are
            ignored.
        style: One style image or several, in the same forms; a folder counts as
            one style. The old name `styles` is accepted.
        callback: Called with each step, as `stylize_steps` yields it. False
            stops the run and returns the picture so far; None does not stop.
        progress: Shows a bar on standard error, or a line in a cell.
        extra_losses: (height, width) -> additional losses for an image of that
            size; see docs/adding_a_loss.md.
        **settings: Fields of `Job`, such as size=512 or style_weight=200. Masks
            (content_mask, strength_map, keep_mask, style_mask) and initial
            images (init, continue_from) accept the same forms as `content`;
            masks also accept bool arrays.

    Returns:
        The generated image, [h, w, 3], float32 in [0, 1]; its long side is
        `size`. Transparent areas of the content are filled with nearby colors.
        It is an array with `save(path)`, `to_pil()` and `settings`, and
        notebooks display it as a picture.

    Raises:
        ValueError: If an image or a setting is invalid.
        TypeError: If a setting is unknown or has the wrong type.
        MemoryError: If the smallest tiles do not fit in memory.
        FloatingPointError: If the loss stays NaN or infinite.

    Source:
        Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural
        Networks. CVPR 2016.
    """
    began = time.monotonic()
    with runner.show(progress):
        job, draft = draft_images(content, style, settings)
        run = runner.start_run(draft, began=began)
        step, state = run.execute_until(callback, progress, extra_losses)
        return results.make_painting(job, run, step, state=state)


@signatures.take_settings
def stylize_steps(
    content: arrays.ImageLike,
    style: arrays.ImageLike | Sequence[arrays.ImageLike],
    *,
    extra_losses: runner.ExtraLosses | None = None,
    **settings: Any,
) -> "Iterator[nst_tf.optimize.Step]":
    """Runs `stylize` step by step, as an iterator.

    Stop iterating to stop the run. Each step has its level, its index, its
    losses and its image, which stay on the device until you read them.

    Args:
        content: As in `stylize`.
        style: As in `stylize`.
        extra_losses: As in `stylize`.
        **settings: As in `stylize`.

    Returns:
        An iterator of `descent.Step`. The last image is the result before
        post-processing (`color=content`, `keep_mask`).

    Raises:
        ValueError: If an image or a setting is invalid.
        TypeError: If a setting is unknown or has the wrong type.
        MemoryError: If the smallest tiles do not fit in memory.
        FloatingPointError: While iterating, if the loss stays NaN or infinite.
    """
    draft = draft_images(content, style, settings)[1]
    return errors.name_keywords_in(runner.start_run(draft).steps(extra_losses))


@errors.name_keywords()
def run_job(
    job: settings.Job,
    *,
    callback: runner.Callback | None = None,
    progress: bool = False,
) -> Result:
    """Runs a job: reads its input files and writes its output file.

    With several processes, the first one writes the output.

    Args:
        job: The job.
        callback: As in `stylize`; if it stops the run, the record says
            "unfinished".
        progress: As in `stylize`.

    Raises:
        ValueError: If a file or a setting is invalid.
        OSError: If the output cannot be written.
        MemoryError: If the smallest tiles do not fit in memory.
        FloatingPointError: If the loss stays NaN or infinite.
    """
    errors.check_type("job", job, settings.Job, "an nst_tf.Job")
    signatures.check_arguments(callback, progress)
    for name in conflicts.list_given(job):
        if name in settings.PROGRAM_SETTINGS:
            raise ValueError(f"{name} belongs to the command line; remove it.")
    conflicts.check(job)
    began = time.monotonic()
    with runner.show(progress):
        draft = draft_files(job)
        log_notes(draft)
        run = runner.start_run(draft, began=began)
        path = choose_output(job, run)
        step, state = run.execute_until(callback, progress)
        if replicas.is_writer():
            finished = results.copy_step(run, step)
            path = results.save(path, job, run, finished, state=state).path
            if state == "done":
                run.written.forget()
    return Result(path, run.seconds, results.read_losses(step))


@errors.name_keywords()
def make_plan(
    job: settings.Job,
    read: inputs.Inputs | None = None,
    machine: planning.Machine | None = None,
) -> planning.Plan:
    """Makes the plan of a run, before any computation.

    `Painter().paint(plan)` executes it.

    Args:
        job: The job.
        read: Its pictures and network weights; None: read them from files.
        machine: The machine to plan for; None: this machine.

    Raises:
        MemoryError: If the smallest tiles do not fit in memory.
        ValueError: If a setting or a picture is invalid.
        TypeError: If a setting has the wrong type.
    """
    errors.check_type("job", job, settings.Job, "an nst_tf.Job")
    conflicts.check(job)
    read = read or inputs.read_inputs(job)
    draft = planning.draft_plan(job, read)
    if read.network is None:
        draft = draft.add_weights(inputs.load_network(job))
    return planning.fit_plan(draft, machine or runner.measure_machine())


def draft_images(
    content: arrays.ImageLike,
    styles: arrays.ImageLike | Sequence[arrays.ImageLike],
    chosen: dict[str, Any],
) -> tuple[settings.Job, planning.Plan]:
    """Checks the arguments of `stylize`, and drafts the plan.

    Args:
        content: As in `stylize`.
        styles: As in `stylize`.
        chosen: Settings, as in `stylize`.

    Returns:
        The job, with "array" instead of each array, and the draft.

    Raises:
        ValueError, TypeError: As `stylize`.
    """
    plain, given = arrays.separate_arrays(chosen)
    job = settings.Job(**plain)
    conflicts.settle(job, dict.fromkeys(plain, 0))
    read = inputs.take_inputs(job, content, styles, given)
    draft = planning.draft_plan(job, read)
    draft = draft.add_weights(inputs.load_network(job))
    log_notes(draft)
    names = read.sources["content"], tuple(read.list_style_sources())
    return dataclasses.replace(job, content=names[0], style=names[1]), draft


def draft_files(job: settings.Job) -> planning.Plan:
    """Reads the files of a job, checks them, and drafts the plan.

    It checks that an output can be written; `choose_output` chooses its path,
    after the run is started.

    Raises:
        ValueError: If a setting or a picture is invalid.
    """
    read = inputs.read_inputs(job)
    if job.summary_dir:
        tensorboard_folder.check()
    draft = planning.draft_plan(job, read)
    path = _find_output(job, read)
    outputs.check_writable(path, *draft.size, results.make_options(draft))
    return draft.add_weights(inputs.load_network(job))


def choose_output(job: settings.Job, run: runner.Run) -> Path:
    """Chooses the output path of a run, and checks the files beside it.

    Files that this job wrote before, by its checkpoints, may be overwritten.

    Raises:
        ValueError: If an output would overwrite another file.
    """
    is_known = run.plan.checkpoints.folder and replicas.is_writer()
    return _find_output(job, run.plan.inputs, run.written if is_known else None)


def _find_output(
    job: settings.Job,
    read: inputs.Inputs,
    written: outputs.WrittenFiles | None = None,
) -> Path:
    """Finds an output path; without `written`, as any job of its folder may."""
    if written is None:
        written = resume.list_written(job.checkpoint_dir, job.resume)
    names = inputs.list_input_files(job, read)
    previews = job.preview_every > 0
    path = outputs.choose_path(
        job.output,
        names if job.output else [job.content, *read.list_style_sources()],
        overwrite=job.overwrite,
        previews=previews,
        written=written,
    )
    if job.log:
        outputs.check_aside("log", job.log, path, names, previews)
    if job.timelapse:
        others = [*names, job.log] if job.log else names
        timelapse.check(job.timelapse, path, others, previews)
    return path


def open_reporters(
    job: settings.Job, draft: planning.Plan, began: float
) -> reporters.Reporters:
    """Opens the log, the TensorBoard folder and the film of a job.

    Dry runs, and processes that do not write the output, have none.

    Args:
        job: The job as requested.
        draft: The draft of its plan.
        began: When the run began, by `time.monotonic`.

    Raises:
        ValueError: If one of these files cannot be written.
    """
    if job.dry_run or not replicas.is_writer():
        return reporters.Reporters(draft, began)
    kept, log_file = draft.checkpoints, None
    if job.log:
        resumes = bool(kept.folder) and kept.resume != "never"
        log_file = run_log.Log(
            job.log, job.log_every, overwrite=job.overwrite, resumes=resumes
        )
    return reporters.Reporters(
        draft,
        began,
        log=log_file,
        summary_dir=job.summary_dir,
        timelapse_name=job.timelapse,
        flags=settings.format_flags(job),
    )


def log_notes(plan: planning.Plan) -> None:
    """Logs the notes of inputs and plan."""
    for note in (*plan.inputs.notes, *plan.notes):
        log.info(note)
