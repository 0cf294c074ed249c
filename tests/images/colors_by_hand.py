"""Spaces of colors under D65 -> sRGB, from their chromaticities."""

import numpy as np

SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
PROPHOTO = (*((0.734699, 0.265301), (0.159597, 0.840403)), (0.036598, 0.000105))
D65, D50_WHITE = (0.3127, 0.3290), (0.3457, 0.3585)
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


def to_xyz(primaries=SRGB, white=D65):
    """Linear RGB -> XYZ; its rows sum to the white point."""
    matrix = np.stack([_xyz(primary) for primary in primaries], axis=-1)
    return matrix * np.linalg.solve(matrix, _xyz(white))


def _adapt(source, target):
    """Bradford's matrix, from the XYZ of one white to another's."""
    scale = (BRADFORD @ target) / (BRADFORD @ source)
    return np.linalg.solve(BRADFORD, np.diag(scale) @ BRADFORD)


def under_d50(primaries, white=D65):
    """Linear RGB -> XYZ, adapted to D50."""
    return _adapt(_xyz(white), D50) @ to_xyz(primaries, white)


def to_linear_srgb(primaries, white=D65):
    """Linear RGB -> linear sRGB."""
    seen = _adapt(_xyz(white), _xyz(D65)) @ to_xyz(primaries, white)
    return np.linalg.solve(to_xyz(), seen)


def decode_srgb(x):
    return np.where(x > 0.04045, ((x + 0.055) / 1.055) ** 2.4, x / 12.92)


def to_srgb(samples, primaries=SRGB, decode=decode_srgb, white=D65):
    """What samples of a space, [..., C] in [0, 1], are in sRGB, clipped."""
    linear = decode(np.asarray(samples, float))
    if linear.shape[-1] == 3:
        linear = linear @ to_linear_srgb(primaries, white).T
    return encode_srgb(linear)


def encode_srgb(linear):
    """The inverse of `decode_srgb`, of what is clipped."""
    linear = np.clip(linear, 0, 1)
    above = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.where(linear > 0.0031308, above, 12.92 * linear)


def delta_e(first, second):
    """CIE76, under D65, of two sRGB pictures."""
    return np.linalg.norm(_lab(first) - _lab(second), axis=-1)


def _lab(picture):
    ratio = decode_srgb(picture.astype(float)) @ to_xyz().T / _xyz(D65)
    low = ratio / (3 * (6 / 29) ** 2) + 4 / 29
    x, y, z = np.moveaxis(
        np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), low), -1, 0
    )
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
