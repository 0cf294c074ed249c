"""The program: its flags, its one address, and what it lacks."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from nst_tf import files
from nst_tf.web import command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sise=3"], "unknown flag --sise; --help lists all flags."),
        (["--port=x"], "--port is 'x', expected a whole number."),
        (["--port=99999"], "--port is 99999, expected at least 0 and at most"),
        (["--prt=9"], "unknown flag --prt; did you mean '--port'?"),
        (["page"], "unexpected argument 'page'; --help lists all flags."),
        (["--port=0", "--disk=0"], "--disk is 0.0, expected above 0."),
        (["--port=0", "--host=no.such.host.invalid"], "cannot be opened"),
    ],
)
def test_wrong_flags_are_a_sentence(arguments, words, capsys, monkeypatch):
    monkeypatch.setattr(files, "is_installed", lambda module: True)
    if "cannot be opened" in words:
        pytest.importorskip("uvicorn")
        pytest.importorskip("fastapi")
    assert command.main(arguments) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_without_the_extra_it_says_how_to_install_it(capsys, monkeypatch):
    monkeypatch.setattr(files, "is_installed", lambda module: False)
    assert command.main([]) == 1
    assert 'pip install "nst-tf[web]"' in capsys.readouterr().err


# The program, with a painting process that does nothing.
SERVER = """
import sys
from nst_tf.web import child_processes, command
child_processes.PROGRAM = sys.executable, "-c", "input()"
command.IDLE_SECONDS = 0.5
sys.exit(command.main(["--port=0", *sys.argv[1:]]))
"""


def _start(tmp_path, *arguments):
    """Starts a server: its process, and the address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, f"--folder={tmp_path}", *arguments],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    return process, process.stderr.readline().strip()


def _get(address, path=""):
    with urllib.request.urlopen(address + path, timeout=20) as answer:
        return answer.read()


def test_it_serves_until_ctrl_c_and_takes_one_folder(
    tmp_path, default_signals, capsys
):
    pytest.importorskip("fastapi")
    process, address = _start(tmp_path)
    assert address.startswith("http://127.0.0.1:") and "token" not in address
    assert json.loads(_get(address, "api/jobs")) == []
    assert b"<title>Studio</title>" in _get(address)
    assert command.main(["--port=0", f"--folder={tmp_path}"]) == 1
    assert "another server uses" in capsys.readouterr().err
    port = address.rstrip("/").rpartition(":")[2]
    assert command.main([f"--port={port}"]) == 1
    assert "Address already in use" in capsys.readouterr().err
    process.send_signal(signal.SIGINT)
    assert process.wait(40) == 0
    rest = process.stderr.read()
    assert (
        "Traceback" not in rest and "the next start resumes its picture" in rest
    )


def test_a_host_or_name_for_others_needs_a_token(tmp_path, default_signals):
    pytest.importorskip("fastapi")
    process, address = _start(tmp_path, "--allow_host=hub.example")
    try:
        page, _, token = address.partition("?token=")
        assert len(token) >= 32
        assert b"Studio" in _get(address)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            _get(page)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(40)


def test_connections_that_ask_nothing_are_closed(tmp_path, default_signals):
    pytest.importorskip("fastapi")
    process, address = _start(tmp_path)
    try:
        port = int(address.rstrip("/").rpartition(":")[2])
        silent, slow = (
            socket.create_connection(("127.0.0.1", port)) for _ in range(2)
        )
        slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        for each in (silent, slow):
            each.settimeout(10)
            with pytest.raises((ConnectionError, AssertionError)):
                assert each.recv(100)
        assert b"Studio" in _get(address)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(40)
