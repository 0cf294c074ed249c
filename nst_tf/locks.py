"""Locks temporary files and the mark files of running processes.

The system releases a lock (flock; LockFile on Windows) when its process ends in
any way. So a locked file is in use, and an unlocked one was left behind.
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

# Windows locks bytes, which others then cannot read: this one is in few files.
LOCKED_BYTE = 2**31 - 2
LEFT_SECONDS = 86400.0  # without locks, the age of an abandoned file
MOVING = threading.Lock()  # held while a temporary file is renamed
_own: set[Path] = set()  # temporary files and marks of this process
_TEMPORARY = re.compile(r"\.nst-[0-9a-f]{8}(\.[a-z0-9]{1,5})?")


def open_above_streams(
    path: str | os.PathLike[str], flags: int, mode: int = 0o666
) -> int:
    """Opens a file, as an opener of `open`, with a descriptor above 2.

    If a standard stream is closed, a file could get its descriptor, and with it
    the output of C libraries.
    """
    return lift_above_streams(os.open(path, flags, mode))


def lift_above_streams(descriptor: int) -> int:
    """Moves an open file to a descriptor above 2."""
    lower = []
    while descriptor <= 2:
        lower.append(descriptor)
        descriptor = os.dup(descriptor)
    for each in lower:
        os.close(each)
    return descriptor


def try_lock(file: IO[Any], *, shared: bool = False) -> bool | None:
    """Locks an open file until it is closed.

    Args:
        file: The file, open for writing; for a shared lock also for reading.
        shared: Whether other processes may hold a shared lock too.

    Returns:
        True if it is locked now, False if another process has the lock, None if
        locks are not supported, as on some shares.
    """
    try:
        _lock(file, shared)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _lock(file: IO[Any], shared: bool) -> None:
    """Locks an open file; raises BlockingIOError if another process did."""
    if sys.platform != "win32":
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, kind | fcntl.LOCK_NB)
        return
    import msvcrt  # which has no shared locks

    descriptor = file.fileno()
    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except PermissionError as error:
        raise BlockingIOError(*error.args) from None
    finally:
        os.lseek(descriptor, place, os.SEEK_SET)


def hold(path: Path) -> IO[str]:
    """Opens a file for appending, and locks it if locks are supported.

    Raises:
        BlockingIOError: If another process has locked it.
        OSError: If it cannot be opened.
    """
    while True:
        file = open(  # noqa: SIM115
            path, "a", encoding="utf-8", opener=open_above_streams
        )
        is_locked = try_lock(file)
        # The last holder may have removed it before it was locked.
        if is_locked is None or (
            is_locked and os.fstat(file.fileno()).st_nlink
        ):
            return file
        file.close()
        if not is_locked:
            raise BlockingIOError(f"{path} is locked")


def remove(path: Path, file: IO[Any]) -> None:
    """Removes a locked file if possible, and closes it."""
    if sys.platform == "win32":  # cannot remove an open file
        file.close()
    with contextlib.suppress(OSError):
        path.unlink()
    with contextlib.suppress(OSError):
        file.close()


def is_held(path: Path) -> bool | None:
    """Returns whether a file is locked; None if that is unknown."""
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
    """Creates a temporary file, locked and open for writing.

    Args:
        folder: Its folder.
        suffix: The end of its name.
        mode: Its permissions, before the umask.

    Raises:
        OSError: If it cannot be created.
    """
    opener = functools.partial(open_above_streams, mode=mode)
    while True:
        path = folder / f".nst-{secrets.token_hex(4)}{suffix}"
        file = open(path, "xb", opener=opener)  # noqa: SIM115
        # Another run may have removed it as abandoned before it was locked.
        if try_lock(file) is not False and path.exists():
            own(path)
            return path, file
        file.close()


def own(path: Path) -> None:
    """Registers a file to remove if this process ends abruptly."""
    _own.add(path)


def disown(path: Path) -> None:
    """Unregisters a file that was removed or renamed."""
    _own.discard(path)


def remove_own() -> None:
    """Removes the registered files, just before the process ends.

    A thread that wants to rename one blocks until the process ends.
    """
    MOVING.acquire()
    for path in list(_own):
        with contextlib.suppress(OSError):
            path.unlink()


def remove_leftovers(folder: Path) -> None:
    """Removes temporary files of killed runs, as far as possible."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if _TEMPORARY.fullmatch(name):
                with contextlib.suppress(OSError):
                    _remove_if_left(folder / name)


def _remove_if_left(path: Path) -> None:
    """Removes a temporary file, unless a process is writing it."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return
    with open(path, "r+b") as file:
        is_locked = try_lock(file)
        if is_locked:
            remove(path, file)
    if is_locked is None and time.time() - status.st_mtime > LEFT_SECONDS:
        path.unlink()
