"""The command line of nst-tf-video: its own flags, and those of settings."""

import dataclasses
import os
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from nst_tf.cli import flags, programs
from nst_tf.plan import conflicts, settings
from nst_tf.video import clips, film_painter

FARTHEST = 64  # frames that --look_back may name
_USUAL = film_painter.Agreement()


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags that are no settings of a picture."""

    start: str = programs.flag(
        "", "Where to begin, in seconds or as h:mm:ss. Default: the beginning."
    )
    end: str = programs.flag(
        "", "Where to end, in seconds or as h:mm:ss. Default: the end."
    )
    fps: str = programs.flag(
        "",
        "Frames a second, at most; others are left out, and none is repeated. "
        "The rate of a folder of frames, 25 by default.",
    )
    preview_frames: int = programs.flag(
        0, "Paint only the first N frames; 0: all.", low=0
    )
    crf: int = programs.flag(
        18,
        "Quality of .mp4 (0 to 51) and .webm (0 to 63); lower is better.",
        low=0,
        high=63,
    )
    flow: str = programs.flag(
        "dis",
        "Optical flow: dis; deepflow, which needs OpenCV's module optflow; "
        "none, for films in which nothing moves; or a folder of .flo files.",
        path="folder",
        examples=("dis", "deepflow", "none"),
    )
    look_back: tuple[int, ...] = programs.flag(
        _USUAL.look_back,
        "How many frames ago the frames are that a frame must agree with.",
        low=1,
        high=FARTHEST,
    )
    temporal_weight: float = programs.flag(
        _USUAL.temporal_weight,
        "Weight of agreement with earlier frames.",
        low=0,
        high=1e12,
    )
    frame_steps: int = programs.flag(
        _USUAL.frame_steps,
        "Steps of each frame but the first of a scene; 0: 0.4 of the steps at "
        "the full size.",
        low=0,
        high=10**6,
    )
    passes: int = programs.flag(
        _USUAL.passes,
        "How many times the whole film is painted, forward and backward.",
        low=1,
        high=100,
    )
    work_dir: str = programs.flag(
        "",
        "Folder of the painted frames until the film is done, from which a "
        "killed run continues. Default: <output>.work.",
        path="folder",
    )
    keep_frames: bool = programs.flag(
        False, "Keep the work folder when the film is done."
    )
    report: str = programs.flag(
        "",
        "Write figures of the film to this .json file: warping error, and "
        "style and content distance of each frame.",
        path="report",
    )


USAGE = """\
Neural style transfer of a film, whose frames agree with each other.

  nst-tf-video clip.mp4 painting.jpg -o film.mp4 [--name=value ...]
  nst-tf-video --content='frames/%04d.png' --style=painting.jpg \\
      --output=film.webm

python -m nst_tf.video is the same as nst-tf-video. --content is a file that
FFmpeg reads, or a folder or a pattern of numbered frames. --output is a
.mp4, a .webm, or a folder, for PNG files. All options of nst-tf that
concern a picture apply to each frame: see nst-tf --help. A mask may be a
folder with one for each frame.

Ctrl-C writes the frames so far; the same command continues, and so it does
after a crash. --dry_run prints frames, time, memory and disk.
docs/video.md is the guide.
"""
END = """\
Exit status: 0 done; 1 invalid input, or the film could not be written; 3
out of memory; 4 a frame failed; 129, 130, 143, 149 stopped by SIGHUP,
Ctrl-C, SIGTERM, Ctrl-Break."""
# Settings of the program that a film has, too.
_SHARED = ("dry_run", "progress", "quiet", "verbose")
_UNRECORDED = ("work_dir", "keep_frames", "report")
# A film continues from its own work folder, and paper has no frames.
_LEFT_OUT = (
    *("checkpoint_dir", "checkpoint_every", "resume", "continue_from"),
    *("print_size", "dpi", "quality", "record_paths", "max_seconds"),
)
PROGRAM = programs.Program(
    "nst-tf-video",
    Options,
    USAGE,
    END,
    [
        name
        for name in settings.FIELDS
        if name not in _LEFT_OUT
        and (name not in settings.PROGRAM_SETTINGS or name in _SHARED)
    ],
)


class Request(NamedTuple):
    """A parsed command line."""

    options: Options
    job: settings.Job  # of each frame; its content and output are films
    selection: clips.Selection
    notes: Sequence[str]


def read(arguments: Sequence[str]) -> Request:
    """Reads command line arguments, without the program's name.

    Raises:
        ValueError: If one is not as it should be.
    """
    own = programs.read(PROGRAM, arguments)
    pictures = flags.take_pictures(own.words, own.flags)
    request = flags.read_flags([*own.flags, *pictures])
    job, options = request.job, own.options
    for name in conflicts.list_given(job):
        if name not in PROGRAM.settings:
            raise ValueError(f"{name} is for single pictures; leave it out.")
    if not job.content:
        raise ValueError(
            "no film; type nst-tf-video clip.mp4 painting.jpg -o film.mp4, or "
            "see nst-tf-video -h."
        )
    look_back = options.look_back
    if not look_back or len(set(look_back)) != len(look_back):
        raise ValueError(
            f"look_back is {','.join(map(str, look_back))!r}, expected "
            "different numbers, such as 1,2,4."
        )
    if options.report and not options.report.lower().endswith(".json"):
        raise ValueError(
            f"report {options.report} must have the extension .json."
        )
    selection = clips.Selection(
        _read_time("start", options.start) or Fraction(0),
        _read_time("end", options.end),
        _read_rate(options.fps),
        options.preview_frames,
    )
    if selection.end is not None and selection.end <= selection.start:
        raise ValueError(
            f"end is {options.end}, but start is {options.start or '0'}; end "
            "after the start."
        )
    return Request(options, job, selection, request.notes)


def list_recorded(options: Options) -> dict[str, str]:
    """Lists the flags that decide a film and differ from their defaults.

    Of a folder it has the name.
    """
    found = {}
    for field in dataclasses.fields(Options):
        value = getattr(options, field.name)
        if field.name in _UNRECORDED or value == field.default:
            continue
        if isinstance(value, tuple):
            value = ",".join(map(str, value))
        if field.name == "flow":
            value = os.path.basename(os.path.abspath(value))
        found[field.name] = str(value)
    return found


def _read_time(name: str, text: str) -> Fraction | None:
    """Parses seconds, or h:mm:ss; None for an empty text."""
    if not text:
        return None
    seconds = Fraction(0)
    try:
        parts = [Fraction(part) for part in text.split(":")]
        if len(parts) > 3 or min(parts) < 0 or "/" in text:
            raise ValueError(text)
        for part in parts:
            seconds = 60 * seconds + part
    except ValueError:
        raise ValueError(
            f"{name} is {text!r}, expected seconds, such as 2.5, or h:mm:ss."
        ) from None
    return seconds


def _read_rate(text: str) -> Fraction | None:
    """Parses frames a second, such as 24, 23.976 or 24000/1001."""
    if not text:
        return None
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not Fraction(1, 1000) <= rate <= 1000:
        raise ValueError(
            f"fps is {text!r}, expected frames a second, such as 24 or "
            "24000/1001."
        )
    return rate
