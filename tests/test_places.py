"""Masks: regions, which style goes where, what is kept, how strongly."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import toys
from PIL import Image

import nst_tf
from nst_tf import image_io, masks, metadata, objective, run, targets

RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)


def _halves(left, right, size=(60, 80), split=0.5):
    """A mask of two colors beside each other, [H, W, 3] in [0, 1]."""
    mask = np.zeros((*size, 3), "f4") + np.divide(left, 255)
    mask[:, int(split * size[1]) :] = np.divide(right, 255)
    return mask.astype("f4")


# Masks


def test_a_gray_mask_has_white_and_the_rest():
    ramp = np.repeat(np.linspace(0, 1, 80)[None, :, None], 60, 0).repeat(3, -1)
    white, black = masks.regions(ramp, "mask")
    assert (white.name, black.name) == ("#ffffff", "#000000")
    np.testing.assert_allclose(white.weights, ramp[..., 0], atol=1e-6)
    np.testing.assert_allclose(white.weights + black.weights, 1, atol=1e-6)


@pytest.mark.parametrize("quality", [None, 75])
def test_a_mask_of_colors_has_a_region_for_each(tmp_path, quality):
    mask = _halves(RED, BLUE)
    mask[40:] = 1
    path = tmp_path / ("a.jpg" if quality else "a.png")
    Image.fromarray(np.uint8(255 * mask)).save(path, quality=quality or 95)
    found = masks.regions(image_io.load_image(path), "mask")
    assert len(found) == 3
    np.testing.assert_allclose(sum(r.weights for r in found), 1, atol=1e-6)
    white, *rest = found
    assert masks.same(white.color, (255, 255, 255))
    inside = white.weights[44:, 4:-4], rest[0].weights[4:30, 4:34]
    for weights in inside:
        assert weights.mean() > 0.99 or weights.mean() < 0.01
    assert {tuple(round(c / 255) for c in r.color) for r in rest} == {
        (1, 0, 0),
        (0, 0, 1),
    }


def test_an_edge_between_two_colors_is_soft():
    mask = image_io.resize(_halves(RED, BLUE), 24, 32)
    mask = image_io.resize(mask, 60, 80)
    found = {r.color: r.weights for r in masks.regions(mask, "mask")}
    [red] = [w for c, w in found.items() if masks.same(c, RED)]
    row = red[30]
    assert row[10] == 1 and row[70] == 0
    assert ((row > 0.1) & (row < 0.9)).sum() >= 2
    assert (np.diff(row) <= 1e-6).all()


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (_halves(RED, (255, 40, 0)), "less than 64 from it"),
        (_halves(RED, RED), "has 1 colors that fill more"),
        (toys.image(60, 80), "mask has"),
    ],
)
def test_masks_that_cannot_be_told_apart_are_refused(mask, words):
    with pytest.raises(ValueError, match=words) as caught:
        masks.regions(mask, "mask")
    assert "\n" not in str(caught.value)


# Losses


def _evaluate(monkeypatch, regions, image):
    network = toys.extractor(monkeypatch, dtype="float64")
    weights = targets.LossWeights({}, dict.fromkeys(toys.STYLE_LAYERS, 1.0))
    loss_list = targets.perceptual_losses(
        network, image, [], weights, *image.shape[:2], regions=regions
    )
    return objective.make_objective(network, loss_list)(
        tf.constant(image[None])
    )


def test_a_mask_of_ones_is_no_mask(monkeypatch):
    image, style = toys.image(64, 96, 0, "f8"), toys.image(40, 50, 1, "f8")
    styles = [targets.Style(style)]
    plain, masked = (
        _evaluate(monkeypatch, [targets.Region(styles, mask)], image)
        for mask in (None, np.ones((64, 96)))
    )
    np.testing.assert_allclose(masked.loss, plain.loss, rtol=1e-6)
    np.testing.assert_allclose(masked.gradient, plain.gradient, atol=1e-9)


def test_a_small_region_is_painted_as_strongly_as_a_large_one(monkeypatch):
    image = toys.image(80, 160, 0, "f8") * 0.1 + 0.4
    styles = [targets.Style(toys.image(40, 50, 1, "f8"))]
    forces = []
    for width in (160, 16):
        mask = np.zeros((80, 160))
        mask[:, :width] = 1
        region = [targets.Region(styles, mask)]
        gradient = _evaluate(monkeypatch, region, image).gradient.numpy()[0]
        inside = gradient[20:60, 4:12]
        forces.append(np.sqrt((inside**2).mean()))
    assert 0.8 < forces[1] / forces[0] < 1.25


def test_regions_do_not_pull_at_each_other(monkeypatch):
    image = toys.image(64, 128, 0, "f8")
    left, right = np.zeros((64, 128)), np.zeros((64, 128))
    left[:, :64], right[:, 64:] = 1, 1
    styles = [
        [targets.Style(toys.image(40, 50, seed, "f8"))] for seed in (1, 2)
    ]
    parts = [
        targets.Region(styles[0], left, "a"),
        targets.Region(styles[1], right, "b"),
    ]
    both = _evaluate(monkeypatch, parts, image)
    alone = _evaluate(monkeypatch, parts[:1], image)
    np.testing.assert_allclose(
        both.gradient[:, :, :40], alone.gradient[:, :, :40], atol=1e-12
    )
    assert {name.partition("@")[2] for name in both.terms} == {"a", "b"}


# From file to file


@pytest.fixture
def folder(tmp_path, toy, monkeypatch):
    """A working directory with a flag file, two styles, and masks."""
    monkeypatch.chdir(tmp_path)
    toys.write_flag_file(toy)
    image_io.save_image("other.png", toys.image(50, 60, 7))
    image_io.save_image("two.png", _halves(RED, BLUE))
    image_io.save_image("gray.png", _halves((255,) * 3, BLACK))
    image_io.save_image("ones.png", np.ones((60, 80, 3), "f4"))
    image_io.save_image("zeros.png", np.zeros((60, 80, 3), "f4"))
    image_io.save_image("own.png", _halves(BLUE, RED, (50, 60)))
    image_io.save_image("small.png", _halves(RED, BLUE, (30, 40)))
    image_io.save_image("three.png", _three())
    return tmp_path


def _three():
    mask = _halves(RED, BLUE)
    mask[30:] = [0, 1, 0]
    return mask


def _run(*flags):
    assert run.main(["--flagfile=toy.cfg", "--levels=1", *flags]) == 0


def _change(name, reference="town.png"):
    """How far a result is from the content, by column."""
    content = image_io.resize(image_io.load_image(reference), 72, 96)
    difference = image_io.load_image(name) - content
    return np.abs(difference).mean(axis=(0, 2))


def test_a_white_mask_changes_nothing(folder):
    _run("--output=a.png")
    _run("--output=b.png", "--content_mask=ones.png", "--strength_map=ones.png")
    difference = image_io.load_image("a.png") - image_io.load_image("b.png")
    assert np.abs(difference).max() <= 1 / 255 + 1e-6


def test_each_region_is_painted_in_its_style(folder):
    flags = ["--style=paint.png", "--style=other.png", "--steps=40"]
    flags += ["--content_weight=0", "--tv_weight=0", "--average=0"]
    _run("--output=a.png", "--content_mask=two.png", *flags)
    record = metadata.read("a.png")
    assert {name.partition("@")[2] for name in record["losses"]} >= {
        "#ff0000",
        "#0000ff",
    }
    _run("--output=b.png", *flags[:1], *flags[2:])
    first, alone = metadata.read("a.png")["losses"], metadata.read("b.png")
    for layer in toys.STYLE_LAYERS:
        loss = first[f"style/{layer}@#ff0000"]
        assert loss < 1.25 * alone["losses"][f"style/{layer}"] + 4e-3


def test_masks_of_styles_say_which_part_goes_where(folder):
    masks_ = ["--content_mask=two.png", "--style_mask=own.png"]
    _run("--output=a.png", *masks_, "--steps=10")
    painting = image_io.load_image("paint.png")
    halves = painting[:, 30:], painting[:, :30]  # of red, and of blue
    for number, half in enumerate(halves):
        image_io.save_image(f"half{number}.png", half)
    styles = ["--style=half0.png", "--style=half1.png", "--style_scale=0.7"]
    _run("--output=b.png", "--content_mask=two.png", *styles, "--steps=10")
    a, b = image_io.load_image("a.png"), image_io.load_image("b.png")
    other = ["--style=half1.png", "--style=half0.png", "--style_scale=0.7"]
    _run("--output=c.png", "--content_mask=two.png", *other, "--steps=10")
    c = image_io.load_image("c.png")
    assert np.abs(a - b).mean() < np.abs(a - c).mean()


def test_black_may_be_left_as_it_is(folder):
    _run("--output=a.png", "--content_mask=gray.png", "--tv_weight=0")
    change = _change("a.png")
    assert change[60:].mean() < 0.5 * change[:40].mean()


def test_what_is_kept_stays_to_the_pixel(folder):
    _run("--output=a.png", "--keep_mask=gray.png", "--init=noise")
    change = _change("a.png")
    assert change[:44].max() < 1 / 255 and change[60:].min() > 0.02


def test_a_map_of_strength_leaves_the_photograph_where_it_is_black(folder):
    ramp = np.linspace(0, 1, 80)[None, :, None] * np.ones((60, 1, 3))
    image_io.save_image("ramp.png", ramp.astype("f4"))
    _run("--output=a.png", "--strength_map=ramp.png", "--steps=30")
    change = _change("a.png")
    parts = change[:32].mean(), change[32:64].mean(), change[64:].mean()
    assert parts[0] < parts[1] < parts[2]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--content_mask=small.png"], "content_mask is 40 x 30 pixels, but"),
        (["--strength_map=small.png"], "strength_map is 40 x 30 pixels"),
        (["--content_mask=zeros.png", "--strength_map=zeros.png"], "nothing"),
        (["--strength_map=zeros.png"], "the masks leave nothing to paint"),
        (["--keep_mask=ones.png"], "the masks leave nothing to paint"),
        (["--content_mask=two.png"], "has 2 regions (#ff0000 50%, #0000ff 50%"),
        (["--content_mask=three.png", "--style=other.png"], "has 3 regions"),
        (["--style_mask=own.png"], "there is no --content_mask"),
        (
            ["--content_mask=two.png", "--style_mask=small.png"],
            "style mask 1 is 40 x 30 pixels, but its picture is 60 x 50",
        ),
        (
            ["--content_mask=three.png", "--style_mask=own.png"],
            "content_mask has the color #00ff00, but no style_mask has",
        ),
        (
            ["--content_mask=gray.png", "--style_mask=own.png"],
            "style mask 1 has the color #ff0000, but content_mask has #ffffff "
            "50%, #000000 50%",
        ),
        (["--content_mask=none.png"], "there is no file none.png"),
    ],
)
def test_masks_that_do_not_fit_are_said(folder, capsys, flags, words):
    base = ["--flagfile=toy.cfg", "--levels=1"]
    if "--style=other.png" in flags:
        base.append("--style=paint.png")
    assert run.main([*base, *flags]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_masks_are_recorded_and_painted_by_again(folder, capsys):
    flags = ["--content_mask=two.png", "--style_mask=own.png"]
    flags += ["--strength_map=gray.png", "--keep_mask=zeros.png"]
    _run("--output=a.png", *flags)
    expected = image_io.load_image("a.png")
    assert run.main(["--rerun=a.png", "--output=b.png"]) == 0
    np.testing.assert_array_equal(image_io.load_image("b.png"), expected)
    capsys.readouterr()
    assert run.main(["--describe=a.png"]) == 0
    Path("again.cfg").write_text(capsys.readouterr().out)
    assert run.main(["--flagfile=again.cfg", "--output=c.png"]) == 0
    np.testing.assert_array_equal(image_io.load_image("c.png"), expected)


def test_the_library_takes_masks_by_their_paths(folder):
    content = image_io.load_image("town.png")
    image = nst_tf.stylize(
        content,
        "paint.png",
        keep_mask=Path("gray.png"),
        size=80,
        steps=3,
        weights=Path("toy.h5"),
        extractor="toy",
        content_layers=toys.CONTENT_LAYER,
        style_layers=",".join(toys.STYLE_LAYERS),
    )
    assert np.abs(image - content)[:, :38].max() < 1e-6
    assert np.abs(image - content)[:, 42:].mean() > 0.01


def test_regions_get_their_own_colors(folder):
    picture = _halves((200, 30, 30), (30, 30, 200))
    picture += 0.1 * (toys.image(60, 80, 3) - 0.5)
    image_io.save_image("town.png", picture)
    request = nst_tf.Job(
        content="town.png",
        style=("paint.png", "paint.png"),
        content_mask="two.png",
        color="match",
        weights="toy.h5",
        extractor="toy",
        content_layers=toys.CONTENT_LAYER,
        style_layers=",".join(toys.STYLE_LAYERS),
    )
    _, prepared = nst_tf.execution.inputs.prepare_files(request)
    for place, expected in zip(
        prepared.places, ([200, 30, 30], [30, 30, 200]), strict=True
    ):
        [(_, style)] = place.styles
        mean = 255 * style.pixels.mean(axis=(0, 1))
        np.testing.assert_allclose(mean, expected, atol=8)
