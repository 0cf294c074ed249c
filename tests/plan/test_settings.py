"""The table of settings: a setting is added in one place, and is everywhere."""

import shutil
from pathlib import Path

import children
import numpy as np
import pytest

import nst_tf
from nst_tf.plan import settings

PACKAGE = Path(nst_tf.__file__).parent
ROOT = PACKAGE.parent
TOY = """\
    toy_{name}: float = setting(
        0.0,
        "Losses",
        "A setting that changes nothing.",
        low=0,
        high=1,
        role=Role.{role},
    )
"""
USES = """
import dataclasses
import sys
import numpy as np
import nst_tf
from nst_tf.cli import flags, sweeps, usage
from nst_tf.plan import arrays, checks, inputs, planning, signatures
from nst_tf.runs import api, records, resume

sys.path.insert(0, sys.argv[1])
import flags_reference

IMAGE = np.full((32, 32, 3), 0.5, "float32")
COMMON = {"weights": "small", "size": 32, "precision": "float32"}
OUTCOME = records.Outcome([1], "done", {"content": 1.0}, 0, 1.0, "")

def is_allowed(use):
    try:
        use()
    except (TypeError, ValueError):
        return False
    return True

taken = signatures.take_settings(lambda content, style, **settings: None)
NETWORK = api.draft_images(IMAGE, IMAGE, COMMON)[1].inputs.network
READ = inputs.Inputs(
    arrays.as_picture(IMAGE, "content"),
    (arrays.as_picture(IMAGE, "style"),),
    [1],
    sources={"content": "a.png", "style/0": "b.png"},
    network=NETWORK,
)
for name in ("toy_pixels", "toy_file", "toy_run", "toy_program"):
    job = flags.parse([f"--{name}=0.5"])
    assert getattr(job, name) == getattr(nst_tf.Job(**{name: 0.5}), name) == 0.5
    assert f"--{name}=" in usage.format_usage()
    pages = map(flags_reference.write_groups, flags_reference.GROUPS)
    assert any(f"`--{name}` |" in page for page in pages)
    try:
        checks.check(nst_tf.Job(**{name: 2.0}))
    except ValueError as error:
        words = "is 2.0, expected at least 0 and at most 1."
        assert str(error) == f"--{name} {words}"
    else:
        raise AssertionError(name)
    job = nst_tf.Job(
        content="a.png", style=("b.png",), **COMMON, **{name: 0.5}
    )
    plan = planning.make_plan(job, READ, planning.Machine())
    print(
        name,
        name in records.make_record(job, plan, OUTCOME)["flags"],
        name in resume.make_identity(plan),
        is_allowed(lambda: taken(IMAGE, IMAGE, **COMMON, **{name: 0.5})),
        is_allowed(lambda: sweeps.make_grid(
            nst_tf.Job(sweep=(f"{name}:0.1,0.2",)))),
    )
"""


def test_a_setting_is_added_in_one_place(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__", "results")
    for source in (PACKAGE, *(ROOT / name for name in ("configs", "scripts"))):
        shutil.copytree(source, tmp_path / source.name, ignore=ignored)
    table = tmp_path / "nst_tf" / "plan" / "settings.py"
    text, place = table.read_text(), "    color: str = setting("
    assert text.count(place) == 1
    toys = "".join(
        TOY.format(name=role.name.lower(), role=role.name)
        for role in settings.Role
    )
    table.write_text(text.replace(place, f"{toys}{place}"))
    typed = "-c", USES, tmp_path / "scripts"
    result = children.run_python(*typed, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    # Recorded, part of the identity, a keyword of stylize, swept.
    assert result.stdout.splitlines() == [
        "toy_pixels True True True True",
        "toy_file True False False False",
        "toy_run False False True False",
        "toy_program False False False False",
    ]


def test_every_setting_has_a_group_a_help_and_a_role():
    for name, field in settings.FIELDS.items():
        assert field.metadata["group"], name
        assert field.metadata["help"].endswith("."), name
        assert isinstance(field.metadata["role"], settings.Role), name


def test_only_some_settings_have_words_that_are_no_paths():
    assert settings.is_keyword("init", "noise")
    assert not settings.is_keyword("init", "noise.png")
    assert not settings.is_keyword("content", "noise")


def test_roles_say_where_a_setting_counts():
    checkpoints = {"checkpoint_dir", "checkpoint_every", "resume"}
    assert {"style_weight", "seed", "init", "quality"} <= settings.RECORDED
    assert not settings.RECORDED & {"content", "output", "memory", "log"}
    assert {"size", "seed", "pooling"} <= settings.IDENTITY
    assert not settings.IDENTITY & {"init", "quality", "memory"}
    # What follows from these is in the identity, or they change no pixel.
    decided = {"steps", "max_seconds", "levels", "min_size", "growth"}
    decided |= {"precision", "convolution", "tile", "content_target"}
    pixels = {
        name
        for name, field in settings.FIELDS.items()
        if field.metadata["role"] is settings.Role.PIXELS
        and not field.metadata.get("path")
    }
    assert pixels - settings.IDENTITY == decided
    assert {"memory", "size", "checkpoint_dir"} <= settings.KEYWORDS
    assert not settings.KEYWORDS & {"content", "quality", "dry_run"}
    assert {"content", "weights", "quality", "log"} <= settings.RERUN_SETTINGS
    assert not settings.RERUN_SETTINGS & {"size", "seed", *checkpoints}
    assert not settings.SWEPT & {"print_size", "continue_from", "dpi"}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("size", 64.0, 64),
        ("size", 64.5, 64.5),  # which `checks.check` refuses
        ("size", np.int64(64), 64),
        ("size", np.float32(64), 64),
        ("size", "64", "64"),
        ("size", True, True),
        ("mark", np.True_, True),
        ("tv_weight", np.float64(0.5), 0.5),
        ("tv_weight", 3, 3),
        ("steps", 100, (100,)),
        ("steps", [3.0, 4], (3, 4)),
        ("steps", range(1, 4), (1, 2, 3)),
        ("steps", np.array([3, 4]), (3, 4)),
        ("steps", np.array(3.0), (3,)),
        ("steps", 2.5, 2.5),
        ("steps", "3", "3"),
        ("style_blend", [0.5, 0.5], (0.5, 0.5)),
        ("style_blend", np.array([0.25, 0.75]), (0.25, 0.75)),
        ("style_blend", (), ()),
        ("style", "a.jpg", ("a.jpg",)),
        ("style", [Path("a.jpg"), "b.jpg"], ("a.jpg", "b.jpg")),
        ("content", Path("a.jpg"), "a.jpg"),
        ("color", ["content", "style"], "content,style"),
        ("color", ("match",), "match"),
        ("color", "content,style", "content,style"),
        ("color", b"match", b"match"),
        ("optimizer", ["adam"], ["adam"]),
    ],
)
def test_what_means_the_same_is_taken(name, value, expected):
    found = getattr(settings.Job(**{name: value}), name)
    assert found == expected and type(found) is type(expected)
    if isinstance(found, tuple):
        assert all(type(each) in (int, float, str) for each in found)
