"""The order of pictures: who paints what, and what comes next to what."""

import dataclasses
import types

import nst_tf
from nst_tf.batch import order, tasks


@dataclasses.dataclass(eq=False)
class Group:
    """A group of pictures of a size, each of so much work."""

    kind: tasks.Kind
    draft: types.SimpleNamespace
    size: tuple[int, int]
    work: float = 1.0


def _group(size=(8, 8), work=1.0, network="vgg19", layers=(), **chosen):
    kind = tasks.Kind(nst_tf.Job("a.png", "b.png", **chosen), ("content",))
    spec = (network, "max", "auto", "auto", "none", object())
    draft = types.SimpleNamespace(network=spec, layers=layers)
    return Group(kind, draft, size, work)


def _make(**counts):
    """Makes a queue of groups by name: the queue, and the groups."""
    made = {name: _group(seed=n) for n, name in enumerate(counts)}
    number = iter(range(1, 100))
    todo = {
        made[name]: [
            tasks.Task(next(number), group_kind, ("a.png",), "")
            for group_kind in [made[name].kind] * count
        ]
        for name, count in counts.items()
    }
    return order.Queue(todo), made


def _numbers(queue, worker="a", **given):
    found = []
    while unit := queue.take(worker, **given):
        found.append(unit.task.number)
    return found


def test_a_queue_counts_and_lists_what_is_left():
    queue, made = _make(one=2, two=1)
    assert len(queue) == 3 and queue.list_outputs() == ["", "", ""]
    unit = queue.take("a")
    assert (unit.group, unit.tile, unit.tries) == (made["one"], 0, 0)
    assert len(queue) == 2
    queue.put_back(unit._replace(tries=1))
    assert queue.take("b").task.number == 3
    assert queue.take("a").tries == 1
    assert _numbers(queue) == [2] and queue.take("a") is None
    queue.put_back(unit)
    assert len(queue) == 1


def test_a_worker_takes_what_it_can_paint():
    queue, made = _make(one=2, two=2)
    assert _numbers(queue, fits=lambda group: group is made["two"]) == [3, 4]
    assert queue.take("a", lambda group: False) is None and len(queue) == 2


def test_a_worker_helps_where_most_work_is_left():
    queue, made = _make(one=2, two=4, three=3)
    for worker in "abc":
        queue.take(worker)
    made["three"].work = 10.0  # 2 pictures of 10 are more than 3 of 1
    helped = [queue.take("d") for _ in range(2)]
    assert [unit.task.number for unit in helped] == [9, 8]  # from the end
    # That group is empty; a helper goes on with the next one from its front.
    assert queue.take("d").task.number == 6
    assert queue.take("d").task.number == 4
    assert queue.take("a").task.number == 2
    assert queue.take("a").task.number == 5


def test_groups_of_a_dead_worker_are_taken_first():
    queue, _ = _make(one=3, two=2)
    assert queue.take("a").task.number == 1
    queue.forget("a")
    queue.forget("never seen")
    assert queue.take("b").task.number == 2
    assert queue.take("c").task.number == 4


def test_groups_of_a_network_follow_each_other_the_largest_first():
    groups = [
        _group(network="vgg16"),
        _group(weights="auto"),
        _group(weights="other", layers=("a",), size=(9, 20)),
        _group(weights="other", layers=("a",), size=(20, 8)),
        _group(weights="other", layers=("a",), size=(8, 20), style_weight=20.0),
        _group(weights="other", layers=("a",), size=(8, 20), style_weight=30.0),
        _group(weights="other", layers=("b",), size=(90, 90)),
    ]
    todo = {
        group: [tasks.Task(number, group.kind, ("a",), "")]
        for number, group in [*enumerate(groups)][::-1]
    }
    expected = [0, 1, 2, 4, 5, 3, 6]
    assert _numbers(order.Queue(todo)) == expected


def test_tasks_of_a_group_go_by_style_content_and_line():
    job = nst_tf.Job()
    kind = tasks.Kind(job, ("style", "content"))
    group = Group(kind, _group().draft, (8, 8))
    values = [("b", "a"), ("a", "b"), ("a", "a"), ("b", "a")]
    todo = [
        tasks.Task(number, kind, value, "")
        for number, value in [*enumerate(values)][::-1]
    ]
    assert _numbers(order.Queue({group: todo})) == [2, 1, 0, 3]
