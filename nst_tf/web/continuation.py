"""Makes the job that continues a picture: larger, or with more steps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nst_tf.web import storage

# More steps at one size: a new start, and no smaller levels.
_START = {"init", "init_noise", "size", "print_size"}
_LEVELS = {"steps", "levels", "min_size", "growth"}


def make(
    kept: storage.Storage, entry: storage.Entry, size: int, steps: int
) -> tuple[storage.Entry, Mapping[str, Path]]:
    """Makes the job that continues the picture of another one.

    More steps resume from the state of the job, and give the picture that it
    would have become with these. Without a state, and for a larger size, the
    new job starts from the picture.

    Args:
        kept: Where jobs are.
        entry: The job of the picture.
        size: Long side in pixels; 0: the same.
        steps: At the same size.

    Returns:
        The new job, and the files that it gets, as `storage.Storage.add` takes
        them.

    Raises:
        ValueError: If there is no picture, or it is as large.
    """
    if entry.state not in storage.FINISHED:
        raise ValueError("this picture is not finished yet.")
    now = max(entry.width, entry.height)
    if size and size <= now:
        raise ValueError(f"size is {size}, expected more than {now}.")
    state = {} if size else _find_state(kept, entry)
    if state:
        *below, last = entry.levels
        chosen = {**entry.settings, "steps": [*below, last + steps]}
        made = storage.make_entry(chosen, entry.pictures, entry.id, entry.start)
        return made, state
    left_out = _START
    more: dict[str, Any] = {"size": size or now}
    if not size:
        left_out = left_out | _LEVELS
        more |= {"steps": [steps], "levels": 1}
    chosen = {n: v for n, v in entry.settings.items() if n not in left_out}
    pictures = {n: v for n, v in entry.pictures.items() if n != "init"}
    start = "continue_from" if size else "init"
    made = storage.make_entry({**chosen, **more}, pictures, entry.id, start)
    return made, {"start.png": kept.folder(entry) / "result.png"}


def _find_state(kept: storage.Storage, entry: storage.Entry) -> dict[str, Path]:
    """Finds the files from which a job takes more steps.

    Returns:
        Files by their paths in a job's folder; empty: it has no state.
    """
    folder = kept.folder(entry)
    is_done = entry.state == storage.DONE
    name = storage.LAST_STATE if is_done else storage.CHECKPOINTS
    found = {
        f"{storage.CHECKPOINTS}/{path.name}": path
        for path in (folder / name).glob("*.npz")
    }
    if not found or not entry.levels:
        return {}
    others = [folder / name for name in ("start.png", "losses.txt")]
    return {**found, **{path.name: path for path in others if path.exists()}}
