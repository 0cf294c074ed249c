"""Which optimizer takes how many steps, where a job does not say it."""

import functools
from pathlib import Path

import numpy as np
import pytest
import toys

from nst_tf.images import image_io
from nst_tf.optimize import first_order, lbfgs
from nst_tf.plan import optimizers, pyramid, schedule, settings
from nst_tf.runs import api, results

SAMPLES = Path(__file__).resolve().parents[2] / "configs" / "images"


@pytest.mark.parametrize(
    ("chosen", "small", "large"),
    [
        ({}, "lbfgs", "adam"),
        ({"style_weight": 7.0, "history": 5}, "lbfgs", "adam"),
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
    request = settings.Job(**chosen)
    sides = (64, pyramid.LARGE, pyramid.LARGE + 1, 4096)
    found = [schedule.choose_optimizer(request, side) for side in sides]
    assert found == [small, small, large, large]


def test_the_settings_of_adam_are_those_that_lbfgs_has_not():
    own, others = (
        optimizers.OPTIMIZERS[name].settings for name in ("adam", "lbfgs")
    )
    assert own - (others - {"learning_rate"}) == schedule.ADAM_SETTINGS


def test_steps_go_by_the_optimizer_unless_they_are_named():
    assert schedule.list_steps(settings.Job()) == (50, 50, 40, 50)
    for chosen in ({"epsilon": 1e-3}, {"optimizer": "sgd"}):
        assert schedule.list_steps(settings.Job(**chosen)) == (100, 80, 50)
    for name in ("adam", "lbfgs", "sgd"):
        assert schedule.list_steps(
            settings.Job(optimizer=name, steps=(3,))
        ) == (3,)


def test_each_level_has_the_optimizer_of_its_size(monkeypatch, toy):
    monkeypatch.setattr(pyramid, "LARGE", 64)
    made = []

    def record(make, image, **chosen):
        made.append((image.shape[2], make.__name__, chosen.get("scaled")))
        return make(image, **chosen)

    for module, name in ((first_order, "Adam"), (lbfgs, "Lbfgs")):
        recorded = functools.partial(record, getattr(module, name))
        monkeypatch.setattr(module, name, recorded)
    steps = list(
        api.stylize_steps(
            toys.image(96, 128, 0),
            toys.image(50, 60, 1),
            size=128,
            min_size=32,
            growth=2.0,
            steps=(3, 2, 4),
            extractor="toy",
            weights=str(toy),
            content_layers=toys.CONTENT_LAYER,
            style_layers=",".join(toys.STYLE_LAYERS),
        )
    )
    assert made == [
        (32, "Lbfgs", None),
        (64, "Lbfgs", None),
        (128, "Adam", True),
    ]
    assert [step.index for step in steps] == [1, 2, 3, 1, 2, 1, 2, 3, 4]


@pytest.mark.slow
def test_the_default_comes_as_far_as_adam_in_half_of_the_time():
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
            content, style, size=256, weights="small", **chosen
        ):
            height, width = step.size
            work += pyramid.Level(height, width, 1).work
            losses.append(float(step.evaluation.loss))
        assert np.isfinite(results.read_image(step)).all()
        found[name] = work, min(losses[-5:])
    assert found["default"][0] < 0.55 * found["adam"][0]
    assert found["default"][1] < 1.02 * found["adam"][1]
