"""Pictures under test: how good they are by the judge, not pixel by pixel.

A change that makes pictures worse fails here. Bounds are the figures of
2026-11-29 with a margin of a quarter of the distances, 0.05 of SSIM, and a
quarter of the chroma: several times what machines and precisions differ by. A
change on purpose moves them, after a look at the pictures.
"""

import pytest

import nst_tf
from nst_tf import files
from nst_tf.backend import device

IMAGES = files.presets_folder() / "images"
# Content, style, and their figures: style, moments, content, SSIM, chroma.
PAIRS = {
    "harbor_at_dusk": ("swirling_night", 0.0725, 0.0298, 0.545, 0.396, 0.356),
    "valley": ("points_of_color", 0.0571, 0.0195, 0.535, 0.359, 0.0437),
}
MARGIN, SSIM_MARGIN = 0.25, 0.05


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", PAIRS)
def test_pictures_are_as_good_as_they_were(name, precision):
    if precision == "bfloat16" and device.emulates_bfloat16():
        pytest.skip("bfloat16 is emulated on this CPU: minutes a picture")
    style, *expected = PAIRS[name]
    paths = [str(IMAGES / f"{each}.jpg") for each in (name, style)]
    image = nst_tf.stylize(*paths, size=192, precision=precision)
    judged = nst_tf.judge_image(image, *paths)
    gram, moments, content, ssim, chroma = expected
    assert judged.style < (1 + MARGIN) * gram
    assert judged.moments < (1 + MARGIN) * moments
    assert judged.content < (1 + MARGIN) * content
    assert judged.ssim > ssim - SSIM_MARGIN
    assert abs(judged.chroma / chroma - 1) < MARGIN
