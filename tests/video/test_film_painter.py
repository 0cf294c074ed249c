"""The painting of frames, with the toy network on the painted clip."""

import dataclasses

import numpy as np
import pretend
import pytest
import scenes
import toys

from nst_tf.images import image_io
from nst_tf.network import architectures
from nst_tf.plan import inputs, planning
from nst_tf.transfer import method
from nst_tf.video import film_painter, flow, frames, warping

CLIP = scenes.make_clip()
CONTENT = scenes.make_frames(CLIP, 5)
SIZE = 54, 96


def _make(path, agreement, source=None, **changes):
    """A painter on the toy network."""
    job = pretend.job(path, **changes)
    style = image_io.Picture(toys.image(50, 60, 1))
    weights = inputs.load_network(job)
    read = inputs.Inputs(style, (style,), [1], network=weights)
    source = source or scenes.ExactFlow(CLIP)
    return film_painter.FilmPainter(
        job, read, agreement, source, planning.Machine()
    )


@pytest.fixture(scope="module")
def painter(tmp_path_factory):
    """A painter of one level, which is compiled once."""
    path = tmp_path_factory.mktemp("toy") / "toy.h5"
    toys.write_weights(path)
    agreement = film_painter.Agreement(temporal_weight=1e4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(architectures.NETWORKS, "toy", toys.ARCHITECTURE)
        yield _make(path, agreement, levels=1, steps=40)


@pytest.fixture
def painter_stub(monkeypatch):
    """Takes the place of every painter, as the fixture of conftest.py."""
    stub = pretend.Painter()
    monkeypatch.setattr(method, "Painter", stub)
    return stub


@pytest.fixture(scope="module")
def results(painter):
    """The results of the first frames."""
    return _paint(painter, CONTENT[:4])


def _paint(painter, content, earlier=None, order=1):
    """Paints frames as a film does; the results by index."""
    results = {}
    for frame in content[::order]:
        recent = _find_recent(painter, frame.index, results, order)
        before = None if earlier is None else earlier[frame.index]
        results[frame.index] = painter.paint(frame, recent, before)
    return results


def _find_recent(painter, index, results, order=1):
    return {
        distance: frames.Painted(CONTENT[other], results[other])
        for distance in painter.look_back
        if (other := index - order * distance) in results
    }


def test_each_size_is_traced_once_in_a_film_with_a_cut(toy):
    painter = _make(toy, film_painter.Agreement(), min_size=64, steps=2)
    turned = CONTENT[2].pixels[::-1, ::-1]
    cut = dataclasses.replace(CONTENT[2], pixels=turned)
    results = _paint(painter, [*CONTENT[:2], cut, CONTENT[3]])
    assert len(painter.make_plan(cut).levels) == painter.traces == 2
    assert all(result.shape == (*SIZE, 3) for result in results.values())
    # A new scene has nothing of the one before.
    np.testing.assert_array_equal(painter.paint(cut, {}), results[2])
    assert painter.traces == 2


def test_frames_after_the_first_take_few_steps_at_the_full_size(
    painter, results
):
    shares = []
    painter.paint(CONTENT[0], {}, follow=shares.append)
    np.testing.assert_allclose(shares, np.arange(1, 41) / 40)
    shares.clear()
    recent = _find_recent(painter, 1, results)
    painter.paint(CONTENT[1], recent, follow=shares.append)
    assert len(shares) == 16  # 0.4 of 40


def test_frames_agree_more_than_frames_painted_one_by_one(painter, results):
    def measure(results):
        away, visible = CLIP.flow(3, 2)
        error = (warping.warp(results[2], away) - results[3]) ** 2
        return float(error[visible].mean())

    alone = {n: painter.paint(CONTENT[n], {}) for n in (2, 3)}
    assert measure(results) < 0.35 * measure(alone)


def test_a_frame_is_painted_again_to_the_same_bits(painter, results):
    again = painter.paint(CONTENT[3], _find_recent(painter, 3, results))
    np.testing.assert_array_equal(again, results[3])


def test_another_pass_goes_backward_from_both_results(painter, results):
    backward = _paint(painter, CONTENT[:4], results, order=-1)
    assert set(backward) == set(results)
    # The last frame has no neighbor yet, and goes on from its own result.
    change = np.abs(backward[3] - results[3]).mean()
    assert 0 < change < 0.05
    known = _know(results[1], np.full(SIZE, 0.5, "f4"))
    plan = painter.make_plan(CONTENT[0])
    start = film_painter.compose_start(plan, known, results[0])
    expected = 0.75 * results[0] + 0.25 * results[1]
    np.testing.assert_allclose(start, expected, atol=1e-6)


def test_what_is_unknown_starts_from_the_content_in_colors_nearby(painter):
    plan = painter.make_plan(CONTENT[0])
    nothing = np.zeros(SIZE, "f4")
    seen = 0.6 + 0.5 * (plan.content - plan.content.mean(axis=(0, 1)))
    assert film_painter.compose_start(plan, _know(seen, nothing)) is None
    visible = nothing.copy()
    visible[::2] = 1
    start = film_painter.compose_start(
        plan, _know(seen * visible[..., None], visible)
    )
    np.testing.assert_array_equal(start[::2], seen[::2])
    assert np.abs(start - seen)[1::2].mean() < 0.02
    assert np.abs(plan.content - seen)[1::2].mean() > 0.1


def _know(pixels, confidence):
    return film_painter.Known(pixels, confidence, pixels, confidence)


def test_without_flow_what_moves_is_not_known(toy):
    painter = _make(toy, film_painter.Agreement(), flow.make("none"))
    moved = CONTENT[0].pixels.copy()
    moved[:20, :30] = 1 - moved[:20, :30]
    second = scenes.make_frame(moved, 1)
    recent = {1: frames.Painted(CONTENT[0], np.full((*SIZE, 3), 0.5, "f4"))}
    known = painter.find_known(painter.make_plan(second), second, recent)
    assert known.confidence[20:].all()
    assert known.confidence[:, 30:].all()
    assert known.confidence[:20, :30].mean() < 0.3
    np.testing.assert_allclose(known.pixels[20:], 0.5)


def test_masks_of_a_frame_replace_those_of_the_job(toy):
    mask = np.zeros((*SIZE, 3), "f4")
    mask[:, :40] = 1
    masks = {"keep_mask": image_io.Picture(mask)}
    frame = dataclasses.replace(CONTENT[0], masks=masks)
    painter = _make(toy, film_painter.Agreement(), keep_mask="array")
    finished = painter.finish(frame, np.full((*SIZE, 3), 0.5, "f4"))
    kept = frame.pixels[:, :40]
    np.testing.assert_allclose(finished[:, :40], kept, atol=1e-6)
    np.testing.assert_array_equal(finished[:, 40:], 0.5)


def test_a_frame_that_is_abandoned_leaves_the_painter_ready(painter, results):
    def abandon(share):
        raise KeyboardInterrupt

    recent = _find_recent(painter, 3, results)
    with pytest.raises(KeyboardInterrupt):
        painter.paint(CONTENT[3], recent, follow=abandon)
    again = painter.paint(CONTENT[3], recent)
    np.testing.assert_array_equal(again, results[3])


def test_smaller_tiles_serve_all_frames_after_one_ran_out_of_memory(
    toy, painter_stub
):
    painter = _make(toy, film_painter.Agreement())
    plan = painter.make_plan(CONTENT[0])
    painter_stub.tiling = plan.tiling._replace(side=64)
    painter.paint(CONTENT[0], {})
    assert painter.make_plan(CONTENT[1]).tiling.side == 64
