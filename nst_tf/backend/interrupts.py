"""Handles Ctrl-C during calls into other libraries."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TypeVar

_PERIOD = 0.5  # seconds; locks cannot be interrupted on Windows
Value = TypeVar("Value")


@contextlib.contextmanager
def keep() -> Iterator[None]:
    """Re-raises the exception of the SIGINT handler, unchanged.

    TensorFlow converts exceptions during tracing to RuntimeError, or loses them
    in a callback.
    """
    before = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or not callable(before):  # no signals here, or ignored
        yield
        return
    raised: list[BaseException] = []

    def receive(number: int, frame: FrameType | None) -> None:
        try:
            before(number, frame)
        except BaseException as error:
            raised.append(error)
            raise

    signal.signal(signal.SIGINT, receive)
    try:
        yield
    except BaseException as error:
        if not raised or error is raised[-1]:
            raise
    finally:
        signal.signal(signal.SIGINT, before)
    if raised:
        raise raised[-1]


def call(function: Callable[[], Value]) -> Value:
    """Calls a function in a thread, and waits for the result.

    Python handles signals only between two instructions of the main thread, so
    after a call into C, which may take minutes. If the wait is interrupted, the
    thread is abandoned; it ends with its call or with the program. So the
    function must not hold locks or change shared state.
    """
    if threading.current_thread() is not threading.main_thread():
        return function()
    values: list[Value] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            values.append(function())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name="nst_tf decoding", daemon=True).start()
    while not done.wait(_PERIOD):
        pass
    if errors:
        raise errors[0]
    return values[0]
