"""Runs the program nst-tf-judge: prints scores as a table or as JSON."""

import collections
import dataclasses
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import nst_tf
from nst_tf import errors, terminal, urls
from nst_tf.backend import device
from nst_tf.images import sources
from nst_tf.judge import judging
from nst_tf.plan import settings

DONE, WRONG_INPUT, OUT_OF_MEMORY = 0, 1, 3
COLUMNS = ("style", "moments", "content", "ssim", "chroma", "border")
# Flags that are fields of `Job`, and --size, in the order of --help.
FLAGS = ("content", "style", *judging.SETTINGS, "size")
_HELP = {
    "content": "Content image of the pictures.",
    "style": "Style image, or a folder of pictures that count as one. Repeat "
    "for several.",
    "style_layers": "Layers of style and moments, as name:weight,name:weight.",
    "content_layers": "Layers of the content distance, in the same form.",
    "style_scale": "Stroke size of the picture, as in nst-tf.",
    "size": "Maximum long side in pixels; larger pictures are reduced before "
    "scoring. 0: no limit.",
}
_USAGE = """\
Judges pictures: how near to the style, how near to the content.

  python -m nst_tf.judge --content=PICTURE --style=PICTURE RESULT ...

nst-tf-judge is the same as python -m nst_tf.judge. A RESULT is a
picture of any tool, of the content image's shape.

  style    distance of Gram matrices; 0 is the style
  moments  distance of means and deviations of features, likewise
  content  distance of features; 0 is the content
  ssim     structural similarity to the content; 1 is equal
  chroma   fine color detail over the style's; 1 is as much
  border   detail along the sides over that beside it; 1 is even

docs/judging.md has the formulas, and what each does not say.
"""


class Request(NamedTuple):
    """The parsed arguments."""

    pictures: Sequence[str]
    content: str
    styles: Sequence[str]
    chosen: Mapping[str, Any]  # settings for `judging.Judge`
    size: int
    as_json: bool


def main(arguments: Sequence[str]) -> int:
    """Scores the pictures of the arguments, and prints the scores.

    Args:
        arguments: The command line, without the program's name.

    Returns:
        The exit status: 0 done, 1 invalid input, 3 out of memory.
    """
    if {"--help", "-h", "-help"} & set(arguments):
        terminal.print_line(*format_usage().split("\n"))
        return DONE
    if {"--version", "-V"} & set(arguments):
        terminal.print_line(f"nst-tf-judge {nst_tf.__version__}")
        return DONE
    try:
        with terminal.print_notes():
            request = parse(arguments)
            judge = judging.Judge(request.chosen, size=request.size)
            judgements = _judge(judge, request)
        network = f"{judge.job.extractor}, {judge.network.origin}"
        write = write_json if request.as_json else write_table
        lines = write(request, network, judgements)
        paths = list(filter(sources.is_file, request.pictures))
        terminal.print_result(*lines, paths=paths)
        return DONE
    except (ValueError, OSError) as error:
        terminal.print_error(str(error))
        return WRONG_INPUT
    except MemoryError as error:
        terminal.print_error(str(error) or "out of memory.")
        return OUT_OF_MEMORY


def parse(arguments: Sequence[str]) -> Request:
    """Parses command line arguments.

    Args:
        arguments: Flags, --name=value or --name value, and pictures, in any
            order; after "--" only pictures.

    Raises:
        ValueError: If a flag or a value is invalid, or a picture, the content
            image or the style image is missing.
    """
    pictures: list[str] = []
    found: dict[str, list[str]] = {name: [] for name in FLAGS}
    as_json = False
    queue = collections.deque(arguments)
    while queue:
        argument = queue.popleft()
        if argument == "--":
            pictures += queue
            break
        if argument == sources.STANDARD_INPUT or not argument.startswith("-"):
            pictures.append(argument)
            continue
        typed, equals, value = argument.partition("=")
        name = typed.lstrip("-").replace("-", "_")
        if name in ("json", "nojson") and not equals:
            as_json = name == "json"
        elif name not in FLAGS:
            near = settings.suggest(name, [*FLAGS, "json"], "--")
            raise ValueError(
                f"unknown flag {typed}"
                + errors.go_on(near, "--help lists all flags.")
            )
        elif not equals and not queue:
            raise ValueError(f"flag --{name} has no value; write --{name}=.")
        else:
            found[name].append(value if equals else queue.popleft())
    for words, values in (
        ("no content image; pass one with --content=", found["content"]),
        ("no style image; pass one with --style=", found["style"]),
        ("no picture to judge; pass one with ", pictures),
    ):
        if not values or not all(values):
            raise ValueError(f"{words}PICTURE.")
    content, styles = found["content"][-1], found["style"]
    if [*pictures, content, *styles].count(sources.STANDARD_INPUT) > 1:
        raise ValueError(
            "several pictures are '-', but standard input holds only one; pass "
            "files for the others."
        )
    chosen = {
        name: _read(settings.FIELDS[name], found[name])
        for name in judging.SETTINGS
        if found[name]
    }
    size = _read_number("size", (found["size"] or ["0"])[-1], int)
    return Request(pictures, content, styles, chosen, size, as_json)


def write_table(
    request: Request, network: str, judgements: Sequence[judging.Judgement]
) -> list[str]:
    """Formats scores as tables: all scores, and the style by layer."""
    rows = [["picture", "size", *COLUMNS]]
    by_layer = [["style by layer", *judgements[0].style_by_layer]]
    for name, judgement in zip(request.pictures, judgements, strict=True):
        numbers = [format_number(getattr(judgement, c)) for c in COLUMNS]
        shown = urls.show_source(name)
        rows.append(
            [shown, f"{judgement.width} x {judgement.height}", *numbers]
        )
        values = judgement.style_by_layer.values()
        by_layer.append([shown, *map(format_number, values)])
    return [*_align(rows), "", *_align(by_layer), "", network]


def write_json(
    request: Request, network: str, judgements: Sequence[judging.Judgement]
) -> list[str]:
    """Formats scores as JSON."""
    found = {
        "content": urls.show_source(request.content),
        "style": list(map(urls.show_source, request.styles)),
        "network": network,
        "pictures": [
            {"picture": urls.show_source(name), **dataclasses.asdict(judgement)}
            for name, judgement in zip(
                request.pictures, judgements, strict=True
            )
        ],
    }
    return json.dumps(found, indent=2).split("\n")


def format_number(value: float) -> str:
    """Formats a score with three digits."""
    return f"{value:#.3g}".rstrip(".")


def format_usage() -> str:
    """Returns the text of --help."""
    lines = [_USAGE]
    for name in FLAGS:
        field = settings.FIELDS[name]
        text = _HELP.get(name, field.metadata["help"])
        default = 0 if name == "size" else field.default
        if isinstance(default, tuple):
            default = ",".join(map(str, default))
        if default != "":  # with spaces, to allow line breaks
            text += f" (default: {str(default).replace(',', ', ')})"
        lines += _wrap(f"--{name}=", text)
    lines += _wrap("--json", "Print JSON instead of tables.")
    end = "Exit status: 0 done; 1 wrong input; 3 out of memory; 130 Ctrl-C."
    return "\n".join([*lines, "", end])


def _judge(judge: judging.Judge, request: Request) -> list[judging.Judgement]:
    """Reads and checks all pictures, then scores them."""
    subject = judge.read_subject(request.content, request.styles)
    limit = judge.job.max_megapixels
    pictures = [sources.load(name, limit) for name in request.pictures]
    shown = map(urls.show_source, request.pictures)
    named = list(zip(pictures, shown, strict=True))
    for picture, name in named:
        judge.check(picture, subject, name)
    for picture in (*pictures, subject.content, *subject.styles):
        for note in picture.notes:
            terminal.print_note(f"note      {note}")
    device.prepare()
    return [judge.judge(picture, subject, name) for picture, name in named]


def _read(field: dataclasses.Field, values: Sequence[str]) -> Any:  # type: ignore[type-arg]
    """Parses the values of a flag to the type of its field."""
    if field.type == tuple[str, ...]:
        return tuple(values)
    if field.type == tuple[float, ...]:
        parts = ",".join(values).split(",")
        return tuple(_read_number(field.name, part, float) for part in parts)
    if field.type is float:
        return _read_number(field.name, values[-1], float)
    return values[-1]


def _read_number(name: str, text: str, kind: Callable[[str], Any]) -> Any:
    """Parses a number; raises ValueError for other text."""
    try:
        return kind(text)
    except ValueError:
        words = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name} is {text!r}, expected {words}.") from None


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Formats a table: names left-aligned, numbers right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = f"{{:<{widths[0]}}}" + "".join(f"  {{:>{w}}}" for w in widths[1:])
    return [form.format(*row) for row in rows]


def _wrap(flag: str, text: str) -> list[str]:
    """Formats the lines of one flag in --help."""
    first, *rest = textwrap.wrap(text, 54, break_on_hyphens=False)
    return [f"  {flag:20}  {first}", *(f"  {'':20}  {line}" for line in rest)]
