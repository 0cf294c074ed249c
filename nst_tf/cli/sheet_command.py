"""Generates, reports and saves the program's contact sheet."""

import functools
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from nst_tf import terminal, watcher
from nst_tf.backend import device, replicas
from nst_tf.cli import console, contact_sheet
from nst_tf.plan import settings
from nst_tf.runs import outputs, progress

if TYPE_CHECKING:
    from nst_tf.optimize import descent

log = logging.getLogger("nst_tf")


def paint(job: settings.Job, began: float, signals: watcher.Signals) -> int:
    """Generates a contact sheet, and saves it even if stopped early."""
    check_alone(job)
    sheet = contact_sheet.prepare(job)
    device.prepare()
    lines = contact_sheet.describe(sheet, device.describe())
    if job.dry_run:
        seconds = contact_sheet.estimate_seconds(sheet)
        time_words = f"about {terminal.format_duration(seconds)}"
        if 0 < job.max_seconds < seconds:
            time_words = f"at most {terminal.format_duration(job.max_seconds)}"
        lines.append(f"time      {time_words}")
        terminal.print_result(*lines, paths=[str(sheet.path)])
    elif not job.quiet:
        terminal.print_note(*lines)
    precisions = {cell.plan.network.precision for cell in sheet.cells}
    for note in map(device.describe_emulation, precisions):
        if note:
            log.warning(note)
    if job.dry_run:
        return console.DONE
    count = len(sheet.cells)
    images: dict[int, np.ndarray] = {}
    scores: dict[int, str] = {}
    status = console.DONE
    plans = [cell.plan for cell in sheet.cells]
    report = progress.Progress(plans, began, job.max_seconds)

    def follow(number: int, step: "descent.Step") -> None:
        loss = step.evaluation.loss
        report.update(step.level, step.index, loss, number)

    pictures = contact_sheet.paint(
        sheet, job.max_seconds, signals.should_stop, follow
    )

    def save(images: Mapping[int, np.ndarray]) -> int:
        code = status or signals.status
        drawn = contact_sheet.draw(sheet, images, scores)
        try:
            saved = outputs.save_result(
                sheet.path, drawn, job.overwrite, sheet.options
            )
        except (OSError, ValueError) as error:
            return console.print_error(
                f"{sheet.path} cannot be written: {error}"
            )
        if len(images) < count:
            log.info(
                "%d of %d pictures were made; the others are gray",
                len(images),
                count,
            )
        log.info(
            "to make one of these at full size, replace --sheet and --sweep in "
            "your command by the options below it"
        )
        seconds = time.monotonic() - began
        picture = console.Saved(saved, drawn.shape[:2], seconds, code)
        return console.report_saved(sheet.path, picture, job.quiet)

    try:
        for number, image in enumerate(pictures):
            images[number], cell = image, sheet.cells[number]
            words = list(cell.label)
            if sheet.judge:
                scores[number] = contact_sheet.write_scores(
                    sheet.judge, cell, image
                )
                words[-1] += f", {scores[number]}"
            if sheet.judge or job.verbose:
                log.info(
                    "picture %d of %d, %s", number + 1, count, " ".join(words)
                )
            signals.rescue = functools.partial(save, dict(images))
            signals.take_steps()
    except Exception as error:  # on any error, save the sheet so far
        status = console.report_failure(error)
    if not images:
        return status or signals.status
    signals.begin_saving()
    status = save(images)
    signals.end_saving()
    return status


def check_alone(job: settings.Job) -> None:
    """Raises ValueError if a sheet is requested on several devices."""
    if job.devices != 1 or replicas.count_workers() > 1:
        raise ValueError(
            "a contact sheet cannot use several devices, since its pictures "
            "are small; remove --devices and TF_CONFIG."
        )
