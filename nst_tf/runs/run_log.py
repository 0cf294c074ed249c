"""The log of a run, in lines of JSON; docs/log.md describes its records.

A header, a record for each step, and a final record. A log without the last
one is that of a run that died: the same job goes on in it.
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

Place = tuple[int, int]  # index of a level, and steps taken at it


class Log:
    """Writes the log of a run, which does not end because it cannot.

    Nothing is written before `start`. The file is locked until `close`.

    Args:
        path: The file.
        every: Steps from one record to the next; the last of a level has one.
        overwrite: Whether a file that is there may be replaced.
        resumes: Whether the run may go on from a checkpoint, and so after the
            final record of a log.

    Raises:
        ValueError: If it cannot be written, or is there and may not be.
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
        self._seconds = 0.0  # of the runs before this one
        self._failed = False
        try:
            if not self._path.exists():
                files.check_folder_writable(self._path.parent)
                return
            self._file = self._open()
        except OSError as error:
            raise self._refuse(f"cannot be written: {error.strerror}.") from (
                error
            )
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
        """Writes the header; or cuts the log of the same job back, to go on.

        Args:
            header: The job; its "identity" says whether two are the same.
            levels: Sizes and steps of the run.
            place: Where it goes on; None: it starts anew.

        Raises:
            ValueError: If the log is that of another job, or has appeared
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
                    f"is of another job: {difference}; name another file, or "
                    f"replace it with --overwrite."
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
        """Takes note of a step.

        To read its losses is to wait for the device. A GPU works on the next
        step meanwhile: they are read one step late, but at the end of a level.
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
            path: Where the picture is; None: there is none.
            count: Steps taken at all levels.
            seconds: Since the run began.
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
        """Opens and locks the file; nothing of it is changed."""
        file = open(  # noqa: SIM115
            self._path, "a+b", buffering=0, opener=locks.open_above_streams
        )
        status = os.fstat(file.fileno())
        for stream in (1, 2):
            with contextlib.suppress(OSError):
                if os.path.samestat(status, os.fstat(stream)):
                    raise self._refuse(
                        "is where standard output or standard error go; name "
                        "another file."
                    )
        if locks.try_lock(file) is False:
            raise self._refuse("is that of a run under way; name another file.")
        return file  # type: ignore[return-value]

    def _check_empty(self) -> None:
        """Raises ValueError if there is anything in the file."""
        if self._file and os.fstat(self._file.fileno()).st_size:
            raise self._refuse(
                "exists; name another file, or replace it with --overwrite."
            )

    def _refuse(self, reason: str) -> ValueError:
        """Makes the error that the log cannot be this file."""
        self.close()
        return ValueError(f"log {self._name} {reason}")

    def _write(self, record: Mapping[str, Any]) -> None:
        """Writes a line, whole or not at all."""
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
        """Says that the log failed, once."""
        if not self._failed:
            log.warning("log %s failed: %s", self._path, error.strerror)
        self._failed = True


class _Held(NamedTuple):
    """A step whose losses are not read yet."""

    report: "reporters.StepReport"
    time: str


class _Found(NamedTuple):
    """What a log has that is there."""

    header: Mapping[str, Any]
    header_end: int  # bytes
    steps: Sequence[tuple[Place, int, float]]  # place, end in bytes, seconds
    is_final: bool  # after a step; before, nothing is lost

    def find_end(self, place: Place) -> tuple[int, float]:
        """Finds where the steps up to a place end, and their seconds."""
        end, seconds = self.header_end, 0.0
        for where, after, time in self.steps:
            if where > place:
                break
            end, seconds = after, time
        return end, seconds


def make_header(job: settings.Job, plan: planning.Plan) -> dict[str, Any]:
    """Describes a job: what a picture's record has before the run, and more.

    Args:
        job: The job as it was asked for.
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
    """Writes what the clock says: ISO 8601, UTC, in milliseconds."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _round(value: float) -> float | None:
    """Rounds a loss to 9 digits, all of a float32; JSON has no NaN."""
    return float(f"{value:.9g}") if math.isfinite(value) else None


def _read(file: BinaryIO) -> _Found | None:
    """Reads a log; None if it is none of ours, all of it."""
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
                # A run was killed as it wrote its last line.
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
    """Reads a record; None if the line is none, or has no end."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(record, dict) and line.endswith(b"\n")
    return record if whole and "record" in record else None
