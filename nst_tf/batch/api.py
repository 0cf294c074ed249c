"""Runs batches, for `nst_tf.run_jobs` and the program nst-tf-batch.

Everything is checked before anything is painted.
"""

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path

from nst_tf import display, errors, files
from nst_tf.batch import (
    checking,
    command_line,
    ledger,
    manifest,
    order,
    report,
    stations,
    tasks,
    workers,
)
from nst_tf.plan import settings
from nst_tf.runs import runner

MOST_SHOWN = 1000  # faults that are written out


def run_jobs(
    jobs: Iterable[settings.Job],
    *,
    engine: str = "local",
    workers: int = 0,
    judge: bool = False,
    results_dir: str | None = None,
    address: str = "auto",
    gpus_per_job: float = -1.0,
    progress: bool = False,
) -> Iterator[ledger.Result]:
    """Makes the pictures of many jobs, and yields results as they come.

    Jobs that share a network, a size and a style come one after another. A
    picture that already exists, with the same settings and inputs, is skipped.
    A failure does not stop the other jobs. To stop early, stop iterating.

    With workers, a script needs an `if __name__ == "__main__":` guard, since
    each process imports it.

    Args:
        jobs: The jobs; an empty output means "{content}-{style}.png".
        engine: "local"; or "ray", which needs nst-tf[batch].
        workers: Number of processes on this machine, or of actors on the
            cluster; 0: this process, or as many actors as the cluster can run.
        judge: Whether to score each picture with `judge_image`.
        results_dir: Folder of results.jsonl and failed.jsonl; None: no files.
            An existing output is replaced only if its digest is recorded there,
            or if the job has overwrite=True.
        address: Address of a Ray cluster: "auto", "local", or HOST:PORT.
        gpus_per_job: GPUs per actor, may be a fraction; -1: one, if the cluster
            has any.
        progress: Shows a bar on standard error, or a line in a cell.

    Yields:
        A `Result` for each job: line (its number, from 1), status ("done",
        "skipped", "unfinished" or "failed"), output, seconds, error, judge.

    Raises:
        ValueError: If any job is invalid; the message has a line for each.
    """
    options = command_line.Options(
        workers=workers,
        judge=judge,
        engine=engine,
        address=address,
        gpus_per_job=gpus_per_job,
    )
    with errors.name_keywords():
        command_line.check(options)
    book = ledger.Ledger(Path(results_dir)) if results_dir else None
    written = ledger.Written(book.path if book else None)
    checked = checking.Checker(written).check_all(tasks.take_jobs(jobs))
    if checked.faults:
        raise ValueError("\n".join(describe_faults(checked.faults, "job")))
    return _run(checked, options, book, written, progress)


def _run(
    checked: checking.Checked,
    options: command_line.Options,
    book: ledger.Ledger | None,
    written: ledger.Written,
    progress: bool,
) -> Iterator[ledger.Result]:
    """Paints checked tasks."""
    with runner.show(progress):
        for _, result in paint(checked, options, book, written):
            yield result


def paint(
    checked: checking.Checked,
    options: command_line.Options,
    book: ledger.Ledger | None,
    written: ledger.Written,
    should_stop: Callable[[], bool] = lambda: False,
) -> Generator[tuple[order.Unit | None, ledger.Result], None, None]:
    """Paints checked tasks; records and shows each result.

    Args:
        checked: The tasks to paint, and the finished ones.
        options: The options of the batch.
        book: Records the results; None: no records.
        written: Tells which files may be replaced.
        should_stop: Whether to save the pictures under way and to end.

    Yields:
        The unit of each picture (None for a skipped one) and its result.
    """
    work = sum(group.work * len(each) for group, each in checked.found.items())
    shown = report.Report(checked.number, work)
    watch = workers.Watch(should_stop, shown.follow)
    setup = stations.Setup(options.judge, results=book.path if book else None)
    queue = order.Queue(checked.found)
    with contextlib.ExitStack() as stack:
        if book:
            book.open()
            stack.callback(book.close)
        for task in checked.done:
            path = Path(task.output)
            result = ledger.Result(task.number, ledger.SKIPPED, path)
            if book and not written.list_digests(task.output):
                book.add(result._replace(digest=files.digest_file(path)))
            yield None, result
        if not len(queue):
            return
        display.show_stage("starting the workers")
        engine = _open_engine(options, queue, setup, written, watch)
        stack.callback(engine.close)
        for unit, result in engine:
            if book:
                book.add(result)
            shown.finish(unit, result)
            yield unit, result


def describe_faults(
    faults: Sequence[manifest.Fault], word: str = "line"
) -> list[str]:
    """Formats faults, one per line."""
    lines = [
        f"{word} {fault.number}: {fault.sentence}"
        if fault.number
        else fault.sentence
        for fault in faults[:MOST_SHOWN]
    ]
    if len(faults) > MOST_SHOWN:
        lines.append(f"and {len(faults) - MOST_SHOWN} more")
    return lines


def _open_engine(
    options: command_line.Options,
    queue: order.Queue,
    setup: stations.Setup,
    written: ledger.Written,
    watch: workers.Watch,
) -> Generator[workers.Outcome, None, None]:
    """Starts the engine."""
    if options.engine == "ray":
        from nst_tf.batch import ray_engine

        return ray_engine.paint(queue, written, watch, options)
    if options.workers:
        return workers.paint(queue, setup, written, watch, options.workers)
    return workers.paint_here(queue, setup, written, watch)
