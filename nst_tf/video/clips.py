"""The film to paint: its frames, one by one, as often as needed.

`film_file` reads what FFmpeg reads, `frame_folder` numbered pictures.
"""

import abc
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nst_tf.video import audio, frames

log = logging.getLogger("nst_tf")

CHUNK = 500_000_000  # bytes of frames that are read to go backward
EARLY = Fraction(1, 4)  # of a frame; times in milliseconds are that exact


class Selection(NamedTuple):
    """The part of a film to paint."""

    start: Fraction = Fraction(0)  # seconds
    end: Fraction | None = None  # seconds; None: the end of the film
    fps: Fraction | None = None  # frames a second at most; None: all frames
    limit: int = 0  # frames at most, from the start; 0: all


class Shown(NamedTuple):
    """A frame of the selection."""

    position: int  # in the whole film, from 0
    time: Fraction  # seconds after the first frame of the selection
    duration: Fraction  # seconds


class Source(NamedTuple):
    """A film, before a part of it is selected."""

    times: Sequence[Fraction]  # of each frame, ascending, from 0
    end: Fraction  # of the last frame
    height: int  # of an upright frame
    width: int


Decoded = tuple[int, Callable[[], np.ndarray]]  # position, and the pixels


class Clip(abc.ABC):
    """A part of a film. It can be read again, from any of its frames.

    Attributes:
        name: The file, the folder or the pattern.
        source: The whole film.
        shown: The frames of the part; some may turn out to be missing.
        offset: When the part begins, in seconds of the film.
        notes: What the user should know.
        metadata: What the file says of itself.
    """

    metadata: Mapping[str, str] = {}

    def __init__(
        self, name: str, source: Source, selection: Selection, notes: list[str]
    ):
        self.name, self.source, self.notes = name, source, notes
        chosen = select(source, selection)
        if not chosen:
            raise ValueError(
                f"{name} has no frame from {float(selection.start):g} s on"
                + (f" to {float(selection.end):g} s" if selection.end else "")
                + f"; it is {float(source.end):.4g} s long."
            )
        self.shown = chosen
        self.offset = source.times[chosen[0].position]

    @property
    def count(self) -> int:
        """The number of frames, if none is missing."""
        return len(self.shown)

    @property
    def seconds(self) -> Fraction:
        """How long the part is."""
        return self.shown[-1].time + self.shown[-1].duration

    @property
    def rate(self) -> Fraction:
        """The average number of frames a second."""
        rate = self.count / self.seconds
        return rate.limit_denominator(1001)

    def find_sound(self, count: int) -> audio.Sound | None:
        """Returns the sound of the first `count` frames; None: there is none.

        To the last frame of the whole film belongs all that follows it.
        """
        return None

    def read(
        self, first: int = 0, stop: int | None = None
    ) -> Iterator[frames.Frame]:
        """Yields frames in order.

        A frame that cannot be decoded has the picture before it, or after it if
        there is none. At the end of a film that is cut off they are left out.

        Args:
            first: The index of the first one.
            stop: The index after the last one; None: to the end.
        """
        wanted = self.shown[first:stop]
        if not wanted:
            return
        decoded = self.decode(wanted[0].position)
        before: Decoded | None = None  # the last one that is not too late
        ahead = next(decoded, None)
        for index, each in enumerate(wanted, first):
            while ahead and ahead[0] <= each.position:
                before, ahead = ahead, next(decoded, None)
            is_here = before is not None and before[0] == each.position
            if ahead is None and not is_here:
                return
            found = before or ahead
            assert found  # noqa: S101
            pixels = found[1]()
            pixels.flags.writeable = False
            yield frames.Frame(index, each.time, each.duration, pixels)

    @abc.abstractmethod
    def list_files(self) -> Sequence[Path]:
        """Lists the files that the film is read from."""

    @abc.abstractmethod
    def decode(self, position: int) -> Iterator[Decoded]:
        """Yields frames of the whole film in order, from a position or before.

        Args:
            position: The first frame that is needed.
        """


def select(source: Source, selection: Selection) -> list[Shown]:
    """Lists the frames of a part.

    With `fps`, a frame is shown at a multiple of 1 / fps, and of frames that
    would be shown at the same time the first is kept. None is shown twice.
    """
    start, end, fps, limit = selection
    chosen: list[tuple[int, Fraction]] = []
    for position, time in enumerate(source.times):
        if time < start or (end is not None and time >= end):
            continue
        if fps:
            first = source.times[chosen[0][0]] if chosen else time
            time = math.floor((time - first) * fps + EARLY) / fps
            if chosen and time <= chosen[-1][1]:
                continue
        chosen.append((position, time))
    if not chosen:
        return []
    after = source.end if end is None else min(end, source.end)
    if fps:
        after = max(after - source.times[chosen[0][0]], chosen[-1][1] + 1 / fps)
    if 0 < limit < len(chosen):
        after = chosen[limit][1]
        chosen = chosen[:limit]
    first = chosen[0][1]
    ends = [*(time for _, time in chosen[1:]), after]
    return [
        Shown(position, time - first, then - time)
        for (position, time), then in zip(chosen, ends, strict=True)
    ]


def read_backward(
    clip: Clip, count: int, first: int = 0, chunk: int = 0
) -> Iterator[frames.Frame]:
    """Yields the first `count` frames in reverse, a few in memory.

    Args:
        clip: The film.
        count: Number of frames.
        first: Frames to leave out, at the end of the film.
        chunk: Number of frames in memory; 0: as many as `CHUNK` holds.
    """
    pixels = clip.source.height * clip.source.width
    chunk = chunk or max(2, min(16, CHUNK // (12 * pixels)))
    stop = count - first
    while stop > 0:
        begin = max(0, stop - chunk)
        yield from reversed(list(clip.read(begin, stop)))
        stop = begin
