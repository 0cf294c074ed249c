"""Formats parts of error messages."""

import contextlib
import difflib
import logging
import os
import re
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
MOST_NAMES = 1000  # of a folder, to compare
_FLAG = re.compile(r"(?<![^\s'(])--(?=[a-z]+_?[a-z]+)")


@contextlib.contextmanager
def name_keywords() -> Iterator[None]:
    """Rewrites settings in messages for Python: size=64, not --size=64.

    Messages name settings as flags. Public functions use this context to
    rewrite their errors, and the notes logged meanwhile.
    """
    log = logging.getLogger("nst_tf")

    def rename(record: logging.LogRecord) -> bool:
        record.msg, record.args = _FLAG.sub("", record.getMessage()), ()
        return True

    log.addFilter(rename)
    try:
        yield
    except Exception as error:
        error.args = tuple(
            _FLAG.sub("", each) if isinstance(each, str) else each
            for each in error.args
        )
        raise
    finally:
        log.removeFilter(rename)


def name_keywords_in(items: Iterator[T]) -> Iterator[T]:
    """Yields the items of an iterator; rewrites errors like `name_keywords`."""
    with name_keywords():
        yield from items


def check_type(name: str, value: object, kind: Any, expected: str) -> None:
    """Raises TypeError if an argument has the wrong type.

    Args:
        name: The name of the parameter.
        value: The argument.
        kind: A type or several, for `isinstance`.
        expected: The expected type, in words.
    """
    if not isinstance(value, kind):
        raise TypeError(
            f"{name} is {reprlib.repr(value)} of type {type(value).__name__}, "
            f"expected {expected}."
        )


def check_path(name: str, value: object) -> None:
    """Raises TypeError if an argument is not a path."""
    check_type(name, value, (str, os.PathLike), "a path")


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Returns '; did you mean ...?' for a near miss, else nothing."""
    near = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def go_on(hint: str, rest: str) -> str:
    """Goes on in a sentence after what `did_you_mean` returned, or nothing."""
    if hint.endswith("?"):
        return f"{hint} {rest[0].upper()}{rest[1:]}"
    return f"{hint}; {rest}"


def find_near_file(path: Path) -> str:
    """Returns '; did you mean ...?' for a file of nearly that name."""
    try:
        names = os.listdir(path.parent)
    except OSError:
        return ""
    return did_you_mean(path.name, names[:MOST_NAMES])


def list_items(words: Sequence[str]) -> str:
    """Writes 'a, b and c'."""
    return " and ".join([", ".join(words[:-1]), words[-1]]).removeprefix(
        " and "
    )


def list_choices(words: Sequence[str]) -> str:
    """Writes 'a, b or c'."""
    return " or ".join([", ".join(words[:-1]), words[-1]]).removeprefix(" or ")


def format_count(count: int, noun: str) -> str:
    """Writes "1 style", "2 styles"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def format_presence(count: int, noun: str) -> str:
    """Writes "there is 1 style", "there are 2 styles"."""
    return f"there {'is' if count == 1 else 'are'} {format_count(count, noun)}"
