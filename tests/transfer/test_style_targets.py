"""The losses beside the style loss: neighbors and grain, their targets."""

import numpy as np
import pytest
import tensorflow as tf
import toys

from nst_tf.losses import conventions, grain, neighbors, objectives, style_kinds
from nst_tf.plan import planning, style_regions
from nst_tf.transfer import style_targets, target_cache, targets

SIZE = (48, 64)
FIRST, SECOND = toys.STYLE_LAYERS
CONTENT = toys.image(*SIZE, 0, "f8")
A, B = toys.image(40, 56, 1, "f8"), toys.image(50, 40, 2, "f8")
CHOSEN = {
    "style_loss": "mix",
    "neighbors": {SECOND: 30.0},
    "grain_weight": 4.0,
    "content_weights": {},
    "tv_weight": 0.0,
}


@pytest.fixture
def network(monkeypatch):
    return toys.extractor(monkeypatch, dtype="float64")


def _losses(network, *styles, **changes):
    plan = toys.plan(CONTENT, *styles, **{**CHOSEN, **changes})
    made = targets.perceptual_losses(plan, network, *SIZE)
    return {loss.name: loss for loss in made}


def test_the_mix_has_gram_matrices_neighbors_and_grain(network):
    made = _losses(network, A)
    assert {name: loss.weight for name, loss in made.items()} == {
        f"style/{FIRST}": 50.0,
        f"style/{SECOND}": 50.0,
        f"neighbors/{SECOND}": 30.0,
        "grain/image": 4.0,
    }
    assert made["grain/image"].layer == "image"
    assert list(_losses(network, A, neighbors={}, grain_weight=0.0)) == [
        f"style/{FIRST}",
        f"style/{SECOND}",
    ]
    alone = _losses(network, A, style_loss="neighbors", grain_weight=0.0)
    assert {name: type(loss) for name, loss in alone.items()} == {
        f"neighbors/{FIRST}": neighbors.NeighborsLoss,
        f"neighbors/{SECOND}": neighbors.NeighborsLoss,
    }


def test_a_plan_looks_at_the_layers_of_neighbors():
    style = toys.style(A, layers={FIRST: 1.0})
    plan = toys.plan(CONTENT, style, **CHOSEN)
    assert targets.list_layers(plan) == [FIRST, SECOND]
    plan = toys.plan(CONTENT, **CHOSEN)  # no style, no losses of it
    assert targets.list_layers(plan) == []


def test_targets_are_those_of_the_style_at_its_size(network):
    style = toys.image(*SIZE, 1, "f8")
    made = _losses(network, style)
    features = network.extract(style)[SECOND]
    expected = neighbors.NeighborsLoss.measure(features)
    np.testing.assert_array_equal(made[f"neighbors/{SECOND}"]._target, expected)
    energies = grain.GrainLoss.measure(tf.constant(style[None]))
    np.testing.assert_array_equal(made["grain/image"]._target, energies)


def test_several_styles_count_by_their_shares(network):
    both = _losses(network, toys.style(A, 1.0), toys.style(B, 3.0))
    one, other = (_losses(network, each) for each in (A, B))
    for name, kind in (
        (f"neighbors/{SECOND}", neighbors.NeighborsLoss),
        ("grain/image", grain.GrainLoss),
    ):
        expected = kind.blend(
            [one[name]._target, other[name]._target], [0.25, 0.75]
        )
        np.testing.assert_array_equal(both[name]._target, expected)
        assert both[name].weight == one[name].weight


def test_regions_have_neighbors_and_grain_of_their_own(network):
    where = toys.mask(*SIZE).numpy()[0, ..., 0]
    regions = [
        style_regions.Region([toys.style(A)], where, "a"),
        style_regions.Region([toys.style(B)], 1 - where, "b"),
    ]
    made = _losses(network, regions=regions)
    share = where.mean()
    for name, part in (("a", share), ("b", 1 - share)):
        assert made[f"grain/image@{name}"].weight == pytest.approx(4 * part)
        loss = made[f"neighbors/{SECOND}@{name}"]
        assert loss.weight == pytest.approx(30 * part)
        assert set(loss.maps) == {"region"}
    alone = _losses(network, A)["grain/image"]._target
    np.testing.assert_array_equal(made["grain/image@a"]._target, alone)


def test_what_is_transparent_in_a_style_has_no_grain(network):
    speckled = CONTENT.copy()
    speckled[:, 32:] = np.random.default_rng(0).uniform(size=(48, 32, 3))
    alpha = np.ones(SIZE)
    alpha[:, 30:] = 0
    style = toys.style(speckled)
    seen = _losses(network, style)["grain/image"]._target
    hidden = _losses(network, style._replace(alpha=alpha))
    hidden = hidden["grain/image"]._target
    assert (hidden.numpy() < 0.5 * seen.numpy()).all()


@pytest.mark.parametrize("has_alpha", [False, True])
def test_targets_of_a_large_style_are_those_of_the_whole(
    network, monkeypatch, has_alpha
):
    monkeypatch.setattr(neighbors, "SAMPLE", 100)  # of 27 x 33 positions
    image = toys.image(54, 66, 1, "f8")
    alpha = toys.mask(54, 66).numpy()[0, ..., 0] if has_alpha else None
    style = toys.style(image, alpha=alpha, scale=2.0)
    whole = _losses(network, style)
    cut = _losses(network, style, tiling=planning.Tiling(40))
    assert list(whole) == list(cut)
    for name, loss in whole.items():
        np.testing.assert_allclose(
            cut[name]._target, loss._target, rtol=1e-10, atol=1e-10
        )


def test_gradient_of_the_mix_repeats_to_the_bit(network):
    image = tf.constant(toys.image(*SIZE, 5, "f8")[None])
    gradients = [
        objectives.make_objective(
            network,
            list(
                _losses(
                    network, A, content_weights={SECOND: 3.0}, tv_weight=5.0
                ).values()
            ),
        )(image).gradient
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize(
    "changes",
    [
        *({"style_loss": name} for name in style_kinds.STYLE_LOSSES),
        {"convention": conventions.CONVENTIONS["gatys2016"]},
        {"tiling": planning.Tiling(28)},
    ],
    ids=lambda changes: "-".join(map(str, changes)),
)
def test_cached_targets_have_the_bits_of_new_ones(
    network, monkeypatch, changes
):
    passes = []
    compute = style_targets._compute_targets
    monkeypatch.setattr(
        style_targets,
        "_compute_targets",
        lambda *given: passes.append(given) or compute(*given),
    )
    dim = toys.style(B, 2.0, alpha=B[..., 0])
    cache = target_cache.TargetCache()
    for number, styles in enumerate([[A, dim], [A], [dim], [A, B]]):
        content = toys.image(*SIZE, number, "f8")
        plan = toys.plan(content, *styles, **{**CHOSEN, **changes})
        found, expected = (
            {
                loss.name: loss._target.numpy()
                for loss in targets.perceptual_losses(plan, network, *size)
            }
            for size in ((*SIZE, cache), SIZE)
        )
        assert found.keys() == expected.keys()
        for name, target in expected.items():
            np.testing.assert_array_equal(found[name], target)
    assert len(passes) == 3 + 6  # with the cache, and without
