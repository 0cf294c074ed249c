"""Estimates optical flow: where each pixel of a frame is in another frame.

OpenCV is imported for the first frame.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from nst_tf import files
from nst_tf.video import frames

SMALLEST = 32  # pixels; OpenCV's DIS crashes on images of less than 16
MAGIC = 202021.25  # first number of a .flo file


class Flow(Protocol):
    """A source of optical flow."""

    def find(self, frame: frames.Frame, other: frames.Frame) -> np.ndarray:
        """Finds where the pixels of a frame are in another one of its size.

        Returns:
            Displacements (across, down) in pixels, [H, W, 2], float32.
        """


class Estimated:
    """Flow by one of OpenCV's methods, from the luma of two frames.

    Args:
        make: OpenCV -> an object with `calc(first, second, flow)`.
    """

    def __init__(self, make: Callable[[Any], Any]):
        self._make = make
        self._method: Any = None

    def find(self, frame: frames.Frame, other: frames.Frame) -> np.ndarray:
        """Estimates the flow; see `Flow`."""
        import cv2

        if self._method is None:
            self._method = self._make(cv2)
        height, width = frame.pixels.shape[:2]
        images = [_to_luma(each.pixels) for each in (frame, other)]
        found = self._method.calc(*images, None)
        return np.ascontiguousarray(found[:height, :width], np.float32)


class Still:
    """The flow of a film in which nothing moves: zero."""

    def find(self, frame: frames.Frame, other: frames.Frame) -> np.ndarray:
        """Returns zeros; see `Flow`."""
        return np.zeros((*frame.pixels.shape[:2], 2), np.float32)


class FloFiles:
    """Flow from .flo files, as artistic-videos names them.

    forward_1_2.flo has the flow from the first frame to the second one,
    backward_2_1.flo the one from the second to the first. Files of another size
    are resized, and their flow is scaled.

    Args:
        folder: The folder of the files.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self._folder = Path(folder)

    def find(self, frame: frames.Frame, other: frames.Frame) -> np.ndarray:
        """Reads the flow; see `Flow`.

        Raises:
            ValueError: If the file is missing or damaged.
        """
        found = read_flo(self.name_file(frame.index, other.index))
        height, width = frame.pixels.shape[:2]
        if found.shape[:2] == (height, width):
            return found
        return _resize(found, height, width)

    def check(self, count: int, look_back: Iterable[int]) -> None:
        """Checks that a film of `count` frames has all its files.

        Raises:
            ValueError: If one is missing; the sentence has the first one.
        """
        for distance in look_back:
            for index in range(count - distance):
                for pair in (
                    (index, index + distance),
                    (index + distance, index),
                ):
                    path = self.name_file(*pair)
                    if not path.is_file():
                        raise ValueError(
                            f"there is no file {path}; compute the flow of "
                            f"frames {distance} apart too, or leave {distance} "
                            "out of --look_back."
                        )

    def name_file(self, index: int, other: int) -> Path:
        """Names the file of the flow from one frame to another, from 0."""
        word = "forward" if index < other else "backward"
        return self._folder / f"{word}_{index + 1}_{other + 1}.flo"


def read_flo(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a .flo file, the format of the Middlebury benchmark.

    Returns:
        Displacements (across, down) in pixels, [H, W, 2], float32.

    Raises:
        ValueError: If it cannot be read, or is no such file.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != MAGIC:
        raise ValueError(
            f"{path} is not a .flo file; expected one of the Middlebury "
            "benchmark's format."
        )
    width, height = (int(n) for n in np.frombuffer(data, "<i4", 2, 4))
    if min(width, height) < 1 or len(data) != 12 + 8 * width * height:
        raise ValueError(
            f"{path} says {width} x {height} pixels, but has {len(data)} "
            "bytes; write it again."
        )
    found = np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2)
    if not np.isfinite(found).all():
        raise ValueError(f"{path} has NaN or infinite flow; write it again.")
    return found.astype(np.float32)


def write_flo(path: str | os.PathLike[str], flow: np.ndarray) -> None:
    """Writes a flow, [H, W, 2], as a .flo file."""
    height, width = flow.shape[:2]
    head = np.array([MAGIC], "<f4").tobytes()
    size = np.array([width, height], "<i4").tobytes()
    Path(path).write_bytes(head + size + flow.astype("<f4").tobytes())


def make(name: str) -> Flow:
    """Makes a source of flow.

    Args:
        name: A key of `METHODS`, or a folder of .flo files.

    Raises:
        ValueError: If there is no such method or folder, or OpenCV lacks it.
    """
    if name in METHODS:
        return METHODS[name]()
    if os.path.isdir(name):
        return FloFiles(name)
    raise ValueError(
        f"--flow is {name!r}; expected dis, deepflow, none, or a folder of "
        ".flo files."
    )


def _make_dis() -> Flow:
    """Makes DIS at its medium preset.

    Source:
        Kroeger, Timofte, Dai, Van Gool. Fast Optical Flow using Dense Inverse
        Search. ECCV 2016.
    """
    files.require_extra("cv2", "video", "--flow=dis")
    return Estimated(
        lambda cv2: cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    )


def _make_deepflow() -> Flow:
    """Makes OpenCV's variant of DeepFlow, without DeepMatching.

    Source:
        Weinzaepfel, Revaud, Harchaoui, Schmid. DeepFlow: Large Displacement
        Optical Flow with Deep Matching. ICCV 2013.

    Raises:
        ValueError: If OpenCV lacks its module optflow.
    """
    files.require_extra("cv2", "video", "--flow=deepflow")
    import cv2

    if not hasattr(cv2, "optflow"):
        raise ValueError(
            "--flow=deepflow needs the module optflow of OpenCV, which "
            f"OpenCV {cv2.__version__} here does not have: pip install "
            "opencv-contrib-python-headless in place of it, or use --flow=dis."
        )
    return Estimated(lambda cv2: cv2.optflow.createOptFlow_DeepFlow())


# --flow -> function that makes it.
METHODS: Mapping[str, Callable[[], Flow]] = {
    "dis": _make_dis,
    "deepflow": _make_deepflow,
    "none": Still,
}


def _to_luma(pixels: np.ndarray) -> np.ndarray:
    """Returns the luma of an image as uint8, at least SMALLEST x SMALLEST."""
    luma = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    missing = [(0, max(0, SMALLEST - side)) for side in luma.shape]
    return np.pad(np.rint(255 * luma).astype(np.uint8), missing, "edge")


def _resize(flow: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes a flow, and scales its vectors alike."""
    scales = width / flow.shape[1], height / flow.shape[0]
    channels = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(flow[..., index])).resize(
                (width, height), Image.Resampling.BILINEAR
            )
        )
        * np.float32(scale)
        for index, scale in enumerate(scales)
    ]
    return np.stack(channels, axis=-1)
