"""The networks that ship: their files, how they are made, that they paint."""

import importlib
import itertools
import re
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import toys

import nst_tf
from nst_tf import files
from nst_tf.cli import main
from nst_tf.images import image_io
from nst_tf.losses import sums
from nst_tf.network import architectures, bundled, extractors, weight_files
from nst_tf.runs import resume

ROOT = Path(nst_tf.__file__).parent.parent
STYLE = [f"block{block}_conv1" for block in range(1, 6)]
CONTENT = "block4_conv2"
LAYERS = architectures.list_convolutions("vgg19")


def _toy():
    rng = np.random.default_rng(0)
    layers = toys.weights()
    return layers, {
        name: rng.normal(size=(len(bias), 16)).astype("f4")
        for name, (_, bias) in layers.items()
    }


FILES = {"vgg19": bundled.VGG19, "small": bundled.SMALL}


@pytest.fixture
def packing(monkeypatch):
    """What writes the small network: a script, beside the package."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("distillation.packing")


@pytest.fixture
def pack_vgg19(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("pack_vgg19")


def test_a_file_keeps_a_network_to_half_of_a_step_of_8_bits(tmp_path, packing):
    path, (layers, projections) = tmp_path / "network.npz", _toy()
    sha256 = packing.write_small(path, layers, projections)
    read, read_projections = bundled.read_small(
        bundled.Bundled(path, sha256, "")
    )
    assert list(read) == list(layers)
    for name, (kernel, bias) in layers.items():
        np.testing.assert_array_equal(read[name][1], bias)
        for values, kept in (
            (kernel, read[name][0]),
            (projections[name], read_projections[name]),
        ):
            assert kept.dtype == np.float32
            flat = np.abs(values).reshape(-1, values.shape[-1])
            half_a_step = flat.max(axis=0) / 127 / 2
            assert (np.abs(kept - values) <= 1.001 * half_a_step).all()


@pytest.mark.parametrize("read", [bundled.read_vgg19, bundled.read_small])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-100],
        lambda data: b"\0" * 1000,
        lambda data: data[:500] + b"?" + data[501:],
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path, read, damage):
    path = tmp_path / "network.npz"
    path.write_bytes(damage(bundled.SMALL.path.read_bytes()))
    sha256 = bundled.SMALL.sha256
    with pytest.raises(ValueError, match=f"is damaged: .* {sha256}; reinstall"):
        read(bundled.Bundled(path, sha256, ""))


def test_a_missing_file_is_said(tmp_path):
    file = bundled.Bundled(tmp_path / "none.npz", "", "")
    with pytest.raises(ValueError, match=r"cannot be read, .*none.npz"):
        bundled.read_vgg19(file)


@pytest.mark.parametrize("name", FILES)
def test_files_have_no_pickles(name):
    with zipfile.ZipFile(FILES[name].path) as file:
        for each in file.namelist():
            with file.open(each) as array:
                np.lib.format.read_magic(array)
                _, _, kind = np.lib.format.read_array_header_1_0(array)
                assert kind.kind in "iuf", each


@pytest.mark.parametrize("name", FILES)
def test_the_model_card_names_the_file(name):
    path, sha256, _ = FILES[name]
    card = (path.parent / "README.md").read_text()
    assert path.name in card and sha256 in card
    assert "CC BY 4.0" in card
    assert f"{path.stat().st_size / 1e6:.1f} MB" in card


@pytest.mark.parametrize("name", FILES)
def test_what_is_in_a_file_has_its_digest(name):
    source = {"vgg19": "auto", "small": "small"}[name]
    network = weight_files.load("vgg19", source)
    assert resume.digest_weights(network) == FILES[name].digest


def test_vgg19_is_whole():
    layers = bundled.read_vgg19()
    assert list(layers) == [layer.name for layer in LAYERS]
    for layer in LAYERS:
        kernel, bias = layers[layer.name]
        assert kernel.dtype == bias.dtype == np.float32
        assert kernel.shape == (3, 3, layer.in_channels, layer.out_channels)
        assert bias.shape == (layer.out_channels,)
        assert np.isfinite(kernel).all() and kernel.std() > 0


def test_a_codebook_has_the_least_error(pack_vgg19):
    values = np.array([0.0, 1, 2, 10, 11, 13, 30, 31, 70], np.float32)
    # Every way to cut nine sorted values into four intervals.
    least = min(
        sum(((part - part.mean()) ** 2).sum() for part in np.split(values, c))
        for c in itertools.combinations(range(1, len(values)), 3)
    )
    shuffled = np.random.default_rng(0).permutation(values).reshape(3, 3)
    codebook, indices = pack_vgg19.quantize(shuffled, codes=4)
    assert indices.dtype == np.uint8 and indices.shape == shuffled.shape
    error = ((codebook[indices] - shuffled) ** 2).sum()
    np.testing.assert_allclose(error, least, rtol=1e-6)


def test_a_codebook_of_many_values_is_as_good_as_can_be(pack_vgg19):
    values = np.random.default_rng(0).laplace(size=20000).astype("f4")
    codebook, indices = pack_vgg19.quantize(values, codes=64, groups=512)
    assert (np.diff(codebook) > 0).all()
    error = np.mean((codebook[indices] - values) ** 2)
    # Panter, Dite. Proc. IRE 1951: integral(p^(1/3))^3 / (12 codes^2) for a
    # density p; for this one the integral is 108^(1/3). A sample has less.
    assert 0.7 < error / (108 / (12 * 64**2)) < 1


def test_few_values_are_kept_as_they_are(pack_vgg19):
    values = np.random.default_rng(0).choice([-3.0, 0.5, 2.0], (3, 3, 4, 4))
    codebook, indices = pack_vgg19.quantize(values.astype("f4"))
    np.testing.assert_array_equal(codebook[indices], values)


def test_a_packed_vgg19_is_read(pack_vgg19, tmp_path):
    layers = {
        name: (kernel[:, :, :4, :8], bias[:8])
        for name, (kernel, bias) in bundled.read_vgg19().items()
    }
    path = tmp_path / "vgg19.npz"
    read = bundled.read_vgg19(
        bundled.Bundled(path, pack_vgg19.write(path, layers), "")
    )
    for name, (kernel, bias) in layers.items():  # 288 values of 256 codes
        np.testing.assert_allclose(read[name][0], kernel, atol=2e-3)
        np.testing.assert_array_equal(read[name][1], bias)


def test_it_stands_for_every_layer_of_vgg19():
    network = weight_files.load("vgg19", "small")
    assert list(network.layers) == [layer.name for layer in LAYERS]
    before = 3
    for layer in LAYERS:
        kernel, bias = network.layers[layer.name]
        assert kernel.shape == (3, 3, before, *bias.shape)
        before = len(bias)
        assert before < layer.out_channels
        projection = network.projections[layer.name]
        assert projection.shape == (before, layer.out_channels)


@pytest.mark.parametrize("source", ["auto", "small"])
def test_networks_that_ship_need_no_word_and_no_download(source, caplog):
    caplog.set_level("INFO", "nst_tf")
    found = weight_files.load("vgg19", source)
    assert "bundled" in found.origin
    assert not caplog.messages
    assert not files.find_cache().exists()


def test_there_is_none_for_vgg16():
    with pytest.raises(ValueError, match="small vgg19, but the extractor is"):
        weight_files.load("vgg16", "small")


def test_vgg16_fails_at_once_and_says_what_ships(monkeypatch):
    monkeypatch.setattr(weight_files, "HOST", "http://localhost:9")
    for _ in range(2):
        start = time.monotonic()
        with pytest.raises(ValueError, match="--extractor=vgg19") as caught:
            weight_files.load("vgg16")
        assert time.monotonic() - start < 15
    assert str(caught.value).startswith("no weights for vgg16 were found; put")


@pytest.mark.slow
def test_the_first_picture_needs_no_download(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["--flagfile=starry", "--size=128", "--steps=30", "-v"]
    for _ in range(2):
        assert main.main(arguments) == 0
    out, err = capsys.readouterr()
    assert out == (
        "harbor_at_dusk-swirling_night.png\n"
        "harbor_at_dusk-swirling_night-2.png\n"
    )
    assert "vgg19, bundled" in err
    assert "warning" not in err
    first, second = (
        image_io.load_image(f"harbor_at_dusk-swirling_night{suffix}.png")
        for suffix in ("", "-2")
    )
    np.testing.assert_array_equal(first, second)
    style = [float(v) for v in re.findall(r"style/\S+ +(\S+)", err)]
    assert len(style) == 10
    assert np.mean(style) < 0.1


def test_stylize_takes_it_by_name():
    image = toys.image(48, 64)
    painted = nst_tf.stylize(
        image, image[:, ::-1], weights="small", size=64, steps=3
    )
    assert painted.shape == (48, 64, 3)


def test_its_features_have_the_sizes_of_vgg19s():
    names = [*STYLE, CONTENT]
    real, small = (
        weight_files.load("vgg19"),
        weight_files.load("vgg19", "small"),
    )
    wide, narrow = (
        extractors.vgg(
            "vgg19",
            names,
            network.layers,
            projections=network.projections,
            pooling="average",
            padding="symmetric_first",
        )
        for network in (real, small)
    )
    images = files.presets_folder() / "images"
    for path in sorted(images.glob("*.jpg"))[::3]:
        image = image_io.cover(image_io.load_image(path), 192, 256)[None]
        expected, actual = wide.model(image), narrow.model(image)
        for name in names:
            projection = narrow.projections[name]
            gram = projection.T @ sums.gram_matrix(actual[name]) @ projection
            target = sums.gram_matrix(expected[name])
            size = np.trace if name == CONTENT else np.linalg.norm
            assert 0.85 < size(gram) / size(target) < 1.15, name


def test_it_is_installed_with_the_package():
    setup = (Path(nst_tf.__file__).parent.parent / "setup.cfg").read_text()
    assert re.search(r"nst_tf = .*data/\*", setup)
