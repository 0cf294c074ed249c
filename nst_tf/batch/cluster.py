"""Connects to a Ray cluster, and plans the resources of its actors."""

import contextlib
import logging
import math
import os
import secrets
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

from nst_tf.batch import command_line, order
from nst_tf.images import sources
from nst_tf.plan import inputs, settings

MOST_CPUS = 4  # of an actor, unless fewer actors are asked for


class Cluster(NamedTuple):
    """The cluster, and the resources of an actor."""

    cpus: int
    gpus: float
    memory: float  # bytes, at most
    actors: int  # at a time


@contextlib.contextmanager
def connect(address: str) -> Generator[None, None, None]:
    """Connects to a cluster, unless this process is connected already."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        ray.init(
            address=address,
            log_to_driver=False,  # notes come with the results
            logging_level=logging.ERROR,
        )
    except Exception as error:  # of many kinds
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise ValueError(
            f"there is no Ray cluster at address {address!r} ({reason}); start "
            f"one with 'ray start --head', set RAY_AUTH_MODE=token and "
            f"RAY_AUTH_TOKEN if it needs a token, or use --address=local."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def mark_outputs(queue: order.Queue) -> Generator[str, None, None]:
    """Makes a file beside the outputs, which shows a shared folder."""
    folders = {
        os.path.dirname(os.path.abspath(output))
        for output in queue.list_outputs()
    }
    folder = Path(os.path.commonpath(folders))
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / f".nst-shared-{secrets.token_hex(8)}"
    mark.touch()
    try:
        yield str(mark)
    finally:
        mark.unlink(missing_ok=True)


def plan_actors(queue: order.Queue, options: command_line.Options) -> Cluster:
    """Plans the number of actors and the resources of each."""
    import ray

    nodes = [n["Resources"] for n in ray.nodes() if n["Alive"]]
    cores = [int(node["CPU"]) for node in nodes if node.get("CPU")]
    total, most = sum(cores), max(cores, default=1)
    gpus = options.gpus_per_job
    if gpus < 0:
        gpus = float(any(node.get("GPU") for node in nodes))
    cpus = min(MOST_CPUS, most)
    if options.workers:
        cpus = max(1, min(total // options.workers, most))
    count = sum(core // cpus for core in cores) or 1
    if gpus:
        count = int(sum(node.get("GPU", 0) for node in nodes) / gpus) or 1
    memory = max(node.get("memory", math.inf) for node in nodes)
    count = min(options.workers or count, len(queue))
    return Cluster(cpus, gpus, memory, count)


def is_shortage(error: Exception) -> bool:
    """Returns whether an actor was lost to Ray's memory monitor."""
    import ray

    words = str(error).lower()
    return isinstance(error, ray.exceptions.OutOfMemoryError) or (
        "low on memory" in words or "out of memory" in words
    )


def list_files(job: settings.Job) -> dict[str, int]:
    """Lists the files that a job reads, with their sizes in bytes.

    The pictures of a folder of styles are among them.
    """
    names = [job.content, *inputs.list_named_pictures(job).values()]
    names += [n for part in sources.expand_folders(job.style) for n in part]
    if not settings.is_keyword("weights", job.weights):
        names.append(job.weights)
    paths = (os.path.expanduser(n) for n in names if sources.is_file(n))
    return {path: os.path.getsize(path) for path in paths}
