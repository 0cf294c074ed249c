"""Flags, --name=value each -> a `Job`.

The flags are made from the fields of `Job`, on an object of their own: absl's
global flags stay as whoever imports this left them.
"""

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any

from absl import flags

from nst_tf import errors, web
from nst_tf.plan import settings


def read_job(arguments: Sequence[str]) -> settings.Job:
    """Maps flags, none of which is a flag file, to a `Job`.

    Raises:
        ValueError: If a flag or a value is not as it should be.
    """
    values: Any = flags.FlagValues()  # type: ignore[no-untyped-call]
    for field in settings.FIELDS.values():
        _define(field, values)
    for argument in arguments:
        _check(argument)
    try:
        rest = values(["nst-tf", *arguments])[1:]
    except (flags.Error, ValueError) as error:  # "--nolog= takes no argument"
        raise ValueError(f"{str(error).rstrip('.')}.") from error
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


def parse_name(argument: str) -> str | None:
    """Returns 'size' of '--size=512' and '--size', None of anything else."""
    if not argument.startswith("-") or not argument.strip("-"):
        return None
    return argument.lstrip("-").partition("=")[0]


def takes_value(name: str) -> bool:
    """Tells whether a flag is written with a value."""
    if name == "flagfile":
        return True
    return name in settings.FIELDS and settings.FIELDS[name].type is not bool


def _check(argument: str) -> None:
    """Raises ValueError for a flag that there is not, or a wrong value."""
    name, value = parse_name(argument), argument.partition("=")[2]
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
