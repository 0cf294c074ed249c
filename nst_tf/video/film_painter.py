"""Paints the frames of a film so that they agree.

A frame starts from the results of earlier frames, warped along the optical
flow, and a temporal loss holds what is known of it in place. The first frame of
a scene takes all steps of a picture; the others take fewer, at the full size.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nst_tf.backend import device, replicas
from nst_tf.images import image_io, transparency
from nst_tf.plan import inputs, planning, settings
from nst_tf.runs import results, runner
from nst_tf.video import cuts, flow, frames, warping

STEPS_SHARE = 0.4  # of the steps at the full size, for all but first frames
CONTRAST = 0.5  # of the content, in pixels that no other frame knows
BLEND = 0.5  # share of the neighboring frame where another pass starts


@dataclasses.dataclass(frozen=True)
class Agreement:
    """The settings of a film besides those of a picture.

    Attributes:
        look_back: Distances, in frames, of the earlier frames that a frame must
            agree with, the nearest first.
        temporal_weight: Weight of the temporal loss.
        frame_steps: Steps of each frame but the first of a scene; 0: 0.4 of the
            steps at the full size.
        passes: How many times the whole film is painted, forward and backward.
    """

    look_back: tuple[int, ...] = (1, 2, 4)
    temporal_weight: float = 50.0
    frame_steps: int = 0
    passes: int = 1


class Known(NamedTuple):
    """What other frames tell of the result of a frame.

    Attributes:
        pixels: Their results, warped to it, [H, W, 3].
        confidence: Where these are certain, [H, W], in [0, 1].
        seen: Likewise, but with motion boundaries, for the start, [H, W, 3].
        visible: Where pixels of `seen` are known, [H, W].
    """

    pixels: np.ndarray
    confidence: np.ndarray
    seen: np.ndarray
    visible: np.ndarray


class FilmPainter:
    """Paints the frames of a film, one by one; see `frames.FramePainter`.

    The train step is compiled once for each size. Frames with other tiles would
    differ in their last bits, so that the machine is measured once.

    Args:
        job: The settings of each frame. Its content, checkpoints and output are
            ignored.
        read: The styles, masks and network of the job; frames replace the
            content, and their masks those of the same name.
        agreement: The settings of the film.
        source: Where the optical flow comes from; None: DIS.
        machine: What to plan for; None: this machine.

    Raises:
        ValueError: If devices are missing, or OpenCV is.

    Source:
        Ruder, Dosovitskiy, Brox. Artistic Style Transfer for Videos. GCPR 2016.
    """

    def __init__(
        self,
        job: settings.Job,
        read: inputs.Inputs,
        agreement: Agreement = Agreement(),
        source: flow.Flow | None = None,
        machine: planning.Machine | None = None,
    ):
        from nst_tf.transfer import method

        self.look_back = sorted(agreement.look_back)
        self.passes = agreement.passes
        self._agreement = agreement
        self._job, self._inputs = job, read
        self._flow = source or flow.make("dis")
        device.prepare()
        self._strategy = replicas.make_strategy(job.devices)
        self._machine = machine or runner.measure_machine(self._strategy)
        self._painter = method.Painter(self._strategy)
        self._tiling: planning.Tiling | None = None  # None: the plan's

    @property
    def traces(self) -> int:
        """The number of train steps that were compiled."""
        return self._painter.traces

    def paint(
        self,
        frame: frames.Frame,
        recent: Mapping[int, frames.Painted],
        earlier: np.ndarray | None = None,
        passed: int = 0,
        follow: Callable[[float], None] = lambda share: None,
    ) -> np.ndarray:
        """Paints a frame; see `frames.FramePainter`.

        Returns:
            The generated image, before `finish`, [height, width, 3].
        """
        plan = self.make_plan(frame)
        known = self.find_known(plan, frame, recent)
        start = compose_start(plan, known, earlier)
        if start is not None:
            plan = shorten(plan, start, self._agreement.frame_steps)
        losses = functools.partial(
            _make_losses, known, plan.size, self._agreement.temporal_weight
        )
        run = runner.Run(plan, self._painter, strategy=self._strategy)
        total, done = sum(level.steps for level in plan.levels), 0

        def count(step: object) -> None:
            nonlocal done
            done += 1
            follow(done / total)

        step = run.execute(count, extra_losses=losses)
        if run.plan.tiling != plan.tiling:  # memory ran out
            self._tiling = run.plan.tiling
        return np.array(results.read_image(step))

    def finish(self, frame: frames.Frame, result: np.ndarray) -> np.ndarray:
        """Post-processes a result for the film: color, kept parts."""
        return results.finish(result, self.make_plan(frame)).image

    def make_plan(self, frame: frames.Frame) -> planning.Plan:
        """Makes the plan of a frame that starts anew.

        Raises:
            ValueError, MemoryError: As `planning.make_plan`.
        """
        others = {**self._inputs.others, **frame.masks}
        content = image_io.Picture(frame.pixels)
        read = self._inputs._replace(content=content, others=others)
        plan = planning.make_plan(self._job, read, self._machine)
        return dataclasses.replace(
            plan,
            tiling=self._tiling or plan.tiling,
            checkpoints=planning.Checkpoints(),
        )

    def find_known(
        self,
        plan: planning.Plan,
        frame: frames.Frame,
        recent: Mapping[int, frames.Painted],
    ) -> Known:
        """Composes what the recent frames tell of a frame."""
        results, confidences, visibles = [], [], []
        content = _resize(frame, plan.size)
        for distance in self.look_back:
            if distance not in recent:
                continue
            other = _resize(recent[distance].frame, plan.size)
            away = self._flow.find(content, other)
            back = self._flow.find(other, content)
            visible = warping.find_visible(away, back)
            warped = warping.warp(other.pixels, away)
            if isinstance(self._flow, flow.Still):  # what moves is unknown
                visible = visible * cuts.resembles(content.pixels, warped)
            confidence = visible * ~warping.is_boundary(away)
            if cuts.is_cut(content.pixels, warped, confidence):
                continue
            result = recent[distance].result
            results.append(warping.warp_sharply(result, away))
            confidences.append(confidence)
            visibles.append(visible)
        known = _compose(results, confidences, plan.size)
        return Known(*known, *_compose(results, visibles, plan.size))


def compose_start(
    plan: planning.Plan, known: Known, earlier: np.ndarray | None = None
) -> np.ndarray | None:
    """Composes the image that a frame starts from.

    Args:
        plan: The plan of the frame.
        known: What other frames tell of it.
        earlier: The frame's result in the pass before.

    Returns:
        [H, W, 3] in [0, 1]: what is known, blended with the earlier result if
        there is one, and elsewhere the content in the colors of known
        pixels nearby. None if nothing is known.
    """
    share = known.visible[..., None]
    if earlier is not None:
        return earlier + BLEND * share * (known.seen - earlier)
    if not known.visible.any():
        return None
    # The rest takes the colors of known pixels nearby, and less of the contrast
    # of the content, which few steps would leave in its own colors.
    content = image_io.resize(plan.content, *plan.size)
    nearby = transparency.fill(known.seen, known.visible)
    smooth = transparency.fill(content, known.visible)
    start = np.clip(nearby + CONTRAST * (content - smooth), 0, 1)
    return start + share * (known.seen - start)


def _compose(
    results: Sequence[np.ndarray],
    confidences: Sequence[np.ndarray],
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Composes results, the nearest first; each pixel is of one of them."""
    pixels = np.zeros((*size, 3), np.float32)
    total = np.zeros(size, np.float32)
    for result, share in zip(
        results, warping.share_pixels(confidences), strict=True
    ):
        pixels += share[..., None] * result
        total += share
    return pixels / np.maximum(total, 1e-6)[..., None], total


def shorten(
    plan: planning.Plan, start: np.ndarray, steps: int = 0
) -> planning.Plan:
    """Makes a plan start from an image, with few steps at the full size.

    Args:
        plan: The plan of a frame.
        start: [H, W, 3] in [0, 1], of the plan's size.
        steps: How many; 0: `STEPS_SHARE` of those of the plan's last level.
    """
    last = plan.levels[-1]
    steps = steps or max(1, math.ceil(STEPS_SHARE * last.steps))
    return dataclasses.replace(
        plan,
        levels=[last._replace(steps=steps)],
        init=planning.Init("picture", picture=start),
    )


def _make_losses(
    known: Known, full: tuple[int, int], weight: float, height: int, width: int
) -> list:
    """Makes the temporal loss of a level; it holds nothing below full size."""
    import tensorflow as tf

    from nst_tf.losses import temporal

    pixels, confidence = known.pixels, known.confidence
    if (height, width) != full:
        pixels, confidence = _compose([], [], (height, width))
    return [
        temporal.TemporalLoss(
            tf.constant(pixels[None]),
            tf.constant(confidence[None, ..., None]),
            weight,
        )
    ]


def _resize(frame: frames.Frame, size: tuple[int, int]) -> frames.Frame:
    """Resizes the pixels of a frame."""
    return dataclasses.replace(
        frame, pixels=image_io.resize(frame.pixels, *size)
    )
