"""Results: their lines, the files that may be replaced, and merged shards."""

import json
import os
import re
from pathlib import Path

import pytest

import nst_tf
from nst_tf.batch import ledger, tasks

GIVEN = ledger.Result(
    3,
    ledger.DONE,
    Path("a.png"),
    seconds=1.23456,
    judge={"ssim": 0.5},
    digest="sha256:1",
    notes=("one",),
    node="here",
)


def test_a_line_has_what_is_known():
    assert GIVEN.format() == {
        "line": 3,
        "status": "done",
        "output": "a.png",
        "seconds": 1.23,
        "judge": {"ssim": 0.5},
        "digest": "sha256:1",
        "notes": ("one",),
        "node": "here",
    }
    short = ledger.Result(0, ledger.FAILED, Path("a.png"), error="x")
    assert short.format() == {
        "line": 0,
        "status": "failed",
        "output": "a.png",
        "error": "x",
    }


def test_a_ledger_notes_results_with_their_time(tmp_path):
    folder = tmp_path / "a/b"
    book = ledger.Ledger(folder)
    book.close()  # it was never opened
    book.open()
    book.open_again = ledger.Ledger(folder)
    with pytest.raises(ValueError, match=r"another batch writes .*s\.jsonl"):
        book.open_again.open()
    book.add(GIVEN)
    (line,) = ledger.read(book.path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line.pop("time"))
    assert line == json.loads(json.dumps(GIVEN.format()))
    book.close()
    again = ledger.Ledger(folder)
    again.open()
    again.close()


def test_a_shard_has_files_of_its_own(tmp_path):
    book = ledger.Ledger(tmp_path, (3, 8))
    assert book.path == tmp_path / "results-3-of-8.jsonl"
    assert book.failed == tmp_path / "failed-3-of-8.jsonl"


def test_a_folder_that_takes_no_files_is_refused(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "closed")

    monkeypatch.setattr(ledger.files, "check_folder_writable", refuse)
    with pytest.raises(ValueError, match=r"cannot be written to: closed; name"):
        ledger.Ledger(tmp_path / "a/b")


def test_a_file_that_cannot_be_locked_is_named(tmp_path, monkeypatch):
    book = ledger.Ledger(tmp_path)

    def refuse(path):
        raise PermissionError(13, "closed")

    monkeypatch.setattr(ledger.locks, "hold", refuse)
    with pytest.raises(
        ValueError, match=r"results\.jsonl cannot be written: c"
    ):
        book.open()


def test_failed_tasks_are_a_manifest_in_their_order(tmp_path):
    book = ledger.Ledger(tmp_path)
    book.write_failed([])  # there is no file to remove
    kind = tasks.Kind(nst_tf.Job("town.png", "paint.png"), ())
    failed = [tasks.Task(n, kind, (), f"/x/{n}.png") for n in (9, 2)]
    book.write_failed(failed)
    lines = book.failed.read_text().splitlines()
    assert [json.loads(line)["output"] for line in lines] == [
        "/x/2.png",
        "/x/9.png",
    ]
    ledger.Ledger(tmp_path)  # it is known as ours
    book.write_failed([])
    assert not book.failed.exists()


def test_the_last_two_digests_of_a_file_are_known(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    os.symlink(tmp_path, tmp_path / "link")
    path = tmp_path / "results.jsonl"
    for number in range(4):
        line = {"status": "done", "output": "~/a.png", "digest": str(number)}
        ledger.append(path, line)
    ledger.append(path, {"status": "done", "output": "~/b.png"})
    written = ledger.Written(path)
    for name in ("~/a.png", f"{tmp_path}/a.png", f"{tmp_path}/link/a.png"):
        assert written.list_digests(name) == ["2", "3"]
    assert written.list_digests("~/b.png") == ()
    written.allow("~/a.png", ["4", "5"])
    assert written.list_digests("~/a.png") == ["3", "4", "5"]
    written.forget()
    assert written.list_digests("~/a.png") == ["3", "4", "5"]
    unread = ledger.Written(path, read_now=False)
    assert unread.list_digests("~/a.png") == ()
    assert ledger.Written(None).list_digests("~/a.png") == ()


@pytest.mark.parametrize("is_noted", [True, False])
def test_a_file_is_noted_before_it_takes_its_place(is_noted, tmp_path):
    book = tmp_path / "results.jsonl"
    written = ledger.Written(book if is_noted else None)
    digests = {}
    for name in ("a.bmp", "a.bmp.json"):
        whole = tmp_path / f"new-{name}"
        whole.write_text(name)
        digests[name] = ledger.files.digest_file(whole)
        written.note(tmp_path / name, whole)
        assert written.list_digests(str(tmp_path / name)) == [digests[name]]
    assert written.last == digests["a.bmp"]
    lines = [*ledger.read(book)]
    assert len(lines) == (2 if is_noted else 0)
    for line, (name, digest) in zip(lines, digests.items(), strict=False):
        assert line.pop("time").endswith("Z")
        assert line == {
            "status": "writing",
            "output": str(tmp_path / name),
            "digest": digest,
        }


def test_what_is_no_line_of_results_is_passed_over(tmp_path):
    path = tmp_path / "results.jsonl"
    assert [*ledger.read(path)] == []
    good = {"status": "skipped", "output": "a.png"}
    rows = [
        *("", "1", "[]", "{", "[" * 100_000),
        *('{"status": "done"}', '{"output": "a"}'),
        *('{"status": "lost", "output": "a"}',),
        '{"status": "done", "output": 3}',
        json.dumps(good),
    ]
    path.write_text("\n".join(rows))
    assert [*ledger.read(path)] == [good]


@pytest.mark.parametrize(
    ("text", "is_ours"),
    [
        ("", True),
        ("\n", True),
        ('{"status": "done"}\n?', True),
        ('{"style": "a.png"}\n', True),
        ('{"name": "a.png"}\n', False),
        ("[1]\n", False),
        ("mine\n", False),
        ("[" * 100_000, False),
    ],
)
def test_a_file_of_somebody_else_is_not_written_to(text, is_ours, tmp_path):
    (tmp_path / "results.jsonl").write_text(text)
    if is_ours:
        ledger.Ledger(tmp_path)
        return
    with pytest.raises(ValueError, match="exists, but no batch wrote it"):
        ledger.Ledger(tmp_path)


def _write(path, *lines):
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_the_last_line_of_an_output_is_merged(tmp_path):
    def line(status, name, number=None, **more):
        return {"status": status, "output": name, "line": number, **more}

    shards = [tmp_path / f"results-{n}-of-2.jsonl" for n in (1, 2)]
    old = line("done", "/x/a.png", 1, seconds=1)
    _write(tmp_path / "results.jsonl", old, line("done", "/x/z.png"))
    noted = line("writing", "/x/a.png", digest="1")
    new = line("failed", "/x/a.png", 5)
    _write(shards[0], noted, line("unfinished", "/x/b.png", 4), new)
    _write(shards[1], line("skipped", "/x/c.png", 3))
    _write(tmp_path / "results-x-of-2.jsonl", line("done", "/x/d.png", 2))
    _write(tmp_path / "failed-1-of-2.jsonl", {"style": "s"})
    counts = ledger.merge(tmp_path, [])
    assert counts == {"done": 1, "skipped": 1, "unfinished": 1, "failed": 1}
    merged = [*ledger.read(tmp_path / "results.jsonl")]
    assert merged == [
        line("done", "/x/z.png"),
        noted,
        line("skipped", "/x/c.png", 3),
        line("unfinished", "/x/b.png", 4),
        new,
    ]
    failed = tmp_path / "failed.jsonl"
    assert json.loads(failed.read_text()) == {"style": "s"}
    failed.unlink()
    _write(tmp_path / "other.jsonl", line("done", "/x/c.png", 3))
    assert ledger.merge(tmp_path, [tmp_path / "other.jsonl"]) == {
        **counts,
        "done": 2,
        "skipped": 0,
    }
    assert not failed.exists()


def test_only_results_are_merged(tmp_path):
    with pytest.raises(ValueError, match="there are no results of shards in"):
        ledger.merge(tmp_path, [])
    with pytest.raises(ValueError, match=r"there are no results .*no\.jsonl"):
        ledger.merge(tmp_path, [tmp_path / "no.jsonl"])
    (tmp_path / "mine.jsonl").write_text("mine\n")
    with pytest.raises(ValueError, match=r"mine\.jsonl exists, but no batch"):
        ledger.merge(tmp_path, [tmp_path / "mine.jsonl"])
