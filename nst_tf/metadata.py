"""What a picture says of itself: how it was made, in plain data.

A record holds the settings that differ from the defaults, and what the clock or
the machine decided: sizes and steps of the levels, the precision, the weights.
With it the picture is made again, to the bit on the same machine and versions.
It holds names, not paths, unless the paths are asked for.
"""

import dataclasses
import datetime
import importlib.metadata
import json
import os
import platform
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

import nst_tf
from nst_tf import (
    decoding,
    encoding,
    image_io,
    inputs,
    job,
    outputs,
    resumption,
    sources,
)

# Fields that say where things are, or what happens on the way.
NOT_RECORDED = {
    "checkpoint_dir",
    "checkpoint_every",
    "content",
    "continue_from",
    "dry_run",
    "keep_location",
    "log",
    "max_megapixels",
    "output",
    "overwrite",
    "preview_every",
    "record_paths",
    "rerun",
    "resume",
    "style",
    "weights",
}
LONGEST = 1 << 24  # bytes of a record that is read

Record = Mapping[str, Any]


class Outcome(NamedTuple):
    """How a run ended."""

    steps: Sequence[int]  # taken at each level
    state: str  # "done", or "unfinished"
    losses: Mapping[str, float]  # of the last step, unweighted
    rescues: int
    seconds: float
    precision: str
    device: str


def make(
    asked: job.Job, request: job.Job, prepared: inputs.Inputs, outcome: Outcome
) -> dict[str, Any]:
    """Writes the record of a run.

    Args:
        asked: The job as it was asked for.
        request: The same, with the settings of its strength.
        prepared: What it was made from.
        outcome: How it ended.
    """
    shown = _Names(request.record_paths)
    flags = {
        field.name: getattr(asked, field.name)
        for field in dataclasses.fields(asked)
        if field.name not in NOT_RECORDED
        and getattr(asked, field.name) != field.default
    }
    named = inputs.named_pictures(request)
    if "init" in named:
        flags["init"] = shown.of(request.init)
    settings = {
        field.name: getattr(request, field.name)
        for field in dataclasses.fields(request)
        if getattr(request, field.name) != getattr(asked, field.name)
    }
    pictures: dict[str, Any] = {
        "content": _described(shown.of(request.content), prepared.content),
        "style": [
            _described(shown.of(source), picture)
            for source, picture in zip(
                request.style, prepared.styles, strict=True
            )
        ],
    }
    for name, source in named.items():
        pictures[name] = _described(shown.of(source), prepared.others[name])
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "nst_tf": nst_tf.__version__,
        "made": now.isoformat(timespec="seconds"),
        "flags": flags,
        "decided": {
            "sizes": [[level.width, level.height] for level in prepared.levels],
            "steps": list(outcome.steps),
            "precision": outcome.precision,
            "seed": request.seed,
            "settings": settings,
        },
        "inputs": pictures,
        "network": {
            "name": request.extractor,
            "weights": _weights(request, prepared, shown),
            "digest": resumption.weights_digest(prepared.network),
        },
        "state": outcome.state,
        "losses": {
            name: float(f"{value:.6g}")
            for name, value in outcome.losses.items()
        },
        "rescues": outcome.rescues,
        "seconds": round(outcome.seconds, 1),
        "device": outcome.device,
        "versions": versions(),
    }


def dumps(record: Record) -> str:
    """Writes a record as text: JSON, of ASCII only."""
    return json.dumps(record)


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads the record of a picture, from its file or from that beside it.

    Raises:
        ValueError: If there is no such file, or it has no record.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise ValueError(f"there is no file {path}.")
    text = _embedded(path)
    beside = outputs.sidecar_path(path)
    try:
        if not text and beside.is_file() and beside.stat().st_size < LONGEST:
            text = beside.read_text(encoding="utf-8")
        record = json.loads(text)
        _check(record)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ):
        raise ValueError(
            f"{path} does not say how it was made; expected a picture of this "
            f"program, as it wrote it, or a .json file beside it."
        ) from None
    return dict(record)


def describe(path: str | os.PathLike[str]) -> str:
    """Says how a picture was made: a flag file, with notes for people.

    Raises:
        ValueError: As `read`.
    """
    record = read(path)
    decided, network = record["decided"], record["network"]
    pictures = record["inputs"]
    named = [("content", pictures["content"])]
    named += [("style", style) for style in pictures["style"]]
    named += [
        (name, pictures[name])
        for name in ("init", "continue_from")
        if name in pictures
    ]
    levels = ", ".join(
        f"{width} x {height}: {steps}"
        for (width, height), steps in zip(
            decided["sizes"], decided["steps"], strict=True
        )
    )
    losses = ", ".join(
        f"{name} {value:.4g}" for name, value in record["losses"].items()
    )
    releases = ", ".join(
        f"{name} {value}" for name, value in record["versions"].items()
    )
    lines = [
        f"{Path(path).name}, made by nst_tf {record['nst_tf']}, "
        f"{record['made']}",
        f"{record['state']}, after {sum(decided['steps'])} steps in "
        f"{record['seconds']} s, on {record['device']}, {decided['precision']}",
        *(
            f"{name}: {each['name']}, {each['size'][0]} x {each['size'][1]}, "
            f"{each['digest']}"
            for name, each in named
        ),
        f"network: {network['name']}, weights {network['weights']}, "
        f"{network['digest']}",
        f"steps at each size: {levels}; rescues: {record['rescues']}; seed: "
        f"{decided['seed']}",
        f"losses of the last step: {losses}",
        f"versions: {releases}",
    ]
    flags = [
        *(f"--{name}={each['name']}" for name, each in named if name != "init"),
        *(_flag(name, value) for name, value in record["flags"].items()),
    ]
    if network["weights"] != "auto":
        flags.append(f"--weights={network['weights']}")
    text = [f"# {_printable(line)}" for line in lines]
    return "\n".join([*text, *map(_printable, flags)])


def versions() -> dict[str, str]:
    """What the numbers depend on, and its releases."""
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


class _Names:
    """What to call a source: its name, or all of it."""

    def __init__(self, paths: bool):
        self._paths = paths

    def of(self, source: str) -> str:
        """The name of a file; an address without what may be secret in it."""
        if sources.is_file(source):
            path = os.path.abspath(os.path.expanduser(source))
            return path if self._paths else sources.name(source)
        if self._paths or source == sources.STANDARD_INPUT:
            return source
        parts = urllib.parse.urlsplit(source)
        host = parts.netloc.rpartition("@")[2]
        return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))


def _described(name: str, picture: image_io.Picture) -> dict[str, Any]:
    """Says which picture something was made from."""
    height, width = picture.pixels.shape[:2]
    return {"name": name, "size": [width, height], "digest": picture.digest}


def _weights(request: job.Job, prepared: inputs.Inputs, shown: _Names) -> str:
    """Which network's weights were taken in the end."""
    if prepared.network.projections is not None:
        return "small"
    if request.weights in ("auto", "imagenet"):
        return request.weights
    return shown.of(request.weights)


def _embedded(path: Path) -> str:
    """Reads the record that is in a picture's file; empty if there is none."""
    try:
        with (
            decoding.quiet(),
            Image.open(path, formats=encoding.DESCRIBED) as image,
        ):
            return encoding.read_record(image)
    except Exception:  # a damaged file raises anything
        return ""


def _check(record: Any) -> None:
    """Raises an error, of one kind or another, unless it is a record."""
    decided, pictures = record["decided"], record["inputs"]
    for picture in (pictures["content"], *pictures["style"]):
        _check_picture(picture)
    for name in {"init", "continue_from"} & set(pictures):
        _check_picture(pictures[name])
    sizes, steps = decided["sizes"], decided["steps"]
    for (width, height), count in zip(sizes, steps, strict=True):
        if not min(int(width), int(height)) > 0 <= int(count):
            raise ValueError("a level has no size")
    dict(record["flags"]).items(), dict(decided["settings"]).items()
    network = record["network"]
    texts = [network["name"], network["weights"], network["digest"]]
    texts += [record["nst_tf"], record["made"], record["state"]]
    texts += [record["device"], decided["precision"]]
    texts += dict(record["versions"]).values()
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a text is none")
    numbers = [record["rescues"], record["seconds"], decided["seed"]]
    numbers += dict(record["losses"]).values()
    for number in numbers:
        float(number)


def _check_picture(picture: Any) -> None:
    """Likewise, for what it says of a picture."""
    width, height = picture["size"]
    int(width), int(height)
    if not isinstance(picture["name"] + picture["digest"], str):
        raise ValueError("a picture has no name")


def _flag(name: str, value: Any) -> str:
    """Writes a setting as a flag."""
    if isinstance(value, bool):
        return f"--{'' if value else 'no'}{name}"
    if isinstance(value, list):
        value = ",".join(map(str, value))
    return f"--{name}={value}"


def _printable(text: str) -> str:
    """Keeps a line one line, whatever a file's name holds."""
    return "".join(c if c.isprintable() else "?" for c in text)
