"""Orders pictures by network, size and style.

Each worker takes pictures from one group while any are left, so it compiles few
train steps. The pictures of a style follow each other, so its files are read
and its targets are computed once.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from nst_tf.batch import groups, tasks
from nst_tf.plan import settings


class Unit(NamedTuple):
    """A task in the queue or with a worker, and its retries."""

    task: tasks.Task
    group: groups.Group
    tile: int = 0  # largest side, in pixels, after out of memory; 0: any
    tries: int = 0  # attempts in which the worker died


class Queue:
    """The pictures that are not painted yet.

    Args:
        todo: Tasks by what they share.
    """

    def __init__(
        self, todo: Mapping[groups.Group, Sequence[tasks.Task]]
    ) -> None:
        self._left: dict[groups.Group, deque[Unit]] = {
            group: deque(
                Unit(task, group)
                for task in sorted(todo[group], key=_rank_task)
            )
            for group in sorted(todo, key=_rank_group)
        }
        self._owners: dict[groups.Group, set[Any]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._left.values()))

    def take(
        self,
        worker: Any,
        fits: Callable[[groups.Group], bool] = lambda group: True,
    ) -> Unit | None:
        """Takes the next picture for a worker; None if nothing is left.

        A worker continues with its group, or begins a new one. If there is no
        new one, it takes the last picture of the group with the most work.

        Args:
            worker: The worker.
            fits: Whether it can paint a group.
        """
        left = [group for group in self._left if fits(group)]
        if not left:
            return None
        owned = [g for g in left if worker in self._owners.get(g, ())]
        free = [g for g in left if not self._owners.get(g)]
        if owned or free:
            group = (owned or free)[0]
            unit = self._left[group].popleft()
        else:
            group = max(left, key=lambda g: len(self._left[g]) * g.work)
            unit = self._left[group].pop()
        self._owners.setdefault(group, set()).add(worker)
        if not self._left[group]:
            del self._left[group]
        return unit

    def put_back(self, unit: Unit) -> None:
        """Puts back a picture, to be the next of its group."""
        self._left.setdefault(unit.group, deque()).appendleft(unit)

    def forget(self, worker: Any) -> None:
        """Forgets a dead worker, so that others take its groups."""
        for owners in self._owners.values():
            owners.discard(worker)

    def list_outputs(self) -> list[str]:
        """Lists the outputs of the remaining tasks."""
        return [u.task.output for each in self._left.values() for u in each]


def _rank_group(group: groups.Group) -> tuple[Any, ...]:
    """Sorts groups: by network, then by size, the largest first."""
    job = group.kind.job
    network = group.draft.network
    return (
        *network[:5],
        job.weights,
        str(group.draft.layers),
        -group.size[0] * group.size[1],
        group.size,
        tuple(str(getattr(job, name)) for name in settings.IDENTITY),
    )


def _rank_task(task: tasks.Task) -> tuple[Any, ...]:
    """Sorts tasks of a group: by style, then by content."""
    return str(task.get("style")), str(task.get("content")), task.number
