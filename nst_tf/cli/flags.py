"""The command line -> a `Job`; the text of --help."""

import dataclasses
import textwrap
from collections.abc import Sequence

from nst_tf import files
from nst_tf.cli import flag_files, flag_values
from nst_tf.plan import settings


def parse(arguments: Sequence[str]) -> settings.Job:
    """Maps command line arguments, without the program's name, to a `Job`.

    Raises:
        ValueError: If a flag, a flag file or a value is not as it should be.
    """
    return flag_values.read_job(flag_files.expand(arguments))


def list_set_flags(arguments: Sequence[str]) -> set[str]:
    """The names of the flags that arguments, or their flag files, set.

    Raises:
        ValueError: As `flag_files.expand`.
    """
    switches = {
        f"no{n}": n for n, f in settings.FIELDS.items() if f.type is bool
    }
    expanded = flag_files.expand(arguments)
    names = {str(flag_values.parse_name(argument)) for argument in expanded}
    return {switches.get(name, name) for name in names}


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
