"""A film on several devices: the frames of one device."""

from pathlib import Path

import children
import numpy as np
import pytest
import scenes

from nst_tf.images import image_io
from nst_tf.video import flow

CHILD = Path(__file__).parents[1] / "replica.py"
COUNT = 3
ROUNDING = 1.5 / 255


@pytest.fixture
def folder(folder):
    """A folder with frames, their exact flow, and the flags of the toy."""
    clip = scenes.make_clip()
    for name in ("frames", "flow"):
        Path(name).mkdir()
    for index in range(COUNT):
        image_io.save_image(f"frames/{index + 1:04}.png", clip.frame(index))
    name_file = flow.FloFiles("flow").name_file
    for index in range(COUNT):
        for other in {index - 1, index + 1} & set(range(COUNT)):
            flow.write_flo(name_file(index, other), clip.flow(index, other)[0])
    return folder


def _paint(devices, output, *given):
    """Paints the film on logical devices; what the program said."""
    flags = [
        *("--flagfile=toy.cfg", "--content=frames", f"--output={output}"),
        *("--flow=flow", "--look_back=1", "--bit_depth=16"),
        *("--optimizer=adam", f"--devices={devices}", *given),
    ]
    run = children.run_python(CHILD, "film", devices, *flags, timeout=240)
    assert run.returncode == 0, run.stderr
    return run.stderr


@pytest.mark.slow
def test_two_devices_paint_the_film_of_one(folder):
    pytest.importorskip("cv2")
    # Whole on one device; on two, which share it, in tiles.
    _paint(1, "one")
    _paint(1, "free", "--temporal_weight=0")
    _paint(2, "both")
    for number in range(1, COUNT + 1):
        one, free, both = (
            image_io.load_image(f"{output}/{number:06}.png")
            for output in ("one", "free", "both")
        )
        # Steps of Adam amplify rounding.
        assert np.abs(one - both).max() < ROUNDING
        # The loss has an effect on later frames.
        assert (np.abs(one - free).max() > ROUNDING) == (number > 1)
