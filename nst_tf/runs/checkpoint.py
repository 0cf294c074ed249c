"""Reads and writes checkpoints: the state of a run in one file.

A checkpoint is written to a temporary file and renamed, so that it is always
complete. It holds the variables of the optimizer, including the image, the
level and step, and the identity of the job, so that no other job resumes from
it. The newest two of a job are kept; if one is damaged, the run resumes from
the one before.
"""

import contextlib
import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nst_tf import files, locks
from nst_tf.optimize import state_file

if TYPE_CHECKING:
    from nst_tf.optimize import descent

log = logging.getLogger("nst_tf")

KEPT = 2
LARGEST_MARK = 2**16  # bytes
LONGEST_VALUE = 60  # characters of a setting's value in a message
NOTES = ".files"  # suffix of the file that lists a job's output files
_SUFFIX = ".checkpoint.npz"

Identity = Mapping[str, Any]  # name -> plain value
# (level, steps) -> shapes of the required and of the optional arrays; raises
# DamageError if the job has no such level or step.
Expected = Callable[[int, int], tuple[state_file.Shapes, state_file.Shapes]]


class Saved(NamedTuple):
    """A checkpoint that was read."""

    state: "descent.State"
    notes: Mapping[str, Any]  # plain values saved with it


class CheckpointFolder:
    """The checkpoints of one job in a folder, which other jobs may share.

    Args:
        path: The folder; created when a checkpoint is saved.
        identity: The identity of the job.
    """

    def __init__(self, path: Path, identity: Identity):
        self._path = path
        text = json.dumps(identity)
        self._identity = json.loads(text)
        self._key = _digest(json.dumps(identity, sort_keys=True))
        # Older versions digested the settings in the order of their table.
        self._old_key = _digest(text)
        self._mark: IO[str] | None = None  # locked during a run

    def check_writable(self) -> None:
        """Raises ValueError if the folder cannot be written to."""
        place = files.find_existing(self._path)
        try:
            files.check_folder_writable(place)
        except OSError as error:
            raise ValueError(
                f"--checkpoint_dir is {self._path}, but {place} is not a "
                f"writable folder: {error.strerror}; choose another."
            ) from error

    def save(self, state: "descent.State", notes: Mapping[str, Any]) -> None:
        """Writes a checkpoint, then deletes older ones of the job.

        If writing fails, as on a full disk, and the newest one is undamaged, it
        deletes the others and tries again.

        Args:
            state: The state to save.
            notes: Plain values to save with it.

        Raises:
            OSError: If it cannot be written; the partial file is removed.
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
        """Reads the newest undamaged checkpoint; returns None without one.

        Args:
            expect: Returns the arrays that a checkpoint must and may have.

        Raises:
            ValueError: If it belongs to another job; the message says how they
                differ.
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
                "checkpoint %s is skipped, and an older one is tried: %s",
                path,
                reason,
            )
        return None

    def check_free(self) -> None:
        """Raises BlockingIOError if another run of the job uses the folder."""
        for path in self._marks:
            if _is_in_use(path):
                raise self._describe_other_run(path)

    def mark(self, note: Mapping[str, Any]) -> None:
        """Marks the job as running; does nothing if the mark cannot be written.

        Raises:
            BlockingIOError: If another run of the job uses the folder.
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
        """Removes the mark after the run has ended in any way."""
        if self._mark:
            locks.remove(self._marks[0], self._mark)
        for path in (*self._marks, *self._parts):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            locks.disown(path)
        locks.remove_leftovers(self._path)

    def died(self) -> Mapping[str, Any] | None:
        """Returns the mark that a killed run left; None if there is none."""
        for path in self._marks:
            note = _read_mark(path)
            if note is not None:
                return None if _is_in_use(path) else note
        return None

    def _describe_other_run(self, path: Path) -> BlockingIOError:
        """Makes the error for another run of the job in this folder."""
        note = _read_mark(path)
        process = f" (process {note['process']})" if note else ""
        return BlockingIOError(
            f"another run of this job{process} saves its checkpoints in "
            f"{self._path}; wait until it ends, or choose another folder with "
            "--checkpoint_dir."
        )

    @property
    def notes(self) -> Path:
        """Returns the path of the list of the job's output files."""
        return self._path / f".{self._key}{NOTES}"

    def is_empty(self) -> bool:
        """Returns whether the job has no checkpoint."""
        return not self._list_own()

    @property
    def _marks(self) -> list[Path]:
        """Returns the possible paths of the file that marks a running job."""
        keys = self._key, self._old_key
        return [self._path / f".{key}.running" for key in keys]

    @property
    def _parts(self) -> list[Path]:
        """Returns the paths of partial checkpoints of older versions."""
        return [path.with_suffix(".part") for path in self._marks]

    def _write(
        self, head: Mapping[str, Any], arrays: Mapping[str, Any]
    ) -> None:
        """Writes a checkpoint with the next number."""
        number = max([_number(path) for path in _files(self._path)], default=0)
        path = self._path / f"{number + 1:06d}{_SUFFIX}"
        with files.write_atomically(path) as file:
            state_file.write(file, head, arrays)

    def _list_own(self) -> list[Path]:
        """Lists the checkpoints of the job, oldest first."""
        return [each for each in _files(self._path) if self._owns(each)]

    def _owns(self, path: Path) -> bool:
        """Returns whether a file is a checkpoint of this job."""
        try:
            head = state_file.read_head(path)
        except (state_file.DamageError, OSError):
            return False
        return bool(head["identity"] == self._identity)

    def _check_identity(self, path: Path, theirs: Identity) -> None:
        """Raises ValueError if a checkpoint belongs to another job."""
        difference = describe_difference(theirs, self._identity)
        if difference:
            raise ValueError(
                f"checkpoint {path} belongs to another job: {difference}. "
                "Choose another folder with --checkpoint_dir, or start over "
                "with --resume=never."
            )


def describe_difference(theirs: Identity, ours: Identity) -> str:
    """Describes the first difference between two jobs; empty if equal."""
    plain = json.loads(json.dumps(ours))  # tuples become lists
    for name in {**plain, **theirs}:
        there, here = theirs.get(name), plain.get(name)
        if there == here:
            continue
        if isinstance(here, str) and here.startswith("sha256:"):
            return f"the digest of its {name} differs"
        value = str(there)
        if len(value) > LONGEST_VALUE:
            value = f"{value[:LONGEST_VALUE]}..."
        return (
            f"its {name[:LONGEST_VALUE]} is {value}, and this job's is {here}"
        )
    return ""


def digest_arrays(arrays: Sequence[np.ndarray]) -> str:
    """Computes the SHA-256 digest of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return f"sha256:{digest.hexdigest()}"


def _digest(text: str) -> str:
    """Computes the key of a job in file names."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_mark(path: Path) -> dict[str, Any] | None:
    """Reads a mark; returns None if it is missing or names no process."""
    try:
        with open(path, "rb") as file:
            note = json.loads(file.read(LARGEST_MARK))
        return note if type(note["process"]) is int else None
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None


def _is_in_use(path: Path) -> bool:
    """Returns whether the run of a mark is still running."""
    is_held = locks.is_held(path)
    if is_held is None:  # the file system has no locks
        note = _read_mark(path)
        return note is not None and _is_running(note["process"])
    return is_held


def _is_running(process: int) -> bool:
    """Returns whether a process other than this one is running."""
    if process == os.getpid() or process <= 0:
        return False
    if sys.platform == "win32":  # signal 0 would kill it
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _files(folder: Path) -> list[Path]:
    """Lists the checkpoints of a folder, oldest first."""
    found = [path for path in folder.glob(f"*{_SUFFIX}") if _number(path)]
    return sorted(filter(Path.is_file, found), key=_number)


def _number(path: Path) -> int:
    """Returns the number in a checkpoint's name; 0 for other files."""
    digits = path.name[: -len(_SUFFIX)]
    return int(digits) if digits.isdecimal() else 0


def _delete(paths: list[Path]) -> None:
    """Deletes checkpoints."""
    for path in paths:
        path.unlink(missing_ok=True)


def _read(path: Path, head: Mapping[str, Any], expect: Expected) -> Saved:
    """Reads a checkpoint of the job."""
    from nst_tf.optimize import descent  # already imported by now

    level, steps = head["level"], head["steps"]
    arrays = state_file.read_arrays(path, *expect(level, steps))
    return Saved(descent.State(level, steps, arrays), head["notes"])
