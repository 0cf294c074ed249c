"""Carries the sound of a film over to another, cut to the same part."""

import contextlib
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

RATE = 48000  # samples a second of sound that is encoded again
# Codecs that a format takes as they are, and the encoder for all others.
COPIED = {
    "mp4": {"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"},
    "webm": {"opus", "vorbis"},
}
ENCODERS = {"mp4": "aac", "webm": "libopus"}


class Sound(NamedTuple):
    """A part of the sound of a file, in seconds of its time stamps."""

    path: Path
    origin: Fraction  # when the first frame of the film is shown
    start: Fraction | None = None  # None: from its beginning
    end: Fraction | None = None  # None: to its end


class Track:
    """Copies all sound of a file into an output container.

    Args:
        container: The output, of PyAV.
        sound: The sound to copy.
    """

    def __init__(self, container: Any, sound: Sound):
        import av

        self._container, self._sound = container, sound
        self._source = av.open(str(sound.path))
        self._outputs: dict[int, tuple[Any, bool]] = {}
        form = container.format.name
        for stream in self._source.streams.audio:
            if stream.codec_context is None:
                continue
            copies = stream.codec_context.codec.canonical_name in COPIED[form]
            if copies:
                output = container.add_stream_from_template(stream)
            else:
                output = container.add_stream(
                    ENCODERS[form], rate=RATE, layout=stream.layout.name
                )
            for name in ("language", "title"):
                if stream.metadata.get(name):
                    output.metadata[name] = stream.metadata[name]
            self._outputs[stream.index] = output, copies
        self._packets = self._read()
        self._ahead: tuple[Fraction, Any] | None = next(self._packets, None)

    def mux(self, until: Fraction | None = None) -> None:
        """Writes the sound up to a time of the film, in seconds; None: all."""
        while self._ahead and (until is None or self._ahead[0] <= until):
            self._container.mux(self._ahead[1])
            self._ahead = next(self._packets, None)

    def close(self) -> None:
        """Closes the file that the sound is from."""
        self._packets.close()
        self._source.close()

    def _read(self) -> Generator[tuple[Fraction, Any], None, None]:
        """Yields packets of the output, with their times."""
        import av

        streams = [self._source.streams[index] for index in self._outputs]
        if not streams:
            return
        with contextlib.suppress(av.error.FFmpegError):  # a truncated file
            for packet in self._source.demux(streams):
                output, copies = self._outputs[packet.stream.index]
                if copies:
                    yield from self._copy(packet, output)
                else:
                    yield from self._encode(packet, output)
        for output, copies in self._outputs.values():
            if not copies:
                yield from ((Fraction(0), each) for each in output.encode())

    def _copy(self, packet: Any, output: Any) -> Iterator[tuple[Fraction, Any]]:
        """Yields a packet if it is in the part."""
        if packet.dts is None or not self._is_inside(packet):
            return
        shift = round(self._sound.origin / packet.time_base)
        time = (packet.dts - shift) * packet.time_base
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = output
        yield time, packet

    def _encode(
        self, packet: Any, output: Any
    ) -> Iterator[tuple[Fraction, Any]]:
        """Decodes a packet, and yields packets of the output's codec."""
        import av

        try:
            decoded = packet.decode()
        except av.error.FFmpegError:  # damaged
            return
        for frame in decoded:
            if frame.pts is None or not self._is_inside(frame):
                continue
            frame.pts -= round(self._sound.origin / frame.time_base)
            time = frame.pts * frame.time_base
            yield from ((time, each) for each in output.encode(frame))

    def _is_inside(self, piece: Any) -> bool:
        """Returns whether a packet or a frame begins in the part."""
        start, end = self._sound.start, self._sound.end
        time = piece.pts * piece.time_base
        return (start is None or start <= time) and (end is None or time < end)
