"""Reads, writes and merges results.jsonl and failed.jsonl.

Lines are appended to results.jsonl, each in one write: the digest of an output
before it is moved into place, and the result after that. So the next batch
knows which files a batch wrote, even if it was killed.
"""

import datetime
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from nst_tf import files, locks, terminal
from nst_tf.batch import manifest, tasks
from nst_tf.runs import outputs

DONE, SKIPPED, UNFINISHED, FAILED = "done", "skipped", "unfinished", "failed"
WRITING = "writing"  # a file that is about to take its place
STATUSES = (DONE, SKIPPED, UNFINISHED, FAILED, WRITING)
_SHARD = re.compile(r"results-\d+-of-\d+\.jsonl")


class Result(NamedTuple):
    """The result of a job."""

    line: int  # of the manifest; of `run_jobs` the job, from 1
    status: str  # done, skipped (it was done before), unfinished or failed
    output: Path
    seconds: float = 0.0
    error: str = ""
    judge: Mapping[str, float] = {}  # scores of the judge, if requested
    digest: str = ""  # of the picture's file
    notes: Sequence[str] = ()  # logged by the run
    node: str = ""  # of the cluster, that painted it

    def format(self) -> dict[str, Any]:
        """Returns the fields of a line of results.jsonl."""
        found = self._asdict() | {
            "output": str(self.output),
            "seconds": round(self.seconds, 2),
        }
        return {
            name: value
            for name, value in found.items()
            if name in ("line", "status", "output") or value
        }


class Ledger:
    """The results of batches in a folder.

    Args:
        folder: The folder, which `open` makes if it is missing.
        shard: The (k, n) of results-k-of-n.jsonl; None: results.jsonl.

    Raises:
        ValueError: If these files were not written by a batch, are not
            writable, or are in use by another batch.
    """

    def __init__(self, folder: Path, shard: tuple[int, int] | None = None):
        part = f"-{shard[0]}-of-{shard[1]}" if shard else ""
        self.path = folder / f"results{part}.jsonl"
        self.failed = folder / f"failed{part}.jsonl"
        self._lock: IO[str] | None = None
        for path in (self.path, self.failed):
            _check_ours(path)
        try:
            files.check_folder_writable(files.find_existing(folder.absolute()))
        except OSError as error:
            raise ValueError(
                f"results_dir {folder} cannot be written to: {error.strerror}; "
                f"name another with --results_dir."
            ) from error

    def open(self) -> None:
        """Makes the folder, and locks the file for this batch alone.

        Raises:
            ValueError: If another batch has locked it.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = locks.hold(self.path)
        except BlockingIOError:
            raise ValueError(
                f"another batch writes {self.path}; wait until it ends, or "
                f"name another folder with --results_dir."
            ) from None
        except OSError as error:
            raise ValueError(
                f"{self.path} cannot be written: {error.strerror}."
            ) from error

    def close(self) -> None:
        """Unlocks the file."""
        if self._lock:
            self._lock.close()

    def add(self, result: Result) -> None:
        """Records the result of a job."""
        append(self.path, {"time": _now(), **result.format()})

    def write_failed(self, failed: Sequence[tasks.Task]) -> None:
        """Writes a manifest of the failed tasks; without any, removes it."""
        if not failed:
            self.failed.unlink(missing_ok=True)
            return
        with files.write_atomically(self.failed) as file:
            for task in sorted(failed, key=lambda each: each.number):
                line = json.dumps(tasks.write_line(task))
                file.write(f"{line}\n".encode())


class Written(outputs.WrittenFiles):
    """The files that batches wrote, which the next one may replace.

    Args:
        path: The results to read, and to note files in; None: none.
        read_now: Whether to read them; else `allow` adds them.
    """

    def __init__(self, path: Path | None, read_now: bool = True):
        found: dict[str, list[str]] = {}
        for line in read(path) if path and read_now else ():
            if line.get("digest"):
                digests = found.setdefault(_resolve(line["output"]), [])
                digests[:] = [*digests[-1:], str(line["digest"])]
        super().__init__(None, found)
        self._path = path
        self.last = ""  # digest of the picture that was written last

    def note(self, path: Path, whole: Path) -> None:
        """Notes a file that is about to take its place."""
        digest = files.digest_file(whole)
        self.allow(path, [digest])
        if path.suffix != ".json":
            self.last = digest
        if self._path:
            line = {"status": WRITING, "output": str(path), "digest": digest}
            append(self._path, {"time": _now(), **line})

    def list_digests(self, path: str) -> Sequence[str]:
        """Lists the digests that a file may have, to be replaced."""
        return self._found.get(_resolve(path), ())

    def allow(self, path: str | Path, digests: Sequence[str]) -> None:
        """Allows a file with one of these digests to be replaced."""
        before = list(self.list_digests(str(path)))
        self._found[_resolve(str(path))] = [*before[-1:], *digests]

    def forget(self) -> None:
        """Does nothing: the next batch may replace the file."""


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Appends a line, in one write, so that processes may share a file.

    If a killed process left a partial line, a newline is added first.
    """
    data = f"{terminal.escape(json.dumps(line))}\n".encode()
    with open(
        path, "ab+", buffering=0, opener=locks.open_above_streams
    ) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                data = b"\n" + data
        file.write(data)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the results in a file; skips invalid lines."""
    try:
        with open(path, "rb") as file:
            for data in file:
                line = _parse(data)
                if line:
                    yield line
    except FileNotFoundError:
        return


def merge(folder: Path, paths: Sequence[Path]) -> dict[str, int]:
    """Merges the results of shards into results.jsonl and failed.jsonl.

    Of an output the last line stays, and the digests of its files.

    Args:
        folder: Where the merged files go.
        paths: Results of shards; none: all that are in the folder.

    Returns:
        The pictures by status.

    Raises:
        ValueError: If there are none.
    """
    found = [p for p in folder.glob("results-*.jsonl") if _SHARD.match(p.name)]
    paths = [*paths] or sorted(found)
    for path in paths:
        if not path.is_file():
            raise ValueError(f"there are no results {path}.")
    if not paths:
        raise ValueError(
            f"there are no results of shards in {folder}; name their files."
        )
    ledger = Ledger(folder)
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for path in (ledger.path, *paths):
        _check_ours(path)
        for line in read(path):
            output = _resolve(str(line["output"]))
            kind = WRITING if line["status"] == WRITING else "result"
            last.pop((output, kind), None)
            last[output, kind] = line
    lines = sorted(last.values(), key=lambda line: line.get("line") or 0)
    _write(ledger.path, lines)
    failed = [
        line
        for path in paths
        if "results" in path.name
        for line in _read_objects(path.with_name(_name_failed(path.name)))
    ]
    if failed:
        _write(ledger.failed, failed)
    counts = dict.fromkeys((DONE, SKIPPED, UNFINISHED, FAILED), 0)
    for line in lines:
        if line["status"] in counts:
            counts[line["status"]] += 1
    return counts


def _name_failed(name: str) -> str:
    """Names the file of failed tasks beside results."""
    return name.replace("results", "failed", 1)


def _write(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Writes JSON lines atomically."""
    with files.write_atomically(path) as file:
        for line in lines:
            file.write(f"{terminal.escape(json.dumps(line))}\n".encode())


def _read_objects(path: Path) -> Iterator[dict[str, Any]]:
    """Reads the lines of a manifest that a batch wrote, if it exists."""
    if path.is_file():
        with open(path, "rb") as file:
            for data in file:
                yield json.loads(data)


def _parse(data: bytes) -> dict[str, Any] | None:
    """Parses a line of results; returns None if it is invalid."""
    try:
        line = json.loads(data)
    except (ValueError, RecursionError):
        return None
    is_ours = isinstance(line, dict) and line.get("status") in STATUSES
    return line if is_ours and isinstance(line.get("output"), str) else None


def _check_ours(path: Path) -> None:
    """Raises ValueError if a file exists that no batch wrote."""
    try:
        with open(path, "rb") as file:
            data = file.readline(manifest.LONGEST_LINE)
        line = json.loads(data) if data.strip() else {"style": ""}
    except FileNotFoundError:
        return
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError):
        line = None
    if not isinstance(line, dict) or not line.keys() & {"status", "style"}:
        raise ValueError(
            f"{path} exists, but no batch wrote it; move it, or choose another "
            f"folder with --results_dir."
        )


def _resolve(path: str) -> str:
    """Returns the path of a file as recorded in notes."""
    return os.path.realpath(os.path.expanduser(path))


def _now() -> str:
    """Returns the current time: ISO 8601, UTC."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.isoformat(timespec="seconds").replace("+00:00", "Z")
