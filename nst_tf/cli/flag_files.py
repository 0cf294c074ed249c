"""Reads flag files: nested files, presets, pictures beside the file.

A typed flag overrides the same flag of a flag file, and a flag of a file
overrides the same flag of the files that it includes, in any order. This also
holds for flags that can be repeated.
"""

import codecs
import os
import re
from collections.abc import Sequence
from pathlib import Path

from nst_tf import errors, files, urls
from nst_tf.cli import flag_values
from nst_tf.images import image_io, sources
from nst_tf.plan import checks, settings
from nst_tf.runs import timelapse

LARGEST_FILE = 1 << 20  # bytes
# Byte order mark -> encoding. UTF-32 comes first: its mark begins with
# UTF-16's.
_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
LONGEST_LINE = 10_000  # characters
_COMMENT = re.compile(r"(?<=\s)(#|//)")
_NAME = re.compile(r"-[^\s=]*(=|$)")
MOST_COMMENTS = 20  # checked in one line
_SPACE = re.compile(r"\s")


def expand(
    flags: Sequence[flag_values.Flag],
    folder: Path | None = None,
    depth: int = 0,
    known: dict[Path, list[flag_values.Flag]] | None = None,
) -> list[flag_values.Flag]:
    """Replaces each flagfile flag by the flags of that file.

    Args:
        flags: The flags of the command line or of a file.
        folder: The folder of that file, searched first for relative pictures
            and flag files. None for the command line.
        depth: The nesting depth.
        known: The flags of the files read so far. Each file is read once, since
            repeated includes could take exponential time.

    Returns:
        Flags with their places, from the outermost file to the command line; of
        each name only the flags of the nearest place.

    Raises:
        ValueError: If a flag file is missing, not text, or includes itself.
    """
    if depth > 8:
        raise ValueError(
            f"flag files in {folder} include each other in a circle or more "
            "than 8 levels deep; remove a --flagfile line."
        )
    known = {} if known is None else known
    own: list[flag_values.Flag] = []
    inherited: list[flag_values.Flag] = []
    for flag in flags:
        if flag.name != "flagfile":
            own.append(_resolve(flag, folder))
            continue
        path = find_flag_file(flag.value, folder)
        if path not in known:
            known[path] = expand(_read(path), path.parent, depth + 1, known)
        inherited = _without(inherited, known[path]) + known[path]
    return _without(inherited, own) + own


def find_flag_file(name: str, folder: Path | None = None) -> Path:
    """Finds a flag file by its path, beside another flag file, or as a preset.

    "configs/starry.cfg", "starry.cfg" and "starry" all name a preset, from any
    folder, in a checkout or an installed package.

    Raises:
        ValueError: If there is none, with a suggestion.
    """
    given = Path(os.path.expanduser(name))
    places = [given] if folder is None else [folder / given, given]
    for path in places:
        if os.path.isfile(path):
            return path
    if given.parent in (Path(), Path("configs")):
        for path in (
            files.presets_folder() / given.name,
            files.presets_folder() / f"{given.name}.cfg",
        ):
            if os.path.isfile(path):
                return path
    names = files.list_presets()
    if not name or any(map(os.path.exists, places)):
        kind = "is not a file" if name else "is an empty name"
        raise ValueError(
            f"flag file {urls.show_source(name)} {kind}; pass a text file, or "
            f"a preset: {', '.join(names)}."
        )
    raise ValueError(
        f"there is no flag file {urls.show_source(name)}"
        + errors.go_on(
            errors.did_you_mean(given.stem, names),
            f"the presets are {', '.join(names)}.",
        )
    )


def _read(path: Path) -> list[flag_values.Flag]:
    """Reads the flags of a flag file."""
    found = []
    lines = _decode(path).splitlines()
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith(("#", "//")):
            continue
        where = f"flag file {path}, line {number},"
        if len(line) > LONGEST_LINE:
            raise ValueError(
                f"{where} has {len(line)} characters; expected at most "
                f"{LONGEST_LINE}."
            )
        _check_comment(line, path.parent, where)
        if not line.strip("-") or not _NAME.match(line):
            raise ValueError(
                f"{where} has {urls.hide_addresses(line)!r}; expected "
                "--name=value, or a comment that starts with #."
            )
        (flag,), _ = flag_values.parse_arguments([_unquote(line, path.parent)])
        found.append(flag._replace(place=str(path)))
    return found


def _decode(path: Path) -> str:
    """Reads a text file in UTF-8, or in the encoding of its byte order mark."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ValueError(
            f"flag file {path} cannot be read: {error.strerror}; make it "
            "readable, or pass another."
        ) from error
    if len(data) > LARGEST_FILE:
        raise ValueError(
            f"flag file {path} is larger than 1 MB; pass a text file with one "
            "--name=value per line."
        )
    marked = (
        each for mark, each in _ENCODINGS.items() if data.startswith(mark)
    )
    encoding = next(marked, "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].decode(encoding, "ignore").count("\n") + 1
        raise ValueError(
            f"flag file {path} cannot be read: line {line} is not valid UTF-8; "
            "save the file as UTF-8."
        ) from error
    if "\0" in text:
        raise ValueError(
            f"flag file {path} is not a UTF-8 text file; save it as UTF-8."
        )
    return text


def _check_comment(line: str, folder: Path, where: str) -> None:
    """Raises ValueError if a value is valid only without a trailing comment.

    Comments are never stripped: a file name may contain #.
    """
    comments = list(_COMMENT.finditer(line))[:MOST_COMMENTS]
    if not comments or _is_right(line, folder):
        return
    for comment in comments:
        bare = line[: comment.start()].rstrip()
        if _is_right(bare, folder):
            raise ValueError(
                f"{where} has a comment after {urls.hide_addresses(bare)!r}, "
                "which would become part of the value; move the comment to "
                "its own line."
            )


def _is_right(line: str, folder: Path) -> bool:
    """Returns whether a line of a flag file has a valid value."""
    try:
        (flag,), _ = flag_values.parse_arguments([_unquote(line, folder)])
        name, value, _ = flag
        if name == "flagfile":
            find_flag_file(value, folder)
            return True
        rules = settings.FIELDS[name].metadata
        if rules.get("path") and value not in rules.get("keywords", ()):
            if not sources.is_file(value):
                return not _SPACE.search(value)
            return _exists(value, folder)
        job = flag_values.read_job([flag])
        checks.check(job)
        output = Path(job.output).suffix.lower()
        film = Path(job.timelapse).suffix.lower()
        return (not output or output in image_io.OUTPUT_EXTENSIONS) and (
            not film or film in timelapse.EXTENSIONS
        )
    except (TypeError, ValueError):
        return False


def _unquote(line: str, folder: Path) -> str:
    """Removes quotes around a value, unless a file has that quoted name."""
    name, equals, value = line.partition("=")
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    if not quoted or _exists(value, folder):
        return line
    return f"{name}{equals}{value[1:-1]}"


def _exists(name: str, folder: Path) -> bool:
    """Returns whether a file exists, beside a flag file or as named."""
    name = os.path.expanduser(name)
    return os.path.exists(folder / name) or os.path.exists(name)


def _resolve(flag: flag_values.Flag, folder: Path | None) -> flag_values.Flag:
    """Resolves the path of a picture relative to its flag file."""
    rules = settings.FIELDS[flag.name].metadata
    if folder is None or not rules.get("path") or not flag.value:
        return flag
    if flag.value in rules.get("keywords", ()):
        return flag
    beside = folder / os.path.expanduser(flag.value)
    return flag._replace(value=str(beside)) if os.path.exists(beside) else flag


def _without(
    inherited: list[flag_values.Flag], nearer: list[flag_values.Flag]
) -> list[flag_values.Flag]:
    """Removes the flags that a nearer place sets."""
    names = {flag.name for flag in nearer}
    return [flag for flag in inherited if flag.name not in names]
