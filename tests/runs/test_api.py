"""Jobs: what is refused, where pictures go, runs, the library's face."""

import dataclasses
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import toys
from PIL import Image

import nst_tf
from nst_tf.backend import device
from nst_tf.images import image_io
from nst_tf.losses import total_variation
from nst_tf.plan import pyramid, settings
from nst_tf.runs import api, outputs, preparation, progress
from nst_tf.transfer import method, targets

TOY = {
    "extractor": "toy",
    "content_layers": toys.CONTENT_LAYER,
    "style_layers": ",".join(toys.STYLE_LAYERS),
    "precision": "float32",
    "min_size": 48,
    "growth": 2**0.5,
}


@pytest.fixture
def pictures(tmp_path):
    """A content and a style picture: their paths."""
    paths = tmp_path / "town.png", tmp_path / "paint.png"
    for seed, (path, size) in enumerate(
        zip(paths, ((60, 80), (80, 50)), strict=True)
    ):
        image_io.save_image(path, toys.image(*size, seed))
    return [str(path) for path in paths]


@pytest.fixture
def request_(pictures, toy, tmp_path):
    """A job on the toy network, ready to run."""
    return settings.Job(
        content=pictures[0],
        style=(pictures[1],),
        output=str(tmp_path / "out.png"),
        weights=str(toy),
        size=96,
        steps=(4,),
        **TOY,
    )


def _change(request, **changes):
    return dataclasses.replace(request, **changes)


# Input


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"content": ""}, "no content image; name one with --content"),
        ({"style": ()}, "no style image; name one with --style"),
        ({"content": "none.jpg"}, "there is no file none.jpg"),
        ({"style": ("none.jpg",)}, "there is no file none.jpg"),
        ({"init": "contnet"}, "there is no file contnet"),
        ({"size": 0}, "size is 0, expected at least 1"),
        ({"size": 1}, "size is 1, so that the output would be 1 x 1 pixels"),
        ({"size": 10**6}, "size is 1000000, expected at least 1 and at most"),
        ({"growth": 1.0}, "growth is 1.0, expected at least 1.1"),
        ({"steps": (3, 0)}, "steps is 0, expected at least 1"),
        ({"style_weight": -1.0}, "style_weight is -1.0, expected at least 0"),
        ({"tv_weight": float("nan")}, "tv_weight is nan, expected at least 0"),
        (
            {"style_weight": 0.0, "content_weight": 0.0},
            "content_weight and style_weight are both 0",
        ),
        ({"init_noise": 1.5}, "init_noise is 1.5, expected at least 0 and at"),
        ({"beta_1": 1.0}, "beta_1 is 1.0, expected at least 0 and below 1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0, expected above 0"),
        ({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'"),
        ({"pooling": "avg"}, "unknown pooling 'avg'"),
        ({"extractor": "vgg91"}, "unknown extractor 'vgg91'; did you mean"),
        ({"precision": "half"}, "unknown precision 'half'"),
        ({"style_layers": "block1_conv9"}, "toy has no layer 'block1_conv9'"),
        ({"style_layers": "block1_conv1:-1"}, "style_layers has 'block1_conv1"),
        ({"style_layers": "block1_conv1:x"}, "expected name:weight with a"),
        ({"style_layers": "block1_conv1:0"}, "no layer has a weight above 0"),
        (
            {"content_layers": "block1_conv1,block1_conv1"},
            "content_layers has block1_conv1 twice",
        ),
        ({"weights": "none.h5"}, "there is no weights file none.h5"),
        ({"output": "none/a.png"}, "output folder none does not exist"),
        ({"output": "a.gif"}, "output a.gif has the extension '.gif'"),
        ({"content": "/dev/zero"}, "/dev/zero is not a regular file"),
        ({"content": "~nobody-x.jpg"}, "there is no file ~nobody-x.jpg"),
        ({"init": ""}, "init is empty, expected content, noise, style, gray"),
        ({"style": ("",)}, "style is empty"),
        ({"seed": 10**400}, "expected at least 0 and at most 4294967295"),
        ({"style_weight": 1e39}, "style_weight is 1e+39, expected at least 0"),
        ({"content_layers": ","}, "content_layers has '', expected name:wei"),
        ({"output": "/dev/null"}, "is there, and is no regular file"),
        ({"output": "/proc/a.png"}, "output folder /proc cannot be written"),
        ({"output": "."}, "is a folder, expected a file's name"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(request_, changes, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        preparation.read_files(_change(request_, **changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["content", "style"])
@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((1, 1), "image is 1 x 1 pixels, but block2_conv2 needs at least 2"),
        ((200, 3), "more than 32 times as long"),
    ],
)
def test_a_picture_too_small_is_refused(request_, tmp_path, name, size, words):
    path = str(tmp_path / "small.png")
    Image.new("RGB", size).save(path)
    value = path if name == "content" else (path,)
    with pytest.raises(ValueError, match=f"{name} image is") as e:
        preparation.read_files(_change(request_, **{name: value}))
    assert words in str(e.value)


def test_a_style_too_thin_for_the_first_level_is_refused(request_, tmp_path):
    path = str(tmp_path / "thin.png")
    Image.new("RGB", (620, 20)).save(path)
    with pytest.raises(
        ValueError, match="at the first level, but block2_conv2 needs"
    ):
        preparation.read_files(_change(request_, style=(path,), size=6))


def test_a_full_folder_is_refused(request_, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(outputs.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ValueError, match=r"has 0.0 MB free, but the picture"):
        preparation.read_files(request_)


def test_an_existing_output_is_kept_unless_told(request_):
    Path(request_.output).write_text("mine")
    with pytest.raises(ValueError, match="exists; .* with --overwrite"):
        preparation.read_files(request_)
    api.run_job(_change(request_, overwrite=True))
    assert image_io.load_image(request_.output).shape == (72, 96, 3)


def test_an_input_is_never_the_output(request_, tmp_path):
    weights = request_.weights
    request_ = _change(request_, overwrite=True, init=str(tmp_path / "i.png"))
    image_io.save_image(request_.init, toys.image(60, 80))
    for name in (request_.content, *request_.style, request_.init):
        with pytest.raises(ValueError, match="is one of the inputs"):
            preparation.read_files(_change(request_, output=name))
    link = tmp_path / "link.png"
    link.symlink_to(weights)
    with pytest.raises(ValueError, match="is one of the inputs"):
        preparation.read_files(_change(request_, output=str(link)))


def test_a_preview_never_replaces_a_file(request_, tmp_path):
    preview = tmp_path / "out.preview.png"
    image_io.save_image(preview, toys.image(60, 80))
    changed = _change(request_, preview_every=1)
    with pytest.raises(ValueError, match="out.preview.png exists"):
        preparation.read_files(changed)
    with pytest.raises(ValueError, match="is one of the inputs"):
        preparation.read_files(
            _change(changed, content=str(preview), overwrite=True)
        )


def test_a_default_output_leaves_old_previews_alone(
    request_, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "town-paint.preview.png").touch()
    path, _ = preparation.read_files(
        _change(request_, output="", preview_every=1)
    )
    assert path.name == "town-paint-2.png"


def test_a_link_that_leads_nowhere_is_not_replaced(request_):
    Path(request_.output).symlink_to("nowhere.png")
    with pytest.raises(ValueError, match="is no regular file"):
        preparation.read_files(request_)


@pytest.mark.parametrize("output", ["", "y" * 251 + ".png"])
def test_names_too_long_are_cut_or_refused_before_work(
    request_, tmp_path, monkeypatch, output
):
    monkeypatch.chdir(tmp_path)
    content = tmp_path / f"{'k' * 240}.png"
    image_io.save_image(content, toys.image(60, 80))
    changed = _change(request_, content=str(content), output=output)
    if output:
        with pytest.raises(ValueError, match=r"output name yyy.* is too long"):
            preparation.read_files(changed)
    else:
        assert api.run_job(changed).path.name == f"{'k' * 60}.png"


def test_a_format_that_ends_below_the_size_is_refused(request_):
    with pytest.raises(ValueError, match=r"\.webp files end at 16383"):
        preparation.read_files(
            _change(request_, output="a.webp", size=20000, steps=(1,))
        )


def test_a_picture_is_saved_elsewhere_when_its_folder_goes(
    request_, tmp_path, monkeypatch
):
    (tmp_path / "gone").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = tmp_path / "gone" / "a.png"
    (tmp_path / "gone").rmdir()
    saved = outputs.save_result(path, toys.image(4, 4), False)
    assert saved.resolve() == tmp_path / "here" / "a.png"
    assert saved.is_file()


def test_numbers_that_are_none_are_not_saved(request_):
    values = toys.weights()
    kernel, bias = values["block2_conv2"]
    toys.write_weights(
        request_.weights, {**values, "block2_conv2": (1e30 * kernel, bias)}
    )
    with (
        np.errstate(over="ignore"),
        pytest.raises(FloatingPointError, match="gave no numbers"),
    ):
        api.run_job(_change(request_, precision="float16"))
    assert not Path(request_.output).exists()


def test_the_default_output_is_numbered(request_, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [api.run_job(_change(request_, output="")).path for _ in range(3)]
    assert [path.name for path in paths] == [
        "town-paint.png",
        "town-paint-2.png",
        "town-paint-3.png",
    ]


def test_a_file_that_appears_during_the_run_is_kept(request_):
    path, _ = preparation.read_files(request_)
    path.write_text("mine")
    saved = outputs.save_result(path, toys.image(4, 4), False)
    assert path.read_text() == "mine"
    assert saved.name == "out-2.png"


# Runs


def test_a_job_makes_a_picture_of_the_size_asked_for(request_):
    result = api.run_job(_change(request_, size=90))
    assert image_io.load_image(result.path).shape == (68, 90, 3)
    assert set(result.terms) == {
        "content/block2_conv2",
        "style/block1_conv1",
        "style/block2_conv1",
        "total_variation",
    }


def test_a_run_lowers_the_style_loss_and_keeps_the_content(request_):
    changed = _change(request_, steps=(40,), tv_weight=0.0)
    _, prepared = preparation.read_files(changed)
    terms = [
        {name: float(value) for name, value in step.evaluation.terms.items()}
        for step in api.run_steps(changed, prepared)
    ]
    for name in ("style/block1_conv1", "style/block2_conv1"):
        assert terms[-1][name] < 0.5 * terms[0][name]
    assert terms[-1]["content/block2_conv2"] < 0.9


def test_the_same_seed_gives_the_same_bits(request_):
    def picture(seed):
        changes = {"init": "noise", "seed": seed, "overwrite": True}
        api.run_job(_change(request_, **changes))
        return image_io.load_image(request_.output)

    one, two, other = picture(1), picture(1), picture(2)
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 0.05


def test_one_trace_a_level_whatever_the_steps_and_what_is_read(
    request_, monkeypatch
):
    from nst_tf.optimize import descent

    compiled = []
    make = descent.make_train_step
    monkeypatch.setattr(
        descent,
        "make_train_step",
        lambda *args: compiled.append(make(*args)) or compiled[-1],
    )
    changed = _change(request_, steps=(7, 5))
    _, prepared = preparation.read_files(changed)
    for step in api.run_steps(changed, prepared):
        float(step.evaluation.loss)
        step.image.numpy()
    assert len(compiled) == len(prepared.levels) == 3
    for function in compiled:
        assert function.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("init", ["content", "noise", "style", "gray"])
def test_every_start_is_of_the_first_levels_size(request_, init):
    _, prepared = preparation.read_files(_change(request_, init=init))
    assert prepared.init.shape == (32, 48, 3)
    expected = {
        "content": image_io.resize(prepared.content.pixels, 32, 48),
        "style": image_io.cover(prepared.styles[0].pixels, 32, 48),
        "gray": np.full((32, 48, 3), 0.5),
    }.get(init, prepared.init)
    np.testing.assert_allclose(prepared.init, expected, atol=1e-6)


def test_noise_is_mixed_into_the_start(request_):
    starts = {
        share: preparation.read_files(
            _change(request_, init="gray", init_noise=share)
        )[1].init
        for share in (0.0, 0.25, 1.0)
    }
    expected = 0.75 * starts[0.0] + 0.25 * starts[1.0]
    np.testing.assert_allclose(starts[0.25], expected, atol=1e-6)
    assert starts[1.0].std() > 0.25


def test_a_picture_may_be_the_start(request_):
    _, prepared = preparation.read_files(
        _change(request_, init=request_.style[0])
    )
    expected = image_io.cover(prepared.styles[0].pixels, 32, 48)
    np.testing.assert_allclose(prepared.init, expected, atol=1e-6)


def test_style_images_keep_their_shape(request_, monkeypatch):
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
    api.run_job(request_)
    for content, style in zip(seen[::2], seen[1::2], strict=True):
        assert style[0] / style[1] == pytest.approx(80 / 50, rel=0.05)
        assert np.prod(style) == pytest.approx(np.prod(content), rel=0.05)


def test_two_styles_are_blended(request_, pictures):
    # Blended with itself a style is itself; with another it is not.
    def picture(*styles):
        changes = {"style": styles, "overwrite": True}
        api.run_job(_change(request_, **changes))
        return image_io.load_image(request_.output)

    alone = picture(pictures[1])
    np.testing.assert_allclose(
        picture(pictures[1], pictures[1]), alone, atol=2 / 255
    )
    other = picture(pictures[1], pictures[0])
    assert np.abs(other - alone).max() > 0.05


def test_shares_of_layers_add_up_to_the_weight(request_):
    changed = _change(
        request_, style_layers="block1_conv1:3,block2_conv1:1", style_weight=8
    )
    weights = api.make_loss_weights(changed)
    assert weights.style == {"block1_conv1": 6.0, "block2_conv1": 2.0}
    assert weights.content == {"block2_conv2": 5.0}


# The library


def test_stylize_takes_paths_and_arrays_and_agrees_with_the_program(
    request_, pictures, toy
):
    settings = {"size": 96, "steps": 4, "weights": str(toy), **TOY}
    from_paths = nst_tf.stylize(pictures[0], pictures[1], **settings)
    arrays = [np.asarray(Image.open(path)) for path in pictures]
    from_arrays = nst_tf.stylize(arrays[0], [arrays[1]], **settings)
    np.testing.assert_array_equal(from_paths, from_arrays)
    assert from_paths.dtype == np.float32
    api.run_job(request_)
    np.testing.assert_allclose(
        image_io.load_image(request_.output), from_paths, atol=0.5 / 255 + 1e-6
    )


def test_what_stylize_returns_may_be_changed(pictures, toy):
    image = nst_tf.stylize(*pictures, size=48, steps=1, weights=str(toy), **TOY)
    image[:2] = 0.5
    assert (image[:2] == 0.5).all()


def test_stylize_steps_may_be_left(pictures, toy):
    settings = {"size": 96, "steps": (4,), "weights": str(toy), **TOY}
    for step in nst_tf.stylize_steps(*pictures, **settings):
        if step.level == 1:
            break
    assert step.image.shape == (1, 48, 64, 3)
    assert step.index == 1


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (np.zeros((40, 40)), ValueError, r"has shape \(40, 40\)"),
        (np.full((40, 40, 3), 7.0), ValueError, r"outside \[0, 1\]"),
        (np.zeros((40, 40, 3), int), TypeError, "has type int64"),
        ("none.png", ValueError, "there is no file"),
    ],
)
def test_stylize_refuses_what_is_no_picture(pictures, content, error, words):
    with pytest.raises(error, match=words):
        nst_tf.stylize(content, pictures[1])


def test_stylize_has_no_setting_for_files(pictures):
    with pytest.raises(TypeError, match="output is for the program"):
        nst_tf.stylize(*pictures, output="a.png")
    with pytest.raises(TypeError, match="sise"):
        nst_tf.stylize(*pictures, sise=3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": "512"}, "size is '512' of type str, expected int"),
        ({"size": 64.5}, "size is 64.5 of type float, expected int"),
        ({"steps": 2.5}, "steps is 2.5 of type float, expected tuple"),
        ({"steps": (2, "3")}, "steps is .* of type tuple"),
        ({"style_layers": None}, "style_layers is None of type NoneType"),
        ({"average": True}, "average is True of type bool, expected float"),
        ({"color": np.zeros((99, 99))}, "color is array.{,40} of type ndarray"),
    ],
)
def test_settings_of_a_wrong_type_are_named(pictures, settings, words):
    with pytest.raises(TypeError, match=words):
        nst_tf.stylize(*pictures, **settings)


def test_numbers_of_numpy_and_paths_are_settings(pictures, toy):
    settings = {"size": np.int64(96), "steps": np.int32(2), "weights": toy}
    image = nst_tf.stylize(*map(Path, pictures), **{**settings, **TOY})
    assert image.shape == (72, 96, 3)


def test_no_style_at_all_is_refused(pictures):
    with pytest.raises(ValueError, match="no style image"):
        nst_tf.stylize(pictures[0], [])


def test_a_further_loss_of_a_layer_that_is_not_there_is_named(pictures, toy):
    request, prepared = preparation.prepare_images(
        *pictures, {**TOY, "size": 64, "weights": toy}
    )
    loss = total_variation.TotalVariationLoss()
    loss.layer = "block5"
    steps = method.stylize_steps(
        prepared.content.pixels,
        [targets.Style(prepared.styles[0].pixels)],
        levels=prepared.levels,
        extra_losses=lambda height, width: [loss],
        **api.make_method_options(request, prepared.network),
    )
    words = "layer 'block5', expected one of image"
    with pytest.raises(ValueError, match=words):
        next(steps)


# Progress


def test_remaining_time_counts_work_steps_and_pauses(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    levels = [pyramid.Level(10, 10, 30), pyramid.Level(20, 20, 5)]
    report = progress.Progress(levels)
    clock[0] = 2.0  # the first step is over after a pause
    report.update(0, 1, 1.0)
    for index in range(2, 12):
        clock[0] += 0.1
        report.update(0, index, 1.0)
    # 19 steps here, 5 of the work of a larger level, and one pause.
    later = 5 * 0.1 * levels[1].work / levels[0].work
    assert report.remaining(0, 11) == pytest.approx(1.9 + later + 2.0)
    hurried = progress.Progress(levels, end=clock[0] + 1.0)
    hurried.update(0, 1, 1.0)
    assert hurried.remaining(0, 1) <= 1.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(59.6, "60 s"), (130, "2 min"), (9000, "2.5 h")],
)
def test_durations_read_as_people_say_them(seconds, words):
    assert progress.format_duration(seconds) == words


@pytest.mark.parametrize(
    ("flags", "onednn", "precision"),
    [
        ("fpu avx512f avx512_bf16 clzero", "1", "bfloat16"),
        ("fpu avx512f amx_bf16 amx_tile", "1", "bfloat16"),
        ("fpu avx2 avx512f avx512_vnni", "1", "float32"),
        ("fpu avx512f avx512_bf16 amx_bf16", "0", "float32"),
    ],
)
def test_auto_is_bfloat16_where_a_cpu_multiplies_it(
    tmp_path, monkeypatch, flags, onednn, precision
):
    if device.is_gpu():
        pytest.skip("a GPU decides")
    monkeypatch.setattr(device, "CPU", tmp_path / "cpuinfo")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert device.resolve_precision("auto") == precision
    assert device.resolve_precision("float32") == "float32"
    assert device.emulates_bfloat16() is (precision == "float32")


def test_auto_is_float32_where_a_cpu_says_nothing(tmp_path, monkeypatch):
    if device.is_gpu():
        pytest.skip("a GPU decides")
    monkeypatch.setattr(device, "CPU", tmp_path / "absent")
    assert device.resolve_precision("auto") == "float32"


def _emulate_bfloat16(monkeypatch):
    monkeypatch.setattr(device, "emulates_bfloat16", lambda: True)
    return "bfloat16 is emulated on this CPU and several times slower"


@pytest.mark.parametrize("precision", ["auto", "float32", "float16"])
def test_only_bfloat16_has_a_note_that_it_is_emulated(monkeypatch, precision):
    words = _emulate_bfloat16(monkeypatch)
    assert device.describe_emulation("bfloat16").startswith(words)
    assert device.describe_emulation(precision) == ""
    monkeypatch.setattr(device, "emulates_bfloat16", lambda: False)
    assert device.describe_emulation("bfloat16") == ""


@pytest.mark.parametrize("of_files", [False, True])
def test_the_library_warns_once_of_emulated_bfloat16(
    monkeypatch, request_, pictures, of_files
):
    words = _emulate_bfloat16(monkeypatch)
    changes = {"precision": "bfloat16", "steps": (1,), "levels": 1, "size": 48}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if of_files:
            api.run_job(_change(request_, **changes))
        else:
            toy = {**TOY, "weights": request_.weights, **changes}
            nst_tf.stylize(*pictures, **toy)
    assert [words in str(each.message) for each in caught].count(True) == 1
