"""Films of runs: which frames, their file, and what if there can be none."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import toys
from PIL import Image

import nst_tf
from nst_tf.backend import replicas
from nst_tf.cli import flags, main, sweeps
from nst_tf.images import image_io, writing
from nst_tf.optimize import descent
from nst_tf.runs import api, timelapse


@pytest.fixture
def folder(tmp_path, toy, monkeypatch):
    """A working directory with a flag file for the toy network."""
    monkeypatch.chdir(tmp_path)
    toys.write_flag_file(toy)
    return tmp_path


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
    adam = "--optimizer=adam"  # every step of which is seen
    return main.main(["--flagfile=toy.cfg", "--output=a.png", adam, *flags])


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
        for number in range(film.n_frames):
            film.seek(number)
            film.load()
            frames.append(np.asarray(film.convert("RGB")))
            shown.append(film.info["duration"])
    return frames, shown


def _difference(frame, picture):
    """The mean difference of two pictures, in [0, 255]."""
    return np.abs(frame.astype(int) - 255 * picture).mean()


# Which frames


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("steps", [1, 2, 99, 100, 101, 360, 1999, 12345])
def test_frames_are_at_most_100_and_evenly_spaced(steps, known):
    film = timelapse.Film("a.gif", (1, 1), steps * known)
    for number in range(steps):
        film.step(lambda number=number: np.full((1, 1, 3), number))
        assert len(film._kept) < 2 * timelapse.FRAMES
    film.finish(np.full((1, 1, 3), steps - 1))
    numbers = [int(frame[0, 0, 0]) for frame in film._frames()]
    assert len(numbers) == min(steps, 100)
    assert numbers[-1] == steps - 1
    assert numbers[0] == 0
    gaps = np.diff(numbers)
    assert steps < 3 or gaps.min() > 0
    assert gaps.max(initial=0) <= 2 * max(1, steps / 100) + 1


def test_a_run_that_does_not_finish_has_the_frames_so_far():
    film = timelapse.Film("a.gif", (1, 1))
    assert film.save(False) is None
    for number in range(3):
        film.step(lambda number=number: np.full((1, 1, 3), number))
    assert [frame[0, 0, 0] for frame in film._frames()] == [0, 1, 2]


# Films


@pytest.mark.parametrize("name", ["f.gif", "f.webp", "f.mp4"])
def test_it_ends_with_the_saved_picture_which_is_held(folder, capsys, name):
    if name == "f.mp4":
        pytest.importorskip("av")
    assert _paint("--steps=20", f"--timelapse={name}") == 0
    assert f"timelapse {name} is written" in capsys.readouterr().out
    frames, shown = _frames(name)
    assert {frame.shape for frame in frames} == {(72, 96, 3)}
    # 60 frames, of which the last is shown as long as 30, at 15 a second.
    assert sum(shown) == pytest.approx(1000 * 89 / 15, rel=0.06)
    assert 60 <= len(frames) + 30 * (name != "f.mp4") <= 90
    picture = image_io.load_image("a.png")
    last = _difference(frames[-1], picture)
    assert last < 10
    assert last < 0.7 * _difference(frames[0], picture)


@pytest.mark.parametrize("color", ["content", "luminance"])
def test_its_frames_are_finished_as_the_picture_is(folder, frames, color):
    keep = np.zeros((60, 80, 3), "f4")
    keep[:, 40:] = 1
    image_io.save_image("keep.png", keep)
    flags = [f"--color={color}", "--keep_mask=keep.png", "--timelapse=f.gif"]
    assert _paint(*flags) == 0
    assert len(frames) == 9
    assert _difference(frames[-1], image_io.load_image("a.png")) < 1e-3
    town = image_io.load_image("town.png")
    for number, frame in enumerate(frames):  # at the size of its level
        size = [(32, 48), (48, 64), (72, 96)][number // 3]
        content = image_io.resize(image_io.resize(town, *size), 72, 96)
        assert _difference(frame[:, 55:], content[:, 55:]) < 1
        assert _difference(frame[:, :40], content[:, :40]) > 2


def test_what_is_transparent_is_white(folder):
    alpha = np.ones((60, 80), "f4")
    alpha[:, :40] = 0
    options = writing.Options(alpha=alpha)
    image_io.write_image("town.png", toys.image(60, 80, 0), options)
    assert _paint("--timelapse=f.gif") == 0
    for frame in _frames("f.gif")[0]:
        assert frame[:, :46].min() > 240 > frame[:, 50:].mean()


def test_large_pictures_are_reduced_to_512(folder):
    flags = ["--size=600", "--levels=1", "--steps=2", "--timelapse=f.webp"]
    assert _paint(*flags) == 0
    frames, _ = _frames("f.webp")
    small = image_io.resize(image_io.load_image("a.png"), 384, 512)
    assert _difference(frames[-1], small) < 6


def test_an_mp4_of_odd_sides_is_padded_and_has_its_colors(tmp_path):
    pytest.importorskip("av")
    colors = [(200, 30, 40), (20, 180, 60), (10, 40, 220), (250, 220, 30)]
    film = timelapse.Film(str(tmp_path / "a.mp4"), (33, 47))
    for color in colors:
        film.step(lambda color=color: np.full((33, 47, 3), color, np.uint8))
    frames, _ = _frames(film.save(False))
    for frame, color in zip(frames, colors, strict=False):
        assert frame.shape == (34, 48, 3)
        np.testing.assert_allclose(frame - np.array(color), 0, atol=6)


def test_it_changes_nothing_in_the_picture(folder):
    assert _paint() == 0
    assert _paint("--output=b.png", "--timelapse=f.gif") == 0
    assert Path("f.gif").exists()
    np.testing.assert_array_equal(
        image_io.load_image("a.png"), image_io.load_image("b.png")
    )


@pytest.mark.slow
def test_a_rerun_and_a_run_that_goes_on_may_have_one(folder, monkeypatch):
    assert _paint() == 0
    assert main.main(["--rerun=a.png", "--timelapse=f.gif"]) == 0
    kept = ["--output=b.png", "--checkpoint_dir=kept"]
    with monkeypatch.context() as patch:
        patch.setattr(api, "run_steps", _signaled(api.run_steps))
        assert _paint(*kept) == 143
    flags = ["--output=c.png", "--resume=require", "--timelapse=g.gif"]
    assert _paint(*kept, *flags) == 0
    assert len(_frames("g.gif")[0]) == 4


def _signaled(steps):
    """Steps of which the fifth comes with a signal."""

    def interrupted(*arguments, **options):
        for count, step in enumerate(steps(*arguments, **options), start=1):
            if count == 5:
                signal.raise_signal(signal.SIGTERM)
            yield step

    return interrupted


# Where it goes


@pytest.mark.slow
def test_it_is_numbered_unless_it_may_be_replaced(folder, capsys):
    for _ in range(2):
        assert _paint("--output=", "--timelapse=f.gif") == 0
    assert "timelapse f-2.gif is written" in capsys.readouterr().out
    before = Path("f.gif").stat().st_mtime_ns
    assert _paint("--overwrite", "--timelapse=f.gif") == 0
    assert Path("f.gif").stat().st_mtime_ns > before
    assert not Path("f-3.gif").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--timelapse=f.avi"], "has the extension '.avi', expected one of"),
        (["--timelapse=f"], "expected one of .gif, .webp, .mp4."),
        (["--timelapse=none/f.gif"], "timelapse folder none does not exist"),
        (["--timelapse=made.gif"], "is there, and is no regular file"),
        (
            ["--timelapse=b.webp", "--output=b.webp"],
            "b.webp is a picture or file of this run; name another",
        ),
        (["--timelapse=f.gif", "--log=f.gif"], "f.gif is a picture or file"),
        (
            ["--timelapse=s.webp", "--style=s.webp", "--overwrite"],
            "s.webp is a picture or file",
        ),
        ([f"--timelapse={'f' * 250}.gif"], "one with --timelapse."),
    ],
)
def test_what_can_be_no_film_is_said_at_once(
    folder, monkeypatch, capsys, flags, words
):
    Path("made.gif").mkdir()
    image_io.save_image("s.webp", toys.image(50, 60, 1))
    monkeypatch.setattr(main, "_paint", lambda *_: pytest.fail("work began"))
    assert _paint(*flags) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_without_the_package_the_command_to_install_it_is_said_at_once(
    folder, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(main, "_paint", lambda *_: pytest.fail("work began"))
    assert _paint("--timelapse=f.mp4") == 1
    assert capsys.readouterr().err == (
        "nst-tf: timelapse f.mp4 needs a package that is not installed: pip "
        'install "nst-tf[video]"; or write a .webp or a .gif.\n'
    )


def test_gif_and_webp_need_no_package(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for name in ("f.gif", "f.webp"):
        assert _paint("--overwrite", f"--timelapse={name}") == 0
        assert Path(name).exists()


# However the run ends


def test_a_signal_leaves_the_film_so_far(folder, frames, monkeypatch):
    monkeypatch.setattr(api, "run_steps", _signaled(api.run_steps))
    assert _paint("--timelapse=f.gif") == 143
    assert len(frames) == len(_frames("f.gif")[0]) == 5
    assert _difference(frames[-1], image_io.load_image("a.png")) < 1e-3


def test_a_step_that_fails_leaves_the_film_so_far(folder, frames, monkeypatch):
    make = descent.make_train_step

    def failing(optimizer, objective):
        step = make(optimizer, objective)
        return step if optimizer.image.shape[1] < 72 else lambda: 1 / 0

    monkeypatch.setattr(descent, "make_train_step", failing)
    assert _paint("--timelapse=f.gif") == 4
    assert len(frames) == len(_frames("f.gif")[0]) == 6
    assert _difference(frames[-1], image_io.load_image("a.png")) < 1e-3


def test_a_picture_that_cannot_be_written_leaves_the_film(folder, monkeypatch):
    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(image_io, "save_image", fail)
    assert _paint("--timelapse=f.gif") == 1
    assert len(_frames("f.gif")[0]) == 9


@pytest.mark.parametrize("error", [OSError("full"), MemoryError("full")])
def test_a_film_that_cannot_be_written_leaves_the_picture(
    folder, monkeypatch, capsys, error
):
    def fail(file, frames):
        file.write(b"GIF89a")
        raise error

    monkeypatch.setitem(timelapse._WRITERS, ".gif", fail)
    before = set(os.listdir())
    assert _paint("--timelapse=f.gif") == 0
    out = capsys.readouterr().out
    assert "a.png is done" in out
    assert out.count("timelapse f.gif failed: full\n") == 1
    assert set(os.listdir()) - before == {"a.png"}


def test_no_numbers_are_black(folder, monkeypatch):
    steps = api.run_steps

    def spoiled(*arguments, **options):
        for step in steps(*arguments, **options):
            step.optimizer.image.assign(step.optimizer.image * np.nan)
            yield step

    monkeypatch.setattr(api, "run_steps", spoiled)
    assert _paint("--average=0", "--timelapse=f.gif") == 4
    frames, _ = _frames("f.gif")
    assert not np.any(frames)


def test_of_several_processes_the_first_writes(folder, monkeypatch):
    monkeypatch.setattr(replicas, "is_writer", lambda: False)
    before = set(os.listdir())
    assert _paint("--timelapse=f.gif", "--log=run.jsonl") == 0
    assert set(os.listdir()) == before


def test_a_dry_run_writes_none(folder):
    assert _paint("--dry_run", "--timelapse=f.gif") == 0
    assert not Path("f.gif").exists()


def test_it_is_for_the_program_and_no_sheet():
    with pytest.raises(TypeError, match="timelapse is for the program"):
        nst_tf.stylize("a.png", "b.png", timelapse="f.gif")
    with pytest.raises(ValueError, match="timelapse is for the program"):
        nst_tf.run_job(nst_tf.Job(timelapse="f.gif"))
    request = flags.parse(["--sheet", "--timelapse=f.gif"])
    with pytest.raises(ValueError, match="timelapse has no part in a"):
        sweeps.make_grid(request)
