"""Checks records, which come from untrusted files.

Every value that this version reads has the right type, is finite and is within
bounds. Unknown values stay in the record and are ignored.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nst_tf.plan import checks, settings

LONGEST = 1 << 20  # bytes of a record
LONGEST_TEXT = 4096  # characters of a name
LONGEST_NUMBER = 17  # digits of a whole number
MOST = 1000  # entries of a list or a table
# Pictures besides content and style.
OTHERS = settings.MASKS | settings.STARTS


def parse(text: str) -> dict[str, Any]:
    """Parses a record; `check_settings` checks its settings.

    Raises:
        LookupError, TypeError, ValueError, RecursionError: If the text is not a
            record.
    """
    record = _load(text)
    _check_structure(record)
    return dict(record)


def parse_film(text: str) -> dict[str, Any]:
    """Parses the record of a film, and checks its settings.

    Raises:
        LookupError, TypeError, ValueError, RecursionError: If the text is not
            such a record, or a setting has an invalid value.
    """
    record = _load(text)
    options, versions = record["film"], record["versions"]
    for table in (record, record["flags"], options, versions):
        _check_kinds(dict, table)
        _check_kinds(str, *table)
    _check_kinds(list, record["style"])
    _check_kinds(str, record["nst_tf"], record["content"], *record["style"])
    _check_kinds(str, record["weights"], *options.values(), *versions.values())
    _check_flags(record["flags"])
    return dict(record)


def check_settings(record: dict[str, Any]) -> None:
    """Checks the known settings of a record.

    Raises:
        TypeError, ValueError: If a setting has an invalid value, or names a
            file without a digest in the record.
    """
    for table in (record["flags"], record["decided"]["settings"]):
        _check_flags(table)
        init = table.get("init", settings.FIELDS["init"].default)
        if not settings.is_keyword("init", init) and (
            "init" not in record["inputs"]
        ):
            raise ValueError(
                f"init is {init!r}, a file whose digest is missing."
            )


def list_unknown(record: dict[str, Any]) -> list[str]:
    """Lists the settings and inputs of a record unknown to this version."""
    named = {*record["flags"], *record["decided"]["settings"]}
    inputs = {n for n in record["inputs"] if n not in ("content", "style")}
    return sorted(
        (named - settings.RECORDED) | {n for n in inputs if not is_other(n)}
    )


def is_other(name: str) -> bool:
    """Returns whether an input is a mask or an initial image, by its name."""
    match = re.fullmatch(r"([a-z_]+)(/[0-9]{1,4})?", name)
    if match is None or match[1] not in OTHERS:
        return False
    several = settings.FIELDS[match[1]].type in settings.ITEM_TYPES
    return several == bool(match[2])


def is_bare_name(name: str) -> bool:
    """Returns whether a text is a file name without a folder.

    It may start with "./", which marks names with a special meaning, as "./-".
    """
    bare = name.removeprefix("./")
    return (
        name not in ("", "-")
        and bare not in ("", ".", "..")
        and not set(bare) & set("/\\\0")
        and bare[1:2] != ":"  # a drive
    )


def _load(text: str) -> Any:
    """Parses JSON, within limits."""
    if len(text) > LONGEST:
        raise ValueError("it is too long")
    return json.loads(
        text,
        parse_int=_read_integer,
        parse_float=_read_float,
        parse_constant=_read_float,
    )


def _check_flags(table: Mapping[str, Any]) -> None:
    """Raises TypeError or ValueError if a known setting is invalid."""
    for name, value in table.items():
        if name not in settings.RECORDED:
            continue
        if isinstance(value, list):
            value = tuple(value)
        _check_lengths(value)
        checks.check_field(settings.FIELDS[name], value)


def _read_integer(text: str) -> int:
    """Parses an integer; raises ValueError if it has too many digits."""
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a number is too large")
    return int(text)


def _read_float(text: str) -> float:
    """Parses a number; raises ValueError for JSON's NaN and Infinity."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    return value


def _check_structure(record: Any) -> None:
    """Raises one of the errors of `parse` if the structure is wrong."""
    decided, pictures = record["decided"], record["inputs"]
    network, losses = record["network"], record["losses"]
    flags, chosen = record["flags"], decided["settings"]
    versions, sizes = record["versions"], decided["sizes"]
    for table in (record, decided, pictures, network, losses, flags, chosen):
        _check_kinds(dict, table)
        _check_kinds(str, *table)
    _check_kinds(dict, versions)
    _check_kinds(list, sizes, decided["steps"], pictures["style"])
    others = [each for name, each in pictures.items() if is_other(name)]
    for picture in (pictures["content"], *pictures["style"], *others):
        _check_kinds(str, picture["name"], picture["digest"])
        _check_size(picture["size"])
    if not sizes:
        raise ValueError("it has no level")
    for size, count in zip(sizes, decided["steps"], strict=True):
        _check_size(size)
        _check_kinds(int, count)
        if not 0 <= count <= 10**6:
            raise ValueError("a level has too many steps")
    _check_kinds(str, network["name"], network["weights"], network["digest"])
    _check_kinds(str, network.get("file", ""))
    _check_kinds(str, record["nst_tf"], record["made"], record["state"])
    _check_kinds(str, record["device"], decided["precision"])
    _check_kinds(str, decided.get("convolution", ""))
    _check_kinds(str, *versions, *versions.values())
    _check_kinds(int, record["rescues"], decided["seed"])
    _check_kinds((int, float), record["seconds"], *losses.values())


def _check_kinds(kind: Any, *values: Any) -> None:
    """Raises an error if a value has the wrong type or is too long."""
    for value in values:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError(f"{value!r:.50} has the wrong type")
        _check_lengths(value)


def _check_lengths(value: Any) -> None:
    """Raises ValueError if a text, list or table is too long."""
    most = LONGEST_TEXT if isinstance(value, str) else MOST
    if isinstance(value, (Sequence, dict)) and len(value) > most:
        raise ValueError("a text or a list is too long")


def _check_size(size: Any) -> None:
    """Raises an error if a size is not [width, height] in pixels."""
    width, height = size
    _check_kinds(int, width, height)
    if not 0 < min(width, height) <= max(width, height) <= 1 << 20:
        raise ValueError("a picture is too large")
