"""What a program does with its streams, with signals and with its text."""

import io
import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import nst_tf
from nst_tf import terminal

ROOT = Path(nst_tf.__file__).parent.parent
MODULES = {
    "nst-tf": "nst_tf.run",
    "nst-tf-batch": "nst_tf.batch",
    "nst-tf-judge": "nst_tf.judge",
    "nst-tf-video": "nst_tf.video",
}
# Sends SIGINT as a module begins to be imported.
INTERRUPT = """
import os, signal, sys, time

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["AT"]:
            signal.raise_signal(signal.SIGINT)
            time.sleep(30)
            print("went on", file=sys.stderr)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder())
"""


def _run(folder, *arguments, shell="", **environment):
    """Runs Python in a folder, whose modules come first."""
    command = [sys.executable, *arguments]
    if shell:
        command = ["bash", "-c", f'exec "$@" {shell}', "bash", *command]
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        timeout=100,
    )


def _run_program(folder, body, shell=""):
    """Runs a program whose `main` has a body."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    source = f"import os, sys, warnings\ndef main(arguments):\n{lines}"
    (folder / "program.py").write_text(source)
    run = "from nst_tf import terminal; terminal.run_program('program')"
    return _run(folder, "-c", run, shell=shell)


# Text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a\x1b[31m\n\t\r\0b", r"a\u001b[31m\u000a\u0009\u000d\u0000b"),
        ("\x7f\x80\x9b\x9f\xa0", "\\u007f\\u0080\\u009b\\u009f\xa0"),
        ("\u061c\u200e\u200f", r"\u061c\u200e\u200f"),
        ("\u202a\u202e\u2066\u2069", r"\u202a\u202e\u2066\u2069"),
        ("\udc9b\ud800", r"\udc9b\ud800"),
        ("a ~ é 木 \u200d 🎨 \u2028\u202f", "a ~ é 木 \u200d 🎨 \u2028\u202f"),
    ],
)
def test_what_moves_a_cursor_or_turns_text_is_escaped(text, escaped):
    assert terminal.escape(text) == escaped
    assert terminal.escape(escaped) == escaped


def test_json_stays_json_with_the_same_meaning():
    for text in ("a\x1b\x7f\x9b\u202e", "\udc9b"):
        for ascii_only in (True, False):
            found = json.dumps([text], ensure_ascii=ascii_only)
            assert json.loads(terminal.escape(found)) == [text]


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, _Terminal])
def test_a_path_is_written_as_it_is_for_scripts_only(monkeypatch, stream):
    out = stream()
    monkeypatch.setattr(sys, "stdout", out)
    path = "a\x1b\n\udcff.png"
    terminal.print_line(f"{path} is \x1b", "b", paths=[path, ""])
    shown = terminal.escape(path) if out.isatty() else path
    assert out.getvalue() == f"{shown} is \\u001b\nb\n"


def test_bytes_of_a_path_reach_a_script(tmp_path):
    body = (
        "from nst_tf import terminal\n"
        "path = os.fsdecode(b'\\xff\\x1b.png')\n"
        "terminal.print_line(path + ' \\ud800 is done', paths=[path])\n"
        "return 0"
    )
    result = _run_program(tmp_path, body)
    assert result.stdout == b"\xff\x1b.png \\ud800 is done\n"


def test_whatever_python_writes_on_standard_error_is_escaped(tmp_path):
    body = (
        "print('a\\x1b', file=sys.stderr)\n"
        "warnings.warn('b\\x1b')\n"
        "raise RuntimeError('c\\x1b\\n\\udcff')"
    )
    result = _run_program(tmp_path, body)
    assert result.returncode == 1
    error = result.stderr.decode()
    for words in (
        "a\\u001b\n",
        "UserWarning: b\\u001b\n",
        "Traceback (most recent call last):\n",
        "RuntimeError: c\\u001b\n\\udcff\n",
    ):
        assert words in error
    assert "\x1b" not in error


# Streams


@pytest.mark.parametrize("shell", ["", "2>&-", "<&- >&- 2>&-", ">&- 2>&-"])
def test_closed_streams_are_taken_by_no_file(tmp_path, shell):
    body = (
        "with open('found', 'w') as file:\n"
        "    print(file.fileno() > 2, file=file)\n"
        "    print(os.get_inheritable(0), os.isatty(0), file=file)\n"
        "os.write(1, b'out'), os.write(2, b'C')\n"
        "print('error', file=sys.stderr)\n"
        "return 0"
    )
    result = _run_program(tmp_path, body, shell)
    assert result.returncode == 0
    assert (tmp_path / "found").read_text() == "True\nTrue False\n"
    assert result.stdout == (b"" if ">&- 2" in shell else b"out")
    assert result.stderr == (b"" if "2>&-" in shell else b"error\n")


@pytest.mark.parametrize(
    ("end", "status", "is_shown"),
    [
        ("return 0", 0, False),
        ("return 1", 1, False),  # of wrong input there is one sentence
        ("return 4", 4, True),
        ("return 143", 143, False),
        ("1 / 0", 1, True),
    ],
)
def test_what_libraries_of_c_write_is_shown_after_a_failure(
    tmp_path, end, status, is_shown
):
    result = _run_program(tmp_path, f"os.write(2, b'C\\x1b\\n')\n{end}")
    assert result.returncode == status
    assert (b"C\\u001b\n" in result.stderr) == is_shown
    assert (b"Traceback" in result.stderr) == (end == "1 / 0")


def test_a_crash_of_a_library_has_words(tmp_path):
    result = _run_program(tmp_path, "os.abort()")
    assert result.returncode < 0
    assert b"Fatal Python error: Aborted" in result.stderr


@pytest.mark.parametrize("shell", ["2>/dev/full", ">/dev/full 2>&1"])
def test_a_full_device_does_not_change_the_status(tmp_path, shell):
    body = (
        "from nst_tf import terminal\n"
        "terminal.print_note('a'), terminal.print_line('a')\n"
        "return 3"
    )
    assert _run_program(tmp_path, body, shell).returncode == 3


# Ctrl-C


@pytest.mark.parametrize(
    ("program", "at"),
    [
        *itertools.product(
            MODULES.values(),
            ("nst_tf.terminal", "tempfile", "nst_tf.plan.settings"),
        ),
        ("nst_tf.judge", "numpy"),
        ("nst_tf.judge", "PIL"),
    ],
)
def test_an_interrupt_while_modules_are_imported_ends_the_process(
    tmp_path, program, at
):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT)
    # Of the first program, --help needs no NumPy.
    typed = "--help" if program == "nst_tf.judge" else "--content=a.png"
    result = _run(tmp_path, "-m", program, typed, AT=at)
    ended = -signal.SIGINT, b"", b""
    assert (result.returncode, result.stdout, result.stderr) == ended


@pytest.mark.parametrize(
    ("program", "at"),
    [
        ("nst_tf.run", "numpy"),
        ("nst_tf.run", "PIL"),
        ("nst_tf.run", "tensorflow"),
        ("nst_tf.judge", "tensorflow"),
        ("nst_tf.judge", "h5py"),
    ],
)
def test_an_interrupt_while_work_is_prepared_ends_the_process(
    tmp_path, program, at
):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT)
    for name in ("a", "b"):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{name}.jpg")
    pictures = ["--content=a.jpg", "--style=b.jpg"]
    more = ["a.jpg"] if program == "nst_tf.judge" else ["--size=64"]
    result = _run(tmp_path, "-m", program, *pictures, *more, AT=at)
    ended = -signal.SIGINT, b"", b""
    assert (result.returncode, result.stdout, result.stderr) == ended
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_a_picture_is_made_whatever_is_closed(tmp_path, shell):
    for name in ("a", "b"):
        Image.new("RGB", (160, 120), "teal").save(tmp_path / f"{name}.jpg")
    flags = ["--content=a.jpg", "--style=b.jpg", "--output=c.png"]
    flags += ["--weights=small", "--size=96", "--steps=2", "--log=d"]
    result = _run(tmp_path, "-m", "nst_tf.run", *flags, shell=shell)
    assert (result.returncode, result.stderr) == (0, b"")
    assert Image.open(tmp_path / "c.png").size == (96, 72)
    lines = (tmp_path / "d").read_text().splitlines()
    kinds = [json.loads(line)["record"] for line in lines]
    assert kinds == ["header", "step", "step", "final"]
