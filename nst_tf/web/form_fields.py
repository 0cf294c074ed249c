"""Makes form fields from the table of settings, and a `Job` from a form.

A `Job` accepts paths and addresses; a form may send neither. It refers to
pictures by their upload numbers, and settings that may be paths accept only
their keywords.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_tf import errors, files
from nst_tf.cli import flags
from nst_tf.plan import checks, conflicts, settings

LONGEST_TEXT = 2000  # characters per value
MOST_VALUES = 100  # per setting
# The studio chooses where and how pictures are written.
_DECIDED = {"overwrite", "bit_depth", "record_paths"}
_ROLES = (settings.Role.PIXELS, settings.Role.FILE)
_KINDS: dict[Any, str] = {bool: "bool", int: "int", float: "float", str: "text"}


def _is_shown(name: str) -> bool:
    """Returns whether a setting is a field of the form."""
    rules = settings.FIELDS[name].metadata
    if rules["role"] not in _ROLES or rules.get("writes") or name in _DECIDED:
        return False
    return "path" not in rules or "keywords" in rules


SHOWN = tuple(filter(_is_shown, settings.FIELDS))
# Settings that are pictures; continue_from is another result.
PICTURES = tuple(
    name
    for name, field in settings.FIELDS.items()
    if field.metadata.get("path") in ("picture", "mask", "start")
    and field.metadata["role"] is settings.Role.PIXELS
    and name != "continue_from"
)


def list_fields() -> list[dict[str, Any]]:
    """Lists the fields of the form, in the order of the table."""
    return [_describe_field(name) for name in SHOWN]


def _describe_field(name: str) -> dict[str, Any]:
    """Describes one setting: its kind, help, limits, choices and default."""
    field = settings.FIELDS[name]
    rules = field.metadata
    choices = rules.get("choices") or rules.get("keywords") or ()
    item = settings.ITEM_TYPES.get(field.type)
    limits = {n: rules[n] for n in ("low", "high", "off") if n in rules}
    return {
        "name": name,
        "group": rules["group"],
        "help": rules["help"],
        "kind": "list" if item else _KINDS[field.type],
        "numbers": item is not None and item is not str,
        "default": field.default,
        "choices": list(choices),
        **limits,
    }


def list_values(
    chosen: Mapping[str, Any],
    pictures: Mapping[str, Sequence[Path]],
    decided: Mapping[str, Any],
) -> dict[str, Any]:
    """Lists the values of the job that a form describes.

    Args:
        chosen: Settings by name, as JSON has them.
        pictures: The files of pictures, by the settings of `PICTURES`.
        decided: Values that the studio chooses.

    Raises:
        ValueError: In one sentence: what was received, what was expected.
    """
    for name, value in chosen.items():
        _check_value(name, value)
    values: dict[str, Any] = {**chosen, **decided}
    for name, paths in pictures.items():
        several = settings.FIELDS[name].type in settings.ITEM_TYPES
        if not several and len(paths) != 1:
            raise ValueError(
                f"{name} has {errors.format_count(len(paths), 'picture')}, "
                f"expected one."
            )
        values[name] = [*map(str, paths)] if several else str(paths[0])
    if "content" not in pictures or "style" not in pictures:
        raise ValueError("choose a photograph and a painting first.")
    try:
        with errors.name_keywords():  # the form has no flags
            job = settings.Job(**values)
            checks.check(job)
            conflicts.check(job)
    except TypeError as error:
        raise ValueError(str(error)) from error
    return values


def _check_value(name: str, value: Any) -> None:
    """Raises ValueError unless a form may send a value of a setting."""
    if name not in SHOWN:
        near = settings.suggest(name[:60], SHOWN)
        raise ValueError(
            f"the studio has no setting {name[:60]!r}{near or '.'}"
        )
    keywords = settings.FIELDS[name].metadata.get("keywords")
    if keywords and value not in keywords:
        raise ValueError(
            f"{name} is not a known value; expected "
            f"{errors.list_choices(list(keywords))}."
        )
    parts = value if isinstance(value, list) else [value]
    is_long = len(parts) > MOST_VALUES
    for part in parts:
        is_long |= isinstance(part, str) and len(part) > LONGEST_TEXT
        if isinstance(part, float) and not math.isfinite(part):
            raise ValueError(f"{name} is {part}, expected a number.")
        if isinstance(part, (dict, list)) or part is None:
            raise ValueError(f"{name} is not a plain value.")
        if isinstance(part, int) and abs(part) > 10**15:
            raise ValueError(f"{name} is too large a number.")
    if is_long:
        raise ValueError(f"{name} is too long.")


def write_command(
    chosen: Mapping[str, Any], pictures: Mapping[str, Sequence[str]]
) -> str:
    """Writes the command line that paints the same picture.

    Args:
        chosen: Settings by name, as in `list_values`.
        pictures: The names of pictures, by the settings of `PICTURES`.
    """
    content, styles = pictures.get("content", ()), pictures.get("style", ())
    job = settings.Job(**chosen)
    words = ["nst-tf", *content, *styles, *settings.format_flags(job)]
    words += [
        f"--{name}={each}"
        for name, names in pictures.items()
        for each in names
        if name not in ("content", "style")
    ]
    return shlex.join(words)


def list_presets() -> list[dict[str, Any]]:
    """Lists the presets that use the sample pictures and our own losses.

    Returns:
        The name, a sentence, the settings and the sample pictures of each.
    """
    samples = {str(p): name for name, p in files.example_images().items()}
    found = []
    for name in files.list_presets():
        job = flags.parse([f"--flagfile={name}"])
        if job.convention != "relative" or not job.style or job.init == "noise":
            continue
        changed = {
            key: value
            for key in SHOWN
            if (value := getattr(job, key)) != settings.FIELDS[key].default
        }
        if not find_gallery_picture(name):
            continue
        named: dict[str, list[str]] = {}
        for key in PICTURES:
            value = getattr(job, key)
            values = value if isinstance(value, tuple) else (value,)
            if known := [samples[each] for each in values if each in samples]:
                named[key] = known
        found.append(
            {
                "name": name,
                "text": _read_sentence(name),
                "settings": changed,
                "pictures": named,
            }
        )
    return found


def find_gallery_picture(name: str) -> Path | None:
    """Finds the example picture of a preset; returns None without one."""
    path = files.presets_folder() / "gallery" / f"{name}.jpg"
    return path if path.is_file() else None


def _read_sentence(preset: str) -> str:
    """Reads the first line of a preset, which describes it."""
    path = files.presets_folder() / f"{preset}.cfg"
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip()
