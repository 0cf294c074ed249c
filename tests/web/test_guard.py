"""Whom the server answers: hosts, origins, tokens, and how long bodies are."""

import asyncio

import pytest

from nst_tf.web import guard

LOCAL = guard.Access()
SECRET = guard.Access(frozenset({"hub.example"}), token="s3cret")
OPEN = guard.Access(is_public=True, token="s3cret")
BROWSER = {"host": "127.0.0.1:8000", "sec-fetch-site": "same-origin"}


async def _application(scope, receive, send):
    """Answers with the length of the body that it has received."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def ask(access, headers, method="GET", path="/", parts=(b"",), query=b""):
    """Asks a guarded application: status, headers, body, parts it has read."""
    messages, sent = list(parts), []

    async def receive():
        part = messages.pop(0)
        return {
            "type": "http.request", "body": part, "more_body": bool(messages)
        }  # fmt: skip

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "query_string": query,
        "headers": [(n.encode(), v.encode()) for n, v in headers.items()],
    }  # fmt: skip
    asyncio.run(guard.Guard(_application, access, "nst")(scope, receive, send))
    found = {n.decode(): v.decode() for n, v in sent[0]["headers"]}
    return sent[0]["status"], found, sent[1]["body"], len(parts) - len(messages)


@pytest.mark.parametrize(
    ("access", "host", "is_known"),
    [
        (LOCAL, "127.0.0.1:8000", True),
        (LOCAL, "localhost", True),
        (LOCAL, "LOCALHOST:9999", True),  # an SSH tunnel has a port of its own
        (LOCAL, "[::1]:8000", True),
        (LOCAL, "127.3.2.1", True),
        (LOCAL, "evil.example:8000", False),  # DNS rebinding
        (LOCAL, "localhost.evil.example", False),
        (LOCAL, "127.0.0.1.evil.example", False),
        (LOCAL, "evil.example@127.0.0.1.x", False),
        (LOCAL, "192.168.1.7:8000", False),
        (LOCAL, "0.0.0.0:8000", False),
        (LOCAL, "[", False),
        (LOCAL, "", False),
        (OPEN, "192.168.1.7:8000", True),
        (OPEN, "evil.example", False),
        (SECRET, "hub.example", True),
        (SECRET, "hub.example.evil.example", False),
    ],
)
def test_the_host_is_a_name_of_this_machine(access, host, is_known):
    headers = {"host": host, "cookie": f"nst={access.token}"}
    status, _, body, _ = ask(access, headers)
    assert status == (200 if is_known else 403)
    assert is_known or b"--allow_host" in body


@pytest.mark.parametrize(
    ("access", "host", "origin", "is_own"),
    [
        (LOCAL, "127.0.0.1:8000", "http://127.0.0.1:8000", True),
        (LOCAL, "localhost:81", "http://localhost:81", True),
        (LOCAL, "127.0.0.1:8000", "http://127.0.0.1:3000", False),
        (LOCAL, "127.0.0.1:8000", "http://localhost:8000", False),
        (LOCAL, "127.0.0.1:8000", "https://evil.example", False),
        (LOCAL, "127.0.0.1:8000", "null", False),
        (LOCAL, "127.0.0.1:8000", "file://", False),
        (LOCAL, "127.0.0.1:8000", "chrome-extension://127.0.0.1:8000", False),
        (SECRET, "localhost:8000", "https://hub.example", True),
        (SECRET, "localhost:8000", "https://evil.example", False),
    ],
)
def test_a_page_of_another_origin_is_not_answered(access, host, origin, is_own):
    headers = {"host": host, "origin": origin, "cookie": "nst=s3cret"}
    for method in ("GET", "POST", "DELETE", "OPTIONS"):
        status = ask(access, headers, method, "/api/jobs")[0]
        assert status == (200 if is_own else 403), method


@pytest.mark.parametrize(
    ("method", "path", "site", "destination", "status"),
    [
        ("POST", "/api/jobs", "same-origin", "empty", 200),
        ("GET", "/", "none", "document", 200),
        ("GET", "/", "cross-site", "document", 200),  # a link leads here
        ("GET", "/", "cross-site", "iframe", 403),
        ("GET", "/", "cross-site", "empty", 403),
        ("POST", "/", "cross-site", "document", 403),
        ("GET", "/api/jobs", "cross-site", "document", 403),
        ("POST", "/api/jobs", "same-site", "empty", 403),  # another port
        ("POST", "/api/jobs", "cross-site", "empty", 403),
        ("GET", "/api/jobs/1/result/png", "cross-site", "image", 403),
    ],
)
def test_a_browser_says_who_asks(method, path, site, destination, status):
    headers = {
        **BROWSER, "sec-fetch-site": site, "sec-fetch-dest": destination
    }  # fmt: skip
    assert ask(LOCAL, headers, method, path)[0] == status


def test_a_body_is_as_long_as_it_may_be():
    part = bytes(guard.LARGEST_TEXT // 2)
    path = "/api/jobs"
    assert ask(LOCAL, BROWSER, "POST", path, [part, part])[0] == 200
    # It says nothing of its length, and does not end.
    status, _, _, read = ask(LOCAL, BROWSER, "POST", path, [part] * 99)
    assert (status, read) == (413, 3)
    for length in ("2000000000", "-1", "x", "200001", "9" * 5000):
        told = {**BROWSER, "content-length": length}
        status, _, body, read = ask(LOCAL, told, "POST", path, [part] * 9)
        assert (status, read) == (413, 0) and b"0.2 MB" in body
    told = {**BROWSER, "content-length": "2000000000"}
    status, headers, body, _ = ask(LOCAL, told, "POST", guard.UPLOADS)
    assert status == 413 and b"200 MB" in body
    assert headers["connection"] == "close"


@pytest.mark.parametrize(
    ("path", "query", "cookie", "status"),
    [
        ("/", b"token=s3cret", "", 200),
        ("/", b"", "", 401),
        ("/", b"token=wrong", "", 401),
        ("/", b"token=", "", 401),
        ("/", b"token=s3cret%00", "", 401),
        ("/api/jobs", b"token=s3cret", "", 401),  # the page's address only
        ("/api/jobs", b"", "nst=s3cret", 200),
        ("/api/jobs", b"", "a=b; nst=s3cret", 200),
        ("/api/jobs", b"", "nst=s3cre", 401),
        ("/api/jobs", b"", "nst=\xc3\xa9", 401),
        ("/api/jobs", b"", "nst8001=s3cret", 401),
    ],
)
def test_a_server_for_others_demands_its_token(path, query, cookie, status):
    headers = {"host": "hub.example", "cookie": cookie}
    found, told, body, _ = ask(SECRET, headers, path=path, query=query)
    assert found == status
    assert (status == 401) == (b"with its token" in body)
    if query == b"token=s3cret" and path == "/":
        assert told["set-cookie"].startswith("nst=s3cret; HttpOnly; SameSite")
    else:
        assert "set-cookie" not in told


def test_every_answer_says_what_a_browser_may_do_with_it():
    for headers in (BROWSER, {"host": "evil.example"}):
        told = ask(LOCAL, headers)[1]
        policy = told["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert told["x-content-type-options"] == "nosniff"
        assert told["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in told
