"""Measures the memory available to this process, and counts OOM kills."""

import os
import sys
from pathlib import Path

GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
RESERVE = 0.1  # share of free memory left to other programs
# Under `ulimit -v`: the addresses, in bytes, of TensorFlow's libraries with the
# smallest picture; those for each byte of a picture; and those that a thread
# reserves for its stack (8 MiB) and its part of malloc's memory (64 MiB).
LEAST, PER_BYTE, PER_THREAD = 3.0e9, 2.0, 72 * 2**20


def find_limit() -> float | None:
    """Returns the memory limit of this process in bytes; None if unknown.

    It is the memory that the process already uses, plus the minimum of: the
    machine's free memory less a reserve, the free memory of each control group
    less a reserve, and the rest of the address space limit.
    """
    if sys.platform not in ("linux", "win32"):
        return None
    resident = _status("VmRSS")
    free = [_available(), *_groups()]
    found = [resident + (1 - RESERVE) * each for each in free if each]
    addresses = _address_limit()
    if addresses:
        addresses -= PER_THREAD * _count_threads()
        found.append(resident + max(0, addresses) / PER_BYTE)
    return min(found, default=None)


def check_addresses() -> None:
    """Checks, before TensorFlow is loaded, that it has enough addresses.

    With too few, its libraries crash while they are loaded.

    Raises:
        MemoryError: Under a limit (`ulimit -v`) that leaves less than `LEAST`.
    """
    left = _address_limit()
    if 0 < left < LEAST:
        raise MemoryError(
            f"`ulimit -v` leaves {left / 1e9:.1f} GB of addresses, and "
            f"TensorFlow needs at least {LEAST / 1e9:.0f} GB; raise the limit, "
            "with `ulimit -v unlimited`, say."
        )


def find_free(memory: float | None = None) -> float | None:
    """Returns the memory that this process may still allocate, in bytes.

    Args:
        memory: Upper bound, in bytes; None: none.

    Returns:
        The bytes, negative if it already uses too much; None if unknown.
    """
    limit = find_limit()
    # TensorFlow keeps memory between pictures, which is not subtracted from the
    # limit of each.
    free = None if limit is None else limit - _status("VmRSS")
    known = [each for each in (memory, free) if each is not None]
    return min(known, default=None)


def count_kills(
    root: Path = GROUPS, own: Path = OWN_GROUPS, proc: Path = Path("/proc")
) -> tuple[str, int] | None:
    """Counts the processes that the kernel killed for lack of memory.

    It counts in the control group of this process or, if that has no counter,
    on the machine.

    Returns:
        An identifier of the counter and the boot, and the count; only counts
        with equal identifiers are comparable. None without a counter.
    """
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    places = [
        folder / ("memory.oom_control" if old else "memory.events")
        for folder, old in _list_groups(root, own)
    ]
    for place in (*places, proc / "vmstat"):
        try:
            words = place.read_text().split()
            count = int(words[words.index("oom_kill") + 1])
        except (OSError, ValueError, IndexError):
            continue
        return f"{boot} {place}", count
    return None


def _available() -> float:
    """Reads the machine's available memory, in bytes."""
    if sys.platform == "win32":
        import ctypes

        # MEMORYSTATUSEX: its size, 64, and percentage; total; available.
        status = (ctypes.c_uint64 * 8)(64)
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return float(status[2])
    return _field(Path("/proc/meminfo"), "MemAvailable")


def _status(name: str) -> float:
    """Reads a size of this process, in bytes; 0 if it is unknown."""
    return _field(Path("/proc/self/status"), name)


def _field(path: Path, name: str) -> float:
    """Reads "name:  12 kB" of a file, in bytes; 0 if it is not there."""
    try:
        for line in path.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return 1024.0 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return 0.0


def _address_limit() -> float:
    """Computes the bytes of addresses left under `ulimit -v`; 0: no limit."""
    if sys.platform == "win32":
        return 0.0
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return 0.0
    return max(1.0, soft - _status("VmSize"))


def _count_threads() -> int:
    """Estimates how many threads TensorFlow will start: 22 with 2 cores."""
    return 10 + 6 * (os.cpu_count() or 1)


def _groups(root: Path = GROUPS, own: Path = OWN_GROUPS) -> list[float]:
    """Lists the remaining bytes of each control group of this process.

    Inactive file pages count as free.
    """
    found = []
    for folder, old in _list_groups(root, own):
        names, idle = ("memory.max", "memory.current"), "inactive_file"
        if old:
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
            idle = "total_inactive_file"
        left = _left(folder, names, idle)
        if left is not None:
            found.append(left)
    return found


def _list_groups(root: Path, own: Path) -> list[tuple[Path, bool]]:
    """Lists the control groups of this process, and their parents.

    Returns:
        The folder of each, and whether it is of version 1.
    """
    try:
        text = own.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    lines = [line.split(":", 2) for line in text.splitlines()]
    found = []
    for _, kinds, name in (line for line in lines if len(line) == 3):
        if kinds and "memory" not in kinds.split(","):
            continue
        base = root / "memory" if kinds else root
        folder = base / name.lstrip("/")
        for each in (folder, *folder.parents):
            found.append((each, bool(kinds)))
            if each == base:
                break
    return found


def _left(folder: Path, names: tuple[str, str], idle: str) -> float | None:
    """Computes the remaining bytes of a control group; None: no limit."""
    try:
        most, used = (int((folder / name).read_text()) for name in names)
    except (OSError, ValueError):  # "max", or no such group
        return None
    if most >= 2**60:  # no limit in version 1
        return None
    try:
        stat = (folder / "memory.stat").read_text().split()
        used -= int(stat[stat.index(idle) + 1])
    except (OSError, ValueError, IndexError):
        pass
    return float(max(1, most - used))
