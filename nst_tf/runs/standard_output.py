"""The picture on standard output, as a PNG file: --output=-."""

import io
import sys
from pathlib import Path

import numpy as np

from nst_tf.images import writing

PATH = Path("-")  # stands for it
ELSEWHERE = Path("picture.png")  # if it takes no picture in the end


def check(previews: bool) -> Path:
    """Checks that a picture can be written to standard output.

    Args:
        previews: Whether previews are to be written beside it.

    Returns:
        The path that stands for it.

    Raises:
        ValueError: If it is closed or a terminal, or there are previews.
    """
    if not sys.stdout or not hasattr(sys.stdout, "buffer"):
        raise ValueError(
            "output is '-', but standard output is closed; name a file."
        )
    if sys.stdout.isatty():
        raise ValueError(
            "output is '-', but standard output is a terminal; name a file, "
            "or add > FILE or | PROGRAM."
        )
    if previews:
        raise ValueError(
            "preview_every writes beside the output, but output is '-', "
            "standard output; leave one of them out."
        )
    return PATH


def write(image: np.ndarray, options: writing.Options) -> None:
    """Writes a picture, [H, W, 3] in [0, 1], as a whole.

    Raises:
        OSError: If it cannot be written, or its reader has left.
    """
    file = io.BytesIO()
    writing.encode(file, ".png", image, options)
    sys.stdout.buffer.write(file.getbuffer())
    sys.stdout.buffer.flush()
