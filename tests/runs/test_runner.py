"""One picture from its plan to its last step: what is read, agreed, timed."""

import dataclasses
import itertools
import types

import numpy as np
import pretend
import pytest
import toys

from nst_tf.backend import device, replicas
from nst_tf.plan import planning, pyramid
from nst_tf.runs import checkpoint, results, resume, runner


def _places(steps):
    return [(step.level, step.index) for step in steps]


WHOLE = list(itertools.product(range(3), range(1, 4)))


# Steps


def test_finished_steps_are_copied_for_a_percent_of_the_time(
    toy, painter, monkeypatch
):
    now = [100.0]
    copy = results.copy_step

    def copy_slowly(run, step):
        now[0] += 0.05
        return copy(run, step)

    monkeypatch.setattr(results, "copy_step", copy_slowly)
    monkeypatch.setattr(results.time, "monotonic", lambda: now[0])
    copier, copied = results.Copier(), {}
    run = runner.start_run(pretend.draft(toy, steps=(4, 3, 6)))
    for step in run.steps():
        now[0] += 3.0  # a copy takes 1/60 of it
        copied[step.level, step.index] = copier.copy_if_due(run, step)
        if found := copied[step.level, step.index]:
            assert found.outcome.steps == run.taken
            image = results.read_image(step)
            np.testing.assert_array_equal(found.image, image)
    # Every second one, and the last one of each level.
    assert [place for place, found in copied.items() if found] == [
        *((0, 1), (0, 3), (0, 4), (1, 2), (1, 3), (2, 2), (2, 4), (2, 6))
    ]
    assert copied[0, 1].outcome.steps == [1, 0, 0]
    assert not np.array_equal(copied[0, 1].image, copied[0, 3].image)


def test_no_step_is_copied_where_memory_is_short(toy, painter, monkeypatch):
    monkeypatch.setattr(results.host_memory, "find_free", lambda: 1e5)
    run = runner.start_run(pretend.draft(toy))
    copier = results.Copier()
    assert not any(copier.copy_if_due(run, step) for step in run.steps())


def test_a_run_counts_what_it_takes(toy, painter):
    run = runner.start_run(pretend.draft(toy))
    assert (run.taken, run.count, run.last, run.state) == (
        [0] * 3,
        0,
        None,
        None,
    )
    steps = run.steps()
    assert (run.count, len(painter.plans)) == (0, 0)  # nothing is begun
    for step in itertools.islice(steps, 5):
        assert run.last is step
    assert (run.taken, run.count) == ([3, 2, 0], 5)
    assert _places(steps) == WHOLE[5:]
    assert (run.taken, run.count) == ([3, 3, 3], 9)


def test_reading_follows_each_step_and_returns_the_last(toy, painter):
    run, seen = runner.start_run(pretend.draft(toy)), []
    last = run.execute(seen.append)
    assert _places(seen) == WHOLE
    assert last is seen[-1] is run.last


@pytest.mark.parametrize("kept", [False, True])
def test_reading_stops_after_a_step(toy, painter, tmp_path, kept):
    chosen = {"checkpoint_dir": str(tmp_path), "checkpoint_every": "99"}
    run = runner.start_run(pretend.draft(toy, **(chosen if kept else {})))
    seen = []
    last = run.execute(seen.append, lambda: len(seen) == 4)
    assert _places(seen) == WHOLE[:4]
    assert last is seen[-1]
    assert len(list(tmp_path.glob("*.npz"))) == kept  # saved as it is closed
    assert not list(tmp_path.glob(".*"))  # and unmarked


def test_further_losses_reach_the_painter(toy, monkeypatch):
    given = []

    class Painter:
        tiling = network = None

        def paint(self, plan, start, extra_losses, stop):
            given.append(extra_losses)
            return (each for each in [types.SimpleNamespace(level=0, index=1)])

    run = runner.Run(pretend.draft(toy), Painter())
    assert len(list(run.steps(len))) == 1
    run.execute(extra_losses=max)
    assert given == [len, max]


def test_the_time_is_counted_from_the_beginning(toy, painter, monkeypatch):
    monkeypatch.setattr(runner.time, "monotonic", lambda: 100.0)
    assert runner.start_run(pretend.draft(toy)).seconds == 0
    run = runner.start_run(pretend.draft(toy), began=93.0)
    assert (run.began, run.seconds) == (93.0, 7.0)


def test_a_budget_is_counted_from_the_beginning(toy, painter):
    draft = pretend.draft(toy, max_seconds=1000.0)
    long_ago = runner.time.monotonic() - 2000
    run = runner.start_run(draft, began=long_ago)
    assert run.execute() and run.taken == [0, 0, 1]


def test_a_run_goes_on_from_its_checkpoint(toy, painter, tmp_path):
    chosen = {"checkpoint_dir": str(tmp_path), "checkpoint_every": "1"}
    draft = pretend.draft(toy, **chosen)
    first = runner.start_run(draft)
    first.execute(should_stop=lambda: first.count == 5)
    run = runner.start_run(draft)
    assert (run.state.level, run.state.steps) == (1, 2)
    assert (run.taken, run.count) == ([3, 2, 0], 0)
    assert _places(run.steps()) == WHOLE[5:]
    assert (run.taken, run.count) == ([3, 3, 3], 4)
    assert painter.starts[-1] is run.state


@pytest.mark.parametrize("writes", [False, True])
def test_only_the_writer_saves_checkpoints(
    toy, painter, tmp_path, monkeypatch, writes
):
    monkeypatch.setattr(replicas, "is_writer", lambda: writes)
    chosen = {"checkpoint_dir": str(tmp_path), "checkpoint_every": "2"}
    runner.start_run(pretend.draft(toy, **chosen)).execute()
    assert len(list(tmp_path.glob("*.npz"))) == (
        checkpoint.KEPT if writes else 0
    )


# What a run starts with


def test_a_painter_is_given_or_borrowed(toy, painter, monkeypatch):
    mine, draft = pretend.Painter(), pretend.draft(toy)
    runner.start_run(draft, painter=mine).execute()
    assert len(mine.plans) == 1 and not painter.plans
    runner.start_run(draft).execute()
    assert len(mine.plans) == len(painter.plans) == 1


def test_a_draft_is_fitted_to_this_machine(toy, painter, monkeypatch):
    machine = planning.Machine("bfloat16", 5e9, 1)
    monkeypatch.setattr(runner, "measure_machine", lambda strategy: machine)
    plan = runner.start_run(pretend.draft(toy, precision="auto")).plan
    assert plan.network.precision == "bfloat16"
    assert plan.tiling.memory == 5e9


@pytest.mark.parametrize("gpu", [False, True])
def test_a_machine_is_measured(monkeypatch, gpu):
    monkeypatch.setattr(device, "is_gpu", lambda: gpu)
    monkeypatch.setattr(device, "resolve_precision", lambda name: f"{name}?")
    monkeypatch.setattr(runner.host_memory, "find_limit", lambda: 3e9)
    strategy = types.SimpleNamespace(num_replicas_in_sync=4)
    memory = None if gpu else 3e9
    assert runner.measure_machine() == ("auto?", memory, 1, 3e9, gpu)
    assert runner.measure_machine(strategy) == ("auto?", memory, 4, 3e9, gpu)


# Several processes


@pytest.fixture
def workers(monkeypatch):
    """Two processes that share a picture: rows that the other one gathers."""
    said = []
    monkeypatch.setattr(replicas, "count_workers", lambda: 2)
    monkeypatch.setattr(
        replicas,
        "gather",
        lambda strategy, row: [row, said[-1](row) if said else row],
    )
    return said


def _tiled(toy, side, target="keep"):
    draft = pretend.draft(toy)
    tiling = draft.tiling._replace(side=side, content_target=target)
    return dataclasses.replace(draft, tiling=tiling)


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        ((64, "keep"), (32, 0), (32, "keep")),
        ((32, "keep"), (64, 1), (32, "recompute")),
        ((0, "keep"), (64, 0), (64, "keep")),
        ((64, "recompute"), (0, 0), (64, "recompute")),
        ((0, "keep"), (0, 0), (0, "keep")),
    ],
)
def test_processes_take_the_smallest_tiles(toy, workers, own, other, expected):
    workers.append(lambda row: [row[0], *other])
    plan = runner._agree_on_tiles(_tiled(toy, *own), None, "strategy")
    assert (plan.tiling.side, plan.tiling.content_target) == expected


def test_one_process_agrees_with_itself(toy, monkeypatch):
    monkeypatch.setattr(replicas, "gather", lambda *_: pytest.fail("asked"))
    plan = _tiled(toy, 64)
    assert runner._agree_on_tiles(plan, None, None) is plan
    assert runner._agree_on_tiles(plan, None, "strategy") is plan


def test_processes_of_another_job_or_start_are_refused(toy, workers):
    rows = []
    workers.append(lambda row: rows.append(row) or row)
    state = types.SimpleNamespace(level=1, steps=2)
    later = types.SimpleNamespace(level=1, steps=3)
    for chosen in ({}, {"style_weight": 7.0}, {"steps": (3, 3, 4)}):
        for start in (None, state, later):
            plan = pretend.draft(toy, **chosen)
            runner._agree_on_tiles(plan, start, "strategy")
    numbers = [number for number, *_ in rows]
    assert len(set(numbers)) == 9
    assert all(0 <= number < 2**63 for number in numbers)
    workers.append(lambda row: [row[0] + 1, *row[1:]])
    with pytest.raises(ValueError, match="differ in options, pictures"):
        runner._agree_on_tiles(plan, None, "strategy")


def test_processes_go_on_where_all_of_them_would(toy, painter, monkeypatch):
    asked = []

    def agree(strategy, value):
        asked.append(value)
        return value and len(asked) < 5

    monkeypatch.setattr(replicas, "agree", agree)
    plan = dataclasses.replace(
        pretend.draft(toy, steps=20), stop=planning.StopSettings()
    )
    run = runner.Run(plan, painter, strategy="strategy")
    run.execute()
    assert asked == [] and run.count == 60  # there is one process
    monkeypatch.setattr(replicas, "count_workers", lambda: 2)
    run = runner.Run(plan, painter, strategy="strategy")
    list(run.steps())
    assert len(asked) > 5
    assert run.taken == [4, 0, 0]


# How long it will take


def test_a_plan_is_timed_on_a_small_picture(toy, painter, monkeypatch):
    # A trace of 3 seconds, and steps of which the fastest takes 0.2.
    clock = iter([0.0, 3.0, 3.5, 3.7, 4.2, 4.6])
    monkeypatch.setattr(
        runner, "time", types.SimpleNamespace(monotonic=lambda: next(clock))
    )
    monkeypatch.setattr(
        runner.tile_size, "estimate_cost", lambda plan, level: level.height
    )
    started = runner.Run.__init__

    def start(self, plan, painter, **options):
        started(self, plan, painter, began=0.0, **options)

    monkeypatch.setattr(runner.Run, "__init__", start)
    chosen = {"tile": 64, "checkpoint_dir": "none", "max_seconds": 9.0}
    plan = pretend.draft(toy, size=600, steps=(4, 7), levels=2, **chosen)
    seconds = runner.estimate_seconds(plan)
    (probe,) = painter.plans
    (small,) = probe.levels
    last = plan.levels[-1]
    assert small == pyramid.Level(192, 256, 5, last.optimizer, last.settings)
    assert probe.tiling == planning.Tiling()
    assert probe.stop == planning.StopSettings()
    assert probe.checkpoints == planning.Checkpoints()
    expected = sum(
        3.0 + level.steps * level.work * 0.2 / small.work * level.height
        for level in plan.levels
    )
    assert seconds == pytest.approx(expected)


def test_a_small_plan_is_timed_at_its_size(toy, painter):
    runner.estimate_seconds(pretend.draft(toy, size=64))
    assert painter.plans[0].levels[0].size == (48, 64)


# Deterministic operations


@pytest.fixture
def deterministic():
    """Lets TensorFlow refuse each operation that does not repeat."""
    from tensorflow.python.util import _pywrap_determinism as switch

    switch.enable(True)
    yield
    switch.enable(False)


@pytest.mark.parametrize(
    "chosen",
    [
        {"style_loss": "mix", "neighbors_layers": toys.LAYERS[1], "tile": 32},
        {"optimizer": "lbfgs", "pooling": "max", "init_noise": 0.5},
        {"style_loss": "sliced_wasserstein", "grain_weight": 0.1},
    ],
)
def test_a_step_is_of_deterministic_operations(toy, deterministic, chosen):
    images = []
    for _ in range(2):
        draft = pretend.draft(toy, size=48, levels=1, steps=2, **chosen)
        images.append(runner.start_run(draft).execute().image.numpy())
    np.testing.assert_array_equal(*images)


def test_what_is_deterministic_is_known_and_another_job(toy, monkeypatch):
    chosen = []
    monkeypatch.setattr(device, "choose", lambda *words: chosen.append(words))
    drafts = [pretend.draft(toy, deterministic=each) for each in (True, False)]
    assert chosen == [("auto", True), ("auto", False)]
    one, two = map(resume.make_identity, drafts)
    assert one.pop("deterministic") is True and one == two
