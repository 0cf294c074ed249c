"""Compares pictures of the small network with pictures of VGG19.

For each pair of pictures and each size both paint with equal settings, and the
real VGG19, in float32, judges both pictures:

    style    mean of its relative style losses, small / VGG19's own
    content  its relative content loss, small / VGG19's own
    chroma   energy of the Laplacian of Cb and Cr, small / VGG19's own

of all pictures, contents and styles, each at its size in these runs:

    gram     norm of the projected Gram matrix / of VGG19's, by layer
    square   mean square of the projected features / of VGG19's, by layer

and in one paired run

    step     seconds of a step with VGG19 / with the small network

    python scripts/benchmarks/small_network.py --weights=VGG19.h5 \\
        --pair=PHOTO,PAINTING --pair=PHOTO,PAINTING --pictures=FOLDER

The pictures are kept in the folder, side by side in sheet-SIZE.png; those of
VGG19 that lie there from a run before are not painted again.
"""

import argparse
import collections
import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness
import numpy as np

from nst_tf.images import image_io, sizes
from nst_tf.network import architectures, weight_files
from nst_tf.plan import inputs, settings
from nst_tf.runs import api, results

PAIRS = [
    f"{harness.SAMPLES / content}.jpg,{harness.SAMPLES / style}.jpg"
    for content, style in (
        ("harbor_at_dusk", "swirling_night"),
        ("harbor_at_dusk", "stained_blocks"),
        ("valley", "points_of_color"),
        ("valley", "ink_wash"),
    )
]
SIZES = (384, 512)
REPEATS = 9  # of the paired steps


def main() -> None:
    """Reads the command line, paints, measures, prints a table."""
    parser = harness.make_parser(__doc__)
    parser.add_argument("--weights", default="auto", help="of the real VGG19")
    parser.add_argument("--pair", action="append", help="PHOTO,PAINTING")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--pictures", default="small_network")
    parser.add_argument(
        "--unprojected",
        action="store_true",
        help="let the small network's losses do without projections",
    )
    arguments = parser.parse_args()
    large = weight_files.load("vgg19", arguments.weights)
    if large.projections is not None:
        parser.error("VGG19's weights were not found; name them: --weights")
    small = weight_files.load("vgg19", "small")
    folder = Path(arguments.pictures)
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [pair.split(",") for pair in arguments.pair or PAIRS]
    head = harness.describe_day()
    rows = []
    for size in (int(text) for text in arguments.sizes.split(",")):
        for content, style in pairs:
            row = compare(content, style, size, arguments, folder)
            rows.append({**head, **row})
            print(_line(row), flush=True)
        contact_sheet(pairs, size, folder)
    if not arguments.unprojected:
        paths = list(dict.fromkeys(path for pair in pairs for path in pair))
        features = feature_sizes([large, small], paths)
        for name, row in features.items():
            print(f"{name}: gram {row['gram']}, square {row['square']}")
        step = step_ratio(pairs[0], arguments.weights)
        print(f"step at 512, VGG19 / small: {step}")
        rows.append({**head, "features": features, "step": step})
    for row in rows:
        harness.append(arguments.json, row)


def compare(
    content: str,
    style: str,
    size: int,
    arguments: argparse.Namespace,
    folder: Path,
) -> dict[str, Any]:
    """Paints a pair with both networks, and judges both pictures."""
    row: dict[str, Any] = {
        "pair": harness.name_pair(content, style),
        "size": size,
    }
    if arguments.unprojected:
        row["unprojected"] = True
    for name, network in (("vgg19", arguments.weights), ("small", "small")):
        path = folder / f"{row['pair']}-{size}-{name}.png"
        if name == "small" or not path.exists():
            start = time.monotonic()
            image = paint(content, style, size, network, arguments.unprojected)
            row[f"{name}_seconds"] = round(time.monotonic() - start, 1)
            image_io.save_image(path, image)
        judged = judge(path, content, style, size, arguments.weights)
        row[name] = {key: round(value, 5) for key, value in judged.items()}
    for key in judged:
        row[key] = round(row["small"][key] / row["vgg19"][key], 3)
    return row


def paint(
    content: str, style: str, size: int, source: str, unprojected: bool
) -> np.ndarray:
    """Paints as `nst_tf.stylize` does, with or without projections."""
    from nst_tf.transfer import method

    job = settings.Job(content=content, style=(style,), size=size)
    network = weight_files.load("vgg19", source)
    if unprojected:
        network = network._replace(projections=None)
    read = inputs.read_inputs(job)._replace(network=network)
    steps = method.Painter().paint(api.make_plan(job, read))
    return results.read_image(collections.deque(steps, maxlen=1).pop())


def judge(
    picture: Path, content: str, style: str, size: int, source: str
) -> dict[str, float]:
    """What the real VGG19, in float32, and the eye say of a picture."""
    # A step evaluates its image before it changes it.
    (step,) = api.stylize_steps(
        content,
        style,
        init=picture,
        size=size,
        levels=1,
        steps=1,
        weights=source,
        precision="float32",
    )
    terms = {k: float(v) for k, v in step.evaluation.terms.items()}
    return {
        "style": float(
            np.mean([v for k, v in terms.items() if k.startswith("style")])
        ),
        "content": sum(v for k, v in terms.items() if k.startswith("content")),
        "chroma": chroma_energy(image_io.load_image(picture)),
    }


def chroma_energy(image: np.ndarray) -> float:
    """Mean square of the Laplacian of Cb and Cr (ITU-R BT.601), 0..255."""
    chroma = (
        255.0
        * image
        @ np.array([[-0.168736, 0.5], [-0.331264, -0.418688], [0.5, -0.081312]])
    )
    around = (
        chroma[:-2, 1:-1]
        + chroma[2:, 1:-1]
        + chroma[1:-1, :-2]
        + chroma[1:-1, 2:]
    )
    return float(np.square(4 * chroma[1:-1, 1:-1] - around).mean())


def feature_sizes(
    networks: Sequence[weight_files.NetworkWeights], pictures: Sequence[str]
) -> dict[str, dict[str, list[float]]]:
    """Sizes of the small network's projected features over VGG19's.

    Args:
        networks: VGG19 and the small one.
        pictures: Paths.

    Returns:
        For each layer the ratio of the norms of the Gram matrices and that of
        the mean squares: smallest, geometric mean, largest of the pictures.
    """
    import tensorflow as tf

    from nst_tf.losses import sums
    from nst_tf.network import extractors

    layers = [layer.name for layer in architectures.list_convolutions("vgg19")]
    extract = [
        extractors.vgg(
            "vgg19",
            layers,
            network.layers,
            projections=network.projections,
            pooling="average",
            padding="symmetric_first",
        )
        for network in networks
    ]
    projections = networks[1].projections or {}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in layers}
    for picture in pictures:
        image = image_io.load_image(picture)
        rows, columns = image.shape[:2]
        height, width = sizes.scale_to_side(rows, columns, 512)
        image = image_io.resize(image, height, width)[None]
        maps = [extractor.model(image) for extractor in extract]
        for name in layers:
            wide, narrow = (sums.gram_matrix(m[name]) for m in maps)
            projection = tf.constant(projections[name])
            projected = tf.transpose(projection) @ narrow @ projection
            norms = tf.norm(projected) / tf.norm(wide)
            squares = tf.linalg.trace(projected) / tf.linalg.trace(wide)
            found[name].append((float(norms), float(squares)))
    return {
        name: {
            key: [round(f(ratios), 3) for f in (min, _mean, max)]
            for key, ratios in (
                ("gram", [norms for norms, _ in values]),
                ("square", [squares for _, squares in values]),
            )
        }
        for name, values in found.items()
    }


def _mean(values: Sequence[float]) -> float:
    """The geometric mean."""
    return float(np.exp(np.mean(np.log(values))))


def step_ratio(pair: Sequence[str], source: str) -> dict[str, float]:
    """Seconds of a step with VGG19 over those with the small one, in turn."""
    runs = {
        name: api.stylize_steps(
            *pair, size=512, levels=1, steps=99, weights=weights
        )
        for name, weights in (("vgg19", source), ("small", "small"))
    }

    def advance(name: str) -> None:
        float(next(runs[name]).evaluation.loss)

    calls = {name: functools.partial(advance, name) for name in runs}
    seconds = harness.time_in_turn(calls, REPEATS, warm_up=2)  # these compile
    return harness.spread(harness.divide(seconds["vgg19"], seconds["small"]), 2)


def contact_sheet(
    pairs: Sequence[Sequence[str]], size: int, folder: Path
) -> None:
    """Puts VGG19's pictures above those of the small network."""
    columns = []
    for content, style in pairs:
        name = f"{harness.name_pair(content, style)}-{size}"
        images = [
            image_io.load_image(folder / f"{name}-{network}.png")
            for network in ("vgg19", "small")
        ]
        height, width = images[0].shape[:2]
        fitted = np.ones((2, size, size, 3), np.float32)
        for row, image in zip(fitted, images, strict=True):
            row[:height, :width] = image
        columns.append(fitted.reshape(2 * size, size, 3))
    image_io.save_image(
        folder / f"sheet-{size}.png", np.concatenate(columns, axis=1)
    )


def _line(row: dict[str, Any]) -> str:
    """Writes a row for people."""
    figures = ", ".join(
        f"{key} {row['small'][key]:.4g} / {row['vgg19'][key]:.4g} = "
        f"{row[key]:.2f}"
        for key in ("style", "content", "chroma")
    )
    return f"{row['size']:4} {row['pair']:32} {figures}"


if __name__ == "__main__":
    main()
