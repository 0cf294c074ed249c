"""Where pictures go: names, numbers, what is never replaced, other folders."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import toys

from nst_tf.images import image_io, writing
from nst_tf.runs import outputs


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _touch(*names):
    for name in names:
        Path(name).write_text("mine")


def _choose(output="a.png", inputs=(), **chosen):
    return outputs.choose_path(output, inputs, **chosen).name


# Names


def test_without_a_name_it_is_that_of_the_pictures_and_a_number():
    inputs = ["far/town.jpg", "https://host/paint.png?key=1"]
    assert _choose("", inputs) == "town-paint.png"
    assert _choose("", [f"{'k' * 240}.png"]) == f"{'k' * 60}.png"
    _touch("town-paint.png", "town-paint-2.png")
    assert _choose("", inputs, overwrite=True) == "town-paint-3.png"
    _touch("town-paint-3.preview.png")
    assert _choose("", inputs) == "town-paint-3.png"
    assert _choose("", inputs, previews=True) == "town-paint-4.png"
    Path("town-paint-3.png").symlink_to("nowhere.png")
    assert _choose("", inputs) == "town-paint-4.png"


def test_a_number_is_free_if_all_that_goes_with_it_is():
    _touch("a.bmp.json")
    assert outputs.find_free_path(Path("a.bmp")).name == "a-2.bmp"
    assert outputs.find_free_path(Path("a.jpg")).name == "a.jpg"
    _touch("a.jpg.json")
    long = "x" * (writing.LONGEST_RECORD + 1)
    assert outputs.find_free_path(Path("a.jpg"), record=long[1:]) == Path(
        "a.jpg"
    )
    assert outputs.find_free_path(Path("a.jpg"), record=long).stem == "a-2"


def test_a_name_may_begin_at_home():
    Path.home().mkdir()
    path = outputs.choose_path("~/a.png", [])
    assert path == Path.home() / "a.png"


# What is there already


def test_what_is_there_is_kept_unless_it_may_be_replaced():
    _touch("a.png")
    with pytest.raises(ValueError, match=r"a\.png exists; .* with --overwrite"):
        _choose()
    assert _choose(overwrite=True) == "a.png"
    _touch("b.preview.png", "c.bmp.json")
    assert _choose("b.png") == "b.png"
    with pytest.raises(ValueError, match=r"b\.preview\.png exists"):
        _choose("b.png", previews=True)
    with pytest.raises(ValueError, match=r"c\.bmp\.json exists"):
        _choose("c.bmp")


def test_an_input_is_never_the_output():
    _touch("in.png", "other.png")
    os.link("in.png", "hard.png")
    Path("soft.png").symlink_to("in.png")
    Path.home().mkdir()
    (Path.home() / "in.png").symlink_to(Path("in.png").resolve())
    for name in ("in.png", "./in.png", "hard.png", "soft.png", "~/in.png"):
        for inputs in (["in.png"], ["none.png", "hard.png"], ["~/in.png"]):
            with pytest.raises(ValueError, match="is one of the inputs"):
                _choose(name, inputs, overwrite=True)
    assert _choose("other.png", ["in.png"], overwrite=True) == "other.png"
    _touch("in.preview.png")
    with pytest.raises(ValueError, match=r"in\.preview\.png is one of"):
        _choose("in.png", ["in.preview.png"], overwrite=True, previews=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (".", "is a folder; expected the name"),
        ("/dev/null", "exists and is not a regular file"),
        ("link.png", "exists and is not a regular file"),
    ],
)
def test_what_is_no_file_is_not_replaced(name, words):
    Path("link.png").symlink_to("nowhere.png")
    with pytest.raises(ValueError, match=words):
        _choose(name, overwrite=True)


def _aside(name, inputs=("in.png",), path="a.png", previews=True):
    outputs.check_aside("log", name, Path(path), inputs, previews)


@pytest.mark.parametrize(
    "name",
    [
        *("in.png", "./in.png", "sub/../in.png", "hard", "soft", "~/in.png"),
        *("a.png", "sub/../a.png", "a.preview.png", "tilde"),
    ],
)
def test_a_file_aside_is_no_other_file_of_the_run(name):
    Path("sub").mkdir()
    Path.home().mkdir()
    _touch("in.png", Path.home() / "tilde")
    os.link("in.png", "hard")
    Path("soft").symlink_to("in.png")
    (Path.home() / "in.png").symlink_to(Path("in.png").resolve())
    Path("tilde").symlink_to(Path.home() / "tilde")
    with pytest.raises(ValueError, match=f"log {name} is another file"):
        _aside(name, ["none", "in.png", "~/tilde"])


def test_a_file_aside_may_be_any_other():
    _touch("in.png", "run.log")
    _aside("run.log")
    _aside("new.log")
    _aside("a.preview.png", previews=False)
    with pytest.raises(ValueError, match=r"a\.bmp\.json is another file"):
        _aside("a.bmp.json", path="a.bmp")
    Path("folder").mkdir()
    Path("gone").symlink_to("nowhere")
    for name in ("folder", "gone"):
        with pytest.raises(ValueError, match=f"log {name} exists and is not a"):
            _aside(name)


# Room


@pytest.mark.parametrize(("free", "depth"), [(4799, 8), (9599, 16)])
def test_a_folder_has_room_for_four_samples_a_pixel(monkeypatch, free, depth):
    options = writing.Options(bit_depth=depth)

    def check(free):
        usage = type("Usage", (), {"free": free})
        monkeypatch.setattr(outputs.shutil, "disk_usage", lambda _: usage)
        outputs.check_writable(Path("a.png"), 30, 40, options)

    check(free + 1)
    outputs.check_writable(Path("a.png"), 20, 30)  # by the usual options
    with pytest.raises(ValueError, match=r"output folder \. has 0.0 MB free"):
        check(free)
    with pytest.raises(ValueError, match=r"\.gif"):
        outputs.check_writable(Path("a.gif"), 30, 40)


def test_a_folder_takes_files_of_the_name():
    assert outputs.check_folder("output", Path("a.png")) == Path()
    with pytest.raises(ValueError, match=r"film folder none does not exist"):
        outputs.check_folder("film", Path("none/a.png"))
    with pytest.raises(ValueError, match="folder /proc is not writable"):
        outputs.check_folder("output", Path("/proc/a.png"))
    longest = "y" * (255 - len(".preview.png"))
    outputs.check_folder("output", Path(f"{longest}.png"))
    with pytest.raises(
        ValueError, match="yyy... is too long; choose a shorter"
    ):
        outputs.check_folder("output", Path(f"{longest}y.png"))
    with pytest.raises(ValueError, match="one with --film"):
        outputs.check_folder("film", Path(f"{'é' * 122}.png"))


# Somewhere


def _write(path, overwrite=False, record="", fails=()):
    """Writes a file where that does not fail; where it was tried, where not."""
    tried = []

    def write(place):
        tried.append(place)
        if place.parent in fails:
            raise OSError(f"no place in {place.parent}")
        place.write_text("new")

    found = outputs.write_somewhere(Path(path), write, overwrite, record)
    return found, tried


def test_a_file_that_has_appeared_meanwhile_is_kept():
    _touch("a.png", "b.bmp.json")
    assert _write("a.png")[0] == Path("a-2.png")
    assert _write("b.bmp", record="{}")[0] == Path("b-2.bmp")
    assert Path("a.png").read_text() == "mine"
    assert _write("a.png", overwrite=True)[0] == Path("a.png")
    assert Path("a.png").read_text() == "new"


@pytest.mark.parametrize("overwrite", [False, True])
def test_elsewhere_nothing_is_replaced(tmp_path, monkeypatch, overwrite):
    _touch("a.png")
    gone, temporary = tmp_path / "gone", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(outputs.tempfile, "tempdir", str(temporary))
    found, _ = _write(gone / "a.png", overwrite)
    assert found == Path("a-2.png")
    assert Path("a.png").read_text() == "mine"
    found, _ = _write(gone / "a.png", overwrite, fails=[gone, Path()])
    assert found == temporary / "a.png"
    places = [gone, Path(), temporary]
    with pytest.raises(OSError, match=re.escape(f"no place in {gone}")):
        _write(gone / "a.png", overwrite, fails=places)


def test_without_a_folder_for_temporary_files_the_first_error_is_said(
    tmp_path, monkeypatch
):
    def none():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(outputs.tempfile, "gettempdir", none)
    gone = tmp_path / "gone"
    assert _write(gone / "a.png", fails=[gone])[0] == Path("a.png")
    with pytest.raises(OSError, match=re.escape(f"no place in {gone}")):
        _write(gone / "b.png", fails=[gone, Path()])


def test_a_record_that_a_file_cannot_hold_goes_beside_it(tmp_path):
    image = toys.image(4, 4)
    options = writing.Options(record='{"a": 1}')
    for name, sidecar in (("a.bmp", True), ("a.png", False)):
        path = outputs.save_result(tmp_path / name, image, False, options)
        beside = writing.sidecar_path(path)
        assert beside.exists() is sidecar
        assert not sidecar or beside.read_text() == '{"a": 1}\n'
    assert outputs.save_result(Path("b.bmp"), image, False).exists()
    assert not Path("b.bmp.json").exists()
    np.testing.assert_allclose(image_io.load_image("b.bmp"), image, atol=2e-3)
    _touch("c.bmp.json")
    path = outputs.save_result(Path("c.bmp"), image, False, options)
    assert path.name == "c-2.bmp"
