"""Records in pictures, what they say, and pictures made again from them."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import toys
from PIL import Image

import nst_tf
from nst_tf import files
from nst_tf.cli import main
from nst_tf.images import image_io, writing
from nst_tf.network import bundled
from nst_tf.optimize import stopping
from nst_tf.plan import pyramid, settings
from nst_tf.runs import api, records, rerun, resume, run_log

VERSIONS = records.list_versions()
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@pytest.fixture
def folder(tmp_path, toy, monkeypatch):
    """A working directory with a flag file for the toy network."""
    monkeypatch.chdir(tmp_path)
    toys.write_flag_file(toy)
    return tmp_path


def _run(*flags):
    assert main.main(["--flagfile=toy.cfg", *flags]) == 0


def _again(name, *flags):
    assert main.main([f"--rerun={name}", *flags]) == 0


def _pixels(name):
    return image_io.load_image(name)


# What is recorded


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.bmp"])
def test_every_format_says_how_it_was_made(folder, name):
    _run(f"--output={name}", "--seed=7", "--init_noise=0.1")
    record = records.read_record(name)
    assert record["nst_tf"] == nst_tf.__version__
    assert record["flags"]["size"] == 96 and record["flags"]["seed"] == 7
    assert record["decided"]["sizes"] == [[48, 32], [64, 48], [96, 72]]
    assert record["decided"]["steps"] == [3, 3, 3]
    assert record["decided"]["precision"] == "float32"
    assert record["state"] == "done" and record["rescues"] == 0
    assert record["inputs"]["content"] == {
        "name": "town.png",
        "size": [80, 60],
        "digest": files.digest_file(Path("town.png")),
    }
    assert record["network"]["name"] == "toy"
    assert DIGEST.fullmatch(record["network"]["digest"])
    assert set(record["losses"]) == {
        f"content/{toys.CONTENT_LAYER}",
        *(f"style/{layer}" for layer in toys.STYLE_LAYERS),
        "total_variation",
    }
    assert {"python", "tensorflow", "keras", "numpy", "pillow"} == set(
        record["versions"]
    )
    assert Path(f"{name}.json").exists() == (name == "a.bmp")


def test_a_strength_is_recorded_with_what_it_set(folder):
    _run("--output=a.png", "--strength=0.3")
    record = records.read_record("a.png")
    assert record["flags"]["strength"] == 0.3
    settings = record["decided"]["settings"]
    assert settings["strength"] == -1 and settings["style_weight"] > 0
    _again("a.png", "--output=b.png")
    np.testing.assert_array_equal(_pixels("a.png"), _pixels("b.png"))


def test_nothing_private_is_recorded(folder):
    private = folder / "Jane Doe"
    private.mkdir()
    for name in ("town.png", "paint.png"):
        shutil.copy(name, private / name)
    flags = [
        f"--content={private / 'town.png'}",
        f"--style={private / 'paint.png'}",
        f"--init={private / 'paint.png'}",
        f"--checkpoint_dir={private / 'c'}",
        f"--log={private / 'l'}",
        f"--summary_dir={private / 's'}",
        "--levels=1",
    ]
    _run(*flags, "--output=a.png")
    assert "Doe" not in records.format_record(records.read_record("a.png"))
    assert str(folder) not in records.format_record(
        records.read_record("a.png")
    )
    assert b"Doe" not in Path("a.png").read_bytes()
    _run(*flags, "--output=b.png", "--record_paths", "--resume=never")
    inputs = records.read_record("b.png")["inputs"]
    assert inputs["content"]["name"] == str(private / "town.png")
    _again("b.png", "--output=c.png")
    np.testing.assert_array_equal(_pixels("a.png"), _pixels("c.png"))


def test_secrets_of_addresses_are_not_recorded():
    names = records._Names(paths=False)
    secret = "https://jane:word@host:8/a/b.png?key=123#part"
    assert names.of(secret) == "https://host:8/a/b.png"
    whole = "https://host:8/a/b.png?key=123#part"
    assert records._Names(paths=True).of(secret) == whole


def test_a_description_is_a_flag_file(folder, capsys):
    _run("--output=a.png", "--steps=4,2", "--tv_weight=3")
    capsys.readouterr()
    assert main.main(["--describe=a.png"]) == 0
    text = capsys.readouterr().out
    for words in (
        f"# a.png, made by nst_tf {nst_tf.__version__}, 20",
        "# done, after 8 steps in ",
        "# content: town.png, 80 x 60, sha256:",
        "# steps at each size: 48 x 32: 4, 64 x 48: 2, 96 x 72: 2",
        "--content=town.png\n",
        "--steps=4,2\n",
        "--weights=toy.h5\n",
    ):
        assert words in text
    Path("again.cfg").write_text(text)
    assert main.main(["--flagfile=again.cfg", "--output=b.png"]) == 0
    np.testing.assert_array_equal(_pixels("a.png"), _pixels("b.png"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--describe=none.png"], "there is no file none.png"),
        (["--describe=town.png"], "town.png does not say how it was made"),
        (["--describe=toy.cfg"], "toy.cfg does not say how it was made"),
        (["--describe", "a.png", "--size=3"], "describe is given alone"),
        (["--describe"], "describe is given alone, with a picture"),
        (["--rerun=none.png"], "there is no file none.png"),
        (["--rerun=town.png"], "town.png does not say how it was made"),
    ],
)
def test_a_picture_without_a_record_is_said(folder, capsys, arguments, words):
    assert main.main(arguments) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def _edit(change):
    """Changes the record of a.png."""
    record = records.read_record("a.png")
    text = change(record)
    edited = text if isinstance(text, (str, list)) else record
    options = writing.Options(record=json.dumps(edited))
    image_io.write_image("b.png", _pixels("a.png"), options)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: "text",
        lambda r: [],
        lambda r: r.pop("flags"),
        lambda r: r["decided"].update(sizes=[[1, 2]], steps=[1, 2]),
        lambda r: r["decided"].update(sizes=[["a", 2]], steps=[1]),
        lambda r: r["inputs"].pop("content"),
        lambda r: r["inputs"]["content"].update(name=3),
        lambda r: r["inputs"].update(style=[3]),
        lambda r: r["inputs"].update(content_mask=3),
        lambda r: r["inputs"].update({"style_mask/0": {"name": 3}}),
        lambda r: r["network"].update(digest=None),
        lambda r: r.update(losses={"a": "b"}),
        lambda r: r["flags"].update(wrong=3),
        lambda r: r["flags"].update(size="many"),
        lambda r: r["flags"].update(optimizer="cube"),
        lambda r: r["decided"].update(sizes=[[4, 4]] * 3),
    ],
)
def test_a_damaged_record_is_said_in_a_sentence(folder, capsys, change):
    _run("--output=a.png", "--steps=1", "--levels=1")
    _edit(change)
    capsys.readouterr()
    assert main.main(["--rerun=b.png"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("nst-tf: ") and error.count("\n") == 1


# Made again


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--bit_depth=16", "--optimizer=lbfgs", "--init=noise", "--seed=3"],
        ["--tolerance=0.01", "--steps=50"],
        ["--style=town.png", "--style_fit=crop", "--convention=gatys2016"],
        ["--init=paint.png", "--average=0", "--bounds=none"],
    ],
)
def test_a_picture_is_made_again_in_another_folder(folder, flags):
    _run("--output=a.png", *flags)
    away = folder / "away"
    away.mkdir()
    for name in ("a.png", "town.png", "paint.png"):
        shutil.move(name, away / name)
    places = [f"--weights={folder / 'toy.h5'}"]
    _again(away / "a.png", *places)
    np.testing.assert_array_equal(_pixels(away / "a.png"), _pixels("a.png"))
    again, first = (
        records.read_record("a.png"),
        records.read_record(away / "a.png"),
    )
    assert again["decided"]["steps"] == first["decided"]["steps"]


def test_a_picture_under_a_budget_is_made_again_as_decided(folder, monkeypatch):
    _run("--output=whole.png", "--steps=20")
    # A clock that runs ahead, differently each time: levels are cut short.
    ticks = iter(np.cumsum(np.random.default_rng(0).uniform(0, 0.4, 10**4)))
    budget = stopping.TimeBudget
    monkeypatch.setattr(
        stopping,
        "TimeBudget",
        lambda levels, seconds, start: budget(
            levels, seconds, 0.0, lambda: float(next(ticks))
        ),
    )
    _run("--output=a.png", "--steps=20", "--max_seconds=9")
    steps = records.read_record("a.png")["decided"]["steps"]
    assert sum(steps) < 60
    _again("a.png", "--output=b.png")
    np.testing.assert_array_equal(_pixels("a.png"), _pixels("b.png"))
    assert records.read_record("b.png")["decided"]["steps"] == steps


@pytest.mark.usefixtures("default_signals")
def test_a_stopped_and_resumed_picture_is_made_again(folder, monkeypatch):
    flags = ["--flagfile=toy.cfg", "--checkpoint_dir=c", "--output=a.png"]
    with monkeypatch.context() as patch:
        _stop_after(patch, 4)
        assert main.main(flags) == 130
    steps = records.read_record("a.png")["decided"]["steps"]
    assert (
        steps == [3, 1, 0]
        and records.read_record("a.png")["state"] == "unfinished"
    )
    _again("a.png", "--output=b.png")
    np.testing.assert_array_equal(_pixels("a.png"), _pixels("b.png"))
    assert main.main([*flags, "--overwrite"]) == 0
    assert records.read_record("a.png")["decided"]["steps"] == [3, 3, 3]


def _stop_after(monkeypatch, count):
    """Sends Ctrl-C with a step."""
    steps = api.run_steps

    def stopped(*args, **keywords):
        for number, step in enumerate(steps(*args, **keywords), start=1):
            if number == count:
                signal.raise_signal(signal.SIGINT)
            yield step

    monkeypatch.setattr(api, "run_steps", stopped)


def test_other_inputs_are_warned_of(folder, capsys, monkeypatch):
    _run("--output=a.png", "--steps=1", "--levels=1")
    toys.write_weights(Path("other.h5"), toys.weights(seed=1))
    image_io.save_image("other.png", toys.image(60, 80, 5))
    monkeypatch.setattr(
        records,
        "list_versions",
        lambda: {**VERSIONS, "numpy": "0.9"},
    )
    capsys.readouterr()
    _again(
        "a.png",
        "--content=other.png",
        "--weights=other.h5",
        "--output=b.png",
    )
    text = capsys.readouterr().out
    for words in (
        "warning   the content image is not the town.png of then",
        "warning   the network weights differ from the recorded ones",
        "and here is 0.9",
    ):
        assert words in text
    assert np.abs(_pixels("a.png") - _pixels("b.png")).max() > 0


@pytest.mark.parametrize(
    ("recorded", "digest", "expected"),
    [
        ("auto", bundled.VGG19.digest, "auto"),
        ("vgg19_notop.h5", bundled.VGG19.digest, "auto"),
        ("small", bundled.SMALL.digest, "small"),
        ("auto", bundled.SMALL.digest, "small"),  # where VGG19 was not there
        ("auto", "sha256:0", "imagenet"),
        ("imagenet", "sha256:0", "imagenet"),
        ("none.h5", "sha256:0", "imagenet"),
        ("toy.h5", "sha256:0", "./toy.h5"),
    ],
)
def test_the_network_is_found_by_its_digest(folder, recorded, digest, expected):
    _run("--output=a.png", "--steps=1", "--levels=1")
    _edit(lambda r: r["network"].update(weights=recorded, digest=digest))
    found = rerun.load(settings.Job(rerun="b.png"), {"rerun"})
    assert found.request.weights == expected
    named = settings.Job(rerun="b.png", weights="small")
    assert rerun.load(named, {"rerun", "weights"}).request.weights == "small"


def test_other_weights_are_taken_only_if_they_are_named(folder, capsys):
    _run("--output=a.png", "--steps=1", "--levels=1")
    _edit(lambda r: r["network"].update(digest="sha256:0"))
    capsys.readouterr()
    assert main.main(["--rerun=b.png", "--output=c.png"]) == 1
    assert (
        "made with network weights that are not here (toy.h5, sha256:0); "
        in (capsys.readouterr().err)
    )
    _again("b.png", "--output=c.png", "--weights=toy.h5")
    out = capsys.readouterr().out
    assert "warning   the network weights differ from the recorded ones" in out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--size=128"], "size is set, but rerun makes a picture again as it"),
        (["--style=paint.png", "--style=town.png"], "style names 2 pictures"),
        (["--content=none.png"], "there is no file none.png"),
        (["--output=a.png", "--overwrite"], "output a.png is one of the inp"),
    ],
)
def test_what_would_change_the_picture_is_refused(folder, capsys, flags, words):
    _run("--output=a.png", "--steps=1", "--levels=1")
    assert main.main(["--rerun=a.png", *flags]) == 1
    assert words in capsys.readouterr().err


def test_an_input_that_is_gone_is_asked_for(folder, capsys):
    _run("--output=a.png", "--steps=1", "--levels=1")
    Path("town.png").rename("village.png")
    assert main.main(["--rerun=a.png"]) == 1
    assert "say which it is with --content=PATH" in capsys.readouterr().err
    _again("a.png", "--content=village.png")
    np.testing.assert_array_equal(_pixels("a.png"), _pixels("a-2.png"))
    assert "warning" not in capsys.readouterr().out


def test_the_file_with_the_right_digest_is_preferred(folder):
    _run("--output=a.png", "--steps=1", "--levels=1")
    here = folder / "here"
    here.mkdir()
    shutil.move("a.png", here / "a.png")
    image_io.save_image(here / "town.png", toys.image(60, 80, 9))
    _again(here / "a.png")
    np.testing.assert_array_equal(_pixels(here / "a.png"), _pixels("a.png"))


def test_a_checkpoint_holds_the_steps_that_were_taken(folder):
    _run("--checkpoint_dir=c", "--checkpoint_every=1")
    newest = sorted(Path("c").glob("*.npz"))[-1]
    with np.load(newest) as file:
        assert file[resume.TAKEN].tolist() == [3, 3, 2]


# Logs


def test_the_log_has_a_line_for_each_step_that_is_reported(folder, capsys):
    _run("--log=run.jsonl", "--output=a.png")
    reported = capsys.readouterr().out.count("step ")
    lines = list(map(json.loads, Path("run.jsonl").read_text().splitlines()))
    assert len(lines) == reported >= 3
    assert [line["level"] for line in lines] == sorted(
        line["level"] for line in lines
    )
    last = lines[-1]
    assert (last["width"], last["height"]) == (96, 72)
    assert last["step"] == last["steps"] == 3
    assert last["memory"] is None or last["memory"] > 10**7
    assert 0 < lines[0]["seconds"] <= last["seconds"]
    losses = records.read_record("a.png")["losses"]
    assert set(last["losses"]) == set(losses)
    for name, value in losses.items():
        assert last["losses"][name] == pytest.approx(value, rel=1e-5)


def test_a_log_that_cannot_be_written_is_said_at_once(folder, capsys):
    assert main.main(["--flagfile=toy.cfg", "--log=none/run.jsonl"]) == 1
    assert "log none/run.jsonl cannot be written" in capsys.readouterr().err
    assert not Path("town-paint.png").exists()


def test_a_log_that_fails_later_does_not_end_the_run(folder, capsys):
    said = []
    log = run_log.Log("run.jsonl", said.append)
    Path("run.jsonl").unlink()
    Path("run.jsonl").mkdir()
    for _ in range(2):
        log.write(1, pyramid.Level(3, 4, 5), 1, 2.0, {}, 0.5, None)
    assert len(said) == 1 and "log run.jsonl failed" in said[0]


# Transparency, from file to file


def test_the_contents_alpha_is_restored_at_the_outputs_size(folder):
    rows = np.linspace(0, 1, 60)[:, None] * np.ones((60, 80))
    options = writing.Options(alpha=rows, bit_depth=16)
    image_io.write_image("town.png", toys.image(60, 80, 0), options)
    _run("--output=a.png", "--bit_depth=16")
    expected = image_io.resize_alpha(rows.astype("f4"), 72, 96)
    actual = image_io.load_picture("a.png").alpha
    np.testing.assert_allclose(actual, expected, atol=2e-5)
    _run("--output=a.jpg")
    assert Image.open("a.jpg").mode == "RGB"


def test_what_is_hidden_in_the_result_has_the_colors_around_it(folder, toy):
    alpha = np.ones((60, 80), "f4")
    alpha[:, 40:] = 0
    content = np.dstack([toys.image(60, 80, 0), alpha])
    settings = {"size": 64, "steps": 3, "weights": str(toy), "min_size": 64}
    settings |= {"extractor": "toy", "precision": "float32"}
    settings |= {"content_layers": toys.CONTENT_LAYER}
    settings |= {"style_layers": ",".join(toys.STYLE_LAYERS)}
    image = nst_tf.stylize(content, "paint.png", **settings)
    assert image[:, 40:].std(axis=(0, 1)).max() < 0.1 < image[:, :30].std()
    image_io.write_image(
        "b.png",
        np.where(alpha[..., None] == 0, [0, 1, 0], content[..., :3]),
        writing.Options(alpha=alpha),
    )
    stored = np.asarray(Image.open("b.png"))
    assert (stored[:, 40:, 3] == 0).all()
    assert stored[:, 40:, :3].std(axis=(0, 1)).max() < 0.1 * 255


@pytest.mark.parametrize("name", ["town.png", "paint.png"])
def test_a_hidden_color_changes_nothing_in_the_result(folder, name):
    image = _pixels(name)
    alpha = np.ones(image.shape[:2])
    alpha[: len(alpha) // 2, 20:] = 0
    for number, color in enumerate(([1, 0, 0], [0, 0.5, 1])):
        changed = np.where(alpha[..., None] == 0, color, image)
        samples = np.rint(255 * np.dstack([changed, alpha])).astype("u1")
        Image.fromarray(samples).save(name)
        _run(f"--output=r{number}.png", "--levels=1")
    np.testing.assert_array_equal(_pixels("r0.png"), _pixels("r1.png"))


# What a hostile reader found


@pytest.mark.parametrize(
    "log", ["town.png", "toy.h5", "a.png", "a.preview.png", "a.bmp.json"]
)
def test_a_log_never_replaces_or_spoils_a_file_of_the_run(folder, capsys, log):
    output = "a.bmp" if log.endswith("json") else "a.png"
    before = Path(log).read_bytes() if Path(log).exists() else None
    flags = [f"--output={output}", f"--log={log}", "--preview_every=1"]
    assert main.main(["--flagfile=toy.cfg", *flags]) == 1
    assert f"log {log} is a picture or file" in capsys.readouterr().err
    assert (Path(log).read_bytes() if Path(log).exists() else None) == before


def test_a_log_to_a_pipe_is_refused_and_a_dry_run_writes_none(folder, capsys):
    os.mkfifo("pipe")
    assert main.main(["--flagfile=toy.cfg", "--log=pipe"]) == 1
    assert "no regular file" in capsys.readouterr().err
    _run("--dry_run", "--log=run.jsonl")
    assert not Path("run.jsonl").exists()


def test_a_start_that_has_no_part_is_recorded_by_its_name(folder):
    start = folder / "Jane Doe" / "start.png"
    start.parent.mkdir()
    shutil.copy("town.png", start)
    _run("--output=a.png", f"--init={start}", "--strength=0")
    assert "Doe" not in records.format_record(records.read_record("a.png"))


def test_notes_that_do_not_fit_do_not_cost_the_picture(folder):
    notes = Image.Exif()
    notes[0x010E] = "x" * 900
    for tag in (0x829A, 0x9204, 0x920A):
        notes.get_ifd(0x8769)[tag] = tuple([0.5] * 500)
    notes.get_ifd(0x8769)[0x8827] = tuple(range(20000))
    Image.open("town.png").convert("RGB").save("town.jpg", exif=notes)
    _run("--content=town.jpg", "--output=a.jpg")
    long = writing.Options(exif=notes, record=json.dumps({"a": "b" * 30000}))
    image_io.write_image("b.jpg", _pixels("town.png"), long)
    assert writing.read_record(Image.open("b.jpg")) == long.record


def test_a_record_beside_a_picture_replaces_no_file(folder, monkeypatch):
    monkeypatch.setattr(writing, "LONGEST_RECORD", 10)
    Path("a.jpg.json").write_text("mine")
    _run("--output=a.jpg")
    assert Path("a.jpg.json").read_text() == "mine"
    assert records.read_record("a-2.jpg")["flags"]["size"] == 96


def test_a_description_has_only_what_changes_the_picture(folder, capsys):
    _run("--output=a.png", "--steps=1", "--levels=1")
    _edit(lambda r: r["flags"].update(overwrite=True, output="v.png", odd=1))
    capsys.readouterr()
    assert main.main(["--describe=b.png"]) == 0
    text = capsys.readouterr().out
    assert "--overwrite" not in text and "--output" not in text
    assert "# not known to this version: odd, output, overwrite" in text


@pytest.mark.parametrize(
    "name",
    ["a b.png", "a\u202fb.png", "#a=b,c.png", " a.png", "-a.png", "é%41.png"],
)
def test_names_of_all_kinds_are_described(folder, capsys, name):
    shutil.copy("town.png", name)
    _run("--output=r.png", f"--content={name}", "--levels=1")
    capsys.readouterr()
    assert main.main(["--describe=r.png"]) == 0
    text = capsys.readouterr().out
    Path("again.cfg").write_text(text)
    if name.strip() != name:
        assert "# --content= cannot be written here" in text
        return
    assert main.main(["--flagfile=again.cfg", "--output=s.png"]) == 0
    np.testing.assert_array_equal(_pixels("r.png"), _pixels("s.png"))


@pytest.mark.parametrize(
    "flags",
    ["--init=noise", "--continue_from=paint.png", "--resume=auto"],
)
def test_what_was_not_there_is_refused_when_made_again(folder, capsys, flags):
    _run("--output=a.png", "--steps=1", "--levels=1")
    assert main.main(["--rerun=a.png", flags]) == 1
    assert "rerun makes a picture again" in capsys.readouterr().err


def test_files_named_like_keywords_are_files(folder):
    shutil.copy("paint.png", "noise")
    _run("--output=a.png", "--init=./noise", "--levels=1")
    assert records.read_record("a.png")["inputs"]["init"]["name"] == "./noise"
    _again("a.png", "--output=b.png")
    np.testing.assert_array_equal(_pixels("a.png"), _pixels("b.png"))


def test_another_file_of_the_name_is_not_taken_for_the_right_one(
    folder, capsys
):
    _run("--output=a.png", "--steps=1", "--levels=1")
    image_io.save_image("paint.png", toys.image(50, 60, 8))
    assert main.main(["--rerun=a.png"]) == 1
    assert "./paint.png is another file" in capsys.readouterr().err


def test_what_we_wrote_of_another_picture_is_not_passed_on(folder):
    _run("--output=first.tif", "--record_paths", "--levels=1")
    _run("--content=first.tif", "--output=second.png", "--levels=1")
    assert str(folder).encode() not in Path("second.png").read_bytes()


def test_a_style_that_is_cropped_to_nothing_is_refused(folder, capsys):
    alpha = np.zeros((64, 300))
    alpha[:, :40] = 1
    image_io.write_image(
        "paint.png", toys.image(64, 300), writing.Options(alpha=alpha)
    )
    assert main.main(["--flagfile=toy.cfg", "--style_fit=crop"]) == 1
    assert "wholly transparent where it is cropped" in capsys.readouterr().err


@pytest.mark.parametrize(
    "setting",
    [{"rerun": "a"}, {"log": "a"}, {"summary_dir": "a"}, {"dry_run": True}],
)
def test_what_is_for_the_program_is_said_by_run_job(setting):
    with pytest.raises(ValueError, match="is for the program"):
        nst_tf.run_job(nst_tf.Job(**setting))
