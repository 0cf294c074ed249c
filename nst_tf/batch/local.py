"""The engine without processes: one station, in this one."""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

from nst_tf.batch import ledger, order, painting
from nst_tf.images import writing


class Watch(NamedTuple):
    """What an engine asks and tells while it works."""

    should_stop: Callable[[], bool] = lambda: False
    # Who, and the share of its picture that is painted.
    follow: Callable[[object, float], None] = lambda worker, share: None


Outcome = tuple[order.Unit, ledger.Result]


def make_request(
    unit: order.Unit, written: ledger.Written, network: str = ""
) -> painting.Request:
    """Makes what a worker is given of a unit.

    Args:
        unit: The unit.
        written: Tells which files may be replaced.
        network: Digest that its network must have; empty: any.
    """
    task = unit.task
    paths = task.output, str(writing.sidecar_path(Path(task.output)))
    replaces = {path: written.list_digests(path) for path in paths}
    return painting.Request(
        task.number, task.make_job(), unit.tile, replaces, network
    )


def paint(
    queue: order.Queue,
    setup: painting.Setup,
    written: ledger.Written,
    watch: Watch,
) -> Generator[Outcome, None, None]:
    """Paints all pictures of a queue, one by one."""
    station = painting.Station(setup)
    while not watch.should_stop() and (unit := queue.take(0)):
        request = make_request(unit, written)
        result = station.paint(
            request, watch.should_stop, lambda share: watch.follow(0, share)
        )
        yield unit, result
