"""Stores pictures and jobs as files in the folder of the studio.

Files and folders are named by random numbers. The user's name for a picture is
text in a JSON file, never a part of a path.
"""

import contextlib
import dataclasses
import json
import logging
import math
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from nst_tf import files, locks
from nst_tf.plan import settings
from nst_tf.web import form_fields

log = logging.getLogger("nst_tf")

UNUSED = 60  # maximum number of uploads that no job uses
LONGEST_NAME = 80  # characters of the user's name for a picture
QUEUED, PAINTING, INTERRUPTED = "queued", "painting", "interrupted"
DONE, STOPPED, FAILED = "done", "stopped", "failed"
FINISHED, ENDED = (DONE, STOPPED), (DONE, STOPPED, FAILED)
WAITING = (INTERRUPTED, QUEUED)  # in the order of painting
CHECKPOINT_SECONDS = 10
CHECKPOINTS, LAST_STATE = "checkpoints", "last_state"  # folders of a job
RESULTS = {"png": "image/png", "jpg": "image/jpeg", "tif": "image/tiff"}


class Picture(NamedTuple):
    """A picture that jobs can use: an upload, or a sample."""

    name: str  # the user's name for it
    path: Path
    view: Path  # the picture, reduced for the page
    width: int = 0
    height: int = 0
    created: float = 0.0


@dataclasses.dataclass
class Entry:
    """A job of the queue or of the history, as stored in its file.

    Attributes:
        levels: The steps of each level; of the last one, those taken. Empty if
            it cannot take more steps from its state.
    """

    id: str
    created: float
    settings: dict[str, Any]  # from the form
    pictures: dict[str, list[str]]  # numbers of pictures, by setting
    state: str = QUEUED
    origin: str = ""  # the job that it continues
    start: str = ""  # the setting that names the picture it starts from
    message: str = ""  # why it failed
    deaths: int = 0  # crashes of the painting process during this job
    width: int = 0
    height: int = 0
    steps: int = 0
    levels: list[int] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    ended: float = 0.0
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)


class Storage:
    """The folder of a studio, which only one server uses at a time.

    Args:
        root: The folder; created if it is missing.
        limit: Bytes that it may hold; see `disk.make_room`.

    Raises:
        OSError: If it is not writable, or another server uses it.
    """

    def __init__(self, root: Path, limit: float):
        self.root, self.limit = root, limit
        for name in ("pictures", "jobs"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self._lock = locks.hold(root / "server.lock")
        self._clean()
        self.pictures = list_samples()
        for path in (root / "pictures").glob("*/picture.json"):
            self._load_picture(path)
        self.entries: dict[str, Entry] = {}
        found = [_read_entry(p) for p in (root / "jobs").glob("*/job.json")]
        for entry in sorted(filter(None, found), key=lambda e: e.created):
            self.entries[entry.id] = entry

    def close(self) -> None:
        """Unlocks the folder."""
        self._lock.close()

    def make_picture_folder(self) -> Path:
        """Makes the folder of a new upload, under a number of its own."""
        folder = self.root / "pictures" / secrets.token_hex(8)
        folder.mkdir()
        return folder

    def add_picture(self, folder: Path, name: str, size: list[int]) -> str:
        """Registers an upload in its folder; returns its number."""
        shown = "".join(filter(str.isprintable, name))[:LONGEST_NAME]
        shown = shown.replace("/", "_").replace("\\", "_").strip(" .-")
        note = {"name": shown or "picture", "size": size}
        _write_json(folder / "picture.json", {**note, "created": time.time()})
        self._load_picture(folder / "picture.json")
        for number in self.list_unused()[:-UNUSED]:
            self.drop_folder(self.pictures.pop(number).path.parent)
        return folder.name

    def list_unused(self) -> list[str]:
        """Lists the uploads that no job uses, the oldest first."""
        used = {
            number
            for entry in self.entries.values()
            for numbers in entry.pictures.values()
            for number in numbers
        }
        unused = {
            number: picture.created
            for number, picture in self.pictures.items()
            if picture.created and number not in used
        }
        return sorted(unused, key=lambda number: unused[number])

    def drop_folder(self, folder: Path) -> None:
        """Removes the folder of an upload."""
        shutil.rmtree(folder, ignore_errors=True)

    def find_pictures(
        self, named: Mapping[str, list[str]]
    ) -> dict[str, list[Picture]]:
        """Finds pictures by their numbers.

        Raises:
            ValueError: If there is no such picture.
        """
        found: dict[str, list[Picture]] = {}
        for setting, numbers in named.items():
            if setting not in form_fields.PICTURES:
                raise ValueError(f"{setting[:60]!r} is not a picture.")
            for number in numbers:
                if number not in self.pictures:
                    raise ValueError(
                        f"the picture of {setting} no longer exists; choose "
                        f"it again."
                    )
            found[setting] = [self.pictures[number] for number in numbers]
        return found

    def list_values(self, entry: Entry) -> dict[str, Any]:
        """Lists the values of an entry's job, by the names of its settings.

        Raises:
            ValueError: In one sentence: what was received, what was expected.
        """
        found = self.find_pictures(entry.pictures)
        paths = {n: [p.path for p in each] for n, each in found.items() if each}
        folder = self.folder(entry)
        decided = {
            "output": str(folder / "result.png"),
            "overwrite": True,
            "checkpoint_dir": str(folder / CHECKPOINTS),
            "checkpoint_every": f"{CHECKPOINT_SECONDS}s",
        }
        if entry.start:
            decided[entry.start] = str(folder / "start.png")
        return form_fields.list_values(entry.settings, paths, decided)

    def list_names(self, entry: Entry) -> dict[str, str]:
        """Lists the user's names for the pictures of an entry.

        Returns:
            Names by "content", "style/0" and so on, as in `inputs.Inputs`.
        """
        names = {entry.start: "result.png"} if entry.start else {}
        for setting, pictures in self.find_pictures(entry.pictures).items():
            several = settings.FIELDS[setting].type in settings.ITEM_TYPES
            for i, picture in enumerate(pictures):
                key = f"{setting}/{i}" if several else setting
                names[key] = picture.name
        return names

    def find_title(self, entry: Entry) -> str:
        """Returns the title of an entry, from the names of its pictures."""
        numbers = (*entry.pictures["content"], *entry.pictures["style"])
        found = [self.pictures[n].name for n in numbers if n in self.pictures]
        stems = [Path(each).stem.replace("_", " ") for each in found]
        return f"{stems[0]} in {' + '.join(stems[1:])}" if found else entry.id

    def write_command(self, entry: Entry) -> str:
        """Writes the command line of an entry; empty if a picture is lost."""
        try:
            found = self.find_pictures(entry.pictures)
        except ValueError:
            return ""
        names = {n: [p.name for p in each] for n, each in found.items()}
        if entry.start:
            names[entry.start] = ["result.png"]
        return form_fields.write_command(entry.settings, names)

    def folder(self, entry: Entry) -> Path:
        """Returns the folder of a job."""
        return self.root / "jobs" / entry.id

    def add(
        self, entry: Entry, copies: Mapping[str, Path] = MappingProxyType({})
    ) -> None:
        """Stores a new job.

        Args:
            entry: The job.
            copies: Files of another job to copy, by their paths in its folder.
        """
        folder = self.folder(entry)
        folder.mkdir()
        for name, path in copies.items():
            (folder / name).parent.mkdir(exist_ok=True)
            _copy(path, folder / name)
        self.save(entry)
        self.entries[entry.id] = entry

    def save(self, entry: Entry) -> None:
        """Writes a job to its file."""
        path = self.folder(entry) / "job.json"
        _write_json(path, dataclasses.asdict(entry))

    def remove(self, entry: Entry) -> None:
        """Deletes a job and its result."""
        del self.entries[entry.id]
        folder = self.folder(entry)
        # Without this file the next start removes the rest.
        (folder / "job.json").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def _load_picture(self, path: Path) -> None:
        """Loads an upload from disk; skips a damaged one."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            note = json.loads(path.read_bytes())
            width, height = note["size"]
            self.pictures[path.parent.name] = Picture(
                str(note["name"]),
                path.parent / "original",
                path.parent / "view.jpg",
                int(width),
                int(height),
                float(note["created"]),
            )

    def _clean(self) -> None:
        """Removes folders that a killed server left half-made or half-deleted.

        They have no JSON file; a damaged one stays.
        """
        for kind, name in (("pictures", "picture.json"), ("jobs", "job.json")):
            for folder in (self.root / kind).iterdir():
                if not (folder / name).exists():
                    self.drop_folder(folder)


def list_losses(path: Path) -> list[tuple[int, float]]:
    """Reads the losses of a job by step; the last, if a step was repeated.

    Args:
        path: The file that the painting process writes.
    """
    found: dict[int, float] = {}
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="ascii").splitlines():
            step, _, loss = line.partition(" ")
            with contextlib.suppress(ValueError):
                found[int(step)] = float(loss)
    return sorted((n, loss) for n, loss in found.items() if loss < math.inf)


def make_entry(
    chosen: Mapping[str, Any],
    pictures: Mapping[str, list[str]],
    origin: str = "",
    start: str = "",
) -> Entry:
    """Makes a new job, which is not stored yet."""
    return Entry(
        secrets.token_hex(8),
        time.time(),
        dict(chosen),
        {name: list(each) for name, each in pictures.items() if each},
        origin=origin,
        start=start,
    )


def list_samples() -> dict[str, Picture]:
    """Lists the pictures that ship with the package."""
    return {
        name: Picture(path.name, path, path)
        for name, path in files.example_images().items()
    }


def _read_entry(path: Path) -> Entry | None:
    """Reads a job from its file; logs a damaged file and returns None."""
    try:
        entry = Entry(**json.loads(path.read_bytes()))
        numbers = [*entry.pictures["content"], *entry.pictures["style"]]
        if entry.id != path.parent.name or not numbers:
            raise ValueError("it belongs to another folder")
        entry.created = float(entry.created)
    except (OSError, ValueError, TypeError, LookupError) as error:
        log.warning("job %s is skipped: %s", path, error)
        return None
    return entry


def _copy(source: Path, target: Path) -> None:
    """Copies a file; links checkpoints, which are large and never changed."""
    if source.suffix == ".npz":
        with contextlib.suppress(OSError):
            os.link(source, target)
            return
    shutil.copyfile(source, target)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON file atomically."""
    with files.write_atomically(path) as file:
        file.write(json.dumps(value).encode())
