"""Computes scores from pixels: SSIM, energy of the Laplacian, borders.

All are pure functions of NumPy arrays, in float64. Colors are Y'CbCr of ITU-R
BT.601, computed from sRGB values in [0, 1]: luma Y', and two opponent colors
without lightness, Cb, blue against yellow, and Cr, red against cyan.
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
ROUNDING = 1 / (12 * 255**2)  # variance of 8-bit rounding errors
# Sum of the squares of the Laplacian's coefficients: its gain on the variance
# of white noise.
LAPLACIAN_GAIN = 20.0
# Energy of the Laplacian of 8-bit rounding errors in Cb and Cr, mean of the
# two.
CHROMA_FLOOR = LAPLACIAN_GAIN * ROUNDING * float((YCBCR[1:] ** 2).sum() / 2)
# Root mean square of two differences of gray neighbors, by 8-bit rounding.
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

    It is the mean, over all windows of 11 x 11 pixels inside the picture,
    weighted by a Gaussian of sigma 1.5, of

        (2 m n + c1) (2 cov + c2) / ((m^2 + n^2 + c1) (var + var' + c2))

    with the means m and n, c1 = 0.01^2 and c2 = 0.03^2. 1 for equal pictures.
    The pictures are not reduced first. SSIM ignores meaning: a shift by a
    pixel, or a texture over the picture, lowers it as blur does.

    Args:
        luma: Of one picture, [H, W] in [0, 1], at least 11 x 11.
        other: Of the other, [H, W].
        alpha: Weight of each window, at its center, [H, W].

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
    """Computes the energy of the finest detail: mean squared Laplacian, [3].

    The values are for Y', Cb and Cr. The Laplacian of a pixel is 4 times the
    pixel minus its four neighbors; the picture is mirrored at its sides.

    Args:
        image: [H, W, 3] in [0, 1].
        alpha: How much each pixel counts, [H, W].
    """
    energies = []
    for row in YCBCR:  # one channel at a time, to save memory
        color = np.asarray(image, np.float64) @ row
        padded = np.pad(color, 1, "symmetric")
        squares = 4 * color
        squares -= padded[:-2, 1:-1] + padded[2:, 1:-1]
        squares -= padded[1:-1, :-2] + padded[1:-1, 2:]
        energies.append(_average(squares**2, alpha))
    return np.array(energies)


def compare_chroma(energies: np.ndarray, style_energies: np.ndarray) -> float:
    """Computes the ratio of the chroma energies of a picture and its style.

    max(E, floor) / max(E of the style, floor), where E is the mean of the
    energies of the Laplacian in Cb and Cr, and the floor is that energy of
    8-bit rounding errors. Above 1 the picture has more colored dots than the
    painting, below 1 its color is smoother. The ratio does not tell where the
    dots are, nor whether colors are right. An enlarged style has little of this
    energy.

    Args:
        energies: Of the picture, from `measure_laplacian`, [3].
        style_energies: Of the style at the same pixel count, [3].

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
    """Computes the ratio of detail along the sides to detail inside.

    Detail is the mean absolute difference to the pixel below plus that to the
    pixel on the right. The ratio compares the outer 16 pixels with the next 48;
    the level of 8-bit rounding is a floor for both. 1: equal detail. Below
    128 pixels the bands are an eighth of the short side and the next three
    eighths. The ratio ignores meaning: a plain sky at the top lowers it.
    Compare pictures of the same content, or with the content's own ratio.

    Args:
        luma: [H, W] in [0, 1].
        alpha: How much each pixel counts, [H, W].

    Returns:
        The ratio; 1 if either band is fully transparent.

    Source:
        Own; as in scripts/benchmarks/boundaries.py, over all sides.
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
    """Returns the weighted means of SSIM's windows, [H - 10, W - 10]."""
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
