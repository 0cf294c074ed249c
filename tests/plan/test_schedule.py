"""Which optimizer takes how many steps, and what a strength replaces."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import toys

from nst_tf.images import image_io
from nst_tf.losses import style_kinds
from nst_tf.plan import (
    checks,
    inputs,
    optimizers,
    planning,
    pyramid,
    schedule,
    settings,
)
from nst_tf.runs import api

SAMPLES = Path(__file__).resolve().parents[2] / "configs" / "images"


@pytest.mark.parametrize(
    ("chosen", "small", "large"),
    [
        ({}, "lbfgs", "adam"),
        ({"style_weight": 7.0, "history": 5}, "lbfgs", "adam"),
        ({"bounds": "none"}, "lbfgs", "adam"),
        ({"optimizer": "lbfgs", "average": 0.5}, "lbfgs", "lbfgs"),
        ({"optimizer": "sgd"}, "sgd", "sgd"),
        ({"beta_1": 0.8}, "adam", "adam"),
        ({"learning_rate": 0.01}, "adam", "adam"),
        ({"average": 0.0}, "adam", "adam"),
    ],
)
def test_the_optimizer_goes_by_size_unless_it_is_asked_for(
    chosen, small, large
):
    job = settings.Job(**chosen)
    sides = (64, pyramid.LARGE, pyramid.LARGE + 1, 4096)
    found = [schedule.choose_optimizer(job, side) for side in sides]
    assert found == [small, small, large, large]


def test_the_settings_of_adam_are_those_that_lbfgs_has_not():
    own, others = (
        optimizers.OPTIMIZERS[name].settings for name in ("adam", "lbfgs")
    )
    chosen = own - (others - {"learning_rate"})
    assert chosen | {"normalize_gradients"} == schedule.ADAM_SETTINGS


def test_steps_go_by_the_optimizer_unless_they_are_named():
    assert schedule.list_steps(settings.Job()) == (50, 50, 40, 50)
    for chosen in ({"epsilon": 1e-3}, {"optimizer": "sgd"}):
        assert schedule.list_steps(settings.Job(**chosen)) == (100, 80, 50)
    for name in ("adam", "lbfgs", "sgd"):
        job = settings.Job(optimizer=name, steps=(3,))
        assert schedule.list_steps(job) == (3,)


def test_levels_are_those_of_the_settings():
    def sides(**chosen):
        levels = schedule.list_all_levels(settings.Job(**chosen), 384, 512)
        return [(level.width, level.steps) for level in levels]

    assert sides() == [(128, 50), (256, 50), (512, 40)]
    assert sides(min_size=256, steps=(7, 6)) == [(256, 7), (512, 6)]
    assert sides(levels=1) == [(512, 50)]
    assert [side for side, _ in sides(growth=4.0)] == [128, 512]


def _choose(*sides, **chosen):
    levels = [pyramid.Level(side // 2, side, 3) for side in sides]
    return schedule.choose_optimizers(settings.Job(**chosen), levels)


def test_each_level_has_the_optimizer_of_its_size_with_its_settings():
    small, large = _choose(512, 513, history=7, bounds="none", seed=3)
    assert small[:4] == (256, 512, 3, "lbfgs")
    assert small.settings == {
        "learning_rate": 0.02,
        "history": 7,
        "bounds": "none",
    }
    assert large[:4] == (256, 513, 3, "adam")
    assert large.settings == {
        "learning_rate": pytest.approx(0.3 * 0.02),
        "beta_1": 0.9,
        "beta_2": 0.99,
        "epsilon": 1e-8,
        "carry_moments": False,
        "average": 0.95,
        "decay_rate": 1.0,
        "decay_steps": 100,
        "bounds": "none",
        "scaled": True,
        "corrected": False,
    }


def test_large_levels_above_others_take_shorter_steps():
    def rates(*sides, **chosen):
        found = _choose(*sides, optimizer="adam", **chosen)
        return [level.settings["learning_rate"] for level in found]

    assert rates(512, 513, 1024) == pytest.approx([0.02, 0.006, 0.006])
    assert rates(1024) == [0.02]
    assert rates(1024, continue_from="a.png") == pytest.approx([0.006])
    # Other conventions are taken as their sources have them.
    assert rates(512, 1024, convention="tensorflow") == [0.02, 0.02]


@pytest.mark.parametrize(
    ("convention", "scaled", "corrected"),
    [("relative", True, False), ("keras", False, False),
     ("crowson_w2", False, True)],
)  # fmt: skip
def test_a_convention_says_how_the_gradient_is_scaled(
    convention, scaled, corrected
):
    for name in ("adam", "sgd"):
        [level] = _choose(64, optimizer=name, convention=convention)
        assert level.settings["scaled"] is scaled
        if name == "adam":
            assert level.settings["corrected"] is corrected
        else:
            assert "corrected" not in level.settings


GRAM = {"style_loss": "gram", "content_weight": 5.0, "grain_weight": 0.0}


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "ratio"), [(GRAM, 1.02), ({}, 1.05)])
def test_the_default_comes_as_far_as_adam_in_half_of_the_time(loss, ratio):
    content, style = (
        image_io.load_image(SAMPLES / name)
        for name in ("harbor_at_dusk.jpg", "swirling_night.jpg")
    )
    found = {}
    for name, chosen in {
        "default": {},
        "adam": {"optimizer": "adam", "steps": (100, 80, 70), "growth": 2**0.5},
    }.items():
        work, losses = 0, []
        for step in api.stylize_steps(
            content, style, size=256, weights="small", **loss, **chosen
        ):
            work += pyramid.Level(*step.size, 1).work
            losses.append(float(step.evaluation.loss))
        assert np.isfinite(step.image.numpy()).all()
        found[name] = work, min(losses[-5:])
    assert found["default"][0] < 0.55 * found["adam"][0]
    assert found["default"][1] < ratio * found["adam"][1]


# Strength


def _apply(strength, **chosen):
    return schedule.apply_strength(settings.Job(strength=strength, **chosen))


def test_a_strength_of_0_is_one_evaluation_of_the_photograph():
    job = _apply(0.0, init="noise", optimizer="sgd", seed=9, levels=3)
    assert job == settings.Job(optimizer="lbfgs", levels=1, steps=(1,), seed=9)
    assert _apply(0.0, continue_from="a.png").continue_from == ""
    assert _apply(0.0, init_noise=0.5).init_noise == 0


@pytest.mark.parametrize("name", style_kinds.STYLE_LOSSES)
def test_weights_rise_and_levels_grow_with_the_strength(name):
    jobs = [_apply(s, style_loss=name) for s in np.linspace(0.1, 1, 10)]
    ratios = [job.style_weight / job.content_weight for job in jobs]
    assert all(np.diff(np.log(ratios)) > 0)
    sizes = [job.min_size for job in jobs]
    assert sizes[0] == sizes[4] == 512 and sizes[-1] == sizes[-2] == 128
    assert all(np.diff(sizes[4:9]) < 0)
    rates = [job.learning_rate for job in jobs]
    assert rates[0] == pytest.approx(0.005) and rates[3] == 0.02 == rates[-1]
    for job in jobs:
        checks.check(job)
        assert job.tv_weight == 50
        # The larger of the two weights is the usual one.
        assert job.content_weight == 5 or job.style_weight == pytest.approx(100)
        assert job.content_weight >= 5 and job.style_weight >= 99.9


def test_calibrated_ratios_are_taken_and_interpolated_by_their_logarithms():
    def ratio(strength, style_loss="gram"):
        job = _apply(strength, style_loss=style_loss)
        return job.style_weight / job.content_weight

    assert ratio(0.1) == pytest.approx(0.012)
    assert ratio(0.5) == pytest.approx(0.72)
    assert ratio(0.75) == pytest.approx((0.72 * 60) ** 0.5)
    assert ratio(1.0) == pytest.approx(60)
    assert ratio(0.5, "moments") == pytest.approx(5 * 0.72)
    assert ratio(0.5, "auto") == ratio(0.5, "mix") == pytest.approx(0.5 * 0.72)


def test_the_coarsest_level_goes_by_strength_between_its_bounds():
    middle = _apply(0.7, size=400, min_size=64).min_size
    assert middle == round((64 * 400) ** 0.5)
    assert _apply(1.0, size=100, min_size=128).min_size == 100
    assert _apply(1.0, size=10).min_size == 16
    assert _apply(0.2, learning_rate=0.1).learning_rate == pytest.approx(0.05)


def test_without_a_strength_nothing_is_replaced():
    job = settings.Job(style_weight=7.0)
    assert schedule.apply_strength(job) == job
    changed = _apply(0.3, style_weight=7.0)
    replaced = {"content_weight", "style_weight", "tv_weight", "min_size"}
    replaced |= {"learning_rate", *schedule.STRENGTH_SCHEDULE}
    for field in dataclasses.fields(settings.Job):
        if field.name not in replaced:
            assert getattr(changed, field.name) == getattr(job, field.name)


def test_the_schedule_of_a_strength_is_that_of_its_calibration_or_yours():
    calibrated = _apply(0.7)
    assert calibrated.optimizer == "adam"
    assert calibrated.steps == (100, 80, 70, 60, 50)
    assert calibrated.growth == 2**0.5
    own = {"optimizer": "lbfgs", "steps": (7,), "growth": 3.0}
    yours = _apply(0.7, **own)
    assert {name: getattr(yours, name) for name in own} == own


@pytest.mark.parametrize("value", [1e-300, 1e-9, 0.05, 0.7, 1.0])
@pytest.mark.parametrize("size", [10, 64, 4096])
def test_every_strength_makes_a_job_that_is_fine(value, size):
    job = _apply(value, size=size)
    checks.check(job)
    assert schedule.apply_strength(job) == job


@pytest.mark.parametrize(
    "wrong", [{"size": -5}, {"min_size": 0}, {"style_loss": "grams"}]
)
def test_wrong_settings_beside_a_strength_are_refused(wrong):
    job = settings.Job(strength=0.7, **wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        planning.draft_plan(job, inputs.Inputs(toys.picture(4, 4)))
