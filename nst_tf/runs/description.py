"""Writes the record of a picture or a film as a commented flag file."""

import contextlib
import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nst_tf import terminal, urls
from nst_tf.plan import conflicts, schedule, settings, style_settings
from nst_tf.runs import record_checks, records


def describe(path: str | os.PathLike[str]) -> list[str]:
    """Describes how a picture or film was made, as a commented flag file.

    Returns:
        Its lines.

    Raises:
        ValueError: As `records.read_record` and `records.read_film_record`.
    """
    if records.is_film(path):
        return _describe_film(path)
    record = records.read_record(path)
    decided, network = record["decided"], record["network"]
    pictures = record["inputs"]
    named = [("content", pictures["content"])]
    named += [("style", style) for style in pictures["style"]]
    named += [
        (name.partition("/")[0], picture)
        for name, picture in pictures.items()
        if record_checks.is_other(name)
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
        in_tiles += ", content features recomputed"
    lines = [
        f"{Path(path).name}, made by nst_tf {record['nst_tf']}, "
        f"{record['made']}",
        f"{record['state']}, after {sum(decided['steps'])} steps in "
        f"{record['seconds']} s, on {record['device']}, {decided['precision']}"
        f"{in_tiles}",
        *(
            f"{name}: {urls.show_source(each['name'])}, {each['size'][0]} x "
            f"{each['size'][1]}, {each['digest']}"
            for name, each in named
        ),
        f"network: {network['name']}, weights "
        f"{urls.show_source(network['weights'])}, {network['digest']}",
        f"steps at each size: {levels}; rescues: {record['rescues']}; seed: "
        f"{decided['seed']}",
        f"losses of the last step: {losses}",
        f"versions: {releases}",
    ]
    flags = _list_flags(record)
    if unknown := record_checks.list_unknown(record):
        names = [name[:60] for name in unknown[:20]]
        lines.append(f"unknown to this version: {', '.join(names)}")
    arguments = [
        *((name, each["name"]) for name, each in named if name != "init"),
        *(each for each in flags.items() if each[0] in settings.RECORDED),
    ]
    if network["weights"] != "auto":
        arguments.append(("weights", network["weights"]))
    return _format(lines, arguments)


def _describe_film(path: str | os.PathLike[str]) -> list[str]:
    """Describes how a film was made: the lines of a commented flag file."""
    record = records.read_film_record(path)
    versions = (f"{n} {value}" for n, value in record["versions"].items())
    # Whoever pastes them into a shell runs no command of the file.
    own = shlex.join(f"--{n}={value}" for n, value in record["film"].items())
    lines = [
        f"{Path(path).name}, a film made by nst_tf {record['nst_tf']}",
        f"content: {record['content']}",
        *(f"style: {each}" for each in record["style"]),
        f"flags of nst-tf-video, to type: {own or 'none'}",
        f"versions: {', '.join(versions)}",
    ]
    flags = [
        each for each in record["flags"].items() if each[0] in settings.RECORDED
    ]
    if record["weights"] != "auto":
        flags.append(("weights", record["weights"]))
    return _format(lines, flags)


def _format(
    comments: Iterable[str], flags: Iterable[tuple[str, Any]]
) -> list[str]:
    """Formats the lines of a flag file; all texts are untrusted."""
    text = [f"# {line}" for line in comments]
    text += [line for each in flags for line in _flag(*each)]
    # U+2028 is not escaped, but ends a line of a flag file.
    return [" ".join(terminal.escape(line).splitlines()) for line in text]


def _list_flags(record: records.Record) -> dict[str, Any]:
    """Lists the flags that reproduce a recorded picture in this version.

    These are the original flags if they still lead to the same settings, or
    else the recorded settings that differ from defaults.
    """
    flags, chosen = record["flags"], record["decided"]["settings"]
    decided = records.read_decided(record)
    today: dict[str, Any] = {}
    with contextlib.suppress(TypeError, ValueError):
        job = settings.Job(**records.read_values({**flags, "print_size": ""}))
        today = vars(style_settings.choose_losses(schedule.apply_strength(job)))
    # Folders of styles are replaced by their pictures.
    shares = {
        name: value
        for name, value in records.read_values(chosen).items()
        if name in settings.PER_STYLE_SETTINGS
        and value not in (_default(name), today.get(name))
    }
    if "continue_from" in record["inputs"]:  # the initial image
        del decided["init"]
    # A non-default value of these settings selects Adam, now as when recorded.
    # No flag describes levels with different optimizers.
    then = not schedule.ADAM_SETTINGS.isdisjoint(flags)
    now = any(decided[n] != _default(n) for n in schedule.ADAM_SETTINGS)
    other_optimizer = decided["optimizer"] == "auto" and then != now
    machine = {"tile", "content_target", "precision", "size", "dpi"}
    if not other_optimizer and all(
        today.get(name) == value
        for name, value in decided.items()
        if name not in settings.PER_STYLE_SETTINGS | machine | {"print_size"}
    ):
        return _leave_out({**flags, **shares})
    chosen = {
        name: value
        for name, value in decided.items()
        if value != _default(name) and name not in ("tile", "content_target")
    }
    if other_optimizer:
        largest = max(map(max, record["decided"]["sizes"]))
        by_size = schedule.choose_optimizer(settings.Job(), largest)
        chosen["optimizer"] = "adam" if then else by_size
    return _leave_out(chosen)


def _leave_out(flags: dict[str, Any]) -> dict[str, Any]:
    """Removes settings without effect, which flag files must not have."""
    known = {n: value for n, value in flags.items() if n in settings.FIELDS}
    try:
        job = settings.Job(**records.read_values(known))
    except (TypeError, ValueError):
        return flags
    idle = conflicts.list_without_effect(job)
    return {n: value for n, value in flags.items() if n not in idle}


def _default(name: str) -> Any:
    """Returns the default of a setting; None for an unknown one."""
    return settings.FIELDS[name].default if name in settings.FIELDS else None


def _flag(name: str, value: Any) -> list[str]:
    """Formats a setting as lines of a flag file.

    Paths and addresses become comments, which the user must confirm.
    """
    is_path = "path" in settings.FIELDS[name].metadata
    if is_path and not settings.is_keyword(name, value):
        if not record_checks.is_bare_name(value):
            shown = urls.show_source(value)
            return [
                f"# --{name}= is not set, for safety; if you trust it, type "
                f"it: {shown}"
            ]
        if value.startswith("~"):  # a file name, not a home folder
            value = f"./{value}"
    if isinstance(value, bool):
        return [f"--{'' if value else 'no'}{name}"]
    if isinstance(value, (list, tuple)) and name == "style_layers":
        return [f"--{name}={part}" for part in value]
    if isinstance(value, (list, tuple)):
        value = ",".join(map(str, value))
    text = str(value)
    if text and [terminal.escape(text).strip()] != text.splitlines():
        return [f"# --{name}= does not fit a flag file; type it: {text}"]
    return [f"--{name}={text}"]
