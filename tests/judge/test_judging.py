"""The judge against a float64 program, and on pictures that are odd."""

import dataclasses

import numpy as np
import numpy_judge
import pytest
import toys
from PIL import Image

import nst_tf
from nst_tf.backend import host_memory
from nst_tf.images import image_io, writing
from nst_tf.judge import distances, figures, judging
from nst_tf.network import weight_files
from nst_tf.plan import settings

HEIGHT, WIDTH = 43, 58


@pytest.fixture
def chosen(toy):
    """Settings of the toy network."""
    return {
        "extractor": "toy",
        "weights": str(toy),
        "style_layers": ",".join(toys.STYLE_LAYERS),
        "content_layers": toys.CONTENT_LAYER,
    }


def _flat(height, width, value=0.5):
    return np.full((height, width, 3), value, np.float32)


def _expected(image, content, *styles):
    return numpy_judge.judge(
        image,
        content,
        [(style, np.ones(style.shape[:2]), 1) for style in styles],
        toys.weights(),
        dict.fromkeys(toys.STYLE_LAYERS, 1),
        toys.CONTENT_LAYER,
        np.ones((HEIGHT, WIDTH)),
    )


def _check(judgement, expected, size=(HEIGHT, WIDTH)):
    found = dataclasses.asdict(judgement)
    assert (found.pop("height"), found.pop("width")) == size
    by_layer = found.pop("style_by_layer")
    for layer, value in expected.pop("style_by_layer").items():
        np.testing.assert_allclose(by_layer[layer], value, rtol=1e-4)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("layer_weights", "shares", "transparent"),
    [
        ((1, 1), (1,), ""),
        ((1, 3), (1, 1), ""),
        ((0, 1), (1, 3), "content"),
        ((2, 1), (3, 1), "style"),
    ],
)
def test_figures_are_those_of_a_program_in_float64(
    chosen, layer_weights, shares, transparent
):
    named = list(zip(toys.STYLE_LAYERS, layer_weights, strict=True))
    chosen["style_layers"] = ",".join(f"{k}:{weight}" for k, weight in named)
    if len(set(shares)) > 1:
        chosen["style_blend"] = shares
    rng = np.random.default_rng(0)

    def paint(number, is_transparent):
        alpha = np.ones((HEIGHT, WIDTH), np.float32)
        if is_transparent:
            alpha = rng.uniform(size=alpha.shape).astype("f4")
            alpha[:8] = 0
        pixels = toys.image(HEIGHT, WIDTH, number)
        return image_io.fill_transparent(image_io.Picture(pixels, alpha)), alpha

    image = toys.image(HEIGHT, WIDTH)
    content, alpha = paint(1, transparent == "content")
    styles = [
        paint(2 + number, transparent == "style" and number == 0)
        for number in range(len(shares))
    ]
    judgement = nst_tf.judge_image(
        image, content, [style for style, _ in styles], **chosen
    )
    expected = numpy_judge.judge(
        image,
        content.pixels,
        [
            (style.pixels, alpha, share)
            for (style, alpha), share in zip(styles, shares, strict=True)
        ],
        toys.weights(),
        {layer: weight for layer, weight in named if weight},
        toys.CONTENT_LAYER,
        alpha,
    )
    _check(judgement, expected)


@pytest.mark.parametrize("size", [(150, 140), (128, 200), (127, 127), (11, 12)])
def test_the_border_is_16_pixels_or_an_eighth(size):
    luma = figures.to_ycbcr(toys.image(*size))[..., 0]
    if min(size) < 16:  # a pixel at least, which the program does not know
        width, steps = 1, np.abs(np.diff(luma, axis=0))[:, :-1]
        steps = steps + np.abs(np.diff(luma, axis=1))[:-1]
        inner = steps[width:-width, width:-width]
        outer = (steps.sum() - inner.sum()) / (steps.size - inner.size)
        deep = inner[3:-3, 3:-3]
        beside = (inner.sum() - deep.sum()) / (inner.size - deep.size)
        expected = outer / beside
    else:
        expected = numpy_judge.border(luma, np.ones(size))
    assert figures.compare_border(luma) == pytest.approx(expected)


def test_content_and_style_are_resized(chosen):
    image = toys.image(HEIGHT, WIDTH, 0)
    content = toys.image(2 * HEIGHT, 2 * WIDTH, 1)
    style = toys.image(120, 90, 2)
    judgement = nst_tf.judge_image(image, content, style, **chosen)
    # As many pixels as 43 x 58 in the shape 4 : 3.
    fitted = image_io.resize(style, 58, 43)
    small = image_io.resize(content, HEIGHT, WIDTH)
    _check(judgement, _expected(image, small, fitted))


def test_the_content_itself_has_all_content_and_none_of_the_style(chosen):
    content, style = toys.image(HEIGHT, WIDTH, 1), toys.image(50, 60, 2)
    judgement = nst_tf.judge_image(content, content, style, **chosen)
    assert judgement.content == 0
    assert judgement.ssim == pytest.approx(1, abs=1e-12)
    assert judgement.style > 0.01


def test_the_style_itself_has_all_of_the_style(chosen):
    content, style = toys.image(HEIGHT, WIDTH, 1), toys.image(HEIGHT, WIDTH, 2)
    judgement = nst_tf.judge_image(style, content, style, **chosen)
    assert judgement.style == pytest.approx(0, abs=1e-9)
    assert judgement.moments == pytest.approx(0, abs=1e-9)
    assert judgement.chroma == 1
    assert judgement.content > 0.01


def test_a_gray_style_has_an_answer(chosen):
    content = toys.image(HEIGHT, WIDTH, 1)
    gray = np.repeat(toys.image(HEIGHT, WIDTH, 2)[..., :1], 3, axis=-1)
    assert nst_tf.judge_image(gray, content, gray, **chosen).chroma == 1
    colored = nst_tf.judge_image(content, content, gray, **chosen)
    energies = figures.measure_laplacian(content)
    assert colored.chroma == pytest.approx(
        energies[1:].mean() / figures.CHROMA_FLOOR
    )
    assert colored.chroma > 10


def test_rounding_to_8_bits_is_as_much_as_the_floor():
    rng = np.random.default_rng(0)
    smooth = rng.uniform(0, 1, size=(1, 1, 3)) + rng.uniform(
        0, 1 / 255, size=(300, 300, 3)
    )
    rounding = np.round(255 * smooth) / 255 - smooth
    energies = figures.measure_laplacian(rounding)
    np.testing.assert_allclose(
        energies[1:].mean(), figures.CHROMA_FLOOR, rtol=0.05
    )


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_pictures_have_finite_figures(chosen, value):
    textured, flat = toys.image(HEIGHT, WIDTH, 1), _flat(HEIGHT, WIDTH, value)
    for image, content, style in (
        (flat, textured, textured),
        (textured, flat, textured),
        (textured, textured, flat),
        (flat, flat, flat),
    ):
        judgement = nst_tf.judge_image(image, content, style, **chosen)
        found = dataclasses.asdict(judgement)
        numbers = [*found.pop("style_by_layer").values(), *found.values()]
        assert np.isfinite(numbers).all()
    assert judgement.chroma == judgement.border == 1


def test_noise_is_even_and_a_frame_is_not():
    rng = np.random.default_rng(0)
    noise = rng.uniform(size=(200, 220))
    assert figures.compare_border(noise) == pytest.approx(1, abs=0.02)
    smooth = np.full_like(noise, 0.5)
    smooth[16:-16, 16:-16] = noise[16:-16, 16:-16]
    assert figures.compare_border(smooth) < 0.1
    assert figures.compare_border(1 - smooth + noise) > 1.05
    inside = np.zeros_like(noise)
    inside[90:100, 90:100] = 1
    assert figures.compare_border(noise, inside) == 1


def test_a_jpeg_of_another_tool_is_judged(chosen, tmp_path):
    content, style = toys.image(HEIGHT, WIDTH, 1), toys.image(50, 60, 2)
    path = tmp_path / "result.jpg"
    pixels = np.round(255 * toys.image(HEIGHT, WIDTH + 1, 0)).astype("u1")
    Image.fromarray(pixels).save(path, quality=40)
    judgement = nst_tf.judge_image(path, content, style, **chosen)
    assert (judgement.height, judgement.width) == (HEIGHT, WIDTH + 1)
    read = image_io.load_image(path)
    assert judgement == nst_tf.judge_image(read, content, style, **chosen)


def test_a_transparent_result_is_judged_by_its_colors(chosen, tmp_path):
    content, style = toys.image(HEIGHT, WIDTH, 1), toys.image(50, 60, 2)
    path = tmp_path / "result.png"
    alpha = np.ones((HEIGHT, WIDTH), np.float32)
    alpha[:9] = 0
    image_io.write_image(path, content, writing.Options(alpha=alpha))
    judgement = nst_tf.judge_image(path, content, style, **chosen)
    assert 0 < judgement.ssim < 1


def test_large_pictures_are_reduced_to_size(chosen):
    image, content, style = (toys.image(80, 120, k) for k in range(3))
    judgement = nst_tf.judge_image(image, content, style, size=60, **chosen)
    assert (judgement.height, judgement.width) == (40, 60)
    small = image_io.resize(image, 40, 60)
    assert judgement == nst_tf.judge_image(small, content, style, **chosen)
    own = nst_tf.judge_image(small, content, style, size=99, **chosen)
    assert own == judgement


def test_a_folder_of_styles_counts_as_one(chosen, tmp_path):
    image, content, one, two = (toys.image(HEIGHT, WIDTH, k) for k in range(4))
    for number, style in enumerate((one, two)):
        image_io.save_image(tmp_path / f"{number}.tif", style)
    one, two = (image_io.load_image(tmp_path / f"{n}.tif") for n in (0, 1))
    (tmp_path / "toy.h5").rename(tmp_path / "weights")
    chosen["weights"] = str(tmp_path / "weights")
    judgement = nst_tf.judge_image(image, content, tmp_path, **chosen)
    each = nst_tf.judge_image(image, content, [one, two], **chosen)
    assert judgement == each


def test_shares_and_scales_are_those_of_a_job(chosen):
    image, content, one, two = (toys.image(HEIGHT, WIDTH, k) for k in range(4))
    alone = nst_tf.judge_image(image, content, one, **chosen)
    for blend, styles in (((1.0, 0.0), [one, two]), ((0.0, 1.0), [two, one])):
        shared = nst_tf.judge_image(
            image, content, styles, style_blend=blend, **chosen
        )
        assert shared.style == pytest.approx(alone.style, rel=1e-6)
        assert shared.chroma == pytest.approx(alone.chroma)
    scaled = nst_tf.judge_image(image, content, one, style_scale=2.0, **chosen)
    assert scaled.style != alone.style
    assert scaled.chroma > alone.chroma  # an enlarged style has less detail


def test_targets_are_measured_once_for_a_subject_and_a_size(
    chosen, monkeypatch
):
    sizes = []
    make = distances.Network.make_losses

    def count(network, subject, *size):
        sizes.append(size)
        return make(network, subject, *size)

    monkeypatch.setattr(distances.Network, "make_losses", count)
    judge, size = judging.Judge(chosen), (HEIGHT, WIDTH)
    subject = judge.read_subject(toys.image(*size, 1), toys.image(50, 60, 2))
    picture = toys.picture(*size, 3)
    assert judge.judge(picture, subject) == judge.judge(picture, subject)
    assert judge.judge(picture, subject._replace()) is not None
    assert sizes == [size]
    judge.judge(toys.picture(2 * HEIGHT, 2 * WIDTH, 3), subject)
    assert sizes == [size, (2 * HEIGHT, 2 * WIDTH)]
    opaque = np.ones(size, np.float32)
    other = toys.picture(50, 60, 4)
    for number, changed in enumerate(
        (
            subject._replace(scales=(2.0,)),
            subject._replace(shares=(2.0,)),
            subject._replace(styles=[other]),
            subject._replace(content=toys.picture(*size, 1)),
            subject._replace(content=subject.content._replace(alpha=opaque)),
        ),
        start=3,
    ):
        judge.judge(picture, changed)
        assert len(sizes) == number


@pytest.mark.parametrize(
    ("size", "width", "words"),
    [
        ((40, 60), 62, ""),  # two pixels are rounding
        ((40, 63), 60, ""),
        ((40, 64), 60, "the content image is 60 x 40, which would be 64 x 43"),
        (
            (40, 60),
            66,
            "picture is 60 x 40 pixels, but the content image is 66",
        ),
        ((11, 16), 16, ""),
        ((10, 16), 16, "16 x 10 pixels; expected at least 11"),
    ],
)
def test_pictures_have_the_contents_shape_and_a_window_of_pixels(
    chosen, size, width, words
):
    judge = judging.Judge(chosen)
    content = toys.image(size[0], width, 1)
    subject = judge.read_subject(content, toys.image(50, 60, 2))
    picture = toys.picture(*size)
    if not words:
        return judge.check(picture, subject)
    with pytest.raises(ValueError, match=words):
        judge.check(picture, subject)


@pytest.mark.parametrize(
    ("image", "content", "style", "more", "words"),
    [
        ((40, 60), (60, 40), (9, 9), {}, "but the content image is 40 x 60"),
        ((8, 8), (8, 8), (9, 9), {}, "expected at least 11 x 11"),
        ((40, 60), (40, 60), (9, 9), {"size": -1}, "size is -1; expected 0"),
        (
            *((40, 60), (40, 60), (9, 9)),
            {"size": settings.LARGEST_SIZE + 1},
            f"to {settings.LARGEST_SIZE}",
        ),
        ((40, 60), (40, 60), (1, 300), {}, "style image would be scored at"),
        (
            *((40, 60), (40, 60), (9, 9)),
            {"style_scale": (1.0, 2.0)},
            "style_scale has 2 values, but there is 1 style;",
        ),
        (
            *((40, 60), (40, 60), (9, 9)),
            {"content_layers": "block9_conv1"},
            "toy has no layer 'block9_conv1'",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(
    chosen, image, content, style, more, words
):
    pictures = [toys.image(*size) for size in (image, content, style)]
    with pytest.raises(ValueError, match=words):
        nst_tf.judge_image(*pictures, **{**chosen, **more})


def test_settings_that_are_not_for_a_judge_are_refused(chosen):
    picture = toys.image(HEIGHT, WIDTH)
    with pytest.raises(TypeError, match="wieghts is not a setting of judge_im"):
        nst_tf.judge_image(picture, picture, picture, wieghts="auto")
    with pytest.raises(ValueError, match="style_layers is given 2 times"):
        nst_tf.judge_image(
            picture,
            picture,
            picture,
            **{**chosen, "style_layers": toys.STYLE_LAYERS},
        )
    with pytest.raises(ValueError, match="no style image"):
        nst_tf.judge_image(picture, picture, [], **chosen)


def test_a_picture_that_memory_has_no_room_for_is_refused(chosen, monkeypatch):
    needed = judging.BASE + judging.PER_PIXEL * HEIGHT * WIDTH
    picture = toys.image(HEIGHT, WIDTH)
    for limit, scale, fits in (
        (needed, 1.0, True),
        (needed - 1, 0.5, False),  # the picture itself takes as much
        (needed - 1, 1.0, False),
        (needed, 1.5, False),  # a larger style takes more
        (None, 9.0, True),
    ):
        monkeypatch.setattr(
            host_memory, "find_limit", lambda limit=limit: limit
        )
        judge = judging.Judge(chosen)
        subject = judge.read_subject(picture, picture)
        subject = subject._replace(scales=(scale,))
        if fits:
            judge.check(image_io.Picture(picture), subject)
        else:
            with pytest.raises(MemoryError, match="reduce it with size"):
                judge.check(image_io.Picture(picture), subject)
    monkeypatch.setattr(host_memory, "find_limit", lambda: needed - 1)
    nst_tf.judge_image(picture, picture, picture, size=WIDTH - 1, **chosen)


def test_out_of_memory_is_told_from_other_errors(chosen, monkeypatch):
    picture = toys.image(HEIGHT, WIDTH)
    for error, raised, words in (
        (MemoryError("no"), MemoryError, "reduce picture, of 58 x 43 pixels"),
        (RuntimeError("other"), RuntimeError, "other"),
    ):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr(distances.Network, "measure", fail)
        with pytest.raises(raised, match=words):
            nst_tf.judge_image(picture, picture, picture, **chosen)


def test_tf32_is_as_it_was_afterwards(chosen):
    from tensorflow.config import experimental

    before = experimental.tensor_float_32_execution_enabled()
    picture = toys.image(HEIGHT, WIDTH)
    try:
        for enabled in (True, False):
            experimental.enable_tensor_float_32_execution(enabled)
            nst_tf.judge_image(picture, picture, picture, **chosen)
            now = experimental.tensor_float_32_execution_enabled()
            assert now == enabled
    finally:
        experimental.enable_tensor_float_32_execution(before)


def test_figures_by_the_real_network_are_those_in_float64():
    image, content, style = (toys.image(32, 48, k) for k in range(3))
    judgement = nst_tf.judge_image(image, content, style)
    opaque = np.ones((32, 48))
    expected = numpy_judge.judge(
        image,
        content,
        [(style, opaque, 1)],
        weight_files.load("vgg19").layers,
        dict.fromkeys(judgement.style_by_layer, 1),
        settings.Job.content_layers,
        opaque,
    )
    _check(judgement, expected, (32, 48))
