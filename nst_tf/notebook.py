"""Runs and shows pictures in a notebook's cell.

Outside a notebook the same functions print lines. IPython is imported only if
it is already running.
"""

import math
import signal
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nst_tf import cells, display, errors, terminal, watcher
from nst_tf.backend import device
from nst_tf.images import captions, image_io, painting, sizes
from nst_tf.plan import arrays, signatures
from nst_tf.runs import api, progress, results, runner

if TYPE_CHECKING:
    from nst_tf.optimize import descent

LONGEST = 512  # pixels, long side of pictures shown during a run
SECONDS = 0.5  # minimum interval of pictures
SIDE = 256  # pixels, long side of pictures in rows
COLUMNS = 4  # maximum of pictures in a row


@signatures.take_settings
def show(
    content: arrays.ImageLike,
    style: arrays.ImageLike | Sequence[arrays.ImageLike],
    *,
    every: int = 10,
    **settings: Any,
) -> painting.Painting:
    """Runs `nst_tf.stylize`, and shows the picture during the run.

    A notebook's cell shows a line with level, step, loss and time left, and the
    picture below it; at the end the cell keeps both. Elsewhere lines are
    printed. Interrupt the cell to get the picture so far, at full size, after
    the current step.

    Args:
        content: As in `stylize`.
        style: As in `stylize`.
        every: Interval of pictures, in steps; at most two per second. Pictures
            are copied from the device only to be shown.
        **settings: As in `stylize`.

    Returns:
        The result of `stylize`; after an interrupt, the picture so far.

    Raises:
        ValueError: As `stylize`, or if `every` is not above 0.
        TypeError: As `stylize`.
        KeyboardInterrupt: If it is interrupted twice, or before the run starts.
    """
    errors.check_type("every", every, int, "a number of steps")
    if every < 1:
        raise ValueError(f"every is {every}, expected at least 1.")
    began = time.monotonic()
    job, draft = api.draft_images(content, style, settings)
    cell = _Cell() if cells.is_notebook() else None
    device.prepare()
    with display.use(cells.Line(cell) if cell else "auto"):
        run = runner.start_run(draft, began=began)
        report = progress.Progress([run.plan], began, draft.stop.seconds)
        # During tracing, TensorFlow converts exceptions to other errors.
        signals = watcher.Signals(numbers=[signal.SIGINT])
        signals.take_steps()  # also wait for the first step
        with signals:
            step = _read(run, report, cell, every, signals)
        state = "unfinished" if signals.received else "done"
        picture = results.make_painting(job, run, step, state=state)
    if cell:
        cell.draw(picture)
    height, width = picture.shape[:2]
    (cell.write if cell else terminal.print_note)(
        f"{width} x {height}, loss {float(step.evaluation.loss):.4g}, after "
        f"{terminal.format_duration(run.seconds)}"
    )
    return picture


@errors.name_keywords()
def beside(
    pictures: Mapping[str, arrays.ImageLike], *, side: int = SIDE
) -> painting.Painting:
    """Draws pictures in rows on white, with a caption below each.

    Args:
        pictures: Caption -> picture: a path, an address or an array, as in
            `stylize`; or a gray array, such as a mask, [H, W], of bool, uint8,
            or floats in [0, 1].
        side: Long side of each, in pixels; smaller pictures are not enlarged.

    Returns:
        The drawing, at most four pictures per row, [H, W, 3] in [0, 1].

    Raises:
        ValueError: If there is no picture, or one is invalid.
    """
    kind = "a dictionary of pictures by their captions"
    errors.check_type("pictures", pictures, Mapping, kind)
    if not pictures:
        raise ValueError("there are no pictures; pass at least one.")
    shown = [
        _captioned(caption, picture, side)
        for caption, picture in pictures.items()
    ]
    columns = math.ceil(len(shown) / math.ceil(len(shown) / COLUMNS))
    rows = [
        shown[start : start + columns]
        for start in range(0, len(shown), columns)
    ]
    return painting.make_painting(captions.draw(rows))


def _read(
    run: runner.Run,
    report: progress.Progress,
    cell: "_Cell | None",
    every: int,
    signals: watcher.Signals,
) -> "descent.Step":
    """Takes and shows steps until the last one or an interrupt."""

    def follow(step: "descent.Step") -> None:
        report.update(step.level, step.index, step.evaluation.loss)
        if cell and (run.count - 1) % every == 0 and cell.is_due():
            cell.draw(results.read_image(step))

    last = run.execute(follow, signals.should_stop)
    if not signals.received:
        report.finish()
    else:
        terminal.print_note("interrupted; this is the picture so far")
    return last


def _captioned(
    caption: str, picture: arrays.ImageLike, side: int
) -> captions.CaptionedImage:
    """Reads and reduces a picture."""
    if getattr(picture, "ndim", 3) == 2:
        pixels = arrays.as_mask(picture, caption).pixels
    else:
        pixels = arrays.as_picture(picture, caption).pixels
    height, width = pixels.shape[:2]
    if max(height, width) > side:
        height, width = sizes.scale_to_side(height, width, side)
    pixels = image_io.resize(pixels, height, width)
    return captions.CaptionedImage((caption,), height, width, pixels)


class _Cell(cells.Cell):
    """A line and a picture in a notebook's cell, updated in place."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn = -math.inf

    def draw(self, image: np.ndarray) -> None:
        """Updates the picture, [h, w, 3] in [0, 1]."""
        from IPython import display

        data = painting.encode(image, LONGEST, ".jpg")
        self.renew("picture", display.Image(data=data, format="jpeg"))
        self._drawn = time.monotonic()

    def is_due(self) -> bool:
        """Returns whether the interval since the last picture has passed."""
        return time.monotonic() - self._drawn >= SECONDS
