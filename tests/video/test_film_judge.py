"""The scores of films, on the painted clip with exact flow."""

import dataclasses

import numpy as np
import pytest
import scenes
import toys

from nst_tf.judge import judging
from nst_tf.video import film_judge, warping

CLIP = scenes.make_clip()
CONTENT = scenes.make_frames(CLIP, 4)


def _score(pictures, content=CONTENT, judge=None, styles=()):
    score = film_judge.FilmJudge(scenes.ExactFlow(CLIP), judge, styles)
    for frame, picture in zip(content, pictures, strict=True):
        score.add(frame, picture)
    return score.summarize()


def test_the_content_film_has_the_errors_of_its_source():
    found = _score([frame.pixels for frame in CONTENT])
    assert found.frames[0].warping is None
    assert found.warping == found.source > 0
    assert found.warping_95 == found.source_95 >= found.source
    assert found.style is found.content is None


def test_warping_error_is_that_of_known_pixels():
    frame = CONTENT[1]
    away, _ = CLIP.flow(1, 0)
    back, _ = CLIP.flow(0, 1)
    known = warping.compute_confidence(away, back)
    warped = warping.warp(CONTENT[0].pixels, away)
    # Off by 0.2 where known, and entirely elsewhere.
    picture = np.where(known[..., None] > 0, warped + 0.2, 1 - warped)
    found = _score([CONTENT[0].pixels, picture], CONTENT[:2])
    assert found.frames[1].warping == pytest.approx(0.04, rel=1e-5)
    assert found.frames[1].source < 0.002
    assert frame.index == found.frames[1].index


def test_a_scene_cut_has_no_warping_error():
    turned = CONTENT[1].pixels[::-1, ::-1]
    cut = dataclasses.replace(CONTENT[1], pixels=turned)
    content = [CONTENT[0], cut, CONTENT[2]]
    found = _score([frame.pixels for frame in content], content)
    assert [scores.warping for scores in found.frames] == [None, None, None]
    assert found.warping is found.warping_95 is None


def test_a_film_of_a_larger_content_is_scored_at_its_own_size():
    found = _score(
        [frame.pixels[::2, ::2] for frame in CONTENT[:1]], CONTENT[:1]
    )
    assert found.frames[0].detail > 0


def test_frames_are_judged_as_pictures_are(toy):
    chosen = {
        "extractor": "toy",
        "weights": str(toy),
        "style_layers": (",".join(toys.STYLE_LAYERS),),
        "content_layers": toys.CONTENT_LAYER,
    }
    style = toys.image(40, 50, 5)
    pictures = [toys.image(54, 96, n) for n in range(2)]
    judge = judging.Judge(chosen)
    found = _score(pictures, CONTENT[:2], judge, [style])
    for picture, frame, scores in zip(
        pictures, CONTENT[:2], found.frames, strict=True
    ):
        alone = judging.judge_image(picture, frame.pixels, style, **chosen)
        assert scores.style == pytest.approx(alone.style)
        assert scores.content == pytest.approx(alone.content)
    first, second = found.frames
    assert found.style == pytest.approx((first.style + second.style) / 2)
    assert first.uncovered is None
    assert second.uncovered != second.style
