"""Writes a film of a run as GIF, WebP or MP4."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image

from nst_tf import display, files
from nst_tf.images import image_io, writing
from nst_tf.runs import outputs

if TYPE_CHECKING:
    from nst_tf.runs import reporters

log = logging.getLogger("nst_tf")

FRAMES = 100  # maximum of a film
RATE = 15  # frames a second
HELD = 30  # duration of the last frame, in frames
H264 = "libx264"
BT709, SRGB = 1, 13  # codes of ITU-T H.273
_LIMITED = 1


def check(
    name: str, path: Path, inputs: Sequence[str], previews: bool = False
) -> None:
    """Checks the path of a film.

    Args:
        name: The requested file name.
        path: The path of the picture.
        inputs: Other files of the run.
        previews: Whether previews will be written beside the picture.

    Raises:
        ValueError: If the film cannot be written, or would overwrite another
            file.
    """
    place = Path(os.path.expanduser(name))
    extension = place.suffix.lower()
    if extension not in _WRITERS:
        raise ValueError(
            f"timelapse {name} has the extension {place.suffix!r}; expected "
            f"one of {', '.join(_WRITERS)}."
        )
    if extension == ".mp4":
        files.require_extra(
            "av", "video", f"timelapse {name}", "; or write a .webp or a .gif."
        )
    outputs.check_aside("timelapse", name, path, inputs, previews)
    outputs.check_folder("timelapse", place)


class Film:
    """Collects evenly spaced frames of a run, at most 100 in the file.

    Args:
        name: The file to write.
        size: (height, width) of the film.
        steps: Number of steps of the run; 0: unknown. When too many frames are
            kept, it drops every second one and halves the rate.
        overwrite: Whether to overwrite an existing file; otherwise the name is
            numbered.

    Attributes:
        written: The job's own files, which may be overwritten.
    """

    def __init__(
        self,
        name: str,
        size: tuple[int, int],
        steps: int = 0,
        overwrite: bool = False,
    ):
        self.path = Path(os.path.expanduser(name))
        self._overwrite = overwrite
        self.written = outputs.NOTHING
        self._size = size
        self._kept: list[np.ndarray] = []  # each at the size of its level
        self._last: np.ndarray | None = None
        self._steps, self._stride = 0, max(1, steps // FRAMES)

    def step(self, report: "reporters.StepReport") -> None:
        """Copies the picture of every n-th step."""
        if self._steps % self._stride == 0:
            self._kept.append(report.copy_image())
        self._steps += 1
        if len(self._kept) == 2 * FRAMES:
            self._kept, self._stride = self._kept[::2], 2 * self._stride

    def finish(self, frame: np.ndarray, count: int) -> None:
        """Sets the last frame, of the film's size."""
        if (self._steps - 1) % self._stride == 0:  # the last step was kept
            self._kept = self._kept[:-1]
        self._last = frame

    def close(self) -> None:
        """Writes the film so far, and logs its path."""
        display.show_stage(f"writing {self.path}")
        try:
            path = self.save()
        except Exception as error:  # on any error, keep the picture
            log.warning("timelapse %s failed: %s", self.path, error)
            return
        if path:
            log.info("wrote timelapse %s", path)

    def save(self) -> Path | None:
        """Writes the film so far.

        Returns:
            The path from `outputs.write_somewhere`; None without a step.

        Raises:
            OSError: If it cannot be written anywhere.
        """
        frames = self._frames()
        if not frames:
            return None
        write = _WRITERS[self.path.suffix.lower()]

        def save(path: Path) -> None:
            with files.write_atomically(path, self.written.note) as file:
                write(file, frames)

        return outputs.write_somewhere(
            self.path, save, self._overwrite, written=self.written
        )

    def _frames(self) -> list[np.ndarray]:
        """Returns the frames of the film, each [h, w, 3], uint8."""
        last = [] if self._last is None else [self._last]
        count = min(FRAMES - len(last), len(self._kept))
        places = np.linspace(0, len(self._kept) - 1, count).round()
        chosen = [self._kept[int(place)] for place in places]
        return [*map(self._enlarge, chosen), *last]

    def _enlarge(self, frame: np.ndarray) -> np.ndarray:
        """Resizes the picture of a level to the film's size."""
        if frame.shape[:2] == self._size:
            return frame
        image = image_io.resize(frame / np.float32(255), *self._size)
        return writing.quantize(image, np.uint8)


def _write_gif(file: BinaryIO, frames: Sequence[np.ndarray]) -> None:
    """Writes a GIF file with one palette of 256 colors for all frames."""
    # With a palette per frame, static areas would flicker.
    parts = [frame[::8, ::8] for frame in [*frames, *[frames[-1]] * HELD]]
    palette = Image.fromarray(np.concatenate(parts)).quantize(256)
    pictures = [
        Image.fromarray(frame).quantize(palette=palette) for frame in frames
    ]
    _write_animated(file, "GIF", pictures, 10 * round(100 / RATE))


def _write_webp(file: BinaryIO, frames: Sequence[np.ndarray]) -> None:
    """Writes a WebP file."""
    pictures = [Image.fromarray(frame) for frame in frames]
    options = {"quality": 90, "method": 2}
    _write_animated(file, "WEBP", pictures, round(1000 / RATE), **options)


def _write_animated(
    file: BinaryIO,
    form: str,
    pictures: Sequence[Image.Image],
    duration: int,
    **options: int,
) -> None:
    """Writes an animation with Pillow; `duration` is in milliseconds."""
    durations = [duration] * len(pictures)
    durations[-1] *= HELD
    first, *rest = pictures
    first.save(
        file,
        form,
        save_all=True,
        append_images=rest,
        duration=durations,
        loop=0,
        **options,
    )


def _write_mp4(file: BinaryIO, frames: Sequence[np.ndarray]) -> None:
    """Writes an MP4 file: H.264, padded to even sides for its subsampling."""
    import av

    with av.open(file, "w", format="mp4") as container:
        stream = add_stream(
            container, H264, RATE, frames[0].shape[:2], {"crf": "18"}, SRGB
        )
        for frame in [*frames, *[frames[-1]] * (HELD - 1)]:
            picture = make_frame(stream, frame)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def pad_size(codec: str, height: int, width: int) -> tuple[int, int]:
    """Returns the (height, width) of a film: even for the H.264 of players."""
    if codec != H264:
        return height, width
    return height + height % 2, width + width % 2


def add_stream(
    container: Any,
    codec: str,
    rate: Fraction | int,
    size: tuple[int, int],
    options: Mapping[str, str],
    transfer: int = BT709,
) -> Any:
    """Adds a stream of 8-bit 4:2:0 pictures to an output container.

    Args:
        container: The container.
        codec: The name of the encoder.
        rate: Frames a second, on average.
        size: (height, width) of the pictures.
        options: Options of the encoder.
        transfer: The transfer function to state, a code of ITU-T H.273.

    Returns:
        The stream, of PyAV.
    """
    stream = container.add_stream(codec, rate=rate, options=dict(options))
    stream.pix_fmt = "yuv420p"
    stream.height, stream.width = pad_size(codec, *size)
    # Players guess a color space that the file does not state.
    context = stream.codec_context
    context.colorspace = context.color_primaries = BT709
    context.color_trc, context.color_range = transfer, _LIMITED
    return stream


def make_frame(stream: Any, picture: np.ndarray) -> Any:
    """Makes a frame for a stream, padded to its size by repeating the edge.

    Args:
        stream: A stream of `add_stream`.
        picture: [H, W, 3], uint8.

    Returns:
        The frame, of PyAV.
    """
    import av
    from av.video import reformatter

    rows = stream.height - picture.shape[0]
    columns = stream.width - picture.shape[1]
    padded = np.pad(picture, [(0, rows), (0, columns), (0, 0)], "edge")
    return av.VideoFrame.from_ndarray(padded, format="rgb24").reformat(
        format="yuv420p",
        dst_colorspace=reformatter.Colorspace.ITU709,
        dst_color_range=reformatter.ColorRange.MPEG,
    )


_WRITERS: dict[str, Callable[[BinaryIO, Sequence[np.ndarray]], None]] = {
    ".gif": _write_gif,
    ".webp": _write_webp,
    ".mp4": _write_mp4,
}
EXTENSIONS = tuple(_WRITERS)
