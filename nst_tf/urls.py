"""Downloads from addresses, and hides their secrets.

User, password, query and fragment of an address may be secrets. Every address
that a program shows, writes or records passes through `show_address`.
"""

import base64
import contextlib
import http.client
import queue
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import IO, Any

import nst_tf

SCHEMES = ("http", "https")
FIRST_BYTE_SECONDS = 3.0  # for DNS, connection and first byte
STALL_SECONDS = 10.0  # without a byte, after the first
_SCHEME = re.compile(r"\s*[a-z][a-z0-9+.-]{1,20}://", re.IGNORECASE)
_IN_TEXT = re.compile(r"[a-z][a-z0-9+.-]{1,20}://\S*", re.IGNORECASE)
_NO_ADDRESS = "it is not a valid address"


def is_address(text: str) -> bool:
    """Returns whether a text is an http or https address."""
    begins = tuple(f"{name}://" for name in SCHEMES)
    return text.lstrip().lower().startswith(begins)


def has_scheme(text: str) -> bool:
    """Returns whether a text begins like an address of any scheme."""
    return _SCHEME.match(text) is not None


def show_address(address: str) -> str:
    """Formats an address without user, password, query and fragment."""
    try:
        parts = urllib.parse.urlsplit(address)
        _ = parts.port  # raises if a password contains a slash
    except ValueError:
        return f"{address.strip().partition('://')[0]}://..."
    host, rest = parts.netloc, (parts.path, parts.query, parts.fragment)
    # A /, ? or # in a password looks like the end of the host.
    is_cut = "@" in parts.path or (":" in host and "@" in "".join(rest))
    if is_cut or (not host and parts.scheme in SCHEMES):
        return f"{parts.scheme}://..."
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def show_source(text: str) -> str:
    """Applies `show_address` to an address; returns other text unchanged."""
    return show_address(text) if has_scheme(text) else text


def hide_addresses(text: str) -> str:
    """Applies `show_address` to each address in a text."""
    return _IN_TEXT.sub(lambda match: show_address(match[0]), text)


def download(
    address: str,
    *,
    limit: int,
    seconds: float,
    first_byte_seconds: float = FIRST_BYTE_SECONDS,
    report: Callable[[int, int], None] = lambda sent, total: None,
) -> Iterator[bytes]:
    """Downloads from an address, and yields the received bytes.

    Args:
        address: An http or https address; redirections must be, too.
        limit: Maximum number of bytes.
        seconds: Time limit of the whole download.
        first_byte_seconds: Time limit of the first byte.
        report: Called with the received and the total bytes, or 0 if the total
            is unknown.

    Raises:
        OSError: If the address is invalid, the host does not answer in time,
            pauses for `STALL_SECONDS`, closes the connection early or exceeds a
            limit. The message does not contain the address.
    """
    end = time.monotonic() + seconds
    sent = 0
    try:
        response, chunk = _begin(address, first_byte_seconds)
        with response:
            _check_length(response.length, limit)
            total = len(chunk) + response.length if response.length else 0
            while chunk:
                sent += len(chunk)
                report(sent, total)
                if sent > limit:
                    raise OSError(
                        f"the host sent more than {limit / 1e6:.0f} MB"
                    )
                yield chunk
                if time.monotonic() > end:
                    raise TimeoutError(
                        f"the download took more than {seconds:g} seconds"
                    )
                chunk = _more(response)
            if response.length:
                raise OSError(
                    f"the connection closed {response.length} bytes too early"
                )
    except http.client.HTTPException as error:
        raise OSError(
            f"the connection failed ({type(error).__name__})"
        ) from None


def _begin(address: str, seconds: float):  # type: ignore[no-untyped-def]
    """Opens an address and reads its first bytes, within a time limit.

    A socket's timeout does not cover the DNS lookup, nor a second IP address,
    so a thread waits for them, and is abandoned after the limit.
    """
    answers: queue.Queue[object] = queue.Queue()

    def ask() -> None:
        try:
            request = _request(address)
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
    if isinstance(answer, Exception):
        raise OSError(_explain(answer)) from None
    return answer


def _explain(error: BaseException) -> str:
    """Explains why a request failed; urllib's messages quote the address."""
    if isinstance(error, urllib.error.HTTPError):
        with contextlib.closing(error):
            if error.code in (301, 302, 303, 307, 308):
                return "the host redirects too often, or in a circle"
            words = http.client.responses.get(error.code, "")
            return f"the host answered {error.code} {words}".rstrip()
    if isinstance(error, urllib.error.URLError):
        if not isinstance(error.reason, OSError):
            return _NO_ADDRESS
        error = error.reason
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, ValueError | http.client.InvalidURL):
        return _NO_ADDRESS
    return f"the answer is not HTTP ({type(error).__name__})"


def _request(address: str) -> urllib.request.Request:
    """Makes the request for an address; user and password go into a header."""
    parts = urllib.parse.urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    if not host.isascii():
        host = host.encode("idna").decode()
    safe = "/%:@!$&'()*+,;=~?[]"
    path, query = (
        urllib.parse.quote(part, safe=safe)
        for part in (parts.path, parts.query)
    )
    request = urllib.request.Request(
        urllib.parse.urlunsplit((parts.scheme, host, path, query, "")),
        headers={"User-Agent": f"nst_tf/{nst_tf.__version__}"},
    )
    if at:
        secret = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {secret}")
    return request


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Follows redirections to http and https only."""

    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any:
        target = headers.get("location") or headers.get("uri") or ""
        target = urllib.parse.urljoin(req.full_url, target)
        if not is_address(target):
            raise OSError(
                f"the host redirects to {show_address(target)[:60]}, which is "
                "neither http nor https"
            )
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_302
    http_error_307 = http_error_308 = http_error_302


def _check_length(announced: int | None, limit: int) -> None:
    """Raises OSError if the announced length is above the limit."""
    if announced is not None and announced > limit:
        raise OSError(
            f"the file has {min(announced, 10**15) / 1e6:.0f} MB, and the "
            f"limit is {limit / 1e6:.0f} MB"
        )


def _more(response: http.client.HTTPResponse) -> bytes:
    """Reads the next bytes; waits for them if necessary."""
    try:
        return response.read1(1 << 20)
    except TimeoutError:
        raise TimeoutError(
            f"the host sent nothing for {STALL_SECONDS:g} seconds"
        ) from None
