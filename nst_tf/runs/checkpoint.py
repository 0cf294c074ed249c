"""Checkpoints: the state of a run <-> files, whole or not there.

A checkpoint is one file, written beside its place and renamed. It holds the
variables of the optimizer, the image among them, the place in the levels, and
what the job is, so that no other job goes on from it. The newest two of a job
are kept; a damaged one gives way to the one before.
"""

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from nst_tf import files, locks
from nst_tf.optimize import state_file

if TYPE_CHECKING:
    from nst_tf.optimize import descent

log = logging.getLogger("nst_tf")

KEPT = 2
LARGEST_MARK = 2**16  # bytes
LONGEST_VALUE = 60  # characters, of a setting that is named as another
NOTES = ".files"  # what a job's notes on its files are called, after its key
_SUFFIX = ".checkpoint.npz"

Identity = Mapping[str, Any]  # what a job is: names and plain values
# (level, steps) -> the arrays that there must be, and those that there may be;
# raises DamageError if the job has no such place.
Expected = Callable[[int, int], tuple[state_file.Shapes, state_file.Shapes]]


class Saved(NamedTuple):
    """A checkpoint, as it is read."""

    state: "descent.State"
    notes: Mapping[str, Any]  # plain values that were saved with it


class CheckpointFolder:
    """The checkpoints of a job in a folder, beside those of other jobs.

    Args:
        path: The folder; it is made when something is saved.
        identity: What the job is.
    """

    def __init__(self, path: Path, identity: Identity):
        self._path = path
        text = json.dumps(identity)
        self._identity = json.loads(text)
        self._key = _digest(json.dumps(identity, sort_keys=True))
        # Older runs digested the settings in the order of their table.
        self._old_key = _digest(text)
        self._mark: IO[str] | None = None  # locked while a run goes on

    def check_writable(self) -> None:
        """Raises ValueError if this cannot be a folder to write to."""
        place = self._path
        while not os.path.lexists(place) and place != place.parent:
            place = place.parent
        try:
            files.check_folder_writable(place)
        except OSError as error:
            raise ValueError(
                f"--checkpoint_dir is {self._path}, but {place} is no folder "
                f"that can be written to: {error.strerror}; name another."
            ) from error

    def save(self, state: "descent.State", notes: Mapping[str, Any]) -> None:
        """Writes a checkpoint, then deletes the oldest ones of the job.

        Where it cannot be written they are deleted first, if the newest one is
        whole: a disk may have room for two.

        Args:
            state: What to save.
            notes: Plain values to save with it.

        Raises:
            OSError: If it cannot be written; nothing is left of it.
        """
        self._path.mkdir(parents=True, exist_ok=True)
        head = {
            "level": state.level,
            "steps": state.steps,
            "identity": self._identity,
            "notes": notes,
        }
        try:
            self._write(head, state.arrays)
        except OSError:
            own = self._list_own()
            if len(own) < KEPT or not state_file.is_whole(own[-1]):
                raise
            _delete(own[: 1 - KEPT])
            self._write(head, state.arrays)
        _delete(self._list_own()[:-KEPT])

    def newest(self, expect: Expected) -> Saved | None:
        """Reads the newest checkpoint that is whole; None if there is none.

        Args:
            expect: What a checkpoint of the job has.

        Raises:
            ValueError: If it is of another job: in what they differ.
        """
        for path in reversed(_files(self._path)):
            try:
                head = state_file.read_head(path)
                self._check_identity(path, head["identity"])
                return _read(path, head, expect)
            except state_file.DamageError as error:
                reason = str(error)
            except OSError as error:
                reason = f"it cannot be read ({error.strerror})"
            log.warning(
                "checkpoint %s is left out, and an older one is looked for: %s",
                path,
                reason,
            )
        return None

    def check_free(self) -> None:
        """Raises BlockingIOError if a run of the job is under way here."""
        for path in self._marks:
            if _is_in_use(path):
                raise self._describe_other_run(path)

    def mark(self, note: Mapping[str, Any]) -> None:
        """Says that a run of the job is under way; nothing if it cannot be.

        Raises:
            BlockingIOError: If another one is.
        """
        self.check_free()
        path = self._marks[0]
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            self._mark = locks.hold(path)
            locks.own(path)
            self._mark.truncate(0)
            self._mark.write(json.dumps({**note, "process": os.getpid()}))
            self._mark.flush()
        except BlockingIOError:
            raise self._describe_other_run(path) from None
        except OSError:
            self.unmark()

    def unmark(self) -> None:
        """Says that it has ended, in whatever way."""
        if self._mark and os.name == "nt":  # which removes no open file
            self._mark.close()
        for path in (*self._marks, *self._parts):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            locks.disown(path)
        locks.remove_leftovers(self._path)
        if self._mark:
            with contextlib.suppress(OSError):
                self._mark.close()

    def died(self) -> Mapping[str, Any] | None:
        """The note of a run of the job that did not end; None if all did."""
        for path in self._marks:
            note = _read_mark(path)
            if note is not None:
                return None if _is_in_use(path) else note
        return None

    def _describe_other_run(self, path: Path) -> BlockingIOError:
        """Makes the error that another run of the job is under way."""
        note = _read_mark(path)
        process = f" (process {note['process']})" if note else ""
        return BlockingIOError(
            f"another run of this job{process} saves its checkpoints in "
            f"{self._path}; wait until it ends, or name another folder with "
            f"--checkpoint_dir."
        )

    @property
    def notes(self) -> Path:
        """The file that notes what the job has written besides."""
        return self._path / f".{self._key}{NOTES}"

    def is_empty(self) -> bool:
        """Returns whether there is no checkpoint of the job."""
        return not self._list_own()

    @property
    def _marks(self) -> list[Path]:
        """Files of which one is there while a run of the job is under way."""
        keys = self._key, self._old_key
        return [self._path / f".{key}.running" for key in keys]

    @property
    def _parts(self) -> list[Path]:
        """Files that older versions wrote checkpoints to."""
        return [path.with_suffix(".part") for path in self._marks]

    def _write(
        self, head: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> None:
        """Writes a checkpoint after all that are there."""
        number = max([_number(path) for path in _files(self._path)], default=0)
        path = self._path / f"{number + 1:06d}{_SUFFIX}"
        with files.write_atomically(path) as file:
            state_file.write(file, head, arrays)

    def _list_own(self) -> list[Path]:
        """Lists the checkpoints of the job, the oldest first."""
        return [each for each in _files(self._path) if self._owns(each)]

    def _owns(self, path: Path) -> bool:
        """Whether a file is a checkpoint of this job."""
        try:
            head = state_file.read_head(path)
        except (state_file.DamageError, OSError):
            return False
        return bool(head["identity"] == self._identity)

    def _check_identity(self, path: Path, theirs: Identity) -> None:
        """Raises ValueError if a checkpoint is of another job."""
        difference = describe_difference(theirs, self._identity)
        if difference:
            raise ValueError(
                f"checkpoint {path} is of another job: {difference}. Name "
                f"another folder with --checkpoint_dir, or start anew with "
                f"--resume=never."
            )


def describe_difference(theirs: Identity, ours: Identity) -> str:
    """Says in what another job differs from ours; empty if it does not."""
    plain = json.loads(json.dumps(ours))  # where tuples are lists
    for name in {**plain, **theirs}:
        there, here = theirs.get(name), plain.get(name)
        if there == here:
            continue
        if isinstance(here, str) and here.startswith("sha256:"):
            return f"its {name} is another"
        value = str(there)
        if len(value) > LONGEST_VALUE:
            value = f"{value[:LONGEST_VALUE]}..."
        return f"its {name[:LONGEST_VALUE]} is {value}, and here it is {here}"
    return ""


def _digest(text: str) -> str:
    """Names the files of a job while it runs."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_mark(path: Path) -> dict[str, Any] | None:
    """Reads a mark; None if there is none, or it does not name a process."""
    try:
        with open(path, "rb") as file:
            note = json.loads(file.read(LARGEST_MARK))
        return note if type(note["process"]) is int else None
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None


def _is_in_use(path: Path) -> bool:
    """Whether the run that left a mark is under way."""
    is_held = locks.is_held(path)
    if is_held is None:  # there are no locks
        note = _read_mark(path)
        return note is not None and _is_running(note["process"])
    return is_held


def _is_running(process: int) -> bool:
    """Whether there is such a process, other than this one."""
    if process == os.getpid() or process <= 0:
        return False
    if not hasattr(os, "geteuid"):  # on Windows a signal of 0 would end it
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _files(folder: Path) -> list[Path]:
    """Lists the checkpoints of a folder, the oldest first."""
    found = [path for path in folder.glob(f"*{_SUFFIX}") if _number(path)]
    return sorted(filter(Path.is_file, found), key=_number)


def _number(path: Path) -> int:
    """The number in the name of a checkpoint; 0 if it is none."""
    digits = path.name[: -len(_SUFFIX)]
    return int(digits) if digits.isdecimal() else 0


def _delete(paths: list[Path]) -> None:
    """Deletes checkpoints."""
    for path in paths:
        path.unlink(missing_ok=True)


def _read(path: Path, head: Mapping[str, Any], expect: Expected) -> Saved:
    """Reads a checkpoint of the job."""
    from nst_tf.optimize import descent  # TensorFlow is at work by now

    level, steps = head["level"], head["steps"]
    arrays = state_file.read_arrays(path, *expect(level, steps))
    return Saved(descent.State(level, steps, arrays), head["notes"])
