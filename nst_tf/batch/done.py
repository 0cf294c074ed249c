"""Finds finished pictures: their records have these settings and inputs.

A name proves nothing. Nor does a record prove that the file is unchanged, since
an image editor keeps the record. So a record decides which pictures to skip,
but never which files to replace.
"""

import contextlib
import json
from pathlib import Path

from nst_tf import files
from nst_tf.images import sources
from nst_tf.network import architectures
from nst_tf.plan import inputs, settings
from nst_tf.runs import records


class Digests:
    """The digests of files, each read once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def find(self, source: str) -> str:
        """Returns the digest of a file or a download; empty if missing."""
        if source not in self._known:
            path = Path(source).expanduser()
            if not sources.is_file(source):
                path = sources.find_cached(source) or path
            self._known[source] = ""
            with contextlib.suppress(OSError):
                self._known[source] = files.digest_file(path)
        return self._known[source]


def is_done(job: settings.Job, digests: Digests) -> bool:
    """Returns whether the output of a job is its finished picture.

    The version, the device and the precision that "auto" stood for may be
    others.

    Args:
        job: The job, with an output.
        digests: Those of its inputs.
    """
    try:
        record = records.read_record(job.output)
    except ValueError:
        return False
    if record["state"] != "done":
        return False
    asked, recorded = records.list_flags(job), dict(record["flags"])
    named = inputs.list_named_pictures(job)
    if "init" in named:  # its digest is compared
        asked["init"] = recorded.get("init")
    if json.loads(json.dumps(asked)) != recorded:
        return False
    try:
        styles = [n for part in sources.expand_folders(job.style) for n in part]
    except ValueError:
        return False
    pictures = dict(record["inputs"])
    pairs = [(job.content, pictures.pop("content"))]
    recorded_styles = pictures.pop("style")
    if len(styles) != len(recorded_styles) or {*named} != {*pictures}:
        return False
    pairs += zip(styles, recorded_styles, strict=True)
    pairs += [(named[name], pictures[name]) for name in named]
    return _has_weights(job, record["network"], digests) and all(
        picture["digest"] == digests.find(source) for source, picture in pairs
    )


def _has_weights(
    job: settings.Job, network: dict[str, str], digests: Digests
) -> bool:
    """Returns whether the network weights of a record and a job agree."""
    known = architectures.NETWORKS[job.extractor]
    shipped = {"auto": known.shipped, "small": known.small}.get(job.weights)
    if shipped:
        return network["digest"] == shipped.digest
    if settings.is_keyword("weights", job.weights):
        return network["weights"] in ("imagenet", job.weights)
    return network.get("file", "") == digests.find(job.weights) != ""
