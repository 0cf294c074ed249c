"""The network that ships: its file, and that it paints."""

import re
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
from nst_tf.network import (
    architectures,
    extractors,
    small_network,
    weight_files,
)

STYLE = [f"block{block}_conv1" for block in range(1, 6)]
CONTENT = "block4_conv2"
LAYERS = architectures.list_convolutions("vgg19")


def _toy():
    rng = np.random.default_rng(0)
    layers = toys.weights()
    return small_network.SmallNetwork(
        layers,
        {
            name: rng.normal(size=(len(bias), 16)).astype("f4")
            for name, (_, bias) in layers.items()
        },
    )


def _samples():
    return [
        image_io.cover(image_io.load_image(path), 384, 512)[None]
        for path in sorted((files.presets_folder() / "images").glob("*.jpg"))
    ]


def test_a_file_keeps_a_network_to_half_of_a_step_of_8_bits(tmp_path):
    path, network = tmp_path / "network.npz", _toy()
    read = small_network.read(path, small_network.write(path, network))
    assert list(read.layers) == list(network.layers)
    for name, (kernel, bias) in network.layers.items():
        np.testing.assert_array_equal(read.layers[name][1], bias)
        for values, kept in (
            (kernel, read.layers[name][0]),
            (network.projections[name], read.projections[name]),
        ):
            assert kept.dtype == np.float32
            flat = np.abs(values).reshape(-1, values.shape[-1])
            half_a_step = flat.max(axis=0) / 127 / 2
            assert (np.abs(kept - values) <= 1.001 * half_a_step).all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: p.write_bytes(p.read_bytes()[:-100]),
        lambda p: p.write_bytes(b"\0" * 1000),
        lambda p: p.write_bytes(
            p.read_bytes()[:500] + b"?" + p.read_bytes()[501:]
        ),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path, damage):
    path = tmp_path / "network.npz"
    digest = small_network.write(path, _toy())
    damage(path)
    with pytest.raises(ValueError, match=f"is damaged: .* expected {digest}"):
        small_network.read(path, digest)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read, .*none.npz"):
        small_network.read(tmp_path / "none.npz")


def test_the_file_is_small_and_without_pickles():
    assert small_network.PATH.stat().st_size <= 7_000_000
    with zipfile.ZipFile(small_network.PATH) as file:
        for name in file.namelist():
            with file.open(name) as array:
                np.lib.format.read_magic(array)
                _, _, kind = np.lib.format.read_array_header_1_0(array)
                assert kind.kind in "if", name


def test_the_model_card_names_the_file():
    card = (small_network.PATH.parent / "README.md").read_text()
    assert small_network.SHA256 in card
    assert "CC BY 4.0" in card
    size = small_network.PATH.stat().st_size / 1e6
    assert f"{size:.1f} MB" in card


def test_it_stands_for_every_layer_of_vgg19():
    network = small_network.read()
    assert list(network.layers) == [layer.name for layer in LAYERS]
    before = 3
    for layer in LAYERS:
        kernel, bias = network.layers[layer.name]
        assert kernel.shape == (3, 3, before, *bias.shape)
        before = len(bias)
        assert before < layer.out_channels
        projection = network.projections[layer.name]
        assert projection.shape == (before, layer.out_channels)


def test_auto_comes_to_it_with_one_warning():
    found = weight_files.load("vgg19")
    assert "ships with nst_tf" in found.origin
    assert set(found.projections) == set(found.layers)
    assert re.match(
        "no weights for vgg19 were found, so the small network that ships "
        "with nst_tf paints; for the real one, put .* --weights=PATH",
        found.warning,
    )


def test_a_library_call_warns_in_pythons_way():
    image = toys.image(32, 32)
    with pytest.warns(UserWarning, match="the small network that ships"):
        nst_tf.stylize_steps(image, image)


def test_imagenet_does_not_come_to_it():
    with pytest.raises(ValueError, match="no weights for vgg19 were found;"):
        weight_files.load("vgg19", "imagenet")


def test_by_name_it_is_taken_without_a_word_or_a_download(tmp_path):
    said = []
    found = weight_files.load("vgg19", "small", say=said.append)
    assert not said and not found.warning
    assert not files.cache_folder().exists()


def test_there_is_none_for_vgg16():
    with pytest.raises(ValueError, match="small vgg19, but the extractor is"):
        weight_files.load("vgg16", "small")
    with pytest.raises(ValueError, match="no weights for vgg16 were found;"):
        weight_files.load("vgg16")


def test_the_first_picture_needs_no_download(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["--flagfile=starry", "--size=128", "--steps=30"]
    for _ in range(2):
        assert main.main(arguments) == 0
    out = capsys.readouterr().out
    assert "network   vgg19, the small one that ships with nst_tf" in out
    assert out.count("warning   no weights for vgg19 were found") == 2
    first, second = (
        image_io.load_image(f"harbor_at_dusk-swirling_night{suffix}.png")
        for suffix in ("", "-2")
    )
    np.testing.assert_array_equal(first, second)
    style = [float(v) for v in re.findall(r"style/\S+ +(\S+)", out)]
    assert len(style) == 10
    assert np.mean(style) < 0.1


def test_stylize_takes_it_by_name():
    image = toys.image(48, 64)
    painted = nst_tf.stylize(
        image, image[:, ::-1], weights="small", size=64, steps=3
    )
    assert painted.shape == (48, 64, 3)


@pytest.mark.weights
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
    for image in _samples():
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
