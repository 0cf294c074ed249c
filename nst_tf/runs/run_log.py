"""The log of a run: a line of JSON for each step that is reported."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import SupportsFloat

from nst_tf.plan import pyramid


class Log:
    """Appends to a file; a run does not end because it cannot be written.

    Args:
        path: The file; it is made if it is not there.
        say: Is told, in a line, of the first line that could not be written.

    Raises:
        ValueError: If it cannot be opened for writing.
    """

    def __init__(self, path: str, say: Callable[[str], None]):
        self._path = Path(path).expanduser()
        self._say = say
        self._failed = False
        try:
            with open(self._path, "a", encoding="utf-8"):
                pass
        except OSError as error:
            raise ValueError(
                f"log {path} cannot be written: {error.strerror}."
            ) from error

    def write(  # one argument for each thing that a line says
        self,
        number: int,
        level: pyramid.Level,
        step: int,
        loss: float,
        terms: Mapping[str, SupportsFloat],
        seconds: float,
        memory: int | None,
    ) -> None:
        """Appends a line.

        Args:
            number: Of the level, from 1.
            level: Its size and steps.
            step: Taken at it, from 1.
            loss: The weighted sum.
            terms: Its parts by layer, unweighted.
            seconds: Since the program began.
            memory: The most bytes in use so far; None if it is not known.
        """
        line = {
            "level": number,
            "width": level.width,
            "height": level.height,
            "step": step,
            "steps": level.steps,
            "loss": loss,
            "losses": {name: float(value) for name, value in terms.items()},
            "seconds": round(seconds, 3),
            "memory": memory,
        }
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(f"{json.dumps(line)}\n")
        except OSError as error:
            if not self._failed:
                self._say(f"log {self._path} failed: {error.strerror}")
            self._failed = True
