"""The process of a worker: its start, its messages, and its end."""

import queue as queues
import signal
import threading
import time
import types

import pytest

from nst_tf.batch import stations, workers


class Process:
    """A process that was asked to start, and how it ended."""

    exitcode = None

    def __init__(self, target, args, daemon):
        self.target, self.args, self.daemon = target, args, daemon
        self.calls = []

    def start(self):
        self.calls.append("start")

    def join(self, seconds):
        self.calls.append(seconds)

    def kill(self):
        self.calls.append("kill")


class Pipe:
    """One end of a connection."""

    def __init__(self):
        self.sent, self.is_open = [], True

    def send(self, message):
        if not self.is_open:
            raise BrokenPipeError
        self.sent.append(message)

    def close(self):
        self.is_open = False


@pytest.fixture
def worker(monkeypatch):
    """A worker whose process is pretended."""

    def get_context(method):
        assert method == "spawn"  # TensorFlow does not survive a fork
        return types.SimpleNamespace(
            Pipe=lambda: (Pipe(), Pipe()), Process=Process
        )

    monkeypatch.setattr(workers.multiprocessing, "get_context", get_context)
    return workers._Worker(stations.Setup(memory=2), {"A": "1"})


def test_a_worker_starts_its_process_once(worker):
    worker.stop()
    worker.close()  # it has none
    unit = object()
    worker.start(unit, "one")
    process, own = worker._process, worker.connection
    theirs, *arguments = process.args
    assert process.target is workers._work and process.daemon
    assert arguments == [stations.Setup(memory=2), {"A": "1"}]
    assert not theirs.is_open  # so that the end of the process is seen
    worker.start(unit, "two")
    assert worker._process is process and process.calls == ["start"]
    assert own.sent == ["one", "two"] and worker.unit is unit


def test_a_worker_is_told_once_to_stop(worker):
    worker.start(object(), "one")
    worker.stop()
    worker.stop()
    assert worker.connection.sent == ["one", workers._STOP]


def test_a_worker_that_has_ended_cannot_be_told(worker):
    worker.start(object(), "one")
    worker.connection.close()
    worker.stop()
    assert worker.connection.sent == ["one"]


def test_an_idle_worker_is_not_told_to_stop(worker):
    worker.start(object(), "one")
    worker.unit = None
    worker.stop()
    assert worker.connection.sent == ["one"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(-9, "by SIGKILL"), (0, "with status 0"), (None, "with status None")],
)
def test_a_worker_tells_how_its_process_ended(code, words, worker):
    worker.start(object(), "one")
    process, own = worker._process, worker.connection
    process.exitcode = code
    assert worker.end() == words
    assert process.calls == ["start", 5] and not own.is_open
    assert worker.unit is None
    worker.start(object(), "two")
    assert worker._process is not process


def test_a_worker_has_a_moment_to_end(worker):
    worker.start(object(), "one")
    worker.close()
    assert worker._process.calls == ["start", 2, "kill"]
    assert not worker.connection.is_open


class Own:
    """The worker's end of its connection."""

    def __init__(self, results):
        self.inbox, self.sent = queues.Queue(), []
        self._left = results

    def recv(self):
        message = self.inbox.get(timeout=20)
        if message is None:
            raise EOFError
        return message

    def send(self, message):
        self.sent.append(message)
        if message[0] == "result":
            self._left -= 1
            if not self._left:
                raise KeyboardInterrupt  # else it never ends


@pytest.fixture
def run(monkeypatch):
    """Runs what is run in a worker, in this process."""
    ended = threading.Event()
    calls, clock = [], [100.0]
    monkeypatch.setenv("NST_TEST", "0")
    monkeypatch.setattr(
        workers.signal, "signal", lambda *given: calls.append(given)
    )
    monkeypatch.setattr(
        workers.locks, "remove_own", lambda: calls.append("removed")
    )

    def leave(status):
        calls.append(status)
        ended.set()

    monkeypatch.setattr(workers.os, "_exit", leave)
    monkeypatch.setattr(
        workers, "time", types.SimpleNamespace(monotonic=lambda: clock[0])
    )

    def run(station, *messages, results=1):
        own = Own(results)
        for message in messages:
            own.inbox.put(message)
        monkeypatch.setattr(workers.stations, "Station", station)
        with pytest.raises(KeyboardInterrupt):
            workers._work(own, stations.Setup(True), {"NST_TEST": "1"})
        own.inbox.put(None)  # the parent ends
        assert ended.wait(20)
        return own.sent

    run.calls, run.clock = calls, clock
    return run


def test_a_worker_paints_what_it_is_sent_until_its_parent_ends(run):
    class Noting:
        def __init__(self, setup):
            assert workers.os.environ["NST_TEST"] == "1"
            assert setup.judge

        def paint(self, request, should_stop, follow):
            assert not should_stop()
            for seconds, share in ((0, 0.1), (0.5, 0.2), (0.25, 0.3)):
                run.clock[0] += seconds
                follow(share)
            return request

    sent = run(Noting, "one", "two", results=2)
    assert sent == [
        ("share", 0.1),
        ("share", 0.3),  # more than half a second after the one before
        ("result", "one"),
        ("share", 0.3),
        ("result", "two"),
    ]
    assert run.calls == [(signal.SIGINT, signal.SIG_IGN), "removed", 0]


def test_a_worker_stops_when_it_is_told(run):
    class Waiting:
        def __init__(self, setup):
            pass

        def paint(self, request, should_stop, follow):
            for _ in range(500):
                if should_stop():
                    return request
                time.sleep(0.01)
            raise AssertionError("it was not told")

    assert run(Waiting, "one", workers._STOP) == [("result", "one")]
