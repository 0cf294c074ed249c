"""The program nst-tf-video: checks a film, paints it, returns a status."""

import contextlib
import dataclasses
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from nst_tf import display, errors, files, terminal, watcher
from nst_tf.backend import device
from nst_tf.cli import console, programs
from nst_tf.images import sources
from nst_tf.judge import judging
from nst_tf.plan import planning, settings, tile_size
from nst_tf.runs import api, progress, resume, runner, timelapse
from nst_tf.video import (
    command_line,
    film_judge,
    film_painter,
    filming,
    flow,
    preparing,
    work_folder,
    writing,
)

log = logging.getLogger("nst_tf")


def main(arguments: Sequence[str]) -> int:
    """Paints the film that the arguments ask for.

    Args:
        arguments: The command line, without the program's name.

    Returns:
        The exit status: 0 done; 1 invalid input, or the film could not be
        written. With the film of the frames so far: 3 out of memory; 4 a frame
        failed; 129, 130, 143 and 149 stopped by a signal.
    """
    began = time.monotonic()

    def work(session: console.Session) -> int:
        if programs.answer(command_line.PROGRAM, arguments):
            return console.DONE
        request = command_line.read(arguments)
        session.show(request.job, request.notes)
        display.show_stage(f"reading {request.job.content}")
        film = preparing.prepare(request)
        painter = make_painter(film)
        first = next(film.clip.read(0, 1))
        plan = painter.make_plan(film.add_masks(first))
        if request.job.dry_run:
            terminal.print_result(*_estimate(film, plan))
            return console.DONE
        if not request.job.quiet:
            terminal.print_note(*_describe(film, plan))
        for note in _list_notes(film):
            log.info(note)
        api.log_notes(film.draft)
        with contextlib.closing(open_folder(film, plan)) as folder:
            session.is_valid = True
            return _paint(film, painter, folder, session.signals, began)

    return console.Session().run(work)


def make_painter(film: preparing.Film) -> film_painter.FilmPainter:
    """Makes the painter of a film.

    Raises:
        ValueError: If there is no such flow, or its files are missing.
        MemoryError: If frames do not fit in memory.
    """
    options = film.options
    source = flow.make(options.flow)
    if isinstance(source, flow.FloFiles):
        source.check(film.clip.count, options.look_back)
    return film_painter.FilmPainter(
        film.job,
        film.read,
        film_painter.Agreement(
            options.look_back,
            options.temporal_weight,
            options.frame_steps,
            options.passes,
        ),
        source,
    )


def open_folder(
    film: preparing.Film, plan: planning.Plan
) -> work_folder.WorkFolder:
    """Opens the work folder of a film.

    Args:
        film: The film.
        plan: The plan of its first frame.

    Raises:
        ValueError: If it belongs to another film, or is in use.
    """
    decided = resume.make_identity(plan)
    decided["steps of levels"] = [level.steps for level in plan.levels]
    identity = preparing.identify(film, decided)
    return work_folder.WorkFolder(film.work, identity, film.draft.size)


def _paint(
    film: preparing.Film,
    painter: film_painter.FilmPainter,
    folder: work_folder.WorkFolder,
    signals: watcher.Signals,
    began: float,
) -> int:
    """Paints and writes a film; returns the exit status."""
    status = console.DONE
    folder.retry_failures()
    if kept := folder.count_frames():
        log.info("%s are painted; resuming", errors.format_count(kept, "frame"))
    outcome = filming.paint(
        film, painter, folder, lambda: signals.received > 0, signals.take_steps
    )
    if outcome.error:  # make a film of what there is
        status = report_failure(outcome.error)
    status = status or signals.status
    if not (outcome.number or outcome.passed):
        return status
    signals.begin_saving()
    try:
        saved = _save(film, painter, folder, outcome, began)
    finally:
        signals.end_saving()
    if not saved:
        return console.WRONG_INPUT
    failed = folder.list_failed()
    if outcome.is_done:
        try:
            judge(film, painter, folder, outcome, began)
        except Exception as error:
            log.warning("the film could not be judged: %s", error)
        if not failed and not film.options.keep_frames:
            folder.remove()
    if failed:
        log.warning(
            "%s failed and repeat the one before them: %s; the same command "
            "paints them again",
            errors.format_count(len(failed), "frame"),
            errors.list_items([str(index) for index in failed]),
        )
    return status or (console.FAILED if failed else console.DONE)


def report_failure(error: Exception) -> int:
    """Prints why painting ended, and returns the exit status."""
    if isinstance(error, (OSError, ValueError)):
        words = "repeat the command to continue, when that is mended"
        return console.print_error(f"{error}; {words}.")
    return console.report_failure(error)


def _save(
    film: preparing.Film,
    painter: film_painter.FilmPainter,
    folder: work_folder.WorkFolder,
    outcome: filming.Outcome,
    began: float,
) -> bool:
    """Writes the film, and says so; returns whether it could be written."""
    try:
        count = filming.write(film, painter, folder, outcome)
    except (OSError, ValueError) as error:
        console.print_error(
            f"output {film.output} cannot be written: {error}; the frames are "
            f"in {folder.path}. Repeat the command when that is mended."
        )
        return False
    if not film.job.quiet:
        height, width = film.draft.size
        state = "" if outcome.is_done else ", unfinished"
        seconds = terminal.format_duration(time.monotonic() - began)
        terminal.print_note(
            f"saved {film.output} ({width} x {height}, "
            f"{errors.format_count(count, 'frame')}{state}) in {seconds}"
        )
    terminal.print_path(str(film.output), film.job.quiet)
    return True


def judge(
    film: preparing.Film,
    painter: film_painter.FilmPainter,
    folder: work_folder.WorkFolder,
    outcome: filming.Outcome,
    began: float,
) -> None:
    """Logs the warping error of a film, and writes its report.

    It follows the writing: between the frames of x264, OpenCV would change its
    last bits.

    Raises:
        Exception: If the film cannot be judged.
    """
    job, path = film.job, film.options.report
    critic = None
    if path:  # frames are judged one by one, too
        critic = judging.Judge(judging.choose_settings(job))
    judged = film_judge.FilmJudge(
        flow.make(film.options.flow),
        critic,
        [style.pixels for style in film.read.styles],
    )
    display.show_stage("judging")
    for frame, pixels in filming.read_film(film, painter, folder, outcome):
        judged.add(frame, pixels)
    scores = judged.summarize()
    if scores.warping is not None:
        log.info(
            "warping error %.2g on average, %.2g at the 95th percentile; "
            "%.2g and %.2g in the source",
            *(scores.warping, scores.warping_95),
            *(scores.source, scores.source_95),
        )
    if path:
        found = {
            "film": str(film.output),
            "clip": film.clip.name,
            "size": film.draft.size[::-1],
            "failed": folder.list_failed(),
            "seconds": round(time.monotonic() - began, 1),
            "flags": settings.format_flags(job),
            "options": dataclasses.asdict(film.options),
            **dataclasses.asdict(scores),
        }
        with files.write_atomically(Path(path).expanduser()) as file:
            file.write(json.dumps(found, indent=1).encode())


def _describe(film: preparing.Film, plan: planning.Plan) -> list[str]:
    """Describes a film in two lines."""
    pictures = errors.format_count(film.clip.count, "frame")
    content, *styles = map(
        sources.find_name, (film.job.content, *film.job.style)
    )
    pictures += f" of {content}"
    if styles:
        pictures += f" in the style of {errors.list_items(styles)}"
    here = device.describe().removeprefix("the ").replace(device.NO_GPU, "")
    return progress.describe_start(plan, pictures, str(film.output), here)


def _list_notes(film: preparing.Film) -> list[str]:
    """Lists what the output does not keep as it is."""
    notes = [*film.clip.notes]
    height, width = film.draft.size
    if writing.is_folder(film.output):
        if film.clip.find_sound(film.clip.count):
            notes.append("a folder of PNG has no sound")
    elif film.output.suffix.lower() == ".mp4":
        padded = timelapse.pad_size(timelapse.H264, height, width)
        if padded != (height, width):
            notes.append(
                f".mp4 films have even sides: the last row or column is "
                f"repeated, to {padded[1]} x {padded[0]}"
            )
    return notes


def _estimate(film: preparing.Film, plan: planning.Plan) -> list[str]:
    """Describes what painting takes: frames, time, memory, disk.

    Args:
        film: The film.
        plan: The plan of its first frame.
    """
    clip, options = film.clip, film.options
    height, width = plan.size
    shorter = film_painter.shorten(plan, plan.content, options.frame_steps)
    first = runner.estimate_seconds(plan)
    other = first * _measure_work(shorter) / _measure_work(plan)
    total = first + other * (options.passes * clip.count - 1)
    disk = work_folder.format_size(film.disk)
    return [
        f"film      {film.output}, {width} x {height}, "
        f"{errors.format_count(clip.count, 'frame')}, "
        f"{float(clip.seconds):.4g} s at {float(clip.rate):.4g} a second",
        f"time      about {terminal.format_duration(total)}: "
        f"{terminal.format_duration(first)} for the first frame of a scene, "
        f"{terminal.format_duration(other)} for others",
        f"memory    about {tile_size.estimate_memory(plan) / 1e9:.1f} GB",
        f"disk      {disk} in {film.work}, until the film is done",
    ]


def _measure_work(plan: planning.Plan) -> float:
    """Returns the work of a plan; its time is proportional to this."""
    return sum(
        level.steps * level.work * tile_size.estimate_cost(plan, level)
        for level in plan.levels
    )
