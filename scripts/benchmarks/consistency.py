"""Compares pictures of different sizes, and of different strengths.

    python scripts/benchmarks/consistency.py --weights=VGG19.h5 \\
        --pair=PHOTO:PAINTING --pair=PHOTO:PAINTING --pictures=FOLDER

All is measured with the default job, its network, padding, pooling and
precision, in three parts:

    gradients  at the mean of content and style image, the norm of the weighted
               gradient of the content losses over that of the style losses,
               large over small: 1 if a weight means the same at every size
    sizes      a large picture, reduced to the size of its preview, beside the
               preview: their structural similarity (SSIM), and the ratio of
               their style losses at that size; and the same for two runs of one
               level each
    strength   eleven strengths from 0 to 1: SSIM to the photograph, and the
               style loss over that of the photograph

A style loss here is the mean, over the style layers of the default job, of the
relative distances of Gram matrices, whatever was minimized. The preview is what
the large run has at the end of the level of that size. Where the sides of the
preview are multiples of 16 that is, to the bit, the result of a small run; a
record's `preview_exact` says so.
"""

import argparse
import dataclasses
import functools
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import harness
import numpy as np
import plans

from nst_tf.backend import device
from nst_tf.images import image_io, sizes
from nst_tf.losses import style_kinds
from nst_tf.network import weight_files
from nst_tf.plan import planning, schedule, settings
from nst_tf.runs import api, results

if TYPE_CHECKING:
    pass

PAIRS = [
    f"{harness.SAMPLES / content}.jpg:{harness.SAMPLES / style}.jpg"
    for content, style in (
        ("harbor_at_dusk", "swirling_night"),
        ("valley", "points_of_color"),
    )
]
STRENGTHS = [tenths / 10 for tenths in range(11)]
PLAIN_STEPS = 100  # of a run of one level

# What is aimed at.
LEAST_GRADIENTS, MOST_GRADIENTS = 0.6, 1.6  # of each pair
MEDIAN_DEVIATION = 0.2  # of the pairs' median, from 1
LEAST_SIMILARITY = 0.75  # of a reduced picture and its preview
MOST_STYLE = 1.5  # style loss of a reduced picture over its preview's
MOST_RISE = 0.005  # of SSIM, from one strength to the next
MOST_STEP = 2.5  # largest change of SSIM over the mean one
MOST_STYLE_AT_HALF = 0.5  # style loss over the photograph's, strength 0.5


class Painted(NamedTuple):
    """A picture in two sizes, and what both took."""

    preview: np.ndarray
    large: np.ndarray
    seconds: float


# A part measures a pair, and returns its records, without their heads.
Part = Callable[
    ["Judge", harness.Pair, argparse.Namespace], list[dict[str, Any]]
]


def main(arguments: Sequence[str]) -> int:
    """Runs the parts, prints tables, appends a line for each pair."""
    flags = _parse(arguments)
    device.prepare()
    pairs, network = load(flags)
    if "sizes" in flags.parts:
        for pair in pairs:
            _preview_level(pair, flags)
    head = {
        **harness.describe_machine(),
        "device": device.describe(),
        "precision": device.resolve_precision(settings.Job().precision),
        "weights": "vgg19" if network.projections is None else "small",
    }
    judge = Judge(network)
    for name in flags.parts:
        measure, table = PARTS[name]
        rows = []
        for pair in pairs:
            shapes = {
                "content": list(pair.content.shape[1::-1]),
                "style": list(pair.style.shape[1::-1]),
            }
            for row in measure(judge, pair, flags):
                rows.append({"pair": pair.name, **row})
                record = {**head, "part": name, "pictures": shapes, **rows[-1]}
                harness.append(flags.json, record)
        print(table(rows), flush=True)
    return 0


def load(
    flags: argparse.Namespace,
) -> tuple[list[harness.Pair], weight_files.NetworkWeights]:
    """Reads the pairs and the network that flags name.

    Raises:
        SystemExit: In one sentence, if one of them is not as it should be.
    """
    try:
        pairs = [harness.read_pair(text) for text in flags.pair or PAIRS]
        return pairs, weight_files.load(settings.Job().extractor, flags.weights)
    except ValueError as error:
        raise SystemExit(str(error)) from error


class Judge:
    """What the default job minimizes, its content and its style apart."""

    def __init__(self, network: weight_files.NetworkWeights):
        self._network = network
        gray = np.full((64, 64, 3), 0.5, np.float32)
        self._extractor = plans.make_extractor(self._plan(gray, gray))

    def gradient_norms(self, pair: harness.Pair, size: int) -> dict[str, float]:
        """Norms of the weighted gradients at the mean of both pictures.

        Args:
            pair: The pictures; the style image is cut to the content's shape.
            size: Long side, in pixels.

        Returns:
            "content" and "style" -> norm of the gradient of the image.
        """
        import tensorflow as tf

        from nst_tf.losses import objectives
        from nst_tf.transfer import targets

        rows, columns = pair.content.shape[:2]
        height, width = sizes.scale_to_side(rows, columns, size)
        content = image_io.resize(pair.content, height, width)
        style = image_io.cover(pair.style, height, width)
        image = tf.constant((0.5 * content + 0.5 * style)[None], tf.float32)
        plan = self._plan(pair.content, pair.style)
        halves = {
            "content": dataclasses.replace(plan, regions=(), tv_weight=0.0),
            "style": _keep_style(plan),
        }
        norms = {}
        for name, half in halves.items():
            loss_list = targets.perceptual_losses(
                half, self._extractor, height, width
            )
            evaluate = tf.function(
                objectives.make_objective(self._extractor, loss_list),
                autograph=False,
            )
            norms[name] = float(tf.norm(evaluate(image).gradient))
        return norms

    def style_losses(
        self,
        pictures: Sequence[np.ndarray],
        style: np.ndarray,
        mask: np.ndarray | None = None,
    ) -> list[float]:
        """Mean relative Gram distances of pictures of one size to a style.

        Args:
            pictures: [H, W, 3] in [0, 1] each.
            style: Style image.
            mask: How much each pixel of the pictures counts, [h, w] in [0, 1].
        """
        import tensorflow as tf

        from nst_tf.transfer import targets

        plan = _keep_style(self._plan(pictures[0], style))
        regions = [region._replace(mask=mask) for region in plan.regions]
        loss_list = targets.perceptual_losses(
            dataclasses.replace(plan, regions=regions),
            self._extractor,
            *pictures[0].shape[:2],
        )

        @tf.function(autograph=False)
        def mean_distance(image: tf.Tensor) -> tf.Tensor:
            features = self._extractor.model(image)
            distances = [
                loss.distance(
                    loss.statistics(features[loss.layer], None, **loss.maps)
                )
                for loss in loss_list
            ]
            return tf.reduce_mean(tf.stack(distances))

        return [
            float(mean_distance(tf.constant(picture[None], tf.float32)))
            for picture in pictures
        ]

    def _plan(self, content: np.ndarray, style: np.ndarray) -> planning.Plan:
        """The plan of the default job."""
        return plans.make_plan(settings.Job(), content, style, self._network)


def _keep_style(plan: planning.Plan) -> planning.Plan:
    """Leaves a plan the distances of Gram matrices alone."""
    return dataclasses.replace(
        plan,
        content_weights={},
        style_loss="gram",
        neighbors={},
        grain_weight=0.0,
        tv_weight=0.0,
    )


def gradients(
    judge: Judge, pair: harness.Pair, flags: argparse.Namespace
) -> list[dict[str, Any]]:
    """Content gradient over style gradient, large over small."""
    ratios = []
    row: dict[str, Any] = {"sizes": [flags.small, flags.large]}
    for size in row["sizes"]:
        norms = judge.gradient_norms(pair, size)
        row |= {
            f"{name}_{size}": harness.shorten(norms[name]) for name in norms
        }
        ratios.append(norms["content"] / norms["style"])
    row["content_over_style"] = [harness.shorten(ratio) for ratio in ratios]
    row["ratio"] = harness.shorten(ratios[1] / ratios[0])
    return [row]


def compare_sizes(
    judge: Judge, pair: harness.Pair, flags: argparse.Namespace
) -> list[dict[str, Any]]:
    """A reduced large picture beside its preview, with levels and without."""
    level, exact = _preview_level(pair, flags)
    row: dict[str, Any] = {
        "sizes": [flags.preview, flags.large],
        "preview_exact": exact,
        "plain_steps": PLAIN_STEPS,
    }
    runs = {
        "levels": functools.partial(_paint_levels, pair, level, flags),
        "plain": functools.partial(_paint_plain, pair, flags),
    }
    if flags.levels_only:
        del runs["plain"]
    for name, run in runs.items():
        painted = run()
        reduced = image_io.resize(painted.large, *painted.preview.shape[:2])
        of_preview, of_reduced = judge.style_losses(
            [painted.preview, reduced], pair.style
        )
        row[name] = {
            "ssim": harness.shorten(similarity(reduced, painted.preview)),
            "preview_style": harness.shorten(of_preview),
            "reduced_style": harness.shorten(of_reduced),
            "style_ratio": harness.shorten(of_reduced / of_preview),
            "seconds": round(painted.seconds, 1),
        }
        for size, picture in (
            (f"{flags.preview}", painted.preview),
            (f"{flags.large}", painted.large),
            (f"{flags.large}-reduced", reduced),
        ):
            harness.save_picture(
                flags.pictures, f"{pair.name}-{name}-{size}", picture
            )
    return [row]


def strengths(
    judge: Judge, pair: harness.Pair, flags: argparse.Namespace
) -> list[dict[str, Any]]:
    """Similarity and style at eleven strengths, for each style loss."""
    rows, columns = pair.content.shape[:2]
    photograph = image_io.resize(
        pair.content, *sizes.scale_to_side(rows, columns, flags.strength_size)
    )
    records = []
    for style_loss in flags.style_losses:
        start = time.monotonic()
        pictures = []
        for value in STRENGTHS:
            print(
                f"{pair.name}, {style_loss}, strength {value} ...", flush=True
            )
            painting = api.stylize(
                pair.content,
                pair.style,
                size=flags.strength_size,
                strength=value,
                style_loss=style_loss,
                weights=flags.weights,
            )
            harness.save_picture(
                flags.pictures, f"{pair.name}-{style_loss}-{value}", painting
            )
            pictures.append(painting)
        seconds = time.monotonic() - start
        similar = [similarity(each, photograph) for each in pictures]
        first, *distances = judge.style_losses(
            [photograph, *pictures], pair.style
        )
        changes = np.diff(similar)
        records.append(
            {
                "size": flags.strength_size,
                "style_loss": style_loss,
                "strengths": STRENGTHS,
                "ssim": [harness.shorten(value) for value in similar],
                "style": [
                    harness.shorten(value / first) for value in distances
                ],
                "monotone": bool(changes.max() <= MOST_RISE),
                "largest_rise": harness.shorten(max(0.0, changes.max())),
                "largest_over_mean_step": harness.shorten(
                    np.abs(changes).max() / np.abs(changes).mean()
                ),
                "style_at_half": harness.shorten(
                    distances[STRENGTHS.index(0.5)] / first
                ),
                "seconds": round(seconds, 1),
            }
        )
    return records


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of two pictures, [H, W, 3] in [0, 1], at most 1.

    Source:
        Wang, Bovik, Sheikh, Simoncelli. Image Quality Assessment: From Error
        Visibility to Structural Similarity. IEEE TIP 2004; the mean of R, G, B.
    """
    import tensorflow as tf

    images = (tf.constant(image[None], tf.float32) for image in (a, b))
    return float(tf.image.ssim(*images, max_val=1.0)[0])


def _preview_level(
    pair: harness.Pair, flags: argparse.Namespace
) -> tuple[int, bool]:
    """Which level of the large run is the preview; whether a run makes it."""
    rows, columns = pair.content.shape[:2]
    large, small = (
        schedule.list_all_levels(
            settings.Job(), *sizes.scale_to_side(rows, columns, size)
        )
        for size in (flags.large, flags.preview)
    )
    sides = [max(level[:2]) for level in large]
    if flags.preview not in sides[:-1]:
        raise SystemExit(
            f"preview is {flags.preview}, but the levels of {pair.name} at "
            f"{flags.large} are {', '.join(map(str, sides))}; pass one of "
            f"them but the last."
        )
    level = sides.index(flags.preview)
    return level, large[: level + 1] == small


def _paint_levels(
    pair: harness.Pair, level: int, flags: argparse.Namespace
) -> Painted:
    """Runs the default job; the preview is what a level ends with."""
    print(f"{pair.name}, levels, {flags.large} ...", flush=True)
    start = time.monotonic()
    preview = last = None
    for step in api.stylize_steps(
        pair.content, pair.style, size=flags.large, weights=flags.weights
    ):
        # A step's image is to be read before the next step is taken.
        if step.level == level and step.index == _steps_of(level):
            preview = results.read_image(step)
        last = step
    assert preview is not None and last is not None
    large = results.read_image(last)
    return Painted(preview, large, time.monotonic() - start)


def _steps_of(level: int) -> int:
    """Steps that the default job takes at a level."""
    steps = schedule.list_steps(settings.Job())
    return steps[min(level, len(steps) - 1)]


def _paint_plain(pair: harness.Pair, flags: argparse.Namespace) -> Painted:
    """Runs the job with one level, at both sizes."""

    def paint(size: int) -> np.ndarray:
        print(f"{pair.name}, one level, {size} ...", flush=True)
        return api.stylize(
            pair.content,
            pair.style,
            size=size,
            levels=1,
            steps=PLAIN_STEPS,
            weights=flags.weights,
        )

    start = time.monotonic()
    preview, large = paint(flags.preview), paint(flags.large)
    return Painted(preview, large, time.monotonic() - start)


def _gradients_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Writes the part for people, in lines of at most 80 columns."""
    small, large = rows[0]["sizes"]
    lines = [
        "\ncontent gradient over style gradient, both weighted",
        f"{'':38}{small:>9}{large:>9}{'ratio':>9}  target",
    ]
    for row in rows:
        ratios = "".join(f"{value:9.4g}" for value in row["content_over_style"])
        met = LEAST_GRADIENTS <= row["ratio"] <= MOST_GRADIENTS
        lines.append(
            f"{row['pair'][:37]:38}{ratios}{row['ratio']:9.3f}  "
            f"{harness.say_met(met)}"
        )
    median = statistics.median(row["ratio"] for row in rows)
    met = abs(median - 1) <= MEDIAN_DEVIATION
    lines.append(f"{'median':38}{'':18}{median:9.3f}  {harness.say_met(met)}")
    lines.append(
        f"targets: {LEAST_GRADIENTS} to {MOST_GRADIENTS} each, the median "
        f"within {MEDIAN_DEVIATION:.0%} of 1"
    )
    return "\n".join(lines)


def _sizes_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Writes the part for people, in lines of at most 80 columns."""
    preview, large = rows[0]["sizes"]
    lines = [
        f"\na picture of {large}, reduced, beside its preview of {preview}",
        f"{'':31}{'':8}{'SSIM':>7}{'style':>9}{'preview':>9}{'ratio':>7}  "
        f"targets",
    ]
    for row in rows:
        for name in ("levels", "plain"):
            if name not in row:
                continue
            run = row[name]
            met = (
                run["ssim"] >= LEAST_SIMILARITY
                and run["style_ratio"] <= MOST_STYLE
            )
            lines.append(
                f"{row['pair'][:30]:31}{name:8}{run['ssim']:7.3f}"
                f"{run['reduced_style']:9.4f}{run['preview_style']:9.4f}"
                f"{run['style_ratio']:7.2f}  {harness.say_met(met)}"
            )
        if not row["preview_exact"]:
            lines.append(
                f"{row['pair'][:30]}: a run of {preview} has other levels than "
                f"these."
            )
    lines.append(
        f"targets: SSIM at least {LEAST_SIMILARITY}, ratio at most {MOST_STYLE}"
    )
    return "\n".join(lines)


def _strengths_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Writes the part for people, in lines of at most 80 columns."""
    lines = []
    for row in rows:
        lines.append(f"\n{row['pair']}, {row['style_loss']}, {row['size']}")
        for name in ("strengths", "ssim", "style"):
            digits = 1 if name == "strengths" else 3
            figures = "".join(f"{value:6.{digits}f}" for value in row[name])
            lines.append(f"{name.removesuffix('s'):12}{figures}")
        step, half = row["largest_over_mean_step"], row["style_at_half"]
        lines.append(
            f"SSIM falls: {'yes' if row['monotone'] else 'NO'} (rises by up to "
            f"{row['largest_rise']:.4f}, {MOST_RISE} at most)"
        )
        lines.append(
            f"largest step / mean: {step:.2f}, "
            f"{harness.say_met(step <= MOST_STEP)} ({MOST_STEP} at most)"
        )
        lines.append(
            f"style at 0.5 / photograph's: {half:.3f}, "
            f"{harness.say_met(half <= MOST_STYLE_AT_HALF)} "
            f"({MOST_STYLE_AT_HALF} at most)"
        )
    return "\n".join(lines)


Table = Callable[[Sequence[Mapping[str, Any]]], str]
PARTS: Mapping[str, tuple[Part, Table]] = {
    "gradients": (gradients, _gradients_table),
    "sizes": (compare_sizes, _sizes_table),
    "strength": (strengths, _strengths_table),
}


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the flags."""
    parser = harness.make_parser(__doc__, "consistency")
    names = ",".join(PARTS)
    add = parser.add_argument
    add("--parts", default=names, help=f"some of them ({names})")
    add("--pair", action="append", help="CONTENT:STYLE, paths; repeat it")
    add("--weights", default="auto", help="auto, imagenet, small, or a file")
    add("--small", type=int, default=256, help="long side, gradients (256)")
    add("--large", type=int, default=1024, help="gradients, sizes (1024)")
    add("--preview", type=int, default=512, help="sizes: a level (512)")
    add(
        "--levels_only",
        action="store_true",
        help="sizes: without the runs of one level",
    )
    add("--strength_size", type=int, default=256, help="strength (256)")
    known = ",".join(style_kinds.STYLE_LOSSES)
    add("--style_losses", default="gram", help=f"of {known} (gram)")
    add("--pictures", type=Path, help="folder for the pictures")
    flags = parser.parse_args(arguments)
    flags.parts = flags.parts.split(",")
    if set(flags.parts) - set(PARTS):
        parser.error(f"--parts: expected some of {names}")
    flags.style_losses = flags.style_losses.split(",")
    if set(flags.style_losses) - set(style_kinds.STYLE_LOSSES):
        parser.error(f"--style_losses: expected some of {known}")
    if "gradients" in flags.parts and not 32 <= flags.small < flags.large:
        parser.error("--small: expected 32 or more, and less than --large")
    if flags.strength_size < 32:
        parser.error("--strength_size: expected 32 or more")
    return flags


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
