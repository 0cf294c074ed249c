"""Checks every task before any is painted: pictures, settings, outputs, space.

The header of each picture is read once, even if many tasks use it.
"""

import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from nst_tf import files, urls
from nst_tf.batch import done, groups, manifest, tasks
from nst_tf.images import decoding_setup, image_io, reading, sources, writing
from nst_tf.plan import inputs, settings
from nst_tf.runs import outputs

_ROTATED = range(5, 9)  # EXIF orientations that lie on their side
_ORIENTATION = 0x0112


class Checked(NamedTuple):
    """The result of checking a batch."""

    found: dict[groups.Group, list[tasks.Task]]  # to paint
    done: list[tasks.Task]  # finished already
    faults: list[manifest.Fault]
    disk: float  # bytes that the outputs may take

    @property
    def number(self) -> int:
        """The number of pictures to paint."""
        return sum(map(len, self.found.values()))


class Checker:
    """Checks tasks.

    Args:
        written: Tells which files the batch may replace.
        root: Outputs must be inside of it; None: anywhere.
        digests: Those of the inputs.

    Attributes:
        networks: The networks' weights that have been read.
    """

    def __init__(
        self,
        written: outputs.WrittenFiles = outputs.NOTHING,
        root: Path | None = None,
        digests: done.Digests | None = None,
    ):
        self._written = written
        self._root = root and Path(os.path.realpath(root))
        self._digests = digests or done.Digests()
        self.networks = groups.Networks()
        self._sizes: dict[str, groups.Size | ValueError] = {}
        self._groups: dict[Any, groups.Group | Exception] = {}
        self._named: dict[tasks.Kind, dict[str, str]] = {}
        self._parts: dict[str, list[str] | ValueError] = {}
        self._folders: dict[str, Path] = {}
        self._outputs: dict[int, int] = {}  # line by hash of the path
        self._need: dict[str, float] = {}  # bytes by folder

    def check_all(
        self, given: Iterable[tasks.Task | manifest.Fault]
    ) -> Checked:
        """Checks all tasks, and groups them."""
        found: dict[groups.Group, list[tasks.Task]] = {}
        finished: list[tasks.Task] = []
        faults: list[manifest.Fault] = []
        for task in given:
            if isinstance(task, manifest.Fault):
                faults.append(task)
                continue
            try:
                group = self._check(task)
            except (ValueError, TypeError, MemoryError) as error:
                faults.append(manifest.Fault(task.number, str(error), task))
                continue
            if group is None:
                finished.append(task)
            else:
                found.setdefault(group, []).append(task)
        faults += self._remove_inputs(found)
        found = {group: each for group, each in found.items() if each}
        faults += self._check_space()
        faults.sort(key=lambda fault: fault.number)
        return Checked(found, finished, faults, sum(self._need.values()))

    def _check(self, task: tasks.Task) -> groups.Group | None:
        """Checks a task; None if its picture is done.

        Raises:
            ValueError, TypeError, MemoryError: In one sentence.
        """
        group = self._find_group(task)
        path = Path(os.path.expanduser(task.output))
        job = group.kind.job
        options = writing.Options(bit_depth=job.bit_depth)
        writing.check(path, *group.size, options)
        folder = self._find_folder(path.parent)
        place = folder / path.name
        if self._root and not place.is_relative_to(self._root):
            raise ValueError(
                f"output {path} is outside of the output_root {self._root}."
            )
        if len(os.fsencode(path.name)) > outputs.LONGEST_NAME - len(".lock."):
            raise ValueError(f"output name {path.name[:40]}... is too long.")
        first = self._outputs.setdefault(_hash(place), task.number)
        if first != task.number:
            raise ValueError(
                f"output {path} is also the output of line {first}; choose "
                f"another name, or use {{index}} in --output."
            )
        is_there = os.path.lexists(path)
        if is_there and done.is_done(task.make_job(), self._digests):
            return None
        if is_there or writing.needs_sidecar(path):
            outputs.choose_path(
                task.output, [], overwrite=job.overwrite, written=self._written
            )
        height, width = group.size
        need = 4 * height * width * job.bit_depth // 8
        self._need[str(folder)] = self._need.get(str(folder), 0) + need
        return group

    def _find_group(self, task: tasks.Task) -> groups.Group:
        """Returns the group of a task; plans a new group."""
        job = task.kind.job
        content = task.get("content")
        if not content:
            raise ValueError("no content image; give it a content.")
        styles = [self._list_parts(each) for each in task.get("style")]
        # Making a job is slow, for a million tasks.
        if {*task.kind.names} - {"content", "style"}:
            named = inputs.list_named_pictures(task.make_job())
        else:
            if task.kind not in self._named:
                self._named[task.kind] = inputs.list_named_pictures(job)
            named = self._named[task.kind]
        sizes = [
            self._measure(source, job)
            for source in (content, *(n for part in styles for n in part))
        ]
        others = {n: self._measure(each, job) for n, each in named.items()}
        counts = tuple(map(len, styles))
        smaller = others.get("continue_from")
        key = task.kind, tuple(sizes), counts, smaller
        if key not in self._groups:
            try:
                if not settings.is_keyword("weights", job.weights):
                    self.networks.find(job, may_download=False)
                draft = groups.draft(job, sizes, counts, smaller)
                self._groups[key] = groups.Group(task.kind, draft)
            except (ValueError, TypeError, MemoryError) as error:
                self._groups[key] = error
        return _unwrap(self._groups[key])

    def _measure(self, source: str, job: settings.Job) -> groups.Size:
        """Reads the size of a picture from its header."""
        if source not in self._sizes:
            try:
                self._sizes[source] = _read_size(source, job)
            except ValueError as error:
                self._sizes[source] = error
        return _unwrap(self._sizes[source])

    def _list_parts(self, style: str) -> list[str]:
        """Lists the pictures of a style: those of a folder, or itself."""
        if style not in self._parts:
            try:
                (self._parts[style],) = sources.expand_folders([style])
            except ValueError as error:
                self._parts[style] = error
        return _unwrap(self._parts[style])

    def _find_folder(self, folder: Path) -> Path:
        """Checks that files can be made in a folder, which may be missing.

        Returns the folder without symbolic links.
        """
        name = str(folder)
        if name not in self._folders:
            place = Path(os.path.realpath(folder))
            there = files.find_existing(place)
            if not there.is_dir():
                raise ValueError(
                    f"output folder {folder} cannot be made: {there} is a file."
                )
            try:
                files.check_folder_writable(there)
            except OSError as error:
                raise ValueError(
                    f"output folder {there} cannot be written to: "
                    f"{error.strerror}."
                ) from error
            self._folders[name] = place
        return self._folders[name]

    def _remove_inputs(
        self, found: dict[groups.Group, list[tasks.Task]]
    ) -> list[manifest.Fault]:
        """Removes the tasks whose output is an input of any task."""
        paths = filter(sources.is_file, self._sizes)
        read = {_hash(Path(os.path.realpath(path))) for path in paths}
        if read.isdisjoint(self._outputs):
            return []
        faults = []
        for group, each in found.items():
            kept = []
            for task in each:
                path = Path(os.path.expanduser(task.output))
                if _hash(self._find_folder(path.parent) / path.name) in read:
                    words = f"output {path} is an input; name another file."
                    faults.append(manifest.Fault(task.number, words, task))
                else:
                    kept.append(task)
            found[group] = kept
        return faults

    def _check_space(self) -> list[manifest.Fault]:
        """Checks that all outputs have room on their disks."""
        needs: dict[int, float] = {}
        free: dict[int, tuple[int, str]] = {}
        for name, need in self._need.items():
            there = files.find_existing(Path(name))
            device = os.stat(there).st_dev
            needs[device] = needs.get(device, 0.0) + need
            free[device] = shutil.disk_usage(there).free, name
        return [
            manifest.Fault(
                0,
                f"output folder {free[device][1]} has "
                f"{free[device][0] / 1e9:.2f} GB free, but the pictures may "
                f"need {need / 1e9:.2f} GB.",
            )
            for device, need in needs.items()
            if need > free[device][0]
        ]


def _read_size(source: str, job: settings.Job) -> groups.Size:
    """Reads the size of a picture.

    An address is not asked: any size may do.
    """
    if urls.has_scheme(source):
        return 1024, 1024
    path = Path(os.path.expanduser(source))
    try:
        if path.is_file():
            with decoding_setup.open_header(
                path, [*reading.PILLOW_READERS]
            ) as image:
                width, height = image.size
                turned = image.getexif().get(_ORIENTATION) in _ROTATED
            if height * width <= 1e6 * job.max_megapixels:
                return (width, height) if turned else (height, width)
    except Exception:  # a damaged file raises anything; it is read in full
        pass
    found = image_io.read_file(source, job.max_megapixels).pixels.shape
    return found[0], found[1]


def _unwrap(found: Any) -> Any:
    """Returns a kept value, or raises a kept error."""
    if isinstance(found, Exception):
        raise found.with_traceback(None)  # or it would grow
    return found


def _hash(path: Path) -> int:
    """Stands for a path; a million paths themselves would take memory."""
    name = os.path.normcase(path)
    if sys.platform == "darwin":  # most of its disks ignore case
        name = name.casefold()
    return hash(name)
