"""Budgets of time, with a clock of our own; pictures at rest."""

import itertools
import types

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.optimize import descent, first_order, stopping
from nst_tf.plan import pyramid

LEVELS = pyramid.make_levels(384, 512, (100, 80, 70, 60, 50), growth=2**0.5)


def _run(seconds, *, per_work=2e-6, first=1.5, floor=0.0):
    """Runs without a picture; the steps at each level, and the seconds."""
    clock = [100.0]
    budget = stopping.TimeBudget(LEVELS, seconds, 100.0, lambda: clock[0])
    steps = []
    for number, level in enumerate(LEVELS):
        steps.append(0)
        if not budget(number, None):
            continue
        clock[0] += first
        step = None
        while steps[-1] < level.steps and (not step or budget(number, step)):
            clock[0] += per_work * level.work + floor
            steps[-1] += 1
            step = types.SimpleNamespace(
                index=steps[-1], evaluation=types.SimpleNamespace(loss=0.0)
            )
    return steps, clock[0] - 100.0


WHOLE = [level.steps for level in LEVELS]


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
    steps, _ = _run(0.1)
    assert steps == [0, 0, 0, 0, 1]


def test_a_slow_machine_leaves_levels_out():
    steps, seconds = _run(20.0, per_work=5e-6, first=4.0)
    assert 0 in steps[:-1]
    assert steps[-1] >= 1
    assert seconds <= 20.0


def test_a_level_ends_when_the_picture_rests():
    start = tf.constant(toys.image(6, 5, 2)[None])
    target = toys.image(6, 5, 1)[None]
    levels = [pyramid.Level(6, 5, 2000), pyramid.Level(9, 7, 2000)]

    def steps(tolerance):
        return list(
            descent.descend(
                lambda height, width: toys.bowl(
                    tf.image.resize(target, (height, width))
                ),
                first_order.Adam,
                levels,
                start,
                should_continue=stopping.Plateau(tolerance),
            )
        )

    loose, tight = steps(1e-3), steps(1e-5)
    for run in (loose, tight):
        assert {step.level for step in run} == {0, 1}
        assert all(
            step.index % stopping.PLATEAU_INTERVAL == 0
            for step, later in itertools.pairwise(run)
            if later.level != step.level
        )
        assert len(run) < 4000
    assert len(loose) < len(tight)
    expected = tf.image.resize(target, (9, 7))
    np.testing.assert_allclose(tight[-1].image, expected, atol=5e-3)


def _step(index, image=None):
    evaluation = types.SimpleNamespace(loss=0.0)
    return types.SimpleNamespace(
        index=index, evaluation=evaluation, image=image
    )


def test_a_budget_leaves_time_for_the_file_by_its_pixels():
    # Of 10 seconds 1.5 go to any file and 2.4 to one of 6 million pixels. A
    # step takes one second, and another one is taken if it is over by 6.1.
    now = [0.0]
    budget = stopping.TimeBudget(
        [pyramid.Level(2000, 3000, 100)], 10.0, 0.0, lambda: now[0]
    )
    assert budget(0, None)
    answers = []
    for index in range(1, 7):
        now[0] = float(index)
        answers.append(budget(0, _step(index)))
    assert answers == [True] * 5 + [False]


def test_a_level_before_the_last_leaves_time_for_one_more_step():
    # Each level takes 1 second for its first step, then 1 for each pixel's
    # worth of work; 0.1 of the steps make a level worth its start.
    levels = [pyramid.Level(100, 100, 100), pyramid.Level(100, 100, 100)]
    now = [0.0]
    saving = stopping.SAVING_SECONDS + 1e4 * stopping.SAVING_SECONDS_PER_PIXEL
    budget = stopping.TimeBudget(levels, 8.5 + saving, 0.0, lambda: now[0])
    assert budget(0, None)
    answers = []
    for index in range(1, 8):
        now[0] = float(index)
        answers.append(budget(0, _step(index)))
    # After 6 steps of a second 2.5 are left. The last level starts in one of
    # them: 1.5 of 194 steps, which is less than one here.
    assert answers[:6] == [True] * 5 + [False]


def test_a_resumed_budget_times_its_own_steps_alone():
    # 50 steps were taken before; those since take a second each.
    now = [0.0]
    budget = stopping.TimeBudget(
        [pyramid.Level(10, 10, 100)], 10.0, 0.0, lambda: now[0]
    )
    assert budget(0, None)
    answers = []
    for number in range(1, 9):
        now[0] = float(number)
        answers.append(budget(0, _step(50 + number)))
    assert answers == [True] * 7 + [False]


def test_steps_of_a_run_before_are_taken_again():
    again = stopping.FixedSteps([2, 0, 1])
    asked = [(0, None), (0, 1), (0, 2), (1, None), (2, None), (2, 1)]
    assert [again(level, index and _step(index)) for level, index in asked] == [
        True,
        True,
        False,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("tolerance", "goes_on"), [(0.07, True), (0.0715, False)]
)
def test_a_change_is_the_root_mean_square_of_a_step(tolerance, goes_on):
    # Half of the values change by 1 in ten steps: 0.5 ** 0.5 / 10 = 0.0707.
    before = np.zeros((1, 4, 6, 3), "f4")
    after = before.copy()
    after[:, :2] = 1
    rule = stopping.Plateau(tolerance)
    assert rule(0, None)
    assert rule(0, _step(9, after))
    assert rule(0, _step(10, before))
    assert rule(0, _step(15, before))
    assert rule(0, _step(20, after)) is goes_on


def test_a_change_of_just_the_tolerance_goes_on():
    rule = stopping.Plateau(0.0625)
    images = [np.full((1, 2, 2, 3), value, "f4") for value in (0, 0.625)]
    rule(0, None)
    answers = [rule(0, _step(10 * n, images[n % 2])) for n in (1, 2)]
    assert answers == [True, True]


def test_a_plateau_starts_anew_at_each_level():
    image = np.zeros((1, 2, 2, 3), "f4")
    rule = stopping.Plateau(1e-3)
    for level in (0, 1):
        assert rule(level, None)
        assert rule(level, _step(10, image))
        assert not rule(level, _step(20, image))


def test_a_plateau_goes_on_from_what_it_kept():
    image = np.full((1, 2, 2, 3), 0.5, "f4")
    rule = stopping.Plateau(1e-3)
    rule(0, None)
    assert rule.arrays(_step(5, image)) == {}
    assert rule.arrays(_step(10, image)) is None
    rule(0, _step(10, image))
    kept = rule.arrays(_step(11, image))
    np.testing.assert_array_equal(kept[stopping.BEFORE], image)
    for level, still in ((0, True), (1, False)):
        start = descent.State(level, 11, kept)
        again = stopping.Plateau(1e-3, start)
        assert again(0, None)
        assert again(0, _step(20, image)) is not still
    assert stopping.Plateau(0.0).arrays(_step(10, image)) == {}
