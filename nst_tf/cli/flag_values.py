"""Parses arguments into flags, and flags into a `Job`."""

import collections
import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nst_tf import errors, urls
from nst_tf.plan import settings

SHORT: Mapping[str, str] = {
    field.metadata["short"]: name
    for name, field in settings.FIELDS.items()
    if "short" in field.metadata
}
# -s128 and -oout.png; -out, without a dot or a slash, is a misspelled name.
_ATTACHED = re.compile(r"-(s\d+|o(-|[^=]*[./][^=]*))")
# Every flag of nst-tf, with the type of its value.
FLAGS: Mapping[str, Any] = {
    **{name: field.type for name, field in settings.FIELDS.items()},
    "flagfile": str,
}
_FLAG_FILE = ("cfg", "config", "config_file", "preset")
_SWITCH = {"true": True, "t": True, "1": True, "false": 0, "f": 0, "0": 0}


class Flag(NamedTuple):
    """A flag of the command line or of a flag file."""

    name: str  # a setting's, flagfile, or one of a program's own
    value: str  # as text; "true" or "false" for a switch
    place: str = ""  # its flag file; empty: the command line


def parse_arguments(
    arguments: Iterable[str], known: Mapping[str, Any] = FLAGS
) -> tuple[list[Flag], list[str]]:
    """Separates flags from positional arguments, which are pictures.

    Args:
        arguments: --name=value, --name value, --switch, --noswitch, with
            hyphens or underscores in names; -o value, -o=value, -s128. After
            "--" all arguments are positional, and so is "-".
        known: The types of the flags, by name.

    Raises:
        ValueError: If a flag is unknown or has no value.
    """
    flags: list[Flag] = []
    words: list[str] = []
    queue = collections.deque(arguments)
    while queue:
        argument = queue.popleft()
        if argument == "--":
            words += queue
            break
        if not argument.startswith("-") or argument == "-":
            words.append(argument)
            continue
        typed, equals, value = argument.partition("=")
        if _ATTACHED.fullmatch(argument):
            typed, equals, value = argument[:2], "=", argument[2:]
        name, switched = find_name(typed, known)
        if switched is None and not equals:
            if not queue:
                raise ValueError(
                    f"flag {typed} has no value; write {typed}=VALUE."
                )
            value = queue.popleft()
            if value.startswith("--") and _is_flag(value, known):
                raise ValueError(
                    f"flag {typed} has no value, since {value} follows it; "
                    f"write {typed}=VALUE."
                )
        elif switched is False and equals:
            raise ValueError(
                f"flag {typed} takes no value; write {typed} alone."
            )
        elif switched is not None and not equals:
            value = str(switched).lower()
        flags.append(Flag(name, value))
    return flags, words


def _is_flag(argument: str, known: Mapping[str, Any]) -> bool:
    """Returns whether an argument is a known flag."""
    try:
        find_name(argument.partition("=")[0], known)
    except ValueError:
        return False
    return True


def find_name(
    typed: str, known: Mapping[str, Any] = FLAGS
) -> tuple[str, bool | None]:
    """Returns the name of a flag, such as --size, -s or --no-mark.

    Args:
        typed: The flag without its value.
        known: The types of the flags, by name.

    Returns:
        The name of the setting, and its value if none follows; None: the flag
        needs a value.

    Raises:
        ValueError: If the flag is unknown; the message has a suggestion.
    """
    name = typed.lstrip("-").replace("-", "_")
    if len(typed) == 2:
        name = SHORT.get(name, name)
    if name in known:
        return name, True if known[name] is bool else None
    positive = name.removeprefix("no").removeprefix("_")
    if name.startswith("no") and known.get(positive) is bool:
        return positive, False
    letters = typed[1:]
    if {SHORT.get(letter) for letter in letters} <= known.keys():
        near = f"; short flags cannot be joined: write -{' -'.join(letters)}"
    else:
        meant = "flagfile" if name in _FLAG_FILE else name
        near = settings.suggest(meant, known, "--")
    raise ValueError(
        f"unknown flag {urls.show_source(typed)}"
        + errors.go_on(near, "--help lists all flags.")
    )


def read_job(flags: Sequence[Flag]) -> settings.Job:
    """Makes a `Job` of flags without flag files.

    Raises:
        ValueError: If a value cannot be parsed.
    """
    texts: dict[str, list[str]] = {}
    for flag in flags:
        texts.setdefault(flag.name, []).append(flag.value)
    return settings.Job(
        **{
            name: read_value(settings.FIELDS[name], values)
            for name, values in texts.items()
        }
    )


def read_value(field: dataclasses.Field, texts: Sequence[str]) -> Any:  # type: ignore[type-arg]
    """Parses the values of a setting; the last one wins, or all count."""
    if field.type == tuple[str, ...]:
        return tuple(texts)
    if "joined" in field.metadata:
        return ",".join(texts)
    readers: dict[Any, Any] = {
        int: (int, "a whole number"),
        float: (float, "a number"),
        bool: (lambda text: bool(_SWITCH[text.lower()]), "true or false"),
        tuple[int, ...]: (
            lambda text: _read_several(int, text),
            "whole numbers, such as 100,80,60",
        ),
        tuple[float, ...]: (
            lambda text: _read_several(float, text),
            "numbers, such as 0.7,0.3",
        ),
    }
    read, words = readers.get(field.type, (str, "text"))
    values = []
    for text in texts:
        try:
            values.append(read(text))
        except (KeyError, ValueError):
            raise ValueError(
                f"--{field.name} is {text!r}, expected {words}."
            ) from None
    if field.metadata.get("repeated"):
        return tuple(value for several in values for value in several)
    return values[-1]


def _read_several(kind: Any, text: str) -> tuple[Any, ...]:
    """Parses "100,80,60"."""
    return tuple(map(kind, text.split(","))) if text else ()
