"""A picture -> the job that makes it again, as it was decided then."""

import dataclasses
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nst_tf import files
from nst_tf.images import image_io, masks, sources
from nst_tf.network import architectures
from nst_tf.plan import checks, inputs, planning, schedule, settings
from nst_tf.runs import outputs, records, resume

# Pictures besides content and style.
OTHERS = settings.MASKS | settings.STARTS


class RecordedRun(NamedTuple):
    """Holds a recorded run: its record, and the job that repeats it."""

    job: settings.Job
    record: records.Record
    is_network_named: bool = False  # by --weights, whatever painted then

    @property
    def steps(self) -> list[int]:
        """Taken at each level."""
        return [int(count) for count in self.record["decided"]["steps"]]


def load(asked: settings.Job, names: Collection[str]) -> RecordedRun:
    """Reads what a picture was made by, and finds what it was made from.

    Args:
        asked: A job with a `rerun`.
        names: Of its fields, those that were set.

    Raises:
        ValueError: If the picture does not say it, something is set that
            would change it, or an input is not found.
    """
    record = records.read_record(asked.rerun)
    pictures = record["inputs"]
    recorded = {name.partition("/")[0] for name in pictures}
    others = OTHERS - recorded
    changed = sorted(
        (set(names) - settings.RERUN_SETTINGS) | (set(names) & others)
    )
    if changed:
        raise ValueError(
            f"{changed[0]} is set, but rerun makes a picture again as it was; "
            f"for another one write its flags to a file with --describe, and "
            f"change them there."
        )
    folder = os.path.dirname(os.path.expanduser(asked.rerun)) or "."
    places = [folder, ".", str(files.presets_folder() / "images")]
    chosen = _settings(record)
    chosen |= {
        name: getattr(asked, name)
        for name in settings.FIELDS
        if name not in settings.RECORDED
        or (name in settings.RERUN_SETTINGS and name in names)
    }
    if not asked.content:
        chosen["content"] = _find_input("content", pictures["content"], places)
    if not asked.style:
        chosen["style"] = tuple(
            _find_input("style", each, places) for each in pictures["style"]
        )
    else:
        folders = sources.expand_folders(asked.style)
        given = tuple(each for folder in folders for each in folder)
        if len(given) != len(pictures["style"]):
            raise ValueError(
                f"style names {len(given)} pictures, but {asked.rerun} was "
                f"made from {len(pictures['style'])}."
            )
        chosen["style"] = given
    for name in (OTHERS & recorded) - set(names):
        parts = [
            _find_input(name, picture, places)
            for key, picture in pictures.items()
            if key.partition("/")[0] == name
        ]
        chosen[name] = tuple(parts) if name == "style_mask" else parts[0]
    if "weights" not in names:
        chosen["weights"] = _find_weights(record["network"], places)
    if not asked.output:
        same = Path(Path(asked.rerun).name)
        if same.suffix.lower() not in image_io.OUTPUT_EXTENSIONS:
            same = same.with_suffix(".png")
        chosen["output"] = str(outputs.find_free_path(same))
    job = settings.Job(**chosen)
    try:
        checks.check(job)
    except TypeError as error:
        raise ValueError(f"{asked.rerun} has a damaged record: {error}") from (
            error
        )
    return RecordedRun(job, record, "weights" in names)


def repeat(run: RecordedRun, draft: planning.Plan) -> planning.Plan:
    """Takes the steps of then at each level, by the optimizer of then.

    Raises:
        ValueError: If the levels are others, so that it cannot be made again.
    """
    sizes = [[level.width, level.height] for level in draft.levels]
    recorded = run.record["decided"]["sizes"]
    if sizes != recorded:
        raise ValueError(
            f"{run.job.rerun} was made at the sizes {recorded}, but this "
            f"content image, or this version, gives {sizes}; it cannot be made "
            f"again."
        )
    # A default of then is no setting that asks for Adam, whatever it is now.
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
    """Says, in lines, why the picture may become another one.

    Raises:
        ValueError: If the network weights that it was made with are not here.
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
                f"the {masks.format_title(name)} image is not the "
                f"{then['name']} of then: another file, and so another picture"
            )
    network = record["network"]
    if resume.digest_weights(read.network) != network["digest"]:
        if not run.is_network_named:
            raise ValueError(
                f"{run.job.rerun} was made with network weights that "
                f"are not here ({network['weights']}, {network['digest']}); "
                f"name their file with --weights=PATH, or take others with "
                f"--weights=auto, for another picture."
            )
        lines.append("the network weights differ from the recorded ones")
    for name, release in records.list_versions().items():
        before = record["versions"].get(name, "none")
        if before != release:
            lines.append(f"made with {name} {before}, and here is {release}")
    return lines


def _settings(record: records.Record) -> dict[str, Any]:
    """The fields of the job, as far as a record decides them."""
    decided = record["decided"]
    chosen = records.read_decided(record) | {
        "precision": decided["precision"],
        "strength": -1.0,
        "max_seconds": 0.0,
        "tolerance": 0.0,
        "seed": decided["seed"],
    }
    unknown = sorted(set(chosen) - set(settings.FIELDS))
    if unknown:
        raise ValueError(
            f"it was made by nst_tf {record['nst_tf']}, with {unknown[0]}, "
            f"which this version does not know."
        )
    return chosen


def _find_input(name: str, picture: Any, places: Sequence[str]) -> str:
    """Where an input is now: the file of that name and digest.

    Raises:
        ValueError: If it is in none of the places.
    """
    if not sources.is_file(picture["name"]):
        return str(picture["name"])
    paths = [os.path.join(place, picture["name"]) for place in places]
    found = [path for path in paths if os.path.isfile(path)]
    for path in found:
        if files.digest_file(Path(path)) == picture["digest"]:
            return path
    words = f"{found[0]} is another file" if found else "it is not there"
    raise ValueError(
        f"the {name} image {picture['name']} is looked for beside the picture "
        f"and here, but {words}; say which it is with --{name}=PATH."
    )


def _find_weights(network: Any, places: Sequence[str]) -> str:
    """Where the network's weights are now: by their digest, or their name."""
    for known in architectures.NETWORKS.values():
        for word, file in (("auto", known.shipped), ("small", known.small)):
            if file and network["digest"] == file.digest:
                return word
    if settings.is_keyword("weights", network["weights"]):
        return "imagenet"
    paths = [os.path.join(place, network["weights"]) for place in places]
    return next(filter(os.path.isfile, paths), "imagenet")
