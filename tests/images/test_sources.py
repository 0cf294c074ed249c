"""Pictures from addresses and standard input; hosts that misbehave."""

import io
import itertools
import logging
import threading
from pathlib import Path
from types import SimpleNamespace

import hosts
import numpy as np
import pytest
import toys
from PIL import Image

from nst_tf import urls
from nst_tf.cli import main
from nst_tf.images import image_io, reading, sources
from nst_tf.plan import checks, settings


def _png():
    pixels = np.rint(255 * toys.image(20, 30)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


class _Handler(hosts.Handler):
    """Answers each path in its own way; counts what it is asked for."""

    asked: list[str] = []
    authorization = None

    def do_GET(self):
        type(self).asked.append(self.path)
        type(self).authorization = self.headers.get("Authorization")
        getattr(self, self.path.strip("/").partition(".")[0])()

    def _send(self, body, *, status=200, length=None, **headers):
        self.send_response(status)
        if length != 0:
            self.send_header("Content-Length", str(length or len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def ok(self):
        self._send(_png())

    def mistyped(self):
        self._send(_png(), Content_Type="text/html")

    def moved(self):
        self._send(b"", status=302, Location="/ok.png")

    def circle(self):
        self._send(b"", status=302, Location="/circle")

    def file(self):
        self._send(b"", status=302, Location="file:///etc/hostname")

    def ftp(self):
        self._send(b"", status=302, Location="ftp://localhost/a.png")

    def missing(self):
        self._send(b"not here", status=404)

    def page(self):
        self._send(b"<!DOCTYPE html><p>Hello</p>", Content_Type="image/png")

    def short(self):
        self._send(_png()[:100], length=500)

    def long(self):
        self._send(b"", length=10**11)

    def endless(self):
        self._send(b"", length=0)
        while True:
            self.wfile.write(bytes(1 << 16))

    def silent(self):
        self.server.over.wait()


@pytest.fixture
def host():
    """The address of a server on localhost."""
    _Handler.asked = []
    with hosts.serve(_Handler) as server:
        server.over = threading.Event()
        yield f"http://localhost:{server.server_port}"
        server.over.set()


@pytest.mark.parametrize("path", ["ok.png", "mistyped", "moved"])
def test_a_picture_is_downloaded_once(host, caplog, path):
    caplog.set_level(logging.INFO, "nst_tf")
    pictures = [sources.load(f"{host}/{path}") for _ in range(2)]
    expected = image_io.read_picture(_png(), "a")
    for picture in pictures:
        np.testing.assert_array_equal(picture.pixels, expected.pixels)
        assert picture.digest == expected.digest
    assert len(_Handler.asked) == (2 if path == "moved" else 1)
    assert caplog.messages == [
        f"downloading {host}/{path} ...",
        f"using the cached download of {host}/{path}, "
        f"{sources.find_cached(f'{host}/{path}')}",
    ]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("circle", "redirects too often, or in a circle"),
        ("file", "redirects to file:///etc/hostname, which is neither"),
        ("ftp", "redirects to ftp://localhost/a.png"),
        ("missing", "404"),
        ("page", "web page; pass the address of the image"),
        ("short", "closed 400 bytes too early"),
        ("long", "has 100000 MB, and the limit is 1 MB"),
        ("endless", "sent more than 1 MB"),
        ("silent", "no answer within 0.05 seconds"),
    ],
)
def test_a_host_that_misbehaves_is_said_and_not_remembered(
    host, monkeypatch, path, words
):
    monkeypatch.setattr(reading, "LEAST_BYTES", 10**6)
    if path == "silent":  # it never answers: any time is too short
        monkeypatch.setattr(sources, "FIRST_BYTE_SECONDS", 0.05)
    with pytest.raises(ValueError, match=words) as caught:
        sources.load(f"{host}/{path}", 0.01)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert not sources.find_cached(f"{host}/{path}").exists()


class _Answer:
    """Sends a byte at a time, as long as it has some; and then it hangs."""

    headers: dict[str, str] = {}

    def __init__(self, length):
        self.length = length

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read1(self, _):
        if not self.length:
            raise TimeoutError("timed out")
        self.length -= 1
        return b"x"


@pytest.mark.parametrize(
    ("length", "words"),
    [(100, "took more than 120 seconds"), (3, "sent nothing for 10 seconds")],
)
def test_a_host_that_is_slow_is_left(monkeypatch, length, words):
    answer, timeouts = _Answer(length), []

    def open_(request, timeout):
        timeouts.append(timeout)
        return answer

    opener = SimpleNamespace(open=open_)
    clock = SimpleNamespace(monotonic=itertools.count(0, 30).__next__)
    monkeypatch.setattr(urls.urllib.request, "build_opener", lambda *_: opener)
    monkeypatch.setattr(urls, "time", clock)
    with pytest.raises(ValueError, match=words) as caught:
        sources.load("http://host/a.png")
    assert str(caught.value).startswith("http://host/a.png cannot be downl")
    # The first byte, after which the clock says 30 seconds, and four more.
    assert answer.length == (95 if length == 100 else 0)
    assert timeouts == [urls.STALL_SECONDS]


@pytest.mark.parametrize(
    "url",
    ["http://localhost:9/a.png", "http://", "https://local host/", "http://[/"],
)
def test_an_address_where_nobody_answers_is_said(url):
    with pytest.raises(ValueError, match="cannot be downloaded") as caught:
        sources.load(url)
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_gone_without(host, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    assert sources.load(f"{host}/ok.png").pixels.shape == (20, 30, 3)


def test_without_a_home_a_picture_is_downloaded_each_time(host, no_home):
    url = f"{host}/ok.png"
    assert sources.find_cached(url) is None
    for _ in range(2):
        assert sources.load(url).pixels.shape == (20, 30, 3)
    assert len(_Handler.asked) == 2


def test_what_may_not_be_downloaded_is_taken_from_the_cache(host):
    url = f"{host}/ok.png"
    with pytest.raises(ValueError, match=f"{url} is not in the cache, and --d"):
        sources.load(url, may_download=False)
    assert not _Handler.asked
    expected = sources.load(url).pixels
    found = sources.load(url, may_download=False).pixels
    np.testing.assert_array_equal(found, expected)
    assert len(_Handler.asked) == 1


def _pipe(monkeypatch, data, terminal=False):
    stdin = SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: terminal)
    monkeypatch.setattr(sources.sys, "stdin", stdin)


def test_a_picture_comes_from_standard_input(monkeypatch):
    _pipe(monkeypatch, _png())
    expected = image_io.read_picture(_png(), "a").pixels
    np.testing.assert_array_equal(sources.load("-").pixels, expected)


@pytest.mark.parametrize(
    ("data", "terminal", "words"),
    [
        (b"", False, "standard input is empty"),
        (b"text", False, "standard input cannot be read: it is not an image"),
        (b"", True, "is a terminal"),
        (bytes(10**6 + 1), False, "the limit is 1 MB"),
    ],
)
def test_standard_input_that_is_no_picture_is_refused(
    monkeypatch, data, terminal, words
):
    monkeypatch.setattr(reading, "LEAST_BYTES", 10**6)
    _pipe(monkeypatch, data, terminal)
    with pytest.raises(ValueError, match=words):
        sources.load("-", 0.01)


def test_standard_input_holds_one_picture():
    request = settings.Job(content="-", style=("-",))
    with pytest.raises(ValueError, match="several pictures are '-'"):
        checks.check(request)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a/b c.png", "b c.png"),
        ("https://host/a.png/", "a.png"),
        ("http://host/.hidden.png", "hidden.png"),
        ("-", "standard-input"),
        ("https://user:word@host/a/b%20c.jpg?key=1", "b c.jpg"),
        ("http://host", "download"),
        ("http://host/..%2f..%2fa.png", "a.png"),
        ("http://host/a%0ab%1b.png", "ab.png"),
        ("http://host/-rf.png", "rf.png"),
        ("http://host/a:%22b%22%3F%3C%3E%7C%2A%5C.jpg", "ab.jpg"),  # Windows
    ],
)
def test_sources_have_names(source, name):
    assert sources.find_name(source) == name


def test_a_folder_may_be_below_home_and_is_no_file(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").touch()
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    for folder in (tmp_path, f"~/{tmp_path.name}"):
        assert sources.is_folder(folder)
        assert sources.list_pictures(folder)[0].endswith("a.jpg")
    assert not sources.is_folder(tmp_path / "a.jpg")
    assert not sources.is_folder(np.zeros(3))


def test_a_folder_takes_what_a_single_file_may_be_called():
    image_io.read_picture(_png(), "a")  # adds HEIC's reader, if it is there
    known = Image.registered_extensions()
    readers = {*reading.PILLOW_READERS, "DIB"}
    expected = {each for each in known if known[each] in readers}
    more = set(sources.INPUT_EXTENSIONS) - expected
    assert expected <= set(sources.INPUT_EXTENSIONS)
    assert more <= {".heic", ".heics", ".heif", ".heifs", ".hif"}


def test_a_folder_that_cannot_be_read_is_said(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ValueError, match=r"style folder .* Permission denied"):
        sources.list_pictures(tmp_path)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("a.png", True), ("-", False), ("https://host/a.png", False)],
)
def test_a_path_is_a_file(source, expected):
    assert sources.is_file(source) is expected


def test_the_program_takes_addresses_and_standard_input(
    host, monkeypatch, folder
):
    _pipe(monkeypatch, _png())
    arguments = ["--flagfile=toy.cfg", f"--content={host}/ok.png", "--style=-"]
    assert main.main([*arguments, "--size=48"]) == 0
    assert Image.open("ok-standard-input.png").size == (48, 32)


def test_each_address_has_its_place_in_the_cache():
    addresses = [f"http://host/{name}.png" for name in "ab"]
    assert len({sources.find_cached(each) for each in addresses}) == 2


def test_a_damaged_cache_is_downloaded_again(host):
    url = f"{host}/ok.png"
    expected = sources.load(url).pixels
    sources.find_cached(url).write_bytes(b"half a picture")
    np.testing.assert_array_equal(sources.load(url).pixels, expected)
    assert len(_Handler.asked) == 2


def test_names_passwords_and_strange_letters_are_sent_as_they_should(
    host, caplog
):
    address = host.replace("http://", "http://jane:se%20cret@")
    caplog.set_level(logging.INFO, "nst_tf")
    sources.load(f"{address}/ok.png?a=ü b")
    assert caplog.messages == [f"downloading {host}/ok.png ..."]
    assert _Handler.asked == ["/ok.png?a=%C3%BC%20b"]
    assert _Handler.authorization == "Basic amFuZTpzZSBjcmV0"
