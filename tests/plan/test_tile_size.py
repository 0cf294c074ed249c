"""Tiles as memory has room for, smaller ones when it ran out, status 3."""

import dataclasses
import functools
import os
import re

import numpy as np
import pytest
import tensorflow as tf
import toys
from PIL import Image

from nst_tf.backend import device
from nst_tf.cli import main
from nst_tf.images import image_io
from nst_tf.losses import content_loss, objectives
from nst_tf.optimize import base, descent
from nst_tf.plan import (
    memory,
    optimizers,
    pyramid,
    settings,
    tile_size,
    tiles,
)
from nst_tf.runs import preparation, records
from nst_tf.tiling import tiled
from nst_tf.transfer import method, targets

LEVEL = "--levels=1"  # the last alone, of 96 x 72 pixels
LEAST = 15  # of the toy network: a halo of 6, its reach of 5, two strides


@pytest.fixture
def flag_file(tmp_path, toy, monkeypatch):
    """A flag file for the toy network, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "_BASE", {"vgg": 1e9, "small": 1e9})
    toys.write_flag_file(toy)
    return "--flagfile=toy.cfg"


@pytest.fixture
def prepared(flag_file):
    """settings -> a job of 96 x 72 pixels, and its inputs."""

    def prepare(**chosen):
        request = settings.Job(
            content="town.png",
            style="paint.png",
            size=96,
            extractor="toy",
            weights="toy.h5",
            style_layers=",".join(toys.STYLE_LAYERS),
            **{
                "content_layers": toys.CONTENT_LAYER,
                "optimizer": "adam",
                **chosen,
            },
        )
        request, _, found = preparation.prepare_files(request)
        return request, found

    return prepare


def _planned(request, found):
    return tile_size.plan_tiles(request, found, "float32")


# What is planned


def test_a_job_that_fits_is_left_as_it_is(prepared):
    request, found = prepared(memory=2)
    assert _planned(request, found) is request
    assert tile_size.describe_tiles(request, found.levels[-1]) == ""


def test_tiles_are_the_largest_that_a_limit_has_room_for(prepared):
    request, found = prepared(memory=1.01)
    planned = _planned(request, found)
    assert planned == dataclasses.replace(request, tile=planned.tile)
    model = tile_size.make_memory_model(request, found, "float32")
    assert (
        model.estimate_peak(72, 96)
        > 1.01e9
        >= model.estimate_peak(72, 96, planned.tile**2)
    )
    assert model.estimate_peak(72, 96, (planned.tile + 16) ** 2) > 1.01e9
    assert LEAST <= planned.tile < 96 and planned.tile % 16 == 0


def test_less_memory_means_smaller_tiles(prepared):
    sides = [
        _planned(*prepared(memory=limit)).tile
        for limit in (1.015, 1.01, 1.005, 1.002)
    ]
    assert sides == sorted(set(sides), reverse=True)


def test_what_is_free_counts_where_no_limit_is_named(prepared, monkeypatch):
    monkeypatch.setattr(device, "is_gpu", lambda: False)
    monkeypatch.setattr(memory, "find_limit", lambda: 1.01e9)
    assert _planned(*prepared()) == dataclasses.replace(
        prepared()[0], tile=_planned(*prepared(memory=1.01)).tile
    )
    monkeypatch.setattr(memory, "find_limit", lambda: None)  # nobody knows
    assert _planned(*prepared()).tile == 0


def test_the_memory_of_a_gpu_is_found_out_by_use(prepared, monkeypatch):
    monkeypatch.setattr(device, "is_gpu", lambda: True)
    monkeypatch.setattr(memory, "find_limit", lambda: 1.01e9)  # of the machine
    assert _planned(*prepared()).tile == 0
    assert _planned(*prepared(memory=1.01)).tile > 0


@pytest.mark.parametrize("size", [72, 80])
def test_named_tiles_are_taken_as_far_as_memory_goes(prepared, size):
    for limit in (2, 100):
        request, found = prepared(tile=size, memory=limit)
        assert _planned(request, found) is request
    assert LEAST <= _planned(*prepared(tile=size, memory=1.005)).tile < size
    words = tile_size.describe_tiles(request, found.levels[-1])
    assert words == {72: "2 tiles of 54 x 72", 80: "2 tiles of 54 x 72"}[size]


def test_named_tiles_that_are_all_halo_are_refused(prepared):
    assert tile_size.find_smallest_side(prepared()[0]) == LEAST
    assert _planned(*prepared(tile=LEAST)).tile == LEAST
    with pytest.raises(
        ValueError, match=f"tile is 14, expected at least {LEAST} pixels"
    ):
        _planned(*prepared(tile=14))


def test_sorted_values_are_refused_only_where_tiles_are_needed(prepared):
    sliced = functools.partial(prepared, style_loss="sliced_wasserstein")
    for fits in ({"memory": 2.0}, {"tile": 96}, {"tile": 84}):
        request, found = sliced(**fits)
        assert _planned(request, found) is request
    for cut in ({"memory": 1.01}, {"tile": 83}):  # of 96 * 72 pixels
        with pytest.raises(ValueError) as raised:
            _planned(*sliced(**cut))
        message = str(raised.value)
        assert message.startswith(
            "style_loss is 'sliced_wasserstein', which is no sum over "
            "positions, so that 96 x 72 pixels cannot be worked on in tiles"
        )
        assert message.count(".") - message.count("1.0") <= 1
        assert "\n" not in message
    assert ("1.0 GB are there" in message) == ("memory" in cut)


def test_not_even_the_smallest_tiles_fit(prepared):
    words = (
        r"a picture of 96 x 72 pixels needs about 1\.0 GB, and 1\.0 GB are "
        r"there; in the smallest tiles it needs 1\.0 GB\. Make it smaller with "
        r"--size, or free memory\.$"
    )
    with pytest.raises(MemoryError, match=words):
        _planned(*prepared(memory=1.0))


# The program


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (["--memory=1"], 3, "in the smallest tiles it needs"),
        (["--tile=14"], 1, "tile is 14, expected at least 15 pixels"),
        (
            ["--style_loss=sliced_wasserstein", "--tile=50"],
            1,
            "choose another --style_loss",
        ),
        (["--tile=-1"], 1, "tile"),
        (["--memory=-1"], 1, "memory"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_before_any_work(
    flag_file, capsys, monkeypatch, flags, status, words
):
    monkeypatch.setattr(main, "_paint", lambda *_: pytest.fail("work began"))
    assert main.main([flag_file, *flags]) == status
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_picture_in_tiles_is_that_painted_as_a_whole(flag_file, capsys):
    assert main.main([flag_file, LEVEL, "--output=whole.png"]) == 0
    assert "tiles of" not in capsys.readouterr().out
    assert main.main([flag_file, LEVEL, "--tile=40", "--output=tiled.png"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"memory +about 1\.0 GB, in \d+ tiles of \d+ x \d+\n", out)
    whole, tiled = map(image_io.load_image, ("whole.png", "tiled.png"))
    # In float32, which Adam amplifies, and one level of 8 bits.
    assert np.abs(tiled - whole).max() < 1.5 / 255


def test_tiles_as_large_as_the_picture_change_nothing(flag_file, monkeypatch):
    monkeypatch.setattr(
        tiled, "make_tiled_objective", lambda *_: pytest.fail("in tiles")
    )
    assert main.main([flag_file, LEVEL, "--output=a.png", "--steps=1"]) == 0
    flags = [LEVEL, "--tile=96", "--output=b.png", "--steps=1"]
    assert main.main([flag_file, *flags]) == 0
    np.testing.assert_array_equal(*map(image_io.load_image, ("a.png", "b.png")))


def test_the_tiles_that_memory_decided_are_recorded_and_taken_again(
    flag_file, capsys, monkeypatch
):
    flags = [LEVEL, "--memory=1.01", "--output=a.png", "--optimizer=adam"]
    assert main.main([flag_file, *flags]) == 0
    tile = records.read_record("a.png")["decided"]["settings"]["tile"]
    assert LEAST <= tile < 84
    capsys.readouterr()
    assert main.main(["--describe=a.png"]) == 0
    assert f"in tiles of {tile}\n" in capsys.readouterr().out
    made = []
    make = tiles.make_tiles
    monkeypatch.setattr(
        tiles, "make_tiles", lambda *args: made.append(args[2]) or make(*args)
    )
    monkeypatch.setattr(memory, "find_limit", lambda: 1e12)  # another machine's
    assert main.main(["--rerun=a.png", "--output=b.png"]) == 0
    assert set(made) == {tile}
    np.testing.assert_array_equal(*map(image_io.load_image, ("a.png", "b.png")))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (tf.errors.ResourceExhaustedError(None, None, "OOM"), True),
        (tf.errors.AbortedError(None, None, "Status: 1, message: no"), True),
        (tf.errors.AbortedError(None, None, "Status: 2, message: no"), False),
        (ValueError("Status: 1, message: no"), False),
    ],
)
def test_what_says_that_memory_does_not_suffice(error, expected):
    assert device.is_out_of_memory(error) is expected


# After a run that was killed


@pytest.mark.parametrize(
    ("died", "tile", "expected"),
    [
        (0, 0, 48),  # it worked on the whole: half its long side
        (64, 64, 32),
        (64, 40, 32),
        (64, 20, 20),  # there is room for no more
        (20, 0, LEAST),
    ],
)
def test_after_a_run_that_was_killed_tiles_are_half_as_large(
    prepared, monkeypatch, died, tile, expected
):
    monkeypatch.setattr(device, "is_gpu", lambda: False)
    request, found = prepared(tile=tile, memory=1.02)
    halved = tile_size.halve_tiles(request, found, "float32", died)
    assert halved == dataclasses.replace(request, tile=expected)


def test_what_had_memory_enough_was_killed_for_another_reason(
    prepared, monkeypatch
):
    request, found = prepared(memory=3)  # of 1.02 that it needs
    assert tile_size.halve_tiles(request, found, "float32", 0) is request
    unlimited, _ = prepared()
    monkeypatch.setattr(memory, "find_limit", lambda: 1.02e9)
    monkeypatch.setattr(device, "is_gpu", lambda: False)
    assert tile_size.halve_tiles(unlimited, found, "float32", 0).tile == 48
    # What the machine has free says nothing of its GPU's memory.
    monkeypatch.setattr(device, "is_gpu", lambda: True)
    assert tile_size.halve_tiles(unlimited, found, "float32", 0) is unlimited


def test_two_passes_over_what_the_tiles_overlap_cost_time(prepared):
    request, found = prepared()
    level = found.levels[-1]
    assert tile_size.estimate_cost(request, level) == 1
    request, _ = prepared(tile=72)  # 2 tiles of 54 x 72, of 96 x 72 pixels
    cost = tiles.PASSES * 2 * 54 * 72 / (96 * 72)
    assert tile_size.estimate_cost(request, level) == pytest.approx(cost)
    assert tile_size.estimate_cost(request, level, 2) == pytest.approx(cost / 2)
    anew = dataclasses.replace(request, content_target="recompute")
    more = tile_size.estimate_cost(anew, level) / cost
    assert more == pytest.approx(1 + 1 / tiles.PASSES)  # of the last layer
    shallow = dataclasses.replace(anew, content_layers=toys.LAYERS[0])
    assert (
        cost
        < tile_size.estimate_cost(shallow, level)
        < tile_size.estimate_cost(anew, level)
    )
    whole = dataclasses.replace(anew, tile=0)
    assert tile_size.estimate_cost(whole, level, 2) == pytest.approx(
        tile_size.estimate_cost(
            dataclasses.replace(whole, content_target="keep"), level, 2
        )
    )


# What is kept of the content


def _limit_between(prepared, **chosen):
    """GB that suffice for the smallest tiles only without features."""
    request, found = prepared(**chosen)
    keeping, anew = (
        tile_size.make_memory_model(
            dataclasses.replace(request, content_target=each), found, "float32"
        ).estimate_peak(72, 96, (LEAST + 1) ** 2)
        for each in ("keep", "recompute")
    )
    assert anew < keeping
    return (anew + keeping) / 2e9


def test_the_content_is_seen_anew_where_memory_asks_for_it(prepared):
    shallow = {"content_layers": toys.LAYERS[0]}  # of many values a pixel
    limit = _limit_between(prepared, **shallow)
    planned = _planned(*prepared(memory=limit, **shallow))
    assert planned.content_target == "recompute"
    assert planned.tile >= LEAST
    words = tile_size.describe_tiles(planned, prepared()[1].levels[-1])
    assert words.endswith(", in which the content is seen anew")
    request, found = prepared(memory=limit, content_target="keep", **shallow)
    with pytest.raises(MemoryError, match="in the smallest tiles it needs"):
        _planned(request, found)


def test_named_tiles_are_not_exceeded_for_that(prepared, monkeypatch):
    monkeypatch.setitem(memory._FEATURE, "float32", 400)  # so much more
    limit = _limit_between(prepared)
    free = _planned(*prepared(memory=limit))
    named = _planned(*prepared(memory=limit, tile=LEAST + 1))
    assert named.tile == LEAST + 1 < free.tile
    assert named.content_target == free.content_target == "recompute"


def test_smallest_tiles_that_died_see_the_content_anew(prepared, monkeypatch):
    monkeypatch.setattr(device, "is_gpu", lambda: False)
    request, found = prepared(tile=LEAST, memory=1.005)
    halved = tile_size.halve_tiles(request, found, "float32", LEAST)
    assert (halved.tile, halved.content_target) == (LEAST, "recompute")


def test_the_content_is_kept_where_that_is_faster(prepared):
    assert _planned(*prepared(memory=1.01)).content_target == "auto"
    request, found = prepared(memory=1.01, content_target="recompute")
    assert _planned(request, found).content_target == "recompute"


def test_a_run_that_sees_the_content_anew_paints_the_same(
    flag_file, monkeypatch
):
    pictures, anew = [], []
    measure = content_loss.make_square_measure
    monkeypatch.setattr(
        content_loss,
        "make_square_measure",
        lambda p: anew.append(each) or measure(p),
    )
    for each in ("keep", "recompute"):
        path = f"{each}.png"
        flags = [LEVEL, "--tile=40", f"--content_target={each}"]
        assert main.main([flag_file, *flags, f"--output={path}"]) == 0
        pictures.append(np.asarray(Image.open(path), float))
    assert set(anew) == {"recompute"}
    assert np.abs(pictures[0] - pictures[1]).mean() < 0.5
    one, two = (
        records.read_record(f"{each}.png")["losses"]
        for each in ("keep", "recompute")
    )
    assert one == pytest.approx(two, rel=1e-3)


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
SHARES = targets.LossWeights(
    {toys.CONTENT_LAYER: 5.0}, dict.fromkeys(toys.STYLE_LAYERS, 50.0), 1.0
)


def _loss_list(network):
    """The losses of `_Run`, seen as wholes."""
    style = targets.Style(toys.image(51, 39, 1))
    content = toys.image(*SIZE, 0)
    return targets.perceptual_losses(network, content, [style], SHARES, *SIZE)


def _state(optimizer):
    """Copies of all that an optimizer remembers, by name."""
    found = base.list_variables(optimizer)
    return {name: value.numpy() for name, value in found.items()}


class _Run:
    """A run of the toy network that may run out of memory at a step.

    `arrays` is what the optimizer remembered after each step, `gradients` what
    it saw; `asked` what it remembered each time that memory ran out, `sides`
    of which tiles it went on in.
    """

    def __init__(self, monkeypatch, make, at=0, times=0, where="loss"):
        self.arrays, self.gradients, self.asked, self.sides = [], [], [], [0]
        self._make, self._at, self._left = make, at, times
        self._where = where
        self._seen = tf.Variable(tf.zeros((1, *SIZE, 3)))
        with monkeypatch.context() as patch:
            for module, name in (
                (objectives, "make_objective"),
                (tiled, "make_tiled_objective"),
            ):
                spoiled = self._spoiled(getattr(module, name))
                patch.setattr(module, name, spoiled)
            for step in method.stylize_steps(
                toys.image(*SIZE, 0),
                [targets.Style(toys.image(51, 39, 1))],
                weights=SHARES,
                make_extractor=functools.partial(
                    toys.extractor, None, pooling="average"
                ),
                make_optimizer=self._remembered,
                levels=[pyramid.Level(*SIZE, STEPS)],
                tile=lambda: self.sides[-1],
                exhausted=self._exhausted,
            ):
                self.arrays.append(_state(self._optimizer))
                self.gradients.append(self._seen.numpy())
                self.loss = float(step.evaluation.loss)

    def _remembered(self, image):
        self._optimizer = self._make(image)
        return self._optimizer

    def _exhausted(self, height, width):
        assert (height, width) == SIZE
        self.asked.append(_state(self._optimizer))
        self.sides.append(18 if self.sides[-1] else 28)
        return True

    def _gone(self):
        if len(self.arrays) + 1 != self._at or not self._left:
            return False
        self._left -= 1
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
        return _Run(monkeypatch, optimizers.OPTIMIZERS[name].load()).loss


def _random_step(seed):
    return int(np.random.default_rng(seed).integers(2, 8))


@pytest.mark.parametrize(
    ("name", "at", "times", "where"),
    [
        ("adam", _random_step(0), 2, "gradient"),
        pytest.param("adam", 1, 1, "gradient", marks=pytest.mark.slow),
        pytest.param("lbfgs", 1, 1, "gradient", marks=pytest.mark.slow),
        pytest.param(
            "lbfgs", _random_step(1), 1, "loss", marks=pytest.mark.slow
        ),
    ],
)
def test_a_step_without_memory_is_taken_again_in_tiles(
    monkeypatch, name, at, times, where
):
    network = toys.extractor(monkeypatch, pooling="average")
    rescued = _Run(
        monkeypatch, optimizers.OPTIMIZERS[name].load(), at, times, where
    )
    assert rescued.sides == [0, 28, 18][: 1 + times]
    # Nothing had been changed when it was taken again.
    start = tf.Variable(toys.image(*SIZE, 0)[None])
    before = (
        rescued.arrays[at - 2]
        if at > 1
        else _state(optimizers.OPTIMIZERS[name].load()(start))
    )
    assert len(rescued.asked) == times
    for state in rescued.asked:
        assert set(state) == set(before)
        for key, value in before.items():
            np.testing.assert_array_equal(state[key], value, err_msg=key)
    # It sees the gradient that it would have seen.
    whole = objectives.make_objective(network, _loss_list(network))
    expected = whole(tf.constant(before["image"])).gradient
    np.testing.assert_allclose(
        rescued.gradients[at - 1],
        expected,
        rtol=0,
        atol=1e-5 * np.abs(expected).max(),
    )
    assert len(rescued.arrays) == STEPS
    assert int(rescued.arrays[-1]["rescues"]) == 0
    loss = _undisturbed(name)
    assert rescued.loss == pytest.approx(loss, rel=5e-3)


def _without_memory(monkeypatch, at, enough):
    """Steps fail from number `at` on, in tiles above a side `enough`."""
    make = descent.make_train_step
    largest = []

    def made(maker):
        def objective_of(*arguments):
            cut = arguments[2] if len(arguments) > 2 else None
            largest.append(cut.rows.size if cut else 1000)
            return maker(*arguments)

        return objective_of

    for module, name in (
        (objectives, "make_objective"),
        (tiled, "make_tiled_objective"),
    ):
        monkeypatch.setattr(module, name, made(getattr(module, name)))

    def failing(optimizer, evaluate):
        step = make(optimizer, evaluate)

        def step_or_fail():
            taken.append(1)
            if len(taken) >= at and largest[-1] > enough:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM")
            return step()

        return step_or_fail

    taken = []
    monkeypatch.setattr(descent, "make_train_step", failing)


AGAIN = "memory    not enough for this step; it is taken again in tiles of"


def test_a_program_without_memory_goes_on_in_tiles(
    flag_file, monkeypatch, capsys
):
    assert main.main([flag_file, LEVEL, "--output=whole.png"]) == 0
    _without_memory(monkeypatch, at=2, enough=30)
    capsys.readouterr()
    assert main.main([flag_file, LEVEL, "--output=rescued.png"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    sides = re.findall(rf"{AGAIN} (\d+)\n", out)
    assert sides == ["48", "24"]
    assert "rescued.png is done" in out
    whole, rescued = map(image_io.load_image, ("whole.png", "rescued.png"))
    assert np.abs(rescued - whole).max() < 1.5 / 255


def test_a_program_that_has_no_memory_for_the_smallest_tiles_ends(
    flag_file, monkeypatch, capsys
):
    _without_memory(monkeypatch, at=2, enough=0)
    before = set(os.listdir())
    assert main.main([flag_file, LEVEL]) == 3
    out, err = capsys.readouterr()
    assert re.findall(rf"{AGAIN} (\d+)\n", out) == ["48", "24"]  # then 12
    assert err == (
        "nst-tf: out of memory; make a smaller picture with --size, or smaller "
        "tiles with --memory, in GB.\n"
    )
    assert "town-paint.png is unfinished, after" in out
    assert set(os.listdir()) - before == {"town-paint.png"}
    assert Image.open("town-paint.png").size == (96, 72)
    assert records.read_record("town-paint.png")["decided"]["steps"] == [1]


def test_sorted_values_are_never_halved(prepared):
    request, found = prepared(style_loss="sliced_wasserstein")
    side = tile_size.TileSize(request, found.levels, pytest.fail)
    assert not side.halve(72, 96)
    assert side.get() == 0


def test_sides_are_halved_as_long_as_tiles_own_something(prepared):
    lines = []
    side = tile_size.TileSize(*prepared(), lines.append)
    halved = []
    while side.halve(720, 960):
        halved.append(side.get())
    assert halved == [480, 240, 120, 60, 30, 15]
    assert lines == [f"{AGAIN} {each}" for each in halved]
    assert not side.halve(720, 960) and side.get() == 15


def test_a_level_smaller_than_the_tiles_is_halved_from_its_own_side(prepared):
    request, found = prepared(tile=500)
    side = tile_size.TileSize(request, found.levels, lambda line: None)
    assert side.halve(72, 96)
    assert side.get() == 48
