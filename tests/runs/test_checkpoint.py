"""Checkpoints: killed runs go on to the same bits; files whole or not there."""

import dataclasses
import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pretend
import pytest
import tensorflow as tf
import toys

import nst_tf
from nst_tf import locks
from nst_tf.images import image_io
from nst_tf.optimize import descent
from nst_tf.plan import pyramid, settings
from nst_tf.runs import checkpoint, resume, runner

ROOT = Path(nst_tf.__file__).parent.parent
STATE = descent.State(1, 7, {"image": np.arange(6.0), "step": np.int64(7)})
NO_PROCESS = 2**22 + 1  # a number that none has


def _draft(toy, folder, **chosen):
    """The draft of a run of 6, 5 and 4 steps, saved after each."""
    chosen = {"steps": (6, 5, 4), "checkpoint_every": "1", **chosen}
    return pretend.draft(toy, checkpoint_dir=str(folder), **chosen)


def _start(toy, folder, **chosen):
    return runner.start_run(_draft(toy, folder, **chosen))


def _take(run, count):
    """Takes some steps of a run, and closes it, which saves the last one."""
    steps = run.steps()
    taken = list(itertools.islice(steps, count))
    steps.close()
    return taken


def _places(steps):
    return [(step.level, step.index) for step in steps]


# Runs that go on


@pytest.mark.parametrize("optimizer", ["auto", "lbfgs"])
def test_a_run_that_ends_anywhere_goes_on_to_the_same_bits(
    toy, tmp_path, monkeypatch, optimizer
):
    monkeypatch.setattr(pyramid, "LARGE", 40)  # auto is both then
    chosen = {"optimizer": optimizer, "steps": (3, 3, 2), "size": 64}
    chosen["min_size"] = 32
    whole = _start(toy, "", **chosen).read()
    seen = []
    for count in (2, 2, 2, 99):  # of 3, 3 and 2, over every border
        run = _start(toy, tmp_path, **chosen)
        seen += _take(run, count)
    assert _places(seen) == [
        (level, index + 1)
        for level, steps in enumerate((3, 3, 2))
        for index in range(steps)
    ]
    np.testing.assert_array_equal(seen[-1].image, whole.image)


def test_a_resumed_level_for_which_there_is_no_time_is_gone_on_from(
    toy, tmp_path
):
    chosen = {"steps": (2, 5, 4), "size": 64, "min_size": 32}
    last = _take(_start(toy, tmp_path, **chosen), 4)[-1]
    image = last.image.numpy()
    hurried = list(_start(toy, tmp_path, max_seconds=1e-3, **chosen).steps())
    assert _places(hurried) == [(1, 3), (2, 1)]
    expected = tf.image.resize(image, hurried[-1].size, "lanczos3")
    assert np.abs(hurried[-1].image - expected).mean() < 10 / 255


@pytest.mark.parametrize("taken", [15, 10])
def test_a_level_at_rest_ends_at_the_same_step_when_resumed(
    toy, tmp_path, painter, taken
):
    # The first two pictures that are compared are those of steps 10 and 20.
    chosen = {"steps": (40,), "levels": 1, "tolerance": 0.5}
    assert _take(_start(toy, "", **chosen), 99)[-1].index == 20
    _take(_start(toy, tmp_path, **chosen), taken)
    run = _start(toy, tmp_path, **chosen)
    assert run.state.steps == {15: 15, 10: 9}[taken]
    assert _take(run, 99)[-1].index == 20


def test_more_steps_at_the_last_level_are_the_same_job(toy, tmp_path, painter):
    _start(toy, tmp_path).read()
    more = list(_start(toy, tmp_path, steps=(6, 5, 9)).steps())
    assert [step.index for step in more] == [4, 5, 6, 7, 8, 9]


def test_a_checkpoint_holds_the_steps_that_were_taken(toy, tmp_path, painter):
    rules = {"max_seconds": 1e-3, "steps": (6, 5, 4)}
    _take(_start(toy, tmp_path), 7)
    _take(_start(toy, tmp_path, **rules), 2)
    run = _start(toy, tmp_path)
    assert run.taken == [6, 2, 1]
    _take(run, 1)
    newest = max(tmp_path.glob("*.npz"))
    with np.load(newest) as file:
        assert file[resume.TAKEN].tolist() == [6, 2, 2]
        assert set(file.files) == {"head", "image", resume.TAKEN}


def test_checkpoints_are_saved_in_steps_or_seconds_and_never_the_last(
    toy, tmp_path, painter, monkeypatch
):
    saved, clock = [], [0.0]
    monkeypatch.setattr(
        checkpoint.CheckpointFolder,
        "save",
        lambda self, state: saved.append((state.level, state.steps)),
    )
    times = type("Time", (), {"monotonic": staticmethod(lambda: clock[0])})
    monkeypatch.setattr(resume, "time", times)

    def save(every):
        saved.clear()
        draft = _draft(toy, tmp_path, checkpoint_every=every)
        steps = draft.levels
        pairs = [
            (n, i + 1) for n, x in enumerate(steps) for i in range(x.steps)
        ]
        plan = runner.start_run(draft).plan
        for number in range(1, 16):
            painter.events[number] = lambda _: clock.__setitem__(
                0, clock[0] + 1
            )
        runner.Run(plan, painter).read()
        return [pairs.index(place) + 1 for place in saved]

    assert save("4") == [4, 8, 12]
    assert save("5") == [5, 10]  # 15 is the last
    assert save("3.5s") == [4, 8, 12]
    assert save("100s") == []


# Jobs


def test_a_damaged_checkpoint_is_none(toy, tmp_path, painter):
    np.savez(tmp_path / "000099.checkpoint.npz", head=np.array("{}"))
    assert _start(toy, tmp_path).state is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"style_weight": 200.0}, "style_weight is 100.0, and here it is 200"),
        ({"size": 80}, "size is 96, and here it is 80"),
        ({"optimizer": "lbfgs"}, "optimizer is auto, and here it is lbfgs"),
        ({"steps": (7, 5, 4)}, r"steps of levels is \[6, 5\], and here it is"),
        ({"seed": 1, "init": "noise"}, "seed is 0, and here it is 1"),
        ({"init": "noise"}, "init image is another"),
        ({"steps": (6, 5, 3)}, "taken 3 steps at the last level, and steps"),
    ],
)
def test_another_job_is_refused_with_the_difference(
    toy, tmp_path, painter, change, words
):
    _start(toy, tmp_path).read()
    with pytest.raises(ValueError, match=words):
        _start(toy, tmp_path, **change)
    fresh = _start(toy, tmp_path, resume="never", **change)
    assert fresh.state is None


def test_another_version_is_refused(toy, tmp_path, painter, monkeypatch):
    _start(toy, tmp_path).read()
    monkeypatch.setattr(nst_tf, "__version__", "99")
    with pytest.raises(ValueError, match=r"its version is .*, and here it is"):
        _start(toy, tmp_path)


def test_require_needs_a_checkpoint(toy, tmp_path, painter):
    with pytest.raises(ValueError, match="there is no checkpoint in"):
        _start(toy, tmp_path / "none", resume="require")
    _start(toy, tmp_path).read()
    assert _start(toy, tmp_path, resume="require").state.steps == 3


def test_without_a_folder_nothing_is_looked_for(toy, monkeypatch):
    monkeypatch.setattr(resume, "_open_folder", lambda _: pytest.fail("looked"))
    assert resume.find_checkpoint(pretend.draft(toy)) is None
    assert resume.find_killed_tile_size(pretend.draft(toy)) is None
    assert resume.read_steps_taken(None, 2) == [0, 0]


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/none"])
@pytest.mark.parametrize("rule", ["auto", "never"])
def test_a_folder_that_cannot_be_written_to_is_said_at_once(
    toy, tmp_path, monkeypatch, painter, place, rule
):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("no folder")
    words = f"checkpoint_dir is {place}, but .* is no folder that can be writ"
    with pytest.raises(ValueError, match=words):
        _start(toy, place, resume=rule)


def test_what_is_no_part_of_a_job_is_none_of_its_identity(toy):
    def identity(**chosen):
        return resume.make_identity(pretend.draft(toy, **chosen))

    same = identity()
    off = {"neighbors_weight", "neighbors_layers", "grain_weight"}
    assert set(settings.IDENTITY) - off < set(same)
    assert not off & set(same)
    mix = {"style_loss": "mix", "neighbors_layers": toys.CONTENT_LAYER}
    assert off < set(identity(**mix, grain_weight=0.1))
    assert same == identity(checkpoint_every="5s", memory=8.0, tile=64)
    assert same == identity(max_seconds=9.0, steps=(3, 3, 9))
    assert same["level sizes"] == [(32, 48), (48, 64), (72, 96)]
    assert same["precision"] == "float32"
    for name, value in {
        "tv_weight": 1.0,
        "content_mask": np.eye(60, 80) > 0,
        "keep_mask": np.eye(60, 80) > 0,
        "precision": "float16",
        "init": toys.image(9, 9),
        "learning_rate": 0.5,
    }.items():
        assert identity(**{name: value}) != same, name
    mask = np.eye(60, 80) > 0
    masks = [identity(**{n: mask}) for n in ("keep_mask", "strength_map")]
    assert masks[0]["masks"] != masks[1]["masks"] != same["masks"]
    assert identity(init=toys.image(9, 9))["masks"] == same["masks"]


def test_pictures_of_another_shape_or_alpha_are_others(toy):
    draft = pretend.draft(toy)

    def identity(picture):
        return resume.make_identity(
            dataclasses.replace(
                draft,
                inputs=draft.inputs._replace(
                    content=picture, styles=(picture,)
                ),
            )
        )

    picture = image_io.Picture(np.zeros((40, 60, 3), np.float32))
    turned = image_io.Picture(np.zeros((60, 40, 3), np.float32))
    seen = picture._replace(alpha=np.ones((40, 60), np.float32))
    hashes = [identity(each) for each in (picture, turned, seen)]
    for name in ("content image", "style images"):
        assert len({each[name] for each in hashes}) == 3
    network = draft.inputs.network
    assert resume.digest_weights(network).startswith("sha256:")
    more = network._replace(projections={"a": np.ones(3, np.float32)})
    assert resume.digest_weights(more) != resume.digest_weights(network)
    with pytest.raises(ValueError, match="have no network"):
        resume.digest_weights(None)


def test_an_interval_is_in_steps_or_seconds():
    assert settings.parse_interval("50").is_over(50, 0)
    assert not settings.parse_interval("50").is_over(49, 1e9)
    assert settings.parse_interval("0.5s").is_over(1, 0.5)
    assert not settings.parse_interval("0.5s").is_over(10**6, 0.4)
    for text in ("", "s", "0", "-1", "0s", "nans", "1m", "1.5"):
        with pytest.raises(ValueError, match="often is .*expected steps"):
            settings.parse_interval(text, "often")


# Files


def _folder(path, identity=None):
    return checkpoint.CheckpointFolder(path, identity or {"job": 1})


def test_a_folder_keeps_the_newest_two_of_a_job(tmp_path):
    _folder(tmp_path, {"job": "other"}).save(STATE)
    (tmp_path / "notes.checkpoint.npz").write_text("mine")
    for steps in range(1, 5):
        _folder(tmp_path).save(STATE._replace(steps=steps))
    names = sorted(path.name[:6] for path in tmp_path.iterdir())
    assert names == ["000001", "000004", "000005", "notes."]
    found = _folder(tmp_path).newest()
    assert (found.level, found.steps) == (1, 4)
    np.testing.assert_array_equal(found.arrays["image"], np.arange(6.0))
    assert found.arrays["step"].dtype == np.int64
    assert _folder(tmp_path / "none").newest() is None


def test_the_newest_is_that_of_the_highest_number(tmp_path):
    for number in (99, 100, 1_000_000, 999_999):
        _folder(tmp_path).save(STATE._replace(steps=number))
        newest = max(tmp_path.glob("*.npz"), key=lambda p: p.stat().st_mtime_ns)
        newest.rename(tmp_path / f"{number}.checkpoint.npz")
    assert _folder(tmp_path).newest().steps == 1_000_000


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p.write_bytes(p.read_bytes()[:-40]),
        lambda p: p.write_bytes(b""),
        lambda p: p.write_bytes(
            p.read_bytes().replace(b"\0\0\xf0?", b"\0\0\xf0@")
        ),
    ],
)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, damage):
    folder = _folder(tmp_path)
    for steps in (1, 2):
        folder.save(STATE._replace(steps=steps))
    newest = max(tmp_path.iterdir())
    whole = newest.read_bytes()
    damage(newest)
    assert newest.read_bytes() != whole
    assert folder.newest().steps == 1


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    folder = _folder(tmp_path)
    folder.save(STATE)

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        folder.save(STATE)
    assert [path.name[:6] for path in tmp_path.iterdir()] == ["000001"]


@pytest.mark.parametrize(
    "ours",
    [{"a": 1, "b": "sha256:0"}, {"a": 2, "b": "sha256:1"}, {"c": 1}],
)
def test_another_jobs_checkpoint_is_said_with_the_difference(tmp_path, ours):
    _folder(tmp_path, {"a": 1, "b": "sha256:1"}).save(STATE)
    words = {
        "sha256:0": "its b is another",
        "sha256:1": "its a is 1, and here it is 2",
        None: "its c is None, and here it is 1",
    }[ours.get("b")]
    with pytest.raises(ValueError, match=f"of another job: {words}. Name "):
        _folder(tmp_path, ours).newest()


def test_a_setting_that_only_the_checkpoint_has_is_a_difference(tmp_path):
    _folder(tmp_path, {"a": 1, "grain": 0.1}).save(STATE)
    with pytest.raises(ValueError, match="its grain is 0.1, and here it is No"):
        _folder(tmp_path, {"a": 1}).newest()


# Runs that were killed


def _mark(folder, process):
    """Leaves the mark of a process that works on a job, without a lock; it."""
    folder._path.mkdir(exist_ok=True)
    (path, _) = folder._marks
    path.write_text(json.dumps({"tile": 64, "process": process}))
    return path


def test_the_order_of_settings_is_no_part_of_a_job(tmp_path):
    job, reordered = {"b": 1, "a": {"d": 2, "c": 3}}, {"a": {"c": 3, "d": 2}}
    reordered["b"] = 1
    _mark(_folder(tmp_path, job), NO_PROCESS)
    assert _folder(tmp_path, {"b": 2}).died() is None
    assert _folder(tmp_path, reordered).died()["tile"] == 64
    _folder(tmp_path, reordered).unmark()
    assert not list(tmp_path.iterdir())


def test_a_run_that_goes_on_has_not_died_and_there_is_no_second(tmp_path):
    pytest.importorskip("fcntl", reason="Windows has no flock")
    first, second = _folder(tmp_path), _folder(tmp_path)
    _mark(first, os.getppid())  # what the process was has become another
    assert first.died()["tile"] == 64
    first.mark({"tile": 32})
    assert second.died() is None
    words = (
        rf"another run of this job \(process {os.getpid()}\) saves its "
        rf"checkpoints in {tmp_path}; wait until it ends, or name another"
    )
    for refused in (second.check_free, lambda: second.mark({"tile": 16})):
        with pytest.raises(BlockingIOError, match=words):
            refused()
    _folder(tmp_path, {"job": 2}).check_free()
    assert json.loads(first._marks[0].read_text())["tile"] == 32
    first.unmark()
    second.check_free()
    second.mark({"tile": 16})
    second.unmark()
    assert not list(tmp_path.iterdir())


def test_a_mark_whose_holder_removes_it_is_made_again(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="Windows has no flock")
    folder, lock = _folder(tmp_path), fcntl.flock
    path = folder._marks[0]

    def too_late(file, kind):
        monkeypatch.setattr(fcntl, "flock", lock)
        path.unlink()
        return lock(file, kind)

    monkeypatch.setattr(fcntl, "flock", too_late)
    folder.mark({"tile": 64})
    assert path.exists()
    with pytest.raises(BlockingIOError):
        _folder(tmp_path).check_free()
    folder.unmark()


def test_without_locks_a_run_goes_on_as_long_as_its_process(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(locks, "try_lock", lambda *_, **__: None)
    folder = _folder(tmp_path / "made")
    assert folder.died() is None
    folder.mark({"tile": 64})
    folder.check_free()
    folder.unmark()
    path = _mark(folder, os.getppid())
    assert folder.died() is None
    for process in (os.getpid(), 0, -1, NO_PROCESS):
        _mark(folder, process)
        assert folder.died()["tile"] == 64

    def another_users(process, number):
        assert (process, number) == (7, 0)
        raise PermissionError

    monkeypatch.setattr(os, "kill", another_users)
    _mark(folder, 7)
    assert folder.died() is None
    for text in ("", "[]", '{"tile": 1}', '{"process": "a"}', '{"process":[]}'):
        path.write_text(text)
        assert folder.died() is None


def test_a_mark_that_cannot_be_written_is_none(tmp_path):
    (tmp_path / "file").write_text("mine")
    folder = _folder(tmp_path / "file")
    folder.mark({})
    folder.unmark()
    assert folder.died() is None


@pytest.mark.parametrize("suffix", ["running", "part"])
def test_leftovers_of_older_runs_are_found(tmp_path, suffix):
    job = {"b": 1, "a": 2}  # they digested it in this order
    key = hashlib.sha256(json.dumps(job).encode()).hexdigest()[:16]
    left = tmp_path / f".{key}.{suffix}"
    left.write_text(json.dumps({"tile": 64, "process": NO_PROCESS}))
    folder = _folder(tmp_path, job)
    assert suffix == "part" or folder.died()["tile"] == 64
    folder.unmark()
    assert not left.exists()


# The run


def test_a_checkpoint_that_fails_does_not_end_the_run(
    toy, tmp_path, painter, monkeypatch, caplog
):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    run = _start(toy, tmp_path, checkpoint_every="4")
    monkeypatch.setattr(np, "savez", full)
    assert run.read().index == 4
    words = f"checkpoint in {tmp_path} failed: [Errno 28] No space left"
    assert [words in text for text in caplog.messages] == [True] * 3


def test_a_run_is_marked_with_its_tiles_as_long_as_it_goes_on(
    toy, tmp_path, painter
):
    run = _start(toy, tmp_path, tile=96)
    steps = run.steps()
    next(steps)
    (mark,) = tmp_path.glob(".*.running")
    note = {"tile": 96, "process": os.getpid()}
    assert json.loads(mark.read_text()) == note
    with pytest.raises(ZeroDivisionError):
        steps.throw(ZeroDivisionError)
    assert not list(tmp_path.glob(".*"))


def test_a_second_run_of_a_job_is_refused(toy, tmp_path, painter):
    pytest.importorskip("fcntl", reason="Windows has no flock")
    late = _start(toy, tmp_path)
    steps = _start(toy, tmp_path).steps()
    next(steps)
    for rule in ("auto", "never"):
        with pytest.raises(BlockingIOError, match="another run of this job"):
            _start(toy, tmp_path, resume=rule)
    with pytest.raises(BlockingIOError, match="another run of this job"):
        late.read()  # it had been checked before the other began
    assert list(tmp_path.glob(".*.running"))
    _start(toy, tmp_path / "other").read()
    steps.close()
    _start(toy, tmp_path).read()
    assert not list(tmp_path.glob(".*"))


def _program(*flags):
    """Starts the program on the toy network in a process of its own."""
    child = ROOT / "tests" / "replica.py"
    return subprocess.Popen(
        [sys.executable, str(child), "program", "1", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_killed_at_ten_random_moments_it_ends_with_the_same_picture(
    folder, optimizer
):
    flags = ["--flagfile=toy.cfg", "--steps=400,300,300"]
    flags.append(f"--optimizer={optimizer}")
    saved = ["--checkpoint_dir=kept", "--checkpoint_every=1"]
    saved += ["--output=killed.png", "--overwrite"]

    whole = _program(*flags, "--output=whole.png")
    assert whole.communicate() and whole.returncode == 0
    rng = random.Random(optimizer)
    kills = 0
    while kills < 10:
        process = _program(*flags, *saved)
        for line in process.stdout:
            if line.startswith(b"memory"):
                break
        time.sleep(rng.uniform(0.5, 4.0))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
        if process.returncode == 0:
            assert _hash("killed.png") == _hash("whole.png")
            for path in Path("kept").iterdir():
                path.unlink()
        # The newest two, what the kill left of a third, and the note that a
        # run is under way.
        assert len(list(Path("kept").iterdir())) <= 4
    last = _program(*flags, *saved)
    out, _ = last.communicate()
    assert last.returncode == 0, out
    assert _hash("killed.png") == _hash("whole.png")


def _hash(path):
    """Of the pixels; the file says how long it took, too."""
    return hashlib.sha256(image_io.load_image(path).tobytes()).hexdigest()
