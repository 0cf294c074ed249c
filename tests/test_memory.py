"""The estimate against what runs took, as nst_tf/memory.py tells."""

import pytest

from nst_tf import memory


@pytest.mark.parametrize(
    ("precision", "size", "gigabytes"),
    [
        ("bfloat16", (384, 512), 1.40),
        ("bfloat16", (768, 1024), 2.54),
        ("bfloat16", (1086, 1448), 4.03),
        ("float32", (384, 512), 1.35),
        ("float32", (768, 1024), 2.73),
        ("float32", (1086, 1448), 4.61),
    ],
)
def test_the_estimate_is_within_a_tenth(precision, size, gigabytes):
    estimate = memory.estimate(*size, precision)
    assert estimate / 1e9 == pytest.approx(gigabytes, rel=0.1)


@pytest.mark.parametrize(
    ("precision", "size", "gigabytes"),
    [
        ("bfloat16", (384, 512), 1.02),
        ("bfloat16", (768, 1024), 1.74),
        ("bfloat16", (1536, 2048), 4.62),
        ("float32", (768, 1024), 1.81),
    ],
)
def test_the_estimate_of_the_small_network_too(precision, size, gigabytes):
    estimate = memory.estimate(*size, precision, small=True)
    assert estimate / 1e9 == pytest.approx(gigabytes, rel=0.1)


@pytest.mark.parametrize(
    ("size", "gigabytes"), [((384, 512), 1.10), ((768, 1024), 2.33)]
)
def test_the_estimate_counts_the_pairs_of_lbfgs(size, gigabytes):
    estimate = memory.estimate(*size, "bfloat16", small=True, pairs=20)
    assert estimate / 1e9 == pytest.approx(gigabytes, rel=0.1)
