"""Makes the jobs of a contact sheet from the values of one or two flags."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from nst_tf import errors, urls
from nst_tf.cli import flags
from nst_tf.network import architectures
from nst_tf.plan import conflicts, settings

log = logging.getLogger("nst_tf")

DEFAULT = ("strength:0.4,0.7,1", "style_scale:0.5,1,2")
MOST = 100  # pictures


class SweepPoint(NamedTuple):
    """One picture of a sheet."""

    label: tuple[str, ...]  # its swept flags, as typed
    job: settings.Job
    notes: Sequence[str] = ()  # on settings that swept flags override


def make_grid(job: settings.Job) -> list[list[SweepPoint]]:
    """Makes the jobs of a sheet, in rows: the first sweep runs along a row.

    Raises:
        ValueError: If a sweep is invalid or has no effect.
    """
    conflicts.check(job)
    sweeps = [_parse(text) for text in job.sweep or DEFAULT]
    if len(sweeps) > 2:
        raise ValueError(
            f"--sweep is given {len(sweeps)} times; expected once or twice, "
            "for rows and columns."
        )
    along, down = [*sweeps, [("", "")]][:2]
    if along[0][0] == down[0][0]:
        raise ValueError(
            f"--sweep is given twice for {along[0][0]}; give all its values in "
            "one, or sweep another flag."
        )
    count = len(along) * len(down)
    if count > MOST:
        raise ValueError(
            f"--sweep asks for {count} pictures; expected at most {MOST}; "
            "remove some values."
        )
    grid = [
        [_cell(job, [part for part in (one, two) if part[0]]) for one in along]
        for two in down
    ]
    for note in dict.fromkeys(n for row in grid for p in row for n in p.notes):
        log.info(note)
    return grid


def reduce_job(job: settings.Job, cell: SweepPoint) -> settings.Job:
    """Reduces a job to the size of a sheet's pictures.

    A swept size stays. The small network replaces the extractor, unless the job
    sets --weights.

    Args:
        job: The job after `schedule.resolve_print_size`.
        cell: The point of the sweep.
    """
    size = job.size
    if not any(flag.startswith("--size=") for flag in cell.label):
        size = min(size, job.sheet_size)
    known = architectures.NETWORKS[job.extractor]
    small = job.weights == "auto" and known.small is not None
    return dataclasses.replace(
        job,
        size=size,
        weights="small" if small else job.weights,
        style_size=tuple(
            max(16, round(side * size / job.size)) for side in job.style_size
        ),
    )


def _parse(text: str) -> list[tuple[str, str]]:
    """Parses "strength:0.2,0.5" into pairs of a flag and a value."""
    name, _, values = text.partition(":")
    name = name.strip().lstrip("-").replace("-", "_")
    text = urls.hide_addresses(text)
    if name not in settings.FIELDS:
        raise ValueError(
            f"--sweep is {text!r}, but there is no flag --{name}"
            + errors.go_on(
                settings.suggest(name, settings.FIELDS, "--"),
                "expected a flag and its values, such as strength:0.2,0.5,0.8.",
            )
        )
    if name not in settings.SWEPT:
        raise ValueError(
            f"--sweep is {text!r}, but {name} does not change a sheet's "
            "pictures; sweep another flag, such as strength."
        )
    parts = values.split(";" if ";" in values else ",")
    if not all(part.strip() for part in parts):
        raise ValueError(
            f"--sweep is {text!r}; expected a flag and its values, such as "
            "strength:0.2,0.5,0.8."
        )
    return [(name, part.strip()) for part in parts]


def _cell(job: settings.Job, values: list[tuple[str, str]]) -> SweepPoint:
    """Makes one job of a sheet; swept values override settings."""
    changes: dict[str, Any] = {
        name: getattr(flags.parse([f"--{name}={value}"]), name)
        for name, value in values
    }
    given = dataclasses.replace(job, sheet=False, sweep=(), output="")
    distances = dict.fromkeys(conflicts.list_given(given), len(values))
    distances |= {name: number for number, (name, _) in enumerate(values)}
    chosen, notes = conflicts.settle(
        dataclasses.replace(given, **changes), distances
    )
    return SweepPoint(
        tuple(f"--{name}={urls.show_source(value)}" for name, value in values),
        chosen,
        notes,
    )
