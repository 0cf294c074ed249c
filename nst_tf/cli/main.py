"""Runs the program: parses flags, generates the picture, returns a status.

`console` prints the final messages; `sheet_command` makes contact sheets.
"""

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nst_tf import display, errors, terminal, watcher
from nst_tf.backend import device, replicas
from nst_tf.cli import console, flags, sheet_command
from nst_tf.images import image_io, sizes, sources, writing
from nst_tf.plan import settings, tile_size
from nst_tf.runs import (
    api,
    outputs,
    progress,
    reporters,
    rerun,
    results,
    run_log,
    runner,
    standard_output,
)

if TYPE_CHECKING:
    from nst_tf.optimize import descent

log = logging.getLogger("nst_tf")


def main(arguments: Sequence[str]) -> int:
    """Generates the picture that the arguments ask for.

    Args:
        arguments: The command line, without the program's name.

    Returns:
        The exit status: 0 done; 1 invalid input, or the output could not be
        written. With the picture so far saved: 3 out of memory; 4 a step
        failed; 129, 130, 143 and 149 stopped by SIGHUP, SIGINT, SIGTERM and
        SIGBREAK. Before the end of the first step a signal kills the process in
        the system's default way.
    """
    began = time.monotonic()

    def work(session: console.Session) -> int:
        request = flags.read(arguments)
        job = request.job
        session.show(job, request.notes)
        if not job.content and not job.rerun:
            raise ValueError(
                "no content image; type nst-tf photo.jpg painting.jpg, or see "
                "nst-tf -h."
            )
        if job.sheet or job.sweep:
            return sheet_command.paint(job, began, session.signals)
        commission = _prepare(request, began)
        session.is_valid = True
        return _paint(commission, session.signals)

    return console.Session().run(work)


class Commission(NamedTuple):
    """A request for a picture, ready to run."""

    job: settings.Job
    path: Path  # of the output
    run: runner.Run
    reporters: reporters.Reporters
    device: str  # with --rerun: the recorded device


def _prepare(request: flags.Request, began: float) -> Commission:
    """Reads, checks and plans a request."""
    job, recorded = request.job, None
    if job.rerun:
        recorded = rerun.load(job, request.names)
        job = recorded.job
    draft = api.draft_files(job)
    device_then, differences = "", []
    if recorded:
        draft = rerun.repeat(recorded, draft)
        differences = rerun.list_differences(recorded, draft.inputs)
        device_then = recorded.record["device"]
    opened = api.open_reporters(job, draft, began)
    run = runner.start_run(draft, began=began)
    path = api.choose_output(job, run)
    opened.start(run, lambda: run_log.make_header(job, run.plan))
    if replicas.is_writer():
        for line in differences:
            log.warning(line)
    return Commission(job, path, run, opened, device_then)


def _paint(commission: Commission, signals: watcher.Signals) -> int:
    """Generates, reports and saves a picture."""
    job, run = commission.job, commission.run
    writes = replicas.is_writer()
    if job.dry_run:
        if writes:
            seconds = runner.estimate_seconds(run.plan)
            lines = _describe(commission, seconds)
            terminal.print_result(*lines, paths=[str(commission.path)])
            _announce(commission)
        return console.DONE
    if not writes:
        log.info(
            "one of %d processes; the first one writes the picture",
            replicas.count_workers(),
        )
    elif not job.quiet:
        terminal.print_note(*_describe(commission))
    if writes:
        _announce(commission)
    limit = run.plan.stop.seconds
    report = progress.Progress([run.plan], run.began, limit)
    copier = results.Copier()

    def follow(step: "descent.Step") -> None:
        signals.take_steps()
        if not writes:
            return
        with signals.turn:
            show(step)
            if copied := copier.copy_if_due(run, step):
                signals.rescue = lambda: conclude(lambda: copied)

    def conclude(copy: Callable[[], results.FinishedStep] | None) -> int:
        return _conclude(commission, copy, status or signals.status)

    def show(step: "descent.Step") -> None:
        report.update(step.level, step.index, step.evaluation.loss)
        commission.reporters.step(step, sum(run.taken))
        if job.preview_every and run.count % job.preview_every == 0:
            image = results.read_image(step)
            _preview(commission.path, image, run)

    status = console.DONE
    try:
        run.execute(follow, signals.should_stop)
        if not signals.status:
            report.finish()
    except Exception as error:  # on any error, save the picture so far
        status = console.report_failure(error)
    if not writes:
        return status or signals.status
    signals.begin_saving()
    copy = None
    if run.last is not None:
        copy = functools.partial(results.copy_step, run, run.last)
    status = conclude(copy)
    if not status:
        run.written.forget()
    signals.end_saving()
    return status


def _describe(commission: Commission, seconds: float = 0.0) -> list[str]:
    """Describes the plan and the device; 0 seconds: no time estimate."""
    job, plan = commission.job, commission.run.plan
    here = _describe_devices(device.describe(), plan.tiling.devices)
    output = str(commission.path)
    if commission.path == standard_output.PATH:
        output = "standard output"
    if not (job.verbose or job.dry_run):
        pictures = _name_pictures(job)
        here = here.removeprefix("the ").replace(device.NO_GPU, "")
        return progress.describe_start(plan, pictures, output, here)
    unit = "cm"
    if job.print_size:
        unit = sizes.parse_print_size(job.print_size).unit
    return progress.describe_plan(
        plan, output=output, device=here, print_unit=unit, seconds=seconds
    )


def _announce(commission: Commission) -> None:
    """Logs notes on the plan."""
    plan, here = commission.run.plan, device.describe()
    devices = plan.tiling.devices
    api.log_notes(plan)
    if commission.path != standard_output.PATH:
        options = results.make_options(plan)
        for note in writing.list_omissions(commission.path, options):
            log.info(note)
    if devices > 1 and not tile_size.describe_tiles(plan, plan.levels[-1]):
        log.info(
            "using one device: with tiles of this picture on %d devices, the "
            "overlap would cost more time than the devices save",
            devices,
        )
    if commission.device not in ("", here):
        log.warning(
            "the picture was made on %s, but this device is %s",
            commission.device,
            here,
        )
    if state := commission.run.state:
        level, step = state.level + 1, state.steps + 1
        log.info("resuming at level %d, step %d", level, step)


def _name_pictures(job: settings.Job) -> str:
    """Formats the names of a job's pictures for a message."""
    content, *styles = map(sources.find_name, (job.content, *job.style))
    if not styles:
        return content
    return f"{content} in the style of {errors.list_items(styles)}"


def _describe_devices(description: str, devices: int) -> str:
    """Formats the devices of a run for a message."""
    if devices == 1:
        return description
    machines = replicas.count_workers()
    if machines == 1:
        return f"{description}, {devices} devices"
    return f"{description}, {devices} devices of {machines} processes"


def _conclude(
    commission: Commission,
    copy: Callable[[], results.FinishedStep] | None,
    status: int,
) -> int:
    """Saves the picture of the last step, if any, and reports it."""
    run, finished, saved = commission.run, None, None
    with contextlib.closing(commission.reporters) as opened:
        try:
            finished = copy and copy()
        except FloatingPointError as error:
            status = console.print_error(str(error)) and console.FAILED
        if finished:
            status, saved = _save(commission, finished, status)
        steps = finished.outcome.steps if finished else run.taken
        opened.end(console.name_status(status), sum(steps))
    if not finished or not saved:
        return status
    return _report(commission, finished, saved, status)


def _save(
    commission: Commission, finished: results.FinishedStep, status: int
) -> tuple[int, results.SavedPicture | None]:
    """Writes the picture of a step; returns the exit status and the file."""
    path, run = commission.path, commission.run
    ending = "unfinished" if status else "done"
    rows, columns = finished.image.shape[:2]
    if (rows, columns) != run.plan.size:
        height, width = run.plan.size
        log.info(
            "stopped at %d x %d; enlarged the picture to %d x %d",
            columns,
            rows,
            width,
            height,
        )
    display.show_stage(f"saving {path}")
    try:
        saved = results.save(path, commission.job, run, finished, state=ending)
    except (OSError, ValueError) as error:
        words = f"{path} cannot be written: {error}"
        return console.print_error(words), None
    steps = sum(finished.outcome.steps)
    commission.reporters.finish(saved.image, steps, saved.path)
    return status, saved


def _report(
    commission: Commission,
    finished: results.FinishedStep,
    saved: results.SavedPicture,
    status: int,
) -> int:
    """Reports the outcome of a run, and the path of its picture."""
    job, run, outcome = commission.job, commission.run, finished.outcome
    if rescues := outcome.rescues:
        log.info(
            "rolled back %s: the loss exploded or was NaN; the run continued "
            "from its best picture, with smaller steps",
            "once" if rescues == 1 else f"{rescues} times",
        )
    if job.verbose:
        terminal.print_note(
            *progress.describe_losses(outcome.losses, finished.taken_back)
        )
    picture = console.Saved(
        saved.path, saved.image.shape[:2], run.seconds, status
    )
    return console.report_saved(commission.path, picture, job.quiet)


def _preview(path: Path, image: np.ndarray, run: runner.Run) -> None:
    """Writes a preview; failure does not end the run."""
    preview = outputs.preview_path(path)
    try:
        options = writing.Options(mark=run.plan.file.mark)
        image_io.write_image(preview, image, options, run.written.note)
    except OSError as error:
        log.warning("preview %s failed: %s", preview, error)
