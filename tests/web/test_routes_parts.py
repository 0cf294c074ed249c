"""Routes one by one: what each answers, and with which limits."""

import asyncio

import pytest
from test_routes import (  # noqa: F401  fixtures
    JOB,
    _finish,
    client,
    quick,
    routes,
    studio,
    testclient,
)

from nst_tf.web import guard, storage, work_queue


def _post(client, path, **given):  # noqa: F811
    return client.post(f"/api/jobs{path}", **given)


def test_limits_are_as_the_guide_says():
    assert (routes.STALL_SECONDS, routes.UPLOAD_SECONDS) == (20, 600)
    assert (routes.MOST_UPLOADS, routes.MOST_WATCHERS) == (8, 60)
    assert (work_queue.CHECKS, work_queue.MOST_CHECKS) == (2, 12)
    assert (work_queue.MOST_WAITING, work_queue.MOST_DEATHS) == (20, 4)
    assert (guard.LARGEST_BODY, guard.LARGEST_TEXT) == (2 * 10**8, 2 * 10**5)
    assert (storage.UNUSED, storage.LONGEST_NAME) == (60, 80)


def test_a_job_is_stopped_judged_and_continued_by_its_number(client, studio):  # noqa: F811
    number = _post(client, "", json=JOB).json()["id"]
    entry = studio.find(number)
    entry.state = storage.PAINTING
    told = _post(client, f"/{number}/stop").json()
    assert told["id"] == number and told["live"] == {"stage": "stopping"}
    entry.state = storage.STOPPED
    resumed = _post(client, f"/{number}/continue", json={})
    assert resumed.json()["id"] == number
    assert entry.state == storage.QUEUED
    _finish(studio, number)
    judged = _post(client, f"/{number}/judge").json()
    assert judged["live"] == {"stage": "waiting for the judge"}
    longer = _post(client, f"/{number}/continue", json={"steps": 5}).json()
    assert (longer["origin"], longer["settings"]["steps"]) == (number, [5])
    assert client.delete(f"/api/jobs/{number}").json() == {"id": number}


@pytest.mark.parametrize(
    ("more", "is_valid"),
    [
        *(({"size": 65536}, True), ({"size": 65537}, False)),
        *(({"steps": 100000}, True), ({"steps": 100001}, False)),
        *(({"size": -1}, False), ({"steps": -1}, False)),
    ],
)
def test_a_job_is_continued_within_bounds(client, studio, more, is_valid):  # noqa: F811
    number = _post(client, "", json=JOB).json()["id"]
    _finish(studio, number)
    status = _post(client, f"/{number}/continue", json=more).status_code
    assert status == (200 if is_valid else 422)


@pytest.mark.parametrize("length", [1, 60, 61])
def test_a_number_is_at_most_so_long(client, length):  # noqa: F811
    status = client.get(f"/api/jobs/{'a' * length}").status_code
    assert status == (404 if length <= 60 else 422)


def test_a_preview_is_that_of_the_process_while_it_paints(client, studio):  # noqa: F811
    number = _post(client, "", json=JOB).json()["id"]
    entry, path = studio.find(number), f"/api/jobs/{number}/preview"
    assert client.get(path).status_code == 404
    (studio.kept.folder(entry) / "preview.jpg").write_bytes(b"file")
    studio.preview = b"memory"
    assert client.get(path).content == b"file"
    entry.state = storage.PAINTING
    answer = client.get(path)
    assert answer.content == b"memory"
    assert answer.headers["content-type"] == "image/jpeg"
    studio.preview = b""
    assert client.get(path).content == b"file"


def test_a_thumbnail_is_a_jpeg_and_a_sample_what_it_is(client, studio):  # noqa: F811
    number = _post(client, "", json=JOB).json()["id"]
    folder = _finish(studio, number)
    small = client.get(f"/api/jobs/{number}/result/small")
    assert small.content == (folder / "small.jpg").read_bytes()
    assert small.headers["content-type"] == "image/jpeg"
    assert small.headers["cache-control"] == "no-cache"
    (folder / "losses.txt").write_text("1 2\n3 4\n")
    losses = client.get(f"/api/jobs/{number}/losses").json()
    assert losses == [[1, 2.0], [3, 4.0]]
    sample = next(iter(storage.list_samples().items()))
    view = client.get(f"/api/pictures/{sample[0]}/view")
    assert view.content == sample[1].path.read_bytes()


def test_a_record_says_the_settings_of_the_form(client, studio, monkeypatch):  # noqa: F811
    number = _post(client, "", json=JOB).json()["id"]
    path = studio.kept.folder(studio.find(number)) / "result.png"
    flags = {"size": 64, "output": "/a", "content": "/b", "strength": 0.5}
    monkeypatch.setattr(
        routes.records,
        "read_record",
        lambda given: {"flags": flags, "p": given},
    )
    monkeypatch.setattr(
        routes.description, "describe", lambda given: [given.name]
    )
    assert client.get(f"/api/jobs/{number}/record").json() == {
        "settings": {"size": 64, "strength": 0.5},
        "lines": [path.name],
    }


def test_events_are_a_stream_that_nobody_keeps(client, studio):  # noqa: F811
    studio.watchers.close()  # else it would not end
    studio.watchers.count = routes.MOST_WATCHERS - 1
    answer = client.get("/api/events")
    assert answer.status_code == 200
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"


def test_the_page_is_served_with_its_kinds(client):  # noqa: F811
    kinds = {
        "/": ("studio.html", "text/html"),
        "/studio.css": ("studio.css", "text/css"),
        "/studio.js": ("studio.js", "text/javascript"),
        "/icon.svg": ("icon.svg", "image/svg+xml"),
    }
    for path, (name, kind) in kinds.items():
        answer = client.get(path)
        assert answer.content == (routes.PAGE / name).read_bytes()
        assert answer.headers["content-type"].partition(";")[0] == kind
        assert answer.headers["cache-control"] == "no-cache"
    assert client.get("/studio.css/").status_code == 404
    schema = client.get("/api/openapi.json").json()
    assert schema["info"]["title"] == "nst_tf studio"
    statuses = set(schema["paths"]["/api/jobs"]["get"]["responses"])
    assert statuses >= {"400", "401", "403", "404", "413", "422", "429"}
    upload = schema["paths"]["/api/pictures"]["post"]["requestBody"]
    assert upload["required"]


@pytest.mark.parametrize(("number", "status"), [(8, 200), (9, 429)])
def test_uploads_are_so_many_at_a_time(client, studio, quick, number, status):  # noqa: F811
    async def scene():
        begun, answers = asyncio.Event(), []
        waiting = [0]

        async def receive():
            waiting[0] += 1
            if waiting[0] == min(number, routes.MOST_UPLOADS):
                begun.set()
            await asyncio.wait_for(begun.wait(), 5)
            return {"type": "http.request", "body": b"x", "more_body": False}

        async def send(message):
            if message["type"] == "http.response.start":
                answers.append(message["status"])

        scope = {
            **{"type": "http", "method": "POST", "path": "/api/pictures"},
            **{"query_string": b"", "headers": [(b"host", b"localhost")]},
            **{"raw_path": b"", "scheme": "http", "root_path": ""},
            "server": ("x", 1),
        }
        await asyncio.gather(
            *(client.app(dict(scope), receive, send) for _ in range(number))
        )
        return answers

    answers = asyncio.run(scene())
    assert sorted({*answers}) == sorted({200, status})
    assert answers.count(429) == (status == 429)
    # Those that have ended count no more.
    assert client.post("/api/pictures", content=b"x").status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(600, 200), (0, 408)])
def test_an_upload_lasts_so_long(client, quick, monkeypatch, seconds, status):  # noqa: F811
    monkeypatch.setattr(routes, "UPLOAD_SECONDS", seconds)
    answer = client.post("/api/pictures", content=b"x")
    assert answer.status_code == status


def test_names_are_at_most_400_characters_and_have_a_default(client, quick):  # noqa: F811
    for length, status in ((400, 200), (401, 422)):
        answer = client.post("/api/pictures", params={"name": "x" * length})
        assert answer.status_code == status
    assert client.post("/api/pictures").json()["name"] == "picture"


def test_paths_of_ours_are_no_part_of_an_answer(client, studio, monkeypatch):  # noqa: F811
    def fail(*given):
        raise ValueError(f"{studio.kept.root}/x\n is odd.")

    monkeypatch.setattr(studio, "submit", fail)
    answer = _post(client, "", json=JOB)
    assert answer.json() == {"error": ".../x is odd."}
    invalid = client.post("/api/jobs", content=b"{").json()["error"]
    assert invalid.count(".") >= 1 and "\n" not in invalid
    deep = {"pictures": {"x" * 99: "y"}}
    sentence = _post(client, "", json=deep).json()["error"]
    assert sentence.startswith("pictures." + "x" * 51 + ": ")


def test_the_studio_runs_while_the_application_does(studio, monkeypatch):  # noqa: F811
    events = []

    async def run():
        events.append("run")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append("cancelled")
            raise

    async def close():
        events.append("close")

    monkeypatch.setattr(studio, "run", run)
    monkeypatch.setattr(studio, "close", close)
    guarded = guard.Guard(
        routes.make_application(studio), guard.Access(), "nst"
    )
    with testclient.TestClient(guarded, "http://127.0.0.1:8000") as running:
        assert running.get("/api/jobs").json() == []
        assert events == ["run"]
    assert events == ["run", "close", "cancelled"]


def test_only_http_is_answered():
    sent = []

    async def application(scope, receive, send):
        raise AssertionError("it was asked")

    async def send(message):
        sent.append(message)

    guarded = guard.Guard(application, guard.Access(), "nst")
    asyncio.run(guarded({"type": "websocket", "path": "/"}, None, send))
    assert sent == []


def test_a_body_that_is_too_long_after_the_answer_began_ends_it():
    sent = []

    async def application(scope, receive, send):
        start = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)
        await receive()

    async def receive():
        return {"body": bytes(guard.LARGEST_TEXT + 1)}

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    scope["query_string"] = b""
    guarded = guard.Guard(application, guard.Access(), "nst")
    asyncio.run(guarded(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start"]
