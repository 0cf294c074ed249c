"""How style-transfer-pytorch carries Adam's memory to a larger image.

In NumPy, float64, pixel by pixel, from PyTorch's description of
`interpolate(..., align_corners=False)`: a new pixel's center lies at
(i + 0.5) * before / after - 0.5 among the old ones; indices beyond the border
are those of the border. Nothing here imports the package.
"""

import math

import numpy as np


def carry(adam, height, width):
    """Resizes the moments of a `numpy_network.Adam`; its steps go on.

    Source:
        crowsonkb/style-transfer-pytorch, style_transfer.py, scale_adam.
    """
    adam.first = interpolate(adam.first, height, width, cubic)
    second = interpolate(adam.second, height, width, linear)
    adam.second = np.maximum(second, 0.0)
    return adam


def interpolate(image, height, width, kernel):
    """Sums kernel(distance) times the pixels at most 2 away, [H, W, C]."""
    rows, columns, channels = image.shape
    found = np.zeros((height, width, channels))
    for i in range(height):
        y = (i + 0.5) * rows / height - 0.5
        for j in range(width):
            x = (j + 0.5) * columns / width - 0.5
            for row in range(math.floor(y) - 1, math.floor(y) + 3):
                for column in range(math.floor(x) - 1, math.floor(x) + 3):
                    pixel = image[
                        min(max(row, 0), rows - 1),
                        min(max(column, 0), columns - 1),
                    ]
                    share = kernel(abs(y - row)) * kernel(abs(x - column))
                    found[i, j] += share * pixel
    return found


def linear(distance):
    """The triangle."""
    return max(0.0, 1.0 - distance)


def cubic(distance, a=-0.75):
    """Keys's kernel, 1981, with the factor that PyTorch has."""
    if distance <= 1:
        return (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    if distance < 2:
        return a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return 0.0
