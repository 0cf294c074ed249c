"""Lines -> tasks: values, paths, names of outputs; and their order."""

import os

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
