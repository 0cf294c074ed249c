"""Makes tasks of lines: parses settings, adds shared ones, names outputs.

A task is small, since a batch may hold a million. The settings that many lines
share are a `Kind`, checked once. A task becomes a `Job` just before it is
painted.
"""

import dataclasses
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nst_tf import errors, urls
from nst_tf.batch import manifest
from nst_tf.cli import flag_values
from nst_tf.images import sources
from nst_tf.plan import checks, conflicts, settings

DEFAULT_OUTPUT = "{content}-{style}.png"
SEPARATOR = ";"  # of several pictures or layers in one cell
# The settings that name pictures.
PICTURES = tuple(
    name
    for name, field in settings.FIELDS.items()
    if field.metadata.get("path") in ("picture", "mask", "start")
    and name not in settings.PROGRAM_SETTINGS
)
_FILES = (*PICTURES, "weights", "checkpoint_dir", "output")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\w+)(?::(0?\d{1,2}))?\}|[{}]")
_UNSAFE = re.compile(r'[\0-\x1f\x7f/\\:*?"<>|]')


@dataclasses.dataclass(frozen=True, eq=False)
class Kind:
    """The settings that several tasks share: all but their pictures."""

    job: settings.Job
    names: Sequence[str]  # of settings that name pictures, one value a task


class Task(NamedTuple):
    """A picture to make."""

    number: int  # of its line
    kind: Kind
    values: Sequence[Any]  # of the kind's names
    output: str

    def get(self, name: str) -> Any:
        """Returns the value of a setting that names pictures."""
        if name in self.kind.names:
            return self.values[self.kind.names.index(name)]
        return getattr(self.kind.job, name)

    def make_job(self) -> settings.Job:
        """Makes the job."""
        own: dict[str, Any] = dict(
            zip(self.kind.names, self.values, strict=True)
        )
        return dataclasses.replace(self.kind.job, output=self.output, **own)


class Maker:
    """Makes tasks of lines.

    Args:
        defaults: Settings of all lines; those of a line are nearer.
        folder: Where relative paths of lines begin: that of the manifest;
            None: the working directory.
    """

    def __init__(self, defaults: settings.Job, folder: Path | None = None):
        self._defaults = defaults
        self._folder = folder
        self._kinds: dict[Any, Kind] = {}
        self._resolved: dict[Any, Any] = {}
        self.notes: dict[str, None] = {}  # on settings that lines override

    def make_all(
        self, lines: Iterable[manifest.Line | manifest.Fault]
    ) -> Iterator[Task | manifest.Fault]:
        """Makes a task of each line, or a fault."""
        for index, line in enumerate(lines, start=1):
            if isinstance(line, manifest.Fault):
                yield line
                continue
            try:
                yield self._make(line, index)
            except (TypeError, ValueError) as error:
                yield manifest.Fault(line.number, str(error))

    def _make(self, line: manifest.Line, index: int) -> Task:
        """Makes a task.

        Raises:
            ValueError, TypeError: If a value is not as it should be.
        """
        given = {
            name: value
            for name, value in zip(line.names, line.values, strict=True)
            if value != ""
        }
        own = {
            name: self._read(name, given.pop(name))
            for name in PICTURES
            if name in given and not settings.is_keyword(name, given[name])
        }
        pattern = given.pop("output", "")
        output = self._read("output", pattern) if pattern else ""
        kind = self._find_kind(given, own)
        values = tuple(own.values())
        task = Task(line.number, kind, values, "")
        pattern = output or self._defaults.output or DEFAULT_OUTPUT
        return task._replace(output=_name_output(pattern, task, index))

    def _find_kind(
        self, given: Mapping[str, Any], own: Mapping[str, Any]
    ) -> Kind:
        """Returns the kind of a line; checks a new kind."""
        key = (*((n, v, type(v)) for n, v in given.items()), *own)
        if key not in self._kinds:
            read = {
                name: self._read(name, each) for name, each in given.items()
            }
            job = dataclasses.replace(self._defaults, **read, **own)
            distances = dict.fromkeys(conflicts.list_given(job), 1)
            distances |= dict.fromkeys((*read, *own), 0)
            job, notes = conflicts.settle(job, distances)
            checks.check(job)
            _check_alone(job)
            self.notes |= dict.fromkeys(notes)
            plain: dict[str, Any] = {
                name: settings.FIELDS[name].default for name in own
            }
            job = dataclasses.replace(job, output="", **plain)
            self._kinds[key] = Kind(job, tuple(own))
        return self._kinds[key]

    def _read(self, name: str, value: Any) -> Any:
        """Parses a value, and resolves its paths in the manifest's folder."""
        if name not in _FILES:
            return _read_value(name, value)
        key = name, value, type(value)
        if key not in self._resolved:
            if len(self._resolved) > 100_000:
                self._resolved.clear()
            self._resolved[key] = self._resolve(name, value)
        return self._resolved[key]

    def _resolve(self, name: str, value: Any) -> Any:
        """Parses a value with paths, relative to the manifest's folder."""
        several = settings.FIELDS[name].type == tuple[str, ...]
        if several and isinstance(value, str):
            cells = value.split(SEPARATOR)
            whole = len(cells) == 1 or os.path.exists(self._join(name, value))
            value = (value,) if whole else tuple(map(str.strip, cells))
        checks.check_field(settings.FIELDS[name], value)
        parts = value if several else (value,)
        if sources.STANDARD_INPUT in parts and name in PICTURES:
            raise ValueError(
                f"{name} is '-', but standard input holds only one "
                f"picture; name files."
            )
        if several:
            return tuple(self._join(name, each) for each in value)
        return self._join(name, value)

    def _join(self, name: str, value: str) -> str:
        """Joins a path with the manifest's folder."""
        if settings.is_keyword(name, value) or urls.has_scheme(value):
            return value
        value = os.path.expanduser(value)
        return str(self._folder / value) if self._folder else value


def take_jobs(jobs: Iterable[settings.Job]) -> Iterator[Task | manifest.Fault]:
    """Makes tasks of jobs; a job is a line, numbered from 1."""

    def make_line(
        number: int, job: settings.Job
    ) -> manifest.Line | manifest.Fault:
        given = conflicts.list_given(job)
        try:
            for name in given:
                manifest.check_name(name)
        except ValueError as error:
            return manifest.Fault(number, str(error))
        values = tuple(getattr(job, name) for name in given)
        return manifest.Line(number, given, values)

    lines = itertools.starmap(make_line, enumerate(jobs, start=1))
    return Maker(settings.Job()).make_all(lines)


def make_absolute(job: settings.Job) -> settings.Job:
    """Names the files of a job by absolute paths, for other folders."""

    def resolve(name: str, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(resolve(name, each) for each in value)
        is_keyword = settings.is_keyword(name, value)
        if not value or urls.has_scheme(value) or is_keyword:
            return value
        return os.path.abspath(os.path.expanduser(value))

    changes: dict[str, Any] = {
        name: resolve(name, getattr(job, name)) for name in _FILES
    }
    return dataclasses.replace(job, **changes)


def write_line(task: Task) -> dict[str, Any]:
    """Writes a task as a line of a manifest that any folder may hold."""
    job = make_absolute(task.make_job())
    found = {name: getattr(job, name) for name in conflicts.list_given(job)}
    if "output" in found:
        found["output"] = re.sub(r"[{}]", r"\g<0>\g<0>", found["output"])
    return found


def _read_value(name: str, value: Any) -> Any:
    """Parses a value without paths."""
    field = settings.FIELDS[name]
    if isinstance(value, str):
        texts = [value]
        if field.type == tuple[str, ...]:
            texts = [part.strip() for part in value.split(SEPARATOR)]
        return flag_values.read_value(field, texts)
    if isinstance(value, tuple) and all(isinstance(v, str) for v in value):
        if field.type == tuple[str, ...] or "joined" in field.metadata:
            return flag_values.read_value(field, value)
        if field.type in settings.ITEM_TYPES:  # numbers, as texts
            return flag_values.read_value(field, [",".join(value)])
    taken = getattr(settings.Job(**{name: value}), name)
    checks.check_field(field, taken)
    return taken


def _check_alone(job: settings.Job) -> None:
    """Raises ValueError if several devices are to share one picture."""
    if job.devices != 1:
        raise ValueError(
            "devices is for one large picture; many pictures are shared out "
            "with --workers=N, a GPU each."
        )


def _name_output(pattern: str, task: Task, index: int) -> str:
    """Replaces the placeholders of an output's name."""

    def replace(match: re.Match[str]) -> str:
        name, width = match[1], match[2]
        if match[0] in ("{{", "}}"):
            return match[0][0]
        if not name:
            raise ValueError(
                f"output {pattern!r} has an unmatched brace; write {{{{ or "
                f"}}}} for a brace in the name."
            )
        if name == "index":
            return format(index, width or "")
        if name not in settings.FIELDS or width:
            near = errors.did_you_mean(name, [*settings.FIELDS, "index"])
            raise ValueError(
                f"output is {pattern!r}, with {match[0]}"
                + errors.go_on(
                    near,
                    "expected {content}, {style}, {index}, {index:04} or "
                    "another setting in braces.",
                )
            )
        return _word(name, task)

    return _PLACEHOLDER.sub(replace, pattern)


def _word(name: str, task: Task) -> str:
    """Writes a setting as part of a file's name."""
    value = task.get(name)
    parts = value if isinstance(value, tuple) else (value,)
    if name in _FILES:
        parts = tuple(Path(sources.find_name(each)).stem for each in parts)
    return _UNSAFE.sub("_", "-".join(map(str, parts)))
