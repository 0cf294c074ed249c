"""Paints pairs with several settings, and scores the pictures.

    python scripts/benchmarks/look.py --pair=PHOTO:PAINTING \\
        --variant=gram --variant=mix --variant='mild style_weight=50' \\
        --pictures=FOLDER

A variant is a name, and settings of `nst_tf.stylize` that depart from those of
this name in the table below, or from the defaults. Each picture is judged by
VGG19: distances of style, moments and content, SSIM, fine color detail over the
style's, and the border; seconds are those of the whole call, of the second and
later ones in a process.
"""

import argparse
import ast
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness

from nst_tf.backend import device
from nst_tf.judge import judging
from nst_tf.runs import api

FIGURES = ("style", "moments", "content", "ssim", "chroma", "border")
GRAM: dict[str, Any] = {"style_loss": "gram", "content_weight": 5.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "before": {**GRAM, "grain_weight": 0.0},  # the default until this loss came
    "gram": GRAM,
    "gram_10": {**GRAM, "content_weight": 10.0},
    "wasserstein": {**GRAM, "style_loss": "wasserstein"},
    "neighbors": {"style_loss": "neighbors"},
    "mix": {},
}


def main(arguments: Sequence[str]) -> int:
    """Paints each pair in each variant, prints and appends its figures."""
    flags = _parse(arguments)
    device.prepare()
    print(" ".join(f"{name:>8}" for name in (*FIGURES, "seconds")))
    for pair in map(harness.read_pair, flags.pair):
        for name, settings in flags.variant:
            chosen = {"size": flags.size, "seed": flags.seed, **settings}
            seconds, image = harness.time_call(
                functools.partial(
                    api.stylize, pair.content, pair.style, **chosen
                )
            )
            judgement = judging.judge_image(image, pair.content, pair.style)
            row = {each: getattr(judgement, each) for each in FIGURES}
            row["seconds"] = seconds
            print(
                " ".join(f"{value:8.4f}" for value in row.values()),
                pair.name,
                name,
                flush=True,
            )
            harness.save_picture(flags.pictures, f"{pair.name}-{name}", image)
            harness.append(
                flags.json,
                {
                    **harness.describe_day(),
                    "pair": pair.name,
                    "variant": name,
                    "settings": settings,
                    "size": flags.size,
                    "seed": flags.seed,
                    **{key: harness.shorten(row[key]) for key in row},
                },
            )
    return 0


def read_variant(text: str) -> tuple[str, dict[str, Any]]:
    """Reads "name setting=value setting=value"."""
    name, *rest = text.split()
    settings = dict(VARIANTS.get(name, {}))
    for each in rest:
        key, _, value = each.partition("=")
        try:
            settings[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            settings[key] = value
    return name, settings


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    parser = harness.make_parser(__doc__, "look")
    add = parser.add_argument
    add("--pair", action="append", required=True, help="CONTENT:STYLE, paths")
    add(
        "--variant",
        action="append",
        type=read_variant,
        required=True,
        help="a name, and settings such as content_weight=10",
    )
    add("--size", type=int, default=512, help="long side (512)")
    add("--seed", type=int, default=0, help="seed (0)")
    add("--pictures", type=Path, help="folder for the pictures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
