"""Tiles of runs that go on: the checkpoint's, or smaller for a reason."""

import itertools
import json

import numpy as np
import pretend
import pytest

from nst_tf.backend import host_memory, replicas
from nst_tf.plan import planning
from nst_tf.runs import resume, runner
from nst_tf.transfer import method

# Gigabytes for a picture as a whole, twice over, as a whole, and in tiles.
ROOMY, WHOLE, TILES_64, TILES_32 = 8.0, 1.1, 1.0372, 1.0292
BEFORE = ["boot /memory.events", 3]  # kills, as of the mark


def _plan(toy, folder, memory, **chosen):
    """A plan on a machine that has so many gigabytes."""
    draft = pretend.draft(toy, checkpoint_dir=str(folder), **chosen)
    return planning.fit_plan(draft, planning.Machine(memory=1e9 * memory))


def _leave(plan, *, saves=True, tiles=None, **mark):
    """Leaves what a run of a plan does that is killed after two steps."""
    painter = method.Painter()
    painter.tiling = tiles
    run = runner.Run(plan, painter)
    steps = run.steps()
    list(itertools.islice(steps, 2))
    steps.close()
    folder = resume.open_folder(plan)
    if not saves:
        for path in folder._path.glob("0*.npz"):
            path.unlink()
    note = {"tile": plan.tiling.side, "kills": BEFORE, **mark}
    folder.mark(note)
    folder._marks[0].write_text(json.dumps({**note, "process": 2**22 + 1}))


def _go_on(plan, painter):
    saved = resume.find_checkpoint(plan, painter.list_shapes)
    return resume.adjust_tiles(plan, saved).tiling


@pytest.fixture
def kills(monkeypatch):
    """How many processes the kernel has killed, and where."""
    found = list(BEFORE)
    monkeypatch.setattr(
        host_memory, "count_kills", lambda: found and tuple(found)
    )
    return found


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (a, b)
        for a in (ROOMY, WHOLE, TILES_64, TILES_32)
        for b in (ROOMY, WHOLE)
    ],
)
def test_a_run_goes_on_in_the_tiles_of_its_checkpoint(
    toy, painter, tmp_path, caplog, kills, before, now
):
    side = {TILES_64: 64, TILES_32: 32}.get(before, 0)
    plan = _plan(toy, tmp_path, before)
    assert plan.tiling.side == side
    _leave(plan)
    assert _go_on(_plan(toy, tmp_path, now), painter).side == side
    assert caplog.messages == []


def test_tiles_are_those_that_were_in_use_in_the_end(
    toy, painter, tmp_path, kills
):
    # The painter halves them where the memory of a device does not suffice.
    used = planning.Tiling(40, "recompute")
    _leave(_plan(toy, tmp_path, ROOMY), tiles=used)
    assert _go_on(_plan(toy, tmp_path, ROOMY), painter)[:2] == used[:2]


def test_tiles_that_are_asked_for_anew_are_taken(toy, painter, tmp_path, kills):
    _leave(_plan(toy, tmp_path, TILES_32))
    for chosen, expected in (
        ({}, (32, "auto")),
        ({"tile": 48}, (48, "auto")),
        ({"content_target": "recompute"}, (0, "recompute")),
    ):
        plan = _plan(toy, tmp_path, ROOMY, **chosen)
        assert _go_on(plan, painter)[:2] == expected


def test_tiles_that_do_not_fit_any_more_are_said(
    toy, painter, tmp_path, caplog, kills
):
    _leave(_plan(toy, tmp_path, ROOMY))
    assert _go_on(_plan(toy, tmp_path, TILES_64), painter).side == 64
    words = "no longer fit in memory: this run uses tiles of 64, and"
    assert [words in each for each in caplog.messages] == [True]


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (["boot /memory.events", 4], "was killed, perhaps for lack of memory"),
        (["boot /memory.events", 3], ""),
        (["boot /memory.events", 2], ""),
        (["later /memory.events", 4], ""),  # the counts are of another boot
        ([], ""),  # nobody counts
    ],
)
def test_they_shrink_where_the_kernel_has_killed_since(
    toy, painter, tmp_path, caplog, kills, now, words
):
    _leave(_plan(toy, tmp_path, WHOLE))
    kills[:] = now
    side = _go_on(_plan(toy, tmp_path, WHOLE), painter).side
    assert side == (48 if words else 0)  # half of the long side
    words = f"a run of this job {words}: this run uses tiles of 48"
    assert [words in each for each in caplog.messages] == [True] * (side > 0)


@pytest.mark.parametrize("memory", [WHOLE, ROOMY])
@pytest.mark.parametrize("saves", [False, True])
def test_they_shrink_where_two_runs_died_without_a_checkpoint(
    toy, painter, tmp_path, caplog, kills, saves, memory
):
    def leave(deaths):
        place = [0, 2] if saves else None
        plan = _plan(toy, tmp_path, memory)
        _leave(plan, saves=saves, start=place, deaths=deaths)
        return _go_on(plan, painter).side

    assert leave(0) == 0
    assert leave(1) == (48 if memory == WHOLE else 0)  # it had plenty
    words = "2 runs of this job in a row saved no new checkpoint: this run"
    assert sum(words in each for each in caplog.messages) == (memory == WHOLE)


@pytest.mark.parametrize(
    "mark",
    [
        {"start": [0, 1], "deaths": 9},  # it saved a checkpoint
        {"start": "a", "deaths": 9},
        {"start": [0, 2], "deaths": -1},
        {"start": [0, 2], "deaths": "9"},
        {"start": [0, 2], "deaths": True},
        {"start": [0, 2], "deaths": 9, "tile": -1},
        {"start": [0, 2], "deaths": 9, "tile": "a"},
        {"start": [0, 2], "deaths": 9, "tile": 1e99},
        {"kills": [BEFORE[0], "2"]},
        {"kills": [BEFORE[0]]},
        {"kills": 7},
        {"kills": []},
    ],
)
def test_marks_that_say_nothing_of_memory_change_nothing(
    toy, painter, tmp_path, caplog, kills, mark
):
    _leave(_plan(toy, tmp_path, WHOLE), **mark)
    assert _go_on(_plan(toy, tmp_path, WHOLE), painter).side == 0
    assert caplog.messages == []


def test_absurd_tiles_of_a_mark_are_the_whole_picture(
    toy, painter, tmp_path, kills
):
    _leave(_plan(toy, tmp_path, WHOLE), tile=10**30, start=[0, 2], deaths=9)
    assert _go_on(_plan(toy, tmp_path, WHOLE), painter).side == 48


@pytest.mark.parametrize("rule", ["writer", "never"])
def test_who_does_not_write_or_resume_takes_the_tiles_of_now(
    toy, painter, tmp_path, monkeypatch, kills, rule
):
    _leave(_plan(toy, tmp_path, WHOLE), start=[0, 2], deaths=9)
    chosen = {"resume": "never"} if rule == "never" else {}
    if rule == "writer":
        monkeypatch.setattr(replicas, "is_writer", lambda: False)
    plan = _plan(toy, tmp_path, WHOLE, **chosen)
    assert _go_on(plan, painter).side == 0


def test_a_run_counts_deaths_before_it_in_its_mark(
    toy, painter, tmp_path, kills
):
    def mark(**chosen):
        steps = runner.start_run(
            pretend.draft(toy, checkpoint_dir=str(tmp_path), **chosen)
        ).steps()
        next(steps)
        (path,) = tmp_path.glob(".*.running")
        note = json.loads(path.read_text())
        steps.close()
        return note["start"], note["deaths"], note["kills"]

    assert mark() == (None, 0, BEFORE)
    plan = _plan(toy, tmp_path, WHOLE)
    _leave(plan, start=[0, 2])
    assert mark() == ([0, 2], 1, BEFORE)
    _leave(plan, start=[0, 2], deaths=3)
    assert mark() == ([0, 2], 4, BEFORE)
    _leave(plan, start=[0, 1], deaths=3)
    assert mark() == ([0, 2], 0, BEFORE)


@pytest.mark.parametrize(
    "notes",
    [
        {},
        {"tiles": "aa", "asked": [0, "auto"]},
        {"tiles": [32], "asked": [0, "auto"]},
        {"tiles": [32, "other"], "asked": [0, "auto"]},
        {"tiles": ["32", "auto"], "asked": [0, "auto"]},
        {"tiles": [32, "auto"]},
    ],
)
def test_notes_that_no_run_writes_are_none(toy, painter, tmp_path, notes):
    plan = _plan(toy, tmp_path, WHOLE)
    _leave(plan)
    saved = resume.find_checkpoint(plan, painter.list_shapes)
    assert resume.adjust_tiles(plan, saved._replace(notes=notes)) is plan


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "sgd"])
def test_what_an_optimizer_remembers_is_known_beforehand(toy, optimizer):
    plan = planning.fit_plan(
        pretend.draft(toy, optimizer=optimizer, steps=1), planning.Machine()
    )
    shapes = method.Painter().list_shapes(plan.levels[0])
    step = next(method.Painter().paint(plan))
    found = {name: np.asarray(x) for name, x in step.variables.items()}
    assert shapes == {n: (x.shape, x.dtype.kind) for n, x in found.items()}
