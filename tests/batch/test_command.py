"""The program of batches: what a dry run says, and what a result says."""

import types
from pathlib import Path

import pytest

import nst_tf
from nst_tf.batch import checking, command, ledger, manifest, tasks


class Group:
    """A group of pictures of so many bytes."""

    def __init__(self, memory):
        self.kind = tasks.Kind(nst_tf.Job("town.png", "paint.png"), ())
        self._memory = memory

    def estimate_memory(self, network):
        assert network == "network"
        return self._memory


@pytest.fixture
def describe(monkeypatch):
    """Describes a batch with pictures of these numbers, in two groups."""

    def find(job, *, may_download):
        assert not may_download
        return "network"

    networks = types.SimpleNamespace(find=find)
    prepared = []
    monkeypatch.setattr(command.device, "prepare", lambda: prepared.append(1))
    monkeypatch.setattr(
        command.groups,
        "estimate_seconds",
        lambda todo, given: 125.0 if given is networks else 0,
    )

    def describe(first, second=(), done=(), faults=()):
        todo = {}
        for numbers, memory in ((first, 1.26e9), (second, 3.14e9)):
            group = Group(memory)
            made = [tasks.Task(n, group.kind, (), f"{n}.png") for n in numbers]
            if made:
                todo[group] = made
        checked = checking.Checked(todo, [*done], [*faults], 5.678e9)
        checker = types.SimpleNamespace(networks=networks)
        found = command._describe(checked, checker)
        assert bool(prepared) == bool(todo)
        return found

    return describe


def test_a_dry_run_shows_the_first_five_pictures(describe):
    lines = describe([3, 4, 7, 8, 9, 10], [5, 6, 11])
    assert lines[0] == "pictures  9"
    assert lines[1] == ("       3  town.png in the style of paint.png -> 3.png")
    assert [line.split()[0] for line in lines[1:6]] == [*"34567"]
    assert lines[6].startswith("time      about 2 min")
    assert lines[7] == "memory    about 3.1 GB a picture, less in tiles"
    assert lines[8:] == ["disk      at most 5.68 GB"]


def test_a_dry_run_counts_what_is_done_and_bad(describe):
    task = tasks.Task(1, Group(0).kind, (), "1.png")
    fault = manifest.Fault(2, "odd")
    lines = describe([], done=[task, task], faults=[fault])
    assert lines == ["pictures  0, and 2 are done; 1 bad"]
    assert describe([], faults=[fault]) == ["pictures  0; 1 bad"]


@pytest.mark.parametrize(
    ("status", "chosen", "out", "err"),
    [
        (ledger.DONE, {}, "", ""),
        (ledger.DONE, {"quiet": True}, "a.png\n", ""),
        (ledger.DONE, {"verbose": True}, "a.png\n", ""),
        (ledger.SKIPPED, {"verbose": True}, "", ""),
        (ledger.FAILED, {"verbose": True}, "", "nst-tf: line 3: odd\n"),
    ],
)
def test_a_result_is_one_line(status, chosen, out, err, capsys, caplog):
    caplog.set_level("INFO")
    result = ledger.Result(3, status, Path("a.png"), error="odd", notes=["x"])
    command._report(result, nst_tf.Job(**chosen))
    shown = capsys.readouterr()
    assert shown.out.endswith(out) and bool(shown.out) == bool(out)
    assert shown.err == err
    assert caplog.messages == ["a.png: x"]
