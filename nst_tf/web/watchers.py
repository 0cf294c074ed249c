"""Streams changed jobs to any number of clients, as server-sent events."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

UPDATE_SECONDS = 0.5  # between two updates of one client
MANY = 4  # clients; with more, each gets fewer updates
PING_SECONDS = 15.0  # maximum silence, since proxies close idle connections


class Watchers:
    """Sends every client the current state of each job that has changed.

    There are no queues: a slow client misses states in between.

    Args:
        describe: Number of a job -> its description; None if it was deleted.
        numbers: The numbers of the existing jobs.
    """

    def __init__(
        self,
        describe: Callable[[str], dict[str, Any] | None],
        numbers: Iterable[str],
    ):
        self.count = 0
        self._describe = describe
        self._versions = dict.fromkeys(numbers, 0)
        self._reasons: dict[str, str] = {}  # of deleted jobs
        self._written: dict[str, tuple[int, str]] = {}  # shared by all clients
        self._version = 0
        self._changed = asyncio.Event()
        self._has_ended = False

    def note(self, number: str, reason: str = "") -> None:
        """Notes that a job has changed, or was deleted for a reason."""
        self._version += 1
        self._versions[number] = self._version
        if reason:
            self._reasons[number] = reason
        self._wake()

    def close(self) -> None:
        """Ends all streams."""
        self._has_ended = True
        self._wake()

    async def follow(self) -> AsyncIterator[str]:
        """Yields events: first all jobs, then each job that has changed."""
        self.count += 1
        seen = -1
        try:
            while not self._has_ended:
                changes = self._changed
                news = [n for n, v in self._versions.items() if v > seen]
                seen = self._version
                for number in news:
                    yield self._write(number)
                if not news:
                    yield ": still here\n\n"
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(changes.wait(), PING_SECONDS)
                await asyncio.sleep(UPDATE_SECONDS * max(1, self.count / MANY))
        finally:
            self.count -= 1

    def _write(self, number: str) -> str:
        """Writes the event of a job."""
        version = self._versions[number]
        if self._written.get(number, (-1,))[0] != version:
            told = self._describe(number)
            gone = {"id": number, "reason": self._reasons.get(number, "")}
            data = json.dumps(told or gone)
            text = f"event: {'job' if told else 'gone'}\ndata: {data}\n\n"
            self._written[number] = version, text
        return self._written[number][1]

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
