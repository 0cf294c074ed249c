"""Resolves conflicts: settings that make other settings ineffective.

Every setting has a distance from the user: the command line is nearer than a
flag file. Two conflicting settings at the same distance (both typed, both in
one flag file, both keywords) are an error. At different distances the nearer
one wins, with a note. Values that a setting derives, such as the weights of a
strength, are not in conflict with it. A weight of 0 conflicts with nothing.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nst_tf.losses import conventions, style_kinds
from nst_tf.plan import optimizers, schedule, settings


class Conflict(NamedTuple):
    """A setting, and the settings that it makes ineffective."""

    setting: str
    others: Sequence[str]
    why: str  # follows "are both given, but"; has {value}, {other}
    holds: Callable[[settings.Job], bool]  # for the values of a job


def settle(
    job: settings.Job,
    distances: Mapping[str, int],
    places: Mapping[int, str] | None = None,
) -> tuple[settings.Job, list[str]]:
    """Resets the farther one of every two settings in conflict.

    Args:
        job: The job.
        distances: The distance of each setting that the user set; 0 is the
            nearest.
        places: The name of each distance, such as "flag file a.cfg"; the
            command line and a Python call have none.

    Returns:
        The job with the farther settings reset, and a note for each nearer one.

    Raises:
        ValueError: If two settings at the same distance conflict.
    """
    places = places or {}
    distances = dict(distances)
    removed: dict[str, dict[str, list[str]]] = {}
    while found := list(_find(job, distances)):
        uneven = [
            (row, other)
            for row, other in found
            if distances[row.setting] != distances[other]
        ]
        if not uneven:
            row, other = found[0]
            where = places.get(distances[other], "")
            why = row.why.format(
                other=f"--{other}", value=getattr(job, row.setting)
            )
            raise ValueError(
                f"--{row.setting} and --{other} are both "
                f"given{f' in {where}' if where else ''}, but {why}; remove "
                "one of them."
            )
        pairs = [
            sorted((row.setting, other), key=distances.__getitem__)
            for row, other in uneven
        ]
        near, far = min(pairs, key=lambda pair: distances[pair[0]])
        place = places.get(distances.pop(far), "")
        removed.setdefault(near, {}).setdefault(place, []).append(far)
        default: dict[str, Any] = {far: settings.FIELDS[far].default}
        job = dataclasses.replace(job, **default)
    return job, [
        f"--{near} overrides {'; '.join(map(_name, far.items()))}"
        for near, far in removed.items()
    ]


def _name(far: tuple[str, Sequence[str]]) -> str:
    """Formats the names of settings, and their place, for a note."""
    place, names = far
    return ", ".join(f"--{name}" for name in names) + (
        f" of {place}" if place else ""
    )


def check(job: settings.Job) -> None:
    """Raises ValueError if two settings with changed values conflict."""
    settle(job, dict.fromkeys(list_given(job), 0))


def list_given(job: settings.Job) -> list[str]:
    """Lists the settings of a job that differ from their defaults."""
    return [
        name
        for name, field in settings.FIELDS.items()
        if getattr(job, name) != field.default
    ]


def list_without_effect(job: settings.Job) -> set[str]:
    """Lists the settings that another setting of the job disables."""
    return {
        other for row in CONFLICTS if row.holds(job) for other in row.others
    }


def _find(
    job: settings.Job, given: Mapping[str, int]
) -> Iterator[tuple[Conflict, str]]:
    """Yields the conflicts among the settings that the user set."""
    for row in CONFLICTS:
        if row.setting in given and row.holds(job):
            for other in row.others:
                if other in given and not _is_off(job, other):
                    yield row, other


def _is_off(job: settings.Job, name: str) -> bool:
    """Returns whether a setting has a default that switches something off."""
    value = getattr(job, name)
    return not value and value == settings.FIELDS[name].default


def _list_optimizer_rows() -> Iterator[Conflict]:
    """Yields the conflicts of optimizers with settings of other optimizers."""
    known = optimizers.OPTIMIZERS
    every = frozenset[str]().union(*(kind.settings for kind in known.values()))
    yield Conflict(
        "optimizer",
        ("normalize_gradients",),
        "{value} compares losses, and a normalized gradient belongs to none",
        lambda job: job.optimizer == "lbfgs",
    )
    for name, kind in known.items():
        yield Conflict(
            "optimizer",
            sorted(every - kind.settings),
            "{value} has no {other}",
            lambda job, name=name: job.optimizer == name,  # type: ignore[misc]
        )
    for name in sorted(schedule.ADAM_SETTINGS):
        yield Conflict(
            name,
            ["history"],
            f"--{name} selects adam, which has no history",
            lambda job, name=name: (  # type: ignore[misc]
                job.optimizer == "auto"
                and getattr(job, name) != getattr(settings.Job, name)
            ),
        )


def _get_convention(job: settings.Job) -> conventions.Convention:
    """Returns the convention of a job; the default if its name is unknown."""
    usual = settings.Job.convention
    known = conventions.CONVENTIONS
    return known.get(job.convention, known[usual])


def _has_source(job: settings.Job) -> bool:
    """Returns whether the weights of a job are in the units of a source."""
    return _get_convention(job).style is not None


def _lacks_neighbors(job: settings.Job) -> bool:
    """Returns whether a job adds no nearest-neighbor loss to its style loss."""
    style_loss = job.style_loss
    if style_loss == "auto":
        style_loss = _get_convention(job).style_loss
    kind = style_kinds.STYLE_LOSSES.get(style_loss)
    return kind is not None and not kind.beside


def _compares_another(job: settings.Job) -> bool:
    """Returns whether a job and its convention have different style losses."""
    compared = _get_convention(job).style_loss
    return _has_source(job) and job.style_loss not in ("auto", compared)


_NEIGHBORS = ("neighbors_weight", "neighbors_layers")
_NOT_IN_SHEETS = [
    n for n in settings.FIELDS if n not in settings.SHEET_SETTINGS
]
_NOT_IN_RERUNS = [
    n for n in settings.FIELDS if n not in settings.RERUN_SETTINGS
]
_IN_SHEETS = "contact sheets do not use {other}"
CONFLICTS = (
    Conflict(
        "strength",
        ("content_weight", "style_weight", "tv_weight"),
        "--strength sets {other} itself",
        lambda job: job.strength >= 0,
    ),
    Conflict(
        "strength",
        ("convention",),
        "a source's convention has its own weights",
        lambda job: job.strength >= 0 and _has_source(job),
    ),
    Conflict(
        "convention",
        ("style_loss",),
        "--convention={value} has its own style loss",
        _compares_another,
    ),
    Conflict(
        "convention",
        ("scales",),
        "--convention={value} compares one scale",
        lambda job: job.scales > 1 and _has_source(job),
    ),
    Conflict(
        "style_loss",
        _NEIGHBORS,
        "--style_loss={value} has no nearest-neighbor loss",
        lambda job: job.style_loss != "auto" and _lacks_neighbors(job),
    ),
    Conflict(
        "convention",
        _NEIGHBORS,
        "--convention={value} has no nearest-neighbor loss",
        lambda job: job.style_loss == "auto" and _lacks_neighbors(job),
    ),
    Conflict(
        "print_size",
        ("size",),
        "each sets the size of the picture",
        lambda job: bool(job.print_size),
    ),
    Conflict(
        "style_size",
        ("style_scale",),
        "each sets the size of the strokes",
        lambda job: bool(job.style_size),
    ),
    Conflict(
        "levels",
        ("min_size", "growth"),
        "one level has the size of the output",
        lambda job: job.levels == 1,
    ),
    Conflict(
        "continue_from",
        ("init", "init_noise"),
        "the run starts from --continue_from",
        lambda job: bool(job.continue_from),
    ),
    Conflict(
        "init",
        ("init_noise",),
        "the initial image is all noise",
        lambda job: job.init == "noise",
    ),
    *_list_optimizer_rows(),
    Conflict(
        "device",
        ("devices",),
        "--device selects a single device",
        lambda job: job.device != "auto" and job.devices != 1,
    ),
    Conflict(
        "quiet",
        ("verbose",),
        "--quiet prints only errors and the path",
        lambda job: job.quiet,
    ),
    Conflict(
        "quiet",
        ("progress",),
        "--quiet shows no progress",
        lambda job: job.quiet and job.progress not in ("auto", "none"),
    ),
    Conflict("sheet", _NOT_IN_SHEETS, _IN_SHEETS, lambda job: job.sheet),
    Conflict("sweep", _NOT_IN_SHEETS, _IN_SHEETS, lambda job: bool(job.sweep)),
    Conflict(
        "rerun",
        _NOT_IN_RERUNS,
        "--rerun repeats a picture unchanged (to change it, save the output of "
        "--describe, edit it, and run it with --flagfile)",
        lambda job: bool(job.rerun),
    ),
)
