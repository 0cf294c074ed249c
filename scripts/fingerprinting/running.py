"""Runs toy jobs through the public names of the package only."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import nst_tf
import nst_tf.run
from fingerprinting import digests, jobs

Found = dict[str, str]  # what a value is of -> a digest, or a text
library: Any = nst_tf  # whose names are imported when they are used


def steps(settings: Mapping[str, Any], stop_after: int = 0) -> Found:
    """Takes the steps of the library: all losses, and digests of all images.

    Args:
        settings: Of a toy job.
        stop_after: Steps after which the run is stopped; 0: none.
    """
    rest = dict(settings)
    content, styles = rest.pop("content"), list(rest.pop("style"))
    lines, images = [], []
    taken = library.stylize_steps(content, styles, **rest)
    for count, step in enumerate(taken, start=1):
        losses = {"loss": step.evaluation.loss, **step.evaluation.terms}
        values = [f"{key} {float(value)!r}" for key, value in losses.items()]
        lines.append(f"{step.level} {step.index}: {', '.join(values)}")
        images.append(np.array(step.image))
        if count == stop_after:
            break
    taken.close()
    return {"losses": "\n".join(lines), "images": digests.of_arrays(images)}


def program(arguments: Sequence[str], prefix: str = "") -> Found:
    """Runs the program: its status, what it prints, and the files it writes."""
    folder = Path.cwd()
    before = files(folder)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = nst_tf.run.main(list(arguments))
    after = files(folder)
    new = [path for path, when in after.items() if before.get(path) != when]
    found = {
        "status": str(status),
        "stdout": digests.without_clock(out.getvalue()),
        "stderr": digests.without_clock(err.getvalue()),
        **digests.of_files(folder, new),
    }
    return {f"{prefix}{part}": value for part, value in found.items()}


def files(folder: Path) -> dict[Path, int]:
    """Lists the files of a folder, with the time of their last change."""
    return {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


def named(name: str, found: Found) -> Found:
    """Puts a name before what was found."""
    return {f"{name} {part}": value for part, value in found.items()}


def precision_of(variant: str) -> str:
    """Returns the type that the network computes in."""
    return "bfloat16" if variant == "bfloat16" else "float32"


def quick_settings(**changed: Any) -> dict[str, Any]:
    """Returns settings of a quick toy job."""
    return jobs.merge(jobs.QUICK, {"precision": "float32"}, changed)


def quick_flags(*more: str, **changed: Any) -> list[str]:
    """Returns flags of a quick toy job."""
    return [*jobs.flags(quick_settings(**changed)), *more]
