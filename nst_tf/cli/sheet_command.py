"""The program's contact sheet: painted, reported, saved."""

import logging
import time

import numpy as np

from nst_tf import terminal
from nst_tf.backend import device, replicas
from nst_tf.cli import console, contact_sheet
from nst_tf.plan import settings
from nst_tf.runs import outputs, progress

log = logging.getLogger("nst_tf")


def paint(job: settings.Job, began: float, signals: console.Signals) -> int:
    """Paints a contact sheet, as far as it comes."""
    check_alone(job)
    sheet = contact_sheet.prepare(job)
    signals.wait = not job.dry_run
    device.prepare()
    lines = contact_sheet.describe(sheet, device.describe())
    if job.dry_run:
        terminal.print_result(*lines, paths=[str(sheet.path)])
    else:
        terminal.print_note(*lines)
    precisions = {cell.plan.network.precision for cell in sheet.cells}
    for note in map(device.describe_emulation, precisions):
        if note:
            log.warning(note)
    if job.dry_run:
        return signals.status
    count = len(sheet.cells)
    images: dict[int, np.ndarray] = {}
    scores: dict[int, str] = {}
    status = console.DONE
    pictures = contact_sheet.paint(
        sheet, job.max_seconds, lambda: signals.received > 0
    )
    try:
        for number, image in enumerate(pictures):
            images[number], cell = image, sheet.cells[number]
            words = list(cell.label)
            if sheet.judge:
                scores[number] = contact_sheet.write_scores(
                    sheet.judge, cell, image
                )
                words[-1] += f", {scores[number]}"
            seconds = time.monotonic() - began
            left = progress.format_duration(
                seconds / (number + 1) * (count - 1 - number)
            )
            terminal.print_note(
                f"picture {number + 1}/{count}, "
                f"{' '.join(words)}, about {left} left"
            )
    except Exception as error:  # whatever it is, the sheet so far is saved
        status = console.report_failure(error)
    status = status or signals.status
    if not images:
        return status
    drawn = contact_sheet.draw(sheet, images, scores)
    try:
        saved = outputs.save_result(
            sheet.path,
            drawn,
            job.overwrite,
            sheet.options,
        )
    except (OSError, ValueError) as error:
        return console.print_error(f"{sheet.path} cannot be written: {error}")
    terminal.print_note(
        "the flags under a picture, added to your command without --sheet and "
        "--sweep, make it"
    )
    size, seconds = drawn.shape[:2], time.monotonic() - began
    return console.report_saved(sheet.path, saved, size, seconds, status)


def check_alone(job: settings.Job) -> None:
    """Raises ValueError if several devices are to paint a sheet."""
    if job.devices != 1 or replicas.count_workers() > 1:
        raise ValueError(
            "several devices share one picture, and a sheet has many small "
            "ones; leave out --devices and TF_CONFIG."
        )
