"""Sources of optical flow: OpenCV's, files, none."""

import numpy as np
import pytest
import scenes

from nst_tf.video import flow


@pytest.fixture(scope="module")
def clip():
    return scenes.make_clip(72, 128)


def test_dis_finds_the_motion_of_the_painted_clip(clip):
    pytest.importorskip("cv2")
    now, before = (scenes.make_frame(clip.frame(i), i) for i in (6, 5))
    exact, visible = clip.flow(6, 5)
    source = flow.make("dis")
    found = source.find(now, before)
    assert found.dtype == np.float32
    error = np.hypot(*np.moveaxis(found - exact, -1, 0))[visible]
    assert error.mean() < 0.5
    assert np.median(error) < 0.2
    np.testing.assert_array_equal(source.find(now, before), found)


@pytest.mark.parametrize("size", [(1, 1), (8, 64), (15, 200), (200, 15)])
def test_dis_takes_images_that_crash_opencv(size):
    pytest.importorskip("cv2")
    one, other = (
        scenes.make_frame(np.random.default_rng(n).uniform(size=(*size, 3)))
        for n in (0, 1)
    )
    assert flow.make("dis").find(one, other).shape == (*size, 2)


def test_nothing_moves_without_flow(clip):
    frame = scenes.make_frame(np.zeros((4, 5, 3), "f4"))
    np.testing.assert_array_equal(
        flow.make("none").find(frame, frame), np.zeros((4, 5, 2))
    )


def test_flow_comes_from_files_named_as_by_artistic_videos(tmp_path):
    one = np.random.default_rng(0).normal(size=(4, 6, 2)).astype("f4")
    flow.write_flo(tmp_path / "forward_1_3.flo", one)
    flow.write_flo(tmp_path / "backward_3_1.flo", -one)
    first, third = (
        scenes.make_frame(np.zeros((4, 6, 3), "f4"), n) for n in (0, 2)
    )
    source = flow.make(str(tmp_path))
    np.testing.assert_array_equal(source.find(first, third), one)
    np.testing.assert_array_equal(source.find(third, first), -one)
    source.check(3, [2])
    with pytest.raises(
        ValueError, match=r"no file .*forward_1_2\.flo; .*1 out"
    ):
        source.check(3, [2, 1])


def test_flow_of_another_size_is_scaled_with_it(tmp_path):
    flow.write_flo(tmp_path / "forward_1_2.flo", np.full((5, 8, 2), 2.0))
    frames = [scenes.make_frame(np.zeros((10, 24, 3)), n) for n in (0, 1)]
    found = flow.make(str(tmp_path)).find(*frames)
    np.testing.assert_allclose(found, np.full((10, 24, 2), [6.0, 4.0]))


def _damage(data):
    return {
        "is not a .flo file": b"PIEX" + data[4:],
        "says 6 x 4 pixels, but has 200 bytes": data[:200],
        "says -6 x 4": data[:4] + np.int32(-6).tobytes() + data[8:],
        "NaN or infinite": data[:-4] + np.float32(np.nan).tobytes(),
        "is not a": b"",
    }


@pytest.mark.parametrize("words", _damage(b""))
def test_damaged_files_are_refused(tmp_path, words):
    path = tmp_path / "a.flo"
    flow.write_flo(path, np.zeros((4, 6, 2)))
    path.write_bytes(_damage(path.read_bytes())[words])
    with pytest.raises(ValueError, match=words):
        flow.read_flo(path)


def test_missing_files_and_methods_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        flow.read_flo(tmp_path / "a.flo")
    with pytest.raises(ValueError, match="expected dis, deepflow, none, or a"):
        flow.make("farneback")


def test_deepflow_needs_a_module_of_opencv():
    cv2 = pytest.importorskip("cv2")
    if hasattr(cv2, "optflow"):
        assert flow.make("deepflow")
    else:
        with pytest.raises(ValueError, match="needs the module optflow of Op"):
            flow.make("deepflow")
