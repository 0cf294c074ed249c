"""What is believed of a record, which a stranger may have written.

All that this version reads of a record is of its type, finite, and within its
bounds. What it does not know stays in the record, and is not read.
"""

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from nst_tf.plan import checks, settings

LONGEST = 1 << 20  # bytes of a record that is read
LONGEST_TEXT = 4096  # characters of a name
LONGEST_NUMBER = 17  # digits of a whole number
MOST = 1000  # entries of a list or a table
# Pictures besides content and style.
OTHERS = settings.MASKS | settings.STARTS


def parse(text: str) -> dict[str, Any]:
    """Reads a record; its settings are checked by `check_settings`.

    Raises:
        LookupError, TypeError, ValueError, RecursionError: If it is none.
    """
    if len(text) > LONGEST:
        raise ValueError("it is too long")
    record = json.loads(
        text,
        parse_int=_read_integer,
        parse_float=_read_float,
        parse_constant=_read_float,
    )
    _check_structure(record)
    return dict(record)


def check_settings(record: dict[str, Any]) -> None:
    """Checks the settings of a record that this version knows.

    Raises:
        TypeError, ValueError: In a sentence, if one has a value that it cannot
            have, or names a file of which the record has no digest.
    """
    for table in (record["flags"], record["decided"]["settings"]):
        for name, value in table.items():
            if name not in settings.RECORDED:
                continue
            if isinstance(value, list):
                value = tuple(value)
            _check_lengths(value)
            checks.check_field(settings.FIELDS[name], value)
        init = table.get("init", settings.FIELDS["init"].default)
        if not settings.is_keyword("init", init) and (
            "init" not in record["inputs"]
        ):
            raise ValueError(f"init is {init!r}, a file without a digest.")


def list_unknown(record: dict[str, Any]) -> list[str]:
    """Lists the settings and inputs that this version does not know."""
    named = {*record["flags"], *record["decided"]["settings"]}
    inputs = {n for n in record["inputs"] if n not in ("content", "style")}
    return sorted(
        (named - settings.RECORDED) | {n for n in inputs if not is_other(n)}
    )


def is_other(name: str) -> bool:
    """Returns whether an input is a mask or a start, as "style_mask/0" is."""
    match = re.fullmatch(r"([a-z_]+)(/[0-9]{1,4})?", name)
    if match is None or match[1] not in OTHERS:
        return False
    several = settings.FIELDS[match[1]].type in settings.ITEM_TYPES
    return several == bool(match[2])


def is_bare_name(name: str) -> bool:
    """Returns whether a name is that of a file in a folder, and nothing more.

    "./" may precede it, as it does names that mean something, such as "./-".
    """
    bare = name.removeprefix("./")
    return (
        name not in ("", "-")
        and bare not in ("", ".", "..")
        and not set(bare) & set("/\\\0")
        and bare[1:2] != ":"  # a drive
    )


def _read_integer(text: str) -> int:
    """Reads a whole number that is not absurd."""
    if len(text) > LONGEST_NUMBER:
        raise ValueError("a number is too large")
    return int(text)


def _read_float(text: str) -> float:
    """Reads a number that is finite; JSON's NaN and Infinity are not."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is not finite")
    return value


def _check_structure(record: Any) -> None:
    """Raises an error, of one kind or another, unless it is a record."""
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
        raise ValueError("there is no level")
    for size, count in zip(sizes, decided["steps"], strict=True):
        _check_size(size)
        _check_kinds(int, count)
        if not 0 <= count <= 10**6:
            raise ValueError("a level has an absurd number of steps")
    _check_kinds(str, network["name"], network["weights"], network["digest"])
    _check_kinds(str, network.get("file", ""))
    _check_kinds(str, record["nst_tf"], record["made"], record["state"])
    _check_kinds(str, record["device"], decided["precision"])
    _check_kinds(str, decided.get("convolution", ""))
    _check_kinds(str, *versions, *versions.values())
    _check_kinds(int, record["rescues"], decided["seed"])
    _check_kinds((int, float), record["seconds"], *losses.values())


def _check_kinds(kind: Any, *values: Any) -> None:
    """Raises an error unless all values are of a type, and not too long."""
    for value in values:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError(f"{value!r:.50} is of a wrong type")
        _check_lengths(value)


def _check_lengths(value: Any) -> None:
    """Raises ValueError if a text, list or table is too long."""
    most = LONGEST_TEXT if isinstance(value, str) else MOST
    if isinstance(value, (Sequence, dict)) and len(value) > most:
        raise ValueError("a text or a list is too long")


def _check_size(size: Any) -> None:
    """Raises an error unless it is [width, height], in pixels."""
    width, height = size
    _check_kinds(int, width, height)
    if not 0 < min(width, height) <= max(width, height) <= 1 << 20:
        raise ValueError("a picture has an absurd size")
