"""Reads and writes the state of a run: a JSON head and arrays.

The file is an `.npz` file. The head has the number of arrays, and a digest of
itself and all arrays, since a zip file does not detect missing members. Older
files have neither.
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
DAMAGED = "it is incomplete"
OVERFLOWED = "overflowed"  # array: a step did, so that others are in float32

# Name of an array -> its shape and NumPy kind, "f" or "i".
Shapes = Mapping[str, tuple[tuple[int, ...], str]]

MARKS: Shapes = {OVERFLOWED: ((), "i")}


class DamageError(ValueError):
    """A checkpoint is damaged; the message says how."""


def write(
    file: BinaryIO, head: Mapping[str, Any], arrays: Mapping[str, Any]
) -> None:
    """Writes a checkpoint; copies arrays from the device one by one."""
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
    """Reads only the head.

    Returns:
        "level" and "steps", natural numbers, and "identity" and "notes",
        objects; newer files also have "arrays" and "digest".

    Raises:
        DamageError: If it is damaged.
    """
    with _Archive(path) as archive:
        return archive.read_head()


def read_arrays(
    path: Path, shapes: Shapes, others: Shapes
) -> dict[str, np.ndarray]:
    """Reads the arrays; refuses unexpected sizes before it reads them.

    Args:
        path: The file.
        shapes: The shapes of required arrays.
        others: The shapes of optional arrays.

    Raises:
        DamageError: If an array is missing, has another shape or impossible
            values (NaN, infinity except in a scalar, negative integers), or the
            digest differs.
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
    """Returns whether a file is undamaged."""
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
            ValueError,  # of impossible offsets
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
        """Reads the head, and checks the types of its values."""
        if HEAD not in self._members:
            raise DamageError(DAMAGED)
        if self._members[HEAD].file_size > LARGEST_HEAD:
            raise DamageError("its head is too large")
        try:
            head = json.loads(str(self.read_array(HEAD, (), "U")))
        # NumPy raises SystemError for invalid characters.
        except (ValueError, RecursionError, SystemError) as error:
            raise DamageError(DAMAGED) from error
        if not isinstance(head, dict):
            raise DamageError("its head is not an object")
        head.setdefault("notes", {})
        for name, least in (("level", 0), ("steps", 1)):
            value = head.get(name)
            if type(value) is not int or value < least:
                raise DamageError(
                    f"its {name} is not a number of at least {least}"
                )
        for name in ("identity", "notes"):
            if not isinstance(head.get(name), dict):
                raise DamageError(f"its {name} is not an object")
        return head

    def read_array(
        self, name: str, shape: tuple[int, ...], kind: str
    ) -> np.ndarray:
        """Reads an array of a known shape and kind."""
        found, dtype = self._read_shape(name)
        if (found, dtype.kind) != (shape, kind):
            raise DamageError(f"its array {name!r} has another shape or type")
        return self.read(name)

    def read(self, name: str) -> np.ndarray:
        """Reads an array; refuses it if it is larger than its member."""
        shape, dtype = self._read_shape(name)
        if math.prod(shape) * dtype.itemsize > self._members[name].file_size:
            raise DamageError(DAMAGED)
        try:
            with self._zip.open(self._members[name]) as member:
                array = np.lib.format.read_array(member, allow_pickle=False)
                member.read(1)  # to the end, which verifies the checksum
                return np.asarray(array)
        except (zipfile.BadZipFile, ValueError, EOFError) as error:
            raise DamageError(DAMAGED) from error

    def _read_shape(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Reads the shape and type of an array."""
        try:
            with self._zip.open(self._members[name]) as member:
                np.lib.format.read_magic(member)
                shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        except Exception as error:  # damaged headers raise all kinds of errors
            raise DamageError(DAMAGED) from error
        is_natural = all(type(each) is int and each >= 0 for each in shape)
        if not is_natural or dtype.kind not in "biufU" or not dtype.itemsize:
            raise DamageError(DAMAGED)
        return shape, dtype


def _write_array(
    archive: zipfile.ZipFile, name: str, array: np.ndarray
) -> None:
    """Writes an array in NumPy's format."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, (1, 0), allow_pickle=False)


def _check_digest(
    head: dict[str, Any], arrays: Iterable[tuple[str, np.ndarray]], count: int
) -> None:
    """Raises DamageError if the digest of a file does not match its arrays.

    Args:
        head: The head; older ones have no digest.
        arrays: The arrays in the order of the file, read completely.
        count: Number of arrays in the file.
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
    """Adds the head to the digest, and formats the digest."""
    digest.update(json.dumps(head, sort_keys=True).encode())
    return f"sha256:{digest.hexdigest()}"


def _check_values(name: str, array: np.ndarray) -> None:
    """Raises DamageError if an array has impossible values."""
    if not array.size:
        return
    low, high = array.min(), array.max()
    if array.dtype.kind == "i" and low < 0:
        raise DamageError(f"its array {name!r} has negative numbers")
    if np.isnan(low) or (array.ndim and not np.isfinite([low, high]).all()):
        raise DamageError(f"its array {name!r} has NaN or infinite values")
