"""Sizes -> bytes: what a run will need, fitted to what runs have taken."""

# Bytes for each pixel of the finest level, VGG19 to block5_conv1, beyond what
# TensorFlow and the network take: peak resident memory of a fresh process.
# Measured with scripts/benchmarks/step_time.py at 512 and 1024.
_BYTES_PER_PIXEL = {"float32": 4600, "bfloat16": 2500, "float16": 2500}
_BASE_BYTES = 0.9e9


def estimate(height: int, width: int, precision: str) -> float:
    """Estimates the peak memory of a run, in bytes, within about a quarter."""
    return _BASE_BYTES + _BYTES_PER_PIXEL[precision] * height * width
