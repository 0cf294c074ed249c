"""What the program says on standard error."""

import logging

import pytest
import tensorflow as tf

from nst_tf import terminal
from nst_tf.cli import console
from nst_tf.plan import settings

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


@pytest.mark.parametrize("quiet", [False, True])
def test_a_quiet_program_prints_warnings_only(capsys, quiet):
    job = settings.Job(quiet=quiet, progress="none")
    with terminal.print_notes(), console.show(job):
        LOG.info("a note")
        LOG.warning("trouble")
    note = "" if quiet else "note      a note\n"
    assert capsys.readouterr().err == f"{note}warning   trouble\n"


def test_the_log_names_how_a_program_ended():
    names = {0: "done", 1: "failed", 3: "out_of_memory", 4: "failed"}
    names |= {128: "failed", 129: "stopped", 130: "stopped", 143: "stopped"}
    assert {n: console.name_status(n) for n in names} == names


def test_a_closed_standard_error_is_no_failure(monkeypatch):
    monkeypatch.setattr(terminal.sys, "stderr", None)
    with terminal.print_notes():
        LOG.warning("trouble")


@pytest.mark.parametrize(
    ("error", "status", "words", "traced"),
    [
        (MemoryError(), 3, "out of memory; reduce --size", False),
        (
            tf.errors.ResourceExhaustedError(None, None, "OOM"),
            3,
            "out of memory",
            False,
        ),
        (RuntimeError("a\n bug"), 4, "run failed: a bug\n", True),
        (FloatingPointError("none"), 4, "run failed: none\n", False),
        (BlockingIOError("another"), 4, "run failed: another\n", False),
    ],
)
def test_failures_have_their_status(capsys, error, status, words, traced):
    try:
        raise error
    except Exception as caught:
        assert console.report_failure(caught) == status
    err = capsys.readouterr().err
    assert words in err and ("Traceback" in err) == traced
