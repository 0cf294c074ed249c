"""Starts the processes of a server: a painting one, and one per upload."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

PROGRAM = sys.executable, "-m", "nst_tf.web.painting_process"
CHECK_SECONDS = 60.0  # limit of the time to read an upload
LEAVE_SECONDS = 20.0  # limit of the time to save a checkpoint at the end


class PaintingProcess:
    """The server's handle of the painting process."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, root: Path) -> AsyncIterator[dict[str, Any]]:
        """Starts the process, and yields its messages until it ends.

        Args:
            root: The studio's folder; its painting.log gets the errors.
        """
        with open(root / "painting.log", "wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *PROGRAM,
                str(root.absolute()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ},
                **_list_group_options(),
            )
        if self._process.stdout:
            async for line in self._process.stdout:
                yield json.loads(line)
        await self._process.wait()

    def send(self, command: Mapping[str, Any]) -> None:
        """Sends a command to the process, unless it has ended."""
        pipe = self._process and self._process.stdin
        if pipe and not pipe.is_closing():
            pipe.write(f"{json.dumps(command)}\n".encode())

    async def close(self) -> None:
        """Ends the process after it has saved a checkpoint."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), LEAVE_SECONDS)
        except asyncio.TimeoutError:
            process.kill()


async def check_upload(path: Path) -> dict[str, Any]:
    """Reads an upload in a separate process, which a hostile file may crash.

    Returns:
        The line that `upload_check.main` prints.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nst_tf.web.upload_check", str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        out = (await asyncio.wait_for(process.communicate(), CHECK_SECONDS))[0]
        answer: dict[str, Any] = json.loads(out)
        return answer
    except (asyncio.TimeoutError, ValueError):
        return {"error": "the picture could not be read in time."}
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def _list_group_options() -> dict[str, Any]:
    """Lists options of a process that Ctrl-C for the server leaves alone."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
