"""Pictures to train on: crops of files, and the same with a pattern added."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def load_pictures(
    folder: Path, exclude: str | None
) -> tuple[list[Image.Image], list[Image.Image]]:
    """Reads the pictures of a folder; every sixteenth is held out."""
    pictures = [
        Image.open(path).convert("RGB") for path in sorted(folder.glob("*.jpg"))
    ]
    if exclude:
        excluded = [
            _thumbnail(Image.open(path).convert("RGB"))
            for path in sorted(Path(exclude).rglob("*.jpg"))
        ]
        pictures = [
            picture
            for picture in pictures
            if max(np.vdot(_thumbnail(picture), t) for t in excluded) < 0.7
        ]
    held_out = pictures[::16]
    return [p for i, p in enumerate(pictures) if i % 16], held_out


def crops(
    pictures: Sequence[Image.Image],
    side: int,
    count: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Takes random squares at random scales, [count, side, side, 3]."""
    taken = []
    for _ in range(count):
        picture = pictures[int(rng.integers(len(pictures)))]
        smallest = min(picture.size)
        span = rng.uniform(min(side, smallest), smallest)
        left, top = (rng.uniform(0, length - span) for length in picture.size)
        square = picture.resize(
            (side, side),
            Image.Resampling.LANCZOS,
            box=(left, top, left + span, top + span),
        )
        values = np.asarray(square, np.float32) / 255.0
        taken.append(values[:, ::-1] if rng.random() < 0.5 else values)
    return np.stack(taken)


def perturbed(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds grain, blotches or stripes, of gray or color, to each image."""
    side = images.shape[1]
    changed = []
    for image in images:
        pattern = (
            _grain(side, rng) if rng.random() < 0.7 else _stripes(side, rng)
        )
        kind = rng.integers(3)
        if kind == 1:  # gray
            pattern = pattern[:, :, :1]
        if kind == 2:  # colors of equal brightness
            pattern = pattern - pattern.mean(-1, keepdims=True)
        amplitude = 10 ** rng.uniform(-2.0, -0.6)
        changed.append(np.clip(image + amplitude * pattern, 0, 1))
    return np.stack(changed).astype(np.float32)


def _grain(side: int, rng: np.random.Generator) -> np.ndarray:
    """Normal noise in cells of 1 to 16 pixels, sharp or smooth."""
    cells = side // 2 ** int(rng.integers(0, 5))
    grain = rng.normal(size=(cells, cells, 3)).astype(np.float32)
    planes = []
    for channel in range(3):
        plane = Image.fromarray(grain[:, :, channel])
        kind = int(
            rng.choice([Image.Resampling.NEAREST, Image.Resampling.BICUBIC])
        )
        planes.append(np.asarray(plane.resize((side, side), kind)))
    return np.stack(planes, axis=-1)


def _stripes(side: int, rng: np.random.Generator) -> np.ndarray:
    """A wave of any direction and frequency in each channel."""
    rows, columns = np.mgrid[:side, :side, :1][:2]
    frequency = rng.uniform(-np.pi, np.pi, size=(2, 3))
    phase = rng.uniform(0, 2 * np.pi, size=3)
    return 1.4 * np.sin(rows * frequency[0] + columns * frequency[1] + phase)


def _thumbnail(picture: Image.Image) -> np.ndarray:
    """A picture's 16 x 16 gray values, centered, of unit norm."""
    gray = np.asarray(
        picture.convert("L").resize((16, 16), Image.Resampling.BOX)
    )
    centered = gray - gray.mean()
    return centered / (np.linalg.norm(centered) + 1e-6)
