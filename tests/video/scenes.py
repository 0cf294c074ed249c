"""The painted clip, small, as frames of a film with exact flow."""

import sys
from fractions import Fraction
from pathlib import Path

from nst_tf.video import frames

SCRIPTS = str(Path(__file__).parents[2] / "scripts")


def make_clip(height=54, width=96, step=1.0):
    """The clip of `scripts/samples`, and its flow."""
    sys.path.insert(0, SCRIPTS)
    try:
        from samples import moving_scene
    finally:
        sys.path.remove(SCRIPTS)
    return moving_scene.Clip(height, width, step)


def make_frames(clip, count):
    """The first frames of a clip."""
    return [make_frame(clip.frame(index), index) for index in range(count)]


def make_frame(pixels, index=0):
    """A frame, shown for 1/24 s."""
    return frames.Frame(index, Fraction(index, 24), Fraction(1, 24), pixels)


class ExactFlow:
    """The clip's own flow."""

    def __init__(self, clip):
        self._clip = clip

    def find(self, frame, other):
        return self._clip.flow(frame.index, other.index)[0]
