"""Reads films with PyAV: any file that FFmpeg reads."""

import contextlib
import functools
import logging
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from nst_tf.video import audio, clips

log = logging.getLogger("nst_tf")

MARGIN = Fraction(2)  # seconds, to seek before the frame that is needed
LARGEST_SD = 1280, 576  # (width, height); larger untagged films are BT.709
_BT709, _UNSPECIFIED, _BT601 = 1, 2, 5  # codes of ITU-T H.273
_HDR = 16, 18  # transfer functions PQ and HLG
_FULL_RANGE = ("yuvj", "rgb", "bgr", "gbr", "pal")  # of untagged formats
# Their time stamps are not those of presentation.
_UNTIMED_FORMATS = {"avi"}
# Network addresses in playlists are not followed.
OPTIONS = {"protocol_whitelist": "file,crypto,data"}


class FilmFile(clips.Clip):
    """A film in a file.

    Args:
        path: The file.
        selection: The part to read.

    Raises:
        ValueError: If it has no video, or no frame that can be decoded.
    """

    def __init__(self, path: Path, selection: clips.Selection):
        self._path = path
        self._warned = False
        with self._open() as container:
            stream = find_video(container, path)
            self._time_base = Fraction(stream.time_base)
            # Pixels that are not square are made so.
            self._aspect = Fraction(stream.sample_aspect_ratio or 1)
            times, end, notes = self._scan(container, stream)
            self._has_sound = bool(container.streams.audio)
            self.metadata = dict(container.metadata)
        # Which pts a position has; None: frames are counted.
        self._stamps = times if self._is_timed else None
        unit = self._time_base
        self._begin += times[0] * unit  # as the file counts
        self._is_cut = selection.end is not None
        self._size: tuple[int, int] | None = None
        with self._open() as container:
            first = next(self._frames(container, find_video(container, path)))
            picture = self._convert(first)
        self._size = picture.shape[:2]
        notes += _describe_colors(first)
        source = clips.Source(
            [(each - times[0]) * unit for each in times],
            (end - times[0]) * unit,
            *self._size,
        )
        super().__init__(str(path), source, selection, notes)

    def find_sound(self, count: int) -> audio.Sound | None:
        """Returns the sound of the first `count` frames."""
        if not self._has_sound or not count:
            return None
        first, last = self.shown[0], self.shown[count - 1]
        origin = self._begin + self.offset
        is_last = last.position == len(self.source.times) - 1
        return audio.Sound(
            self._path,
            origin,
            origin if first.position else None,
            None
            if is_last and not self._is_cut
            else origin + last.time + last.duration,
        )

    def list_files(self) -> Sequence[Path]:
        """Lists the file."""
        return [self._path]

    def decode(self, position: int) -> Iterator[clips.Decoded]:
        """Yields frames, from the key frame before a position."""
        return self._decode(position, self._stamps is not None)

    def _decode(self, position: int, seeks: bool) -> Iterator[clips.Decoded]:
        """Yields frames, from the first one if it does not seek."""
        known = {pts: i for i, pts in enumerate(self._stamps or ())}
        with self._open() as container:
            stream = find_video(container, self._path)
            if seeks and self._stamps:
                early = self._stamps[position] - int(MARGIN / self._time_base)
                seeks = early > self._stamps[0]
                if seeks:
                    container.seek(early, stream=stream, backward=True)
            last = -1
            for frame in self._frames(container, stream):
                index = known.get(frame.pts, -1) if known else last + 1
                if index <= last:
                    continue
                if seeks and last < 0 and index > position:  # it went too far
                    break
                last = index
                yield index, functools.partial(self._convert, frame)
            else:
                return
        yield from self._decode(position, False)

    @contextlib.contextmanager
    def _open(self) -> Iterator[Any]:
        """Opens the file.

        Raises:
            ValueError: If FFmpeg cannot read it.
        """
        import av

        try:
            container = av.open(str(self._path), options=OPTIONS)
        except (av.error.FFmpegError, OSError) as error:
            words = getattr(error, "strerror", "") or str(error)
            if isinstance(error, av.error.EOFError):
                words = "it has no frames"
            raise ValueError(
                f"{self._path} cannot be read as a film: {words}."
            ) from error
        with container:
            yield container

    def _scan(
        self, container: Any, stream: Any
    ) -> tuple[list[int], int, list[str]]:
        """Reads the times of all frames, without decoding them.

        Returns:
            Times in units of the stream, ascending; the end of the last one;
            notes.

        Raises:
            ValueError: If there is no frame.
        """
        import av

        found: dict[int | None, int] = {}  # pts -> duration
        number, until = 0, Fraction(0)
        with contextlib.suppress(av.error.FFmpegError):
            for packet in container.demux():
                if packet.size == 0 or packet.is_discard:
                    continue
                if packet.pts is not None and packet.time_base:
                    end = packet.pts + (packet.duration or 0)
                    until = max(until, end * packet.time_base)
                if packet.stream.index == stream.index:
                    number += 1
                    found[packet.pts] = packet.duration or 0
        if not number:
            raise ValueError(f"{self._path} has a video stream of no frames.")
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        usual = max(1, round(1 / (rate * self._time_base)))
        notes = self._describe_damage(container, stream, number, until)
        self._is_timed = (
            None not in found and container.format.name not in _UNTIMED_FORMATS
        )
        self._begin = Fraction(0)
        if not self._is_timed:
            self._begin = (stream.start_time or 0) * self._time_base
            self._time_base = 1 / rate
            return list(range(number)), number, notes
        times = sorted(time for time in found if time is not None)
        end = times[-1] + (found[times[-1]] or usual)
        if stream.duration:  # with B-frames, durations of MP4 are of others
            declared = (stream.start_time or 0) + stream.duration
            end = min(end, declared) if declared > times[-1] else end
        return times, end, notes

    def _describe_damage(
        self, container: Any, stream: Any, number: int, until: Fraction
    ) -> list[str]:
        """Describes what is missing at the end of a file."""
        begin = Fraction(container.start_time or 0, 10**6)
        length = Fraction(container.duration or 0, 10**6)
        found = until - begin
        if stream.frames <= number and length <= found + 1:
            return []
        return [
            f"{self._path} is cut off: it has {number} frames, and "
            f"{float(found):.4g} of {float(length):.4g} s"
        ]

    def _frames(self, container: Any, stream: Any) -> Iterator[Any]:
        """Yields the frames that can be decoded, as PyAV has them.

        Raises:
            ValueError: If there is none.
        """
        import av

        count, is_damaged, is_skipped = 0, False, False
        packets = container.demux(stream)
        while not is_damaged:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except av.error.FFmpegError:
                packet, is_damaged = None, True
            try:
                for frame in stream.codec_context.decode(packet):
                    count += 1
                    yield frame
            except av.error.EOFError:
                break
            except av.error.FFmpegError:
                is_skipped = True
        if not count:
            raise ValueError(
                f"{self._path} has no frame that can be decoded; the file is "
                "damaged."
            )
        if (is_damaged or is_skipped) and not self._warned:
            self._warned = True
            log.warning(
                "%s is damaged: frames that cannot be decoded repeat the "
                "frame before them",
                self._path,
            )

    def _convert(self, frame: Any) -> np.ndarray:
        """Makes an upright picture of a frame, [H, W, 3], float32 in [0, 1]."""
        if frame.colorspace == _UNSPECIFIED:
            is_small = frame.width < LARGEST_SD[0]
            is_small = is_small and frame.height <= LARGEST_SD[1]
            frame.colorspace = _BT601 if is_small else _BT709
        color_range = frame.color_range
        if not color_range:
            is_full = frame.format.name.startswith(_FULL_RANGE)
            color_range = 2 if is_full else 1
        turns = round(frame.rotation / 90)
        height, width = frame.height, round(frame.width * self._aspect)
        if self._size:  # a film may change its size
            height, width = self._size[::-1] if turns % 2 else self._size
        planes = frame.to_ndarray(
            format="gbrpf32le",
            width=width,
            height=height,
            src_color_range=color_range,
            interpolation="BICUBIC",
        )
        return np.clip(np.ascontiguousarray(np.rot90(planes, turns)), 0.0, 1.0)


def find_video(container: Any, path: Path) -> Any:
    """Finds the first stream of video that is not a cover picture.

    Raises:
        ValueError: If there is none, or no decoder for it.
    """
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise ValueError(f"{path} has video that FFmpeg cannot decode.")
            return stream
    raise ValueError(f"{path} has no video stream; pass a film.")


def _describe_colors(frame: Any) -> list[str]:
    """Describes what is not converted in a film."""
    notes = []
    if frame.color_trc in _HDR:
        notes.append(
            "the film is HDR; its colors are read as if they were SDR. Convert "
            "it first, with FFmpeg's filter tonemap"
        )
    if frame.interlaced_frame:
        notes.append(
            "the film is interlaced, and its combs will be painted; remove "
            "them first, with FFmpeg's filter bwdif"
        )
    return notes
