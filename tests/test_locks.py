"""Temporary files of others, alive or killed, and what was left behind."""

import os
import subprocess
import sys
import time

import pytest

from nst_tf import files, locks

fcntl = pytest.importorskip("fcntl", reason="Windows has no flock")

WRITER = """
import pathlib, sys, time
from nst_tf import files
with files.write_atomically(pathlib.Path("a.png")) as file:
    file.write(b"half")
    file.flush()
    print("ready", flush=True)
    sys.stdin.read()
"""
LEFT = ".nst-0a1b2c3d.png"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _write(path, name="b.png"):
    with files.write_atomically(path / name) as file:
        file.write(b"mine")


def _hidden(folder):
    return [path.name for path in folder.glob(".*")]


def test_what_another_writes_is_kept_and_what_a_killed_run_left_is_not(
    tmp_path,
):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout.readline() == b"ready\n"
        (own,) = _hidden(tmp_path)
        _write(tmp_path)
        assert _hidden(tmp_path) == [own]
        writer.kill()
    assert _hidden(tmp_path) == [own]
    _write(tmp_path)
    assert not _hidden(tmp_path)
    assert not (tmp_path / "a.png").exists()


def test_only_our_temporary_files_are_removed(tmp_path):
    kept = {".nst-mine.png", "a.nst-0a1b2c3d.png", ".nst"}
    kept |= {".nst-0A1B2C3D.png", ".nst-0a1b2c3d4.png", ".nst-settings"}
    for name in (*kept, LEFT, ".nst-12345678"):
        (tmp_path / name).write_text("")
    (tmp_path / ".nst-00000000.png").mkdir()
    (tmp_path / ".nst-00000001.png").symlink_to(".nst")
    os.mkfifo(tmp_path / ".nst-00000002.png")
    locks.remove_leftovers(tmp_path)
    odd = {f".nst-0000000{number}.png" for number in range(3)}
    assert {path.name for path in tmp_path.iterdir()} == kept | odd
    locks.remove_leftovers(tmp_path / "none")


@pytest.mark.parametrize(("hours", "stays"), [(23, True), (25, False)])
def test_without_locks_a_file_is_left_behind_after_a_day(
    tmp_path, monkeypatch, hours, stays
):
    def none(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    left = tmp_path / LEFT
    left.write_text("")
    before = time.time() - 3600 * hours
    os.utime(left, (before, before))
    _write(tmp_path)
    assert left.exists() is stays
    assert (tmp_path / "b.png").read_bytes() == b"mine"


def test_a_file_that_is_removed_before_it_is_locked_is_made_again(
    tmp_path, monkeypatch
):
    lock, tries = locks.try_lock, []

    def too_late(file):
        tries.append(file.name)
        if len(tries) == 1:
            os.unlink(file.name)
        return False if len(tries) == 2 else lock(file)

    monkeypatch.setattr(locks, "try_lock", too_late)
    path, file = locks.create_temporary(tmp_path, ".png", 0o600)
    with file:
        assert len(set(tries)) == 3
        assert str(path) == tries[-1]
        assert path.exists()


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    code = """
import builtins, io
from pathlib import Path
from nst_tf import files, locks
from nst_tf.images import image_io, reading
from nst_tf.runs import run_log
numbers = []
with files.write_atomically(Path("a.png")) as file:
    numbers.append(file.fileno())
    file.write(b"no picture")
with locks.hold(Path("mark")) as file:
    numbers.append(file.fileno())
builtins.open = lambda *rest, **named: (
    numbers.append((file := io.open(*rest, **named)).fileno()) or file
)
run_log.Log("log").start({}, [], None)
builtins.open = io.open
reading.decode = lambda file, *_: numbers.append(file.fileno()) or 1 / 0
try:
    image_io.load_image("a.png")
except ZeroDivisionError:
    print(*numbers, Path("a.png").read_bytes())
"""
    result = subprocess.run(
        ["bash", "-c", 'exec "$@" <&- 2>&-', "", sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    *numbers, end = result.stdout.split(maxsplit=4)
    assert len(numbers) == 4 and min(map(int, numbers)) > 2
    assert end == "b'no picture'\n"
