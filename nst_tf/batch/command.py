"""The program nst-tf-batch: checks a batch, paints it, returns a status."""

import contextlib
import itertools
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from nst_tf import display, errors, terminal, watcher
from nst_tf.backend import device
from nst_tf.batch import (
    api,
    checking,
    command_line,
    groups,
    ledger,
    manifest,
    tasks,
)
from nst_tf.cli import console, programs
from nst_tf.plan import settings

log = logging.getLogger("nst_tf")

SOME_FAILED = 5
SHOWN = 5  # lines of a dry run


def main(arguments: Sequence[str]) -> int:
    """Paints the batch that the arguments ask for.

    Args:
        arguments: The command line, without the program's name.

    Returns:
        The exit status: 0 all done; 1 invalid input, whose faults are all
        printed; 5 some failed; 129, 130, 143 and 149 stopped by a signal.
    """

    def work(session: console.Session) -> int:
        if programs.answer(command_line.PROGRAM, arguments):
            return console.DONE
        request = command_line.read(arguments)
        session.show(request.program, request.notes)
        if request.options.merge:
            return _merge(request)
        return _run(request, session.signals)

    return console.Session().run(work)


def _merge(request: command_line.Request) -> int:
    """Merges the results of shards."""
    folder = Path(request.options.results_dir)
    counts = ledger.merge(folder, [Path(word) for word in request.words])
    words = ", ".join(f"{count} {name}" for name, count in counts.items())
    terminal.print_result(f"{folder / 'results.jsonl'}: {words}")
    return console.DONE


def _run(request: command_line.Request, signals: watcher.Signals) -> int:
    """Checks all lines, and paints them."""
    options, program = request.options, request.program
    book = ledger.Ledger(Path(options.results_dir), request.shard)
    written = ledger.Written(book.path)
    display.show_stage("checking the manifest")
    root = Path(options.output_root) if options.output_root else None
    checker = checking.Checker(written, root)
    file = Path(options.manifest).expanduser()
    maker = tasks.Maker(
        request.defaults, file.parent if options.manifest else None
    )
    checked = checker.check_all(_list_tasks(request, maker))
    for note in maker.notes:
        log.info(note)
    word = "line" if options.manifest else "picture"
    for line in api.describe_faults(checked.faults, word):
        console.print_error(line)
    if checked.faults and not options.skip_bad:
        return console.WRONG_INPUT
    if any(not fault.number for fault in checked.faults):
        return console.WRONG_INPUT
    if program.dry_run:
        terminal.print_result(*_describe(checked, checker))
        return console.DONE
    failed = [fault.task for fault in checked.faults if fault.task]
    counts = dict.fromkeys(ledger.STATUSES, 0)
    counts[ledger.FAILED] = len(checked.faults)
    signals.rescue = lambda: signals.status  # the picture before is written
    with contextlib.closing(
        api.paint(checked, options, book, written, signals.should_stop)
    ) as results:
        for unit, result in results:
            signals.take_steps()
            counts[result.status] += 1
            if unit and result.status == ledger.FAILED:
                failed.append(unit.task)
            _report(result, program)
    is_its_own = file.resolve() == book.failed.resolve()
    if not (signals.received and is_its_own):
        book.write_failed(failed)
    signals.end_saving()
    if not program.quiet:
        words = ", ".join(
            f"{counts[status]} {status}"
            for status in ledger.STATUSES
            if counts[status]
        )
        terminal.print_note(f"{words or 'nothing to paint'}; {book.path}")
    if signals.status:
        return signals.status
    return SOME_FAILED if counts[ledger.FAILED] else console.DONE


def _list_tasks(
    request: command_line.Request, maker: tasks.Maker
) -> Iterator[tasks.Task | manifest.Fault]:
    """Makes the tasks of a manifest or of patterns, or those of a shard.

    Raises:
        ValueError: If there is none, or the manifest cannot be read.
    """
    name, job = request.options.manifest, request.defaults
    if name:
        made = maker.make_all(manifest.read(Path(name).expanduser()))
    else:
        made = maker.make_all(manifest.combine(job.content, job.style))
    if request.shard:
        part, count = request.shard
        made = itertools.islice(made, part - 1, None, count)
    return made


def _report(result: ledger.Result, program: settings.Job) -> None:
    """Prints the result of a picture."""
    for note in result.notes:
        log.info("%s: %s", result.output, note)
    if result.status == ledger.FAILED:
        console.print_error(f"line {result.line}: {result.error}")
    elif result.status == ledger.SKIPPED:
        return
    elif program.quiet or program.verbose:
        terminal.print_path(str(result.output), program.quiet)


def _describe(
    checked: checking.Checked, checker: checking.Checker
) -> list[str]:
    """Describes the pictures to paint: number, time, memory, disk space."""
    todo = checked.found
    lines = [
        f"pictures  {checked.number}"
        + (f", and {len(checked.done)} are done" if checked.done else "")
        + (f"; {len(checked.faults)} bad" if checked.faults else "")
    ]
    first = sorted(task for each in todo.values() for task in each[:SHOWN])
    for task in sorted(first, key=lambda task: task.number)[:SHOWN]:
        styles = errors.list_items(list(task.get("style")) or ["no style"])
        lines.append(
            f"  {task.number:6}  {task.get('content')} in the style of "
            f"{styles} -> {task.output}"
        )
    if not todo:
        return lines
    device.prepare()
    seconds = groups.estimate_seconds(todo, checker.networks)
    memory = max(
        group.estimate_memory(
            checker.networks.find(group.kind.job, may_download=False)
        )
        for group in todo
    )
    words = terminal.format_duration(seconds)
    return [
        *lines,
        f"time      about {words}, by a few steps of the first picture",
        f"memory    about {memory / 1e9:.1f} GB a picture, less in tiles",
        f"disk      at most {checked.disk / 1e9:.2f} GB",
    ]
