"""A style loss, an optimizer, a network: one entry, and all else follows."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import toys

import nst_tf
from nst_tf.cli import flags, usage
from nst_tf.images import image_io
from nst_tf.losses import style_kinds, style_losses, sums
from nst_tf.network import architectures, bundled
from nst_tf.optimize import first_order
from nst_tf.plan import optimizers
from nst_tf.run import main


class MeansLoss(style_losses.StyleLoss):
    """Squared difference of the means of channels."""

    raw_statistics = staticmethod(sums.moment_statistics)

    def _difference(self, means):
        return tf.reduce_sum(tf.square(means[-1] - self._target[-1]))


class Plain(first_order.Sgd):
    """Takes the settings that its entry names, and no others."""

    def __init__(self, image, learning_rate, *, bounds, scaled):
        super().__init__(
            image, learning_rate, average=0, bounds=bounds, scaled=scaled
        )


MEANS = style_kinds.StyleLossKind(
    f"{__name__}:MeansLoss", "means", strength_scale=2.0
)
PLAIN = optimizers.OptimizerKind(
    f"{__name__}:Plain",
    frozenset({"learning_rate", "bounds"}),
    steps=(3, 2),
    state_bytes=40,
    conventions=frozenset({"scaled"}),
)
ARGUMENTS = ["--flagfile=toy.cfg", "--tile=40", "--style_loss=means"]
ARGUMENTS += ["--optimizer=plain", "--extractor=tiny", "--weights=auto"]
ARGUMENTS += ["--levels=1", "--steps=", "--memory=99"]
ARGUMENTS += ["--learning_rate=1e-5"]


@pytest.fixture
def register(monkeypatch, tmp_path):
    """Writes a job, and returns what registers its parts, each in one place."""
    monkeypatch.chdir(tmp_path)
    toys.write_flag_file("unused.h5")
    path = tmp_path / "tiny.npz"
    arrays = {}
    for name, (kernel, bias) in toys.weights().items():
        arrays[f"{name}/kernel"] = kernel.astype("f2")
        arrays[f"{name}/bias"] = bias
    np.savez(path, **arrays)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    shipped = bundled.Bundled(path, sha256, "")

    def register(means=MEANS, plain=PLAIN, shipped=shipped):
        tiny = toys.ARCHITECTURE._replace(shipped=shipped)
        monkeypatch.setitem(style_kinds.STYLE_LOSSES, "means", means)
        monkeypatch.setitem(optimizers.OPTIMIZERS, "plain", plain)
        monkeypatch.setitem(architectures.NETWORKS, "tiny", tiny)

    return register


def _plan(capsys, *arguments):
    """What --dry_run prints."""
    assert main([*ARGUMENTS, "--dry_run", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value"),
    [("style_loss", "means"), ("optimizer", "plain"), ("extractor", "tiny")],
)
def test_a_flag_takes_what_is_registered(register, name, value, capsys):
    assert main([f"--{name}={value}", "--content=town.png"]) == 1
    assert f"unknown {name} '{value}'" in capsys.readouterr().err
    with pytest.raises(ValueError, match=f"unknown {name} '{value}'"):
        nst_tf.stylize("town.png", "paint.png", **{name: value})
    register()
    job = flags.parse([f"--{name}={value}", "--content=town.png"])
    assert getattr(job, name) == value
    listed = re.search(f"--{name}=.*?One of (.*?)\\.", usage.format_usage(), 16)
    assert value in listed[1]


def test_they_run_are_recorded_and_resumed_to_the_same_bits(register, capsys):
    register()
    arguments = [*ARGUMENTS, "--strength=1", "--checkpoint_every=1"]
    pictures = []
    for name, folder, steps in (
        ("half", 1, 2),
        ("resumed", 1, 4),
        ("whole", 2, 4),
    ):
        chosen = f"--checkpoint_dir={folder}", f"--steps={steps}"
        written = f"--output={name}.png", f"--log={folder}.jsonl"
        assert main([*arguments, *chosen, *written]) == 0
        pictures.append(image_io.load_image(f"{name}.png"))
    half, resumed, whole = pictures
    np.testing.assert_array_equal(resumed, whole)
    assert (half != whole).any()
    lines = [*map(json.loads, Path("1.jsonl").read_text().splitlines())]
    assert [line["record"] for line in lines].count("final") == 1
    assert [line.get("step") for line in lines[1:-1]] == [1, 2, 3, 4]
    losses = lines[1]
    # At strength 1 style counts 60 times the content, and "means" twice that.
    style = np.mean([losses[f"loss/style/{n}"] for n in toys.STYLE_LAYERS])
    content = losses[f"loss/content/{toys.CONTENT_LAYER}"]
    smoothness = 50 * losses["loss/total_variation"]
    assert losses["loss"] == pytest.approx(
        5 * content + 5 * 60 * 2 * style + smoothness, rel=1e-3
    )
    capsys.readouterr()
    assert main(["--describe=resumed.png"]) == 0
    described = capsys.readouterr().out
    for flag in ("style_loss=means", "optimizer=plain", "extractor=tiny"):
        assert f"--{flag}\n" in described


def test_parts_that_do_not_add_up_are_refused_in_tiles(register, capsys):
    register(means=MEANS._replace(additive=False))
    assert main(ARGUMENTS) == 1
    assert "style_loss 'means' cannot" in capsys.readouterr().err
    assert main([*ARGUMENTS, "--tile=0", "--dry_run"]) == 0


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("auto", "no weights for tiny were found; put tiny_weights"),
        ("none.h5", "there is no weights file none.h5; check"),
        ("small", "which is a small vgg19, but the extractor is tiny"),
    ],
)
def test_weights_that_an_entry_has_not_are_asked_for(
    register, capsys, weights, words
):
    register(shipped=None)
    assert main([*ARGUMENTS, f"--weights={weights}"]) == 1
    assert words in capsys.readouterr().err


def test_a_plan_counts_what_an_entry_says(register, capsys):
    register()
    printed = _plan(capsys)
    assert "3 steps" in printed and "tiles of" in printed
    memory = re.compile(r"memory +about (\S+) GB")
    least = float(memory.search(printed)[1])
    many = 10**6
    for entries, pixels in (  # 1.2 times those of a tile, those of the picture
        ({"means": MEANS._replace(step_bytes=many)}, 1.2 * 34 * 42),
        ({"plain": PLAIN._replace(state_bytes=many)}, 96 * 72),
        ({"plain": PLAIN._replace(pair_bytes=many)}, 10 * 96 * 72),
    ):
        register(**entries)
        found = float(memory.search(_plan(capsys))[1])
        assert found - least == pytest.approx(1e-3 * pixels, abs=0.11)
