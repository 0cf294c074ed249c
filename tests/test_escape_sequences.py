"""Text that comes from outside never reaches a terminal unescaped.

Each kind of it - flags, names, flag files, the environment, records, answers
of servers, names in weights, errors - holds escape sequences here, and goes
through the programs, whose standard output and error are a terminal.
"""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import hosts
import pytest
import toys

from nst_tf import run, terminal
from nst_tf.cli import judge_command, main
from nst_tf.images import image_io, writing
from nst_tf.plan import settings
from nst_tf.runs import records

BAD = "\x1b]0;b\x07\x1b[31m\x7f\x9b2J\u202e"
NAME = f"{BAD}\udc9b"  # of a file
OWN = re.compile(r"\r|\x1b\[(\?7[lh]|J)")  # how a line is renewed
STATUSES = (0, 1)


def _check(text):
    """Checks that nothing is left to be escaped."""
    for line in text.split("\n"):
        assert line == terminal.escape(line)


@pytest.fixture
def shown(folder, painter, monkeypatch, capsys):
    """Runs a program on a terminal; its status and what it shows."""
    monkeypatch.setenv("NO_COLOR", "1")

    def show(program, *arguments):
        for stream in (sys.stdout, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
        status = program.main(list(arguments))
        text = OWN.sub("", "".join(capsys.readouterr()))
        _check(text)
        return status, text

    return show


@pytest.fixture
def judged(folder, toy):
    """Flags of the judge."""
    return [
        *("--content=town.png", "--style=paint.png", "--extractor=toy"),
        *(f"--weights={toy}", f"--content_layers={toys.CONTENT_LAYER}"),
        f"--style_layers={','.join(toys.STYLE_LAYERS)}",
    ]


@pytest.mark.parametrize("name", settings.FIELDS)
def test_of_flags(shown, judged, name):
    status, text = shown(main, "--flagfile=toy.cfg", f"--{name}={BAD}")
    assert status in STATUSES and text
    if name in judge_command.Options.__dataclass_fields__:
        assert shown(judge_command, *judged, f"--{name}={BAD}", "town.png")[1]


@pytest.mark.parametrize(
    "argument", [BAD, f"--{BAD}", f"--flagfile={NAME}", f"--describe={NAME}"]
)
def test_of_arguments(shown, judged, argument):
    assert shown(run, argument)[0] == 1
    assert shown(judge_command, *judged, argument)[0] == 1


def test_of_names(shown, judged, toy):
    for name, stem in (("town.png", "c"), ("paint.png", "s")):
        shutil.copy(name, f"{stem}{NAME}.png")
    weights = f"{NAME}.h5"
    shutil.copy(toy, weights)
    flags = [f"--content=c{NAME}.png", f"--style=s{NAME}.png"]
    flags.append(f"--weights={weights}")
    aside = [f"--log=l{NAME}", f"--summary_dir=b{NAME}"]
    aside += [f"--timelapse=t{NAME}.gif", f"--checkpoint_dir=k{NAME}"]
    typed = ["--flagfile=toy.cfg", *flags]
    more = ["--preview_every=2", "--overwrite"]
    for _ in range(2):  # goes on from its checkpoint
        status, text = shown(main, *typed, *aside, *more)
        assert status == 0
        assert terminal.escape(f"c{NAME}-s{NAME}") in text
    sheet = ["--sweep=seed:1,2", "--sheet_scores"]
    assert shown(main, *typed, *sheet)[0] == 0
    assert shown(run, f"--describe=c{NAME}-s{NAME}.png")[0] == 0
    assert shown(main, f"--rerun=c{NAME}-s{NAME}.png", flags[-1])[0] == 0
    for more in ([], ["--json"]):
        status, text = shown(
            judge_command, *judged, *flags, f"c{NAME}.png", *more
        )
        assert status == 0 and "c\\u001b" in text
    _check(Path(f"l{NAME}").read_text())
    events = [path.read_bytes() for path in Path(f"b{NAME}").iterdir()]
    assert any(b"--summary_dir=b\\u001b" in data for data in events)
    for control in (b"\x1b]0;", b"\x1b[31m", "\u202e".encode()):
        assert not any(control in data for data in events)


@pytest.mark.parametrize(
    "line",
    [
        *(BAD, f"--{BAD}", f"--{BAD}=1", f"--size={BAD}", f"--style={BAD}"),
        *(f"--flagfile={BAD}", f"--color={BAD}"),
    ],
)
def test_of_flag_files(shown, line):
    Path(f"{NAME}.cfg").write_text(f"{line}\n", encoding="utf-8")
    flags = [f"--flagfile={NAME}.cfg", "--content=town.png"]
    assert shown(main, *flags)[0] == 1


@pytest.mark.parametrize("name", ["TF_CONFIG", "NST_TF_WEIGHTS"])
@pytest.mark.parametrize(
    "value", [NAME, json.dumps({"cluster": BAD, "task": {"type": BAD}})]
)
def test_of_the_environment(shown, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert shown(main, "--flagfile=toy.cfg", "--dry_run")[0] in STATUSES


def _spoil(value):
    """Puts escape sequences into all texts of a record, and into names."""
    if isinstance(value, dict):
        spoiled = {name: _spoil(each) for name, each in value.items()}
        return {**spoiled, f"a{BAD}": BAD}
    if isinstance(value, list):
        return [_spoil(each) for each in value]
    return f"{value}{BAD}" if isinstance(value, str) else value


def test_of_records(shown):
    assert shown(main, "--flagfile=toy.cfg", "--output=a.png")[0] == 0
    record = records.read_record("a.png")
    places = [(record, name) for name in record]
    places += [
        (record[name], key)
        for name in ("flags", "decided", "inputs", "network")
        for key in record[name]
    ]
    flags = record["decided"]["settings"]
    places += [(flags, key) for key in flags]
    for table, key in places:
        kept, table[key] = table[key], _spoil(table[key])
        options = writing.Options(record=json.dumps(record))
        image_io.write_image("b.png", toys.image(9, 9), options)
        table[key] = kept
        assert shown(run, "--describe=b.png")[0] in STATUSES
        assert shown(main, "--rerun=b.png", "--dry_run")[0] in STATUSES


class _Handler(hosts.Handler):
    """Answers with escape sequences wherever text may stand."""

    def do_GET(self):
        bad = BAD.encode("utf-8").decode("latin-1")
        code = int(self.path[1:4])
        self.send_response_only(code, bad)
        if code == 302:
            self.send_header("Location", f"ftp://{bad}/{bad}")
        length = bad if code == 201 else 3
        self.send_header("Content-Length", length)
        self.send_header("Content-Type", bad)
        self.end_headers()
        self.wfile.write(b"\x1b[3")


@pytest.mark.parametrize("code", [200, 201, 302, 404, 500])
def test_of_servers(shown, judged, code):
    with hosts.serve(_Handler) as server:
        host = f"http://localhost:{server.server_port}"
        for address in (f"{host}/{code}", f"{host}/{code}/%1b[31m{BAD}.png"):
            flag = f"--content={address}"
            assert shown(main, "--flagfile=toy.cfg", flag)[0] == 1
            assert shown(judge_command, *judged, address)[0] == 1


def test_of_weights(shown, judged):
    layers = {f"{name}{BAD}": arrays for name, arrays in toys.weights().items()}
    toys.write_weights(f"{NAME}.h5", layers)
    flag = f"--weights={NAME}.h5"
    assert shown(main, "--flagfile=toy.cfg", flag)[0] == 1
    assert shown(judge_command, *judged, flag, "town.png")[0] == 1


@pytest.mark.parametrize("error", [OSError, RuntimeError, FloatingPointError])
def test_of_errors(shown, painter, error):
    def fail(step):
        raise error(NAME)

    painter.events[5] = fail
    status, text = shown(main, "--flagfile=toy.cfg")
    assert status == 4 and "\\u202e\\udc9b" in text


def test_a_script_gets_the_path_as_it_is(folder, painter, capsys, monkeypatch):
    name = f"a{BAD}.png"
    assert main.main(["--flagfile=toy.cfg", f"--output={name}"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{name}\n" and os.path.exists(name)
    assert f"saved {terminal.escape(name)} (96 x 72) in" in err
