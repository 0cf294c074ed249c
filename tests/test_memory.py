"""The plan of memory against what runs took; what the machine says it has."""

import pytest

from nst_tf import memory

VGG, SMALL = memory.Need, {"small": True}


@pytest.mark.parametrize(
    ("precision", "size", "options", "gigabytes"),
    [
        ("bfloat16", (384, 512), {}, 1.40),
        ("bfloat16", (768, 1024), {}, 2.54),
        ("bfloat16", (1086, 1448), {}, 4.03),
        ("float32", (384, 512), {}, 1.35),
        ("float32", (768, 1024), {}, 2.73),
        ("float32", (1086, 1448), {}, 4.61),
        ("bfloat16", (384, 512), SMALL, 1.02),
        ("bfloat16", (768, 1024), SMALL, 1.74),
        ("bfloat16", (1536, 2048), SMALL, 4.62),
        ("float32", (768, 1024), SMALL, 1.81),
        (
            "bfloat16",
            (384, 512),
            {**SMALL, "optimizer": "lbfgs", "pairs": 20},
            1.10,
        ),
        (
            "bfloat16",
            (768, 1024),
            {**SMALL, "optimizer": "lbfgs", "pairs": 20},
            2.33,
        ),
    ],
)
def test_the_plan_is_within_a_tenth(precision, size, options, gigabytes):
    peak = memory.Need(precision, **options).peak(*size)
    assert peak / 1e9 == pytest.approx(gigabytes, rel=0.1)
