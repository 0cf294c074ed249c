"""The presets: what they say of themselves, and that they paint."""

import dataclasses
import re
import time
from pathlib import Path

import numpy as np
import pytest

from nst_tf import files
from nst_tf.cli import flags
from nst_tf.images import image_io
from nst_tf.plan import checks
from nst_tf.runs import api, results, runner

PRESETS = sorted(path.stem for path in files.presets_folder().glob("*.cfg"))
OURS = (
    *("blend", "broad", "glass", "ink", "kept", "own_colors", "places"),
    *("points", "starry"),
)
every_preset = pytest.mark.parametrize("name", PRESETS)


def test_there_are_at_least_four():
    assert len(PRESETS) >= 4
    assert "starry" in PRESETS


@every_preset
def test_a_preset_opens_with_what_it_makes_and_the_command(name):
    lines = (files.presets_folder() / f"{name}.cfg").read_text().splitlines()
    assert re.match(r"# [A-Z].*\.$", lines[0])
    assert re.match(
        r"# \d+ x \d+ in \w+ levels?, \d+ steps; time and memory:", lines[1]
    )
    assert lines[2] == f"# Run:  python -m nst_tf.run --flagfile={name}"
    readme = (files.presets_folder() / "README.md").read_text()
    assert f"`{name}`" in readme


@every_preset
def test_a_preset_names_pictures_of_ours_and_no_output(name):
    job = flags.parse([f"--flagfile={name}"])
    checks.check(job)
    assert not job.output
    for picture in (job.content, *job.style):
        assert Path(picture).parent == files.presets_folder() / "images"
        rows, columns, _ = image_io.load_image(picture).shape
        assert max(rows, columns) >= 768
        assert Path(picture).stat().st_size <= 250_000


def _run(name, source, path, size=192, steps=40):
    """A short, small run of a preset: all its losses, and the picture."""
    job = flags.parse([f"--flagfile={name}"])
    job = dataclasses.replace(
        job,
        output=str(path),
        extractor="vgg19",  # of VGG16 there is no network at hand
        weights=source,
        size=size,
        steps=(steps,),
    )
    start = time.monotonic()
    draft = api.draft_files(job)
    steps = list(runner.start_run(draft).steps())
    assert time.monotonic() - start < 300
    picture = results.read_image(steps[-1])
    assert picture.shape == (size * 3 // 4, size, 3)
    assert picture.std() > 0.05
    return [step.evaluation for step in steps], picture


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "source"),
    [
        *((name, "auto") for name in OURS),
        *((name, "small") for name in ("kept", "starry")),
    ],
)
def test_a_preset_of_ours_paints(name, source, tmp_path):
    evaluations, _ = _run(name, source, tmp_path / "a.png")
    # A content image has a relative style distance of about 1 to 0.1; a
    # painted one, at each layer, far less. Beside what is kept, less is free.
    terms = evaluations[-1].terms
    style = [float(v) for k, v in terms.items() if k.startswith("style")]
    assert np.mean(style) < (0.15 if name == "kept" else 0.1)
    assert 0 < float(terms["content/block4_conv2"]) < 1.2


@pytest.mark.slow
def test_a_doodle_has_the_colors_of_the_painting_where_it_says(tmp_path):
    _, picture = _run("doodle", "small", tmp_path / "a.png", steps=25)
    job = flags.parse(["--flagfile=doodle"])
    size = picture.shape[:2]
    doodle, marks, style = (
        image_io.resize(image_io.load_image(path), *size)
        for path in (job.content_mask, job.style_mask[0], job.style[0])
    )
    assert job.init == "noise" and not job.content_weight
    areas = np.array([(64, 96, 255), (32, 160, 64), (255, 208, 32)]) / 255
    painted, marked = (
        [np.abs(mask - area).max(axis=-1) < 0.02 for area in areas]
        for mask in (doodle, marks)
    )
    ours = np.array([picture[here].mean(axis=0) for here in painted])
    theirs = np.array([style[here].mean(axis=0) for here in marked])
    distances = np.abs(ours[:, None] - theirs).sum(axis=-1)
    np.testing.assert_array_equal(distances.argmin(axis=-1), [0, 1, 2])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(PRESETS) - set(OURS)))
def test_a_preset_with_a_source_follows_its_loss(name, tmp_path):
    evaluations, _ = _run(name, "small", tmp_path / "a.png", 128, 50)
    # SGD takes small steps, 4,000 of them; Crowson's loss is half content; a
    # cosine begins at 0.3 or so, and not at 1.
    shares = {"keras_example": 0.95, "crowson_w2": 0.8, "neighbors": 0.7}
    share = shares.get(name, 0.5)
    assert evaluations[-1].loss < share * evaluations[0].loss
