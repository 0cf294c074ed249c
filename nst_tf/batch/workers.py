"""The engines of this machine: this process, or a process per worker.

A worker that dies is restarted, and its picture is retried; if it ran out of
memory, with tiles of half the side. A worker ends at once when its parent has
ended.
"""

import contextlib
import glob
import logging
import multiprocessing
import os
import queue as queues
import signal
import threading
import time
from collections.abc import Callable, Generator
from multiprocessing import connection
from pathlib import Path
from typing import Any, NamedTuple

from nst_tf import locks
from nst_tf.backend import host_memory
from nst_tf.batch import ledger, order, stations
from nst_tf.images import writing

log = logging.getLogger("nst_tf")

MOST_TRIES = 3
_STOP = "stop"
_SHOWN_SECONDS = 0.5  # between two reports of a worker
_WAIT = 0.2  # seconds between two checks for a stop


class Watch(NamedTuple):
    """The callbacks of an engine."""

    should_stop: Callable[[], bool] = lambda: False
    # Called with a worker and the progress of its picture, in [0, 1].
    follow: Callable[[object, float], None] = lambda worker, share: None


Outcome = tuple[order.Unit, ledger.Result]


def make_request(
    unit: order.Unit, written: ledger.Written, network: str = ""
) -> stations.Request:
    """Makes the request for a worker from a unit.

    Args:
        unit: The unit.
        written: Tells which files may be replaced.
        network: Digest that its network must have; empty: any.
    """
    task = unit.task
    paths = task.output, str(writing.sidecar_path(Path(task.output)))
    replaces = {path: written.list_digests(path) for path in paths}
    return stations.Request(
        task.number, task.make_job(), unit.tile, replaces, network
    )


def paint_here(
    queue: order.Queue,
    setup: stations.Setup,
    written: ledger.Written,
    watch: Watch,
) -> Generator[Outcome, None, None]:
    """Paints all pictures of a queue, one by one."""
    station = stations.Station(setup)
    while not watch.should_stop() and (unit := queue.take(0)):
        request = make_request(unit, written)
        result = station.paint(
            request, watch.should_stop, lambda share: watch.follow(0, share)
        )
        yield unit, result


def paint(
    queue: order.Queue,
    setup: stations.Setup,
    written: ledger.Written,
    watch: Watch,
    count: int,
) -> Generator[Outcome, None, None]:
    """Paints all pictures of a queue in `count` processes."""
    count = max(1, min(count, len(queue)))
    memory = host_memory.find_limit()
    if memory and not setup.memory:
        setup = setup._replace(memory=memory / count / 1e9)
    workers = [
        _Worker(setup, choose_environment(number, count))
        for number in range(count)
    ]
    kills = host_memory.count_kills()
    try:
        while True:
            stops = watch.should_stop()
            for worker in workers:
                if stops:
                    worker.stop()
                elif worker.unit is None and (unit := queue.take(worker)):
                    request = make_request(unit, written)
                    worker.start(unit, request)
            busy = {w.connection: (w, w.unit) for w in workers if w.unit}
            if not busy:
                return
            for ready in connection.wait(list(busy), timeout=_WAIT):
                worker, unit = busy[ready]  # type: ignore[index]
                try:
                    kind, value = worker.connection.recv()
                except (EOFError, OSError):
                    now = host_memory.count_kills()
                    result = put_back(queue, unit, now != kills, worker.end())
                    kills = now
                    if result:
                        yield unit, result
                    continue
                if kind == "share":
                    watch.follow(worker, value)
                    continue
                worker.unit = None
                yield unit, value
    finally:
        for worker in workers:
            worker.close()


def halve_tile(unit: order.Unit) -> order.Unit:
    """Halves the tile side of a unit, after running out of memory."""
    side = unit.tile or max(unit.group.size)
    return unit._replace(tile=max(1, side // 2))


def retry(unit: order.Unit, is_shortage: bool, words: str) -> Any:
    """Decides whether to retry a unit whose worker died.

    Returns:
        The unit, to try again; or its result, failed.

    Args:
        unit: The unit.
        is_shortage: Whether the worker ran out of memory.
        words: How the worker died, for the error.
    """
    unit = unit._replace(tries=unit.tries + 1)
    if unit.tries >= MOST_TRIES:
        return ledger.Result(
            unit.task.number,
            ledger.FAILED,
            Path(unit.task.output),
            error=f"its worker ended {unit.tries} times, at last {words}",
        )
    # Two deaths in a row are probably a shortage of memory.
    return halve_tile(unit) if is_shortage or unit.tries > 1 else unit


def put_back(
    queue: order.Queue, unit: order.Unit, is_shortage: bool, words: str
) -> ledger.Result | None:
    """Puts the unit of a dead worker back, with a note; or gives up.

    Args:
        queue: Where it came from.
        unit, is_shortage, words: As in `retry`.

    Returns:
        The failed result, or None.
    """
    found = retry(unit, is_shortage, words)
    if isinstance(found, ledger.Result):
        return found
    queue.put_back(found)
    log.warning(
        "a worker ended %s; %s is painted again%s",
        words,
        found.task.output,
        f", in tiles of {found.tile}" if found.tile else "",
    )
    return None


def choose_environment(number: int, count: int) -> dict[str, str]:
    """Gives a worker its share of this machine: cores, and a GPU if any.

    Args:
        number: Which worker, from 0.
        count: How many there are.
    """
    cores = (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )
    threads = str(max(1, cores // count))
    found = {
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
    }
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible else []
    if visible is None:
        there = glob.glob("/dev/nvidia[0-9]*")
        gpus = [str(index) for index in range(len(there))]
    if gpus:
        found["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    return found


class _Worker:
    """A process with a station.

    Attributes:
        unit: What it paints; None: nothing.
        connection: To it.
    """

    def __init__(self, setup: stations.Setup, environment: dict[str, str]):
        self.unit: order.Unit | None = None
        self._arguments = setup, environment
        self._stopped = False
        self._process: Any = None
        self.connection: Any = None

    def start(self, unit: order.Unit, request: stations.Request) -> None:
        """Gives it a picture; starts its process if there is none."""
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self.connection, theirs = context.Pipe()
            self._process = context.Process(
                target=_work, args=(theirs, *self._arguments), daemon=True
            )
            self._process.start()
            theirs.close()
        self.unit = unit
        self.connection.send(request)

    def stop(self) -> None:
        """Makes the worker save its picture after the current step."""
        if self.unit and not self._stopped:
            self._stopped = True
            with contextlib.suppress(OSError):  # it has ended
                self.connection.send(_STOP)

    def end(self) -> str:
        """Closes the connection of a dead process; returns how it ended."""
        self._process.join(5)
        code, self._process, self.unit = self._process.exitcode, None, None
        self.connection.close()
        if code is not None and code < 0:
            return f"by {signal.Signals(-code).name}"
        return f"with status {code}"

    def close(self) -> None:
        """Ends its process."""
        if self._process:
            self.connection.close()  # which it sees
            self._process.join(2)
            self._process.kill()


def _work(own: Any, setup: stations.Setup, environment: dict[str, str]) -> None:
    """Runs in the worker: paints requests until the parent ends."""
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    requests: queues.Queue[stations.Request] = queues.Queue()
    stop = threading.Event()

    def listen() -> None:
        try:
            while True:
                message = own.recv()
                stop.set() if message == _STOP else requests.put(message)
        except (EOFError, OSError):
            locks.remove_own()
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    station, told = stations.Station(setup), 0.0

    def follow(share: float) -> None:
        nonlocal told
        if time.monotonic() - told > _SHOWN_SECONDS:
            told = time.monotonic()
            own.send(("share", share))

    while True:
        own.send(("result", station.paint(requests.get(), stop.is_set, follow)))
