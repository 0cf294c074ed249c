"""How much the frames of a film agree, beside frames painted one by one.

    python scripts/benchmarks/films.py [--weights=auto] [--pictures=FOLDER]

A clip of moving scenery (samples/moving_scene.py), whose optical flow is known
exactly, is painted in several ways. Warping errors are mean squared differences
to the frame before, over the pixels that are visible in both. Errors, distances
and seconds are divided by those of frames painted one by one; the largest ratio
of all frames counts. Seconds are those of the processor, whatever else it does.
The run "passes" paints the film forward and backward; "warped" paints the first
frame and warps it on, as cubically as the painter does, and must not meet the
targets.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import harness
import numpy as np

sys.path.insert(0, str(harness.ROOT / "scripts"))

from samples import moving_scene

RUNS = "alone,exact,passes,dis,deepflow,none,warped"
# The largest ratios that a film may have; of its detail, the smallest.
LARGEST = {"warping": 0.35, "style": 1.15, "content": 1.1, "seconds": 0.4}
SMALLEST = {"detail": 0.85}  # the last frame's over the first one's


def main(arguments: Sequence[str]) -> int:
    """Paints and scores each run; prints and appends a line for it."""
    flags = _parse(arguments)
    harness.hide_gpus()
    bench = _Bench(flags)
    alone = None
    for name in flags.runs:
        try:
            found = bench.paint(name)
        except ValueError as error:  # this OpenCV lacks the method
            print(f"{name:9}{error}")
            continue
        alone = alone or found
        row = _compare(found, alone)
        print(f"{name:9}{_describe(row)}", flush=True)
        harness.append(
            flags.json,
            {**harness.describe_machine(), **bench.facts, "run": name, **row},
        )
    return 0


class _Bench:
    """The clip, and what paints and scores it.

    Attributes:
        facts: The part of a record that all runs have.
    """

    def __init__(self, flags: argparse.Namespace):
        from nst_tf.images import image_io
        from nst_tf.judge import judging
        from nst_tf.plan import inputs, settings
        from nst_tf.video import film_painter, frames

        self._flags = flags
        self._clip = moving_scene.Clip(flags.size * 9 // 16, flags.size)
        self._frames = [
            frames.Frame(
                n, Fraction(n, 24), Fraction(1, 24), self._clip.frame(n)
            )
            for n in range(flags.frames)
        ]
        self._agreement = film_painter.Agreement(
            flags.look_back, flags.temporal_weight, flags.frame_steps
        )
        self._job = settings.Job(
            size=flags.size, weights=flags.weights, steps=tuple(flags.steps)
        )
        self._style = image_io.load_picture(flags.style)
        content = image_io.Picture(self._frames[0].pixels)
        weights = inputs.load_network(self._job)
        self._read = inputs.Inputs(
            content, (self._style,), [1], network=weights
        )
        self._judge = judging.Judge({})
        self.facts = {
            "size": [self._clip.width, self._clip.height],
            "frames": flags.frames,
            "weights": flags.weights,
            "steps": list(flags.steps),
            "style": Path(flags.style).stem,
            "temporal_weight": flags.temporal_weight,
            "look_back": list(flags.look_back),
        }

    def paint(self, name: str) -> dict[str, Any]:
        """Paints the film in one way, and scores it."""
        from nst_tf.video import film_judge, film_painter, flow

        exact = _Exact(self._clip)
        source = flow.make(name) if name in flow.METHODS else exact
        painter = film_painter.FilmPainter(
            self._job, self._read, self._agreement, source
        )
        film = _Film(self._frames, painter)
        if name == "warped":
            film.paint_first()
            film.warp(exact)
        else:
            film.paint(is_alone=name == "alone")
        if name == "passes":
            film.paint_backward()
        score = film_judge.FilmJudge(exact, self._judge, [self._style.pixels])
        for frame in self._frames:
            result = film.results[frame.index]
            score.add(frame, result)
            harness.save_picture(
                self._flags.pictures, f"{name}-{frame.index + 1:02}", result
            )
        return {
            "scores": score.summarize(),
            "seconds": film.seconds,
            "traces": painter.traces,
            "endpoint": self._measure_flow(source),
        }

    def _measure_flow(self, source: Any) -> float:
        """Returns the mean end-point error of flow over visible pixels."""
        errors = []
        for before, now in itertools.pairwise(self._frames):
            away, visible = self._clip.flow(now.index, before.index)
            off = np.linalg.norm(source.find(now, before) - away, axis=-1)
            errors.append(off[visible].mean())
        return float(np.mean(errors))


class _Film:
    """A film as it is painted.

    Attributes:
        results: The painted frames, by index.
        seconds: Of the processor, for each frame that was painted.
    """

    def __init__(self, content: Sequence[Any], painter: Any):
        self.results: dict[int, np.ndarray] = {}
        self.seconds: list[float] = []
        self._content, self._painter = content, painter

    def paint(self, *, is_alone: bool = False) -> None:
        """Paints all frames; alone, they know nothing of each other."""
        for frame in self._content:
            recent = {} if is_alone else self._find_recent(frame.index, 1)
            self.results[frame.index] = self._paint(frame, recent)

    def paint_first(self) -> None:
        """Paints the first frame."""
        self.results[0] = self._paint(self._content[0], {})

    def paint_backward(self) -> None:
        """Paints all frames again, from the last to the first."""
        earlier, self.results = self.results, {}
        for frame in reversed(self._content):
            recent = self._find_recent(frame.index, -1)
            self.results[frame.index] = self._paint(
                frame, recent, earlier[frame.index], 1
            )

    def warp(self, source: Any) -> None:
        """Warps the first frame on to all others."""
        from nst_tf.video import warping

        for before, now in itertools.pairwise(self._content):
            away, start = source.find(now, before), time.process_time()
            warped = warping.warp_sharply(self.results[before.index], away)
            self.results[now.index] = warped
            self.seconds.append(time.process_time() - start)

    def _find_recent(self, index: int, order: int) -> dict[int, Any]:
        """Finds the painted frames that a frame looks back to."""
        from nst_tf.video import frames

        return {
            distance: frames.Painted(self._content[other], self.results[other])
            for distance in self._painter.look_back
            if (other := index - order * distance) in self.results
        }

    def _paint(self, *arguments: Any) -> np.ndarray:
        """Paints a frame, and takes its time."""
        start = time.process_time()
        result: np.ndarray = self._painter.paint(*arguments)
        self.seconds.append(time.process_time() - start)
        return result


class _Exact:
    """The clip's own optical flow."""

    def __init__(self, clip: moving_scene.Clip):
        self._clip = clip

    def find(self, frame: Any, other: Any) -> np.ndarray:
        """Computes the flow; see `flow.Flow`."""
        return self._clip.flow(frame.index, other.index)[0]


def _compare(
    found: Mapping[str, Any], alone: Mapping[str, Any]
) -> dict[str, Any]:
    """Makes the row of a run, with ratios over frames painted one by one."""
    scores, others = found["scores"], alone["scores"]
    by_frame = list(zip(scores.frames, others.frames, strict=True))

    def find_largest(name: str) -> float:
        pairs = [(getattr(a, name), getattr(b, name)) for a, b in by_frame]
        return max(a / b for a, b in pairs)

    first, *later = found["seconds"]
    missing = [f.uncovered for f in scores.frames if f.uncovered is not None]
    ratios = {
        "warping": scores.warping / others.warping,
        "style": find_largest("style"),
        "content": find_largest("content"),
        "detail": scores.frames[-1].detail / scores.frames[0].detail,
        "seconds": float(np.median(later)) / min(alone["seconds"]),
    }
    met = all(ratios[n] <= most for n, most in LARGEST.items())
    met &= all(ratios[n] >= least for n, least in SMALLEST.items())
    row = {
        "warping": scores.warping,
        "warping_95": scores.warping_95,
        "source": scores.source,
        "style": scores.style,
        "content": scores.content,
        "uncovered": float(np.mean(missing)),
        "endpoint": found["endpoint"],
        "first_seconds": first,
        "ratios": {n: harness.shorten(v) for n, v in ratios.items()},
        "traces": found["traces"],
        "met": met,
    }
    return {
        n: harness.shorten(v) if isinstance(v, float) else v
        for n, v in row.items()
    }


def _describe(row: Mapping[str, Any]) -> str:
    """Describes a row in a line."""
    ratios = ", ".join(f"{n} {v:.3f}" for n, v in row["ratios"].items())
    return (
        f"warping error {row['warping']:.6f} (source {row['source']:.6f}), "
        f"uncovered {row['uncovered']:.4f}, end-point {row['endpoint']:.3f}; "
        f"ratios: {ratios}; {harness.say_met(row['met'])}"
    )


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Reads the command line."""
    from nst_tf.video import film_painter

    usual = film_painter.Agreement()
    style = harness.SAMPLES / "swirling_night.jpg"
    parser = harness.make_parser(__doc__, "films")
    add = parser.add_argument
    add("--runs", type=harness.split, default=harness.split(RUNS))
    add("--size", type=int, default=256, help="width of a frame (256)")
    add("--frames", type=int, default=24, help="of the clip (24)")
    add("--style", default=str(style), help="a picture")
    add("--weights", default="small", help="small, auto (VGG19), or a file")
    add("--steps", type=harness.split_numbers, default=[], help="of a picture")
    add("--temporal_weight", type=float, default=usual.temporal_weight)
    add("--frame_steps", type=int, default=usual.frame_steps)
    add("--look_back", type=harness.split_numbers, default=usual.look_back)
    add("--pictures", type=Path, help="gets the frames")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
