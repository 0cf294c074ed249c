"""Talk is on standard error; standard output has what was asked for."""

import io
import os
import sys
from pathlib import Path

import pytest
import terminals
from PIL import Image

from nst_tf import display
from nst_tf.backend import replicas
from nst_tf.cli import main
from nst_tf.runs import records

FLAGS = ["--flagfile=toy.cfg"]
SHEET = [*FLAGS, "--sweep=seed:1,2"]
PNG = "--output=-"


@pytest.fixture(autouse=True)
def _pretend(folder, painter):
    """Paints without a network, in a folder."""


class _Output(io.TextIOWrapper):
    """A standard output, which may be a terminal."""

    def __init__(self, tty=False, buffer=None):
        super().__init__(buffer or io.BytesIO(), encoding="utf-8")
        self._tty = tty

    def isatty(self):
        return self._tty

    def read_bytes(self):
        self.flush()
        return self.buffer.getvalue()


class _Full(io.BytesIO):
    """A pipe whose reader has left."""

    def write(self, data):
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize(
    ("flags", "path"),
    [
        (FLAGS, "town-paint.png"),
        ([*FLAGS, "--timelapse=a.gif"], "town-paint.png"),
        ([*FLAGS, "--output=a.bmp"], "a.bmp"),
        (SHEET, "town-paint-sheet.png"),
    ],
)
def test_the_path_of_the_picture_is_all_of_standard_output(flags, path, capsys):
    assert main.main(flags) == 0
    out, err = capsys.readouterr()
    assert (out, Path(path).exists()) == (f"{path}\n", True)
    assert err.splitlines()[-1].startswith(f"saved {path} (")
    if path.endswith(".png"):  # it gets the next number
        assert main.main(flags) == 0
        stem = path.removesuffix(".png")
        assert capsys.readouterr().out == f"{stem}-2.png\n"


@pytest.mark.parametrize("flags", [FLAGS, SHEET])
def test_a_dry_run_prints_the_plan_on_standard_output(flags, capsys):
    assert main.main([*flags, "--dry_run"]) == 0
    out, err = capsys.readouterr()
    assert ".png, " in out and "device " in out and not err


def test_a_terminal_shows_the_path_once(monkeypatch, capsys):
    for out_tty, err_tty in ((True, True), (True, False), (False, True)):
        out = _Output(tty=out_tty)
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys.stderr, "isatty", lambda tty=err_tty: tty)
        assert main.main([*FLAGS, "--output=a.png", "--overwrite"]) == 0
        shown = b"" if out_tty and err_tty else b"a.png\n"
        assert out.read_bytes() == shown
        assert "saved a.png (96 x 72) in" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [FLAGS, SHEET])
def test_a_picture_on_standard_output_is_alone_there(
    flags, monkeypatch, capsys
):
    out = _Output()
    monkeypatch.setattr(sys, "stdout", out)
    before = {*Path().iterdir()}
    assert main.main([*flags, PNG]) == 0
    picture = Image.open(io.BytesIO(out.read_bytes()))
    assert picture.format == "PNG" and picture.width >= 96
    assert "saved to standard output (" in capsys.readouterr().err
    assert {*Path().iterdir()} == before


def test_all_else_is_written_beside_it(monkeypatch):
    out = _Output()
    monkeypatch.setattr(sys, "stdout", out)
    more = ["--log=a.jsonl", "--timelapse=a.gif", "--checkpoint_dir=kept"]
    more += ["--bit_depth=16", "--checkpoint_every=4"]
    assert main.main([*FLAGS, PNG, *more]) == 0
    Path("a.png").write_bytes(out.read_bytes())
    assert records.read_record("a.png")["state"] == "done"
    assert Path("a.jsonl").exists() and Path("a.gif").exists()
    assert list(Path("kept").glob("*.npz"))


@pytest.mark.parametrize(
    ("out", "more", "words"),
    [
        (_Output(tty=True), [], "standard output is a terminal; pass a file"),
        (None, [], "standard output is closed; pass a file"),
        (_Output(), ["--preview_every=3"], "remove one of them"),
    ],
)
@pytest.mark.parametrize("flags", [FLAGS, SHEET])
def test_where_no_picture_can_go_is_refused(
    flags, out, more, words, painter, monkeypatch, capsys
):
    if more and flags is SHEET:
        pytest.skip("sheets have no previews")
    monkeypatch.setattr(sys, "stdout", out)
    assert main.main([*flags, PNG, *more]) == 1
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1
    assert not painter.plans


@pytest.mark.parametrize("flags", [FLAGS, SHEET])
def test_a_reader_that_leaves_loses_no_picture(flags, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", _Output(buffer=_Full()))
    assert main.main([*flags, PNG]) == 1
    words = "standard output could not be written; the picture is picture.png"
    assert words in capsys.readouterr().err
    assert Image.open("picture.png").width >= 96


@pytest.mark.parametrize("columns", [120, 80, 50])
@pytest.mark.parametrize("mode", [[], ["--quiet"], ["--progress=plain"]])
def test_the_last_line_of_a_terminal_is_path_and_time(
    monkeypatch, columns, mode
):
    monkeypatch.setenv("TERM", "xterm")
    seen = terminals.Terminal(columns)
    out = os.fdopen(os.dup(seen.slave), "w", buffering=1)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", seen.stream)
    if not mode:
        display.start([])
    try:
        assert main.main([*FLAGS, "--output=[red]a.png", *mode]) == 0
        saved = "saved [red]a.png (96 x 72) in 0 s"
        last = "[red]a.png" if mode == ["--quiet"] else saved
        lines = seen.wait_for(lambda lines: lines[-1] == last)
    finally:
        seen.close()
    names = "town.png in the style of paint.png -> [red]a.png, 96 x 72"
    shown = "".join(lines)
    first = last if mode == ["--quiet"] else names
    assert shown.replace(" ", "").startswith(first.replace(" ", ""))
    assert (shown.count("%  ") > 0) == (mode == ["--progress=plain"])


def test_a_process_that_does_not_write_prints_no_path(monkeypatch, capsys):
    monkeypatch.setattr(replicas, "is_writer", lambda: False)
    assert main.main(FLAGS) == 0
    assert capsys.readouterr().out == ""
