"""Which frames a part of a film has, and what stands for missing ones."""

from fractions import Fraction

import numpy as np
import pytest

from nst_tf.video import clips

EVEN = [Fraction(i, 24) for i in range(12)]
UNEVEN = [Fraction(ms, 1000) for ms in (0, 40, 100, 300, 310, 420)]
ROUNDED = [Fraction(round(1000 * i / 24), 1000) for i in range(12)]


class Numbers(clips.Clip):
    """A film whose pixels are positions, without some of its frames."""

    def __init__(self, times, missing=(), **selection):
        self._missing = missing
        end = times[-1] + Fraction(1, 24)
        source = clips.Source(times, end, 1, 1)
        super().__init__("x.mp4", source, clips.Selection(**selection), [])

    def list_files(self):
        return []

    def decode(self, position):
        for index in range(max(0, position - 2), len(self.source.times)):
            if index not in self._missing:
                yield index, lambda index=index: np.full((1, 1, 3), index)


@pytest.mark.parametrize(
    ("times", "selection", "positions", "shown", "seconds"),
    [
        (EVEN, {}, range(12), EVEN, 0.5),
        (EVEN, {"start": Fraction(1, 8)}, range(3, 12), EVEN[:9], 0.375),
        # A start between two frames is that of the second.
        (EVEN, {"start": Fraction(1, 9)}, range(3, 12), EVEN[:9], 0.375),
        (EVEN, {"end": Fraction(1, 8)}, range(3), EVEN[:3], 0.125),
        (EVEN, {"limit": 2}, range(2), EVEN[:2], 1 / 12),
        (EVEN, {"fps": 12}, range(0, 12, 2), EVEN[::2], 0.5),
        (ROUNDED, {"fps": 12}, range(0, 12, 2), EVEN[::2], 0.5),
        (EVEN, {"fps": 100}, range(12), None, 0.5),  # none is repeated
        (UNEVEN, {}, range(6), UNEVEN, 0.42 + 1 / 24),
        (UNEVEN, {"fps": 10}, [0, 2, 3, 5], [0, 0.1, 0.3, 0.4], 0.5),
    ],
)
def test_a_part_has_the_frames_of_its_times(
    times, selection, positions, shown, seconds
):
    clip = Numbers(times, **selection)
    assert [each.position for each in clip.shown] == [*positions]
    if shown is not None:
        found = [float(each.time) for each in clip.shown]
        assert found == pytest.approx([float(each) for each in shown])
    assert float(clip.seconds) == pytest.approx(seconds)
    ends = [each.time + each.duration for each in clip.shown]
    assert ends[:-1] == [each.time for each in clip.shown[1:]]
    assert [each.index for each in clip.read()] == [*range(clip.count)]


def test_a_part_without_frames_is_refused():
    with pytest.raises(ValueError, match="x.mp4 has no frame from 3 s on"):
        Numbers(EVEN, start=Fraction(3))


def test_a_missing_frame_has_the_picture_before_it():
    def read(missing, *part):
        clip = Numbers(EVEN, missing)
        return [int(each.pixels[0, 0, 0]) for each in clip.read(*part)]

    assert read([3, 4], 2, 6) == [2, 2, 2, 5]
    assert read([0, 1], 0, 3) == [2, 2, 2]  # or the one after it
    assert read([11]) == [*range(11)]  # at the end, none


@pytest.mark.parametrize("left_out", [0, 3, 12])
def test_a_film_is_read_backward_in_chunks(left_out):
    found = clips.read_backward(Numbers(EVEN), 12, left_out, chunk=5)
    assert [each.index for each in found] == [*range(12 - left_out)][::-1]
