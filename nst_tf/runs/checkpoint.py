"""Checkpoints: the state of a run <-> files, whole or not there.

A checkpoint is one file, written beside its place and renamed. It holds the
variables of the optimizer, the image among them, the place in the levels, and
what the job is, so that no other job goes on from it. The newest two of a job
are kept.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from nst_tf import files, locks

if TYPE_CHECKING:
    from nst_tf.optimize import descent

KEPT = 2
_SUFFIX = ".checkpoint.npz"

Identity = Mapping[str, Any]  # what a job is: names and plain values


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
                f"checkpoint_dir is {self._path}, but {place} is no folder "
                f"that can be written to: {error.strerror}; name another."
            ) from error

    def save(self, state: "descent.State") -> None:
        """Writes a checkpoint, then deletes the oldest ones of the job.

        Raises:
            OSError: If it cannot be written; nothing is left of it.
        """
        self._path.mkdir(parents=True, exist_ok=True)
        number = max([_number(path) for path in _files(self._path)], default=0)
        path = self._path / f"{number + 1:06d}{_SUFFIX}"
        head = {
            "level": state.level,
            "steps": state.steps,
            "identity": self._identity,
        }
        with files.write_atomically(path) as file:
            arrays: dict[str, Any] = dict(state.arrays)
            np.savez(file, head=np.array(json.dumps(head)), **arrays)
        own = [each for each in _files(self._path) if self._owns(each)]
        for old in own[:-KEPT]:
            old.unlink(missing_ok=True)

    def newest(self) -> "descent.State | None":
        """Reads the newest checkpoint that is whole; None if there is none.

        Raises:
            ValueError: If it is of another job: in what they differ.
        """
        from nst_tf.optimize import descent  # TensorFlow is at work by now

        for path in reversed(_files(self._path)):
            try:
                head, arrays = _read(path)
            except Exception:  # a damaged file raises anything
                continue
            theirs = head["identity"]
            for name in {**self._identity, **theirs}:
                ours = self._identity.get(name)
                if theirs.get(name) != ours:
                    raise ValueError(
                        f"checkpoint {path} is of another job: "
                        f"{_difference(name, theirs.get(name), ours)}. Name "
                        f"another folder with --checkpoint_dir, or start anew "
                        f"with --resume=never."
                    )
            return descent.State(head["level"], head["steps"], arrays)
        return None

    def check_free(self) -> None:
        """Raises BlockingIOError if a run of the job is under way here."""
        for path in self._marks:
            if locks.is_held(path):
                raise self._describe_other_run(path)

    def mark(self, note: Mapping[str, Any]) -> None:
        """Says that a run of the job is under way; nothing if it cannot be.

        Raises:
            BlockingIOError: If another one is.
        """
        path = self._marks[0]
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            self._mark = locks.hold(path)
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
        if self._mark:
            with contextlib.suppress(OSError):
                self._mark.close()

    def died(self) -> Mapping[str, Any] | None:
        """The note of a run of the job that did not end; None if all did."""
        for path in self._marks:
            try:
                note = json.loads(path.read_text(encoding="utf-8"))
                process = int(note["process"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
            is_held = locks.is_held(path)
            if is_held is None:
                is_held = _is_running(process)
            return None if is_held else note
        return None

    def _describe_other_run(self, path: Path) -> BlockingIOError:
        """Makes the error that another run of the job is under way."""
        process = ""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            note = json.loads(path.read_text(encoding="utf-8"))
            process = f" (process {int(note['process'])})"
        return BlockingIOError(
            f"another run of this job{process} saves its checkpoints in "
            f"{self._path}; wait until it ends, or name another folder with "
            f"--checkpoint_dir."
        )

    @property
    def _marks(self) -> list[Path]:
        """Files of which one is there while a run of the job is under way."""
        keys = self._key, self._old_key
        return [self._path / f".{key}.running" for key in keys]

    @property
    def _parts(self) -> list[Path]:
        """Files that older versions wrote checkpoints to."""
        return [path.with_suffix(".part") for path in self._marks]

    def _owns(self, path: Path) -> bool:
        """Whether a file is a checkpoint of this job."""
        try:
            with np.load(path, allow_pickle=False) as file:
                head = _head(file)
        except Exception:  # a damaged file raises anything
            return False
        return bool(head["identity"] == self._identity)


def _digest(text: str) -> str:
    """Names the files of a job while it runs."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_running(process: int) -> bool:
    """Whether there is such a process, other than this one."""
    if process == os.getpid() or process <= 0:
        return False
    if not hasattr(os, "geteuid"):  # on Windows a signal of 0 would end it
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _files(folder: Path) -> list[Path]:
    """Lists the checkpoints of a folder, the oldest first."""
    found = [path for path in folder.glob(f"*{_SUFFIX}") if _number(path)]
    return sorted(found, key=_number)


def _number(path: Path) -> int:
    """The number in the name of a checkpoint; 0 if it is none."""
    digits = path.name[: -len(_SUFFIX)]
    return int(digits) if digits.isdecimal() else 0


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Reads a file; the format has a check sum of each array."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != "head"}
        return _head(file), arrays


def _head(file: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Where in which run a checkpoint was saved."""
    head = json.loads(str(file["head"]))
    return {name: head[name] for name in ("level", "steps", "identity")}


def _difference(name: str, theirs: Any, ours: Any) -> str:
    """Says in what two jobs differ, in their names and values."""
    if isinstance(ours, str) and ours.startswith("sha256:"):
        return f"its {name} is another"
    return f"its {name} is {theirs}, and here it is {ours}"
