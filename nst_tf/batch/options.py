"""The command line of nst-tf-batch: its own flags, and those of settings."""

import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nst_tf import errors, urls
from nst_tf.batch import api, manifest
from nst_tf.cli import flag_values, flags
from nst_tf.plan import conflicts, settings


class Flag(NamedTuple):
    """A flag of the program that is no setting of a picture."""

    kind: type
    default: Any
    help: str


FLAGS = {
    "manifest": Flag(
        str,
        "",
        "File with a picture per line, .csv or .jsonl; its columns or keys are "
        "options of nst-tf.",
    ),
    "output_root": Flag(str, "", "Refuse outputs outside of this folder."),
    "results_dir": Flag(str, ".", "Folder of results.jsonl and failed.jsonl."),
    "skip_bad": Flag(
        bool, False, "Paint the other lines if some cannot be painted."
    ),
    "judge": Flag(
        bool, False, "Judge each picture, as python -m nst_tf.judge does."
    ),
    "workers": Flag(
        int,
        0,
        "Processes on this machine, each with its share of cores and memory, "
        "or a GPU; with --engine=ray the most actors. 0: this process, or as "
        "many actors as the cluster has room for.",
    ),
    "shard": Flag(
        str,
        "",
        "Paint a part, such as 3/8: every eighth line from the third. Results "
        "go to results-3-of-8.jsonl.",
    ),
    "merge": Flag(
        bool,
        False,
        "Merge the results of shards in --results_dir, or of the files named, "
        "into results.jsonl, and stop.",
    ),
    "engine": Flag(str, "local", "local, or ray, which needs nst-tf[batch]."),
    "address": Flag(
        str,
        "auto",
        "Ray cluster: auto, the one of this machine or of RAY_ADDRESS; local, "
        "a new one on this machine; or HOST:PORT.",
    ),
    "gpus_per_job": Flag(
        float,
        -1.0,
        "Ray: GPUs for each picture, such as 0.5. -1: one, if the cluster has "
        "any.",
    ),
}
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
_END = """\
Exit status: 0 all done; 1 invalid input, nothing painted; 5 some failed;
129, 130, 143 stopped by SIGHUP, Ctrl-C, SIGTERM."""
# Settings of the program that a batch has, too.
_SHARED = ("dry_run", "progress", "quiet", "verbose")


class Request(NamedTuple):
    """A parsed command line."""

    own: dict[str, Any]  # by name, of `FLAGS`
    defaults: settings.Job  # for all lines
    program: settings.Job  # dry_run, progress, quiet and verbose
    notes: Sequence[str]
    shard: tuple[int, int] | None
    words: Sequence[str]  # files to merge

    @property
    def options(self) -> api.Options:
        """The options of the batch."""
        return api.Options(*(self.own[name] for name in api.Options._fields))


def read(arguments: Sequence[str]) -> Request:
    """Reads command line arguments, without the program's name.

    Raises:
        ValueError: If one is not as it should be.
    """
    own, rest = _split(arguments)
    words: list[str] = []
    if own["merge"]:
        words = [each for each in rest if not each.startswith("-")]
        rest = [each for each in rest if each not in words]
    else:
        _check_words(rest)
    request = flags.read(rest)
    given = conflicts.list_given(request.job)
    for name in given:
        if name in settings.PROGRAM_SETTINGS and name not in _SHARED:
            raise ValueError(
                f"{name} is for a single picture's run; leave it out."
            )
    plain: dict[str, Any] = {
        name: settings.FIELDS[name].default for name in _SHARED
    }
    for name in set(given) - set(_SHARED):
        manifest.check_name(name)
    options = Request(
        own,
        dataclasses.replace(request.job, **plain),
        request.job,
        request.notes,
        _read_shard(own["shard"]),
        words,
    )
    api.check_options(options.options)
    return options


def format_usage() -> str:
    """Writes the text of --help."""
    lines = [USAGE]
    for name, flag in FLAGS.items():
        switch = flag.kind is bool
        text = flag.help
        if not switch and flag.default != "":
            text += f" (default: {flag.default})"
        typed = f"--{name}" if switch else f"--{name}="
        first, *others = textwrap.wrap(text, 54, break_on_hyphens=False)
        lines.append(f"  {typed:20}  {first}")
        lines += [f"  {'':20}  {line}" for line in others]
    return "\n".join([*lines, "", _END])


def _split(arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Takes our own flags out of a command line; the rest is for settings."""
    own: dict[str, Any] = {name: flag.default for name, flag in FLAGS.items()}
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        argument = queue.pop(0)
        typed, equals, value = argument.partition("=")
        name = typed.lstrip("-").replace("-", "_")
        positive = name.removeprefix("no").removeprefix("_")
        if not typed.startswith("--") or (
            name not in FLAGS
            and not (positive in FLAGS and FLAGS[positive].kind is bool)
        ):
            _check_known(typed, name)
            rest.append(argument)
            if not equals and _takes_value(typed) and queue:
                rest.append(queue.pop(0))
            continue
        if name not in FLAGS or FLAGS[name].kind is bool:
            if equals:
                raise ValueError(f"flag {typed} takes no value.")
            own[positive if name not in FLAGS else name] = name in FLAGS
            continue
        if not equals:
            if not queue:
                raise ValueError(
                    f"flag {typed} has no value; write {typed}=VALUE."
                )
            value = queue.pop(0)
        own[name] = _read_value(name, value)
    return own, rest


def _check_known(typed: str, name: str) -> None:
    """Raises ValueError for a near miss of one of our own flags."""
    if not typed.startswith("--") or typed == "--":
        return
    try:
        flag_values.find_name(typed)
    except ValueError:
        if near := errors.did_you_mean(name, FLAGS):
            raise ValueError(
                f"unknown flag {typed}{near}; --help lists them."
            ) from None


def _takes_value(typed: str) -> bool:
    """Returns whether the value of a setting's flag is the next word."""
    if not typed.startswith("-") or typed in ("-", "--"):
        return False
    try:
        return flag_values.find_name(typed)[1] is None
    except ValueError:
        return False


def _check_words(rest: Sequence[str]) -> None:
    """Raises ValueError if pictures are not given by flags."""
    words = flag_values.split(rest)[1]
    if words:
        raise ValueError(
            f"unexpected argument {urls.show_source(words[0])}; put patterns "
            f"in quotes, as in --content='photos/*.jpg'."
        )


def _read_value(name: str, text: str) -> Any:
    """Reads the value of a flag."""
    kind = FLAGS[name].kind
    try:
        return kind(text)
    except ValueError:
        words = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name} is {text!r}, expected {words}.") from None


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


def find_folder(request: Request) -> Path | None:
    """Returns the folder of the manifest; None if there is none."""
    name = request.own["manifest"]
    return Path(name).expanduser().parent if name else None
