"""The process that paints: python -m nst_tf.web.painting_process FOLDER.

It reads commands as lines of JSON, {"do": "paint", "job": number, ...}, from
standard input, and writes messages to standard output; pictures go into the
job's folder. It keeps networks and compiled steps from one picture to the next.
The end of standard input means that the server has ended: the process saves a
checkpoint, from which the next server has the picture resumed.
"""

import contextlib
import dataclasses
import json
import math
import os
import queue
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO

import numpy as np

from nst_tf import display, locks, screens
from nst_tf.images import image_io
from nst_tf.plan import planning, schedule, settings
from nst_tf.runs import api, progress, results, runner
from nst_tf.web import job_files, storage, upload_check

if TYPE_CHECKING:
    from nst_tf.optimize import descent

PREVIEW_SECONDS = 0.5  # minimum interval between two previews
PREVIEW_SHARE = 0.03  # maximum share of the time for previews
JUDGED_SIZE = 512  # pixels, the long side; the judge needs 1.5 GB for it
WARM_UP_SIDE = 32  # pixels
OTHER_SECONDS = 60.0  # limit of the wait for another painting process


class Commands:
    """Reads the commands of the server in a thread, while it paints.

    Attributes:
        has_left: Whether the server has ended.
    """

    def __init__(self, stream: TextIO):
        self.has_left = False
        self._stream = stream
        self._stopped = ""  # the job to end after the current step
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while not self.has_left:
            yield self._waiting.get()

    def is_stopped(self, job: str) -> bool:
        """Returns whether a job should end after the current step."""
        return self._stopped == job

    def _read(self) -> None:
        for line in self._stream:
            command = json.loads(line)
            if command["do"] == "stop":
                self._stopped = command["job"]
                continue
            if self._stopped == command["job"]:  # it resumes
                self._stopped = ""
            self._waiting.put(command)
        self.has_left = True
        self._waiting.put({"do": "leave", "job": ""})


class _Stages(screens.Display):
    """A display that sends each stage to the server, and estimates the time."""

    interval = 0.25

    def __init__(self, tell: Callable[..., None]):
        super().__init__()
        self._tell = tell

    def show(self, status: screens.Status, is_milestone: bool = False) -> None:
        """Sends a new stage to the server."""
        is_new = status.label != self.status.label
        super().show(status)
        if is_new:
            self._tell("stage", label=status.label)

    def estimate_left(self) -> float | None:
        """Estimates the seconds left; returns None if it is too early."""
        estimate, now = self.status.estimate, time.monotonic()
        if estimate is None or estimate.share(now) is None:
            return None
        return round(estimate.remaining(now), 1)


class Process:
    """Paints and judges, one job after the other.

    Args:
        root: The studio's folder.
        commands: The commands of the server.
        out: The stream of messages to the server.
    """

    def __init__(self, root: Path, commands: Commands, out: TextIO):
        self._root, self._commands, self._out = root, commands, out
        self._number = ""  # of the current job
        self._networks: dict[tuple[str, str], Any] = {}

    def run(self) -> None:
        """Executes commands until the server ends."""
        self.tell("ready")
        for command in self._commands:
            if command["do"] == "leave":
                return
            self._number = command["job"]
            job = settings.Job(**command["settings"])
            try:
                stages = _Stages(self.tell)
                with display.use(stages):
                    if command["do"] == "judge":
                        self._judge(job)
                    else:
                        self._paint(job, command["names"], stages)
            except (ValueError, OSError, MemoryError, ArithmeticError) as error:
                words = str(error) or "out of memory; choose a smaller size."
                self.tell("failed", message=" ".join(words.split()))

    def tell(self, event: str, **more: Any) -> None:
        """Sends the server a message about the current job."""
        line = json.dumps({"event": event, "job": self._number, **more})
        with contextlib.suppress(OSError):  # the server has ended
            self._out.write(f"{line}\n")
            self._out.flush()

    def _paint(
        self, job: settings.Job, names: Mapping[str, str], stages: _Stages
    ) -> None:
        """Paints a job, and writes the result into its folder."""
        began = time.monotonic()
        draft = self._keep_network(job, api.draft_files(job))
        height, width = draft.size
        if height * width > 1e6 * upload_check.MEGAPIXELS:
            raise ValueError(
                f"the picture would have {height * width / 1e6:.0f} "
                f"megapixels, but the limit is "
                f"{upload_check.MEGAPIXELS:.0f}; choose a smaller size."
            )
        sources = {**draft.inputs.sources, **names}  # as the user calls them
        read = draft.inputs._replace(sources=sources)
        draft = dataclasses.replace(draft, inputs=read)
        run = runner.start_run(draft, began=began)
        folder = self._root / "jobs" / self._number
        step = run.execute(
            self._follow(run, folder, stages),
            # The iterator must not end: the last state would be lost.
            lambda: (
                self._commands.has_left
                or self._commands.is_stopped(self._number)
                or job_files.is_at_end(run)
            ),
        )
        if self._commands.has_left:  # its checkpoint is saved
            return
        is_stopped = self._commands.is_stopped(self._number)
        is_done = job_files.is_at_end(run) or not is_stopped
        display.show_stage("saving")
        word = "done" if is_done else "unfinished"
        made = results.make_painting(job, run, step, state=word)
        job_files.write_results(folder, made, job.quality)
        levels = _list_steps(job, run)
        if is_done and levels:
            job_files.keep_state(run, step, folder)
        self.tell(
            "ended",
            state=storage.DONE if is_done else storage.STOPPED,
            width=width,
            height=height,
            steps=sum(run.taken),
            levels=levels,
            seconds=round(run.seconds, 1),
        )
        if is_done:  # until here, a killed job resumes from its checkpoints
            shutil.rmtree(job.checkpoint_dir, ignore_errors=True)

    def _follow(
        self, run: runner.Run, folder: Path, stages: _Stages
    ) -> "Callable[[descent.Step], None]":
        """Makes the callback that reports steps and writes previews."""
        plan = run.plan
        report = progress.Progress([plan], run.began, plan.stop.seconds)
        small = job_files.shrink(plan)
        steps = sum(level.steps for level in plan.levels)
        due, number = 0.0, 0

        def follow(step: "descent.Step") -> None:
            nonlocal due, number
            loss = report.update(step.level, step.index, step.evaluation.loss)
            began = time.monotonic()
            if began < due and loss is None:
                return
            loss = float(step.evaluation.loss) if loss is None else loss
            if began >= due:
                with contextlib.suppress(FloatingPointError, OSError):
                    job_files.write_preview(folder / "preview.jpg", small, step)
                    number += 1
                end = time.monotonic()
                due = end + max(PREVIEW_SECONDS, (end - began) / PREVIEW_SHARE)
            count = sum(run.taken)
            with (
                contextlib.suppress(OSError),
                open(folder / "losses.txt", "a", encoding="ascii") as file,
            ):
                file.write(f"{count} {loss:.6g}\n")
            self.tell(
                "step",
                step=count,
                steps=steps,
                loss=loss if math.isfinite(loss) else None,
                left=stages.estimate_left(),
                preview=number,
            )

        return follow

    def _judge(self, job: settings.Job) -> None:
        """Judges a result, at no more than 512 pixels."""
        from nst_tf.judge import judging

        display.show_stage("judging")
        chosen = {
            name: getattr(job, name)
            for name in ("style_blend", "style_scale", "weights", "extractor")
        }
        judge = judging.Judge(chosen, size=JUDGED_SIZE)
        subject = judge.read_subject(job.content, list(job.style))
        picture = image_io.load_picture(job.output)
        figures = dataclasses.asdict(judge.judge(picture, subject))
        self.tell("judged", figures=figures)

    def _keep_network(
        self, job: settings.Job, draft: planning.Plan
    ) -> planning.Plan:
        """Reuses the weights of an earlier job with the same network."""
        key = job.extractor, job.weights
        kept: Any = self._networks.setdefault(key, draft.inputs.network)
        return draft.add_weights(kept)


def _list_steps(job: settings.Job, run: runner.Run) -> list[int]:
    """Lists the steps of each level; of the last one, those taken.

    It includes the levels below `continue_from`, as the setting `steps` does.
    It is empty if the run cannot continue with more steps: it ended before the
    last level, a plateau would end it again, or strength 0 fixes its steps.
    """
    if job.tolerance or job.strength == 0 or not run.taken[-1]:
        return []
    decided = settings.Job(**run.plan.settings)
    levels = schedule.list_all_levels(decided, *run.plan.size)
    return [*(each.steps for each in levels[:-1]), run.taken[-1]]


def _wait_for_folder(path: Path) -> IO[str]:
    """Locks a file; waits for the painting process of a killed server."""
    end = time.monotonic() + OTHER_SECONDS
    while True:
        try:
            return locks.hold(path)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def warm_up() -> None:
    """Takes a step on a tiny picture, as the first one takes seconds longer.

    It imports TensorFlow, which then prepares its threads and kernels, and
    loads the small network.
    """
    tiny = np.full([WARM_UP_SIDE, WARM_UP_SIDE, 3], 0.5, np.float32)
    chosen = {"size": WARM_UP_SIDE, "steps": 1, "weights": "small"}
    with contextlib.suppress(ValueError, OSError, MemoryError, ArithmeticError):
        runner.start_run(api.draft_images(tiny, [tiny], chosen)[1]).execute()


def main(name: str) -> None:
    """Paints for a server until it ends.

    Args:
        name: The studio's folder.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # output of libraries must not mix with messages
    root = Path(name)
    with _wait_for_folder(root / "painting.lock"):
        warm_up()
        Process(root, Commands(sys.stdin), out).run()


if __name__ == "__main__":
    main(sys.argv[1])
