"""What the program says on standard error, and what signals do to it."""

import logging
import signal

import pytest
import tensorflow as tf

from nst_tf import terminal
from nst_tf.cli import console

LOG = logging.getLogger("nst_tf")


def test_records_are_printed_while_a_program_runs(capsys, caplog):
    before = LOG.level, LOG.propagate, list(LOG.handlers)
    with terminal.print_notes():
        LOG.debug("no")
        logging.getLogger("other").warning("no")
        LOG.info("a %s", "note")
        logging.getLogger("nst_tf.below").info("below")
        LOG.warning("trouble")
        LOG.error("more")
    assert caplog.messages == ["no"]  # of the other; ours go no further
    assert (LOG.level, LOG.propagate, LOG.handlers) == before
    LOG.warning("not printed")
    assert capsys.readouterr() == (
        "",
        "note      a note\nnote      below\nwarning   trouble\n"
        "warning   more\n",
    )


def test_the_logger_is_as_before_after_a_failure():
    LOG.setLevel(logging.ERROR)
    try:
        with pytest.raises(ZeroDivisionError), terminal.print_notes():
            assert LOG.level == logging.INFO
            raise ZeroDivisionError
        assert (LOG.level, LOG.propagate) == (logging.ERROR, True)
    finally:
        LOG.setLevel(logging.NOTSET)


def test_a_closed_standard_error_is_no_failure(monkeypatch):
    monkeypatch.setattr(terminal.sys, "stderr", None)
    with terminal.print_notes():
        LOG.warning("trouble")


@pytest.mark.usefixtures("default_signals")
def test_the_first_signal_is_noted_and_the_second_ends():
    with console.Signals() as signals:
        assert signals.status == 0
        with pytest.raises(console.Stopped):
            signal.raise_signal(signal.SIGTERM)
        assert signals.status == 143
    with console.Signals() as signals:
        signals.wait = True
        signal.raise_signal(signal.SIGINT)
        assert (signals.received, signals.status) == (signal.SIGINT, 130)
        signal.signal(signal.SIGTERM, signals._receive)
        monkey = []
        default, signal.raise_signal = signal.raise_signal, monkey.append
        try:
            signals._receive(signal.SIGTERM, None)
        finally:
            signal.raise_signal = default
        assert monkey == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("default_signals")
def test_a_signal_that_is_ignored_stays_so():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as by nohup
    with console.Signals() as signals:
        signal.raise_signal(signal.SIGHUP)
        assert signals.received == 0
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize(
    ("error", "status", "words", "traced"),
    [
        (MemoryError(), 3, "out of memory; make a smaller picture", False),
        (
            tf.errors.ResourceExhaustedError(None, None, "OOM"),
            3,
            "out of memory",
            False,
        ),
        (RuntimeError("a\n bug"), 4, "cannot go on: a bug\n", True),
        (FloatingPointError("none"), 4, "cannot go on: none\n", False),
        (BlockingIOError("another"), 4, "cannot go on: another\n", False),
    ],
)
def test_failures_have_their_status(capsys, error, status, words, traced):
    try:
        raise error
    except Exception as caught:
        assert console.report_failure(caught) == status
    err = capsys.readouterr().err
    assert words in err and ("Traceback" in err) == traced
