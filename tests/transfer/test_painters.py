"""What is kept from one picture to the next, and who has it."""

import concurrent.futures
import dataclasses
import gc
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf import losses
from nst_tf.backend import reuse
from nst_tf.losses import style_kinds
from nst_tf.plan import optimizers, planning, pyramid
from nst_tf.transfer import method, painter_pool, style_targets, target_cache

HALF = np.zeros((48, 64), "f4")
HALF[:, :32] = 1


def _plan(toy_weights, seed=0, number=1.0, **changes):
    """A plan whose pictures, weights and settings go by a seed and a number."""
    name = changes.pop("optimizer", "adam")
    settings = {"learning_rate": 0.01 * number}
    height, width = changes.pop("style_size", (40, 56))
    style = toys.style(toys.image(height, width, seed + 1), share=40 * number)
    plan = toys.plan(
        toys.image(48, 64, seed),
        style,
        levels=[
            pyramid.Level(24, 32, 2, name, settings),
            pyramid.Level(48, 64, 3, name, settings),
        ],
        content_weights={toys.CONTENT_LAYER: 3 * number},
        **{"tv_weight": 1.7 * number, **changes},
    )
    read = plan.inputs._replace(network=toy_weights)
    return dataclasses.replace(plan, inputs=read)


@pytest.fixture
def make(toy):
    """Changes -> plans of one network."""
    weights = toys.plan(toys.image(48, 64)).inputs.network
    return lambda *changes, **more: _plan(weights, *changes, **more)


def _paint(painter, plan):
    *_, last = painter.paint(plan)
    return last.image.numpy()


KINDS = [
    *({"style_loss": name} for name in style_kinds.STYLE_LOSSES),
    *({"optimizer": name} for name in optimizers.OPTIMIZERS),
    {"neighbors": {toys.STYLE_LAYERS[1]: 2.0}, "grain_weight": 0.3},
    {"keep": HALF},
    {"tiling": planning.Tiling(28)},
    {"tiling": planning.Tiling(28, "recompute"), "optimizer": "lbfgs"},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_three_pictures_trace_each_step_once(make, kind):
    painter = method.Painter()
    plans = [
        make(number, 1 + 0.3 * number, style_size=(40, 50 + number), **kind)
        for number in range(3)
    ]
    images = [_paint(painter, plan) for plan in plans]
    assert painter.traces == 2  # one for each size
    for plan, image in zip(plans, images, strict=True):
        np.testing.assert_array_equal(image, _paint(method.Painter(), plan))


def test_a_style_is_measured_once_for_all_contents(make, monkeypatch):
    style = toys.style(toys.image(40, 56, 9))
    passes = []
    compute = style_targets._compute_targets
    monkeypatch.setattr(
        style_targets,
        "_compute_targets",
        lambda *given: passes.append(given) or compute(*given),
    )
    painter = method.Painter()
    for seed in range(3):
        plan = make(seed)
        regions = [plan.regions[0]._replace(styles=[style])]
        _paint(painter, dataclasses.replace(plan, regions=regions))
    assert len(passes) == len(plan.levels) == 2


def test_targets_are_bounded(make, monkeypatch):
    painter = method.Painter()
    _paint(painter, make(0))
    (network,) = painter._networks.values()
    size = network.targets.size
    monkeypatch.setattr(target_cache, "MOST_BYTES", size)
    _paint(painter, make(1))
    assert network.targets.size == size
    monkeypatch.setattr(target_cache, "MOST_BYTES", 0)
    _paint(painter, make(1))
    assert network.targets.size == 0


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_inputs_give_the_bits_of_constants(make, monkeypatch, precision):
    plan = make(
        neighbors={toys.STYLE_LAYERS[1]: 5.0},
        grain_weight=5.0,
        tv_weight=50.0,
        network=planning.NetworkSpec("toy", precision=precision),
    )
    settings = {"decay_rate": 0.5, "decay_steps": 3}
    levels = [pyramid.Level(48, 64, 6, "adam", settings)]
    plan = dataclasses.replace(plan, levels=levels)
    painter = method.Painter()
    actual = [_paint(painter, plan) for _ in range(2)]
    assert painter.traces == 1
    monkeypatch.setattr(reuse, "_RULES", {})  # all is compiled anew
    expected = [_paint(painter, plan) for _ in range(2)]
    assert painter.traces == 3
    np.testing.assert_array_equal(actual, expected)


# Who has it


def _borrowed(plan):
    """Takes the steps of a plan by a painter that is borrowed."""
    with painter_pool.borrow() as painter:
        for step in painter.paint(plan):
            yield step.image.numpy().tobytes()


@pytest.mark.parametrize("tiling", [0, 28])
def test_runs_that_overlap_give_the_bits_of_their_runs_alone(make, tiling):
    one, two = (make(n, 1 + n, tiling=planning.Tiling(tiling)) for n in (0, 1))
    alone = [list(_borrowed(plan)) for plan in (one, two)]
    together = list(zip(_borrowed(one), _borrowed(two), strict=True))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        threads = list(pool.map(lambda p: list(_borrowed(p)), (one, two)))
    assert [list(each) for each in zip(*together, strict=True)] == alone
    assert threads == alone


def test_a_painter_that_is_at_work_leaves_another_run_to_another(make):
    painter = method.Painter()
    expected = _paint(method.Painter(), make(1))
    steps = painter.paint(make(0))
    next(steps)
    np.testing.assert_array_equal(_paint(painter, make(1)), expected)
    assert painter.traces == 1
    steps.close()
    _paint(painter, make(1))
    assert painter.traces == 2


def test_one_run_after_the_other_has_the_same_painter(make):
    with painter_pool.borrow() as first, painter_pool.borrow() as second:
        _paint(first, make())
    with painter_pool.borrow() as third:
        assert third is first is not second
        _paint(third, make(1))
        assert third.traces == 2


def test_what_is_kept_is_bounded(make, monkeypatch):
    with painter_pool.borrow() as painter:
        for pooling in ("max", "average"):
            network = planning.NetworkSpec("toy", pooling)
            _paint(painter, make(network=network))
        both = painter.size
    assert painter_pool.measure_size() == both > 0
    monkeypatch.setattr(painter_pool, "LARGEST", both - 1)
    with painter_pool.borrow() as again:
        assert again is painter
    assert 0 < painter_pool.measure_size() < both  # the older network went
    monkeypatch.setattr(painter_pool, "LARGEST", 0)
    with painter_pool.borrow():
        pass
    assert painter_pool.measure_size() == 0


def test_losses_of_a_caller_are_compiled_anew(make):
    class Mine:
        name, layer, weight, reach, additive = "mine", "image", 1.0, 0, True
        maps = {}
        factor = 1.0

        def statistics(self, features, mask=None):
            return losses.Statistics(
                self.factor * tf.reduce_sum(features), tf.constant(1.0)
            )

        def distance(self, statistics):
            return losses.divide_by_mass(statistics)

    loss, painter, found = Mine(), method.Painter(), []
    for loss.factor in (1.0, 2.0):
        step = next(painter.paint(make(), extra_losses=lambda *_: [loss]))
        found.append(float(step.evaluation.terms["mine"]))
    assert found[1] == 2 * found[0] > 0


@pytest.mark.slow
def test_memory_is_flat_from_the_third_picture_on(make):
    found = []
    for number in range(12):
        list(_borrowed(make(number, 1 + number / 9)))
        gc.collect()
        status = Path("/proc/self/status").read_text().split()
        found.append(int(status[status.index("VmRSS:") + 1]) / 1e3)
    with painter_pool.borrow() as painter:
        assert painter.traces == 2
    assert found[-1] - found[2] < 20, found
