"""Tiles as memory has room for, and smaller ones when it ran out.

The network is VGG19's first layers, of stride 2 and a reach of 4 pixels.
"""

import dataclasses

import pytest
import toys

from nst_tf.network import architectures
from nst_tf.plan import inputs, planning, pyramid, settings, tile_size, tiles

LEAST = 12  # a halo of 4, the reach, and two strides
BASE = 1.02e9  # bytes, whatever the picture
PICTURES = toys.picture(60, 80, 0), toys.picture(50, 40, 1)
READ = inputs.Inputs(PICTURES[0], PICTURES[1:], [1], network=toys.shapes())


def _draft(side=0, limit=None, target="auto", devices=1, read=READ, **chosen):
    """A plan for 96 x 72 pixels, and so much memory, that was not fitted."""
    job = settings.Job(
        **{
            "size": 96,
            "content_layers": "block2_conv1",
            "style_layers": ("block1_conv1,block2_conv1",),
            "style_loss": "gram",
            "grain_weight": 0.0,
            "optimizer": "adam",
            "precision": "float32",
            **chosen,
        }
    )
    draft = planning.draft_plan(job, read)
    tiling = planning.Tiling(side, target, limit, devices)
    return dataclasses.replace(draft, tiling=tiling)


def _fit(*args, **options):
    return tile_size.fit_tiles(_draft(*args, **options))


def _peak(plan, side=0):
    model = tile_size.make_memory_model(plan)
    return model.estimate_peak(*plan.size, side**2)


# What is planned


def test_a_plan_that_fits_is_left_as_it_is():
    for options in ({}, {"limit": 2e9}, {"limit": _peak(_draft())}):
        draft = _draft(**options)
        assert tile_size.fit_tiles(draft) is draft
    assert tile_size.describe_tiles(draft, draft.levels[-1]) == ""


def test_tiles_are_the_largest_that_a_limit_has_room_for():
    limit = BASE + 7e6
    plan = _fit(limit=limit)
    side = plan.tiling.side
    assert plan.tiling == planning.Tiling(side, "auto", limit)
    assert _peak(plan) > limit >= _peak(plan, side)
    assert _peak(plan, side + 16) > limit
    assert LEAST <= side < 84 and side % 16 == 0
    assert dataclasses.replace(plan, tiling=_draft().tiling) == _draft()


def test_less_memory_means_smaller_tiles():
    sides = [
        _fit(limit=BASE + more).tiling.side for more in (14e6, 9e6, 5e6, 3e6)
    ]
    assert sides == sorted(set(sides), reverse=True)


def test_the_tiles_of_an_earlier_run_are_taken_where_they_fit():
    draft = _draft(limit=2e9)
    for side, target in ((0, "auto"), (50, "keep"), (LEAST, "recompute")):
        taken = tile_size.take_tiles(draft, side, target)
        assert taken.tiling == draft.tiling._replace(
            side=side, content_target=target
        )
        assert dataclasses.replace(taken, tiling=draft.tiling) == draft
    assert tile_size.take_tiles(draft, LEAST - 1, "auto") is None
    for limit, fits in ((None, True), (1, False)):
        found = tile_size.take_tiles(_draft(limit=limit), 50, "keep")
        assert (found is not None) is fits
    alone = _draft(style_loss="sliced_wasserstein")
    assert tile_size.take_tiles(alone, 50, "keep") is None
    assert tile_size.take_tiles(alone, 0, "auto") is not None


@pytest.mark.parametrize("side", [72, 80])
def test_named_tiles_are_taken_as_far_as_memory_goes(side):
    for limit in (None, 2e9, 1e12):
        plan = _draft(side, limit)
        assert tile_size.fit_tiles(plan) is plan
    assert LEAST <= _fit(side, BASE + 5e6).tiling.side < side
    assert _fit(20, BASE + 3e6).tiling.side in (16, 20)
    words = tile_size.describe_tiles(plan, plan.levels[-1])
    assert words == "2 tiles of 52 x 72"


def test_named_tiles_that_are_all_halo_are_refused():
    draft = _draft()
    assert tile_size.find_smallest_side(draft) == LEAST
    network = draft.network._replace(convolution="winograd")
    fast = dataclasses.replace(
        draft, network=network, layers=["block2_conv1", "block2_conv2"]
    )
    assert tile_size.find_smallest_side(fast) == 8 + 6 + 2 * 8
    model = tile_size.make_memory_model(fast)
    assert model.filters == 36 * 4 * 128 * 128
    more = model.estimate_peak(72, 96) - model._replace(
        filters=0.0
    ).estimate_peak(72, 96)
    assert more == pytest.approx(2.2 * model.filters)
    assert _fit(LEAST).tiling.side == LEAST
    words = (
        "tile is 11, expected at least 12 pixels; a smaller tile is nothing "
        "but overlap."
    )
    with pytest.raises(ValueError, match=words):
        _fit(LEAST - 1)


@pytest.mark.parametrize(
    ("chosen", "words", "mend"),
    [
        (
            {"style_loss": "sliced_wasserstein"},
            "style_loss 'sliced_wasserstein'",
            "choose another --style_loss",
        ),
        (
            {"normalize_gradients": True},
            "normalize_gradients",
            "pass --nonormalize_gradients",
        ),
    ],
)
def test_what_does_not_add_up_is_refused_only_where_tiles_are_needed(
    chosen, words, mend
):
    def draft(*args):
        return _draft(*args, **chosen)

    for fits in (draft(0, 2e9), draft(96), draft(84)):
        assert tile_size.fit_tiles(fits) is fits
    for cut in (draft(83), draft(0, BASE + 5e6)):  # of 96 * 72 pixels
        with pytest.raises(ValueError) as raised:
            tile_size.fit_tiles(cut)
        message = str(raised.value)
        assert message.startswith(
            f"{words} cannot be computed tile by tile, and 96 x 72 pixels "
            "would need tiles"
        )
        assert message.endswith(f"{mend}, or a smaller --size.")
        assert "\n" not in message
        assert ("1.0 GB are available" in message) == (not cut.tiling.side)


def test_tiles_reach_as_far_as_the_smallest_scale(monkeypatch):
    monkeypatch.setattr(pyramid, "LARGE", 100)
    monkeypatch.setattr(pyramid, "SHORTEST_SIDE", 16)
    draft = _draft(scales=3, size=400, min_size=50, side=80, devices=2)
    assert tile_size.make_memory_model(draft).scales == 3
    # Four times the halo, the reach, and two strides.
    assert tile_size.find_smallest_side(draft) == 4 * LEAST
    # Each level is cut for the reach of its own scales.
    for level, factor in zip(draft.levels[-3:], (1, 2, 4), strict=True):
        reach = tiles.cover_image_losses(factor * 2, factor * 4)
        cut = tiles.choose_tiles(*level.size, 80, *reach, 2)
        assert tile_size.describe_tiles(draft, level) == (
            f"{cut.number} tiles of {cut.columns.size} x {cut.rows.size}"
        )


def test_moments_that_adam_carries_are_in_the_model():
    assert tile_size.make_memory_model(_draft(carry_moments=True)).carries


def test_not_even_the_smallest_tiles_fit():
    words = (
        r"a picture of 96 x 72 pixels needs about 1\.0 GB, but only 1\.0 GB "
        r"are available; with the smallest tiles it needs 1\.0 GB\. Reduce "
        r"--size, or free memory\.$"
    )
    with pytest.raises(MemoryError, match=words):
        _fit(limit=1e9)
    read = READ._replace(content=toys.picture(900, 1200, 0))
    words = (
        "1200 x 900 pixels needs about 4.3 GB, but only 1.0 .* it needs 1.1 GB"
    )
    with pytest.raises(MemoryError, match=words):
        _fit(limit=1e9, read=read, size=1200)


# The model of a plan


def test_the_model_of_memory_is_that_of_the_plan():
    alpha_free = _draft(
        style_scale=(0.5,), content_layers="block1_conv1,block2_conv1"
    )
    model = tile_size.make_memory_model(alpha_free)
    assert model._asdict() == {
        "precision": "float32",
        "small": False,
        "optimizer": "adam",
        "pairs": 10,
        "carries": False,
        "style_scale": 0.5,
        "style_loss": "gram",
        "scales": 1,
        "read": 12 * (60 * 80 + 50 * 40),
        "features": 64 + 128 / 4,
        "recomputes": False,
        "filters": 0.0,
    }
    other = tile_size.make_memory_model(
        _draft(
            target="recompute",
            read=READ._replace(network=toys.shapes(narrow=True)),
            optimizer="lbfgs",
            history=7,
            precision="float16",
            style_loss="sliced_wasserstein",
        )
    )
    assert (other.small, other.optimizer, other.pairs) == (True, "lbfgs", 7)
    assert other.precision == "float16" and other.recomputes
    assert other.style_loss == "sliced_wasserstein"
    two = READ._replace(styles=(PICTURES[1],) * 2, counts=[1, 1])
    model = tile_size.make_memory_model(_draft(read=two, style_scale=(2, 1)))
    assert model.style_scale == 2
    none = READ._replace(styles=(), counts=[])
    model = tile_size.make_memory_model(_draft(read=none, style_weight=0.0))
    assert model.style_scale == 1


def test_memory_is_estimated_in_the_tiles_of_the_plan():
    assert tile_size.estimate_memory(_draft()) == _peak(_draft())
    assert tile_size.estimate_memory(_draft(96)) == _peak(_draft())
    plan = _draft(72)  # 2 tiles of 52 x 72
    model = tile_size.make_memory_model(plan)
    expected = model.estimate_peak(72, 96, 52 * 72)
    for devices in (1, 2):
        plan = _draft(72, devices=devices)
        assert tile_size.estimate_memory(plan) == expected
    without = dataclasses.replace(plan, inputs=READ._replace(network=None))
    with pytest.raises(ValueError, match="no network; load it first"):
        tile_size.estimate_memory(without)


# After a run that was killed, and when memory runs out


@pytest.mark.parametrize(
    ("died", "side", "expected"),
    [
        (0, 0, 48),  # it worked on the whole: half its long side
        (96, 0, 48),
        (64, 64, 32),
        (64, 40, 32),
        (64, 20, 20),  # there is room for no more
        (20, 0, LEAST),
        (25, 0, LEAST),
        (26, 0, 13),
    ],
)
def test_after_a_run_that_was_killed_tiles_are_half_as_large(
    died, side, expected
):
    plan = _draft(side, BASE + 20e6)
    halved = tile_size.shrink_after_kill(plan, died)
    assert halved.tiling == plan.tiling._replace(side=expected)


def test_what_had_memory_enough_was_killed_for_another_reason():
    peak = _peak(_draft())
    for limit in (None, 2.01 * peak):
        plan = _draft(0, limit)
        assert tile_size.shrink_after_kill(plan, 0) is plan
    assert (
        tile_size.shrink_after_kill(_draft(0, 1.99 * peak), 0).tiling.side == 48
    )
    # It goes by the tiles of that run, and not by those of this one.
    limit = 2.002 * _peak(_draft(), 40)
    assert limit < 2 * peak
    plan = _draft(0, limit)
    assert tile_size.shrink_after_kill(plan, 40) is plan
    sliced = _draft(0, peak, style_loss="sliced_wasserstein")
    assert tile_size.shrink_after_kill(sliced, 0) is sliced


def test_smallest_tiles_that_died_see_the_content_anew():
    for target, expected in (("auto", "recompute"), ("keep", "keep")):
        plan = _draft(LEAST, BASE + 5e6, target)
        halved = tile_size.shrink_after_kill(plan, LEAST)
        assert halved.tiling[:2] == (LEAST, expected)


def test_sides_are_halved_as_long_as_tiles_own_something():
    sides, plan = [], _draft()
    while plan := tile_size.shrink_after_error(plan, 720, 960):
        sides.append(plan.tiling.side)
    assert sides == [480, 240, 120, 60, 30, 15]
    assert tile_size.shrink_after_error(_draft(24), 720, 960).tiling.side == 12
    assert tile_size.shrink_after_error(_draft(23), 720, 960) is None
    # A level smaller than the tiles is halved from its own side.
    assert tile_size.shrink_after_error(_draft(500), 72, 96).tiling.side == 48
    sliced = _draft(style_loss="sliced_wasserstein")
    assert tile_size.shrink_after_error(sliced, 720, 960) is None


# Time


def test_two_passes_over_what_the_tiles_overlap_cost_time():
    def cost(side, **options):
        plan = _draft(side, **options)
        return tile_size.estimate_cost(plan, plan.levels[-1])

    assert cost(0) == 1
    expected = tiles.PASSES * 2 * 52 * 72 / (96 * 72)
    assert cost(72) == cost(72, target="keep") == pytest.approx(expected)
    assert cost(72, devices=2) == pytest.approx(expected / 2)
    one = {"style_loss": "sliced_wasserstein", "devices": 2}
    assert cost(0, **one) == 1  # several devices can do nothing for it
    anew = cost(72, target="recompute")
    assert anew / expected == pytest.approx(1 + 1 / tiles.PASSES)
    shallow = cost(72, target="recompute", content_layers="block1_conv1")
    work = [
        architectures.count_work("vgg19", f"block{n}_conv1") for n in (1, 2)
    ]
    share = work[0] / work[1]
    assert shallow / expected == pytest.approx(1 + share / tiles.PASSES)
    assert cost(0, target="recompute") == 1


def test_each_smaller_scale_costs_a_quarter_of_the_one_before(monkeypatch):
    monkeypatch.setattr(pyramid, "LARGE", 48)
    monkeypatch.setattr(pyramid, "SHORTEST_SIDE", 16)
    costs = []
    for scales in (1, 2, 3):
        plan = _draft(size=200, min_size=48, scales=scales)
        costs.append(
            [tile_size.estimate_cost(plan, level) for level in plan.levels]
        )
    assert costs == [[1, 1, 1], [1, 1.25, 1.25], [1, 1.25, 1.3125]]
    halves = _draft(150, size=200, min_size=48, scales=2)
    cut = tiles.choose_tiles(150, 200, 150, *tiles.cover_image_losses(4, 8))
    seen = cut.number * cut.rows.size * cut.columns.size / (150 * 200)
    assert tile_size.estimate_cost(halves, halves.levels[-1]) == pytest.approx(
        1.25 * tiles.PASSES * seen
    )


# What is kept of the content


def _limit_between(side, **chosen):
    """Bytes that suffice for tiles of a side only without features."""
    keep, anew = (
        _peak(_draft(target=each, **chosen), side)
        for each in ("keep", "recompute")
    )
    assert anew < keep
    return (anew + keep) / 2


def test_the_content_is_seen_anew_where_memory_asks_for_it():
    limit = _limit_between(16)
    plan = _fit(limit=limit)
    assert plan.tiling.content_target == "recompute"
    assert plan.tiling.side >= LEAST
    words = tile_size.describe_tiles(plan, plan.levels[-1])
    assert words.endswith(", which recompute the content's features")
    assert _fit(limit=limit, target="recompute") == plan
    with pytest.raises(MemoryError, match="with the smallest tiles it needs"):
        _fit(limit=limit, target="keep")


def test_named_tiles_are_not_exceeded_for_that():
    limit = _limit_between(16)
    free, named = _fit(limit=limit), _fit(LEAST + 1, limit)
    assert named.tiling.side == LEAST + 1 < free.tiling.side
    assert named.tiling.content_target == "recompute"


def test_the_content_is_kept_where_that_is_faster():
    limit = BASE + 14e6
    for target in ("auto", "keep", "recompute"):
        assert _fit(limit=limit, target=target).tiling.content_target == target
    # Where the tiles may be much larger without features, that is faster.
    assert _fit(limit=BASE + 4e6).tiling[:2] == (32, "recompute")


def test_features_are_recomputed_only_in_tiles():
    plan = _draft(50, target="recompute")
    assert tile_size.is_recomputed(plan, 51, 50)
    assert not tile_size.is_recomputed(plan, 50, 50)
    assert not tile_size.is_recomputed(_draft(50, target="auto"), 51, 50)
