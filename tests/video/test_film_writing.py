"""Films that are written: frames, times, colors, sound, or nothing at all."""

from fractions import Fraction

import av
import films
import numpy as np
import pytest

from nst_tf.images import image_io
from nst_tf.video import writing

UNEVEN = (0, 40, 100, 300, 310, 420, 500, 600, 610, 900, 1000, 1500)
UNIT = Fraction(1, 1000)
FRAME = 1 / films.RATE


def _write(clip, path, count=None, note=lambda path, whole: None, **chosen):
    """Writes the frames of a clip as they are."""
    count = count or clip.count
    shown = clip.shown[:count]
    times = [time for each in shown for time in (each.time, each.duration)]
    options = writing.Options(
        rate=clip.rate,
        unit=writing.find_unit(times),
        sound=clip.find_sound(count),
        metadata=clip.metadata,
    )
    stills = (
        writing.Still(each.time, each.duration, each.pixels)
        for each in clip.read(0, count)
    )
    writing.write(path, stills, options._replace(**chosen), note)
    return films.open_film(path) if path.suffix else None


@pytest.mark.parametrize("output", ["o.mp4", "o.webm"])
@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("a.mp4", {"sound": "aac"}),
        ("a.mkv", {"sound": "ac3"}),
        ("a.ts", {"sound": "mp2"}),
        ("a.webm", {"sound": "libopus", "codec": "libvpx-vp9"}),
        ("uneven.mkv", {"sound": "flac", "times": UNEVEN, "unit": UNIT}),
        ("odd.webm", {"size": (47, 63), "codec": "libvpx-vp9"}),
        ("one.mp4", {"count": 1}),
    ],
)
def test_frames_times_and_sound_are_those_of_the_source(
    tmp_path, output, name, chosen
):
    source = films.open_film(films.make(tmp_path / name, **chosen))
    found = _write(source, tmp_path / output)
    assert found.count == source.count
    for one, other in zip(source.read(), found.read(), strict=True):
        assert abs(one.time - other.time) <= UNIT
        height, width = one.pixels.shape[:2]
        assert films.read_index(other.pixels) == one.index
        error = np.abs(one.pixels - other.pixels[:height, :width]).mean()
        assert error < 0.02
    assert abs(source.seconds - found.seconds) <= 2 * UNIT
    size = source.source.height, source.source.width
    if output == "o.mp4":
        size = size[0] + size[0] % 2, size[1] + size[1] % 2
    assert (found.source.height, found.source.width) == size
    before = films.measure_sound(tmp_path / name)
    after = films.measure_sound(tmp_path / output)
    assert (before is None) == (after is None)
    if after:
        assert after[1:] == pytest.approx(before[1:], abs=FRAME)
        copied = {
            "o.mp4": {"aac", "ac3", "opus", "flac"},
            "o.webm": {"opus", "vorbis"},
        }
        again = {"o.mp4": "aac", "o.webm": "opus"}[output]
        is_copied = before[0] in copied[output]
        assert after[0] == (before[0] if is_copied else again)


@pytest.mark.parametrize("output", ["o.mp4", "o.webm"])
def test_sound_is_cut_as_the_frames_are(tmp_path, output):
    path = films.make(tmp_path / "a.mp4", 48, sound="aac")
    part = {"start": Fraction(1, 2), "end": Fraction(3, 2)}
    clip = films.open_film(path, **part)
    _write(clip, tmp_path / output)
    _, begin, end = films.measure_sound(tmp_path / output)
    assert (begin, end) == pytest.approx((0, 1), abs=FRAME)
    _write(clip, tmp_path / output, count=6)  # the frames so far
    _, begin, end = films.measure_sound(tmp_path / output)
    assert (begin, end) == pytest.approx((0, 0.25), abs=FRAME)


def test_a_film_says_what_it_is(tmp_path):
    path = films.make(tmp_path / "a.mp4", 2)
    clip = films.open_film(path)
    clip.metadata = {
        "title": "Harbor",
        "location": "+52.3700+004.8900/",
        "encoder": "x",
    }
    _write(clip, tmp_path / "o.mp4")
    with av.open(str(tmp_path / "o.mp4")) as file:
        said, stream = file.metadata, file.streams.video[0]
        assert said["title"] == "Harbor"
        assert "location" not in said
        assert said["comment"].endswith("TrainedAlgorithmicMedia")
        context = stream.codec_context
        assert (context.colorspace, context.color_range) == (1, 1)
        assert (context.color_primaries, context.color_trc) == (1, 1)
    _write(clip, tmp_path / "o.mp4", mark=False, keep_location=True)
    with av.open(str(tmp_path / "o.mp4")) as file:
        assert "comment" not in file.metadata
        assert "location" in file.metadata


def test_crf_decides_the_size(tmp_path):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (6, 48, 64, 3), np.uint8)
    path = films.make(tmp_path / "a.mp4", 6, draw=lambda index: noise[index])
    clip = films.open_film(path)
    for output in (tmp_path / "o.mp4", tmp_path / "o.webm"):
        sizes = []
        for crf in (10, 40):
            _write(clip, output, crf=crf)
            sizes.append(output.stat().st_size)
        assert sizes[0] > 1.5 * sizes[1]


@pytest.mark.parametrize("depth", [8, 16])
def test_a_folder_has_each_frame_and_its_duration(tmp_path, depth):
    path = films.make(tmp_path / "a.mkv", 3, times=(0, 40, 100), unit=UNIT)
    clip, folder = films.open_film(path), tmp_path / "o"
    noted = []
    _write(clip, folder, note=lambda *each: noted.append(each), bit_depth=depth)
    names = [f"{number:06}.png" for number in (1, 2, 3)]
    assert sorted(e.name for e in folder.iterdir()) == [*names, writing.LIST]
    for name, frame in zip(names, clip.read(), strict=True):
        found = image_io.load_image(folder / name)
        assert np.abs(found - frame.pixels).max() <= 0.51 / (2**depth - 1)
    lines = (folder / writing.LIST).read_text().split("\n")
    assert lines[1:5] == [
        "file 000001.png",
        "duration 0.040000",
        "file 000002.png",
        "duration 0.060000",
    ]
    (tmp_path / ".o.0123abcd.part").mkdir()  # of a killed run
    _write(clip, folder, 2)  # replaces the folder as a whole
    assert len([*folder.glob("*.png")]) == 2
    assert [*tmp_path.glob(".*")] == []


@pytest.mark.parametrize("name", ["o.mp4", "o.webm", "o"])
def test_a_film_that_fails_leaves_what_was_there(tmp_path, name):
    clip, output = (
        films.open_film(films.make(tmp_path / "a.mp4")),
        tmp_path / name,
    )
    _write(clip, output)
    before = writing.digest(output)

    def fail():
        for frame in clip.read(0, 3):
            yield writing.Still(frame.time, frame.duration, frame.pixels)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        writing.write(output, fail(), writing.Options(), lambda *_: None)
    assert writing.digest(output) == before
    assert {e.name for e in tmp_path.iterdir()} == {"a.mp4", name}


@pytest.mark.parametrize(
    ("error", "number", "words"),
    [
        (av.error.OSError(28, "No space left", "o.mp4"), 28, "No space left"),
        (
            av.error.InvalidDataError(1, "odd data"),
            None,
            "o.mp4 cannot be encoded: .*odd data",
        ),
    ],
)
def test_errors_of_the_encoder_are_those_of_a_file(
    tmp_path, monkeypatch, error, number, words
):
    def fail(*_):
        raise error

    monkeypatch.setattr(writing, "_encode", fail)
    options = writing.Options(rate=Fraction(5), unit=UNIT)
    path = tmp_path / "o.mp4"
    with pytest.raises(OSError, match=words) as raised:
        writing.write(path, iter(()), options, lambda *_: None)
    assert raised.value.errno == number
    assert not list(tmp_path.iterdir())


def test_outputs_that_cannot_be_written_are_refused(tmp_path, monkeypatch):
    for name, crf, words in (
        ("o.avi", 18, "extension '.avi'; expected .mp4 or .webm, or a folder"),
        ("o.mp4", 52, "crf is 52, expected 0 to 51 for .mp4; lower is better."),
    ):
        with pytest.raises(ValueError, match=words):
            writing.check(tmp_path / name, crf)
    writing.check(tmp_path / "o.webm", 63)
    monkeypatch.setattr(av.codec, "codecs_available", {"libvpx-vp9"})
    writing.check(tmp_path / "o.webm", 18)
    with pytest.raises(ValueError, match="needs the encoder libx264, which"):
        writing.check(tmp_path / "o.mp4", 18)
    folder = tmp_path / "o"
    folder.mkdir()
    writing.check_folder(folder, False)
    (folder / "000001.png").touch()
    with pytest.raises(ValueError, match="has frames; name a new folder, or"):
        writing.check_folder(folder, False)
    writing.check_folder(folder, True)
    (folder / "notes.txt").touch()  # would be lost
    with pytest.raises(ValueError, match="has other files, such as notes.txt"):
        writing.check_folder(folder, True)


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        ([Fraction(i, 24) for i in range(5)], Fraction(1, 24)),
        ([Fraction(1001 * i, 24000) for i in range(5)], Fraction(1, 24000)),
        ([Fraction(1, 3), Fraction(1, 7)], Fraction(1, 21)),
        ([Fraction(1, 999983), Fraction(1, 1009)], Fraction(1, 90000)),
    ],
)
def test_the_unit_of_times_is_the_coarsest(times, unit):
    assert writing.find_unit(times) == unit
