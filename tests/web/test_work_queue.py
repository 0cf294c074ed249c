"""The queue, with a painting process that is played by the test."""

import asyncio
import json

import pytest
import toys

from nst_tf.images import image_io
from nst_tf.web import child_processes, storage, watchers, work_queue

PICTURES = {"content": ["valley"], "style": ["ink_wash"]}


class Process:
    """A painting process that says what a test has it say."""

    def __init__(self):
        self.lines, self.told, self.starts = asyncio.Queue(), [], 0

    async def run(self, root):
        self.starts += 1
        yield {"event": "ready", "job": ""}
        while (line := await self.lines.get()) is not None:
            yield line

    def send(self, command):
        self.told.append((command["do"], command["job"]))

    async def close(self):
        self.lines.put_nowait(None)

    async def say(self, event, job, **more):
        """Says something of a job, and waits until it is taken."""
        self.lines.put_nowait({"event": event, "job": job, **more})
        await settle()

    async def end(self, job, state="done"):
        size = {"width": 40, "height": 30}
        more = {"steps": 5, "levels": [2, 3], "seconds": 1.5, **size}
        await self.say("ended", job, state=state, **more)

    async def die(self):
        self.lines.put_nowait(None)
        await settle()


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Runs a scene: an async function of a studio and its process."""

    def play(scene, ready=True):
        async def run():
            process = Process()
            monkeypatch.setattr(
                child_processes, "PaintingProcess", lambda: process
            )
            studio = work_queue.Studio(storage.Storage(tmp_path, 1e9))
            task = asyncio.create_task(studio.run())
            await settle()
            try:
                await scene(studio, process)
            finally:
                await studio.close()
                await asyncio.wait_for(task, 5)

        sleep = asyncio.sleep
        monkeypatch.setattr(
            work_queue.asyncio, "sleep", lambda seconds: sleep(0)
        )
        asyncio.run(run())

    return play


def submit(studio, **chosen):
    return studio.submit(chosen, PICTURES)


def states(studio):
    return [entry.state for entry in studio.kept.entries.values()]


def test_jobs_are_painted_one_after_the_other(play):
    async def scene(studio, process):
        a, b = submit(studio), submit(studio, size=300)
        assert process.told == [("paint", a.id)]
        assert states(studio) == ["painting", "queued"]
        await process.say("stage", a.id, label="128 x 96 (1 of 2)")
        await process.say(
            "step", a.id, step=3, steps=9, loss=2.0, left=None, preview=0
        )
        live = studio.describe(a)["live"]
        assert (live["step"], live["stage"]) == (3, "128 x 96 (1 of 2)")
        await process.end(a.id)
        assert states(studio) == ["done", "painting"]
        assert process.told[1:] == [("paint", b.id)]
        await process.say("failed", b.id, message="no memory.")
        assert (b.state, b.message) == ("failed", "no memory.")
        assert studio.describe(a)["live"] == {}

    play(scene)


def test_a_stopped_job_keeps_its_picture_and_goes_on(play):
    async def scene(studio, process):
        entry = submit(studio)
        studio.stop(entry)
        assert process.told[-1] == ("stop", entry.id)
        assert studio.describe(entry)["live"]["stage"] == "stopping"
        await process.end(entry.id, "stopped")
        with pytest.raises(ValueError, match="not being painted"):
            studio.stop(entry)
        studio.resume(entry)
        assert process.told[-1] == ("paint", entry.id)
        await process.end(entry.id)
        with pytest.raises(ValueError, match="no steps left"):
            studio.resume(entry)

    play(scene)


def test_a_picture_goes_on_larger_or_longer(play):
    async def scene(studio, process):
        entry = studio.submit(
            {"steps": [3], "levels": 2, "init": "noise", "color": "content"},
            PICTURES,
        )
        with pytest.raises(ValueError, match="not finished"):
            studio.go_on(entry, steps=5)
        await process.end(entry.id)
        result = studio.kept.folder(entry) / "result.png"
        image_io.save_image(result, toys.image(30, 40))
        with pytest.raises(ValueError, match="size is 40, expected more"):
            studio.go_on(entry, size=40)
        larger = studio.go_on(entry, size=60)
        assert larger.settings == {
            "steps": [3], "levels": 2, "color": "content", "size": 60
        }  # fmt: skip
        assert (larger.start, larger.origin) == ("continue_from", entry.id)
        assert (studio.kept.folder(larger) / "start.png").exists()
        longer = studio.go_on(entry, steps=7)
        assert longer.start == "init"
        assert longer.settings == {
            "color": "content", "size": 40, "steps": [7], "levels": 1
        }  # fmt: skip

    play(scene)


def test_more_steps_resume_from_the_state_if_there_is_one(play):
    async def scene(studio, process):
        entry = submit(studio, size=90)
        await process.end(entry.id)
        folder = studio.kept.folder(entry)
        (folder / "last_state").mkdir()
        (folder / "last_state" / "000001.checkpoint.npz").write_bytes(b"state")
        (folder / "losses.txt").write_text("1 9\n")
        longer = studio.go_on(entry, steps=7)
        assert longer.settings == {"size": 90, "steps": [2, 3 + 7]}
        assert (longer.origin, longer.start) == (entry.id, "")
        studio.kept.remove(entry)  # it needs the other no more
        folder = studio.kept.folder(longer)
        (state,) = (folder / "checkpoints").iterdir()
        assert state.read_bytes() == b"state"
        assert (folder / "losses.txt").read_text() == "1 9\n"
        # It is stopped, and its state is a checkpoint.
        await process.end(longer.id, "stopped")
        assert studio.go_on(longer, steps=1).settings["steps"] == [2, 4]

    play(scene)


def test_a_full_folder_loses_its_oldest_pictures_and_says_so(play, caplog):
    async def scene(studio, process):
        jobs = [submit(studio) for _ in range(3)]
        stream = studio.watchers.follow()
        for _ in jobs:
            await anext(stream)
        for job in jobs[:2]:
            path = studio.kept.folder(job) / "result.png"
            path.write_bytes(bytes(9_000))
            await process.end(job.id)
        assert len(studio.kept.entries) == 3
        studio.kept.limit = 15_000
        late = submit(studio)
        assert jobs[0].id not in studio.kept.entries
        assert "deleted the oldest picture to stay within" in caplog.text
        told = "".join([await anext(stream) for _ in range(4)])
        assert f'"id": "{jobs[0].id}", "reason": "deleted the oldest' in told
        # A picture is never deleted by its own end, whatever it takes.
        path = studio.kept.folder(jobs[2]) / "result.png"
        path.write_bytes(bytes(90_000))
        await process.end(jobs[2].id)
        assert states(studio) == ["done", "painting"]
        with pytest.raises(ValueError, match="nothing is left to delete"):
            submit(studio)
        assert late.id in studio.kept.entries

    play(scene)


def test_a_job_whose_painter_dies_goes_on_but_not_for_ever(play):
    async def scene(studio, process):
        a, b = submit(studio), submit(studio)
        for death in range(work_queue.MOST_DEATHS - 1):
            await process.die()
            assert process.starts == death + 2
            assert (a.state, a.deaths) == ("painting", death + 1)
        await process.die()
        assert a.state == "failed" and "crashed 4 times" in a.message
        assert b.state == "painting"  # the queue goes on
        studio.resume(a)
        assert (a.state, a.deaths) == ("queued", 0)

    play(scene)


def test_queue_and_history_survive_the_servers_end(play):
    async def first(studio, process):
        a, b, _ = submit(studio), submit(studio), submit(studio)
        await process.end(a.id)
        assert states(studio) == ["done", "painting", "queued"]
        # Killed here: b is being painted, as its file says.
        text = (studio.kept.folder(b) / "job.json").read_text()
        assert json.loads(text)["state"] == "painting"

    async def second(studio, process):
        _, b, _ = studio.kept.entries
        assert states(studio) == ["done", "painting", "queued"]
        assert process.told == [("paint", b)]

    play(first)
    play(second)


def test_a_job_is_interrupted_until_there_is_a_painter(tmp_path):
    kept = storage.Storage(tmp_path, 1e9)
    entry = storage.Entry("a", 1.0, {}, PICTURES, state="painting")
    kept.add(entry)
    kept.close()
    studio = work_queue.Studio(storage.Storage(tmp_path, 1e9))
    assert states(studio) == ["interrupted"]
    studio.kept.close()


def test_the_queue_is_bounded(play):
    async def scene(studio, process):
        for _ in range(1 + work_queue.MOST_WAITING):
            submit(studio)
        with pytest.raises(work_queue.BusyError, match="20 pictures"):
            submit(studio)
        last = list(studio.kept.entries.values())[-1]
        studio.delete(last)
        submit(studio)
        first = next(iter(studio.kept.entries.values()))
        with pytest.raises(ValueError, match="stop it first"):
            studio.delete(first)

    play(scene)


def test_a_result_is_judged_between_two_pictures(play):
    async def scene(studio, process):
        a = submit(studio)
        with pytest.raises(ValueError, match="not finished"):
            studio.judge(a)
        await process.end(a.id)
        b, c = submit(studio), submit(studio)
        studio.judge(a)
        studio.judge(a)
        await process.end(b.id)
        assert process.told[-1] == ("judge", a.id)
        await process.say("judged", a.id, figures={"style": 0.1})
        assert (a.state, a.figures) == ("done", {"style": 0.1})
        assert process.told[-1] == ("paint", c.id)
        studio.judge(a)
        await process.end(c.id)
        await process.die()
        assert a.state == "done" and "ran out of memory" in a.message

    play(scene)


def test_a_preview_is_read_once_for_all_who_watch(play, monkeypatch):
    async def scene(studio, process):
        entry = submit(studio)
        path = studio.kept.folder(entry) / "preview.jpg"
        path.write_bytes(b"one")
        more = {"steps": 9, "loss": 1.0, "left": 3.0}
        await process.say("step", entry.id, step=1, preview=1, **more)
        path.write_bytes(b"two")
        await process.say("step", entry.id, step=2, preview=1, **more)
        assert studio.preview == b"one"
        await process.say("step", entry.id, step=3, preview=2, **more)
        assert studio.preview == b"two"

    play(scene)


def test_one_who_watches_is_told_what_has_changed():
    async def scene():
        jobs = {"a": {"id": "a", "n": 0}}
        watched = watchers.Watchers(jobs.get, jobs)
        stream = watched.follow()
        told = [await anext(stream)]
        assert watched.count == 1
        for n in range(1000):  # he reads slowly, and misses what is between
            jobs["a"] = {"id": "a", "n": n}
            watched.note("a")
        told.append(await anext(stream))
        jobs.pop("a")
        watched.note("a")
        told.append(await anext(stream))
        watched.close()
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        assert watched.count == 0
        assert [text.partition("\n")[0] for text in told] == [
            "event: job", "event: job", "event: gone"
        ]  # fmt: skip
        assert '"n": 999' in told[1]

    asyncio.run(scene())


def test_uploads_are_read_two_at_a_time(play, monkeypatch, tmp_path):
    now = most = 0

    async def check(path):
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        await asyncio.sleep(0)
        now -= 1
        return {"size": [4, 3]}

    async def scene(studio, process):
        monkeypatch.setattr(child_processes, "check_upload", check)
        folders = [studio.kept.make_picture_folder() for _ in range(30)]
        answers = await asyncio.gather(
            *(studio.add_picture(each, "a") for each in folders),
            return_exceptions=True,
        )
        busy = [isinstance(a, work_queue.BusyError) for a in answers]
        assert sum(busy) == 30 - work_queue.MOST_CHECKS
        assert most == work_queue.CHECKS

    play(scene)
