"""Where pictures go: names, numbers, and folders that take them.

What is there already is never replaced unasked, but by the run that goes on
from a checkpoint of the run that wrote it.
"""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from nst_tf import files
from nst_tf.images import image_io, sources, writing
from nst_tf.runs import standard_output

LONGEST_NAME = 255  # bytes, on most file systems
LARGEST_NOTES = 2**20  # bytes


class WrittenFiles:
    """The files that a job has written so far, by path and SHA-256.

    They are noted in a file beside its checkpoints. A record inside a picture
    would not do: an editor may keep it.

    Args:
        notes: The file; None: nothing is noted.
        found: Digests by path, of runs before this one.
    """

    def __init__(
        self,
        notes: Path | None = None,
        found: Mapping[str, Sequence[str]] | None = None,
    ):
        self._notes = notes
        self._found = dict(found or {})

    def has(self, path: Path) -> bool:
        """Returns whether a file is as the job wrote it."""
        known = self._found.get(os.path.realpath(path), ())
        try:
            return bool(known) and files.digest_file(path) in known
        except OSError:
            return False

    def note(self, path: Path, whole: Path) -> None:
        """Notes a file that is about to take its place.

        Args:
            path: Its place.
            whole: The file. If the run is killed now, the one before it stays,
                whose digest is therefore kept, too.
        """
        if not self._notes:
            return
        name = os.path.realpath(path)
        before = list(self._found.get(name, ()))
        self._found[name] = [*before[-1:], files.digest_file(whole)]
        # Without them the run goes on.
        with (
            contextlib.suppress(OSError),
            files.write_atomically(self._notes) as file,
        ):
            file.write(json.dumps(self._found).encode())

    def forget(self) -> None:
        """Forgets all files: a finished picture is nobody's to replace."""
        self._found.clear()
        if self._notes:
            with contextlib.suppress(OSError):
                self._notes.unlink(missing_ok=True)


NOTHING = WrittenFiles()


def read_written(notes: Path) -> dict[str, list[str]]:
    """Reads what a run noted: digests by path; {} if it is damaged."""
    try:
        with open(notes, "rb") as file:
            found = json.loads(file.read(LARGEST_NOTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {n: each for n, each in found.items() if isinstance(each, list)}


def choose_path(
    output: str,
    inputs: Sequence[str],
    *,
    overwrite: bool = False,
    previews: bool = False,
    written: WrittenFiles = NOTHING,
) -> Path:
    """Where the picture goes: as named, or <content>-<style>.png, numbered.

    Args:
        output: The name asked for; empty for one made from the inputs'; "-":
            standard output.
        inputs: Files that the picture is made from, the pictures first; none
            of them is ever replaced.
        overwrite: Whether another file of that name may be.
        previews: Whether previews will be written beside it.
        written: Files that may be replaced, too.

    Raises:
        ValueError: If that is no place for a picture, or one is there already.
    """
    if not output:
        stems = "-".join(Path(sources.find_name(each)).stem for each in inputs)
        free = Path(f"{stems[:60]}.png")
        return find_free_path(free, previews, written=written)
    path = Path(os.path.expanduser(output))
    if path == standard_output.PATH:
        return standard_output.check(previews)
    for each in _beside(path, previews):
        _check_place(each, inputs, overwrite or written.has(each))
    return path


def find_free_path(
    path: Path,
    previews: bool = False,
    record: str = "",
    written: WrittenFiles = NOTHING,
) -> Path:
    """Returns the path, or with -2, -3 ... the first that is not taken."""
    number, candidate = 1, path
    while any(
        os.path.lexists(each) and not written.has(each)
        for each in _beside(candidate, previews, record)
    ):
        number += 1
        candidate = path.with_stem(f"{path.stem}-{number}")
    return candidate


def check_aside(
    setting: str,
    name: str,
    path: Path,
    inputs: Sequence[str],
    previews: bool = False,
) -> None:
    """Raises ValueError if a log or a film would replace something else.

    Args:
        setting: Which of them.
        name: Its file.
        path: Of the picture.
        inputs: Other files of the run.
        previews: Whether previews will be written beside the picture.
    """
    place = Path(os.path.expanduser(name))
    if os.path.lexists(place) and not place.is_file():
        raise ValueError(f"{setting} {name} is there, and is no regular file.")
    others = [os.path.expanduser(each) for each in inputs]
    others += map(str, _beside(path, previews))
    for other in others:
        if place.resolve() == Path(other).resolve() or (
            place.exists() and os.path.exists(other) and place.samefile(other)
        ):
            raise ValueError(
                f"{setting} {name} is a picture or file of this run; name "
                f"another."
            )


def _beside(path: Path, previews: bool, record: str = "") -> list[Path]:
    """The files that are written with a picture."""
    paths = [path]
    if previews:
        paths.append(preview_path(path))
    if writing.needs_sidecar(path, record):
        paths.append(writing.sidecar_path(path))
    return paths


def preview_path(path: Path) -> Path:
    """Where the previews of an output go."""
    return path.with_name(f"{path.stem}.preview.png")


def check_writable(
    path: Path,
    height: int,
    width: int,
    options: writing.Options | None = None,
) -> None:
    """Raises ValueError unless a picture of that size can be written."""
    options = options or writing.Options()
    if path == standard_output.PATH:
        return writing.check(standard_output.ELSEWHERE, height, width, options)
    writing.check(path, height, width, options)
    folder = check_folder("output", path)
    free, need = shutil.disk_usage(folder).free, height * width
    need *= 4 * options.bit_depth // 8
    if free < need:
        raise ValueError(
            f"output folder {folder} has {free / 1e6:.1f} MB free, but the "
            f"picture may need {need / 1e6:.1f} MB."
        )


def check_folder(setting: str, path: Path) -> Path:
    """Checks where a file is to go, and returns the folder.

    Raises:
        ValueError: If there can be no file, or preview, of its name.
    """
    folder = path.parent
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{setting} folder {folder} is a file; name another.")
    if not folder.is_dir():
        raise ValueError(f"{setting} folder {folder} does not exist; make it.")
    name = preview_path(path).name
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise ValueError(
            f"{setting} name {path.name[:40]}... is too long; name a shorter "
            f"one with --{setting}."
        )
    try:
        files.check_folder_writable(folder)
    except OSError as error:
        raise ValueError(
            f"{setting} folder {folder} cannot be written to: {error.strerror}."
        ) from error
    return folder


def save_result(
    path: Path,
    image: np.ndarray,
    overwrite: bool,
    options: writing.Options | None = None,
    written: WrittenFiles = NOTHING,
) -> Path:
    """Writes the picture, as `write_somewhere` does.

    A record that the file cannot hold goes into one beside it. A picture that
    standard output does not take goes into a file.
    """
    options = options or writing.Options()
    if path == standard_output.PATH:
        with contextlib.suppress(OSError):
            standard_output.write(image, options)
            return path
        path, overwrite = standard_output.ELSEWHERE, False

    def save(place: Path) -> None:
        image_io.write_image(place, image, options, written.note)

    return write_somewhere(path, save, overwrite, options.record, written)


def write_somewhere(
    path: Path,
    write: Callable[[Path], None],
    overwrite: bool,
    record: str = "",
    written: WrittenFiles = NOTHING,
) -> Path:
    """Writes a file, somewhere else if need be, so that it is not lost.

    A file that has appeared meanwhile is kept. Where the folder takes no file
    any more, the working directory and the folder for temporary files are
    tried.

    Args:
        path: Where to.
        write: Writes it to such a path.
        overwrite: Whether a file of that name may be replaced; else it gets
            the next number that is free.
        record: That of a picture.
        written: Files that may be replaced, too.

    Returns:
        Where it was written.

    Raises:
        OSError: If it cannot be written anywhere.
    """
    if not overwrite:
        path = find_free_path(path, record=record, written=written)
    try:
        write(path)
        return path
    except OSError as error:
        failure = error
    for find_folder in (Path, tempfile.gettempdir):
        try:
            folder = Path(find_folder())  # there may be none
            elsewhere = find_free_path(folder / path.name, record=record)
            write(elsewhere)
            return elsewhere
        except OSError:
            continue
    raise failure


def _check_place(path: Path, inputs: Sequence[str], overwrite: bool) -> None:
    """Raises ValueError if a file that is there forbids to write one."""
    if path.is_dir():
        raise ValueError(f"output {path} is a folder, expected a file's name.")
    if not os.path.lexists(path):
        return
    if not path.is_file():
        raise ValueError(f"output {path} is there, and is no regular file.")
    for name in map(os.path.expanduser, inputs):
        if os.path.exists(name) and path.samefile(name):
            raise ValueError(
                f"output {path} is one of the inputs; name another file."
            )
    if not overwrite:
        raise ValueError(
            f"output {path} exists; name another file, or replace it with "
            f"--overwrite."
        )
