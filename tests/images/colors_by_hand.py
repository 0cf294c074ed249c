"""Spaces of colors under D65 -> sRGB, from their chromaticities."""

import numpy as np

SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
D65 = (0.3127, 0.3290)
D50 = (0.9642, 1, 0.8249)  # as profiles have it
BRADFORD = np.array(
    [
        (0.8951, 0.2664, -0.1614),
        (-0.7502, 1.7135, 0.0367),
        (0.0389, -0.0685, 1.0296),
    ]
)


def _xyz(chromaticity):
    """The color of luminance 1."""
    x, y = chromaticity
    return np.array([x / y, 1, (1 - x - y) / y])


def _matrix(primaries):
    """Linear RGB -> XYZ, under D65; its rows sum to the white point."""
    matrix = np.stack([_xyz(primary) for primary in primaries], axis=-1)
    return matrix * np.linalg.solve(matrix, _xyz(D65))


def under_d50(primaries):
    """Linear RGB -> XYZ, adapted to D50 by Bradford's matrix."""
    scale = (BRADFORD @ D50) / (BRADFORD @ _xyz(D65))
    return np.linalg.solve(BRADFORD, np.diag(scale) @ BRADFORD) @ _matrix(
        primaries
    )


def decode_srgb(x):
    return np.where(x > 0.04045, ((x + 0.055) / 1.055) ** 2.4, x / 12.92)


def to_srgb(samples, primaries=SRGB, decode=decode_srgb):
    """What samples of a space, [..., C] in [0, 1], are in sRGB, clipped."""
    linear = decode(np.asarray(samples, float))
    if linear.shape[-1] == 3:
        change = np.linalg.solve(_matrix(SRGB), _matrix(primaries))
        linear = linear @ change.T
    linear = np.clip(linear, 0, 1)
    above = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.where(linear > 0.0031308, above, 12.92 * linear)
