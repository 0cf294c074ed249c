"""Reads films that are numbered pictures: of a folder, or of a pattern."""

import functools
import glob
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from nst_tf import errors
from nst_tf.images import image_io, sources
from nst_tf.video import clips

RATE = Fraction(25)  # frames a second, unless --fps says so
_NUMBER = re.compile(r"(.*?)(\d+)\D*")  # the last number of a name
_PERCENT = re.compile(r"%(0\d+)?d")


class FrameFolder(clips.Clip):
    """A film of numbered pictures, each an equal time after the one before.

    Args:
        source: A folder, or a pattern, as in `list_numbered`.
        selection: The part to read; its `fps` is the rate of the pictures.

    Raises:
        ValueError: If there are none, one is missing, or sizes differ.
    """

    def __init__(self, source: str, selection: clips.Selection):
        self._paths = list_numbered(source, "content")
        rate = selection.fps or RATE
        times = [number / rate for number in range(len(self._paths))]
        size = self._load(0).shape[:2]
        self._check_sizes()
        end = len(times) / rate
        whole = clips.Source(times, end, *size)
        super().__init__(source, whole, selection._replace(fps=None), [])

    def decode(self, position: int) -> Iterator[clips.Decoded]:
        """Yields the pictures from a position on."""
        for index in range(position, len(self._paths)):
            yield index, functools.partial(self._load, index)

    def list_files(self) -> Sequence[Path]:
        """Lists the pictures."""
        return self._paths

    def _load(self, index: int) -> np.ndarray:
        """Reads a picture, [H, W, 3]."""
        return sources.load(str(self._paths[index])).pixels

    def _check_sizes(self) -> None:
        """Raises ValueError if pictures differ in size, by their headers."""
        first: tuple[Path, tuple[int, int]] | None = None
        for path in self._paths:
            try:
                with Image.open(path) as image:
                    size = image.size
            except (OSError, ValueError):
                continue  # of a format that Pillow does not read
            if first and size != first[1]:
                raise ValueError(
                    f"{path} is {size[0]} x {size[1]}, but {first[0].name} is "
                    f"{first[1][0]} x {first[1][1]}; all frames of a film have "
                    "one size."
                )
            first = first or (path, size)


class MaskFolder:
    """The masks of a setting, one per frame of a clip.

    Args:
        name: The setting.
        source: A folder, or a pattern, as in `list_numbered`.
        clip: The film: there is a mask for each frame, of the part that is
            painted or of the whole film.

    Attributes:
        paths: The mask of each frame of the part.

    Raises:
        ValueError: If there are more or fewer.
    """

    def __init__(self, name: str, source: str, clip: clips.Clip):
        paths = list_numbered(source, name)
        if len(paths) == len(clip.source.times):
            self.paths = [paths[each.position] for each in clip.shown]
        elif len(paths) == clip.count:
            self.paths = paths
        else:
            raise ValueError(
                f"{name} {source} has {errors.format_count(len(paths), 'mask')}"
                f", but {clip.name} has "
                f"{errors.format_count(clip.count, 'frame')} to paint; give "
                "one mask for all, or one for each frame."
            )

    def load(self, index: int) -> image_io.Picture:
        """Reads the mask of a frame."""
        return sources.load(str(self.paths[index]), is_mask=True)


def is_several(source: str) -> bool:
    """Returns whether a source is a folder or a pattern of pictures."""
    path = os.path.expanduser(source)
    if os.path.lexists(path):
        return os.path.isdir(path)
    return bool(_PERCENT.search(path) or set("*?[") & set(path))


def list_numbered(source: str, setting: str) -> list[Path]:
    """Lists the pictures of a film, by their numbers.

    Args:
        source: A folder, in which other files are ignored, or a pattern, such
            as frames/%04d.png or 'frames/*.png'.
        setting: What they are, for messages.

    Raises:
        ValueError: If there are none, a number is missing or there twice, or a
            picture has no number.
    """
    path = Path(os.path.expanduser(source))
    if path.is_dir():
        found = [Path(each) for each in _list_pictures(path, setting)]
    elif _PERCENT.search(str(path)):
        parts = [glob.escape(each) for each in _split_percent(str(path))]
        expression = re.escape(_split_percent(str(path))[0]) + r"\d+"
        found = [
            Path(each)
            for each in glob.glob("*".join(parts))
            if re.match(expression, each)
        ]
    else:
        found = [Path(each) for each in glob.glob(str(path))]
    if not found:
        raise ValueError(f"{setting} {source} has no pictures.")
    numbers: dict[int, Path] = {}
    for each in sorted(found):
        match = _NUMBER.fullmatch(each.stem)
        if not match:
            raise ValueError(
                f"{each} has no number; number the frames of a film, as in "
                "0001.png, 0002.png."
            )
        number = int(match[2])
        if number in numbers:
            raise ValueError(
                f"{each} and {numbers[number].name} have the same number; name "
                "one series of frames by a pattern, such as frames/a%04d.png."
            )
        numbers[number] = each
    ordered = sorted(numbers)
    for before, number in itertools.pairwise(ordered):
        if number != before + 1:
            raise ValueError(
                f"{setting} {source} has no frame {before + 1}: "
                f"{numbers[number].name} follows {numbers[before].name}. "
                "Number the frames without gaps."
            )
    return [numbers[number] for number in ordered]


def _split_percent(pattern: str) -> tuple[str, str]:
    """Splits a pattern at its number."""
    before, _, after = _PERCENT.split(pattern, maxsplit=1)
    return before, after


def _list_pictures(folder: Path, setting: str) -> list[str]:
    """Lists the pictures of a folder.

    Raises:
        ValueError: If there are none.
    """
    try:
        return sources.list_pictures(folder)
    except ValueError as error:
        words = str(error).replace("style folder", f"{setting} folder", 1)
        raise ValueError(words) from None
