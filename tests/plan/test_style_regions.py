"""Masks: regions, which style goes where, what is kept, how strongly."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import toys
from PIL import Image

import nst_tf
from nst_tf.cli import main
from nst_tf.images import image_io, masks
from nst_tf.losses import objectives
from nst_tf.runs import preparation, records
from nst_tf.transfer import targets

RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)


def _halves(left, right, size=(60, 80), split=0.5):
    """A mask of two colors beside each other, [H, W, 3] in [0, 1]."""
    mask = np.zeros((*size, 3), "f4") + np.divide(left, 255)
    mask[:, int(split * size[1]) :] = np.divide(right, 255)
    return mask.astype("f4")


# Masks


def test_a_gray_mask_has_white_and_the_rest():
    ramp = np.repeat(np.linspace(0, 1, 80)[None, :, None], 60, 0).repeat(3, -1)
    white, black = masks.find_mask_regions(ramp, "mask")
    assert (white.name, black.name) == ("#ffffff", "#000000")
    np.testing.assert_allclose(white.weights, ramp[..., 0], atol=1e-6)
    np.testing.assert_allclose(white.weights + black.weights, 1, atol=1e-6)


@pytest.mark.parametrize("quality", [None, 75])
def test_a_mask_of_colors_has_a_region_for_each(tmp_path, quality):
    mask = _halves(RED, BLUE)
    mask[40:] = 1
    path = tmp_path / ("a.jpg" if quality else "a.png")
    Image.fromarray(np.uint8(255 * mask)).save(path, quality=quality or 95)
    found = masks.find_mask_regions(image_io.load_image(path), "mask")
    assert len(found) == 3
    np.testing.assert_allclose(sum(r.weights for r in found), 1, atol=1e-6)
    white, *rest = found
    assert masks.is_same_color(white.color, (255, 255, 255))
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
    found = {r.color: r.weights for r in masks.find_mask_regions(mask, "mask")}
    [red] = [w for c, w in found.items() if masks.is_same_color(c, RED)]
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
        masks.find_mask_regions(mask, "mask")
    assert "\n" not in str(caught.value)


# Losses


def _evaluate(monkeypatch, regions, image):
    network = toys.extractor(monkeypatch, dtype="float64")
    weights = targets.LossWeights({}, dict.fromkeys(toys.STYLE_LAYERS, 1.0))
    loss_list = targets.perceptual_losses(
        network, image, [], weights, *image.shape[:2], regions=regions
    )
    return objectives.make_objective(network, loss_list)(
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
    assert main.main(["--flagfile=toy.cfg", "--levels=1", *flags]) == 0


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
    record = records.read_record("a.png")
    assert {name.partition("@")[2] for name in record["losses"]} >= {
        "#ff0000",
        "#0000ff",
    }
    _run("--output=b.png", *flags[:1], *flags[2:])
    first, alone = (
        records.read_record("a.png")["losses"],
        records.read_record("b.png"),
    )
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
    assert main.main([*base, *flags]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_masks_are_recorded_and_painted_by_again(folder, capsys):
    flags = ["--content_mask=two.png", "--style_mask=own.png"]
    flags += ["--strength_map=gray.png", "--keep_mask=zeros.png"]
    _run("--output=a.png", *flags)
    expected = image_io.load_image("a.png")
    assert main.main(["--rerun=a.png", "--output=b.png"]) == 0
    np.testing.assert_array_equal(image_io.load_image("b.png"), expected)
    capsys.readouterr()
    assert main.main(["--describe=a.png"]) == 0
    Path("again.cfg").write_text(capsys.readouterr().out)
    assert main.main(["--flagfile=again.cfg", "--output=c.png"]) == 0
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


def _stylize(*styles, **settings):
    """Paints town.png from Python, in a few steps."""
    defaults = {
        "size": 80,
        "steps": 3,
        "levels": 1,
        "weights": "toy.h5",
        "extractor": "toy",
        "content_layers": toys.CONTENT_LAYER,
        "style_layers": ",".join(toys.STYLE_LAYERS),
    }
    return nst_tf.stylize("town.png", styles, **{**defaults, **settings})


def _array(name, kind):
    """A mask of a file as an array: gray ones without channels."""
    pixels = np.asarray(Image.open(name))
    if kind == "uint8":
        return pixels
    gray = pixels[..., 0] / 255
    return gray > 0.5 if kind == "bool" else gray.astype(kind)


@pytest.mark.parametrize("kind", ["bool", "uint8", "f4", "f8"])
@pytest.mark.parametrize("name", ["content_mask", "strength_map", "keep_mask"])
def test_a_mask_is_the_same_as_an_array(folder, name, kind):
    expected = _stylize("paint.png", **{name: "gray.png"})
    actual = _stylize("paint.png", **{name: _array("gray.png", kind)})
    np.testing.assert_array_equal(actual, expected)
    assert np.abs(expected - _stylize("paint.png")).max() > 0.01


def test_masks_of_styles_may_be_arrays_beside_paths(folder):
    own = Image.open("own.png").transpose(Image.Transpose.ROTATE_180)
    own.resize((60, 50)).save("turned.png")
    styles = ["paint.png", "other.png"]
    Image.open("other.png").resize((60, 50)).save("other.png")
    expected = _stylize(
        *styles, content_mask="two.png", style_mask=("own.png", "turned.png")
    )
    two, turned = (_array(f"{each}.png", "uint8") for each in ("two", "turned"))
    for style_mask in (
        ["own.png", turned],
        (Path("own.png"), turned / np.float32(255)),
    ):
        actual = _stylize(*styles, content_mask=two, style_mask=style_mask)
        np.testing.assert_array_equal(actual, expected)
    one = _stylize("paint.png", content_mask=two, style_mask=turned)
    np.testing.assert_array_equal(
        _stylize("paint.png", content_mask=two, style_mask="turned.png"), one
    )


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        (
            {"keep_mask": np.ones((60, 80, 4))},
            ValueError,
            r"keep_mask has shape (60, 80, 4), expected (height, width), gray,",
        ),
        ({"keep_mask": np.ones(9)}, ValueError, "keep_mask has shape (9,), ex"),
        (
            {"strength_map": np.ones((60, 80), int)},
            TypeError,
            "strength_map has type int64, expected bool, uint8 or floats in",
        ),
        (
            {"strength_map": np.full((60, 80), np.nan)},
            ValueError,
            "strength_map has values outside [0, 1]",
        ),
        (
            {"keep_mask": np.ones((60, 80), "u1")},
            ValueError,
            "keep_mask has type uint8, of which white is 255, and no value",
        ),
        (
            {"keep_mask": np.ones((30, 40), bool)},
            ValueError,
            "keep_mask is 40 x 30 pixels, but its picture is 80 x 60",
        ),
        (
            {"style_mask": [np.ones((50, 60), bool)]},
            ValueError,
            "there is no --content_mask",
        ),
        (
            {
                "content_mask": "two.png",
                "style_mask": ["own.png", np.ones((50, 60, 2), bool)],
            },
            ValueError,
            "style mask 2 has shape (50, 60, 2), expected",
        ),
        ({"keep_mask": 3}, TypeError, "keep_mask is 3 of type int, expected s"),
        ({"style_mask": [3]}, TypeError, "style_mask is (3,) of type tuple"),
    ],
)
def test_arrays_that_are_no_masks_are_said(folder, settings, error, words):
    with pytest.raises(error) as caught:
        _stylize("paint.png", **settings)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_checkpoint_knows_the_masks_that_are_arrays(folder):
    half = np.zeros((60, 80), bool)
    half[:, 40:] = True
    settings = {"checkpoint_dir": "kept", "checkpoint_every": "1"}
    expected = _stylize("paint.png", keep_mask=half)
    _stylize("paint.png", keep_mask=half, **settings)
    again = _stylize("paint.png", keep_mask=half, **settings)
    np.testing.assert_array_equal(again, expected)
    for others in (
        {"keep_mask": ~half},
        {"strength_map": half},
        {"content_mask": half},
        {},
    ):
        with pytest.raises(ValueError, match="its masks is another"):
            _stylize("paint.png", **others, **settings)


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
    _, prepared = preparation.read_files(request)
    for place, expected in zip(
        prepared.places, ([200, 30, 30], [30, 30, 200]), strict=True
    ):
        [(_, style)] = place.styles
        mean = 255 * style.pixels.mean(axis=(0, 1))
        np.testing.assert_allclose(mean, expected, atol=8)
