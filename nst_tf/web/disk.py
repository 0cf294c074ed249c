"""Keeps the folder of the studio within its limit."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from nst_tf.web import storage


def check_room(kept: storage.Storage) -> None:
    """Raises ValueError if the folder is as full as it may be."""
    used = measure(kept.root)
    free = shutil.disk_usage(kept.root).free
    if used >= kept.limit:
        raise ValueError(
            f"the studio's folder holds {used / 1e9:.1f} GB, as much as "
            f"--disk allows; delete results that you no longer need."
        )
    if free < 1e9:
        raise ValueError(
            f"the disk has {free / 1e9:.1f} GB free; the studio needs 1 GB."
        )


def measure(folder: Path) -> int:
    """Adds up the bytes of all files of a folder."""

    def walk(place: str) -> Iterator[int]:
        with contextlib.suppress(OSError), os.scandir(place) as each:
            for entry in each:
                if entry.is_dir(follow_symlinks=False):
                    yield from walk(entry.path)
                else:
                    with contextlib.suppress(OSError):
                        yield entry.stat(follow_symlinks=False).st_size

    return sum(walk(str(folder)))
