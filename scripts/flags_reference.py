"""Writes the reference of flags and presets: docs/flags.md and its next pages.

    python scripts/flags_reference.py

All of it is read from the package: the table of settings, the `--help` of the
programs, and the presets. A test compares the committed files with it. The
reference of the Python API is made from the docstrings by `scripts/docs`.
"""

import dataclasses
import functools
import importlib
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
WRITTEN = """\
Written by `scripts/flags_reference.py` from the table of settings, the
programs' `--help` and the presets.
"""
# Page -> its title, and the groups of settings that it lists.
GROUPS = {
    "flags.md": (
        "Flags",
        ("Pictures", "Progress and messages", "Contact sheets", "Files"),
    ),
    "flags_painting.md": (
        "Flags of losses, masks and optimization",
        ("Losses", "Masks", "Optimization"),
    ),
    "flags_machine.md": (
        "Flags of network and machine",
        ("Network", "Memory", "Devices", "Checkpoints"),
    ),
}
FLAGS = """\
A flag of `nst-tf` is written `--name=value` or `--name value`; `-` and `_` in
names are the same. `--overwrite` switches on, `--nooverwrite` off. Numbers are
separated by commas, as in `--steps=100,80,50`; flags of styles are repeated,
once for each style. `python -m nst_tf` is the same as `nst-tf`.

In Python, the flags are keywords of `nst_tf.stylize`, with these types and
defaults ([API](api.md)).

- [Losses, masks and optimization](flags_painting.md)
- [Network, memory, devices and checkpoints](flags_machine.md)
- [The other programs](flags_programs.md)
- [Presets](flags_presets.md)

## Presets and information

| Flag | |
|---|---|
"""
# The flags that are no settings.
QUESTIONS = {
    "flagfile": "Read flags from this file, or from a "
    "[preset](../configs/README.md). Typed flags override it "
    "([format](recipes.md#writing-your-own)).",
    "describe": "Print how this picture was made, as a flag file "
    "([record](reproducing.md)).",
    "completion": "Print a script that completes flags: bash, zsh or fish.",
    "help": "Print all flags; `-h` prints the most important ones.",
    "version": "Print the version (also `-V`); with `-v`, those of all "
    "packages.",
}
# The other programs: the module of their flags.
PROGRAMS = {
    "nst-tf-judge": "cli.judge_command",
    "nst-tf-batch": "batch.command_line",
    "nst-tf-web": "web.command",
    "nst-tf-video": "video.command_line",
}


def main() -> int:
    """Writes the files."""
    sys.path.insert(0, str(ROOT))
    for name, write in PAGES.items():
        (DOCS / name).write_text(write(), encoding="utf-8")
    return 0


def write_groups(page: str) -> str:
    """Writes a page of settings, each with an anchor."""
    from nst_tf.plan import settings

    title, wanted = GROUPS[page]
    parts = [f"# {title}", WRITTEN]
    if page == "flags.md":
        rows = [f"| {_anchor(n)} | {QUESTIONS[n]} |" for n in QUESTIONS]
        parts.append(FLAGS + "\n".join(rows))
    groups: dict[str, list[str]] = {}
    for field in dataclasses.fields(settings.Job):
        groups.setdefault(field.metadata["group"], []).append(_row(field))
    head = ["| Flag | Type | Default | |", "|---|---|---|---|"]
    for group in wanted:
        parts.append(f"## {group}\n\n" + "\n".join([*head, *groups[group]]))
    return _join(parts)


def write_programs() -> str:
    """Writes the page of the flags of the other programs."""
    from nst_tf.cli import programs

    parts = ["# Flags of the other programs", WRITTEN]
    for program, path in PROGRAMS.items():
        module = importlib.import_module(f"nst_tf.{path}")
        text = programs.format_usage(module.PROGRAM)
        prefix = program.removeprefix("nst-tf-")
        rows = [
            f"| {_anchor(name, prefix + '-')} "
            f"| {_cell(' '.join(words.split()))} |"
            for name, words in re.findall(
                r"^  --(?:\[no\])?(\w+)=?\s+(.*(?:\n {10,}.*)*)", text, re.M
            )
        ]
        head = ["| Flag | |", "|---|---|"]
        parts.append(f"## {program}\n\n" + "\n".join([*head, *rows]))
    return _join(parts)


def write_presets() -> str:
    """Writes the page of the presets, each with an anchor."""
    from nst_tf import files

    head = (
        "Each of `nst-tf --flagfile=NAME` names pictures, too; "
        "[their page](../configs/README.md) has its result.\n\n"
        "| Preset | | Options that differ from the defaults |\n|---|---|---|"
    )
    rows = [_preset(name) for name in files.list_presets()]
    return _join(["# Options of presets", WRITTEN, "\n".join([head, *rows])])


def _preset(name: str) -> str:
    """A preset: what it makes, and what it changes."""
    from nst_tf import files
    from nst_tf.cli import flags

    text = (files.presets_folder() / f"{name}.cfg").read_text("utf-8")
    job = flags.parse([f"--flagfile={name}"])
    options = []
    for field in dataclasses.fields(job):
        value = getattr(job, field.name)
        is_picture = field.metadata.get("path") in ("picture", "mask")
        if value != field.default and not is_picture:
            values = value if isinstance(value, tuple) else (value,)
            options.append(f"`--{field.name}={','.join(map(str, values))}`")
    title = text.partition("\n")[0].removeprefix("# ")
    anchor = f'<a id="preset-{name}"></a>`{name}`'
    return f"| {anchor} | {_cell(title)} | {' '.join(options)} |"


PAGES: dict[str, Callable[[], str]] = {
    **{page: functools.partial(write_groups, page) for page in GROUPS},
    "flags_programs.md": write_programs,
    "flags_presets.md": write_presets,
}


def _join(parts: Sequence[str]) -> str:
    """Joins the parts of a page."""
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _row(field: Any) -> str:
    """A setting: its type, its default, its help and its rules."""
    rules = field.metadata
    words = [rules["help"]]
    if "choices" in rules:
        choices = ", ".join(f"`{each}`" for each in rules["choices"])
        words.append(f"One of {choices}.")
    limits = [
        f"{word} {_number(rules[name])}"
        for name, word in (
            ("low", "at least"),
            ("above", "above"),
            ("high", "at most"),
            ("below", "below"),
        )
        if name in rules
    ]
    if limits:
        words.append(f"{' and '.join(limits).capitalize()}.")
    kind = str(getattr(field.type, "__name__", field.type))
    if kind == "tuple":
        kind = str(field.type)
    short = f", `-{rules['short']}`" if "short" in rules else ""
    cells = [
        f"{_anchor(field.name)}{short}",
        f"`{kind}`",
        f"`{field.default!r}`",
    ]
    return f"| {' | '.join(cells)} | {_cell(' '.join(words))} |"


def _anchor(name: str, prefix: str = "") -> str:
    """A flag, with an anchor for links to it."""
    return f'<a id="{prefix}{name}"></a>`--{name}`'


def _number(value: float) -> str:
    """A limit as a person writes it."""
    return f"{value:.0f}" if isinstance(value, int) else f"{value:g}"


def _cell(text: str) -> str:
    """A text as it may stand in a table."""
    return text.replace("|", "\\|").replace("<", "\\<")


if __name__ == "__main__":
    sys.exit(main())
