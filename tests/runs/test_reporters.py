"""What follows a run: what it is told, in which sizes; the log."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pretend
import pytest
import toys

from nst_tf.backend import device, replicas
from nst_tf.images import image_io
from nst_tf.plan import pyramid
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
    run.read(
        lambda step: found.step(
            step, sum(run.taken), 7.0 if run.count % 2 else None
        )
    )
    found.finish(results.make_output(run.last, plan).image, sum(run.taken))
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
    assert reports[1].losses == {}
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
    plan = api.draft_images(content, toys.image(50, 60, 1), chosen)
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


def test_without_pictures_nothing_is_reduced(
    toy, painter, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        reporters, "_reduce_plan", lambda *_: pytest.fail("did")
    )
    run = _paint(pretend.draft(toy), painter, log=str(tmp_path / "run.log"))
    found = reporters.Reporters(run.plan, 0.0)
    found.step(run.last, 9, None)
    found.finish(np.zeros((72, 96, 3)), 9)
    found.close()
    with pytest.raises(ValueError, match="nothing shows pictures"):
        found._to_uint8(np.zeros((2, 2, 3)))


def test_all_are_closed_whatever_one_of_them_does(toy, monkeypatch):
    made = [Follower(), Follower()]
    monkeypatch.setattr(reporters.timelapse, "Film", lambda *_: made[0])
    monkeypatch.setattr(reporters.summaries, "Board", lambda *_: made[1])
    made[0].close = lambda: 1 / 0
    plan = pretend.draft(toy)
    both = {"timelapse_name": "f.gif", "summary_dir": "board"}
    with pytest.raises(ZeroDivisionError):
        reporters.Reporters(plan, 0.0, **both).close()
    assert made[1].closed == 1


@pytest.mark.parametrize(
    ("chosen", "writes", "opened"),
    [
        ({}, True, True),
        ({"dry_run": True}, True, False),
        ({}, False, False),
    ],
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
    job = pretend.job(toy, **names, **chosen)
    api.open_reporters(job, pretend.draft(toy), 0.0)
    if opened:
        flags = given[0].pop("flags")
        assert "--log=a" in flags and "--size=96" in flags
        names["timelapse_name"] = names.pop("timelapse")
    assert given == [names if opened else {}]


# The log


def _report(loss=2.0, **terms):
    losses = {"loss": loss, **terms} if loss else {}
    return reporters.StepReport(1, 2, 12, losses, 1.23456, None)


LEVELS = [pyramid.Level(9, 9, 10), pyramid.Level(30, 40, 5)]


def test_the_log_has_a_line_for_each_step_that_is_reported(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(device, "read_peak_memory", lambda: 10**9)
    path = tmp_path / "run.jsonl"
    path.write_text("before\n")
    log = run_log.Log(str(path), LEVELS)
    for report in (_report(a=3), _report(None), _report(b=np.float32(0.5))):
        log.step(report)
    log.finish(None, 12)
    log.close()
    first, *lines = path.read_text().splitlines()
    assert first == "before"
    line = {"level": 2, "width": 40, "height": 30, "step": 2, "steps": 5}
    line |= {"loss": 2.0, "seconds": 1.235, "memory": 10**9}
    assert [json.loads(each) for each in lines] == [
        {**line, "losses": {"a": 3.0}},
        {**line, "losses": {"b": 0.5}},
    ]


def _log(path, *places, levels=LEVELS):
    """Logs steps; the levels and steps of all lines of the file."""
    log = run_log.Log(str(path), levels)
    for level, index in places:
        losses = {"loss": 1.0} if index % 2 == 0 else {}
        log.step(reporters.StepReport(level - 1, index, 0, losses, 0, None))
    lines = [each for each in path.read_text().splitlines() if each[0] == "{"]
    found = map(json.loads, lines[:-1] if lines[-1][-1] != "}" else lines)
    return [(each["level"], each["step"]) for each in found]


def test_a_log_that_is_taken_up_again_has_no_step_twice(tmp_path):
    path = tmp_path / "run.jsonl"
    steps = [(1, index) for index in range(1, 9)]
    first = _log(path, *steps)
    assert first == [(1, 2), (1, 4), (1, 6), (1, 8)]
    again = _log(path, (1, 5), (1, 6), (1, 7), (1, 8), (1, 9), (1, 10), (2, 2))
    assert again == [*first, (1, 10), (2, 2)]
    assert _log(path, (1, 10), (2, 1), (2, 2), (2, 4)) == [*again, (2, 4)]
    more = [LEVELS[0], LEVELS[1]._replace(steps=8)]
    longer = _log(path, (2, 3), (2, 4), (2, 6), levels=more)
    assert longer == [*again, (2, 4), (2, 6)]
    anew = _log(path, *steps)  # a run that begins is another one
    assert anew == [*longer, *first]


@pytest.mark.parametrize(
    "last",
    [
        *("", "mine", "[]", "{}", "7", '{"level": 9, "step": 4}', "\xff"),
        '{"level": 1, "step": 8, "height": 9, "width": 8, "steps": 10}',
        '{"level": "a", "step": null}',
    ],
)
def test_a_log_of_others_is_added_to(tmp_path, last):
    path = tmp_path / "run.jsonl"
    path.write_text(f"mine\n{last}", encoding="latin-1")
    log = run_log.Log(str(path), LEVELS)
    log.step(reporters.StepReport(0, 6, 6, {"loss": 1.0}, 0, None))
    *before, written = path.read_bytes().splitlines()
    assert before == [
        b"mine",
        *([last.encode("latin-1")] if last else []),
    ]
    assert json.loads(written)["step"] == 6


def test_the_memory_of_this_process_is_known():
    memory = device.read_peak_memory()
    assert memory is None or memory > 10**7


def test_a_log_is_opened_at_once_and_a_failure_later_is_said_once(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"log none/a cannot be written: No s"):
        run_log.Log("none/a", LEVELS)
    log = run_log.Log("run.jsonl", LEVELS)
    assert Path("run.jsonl").read_text() == ""
    Path("run.jsonl").unlink()
    Path("run.jsonl").mkdir()
    log.step(_report(None))
    assert caplog.messages == []
    for _ in range(2):
        log.step(_report())
    assert caplog.messages == ["log run.jsonl failed: Is a directory"]
