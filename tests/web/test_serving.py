"""What is served: the address, the folder, and who may ask."""

import socket
import types
from pathlib import Path

import pytest

from nst_tf.web import command, storage

uvicorn = pytest.importorskip("uvicorn", reason="needs the extra web")
pytest.importorskip("fastapi")
from uvicorn.protocols.http import h11_impl  # noqa: E402


@pytest.fixture
def serve(monkeypatch, tmp_path, capsys):
    """Runs the program with a server that ends at once: what it got."""

    def serve(*arguments):
        got = types.SimpleNamespace(opened=[])

        class Server:
            def __init__(self, config):
                got.config = config

            def run(self, sockets):
                (listener,) = sockets
                got.port = listener.getsockname()[1]
                raise KeyboardInterrupt

        class Storage(storage.Storage):
            def __init__(self, *given):
                got.storage = given
                super().__init__(*given)
                self.close()

        # Its handlers would outlive the test.
        monkeypatch.setattr(
            uvicorn.Config, "configure_logging", lambda config: None
        )
        monkeypatch.setattr(uvicorn, "Server", Server)
        monkeypatch.setattr(storage, "Storage", Storage)
        monkeypatch.setattr(command.webbrowser, "open", got.opened.append)
        given = [f"--folder={tmp_path}", "--port=0", *arguments]
        assert command.main(given) == 0
        got.address, got.hint = capsys.readouterr().err.splitlines()
        got.guard = got.config.app
        return got

    return serve


def test_one_who_starts_it_is_alone_with_it(serve, tmp_path):
    got = serve()
    assert got.address == f"http://127.0.0.1:{got.port}/"
    assert got.hint.startswith("Ctrl-C stops the studio")
    assert got.guard._access == (frozenset(), False, "")
    assert got.guard._cookie == f"nst_tf_{got.port}"
    assert got.storage == (tmp_path / "nst_tf-studio", 5e9)
    assert got.opened == []
    chosen = {
        "ws": "none",
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "limit_concurrency": 300,
        "timeout_graceful_shutdown": 2,
    }
    assert {n: getattr(got.config, n) for n in chosen} == chosen


def test_it_is_opened_in_a_browser_if_asked(serve):
    got = serve("--open", "--disk=0.5")
    assert got.opened == [got.address]
    assert got.storage[1] == 0.5e9


@pytest.mark.parametrize("host", ["0.0.0.0", "localhost"])
@pytest.mark.parametrize("allowed", [[], ["Hub.Example", "b.example"]])
def test_others_need_the_token_and_a_known_name(
    serve, monkeypatch, host, allowed
):
    monkeypatch.setattr(socket, "gethostname", lambda: "Desk")
    got = serve(f"--host={host}", *(f"--allow_host={n}" for n in allowed))
    access, is_public = got.guard._access, host == "0.0.0.0"
    names = {name.lower() for name in allowed}
    names |= {host, "desk"} if is_public else set()
    assert (access.names, access.is_public) == (names, is_public)
    page, _, token = got.address.partition("?token=")
    assert page == f"http://{'Desk' if is_public else host}:{got.port}/"
    assert token == access.token
    assert len(token) == (32 if is_public or allowed else 0)


def test_an_address_of_ipv6_stands_in_brackets(serve, monkeypatch):
    create = socket.create_server
    families = []

    def listen(address, *, family):
        families.append(family)
        return create(("127.0.0.1", 0))

    monkeypatch.setattr(socket, "create_server", listen)
    got = serve("--host=::1")
    assert got.address == f"http://[::1]:{got.port}/"
    assert not got.guard._access.is_public
    serve()
    assert families == [socket.AF_INET6, socket.AF_INET]


def test_a_port_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="port 70000 of 127.0.0.1 cannot be"):
        command._open_port("127.0.0.1", 70000)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        *(("127.0.0.1", True), ("127.9.9.9", True), ("::1", True)),
        *(("localhost", True), ("0.0.0.0", False), ("::", False)),
        *(("192.168.1.7", False), ("hub.example", False)),
    ],
)
def test_only_a_loopback_address_is_private(host, is_loopback):
    assert command._is_loopback(host) == is_loopback


def test_the_folder_is_the_users_choice_or_that_of_data(monkeypatch, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert command._find_folder("") == home / ".local" / "share"
    assert command._find_folder("~/x") == home / "x"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert command._find_folder("") == Path("/data")
    assert command._find_folder("here") == Path("here")


def test_one_without_a_home_has_the_folder_here(monkeypatch, no_home):
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert command._find_folder("") == Path(".local", "share")


def test_help_names_every_flag(capsys):
    assert command.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in ("port", "open", "folder", "disk", "host", "allow_host"):
        assert f"--{name}" in text or f"--[no]{name}" in text


class _Connection:
    """A connection, and the loop that it asks to be called by."""

    def __init__(self, protocol, monkeypatch):
        monkeypatch.setattr(
            h11_impl.H11Protocol, "connection_made", lambda *given: None
        )
        self.calls, self.is_closing, self.is_aborted = [], False, False
        self.protocol = protocol.__new__(protocol)
        self.protocol.cycle = None
        self.protocol.loop = types.SimpleNamespace(
            call_later=lambda seconds, call, idle: self.calls.append(
                (seconds, idle)
            )
        )
        self.protocol.transport = types.SimpleNamespace(
            is_closing=lambda: self.is_closing, abort=self._abort
        )

    def _abort(self):
        self.is_aborted = True

    def check(self, idle, *, is_complete=None):
        """Checks it: the calls that are due, and whether it was ended."""
        self.calls.clear()
        if is_complete is not None:
            self.protocol.cycle = types.SimpleNamespace(
                response_complete=is_complete
            )
        self.protocol._check(idle)
        return self.calls, self.is_aborted


def test_connections_are_closed_that_are_idle_for_twenty_seconds(
    serve, monkeypatch
):
    protocol = serve().config.http

    def connect():
        return _Connection(protocol, monkeypatch)

    new = connect()
    new.protocol.connection_made(None)
    assert new.calls == [(20.0, 0)]
    assert connect().check(0) == ([(20.0, 1)], False)
    assert connect().check(1) == ([], True)
    assert connect().check(0, is_complete=True) == ([(20.0, 1)], False)
    assert connect().check(1, is_complete=True) == ([], True)
    assert connect().check(1, is_complete=False) == ([(20.0, 0)], False)
    closing = connect()
    closing.is_closing = True
    assert closing.check(1) == closing.check(0) == ([], False)
