"""Small films, made by PyAV, and a painter without a network."""

import types
from fractions import Fraction

import av
import numpy as np

from nst_tf.plan import settings
from nst_tf.video import clips, command_line, film_file, preparing

RATE = 24


def draw(index, height=48, width=64):
    """A frame whose gray says its index, with red at the top left."""
    picture = np.full((height, width, 3), 20 + 4 * index, np.uint8)
    picture[: height // 3, : width // 3] = 200, 30, 30
    return picture


def read_index(pixels):
    """The index that `draw` has drawn."""
    return round((255 * float(pixels[-4:, -4:].mean()) - 20) / 4)


def make(path, count=12, size=(48, 64), **chosen):
    """Makes a film of `count` frames, with a tone of that length."""
    codec = chosen.get("codec", "libx264")
    times = chosen.get("times") or range(count)
    unit = chosen.get("unit", Fraction(1, RATE))
    with av.open(str(path), "w", options=chosen.get("options", {})) as file:
        stream = file.add_stream(codec, rate=RATE)
        stream.height, stream.width = size
        stream.pix_fmt = chosen.get("form", "yuv420p")
        stream.codec_context.time_base = unit
        for name, value in chosen.get("tags", {}).items():
            setattr(stream.codec_context, name, value)
        if chosen.get("sound"):
            tone = file.add_stream(chosen["sound"], rate=48000)
        draw_frame = chosen.get("draw", lambda index: draw(index, *size))
        for index in range(count):
            picture = draw_frame(index)
            if isinstance(picture, np.ndarray):
                picture = av.VideoFrame.from_ndarray(picture, format="rgb24")
            picture.pts, picture.time_base = times[index], unit
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
        if chosen.get("sound"):
            end = times[count - 1] * unit + Fraction(1, RATE)
            _add_tone(file, tone, int(48000 * end))
    return path


def _add_tone(file, stream, length):
    """Writes a tone of so many samples."""
    wave = 0.3 * np.sin(np.arange(length) / 20).astype(np.float32)
    for begin in range(0, length, 1024):
        part = wave[None, begin : begin + 1024]
        frame = av.AudioFrame.from_ndarray(part, "fltp", "mono")
        frame.sample_rate, frame.pts = 48000, begin
        file.mux(stream.encode(frame))
    file.mux(stream.encode())


def measure_sound(path):
    """The name of a film's audio codec, its start and its end in seconds.

    They are relative to the first frame.
    """
    with av.open(str(path)) as file:
        if not file.streams.audio:
            return None
        stream, video = file.streams.audio[0], file.streams.video[0]
        pieces = list(file.decode(stream))
        begin = pieces[0].pts * pieces[0].time_base
        begin -= (video.start_time or 0) * video.time_base
        length = sum(each.samples for each in pieces) / pieces[0].sample_rate
        name = stream.codec_context.codec.canonical_name
        return name, float(begin), float(begin) + length


def open_film(path, **selection):
    """Opens a film, or a part of it."""
    return film_file.FilmFile(path, clips.Selection(**selection))


class Painter:
    """Paints frames that depend on all that a painter may use."""

    def __init__(self, passes=1, look_back=(1, 2, 4), fails=()):
        self.passes, self.look_back = passes, look_back
        self.painted = []
        self._fails = fails

    def paint(self, frame, recent, earlier=None, passed=0, follow=None):
        """Mixes a frame with its neighbors, by their distance."""
        if frame.index in self._fails:
            raise FloatingPointError("the loss is NaN")
        follow(0.5)
        self.painted.append((passed, frame.index))
        result = 0.5 * frame.pixels + 0.01 * passed
        for distance, other in recent.items():
            assert abs(other.frame.index - frame.index) == distance
            result += 0.3 / distance * other.result
        if earlier is not None:
            result = 0.5 * (result + earlier)
        return np.clip(result, 0.0, 1.0).astype(np.float32)

    def finish(self, frame, result):
        """Leaves it as it is."""
        return result


def prepare(clip, output, **chosen):
    """A film to paint at the size of its content."""
    return preparing.Film(
        command_line.Options(**chosen),
        settings.Job(),
        clip,
        {},
        None,
        types.SimpleNamespace(size=(clip.source.height, clip.source.width)),
        output,
        output.with_name(f"{output.name}.work"),
    )
