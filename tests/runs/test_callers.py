"""What a caller gets: steps, a picture so far, and how it was made."""

import copy
import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pretend
import pytest
import tensorflow as tf
import toys
from PIL import Image

import nst_tf
from nst_tf import cells, display, run
from nst_tf.cli import main
from nst_tf.images import image_io
from nst_tf.plan import settings
from nst_tf.runs import records


def _stylize(toy, content=None, **chosen):
    content = toys.image(60, 80) if content is None else content
    chosen = {**pretend.SETTINGS, "weights": str(toy), **chosen}
    return nst_tf.stylize(content, toys.image(50, 60, 1), **chosen)


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        *((None, 9), (0, 9), (np.float32(0), 9), (np.True_, 9), (True, 9)),
        *((False, 1), (np.False_, 1), (tf.constant(1.0) > 2.0, 1)),
    ],
)
def test_only_false_stops_a_run(toy, painter, answer, count):
    steps = []
    image = _stylize(toy, callback=lambda s: steps.append(s.index) or answer)
    assert len(steps) == count
    assert image.shape == (72, 96, 3)


def test_what_a_callback_raises_ends_the_run(toy, painter):
    with pytest.raises(ZeroDivisionError):
        _stylize(toy, callback=lambda step: 1 / 0)


def test_a_job_that_is_stopped_is_unfinished_and_goes_on(folder, toy, painter):
    job = pretend.job(
        toy,
        content="town.png",
        style="paint.png",
        output="a.png",
        checkpoint_dir="kept",
    )
    nst_tf.run_job(job, callback=lambda step: step.level < 1)
    assert records.read_record("a.png")["state"] == "unfinished"
    steps = []
    nst_tf.run_job(job, callback=lambda step: steps.append(step.level))
    assert records.read_record("a.png")["state"] == "done"
    assert steps == [1, 1, 2, 2, 2]


# The result


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.bmp"])
def test_it_is_saved_with_its_record(folder, toy, painter, name):
    image = _stylize(toy, "town.png", seed=3)
    image.save(name, quality=90)
    image.save(name, quality=90)  # as `save_image`, it replaces
    record = records.read_record(name)
    assert record["flags"]["seed"] == 3 and record["flags"]["quality"] == 90
    assert record["decided"]["settings"]["quality"] == 90
    assert record["state"] == "done"
    assert record["inputs"]["content"]["name"] == "town.png"
    (style,) = record["inputs"]["style"]
    assert style["name"] == "array" and style["digest"].startswith("sha256:")
    atol = 0.2 if name == "a.jpg" else 0.51 / 255
    np.testing.assert_allclose(image_io.load_image(name), image, atol=atol)


def test_what_is_saved_is_made_again(folder, toy, painter, capsys):
    chosen = {**pretend.SETTINGS, "weights": "toy.h5", "style_scale": [0.5]}
    image = nst_tf.stylize("town.png", ["paint.png"], **chosen)
    image.save("a.png", bit_depth=16, dpi=100)
    assert main.main(["--rerun=a.png", "--output=b.png"]) == 0
    for name in ("a.png", "b.png"):
        picture = image_io.load_picture(name)
        np.testing.assert_allclose(picture.pixels, image, atol=0.51 / 65535)
        assert picture.dpi == pytest.approx((100, 100), rel=1e-3)
    assert run.main(["--describe=a.png"]) == 0
    assert "--bit_depth=16" in capsys.readouterr().out


def test_an_array_is_named_when_its_picture_is_made_again(
    folder, toy, painter, capsys
):
    _stylize(toy).save("a.png")
    assert main.main(["--rerun=a.png"]) == 1
    assert "pass it with --content=PATH" in capsys.readouterr().err


def test_a_picture_so_far_is_saved_as_unfinished(folder, toy, painter):
    image = _stylize(toy, callback=lambda step: False)
    image.save("a.png")
    record = records.read_record("a.png")
    assert record["state"] == "unfinished"
    assert record["decided"]["steps"] == [1, 0, 0]


def test_alpha_goes_with_it(folder, toy, painter):
    alpha = np.zeros((60, 80, 1))
    alpha[:, 40:] = 1
    image = _stylize(toy, np.concatenate([toys.image(60, 80), alpha], -1))
    assert image.shape == (72, 96, 3)
    image.save("a.png")
    for shown in (Image.open("a.png"), image.to_pil()):
        assert (shown.mode, shown.size) == ("RGBA", (96, 72))
        opaque = np.asarray(shown)[..., 3]
        assert opaque[:, :40].max() < 9 and opaque[:, 56:].min() > 246
    assert (1 - image).to_pil().mode == "RGB"
    with pytest.raises(ValueError, match="has type uint8; expected floats"):
        (255 * image).astype("u1").to_pil()


def test_its_settings_are_those_that_were_asked_for(folder, toy, painter):
    mask = np.ones((60, 80), bool)
    image = _stylize(toy, Path("town.png"), strength_map=mask, steps=[2])
    job = image.settings
    assert isinstance(job, settings.Job)
    assert (job.content, job.style) == ("town.png", ("array",))
    assert (job.strength_map, job.steps, job.size) == ("array", (2,), 96)
    asked = {n: getattr(job, n) for n in pretend.SETTINGS}
    expected = dataclasses.asdict(pretend.job(toy, steps=2))
    assert asked == {name: expected[name] for name in asked}


@pytest.mark.parametrize(
    "make",
    [
        copy.copy,
        copy.deepcopy,
        lambda image: image.copy(),
        lambda image: image.copy("F"),
        *(
            lambda image, protocol=protocol: pickle.loads(
                pickle.dumps(image, protocol)
            )
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_copies_have_its_settings_and_are_saved_alike(
    folder, toy, painter, make
):
    exif = Image.Exif()
    exif[0x013B] = "A. Painter"
    rgba = Image.fromarray((255 * toys.image(60, 80)).astype("u1"))
    rgba.putalpha(128)
    rgba.save("rgba.png", exif=exif)
    image = _stylize(toy, "rgba.png")
    copied = make(image)
    assert copied is not image and copied.settings == image.settings
    for name, each in (("a.png", image), ("b.png", copied)):
        each.save(name)
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert Image.open("a.png").mode == "RGBA"
    assert Image.open("b.png").getexif()[0x013B] == "A. Painter"
    copied[0] = 0.5
    assert copied.settings is None and image.settings


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image[:],
        lambda image: image[4:, ::-1],
        lambda image: 0.5 * image,
        lambda image: image.astype("f8"),
        lambda image: np.clip(image, 0, 0.5),
        lambda image: image.__setitem__(0, 0.5) or image,
        lambda image: image.__imul__(0.5),
    ],
)
def test_what_is_made_of_it_has_no_settings(folder, toy, painter, change):
    image = _stylize(toy)
    assert image.settings
    changed = change(image)
    assert changed.settings is None
    changed.save("a.png")
    with pytest.raises(ValueError, match="has no record"):
        records.read_record("a.png")


def test_a_notebooks_picture_has_them_too(folder, toy, painter):
    chosen = {**pretend.SETTINGS, "weights": str(toy)}
    image = nst_tf.notebook.show("town.png", "paint.png", **chosen)
    image.save("a.png")
    assert image.settings.style == ("paint.png",)
    assert json.loads(json.dumps(records.read_record("a.png")["inputs"]))


def test_where_it_cannot_be_saved_is_said(folder, toy, painter):
    image = _stylize(toy)
    with pytest.raises(ValueError, match="has the extension '.gif'; expected"):
        image.save("a.gif")
    with pytest.raises(OSError, match="none"):
        image.save("none/a.png")
    assert not Path("a.gif").exists()


# Progress


def test_nothing_is_shown_unless_it_is_asked_for(toy, painter, capsys):
    _stylize(toy)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("of_files", [False, True])
def test_progress_is_shown_on_standard_error(
    folder, toy, painter, capsys, of_files
):
    if of_files:
        job = pretend.job(toy, content="town.png", style="paint.png")
        nst_tf.run_job(job, progress=True)
    else:
        _stylize(toy, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "96 x 72" in err and "loss 7" in err
    assert display._current is None


def test_progress_is_a_line_in_a_notebooks_cell(
    toy, painter, monkeypatch, capsys
):
    lines = []
    monkeypatch.setattr(cells, "is_notebook", lambda: True)
    monkeypatch.setattr(cells.Cell, "write", lambda self, s: lines.append(s))
    _stylize(toy, progress=True)
    assert "96 x 72" in lines[-1] and "step 3/3" in lines[-1]
    assert capsys.readouterr() == ("", "")
