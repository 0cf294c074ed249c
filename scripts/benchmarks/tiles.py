"""Measures the cost of tiles, and the differences that they make.

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
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import harness
import numpy as np
import step_time

ODD = 701, 1003  # height and width of `gradient`
CONTENT_LAYERS = {"block4_conv2": 5.0}
STYLE_LAYERS = {name: 20.0 for name in step_time.STYLE_LAYERS}


def main(arguments: Sequence[str]) -> int:
    """Measures, prints and appends a JSON line for each part."""
    flags = _parse(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for part in flags.parts:
        record = {
            **harness.describe_machine(),
            "part": part,
            "size": flags.size,
            "tile": flags.tile,
            "recompute": flags.recompute,
            "precision": flags.precision,
            **PARTS[part](flags),
        }
        print(json.dumps(record, indent=1), flush=True)
        harness.append(flags.json, record)
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
        pictures[name] = np.asarray(optimizer.image)[0]
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

    def call(tile: int) -> Callable[[], float]:
        step, _ = _stepper(flags, tile, 0.0)
        return lambda: float(step().loss)

    calls = {"whole": call(0), "tiles": call(flags.tile)}
    seconds = harness.time_in_turn(calls, flags.rounds, warm_up=1)
    ratios = harness.divide(seconds["tiles"], seconds["whole"])
    return {
        "seconds": {n: harness.spread(v) for n, v in seconds.items()},
        "tiles over whole": harness.spread(ratios),
    }


def _gradient(flags: argparse.Namespace) -> dict:
    """Losses and gradients of two regions: their largest differences."""
    import tensorflow as tf

    from nst_tf.backend import canvas
    from nst_tf.images import image_io
    from nst_tf.losses import objectives
    from nst_tf.plan import style_regions
    from nst_tf.tiling import tiled, views
    from nst_tf.transfer import targets

    extractor = _network(flags)
    height, width = ODD
    content = image_io.load_image(harness.SAMPLES / "harbor_at_dusk.jpg")
    content = image_io.resize(content, height, width)
    sky = np.linspace(3, -2, height).clip(0, 1)[:, None].repeat(width, 1)
    masks = sky.astype("f4"), (1 - sky).astype("f4")
    names = "swirling_night.jpg", "stained_blocks.jpg"
    regions = [
        style_regions.Region(
            [
                style_regions.Style(
                    image_io.load_image(harness.SAMPLES / name),
                    layers=STYLE_LAYERS,
                )
            ],
            mask,
            name,
        )
        for name, mask in zip(names, masks, strict=True)
    ]
    rng = np.random.default_rng(0)
    noisy = content + 0.1 * rng.normal(size=content.shape)
    image = tf.Variable(tf.constant(noisy.clip(0, 1).astype("f4")[None]))

    def evaluated(tile: int) -> tuple[dict[str, float], np.ndarray]:
        plan = dataclasses.replace(
            _plan(flags, content, content, tile), regions=regions
        )
        loss_list = targets.perceptual_losses(plan, extractor, height, width)
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


def _network(flags: argparse.Namespace) -> Any:
    """VGG19 to block5_conv1."""
    from nst_tf.network import extractors

    network_weights, _ = step_time.find_weights("auto")
    return extractors.vgg(
        "vgg19",
        [*CONTENT_LAYERS, *STYLE_LAYERS],
        network_weights,
        pooling="average",
        padding="symmetric_first",
        dtype=flags.precision,
    )


def _plan(
    flags: argparse.Namespace, content: np.ndarray, style: np.ndarray, tile: int
) -> Any:
    """The losses of the default job, in tiles or of the whole."""
    import plans

    from nst_tf.plan import planning

    return plans.compare_layers(
        content,
        style,
        CONTENT_LAYERS,
        STYLE_LAYERS,
        tv_weight=50.0,
        tiling=planning.Tiling(
            tile, "recompute" if flags.recompute else "keep"
        ),
    )


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

    extractor = _network(flags)
    content = image_io.load_image(harness.SAMPLES / "harbor_at_dusk.jpg")
    style = image_io.load_image(harness.SAMPLES / "swirling_night.jpg")
    rows, columns = content.shape[:2]
    height, width = sizes.scale_to_side(rows, columns, flags.size)
    content = image_io.resize(content, height, width)
    loss_list = targets.perceptual_losses(
        _plan(flags, content, style, tile), extractor, height, width
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
    parser = harness.make_parser(__doc__, "tiles")
    add = parser.add_argument
    add("--parts", type=harness.split, default=["agreement"])
    add("--size", type=int, default=1024)
    add("--tile", type=int, default=512)
    add("--tiles", type=harness.split_numbers, default=[256, 384])
    add("--precision", default="float32")
    add("--steps", type=int, default=50)
    add("--rounds", type=int, default=5)
    add("--recompute", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
