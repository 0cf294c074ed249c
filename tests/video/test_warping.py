"""Warping and its confidence, against motion that is known."""

import numpy as np
import pytest
import scenes

from nst_tf.video import warping


def _flow(across, down, size=(6, 8)):
    return np.broadcast_to(np.float32([across, down]), (*size, 2))


@pytest.mark.parametrize(
    ("across", "down"), [(0, 0), (1, 2), (0.25, -0.5), (-9, 0), (1.5, 99)]
)
def test_warping_reads_a_ramp_where_the_flow_leads(across, down):
    rows, columns = np.indices((6, 8), dtype="f4")
    image = np.stack([columns, rows], axis=-1)
    expected = np.stack(
        [np.clip(columns + across, 0, 7), np.clip(rows + down, 0, 5)], axis=-1
    )
    warped = warping.warp(image, _flow(across, down))
    np.testing.assert_allclose(warped, expected, rtol=1e-6)


@pytest.mark.parametrize(("across", "down"), [(0.25, -0.5), (1.7, 2), (-3, 0)])
def test_sharp_warping_reads_parabolas_where_the_flow_leads(across, down):
    rows, columns = np.indices((12, 14), dtype="f4")

    def paint(rows, columns):
        x, y = columns / 14, rows / 12
        return np.stack([x, 0.3 + x * x / 2, y * y, x * y], axis=-1)

    warped = warping.warp_sharply(
        paint(rows, columns), _flow(across, down, (12, 14))
    )
    expected = paint(rows + down, columns + across)
    # Where all pixels that are read are inside.
    inside = np.s_[4:-4, 4:-4]
    np.testing.assert_allclose(warped[inside], expected[inside], atol=1e-6)


def test_sharp_warping_by_whole_pixels_changes_nothing_and_repeats_borders():
    image = np.random.default_rng(0).uniform(size=(6, 8, 3)).astype("f4")
    for move in [(0, 0), (3, -2), (-99, 99)]:
        np.testing.assert_array_equal(
            warping.warp_sharply(image, _flow(*move)),
            warping.warp(image, _flow(*move)),
        )


def test_sharp_warping_keeps_the_detail_that_warping_loses():
    _, columns = np.indices((32, 48), dtype="f4")
    wave = 0.5 + 0.4 * np.sin(2 * np.pi * columns / 6)[..., None]
    sharp = blurred = wave
    for number in range(24):  # back and forth by half a pixel
        flow = _flow(0.5 - number % 2, 0, (32, 48))
        sharp = warping.warp_sharply(sharp, flow)
        blurred = warping.warp(blurred, flow)
    inside = np.s_[:, 16:-16]
    kept, lost = (
        np.ptp(each[inside]) / np.ptp(wave[inside]) for each in (sharp, blurred)
    )
    # A mean of two keeps cos(pi / 6), a cubic 1.125 of it, each time.
    np.testing.assert_allclose(lost, 0.866**24, atol=0.005)
    np.testing.assert_allclose(kept, (1.125 * 0.866025) ** 24, atol=0.01)


@pytest.mark.parametrize("period", [2, 2.5, 3, 4, 6, 12, 48])
def test_sharp_warping_amplifies_no_wave(period):
    _, columns = np.indices((6, 96), dtype="f4")
    phase = 2 * np.pi * columns / period
    waves = np.stack([np.cos(phase), np.sin(phase)], axis=-1) / 4 + 0.5
    for across in np.linspace(0, 1, 11):
        warped = warping.warp_sharply(waves, _flow(across, 0, (6, 96)))
        radius = np.linalg.norm(warped - 0.5, axis=-1)[:, 4:-4]
        assert radius.max() <= 0.25 + 1e-6


def test_sharp_warping_stays_in_the_range_of_pictures():
    image = np.zeros((6, 8, 3), "f4")
    image[:, 4:] = 1
    warped = warping.warp_sharply(image, _flow(0.5, 0))
    assert (warped.min(), warped.max()) == (0, 1)
    np.testing.assert_allclose(warped[:, 3], 0.5)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1)])
def test_images_of_one_row_or_column_are_warped(size):
    image = np.arange(3 * size[0] * size[1], dtype="f4").reshape(*size, 3)
    still = _flow(0, 0, size)
    np.testing.assert_array_equal(warping.warp(image, still), image)
    scaled = image / image.size
    np.testing.assert_array_equal(warping.warp_sharply(scaled, still), scaled)
    confidence = warping.compute_confidence(still, still)
    np.testing.assert_array_equal(confidence, np.ones(size))


def test_a_pixel_that_leaves_the_image_is_not_known():
    inside = warping.is_inside(_flow(3, -2))
    expected = np.zeros((6, 8), bool)
    expected[2:, :5] = True
    np.testing.assert_array_equal(inside, expected)


@pytest.mark.parametrize(
    ("flow", "back", "expected"),
    [
        ((3, 0), (-3, 0), False),
        # 0.64 > 0.01 * (9 + 4.84) + 0.5 = 0.6384
        ((3, 0), (-2.2, 0), True),
        ((3, 0), (-2.3, 0), False),  # 0.49
        ((10, 0), (-8.6, 0), False),  # 1.96 <= 0.01 * 173.96 + 0.5
        ((10, 0), (-8.4, 0), True),  # 2.56 > 0.01 * 170.56 + 0.5
        ((0, 0.7), (0, 0), False),
        ((0, 0.72), (0, 0), True),
    ],
)
def test_disagreement_has_the_constants_of_the_paper(flow, back, expected):
    found = warping.disagrees(_flow(*flow), _flow(*back))
    assert found.all() == found.any() == expected


@pytest.mark.parametrize(("jump", "expected"), [(0.08, False), (0.1, True)])
def test_motion_boundaries_have_the_constants_of_the_paper(jump, expected):
    # Beside a jump of a flow of 0 the slope is half of it: 0.0016, 0.0025.
    flow = np.zeros((6, 8, 2), "f4")
    flow[:, 4:, 0] = jump
    flow[:, :, 1] = 0
    found = warping.is_boundary(flow)
    assert found[:, 3].all() == found.any() == expected
    assert not found[:, [0, 1, 2, 5, 6, 7]].any()


def test_each_pixel_is_known_from_the_nearest_frame_that_knows_it():
    nearest = np.float32([[1, 0, 0, 0.5]])
    middle = np.float32([[1, 1, 0, 0.75]])
    farthest = np.float32([[1, 1, 1, 1]])
    shares = warping.share_pixels([nearest, middle, farthest])
    expected = [[1, 0, 0, 0.5]], [[0, 1, 0, 0.25]], [[0, 0, 1, 0]]
    np.testing.assert_allclose(shares, expected)
    assert warping.share_pixels([]) == []


def test_on_the_painted_clip_what_is_trusted_is_right():
    clip = scenes.make_clip()
    before, now = clip.frame(4), clip.frame(8)
    flow, visible = clip.flow(8, 4)
    back, _ = clip.flow(4, 8)
    confidence = warping.compute_confidence(flow, back).astype(bool)
    error = ((warping.warp(before, flow) - now) ** 2).mean(-1)
    assert (confidence & ~visible).mean() < 0.002
    assert confidence[visible].mean() > 0.75
    assert error[confidence].mean() < 0.05 * error[~visible].mean()
