"""Terminals for tests: a pseudo-terminal, and the screen that it fills."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import threading
import time

import pyte

from nst_tf import terminal

ROWS = 30


class _Reflowing(pyte.Screen):
    """A screen that breaks lines anew when it is made narrower.

    So do tmux and most others; the cursor stays with its character. Plain
    `pyte.Screen` cuts lines, as xterm does.
    """

    def resize(self, lines=None, columns=None):
        rows = [row.rstrip() for row in self.display]
        at, broken, place = self.cursor.y, [], 0
        for number, row in enumerate(rows):
            if number == at:
                place = len(broken)
            width = columns or self.columns
            starts = range(0, max(len(row), 1), width)
            broken += [row[start : start + width] for start in starts]
        super().resize(lines, columns)
        self.reset()
        for number, row in enumerate(broken[: self.lines]):
            self.cursor_position(number + 1, 1)
            self.draw(row)
        self.cursor_position(place + 1, 1)


class Terminal:
    """A terminal of some columns; `stream` writes to it as a program does.

    Attributes:
        data: All bytes that were written.
    """

    def __init__(self, columns=80, *, reflows=False, encoding="utf-8"):
        self._master, self.slave = pty.openpty()
        kind = _Reflowing if reflows else pyte.Screen
        self.screen = kind(columns, ROWS)
        self._feed = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self.data = b""
        self._size(columns)
        self.stream = terminal._Stderr(
            os.fdopen(os.dup(self.slave), "wb"),
            encoding=encoding,
            errors="backslashreplace",
            line_buffering=True,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._open = True
        self._thread.start()

    def resize(self, columns):
        """Makes it wider or narrower."""
        with self._lock:
            self._size(columns)
            self.screen.resize(ROWS, columns)

    def lines(self):
        """What is on the screen, without empty lines; one if it is empty."""
        with self._lock:
            rows = [row.rstrip() for row in self.screen.display]
        return [row for row in rows if row] or [""]

    def wait_for(self, is_there, seconds=10.0):
        """Waits until the lines are as they should be; returns them."""
        end = time.monotonic() + seconds
        while not is_there(lines := self.lines()):
            assert time.monotonic() < end, lines
            time.sleep(0.02)
        return lines

    def start(self, command, **options):
        """Starts a process on it, as its session's leader."""
        return subprocess.Popen(
            command,
            stdin=self.slave,
            stdout=options.pop("stdout", self.slave),
            stderr=self.slave,
            start_new_session=True,
            **options,
        )

    def hang_up(self):
        """Goes away: from now on writing fails."""
        self._open = False
        self._thread.join()
        os.close(self._master)

    def close(self):
        """Ends."""
        if self._open:
            self.hang_up()
        os.close(self.slave)

    def _size(self, columns):
        size = struct.pack("HHHH", ROWS, columns, 0, 0)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, size)

    def _read(self):
        while True:
            ready, _, _ = select.select([self._master], [], [], 0.02)
            if ready:
                data = os.read(self._master, 1 << 16)
                with self._lock:
                    self.data += data
                    self._feed.feed(data)
            elif not self._open:
                return
