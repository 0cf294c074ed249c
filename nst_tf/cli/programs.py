"""Reads the command line of a program that has flags of its own.

Such flags are the fields of a dataclass, declared by `flag` with the rules of
settings. From a field follow its type, its check, its entry in --help and in
docs/flags.md, and its completion.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import nst_tf
from nst_tf import terminal
from nst_tf.cli import entry, flag_values, usage
from nst_tf.plan import checks, settings


class Program(NamedTuple):
    """A program, and its flags."""

    name: str  # such as nst-tf-batch
    options: type  # the dataclass of its own flags
    usage: str  # the text of --help above the flags
    end: str  # the text below them
    settings: Sequence[str] = ()  # flags of nst-tf that it takes, too


class Request(NamedTuple):
    """A parsed command line."""

    options: Any  # an instance of `Program.options`
    flags: Sequence[flag_values.Flag]  # of settings
    words: Sequence[str]  # positional arguments


def flag(default: Any, text: str, **rules: Any) -> Any:
    """Declares a flag of a program: a field of its dataclass of options.

    Args:
        default: Its value if the user does not set it.
        text: Its help text.
        **rules: As for `settings.setting`.
    """
    return settings.setting(default, "", text, settings.Role.PROGRAM, **rules)


def answer(program: Program, arguments: Sequence[str]) -> bool:
    """Prints the answer to --help, --version or --completion.

    Returns:
        Whether the arguments ask for one of these.

    Raises:
        ValueError: If --completion lacks a known value, or is not alone.
    """
    if {*entry.HELP, "-h"} & set(arguments):
        lines = format_usage(program).split("\n")
    elif entry.VERSION & set(arguments):
        lines = [f"{program.name} {nst_tf.__version__}"]
    elif shell := entry.find_value("completion", arguments, "a shell", "bash"):
        from nst_tf.cli import completion

        fields = dict(_list_fields(program))
        for name in program.settings:
            fields[name] = settings.FIELDS[name]
        text = completion.write(shell, program.name, fields)
        lines = text.split("\n")
    else:
        return False
    terminal.print_line(*lines)
    return True


def read(program: Program, arguments: Sequence[str]) -> Request:
    """Parses a command line, without the program's name.

    Raises:
        ValueError: If a flag is unknown, or the value of one of the program's
            own flags is invalid.
    """
    fields = _list_fields(program)
    known = {name: field.type for name, field in fields.items()}
    flags, words = flag_values.parse_arguments(
        arguments, {**(flag_values.FLAGS if program.settings else {}), **known}
    )
    texts: dict[str, list[str]] = {}
    for each in flags:
        if each.name in fields:
            texts.setdefault(each.name, []).append(each.value)
    chosen = {
        name: flag_values.read_value(fields[name], values)
        for name, values in texts.items()
    }
    for name, value in chosen.items():
        checks.check_field(fields[name], value)
    rest = [each for each in flags if each.name not in fields]
    return Request(program.options(**chosen), rest, words)


def format_usage(program: Program) -> str:
    """Returns the text of --help."""
    lines = [program.usage]
    for field in _list_fields(program).values():
        lines += usage.describe_flag(field)
    return "\n".join([*lines, "", program.end])


def _list_fields(
    program: Program,
) -> Mapping[str, dataclasses.Field]:  # type: ignore[type-arg]
    """Lists the program's own flags by name."""
    return {field.name: field for field in dataclasses.fields(program.options)}
