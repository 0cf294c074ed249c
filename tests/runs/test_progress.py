"""What a run says of itself: the plan, the progress, the end."""

import dataclasses
import itertools
from pathlib import Path

import pretend
import pytest

from nst_tf import display
from nst_tf.plan import tile_size
from nst_tf.runs import progress

# Of runs of the preset starry on two cores: when the first step begins, and
# for each level (work, seconds of the pause, of a step, steps).
TRACES = {
    "small, 256": (3.0, [(18, 2.9, 0.030, 50), (55, 2.0, 0.092, 50)]),
    "VGG19, 256": (5.1, [(18, 4.5, 0.066, 50), (55, 2.9, 0.165, 50)]),
    "small, 1024": (
        4.8,
        [
            *((18, 5.3, 0.036, 50), (55, 1.9, 0.091, 50)),
            *((203, 2.9, 0.284, 40), (792, 8.6, 1.215, 50)),
        ],
    ),
    "one level, slow": (5.0, [(792, 30.0, 4.0, 20)]),
    "pauses only": (3.0, [(18, 3.0, 0.03, 1), (55, 2.0, 0.1, 1)]),
}


class Loss(float):
    """A loss that notes how often it is read."""

    def __new__(cls, value=1.0):
        made = super().__new__(cls, value)
        made.read = 0
        return made

    def __float__(self):
        self.read += 1
        return 1.0 * self


@pytest.fixture
def clock(monkeypatch):
    """The time; the display shows nothing, and has what is to be seen."""
    now = [50.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with display.use("none"):
        yield now


def _follow(toy, **chosen):
    return progress.Progress([pretend.draft(toy, **chosen)], 45.0)


# Steps


@pytest.mark.parametrize("mode", ["none", "notebook"])
def test_a_loss_is_read_when_it_is_shown(toy, clock, monkeypatch, mode):
    if mode == "notebook":  # five times a second
        monkeypatch.setattr(display._current, "interval", 0.2)
    report, read = _follow(toy, steps=30), []
    for index in range(1, 31):
        loss = Loss(index)
        report.update(0, index, loss)
        if loss.read:
            read.append(index)
        clock[0] += 0.15
    # The first, one to forecast from, and the last.
    every = list(range(1, 30, 2)) if mode == "notebook" else [1, 11]
    assert read == [*every, 30]


def test_what_is_shown_of_a_step(toy, clock):
    report = _follow(toy)
    clock[0] += 2.0
    report.update(0, 1, 7.5)
    status = display._current.status
    assert status[0] == "48 x 32 (1 of 3)" and status.short == "1 of 3"
    assert status.loss == 7.5 and 0 < status.estimate.share(clock[0]) < 0.9
    assert status.facts == {
        **{"level": 1, "levels": 3, "width": 48, "height": 32},
        **{"step": 1, "steps": 3},
    }
    clock[0] += 1.0
    report.update(0, 3, 7.5)
    assert display._current.status.estimate.share(clock[0]) > 0


def test_pictures_of_a_sheet_share_one_bar(toy, clock):
    plans = [pretend.draft(toy), pretend.draft(toy)]
    report, shares = progress.Progress(plans, 45.0), []
    for run in (0, 1):
        for level in (0, 1, 2):
            for index in (1, 2, 3):
                clock[0] += 1.0
                report.update(level, index, 1.0, run)
            status = display._current.status
            assert status.label == f"picture {run + 1} of 2"
            shares.append(status.estimate.share(clock[0]))
    assert shares == sorted(shares) and shares[0] < 0.5 and shares[-1] > 0.9


# Time


def _replay(trace, factor, began=0.0):
    """Yields (seconds, share, true share) of a run, twenty times a second."""
    begin, levels = trace
    works = [(work, steps) for work, _, _, steps in levels]
    forecast = progress.Forecast(works, began, begin)
    events, now = [], begin
    for number, (_, pause, step, steps) in enumerate(levels):
        for index in range(1, steps + 1):
            # Now faster, now slower, as on a machine that does other things.
            now += pause if index == 1 else step * factor ** (index // 10 % 2)
            events.append((now, number, index))
    end, read, seconds = now + 0.4, 0.0, begin
    while seconds < end:
        while events and events[0][0] <= seconds:
            when, number, index = events.pop(0)
            last = index in (1, levels[number][3])
            if last or when - read >= 0.2:
                forecast.add_step(number, index, when)
                read = when
        yield seconds, forecast.share(seconds), seconds / end
        seconds += 0.05


@pytest.mark.parametrize("factor", [1.0, 1.5, 0.6])
@pytest.mark.parametrize("name", TRACES)
def test_a_share_of_the_time_is_right_within_15_points(name, factor):
    replay = _replay(TRACES[name], factor)
    shares, true = zip(*[pair for _, *pair in replay if pair[0]], strict=True)
    assert list(shares) == sorted(shares) and shares[-1] <= 0.99
    errors = [abs(a - b) for a, b in zip(shares, true, strict=True)]
    assert len(errors) > 10 and max(errors) < 0.15
    # It stands still only to be overtaken.
    late = [share for share in shares if share < 0.98]
    stalls = [len(list(group)) for _, group in itertools.groupby(late)]
    assert max(stalls) < 0.1 * true[-1] / (true[1] - true[0])


def test_the_bar_begins_with_the_first_step():
    found = _replay(TRACES["one level, slow"], 1.0)
    first = next(seconds for seconds, share, _ in found if share is not None)
    assert 35.0 <= first < 35.1


@pytest.mark.parametrize("mode", ["plain", "json"])
@pytest.mark.parametrize("steps", [3, 50])  # to the end, and up to a stop rule
def test_the_last_line_of_a_finished_run_says_100_percent(
    toy, capsys, mode, steps
):
    with display.use(mode):
        report = _follow(toy, steps=steps)
        for level in (0, 1, 2):
            for index in (1, 2, 3):
                report.update(level, index, 7.5)
        before = capsys.readouterr().err.splitlines()
        report.finish()
    lines = capsys.readouterr().err.splitlines()
    words = '"percent": 100.0' if mode == "json" else "100%  "
    last = (lines or before)[-1]
    assert words in last and sum(words in each for each in before + lines) == 1
    assert bool(lines) == (steps == 50)


def test_remaining_time_counts_work_steps_and_pauses():
    forecast = progress.Forecast([(1.0, 30), (4.0, 5)], 0.0, 10.0)
    forecast.add_step(0, 1, 12.0)
    assert forecast.share(12.0) == pytest.approx(12 / 14.8, abs=0.1)
    forecast.add_step(0, 11, 13.0)
    # 19 steps here; a pause of a second and six steps; 4 of a larger level.
    left = 19 * 0.1 + (1.0 + 6 * 0.4) + 4 * 0.4
    assert forecast.remaining(13.0) == pytest.approx(left)
    assert forecast.remaining(13.05) == pytest.approx(left - 0.05)
    forecast.add_step(0, 30, 14.9)
    assert forecast.remaining(16.9) == pytest.approx(3.0)  # the clock runs
    assert forecast.remaining(99.0) == pytest.approx(1.6)  # the pause is late
    forecast.add_step(1, 1, 18.3)
    assert forecast.remaining(18.3) == pytest.approx(1.6)


def test_a_run_that_goes_on_forecasts_what_is_left():
    forecast = progress.Forecast([(1.0, 30), (4.0, 5)], 0.0, 10.0)
    forecast.add_step(0, 15, 12.0)
    forecast.add_step(0, 25, 13.0)
    left = 5 * 0.1 + (1.0 + 6 * 0.4) + 4 * 0.4
    assert forecast.remaining(13.0) == pytest.approx(left)


def test_levels_that_are_left_out_count_no_more():
    forecast = progress.Forecast([(1.0, 30), (4.0, 500), (9.0, 2)], 0.0, 0.0)
    forecast.add_step(0, 1, 2.0)
    forecast.add_step(0, 11, 3.0)
    before = forecast.remaining(3.0)
    forecast.add_step(2, 1, 9.0)
    assert before > 200 and forecast.remaining(9.0) == pytest.approx(0.9)
    assert forecast.share(9.0) > 0.8


def test_a_limit_of_time_bounds_it():
    forecast = progress.Forecast([(1.0, 3000)], 0.0, 0.0, end=20.0)
    forecast.add_step(0, 1, 2.0)
    forecast.add_step(0, 11, 10.0)
    assert forecast.remaining(10.0) == 10.0
    assert forecast.share(10.0) == pytest.approx(0.5, abs=0.02)
    assert forecast.remaining(30.0) == 0


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
    assert (
        lines["time"] == "about 70 s, estimated from a few steps at small size"
    )
    plan = dataclasses.replace(plan, stop=plan.stop._replace(seconds=300.0))
    time = "at most 5 min, with fewer steps if necessary"
    assert _describe(plan, seconds=70.0)["time"] == time


def test_the_start_is_two_lines(toy, monkeypatch):
    monkeypatch.setattr(tile_size, "estimate_memory", lambda plan: 1.26e9)
    plan = pretend.draft(toy)
    here = "CPU, 2 cores, 4 devices"
    names = ("a.png in the style of b.png", "c.png", here)
    assert progress.describe_start(plan, *names) == [
        "a.png in the style of b.png -> c.png, 96 x 72",
        f"CPU, 2 cores, 4 devices, float32; toy ({toy}); about 1.3 GB",
    ]


@pytest.mark.parametrize("is_taken_back", [False, True])
def test_losses_are_described(is_taken_back):
    terms = {"a": 0.123456, "bcd": 2e5}
    first, *lines = progress.describe_losses(terms, is_taken_back)
    assert lines == ["  a    0.1235", "  bcd  2e+05"]
    assert ("was rolled back" in first) == is_taken_back


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
