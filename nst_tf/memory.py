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


def estimate(
    height: int, width: int, precision: str, *, small: bool = False
) -> float:
    """Estimates the peak memory of a run, in bytes, to about a tenth.

    Args:
        height: Of the finest level, in pixels.
        width: Of the finest level, in pixels.
        precision: Type that the network computes in.
        small: Whether the network is the one that ships.
    """
    if small:
        per_pixel = _SMALL_BYTES_PER_PIXEL[precision]
        return _SMALL_BASE_BYTES + per_pixel * height * width
    return _BASE_BYTES + _BYTES_PER_PIXEL[precision] * height * width
