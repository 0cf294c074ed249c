"""Writes the log of a run as JSON lines; docs/log.md describes them.

A log has a header, a record for each step, and a final record. Without a final
record the run was killed; the same job then continues the log.
"""

import collections
import contextlib
import datetime
import errno
import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from nst_tf import files, locks, terminal
from nst_tf.backend import device
from nst_tf.plan import planning, pyramid, settings
from nst_tf.runs import checkpoint, records, resume

if TYPE_CHECKING:
    from nst_tf.runs import reporters

log = logging.getLogger("nst_tf")

FORMAT = 1
LONGEST_LINE = 1 << 20  # bytes

Place = tuple[int, int]  # level index, steps taken at it


class Log:
    """Writes the log of a run; failure does not end the run.

    It writes nothing before `start`, and locks the file until `close`.

    Args:
        path: The file.
        every: Interval of records, in steps; the last step of a level always
            has one.
        overwrite: Whether to overwrite an existing file.
        resumes: Whether the run may resume from a checkpoint, and so continue a
            log after its final record.

    Raises:
        ValueError: If the file cannot be written, or exists and must not be
            overwritten.
    """

    def __init__(
        self,
        path: str,
        every: int = 1,
        *,
        overwrite: bool = False,
        resumes: bool = False,
    ):
        self._name, self._path = path, Path(os.path.expanduser(path))
        self._every, self._overwrite = every, overwrite
        self._levels: Sequence[pyramid.Level] = ()
        self._held: collections.deque[_Held] = collections.deque()
        self._file: BinaryIO | None = None
        self._found: _Found | None = None
        self._seconds = 0.0  # of earlier runs
        self._failed = False
        try:
            if not self._path.exists():
                files.check_folder_writable(self._path.parent)
                return
            self._file = self._open()
        except OSError as error:
            raise self._refuse(
                f"cannot be written: {error.strerror}; choose another name."
            ) from error
        self._found = _read(self._file)
        if not overwrite and not (
            self._found and (resumes or not self._found.is_final)
        ):
            self._check_empty()

    def start(
        self,
        header: Mapping[str, Any],
        levels: Sequence[pyramid.Level],
        place: Place | None,
    ) -> None:
        """Writes the header, or truncates an earlier log to continue it.

        Args:
            header: Description of the job; equal "identity" means the same job.
            levels: The levels of the run.
            place: The place to resume at; None: a new run.

        Raises:
            ValueError: If the log belongs to another job, or appeared
                meanwhile.
        """
        self._levels, found = levels, self._found
        if not self._file:
            try:
                self._file = self._open()
            except OSError as error:
                return self._warn(error)
            self._check_empty()
        difference = found and checkpoint.describe_difference(
            found.header["identity"], header["identity"]
        )
        if not self._overwrite:
            if difference:
                raise self._refuse(
                    f"belongs to another job: {difference}; choose another "
                    "name, or overwrite it with --overwrite."
                )
            if found and found.is_final and not place:
                self._check_empty()
        end = 0
        if found and place and not difference:
            end, self._seconds = found.find_end(place)
        try:
            self._file.truncate(end)
        except OSError as error:
            return self._warn(error)
        if not end:
            self._write({"record": "header", "format": FORMAT, **header})
        return None

    def step(self, report: "reporters.StepReport") -> None:
        """Writes the record of a step.

        Reading losses waits for the device. To keep a GPU busy, they are read
        one step late, except at the end of a level.
        """
        is_last = report.index == self._levels[report.level].steps
        if report.count % self._every == 0 or is_last:
            self._held.append(_Held(report, format_time()))
        while len(self._held) > (device.is_gpu() and not is_last):
            self._write(self._make_record(*self._held.popleft()))

    def finish(self, frame: object, count: int) -> None:
        """Does nothing: the log has no pictures."""

    def end(
        self, status: str, path: Path | None, count: int, seconds: float
    ) -> None:
        """Writes the final record.

        Args:
            status: "done", "stopped", "out_of_memory" or "failed".
            path: The path of the picture; None: no picture.
            count: Steps taken at all levels.
            seconds: Duration of the run.
        """
        while self._held:
            self._write(self._make_record(*self._held.popleft()))
        self._write(
            {
                "record": "final",
                "status": status,
                "path": path and str(path),
                "step": count,
                "seconds": round(self._seconds + seconds, 3),
                "time": format_time(),
            }
        )

    def close(self) -> None:
        """Closes the file."""
        if self._file:
            self._file.close()

    def _make_record(
        self, report: "reporters.StepReport", time: str
    ) -> dict[str, Any]:
        """Makes the record of a step."""
        level = self._levels[report.level]
        losses = {name: float(each) for name, each in report.losses.items()}
        return {
            "record": "step",
            "step": report.count,
            "steps": sum(each.steps for each in self._levels),
            "level": report.level + 1,
            "levels": len(self._levels),
            "level_step": report.index,
            "level_steps": level.steps,
            "width": level.width,
            "height": level.height,
            "seconds": round(self._seconds + report.seconds, 3),
            "time": time,
            "peak_memory_bytes": device.read_peak_memory(),
            "loss": _round(losses.pop("loss")),
            **{f"loss/{name}": _round(each) for name, each in losses.items()},
        }

    def _open(self) -> BinaryIO:
        """Opens and locks the file, without changing it."""
        file = open(  # noqa: SIM115
            self._path, "a+b", buffering=0, opener=locks.open_above_streams
        )
        status = os.fstat(file.fileno())
        for stream in (1, 2):
            with contextlib.suppress(OSError):
                if os.path.samestat(status, os.fstat(stream)):
                    raise self._refuse(
                        "is the file of standard output or standard error; "
                        "choose another name."
                    )
        if locks.try_lock(file) is False:
            raise self._refuse("is in use by another run; choose another name.")
        return file  # type: ignore[return-value]

    def _check_empty(self) -> None:
        """Raises ValueError if the file is not empty."""
        if self._file and os.fstat(self._file.fileno()).st_size:
            raise self._refuse(
                "exists; choose another name, or overwrite it with --overwrite."
            )

    def _refuse(self, reason: str) -> ValueError:
        """Makes the error for an unusable log file."""
        self.close()
        return ValueError(f"log {self._name} {reason}")

    def _write(self, record: Mapping[str, Any]) -> None:
        """Writes a complete line or nothing."""
        if not self._file:
            return
        line = f"{terminal.escape(json.dumps(record))}\n".encode()
        end = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(end)
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        """Logs the first failure of the log."""
        if not self._failed:
            log.warning("log %s failed: %s", self._path, error.strerror)
        self._failed = True


class _Held(NamedTuple):
    """A step whose losses are unread."""

    report: "reporters.StepReport"
    time: str


class _Found(NamedTuple):
    """The contents of an existing log."""

    header: Mapping[str, Any]
    header_end: int  # bytes
    steps: Sequence[tuple[Place, int, float]]  # (place, end in bytes, seconds)
    is_final: bool  # ignored without steps

    def find_end(self, place: Place) -> tuple[int, float]:
        """Returns the end of the steps up to a place, and their seconds."""
        end, seconds = self.header_end, 0.0
        for where, after, time in self.steps:
            if where > place:
                break
            end, seconds = after, time
        return end, seconds


def make_header(job: settings.Job, plan: planning.Plan) -> dict[str, Any]:
    """Makes the header of a job: its record before the run, and identity.

    Args:
        job: The job as requested.
        plan: Its plan.
    """
    outcome = records.Outcome(
        steps=[level.steps for level in plan.levels],
        state="",
        losses={},
        rescues=0,
        seconds=0.0,
        device=device.describe(),
    )
    record = records.make_record(job, plan, outcome)
    for name in ("made", "state", "losses", "rescues", "seconds"):
        del record[name]
    identity = resume.make_identity(plan)
    return {"time": format_time(), **record, "identity": identity}


def format_time() -> str:
    """Formats the current time: ISO 8601, UTC, in milliseconds."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _round(value: float) -> float | None:
    """Rounds a loss to the 9 digits of a float32; returns None for NaN."""
    return float(f"{value:.9g}") if math.isfinite(value) else None


def _read(file: BinaryIO) -> _Found | None:
    """Reads a log; returns None if any line is not a record of ours."""
    file.seek(0)
    header = _parse(file.readline(LONGEST_LINE))
    if not header or not isinstance(header.get("identity"), dict):
        return None
    steps, end, is_final = [], file.tell(), False
    found_end = end
    try:
        while line := file.readline(LONGEST_LINE):
            record = _parse(line)
            if record is None:
                # A run was killed while it wrote its last line.
                if line.endswith(b"\n") or file.read(1):
                    return None
                break
            found_end += len(line)
            is_final = record["record"] == "final"
            if not is_final:
                place = int(record["level"]) - 1, int(record["level_step"])
                steps.append((place, found_end, float(record["seconds"])))
    except (LookupError, TypeError, ValueError, OverflowError):
        return None
    return _Found(header, end, steps, is_final and bool(steps))


def _parse(line: bytes) -> dict[str, Any] | None:
    """Parses a record; returns None for an invalid or incomplete line."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(record, dict) and line.endswith(b"\n")
    return record if whole and "record" in record else None
