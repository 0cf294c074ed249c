"""Sizes -> bytes: what a run will need, fitted to what runs have taken."""

# Peak resident memory of whole runs on a CPU, VGG19 to block5_conv1, Adam:
#   /usr/bin/time -v nst-tf --flagfile=starry --steps=2 --size=512 (1024, 1448)
# took 1.40, 2.54, 4.03 GB in bfloat16 and 1.35, 2.73, 4.61 GB in float32; with
# --weights=small --size=512 (1024, 2048) 1.02, 1.74, 4.62 GB in bfloat16, and
# 1.81 GB in float32 at 1024.
_BASE_BYTES = 1.0e9
_BYTES_PER_PIXEL = {"float32": 2300, "bfloat16": 1900, "float16": 1900}
_SMALL_BASE_BYTES = 0.8e9
_SMALL_BYTES_PER_PIXEL = {"float32": 1300, "bfloat16": 1200, "float16": 1200}


# Of what a step takes of a pixel, what it takes to see a style image once; and
# what 32 sorted directions take besides: --weights=small --size=512
# --style_scale=4 took 2.3 GB, --size=1024 --style_loss=sliced_wasserstein 2.06.
_SHARE_OF_SEEING = 0.4
_BYTES_OF_SORTING = 900

# A pair of L-BFGS is two images of three float32, and half of all pairs are
# copied when one is appended: --weights=small --optimizer=lbfgs --size=512
# (1024) took 1.10 and 2.33 GB with 20 pairs.
_BYTES_PER_PAIR = 36


def estimate(
    height: int,
    width: int,
    precision: str,
    *,
    small: bool = False,
    pairs: int = 0,
    style_scale: float = 1.0,
    sorts: bool = False,
) -> float:
    """Estimates the peak memory of a run, in bytes, to about a tenth.

    Args:
        height: Of the finest level, in pixels.
        width: Of the finest level, in pixels.
        precision: Type that the network computes in.
        small: Whether the network is the one that ships.
        pairs: That L-BFGS keeps.
        style_scale: Of the sides of a style image to those of the output.
        sorts: Whether style is compared by sorted values.
    """
    base, per_pixel = (
        (_SMALL_BASE_BYTES, _SMALL_BYTES_PER_PIXEL[precision])
        if small
        else (_BASE_BYTES, _BYTES_PER_PIXEL[precision])
    )
    step = per_pixel + pairs * _BYTES_PER_PAIR + sorts * _BYTES_OF_SORTING
    seeing = _SHARE_OF_SEEING * per_pixel * style_scale**2
    return base + max(step, seeing) * height * width
