"""Reports the progress of a batch: done, failed, rate, time left."""

import time

from nst_tf import display, screens
from nst_tf.batch import ledger, order


class Report:
    """Follows a batch on the display.

    Args:
        count: Pictures to paint.
        work: The work of all of them, as `checking.Group.work` counts it.
    """

    def __init__(self, count: int, work: float):
        self._count, self._work = count, max(work, 1)
        self._began = time.monotonic()
        self._ended, self._failed = 0, 0
        self._over = 0.0  # work
        self._shares: dict[object, float] = {}  # pictures under way
        self._moment: tuple[float, float] | None = None  # time, seconds left

    def share(self, now: float) -> float | None:
        """Returns the share of the work that is over; None at first."""
        return self._estimate() if self._moment else None

    def remaining(self, now: float) -> float:
        """Returns the seconds left, at the speed so far."""
        if not self._moment:
            return 0.0
        then, left = self._moment
        return max(0.0, left - (now - then))

    def follow(self, worker: object, share: float) -> None:
        """Records the progress of a worker's current picture, in [0, 1]."""
        self._shares[worker] = share
        self._show(False)

    def finish(self, unit: order.Unit, result: ledger.Result) -> None:
        """Records a result."""
        self._ended += 1
        self._failed += result.status == ledger.FAILED
        self._over += unit.group.work
        self._shares.clear()  # the other workers report theirs again
        self._show(True)

    def _estimate(self) -> float:
        """Estimates the share of the work that is over."""
        mean = self._work / self._count
        under_way = sum(self._shares.values()) * mean
        return min(1.0, (self._over + under_way) / self._work)

    def _show(self, is_milestone: bool) -> None:
        """Shows the progress of the batch."""
        now = time.monotonic()
        elapsed, share = now - self._began, self._estimate()
        if share > 0:
            self._moment = now, elapsed * (1 - share) / share
        label = f"{self._ended} of {self._count} pictures"
        if self._failed:
            label += f", {self._failed} failed"
        short = label
        if self._ended:
            rate = 3600 * self._ended / max(elapsed, 1e-9)
            label += f", {rate:.0f} an hour"
        facts = {
            "done": self._ended - self._failed,
            "failed": self._failed,
            "pictures": self._count,
        }
        display.show_status(
            screens.Status(label, self, None, facts, short),
            is_milestone=is_milestone,
        )
