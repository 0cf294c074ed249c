"""Words that sentences share."""

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

MOST_NAMES = 1000  # of a folder that are compared


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Returns '; did you mean ...?' for a near miss, else nothing."""
    near = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


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
