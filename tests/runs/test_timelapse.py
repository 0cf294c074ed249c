"""Films of runs: which frames, their file, and what if there can be none."""

import io
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_tf.backend import replicas
from nst_tf.cli import main
from nst_tf.images import image_io
from nst_tf.runs import reporters, timelapse

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def frames(monkeypatch):
    """Takes the frames of the GIF files that are written, as they are."""
    taken = []
    write = timelapse._WRITERS[".gif"]

    def write_and_take(file, frames):
        taken[:] = frames
        write(file, frames)

    monkeypatch.setitem(timelapse._WRITERS, ".gif", write_and_take)
    return taken


def _paint(*flags):
    return main.main(["--flagfile=toy.cfg", "--output=a.png", *flags])


def _frames(path):
    """The frames of a film, and for how many milliseconds each is shown."""
    if str(path).endswith(".mp4"):
        av = pytest.importorskip("av")
        with av.open(str(path)) as film:
            stream = film.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.codec_context.pix_fmt == "yuv420p"
            shown = [1000 / float(stream.average_rate)] * stream.frames
            return [f.to_ndarray(format="rgb24") for f in film.decode()], shown
    frames, shown = [], []
    with Image.open(path) as film:
        assert film.info["loop"] == 0
        for number in range(film.n_frames):
            film.seek(number)
            film.load()
            frames.append(np.asarray(film.convert("RGB")))
            shown.append(film.info["duration"])
    return frames, shown


def _difference(frame, picture):
    """The mean difference of two pictures, in [0, 255]."""
    return np.abs(frame.astype(int) - 255 * picture).mean()


def _step(film, make_image, count=1):
    film.step(reporters.StepReport(0, count, count, {}, 0.0, make_image))


def _fill(number, size=(1, 1)):
    return np.full((*size, 3), number)


# Which frames


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 99, 100, 101, 360, 1999, 12345])
def test_frames_are_at_most_100_and_evenly_spaced(steps, known):
    film = timelapse.Film("a.gif", (1, 1), steps * known)
    for number in range(steps):
        _step(film, lambda number=number: _fill(number))
        assert len(film._kept) < 2 * timelapse.FRAMES
    film.finish(_fill(steps - 1), steps)
    numbers = [int(frame[0, 0, 0]) for frame in film._frames()]
    assert len(numbers) == min(steps, 100)
    assert numbers[-1] == steps - 1
    assert numbers[0] == 0
    gaps = np.diff(numbers)
    assert steps < 3 or gaps.min() > 0
    assert gaps.max(initial=0) <= 2 * max(1, steps / 100) + 1


def test_pictures_are_copied_only_for_frames():
    copied = []
    film = timelapse.Film("a.gif", (1, 1), 1000)
    for number in range(1000):
        _step(film, lambda n=number: copied.append(n) or _fill(n))
    assert copied == list(range(0, 1000, 10))


def test_a_run_that_does_not_finish_has_the_frames_so_far(caplog):
    film = timelapse.Film("a.gif", (2, 4))
    assert film.save() is None
    film.close()
    assert caplog.messages == [] and not Path("a.gif").exists()
    for number, size in enumerate([(1, 2), (2, 4), (2, 4)]):
        _step(film, lambda n=80 * number, s=size: _fill(n, s).astype("u1"))
    frames = film._frames()
    assert [int(frame[0, 0, 0]) for frame in frames] == [0, 80, 160]
    assert {frame.shape for frame in frames} == {(2, 4, 3)}  # enlarged
    with caplog.at_level("INFO", "nst_tf"):
        film.close()
    assert caplog.messages == ["wrote timelapse a.gif"]
    assert len(_frames("a.gif")[0]) == 3


# Files


@pytest.mark.parametrize("name", ["f.gif", "f.webp", "f.mp4"])
def test_the_last_frame_is_held(name):
    if name == "f.mp4":
        pytest.importorskip("av")
    film = timelapse.Film(name, (16, 20))
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (60, 1, 1, 3), "u1") * np.ones(
        (16, 20, 1), "u1"
    )
    for picture in pictures:
        _step(film, lambda picture=picture: picture)
    assert film.save() == Path(name)
    frames, shown = _frames(name)
    # 60 frames, of which the last is shown as long as 30, at 15 a second.
    assert sum(shown) == pytest.approx(1000 * 89 / 15, rel=0.06)
    assert len(frames) == (89 if name == "f.mp4" else 60)
    for frame, picture in zip(frames, pictures, strict=False):
        assert _difference(frame, picture / 255) < 8


def test_the_palette_of_a_gif_is_that_of_the_frame_that_is_held():
    # A frame of grays beside 20 of noise: last, it counts 31 times.
    noise = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3))
    gray = np.linspace(0, 255, 64)[:, None, None] * np.ones((64, 3))
    gray = np.uint8(gray)
    errors = []
    for place in (0, 20):
        file = io.BytesIO()
        timelapse._write_gif(
            file, np.insert(noise, place, gray, 0).astype("u1")
        )
        errors.append(_difference(_frames(file)[0][place], gray / 255))
    assert errors[1] < 0.8 * errors[0]


def test_an_mp4_of_odd_sides_is_padded_and_has_its_colors():
    pytest.importorskip("av")
    colors = [(200, 30, 40), (20, 180, 60), (10, 40, 220), (250, 220, 30)]
    film = timelapse.Film("a.mp4", (33, 47))
    for color in colors:
        _step(film, lambda c=color: np.full((33, 47, 3), c, np.uint8))
    frames, _ = _frames(film.save())
    for frame, color in zip(frames, colors, strict=False):
        assert frame.shape == (34, 48, 3)
        np.testing.assert_allclose(frame - np.array(color), 0, atol=6)


def test_it_is_numbered_unless_it_may_be_replaced(caplog):
    def save(overwrite):
        film = timelapse.Film("f.gif", (1, 1), 0, overwrite)
        _step(film, lambda: _fill(3).astype("u1"))
        return film.save().name

    assert [save(False), save(False)] == ["f.gif", "f-2.gif"]
    before = Path("f.gif").stat().st_mtime_ns
    assert save(True) == "f.gif"
    assert Path("f.gif").stat().st_mtime_ns > before
    Path.home().mkdir()
    assert timelapse.Film("~/a.gif", (1, 1)).path == Path.home() / "a.gif"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("f.avi", "has the extension '.avi'; expected one of"),
        ("f", "expected one of .gif, .webp, .mp4."),
        ("none/f.gif", "timelapse folder none does not exist"),
        ("made.gif", "exists and is not a regular file"),
        ("b.webp", "b.webp is another file of this run; choose another"),
        ("b.preview.GIF", "b.preview.GIF is another file of this run"),
        ("s.webp", "s.webp is another file"),
        (f"{'f' * 250}.gif", "one with --timelapse."),
    ],
)
def test_what_can_be_no_film_is_refused(monkeypatch, name, words):
    Path("made.gif").mkdir()
    Path("b.preview.GIF").symlink_to("b.preview.png")
    timelapse.check("f.gif", Path("b.webp"), [], True)
    Path("b.preview.png").touch()
    with pytest.raises(ValueError, match=words) as caught:
        timelapse.check(name, Path("b.webp"), ["a.webp", "s.webp"], True)
    assert "\n" not in str(caught.value)


def test_an_mp4_needs_a_package_that_is_said_at_once(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(main, "_paint", lambda *_: pytest.fail("work began"))
    assert _paint("--timelapse=f.mp4") == 1
    assert capsys.readouterr().err == (
        "nst-tf: timelapse f.mp4 needs a package that is not installed: pip "
        'install "nst-tf[video]"; or write a .webp or a .gif.\n'
    )
    for name in ("f.gif", "f.webp"):
        timelapse.check(name, Path("a.png"), [])


# Runs with films


def test_it_ends_with_the_picture_and_changes_nothing_in_it(
    painter, frames, capsys
):
    assert _paint() == 0
    assert _paint("--output=b.png", "--timelapse=f.gif") == 0
    assert "note      wrote timelapse f.gif\n" in capsys.readouterr().err
    assert len(frames) == 9
    picture = image_io.load_image("b.png")
    assert _difference(frames[-1], picture) < 1e-3
    assert _difference(frames[0], picture) > 10
    np.testing.assert_array_equal(picture, image_io.load_image("a.png"))


def test_a_rerun_and_a_run_that_goes_on_may_have_one(painter, frames):
    assert _paint() == 0
    assert main.main(["--rerun=a.png", "--timelapse=f.gif"]) == 0
    assert len(frames) == 9
    kept = ["--output=b.png", "--checkpoint_dir=kept"]
    painter.events[5] = lambda step: signal.raise_signal(signal.SIGTERM)
    assert _paint(*kept) == 143
    painter.events.clear()
    flags = ["--output=c.png", "--resume=require", "--timelapse=g.gif"]
    assert _paint(*kept, *flags) == 0
    assert len(frames) == 4


@pytest.mark.usefixtures("default_signals")
def test_a_signal_leaves_the_film_so_far(painter, frames):
    painter.events[5] = lambda step: signal.raise_signal(signal.SIGINT)
    assert _paint("--timelapse=f.gif") == 130
    assert len(frames) == len(_frames("f.gif")[0]) == 5
    assert _difference(frames[-1], image_io.load_image("a.png")) < 1e-3


def test_a_step_that_fails_leaves_the_film_so_far(painter, frames):
    painter.events[7] = lambda step: 1 / 0
    assert _paint("--timelapse=f.gif") == 4
    assert len(frames) == 6
    assert _difference(frames[-1], image_io.load_image("a.png")) < 1e-3


def test_a_picture_that_cannot_be_written_leaves_the_film(
    painter, frames, monkeypatch
):
    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(image_io, "write_image", fail)
    assert _paint("--timelapse=f.gif") == 1
    assert len(frames) == 9


@pytest.mark.parametrize("error", [OSError("full"), MemoryError("full")])
def test_a_film_that_cannot_be_written_leaves_the_picture(
    painter, monkeypatch, capsys, error
):
    def fail(file, frames):
        file.write(b"GIF89a")
        raise error

    monkeypatch.setitem(timelapse._WRITERS, ".gif", fail)
    before = set(os.listdir())
    assert _paint("--timelapse=f.gif") == 0
    out, err = capsys.readouterr()
    assert out == "a.png\n"
    assert "warning   timelapse f.gif failed: full\n" in err
    assert err.splitlines()[-1].startswith("saved a.png (96 x 72) in")
    assert set(os.listdir()) - before == {"a.png"}


def test_of_several_processes_the_first_writes(painter, monkeypatch, capsys):
    monkeypatch.setattr(replicas, "is_writer", lambda: False)
    before = set(os.listdir())
    assert _paint("--timelapse=f.gif", "--log=run.jsonl") == 0
    assert set(os.listdir()) == before
    out, err = capsys.readouterr()
    words = "note      one of 1 processes; the first one writes the picture\n"
    assert err == words
    assert out == ""
