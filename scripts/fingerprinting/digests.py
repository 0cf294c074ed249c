"""Digests of arrays, and texts without times and folders, to compare.

Texts stay texts, so that a comparison can say what has changed in them.
"""

import hashlib
import html
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageSequence

import nst_tf

_ROOT = Path(__file__).resolve().parents[2]
library: Any = nst_tf  # whose names are imported when they are used
_RECORD = re.compile("<nst_tf:record>(.*)</nst_tf:record>", re.DOTALL)  # XMP
_CLOCK = ("made", "time", "seconds", "peak_memory_bytes", "process")  # in JSON
_PICTURES = (".png", ".jpg", ".webp", ".tif", ".bmp", ".gif")
_STEP = re.compile(r"^\d+%  .*, step (\d+)/(\d+), ", re.MULTILINE)


def of_arrays(arrays: Iterable[np.ndarray]) -> str:
    """Computes the SHA-256 digest of arrays: types, shapes and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return f"sha256:{digest.hexdigest()}"


def of_bytes(data: bytes) -> str:
    """Computes the SHA-256 digest of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def without_clock(text: str) -> str:
    """Removes from a text what changes from one run to the next.

    These are durations, dates, and lines of steps that are printed only because
    the last line was long ago: all but the last of a level.
    """
    text = re.sub(r"\b\d+(\.\d+)? (s|min|h)\b", "TIME", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.+]+", "DATE", text)
    text = text.replace(", about TIME left", "")
    lines = []
    for line in text.splitlines():
        found = _STEP.match(line)
        if not found or found[1] == found[2]:
            lines.append(re.sub(r"^\d+%  ", "", line))
    return "\n".join(lines)


def without_folders(text: str, folder: Path) -> str:
    """Removes the folder of a check, and that of the checkout, from a text."""
    return text.replace(str(folder), "FOLDER").replace(str(_ROOT), "CHECKOUT")


def of_files(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """Describes files by their names, relative to a folder."""
    found: dict[str, str] = {}
    for path in sorted(files):
        name = str(path.relative_to(folder))
        for part, value in _of_file(path).items():
            found[f"{name} {part}".strip()] = value
    return found


def _of_file(path: Path) -> dict[str, str]:
    """Describes one file, by its extension."""
    suffix = path.suffix.lower()
    if suffix in _PICTURES:
        return _of_picture(path)
    if suffix == ".npz":
        return _of_checkpoint(path)
    if suffix in (".json", ".running"):
        return {"": _json(path.read_text())}
    if suffix == ".log":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        steps = [each for each in lines if each["record"] == "step"]
        last = [
            each for each in steps if each["level_step"] == each["level_steps"]
        ]
        return {"": "\n".join(_json(json.dumps(each)) for each in last)}
    if suffix == ".cfg":
        return {"": without_clock(path.read_text())}
    return {"": of_bytes(path.read_bytes())}


def _of_picture(path: Path) -> dict[str, str]:
    """Describes a picture's frames, its full depth, its notes, its record."""
    with Image.open(path) as image:
        frames = [np.asarray(frame) for frame in ImageSequence.Iterator(image)]
        notes, record = _notes(image)
    found = {
        "values": of_arrays([library.load_image(path)]),
        "frames": f"{len(frames)}, {of_arrays(frames)}",
        "notes": notes,
    }
    if record:
        found["record"] = _json(record)
    return found


def _notes(image: Image.Image) -> tuple[str, str]:
    """Lists what a picture's file says besides pixels, and finds its record."""
    record = ""
    lines = [f"{image.format} {image.mode} {image.size}"]
    values = {name: v for name, v in image.info.items() if name != "exif"}
    exif = image.getexif()
    # Places in the file depend on the length of the record.
    values |= {f"EXIF {t}": v for t, v in exif.items() if t not in _PLACES}
    for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        for tag, value in exif.get_ifd(directory).items():
            values[f"EXIF {directory.name} {tag}"] = value
    for name, value in sorted(values.items(), key=str):
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if isinstance(text, str) and (found := _RECORD.search(text)):
            record = html.unescape(found[1])
            value = text.replace(found[1], "").encode()
        lines.append(f"{name}: {_short(value)}")
    return "\n".join(lines), record


_PLACES = {
    ExifTags.Base.StripOffsets,
    ExifTags.Base.StripByteCounts,
    ExifTags.Base.ExifOffset,
    ExifTags.Base.GPSInfo,
}


def _of_checkpoint(path: Path) -> dict[str, str]:
    """Describes the arrays of a checkpoint, by name, and its head."""
    with np.load(path, allow_pickle=False) as file:
        arrays = [
            f"{name}: {file[name].dtype} {file[name].shape} "
            f"{of_arrays([file[name]])}"
            for name in sorted(file.files)
            if name != "head"
        ]
        return {"arrays": "\n".join(arrays), "head": _json(str(file["head"]))}


def _json(text: str) -> str:
    """Writes JSON a line an entry, in its order, without the clock."""
    try:
        return json.dumps(_still(json.loads(text)), indent=1)
    except ValueError:
        return f"no JSON: {text}"


def _still(value: Any) -> Any:
    """Replaces what the clock and the allocator decided."""
    if isinstance(value, Mapping):
        return {
            name: "CLOCK"
            if name in _CLOCK and not isinstance(each, Mapping)
            else _still(each)
            for name, each in value.items()
        }
    return [_still(each) for each in value] if type(value) is list else value


def _short(value: Any) -> str:
    """Writes a value of a file's header; long bytes as their digest."""
    if isinstance(value, bytes) and len(value) > 40:
        return of_bytes(value)
    return str(value)
