"""The engine of a cluster: what actors get, what they answer, what is lost."""

import dataclasses
import itertools
import pickle
import sys
from pathlib import Path

import pretend_ray
import pytest

import nst_tf
from nst_tf.batch import (
    actor,
    cluster,
    command_line,
    ledger,
    order,
    ray_engine,
    stations,
    tasks,
    workers,
)

GB = 10**9
LIMITS = cluster.Cluster(3, 0.5, 64 * GB, 2)


@dataclasses.dataclass(eq=False)
class Group:
    """A group of pictures that need so many bytes."""

    kind: tasks.Kind
    need: float = 0.0
    size = (48, 64)

    def estimate_memory(self, network):
        assert network == "network"
        self.asked = getattr(self, "asked", 0) + 1
        return self.need


class Queue:
    """Units in a row, and the slots that were forgotten."""

    def __init__(self, *units):
        self.units, self.forgotten, self.takers = [*units], [], []

    def __len__(self):
        return len(self.units)

    def take(self, worker, fits=lambda group: True):
        self.takers.append(worker)
        for unit in self.units:
            if fits(unit.group):
                self.units.remove(unit)
                return unit
        return None

    def put_back(self, unit):
        self.units.insert(0, unit)

    def forget(self, worker):
        self.forgotten.append(worker)

    def list_outputs(self):
        return [unit.task.output for unit in self.units]


class Actor:
    """Answers what `Actor.answer` does with a request."""

    def __init__(self, *given):
        self.given, self.calls, self.stops = given, [], 0

    def paint(self, version, data, sent):
        request, sizes = pickle.loads(data)
        self.calls.append((version, request, sizes, sent))
        return type(self).answer(self, request)

    def stop(self):
        self.stops += 1


def _answer(self, request):
    path = Path(request.job.output)
    return actor.Answer(ledger.Result(request.line, ledger.DONE, path))


@pytest.fixture
def ray(monkeypatch, tmp_path):
    """Ray, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("town.png", "paint.png"):
        Path(name).write_text(name)
    ray = pretend_ray.Ray({"CPU": 4.0, "memory": 64 * GB})
    ray.is_up = True
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(Actor, "answer", _answer, raising=False)
    return ray


def _unit(number=1, need=0.0, output="", **chosen):
    job = nst_tf.Job("town.png", "paint.png", **chosen)
    kind = tasks.Kind(job, ())
    task = tasks.Task(number, kind, (), output or f"out/{number}.png")
    return order.Unit(task, Group(kind, need))


@pytest.fixture
def make_driver(ray, monkeypatch):
    """Makes the driver of some units, without networks."""

    def find(job, *, may_download):
        assert may_download
        return "network"

    monkeypatch.setattr(
        ray_engine.resume, "digest_weights", lambda network: f"sha of {network}"
    )

    def make(*units, limits=LIMITS, judge=True):
        given = Queue(*units), ledger.Written(None), judge, limits, "a mark"
        driver = ray_engine._Driver(*given)
        driver._networks.find = find
        return driver

    return make


@pytest.fixture
def fill(make_driver):
    """Makes a slot whose actor paints the first of some units."""

    def fill(*units, **options):
        slot = ray_engine._Slot(make_driver(*units, **options), Actor)
        slot.fill()
        return slot

    return fill


def test_memory_is_asked_for_in_powers_of_two(make_driver):
    driver = make_driver(limits=LIMITS._replace(memory=6 * GB))
    for need, expected in (
        (0, 2**30),
        (2**30 + 1, 2**31),
        (2**31, 2**31),
        (5 * GB, 6 * GB),  # no node has more
    ):
        group = _unit(need=need).group
        for _ in range(2):
            assert driver.find_class(group) == expected
        assert group.asked == 1
    assert driver.find_class(_unit(need=5 * GB, memory=2.0).group) == 2**31


def test_a_network_is_digested_once(make_driver, monkeypatch):
    driver, found = make_driver(), []
    monkeypatch.setattr(
        ray_engine.resume,
        "digest_weights",
        lambda network: found.append(network) or len(found),
    )
    jobs = [nst_tf.Job(weights=name) for name in ("small", "auto")]
    jobs.append(nst_tf.Job(weights="auto", extractor="vgg16"))
    for _ in range(2):
        assert [*map(driver.digest_network, jobs)] == [1, 2, 3]


def test_a_file_is_stored_once(make_driver, ray):
    driver = make_driver()
    for name in "ab":
        Path(name).write_text(name)
    first = driver.put(["a"])
    second = driver.put(["b", "a"])
    assert ray.stored == [b"a", b"b"]
    assert {n: each.value for n, each in second.items()} == {
        "b": b"b",
        "a": b"a",
    }
    assert first == {"a": second["a"]} and driver.put([]) == {}


def test_an_actor_is_started_with_what_its_picture_needs(fill, ray):
    unit = _unit(7, 2**31, steps=4)._replace(tile=32)
    slot = fill(unit)
    (started,) = ray.actors
    assert started.options == {
        "num_cpus": 3,
        "num_gpus": 0.5,
        "memory": 2**31,
        "max_restarts": 0,
        "max_concurrency": 2,
    }
    setup = stations.Setup(judge=True, memory=2**31 / 1e9)
    assert started.own.given == (setup, 3, "a mark")
    ((version, request, sizes, sent),) = started.own.calls
    assert version == nst_tf.__version__
    assert (request.line, request.tile) == (7, 32)
    assert request.network == "sha of network"
    assert request.job.output == str(Path("out/7.png").absolute())
    town = str(Path("town.png").absolute())
    assert request.job.content == town and request.job.steps == (4,)
    assert request.replaces == {"out/7.png": (), "out/7.png.json": ()}
    assert sizes[town] == len("town.png") and sent == {}
    assert slot.unit is unit


def test_an_actor_paints_what_fits_and_makes_room_for_the_rest(fill, ray):
    units = _unit(1), _unit(2, 2**32), _unit(3, 2**30), _unit(4)
    slot = fill(*units, judge=False)
    queue = slot._driver.queue
    for number in (3, 4):  # 2 needs more than the actor has
        slot.unit = None
        slot.fill()
        assert slot.unit.task.number == number
    assert len(ray.actors) == 1 and not ray.killed
    slot.unit = None
    slot.fill()
    small, large = ray.actors
    assert ray.killed == [small] and queue.forgotten == [slot]
    assert large.options["memory"] == 2**32
    assert not large.own.given[0].judge
    assert {*queue.takers} == {slot}
    slot.unit = None
    slot.fill()
    assert ray.killed == [small, large] and slot.unit is None


def test_an_idle_slot_has_no_answer(make_driver, ray):
    slot = ray_engine._Slot(make_driver(), Actor)
    slot.fill()
    slot.close()
    slot.stop()
    assert not ray.actors and not ray.killed and not ray.timeouts
    with pytest.raises(RuntimeError, match="an idle actor returned an answer"):
        slot.receive()


def test_a_result_frees_its_slot(fill):
    unit = _unit(5)
    slot = fill(unit)
    got, result = slot.receive()
    assert got is unit and slot.unit is None
    assert (result.line, result.status) == (5, ledger.DONE)


def test_missing_files_are_sent(fill, ray):
    unit = _unit()
    Path("a").write_text("A")
    answers = iter([actor.Missing(["a"]), "an answer"])
    Actor.answer = lambda self, request: next(answers)
    slot = fill(unit)
    assert slot.receive() is None
    assert slot.unit is unit and slot.answer.value == "an answer"
    (started,) = ray.actors
    first, second = started.own.calls
    assert first[:3] == second[:3] and not first[3]
    assert {n: each.value for n, each in second[3].items()} == {"a": b"A"}


def test_an_actor_that_cannot_paint_ends_the_batch(fill, ray):
    Actor.answer = lambda self, request: actor.Refusal("another version.")
    with pytest.raises(ValueError, match="another version"):
        fill(_unit()).receive()
    cause = TypeError(f"no\n {'a' * 297}b")

    def fail(self, request):
        raise ray.exceptions.RayTaskError(cause=cause)

    Actor.answer = fail
    with pytest.raises(ValueError, match=f"cannot paint: no {'a' * 297}$"):
        fill(_unit()).receive()


@pytest.mark.parametrize(
    "name", ["RayActorError", "OutOfMemoryError", "ObjectLostError"]
)
def test_a_lost_picture_is_put_back(name, fill, ray, caplog):
    def fail(self, request):
        raise getattr(ray.exceptions, name)(f"it  went\n{'a' * 152}b")

    Actor.answer = fail
    unit = _unit()
    slot = fill(unit)
    queue = slot._driver.queue
    assert slot.receive() is None
    assert slot.unit is None and queue.forgotten == [slot]
    is_short = name == "OutOfMemoryError"
    (left,) = queue.units
    assert (left.tries, left.tile) == (1, 32 if is_short else 0)
    reason = (
        "because its node ran out of memory"
        if is_short
        else f"(it went {'a' * 152})"
    )
    assert f"a worker ended {reason}; out/1.png is painted" in caplog.text
    slot.fill()
    assert len(ray.actors) == 2 and not ray.killed
    slot.unit = unit._replace(tries=2)
    got, result = slot.receive()
    assert got == unit._replace(tries=2)
    assert result.status == ledger.FAILED and not queue.units


def test_an_actor_is_asked_to_save_its_picture(fill, ray):
    unit = _unit()
    slot = fill(unit)
    slot.stop()
    (started,) = ray.actors
    assert started.own.stops == 1 and ray.timeouts == [30]
    assert slot.unit is unit and not ray.killed


def test_an_actor_that_has_not_started_is_ended(fill, ray):
    slot = fill(_unit())
    (started,) = ray.actors

    def stop():
        raise pretend_ray.RayError

    started.own.stop = stop
    slot.stop()
    assert slot.unit is None and ray.killed == [started]


@pytest.fixture
def send(fill):
    """Lets an actor send files: the result, and what is in the folder."""

    def send(unit, before=None, is_ours=False):
        folder = Path(unit.task.output).parent
        names = Path(unit.task.output).name, "a.bmp.json"

        def answer(self, request):
            result = ledger.Result(1, ledger.DONE, Path("/node/a.bmp"))
            return actor.Answer(
                result._replace(output=Path("/node", names[0])),
                dict(zip(names, (b"picture", b"record"), strict=True)),
            )

        Actor.answer = answer
        slot = fill(unit)
        if before:
            folder.mkdir()
            (folder / names[0]).write_bytes(before)
        if is_ours:
            path = folder / names[0]
            digest = ledger.files.digest_file(path)
            slot._driver.written.allow(path, [digest])
        _, result = slot.receive()
        assert result.digest == ledger.files.digest_file(result.output)
        found = {p.name: p.read_bytes() for p in sorted(folder.iterdir())}
        return result.output, found

    return send


def test_files_that_come_back_are_written_beside_each_other(send):
    output, found = send(_unit(output="x/y/a.bmp"), None)
    assert output == Path("x/y/a.bmp")
    assert found == {"a.bmp": b"picture", "a.bmp.json": b"record"}


def test_a_file_of_others_is_not_replaced_by_one_that_comes_back(send):
    output, found = send(_unit(output="x/a.bmp"), b"theirs")
    assert output == Path("x/a-2.bmp")
    assert found == {
        "a.bmp": b"theirs",
        "a-2.bmp": b"picture",
        "a-2.bmp.json": b"record",
    }


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_of_ours_is_replaced(send, overwrite):
    unit = _unit(output="x/a.bmp", overwrite=overwrite)
    output, found = send(unit, b"before", is_ours=not overwrite)
    assert output == Path("x/a.bmp")
    assert found == {"a.bmp": b"picture", "a.bmp.json": b"record"}


def _paint(queue, should_stop=lambda: False, count=2, **options):
    given = command_line.Options(workers=count, engine="ray", **options)
    watch = workers.Watch(should_stop)
    return ray_engine.paint(queue, ledger.Written(None), watch, given, Actor)


@pytest.fixture
def _no_networks(monkeypatch):
    """Drivers know neither networks nor their memory."""
    monkeypatch.setattr(
        ray_engine._Driver, "digest_network", lambda self, job: "sha"
    )
    monkeypatch.setattr(ray_engine._Driver, "find_class", lambda *given: 2**30)


@pytest.mark.usefixtures("_no_networks")
def test_a_cluster_paints_all_pictures(ray):
    queue = Queue(*map(_unit, range(1, 6)))
    found = [*_paint(queue, judge=True)]
    assert [unit.task.number for unit, _ in found] == [
        result.line for _, result in found
    ]
    assert sorted(result.line for _, result in found) == [1, 2, 3, 4, 5]
    assert len(ray.actors) == 2 and ray.killed == ray.actors
    assert max(ray.timeouts) <= 0.5  # it asks for a stop so often
    for each in ray.actors:
        setup, cpus, mark = each.own.given
        assert setup.judge and cpus == 2 and not Path(mark).exists()


@pytest.mark.usefixtures("_no_networks")
def test_a_cluster_stops_after_the_pictures_under_way(ray):
    queue = Queue(*map(_unit, range(1, 6)))
    asked = itertools.count()
    found = [*_paint(queue, lambda: next(asked) > 0, 3)]
    assert len(found) == 3 and len(queue) == 2
    # The first has its answer already; the others are told once.
    assert [each.own.stops for each in ray.actors] == [0, 1, 1]


@pytest.mark.usefixtures("_no_networks")
def test_actors_end_with_a_batch_that_fails(ray):
    Actor.answer = lambda self, request: actor.Refusal("another version.")
    with pytest.raises(ValueError, match="another version"):
        [*_paint(Queue(_unit(), _unit(2)), address="auto")]
    assert ray.killed == ray.actors and len(ray.actors) == 2


@pytest.mark.usefixtures("_no_networks")
def test_a_cluster_is_looked_for_at_the_address(ray):
    ray.is_up, ray.failure = False, OSError("none")
    with pytest.raises(ValueError, match="at address 'host:1'"):
        [*_paint(Queue(_unit()), address="host:1")]
