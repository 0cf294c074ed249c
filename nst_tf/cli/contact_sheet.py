"""Contact sheets: small pictures of one job, with the flags under each."""

import dataclasses
import functools
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nst_tf.cli import sweeps
from nst_tf.images import captions, image_io, sources, writing
from nst_tf.plan import (
    checks,
    inputs,
    pyramid,
    schedule,
    settings,
    style_settings,
)
from nst_tf.runs import api, outputs, results

if TYPE_CHECKING:
    from nst_tf.judge import judging
    from nst_tf.network import extractors

NO_SCORES = "style 0.00, content 0.00, ssim 0.00"  # as long as most are


class SheetPicture(NamedTuple):
    """One picture of a sheet, ready to be painted."""

    label: tuple[str, ...]  # the flags that make it
    request: settings.Job  # with the settings of its strength
    prepared: inputs.Inputs

    @property
    def level(self) -> pyramid.Level:
        """The finest: the picture's size."""
        return self.prepared.levels[-1]


class Sheet(NamedTuple):
    """A checked request for a sheet, and all that it needs."""

    path: Path  # of the output
    rows: Sequence[Sequence[SheetPicture]]
    options: writing.Options
    judge: "judging.Judge | None" = None  # if scores are written

    @property
    def cells(self) -> list[SheetPicture]:
        """All pictures, row by row."""
        return [cell for row in self.rows for cell in row]


def prepare(
    request: settings.Job, say: Callable[[str], None] = lambda line: None
) -> Sheet:
    """Checks every picture of a sheet, and reads each file that they name once.

    Args:
        request: A job with sweeps, as in `sweeps.make_grid`.
        say: Is told, in a line, what takes time.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
    """
    checks.check(request)
    grid = sweeps.make_grid(request)

    load = functools.cache(sources.load)
    networks: dict[Hashable, inputs.Inputs] = {}

    def prepared(cell: sweeps.SweepPoint) -> SheetPicture:
        content = inputs.read_content(cell.request, load)
        asked = sweeps.reduce_job(
            inputs.resolve_size(cell.request, content), cell
        )
        asked = style_settings.expand_folders(schedule.apply_strength(asked))
        styles = [load(each, request.max_megapixels) for each in asked.style]
        found = inputs.prepare(asked, content, styles, say)
        first = networks.setdefault((asked.extractor, asked.weights), found)
        return SheetPicture(
            cell.label, asked, found._replace(network=first.network)
        )

    rows = [[prepared(cell) for cell in row] for row in grid]
    files = [
        name
        for row in grid
        for cell in row
        for name in inputs.list_input_files(cell.request)
    ]
    shown = [name for name in (request.content, *request.style) if name]
    path = outputs.choose_path(
        request.output,
        files if request.output else [*shown, "sheet"],
        overwrite=request.overwrite,
    )
    sheet = Sheet(
        path,
        rows,
        writing.Options(bit_depth=request.bit_depth, quality=request.quality),
        _make_judge(request, rows, say) if request.sheet_scores else None,
    )
    height, width = draw(sheet, {}).shape[:2]
    outputs.check_writable(path, height, width, sheet.options)
    return sheet


def describe(sheet: Sheet, device_words: str) -> list[str]:
    """Says in a few lines for people what will be painted, and with what."""
    rows, columns = len(sheet.rows), len(sheet.rows[0])
    height, width = draw(sheet, {}).shape[:2]
    sizes = sorted({(c.level.width, c.level.height) for c in sheet.cells})
    networks = {
        f"{c.request.extractor}, {c.prepared.network.origin}": c
        for c in sheet.cells
    }
    pictures = ", ".join(f"{w} x {h}" for w, h in sizes)
    lines = [
        f"sheet     {sheet.path}, {width} x {height}: {columns} x {rows} "
        f"pictures of {pictures}",
        f"device    {device_words}",
        *(f"network   {words}" for words in networks),
    ]
    if sheet.judge:
        judge = sheet.judge.network
        lines.append(f"scores    {sheet.judge.job.extractor}, {judge.origin}")
        if {c.prepared.network.origin for c in sheet.cells} != {judge.origin}:
            lines.append(
                "note      the network of the scores is not the one that "
                "generates the pictures"
            )
    return lines


def paint(
    sheet: Sheet,
    max_seconds: float,
    stopped: Callable[[], bool],
    say: Callable[[str], None],
) -> Iterator[np.ndarray]:
    """Paints the pictures of a sheet, row by row; they share what is seen.

    Args:
        sheet: The sheet.
        max_seconds: What all of it may take; 0: no limit.
        stopped: Is asked after each step; the picture it was is not shown.
        say: Is told, in a line, what cannot be done.

    Yields:
        Each picture, [h, w, 3] in [0, 1].

    Raises:
        FloatingPointError: If one is not made of numbers any more.
    """
    end = time.monotonic() + max_seconds
    kept: dict[Hashable, extractors.Extractor] = {}
    cells = sheet.cells
    for number, cell in enumerate(cells):
        request, prepared = cell.request, cell.prepared
        if max_seconds:
            share = (end - time.monotonic()) / (len(cells) - number)
            request = dataclasses.replace(request, max_seconds=max(share, 0.01))
        steps = api.run_steps(request, prepared, say=say, kept=kept)
        for step in steps:
            if stopped():
                return
            last = step
        yield results.make_output(last, request, prepared).image


def write_scores(
    judge: "judging.Judge", cell: SheetPicture, image: np.ndarray
) -> str:
    """Judges a picture of a sheet, and writes its scores in a line.

    It is judged against the styles at the shares and the scales that its flags
    ask for.

    Args:
        judge: The judge of the sheet.
        cell: The picture's.
        image: The picture, [h, w, 3] in [0, 1].
    """
    from nst_tf.judge import judging

    prepared = cell.prepared
    found = judge.judge(
        image_io.Picture(image),
        judging.Subject(
            prepared.content, prepared.styles, prepared.blend, prepared.scales
        ),
    )
    return (
        f"style {found.style:.2f}, content {found.content:.2f}, "
        f"ssim {found.ssim:.2f}"
    )


def draw(
    sheet: Sheet,
    images: Mapping[int, np.ndarray],
    scores: Mapping[int, str] | None = None,
) -> np.ndarray:
    """Draws a sheet: pictures on white, their flags and scores under them.

    Args:
        sheet: The sheet.
        images: Its pictures, by their place in `sheet.cells`; a missing one is
            left gray.
        scores: Lines of `write_scores`, likewise, if the sheet has a judge.

    Returns:
        The sheet, [H, W, 3] in [0, 1].
    """
    numbers = iter(range(len(sheet.cells)))
    return captions.draw(
        [
            [
                _caption(sheet, cell, next(numbers), images, scores or {})
                for cell in row
            ]
            for row in sheet.rows
        ]
    )


def _make_judge(
    request: settings.Job,
    rows: Sequence[Sequence[SheetPicture]],
    say: Callable[[str], None],
) -> "judging.Judge":
    """Makes the judge of a sheet: one for all pictures, whatever is swept."""
    from nst_tf.judge import judging

    if not all(cell.prepared.styles for row in rows for cell in row):
        raise ValueError(
            "sheet_scores compares with a style; name one with "
            "--style=PICTURE, or leave it out."
        )
    return judging.Judge(
        {
            "extractor": request.extractor,
            "weights": request.weights,
            "style_layers": request.style_layers[:1],
            "content_layers": request.content_layers,
        },
        say=say,
    )


def _caption(
    sheet: Sheet,
    cell: SheetPicture,
    number: int,
    images: Mapping[int, np.ndarray],
    scores: Mapping[int, str],
) -> captions.CaptionedImage:
    """Puts a picture on white, its lines under it."""
    image, lines = images.get(number), cell.label
    if sheet.judge:  # before there are any, the sheet has the size of later
        missing = "" if scores else NO_SCORES
        lines = (*lines, scores.get(number, missing))
    alpha = cell.prepared.content.alpha
    if image is not None and alpha is not None:
        alpha = image_io.resize_alpha(alpha, *cell.level[:2])
        image = 1 + alpha[..., None] * (image - 1)
    return captions.CaptionedImage(lines, *cell.level[:2], image)
