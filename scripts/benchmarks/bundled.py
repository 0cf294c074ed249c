"""Compares the bundled VGG19 with a float file: gradients, pictures.

    python scripts/benchmarks/bundled.py --reference=VGG19.h5 \\
        --pair=PHOTO:PAINTING --pair=PHOTO:PAINTING --paint

    cosine   of the gradients of the style losses by both, in float32, at the
             photograph
    judged   with --paint: each figure of the judge, of the picture that the
             default job paints with the network that ships over that of the
             picture painted with the reference; the reference judges both
    noise    with --noise: the same for two pictures painted with the reference,
             one of a photograph that differs by 1e-6
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import harness
import precision

from nst_tf.backend import device
from nst_tf.images import image_io, sizes
from nst_tf.judge import judging
from nst_tf.network import weight_files
from nst_tf.runs import api

FIGURES = ("style", "moments", "content", "ssim", "chroma", "border")


def main(arguments: Sequence[str]) -> int:
    """Measures each pair, prints and appends a line for each."""
    flags = _parse(arguments)
    device.prepare()
    networks = [
        weight_files.load("vgg19", source)
        for source in ("auto", flags.reference)
    ]
    for pair in map(harness.read_pair, flags.pair):
        row: dict[str, Any] = {
            "pair": pair.name,
            "size": flags.size,
            "cosine": _compare_gradients(pair, networks, flags.size),
        }
        if flags.paint:
            row["judged"] = _compare_pictures(pair, pair, "auto", flags)
        if flags.noise:
            row["noise"] = _compare_pictures(
                harness.perturb(pair), pair, flags.reference, flags
            )
        print(json.dumps(row), flush=True)
        harness.append(flags.json, {**harness.describe_machine(), **row})
    return 0


def _compare_gradients(
    pair: harness.Pair,
    networks: Sequence[weight_files.NetworkWeights],
    size: int,
) -> float:
    """The cosine of the gradients of the style losses at the photograph."""
    rows, columns = pair.content.shape[:2]
    height, width = sizes.scale_to_side(rows, columns, size)
    content = image_io.resize(pair.content, height, width)
    one, other = (
        precision.Judge(network, pair, height, width, "float32").style_gradient(
            content
        )
        for network in networks
    )
    return round(harness.cosine(one, other), 6)


def _compare_pictures(
    one: harness.Pair,
    other: harness.Pair,
    weights: str,
    flags: argparse.Namespace,
) -> dict[str, float]:
    """The figures of one pair's picture over those of another's.

    The one is painted with `weights`, the other with the reference.
    """
    figures = []
    for pair, source in ((one, weights), (other, flags.reference)):
        image = api.stylize(
            pair.content, pair.style, size=flags.size, weights=source
        )
        judgement = judging.judge_image(
            image, other.content, other.style, weights=flags.reference
        )
        figures.append([float(getattr(judgement, name)) for name in FIGURES])
    return {
        name: round(first / second, 4)
        for name, first, second in zip(FIGURES, *figures, strict=True)
    }


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = harness.make_parser(__doc__, "bundled")
    add = parser.add_argument
    add("--reference", required=True, help="weights file of VGG19, in floats")
    add("--pair", action="append", required=True, help="CONTENT:STYLE, paths")
    add("--size", type=int, default=512, help="long side (512)")
    add("--paint", action="store_true", help="pictures, too")
    add("--noise", action="store_true", help="what rounding alone changes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
