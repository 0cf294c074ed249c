"""The processes of a server: their lines, their end, and their limits."""

import asyncio
import json
import os
import sys

import pytest

from nst_tf.web import child_processes

# Says what it got, repeats commands, and says a word of its own at the end.
ECHO = """
import json, os, sys
names = "TF_CPP_MIN_LOG_LEVEL", "OTHER"
said = {"root": sys.argv[1], "values": [os.environ.get(n) for n in names]}
print(json.dumps({**said, "leads": os.getsid(0) == os.getpid()}), flush=True)
print("an error", file=sys.stderr)
for line in sys.stdin:
    print(line, end="", flush=True)
print(json.dumps("ends"))
"""


@pytest.fixture
def play(monkeypatch, tmp_path):
    """Runs a scene with a process of some code."""

    def play(code, scene):
        program = sys.executable, "-S", "-c", code
        monkeypatch.setattr(child_processes, "PROGRAM", program)
        process = child_processes.PaintingProcess()
        return asyncio.run(scene(process, process.run(tmp_path)))

    return play


@pytest.mark.parametrize("level", ["", "0"])
def test_commands_and_messages_are_lines_of_json(
    play, monkeypatch, tmp_path, level
):
    monkeypatch.setenv("OTHER", "kept")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    if level:
        monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    monkeypatch.chdir(tmp_path)

    async def scene(process, lines):
        process.send({"do": "nothing"})  # there is none yet
        await process.close()
        first = await anext(lines)
        assert first["root"] == str(tmp_path)
        assert first["values"] == [level or "2", "kept"]
        assert first["leads"] or os.name == "nt"
        process.send({"do": "paint", "names": ["Zo\xeb"]})
        assert await anext(lines) == {"do": "paint", "names": ["Zo\xeb"]}
        closing = asyncio.create_task(process.close())
        assert [line async for line in lines] == ["ends"]
        await closing
        assert process._process.returncode == 0
        process.send({"do": "nothing"})  # it has ended

    play(ECHO, scene)
    assert (tmp_path / "painting.log").read_text() == "an error\n"


def test_a_process_that_does_not_leave_is_killed(play, monkeypatch):
    monkeypatch.setattr(child_processes, "LEAVE_SECONDS", 0.05)

    async def scene(process, lines):
        assert await anext(lines) == 1
        await process.close()
        assert [line async for line in lines] == []
        assert process._process.returncode < 0

    play("import time\nprint(1, flush=True)\ntime.sleep(60)", scene)


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("print('{\"size\": [4, 3]}')", {"size": [4, 3]}),
        ("print('no answer')", None),
        ("import os; os.abort()", None),
        ("import time; time.sleep(60)", None),
    ],
)
def test_an_upload_is_read_in_a_process_of_its_own(
    tmp_path, monkeypatch, code, answer
):
    path, started = tmp_path / "original", []
    create = asyncio.create_subprocess_exec

    async def start(*words, **options):
        assert words == (
            *(sys.executable, "-m", "nst_tf.web.upload_check", str(path)),
        )
        assert options["stdin"] == options["stderr"] == -3  # nowhere
        started.append(
            await create(sys.executable, "-S", "-c", code, **options)
        )
        return started[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    limit = 0.3 if "sleep" in code else 60.0
    assert child_processes.CHECK_SECONDS == 60
    monkeypatch.setattr(child_processes, "CHECK_SECONDS", limit)

    async def scene():
        found = await child_processes.check_upload(path)
        return found, await started[0].wait()

    found, status = asyncio.run(scene())
    assert json.dumps(found)
    unreadable = {"error": "the picture could not be read in time."}
    assert found == (answer or unreadable)
    assert (status == 0) == ("print" in code)
