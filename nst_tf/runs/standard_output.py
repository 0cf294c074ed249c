"""Writes the picture to standard output as a PNG file: --output=-."""

import io
import sys
from pathlib import Path

import numpy as np

from nst_tf.images import writing

PATH = Path("-")  # means standard output
ELSEWHERE = Path("picture.png")  # fallback if it cannot be written


def check(previews: bool) -> Path:
    """Checks that a picture can be written to standard output.

    Args:
        previews: Whether previews are requested.

    Returns:
        `PATH`.

    Raises:
        ValueError: If it is closed or a terminal, or previews are requested.
    """
    if not sys.stdout or not hasattr(sys.stdout, "buffer"):
        raise ValueError(
            "output is '-', but standard output is closed; pass a file name."
        )
    if sys.stdout.isatty():
        raise ValueError(
            "output is '-', but standard output is a terminal; pass a file "
            "name, or add > FILE or | PROGRAM."
        )
    if previews:
        raise ValueError(
            "preview_every writes files beside the output, but output is '-', "
            "standard output; remove one of them."
        )
    return PATH


def write(image: np.ndarray, options: writing.Options) -> None:
    """Writes a picture, [H, W, 3] in [0, 1], to standard output.

    Raises:
        OSError: If it cannot be written, or its reader has closed it.
    """
    file = io.BytesIO()
    writing.encode(file, ".png", image, options)
    sys.stdout.buffer.write(file.getbuffer())
    sys.stdout.buffer.flush()
