"""Files: atomic writes, digests, downloads, our folders; optional packages."""

import base64
import contextlib
import errno
import hashlib
import http.client
import importlib
import os
import queue
import secrets
import stat
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

import nst_tf
from nst_tf import locks

SCHEMES = ("http", "https")
FIRST_BYTE_SECONDS = 3.0  # for a host to be looked up, to accept and to answer
STALL_SECONDS = 10.0  # without a byte, once the answer has begun


@contextlib.contextmanager
def write_atomically(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that takes its place in one move, when it is whole.

    It is written beside its place. What killed runs left there is removed.
    Shares that refuse to set permissions, or to sync, are written to as well.

    Args:
        path: The file.

    Raises:
        OSError: If it cannot be written; nothing is left behind.
    """
    if path.is_symlink():  # the link stays, and what it names is written
        path = path.resolve()
    locks.remove_leftovers(path.parent)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    temporary, file = locks.create_temporary(
        path.parent, path.suffix, 0o666 if mode is None else mode | 0o600
    )
    try:
        with file:
            yield file
            file.flush()
            _sync(file)
            if mode is not None:
                with contextlib.suppress(OSError):
                    os.chmod(temporary, mode)
            # The lock is held until the file has its place. Windows and some
            # shares move no open file; they have another try below.
            with contextlib.suppress(OSError):
                os.replace(temporary, path)
                return
        _replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync(file: BinaryIO) -> None:
    """Waits until a file is on its disk, where the file system can tell."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
            raise


def _replace(new: Path, path: Path) -> None:
    """Moves a file over another, which is moved aside if it must be."""
    try:
        os.replace(new, path)
        return
    except OSError:
        if not path.is_file():
            raise
    # Not a temporary file's name: if this process is killed here, it stays.
    aside = path.with_name(f"{path.name[:40]}.{secrets.token_hex(4)}.old")
    os.rename(path, aside)
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(aside, path)
        raise
    with contextlib.suppress(OSError):
        aside.unlink()


def check_folder_writable(folder: Path) -> None:
    """Raises OSError unless a file can be made in a folder that exists."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def is_installed(module: str) -> bool:
    """Returns whether a module of another package can be imported."""
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def require_extra(
    module: str, extra: str, setting: str, otherwise: str = ""
) -> None:
    """Checks that an optional package is installed.

    Args:
        module: What is imported from it.
        extra: Of nst_tf's extras, the one that installs it.
        setting: What needs it, the start of the sentence.
        otherwise: The end of the sentence, such as what to do without it.

    Raises:
        ValueError: If it is not: with the command that installs it.
    """
    if not is_installed(module):
        raise ValueError(
            f"{setting} needs a package that is not installed: pip install "
            f'"nst-tf[{extra}]"{otherwise}'
        )


def digest_file(path: Path) -> str:
    """Returns the SHA-256 digest of a file, as "sha256:..."."""
    with open(path, "rb") as file:
        return digest_stream(file)


def digest_stream(file: BinaryIO) -> str:
    """Returns the SHA-256 digest of a whole file, open for reading."""
    digest = hashlib.sha256()
    file.seek(0)
    while part := file.read(1 << 20):
        digest.update(part)
    return f"sha256:{digest.hexdigest()}"


def cache_folder() -> Path:
    """The folder of our own downloads; it may not exist."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "nst_tf"


def presets_folder() -> Path:
    """The folder of the presets, in the package or beside it."""
    package = Path(__file__).resolve().parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def example_images() -> dict[str, Path]:
    """Lists the pictures that ship with the package: name -> path.

    Returns:
        Paths by the names of their files without extension, sorted:
        photographs, such as "harbor_at_dusk", paintings, such as
        "swirling_night", and a mask, "harbor_sky".
    """
    images = (presets_folder() / "images").iterdir()
    return {path.stem: path for path in sorted(images)}


def is_address(text: str) -> bool:
    """Whether a text is an address that can be asked, and no path."""
    return text.lower().startswith(tuple(f"{name}://" for name in SCHEMES))


def download(
    url: str,
    *,
    limit: int | None = None,
    seconds: float | None = None,
    first_byte_seconds: float = FIRST_BYTE_SECONDS,
) -> Iterator[bytes]:
    """Asks an address, and yields what it sends.

    Args:
        url: With http or https; redirections are followed to such only.
        limit: Bytes that may be sent; None for any number.
        seconds: That all of it may take; None for any time.
        first_byte_seconds: That may pass before it begins.

    Raises:
        OSError: If the address is none, the host does not answer in time,
            stops for `STALL_SECONDS`, breaks off, or goes beyond a limit.
    """
    end = None if seconds is None else time.monotonic() + seconds
    sent = 0
    try:
        response, chunk = _begin(url, first_byte_seconds)
        with response:
            _check_length(response.headers.get("Content-Length"), limit)
            while chunk:
                sent += len(chunk)
                if limit is not None and sent > limit:
                    raise OSError(f"it sent more than {limit / 1e6:.0f} MB")
                yield chunk
                if end is not None and time.monotonic() > end:
                    raise TimeoutError(f"it took more than {seconds:g} seconds")
                chunk = _more(response)
            if response.length:
                raise OSError(f"it broke off, {response.length} bytes too soon")
    except http.client.HTTPException as error:
        raise OSError(f"it broke off: {error!r}") from error


def _begin(url: str, seconds: float):  # type: ignore[no-untyped-def]
    """Opens an address and reads its first bytes, within a time limit.

    Neither the look-up of a name nor the second of two addresses respects a
    socket's time limit, so a thread waits, and is left behind if need be.
    """
    answers: queue.Queue[object] = queue.Queue()

    def ask() -> None:
        try:
            request = _request(url)
            opener = urllib.request.build_opener(_Redirections)
            response = opener.open(request, timeout=STALL_SECONDS)
            answers.put((response, response.read1(1 << 16)))
        except Exception as error:  # urllib raises many kinds
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} seconds") from None
    if isinstance(answer, OSError):
        raise answer
    if isinstance(answer, Exception):
        raise OSError(f"{type(answer).__name__}: {answer}") from answer
    return answer


def _request(url: str) -> urllib.request.Request:
    """Writes an address as it is sent: with a name and password apart."""
    parts = urllib.parse.urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not host.isascii():
        host = host.encode("idna").decode()
    safe = "/%:@!$&'()*+,;=~?[]"
    path, query = (
        urllib.parse.quote(part, safe=safe)
        for part in (parts.path, parts.query)
    )
    address = urllib.parse.urlunsplit((parts.scheme, host, path, query, ""))
    request = urllib.request.Request(
        address, headers={"User-Agent": f"nst_tf/{nst_tf.__version__}"}
    )
    if at:
        secret = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {secret}")
    return request


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Follows redirections to http and https only."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not is_address(newurl):
            raise urllib.error.URLError(f"it redirects to {newurl[:60]}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_length(announced: str | None, limit: int | None) -> None:
    """Raises OSError if an answer says that it is too long."""
    if limit is None or announced is None or not announced.isdecimal():
        return
    if int(announced) > limit:
        raise OSError(
            f"it would send {int(announced) / 1e6:.0f} MB, and at most "
            f"{limit / 1e6:.0f} are read"
        )


def _more(response: http.client.HTTPResponse) -> bytes:
    """Reads what has come, and waits for it if need be."""
    try:
        return response.read1(1 << 20)
    except TimeoutError:
        raise TimeoutError(
            f"it stopped for {STALL_SECONDS:g} seconds"
        ) from None
