"""Reads an upload in a process of its own: python -m nst_tf.web.upload_check.

A picture of 60 megapixels takes a gigabyte, and a hostile one may crash its
decoder; neither should affect the server.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from nst_tf.images import image_io, sizes, sources, writing

MEGAPIXELS = 60.0  # of an upload
VIEW = 1600  # pixels, the long side of what a page shows


def main(name: str) -> None:
    """Checks a file, writes view.jpg beside it, and prints what it is.

    Prints a line of JSON: {"size": [width, height]}, or {"error": reason}.
    """
    path = Path(name)
    try:
        picture = sources.load(name, MEGAPIXELS)
        height, width = picture.pixels.shape[:2]
        view = make_view(picture.pixels, VIEW)
        view.save(path.with_name("view.jpg"), quality=90)
        answer: dict[str, object] = {"size": [width, height]}
    except (ValueError, OSError, MemoryError) as error:
        # Advice on flags is for the program.
        words = str(error).replace(name, "the picture")
        answer = {"error": f"{words.partition('; raise --')[0].rstrip('.')}."}
    print(json.dumps(answer))


def make_view(image: np.ndarray, side: int) -> Image.Image:
    """Makes a picture of at most so many pixels a side, for a page.

    Args:
        image: [H, W, 3] in [0, 1].
        side: Of its long side.
    """
    height, width = image.shape[:2]
    if max(height, width) > side:
        shape = sizes.scale_to_side(height, width, side)
        image = image_io.resize(image, *shape)
    return Image.fromarray(writing.quantize(image, np.uint8))


if __name__ == "__main__":
    main(sys.argv[1])
