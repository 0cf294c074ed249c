"""The table of conflicts: settings that have no effect beside another one.

Two that are given at one distance (both typed, both in one flag file, both
keywords) are refused; of two distances the nearer one stays, with a note. What
a setting decides itself, such as the weights of a strength, is not given. A
weight of 0 is a value like others: what has no effect beside it is no conflict.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nst_tf.losses import conventions, style_kinds
from nst_tf.plan import optimizers, schedule, settings


class Conflict(NamedTuple):
    """A setting, and those that have no effect beside it."""

    setting: str
    others: Sequence[str]
    why: str  # with {value} and {other}, after "are both given, but"
    holds: Callable[[settings.Job], bool]  # whether the job's values conflict


def settle(
    job: settings.Job,
    distances: Mapping[str, int],
    places: Mapping[int, str] | None = None,
) -> tuple[settings.Job, list[str]]:
    """Leaves out what has no effect beside a nearer setting, or the contrary.

    Args:
        job: The job.
        distances: How far each setting is that is given; 0 is the nearest.
        places: What places of a distance are called, such as "flag file a.cfg";
            those that have no name are the command line, or a call.

    Returns:
        The job without the farther settings, and a note for each nearer one.

    Raises:
        ValueError: If two settings of one distance conflict.
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
            why = row.why.format(other=other, value=getattr(job, row.setting))
            raise ValueError(
                f"{row.setting} and {other} are both given"
                f"{f' in {where}' if where else ''}, but {why}; leave one of "
                f"them out."
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
        f"{near} takes the place of {'; '.join(map(_name, far.items()))}"
        for near, far in removed.items()
    ]


def _name(far: tuple[str, Sequence[str]]) -> str:
    """Names settings of one place, for people."""
    place, names = far
    return ", ".join(names) + (f" of {place}" if place else "")


def check(job: settings.Job) -> None:
    """Raises ValueError if settings conflict that are not as by default."""
    settle(job, dict.fromkeys(list_given(job), 0))


def list_given(job: settings.Job) -> list[str]:
    """Lists the settings of a job that are not as by default."""
    return [
        name
        for name, field in settings.FIELDS.items()
        if getattr(job, name) != field.default
    ]


def list_without_effect(job: settings.Job) -> set[str]:
    """Lists the settings, as in an old record, that others make ineffective."""
    return {
        other for row in CONFLICTS if row.holds(job) for other in row.others
    }


def _find(
    job: settings.Job, given: Mapping[str, int]
) -> Iterator[tuple[Conflict, str]]:
    """Finds the conflicts among the settings that are given."""
    for row in CONFLICTS:
        if row.setting in given and row.holds(job):
            for other in row.others:
                if other in given and not _is_off(job, other):
                    yield row, other


def _is_off(job: settings.Job, name: str) -> bool:
    """Whether a setting says that something is not wanted, as by default."""
    value = getattr(job, name)
    return not value and value == settings.FIELDS[name].default


def _list_optimizer_rows() -> Iterator[Conflict]:
    """Makes the rows of optimizers, and of their own settings."""
    known = optimizers.OPTIMIZERS
    every = frozenset[str]().union(*(kind.settings for kind in known.values()))
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
            f"{name} asks for adam, which has no history",
            lambda job, name=name: (  # type: ignore[misc]
                job.optimizer == "auto"
                and getattr(job, name) != getattr(settings.Job, name)
            ),
        )


def _get_convention(job: settings.Job) -> conventions.Convention:
    """Gets the convention of a job that is not checked yet."""
    usual = settings.Job.convention
    known = conventions.CONVENTIONS
    return known.get(job.convention, known[usual])


def _has_source(job: settings.Job) -> bool:
    """Whether the weights of a job are those of a source."""
    return _get_convention(job).style is not None


def _lacks_neighbors(job: settings.Job) -> bool:
    """Whether a job has no loss of neighbors beside its style loss."""
    style_loss = job.style_loss
    if style_loss == "auto":
        style_loss = _get_convention(job).style_loss
    kind = style_kinds.STYLE_LOSSES.get(style_loss)
    return kind is not None and not kind.beside


def _compares_another(job: settings.Job) -> bool:
    """Whether the style loss of a job is not that of its source."""
    compared = _get_convention(job).style_loss
    return _has_source(job) and job.style_loss not in ("auto", compared)


_NEIGHBORS = ("neighbors_weight", "neighbors_layers")
_NOT_IN_SHEETS = [
    n for n in settings.FIELDS if n not in settings.SHEET_SETTINGS
]
_NOT_IN_RERUNS = [
    n for n in settings.FIELDS if n not in settings.RERUN_SETTINGS
]
_IN_SHEETS = "a contact sheet has no part for {other}"
CONFLICTS = (
    Conflict(
        "strength",
        ("content_weight", "style_weight", "tv_weight"),
        "strength sets {other} itself",
        lambda job: job.strength >= 0,
    ),
    Conflict(
        "strength",
        ("convention",),
        "the convention of a source has weights of its own",
        lambda job: job.strength >= 0 and _has_source(job),
    ),
    Conflict(
        "convention",
        ("style_loss",),
        "convention {value!r} counts a style loss of its own",
        _compares_another,
    ),
    Conflict(
        "style_loss",
        _NEIGHBORS,
        "style_loss {value!r} has no loss of neighbors beside it",
        lambda job: job.style_loss != "auto" and _lacks_neighbors(job),
    ),
    Conflict(
        "convention",
        _NEIGHBORS,
        "convention {value!r} has no loss of neighbors",
        lambda job: job.style_loss == "auto" and _lacks_neighbors(job),
    ),
    Conflict(
        "print_size",
        ("size",),
        "each says how large the picture is",
        lambda job: bool(job.print_size),
    ),
    Conflict(
        "style_size",
        ("style_scale",),
        "each says how large the strokes are",
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
        "continue_from is where the run starts",
        lambda job: bool(job.continue_from),
    ),
    Conflict(
        "init",
        ("init_noise",),
        "the start is all noise",
        lambda job: job.init == "noise",
    ),
    *_list_optimizer_rows(),
    Conflict(
        "device",
        ("devices",),
        "device is the only one that computes",
        lambda job: job.device != "auto" and job.devices != 1,
    ),
    Conflict(
        "quiet",
        ("verbose",),
        "quiet prints errors and the path alone",
        lambda job: job.quiet,
    ),
    Conflict(
        "quiet",
        ("progress",),
        "quiet shows no progress",
        lambda job: job.quiet and job.progress not in ("auto", "none"),
    ),
    Conflict("sheet", _NOT_IN_SHEETS, _IN_SHEETS, lambda job: job.sheet),
    Conflict("sweep", _NOT_IN_SHEETS, _IN_SHEETS, lambda job: bool(job.sweep)),
    Conflict(
        "rerun",
        _NOT_IN_RERUNS,
        "rerun makes a picture again as it was (to change it, save what "
        "--describe prints, edit it, and run it with --flagfile)",
        lambda job: bool(job.rerun),
    ),
)
