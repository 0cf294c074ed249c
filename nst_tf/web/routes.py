"""Serves the page, and the JSON that it uses."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import fastapi
import pydantic
from fastapi import exceptions, responses
from starlette import requests
from starlette.exceptions import HTTPException

import nst_tf
from nst_tf.runs import description, records
from nst_tf.web import form_fields, guard, storage, work_queue

PAGE = Path(__file__).parent / "page"
STALL_SECONDS = 20.0  # maximum pause within an upload
UPLOAD_SECONDS = 600.0  # maximum duration of an upload
MOST_UPLOADS = 8  # at the same time
MOST_WATCHERS = 60  # open pages

Number = Annotated[str, fastapi.Path(pattern="^[a-z0-9_]{1,60}$")]


class JobRequest(pydantic.BaseModel):
    """A picture to paint: settings, and the numbers of its pictures."""

    settings: dict[str, Any] = {}
    pictures: dict[str, list[str]] = {}


class MoreRequest(pydantic.BaseModel):
    """A request to continue: a size, more steps, or neither to finish."""

    size: int = pydantic.Field(0, ge=0, le=65536)
    steps: int = pydantic.Field(0, ge=0, le=100000)


class Problem(pydantic.BaseModel):
    """The reason why a request failed, in one sentence."""

    error: str


def make_application(studio: work_queue.Studio) -> fastapi.FastAPI:
    """Makes the application of a studio, without its guard."""

    @contextlib.asynccontextmanager
    async def live(_: fastapi.FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(studio.run())
        yield
        await studio.close()
        task.cancel()

    statuses: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem}
        for status in (400, 401, 403, 404, 413, 422, 429)
    }
    application = fastapi.FastAPI(
        title="nst_tf studio",
        version=nst_tf.__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,  # these pages load from other hosts
        redoc_url=None,
        lifespan=live,
        redirect_slashes=False,
        responses=statuses,
    )
    _add_problems(application, str(studio.kept.root))
    _add_page(application)
    _add_pictures(application, studio)
    _add_jobs(application, studio)
    _add_results(application, studio)
    return application


def _add_problems(application: fastapi.FastAPI, root: str) -> None:
    """Answers errors with one sentence of JSON, without our paths."""

    def add(kind: type[Exception], describe: Callable[..., Any]) -> None:
        @application.exception_handler(kind)
        async def _(request: requests.Request, error: Exception) -> Any:
            status, said = describe(error)
            text = " ".join(str(said).split()).replace(root, "...")
            return responses.JSONResponse({"error": text}, status)

    def describe_invalid(
        error: exceptions.RequestValidationError,
    ) -> tuple[int, str]:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"][1:]))[:60]
        return 422, f"{place or 'the request'}: {first['msg']}."

    add(ValueError, lambda error: (400, error))
    add(work_queue.MissingError, lambda error: (404, error))
    add(work_queue.BusyError, lambda error: (429, error))
    add(guard.RefusedError, lambda error: (error.status, error))
    add(HTTPException, lambda error: (error.status_code, f"{error.detail}."))
    add(exceptions.RequestValidationError, describe_invalid)


def _add_page(application: fastapi.FastAPI) -> None:
    """Adds the routes of the page, and of the settings for its form."""

    def add(path: str, name: str, media_type: str) -> None:
        @application.get(path, include_in_schema=False)
        async def _() -> responses.FileResponse:
            return responses.FileResponse(
                PAGE / name,
                media_type=media_type,
                headers={"cache-control": "no-cache"},
            )

    add("/", "studio.html", "text/html")
    add("/studio.css", "studio.css", "text/css")
    add("/studio.js", "studio.js", "text/javascript")
    add("/icon.svg", "icon.svg", "image/svg+xml")

    @application.get("/api/settings")
    async def get_settings() -> dict[str, Any]:
        """Lists settings, presets, and sample pictures."""
        return {
            "version": nst_tf.__version__,
            "fields": form_fields.list_fields(),
            "presets": form_fields.list_presets(),
            "samples": [*storage.list_samples()],
        }

    @application.get("/api/presets/{name}")
    async def get_preset_picture(name: Number) -> responses.FileResponse:
        """Returns the example picture of a preset."""
        known = {preset["name"] for preset in form_fields.list_presets()}
        path = form_fields.find_gallery_picture(name) if name in known else None
        return _send(path, "image/jpeg")


def _add_pictures(
    application: fastapi.FastAPI, studio: work_queue.Studio
) -> None:
    """Adds the routes of uploads."""
    uploading = 0

    @application.post(
        guard.UPLOADS,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/octet-stream": {
                        "schema": {"type": "string", "format": "binary"}
                    }
                },
            }
        },
    )
    async def add_picture(
        request: requests.Request,
        name: Annotated[str, fastapi.Query(max_length=400)] = "picture",
    ) -> dict[str, Any]:
        """Uploads a picture; the body is the file.

        It is not multipart: a plain body needs no parser, its length is limited
        as it arrives, and the page sends one file at a time anyway.
        """
        nonlocal uploading
        studio.make_room()
        if uploading >= MOST_UPLOADS:
            raise work_queue.BusyError(
                "too many uploads at the same time; try again."
            )
        uploading += 1
        folder = studio.kept.make_picture_folder()
        try:
            await _receive(request, folder / "original")
            number = await studio.add_picture(folder, name)
        except BaseException:
            studio.kept.drop_folder(folder)
            raise
        finally:
            uploading -= 1
        return describe(number)

    @application.get("/api/pictures/{number}")
    async def get_picture(number: Number) -> dict[str, Any]:
        """Describes a picture."""
        return describe(number)

    @application.get("/api/pictures/{number}/view")
    async def get_view(number: Number) -> responses.FileResponse:
        """Returns a picture, reduced for the page."""
        found = studio.kept.pictures.get(number)
        return _send(found and found.view, "image/jpeg")

    def describe(number: str) -> dict[str, Any]:
        if number not in studio.kept.pictures:
            raise work_queue.MissingError("this picture no longer exists.")
        found = studio.kept.pictures[number]
        size = {"width": found.width, "height": found.height}
        return {"id": number, "name": found.name, **size}


def _add_jobs(application: fastapi.FastAPI, studio: work_queue.Studio) -> None:
    """Adds the routes of jobs."""

    @application.get("/api/jobs")
    async def list_jobs() -> list[dict[str, Any]]:
        """Lists the queue and the history, the oldest first."""
        return [*map(studio.describe, studio.kept.entries.values())]

    @application.post("/api/jobs")
    async def add_job(job: JobRequest) -> dict[str, Any]:
        """Adds a picture to the queue."""
        return studio.describe(studio.submit(job.settings, job.pictures))

    @application.get("/api/jobs/{number}")
    async def get_job(number: Number) -> dict[str, Any]:
        """Describes a job."""
        return studio.describe(studio.find(number))

    @application.delete("/api/jobs/{number}")
    async def delete_job(number: Number) -> dict[str, Any]:
        """Deletes a job and its picture."""
        studio.delete(studio.find(number))
        return {"id": number}

    @application.post("/api/jobs/{number}/stop")
    async def stop_job(number: Number) -> dict[str, Any]:
        """Ends a job after the current step; keeps its picture."""
        studio.stop(studio.find(number))
        return studio.describe(studio.find(number))

    @application.post("/api/jobs/{number}/continue")
    async def continue_job(number: Number, more: MoreRequest) -> dict[str, Any]:
        """Continues a job: to its end, with more steps, or at a larger size."""
        entry = studio.find(number)
        if more.size or more.steps:
            entry = studio.go_on(entry, more.size, more.steps)
        else:
            studio.resume(entry)
        return studio.describe(entry)

    @application.post("/api/jobs/{number}/judge")
    async def judge_job(number: Number) -> dict[str, Any]:
        """Queues a picture for the judge."""
        studio.judge(studio.find(number))
        return studio.describe(studio.find(number))

    @application.get("/api/events", response_class=responses.StreamingResponse)
    async def watch() -> responses.StreamingResponse:
        """Streams each job that changes, as server-sent events."""
        if studio.watchers.count >= MOST_WATCHERS:
            raise work_queue.BusyError("too many pages are open.")
        return responses.StreamingResponse(
            studio.watchers.follow(),
            media_type="text/event-stream",
            headers={"cache-control": "no-store"},
        )


def _add_results(
    application: fastapi.FastAPI, studio: work_queue.Studio
) -> None:
    """Adds the routes of previews and results."""

    @application.get("/api/jobs/{number}/preview")
    async def get_preview(number: Number) -> responses.Response:
        """Returns the newest preview of a job."""
        entry = studio.find(number)
        if entry.state == storage.PAINTING and studio.preview:
            return responses.Response(studio.preview, media_type="image/jpeg")
        return _send(studio.kept.folder(entry) / "preview.jpg", "image/jpeg")

    @application.get("/api/jobs/{number}/losses")
    async def get_losses(number: Number) -> list[tuple[int, float]]:
        """Lists the reported steps and their losses."""
        folder = studio.kept.folder(studio.find(number))
        return storage.list_losses(folder / "losses.txt")

    @application.get("/api/jobs/{number}/record")
    async def get_record(number: Number) -> dict[str, Any]:
        """Describes how a picture was made, from the record in its file."""
        path = studio.kept.folder(studio.find(number)) / "result.png"
        flags = records.read_record(path)["flags"]
        known = {n: v for n, v in flags.items() if n in form_fields.SHOWN}
        return {"settings": known, "lines": description.describe(path)}

    @application.get("/api/jobs/{number}/result/{kind}")
    async def get_result(
        number: Number, kind: Literal["png", "jpg", "tif", "small"]
    ) -> responses.FileResponse:
        """Sends a finished picture; "small" is its thumbnail."""
        name = "small.jpg" if kind == "small" else f"result.{kind}"
        path = studio.kept.folder(studio.find(number)) / name
        return _send(path, storage.RESULTS.get(kind, "image/jpeg"))


def _send(path: Path | None, media_type: str) -> responses.FileResponse:
    """Sends a file.

    Raises:
        MissingError: If it does not exist.
    """
    if not path or not path.is_file():
        raise work_queue.MissingError("this picture does not exist yet.")
    if path.suffix == ".png":
        media_type = "image/png"
    headers = {"cache-control": "no-cache"}
    return responses.FileResponse(path, media_type=media_type, headers=headers)


async def _receive(request: requests.Request, path: Path) -> None:
    """Writes the body of a request to a file.

    Raises:
        RefusedError: If the body arrives too slowly.
    """
    end = time.monotonic() + UPLOAD_SECONDS
    parts = aiter(request.stream())
    try:
        with open(path, "wb") as file:
            while time.monotonic() < end:
                part = await asyncio.wait_for(anext(parts), STALL_SECONDS)
                file.write(part)
    except StopAsyncIteration:
        return
    except asyncio.TimeoutError:
        pass
    except requests.ClientDisconnect:
        raise ValueError("the upload was interrupted.") from None
    raise guard.RefusedError(408, "the upload was too slow.")
