"""Runs the program nst-tf-judge: prints scores as a table or as JSON."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nst_tf import terminal, urls
from nst_tf.backend import device
from nst_tf.cli import programs
from nst_tf.images import sources
from nst_tf.judge import judging
from nst_tf.plan import settings

DONE, WRONG_INPUT, OUT_OF_MEMORY = 0, 1, 3
COLUMNS = ("style", "moments", "content", "ssim", "chroma", "border")
_HELP = {
    "content": "Content image of the pictures.",
    "style": "Style image, or a folder of pictures that count as one. Repeat "
    "for several.",
    "style_layers": "Layers of style and moments, as name:weight,name:weight.",
    "content_layers": "Layers of the content distance, in the same form.",
    "style_scale": "Stroke size of the picture, as in nst-tf.",
}


def _take(name: str) -> tuple[str, Any, Any]:
    """Declares a flag by the rules of a setting."""
    field = settings.FIELDS[name]
    text = _HELP.get(name, field.metadata["help"])
    rules = {**field.metadata, "help": text}
    default: Any = field.default
    return name, field.type, dataclasses.field(default=default, metadata=rules)


Options = dataclasses.make_dataclass(
    "Options",
    [
        *map(_take, ("content", "style", *judging.SETTINGS)),
        (
            "size",
            int,
            programs.flag(
                0,
                "Maximum long side in pixels; larger pictures are reduced "
                "before scoring. 0: no limit.",
                low=0,
            ),
        ),
        ("json", bool, programs.flag(False, "Print JSON instead of tables.")),
    ],
    frozen=True,
)
USAGE = """\
Scores pictures: their distances to the style and to the content.

  python -m nst_tf.judge --content=PICTURE --style=PICTURE RESULT ...

nst-tf-judge is the same as python -m nst_tf.judge. A RESULT is a
picture of any tool, with the content image's aspect ratio.

  style    distance of Gram matrices; 0 is the style
  moments  distance of means and deviations of features; 0 is the style
  content  distance of features; 0 is the content
  ssim     structural similarity to the content; 1 is equal
  chroma   fine color detail relative to the style's; 1 is equal
  border   detail along the sides relative to the inside; 1 is equal

docs/judging.md has the formulas and the limits of each score.
"""
PROGRAM = programs.Program(
    "nst-tf-judge",
    Options,
    USAGE,
    "Exit status: 0 done; 1 wrong input; 3 out of memory; 130 Ctrl-C.",
)


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
    try:
        with terminal.print_notes():
            if programs.answer(PROGRAM, arguments):
                return DONE
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
    options, _, pictures = programs.read(PROGRAM, arguments)
    for words, values in (
        ("no content image; pass one with --content=", [options.content]),
        ("no style image; pass one with --style=", options.style),
        ("no picture to judge; pass one with ", pictures),
    ):
        if not values or not all(values):
            raise ValueError(f"{words}PICTURE.")
    named = [*pictures, options.content, *options.style]
    if named.count(sources.STANDARD_INPUT) > 1:
        raise ValueError(
            "several pictures are '-', but standard input holds only one; pass "
            "files for the others."
        )
    chosen = {
        name: getattr(options, name)
        for name in judging.SETTINGS
        if getattr(options, name) != settings.FIELDS[name].default
    }
    return Request(
        *(pictures, options.content, options.style, chosen),
        *(options.size, options.json),
    )


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


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Formats a table: names left-aligned, numbers right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = f"{{:<{widths[0]}}}" + "".join(f"  {{:>{w}}}" for w in widths[1:])
    return [form.format(*row) for row in rows]
