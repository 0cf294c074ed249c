"""What signals do to a program, whatever it does, and to a library."""

import os
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest

import nst_tf
from nst_tf import files, locks, watcher

ROOT = Path(nst_tf.__file__).parent.parent
INT, TERM = signal.SIGINT, signal.SIGTERM
HANGUP = getattr(signal, "SIGHUP", TERM)
STOPPING = "stopping after this step, then saving"
SAVING = "saving the picture"
AGAIN = "; Ctrl-C again quits without saving\n"
SECONDS = 0.5  # until there is an answer
MOMENT = 1.0  # more, where others keep the machine busy

pytestmark = pytest.mark.usefixtures("default_signals")
posix = pytest.mark.skipif(sys.platform == "win32", reason="no such signals")

PROGRAM = """
import ctypes, hashlib, pathlib, time
from nst_tf import files, locks, terminal
from nst_tf import watcher

watcher.PATIENCE = 0.3

def ready():
    print("ready", flush=True)

def wait():
    ready()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**8)  # a minute, in C

def save(status):
    pathlib.Path("picture").touch()
    return status

def main(arguments):
    pathlib.Path("started").touch()
    with watcher.Signals(terminal.print_note) as signals:
        return work(signals)

def work(signals):
{body}
"""


def _start(folder, body, before=""):
    """Starts a program with a body, and waits until it is ready."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    (folder / "program.py").write_text(PROGRAM.format(body=lines))
    run = f"{before}\nfrom nst_tf import terminal; "
    run += "terminal.run_program('program')"
    process = subprocess.Popen(
        [sys.executable, "-c", run],
        cwd=folder,
        env={"PYTHONPATH": f"{ROOT}:{folder}", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def _end(process, folder):
    """Waits for the end: status, words, and the files that are there."""
    out, err = process.communicate(timeout=SECONDS + MOMENT)
    assert not out
    names = {path.name for path in folder.iterdir()}
    return process.returncode, err, names - {"program.py", "started"}


# Before a step is finished

MARK = """held = locks.hold(pathlib.Path('a'))
locks.own(pathlib.Path('a'))
"""
ENDS = {
    "C": "wait()",
    "Python": "ready()\nwhile True: pass",
    "import": "with watcher.at_once():\n"
    "    ready()\n"
    "    ctypes.PyDLL(None).sleep(30)  # keeps other threads from running",
    "file": "with files.write_atomically(pathlib.Path('a.png')) as file:\n"
    "    file.write(b'half')\n"
    "    wait()",
    "mark": f"{MARK}wait()",
    "done": "signals.take_steps()\n"
    "signals.begin_saving()\n"
    "signals.end_saving()\n"
    "wait()",
}


@posix
@pytest.mark.parametrize(
    ("case", "number"),
    [
        *(("C", each) for each in (INT, TERM, HANGUP)),
        *((case, INT) for case in list(ENDS)[1:]),
    ],
)
def test_where_nothing_can_be_saved_a_signal_ends_the_process(
    tmp_path, case, number
):
    process = _start(tmp_path, ENDS[case])
    process.send_signal(number)
    assert _end(process, tmp_path) == (-number, "", set())


@posix
def test_what_is_ignored_stays_so(tmp_path):
    before = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    process = _start(tmp_path, "ready()\ntime.sleep(0.5)\nreturn 0", before)
    process.send_signal(HANGUP)
    assert _end(process, tmp_path) == (0, "", set())


# After the first finished step

STEP = """
signals.take_steps()
ready()
while not signals.should_stop():
    time.sleep(0.5)
return save(signals.status)
"""
LONG_STEP = """
signals.take_steps()
signals.rescue = {rescue}
wait()
"""
SAVE = "lambda: save(signals.status)"
WRITE = """
signals.take_steps()
signals.begin_saving()
with files.write_atomically(pathlib.Path("picture")) as file:
    ready()
    time.sleep(1)
return 0
"""


@posix
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (INT, f"{STOPPING}{AGAIN}"),
        (HANGUP, f"SIGHUP: {STOPPING}\n"),
        (TERM, "SIGTERM: stopping after this step, at most 0.3 s, then saving"),
    ],
)
def test_a_signal_stops_the_run_after_its_step(tmp_path, number, words):
    process = _start(tmp_path, STEP)
    began = time.monotonic()
    process.send_signal(number)
    assert process.stderr.readline().startswith(words)
    assert time.monotonic() - began < SECONDS + MOMENT
    assert _end(process, tmp_path) == (128 + number, "", {"picture"})


@posix
@pytest.mark.parametrize("body", [LONG_STEP.format(rescue=SAVE), WRITE])
def test_a_second_interrupt_ends_the_process_without_a_picture(tmp_path, body):
    process = _start(tmp_path, body)
    process.send_signal(INT)
    what = SAVING if body == WRITE else STOPPING
    assert process.stderr.readline() == f"{what}{AGAIN}"
    process.send_signal(HANGUP)  # the terminal is closed; nothing new
    process.send_signal(INT)
    assert _end(process, tmp_path) == (-INT, "", set())


@posix
def test_a_signal_lets_a_picture_be_written(tmp_path):
    process = _start(tmp_path, WRITE)
    process.send_signal(TERM)
    words = f"SIGTERM: {SAVING}\n"
    assert _end(process, tmp_path) == (0, words, {"picture"})


@posix
@pytest.mark.parametrize("first", [[], [INT], [TERM]])
def test_the_last_finished_step_is_saved_where_one_takes_long(tmp_path, first):
    process = _start(tmp_path, LONG_STEP.format(rescue=SAVE))
    for number in (*first, TERM):
        process.send_signal(number)
        time.sleep(0.1)
    status, words, names = _end(process, tmp_path)
    assert (status, names) == (143, {"picture"})
    assert words.count("SIGTERM") == 1


@posix
def test_a_late_save_leaves_no_temporary_files_or_marks(tmp_path):
    process = _start(tmp_path, MARK + LONG_STEP.format(rescue=SAVE))
    assert (tmp_path / "a").exists()
    process.send_signal(TERM)
    assert _end(process, tmp_path)[::2] == (143, {"picture"})


@posix
def test_without_a_copy_a_long_step_is_waited_for(tmp_path):
    body = "signals.take_steps()\nready()\ntime.sleep(1)\n"
    process = _start(tmp_path, f"{body}return save(signals.status)")
    process.send_signal(TERM)
    assert _end(process, tmp_path)[::2] == (143, {"picture"})


# Without a program


def test_a_library_has_no_thread():
    answers = []
    with watcher.Signals(answers.append) as signals:
        signals.take_steps()
        assert (signals.received, signals.status) == (0, 0)
        signal.raise_signal(HANGUP)
        assert (signals.received, signals.status) == (HANGUP, 129)
        assert signals.should_stop() and len(answers) == 1
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(INT)
    with watcher.Signals(answers.append), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(INT)  # there is nothing to save
    assert signal.getsignal(INT) is signal.default_int_handler
    assert "nst_tf signals" not in [each.name for each in threading.enumerate()]


def test_what_a_library_ignores_stays_so():
    signal.signal(HANGUP, signal.SIG_IGN)
    with watcher.Signals() as signals:
        signals.take_steps()
        signal.raise_signal(HANGUP)
        assert signals.received == 0
    assert signal.getsignal(HANGUP) is signal.SIG_IGN


def test_a_thread_of_a_library_sets_no_handler():
    def work():
        with watcher.Signals() as signals:
            found.append(signals.status)

    found = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [0]


@posix
def test_signals_of_a_program_are_answered_by_its_run_or_end_it(
    monkeypatch, capfd
):
    answers, ended, answered = [], [], threading.Event()

    def note(answers, number):
        answers.append(number)
        answered.set()

    before = signal.set_wakeup_fd(-1)
    program = watcher._Watcher(lambda: None)
    end = signal.set_wakeup_fd(before)
    monkeypatch.setattr(program, "end", lambda number: note(ended, number))
    program.start()
    run = types.SimpleNamespace(receive=lambda number: note(answers, number))
    other = bytes([signal.SIGCHLD])  # which is nobody's
    for signals, number in ((None, TERM), (run, INT), (None, HANGUP)):
        program.signals = signals
        os.write(end, other + bytes([number]))
        assert answered.wait(10)
        answered.clear()
    assert (answers, ended) == ([INT], [TERM, HANGUP])
    assert program.is_alive()
    assert capfd.readouterr().err == ""


@posix
def test_more_signals_than_a_pipe_holds_are_not_complained_of(capfd):
    before = signal.set_wakeup_fd(-1)
    watcher._Watcher(lambda: None)  # nobody reads its pipe
    handler = signal.signal(signal.SIGCHLD, lambda *_: None)
    for _ in range(66_000):
        signal.raise_signal(signal.SIGCHLD)
    end = signal.set_wakeup_fd(before)
    signal.signal(signal.SIGCHLD, handler)
    with pytest.raises(BlockingIOError):
        os.write(end, b"x")  # it is full
    os.close(end)
    assert capfd.readouterr().err == ""


def test_only_files_that_are_being_written_are_our_own(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "MOVING", threading.Lock())
    monkeypatch.setattr(locks, "_own", set())
    with files.write_atomically(tmp_path / "a") as file:
        file.write(b"whole")
    with pytest.raises(OSError), files.write_atomically(tmp_path / "b"):
        raise OSError
    locks.remove_own()
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert not locks._own
