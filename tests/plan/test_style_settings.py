"""Several styles: shares, layers and scales of each, folders."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import toys

import nst_tf
from nst_tf.cli import main
from nst_tf.images import image_io
from nst_tf.plan import inputs, settings
from nst_tf.runs import api, records
from nst_tf.transfer import targets

A, B = toys.image(40, 56, 1), toys.image(50, 40, 2)
CONTENT = toys.image(48, 64, 0)
FIRST, SECOND = toys.STYLE_LAYERS


@pytest.fixture
def chosen(toy):
    """What a quick run on the toy network needs."""
    return {
        "weights": str(toy),
        "extractor": "toy",
        "precision": "float32",
        "content_layers": toys.CONTENT_LAYER,
        "style_layers": ",".join(toys.STYLE_LAYERS),
        "size": 64,
        "steps": 30,
        "min_size": 64,
        "growth": 2**0.5,
    }


def _losses(monkeypatch, styles, weights=None):
    network = toys.extractor(monkeypatch, dtype="float64")
    weights = weights or {FIRST: 1.0, SECOND: 2.0}
    loss_list = targets.perceptual_losses(
        network,
        CONTENT.astype("f8"),
        [each._replace(image=each.image.astype("f8")) for each in styles],
        targets.LossWeights({}, weights),
        48,
        64,
    )
    return network, {loss.layer: loss for loss in loss_list}


def test_a_blend_has_the_mean_of_the_targets(monkeypatch):
    _, [one, two] = zip(
        *[_losses(monkeypatch, [targets.Style(x)]) for x in (A, B)], strict=True
    )
    _, both = _losses(
        monkeypatch, [targets.Style(A, 0.3), targets.Style(B, 0.9)]
    )
    for layer, loss in both.items():
        mean = 0.25 * one[layer]._target + 0.75 * two[layer]._target
        np.testing.assert_allclose(loss._target, mean, rtol=1e-12)
        assert loss.weight == pytest.approx(one[layer].weight)


def test_layers_of_their_own_are_looked_at_for_one_style_only(monkeypatch):
    _, alone = _losses(monkeypatch, [targets.Style(A)])
    _, other = _losses(monkeypatch, [targets.Style(B)])
    _, both = _losses(
        monkeypatch,
        [
            targets.Style(A, 1.0, layers={FIRST: 4.0}),
            targets.Style(B, 3.0, layers={SECOND: 4.0}),
        ],
    )
    np.testing.assert_array_equal(both[FIRST]._target, alone[FIRST]._target)
    np.testing.assert_array_equal(both[SECOND]._target, other[SECOND]._target)
    assert both[FIRST].weight == 1 and both[SECOND].weight == 3


def test_a_blend_moves_from_one_style_to_the_other(chosen, monkeypatch):
    pictures = [
        nst_tf.stylize(
            CONTENT,
            [A, B],
            style_blend=(1 - share, share),
            optimizer="adam",
            **chosen,
        )
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    for style, sign in ((A, 1), (B, -1)):
        network, loss_list = _losses(monkeypatch, [targets.Style(style)])
        distances = []
        for picture in pictures:
            maps = network.model(tf.constant(picture[None], tf.float64))
            distances.append(
                sum(
                    float(loss.distance(loss.statistics(maps[layer])))
                    for layer, loss in loss_list.items()
                )
            )
        assert (sign * np.diff(distances) > 0).all(), distances


def test_a_style_without_a_share_has_no_part(chosen):
    np.testing.assert_array_equal(
        nst_tf.stylize(CONTENT, [A, B], style_blend=(1, 0), **chosen),
        nst_tf.stylize(CONTENT, A, **chosen),
    )


def test_each_style_has_its_scale(chosen):
    request = settings.Job(style_scale=(0.5, 2.0), **chosen)
    prepared = inputs.prepare(
        request, image_io.Picture(CONTENT), [image_io.Picture(A)] * 2
    )
    [region] = api._regions(request, prepared)
    assert [style.scale for style in region.styles] == [0.5, 2.0]


def test_a_size_of_the_style_is_that_beside_the_output(chosen):
    request = settings.Job(style_size=100, style_fit="side", **chosen)
    prepared = inputs.prepare(
        request, image_io.Picture(CONTENT), [image_io.Picture(A)]
    )
    assert prepared.scales == [pytest.approx(100 / 64)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"style_blend": (1, 2, 3)}, "style_blend is given 3 times, but there"),
        ({"style_scale": (1, 1, 1)}, "style_scale is given 3 times"),
        ({"style_layers": (FIRST,) * 3}, "style_layers is given 3 times"),
        ({"style_size": (64,) * 3}, "style_size is given 3 times"),
        ({"style_size": 5000}, "style_size is 5000, "),
        ({"style_size": 99, "style_scale": 2}, "both set"),
        ({"style_blend": (0, 0)}, "style_blend is 0 for all"),
        ({"style_blend": (-1, 2)}, "style_blend is -1, expected at least 0"),
        ({"style_layers": (FIRST, "conv")}, "toy has no layer 'conv'"),
        ({"style_layers": ()}, "style_layers is empty"),
    ],
)
def test_wrong_counts_and_values_are_said(chosen, changes, words):
    with pytest.raises(ValueError, match=words):
        nst_tf.stylize(CONTENT, [A, B], **{**chosen, **changes})


@pytest.fixture
def folder(tmp_path, toy, monkeypatch):
    """A working directory with a flag file, and a folder of three styles."""
    monkeypatch.chdir(tmp_path)
    toys.write_flag_file(toy)
    Path("styles").mkdir()
    for seed in range(3):
        image_io.save_image(f"styles/{seed}.png", toys.image(40, 50, seed))
    Path("styles/notes.txt").write_text("no picture")
    return tmp_path


def _run(*flags):
    assert main.main(["--flagfile=toy.cfg", *flags]) == 0


def test_a_folder_is_one_style(folder):
    shares = [1 / 6] * 3 + [0.5]
    pictures = [f"--style=styles/{seed}.png" for seed in range(3)]
    pictures += ["--style=paint.png"]
    scales = ["--style_scale=0.5", "--style_scale=1"]
    _run("--output=a.png", "--style=styles", "--style=paint.png", *scales)
    blend = f"--style_blend={','.join(map(str, shares))}"
    each = ["--style_scale=0.5,0.5,0.5,1"]
    _run("--output=b.png", *pictures, blend, *each)
    expected = image_io.load_image("b.png")
    np.testing.assert_array_equal(image_io.load_image("a.png"), expected)
    record = records.read_record("a.png")
    assert [style["name"] for style in record["inputs"]["style"]] == [
        "0.png",
        "1.png",
        "2.png",
        "paint.png",
    ]
    assert str(folder) not in records.format_record(record)


def test_a_folder_is_painted_with_again(folder, capsys):
    _run("--output=a.png", "--style=styles")
    expected = image_io.load_image("a.png")
    for seed in range(3):
        shutil.copy(f"styles/{seed}.png", f"{seed}.png")
    assert main.main(["--rerun=a.png", "--output=b.png"]) == 0
    assert main.main(["--rerun=a.png", "--output=c.png", "--style=styles"]) == 0
    capsys.readouterr()
    assert main.main(["--describe=a.png"]) == 0
    Path("d.cfg").write_text(capsys.readouterr().out)
    assert main.main(["--flagfile=d.cfg", "--output=d.png"]) == 0
    for name in ("b.png", "c.png", "d.png"):
        np.testing.assert_array_equal(image_io.load_image(name), expected)


def test_a_folder_without_pictures_is_said(folder, capsys):
    Path("empty").mkdir()
    arguments = ["--content=town.png", "--style=empty"]
    assert main.main(arguments) == 1
    assert "style folder empty has no pictures" in capsys.readouterr().err


def test_the_library_takes_folders_too(folder, chosen):
    styles = [f"styles/{seed}.png" for seed in range(3)]
    np.testing.assert_array_equal(
        nst_tf.stylize(CONTENT, "styles", **chosen),
        nst_tf.stylize(CONTENT, styles, **chosen),
    )


def _wavelength(image):
    """The wavelength, in pixels, about which most power of a picture is."""
    gray = image.mean(axis=-1)
    window = np.outer(*[np.hanning(side) for side in gray.shape])
    power = np.abs(np.fft.fft2((gray - gray.mean()) * window, (1024, 1024)))
    rows, columns = np.meshgrid(*[np.fft.fftfreq(1024)] * 2, indexing="ij")
    frequency = np.hypot(rows, columns)
    bounds = np.geomspace(1 / 64, 1 / 3, 60)
    sums = np.histogram(frequency, bounds, weights=power**2)[0]
    peak = int(sums.argmax())
    low, high = bounds[max(peak - 2, 0)], bounds[min(peak + 3, 59)]
    near = (frequency >= low) & (frequency < high)
    return 1 / np.average(frequency[near], weights=power[near] ** 2)


@pytest.mark.slow
@pytest.mark.parametrize("period", [8, 10])
def test_twice_the_scale_is_twice_the_wavelength(period):
    wave = np.sign(np.sin(2 * np.pi * np.arange(192) / period))
    stripes = np.tile(0.5 + 0.4 * wave[None, :, None], (192, 1, 3))
    lengths = [
        _wavelength(
            nst_tf.stylize(
                np.full((192, 192, 3), 0.5, "f4"),
                stripes.astype("f4"),
                size=192,
                weights="small",
                style_scale=scale,
                init="noise",
                content_weight=0,
                steps=(150, 100),
            )
        )
        for scale in (1, 2)
    ]
    assert lengths[0] == pytest.approx(period, rel=0.25)
    assert lengths[1] / lengths[0] == pytest.approx(2, rel=0.15)
