"""Writes shell completion scripts from a table of settings."""

import dataclasses
import re
import shlex
import textwrap
from collections.abc import Mapping
from typing import NamedTuple

from nst_tf import errors, files
from nst_tf.cli import flag_values
from nst_tf.plan import settings


class _Flag(NamedTuple):
    """A flag, as completion scripts need it."""

    name: str  # with hyphens
    short: str  # its letter, or empty
    help: str  # the first sentence
    is_switch: bool
    words: tuple[str, ...]  # values to suggest
    takes_file: bool


def write(
    shell: str,
    program: str = "nst-tf",
    fields: Mapping[str, dataclasses.Field] = settings.FIELDS,  # type: ignore[type-arg]
) -> str:
    """Returns the completion script of a program for a shell.

    Args:
        shell: bash, zsh or fish.
        program: Its name.
        fields: Its flags by name.

    Raises:
        ValueError: If the shell is another one.
    """
    writers = {"bash": _write_bash, "zsh": _write_zsh, "fish": _write_fish}
    if shell not in writers:
        raise ValueError(
            f"--completion is {shell!r}"
            + errors.go_on(
                errors.did_you_mean(shell, writers),
                f"expected {errors.list_choices([*writers])}.",
            )
        )
    flags = _list_flags(fields)
    if program == "nst-tf":
        flags.append(
            _Flag("describe", "", "How a picture was made", False, (), True)
        )
    return writers[shell](program, flags)


def _list_flags(
    fields: Mapping[str, dataclasses.Field],  # type: ignore[type-arg]
) -> list[_Flag]:
    """Lists all flags of a program, those without a field last."""
    letters = {name: letter for letter, name in flag_values.SHORT.items()}
    found = []
    for name, field in fields.items():
        rules = field.metadata
        rows = ("choices", "keywords", "examples")
        words = next((rules[row] for row in rows if row in rules), ())
        found.append(
            _Flag(
                name.replace("_", "-"),
                letters.get(name, ""),
                textwrap.shorten(
                    re.split("[.:;]", rules["help"])[0], 60, placeholder=" ..."
                ),
                field.type is bool,
                tuple(map(str, words)),
                "path" in rules or "writes" in rules,
            )
        )
    if "content" in fields:  # flag files set settings only
        presets = tuple(files.list_presets())
        text = "Preset, or a file of flags"
        found.append(_Flag("flagfile", "", text, False, presets, True))
    return [
        *found,
        _Flag("completion", "", "", False, ("bash", "zsh", "fish"), False),
        _Flag("help", "h", "All flags", True, (), False),
        _Flag("version", "V", "The version", True, (), False),
    ]


_BASH = """\
# source <({program} --completion=bash)
_{function}() {{
    local now=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    local name=$before words= files=1
    if [[ $now == "=" ]]; then now=
    elif [[ $before == "=" ]]; then name=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    if [[ $name == --* ]]; then name=--$(tr _ - <<< "${{name#--}}"); fi
    case $name in
{cases}
        *)
            if [[ $now == -* ]]; then
                words={names} files=0
            fi
            if [[ $now == *_* && $now == -* ]]; then
                words=${{words//-/_}}
                words=${{words//__/--}}
            fi ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$now"))
    if (( files )); then
        compopt -o filenames 2> /dev/null
        COMPREPLY+=($(compgen -f -- "$now"))
    elif [[ ${{COMPREPLY[0]}} == *= ]]; then
        compopt -o nospace 2> /dev/null
    fi
}}
complete -F _{function} {program}
"""
_ZSH = """\
#compdef {program}
# source <({program} --completion=zsh), after compinit
_{function}_words() {{ (( $# )) && compadd -- "$@"; _files }}
_{function}() {{
    _arguments \\
{specifications}
        '*:picture:_files'
}}
compdef _{function} {program}
"""


def _write_bash(program: str, flags: list[_Flag]) -> str:
    """Writes the script for bash."""
    names = [f"--{f.name}{'' if f.is_switch else '='}" for f in flags]
    names += [f"-{flag.short}" for flag in flags if flag.short]
    cases = [
        f"        --{flag.name}{f'|-{flag.short}' if flag.short else ''}) "
        f"words={shlex.quote(' '.join(flag.words))} "
        f"files={flag.takes_file:d} ;;"
        for flag in flags
        if not flag.is_switch
    ]
    return _BASH.format(
        program=program,
        function=program.replace("-", "_"),
        cases="\n".join(cases),
        names=shlex.quote(" ".join(names)),
    )


def _write_zsh(program: str, flags: list[_Flag]) -> str:
    """Writes the script for zsh."""
    function = program.replace("-", "_")
    lines = []
    for flag in flags:
        text = re.sub(r"([\[\]:\\])", r"\\\1", flag.help)
        value = ""
        if flag.takes_file:
            value = f":value: _{function}_words {' '.join(flag.words)}"
        elif not flag.is_switch:
            choices = f"({' '.join(flag.words)})" if flag.words else " "
            value = f":value:{choices}"
        sign = "" if flag.is_switch else "="
        names = [f"--{flag.name}{sign}"]
        if flag.short:
            names.append(f"-{flag.short}")
        lines += [
            f"        {shlex.quote(f'*{name}[{text}]{value}')} \\"
            for name in names
        ]
    return _ZSH.format(
        program=program, function=function, specifications="\n".join(lines)
    )


def _write_fish(program: str, flags: list[_Flag]) -> str:
    """Writes the script for fish."""
    lines = [f"# {program} --completion=fish | source"]
    for flag in flags:
        parts = [f"complete -c {program}", f"-l {flag.name}"]
        if flag.short:
            parts.append(f"-s {flag.short}")
        if not flag.is_switch:
            parts.append("-rF" if flag.takes_file else "-x")
        if flag.words:
            parts.append(f"-a {shlex.quote(' '.join(flag.words))}")
        lines.append(" ".join([*parts, f"-d {shlex.quote(flag.help)}"]))
    return "\n".join(lines)
