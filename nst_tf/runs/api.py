"""A job, or arrays -> steps -> a picture: what `nst_tf` offers of runs.

And the drafts of plans that every front end starts from, `draft_images` and
`draft_files`. TensorFlow is imported only when work starts.
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
from nst_tf.plan import arrays, conflicts, inputs, planning, settings
from nst_tf.runs import (
    outputs,
    reporters,
    results,
    resume,
    run_log,
    runner,
    summaries,
    timelapse,
)

log = logging.getLogger("nst_tf")


class Result(NamedTuple):
    """What came out of a job."""

    path: Path
    seconds: float
    terms: Mapping[str, float]  # the last step's losses, unweighted


@arrays.take_settings
def stylize(
    content: arrays.ImageLike,
    style: arrays.ImageLike | Sequence[arrays.ImageLike],
    *,
    callback: runner.Callback | None = None,
    progress: bool = False,
    extra_losses: runner.ExtraLosses | None = None,
    **settings: Any,
) -> painting.Painting:
    """Paints a content image in the manner of style images.

    Args:
        content: Content image: a path, an address, a Pillow image, or an array
            or tensor of uint8 or of floats in [0, 1]: RGB, [H, W, 3], gray,
            [H, W], with alpha, [H, W, 4], or a batch of one. Transparent parts
            count for nothing.
        style: One style image or several, likewise; a folder counts as one.
            `styles`, its old name, may be written too.
        callback: Is called with each step, as `stylize_steps` yields it. If it
            returns False (None is not), the picture so far is returned.
        progress: Shows a bar on standard error, or a line in a cell.
        extra_losses: (height, width) -> further losses of an image of that
            size, as docs/adding_a_loss.md describes them.
        **settings: Fields of `Job`, such as size=512 or style_weight=200.
            Masks (content_mask, strength_map, keep_mask, and those of
            style_mask) and what is started from (init, continue_from) may be
            pictures like `content`, and masks also of bool.

    Returns:
        The generated image, [h, w, 3], float32 in [0, 1]; its long side is
        `size`. Where the content is transparent it has colors like those that
        are seen nearby. It is an array, which a notebook shows as a picture,
        with `save(path)`, `to_pil()` and `settings`.

    Raises:
        ValueError: If an image or a setting is not as it should be.
        TypeError: If there is no such setting, or it is of another type.
        MemoryError: If there is not enough for the smallest tiles.
        FloatingPointError: If evaluations give no numbers any more.

    Source:
        Gatys, Ecker, Bethge. Image Style Transfer Using Convolutional Neural
        Networks. CVPR 2016.
    """
    arrays.check_arguments(callback, progress, extra_losses)
    began = time.monotonic()
    with runner.show(progress):
        job, draft = draft_images(content, style, settings)
        run = runner.start_run(draft, began=began)
        step, state = run.follow(callback, progress, extra_losses)
        return results.make_painting(job, run, step, state=state)


@arrays.take_settings
def stylize_steps(
    content: arrays.ImageLike,
    style: arrays.ImageLike | Sequence[arrays.ImageLike],
    *,
    extra_losses: runner.ExtraLosses | None = None,
    **settings: Any,
) -> "Iterator[nst_tf.optimize.Step]":
    """Paints as `stylize` does, and yields each step as it is taken.

    Stop reading to stop the run. Each step has its level, its index, its
    losses and its image; nothing is copied from the device until it is read.

    Args:
        content: As in `stylize`.
        style: As in `stylize`.
        extra_losses: As in `stylize`.
        **settings: As in `stylize`.

    Returns:
        An iterator of `descent.Step`; the last one's image is the result, but
        for what comes last: the content's chroma, and what is kept of it.

    Raises:
        ValueError: If an image or a setting is not as it should be.
        TypeError: If there is no such setting, or it is of another type.
        MemoryError: If there is not enough for the smallest tiles.
        FloatingPointError: As it is read, if evaluations give no numbers any
            more.
    """
    arrays.check_arguments(extra_losses=extra_losses)
    draft = draft_images(content, style, settings)[1]
    return errors.name_keywords_in(runner.start_run(draft).steps(extra_losses))


@errors.name_keywords()
def run_job(
    job: settings.Job,
    *,
    callback: runner.Callback | None = None,
    progress: bool = False,
) -> Result:
    """Makes the picture of a job, from file to file.

    Of several processes that share it, the first writes it.

    Args:
        job: What is asked for.
        callback: As in `stylize`; the picture is "unfinished" if it stops it.
        progress: As in `stylize`.

    Raises:
        ValueError: If a file or a setting is not as it should be.
        OSError: If the output cannot be written.
        MemoryError: If there is not enough for the smallest tiles.
        FloatingPointError: If evaluations give no numbers any more.
    """
    errors.check_type("job", job, settings.Job, "an nst_tf.Job")
    arrays.check_arguments(callback, progress)
    for name, field in settings.FIELDS.items():
        default = getattr(job, name) == field.default
        if name in settings.PROGRAM_SETTINGS and not default:
            raise ValueError(f"{name} is for the program, not for run_job.")
    conflicts.check(job)
    began = time.monotonic()
    with runner.show(progress):
        path, draft = draft_files(job)
        log_notes(draft)
        run = runner.start_run(draft, began=began)
        path = confirm_path(path, job, run)
        step, state = run.follow(callback, progress)
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
    """Decides everything that a run needs, before any of it is computed.

    `Painter().paint(plan)` carries it out.

    Args:
        job: What is asked for.
        read: Its pictures and its network; read from its files if None.
        machine: What computes; this machine if None.

    Raises:
        MemoryError: If there is not enough for the smallest tiles.
        ValueError: In one sentence: what was received, what was expected.
        TypeError: If a setting is of another type.
    """
    errors.check_type("job", job, settings.Job, "an nst_tf.Job")
    conflicts.check(job)
    read = read or inputs.read_inputs(job)
    draft = planning.draft_plan(job, read)
    if read.network is None:
        draft = _load_network(job, draft)
    return planning.fit_plan(draft, machine or runner.measure_machine())


def draft_images(
    content: arrays.ImageLike,
    styles: arrays.ImageLike | Sequence[arrays.ImageLike],
    chosen: dict[str, Any],
) -> tuple[settings.Job, planning.Plan]:
    """Checks what `stylize` is called with, and drafts its plan.

    Returns:
        The job, with "array" in the place of each array, and its draft.

    Args:
        content: As in `stylize`.
        styles: As in `stylize`.
        chosen: Settings, as in `stylize`.

    Raises:
        ValueError: As `stylize`.
        TypeError: As `stylize`.
    """
    plain, given = arrays.separate_arrays(chosen)
    job = settings.Job(**plain)
    conflicts.settle(job, dict.fromkeys(plain, 0))
    read = inputs.take_inputs(job, content, styles, given)
    draft = _load_network(job, planning.draft_plan(job, read))
    log_notes(draft)
    names = read.sources["content"], tuple(read.list_style_sources())
    return dataclasses.replace(job, content=names[0], style=names[1]), draft


def draft_files(job: settings.Job) -> tuple[Path, planning.Plan]:
    """Reads and checks a job of files, and drafts its plan.

    Returns:
        Where the picture may be written, and the draft. What is there already
        may be another job's; `confirm_path` knows once the run is started.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
    """
    read = inputs.read_inputs(job)
    if job.summary_dir:
        summaries.check()
    draft = planning.draft_plan(job, read)
    path = choose_path(
        job, read, resume.list_written(job.checkpoint_dir, job.resume)
    )
    if job.timelapse:
        stop = draft.stop._replace(reserve=timelapse.SECONDS)
        draft = dataclasses.replace(draft, stop=stop)
    outputs.check_writable(path, *draft.size, results.make_options(draft))
    return path, _load_network(job, draft)


def choose_path(
    job: settings.Job, read: inputs.Inputs, written: outputs.WrittenFiles
) -> Path:
    """Chooses where the picture goes, and checks the files beside it.

    Args:
        job: The job.
        read: Its pictures.
        written: The files that it may replace.

    Raises:
        ValueError: If one of them would replace something else.
    """
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


def confirm_path(path: Path, job: settings.Job, run: runner.Run) -> Path:
    """Chooses again where the picture goes, once the run is started.

    Only the checkpoints of a run tell the files of its job from those of other
    jobs. Missing weights have none, and only the writer reads them.

    Args:
        path: As `draft_files` chose it.
        job: The job.
        run: Its run.

    Raises:
        ValueError: If a file that is there is another job's.
    """
    if not run.plan.checkpoints.folder or not replicas.is_writer():
        return path
    return choose_path(job, run.plan.inputs, run.written)


def open_reporters(
    job: settings.Job, draft: planning.Plan, began: float
) -> reporters.Reporters:
    """Opens the log, the folder for TensorBoard and the film of a job.

    Of a dry run, and of a process that another one writes for, there are none.

    Args:
        job: The job as it was asked for.
        draft: Its draft.
        began: When the run began, by `time.monotonic`.

    Raises:
        ValueError: If one of them could not be written at all.
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
    """Logs what was not read in the best way, and what was decided."""
    for note in (*plan.inputs.notes, *plan.notes):
        log.info(note)


def _load_network(job: settings.Job, draft: planning.Plan) -> planning.Plan:
    """Adds the network's weights to a draft, once all else is right."""
    read = inputs.load_network(job, draft.inputs)
    if read.network and read.network.is_missing:  # no checkpoint is of these
        draft = dataclasses.replace(draft, checkpoints=planning.Checkpoints())
    return dataclasses.replace(draft, inputs=read)
