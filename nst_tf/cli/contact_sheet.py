"""Generates contact sheets: small pictures of one job, with their flags."""

import dataclasses
import functools
import logging
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nst_tf.backend import host_memory
from nst_tf.cli import sweeps
from nst_tf.images import captions, image_io, sources, transparency, writing
from nst_tf.network import weight_files
from nst_tf.plan import (
    checks,
    inputs,
    memory,
    planning,
    schedule,
    settings,
)
from nst_tf.runs import outputs, results, runner

if TYPE_CHECKING:
    from nst_tf.judge import judging
    from nst_tf.optimize import descent

log = logging.getLogger("nst_tf")

NO_SCORES = "style 0.00, content 0.00, ssim 0.00"  # of typical length


class SheetPicture(NamedTuple):
    """One picture of a sheet, with its plan."""

    label: tuple[str, ...]  # the flags that make it
    job: settings.Job
    plan: planning.Plan  # a draft


class Sheet(NamedTuple):
    """A checked request for a sheet, with its pictures."""

    path: Path  # of the output
    rows: Sequence[Sequence[SheetPicture]]
    options: writing.Options
    judge: "judging.Judge | None" = None  # None: no scores

    @property
    def cells(self) -> list[SheetPicture]:
        """Returns all pictures, row by row."""
        return [cell for row in self.rows for cell in row]


def prepare(job: settings.Job) -> Sheet:
    """Checks every picture of a sheet, and reads each input file once.

    Args:
        job: A job with sweeps, as in `sweeps.make_grid`.

    Raises:
        ValueError: If a setting, a sweep or a picture is invalid.
    """
    checks.check(job)
    grid = sweeps.make_grid(job)
    load = functools.cache(
        functools.partial(sources.load, may_download=not job.dry_run)
    )
    networks: dict[Hashable, weight_files.NetworkWeights] = {}

    def draft(point: sweeps.SweepPoint) -> SheetPicture:
        read = inputs.read_inputs(point.job, load)
        reduced = sweeps.reduce_job(
            schedule.resolve_print_size(point.job, read.content), point
        )
        plan = planning.draft_plan(reduced, read)
        key = reduced.extractor, reduced.weights
        if key not in networks:
            networks[key] = inputs.load_network(reduced)
        plan = plan.add_weights(networks[key])
        return SheetPicture(point.label, reduced, plan)

    rows = [[draft(point) for point in row] for row in grid]
    files = [
        name
        for row in rows
        for cell in row
        for name in inputs.list_input_files(cell.job, cell.plan.inputs)
    ]
    shown = [name for name in (job.content, *job.style) if name]
    path = outputs.choose_path(
        job.output,
        files if job.output else [*shown, "sheet"],
        overwrite=job.overwrite,
    )
    sheet = Sheet(
        path,
        rows,
        writing.Options(
            bit_depth=job.bit_depth, quality=job.quality, mark=job.mark
        ),
        _make_judge(job, rows) if job.sheet_scores else None,
    )
    sides = [cell.plan.size for cell in sheet.cells]
    height, width = (max(side) for side in zip(*sides, strict=True))
    memory.check_host(
        height * len(rows),
        width * max(map(len, rows)),
        host_memory.find_limit(),
    )
    height, width = draw(sheet, {}).shape[:2]
    outputs.check_writable(path, height, width, sheet.options)
    return sheet


def describe(sheet: Sheet, device_words: str) -> list[str]:
    """Describes the sheet, its networks and the device, in a few lines."""
    rows, columns = len(sheet.rows), len(sheet.rows[0])
    height, width = draw(sheet, {}).shape[:2]
    sizes = sorted({cell.plan.size[::-1] for cell in sheet.cells})
    networks = [(c.plan.network.name, c.plan.inputs) for c in sheet.cells]
    pictures = ", ".join(f"{w} x {h}" for w, h in sizes)
    origins = dict.fromkeys(
        f"{name}, {read.network and read.network.origin}"
        for name, read in networks
    )
    lines = [
        f"sheet     {sheet.path}, {width} x {height}: {columns} x {rows} "
        f"pictures of {pictures}",
        f"device    {device_words}",
        *(f"network   {words}" for words in origins),
    ]
    if sheet.judge:
        words = f"{sheet.judge.job.extractor}, {sheet.judge.network.origin}"
        lines.append(f"scores    {words}")
        if set(origins) != {words}:
            log.info(
                "the network of the scores differs from the network that "
                "generates the pictures"
            )
    return lines


def estimate_seconds(sheet: Sheet) -> float:
    """Estimates the time of a sheet from a few steps of its first picture."""
    plans = [cell.plan for cell in sheet.cells]
    works = [sum(e.steps * e.work for e in plan.levels) for plan in plans]
    first = planning.fit_plan(plans[0], runner.measure_machine())
    return runner.estimate_seconds(first) * sum(works) / works[0]


def paint(
    sheet: Sheet,
    max_seconds: float,
    should_stop: Callable[[], bool],
    follow: "Callable[[int, descent.Step], None]" = lambda number, step: None,
) -> Iterator[np.ndarray]:
    """Generates the pictures of a sheet, row by row, with shared targets.

    Args:
        sheet: The sheet.
        max_seconds: Time limit of the whole sheet; 0: none.
        should_stop: Called after each step; True stops, and drops the current
            picture.
        follow: Called with the number of the picture, from 0, and each step.

    Yields:
        Each picture, [h, w, 3] in [0, 1].

    Raises:
        FloatingPointError: If a picture has NaN or infinite values.
    """
    from nst_tf.transfer import method

    end = time.monotonic() + max_seconds
    painter, cells = method.Painter(remember=True), sheet.cells
    for number, cell in enumerate(cells):
        draft = cell.plan
        if max_seconds:
            share = (end - time.monotonic()) / (len(cells) - number)
            stop = draft.stop._replace(seconds=max(share, 0.01))
            draft = dataclasses.replace(draft, stop=stop)
        run = runner.start_run(draft, painter=painter)
        step = run.execute(functools.partial(follow, number), should_stop)
        if should_stop():
            return
        yield results.make_output(step, run.plan).image


def write_scores(
    judge: "judging.Judge", cell: SheetPicture, image: np.ndarray
) -> str:
    """Scores a picture of a sheet, and formats the scores in a line.

    It compares the picture with its styles at the shares and scales of its
    flags.

    Args:
        judge: The judge of the sheet.
        cell: The picture's job and plan.
        image: The picture, [h, w, 3] in [0, 1].
    """
    from nst_tf.judge import judging

    subject = judging.make_subject(cell.plan)
    found = judge.judge(image_io.Picture(image), subject)
    return (
        f"style {found.style:.2f}, content {found.content:.2f}, "
        f"ssim {found.ssim:.2f}"
    )


def draw(
    sheet: Sheet,
    images: Mapping[int, np.ndarray],
    scores: Mapping[int, str] | None = None,
) -> np.ndarray:
    """Draws a sheet on white: pictures with their flags and scores below.

    Args:
        sheet: The sheet.
        images: The pictures, by their index in `sheet.cells`; a missing one is
            gray.
        scores: Lines of `write_scores`, by the same index, if the sheet has a
            judge.

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
    job: settings.Job, rows: Sequence[Sequence[SheetPicture]]
) -> "judging.Judge":
    """Makes the judge of a sheet, the same for all its pictures."""
    from nst_tf.judge import judging

    if not all(cell.plan.inputs.styles for row in rows for cell in row):
        raise ValueError(
            "--sheet_scores needs a style image; pass one with "
            "--style=PICTURE, or remove --sheet_scores."
        )
    return judging.Judge(judging.choose_settings(job))


def _caption(
    sheet: Sheet,
    cell: SheetPicture,
    number: int,
    images: Mapping[int, np.ndarray],
    scores: Mapping[int, str],
) -> captions.CaptionedImage:
    """Puts a picture on white, with its text below."""
    image, lines = images.get(number), cell.label
    if sheet.judge:  # a placeholder reserves the space
        missing = "" if scores else NO_SCORES
        lines = (*lines, scores.get(number, missing))
    alpha = cell.plan.inputs.content.alpha
    if image is not None and alpha is not None:
        alpha = image_io.resize_alpha(alpha, *cell.plan.size)
        image = transparency.put_on_white(image, alpha)
    return captions.CaptionedImage(lines, *cell.plan.size, image)
