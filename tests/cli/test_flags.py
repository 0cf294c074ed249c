"""Flags and flag files: nesting, presets, replacement, mistakes."""

import contextlib
import dataclasses
import os
import re
import time
from pathlib import Path

import pytest

from nst_tf.backend import device
from nst_tf.cli import flags, sweeps, usage
from nst_tf.plan import settings


def _files(tmp_path, **texts):
    for name, text in texts.items():
        (tmp_path / f"{name}.cfg").write_text(text)
    return f"--flagfile={tmp_path / next(iter(texts))}.cfg"


def test_flags_become_a_job():
    job = flags.parse(
        [
            *("--content=a.jpg", "--style", "b, c.jpg", "--style=d.jpg"),
            *("--steps=30,20", "--size=300", "--tv_weight=1e-2"),
            *("--overwrite", "--nodry_run"),
        ]
    )
    assert job == settings.Job(
        content="a.jpg",
        style=("b, c.jpg", "d.jpg"),
        steps=(30, 20),
        size=300,
        tv_weight=0.01,
        overwrite=True,
    )


def test_without_flags_the_defaults_are_the_jobs():
    assert flags.parse([]) == settings.Job()


def test_a_typed_style_replaces_those_of_a_flag_file(tmp_path):
    file = _files(tmp_path, a="--style=one.jpg\n--style=two.jpg\n--size=99\n")
    assert flags.parse([file]).style == ("one.jpg", "two.jpg")
    typed = flags.parse([file, "--style=mine.jpg"])
    assert typed.style == ("mine.jpg",)
    assert typed.size == 99


def test_what_is_typed_wins_on_either_side_of_the_flag_file(tmp_path):
    file = _files(tmp_path, a="--size=99\n--nooverwrite\n")
    for arguments in (["--size=7", file], [file, "--size=7"]):
        assert flags.parse(arguments).size == 7
    assert flags.parse(["--overwrite", file]).overwrite


def test_nested_files_are_found_beside_their_file(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    file = _files(
        tmp_path,
        a="--flagfile=base.cfg\n--style=a.jpg\n",
        base="# a\n  # indented\n\n--style=b.jpg\n--style=c.jpg\n--seed=4\n",
    )
    job = flags.parse([file])
    assert (job.style, job.seed) == (("a.jpg",), 4)


def test_of_two_files_the_later_wins(tmp_path):
    first = _files(tmp_path, a="--style=a.jpg\n--size=1\n")
    second = _files(tmp_path, b="--style=b.jpg\n")
    job = flags.parse([first, second])
    assert (job.style, job.size) == (("b.jpg",), 1)


def test_pictures_are_found_beside_the_file_that_names_them(
    tmp_path, monkeypatch
):
    sub = tmp_path / "sub"
    sub.mkdir()
    Path.home().mkdir()
    for path in (sub / "own.jpg", sub / "content", sub / "log", sub / "small"):
        path.touch()
    for path in (tmp_path / "here.jpg", Path.home() / "a.jpg"):
        path.touch()
    (sub / "a.cfg").write_text(
        "--content=own.jpg\n--style=here.jpg\n--style=~/a.jpg\n"
        "--init=content\n--weights=small\n--log=log\n--keep_mask=\n"
    )
    monkeypatch.chdir(tmp_path)
    job = flags.parse([f"--flagfile={sub / 'a.cfg'}"])
    assert job.content == str(sub / "own.jpg")
    assert job.style == ("here.jpg", str(Path.home() / "a.jpg"))
    # Keywords stay, though there are files of their names; a log is no input.
    assert (job.init, job.weights, job.log) == ("content", "small", "log")
    monkeypatch.chdir(sub)
    assert flags.parse(["--content=own.jpg"]).content == "own.jpg"


@pytest.mark.parametrize(
    "name", ["configs/starry.cfg", "starry.cfg", "starry", "./starry"]
)
def test_presets_are_found_by_name_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = flags.parse([f"--flagfile={name}"])
    assert job == flags.parse(["--flagfile", name])
    assert job.content.endswith("harbor_at_dusk.jpg")
    assert all(map(_exists, (job.content, *job.style)))


def _exists(path):
    return Path(path).is_file()


def test_a_file_of_the_working_directory_comes_before_a_preset(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "starry").write_text("--size=77\n")
    assert flags.parse(["--flagfile=starry"]).size == 77


def test_a_job_is_written_as_flags_that_make_it():
    job = settings.Job(
        content="a b.jpg",
        style=("b.jpg", "c, d.jpg"),
        style_layers=("block1_conv1", "block2_conv1:2,block3_conv1"),
        style_blend=(0.7, 0.3),
        steps=(30, 20),
        tv_weight=1e-9,
        overwrite=True,
    )
    lines = settings.format_flags(job)
    assert len(lines) == 9
    assert flags.parse(lines) == job
    assert settings.format_flags(settings.Job()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--stlye=a.jpg"], "unknown flag --stlye; did you mean '--style'"),
        (["--lr=1"], "unknown flag --lr; did you mean '--learning_rate'?"),
        (["--color", "--size=9"], "--color has no value, since --s"),
        (
            ["--num-steps=1"],
            "unknown flag --num-steps; did you mean '--steps'?",
        ),
        (["--threads=2"], "unknown flag --threads; TensorFlow uses all cor"),
        (["-x"], "unknown flag -x; --help lists all flags."),
        (
            ["-ys"],
            "unknown flag -ys; short flags cannot be joined: write -y -s",
        ),
        (["-s5x"], "unknown flag -s5x"),
        (["-out"], "unknown flag -out; did you mean '--output'?"),
        (["--no-size"], "unknown flag --no-size"),
        (["-o"], "flag -o has no value; write -o=VALUE."),
        (["--no-dry-run=1"], "flag --no-dry-run takes no value; "),
        (["size=512"], "size=512 is not a picture; did you mean --size=512?"),
        (
            ["--", "dry-run"],
            "dry-run is not a picture; did you mean --dry_run?",
        ),
        (
            ["starry"],
            "starry is not a picture; did you mean --flagfile=starry?",
        ),
        (["a.cfg"], "a.cfg is not a picture; did you mean --flagfile=a.cfg?"),
        (
            ["a.jpg", "--content=b.jpg"],
            "a.jpg is the content image, but --content is also given; remove "
            "one of them.",
        ),
        (["a.jpg", "b.jpg", "--style=c.jpg"], "b.jpg is the style image, but"),
        (["--size=1e9"], "size is '1e9', expected a whole number"),
        (["--size"], "flag --size has no value"),
        (["--steps=1,a"], "steps is '1,a', expected whole numbers, such as"),
        (["--overwrite=perhaps"], "overwrite is 'perhaps', expected true or"),
        (["--tv_weight="], "tv_weight is '', expected a number"),
        (["--flagfile=stary"], "no flag file stary; did you mean 'starry'"),
        (["--flagfile=/none/a.cfg"], "there is no flag file /none/a.cfg"),
        (
            ["--preset=starry"],
            "unknown flag --preset; did you mean '--flagfile'",
        ),
        (
            ["--flagflie=a"],
            "unknown flag --flagflie; did you mean '--flagfile'",
        ),
        (["--style_blend=a"], "expected numbers, such as 0.7,0.3"),
        ([""], "an argument is empty; expected the path of a picture."),
    ],
)
def test_mistakes_get_a_sentence(arguments, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        flags.parse(arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a\0b", "is not a UTF-8 text"),
        ("--steps 7", "line 2, has '--steps 7'; expected --name=value"),
        ("size=7", "line 2, has 'size=7'"),
        ("--size", "flag --size has no value"),
        ("--siez=7", "unknown flag --siez; did you mean '--size'"),
        ("--flagfile=a.cfg", "include each other in a circle"),
    ],
)
def test_mistakes_in_files_get_a_sentence(tmp_path, line, words):
    file = _files(tmp_path, a=f"# a comment\n{line}\n")
    with pytest.raises(ValueError, match=re.escape(words)):
        flags.parse([file])


def test_a_file_of_a_megabyte_is_no_flag_file(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_bytes(b"--size=3\n" * 2**17)
    words = re.escape(f"flag file {path} ") + ".*larger than 1 MB"
    with pytest.raises(ValueError, match=words):
        flags.parse([f"--flagfile={path}"])


def _write(tmp_path, monkeypatch, line):
    """A flag file of one line, beside a few pictures."""
    monkeypatch.chdir(tmp_path)
    for name in ("a b.png", "a#1 #2.png", "'q'.png", '"q.png"', "base.cfg"):
        (tmp_path / name).touch()
    return _files(tmp_path, one=f"{line}\n")


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ('--content="a b.png"', "content", "a b.png"),
        ("--content='a b.png'", "content", "a b.png"),
        ("--content='q'.png", "content", "'q'.png"),
        ('--content="q.png"', "content", '"q.png"'),
        ("--content=\"a b.png'", "content", "\"a b.png'"),
        ("--size='31'", "size", 31),
        ('--output="a b.png"', "output", "a b.png"),
        ('--output="', "output", '"'),
        ('--flagfile="base.cfg"', "size", 512),
    ],
)
def test_quotes_are_removed_unless_a_file_is_called_so(
    tmp_path, monkeypatch, line, name, value
):
    job = flags.parse([_write(tmp_path, monkeypatch, line)])
    found = getattr(job, name)
    assert (os.path.basename(found) if name == "content" else found) == value


@pytest.mark.parametrize(
    "line",
    [
        "--size=31  # pixels",
        "--size='31'  # pixels",
        "--dry_run # for now",
        "--style_loss=gram // the old one",
        "--content=a b.png # a town",
        "--content='a b.png' # a town",
        "--content=a#1 #2.png # a town",
        "--content=https://host/a.png # a town",
        "--content=- # from a pipe",
        "--content_layers=block4_conv2 # as Gatys",
        "--init=noise # anew",
        "--output=c.png #1",
        "--timelapse=c.webp # film",
        "--flagfile=base.cfg # all else",
        "--print_size=30x40cm # a poster",
    ],
)
def test_a_comment_after_a_value_is_named(tmp_path, monkeypatch, line):
    file = _write(tmp_path, monkeypatch, line)
    bare = re.sub(r"\s+(# |//|#1$).*", "", line)
    words = f"one.cfg, line 1, has a comment after {bare!r}, which"
    with pytest.raises(ValueError, match=re.escape(words)):
        flags.parse([file])


@pytest.mark.parametrize(
    "line",
    [
        f"--log=a{' ' * 9000}b",
        "--size=x" + " #" * 4000,
        "--log=" + "a" * 1_000_000,
    ],
)
def test_a_long_line_takes_no_time(tmp_path, monkeypatch, line):
    began = time.process_time()
    with contextlib.suppress(ValueError):
        flags.parse([_write(tmp_path, monkeypatch, line)])
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("--content=a#1 #2.png", "content", "a#1 #2.png"),
        ("--content=none.png # 1", "content", "none.png # 1"),
        ("--log=run # 2", "log", "run # 2"),
        ("--output=run # 2.png", "output", "run # 2.png"),
        ("--style_scale=0.5#", "style_scale", None),
    ],
)
def test_a_value_is_never_cut(tmp_path, monkeypatch, line, name, value):
    file = _write(tmp_path, monkeypatch, line)
    if value is None:
        with pytest.raises(ValueError, match="'0.5#', expected numbers"):
            flags.parse([file])
    else:
        found = getattr(flags.parse([file]), name)
        assert found.rpartition("/")[2] == value


@pytest.mark.parametrize("name", ["x" * 300, "~/a", "a\x01", "é" * 200])
def test_a_name_that_no_file_can_have_is_none(tmp_path, name):
    file = _files(tmp_path, a=f"--content={name}\n--flagfile={name}\n")
    with pytest.raises(ValueError, match="there is no flag file"):
        flags.parse([file])


def test_flags_that_are_given_are_known_by_their_names(tmp_path):
    file = _files(tmp_path, a="--nooverwrite\n--size=3\n")
    typed = [file, "a.jpg", "--dry-run", "--seed", "3", "--nosheet", "-o=b.png"]
    assert flags.read(typed).names == {
        *("overwrite", "size", "dry_run", "seed", "sheet", "content"),
        "output",
    }


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        (["a.jpg"], {"content": "a.jpg"}),
        (["a.jpg", "b", "c"], {"content": "a.jpg", "style": ("b", "c")}),
        (["a.jpg", "--style=b"], {"content": "a.jpg", "style": ("b",)}),
        (
            ["--size", "9", "-", "b"],
            {"content": "-", "style": ("b",), "size": 9},
        ),
        (["-y", "--", "-y", "--"], {"content": "-y", "style": ("--",)}),
    ],
)
def test_pictures_are_the_content_and_then_the_styles(typed, chosen):
    overwrite = "-y" in typed[:1]
    assert flags.parse(typed) == settings.Job(overwrite=overwrite, **chosen)


def test_pictures_replace_those_of_a_preset():
    starry = flags.parse(["--flagfile=starry"])
    one = flags.parse(["a.jpg", "--flagfile=starry"])
    assert one == dataclasses.replace(starry, content="a.jpg")
    two = flags.parse(["--flagfile=starry", "a.jpg", "b.jpg"])
    assert (two.content, two.style) == ("a.jpg", ("b.jpg",))


def test_hyphens_are_underscores_wherever_a_flag_is_written(tmp_path):
    file = _files(tmp_path, a="--tv-weight=3\n--no-record-paths\n-s=9\n")
    job = flags.parse([file, "--dry-run", "--style-blend", "0.5"])
    assert (job.tv_weight, job.dry_run, job.size) == (3, True, 9)
    assert job.style_blend == (0.5,)
    sweep = ["--sweep=tv-weight:1,2", "--no-dry-run", "--nodry-run"]
    job = flags.parse(sweep)
    assert not job.dry_run
    (row,) = sweeps.make_grid(job)
    assert [point.job.tv_weight for point in row] == [1, 2]


def test_files_may_be_nested_eight_deep(tmp_path):
    for number in range(10):
        text = f"--flagfile={number + 1}.cfg\n" if number < 9 else "--seed=4\n"
        (tmp_path / f"{number}.cfg").write_text(text)
    assert flags.parse([f"--flagfile={tmp_path}/2.cfg"]).seed == 4
    with pytest.raises(ValueError, match="in a circle or more than 8 levels"):
        flags.parse([f"--flagfile={tmp_path}/1.cfg"])


@pytest.mark.parametrize(
    ("typed", "name", "value"),
    [
        (["--overwrite=T"], "overwrite", True),
        (["--overwrite=1"], "overwrite", True),
        (["--overwrite=f"], "overwrite", False),
        (["--overwrite=0"], "overwrite", False),
        (["--steps=", "--steps=3"], "steps", (3,)),
        (["--steps=3,4", "--steps=5"], "steps", (5,)),
        (["--style_blend=1", "--style_blend=2,3"], "style_blend", (1, 2, 3)),
        (["--color=content,style"], "color", "content,style"),
        (["--color=content", "--color=style"], "color", "content,style"),
        (["-size=7"], "size", 7),
        (["-s=7"], "size", 7),
        (["-s7"], "size", 7),
        (["-oa.png"], "output", "a.png"),
        (["-oout/b-2.jpg"], "output", "out/b-2.jpg"),
        (["-o-"], "output", "-"),
        (["-o", "-"], "output", "-"),
        (["-y"], "overwrite", True),
        (["--size", "7", "--"], "size", 7),
        (["--tv_weight=1e-3"], "tv_weight", 1e-3),
    ],
)
def test_values_are_read(typed, name, value):
    assert getattr(flags.parse(typed), name) == value


def test_help_explains_every_flag():
    text = usage.format_usage()
    for field in dataclasses.fields(settings.Job):
        assert field.name in text
        assert field.metadata["help"].split()[0] in text
    assert max(map(len, text.splitlines())) <= 80
    assert "  -y, --[no]overwrite   Replace the output if it exists.\n" in text
    assert "(default: 512)" in text and "One of 8, 16. (default: 8)" in text
    assert "(default: False)" not in text and "(default: )" not in text


def test_the_short_help_fits_a_screen_and_is_right():
    lines = usage.SUMMARY.splitlines()
    assert len(lines) <= 25 and max(map(len, lines)) <= 80
    named = re.findall(r"^ +(?:-(\w), )?--(\w+)", usage.SUMMARY, re.M)
    assert len(named) == 10
    for letter, name in named:
        assert settings.FIELDS[name].metadata.get("short", "") == letter


def test_choices_are_those_of_the_tables():
    from nst_tf.optimize import safeguards

    choices = {
        field.name: field.metadata.get("choices")
        for field in dataclasses.fields(settings.Job)
    }
    assert choices["bounds"] == tuple(safeguards.BOUNDS)
    assert choices["precision"] == device.PRECISIONS


def test_each_group_of_flags_has_one_heading():
    headings = [
        line for line in usage.format_usage().splitlines() if line.endswith(":")
    ]
    assert len(headings) == len(set(headings)) > 5
