"""What the machine, control groups and limits leave to a process."""

import os
import sys

import children
import pytest

from nst_tf.backend import host_memory


def _group(folder, version, most, used, idle=None):
    """Writes the files of a control group."""
    folder.mkdir(parents=True, exist_ok=True)
    if version == 2:
        names, stat = ("memory.max", "memory.current"), "inactive_file"
    else:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        stat = "total_inactive_file"
    for name, value in zip(names, (most, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    if idle is not None:
        text = f"anon 7\n{stat} {idle}\nactive_file 5\n"
        (folder / "memory.stat").write_text(text)


@pytest.fixture(params=[1, 2])
def groups(request, tmp_path):
    """(version, folder of the process's group, () -> what groups leave)."""
    own = tmp_path / "own"
    if request.param == 2:
        own.write_text("0::/jobs/mine\n")
        base = tmp_path / "root"
    else:
        own.write_text("5:cpu,cpuacct:/x\n4:memory:/jobs/mine\n1:name=a:/\n")
        base = tmp_path / "root" / "memory"
    return (
        request.param,
        base / "jobs" / "mine",
        lambda: host_memory._groups(tmp_path / "root", own),
    )


def test_a_group_leaves_what_it_does_not_use(groups):
    version, folder, left = groups
    _group(folder, version, 1000, 400)
    assert left() == [600]


def test_files_that_are_not_in_use_count_as_free(groups):
    version, folder, left = groups
    _group(folder, version, 1000, 900, idle=250)
    assert left() == [350]


def test_every_group_around_that_of_the_process_counts(groups):
    version, folder, left = groups
    _group(folder, version, 1000, 400)
    _group(folder.parent, version, 700, 650)
    _group(folder.parent.parent, version, 5000, 100)
    _group(folder.parent / "other", version, 10, 9)  # not around it
    _group(folder.parents[2], version, 10, 9)  # no group, above them all
    assert left() == [600, 50, 4900]


def test_a_group_without_a_limit_leaves_what_others_leave(groups):
    version, folder, left = groups
    none = "max" if version == 2 else 2**63 - 4096
    _group(folder, version, none, 400)
    assert left() == []
    _group(folder.parent, version, 700, 650)
    assert left() == [50]


def test_a_group_above_its_limit_leaves_next_to_nothing(groups):
    version, folder, left = groups
    _group(folder, version, 1000, 1300)
    assert left() == [1]  # not 0, which would mean that nobody knows


@pytest.mark.parametrize("text", ["", "none", "12 13", "\x00", "-", "1e9"])
def test_files_that_say_nothing_are_passed_over(groups, text):
    version, folder, left = groups
    _group(folder, version, text, 400)
    _group(folder.parent, version, 1000, text)
    assert left() == []
    _group(folder, version, 1000, 400)
    (folder / "memory.stat").write_text(f"inactive_file {text}")
    assert left() == [600] or text == "12 13"


@pytest.mark.parametrize(
    "text", [None, "", "\n\n", "nonsense", "0:", "0::", "x:memory", "0::/../.."]
)
def test_a_process_that_names_no_group_has_no_limit_of_one(tmp_path, text):
    if text is not None:
        (tmp_path / "own").write_text(text)
    assert host_memory._groups(tmp_path / "none", tmp_path / "own") == []


def test_a_file_that_is_no_text_is_passed_over(tmp_path):
    (tmp_path / "own").write_bytes(b"0::/\xff\xfe\n")
    assert host_memory._groups(tmp_path, tmp_path / "own") == []
    (tmp_path / "info").write_bytes(b"\xff\xfe MemAvailable: 3 kB\n")
    assert host_memory._field(tmp_path / "info", "MemAvailable") == 0


def test_a_field_is_read_in_bytes(tmp_path):
    path = tmp_path / "info"
    path.write_text("MemFree: 1 kB\nMemAvailable:    12 kB\nVmRSS:\nX: y kB\n")
    assert host_memory._field(path, "MemAvailable") == 12 * 1024
    for name in ("VmRSS", "X", "Mem", "None"):
        assert host_memory._field(path, name) == 0
    assert host_memory._field(tmp_path / "none", "MemAvailable") == 0


@pytest.fixture
def counts(tmp_path):
    """(file, text) -> the kills that are counted, by the last of all files."""
    boot = tmp_path / "proc/sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_text("a-boot\n")
    (tmp_path / "own").write_text("4:memory:/a/b\n0::/a/b\n")

    def count(name=None, text=""):
        if name:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return host_memory.count_kills(
            tmp_path / "root", tmp_path / "own", tmp_path / "proc"
        )

    return count


def test_kills_are_those_of_the_nearest_group_or_of_the_machine(
    counts, tmp_path
):
    def place(name):
        return f"a-boot {tmp_path / name}"

    assert counts() is None
    name = "proc/vmstat"
    assert counts(name, "pgfault 12\noom_kill 5\n") == (place(name), 5)
    name = "root/memory.events"  # that of a container, which names no group
    text = "low 0\noom 9\noom_kill 4\noom_group_kill 8\n"
    assert counts(name, text) == (place(name), 4)
    name = "root/a/b/memory.events"
    assert counts(name, "oom_kill 3") == (place(name), 3)
    name = "root/memory/a/b/memory.oom_control"
    text = "oom_kill_disable 1\nunder_oom 0\noom_kill 2\n"
    assert counts(name, text) == (place(name), 2)
    for text in ("", "oom_kill", "oom_kill x", "oom_kill_disable 1"):
        assert counts(name, text) == (place("root/a/b/memory.events"), 3)
    (tmp_path / "proc/sys/kernel/random/boot_id").unlink()
    assert counts() is None


@pytest.fixture
def machine(monkeypatch):
    """Sets what the machine has free, the groups leave, and addresses are."""

    def set_all(free, groups, addresses, resident=100.0):
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(host_memory, "_available", lambda: free)
        monkeypatch.setattr(host_memory, "_groups", lambda: groups)
        monkeypatch.setattr(host_memory, "_address_limit", lambda: addresses)
        monkeypatch.setattr(host_memory, "PER_THREAD", 5e7)
        monkeypatch.setattr(host_memory, "_count_threads", lambda: 10)
        monkeypatch.setattr(host_memory, "_status", lambda name: resident)

    return set_all


@pytest.mark.parametrize(
    ("free", "groups", "addresses", "expected"),
    [
        (1000.0, [], 0.0, 1000),  # 100 that it has, and 900 of 1000
        (1000.0, [500.0, 2000.0], 0.0, 550),
        (5e9, [4e9], 1.3e9, 4e8 + 100),  # 0.8e9 more, each by 2
        (5e9, [], 1e8, 100),  # less than what is used up at first
        (0.0, [500.0], 0.0, 550),  # the machine does not say
        (0.0, [], 0.0, None),
    ],
)
def test_the_limit_is_the_smallest_with_what_the_process_has(
    machine, free, groups, addresses, expected
):
    machine(free, groups, addresses)
    assert host_memory.find_limit() == pytest.approx(expected)


@pytest.mark.parametrize("addresses", [0.0, 3.0e9])
def test_tensorflow_is_loaded_with_enough_addresses(machine, addresses):
    machine(1e10, [], addresses)
    host_memory.check_addresses()


@pytest.mark.parametrize("addresses", [1.0, 2.99e9])
def test_tensorflow_is_not_loaded_with_too_few_addresses(machine, addresses):
    machine(1e10, [], addresses)
    with pytest.raises(MemoryError, match="ulimit -v unlimited"):
        host_memory.check_addresses()


def test_threads_are_counted_by_cores(monkeypatch):
    for cores, threads in ((2, 22), (64, 394), (None, 16)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert host_memory._count_threads() == threads


def test_on_macos_nobody_knows(machine, monkeypatch):
    machine(1000.0, [], 0.0)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert host_memory.find_limit() is None


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_a_limit_of_addresses_is_seen_by_the_process_that_has_it():
    code = (
        "import resource; from nst_tf.backend import host_memory\n"
        "print(host_memory._address_limit(), host_memory.find_limit())\n"
        "resource.setrlimit(resource.RLIMIT_AS, (5 << 30, 5 << 30))\n"
        "print(host_memory._address_limit(), host_memory.find_limit())"
    )
    done = children.run_python("-c", code, check=True)
    before, after = (line.split() for line in done.stdout.splitlines())
    assert before[0] == "0.0"
    assert 4 << 30 < float(after[0]) < 5 << 30
    assert 0 < float(after[1]) < 5 << 30
