"""Keeps the painted frames of a film on disk until it is done.

film.mp4.work/
    film.json      the identity of the film
    pass1/         000000.npy, 000001.npy: frames, float32
    passes.json    how many passes are done, and their number of frames
    failed.json    frames that repeat the one before
    written.json   the identity of the output that was written so far
    lock
"""

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from nst_tf import files, locks

IDENTITY, STATE, FAILED = "film.json", "passes.json", "failed.json"
WRITTEN, LOCK = "written.json", "lock"
_HEADER = 128  # bytes of an .npy file before its array
_SHOWN = 60  # characters of a value in a message


class WorkFolder:
    """The painted frames of a film.

    Args:
        path: The folder, which is created.
        identity: What decides the pixels of the film, by name; values are
            JSON.
        size: (height, width) of the frames.

    Raises:
        ValueError: If it belongs to another film, has other files, is in use,
            or is not writable.
    """

    def __init__(
        self, path: Path, identity: Mapping[str, Any], size: tuple[int, int]
    ):
        self.path = path
        self._size = size
        self._lock: IO[str] | None = None
        try:
            path.mkdir(parents=True, exist_ok=True)
            files.check_folder_writable(path)
            self._lock = locks.hold(path / LOCK)
        except BlockingIOError:
            raise ValueError(
                f"another run paints the film of {path} now; wait until it "
                "ends, or name another folder with --work_dir."
            ) from None
        except OSError as error:
            raise ValueError(
                f"work_dir {path} is not writable: {error.strerror}; name "
                "another folder with --work_dir."
            ) from error
        try:
            self._check(json.loads(json.dumps(identity)))
        except BaseException:
            self.close()
            raise
        locks.remove_leftovers(path)
        self.failed: dict[str, str] = _read(path, FAILED) or {}
        # How many passes are done, and how many frames they have; 0: unknown.
        state: tuple[int, int] = _read(path, STATE) or (0, 0)
        self.passed, self.count = state

    def _check(self, identity: dict[str, Any]) -> None:
        """Raises ValueError if the folder belongs to another film."""
        found = _read(self.path, IDENTITY)
        if found is None:
            others = {each.name for each in self.path.iterdir()} - {LOCK}
            if others:
                raise ValueError(
                    f"work_dir {self.path} has other files, such as "
                    f"{min(others)}; name a new folder."
                )
            self._write(IDENTITY, identity)
            return
        names = dict.fromkeys([*identity, *found])
        differing = [
            name for name in names if found.get(name) != identity.get(name)
        ]
        if differing:
            name = differing[0]
            then, now = (
                _shorten(each.get(name, "unset")) for each in (found, identity)
            )
            values = f" ({then} there, {now} now)"
            if then.startswith("sha256:") or now.startswith("sha256:"):
                values = ""
            more = f" and {len(differing) - 1} more" * (len(differing) > 1)
            raise ValueError(
                f"work_dir {self.path} has the frames of another film: {name}"
                f"{values}{more} differs. Repeat the command that began it, "
                "delete the folder to begin again, or name another with "
                "--work_dir."
            )

    def close(self) -> None:
        """Unlocks the folder."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def has(self, passed: int, index: int) -> bool:
        """Returns whether a frame of a pass is there."""
        path = self._find(passed, index)
        with contextlib.suppress(OSError):
            return path.stat().st_size == measure_frame(*self._size)
        return False

    def load(self, passed: int, index: int) -> np.ndarray:
        """Reads a frame, [H, W, 3], float32.

        Raises:
            OSError, ValueError: If it cannot be read.
        """
        return np.load(self._find(passed, index), allow_pickle=False)

    def save(self, passed: int, index: int, result: np.ndarray) -> None:
        """Keeps a frame.

        Raises:
            OSError: If it cannot be written.
        """
        path = self._find(passed, index)
        path.parent.mkdir(exist_ok=True)
        with files.write_atomically(path) as file:
            np.save(file, np.ascontiguousarray(result, np.float32))

    def note_failure(self, passed: int, index: int, error: str) -> None:
        """Notes that a frame could not be painted."""
        self.failed[f"{passed}/{index}"] = error
        self._write(FAILED, self.failed)

    def count_frames(self) -> int:
        """Returns how many frames of the last pass are kept."""
        found = 0
        for passed in (self.passed, self.passed - 1):
            folder = self._find(passed, 0).parent
            found = found or len(list(folder.glob("*.npy")))
        return found

    def list_failed(self) -> list[int]:
        """Lists the frames that could not be painted, in any pass."""
        return sorted({int(name.split("/")[1]) for name in self.failed})

    def retry_failures(self) -> None:
        """Forgets the frames that failed, so that they are painted again."""
        for name in self.failed:
            passed, index = map(int, name.split("/"))
            path = self._find(passed, index)
            if path.exists() and passed < self.passed:
                self.passed = passed
                self._write(STATE, [passed, self.count])
            path.unlink(missing_ok=True)
        if self.failed:
            self.failed = {}
            self._write(FAILED, self.failed)

    def end_pass(self, passed: int, count: int) -> None:
        """Notes that a pass is done, and removes the pass before it.

        Args:
            passed: Number of passes that are done.
            count: Number of frames of the film.
        """
        self.passed, self.count = passed, count
        self._write(STATE, [passed, count])
        if passed > 1:
            folder = self._find(passed - 2, 0).parent
            shutil.rmtree(folder, ignore_errors=True)

    def note_output(self, identity: str) -> None:
        """Notes which output was written, so that it may be replaced."""
        self._write(WRITTEN, identity)

    def remove(self) -> None:
        """Removes our files, and the folder if nothing else is in it."""
        for path in self.path.glob("pass*"):
            shutil.rmtree(path, ignore_errors=True)
        for name in (STATE, FAILED, WRITTEN, IDENTITY):
            with contextlib.suppress(OSError):
                (self.path / name).unlink(missing_ok=True)
        if self._lock:
            locks.remove(self.path / LOCK, self._lock)
            self._lock = None
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def _find(self, passed: int, index: int) -> Path:
        """Returns the path of a frame."""
        return self.path / f"pass{passed + 1}" / f"{index:06}.npy"

    def _write(self, name: str, content: Any) -> None:
        """Writes one of our files."""
        with files.write_atomically(self.path / name) as file:
            file.write(json.dumps(content, indent=1).encode())


def measure_frame(height: int, width: int) -> int:
    """Returns the bytes of a frame that is kept."""
    return _HEADER + 12 * height * width


def read_written(folder: Path) -> str | None:
    """Returns the identity of the output that was written last, if any."""
    found = _read(folder, WRITTEN)
    return found if isinstance(found, str) else None


def find_default(output: Path) -> Path:
    """Returns the work folder of an output, beside it."""
    return Path(f"{os.path.normpath(output)}.work")


def format_size(size: float) -> str:
    """Formats bytes in MB or GB."""
    if size < 1e9:
        return f"{size / 1e6:.3g} MB"
    return f"{size / 1e9:.3g} GB"


def _read(folder: Path, name: str) -> Any:
    """Reads one of our files; None if it is not there."""
    try:
        return json.loads((folder / name).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder / name} cannot be read: {error}; name another folder "
            "with --work_dir."
        ) from error


def _shorten(value: Any) -> str:
    """Formats a value for a message."""
    words = value if isinstance(value, str) else json.dumps(value)
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}..."
