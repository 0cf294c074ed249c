"""Figures of the pixels of pictures: SSIM, energies of the Laplacian, borders.

Pure functions of NumPy arrays, in float64. Colors are Y'CbCr of ITU-R BT.601,
computed from sRGB values in [0, 1]: luma Y', and two opponent colors without
lightness, Cb, blue against yellow, and Cr, red against cyan.
"""

import numpy as np

# sRGB -> Y', Cb, Cr; Cb and Cr are 0 for gray, and in [-0.5, 0.5].
YCBCR = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.168736, -0.331264, 0.5],
        [0.5, -0.418688, -0.081312],
    ]
)
ROUNDING = 1 / (12 * 255**2)  # variance of what 8 bits round away
# The sum of the squares of the Laplacian's coefficients: what it multiplies
# the variance of white noise by.
LAPLACIAN_GAIN = 20.0
# Energy of the Laplacian that 8 bits leave in Cb and Cr, mean of the two.
CHROMA_FLOOR = LAPLACIAN_GAIN * ROUNDING * float((YCBCR[1:] ** 2).sum() / 2)
# What two steps between gray neighbors have by 8 bits, root mean square each.
STEP_FLOOR = 2 * float(np.sqrt(2 * ROUNDING))

WINDOW, SIGMA = 11, 1.5  # of SSIM, in pixels
K1, K2 = 0.01, 0.03
BORDER = 16  # pixels


def to_ycbcr(image: np.ndarray) -> np.ndarray:
    """Maps sRGB, [..., 3] in [0, 1], to Y', Cb and Cr, in float64."""
    return np.asarray(image, np.float64) @ YCBCR.T


def compute_ssim(
    luma: np.ndarray, other: np.ndarray, alpha: np.ndarray | None = None
) -> float:
    """Computes the structural similarity of two pictures, in [-1, 1].

    The mean over all windows of 11 x 11 pixels, weighted by a Gaussian of
    sigma 1.5, that lie inside of the picture, of

        (2 m n + c1) (2 cov + c2) / ((m^2 + n^2 + c1) (var + var' + c2))

    with the means m and n, c1 = 0.01^2 and c2 = 0.03^2. 1 for equal pictures.
    The pictures are not reduced first. SSIM does not know what a picture shows:
    a shift of a pixel, or a texture over everything, lowers it as blur does.

    Args:
        luma: Of one picture, [H, W] in [0, 1], at least 11 x 11.
        other: Of the other, [H, W].
        alpha: How much each window counts, by its center, [H, W].

    Source:
        Wang, Bovik, Sheikh, Simoncelli. Image Quality Assessment: From Error
        Visibility to Structural Similarity. IEEE Transactions on Image
        Processing 13 (2004), equation 13 and section III-C.
    """
    mean, mean_of_other = _blur(luma), _blur(other)
    variance = _blur(luma**2) - mean**2
    variance_of_other = _blur(other**2) - mean_of_other**2
    covariance = _blur(luma * other) - mean * mean_of_other
    similarity = (2 * mean * mean_of_other + K1**2) * (2 * covariance + K2**2)
    similarity /= mean**2 + mean_of_other**2 + K1**2
    similarity /= variance + variance_of_other + K2**2
    half = WINDOW // 2
    weights = None if alpha is None else alpha[half:-half, half:-half]
    return _average(similarity, weights, nothing=1.0)


def measure_laplacian(
    image: np.ndarray, alpha: np.ndarray | None = None
) -> np.ndarray:
    """Measures the finest detail: mean squares of the Laplacian, [3].

    Those of Y', Cb and Cr. The Laplacian of a pixel is 4 times it less its four
    neighbors; the picture is mirrored at its sides.

    Args:
        image: [H, W, 3] in [0, 1].
        alpha: How much each pixel counts, [H, W].
    """
    energies = []
    for row in YCBCR:  # one at a time: of large pictures there is one copy
        color = np.asarray(image, np.float64) @ row
        padded = np.pad(color, 1, "symmetric")
        squares = 4 * color
        squares -= padded[:-2, 1:-1] + padded[2:, 1:-1]
        squares -= padded[1:-1, :-2] + padded[1:-1, 2:]
        energies.append(_average(squares**2, alpha))
    return np.array(energies)


def compare_chroma(energies: np.ndarray, style_energies: np.ndarray) -> float:
    """Divides the chroma energy of a picture by that of its style.

    max(E, floor) / max(E of the style, floor), where E is the mean of the
    energies of the Laplacian in Cb and Cr, and the floor is the energy that
    rounding to 8 bits leaves in them. Above 1 there are more colored dots than
    in the painting, below 1 color is smoother. It does not say where they are,
    nor whether colors are right; a style that was enlarged has little of it.

    Args:
        energies: Of the picture, as `measure_laplacian` gives them, [3].
        style_energies: Of the style at as many pixels, [3].

    Source:
        Own. The Laplacian as a measure of fine detail: Pech-Pacheco et al.
        Diatom Autofocusing in Brightfield Microscopy. ICPR 2000.
    """
    energy, style_energy = (
        max(float(each[1:].mean()), CHROMA_FLOOR)
        for each in (energies, style_energies)
    )
    return energy / style_energy


def compare_border(luma: np.ndarray, alpha: np.ndarray | None = None) -> float:
    """Divides the detail along the sides of a picture by that beside it.

    The mean absolute step to the pixel below plus that to the right, in the
    outer 16 pixels over that of the next 48, with what rounding to 8 bits makes
    of it as a floor under both. 1 is even. Of pictures below 128 pixels it is
    an eighth of the short side and the next three. It does not know what the
    picture shows: a plain sky along the top lowers it. Compare pictures of one
    content, or the content's own figure.

    Args:
        luma: [H, W] in [0, 1].
        alpha: How much each pixel counts, [H, W].

    Returns:
        The ratio; 1 where either part is wholly transparent.

    Source:
        Own; as in scripts/benchmarks/boundaries.py, for all sides together.
    """
    steps = np.abs(np.diff(luma, axis=0))[:, :-1]
    steps = steps + np.abs(np.diff(luma, axis=1))[:-1]
    rows, columns = (
        np.minimum(np.arange(side), np.arange(side)[::-1])
        for side in steps.shape
    )
    depth = np.minimum(rows[:, None], columns)
    width = max(1, min(BORDER, min(luma.shape) // 8))
    counted = np.ones_like(steps) if alpha is None else alpha[:-1, :-1]
    outer = counted * (depth < width)
    beside = counted * ((depth >= width) & (depth < 4 * width))
    if not (outer.any() and beside.any()):
        return 1.0
    return max(_average(steps, outer), STEP_FLOOR) / max(
        _average(steps, beside), STEP_FLOOR
    )


def _blur(values: np.ndarray) -> np.ndarray:
    """Weighted means of the windows of SSIM, [H - 10, W - 10]."""
    places = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(places**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    for axis in (0, 1):
        count = values.shape[axis] - WINDOW + 1
        total = 0.0 * values.take(range(count), axis)
        for first, weight in enumerate(weights):
            total += weight * values.take(range(first, first + count), axis)
        values = total
    return values


def _average(
    values: np.ndarray, weights: np.ndarray | None, nothing: float = 0.0
) -> float:
    """Returns the weighted mean; `nothing` if all weights are 0."""
    if weights is None:
        return float(values.mean())
    total = float(weights.sum())
    return float((weights * values).sum() / total) if total else nothing
