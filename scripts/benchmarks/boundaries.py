"""What a padding costs, and what it leaves along the four sides of a picture.

Optimizes a picture with each way of padding, at an even and at an odd size,
and compares the outer 16 pixels of each side with the inside:

    sides   mean absolute gradient of the painting, outer 16 pixels / the 48
            beside them, over that of the photograph (1: no edge to be seen)
    step    seconds, over those of zero padding, in one paired run

    python scripts/benchmarks/boundaries.py --content=PHOTO --style=PAINTING

It also prints what average pooling takes from activations, of which
`extractors.AVERAGE_POOLING_SCALE` is the inverse.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nst_tf import (
    architectures,
    device,
    execution,
    image_io,
    job,
    pyramid,
    targets,
    weights,
)

if TYPE_CHECKING:
    from nst_tf import descent

SAMPLES = Path(__file__).parents[2] / "configs" / "images"
BORDER = 16  # pixels
SIDES = ("top", "bottom", "left", "right")


def main() -> None:
    """Reads the command line, measures, prints, and appends JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--content", default=SAMPLES / "harbor_at_dusk.jpg")
    parser.add_argument("--style", default=SAMPLES / "swirling_night.jpg")
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--json", default=None, help="appended to")
    parser.add_argument("--pictures", default=None, help="folder to look at")
    arguments = parser.parse_args()
    network = weights.load("vgg19", arguments.weights)
    content = image_io.load_image(arguments.content)
    style = image_io.load_image(arguments.style)
    print_pooling(
        network,
        [image_io.load_image(path) for path in sorted(SAMPLES.glob("*.jpg"))],
    )
    for height, width in ((384, 512), (381, 509)):
        photograph = image_io.cover(content, height, width)
        rows, paintings = measure(photograph, style, network, arguments.steps)
        for padding, painting in paintings.items():
            if arguments.pictures:
                name = f"{padding}-{width}.png"
                image_io.save_image(Path(arguments.pictures) / name, painting)
        for padding, row in rows.items():
            figures = {"size": [width, height], "padding": padding, **row}
            print(json.dumps(figures))
            if arguments.json:
                with open(arguments.json, "a") as file:
                    print(json.dumps(figures), file=file)


def measure(
    content: np.ndarray,
    style: np.ndarray,
    network: weights.NetworkWeights,
    steps: int,
) -> tuple[dict[str, dict[str, float]], dict[str, np.ndarray]]:
    """Paints with each padding, a step of each in turn."""
    from nst_tf import extractors

    runs = {
        padding: _steps(
            job.Job(padding=padding), content, style, network, steps
        )
        for padding in extractors.PADDINGS
    }
    seconds: dict[str, list[float]] = {padding: [] for padding in runs}
    images = {}
    for _ in range(steps):
        for padding, run in runs.items():
            start = time.perf_counter()
            step = next(run)
            float(step.evaluation.loss)
            seconds[padding].append(time.perf_counter() - start)
            images[padding] = step
    before = side_energy(content)
    base = np.array(seconds["zeros"][1:])
    rows = {}
    paintings = {padding: s.image.numpy()[0] for padding, s in images.items()}
    for padding, painting in paintings.items():
        after = side_energy(painting)
        row = {side: round(after[side] / before[side], 3) for side in SIDES}
        ratio = np.median(np.array(seconds[padding][1:]) / base)
        rows[padding] = {**row, "step": round(float(ratio), 3)}
    return rows, paintings


def side_energy(image: np.ndarray) -> dict[str, float]:
    """Mean absolute gradient in the outer pixels over that further inside.

    Inside is the strip of three times that width beside them: what the
    picture shows there is much the same.
    """
    gray = image.mean(axis=-1)
    energy = np.abs(np.diff(gray, axis=0))[:, :-1]
    energy = energy + np.abs(np.diff(gray, axis=1))[:-1]
    turned = (energy, energy[::-1], energy.T, energy.T[::-1])
    return {
        side: float(e[:BORDER].mean() / e[BORDER : 4 * BORDER].mean())
        for side, e in zip(SIDES, turned, strict=True)
    }


def print_pooling(
    network: weights.NetworkWeights, images: list[np.ndarray]
) -> None:
    """Prints rms(max pooled) / rms(average pooled), for each pooling."""
    import tensorflow as tf

    from nst_tf import extractors

    blocks = architectures.NETWORKS["vgg19"].depths
    layers = [f"block{b}_conv{n}" for b, n in enumerate(blocks[:4], start=1)]
    extractor = extractors.vgg("vgg19", layers, network.layers)
    ratios: list[list[float]] = []
    for image in images:
        maps = extractor.model(image_io.cover(image, 384, 512)[None])
        ratios.append([])
        for layer in layers:
            pooled = [
                pool(maps[layer], 2, 2, "VALID")
                for pool in (tf.nn.max_pool2d, tf.nn.avg_pool2d)
            ]
            rms = [float(tf.sqrt(tf.reduce_mean(p**2))) for p in pooled]
            ratios[-1].append(rms[0] / rms[1])
    means = np.exp(np.log(ratios).mean(axis=0))
    print("max / average pooled, by pooling:", np.round(means, 3).tolist())
    print("geometric mean:", round(float(np.exp(np.log(means).mean())), 3))


def _steps(
    request: job.Job,
    content: np.ndarray,
    style: np.ndarray,
    network: weights.NetworkWeights,
    steps: int,
) -> "Iterator[descent.Step]":
    """One level at the content's size, from the content."""
    from nst_tf import transfer

    rows, columns = content.shape[:2]
    return transfer.stylize_steps(
        content,
        [targets.Style(style)],
        levels=[pyramid.Level(rows, columns, steps)],
        **execution.method_options(request, network),
    )


if __name__ == "__main__":
    device.prepare()
    main()
