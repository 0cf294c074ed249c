"""Scores a film: how much its frames agree, and how they look one by one."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from nst_tf.images import image_io
from nst_tf.judge import figures, judging
from nst_tf.video import cuts, flow, frames, warping


@dataclasses.dataclass(frozen=True)
class FrameScores:
    """The scores of a frame of a film.

    Attributes:
        index: The frame's place in the film, from 0.
        warping: Mean squared difference to the frame before, warped to it, over
            the pixels that are known there; None at the first frame of a scene.
        source: The same of the content film.
        style: The judge's distance to the style; None without a judge.
        content: The judge's distance to the content; None without a judge.
        detail: Mean squared Laplacian of the luma.
        uncovered: The judge's distance of the pixels that the frame before does
            not know to the style; None if there are none, or no judge.
    """

    index: int
    warping: float | None
    source: float | None
    style: float | None
    content: float | None
    detail: float
    uncovered: float | None


@dataclasses.dataclass(frozen=True)
class FilmScores:
    """The scores of a film, over its frames; docs/video.md explains them.

    Attributes:
        warping: Mean of the frames' warping errors; None for one frame.
        warping_95: Their 95th percentile.
        source: Mean of the warping errors of the content film.
        source_95: Their 95th percentile.
        style: Mean of the distances to the style; None without a judge.
        content: Mean of the distances to the content; None without a judge.
        frames: The scores of each frame.
    """

    warping: float | None
    warping_95: float | None
    source: float | None
    source_95: float | None
    style: float | None
    content: float | None
    frames: Sequence[FrameScores]


class FilmJudge:
    """Scores the frames of a film in their order; keeps one frame.

    Args:
        source: Where the optical flow of the content comes from.
        judge: Scores single pictures; None: leaves these scores out.
        styles: The style images, as `judging.judge_image` accepts them.
    """

    def __init__(
        self,
        source: flow.Flow,
        judge: judging.Judge | None = None,
        styles: Sequence[np.ndarray] = (),
    ):
        self._flow = source
        self._judge = judge
        self._styles = list(styles)
        self._subject: judging.Subject | None = None
        self._before: frames.Painted | None = None
        self._scores: list[FrameScores] = []

    def add(self, frame: frames.Frame, picture: np.ndarray) -> FrameScores:
        """Scores the next frame.

        Args:
            frame: The frame of the content.
            picture: As it is shown, [height, width, 3] in [0, 1].
        """
        content = image_io.resize(frame.pixels, *picture.shape[:2])
        now = frames.Painted(
            dataclasses.replace(frame, pixels=content), picture
        )
        known = error = of_source = None
        if self._before is not None:
            known, error, of_source = compare(now, self._before, self._flow)
        self._before = now
        style = missing = distance = None
        if self._judge is not None:
            subject = self._find_subject(self._judge, content)
            shown = image_io.Picture(picture)
            found = self._judge.judge(shown, subject, f"frame {frame.index}")
            style, distance = found.style, found.content
            if known is not None and not known.all():
                part = subject.content._replace(alpha=1 - known)
                subject = subject._replace(content=part)
                missing = self._judge.judge(shown, subject).style
        scores = FrameScores(
            frame.index,
            error,
            of_source,
            style,
            distance,
            float(figures.measure_laplacian(picture)[0]),
            missing,
        )
        self._scores.append(scores)
        return scores

    def summarize(self) -> FilmScores:
        """Summarizes the scores of all frames so far."""

        def collect(name: str) -> list[float]:
            found = (getattr(scores, name) for scores in self._scores)
            return [value for value in found if value is not None]

        def average(name: str) -> float | None:
            values = collect(name)
            return float(np.mean(values)) if values else None

        def take_95(name: str) -> float | None:
            values = collect(name)
            return float(np.percentile(values, 95)) if values else None

        return FilmScores(
            average("warping"),
            take_95("warping"),
            average("source"),
            take_95("source"),
            average("style"),
            average("content"),
            tuple(self._scores),
        )

    def _find_subject(
        self, judge: judging.Judge, content: np.ndarray
    ) -> judging.Subject:
        """Returns a frame of the content with the styles, read once."""
        if self._subject is None:
            self._subject = judge.read_subject(content, self._styles)
        picture = image_io.Picture(content)
        self._subject = self._subject._replace(content=picture)
        return self._subject


def compare(
    now: frames.Painted, before: frames.Painted, source: flow.Flow
) -> tuple[np.ndarray, float | None, float | None]:
    """Compares a painted frame with the one before it.

    Args:
        now: The frame.
        before: The frame before it, of the same size.
        source: Where the optical flow of their contents comes from.

    Returns:
        Where the frame is known from the one before, [H, W], and the warping
        errors of the results and of the contents; None at a scene cut.
    """
    away = source.find(now.frame, before.frame)
    back = source.find(before.frame, now.frame)
    known = warping.compute_confidence(away, back)
    content = warping.warp(before.frame.pixels, away)
    if cuts.is_cut(now.frame.pixels, content, known):
        return np.zeros_like(known), None, None
    result = warping.warp(before.result, away)
    return (
        known,
        measure_error(now.result, result, known),
        measure_error(now.frame.pixels, content, known),
    )


def measure_error(
    image: np.ndarray, other: np.ndarray, mask: np.ndarray
) -> float:
    """Averages the squared difference of two images over a mask, [H, W]."""
    squares = np.square(image.astype(np.float64) - other).mean(axis=-1)
    return float((squares * mask).sum() / mask.sum())
