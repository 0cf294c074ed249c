"""Streams of changes: what is sent, how often, and to how many."""

import asyncio

import pytest

from nst_tf.web import watchers

JOBS = {"a": {"id": "a"}, "b": {"id": "b"}}
FIRST = [f'event: job\ndata: {{"id": "{name}"}}\n\n' for name in JOBS]


@pytest.fixture
def pauses(monkeypatch):
    """Lets no time pass: the pauses that were asked for."""
    pauses, sleep = [], asyncio.sleep

    def pause(seconds):
        pauses.append(seconds)
        return sleep(0)

    monkeypatch.setattr(watchers.asyncio, "sleep", pause)
    return pauses


def test_each_change_is_sent_once_and_silence_is_broken(pauses, monkeypatch):
    assert watchers.PING_SECONDS == 15
    monkeypatch.setattr(watchers, "PING_SECONDS", 0.01)

    async def scene():
        jobs = dict(JOBS)
        watched = watchers.Watchers(jobs.get, jobs)
        stream = watched.follow()
        assert [await anext(stream) for _ in jobs] == FIRST
        assert await anext(stream) == ": still here\n\n"
        watched.note("b")
        assert await anext(stream) == FIRST[1]
        assert await anext(stream) == ": still here\n\n"
        del jobs["a"], jobs["b"]
        watched.note("b")
        watched.note("a", "deleted")
        gone = [
            f'event: gone\ndata: {{"id": "{name}", "reason": "{reason}"}}\n\n'
            for name, reason in (("a", "deleted"), ("b", ""))
        ]
        assert [await anext(stream) for _ in gone] == gone
        await stream.aclose()
        assert watched.count == 0

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("count", "pause"), [(1, 0.5), (4, 0.5), (5, 0.625), (8, 1.0)]
)
def test_of_many_each_is_sent_fewer_changes(pauses, count, pause):
    async def scene():
        described = []

        def describe(name):
            described.append(name)
            return JOBS[name]

        watched = watchers.Watchers(describe, JOBS)
        streams = [watched.follow() for _ in range(count)]
        for stream in streams:
            assert [await anext(stream) for _ in JOBS] == FIRST
        assert described == [*JOBS]  # once for all
        assert watched.count == count
        watched.note("a")
        pauses.clear()
        assert await anext(streams[0]) == FIRST[0]
        assert pauses == [pause]
        for stream in streams:
            await stream.aclose()

    asyncio.run(scene())


def test_a_change_or_the_end_wakes_who_waits(pauses):
    async def scene():
        watched = watchers.Watchers(JOBS.get, JOBS)
        stream = watched.follow()
        for _ in JOBS:
            await anext(stream)
        for act in (lambda: watched.note("a"), watched.close):
            waiting = asyncio.create_task(anext(stream, "end"))
            for _ in range(5):
                await asyncio.wait([waiting], timeout=0.001)
            assert not waiting.done()
            act()
            found = await asyncio.wait_for(waiting, 5)
            assert found in (FIRST[0], "end")
        assert found == "end"

    asyncio.run(scene())
