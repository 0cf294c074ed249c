"""What a picture says of itself: how it was made, in plain data.

A record holds the settings that differ from the defaults, and what the clock or
the machine decided: sizes and steps of the levels, the precision, the weights.
With it the picture is made again, to the bit on the same machine and versions.
It holds names, not paths, unless the paths are asked for.
"""

import datetime
import importlib.metadata
import json
import os
import platform
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

import nst_tf
from nst_tf.images import image_io, reading, sources, writing
from nst_tf.plan import inputs, settings
from nst_tf.runs import outputs, resume

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


def make_record(
    asked: settings.Job,
    request: settings.Job,
    prepared: inputs.Inputs,
    outcome: Outcome,
) -> dict[str, Any]:
    """Writes the record of a run.

    Args:
        asked: The job as it was asked for.
        request: The same, with the settings of its strength and print size.
        prepared: What it was made from.
        outcome: How it ended.
    """
    shown = _Names(request.record_paths)
    flags = {
        name: getattr(asked, name)
        for name, field in settings.FIELDS.items()
        if name in settings.RECORDED and getattr(asked, name) != field.default
    }
    named = inputs.list_named_pictures(request)
    if "init" in inputs.list_named_pictures(asked):
        flags["init"] = shown.of(asked.init)
    chosen = {
        name: getattr(request, name)
        for name in settings.FIELDS
        if name in settings.RECORDED
        and getattr(request, name) != getattr(asked, name)
    }
    pictures: dict[str, Any] = {
        "content": _describe_picture(
            shown.of(request.content), prepared.content
        ),
        "style": [
            _describe_picture(shown.of(source), picture)
            for source, picture in zip(
                request.style, prepared.styles, strict=True
            )
        ],
    }
    for name, source in named.items():
        pictures[name] = _describe_picture(
            shown.of(source), prepared.others[name]
        )
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
            "settings": chosen,
        },
        "inputs": pictures,
        "network": {
            "name": request.extractor,
            "weights": _weights(request, prepared, shown),
            "digest": resume.digest_weights(prepared.network),
        },
        "state": outcome.state,
        "losses": {
            name: float(f"{value:.6g}")
            for name, value in outcome.losses.items()
        },
        "rescues": outcome.rescues,
        "seconds": round(outcome.seconds, 1),
        "device": outcome.device,
        "versions": list_versions(),
    }


def format_record(record: Record) -> str:
    """Writes a record as text: JSON, of ASCII only."""
    return json.dumps(record)


def read_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads the record of a picture, from its file or from that beside it.

    Raises:
        ValueError: If there is no such file, or it has no record.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_file():
        raise ValueError(f"there is no file {path}.")
    text = _read_embedded(path)
    beside = outputs.sidecar_path(path)
    try:
        if not text and beside.is_file() and beside.stat().st_size < LONGEST:
            text = beside.read_text(encoding="utf-8")
        record = json.loads(text)
        _check(record)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        raise ValueError(
            f"{path} does not say how it was made; expected a picture of this "
            f"program, as it wrote it, or a .json file beside it."
        ) from None
    return dict(record)


def describe(path: str | os.PathLike[str]) -> str:
    """Says how a picture was made: a flag file, with notes for people.

    Raises:
        ValueError: As `read_record`.
    """
    record = read_record(path)
    decided, network = record["decided"], record["network"]
    pictures = record["inputs"]
    named = [("content", pictures["content"])]
    named += [("style", style) for style in pictures["style"]]
    named += [
        (name.partition("/")[0], picture)
        for name, picture in pictures.items()
        if name not in ("content", "style")
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
    tile = decided["settings"].get("tile")
    in_tiles = f", in tiles of {tile}" if tile else ""
    if tile and decided["settings"].get("content_target") == "recompute":
        in_tiles += ", the content seen anew"
    lines = [
        f"{Path(path).name}, made by nst_tf {record['nst_tf']}, "
        f"{record['made']}",
        f"{record['state']}, after {sum(decided['steps'])} steps in "
        f"{record['seconds']} s, on {record['device']}, {decided['precision']}"
        f"{in_tiles}",
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
    chosen = decided["settings"].items()
    flags = {
        **record["flags"],  # a folder of styles is told by its pictures
        **{n: v for n, v in chosen if n in settings.PER_STYLE_SETTINGS},
    }
    known = settings.RECORDED
    arguments = [
        *((name, each["name"]) for name, each in named if name != "init"),
        *(each for each in flags.items() if each[0] in known),
    ]
    if network["weights"] != "auto":
        arguments.append(("weights", network["weights"]))
    unknown = sorted(flags.keys() - known)
    if unknown:
        lines.append(f"not known to this version: {', '.join(unknown)}")
    text = [f"# {_printable(line)}" for line in lines]
    written = [line for each in arguments for line in _flag(*each)]
    return "\n".join([*text, *written])


def list_versions() -> dict[str, str]:
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
            name = sources.find_name(source)
            # The file, not what the word means.
            if name == sources.STANDARD_INPUT or _means_something(name):
                name = f"./{name}"
            return path if self._paths else name
        if source == sources.STANDARD_INPUT:
            return source
        shown = sources.hide_password(source)
        return shown if self._paths else shown.partition("?")[0]


def _means_something(name: str) -> bool:
    """Whether a file is named as a start, or weights, that are none."""
    return any(settings.is_keyword(field, name) for field in settings.FIELDS)


def _describe_picture(name: str, picture: image_io.Picture) -> dict[str, Any]:
    """Says which picture something was made from."""
    height, width = picture.pixels.shape[:2]
    return {"name": name, "size": [width, height], "digest": picture.digest}


def _weights(
    request: settings.Job, prepared: inputs.Inputs, shown: _Names
) -> str:
    """Which network's weights were taken in the end."""
    if prepared.network.projections is not None:
        return "small"
    if settings.is_keyword("weights", request.weights):
        return request.weights
    return shown.of(request.weights)


def _read_embedded(path: Path) -> str:
    """Reads the record that is in a picture's file; empty if there is none."""
    try:
        with (
            reading.quiet_decoders(),
            Image.open(path, formats=writing.DESCRIBED) as image,
        ):
            return writing.read_record(image)
    except Exception:  # a damaged file raises anything
        return ""


def _check(record: Any) -> None:
    """Raises an error, of one kind or another, unless it is a record."""
    decided, pictures = record["decided"], record["inputs"]
    network, losses = record["network"], record["losses"]
    flags, chosen = record["flags"], decided["settings"]
    tables = [record, decided, pictures, network, losses, flags, chosen]
    _check_kinds(dict, *tables, record["versions"])
    _check_kinds(list, decided["sizes"], decided["steps"], pictures["style"])
    others = [pictures[n] for n in set(pictures) - {"content", "style"}]
    for picture in (pictures["content"], *pictures["style"], *others):
        _check_kinds(str, picture["name"], picture["digest"])
        _check_kinds(int, *picture["size"])
        _, _ = picture["size"]
    sizes, steps = decided["sizes"], decided["steps"]
    for (width, height), count in zip(sizes, steps, strict=True):
        _check_kinds(int, width, height, count)
        if not min(width, height) > 0 <= count:
            raise ValueError("a level has no size")
    _check_kinds(str, network["name"], network["weights"], network["digest"])
    _check_kinds(str, record["nst_tf"], record["made"], record["state"])
    _check_kinds(str, record["device"], decided["precision"])
    _check_kinds(str, *record["versions"].values())
    _check_kinds(int, record["rescues"], decided["seed"])
    _check_kinds((int, float), record["seconds"], *losses.values())
    for number in losses.values():
        float(f"{number:.4g}")


def _check_kinds(kind: Any, *values: Any) -> None:
    """Raises TypeError unless all values are of a type; none is a switch."""
    for value in values:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError(f"{value!r:.50} is of a wrong type")


def _flag(name: str, value: Any) -> list[str]:
    """Writes a setting as lines of a flag file."""
    if isinstance(value, bool):
        return [f"--{'' if value else 'no'}{name}"]
    if isinstance(value, list) and name == "style_layers":
        return [f"--{name}={_printable(str(part))}" for part in value]
    if isinstance(value, list):
        value = ",".join(map(str, value))
    text = str(value)
    if _printable(text) != text or text.strip() != text:
        return [
            f"# --{name}= cannot be written here; type it: {_printable(text)}"
        ]
    return [f"--{name}={text}"]


def _printable(text: str) -> str:
    """Keeps a line one line, and readable, whatever a file's name holds."""
    return "".join(
        c if c.isprintable() or unicodedata.category(c) == "Zs" else "?"
        for c in text
    )
