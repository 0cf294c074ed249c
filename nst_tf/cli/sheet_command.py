"""The program's contact sheet: painted, reported, saved."""

import time

import numpy as np

from nst_tf import terminal
from nst_tf.backend import device, replicas
from nst_tf.cli import console, contact_sheet
from nst_tf.plan import settings
from nst_tf.runs import outputs, progress


def paint(
    asked: settings.Job,
    prepared: contact_sheet.Sheet,
    start: float,
    signals: console.Signals,
) -> int:
    """Paints a contact sheet, as far as it comes."""
    with device.silence_stderr():
        device.prepare()
        description = device.describe()
    count = len(prepared.cells)
    notes = {
        device.describe_emulation(cell.request.precision)
        for cell in prepared.cells
    }
    for line in contact_sheet.describe(prepared, description):
        terminal.print_line(line)
    for note in filter(None, notes):
        terminal.print_line(f"note      {note}")
    if asked.dry_run:
        return signals.status
    images: dict[int, np.ndarray] = {}
    scores: dict[int, str] = {}
    status = console.DONE
    pictures = contact_sheet.paint(
        prepared,
        asked.max_seconds,
        lambda: signals.received > 0,
        terminal.print_line,
    )
    try:
        for number, image in enumerate(pictures):
            images[number], cell = image, prepared.cells[number]
            words = list(cell.label)
            if prepared.judge:
                scores[number] = contact_sheet.write_scores(
                    prepared.judge, cell, image
                )
                words[-1] += f", {scores[number]}"
            seconds = time.monotonic() - start
            left = progress.format_duration(
                seconds / (number + 1) * (count - 1 - number)
            )
            terminal.print_line(
                f"picture {number + 1}/{count}, "
                f"{' '.join(words)}, about {left} left"
            )
    except Exception as error:  # whatever it is, the sheet so far is saved
        status = console.report_failure(error)
    status = status or signals.status
    if not images:
        return status
    try:
        saved = outputs.save_result(
            prepared.path,
            contact_sheet.draw(prepared, images, scores),
            asked.overwrite,
            prepared.options,
        )
    except (OSError, ValueError) as error:
        return console.print_error(
            f"{prepared.path} cannot be written: {error}"
        )
    terminal.print_line(
        f"{saved} is {'unfinished' if status else 'done'}, after "
        f"{progress.format_duration(time.monotonic() - start)}; the flags "
        f"under a picture, added to your command without --sheet and --sweep, "
        f"make it"
    )
    return status


def check_alone(asked: settings.Job) -> None:
    """Raises ValueError if several devices are to paint a sheet."""
    if asked.devices != 1 or replicas.count_workers() > 1:
        raise ValueError(
            "several devices share one picture, and a sheet has many small "
            "ones; leave out --devices and TF_CONFIG."
        )
