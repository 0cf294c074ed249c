"""Lets Linux behave as Windows does, where nst_tf sees the difference.

There is no fcntl, resource or pwd. LockFile locks bytes for one open file, as
Linux's "open file description" locks do, and a file that is open can be neither
removed nor renamed.
"""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import signal
import struct
import sys
import types

FREE = 5 * 10**9
MISSING = ("fcntl", "grp", "pwd", "resource", "termios")
_lock, _flags = fcntl.fcntl, fcntl.F_GETFL
_set, _read, _write = fcntl.F_OFD_SETLK, fcntl.F_RDLCK, fcntl.F_WRLCK


def simulate(patch):
    """Makes this process one on Windows; a pytest.MonkeyPatch can undo it."""
    patch.setattr(sys, "platform", "win32")
    for name in MISSING:
        patch.setitem(sys.modules, name, None)
    msvcrt = types.ModuleType("msvcrt")
    msvcrt.LK_NBLCK, msvcrt.locking = 2, _locking
    patch.setitem(sys.modules, "msvcrt", msvcrt)
    kernel32 = types.SimpleNamespace(GlobalMemoryStatusEx=_fill_memory)
    windll = types.SimpleNamespace(kernel32=kernel32)
    patch.setattr(ctypes, "windll", windll, raising=False)
    patch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    patch.setattr(signal, "set_wakeup_fd", _set_wakeup)
    patch.setattr(os, "kill", None)  # it would end the other process
    for place, name in (
        *((os, name) for name in ("unlink", "remove", "rename", "replace")),
        (pathlib.Path, "unlink"),  # Python 3.10 has its own
    ):
        patch.setattr(place, name, _refuse_open(getattr(place, name)))


def _fill_memory(reference):
    """Is GlobalMemoryStatusEx: 8 GB, of which 5 are available."""
    status = reference._obj
    assert status[0] == ctypes.sizeof(status) == 64
    status[1:3] = 8 * 10**9, FREE
    return 1


def _set_wakeup(descriptor, set_it=signal.set_wakeup_fd, **named):
    """Is signal.set_wakeup_fd, which takes a pipe that blocks."""
    os.set_blocking(descriptor, False)
    return set_it(descriptor, **named)


def _locking(descriptor, mode, count):
    """Is msvcrt.locking, from the position of an open file."""
    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    is_read = _lock(descriptor, _flags) & os.O_ACCMODE == os.O_RDONLY
    kind = _read if is_read else _write
    flock = struct.pack("hhqqi4x", kind, os.SEEK_SET, place, count, 0)
    try:
        _lock(descriptor, _set, flock)
    except BlockingIOError:
        raise PermissionError(13, "Permission denied") from None


def _refuse_open(work):
    """Makes a function refuse a path that this process has open."""

    def refuse(path, *rest, **named):
        is_open = False
        for name in os.listdir("/proc/self/fd"):
            link = f"/proc/self/fd/{name}"
            with contextlib.suppress(FileNotFoundError):
                is_open = is_open or os.path.samefile(link, path)
        if is_open:
            raise PermissionError(13, "used by another process")
        return work(path, *rest, **named)

    return refuse
