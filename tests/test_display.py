"""The display: what a person sees, on terminals of many kinds and without."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import terminals
from PIL import Image

import nst_tf
from nst_tf import display, screens, terminal

SIZE = "256 x 192 (2 of 3)"
CLOCK = r"\d:\d\d:\d\d"


class Half:
    """An estimate."""

    def share(self, now):
        return 0.47

    def remaining(self, now):
        return 12.0


BAR = screens.Status(SIZE, Half(), 4.308, {"step": 21, "steps": 50}, "2 of 3")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    yield
    display.close()


@pytest.fixture
def show(monkeypatch):
    """Opens a terminal, and a display on it."""
    opened = []

    def open_one(columns=80, **options):
        made = terminals.Terminal(columns, **options)
        opened.append(made)
        monkeypatch.setattr(sys, "stderr", made.stream)
        display.start(["--content=a.png"])
        return made

    yield open_one
    display.close()
    for each in opened:
        each.close()


# On a terminal


@pytest.mark.parametrize("columns", [120, 80, 50])
def test_before_the_first_step_a_spinner_moves(show, columns):
    seen = show(columns)
    seen.wait_for(lambda lines: "starting" in lines[0])
    display.show_stage("loading TensorFlow")
    line = rf"\S loading TensorFlow +{CLOCK}"
    frames = set()
    for _ in range(3):
        [found] = seen.wait_for(
            lambda lines: (
                re.fullmatch(line, lines[0]) and lines[0][0] not in frames
            )
        )
        frames.add(found[0])
        assert "%" not in found


@pytest.mark.parametrize(
    ("columns", "start"),
    [(120, SIZE), (80, SIZE), (62, SIZE), (50, "2 of 3"), (40, "2 of 3")],
)
def test_then_there_is_one_bar_that_fits(show, columns, start):
    seen = show(columns)
    with display.use("auto"):
        display.show_status(BAR)
        [line] = seen.wait_for(lambda lines: "47%" in lines[0])
    found = re.fullmatch(
        rf"{re.escape(start)}  [━╸╺]+   47%  {CLOCK} < 0:00:12(  loss 4.31)?",
        line,
    )
    assert found and len(line) < columns
    assert bool(found[1]) == (columns >= 50)
    seen.wait_for(lambda lines: lines == [""])


def test_what_looks_the_same_is_not_formatted_again():
    painter = screens._Painter("utf-8")
    line = painter.paint(["256 x 192", 0.5, "50%"], 60)
    assert painter.paint(["256 x 192", 0.5, "50%"], 60) is line
    for columns, width in ((["256 x 192", 0.6, "50%"], 60), ([line], 50)):
        assert painter.paint(columns, width) != line


def test_a_line_without_room_is_cut(show):
    seen = show(20)
    display.show_status(BAR)
    [line] = seen.wait_for(lambda lines: "47%" in lines[0])
    assert len(line) < 20
    display.show_stage("downloading a very long name indeed")
    seen.wait_for(lambda lines: "…" in lines[0] and len(lines) == 1)


@pytest.mark.parametrize("reflows", [False, True])
def test_resizing_leaves_no_debris(show, reflows):
    seen = show(120, reflows=reflows)
    terminal.print_note("first")
    for columns in (120, 50, 80, 30, 120, 50):
        seen.resize(columns)
        display.show_status(BAR)
        seen.wait_for(lambda lines: len(lines) == 2 and "47%" in lines[1])
        time.sleep(0.25)  # two frames
        assert seen.lines()[0] == "first" and len(seen.lines()) == 2
    display.close()
    terminal.print_note("last")
    seen.wait_for(lambda lines: lines == ["first", "last"])


def test_the_size_is_that_of_the_terminal(show, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    seen = show(50)
    display.show_status(BAR)
    seen.wait_for(lambda lines: len(lines) == 1 and "2 of 3" in lines[0])


def test_notes_of_any_thread_go_above_the_line(show):
    seen = show(50)
    display.show_status(BAR)
    written = [f"{name}{number}" for name in "abc" for number in range(8)]

    def write(lines):
        for line in lines:
            terminal.print_note(line)
            time.sleep(0.01)

    threads = [
        threading.Thread(target=write, args=(written[start : start + 8],))
        for start in (0, 8, 16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("c", "d", file=sys.stderr)  # in parts, as Python's own words are
    lines = seen.wait_for(lambda lines: len(lines) == 26 and "%" in lines[25])
    assert sorted(lines[:24]) == sorted(written) and lines[24] == "c d"
    assert "47%" in lines[25]


@pytest.mark.parametrize(
    "name",
    ["[red]x.jpg", "a[/]b.jpg", ":smile:", "é 木.jpg", "a\x1b[31m\n\u202e.jpg"],
)
def test_names_are_shown_as_they_are(show, name):
    seen = show(120)
    display.show_stage(f"reading {name}")
    words = terminal.escape(f"reading {name}")
    lines = seen.wait_for(
        lambda lines: lines[0].replace(" ", "")[1:-7] == words.replace(" ", "")
    )
    assert len(lines) == 1
    assert b"\x1b[31m" not in seen.data


def test_the_cursor_stays_where_it_is_seen(show):
    seen = show()
    display.show_status(BAR)
    seen.wait_for(lambda lines: "47%" in lines[0])
    assert (seen.screen.cursor.x, seen.screen.cursor.hidden) == (0, False)
    assert b"?25" not in seen.data


@pytest.mark.parametrize("no_color", ["1", ""])
def test_colors_are_left_out_if_asked(show, monkeypatch, no_color):
    monkeypatch.setenv("NO_COLOR", no_color)
    seen = show()
    display.show_status(BAR)
    seen.wait_for(lambda lines: "47%" in lines[0])
    assert bool(re.search(rb"\x1b\[[\d;]+m", seen.data)) == (not no_color)


def test_a_terminal_of_ascii_has_no_other_characters(show):
    seen = show(encoding="ascii")
    display.show_stage("reading é.jpg")
    seen.wait_for(lambda lines: r"reading \xe9.jpg" in lines[0])
    display.show_status(BAR)
    seen.wait_for(lambda lines: "--  " in lines[0] and "47%" in lines[0])
    assert seen.data.isascii()


def test_a_terminal_that_goes_away_ends_nothing(show):
    seen = show()
    display.show_status(BAR)
    seen.wait_for(lambda lines: "47%" in lines[0])
    seen.hang_up()
    for _ in range(3):
        terminal.print_note("a")
        time.sleep(0.15)
    assert any(
        thread.name == "nst_tf display" for thread in threading.enumerate()
    )


def test_the_line_is_erased_for_whoever_ends_the_process(show):
    seen = show()
    display.show_status(BAR)
    seen.wait_for(lambda lines: "47%" in lines[0])
    terminal.clear_live()
    terminal.print_note("stopped")
    time.sleep(0.3)
    assert seen.lines() == ["stopped"]


def test_erasing_waits_for_nobody(show):
    show()
    kept = display._current
    with kept._lock:
        thread = threading.Thread(target=terminal.clear_live)
        thread.start()
        thread.join(1.0)
        assert not thread.is_alive()


# Which display


@pytest.mark.parametrize(
    ("arguments", "begins"),
    [
        (["--content=a.png", "--size", "64"], True),
        (["a.png", "b.png"], True),
        *(
            (["a.png", argument], False)
            for argument in ("-q", "--quiet", "--progress=none", "-progress")
        ),
    ],
)
def test_the_first_frame_is_for_pictures(show, arguments, begins):
    show()
    display.close()
    display.start(arguments)
    assert (display._current is not None) == begins


@pytest.mark.parametrize(
    ("environment", "tty", "kind"),
    [
        ({}, True, screens.Live),
        ({"TERM": "dumb"}, True, screens.Plain),
        ({}, False, screens.Plain),
        ({"FORCE_COLOR": "1"}, False, screens.Plain),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, screens.Plain),
    ],
)
def test_a_terminal_decides(monkeypatch, environment, tty, kind):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    file = io.StringIO()
    file.isatty = lambda: tty
    monkeypatch.setattr(sys, "stderr", file)
    with display.use("auto") as found:
        assert type(found) is kind
        display.show_status(BAR, is_milestone=True)
    assert ("\x1b" in file.getvalue()) == (kind is screens.Live)


@pytest.mark.parametrize("mode", ["plain", "json", "none"])
@pytest.mark.parametrize("closed", [True, False])
def test_a_closed_stream_is_no_failure(monkeypatch, mode, closed):
    file = io.StringIO()
    file.close()
    monkeypatch.setattr(sys, "stderr", file if closed else None)
    with display.use(mode):
        display.show_status(BAR, is_milestone=True)
        terminal.print_note("a")


def test_without_a_display_nothing_is_shown(capsys):
    display.show_stage("a")
    display.show_status(BAR)
    display.follow_download("b")(1, 2)
    assert capsys.readouterr() == ("", "")


# Elsewhere


@pytest.fixture
def clock(monkeypatch):
    now = [50.0]
    for module in (screens, display):
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_plain_lines_come_every_ten_seconds(capsys, clock):
    shown = screens.Plain()
    lines = []
    for second in range(65):
        clock[0] = 50.0 + second
        if 20 <= second < 40:  # steps; the thread draws before and after
            shown.show(BAR)
        elif second == 0:
            shown.show(screens.Status("loading TensorFlow"))
        shown.draw(clock[0])
        if out := capsys.readouterr().err:
            lines.append((second, out))
    bar = f"47%  {SIZE}, step 21/50, loss 4.308, about 12 s left\n"
    assert lines == [
        (12, "loading TensorFlow, 12 s so far\n"),
        (22, bar),
        (32, bar),
        (44, bar),
        (56, bar),
    ]
    shown.show(BAR, is_milestone=True)
    assert capsys.readouterr().err == bar


def test_json_has_its_fields_and_the_words_of_others(capsys, clock):
    shown = screens.Json()
    shown.show(screens.Status("loading TensorFlow"))
    clock[0] += 1.5
    shown.show(BAR)
    shown.show(BAR)
    shown.write("a\nb")
    shown.write("c\n")
    lines = map(json.loads, capsys.readouterr().err.splitlines())
    empty = dict.fromkeys(("percent", "remaining", "loss"))
    assert list(lines) == [
        {"seconds": 0.0, "stage": "loading TensorFlow", **empty},
        {
            **{"seconds": 1.5, "stage": SIZE, "percent": 47.0},
            **{"remaining": 12.0, "loss": 4.308, "step": 21, "steps": 50},
        },
        {"message": "a"},
        {"message": "bc"},
    ]


def test_a_download_shows_its_share(clock):
    with display.use("none") as shown:
        report = display.follow_download("a.png")
        clock[0] += 2.0
        report(25, 100)
        label, estimate, *_ = shown.status
        assert label == "downloading a.png"
        assert (estimate.share(60.0), estimate.remaining(60.0)) == (0.25, 6.0)
        report(25, 0)
        assert shown.status.estimate.share(60.0) is None
        display.show_stage("reading a.png")
        assert shown.status == screens.Status("reading a.png")


@pytest.mark.parametrize(
    ("seconds", "words", "clock_words"),
    [
        (0.4, "0 s", "0:00:00"),
        (59.6, "60 s", "0:01:00"),
        (99.9, "100 s", "0:01:40"),
        (100, "2 min", "0:01:40"),
        (5999, "100 min", "1:39:59"),
        (6000, "1.7 h", "1:40:00"),
        (36000, "10.0 h", "10:00:00"),
    ],
)
def test_durations_read_as_people_say_them(seconds, words, clock_words):
    assert terminal.format_duration(seconds) == words
    assert terminal.format_clock(seconds) == clock_words


# Processes of their own

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(Path(nst_tf.__file__).parent.parent),
    "PYTHONUTF8": "1",
    "TERM": "xterm",
}
PROGRAM = [sys.executable, "-m", "nst_tf.run"]
# Ends the process as NumPy begins to be imported.
END = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            os._exit(7)
sys.meta_path.insert(0, Finder())
"""


def test_there_is_something_to_see_before_numpy_is_imported(show, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(END)
    path = f"{tmp_path}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"
    seen = terminals.Terminal()
    process = seen.start(
        [*PROGRAM, "--content=a.png"], env={**ENVIRONMENT, "PYTHONPATH": path}
    )
    assert process.wait(60) == 7
    seen.wait_for(lambda lines: lines == ["starting"])
    seen.close()


@pytest.fixture
def typed(tmp_path):
    """A small job of the small network."""
    for name in ("a", "b"):
        noise = Image.effect_noise((160, 120), 80).convert("RGB")
        noise.save(tmp_path / f"{name}.jpg")
    return [
        *(*PROGRAM, "--content=a.jpg", "--style=b.jpg", "--size=64"),
        *("--weights=small", "--steps=3", "--output=c.png", "--overwrite"),
    ]


@pytest.mark.slow
def test_a_run_is_seen_from_its_begin_to_its_end(typed, tmp_path):
    seen = terminals.Terminal(50)
    process = seen.start(
        typed, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE
    )
    frames = []
    while process.poll() is None:
        frames.append(seen.lines())
        time.sleep(0.05)
    assert process.returncode == 0
    assert process.stdout.read() == b"c.png\n"
    saved = r"saved c\.png \(64 x 48\) in \d+ s"
    lines = seen.wait_for(lambda lines: re.fullmatch(saved, lines[-1]))
    seen.close()
    assert len(lines) <= 5  # two at the start, which may be broken
    stages = [re.sub(r"^\W ", "", frame[-1]) for frame in frames]
    for words in ("starting", "loading TensorFlow", "compiling 64 x 48"):
        assert len({each for each in stages if each.startswith(words)}) > 0
    spinners = {f[-1][0] for f in frames if "loading" in f[-1]}
    assert len(spinners) > 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "shell", "is_terminal"),
    [
        ({"TERM": "dumb"}, "", True),
        ({"FORCE_COLOR": "1"}, "2> err", False),
        ({}, ">&- 2>&-", True),
        ({}, "2>&1 | cat > err", True),
        ({"NO_COLOR": "1"}, "2>&1 | head -1 > err", True),
    ],
)
def test_elsewhere_a_run_is_clean(
    typed, tmp_path, environment, shell, is_terminal
):
    seen = terminals.Terminal(80)
    command = f"set -o pipefail; {shlex.join(typed)} {shell}"
    process = seen.start(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={**ENVIRONMENT, **environment},
    )
    assert process.wait(300) == 0
    assert (tmp_path / "c.png").exists()
    seen.wait_for(lambda lines: lines[-1] == "c.png" or is_terminal)
    seen.close()
    err = tmp_path / "err"
    data = seen.data + (err.read_bytes() if err.exists() else b"")
    assert b"\x1b" not in data and data.count(b"\n") <= 6
