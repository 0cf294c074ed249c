"""Parses the command line into a `Job`."""

import logging
import os
from collections.abc import Sequence
from typing import NamedTuple

from nst_tf import files, urls
from nst_tf.cli import flag_files, flag_values
from nst_tf.plan import conflicts, settings

log = logging.getLogger("nst_tf")


class Request(NamedTuple):
    """A parsed command line."""

    job: settings.Job
    names: frozenset[str]  # settings that it or its flag files set
    notes: Sequence[str]  # on overridden settings


def parse(arguments: Sequence[str]) -> settings.Job:
    """Parses command line arguments, without the program's name, into a `Job`.

    Raises:
        ValueError: As `read`.
    """
    return read(arguments).job


def read(arguments: Sequence[str]) -> Request:
    """Parses command line arguments, without the program's name.

    Typed flags override flag files, and a flag file overrides the files that it
    includes.

    Raises:
        ValueError: If a flag, a flag file or a value is invalid, or two
            settings of one place conflict.
    """
    typed, words = flag_values.parse_arguments(arguments)
    return read_flags([*typed, *take_pictures(words, typed)])


def read_flags(typed: Sequence[flag_values.Flag]) -> Request:
    """Reads the flags of a command line, and those of their flag files.

    Raises:
        ValueError: As `read`.
    """
    flags = flag_files.expand(typed)
    job = flag_values.read_job(flags)
    places = list(dict.fromkeys(flag.place for flag in reversed(flags)))
    distances = {flag.name: places.index(flag.place) for flag in flags}
    job, notes = conflicts.settle(
        job,
        distances,
        {n: f"flag file {place}" for n, place in enumerate(places) if place},
    )
    return Request(job, frozenset(distances), notes)


def take_pictures(
    words: Sequence[str], typed: Sequence[flag_values.Flag]
) -> list[flag_values.Flag]:
    """Converts positional arguments to flags: content, then styles.

    Raises:
        ValueError: If the content or a style is also set by a flag, or an
            argument looks like a flag.
    """
    names = ["content", *["style"] * (len(words) - 1)][: len(words)]
    given = {flag.name for flag in typed}
    for name, word in zip(names, words, strict=True):
        shown = urls.show_source(word)
        if not word:
            raise ValueError(
                "an argument is empty; expected the path of a picture."
            )
        if hint := _find_flag(word):
            raise ValueError(f"{shown} is not a picture; did you mean {hint}?")
        if name in given:
            raise ValueError(
                f"{shown} is the {name} image, but --{name} is also given; "
                "remove one of them."
            )
    return [
        flag_values.Flag(name, word)
        for name, word in zip(names, words, strict=True)
    ]


def _find_flag(word: str) -> str:
    """Returns the flag that an argument looks like, such as size=512; or ""."""
    name, equals, value = word.partition("=")
    name = name.replace("-", "_")
    if word.endswith(".cfg"):
        return f"--flagfile={word}"
    if os.path.exists(os.path.expanduser(word)):
        return ""
    if word in files.list_presets():
        return f"--flagfile={word}"
    if name in settings.FIELDS and (
        equals or settings.FIELDS[name].type is bool
    ):
        return f"--{name}{equals}{urls.show_source(value)}"
    return ""
