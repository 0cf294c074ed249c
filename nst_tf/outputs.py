"""Where pictures go: names, numbers, and folders that take them."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nst_tf import image_io


def output_path(output: str, inputs: Sequence[str], overwrite: bool) -> Path:
    """Where the picture goes: as named, or <content>-<style>.png, numbered.

    Args:
        output: The name asked for; empty for one made from the inputs'.
        inputs: Files that the picture is made from, the content first; none
            of them is ever replaced.
        overwrite: Whether another file of that name may be.

    Raises:
        ValueError: If that is no place for a picture, or one is there already.
    """
    if not output:
        stems = [Path(name).stem for name in inputs]
        return free_path(Path("-".join(stems) + ".png"))
    path = Path(output).expanduser()
    if path.is_dir():
        raise ValueError(f"output {path} is a folder, expected a file's name.")
    if path.suffix.lower() not in image_io.EXTENSIONS:
        raise ValueError(
            f"output {path} has the extension {path.suffix!r}, expected one "
            f"of {', '.join(image_io.EXTENSIONS)}."
        )
    if path.exists():
        for name in inputs:
            if path.samefile(name):
                raise ValueError(
                    f"output {path} is one of the input pictures; name "
                    f"another file."
                )
        if not overwrite:
            raise ValueError(
                f"output {path} exists; name another file, or replace it with "
                f"--overwrite."
            )
    return path


def free_path(path: Path) -> Path:
    """Returns the path, or with -2, -3 ... the first that does not exist."""
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_stem(f"{path.stem}-{number}")
    return candidate


def preview_path(path: Path) -> Path:
    """Where the previews of an output go."""
    return path.with_name(f"{path.stem}.preview.png")


def save_result(path: Path, image: np.ndarray, overwrite: bool) -> Path:
    """Writes the picture; a file that has appeared meanwhile is kept.

    Returns:
        Where it was written.

    Raises:
        OSError: If it cannot be written.
    """
    if not overwrite:
        path = free_path(path)
    image_io.save_image(path, image)
    return path


def check_writable(path: Path, size: int) -> None:
    """Raises ValueError unless a file of so many bytes can be written."""
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"output folder {folder} does not exist; make it.")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"output folder {folder} cannot be written to: {error.strerror}."
        ) from error
    free = shutil.disk_usage(folder).free
    if free < size:
        raise ValueError(
            f"output folder {folder} has {free / 1e6:.1f} MB free, but the "
            f"picture may need {size / 1e6:.1f} MB."
        )
