"""Reads an upload in a separate process: python -m nst_tf.web.upload_check.

A picture of 60 megapixels needs a gigabyte, and a hostile file may crash its
decoder; neither must affect the server.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from nst_tf.images import image_io, sizes, sources, writing

MEGAPIXELS = 60.0  # of an upload
VIEW = 1600  # pixels, the long side of a picture on the page


def main(name: str) -> None:
    """Checks a file, writes view.jpg beside it, and prints the answer.

    It is a line of JSON: {"size": [width, height]}, or {"error": reason}.
    """
    path = Path(name)
    try:
        picture = sources.load(name, MEGAPIXELS)
        height, width = picture.pixels.shape[:2]
        view = make_view(picture.pixels, VIEW)
        view.save(path.with_name("view.jpg"), quality=90)
        answer: dict[str, object] = {"size": [width, height]}
    except (ValueError, OSError, MemoryError) as error:
        # Users of the page have no flags.
        words = str(error).replace(name, "the picture")
        answer = {"error": f"{words.partition('; raise --')[0].rstrip('.')}."}
    print(json.dumps(answer))


def make_view(image: np.ndarray, side: int) -> Image.Image:
    """Reduces an image to a maximum long side.

    Args:
        image: [H, W, 3] in [0, 1].
        side: Maximum long side, in pixels.
    """
    height, width = image.shape[:2]
    if max(height, width) > side:
        shape = sizes.scale_to_side(height, width, side)
        image = image_io.resize(image, *shape)
    return Image.fromarray(writing.quantize(image, np.uint8))


if __name__ == "__main__":
    main(sys.argv[1])
