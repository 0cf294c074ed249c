"""Ctrl-C while TensorFlow traces, which makes other errors of it."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


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
