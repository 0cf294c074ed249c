"""Reads manifests: CSV, JSON lines, or patterns of file names.

A line has the settings of one picture by name, as text or, in JSON, as values.
Only the syntax is checked here; an invalid line becomes a `Fault`.
"""

import csv
import glob
import json
import os
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from nst_tf import errors, urls
from nst_tf.images import sources
from nst_tf.plan import settings

EXTENSIONS = (".csv", ".jsonl")
LONGEST_LINE = 1 << 20  # characters
_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16 and UTF-32, little-endian


class Line(NamedTuple):
    """The settings of one picture."""

    number: int  # in the file, from 1; of patterns, of the picture
    names: Sequence[str]  # of settings; lines with the same ones share it
    values: Sequence[Any]  # text, or values of JSON


class Fault(NamedTuple):
    """An error in a line of a manifest."""

    number: int  # of the line; 0: all lines
    sentence: str
    task: Any = None  # the `tasks.Task` of the line, if there is one


def read(path: Path) -> Iterator[Line | Fault]:
    """Reads the lines of a manifest, one by one.

    Args:
        path: A file of `EXTENSIONS`, in UTF-8.

    Raises:
        ValueError: In one sentence, if it cannot be read as a whole.
    """
    readers = {".csv": _read_csv, ".jsonl": _read_json}
    if path.suffix.lower() not in readers:
        raise ValueError(
            f"manifest {path} has the extension {path.suffix!r}, expected "
            f"{errors.list_choices(EXTENSIONS)}."
        )
    try:
        if path.is_dir():
            raise ValueError(f"manifest {path} is a folder, expected a file.")
        if not path.exists():
            near = errors.find_near_file(path)
            raise ValueError(f"there is no manifest {path}{near or '.'}")
        if not path.is_file():  # opening a pipe could block
            raise ValueError(f"manifest {path} is not a regular file.")
        with open(path, "rb") as file:
            count = 0
            for line in readers[path.suffix.lower()](path, _decode(path, file)):
                count += 1
                yield line
            if not count:
                raise ValueError(
                    f"manifest {path} has no lines, expected a picture in each."
                )
    except OSError as error:
        raise ValueError(
            f"manifest {path} cannot be read: {error.strerror}."
        ) from error


def combine(content: str, styles: Sequence[str]) -> list[Line]:
    """Makes a line of every content with every style.

    Args:
        content: A pattern such as photos/*.jpg, a folder of pictures, or one
            picture.
        styles: Patterns or pictures; a folder is one style, as for nst-tf.

    Raises:
        ValueError: If there is none of them, or nothing has such a name.
    """
    for name, given in (("content", content), ("style", styles)):
        if not given:
            raise ValueError(
                f"no {name} images; name them with --{name}='FOLDER/*.jpg', or "
                f"a manifest with --manifest=FILE."
            )
    folder = sources.is_folder(content)
    contents = sources.list_pictures(content) if folder else _expand(content)
    expanded = [(each,) for style in styles for each in _expand(style)]
    names = ("content", "style")
    pairs = ((one, two) for one in contents for two in expanded)
    return [Line(n, names, pair) for n, pair in enumerate(pairs, start=1)]


def check_name(name: str) -> None:
    """Raises ValueError unless a setting may stand in a manifest."""
    if name not in settings.FIELDS:
        near = settings.suggest(name, settings.FIELDS)
        raise ValueError(
            f"unknown setting {name[:60]!r}"
            f"{near or '; nst-tf --help lists them'}."
        )
    if name in settings.PROGRAM_SETTINGS:
        raise ValueError(
            f"{name} is for a single picture's run, not for a manifest; leave "
            f"it out."
        )


def _expand(pattern: str) -> list[str]:
    """Lists the files that a pattern names, sorted."""
    path = os.path.expanduser(pattern)
    if urls.has_scheme(pattern) or os.path.exists(path):
        return [pattern]
    found = [p for p in sorted(glob.glob(path, recursive=True))]
    if glob.has_magic(path):
        found = list(filter(os.path.isfile, found))
        if not found:
            raise ValueError(f"no file matches {pattern!r}.")
    return found or [pattern]  # which the checks refuse


def _decode(path: Path, file: BinaryIO) -> Iterator[str]:
    """Reads lines of text."""
    number = 0
    while data := file.readline(LONGEST_LINE):
        number += 1
        if len(data) == LONGEST_LINE:
            raise ValueError(
                f"manifest {path}, line {number}, is longer than "
                f"{LONGEST_LINE} bytes."
            )
        if number == 1:
            data = data.removeprefix(b"\xef\xbb\xbf")
        try:
            text = data.decode()
            if "\0" in text or data.startswith(_MARKS):
                raise ValueError
        except ValueError:
            raise ValueError(
                f"manifest {path}, line {number}, is not text in UTF-8; save "
                f"the file as UTF-8."
            ) from None
        yield text


def _read_csv(path: Path, texts: Iterable[str]) -> Iterator[Line | Fault]:
    """Reads rows; the first names the settings."""
    rows = csv.reader(texts, strict=True, skipinitialspace=True)
    names: tuple[str, ...] = ()
    repeated: dict[str, str] = {}  # one copy of repeated cells
    while True:
        number = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            message = (
                f"manifest {path}, line {number}, is not valid CSV: "
                f"{error}; write a quotation mark inside of quotes twice."
            )
            raise ValueError(message) from None
        if not any(row):
            continue
        if not names:
            names = _read_header(path, row)
        elif len(row) != len(names):
            yield Fault(
                number,
                f"it has {errors.format_count(len(row), 'cell')}, expected "
                f"{len(names)}; put quotes around a cell that has commas.",
            )
        else:
            cells = [repeated.setdefault(cell, cell) for cell in row[1:]]
            if len(repeated) > 10_000:
                repeated.clear()
            yield Line(number, names, (row[0], *cells))
    if not names:
        raise ValueError(
            f"manifest {path} is empty, expected a first line that names the "
            f"columns, such as content,style,output."
        )


def _read_header(path: Path, row: Sequence[str]) -> tuple[str, ...]:
    """Reads the names of the columns."""
    names = tuple(cell.strip().replace("-", "_") for cell in row)
    if len(names) == 1 and ";" in names[0]:
        raise ValueError(
            f"manifest {path}, line 1, has columns that are separated by ';', "
            f"expected commas."
        )
    for name in names:
        try:
            check_name(name)
            if names.count(name) > 1:
                raise ValueError(f"column {name!r} is there twice.")
        except ValueError as error:
            raise ValueError(f"manifest {path}, line 1: {error}") from error
    return names


def _read_json(path: Path, texts: Iterable[str]) -> Iterator[Line | Fault]:
    """Reads objects, one in each line."""
    known: dict[tuple[str, ...], tuple[str, ...]] = {}
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            continue
        try:
            names, values = _read_object(text)
        except (ValueError, RecursionError) as error:
            words = (
                f"it is not JSON: {error.msg} at column {error.colno}."
                if isinstance(error, json.JSONDecodeError)
                else str(error)
            )
            yield Fault(number, words)
            continue
        yield Line(number, known.setdefault(names, names), values)


def _read_object(text: str) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Reads one object: names and values, without those that are null."""

    def take(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the key {name[:60]!r} is there twice.")
        return dict(pairs)

    found = json.loads(text, object_pairs_hook=take)
    if not isinstance(found, dict):
        raise ValueError(
            f"it is {reprlib.repr(found)}, expected an object, such as "
            f'{{"content": "a.jpg", "style": "b.jpg"}}.'
        )
    given = {
        name.replace("-", "_"): value
        for name, value in found.items()
        if value is not None
    }
    for name, value in given.items():
        check_name(name)
        parts = value if isinstance(value, list) else [value]
        if any(isinstance(part, (dict, list)) for part in parts):
            raise ValueError(
                f"{name} is {reprlib.repr(value)}, expected a text, a number, "
                f"true, false or a plain list."
            )
    return tuple(given), tuple(
        tuple(value) if isinstance(value, list) else value
        for value in given.values()
    )
