"""Writes shell completion scripts from the table of settings."""

import re
import shlex
import textwrap
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


def write(shell: str) -> str:
    """Returns the completion script for a shell.

    Args:
        shell: bash, zsh or fish.

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
    return writers[shell](_list_flags())


def _list_flags() -> list[_Flag]:
    """Lists all flags, flags of settings first."""
    letters = {name: letter for letter, name in flag_values.SHORT.items()}
    found = []
    for name, field in settings.FIELDS.items():
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
    return [
        *found,
        _Flag(
            *("flagfile", "", "Preset, or a file of flags", False),
            tuple(files.list_presets()),
            True,
        ),
        _Flag("describe", "", "How a picture was made", False, (), True),
        _Flag("completion", "", "", False, ("bash", "zsh", "fish"), False),
        _Flag("help", "h", "All flags", True, (), False),
        _Flag("version", "V", "The version", True, (), False),
    ]


_BASH = """\
# source <(nst-tf --completion=bash)
_nst_tf() {{
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
complete -F _nst_tf nst-tf
"""
_ZSH = """\
#compdef nst-tf
# source <(nst-tf --completion=zsh), after compinit
_nst_tf_words() {{ (( $# )) && compadd -- "$@"; _files }}
_nst_tf() {{
    _arguments \\
{specifications}
        '*:picture:_files'
}}
compdef _nst_tf nst-tf
"""


def _write_bash(flags: list[_Flag]) -> str:
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
        cases="\n".join(cases), names=shlex.quote(" ".join(names))
    )


def _write_zsh(flags: list[_Flag]) -> str:
    """Writes the script for zsh."""
    lines = []
    for flag in flags:
        text = re.sub(r"([\[\]:\\])", r"\\\1", flag.help)
        value = ""
        if flag.takes_file:
            value = f":value: _nst_tf_words {' '.join(flag.words)}"
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
    return _ZSH.format(specifications="\n".join(lines))


def _write_fish(flags: list[_Flag]) -> str:
    """Writes the script for fish."""
    lines = ["# nst-tf --completion=fish | source"]
    for flag in flags:
        parts = ["complete -c nst-tf", f"-l {flag.name}"]
        if flag.short:
            parts.append(f"-s {flag.short}")
        if not flag.is_switch:
            parts.append("-rF" if flag.takes_file else "-x")
        if flag.words:
            parts.append(f"-a {shlex.quote(' '.join(flag.words))}")
        lines.append(" ".join([*parts, f"-d {shlex.quote(flag.help)}"]))
    return "\n".join(lines)
