"""Chooses, checks and writes output files.

An existing file is never overwritten unasked, except by a run that resumes the
run that wrote it.
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
    """The output files of a job so far, by path and SHA-256.

    A file beside its checkpoints lists them. A record inside a picture would
    not prove ownership, since an editor may keep it.

    Args:
        notes: That file; None: keep no list.
        found: Path -> digests, from earlier runs.
    """

    def __init__(
        self,
        notes: Path | None = None,
        found: Mapping[str, Sequence[str]] | None = None,
    ):
        self._notes = notes
        self._found = dict(found or {})

    def has(self, path: Path) -> bool:
        """Returns whether the job wrote a file, and nobody changed it since."""
        known = self._found.get(os.path.realpath(path), ())
        try:
            return bool(known) and files.digest_file(path) in known
        except OSError:
            return False

    def note(self, path: Path, whole: Path) -> None:
        """Adds a file to the list, just before it is renamed to its path.

        Args:
            path: Its final path.
            whole: The temporary file. The digest of the file that it replaces
                is kept too, in case the run is killed before the renaming.
        """
        if not self._notes:
            return
        name = os.path.realpath(path)
        before = list(self._found.get(name, ()))
        self._found[name] = [*before[-1:], files.digest_file(whole)]
        # The run continues without the list.
        with (
            contextlib.suppress(OSError),
            files.write_atomically(self._notes) as file,
        ):
            file.write(json.dumps(self._found).encode())

    def forget(self) -> None:
        """Deletes the list, to protect a finished picture from later runs."""
        self._found.clear()
        if self._notes:
            with contextlib.suppress(OSError):
                self._notes.unlink(missing_ok=True)


NOTHING = WrittenFiles()


def read_written(notes: Path) -> dict[str, list[str]]:
    """Reads a list of output files, path -> digests; {} if it is damaged."""
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
    """Chooses the output path: as requested, or <content>-<style>.png.

    Args:
        output: The requested name; empty: a name from the inputs' names; "-":
            standard output.
        inputs: The input files, pictures first; none is ever overwritten.
        overwrite: Whether any other file of that name may be overwritten.
        previews: Whether previews will be written beside it.
        written: Files that may also be overwritten.

    Raises:
        ValueError: If the path cannot be written, or the file exists.
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
    """Returns the path, or the first free one with -2, -3, ... in its name."""
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
    """Raises ValueError if a log or a film would overwrite another file.

    Args:
        setting: "log" or "timelapse".
        name: Its file.
        path: Of the picture.
        inputs: Other files of the run.
        previews: Whether previews will be written beside the picture.
    """
    place = Path(os.path.expanduser(name))
    if os.path.lexists(place) and not place.is_file():
        raise ValueError(
            f"{setting} {name} exists and is not a regular file; choose "
            "another name."
        )
    others = [os.path.expanduser(each) for each in inputs]
    others += map(str, _beside(path, previews))
    for other in others:
        if place.resolve() == Path(other).resolve() or (
            place.exists() and os.path.exists(other) and place.samefile(other)
        ):
            raise ValueError(
                f"{setting} {name} is another file of this run; choose another "
                "name."
            )


def _beside(path: Path, previews: bool, record: str = "") -> list[Path]:
    """Returns the paths of all files that are written with a picture."""
    paths = [path]
    if previews:
        paths.append(preview_path(path))
    if writing.needs_sidecar(path, record):
        paths.append(writing.sidecar_path(path))
    return paths


def preview_path(path: Path) -> Path:
    """Returns the path of an output's previews."""
    return path.with_name(f"{path.stem}.preview.png")


def check_writable(
    path: Path, height: int, width: int, options: writing.Options | None = None
) -> None:
    """Raises ValueError if a picture of that size cannot be written."""
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
            f"picture may need {need / 1e6:.1f} MB; free space, or choose "
            "another folder."
        )


def check_folder(setting: str, path: Path) -> Path:
    """Checks the folder and the name of an output file; returns the folder.

    Raises:
        ValueError: If the file, or a preview beside it, cannot be written.
    """
    folder = path.parent
    if folder.exists() and not folder.is_dir():
        raise ValueError(
            f"{setting} folder {folder} is a file; choose another folder."
        )
    if not folder.is_dir():
        raise ValueError(
            f"{setting} folder {folder} does not exist; create it."
        )
    name = preview_path(path).name
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise ValueError(
            f"{setting} name {path.name[:40]}... is too long; choose a shorter "
            f"one with --{setting}."
        )
    try:
        files.check_folder_writable(folder)
    except OSError as error:
        raise ValueError(
            f"{setting} folder {folder} is not writable: {error.strerror}; "
            "choose another folder."
        ) from error
    return folder


def save_result(
    path: Path,
    image: np.ndarray,
    overwrite: bool,
    options: writing.Options | None = None,
    written: WrittenFiles = NOTHING,
) -> Path:
    """Writes the picture, with the fallbacks of `write_somewhere`.

    If the format cannot hold the record, it goes into a .json file beside it.
    If standard output cannot be written, the picture goes into a file.
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
    """Writes a file, to another folder if necessary, so that it is not lost.

    It does not overwrite a file that appeared meanwhile. If the folder is no
    longer writable, it tries the working directory and the temporary folder.

    Args:
        path: The requested path.
        write: Writes the file to a given path.
        overwrite: Whether to overwrite an existing file; otherwise the name
            gets the next free number.
        record: The record of a picture.
        written: Files that may also be overwritten.

    Returns:
        The path of the written file.

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
            folder = Path(find_folder())  # may raise if there is none
            elsewhere = find_free_path(folder / path.name, record=record)
            write(elsewhere)
            return elsewhere
        except OSError:
            continue
    raise failure


def _check_place(path: Path, inputs: Sequence[str], overwrite: bool) -> None:
    """Raises ValueError if an existing file must not be overwritten."""
    if path.is_dir():
        raise ValueError(
            f"output {path} is a folder; expected the name of a file."
        )
    if not os.path.lexists(path):
        return
    if not path.is_file():
        raise ValueError(
            f"output {path} exists and is not a regular file; choose another "
            "name."
        )
    for name in map(os.path.expanduser, inputs):
        if os.path.exists(name) and path.samefile(name):
            raise ValueError(
                f"output {path} is one of the inputs; choose another name."
            )
    if not overwrite:
        raise ValueError(
            f"output {path} exists; choose another name, or overwrite it with "
            "--overwrite."
        )
