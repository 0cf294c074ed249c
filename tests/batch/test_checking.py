"""Checks before a batch: sizes, folders, names, disk space."""

import types
from pathlib import Path

import numpy as np
import pretend
import pytest
import toys
from PIL import Image

from nst_tf.batch import checking, manifest, tasks
from nst_tf.images import image_io
from nst_tf.plan import settings


def _task(number, toy, output="", **chosen):
    """A task of the toy network, with its own pictures."""
    own = {"content": "town.png", "style": ("paint.png",)}
    own |= {name: chosen.pop(name) for name in tasks.PICTURES if name in chosen}
    kind = tasks.Kind(pretend.job(toy, **chosen), tuple(own))
    return tasks.Task(
        number, kind, tuple(own.values()), output or f"{number}.png"
    )


@pytest.fixture
def check(folder):
    """Checks tasks of the toy network, by what they change."""

    def check(*changes, **options):
        given = [
            change
            if isinstance(change, manifest.Fault)
            else _task(number, folder / "toy.h5", **change)
            for number, change in enumerate(changes, start=1)
        ]
        return checking.Checker(**options).check_all(given)

    return check


def test_faults_come_by_line_and_with_their_tasks(check):
    odd = manifest.Fault(9, "odd")
    checked = check(odd, {"content": "no.png"}, {}, {"style": ("no.png",)})
    assert [fault.number for fault in checked.faults] == [2, 4, 9]
    assert checked.faults[0].task.number == 2 and checked.faults[2] is odd
    assert checked.number == 1 and not checked.done
    ((group, (task,)),) = checked.found.items()
    assert task.number == 3 and group.size == (72, 96)


def test_outputs_are_measured(check, monkeypatch):
    assert check({}, {"output": "a/b.png"}).disk == 2 * 4 * 72 * 96
    deep = check({"bit_depth": 16, "output": "a.tif"})
    assert deep.disk == 2 * 4 * 72 * 96
    room = [2 * 4 * 72 * 96]
    monkeypatch.setattr(
        checking.shutil,
        "disk_usage",
        lambda path: types.SimpleNamespace(free=room[0]),
    )
    assert not check({}, {"output": "a/b.png"}).faults
    room[0] -= 1
    (fault,) = check({}, {"output": "a/b.png"}).faults
    assert fault.number == 0 and fault.sentence.startswith("output folder ")
    assert fault.sentence.endswith(
        "0.00 GB free, but the pictures may need 0.00 GB."
    )


def test_an_output_is_inside_of_the_root(check, tmp_path):
    Path("link").symlink_to(tmp_path / "root")
    inside = {"output": "root/a.png"}, {"output": "link/b.png"}
    checked = check(*inside, {"output": "c.png"}, root=Path("link"))
    (fault,) = checked.faults
    assert fault.number == 3 and "c.png is outside of" in fault.sentence


@pytest.mark.parametrize(("length", "is_fine"), [(249, True), (250, False)])
def test_a_name_leaves_room_for_its_lock(length, is_fine, check):
    checked = check({"output": f"{'n' * (length - 4)}.png"})
    assert bool(checked.faults) != is_fine
    if not is_fine:
        (fault,) = checked.faults
        assert fault.sentence == f"output name {'n' * 40}... is too long."


def test_an_output_belongs_to_one_line(check):
    Path("x").mkdir()
    checked = check({"output": "x/a.png"}, {"output": "x/../x/a.png"})
    (fault,) = checked.faults
    assert fault.number == 2 and "also the output of line 1" in fault.sentence


def test_a_file_that_is_there_is_replaced_on_request_only(check):
    Path("a.png").write_text("mine")
    Path("b.bmp.json").write_text("mine")
    names = {"output": "a.png"}, {"output": "b.bmp"}
    assert [f.number for f in check(*names).faults] == [1, 2]
    replaced = [{**each, "overwrite": True} for each in names]
    assert not check(*replaced).faults


def test_a_picture_that_is_done_is_left_out(check, monkeypatch):
    asked = []
    monkeypatch.setattr(
        checking.done,
        "is_done",
        lambda job, digests: asked.append((job.output, digests)) or True,
    )
    Path("2.png").write_text("done")
    digests = checking.done.Digests()
    checked = check({}, {}, digests=digests)
    assert [task.number for task in checked.done] == [2]
    assert asked == [("2.png", digests)] and checked.number == 1


def test_an_input_is_never_an_output(check):
    Path("x").mkdir()
    image_io.save_image("x/a.png", toys.image(50, 60))
    lines = {"content": "x/a.png"}, {"output": "x/a.png", "overwrite": True}
    checked = check(*lines, {})
    (fault,) = checked.faults
    assert (fault.number, fault.task.number) == (2, 2)
    assert fault.sentence == "output x/a.png is an input; name another file."
    assert checked.number == 2


def test_a_folder_is_made_inside_of_another(check, monkeypatch):
    Path("file").write_text("")
    (fault,) = check({"output": "file/a/b.png"}).faults
    assert "file/a cannot be made" in fault.sentence

    def refuse(folder):
        raise PermissionError(13, "closed")

    monkeypatch.setattr(checking.files, "check_folder_writable", refuse)
    (fault,) = check({"output": "a/b.png"}).faults
    assert fault.sentence.endswith("cannot be written to: closed.")


def test_pictures_of_a_size_and_a_kind_are_a_group(folder):
    toy = folder / "toy.h5"
    kind = tasks.Kind(pretend.job(toy), ("content", "style"))
    image_io.save_image("wide.png", toys.image(40, 80))
    checker = checking.Checker()

    def find(content="town.png", style=("paint.png",)):
        return checker._find_group(
            tasks.Task(1, kind, (content, style), "a.png")
        )

    first = find()
    assert first.kind is kind and find() is first
    assert find("wide.png").size == (48, 96)
    two = find(style=("paint.png", "paint.png"))
    for name in ("many", "empty"):
        Path(name).mkdir()
    for name in "ab":
        image_io.save_image(f"many/{name}.png", toys.image(50, 60))
    assert find(style=("many",)) is not two
    with pytest.raises(ValueError, match="no content image; give it"):
        find("")
    for _ in range(2):  # the error is kept
        with pytest.raises(ValueError, match=r"there is no file no\.png"):
            find("no.png")
        with pytest.raises(ValueError, match="has no pictures"):
            find(style=("empty",))


def test_a_picture_is_measured_by_its_header(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "a.jpg"
    image = Image.fromarray(np.zeros((20, 30, 3), np.uint8))
    exif = Image.Exif()
    job = settings.Job(max_megapixels=0.0006)  # as many as it has

    def refuse(*given):
        raise ValueError("it is read in full")

    monkeypatch.setattr(checking.image_io, "read_file", refuse)
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        image.save(path, exif=exif)
        expected = (20, 30) if orientation < 5 else (30, 20)
        assert checking._read_size("~/a.jpg", job) == expected
    small = settings.Job(max_megapixels=0.0005)
    with pytest.raises(ValueError, match="read in full"):
        checking._read_size("~/a.jpg", small)
    with pytest.raises(ValueError, match="read in full"):
        checking._read_size("~/none.jpg", job)
    assert checking._read_size("https://host/a.jpg", job) == (1024, 1024)
    shape = types.SimpleNamespace(pixels=np.zeros((5, 7, 3)))
    found = []
    monkeypatch.setattr(
        checking.image_io,
        "read_file",
        lambda *given: found.append(given) or shape,
    )
    assert checking._read_size("~/none.jpg", job) == (5, 7)
    assert found == [("~/none.jpg", job.max_megapixels)]


def test_names_that_differ_in_case_are_one_on_a_mac(monkeypatch):
    one, two = Path("A.png"), Path("a.png")
    monkeypatch.setattr(checking.sys, "platform", "linux")
    assert checking._hash(one) != checking._hash(two)
    monkeypatch.setattr(checking.sys, "platform", "darwin")
    assert checking._hash(one) == checking._hash(two)
