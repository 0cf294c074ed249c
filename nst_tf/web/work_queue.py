"""The queue of a studio: jobs on disk, and a process that paints them.

Everything runs in one thread, the server's event loop. A request changes an
entry and its file in one go. Commands to the painting process and its messages
are lines of JSON.
"""

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nst_tf.web import child_processes, continuation, disk, storage, watchers

log = logging.getLogger("nst_tf")

MOST_WAITING = 20  # jobs
MOST_DEATHS = 4  # crashes of the painting process before a job fails
CHECKS, MOST_CHECKS = 2, 12  # uploads read at a time, and in all


class BusyError(Exception):
    """The server is busy; try again later."""


class MissingError(Exception):
    """The job or picture does not exist."""


class Studio:
    """Runs the queue, and notifies watchers.

    Args:
        kept: The folder with jobs and pictures.
    """

    def __init__(self, kept: storage.Storage):
        self.kept = kept
        self.watchers = watchers.Watchers(self._describe, kept.entries)
        self.preview = b""  # of the current job
        self._current = ""  # the job that is painted, or judged
        self._live: dict[str, dict[str, Any]] = {}  # progress, by job
        self._judging: list[str] = []
        self._process = child_processes.PaintingProcess()
        self._is_ready = self._is_closing = False
        self._checks = asyncio.Semaphore(CHECKS)
        self._checking = 0
        for entry in kept.entries.values():
            if entry.state == storage.PAINTING:  # the server was killed
                self._set(entry, state=storage.INTERRUPTED)

    def find(self, number: str) -> storage.Entry:
        """Finds a job by its number.

        Raises:
            MissingError: If there is none.
        """
        if number not in self.kept.entries:
            raise MissingError("this picture is no longer in the history.")
        return self.kept.entries[number]

    def describe(self, entry: storage.Entry) -> dict[str, Any]:
        """Describes a job for the page."""
        return {
            **dataclasses.asdict(entry),
            "title": self.kept.find_title(entry),
            "command": self.kept.write_command(entry),
            "live": self._live.get(entry.id, {}),
        }

    def submit(
        self, chosen: Mapping[str, Any], pictures: Mapping[str, list[str]]
    ) -> storage.Entry:
        """Adds a job to the queue.

        Args:
            chosen: Its settings, as `form_fields.list_values` takes them.
            pictures: The numbers of its pictures, by setting.

        Raises:
            ValueError: In one sentence: what was received, what was expected.
            BusyError: If the queue is full.
        """
        return self._add(storage.make_entry(chosen, pictures))

    def stop(self, entry: storage.Entry) -> None:
        """Ends a job after the current step; keeps its picture.

        Raises:
            ValueError: If it is not being painted.
        """
        if entry.state != storage.PAINTING:
            raise ValueError("this picture is not being painted.")
        self._live.setdefault(entry.id, {})["stage"] = "stopping"
        self._process.send({"do": "stop", "job": entry.id})
        self.watchers.note(entry.id)

    def resume(self, entry: storage.Entry) -> None:
        """Queues a stopped or failed job again.

        Raises:
            ValueError: If the job was neither stopped nor failed.
        """
        if entry.state not in (storage.STOPPED, storage.FAILED):
            raise ValueError(
                "this picture has no steps left; use more steps, or a larger "
                "size."
            )
        self._set(entry, state=storage.QUEUED, deaths=0, message="")
        self._feed()

    def go_on(
        self, entry: storage.Entry, size: int = 0, steps: int = 0
    ) -> storage.Entry:
        """Continues a picture as a new job, as `continuation.make` does.

        Raises:
            ValueError: If there is no picture, or it is as large.
            BusyError: If the queue is full.
        """
        return self._add(*continuation.make(self.kept, entry, size, steps))

    def judge(self, entry: storage.Entry) -> None:
        """Queues a result for the judge, before the next picture.

        Raises:
            ValueError: If there is no result.
        """
        if entry.state not in storage.FINISHED:
            raise ValueError("this picture is not finished yet.")
        if entry.id not in (*self._judging, self._current):
            self._judging.append(entry.id)
            self._live[entry.id] = {"stage": "waiting for the judge"}
            self.watchers.note(entry.id)
        self._feed()

    def delete(self, entry: storage.Entry) -> None:
        """Deletes a job, with its result.

        Raises:
            ValueError: If it is being painted or judged.
        """
        if entry.id == self._current:
            raise ValueError("this picture is in progress; stop it first.")
        self.kept.remove(entry)
        self.watchers.note(entry.id)

    def make_room(self, spared: str = "") -> None:
        """Deletes the oldest pictures if the folder is full.

        Args:
            spared: The number of a job that stays.

        Raises:
            ValueError: If that is not enough.
        """
        numbers, used = disk.make_room(self.kept, (spared, self._current))
        if numbers:
            count = len(numbers)
            which = (
                f"{count} oldest pictures" if count > 1 else "oldest picture"
            )
            limit = f"{self.kept.limit / 1e9:g} GB"
            reason = f"deleted the {which} to stay within {limit} (--disk)"
            log.warning(reason)
            for number in numbers:
                self.watchers.note(number, reason)
        disk.check_room(self.kept, used)

    async def add_picture(self, folder: Path, name: str) -> str:
        """Checks an upload, and registers it.

        Args:
            folder: Its folder, with the file "original".
            name: The user's name for it.

        Returns:
            Its number.

        Raises:
            ValueError: If it cannot be read; the message is one sentence.
            BusyError: If too many uploads are being read.
        """
        if self._checking >= MOST_CHECKS:
            raise BusyError("too many uploads at the same time; try again.")
        self._checking += 1
        try:
            async with self._checks:
                found = await child_processes.check_upload(folder / "original")
        finally:
            self._checking -= 1
        if "error" in found:
            raise ValueError(str(found["error"]))
        return self.kept.add_picture(folder, name, found["size"])

    async def run(self) -> None:
        """Runs the painting process, and restarts it, until `close`."""
        while not self._is_closing:
            async for line in self._process.run(self.kept.root):
                self._take(line)
            self._is_ready = False
            if entry := self.kept.entries.get(self._current):
                self._bury(entry)
            await asyncio.sleep(1.0)

    async def close(self) -> None:
        """Ends the painting process after it has saved a checkpoint."""
        self._is_closing = True
        self.watchers.close()
        await self._process.close()
        self.kept.close()

    def _add(
        self,
        entry: storage.Entry,
        copies: Mapping[str, Path] = MappingProxyType({}),
    ) -> storage.Entry:
        """Checks a job, and queues it with copies of files of another one."""
        entries = self.kept.entries.values()
        if sum(e.state in storage.WAITING for e in entries) >= MOST_WAITING:
            raise BusyError(
                f"the queue is full with {MOST_WAITING} pictures; wait for "
                f"one, or delete one."
            )
        self.kept.list_values(entry)
        self.make_room(entry.origin)
        self.kept.add(entry, copies)
        self.watchers.note(entry.id)
        self._feed()
        return entry

    def _describe(self, number: str) -> dict[str, Any] | None:
        """Describes a job for watchers; returns None if it was deleted."""
        entry = self.kept.entries.get(number)
        return self.describe(entry) if entry else None

    def _bury(self, entry: storage.Entry) -> None:
        """Handles a crash of the painting process during a job."""
        if entry.state != storage.PAINTING:  # it was judged
            words = "" if self._is_closing else "the judge ran out of memory."
            changes: dict[str, Any] = {"message": words}
        elif self._is_closing:
            changes = {"state": storage.INTERRUPTED}
        elif entry.deaths + 1 < MOST_DEATHS:
            deaths = entry.deaths + 1
            changes = {"state": storage.INTERRUPTED, "deaths": deaths}
        else:
            log.warning("its errors are in %s", self.kept.root / "painting.log")
            words = (
                f"the painting process crashed {MOST_DEATHS} times, perhaps "
                f"out of memory; choose a smaller size."
            )
            changes = {"state": storage.FAILED, "message": words}
        self._end(entry, **changes)

    def _take(self, line: Mapping[str, Any]) -> None:
        """Handles a message of the painting process."""
        event, entry = line["event"], self.kept.entries.get(line["job"])
        if event == "ready":
            self._is_ready = True
            self._feed()
        if entry is None:
            return
        live = self._live.setdefault(entry.id, {})
        if event == "stage" and live.get("stage") != "stopping":
            live["stage"] = line["label"]
        elif event == "step":
            if line["preview"] != live.get("preview"):  # once, for all
                with contextlib.suppress(OSError):
                    path = self.kept.folder(entry) / "preview.jpg"
                    self.preview = path.read_bytes()
            names = ("step", "steps", "loss", "left", "preview")
            live |= {name: line[name] for name in names}
        elif event == "judged":
            self._end(entry, figures=line["figures"])
        elif event == "ended":
            told = "state", "width", "height", "steps", "levels", "seconds"
            self._end(entry, deaths=0, **{name: line[name] for name in told})
        elif event == "failed":
            is_painted = entry.state == storage.PAINTING
            state = storage.FAILED if is_painted else entry.state
            self._end(entry, state=state, message=line["message"])
        self.watchers.note(entry.id)

    def _end(self, entry: storage.Entry, **changes: Any) -> None:
        """Ends the current work, and starts the next."""
        self._current = ""
        self._live.pop(entry.id, None)
        if "state" in changes:
            changes["ended"] = time.time()
        self._set(entry, **changes)
        with contextlib.suppress(ValueError):  # the next request reports it
            self.make_room(entry.id)
        self._feed()

    def _feed(self) -> None:
        """Gives the painting process its next work, if it is idle."""
        if not self._is_ready or self._current or self._is_closing:
            return
        while self._judging:
            entry = self.kept.entries.get(self._judging.pop(0))
            if entry:
                return self._give(entry, "judge")
        for state in storage.WAITING:
            for entry in self.kept.entries.values():
                if entry.state == state:
                    return self._give(entry, "paint")

    def _give(self, entry: storage.Entry, work: str) -> None:
        """Gives the painting process a job."""
        try:
            values = self.kept.list_values(entry)
            names = self.kept.list_names(entry)
        except ValueError as error:  # a picture has been removed from disk
            self._end(entry, state=storage.FAILED, message=str(error))
            return
        self._current = entry.id
        if work == "paint":
            self._set(entry, state=storage.PAINTING)
        command = {"do": work, "job": entry.id, "settings": values}
        self._process.send({**command, "names": names})

    def _set(self, entry: storage.Entry, **changes: Any) -> None:
        """Changes fields of a job, saves it, and notifies watchers."""
        for name, value in changes.items():
            setattr(entry, name, value)
        self.kept.save(entry)
        self.watchers.note(entry.id)
