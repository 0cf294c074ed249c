"""Makes and reads records: how a picture or a film was made, as plain data.

A record holds the requested settings that differ from defaults, all settings
after defaults and strength are resolved, and the choices of clock and machine:
sizes and steps of the levels, precision, weights. It is enough to repeat the
picture, bit for bit on the same machine and versions, even if defaults have
changed since. It holds file names; paths only on request.

The record of a film, which `video` makes, holds the requested settings alone.
"""

import datetime
import importlib.metadata
import json
import math
import os
import platform
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nst_tf
from nst_tf import errors, files, urls
from nst_tf.images import decoding_setup, image_io, sources, writing
from nst_tf.plan import inputs, planning, settings
from nst_tf.runs import checkpoint, record_checks, resume

Record = Mapping[str, Any]

FILM_TAG = "synopsis"  # a tag of the container that both formats have
FILM_FORMATS = {".mp4": "mp4", ".webm": "webm"}  # extension -> FFmpeg's name


class Outcome(NamedTuple):
    """The outcome of a run."""

    steps: Sequence[int]  # taken at each level
    state: str  # "done", or "unfinished"
    losses: Mapping[str, float]  # of the last step, unweighted
    rescues: int
    seconds: float
    device: str


def make_record(
    job: settings.Job, plan: planning.Plan, outcome: Outcome
) -> dict[str, Any]:
    """Makes the record of a run.

    Args:
        job: The job as requested.
        plan: Its plan.
        outcome: Its outcome.
    """
    shown, read = _Names(plan.file.record_paths), plan.inputs
    flags = list_flags(job)
    if "init" in inputs.list_named_pictures(job):
        flags["init"] = shown.find(job.init)
    decided = {
        name: value
        for name, value in plan.settings.items()
        if name in settings.RECORDED and name != "init"
    }
    decided |= {
        "tile": plan.tiling.side,
        "content_target": plan.tiling.content_target,
    }
    if plan.init.word not in ("picture", "smaller"):
        decided["init"] = plan.settings["init"]

    def describe(name: str, picture: image_io.Picture) -> dict[str, Any]:
        height, width = picture.pixels.shape[:2]
        return {
            "name": shown.find(read.sources[name]),
            "size": [width, height],
            "digest": picture.digest
            or checkpoint.digest_arrays(resume.list_arrays(picture)),
        }

    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "nst_tf": nst_tf.__version__,
        "made": now.isoformat(timespec="seconds"),
        "flags": flags,
        "decided": {
            "sizes": [[level.width, level.height] for level in plan.levels],
            "steps": list(outcome.steps),
            "precision": plan.network.precision,
            "convolution": plan.network.convolution,
            "seed": plan.settings["seed"],
            "settings": decided,
        },
        "inputs": {
            "content": describe("content", read.content),
            "style": [
                describe(f"style/{number}", picture)
                for number, picture in enumerate(read.styles)
            ],
            **{n: describe(n, each) for n, each in read.others.items()},
        },
        "network": {
            "name": plan.network.name,
            "weights": _name_weights(job, plan, shown),
            "digest": resume.digest_weights(read.network),
            **_digest_weights_file(plan),
        },
        "state": outcome.state,
        "losses": {
            name: float(f"{value:.6g}")
            for name, value in outcome.losses.items()
            if math.isfinite(value)
        },
        "rescues": outcome.rescues,
        "seconds": round(outcome.seconds, 1),
        "device": outcome.device,
        "versions": list_versions(),
    }


def list_flags(job: settings.Job) -> dict[str, Any]:
    """Lists the settings that a record has as they were asked for."""
    return {
        name: getattr(job, name)
        for name, field in settings.FIELDS.items()
        if name in settings.RECORDED and getattr(job, name) != field.default
    }


def format_record(record: Record) -> str:
    """Formats a record as JSON, in ASCII."""
    return json.dumps(record)


def read_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads the record of a picture, from its file or the .json file beside it.

    It checks every value, since the file is untrusted.

    Raises:
        ValueError: If the file or its record is missing, or the record is
            invalid.
    """
    path = _find_file(path)
    text = _read_embedded(path) or _read_beside(path)
    try:
        record = record_checks.parse(text)
    except (ValueError, LookupError, TypeError, RecursionError):
        raise ValueError(
            f"{path} has no record; expected an unedited output of this "
            "program, or its .json file beside it."
        ) from None
    try:
        record_checks.check_settings(record)
    except (TypeError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise ValueError(
            f"{path} has a damaged record: {reason}; pass an unedited output "
            "of this program."
        ) from error
    return record


def is_film(path: str | os.PathLike[str]) -> bool:
    """Returns whether a file has the record of a film, by its extension."""
    return Path(path).suffix.lower() in FILM_FORMATS


def read_film_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads the record of a film from its file.

    It checks every value, since the file is untrusted.

    Raises:
        ValueError: If the file or its record is missing, the record is
            invalid, or PyAV is missing.
    """
    path = _find_file(path)
    files.require_extra("av", "video", f"--describe={path}")
    try:
        return record_checks.parse_film(_read_film_tag(path))
    except (ValueError, LookupError, TypeError, RecursionError):
        raise ValueError(
            f"{path} has no record; expected an unedited film of nst-tf-video."
        ) from None


def list_versions() -> dict[str, str]:
    """Returns the versions of the packages that affect the result."""
    found = {"python": platform.python_version()}
    for name, packages in {
        "tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly"),
        "keras": ("keras",),
        "numpy": ("numpy",),
        "pillow": ("pillow",),
    }.items():
        for package in packages:
            try:
                found[name] = importlib.metadata.version(package)
                break
            except importlib.metadata.PackageNotFoundError:
                continue
    return found


def read_decided(record: Record) -> dict[str, Any]:
    """Reads the known settings of a record, with defaults resolved.

    A missing setting gets the value that old versions used in its place.
    """
    flags, decided = record["flags"], record["decided"]["settings"]
    return {
        **settings.list_absent_values(),
        **read_values({**flags, **decided}),
    }


def read_values(table: Mapping[str, Any]) -> dict[str, Any]:
    """Reads known settings from a JSON object, whose lists become tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in table.items()
        if name in settings.RECORDED
    }


class _Names:
    """Chooses the name of an input in a record: file name or full path."""

    def __init__(self, paths: bool):
        self._paths = paths

    def find(self, source: str) -> str:
        """Returns the name of a file, or an address without secrets."""
        if sources.is_file(source):
            path = os.path.abspath(os.path.expanduser(source))
            name = sources.find_name(source)
            # "./" marks a file, not a keyword.
            if name == sources.STANDARD_INPUT or _means_something(name):
                name = f"./{name}"
            return path if self._paths else name
        if source == sources.STANDARD_INPUT:
            return source
        return urls.show_address(source)


def _means_something(name: str) -> bool:
    """Returns whether a file has the name of a keyword, such as "noise"."""
    return any(settings.is_keyword(field, name) for field in settings.FIELDS)


def _name_weights(job: settings.Job, plan: planning.Plan, shown: _Names) -> str:
    """Returns the name of the network weights that were used."""
    network = plan.inputs.network
    if network is not None and network.projections is not None:
        return "small"
    if settings.is_keyword("weights", job.weights):
        return job.weights
    return shown.find(job.weights)


def _digest_weights_file(plan: planning.Plan) -> dict[str, str]:
    """Returns the digest of the weights' file, if the user named one."""
    network = plan.inputs.network
    digest = network.file_digest if network else ""
    return {"file": digest} if digest else {}


def _find_file(path: str | os.PathLike[str]) -> Path:
    """Finds the file of a record; raises ValueError if there is none."""
    if urls.has_scheme(str(path)):
        raise ValueError(
            f"{urls.show_address(str(path))} is an address; expected the file "
            "of a picture or film. Download it first."
        )
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise ValueError(
            f"there is no file {path}"
            + (errors.find_near_file(path) or "; check its name and folder.")
        )
    return path


def _read_beside(path: Path) -> str:
    """Reads the record beside a picture; returns "" without one."""
    beside = writing.sidecar_path(path)
    try:
        status = os.stat(beside)
        if not stat.S_ISREG(status.st_mode):  # reading a pipe could block
            return ""
        with open(beside, "rb") as file:
            return file.read(record_checks.LONGEST + 1).decode()
    except (OSError, ValueError):
        return ""


def _read_embedded(path: Path) -> str:
    """Reads the record inside a picture's file; returns "" without one."""
    try:
        with decoding_setup.open_header(path, writing.DESCRIBED) as image:
            return writing.read_record(image)
    except Exception:  # damaged files raise all kinds
        return ""


def _read_film_tag(path: Path) -> str:
    """Reads the record inside a film's file; returns "" without one."""
    import av

    # A guessed format could be a playlist, which names other files.
    form = FILM_FORMATS[path.suffix.lower()]
    try:
        with av.open(str(path), format=form) as container:
            tags = {n.lower(): text for n, text in container.metadata.items()}
    except (av.error.FFmpegError, OSError):
        return ""
    return tags.get(FILM_TAG, "")
