"""What follows a run: what it is told, in which sizes."""

import dataclasses
import types
from pathlib import Path

import numpy as np
import pretend
import pytest
import toys

from nst_tf.backend import replicas
from nst_tf.images import image_io
from nst_tf.runs import api, reporters, results, run_log, runner


class Follower:
    """A reporter that takes all it is told."""

    def __init__(self, *_):
        self.steps, self.finished, self.closed = [], [], 0

    def step(self, report):
        image = report.copy_image()
        self.steps.append(dataclasses.replace(report, copy_image=image))

    def finish(self, frame, count):
        self.finished.append((frame, count))

    def close(self):
        self.closed += 1


@pytest.fixture
def film(monkeypatch):
    """Takes the place of a film: [it, what it was made with]."""
    made = [Follower()]
    monkeypatch.setattr(
        reporters.timelapse,
        "Film",
        lambda *given: made.append(given) or made[0],
    )
    return made


def _paint(plan, painter, **chosen):
    """Paints with reporters; the run, and them after all is told."""
    chosen = chosen or {"timelapse_name": "f.gif"}
    run = runner.Run(plan, painter, began=0.0)
    found = reporters.Reporters(plan, run.began, **chosen)
    found.start(run, dict)
    run.execute(lambda step: found.step(step, sum(run.taken)))
    image = results.make_output(run.last, plan).image
    found.finish(image, sum(run.taken), Path("a.png"))
    found.close()
    return run


def test_they_are_told_of_each_step(toy, painter, film, monkeypatch):
    monkeypatch.setattr(reporters.time, "monotonic", lambda: 12.0)
    run = _paint(pretend.draft(toy), painter)
    reports = film[0].steps
    assert [(each.level, each.index, each.count) for each in reports] == [
        (level, index, 3 * level + index)
        for level in range(3)
        for index in range(1, 4)
    ]
    assert reports[0].losses == {"loss": 7.0, **pretend.TERMS}
    assert {each.seconds for each in reports} == {12.0 - run.began}
    sizes = [each.copy_image.shape for each in reports[::3]]
    assert sizes == [(32, 48, 3), (48, 64, 3), (72, 96, 3)]
    ((frame, count),) = film[0].finished
    assert count == 9
    np.testing.assert_array_equal(frame, reports[-1].copy_image)
    assert film[0].closed == 1


def test_pictures_are_finished_as_the_result_is(toy, painter, film):
    keep = np.zeros((60, 80), bool)
    keep[:, 40:] = True
    chosen = {"keep_mask": keep, "color": "content"}
    plan = pretend.draft(toy, **chosen)
    run = _paint(plan, painter)
    last = film[0].steps[-1].copy_image / 255
    expected = results.make_output(run.last, plan).image
    assert np.abs(last - expected).max() <= 0.51 / 255
    small = film[0].steps[0].copy_image[:, 26:] / 255
    content = image_io.resize(plan.inputs.content.pixels, 32, 48)
    np.testing.assert_allclose(small, content[:, 26:], atol=0.02)


def test_what_is_transparent_is_white_and_no_number_is_black(
    toy, painter, film
):
    alpha = np.ones((60, 80, 1))
    alpha[:, :40] = 0
    content = np.concatenate([toys.image(60, 80), alpha], -1)
    chosen = {**pretend.SETTINGS, "weights": str(toy)}
    _, plan = api.draft_images(content, toys.image(50, 60, 1), chosen)
    painter.events[5] = lambda step: step.optimizer.image.assign(
        np.full((1, 48, 64, 3), np.nan)
    )
    _paint(plan, painter)
    for report in film[0].steps:
        image, half = report.copy_image, report.copy_image.shape[1] // 2
        assert image[:, : half - 3].min() == 255
        assert image[:, half + 3 :].max() == 0 or report.count != 5
    ((frame, _),) = film[0].finished
    assert frame[:, :45].min() == 255 > frame[:, 51:].max()


@pytest.mark.parametrize(
    ("size", "expected"), [(600, (384, 512, 3)), (500, (375, 500, 3))]
)
def test_large_pictures_are_reduced_to_512(toy, painter, film, size, expected):
    plan = pretend.draft(toy, size=size, levels=1, steps=1)
    _paint(plan, painter)
    ((frame, _),) = film[0].finished
    assert film[0].steps[0].copy_image.shape == frame.shape == expected
    assert film[1][:2] == ("f.gif", expected[:2])


@pytest.mark.parametrize(
    ("chosen", "steps"),
    [
        ({}, 9),
        ({"max_seconds": 99.0}, 0),
        ({"tolerance": 1e-9}, 0),
        ({"checkpoint_dir": "kept"}, 0),
    ],
)
def test_a_film_knows_how_many_steps_there_will_be(toy, film, chosen, steps):
    plan = pretend.draft(toy, **chosen)
    reporters.Reporters(plan, 0.0, timelapse_name="f.gif")
    assert film[1] == ("f.gif", (72, 96), steps, False)
    fixed = dataclasses.replace(
        plan,
        stop=plan.stop._replace(steps=[1, 2, 3]),
        file=plan.file._replace(overwrite=True),
    )
    reporters.Reporters(fixed, 0.0, timelapse_name="f.gif")
    assert film[2] == ("f.gif", (72, 96), 0, True)


def test_without_pictures_nothing_is_reduced(toy, painter, monkeypatch):
    monkeypatch.setattr(
        reporters, "_reduce_plan", lambda *_: pytest.fail("did")
    )
    steps = []
    log = types.SimpleNamespace(
        start=lambda *_: None, step=steps.append, close=lambda: None
    )
    run = _paint(pretend.draft(toy), painter, log=log)
    assert len(steps) == 9
    found = reporters.Reporters(run.plan, 0.0)
    found.step(run.last, 9)
    found.finish(np.zeros((72, 96, 3)), 9, Path("a.png"))
    found.end("done", 9)
    found.close()
    with pytest.raises(ValueError, match="no reporter needs pictures"):
        found._to_uint8(np.zeros((2, 2, 3)))


def test_all_are_closed_whatever_one_of_them_does(toy, monkeypatch):
    made = [Follower(), Follower()]
    monkeypatch.setattr(reporters.timelapse, "Film", lambda *_: made[0])
    board = reporters.tensorboard_folder
    monkeypatch.setattr(board, "Board", lambda *_: made[1])
    made[0].close = lambda: 1 / 0
    plan = pretend.draft(toy)
    both = {"timelapse_name": "f.gif", "summary_dir": "board"}
    with pytest.raises(ZeroDivisionError):
        reporters.Reporters(plan, 0.0, **both).close()
    assert made[1].closed == 1


@pytest.mark.parametrize(
    ("chosen", "writes", "opened"),
    [({}, True, True), ({"dry_run": True}, True, False), ({}, False, False)],
)
def test_the_jobs_reporters_are_opened_where_it_writes(
    toy, monkeypatch, chosen, writes, opened
):
    monkeypatch.setattr(replicas, "is_writer", lambda: writes)
    given = []
    monkeypatch.setattr(
        reporters, "Reporters", lambda *args, **named: given.append(named)
    )
    names = {"log": "a", "summary_dir": "b", "timelapse": "c"}
    logs = []
    monkeypatch.setattr(
        run_log, "Log", lambda *args, **named: logs.append((*args, named))
    )
    job = pretend.job(toy, **names, log_every=3, overwrite=True, **chosen)
    kept = {"checkpoint_dir": "kept", "resume": "require"}
    api.open_reporters(job, pretend.draft(toy, **kept), 0.0)
    if opened:
        flags = given[0].pop("flags")
        assert "--log=a" in flags and "--size=96" in flags
        names["timelapse_name"] = names.pop("timelapse")
        names["log"] = None
    expected = [("a", 3, {"overwrite": True, "resumes": True})]
    assert logs == (expected if opened else [])
    assert given == [names if opened else {}]
