"""Files: atomic writes, digests, our folders; optional packages."""

import contextlib
import errno
import functools
import hashlib
import importlib
import logging
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from nst_tf import locks

log = logging.getLogger("nst_tf")


@contextlib.contextmanager
def write_atomically(
    path: Path, note: Callable[[Path, Path], None] | None = None
) -> Iterator[BinaryIO]:
    """Opens a file that takes its place in one move, when it is whole.

    It is written beside its place. What killed runs left there is removed.
    Shares that refuse to set permissions, or to sync, are written to as well.

    Args:
        path: The file.
        note: Is called with the path and the whole file that is about to take
            it.

    Raises:
        OSError: If it cannot be written; nothing is left behind.
    """
    if path.is_symlink():  # the link stays, and what it names is written
        path = path.resolve()
    locks.remove_leftovers(path.parent)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    temporary, file = locks.create_temporary(
        path.parent, path.suffix, 0o666 if mode is None else mode | 0o600
    )
    try:
        with file:
            yield file
            file.flush()
            _sync(file)
            if mode is not None:
                with contextlib.suppress(OSError):
                    os.chmod(temporary, mode)
            if note:
                note(path, temporary)
            # The lock is held until the file has its place. Windows and some
            # shares move no open file; they have another try below.
            with contextlib.suppress(OSError), locks.MOVING:
                os.replace(temporary, path)
                return
        with locks.MOVING:
            _replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        locks.disown(temporary)


def _sync(file: BinaryIO) -> None:
    """Waits until a file is on its disk, where the file system can tell."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
            raise


def _replace(new: Path, path: Path) -> None:
    """Moves a file over another, which is moved aside if it must be."""
    try:
        os.replace(new, path)
        return
    except OSError:
        if not path.is_file():
            raise
    # Not a temporary file's name: if this process is killed here, it stays.
    aside = path.with_name(f"{path.name[:40]}.{secrets.token_hex(4)}.old")
    os.rename(path, aside)
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(aside, path)
        raise
    with contextlib.suppress(OSError):
        aside.unlink()


def check_folder_writable(folder: Path) -> None:
    """Raises OSError unless a file can be made in a folder that exists."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def is_installed(module: str) -> bool:
    """Returns whether a module of another package can be imported."""
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def require_extra(
    module: str, extra: str, setting: str, otherwise: str = ""
) -> None:
    """Checks that an optional package is installed.

    Args:
        module: What is imported from it.
        extra: Of nst_tf's extras, the one that installs it.
        setting: What needs it, the start of the sentence.
        otherwise: The end of the sentence, such as what to do without it.

    Raises:
        ValueError: If it is not: with the command that installs it.
    """
    if not is_installed(module):
        raise ValueError(
            f"{setting} needs a package that is not installed: pip install "
            f'"nst-tf[{extra}]"{otherwise}'
        )


def digest_file(path: Path) -> str:
    """Returns the SHA-256 digest of a file, as "sha256:..."."""
    with open(path, "rb", opener=locks.open_above_streams) as file:
        return digest_stream(file)


def digest_stream(file: BinaryIO, limit: int = sys.maxsize) -> str:
    """Returns the SHA-256 digest of a file, open for reading.

    Args:
        file: The file, which is read from its begin.
        limit: Bytes of it that are read, at most.
    """
    digest = hashlib.sha256()
    file.seek(0)
    while part := file.read(min(1 << 20, limit)):
        digest.update(part)
        limit -= len(part)
    return f"sha256:{digest.hexdigest()}"


def digest_regular_file(path: Path, limit: int) -> str:
    """Returns the digest of a file that is safe to read; empty if it is not.

    Nothing but a regular file of 1 to `limit` bytes is opened: a pipe may wait
    for ever, and files that the system makes up, as in /proc, never end.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= limit:
            return ""
        with open(path, "rb") as file:
            return digest_stream(file, status.st_size)
    except (OSError, ValueError):  # no file can have such a name
        return ""


def find_home() -> Path | None:
    """Finds the user's home folder; None if the system knows of none."""
    try:
        return Path.home()
    except RuntimeError:  # as in a container, whose users have no names
        return None


def find_cache() -> Path | None:
    """Finds the folder of our own downloads, which may not exist.

    Returns:
        The folder; None if there is no home folder to have one in.
    """
    base, home = os.environ.get("XDG_CACHE_HOME"), find_home()
    if base:
        return Path(base) / "nst_tf"
    return home and home / ".cache" / "nst_tf"


def make_cache(name: str = "") -> Path | None:
    """Makes the folder of our own downloads, or one in it.

    Args:
        name: Of the one in it; empty: the folder itself.

    Returns:
        The folder; None, with a note, if no file can be written to it.
    """
    cache, reason = find_cache(), "no home folder is known"
    try:
        if cache:
            folder = cache / name
            folder.mkdir(parents=True, exist_ok=True)
            check_folder_writable(folder)
            return folder
    except OSError as error:
        reason = f"{cache} cannot be written to: {error.strerror}"
    _note_no_cache(reason)
    return None


@functools.cache  # once is enough
def _note_no_cache(reason: str) -> None:
    """Logs that there is no cache."""
    log.info(
        "downloads are not kept: %s; XDG_CACHE_HOME can name a folder for them",
        reason,
    )


def presets_folder() -> Path:
    """The folder of the presets, in the package or beside it."""
    package = Path(__file__).resolve().parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def example_images() -> dict[str, Path]:
    """Lists the pictures that ship with the package: name -> path.

    Returns:
        Paths by the names of their files without extension, sorted:
        photographs, such as "harbor_at_dusk", paintings, such as
        "swirling_night", and a mask, "harbor_sky".
    """
    images = (presets_folder() / "images").glob("[!.]*")
    return {path.stem: path for path in sorted(images)}


def list_presets() -> list[str]:
    """Lists the names of the presets, sorted."""
    return sorted(path.stem for path in presets_folder().glob("[!.]*.cfg"))
