"""Films that are numbered pictures, and masks of which each frame has one."""

from fractions import Fraction

import films
import pytest
from PIL import Image

from nst_tf.video import clips, frame_folder


def _fill(folder, names, size=(8, 6)):
    """Writes pictures whose gray says their place."""
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        Image.new("RGB", size, (10 * index,) * 3).save(folder / name)
    return folder


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["f1.png", "f2.png"], ""),
        ([f"{i}.png" for i in range(8, 13)], ""),  # 9 before 10
        ([f"shot2_{i:04}.jpg" for i in range(3)], ""),
        (["a001.png", "a002.png"], "a%03d.png"),
        (["a001.png", "a002.png"], "a%d.png"),
        (["a1.png", "a2.png"], "a*.png"),
    ],
)
def test_pictures_are_read_by_their_numbers(tmp_path, names, pattern):
    _fill(tmp_path / "f", names)
    if pattern:
        _fill(tmp_path / "f", ["b1.png", "b7.png"])
    source = str(tmp_path / "f" / pattern)
    clip = frame_folder.FrameFolder(source, clips.Selection())
    frames = list(clip.read())
    assert [round(255 * e.pixels[0, 0, 0]) for e in frames] == [
        10 * i for i in range(len(names))
    ]
    assert [e.time for e in frames] == [
        Fraction(i, 25) for i in range(len(names))
    ]
    assert (clip.source.height, clip.source.width) == (6, 8)
    assert len(list(clip.read(1))) == len(names) - 1


def test_fps_is_the_rate_of_pictures(tmp_path):
    _fill(tmp_path / "f", [f"{i}.png" for i in range(10)])
    selection = clips.Selection(fps=Fraction(5), start=Fraction(1))
    clip = frame_folder.FrameFolder(str(tmp_path / "f"), selection)
    assert (clip.count, clip.rate, clip.seconds) == (5, 5, 1)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["1.png", "2.png", "4.png"], "no frame 3: 4.png follows 2.png."),
        (["1.png", "a.png"], "a.png has no number"),
        (["1.png", "01.png"], "have the same number"),
        (["a1.png", "b1.png"], "have the same number"),
        ([], "has no pictures"),
    ],
)
def test_pictures_without_an_order_are_refused(tmp_path, names, words):
    _fill(tmp_path / "f", names)
    with pytest.raises(ValueError, match=words):
        frame_folder.FrameFolder(str(tmp_path / "f"), clips.Selection())


def test_pictures_of_two_sizes_are_refused(tmp_path):
    _fill(tmp_path / "f", ["1.png"])
    _fill(tmp_path / "f", ["2.png"], (8, 7))
    with pytest.raises(ValueError, match=r"2.png is 8 x 7, but 1.png is 8 x 6"):
        frame_folder.FrameFolder(str(tmp_path / "f"), clips.Selection())


def test_a_frame_has_the_mask_of_its_number(tmp_path):
    path = films.make(tmp_path / "a.mp4", 6)
    part = films.open_film(path, start=Fraction(2, films.RATE))
    folder = _fill(tmp_path / "masks", [f"{i}.png" for i in range(6)])

    def load(masks):
        return [
            round(255 * float(masks.load(index).pixels.mean()))
            for index in range(part.count)
        ]

    name, source = "keep_mask", str(folder)
    masks = frame_folder.MaskFolder(name, source, part)
    assert load(masks) == [20, 30, 40, 50]
    for number in (0, 1):  # one for each frame of the part
        (folder / f"{number}.png").unlink()
    assert load(frame_folder.MaskFolder(name, source, part)) == [20, 30, 40, 50]
    (folder / "2.png").unlink()
    with pytest.raises(ValueError, match="has 3 masks, but .* has 4 frames to"):
        frame_folder.MaskFolder(name, source, part)
