"""Several styles: shares, layers, scales and colors of each."""

import numpy as np
import pytest
import toys

import nst_tf
from nst_tf.images import color
from nst_tf.losses import conventions, style_kinds
from nst_tf.network import architectures
from nst_tf.plan import pyramid, settings, style_settings

A = toys.picture(40, 60, 1)
LEVEL = pyramid.Level(48, 64, 1)


def test_the_style_loss_is_the_mix_or_that_of_the_source():
    choose = style_settings.choose_losses
    chosen = choose(settings.Job())
    assert chosen == settings.Job(
        style_loss="mix",
        style_layers=(style_kinds.LAYERS,),
        grain_weight=0.05,
        scales=2,
    )
    for name, convention in conventions.CONVENTIONS.items():
        chosen = choose(settings.Job(convention=name))
        assert chosen.style_loss == convention.style_loss
        assert chosen.grain_weight == (0.05 if name == "relative" else 0)
        assert chosen.scales == (2 if name == "relative" else 1)


def test_what_is_said_of_losses_stays():
    job = settings.Job(
        style_loss="moments",
        style_layers=("block1_conv1",),
        grain_weight=0.0,
        scales=3,
    )
    assert style_settings.choose_losses(job) == job
    sources = settings.Job(convention="keras", grain_weight=0.2)
    assert style_settings.choose_losses(sources).grain_weight == 0.2


def test_neighbors_alone_are_of_layers_of_their_own():
    chosen = style_settings.choose_losses(settings.Job(style_loss="neighbors"))
    assert chosen.style_layers == (style_kinds.NEIGHBORS_LAYERS,)


def test_a_style_of_one_picture_each_changes_nothing():
    job = settings.Job(style_blend=(1.0, 2.0))
    assert style_settings.repeat_settings(job, [1, 1]) is job
    assert style_settings.repeat_settings(job, []) is job


def test_pictures_of_a_folder_share_what_their_style_has():
    job = settings.Job(
        style_blend=(1.0, 3.0),
        style_scale=(0.5, 2.0),
        style_layers=("block1_conv1", "block2_conv1"),
        color="content,style",
        style_mask=("mask.png",),
        content_mask="places.png",
        seed=7,
    )
    found = style_settings.repeat_settings(job, [3, 1])
    assert found.style_blend == pytest.approx((1 / 3, 1 / 3, 1 / 3, 3.0))
    assert found.style_scale == (0.5, 0.5, 0.5, 2.0)
    assert found.style_layers == ("block1_conv1",) * 3 + ("block2_conv1",)
    assert found.color == "content,content,content,style"
    assert found.style_mask == ("mask.png",)  # one serves all
    assert found.style_size == () and found.seed == 7
    alone = style_settings.repeat_settings(settings.Job(), [2])
    assert alone == settings.Job(style_blend=(0.5, 0.5))


def test_shares_are_those_of_the_blend_or_equal():
    shares = style_settings.list_shares
    assert shares(settings.Job(), 3) == (1, 1, 1)
    assert shares(settings.Job(style_blend=(1.0, 2.0)), 2) == (1, 2)


@pytest.mark.parametrize(
    "name",
    ["style_blend", "style_scale", "style_layers", "style_size", "color"],
)
def test_a_setting_for_another_number_of_styles_is_refused(name):
    texts = {"style_layers": "block1_conv1", "color": "match"}
    job = settings.Job(**{name: (texts.get(name, 1),) * 3})
    words = f"{name} has 3 values, but there are 2 styles"
    with pytest.raises(ValueError, match=words):
        style_settings.repeat_settings(job, [2, 1])


def test_each_style_has_a_color_or_all_have_one():
    def find(color, count=2, **chosen):
        job = settings.Job(color=color, **chosen)
        return style_settings.list_colors(job, count)

    assert find("content", 3) == ("content",) * 3
    assert find("content", 0) == ()
    assert find("match, style") == ("match", "style")
    assert find("content,content") == ("content", "content")
    mixed = ("content", "style")
    assert find("content,style", content_mask="mask.png") == mixed
    words = (
        "^--color is content,style, but without a mask each style paints the "
        "whole picture; add --content_mask, which gives each style its region.$"
    )
    with pytest.raises(ValueError, match=words):
        find("content,style")
    with pytest.raises(ValueError, match="color has 2 values, but there are 3"):
        find("match,style", 3)


# Sizes


@pytest.mark.parametrize(
    "fit", settings.FIELDS["style_fit"].metadata["choices"]
)
def test_a_style_image_is_fitted_to_a_level(fit):
    def fit_size(scale):
        return style_settings.fit_size(fit, 40, 60, LEVEL.size, scale)

    expected = {
        "keep": (45, 68),  # as many pixels as 48 x 64
        "side": (43, 64),
        "stretch": (48, 64),
        "crop": (48, 64),
    }[fit]
    assert fit_size(1.0) == expected
    assert fit_size(0.5) == pytest.approx(np.divide(expected, 2), abs=0.6)
    assert min(fit_size(1e-3)) == 1


def test_scales_are_those_of_the_job_or_by_the_size_asked_for():
    def compute(styles=2, level=LEVEL, **chosen):
        job = settings.Job(**{"style_fit": "side", **chosen})
        return style_settings.compute_scales(job, [A] * styles, level)

    assert compute() == [1, 1]
    assert compute(style_scale=(0.5, 2.0)) == [0.5, 2.0]
    assert compute(style_size=(100,)) == [100 / 64, 100 / 64]
    assert compute(style_size=(100, 32)) == [100 / 64, 0.5]
    by_pixels = compute(style_size=(100,), style_fit="keep")
    assert by_pixels == [100 / 68, 100 / 68]  # 68 x 45, as above
    assert compute(0) == compute(0, style_size=(9,)) == []
    rules = settings.FIELDS["style_scale"].metadata
    long_side = pyramid.Level(750, 1000, 1)
    for name in ("low", "high"):
        bound = round(1000 * rules[name])
        chosen = {"level": long_side, "styles": 1}
        assert compute(style_size=(bound,), **chosen) == [rules[name]]
        over = bound + 1 if name == "high" else bound - 1
        with pytest.raises(ValueError, match=f"style_size is {over}; .* pix"):
            compute(style_size=(over,), **chosen)


def _check_fits(*styles, level=LEVEL, scales=None, **chosen):
    deepest = architectures.find_deepest("vgg19", ["block5_conv1"])  # 16
    job = settings.Job(**chosen)
    scales = scales or [1.0] * len(styles)
    style_settings.check_fits(job, styles, scales, level, deepest)


def test_a_style_image_that_becomes_too_small_is_refused():
    square = toys.picture(40, 40)
    _check_fits(square, level=pyramid.Level(16, 16, 1))
    for options in (
        {"level": pyramid.Level(15, 15, 1)},
        {"level": pyramid.Level(30, 30, 1), "scales": [0.5]},
    ):
        words = (
            "style image is 40 x 40 pixels, 15 x 15 at the first level, but "
            "block5_conv1 needs 16 x 16; raise --min_size or --style_scale"
        )
        with pytest.raises(ValueError, match=words):
            _check_fits(square, **options)
    with pytest.raises(ValueError, match="style image is 40 x 40"):
        _check_fits(toys.picture(48, 64), square, scales=[1.0, 0.1])


def test_a_style_has_room_for_the_deepest_layer_at_each_scale():
    deepest = architectures.find_deepest("vgg19", ["block5_conv1"])  # 16
    levels = [pyramid.Level(side, side, 1) for side in (512, 1024, 2048)]

    def count(*factors, most=3, levels=levels):
        job = settings.Job(scales=most)
        styles = [toys.picture(40, 40)] * len(factors)
        return style_settings.count_scales(
            job, styles, factors, levels, deepest
        )

    assert count() == count(1.0) == 3
    assert count(most=2) == 2
    assert count(levels=levels[:2]) == 2
    assert count(levels=levels[:1]) == 1
    # A quarter of 64 pixels, and of 62.
    assert count(1.0, 1 / 32) == 3
    assert count(1 / 33, 1.0, levels=levels[2:]) == 2
    assert count(1 / 100, levels=levels[2:]) == 1


def test_a_style_that_cropping_hides_is_refused():
    alpha = np.zeros((300, 30), "f4")
    alpha[:100] = 1  # cropping to 48 x 64 leaves 22.5 rows, in the middle
    hidden = toys.picture(300, 30)._replace(alpha=alpha)
    _check_fits(hidden, style_fit="side", scales=[4.0])
    _check_fits(hidden._replace(alpha=1 - alpha), style_fit="crop")
    with pytest.raises(ValueError, match="transparent in the cropped area"):
        _check_fits(hidden, style_fit="crop")
    assert not style_settings.is_hidden(A, 48, 64)
    for value, is_hidden in ((0.003, True), (1 / 255, False)):
        faint = A._replace(alpha=np.full((40, 60), value, "f4"))
        assert style_settings.is_hidden(faint, 48, 64) == is_hidden


# Colors


def test_styles_get_the_contents_colors():
    def recolor(name, style=A):
        return style_settings.recolor(name, style, content)

    content = toys.picture(48, 64, 2)
    content = content._replace(
        pixels=content.pixels**2, alpha=toys.mask(48, 64).numpy()[0, ..., 0]
    )
    style = A._replace(alpha=toys.mask(40, 60, 1).numpy()[0, ..., 0])
    for name in ("style", "content"):
        assert recolor(name) == (A, 0.0)
    gray, share = recolor("luminance")
    expected = color.to_gray(A.pixels, content.pixels)
    np.testing.assert_array_equal(gray.pixels, expected)
    assert share == 0 and np.ptp(gray.pixels, axis=-1).max() < 1e-5
    for name, change in (
        ("match", color.match_moments),
        ("histogram", color.match_histograms),
    ):
        both = style.pixels, content.pixels, style.alpha, content.alpha
        expected = change(*both)
        changed, share = recolor(name, style)
        clipped = np.clip(expected.image, 0, 1).astype("f4")
        np.testing.assert_array_equal(changed.pixels, clipped)
        assert changed.pixels.dtype == np.float32
        assert changed.alpha is style.alpha and share == expected.share
    assert recolor("match", style)[0].pixels.min() >= 0
    wide = content._replace(pixels=np.round(content.pixels))
    changed, share = style_settings.recolor("match", A, wide)
    assert share > 0 and changed.pixels.max() <= 1


# The strokes of the real network


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
                style_loss="gram",
                grain_weight=0,
                steps=(150, 100),
            )
        )
        for scale in (1, 2)
    ]
    assert lengths[0] == pytest.approx(period, rel=0.25)
    assert lengths[1] / lengths[0] == pytest.approx(2, rel=0.15)
