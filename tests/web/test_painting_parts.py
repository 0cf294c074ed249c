"""The parts of the painting process: commands, messages, judge and lock."""

import dataclasses
import io
import json
import types

import numpy as np
import pretend
import pytest

from nst_tf import screens
from nst_tf.web import painting_process, upload_check


def test_commands_are_taken_in_order_and_a_stop_at_once():
    lines = [
        {"do": "paint", "job": "1"},
        {"do": "stop", "job": "2"},
        {"do": "judge", "job": "3"},
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    commands = painting_process.Commands(io.StringIO(text))
    taken = []
    while not taken or taken[-1]["do"] != "leave":
        taken.append(commands._waiting.get(timeout=5))
    assert [each["job"] for each in taken] == ["1", "3", ""]
    assert commands.has_left and list(commands) == []
    assert [commands.is_stopped(each) for each in "123"] == [False, True, False]


def test_a_job_that_is_painted_again_is_no_longer_stopped():
    lines = [{"do": do, "job": "1"} for do in ("stop", "paint")]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    commands = painting_process.Commands(io.StringIO(text))
    assert commands._waiting.get(timeout=5) == lines[1]
    assert not commands.is_stopped("1")


class _Estimate:
    def __init__(self, part):
        self.part = part

    def share(self, now):
        return self.part

    def remaining(self, now):
        return 12.345


def test_new_stages_are_sent_with_the_time_that_is_left():
    told = []
    stages = painting_process._Stages(
        lambda event, **more: told.append((event, more))
    )
    assert stages.interval == 0.25
    assert stages.estimate_left() is None
    for label, part in (("a", None), ("a", 0.5), ("b", 0.0)):
        stages.show(screens.Status(label, _Estimate(part)))
        assert stages.status.label == label
        assert stages.estimate_left() == (None if part is None else 12.3)
    assert told == [("stage", {"label": "a"}), ("stage", {"label": "b"})]


class _Commands:
    """Commands of a list; `stopped` is the job to stop."""

    has_left, stopped = False, ""

    def __init__(self, *lines):
        self._lines = lines

    def __iter__(self):
        return iter(self._lines)

    def is_stopped(self, job):
        return job == self.stopped


def _run(tmp_path, *lines):
    """Runs a process on commands; what it says."""
    out = io.StringIO()
    process = painting_process.Process(tmp_path, _Commands(*lines), out)
    process.run()
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_errors_of_a_job_are_one_sentence_and_the_next_is_begun(
    tmp_path, monkeypatch
):
    errors = [
        ValueError("no\n  file."),
        MemoryError(),
        OSError(28, "full"),
        FloatingPointError("NaN"),
    ]
    left = iter(errors)

    def fail(self, *given):
        raise next(left)

    monkeypatch.setattr(painting_process.Process, "_paint", fail)
    line = {"do": "paint", "settings": {}, "names": {}}
    lines = [{**line, "job": str(number)} for number in range(4)]
    leave = {"do": "leave", "job": ""}
    said = _run(tmp_path, *lines, leave, *lines)
    assert said[0] == {"event": "ready", "job": ""}
    words = ["no file.", "out of memory; choose a smaller size."]
    words += ["[Errno 28] full", "NaN"]
    assert said[1:] == [
        {"event": "failed", "job": str(number), "message": message}
        for number, message in enumerate(words)
    ]


def test_a_server_that_has_ended_hears_nothing(tmp_path):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    process = painting_process.Process(tmp_path, _Commands(), Closed())
    process.run()


def test_a_result_is_judged_by_the_settings_of_its_job(tmp_path, monkeypatch):
    from nst_tf.judge import judging

    @dataclasses.dataclass
    class Figures:
        style: float = 0.25

    class Judge:
        def __init__(self, *given, **more):
            self.given = given, more

        def read_subject(self, content, styles):
            return content, styles

        def judge(self, picture, subject):
            chosen = {
                "style_blend": (1.0, 2.0),
                "style_scale": (2.0,),
                "weights": "small",
                "extractor": "vgg16",
            }
            assert self.given == ((chosen,), {"size": 512})
            assert (picture, subject) == ("o.png", ("c.png", ["a.png"]))
            return Figures()

    monkeypatch.setattr(judging, "Judge", Judge)
    monkeypatch.setattr(painting_process.image_io, "load_picture", str)
    chosen = {
        "content": "c.png",
        "style": ["a.png"],
        "output": "o.png",
        "style_blend": [1.0, 2.0],
        "style_scale": [2.0],
        "weights": "small",
        "extractor": "vgg16",
        "size": 64,
    }
    _, stage, judged = _run(
        tmp_path, {"do": "judge", "job": "7", "settings": chosen}
    )
    assert (stage["event"], stage["label"]) == ("stage", "judging")
    assert judged == {"event": "judged", "job": "7", "figures": {"style": 0.25}}


def test_a_network_serves_all_jobs_that_choose_it(tmp_path, toy):
    process = painting_process.Process(tmp_path, _Commands(), io.StringIO())
    plan = pretend.draft(toy)
    first = plan.inputs.network
    other = first._replace(origin="another")
    again = dataclasses.replace(
        plan, inputs=plan.inputs._replace(network=other)
    )

    def keep(plan, **changes):
        job = types.SimpleNamespace(extractor="toy", weights="w")
        vars(job).update(changes)
        return process._keep_network(job, plan).inputs.network

    assert keep(plan) is keep(again) is first
    assert keep(again, weights="x") is keep(again, extractor="y") is other


def _listed(taken, **chosen):
    job = types.SimpleNamespace(
        **{"tolerance": 0.0, "strength": -1.0, **chosen}
    )
    plan = types.SimpleNamespace(
        settings=pretend.choose(), size=(72, 96), levels=[]
    )
    run = types.SimpleNamespace(plan=plan, taken=taken)
    return painting_process._list_steps(job, run)


def test_steps_of_levels_are_those_that_more_steps_go_on_from():
    assert _listed([3, 3, 5]) == [3, 3, 5]
    assert _listed([5]) == [3, 3, 5]  # from a smaller result
    assert _listed([3, 3, 5], strength=0.5) == [3, 3, 5]
    assert _listed([3, 3, 0]) == []
    assert _listed([3, 3, 5], tolerance=0.1) == []
    assert _listed([3, 3, 5], strength=0) == []


@pytest.mark.parametrize(("tries", "is_held"), [(3, True), (99, False)])
def test_the_lock_of_another_process_is_awaited_for_a_minute(
    tmp_path, monkeypatch, tries, is_held
):
    now, left = [100.0], [tries]

    def hold(path):
        assert path == tmp_path / "painting.lock"
        if left[0]:
            left[0] -= 1
            raise BlockingIOError
        return "held"

    def sleep(seconds):
        now[0] += 100 * seconds

    monkeypatch.setattr(painting_process.locks, "hold", hold)
    clock = types.SimpleNamespace(monotonic=lambda: now[0], sleep=sleep)
    monkeypatch.setattr(painting_process, "time", clock)
    if is_held:
        held = painting_process._wait_for_folder(tmp_path / "painting.lock")
        assert (held, now[0]) == ("held", pytest.approx(160.0))
        return
    with pytest.raises(BlockingIOError):
        painting_process._wait_for_folder(tmp_path / "painting.lock")
    assert now[0] == pytest.approx(180.0)  # the first try after a minute


@pytest.fixture
def process(tmp_path, monkeypatch):
    """A process without files, and what it says of a step."""
    out = io.StringIO()
    process = painting_process.Process(tmp_path, _Commands(), out)
    (tmp_path / "7").mkdir()
    process.said = lambda: [
        json.loads(line) for line in out.getvalue().splitlines()
    ]
    return process


@pytest.mark.parametrize(
    ("spent", "pause"), [(0.001, 0.5), (0.015, 0.5), (0.3, 10.0)]
)
def test_steps_are_told_with_each_preview_or_loss(
    process, tmp_path, monkeypatch, toy, spent, pause
):
    now, losses, previews = [50.0], [], []
    clock = types.SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(painting_process, "time", clock)

    class Progress:
        def __init__(self, plans, began, seconds):
            assert (plans, began, seconds) == ([plan], 40.0, plan.stop.seconds)

        def update(self, level, index, loss):
            losses.append((level, index, loss))
            return read

    def write(path, small, step):
        previews.append((path, small, step))
        now[0] += spent

    monkeypatch.setattr(painting_process.progress, "Progress", Progress)
    monkeypatch.setattr(painting_process.job_files, "write_preview", write)
    plan, read = pretend.draft(toy), None
    run = types.SimpleNamespace(plan=plan, began=40.0, taken=[3, 1])
    stages = types.SimpleNamespace(estimate_left=lambda: 9.5)
    follow = process._follow(run, tmp_path / "7", stages)
    step = types.SimpleNamespace(
        level=1, index=2, evaluation=types.SimpleNamespace(loss=7.123456789)
    )
    follow(step)
    ((path, small, given),) = previews
    assert (path, given) == (tmp_path / "7" / "preview.jpg", step)
    assert small.inputs.content.pixels.shape == (72, 96, 3)
    assert losses == [(1, 2, 7.123456789)]
    first = {"event": "step", "job": "", "step": 4, "steps": 9, "left": 9.5}
    first |= {"loss": 7.123456789, "preview": 1}
    assert process.said() == [first]
    now[0] = 50.0 + spent + pause - 0.01
    follow(step)  # too early, and without a loss
    assert len(process.said()) == len(previews) == 1
    read = float("inf")
    follow(step)
    assert len(previews) == 1
    assert process.said()[1:] == [{**first, "loss": None}]
    read = None
    now[0] = 50.0 + spent + pause + 0.01
    follow(step)
    assert process.said()[2:] == [{**first, "preview": 2}]
    text = (tmp_path / "7" / "losses.txt").read_text()
    assert text == "4 7.12346\n4 inf\n4 7.12346\n"


def test_the_largest_picture_is_painted_and_none_larger(
    toy, tmp_path, monkeypatch
):
    def begin(*given, **more):
        raise ValueError("it was begun")

    monkeypatch.setattr(painting_process.runner, "start_run", begin)
    monkeypatch.setattr(
        painting_process.api, "draft_files", lambda job: pretend.draft(toy)
    )
    line = {"do": "paint", "job": "7", "settings": {}, "names": {}}
    for limit, words in ((0.006912, "it was begun"), (0.0069, "megapixels,")):
        monkeypatch.setattr(upload_check, "MEGAPIXELS", limit)
        *_, said = _run(tmp_path, line)
        assert words in said["message"]
    assert np.prod((72, 96)) == 6912
