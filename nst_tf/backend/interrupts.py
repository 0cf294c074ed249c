"""Ctrl-C while another library works: delayed, or made an error of its own."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TypeVar

_PERIOD = 0.5  # seconds; where locks cannot be interrupted, as on Windows
Value = TypeVar("Value")


@contextlib.contextmanager
def keep() -> Iterator[None]:
    """Raises what the handler of SIGINT raised in here, and nothing else.

    An exception that comes while TensorFlow traces ends as a RuntimeError, or
    is lost in a callback.
    """
    before = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or not callable(before):  # none comes here, or it is ignored
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
    """Calls a function in a thread, and waits for it.

    Python handles signals in the main thread, between two of its own
    instructions: after a call into C, which may take minutes. If the wait is
    interrupted, the thread is left behind; it ends with its call, or with the
    program. So the function must hold no lock, nor change what others see.
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
