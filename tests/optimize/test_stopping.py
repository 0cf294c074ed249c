"""Stop rules, with a clock of our own: budgets, pictures at rest, timers."""

import time
import types

import numpy as np
import pytest
import tensorflow as tf

from nst_tf.optimize import descent, stopping
from nst_tf.plan import planning, pyramid

LEVELS = pyramid.make_levels(384, 512, (100, 80, 70, 60, 50), growth=2**0.5)
WHOLE = [level.steps for level in LEVELS]
SMALL = [pyramid.Level(6, 5, 100), pyramid.Level(9, 7, 100)]


def _step(index, image=0.0):
    return types.SimpleNamespace(
        index=index,
        image=tf.fill([1, 2, 2, 3], np.float32(image)),
        evaluation=types.SimpleNamespace(loss=0.0),
    )


def _run(seconds, *, levels=LEVELS, per_work=2e-6, first=1.5, floor=0.0):
    """Runs without a picture; the steps at each level, and the seconds."""
    clock = [100.0]
    budget = stopping.TimeBudget(levels, seconds, 100.0, lambda: clock[0])
    steps = []
    for number, level in enumerate(levels):
        steps.append(0)
        if not budget(number, None):
            continue
        clock[0] += first
        step = None
        while steps[-1] < level.steps and (not step or budget(number, step)):
            clock[0] += per_work * level.work + floor
            steps[-1] += 1
            step = _step(steps[-1])
    return steps, clock[0] - 100.0


# Budgets of time


def test_a_budget_that_suffices_changes_nothing():
    steps, seconds = _run(1e6)
    assert steps == WHOLE
    assert _run(1.1 * seconds)[0] == WHOLE


@pytest.mark.parametrize("floor", [0.0, 0.02])
@pytest.mark.parametrize("share", [0.2, 0.3, 0.5, 0.8])
def test_a_budget_is_kept_and_used_and_shared(share, floor):
    _, whole = _run(1e6, floor=floor)
    steps, seconds = _run(share * whole, floor=floor)
    assert 0.75 * share * whole <= seconds <= share * whole
    shares = [taken / all_ for taken, all_ in zip(steps, WHOLE, strict=True)]
    assert min(shares) < share
    started = [each for each in shares if each]
    assert started[-1] == shares[-1]  # the last level is there
    assert max(started) <= 3 * min(started) or floor


def test_without_any_time_one_step_is_taken_at_full_size():
    assert _run(0.1)[0] == [0, 0, 0, 0, 1]


def test_a_slow_machine_leaves_levels_out():
    steps, seconds = _run(20.0, per_work=5e-6, first=4.0)
    assert 0 in steps[:-1]
    assert steps[-1] >= 1
    assert seconds <= 20.0


@pytest.mark.parametrize(
    ("pixels", "seconds", "expected"),
    # Of seconds 1.5 are for the end, and 0.4 more for a million pixels; the
    # first step is over after 2, and each other one takes 1.
    [(10**6, 9.7, 6), (10**6, 9.95, 7), (10**3, 9.7, 7), (10**3, 9.45, 6)],
)
def test_what_the_end_takes_is_kept_for_it(pixels, seconds, expected):
    level = pyramid.Level(10, pixels // 10, 50)
    per_work = 1 / level.work
    steps, _ = _run(seconds, levels=[level], per_work=per_work, first=1.0)
    assert steps == [expected]


def test_the_last_level_may_begin_late_and_others_must_be_worth_it():
    clock = [0.0]
    levels = [pyramid.Level(100, 100, 100)] * 3
    budget = stopping.TimeBudget(levels, 100.0, 0.0, lambda: clock[0])
    assert budget(0, None)
    clock[0] = 2.0  # what a level takes to begin
    assert budget(0, _step(1))
    clock[0] = 3.0
    assert budget(0, _step(2))  # 1 second each
    # At the second: 2 for each start, and 10 of 200 steps are worth it.
    clock[0] = 100 - 1.504 - 4 - 19.5
    assert not budget(1, None)
    clock[0] -= 1
    assert budget(1, None)
    clock[0] = 200.0
    assert budget(2, None)
    assert not budget(2, _step(1))


def test_a_level_leaves_time_for_the_start_of_the_next():
    clock = [0.0]
    levels = [pyramid.Level(100, 100, 1000)] * 2
    budget = stopping.TimeBudget(levels, 100.0, 0.0, lambda: clock[0])
    assert budget(0, None)
    for index, goes_on in ((1, True), (2, True), (93, True), (94, False)):
        clock[0] = index + 1.0  # a start of 2 seconds, and 1 for each step
        assert budget(0, _step(index)) is goes_on  # until 98.496, less 2 + 1


def test_the_steps_that_are_left_share_the_time_that_is_left():
    clock = [0.0]
    levels = [pyramid.Level(100, 100, 12)] * 2
    # After 6 steps of 1 second the next level's start takes 1 of the 10.1 that
    # are left, and 18 steps get half of their time: 3 of 6 are left here.
    seconds = 6 + 10.1 + 1.504
    budget = stopping.TimeBudget(levels, seconds, 0.0, lambda: clock[0])
    assert budget(0, None)
    for index in range(1, 10):
        clock[0] = float(index)
        assert budget(0, _step(index)) is (index < 9)


def test_steps_before_a_resumption_are_not_timed():
    clock = [0.0]
    level = pyramid.Level(10, 100, 100)
    budget = stopping.TimeBudget([level], 60.0, 0.0, lambda: clock[0])
    assert budget(0, None)
    clock[0] = 10.0
    index = 50
    while budget(0, _step(index)):
        index, clock[0] = index + 1, clock[0] + 1
    assert index == 50 + 48  # until 58.5, less 0.0004, and not all 100
    assert clock[0] == 58.0


def test_a_timer_times_steps_by_their_work():
    clock = [5.0]
    levels = [pyramid.Level(10, 100, 20), pyramid.Level(20, 200, 30)]
    timer = stopping.StepTimer(levels, lambda: clock[0])
    assert timer.estimate_work(0, 20) == timer.first_seconds == 0
    assert timer.count_taken(3) == 3
    timer.start_level()
    clock[0] = 8.0
    timer.end_first_step(4)
    assert timer.first_seconds == 3.0
    timer.end_step(0, 4)  # one step alone says nothing
    assert timer.seconds_per_work == 0
    clock[0] = 10.0
    timer.end_step(0, 8)
    assert timer.count_taken(8) == 5
    assert timer.seconds_per_work == pytest.approx(0.5 / levels[0].work)
    expected = 7 * 0.5 + 30 * 0.5 * levels[1].work / levels[0].work
    assert timer.estimate_work(0, 7) == pytest.approx(expected)
    assert timer.estimate_work(1, 0) == 0


# Rest


def _change(tolerance, change, before=0.5, **start):
    """Whether a run goes on whose tenth picture differs from the twentieth."""
    plateau = stopping.Plateau(tolerance, **start)
    assert plateau(0, None)
    for index in range(1, 20):
        assert plateau(0, _step(index, before))
    return plateau(0, _step(20, before + change))


@pytest.mark.parametrize("change", [0.1, -0.1])
def test_a_level_ends_when_a_step_changes_less(change):
    assert not _change(0.0101, change)
    assert _change(0.0099, change)


def test_the_change_is_a_root_mean_square():
    plateau = stopping.Plateau(0.011)
    first, second = _step(10, 0.5), _step(20, 0.5)
    pixels = np.full((1, 2, 2, 3), 0.5, np.float32)
    pixels[0, 0, 0] += 0.25  # on average 0.0625, of squares the root 0.125
    second.image = tf.constant(pixels)
    assert plateau(0, first) and plateau(0, second)
    plateau = stopping.Plateau(0.013)
    assert plateau(0, first) and not plateau(0, second)


def test_a_level_begins_without_a_picture_to_compare():
    plateau = stopping.Plateau(0.5)
    assert plateau(0, _step(10, 0.5)) and not plateau(0, _step(20, 0.5))
    assert plateau(1, None)
    assert plateau(1, _step(10, 0.5)) and not plateau(1, _step(20, 0.5))


def test_what_a_run_that_goes_on_needs_is_the_picture_before():
    plateau = stopping.Plateau(0.5)
    assert plateau.arrays(_step(7)) == {}
    assert plateau(1, _step(10, 0.5))
    assert plateau.arrays(_step(10)) is None  # it is not decided yet
    kept = plateau.arrays(_step(11))
    assert set(kept) == {stopping.BEFORE}
    assert stopping.Plateau(0).arrays(_step(10)) == {}
    for level, goes_on in ((1, False), (0, True)):  # only at its level
        start = descent.State(1, 11, kept)
        again = stopping.Plateau(0.5, start)
        assert again(level, None)
        assert again(level, _step(20, 0.5)) is goes_on
    none = stopping.Plateau(0.5, descent.State(1, 11, {}))
    assert none(1, None) and none(1, _step(20, 0.5))


# All of them; the clock is the machine's, of which seconds do not matter


def test_a_plan_without_rules_takes_all_steps():
    stop = stopping.Stop(planning.StopSettings(), SMALL, None, -1e9)
    assert stop(0, None) and stop(0, _step(10)) and stop(0, _step(20))


def test_fixed_steps_stand_for_all_rules():
    rules = planning.StopSettings(1.0, 0, 0.9, (2, 0))
    stop = stopping.Stop(rules, SMALL, None, -1e9)
    assert stop(0, None) and stop(0, _step(1))
    assert not stop(0, _step(2)) and not stop(1, None)
    # A checkpoint holds what a run with its tolerance needs.
    assert stop.arrays(_step(20)) is None


@pytest.mark.parametrize(
    ("reserve", "before", "goes_on"),
    [(0, None, True), (999, None, False), (400, 500, True), (400, 700, False)],
)
def test_a_budget_is_counted_from_the_start_less_its_reserve(
    reserve, before, goes_on
):
    began = None if before is None else time.monotonic() - before
    rules = planning.StopSettings(1000.0, reserve)
    stop = stopping.Stop(rules, SMALL[:1], began=began)
    assert stop(0, None)
    assert stop(0, _step(1)) is goes_on


@pytest.mark.parametrize("seconds", [0.1, 1e9])
def test_all_rules_are_asked_whatever_another_one_says(seconds):
    rules = planning.StopSettings(seconds, 0.0, 0.5)
    stop = stopping.Stop(rules, SMALL[:1])
    assert stop(0, None)
    asked = []
    stop._rules.append(lambda *_: asked.append(_) or True)
    goes_on = {stop(0, _step(index, 0.5)) for index in range(1, 20)}
    assert goes_on == {seconds > 1}
    assert not stop(0, _step(20, 0.5))  # at rest
    assert len(asked) == 20
    start = descent.State(0, 11, stop.arrays(_step(11)))
    again = stopping.Stop(rules, SMALL[:1], start)
    assert again(0, None) and not again(0, _step(20, 0.5))
