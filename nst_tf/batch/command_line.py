"""The command line of nst-tf-batch: its own flags, and those of settings."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from nst_tf import files, urls
from nst_tf.cli import flags, programs
from nst_tf.plan import checks, conflicts, settings


@dataclasses.dataclass(frozen=True)
class Options:
    """The flags that are no settings of a picture."""

    manifest: str = programs.flag(
        "",
        "File with a picture per line, .csv or .jsonl; its columns or keys are "
        "options of nst-tf.",
        path="manifest",
    )
    output_root: str = programs.flag(
        "", "Refuse outputs outside of this folder.", path="folder"
    )
    results_dir: str = programs.flag(
        ".", "Folder of results.jsonl and failed.jsonl.", path="folder"
    )
    skip_bad: bool = programs.flag(
        False, "Paint the other lines if some cannot be painted."
    )
    judge: bool = programs.flag(
        False, "Judge each picture, as python -m nst_tf.judge does."
    )
    workers: int = programs.flag(
        0,
        "Processes on this machine, each with its share of cores and memory, "
        "or a GPU; with --engine=ray the most actors. 0: this process, or as "
        "many actors as the cluster has room for.",
        low=0,
    )
    shard: str = programs.flag(
        "",
        "Paint a part, such as 3/8: every eighth line from the third. Results "
        "go to results-3-of-8.jsonl.",
    )
    merge: bool = programs.flag(
        False,
        "Merge the results of shards in --results_dir, or of the files named, "
        "into results.jsonl, and stop.",
    )
    engine: str = programs.flag(
        "local",
        "Program that paints; ray needs nst-tf[batch].",
        choices=("local", "ray"),
    )
    address: str = programs.flag(
        "auto",
        "Ray cluster: auto, the one of this machine or of RAY_ADDRESS; local, "
        "a new one on this machine; or HOST:PORT.",
        path="address",
        examples=("auto", "local"),
    )
    gpus_per_job: float = programs.flag(
        -1.0,
        "Ray: GPUs for each picture, such as 0.5. -1: one, if the cluster has "
        "any.",
        low=0,
        high=64,
        off=-1,
    )


USAGE = """\
Neural style transfer of many pictures, by one machine or by a Ray cluster.

  nst-tf-batch --manifest=jobs.csv [--name=value ...]
  nst-tf-batch --content='photos/*.jpg' --style='paintings/*.jpg' \\
      --output='out/{content}-{style}.png' [--name=value ...]

python -m nst_tf.batch is the same as nst-tf-batch. Quoted patterns give
every content with every style. All options of nst-tf that concern a
picture are defaults for all lines: see nst-tf --help. Paths in a manifest
are relative to it. In --output, {content}, {style}, {index} and any other
option in braces are replaced for each picture.

A picture that exists is skipped if its record has the same options and
inputs. Ctrl-C saves the picture under way; the same command continues.
--dry_run prints what would be painted. docs/batches.md is the guide.
"""
END = """\
Exit status: 0 all done; 1 invalid input, nothing painted; 5 some failed;
129, 130, 143, 149 stopped by SIGHUP, Ctrl-C, SIGTERM, Ctrl-Break."""
# Settings of the program that a batch has, too.
_SHARED = ("dry_run", "progress", "quiet", "verbose")
PROGRAM = programs.Program(
    "nst-tf-batch",
    Options,
    USAGE,
    END,
    [
        name
        for name in settings.FIELDS
        if name not in settings.PROGRAM_SETTINGS or name in _SHARED
    ],
)


class Request(NamedTuple):
    """A parsed command line."""

    options: Options
    defaults: settings.Job  # for all lines
    program: settings.Job  # dry_run, progress, quiet and verbose
    notes: Sequence[str]
    shard: tuple[int, int] | None
    words: Sequence[str]  # files to merge


def read(arguments: Sequence[str]) -> Request:
    """Reads command line arguments, without the program's name.

    Raises:
        ValueError: If one is not as it should be.
    """
    own = programs.read(PROGRAM, arguments)
    if own.words and not own.options.merge:
        raise ValueError(
            f"unexpected argument {urls.show_source(own.words[0])}; put "
            f"patterns in quotes, as in --content='photos/*.jpg'."
        )
    request = flags.read_flags(own.flags)
    for name in conflicts.list_given(request.job):
        if name not in PROGRAM.settings:
            raise ValueError(
                f"{name} is for a single picture's run; leave it out."
            )
    plain: dict[str, Any] = {
        name: settings.FIELDS[name].default for name in _SHARED
    }
    check(own.options)
    return Request(
        own.options,
        dataclasses.replace(request.job, **plain),
        request.job,
        request.notes,
        _read_shard(own.options.shard),
        own.words,
    )


def check(options: Options) -> None:
    """Raises ValueError unless a batch can be painted with these options."""
    for field in dataclasses.fields(options):
        checks.check_field(field, getattr(options, field.name))
    if options.engine == "ray":
        files.require_extra("ray", "batch", "--engine=ray")


def _read_shard(text: str) -> tuple[int, int] | None:
    """Parses a shard such as "3/8"."""
    if not text:
        return None
    one, _, all_ = text.partition("/")
    if one.isdecimal() and all_.isdecimal() and 1 <= int(one) <= int(all_):
        return int(one), int(all_)
    raise ValueError(
        f"shard is {text!r}, expected a number and how many there are, from "
        f"1/8 to 8/8."
    )
