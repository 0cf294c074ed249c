"""Writes docs/api.md, the public functions, and docs/flags.md, the flags.

    python scripts/api_reference.py

All of it is read from the package: signatures, docstrings, and the help and the
rules of the settings. A test compares the committed files with it.
"""

import dataclasses
import importlib
import inspect
import operator
import re
import sys
import textwrap
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
FUNCTIONS = (
    "stylize",
    "stylize_steps",
    "run_job",
    "run_jobs",
    "make_plan",
    "Painter",
    "Painter.paint",
    "judge_image",
    "load_image",
    "save_image",
    "example_images",
    "notebook.show",
    "notebook.beside",
)
# What they take and give, and where.
VALUES = {
    "optimize.Step": "What `stylize_steps` yields.",
    "losses.Evaluation": "What a step has as `evaluation`.",
    "plan.planning.Plan": "What `make_plan` returns.",
    "plan.pyramid.Level": "What a plan has several of, as `levels`.",
    "plan.planning.Tiling": "What a plan has as `tiling`.",
    "runs.api.Result": "What `run_job` returns.",
    "batch.ledger.Result": "What `run_jobs` yields.",
    "judge.judging.Judgement": "What `judge_image` returns.",
}
# Rooms whose public names make a run, and what a page says of them.
PARTS = {
    "losses": "The losses; [how to add a loss](adding_a_loss.md).",
    "optimize": "The optimizers.",
    "network": "What sees the pictures.",
}
HEAD = """\
# API reference

Written by `scripts/api_reference.py` from the docstrings: change those. Names
come from `import nst_tf`; TensorFlow is loaded when a picture is made.
"""
RESULT = """\
## The result

What `stylize` returns is a NumPy array, [h, w, 3], with two methods, and with
`settings`, the `Job` by which it was painted. Copies keep them, pickled ones
too. What is made of it by slicing or arithmetic, or changed in place, has
pixels of its own: its `settings` are None, and `save` writes no record.
"""
JOB = """\
## Settings

A `Job` describes one picture to make, in plain data. Its fields are the
keywords of `stylize` and `stylize_steps`; [flags.md](flags.md) lists them with
their types and defaults. `Job` is frozen; `dataclasses.replace` makes another
one. A single value may be given without a tuple: `steps=100`.
"""
FLAGS = """\
# Flags

Written by `scripts/api_reference.py` from the table of settings and the
programs' `--help`. In Python, the flags of `nst-tf` are keywords of
`nst_tf.stylize`, with these types and defaults ([API](api.md#settings)).

## nst-tf

A flag is written `--name=value` or `--name value`; `-` and `_` in names are
the same. `--overwrite` switches on, `--nooverwrite` off. Numbers are separated
by commas, as in `--steps=100,80,50`; flags of styles are repeated, once for
each style. `python -m nst_tf` is the same as `nst-tf`.

### Presets and information

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


def write_api() -> str:
    """Writes the page of the public functions."""
    import nst_tf
    from nst_tf.images import painting
    from nst_tf.plan import settings

    parts = [HEAD, "## Functions"]
    for name in FUNCTIONS:
        function = operator.attrgetter(name)(nst_tf)
        parts.append(_function(f"nst_tf.{name}", function))
    parts.append(RESULT)
    for name in ("save", "to_pil"):
        method = getattr(painting.Painting, name)
        parts.append(_function(f"Painting.{name}", method))
    parts.append("## What they take and give")
    for path, words in VALUES.items():
        module, _, name = path.rpartition(".")
        kind = getattr(importlib.import_module(f"nst_tf.{module}"), name)
        parts.append(_values(f"nst_tf.{path}", words, kind))
    parts.append("## Parts\n\nFor those who put a run together themselves.")
    for room, words in PARTS.items():
        parts.append(_part(f"nst_tf.{room}", words))
    parts.append(JOB)
    for words in (
        f"`stylize` and `stylize_steps` take all but "
        f"{_listed(settings.FIELDS.keys() - settings.KEYWORDS)}; `dpi` goes "
        f"with a `print_size`.",
        f"`run_job` takes all but {_listed(settings.PROGRAM_SETTINGS)}.",
    ):
        parts.append(textwrap.fill(words, 80))
    return _join(parts)


def write_flags() -> str:
    """Writes the page of the flags, each with an anchor."""
    from nst_tf import files
    from nst_tf.cli import programs
    from nst_tf.plan import settings

    groups: dict[str, list[str]] = {}
    for field in dataclasses.fields(settings.Job):
        groups.setdefault(field.metadata["group"], []).append(_row(field))
    rows = [f"| {_anchor(name)} | {QUESTIONS[name]} |" for name in QUESTIONS]
    parts = [FLAGS + "\n".join(rows)]
    for group, rows in groups.items():
        head = ["| Flag | Type | Default | |", "|---|---|---|---|"]
        parts.append(f"### {group}\n\n" + "\n".join([*head, *rows]))
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
    parts.append(
        "## Presets\n\nEach of `nst-tf --flagfile=NAME` names pictures, too; "
        "[their page](../configs/README.md) has its result.\n\n"
        "| Preset | | Options that differ from the defaults |\n|---|---|---|"
    )
    rows = [_preset(name) for name in files.list_presets()]
    parts[-1] = "\n".join([parts[-1], *rows])
    return _join(parts)


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


PAGES = {"api.md": write_api, "flags.md": write_flags}


def _join(parts: Sequence[str]) -> str:
    """Joins the parts of a page."""
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _listed(names: Collection[str]) -> str:
    """Names settings, in the order of the alphabet."""
    return ", ".join(f"`{name}`" for name in sorted(names))


def _function(name: str, function: Any) -> str:
    """The signature of a function, and its docstring."""
    signature = inspect.signature(inspect.unwrap(function))
    plain = [
        each.replace(annotation=inspect.Parameter.empty)
        for each in signature.parameters.values()
        if each.name != "self"
    ]
    text = str(inspect.Signature(plain))
    return f"### {name}\n\n    {name}{text}\n\n{_document(function)}"


def _document(of: Any) -> str:
    """A docstring as Markdown: its sections in bold, its arguments a list."""
    lines = []
    section = ""
    for line in inspect.cleandoc(of.__doc__).splitlines():
        title = re.fullmatch(r"(Args|Returns|Raises|Yields|Source):", line)
        entry = re.match(r"    (\*{0,2}\w+): (.*)", line)
        if title:
            section = title[1]
            lines += [f"**{section}**", ""]
        elif section not in ("Args", "Raises"):
            lines.append(line.strip())
        elif entry:
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        else:
            lines.append(f"  {line.strip()}".rstrip())
    return "\n".join(lines)


def _part(name: str, words: str) -> str:
    """The public names of a room, and what each is for."""
    room = importlib.import_module(name)
    rows = ["| Name | |", "|---|---|"]
    for each in dir(room):
        first = inspect.cleandoc(getattr(room, each).__doc__).splitlines()[0]
        rows.append(f"| `{each}` | {_cell(first)} |")
    return "\n\n".join([f"### {name}", words, "\n".join(rows)])


def _values(name: str, words: str, kind: Any) -> str:
    """A class of values: what it is, and what it holds, with its comments."""
    text = inspect.cleandoc(kind.__doc__)
    said = dict(re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text, re.M))
    first = text.splitlines()[0]
    rows = ["| Field | Type | |", "|---|---|---|"]
    for line in inspect.getsource(kind).splitlines():
        found = re.fullmatch(r"    (\w+): ([^#]+?)(?:  # (.*))?", line)
        if found:
            type_ = _cell(found[2].partition(" = dataclasses.field")[0])
            text = _cell(found[3] or " ".join(said.get(found[1], "").split()))
            rows.append(f"| `{found[1]}` | `{type_}` | {text} |")
    for each, value in vars(kind).items():
        if isinstance(value, property):
            text = inspect.cleandoc(value.__doc__ or "").splitlines()[0]
            rows.append(f"| `{each}` | | {_cell(text)} |")
    table = "\n".join(rows)
    return f"### {name}\n\n{words} {first}\n\n{table}"


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
