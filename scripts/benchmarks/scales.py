"""Measures whether several scales make a large picture like its preview.

    python scripts/benchmarks/scales.py --pair=PHOTO:PAINTING --pictures=FOLDER

A large picture goes on from its preview, with one scale of the style loss and
with several. Reduced to the size of the preview, it is compared with it:
structural similarity (SSIM), and the ratio of their style losses, as in
consistency.py. The judge's distances are those of the picture itself.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import consistency
import harness

from nst_tf.backend import device
from nst_tf.images import image_io
from nst_tf.judge import judging
from nst_tf.runs import api

# Name -> settings of the large picture.
JOBS: dict[str, dict[str, Any]] = {
    "1 scale": {"scales": 1},
    "2 scales": {"scales": 2},
    "3 scales": {"scales": 3},
    "2 scales in half of the steps": {"scales": 2, "steps": (25,)},
}


def main(arguments: Sequence[str]) -> int:
    """Paints every pair by every job, and appends a line for each."""
    parser = harness.make_parser(__doc__, "scales")
    parser.add_argument("--pair", action="append", help="PHOTO:PAINTING")
    parser.add_argument("--weights", default="auto")
    parser.add_argument("--large", type=int, default=1024)
    parser.add_argument("--preview", type=int, default=512)
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
        content, style, weights = pair.content, pair.style, flags.weights
        preview = api.stylize(
            content, style, size=flags.preview, weights=weights
        )
        seen = judging.judge_image(preview, content, style, weights=weights)
        harness.save_picture(
            flags.pictures, f"{pair.name}-{flags.preview}", preview
        )
        for name in flags.jobs:
            start = time.monotonic()
            large = api.stylize(
                content,
                style,
                size=flags.large,
                weights=weights,
                continue_from=preview,
                **JOBS[name],
            )
            seconds = time.monotonic() - start
            reduced = image_io.resize(large, *preview.shape[:2])
            here, there = judge.style_losses([preview, reduced], style)
            judged = judging.judge_image(large, content, style, weights=weights)
            numbers = {
                "seconds": seconds,
                "ssim": consistency.similarity(reduced, preview),
                "style_ratio": there / here,
                "style": judged.style,
                "content": judged.content,
                "preview_style": seen.style,
                "preview_content": seen.content,
            }
            row = {
                "pair": pair.name,
                "sizes": [flags.preview, flags.large],
                "job": name,
                **{key: harness.shorten(n) for key, n in numbers.items()},
            }
            harness.append(flags.json, {**head, **row})
            print(row, flush=True)
            stem = f"{pair.name}-{flags.large}-{name.replace(' ', '_')}"
            harness.save_picture(flags.pictures, stem, large)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
