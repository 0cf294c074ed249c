"""Paints the sample pictures of the project.

The content and style pictures that the presets name are rendered here with
numpy and Pillow alone: nothing is traced or copied, and every picture has a
fixed seed, so the same script always paints the same pictures.

    python scripts/paint_samples.py [--only NAME] [--output DIR]
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from samples import (
    harbor_at_dusk,
    ink_wash,
    points_of_color,
    stained_blocks,
    swirling_night,
    valley,
)
from samples.maps import Array, Rng

MAX_BYTES = 250_000
OUTPUT = Path(__file__).resolve().parents[1] / "configs" / "images"

# What paints each picture, and from which seed.
PICTURES: dict[str, tuple[Callable[[Rng], Array], int]] = {
    "harbor_at_dusk": (harbor_at_dusk.paint, 11),
    "valley": (valley.paint, 12),
    "swirling_night": (swirling_night.paint, 13),
    "stained_blocks": (stained_blocks.paint, 14),
    "points_of_color": (points_of_color.paint, 15),
    "ink_wash": (ink_wash.paint, 16),
}
# Masks of pictures, and the seeds of these: in PNG, exact.
MASKS: dict[str, tuple[Callable[[Rng], Array], int]] = {
    "harbor_sky": (harbor_at_dusk.sky_mask, 11)
}


def main() -> None:
    """Paints the pictures and saves them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--only", choices=[*PICTURES, *MASKS], help="paint one picture"
    )
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name in [options.only] if options.only else [*PICTURES, *MASKS]:
        begin = time.perf_counter()
        paint, seed = {**PICTURES, **MASKS}[name]
        image = paint(np.random.default_rng(seed))
        data = encode_mask(image) if name in MASKS else encode(image)
        suffix = "png" if name in MASKS else "jpg"
        path = options.output / f"{name}.{suffix}"
        path.write_bytes(data)
        seconds = time.perf_counter() - begin
        print(f"{path}: {len(data) / 1000:.0f} kB, {seconds:.1f} s")


def encode(image: Array) -> bytes:
    """Returns an image in [0, 1] as the best JPEG that is small enough."""
    picture = Image.fromarray((image * 255 + 0.5).astype("u1"))
    for quality in range(92, 30, -3):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= MAX_BYTES:
            return buffer.getvalue()
    raise ValueError(
        f"the picture takes {buffer.tell()} bytes at quality {quality}, more "
        f"than {MAX_BYTES}. Paint it with less fine detail or raise MAX_BYTES."
    )


def encode_mask(image: Array) -> bytes:
    """Returns an image in [0, 1], all gray, as PNG."""
    buffer = io.BytesIO()
    gray = Image.fromarray((image[..., 0] * 255 + 0.5).astype("u1"))
    gray.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
