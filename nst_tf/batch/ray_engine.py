"""The engine of a Ray cluster: actors with a station each.

Ray uses `memory` to place actors but enforces no limit, and by default a
running actor reserves no CPU. So each actor requests memory for its class of
pictures and CPUs for its threads, and limits itself to both. If a cluster has
too little memory, actors wait.

An actor is given one picture at a time. If it is lost, with its node or by
Ray's memory monitor, the picture goes to another one.
"""

import logging
import math
import pickle
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import nst_tf
from nst_tf import files
from nst_tf.batch import (
    actor,
    cluster,
    command_line,
    groups,
    ledger,
    order,
    stations,
    tasks,
    workers,
)
from nst_tf.images import writing
from nst_tf.plan import settings
from nst_tf.runs import outputs, resume

log = logging.getLogger("nst_tf")

LEAST_CLASS = 2**30  # bytes of memory
_WAIT = 0.5  # seconds between two checks for a stop
_STOPPING = 30.0  # seconds for an actor that is about to start


def paint(
    queue: order.Queue,
    written: ledger.Written,
    watch: workers.Watch,
    options: command_line.Options,
    kind: Any = actor.PaintingActor,
) -> Generator[workers.Outcome, None, None]:
    """Paints all pictures of a queue by a cluster.

    Args:
        queue: The pictures.
        written: Tells which files may be replaced.
        watch: The callbacks.
        options: The options of the batch.
        kind: Class of the actors.

    Raises:
        ValueError: If there is no cluster, or a worker has another version.
    """
    import ray

    with cluster.connect(options.address), cluster.mark_outputs(queue) as mark:
        limits = cluster.plan_actors(queue, options)
        driver = _Driver(queue, written, options.judge, limits, mark)
        slots = [_Slot(driver, kind) for _ in range(limits.actors)]
        try:
            stopping = False
            while True:
                if watch.should_stop() and not stopping:
                    stopping = True
                    for slot in slots:
                        slot.stop()
                if not stopping:
                    for slot in slots:
                        slot.fill()
                busy = {slot.answer: slot for slot in slots if slot.unit}
                if not busy:
                    return
                ready, _ = ray.wait(list(busy), timeout=_WAIT)
                for answer in ready:
                    if outcome := busy[answer].receive():
                        yield outcome
        finally:
            for slot in slots:
                slot.close()


class _Driver:
    """The state that slots share: queue, networks, files sent."""

    def __init__(
        self,
        queue: order.Queue,
        written: ledger.Written,
        judge: bool,
        limits: cluster.Cluster,
        mark: str,
    ):
        self.queue, self.written, self.judge = queue, written, judge
        self.limits, self.mark = limits, mark
        self.sent: dict[str, Any] = {}  # references of files, by path
        self._networks = groups.Networks()
        self._classes: dict[groups.Group, float] = {}
        self._digests: dict[tuple[str, str], str] = {}

    def find_class(self, group: groups.Group) -> float:
        """Finds the memory of a group's actors: a power of 2, or a node's."""
        if group not in self._classes:
            network = self._networks.find(group.kind.job, may_download=True)
            job = group.kind.job
            need = 1e9 * job.memory or group.estimate_memory(network)
            size = 2.0 ** math.ceil(math.log2(max(need, LEAST_CLASS)))
            self._classes[group] = min(size, self.limits.memory)
        return self._classes[group]

    def digest_network(self, job: settings.Job) -> str:
        """Finds the digest of the network of a job."""
        key = job.extractor, job.weights
        if key not in self._digests:
            network = self._networks.find(job, may_download=True)
            self._digests[key] = resume.digest_weights(network)
        return self._digests[key]

    def put(self, paths: Sequence[str]) -> dict[str, Any]:
        """Puts files into the object store: references by path."""
        import ray

        for path in paths:
            if path not in self.sent:
                self.sent[path] = ray.put(Path(path).read_bytes())
        return {path: self.sent[path] for path in paths}


class _Slot:
    """One actor at a time, and the picture that it paints.

    Attributes:
        unit: The picture; None: the actor is idle.
        answer: Ray reference to the answer of the actor.
    """

    def __init__(self, driver: _Driver, kind: Any):
        self.unit: order.Unit | None = None
        self.answer: Any = None
        self._driver, self._kind = driver, kind
        self._actor: Any = None
        self._class: float  # of its memory, set with the actor

    def fill(self) -> None:
        """Takes the next picture; replaces an actor with too little memory."""
        if self.unit:
            return
        driver = self._driver
        unit = self._actor and driver.queue.take(
            self, lambda group: driver.find_class(group) <= self._class
        )
        if not unit:
            self.close()
            unit = driver.queue.take(self)
        if unit:
            self._send(unit)

    def receive(self) -> workers.Outcome | None:
        """Returns the result of the actor; None if the picture is retried."""
        import ray

        unit = self.unit
        if unit is None:
            raise RuntimeError("an idle actor returned an answer.")
        try:
            answer = ray.get(self.answer)
        except ray.exceptions.RayTaskError as error:
            raise ValueError(
                f"a worker of the cluster cannot paint: "
                f"{' '.join(str(error.cause).split())[:300]}"
            ) from error
        except (
            ray.exceptions.RayActorError,
            ray.exceptions.OutOfMemoryError,
            ray.exceptions.ObjectLostError,
        ) as error:
            return self._retry(unit, error)
        if isinstance(answer, actor.Refusal):
            raise ValueError(answer.sentence)
        if isinstance(answer, actor.Missing):
            self._send(unit, answer.paths)
            return None
        self.unit = None
        result: ledger.Result = answer.result
        if answer.files:
            result = self._write(unit, answer)
        return unit, result

    def stop(self) -> None:
        """Makes the actor save after its step; ends one that is not ready."""
        import ray

        if not self.unit:
            return
        try:
            ray.get(self._actor.stop.remote(), timeout=_STOPPING)
        except Exception:  # the actor has not started, or has died
            self.unit = None
            self.close()

    def close(self) -> None:
        """Ends the actor."""
        import ray

        if self._actor is not None:
            self._driver.queue.forget(self)
            ray.kill(self._actor)
        self._actor = None

    def _send(self, unit: order.Unit, missing: Sequence[str] = ()) -> None:
        """Sends a picture to the actor; starts one if there is none."""
        driver, limits = self._driver, self._driver.limits
        if self._actor is None:
            import ray

            self._class = driver.find_class(unit.group)
            setup = stations.Setup(driver.judge, self._class / 1e9)
            self._actor = (
                ray.remote(self._kind)
                .options(
                    num_cpus=limits.cpus,
                    num_gpus=limits.gpus,
                    memory=int(self._class),
                    max_restarts=0,
                    max_concurrency=2,  # for `stop` during `paint`
                )
                .remote(setup, limits.cpus, driver.mark)
            )
        request = workers.make_request(
            unit, driver.written, driver.digest_network(unit.group.kind.job)
        )
        job = tasks.make_absolute(request.job)
        request = request._replace(job=job)
        self.unit = unit
        self.answer = self._actor.paint.remote(
            nst_tf.__version__,
            pickle.dumps((request, cluster.list_files(job))),
            driver.put(missing),
        )

    def _retry(
        self, unit: order.Unit, error: Exception
    ) -> workers.Outcome | None:
        """Puts the picture of a lost actor back, or gives up."""
        words = " ".join(str(error).split())
        short = cluster.is_shortage(error)
        reason = (
            "because its node ran out of memory"
            if short
            else f"({words[:160]})"
        )
        self._actor, self.unit = None, None
        self._driver.queue.forget(self)
        result = workers.put_back(self._driver.queue, unit, short, reason)
        return (unit, result) if result else None

    def _write(self, unit: order.Unit, answer: Any) -> ledger.Result:
        """Writes the files that an actor could not write itself."""
        result: ledger.Result = answer.result
        path = Path(unit.task.output).expanduser()
        path.parent.mkdir(parents=True, exist_ok=True)
        written = self._driver.written

        def write(place: Path) -> None:
            for name, data in answer.files.items():
                to = place
                if name != result.output.name:
                    to = writing.sidecar_path(place)
                with files.write_atomically(to, written.note) as file:
                    file.write(data)

        place = outputs.write_somewhere(
            path, write, unit.group.kind.job.overwrite, written=written
        )
        return result._replace(output=place, digest=written.last)
