"""Lines -> tasks: values, paths, names of outputs; and their order."""

import dataclasses
import os
import re

import pytest
import toys

from nst_tf.batch import checking, manifest, order, tasks
from nst_tf.images import image_io
from nst_tf.plan import settings


def _make(given, defaults=None, folder=None):
    line = manifest.Line(7, tuple(given), tuple(given.values()))
    maker = tasks.Maker(defaults or settings.Job(), folder)
    (made,) = maker.make_all([line])
    return made


def test_a_line_is_nearer_than_flags():
    defaults = settings.Job(size=256, steps=(9,), style=("b.jpg",))
    task = _make({"content": "a.jpg", "size": "64", "style": ""}, defaults)
    job = task.make_job()
    assert (job.size, job.steps, job.style) == (64, (9,), ("b.jpg",))
    maker = tasks.Maker(defaults)
    names = "content", "print_size"
    (made,) = maker.make_all([manifest.Line(1, names, ("a.jpg", "A6"))])
    assert made.make_job().print_size == "A6" and made.make_job().size == 512
    assert [*maker.notes] == ["--print_size overrides --size"]


def test_paths_begin_at_the_manifest(tmp_path):
    (tmp_path / "a;b.jpg").write_text("")
    given = {
        "content": "x/a.jpg",
        "style": "b.jpg; /c/d.jpg;http://host/e.jpg",
        "init": "noise",
        "weights": "w.h5",
        "output": "{content}-{style}.png",
    }
    job = _make(given, folder=tmp_path).make_job()
    assert job.content == f"{tmp_path}/x/a.jpg"
    assert job.style == (f"{tmp_path}/b.jpg", "/c/d.jpg", "http://host/e.jpg")
    assert (job.init, job.weights) == ("noise", f"{tmp_path}/w.h5")
    assert job.output == f"{tmp_path}/a-b-d-e.png"
    whole = _make({"content": "a", "style": "a;b.jpg"}, folder=tmp_path)
    assert whole.get("style") == (f"{tmp_path}/a;b.jpg",)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("out/{content}-{style}.png", "out/a-b-c.png"),
        ("{index}.png", "1.png"),
        ("{index:04}.jpg", "0001.jpg"),
        ("{size}-{steps}-{color}.png", "64-9-8-content.png"),
        ("{{x}}.png", "{x}.png"),
        ("{style_layers}.png", "block1_conv1_2.png"),
        ("", "a-b-c.png"),
    ],
)
def test_placeholders(pattern, expected):
    given = {
        "content": "in/a.jpg",
        "style": "b.jpg;c.jpg",
        "size": 64,
        "steps": (9, 8),
        "color": "content",
        "style_layers": "block1_conv1:2",
    }
    task = _make(given, settings.Job(output=pattern))
    assert task.output == expected
    # As it is written for another folder, it is the same task.
    line = tasks.write_line(task)
    again = _make({**line, "output": line["output"]}).make_job()
    assert again.output == os.path.abspath(expected)
    assert again.style == (os.path.abspath("b.jpg"), os.path.abspath("c.jpg"))


def test_a_line_has_a_color_for_each_style():
    given = {"content": "a.jpg", "style": "b.jpg;c.jpg", "content_mask": "m"}
    for value in ("content,style", ("content", "style")):
        task = _make({**given, "color": value})
        job = task.make_job()
        assert job.color == "content,style" and job.content_mask == "m"
        again = _make(tasks.write_line(task)).make_job()
        assert again.color == job.color


def test_lines_share_what_they_share():
    maker = tasks.Maker(settings.Job())
    names = "content", "style", "size"
    lines = [
        manifest.Line(n, names, (f"{n}.jpg", "s.jpg", 64 + n % 2))
        for n in range(10)
    ]
    made = list(maker.make_all(lines))
    assert len({task.kind for task in made}) == 2
    assert len({id(task.get("style")) for task in made}) == 1


def test_a_line_that_is_not_read_is_passed_on():
    names = "content", "style", "seed"
    fault = manifest.Fault(1, "odd")
    lines = [
        fault,
        manifest.Line(2, names, ("a.jpg", "b.jpg", 1)),
        manifest.Line(3, names, ("a.jpg", "b.jpg", True)),  # which equals 1
        manifest.Line(4, names, ("a.jpg", "b.jpg", "x")),
    ]
    pattern = settings.Job(output="{index}.png")
    first, second, *rest = tasks.Maker(pattern).make_all(lines)
    assert first is fault
    assert (second.number, second.output) == (2, "2.png")
    assert second.kind.job.output == ""
    assert [each.number for each in rest] == [3, 4]
    assert rest[0].sentence.startswith("--seed is True of type bool")
    assert rest[1].sentence.startswith("--seed is 'x', expected")


def test_values_are_read_as_flags_are():
    read = tasks._read_value
    assert read("style_layers", "a; b ;c") == ("a", "b", "c")
    assert read("steps", "9,8") == read("steps", (9, 8)) == (9, 8)
    assert read("style_layers", ("a", "b")) == ("a", "b")
    assert read("steps", ("9", "8")) == read("steps", ("9,8",)) == (9, 8)
    assert read("style_blend", ("0.5", "2")) == (0.5, 2.0)
    assert read("color", ("match", "style")) == "match,style"
    assert read("size", "64") == read("size", 64) == 64
    for value in (True, "64.5", None, ("64", "96"), ()):
        with pytest.raises((TypeError, ValueError), match="size is"):
            read("size", value)


def test_resolved_paths_are_kept_up_to_a_number():
    maker = tasks.Maker(settings.Job())
    maker._resolved = dict.fromkeys(range(99_999))
    for name, count in (("a", 100_000), ("b", 100_001), ("b", 100_001)):
        assert maker._read("style", name) == (name,)
        assert len(maker._resolved) == count
    maker._read("style", "c")
    assert len(maker._resolved) == 1
    maker._resolved = {("style", "c", str): "kept"}
    assert maker._read("style", "c") == "kept"
    assert maker._read("seed", "3") == 3 and len(maker._resolved) == 1


def test_standard_input_is_no_picture_of_a_line():
    for name in ("content", "style"):
        made = _make({"content": "a.jpg", "style": "b.jpg", name: "-"})
        assert made.sentence.startswith(f"{name} is '-', but standard input")
    made = _make({"content": "a.jpg", "style": "b.jpg;-"})
    assert made.sentence.startswith("style is '-'")
    task = _make({"content": "a.jpg", "style": "b.jpg", "weights": "-"})
    assert task.kind.job.weights == "-"


def test_paths_of_a_user_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    for folder in (None, tmp_path):
        given = {"content": "~/a.jpg", "style": "~/b.jpg"}
        job = _make(given, folder=folder).make_job()
        assert (job.content, job.style) == (
            "/home/me/a.jpg",
            ("/home/me/b.jpg",),
        )
    given = {"content": "a.jpg", "style": "b.jpg", "init": "gray"}
    kind = _make({**given, "weights": "auto"}, folder=tmp_path).kind
    assert kind.names == ("content", "style")
    assert (kind.job.init, kind.job.weights) == ("gray", "auto")
    assert (kind.job.content, kind.job.style) == ("", ())
    kind = _make({**given, "init": "c.jpg"}, folder=tmp_path).kind
    assert kind.names == ("content", "style", "init")


def test_a_job_is_a_line():
    jobs = [
        settings.Job("a.jpg", "b.jpg", "x.png", size=64),
        settings.Job("a.jpg", "b.jpg", log="x.log"),
        settings.Job("c.jpg", ("b.jpg", "d;e.jpg"), steps=(9, 8)),
    ]
    one, two, three = tasks.take_jobs(jobs)
    assert one.make_job() == jobs[0] and one.number == 1
    assert two.number == 2 and two.sentence.startswith("log is for a single")
    assert three.number == 3 and three.output == "c-b-d;e.png"
    job = dataclasses.replace(jobs[2], output=three.output)
    assert three.make_job() == job


def test_files_of_a_job_are_named_absolutely(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    job = settings.Job(
        "a.jpg",
        ("b.jpg", "~/c.jpg", "https://host/d.jpg"),
        "out/{1}.png",
        init="noise",
        weights="w.h5",
        checkpoint_dir="kept",
    )
    expected = dataclasses.replace(
        job,
        content=f"{tmp_path}/a.jpg",
        style=(f"{tmp_path}/b.jpg", "/home/me/c.jpg", "https://host/d.jpg"),
        output=f"{tmp_path}/out/{{1}}.png",
        weights=f"{tmp_path}/w.h5",
        checkpoint_dir=f"{tmp_path}/kept",
    )
    assert tasks.make_absolute(job) == expected
    kind = tasks.Kind(job, ())
    line = tasks.write_line(tasks.Task(1, kind, (), "{1}.png"))
    assert line["output"] == f"{tmp_path}/{{{{1}}}}.png"
    assert line["init"] == "noise" and "size" not in line
    assert "output" not in tasks.write_line(tasks.Task(1, kind, (), ""))


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{size:04}.png", "with {size:04}; did you mean .size"),
        ("{sise}.png", "with {sise}; did you mean 'size'"),
        ("a}.png", "has an unmatched brace"),
        ("{index:100}.png", "has an unmatched brace"),
    ],
)
def test_a_placeholder_must_be_a_setting(pattern, words):
    given = {"content": "a.jpg", "style": "b.jpg", "output": pattern}
    assert re.search(words, _make(given).sentence)


def test_only_names_of_files_are_shortened():
    given = {"content": "x/a.b.jpg", "style": "b.jpg", "weights": "w.h5"}
    given["style_layers"] = ("block1_conv1:2.5", "block2_conv1")
    pattern = "{content}-{weights}-{style_layers}-{index:3}.png"
    task = _make({**given, "output": pattern})
    expected = "a.b-w-block1_conv1_2.5-block2_conv1-  1.png"
    assert task.output == expected


@pytest.fixture
def checked(folder):
    """Eight tasks: two contents of two sizes, two styles, two weights."""
    image_io.save_image("wide.png", toys.image(40, 80))
    image_io.save_image("ink.png", toys.image(50, 60, 2))
    names = "content", "style", "style_weight", "output"
    lines = [
        manifest.Line(n, names, (content, style, weight, f"{n}.png"))
        for n, (content, style, weight) in enumerate(
            (content, style, weight)
            for content in ("town.png", "wide.png")
            for weight in (10, 20)
            for style in ("paint.png", "ink.png")
        )
    ]
    made = tasks.Maker(settings.Job(size=96)).make_all(lines)
    return checking.Checker().check_all(made)


def test_pictures_of_a_size_come_together_a_style_at_a_time(checked):
    assert not checked.faults and checked.number == 8
    queue = order.Queue(checked.found)
    units = [queue.take("a") for _ in range(8)]
    assert queue.take("a") is None and not len(queue)
    sizes = [unit.group.size for unit in units]
    assert sizes == 4 * [(72, 96)] + 4 * [(48, 96)]
    styles = [unit.task.get("style") for unit in units]
    assert styles == 4 * [("ink.png",), ("paint.png",)]


def test_workers_take_groups_and_then_help(checked):
    queue = order.Queue(checked.found)
    one, two = queue.take("a"), queue.take("b")
    assert one.group is not two.group
    assert queue.take("a").group is one.group
    queue.put_back(one)
    assert queue.take("a").task is one.task
    rest = [queue.take("b") for _ in range(5)]
    assert rest[0].group is two.group and None not in rest
    assert queue.take("a") is None
