"""Executes plans: every front end iterates over a `Run`.

TensorFlow is imported only when a run starts.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

import nst_tf
from nst_tf import cells, display
from nst_tf.backend import device, host_memory, interrupts, replicas
from nst_tf.images import sizes
from nst_tf.optimize import stopping
from nst_tf.plan import planning, pyramid, tile_size
from nst_tf.runs import outputs, progress, resume

if TYPE_CHECKING:
    import tensorflow as tf

    from nst_tf.optimize import descent
    from nst_tf.transfer import method

log = logging.getLogger("nst_tf")

# By public names, which typing.get_type_hints finds, and which are imported
# only then.
Callback = Callable[["nst_tf.optimize.Step"], object]
ExtraLosses = Callable[[int, int], Sequence["nst_tf.losses.Loss"]]

PROBE = 256  # long side, in pixels, of the picture for time estimates
PROBE_STEPS = 5


class Run:
    """An execution of a plan, with its start and its progress.

    Attributes:
        first_plan: The plan that it began with.
        plan: The plan with its current tiling and precision.
        state: The checkpoint that it resumes from; None: a new run.
        began: When it began, by `time.monotonic`.
        taken: Steps taken at each level, including earlier runs.
        count: Steps taken by this run.
        last: The last step; None before the first.
        written: The job's own output files, which it may overwrite.
    """

    def __init__(
        self,
        plan: planning.Plan,
        painter: "method.Painter | None" = None,
        *,
        state: "descent.State | None" = None,
        strategy: "tf.distribute.Strategy | None" = None,
        began: float | None = None,
    ):
        self.first_plan = self.plan = plan
        self.state = state
        self.began = time.monotonic() if began is None else began
        self.taken = resume.read_steps_taken(state, len(plan.levels))
        self.count = 0
        self.last: descent.Step | None = None
        self.written = outputs.NOTHING
        self._painter = painter
        self._strategy = strategy

    @property
    def seconds(self) -> float:
        """Returns the seconds since the run began."""
        return time.monotonic() - self.began

    def steps(
        self, extra_losses: ExtraLosses | None = None
    ) -> "Generator[descent.Step, None, None]":
        """Yields the steps, and saves checkpoints.

        Args:
            extra_losses: As in `method.Painter.paint`.
        """
        from nst_tf.transfer import painter_pool

        plan = self.plan
        stop = stopping.Stop(plan.stop, plan.levels, self.state, self.began)
        with contextlib.ExitStack() as stack:
            painter = self._painter or stack.enter_context(
                painter_pool.borrow(self._strategy)
            )
            steps = painter.paint(
                plan, self.state, extra_losses, self._agreed(stop)
            )
            if plan.checkpoints.folder and replicas.is_writer():
                steps = resume.save_checkpoints(
                    steps, plan, self.state, stop.arrays, lambda: self.plan
                )
            stack.enter_context(contextlib.closing(steps))
            while step := _take(steps):
                self.taken[step.level] = step.index
                self.count += 1
                self._revise(painter)
                self.last = step
                yield step

    def execute(
        self,
        follow: "Callable[[descent.Step], None]" = lambda step: None,
        should_stop: Callable[[], bool] = lambda: False,
        extra_losses: ExtraLosses | None = None,
    ) -> "descent.Step":
        """Takes all steps, and returns the last one.

        Args:
            follow: Called with each step.
            should_stop: Called after each step; True stops the run.
            extra_losses: As in `method.Painter.paint`.
        """
        with contextlib.closing(self.steps(extra_losses)) as steps:
            for step in steps:  # at least one
                follow(step)
                if should_stop():
                    break
        return step

    def _revise(self, painter: "method.Painter") -> None:
        """Notes the tiles and the network that the last step was taken with."""
        tiling = painter.tiling or self.plan.tiling
        network = painter.network or self.plan.network
        if (tiling, network) != (self.plan.tiling, self.plan.network):
            self.plan = dataclasses.replace(
                self.plan, tiling=tiling, network=network
            )

    def execute_until(
        self,
        callback: Callback | None = None,
        is_shown: bool = False,
        extra_losses: ExtraLosses | None = None,
    ) -> "tuple[descent.Step, str]":
        """Takes the steps until a callback returns False.

        Args:
            callback: Called with each step; only False stops, None does not.
            is_shown: Whether to show each step on the display.
            extra_losses: As in `method.Painter.paint`.

        Returns:
            The last step, and whether its picture is "done" or "unfinished".
        """
        stopped, report = False, None
        if is_shown:
            limit = self.plan.stop.seconds
            report = progress.Progress([self.plan], self.began, limit)

        def follow(step: "descent.Step") -> None:
            nonlocal stopped
            if report:
                report.update(step.level, step.index, step.evaluation.loss)
            stopped = callback is not None and _is_false(callback(step))

        step = self.execute(follow, lambda: stopped, extra_losses)
        if report and not stopped:
            report.finish()
        return step, "unfinished" if stopped else "done"

    def _agreed(self, stop: "descent.StopRule") -> "descent.StopRule":
        """Makes a stop rule on which all processes agree."""
        strategy = self._strategy
        if strategy is None or replicas.count_workers() == 1:
            return stop
        return lambda level, step: replicas.agree(strategy, stop(level, step))


def _is_false(answer: object) -> bool:
    """Returns whether the answer of a callback is False, not just falsy."""
    if hasattr(answer, "dtype"):  # from a comparison such as loss > 3
        value = np.asarray(answer)
        return value.dtype == np.bool_ and value.ndim == 0 and not value
    return answer is False


def start_run(
    draft: planning.Plan,
    *,
    began: float | None = None,
    painter: "method.Painter | None" = None,
) -> Run:
    """Fits a draft to this machine, and finds its checkpoint.

    Args:
        draft: A plan of `planning.draft_plan`, whose inputs include the
            network.
        began: When the run began, by `time.monotonic`; now if None.
        painter: Paints it; one of `transfer.painter_pool` if None.

    Raises:
        MemoryError: If the smallest tiles do not fit in memory.
        ValueError: If devices are missing, a loss cannot be computed tile by
            tile, or the checkpoint cannot be used.
    """
    device.prepare()
    strategy = replicas.make_strategy(draft.tiling.devices)
    plan = planning.fit_plan(draft, measure_machine(strategy))
    note = device.describe_emulation(plan.network.precision)
    if note and painter is None:  # the first picture logged it
        log.warning(note)
    from nst_tf.transfer import method

    saved = resume.find_checkpoint(plan, method.Painter.list_shapes)
    plan = resume.adjust_tiles(plan, saved)
    state = saved.state if saved else None
    plan = _agree_on_tiles(plan, state, strategy)
    run = Run(plan, painter, state=state, strategy=strategy, began=began)
    run.written = resume.find_written(plan, saved)
    return run


def measure_machine(
    strategy: "tf.distribute.Strategy | None" = None,
) -> planning.Machine:
    """Returns the properties of this machine for a plan; imports TensorFlow.

    On a GPU the plan has no memory limit: tiles are halved when memory runs
    out.

    Args:
        strategy: The strategy of the devices that share the picture.
    """
    device.prepare()
    host = host_memory.find_limit()
    return planning.Machine(
        device.resolve_precision("auto"),
        None if device.is_gpu() else host,
        replicas.count_devices(strategy),
        host,
        device.is_gpu(),
    )


def show(is_shown: bool) -> contextlib.AbstractContextManager[object]:
    """Opens a display for a caller of the library, if requested.

    The display is a bar on standard error or, in a notebook, a line in the
    cell.
    """
    if not is_shown:
        return contextlib.nullcontext()
    if cells.is_notebook():
        return display.use(cells.Line(cells.Cell()))
    return display.use("auto")


def _take(steps: "Iterator[descent.Step]") -> "descent.Step | None":
    """Takes the next step; keeps the Ctrl-C handler while TensorFlow traces."""
    with interrupts.keep(), device.ignore_retraces():
        return next(steps, None)


def estimate_seconds(plan: planning.Plan) -> float:
    """Estimates the duration of a plan from a few steps on a small picture."""
    from nst_tf.transfer import method

    last = plan.levels[-1]
    small = pyramid.Level(
        *sizes.scale_to_side(*last.size, min(PROBE, max(last.size))),
        PROBE_STEPS,
        last.optimizer,
        last.settings,
    )
    probe = dataclasses.replace(
        plan,
        levels=[small],
        tiling=planning.Tiling(),
        stop=planning.StopSettings(),
        checkpoints=planning.Checkpoints(),
    )
    times = [time.monotonic()]

    def follow(step: "descent.Step") -> None:
        float(step.evaluation.loss)  # waits for the device
        times.append(time.monotonic())

    Run(probe, method.Painter()).execute(follow)
    trace, *steps = (b - a for a, b in itertools.pairwise(times))
    seconds = min(steps) / small.work
    return sum(
        trace
        + level.steps
        * level.work
        * seconds
        * tile_size.estimate_cost(plan, level)
        for level in plan.levels
    )


def _agree_on_tiles(
    plan: planning.Plan,
    start: "descent.State | None",
    strategy: "tf.distribute.Strategy | None",
) -> planning.Plan:
    """Applies the smallest tiles of all processes that share the picture.

    Raises:
        ValueError: If the processes differ in job or checkpoint.
    """
    if strategy is None or replicas.count_workers() == 1:
        return plan
    same = {
        **resume.make_identity(plan),
        "steps": [level.steps for level in plan.levels],
        "start": (start.level, start.steps) if start else None,
    }
    digest = hashlib.sha256(repr(same).encode()).digest()[:7]
    tiling = plan.tiling
    rows: Sequence[Sequence[int]] = replicas.gather(
        strategy,
        [
            int.from_bytes(digest, "big"),
            tiling.side,
            tiling.content_target == "recompute",
        ],
    )
    if len({number for number, *_ in rows}) > 1:
        raise ValueError(
            "the processes of TF_CONFIG differ in options, pictures, weights "
            "or checkpoint; start all of them with the same command, and a "
            "checkpoint_dir that all can read."
        )
    side = min((side for _, side, _ in rows if side), default=0)
    tiling = tiling._replace(side=side)
    if any(recomputes for *_, recomputes in rows):
        tiling = tiling._replace(content_target="recompute")
    return dataclasses.replace(plan, tiling=tiling)
