"""Warps frames along optical flow, and finds where the flow can be trusted.

A flow, [H, W, 2], belongs to the pixels of a frame: the pixel at (x, y) is at
(x, y) + flow[y, x] in the other frame. All functions are pure, in float32.

Source:
    Ruder, Dosovitskiy, Brox. Artistic Style Transfer for Videos. GCPR 2016,
    section 4, equations 3 to 7; the constants are those of Sundaram, Brox,
    Keutzer. Dense Point Trajectories by GPU-Accelerated Large Displacement
    Optical Flow. ECCV 2010.
"""

from collections.abc import Sequence

import numpy as np

# Where forward and backward flow must cancel: up to this share of their squared
# lengths, and this many squared pixels.
DISAGREEMENT = 0.01, 0.5
# Where the flow must be smooth: the squares of its slopes, likewise.
BOUNDARY = 0.01, 0.002


def warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Reads an image where the flow leads, between pixels bilinearly.

    Args:
        image: The other frame, or its flow, [H, W, C].
        flow: From the frame to the other, [H, W, 2].

    Returns:
        The frame's pixels, [H, W, C]. Beyond its border the image is repeated.
    """
    height, width = image.shape[:2]
    columns, rows, left, top = _find_places(flow, height, width)
    pixels = image.astype(np.float32, copy=False).reshape(height * width, -1)
    upper_left = top * width + left
    to_right = (left < width - 1).astype(np.int32)
    across, down = (columns - left)[..., None], (rows - top)[..., None]

    def read_row(left: np.ndarray) -> np.ndarray:
        first, second = (
            np.take(pixels, index, axis=0) for index in (left, left + to_right)
        )
        return _mix(first, second, across)

    lower_left = upper_left + width * (top < height - 1)
    return _mix(read_row(upper_left), read_row(lower_left), down)


def warp_sharply(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Reads an image where the flow leads, between pixels cubically.

    A painted frame is warped again and again. Between pixels the mean of two
    would lose detail each time; a cubic through four loses far less, and
    amplifies nothing.

    Args:
        image: The other frame, [H, W, C], in [0, 1].
        flow: From the frame to the other, [H, W, 2].

    Returns:
        The frame's pixels, [H, W, C], in [0, 1]. Beyond its border the image is
        repeated.

    Source:
        Keys. Cubic Convolution Interpolation for Digital Image Processing. IEEE
        Transactions on Acoustics, Speech, and Signal Processing 29, 1981, with
        a = -1/2.
    """
    height, width = image.shape[:2]
    columns, rows, left, top = _find_places(flow, height, width)
    pixels = image.astype(np.float32, copy=False).reshape(height * width, -1)
    across, down = (
        _weigh_cubically((at - first).astype(np.float32))
        for at, first in ((columns, left), (rows, top))
    )
    warped = np.zeros((*flow.shape[:2], pixels.shape[1]), np.float32)
    for row, of_row in enumerate(down, -1):
        first = width * np.clip(top + row, 0, height - 1)
        for column, of_column in enumerate(across, -1):
            index = first + np.clip(left + column, 0, width - 1)
            share = (of_row * of_column)[..., None]
            warped += share * np.take(pixels, index, axis=0)
    return np.clip(warped, 0, 1, out=warped)


def compute_confidence(flow: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Computes where a frame's pixels are known in another frame, [H, W].

    Args:
        flow: From the frame to the other, [H, W, 2].
        back: From the other frame to this one, [H, W, 2].

    Returns:
        1 where the pixel is inside the other frame, is visible there, and is
        not at a motion boundary; 0 elsewhere.
    """
    return find_visible(flow, back) * ~is_boundary(flow)


def find_visible(flow: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Computes which pixels of a frame another one shows, [H, W], 0 or 1."""
    return (is_inside(flow) & ~disagrees(flow, back)).astype(np.float32)


def is_inside(flow: np.ndarray) -> np.ndarray:
    """Returns which pixels the flow leads to pixels of the image, [H, W]."""
    height, width = flow.shape[:2]
    columns, rows = _find_positions(flow)
    inside = (columns >= -0.5) & (columns <= width - 0.5)
    return inside & (rows >= -0.5) & (rows <= height - 0.5)


def disagrees(flow: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Returns where going there and back does not end at the start, [H, W].

    |w~ + w^|^2 > 0.01 (|w~|^2 + |w^|^2) + 0.5, with w^ = flow and w~ = back,
    warped by it. Such pixels are not visible in the other frame.
    """
    returned = warp(back, flow)
    share, least = DISAGREEMENT
    lengths = _square(returned) + _square(flow)
    return _square(returned + flow) > share * lengths + least


def is_boundary(flow: np.ndarray) -> np.ndarray:
    """Returns where the flow changes abruptly, [H, W].

    |grad u|^2 + |grad v|^2 > 0.01 |w|^2 + 0.002.
    """
    slopes = np.zeros(flow.shape[:2], np.float32)
    for axis in (0, 1):
        if flow.shape[axis] > 1:
            slopes += _square(np.gradient(flow, axis=axis))
    share, least = BOUNDARY
    return slopes > share * _square(flow) + least


def share_pixels(confidences: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Lets each pixel be known from the nearest frame that knows it.

    c_long(j) = max(c(j) - sum of c(k) over nearer frames k, 0)

    Args:
        confidences: Of frames, the nearest first, [H, W] each.

    Returns:
        The long-term confidences; at each pixel they add up to 1 at most.
    """
    found, nearer = [], np.zeros((), np.float32)
    for confidence in confidences:
        found.append(np.maximum(confidence - nearer, 0))
        nearer = nearer + confidence
    return found


def _find_positions(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the columns and rows that the flow leads to, [H, W] each."""
    height, width = flow.shape[:2]
    columns = np.arange(width, dtype=np.float32) + flow[..., 0]
    rows = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    return columns, rows


def _find_places(
    flow: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns columns and rows inside an image, and the pixels before them."""
    columns, rows = _find_positions(flow)
    np.clip(columns, 0, width - 1, out=columns)
    np.clip(rows, 0, height - 1, out=rows)
    return columns, rows, columns.astype(np.int32), rows.astype(np.int32)


def _weigh_cubically(share: np.ndarray) -> tuple[np.ndarray, ...]:
    """Weighs four pixels for a place between the second and the third."""
    square = share * share
    cube = square * share
    return (
        square - (cube + share) / 2,
        1 + (3 * cube - 5 * square) / 2,
        2 * square + (share - 3 * cube) / 2,
        (cube - square) / 2,
    )


def _mix(one: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Moves to another array by a share, in its memory."""
    other -= one
    other *= share
    other += one
    return other


def _square(flow: np.ndarray) -> np.ndarray:
    """Returns the squared lengths of vectors, [H, W]."""
    return np.einsum("hwc,hwc->hw", flow, flow)
