"""A film of a run: the picture as it grows, to GIF, WebP or MP4."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image

from nst_tf import display, files
from nst_tf.images import image_io, writing
from nst_tf.runs import outputs

if TYPE_CHECKING:
    from nst_tf.runs import reporters

log = logging.getLogger("nst_tf")

FRAMES = 100  # of a film, at most
RATE = 15  # frames a second
HELD = 30  # frames, as long as which the last one is shown
SECONDS = 4.0  # that a film takes in the end, about: 100 frames of 512 x 512
_BT709, _SRGB, _LIMITED = 1, 13, 1  # how ITU-T H.273 numbers colors


def check(
    name: str, path: Path, inputs: Sequence[str], previews: bool = False
) -> None:
    """Checks where a film is to go.

    Args:
        name: Its file, as it was asked for.
        path: Of the picture that it shows.
        inputs: Other files of the run.
        previews: Whether previews will be written beside the picture.

    Raises:
        ValueError: If there can be no film, or it would replace something.
    """
    place = Path(os.path.expanduser(name))
    extension = place.suffix.lower()
    if extension not in _WRITERS:
        raise ValueError(
            f"timelapse {name} has the extension {place.suffix!r}, expected "
            f"one of {', '.join(_WRITERS)}."
        )
    if extension == ".mp4":
        files.require_extra(
            "av", "video", f"timelapse {name}", "; or write a .webp or a .gif."
        )
    outputs.check_aside("timelapse", name, path, inputs, previews)
    outputs.check_folder("timelapse", place)


class Film:
    """The frames of a run, at most 100 in the end, and evenly spaced.

    Args:
        name: The file to write.
        size: (height, width) of the film.
        steps: How many there will be; 0: not known. Whenever too many frames
            are kept, each second one is dropped, from then on too.
        overwrite: Whether a file of that name may be replaced; else it is
            numbered.

    Attributes:
        written: Files that may be replaced, too.
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
        self._kept: list[np.ndarray] = []  # each of its level's size
        self._last: np.ndarray | None = None
        self._steps, self._stride = 0, max(1, steps // FRAMES)

    def step(self, report: "reporters.StepReport") -> None:
        """Takes note of a step; copies its picture now and then."""
        if self._steps % self._stride == 0:
            self._kept.append(report.copy_image())
        self._steps += 1
        if len(self._kept) == 2 * FRAMES:
            self._kept, self._stride = self._kept[::2], 2 * self._stride

    def finish(self, frame: np.ndarray, count: int) -> None:
        """Takes the finished picture, of the film's size, as the last one."""
        if (self._steps - 1) % self._stride == 0:  # the last step's was kept
            self._kept = self._kept[:-1]
        self._last = frame

    def close(self) -> None:
        """Writes the film of what there is, and logs where."""
        display.show_stage(f"writing {self.path}")
        try:
            path = self.save()
        except Exception as error:  # whatever it is, the picture is there
            log.warning("timelapse %s failed: %s", self.path, error)
            return
        if path:
            log.info("timelapse %s is written", path)

    def save(self) -> Path | None:
        """Writes the film of what there is so far.

        Returns:
            Where it was written, as by `outputs.write_somewhere`; None if
            there was no step.

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
        """The frames of the film, each [h, w, 3], uint8."""
        last = [] if self._last is None else [self._last]
        count = min(FRAMES - len(last), len(self._kept))
        places = np.linspace(0, len(self._kept) - 1, count).round()
        chosen = [self._kept[int(place)] for place in places]
        return [*map(self._enlarge, chosen), *last]

    def _enlarge(self, frame: np.ndarray) -> np.ndarray:
        """Brings the picture of a level to the film's size."""
        if frame.shape[:2] == self._size:
            return frame
        image = image_io.resize(frame / np.float32(255), *self._size)
        return writing.quantize(image, np.uint8)


def _write_gif(file: BinaryIO, frames: Sequence[np.ndarray]) -> None:
    """Writes a GIF file, in 256 colors, for all frames the same."""
    # With colors of its own for each frame what stands still would flicker.
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
    """Writes a file that Pillow can, with so many milliseconds a frame."""
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
    """Writes an MP4 file: H.264, of even sides, as its colors want it."""
    import av
    from av.video import reformatter

    rows, columns = (side % 2 for side in frames[0].shape[:2])
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=RATE, options={"crf": "18"}
        )
        stream.pix_fmt = "yuv420p"
        stream.height = frames[0].shape[0] + rows
        stream.width = frames[0].shape[1] + columns
        # Players guess the colors that a file does not name.
        codec = stream.codec_context
        codec.colorspace = codec.color_primaries = _BT709
        codec.color_trc, codec.color_range = _SRGB, _LIMITED
        for frame in [*frames, *[frames[-1]] * (HELD - 1)]:
            even = np.pad(frame, [(0, rows), (0, columns), (0, 0)], "edge")
            picture = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace=reformatter.Colorspace.ITU709,
                dst_color_range=reformatter.ColorRange.MPEG,
            )
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


_WRITERS: dict[str, Callable[[BinaryIO, Sequence[np.ndarray]], None]] = {
    ".gif": _write_gif,
    ".webp": _write_webp,
    ".mp4": _write_mp4,
}
EXTENSIONS = tuple(_WRITERS)
