"""Scene cuts, between two shots of the painted clip."""

import numpy as np
import pytest
import scenes

from nst_tf.video import cuts, warping


def _is_cut(now, before, shift=(0, 0)):
    flow = np.broadcast_to(np.float32(shift), (*now.shape[:2], 2))
    warped = warping.warp(before, flow)
    return cuts.is_cut(now, warped, warping.compute_confidence(flow, -flow))


@pytest.fixture(scope="module")
def frame():
    return scenes.make_clip().frame(0)


def test_a_frame_of_the_same_scene_is_no_cut(frame):
    assert not _is_cut(frame, frame)
    panned = np.roll(frame, 30, axis=1)  # a third of the width is new
    assert not _is_cut(panned, frame, (-30, 0))


@pytest.mark.parametrize("light", [0.3, -0.4])
def test_a_flash_is_no_cut(frame, light):
    assert not _is_cut(frame + light, frame)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2)])
def test_another_picture_is_a_cut(frame, shift):
    assert _is_cut(np.flipud(frame), frame, shift)
    noise = np.random.default_rng(0).uniform(size=frame.shape)
    assert _is_cut(noise, frame, shift)


def test_a_frame_of_which_nothing_is_known_is_a_cut(frame):
    assert cuts.is_cut(frame, frame, np.zeros(frame.shape[:2]))


def test_dis_between_two_scenes_is_a_cut(frame):
    pytest.importorskip("cv2")
    from nst_tf.video import flow

    source = flow.make("dis")
    for other in (np.flipud(frame), np.fliplr(frame)[:, ::-1] * 0 + 0.5):
        pair = (
            scenes.make_frame(frame),
            scenes.make_frame(np.ascontiguousarray(other)),
        )
        away, back = source.find(*pair), source.find(*reversed(pair))
        warped = warping.warp(pair[1].pixels, away)
        confidence = warping.compute_confidence(away, back)
        assert cuts.is_cut(frame, warped, confidence)
