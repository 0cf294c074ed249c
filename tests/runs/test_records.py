"""Records in pictures, what they say, and pictures made again from them."""

import dataclasses
import inspect
import json
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pretend
import pytest
import toys
from PIL import Image

import nst_tf
from nst_tf import files, run
from nst_tf.cli import flags, main
from nst_tf.images import image_io, writing
from nst_tf.metadata import xmp
from nst_tf.network import bundled
from nst_tf.plan import schedule, settings
from nst_tf.runs import api, description, record_checks, records, rerun, resume

pytestmark = pytest.mark.usefixtures("folder")
VERSIONS = records.list_versions()
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def _run(*typed):
    assert main.main(["--flagfile=toy.cfg", *typed]) == 0


def _again(name, *typed):
    assert main.main([f"--rerun={name}", *typed]) == 0


def _pixels(name):
    return image_io.load_image(name)


def _make_record(*typed, **outcome):
    """Records a run that is not made: record, job, draft."""
    job = flags.parse(["--flagfile=toy.cfg", *typed])
    draft = api.draft_files(job)
    found = records.Outcome(
        **{
            "steps": [level.steps for level in draft.levels],
            "state": "done",
            "losses": {"a": 1.23456789, "b": 2e-9},
            "rescues": 2,
            "seconds": 1.26,
            "device": "a card",
            **outcome,
        }
    )
    return records.make_record(job, draft, found), job, draft


def _write_mask(name="mask.png", first=30):
    """Writes a mask of the content's size, white from a column on."""
    image = np.zeros((60, 80, 3))
    image[:, first:] = 1
    image_io.save_image(name, image)


def _save(record, name="a.png"):
    """Writes a picture with a record."""
    options = writing.Options(record=json.dumps(record))
    image_io.write_image(name, toys.image(9, 9), options)


def _describe(record):
    """The lines of a description: notes, flags."""
    _save(record, "described.png")
    lines = description.describe("described.png")
    count = [line.lstrip("# ")[:2] for line in lines].index("--")
    return lines[:count], lines[count:]


def _drafts_of(record):
    """The drafts that make a picture again, by --rerun and --describe."""
    _save(record, "again.png")
    recorded = rerun.load(settings.Job(rerun="again.png"), {"rerun"})
    draft = rerun.repeat(recorded, api.draft_files(recorded.job))
    Path("again.cfg").write_text("\n".join(_describe(record)[1]))
    job = flags.parse(["--flagfile=again.cfg", "--output=other.png"])
    return draft, api.draft_files(job)


def _identity(draft):
    """What decides the pixels of a draft, but for the steps."""
    same = resume.make_identity(draft)
    # These are as decided, in one way or another.
    for name in ("strength", "steps of levels"):
        del same[name]
    return same, [level._replace(steps=0) for level in draft.levels]


# What is recorded


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.bmp"])
def test_every_format_says_how_it_was_made(painter, name):
    _run(f"--output={name}", "--seed=7", "--init_noise=0.1", "--levels=2")
    record = records.read_record(name)
    assert record["nst_tf"] == nst_tf.__version__
    assert record["flags"]["size"] == 96 and record["flags"]["seed"] == 7
    assert record["decided"]["sizes"] == [[64, 48], [96, 72]]
    assert record["decided"]["steps"] == [3, 3]
    assert record["decided"]["precision"] == "float32"
    assert record["state"] == "done" and record["rescues"] == 0
    assert record["inputs"]["content"] == {
        "name": "town.png",
        "size": [80, 60],
        "digest": files.digest_file(Path("town.png")),
    }
    assert record["network"]["name"] == "toy"
    assert DIGEST.fullmatch(record["network"]["digest"])
    assert record["losses"] == pretend.TERMS
    assert record["versions"] == VERSIONS
    assert Path(f"{name}.json").exists() == (name == "a.bmp")


def test_a_record_holds_every_setting_as_it_was_decided():
    typed = ["--strength=0.3", "--bit_depth=16", "--style_scale=2"]
    record, job, draft = _make_record(*typed, "--style=town.png")
    decided = record["decided"]["settings"]
    assert set(decided) == settings.RECORDED | {"content_target"}
    for name in settings.RECORDED - {"tile"}:
        assert decided[name] == draft.settings[name], name
    assert decided["style_scale"] == (2.0, 2.0) or job.style == ("town.png",)
    assert (decided["strength"], record["flags"]["strength"]) == (-1, 0.3)
    assert decided["style_weight"] > 0 and decided["bit_depth"] == 16
    assert decided["init"] == "content"
    flags_ = {k: v for k, v in vars(job).items() if k in settings.RECORDED}
    defaults = vars(settings.Job())
    assert record["flags"] == {
        name: value for name, value in flags_.items() if value != defaults[name]
    }
    assert record["losses"] == {"a": 1.23457, "b": 2e-9}
    assert (record["seconds"], record["rescues"]) == (1.3, 2)
    assert record["device"] == "a card"


def test_what_the_machine_decided_is_recorded():
    job = flags.parse(["--flagfile=toy.cfg", "--precision=auto"])
    draft = api.draft_files(job)
    plan = dataclasses.replace(
        draft,
        network=draft.network._replace(
            precision="bfloat16", convolution="direct"
        ),
        tiling=draft.tiling._replace(side=48, content_target="recompute"),
    )
    outcome = records.Outcome([1, 2, 3], "unfinished", {}, 0, 1.0, "")
    record = records.make_record(job, plan, outcome)
    decided = record["decided"]
    assert decided["precision"] == "bfloat16"
    assert decided["convolution"] == "direct"
    assert decided["settings"]["tile"] == 48
    assert decided["settings"]["content_target"] == "recompute"
    assert decided["steps"] == [1, 2, 3]
    assert (
        "in tiles of 48, content features recomputed" in _describe(record)[0][1]
    )


def test_pictures_besides_are_inputs():
    _write_mask()
    _write_mask("keep.png", 70)
    masks = ["content_mask", "strength_map", "keep_mask"]
    typed = [f"--{name}=mask.png" for name in masks[:2]]
    typed.append("--keep_mask=keep.png")
    record, _, _ = _make_record(*typed, "--style=paint.png", "--init=mask.png")
    assert set(record["inputs"]) == {"content", "style", *masks, "init"}
    assert record["flags"]["init"] == "mask.png"
    assert "init" not in record["decided"]["settings"]
    names = [record["inputs"][name]["name"] for name in (*masks, "init")]
    assert names == ["mask.png", "mask.png", "keep.png", "mask.png"]
    image_io.save_image("small.png", toys.image(48, 64))
    record, _, _ = _make_record("--continue_from=small.png")
    assert record["inputs"]["continue_from"]["size"] == [64, 48]
    assert "init" not in record["decided"]["settings"]


def test_nothing_private_is_recorded(folder, painter):
    private = folder / "Jane Doe"
    private.mkdir()
    for name in ("town.png", "paint.png", "toy.h5"):
        shutil.copy(name, private / name)
    typed = [
        f"--content={private / 'town.png'}",
        f"--style={private / 'paint.png'}",
        f"--init={private / 'paint.png'}",
        f"--weights={private / 'toy.h5'}",
        f"--checkpoint_dir={private / 'c'}",
        f"--log={private / 'l'}",
        "--levels=1",
    ]
    _run(*typed, "--output=a.png")
    text = records.format_record(records.read_record("a.png"))
    assert "Doe" not in text and str(folder) not in text
    assert b"Doe" not in Path("a.png").read_bytes()
    typed[5] = f"--log={private / 'm'}"
    _run(*typed, "--output=b.png", "--record_paths", "--resume=never")
    record = records.read_record("b.png")
    assert record["inputs"]["content"]["name"] == str(private / "town.png")
    assert record["network"]["weights"] == str(private / "toy.h5")
    assert main.main(["--rerun=b.png"]) == 1  # paths are for a user to type
    _again("b.png", "--output=c.png", *typed[:4])
    np.testing.assert_array_equal(_pixels("a.png"), _pixels("c.png"))
    # A start that has no part, too.
    record, _, _ = _make_record(*typed[:4], "--strength=0")
    assert "Doe" not in json.dumps(record)


def test_sources_are_named():
    names, paths = records._Names(False), records._Names(True)
    secret = "https://jane:word@host:8/a/b.png?key=123#part"
    assert names.find(secret) == "https://host:8/a/b.png"
    assert paths.find(secret) == "https://host:8/a/b.png"
    assert names.find("-") == paths.find("-") == "-"
    assert names.find("a/b.png") == "b.png"
    assert paths.find("a/b.png") == str(Path("a/b.png").absolute())
    for word in ("noise", "small", "auto"):  # the file, not what it means
        assert names.find(f"a/{word}") == f"./{word}"
    assert names.find("a/-") == "./-"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [([], "toy.h5"), (["--extractor=vgg19", "--weights=small"], "small")],
)
def test_the_weights_are_named(typed, expected):
    layers = ["--content_layers=block2_conv1", "--style_layers=block1_conv1"]
    record, _, _ = _make_record(*typed, *(layers if typed else []))
    assert record["network"]["weights"] == expected


# Read again


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--describe=none.png"], "there is no file none.png"),
        (["--describe=town.png"], "town.png has no record"),
        (["--describe=toy.cfg"], "toy.cfg has no record"),
        (["--describe", "a.png", "--size=3"], "describe needs a picture"),
        (["--describe"], "describe needs a picture"),
        (["--describe="], "describe needs a picture"),
        (["--rerun=none.png"], "there is no file none.png"),
        (["--rerun=town.png"], "town.png has no record"),
    ],
)
def test_a_picture_without_a_record_is_said(capsys, arguments, words):
    assert run.main(arguments) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda r: "text",
        lambda r: [],
        lambda r: r.pop("flags"),
        lambda r: r["decided"].pop("settings"),
        lambda r: r["decided"].update(sizes=[[1, 2]], steps=[1, 2]),
        lambda r: r["decided"].update(sizes=[["a", 2]], steps=[1]),
        lambda r: r["decided"].update(sizes=[[0, 2]], steps=[1]),
        lambda r: r["decided"].update(sizes=[[1, 2]], steps=[-1]),
        lambda r: r["decided"].update(sizes=[[1, 2]], steps=[1.5]),
        lambda r: r["decided"].update(sizes=[[1, 2, 3]], steps=[1]),
        lambda r: r["decided"].update(sizes=[[True, 2]], steps=[1]),
        lambda r: r["decided"].update(seed="a"),
        lambda r: r["decided"].update(precision=16),
        lambda r: r["inputs"].pop("content"),
        lambda r: r["inputs"]["content"].update(name=3),
        lambda r: r["inputs"]["content"].update(size=[3]),
        lambda r: r["inputs"]["content"].update(size=[3, "4"]),
        lambda r: r["inputs"].update(style=[3]),
        lambda r: r["inputs"].update(style={}),
        lambda r: r["inputs"].update(content_mask=3),
        lambda r: r["inputs"].update({"style_mask/0": {"name": 3}}),
        lambda r: r["network"].update(digest=None),
        lambda r: r["network"].update(weights=3),
        lambda r: r.update(losses={"a": "b"}),
        lambda r: r.update(seconds="1"),
        lambda r: r.update(rescues=1.5),
        lambda r: r.update(versions=[]),
        lambda r: r["versions"].update(numpy=2),
        lambda r: r.update(made=3),
        lambda r: r.update(device=None),
    ],
)
def test_a_damaged_record_is_none(change):
    record = json.loads(json.dumps(_make_record()[0]))
    _save(record)
    assert records.read_record("a.png") == record
    text = change(record)
    _save(text if text in ("text", []) else record)
    with pytest.raises(ValueError, match=r"^a.png has no record"):
        records.read_record("a.png")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["flags"].update(wrong=3), "with the setting wrong, which"),
        (lambda r: r["decided"]["settings"].update(size="many"), "damaged rec"),
        (lambda r: r["decided"]["settings"].update(optimizer="cube"), "'cube'"),
        (lambda r: r["decided"].update(sizes=[[4, 4]] * 3), "at the sizes"),
    ],
)
def test_a_record_that_cannot_be_repeated_is_said(capsys, change, words):
    record, _, _ = _make_record()
    change(record)
    _save(record)
    assert main.main(["--rerun=a.png"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("nst-tf: ") and error.count("\n") == 1
    assert words in error


def test_a_record_beside_a_picture_is_read(monkeypatch):
    record = json.loads(json.dumps(_make_record()[0]))
    beside = Path("town.png.json")
    beside.write_text(json.dumps(record))
    assert records.read_record("town.png") == record
    Path.home().mkdir()
    shutil.copy("town.png", Path.home())
    shutil.copy(beside, Path.home())
    assert records.read_record("~/town.png") == record
    size = beside.stat().st_size
    monkeypatch.setattr(record_checks, "LONGEST", size)
    assert records.read_record("town.png") == record
    monkeypatch.setattr(record_checks, "LONGEST", size - 1)
    with pytest.raises(ValueError, match="has no record"):
        records.read_record("town.png")


def test_a_record_beside_a_picture_replaces_no_file(painter, monkeypatch):
    monkeypatch.setattr(writing, "LONGEST_RECORD", 10)
    Path("a.jpg.json").write_text("mine")
    _run("--output=a.jpg")
    assert Path("a.jpg.json").read_text() == "mine"
    assert records.read_record("a-2.jpg")["flags"]["size"] == 96


def test_a_package_that_is_not_there_has_no_version(monkeypatch):
    version = records.importlib.metadata.version

    def find(name):
        if name in ("keras", "tensorflow"):
            raise records.importlib.metadata.PackageNotFoundError
        # Of several the first counts.
        others = {"tensorflow-cpu": "9", "tf-nightly": "8"}
        return others.get(name) or version(name)

    monkeypatch.setattr(records.importlib.metadata, "version", find)
    found = records.list_versions()
    assert found["tensorflow"] == "9" and "keras" not in found
    assert found["numpy"] == np.__version__


# Described


def test_a_description_is_a_flag_file(capsys):
    typed = ["--steps=4,2", "--tv_weight=3", "--keep_location"]
    typed += ["--style=paint.png", "--style=town.png", "--style_blend=0.7,0.3"]
    record, job, _ = _make_record(*typed, "--style_layers=block1_conv1:2")
    notes, lines = _describe(record)
    digest = record["network"]["digest"]
    town = record["inputs"]["content"]["digest"]
    assert notes[:3] == [
        f"# described.png, made by nst_tf {nst_tf.__version__}, "
        f"{record['made']}",
        "# done, after 8 steps in 1.3 s, on a card, float32",
        f"# content: town.png, 80 x 60, {town}",
    ]
    assert notes[3].startswith("# style: paint.png, 60 x 5")
    assert notes[5:] == [
        f"# network: toy, weights toy.h5, {digest}",
        "# steps at each size: 48 x 32: 4, 64 x 48: 2, 96 x 72: 2; rescues: 2; "
        "seed: 0",
        "# losses of the last step: a 1.235, b 2e-09",
        "# versions: "
        + ", ".join(f"{name} {value}" for name, value in VERSIONS.items()),
    ]
    Path("again.cfg").write_text("\n".join(lines))
    again = flags.parse(["--flagfile=again.cfg"])
    for name in settings.RECORDED:
        assert getattr(again, name) == getattr(job, name), name
    assert again.style == job.style
    capsys.readouterr()
    assert run.main(["--describe", "described.png"]) == 0
    assert capsys.readouterr().out == "\n".join([*notes, *lines, ""])


def test_a_description_has_only_what_changes_the_picture():
    record, _, _ = _make_record()
    record["flags"].update(overwrite=True, output="v.png", odd=1)
    notes, lines = _describe(record)
    assert not {"--overwrite", "--output=v.png", "--odd=1"} & set(lines)
    assert notes[-1] == "# unknown to this version: odd, output, overwrite"
    record["network"]["weights"] = "auto"
    assert not any("--weights" in line for line in _describe(record)[1])
    assert f"--weights={Path('toy.h5')}" in lines


@pytest.mark.parametrize(
    "name",
    ["a b.png", "a\u202fb.png", "#a=b,c.png", " a.png", "-a.png", "é%41.png"],
)
def test_names_of_all_kinds_are_described(name):
    shutil.copy("town.png", name)
    record, _, _ = _make_record(f"--content={name}", "--levels=1")
    _, lines = _describe(record)
    if name.strip() != name:
        assert (
            lines[0]
            == f"# --content= does not fit a flag file; type it: {name}"
        )
        return
    Path("again.cfg").write_text("\n".join(lines))
    again = flags.parse(["--flagfile=again.cfg"])
    assert Path(again.content) == Path(name)


def test_what_cannot_be_printed_is_not():
    record, _, _ = _make_record()
    record["inputs"]["content"]["name"] = "a\nb\x1b\u2028c.png"
    notes, lines = _describe(record)
    shown = "a\\u000ab\\u001b c.png"
    assert (
        lines[0] == f"# --content= does not fit a flag file; type it: {shown}"
    )
    assert f"# content: {shown}, 80 x 60" in notes[2]


def _change_default(monkeypatch, name, value, **rules):
    """Changes the default of a setting, as a later version may."""
    field = settings.FIELDS[name]
    place = list(settings.FIELDS).index(name)
    initialize = inspect.unwrap(settings.Job.__init__)
    defaults = list(initialize.__defaults__)
    defaults[place] = value
    monkeypatch.setattr(field, "default", value)
    monkeypatch.setattr(field, "metadata", {**field.metadata, **rules})
    monkeypatch.setattr(settings.Job, name, value)
    monkeypatch.setattr(initialize, "__defaults__", tuple(defaults))


CHANGED = {
    "tv_weight": (7.0, "--tv_weight=50.0"),
    "neighbors_weight": (2.0, "--neighbors_weight=0.5"),
    "quality": (60, "--quality=95"),
    "optimizer": ("adam", "--optimizer=auto"),
    "style_fit": ("crop", "--style_fit=keep"),
    "bounds": ("none", "--bounds=box"),
    "init": ("gray", "--init=content"),
    "seed": (3, "--seed=0"),
    "pooling": ("max", "--pooling=average"),
}


@pytest.mark.parametrize("name", CHANGED)
@pytest.mark.parametrize("older", [False, True])
def test_a_later_default_changes_no_old_picture(monkeypatch, name, older):
    mix = ["--style_loss=mix", f"--neighbors_layers={toys.CONTENT_LAYER}"]
    typed = mix if name == "neighbors_weight" else []
    record, _, draft = _make_record(*typed)
    rules = {}
    if older:  # it had not all settings, or it was before there was this one
        record["decided"]["settings"] = {}
        rules["absent"] = settings.FIELDS[name].default
    changed, words = CHANGED[name]
    assert words not in _describe(record)[1]
    _change_default(monkeypatch, name, changed, **rules)
    assert _make_record(*typed)[2].settings[name] == changed
    assert words in _describe(record)[1]
    for again in _drafts_of(record):
        assert _identity(again) == _identity(draft)
        assert again.file._replace(overwrite=False) == draft.file


@pytest.mark.parametrize("asked", [False, True])
def test_a_later_default_of_adam_changes_no_optimizer(monkeypatch, asked):
    rate = ["--learning_rate=0.05"] if asked else []
    record, _, draft = _make_record("--optimizer=auto", *rate)
    name = "adam" if asked else "lbfgs"
    assert {level.optimizer for level in draft.levels} == {name}
    _change_default(monkeypatch, "learning_rate", 0.05)
    for again in _drafts_of(record):
        assert [level._replace(steps=0) for level in again.levels] == [
            level._replace(steps=0) for level in draft.levels
        ]


def test_without_absent_a_record_means_the_default(monkeypatch):
    record, _, _ = _make_record()
    record["decided"]["settings"] = {}
    _change_default(monkeypatch, "tv_weight", 7.0)
    for again in _drafts_of(record):
        assert again.tv_weight == 7
    decided = records.read_decided(record)
    assert decided["tv_weight"] == 7 and decided["size"] == 96
    assert set(decided) >= settings.RECORDED


def test_what_was_decided_comes_before_what_was_asked():
    record, _, _ = _make_record("--tv_weight=3")
    record["decided"]["settings"]["tv_weight"] = 4.0
    assert records.read_decided(record)["tv_weight"] == 4
    assert "--tv_weight=4.0" in _describe(record)[1]


def test_a_strength_is_described_as_long_as_it_means_the_same(monkeypatch):
    record, _, draft = _make_record("--strength=0.3")
    _, lines = _describe(record)
    assert "--strength=0.3" in lines
    assert not any("style_weight" in line for line in lines)
    again, described = _drafts_of(record)
    assert _identity(again) == _identity(described) == _identity(draft)
    apply = schedule.apply_strength
    monkeypatch.setattr(
        schedule,
        "apply_strength",
        lambda job: (
            apply(dataclasses.replace(job, strength=0.5))
            if job.strength >= 0
            else job
        ),
    )
    _, lines = _describe(record)
    assert not any("strength" in line for line in lines)
    decided = record["decided"]["settings"]
    assert f"--content_weight={decided['content_weight']}" in lines
    again, described = _drafts_of(record)
    assert _identity(again) == _identity(described) == _identity(draft)


def test_a_size_on_paper_is_described_as_long_as_it_means_the_same(monkeypatch):
    record, _, draft = _make_record("--print_size=2x3in", "--dpi=32")
    decided = record["decided"]["settings"]
    assert (decided["print_size"], decided["size"]) == ("", 85)
    _, lines = _describe(record)
    assert "--print_size=2x3in" in lines and "--dpi=32.0" in lines
    assert not any(line.startswith("--size") for line in lines)
    for again in _drafts_of(record):
        assert (again.size, again.file.dpi) == (draft.size, 32)
    _change_default(monkeypatch, "tv_weight", 7.0)
    _, lines = _describe(record)
    assert {"--size=85", "--dpi=32.0", "--tv_weight=50.0"} < set(lines)
    assert not any("print_size" in line for line in lines)
    for again in _drafts_of(record):
        assert (again.size, again.file.dpi) == (draft.size, 32)


def test_a_folder_of_styles_is_described_by_its_pictures():
    Path("styles").mkdir()
    for number in range(2):
        image_io.save_image(f"styles/{number}.png", toys.image(40, 50, number))
    typed = ["--style=styles", "--style=paint.png", "--style_blend=3,1"]
    record, _, draft = _make_record(*typed)
    assert [each["name"] for each in record["inputs"]["style"]] == [
        "0.png",
        "1.png",
        "paint.png",
    ]
    for name in ("0.png", "1.png"):
        shutil.copy(f"styles/{name}", name)
    for again in _drafts_of(record):
        weights = [style.weight for style in again.regions[0].styles]
        assert weights == [style.weight for style in draft.regions[0].styles]
        assert len(weights) == 3
    record, _, _ = _make_record(*typed, "--strength=0.3")
    _, lines = _describe(record)  # what was asked for is said as it was
    assert "--strength=0.3" in lines
    assert not any("style_weight" in line for line in lines)


# Made again


@pytest.mark.parametrize(
    "typed",
    [
        [],
        ["--bit_depth=16", "--optimizer=lbfgs", "--init=noise", "--seed=3"],
        ["--tolerance=0.01", "--steps=50", "--strength=0.4"],
        ["--style=town.png", "--style_fit=crop", "--convention=gatys2016"],
        ["--init=paint.png", "--average=0", "--bounds=none"],
        ["--keep_mask=mask.png", "--color=luminance", "--max_seconds=60"],
    ],
)
def test_the_plan_of_a_picture_is_made_again_in_another_folder(
    folder, painter, typed
):
    _write_mask()
    _run("--output=a.png", *typed)
    away = folder / "away"
    away.mkdir()
    for name in ("a.png", "town.png", "paint.png", "mask.png"):
        shutil.move(name, away / name)
    _again(away / "a.png", f"--weights={folder / 'toy.h5'}")
    np.testing.assert_array_equal(_pixels(away / "a.png"), _pixels("a.png"))
    first, again = painter.plans
    assert _identity(first)[1] == _identity(again)[1]
    then, now = (records.read_record(p) for p in (away / "a.png", "a.png"))
    assert now["decided"]["steps"] == then["decided"]["steps"]
    assert again.stop.steps == then["decided"]["steps"]
    assert again.file == first.file


def test_a_picture_is_made_again_to_the_bit():
    typed = ["--init=noise", "--seed=3", "--size=64", "--steps=4,3"]
    _run("--output=a.png", *typed)
    _again("a.png", "--output=b.png")
    np.testing.assert_array_equal(_pixels("a.png"), _pixels("b.png"))


@pytest.mark.usefixtures("default_signals")
def test_a_stopped_and_resumed_picture_is_made_again(painter):
    typed = ["--flagfile=toy.cfg", "--checkpoint_dir=c", "--output=a.png"]
    painter.events[4] = lambda step: signal.raise_signal(signal.SIGINT)
    assert main.main(typed) == 130
    painter.events.clear()
    record = records.read_record("a.png")
    assert record["decided"]["steps"] == [3, 1, 0]
    assert record["state"] == "unfinished"
    _again("a.png", "--output=b.png")
    np.testing.assert_array_equal(_pixels("a.png"), _pixels("b.png"))
    assert main.main([*typed, "--overwrite"]) == 0
    assert records.read_record("a.png")["decided"]["steps"] == [3, 3, 3]


def test_other_inputs_are_warned_of(painter, capsys, monkeypatch):
    _write_mask()
    _run("--output=a.png", "--keep_mask=mask.png")
    toys.write_weights(Path("other.h5"), toys.weights(seed=1))
    image_io.save_image("other.png", toys.image(60, 80, 5))
    monkeypatch.setattr(
        records, "list_versions", lambda: {**VERSIONS, "numpy": "0.9", "b": "1"}
    )
    monkeypatch.setattr(rerun.records, "list_versions", records.list_versions)
    capsys.readouterr()
    typed = ["--content=other.png", "--keep_mask=other.png"]
    _again("a.png", *typed, "--weights=other.h5", "--output=b.png")
    out, err = capsys.readouterr()
    assert "warning" not in out
    assert [line for line in err.splitlines() if line[:4] == "warn"] == [
        "warning   the content image differs from the recorded town.png, so "
        "the result will differ",
        "warning   the keep_mask image differs from the recorded mask.png, so "
        "the result will differ",
        "warning   the network weights differ from the recorded ones",
        f"warning   the picture was made with numpy {np.__version__}, "
        "and this is 0.9",
        "warning   the picture was made with b none, and this is 1",
    ]


def test_another_device_is_warned_of(painter, capsys):
    _run("--output=a.png")
    record = records.read_record("a.png")
    _save({**record, "device": "a card"})
    capsys.readouterr()
    _again("a.png", "--output=b.png")
    words = f"made on a card, but this device is {record['device']}\n"
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("recorded", "digest", "expected"),
    [
        ("auto", bundled.VGG19.digest, "auto"),
        ("vgg19_notop.h5", bundled.VGG19.digest, "auto"),
        ("small", bundled.SMALL.digest, "small"),
        ("auto", bundled.SMALL.digest, "small"),  # where VGG19 was not there
        ("auto", "sha256:0", "imagenet"),
        ("imagenet", "sha256:0", "imagenet"),
        ("toy.h5", "sha256:0", "./toy.h5"),
    ],
)
def test_the_network_is_found_by_its_digest(recorded, digest, expected):
    record, _, _ = _make_record()
    record["network"].update(weights=recorded, digest=digest)
    _save(record)
    found = rerun.load(settings.Job(rerun="a.png"), {"rerun"})
    assert found.job.weights == expected
    assert not found.is_network_named
    named = settings.Job(rerun="a.png", weights="small")
    found = rerun.load(named, {"rerun", "weights"})
    assert found.job.weights == "small" and found.is_network_named


def test_other_weights_are_taken_only_if_they_are_named(painter, capsys):
    record, _, _ = _make_record()
    record["network"]["digest"] = "sha256:0"
    _save(record)
    assert main.main(["--rerun=a.png"]) == 1
    words = "made with network weights that were not found (toy.h5, sha256:0); "
    assert words in capsys.readouterr().err
    _again("a.png", "--weights=toy.h5")
    words = "warning   the network weights differ from the recorded ones"
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (
            ["--size=128"],
            "--rerun and --size are both given, but --rerun repeats a",
        ),
        (["--init=noise"], "--rerun repeats a picture"),
        (["--continue_from=paint.png"], "--rerun repeats a picture"),
        (["--keep_mask=paint.png"], "--keep_mask is given, but --rerun"),
        (
            ["--resume=auto"],
            "--rerun and --resume are both given, but --rerun repeats",
        ),
        (["--checkpoint_dir=a"], "--rerun and --checkpoint_dir are both given"),
        (["--style=paint.png", "--style=town.png"], "style names 2 pictures"),
        (["--content=none.png"], "there is no file none.png"),
        (["--output=a.png", "--overwrite"], "output a.png is one of the inp"),
    ],
)
def test_what_would_change_the_picture_is_refused(capsys, typed, words):
    _save(_make_record()[0])
    assert main.main(["--rerun=a.png", *typed]) == 1
    assert words in capsys.readouterr().err


def test_what_changes_only_the_file_may_be_set():
    _save(_make_record("--bit_depth=16", "--quality=90", "--dpi=99")[0])
    asked = settings.Job(rerun="a.png", quality=80, memory=3.0, log="a.log")
    job = rerun.load(asked, {"rerun", "quality", "memory", "log"}).job
    assert (job.bit_depth, job.quality, job.dpi) == (16, 80, 99)
    assert (job.memory, job.log) == (3.0, "a.log")
    # What is a default is set only if it was named.
    assert rerun.load(asked, {"rerun"}).job.quality == 90


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "a-2.png"),
        ("a.jpg", "a-2.jpg"),
        ("a.jpeg.jpg", "a.jpeg-2.jpg"),
    ],
)
def test_it_gets_the_next_free_name_here(folder, name, expected):
    _save(_make_record()[0], name)
    found = rerun.load(settings.Job(rerun=name), {"rerun"})
    assert found.job.output == expected
    away = folder / "away"
    away.mkdir()
    shutil.move(name, away)
    asked = settings.Job(rerun=str(away / name))
    assert rerun.load(asked, {"rerun"}).job.output == name
    asked = settings.Job(rerun=str(away / name), output="b.png")
    assert rerun.load(asked, {"rerun", "output"}).job.output == "b.png"


def test_inputs_are_found_beside_the_picture_here_or_where_it_is_said(folder):
    _save(_make_record("--init=town.png")[0])
    here, find = folder / "here", {"rerun"}
    here.mkdir()
    shutil.move("a.png", here / "a.png")
    image_io.save_image(here / "town.png", toys.image(60, 80, 9))
    asked = settings.Job(rerun=str(here / "a.png"))
    job = rerun.load(asked, find).job  # of the two that of the right digest
    assert (job.content, job.init) == ("./town.png", "./town.png")
    shutil.copy("town.png", here / "town.png")
    assert rerun.load(asked, find).job.content == str(here / "town.png")
    (here / "town.png").unlink()
    Path("town.png").rename("village.png")
    words = r"town\.png .* but found none; .* --content=PATH"
    with pytest.raises(ValueError, match=words):
        rerun.load(asked, find)
    named = dataclasses.replace(asked, content="village.png", init="town.h5")
    words = r"init image town\.png .* but found none; .* --init=PATH"
    with pytest.raises(ValueError, match=words):
        rerun.load(named, {*find, "content"})
    job = rerun.load(named, {*find, "content", "init"}).job
    assert (job.content, job.init) == ("village.png", "town.h5")
    image_io.save_image("paint.png", toys.image(50, 60, 8))
    with pytest.raises(ValueError, match=r"\./paint\.png has other contents"):
        rerun.load(named, {*find, "content", "init"})


def test_masks_are_found_and_may_be_named():
    _write_mask("one.png")
    for name in ("town.png", "paint.png", "two.png"):
        shutil.copy("one.png", name)
    masks = ["--style_mask=one.png", "--style_mask=two.png"]
    typed = ["--content_mask=one.png", *masks, "--style=town.png"]
    _save(_make_record(*typed, "--style=paint.png")[0])
    asked = settings.Job(rerun="a.png")
    job = rerun.load(asked, {"rerun"}).job
    assert job.style_mask == ("./one.png", "./two.png")
    assert job.content_mask == "./one.png"
    named = dataclasses.replace(asked, style_mask=("a", "b"))
    assert rerun.load(named, {"style_mask"}).job.style_mask == ("a", "b")


def test_styles_may_be_named_by_their_folder():
    _save(_make_record()[0])
    Path("styles").mkdir()
    shutil.copy("paint.png", "styles")
    asked = settings.Job(rerun="a.png", style=("styles",))
    job = rerun.load(asked, {"rerun", "style"}).job
    assert job.style == ("styles/paint.png",)


def test_files_named_like_keywords_are_files(painter):
    shutil.copy("paint.png", "noise")
    _run("--output=a.png", "--init=./noise", "--levels=1")
    assert records.read_record("a.png")["inputs"]["init"]["name"] == "./noise"
    _again("a.png", "--output=b.png")
    np.testing.assert_array_equal(_pixels("a.png"), _pixels("b.png"))


# What is in the file besides


def test_the_contents_alpha_is_restored_at_the_outputs_size(painter, capsys):
    rows = np.linspace(0, 1, 60)[:, None] * np.ones((60, 80))
    options = writing.Options(alpha=rows, bit_depth=16)
    image_io.write_image("town.png", toys.image(60, 80, 0), options)
    _run("--output=a.png", "--bit_depth=16")
    expected = image_io.resize_alpha(rows.astype("f4"), 72, 96)
    actual = image_io.load_picture("a.png").alpha
    np.testing.assert_allclose(actual, expected, atol=2e-5)
    capsys.readouterr()
    _run("--output=a.jpg")
    assert "note      .jpg files have no transpar" in capsys.readouterr().err
    assert Image.open("a.jpg").mode == "RGB"


def test_what_is_hidden_in_the_result_has_the_colors_around_it(toy, painter):
    alpha = np.ones((60, 80), "f4")
    alpha[:, 40:] = 0
    content = np.dstack([toys.image(60, 80, 0), alpha])
    chosen = pretend.choose(size=64, weights=str(toy), levels=1)
    painter.paint_one = lambda plan, level, share: toys.image(*level.size)
    image = nst_tf.stylize(content, "paint.png", **chosen)
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
def test_a_hidden_color_changes_nothing_in_the_result(toy, name):
    image = _pixels(name)
    alpha = np.ones(image.shape[:2])
    alpha[: len(alpha) // 2, 20:] = 0
    found = []
    for color in ([1, 0, 0], [0, 0.5, 1]):
        changed = np.where(alpha[..., None] == 0, color, image)
        samples = np.rint(255 * np.dstack([changed, alpha])).astype("u1")
        Image.fromarray(samples).save(name)
        job = pretend.job(toy, content="town.png", style="paint.png", levels=1)
        draft = api.draft_files(dataclasses.replace(job, size=48))
        [style] = draft.regions[0].styles
        found.append((draft.content, style.image))  # all that a network sees
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_notes_that_do_not_fit_do_not_cost_the_picture(painter):
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


@pytest.mark.parametrize("flag", [[], ["--nomark"]])
def test_pictures_say_that_they_are_generated(painter, flag):
    content = Path("town.jpg")
    credits = {"dc:creator": ("Ada",), "photoshop:City": ("Genoa",)}
    Image.open("town.png").convert("RGB").save(content, xmp=xmp.encode(credits))
    _run("--content=town.jpg", "--output=a.tif", "--preview_every=1", *flag)
    expected = {} if flag else {xmp.MARK: (xmp.GENERATED,)}
    preview = image_io.load_picture("a.preview.png").credits
    assert preview == expected
    found = dict(image_io.load_picture("a.tif").credits)
    assert json.loads(found.pop(xmp.RECORD)[0])["flags"]["size"] == 96
    assert found == {"dc:creator": ("Ada",), **expected}


def test_what_we_wrote_of_another_picture_is_not_passed_on(folder, painter):
    _run("--output=first.tif", "--record_paths", "--levels=1")
    _run("--content=first.tif", "--output=second.png", "--levels=1")
    assert str(folder).encode() not in Path("second.png").read_bytes()


def test_a_style_that_is_cropped_to_nothing_is_refused(capsys):
    alpha = np.zeros((64, 300))
    alpha[:, :40] = 1
    options = writing.Options(alpha=alpha)
    image_io.write_image("paint.png", toys.image(64, 300), options)
    assert main.main(["--flagfile=toy.cfg", "--style_fit=crop"]) == 1
    assert "fully transparent in the cropped area" in capsys.readouterr().err


def test_flags_that_choose_by_default_are_told_as_they_were_typed():
    typed = ["--style_loss=mix", "--neighbors_layers=block2_conv1"]
    record, _, draft = _make_record(*typed, "--grain_weight=-1")
    assert draft.settings["grain_weight"] == 0.05
    told = set(_describe(record)[1])
    assert set(typed) <= told
    assert not any(line.startswith("--grain_weight") for line in told)
    record, _, draft = _make_record(
        *typed, "--grain_weight=-1", "--strength=0.5"
    )
    told = set(_describe(record)[1])
    assert "--strength=0.5" in told
    assert not any(line.startswith("--style_weight") for line in told)
