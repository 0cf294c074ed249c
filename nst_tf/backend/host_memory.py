"""The bytes that a process may have on this machine, and who had too many."""

import sys
from pathlib import Path

GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
RESERVE = 0.1  # of what is free, which is left to others
# Threads and allocators reserve more addresses than they use: so many at first,
# and so many for each byte.
ADDRESSES, PER_BYTE = 0.5e9, 2.0


def find_limit() -> float | None:
    """Finds the bytes that this process may have; None if unknown.

    The smallest of what the machine has free, what its control groups leave,
    less a reserve, and its own limit of addresses; each with what the process
    has already.
    """
    if not sys.platform.startswith("linux"):
        return None
    resident = _status("VmRSS")
    free = [_available(), *_groups()]
    found = [resident + (1 - RESERVE) * each for each in free if each]
    addresses = _address_limit()
    if addresses:
        found.append(resident + max(0, addresses - ADDRESSES) / PER_BYTE)
    return min(found, default=None)


def find_free(memory: float | None = None) -> float | None:
    """Finds the bytes that this process may have besides those it has.

    Args:
        memory: At most so many bytes; None: as many as are free.

    Returns:
        The bytes, below 0 if it has too many already; None if unknown.
    """
    limit = find_limit()
    # TensorFlow keeps memory from one picture to the next; that is not taken
    # off what was set for each.
    free = None if limit is None else limit - _status("VmRSS")
    known = [each for each in (memory, free) if each is not None]
    return min(known, default=None)


def count_kills(
    root: Path = GROUPS, own: Path = OWN_GROUPS, proc: Path = Path("/proc")
) -> tuple[str, int] | None:
    """Counts the processes that the kernel killed for want of memory.

    Those of the control group of this process; where none counts them, those
    of the machine.

    Returns:
        What was counted where, since which boot; two counts compare if this is
        the same. And how many. None if nobody counts.
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
    """Reads the bytes that the machine can give away."""
    return _field(Path("/proc/meminfo"), "MemAvailable")


def _status(name: str) -> float:
    """Reads a size of this process, in bytes."""
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
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return 0.0
    return max(1.0, soft - _status("VmSize"))


def _groups(root: Path = GROUPS, own: Path = OWN_GROUPS) -> list[float]:
    """Lists the bytes that each control group of this process leaves.

    Pages of files that are not in use count as free.
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
    """Lists the control groups of this process, and those above them.

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
    """Computes the bytes that a control group leaves; None: no limit."""
    try:
        most, used = (int((folder / name).read_text()) for name in names)
    except (OSError, ValueError):  # "max", or no such group
        return None
    if most >= 2**60:  # version 1's way to say that there is no limit
        return None
    try:
        stat = (folder / "memory.stat").read_text().split()
        used -= int(stat[stat.index(idle) + 1])
    except (OSError, ValueError, IndexError):
        pass
    return float(max(1, most - used))
