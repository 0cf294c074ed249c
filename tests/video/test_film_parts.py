"""Parts of a film: streams, colors, sound, time left, places, notes."""

import errno
import logging
import sys
import types
from fractions import Fraction
from pathlib import Path

import av
import films
import numpy as np
import pytest

from nst_tf.plan import settings
from nst_tf.video import (
    audio,
    clips,
    command,
    command_line,
    film_file,
    filming,
    flow,
    preparing,
    work_folder,
    writing,
)


class _Decoder:
    """A film of some time stamps, whose file seeks and yields as it is told."""

    def __init__(self, stamps, reads, unit=Fraction(1, 10)):
        self.film = film_file.FilmFile.__new__(film_file.FilmFile)
        self.film._stamps, self.film._time_base = stamps, unit
        self.film._path = Path("x.mp4")
        self.seeks, reads = [], iter(reads)
        container = types.SimpleNamespace(
            seek=lambda at, **more: self.seeks.append((at, more))
        )
        self.film._open = lambda: _Context(container)
        self.film._frames = lambda container, stream: [
            types.SimpleNamespace(pts=pts) for pts in next(reads)
        ]

    def decode(self, position):
        return [index for index, _ in self.film.decode(position)]


class _Context:
    def __init__(self, value):
        self._value = value

    def __enter__(self):
        return self._value

    def __exit__(self, *_):
        return None


@pytest.fixture
def stream(monkeypatch):
    monkeypatch.setattr(film_file, "find_video", lambda *given: "video")


def test_a_late_frame_is_sought_two_seconds_before_it(stream):
    stamps = [*range(100, 150)]
    found = _Decoder(stamps, [[128, 128, 127, 130, 7, 131]])
    assert found.decode(30) == [28, 30, 31]  # of each frame the first
    assert found.seeks == [(110, {"stream": "video", "backward": True})]
    early = _Decoder(stamps, [stamps])
    assert early.decode(20) == [*range(50)]  # from the beginning
    assert early.seeks == []
    assert _Decoder(stamps, [stamps]).decode(21) == [*range(50)]


@pytest.mark.parametrize("first", [130, 131])
def test_a_film_that_is_sought_too_far_is_read_from_the_beginning(
    stream, first
):
    stamps = [*range(100, 150)]
    found = _Decoder(stamps, [[first, *range(first + 1, 150)], stamps])
    expected = [*range(30, 50)] if first == 130 else [*range(50)]
    assert found.decode(30) == expected
    assert len(found.seeks) == 1


def test_frames_without_times_are_counted(stream):
    found = _Decoder(None, [[None, None, 3]])
    assert found.decode(2) == [0, 1, 2]
    assert found.seeks == []


def _picture(**changes):
    """A frame of PyAV, of flat gray, with other properties."""
    given = {"form": "yuv420p", "size": (64, 48), **changes}
    frame = av.VideoFrame(*given["size"], given["form"])
    for plane in frame.planes:
        plane.update(bytes([128]) * plane.buffer_size)
    return frame


@pytest.mark.parametrize(
    ("size", "matrix"),
    [
        *(((1279, 576), 5), ((1280, 576), 1), ((1279, 577), 1), ((64, 48), 5)),
    ],
)
def test_large_films_without_tags_are_bt709(size, matrix):
    film = film_file.FilmFile.__new__(film_file.FilmFile)
    film._size, film._aspect = (4, 6), Fraction(1)
    given = {}

    def convert(**options):
        given.update(options)
        return np.zeros((4, 6, 3), np.float32)

    frame = types.SimpleNamespace(
        colorspace=2, width=size[0], height=size[1], rotation=0,
        color_range=0, format=types.SimpleNamespace(name="yuv420p"),
        to_ndarray=convert,
    )  # fmt: skip
    film._convert(frame)
    assert frame.colorspace == matrix
    assert given == {
        **{"format": "gbrpf32le", "width": 6, "height": 4},
        **{"src_color_range": 1, "interpolation": "BICUBIC"},
    }
    for name, color_range, expected in (
        *(("yuvj420p", 0, 2), ("rgb24", 0, 2), ("bgr0", 0, 2)),
        *(("gbrp", 0, 2), ("pal8", 0, 2), ("yuv420p", 2, 2), ("rgb24", 1, 1)),
    ):
        frame.format.name, frame.color_range = name, color_range
        film._convert(frame)
        assert given["src_color_range"] == expected
    frame.colorspace = 9
    film._convert(frame)
    assert frame.colorspace == 9


def test_what_is_not_converted_is_said():
    def describe(transfer, interlaced):
        frame = types.SimpleNamespace(
            color_trc=transfer, interlaced_frame=interlaced
        )
        return " ".join(film_file._describe_colors(frame))

    assert describe(1, False) == describe(17, False) == ""
    assert "HDR" in describe(16, False) and "HDR" in describe(18, False)
    assert "interlaced" in describe(1, True)


def test_the_first_stream_of_video_is_read_and_no_cover():
    def stream(is_cover=False, context="codec"):
        kind = av.stream.Disposition.attached_pic if is_cover else 0
        return types.SimpleNamespace(disposition=kind, codec_context=context)

    def find(*video):
        streams = types.SimpleNamespace(video=video)
        container = types.SimpleNamespace(streams=streams)
        return film_file.find_video(container, Path("x.mp4"))

    first = stream()
    assert find(stream(True), first, stream()) is first
    with pytest.raises(ValueError, match="x.mp4 has no video stream"):
        find(stream(True))
    with pytest.raises(ValueError, match="has video that FFmpeg cannot decode"):
        find(stream(context=None))


@pytest.mark.parametrize(
    ("frames", "until", "is_cut_off"),
    [(10, 10, False), (9, 5, False), (11, 10, True), (10, 9, False), (9, 2, 1)],
)
def test_a_film_without_its_end_is_cut_off(frames, until, is_cut_off):
    film = film_file.FilmFile.__new__(film_file.FilmFile)
    film._path = Path("x.mp4")
    container = types.SimpleNamespace(start_time=2_000_000, duration=6_000_000)
    stream = types.SimpleNamespace(frames=frames)
    until = {10: 8, 5: 7, 9: 8, 2: Fraction(69, 10)}[until]
    notes = film._describe_damage(container, stream, 10, Fraction(until))
    assert bool(notes) == bool(is_cut_off)
    if frames == 9:
        return
    container.start_time = container.duration = None
    stream.frames = 0
    assert film._describe_damage(container, stream, 10, Fraction(1)) == []


class _Streams(list):
    @property
    def audio(self):
        return self


class _Container:
    """An output that takes packets."""

    def __init__(self, form):
        self.format = types.SimpleNamespace(name=form)
        self.added, self.muxed = [], []

    def add_stream_from_template(self, stream):
        return self._add("copy", stream)

    def add_stream(self, name, **options):
        return self._add(name, options)

    def _add(self, *given):
        self.added.append(given)
        return types.SimpleNamespace(
            metadata={}, encode=lambda frame=None: [frame or "rest"]
        )

    def mux(self, packet):
        self.muxed.append(packet)


def _sound_stream(index, codec, **tags):
    context = None
    if codec:
        name = types.SimpleNamespace(canonical_name=codec)
        context = types.SimpleNamespace(codec=name)
    layout = types.SimpleNamespace(name="stereo")
    return types.SimpleNamespace(
        index=index, codec_context=context, layout=layout, metadata=tags
    )


def _packet(stream, time, **changes):
    unit = Fraction(1, 10)
    given = {"pts": time, "dts": time, "time_base": unit, "stream": stream}
    return types.SimpleNamespace(**{**given, **changes})


def test_sound_is_copied_or_encoded_within_its_part(monkeypatch):
    streams = _Streams([
        _sound_stream(0, "aac", language="eng", title="Voice", other="x"),
        _sound_stream(1, None),
        _sound_stream(2, "vorbis"),
    ])  # fmt: skip
    aac, _, vorbis = streams
    decoded = [_packet(None, time) for time in (None, 9, 10, 29, 30)]

    def damaged():
        raise av.error.InvalidDataError(1, "damaged")

    packets = [_packet(aac, time) for time in (9, 10, 29, 30)]
    packets.insert(2, _packet(aac, 15, dts=None))
    packets.insert(3, _packet(vorbis, 15, decode=damaged))
    packets.insert(4, _packet(vorbis, 15, decode=lambda: decoded))
    closed = []
    source = types.SimpleNamespace(
        streams=streams, demux=lambda asked: iter(packets),
        close=lambda: closed.append(True),
    )  # fmt: skip
    monkeypatch.setattr(av, "open", lambda path: source)
    container = _Container("mp4")
    second = Fraction(1)
    track = audio.Track(
        container, audio.Sound(Path("x"), second, second, 3 * second)
    )
    assert container.added == [
        ("copy", aac),
        ("aac", {"rate": 48000, "layout": "stereo"}),
    ]
    assert track._outputs[0][0].metadata == {
        **{"language": "eng", "title": "Voice"}
    }
    track.mux(Fraction(0))
    assert container.muxed == [packets[1], decoded[2]]
    assert (packets[1].pts, packets[1].dts, decoded[2].pts) == (0, 0, 0)
    assert packets[1].stream is track._outputs[0][0]
    track.mux()
    assert container.muxed[2:] == [decoded[3], packets[-2], "rest"]
    assert (decoded[3].pts, packets[-2].pts, packets[-2].dts) == (19, 19, 19)
    track.close()
    assert closed == [True]


def test_a_frame_is_shown_with_its_pass_and_the_time_left(monkeypatch):
    now, shown = [7.0], []
    monkeypatch.setattr(filming.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(filming.display, "show_status", shown.append)
    progress = filming.Progress(6, 2, 6)
    assert (progress.seconds, progress.share(0.0)) == (0.0, None)
    progress.end(False)
    assert shown[-1].label == shown[-1].short == "frame 4 of 6"
    progress.begin()
    progress.follow(0.25)
    now[0] += 3
    progress.end()
    assert progress.seconds == 3  # of the first, which compiles
    assert progress.share(0.0) == pytest.approx(4 / 6)
    progress.begin()
    progress.follow(0.5)
    assert progress.share(0.0) == pytest.approx(4.5 / 6)
    assert progress.remaining(0.0) == pytest.approx(1.5 * 3)
    progress.begin()  # it begins again, and its share does not fall
    assert progress.share(0.0) == pytest.approx(4.5 / 6)
    for seconds in range(1, 12):
        progress.begin()
        now[0] += seconds
        progress.end()
    assert progress.seconds == sum(range(2, 12)) / 10
    assert (progress.share(0.0), progress.remaining(0.0)) == (1.0, 0.0)
    assert shown[-1].label == "frame 6 of 6, 6.5 s a frame"
    assert shown[-1].short == "frame 6 of 6"


def _film(clip=None, output="o.mp4", size=(48, 64), **options):
    film = types.SimpleNamespace(
        options=command_line.Options(**options), job=settings.Job(),
        clip=clip or types.SimpleNamespace(
            notes=["a note"], count=5, find_sound=lambda count: count == 5
        ),
        draft=types.SimpleNamespace(size=size), output=Path(output),
        read=types.SimpleNamespace(styles=()), work=Path("o.work"),
    )  # fmt: skip
    return film


def test_what_the_output_does_not_keep_is_noted():
    assert command._list_notes(_film()) == ["a note"]
    padded = "a note", ".mp4 films have even sides: the last row or column is "
    for size, words in (
        ((47, 64), "repeated, to 64 x 48"),
        ((48, 63), "repeated, to 64 x 48"),
    ):
        notes = command._list_notes(_film(output="o.MP4", size=size))
        assert notes == [padded[0], padded[1] + words]
        assert command._list_notes(_film(output="o.webm", size=size)) == [
            "a note"
        ]
    folder = ["a note", "a folder of PNG has no sound"]
    assert command._list_notes(_film(output="o")) == folder


@pytest.mark.parametrize("source", ["files", "still"])
def test_a_painter_has_the_settings_of_its_film(monkeypatch, source):
    checked, made = [], []

    class Files(flow.FloFiles):
        def check(self, count, look_back):
            checked.append((count, look_back))

    given = Files("x") if source == "files" else flow.Still()
    monkeypatch.setattr(command.flow, "make", lambda name: given)
    monkeypatch.setattr(
        command.film_painter, "FilmPainter", lambda *given: made.append(given)
    )
    chosen = {"look_back": (1, 3), "temporal_weight": 7.0, "frame_steps": 9}
    film = _film(passes=2, **chosen)
    command.make_painter(film)
    ((job, read, agreement, used),) = made
    assert (job, read, used) == (film.job, film.read, given)
    assert agreement == command.film_painter.Agreement(**chosen, passes=2)
    assert checked == ([(5, (1, 3))] if source == "files" else [])


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OSError(28, "full"), 1, "[Errno 28] full; repeat the command to"),
        (ValueError("damaged"), 1, "damaged; repeat the command to continue"),
        (MemoryError("no memory"), 3, "memory"),
    ],
)
def test_why_painting_ended_is_a_status(
    capsys, monkeypatch, error, status, words
):
    def report(error):
        print(error, file=sys.stderr)
        return 3

    monkeypatch.setattr(command.console, "report_failure", report)
    assert command.report_failure(error) == status
    assert words in capsys.readouterr().err


def test_frames_are_at_most_so_large():
    source = types.SimpleNamespace(height=1000, width=2000)
    clip = types.SimpleNamespace(name="x.mp4", source=source)
    preparing.check_pixels(clip, 2.0)
    with pytest.raises(ValueError, match="x.mp4 is 2000 x 1000, more than the"):
        preparing.check_pixels(clip, 1.99)


@pytest.mark.parametrize(
    ("output", "depth", "passes", "need"),
    [
        ("o.mp4", 8, 1, 10 * 896 + 160),
        ("o.mp4", 8, 3, 20 * 896 + 160),
        ("o", 8, 1, 10 * 896 + 10 * 64 * 4),
        ("o", 16, 1, 10 * 896 + 10 * 64 * 8),
    ],
)
def test_the_disk_has_room_for_frames_and_film(
    tmp_path, monkeypatch, output, depth, passes, need
):
    assert work_folder.measure_frame(8, 8) == 128 + 12 * 64 == 896
    options = command_line.Options(passes=passes)
    clip = types.SimpleNamespace(count=10)
    draft = types.SimpleNamespace(size=(8, 8))
    job = settings.Job(bit_depth=depth)
    work = tmp_path / "w" / "below"
    film = preparing.Film(
        options, job, clip, {}, None, draft, tmp_path / output, work
    )
    for free, is_enough in ((need, True), (need - 1, False)):
        usage = types.SimpleNamespace(free=free)
        monkeypatch.setattr(
            preparing.shutil, "disk_usage", lambda path, usage=usage: usage
        )
        if is_enough:
            preparing.check_disk(film)
        else:
            with pytest.raises(ValueError, match="but 10 frames of 8 x 8 need"):
                preparing.check_disk(film)
    (work / "pass1").mkdir(parents=True)
    (work / "pass1" / "000000.npy").write_bytes(bytes(896))
    preparing.check_disk(film)  # a frame is there


def test_of_a_film_its_name_is_made_of_its_pictures():
    read = types.SimpleNamespace(list_style_sources=lambda: ["b/c.png", "d"])
    job = settings.Job(content="a/frames/%04d.png")
    assert preparing.choose_output(job, read) == Path("04d-c-d.mp4")
    long = settings.Job(content="x" * 99)
    assert preparing.choose_output(long, read) == Path(f"{'x' * 60}.mp4")
    given = settings.Job(output="~/a/../o.webm")
    assert preparing.choose_output(given, read) == Path("~/o.webm").expanduser()


@pytest.mark.skipif(not hasattr(preparing.os, "mkfifo"), reason="no pipes")
def test_a_pipe_is_no_film(tmp_path):
    preparing.os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(ValueError, match="is not a regular file; pass a film"):
        preparing.open_clip(str(tmp_path / "pipe.mp4"), clips.Selection())


def test_a_record_names_no_folder_of_weights_and_keeps_keywords():
    film = _film()
    film.job = settings.Job(content="c", weights="/home/a.h5", init="noise")
    record = preparing.make_record(film)
    assert '"weights": "./a.h5"' in record
    assert '"init": "noise"' in record


def test_a_film_is_identified_by_what_decides_its_pixels(tmp_path):
    path = films.make(tmp_path / "a.mp4", 3)
    clip = films.open_film(path, start=Fraction(1, films.RATE))
    (tmp_path / "flows").mkdir()
    chosen = {"fps": "9", "look_back": (1, 3), "temporal_weight": 7.0}
    chosen |= {"frame_steps": 9, "flow": str(tmp_path / "flows")}
    identities = []
    for passes in (1, 2):
        film = films.prepare(clip, tmp_path / "o.mp4", passes=passes, **chosen)
        identities.append(preparing.identify(film, {"size": 5}))
    first, second = identities
    assert first | {"frames": 2} == second != first
    assert (first["size"], first["start"]) == (5, "1/24")
    assert (first["fps"], first["look_back"]) == ("9", [1, 3])
    assert (first["temporal_weight"], first["frame_steps"]) == (7.0, 9)
    assert first["PyAV"] == av.__version__
    (tmp_path / "flows" / "a.flo").write_bytes(b"flow")
    assert preparing.identify(film, {"size": 5})["flow"] != first["flow"]


def test_the_quality_of_each_format_has_its_bounds(tmp_path):
    for name, highest in (("o.mp4", 51), ("o.WEBM", 63)):
        for crf in (0, highest):
            writing.check(tmp_path / name, crf)
        for crf in (-1, highest + 1):
            with pytest.raises(ValueError, match=f"expected 0 to {highest} "):
                writing.check(tmp_path / name, crf)
    assert writing.find_unit([Fraction(1, 10**6)]) == Fraction(1, 10**6)
    assert writing.find_unit([Fraction(1, 10**6 + 1)]) == Fraction(1, 90000)
    plain = writing.Options()
    assert (plain.crf, plain.rate, plain.unit) == (18, 25, Fraction(1, 90000))
    assert (plain.sound, plain.mark, plain.keep_location) == (None, True, False)
    assert (plain.metadata, plain.bit_depth) == ({}, 8)


@pytest.mark.parametrize(
    ("side", "length"), [(1, 16), (2000, 10), (4000, 2), (9000, 2)]
)
def test_a_film_is_read_backward_by_what_memory_holds(side, length):
    parts = []
    source = types.SimpleNamespace(height=side, width=side)

    def read(begin, stop):
        parts.append((begin, stop))
        return range(begin, stop)

    clip = types.SimpleNamespace(source=source, read=read)
    found = [*clips.read_backward(clip, 20)]
    assert found == [*range(20)][::-1]
    assert parts[0] == (20 - length, 20)
    assert parts[-1][0] == 0


def test_a_folder_that_is_not_writable_is_refused(tmp_path, monkeypatch):
    def fail(path):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(work_folder.files, "check_folder_writable", fail)
    with pytest.raises(ValueError, match="w is not writable: Read-only file"):
        work_folder.WorkFolder(tmp_path / "w", {}, (1, 1))


def test_sizes_and_values_are_short_in_messages():
    assert work_folder.format_size(9.99e8) == "999 MB"
    assert work_folder.format_size(1e9) == "1 GB"
    assert work_folder._shorten("x" * 60) == "x" * 60
    assert work_folder._shorten("x" * 61) == "x" * 60 + "..."
    assert work_folder._shorten([1]) == "[1]"
    assert work_folder.find_default(Path("a/../o.mp4")) == Path("o.mp4.work")


def test_frames_of_the_last_pass_are_counted(tmp_path):
    folder = work_folder.WorkFolder(tmp_path / "w", {}, (1, 1))
    pixels = np.zeros((1, 1, 3), "f4")
    assert folder.count_frames() == 0
    for index in range(3):
        folder.save(0, index, pixels)
    assert folder.count_frames() == 3
    folder.end_pass(1, 3)
    assert folder.count_frames() == 3
    folder.save(1, 2, pixels)
    assert folder.count_frames() == 1
    folder.note_failure(0, 1, "NaN")  # its pass is painted again
    folder.retry_failures()
    assert (folder.passed, folder.count) == (0, 3)
    folder.close()
    again = work_folder.WorkFolder(tmp_path / "w", {}, (1, 1))
    assert (again.passed, again.count, again.failed) == (0, 3, {})
    again.close()


def test_a_damaged_film_is_said_once(caplog):
    film = film_file.FilmFile.__new__(film_file.FilmFile)
    film._path, film._warned = Path("x.ts"), False
    damaged = av.error.InvalidDataError(1, "damaged")

    def read(packets, frames):
        """Reads frames of a stream; errors among them are raised."""
        left, decoded = iter(packets), iter(frames)

        class Packets:
            def __next__(self):
                return give(left)

        def give(values):
            value = next(values)
            if isinstance(value, Exception):
                raise value
            return value

        container = types.SimpleNamespace(demux=lambda stream: Packets())
        context = types.SimpleNamespace(decode=lambda packet: give(decoded))
        stream = types.SimpleNamespace(codec_context=context)
        return [*film._frames(container, stream)]

    with caplog.at_level(logging.WARNING, "nst_tf"):
        assert read([1, 2], [["a"], ["b", "c"]]) == ["a", "b", "c"]
        assert not caplog.records
        assert read([1, 2, 3], [["a"], damaged, ["c"]]) == ["a", "c"]
        assert read([1, damaged, 3], [["a"], ["rest"]]) == ["a", "rest"]
    assert [r.getMessage() for r in caplog.records] == [
        "x.ts is damaged: frames that cannot be decoded repeat the frame "
        "before them"
    ]
    for frames in ([damaged], [[]]):
        with pytest.raises(ValueError, match="x.ts has no frame that can be"):
            read([1], frames)


def test_each_painted_frame_is_timed_and_followed(tmp_path, monkeypatch):
    events = []

    class Progress:
        def __init__(self, total, done, count):
            events.append((total, done, count))

        def begin(self):
            events.append("begin")

        def follow(self, share):
            events.append(share)

        def end(self, is_painted=True):
            events.append(is_painted)

    monkeypatch.setattr(filming, "Progress", Progress)
    path = films.make(tmp_path / "a.mp4", 2)
    film = films.prepare(films.open_film(path), tmp_path / "o.mp4", passes=2)
    folder = work_folder.WorkFolder(film.work, {}, (48, 64))
    noted = []
    filming.paint(
        film, films.Painter(2), folder, note_frame=lambda: noted.append(1)
    )
    assert events == [(4, 0, 2), *["begin", 0.0, 0.5, True] * 4]
    assert len(noted) == 4
    folder.close()
