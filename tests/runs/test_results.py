"""What is done to a finished image before it is shown or written."""

import types

import numpy as np
import pytest
import toys

from nst_tf.images import color
from nst_tf.runs import results


@pytest.mark.parametrize("transfers_chroma", [False, True])
@pytest.mark.parametrize("keeps", [False, True])
def test_the_content_gives_its_chroma_and_its_kept_part(
    transfers_chroma, keeps
):
    content, painted = toys.image(8, 12, seed=1), toys.image(8, 12, seed=2)
    keep = np.zeros((8, 12), np.float32)
    keep[:, :6] = 1
    plan = types.SimpleNamespace(
        inputs=types.SimpleNamespace(
            content=types.SimpleNamespace(pixels=content)
        ),
        chroma=np.ones((1, 1), np.float32) if transfers_chroma else None,
        keep=keep if keeps else None,
    )
    found, share = results.finish(painted, plan)
    expected, given_way = painted, 0.0
    if transfers_chroma:
        expected, given_way = color.transfer_chroma(painted, content)
    np.testing.assert_allclose(found[:, 7:], expected[:, 7:], atol=1e-7)
    left = content if keeps else expected
    np.testing.assert_allclose(found[:, :5], left[:, :5], atol=1e-7)
    assert share == given_way
