"""Measures the time of each padding, and its artifacts along the four sides.

Optimizes a picture with each way of padding, at an even and at an odd size,
and compares the outer 16 pixels of each side with the inside:

    outer   mean absolute gradient of the painting in the outer 16 pixels over
            the 48 beside them, over the same of the photograph
    line    mean step across the side in its first 3 rows over the following
            14: above 1 where a line runs along the side

each for the top, the bottom, the left and the right, and

    step    seconds, over those of zero padding, in one paired run

    python scripts/benchmarks/boundaries.py --content=PHOTO --style=PAINTING

It also prints what average pooling takes from activations, of which
`architectures.AVERAGE_POOLING_SCALE` is the inverse.
"""

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness
import numpy as np
import plans

from nst_tf.backend import device
from nst_tf.images import image_io
from nst_tf.network import architectures, weight_files
from nst_tf.plan import settings

if TYPE_CHECKING:
    from nst_tf.optimize import descent

BORDER = 16  # pixels


def main() -> None:
    """Reads the command line, measures, prints, and appends JSON lines."""
    parser = harness.make_parser(__doc__)
    parser.add_argument(
        "--content", default=harness.SAMPLES / "harbor_at_dusk.jpg"
    )
    parser.add_argument(
        "--style", default=harness.SAMPLES / "swirling_night.jpg"
    )
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--pictures", type=Path, help="folder to look at")
    arguments = parser.parse_args()
    network = weight_files.load("vgg19", arguments.weights)
    content = image_io.load_image(arguments.content)
    style = image_io.load_image(arguments.style)
    print_pooling(
        network,
        [
            image_io.load_image(path)
            for path in sorted(harness.SAMPLES.glob("*.jpg"))
        ],
    )
    for height, width in ((384, 512), (381, 509)):
        photograph = image_io.cover(content, height, width)
        rows, paintings = measure(photograph, style, network, arguments.steps)
        for padding, painting in paintings.items():
            harness.save_picture(
                arguments.pictures, f"{padding}-{width}", painting
            )
        for padding, row in rows.items():
            figures = {
                **harness.describe_day(),
                "pictures": [
                    Path(arguments.content).stem,
                    Path(arguments.style).stem,
                ],
                "size": [width, height],
                "padding": padding,
                **row,
            }
            print(json.dumps(figures))
            harness.append(arguments.json, figures)


def measure(
    content: np.ndarray,
    style: np.ndarray,
    network: weight_files.NetworkWeights,
    steps: int,
) -> tuple[dict[str, dict[str, Any]], dict[str, np.ndarray]]:
    """Paints with each padding, a step of each in turn."""

    runs = {
        padding: _steps(padding, content, style, network, steps)
        for padding in architectures.PADDINGS
    }
    last = {}

    def advance(padding: str) -> None:
        last[padding] = next(runs[padding])
        float(last[padding].evaluation.loss)

    calls = {padding: functools.partial(advance, padding) for padding in runs}
    seconds = harness.time_in_turn(calls, steps - 1, warm_up=1)
    rows: dict[str, dict[str, Any]] = {}
    paintings = {padding: s.image.numpy()[0] for padding, s in last.items()}
    for padding, painting in paintings.items():
        outer = sides(painting, outer_energy) / sides(content, outer_energy)
        ratios = harness.divide(seconds[padding], seconds["zeros"])
        rows[padding] = {
            "outer": outer.round(2).tolist(),
            "line": sides(painting, line_energy).round(2).tolist(),
            "step": round(float(np.median(ratios)), 3),
        }
    return rows, paintings


def sides(
    image: np.ndarray, energy: Callable[[np.ndarray], float]
) -> np.ndarray:
    """An energy of the top side, the bottom, the left and the right."""
    turned = image.swapaxes(0, 1)
    return np.array(
        [energy(view) for view in (image, image[::-1], turned, turned[::-1])]
    )


def outer_energy(image: np.ndarray) -> float:
    """Mean absolute gradient of the first 16 rows over that of the next 48.

    What the picture shows there is much the same.
    """
    down = np.abs(np.diff(image, axis=0))[:, :-1]
    total = down + np.abs(np.diff(image, axis=1))[:-1]
    return float(total[:BORDER].mean() / total[BORDER : 4 * BORDER].mean())


def line_energy(image: np.ndarray) -> float:
    """Mean step between the first 3 rows over that of the following ones."""
    steps = np.abs(np.diff(image[: BORDER + 1], axis=0)).mean(axis=(1, 2))
    return float(steps[:2].mean() / steps[2:].mean())


def print_pooling(
    network: weight_files.NetworkWeights, images: list[np.ndarray]
) -> None:
    """Prints rms(max pooled) / rms(average pooled), for each pooling."""
    import tensorflow as tf

    from nst_tf.network import extractors

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
    padding: str,
    content: np.ndarray,
    style: np.ndarray,
    network: weight_files.NetworkWeights,
    steps: int,
) -> "Iterator[descent.Step]":
    """One level at the content's size, from the content."""
    from nst_tf.transfer import method

    job = settings.Job(
        padding=padding, size=max(content.shape), levels=1, steps=(steps,)
    )
    return method.Painter().paint(plans.make_plan(job, content, style, network))


if __name__ == "__main__":
    device.prepare()
    main()
