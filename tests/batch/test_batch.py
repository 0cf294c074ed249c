"""A batch in one process: what is painted, skipped, replaced, and noted."""

import dataclasses
import inspect
import json
import os
import shutil
import signal
import types

import pytest

from nst_tf.batch import api, command, command_line, ledger, stations
from nst_tf.images import image_io
from nst_tf.judge import judging

FLAGS = ("--flagfile=toy.cfg", "--progress=none")
TABLE = """\
content,style,output,steps
town.png,paint.png,out/a.png,3
town.png,town.png,out/b.bmp,3
paint.png,town.png,out/c.jpg,"2,3"
"""


@pytest.fixture
def run(folder, painter, monkeypatch):
    """Runs the program in a folder with jobs.csv, without a network."""
    (folder / "jobs.csv").write_text(TABLE)

    def run(*flags, manifest="jobs.csv"):
        given = [f"--manifest={manifest}"] if manifest else []
        return command.main([*given, *FLAGS, *flags])

    return run


def _statuses(path="results.jsonl"):
    lines = list(ledger.read(ledger.Path(path)))
    return [
        (line["line"], line["status"])
        for line in lines
        if line["status"] != ledger.WRITING
    ]


def _digests(folder):
    paths = sorted((folder / "out").iterdir())
    return {path.name: ledger.files.digest_file(path) for path in paths}


def test_a_batch_is_painted_once(run, folder, painter):
    assert run() == 0
    before = _digests(folder)
    assert {*before} == {"a.png", "b.bmp", "b.bmp.json", "c.jpg"}
    assert sorted(_statuses()) == [(2, "done"), (3, "done"), (4, "done")]
    found = {line["digest"] for line in ledger.read(folder / "results.jsonl")}
    assert {*before.values()} <= found
    assert not (folder / "failed.jsonl").exists()
    assert run() == 0
    assert len(painter.plans) == 3
    assert _digests(folder) == before
    # A copy in another place is that picture; another picture is none.
    shutil.copy("out/a.png", "out/d.png")
    rows = TABLE + "town.png,paint.png,out/d.png,3\n"
    (folder / "jobs.csv").write_text(rows)
    assert run() == 0
    assert len(painter.plans) == 3
    image_io.save_image("paint.png", image_io.load_picture("town.png").pixels)
    assert run("--overwrite") == 0
    assert len(painter.plans) == 6  # of a, c and d an input is another


def test_only_files_of_a_known_digest_are_replaced(
    run, folder, painter, capsys
):
    assert run() == 0
    before = _digests(folder)
    assert run("--seed=1") == 0
    after = _digests(folder)
    assert len(painter.plans) == 6
    assert all(after[name] != before[name] for name in ("a.png", "c.jpg"))
    # An editor keeps the record, which proves nothing of the file.
    with (folder / "out/c.jpg").open("ab") as file:
        file.write(b"edited")
    assert run("--seed=1") == 0
    capsys.readouterr()
    assert run("--seed=2") == 1
    assert "line 4: output out/c.jpg exists; choose" in capsys.readouterr().err
    assert len(painter.plans) == 6
    assert run("--seed=2", "--overwrite") == 0
    assert len(painter.plans) == 9
    (folder / "results.jsonl").unlink()
    assert run("--seed=3") == 1
    assert capsys.readouterr().err.count("exists; choose another name") == 3


def test_a_picture_that_fails_does_not_stop_the_others(
    run, folder, painter, capsys
):
    paint = painter.paint_one

    def fail(plan, level, share):
        if plan.inputs.sources["style/0"] == "paint.png":
            raise RuntimeError("no such luck")
        return paint(plan, level, share)

    painter.paint_one = fail
    assert run() == 5
    assert sorted(_statuses()) == [(2, "failed"), (3, "done"), (4, "done")]
    assert "line 2: RuntimeError: no such luck" in capsys.readouterr().err
    (line,) = (folder / "failed.jsonl").read_text().splitlines()
    assert json.loads(line)["output"] == str(folder / "out/a.png")
    painter.paint_one = paint
    other = folder / "other"
    other.mkdir()
    shutil.copy("failed.jsonl", other / "again.jsonl")
    assert run(manifest="other/again.jsonl") == 0
    assert (folder / "out/a.png").exists()
    assert run() == 0  # the record has all that the line had
    assert len(painter.plans) == 4
    assert not (folder / "failed.jsonl").exists()


def test_bad_lines_are_left_out_on_request(run, folder, painter):
    with (folder / "jobs.csv").open("a") as file:
        file.write("no.png,paint.png,out/d.png,3\ntown.png,paint.png,,x\n")
    assert run() == 1
    assert not painter.plans
    assert run("--skip_bad") == 5
    assert len(painter.plans) == 3
    (line,) = (folder / "failed.jsonl").read_text().splitlines()
    assert json.loads(line)["content"] == str(folder / "no.png")


@pytest.mark.usefixtures("default_signals")
def test_ctrl_c_saves_what_is_under_way_and_the_same_command_goes_on(
    run, folder, painter
):
    painter.events[2] = lambda step: (
        len(painter.plans) == 2 and signal.raise_signal(signal.SIGINT)
    )
    assert run() == 130
    assert [status for _, status in _statuses()] == ["done", "unfinished"]
    assert len(_digests(folder)) in (2, 3)  # one has a record beside it
    assert not list(folder.rglob(".*"))
    painter.events.clear()
    assert run() == 0
    assert len(painter.plans) == 4
    assert run() == 0
    assert len(painter.plans) == 4


def test_shards_share_a_manifest_and_are_merged(run, folder, painter):
    rows = [f"town.png,paint.png,out/{n}.png,3" for n in range(8)]
    (folder / "jobs.csv").write_text(
        "\n".join([TABLE.splitlines()[0], *rows, "no.png,paint.png,x.png,3"])
    )
    assert run("--shard=2/3", "--skip_bad") == 0
    assert _statuses("results-2-of-3.jsonl") == [
        (line, "done") for line in (3, 6, 9)
    ]
    assert run("--shard=1/3", "--skip_bad") == 0
    assert run("--shard=3/3", "--skip_bad") == 5
    assert command.main(["--merge"]) == 0
    assert _statuses() == [(line, "done") for line in range(2, 10)]
    assert (folder / "failed.jsonl").read_text().count("\n") == 1
    assert len(painter.plans) == 8
    # What is merged may be replaced.
    assert run("--seed=1", "--skip_bad") == 5
    assert len(painter.plans) == 16


def test_a_dry_run_says_what_there_is_to_do(run, folder, capsys, monkeypatch):
    # Nothing is painted.
    monkeypatch.setattr(command.device, "prepare", lambda: None)
    monkeypatch.setattr(
        command.groups.runner, "estimate_seconds", lambda plan: 1000.0
    )
    before = sorted(folder.rglob("*"))
    assert run("--dry_run") == 0
    assert sorted(folder.rglob("*")) == before
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "pictures  3"
    path = folder / "town.png"
    assert lines[1].split() == [
        *("2", str(path.name), "in", "the", "style", "of"),
        *("paint.png", "->", "out/a.png"),
    ]
    assert [line.split()[0] for line in lines[4:]] == ["time", "memory", "disk"]


def test_each_picture_is_judged_at_its_own_layers(run, folder, monkeypatch):
    layers = "block2_conv2", "block1_conv1", "block2_conv2"
    rows = (
        f"town.png,paint.png,{number}.png,3,{name}"
        for number, name in enumerate(layers)
    )
    head = f"{TABLE.splitlines()[0]},content_layers"
    (folder / "jobs.csv").write_text("\n".join([head, *rows]))
    scores = types.SimpleNamespace(**dict.fromkeys(stations.JUDGED, 0.5))
    chosen = []

    class Judge:
        def __init__(self, given):
            chosen.append(given["content_layers"])

        def judge(self, picture, subject):
            return scores

    monkeypatch.setattr(judging, "Judge", Judge)
    assert run("--judge") == 0
    assert sorted(chosen) == ["block1_conv1", "block2_conv2"]


def test_another_batch_is_not_disturbed(run, folder, painter, capsys):
    book = ledger.Ledger(folder)
    book.open()
    assert run() == 1
    assert "another batch writes results.jsonl" in capsys.readouterr().err
    book.close()
    with ledger.locks.hold(folder / ".a.png.lock"):
        (folder / "jobs.csv").write_text(TABLE.replace("out/a", "a"))
        assert run() == 5
    assert "another batch paints a.png now" in capsys.readouterr().err
    assert not (folder / "a.png").exists()
    assert run() == 0


def test_files_of_others_are_not_taken_for_results(run, folder, capsys):
    (folder / "failed.jsonl").write_text("mine\n")
    assert run() == 1
    assert "failed.jsonl exists, but no batch wrote" in capsys.readouterr().err


def test_a_missing_folder_of_results_is_made(run, folder, painter, capsys):
    (folder / "paint.jpg").write_text("no folder")
    assert run("--results_dir=paint.jpg/new") == 1
    assert (
        "paint.jpg/new/results.jsonl cannot be read: Not a"
        in capsys.readouterr().err
    )
    assert run("--results_dir=a/b", "--dry_run") == 0
    assert not (folder / "a").exists()
    assert run("--results_dir=a/b") == 0
    assert (folder / "a/b/results.jsonl").exists()


def test_half_a_line_of_results_is_passed_over(tmp_path):
    path = tmp_path / "results.jsonl"
    line = {"status": "done", "output": "a.png", "digest": "sha256:1"}
    ledger.append(path, line)
    with path.open("a") as file:
        file.write('{"status": "done", "outp')
    ledger.append(path, line)
    assert [*ledger.read(path)] == [line, line]


def test_outputs_are_never_inputs(run, folder, capsys):
    (folder / "jobs.csv").write_text(
        "content,style,output\ntown.png,paint.png,link/paint.png\n"
    )
    os.symlink(".", folder / "link")
    assert run("--overwrite") == 1
    assert "line 2: output link/paint.png is an" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--manifst=a.csv"], "did you mean '--manifest'"),
        (["--workers=x"], "workers is 'x', expected a whole number"),
        (["--workers=-1"], "workers is -1, expected at least 0"),
        (["--shard=4/3"], "shard is '4/3', expected a number and how many"),
        (["--log=a"], "log is for a single picture's run"),
        (["--sheet"], "sheet is for a single picture's run"),
        (["a.jpg"], "unexpected argument a.jpg; put patterns in quotes"),
        (["--judge=yes"], "--judge is 'yes', expected true or false"),
        (["--manifest"], "flag --manifest has no value"),
        ([], "no content images; name them with --content='FOLDER/*.jpg'"),
        (["--merge"], "there are no results of shards in ."),
        (["--merge", "a.jsonl"], "there are no results a.jsonl"),
    ],
)
def test_a_command_line_is_refused_in_one_sentence(
    flags, words, folder, capsys
):
    assert command.main(flags) == 1
    assert words in capsys.readouterr().err


def test_help_has_every_flag(capsys):
    from nst_tf.batch import command_line

    assert command.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(
        f"  --{'[no]' * (each.type is bool)}{each.name}" in shown
        for each in dataclasses.fields(command_line.Options)
    )
    assert max(map(len, shown.splitlines())) < 80


def test_a_call_from_python_has_the_defaults_of_the_program():
    given = inspect.signature(api.run_jobs).parameters
    options = {f.name: f for f in dataclasses.fields(command_line.Options)}
    shared = given.keys() & options.keys() - {"results_dir"}
    assert shared >= {"engine", "workers", "judge", "address", "gpus_per_job"}
    for name in shared:
        assert given[name].default == options[name].default
    assert given["progress"].default is False
    assert given["results_dir"].default is None
