"""The program's contact sheet: painted, reported, saved."""

import time

import numpy as np

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
    with device.silent_stderr():
        device.prepare()
        description = device.describe()
    count = len(prepared.cells)
    notes = {
        device.describe_emulation(cell.request.precision)
        for cell in prepared.cells
    }
    for line in contact_sheet.plan(prepared, description):
        console.say(line)
    for note in filter(None, notes):
        console.say(f"note      {note}")
    if asked.dry_run:
        return signals.status
    images: dict[int, np.ndarray] = {}
    status = console.DONE
    pictures = contact_sheet.paint(
        prepared, asked.max_seconds, lambda: signals.received > 0, console.say
    )
    try:
        for number, image in enumerate(pictures):
            images[number] = image
            seconds = time.monotonic() - start
            left = progress.duration(
                seconds / (number + 1) * (count - 1 - number)
            )
            console.say(
                f"picture {number + 1}/{count}, "
                f"{' '.join(prepared.cells[number].label)}, about {left} left"
            )
    except Exception as error:  # whatever it is, the sheet so far is saved
        status = console.failed(error)
    status = status or signals.status
    if not images:
        return status
    try:
        saved = outputs.save_result(
            prepared.path,
            contact_sheet.draw(prepared, images),
            asked.overwrite,
            prepared.options,
        )
    except (OSError, ValueError) as error:
        return console.complain(f"{prepared.path} cannot be written: {error}")
    console.say(
        f"{saved} is {'unfinished' if status else 'done'}, after "
        f"{progress.duration(time.monotonic() - start)}; the flags under a "
        f"picture, added to your command without --sheet and --sweep, make it"
    )
    return status


def check_alone(asked: settings.Job) -> None:
    """Raises ValueError if several devices are to paint a sheet."""
    if asked.devices != 1 or replicas.workers() > 1:
        raise ValueError(
            "several devices share one picture, and a sheet has many small "
            "ones; leave out --devices and TF_CONFIG."
        )
