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
