"""The training of the small network, from end to end, in little."""

import json
from pathlib import Path

import children
import numpy as np
import pytest
import toys

from nst_tf.images import image_io
from nst_tf.losses import sums
from nst_tf.network import architectures, bundled, extractors

ROOT = Path(__file__).resolve().parent.parent


def _write_teacher(path):
    rng = np.random.default_rng(0)
    layers = {}
    for layer in architectures.list_convolutions("vgg19"):
        shape = (3, 3, layer.in_channels, layer.out_channels)
        scale = np.float32((2 / (9 * layer.in_channels)) ** 0.5)
        kernel = scale * rng.standard_normal(shape, "f4")
        layers[layer.name] = kernel, np.zeros(layer.out_channels, "f4")
    toys.write_weights(path, layers)
    return layers


def _distill(folder, *arguments):
    result = children.run_python(
        ROOT / "scripts" / "distill.py",
        f"--teacher={folder / 'teacher.h5'}", f"--pictures={folder}",
        f"--work={folder / 'work'}", "--crop=64", "--batch=4", *arguments,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_a_training_gives_a_network_and_goes_on_where_it_was(tmp_path):
    teacher = _write_teacher(tmp_path / "teacher.h5")
    for seed in range(18):
        image_io.save_image(tmp_path / f"{seed}.jpg", toys.image(80, 96, seed))
    out = _distill(tmp_path, "--steps=2", "--save_every=1")
    assert "16 pictures, 2 held out" in out
    out = _distill(tmp_path, "--steps=3")
    assert "going on from step 2" in out
    records = [
        json.loads(line)
        for line in (tmp_path / "work" / "held_out.jsonl").open()
    ]
    assert [record["step"] for record in records] == [1, 2, 3]
    layers, projections = bundled.read_small(
        bundled.Bundled(
            tmp_path / "work" / "vgg19_small.npz", records[-1]["sha256"], ""
        )
    )
    names = ["block1_conv1", "block2_conv1"]
    wide = extractors.vgg("vgg19", names, teacher, pooling="average")
    narrow = extractors.vgg(
        "vgg19", names, layers, projections=projections, pooling="average"
    )
    image = toys.image(64, 64, 99)[None]
    expected, actual = wide.model(image), narrow.model(image)
    for name, limit in zip(names, (0.2, 0.4), strict=True):
        found = actual[name] @ narrow.projections[name]
        error = np.square(found - expected[name]).mean()
        assert error < limit * np.square(expected[name]).mean()
        ratio = np.linalg.norm(sums.gram_matrix(found)) / np.linalg.norm(
            sums.gram_matrix(expected[name])
        )
        assert 0.9 < ratio < 1.1


def test_pictures_like_those_excluded_are_left_out(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from distillation import pictures

    for seed in range(18):
        image_io.save_image(tmp_path / f"{seed}.jpg", toys.image(80, 96, seed))
    excluded = tmp_path / "excluded"
    excluded.mkdir()
    image = toys.image(80, 96, 3)
    image_io.save_image(excluded / "like.jpg", image[4:, :90])
    training, held_out = pictures.load_pictures(tmp_path, None)
    assert (len(training), len(held_out)) == (16, 2)
    training, held_out = pictures.load_pictures(tmp_path, str(excluded))
    assert (len(training), len(held_out)) == (15, 2)
