"""Shows lines and pictures in a notebook's cell, and progress as a line of it.

IPython is imported only if it is already running.
"""

import sys
import time
from typing import Any

from nst_tf import screens


class Cell:
    """Named outputs of a cell, each updated in place."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}

    def write(self, line: str) -> None:
        """Renews the line."""
        from IPython import display

        self.renew("line", display.Pretty(line))

    def renew(self, name: str, shown: object) -> None:
        """Shows an object in place of the former one of that name."""
        from IPython import display

        if name in self._handles:
            self._handles[name].update(shown)
        else:
            self._handles[name] = display.display(shown, display_id=True)


class Line(screens.Display):
    """A display that updates a line of a cell at each status."""

    interval = 0.2

    def __init__(self, cell: Cell):
        super().__init__()
        self._cell, self._began = cell, time.monotonic()

    def show(self, status: screens.Status, is_milestone: bool = False) -> None:
        """Renews the line."""
        super().show(status)
        now = time.monotonic()
        self._cell.write(screens.describe(status, now, now - self._began))


def is_notebook() -> bool:
    """Returns whether this runs in a kernel, which shows pictures."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None
