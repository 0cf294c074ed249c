"""Signals: what they do to a run, and the thread that answers a program's.

Python calls a handler between two instructions of the main thread: after a
call into C, which may take minutes. So a program has a thread that reads from
a pipe which signals came, and answers while TensorFlow computes; the handlers
do nothing. A library or a notebook has no such thread, and the handlers do
what it would.
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
    for name in ("SIGHUP", "SIGINT", "SIGTERM")
    if hasattr(signal, name)  # not all on Windows
)
PATIENCE = 5.0  # seconds for a step after SIGTERM; containers give 10 in all
_BRIEFLY = 0.2  # seconds for a terminal or a disk, before a program ends
_NOTHING, _STEPS, _SAVING = range(3)  # what there is to save, and who does

_watcher: "_Watcher | None" = None


def start(clear: Callable[[], None]) -> None:
    """Starts the thread of a program, in whose main thread this is called.

    Until a `Signals` is entered a signal ends the program as the system does.

    Args:
        clear: Clears the terminal, before the program ends.
    """
    global _watcher
    _watcher = _Watcher(clear)
    _watcher.start()
    for number in _watcher.numbers:
        signal.signal(number, _do_nothing)


def finish() -> None:
    """Leaves signals to the system, from the end of a program on."""
    for number in _watcher.numbers if _watcher else ():
        signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Leaves a program's signals to the system, while there is nothing to save.

    For imports of large libraries, which keep other threads from running.
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
    """Ends a run after its step, with its picture; before the first, at once.

    After a first Ctrl-C a second one ends it without a picture.

    Args:
        say: Prints the answer to a signal, from any thread.
        numbers: The signals; those that are ignored, as by nohup, stay so.

    Attributes:
        received: The signal by which the run ends; 0: none.
        rescue: Saves the last finished step without the main thread, which is
            in the middle of another one, and returns the exit status; None:
            there is none to save.
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
        """The exit status of a run that goes well, or ends by a signal."""
        return 128 + self.received if self.received else 0

    @property
    def can_save(self) -> bool:
        """Whether a signal leaves something to be saved."""
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
        """Notes that a step is finished, whose picture a signal leaves."""
        if self._stage == _NOTHING:
            self._stage = _STEPS

    def should_stop(self) -> bool:
        """Returns whether to stop now, between two steps, and to save."""
        if self.received:
            self.begin_saving()
        return self.received > 0

    def begin_saving(self) -> None:
        """Waits for its turn: from now on the caller saves, and nobody else."""
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
            return  # some programs send theirs twice
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
        _briefly(lambda: self._say(words))  # first, or the program may be over
        self.received = number
        if is_urgent:
            threading.Thread(target=self._save_late, daemon=True).start()

    def _save_late(self) -> None:
        """Saves the last finished step if the one at work takes too long."""
        time.sleep(PATIENCE)
        with self.turn:
            if self._stage == _STEPS and self.rescue and _watcher:
                status = self.rescue()
                _watcher.clean()
                with contextlib.suppress(OSError, AttributeError):
                    sys.stdout.flush()
                os._exit(status)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Answers a signal where no thread does."""
        self.receive(number)

    def _end(self, number: int) -> None:
        """Ends the program, or does what was done before this."""
        if _watcher:
            _watcher.end(number)
        self._restore()
        before = signal.getsignal(number)
        if callable(before):
            before(number, None)
        else:
            signal.raise_signal(number)

    def _restore(self) -> None:
        """Restores the handlers that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


class _Watcher(threading.Thread):
    """Reads which signals came, and passes them on.

    Attributes:
        numbers: The signals that are not ignored.
        signals: Who answers them; None: they end the program.
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
        self._set_handler: Any = None  # of the system; None: it cannot be set
        self._pipe, end = os.pipe()
        if sys.platform != "win32":
            os.set_blocking(end, False)
        signal.set_wakeup_fd(end, warn_on_full_buffer=False)

    def run(self) -> None:
        """Passes signals on, for ever."""
        # Not when it is needed: the main thread may be in an import for long.
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
        """Ends the program by a signal, whatever the main thread does."""
        self.clean()
        can_kill = self._set_handler and sys.platform != "win32"
        for _ in range(100 if can_kill else 0):
            # `signal.signal` is for the main thread only.
            self._set_handler(number, None)  # the default
            os.kill(os.getpid(), number)
            time.sleep(0.01)  # the main thread has just set another one
        os._exit(128 + number)


def _briefly(function: Callable[[], None]) -> None:
    """Calls a function; a terminal or a disk that is stuck is left behind."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(_BRIEFLY)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Handles a signal that the thread answers."""
