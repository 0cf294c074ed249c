"""The progress of a batch: its line, its share and its facts."""

import types

import pytest

from nst_tf.batch import ledger, report


@pytest.fixture
def shown(monkeypatch):
    """Seconds of the clock, and what the display was given."""
    clock, calls = [50.0], []
    monkeypatch.setattr(report.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(
        report.display,
        "show_status",
        lambda status, *, is_milestone: calls.append((status, is_milestone)),
    )
    return clock, calls


def _unit(work):
    return types.SimpleNamespace(group=types.SimpleNamespace(work=work))


def _end(status):
    return types.SimpleNamespace(status=status)


def test_a_batch_counts_its_pictures_and_their_work(shown):
    clock, calls = shown
    batch = report.Report(4, 40.0)
    assert batch.share(0) is None and batch.remaining(0) == 0
    clock[0] = 60.0
    batch.follow("a", 0.5)  # half of a picture of 10
    status, is_milestone = calls.pop()
    assert (status.label, status.short) == ("0 of 4 pictures",) * 2
    assert not is_milestone
    assert batch.share(0) == pytest.approx(5 / 40)
    assert batch.remaining(61.0) == pytest.approx(10 * 7 - 1)
    clock[0] = 90.0
    batch.finish(_unit(16.0), _end(ledger.DONE))
    status, is_milestone = calls.pop()
    assert status.label == "1 of 4 pictures, 90 an hour"
    assert status.short == "1 of 4 pictures" and is_milestone
    assert batch.share(0) == pytest.approx(16 / 40)  # all report again
    assert batch.remaining(90.0) == pytest.approx(40 * 24 / 16)
    clock[0] = 122.0
    batch.finish(_unit(8.0), _end(ledger.FAILED))
    status, _ = calls.pop()
    assert status.label == "2 of 4 pictures, 1 failed, 100 an hour"
    assert status.short == "2 of 4 pictures, 1 failed"
    assert status.facts == {"done": 1, "failed": 1, "pictures": 4}


def test_no_batch_is_more_than_over(shown):
    batch = report.Report(1, 0.5)
    batch.finish(_unit(3.0), _end(ledger.DONE))
    assert batch.share(50) == 1 and batch.remaining(50.0) == 0
