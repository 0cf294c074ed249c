"""Frames are painted in order, kept, resumed to the bit, and made a film."""

import tracemalloc

import films
import numpy as np
import pytest

from nst_tf.video import clips, filming, work_folder, writing


def _paint(tmp_path, painter, *, name="w", count=12, stop_after=None):
    """Paints a film; returns its outcome and its results."""
    path = tmp_path / "a.mkv"
    if not path.exists():
        films.make(path, count, codec="ffv1")
    film = films.prepare(films.open_film(path), tmp_path / "o.mp4")
    folder = work_folder.WorkFolder(tmp_path / name, {}, (48, 64))
    seen = 0

    def should_stop():
        nonlocal seen
        seen += 1
        return stop_after is not None and seen > stop_after

    outcome = filming.paint(film, painter, folder, should_stop)
    results = {
        path.relative_to(folder.path).as_posix(): path.read_bytes()
        for path in folder.path.glob("pass*/*.npy")
    }
    folder.close()
    return outcome, results


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_an_interrupted_film_resumes_to_the_same_bits(tmp_path, passes):
    _, whole = _paint(tmp_path, films.Painter(passes), name="whole")
    last = [name for name in whole if name.startswith(f"pass{passes}/")]
    assert len(last) == 12
    for calls in (1, 2, 3, 8, 11, 14):
        outcome, painter, runs = None, None, 0
        while not (outcome and outcome.is_done):
            painter = films.Painter(passes)
            outcome, found = _paint(
                tmp_path, painter, name=f"w{calls}", stop_after=calls
            )
            runs += 1
            assert runs < 60
            calls = max(calls, 2)  # one step more than a frame's first
        assert found == whole


def test_every_second_pass_goes_backward(tmp_path):
    painter = films.Painter(3)
    _paint(tmp_path, painter, count=5)
    forward, backward = range(5), range(5)[::-1]
    assert painter.painted == [
        *((0, index) for index in forward),
        *((1, index) for index in backward),
        *((2, index) for index in forward),
    ]


def test_a_frame_that_fails_repeats_the_one_before(tmp_path, caplog):
    outcome, results = _paint(tmp_path, films.Painter(fails=[5, 7]))
    assert outcome.is_done
    assert len(results) == 12
    assert results["pass1/000005.npy"] == results["pass1/000004.npy"]
    assert "frame 5 failed and repeats the one before it: the loss is NaN" in (
        caplog.text
    )
    # The same command paints them again, and no other.
    folder = work_folder.WorkFolder(tmp_path / "w", {}, (48, 64))
    assert folder.list_failed() == [5, 7]
    folder.retry_failures()
    folder.close()
    painter = films.Painter()
    outcome, _ = _paint(tmp_path, painter)
    assert outcome.is_done
    assert painter.painted == [(0, 5), (0, 7)]


@pytest.mark.parametrize(
    ("fails", "number"), [([0], 0), ([4, 5, 6, 7], 6), ([3, 4, 6, 7], 12)]
)
def test_the_first_frame_or_three_in_a_row_end_the_run(tmp_path, fails, number):
    outcome, _ = _paint(tmp_path, films.Painter(fails=fails))
    assert outcome.number == number
    assert isinstance(outcome.error, FloatingPointError) == (number < 12)


def test_a_full_disk_ends_the_run_with_what_is_kept(tmp_path, monkeypatch):
    save = work_folder.WorkFolder.save

    def fill(self, passed, index, result):
        if index == 3:
            raise OSError(28, "No space left on device")
        save(self, passed, index, result)

    monkeypatch.setattr(work_folder.WorkFolder, "save", fill)
    outcome, results = _paint(tmp_path, films.Painter())
    assert outcome.number == len(results) == 3
    assert isinstance(outcome.error, OSError)


def test_the_film_is_written_of_the_frames_so_far(tmp_path):
    path = films.make(tmp_path / "a.mp4", 12, sound="aac")
    film = films.prepare(films.open_film(path), tmp_path / "o.mp4")
    folder = work_folder.WorkFolder(film.work, {}, (48, 64))
    painter = films.Painter()
    frames = iter(range(99))
    outcome = filming.paint(film, painter, folder, lambda: next(frames) > 12)
    assert (outcome.number, outcome.is_done) == (6, False)
    assert filming.write(film, painter, folder, outcome) == 6
    found = films.open_film(film.output)
    assert [e.time for e in found.shown] == [
        e.time for e in film.clip.shown[:6]
    ]
    assert films.measure_sound(film.output)[2] == pytest.approx(0.25, abs=0.03)
    assert work_folder.read_written(film.work) == writing.digest(film.output)
    outcome = filming.paint(film, painter, folder)
    assert filming.write(film, painter, folder, outcome) == 12
    assert films.open_film(film.output).count == 12
    folder.close()


def test_of_an_unfinished_second_pass_the_first_is_written(tmp_path):
    path = films.make(tmp_path / "a.mp4", 6)
    film = films.prepare(films.open_film(path), tmp_path / "o.mp4", passes=2)
    folder = work_folder.WorkFolder(film.work, {}, (48, 64))
    painter = films.Painter(2)
    calls = iter(range(99))
    outcome = filming.paint(film, painter, folder, lambda: next(calls) > 15)
    assert (outcome.number, outcome.passed) == (2, 1)
    assert filming.write(film, painter, folder, outcome) == 6
    folder.close()


def test_a_film_that_ends_early_is_done_with_what_there_is(tmp_path, caplog):
    class Short(clips.Clip):
        def list_files(self):
            return []

        def decode(self, position):
            for index in range(position, 5):
                yield index, lambda: np.zeros((48, 64, 3), np.float32)

    whole = films.open_film(films.make(tmp_path / "a.mp4")).source
    clip = Short("x.mp4", whole, clips.Selection(), [])
    film = films.prepare(clip, tmp_path / "o.mp4", passes=2)
    folder = work_folder.WorkFolder(film.work, {}, (48, 64))
    painter = films.Painter(2)
    outcome = filming.paint(film, painter, folder)
    assert (
        "x.mp4 ends early: 5 of its 12 frames could be decoded" in caplog.text
    )
    assert (outcome.number, outcome.is_done) == (5, True)
    assert painter.painted[5:] == [(1, index) for index in range(5)[::-1]]
    assert filming.write(film, painter, folder, outcome) == 5
    folder.close()


def test_a_long_film_takes_no_more_memory_than_a_short_one(tmp_path):
    path = tmp_path / "a.mkv"
    films.make(path, 200, codec="ffv1", draw=lambda i: films.draw(i % 48))
    film = films.prepare(films.open_film(path), tmp_path / "o.mp4")
    folder = work_folder.WorkFolder(film.work, {}, (48, 64))
    painter = films.Painter()
    outcome = filming.paint(film, painter, folder, lambda: painter.painted)
    filming.write(film, painter, folder, outcome)  # imports
    tracemalloc.start()
    try:
        outcome = filming.paint(film, painter, folder)
        filming.write(film, painter, folder, outcome)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    folder.close()
    assert outcome.number == 200
    frame = 12 * 48 * 64
    assert peak < 2**20 + 20 * frame  # a file is read by the megabyte


def test_progress_says_frames_seconds_a_frame_and_the_time_left(monkeypatch):
    now, shown = [0.0], []
    monkeypatch.setattr(filming.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(filming.display, "show_status", shown.append)
    progress = filming.Progress(20, 0, 10)
    for seconds in (60.0, 10.0, 20.0):  # the first one compiles
        progress.begin()
        progress.follow(0.5)
        now[0] += seconds
        progress.end()
    status = shown[-1]
    assert status.label == "frame 4 of 10, pass 1, 15 s a frame"
    assert status.estimate.remaining(now[0]) == 15 * 17
    assert status.estimate.share(now[0]) == 3 / 20
    assert status.facts == {"frame": 4, "frames": 10, "pass": 1}
    assert shown[0].estimate.share(0.0) is not None
