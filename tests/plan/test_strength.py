"""One knob, and going on from a preview."""

import dataclasses

import numpy as np
import pytest
import toys

from nst_tf.images import image_io
from nst_tf.losses import conventions, style_kinds, style_losses
from nst_tf.optimize import first_order
from nst_tf.plan import checks, inputs, pyramid, schedule, settings
from nst_tf.runs import api, preparation, results
from nst_tf.transfer import targets


@pytest.fixture
def chosen(toy):
    return {
        "extractor": "toy",
        "weights": str(toy),
        "content_layers": toys.CONTENT_LAYER,
        "style_layers": ",".join(toys.STYLE_LAYERS),
        "precision": "float32",
        "min_size": 32,
        "growth": 2**0.5,
        "steps": (10,),
    }


CONTENT, STYLE = toys.image(48, 64, 0), toys.image(50, 40, 1)
PICTURES = image_io.Picture(CONTENT), [image_io.Picture(STYLE)]


@pytest.mark.parametrize(
    "more", [{}, {"init": "noise", "optimizer": "sgd", "average": 0.5}]
)
def test_a_strength_of_0_is_the_photograph(chosen, more):
    result = api.stylize(
        CONTENT, STYLE, size=48, strength=0.0, **chosen, **more
    )
    np.testing.assert_array_equal(result, image_io.resize(CONTENT, 36, 48))


@pytest.mark.parametrize("name", style_kinds.STYLE_LOSSES)
def test_weights_rise_and_levels_grow_with_the_strength(name):
    jobs = [
        schedule.apply_strength(settings.Job(strength=s, style_loss=name))
        for s in np.linspace(0.1, 1, 10)
    ]
    ratios = [one.style_weight / one.content_weight for one in jobs]
    assert all(np.diff(np.log(ratios)) > 0)
    sizes = [one.min_size for one in jobs]
    assert sizes[0] == sizes[4] == 512 and sizes[-1] == 128
    assert all(np.diff(sizes) <= 0)
    rates = [one.learning_rate for one in jobs]
    assert rates[0] == pytest.approx(0.005) and rates[4] == 0.02 == rates[-1]
    for one in jobs:
        checks.check(one)


def test_without_a_strength_nothing_is_replaced():
    request = settings.Job(style_weight=7.0)
    assert schedule.apply_strength(request) == request
    unchanged = {"strength", "content_weight", "style_weight", "tv_weight"}
    changed = schedule.apply_strength(
        dataclasses.replace(request, strength=0.3)
    )
    unchanged |= {"min_size", "learning_rate", *schedule.STRENGTH_SCHEDULE}
    for field in dataclasses.fields(settings.Job):
        if field.name not in unchanged:
            assert getattr(changed, field.name) == getattr(request, field.name)


def test_the_schedule_of_a_strength_is_that_of_its_calibration_or_yours():
    calibrated = schedule.apply_strength(settings.Job(strength=0.7))
    assert calibrated.optimizer == "adam"
    assert calibrated.steps == (100, 80, 70, 60, 50)
    assert calibrated.growth == 2**0.5
    own = {"optimizer": "lbfgs", "steps": (7,), "growth": 3.0}
    yours = schedule.apply_strength(settings.Job(strength=0.7, **own))
    assert {name: getattr(yours, name) for name in own} == own


@pytest.mark.parametrize("value", [-2.0, 1.5, float("nan")])
def test_a_strength_outside_its_range_is_refused(chosen, value):
    with pytest.raises(ValueError, match="strength is"):
        api.stylize(CONTENT, STYLE, strength=value, **chosen)


def test_a_strength_beside_a_convention_is_refused():
    with pytest.raises(ValueError, match="has weights of its own"):
        checks.check(settings.Job(strength=0.5, convention="keras"))


def test_a_style_loss_beside_another_convention_is_refused():
    with pytest.raises(ValueError, match="--style_loss=wasserstein"):
        checks.check(settings.Job(convention="crowson_w2"))


def test_a_preview_is_a_stage_of_a_larger_run(chosen, tmp_path):
    small = api.stylize(CONTENT, STYLE, size=64, **chosen)
    whole = list(api.stylize_steps(CONTENT, STYLE, size=128, **chosen))
    stages = {
        step.image.shape[2]: results.read_image(step)
        for step in whole  # the last one of each level
    }
    np.testing.assert_array_equal(stages[64], small)
    path = tmp_path / "preview.png"
    image_io.save_image(path, small)
    going_on = api.stylize(
        CONTENT, STYLE, size=128, continue_from=str(path), **chosen
    )
    # The file has 256 values; Adam makes more of the difference.
    difference = np.abs(going_on - stages[128])
    assert difference.mean() < 4 / 255


@pytest.mark.parametrize("name", ["init", "continue_from"])
def test_what_is_started_from_may_be_an_array(chosen, tmp_path, name):
    start = np.uint8(255 * image_io.resize(CONTENT, 48, 64)[:, ::-1])
    path = tmp_path / "start.png"
    image_io.save_image(path, start / np.float32(255))
    pictures = {
        kind: api.stylize(CONTENT, STYLE, size=96, **{name: value}, **chosen)
        for kind, value in {
            "path": path,
            "array": start,
            "floats": start / np.float32(255),
            "none": "" if name == "continue_from" else "content",
        }.items()
    }
    for kind in ("array", "floats"):
        np.testing.assert_array_equal(pictures[kind], pictures["path"])
    assert np.abs(pictures["none"] - pictures["path"]).max() > 0.01


def test_going_on_takes_the_steps_of_the_levels_above(chosen, tmp_path):
    path = tmp_path / "preview.png"
    image_io.save_image(path, image_io.resize(CONTENT, 48, 64))
    request = settings.Job(
        size=128, continue_from=str(path), **{**chosen, "steps": (5, 4, 3, 2)}
    )
    prepared = inputs.prepare(request, *PICTURES)
    levels = [(level.width, level.steps) for level in prepared.levels]
    assert levels == [(96, 2), (128, 2)]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((60, 64), "of another shape"),
        ((96, 128), "raise --size"),
        ((3, 4), "of another shape"),
    ],
)
def test_a_preview_that_cannot_be_gone_on_from_is_refused(
    chosen, tmp_path, size, words
):
    path = tmp_path / "preview.png"
    image_io.save_image(path, image_io.resize(CONTENT, *size))
    request = settings.Job(size=128, continue_from=str(path), **chosen)
    with pytest.raises(ValueError, match=words):
        inputs.prepare(request, *PICTURES)


@pytest.mark.parametrize("fit", ["keep", "side", "stretch", "crop"])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_a_style_image_is_seen_at_its_scale(monkeypatch, fit, scale):
    network = toys.extractor(monkeypatch)
    style = toys.image(40, 30, 1)
    seen = []
    measure = style_losses.GramLoss.measure

    def record(features, mask=None, projection=None):
        seen.append(features.shape[1:3].as_list())
        return measure(features, mask, projection)

    monkeypatch.setattr(style_losses.GramLoss, "measure", record)
    weights = targets.LossWeights({}, {"block1_conv1": 1.0})
    targets.perceptual_losses(
        network,
        toys.image(24, 32, 0),
        [targets.Style(style, scale=scale)],
        weights,
        24,
        32,
        style_fit=fit,
    )
    [(height, width)] = seen
    expected = {"keep": (32, 24), "side": (32, 24)}.get(fit, (24, 32))
    assert (height, width) == tuple(round(scale * x) for x in expected)


def test_a_style_image_that_becomes_too_small_is_refused(chosen):
    with pytest.raises(ValueError, match="raise --min_size or --style_scale"):
        api.stylize(
            CONTENT,
            toys.image(300, 10, 1),
            size=32,
            style_scale=0.1,
            **chosen,
        )


def test_previews_of_a_photograph_of_3_to_2_are_gone_on_from(chosen, tmp_path):
    content = toys.image(400, 600, 0)
    path = tmp_path / "preview.png"
    for size in ((341, 512), (240, 368), (342, 512)):
        image_io.save_image(path, image_io.resize(content, *size))
        request = settings.Job(size=1024, continue_from=str(path), **chosen)
        prepared = inputs.prepare(
            request, image_io.Picture(content), PICTURES[1]
        )
        assert prepared.levels[0].width > size[1]
    image_io.save_image(path, image_io.resize(content, 330, 512))
    with pytest.raises(ValueError, match="of another shape"):
        inputs.prepare(request, image_io.Picture(content), PICTURES[1])


def test_what_is_gone_on_from_is_not_overwritten(chosen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image_io.save_image("content.png", CONTENT)
    image_io.save_image("a.png", CONTENT)
    request = settings.Job(
        content="content.png",
        style=("content.png",),
        continue_from="a.png",
        output="a.png",
        overwrite=True,
        size=128,
        **chosen,
    )
    with pytest.raises(ValueError, match=r"a\.png"):
        preparation.read_files(request)


@pytest.mark.parametrize("more", [{"init": "noise"}, {"init_noise": 0.5}])
def test_two_starts_are_refused(more):
    with pytest.raises(ValueError, match="continue_from is where the run"):
        checks.check(settings.Job(continue_from="a.png", **more))


@pytest.mark.parametrize("value", [1e-300, 1e-9, 0.05, 0.7, 1.0])
@pytest.mark.parametrize("size", [10, 64, 4096])
def test_every_strength_makes_a_job_that_is_fine(value, size):
    request = schedule.apply_strength(settings.Job(strength=value, size=size))
    checks.check(request)
    assert schedule.apply_strength(request) is not None
    assert schedule.apply_strength(request) == request


@pytest.mark.parametrize(
    "wrong", [{"size": -5}, {"min_size": 0}, {"style_loss": "grams"}]
)
def test_wrong_settings_beside_a_strength_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        schedule.apply_strength(settings.Job(strength=0.7, **wrong))


def test_the_scale_of_strokes_does_not_weigh_sums(monkeypatch):
    network = toys.extractor(monkeypatch, dtype="float64")
    flat = np.full((24, 32, 3), 0.4)
    weights = targets.LossWeights({}, {"block1_conv1": 1.0})

    def distance(scale):
        [loss] = targets.perceptual_losses(
            network,
            toys.image(24, 32, 0),
            [targets.Style(flat, scale=scale)],
            weights,
            24,
            32,
            conventions.CONVENTIONS["gatys2016"],
        )
        maps = network.model(toys.image(24, 32, 3, "float64")[None])
        return float(loss.distance(loss.statistics(maps["block1_conv1"])))

    # Of one color, but at its border, where zeros are seen.
    assert distance(2.0) == pytest.approx(distance(1.0), rel=0.2)


def test_a_picture_of_one_row_has_no_total_variation_to_divide_by(monkeypatch):
    network = toys.extractor(monkeypatch, layers=("block1_conv1",))
    loss_list = targets.perceptual_losses(
        network,
        toys.image(1, 9, 0),
        [targets.Style(toys.image(1, 9, 1))],
        targets.LossWeights({}, {"block1_conv1": 1.0}, 1.0),
        1,
        9,
        conventions.CONVENTIONS["neural_style"],
    )
    assert [loss.name for loss in loss_list] == ["style/block1_conv1"]


@pytest.mark.parametrize("convention", ["relative", "tensorflow"])
def test_large_levels_above_others_take_shorter_steps(
    chosen, monkeypatch, convention
):
    monkeypatch.setattr(pyramid, "LARGE", 64)
    rates = []
    make = first_order.Adam

    def record(image, **options):
        rates.append((image.shape[2], options["learning_rate"]))
        return make(image, **options)

    monkeypatch.setattr(first_order, "Adam", record)
    chosen |= {"steps": (1,), "convention": convention, "optimizer": "adam"}
    api.stylize(CONTENT, STYLE, size=128, **chosen)
    short = 0.006 if convention == "relative" else 0.02
    assert dict(rates) == pytest.approx(
        {32: 0.02, 48: 0.02, 64: 0.02, 96: short, 128: short}
    )
    rates.clear()
    api.stylize(CONTENT, STYLE, size=128, levels=1, **chosen)
    assert rates == [(128, 0.02)]
