"""The state of a descent as a file: a head and arrays, checked when read.

It is a file of NumPy's, `.npz`. The head, JSON, says how many arrays there are
and has one digest over itself and all of them: a zip alone would not miss an
array. Older files have neither.
"""

import hashlib
import json
import math
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

HEAD = "head"
LARGEST_HEAD = 2**24  # bytes
DAMAGED = "it is not whole"

# Name of an array -> its shape, and its kind as NumPy has it: "f" or "i".
Shapes = Mapping[str, tuple[tuple[int, ...], str]]


class DamageError(ValueError):
    """A checkpoint is not as a run wrote it; the message says in what."""


def write(
    file: BinaryIO, head: Mapping[str, Any], arrays: Mapping[str, Any]
) -> None:
    """Writes a checkpoint; each array is copied from the device in its turn."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(file, "w") as archive:
        for name, value in arrays.items():
            array = np.asarray(value)
            _add(digest, name, array)
            _write_array(archive, name, array)
        head = {**head, "arrays": len(arrays)}
        head["digest"] = _finish(digest, head)
        _write_array(archive, HEAD, np.array(json.dumps(head)))


def read_head(path: Path) -> dict[str, Any]:
    """Reads the head alone.

    Returns:
        Its "level" and "steps", of natural numbers, "identity", an object,
        and "notes", another; besides, of newer files, "arrays" and "digest".

    Raises:
        DamageError: If it is not as a run wrote it.
    """
    with _Archive(path) as archive:
        return archive.read_head()


def read_arrays(
    path: Path, shapes: Shapes, others: Shapes
) -> dict[str, np.ndarray]:
    """Reads the arrays, of known sizes, so that none is larger than expected.

    Args:
        path: The file.
        shapes: Of the arrays that there must be.
        others: Of the arrays that there may be.

    Raises:
        DamageError: If one of them is not there, of another shape, or has
            values that no run has: NaN, infinity but in a single number, or
            integers below 0; or if the digest is another.
    """
    known = {**shapes, **others}
    with _Archive(path) as archive:
        head = archive.read_head()
        missing = sorted(shapes.keys() - set(archive.names))
        if missing:
            raise DamageError(f"it has no array {missing[0]!r}")
        arrays = {
            name: archive.read_array(name, *known[name])
            for name in archive.names
            if name in known
        }
        _check_digest(head, arrays.items(), len(archive.names))
    for name, array in arrays.items():
        _check_values(name, array)
    return arrays


def is_whole(path: Path) -> bool:
    """Returns whether a file is as it was written."""
    try:
        with _Archive(path) as archive:
            names = archive.names
            arrays = ((name, archive.read(name)) for name in names)
            _check_digest(archive.read_head(), arrays, len(names))
    except (DamageError, OSError):
        return False
    return True


class _Archive:
    """A zip file whose members are no larger than itself."""

    def __init__(self, path: Path):
        self._path = path

    def __enter__(self) -> "_Archive":
        try:
            self._zip = zipfile.ZipFile(self._path)
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            ValueError,  # of absurd places in it
            OverflowError,
        ) as error:
            raise DamageError(DAMAGED) from error
        members = self._zip.infolist()
        self._members = {
            each.filename.removesuffix(".npy"): each for each in members
        }
        self.names = [name for name in self._members if name != HEAD]
        size = self._path.stat().st_size
        if (
            any(each.compress_type != zipfile.ZIP_STORED for each in members)
            or sum(each.file_size for each in members) > size
            or len(self._members) != len(members)
        ):
            self._zip.close()
            raise DamageError(DAMAGED)
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def read_head(self) -> dict[str, Any]:
        """Reads the head, and checks the types of what it has."""
        if HEAD not in self._members:
            raise DamageError(DAMAGED)
        if self._members[HEAD].file_size > LARGEST_HEAD:
            raise DamageError("its head is too large")
        try:
            head = json.loads(str(self.read_array(HEAD, (), "U")))
        # NumPy raises SystemError of characters that there are not.
        except (ValueError, RecursionError, SystemError) as error:
            raise DamageError(DAMAGED) from error
        if not isinstance(head, dict):
            raise DamageError("its head is no object")
        head.setdefault("notes", {})
        for name, least in (("level", 0), ("steps", 1)):
            value = head.get(name)
            if type(value) is not int or value < least:
                raise DamageError(f"its {name} is no number from {least} on")
        for name in ("identity", "notes"):
            if not isinstance(head.get(name), dict):
                raise DamageError(f"its {name} is no object")
        return head

    def read_array(
        self, name: str, shape: tuple[int, ...], kind: str
    ) -> np.ndarray:
        """Reads an array of a known shape and kind."""
        found, dtype = self._read_shape(name)
        if (found, dtype.kind) != (shape, kind):
            raise DamageError(f"its array {name!r} is of another shape or type")
        return self.read(name)

    def read(self, name: str) -> np.ndarray:
        """Reads an array that is as large as its member."""
        shape, dtype = self._read_shape(name)
        if math.prod(shape) * dtype.itemsize > self._members[name].file_size:
            raise DamageError(DAMAGED)
        try:
            with self._zip.open(self._members[name]) as member:
                array = np.lib.format.read_array(member, allow_pickle=False)
                member.read(1)  # to the end, where the check sum is compared
                return np.asarray(array)
        except (zipfile.BadZipFile, ValueError, EOFError) as error:
            raise DamageError(DAMAGED) from error

    def _read_shape(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Reads what an array says of itself."""
        try:
            with self._zip.open(self._members[name]) as member:
                np.lib.format.read_magic(member)
                shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        except Exception as error:  # a damaged header raises anything
            raise DamageError(DAMAGED) from error
        is_natural = all(type(each) is int and each >= 0 for each in shape)
        if not is_natural or dtype.kind not in "biufU" or not dtype.itemsize:
            raise DamageError(DAMAGED)
        return shape, dtype


def _write_array(
    archive: zipfile.ZipFile, name: str, array: np.ndarray
) -> None:
    """Writes an array as NumPy does."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, (1, 0), allow_pickle=False)


def _check_digest(
    head: dict[str, Any], arrays: Iterable[tuple[str, np.ndarray]], count: int
) -> None:
    """Raises DamageError if the digest of a file is that of other arrays.

    Args:
        head: The head; an older one has no digest.
        arrays: Arrays of the file, in its order; each is read to its end.
        count: How many arrays the file has.
    """
    digest = hashlib.sha256()
    for name, array in arrays:
        _add(digest, name, array)
    stored = head.pop("digest", None)
    if stored is None:
        return
    if count != head.get("arrays") or stored != _finish(digest, head):
        raise DamageError(DAMAGED)


def _add(digest: Any, name: str, array: np.ndarray) -> None:
    """Adds an array to a digest."""
    digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def _finish(digest: Any, head: Mapping[str, Any]) -> str:
    """Adds the head to the digest of the arrays, and writes it down."""
    digest.update(json.dumps(head, sort_keys=True).encode())
    return f"sha256:{digest.hexdigest()}"


def _check_values(name: str, array: np.ndarray) -> None:
    """Raises DamageError if no run has such values."""
    if not array.size:
        return
    low, high = array.min(), array.max()
    if array.dtype.kind == "i" and low < 0:
        raise DamageError(f"its array {name!r} has numbers below 0")
    if np.isnan(low) or (array.ndim and not np.isfinite([low, high]).all()):
        raise DamageError(f"its array {name!r} has values that are no numbers")
