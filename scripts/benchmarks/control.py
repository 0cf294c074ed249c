"""Measures the effects of masks, blends, colors and stroke sizes.

    python scripts/benchmarks/control.py --weights=VGG19.h5 --pictures=FOLDER

Each content image is painted with two styles, all by the default job, its
network and precision, but for what is measured, in four parts:

    regions  two styles, above and below a soft horizon; and the first in a
             disc of a tenth of the area. For each region the distance to its
             style, over that of a run with this style alone: `same_place`, on
             the whole picture, measured in the region; `whole`, the same run,
             measured on the whole picture; `company`, in that region, nothing
             being painted beside it. And `seam`: the mean gradient along the
             mask's edge over that elsewhere, over the same of both styles alone
    blends   five shares of the two styles: the distances to each
    colors   the chroma of a picture with the content's, and its difference from
             that; mean and covariance of a style that is matched
    scale    stripes, painted at three scales: about which wavelength most
             power of the result is

A distance is the mean, over the style layers, of the relative distances of Gram
matrices, in the region that is named.

The fair one of the three ratios is `company`: both runs minimize one distance
over the same pixels, with the other style beside them and without. `same_place`
flatters. The Gram matrix of a picture is the mean of those of its parts, so
that a run on all of it may paint its parts differently, as far as that cancels;
by convexity they are, on average, further from the style than the whole is, and
are found 4 to 23 times as far. The run with regions minimizes just that.
`whole` measures each run by what it minimizes, and is hard on a region: it has
fewer positions to make all of a style of, in the deep layers fewer than the
style's matrix has rows. All three are held to one target.

The edge between a style of strong contrasts and one of faint ones has a
gradient between theirs: so `seam` may be above 1 around a disc without a seam.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import consistency
import harness
import numpy as np

from nst_tf.backend import device
from nst_tf.images import color, image_io, sizes
from nst_tf.network import weight_files
from nst_tf.plan import settings
from nst_tf.runs import api, results

CASES = {
    "tubingen": ("starry_night", "composition_vii"),
    "golden_gate": ("great_wave", "shipwreck"),
    "lion": ("the_scream", "wheat_field"),
}
SOFT = 0.06  # width of a mask's edge, of the picture's height
SMALL = 0.1  # area of the small region, of the picture's
BAND = 0.05  # of the mask: what is further from 0 and 1 is its edge,
LINE = 0.1  # and what is so near to 0.5 is its middle
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the second style
SCALES = (0.5, 1.0, 2.0)
FAINT = 0.01  # chroma in Oklab that is hardly seen
PERIOD = 1 / 32  # of the stripes, of the long side

# What is aimed at.
MOST_OVER = 1.25  # a region's distance over that of its style alone
MOST_SEAM = 1.25  # gradient along an edge, over what it is without one
MOST_CHROMA = 0.01  # relative difference
MOST_MOMENTS = 1e-4  # difference of means and covariances, in [0, 1]
MOST_WAVELENGTH = 0.15  # relative difference from scale times that of scale 1


class Case(NamedTuple):
    """A content image and two styles, each [H, W, 3] in [0, 1]."""

    name: str
    content: np.ndarray
    styles: tuple[np.ndarray, np.ndarray]
    style_names: tuple[str, str]


class Painter:
    """Paints by the default job, and each picture once."""

    def __init__(self, flags: argparse.Namespace):
        self._flags = flags
        self._painted: dict[str, np.ndarray] = {}

    def paint(
        self,
        name: str,
        content: np.ndarray,
        styles: Sequence[np.ndarray],
        **settings: Any,
    ) -> np.ndarray:
        """What is painted, before the content's chroma is laid over it."""
        if name not in self._painted:
            start = time.monotonic()
            for step in api.stylize_steps(
                content,
                styles,
                size=self._flags.size,
                weights=self._flags.weights,
                **settings,
            ):
                last = step
            self._painted[name] = results.read_image(last)
            self.save(name, self._painted[name])
            seconds = time.monotonic() - start
            print(f"{name}: {seconds:.0f} s", flush=True)
        return self._painted[name]

    def alone(self, case: Case, index: int) -> np.ndarray:
        """The whole content in one of its styles."""
        return self.paint(
            f"{case.name}-{case.style_names[index]}",
            case.content,
            [case.styles[index]],
        )

    def save(self, name: str, picture: np.ndarray) -> None:
        """Writes a picture, if there is a folder for it."""
        harness.save_picture(self._flags.pictures, name, picture)


def main(arguments: Sequence[str]) -> int:
    """Runs the parts, prints tables, appends a line for each case."""
    flags = _parse(arguments)
    device.prepare()
    try:
        cases = [_read(name, flags.images) for name in flags.cases]
        network = weight_files.load(settings.Job().extractor, flags.weights)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    head = {
        **harness.describe_machine(),
        "device": device.describe(),
        "precision": device.resolve_precision(settings.Job().precision),
        "weights": "vgg19" if network.projections is None else "small",
    }
    judge, painter = consistency.Judge(network), Painter(flags)
    for name in flags.parts:
        measure, table = PARTS[name]
        rows = []
        for case in cases[:1] if name == "scale" else cases:
            row = measure(judge, painter, case, flags.size)
            rows.append(row)
            record = {**head, "part": name, "size": flags.size, **row}
            harness.append(flags.json, record)
        print(table(rows), flush=True)
    return 0


def regions(
    judge: consistency.Judge, painter: Painter, case: Case, size: int
) -> dict[str, Any]:
    """Each region's distance to its style, over that of the style alone."""
    shape = case.content.shape[:2]
    masks = {"horizon": horizon(*shape), "disc": disc(*shape)}
    photograph = _photograph(case, size)
    alone = [painter.alone(case, index) for index in (0, 1)]
    row: dict[str, Any] = {"case": case.name, "styles": case.style_names}
    for place, white in masks.items():
        both = painter.paint(
            f"{case.name}-{place}",
            case.content,
            case.styles,
            content_mask=white,
        )
        row[place] = {"seam": _seam(both, white, [photograph, *alone])}
        for index, mask in enumerate((white, 1 - white)):
            if place == "disc" and index:
                continue  # what is not the disc is nearly all
            style, its_name = case.styles[index], case.style_names[index]
            only = painter.paint(
                f"{case.name}-{place}-{its_name}-only",
                case.content,
                [style],
                content_mask=mask,
            )
            own, without, same_place, before = judge.style_losses(
                [both, only, alone[index], photograph], style, mask
            )
            (elsewhere,) = judge.style_losses([alone[index]], style, 1 - mask)
            (whole,) = judge.style_losses([alone[index]], style)
            row[place][its_name] = {
                "area": harness.shorten(mask.mean()),
                "distance": harness.shorten(own),
                "photograph": harness.shorten(before),
                "alone": {
                    "same_place": harness.shorten(same_place),
                    "elsewhere": harness.shorten(elsewhere),
                    "whole": harness.shorten(whole),
                    "company": harness.shorten(without),
                },
                "over": {
                    "same_place": harness.shorten(own / same_place),
                    "whole": harness.shorten(own / whole),
                    "company": harness.shorten(own / without),
                },
            }
    first = case.style_names[0]
    row["small_over_half"] = harness.shorten(
        row["disc"][first]["distance"] / row["horizon"][first]["distance"]
    )
    return row


def blends(
    judge: consistency.Judge, painter: Painter, case: Case, size: int
) -> dict[str, Any]:
    """The distances to both styles, along the shares."""
    del size
    pictures = [
        # A style without a share has no part, which
        # tests/plan/test_style_settings.py shows.
        painter.alone(case, int(share))
        if share in (0, 1)
        else painter.paint(
            f"{case.name}-blend-{share}",
            case.content,
            case.styles,
            style_blend=(1 - share, share),
        )
        for share in SHARES
    ]
    first, second = (
        judge.style_losses(pictures, style) for style in case.styles
    )
    return {
        "case": case.name,
        "styles": case.style_names,
        "shares": SHARES,
        "to_first": [harness.shorten(value) for value in first],
        "to_second": [harness.shorten(value) for value in second],
        "monotone": bool((np.diff(first) > 0).all())
        and bool((np.diff(second) < 0).all()),
    }


def colors(
    judge: consistency.Judge, painter: Painter, case: Case, size: int
) -> dict[str, Any]:
    """How near colors are to those that they are to be."""
    del judge
    photograph, style = _photograph(case, size), case.styles[0]
    row: dict[str, Any] = {"case": case.name, "style": case.style_names[0]}
    painted = {
        "content": painter.alone(case, 0),
        "luminance": painter.paint(
            f"{case.name}-luminance-painted",
            case.content,
            [style],
            color="luminance",
        ),
    }
    for name, picture in painted.items():
        result = color.transfer_chroma(picture, photograph)  # as a job ends
        painter.save(f"{case.name}-color-{name}", result.image)
        rounded = np.rint(255 * np.clip(result.image, 0, 1)) / 255
        row[name] = {
            "painted_chroma": harness.shorten(
                _chroma_error(picture, photograph)
            ),
            "chroma": harness.shorten(_chroma_error(result.image, photograph)),
            "of_8_bits": harness.shorten(_chroma_error(rounded, photograph)),
            "gave_way": harness.shorten(result.share),
        }
    matched = color.match_moments(style, case.content)
    row["match"] = {
        "moments": harness.shorten(_moments_error(matched.image, case.content)),
        "clipped_moments": harness.shorten(
            _moments_error(np.clip(matched.image, 0, 1), case.content)
        ),
        "clipped": harness.shorten(matched.share),
    }
    return row


def scale(
    judge: consistency.Judge, painter: Painter, case: Case, size: int
) -> dict[str, Any]:
    """The wavelengths of stripes that are painted on gray."""
    del judge, case
    height, width = size * 3 // 4, size
    wave = np.sin(2 * np.pi * np.arange(width) / (PERIOD * width))
    stripes = np.tile(0.5 + 0.4 * np.sign(wave)[None, :, None], (height, 1, 3))
    gray = np.full((height, width, 3), 0.5, np.float32)
    lengths = [
        wavelength(
            painter.paint(
                f"stripes-{factor}",
                gray,
                [stripes.astype(np.float32)],
                style_scale=factor,
                init="noise",
                content_weight=0,
            )
        )
        for factor in SCALES
    ]
    plain = lengths[SCALES.index(1.0)]
    return {
        "stripes": PERIOD * width,
        "scales": SCALES,
        "wavelengths": [harness.shorten(length) for length in lengths],
        "over_scale_1": [harness.shorten(length / plain) for length in lengths],
    }


def horizon(height: int, width: int) -> np.ndarray:
    """A mask that is white above the middle, with a soft edge, [H, W]."""
    rows = (np.arange(height) + 0.5) / height
    column = np.clip(0.5 - (rows - 0.5) / SOFT, 0, 1)
    return np.repeat(column[:, None], width, axis=1).astype(np.float32)


def disc(height: int, width: int) -> np.ndarray:
    """A mask with a white disc in the middle, with a soft edge, [H, W]."""
    rows, columns = np.indices((height, width), np.float32) + 0.5
    distance = np.hypot(rows - height / 2, columns - width / 2)
    radius = np.sqrt(SMALL * height * width / np.pi)
    mask = np.clip(0.5 - (distance - radius) / (SOFT * height), 0, 1)
    return mask.astype(np.float32)


def wavelength(image: np.ndarray) -> float:
    """The wavelength, in pixels, about which most power of a picture is."""
    gray = image.mean(axis=-1)
    window = np.outer(*[np.hanning(side) for side in gray.shape])
    power = np.abs(np.fft.fft2((gray - gray.mean()) * window, (1024, 1024)))
    rows, columns = np.meshgrid(*[np.fft.fftfreq(1024)] * 2, indexing="ij")
    frequency = np.hypot(rows, columns)
    bounds = np.geomspace(1 / 64, 1 / 3, 60)
    sums = np.histogram(frequency, bounds, weights=power**2)[0]
    peak = int(sums.argmax())
    low, high = bounds[max(peak - 2, 0)], bounds[min(peak + 3, 59)]
    near = (frequency >= low) & (frequency < high)
    return float(1 / np.average(frequency[near], weights=power[near] ** 2))


def _seam(
    both: np.ndarray, mask: np.ndarray, others: Sequence[np.ndarray]
) -> dict[str, Any]:
    """The gradient along an edge over that elsewhere; others have no edge."""
    mask = image_io.resize_alpha(mask, *both.shape[:2])
    off = np.abs(mask - 0.5)
    band, line = off < 0.5 - BAND, off <= max(LINE, off.min())
    found = {}
    for name, edge in (("band", band), ("line", line)):
        own, photograph, *alone = (
            _edge_ratio(picture, edge, ~band) for picture in (both, *others)
        )
        found[name] = {
            "ratio": harness.shorten(own),
            "photograph": harness.shorten(photograph),
            "alone": [harness.shorten(value) for value in alone],
            "over_alone": harness.shorten(own / np.mean(alone)),
        }
    return found


def _edge_ratio(
    picture: np.ndarray, edge: np.ndarray, elsewhere: np.ndarray
) -> float:
    """Mean magnitude of the gradient of the gray picture at both places."""
    magnitude = np.hypot(*np.gradient(picture.mean(axis=-1)))
    return float(magnitude[edge].mean() / magnitude[elsewhere].mean())


def _chroma_error(picture: np.ndarray, other: np.ndarray) -> float:
    """Root mean square difference of chroma, over the other's or `FAINT`."""
    ours, theirs = (color.to_oklab(each)[..., 1:] for each in (picture, other))
    difference, size = (
        np.sqrt((each**2).sum(axis=-1).mean())
        for each in (ours - theirs, theirs)
    )
    return float(difference / max(size, FAINT))


def _moments_error(picture: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of mean colors and of covariances."""
    ours, theirs = (each.reshape(-1, 3) for each in (picture, other))
    mean = np.abs(ours.mean(0, dtype=np.float64) - theirs.mean(0, dtype="f8"))
    spread = np.abs(np.cov(ours.T, ddof=0) - np.cov(theirs.T, ddof=0))
    return float(max(mean.max(), spread.max()))


def _photograph(case: Case, size: int) -> np.ndarray:
    """The content image at the size of the output."""
    rows, columns = case.content.shape[:2]
    height, width = sizes.scale_to_side(rows, columns, size)
    return image_io.resize(case.content, height, width)


def _regions_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Writes the part for people, in lines of at most 80 columns."""
    lines = [
        "\na region's distance to its style, over that of the style alone",
        f"{'':34}{'area':>5}{'distance':>10}{'same place':>12}{'whole':>9}"
        f"{'company':>9}",
    ]
    for row in rows:
        for place in ("horizon", "disc"):
            for style in row["styles"]:
                if style not in row[place]:
                    continue
                one = row[place][style]
                name = f"{row['case']}, {place}, {style}"
                ratios = [
                    f"{value:.2f}{'*' if value > MOST_OVER else ' '}"
                    for value in one["over"].values()
                ]
                lines.append(
                    f"{name[:33]:34}{one['area']:5.2f}{one['distance']:10.4f}"
                    f"{ratios[0]:>13}{ratios[1]:>9}{ratios[2]:>9}"
                )
    lines.append(f"target: at most {MOST_OVER}; *: not met")
    for row in rows:
        lines.append(
            f"{row['case']}: the small region's distance over that of a half, "
            f"{row['small_over_half']:.2f}"
        )
    lines.append(
        "\ngradient along the edge over that elsewhere, over both alone"
    )
    for row in rows:
        for place in ("horizon", "disc"):
            band, line = (
                row[place]["seam"][name]["over_alone"]
                for name in ("band", "line")
            )
            lines.append(
                f"{row['case'] + ', ' + place:33}edge {band:5.2f}, its middle "
                f"{line:5.2f}  {harness.say_met(max(band, line) <= MOST_SEAM)}"
            )
    lines.append(f"target: at most {MOST_SEAM}")
    return "\n".join(lines)


def _blends_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Writes the part for people, in lines of at most 80 columns."""
    lines = ["\ndistances to both styles, by the share of the second"]
    for row in rows:
        lines.append(f"{row['case']:33}" + "".join(f"{s:9.2f}" for s in SHARES))
        for style, name in zip(
            row["styles"], ("to_first", "to_second"), strict=True
        ):
            lines.append(
                f"  to {style:28}" + "".join(f"{d:9.4f}" for d in row[name])
            )
        lines.append(f"  monotone: {'yes' if row['monotone'] else 'NO'}")
    return "\n".join(lines)


def _colors_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Writes the part for people, in lines of at most 80 columns."""
    lines = [
        "\nrelative difference of the chroma from the content's",
        f"{'':33}{'painted':>9}{'result':>9}{'8 bits':>9}{'gave way':>10}",
    ]
    for row in rows:
        for name in ("content", "luminance"):
            one = row[name]
            lines.append(
                f"{row['case'] + ', ' + name:33}{one['painted_chroma']:9.4f}"
                f"{one['chroma']:9.5f}{one['of_8_bits']:9.4f}"
                f"{one['gave_way']:10.2%}  "
                f"{harness.say_met(one['chroma'] <= MOST_CHROMA)}"
            )
    lines.append(f"target: result, at most {MOST_CHROMA}")
    lines.append("\ndifference of mean and covariance, matched style, content")
    for row in rows:
        one = row["match"]
        lines.append(
            f"{row['case']:33}{one['moments']:9.1e}, clipped "
            f"{one['clipped_moments']:.4f}, {one['clipped']:.2%} of values, "
            f"{harness.say_met(one['moments'] <= MOST_MOMENTS)}"
        )
    lines.append(f"target: at most {MOST_MOMENTS}, before they are clipped")
    return "\n".join(lines)


def _scale_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Writes the part for people, in lines of at most 80 columns."""
    lines = []
    for row in rows:
        lines.append(f"\nstripes of {row['stripes']:g} pixels, painted on gray")
        for factor, length, over in zip(
            row["scales"], row["wavelengths"], row["over_scale_1"], strict=True
        ):
            met = abs(over / factor - 1) <= MOST_WAVELENGTH
            lines.append(
                f"scale {factor:4.1f}: {length:6.2f} pixels, {over:.2f} times "
                f"that of scale 1  {harness.say_met(met)}"
            )
        lines.append(f"target: the scale, within {MOST_WAVELENGTH:.0%}")
    return "\n".join(lines)


Part = Callable[[consistency.Judge, Painter, Case, int], dict[str, Any]]
Table = Callable[[Sequence[Mapping[str, Any]]], str]
PARTS: Mapping[str, tuple[Part, Table]] = {
    "regions": (regions, _regions_table),
    "blends": (blends, _blends_table),
    "colors": (colors, _colors_table),
    "scale": (scale, _scale_table),
}


def _read(name: str, folder: Path) -> Case:
    """Reads the pictures of a case."""
    first, second = CASES[name]
    return Case(
        name,
        image_io.load_image(folder / "content" / f"{name}.jpg"),
        (
            image_io.load_image(folder / "style" / f"{first}.jpg"),
            image_io.load_image(folder / "style" / f"{second}.jpg"),
        ),
        (first, second),
    )


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the flags."""
    parser = harness.make_parser(__doc__, "control")
    parts, cases = ",".join(PARTS), ",".join(CASES)
    images = harness.ROOT.parent / "shared" / "images"
    add = parser.add_argument
    add("--parts", default=parts, help=f"some of them ({parts})")
    add("--cases", default=cases, help=f"some of them ({cases})")
    add(
        "--images",
        type=Path,
        default=images,
        help="folder with content/ and style/ (../shared/images)",
    )
    add("--size", type=int, default=512, help="long side (512)")
    add("--weights", default="auto", help="auto, imagenet, small, or a file")
    add("--pictures", type=Path, help="folder for the pictures")
    flags = parser.parse_args(arguments)
    for name, known in (("parts", PARTS), ("cases", CASES)):
        chosen = getattr(flags, name).split(",")
        if set(chosen) - set(known):
            parser.error(f"--{name}: expected some of {','.join(known)}")
        setattr(flags, name, chosen)
    if flags.size < 64:
        parser.error("--size: expected 64 or more")
    return flags


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
