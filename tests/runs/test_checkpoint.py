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
import zipfile
from pathlib import Path

import numpy as np
import pretend
import pytest
import tensorflow as tf
import toys

import nst_tf
from nst_tf import locks
from nst_tf.images import image_io
from nst_tf.optimize import descent, state_file
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


def test_a_run_that_ends_anywhere_goes_on_to_the_same_bits(
    toy, tmp_path, monkeypatch
):
    monkeypatch.setattr(pyramid, "LARGE", 40)  # L-BFGS, and Adam above it
    chosen = {"steps": (3, 3, 2), "size": 64, "min_size": 32}
    whole = _start(toy, "", **chosen).execute()
    seen = []
    for count in (2, 2, 2, 99):  # of 3, 3 and 2: within, over, at a border
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
    _start(toy, tmp_path).execute()
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
        lambda self, state, notes: saved.append((state.level, state.steps)),
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
        runner.Run(plan, painter).execute()
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
        (
            {"style_weight": 200.0},
            "style_weight is 100.0, and this job's is 200",
        ),
        ({"size": 80}, "size is 96, and this job's is 80"),
        ({"optimizer": "lbfgs"}, "optimizer is auto, and this job's is lbfgs"),
        (
            {"steps": (7, 5, 4)},
            r"steps of levels is \[6, 5\], and this job's is",
        ),
        ({"seed": 1, "init": "noise"}, "seed is 0, and this job's is 1"),
        ({"init": "noise"}, "init image differs"),
        ({"steps": (6, 5, 3)}, "already has 3 steps at the last level, and"),
    ],
)
def test_another_job_is_refused_with_the_difference(
    toy, tmp_path, painter, change, words
):
    _start(toy, tmp_path).execute()
    with pytest.raises(ValueError, match=words):
        _start(toy, tmp_path, **change)
    fresh = _start(toy, tmp_path, resume="never", **change)
    assert fresh.state is None


def test_another_version_is_refused(toy, tmp_path, painter, monkeypatch):
    _start(toy, tmp_path).execute()
    monkeypatch.setattr(nst_tf, "__version__", "99")
    with pytest.raises(
        ValueError, match=r"its version is .*, and this job's is"
    ):
        _start(toy, tmp_path)


def test_require_needs_a_checkpoint(toy, tmp_path, painter):
    with pytest.raises(ValueError, match="there is no checkpoint in"):
        _start(toy, tmp_path / "none", resume="require")
    _start(toy, tmp_path).execute()
    assert _start(toy, tmp_path, resume="require").state.steps == 3


def test_without_a_folder_nothing_is_looked_for(toy, monkeypatch):
    monkeypatch.setattr(resume, "open_folder", lambda _: pytest.fail("looked"))
    plan = pretend.draft(toy)
    assert resume.find_checkpoint(plan, None) is None
    assert resume.adjust_tiles(plan, None) is plan
    assert resume.read_steps_taken(None, 2) == [0, 0]


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/none"])
@pytest.mark.parametrize("rule", ["auto", "never"])
def test_a_folder_that_cannot_be_written_to_is_said_at_once(
    toy, tmp_path, monkeypatch, painter, place, rule
):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("no folder")
    words = f"checkpoint_dir is {place}, but .* is not a writable folder"
    with pytest.raises(ValueError, match=words):
        _start(toy, place, resume=rule)


def test_what_is_no_part_of_a_job_is_none_of_its_identity(toy, monkeypatch):
    def identity(**chosen):
        return resume.make_identity(pretend.draft(toy, **chosen))

    same = identity()
    off = {"neighbors_weight", "neighbors_layers", "grain_weight"}
    off |= {"deterministic", "normalize_gradients", "carry_moments"}
    added = {"l2_weight": 1.0, "range_weight": 1.0, "scales": 2}
    off |= added.keys()
    assert set(settings.IDENTITY) - off < set(same)
    assert not off & set(same)
    mix = {"style_loss": "mix", "neighbors_layers": toys.CONTENT_LAYER}
    mix |= {"optimizer": "adam", "carry_moments": True, **added}
    with monkeypatch.context() as patched:
        patched.setattr(pyramid, "LARGE", 40)  # sizes above it have 2 scales
        patched.setattr(pyramid, "SHORTEST_SIDE", 16)
        on = identity(
            **mix,
            grain_weight=0.1,
            deterministic=True,
            normalize_gradients=True,
        )
    assert off < set(on)
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
        inputs = draft.inputs._replace(
            content=picture, styles=(picture,), others={"keep_mask": picture}
        )
        return resume.make_identity(dataclasses.replace(draft, inputs=inputs))

    picture = image_io.Picture(np.zeros((40, 60, 3), np.float32))
    turned = image_io.Picture(np.zeros((60, 40, 3), np.float32))
    seen = picture._replace(alpha=np.ones((40, 60), np.float32))
    hashes = [identity(each) for each in (picture, turned, seen)]
    for name in ("content image", "style images", "masks"):
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


def _save(folder, **changes):
    folder.save(STATE._replace(**changes), {"tiles": [64, "keep"]})


def _newest(folder):
    """The newest checkpoint, where no more than 1,000,000 steps are taken."""

    def expect(level, steps):
        if steps > 1_000_000:
            raise state_file.DamageError("it has taken too many steps")
        return {"image": ((6,), "f"), "step": ((), "i")}, {"more": ((2,), "f")}

    return folder.newest(expect)


def _steps(folder):
    """How far the newest checkpoint came; None: there is none."""
    saved = _newest(folder)
    return saved and saved.state.steps


def test_a_folder_keeps_the_newest_two_of_a_job(tmp_path):
    _save(_folder(tmp_path, {"job": "other"}))
    (tmp_path / "notes.checkpoint.npz").write_text("mine")
    for steps in range(1, 5):
        _save(_folder(tmp_path), steps=steps)
    names = sorted(path.name[:6] for path in tmp_path.iterdir())
    assert names == ["000001", "000004", "000005", "notes."]
    found, notes = _newest(_folder(tmp_path))
    assert (found.level, found.steps) == (1, 4)
    assert notes == {"tiles": [64, "keep"]}
    np.testing.assert_array_equal(found.arrays["image"], np.arange(6.0))
    assert found.arrays["step"].dtype == np.int64
    assert _newest(_folder(tmp_path / "none")) is None


def test_the_newest_is_that_of_the_highest_number(tmp_path):
    for number in (99, 100, 1_000_000, 999_999):
        _save(_folder(tmp_path), steps=number)
        newest = max(tmp_path.glob("*.npz"), key=lambda p: p.stat().st_mtime_ns)
        newest.rename(tmp_path / f"{number}.checkpoint.npz")
    assert _steps(_folder(tmp_path)) == 1_000_000


def _change(**changes):
    """Damages what is in a file, by functions of it, and keeps its format.

    Whoever changes a file so cannot have a digest; older ones have none.
    """

    def damage(path):
        with np.load(path) as file:
            arrays = dict(file)
        head = json.loads(str(arrays.pop("head")))
        del head["digest"]
        for name, value in changes.items():
            owner = arrays if name in arrays else head
            if value is None:
                del owner[name]
            else:
                owner[name] = value
        text = changes.get("head") or json.dumps(head)
        np.savez(path, head=np.array(text), **arrays)

    return damage


def _hide(path):
    """Flips a bit of a name in the directory of a file."""
    data = bytearray(path.read_bytes())
    data[data.rindex(b"step.npy")] ^= 1
    path.write_bytes(data)


def _deflate(path):
    """Makes a file of a few kilobytes that has gigabytes."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("more.npy", bytes(2**24))


def _enlarge(path):
    """Makes an array claim more than there is in the file."""
    data = path.read_bytes()
    path.write_bytes(data.replace(b"'shape': (6,)", b"'shape': (9**9,)"))


def _claim(path):
    """Makes an array claim a shape that is no number."""
    data = path.read_bytes()
    path.write_bytes(data.replace(b"'shape': (6,)", b"'shape':(True,True)"))


NO_CHARACTER = np.array([0x110000], "<u4").view("<U1")


DAMAGE = {
    "cut": (lambda p: p.write_bytes(p.read_bytes()[:-40]), "it is incomplete"),
    "empty": (lambda p: p.write_bytes(b""), "it is incomplete"),
    "value": (
        lambda p: p.write_bytes(
            p.read_bytes().replace(b"\0\0\xf0?", b"\0\0\xf0@")
        ),
        "it is incomplete",
    ),
    "hidden": (_hide, "it has no array 'step'"),
    "deflated": (_deflate, "it is incomplete"),
    "enlarged": (_enlarge, "it is incomplete"),
    "no array": (_change(image=None), "it has no array 'image'"),
    "shape": (_change(image=np.zeros(7)), "array 'image' has another sh"),
    "kind": (_change(image=np.zeros(6, int)), "array 'image' has another"),
    "text": (_change(image=np.array(["a"] * 6)), "array 'image' has anot"),
    "nan": (_change(image=np.full(6, np.nan)), "'image' has NaN or"),
    "infinite": (_change(image=np.full(6, np.inf)), "'image' has NaN or"),
    "negative": (_change(step=np.int64(-1)), "'step' has negative numbers"),
    "steps nan": (_change(step=np.float64("nan")), "'step' has another"),
    "level": (_change(level=-5), "its level is not a number of at least 0"),
    "text as level": (
        _change(level="1"),
        "its level is not a number of at least 0",
    ),
    "no level": (
        _change(level=None),
        "its level is not a number of at least 0",
    ),
    "no steps": (_change(steps=0), "its steps is not a number of at least 1"),
    "nan as steps": (_change(steps=float("nan")), "its steps is not a number"),
    "true": (_change(steps=True), "its steps is not a number of at least 1"),
    "too many": (_change(steps=10**30), "it has taken too many steps"),
    "identity": (_change(identity=["job"]), "its identity is not an object"),
    "notes": (_change(notes="a"), "its notes is not an object"),
    "no json": (_change(head="{"), "it is incomplete"),
    "not an object": (_change(head="[]"), "its head is not an object"),
    "deep": (_change(head="[" * 99999), "it is incomplete"),
    "no shape": (_claim, "it is incomplete"),
    "no character": (
        lambda p: np.savez(p, head=NO_CHARACTER.reshape(())),
        "it is incomplete",
    ),
    "no text": (lambda p: np.savez(p, head=np.zeros(1)), "it is incomplete"),
    "no head": (
        lambda p: np.savez(p, image=np.zeros(6), step=1),
        "it is incomplete",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path, caplog, name
):
    damage, words = DAMAGE[name]
    folder = _folder(tmp_path)
    for steps in (1, 2):
        _save(folder, steps=steps)
    newest = max(tmp_path.iterdir())
    whole = newest.read_bytes()
    assert state_file.is_whole(newest)
    damage(newest)
    assert newest.read_bytes() != whole
    assert _steps(folder) == 1
    state_file.is_whole(newest)  # raises nothing
    assert not folder.is_empty()
    start = f"checkpoint {newest} is skipped, and an older one is tried: "
    (message,) = caplog.messages
    assert message.startswith(start) and words in message


def test_older_checkpoints_have_no_digest(tmp_path):
    _save(_folder(tmp_path))
    _change()(max(tmp_path.iterdir()))
    assert _steps(_folder(tmp_path)) == 7


def test_an_array_that_nobody_wrote_is_damage(tmp_path):
    folder = _folder(tmp_path)
    _save(folder, arrays={**STATE.arrays, "more": np.ones(2)})
    assert _newest(folder).state.arrays["more"].tolist() == [1, 1]
    path = max(tmp_path.iterdir())
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("other.npy", b"")
    assert not state_file.is_whole(path)
    assert _newest(folder) is None


def test_what_is_no_file_is_no_checkpoint(tmp_path):
    _save(_folder(tmp_path))
    os.mkfifo(tmp_path / "000002.checkpoint.npz")  # to open it would wait
    (tmp_path / "000003.checkpoint.npz").mkdir()
    assert _steps(_folder(tmp_path)) == 7


def _fill_disk(monkeypatch, room):
    """Gives a folder room for so many checkpoints."""
    write = state_file.write

    def write_or_fail(file, head, arrays):
        write(file, head, arrays)
        if len(list(Path(file.name).parent.glob("0*.npz"))) >= room:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_file, "write", write_or_fail)


@pytest.mark.parametrize("room", [1, 2])
def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch, room):
    folder = _folder(tmp_path)
    _save(folder, steps=1)
    if room == 2:
        _save(folder, steps=2)
        path = max(tmp_path.iterdir())
        path.write_bytes(path.read_bytes()[:-9])  # the older one is needed
    _fill_disk(monkeypatch, room)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match="No space left"):
        _save(folder, steps=3)
    assert sorted(tmp_path.iterdir()) == before
    assert _steps(folder) == 1


def test_a_disk_with_room_for_two_takes_a_third(tmp_path, monkeypatch):
    folder = _folder(tmp_path)
    _fill_disk(monkeypatch, 2)
    for steps in (1, 2, 3, 4):
        _save(folder, steps=steps)
        assert _steps(folder) == steps
    names = sorted(path.name[:6] for path in tmp_path.iterdir())
    assert names == ["000003", "000004"]


@pytest.mark.parametrize(
    "ours", [{"a": 1, "b": "sha256:0"}, {"a": 2, "b": "sha256:1"}, {"c": 1}]
)
def test_another_jobs_checkpoint_is_said_with_the_difference(tmp_path, ours):
    _save(_folder(tmp_path, {"a": 1, "b": "sha256:1"}))
    words = {
        "sha256:0": "the digest of its b differs",
        "sha256:1": "its a is 1, and this job's is 2",
        None: "its c is None, and this job's is 1",
    }[ours.get("b")]
    with pytest.raises(ValueError, match=f"another job: {words}. Choose "):
        _newest(_folder(tmp_path, ours))


def test_a_setting_that_only_the_checkpoint_has_is_a_difference(tmp_path):
    _save(_folder(tmp_path, {"a": 1, "grain": 0.1}))
    with pytest.raises(
        ValueError, match="its grain is 0.1, and this job's is No"
    ):
        _newest(_folder(tmp_path, {"a": 1}))
    _save(_folder(tmp_path, {"a": 1, "grain": "x" * 999}))
    with pytest.raises(ValueError, match="its grain is x{60}[.]{3}, and this"):
        _newest(_folder(tmp_path, {"a": 1}))


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
        rf"checkpoints in {tmp_path}; wait until it ends, or choose another"
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
    words = rf"another run of this job \(process {os.getppid()}\)"
    for refused in (folder.check_free, lambda: folder.mark({"tile": 16})):
        with pytest.raises(BlockingIOError, match=words):
            refused()
    assert json.loads(path.read_text())["tile"] == 64
    for process in (os.getpid(), 0, -1, NO_PROCESS):
        _mark(folder, process)
        assert folder.died()["tile"] == 64
        folder.check_free()

    _mark(folder, 10**30)
    assert folder.died()["tile"] == 64  # there is no such process

    def another_users(process, number):
        assert (process, number) == (7, 0)
        raise PermissionError

    monkeypatch.setattr(os, "kill", another_users)
    _mark(folder, 7)
    assert folder.died() is None
    texts = ["", "[]", '{"tile": 1}', '{"process": "a"}', '{"process": []}']
    texts += ["[" * 99999, '{"process": 1e400}', '{"process": true}', "NaN"]
    for text in texts:
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
    monkeypatch.setattr(state_file, "write", full)
    assert run.execute().index == 4
    words = f"checkpoint in {tmp_path} failed: [Errno 28] No space left"
    assert [words in text for text in caplog.messages] == [True] * 3


def test_a_run_is_marked_with_its_tiles_as_long_as_it_goes_on(
    toy, tmp_path, painter
):
    run = _start(toy, tmp_path, tile=96)
    steps = run.steps()
    next(steps)
    (mark,) = tmp_path.glob(".*.running")
    note = {"tile": 96, "process": os.getpid(), "start": None, "deaths": 0}
    assert note.items() <= json.loads(mark.read_text()).items()
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
        late.execute()  # it had been checked before the other began
    assert list(tmp_path.glob(".*.running"))
    _start(toy, tmp_path / "other").execute()
    steps.close()
    _start(toy, tmp_path).execute()
    assert not list(tmp_path.glob(".*"))


def _program(*flags):
    """Starts the program on the toy network in a process of its own."""
    child = ROOT / "tests" / "replica.py"
    return subprocess.Popen(
        [sys.executable, str(child), "program", "1", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_killed_at_random_moments_it_ends_with_the_same_picture(
    folder, optimizer
):
    flags = ["--flagfile=toy.cfg", "--steps=300,200,200"]
    flags.append(f"--optimizer={optimizer}")
    saved = ["--checkpoint_dir=kept", "--checkpoint_every=1"]
    saved += ["--output=killed.png", "--overwrite"]

    whole = _program(*flags, "--output=whole.png")
    assert whole.communicate() and whole.returncode == 0
    rng = random.Random(optimizer)
    kills = 0
    while kills < 4:
        process = _program(*flags, *saved)
        for line in process.stdout:
            if b" GB" in line:
                break
        time.sleep(rng.uniform(0.3, 3.0))
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
