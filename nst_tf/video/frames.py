"""Frames of a film, and what paints them."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Protocol

import numpy as np

from nst_tf.images import image_io


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame of the content film.

    Attributes:
        index: Its place in the film, from 0.
        time: When it is shown, in seconds after the first one.
        duration: How long it is shown, in seconds.
        pixels: [height, width, 3], float32, sRGB in [0, 1]; read only.
        masks: The masks of this frame, by the names of
            `inputs.list_named_pictures`, where a setting names one per frame.
    """

    index: int
    time: Fraction
    duration: Fraction
    pixels: np.ndarray
    masks: Mapping[str, image_io.Picture] = dataclasses.field(
        default_factory=dict
    )


@dataclasses.dataclass(frozen=True)
class Painted:
    """A painted frame, with the frame of the content that it is painted from.

    Attributes:
        frame: The frame of the content; it may be resized to the result.
        result: The painted frame, [height, width, 3], float32 in [0, 1].
    """

    frame: Frame
    result: np.ndarray


class FramePainter(Protocol):
    """Paints the frames of a film, one by one.

    The result of a frame depends on the arguments of `paint` alone, so that a
    film that was interrupted continues from its kept results, to the same bits.
    Every second pass goes backward: there, the results at a distance are of
    later frames.
    """

    @property
    def look_back(self) -> Sequence[int]:
        """Distances, in frames, of the results that `paint` needs."""

    @property
    def passes(self) -> int:
        """How many times the whole film is painted."""

    def paint(
        self,
        frame: Frame,
        recent: Mapping[int, Painted],
        earlier: np.ndarray | None = None,
        passed: int = 0,
        follow: Callable[[float], None] = lambda share: None,
    ) -> np.ndarray:
        """Paints a frame.

        Args:
            frame: The frame of the content.
            recent: Frames that this pass has painted, by their distance of
                `look_back`; those before the film's start are left out.
            earlier: The result of the previous pass for this frame; None in the
                first pass.
            passed: The number of passes that are done.
            follow: Called with the share of the frame's steps that are done. It
                raises an exception to abandon the frame, which leaves `paint`.

        Returns:
            The painted frame, [height, width, 3], float32 in [0, 1].

        Raises:
            Exception: Of any kind, if the frame cannot be painted; the painter
                can still paint other frames.
        """

    def finish(self, frame: Frame, result: np.ndarray) -> np.ndarray:
        """Post-processes a painted frame for the film: color, kept parts.

        Args:
            frame: The frame of the content.
            result: From `paint`; it stays as it is, for later frames.

        Returns:
            The frame of the film, [height, width, 3], float32 in [0, 1].
        """
