"""Measures the errors of half precision: of the gradient, of the final loss.

    python scripts/benchmarks/precision.py --weights=VGG19.h5 \\
        --pair=PHOTO:PAINTING --pair=PHOTO:PAINTING

The job is the default one, in one level, once in float32 and once in the half
precision. All is judged in float32:

    cosine   of the gradients of the style losses in both precisions, at the
             photograph, and at what the half run has after some steps
    loss     at the end of the half run, over that at the end of the float32 run
    mean     absolute difference of the two pictures, in 255ths: runs whose
             starts differ by rounding alone differ too, `noise` says by what
             (two runs in float32 whose photographs differ by 1e-6)
"""

import argparse
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import consistency
import harness
import numpy as np
import plans

from nst_tf.backend import device
from nst_tf.images import image_io, sizes
from nst_tf.network import weight_files
from nst_tf.plan import planning, settings
from nst_tf.runs import api, results

LEAST_AT_CONTENT, LEAST_LATER = 0.995, 0.98  # of the cosines
MOST_LOSS = 0.01  # from 1


def main(arguments: Sequence[str]) -> int:
    """Measures each pair, prints a table, appends a line for each."""
    flags = _parse(arguments)
    device.prepare()
    pairs, network = consistency.load(flags)
    rows = []
    for pair in pairs:
        rows.append({"pair": pair.name, **_measure(pair, network, flags)})
        record = {
            **harness.describe_machine(),
            "precision": flags.precision,
            "weights": "vgg19" if network.projections is None else "small",
            "size": flags.size,
            "cosine_after": flags.cosine_after,
            "steps": flags.steps,
            **rows[-1],
        }
        harness.append(flags.json, record)
        print(_line(rows[-1]), flush=True)
    return 0


def _measure(
    pair: harness.Pair,
    network: weight_files.NetworkWeights,
    flags: argparse.Namespace,
) -> dict[str, Any]:
    """The figures of a pair."""
    rows, columns = pair.content.shape[:2]
    height, width = sizes.scale_to_side(rows, columns, flags.size)
    content = image_io.resize(pair.content, height, width)
    judges = {
        precision: Judge(network, pair, height, width, precision)
        for precision in ("float32", flags.precision)
    }
    exact = judges["float32"]
    half, later = _paint(pair, flags, flags.precision)
    single, _ = _paint(pair, flags, "float32")
    noisy, _ = _paint(harness.perturb(pair), flags, "float32")
    losses = [exact.loss(picture) for picture in (single, half, noisy)]

    def cosine(picture: np.ndarray) -> float:
        return harness.cosine(
            *(judge.style_gradient(picture) for judge in judges.values())
        )

    return {
        "cosine_at_content": round(cosine(content), 5),
        "cosine_later": round(cosine(later), 5),
        "float32_loss": losses[0],
        "loss_ratio": round(losses[1] / losses[0], 5),
        "noise_loss_ratio": round(losses[2] / losses[0], 5),
        "mean": round(255 * float(np.abs(half - single).mean()), 3),
        "noise": round(255 * float(np.abs(noisy - single).mean()), 3),
    }


class Judge:
    """The default job's losses at a size, in a precision."""

    def __init__(
        self,
        network: weight_files.NetworkWeights,
        pair: harness.Pair,
        height: int,
        width: int,
        precision: str,
    ):
        import tensorflow as tf

        from nst_tf.losses import objectives
        from nst_tf.transfer import targets

        job = settings.Job(precision=precision)
        plan = plans.make_plan(job, pair.content, pair.style, network)
        extractor = plans.make_extractor(plan)

        def objective_of(plan: planning.Plan) -> Any:
            loss_list = targets.perceptual_losses(
                plan, extractor, height, width
            )
            return objectives.make_objective(extractor, loss_list)

        everything = objective_of(plan)
        self._loss = tf.function(
            lambda image: everything(image).loss, autograph=False
        )
        style = dataclasses.replace(plan, content_weights={}, tv_weight=0.0)
        self._style = tf.function(objective_of(style), autograph=False)

    def loss(self, picture: np.ndarray) -> float:
        """The loss of a picture, [H, W, 3] in [0, 1]."""
        return float(self._loss(_batch(picture)))

    def style_gradient(self, picture: np.ndarray) -> np.ndarray:
        """The gradient of the style losses, [H, W, 3]."""
        gradient: Any = self._style(_batch(picture)).gradient
        return np.asarray(gradient[0])


def _batch(picture: np.ndarray) -> Any:
    """[H, W, 3] as a tensor, [1, H, W, 3]."""
    import tensorflow as tf

    return tf.constant(picture[None], tf.float32)


def _paint(
    pair: harness.Pair, flags: argparse.Namespace, precision: str
) -> tuple[np.ndarray, np.ndarray]:
    """Paints in one level; the picture, and what it was after some steps."""
    print(f"{pair.name}, {precision} ...", flush=True)
    step, later = None, None
    for step in api.stylize_steps(
        pair.content,
        pair.style,
        size=flags.size,
        levels=1,
        steps=flags.steps,
        precision=precision,
        weights=flags.weights,
    ):
        # A step's image is to be read before the next step is taken.
        if step.index == flags.cosine_after:
            later = results.read_image(step)
    assert step is not None and later is not None
    return results.read_image(step), later


def _line(row: Mapping[str, Any]) -> str:
    """Writes a row for people."""
    first, later = row["cosine_at_content"], row["cosine_later"]
    ratio = row["loss_ratio"]
    met = (
        first >= LEAST_AT_CONTENT
        and later >= LEAST_LATER
        and abs(ratio - 1) <= MOST_LOSS
    )
    return (
        f"{row['pair'][:36]:37}cosine {first:.4f}, {later:.4f}; loss "
        f"{ratio:.4f} (noise {row['noise_loss_ratio']:.4f}); mean "
        f"{row['mean']} (noise {row['noise']}); "
        f"{harness.say_met(met)}"
    )


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the flags."""
    parser = harness.make_parser(__doc__, "precision")
    add = parser.add_argument
    add("--pair", action="append", help="CONTENT:STYLE, paths; repeat it")
    add("--weights", default="auto", help="auto, imagenet, small, or a file")
    add("--size", type=int, default=256, help="long side (256)")
    add("--steps", type=int, default=200, help="of each run (200)")
    add("--cosine_after", type=int, default=100, help="steps (100)")
    add("--precision", choices=["bfloat16", "float16"], default="bfloat16")
    flags = parser.parse_args(arguments)
    if not 0 < flags.cosine_after <= flags.steps:
        parser.error("--cosine_after: expected 1 to --steps")
    return flags


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
