"""The log: its records, the files that it refuses, and where it goes on."""

import errno
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pretend
import pytest

from nst_tf import locks
from nst_tf.backend import device
from nst_tf.cli import main
from nst_tf.plan import pyramid
from nst_tf.runs import reporters, run_log

LEVELS = [pyramid.Level(9, 9, 10), pyramid.Level(30, 40, 5)]
HEADER = {"identity": {"size": 64, "sizes": [[9, 9]], "image": "sha256:1"}}
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(device, "read_peak_memory", lambda: 10**9)


def _read(path="run.jsonl"):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def _report(level, index, loss=2.0, seconds=1.23456, **terms):
    count = 10 * level + index
    losses = {**terms, "loss": loss}
    return reporters.StepReport(level, index, count, losses, seconds, None)


def _run(steps, place=None, header=HEADER, status="", every=1, **how):
    """Logs steps at level 0, and how they end; returns those in the file."""
    log = run_log.Log("run.jsonl", every, **how)
    log.start(header, LEVELS, place)
    for step in steps:
        log.step(_report(0, step, seconds=step))
    if status:
        log.end(status, Path("a.png"), 1, 100.0)
    log.close()
    return [each.get("step") for each in _read()[1:]]


def test_each_record_says_what_it_is_and_when_it_was():
    log = run_log.Log("run.jsonl")
    assert not Path("run.jsonl").exists()  # before the run is started
    log.start(HEADER, LEVELS, None)
    log.step(_report(1, 2, 1 / 3, **{"style/a": np.float32(0.1), "b": np.nan}))
    log.step(_report(1, 3, math.inf))
    log.end("stopped", None, 13, 7)
    log.close()
    header, first, second, final = _read()
    for each in (first, second, final):
        assert TIME.fullmatch(each.pop("time"))
    assert header == {"record": "header", "format": 1, **HEADER}
    step = {"record": "step", "level": 2, "levels": 2, "level_steps": 5}
    step |= {"steps": 15, "width": 40, "height": 30, "seconds": 1.235}
    step |= {"peak_memory_bytes": 10**9}
    losses = {"loss": 0.333333333, "loss/style/a": 0.100000001, "loss/b": None}
    assert first == {**step, "step": 12, "level_step": 2, **losses}
    assert second == {**step, "step": 13, "level_step": 3, "loss": None}
    assert final == {
        **{"record": "final", "status": "stopped", "path": None},
        **{"step": 13, "seconds": 7},
    }


@pytest.mark.parametrize(
    ("every", "expected"), [(1, [*range(1, 11)]), (4, [4, 8, 10]), (99, [10])]
)
def test_every_so_many_steps_and_the_last_of_a_level(every, expected):
    assert _run(range(1, 11), every=every) == expected


def test_a_gpu_is_never_waited_for_within_a_level(monkeypatch):
    monkeypatch.setattr(device, "is_gpu", lambda: True)
    read = []

    class Loss:
        def __float__(self):
            read.append(count)
            return 1.0

    log = run_log.Log("run.jsonl")
    log.start(HEADER, LEVELS, None)
    for count in (1, 2, 9, 10, 11):
        log.step(_report(count > 10, count - 10 * (count > 10), Loss()))
    assert read == [2, 9, 10, 10]
    log.end("done", None, 11, 1.0)
    assert [each["step"] for each in _read()[1:]] == [1, 2, 9, 10, 11, 11]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "mine\n",
            "exists; choose another name, or overwrite it with --overwrite",
        ),
        ("\x00\xff" * 99, "exists"),
        ("[" * 99999 + "\n", "exists"),
        ('{"record": "header", "identity": 3}\n', "exists"),
        ('{"record": "header", "identity": {}}\nmine\n', "exists"),
        ('{"record": "header", "identity": {}}\n{"a": 1}\n', "exists"),
        ('{"record": "header", "identity": {}}\nmi\x00ne', ""),  # cut off
        ("", ""),
    ],
)
def test_a_file_of_others_is_kept(text, words):
    path = Path("run.jsonl")
    path.write_bytes(before := text.encode("latin-1"))
    if words:
        with pytest.raises(ValueError, match=f"log run.jsonl {words}"):
            run_log.Log("run.jsonl")
        assert path.read_bytes() == before
        assert _run([1], overwrite=True) == [1]
    else:
        run_log.Log("run.jsonl").close()
        assert path.read_bytes() == before


def test_a_huge_file_is_not_read():
    with open("run.jsonl", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="exists"):
        run_log.Log("run.jsonl")


@pytest.mark.parametrize("place", [None, (0, 3)])
def test_the_log_of_a_run_that_died_is_cut_back(place):
    assert _run([1, 2, 3, 4, 5]) == [1, 2, 3, 4, 5]
    with open("run.jsonl", "a") as file:
        file.write('{"record": "st')
    header = {**HEADER, "time": "later"}
    rest = [4, 5, 6] if place else [1, 2]
    expected = [1, 2, 3, 4, 5, 6] if place else [1, 2]
    assert _run(rest, place, header, "done") == [*expected, 1]
    assert ("time" in _read()[0]) == (not place)
    seconds = [each["seconds"] for each in _read()[1:]]
    assert seconds == ([1, 2, 3, 7, 8, 9, 103] if place else [1, 2, 100])


def test_an_end_is_final_unless_the_run_goes_on():
    _run([1, 2, 3], status="stopped")
    before = Path("run.jsonl").read_bytes()
    words = r"run.jsonl exists; choose another"
    with pytest.raises(ValueError, match=words) as refused:
        _run([])
    with Path("run.jsonl").open("a") as file:  # nobody holds it any more
        assert locks.try_lock(file) is not False, refused
    with pytest.raises(ValueError, match=r"run.jsonl exists; choose another"):
        _run([], resumes=True)  # but there is no checkpoint
    assert Path("run.jsonl").read_bytes() == before
    assert _run([3, 4], (0, 2), resumes=True) == [1, 2, 3, 4]
    assert _run([4], (0, 3), resumes=True, overwrite=True) == [1, 2, 3, 4]
    assert _run([1], resumes=True, overwrite=True) == [1]


def test_a_run_that_took_no_step_may_begin_again():
    _run([], status="stopped")
    assert _run([1]) == [1]


@pytest.mark.parametrize("place", [None, (0, 2)])
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("size", 128, "its size is 64, and this job's is 128"),
        ("image", "sha256:2", "the digest of its image differs"),
        ("new", 1, "its new is None, and this job's is 1"),
    ],
)
def test_another_jobs_log_is_kept(place, name, value, words):
    _run([1, 2, 3])
    before = Path("run.jsonl").read_bytes()
    header = {"identity": {**HEADER["identity"], name: value}}
    expected = (
        f"log run.jsonl belongs to another job: {words}; choose another name"
    )
    with pytest.raises(ValueError, match=expected):
        _run([], place, header)
    assert Path("run.jsonl").read_bytes() == before
    assert _run([3], place, header, overwrite=True) == [3]


def test_two_runs_never_write_one_log():
    log = run_log.Log("run.jsonl")
    other = run_log.Log("run.jsonl")
    log.start(HEADER, LEVELS, None)
    with pytest.raises(ValueError, match="exists|is in use by another run"):
        other.start(HEADER, LEVELS, None)
    if locks.is_held(Path("run.jsonl")) is not None:
        for how in ({}, {"overwrite": True}):
            with pytest.raises(ValueError, match="is in use by another run"):
                run_log.Log("run.jsonl", **how)
    log.close()


def test_a_link_is_followed():
    Path("kept").mkdir()
    Path("kept/a.jsonl").touch(0o600)
    Path("run.jsonl").symlink_to("kept/a.jsonl")
    assert _run([1, 2]) == [1, 2]
    assert _run([1], overwrite=True) == [1]
    assert Path("run.jsonl").is_symlink() and len(_read("kept/a.jsonl")) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none/a", r"log none/a cannot be written: No such file"),
        ("folder", r"log folder cannot be written: Is a directory"),
        ("file/a", r"log file/a cannot be written: Not a directory"),
        ("a" * 300, r"log a{300} cannot be written: File name too long"),
    ],
)
def test_what_cannot_be_a_log_is_said_at_once(name, words):
    Path("folder").mkdir()
    Path("file").touch()
    with pytest.raises(ValueError, match=words):
        run_log.Log(name)
    assert {each.name for each in Path().iterdir()} == {"folder", "file"}


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no /dev/stdout")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_the_file_of_a_standard_stream_is_no_log(stream):
    code = f"""
from nst_tf.runs import run_log
try:
    run_log.Log("/dev/{stream}")
except ValueError as error:
    open("said", "w").write(str(error))
"""
    with open("file", "w") as file:
        subprocess.run(
            [sys.executable, "-c", code], check=True, **{stream: file}
        )
    assert (
        "is the file of standard output or standard" in Path("said").read_text()
    )


def test_a_full_disk_is_said_once_and_leaves_whole_lines(caplog, monkeypatch):
    log = run_log.Log("run.jsonl")
    log.start(HEADER, LEVELS, None)
    file, full = log._file, [False]

    class Disk:
        def __getattr__(self, name):
            return getattr(file, name)

        def write(self, line):
            return file.write(line[:9] if full[0] else line)

    log._file = Disk()
    for step in range(1, 6):
        full[0] = step in (2, 3)
        log.step(_report(0, step))
    assert [each.get("step") for each in _read()[1:]] == [1, 4, 5]
    reason = os.strerror(errno.ENOSPC)
    assert caplog.messages == [f"log run.jsonl failed: {reason}"]


def test_the_program_logs_every_step_whatever_is_shown(folder, painter):
    paint = ["--flagfile=toy.cfg", "--output=a.png", "--log=run.jsonl"]
    assert main.main(paint) == 0
    header, *steps, final = _read()
    places = [(each["level"], each["level_step"]) for each in steps]
    assert places == [(a, b) for a in (1, 2, 3) for b in (1, 2, 3)]
    assert [each["step"] for each in steps] == [*range(1, 10)]
    assert steps[0]["loss/content/a"] == pretend.TERMS["content/a"]
    assert (final["status"], final["path"]) == ("done", "a.png")
    assert header["flags"]["size"] == 96
    assert header["inputs"]["content"]["digest"].startswith("sha256:")
    assert (
        header["network"]["digest"] == header["identity"]["network's weights"]
    )
    assert "seconds" not in header and "identity" in header
    before = Path("run.jsonl").read_bytes()
    assert main.main([*paint, "--output=b.png"]) == 1
    assert Path("run.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MemoryError("OOM"), "out_of_memory"),
        (FloatingPointError("no numbers"), "failed"),
        (BlockingIOError("another run"), "failed"),
    ],
)
def test_a_run_that_fails_says_so_in_its_log(folder, painter, error, status):
    def fail(step):
        raise error

    painter.events[5] = fail
    paint = ["--flagfile=toy.cfg", "--output=a.png", "--log=run.jsonl"]
    assert main.main(paint) in (3, 4)
    *_, last, final = _read()
    assert (last["step"], final["status"], final["step"]) == (4, status, 4)
    assert final["path"] == "a.png"


def test_the_memory_of_this_process_is_known(monkeypatch):
    monkeypatch.undo()
    memory = device.read_peak_memory()
    assert memory is None or memory > 10**7
