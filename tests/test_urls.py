"""Addresses and their secrets, which no output of any kind holds."""

import io
import logging
import time
from pathlib import Path

import hosts
import numpy as np
import pytest
import toys
from PIL import Image

from nst_tf import run, urls
from nst_tf.cli import flags, judge_command, main, sweeps
from nst_tf.images import sources
from nst_tf.judge import judging
from nst_tf.plan import settings
from nst_tf.runs import records

SECRETS = ("jane", "pass-word", "to-ken", "frag-ment")


def _png():
    file = io.BytesIO()
    pixels = np.rint(255 * toys.image(60, 80)).astype(np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


class _Handler(hosts.Handler):
    """Sends a picture, or fails and repeats what it was asked for."""

    def do_GET(self):
        secret = self.path.partition("?")[2]
        if self.path.startswith("/a.png") or self.path.startswith("/?"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(_png())
        elif self.path.startswith("/moved"):
            self.send_response(302)
            to = "http://jane:pass-word@localhost:1/?to-ken"
            self.send_header("Location", to)
            self.end_headers()
        elif self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", "ftp://jane:pass-word@host/a?to-ken")
            self.end_headers()
        else:
            self.send_response(404, secret)
            self.end_headers()


@pytest.fixture
def host():
    """A server on localhost: its name and port."""
    with hosts.serve(_Handler) as server:
        yield f"localhost:{server.server_port}"


def _hide(host, path="/a.png"):
    return f"http://jane:pass-word@{host}{path}?key=to-ken#frag-ment"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://host/a/b.png", "https://host/a/b.png"),
        ("HTTPS://jane:word@host:8/a?b#c", "https://host:8/a"),
        ("http://127.0.0.1?x=@good.example/", "http://127.0.0.1"),
        ("http://127.0.0.1#@good.example/", "http://127.0.0.1"),
        ("http://good.example\\@evil/a", "http://evil/a"),
        ("http://a@b@host/", "http://host/"),
        ("http://jane:pass/word@host/", "http://..."),
        ("http://jane:pass?word@host/", "http://..."),
        ("http://[/?word", "http://..."),
        ("ftp://jane:word@host/a", "ftp://host/a"),
        (" https://jane@host/a", "https://host/a"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(address, shown):
    assert urls.show_address(address) == urls.show_source(address) == shown
    assert urls.hide_addresses(f"in {address.strip()}") == f"in {shown}"


def test_addresses_are_hidden_in_any_text_in_no_time():
    text = "a" * 1_000_000 + " unknown flag --http://user:SECRET@host/ of us"
    began = time.process_time()
    hidden = urls.hide_addresses(text)
    assert time.process_time() - began < 5
    assert hidden.endswith(" unknown flag --http://host/ of us")
    for address in (
        *("http://user:12/SECRET@host/p", "https:////u:SECRET@h/x"),
        *("http://user:12#SECRET@host/p", "http://user:SECRET?12@host/p"),
        "http:///user:SECRET@host/p",
    ):
        assert "SECRET" not in urls.show_address(address)


@pytest.mark.parametrize(
    "argument",
    [
        "--size=http://user:SECRET@host/x",
        "--style_layers=http://user:SECRET@host/x",
        "--http://user:SECRET@host/x",
        "--dry_run=http://user:SECRET@host/x",
    ],
)
def test_an_address_that_is_no_value_tells_no_secret(argument, capsys):
    assert main.main([argument, "--content=a.png", "--style=b.png"]) == 1
    assert "secret" not in capsys.readouterr().err.lower()


def test_a_path_is_shown_as_it_is():
    for path in ("a b.png", "-", "C://a.png", "a?b#c@d.png", "/a/http"):
        assert urls.show_source(path) == path
        assert not urls.is_address(path)


ADDRESSES = [
    _hide("localhost:1"),
    _hide("{host}", "/missing"),
    _hide("{host}", "/moved"),
    _hide("{host}", "/away"),
    "http://jane:pass/word-to-ken@host/",
    "http://jane:pass-word@[/?to-ken",
    "http://jane:pass-word@host:port/?to-ken",
    "http://jane:pass-word@loc alhost/?to-ken",
    "http://jane:pass-word@localhost:1/a\x01b?to-ken",
    "http://jane:pass-word@\udcff/?to-ken",
    "ftp://jane:pass-word@host/a.png?to-ken",
    " http://jane:pass-word@localhost:1/?to-ken",
]
PLACES = (
    *("content", "style", "init", "keep_mask", "weights", "flagfile", "log"),
    *("output", "rerun", "describe", "summary_dir", "timelapse"),
    *("checkpoint_dir", "sweep"),
)


def _check_hidden(text):
    found = [secret for secret in SECRETS if secret in text]
    assert not found, text


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_failed_download_tells_no_secret(host, address):
    with pytest.raises(ValueError) as caught:
        sources.load(address.replace("{host}", host))
    error = caught.value
    while error:  # as a traceback shows it
        _check_hidden(f"{error!s} {error!r}")
        error = error.__cause__ or (
            None if error.__suppress_context__ else error.__context__
        )


@pytest.mark.parametrize("name", ["", *PLACES])
def test_an_address_in_any_place_tells_no_secret(folder, capfd, name):
    typed = f"--{name}={_hide('localhost:1')}" if name else ADDRESSES[0]
    if name == "sweep":
        typed = f"--sweep=content:{ADDRESSES[0]};{ADDRESSES[0]}"
    before = [] if name == "describe" else ["--flagfile=toy.cfg"]
    assert run.main([*before, typed]) == 1
    out, err = capfd.readouterr()
    assert err.count("\n") < 3 and "localhost:1" in err
    _check_hidden(out + err)
    assert not list(Path().rglob("*jane*"))


def test_a_run_writes_no_secret(folder, host, painter, capfd):
    typed = ["--flagfile=toy.cfg", f"--content={_hide(host)}", "--levels=1"]
    typed += [f"--style={_hide(host)}", "--style=paint.png", "--record_paths"]
    typed += ["--summary_dir=board", "--log=a.jsonl", "--checkpoint_dir=kept"]
    for _ in range(2):  # the second is from the cache
        assert main.main([*typed, "--output=a.png", "--overwrite"]) == 0
    record = records.read_record("a.png")
    assert record["inputs"]["content"]["name"] == f"http://{host}/a.png"
    assert run.main(["--describe=a.png"]) == 0
    out, err = capfd.readouterr()
    assert f"downloading http://{host}/a.png ...\n" in err
    _check_hidden(out + err)
    written = [path for path in Path().rglob("*") if path.is_file()]
    assert any("tfevents" in path.name for path in written)
    for path in written:
        _check_hidden(f"{path} {path.read_bytes().decode('latin-1')}")


def test_the_host_that_is_asked_is_the_one_that_is_shown(host, caplog):
    caplog.set_level(logging.INFO, "nst_tf")
    sources.load(f"http://{host}?x=@good.example/")
    # Its port could be the beginning of a password.
    assert caplog.messages == ["downloading http://... ..."]
    shown = urls.show_address("http://127.0.0.1?x=@good.example/")
    assert shown == "http://127.0.0.1"


def test_sheets_flags_and_tables_show_no_secret():
    address = _hide("host")
    job = settings.Job(content=address, style=(address, "a.png"))
    lines = settings.format_flags(job)
    assert lines == [
        "--content=http://host/a.png",
        "--style=http://host/a.png",
        "--style=a.png",
    ]
    [[cell]] = sweeps.make_grid(settings.Job(sweep=(f"content:{address}",)))
    assert cell.label == ("--content=http://host/a.png",)
    assert cell.job.content == address
    typed = [address, f"--content={address}", "--style=a"]
    request = judge_command.parse(typed)
    judged = judging.Judgement(1, 1, 0.5, {"a": 0.5}, *[0.5] * 5)
    for write in (judge_command.write_table, judge_command.write_json):
        text = "\n".join(write(request, "vgg19", [judged]))
        assert "http://host/a.png" in text
        _check_hidden(text)


def test_a_flag_file_shows_no_secret(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_text(f"content={_hide('host')}\n")
    with pytest.raises(ValueError, match="line 1, has ") as caught:
        flags.parse([f"--flagfile={path}"])
    _check_hidden(str(caught.value))
