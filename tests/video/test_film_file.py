"""What is read of a film: frames, times, colors, and what is refused."""

from fractions import Fraction

import av
import films
import numpy as np
import pytest

from nst_tf.video import clips

UNEVEN = (0, 40, 100, 300, 310, 420, 500, 600, 610, 900, 1000, 1500)
UNIT = Fraction(1, 1000)
FILMS = {
    "a.mp4": {},
    "sound.mp4": {"sound": "aac"},
    "deep.mp4": {"form": "yuv420p10le"},
    "uneven.mkv": {"times": UNEVEN, "unit": UNIT},
    "odd.webm": {"size": (47, 63), "codec": "libvpx-vp9"},
    "a.avi": {},
    "a.ts": {},
    "a.h264": {},  # without time stamps
    "one.mp4": {"count": 1},
    "one.gif": {"count": 1, "codec": "gif", "form": "rgb8"},
}


@pytest.mark.parametrize("name", FILMS)
def test_every_frame_is_read_in_order_from_any_frame(tmp_path, name):
    chosen = FILMS[name]
    clip = films.open_film(films.make(tmp_path / name, **chosen))
    frames = list(clip.read())
    count = chosen.get("count", 12)
    assert clip.count == len(frames) == count
    size = (*chosen.get("size", (48, 64)), 3)
    for index, frame in enumerate(frames):
        assert frame.index == films.read_index(frame.pixels) == index
        assert frame.pixels.shape == size
        assert frame.pixels.dtype == np.float32
    for first in {0, 5, count - 1} & {*range(count)}:
        again = list(clip.read(first))
        assert [each.index for each in again] == [*range(first, count)]
        assert np.array_equal(again[0].pixels, frames[first].pixels)
    backward = list(clips.read_backward(clip, count, chunk=5))
    assert [each.index for each in backward] == [*range(count)][::-1]
    assert not clip.notes
    if name not in ("a.h264", "one.gif"):
        times = [Fraction(t) * UNIT for t in chosen.get("times", [])]
        times = times or [Fraction(i, films.RATE) for i in range(count)]
        for frame, time in zip(frames, times, strict=True):
            assert abs(frame.time - time) < UNIT


def test_a_late_part_is_sought_and_equals_the_whole(tmp_path):
    times = range(0, 24 * 32, 24)  # 32 seconds
    path = films.make(tmp_path / "long.mp4", 32, times=times)
    whole = [each.pixels for each in films.open_film(path).read()]
    part = films.open_film(path, start=Fraction(25))
    found = [each.pixels for each in part.read()]
    assert len(found) == 7
    assert np.array_equal(found, whole[25:])


def _make_planes(form, matrix, full, rng):
    """Flat blocks of YUV, and their RGB by the definition of the matrix."""
    bits = 10 if "10" in form else 8
    unit = 2 ** (bits - 8)
    red, blue = {"BT.709": (0.2126, 0.0722), "BT.601": (0.299, 0.114)}[matrix]
    planes = [
        np.kron(
            rng.integers(low * unit, high * unit, (3, 4)), np.ones((16, 16))
        )
        for low, high in ((60, 180), (108, 148), (108, 148))
    ]
    y, u, v = (plane[8::16, 8::16] for plane in planes)
    if full:
        scale = 2**bits - 1
        y, u, v = y / scale, (u - 128 * unit) / scale, (v - 128 * unit) / scale
    else:
        y = (y - 16 * unit) / (219 * unit)
        u, v = ((each - 128 * unit) / (224 * unit) for each in (u, v))
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    frame = av.VideoFrame(64, 48, form)
    kind = np.uint8 if bits == 8 else np.uint16
    for number, plane in enumerate(planes):
        samples = plane[::2, ::2] if number else plane
        to = frame.planes[number]
        rows = np.zeros((to.height, to.line_size // kind().itemsize), kind)
        rows[:, : samples.shape[1]] = samples
        to.update(rows.tobytes())
    return frame, np.clip(np.stack([r, g, b], -1), 0, 1)


@pytest.mark.parametrize("form", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("matrix", ["BT.709", "BT.601"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("is_tagged", [True, False])
def test_colors_are_those_that_the_stream_states(
    tmp_path, form, matrix, full, is_tagged
):
    if not is_tagged and (full or matrix == "BT.709"):
        pytest.skip("a small film without tags is BT.601, limited")
    tags = {
        "colorspace": {"BT.709": 1, "BT.601": 6}[matrix],
        "color_range": 2 if full else 1,
    }
    rng = np.random.default_rng(3)
    frame, truth = _make_planes(form, matrix, full, rng)
    path = films.make(
        tmp_path / "a.mkv",
        1,
        codec="ffv1",
        form=form,
        tags=tags if is_tagged else {},
        draw=lambda index: frame,
    )
    found = next(films.open_film(path).read()).pixels[8::16, 8::16]
    # FFmpeg's conversion is exact to about 0.7 of 255.
    assert np.abs(found - truth).max() < 1 / 255


def _turn(path, matrix):
    """Writes the matrix of display into an MP4 file."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    values = [each << 16 for each in matrix[:2]] + [0]
    values += [each << 16 for each in matrix[2:]] + [0, 0, 0, 1 << 30]
    data[place : place + 36] = np.array(values, ">i4").tobytes()
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("matrix", "corner", "size"),
    [
        ((0, 1, -1, 0), (0, -1), (64, 48)),  # of a phone held upright
        ((-1, 0, 0, -1), (-1, -1), (48, 64)),
        ((0, -1, 1, 0), (-1, 0), (64, 48)),
    ],
)
def test_a_turned_film_is_read_upright(tmp_path, matrix, corner, size):
    path = films.make(tmp_path / "a.mp4", 2)
    _turn(path, matrix)
    clip = films.open_film(path)
    assert (clip.source.height, clip.source.width) == size
    for frame in clip.read():
        assert frame.pixels.shape == (*size, 3)
        red, green, _ = frame.pixels[corner]
        assert red - green > 0.5


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    tags = {"sample_aspect_ratio": Fraction(4, 3)}
    path = films.make(tmp_path / "a.mkv", 2, tags=tags)
    clip = films.open_film(path)
    assert (clip.source.height, clip.source.width) == (48, 85)


@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
def test_of_a_truncated_film_all_that_is_there_is_read(tmp_path, name):
    path = films.make(tmp_path / name, 30, times=range(0, 240, 8))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    clip = films.open_film(path)
    indices = [films.read_index(each.pixels) for each in clip.read()]
    assert 5 < len(indices) <= clip.count < 30
    assert indices == sorted({*indices})  # the end may lack B-frames
    if name == "a.mkv":  # a transport stream does not say its length
        words = f"is cut off: it has {clip.count} frames, and "
        assert words in clip.notes[0]


def test_a_damaged_part_repeats_a_frame_and_is_said(tmp_path, caplog):
    path = films.make(tmp_path / "a.ts", 24, tags={"gop_size": 6})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle : middle + 6 * 188] = bytes(6 * 188)
    path.write_bytes(bytes(data))
    frames = list(films.open_film(path).read())
    assert len(frames) >= 20
    assert [each.index for each in frames] == [*range(len(frames))]


def test_what_is_no_film_is_refused(tmp_path):
    def refuse(name, words):
        with pytest.raises(ValueError, match=words) as caught:
            films.open_film(tmp_path / name)
        assert "\n" not in str(caught.value)

    (tmp_path / "text.mp4").write_text("no film")
    refuse("text.mp4", "text.mp4 cannot be read as a film: Invalid data")
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=48000)
        films._add_tone(file, stream, 4800)
    refuse("sound.mp4", "sound.mp4 has no video stream; pass a film.")
    path = films.make(tmp_path / "half.mp4")
    path.write_bytes(path.read_bytes()[:-400])  # without its index
    refuse("half.mp4", "half.mp4 cannot be read as a film")
    with av.open(str(tmp_path / "empty.mkv"), "w") as file:
        stream = file.add_stream("ffv1", rate=24)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        file.start_encoding()
    refuse("empty.mkv", "empty.mkv cannot be read as a film: it has no frames.")
