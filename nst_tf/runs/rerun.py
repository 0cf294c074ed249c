"""Makes the job that repeats the run of a recorded picture."""

import dataclasses
import functools
import itertools
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nst_tf import errors, files, urls
from nst_tf.images import image_io, masks, reading, sources
from nst_tf.network import architectures, weight_files
from nst_tf.plan import checks, inputs, planning, schedule, settings
from nst_tf.runs import outputs, record_checks, records, resume


class RecordedRun(NamedTuple):
    """A recorded run: its record, and the job that repeats it."""

    job: settings.Job
    record: records.Record
    is_network_named: bool = False  # by --weights

    @property
    def steps(self) -> list[int]:
        """Returns the steps taken at each level."""
        return [int(count) for count in self.record["decided"]["steps"]]


def load(asked: settings.Job, names: Collection[str]) -> RecordedRun:
    """Reads the record of a picture, and finds its inputs.

    Args:
        asked: A job whose `rerun` is set.
        names: The settings that the user set.

    Raises:
        ValueError: If the picture has no record, a setting would change the
            picture, or an input is not found.
    """
    record = records.read_record(asked.rerun)
    if unknown := record_checks.list_unknown(record):
        raise ValueError(
            f"{asked.rerun} was made by nst_tf {_show(record['nst_tf'])} with "
            f"the setting {_show(unknown[0][:60])}, which this version does "
            "not have; install that version."
        )
    pictures = record["inputs"]
    recorded = {name.partition("/")[0] for name in pictures}
    others = record_checks.OTHERS - recorded
    if changed := sorted(set(names) & others):
        raise ValueError(
            f"--{changed[0]} is given, but --rerun repeats a picture "
            "unchanged; to change it, save the output of --describe as a flag "
            "file and edit that."
        )
    folder = os.path.dirname(os.path.expanduser(asked.rerun)) or "."
    finder = _Finder(folder, asked.max_megapixels)
    chosen = _settings(record)
    chosen |= {
        name: getattr(asked, name)
        for name in settings.FIELDS
        if name not in settings.RECORDED
        or (name in settings.RERUN_SETTINGS and name in names)
    }
    if not asked.content:
        chosen["content"] = finder.find_picture("content", pictures["content"])
    if not asked.style:
        chosen["style"] = tuple(
            finder.find_picture("style", each) for each in pictures["style"]
        )
    else:
        folders = sources.expand_folders(asked.style)
        given = tuple(each for folder in folders for each in folder)
        if len(given) != len(pictures["style"]):
            raise ValueError(
                f"style names {errors.format_count(len(given), 'picture')}, "
                f"but {asked.rerun} was made from {len(pictures['style'])}; "
                "pass the same number."
            )
        chosen["style"] = given
    for name in (record_checks.OTHERS & recorded) - set(names):
        parts = [
            finder.find_picture(key, picture)
            for key, picture in pictures.items()
            if key.partition("/")[0] == name
        ]
        chosen[name] = tuple(parts) if name == "style_mask" else parts[0]
    if "weights" not in names:
        chosen["weights"] = finder.find_weights(record["network"])
        if not chosen["weights"]:
            raise _miss_weights(asked.rerun, record["network"])
    if not asked.output:
        same = Path(Path(asked.rerun).name)
        if same.suffix.lower() not in image_io.OUTPUT_EXTENSIONS:
            same = same.with_suffix(".png")
        chosen["output"] = str(outputs.find_free_path(same))
    job = settings.Job(**chosen)
    try:
        checks.check(job)
    except TypeError as error:
        reason = str(error).rstrip(".")
        raise ValueError(
            f"{asked.rerun} has a damaged record: {reason}; pass an unedited "
            "output of this program."
        ) from error
    return RecordedRun(job, record, "weights" in names)


def repeat(run: RecordedRun, draft: planning.Plan) -> planning.Plan:
    """Applies the recorded steps and optimizers to a draft.

    Raises:
        ValueError: If the recorded levels differ from those of the draft.
    """
    sizes = [[level.width, level.height] for level in draft.levels]
    recorded = run.record["decided"]["sizes"]
    if sizes != recorded:
        raise ValueError(
            f"{run.job.rerun} was made at the sizes {recorded}, but this "
            f"content image or this version gives {sizes}; use the original "
            "content image or version."
        )
    # Only settings in the recorded flags select Adam, not changed defaults.
    job = run.job
    asked = schedule.ADAM_SETTINGS & set(run.record["flags"])
    if asked and job.optimizer == "auto":
        job = dataclasses.replace(job, optimizer="adam")
    levels = schedule.choose_optimizers(job, draft.levels, by_size=True)
    stop = draft.stop._replace(steps=run.steps)
    return dataclasses.replace(
        draft,
        stop=stop,
        levels=[
            level._replace(steps=max(level.steps, count))
            for level, count in zip(levels, run.steps, strict=True)
        ],
    )


def list_differences(run: RecordedRun, read: inputs.Inputs) -> list[str]:
    """Lists, in sentences, differences that may change the picture.

    Raises:
        ValueError: If the recorded network weights are missing.
    """
    record = run.record
    lines = []
    pictures = record["inputs"]
    pairs = [("content", pictures["content"], read.content)]
    pairs += [
        ("style", then, now)
        for then, now in zip(pictures["style"], read.styles, strict=True)
    ]
    pairs += [
        (name, pictures[name], now)
        for name, now in read.others.items()
        if name in pictures
    ]
    for name, then, now in pairs:
        if then["digest"] != now.digest:
            lines.append(
                f"the {masks.format_title(name)} image differs from the "
                f"recorded {_show(then['name'])}, so the result will differ"
            )
    network = record["network"]
    missing = read.network is not None and read.network.is_missing
    if not missing and resume.digest_weights(read.network) != network["digest"]:
        if not run.is_network_named:
            raise _miss_weights(run.job.rerun, network)
        lines.append("the network weights differ from the recorded ones")
    for name, release in records.list_versions().items():
        before = record["versions"].get(name, "none")
        if before != release:
            lines.append(
                f"the picture was made with {name} {before}, and this is "
                f"{release}"
            )
    return lines


def _settings(record: records.Record) -> dict[str, Any]:
    """Returns the fields of the job that a record determines."""
    decided = record["decided"]
    return records.read_decided(record) | {
        "precision": decided["precision"],
        # Old records lack it: direct was the only one.
        "convolution": decided.get("convolution", "direct"),
        "strength": -1.0,
        "max_seconds": 0.0,
        "tolerance": 0.0,
        "seed": decided["seed"],
    }


def _miss_weights(picture: str, network: Mapping[str, Any]) -> ValueError:
    """Makes the error for missing network weights."""
    return ValueError(
        f"{picture} was made with network weights that were not found "
        f"({_show(network['weights'])}, {network['digest']}); pass their file "
        "with --weights=PATH, or use others with --weights=auto, which "
        "changes the picture."
    )


class _Finder:
    """Finds the files that a record names; the record is untrusted.

    It finds files by name and digest beside the picture, in the working
    directory and among the presets' images, or by digest in the download cache.
    It opens no other file and no address.

    Args:
        folder: The folder of the picture.
        max_megapixels: As in `image_io.load_picture`.
    """

    def __init__(self, folder: str, max_megapixels: float):
        self._places = (folder, ".", str(files.presets_folder() / "images"))
        self._limit = reading.find_largest_file(max_megapixels)
        self._digest = functools.cache(files.digest_regular_file)

    def find_picture(self, name: str, picture: Mapping[str, Any]) -> str:
        """Finds an input, such as "style_mask/0".

        Raises:
            ValueError: If it is in none of these places.
        """
        named, digest = picture["name"], picture["digest"]
        is_bare = record_checks.is_bare_name(named)
        places = self._places if is_bare else ()
        paths = [os.path.join(place, named) for place in places]
        for path in itertools.chain(paths, map(str, sources.list_cached())):
            if digest and self._digest(Path(path), self._limit) == digest:
                return path
        flag = name.partition("/")[0]
        title = f"the {masks.format_title(name)} image"
        if not is_bare:
            raise ValueError(
                f"{title} was {_show(named)}; for safety, paths and addresses "
                "in records are not followed. If you trust it, pass it with "
                f"--{flag}=PATH."
            )
        others = [path for path in paths if os.path.lexists(path)]
        words = (
            f"{_show(str(others[0]))} has other contents"
            if others
            else "found none"
        )
        raise ValueError(
            f"searched for {title} {_show(named)} beside the picture, in the "
            "working directory, the presets' images and the downloads, but "
            f"{words}; pass it with --{flag}=PATH."
        )

    def find_weights(self, network: Mapping[str, Any]) -> str:
        """Finds recorded network weights.

        Returns:
            A value of --weights; empty if they are not found.
        """
        for known in architectures.NETWORKS.values():
            for word, file in (("auto", known.shipped), ("small", known.small)):
                if file and network["digest"] == file.digest:
                    return word
        name, digest = network["weights"], network.get("file")
        if settings.is_keyword("weights", name):
            return "imagenet"
        if not digest or not record_checks.is_bare_name(name):
            return ""
        paths = [os.path.join(place, name) for place in self._places]
        limit = weight_files.LARGEST_FILE
        found = (p for p in paths if self._digest(Path(p), limit) == digest)
        return next(found, "")


def _show(text: str) -> str:
    """Formats a text of a record in one line; hides secrets of addresses."""
    shown = urls.show_source(text)
    return shown if shown.isprintable() else ascii(shown)
