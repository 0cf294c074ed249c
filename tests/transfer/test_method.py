"""The painter: plans become pictures, in smaller tiles where memory ran out."""

import dataclasses
import functools
import logging

import numpy as np
import pretend
import pytest
import tensorflow as tf
import toys

from nst_tf.backend import device, replicas
from nst_tf.losses import objectives, total_variation
from nst_tf.network import extractors
from nst_tf.optimize import base, first_order, lbfgs
from nst_tf.plan import planning, pyramid, style_regions
from nst_tf.runs import runner
from nst_tf.tiling import tiled
from nst_tf.transfer import method, targets

CONTENT = toys.image(48, 64, 0)
A, B = toys.image(40, 56, 1), toys.image(50, 40, 2)
SECOND = toys.STYLE_LAYERS[1]
CLASSES = {
    "adam": (first_order, "Adam"),
    "lbfgs": (lbfgs, "Lbfgs"),
    "sgd": (first_order, "Sgd"),
}
AS_PLANNED = {"pooling": "average", "padding": "symmetric_first"}


def _paint(plan, painter=None, **options):
    """The steps of a plan, and the picture after the last one."""
    painter = painter or method.Painter()
    steps = [
        (step.level, step.index, step.size, step.image.numpy()[0])
        for step in painter.paint(plan, **options)
    ]
    return steps, steps[-1][-1]


@pytest.fixture
def plan(toy):
    """Settings -> a plan for the toy network, of one level of 48 x 64."""

    def make(*styles, **changes):
        return toys.plan(
            CONTENT,
            *(styles or [A]),
            **{"levels": [pyramid.Level(48, 64, 4)], **changes},
        )

    return make


def _levels(*sides, steps=3, **settings):
    return [
        pyramid.Level(3 * side // 4, side, steps, settings=settings)
        for side in sides
    ]


# Levels, optimizers, networks


def test_a_preview_is_a_stage_of_a_larger_run(plan):
    _, small = _paint(plan(levels=_levels(32, 64)))
    steps, large = _paint(plan(levels=_levels(32, 64, 96)))
    stage = {size: image for *_, size, image in steps}[48, 64]
    np.testing.assert_array_equal(stage, small)
    init = planning.Init("smaller", picture=small)
    _, above = _paint(plan(levels=_levels(96), init=init))
    # Adam makes much of small differences of the enlarged picture.
    assert np.abs(above - large).mean() < 2 / 255


def test_large_levels_compare_smaller_scales_too(plan, monkeypatch):
    monkeypatch.setattr(pyramid, "LARGE", 32)
    monkeypatch.setattr(pyramid, "SHORTEST_SIDE", 8)

    def paint(scales, levels, **changes):
        made = plan(
            scales=scales, levels=levels, style_loss="mix",
            neighbors={SECOND: 2.0}, grain_weight=1.0, **changes,
        )  # fmt: skip
        steps = []
        for step in method.Painter().paint(made):
            steps.append(
                (step.size, step.evaluation.terms, step.image.numpy()[0])
            )
        return steps

    small = paint(3, _levels(32))
    large = paint(3, _levels(32, 64, 128, steps=2))
    np.testing.assert_array_equal(
        [image for size, _, image in large if size == (24, 32)],
        [image for *_, image in small[:2]],
    )
    names = {size: list(terms) for size, terms, _ in large}
    for size, marks in (
        ((24, 32), [""]),
        ((48, 64), ["", "_by2"]),
        ((96, 128), ["", "_by2", "_by4"]),
    ):
        assert names[size] == [
            f"content/{toys.CONTENT_LAYER}",
            *(f"style/{x}{by}" for by in marks for x in toys.STYLE_LAYERS),
            *(f"neighbors/{SECOND}{by}" for by in marks),
            "grain/image",
            "total_variation",
        ]
    one = paint(1, _levels(32, 64, 128, steps=2))
    assert not any("_by" in name for _, terms, _ in one for name in terms)
    tiling = planning.Tiling(64)
    in_tiles = paint(3, _levels(32, 64, 128, steps=2), tiling=tiling)
    np.testing.assert_allclose(in_tiles[-1][2], large[-1][2], atol=2e-3)


def test_each_level_has_its_optimizer_and_its_settings(plan, monkeypatch):
    made = []

    def record(make, image, **chosen):
        made.append((image.shape[2], make.__name__.lower(), chosen))
        return make(image, **chosen)

    for module, name in CLASSES.values():
        recorded = functools.partial(record, getattr(module, name))
        monkeypatch.setattr(module, name, recorded)
    levels = [
        pyramid.Level(24, 32, 2, "lbfgs", {"history": 3}),
        pyramid.Level(36, 48, 1, "adam", {"learning_rate": 0.01}),
        pyramid.Level(48, 64, 3, "sgd"),
    ]
    steps, _ = _paint(plan(levels=levels))
    assert made == [(each.width, *each[3:]) for each in levels]
    assert [step[:2] for step in steps] == [
        (0, 1), (0, 2), (1, 1), (2, 1), (2, 2), (2, 3)
    ]  # fmt: skip


def test_a_plan_says_when_to_stop_unless_a_rule_does(plan):
    few = plan(levels=_levels(32, 64), stop=planning.StopSettings(steps=(2, 1)))
    steps, _ = _paint(few)
    assert [step[:2] for step in steps] == [(0, 1), (0, 2), (1, 1)]
    steps, _ = _paint(few, stop=lambda level, step: level == 1)
    assert [step[:2] for step in steps] == [(1, 1), (1, 2), (1, 3)]


def test_the_network_is_that_of_the_plan_and_made_once(plan, monkeypatch):
    made = []
    make = extractors.vgg

    def record(name, layers, weights, **options):
        made.append((name, tuple(layers), options))
        return make(name, layers, weights, **options)

    monkeypatch.setattr(extractors, "vgg", record)
    painter = method.Painter()
    one = plan(levels=_levels(32, steps=1))
    one = dataclasses.replace(
        one, network=planning.NetworkSpec("toy", "max", "zeros", "float64")
    )
    _paint(one, painter)
    _paint(dataclasses.replace(one, tv_weight=0.0), painter)
    options = {
        "projections": None,
        "pooling": "max",
        "padding": "zeros",
        "dtype": "float64",
        "convolution": "direct",
    }
    layers = (toys.CONTENT_LAYER, *toys.STYLE_LAYERS)
    assert made == [("toy", layers, options)]
    other = one.inputs.network._replace(layers=toys.weights(1))
    for changes in (
        {"network": one.network._replace(pooling="average")},
        {"inputs": one.inputs._replace(network=other)},
        {"content_weights": {}},
    ):
        _paint(dataclasses.replace(one, **changes), painter)
    assert len(made) == 4


def test_features_of_a_picture_are_kept_only_if_asked(plan):
    one = plan(levels=_levels(32, steps=1))
    for remember in (False, True):
        painter = method.Painter(remember=remember)
        _paint(one, painter)
        [network] = painter._networks.values()
        assert bool(network.extractor.cache) == remember


def test_a_plan_without_a_network_is_refused(plan):
    one = plan()
    one = dataclasses.replace(one, inputs=one.inputs._replace(network=None))
    with pytest.raises(ValueError, match="have no network; load it"):
        next(method.Painter().paint(one))


# What is painted


def test_a_blend_moves_from_one_style_to_the_other(plan):
    network = toys.extractor(None, **AS_PLANNED, dtype="float64")
    pictures = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        styles = [toys.style(A, 1 - share), toys.style(B, share)]
        regions = [style_regions.Region([s for s in styles if s.weight])]
        pictures.append(
            _paint(plan(regions=regions, levels=_levels(64, steps=30)))[1]
        )
    for style, sign in ((A, 1), (B, -1)):
        loss_list = targets.perceptual_losses(
            toys.plan(CONTENT, style, content_weights={}, tv_weight=0.0),
            network,
            48,
            64,
        )
        evaluate = objectives.make_objective(network, loss_list)
        distances = [
            float(evaluate(tf.constant(picture[None], tf.float64)).loss)
            for picture in pictures
        ]
        assert (sign * np.diff(distances) > 0).all(), distances


def test_each_region_is_painted_in_its_style(plan):
    left = np.zeros((48, 64), np.float32)
    left[:, :32] = 1
    changes = {
        "content_weights": {},
        "tv_weight": 0.0,
        "levels": _levels(64, steps=40, average=0.0),
    }
    regions = [
        style_regions.Region([toys.style(A)], left, "a"),
        style_regions.Region([toys.style(B)], 1 - left, "b"),
    ]
    *_, both = method.Painter().paint(plan(regions=regions, **changes))
    *_, alone = method.Painter().paint(plan(A, **changes))
    for layer in toys.STYLE_LAYERS:
        loss = float(both.evaluation.terms[f"style/{layer}@a"])
        expected = float(alone.evaluation.terms[f"style/{layer}"])
        assert loss < 1.25 * expected + 4e-3


def test_what_has_no_style_or_is_kept_stays(plan):
    right = np.zeros((48, 64), np.float32)
    right[:, 32:] = 1
    regions = [style_regions.Region([toys.style(A)], right)]
    change = [
        np.abs(_paint(each)[1] - CONTENT).mean(axis=(0, 2))
        for each in (
            plan(regions=regions, tv_weight=0.0),
            plan(regions=regions, keep=1 - right),
        )
    ]
    assert change[0][48:].mean() > 2 * change[0][:24].mean()
    assert change[1][:32].max() < 1e-6 and change[1][32:].min() > 0.01


# Losses of the caller


def _variation(layer="image", name="mine"):
    loss = total_variation.TotalVariationLoss(1.0)
    loss.layer, loss.name = layer, name
    return loss


def test_losses_of_the_caller_count_at_every_level(plan):
    asked = []

    def extra(height, width):
        asked.append((height, width))
        return [_variation()]

    one = plan(levels=_levels(32, 64, steps=1), tv_weight=0.0)
    for step in method.Painter().paint(one, extra_losses=extra):
        assert float(step.evaluation.terms["mine"]) > 0
    # Once for their layers, then at each level.
    assert asked == [(24, 32), (24, 32), (48, 64)]


def test_a_loss_of_a_layer_that_is_not_there_is_refused(plan):
    words = r"the loss 'mine': toy has no layer 'block9_conv9'; did you mean"
    steps = method.Painter().paint(
        plan(), extra_losses=lambda *_: [_variation("block9_conv9")]
    )
    with pytest.raises(ValueError, match=words):
        next(steps)


def test_losses_of_one_name_are_refused(plan):
    for extra, kinds in (
        ([_variation(), _variation("block1_conv1")],
         "a TotalVariationLoss of image and a .* of block1_conv1"),
        ([_variation(name="total_variation")],
         "a TotalVariationLoss of image and a TotalVariationLoss of image"),
    ):  # fmt: skip
        steps = method.Painter().paint(
            plan(), extra_losses=lambda *_, extra=extra: extra
        )
        with pytest.raises(ValueError, match=rf"^two losses have .*, {kinds};"):
            next(steps)


def test_what_extra_losses_return_is_a_list(plan):
    for made, words in (
        (None, "None of type"),
        (_variation(), "of type Total"),
    ):
        steps = method.Painter().paint(
            plan(), extra_losses=lambda *_, made=made: made
        )
        with pytest.raises(
            TypeError, match=f"the result of extra_.*{words}.* a list"
        ):
            next(steps)


# When memory runs out


def _states(monkeypatch, name, at=0, where="loss"):
    """What an optimizer remembers after each step, in float64.

    Memory runs out once, in the graph of step `at`: at the loss or the
    gradient.
    """
    states, make = [], objectives.make_objective

    def fail():
        if len(states) + 1 == at:
            raise MemoryError  # TensorFlow makes a ResourceExhaustedError of it
        return np.float64(0)

    def make_exhausting(*arguments, **options):
        evaluate = make(*arguments, **options)

        def exhausting(image):
            evaluation = evaluate(image)
            nothing = tf.py_function(fail, [], tf.float64)
            nothing.set_shape([])
            value = tf.convert_to_tensor(getattr(evaluation, where))
            return evaluation._replace(**{where: value + nothing})

        return exhausting

    plan = toys.plan(
        toys.image(43, 57, 0, "f8"),
        toys.image(51, 39, 1, "f8"),
        levels=[pyramid.Level(43, 57, 6, name)],
        network=planning.NetworkSpec("toy", precision="float64"),
    )
    with monkeypatch.context() as patch:
        patch.setattr(objectives, "make_objective", make_exhausting)
        painter = method.Painter()
        for step in painter.paint(plan):
            found = base.list_variables(step.optimizer)
            states.append({key: each.numpy() for key, each in found.items()})
    assert painter.tiling.side == (28 if at else 0)  # as checkpoints hold it
    return states


def _read_sides(caplog):
    """The sides of the tiles in which a step was taken again, as logged."""
    words = "not enough memory for this step; it is repeated with tiles of "
    lines = [each.getMessage() for each in caplog.records]
    return [line.removeprefix(words) for line in lines if words in line]


@pytest.mark.parametrize(
    ("name", "at", "where"),
    [
        ("adam", 4, "gradient"),
        pytest.param("adam", 1, "gradient", marks=pytest.mark.slow),
        pytest.param("lbfgs", 1, "gradient", marks=pytest.mark.slow),
        pytest.param("lbfgs", 5, "loss", marks=pytest.mark.slow),
    ],
)
def test_a_step_without_memory_is_taken_again_in_tiles(
    toy, monkeypatch, caplog, name, at, where
):
    rescued = _states(monkeypatch, name, at, where)
    assert _read_sides(caplog) == ["28"]
    # Nothing had been changed, and it saw the gradient that it would have seen.
    undisturbed = _states(monkeypatch, name)
    assert len(rescued) == len(undisturbed) == 6
    for actual, expected in zip(rescued, undisturbed, strict=True):
        assert set(actual) == set(expected)
        for key, value in expected.items():
            np.testing.assert_allclose(
                actual[key], value, rtol=1e-5, atol=1e-7, err_msg=key
            )


def test_another_error_is_raised_at_once(plan, monkeypatch):
    def fail(*_, **__):
        raise tf.errors.InvalidArgumentError(None, None, "a bug")

    monkeypatch.setattr(objectives, "make_objective", fail)
    with pytest.raises(tf.errors.InvalidArgumentError, match="a bug"):
        next(method.Painter().paint(plan()))


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("tile", [0, 32])
def test_a_step_that_overflows_is_taken_again_in_float32(
    toy, monkeypatch, caplog, optimizer, tile
):
    chosen = {"optimizer": optimizer, "tile": tile, "size": 64, "levels": 1}

    def run(machine, **besides):
        monkeypatch.setattr(device, "resolve_precision", lambda _: machine)
        chosen_now = {**chosen, "precision": "auto", "convolution": "direct"}
        draft = pretend.draft(toy, **chosen_now, **besides)
        return runner.start_run(draft, painter=method.Painter())

    fine = run("float16")
    fine.execute()
    assert fine.plan.network.precision == "float16" and not caplog.messages
    # Losses in the middle of what float32 holds are beyond float16.
    weights = {"style_weight": 1e10, "content_weight": 1e9}
    images = []
    for machine in ("float16", "float32"):
        made = run(machine, **weights)
        images.append(made.execute().image.numpy())
        assert made.plan.network[3:] == ("float32", "direct", "")
    np.testing.assert_array_equal(*images)
    (note,) = caplog.messages
    assert note.startswith("a step overflowed in half precision; this step")


def test_a_run_that_goes_on_after_an_overflow_stays_in_float32(
    toy, monkeypatch, caplog, tmp_path
):
    monkeypatch.setattr(device, "resolve_precision", lambda _: "float16")

    def start(folder):
        draft = pretend.draft(
            toy,
            size=64,
            levels=1,
            steps=4,
            precision="auto",
            convolution="direct",
            style_weight=1e10,
            content_weight=1e9,
            checkpoint_dir=str(tmp_path / folder),
        )
        return runner.start_run(draft, painter=method.Painter())

    whole = start("whole").execute()
    for count in (1, 2):
        caplog.clear()
        run = start("parts")
        steps = run.steps()
        for _ in range(count):
            next(steps)
        steps.close()
        assert run.plan.network.precision == "float32"
        notes = [each for each in caplog.messages if "overflowed" in each]
        assert len(notes) == (count == 1)
    rest = start("parts").execute()
    np.testing.assert_array_equal(rest.image, whole.image)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_ends_where_the_smallest_tiles_do_not_fit(
    plan, monkeypatch, caplog, workers
):
    def fail(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    monkeypatch.setattr(objectives, "make_objective", fail)
    monkeypatch.setattr(tiled, "make_tiled_objective", fail)
    monkeypatch.setattr(replicas, "count_workers", lambda: workers)
    caplog.set_level(logging.WARNING, "nst_tf")
    with pytest.raises(tf.errors.ResourceExhaustedError):
        next(method.Painter().paint(plan()))
    assert _read_sides(caplog) == (["32", "16"] if workers == 1 else [])
