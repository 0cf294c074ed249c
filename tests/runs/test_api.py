"""The library: what is refused, what is decided, what is painted and logged."""

import dataclasses
import re
import warnings
from pathlib import Path

import numpy as np
import pretend
import pytest
import tensorflow as tf
import toys
from PIL import Image

import nst_tf
from nst_tf.backend import device, replicas
from nst_tf.images import image_io
from nst_tf.losses import total_variation
from nst_tf.optimize import descent
from nst_tf.plan import initial, inputs, planning, settings
from nst_tf.runs import api, outputs, runner


@pytest.fixture
def job(folder, toy):
    """A job on the toy network, of files, ready to run."""
    return pretend.job(
        toy, content="town.png", style="paint.png", output="out.png"
    )


def _change(job, **changes):
    return dataclasses.replace(job, **changes)


def _draft(job, **changes):
    return api.draft_files(_change(job, **changes))


def _choose(job, **changes):
    run = runner.Run(_draft(job, **changes))
    return api.choose_output(_change(job, **changes), run)


# Input


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"content": ""}, "no content image; pass one with --content"),
        ({"style": ()}, "no style image; pass one with --style"),
        ({"content": "none.jpg"}, "there is no file none.jpg"),
        ({"content": "twon.png"}, "no file twon.png; did you mean 'town.png'?"),
        ({"style": ("none.jpg",)}, "there is no file none.jpg"),
        ({"init": "contnet"}, "there is no file contnet"),
        ({"size": 0}, "size is 0, expected at least 1"),
        ({"size": 1}, "size is 1, which makes the output 1 x 1 pixels"),
        ({"style_layers": "block1_conv9"}, "toy has no layer 'block1_conv9'"),
        ({"weights": "none.h5"}, "there is no weights file none.h5"),
        ({"output": "none/a.png"}, "output folder none does not exist"),
        ({"output": "a.gif"}, "output a.gif has the extension '.gif'"),
        ({"output": "a.jpg", "bit_depth": 16}, "bit_depth is 16, but .jpg"),
        ({"content": "/dev/zero"}, "/dev/zero is not a regular file"),
        ({"content": "~nobody-x.jpg"}, "there is no file ~nobody-x.jpg"),
        (
            {"output": "a.webp", "size": 20000},
            ".webp files are limited to 16383",
        ),
        ({"log": "paint.png"}, "log paint.png is another file of"),
        ({"log": "toy.h5"}, "log toy.h5 is another file of this run"),
        ({"log": "out.png"}, "log out.png is another file of this run"),
        (
            {"log": "out.preview.png", "preview_every": 1},
            "log out.preview.png is another file",
        ),
        ({"timelapse": "a.gif", "log": "a.gif"}, "timelapse a.gif is anot"),
        (
            {"timelapse": "out.webp", "output": "out.webp"},
            "timelapse out.webp is another file",
        ),
        ({"output": "town.png", "overwrite": True}, "is one of the inputs"),
        ({"output": "toy.h5", "overwrite": True}, "is one of the inputs"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(job, changes, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        _draft(job, **changes)
    assert "\n" not in str(caught.value)


def test_the_picture_that_a_run_continues_from_is_not_overwritten(job):
    image_io.save_image("small.png", toys.image(48, 64))
    changes = {"continue_from": "small.png", "output": "small.png"}
    with pytest.raises(ValueError, match="is one of the inputs"):
        _draft(job, overwrite=True, **changes)


@pytest.mark.parametrize("name", ["content", "style"])
@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((1, 1), "1 x 1 pixels, but block2_conv2 needs at least 2"),
        ((200, 3), "more than 32 times as long"),
    ],
)
def test_a_picture_too_small_is_refused(job, name, size, words):
    Image.new("RGB", size).save("small.png")
    value = "small.png" if name == "content" else ("small.png",)
    with pytest.raises(ValueError, match=f"{name} image is .*{words}"):
        _draft(job, **{name: value})


def test_a_style_too_thin_for_the_first_level_is_refused(job):
    Image.new("RGB", (620, 20)).save("thin.png")
    words = "at the first level, but block2_conv2 needs"
    with pytest.raises(ValueError, match=words):
        _draft(job, style=("thin.png",), size=6)


def test_where_the_picture_goes_is_decided_from_what_is_there(job):
    assert _choose(job) == Path("out.png")
    assert _choose(job, output="") == Path("town-paint.png")
    Path("out.png").write_text("mine")
    Path("town-paint.preview.png").touch()
    with pytest.raises(ValueError, match="exists; .* with --overwrite"):
        _choose(job)
    assert _choose(job, overwrite=True) == Path("out.png")
    assert _choose(job, output="") == Path("town-paint.png")
    path = _choose(job, output="", preview_every=1)
    assert path == Path("town-paint-2.png")


def test_a_film_has_its_time_kept_for_it(job):
    draft = _draft(job, max_seconds=60.0)
    assert draft.stop == (60.0, 0, 0, None)
    draft = _draft(job, max_seconds=60.0, timelapse="a.gif")
    assert draft.stop == (60.0, planning.FILM_SECONDS, 0, None)


def test_a_full_folder_is_refused(job, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(outputs.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ValueError, match=r"has 0.0 MB free, but the picture"):
        _draft(job)


# Plans


def test_a_plan_is_made_of_files_and_of_what_was_read(job):
    machine = planning.Machine("bfloat16", 8e9, 1)
    plan = api.make_plan(job, machine=machine)
    assert [level.size for level in plan.levels] == [
        (32, 48),
        (48, 64),
        (72, 96),
    ]
    assert plan.network.precision == "float32"  # as it was asked for
    assert plan.tiling.memory == 8e9
    assert plan.inputs.network.origin
    read = plan.inputs._replace(content=toys.picture(40, 40))
    other = api.make_plan(_change(job, precision="auto"), read, machine)
    assert other.size == (96, 96)
    assert other.network.precision == "bfloat16"
    assert other.inputs.network is read.network
    none = inputs.read_inputs(job)
    assert none.network is None
    assert api.make_plan(job, none, machine).inputs.network


@pytest.mark.parametrize("init", ["content", "noise", "style", "gray"])
def test_every_start_is_of_the_first_levels_size(toy, init):
    plan = pretend.draft(toy, init=init)
    image = initial.make_initial_image(plan)
    assert image.shape == (32, 48, 3)
    expected = {
        "content": image_io.resize(plan.inputs.content.pixels, 32, 48),
        "style": image_io.cover(plan.inputs.styles[0].pixels, 32, 48),
        "gray": np.full((32, 48, 3), 0.5),
    }.get(init, image)
    np.testing.assert_allclose(image, expected, atol=1e-6)


def test_noise_is_that_of_the_seed_and_mixed_into_the_start(toy):
    def start(share, seed=1, init="gray"):
        chosen = {"init": init, "init_noise": share, "seed": seed}
        return initial.make_initial_image(pretend.draft(toy, **chosen))

    gray, mixed, noise = start(0.0), start(0.25), start(1.0)
    np.testing.assert_allclose(mixed, 0.75 * gray + 0.25 * noise, atol=1e-6)
    assert noise.std() > 0.25
    np.testing.assert_array_equal(noise, start(0.0, init="noise"))
    assert np.abs(noise - start(1.0, seed=2)).max() > 0.5


def test_a_picture_may_be_the_start(job):
    draft = _draft(job, init="paint.png")
    expected = image_io.cover(draft.inputs.styles[0].pixels, 32, 48)
    image = initial.make_initial_image(draft)
    np.testing.assert_allclose(image, expected, atol=1e-6)


def test_shares_of_layers_add_up_to_the_weight(toy):
    chosen = {"style_layers": "block1_conv1:3,block2_conv1:1"}
    plan = pretend.draft(toy, **chosen, style_weight=8.0)
    ((style,),) = (region.styles for region in plan.regions)
    assert style.layers == {"block1_conv1": 6.0, "block2_conv1": 2.0}
    assert plan.content_weights == {"block2_conv2": 5.0}


# What is painted


def test_a_run_lowers_the_style_loss_and_keeps_the_content(toy):
    draft = pretend.draft(toy, steps=40, size=64, tv_weight=0.0)
    terms = [
        {name: float(value) for name, value in step.evaluation.terms.items()}
        for step in runner.start_run(draft).steps()
    ]
    for name in ("style/block1_conv1", "style/block2_conv1"):
        assert terms[-1][name] < 0.5 * terms[0][name]
    assert terms[-1]["content/block2_conv2"] < 0.9


def test_one_trace_a_level_whatever_the_steps_and_what_is_read(
    toy, monkeypatch
):
    compiled = []
    make = descent.make_train_step
    monkeypatch.setattr(
        descent,
        "make_train_step",
        lambda *args: compiled.append(make(*args)) or compiled[-1],
    )
    draft = pretend.draft(toy, size=64, steps=(7, 5))
    for step in runner.start_run(draft).steps():
        float(step.evaluation.loss)
        step.image.numpy()
    assert len(compiled) == len(draft.levels) == 2
    for function in compiled:
        assert function.experimental_get_tracing_count() == 1


def test_style_images_keep_their_shape(toy, monkeypatch):
    from nst_tf.network import extractors

    seen = []
    extract = extractors.Extractor.extract
    monkeypatch.setattr(
        extractors.Extractor,
        "extract",
        lambda network, image: (
            seen.append(image.shape[:2]) or extract(network, image)
        ),
    )
    runner.start_run(pretend.draft(toy, steps=1, size=64)).execute()
    assert len(seen) == 4
    for content, style in zip(seen[::2], seen[1::2], strict=True):
        assert style[0] / style[1] == pytest.approx(50 / 60, rel=0.05)
        assert np.prod(style) == pytest.approx(np.prod(content), rel=0.05)


def test_two_styles_are_blended(toy):
    # Blended with itself a style is itself; with another it is not.
    town, paint = toys.image(60, 80), toys.image(80, 50, 1)
    chosen = {**pretend.SETTINGS, "weights": toy, "size": 48}

    def paint_in(*styles):
        return nst_tf.stylize(town, list(styles), **chosen)

    alone = paint_in(paint)
    np.testing.assert_allclose(paint_in(paint, paint), alone, atol=2 / 255)
    assert np.abs(paint_in(paint, town) - alone).max() > 0.05


def test_stylize_takes_paths_and_arrays_and_agrees_with_run_job(job, toy):
    chosen = {**pretend.SETTINGS, "size": 64, "weights": str(toy)}
    from_paths = nst_tf.stylize("town.png", Path("paint.png"), **chosen)
    arrays = [np.asarray(Image.open(p)) for p in ("town.png", "paint.png")]
    from_arrays = nst_tf.stylize(arrays[0], [arrays[1]], **chosen)
    np.testing.assert_array_equal(from_paths, from_arrays)
    assert from_paths.dtype == np.float32
    result = nst_tf.run_job(_change(job, size=64))
    assert result.path == Path("out.png")
    assert result.seconds > 0
    assert set(result.terms) == {
        "content/block2_conv2",
        "style/block1_conv1",
        "style/block2_conv1",
        "total_variation",
    }
    image = image_io.load_image("out.png")
    np.testing.assert_allclose(image, from_paths, atol=0.5 / 255 + 1e-6)


class MeanLoss:
    """A loss as somebody writes it who knows nothing of precisions."""

    name, layer, weight = "mine", "block2_conv1", 1.0
    reach, additive, maps = 0, True, {}

    def statistics(self, features, mask=None):
        mask = tf.ones_like(features[..., :1]) if mask is None else mask
        total = tf.reduce_sum(mask * features, [0, 1, 2])
        return nst_tf.losses.Statistics(total, tf.reduce_sum(mask))

    def distance(self, statistics):
        return tf.reduce_mean((statistics.total / statistics.mass - 0.5) ** 2)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("tile", [0, 48])
def test_a_loss_of_ones_own_works_in_every_precision(toy, precision, tile):
    chosen = pretend.choose(size=64, steps=2, weights=toy, levels=1)
    chosen |= {"precision": precision, "tile": tile}
    chosen["extra_losses"] = lambda height, width: [MeanLoss()]
    steps = nst_tf.stylize_steps(
        toys.image(48, 64), toys.image(50, 60), **chosen
    )
    for step in steps:
        assert float(step.evaluation.terms["mine"]) > 0


def test_numbers_that_are_none_are_not_saved(job):
    values = toys.weights()
    kernel, bias = values["block2_conv2"]
    values["block2_conv2"] = 1e30 * kernel, bias
    toys.write_weights("toy.h5", values)
    with (
        np.errstate(over="ignore"),
        pytest.raises(FloatingPointError, match="in a row"),
    ):
        api.run_job(_change(job, precision="float16"))
    assert not Path(job.output).exists()


def test_a_further_loss_is_counted_and_one_of_no_layer_is_named(toy):
    loss = total_variation.TotalVariationLoss()
    loss.name = "mine"
    chosen = {**pretend.SETTINGS, "size": 48, "steps": 1, "weights": toy}
    chosen["extra_losses"] = lambda height, width: [loss]
    images = toys.image(60, 80), toys.image(50, 60, 1)
    (step,) = nst_tf.stylize_steps(*images, **chosen)
    assert float(step.evaluation.terms["mine"]) > 0
    loss.layer = "block5"
    words = "toy has no layer 'block5'; its layers are"
    with pytest.raises(ValueError, match=words):
        nst_tf.stylize(*images, **chosen)


# The library's face


def test_the_picture_has_the_size_asked_for_and_a_number(job, painter):
    def size(**changes):
        path = api.run_job(_change(job, **changes)).path
        return path.name, image_io.load_image(path).shape

    assert size(size=90) == ("out.png", (68, 90, 3))
    assert size(size=70, overwrite=True) == ("out.png", (52, 70, 3))
    assert size(output="") == ("town-paint.png", (72, 96, 3))
    assert size(output="") == ("town-paint-2.png", (72, 96, 3))


def test_of_several_processes_the_first_writes(job, painter, monkeypatch):
    monkeypatch.setattr(replicas, "is_writer", lambda: False)
    assert api.run_job(job).path == Path("out.png")
    assert not Path("out.png").exists()


def test_what_stylize_returns_may_be_changed(toy, painter):
    image = nst_tf.stylize(
        *(toys.image(40, 50, seed) for seed in range(2)),
        **{**pretend.SETTINGS, "weights": toy},
    )
    image[:2] = 0.5
    assert (image[:2] == 0.5).all()


def test_stylize_steps_may_be_left(toy, painter):
    chosen = {**pretend.SETTINGS, "weights": str(toy)}
    images = toys.image(60, 80), toys.image(50, 60)
    for step in nst_tf.stylize_steps(*images, **chosen):
        if step.level == 1:
            break
    assert step.image.shape == (1, 48, 64, 3)
    assert step.index == 1


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (np.zeros((40, 40, 5)), ValueError, r"has shape \(40, 40, 5\)"),
        (np.full((40, 40, 3), 7.0), ValueError, r"outside \[0, 1\]"),
        (np.zeros((40, 40, 3), int), TypeError, "has type int64"),
        ("none.png", ValueError, "there is no file"),
    ],
)
def test_stylize_refuses_what_is_no_picture(content, error, words):
    with pytest.raises(error, match=words):
        nst_tf.stylize(content, toys.image(40, 50))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"size": "512"}, TypeError, "size is '512' of type str, expected int"),
        ({"size": 64.5}, TypeError, "size is 64.5 of type float, expected int"),
        ({"steps": 2.5}, TypeError, "steps is 2.5 of type float, expected tu"),
        ({"steps": (2, "3")}, TypeError, "steps is .* of type tuple"),
        ({"style_layers": None}, TypeError, "style_layers is None of type No"),
        ({"average": True}, TypeError, "average is True of type bool, expecte"),
        (
            {"color": np.zeros((99, 99))},
            TypeError,
            "color is array.{,40} of type ndarray",
        ),
        ({"output": "a.png"}, TypeError, "output belongs to the command line"),
        ({"dpi": 300.0}, TypeError, "dpi belongs to the command line"),
        ({"sise": 3}, TypeError, "sise"),
        ({"dry_run": True}, TypeError, "dry_run belongs to the command line"),
        (
            {"timelapse": "f.gif"},
            TypeError,
            "timelapse belongs to the command line",
        ),
        (
            {"summary_dir": "a"},
            TypeError,
            "summary_dir belongs to the command line",
        ),
        ({"sheet": True}, TypeError, "sheet belongs to the command line"),
    ],
)
def test_settings_that_are_none_are_named(settings, error, words):
    with pytest.raises(error, match=words):
        nst_tf.stylize(toys.image(40, 50), toys.image(40, 50), **settings)


def test_numbers_of_numpy_and_paths_are_settings(folder, toy, painter):
    settings = {"size": np.int64(96), "steps": np.int32(2), "weights": toy}
    settings = {**pretend.SETTINGS, **settings}
    image = nst_tf.stylize(Path("town.png"), Path("paint.png"), **settings)
    assert image.shape == (72, 96, 3)
    assert [level.steps for level in painter.plans[0].levels] == [2, 2, 2]


def test_a_print_size_may_have_its_resolution(toy):
    draft = pretend.draft(toy, print_size="2x3in", dpi=24.0)
    assert draft.size == (48, 64)
    assert draft.file.dpi == 24


def test_no_style_at_all_is_refused():
    with pytest.raises(ValueError, match="no style image"):
        nst_tf.stylize(toys.image(40, 50), [])


@pytest.mark.parametrize(
    "setting",
    [
        {"rerun": "a"},
        {"log": "a"},
        {"summary_dir": "a"},
        {"dry_run": True},
        {"timelapse": "f.gif"},
        {"sweep": ("seed:1",)},
    ],
)
def test_what_is_for_the_program_is_said_by_run_job(setting):
    (name,) = setting
    with pytest.raises(ValueError, match=f"{name} belongs to the command line"):
        nst_tf.run_job(settings.Job(**setting))


# What it says


@pytest.mark.parametrize("of_files", [False, True])
def test_the_library_logs_once_and_prints_nothing(
    job, painter, monkeypatch, caplog, capsys, of_files
):
    monkeypatch.setattr(device, "emulates_bfloat16", lambda: True)
    monkeypatch.setenv("NST_TF_WEIGHTS", "elsewhere.h5")
    changed = _change(job, precision="bfloat16")
    chosen = {**pretend.SETTINGS, "weights": "toy.h5", "precision": "bfloat16"}
    with warnings.catch_warnings(), caplog.at_level("INFO", "nst_tf"):
        warnings.simplefilter("error")
        if of_files:
            api.run_job(changed)
        else:
            nst_tf.stylize("town.png", "paint.png", **chosen)
    records = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert [level for level, _ in records] == ["INFO", "WARNING"]
    assert "NST_TF_WEIGHTS is set, but nst_tf ignores it now" in records[0][1]
    assert "bfloat16 is emulated on this CPU" in records[1][1]
    assert capsys.readouterr() == ("", "")


def test_notes_are_of_what_was_read_and_of_what_was_decided(toy, caplog):
    draft = pretend.draft(toy)
    noted = draft.inputs.content._replace(notes=("read",))
    read = draft.inputs._replace(content=noted)
    with caplog.at_level("INFO", "nst_tf"):
        api.log_notes(dataclasses.replace(draft, inputs=read, notes=["made"]))
    assert caplog.messages == ["read", "made"]
