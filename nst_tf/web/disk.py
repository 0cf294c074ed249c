"""Keeps the folder of the studio within its limit.

A full folder gives up what is missed least: first the states of finished
pictures, from which these take more steps, then uploads that no job uses, and
then the oldest pictures of the history.
"""

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from nst_tf.web import storage

RESERVE = 1e9  # bytes of the disk that are left to other programs
FRESH = 10  # newest unused uploads; a page may have them in its form


def make_room(
    kept: storage.Storage, spared: Collection[str] = ()
) -> tuple[list[str], int]:
    """Deletes what is oldest while the folder is at its limit.

    The newest picture stays, and every job that waits or is painted.

    Args:
        kept: The folder.
        spared: The numbers of other jobs that stay.

    Returns:
        The numbers of the deleted jobs, and the bytes that the folder holds.
    """
    used, deleted = measure(kept.root), []
    given_up = _give_up(kept, spared)
    while used >= kept.limit and (found := next(given_up, None)):
        number, freed = found
        used -= freed
        deleted += [number] * bool(number)
    return deleted, used


def _give_up(
    kept: storage.Storage, spared: Collection[str]
) -> Iterator[tuple[str, int]]:
    """Deletes one thing after another.

    Yields:
        The number of the job, if one is deleted, and the freed bytes.
    """
    history = sorted(
        (e for e in kept.entries.values() if e.state in storage.ENDED),
        key=lambda entry: entry.ended or entry.created,
    )
    old = [entry for entry in history[:-1] if entry.id not in spared]
    for entry in old:
        state = kept.folder(entry) / storage.LAST_STATE
        freed = measure(state)
        shutil.rmtree(state, ignore_errors=True)
        yield "", freed
    for number in kept.list_unused()[:-FRESH]:
        yield "", _drop_upload(kept, number)
    for entry in old:
        freed = measure(kept.folder(entry))
        kept.remove(entry)
        own = {n for numbers in entry.pictures.values() for n in numbers}
        for number in own.intersection(kept.list_unused()):
            freed += _drop_upload(kept, number)
        yield entry.id, freed


def _drop_upload(kept: storage.Storage, number: str) -> int:
    """Deletes an upload; returns the freed bytes."""
    folder = kept.pictures.pop(number).path.parent
    freed = measure(folder)
    kept.drop_folder(folder)
    return freed


def check_room(kept: storage.Storage, used: int) -> None:
    """Raises ValueError if the folder, of `used` bytes, or the disk is full."""
    if used >= kept.limit:
        raise ValueError(
            f"the studio's folder holds {used / 1e9:.1f} GB, and nothing is "
            f"left to delete; wait for the queue, delete pictures from it, or "
            f"start the studio with a higher --disk."
        )
    free = shutil.disk_usage(kept.root).free
    if free < RESERVE:
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
