"""Paints pictures one after another in a worker, with shared caches.

A `Station` caches networks and recently read pictures. An error in a picture
becomes its result, and the worker continues with the next one.
"""

import collections
import contextlib
import dataclasses
import hashlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nst_tf import locks
from nst_tf.backend import device
from nst_tf.batch import done, groups, ledger
from nst_tf.images import image_io, sources
from nst_tf.network import architectures
from nst_tf.plan import inputs, planning, settings, tile_size
from nst_tf.runs import results, resume, runner

if TYPE_CHECKING:
    from nst_tf.judge import judging
    from nst_tf.optimize import descent

log = logging.getLogger("nst_tf")

KEPT_BYTES = 1e9  # of the pictures read last
JUDGED = ("style", "moments", "content", "ssim", "chroma", "border")


class Request(NamedTuple):
    """The request for one picture to a worker."""

    line: int
    job: settings.Job
    tile: int = 0  # largest side of its tiles, in pixels; 0: any
    replaces: Mapping[str, Sequence[str]] = {}  # digests by path
    network: str = ""  # digest that the network must have; empty: any


class Setup(NamedTuple):
    """The settings that all workers of a batch share."""

    judge: bool = False  # whether pictures are judged
    memory: float = 0.0  # GB for a picture; 0: the free memory
    results: Path | None = None  # file that lists written files; None: none


class Station:
    """Paints one picture after the other.

    Args:
        setup: The settings that all workers share.
    """

    def __init__(self, setup: Setup):
        self._setup = setup
        self._networks = groups.Networks()
        self._pictures: collections.OrderedDict[Any, image_io.Picture] = (
            collections.OrderedDict()
        )
        self._digests = done.Digests()
        self._judges: dict[Any, judging.Judge] = {}

    def paint(
        self,
        request: Request,
        should_stop: Callable[[], bool] = lambda: False,
        follow: "Callable[[float], None]" = lambda share: None,
    ) -> ledger.Result:
        """Paints a picture and writes it.

        Args:
            request: The picture.
            should_stop: Whether to save it unfinished, asked after each step.
            follow: Is called with the share of its steps that are taken.

        Returns:
            The result; an error is a result, too.
        """
        began = time.monotonic()
        path = Path(request.job.output).expanduser()
        with _keep_notes() as notes:
            try:
                result = self._paint(request, path, should_stop, follow)
            except Exception as error:  # other pictures continue
                words = _describe_error(error)
                result = ledger.Result(
                    request.line, ledger.FAILED, path, error=words
                )
        seconds = time.monotonic() - began
        return result._replace(seconds=seconds, notes=tuple(notes))

    def _paint(
        self,
        request: Request,
        path: Path,
        should_stop: Callable[[], bool],
        follow: Callable[[float], None],
    ) -> ledger.Result:
        """Paints a picture.

        Raises:
            Exception: Of any kind.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        written = ledger.Written(self._setup.results, read_now=False)
        for name, digests in request.replaces.items():
            written.allow(name, digests)
        with _lock(path):
            if path.exists() and done.is_done(request.job, self._digests):
                result = ledger.Result(request.line, ledger.SKIPPED, path)
                return result._replace(digest=self._digests.find(str(path)))
            run = self._start(request)
            run.written = written
            levels = run.plan.levels
            total = sum(level.steps for level in levels)
            end = len(levels) - 1, levels[-1].steps
            state = ledger.DONE

            def report(step: "descent.Step") -> None:
                nonlocal state
                follow(min(1.0, sum(run.taken) / total))
                is_last = (step.level, step.index) == end
                if not is_last and should_stop():
                    state = ledger.UNFINISHED

            step = run.execute(report, lambda: state == ledger.UNFINISHED)
            finished = results.copy_step(run, step)
            saved = results.save(path, request.job, run, finished, state=state)
        if state == ledger.DONE:
            _remove_checkpoints(run.plan)
        figures = {}
        if self._setup.judge and state == ledger.DONE:
            figures = self._judge(request.job, run.plan, saved)
        return ledger.Result(
            request.line, state, saved.path, judge=figures, digest=written.last
        )

    def _start(self, request: Request) -> runner.Run:
        """Reads and plans a picture."""
        job = _use_own_folder(request.job)
        if self._setup.memory and not job.memory:
            job = dataclasses.replace(job, memory=self._setup.memory)
        read = inputs.read_inputs(job, self._load)
        draft = planning.draft_plan(job, read)
        network = self._networks.find(job, may_download=True)
        if request.network and request.network != resume.digest_weights(
            network
        ):
            raise ValueError(
                "this worker has other network weights than the one that "
                "started the batch; give all of them the same files."
            )
        draft = draft.add_weights(network)
        if request.tile:
            draft = limit_tiles(draft, request.tile)
        for note in (*read.notes, *draft.notes):
            log.info(note)
        device.prepare()
        return runner.start_run(draft)

    def _load(
        self, source: str, *arguments: Any, **options: Any
    ) -> image_io.Picture:
        """Reads a picture, or returns it from the cache."""
        key = source, arguments
        if key in self._pictures:
            self._pictures.move_to_end(key)
            return self._pictures[key]
        found = sources.load(source, *arguments, **options)
        self._pictures[key] = found
        while (
            len(self._pictures) > 1
            and sum(each.pixels.nbytes for each in self._pictures.values())
            > KEPT_BYTES
        ):
            self._pictures.popitem(last=False)
        return found

    def _judge(
        self,
        job: settings.Job,
        plan: planning.Plan,
        saved: results.SavedPicture,
    ) -> dict[str, float]:
        """Judges a picture against its content and styles."""
        from nst_tf.judge import judging

        chosen = judging.choose_settings(job)
        key = tuple(chosen.values())
        if key not in self._judges:
            self._judges[key] = judging.Judge(chosen)
        found = self._judges[key].judge(
            image_io.Picture(saved.image), judging.make_subject(plan)
        )
        return {name: round(getattr(found, name), 4) for name in JUDGED}


def limit_tiles(draft: planning.Plan, side: int) -> planning.Plan:
    """Limits the side of the tiles of a draft, as far as possible."""
    for name in architectures.CONVOLUTIONS:  # which is not chosen yet
        network = draft.network._replace(convolution=name)
        each = dataclasses.replace(draft, network=network)
        side = max(side, tile_size.find_smallest_side(each))
    if draft.tiling.side:
        side = min(side, draft.tiling.side)
    return dataclasses.replace(draft, tiling=draft.tiling._replace(side=side))


def _describe_error(error: Exception) -> str:
    """Formats the error of a failed picture in one line."""
    words = " ".join(str(error).split())
    if "tensorflow" in sys.modules and device.is_out_of_memory(error):
        return words or "out of memory; make it smaller with --size."
    if isinstance(error, (ValueError, OSError, FloatingPointError)):
        return words
    return f"{type(error).__name__}: {words[:500]}"


def _use_own_folder(job: settings.Job) -> settings.Job:
    """Gives a job its own subfolder for checkpoints."""
    if not job.checkpoint_dir:
        return job
    same = dataclasses.replace(job, memory=0.0, checkpoint_dir="")
    key = hashlib.sha256(repr(same).encode()).hexdigest()[:16]
    folder = Path(job.checkpoint_dir) / f"{Path(job.output).stem[:60]}-{key}"
    return dataclasses.replace(job, checkpoint_dir=str(folder))


def _remove_checkpoints(plan: planning.Plan) -> None:
    """Removes the checkpoints of a finished picture, and their folder."""
    if not plan.checkpoints.folder:
        return
    folder = Path(plan.checkpoints.folder).expanduser()
    with contextlib.suppress(OSError):
        for path in folder.glob("*.checkpoint.npz"):
            path.unlink()
        folder.rmdir()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Locks an output against other batches.

    Raises:
        ValueError: If another batch has locked it.
    """
    mark = path.with_name(f".{path.name}.lock")
    try:
        file = locks.hold(mark)
    except BlockingIOError:
        raise ValueError(
            f"another batch paints {path} now; run this batch again after that."
        ) from None
    locks.own(mark)
    try:
        yield
    finally:
        locks.remove(mark, file)
        locks.disown(mark)


@contextlib.contextmanager
def _keep_notes() -> Iterator[list[str]]:
    """Collects the log records of the package instead of showing them."""
    notes: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: notes.append(  # type: ignore[method-assign]
        record.getMessage()
    )
    before = log.handlers[:], log.level, log.propagate
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
    try:
        yield notes
    finally:
        log.handlers, log.propagate = before[0], before[2]
        log.setLevel(before[1])
