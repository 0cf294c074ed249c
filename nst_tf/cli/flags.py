"""Flags <-> `Job`, and flag files, before absl sees them.

The flags are made from the fields of `Job`, on an object of their own: absl's
global flags stay as whoever imports this left them.

One function expands flag files: nested ones, presets by name, pictures beside
their file. What is nearer to the user wins: a flag that is typed replaces that
of a flag file, and a flag of a file replaces that of the files it names,
whatever their order, also for flags that may be repeated.
"""

import collections
import dataclasses
import os
import textwrap
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from nst_tf import errors, files, web
from nst_tf.plan import settings


def parse(arguments: Sequence[str]) -> settings.Job:
    """Maps command line arguments, without the program's name, to a `Job`.

    Raises:
        ValueError: If a flag, a flag file or a value is not as it should be.
    """
    values: Any = flags.FlagValues()  # type: ignore[no-untyped-call]
    for field in settings.FIELDS.values():
        _define(field, values)
    expanded = expand(arguments)
    for argument in expanded:
        _check_flag(argument)
    try:
        rest = values(["nst-tf", *expanded])[1:]
    except flags.Error as error:
        raise ValueError(f"{error}.") from error
    if rest:
        raise ValueError(
            f"unexpected argument {web.show_source(rest[0])!r}; flags are "
            f"written --name=value."
        )
    chosen: dict[str, Any] = {
        name: values[name].value for name in settings.FIELDS
    }
    for name, field in settings.FIELDS.items():
        if typing.get_origin(field.type) is tuple:
            chosen[name] = tuple(chosen[name])
        if field.type in _NUMBERS:  # with commas, or repeated if it may be
            texts = chosen[name][0 if field.metadata.get("repeated") else -1 :]
            chosen[name] = tuple(_NUMBERS[field.type](",".join(texts)))
    return settings.Job(**chosen)


def list_set_flags(arguments: Sequence[str]) -> set[str]:
    """The names of the flags that arguments, or their flag files, set.

    Raises:
        ValueError: As `expand`.
    """
    switches = {
        f"no{n}": n for n, f in settings.FIELDS.items() if f.type is bool
    }
    names = {str(_flag_name(argument)) for argument in expand(arguments)}
    return {switches.get(name, name) for name in names}


def expand(
    arguments: Sequence[str], folder: Path | None = None, depth: int = 0
) -> list[str]:
    """Replaces --flagfile=NAME by the flags of that file.

    Args:
        arguments: Flags as typed, or as they stand in a file.
        folder: Where that file is; relative pictures and flag files are looked
            for there first. None for the command line.
        depth: Of nesting.

    Returns:
        Flags, --name=value each: those of files first, those of `arguments`
        after them; of repeatable flags only the nearest.

    Raises:
        ValueError: If a flag file is missing, not text, or names itself.
    """
    if depth > 8:
        raise ValueError(
            f"flag files in {folder} name each other in a circle, or more than "
            f"8 deep."
        )
    own: list[str] = []
    inherited: list[str] = []
    queue = collections.deque(arguments)
    while queue:
        argument = queue.popleft()
        name = _flag_name(argument)
        if name is None:
            if argument.strip("-") or not argument:
                raise ValueError(
                    f"unexpected argument {web.show_source(argument)!r}; flags "
                    f"are written --name=value."
                )
            continue  # a bare "--"
        if "=" not in argument and _takes_value(name):
            if not queue or folder is not None:
                raise ValueError(
                    f"flag --{name} has no value; write --{name}=."
                )
            argument = f"--{name}={queue.popleft()}"
        if name != "flagfile":
            own.append(_resolve(argument, name, folder))
            continue
        path = find_flag_file(argument.partition("=")[2], folder)
        inherited = _without(
            inherited, nested := expand(_read(path), path.parent, depth + 1)
        )
        inherited += nested
    return _without(inherited, own) + own


def find_flag_file(name: str, folder: Path | None = None) -> Path:
    """Finds a flag file: as named, beside another one, or a preset.

    "configs/starry.cfg", "starry.cfg" and "starry" all name a preset, from any
    folder, in a checkout and installed.

    Raises:
        ValueError: If there is none, with a suggestion.
    """
    given = Path(os.path.expanduser(name))
    places = [given] if folder is None else [folder / given, given]
    for path in places:
        if path.is_file():
            return path
    if given.parent in (Path(), Path("configs")):
        for path in (
            files.presets_folder() / given.name,
            files.presets_folder() / f"{given.name}.cfg",
        ):
            if path.is_file():
                return path
    names = files.list_presets()
    raise ValueError(
        f"there is no flag file {web.show_source(name)}"
        f"{errors.did_you_mean(given.stem, names)}; "
        f"the presets are {', '.join(names)}."
    )


def format_usage() -> str:
    """The text of --help."""
    lines = [
        "Neural style transfer: one picture's content in another's manner.",
        "",
        "  python -m nst_tf.run --content=PICTURE --style=PICTURE",
        "  python -m nst_tf.run --flagfile=starry [--name=value ...]",
        "",
        "nst-tf is the same as python -m nst_tf.run. A flag file holds one",
        "--name=value a line, and lines that begin with #; what is typed",
        "replaces what a file says. A picture may be a file, an address with",
        "http or https, or - for standard input. --help prints this, --version",
        "the version, --describe=PICTURE how a picture was made.",
        "Presets:",
        *textwrap.wrap(
            ", ".join(files.list_presets()),
            78,
            initial_indent="  ",
            subsequent_indent="  ",
        ),
    ]
    group = ""
    for field in settings.FIELDS.values():
        if field.metadata["group"] != group:
            group = field.metadata["group"]
            lines += ["", f"{group}:"]
        lines += _flag_usage(field)
    lines += [
        "",
        "Exit status: 0 done; 1 wrong input, or no place for the picture; and,",
        "with the picture so far saved: 3 out of memory; 4 a step failed; 129,",
        "130 and 143 stopped by SIGHUP, Ctrl-C and SIGTERM.",
    ]
    return "\n".join(lines)


def _flag_usage(field: dataclasses.Field) -> list[str]:  # type: ignore[type-arg]
    """The lines of one flag in --help."""
    text = field.metadata["help"]
    if "choices" in field.metadata:
        choices = map(str, field.metadata["choices"])
        text += f" One of {', '.join(choices)}."
    default = field.default
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    if isinstance(default, str):  # so that a line may be broken
        default = default.replace(",", ", ")
    if default is not False and default != "":
        text += f" (default: {default})"
    switch = field.type is bool
    name = f"--[no]{field.name}" if switch else f"--{field.name}="
    body = textwrap.wrap(text, 54, break_on_hyphens=False)
    if len(name) > 20:
        return [f"  {name}", *(f"  {'':20}  {line}" for line in body)]
    first, *rest = body
    return [f"  {name:20}  {first}", *(f"  {'':20}  {line}" for line in rest)]


def _define(field: dataclasses.Field, values: flags.FlagValues) -> None:  # type: ignore[type-arg]
    """Defines the flag of a field."""
    define: Any = {
        str: flags.DEFINE_string,
        int: flags.DEFINE_integer,
        float: flags.DEFINE_float,
        bool: flags.DEFINE_bool,
        tuple[str, ...]: flags.DEFINE_multi_string,
        tuple[int, ...]: flags.DEFINE_multi_string,
        tuple[float, ...]: flags.DEFINE_multi_string,
    }[field.type]  # type: ignore[index]
    default: Any = field.default
    if field.type in _NUMBERS:
        default = ",".join(map(str, default))
    define(field.name, default, field.metadata["help"], flag_values=values)


def _flag_name(argument: str) -> str | None:
    """Returns 'size' of '--size=512' and '--size', None of anything else."""
    if not argument.startswith("-") or not argument.strip("-"):
        return None
    return argument.lstrip("-").partition("=")[0]


def _takes_value(name: str) -> bool:
    """Tells whether a flag is written with a value."""
    if name == "flagfile":
        return True
    return name in settings.FIELDS and settings.FIELDS[name].type is not bool


def _check_flag(argument: str) -> None:
    """Raises ValueError for a flag that there is not, or a wrong value."""
    name, value = _flag_name(argument), argument.partition("=")[2]
    switches = {
        f"no{n}" for n, field in settings.FIELDS.items() if field.type is bool
    }
    if name is None or name in switches:
        return
    if name not in settings.FIELDS:
        raise ValueError(
            f"unknown flag --{name}"
            f"{errors.did_you_mean(name, [*settings.FIELDS, 'flagfile'])}; "
            f"--help lists them."
        )
    readers: dict[Any, Any] = {
        int: (int, "a whole number"),
        float: (float, "a number"),
        tuple[int, ...]: (_whole_numbers, "whole numbers, such as 100,80,60"),
        tuple[float, ...]: (_numbers, "numbers, such as 0.7,0.3"),
    }
    reader, words = readers.get(settings.FIELDS[name].type, (str, "text"))
    if settings.FIELDS[name].type is bool and "=" in argument:
        reader, words = _SWITCH.__getitem__, "true or false"
        value = value.lower()
    try:
        reader(value)
    except (KeyError, ValueError):
        raise ValueError(f"{name} is {value!r}, expected {words}.") from None


_SWITCH = {"true": True, "t": True, "1": True, "false": 0, "f": 0, "0": 0}


def _whole_numbers(text: str) -> list[int]:
    """Reads "100,80,60"."""
    return [int(part) for part in text.split(",")] if text else []


def _numbers(text: str) -> list[float]:
    """Reads "0.7,0.3"."""
    return [float(part) for part in text.split(",")] if text else []


_NUMBERS: Any = {
    tuple[int, ...]: _whole_numbers,
    tuple[float, ...]: _numbers,
}


def _read(path: Path) -> list[str]:
    """Reads the flags of a flag file."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"flag file {path} cannot be read: {error}."
        ) from error
    if any("\0" in line for line in lines):
        raise ValueError(f"flag file {path} is not a text file.")
    found = []
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith(("#", "//")):
            continue
        name = _flag_name(line)
        if name is None or " " in name:
            raise ValueError(
                f"flag file {path}, line {number}, has "
                f"{web.hide_addresses(line)!r}; expected "
                f"--name=value, or a comment that begins with #."
            )
        found.append(line)
    return found


def _resolve(argument: str, name: str, folder: Path | None) -> str:
    """Makes a picture's path in a flag file one that is found from here."""
    rules = settings.FIELDS[name].metadata if name in settings.FIELDS else {}
    value = argument.partition("=")[2]
    if folder is None or not rules.get("path") or not value:
        return argument
    if value in rules.get("keywords", ()):
        return argument
    beside = folder / os.path.expanduser(value)
    return f"--{name}={beside}" if beside.exists() else argument


def _without(inherited: list[str], nearer: list[str]) -> list[str]:
    """Leaves out the flags that a nearer place sets."""
    names = {_flag_name(argument) for argument in nearer}
    return [a for a in inherited if _flag_name(a) not in names]
