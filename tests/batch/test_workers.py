"""Workers on this machine: their shares, their messages, their ends."""

import itertools
import types
from pathlib import Path

import pytest

import nst_tf
from nst_tf.batch import ledger, order, stations, tasks, workers


def _unit(number=1, size=(48, 64), **changes):
    kind = tasks.Kind(nst_tf.Job("town.png", "paint.png"), ())
    task = tasks.Task(number, kind, (), f"out/{number}.png")
    group = types.SimpleNamespace(size=size)
    return order.Unit(task, group)._replace(**changes)


class Queue(list):
    """Units in a row."""

    def take(self, worker):
        return self.pop(0) if self else None

    def put_back(self, unit):
        self.insert(0, unit)


def _result(line):
    return ledger.Result(line, ledger.DONE, Path("a.png"))


def test_a_request_has_what_may_be_replaced():
    written = ledger.Written(None)
    written.allow("out/3.png", ["one"])
    written.allow("out/3.png.json", ["two"])
    unit = _unit(3, tile=64)
    request = workers.make_request(unit, written, "sha")
    assert request == stations.Request(
        3,
        nst_tf.Job("town.png", "paint.png", "out/3.png"),
        64,
        {"out/3.png": ["one"], "out/3.png.json": ["two"]},
        "sha",
    )
    assert workers.make_request(unit, written).network == ""


class Station:
    """Says that half is done, and whether it should stop."""

    def __init__(self, setup):
        self.setup = setup

    def paint(self, request, should_stop, follow):
        follow(0.5)
        notes = (self.setup, should_stop())
        return _result(request.line)._replace(notes=notes)


def test_this_process_paints_one_by_one_until_it_should_stop(monkeypatch):
    monkeypatch.setattr(workers.stations, "Station", Station)
    shares, answers = [], iter([False, True, False, True, True])
    watch = workers.Watch(
        lambda: next(answers), lambda *given: shares.append(given)
    )
    units = Queue([_unit(1), _unit(2), _unit(3)])
    given = units, stations.Setup(memory=7), ledger.Written(None), watch
    found = [*workers.paint_here(*given)]
    assert [unit.task.number for unit, _ in found] == [1, 2]
    assert [result.line for _, result in found] == [1, 2]
    assert found[0][1].notes == (stations.Setup(memory=7), True)
    assert shares == [(0, 0.5), (0, 0.5)] and len(units) == 1
    never = workers.Watch()
    found = workers.paint_here(*given[:3], never)
    assert [result.line for _, result in found] == [3]
    assert not never.should_stop()


def test_tiles_are_halved():
    assert workers.halve_tile(_unit(size=(48, 99))).tile == 49
    assert workers.halve_tile(_unit(tile=48)).tile == 24
    assert workers.halve_tile(_unit(tile=1)).tile == 1


def test_a_picture_is_put_back_with_a_note(caplog):
    units = Queue()
    assert workers.put_back(units, _unit(1), False, "by SIGKILL") is None
    assert (units[0].tries, units[0].tile) == (1, 0)
    (note,) = caplog.messages
    assert note == "a worker ended by SIGKILL; out/1.png is painted again"
    caplog.clear()
    assert workers.put_back(units, _unit(2), True, "early") is None
    assert (units[0].tries, units[0].tile) == (1, 32)
    (note,) = caplog.messages
    assert note.endswith("early; out/2.png is painted again, in tiles of 32")
    result = workers.put_back(units, _unit(3, tries=2), False, "early")
    assert (result.line, result.status) == (3, ledger.FAILED)
    assert result.output == Path("out/3.png") and len(units) == 2


@pytest.fixture
def machine(monkeypatch):
    """A machine of seven cores, without a GPU."""

    def use(cores=7, visible=None, devices=()):
        monkeypatch.setattr(
            workers.os,
            "sched_getaffinity",
            lambda process: {*range(cores)} if process == 0 else set(),
            raising=False,
        )
        monkeypatch.setattr(
            workers.glob,
            "glob",
            lambda pattern: [
                name for name in devices if name.startswith(pattern[:11])
            ],
        )
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    use()
    return use


def _threads(number):
    names = "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"
    return dict.fromkeys((*names, "OMP_NUM_THREADS"), str(number))


def test_workers_share_the_cores(machine, monkeypatch):
    assert workers.choose_environment(0, 3) == _threads(2)
    assert workers.choose_environment(0, 9) == _threads(1)
    monkeypatch.delattr(workers.os, "sched_getaffinity")
    monkeypatch.setattr(workers.os, "cpu_count", lambda: 8)
    assert workers.choose_environment(1, 2) == _threads(4)
    monkeypatch.setattr(workers.os, "cpu_count", lambda: None)
    assert workers.choose_environment(0, 1) == _threads(1)


def test_workers_take_turns_at_the_gpus(machine):
    def choose(number):
        found = workers.choose_environment(number, 7)
        return found.get("CUDA_VISIBLE_DEVICES")

    machine(visible="3,5")
    assert [*map(choose, range(3))] == ["3", "5", "3"]
    machine(devices=["/dev/nvidia0", "/dev/nvidia1"])
    assert [*map(choose, range(3))] == ["0", "1", "0"]
    machine(visible="", devices=["/dev/nvidia0"])
    assert choose(0) is None


class Line:
    """A connection to a worker: what it says, then its end."""

    def __init__(self, *messages):
        self.messages = [*messages]

    def recv(self):
        if not self.messages:
            raise EOFError
        message = self.messages.pop(0)
        if isinstance(message, Exception):
            raise message
        return message


@pytest.fixture
def paint(monkeypatch):
    """Paints with pretended workers: the outcomes, and the workers.

    Each worker says what `says` has for its picture.
    """
    made, waits = [], []

    class Worker:
        def __init__(self, setup, environment):
            self.setup, self.environment = setup, environment
            self.unit = self.connection = None
            self.stops, self.closes, self.requests = 0, 0, []
            made.append(self)

        def start(self, unit, request):
            self.unit = unit
            self.requests.append(request)
            self.connection = Line(*paint.says(unit))

        def stop(self):
            self.stops += 1

        def end(self):
            self.unit = None
            return "by SIGKILL"

        def close(self):
            self.closes += 1

    def wait(connections, timeout):
        waits.append(timeout)
        return connections

    monkeypatch.setattr(workers, "_Worker", Worker)
    monkeypatch.setattr(workers.connection, "wait", wait)
    memory = workers.host_memory
    monkeypatch.setattr(memory, "find_limit", lambda: paint.limit)
    monkeypatch.setattr(memory, "count_kills", lambda: paint.kills())
    monkeypatch.setattr(
        workers, "choose_environment", lambda number, count: (number, count)
    )

    def paint(units, count, watch=None, **setup):
        made.clear()
        found = workers.paint(
            Queue(units),
            stations.Setup(**setup),
            ledger.Written(None),
            watch or workers.Watch(),
            count,
        )
        return [*found], [*made]

    paint.says = lambda unit: [("result", _result(unit.task.number))]
    paint.limit, paint.waits = None, waits
    paint.kills = lambda: 0
    return paint


def test_processes_share_the_pictures_and_the_memory(paint):
    units = [*map(_unit, range(1, 6))]
    paint.limit = 12e9
    found, made = paint(units, 3, judge=True)
    assert sorted(result.line for _, result in found) == [1, 2, 3, 4, 5]
    assert all(unit.task.number == result.line for unit, result in found)
    assert [each.environment for each in made] == [(0, 3), (1, 3), (2, 3)]
    assert {each.setup for each in made} == {stations.Setup(True, 4.0)}
    assert {each.closes for each in made} == {1}
    assert {each.stops for each in made} == {0}
    assert made[1].requests[0].line == 2
    assert max(paint.waits) <= 0.2  # it asks for a stop so often
    _, made = paint(units[:2], 3, memory=9.0)
    assert [each.setup.memory for each in made] == [9.0, 9.0]
    paint.limit = None
    _, made = paint(units[:2], 3)
    assert [each.setup.memory for each in made] == [0.0, 0.0]
    found, made = paint([], 3)
    assert not found and len(made) == 1


def test_the_progress_of_a_worker_is_followed(paint):
    shares = []
    paint.says = lambda unit: [("share", 0.5), ("result", _result(1))]
    watch = workers.Watch(follow=lambda *given: shares.append(given))
    found, made = paint([_unit()], 1, watch)
    assert shares == [(made[0], 0.5)] and len(found) == 1


@pytest.mark.parametrize("error", [EOFError(), OSError()])
def test_the_picture_of_a_dead_worker_comes_again(error, paint, caplog):
    def say(unit):
        said = ("result", _result(unit.tile))
        return [said if unit.tries or unit.task.number > 1 else error]

    paint.says = say
    found, _ = paint([_unit()], 1)
    assert [(unit.tries, unit.tile) for unit, _ in found] == [(1, 0)]
    # What the system killed meanwhile, it killed for memory.
    counts = itertools.chain([4, 5], itertools.repeat(5))
    paint.kills = lambda: next(counts)
    found, _ = paint([_unit()], 1)
    assert [(unit.tries, unit.tile) for unit, _ in found] == [(1, 32)]


def test_only_the_death_after_a_kill_is_a_shortage(paint):
    paint.says = lambda unit: (
        [("result", _result(1))] if unit.tries else [EOFError()]
    )
    counts = itertools.chain([4, 5], itertools.repeat(5))
    paint.kills = lambda: next(counts)
    found, _ = paint([_unit(1), _unit(2)], 1)
    tiles = {unit.task.number: unit.tile for unit, _ in found}
    assert tiles == {1: 32, 2: 0}


def test_a_picture_that_always_kills_its_worker_fails(paint):
    paint.says = lambda unit: [EOFError()]
    ((unit, result),), _ = paint([_unit(tries=1)], 1)
    assert result.status == ledger.FAILED and unit.tries == 2


def test_workers_are_told_to_stop_and_end_their_pictures(paint):
    answers = itertools.chain([False], itertools.repeat(True))
    watch = workers.Watch(lambda: next(answers))
    found, made = paint([*map(_unit, range(1, 6))], 2, watch)
    assert [result.line for _, result in found] == [1, 2]
    assert all(each.stops for each in made)
