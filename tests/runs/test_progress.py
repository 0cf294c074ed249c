"""What a run says of itself: the plan, the progress, the end."""

import dataclasses
import io
from pathlib import Path

import pretend
import pytest

from nst_tf.plan import pyramid, tile_size
from nst_tf.runs import progress

LEVELS = [pyramid.Level(10, 10, 30), pyramid.Level(20, 30, 5)]


@pytest.fixture
def clock(monkeypatch):
    now = [50.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        progress.stopping.StepTimer.__init__,
        "__defaults__",
        (lambda: now[0],),
    )
    return now


class Loss(float):
    """A loss that notes how often it is read."""

    def __new__(cls, value=1.0):
        made = super().__new__(cls, value)
        made.read = 0
        return made

    def __float__(self):
        self.read += 1
        return 1.0 * self


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self):
        return True


# Lines


def test_a_line_is_written_when_it_is_due(clock):
    file = io.StringIO()
    report = progress.Progress(LEVELS, file)
    read = []
    for index in range(1, 31):
        loss = Loss(index)
        value = report.update(0, index, loss)
        assert (value is None) == (loss.read == (index == 1))
        if value is not None:
            assert value == index
            read.append(index)
        clock[0] += 1.0
    # When it begins, every 10 seconds, once steps are timed, and at the end.
    assert read == [1, 11, 22, 30]
    lines = file.getvalue().splitlines()
    assert lines[0] == "level 1/2, 10 x 10, step 1/30, loss 1"
    assert lines[1].startswith("level 1/2, 10 x 10, step 11/30, loss 11, about")
    assert report.update(1, 5, 0.123456) is not None
    line = file.getvalue().splitlines()[-1]
    assert line == "level 2/2, 30 x 20, step 5/5, loss 0.1235, about 0 s left"


def test_a_terminal_has_one_line_five_times_a_second(clock):
    file = Screen()
    report = progress.Progress(LEVELS, file)
    for index in (1, 2, 3):
        clock[0] += 0.15
        report.update(0, index, 1.0)
    report.say("a", "b")
    report.clear_line()
    report.end_line()
    start = "\r\033[Klevel 1/2, 10 x 10, step"
    assert file.getvalue() == (
        f"{start} 1/30, loss 1{start} 3/30, loss 1\r\033[Ka\nb\n\r\033[K\n"
    )


def test_elsewhere_there_is_no_line_to_renew(clock):
    file = io.StringIO()
    report = progress.Progress(LEVELS, file)
    report.clear_line()
    report.end_line()
    assert file.getvalue() == ""
    renewed = []
    report = progress.Progress(LEVELS, Screen(), renew=renewed.append)
    for index in (1, 2, 3):
        clock[0] += 0.15
        report.update(0, index, 1.0)
    report.end_line()
    assert [line[:30] for line in renewed] == [
        "level 1/2, 10 x 10, step 1/30,",
        "level 1/2, 10 x 10, step 3/30,",
    ]


def test_a_reader_that_goes_away_does_not_end_the_run(monkeypatch):
    class Gone(Screen):
        def write(self, text):
            raise BrokenPipeError

    report = progress.Progress(LEVELS, Gone())
    report.say("a")
    report.update(0, 1, 1.0)
    file = io.StringIO()
    report = progress.Progress(LEVELS, file)
    file.close()
    report.say("a")
    monkeypatch.setattr(progress.sys, "stderr", None)
    progress.Progress(LEVELS).say("a")


# Time


def _take(report, clock, first, last, seconds=0.1):
    """Takes steps of the first level after a pause of 2 seconds."""
    clock[0] += 2.0
    report.update(0, first, 1.0)
    for index in range(first + 1, last + 1):
        clock[0] += seconds
        report.update(0, index, 1.0)


def test_remaining_time_counts_work_steps_and_pauses(clock):
    report = progress.Progress(LEVELS, io.StringIO())
    _take(report, clock, 1, 11)
    # 19 steps here, 5 of the work of a larger level, and one pause.
    later = 5 * 0.1 * LEVELS[1].work / LEVELS[0].work
    assert report.remaining(0, 11) == pytest.approx(1.9 + later + 2.0)
    hurried = progress.Progress(LEVELS, io.StringIO(), end=clock[0] + 1.0)
    _take(hurried, clock, 1, 11)
    assert hurried.remaining(0, 11) == 0
    clock[0] -= 2.7
    assert hurried.remaining(0, 11) == pytest.approx(0.7)


def test_steps_before_a_resumption_are_not_timed(clock):
    report = progress.Progress(LEVELS, io.StringIO())
    _take(report, clock, 15, 25)
    later = 5 * 0.1 * LEVELS[1].work / LEVELS[0].work
    assert report.remaining(0, 25) == pytest.approx(0.5 + later + 2.0)


def test_steps_of_a_new_level_begin_with_its_pause(clock):
    report = progress.Progress(LEVELS, io.StringIO())
    _take(report, clock, 1, 30)
    clock[0] += 3.0
    report.update(1, 1, 1.0)
    speed = 0.1 / LEVELS[0].work
    expected = 4 * speed * LEVELS[1].work
    assert report.remaining(1, 1) == pytest.approx(expected)
    report = progress.Progress([*LEVELS, LEVELS[1]], io.StringIO())
    _take(report, clock, 1, 30)
    clock[0] += 3.0
    report.update(1, 1, 1.0)
    expected = 9 * speed * LEVELS[1].work + 3.0
    assert report.remaining(1, 1) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.6, "60 s"),
        (99.9, "100 s"),
        (100, "2 min"),
        (130, "2 min"),
        (5999, "100 min"),
        (6000, "1.7 h"),
        (9000, "2.5 h"),
    ],
)
def test_durations_read_as_people_say_them(seconds, words):
    assert progress.format_duration(seconds) == words


# The plan and the end


def _describe(plan, **options):
    lines = progress.describe_plan(
        plan, output="a.png", device="a card", **options
    )
    return {line[:10].strip(): line[10:] for line in lines}


def test_a_plan_is_described(toy, monkeypatch):
    monkeypatch.setattr(tile_size, "estimate_memory", lambda plan: 1.26e9)
    plan = pretend.draft(toy)
    lines = _describe(plan)
    assert lines == {
        "picture": "a.png, 96 x 72, enlarged from 80 x 60",
        "device": "a card, float32",
        "network": f"toy, {toy}",
        "levels": "48 x 32 (3), 64 x 48 (3), 96 x 72 (3): 9 steps",
        "memory": "about 1.3 GB",
        "time": "once 10 steps are timed",
    }
    small = pretend.draft(toy, size=80)
    assert _describe(small)["picture"] == "a.png, 80 x 60"


def test_a_print_tiles_and_times_are_described(toy, monkeypatch):
    monkeypatch.setattr(
        tile_size, "describe_tiles", lambda plan, level: "4 tiles"
    )
    plan = pretend.draft(toy)
    plan = dataclasses.replace(plan, file=plan.file._replace(dpi=48.0))
    words = {
        unit: _describe(plan, print_unit=unit)["picture"]
        for unit in ("cm", "in")
    }
    assert (
        words["cm"]
        == "a.png, 96 x 72, 5.1 x 3.8 cm at 48 dpi, enlarged from 80 x 60"
    )
    assert "2.0 x 1.5 in at 48 dpi" in words["in"]
    lines = _describe(plan, seconds=70.0)
    assert lines["memory"].endswith("GB, in 4 tiles")
    assert lines["time"] == "about 70 s, by a few steps at small size"
    plan = dataclasses.replace(plan, stop=plan.stop._replace(seconds=300.0))
    time = "at most 5 min, in fewer steps if need be"
    assert _describe(plan, seconds=70.0)["time"] == time


@pytest.mark.parametrize(
    ("rescues", "taken_back", "words"),
    [
        (0, False, "losses of the last step, before weights:"),
        (1, True, "losses of the last step, which was taken back:"),
        (3, False, "rescued 3 times: the loss exploded"),
        (1, False, "rescued once: the loss exploded"),
    ],
)
def test_losses_are_described(rescues, taken_back, words):
    lines = progress.describe_losses(
        {"a": 0.123456, "bcd": 2e5}, rescues=rescues, taken_back=taken_back
    )
    assert lines[1:3] == ["  a    0.1235", "  bcd  2e+05"]
    assert len(lines) == 3 + bool(rescues)
    assert words in "\n".join(lines)


@pytest.mark.parametrize(
    ("path", "done", "words"),
    [
        ("b/a.png", True, "saved b/a.png (30 x 20) in 61 s"),
        ("a.png", False, "saved a.png (30 x 20, unfinished) in 61 s"),
        ("-", True, "saved to standard output (30 x 20) in 61 s"),
    ],
)
def test_the_last_line_is_the_path_and_the_time(path, done, words):
    found = progress.describe_saved(Path(path), (20, 30), 61.0, done)
    assert found == words
