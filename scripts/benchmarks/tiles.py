"""What tiles cost, and what they change: beside the picture as a whole.

    python scripts/benchmarks/tiles.py --parts=agreement,cost

`agreement`: Adam from the content image, as a whole; again, from a start that
differs by noise of 1e-6; and in tiles. Adam amplifies rounding, so that what
tiles change is told by what such noise changes. `cost`: a step in tiles over
one on the whole, in turn in one process. `gradient`: losses and gradient of one
image of odd sides, in two regions with a style each, in tiles against the
whole, at a noisy content image. With `--recompute` tiles see the content anew.

The network is VGG19.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import step_time

RESULTS = Path(__file__).resolve().parent / "results"
ODD = 701, 1003  # height and width of `gradient`
IMAGES = step_time.ROOT / "configs" / "images"


def main(arguments: Sequence[str]) -> int:
    """Measures, prints and appends a JSON line for each part."""
    flags = _parse(arguments)
    sys.path.insert(0, str(step_time.ROOT))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for part in flags.parts:
        record = {
            **step_time.machine(),
            "part": part,
            "size": flags.size,
            "tile": flags.tile,
            "recompute": flags.recompute,
            "precision": flags.precision,
            **PARTS[part](flags),
        }
        print(json.dumps(record, indent=1), flush=True)
        flags.json.parent.mkdir(parents=True, exist_ok=True)
        with flags.json.open("a") as file:
            file.write(json.dumps(record) + "\n")
    return 0


def _agreement(flags: argparse.Namespace) -> dict:
    """Whole, whole with noise, tiles: losses, and how pictures differ."""
    pictures, losses = {}, {}
    for name, tile, noise in (
        ("whole", 0, 0.0),
        ("noise", 0, 1e-6),
        ("tiles", flags.tile, 0.0),
    ):
        step, optimizer = _stepper(flags, tile, noise)
        for _ in range(flags.steps):
            evaluation = step()
        losses[name] = float(evaluation.loss)
        pictures[name] = optimizer.image.numpy()[0]
        print(f"{name}: loss {losses[name]:.6g}", flush=True)
    whole = pictures["whole"]
    differences = {}
    for name in ("noise", "tiles"):
        difference = np.abs(pictures[name] - whole).max(-1)
        differences[name] = {
            "mean": float(difference.mean()),
            "percentile 99.9": float(np.percentile(difference, 99.9)),
            "max": float(difference.max()),
        }
    return {
        "steps": flags.steps,
        "loss": losses,
        "loss, tiles over whole": losses["tiles"] / losses["whole"],
        "differences": differences,
        "tiles over noise": {
            name: differences["tiles"][name] / differences["noise"][name]
            for name in ("mean", "percentile 99.9")
        },
        "gradient along borders over elsewhere": {
            name: _along_borders(flags, pictures[name])
            for name in ("whole", "tiles")
        },
    }


def _along_borders(flags: argparse.Namespace, picture: np.ndarray) -> float:
    """Mean step between pixels across the borders of what tiles own."""
    from nst_tf.network import architectures
    from nst_tf.plan import tiles

    deepest = architectures.find_deepest("vgg19", [*step_time.STYLE_LAYERS])
    height, width = picture.shape[:2]
    cut = tiles.make_tiles(
        height, width, flags.tile, deepest.stride, deepest.reach
    )
    gray = picture.mean(-1)
    steps = [np.abs(np.diff(gray, axis=axis)) for axis in (0, 1)]
    rows, columns = (np.array(side.bounds[1:-1]) - 1 for side in cut)
    at = np.concatenate([steps[0][rows].ravel(), steps[1][:, columns].ravel()])
    return float(at.mean() / np.mean([each.mean() for each in steps]))


def _cost(flags: argparse.Namespace) -> dict:
    """Steps in turn: their seconds, and the ratios of each round."""
    steps = [_stepper(flags, tile, 0.0)[0] for tile in (0, flags.tile)]
    seconds: list[list[float]] = [[], []]
    for step in steps:
        step()
    for _ in range(flags.rounds):
        for step, times in zip(steps, seconds, strict=True):
            start = time.perf_counter()
            float(step().loss)
            times.append(time.perf_counter() - start)
    ratios = [b / a for a, b in zip(*seconds, strict=True)]
    return {
        "seconds": {
            "whole": step_time.spread(seconds[0]),
            "tiles": step_time.spread(seconds[1]),
        },
        "tiles over whole": step_time.spread(ratios),
    }


def _gradient(flags: argparse.Namespace) -> dict:
    """Losses and gradients of two regions: their largest differences."""
    import tensorflow as tf

    from nst_tf.backend import canvas
    from nst_tf.images import image_io
    from nst_tf.losses import objectives
    from nst_tf.tiling import tiled, views
    from nst_tf.transfer import targets

    extractor, weights = _network(flags)
    height, width = ODD
    content = image_io.load_image(IMAGES / "harbor_at_dusk.jpg")
    content = image_io.resize(content, height, width)
    sky = np.linspace(3, -2, height).clip(0, 1)[:, None].repeat(width, 1)
    masks = sky.astype("f4"), (1 - sky).astype("f4")
    names = "swirling_night.jpg", "stained_blocks.jpg"
    regions = [
        targets.Region(
            [targets.Style(image_io.load_image(IMAGES / name))], mask, name
        )
        for name, mask in zip(names, masks, strict=True)
    ]
    rng = np.random.default_rng(0)
    noisy = content + 0.1 * rng.normal(size=content.shape)
    image = tf.Variable(tf.constant(noisy.clip(0, 1).astype("f4")[None]))

    def evaluated(tile: int) -> tuple[dict[str, float], np.ndarray]:
        loss_list = targets.perceptual_losses(
            extractor,
            content,
            [],
            weights,
            height,
            width,
            regions=regions,
            tile=tile,
            recompute=flags.recompute,
        )
        evaluate = objectives.make_objective(extractor, loss_list)
        if tile:
            cut = views.cut_for_extractor(extractor, height, width, tile)
            evaluate = tiled.make_tiled_objective(extractor, loss_list, cut)

        @tf.function(autograph=False)
        def compiled() -> tuple[Any, tf.Tensor]:
            found = evaluate(image)
            return found.terms, canvas.read_whole(found.gradient)

        terms, gradient = compiled()
        losses = {name: float(value) for name, value in terms.items()}
        return losses, gradient.numpy()

    losses, whole = evaluated(0)
    found = {}
    for tile in flags.tiles:
        theirs, gradient = evaluated(tile)
        found[str(tile)] = {
            "gradient, of the largest component": float(
                np.abs(gradient - whole).max() / np.abs(whole).max()
            ),
            "losses, relative": max(
                abs(theirs[name] - losses[name]) / losses[name]
                for name in losses
            ),
        }
    return {"size": [width, height], "tiles": found}


def _network(flags: argparse.Namespace) -> tuple[Any, Any]:
    """VGG19 to block5_conv1, and the weights of the losses."""
    from nst_tf.network import extractors
    from nst_tf.transfer import targets

    network_weights, _ = step_time.find_weights("auto")
    weights = targets.LossWeights(
        {"block4_conv2": 5.0},
        {name: 20.0 for name in step_time.STYLE_LAYERS},
        50.0,
    )
    extractor = extractors.vgg(
        "vgg19",
        weights.layers,
        network_weights,
        pooling="average",
        padding="symmetric_first",
        dtype=flags.precision,
    )
    return extractor, weights


def _stepper(
    flags: argparse.Namespace, tile: int, noise: float
) -> tuple[Callable[[], Any], Any]:
    """A compiled train step at the size, and its optimizer."""
    import tensorflow as tf

    from nst_tf.backend import canvas
    from nst_tf.images import image_io, sizes
    from nst_tf.losses import objectives
    from nst_tf.optimize import descent, first_order
    from nst_tf.plan import tiles
    from nst_tf.tiling import tiled, views
    from nst_tf.transfer import targets

    extractor, weights = _network(flags)
    content = image_io.load_image(IMAGES / "harbor_at_dusk.jpg")
    style = image_io.load_image(IMAGES / "swirling_night.jpg")
    rows, columns = content.shape[:2]
    height, width = sizes.scale_to_side(rows, columns, flags.size)
    content = image_io.resize(content, height, width)
    loss_list = targets.perceptual_losses(
        extractor,
        content,
        [targets.Style(style)],
        weights,
        height,
        width,
        tile=tile,
        recompute=flags.recompute,
    )
    is_cut = tiles.is_cut(height, width, tile)
    image: Any = canvas.make_zeros(height, width, tf.float32, is_cut, 1)
    if is_cut:
        cut = views.cut_for_extractor(extractor, height, width, tile)
        print(f"{cut.number} tiles, {cut.columns.size} x {cut.rows.size}")
        evaluate = tiled.make_tiled_objective(extractor, loss_list, cut)
    else:
        evaluate = objectives.make_objective(extractor, loss_list)
    rng = np.random.default_rng(0)
    start = content + noise * rng.normal(size=content.shape)
    image.assign(start.clip(0, 1).astype("f4")[None])
    optimizer = first_order.Adam(image)
    return descent.make_train_step(optimizer, evaluate), optimizer


PARTS = {"agreement": _agreement, "cost": _cost, "gradient": _gradient}


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--parts", type=lambda text: text.split(","), default=["agreement"])
    add("--size", type=int, default=1024)
    add("--tile", type=int, default=512)
    add("--tiles", type=lambda t: [*map(int, t.split(","))], default=[256, 384])
    add("--precision", default="float32")
    add("--steps", type=int, default=50)
    add("--rounds", type=int, default=5)
    add("--recompute", action="store_true")
    add("--json", type=Path, default=RESULTS / "tiles.jsonl")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
