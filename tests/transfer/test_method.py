"""The painter: plans become pictures, in smaller tiles where memory ran out."""

import dataclasses
import functools
import logging

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.backend import replicas
from nst_tf.losses import objectives, total_variation
from nst_tf.network import extractors
from nst_tf.optimize import base, first_order, lbfgs
from nst_tf.plan import planning, pyramid, style_regions
from nst_tf.tiling import tiled
from nst_tf.transfer import method, targets

CONTENT = toys.image(48, 64, 0)
A, B = toys.image(40, 56, 1), toys.image(50, 40, 2)
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
    }
    layers = (toys.CONTENT_LAYER, *toys.STYLE_LAYERS)
    assert made == [("toy", layers, options)]
    other = one.inputs.network._replace(origin="another file")
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
        [(network, _)] = painter._networks.values()
        assert bool(network.cache) == remember


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


# When memory runs out


def _exhausting(evaluate, gone, where):
    """An objective that runs out of memory where `gone` says so, in the graph.

    `where` is the loss or the gradient.
    """

    def fail():
        if gone():
            raise MemoryError  # TensorFlow makes a ResourceExhaustedError of it
        return np.float32(0)

    def exhausting(image):
        evaluation = evaluate(image)
        nothing = tf.py_function(fail, [], tf.float32)
        nothing.set_shape([])
        if where == "loss":
            return evaluation._replace(loss=evaluation.loss + nothing)
        gradient = tf.convert_to_tensor(evaluation.gradient) + nothing
        return evaluation._replace(gradient=gradient)

    return exhausting


SIZE, STEPS = (43, 57), 8


def _state(optimizer):
    """Copies of all that an optimizer remembers, by name."""
    found = base.list_variables(optimizer)
    return {name: value.numpy() for name, value in found.items()}


def _odd_plan(optimizer="adam"):
    return toys.plan(
        toys.image(*SIZE, 0),
        toys.image(51, 39, 1),
        levels=[pyramid.Level(*SIZE, STEPS, optimizer)],
    )


class _Run:
    """A run of the toy network that may run out of memory at a step.

    `arrays` is what the optimizer remembered after each step, `gradients` what
    it saw; `asked` what it remembered each time that memory ran out.
    """

    def __init__(self, monkeypatch, name, at=0, times=0, where="loss"):
        self.arrays, self.gradients, self.asked = [], [], []
        self._at, self._left, self._where = at, times, where
        self._seen = tf.Variable(tf.zeros((1, *SIZE, 3)))
        make = getattr(*CLASSES[name])

        def made(image, **settings):
            self._optimizer = make(image, **settings)
            return self._optimizer

        with monkeypatch.context() as patch:
            patch.setattr(*CLASSES[name], made)
            for module, function in (
                (objectives, "make_objective"),
                (tiled, "make_tiled_objective"),
            ):
                spoiled = self._spoiled(getattr(module, function))
                patch.setattr(module, function, spoiled)
            for step in method.Painter().paint(_odd_plan(name)):
                self.arrays.append(_state(self._optimizer))
                self.gradients.append(self._seen.numpy())
                self.loss = float(step.evaluation.loss)

    def _gone(self):
        if len(self.arrays) + 1 != self._at or not self._left:
            return False
        self._left -= 1
        self.asked.append(_state(self._optimizer))
        return True

    def _spoiled(self, make):
        def made(*arguments):
            evaluate = _exhausting(make(*arguments), self._gone, self._where)

            def recorded(image):
                evaluation = evaluate(image)
                self._seen.assign(tf.convert_to_tensor(evaluation.gradient))
                return evaluation

            return recorded

        return made


@functools.cache
def _undisturbed(name):
    """The last loss of a run that has memory enough."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        toys.extractor(monkeypatch)
        return _Run(monkeypatch, name).loss


def _random_step(seed):
    return int(np.random.default_rng(seed).integers(2, 8))


slow = pytest.mark.slow
AGAIN = "not enough memory for this step; it is taken again in tiles of"


@pytest.mark.parametrize(
    ("name", "at", "times", "where"),
    [
        ("adam", _random_step(0), 1, "gradient"),
        pytest.param("adam", 1, 1, "gradient", marks=slow),
        pytest.param("lbfgs", 1, 1, "gradient", marks=slow),
        pytest.param("lbfgs", _random_step(1), 1, "loss", marks=slow),
    ],
)
def test_a_step_without_memory_is_taken_again_in_tiles(
    monkeypatch, caplog, name, at, times, where
):
    network = toys.extractor(monkeypatch, **AS_PLANNED)
    rescued = _Run(monkeypatch, name, at, times, where)
    assert [each.getMessage() for each in caplog.records] == [f"{AGAIN} 28"]
    # Nothing had been changed when it was taken again.
    start = tf.Variable(toys.image(*SIZE, 0)[None])
    before = (
        rescued.arrays[at - 2]
        if at > 1
        else _state(getattr(*CLASSES[name])(start))
    )
    assert len(rescued.asked) == times
    for state in rescued.asked:
        assert set(state) == set(before)
        for key, value in before.items():
            np.testing.assert_array_equal(state[key], value, err_msg=key)
    # It sees the gradient that it would have seen.
    loss_list = targets.perceptual_losses(_odd_plan(), network, *SIZE)
    whole = objectives.make_objective(network, loss_list)
    expected = whole(tf.constant(before["image"])).gradient
    np.testing.assert_allclose(
        rescued.gradients[at - 1],
        expected,
        rtol=0,
        atol=1e-5 * np.abs(expected).max(),
    )
    assert len(rescued.arrays) == STEPS
    assert int(rescued.arrays[-1]["rescues"]) == 0
    assert rescued.loss == pytest.approx(_undisturbed(name), rel=5e-3)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_ends_where_the_smallest_tiles_do_not_fit(
    plan, monkeypatch, caplog, workers
):
    def fail(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    monkeypatch.setattr(objectives, "make_objective", fail)
    monkeypatch.setattr(tiled, "make_tiled_objective", fail)
    monkeypatch.setattr(replicas, "count_workers", lambda: workers)
    caplog.set_level(logging.WARNING, "nst_tf")
    with pytest.raises(tf.errors.ResourceExhaustedError):
        next(method.Painter().paint(plan()))
    sides = [r.args[0] for r in caplog.records if r.name == "nst_tf"]
    assert sides == ([32, 16] if workers == 1 else [])
