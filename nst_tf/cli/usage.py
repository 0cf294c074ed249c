"""Writes the texts of -h and --help from the table of settings."""

import dataclasses
import textwrap

from nst_tf import files
from nst_tf.plan import settings

SUMMARY = """\
Neural style transfer: repaint a photograph in a painting's style.

  nst-tf photo.jpg painting.jpg [more styles] [--name=value ...]
  nst-tf --flagfile=starry [photo.jpg] [--name=value ...]

  -o, --output=FILE     picture to write (default: photo-painting.png)
  -s, --size=PIXELS     its long side (default: 512)
      --strength=0.7    from 0, the photograph, to 1, the painting
      --style_scale=2   broader strokes; below 1, finer ones
      --color=content   the photograph's colors
      --print_size=A4   a paper size instead of --size
      --sheet           a contact sheet: small pictures to choose from
      --weights=small   a smaller, faster network for previews
      --device=cpu      cpu, gpu, or gpu:1 for the second one (default: auto)
  -y, --overwrite       replace the output if it exists

-q prints only errors and the path, -v also the plan and the losses.
--help lists all options; --describe=PICTURE shows how a picture was made;
--version -v prints versions; --completion=bash (zsh, fish) completes options.
More: README.md and docs/, starting with docs/choosing.md."""


def format_usage() -> str:
    """Returns the text of --help."""
    lines = [
        "Neural style transfer: repaint a photograph in a painting's style.",
        "",
        "  nst-tf photo.jpg painting.jpg [more styles] [--name=value ...]",
        "  nst-tf --content=PICTURE --style=PICTURE [--name=value ...]",
        "  nst-tf --flagfile=starry [photo.jpg] [--name=value ...]",
        "",
        "python -m nst_tf is the same as nst-tf. The first picture is the",
        "content, the others are styles: files, http or https addresses, or -",
        "for standard input; after -- there are only pictures. Options are",
        "written --name=value or --name value; - and _ in names are the same.",
        "A flag file has one --name=value per line, and comments that begin",
        "with #; typed options override it.",
        "",
        "-h prints the most important options, --help all of them, --version",
        "(-V) the version, --version -v the versions of all packages,",
        "--describe=PICTURE how a picture was made, --completion=bash (zsh,",
        "fish) a completion script.",
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
        lines += describe_flag(field)
    lines += [
        "",
        "Exit status: 0 done; 1 invalid input, or no place for the output.",
        "After these the picture so far is saved: 3 out of memory; 4 a step",
        "failed; 129, 130, 143, 149 stopped by SIGHUP, Ctrl-C, SIGTERM,",
        "Ctrl-Break. A second Ctrl-C, or a signal before the first step is",
        "finished, saves nothing. SIGTERM waits 5 s for the current step, then",
        "saves the one before.",
    ]
    return "\n".join(lines)


def describe_flag(field: dataclasses.Field) -> list[str]:  # type: ignore[type-arg]
    """Returns the lines of one flag in --help."""
    text = field.metadata["help"]
    if "choices" in field.metadata:
        choices = map(str, field.metadata["choices"])
        text += f" One of {', '.join(choices)}."
    default = field.default
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    if isinstance(default, str):  # to allow line breaks
        default = default.replace(",", ", ")
    if default is not False and default != "":
        text += f" (default: {default})"
    switch = field.type is bool
    name = f"--[no]{field.name}" if switch else f"--{field.name}="
    if short := field.metadata.get("short"):
        name = f"-{short}, {name}"
    body = textwrap.wrap(text, 54, break_on_hyphens=False)
    if len(name) > 20:
        return [f"  {name}", *(f"  {'':20}  {line}" for line in body)]
    first, *rest = body
    return [f"  {name:20}  {first}", *(f"  {'':20}  {line}" for line in rest)]
