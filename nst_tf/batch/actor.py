"""Runs on a node of a Ray cluster: a station, and the files sent to it.

Files missing on the node come with the request; outputs that it cannot write go
back with the answer.
"""

import contextlib
import dataclasses
import hashlib
import os
import pickle
import platform
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nst_tf
from nst_tf.batch import ledger, stations
from nst_tf.images import sources, writing
from nst_tf.plan import inputs, settings


class Refusal(NamedTuple):
    """A worker that cannot take part."""

    sentence: str


class Missing(NamedTuple):
    """Files that are missing or different on the node of the worker."""

    paths: Sequence[str]


class Answer(NamedTuple):
    """The result of a picture, with its files if not yet written."""

    result: ledger.Result
    files: Mapping[str, bytes] = {}


class PaintingActor:
    """Paints pictures on a node.

    Args:
        setup: The settings of the station.
        threads: Number of threads for TensorFlow.
        mark: A file beside the outputs; a worker that can see it writes there.
    """

    def __init__(self, setup: stations.Setup, threads: int, mark: str):
        for name in ("INTRAOP", "INTEROP"):
            os.environ[f"TF_NUM_{name}_THREADS"] = str(threads)
        self._station = stations.Station(setup)
        self._mark = mark
        self._stop = threading.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="nst-tf-")

    def paint(
        self, version: str, data: bytes, references: Mapping[str, Any]
    ) -> Refusal | Missing | Answer:
        """Paints a picture.

        Args:
            version: Version of nst_tf of the driver.
            data: The request, and the sizes of its files, by path.
            references: References of the files that it reported as missing.
        """
        node = platform.node()
        if version != nst_tf.__version__:
            return Refusal(
                f"the worker on {node} has nst_tf {nst_tf.__version__}, but "
                f"this program is nst_tf {version}; install the same version "
                f"on all nodes."
            )
        request, sizes = pickle.loads(data)
        self._keep(references)
        missing = [
            path
            for path, size in sizes.items()
            if _measure(path) != size and _measure(self._find(path)) != size
        ]
        if missing and references:
            words = f"{missing[0]} changed while it was sent"
            path = Path(request.job.output)
            return Answer(
                ledger.Result(request.line, ledger.FAILED, path, error=words)
            )
        if missing:
            return Missing(missing)
        job = self._use_sent(request.job, sizes)
        output, is_shared = Path(job.output), os.path.exists(self._mark)
        if not is_shared:
            folder = Path(self._folder.name) / "output"
            job = dataclasses.replace(
                job, output=str(folder / output.name), overwrite=True
            )
        result = self._station.paint(
            request._replace(job=job), self._stop.is_set
        )
        result = result._replace(node=node)
        if is_shared:
            return Answer(result)
        if result.status == ledger.FAILED:
            return Answer(result._replace(output=output))
        found = {}
        for path in (result.output, writing.sidecar_path(result.output)):
            with contextlib.suppress(FileNotFoundError):
                found[path.name] = path.read_bytes()
                path.unlink()
        return Answer(result, found)

    def stop(self) -> None:
        """Makes the actor save its picture after the current step."""
        self._stop.set()

    def _keep(self, references: Mapping[str, Any]) -> None:
        """Writes the files that the driver sent."""
        import ray

        for path, reference in references.items():
            place = Path(self._find(path))
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(ray.get(reference))

    def _find(self, path: str) -> str:
        """Returns the local path of a sent file; folders stay together."""
        folder, name = os.path.split(os.path.abspath(path))
        return os.path.join(self._find_folder(folder), name)

    def _find_folder(self, folder: str) -> str:
        """Returns the local folder for the files sent from a folder."""
        key = hashlib.sha256(folder.encode()).hexdigest()[:16]
        return os.path.join(self._folder.name, key)

    def _use_sent(
        self, job: settings.Job, sizes: Mapping[str, int]
    ) -> settings.Job:
        """Replaces the paths of sent files in a job by their local paths."""

        def find(source: Any) -> Any:
            if isinstance(source, tuple):
                return tuple(map(find, source))
            path = os.path.expanduser(source)
            if path in sizes and _measure(path) != sizes[path]:
                return self._find(path)
            folder = self._find_folder(os.path.abspath(path))
            is_sent = os.path.isdir(folder) and not os.path.isdir(path)
            return folder if is_sent and sources.is_file(source) else source

        names = {"content", "style", "weights"}
        named = inputs.list_named_pictures(job)
        names |= {name.partition("/")[0] for name in named}
        changes: dict[str, Any] = {n: find(getattr(job, n)) for n in names}
        return dataclasses.replace(job, **changes)


def _measure(path: str) -> int:
    """Returns the bytes of a file; -1 if it cannot be read."""
    try:
        return os.path.getsize(path) if os.access(path, os.R_OK) else -1
    except OSError:
        return -1
