"""Which picture comes next: those that share a network, a size and a style.

Each worker stays with a group as long as there is one of its own. So it
compiles few steps, and a style's targets serve all its contents.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from nst_tf.batch import groups, tasks
from nst_tf.plan import settings


class Unit(NamedTuple):
    """A picture on its way: what a worker is given."""

    task: tasks.Task
    group: groups.Group
    tile: int = 0  # largest side, in pixels, after a lack of memory; 0: any
    tries: int = 0  # that ended with their worker


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

        It goes on with its group, or begins another one; in the end it helps
        where most is left, from the other end.

        Args:
            worker: Who.
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
        """Forgets a worker that is no more, so that others take its groups."""
        for owners in self._owners.values():
            owners.discard(worker)

    def list_outputs(self) -> list[str]:
        """Lists the outputs of what is left."""
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
