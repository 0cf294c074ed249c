"""What every loss, every objective and every optimizer must obey.

A new class is tested by its entry in a table of the package, or by adding it to
a list here.
"""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.losses import (
    content_loss,
    grain,
    objectives,
    priors,
    style_kinds,
    temporal,
    total_variation,
)
from nst_tf.optimize import base, descent
from nst_tf.plan import optimizers
from nst_tf.tiling import tiled, views

SIZE = (12, 14)


def _features(seed=0, channels=6):
    rng = np.random.default_rng(seed)
    return tf.constant(rng.normal(size=(1, *SIZE, channels)))


def _region(seed=7):
    return toys.mask(*SIZE, seed=seed)


# Each makes a loss at its own target, and the features of the target.
def _content(region=None, projection=None):
    def make():
        where = _region() if region else None
        matrix = _projection() if projection else None
        loss = content_loss.ContentLoss(
            "layer", _features(), 1, where, projection=matrix
        )
        return loss, _features()

    return make


def _style(kind, region=None, projection=None):
    def make():
        where = _region() if region else None
        matrix = _projection() if projection else None
        target = kind.measure(_features(), where, matrix)
        return kind("layer", target, 1, where, matrix), _features()

    return make


def _projection(channels=6):
    return np.random.default_rng(9).normal(size=(channels, 2 * channels))


def _total_variation(neighbors):
    def make():
        flat = tf.fill((1, *SIZE, 3), tf.constant(0.3, tf.float64))
        return total_variation.TotalVariationLoss(neighbors=neighbors), flat

    return make


def _grain(region=None):
    def make():
        where = _region() if region else None
        image = _features(channels=3)
        target = grain.GrainLoss.measure(image, where)
        return grain.GrainLoss("image", target, 1, where), image

    return make


def _temporal():
    image = _features(channels=3)
    return temporal.TemporalLoss(image, _region()), image


def _prior(name, region=None):
    def make():
        gray = tf.fill((1, *SIZE, 3), tf.constant(0.5, tf.float64))
        where = _region() if region else None
        return priors.PriorLoss(name, region=where), gray

    return make


KINDS = list(
    dict.fromkeys(kind.load() for kind in style_kinds.STYLE_LOSSES.values())
)
LOSSES = [
    _content(),
    _content(region=True),
    _content(region=True, projection=True),
    *(_total_variation(name) for name in total_variation.FORMS),
    _grain(),
    _grain(region=True),
    *(_prior(name, region) for name in priors.POWERS for region in (0, 1)),
    _temporal,
    *(
        _style(kind, region, projection)
        for kind in KINDS
        for region in (False, True)
        for projection in (False, True)
    ),
]
every_loss = pytest.mark.parametrize("make", LOSSES)


@every_loss
def test_statistics_of_parts_add_up_to_the_whole(make):
    loss, features = make()
    if not loss.additive:
        pytest.skip("says that its parts do not add up")
    features = features + _features(3, features.shape[-1])
    part = toys.mask(*SIZE)
    whole = loss.statistics(features, None, **loss.maps)
    one = loss.statistics(features, part, **loss.maps)
    other = loss.statistics(features, 1 - part, **loss.maps)
    for total, a, b in zip(whole, one, other, strict=True):
        np.testing.assert_allclose(a + b, total, rtol=1e-12)


@every_loss
def test_distance_is_zero_at_the_target_and_never_negative(make):
    loss, features = make()
    at_target = loss.distance(loss.statistics(features, None, **loss.maps))
    # A table of quantiles holds those of a region nearly.
    exact = loss.additive or not loss.maps
    assert abs(float(at_target)) < (1e-12 if exact else 1e-3)
    for seed in range(5):
        other = features + _features(seed, features.shape[-1])
        statistics = loss.statistics(other, None, **loss.maps)
        assert float(loss.distance(statistics)) > 0


@every_loss
def test_scaling_a_mask_changes_nothing(make):
    loss, features = make()
    features = features + _features(3, features.shape[-1])
    distances = [
        loss.distance(
            loss.statistics(features, scale * toys.mask(*SIZE), **loss.maps)
        )
        for scale in (1.0, 0.1)
    ]
    np.testing.assert_allclose(distances[0], distances[1], rtol=1e-12)


@every_loss
def test_positions_beyond_the_reach_of_the_mask_do_not_count(make):
    loss, features = make()
    features = features + _features(3, features.shape[-1])
    mask = np.zeros((1, *SIZE, 1))
    mask[:, 4:8, 5:9] = 1
    near = np.zeros((1, *SIZE, 1))
    reach = loss.reach
    near[:, 4 - reach : 8 + reach, 5 - reach : 9 + reach] = 1
    changed = features + (1 - near) * 100
    for a, b in zip(
        loss.statistics(features, tf.constant(mask), **loss.maps),
        loss.statistics(changed, tf.constant(mask), **loss.maps),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@every_loss
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_gradient_on_a_constant_image_is_finite(make, value):
    loss, features = make()
    constant = tf.fill(features.shape, tf.constant(value, tf.float64))
    _, gradient = toys.differentiate(
        lambda image: loss.distance(loss.statistics(image, None, **loss.maps)),
        constant,
    )
    assert np.isfinite(gradient).all()


def test_a_target_of_zeros_gives_no_nan():
    zeros = tf.zeros((1, *SIZE, 6), tf.float64)
    for loss in (
        content_loss.ContentLoss("layer", zeros),
        *(kind("layer", kind.measure(zeros)) for kind in KINDS),
    ):
        statistics = loss.statistics(_features(), None, **loss.maps)
        assert np.isfinite(float(loss.distance(statistics)))


# Objectives: name -> (objective, image)


def _losses(
    monkeypatch, size, pooling="average", padding="zeros", dtype="float64"
):
    network = toys.extractor(
        monkeypatch, dtype=dtype, pooling=pooling, padding=padding
    )
    content = toys.image(*size, 1, dtype)
    loss_list = toys.style_and_content(
        network, content, toys.image(10, 15, 2, dtype)
    )
    return network, loss_list, tf.constant(toys.image(*size, 3, dtype)[None])


def _whole(*arguments, **settings):
    network, loss_list, picture = _losses(*arguments, (11, 13), **settings)
    return objectives.make_objective(network, loss_list), picture, loss_list


def _tiled(*arguments, **settings):
    network, loss_list, picture = _losses(*arguments, (19, 27), **settings)
    cut = views.cut_for_extractor(network, 19, 27, 16)
    evaluate = tiled.make_tiled_objective(network, loss_list, cut)
    return evaluate, picture, loss_list


every_objective = pytest.mark.parametrize("make", [_whole, _tiled])


@pytest.mark.parametrize(
    ("make", "pooling", "padding"),
    [
        *(
            (_whole, pooling, padding)
            for pooling in ("max", "average", "average_rescaled")
            for padding in ("zeros", "symmetric")
        ),
        (_tiled, "average", "zeros"),  # the others are those of the whole
    ],
)
def test_gradient_of_the_objective_equals_finite_differences(
    monkeypatch, make, pooling, padding
):
    evaluate, picture, _ = make(monkeypatch, pooling=pooling, padding=padding)
    evaluate = toys.compiled(evaluate)
    gradient = evaluate(picture).gradient.numpy()
    rng = np.random.default_rng(0)
    scale = np.abs(gradient).max()
    step = 1e-6
    for index in zip(
        *(rng.integers(0, n, 25) for n in picture.shape), strict=True
    ):
        delta = np.zeros(picture.shape)
        delta[index] = step
        up, down = evaluate(picture + delta), evaluate(picture - delta)
        difference = (up.loss - down.loss) / (2 * step)
        # Rounding of the losses, of order 10, leaves 1e-15 * 10 / step.
        assert abs(float(difference) - gradient[index]) < 1e-6 * scale + 1e-7


@every_objective
def test_terms_times_weights_sum_to_the_loss(monkeypatch, make):
    evaluate, picture, loss_list = make(monkeypatch)
    evaluation = evaluate(picture)
    total = sum(
        loss.weight * float(evaluation.terms[loss.name]) for loss in loss_list
    )
    np.testing.assert_allclose(evaluation.loss, total, rtol=1e-12)
    assert len(evaluation.terms) == len(loss_list)


@every_objective
def test_objective_is_traced_once_for_ten_steps(monkeypatch, make):
    evaluate, picture, _ = make(monkeypatch, dtype="float32")
    traces = []

    def counted(image):
        traces.append(1)
        return evaluate(image)

    compiled = toys.compiled(counted)
    for _ in range(10):
        compiled(picture)
    assert len(traces) == 1


# Optimizers

OPTIMIZERS = sorted(optimizers.OPTIMIZERS)
every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def _variable(seed=0, size=(6, 5)):
    return tf.Variable(toys.image(*size, seed)[None])


@every_optimizer
def test_finds_the_minimum_of_a_bowl(name):
    target = toys.image(6, 5, 1)[None]
    optimizer = optimizers.OPTIMIZERS[name].load()(_variable())
    step = descent.make_train_step(optimizer, toys.bowl(target))
    for _ in range(400):
        step()
    np.testing.assert_allclose(optimizer.result(), target, atol=2e-3)


@every_optimizer
def test_never_leaves_the_box(name):
    target = 4 * toys.image(6, 5, 1)[None] - 2  # far outside
    optimizer = optimizers.OPTIMIZERS[name].load()(
        _variable(), learning_rate=0.3
    )
    step = descent.make_train_step(optimizer, toys.bowl(target))
    for _ in range(30):
        step()
        for image in (optimizer.image, optimizer.result()):
            assert float(tf.reduce_min(image)) >= 0
            assert float(tf.reduce_max(image)) <= 1
    far = np.abs(target - 0.5) > 0.6
    np.testing.assert_array_equal(
        optimizer.image.numpy()[far], np.clip(target, 0, 1)[far]
    )


@every_optimizer
def test_step_is_traced_once_whatever_is_read_between(name):
    traces = []
    bowl = toys.bowl(toys.image(6, 5, 1)[None])

    def counted(image):
        traces.append(1)
        return bowl(image)

    optimizer = optimizers.OPTIMIZERS[name].load()(_variable())
    step = descent.make_train_step(optimizer, counted)
    for _ in range(10):
        float(step().loss)
        optimizer.result().numpy()
    assert len(traces) == 1


@every_optimizer
def test_repeats_to_the_bit(name):
    results = []
    for _ in range(2):
        optimizer = optimizers.OPTIMIZERS[name].load()(_variable())
        target = toys.image(6, 5, 1)[None]
        step = descent.make_train_step(optimizer, toys.bowl(target))
        for _ in range(20):
            step()
        results.append(optimizer.result().numpy())
    np.testing.assert_array_equal(*results)


@every_optimizer
def test_resumes_from_a_checkpoint_bit_for_bit(name, tmp_path):
    bowl = toys.bowl(toys.image(6, 5, 1)[None])

    def run(optimizer, steps):
        step = descent.make_train_step(optimizer, bowl)
        for _ in range(steps):
            step()
        return optimizer

    make = optimizers.OPTIMIZERS[name].load()
    whole = run(make(_variable()), 12)
    half = run(make(_variable()), 5)
    path = tf.train.Checkpoint(optimizer=half).write(str(tmp_path / "half"))
    again = make(_variable(9))
    tf.train.Checkpoint(optimizer=again).read(path).assert_consumed()
    run(again, 7)
    np.testing.assert_array_equal(again.image, whole.image)
    np.testing.assert_array_equal(again.result(), whole.result())


def _faulty(bowl, faults):
    """A bowl that has faults, {number of the evaluation: name}; the count."""
    calls = []

    def count():
        calls.append(1)
        return len(calls)

    def evaluate(image):
        evaluation = bowl(image)
        number = tf.py_function(count, [], tf.int32)
        number.set_shape([])
        found = evaluation
        for each, name in faults.items():
            worse, is_now = FAULTS[name](evaluation), number == each
            found = found._replace(
                loss=tf.where(is_now, worse.loss, found.loss),
                gradient=tf.where(is_now, worse.gradient, found.gradient),
            )
        return found

    return evaluate, calls


FAULTS = {
    "loss is NaN": lambda e: e._replace(loss=e.loss + np.nan),
    "loss is infinite": lambda e: e._replace(loss=e.loss + np.inf),
    "gradient is NaN": lambda e: e._replace(gradient=e.gradient * np.nan),
    "gradient overflows": lambda e: e._replace(gradient=e.gradient + 3e38),
    "loss explodes": lambda e: e._replace(loss=1000 * e.loss + 10),
}


@every_optimizer
def test_faults_are_taken_back_and_counted(name):
    target = toys.image(6, 5, 1)[None]
    # Each alone, and two in a row.
    faults = dict(zip((3, 10, 11, 30, 31), FAULTS, strict=True))
    evaluate, calls = _faulty(toys.bowl(target), faults)
    # After each Adam takes half of its rate.
    rate = {"sgd": 0.5, "adam": 0.4}.get(name, 0.02)
    optimizer = optimizers.OPTIMIZERS[name].load()(_variable(), rate)
    step = descent.make_train_step(optimizer, evaluate)
    for index in range(1, 701):
        step()
        result = optimizer.result().numpy()
        assert 0 <= result.min() <= result.max() <= 1
        assert (int(optimizer.failures) > 0) == (index in faults)
    assert len(calls) == 700
    assert int(optimizer.rescues) == len(faults)
    np.testing.assert_allclose(result, target, atol=5e-3)


@every_optimizer
def test_a_finer_level_knows_of_the_rescues_of_a_coarser_one(name):
    bowl = toys.bowl(toys.image(6, 5, 1)[None])
    evaluate, _ = _faulty(bowl, {3: "loss is NaN", 4: "loss is NaN"})
    coarse = optimizers.OPTIMIZERS[name].load()(_variable())
    step = descent.make_train_step(coarse, evaluate)
    for _ in range(6):
        step()
    fine = optimizers.OPTIMIZERS[name].load()(_variable(size=(9, 8)))
    base.FinalState(coarse).hand_over(fine)
    assert int(fine.rescues) == 2
    assert int(fine.failures) == 0


@every_optimizer
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_leaves_a_black_or_a_white_start(name, value):
    target = toys.image(6, 5, 1)[None]
    optimizer = optimizers.OPTIMIZERS[name].load()(
        tf.Variable(tf.fill([1, 6, 5, 3], value))
    )
    step = descent.make_train_step(optimizer, toys.bowl(target))
    for _ in range(400):
        step()
    np.testing.assert_allclose(optimizer.result(), target, atol=2e-3)


@every_optimizer
def test_the_picture_is_there_after_any_number_of_steps(name):
    # A peer that writes its picture at the last index only has none where its
    # optimizer ends before.
    evaluate = toys.bowl(toys.image(6, 5, 1)[None])
    start = evaluate(tf.convert_to_tensor(_variable())).loss
    optimizer = optimizers.OPTIMIZERS[name].load()(
        _variable(), learning_rate=1e-3
    )
    step = descent.make_train_step(optimizer, evaluate)
    before = float(start)
    for index in range(20):
        step()
        loss = float(evaluate(optimizer.result()).loss)
        assert loss <= before
        before = loss
        assert index < 2 or loss < float(start)
