"""Paints the sample pictures of the project.

The content and style pictures that the presets name are rendered here with
numpy and Pillow alone: nothing is traced or copied, and every picture has a
fixed seed, so the same script always paints the same pictures.

    python scripts/paint_samples.py [--only NAME] [--output DIR]

With --clip it paints a short clip of moving scenery instead: frames, 0001.png
and so on, and the exact optical flow of neighbors, forward_1_2.flo and
backward_2_1.flo.

    python scripts/paint_samples.py --clip [--output DIR]
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
    doodle,
    harbor_at_dusk,
    ink_wash,
    moving_scene,
    points_of_color,
    stained_blocks,
    swirling_night,
    valley,
)
from samples.maps import Array, Rng

MAX_BYTES = 250_000
FRAMES = 24  # of the clip
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
    "harbor_sky": (harbor_at_dusk.sky_mask, 11),
    "doodle": (doodle.draw, 17),
    "swirling_map": (doodle.mark, 17),
}


def main() -> None:
    """Paints the pictures and saves them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--only", choices=[*PICTURES, *MASKS], help="paint one picture"
    )
    parser.add_argument("--clip", action="store_true", help="paint the clip")
    parser.add_argument("--output", type=Path, help="folder of the files")
    options = parser.parse_args()
    folder = options.output or (Path("clip") if options.clip else OUTPUT)
    folder.mkdir(parents=True, exist_ok=True)
    if options.clip:
        paint_clip(folder)
        return
    for name in [options.only] if options.only else [*PICTURES, *MASKS]:
        begin = time.perf_counter()
        paint, seed = {**PICTURES, **MASKS}[name]
        image = paint(np.random.default_rng(seed))
        data = encode_mask(image) if name in MASKS else encode(image)
        suffix = "png" if name in MASKS else "jpg"
        path = folder / f"{name}.{suffix}"
        path.write_bytes(data)
        seconds = time.perf_counter() - begin
        print(f"{path}: {len(data) / 1000:.0f} kB, {seconds:.1f} s")


def paint_clip(folder: Path) -> None:
    """Paints the clip of moving scenery, and writes its optical flow."""
    clip = moving_scene.Clip()
    for index in range(FRAMES):
        frame = (clip.frame(index) * 255 + 0.5).astype("u1")
        Image.fromarray(frame).save(folder / f"{index + 1:04}.png")
        if index:
            for word, one, other in (
                ("forward", index - 1, index),
                ("backward", index, index - 1),
            ):
                path = folder / f"{word}_{one + 1}_{other + 1}.flo"
                path.write_bytes(encode_flow(clip.flow(one, other)[0]))
    print(f"{folder}: {FRAMES} frames, {clip.width} x {clip.height}")


def encode_flow(flow: Array) -> bytes:
    """Returns optical flow, [H, W, 2], in the .flo format of Middlebury."""
    height, width = flow.shape[:2]
    size = np.array([width, height], "<i4").tobytes()
    return np.float32(202021.25).tobytes() + size + flow.astype("<f4").tobytes()


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
    """Returns an image in [0, 1], all gray or in few flat colors, as PNG."""
    buffer = io.BytesIO()
    mask = Image.fromarray((image * 255 + 0.5).astype("u1"))
    if (image == image[..., :1]).all():
        mask = mask.convert("L")
    mask.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
