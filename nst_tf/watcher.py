"""Handles signals: stops a run and saves its picture.

Python calls a signal handler only between two instructions of the main thread,
so after a call into C, which may take minutes. A program therefore has a thread
that reads the signals from a pipe and answers while TensorFlow computes; its
handlers do nothing. In a library or a notebook there is no such thread, and the
handlers answer.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

from nst_tf import locks

NUMBERS = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGTERM", "SIGBREAK")
    if hasattr(signal, name)  # Windows has SIGBREAK and no SIGHUP
)
PATIENCE = 5.0  # seconds for a step after SIGTERM; containers kill after 10
_BRIEFLY = 0.2  # seconds to wait for a terminal or a disk at the end
_NOTHING, _STEPS, _SAVING = range(3)  # stages of a run

_watcher: "_Watcher | None" = None


def start(clear: Callable[[], None]) -> None:
    """Starts the signal thread of a program; call it in the main thread.

    Without an active `Signals`, a signal kills the program as by default.

    Args:
        clear: Clears the terminal, before the program ends.
    """
    global _watcher
    _watcher = _Watcher(clear)
    _watcher.start()
    for number in _watcher.numbers:
        signal.signal(number, _do_nothing)


def finish() -> None:
    """Restores the default handlers at the end of a program."""
    for number in _watcher.numbers if _watcher else ():
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Uses the default handlers while there is nothing to save.

    It is for imports of large libraries, which block other threads.
    """
    numbers: Sequence[int] = ()
    if (
        _watcher
        and threading.current_thread() is threading.main_thread()
        and not (_watcher.signals and _watcher.signals.can_save)
    ):
        numbers = _watcher.numbers
    before = {n: signal.signal(n, signal.SIG_DFL) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Signals:
    """Stops a run after the current step and saves; before the first, at once.

    A second Ctrl-C ends it without saving.

    Args:
        say: Prints the answer to a signal, from any thread.
        numbers: The signals; ignored ones, as by nohup, stay ignored.

    Attributes:
        received: The signal that stops the run; 0: none.
        rescue: Saves the last finished step from another thread, while the main
            thread computes, and returns the exit status; None: nothing to save.
        turn: Held by the thread that reports or saves.
    """

    def __init__(
        self,
        say: Callable[[str], None] = lambda line: None,
        numbers: Sequence[int] = NUMBERS,
    ) -> None:
        self.received = 0
        self.rescue: Callable[[], int] | None = None
        self.turn = threading.RLock()
        self._say = say
        self._numbers = numbers
        self._stage = _NOTHING
        self._before: dict[int, object] = {}

    @property
    def status(self) -> int:
        """Returns the exit status: 0, or that of the received signal."""
        return 128 + self.received if self.received else 0

    @property
    def can_save(self) -> bool:
        """Returns whether there is something to save."""
        return self._stage != _NOTHING

    def __enter__(self) -> "Signals":
        if _watcher:
            _watcher.signals = self
        elif threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._handle)
                for number in self._numbers
                if signal.getsignal(number) not in (signal.SIG_IGN, None)
            }
        return self

    def __exit__(self, *_: object) -> None:
        if _watcher:
            _watcher.signals = None
        self.rescue = None
        self._restore()

    def take_steps(self) -> None:
        """Notes that a finished step can be saved."""
        if self._stage == _NOTHING:
            self._stage = _STEPS

    def should_stop(self) -> bool:
        """Returns whether to stop now, between two steps, and save."""
        if self.received:
            self.begin_saving()
        return self.received > 0

    def begin_saving(self) -> None:
        """Takes the lock for saving; from now on only the caller saves."""
        self.turn.acquire()
        self._stage = _SAVING

    def end_saving(self) -> None:
        """Notes that nothing is left to save."""
        self._stage = _NOTHING

    def receive(self, number: int) -> None:
        """Answers a signal."""
        again = self.received > 0
        if self._stage == _NOTHING or (again and number == signal.SIGINT):
            self._end(number)
            return
        if again and (self.received == number or number != signal.SIGTERM):
            return  # some programs send a signal twice
        words = "saving the picture"
        is_urgent = (
            number == signal.SIGTERM and self._stage == _STEPS and _watcher
        )
        if self._stage == _STEPS:
            limit = f", at most {PATIENCE:g} s" if is_urgent else ""
            words = f"stopping after this step{limit}, then saving"
        if number == signal.SIGINT:
            words += "; Ctrl-C again quits without saving"
        else:
            words = f"{signal.Signals(number).name}: {words}"
        # Print first: the program may end soon.
        _briefly(lambda: self._say(words))
        self.received = number
        if is_urgent:
            threading.Thread(target=self._save_late, daemon=True).start()

    def _save_late(self) -> None:
        """Saves the last finished step if the current one takes too long."""
        time.sleep(PATIENCE)
        with self.turn:
            if self._stage == _STEPS and self.rescue and _watcher:
                status = self.rescue()
                _watcher.clean()
                with contextlib.suppress(OSError, AttributeError):
                    sys.stdout.flush()
                os._exit(status)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Answers a signal without a signal thread."""
        self.receive(number)

    def _end(self, number: int) -> None:
        """Ends the program, or calls the former handler."""
        if _watcher:
            _watcher.end(number)
        self._restore()
        before = signal.getsignal(number)
        if callable(before):
            before(number, None)
        else:
            signal.raise_signal(number)

    def _restore(self) -> None:
        """Restores the former handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


class _Watcher(threading.Thread):
    """Reads signals from a pipe, and passes them on.

    Attributes:
        numbers: The signals that are not ignored.
        signals: The object that answers them; None: they end the program.
    """

    def __init__(self, clear: Callable[[], None]) -> None:
        super().__init__(name="nst_tf signals", daemon=True)
        self.numbers = [
            number
            for number in NUMBERS
            if signal.getsignal(number) is not signal.SIG_IGN
        ]
        self.signals: Signals | None = None
        self._clear = clear
        self._set_handler: Any = None  # of C; None: unavailable
        self._pipe, end = os.pipe()
        if sys.platform != "win32":
            os.set_blocking(end, False)
        signal.set_wakeup_fd(end, warn_on_full_buffer=False)

    def run(self) -> None:
        """Passes signals on, until the process ends."""
        # Import it now: later the main thread may hold the import lock.
        with contextlib.suppress(ImportError, AttributeError):
            import ctypes

            self._set_handler = ctypes.pythonapi.PyOS_setsig
            self._set_handler.argtypes = ctypes.c_int, ctypes.c_void_p
            self._set_handler.restype = ctypes.c_void_p
        while True:
            for number in os.read(self._pipe, 64):
                if number in self.numbers:
                    receive = self.signals.receive if self.signals else self.end
                    receive(number)

    def clean(self) -> None:
        """Clears the terminal, and removes temporary files and marks."""
        _briefly(self._clear)
        _briefly(locks.remove_own)

    def end(self, number: int) -> None:
        """Kills the process by a signal, even if the main thread is busy."""
        self.clean()
        can_kill = self._set_handler and sys.platform != "win32"
        for _ in range(100 if can_kill else 0):
            # `signal.signal` is for the main thread only.
            self._set_handler(number, None)  # the default
            os.kill(os.getpid(), number)
            # Retry: the main thread may have set another handler.
            time.sleep(0.01)
        os._exit(128 + number)


def _briefly(function: Callable[[], None]) -> None:
    """Calls a function in a thread, and does not wait if it blocks."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(_BRIEFLY)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Ignores a signal that the thread answers."""
