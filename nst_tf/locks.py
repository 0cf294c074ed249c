"""Files that belong to a process while it lives: temporary files and marks.

The system lets a lock (flock) go when its process ends, however it ends. So a
file that is locked is in use, and one that is not was left behind.
"""

import contextlib
import functools
import os
import re
import secrets
import stat
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any, BinaryIO

if sys.platform != "win32":
    import fcntl

LEFT_SECONDS = 86400.0  # without locks, a file that is older was left behind
MOVING = threading.Lock()  # held while a temporary file takes its place
_own: set[Path] = set()  # temporary files and marks of this process
_TEMPORARY = re.compile(r"\.nst-[0-9a-f]{8}(\.[a-z0-9]{1,5})?")


def open_above_streams(
    path: str | os.PathLike[str], flags: int, mode: int = 0o666
) -> int:
    """Opens a file, as an opener of `open`, with a descriptor above 2.

    If a standard stream is closed, a file could get its number, and what
    libraries of C write to that stream.
    """
    return lift_above_streams(os.open(path, flags, mode))


def lift_above_streams(descriptor: int) -> int:
    """Gives an open file a descriptor above 2, in place of its own."""
    lower = []
    while descriptor <= 2:
        lower.append(descriptor)
        descriptor = os.dup(descriptor)
    for each in lower:
        os.close(each)
    return descriptor


def try_lock(file: IO[Any], *, shared: bool = False) -> bool | None:
    """Locks a file, open for writing, until it is closed.

    Args:
        file: The file; to share a lock it may be open for reading only.
        shared: Whether others may have the lock as well, if they share it.

    Returns:
        Whether it is locked now; False if somebody else has the lock, None if
        there are no locks here: on Windows and on some shares.
    """
    if sys.platform == "win32":
        return None
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def hold(path: Path) -> IO[str]:
    """Opens a file for appending, and locks it if there are locks.

    Raises:
        BlockingIOError: If somebody else has locked it.
        OSError: If it cannot be opened.
    """
    while True:
        file = open(  # noqa: SIM115
            path, "a", encoding="utf-8", opener=open_above_streams
        )
        is_locked = try_lock(file)
        # Before it was locked its last holder may have removed it.
        if is_locked is None or (
            is_locked and os.fstat(file.fileno()).st_nlink
        ):
            return file
        file.close()
        if not is_locked:
            raise BlockingIOError(f"{path} is locked")


def is_held(path: Path) -> bool | None:
    """Whether somebody has locked a file; None if that cannot be known."""
    try:
        with open(path, "rb") as file:
            is_free = try_lock(file, shared=True)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return None if is_free is None else not is_free


def create_temporary(
    folder: Path, suffix: str, mode: int
) -> tuple[Path, BinaryIO]:
    """Makes a temporary file, locked, and open for writing.

    Args:
        folder: Where.
        suffix: The end of its name.
        mode: Its permissions, from which the umask is taken.

    Raises:
        OSError: If it cannot be made.
    """
    opener = functools.partial(open_above_streams, mode=mode)
    while True:
        path = folder / f".nst-{secrets.token_hex(4)}{suffix}"
        file = open(path, "xb", opener=opener)  # noqa: SIM115
        # Before it was locked another run may have removed it as left behind.
        if try_lock(file) is not False and path.exists():
            own(path)
            return path, file
        file.close()


def own(path: Path) -> None:
    """Notes a file that is to be removed if this process ends at once."""
    _own.add(path)


def disown(path: Path) -> None:
    """Notes that a file has been removed, or has its place."""
    _own.discard(path)


def remove_own() -> None:
    """Removes temporary files and marks of this process, which then ends.

    Another thread that is about to move one waits for the end.
    """
    MOVING.acquire()
    for path in list(_own):
        with contextlib.suppress(OSError):
            path.unlink()


def remove_leftovers(folder: Path) -> None:
    """Removes temporary files of runs that were killed, as far as it can."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if _TEMPORARY.fullmatch(name):
                with contextlib.suppress(OSError):
                    _remove_if_left(folder / name)


def _remove_if_left(path: Path) -> None:
    """Removes a temporary file, unless somebody is writing it."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return
    with open(path, "r+b") as file:
        is_locked = try_lock(file)
        if is_locked:
            path.unlink()
    if is_locked is None and time.time() - status.st_mtime > LEFT_SECONDS:
        path.unlink()
