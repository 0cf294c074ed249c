"""Ctrl-C stays what it is, whatever a library makes of it."""

import _thread
import concurrent.futures
import contextlib
import signal
import threading
import time

import pretend
import pytest
import toys

import nst_tf
from nst_tf.backend import interrupts

pytestmark = pytest.mark.usefixtures("default_signals")


def _convert(step=None):
    """Makes another error of an interrupt, as TensorFlow does."""
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt as error:
        raise RuntimeError("in user code") from error


def _lose(step=None):
    """Loses an interrupt, as callbacks do."""
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("spoil", [_convert, _lose])
def test_an_interrupt_is_raised_whatever_becomes_of_it(spoil):
    with pytest.raises(KeyboardInterrupt), interrupts.keep():
        spoil()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_that_raises_nothing_ends_nothing():
    received = []
    signal.signal(signal.SIGINT, lambda *_: received.append(1))
    with interrupts.keep():
        _convert()
    with pytest.raises(RuntimeError, match="other"), interrupts.keep():
        raise RuntimeError("other")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts.keep():
        _convert()
    assert received == [1]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_threads_have_no_handlers():
    def work():
        with interrupts.keep():
            return 1

    with concurrent.futures.ThreadPoolExecutor() as threads:
        assert threads.submit(work).result() == 1


@pytest.mark.parametrize("spoil", [_convert, _lose])
def test_stylize_raises_keyboard_interrupt(toy, painter, spoil):
    painter.events[3] = spoil
    images = toys.image(60, 80, 0), toys.image(50, 60, 1)
    settings = {**pretend.SETTINGS, "weights": str(toy)}
    with pytest.raises(KeyboardInterrupt):
        nst_tf.stylize(*images, **settings)
    steps = nst_tf.stylize_steps(*images, **settings)
    with pytest.raises(KeyboardInterrupt):
        list(steps)
    assert painter.plans and not list(steps)


def test_a_call_gives_its_value_or_its_error():
    assert interrupts.call(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        interrupts.call(lambda: 1 / 0)
    thread = threading.Thread(target=lambda: interrupts.call(lambda: 3))
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_an_interrupted_call_is_left_behind():
    end, began = threading.Event(), time.monotonic()
    threading.Timer(0.2, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        interrupts.call(lambda: end.wait(60))
    assert time.monotonic() - began < 10
    assert interrupts.call(lambda: 3) == 3
    end.set()
