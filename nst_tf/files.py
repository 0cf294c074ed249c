"""Atomic writes, digests, the package's folders, optional packages."""

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
    """Opens a temporary file that replaces a file when it is complete.

    The temporary file is in the same folder; temporary files that killed runs
    left there are removed first. It works on network shares that do not support
    permissions or sync.

    Args:
        path: The file.
        note: Called with the path and the complete temporary file, before it is
            renamed.

    Raises:
        OSError: If the file cannot be written; the temporary file is removed.
    """
    if path.is_symlink():  # keep the link, write its target
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
            # The lock is held until the file is renamed. Windows and some
            # shares cannot rename open files; these are tried again below.
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
    """Flushes a file to disk, if the file system supports it."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
            raise


def _replace(new: Path, path: Path) -> None:
    """Moves a file over another one, which is first moved aside if needed."""
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


def find_existing(path: Path) -> Path:
    """Returns a path, or the nearest of its parents that exists."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def check_folder_writable(folder: Path) -> None:
    """Raises OSError if a file cannot be created in an existing folder."""
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
        module: The module to import.
        extra: The extra of nst_tf that installs it.
        setting: The setting that needs it, which starts the sentence.
        otherwise: The end of the sentence, such as an alternative.

    Raises:
        ValueError: If it is not installed; the message has the command to
            install it.
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
        file: The file, which is read from the start.
        limit: Maximum number of bytes to read.
    """
    digest = hashlib.sha256()
    file.seek(0)
    while part := file.read(min(1 << 20, limit)):
        digest.update(part)
        limit -= len(part)
    return f"sha256:{digest.hexdigest()}"


def digest_regular_file(path: Path, limit: int) -> str:
    """Returns the digest of a regular file; empty for any other file.

    It opens only regular files of 1 to `limit` bytes: a pipe could block, and
    system files, as in /proc, may be endless.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= limit:
            return ""
        with open(path, "rb") as file:
            return digest_stream(file, status.st_size)
    except (OSError, ValueError):  # invalid as a file name
        return ""


def find_home() -> Path | None:
    """Returns the user's home folder; None if the user has none."""
    try:
        return Path.home()
    except RuntimeError:  # in containers, whose users have no names
        return None


def find_cache() -> Path | None:
    """Returns the download cache of nst_tf, which may not exist.

    Returns:
        The folder; None without a home folder.
    """
    base, home = os.environ.get("XDG_CACHE_HOME"), find_home()
    if base:
        return Path(base) / "nst_tf"
    return home and home / ".cache" / "nst_tf"


def make_cache(name: str = "") -> Path | None:
    """Creates the download cache, or a folder in it.

    Args:
        name: Name of the folder in it; empty: the cache itself.

    Returns:
        The folder; None, with a note, if it is not writable.
    """
    cache, reason = find_cache(), "there is no home folder"
    try:
        if cache:
            folder = cache / name
            folder.mkdir(parents=True, exist_ok=True)
            check_folder_writable(folder)
            return folder
    except OSError as error:
        reason = f"{cache} is not writable: {error.strerror}"
    _note_no_cache(reason)
    return None


@functools.cache  # log each reason once
def _note_no_cache(reason: str) -> None:
    """Logs that downloads are not cached."""
    log.info(
        "downloads are not cached: %s; set XDG_CACHE_HOME to a writable folder",
        reason,
    )


def presets_folder() -> Path:
    """Returns the folder of the presets, in the package or beside it."""
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
