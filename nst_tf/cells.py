"""A notebook's cell: what is shown in it, and a display that is a line of it.

Nothing of IPython is imported unless it runs already.
"""

import sys
import time
from typing import Any

from nst_tf import screens


class Cell:
    """What is shown in a cell, each thing renewed in its place."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}

    def write(self, line: str) -> None:
        """Renews the line."""
        from IPython import display

        self.renew("line", display.Pretty(line))

    def renew(self, name: str, shown: object) -> None:
        """Shows something in the place of what was there by that name."""
        from IPython import display

        if name in self._handles:
            self._handles[name].update(shown)
        else:
            self._handles[name] = display.display(shown, display_id=True)


class Line(screens.Display):
    """A display that renews the line of a cell, as steps are read."""

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
