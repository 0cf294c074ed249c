"""Paints the frames of a film, keeps them, and makes the film of them."""

import collections
import dataclasses
import logging
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from nst_tf import display, screens
from nst_tf.backend import device
from nst_tf.images import image_io
from nst_tf.runs import records
from nst_tf.video import clips, frames, preparing, work_folder, writing

log = logging.getLogger("nst_tf")

MOST_FAILURES = 3  # in a row, before the run ends
TIMED = 10  # frames whose time is averaged


class StopError(Exception):
    """The run was asked to stop, and the frame at work was abandoned."""


class Outcome(NamedTuple):
    """What was painted of a film."""

    number: int  # frames of the last pass that began, in its order
    passed: int  # the pass that they are of, from 0
    is_done: bool = False
    error: Exception | None = None  # that ended it


class Progress:
    """Estimates the time left, and shows the frames on the display.

    Args:
        total: Number of frames of all passes.
        done: How many were painted by earlier runs.
    """

    def __init__(self, total: int, done: int, frames_of_pass: int):
        self._total, self._done, self._part = total, done, 0.0
        self._frames = frames_of_pass
        self._times: collections.deque[float] = collections.deque(maxlen=TIMED)
        self._began: float | None = None
        self._first = 0.0  # seconds of the first frame, which compiles
        self._shown = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of a frame; 0: unknown."""
        if self._times:
            return sum(self._times) / len(self._times)
        return self._first

    def begin(self) -> None:
        """Notes that a frame begins."""
        self._began, self._part = time.monotonic(), 0.0

    def follow(self, share: float) -> None:
        """Notes which share of a frame is painted, and shows it."""
        self._part = share
        self._show()

    def end(self, is_painted: bool = True) -> None:
        """Notes that a frame is painted, or was found."""
        if is_painted and self._began is not None:
            seconds = time.monotonic() - self._began
            if self._first:
                self._times.append(seconds)
            else:
                self._first = seconds
        self._done, self._part = self._done + 1, 0.0
        self._show()

    def remaining(self, now: float) -> float:
        """Estimates the seconds left."""
        return max(0.0, self._total - self._done - self._part) * self.seconds

    def share(self, now: float) -> float | None:
        """Returns the share of frames that are painted; None: unknown."""
        if not self.seconds:
            return None
        share = (self._done + self._part) / self._total
        self._shown = max(self._shown, min(share, 1.0))
        return self._shown

    def _show(self) -> None:
        """Shows the frame at work."""
        at = min(self._done, self._total - 1)
        passed, index = divmod(at, self._frames)
        words = f"frame {index + 1} of {self._frames}"
        if self._total > self._frames:
            words += f", pass {passed + 1}"
        short = words
        if self.seconds:
            words += f", {self.seconds:.3g} s a frame"
        facts = {"frame": index + 1, "frames": self._frames, "pass": passed + 1}
        display.show_status(screens.Status(words, self, None, facts, short))


def paint(
    film: preparing.Film,
    painter: frames.FramePainter,
    folder: work_folder.WorkFolder,
    should_stop: Callable[[], bool] = lambda: False,
    note_frame: Callable[[], None] = lambda: None,
) -> Outcome:
    """Paints all frames that the work folder does not have.

    A frame that cannot be painted repeats the one before it, and is noted in
    the work folder. An error ends the run if it is the first frame's, the third
    in a row, or not a frame's, such as a full disk.

    Args:
        film: The film.
        painter: Paints its frames.
        folder: Where frames are kept.
        should_stop: Whether to stop, asked at each step.
        note_frame: Called when there is a frame.
    """
    count = folder.count or film.clip.count
    progress = Progress(painter.passes * count, folder.passed * count, count)
    for passed in range(folder.passed, painter.passes):
        run = _Pass(film, painter, folder, passed, count)
        try:
            for _ in run.paint(progress, should_stop):
                note_frame()
        except StopError:
            return Outcome(run.done, passed)
        except Exception as error:
            return Outcome(run.done, passed, error=error)
        if run.done < count:
            log.warning(
                "%s ends early: %d of its %d frames could be decoded",
                film.clip.name,
                run.done,
                count,
            )
            count = run.done
        folder.end_pass(passed + 1, count)
    return Outcome(count, painter.passes - 1, is_done=True)


class _Pass:
    """One pass over a film, forward or backward.

    Attributes:
        done: Number of frames that are painted.
    """

    def __init__(
        self,
        film: preparing.Film,
        painter: frames.FramePainter,
        folder: work_folder.WorkFolder,
        passed: int,
        count: int,
    ):
        self._film, self._painter, self._folder = film, painter, folder
        self._passed, self._count = passed, count
        self._failures = 0
        self.done = 0

    def paint(
        self, progress: Progress, should_stop: Callable[[], bool]
    ) -> Iterator[None]:
        """Paints the frames that are missing; yields after each frame.

        Raises:
            StopError: If it was asked to stop.
        """
        reach = max(self._painter.look_back)
        recent: collections.deque[frames.Painted] = collections.deque(
            maxlen=reach
        )

        def follow(share: float) -> None:
            progress.follow(share)
            if should_stop():
                raise StopError

        while self.done < self._count and self._has(self.done):
            self.done += 1
            progress.end(False)
            yield
        begin = max(0, self.done - reach)
        for place, frame in enumerate(self._read(begin), begin):
            is_kept = self._has(place)
            if is_kept:
                result = self._folder.load(self._passed, frame.index)
            else:
                progress.begin()
                follow(0.0)
                result = self._paint(frame, recent, follow)
                self._folder.save(self._passed, frame.index, result)
            if place >= self.done:
                self.done = place + 1
                progress.end(not is_kept)
                yield
            # Kept at the film's size, which may be far smaller.
            pixels = image_io.resize(frame.pixels, *self._film.draft.size)
            small = dataclasses.replace(frame, pixels=pixels)
            recent.append(frames.Painted(small, result))

    def _read(self, begin: int) -> Iterator[frames.Frame]:
        """Yields the frames of the content in the order of the pass."""
        clip = self._film.clip
        if self._passed % 2:
            return clips.read_backward(clip, self._count, begin)
        return clip.read(begin, self._count)

    def _has(self, place: int) -> bool:
        """Returns whether the frame at a place of the pass is kept."""
        index = self._count - 1 - place if self._passed % 2 else place
        return self._folder.has(self._passed, index)

    def _paint(
        self,
        frame: frames.Frame,
        recent: "collections.deque[frames.Painted]",
        follow: Callable[[float], None],
    ) -> np.ndarray:
        """Paints a frame, or repeats the one before it if that fails."""
        earlier = None
        if self._passed:
            earlier = self._folder.load(self._passed - 1, frame.index)
        around = {
            distance: recent[-distance]
            for distance in self._painter.look_back
            if distance <= len(recent)
        }
        try:
            result = self._painter.paint(
                self._film.add_masks(frame),
                around,
                earlier,
                self._passed,
                follow,
            )
        except (StopError, MemoryError, OSError):
            raise
        except Exception as error:
            before = recent[-1].result if recent else earlier
            self._failures += 1
            if (
                before is None
                or self._failures >= MOST_FAILURES
                or device.is_out_of_memory(error)
            ):
                raise
            words = " ".join(str(error).split())[:300]
            log.warning(
                "frame %d failed and repeats the one before it: %s",
                frame.index,
                words or type(error).__name__,
            )
            self._folder.note_failure(self._passed, frame.index, words)
            return before
        self._failures = 0
        return result


def write(
    film: preparing.Film,
    painter: frames.FramePainter,
    folder: work_folder.WorkFolder,
    outcome: Outcome,
) -> int:
    """Writes the film of the frames that are painted.

    Returns:
        The number of its frames.

    Raises:
        OSError: If it cannot be written.
    """
    clip, job = film.clip, film.job
    count, _ = find_last(folder, outcome)
    display.show_stage(f"writing {film.output}")
    shown = clip.shown[:count]
    times = [time for each in shown for time in (each.time, each.duration)]
    metadata = {
        name: text
        for name, text in clip.metadata.items()
        if name.lower() != records.FILM_TAG
    }
    metadata[records.FILM_TAG] = preparing.make_record(film)
    options = writing.Options(
        film.options.crf,
        clip.rate,
        writing.find_unit(times),
        clip.find_sound(count),
        metadata,
        job.mark,
        job.keep_location,
        job.bit_depth,
    )
    stills = (
        writing.Still(frame.time, frame.duration, pixels)
        for frame, pixels in read_film(film, painter, folder, outcome)
    )
    writing.write(
        film.output,
        stills,
        options,
        lambda path, whole: folder.note_output(writing.digest(whole)),
    )
    return count


def read_film(
    film: preparing.Film,
    painter: frames.FramePainter,
    folder: work_folder.WorkFolder,
    outcome: Outcome,
) -> Iterator[tuple[frames.Frame, np.ndarray]]:
    """Yields the frames of the content, and those of the film."""
    count, passed = find_last(folder, outcome)
    for frame in film.clip.read(0, count):
        result = folder.load(passed, frame.index)
        yield frame, painter.finish(film.add_masks(frame), result)


def find_last(
    folder: work_folder.WorkFolder, outcome: Outcome
) -> tuple[int, int]:
    """Finds the last pass that a film can be written of.

    Of a pass that is not done that is the pass before it, if there is one.

    Returns:
        The number of its frames, and the pass, from 0.
    """
    if outcome.is_done or not outcome.passed:
        return outcome.number, outcome.passed
    return folder.count, outcome.passed - 1
