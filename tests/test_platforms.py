"""What differs on Windows and macOS, simulated on Linux."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import children
import numpy as np
import pytest
from PIL import Image

from nst_tf import files, locks, terminal
from nst_tf.backend import device, host_memory
from nst_tf.batch import checking, stations
from nst_tf.runs import checkpoint
from nst_tf.video import work_folder
from nst_tf.web import child_processes

ROOT = Path(__file__).resolve().parent.parent
LEFT = ".nst-0a1b2c3d.png"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="simulated on Linux"
)


@pytest.fixture
def windows(monkeypatch):
    import windows

    windows.simulate(monkeypatch)


@pytest.mark.usefixtures("windows")
def test_a_lock_refuses_others_and_changes_no_byte(tmp_path):
    path = tmp_path / "mark"
    path.write_text("before ")
    with locks.hold(path) as file:
        with pytest.raises(BlockingIOError):
            locks.hold(path)
        assert locks.is_held(path)
        file.write("after")
        file.flush()
        assert path.read_text() == "before after"
        locks.remove(path, file)
    assert not path.exists()
    assert locks.is_held(path) is False


@pytest.mark.usefixtures("windows")
def test_files_are_written_and_what_was_left_is_removed(tmp_path):
    (tmp_path / LEFT).touch()
    other, file = locks.create_temporary(tmp_path, ".png", 0o666)
    with file:
        for words in (b"first", b"second"):
            with files.write_atomically(tmp_path / "a") as written:
                written.write(words)
    assert {*tmp_path.iterdir()} == {other, tmp_path / "a"}
    assert (tmp_path / "a").read_bytes() == b"second"


@pytest.mark.usefixtures("windows")
def test_a_second_run_of_a_job_is_refused(tmp_path):
    first, second = (
        checkpoint.CheckpointFolder(tmp_path, {"a": 1}) for _ in range(2)
    )
    first.mark({"tile": 64})
    with pytest.raises(BlockingIOError, match=f"process {os.getpid()}"):
        second.mark({"tile": 64})
    assert second.died() is None
    first.unmark()
    assert not list(tmp_path.iterdir())
    second.mark({"tile": 32})
    second.unmark()


@pytest.mark.usefixtures("windows")
def test_without_locks_no_signal_is_sent_to_a_process(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "try_lock", lambda *_, **__: None)
    folder = checkpoint.CheckpointFolder(tmp_path, {"a": 1})
    folder.mark({"process": os.getppid()})
    folder.check_free()


@pytest.mark.usefixtures("windows")
def test_batches_and_films_leave_no_lock_behind(tmp_path):
    picture = tmp_path / "a.png"
    with (
        stations._lock(picture),
        pytest.raises(ValueError, match="another batch"),
        stations._lock(picture),
    ):
        pass
    film = work_folder.WorkFolder(tmp_path / "work", {"a": 1}, (4, 4))
    with pytest.raises(ValueError, match="another run paints"):
        work_folder.WorkFolder(tmp_path / "work", {"a": 1}, (4, 4))
    film.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("windows")
def test_free_memory_is_what_windows_says(monkeypatch):
    monkeypatch.setattr(host_memory, "_status", lambda name: 0.0)
    monkeypatch.setattr(host_memory, "_groups", list)
    assert host_memory.find_limit() == pytest.approx(4.5e9)
    tensorflow = types.ModuleType("tensorflow")
    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow)
    monkeypatch.setattr(device, "_gpus", list)
    assert device.read_peak_memory() is None


@pytest.mark.usefixtures("windows")
def test_the_studio_paints_in_a_group_that_ctrl_c_leaves_alone(monkeypatch):
    name = "CREATE_NEW_PROCESS_GROUP"
    monkeypatch.setattr(subprocess, name, 512, raising=False)
    assert child_processes._list_group_options() == {"creationflags": 512}


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
@pytest.mark.usefixtures("windows")
def test_a_closed_pipe_of_windows_is_no_error(monkeypatch, number):
    def fail(text):
        raise OSError(number, os.strerror(number))

    out = types.SimpleNamespace(
        isatty=lambda: False, write=fail, flush=lambda: None
    )
    monkeypatch.setattr(sys, "stdout", out)
    is_error = number != errno.EINVAL
    with pytest.raises(OSError) if is_error else contextlib.nullcontext():
        terminal.print_result("a")


# Ctrl-Break, which closes a console, too; here another signal sends it.
BREAK = """
import os, pytest, signal, sys, time
import windows
send, itself = os.kill, os.getpid()
windows.simulate(pytest.MonkeyPatch())
from nst_tf import terminal, watcher

def main(arguments):
    with watcher.Signals(terminal.print_note) as signals:
        if "step" in arguments:
            signals.take_steps()
        send(itself, signal.SIGBREAK)
        while not signals.should_stop():
            time.sleep(0.01)
        print("saved")
        return signals.status

signal.Signals = lambda number: signal.SIGTERM  # it has no name here
sys.modules["program"] = sys.modules["__main__"]
terminal.run_program("program")
"""


@pytest.mark.parametrize("stage", ["step", "before"])
def test_ctrl_break_stops_a_run_as_ctrl_c_does(stage):
    done = _run("-c", BREAK, stage)
    assert done.returncode == 128 + signal.SIGUSR1, done.stderr
    assert done.stdout == ("saved\n" if stage == "step" else "")


def _run(*arguments, **more):
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths}
    return children.run_python(*arguments, env=environment, timeout=200, **more)


# Names of files


def test_outputs_that_differ_in_case_are_one_file_on_macos(monkeypatch):
    names = Path("a/Town.png"), Path("a/town.png")
    assert len({*map(checking._hash, names)}) == 2
    monkeypatch.setattr(sys, "platform", "darwin")
    assert len({*map(checking._hash, names)}) == 1


# Everything


@pytest.mark.slow
@pytest.mark.parametrize("name", ["win32", "darwin"])
def test_types_hold_on_other_systems(name, tmp_path):
    flags = ["--platform", name, "--cache-dir", str(tmp_path), "nst_tf"]
    done = _run("-m", "mypy", *flags, cwd=ROOT)
    assert done.returncode == 0, done.stdout


# TensorFlow and what it imports later are those of Linux.
PROGRAM = """
import pytest, sys, tensorflow
import windows
windows.simulate(pytest.MonkeyPatch())
from nst_tf import run
sys.argv[0] = "nst-tf"
run.cli()
"""


@pytest.mark.slow
def test_the_program_paints_without_what_windows_lacks(tmp_path):
    noise = np.random.default_rng(0).integers(256, size=[64, 64, 3])
    Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "a.png")
    flags = ["--content=a.png", "--style=a.png", "--output=b.png"]
    flags += ["--size=64", "--steps=2", "--weights=small", "--log=c"]
    flags += ["--checkpoint_dir=d", "--memory=4"]
    done = _run("-c", PROGRAM, *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert {"a.png", "b.png", "c"} <= names
    assert not [name for name in names if name.startswith(".")]
