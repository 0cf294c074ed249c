"""The program: flag file -> PNG on the toy network; signals; exit status."""

import dataclasses
import errno
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import children
import numpy as np
import pretend
import pytest
import tensorflow as tf
import toys
from PIL import Image

import nst_tf
from nst_tf import run, terminal, urls
from nst_tf.backend import device, replicas
from nst_tf.cli import console, flags, main
from nst_tf.images import image_io
from nst_tf.losses import objectives
from nst_tf.optimize import state_file
from nst_tf.plan import tile_size
from nst_tf.runs import api, description, records, results, runner

ROOT = Path(nst_tf.__file__).parent.parent


@pytest.fixture
def flag_file(folder):
    """A flag file for the toy network, in the working directory."""
    return "--flagfile=toy.cfg"


def _signal_at(painter, count, number=signal.SIGTERM):
    painter.events[count] = lambda step: signal.raise_signal(number)


# Pictures


def test_a_flag_file_becomes_a_picture(flag_file, painter, capsys):
    assert main.main([flag_file]) == 0
    assert Image.open("town-paint.png").size == (96, 72)
    out, err = capsys.readouterr()
    assert out == "town-paint.png\n"
    lines = err.splitlines()
    names = "town.png in the style of paint.png"
    assert lines[0] == f"{names} -> town-paint.png, 96 x 72"
    assert re.match(r"CPU, \d+ cores, float32; toy \(.*\); about", lines[1])
    ends = ["48 x 32 (1 of 3)", "64 x 48 (2 of 3)", "96 x 72 (3 of 3)"]
    for line, end in zip(lines[2:-1], ends, strict=True):
        assert f"%  {end}, step 3/3, loss 7, about" in line
    saved = r"saved town-paint\.png \(96 x 72\) in \d+ s"
    assert re.fullmatch(saved, lines[-1])
    assert "\r" not in err  # plain lines without a terminal


def test_the_plan_and_the_losses_are_printed_if_asked(
    flag_file, painter, capsys
):
    assert main.main([flag_file, "--verbose"]) == 0
    lines = capsys.readouterr().err.splitlines()
    names = ["picture", "device", "network", "levels", "memory"]
    assert [line[:10].strip() for line in lines[:5]] == names
    enlarged = "96 x 72, enlarged from 80 x 60"
    assert lines[0] == f"picture   town-paint.png, {enlarged}"
    assert lines[1].startswith("device    the CPU, ")
    assert lines[-4:-1] == [
        "final losses, unweighted:",
        "  content/a  2",
        "  style/b    3",
    ]


def test_the_picture_is_the_golden_one(flag_file):
    # tests/goldens/README.md says how it was made, and how to renew it. Runs
    # on other machines differ in rounding, which Adam amplifies.
    assert main.main([flag_file, *toys.GOLDEN_FLAGS, "--output=a.png"]) == 0
    path = ROOT / "tests" / "goldens" / "toy.png"
    if os.environ.get("NST_TF_RENEW_GOLDENS"):
        shutil.copy("a.png", path)
        pytest.skip("the golden picture was renewed")
    golden = image_io.load_image(path)
    difference = np.abs(image_io.load_image("a.png") - golden)
    assert difference.mean() < 1 / 255
    assert difference.max() < 20 / 255


def test_the_real_network_paints(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NST_TF_WEIGHTS", "elsewhere.h5")
    typed = ["--size=96", "--levels=1", "--steps=3"]
    assert main.main(["--flagfile=starry", *typed]) == 0
    err = capsys.readouterr().err
    assert "; vgg19 (bundled); about " in err
    assert (
        err.count("note      NST_TF_WEIGHTS is set, but nst_tf ignores it now")
        == 1
    )
    picture = image_io.load_image("harbor_at_dusk-swirling_night.png")
    assert picture.shape == (72, 96, 3)


def test_a_dry_run_prints_the_plan_and_its_time_only(
    flag_file, monkeypatch, capsys
):
    monkeypatch.setattr(runner, "estimate_seconds", lambda plan: 70.0)
    monkeypatch.setattr(
        runner.Run, "execute", lambda *_: pytest.fail("painted")
    )
    assert main.main([flag_file, "--dry_run", "--log=run.jsonl"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("time      about 70 s, estimated")
    assert not Path("town-paint.png").exists()
    assert not Path("run.jsonl").exists()


@pytest.mark.parametrize("more", [[], ["--sheet"]])
def test_a_dry_run_downloads_nothing(
    flag_file, painter, monkeypatch, capsys, more
):
    def ask(url, **limits):
        raise AssertionError(f"{url} is asked")

    monkeypatch.setattr(urls, "download", ask)
    chosen = [flag_file, "--dry_run", *more]
    assert main.main([*chosen, "--content=http://host/a.png"]) == 1
    assert "http://host/a.png is not in the cache" in capsys.readouterr().err
    chosen += ["--extractor=vgg16", "--weights=auto"]
    chosen += ["--content_layers=block2_conv1", "--style_layers=block1_conv1"]
    chosen += [] if more else ["--checkpoint_dir=made"]
    assert main.main(chosen) == 0
    out, err = capsys.readouterr()
    assert "network   vgg16, not downloaded yet, 59 MB" in out
    assert "weights of vgg16 are missing: a run downloads 59 MB" in err
    assert not Path("made").exists()


@pytest.mark.parametrize("more", [[], ["--sweep=seed:1,2"]])
def test_notes_are_printed_once_on_standard_error(
    flag_file, painter, monkeypatch, capsys, more
):
    monkeypatch.setattr(device, "emulates_bfloat16", lambda: True)
    typed = ["--precision=bfloat16", "--size=64", *more]
    assert main.main([flag_file, *typed]) == 0
    out, err = capsys.readouterr()
    assert err.count("warning   bfloat16 is emulated on this CPU") == 1
    assert err.count("emulated") == out.count("\n") == 1
    assert main.main([flag_file, *typed, "--quiet"]) == 0
    words = "warning   bfloat16 is emulated on this CPU"
    assert capsys.readouterr().err.startswith(words)


def test_what_devices_do_is_said(flag_file, painter, monkeypatch, capsys):
    start = runner.start_run

    def start_on_two(*arguments, **options):
        run = start(*arguments, **options)
        tiling = run.plan.tiling._replace(devices=4)
        run.plan = dataclasses.replace(run.plan, tiling=tiling)
        return run

    monkeypatch.setattr(runner, "start_run", start_on_two)
    for workers, tiles, words in (
        (1, "", "4 devices, float32"),
        (2, "4 tiles", "4 devices of 2 processes, float32"),
    ):
        monkeypatch.setattr(
            tile_size, "describe_tiles", lambda *_, tiles=tiles: tiles
        )
        monkeypatch.setattr(main.replicas, "count_workers", lambda n=workers: n)
        monkeypatch.setattr(main.replicas, "is_writer", lambda: True)
        monkeypatch.setattr(runner.Run, "_agreed", lambda self, stop: stop)
        monkeypatch.setattr(main.replicas, "make_strategy", lambda _: None)
        assert main.main([flag_file, "--overwrite", "--output=a.png"]) == 0
        err = capsys.readouterr().err
        assert words in err
        assert ("using one device: with tiles" in err) == (not tiles)


def test_of_several_processes_the_first_writes(
    flag_file, painter, monkeypatch, capsys
):
    monkeypatch.setattr(replicas, "is_writer", lambda: False)
    before = set(os.listdir())
    typed = ["--log=run.jsonl", "--preview_every=4", "--timelapse=a.gif"]
    assert main.main([flag_file, *typed]) == 0
    words = "note      one of 1 processes; the first one writes the picture\n"
    assert capsys.readouterr() == ("", words)
    assert main.main([flag_file, "--dry_run"]) == 0
    assert capsys.readouterr() == ("", "")
    assert set(os.listdir()) == before and len(painter.plans) == 1


def test_the_program_says_where_it_goes_on(flag_file, painter, capsys):
    kept = ["--checkpoint_dir=kept", "--checkpoint_every=4"]
    assert main.main([flag_file, *kept]) == 0
    assert "resuming" not in capsys.readouterr().err
    assert main.main([flag_file, *kept]) == 0
    assert "note      resuming at level 3, step 3\n" in capsys.readouterr().err
    np.testing.assert_array_equal(
        image_io.load_image("town-paint.png"),
        image_io.load_image("town-paint-2.png"),
    )
    assert main.main([flag_file, *kept, "--style_weight=7"]) == 1
    assert "another job: its style_weight is" in capsys.readouterr().err


def test_previews_are_written(flag_file, painter, monkeypatch):
    saved, preview = [], main._preview
    monkeypatch.setattr(
        main, "_preview", lambda *rest: saved.append(1) or preview(*rest)
    )
    _signal_at(painter, 5)
    typed = [flag_file, "--preview_every=2", "--checkpoint_dir=kept"]
    assert main.main(typed) == 143
    # Steps are counted from where a run goes on.
    assert Image.open("town-paint.preview.png").size == (64, 48)
    painter.events.clear()
    before = len(saved)
    assert main.main([*typed, "--preview_every=3", "--output=b.png"]) == 0
    assert Image.open("b.preview.png").size == (96, 72)
    assert len(saved) - before == 1


def test_a_preview_that_fails_does_not_end_the_run(
    flag_file, painter, capsys, monkeypatch
):
    write = image_io.write_image

    def fail(path, *rest):
        if "preview" in path.name:
            raise OSError("No space left on device")
        write(path, *rest)

    monkeypatch.setattr(image_io, "write_image", fail)
    assert main.main([flag_file, "--preview_every=4"]) == 0
    words = "warning   preview town-paint.preview.png failed: No space"
    assert capsys.readouterr().err.count(words) == 2


@pytest.mark.parametrize(
    ("flag", "steps"),
    [("--max_seconds=0.001", [0, 0, 1]), ("--tolerance=0.9", [20, 20, 20])],
)
def test_a_run_may_end_before_its_steps(flag_file, painter, flag, steps):
    assert main.main([flag_file, "--steps=1000", flag]) == 0
    record = records.read_record("town-paint.png")
    assert record["decided"]["steps"] == steps
    assert record["state"] == "done"


# Statuses


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no content image"),
        (["--sise=3"], "unknown flag --sise; did you mean '--size'"),
        (
            ["toy.cfg"],
            "toy.cfg is not a picture; did you mean --flagfile=toy.c",
        ),
        (["--flagfile=toy.cfg", "--weights=toy.cfg"], "is not an HDF5 file"),
        (["--flagfile=toy.cfg", "--content=toy.cfg"], "is not an image"),
        (["--flagfile=toy.cfg", "--output=none/a.png"], "does not exist"),
        (["--flagfile=toy.cfg", "--log=none/a"], "log none/a cannot be writ"),
        (["--flagfile=toy.cfg", "--log=pipe"], "not a regular file"),
        (["--flagfile=toy.cfg", "--devices=99"], "devices is 99, but TensorF"),
    ],
)
def test_wrong_input_ends_with_status_1_before_any_work(
    flag_file, capsys, monkeypatch, arguments, words
):
    os.mkfifo("pipe")
    monkeypatch.setattr(main, "_paint", lambda *_: pytest.fail("work began"))
    assert main.main(arguments) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("words", ["", "not enough for the smallest tiles"])
def test_too_little_memory_ends_before_any_work(
    flag_file, capsys, monkeypatch, words
):
    def fail(*_, **__):
        raise MemoryError(words)

    monkeypatch.setattr(runner, "start_run", fail)
    assert main.main([flag_file]) == console.OUT_OF_MEMORY
    assert (words or "out of memory; reduce --s") in capsys.readouterr().err


def test_a_bug_after_the_checks_is_raised(flag_file, painter, monkeypatch):
    def fail(*_):
        raise ValueError("a bug")

    monkeypatch.setattr(main, "_announce", fail)
    with pytest.raises(ValueError, match="a bug"):
        main.main([flag_file])


ENDS = [
    (tf.errors.ResourceExhaustedError(None, None, "OOM"), 3, "out of memory"),
    (RuntimeError("a bug"), 4, "the run failed: a bug"),
    (FloatingPointError("no numbers"), 4, "run failed: no numbers"),
]


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize(("error", "status", "words"), ENDS)
def test_an_error_in_a_step_leaves_the_picture_so_far(
    flag_file, painter, capsys, error, status, words, count
):
    def fail(step):
        raise error

    painter.events[count] = fail
    before = set(os.listdir())
    assert main.main([flag_file]) == status
    out, err = capsys.readouterr()
    assert words in err
    assert out == ("town-paint.png\n" if count > 1 else "")
    assert ("Traceback" in err) == isinstance(error, RuntimeError)
    if count == 1:
        assert set(os.listdir()) == before
        return
    assert "stopped at 64 x 48; enlarged the picture to 96 x 72" in err
    assert "saved town-paint.png (96 x 72, unfinished) in" in err
    assert set(os.listdir()) - before == {"town-paint.png"}
    assert Image.open("town-paint.png").size == (96, 72)


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_a_signal_ends_the_run_with_the_picture_saved(
    flag_file, painter, capsys, number, status
):
    _signal_at(painter, 5, number)
    before = signal.getsignal(number)
    assert main.main([flag_file]) == status
    assert signal.getsignal(number) is before
    # Stopped in the second level; the picture has the size asked for.
    assert Image.open("town-paint.png").size == (96, 72)
    out, err = capsys.readouterr()
    assert out == "town-paint.png\n" and "picture to 96 x 72" in err
    assert "saved town-paint.png (96 x 72, unfinished) in" in err


@pytest.mark.usefixtures("default_signals")
def test_a_signal_before_the_first_finished_step_saves_nothing(
    flag_file, painter, monkeypatch
):
    _signal_at(painter, 1, signal.SIGINT)
    before = set(os.listdir())
    with pytest.raises(KeyboardInterrupt):
        main.main([flag_file])
    assert set(os.listdir()) == before
    with monkeypatch.context() as patch:
        patch.setattr(api, "draft_files", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            main.main([flag_file])


def _interrupt(*_):
    signal.raise_signal(signal.SIGINT)
    pytest.fail("went on")


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("moment", ["picture", "checkpoint"])
def test_a_signal_while_writing_leaves_whole_files(
    flag_file, painter, monkeypatch, moment
):
    if moment == "picture":
        owner, name = Image.Image, "save"
    else:
        owner, name = state_file, "write"
    write = getattr(owner, name)
    numbers = [signal.SIGTERM]  # a second one would end the program at once

    def interrupted(*arguments, **options):
        write(*arguments, **options)
        while numbers:
            signal.raise_signal(numbers.pop())

    monkeypatch.setattr(owner, name, interrupted)
    before = set(os.listdir())
    typed = ["--checkpoint_dir=kept", "--checkpoint_every=2"]
    # Where the picture was being written, the run was over.
    assert main.main([flag_file, *typed]) == (143, 0)[moment == "picture"]
    new = set(os.listdir()) - before
    assert new == {"kept", "town-paint.png"}
    assert Image.open("town-paint.png").size == (96, 72)
    kept = os.listdir("kept")
    ends = ".checkpoint.npz", ".files"  # what the run wrote, for the next one
    assert kept and all(name.endswith(ends) for name in kept)


def test_a_picture_that_cannot_be_written_is_said(
    flag_file, painter, monkeypatch, capsys
):
    def fail(*_):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(image_io, "write_image", fail)
        assert main.main([flag_file]) == 1
    assert "cannot be written: No space left" in capsys.readouterr().err
    Path("gone").mkdir()
    painter.events[9] = lambda step: Path("gone").rmdir()
    assert main.main([flag_file, "--output=gone/a.png"]) == 1
    assert (
        "gone could not be written; the picture is a.png"
        in capsys.readouterr().err
    )
    assert Image.open("a.png").size == (96, 72)


def test_a_picture_that_turned_into_no_numbers_is_said(
    flag_file, painter, capsys
):
    painter.events[9] = lambda step: step.optimizer.image.assign(
        step.optimizer.image * np.nan
    )
    assert main.main([flag_file]) == 4
    assert "has NaN or infinite values" in capsys.readouterr().err
    assert not Path("town-paint.png").exists()


# Rescues


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_gradient_that_becomes_nan_leaves_the_best_picture(
    flag_file, monkeypatch, capsys, optimizer
):
    make = objectives.make_objective

    def spoiled(*arguments, **options):
        evaluate, count = make(*arguments, **options), tf.Variable(0)

        def evaluate_or_spoil(image):
            count.assign_add(1)
            evaluation = evaluate(image)
            spoil = tf.where(count > 5, np.float32(np.nan), 1.0)
            return evaluation._replace(gradient=spoil * evaluation.gradient)

        return evaluate_or_spoil

    typed = [flag_file, f"--optimizer={optimizer}", "--steps=5", "--size=64"]
    assert main.main([*typed, "--output=whole.png"]) == 0
    monkeypatch.setattr(objectives, "make_objective", spoiled)
    steps = ["--steps=5,60", "--output=spoiled.png"]
    assert main.main([*typed, *steps]) == 4
    err = capsys.readouterr().err
    assert "exploding 25 times in a row" in err
    assert re.search(r"rolled back (25|4\d) times", err)
    picture = image_io.load_image("spoiled.png")
    whole = image_io.load_image("whole.png")
    assert np.abs(picture - whole).mean() < 4 / 255


def _style_and_content(draft):
    """Runs; the mean style loss, the content loss, and whether rescued."""
    step = runner.start_run(draft).execute()
    terms = results.read_losses(step)
    means = [
        np.mean([value for name, value in terms.items() if name[:5] == kind])
        for kind in ("style", "conte")
    ]
    return *means, int(step.optimizer.rescues) > 0


def _check_rescue(make_draft):
    style, content, rescued = _style_and_content(make_draft())
    assert not rescued
    wild_style, wild_content, rescued = _style_and_content(
        make_draft(learning_rate=2.0)
    )
    assert rescued
    assert wild_style <= 2 * style
    assert wild_content <= 1.5 * content


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_learning_rate_a_hundred_times_too_large_is_rescued(toy, optimizer):
    chosen = {"steps": 60, "optimizer": optimizer}
    _check_rescue(lambda **more: pretend.draft(toy, **chosen, **more))


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_it_is_rescued_with_the_real_network(optimizer):
    job = flags.parse(["--flagfile=starry", "--size=128", "--min_size=64"])
    job = dataclasses.replace(job, steps=(60,), optimizer=optimizer)
    _check_rescue(
        lambda **more: api.draft_files(dataclasses.replace(job, **more))
    )


# Processes of their own


def test_a_keras_configured_for_another_backend_does_not_matter():
    code = (
        "from nst_tf.backend import device; device.prepare();"
        "import tensorflow as t"
    )
    code += "; print(t.keras.backend.backend())"
    chosen = {"KERAS_BACKEND": "jax", "TF_USE_LEGACY_KERAS": "1"}
    result = children.run_python("-c", code, env={**os.environ, **chosen})
    assert result.stdout == "tensorflow\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "| head -1", ">/dev/full"])
def test_output_that_nobody_reads_is_no_failure(closed):
    command = f"'{sys.executable}' -m nst_tf.run --help"
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} {closed}"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0
    assert "Error" not in result.stderr


class _Full(io.StringIO):
    """A standard output on a disk that is full, or whose reader has left."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def flush(self):
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(
    ("number", "status"), [(errno.ENOSPC, 1), (errno.EPIPE, 0)]
)
def test_what_was_asked_for_must_be_printed(
    monkeypatch, capsys, number, status
):
    monkeypatch.setattr(sys, "stdout", _Full(number))
    monkeypatch.setattr(description, "describe", lambda picture: ["--size=3"])
    assert run.main(["--describe=a.png"]) == status
    err = capsys.readouterr().err
    words = "nst-tf: standard output cannot be written: No space left on dev"
    assert (words in err) == status
    terminal.print_line("a note on the way")


def _command(*arguments, **options):
    return children.run_python("-m", "nst_tf.run", *arguments, **options)


@pytest.mark.parametrize("flag", ["--help", "--helpfull"])
def test_help_is_complete_and_has_status_0(flag):
    result = _command(flag)
    assert result.returncode == 0
    assert "--style_layers=" in result.stdout
    assert "starry" in result.stdout
    assert not result.stderr


def test_help_takes_less_than_a_second():
    import resource  # not on Windows

    # The best of three, of the CPU's time: the machine may be busy.
    times = [0.0]
    for _ in range(3):
        _command("--help")
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(used.ru_utime + used.ru_stime)
    assert min(b - a for a, b in itertools.pairwise(times)) < 1


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [12, 25])
def test_a_budget_is_kept_from_start_to_end(tmp_path, seconds):
    def run(limit):
        """Runs; the seconds that it says it took, without Python's start."""
        typed = ["--flagfile=starry", "--weights=small", "--steps=5000"]
        limits = ["--output=a.png", "--overwrite", f"--max_seconds={limit}"]
        result = _command(*typed, *limits, cwd=tmp_path)
        assert result.returncode == 0
        return int(re.search(r"^saved .* in (\d+) s$", result.stderr, re.M)[1])

    least = run(0.1)  # one step, on a machine that may be busy
    most = 1.1 * max(seconds, least) + 1 + least / 4
    assert 0.7 * seconds < run(seconds) < most
    image = image_io.load_image(tmp_path / "a.png")
    assert image.shape == (384, 512, 3)


@pytest.mark.slow
@pytest.mark.parametrize("gigabytes", [2, 3.7, 4.5])
def test_under_a_limit_of_memory_a_picture_or_one_sentence(tmp_path, gigabytes):
    import resource  # not on Windows

    limit = int(gigabytes * 1e9)
    result = _command(
        "--flagfile=starry",
        "--weights=small",
        "--steps=2",
        "--size=640",
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_AS, (limit, limit)
        ),
    )
    picture = tmp_path / "harbor_at_dusk-swirling_night.png"
    assert result.returncode in (0, console.OUT_OF_MEMORY)
    if result.returncode == 0:
        assert image_io.load_image(picture).shape == (480, 640, 3)
    else:
        assert re.search("memory|ulimit", result.stderr)
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_killed_run_short_of_memory_goes_on_in_the_same_tiles(tmp_path):
    command = [
        *("--flagfile=starry", "--weights=small", "--steps=8"),
        *("--optimizer=adam", "--size=384", "--tile=288", "--memory=1.1"),
        *("--checkpoint_dir=kept", "--checkpoint_every=1", "--output=a.png"),
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "nst_tf.run", *command, "--progress=json"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if json.loads(line).get("level") == 3:  # the last one, in tiles
            process.kill()
            break
    process.communicate()
    result = _command(*command, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "warning" not in result.stderr
    assert "resuming at level" in result.stderr
    assert not list((tmp_path / "kept").glob(".*"))
    fresh = ["--resume=never", "--output=b.png"]
    assert _command(*command[:-1], *fresh, cwd=tmp_path).returncode == 0
    np.testing.assert_array_equal(
        *(image_io.load_image(tmp_path / name) for name in ("a.png", "b.png"))
    )


@pytest.mark.slow
@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_killed_program_leaves_its_picture(tmp_path, number, status):
    command = ["nst_tf.run", "--flagfile=starry", "--progress=json"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if json.loads(line).get("step", 0) > 10:
            process.send_signal(number)
            break
    rest = process.stderr.read()
    assert process.wait(timeout=600) == status
    assert "enlarged the picture to 512 x 384" in rest
    picture = tmp_path / "harbor_at_dusk-swirling_night.png"
    assert [p for p in tmp_path.iterdir() if p.is_file()] == [picture]
    assert image_io.load_image(picture).shape == (384, 512, 3)
