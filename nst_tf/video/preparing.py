"""Decides and checks all that can be, before a film is painted.

Nothing here needs TensorFlow, so that wrong input is answered at once.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nst_tf
from nst_tf import errors, files, urls
from nst_tf.images import image_io, sources
from nst_tf.plan import inputs, planning, settings
from nst_tf.runs import outputs, records
from nst_tf.video import (
    clips,
    command_line,
    film_file,
    frame_folder,
    frames,
    work_folder,
    writing,
)

# Masks of the content, of which there may be one per frame.
MASKS = ("content_mask", "strength_map", "keep_mask")
FILM_BYTES = 0.25  # per pixel of an encoded film, at most about
PNG_BYTES = 4  # per pixel, for each 8 bits of a channel


@dataclasses.dataclass(frozen=True)
class Film:
    """A film, ready to be painted.

    Attributes:
        options: The program's own flags.
        job: The settings of each frame.
        clip: The content.
        masks: Those that differ by frame, by setting.
        read: The first frame, styles, masks and network.
        draft: The draft of the plan of the first frame.
        output: The file or the folder to write.
        work: The work folder.
    """

    options: command_line.Options
    job: settings.Job
    clip: clips.Clip
    masks: Mapping[str, frame_folder.MaskFolder]
    read: inputs.Inputs
    draft: planning.Plan
    output: Path
    work: Path

    @property
    def disk(self) -> int:
        """The bytes that the painted frames take until the film is done."""
        # A pass reads the frames of the pass before it.
        passes = min(2, self.options.passes)
        one = work_folder.measure_frame(*self.draft.size)
        return passes * self.clip.count * one

    def add_masks(self, frame: frames.Frame) -> frames.Frame:
        """Adds the masks of a frame to it."""
        if not self.masks:
            return frame
        masks = {name: m.load(frame.index) for name, m in self.masks.items()}
        return dataclasses.replace(frame, masks=masks)


def prepare(request: command_line.Request) -> Film:
    """Opens the film, and checks it, its settings and the output.

    Raises:
        ValueError: If something is not as it should be.
    """
    options, job = request.options, request.job
    clip = open_clip(job.content, request.selection)
    masks = {
        name: frame_folder.MaskFolder(name, getattr(job, name), clip)
        for name in MASKS
        if frame_folder.is_several(getattr(job, name))
    }
    check_pixels(clip, job.max_megapixels)
    first = next(clip.read()).pixels
    per_frame = {getattr(job, name): masks[name] for name in masks}

    def load(source: str, *arguments: Any, **others: Any) -> image_io.Picture:
        if source == job.content:
            return image_io.Picture(first)
        if source in per_frame:
            return per_frame[source].load(0)
        others["may_download"] = not job.dry_run
        return sources.load(source, *arguments, **others)

    read = inputs.read_inputs(job, load)
    draft = planning.draft_plan(job, read)
    output = choose_output(job, read)
    work = work_folder.find_default(output)
    if options.work_dir:
        work = Path(options.work_dir).expanduser()
    film = Film(options, job, clip, masks, read, draft, output, work)
    check_places(film)
    weights = inputs.load_network(job)
    read = read._replace(network=weights)
    return dataclasses.replace(
        film, read=read, draft=draft.add_weights(weights)
    )


def open_clip(source: str, selection: clips.Selection) -> clips.Clip:
    """Opens a film: a file, or a folder or a pattern of frames.

    Raises:
        ValueError: If it cannot be read, or has no frames.
    """
    if source == sources.STANDARD_INPUT or urls.is_address(source):
        raise ValueError(
            f"content is {urls.show_source(source)}, but a film is read more "
            "than once; save it as a file first."
        )
    if frame_folder.is_several(source):
        return frame_folder.FrameFolder(source, selection)
    path = Path(os.path.expanduser(source))
    if not path.exists():
        near = errors.find_near_file(path)
        raise ValueError(f"there is no file {path}{near or '.'}")
    if not path.is_file():  # opening a pipe could block
        raise ValueError(f"{path} is not a regular file; pass a film.")
    files.require_extra("av", "video", f"{path}", "; or pass its frames.")
    return film_file.FilmFile(path, selection)


def check_pixels(clip: clips.Clip, limit: float) -> None:
    """Raises ValueError if frames are larger than max_megapixels."""
    height, width = clip.source.height, clip.source.width
    if height * width > limit * 1e6:
        raise ValueError(
            f"{clip.name} is {width} x {height}, more than the "
            f"{limit:g} megapixels of --max_megapixels."
        )


def choose_output(job: settings.Job, read: inputs.Inputs) -> Path:
    """Chooses the output: as requested, or <content>-<style>.mp4."""
    if job.output:
        return Path(os.path.normpath(os.path.expanduser(job.output)))
    names = [job.content, *read.list_style_sources()]
    stems = "-".join(Path(sources.find_name(each)).stem for each in names)
    return Path(f"{stems.replace('%', '')[:60]}.mp4")


def check_places(film: Film) -> None:
    """Checks output, report and work folder, and the space for them.

    Raises:
        ValueError: If one cannot be written, or would replace another file.
    """
    job, options, output = film.job, film.options, film.output
    inputs_ = [
        Path(os.path.expanduser(each))
        for each in (job.content, *inputs.list_input_files(job, film.read))
    ]
    places = [output] + [Path(options.report)] * bool(options.report)
    for setting, place in zip(("output", "report"), places, strict=False):
        if any(_is_same(place, each) for each in inputs_):
            raise ValueError(
                f"{setting} {place} is one of the inputs; choose another name."
            )
        outputs.check_folder(setting, place)
    if options.report and os.path.lexists(options.report) and not job.overwrite:
        raise ValueError(
            f"report {options.report} exists; choose another name, or "
            "overwrite it with --overwrite."
        )
    if writing.is_folder(output):
        writing.check_folder(output, job.overwrite or _is_own(film))
    elif os.path.lexists(output):
        if not output.is_file():
            raise ValueError(
                f"output {output} exists and is not a regular file; choose "
                "another name."
            )
        if not job.overwrite and not _is_own(film):
            raise ValueError(
                f"output {output} exists; choose another name, or overwrite it "
                "with --overwrite."
            )
    writing.check(output, options.crf)
    if job.bit_depth != 8 and not writing.is_folder(output):
        raise ValueError(
            f"--bit_depth is {job.bit_depth}, but {output.suffix} films have 8 "
            "bits; write a folder of PNG."
        )
    check_disk(film)


def check_disk(film: Film) -> None:
    """Raises ValueError if the work folder or the film has no room."""
    height, width = film.draft.size
    pixels = film.clip.count * height * width
    size = FILM_BYTES * pixels
    if writing.is_folder(film.output):
        size = PNG_BYTES * pixels * film.job.bit_depth / 8
    kept = sum(each.stat().st_size for each in film.work.glob("pass*/*.npy"))
    needs = [
        ("work_dir", film.work, max(0, film.disk - kept)),
        ("output", film.output, size),
    ]
    folders = [_find_folder(path) for _, path, _ in needs]
    is_one_disk = len({os.stat(folder).st_dev for folder in folders}) == 1
    for (setting, path, need), folder in zip(needs, folders, strict=True):
        if is_one_disk:
            need = sum(each for *_, each in needs)
        free = shutil.disk_usage(folder).free
        if free < need:
            count = errors.format_count(film.clip.count, "frame")
            raise ValueError(
                f"{setting} {path} has {work_folder.format_size(free)} free, "
                f"but {count} of {width} x {height} need "
                f"{work_folder.format_size(need)} until the film is done; free "
                "space, or name a folder of another disk with --work_dir."
            )


def identify(film: Film, decided: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what decides the pixels of a film, by name.

    More frames, or more passes, belong to the same film.

    Args:
        film: The film.
        decided: The identity of the plan of its first frame.
    """
    options = film.options
    masks = [path for each in film.masks.values() for path in each.paths]
    identity = {
        **decided,
        "content film": _digest_files(film.clip.list_files()),
        "masks of frames": _digest_files(masks),
        "start": str(film.clip.offset),
        "fps": options.fps,
        "flow": options.flow,
        "look_back": list(options.look_back),
        "temporal_weight": options.temporal_weight,
        "frame_steps": options.frame_steps,
    }
    if options.passes > 1:  # a pass goes backward, from the end
        identity["frames"] = film.clip.count
    if os.path.isdir(options.flow):
        flows = sorted(Path(options.flow).glob("*.flo"))
        identity["flow"] = _digest_files(flows)
    return identity | _list_versions()


def make_record(film: Film) -> str:
    """Makes the record that the file of a film has, as JSON.

    It holds neither the date nor seconds, so that a continued film is the same
    file, and names of files without folders.
    """
    job = film.job
    flags, weights = records.list_flags(job), job.weights
    if not settings.is_keyword("init", job.init):  # a file
        flags.pop("init", None)
    if not settings.is_keyword("weights", weights):
        weights = f"./{sources.find_name(weights)}"
    record = {
        "nst_tf": nst_tf.__version__,
        "content": sources.find_name(job.content),
        "style": [sources.find_name(each) for each in job.style],
        "weights": weights,
        "flags": flags,
        "film": command_line.list_recorded(film.options),
        "versions": {**records.list_versions(), **_list_versions()},
    }
    return json.dumps(record)


def _list_versions() -> dict[str, str]:
    """Returns the versions of the packages that only films need."""
    found = {}
    for name, module in (("PyAV", "av"), ("OpenCV", "cv2")):
        with contextlib.suppress(ImportError):
            found[name] = __import__(module).__version__
    return found


def _is_own(film: Film) -> bool:
    """Returns whether the output is of an earlier run of this film."""
    return film.output.exists() and work_folder.read_written(
        film.work
    ) == writing.digest(film.output)


def _is_same(path: Path, other: Path) -> bool:
    """Returns whether two paths are one file or folder."""
    with contextlib.suppress(OSError):
        return path.samefile(other)
    return False


def _find_folder(path: Path) -> Path:
    """Returns the nearest folder that exists."""
    path = path.absolute()
    return next(each for each in (path, *path.parents) if each.is_dir())


def _digest_files(paths: Sequence[Path]) -> str:
    """Returns the digest of the contents of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(files.digest_file(path).encode())
    return f"sha256:{digest.hexdigest()}"
