"""Checkpoints: killed runs go on to the same bits; files whole or not there."""

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
import pytest
import tensorflow as tf
import toys

import nst_tf
from nst_tf.cli import main
from nst_tf.images import image_io
from nst_tf.optimize import descent
from nst_tf.plan import checks, inputs, pyramid, settings
from nst_tf.runs import api, checkpoint

ROOT = Path(nst_tf.__file__).parent.parent
STATE = descent.State(1, 7, {"image": np.arange(6.0), "step": np.int64(7)})


def _request(toy, folder, **chosen):
    return settings.Job(
        **{
            "size": 64,
            "steps": (6, 5, 4),
            "min_size": 32,
            "growth": 2**0.5,
            "extractor": "toy",
            "weights": str(toy),
            "precision": "float32",
            "content_layers": toys.CONTENT_LAYER,
            "style_layers": ",".join(toys.STYLE_LAYERS),
            "checkpoint_dir": str(folder),
            "checkpoint_every": "1",
            **chosen,
        }
    )


def _prepared(request):
    return inputs.prepare(
        request, toys.picture(48, 64, 0), [toys.picture(40, 60, 1)]
    )


def _steps(request):
    prepared = _prepared(request)
    start = api.resume.find_checkpoint(request, prepared)
    return api.run_steps(request, prepared, start)


@pytest.mark.parametrize("optimizer", ["auto", "adam", "lbfgs"])
def test_a_run_that_ends_anywhere_goes_on_to_the_same_bits(
    toy, tmp_path, monkeypatch, optimizer
):
    monkeypatch.setattr(pyramid, "LARGE", 40)  # auto is both then
    whole = list(_steps(_request(toy, "", optimizer=optimizer)))[
        -1
    ].image.numpy()
    request = _request(toy, tmp_path, optimizer=optimizer)
    seen = []
    for taken in (4, 3, 4, 3, 99):  # of 6, 5 and 4, over every border
        steps = _steps(request)
        for step in itertools.islice(steps, taken):
            seen.append((step.level, step.index))
        steps.close()  # saves the last of them
    assert len(seen) == 6 + 5 + 4
    assert {level for level, _ in seen} == {0, 1, 2}
    assert (step.level, step.index) == (2, 4)
    np.testing.assert_array_equal(step.image.numpy(), whole)


def test_a_resumed_level_for_which_there_is_no_time_is_gone_on_from(
    toy, tmp_path
):
    request = _request(toy, tmp_path)
    steps = _steps(request)
    *_, last = itertools.islice(steps, 8)  # into the second level
    steps.close()
    image = last.image.numpy()
    hurried = list(_steps(_request(toy, tmp_path, max_seconds=1e-3)))
    assert [(step.level, step.index) for step in hurried] == [(1, 3), (2, 1)]
    expected = tf.image.resize(image, hurried[-1].image.shape[1:3], "lanczos3")
    assert np.abs(hurried[-1].image - expected).mean() < 10 / 255


def test_a_level_at_rest_ends_at_the_same_step_when_resumed(toy, tmp_path):
    # The first two pictures that are compared are those of steps 10 and 20.
    chosen = {"steps": (40,), "levels": 1, "tolerance": 0.5}
    whole = list(_steps(_request(toy, "", **chosen)))
    assert whole[-1].index == 20
    for taken in (15, 10):
        folder = tmp_path / str(taken)
        steps = _steps(_request(toy, folder, **chosen))
        list(itertools.islice(steps, taken))
        steps.close()
        again = list(_steps(_request(toy, folder, **chosen)))
        assert again[-1].index == 20
        np.testing.assert_array_equal(again[-1].image, whole[-1].image)


def test_a_checkpoint_without_what_it_should_hold_is_damaged(toy, tmp_path):
    np.savez(tmp_path / "000099.checkpoint.npz", head=np.array("{}"))
    assert next(_steps(_request(toy, tmp_path))).index == 1


def test_a_checkpoint_of_another_version_is_refused(toy, tmp_path, monkeypatch):
    steps = _steps(_request(toy, tmp_path))
    next(steps)
    steps.close()
    monkeypatch.setattr(nst_tf, "__version__", "99")
    with pytest.raises(ValueError, match=r"its version is .*, and here it is"):
        _steps(_request(toy, tmp_path))


def test_more_steps_at_the_last_level_are_the_same_job(toy, tmp_path):
    list(_steps(_request(toy, tmp_path)))
    more = list(_steps(_request(toy, tmp_path, steps=(6, 5, 9))))
    assert [step.index for step in more] == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"style_weight": 200.0}, "style_weight is 100.0, and here it is 200"),
        ({"size": 80}, "size is 64, and here it is 80"),
        ({"optimizer": "lbfgs"}, "optimizer is auto, and here it is lbfgs"),
        ({"steps": (7, 5, 4)}, r"steps of levels is \[6, 5\], and here it is"),
        ({"seed": 1, "init": "noise"}, "seed is 0, and here it is 1"),
        ({"init": "noise"}, "init image is another"),
        ({"steps": (6, 5, 3)}, "taken 3 steps at the last level, and steps"),
    ],
)
def test_another_job_is_refused_with_the_difference(
    toy, tmp_path, change, words
):
    list(_steps(_request(toy, tmp_path)))
    with pytest.raises(ValueError, match=words):
        _steps(_request(toy, tmp_path, **change))
    fresh = next(_steps(_request(toy, tmp_path, resume="never", **change)))
    assert (fresh.level, fresh.index) == (0, 1)


def test_other_outputs_previews_and_names_are_the_same_job(toy, tmp_path):
    list(_steps(_request(toy, tmp_path)))
    same = _request(
        toy,
        tmp_path,
        output="other.png",
        preview_every=3,
        checkpoint_every="5s",
        resume="require",
    )
    assert next(_steps(same)).index == 4


def test_require_needs_a_checkpoint(toy, tmp_path):
    with pytest.raises(ValueError, match="there is no checkpoint in"):
        _steps(_request(toy, tmp_path / "none", resume="require"))
    with pytest.raises(ValueError, match="there is no folder of checkpoints"):
        _steps(_request(toy, "", resume="require"))


@pytest.mark.parametrize(
    "text", ["", "s", "0", "-1", "0s", "nans", "1m", "1.5"]
)
def test_a_wrong_interval_is_said(toy, text):
    with pytest.raises(
        ValueError, match="checkpoint_every is .*expected steps"
    ):
        checks.check(_request(toy, "", checkpoint_every=text))


def test_an_interval_is_in_steps_or_seconds():
    assert settings.parse_interval("50").is_over(50, 0)
    assert not settings.parse_interval("50").is_over(49, 1e9)
    assert settings.parse_interval("0.5s").is_over(1, 0.5)
    assert not settings.parse_interval("0.5s").is_over(10**6, 0.4)


# Files


def test_a_folder_keeps_the_newest_two_of_a_job(tmp_path):
    other = checkpoint.CheckpointFolder(tmp_path, {"job": "other"})
    other.save(STATE)
    for steps in range(1, 5):
        checkpoint.CheckpointFolder(tmp_path, {"job": 1}).save(
            STATE._replace(steps=steps)
        )
    names = sorted(path.name[:6] for path in tmp_path.iterdir())
    assert names == ["000001", "000004", "000005"]
    found = checkpoint.CheckpointFolder(tmp_path, {"job": 1}).newest()
    assert (found.level, found.steps) == (1, 4)
    np.testing.assert_array_equal(found.arrays["image"], np.arange(6.0))
    assert found.arrays["step"].dtype == np.int64


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
    folder = checkpoint.CheckpointFolder(tmp_path, {"job": 1})
    for steps in (1, 2):
        folder.save(STATE._replace(steps=steps))
    newest = max(tmp_path.iterdir())
    whole = newest.read_bytes()
    damage(newest)
    assert newest.read_bytes() != whole
    assert folder.newest().steps == 1


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    folder = checkpoint.CheckpointFolder(tmp_path, {"job": 1})
    folder.save(STATE)

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        folder.save(STATE)
    assert [path.name[:6] for path in tmp_path.iterdir()] == ["000001"]


def test_the_order_of_settings_is_no_part_of_a_job(tmp_path):
    job, reordered = {"b": 1, "a": {"d": 2, "c": 3}}, {"a": {"c": 3, "d": 2}}
    reordered["b"] = 1
    checkpoint.CheckpointFolder(tmp_path, job).mark({"tile": 64})
    (mark,) = tmp_path.iterdir()
    mark.write_text(json.dumps({"tile": 64, "process": 2**22 + 1}))  # no such
    assert checkpoint.CheckpointFolder(tmp_path, reordered).died()["tile"] == 64
    checkpoint.CheckpointFolder(tmp_path, reordered).unmark()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["running", "part"])
def test_leftovers_of_older_runs_are_found(tmp_path, suffix):
    job = {"b": 1, "a": 2}  # they digested it in this order
    key = hashlib.sha256(json.dumps(job).encode()).hexdigest()[:16]
    left = tmp_path / f".{key}.{suffix}"
    left.write_text(json.dumps({"tile": 64, "process": 2**22 + 1}))
    folder = checkpoint.CheckpointFolder(tmp_path, job)
    assert suffix == "part" or folder.died()["tile"] == 64
    folder.unmark()
    assert not left.exists()


# The program


@pytest.fixture
def flags(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toys.write_flag_file(toy)
    return ["--flagfile=toy.cfg", "--checkpoint_dir=kept"]


def test_a_checkpoint_that_fails_does_not_end_the_run(
    flags, monkeypatch, capsys
):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert main.main([*flags, "--checkpoint_every=4"]) == 0
    out = capsys.readouterr().out
    assert out.count("checkpoint in kept failed") == 2
    assert image_io.load_image("town-paint.png").shape == (72, 96, 3)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/none"])
def test_a_folder_that_cannot_be_written_to_is_said_at_once(
    flags, capsys, place
):
    Path("file").write_text("no folder")
    assert main.main([*flags, f"--checkpoint_dir={place}"]) == 1
    error = capsys.readouterr().err
    assert f"checkpoint_dir is {place}, but " in error
    assert "is no folder that can be written to" in error


def test_the_program_says_where_it_goes_on(flags, capsys):
    assert main.main([*flags, "--checkpoint_every=4"]) == 0
    assert "resume" not in capsys.readouterr().out
    assert main.main([*flags, "--checkpoint_every=4"]) == 0
    assert "resume    level 3, step 3" in capsys.readouterr().out
    np.testing.assert_array_equal(
        image_io.load_image("town-paint.png"),
        image_io.load_image("town-paint-2.png"),
    )
    assert main.main([*flags, "--style_weight=7"]) == 1
    assert "of another job: its style_weight is" in capsys.readouterr().err


# The toy network is not known to a fresh process: it is added first.
PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import tensorflow as tf
import toys
from nst_tf import run
from nst_tf.network import architectures
architectures.NETWORKS["toy"] = toys.ARCHITECTURE
sys.exit(run.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_killed_at_ten_random_moments_it_ends_with_the_same_picture(
    flags, optimizer
):
    program = PROGRAM.format(tests=str(ROOT / "tests"))
    chosen = ["--steps=400,300,300", f"--optimizer={optimizer}"]

    def start(*more):
        return subprocess.Popen(
            [sys.executable, "-c", program, *flags, *chosen, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    whole = start("--checkpoint_dir=", "--output=whole.png")
    assert whole.communicate() and whole.returncode == 0
    rng = random.Random(optimizer)
    kills = ends = 0
    while kills < 10:
        process = start(
            "--checkpoint_every=1", "--output=killed.png", "--overwrite"
        )
        for line in process.stdout:
            if line.startswith(b"memory"):
                break
        time.sleep(rng.uniform(0.5, 4.0))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
        if process.returncode == 0:
            ends += 1
            assert _hash("killed.png") == _hash("whole.png")
            for path in Path("kept").iterdir():
                path.unlink()
        # The newest two, what the kill left of a third, and the note that a
        # run is under way.
        assert len(list(Path("kept").iterdir())) <= 4
    last = start("--checkpoint_every=1", "--output=killed.png", "--overwrite")
    out, _ = last.communicate()
    assert last.returncode == 0, out
    assert _hash("killed.png") == _hash("whole.png")


def _hash(path):
    """Of the pixels; the file says how long it took, too."""
    return hashlib.sha256(image_io.load_image(path).tobytes()).hexdigest()
