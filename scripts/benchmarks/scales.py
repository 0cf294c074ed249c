"""Measures whether several scales make a large picture like its preview.

    python scripts/benchmarks/scales.py --pair=PHOTO:PAINTING --large=512 \\
        --preview=256 --pictures=FOLDER

The preview is what the default job has at the end of the level of that size.
The large picture, reduced to the size of the preview, is compared with it:
structural similarity (SSIM), and the ratio of their style losses, as in
consistency.py. The large picture is painted by the default job and by others,
with `--scales` and with fewer steps; all are compared with the same preview.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import consistency
import harness
import numpy as np

from nst_tf.backend import device
from nst_tf.images import image_io
from nst_tf.judge import judging
from nst_tf.runs import api, results

# Name -> settings of the large picture.
JOBS: dict[str, dict[str, Any]] = {
    "default": {},
    "3 scales": {"scales": 3},
    "3 scales in half of the steps": {
        "scales": 3,
        "steps": (25, 25, 20, 25),
    },
    "3 scales in one level": {"scales": 3, "levels": 1, "steps": 70},
    "2 scales": {"scales": 2},
}


def main(arguments: Sequence[str]) -> int:
    """Paints every pair by every job, and appends a line for each."""
    parser = harness.make_parser(__doc__, "scales")
    parser.add_argument("--pair", action="append", help="PHOTO:PAINTING")
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--large", type=int, default=512)
    parser.add_argument("--preview", type=int, default=256)
    parser.add_argument("--pictures", type=Path, help="folder of the pictures")
    parser.add_argument(
        "--jobs", type=harness.split, default=[*JOBS], help="names, by commas"
    )
    flags = parser.parse_args(arguments)
    device.prepare()
    pairs, network = consistency.load(flags)
    judge = consistency.Judge(network)
    head = {**harness.describe_machine(), "device": device.describe()}
    for pair in pairs:
        preview: Any = None
        for name in dict.fromkeys(["default", *flags.jobs]):
            early, large, row = _paint(pair, JOBS[name], flags)
            preview = early if preview is None else preview
            reduced = image_io.resize(large, *preview.shape[:2])
            here, there = judge.style_losses([preview, reduced], pair.style)
            judged = judging.judge_image(
                large, pair.content, pair.style, weights=flags.weights
            )
            row |= {
                "pair": pair.name,
                "sizes": [flags.preview, flags.large],
                "job": name,
                "ssim": harness.shorten(
                    consistency.similarity(reduced, preview)
                ),
                "style_ratio": harness.shorten(there / here),
                "style": harness.shorten(judged.style),
                "content": harness.shorten(judged.content),
            }
            harness.append(flags.json, {**head, **row})
            print(row, flush=True)
            stem = f"{pair.name}-{flags.large}-{name.replace(' ', '_')}"
            harness.save_picture(flags.pictures, stem, large)
        stem = f"{pair.name}-{flags.large}-preview"
        harness.save_picture(flags.pictures, stem, preview)
    return 0


def _paint(
    pair: harness.Pair, job: dict[str, Any], flags: argparse.Namespace
) -> tuple[np.ndarray | None, np.ndarray, dict[str, Any]]:
    """Returns the picture at the preview's size, if any, and the large one."""
    start, steps = time.monotonic(), 0
    preview = last = None
    for step in api.stylize_steps(
        pair.content, pair.style, size=flags.large, weights=flags.weights, **job
    ):
        # A step's image is to be read before the next step is taken.
        if max(step.size) == flags.preview:
            preview = results.read_image(step)
        last, steps = step, steps + 1
    assert last is not None
    large = results.read_image(last)
    seconds = round(time.monotonic() - start, 1)
    return preview, large, {"steps": steps, "seconds": seconds}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
