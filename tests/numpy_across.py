"""Losses of two layers at once, and of single pixels, in NumPy, float64.

From their sources' formulas; nothing here imports the package.
"""

import numpy as np


def across_error(targets, weight):
    """weight * sum((G - A)^2) / sum(A^2), with G across two layers.

    G[i, j] is the mean over positions of the shallower layer, of its channel i
    times channel j of the deeper one, whose values are repeated ("nearest")
    over the positions that it was pooled from.

    Args:
        targets: Maps of the style image, [H, W, C] and [h, w, D].
        weight: Of the loss.

    Returns:
        (shallow, deep) -> the loss, and its gradients by both maps.

    Source:
        Novak, Nikulin, arXiv 1605.04603; Yeh, Tang, arXiv 1801.01933.
    """
    target = _gram(*targets)

    def loss(shallow, deep):
        difference = _gram(shallow, deep) - target
        scale = weight / np.sum(target**2)
        value = scale * float(np.sum(difference**2))
        repeated, factor = _repeat(shallow, deep)
        rows, columns = repeated.shape[:2]
        slope = 2 * scale * difference / (rows * columns)
        of_shallow = np.zeros_like(shallow)
        of_shallow[:rows, :columns] = repeated @ slope.T
        of_repeated = shallow[:rows, :columns] @ slope
        of_deep = of_repeated.reshape(
            rows // factor, factor, columns // factor, factor, -1
        ).sum(axis=(1, 3))
        return value, (of_shallow, of_deep)

    return loss


def _gram(shallow, deep):
    repeated, _ = _repeat(shallow, deep)
    rows, columns = repeated.shape[:2]
    products = np.einsum("hwi,hwj->ij", shallow[:rows, :columns], repeated)
    return products / (rows * columns)


def _repeat(shallow, deep):
    factor = len(shallow) // len(deep)
    return deep.repeat(factor, axis=0).repeat(factor, axis=1), factor


def pixel_norm(image, power):
    """sum(|x|^power) of pixels of 0..255, x = (pixel - 127.5) / 127.5.

    Returns:
        The value, and the gradient by the pixels of 0..255.

    Source:
        crowsonkb/style_transfer, style_transfer.py, p_norm and --p-power 6;
        with a power of 2, an L2 prior.
    """
    x = (image - 127.5) / 127.5
    gradient = power * np.sign(x) * np.abs(x) ** (power - 1) / 127.5
    return float(np.sum(np.abs(x) ** power)), gradient
