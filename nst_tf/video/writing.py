"""Writes films: .mp4, .webm, or a folder of PNG; whole, or not at all."""

import contextlib
import glob
import hashlib
import itertools
import math
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nst_tf import files
from nst_tf.images import image_io
from nst_tf.images import writing as image_writing
from nst_tf.metadata import xmp
from nst_tf.runs import timelapse
from nst_tf.video import audio

FORMATS = {".mp4": "mp4", ".webm": "webm"}
CODECS = {"mp4": timelapse.H264, "webm": "libvpx-vp9"}
LARGEST_CRF = {"mp4": 51, "webm": 63}
LIST = "frames.ffconcat"  # of a folder: FFmpeg reads it as a film
NAME = "{:06}.png"
FINEST = 90000  # units of a second, if times have no common unit below
_LONGEST_UNIT = 10**6
_PRIVATE = "location", "gps"
_TECHNICAL = {"compatible_brands", "encoder", "major_brand", "minor_version"}


class Still(NamedTuple):
    """A frame of the output."""

    time: Fraction  # seconds
    duration: Fraction
    pixels: np.ndarray  # [H, W, 3] in [0, 1]


class Options(NamedTuple):
    """How a film is written.

    Attributes:
        crf: Quality, from 0, the best.
        rate: Frames a second, on average.
        unit: The unit of all times, in seconds.
        sound: What is carried over; None: nothing.
        metadata: Of the source.
        mark: Whether to mark it as generated.
        keep_location: Whether to keep where it was recorded.
        bit_depth: Of PNG files.
    """

    crf: int = 18
    rate: Fraction = Fraction(25)
    unit: Fraction = Fraction(1, FINEST)
    sound: audio.Sound | None = None
    metadata: dict[str, str] = {}
    mark: bool = True
    keep_location: bool = False
    bit_depth: int = 8


def is_folder(path: Path) -> bool:
    """Returns whether an output is a folder of PNG files."""
    return not path.suffix or path.is_dir()


def check(path: Path, crf: int) -> None:
    """Checks the format of an output.

    Raises:
        ValueError: If it cannot be written.
    """
    if is_folder(path):
        return
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise ValueError(
            f"output {path} has the extension {path.suffix!r}; expected "
            f"{' or '.join(FORMATS)}, or a folder, for PNG files."
        )
    if not 0 <= crf <= LARGEST_CRF[form]:
        raise ValueError(
            f"crf is {crf}, expected 0 to {LARGEST_CRF[form]} for "
            f"{path.suffix.lower()}; lower is better."
        )
    files.require_extra("av", "video", f"output {path}")
    import av

    if CODECS[form] not in av.codec.codecs_available:
        raise ValueError(
            f"output {path} needs the encoder {CODECS[form]}, which this PyAV "
            "does not have; install its wheel (pip install --force-reinstall "
            "--only-binary=av av), or write a folder of PNG."
        )


def check_folder(path: Path, overwrite: bool) -> None:
    """Checks an existing folder, which is replaced as a whole.

    Raises:
        ValueError: If it has anything besides frames, or frames and `overwrite`
            is false.
    """
    if not path.is_dir():
        return
    names = {each.name for each in path.iterdir()}
    ours = {NAME.format(number) for number in range(1, len(names) + 1)}
    if others := sorted(names - ours - {LIST}):
        raise ValueError(
            f"output folder {path} has other files, such as {others[0]}; name "
            "a new folder."
        )
    if names and not overwrite:
        raise ValueError(
            f"output folder {path} has frames; name a new folder, or replace "
            "them with --overwrite."
        )


def find_unit(times: Iterable[Fraction]) -> Fraction:
    """Returns the coarsest unit of which all times are multiples.

    If it would be below a microsecond, it is 1/90000 s, and times are rounded.
    """
    unit = 1
    for time in times:
        unit = math.lcm(unit, time.denominator)
        if unit > _LONGEST_UNIT:
            return Fraction(1, FINEST)
    return Fraction(1, unit)


def digest(path: Path) -> str:
    """Returns the identity of an output: of a folder, by names and times."""
    if not path.is_dir():
        return files.digest_file(path)
    listing = sorted(
        (each.name, each.stat().st_size, each.stat().st_mtime_ns)
        for each in path.iterdir()
    )
    return hashlib.sha256(repr(listing).encode()).hexdigest()


def write(
    path: Path,
    stills: Iterator[Still],
    options: Options,
    note: Callable[[Path, Path], None],
) -> None:
    """Writes a film beside its place, and renames it.

    Args:
        path: The file or the folder.
        stills: The frames, in order; at least one.
        options: How.
        note: Called with the path and what will be renamed to it.

    Raises:
        OSError: If it cannot be written.
    """
    if is_folder(path):
        _write_folder(path, stills, options, note)
        return
    import av

    try:
        with files.write_atomically(path, note) as file:
            _encode(file, FORMATS[path.suffix.lower()], stills, options)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise OSError(f"{path} cannot be encoded: {error}") from error


def _encode(
    file: Any, form: str, stills: Iterator[Still], options: Options
) -> None:
    """Encodes a film with its sound."""
    import av

    first = next(stills)
    settings = {"crf": str(options.crf)}
    if form == "webm":
        settings |= {"b": "0", "row-mt": "1", "cpu-used": "2"}
    with av.open(file, "w", format=form) as container:
        container.metadata.update(_choose_metadata(options))
        stream = timelapse.add_stream(
            container,
            CODECS[form],
            options.rate,
            first.pixels.shape[:2],
            settings,
        )
        stream.codec_context.time_base = options.unit
        with contextlib.ExitStack() as stack:
            track = None
            if options.sound:
                track = audio.Track(container, options.sound)
                stack.callback(track.close)
            end = Fraction(0)
            for still in itertools.chain([first], stills):
                pixels = image_writing.quantize(still.pixels, np.uint8)
                frame = timelapse.make_frame(stream, pixels)
                frame.pts = round(still.time / options.unit)
                frame.time_base = options.unit
                container.mux(stream.encode(frame))
                end = still.time + still.duration
                if track:
                    track.mux(still.time)
            packets = stream.encode()
            if packets:  # the last one, which need not be shown last
                last = packets[-1]
                last.duration = round(end / last.time_base) - last.pts
            container.mux(packets)
            if track:
                track.mux()


def _choose_metadata(options: Options) -> dict[str, str]:
    """Chooses what to say of a film in its file."""
    kept = {
        name: text
        for name, text in options.metadata.items()
        if name.lower() not in _TECHNICAL
        and (
            options.keep_location
            or not any(word in name.lower() for word in _PRIVATE)
        )
    }
    return kept | ({"comment": xmp.GENERATED} if options.mark else {})


def _write_folder(
    path: Path,
    stills: Iterator[Still],
    options: Options,
    note: Callable[[Path, Path], None],
) -> None:
    """Writes a folder of PNG files, and how long each is shown."""
    for left in path.parent.glob(f".{glob.escape(path.name[:40])}.*.part"):
        shutil.rmtree(left, ignore_errors=True)  # of a killed run
    aside = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")
    aside.mkdir()
    try:
        lines = ["ffconcat version 1.0"]
        form = image_writing.Options(
            bit_depth=options.bit_depth, mark=options.mark
        )
        for number, still in enumerate(stills, 1):
            name = NAME.format(number)
            image_io.write_image(aside / name, still.pixels, form)
            lines += [f"file {name}", f"duration {float(still.duration):.6f}"]
        (aside / LIST).write_text("\n".join([*lines, ""]))
        note(path, aside)
        if path.is_dir():
            old = aside.with_suffix(".old")
            os.rename(path, old)
            os.rename(aside, path)
            shutil.rmtree(old)
        else:
            os.rename(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
