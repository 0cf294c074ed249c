"""Colors: Oklab, chroma kept, mean and covariance, histograms."""

import numpy as np
import pytest
import toys

from nst_tf.cli import main
from nst_tf.images import color, image_io
from nst_tf.runs import records

CONTENT, STYLE = toys.image(40, 60, 0), toys.image(50, 30, 1)


def _chroma(image):
    return color.to_oklab(image)[..., 1:]


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1, 1, 1), (1, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        # From the table of the source's author: sRGB's primaries.
        ((1, 0, 0), (0.62796, 0.22486, 0.12585)),
        ((0, 1, 0), (0.86644, -0.23389, 0.17950)),
        ((0, 0, 1), (0.45201, -0.03246, -0.31153)),
    ],
)
def test_oklab_is_that_of_its_source(rgb, lab):
    np.testing.assert_allclose(color.to_oklab(np.array(rgb)), lab, atol=2e-5)


def test_oklab_is_computed_in_double_precision():
    np.testing.assert_array_equal(
        color.to_oklab(CONTENT), color.to_oklab(CONTENT.astype("f8"))
    )


def test_oklab_goes_there_and_back():
    back = color.encode_srgb(color.from_oklab(color.to_oklab(CONTENT)))
    np.testing.assert_allclose(back, CONTENT, atol=1e-6)


def test_chroma_is_kept_and_lightness_gives_way():
    vivid = CONTENT.copy()
    vivid[:, :20] = [0.9, 0.05, 0.05]
    white = np.ones_like(vivid)
    for image in (toys.image(40, 60, 3), white, 0 * white):
        result = color.transfer_chroma(image, vivid)
        expected = _chroma(vivid)
        error = np.abs(_chroma(result.image) - expected).max()
        assert error < 0.01 * np.abs(expected).max()
        assert result.image.min() >= 0 and result.image.max() <= 1
    # As light as it can be with that chroma: a bit lighter is no color.
    result = color.transfer_chroma(white, vivid)
    assert result.share == 1
    lab = color.to_oklab(result.image).reshape(-1, 3)
    lab[:, 0] += 0.001
    assert (color.from_oklab(lab).max(axis=-1) > 1).all()


def test_lightness_is_that_of_the_image_where_there_is_such_a_color():
    pale = 0.5 + 0.05 * (CONTENT - 0.5)
    image = 0.5 + 0.2 * (toys.image(40, 60, 3) - 0.5)
    result = color.transfer_chroma(image, pale)
    assert result.share == 0
    lightness = color.to_oklab(image)[..., 0]
    np.testing.assert_allclose(
        color.to_oklab(result.image)[..., 0], lightness, atol=1e-6
    )


def test_gray_keeps_lightness_and_takes_mean_and_deviation():
    plain = color.to_gray(STYLE)
    np.testing.assert_allclose(_chroma(plain), 0, atol=1e-6)
    np.testing.assert_allclose(
        color.to_oklab(plain)[..., 0], color.to_oklab(STYLE)[..., 0], atol=1e-6
    )
    like, goal = (
        color.to_oklab(image)[..., 0]
        for image in (color.to_gray(STYLE, CONTENT), CONTENT)
    )
    assert like.mean() == pytest.approx(goal.mean(), abs=1e-3)
    assert like.std() == pytest.approx(goal.std(), abs=1e-3)


def _moments(image, weights):
    flat, weights = image.reshape(-1, 3), weights.reshape(-1, 1)
    mean = (weights * flat).sum(0) / weights.sum()
    parts = weights * (flat - mean)
    return mean, parts.T @ (flat - mean) / weights.sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_match_gives_mean_and_covariance(weighted):
    rng = np.random.default_rng(0)
    masks = [rng.uniform(size=image.shape[:2]) for image in (STYLE, CONTENT)]
    given = masks if weighted else [None, None]
    if not weighted:
        masks = [np.ones_like(mask) for mask in masks]
    result = color.match_moments(STYLE, CONTENT, *given).image
    for actual, expected in zip(
        _moments(result, masks[0]), _moments(CONTENT, masks[1]), strict=True
    ):
        np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_match_changes_nothing_in_itself_and_serves_one_color():
    np.testing.assert_allclose(
        color.match_moments(STYLE, STYLE).image, STYLE, atol=1e-6
    )
    flat = np.full((8, 8, 3), 0.3)
    result = color.match_moments(flat, CONTENT)
    np.testing.assert_allclose(
        result.image.mean((0, 1)), CONTENT.mean((0, 1)), atol=1e-6
    )
    gray = color.match_moments(STYLE, color.to_gray(CONTENT)).image
    assert np.isfinite(gray).all()
    assert np.abs(gray - gray.mean(-1, keepdims=True)).max() < 0.05


def test_match_says_what_is_outside():
    stark = np.where(toys.image(40, 60, 5) > 0.5, 1.0, 0.0)
    result = color.match_moments(STYLE, stark)
    outside = (result.image < 0) | (result.image > 1)
    assert 0 < result.share == outside.mean()
    for bound in (0.0, 1.0):  # black and white are inside
        plain = np.full((4, 5, 3), bound, "f4")
        assert color.match_moments(plain, plain).share == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_histograms_are_the_contents(weighted):
    other = toys.image(40, 60, 1)
    weights = np.ones((40, 60)) if weighted else None
    result = color.match_histograms(other, CONTENT, weights, weights).image
    for channel in range(3):
        np.testing.assert_allclose(
            np.sort(result[..., channel], axis=None),
            np.sort(CONTENT[..., channel], axis=None),
            atol=1e-3,
        )
        # Order is kept: what was lighter is not darker now.
        order = np.argsort(other[..., channel], axis=None)
        ordered = result[..., channel].reshape(-1)[order]
        assert (np.diff(ordered) >= 0).all()


def test_what_does_not_count_has_no_part_in_a_histogram():
    weights = np.ones((40, 60))
    weights[:, 30:] = 0
    halves = CONTENT.copy()
    halves[:, 30:] = 0.999
    result = color.match_histograms(STYLE, halves, None, weights).image
    assert result.max() == halves[:, :30].max()
    # Of a style as well: the left half alone has the content's histogram.
    style = toys.image(40, 60, 1)
    style[:, 30:] /= 4
    result = color.match_histograms(style, CONTENT, weights).image[:, :30]
    for channel in range(3):
        for share in (0.25, 0.5, 0.75):
            actual = np.quantile(result[..., channel], share)
            expected = np.quantile(CONTENT[..., channel], share)
            assert actual == pytest.approx(expected, abs=2e-3)


def test_weights_count_as_often_as_they_say():
    # Four values, of which the weights make a histogram: 1, 2, 3 and 4 times.
    levels, weights = (
        np.array([[0.2, 0.4, 0.6, 0.8]]),
        np.array([[1, 2, 3, 4.0]]),
    )
    content = np.repeat(levels[..., None], 3, -1)
    repeated = np.repeat(content, [1, 2, 3, 4], axis=1)
    for match in (color.match_histograms, color.match_moments):
        weighted = match(STYLE, content, None, weights).image
        expected = match(STYLE, repeated).image
        np.testing.assert_allclose(weighted, expected, atol=1e-6)


def test_a_share_counts_all_blocks_and_no_block_changes_a_color(monkeypatch):
    vivid = CONTENT.copy()
    vivid[:, :20] = [0.9, 0.05, 0.05]
    image = np.ones_like(vivid)
    image[20:] = 0.5 * CONTENT[20:] + 0.25
    whole = color.transfer_chroma(image, vivid)
    monkeypatch.setattr(color, "BLOCK", 700)
    parts = color.transfer_chroma(image, vivid)
    np.testing.assert_array_equal(parts.image, whole.image)
    assert parts.share == whole.share
    gave_way = np.abs(
        color.to_oklab(whole.image)[..., 0] - color.to_oklab(image)[..., 0]
    )
    assert whole.share == pytest.approx((gave_way > 1e-5).mean(), abs=0.01)


def test_shares_say_where_the_chroma_is_transferred():
    vivid = CONTENT.copy()
    vivid[:, :20] = [0.9, 0.05, 0.05]
    image = toys.image(40, 60, 3)
    image[20:] = 1
    whole = color.transfer_chroma(image, vivid)
    for one in (np.ones((40, 60), "f4"), np.ones((40, 60))):
        every = color.transfer_chroma(image, vivid, one)
        np.testing.assert_array_equal(every.image, whole.image)
        assert every.share == whole.share
    shares = np.zeros((40, 60), "f4")
    shares[:, :20] = 1
    shares[:, 40:] = 0.25
    part = color.transfer_chroma(image, vivid, shares)
    np.testing.assert_array_equal(part.image[:, :20], whole.image[:, :20])
    np.testing.assert_array_equal(part.image[:, 20:40], image[:, 20:40])
    mixed = 0.75 * image[:, 40:] + 0.25 * whole.image[:, 40:]
    np.testing.assert_allclose(part.image[:, 40:], mixed, atol=1e-6)
    # Only what is transferred counts as changed.
    shares[:, 40:] = 0
    left = color.transfer_chroma(image[:, :20], vivid[:, :20]).share
    only = color.transfer_chroma(image, vivid, shares).share
    assert only == pytest.approx(left / 3) and left > 0.4


@pytest.mark.parametrize("name", ["content", "luminance"])
def test_a_result_has_the_chroma_of_the_content(folder, painter, capsys, name):
    flags = [f"--color={name}", "--bit_depth=16", "--output=a.png"]
    assert main.main(["--flagfile=toy.cfg", *flags, "--size=48"]) == 0
    result = image_io.load_image("a.png")
    content = image_io.resize(image_io.load_image("town.png"), 36, 48)
    assert np.abs(_chroma(result) - _chroma(content)).max() < 1e-4
    if name == "content":
        assert "because sRGB cannot show the content" in capsys.readouterr().err
    assert records.read_record("a.png")["flags"]["color"] == name
