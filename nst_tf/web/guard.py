"""Checks the host, origin, token and size of every request.

Any page that the user visits can send requests to 127.0.0.1, and its host name
can resolve to that address (DNS rebinding). Therefore the server accepts only
host names of this machine, and only requests from its own page.
"""

import ipaddress
import json
import secrets
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

LARGEST_BODY = 200_000_000  # bytes, of an upload
LARGEST_TEXT = 200_000  # bytes, of any other request
UPLOADS = "/api/pictures"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[
    [MutableMapping[str, Any], Receive, Send], Awaitable[Any]
]


class Access(NamedTuple):
    """The hosts and clients that may use the server.

    Attributes:
        names: Allowed host names, besides localhost.
        is_public: Whether any IP address may be the host, not only loopback.
        token: The token that a client must send; empty: none.
    """

    names: frozenset[str] = frozenset()
    is_public: bool = False
    token: str = ""


class RefusedError(Exception):
    """A request that the server refuses.

    Args:
        status: HTTP status.
        reason: The message for the user, in one sentence.
    """

    def __init__(self, status: int, reason: str):
        super().__init__(reason)
        self.status = status


def check(
    access: Access, method: str, path: str, headers: Mapping[str, str]
) -> None:
    """Checks the origin and the declared length of a request.

    Args:
        access: The hosts that may use the server.
        method: HTTP method.
        path: Path without the query.
        headers: Headers, by their names in lower case.

    Raises:
        RefusedError: If the request is refused.
    """
    host = headers.get("host", "")
    if not _is_known(access, host):
        raise RefusedError(
            403,
            "this host name is unknown; allow it with --allow_host when you "
            "start the server.",
        )
    origin = headers.get("origin")
    if origin is not None and not _is_own(access, origin, host):
        raise RefusedError(403, "requests from other sites are refused.")
    site = headers.get("sec-fetch-site", "none")
    # A link on another site may open the page, and nothing else.
    is_link = (method, path, headers.get("sec-fetch-dest")) == (
        *("GET", "/"),
        "document",
    )
    if site not in ("same-origin", "none") and not is_link:
        raise RefusedError(403, "requests from other sites are refused.")
    limit = LARGEST_BODY if path == UPLOADS else LARGEST_TEXT
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 12 or int(length) > limit:
        raise _describe_large(limit)


def _is_known(access: Access, host: str) -> bool:
    """Returns whether a Host header names this machine."""
    name = _find_name(f"//{host}")
    if name == "localhost" or name in access.names:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or access.is_public


def _is_own(access: Access, origin: str, host: str) -> bool:
    """Returns whether an origin is this server or an allowed host."""
    scheme, _, rest = origin.partition("://")
    if scheme not in ("http", "https"):
        return False
    return rest == host or _find_name(f"//{rest}") in access.names


def _find_name(address: str) -> str:
    """Finds the name of a host in an address; empty if there is none."""
    try:
        return urllib.parse.urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _describe_large(limit: int) -> RefusedError:
    """Makes the error for a body that is too long."""
    return RefusedError(413, f"the limit is {limit / 1e6:g} MB.")


class Guard:
    """ASGI middleware that refuses requests, and limits their bodies.

    Args:
        application: The application that answers the other requests.
        access: The hosts and clients that may use it.
        cookie: The name of the cookie that holds the token.
    """

    def __init__(self, application: Application, access: Access, cookie: str):
        self._application, self._access = application, access
        self._cookie = cookie

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        """Answers a request."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        own, path = dict(_HEADERS), scope.get("path", "")
        has_begun = False

        async def send_more(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                added = [(n.encode(), v.encode()) for n, v in own.items()]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        try:
            if scope["type"] != "http":
                raise RefusedError(403, "only HTTP is supported.")
            headers = {
                name.decode("latin-1"): value.decode("latin-1")
                for name, value in scope["headers"]
            }
            check(self._access, scope["method"], path, headers)
            if new := self._check_token(scope, headers):
                own["set-cookie"] = new
            limit = LARGEST_BODY if path == UPLOADS else LARGEST_TEXT
            await self._application(scope, _limit(receive, limit), send_more)
        except RefusedError as error:
            if scope["type"] == "http" and not has_begun:
                await _answer(send_more, path, error)

    def _check_token(
        self, scope: Mapping[str, Any], headers: Mapping[str, str]
    ) -> str:
        """Checks the token, in the address of the page or in the cookie.

        Returns:
            The cookie to set; empty: none.

        Raises:
            RefusedError: If it is missing or wrong.
        """
        token = self._access.token
        if not token:
            return ""
        query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
        given = query.get("token", [""])[0] if scope["path"] == "/" else ""
        if secrets.compare_digest(given.encode(), token.encode()):
            rules = "HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000"
            return f"{self._cookie}={token}; {rules}"
        for part in headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie and secrets.compare_digest(
                value.encode(), token.encode()
            ):
                return ""
        raise RefusedError(
            401, "open the address that the server printed, with its token."
        )


def _limit(receive: Receive, limit: int) -> Receive:
    """Limits the received bytes of a body, whatever its declared length."""
    taken = 0

    async def receive_some() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _describe_large(limit)
        return message

    return receive_some


async def _answer(send: Send, path: str, error: RefusedError) -> None:
    """Answers with the reason of the refusal, and closes the connection."""
    kind, body = "text/plain; charset=utf-8", f"{error}\n"
    if path.startswith("/api/"):
        kind, body = "application/json", json.dumps({"error": str(error)})
    headers = [(b"content-type", kind.encode()), (b"connection", b"close")]
    start = {"type": "http.response.start", "status": error.status}
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
