"""The JSON that the page works with, and what attackers send."""

import asyncio
import io
import os
import re
import resource
import tempfile
from pathlib import Path

import pytest
import toys
from PIL import Image

from nst_tf import files
from nst_tf.images import image_io
from nst_tf.plan import settings
from nst_tf.web import child_processes, guard, storage, work_queue

pytest.importorskip("fastapi", reason="needs the extra web")
testclient = pytest.importorskip("fastapi.testclient", reason="needs httpx")
from nst_tf.web import routes  # noqa: E402

PICTURES = {"content": ["valley"], "style": ["ink_wash"]}
JOB = {"settings": {"size": 64}, "pictures": PICTURES}


def _png(*size):
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def studio(tmp_path):
    """A studio whose painting process never begins."""
    studio = work_queue.Studio(storage.Storage(tmp_path / "studio", 1e9))
    yield studio
    studio.kept.close()


@pytest.fixture
def client(studio):
    application = guard.Guard(
        routes.make_application(studio), guard.Access(), "nst"
    )
    return testclient.TestClient(application, "http://127.0.0.1:8000")


@pytest.fixture
def quick(monkeypatch):
    """Uploads are taken for small pictures, unread."""

    async def check(path):
        return {"size": [4, 3]}

    monkeypatch.setattr(child_processes, "check_upload", check)


def _finish(studio, number):
    """Writes the result of a job."""
    entry = studio.find(number)
    folder = studio.kept.folder(entry)
    for name in ("result.png", "result.jpg", "result.tif", "small.jpg"):
        image_io.save_image(folder / name, toys.image(30, 40))
    entry.state, entry.width, entry.height = storage.DONE, 40, 30
    return folder


def test_a_picture_goes_in_and_a_job_comes_out(client, studio):
    picture = client.post(
        "/api/pictures", params={"name": "a.png"}, content=_png(40, 30)
    ).json()
    assert (picture["width"], picture["height"]) == (40, 30)
    number = picture["id"]
    assert client.get(f"/api/pictures/{number}").json() == picture
    view = client.get(f"/api/pictures/{number}/view")
    assert Image.open(io.BytesIO(view.content)).size == (40, 30)
    pictures = {"content": [number], "style": ["ink_wash"]}
    job = client.post(
        "/api/jobs", json={"settings": {"size": 64}, "pictures": pictures}
    ).json()
    assert job["state"] == "queued" and job["title"] == "a in ink wash"
    assert job["command"] == "nst-tf a.png ink_wash.jpg --size=64"
    assert client.get("/api/jobs").json() == [job]
    assert client.get(f"/api/jobs/{job['id']}").json() == job
    assert client.get(f"/api/jobs/{job['id']}/losses").json() == []
    _finish(studio, job["id"])
    for kind, begin in (
        ("png", b"\x89PNG"),
        ("jpg", b"\xff\xd8"),
        ("tif", b"II"),
    ):
        answer = client.get(f"/api/jobs/{job['id']}/result/{kind}")
        assert answer.content.startswith(begin)
        assert answer.headers["content-type"] == storage.RESULTS[kind]
    assert client.delete(f"/api/jobs/{job['id']}").status_code == 200
    assert client.get("/api/jobs").json() == []


def test_the_form_is_made_of_the_table(client):
    told = client.get("/api/settings").json()
    names = {field["name"] for field in told["fields"]}
    assert {"size", "strength", "style_scale", "color"} <= names
    assert "swirling_night" in told["samples"]
    for preset in told["presets"]:
        picture = client.get(f"/api/presets/{preset['name']}")
        assert picture.headers["content-type"] == "image/jpeg"
    assert len(names) > len(settings.SWEPT) - 15


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "jobs", {"settings": {"size": -3}}, 400, "photograph"),
        ("POST", "jobs", {**JOB, "settings": {"size": -3}}, 400, "size is -3"),
        ("POST", "jobs", {"settings": []}, 422, "settings"),
        ("POST", "jobs", [], 422, "valid dictionary"),
        ("POST", "jobs", {"pictures": {"content": "x"}}, 422, "pictures"),
        ("GET", "jobs/nothing", None, 404, "no longer in the history"),
        ("GET", "jobs/..%2f..%2fetc%2fpasswd", None, 404, "Not Found"),
        ("GET", "jobs/x%00y", None, 422, "number"),
        ("GET", "jobs/A", None, 422, "number"),
        ("GET", "pictures/nothing", None, 404, "no longer exists"),
        ("GET", "pictures/nothing/view", None, 404, "does not exist yet"),
        ("GET", "presets/gatys2016_paper", None, 404, "does not exist yet"),
        ("GET", "presets/large", None, 404, "does not exist yet"),
        ("POST", "pictures", b"", 400, "is empty"),
        ("POST", "pictures", b"<html>", 400, "web page"),
        ("POST", "pictures", b"PK\3\4zip", 400, "cannot be read"),
        ("GET", "pictures", None, 405, "Method Not Allowed"),
        ("GET", "nowhere", None, 404, "Not Found"),
    ],
)
def test_a_refusal_is_one_sentence(client, method, path, body, status, words):
    kind = "content" if isinstance(body, bytes) else "json"
    answer = client.request(method, f"/api/{path}", **{kind: body})
    assert answer.status_code == status
    sentence = answer.json()["error"]
    assert words in sentence and "\n" not in sentence
    assert "Traceback" not in sentence and "/studio/" not in sentence


def test_what_a_job_is_not_ready_for_is_refused(client, studio):
    number = client.post("/api/jobs", json=JOB).json()["id"]
    for path, body, words in (
        ("stop", None, "not being painted"),
        ("judge", None, "not finished"),
        ("continue", {}, "no steps left"),
        ("continue", {"steps": 5}, "not finished"),
    ):
        answer = client.post(f"/api/jobs/{number}/{path}", json=body)
        assert answer.status_code == 400 and words in answer.json()["error"]
    for path in ("preview", "result/png", "record"):
        assert client.get(f"/api/jobs/{number}/{path}").status_code in (
            400,
            404,
        )
    assert client.get(f"/api/jobs/{number}/result/exe").status_code == 422
    _finish(studio, number)
    larger = client.post(f"/api/jobs/{number}/continue", json={"size": 96})
    assert larger.json()["settings"] == {"size": 96}


def test_the_record_of_a_result_says_how_it_was_made(client, studio):
    number = client.post("/api/jobs", json=JOB).json()["id"]
    folder = _finish(studio, number)
    answer = client.get(f"/api/jobs/{number}/record")
    assert answer.status_code == 400  # it is a plain picture
    assert str(folder) not in answer.json()["error"]


def test_pages_that_load_from_other_hosts_are_off(client):
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert client.get(path).status_code == 404
    page = client.get("/")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for name in ("studio.html", "studio.css", "studio.js", "icon.svg"):
        text = (routes.PAGE / name).read_text(encoding="utf-8")
        assert not re.search(r"(src|href|url)\W{1,3}(https?:)?//", text), name
        assert not re.search(r"<script>|\son\w+=|style=|innerHTML|eval\(", text)


def test_scripts_in_names_stay_text(client, quick):
    evil = '<img src=x onerror="alert(1)">.jpg'
    answer = client.post("/api/pictures", params={"name": evil}, content=b"x")
    assert answer.json()["name"] == evil.replace("/", "_")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    answer = client.post("/api/pictures", params={"name": "x" * 401})
    assert answer.status_code == 422


def test_scripts_in_exif_do_not_reach_the_page(client):
    script = b"<script>alert(1)</script>"
    exif, file = Image.Exif(), io.BytesIO()
    for tag in (0x010E, 0x013B, 0x8298):  # description, artist, copyright
        exif[tag] = script.decode()
    Image.new("RGB", (40, 30)).save(file, "JPEG", exif=exif, comment=script)
    assert script in file.getvalue()
    answer = client.post(
        "/api/pictures", params={"name": "a.jpg"}, content=file.getvalue()
    )
    assert answer.status_code == 200
    path = f"/api/pictures/{answer.json()['id']}"
    view = client.get(f"{path}/view")
    assert view.headers["content-type"] == "image/jpeg"
    for each in (answer, client.get(path), view):
        assert b"script" not in each.content
        assert each.headers["x-content-type-options"] == "nosniff"


def test_an_upload_is_at_most_so_long(client, quick, monkeypatch):
    monkeypatch.setattr(guard, "LARGEST_BODY", 10_000)

    def parts():  # without a length
        for _ in range(30):
            yield bytes(1000)

    answer = client.post("/api/pictures", content=parts())
    assert answer.status_code == 413
    assert client.post("/api/pictures", content=bytes(9000)).status_code == 200
    assert client.post("/api/jobs", content=bytes(300_000)).status_code == 413


def test_a_refused_upload_leaves_nothing(client, studio):
    for body in (b"", b"no picture", _png(400, 300)[:-60]):
        assert client.post("/api/pictures", content=body).status_code == 400
    assert list((studio.kept.root / "pictures").iterdir()) == []


async def _upload(application, receive):
    """Uploads by what `receive` gives, without a client: the status."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/api/pictures",
        "query_string": b"", "headers": [(b"host", b"localhost")],
        "raw_path": b"", "scheme": "http", "server": ("x", 1), "root_path": "",
    }  # fmt: skip
    await application(scope, receive, send)
    return sent[0]["status"]


def test_a_slow_client_is_left(client, studio, quick, monkeypatch):
    monkeypatch.setattr(routes, "STALL_SECONDS", 0.05)
    parts = [{"type": "http.request", "body": b"x", "more_body": True}]

    async def receive():
        if not parts:
            await asyncio.sleep(3600)
        return parts.pop()

    task = _upload(client.app, receive)
    assert asyncio.run(asyncio.wait_for(task, 10)) == 408
    assert list((studio.kept.root / "pictures").iterdir()) == []


def test_watchers_are_at_most_so_many(client, studio):
    studio.watchers.count = routes.MOST_WATCHERS
    answer = client.get("/api/events")
    assert answer.status_code == 429 and "pages" in answer.json()["error"]


def test_a_full_queue_and_a_full_disk_are_said(client, studio, monkeypatch):
    for _ in range(work_queue.MOST_WAITING):
        assert client.post("/api/jobs", json=JOB).status_code == 200
    answer = client.post("/api/jobs", json=JOB)
    assert answer.status_code == 429 and "20 pictures" in answer.json()["error"]
    monkeypatch.setattr(studio.kept, "limit", 10.0)
    answer = client.post("/api/pictures", content=_png(4, 3))
    assert answer.status_code == 400 and "--disk" in answer.json()["error"]


@pytest.fixture
def quick_disk(studio, monkeypatch):
    """A studio in memory, where there is such a folder, and without fsync."""
    monkeypatch.setattr(files, "_sync", lambda file: None)
    if not os.path.isdir("/dev/shm"):
        yield studio
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        (Path(folder) / "pictures").mkdir()
        monkeypatch.setattr(studio.kept, "root", Path(folder))
        yield studio


@pytest.mark.slow
def test_ten_thousand_uploads_take_no_more_memory_or_disk(
    client, quick_disk, quick
):

    async def receive():
        return {"type": "http.request", "body": b"tiny", "more_body": False}

    async def send(count):
        for _ in range(count):
            assert await _upload(client.app, receive) == 200

    asyncio.run(send(500))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    asyncio.run(send(9500))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 50_000  # kB
    folders = list((quick_disk.kept.root / "pictures").iterdir())
    assert len(folders) == storage.UNUSED


@pytest.mark.slow
def test_no_request_that_the_schema_allows_is_an_error_of_ours(
    client, studio, quick
):
    schemathesis = pytest.importorskip("schemathesis")
    import hypothesis
    from schemathesis import checks

    number = client.post("/api/jobs", json=JOB).json()["id"]
    _finish(studio, number)
    application = client.app
    schema = schemathesis.openapi.from_asgi(
        "/api/openapi.json", application, headers={"host": "127.0.0.1"}
    )
    asked = 0
    for result in schema.exclude(path="/api/events").get_all_operations():
        operation = result.ok()

        @hypothesis.settings(
            max_examples=25, deadline=None, database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )  # fmt: skip
        @hypothesis.given(case=operation.as_strategy())
        def ask(case):
            nonlocal asked
            asked += 1
            if "number" in (case.path_parameters or {}) and asked % 2:
                case.path_parameters["number"] = number
            answer = case.call(
                base_url="http://127.0.0.1",
                headers={**(case.headers or {}), "host": "127.0.0.1"},
            )
            assert answer.status_code < 500, (case, answer.text)

        ask()
    assert asked > 200 and checks
